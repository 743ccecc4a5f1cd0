//! Windows CE: a socket is made secure before it is connected, and `connect` makes the handshake.
//!
//! Where the library does not see the program's `connect`, nothing holds the program back from
//! sending in clear after it. So the kernel does: see [`crate::sys::hold`].

use std::os::fd::{AsFd, BorrowedFd, RawFd};

use super::settings::{SSL_FLAG_DEFER_HANDSHAKE, SSL_FLAG_EXPLICIT_IO, Settings};
use super::{Role, Socket, State, settings_only};
use crate::error::{Code, Error, Result};
use crate::sys::address::Address;
use crate::sys::hold::{self, Stage};
use crate::sys::identity::{Identity, try_duplicate_if};
use crate::sys::private_fd::PrivateFd;
use crate::sys::{socket_options, stream_socket};

/// What is special about a socket that was made secure before it was connected.
#[derive(Clone, Copy, Default)]
pub(super) struct Secure {
    /// It was, and unless the handshake is deferred nothing may be sent before it.
    pub(super) is_secure: bool,
    /// Nobody can connect it, and nothing is sent or received on it.
    pub(super) is_held: bool,
}

impl Socket {
    /// For a new handle whose socket is not connected.
    pub(super) fn make_secure(&self) -> Result<()> {
        let fd = self.program_end()?;
        let mut state = self.state();
        state.secure.is_secure = true;
        state.bound = Some(Address::local(fd.as_fd())?);
        state.hold_unless_deferred(fd.as_fd())
    }

    /// Sets the flags; a secure socket is held or let go by them.
    pub fn set_flags(&self, flags: u32) -> Result<()> {
        if !self.state().secure.is_secure {
            return self.configure(|settings| settings.set_flags(flags));
        }
        let fd = self.program_end()?;
        self.change_state(|state| {
            let before = state.settings.flags();
            let settings = Settings::changeable(&mut state.settings);
            settings.set_flags(flags)?;
            let outcome = match state.settings.has(SSL_FLAG_DEFER_HANDSHAKE) {
                true => state.let_go(fd.as_fd()),
                false => match hold::stage(fd.as_fd()) {
                    Ok(Stage::Unconnected) => state.hold_unless_deferred(fd.as_fd()),
                    other => other.map(drop),
                },
            };
            if outcome.is_err() {
                Settings::changeable(&mut state.settings).set_flags(before)?;
            }
            outcome
        })
    }

    /// Lets go of the socket for the caller's own connect, or holds it again after one that
    /// failed.
    pub fn hold(&self, hold: bool) -> Result<()> {
        if matches!(self.role, Role::Defaults) {
            return Err(settings_only());
        }
        let fd = self.program_end()?;
        self.change_state(|state| {
            if !state.secure.is_secure {
                return Err(Error::new(
                    Code::STATE,
                    "this handle was not made by ssl_wce_secure: nothing was changed",
                ));
            }
            match (hold, hold::stage(fd.as_fd())?) {
                (true, Stage::Connected) => Err(Error::new(
                    Code::STATE,
                    "the socket is connected and cannot be held any more: make the handshake",
                )),
                (true, _) => state.hold_unless_deferred(fd.as_fd()),
                (false, _) => state.let_go(fd.as_fd()),
            }
        })
    }

    /// Whether it was made secure before it was connected.
    pub fn is_secure(&self) -> bool {
        self.state().secure.is_secure
    }

    /// Whether the kernel holds it at this moment.
    pub fn is_held(&self) -> bool {
        self.state().secure.is_held
    }

    /// The program has bound the socket to this address, or had before it was made secure; all zero
    /// if it has not.
    pub fn bound(&self) -> Option<Address> {
        self.state().bound.clone()
    }

    pub fn set_bound(&self, address: Address) {
        self.state().bound = Some(address);
    }

