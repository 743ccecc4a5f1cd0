//! One relayed connection: a state machine that moves bytes as far as they go without waiting.

mod ending;

use std::os::fd::AsFd;
use std::sync::Arc;
use std::time::{Duration, Instant};

use rustix::net::{Shutdown, shutdown, sockopt};

use super::closing::Closing;
use super::pair::PairKind;
use super::program_end::ProgramEnd;
use super::readiness::Readiness;
use super::{Link, LinkOptions, exit};
use crate::error::{Code, Error, Result};
use crate::io::transport::{self, Transfer};
use crate::sys::private_fd::PrivateFd;
use crate::tls::buffer::Buffer;
use crate::tls::engine::Engine;

pub struct Connection {
    transport: Arc<PrivateFd>,
    transport_is_tcp: bool,
    /// The library's end of the inner pair; gone once the program's end is.
    library: Option<Arc<PrivateFd>>,
    program: ProgramEnd,
    engine: Engine,
    options: LinkOptions,
    to_program: Buffer,
    transport_ready: Readiness,
    library_ready: Readiness,
    inbound: Inbound,
    outbound: Outbound,
    closing: Option<Closing>,
    /// Since when the buffers may have been empty without having been given back.
    memory_held_since: Option<Instant>,
    /// Since when the transport has taken nothing of what waits, and how much of what it had taken
    /// before had not reached the peer then.
    stalled_since: Option<(Instant, u32)>,
    scratch_used: usize,
    program_was_reset: bool,
    /// It has closed its end, or ended its receiving.
    program_takes_nothing: bool,
    /// The program's sends fail from now on.
    sends_are_refused: bool,
    /// Why nothing more can be sent; what the peer said last may be the better reason.
    send_error: Option<Error>,
    /// Kept alive for the end of the process, which has to find the connection even when the
    /// handle has been freed.
    link: Arc<Link>,
}

/// What a connection is made of.
pub struct Ends {
    pub transport: Arc<PrivateFd>,
    pub library: Arc<PrivateFd>,
    pub program: ProgramEnd,
    pub engine: Engine,
    pub options: LinkOptions,
    pub link: Arc<Link>,
}

/// When the reactor has to come back.
#[derive(Debug, PartialEq, Eq)]
pub enum Next {
    /// On the next event.
    Event,
    /// Soon: the budget was used up with work left.
    Again,
    /// On the next event, or then.
    At(Instant),
    /// Never: everything is over and the descriptors may go.
    Done,
}

/// How [`Connection::finish`] leaves things.
enum Finish {
    /// Nothing has ended.
    Nothing,
    /// Something changed: bytes may move again.
    Progress,
    Wait(Next),
}

/// Peer to program.
#[derive(Debug)]
enum Inbound {
    Open,
    /// The peer sent close_notify; the program gets its end of file after the data.
    Ending,
    /// The program has had its end of file.
    Ended,
    /// The connection broke; the program gets a reset after the data.
    Broken {
        check_after: Duration,
    },
}

/// Program to peer.
#[derive(Debug, PartialEq, Eq)]
enum Outbound {
    Open,
    /// close_notify is queued or sent.
    Ended,
    /// The transport takes no more.
    Failed,
}

impl Connection {
    pub fn new(ends: Ends) -> Self {
        let ready = Readiness::unknown();
        let protocol = sockopt::socket_protocol(&ends.transport);
        Self {
            transport: ends.transport,
            transport_is_tcp: protocol == Ok(Some(rustix::net::ipproto::TCP)),
            library: Some(ends.library),
            program: ends.program,
            engine: ends.engine,
            options: ends.options,
            to_program: Buffer::new(),
            transport_ready: ready,
            library_ready: ready,
            inbound: Inbound::Open,
            outbound: Outbound::Open,
            closing: None,
            // The handshake's.
            memory_held_since: Some(Instant::now()),
            stalled_since: None,
            scratch_used: 0,
            program_was_reset: false,
            program_takes_nothing: false,
            sends_are_refused: false,
            send_error: None,
            link: ends.link,
        }
    }

    pub fn transport(&self) -> &PrivateFd {
        &self.transport
    }

    pub fn library(&self) -> Option<&PrivateFd> {
        self.library.as_deref()
    }

    /// How much of the scratch buffer has held plaintext since this was last asked.
    pub fn take_scratch_used(&mut self) -> usize {
        std::mem::take(&mut self.scratch_used)
    }

