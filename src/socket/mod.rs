//! A socket of the library: settings, state machine, and the session once there is one.
//!
//! ```text
//! Plain -> Handshaking -> Open -> Closed
//!               \-> Failed
//! ```
//!
//! `Failed` is terminal: the connection has been killed, so that what a program sends without
//! having looked at the result cannot leave in clear.

mod approval;
mod hold;
mod outcome;
mod registry;
mod resumption;
pub mod settings;
mod upgrade;
mod verification;

use std::os::fd::{AsFd, OwnedFd, RawFd};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use approval::Validation;
use hold::Secure;
pub use registry::{
    by_descriptor, default_trust, defaults, end_process, find, flush_all, free, new_settings, open,
    open_secure, refuse_upgrade_in_child, refuse_upgrade_of, set_relay_threads,
};
use resumption::Source;
use settings::Settings;
use upgrade::Pending;
pub use upgrade::Whom;

use crate::error::{Code, Error, ErrorSlot, Result};
use crate::handle::Token;
use crate::io::deadline::Deadline;
use crate::io::explicit::ExplicitSession;
use crate::io::transport::{self, CallOptions};
use crate::relay::{self, Link};
use crate::sync::{Arc, Mutex, MutexGuard, PoisonError};
use crate::sys::address::Address;
use crate::sys::identity::{Identity, try_duplicate_if};
use crate::sys::private_fd::PrivateFd;
use crate::sys::{socket_options, stream_socket, thread};
use crate::tls::engine::Session;
use crate::verify::name::PeerName;
use crate::verify::report::Report;

pub struct Socket {
    token: Token,
    role: Role,
    errors: Arc<ErrorSlot>,
    state: Mutex<State>,
    /// The thread that is inside a hook of this socket, or 0.
    hook_thread: Arc<AtomicU64>,
}

/// How the session's bytes travel.
#[derive(Clone)]
pub enum Channel {
    Explicit(Arc<ExplicitSession>),
    Transparent(Arc<Link>),
}

/// What is known of the peer's certificate.
#[derive(Clone)]
pub struct Verification {
    pub report: Arc<Report>,
    pub verdict: Verdict,
}

/// The values of `SSL_VERDICT_*`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u32)]
pub enum Verdict {
    Trusted = 1,
    NotTrusted = 2,
    /// The hook said 0 although something is wrong.
    AcceptedByHook = 3,
}

#[derive(Clone, Copy)]
enum Role {
    Descriptor(RawFd),
    /// Takes settings only; later sockets start with a copy.
    Defaults,
    /// Takes settings only.
    Settings,
}

struct State {
    phase: Phase,
    /// Shared with the defaults until something is changed, and with the handshake.
    settings: Arc<Settings>,
    secure: Secure,
    /// The name that the peer's address was found by, as far as is known: Windows CE's way uses it
    /// where the program has named nobody.
    derived_name: Option<PeerName>,
    /// The address of a secure socket before it is connected: the kernel's own word for it changes
    /// while it is held.
    bound: Option<Address>,
    /// What the descriptor refers to: the connection itself, after a swap the inner end.
    identity: Option<Identity>,
    session: Option<Session>,
    /// Whose session the handshake is to resume.
    session_from: Option<Arc<Source>>,
    /// What another handshake needs to resume this connection's session.
    resumable: Option<Arc<Source>>,
    verification: Option<Verification>,
    validation: Validation,
    addresses: Option<Addresses>,
}

/// The real connection's, remembered at the upgrade.
#[derive(Clone)]
struct Addresses {
    peer: Address,
    local: Address,
}

enum Phase {
    Plain,
    /// A thread is inside the handshake. The transport is there for whoever has to stop it.
    Handshaking(Option<Arc<PrivateFd>>),
    /// Between two calls of a non-blocking handshake.
    Paused(Box<Pending>),
    Open(Channel),
    Failed,
    Closed,
}

