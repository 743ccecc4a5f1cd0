//! Sending and receiving, and why that failed.

use std::os::fd::RawFd;

use super::error::{self, failure};
use super::sockets::{self, handle, not_connected};
use crate::error::{Error, Result};
use crate::sys::socket_calls;

/// `to`: for datagrams; a stream has its peer.
pub fn send(number: RawFd, bytes: &[u8], flags: i32, to: Option<&[u8]>) -> Result<usize> {
    check_flags(flags, libc::MSG_OOB | libc::MSG_DONTROUTE)?;
    let to = match to {
        Some(to) if sockets::kind(number)? != libc::SOCK_STREAM => {
            Some(sockets::address_of(to, true)?)
        }
        _ => None,
    };
    let to = to.as_ref().map(|address| address.bytes());
    socket_calls::send(number, bytes, flags, to).map_err(|error| explain(number, error))
}

/// How much came, and for a datagram from whom. What is cut off from one is WSAEMSGSIZE.
pub fn receive(number: RawFd, buffer: &mut [u8], flags: i32) -> Result<(usize, Vec<u8>)> {
    check_flags(flags, libc::MSG_OOB | libc::MSG_PEEK | libc::MSG_WAITALL)?;
    let wanted = buffer.len();
    match socket_calls::receive(number, buffer, flags) {
        Ok(received) if received.is_cut => Err(failure(
            error::WSAEMSGSIZE,
            format!("the datagram is longer than the buffer of {wanted} bytes: the rest is lost"),
        )),
        // The kernel tells of a broken connection once; afterwards it says end of file.
        Ok(received) if received.length == 0 && wanted > 0 => match reason(number) {
            Some(reason) => Err(reason),
            None => Ok((0, received.from)),
        },
        Ok(received) => Ok((received.length, received.from)),
        Err(error) => Err(explain(number, error)),
    }
}

/// What is wrong with the connection, if the library knows better than the kernel.
pub fn reason(number: RawFd) -> Option<Error> {
    let handle = handle(number)?;
    let reason = handle.errors().fatal()?;
    Some(match handle.session() {
        Ok(_) => reason,
        // The handshake's own call has told the reason.
        Err(_) => Error { windows: error::WSAESHUTDOWN, ..reason },
    })
}

fn explain(number: RawFd, error: Error) -> Error {
    match error.sys_errno {
        libc::EAGAIN if socket_calls::is_non_blocking(number) == Ok(false) => {
            failure(error::WSAETIMEDOUT, "SO_RCVTIMEO or SO_SNDTIMEO has run out")
        }
        // What is wrong with the call, not with the connection.
        libc::EAGAIN
        | libc::EBADF
        | libc::ENOTSOCK
        | libc::EFAULT
        | libc::EINVAL
        | libc::EMSGSIZE
        | libc::EOPNOTSUPP
        | libc::ENOBUFS
        | libc::ENOMEM
        | libc::EAFNOSUPPORT
        | libc::EDESTADDRREQ => error,
        _ => reason(number).unwrap_or_else(|| explain_as_windows(number, error)),
    }
}

/// Where Windows tells apart or calls otherwise what Linux has one number for.
fn explain_as_windows(number: RawFd, error: Error) -> Error {
    match (error.sys_errno, sockets::kind(number)) {
        // A datagram before this one has met a closed port.
        (libc::ECONNREFUSED, Ok(libc::SOCK_DGRAM)) => {
            Error { windows: error::WSAECONNRESET, ..error }
        }
        (libc::EPIPE, Ok(libc::SOCK_STREAM)) => match socket_calls::peer_name(number) {
            Ok(_) => Error { windows: error::WSAESHUTDOWN, ..error },
            // A connection that is over has been ended for reading, too.
            Err(_) => match socket_calls::events(number, libc::POLLRDHUP) {
                Ok(events) if events & libc::POLLRDHUP == 0 => not_connected(),
                _ => error,
            },
        },
        _ => error,
    }
}

fn check_flags(flags: i32, known: i32) -> Result<()> {
    if flags & !known != 0 {
        return Err(failure(
            error::WSAEOPNOTSUPP,
            format!("flags {:#x} are not supported here", flags & !known),
        ));
    }
    Ok(())
}
