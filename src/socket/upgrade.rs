//! From plain to TLS: the handshake as the state machine sees it.
//!
//! From the call on nothing may reach the wire in clear: whatever fails, the connection is killed.

use std::os::fd::{AsFd, BorrowedFd};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use rustls::pki_types::{CertificateDer, UnixTime};

use super::hold::{kill_and_hold, kill_for_good, kill_number_and_hold};
use super::settings::{
    SSL_FLAG_ALLOW_TRUNCATION, SSL_FLAG_EXPLICIT_IO, SSL_FLAG_NO_RESUMPTION, SSL_FLAG_NONBLOCKING,
    SSL_FLAG_SERVER, SSL_FLAG_STRICT, SSL_FLAG_UNIX_PAIR, Settings,
};
use super::{
    Addresses, Channel, Phase, Role, Socket, Verdict, Verification, not_open, settings_only,
};
use crate::error::{Code, Error, Result};
use crate::io::deadline::Deadline;
use crate::io::explicit::{ExplicitSession, SessionOptions};
use crate::io::handshake::Handshake;
use crate::io::transport::{self, Interest, Wake};
use crate::log;
use crate::relay::{self, LinkOptions, Swapped};
use crate::sys::address::Address;
use crate::sys::identity::Identity;
use crate::sys::private_fd::PrivateFd;
use crate::sys::{process, socket_options, stream_socket, thread};
use crate::tls::config::{self, ClientInput};
use crate::tls::context::Context;
use crate::tls::engine::Engine;
use crate::tls::program::Program;
use crate::tls::server::{self, Demand, ServerInput};
use crate::verify::judged::judge;
use crate::verify::name::PeerName;
use crate::verify::report::{CAUSE_SIGNATURE, Report};
use crate::verify::verifier::{Mode, Subject, Verifier};

