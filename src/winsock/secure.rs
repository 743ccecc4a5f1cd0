//! SO_SECURE: TLS for a socket that is not connected yet.

use std::os::fd::RawFd;

use super::error::{self, failure};
use super::sockets::{already_connected, handle};
use crate::error::{Code, Error, Result};
use crate::socket;

pub(crate) const SO_SEC_NONE: u32 = 0x2002;
pub(crate) const SO_SEC_SSL: u32 = 0x2004;

/// Makes the socket secure, or takes that back. Once it is connected neither is possible.
pub fn set(number: RawFd, value: u32) -> Result<()> {
    let known = handle(number);
    match (value, known) {
        (SO_SEC_SSL, Some(handle)) if handle.is_secure() => Ok(()),
        (SO_SEC_SSL, _) => match socket::open_secure(number) {
            Ok(_) => Ok(()),
            Err(error) if error.code == Code::STATE => {
                Err(Error { windows: error::WSAEISCONN, ..error })
            }
            Err(error) if error.code == Code::INVALID => {
                Err(Error { windows: error::WSAEOPNOTSUPP, ..error })
            }
            Err(error) => Err(error),
        },
        (SO_SEC_NONE, Some(handle)) if handle.is_secure() => {
            handle.make_insecure().map_err(|error| match error.code {
                Code::STATE => already_connected(),
                _ => error,
            })?;
            socket::free(handle.token().raw())
        }
        (SO_SEC_NONE, _) => Ok(()),
        _ => Err(failure(
            error::WSAEINVAL,
            format!(
                "{value:#x} is no value of SO_SECURE: SO_SEC_SSL (0x2004) and SO_SEC_NONE (0x2002) \
                 are"
            ),
        )),
    }
}

pub fn get(number: RawFd) -> u32 {
    if handle(number).is_some_and(|handle| handle.is_secure()) { SO_SEC_SSL } else { SO_SEC_NONE }
}

/// Makes a call for which a held socket has to be as any other.
pub fn let_go_for<T>(number: RawFd, call: impl FnOnce() -> Result<T>) -> Result<T> {
    let Some(handle) = handle(number).filter(|handle| handle.is_held()) else { return call() };
    handle.hold(false)?;
    let outcome = call();
    handle.hold(true)?;
    outcome
}
