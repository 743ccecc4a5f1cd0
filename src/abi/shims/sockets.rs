//! Windows: making, naming, connecting and closing sockets.

use std::ffi::c_void;

use super::boundary::shim;
use super::memory;
use crate::error::Result;
use crate::winsock::error::{self, failure};
use crate::winsock::sockets;

/// A SOCKET: the number of a descriptor.
pub type Number = usize;

pub(super) const INVALID_SOCKET: Number = usize::MAX;
pub(super) const SOCKET_ERROR: i32 = -1;

/// Windows: socket.
#[unsafe(no_mangle)]
pub extern "C" fn ssl_wce_socket(family: i32, kind: i32, protocol: i32) -> Number {
    shim!(ssl_wce_socket, INVALID_SOCKET, {
        sockets::create(family, kind, protocol).map(|number| number as Number)
    })
}

/// Windows: WSASocket. Sockets have what `flags` can ask for; there are no protocol structures.
#[unsafe(no_mangle)]
pub extern "C" fn ssl_wce_wsa_socket(
    family: i32,
    kind: i32,
    protocol: i32,
    protocol_info: *const c_void,
    _group: u32,
    flags: u32,
) -> Number {
    const WSA_FLAG_OVERLAPPED: u32 = 1;
    shim!(ssl_wce_wsa_socket, INVALID_SOCKET, {
        if !protocol_info.is_null() || flags & !WSA_FLAG_OVERLAPPED != 0 {
            return Err(failure(
                error::WSAEINVAL,
                "WSASocket takes no protocol information and no flag but WSA_FLAG_OVERLAPPED",
            ));
        }
        sockets::create(family, kind, protocol).map(|number| number as Number)
    })
}

/// Windows: closesocket.
#[unsafe(no_mangle)]
pub extern "C" fn ssl_wce_closesocket(s: Number) -> i32 {
    shim!(ssl_wce_closesocket, SOCKET_ERROR, {
        sockets::close(sockets::checked_descriptor(s)?)?;
        Ok(0)
    })
}

/// Windows: connect. On a secure socket whose handshake is not deferred: with the handshake.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ssl_wce_connect(s: Number, name: *const c_void, length: i32) -> i32 {
    shim!(ssl_wce_connect, SOCKET_ERROR, {
        let number = sockets::checked_descriptor(s)?;
        // SAFETY: as Windows demands it.
        sockets::connect(number, &unsafe { address(name, length) }?)?;
        Ok(0)
    })
}

/// Windows: bind.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ssl_wce_bind(s: Number, name: *const c_void, length: i32) -> i32 {
    shim!(ssl_wce_bind, SOCKET_ERROR, {
        let number = sockets::checked_descriptor(s)?;
        // SAFETY: as Windows demands it.
        sockets::bind(number, &unsafe { address(name, length) }?)?;
        Ok(0)
    })
}

/// Windows: listen.
#[unsafe(no_mangle)]
pub extern "C" fn ssl_wce_listen(s: Number, backlog: i32) -> i32 {
    shim!(ssl_wce_listen, SOCKET_ERROR, {
        sockets::listen(sockets::descriptor(s)?, backlog)?;
        Ok(0)
    })
}

/// Windows: accept.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ssl_wce_accept(s: Number, name: *mut c_void, length: *mut i32) -> Number {
    shim!(ssl_wce_accept, INVALID_SOCKET, {
        let number = sockets::checked_descriptor(s)?;
        if !name.is_null() {
            // SAFETY: as Windows demands it.
            unsafe { check_room_for_address(number, length) }?;
        }
        let (accepted, from) = sockets::accept(number)?;
        if !name.is_null() {
            // SAFETY: as Windows demands it.
            unsafe { memory::give_address(name, length, &from) }.inspect_err(|_| {
                // Nobody has been told of it.
                let _ = sockets::close(accepted);
            })?;
        }
        Ok(accepted as Number)
    })
}

/// Windows: shutdown.
#[unsafe(no_mangle)]
pub extern "C" fn ssl_wce_shutdown(s: Number, how: i32) -> i32 {
    shim!(ssl_wce_shutdown, SOCKET_ERROR, {
        sockets::shut_down(sockets::checked_descriptor(s)?, how)?;
        Ok(0)
    })
}

/// Windows: getpeername.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ssl_wce_getpeername(
    s: Number,
    name: *mut c_void,
    length: *mut i32,
) -> i32 {
    shim!(ssl_wce_getpeername, SOCKET_ERROR, {
        let address = sockets::peer_name(sockets::checked_descriptor(s)?)?;
        // SAFETY: as Windows demands it.
        unsafe { memory::give_address(name, length, &address) }?;
        Ok(0)
    })
}

/// Windows: getsockname.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ssl_wce_getsockname(
    s: Number,
    name: *mut c_void,
    length: *mut i32,
) -> i32 {
    shim!(ssl_wce_getsockname, SOCKET_ERROR, {
        let address = sockets::own_name(sockets::checked_descriptor(s)?)?;
        // SAFETY: as Windows demands it.
        unsafe { memory::give_address(name, length, &address) }?;
        Ok(0)
    })
}

/// A copy of an address. Programs give the size of larger structures, too.
///
/// # Safety
/// As [`memory::copy_in`].
pub(super) unsafe fn address(pointer: *const c_void, length: i32) -> Result<Vec<u8>> {
    const LONGEST: i32 = size_of::<libc::sockaddr_in6>() as i32;
    // SAFETY: as the caller promises, for fewer bytes.
    unsafe { memory::copy_in(pointer, length.min(LONGEST), "the address") }
}

/// Before something is received whose sender then could not be told.
///
/// # Safety
/// As [`memory::length_at`].
pub(super) unsafe fn check_room_for_address(number: i32, length: *const i32) -> Result<()> {
    // SAFETY: as the caller promises.
    let capacity = unsafe { memory::length_at(length, "the length of the address") }?;
    let needed = sockets::address_size(number)?;
    if capacity < needed {
        return Err(failure(
            error::WSAEFAULT,
            format!("addresses have {needed} bytes here, the buffer {capacity}"),
        ));
    }
    Ok(())
}