    pub fn transport_event(&mut self, event: Readiness) {
        self.transport_ready.merge(event);
    }

    pub fn library_event(&mut self, event: Readiness) {
        self.library_ready.merge(event);
    }

    /// Moves what can be moved. `scratch` is shared by the connections of one thread; in a `crowd` of
    /// them each gives its buffers back at once, so that the next one finds them in the cache.
    pub fn run(&mut self, scratch: &mut [u8], crowd: bool) -> Next {
        self.link.progress.begin();
        // One for each direction: neither is to keep the other from its turn.
        let (mut outward, mut inward) = (RUN_BUDGET, RUN_BUDGET);
        let next = loop {
            let before = (outward, inward);
            if let Err(error) = self.outward(scratch, &mut outward) {
                self.outbound_failed(error);
            }
            self.inward(scratch, &mut inward);
            match self.finish() {
                Finish::Wait(next) => break next,
                Finish::Progress => {}
                Finish::Nothing if (outward, inward) != before => {}
                Finish::Nothing if outward == 0 || inward == 0 => break Next::Again,
                Finish::Nothing => {
                    let moved = (outward, inward) != (RUN_BUDGET, RUN_BUDGET);
                    break self.await_event(moved, crowd);
                }
            }
        };
        if !matches!(next, Next::Again | Next::Done) && self.is_cut_off() {
            self.refuse_sends();
        }
        // Readiness goes on being told after the end of the program's input.
        let unread =
            self.outbound == Outbound::Open && self.library.is_some() && self.library_ready.read;
        self.link.progress.pause(unread || !self.engine.outgoing().is_empty());
        exit::progress(outward < RUN_BUDGET || inward < RUN_BUDGET);
        next
    }

    /// No thread took it over: the program's end dies.
    pub fn cut_off(self) {
        if let Some(library) = &self.library {
            self.program.cut_off(library);
        }
    }

    /// The library cannot go on with this connection.
    pub fn give_up(&mut self, error: Error) {
        self.options.errors.set_fatal(error);
    }

    /// The end: no descriptor stays behind, not even in a child that is being forked just now.
    pub fn retire(&mut self) {
        if let Some(library) = self.library.take() {
            self.program.reset(library);
        }
        let abortive = self.closing.as_ref().is_some_and(Closing::is_reset);
        if !abortive {
            let _ = shutdown(&*self.transport, Shutdown::Both);
        }
        self.link.progress.finish();
        exit::progress(true);
    }

    /// Program to peer.
    fn outward(&mut self, scratch: &mut [u8], budget: &mut usize) -> Result<()> {
        loop {
            self.flush()?;
            if !self.engine.outgoing().is_empty()
                || self.outbound != Outbound::Open
                || matches!(self.inbound, Inbound::Broken { .. })
                || *budget == 0
            {
                return Ok(());
            }
            let Some(library) = &self.library else { return Ok(()) };
            if !self.library_ready.read {
                return Ok(());
            }
            let space = &mut scratch[..TO_PEER_LIMIT];
            let room = space.len();
            match transport::receive(library.as_fd(), space) {
                Ok(Transfer::Bytes(count)) => {
                    // On AF_UNIX it says nothing: a receive ends after a descriptor, too.
                    if count < room && self.program.kind != PairKind::Unix {
                        self.library_ready.received_short();
                    }
                    *budget = budget.saturating_sub(count);
                    self.scratch_used = self.scratch_used.max(count);
                    self.engine.encrypt(&scratch[..count])?;
                }
                Ok(Transfer::WouldBlock) => self.library_ready.read = false,
                Ok(Transfer::End) if self.program_was_reset => self.program_reset(),
                Ok(Transfer::End) => {
                    self.library_ready.read = false;
                    self.end_outbound()?;
                }
                // The program closed with SO_LINGER {1, 0} or with unread data.
                Err(error) if is_gone(&error) => self.program_reset(),
                Err(error) => {
                    self.broke(Error::system("take the program's data", error.sys_errno));
                    return Ok(());
                }
            }
        }
    }