impl Socket {
    fn new(token: Token, role: Role, identity: Option<Identity>, settings: Arc<Settings>) -> Self {
        Self {
            token,
            role,
            errors: Arc::default(),
            state: Mutex::new(State {
                phase: Phase::Plain,
                settings,
                secure: Secure::default(),
                derived_name: None,
                bound: None,
                identity,
                session: None,
                session_from: None,
                resumable: None,
                verification: None,
                validation: Validation::default(),
                addresses: None,
            }),
            hook_thread: Arc::default(),
        }
    }

    pub fn token(&self) -> Token {
        self.token
    }

    pub fn errors(&self) -> &ErrorSlot {
        &self.errors
    }

    /// Inside a hook a thread may only look.
    pub fn refuse_inside_hook(&self) -> Result<()> {
        let inside = self.hook_thread.load(Ordering::Acquire);
        if inside != 0 && inside == thread::current() {
            return Err(Error::new(
                Code::REENTRANT,
                "inside a hook only the ssl_get_* functions may be called for the same handle: answer \
                 by the hook's return value",
            ));
        }
        Ok(())
    }

    /// A call on this handle panicked: what it left half done must not carry data.
    pub fn poison(&self, error: &Error) {
        self.fail(error);
    }

    /// Changes settings; refused once the handshake has begun.
    pub fn configure(&self, change: impl FnOnce(&mut Settings) -> Result<()>) -> Result<()> {
        self.change_state(|state| change(Settings::changeable(&mut state.settings)))
    }

    fn change_state(&self, change: impl FnOnce(&mut State) -> Result<()>) -> Result<()> {
        let mut state = self.state();
        if !matches!(state.phase, Phase::Plain) {
            return Err(Error::new(
                Code::STATE,
                "settings can only be changed before the handshake: nothing was changed",
            ));
        }
        change(&mut state)
    }

    pub fn settings(&self) -> Arc<Settings> {
        self.state().settings.clone()
    }

    /// For a forked child, where another thread of the parent may have held the lock.
    fn settings_if_free(&self) -> Option<Arc<Settings>> {
        self.state.try_lock().ok().map(|state| state.settings.clone())
    }

    /// Whom the connection's address stood for when the program looked it up. Comes after every
    /// name that the program gives, and only in [`Whom::WindowsCe`].
    pub fn set_derived_name(&self, name: Option<PeerName>) {
        self.state().derived_name = name;
    }

    pub fn derived_name(&self) -> Option<PeerName> {
        self.state().derived_name.clone()
    }

    /// To be called before the program's end is closed: whether the library closes it later, so that
    /// nothing is lost of what was sent.
    pub fn closes_later(&self, number: RawFd) -> bool {
        let state = self.state();
        match (&state.phase, state.identity) {
            (Phase::Open(Channel::Transparent(_)), Some(identity)) => {
                relay::close_later(number, identity)
            }
            _ => false,
        }
    }

    /// What was agreed; an error before the end of the handshake.
    pub fn session(&self) -> Result<(Session, Channel)> {
        let state = self.state();
        match (&state.session, &state.phase) {
            (Some(session), Phase::Open(channel)) => Ok((session.clone(), channel.clone())),
            _ => Err(not_open(&state.phase)),
        }
    }

    /// What verification found; an error as long as no certificate has been seen.
    pub fn verification(&self) -> Result<Verification> {
        self.state().verification.clone().ok_or_else(|| {
            Error::new(Code::STATE, "no certificate of the peer has been seen on this handle")
        })
    }

    pub fn send(&self, data: &[u8], options: CallOptions) -> Result<usize> {
        match self.open_channel()? {
            Channel::Explicit(session) => {
                session.send(data, options).inspect_err(|error| self.note_session_error(error))
            }
            Channel::Transparent(_) => {
                let end = self.program_end()?;
                let options = self.with_flags(options);
                transport::send_plain(end.as_fd(), data, options.dont_wait)
                    .map_err(|error| self.reason_for(error))
            }
        }
    }

