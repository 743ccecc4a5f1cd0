//! One TLS connection as a transformer of bytes: ciphertext in, plaintext out, and back.
//!
//! The engine owns rustls's unbuffered connection and the two ciphertext queues. It never blocks
//! and never touches a descriptor: its user moves bytes between the queues and the transport.

use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;
use std::time::Duration;

use rustls::client::UnbufferedClientConnection;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::server::UnbufferedServerConnection;
use rustls::{HandshakeKind, ProtocolVersion};

use super::buffer::Buffer;
use super::config::ClientSetup;
use super::context::{self, Context};
use super::failure;
use super::server::ServerSetup;
use super::sessions::{Failure, Family, Sessions};
use super::states::{
    Connection, Outbound, Outcome, Refusal, Step, Want, handle, whole_records, write_side_closed,
};
use crate::error::{Category, Code, Error, Result};
use crate::verify::report::Report;
use crate::verify::verifier;

pub struct Engine {
    connection: Connection,
    incoming: Buffer,
    outgoing: Buffer,
    /// How many bytes at the front of `incoming` are whole records. Counted once, as they come:
    /// rustls moves the pieces of a handshake message together, over the headers between them.
    whole: usize,
    /// How many bytes at the front of `incoming` rustls has seen but still needs: whole records
    /// that hold the beginning of a handshake message.
    retained: usize,
    /// Data that came in one go with the end of the peer's handshake.
    early_plaintext: Buffer,
    /// How much to receive at once: as much as comes.
    read_size: usize,
    report: Option<Arc<Report>>,
    /// Never absent but while rustls is being called.
    context: Option<Box<Context>>,
    approval: Approval,
    received: u64,
    peer_closed: bool,
    close_notify_sent: bool,
    failed: Option<Error>,
}

/// What [`Engine::advance_handshake`] needs next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HandshakeStep {
    /// Send [`Engine::outgoing`], then feed bytes from the peer.
    NeedsInput,
    /// The peer's certificate and its handshake signature have been received: tell the decision on
    /// it to [`Engine::approved`]. Until then send nothing of what is in [`Engine::outgoing`]. In
    /// TLS 1.2 a client comes here in the middle of the handshake, otherwise it is at its end.
    NeedsApproval,
    /// The handshake is complete; send what is in [`Engine::outgoing`].
    Complete,
}

/// The decision on the peer's certificate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Approval {
    /// It is not known yet.
    Pending,
    Due,
    Decided,
}

impl Engine {
    /// Without a name, the configuration has to be one for a peer without a name.
    pub fn client(
        setup: &ClientSetup,
        name: Option<ServerName<'static>>,
        context: Context,
    ) -> Result<Self> {
        // rustls wants one. An address is not sent, and the verifier does not look at this one.
        let name = name.unwrap_or(ServerName::from(IpAddr::V4(Ipv4Addr::UNSPECIFIED)));
        let mut context = Some(Box::new(context));
        let connection = context::enter(&mut context, || {
            UnbufferedClientConnection::new(setup.config.clone(), name)
        })
        .map_err(|error| failure::from_rustls(error, None))?;
        if let Some(sessions) = context.as_mut().and_then(|context| context.sessions.as_mut()) {
            // A suite is there before the peer has said anything if a ticket of it is offered.
            sessions.hello_made(connection.negotiated_cipher_suite().is_some());
        }
        Ok(Self::new(Connection::Client(connection), context))
    }

    pub fn server(setup: &ServerSetup, context: Context) -> Result<Self> {
        let connection = UnbufferedServerConnection::new(setup.config.clone())
            .map_err(|error| failure::from_rustls(error, None))?;
        Ok(Self::new(Connection::Server(connection), Some(Box::new(context))))
    }

    fn new(connection: Connection, context: Option<Box<Context>>) -> Self {
        Self {
            connection,
            incoming: Buffer::new(),
            outgoing: Buffer::new(),
            whole: 0,
            retained: 0,
            early_plaintext: Buffer::new(),
            read_size: FIRST_READ,
            report: None,
            context,
            approval: Approval::Pending,
            received: 0,
            peer_closed: false,
            close_notify_sent: false,
            failed: None,
        }
    }

