//! From plain to TLS: the handshake as the state machine sees it.
//!
//! From the call on nothing may reach the wire in clear: whatever fails, the connection is killed.

use std::os::fd::{AsFd, BorrowedFd};
use std::sync::Arc;
use std::time::Duration;

use super::approval::{Peer, Whose};
use super::hold::{kill_and_hold, kill_for_good, kill_number_and_hold};
use super::outcome::{self, Contested, none_to_cancel};
use super::resumption::{self, Source};
use super::settings::{
    SSL_FLAG_ALLOW_TRUNCATION, SSL_FLAG_EXPLICIT_IO, SSL_FLAG_NO_RESUMPTION, SSL_FLAG_NONBLOCKING,
    SSL_FLAG_SERVER, SSL_FLAG_SOLE_DESCRIPTOR, SSL_FLAG_STRICT, SSL_FLAG_UNIX_PAIR, Settings,
};
use super::{Addresses, Channel, Phase, Role, Socket, State, not_open, settings_only};
use crate::error::{Category, Code, Error, Result};
use crate::io::deadline::Deadline;
use crate::io::explicit::{ExplicitSession, SessionOptions};
use crate::io::handshake::Handshake;
use crate::io::transport::{self, Interest, Wake};
use crate::log;
use crate::relay::{self, LinkOptions, Swapped, Where};
use crate::sync::MutexGuard;
use crate::sys::address::Address;
use crate::sys::identity::Identity;
use crate::sys::private_fd::PrivateFd;
use crate::sys::{socket_options, stream_socket};
use crate::tls::config::{ClientInput, ClientSetup};
use crate::tls::context::Context;
use crate::tls::engine::Engine;
use crate::tls::program::Program;
use crate::tls::server::{self, ServerInput};
use crate::verify::name::PeerName;
use crate::verify::report::Report;
use crate::verify::verifier::Mode;