    pub fn receive(&self, buffer: &mut [u8], options: CallOptions) -> Result<usize> {
        let outcome = match self.open_channel()? {
            Channel::Explicit(session) => {
                let outcome = session.receive(buffer, options);
                outcome.inspect_err(|error| self.note_session_error(error))
            }
            Channel::Transparent(_) => {
                let end = self.program_end()?;
                match transport::receive_plain(end.as_fd(), buffer, self.with_flags(options)) {
                    // The kernel tells of a reset once; afterwards it says end of file.
                    Ok(0) => self.errors.fatal().map_or(Ok(0), Err),
                    outcome => outcome.map_err(|error| self.reason_for(error)),
                }
            }
        };
        outcome.map_err(|error| match error.sys_errno {
            // It may be a send that met the reset first. No recv fails like that.
            libc::EPIPE => Error { sys_errno: libc::ECONNRESET, ..error },
            _ => error,
        })
    }

    /// How many bytes can be received without waiting for the peer.
    pub fn pending(&self) -> Result<usize> {
        match self.open_channel()? {
            Channel::Explicit(session) => {
                session.pending().inspect_err(|error| self.note_session_error(error))
            }
            Channel::Transparent(_) => {
                Ok(socket_options::readable_bytes(self.program_end()?.as_fd())? as usize)
            }
        }
    }

    /// `read`, `write`: which directions to end, as `shutdown(2)` would.
    pub fn shut_down(&self, read: bool, write: bool) -> Result<()> {
        match self.open_channel()? {
            Channel::Explicit(session) => {
                if read {
                    session.shut_down_read();
                }
                if write {
                    session.shut_down_write(self.settings().close_timeout)?;
                }
                Ok(())
            }
            Channel::Transparent(_) => {
                let how = match (read, write) {
                    (true, true) => rustix::net::Shutdown::Both,
                    (true, false) => rustix::net::Shutdown::Read,
                    _ => rustix::net::Shutdown::Write,
                };
                rustix::net::shutdown(self.program_end()?, how)
                    .map_err(|errno| Error::system("shut down", errno.raw_os_error()))
            }
        }
    }

    /// A duplicate of the real connection, for the caller to close.
    pub fn transport(&self) -> Result<OwnedFd> {
        let state = self.state();
        let duplicate = match &state.phase {
            Phase::Open(Channel::Explicit(session)) => session.transport().try_clone_to_owned(),
            Phase::Open(Channel::Transparent(link)) => {
                let transport = link.transport().ok_or_else(connection_over)?;
                transport.as_fd().try_clone_to_owned()
            }
            Phase::Paused(pending) => pending.transport().as_fd().try_clone_to_owned(),
            Phase::Handshaking(Some(transport)) => transport.as_fd().try_clone_to_owned(),
            Phase::Plain => {
                drop(state);
                return self.program_end();
            }
            Phase::Handshaking(None) | Phase::Failed | Phase::Closed => {
                return Err(not_open(&state.phase));
            }
        };
        duplicate.map_err(|error| {
            Error::system("duplicate the connection", error.raw_os_error().unwrap_or(0))
        })
    }

    /// The real connection's address, whatever the descriptor's own has become.
    pub fn address(&self, peer: bool) -> Result<Address> {
        if let Some(addresses) = &self.state().addresses {
            return Ok(if peer { addresses.peer.clone() } else { addresses.local.clone() });
        }
        let end = self.program_end()?;
        if peer { Address::peer(end.as_fd()) } else { Address::local(end.as_fd()) }
    }

    /// Whether accepted data still waits in explicit mode.
    pub fn is_busy(&self) -> bool {
        match &self.state().phase {
            Phase::Open(Channel::Explicit(session)) => session.is_busy(),
            _ => false,
        }
    }

    /// The session, if it is one in explicit mode, and how long the peer's last words are awaited.
    fn explicit_session(&self) -> Option<(Arc<ExplicitSession>, Option<Duration>)> {
        let state = self.state();
        match &state.phase {
            Phase::Open(Channel::Explicit(session)) => {
                Some((session.clone(), state.settings.close_timeout))
            }
            _ => None,
        }
    }

    /// Waits until what was accepted in explicit mode has left.
    pub fn flush_explicit(&self, deadline: &Deadline) {
        let Ok(Channel::Explicit(session)) = self.open_channel() else { return };
        // A broken connection shows at the next call that sends or receives.
        let _ = session.flush(deadline);
    }