    /// Goes as far as the bytes received allow, and no further than to the decision on the peer's
    /// certificate: an error in what comes behind it would send an alert after our last flight.
    pub fn advance_handshake(&mut self) -> Result<HandshakeStep> {
        loop {
            if self.approval_is_due() {
                return Ok(HandshakeStep::NeedsApproval);
            }
            let mut early = std::mem::take(&mut self.early_plaintext);
            let step = self.process(&mut |bytes| early.push(bytes), Want::Handshake);
            self.early_plaintext = early;
            match step? {
                // A server may speak at once; there may be more of the handshake to send.
                Step::Again | Step::Plaintext(_) => {}
                // The peer may have had the last word.
                Step::Blocked if self.approval_is_due() => return Ok(HandshakeStep::NeedsApproval),
                Step::Blocked if !self.connection.common().is_handshaking() => {
                    self.settle_sessions();
                    return Ok(HandshakeStep::Complete);
                }
                Step::Blocked if self.peer_closed => {
                    return Err(self.fail(Error::new(
                        Code::PROTOCOL,
                        "peer sent close_notify before the handshake was complete",
                    )));
                }
                Step::Blocked => return Ok(HandshakeStep::NeedsInput),
            }
        }
    }

    /// Decrypts received records into `sink` until `limit` bytes or more have come out or no
    /// whole record is left. Answers how many bytes came out.
    pub fn decrypt(&mut self, limit: usize, sink: &mut dyn FnMut(&[u8])) -> Result<usize> {
        let mut produced = self.early_plaintext.len();
        if produced > 0 {
            sink(self.early_plaintext.readable());
            self.early_plaintext.consume(produced);
            self.early_plaintext.release();
        }
        while produced < limit {
            match self.process(sink, Want::Read)? {
                Step::Again => {}
                Step::Plaintext(count) => produced += count,
                Step::Blocked => break,
            }
        }
        Ok(produced)
    }

    /// Encrypts all of `data` behind what waits in [`Self::outgoing`].
    pub fn encrypt(&mut self, data: &[u8]) -> Result<()> {
        self.check_can_send()?;
        self.write(Outbound::Data(data))
    }

    /// rustls would go on encrypting after close_notify.
    pub fn check_can_send(&self) -> Result<()> {
        match &self.failed {
            Some(error) => Err(error.clone()),
            None if self.close_notify_sent => {
                Err(Error { sys_errno: libc::EPIPE, ..write_side_closed() })
            }
            None => Ok(()),
        }
    }

    /// Queues close_notify; a second call does nothing.
    pub fn close_notify(&mut self) -> Result<()> {
        if self.close_notify_sent || self.failed.is_some() {
            return Ok(());
        }
        self.close_notify_sent = true;
        self.write(Outbound::CloseNotify)
    }

    /// Room for ciphertext from the peer, for as much as came the last times; tell how much was
    /// filled with [`Self::received`]. An error if the peer has sent more than any handshake
    /// message may take without completing one.
    pub fn receive_space(&mut self) -> Result<&mut [u8]> {
        // A record that has begun need not make room for a whole read behind it: that would be
        // twice the memory.
        let least = self.read_size - LARGEST_RECORD;
        let limit = self.incoming.room().clamp(least, self.read_size);
        self.receive_space_of(limit)
    }

    /// The same, for `limit` bytes.
    pub fn receive_space_of(&mut self, limit: usize) -> Result<&mut [u8]> {
        if self.incoming.len() >= INCOMING_LIMIT {
            self.forget_sessions(Failure::Protocol);
            return Err(self.fail(Error::new(
                Code::PROTOCOL,
                "peer sent a handshake message in too many pieces",
            )));
        }
        Ok(&mut self.incoming.space(limit)[..limit])
    }

    pub fn received(&mut self, count: usize) {
        self.received += count as u64;
        self.incoming.filled(count);
        if count >= self.read_size - LARGEST_RECORD {
            self.read_size = (self.read_size * 2).min(LARGEST_READ);
        }
    }

    /// How long functions of the program's have taken inside the calls so far; once.
    pub fn take_time_in_program(&mut self) -> Duration {
        self.context.as_mut().map_or(Duration::ZERO, |context| context.program.take_time())
    }

    pub fn has_heard_from_peer(&self) -> bool {
        self.received > 0
    }

    /// How many bytes of ciphertext the peer has sent so far.
    pub fn received_count(&self) -> u64 {
        self.received
    }

