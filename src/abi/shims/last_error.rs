//! Windows: WSAGetLastError and GetLastError, which are one and the same.

use super::boundary::shim;
use crate::winsock::error;

/// Windows: WSAGetLastError, GetLastError.
#[unsafe(no_mangle)]
pub extern "C" fn ssl_wce_get_last_error() -> i32 {
    shim!(ssl_wce_get_last_error, error::WSAENETDOWN, Ok(error::last()))
}

/// Windows: WSASetLastError, SetLastError.
#[unsafe(no_mangle)]
pub extern "C" fn ssl_wce_set_last_error(number: i32) {
    shim!(ssl_wce_set_last_error, (), {
        error::set_last(number);
        Ok(())
    });
}
