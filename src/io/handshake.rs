//! Drives the engine's handshake over a socket.

use std::os::fd::BorrowedFd;
use std::time::Duration;

use super::deadline::Deadline;
use super::transport::{self, Interest, Transfer, Wake};
use crate::error::{Category, Code, Error, Result, quote};
use crate::tls::engine::{Engine, HandshakeStep};

/// The surroundings of one handshake.
pub struct Handshake<'a> {
    pub transport: BorrowedFd<'a>,
    /// A hang-up of this descriptor ends the handshake: the program has closed its end.
    pub cancel: Option<BorrowedFd<'a>>,
    /// `false`: answer WANT_READ or WANT_WRITE rather than wait; call again later.
    pub blocking: bool,
    /// The time limit as the program set it, for the text.
    pub limit: Option<Duration>,
    pub is_server: bool,
    /// Whether the session of another connection is to be resumed (ssl_set_session_from).
    pub follows_another: bool,
}

impl Handshake<'_> {
    /// A TLS server never speaks first: what waits before our first byte was written by somebody
    /// who wants it taken for part of the conversation under TLS (CVE-2011-0411 and its kin), or
    /// was forgotten by the program.
    pub fn refuse_early_data(&self) -> Result<()> {
        let mut queued = [0; QUOTED];
        // What is there ends the connection, so that it need not stay.
        match transport::receive(self.transport, &mut queued)? {
            Transfer::WouldBlock => Ok(()),
            Transfer::End => Err(Error::new(
                Code::TRUNCATED,
                "peer had closed the connection before the handshake was asked for",
            )),
            Transfer::Bytes(count) => Err(Error::new(
                Code::EARLY_DATA,
                format!(
                    "peer sent {} before the handshake began: data in clear must not slip into \
                     the encrypted conversation; read the whole answer to STARTTLS before \
                     upgrading, and suspect an attack if you did",
                    quote(&queued[..count])
                ),
            )),
        }
    }

    /// Goes on until the handshake is complete and its last flight sent. `approve` decides on the
    /// peer's certificate before the last flight leaves; it may answer WANT_VALIDATION, and is asked
    /// again when the handshake goes on. On failure the alert, if there is one, has been given a
    /// chance to leave.
    pub fn run(
        &self,
        engine: &mut Engine,
        deadline: &mut Deadline,
        approve: &mut dyn FnMut(&mut Engine, &mut Deadline) -> Result<()>,
    ) -> Result<()> {
        let outcome = self.advance(engine, deadline, approve);
        if let Err(error) = &outcome
            && error.code.category() != Category::WouldBlock
            // In a child, where the connection's descriptors are not those of its numbers.
            && error.code != Code::FORKED
            && !engine.awaits_approval()
        {
            // One try: the peer may be gone or not reading, and the failure is what counts.
            let _ = self.flush_without_waiting(engine);
        }
        outcome
    }

    fn advance(
        &self,
        engine: &mut Engine,
        deadline: &mut Deadline,
        approve: &mut dyn FnMut(&mut Engine, &mut Deadline) -> Result<()>,
    ) -> Result<()> {
        if !self.blocking && self.cancel.is_some_and(transport::has_hung_up) {
            return Err(descriptor_closed());
        }
        loop {
            let step = engine.advance_handshake();
            deadline.extend(engine.take_time_in_program());
            match step? {
                HandshakeStep::NeedsApproval => match approve(engine, deadline) {
                    // Nothing that is queued may leave meanwhile.
                    Err(error) if error.code == Code::WANT_VALIDATION => return Err(error),
                    verdict => engine.approved(verdict)?,
                },
                HandshakeStep::NeedsInput => {
                    let is_question = !engine.outgoing().is_empty();
                    self.flush(engine, deadline)?;
                    self.fill(engine, deadline, is_question)?;
                }
                HandshakeStep::Complete => return self.flush(engine, deadline),
            }
        }
    }

    fn flush(&self, engine: &mut Engine, deadline: &Deadline) -> Result<()> {
        while !self.flush_without_waiting(engine)? {
            let awaited = "the peer to take what this side has to say";
            if !self.blocking {
                if deadline.is_over() {
                    return Err(self.timed_out(awaited));
                }
                return Err(Error::new(
                    Code::WANT_WRITE,
                    "the handshake goes on when the connection can be written to",
                ));
            }
            self.wait(Interest { read: false, write: true }, deadline, awaited)?;
        }
        Ok(())
    }

    /// Whether everything left.
    fn flush_without_waiting(&self, engine: &mut Engine) -> Result<bool> {
        while !engine.outgoing().is_empty() {
            match transport::send(self.transport, engine.outgoing()).map_err(during_handshake)? {
                Transfer::Bytes(count) => engine.sent(count),
                Transfer::WouldBlock | Transfer::End => return Ok(false),
            }
        }
        Ok(true)
    }

    /// `is_question`: something has just been sent, and the answer cannot be there yet.
    fn fill(&self, engine: &mut Engine, deadline: &Deadline, is_question: bool) -> Result<()> {
        let mut is_worth_trying = !self.blocking || !is_question;
        loop {
            let awaited = match (self.is_server, engine.has_heard_from_peer()) {
                (_, true) => "the rest of the peer's handshake",
                (true, false) => "the client's first TLS record",
                (false, false) if self.follows_another => {
                    "the server's first TLS record (on a data connection of FTP: has the server \
                     answered 150 on the control connection?)"
                }
                (false, false) => {
                    "the server's first TLS record (does this port want STARTTLS first?)"
                }
            };
            // However much the peer has sent meanwhile: it must not stretch the limit.
            if deadline.is_over() {
                return Err(self.timed_out(awaited));
            }
            if is_worth_trying && self.fill_without_waiting(engine)? {
                return Ok(());
            }
            is_worth_trying = true;
            if !self.blocking {
                return Err(Error::new(
                    Code::WANT_READ,
                    "the handshake goes on when the connection can be read from",
                ));
            }
            self.wait(Interest { read: true, write: false }, deadline, awaited)?;
        }
    }

    /// Whether anything came.
    fn fill_without_waiting(&self, engine: &mut Engine) -> Result<bool> {
        let heard_before = engine.received_count();
        let space = engine.receive_space_of(READ_SIZE)?;
        match transport::receive(self.transport, space).map_err(during_handshake)? {
            Transfer::WouldBlock => Ok(false),
            Transfer::Bytes(count) => {
                engine.received(count);
                if heard_before < TELLING {
                    self.refuse_plaintext(engine)?;
                }
                Ok(true)
            }
            Transfer::End => Err(Error::new(
                Code::TRUNCATED,
                if heard_before > 0 {
                    "peer closed the connection in the middle of the handshake"
                } else {
                    "peer closed the connection instead of answering the handshake: it may not \
                     speak TLS here, or not want this client"
                },
            )),
        }
    }

    /// Says so if the peer's first bytes are no TLS record.
    fn refuse_plaintext(&self, engine: &mut Engine) -> Result<()> {
        if looks_like_tls(engine.incoming()) {
            return Ok(());
        }
        // A line may still be on its way; a moment's patience makes a better text.
        let patience = if self.blocking { PATIENCE } else { Duration::ZERO };
        let patience = Deadline::after(Some(patience));
        while engine.incoming().len() < QUOTED && !engine.incoming().contains(&b'\n') {
            let interest = Interest { read: true, write: false };
            let wake = transport::wait(self.transport, interest, self.cancel, &patience)?;
            if wake != Wake::Ready {
                break;
            }
            match transport::receive(self.transport, engine.receive_space_of(QUOTED)?) {
                Ok(Transfer::Bytes(count)) => engine.received(count),
                _ => break,
            }
        }
        let said = quote(engine.incoming());
        Err(Error::new(
            Code::NOT_TLS,
            if self.is_server {
                format!("client sent {said} instead of a TLS record: it speaks in clear")
            } else {
                format!(
                    "peer sent {said} instead of a TLS record: does this port want STARTTLS first?"
                )
            },
        ))
    }

    fn wait(&self, interest: Interest, deadline: &Deadline, awaited: &str) -> Result<()> {
        match transport::wait(self.transport, interest, self.cancel, deadline)? {
            Wake::Ready => Ok(()),
            Wake::Cancelled => Err(descriptor_closed()),
            Wake::TimedOut => Err(self.timed_out(awaited)),
        }
    }

    fn timed_out(&self, awaited: &str) -> Error {
        timed_out(self.limit, awaited)
    }
}

/// The time limit, as the program set it, was over before what it waited for.
pub fn timed_out(limit: Option<Duration>, awaited: &str) -> Error {
    let limit = limit.unwrap_or_default().as_millis();
    Error::new(
        Code::TIMEOUT,
        format!(
            "the handshake did not finish within {limit} ms: waited for {awaited} \
             (ssl_set_timeout changes the limit)"
        ),
    )
}

fn descriptor_closed() -> Error {
    Error::new(Code::IO, "the program closed the descriptor while the handshake was running")
}

fn looks_like_tls(bytes: &[u8]) -> bool {
    // ContentType change_cipher_spec to heartbeat, then the major version of every TLS.
    matches!(bytes, [0x14..=0x18] | [0x14..=0x18, 0x03, ..])
}

fn during_handshake(error: Error) -> Error {
    Error { text: format!("{} during the handshake", error.text), ..error }
}

/// Most flights of a server fit. They are few, so that what does not costs little.
const READ_SIZE: usize = 4 * 1024;
const QUOTED: usize = 81;
/// How many bytes of a record tell it from a text, see [`looks_like_tls`]: they may come one by one.
const TELLING: u64 = 2;
const PATIENCE: Duration = Duration::from_millis(200);