    /// Records the decision on the peer's certificate. A refusal is final, and what the engine had
    /// ready for the peer is dropped.
    pub fn approved(&mut self, verdict: Result<()>) -> Result<()> {
        self.approval = Approval::Decided;
        match verdict {
            Ok(()) => {
                self.settle_sessions();
                Ok(())
            }
            Err(error) => {
                self.outgoing.consume(self.outgoing.len());
                if error.code.category() == Category::Certificate {
                    self.forget_sessions(Failure::Refused);
                }
                Err(self.fail(error))
            }
        }
    }

    /// The handshake is not gone on with.
    pub fn gave_up(&mut self) {
        self.forget_sessions(Failure::Unfinished);
    }

    /// Whether the ClientHello that is about to leave offers a session.
    pub fn offers_session(&self) -> bool {
        let context = self.context.as_ref();
        context.and_then(|context| context.sessions.as_ref()).is_some_and(Sessions::offers_one)
    }

    /// An earlier session was resumed; known before the certificate is approved.
    pub fn has_resumed(&self) -> bool {
        self.connection.common().handshake_kind() == Some(HandshakeKind::Resumed)
    }

    /// Whose sessions this connection's are, after the handshake; `None` if it keeps none.
    pub fn session_family(&mut self) -> Option<Family> {
        Some(sessions(&mut self.context)?.give_family())
    }

    /// Between [`HandshakeStep::NeedsApproval`] and the decision: nothing may be sent.
    pub fn awaits_approval(&self) -> bool {
        self.approval == Approval::Due
    }

    /// Ciphertext received and not yet processed.
    pub fn incoming(&self) -> &[u8] {
        self.incoming.readable()
    }

    /// Ciphertext for the peer.
    pub fn outgoing(&self) -> &[u8] {
        self.outgoing.readable()
    }

    pub fn sent(&mut self, count: usize) {
        self.outgoing.consume(count);
    }

    /// The ciphertext for the peer as a queue, to be moved elsewhere by whoever does the sending.
    pub fn outgoing_queue(&mut self) -> &mut Buffer {
        &mut self.outgoing
    }

    /// Gives back the memory of empty queues, for long.
    pub fn release_memory(&mut self) {
        self.release_queues();
        self.read_size = FIRST_READ;
    }

    /// The same, if as much as came the last times may come again soon.
    pub fn release_queues(&mut self) {
        self.incoming.release();
        self.outgoing.release();
    }

    /// The verification report of the peer's certificate; once.
    pub fn take_report(&mut self) -> Option<Arc<Report>> {
        self.report.take()
    }

    /// The peer has sent close_notify: no more data will come from it.
    pub fn peer_closed(&self) -> bool {
        self.peer_closed
    }

    pub fn close_notify_sent(&self) -> bool {
        self.close_notify_sent
    }

    /// What the end of the transport means: nothing after close_notify, a truncation before it.
    pub fn transport_ended(&mut self) -> Result<()> {
        if let Some(error) = &self.failed {
            return Err(error.clone());
        }
        if self.peer_closed {
            return Ok(());
        }
        Err(self.fail(Error {
            sys_errno: libc::ECONNRESET,
            ..Error::new(
                Code::TRUNCATED,
                "peer ended the TCP connection without close_notify: data may be missing at the \
                 end (SSL_FLAG_ALLOW_TRUNCATION accepts this, for protocols that say how long \
                 their data is)",
            )
        }))
    }

    pub fn peer_certificates(&self) -> Option<&[CertificateDer<'static>]> {
        self.connection.common().peer_certificates()
    }

    pub fn session(&self) -> Session {
        let common = self.connection.common();
        let suite = common.negotiated_cipher_suite().map(|suite| suite.suite());
        let group = common.negotiated_key_exchange_group().map(|group| group.name());
        Session {
            protocol: common.protocol_version().map_or(0, u16::from),
            protocol_name: match common.protocol_version() {
                Some(ProtocolVersion::TLSv1_2) => "TLSv1.2",
                Some(ProtocolVersion::TLSv1_3) => "TLSv1.3",
                _ => "",
            },
            suite: suite.map_or(0, u16::from),
            suite_name: match suite.and_then(|suite| suite.as_str()).unwrap_or("") {
                name if name.starts_with("TLS13_") => ["TLS", &name["TLS13".len()..]].concat(),
                name => name.to_owned(),
            },
            group: group.map_or(0, u16::from),
            group_name: group.and_then(|group| group.as_str()).unwrap_or(""),
            resumed: self.has_resumed(),
            alpn: common.alpn_protocol().unwrap_or_default().to_vec(),
            server_name: match &self.connection {
                Connection::Client(_) => None,
                Connection::Server(_) => {
                    let name =
                        self.context.as_ref().and_then(|context| context.server_name.clone());
                    Some(name.unwrap_or_default())
                }
            },
        }
    }