/// Whom a client's handshake is to reach.
#[derive(Clone, Copy)]
pub enum Whom<'a> {
    /// This name or that of the settings. They must not differ, and there has to be one.
    Named(Option<&'a str>),
    /// This name, or else that of the settings, or else the derived one, or else whomever the hook
    /// accepts.
    WindowsCe(Option<&'a PeerName>),
}

/// A handshake that this thread makes.
enum Begun {
    /// On this duplicate of the descriptor.
    New(Result<PrivateFd>),
    Again(Box<Pending>),
}

/// A handshake under way.
pub struct Pending {
    engine: Engine,
    transport: Arc<PrivateFd>,
    path: Path,
    deadline: Deadline,
    settings: Arc<Settings>,
    peer: Option<Peer>,
    /// In the client role, if the peer has a name.
    client: Option<(ClientSetup, PeerName)>,
    follows_another: bool,
    /// What the certificate hook was asked about and has not answered yet.
    asked: Option<Arc<Report>>,
}

enum Path {
    Explicit,
    Transparent(Swapped),
}

impl Socket {
    /// Makes the handshake, or goes on with a non-blocking one.
    pub fn perform_handshake(&self, whom: Whom<'_>) -> Result<()> {
        let outcome = match self.begin()? {
            Begun::Again(pending) => self.drive(*pending),
            Begun::New(transport) => {
                self.prepare(transport, whom).and_then(|pending| self.drive(pending))
            }
        };
        match outcome {
            Ok(()) => Ok(()),
            Err(error) if would_block(&error) || error.code == Code::FORKED => Err(error),
            // Whatever the connection says then is only how that shows.
            Err(_) if matches!(self.state().phase, Phase::Closed) => {
                let error = outcome::freed_meanwhile();
                self.fail(&error);
                Err(error)
            }
            Err(error) => Err(self.fail(&error)),
        }
    }

    /// Ends a handshake that is under way. What is refused here changes nothing.
    pub fn cancel_handshake(&self) -> Result<()> {
        let Role::Descriptor(_) = self.role else { return Err(settings_only()) };
        let phase = outcome::cancel(self.state(), &self.errors, |state| self.kill(state))?;
        if let Some(Phase::Paused(pending)) = phase {
            // Otherwise the thread inside says so.
            drop(pending);
            log::write(log::Level::Error, &outcome::cancelled().text);
        }
        Ok(())
    }

    /// An upgrade was asked for with arguments that cannot be read: that ends the connection too.
    pub fn refuse_upgrade(&self, error: Error) -> Error {
        match self.begin() {
            Ok(begun) => {
                drop(begun);
                self.fail(&error)
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
    fn begin(&self) -> Result<Begun> {
        let Role::Descriptor(number) = self.role else { return Err(settings_only()) };
        let mut state = self.state();
        match &state.phase {
            Phase::Plain => {
                // If there is none to be had, the upgrade begins, fails, and ends the connection.
                let transport = match state.identity {
                    Some(identity) => PrivateFd::duplicate_if(number, identity).transpose(),
                    None => None,
                };
                let Some(transport) = transport else {
                    return Err(Error::new(
                        Code::STATE,
                        format!("descriptor {number} was closed or now is something else"),
                    ));
                };
                state.phase = Phase::Handshaking(None);
                Ok(Begun::New(transport))
            }
            Phase::Paused(_) => match std::mem::replace(&mut state.phase, Phase::Handshaking(None))
            {
                Phase::Paused(pending) => {
                    state.phase = Phase::Handshaking(Some(pending.transport()));
                    Ok(Begun::Again(pending))
                }
                _ => Err(Error::internal("phase changed under its lock")),
            },
            Phase::Open(_) => Err(Error::new(
                Code::STATE,
                "this socket already speaks TLS: go on with send and recv (nothing was changed)",
            )),
            phase => Err(self
                .errors
                .fatal()
                .filter(|error| error.code == Code::CANCELLED)
                .unwrap_or_else(|| not_open(phase))),
        }
    }

    /// The state for the next step of the handshake that this thread makes, unless another one has
    /// ended it.
    pub(super) fn next_step(&self) -> Result<MutexGuard<'_, State>> {
        outcome::next_step(self.state(), &self.errors)
    }

    fn prepare(&self, transport: Result<PrivateFd>, whom: Whom<'_>) -> Result<Pending> {
        let Role::Descriptor(number) = self.role else { return Err(settings_only()) };
        let (settings, source) = {
            let state = self.state();
            (state.settings.clone(), state.session_from.clone())
        };
        let is_server = settings.has(SSL_FLAG_SERVER);
        // The descriptor is taken out of the program's reach before anything else can fail.
        let transport = Arc::new(transport?);
        self.next_step()?.phase = Phase::Handshaking(Some(transport.clone()));
        let written = self.written_in_clear(&transport)?;
        // Only a connection has a peer. That it is a stream socket was seen before.
        let peer = Address::peer(transport.as_fd()).map_err(|error| {
            let refused = stream_socket::check_connected_stream(number).err().unwrap_or(error);
            reset_before(&transport).unwrap_or(refused)
        })?;
        let local = Address::local(transport.as_fd())?;
        self.state().addresses = Some(Addresses { peer, local });
        let path = if settings.has(SSL_FLAG_EXPLICIT_IO) {
            Path::Explicit
        } else {
            let family = stream_socket::check_connected_stream(number)?;
            let kind = relay::pair_kind(family, is_server || settings.has(SSL_FLAG_UNIX_PAIR));
            let place = match settings.has(SSL_FLAG_SOLE_DESCRIPTOR) {
                true => Where::Sole,
                false => Where::Anywhere,
            };
            let swapped = relay::swap_in(number, &transport, place, kind, written)?;
            self.move_to(swapped.program_identity());
            Path::Transparent(swapped)
        };
        socket_options::hold_nothing_back(transport.as_fd());
        let deadline = Deadline::after(settings.handshake_timeout);
        let source = source.as_deref();
        resumption::check(&settings, source)?;
        let mut client = None;
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
            let name = whom.name(&settings, self.derived_name(), source.map(Source::name))?;
            let name = resumption::same_name(name, source)?;
            let mode = match (&name, &settings.hook) {
                (_, None) => Mode::Reject,
                (Some(_), Some(_)) => Mode::Provisional,
                (None, Some(_)) => Mode::Nameless,
            };
            let setup = settings.setup.client(&ClientInput {
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
                same_as: source.map(Source::domain),
            })?;
            let sessions = resumption::sessions(&setup, &settings, source, name.as_ref());
            let context = Context { sessions, ..self.context(&settings) };
            let name_for_tls = name.as_ref().map(PeerName::server_name).cloned();
            let engine = Engine::client(&setup, name_for_tls, context)?;
            resumption::check_offer(&engine, &settings, source, name.as_ref())?;
            let verifier = setup.domain.verifier.clone();
            client = name.clone().map(|name| (setup, name));
            (engine, Some(Peer { verifier, whose: Whose::Server(name) }))
        };
        let asked = None;
        let follows_another = source.is_some();
        let pending = Pending {
            engine,
            transport,
            path,
            deadline,
            settings,
            peer,
            client,
            follows_another,
            asked,
        };
        if !is_server {
            handshake(&pending.transport, &pending.path, &pending.settings, follows_another)
                .refuse_early_data()?;
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
        let follows_another = pending.follows_another;
        let Pending { engine, transport, path, deadline, settings, peer, asked, .. } = &mut pending;
        let handshake = handshake(transport, path, settings, follows_another);
        let outcome = handshake.run(engine, deadline, &mut |engine, deadline| {
            self.approve(engine, deadline, settings, peer, asked)
        });
        match outcome {
            Ok(()) => self.opened(pending),
            Err(error) if would_block(&error) => {
                self.next_step()?.phase = Phase::Paused(Box::new(pending));
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
                    pending.engine.gave_up();
                    // Whoever sees the reset that is coming now finds out why.
                    self.errors.set_fatal(error.clone());
                }
                Err(error)
            }
        }
    }

    fn opened(&self, pending: Pending) -> Result<()> {
        let Pending { mut engine, transport, path, settings, client, .. } = pending;
        engine.release_memory();
        let session = engine.session();
        let resumable = client.map(|(setup, name)| Source::new(setup, &mut engine, name));
        let allow_truncation = settings.has(SSL_FLAG_ALLOW_TRUNCATION);
        let note = log::is_on(log::Level::Info)
            .then(|| format!("{} with {} established", session.protocol_name, session.suite_name));
        {
            let mut state = self.next_step()?;
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
            state.resumable = resumable;
            state.session_from = None;
            state.phase = Phase::Open(channel);
        }
        if let Some(note) = note {
            log::write(log::Level::Info, &note);
        }
        Ok(())
    }

    /// The end of a connection whose upgrade failed: nothing leaves or arrives any more, through
    /// no duplicate and in no process. Answers why it failed: another thread may have cancelled it
    /// first.
    pub(super) fn fail(&self, error: &Error) -> Error {
        let kill = |state: &mut State| self.kill(state);
        let (error, phase) = outcome::fail(error, &self.errors, || self.state(), kill);
        drop(phase);
        // Last: this may call the program.
        log::write(log::Level::Error, &error.text);
        error
    }

    /// Under the lock: whoever finds that the handshake has failed finds the connection dead. What
    /// it answers is to be dropped without the lock.
    fn kill(&self, state: &mut State) -> Phase {
        let freed = matches!(state.phase, Phase::Closed);
        let next = if freed { Phase::Closed } else { Phase::Failed };
        let phase = std::mem::replace(&mut state.phase, next);
        let (Role::Descriptor(number), Some(identity)) = (self.role, state.identity) else {
            return phase;
        };
        match &phase {
            // One that the peer has reset is told of as such to whoever waits for it.
            Phase::Handshaking(Some(transport)) => {
                match self.errors.fatal().is_some_and(|error| error.code == Code::RESET) {
                    true => stream_socket::kill(transport.as_fd()),
                    false => kill_and_hold(transport.as_fd()),
                }
            }
            Phase::Paused(pending) => stream_socket::kill(pending.transport.as_fd()),
            Phase::Open(Channel::Explicit(session)) => stream_socket::kill(session.transport()),
            // The relay finds the connection dead and resets the program's end.
            Phase::Open(Channel::Transparent(link)) => {
                link.transport().iter().for_each(|fd| stream_socket::kill(fd.as_fd()));
            }
            // Perhaps it never was connected.
            Phase::Handshaking(None) | Phase::Plain => kill_number_and_hold(number, identity),
            Phase::Closed if Identity::of_number(number) == Some(identity) => {
                stream_socket::kill_number(number);
            }
            Phase::Closed | Phase::Failed => {}
        }
        phase
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
}

impl Contested for State {
    type Remains = Phase;

    fn is_within_reach(&self) -> Result<bool> {
        match &self.phase {
            Phase::Handshaking(transport) => Ok(transport.is_some()),
            Phase::Paused(_) => Ok(true),
            phase @ Phase::Closed => Err(not_open(phase)),
            Phase::Open(_) => Err(none_to_cancel("the handshake is complete")),
            Phase::Failed => Err(none_to_cancel("the handshake has failed already")),
            Phase::Plain => Err(none_to_cancel("none has been asked for")),
        }
    }

    fn was_freed(&self) -> bool {
        matches!(self.phase, Phase::Closed)
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

fn handshake<'a>(
    transport: &'a PrivateFd,
    path: &'a Path,
    settings: &Settings,
    follows_another: bool,
) -> Handshake<'a> {
    Handshake {
        transport: transport.as_fd(),
        cancel: match path {
            Path::Explicit => None,
            Path::Transparent(swapped) => swapped.library_end(),
        },
        blocking: !settings.has(SSL_FLAG_NONBLOCKING),
        limit: settings.handshake_timeout,
        is_server: settings.has(SSL_FLAG_SERVER),
        follows_another,
    }
}

impl Whom<'_> {
    /// `None`: nobody has named the peer, and the hook decides about it.
    fn name(
        self,
        settings: &Settings,
        derived: Option<PeerName>,
        resumed: Option<&PeerName>,
    ) -> Result<Option<PeerName>> {
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
            (None, None) if resumed.is_some() => Ok(resumed.cloned()),
            (None, None) if derived.is_some() => Ok(derived),
            (None, None) if may_be_nameless => Ok(None),
            (None, None) if matches!(self, Self::WindowsCe(_)) => Err(Error::new(
                Code::NO_NAME,
                "no peer name and no certificate hook: give the name that this connection is meant \
                 to reach with SO_SSL_SET_PEERNAME or SO_SSL_PERFORM_HANDSHAKE, or set a hook that \
                 decides; without either any certificate would do",
            )),
            (None, None) if !settings.identities.is_empty() => Err(Error::new(
                Code::NO_NAME,
                "no peer name: is this the server? Then set SSL_FLAG_SERVER. A client says whom \
                 this connection is meant to reach, in ssl_perform_handshake or ssl_set_peername; \
                 without it any certificate would do",
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

fn would_block(error: &Error) -> bool {
    error.code.category() == Category::WouldBlock
}
