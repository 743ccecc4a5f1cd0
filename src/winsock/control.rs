//! `ioctlsocket` and what of it `WSAIoctl` can do, too. No number reaches `ioctl(2)`.

use std::os::fd::RawFd;

use super::error::{self, failure};
use super::sockets::handle;
use crate::error::Result;
use crate::sys::socket_calls;

pub(crate) const FIONREAD: u32 = 0x4004_667f;
pub(crate) const FIONBIO: u32 = 0x8004_667e;
pub(crate) const SIOCATMARK: u32 = 0x4004_7307;

/// A code that works on any socket.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Command {
    /// The argument is not 0: calls do not wait.
    SetNonBlocking,
    CountReadable,
    AskForMark,
}

pub fn command(code: u32) -> Option<Command> {
    match code {
        FIONBIO => Some(Command::SetNonBlocking),
        FIONREAD => Some(Command::CountReadable),
        SIOCATMARK => Some(Command::AskForMark),
        _ => None,
    }
}

pub fn unknown(code: u32) -> crate::error::Error {
    failure(
        error::WSAEINVAL,
        format!("{code:#010x} is no control code that is known here: nothing was changed"),
    )
}

/// What the call answers; `None`: it takes its argument alone.
pub fn run(number: RawFd, command: Command, argument: bool) -> Result<Option<u32>> {
    match command {
        Command::SetNonBlocking => {
            socket_calls::set_non_blocking(number, argument)?;
            Ok(None)
        }
        Command::CountReadable => {
            // It listens, as far as the kernel is concerned.
            if handle(number).is_some_and(|handle| handle.is_held()) {
                return Ok(Some(0));
            }
            let count = socket_calls::readable_bytes(number)?;
            Ok(Some(u32::try_from(count).unwrap_or(0)))
        }
        Command::AskForMark => Ok(Some(u32::from(nothing_urgent_is_ahead(number)?))),
    }
}

/// Windows asks whether urgent data is still to come, Linux whether it is next.
fn nothing_urgent_is_ahead(number: RawFd) -> Result<bool> {
    let is_waiting = socket_calls::events(number, libc::POLLPRI)? & libc::POLLPRI != 0;
    if !is_waiting {
        return Ok(true);
    }
    socket_calls::is_at_urgent_mark(number)
}