/// Whom a client's handshake is to reach.
#[derive(Clone, Copy)]
pub enum Whom<'a> {
    /// This name or that of the settings. They must not differ, and there has to be one.
    Named(Option<&'a str>),
    /// This name, or else that of the settings, or else the derived one, or else whomever the hook
    /// accepts.
    WindowsCe(Option<&'a PeerName>),
}

/// A handshake under way.
pub struct Pending {
    engine: Engine,
    transport: Arc<PrivateFd>,
    path: Path,
    deadline: Deadline,
    settings: Settings,
    peer: Option<Peer>,
}

/// What is needed to judge the peer.
struct Peer {
    verifier: Arc<Verifier>,
    whose: Whose,
}

enum Whose {
    /// `None`: Windows CE's nameless way.
    Server(Option<PeerName>),
    Client(Demand),
}

impl Peer {
    fn examine(&self, chain: &[CertificateDer<'_>]) -> Report {
        let name = match &self.whose {
            Whose::Server(name) => name.as_ref().map(PeerName::server_name),
            Whose::Client(_) => return self.verifier.examine(chain, Subject::Any, UnixTime::now()),
        };
        self.verifier.examine(chain, name.as_ref(), UnixTime::now())
    }
}

enum Path {
    Explicit,
    Transparent(Swapped),
}

impl Socket {
    /// Makes the handshake, or goes on with a non-blocking one.
    pub fn perform_handshake(&self, whom: Whom<'_>) -> Result<()> {
        let resumed = self.begin()?;
        let outcome = match resumed {
            Some(pending) => self.drive(*pending),
            None => self.prepare(whom).and_then(|pending| self.drive(pending)),
        };
        match outcome {
            Ok(()) => Ok(()),
            Err(error) if matches!(error.code, Code::WANT_READ | Code::WANT_WRITE) => Err(error),
            Err(error) if error.code == Code::FORKED => Err(error),
            Err(error) => {
                // Whatever the connection says then is only how that shows.
                let freed = matches!(self.state().phase, Phase::Closed);
                let error = if freed { freed_meanwhile() } else { error };
                self.fail(&error);
                Err(error)
            }
        }
    }

    /// An upgrade was asked for with arguments that cannot be read: that ends the connection too.
    pub fn refuse_upgrade(&self, error: Error) -> Error {
        match self.begin() {
            Ok(pending) => {
                drop(pending);
                self.fail(&error);
                error
            }
            Err(refusal) => refusal,
        }
    }

    /// TCP connect, then the handshake unless it is deferred.
    pub fn connect(&self, address: &Address, whom: Whom<'_>) -> Result<()> {
        let (settings, is_plain) = {
            let state = self.state();
            (state.settings.clone(), matches!(state.phase, Phase::Plain))
        };
        if !is_plain {
            return Err(Error::new(Code::STATE, "this handle has been connected before"));
        }
        let fd = self.program_end()?;
        self.state().let_go(fd.as_fd())?;
        if let Err(error) = connect_within(fd.as_fd(), address, settings.handshake_timeout) {
            // An attempt left under way would let the program's next send out in clear.
            stream_socket::disconnect(fd.as_fd());
            self.state().hold_unless_deferred(fd.as_fd())?;
            return Err(error);
        }
        drop(fd);
        if settings.has(super::settings::SSL_FLAG_DEFER_HANDSHAKE) {
            return Ok(());
        }
        self.perform_handshake(whom)
    }

    /// Claims the handshake for this thread. What is refused here changes nothing.
    fn begin(&self) -> Result<Option<Box<Pending>>> {
        let Role::Descriptor(number) = self.role else { return Err(settings_only()) };
        let mut state = self.state();
        match &state.phase {
            Phase::Plain => {
                // If the kernel does not tell, the upgrade begins, fails, and ends the connection.
                let is_another = Identity::look_at(number)
                    .is_ok_and(|found| found.is_none() || found != state.identity);
                if is_another {
                    return Err(Error::new(
                        Code::STATE,
                        format!("descriptor {number} was closed or now is something else"),
                    ));
                }
                state.phase = Phase::Handshaking(None);
                Ok(None)
            }
            Phase::Paused(_) => match std::mem::replace(&mut state.phase, Phase::Handshaking(None))
            {
                Phase::Paused(pending) => {
                    state.phase = Phase::Handshaking(Some(pending.transport()));
                    Ok(Some(pending))
                }
                _ => Err(Error::internal("phase changed under its lock")),
            },
            Phase::Open(_) => Err(Error::new(
                Code::STATE,
                "this socket already speaks TLS: go on with send and recv (nothing was changed)",
            )),
            phase => Err(not_open(phase)),
        }
    }

    fn prepare(&self, whom: Whom<'_>) -> Result<Pending> {
        let Role::Descriptor(number) = self.role else { return Err(settings_only()) };
        let settings = self.settings();
        let is_server = settings.has(SSL_FLAG_SERVER);
        // The descriptor is taken out of the program's reach before anything else can fail.
        let transport = Arc::new(self.private_duplicate()?);
        {
            let mut state = self.state();
            if matches!(state.phase, Phase::Closed) {
                return Err(freed_meanwhile());
            }
            state.phase = Phase::Handshaking(Some(transport.clone()));
        }
        let written = self.written_in_clear(&transport)?;
        let family = stream_socket::check_connected_stream(number)
            .map_err(|error| reset_before(&transport).unwrap_or(error))?;
        let addresses = Addresses {
            peer: Address::peer(transport.as_fd())?,
            local: Address::local(transport.as_fd())?,
        };
        self.state().addresses = Some(addresses);
        let path = if settings.has(SSL_FLAG_EXPLICIT_IO) {
            Path::Explicit
        } else {
            let kind = relay::pair_kind(family, is_server || settings.has(SSL_FLAG_UNIX_PAIR));
            let swapped = relay::swap_in(number, &transport, kind, written)?;
            self.move_to(swapped.program_identity());
            Path::Transparent(swapped)
        };
        socket_options::hold_nothing_back(transport.as_fd());
        let deadline = Deadline::after(settings.handshake_timeout);
        let (engine, peer) = if is_server {
            let demand = settings.demand();
            let setup = server::setup(&ServerInput {
                trust: &settings.trust,
                demand,
                mode: if settings.hook.is_some() { Mode::Provisional } else { Mode::Reject },
                strict: settings.has(SSL_FLAG_STRICT),
                identities: &settings.identities,
                parameters: &settings.parameters,
                resumption: !settings.has(SSL_FLAG_NO_RESUMPTION),
            })?;
            let peer = |verifier| Peer { verifier, whose: Whose::Client(demand) };
            let engine = Engine::server(&setup, self.context(&settings))?;
            (engine, setup.verifier.clone().map(peer))
        } else {
            let name = whom.name(&settings, self.derived_name())?;
            let mode = match (&name, &settings.hook) {
                (_, None) => Mode::Reject,
                (Some(_), Some(_)) => Mode::Provisional,
                (None, Some(_)) => Mode::Nameless,
            };
            let setup = config::client(&ClientInput {
                trust: &settings.trust,
                mode,
                strict: settings.has(SSL_FLAG_STRICT),
                identities: &settings.identities,
                auth_hook: settings
                    .auth_request
                    .as_ref()
                    .map(|hook| (hook.function, hook.argument)),
                signature_hook: settings
                    .signature
                    .as_ref()
                    .map(|hook| (hook.function, hook.argument)),
                parameters: &settings.parameters,
                resumption: !settings.has(SSL_FLAG_NO_RESUMPTION),
            })?;
            let name_for_tls = name.as_ref().map(PeerName::server_name);
            let engine = Engine::client(&setup, name_for_tls, self.context(&settings))?;
            let verifier = setup.domain.verifier.clone();
            (engine, Some(Peer { verifier, whose: Whose::Server(name) }))
        };
        let pending = Pending { engine, transport, path, deadline, settings, peer };
        if !is_server {
            handshake(&pending.transport, &pending.path, &pending.settings).refuse_early_data()?;
        }
        Ok(pending)
    }

    /// What rustls's callbacks have to know of this connection.
    fn context(&self, settings: &Settings) -> Context {
        Context {
            parameters: settings.parameters.clone(),
            program: Program::new(
                self.hook_thread.clone(),
                settings.auth_request.clone(),
                settings.signature.clone(),
            ),
            ..Context::default()
        }
    }

    fn drive(&self, mut pending: Pending) -> Result<()> {
        let Pending { engine, transport, path, deadline, settings, peer } = &mut pending;
        let handshake = handshake(transport, path, settings);
        let outcome =
            handshake.run(engine, deadline, &mut |engine| self.approve(engine, settings, peer));
        match outcome {
            Ok(()) => self.opened(pending),
            Err(error) if matches!(error.code, Code::WANT_READ | Code::WANT_WRITE) => {
                let mut state = self.state();
                if matches!(state.phase, Phase::Closed) {
                    return Err(freed_meanwhile());
                }
                state.phase = Phase::Paused(Box::new(pending));
                Err(error)
            }
            Err(error) => {
                if let Some(report) = pending.engine.take_report() {
                    self.keep_after_failure(report, &error);
                }
                if error.code == Code::FORKED {
                    // The hook has forked and returned in the child: everything here belongs to
                    // the parent, down to the descriptors' numbers.
                    std::mem::forget(pending);
                } else {
                    // Whoever sees the reset that is coming now finds out why.
                    self.errors.set_fatal(error.clone());
                }
                Err(error)
            }
        }
    }

    /// The decision on the peer's certificate, before our last flight leaves.
    fn approve(&self, engine: &mut Engine, settings: &Settings, peer: &Option<Peer>) -> Result<()> {
        let Some(peer) = peer else { return Ok(()) };
        let report = match (engine.take_report(), engine.peer_certificates()) {
            (Some(report), _) => report,
            (None, None | Some([])) if matches!(peer.whose, Whose::Client(_)) => {
                return no_certificate(peer);
            }
            // A resumed session: rustls does not look at the chain again, and dates pass.
            (None, chain) => peer.examine(chain.unwrap_or_default()),
        };
        let report = Arc::new(report);
        let flaw = report.error.clone();
        let verdict = if flaw.is_some() { Verdict::NotTrusted } else { Verdict::Trusted };
        self.keep(report.clone(), verdict);
        let Some(hook) = &settings.hook else {
            return flaw.map_or(Ok(()), Err);
        };
        let flags = if flaw.is_some() { SSL_CERT_FLAG_ISSUER_UNKNOWN } else { 0 };
        let epoch = process::epoch();
        self.hook_thread.store(thread::current(), Ordering::Release);
        // A copy: the program gets a pointer that can be written through.
        let leaf = report.chain.first().cloned().unwrap_or_default();
        let answer = judge(&report, || (hook.call)(&leaf, flags));
        self.hook_thread.store(0, Ordering::Release);
        if process::epoch() != epoch {
            return Err(Error::new(
                Code::FORKED,
                "the certificate hook has forked and returned in the child: the connection is the \
                 parent's",
            ));
        }
        match (answer, flaw) {
            (0, None) => Ok(()),
            (0, Some(flaw)) if settings.has(SSL_FLAG_STRICT) => Err(Error {
                text: format!("{}; SSL_FLAG_STRICT does not let the hook accept that", flaw.text),
                ..flaw
            }),
            (0, Some(flaw)) => {
                let note = format!("certificate accepted by the hook despite: {}", flaw.text);
                log::write(log::Level::Warning, &note);
                if let Some(verification) = &mut self.state().verification {
                    verification.verdict = Verdict::AcceptedByHook;
                }
                Ok(())
            }
            (answer, flaw) => Err(refused_by_hook(answer, flaw)),
        }
    }

    fn opened(&self, pending: Pending) -> Result<()> {
        let Pending { engine, transport, path, settings, .. } = pending;
        let session = engine.session();
        let allow_truncation = settings.has(SSL_FLAG_ALLOW_TRUNCATION);
        let note = format!("{} with {} established", session.protocol_name, session.suite_name);
        {
            let mut state = self.state();
            if matches!(state.phase, Phase::Closed) {
                return Err(freed_meanwhile());
            }
            let channel = match path {
                Path::Explicit => Channel::Explicit(Arc::new(ExplicitSession::new(
                    transport,
                    engine,
                    SessionOptions {
                        allow_truncation,
                        non_blocking: settings.has(SSL_FLAG_NONBLOCKING),
                    },
                ))),
                Path::Transparent(swapped) => Channel::Transparent(swapped.start(
                    transport,
                    engine,
                    LinkOptions {
                        allow_truncation,
                        close_timeout: settings.close_timeout,
                        errors: self.errors.clone(),
                    },
                )?),
            };
            state.session = Some(session);
            state.phase = Phase::Open(channel);
        }
        log::write(log::Level::Info, &note);
        Ok(())
    }

    /// The end of a connection whose upgrade failed: nothing leaves or arrives any more, through
    /// no duplicate and in no process.
    pub(super) fn fail(&self, error: &Error) {
        self.errors.set_fatal(error.clone());
        self.kill();
        // Last: this may call the program.
        log::write(log::Level::Error, &error.text);
    }

    fn kill(&self) {
        let (phase, identity) = {
            let mut state = self.state();
            let freed = matches!(state.phase, Phase::Closed);
            let next = if freed { Phase::Closed } else { Phase::Failed };
            (std::mem::replace(&mut state.phase, next), state.identity)
        };
        match &phase {
            Phase::Handshaking(Some(transport)) => {
                // One that the peer has reset is told of as such to whoever waits for it.
                return match self.errors.fatal().is_some_and(|error| error.code == Code::RESET) {
                    true => stream_socket::kill(transport.as_fd()),
                    false => kill_and_hold(transport.as_fd()),
                };
            }
            Phase::Paused(pending) => return stream_socket::kill(pending.transport.as_fd()),
            Phase::Open(Channel::Explicit(session)) => {
                return stream_socket::kill(session.transport());
            }
            // The relay finds the connection dead and resets the program's end.
            Phase::Open(Channel::Transparent(link)) => {
                return link.transport().iter().for_each(|fd| stream_socket::kill(fd.as_fd()));
            }
            Phase::Handshaking(None) | Phase::Plain | Phase::Failed | Phase::Closed => {}
        }
        let (Role::Descriptor(number), Some(identity)) = (self.role, identity) else { return };
        if matches!(phase, Phase::Handshaking(None) | Phase::Plain) {
            // Perhaps it never was connected.
            kill_number_and_hold(number, identity);
        } else if Identity::of_number(number) == Some(identity) {
            // The handle has been freed.
            stream_socket::kill_number(number);
        }
    }

    /// In a forked child, where the lock may be held by a thread that does not exist here.
    pub(super) fn kill_if_plain(&self) {
        let Ok(state) = self.state.try_lock() else { return };
        let (Role::Descriptor(number), Some(identity)) = (self.role, state.identity) else {
            return;
        };
        if matches!(state.phase, Phase::Plain) {
            kill_for_good(number, identity);
        }
    }

    /// For a handshake that ended before the certificate was to be approved.
    fn keep_after_failure(&self, mut report: Report, error: &Error) {
        let rejected = report.error.as_ref().is_some_and(|flaw| flaw.text == error.text);
        if !rejected && error.code == Code::BAD_SIG {
            // The chain may be in order: the peer does not hold the key that it speaks of.
            report.causes |= CAUSE_SIGNATURE;
            report.error = Some(match report.error.take() {
                Some(flaw) => Error { text: format!("{}; {}", error.text, flaw.text), ..flaw },
                None => error.clone(),
            });
        }
        let verdict = if report.error.is_some() { Verdict::NotTrusted } else { Verdict::Trusted };
        self.keep(Arc::new(report), verdict);
    }

    fn keep(&self, report: Arc<Report>, verdict: Verdict) {
        self.state().verification = Some(Verification { report, verdict });
    }

    fn private_duplicate(&self) -> Result<PrivateFd> {
        let fd = self.program_end()?;
        PrivateFd::adopt(fd)
    }
}

impl Pending {
    pub fn transport(&self) -> Arc<PrivateFd> {
        self.transport.clone()
    }

    /// Gives the handshake up and kills the connection.
    pub fn abort(self) {
        stream_socket::kill(self.transport.as_fd());
    }
}

fn handshake<'a>(transport: &'a PrivateFd, path: &'a Path, settings: &Settings) -> Handshake<'a> {
    Handshake {
        transport: transport.as_fd(),
        cancel: match path {
            Path::Explicit => None,
            Path::Transparent(swapped) => swapped.library_end(),
        },
        blocking: !settings.has(SSL_FLAG_NONBLOCKING),
        limit: settings.handshake_timeout,
        is_server: settings.has(SSL_FLAG_SERVER),
    }
}

/// The one certificate flag of Windows CE: set if anything is wrong.
pub(crate) const SSL_CERT_FLAG_ISSUER_UNKNOWN: u32 = 0x1;

impl Whom<'_> {
    /// `None`: nobody has named the peer, and the hook decides about it.
    fn name(self, settings: &Settings, derived: Option<PeerName>) -> Result<Option<PeerName>> {
        let (given, may_be_nameless) = match self {
            Self::Named(host) => (host.map(PeerName::parse).transpose()?, false),
            Self::WindowsCe(name) => (name.cloned(), settings.hook.is_some()),
        };
        let derived = derived.filter(|_| matches!(self, Self::WindowsCe(_)));
        match (given, &settings.peer_name) {
            (Some(given), Some(set)) if given != *set && matches!(self, Self::Named(_)) => {
                Err(Error::new(
                    Code::INVALID,
                    format!(
                        "two different peer names: \"{}\" for this handshake, \"{}\" by \
                         ssl_set_peername",
                        given.as_str(),
                        set.as_str()
                    ),
                ))
            }
            (Some(given), _) => Ok(Some(given)),
            (None, Some(set)) => Ok(Some(set.clone())),
            (None, None) if derived.is_some() => Ok(derived),
            (None, None) if may_be_nameless => Ok(None),
            (None, None) if matches!(self, Self::WindowsCe(_)) => Err(Error::new(
                Code::NO_NAME,
                "no peer name and no certificate hook: give the name that this connection is meant \
                 to reach with SO_SSL_SET_PEERNAME or SO_SSL_PERFORM_HANDSHAKE, or set a hook that \
                 decides; without either any certificate would do",
            )),
            (None, None) => Err(Error::new(
                Code::NO_NAME,
                "no peer name: say whom this connection is meant to reach, in \
                 ssl_perform_handshake or ssl_set_peername; without it any certificate would do",
            )),
        }
    }
}

fn connect_within(fd: BorrowedFd<'_>, address: &Address, limit: Option<Duration>) -> Result<()> {
    if address.connect(fd)? {
        return Ok(());
    }
    let interest = Interest { read: false, write: true };
    if transport::wait(fd, interest, None, &Deadline::after(limit))? == Wake::TimedOut {
        return Err(Error::new(
            Code::TIMEOUT,
            format!(
                "no TCP connection within {} ms (ssl_set_timeout changes the limit)",
                milliseconds(limit)
            ),
        ));
    }
    match rustix::net::sockopt::socket_error(fd) {
        Ok(Ok(())) => Ok(()),
        Ok(Err(errno)) | Err(errno) => Err(Error::system("connect", errno.raw_os_error())),
    }
}

fn milliseconds(limit: Option<Duration>) -> u128 {
    limit.unwrap_or_default().as_millis()
}

/// A connection that the peer has reset looks like one that never was, but for its pending error.
fn reset_before(transport: &PrivateFd) -> Option<Error> {
    let Ok(Err(errno)) = rustix::net::sockopt::socket_error(transport) else { return None };
    (errno == rustix::io::Errno::CONNRESET).then(|| Error {
        sys_errno: errno.raw_os_error(),
        ..Error::new(
            Code::RESET,
            "peer had reset the connection before the handshake was asked for",
        )
    })
}

/// Of a client: no hook can let in who has shown nothing.
fn no_certificate(peer: &Peer) -> Result<()> {
    match peer.whose {
        Whose::Client(Demand::Asked | Demand::Nothing) => Ok(()),
        Whose::Client(Demand::Required) | Whose::Server(_) => {
            Err(Error::new(Code::NO_CERT, "peer sent no certificate"))
        }
    }
}

fn freed_meanwhile() -> Error {
    Error::new(Code::STATE, "the handle was freed during the handshake")
}

fn refused_by_hook(answer: i32, flaw: Option<Error>) -> Error {
    let reason = flaw.map_or(String::new(), |flaw| format!(" ({})", flaw.text));
    Error::from_hook(
        answer,
        format!("the program's certificate hook refused the certificate with {answer}{reason}"),
    )
}
