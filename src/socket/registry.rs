//! Which handles exist, and which belongs to which descriptor.

use std::collections::HashMap;
use std::os::fd::RawFd;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use super::hold::kill_for_good;
use super::settings::Settings;
use super::{Phase, Role, Socket};
use crate::error::{Code, Error, Result};
use crate::handle::{Table, Token};
use crate::io::deadline::Deadline;
use crate::io::ending;
use crate::quick_hash::Quick;
use crate::relay;
use crate::sys::identity::Identity;
use crate::sys::process::{self, PerProcess};
use crate::sys::stream_socket;
use crate::verify::trust::Trust;

/// A new handle for the stream socket `fd`, which stays the program's.
pub fn open(fd: RawFd) -> Result<Token> {
    process::watch_forks();
    let identity = stream_socket::check_stream(fd)?;
    let mut descriptors = descriptors();
    if let Some(other) = descriptors.get(&identity).and_then(|token| SOCKETS.get(token.raw()).ok())
    {
        // TLS within TLS is fine; two handles quarrelling over one plain socket are not.
        if !matches!(other.state().phase, Phase::Open(super::Channel::Transparent(_))) {
            return Err(Error::new(
                Code::STATE,
                format!(
                    "descriptor {fd} has a live handle already: ssl_socket_from_fd finds it, \
                     ssl_socket_free frees it"
                ),
            ));
        }
    }
    let settings = default_settings();
    let role = Role::Descriptor(fd);
    let token =
        SOCKETS.insert(|token| Arc::new(Socket::new(token, role, Some(identity), settings)))?;
    descriptors.insert(identity, token);
    Ok(token)
}

/// Windows CE's SO_SECURE: the same for a TCP socket that is not connected yet, which is held until
/// it is let go for the connect that makes the handshake.
pub fn open_secure(fd: RawFd) -> Result<Token> {
    stream_socket::check_unconnected_tcp(fd)?;
    let token = open(fd)?;
    SOCKETS.get(token.raw())?.make_secure().inspect_err(|_| {
        // Nobody has been told of it.
        let _ = free(token.raw());
    })?;
    Ok(token)
}

pub fn find(raw: usize) -> Result<Arc<Socket>> {
    SOCKETS.get(raw)
}

/// The live handle of what `fd` refers to now.
pub fn by_descriptor(fd: RawFd) -> Result<Token> {
    Identity::of_number(fd)
        .and_then(|identity| descriptors().get(&identity).copied())
        .filter(|token| SOCKETS.get(token.raw()).is_ok())
        .ok_or_else(|| Error::new(Code::BAD_HANDLE, format!("descriptor {fd} has no live handle")))
}

pub fn free(raw: usize) -> Result<()> {
    let socket = SOCKETS.get(raw)?;
    socket.refuse_inside_hook()?;
    if matches!(socket.role, Role::Defaults) {
        return Err(Error::new(
            Code::INVALID,
            "the handle of the defaults lives as long as the process and cannot be freed",
        ));
    }
    let socket = SOCKETS.remove(raw)?;
    // The state is looked at under this lock, see `move_to`.
    let mut descriptors = descriptors();
    forget(&mut descriptors, socket.state().identity, socket.token);
    drop(descriptors);
    socket.close();
    Ok(())
}

/// The handle whose settings later sockets start with.
pub fn defaults() -> Result<Token> {
    process::watch_forks();
    let mut handle = lock(DEFAULTS_HANDLE.get_or_init(Mutex::default));
    if let Some(token) = *handle {
        return Ok(token);
    }
    // Not `default_settings`, which would wait for the lock that is held here.
    let settings = inherited_settings();
    let token =
        SOCKETS.insert(|token| Arc::new(Socket::new(token, Role::Defaults, None, settings)))?;
    *handle = Some(token);
    Ok(token)
}

/// A handle like that of the defaults, of the program's own.
pub fn new_settings() -> Result<Token> {
    process::watch_forks();
    let settings = default_settings();
    SOCKETS.insert(|token| Arc::new(Socket::new(token, Role::Settings, None, settings)))
}

/// Whom new sockets trust.
pub fn default_trust() -> Trust {
    default_settings().trust.clone()
}

/// An upgrade asked for in a forked child, on its parent's handle: refused, and as after every
/// refusal of an upgrade nothing may go out in clear. If the parent has upgraded the connection
/// already, the descriptor is another one and stays.
pub fn refuse_upgrade_in_child(raw: usize) {
    let inherited = Token::from_raw(raw).and_then(|token| SOCKETS.of_ancestor(token));
    if let Some(socket) = inherited {
        socket.kill_if_plain();
    }
}