    /// Takes [`super::open_secure`] back, before the handle is freed. Refused once the socket is
    /// connected or about to be.
    pub fn make_insecure(&self) -> Result<()> {
        let fd = self.program_end()?;
        self.change_state(|state| {
            if hold::stage(fd.as_fd())? != Stage::Unconnected {
                return Err(Error::new(Code::STATE, "the socket is connected: it stays secure"));
            }
            state.let_go(fd.as_fd())?;
            state.secure.is_secure = false;
            Ok(())
        })
    }

    /// What was sent on the connection so far, as far as the kernel tells. An error if the socket
    /// is one on which nothing may have been sent.
    pub(super) fn written_in_clear(&self, transport: &PrivateFd) -> Result<Option<u64>> {
        let (secure, is_deferred, is_explicit) = {
            let state = self.state();
            let has = |flag| state.settings.has(flag);
            (state.secure, has(SSL_FLAG_DEFER_HANDSHAKE), has(SSL_FLAG_EXPLICIT_IO))
        };
        if secure.is_held {
            return Err(Error::new(
                Code::STATE,
                "the socket is still held: it has to be let go with ssl_wce_hold before it is \
                 connected, or connected with ssl_connect",
            ));
        }
        if is_explicit && !secure.is_secure {
            // Nobody wants to know.
            return Ok(None);
        }
        let written = socket_options::written_bytes(transport.as_fd());
        match written {
            Some(count @ 1..) if secure.is_secure && !is_deferred => Err(Error::new(
                Code::STATE,
                format!(
                    "{count} bytes were sent in clear between connect and the handshake, which was \
                     not deferred: set SSL_FLAG_DEFER_HANDSHAKE before connect if the conversation \
                     begins in clear"
                ),
            )),
            _ => Ok(written),
        }
    }
}

/// [`kill_and_hold`], if the number still refers to it.
pub(super) fn kill_number_and_hold(number: RawFd, identity: Identity) {
    with_number(number, identity, kill_and_hold);
}

/// The same where no handle of this process remembers that an upgrade has failed: the kernel has to,
/// whatever the socket was.
pub(super) fn kill_for_good(number: RawFd, identity: Identity) {
    with_number(number, identity, |fd| {
        stream_socket::kill(fd);
        if hold::stage(fd) == Ok(Stage::Unconnected) {
            let _ = hold::hold(fd);
        }
    });
}

fn with_number(number: RawFd, identity: Identity, kill: impl FnOnce(BorrowedFd<'_>)) {
    match try_duplicate_if(number, identity) {
        Ok(Some(fd)) => kill(fd.as_fd()),
        // There is no descriptor left for a duplicate.
        _ if Identity::of_number(number) == Some(identity) => stream_socket::kill_number(number),
        _ => {}
    }
}

/// Kills a connection. What was not connected yet could be after all, by a program that does not
/// look at the result of its handshake, connects next, and sends: that is held.
pub(super) fn kill_and_hold(fd: BorrowedFd<'_>) {
    let was_connected = !matches!(hold::stage(fd), Ok(Stage::Unconnected | Stage::Connecting));
    stream_socket::kill(fd);
    if !was_connected {
        // If that fails: its filter still lets no connection come about.
        let _ = hold::hold(fd);
    }
}

impl State {
    pub(super) fn hold_unless_deferred(&mut self, fd: BorrowedFd<'_>) -> Result<()> {
        if self.secure.is_secure && !self.settings.has(SSL_FLAG_DEFER_HANDSHAKE) {
            // Also if it fails half-way.
            self.secure.is_held = true;
            hold::hold(fd)?;
        }
        Ok(())
    }

    pub(super) fn let_go(&mut self, fd: BorrowedFd<'_>) -> Result<()> {
        if !self.secure.is_held {
            return Ok(());
        }
        if hold::stage(fd)? != Stage::Unconnected {
            return Err(Error::new(
                Code::STATE,
                "the socket was shut down and connected while it was held: close it, and let go \
                 with ssl_wce_hold before connect",
            ));
        }
        hold::let_go(fd)?;
        self.secure.is_held = false;
        Ok(())
    }
}