    /// Peer to program.
    fn inward(&mut self, scratch: &mut [u8], budget: &mut usize) {
        loop {
            if self.closing.is_some() {
                return self.drain(scratch, budget);
            }
            self.deliver();
            if !self.to_program.is_empty() || *budget == 0 {
                return;
            }
            if !matches!(self.inbound, Inbound::Open) {
                return;
            }
            match self.decrypt(scratch) {
                Ok(0) if self.engine.peer_closed() => {
                    self.inbound = Inbound::Ending;
                    continue;
                }
                Ok(0) => {}
                Ok(_) => {
                    // Receiving it has been counted; this is so that something has moved.
                    *budget = budget.saturating_sub(1);
                    continue;
                }
                Err(error) => {
                    self.broke(error);
                    continue;
                }
            }
            if !self.transport_ready.read {
                return;
            }
            match self.receive_from_peer() {
                // It costs time whether there is data in it or not.
                Ok(Some(count)) => *budget = budget.saturating_sub(count),
                Ok(None) if self.outbound == Outbound::Failed => self.sending_broke(),
                Ok(None) => return,
                Err(error) => self.broke(error),
            }
        }
    }

    /// Decrypts what has come and hands it to the program; what that does not take waits.
    fn decrypt(&mut self, scratch: &mut [u8]) -> Result<usize> {
        let mut filled = 0;
        let mut more = Buffer::new();
        let outcome = self.engine.decrypt(TO_PROGRAM_LIMIT, &mut |bytes| {
            match scratch.get_mut(filled..filled + bytes.len()) {
                Some(space) if more.is_empty() => {
                    space.copy_from_slice(bytes);
                    filled += bytes.len();
                }
                // Only what came with the end of the handshake can be so much.
                _ => more.push(bytes),
            }
        });
        self.scratch_used = self.scratch_used.max(filled);
        let taken = self.send_to_program(&scratch[..filled]);
        self.to_program.push(&scratch[taken..filled]);
        self.to_program.push(more.readable());
        outcome
    }

    /// How much ciphertext came, 0 for the end; `None` if nothing did.
    fn receive_from_peer(&mut self) -> Result<Option<usize>> {
        let space = self.engine.receive_space()?;
        let room = space.len();
        match transport::receive(self.transport.as_fd(), space)? {
            Transfer::Bytes(count) => {
                // Once sending has failed, only being told that there is no more ends the connection.
                if count < room && self.transport_is_tcp && self.outbound != Outbound::Failed {
                    self.transport_ready.received_short();
                }
                self.engine.received(count);
                Ok(Some(count))
            }
            Transfer::WouldBlock => {
                self.transport_ready.read = false;
                Ok(None)
            }
            Transfer::End => {
                self.transport_ready.read = false;
                // The kernel tells of a reset once. If that was when something was sent, what it
                // shows now is no end that the program may have allowed.
                let was_reset = self
                    .send_error
                    .as_ref()
                    .is_some_and(|error| error.sys_errno == libc::ECONNRESET);
                if was_reset || !self.options.allow_truncation {
                    self.engine.transport_ended()?;
                }
                self.inbound = Inbound::Ending;
                Ok(Some(0))
            }
        }
    }

    /// Hands plaintext to the program as far as it takes it, then its end of file.
    fn deliver(&mut self) {
        if !self.to_program.is_empty() {
            let mut queue = std::mem::take(&mut self.to_program);
            queue.consume(self.send_to_program(queue.readable()));
            self.to_program = queue;
        }
        if self.to_program.is_empty()
            && matches!(self.inbound, Inbound::Ending)
            && let Some(library) = &self.library
        {
            let _ = shutdown(&**library, Shutdown::Write);
            self.inbound = Inbound::Ended;
        }
    }

    /// How much of it is off our hands.
    fn send_to_program(&mut self, bytes: &[u8]) -> usize {
        let Some(library) = self.library.clone() else { return 0 };
        let mut taken = 0;
        while taken < bytes.len() {
            if self.program_takes_nothing || self.library_ready.hang_up {
                // Nobody will read it, and the peer may have to get rid of it before it takes more.
                return bytes.len();
            }
            if !self.library_ready.write {
                break;
            }
            match transport::send(library.as_fd(), &bytes[taken..]) {
                Ok(Transfer::Bytes(count)) => taken += count,
                Ok(Transfer::WouldBlock | Transfer::End) => self.library_ready.write = false,
                // The program's end is gone. The kernel says how only once, and reading from it
                // has to know.
                Err(error) if is_gone(&error) => {
                    self.program_takes_nothing = true;
                    self.program_was_reset |= error.sys_errno == libc::ECONNRESET;
                    self.library_ready.read = true;
                    self.library_ready.write = false;
                }
                // It is there and must not take what it has for everything.
                Err(error) => {
                    self.broke(Error::system("hand data to the program", error.sys_errno));
                    return bytes.len();
                }
            }
        }
        taken
    }