/// The same where no handle of this process is for the descriptor: the socket is its parent's, or was
/// never made secure. One that listens is no connection and stays.
pub fn refuse_upgrade_of(number: RawFd) {
    let Some(identity) = Identity::of_number(number) else { return };
    let inherited = (0..process::epoch()).rev().find_map(|epoch| {
        let token = *DESCRIPTORS.of_epoch(epoch)?.try_lock().ok()?.get(&identity)?;
        SOCKETS.of_ancestor(token)
    });
    match inherited {
        Some(socket) => socket.kill_if_plain(),
        None if stream_socket::check_stream(number).is_ok() => kill_for_good(number, identity),
        None => {}
    }
}

/// Waits until nothing accepted waits in the library or for the peer's acknowledgement, for at
/// most `limit`. Answers how many sockets still hold data.
pub fn flush_all(limit: Option<Duration>) -> usize {
    let deadline = Deadline::after(limit);
    let explicit = SOCKETS.all();
    for socket in &explicit {
        socket.flush_explicit(&deadline);
    }
    relay::exit::flush(deadline.remaining(), || {
        explicit.iter().filter(|socket| socket.is_busy()).count()
            + ending::ending_later().iter().filter(|(session, _)| session.is_busy()).count()
    })
}

/// How many threads carry relayed connections at most; 0: the default.
pub fn set_relay_threads(count: usize) {
    // A child does not inherit it.
    process::watch_forks();
    relay::set_threads(count);
}

/// The process is ending: sees to it that what was accepted leaves, and ends every session.
pub fn end_process() {
    let relayed = relay::exit::begin();
    let mut explicit: Vec<_> =
        SOCKETS.all().iter().filter_map(|socket| socket.explicit_session()).collect();
    explicit.extend(ending::ending_later());
    let sessions: Vec<_> =
        explicit.iter().map(|(session, patience)| (&**session, *patience)).collect();
    ending::end_all(&sessions, Some(relay::exit::STALL_LIMIT), Some(relay::exit::LIMIT));
    if let Some(relayed) = relayed {
        relayed.wait();
    }
}

impl Socket {
    /// After a swap the program's descriptor has another identity.
    pub(super) fn move_to(&self, identity: Identity) {
        let mut descriptors = descriptors();
        // Freed meanwhile by another thread, which has been here already or waits for the lock.
        let is_live = SOCKETS.get(self.token.raw()).is_ok();
        let before = self.state().identity.replace(identity);
        forget(&mut descriptors, before, self.token);
        if is_live {
            descriptors.insert(identity, self.token);
        }
    }
}

/// The handle is not the one of what it was for, if it has been: another may have come in its place.
fn forget(descriptors: &mut Descriptors, identity: Option<Identity>, token: Token) {
    if let Some(identity) = identity
        && descriptors.get(&identity) == Some(&token)
    {
        descriptors.remove(&identity);
    }
}

/// The settings a new socket starts with.
fn default_settings() -> Arc<Settings> {
    let own = DEFAULTS_HANDLE.get().and_then(|handle| *lock(handle));
    if let Some(socket) = own.and_then(|token| SOCKETS.get(token.raw()).ok()) {
        return socket.settings();
    }
    inherited_settings()
}

/// What the defaults of this process begin with.
fn inherited_settings() -> Arc<Settings> {
    // A forked child goes on with what its parent had set, unless the parent was just changing
    // it: then the strict defaults hold.
    (0..process::epoch())
        .rev()
        .filter_map(|epoch| *DEFAULTS_HANDLE.of_epoch(epoch)?.try_lock().ok()?)
        .find_map(|token| SOCKETS.of_ancestor(token)?.settings_if_free())
        .unwrap_or_default()
}

fn descriptors() -> MutexGuard<'static, Descriptors> {
    lock(DESCRIPTORS.get_or_init(Mutex::default))
}

/// By numbers that the kernel gives out.
type Descriptors = HashMap<Identity, Token, Quick>;

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

static SOCKETS: Table<Socket> = Table::new();
static DESCRIPTORS: PerProcess<Mutex<Descriptors>> = PerProcess::new();
static DEFAULTS_HANDLE: PerProcess<Mutex<Option<Token>>> = PerProcess::new();
