//! Handles: made for a descriptor, found by it, freed.

use std::ptr;

use super::boundary::{entry, status};
use super::memory;
use super::types::ssl_socket;
use crate::socket;

/// Makes a handle for the stream socket `fd` (TCP over IPv4 or IPv6, or AF_UNIX), connected or
/// not yet. The descriptor stays the program's: the library never closes it. Settings start with
/// a copy of those of ssl_defaults().
///
/// Answers NULL on failure; ssl_get_error(NULL) and ssl_get_error_text(NULL, ...) say why:
/// SSL_ERR_INVALID if `fd` is something else, SSL_ERR_STATE if it has a live handle already. On a
/// descriptor that has been upgraded transparently a new handle is allowed (TLS within TLS).
/// Free it with ssl_socket_free. Any thread.
#[unsafe(no_mangle)]
pub extern "C" fn ssl_socket_new(fd: i32) -> *mut ssl_socket {
    entry!(ssl_socket_new, socket::open(fd))
        .map_or(ptr::null_mut(), |token| token.raw() as *mut ssl_socket)
}

/// Finds the live handle of the descriptor `fd`, by what the descriptor refers to and not by its
/// number, and writes it to `s`. SSL_ERR_BAD_HANDLE if there is none. Any thread.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ssl_socket_from_fd(fd: i32, s: *mut *mut ssl_socket) -> i32 {
    status(entry!(ssl_socket_from_fd, {
        memory::check_target(s, "s")?;
        let token = socket::by_descriptor(fd)?;
        // SAFETY: checked above; writable as the header demands.
        unsafe { memory::write(s, token.raw() as *mut ssl_socket, "s") }
    }))
}

/// The handle of the defaults. It takes the setters only (ssl_set_*, ssl_add_*,
/// ssl_use_system_trust) and ssl_verify_chain; handles made later start with a copy of what was
/// set. It lives as long as the process. In a forked child it is another handle, with the same
/// settings. NULL on failure. Any thread.
#[unsafe(no_mangle)]
pub extern "C" fn ssl_defaults() -> *mut ssl_socket {
    entry!(ssl_defaults, socket::defaults())
        .map_or(ptr::null_mut(), |token| token.raw() as *mut ssl_socket)
}

/// Makes a handle that takes settings only, like that of the defaults, and has no connection: for
/// ssl_verify_chain. It starts with a copy of the settings of ssl_defaults(). NULL on failure. Free
/// it with ssl_socket_free. Any thread.
#[unsafe(no_mangle)]
pub extern "C" fn ssl_settings_new() -> *mut ssl_socket {
    entry!(ssl_settings_new, socket::new_settings())
        .map_or(ptr::null_mut(), |token| token.raw() as *mut ssl_socket)
}

/// Frees a handle; it is stale from then on, and every use of it answers SSL_ERR_BAD_HANDLE.
///
/// The descriptor is not closed. One that was upgraded transparently goes on carrying TLS until
/// the program closes it. In explicit mode the session ends: close_notify is sent, our direction
/// of the connection is shut down, and what the peer still sends is read and dropped for at most
/// the close timeout. A handle that does not block does not wait here either. What was left to be
/// done then is done by a thread of the library, which gives up on a peer that takes nothing for
/// two minutes; the descriptor may be closed meanwhile. Calls and handshakes in progress on other
/// threads fail, and what such a ssl_send has accepted may be lost. SSL_ERR_REENTRANT inside the
/// handle's hooks. Any thread.
#[unsafe(no_mangle)]
pub extern "C" fn ssl_socket_free(s: *mut ssl_socket) -> i32 {
    status(entry!(ssl_socket_free, socket::free(s as usize)))
}