    /// Whether the peer's certificate has to be approved before anything else is sent: from when
    /// its handshake signature has been checked until the decision.
    fn approval_is_due(&mut self) -> bool {
        let common = self.connection.common();
        let is_tls12 = common.protocol_version() == Some(ProtocolVersion::TLSv1_2);
        // A server verifies the client's certificate before it has the signature.
        let is_verified =
            is_tls12 && self.report.is_some() && matches!(self.connection, Connection::Client(_));
        if self.approval == Approval::Pending && (is_verified || !common.is_handshaking()) {
            self.approval = Approval::Due;
        }
        self.approval == Approval::Due
    }

    /// Remembers the first failure: after it the engine answers nothing else.
    fn fail(&mut self, error: Error) -> Error {
        self.failed.get_or_insert(error).clone()
    }

    /// One state of rustls's machine.
    fn process(&mut self, sink: &mut dyn FnMut(&[u8]), want: Want<'_>) -> Result<Step> {
        if let Some(error) = &self.failed {
            return Err(error.clone());
        }
        self.whole += whole_records(&self.incoming.readable()[self.whole..]);
        // To write, rustls is shown only what it already knows; otherwise it would insist on
        // handing out received data first.
        let visible = match want {
            Want::Write(_) => self.retained,
            Want::Handshake | Want::Read => self.incoming.len(),
        };
        if self.approval == Approval::Pending {
            // Left by another connection whose verification panicked behind it.
            drop(verifier::take_report());
        }
        let input = &mut self.incoming.readable_mut()[..visible];
        let (connection, outgoing) = (&mut self.connection, &mut self.outgoing);
        let (discard, outcome) = context::enter(&mut self.context, || match connection {
            Connection::Client(connection) => {
                handle(connection.process_tls_records(input), outgoing, sink, want)
            }
            Connection::Server(connection) => {
                handle(connection.process_tls_records(input), outgoing, sink, want)
            }
        });
        self.discard(discard);
        let plaintext = match outcome {
            Ok(Outcome::Step(Step::Plaintext(count))) => count,
            _ => 0,
        };
        self.measure_sessions(discard.saturating_sub(plaintext));
        // What is shared has no connection of its own: it leaves what it knows with the thread.
        if let Some(report) = verifier::take_report() {
            self.report = Some(report);
        }
        // What rustls has ready then may be a part of a flight that the peer must not see: not even
        // an alert is let out of it.
        if let Some(error) = self.context.as_mut().and_then(|context| context.failure.take()) {
            self.outgoing.consume(self.outgoing.len());
            return Err(self.fail(error));
        }
        match outcome {
            Ok(Outcome::PeerClosed) => {
                self.peer_closed = true;
                Ok(Step::Again)
            }
            Ok(Outcome::Step(Step::Blocked)) => {
                if !matches!(want, Want::Write(_)) {
                    self.retained = self.whole;
                }
                Ok(Step::Blocked)
            }
            Ok(Outcome::Step(step)) => Ok(step),
            Err(Refusal::Rustls(error)) => {
                let rejection = self.report.as_ref().filter(|report| report.rejected);
                let rejection = rejection.and_then(|report| report.error.as_ref());
                let is_server = matches!(self.connection, Connection::Server(_));
                let explained = self
                    .context
                    .as_ref()
                    .and_then(|context| failure::explained(&error, context, is_server));
                let established = !self.connection.common().is_handshaking();
                let explained = failure::stray_record(&error).filter(|_| established).or(explained);
                let mut error = explained.unwrap_or_else(|| failure::from_rustls(error, rejection));
                if let Some(why) = self.context.as_ref().and_then(|context| context.unmet_demand) {
                    error = failure::with_unmet_demand(error, why);
                }
                self.queue_alert();
                self.forget_sessions(Failure::Protocol);
                Err(self.fail(error))
            }
            Err(Refusal::Ours(error)) => Err(self.fail(error)),
        }
    }