    /// The handle is gone. An upgraded descriptor goes on; an explicit session and a handshake in
    /// progress end.
    fn close(&self) {
        let (phase, close_timeout) = {
            let mut state = self.state();
            let phase = std::mem::replace(&mut state.phase, Phase::Closed);
            (phase, state.settings.close_timeout)
        };
        match phase {
            Phase::Open(Channel::Explicit(session)) => session.close(close_timeout),
            Phase::Handshaking(Some(transport)) => {
                // The thread inside finds the connection dead, and says why.
                stream_socket::kill(transport.as_fd());
            }
            Phase::Paused(pending) => pending.abort(),
            Phase::Open(Channel::Transparent(_))
            | Phase::Handshaking(None)
            | Phase::Plain
            | Phase::Failed
            | Phase::Closed => {}
        }
    }

    fn open_channel(&self) -> Result<Channel> {
        let state = self.state();
        match &state.phase {
            Phase::Open(channel) => Ok(channel.clone()),
            _ if !matches!(self.role, Role::Descriptor(_)) => Err(settings_only()),
            phase => {
                let error = not_open(phase);
                drop(state);
                Err(self
                    .errors
                    .fatal()
                    .map_or(error, |fatal| Error { sys_errno: libc::EPIPE, ..fatal }))
            }
        }
    }

    /// A duplicate of the program's descriptor, if the number still is what it was.
    fn program_end(&self) -> Result<OwnedFd> {
        self.duplicate_program_end(try_duplicate_if)
    }

    fn duplicate_program_end<T>(
        &self,
        duplicate_if: impl FnOnce(RawFd, Identity) -> Result<Option<T>>,
    ) -> Result<T> {
        let identity = self.state().identity;
        let Role::Descriptor(number) = self.role else { return Err(settings_only()) };
        if let Some(identity) = identity
            && let Some(end) = duplicate_if(number, identity)?
        {
            return Ok(end);
        }
        Err(Error {
            sys_errno: libc::EBADF,
            ..Error::new(
                Code::STATE,
                format!(
                    "descriptor {number} was closed or now is something else: the handle outlived \
                     its socket; free it with ssl_socket_free"
                ),
            )
        })
    }

    fn with_flags(&self, options: CallOptions) -> CallOptions {
        let non_blocking = self.state().settings.has(settings::SSL_FLAG_NONBLOCKING);
        CallOptions { dont_wait: options.dont_wait || non_blocking, ..options }
    }

    /// Why the program's end failed, if the relay knows better. What only would have blocked is
    /// none of its business: there may be data still.
    fn reason_for(&self, error: Error) -> Error {
        match error.code {
            Code::WANT_READ | Code::WANT_WRITE => error,
            _ => self.errors.fatal().unwrap_or(error),
        }
    }

    /// What ends an explicit session stays readable on the handle.
    fn note_session_error(&self, error: &Error) {
        let passing = matches!(
            error.code,
            Code::WANT_READ
                | Code::WANT_WRITE
                | Code::TIMEOUT
                | Code::STATE
                | Code::INVALID
                | Code::BAD_HANDLE
        );
        if !passing {
            self.errors.set_fatal(error.clone());
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn not_open(phase: &Phase) -> Error {
    let text = match phase {
        Phase::Plain => "the handshake has not been made: call ssl_perform_handshake first",
        Phase::Handshaking(_) | Phase::Paused(_) => "the handshake is not complete yet",
        Phase::Failed => "the handshake failed and the connection has been closed: open a new one",
        Phase::Open(_) => "already open",
        // The call had found the handle before it was freed.
        Phase::Closed => {
            return Error::new(Code::BAD_HANDLE, "another thread has just freed the handle");
        }
    };
    Error { sys_errno: libc::ENOTCONN, ..Error::new(Code::STATE, text) }
}

fn connection_over() -> Error {
    Error::new(Code::STATE, "the connection is over and has been closed")
}

fn settings_only() -> Error {
    Error::new(
        Code::STATE,
        "this handle (ssl_defaults, ssl_settings_new) takes settings only, it has no connection",
    )
}