    fn flush(&mut self) -> Result<()> {
        while !self.engine.outgoing().is_empty() && self.transport_ready.write {
            match transport::send(self.transport.as_fd(), self.engine.outgoing())? {
                Transfer::Bytes(count) => {
                    self.engine.sent(count);
                    self.stalled_since = None;
                    if let Some(closing) = &mut self.closing {
                        closing.sent(&self.transport);
                    }
                }
                Transfer::WouldBlock | Transfer::End => self.transport_ready.write = false,
            }
        }
        Ok(())
    }

    /// The program has ended its direction, by shutdown or by close.
    fn end_outbound(&mut self) -> Result<()> {
        self.outbound = Outbound::Ended;
        self.engine.close_notify()
    }

    /// An abort is no end of the data: the peer must not take what it has for everything.
    fn program_reset(&mut self) {
        self.outbound = Outbound::Ended;
        self.begin_closing(true);
    }

    fn begin_closing(&mut self, reset: bool) {
        if let Some(library) = self.library.take() {
            // A child that is being forked just now may hold a copy.
            let _ = shutdown(&*library, Shutdown::Both);
        }
        self.to_program.consume(self.to_program.len());
        let (timeout, transport) = (self.options.close_timeout, &self.transport);
        self.closing.get_or_insert_with(|| Closing::new(reset, timeout, transport));
    }

    /// Nothing more can be sent. What the peer had said before is still there to be received, so
    /// only the end of that ends the connection.
    fn outbound_failed(&mut self, error: Error) {
        self.send_error = Some(error);
        self.outbound = Outbound::Failed;
        self.engine.sent(self.engine.outgoing().len());
        self.transport_ready.read = true;
    }

    /// Nothing more can be sent, and all that there was to receive has been.
    fn sending_broke(&mut self) {
        if let Some(error) = self.send_error.take() {
            self.options.errors.set_fatal(error);
        }
        self.inbound = Inbound::Broken { check_after: FIRST_CHECK };
    }

    /// Whether nothing that the program sends can reach the peer any more.
    fn is_cut_off(&self) -> bool {
        self.outbound == Outbound::Failed || matches!(self.inbound, Inbound::Broken { .. })
    }

    /// The reset has to wait for a program that has not read yet. One that only sends would wait,
    /// too, for room that nobody makes: on a socket of its own it would learn of the end now.
    fn refuse_sends(&mut self) {
        let Some(library) = self.library.as_ref().filter(|_| !self.sends_are_refused) else {
            return;
        };
        self.sends_are_refused = true;
        if let Some(error) = &self.send_error {
            self.options.errors.set_fatal(error.clone());
        }
        self.link.progress.cut_off();
        self.program.refuse_sends(library);
    }

    /// The connection or the protocol failed: the program gets what did arrive, then a reset.
    fn broke(&mut self, error: Error) {
        if matches!(self.inbound, Inbound::Broken { .. }) {
            return;
        }
        let was_said = !matches!(error.code, Code::RESET | Code::TRUNCATED | Code::IO);
        let reason = if was_said { error } else { self.send_error.take().unwrap_or(error) };
        self.options.errors.set_fatal(reason);
        // The alert, if there is one; whether it arrives is not ours to know.
        let _ = transport::send(self.transport.as_fd(), self.engine.outgoing());
        self.engine.sent(self.engine.outgoing().len());
        // The program may take its time to read what is left; the peer need not wait for it.
        let _ = shutdown(&*self.transport, Shutdown::Write);
        self.inbound = Inbound::Broken { check_after: FIRST_CHECK };
    }
}

/// Whether the program's end is no more; anything else is a call of the library's that failed.
fn is_gone(error: &Error) -> bool {
    matches!(error.sys_errno, libc::EPIPE | libc::ECONNRESET | libc::ENOTCONN | libc::ETIMEDOUT)
}

/// How many bytes one connection may move in each direction before the others get their turn.
const RUN_BUDGET: usize = 256 * 1024;
/// How much is read from the program, and decrypted for it, at once.
const TO_PEER_LIMIT: usize = 128 * 1024;
const TO_PROGRAM_LIMIT: usize = 128 * 1024;
/// What [`Connection::run`] works in. The last record decrypted may go beyond the limit.
pub(super) const SCRATCH: usize = TO_PROGRAM_LIMIT + 16 * 1024;
const FIRST_CHECK: Duration = Duration::from_millis(1);