    /// What was learned is good from now on, if the handshake is complete and approved.
    fn settle_sessions(&mut self) {
        let resumed = self.has_resumed();
        if let Some(sessions) = sessions(&mut self.context)
            && self.approval == Approval::Decided
            && !self.connection.common().is_handshaking()
        {
            sessions.established(resumed);
        }
    }

    /// Says how many bytes the sessions can take that `processed` bytes of the peer's have brought.
    fn measure_sessions(&mut self, processed: usize) {
        let Some(sessions) = sessions(&mut self.context).filter(|sessions| sessions.has_news())
        else {
            return;
        };
        let chain = self.connection.common().peer_certificates().unwrap_or_default();
        let chain: usize = chain.iter().map(|certificate| certificate.len()).sum();
        sessions.learned_from(processed + chain);
    }

    fn forget_sessions(&mut self, failure: Failure) {
        if let Some(sessions) = sessions(&mut self.context) {
            sessions.failed(failure);
        }
    }

    fn write(&mut self, outbound: Outbound<'_>) -> Result<()> {
        loop {
            match self.process(&mut |_| {}, Want::Write(outbound))? {
                Step::Again | Step::Plaintext(_) => {}
                Step::Blocked => return Ok(()),
            }
        }
    }

    /// After an error rustls still has what it had ready, such as a server's hello, and behind it the
    /// alert. That may be a client's last flight: a certificate in it must not leave before the
    /// server's has been approved, and then nothing behind it does.
    fn queue_alert(&mut self) {
        let is_client = matches!(self.connection, Connection::Client(_));
        let is_secret = is_client && self.approval != Approval::Decided;
        // Asked once more than that, rustls would look at what it failed at, and fail again.
        while self.connection.common().wants_write() {
            let mut record = Buffer::new();
            let (input, sink) = (self.incoming.readable_mut(), &mut |_: &[u8]| {});
            let (discard, outcome) = match &mut self.connection {
                Connection::Client(connection) => {
                    let status = connection.process_tls_records(input);
                    handle(status, &mut record, sink, Want::Handshake)
                }
                Connection::Server(connection) => {
                    let status = connection.process_tls_records(input);
                    handle(status, &mut record, sink, Want::Handshake)
                }
            };
            self.discard(discard);
            if is_secret && !is_harmless(record.readable()) {
                return;
            }
            self.outgoing.push(record.readable());
            if !matches!(outcome, Ok(Outcome::Step(Step::Again))) {
                return;
            }
        }
    }

    fn discard(&mut self, count: usize) {
        self.incoming.consume(count);
        self.whole = self.whole.saturating_sub(count);
        self.retained = self.retained.saturating_sub(count);
    }
}

/// What was agreed in the handshake.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Session {
    /// The version's number on the wire, 0x0304 for TLS 1.3.
    pub protocol: u16,
    pub protocol_name: &'static str,
    pub suite: u16,
    pub suite_name: String,
    pub group: u16,
    pub group_name: &'static str,
    pub resumed: bool,
    pub alpn: Vec<u8>,
    /// The name that the client has asked for, empty if it did not say; `None` in a client.
    pub server_name: Option<String>,
}

/// As much as is buffered of the peer's ciphertext before the peer is made to wait. A handshake
/// message may be 64 KiB long and come in many small records, so the handshake needs more than the
/// data that follows.
const INCOMING_LIMIT: usize = 512 * 1024;

/// Room for two records: one that has begun, and as much as may be missing of it.
const FIRST_READ: usize = 2 * LARGEST_RECORD;
/// With what is made of it within the second-level cache of a processor.
const LARGEST_READ: usize = 128 * 1024;
const LARGEST_RECORD: usize = 18 * 1024 + 512;

fn sessions(context: &mut Option<Box<Context>>) -> Option<&mut Sessions> {
    context.as_mut()?.sessions.as_mut()
}

/// Whether a record tells no more of this side than that it ends the handshake: an alert, also under
/// the keys of TLS 1.3, or the dummy that stands in front of them. Nothing else there is so short.
fn is_harmless(record: &[u8]) -> bool {
    matches!(record, [ALERT | CHANGE_CIPHER_SPEC, ..] | [APPLICATION_DATA, _, _, 0, 19, ..])
}

/// The types of records.
const CHANGE_CIPHER_SPEC: u8 = 20;
const ALERT: u8 = 21;
const APPLICATION_DATA: u8 = 23;
