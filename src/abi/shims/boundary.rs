//! What the shims have in common: the panic boundary and this thread's last error of Windows.

use crate::abi::boundary::run;
use crate::error::{Error, Result};
use crate::winsock::error;

/// Wraps the body of a shim, which answers a [`Result`]. A failure becomes the thread's last error
/// (`WSAGetLastError`, also [`crate::abi::errors`]'s) and the value `failed`.
macro_rules! shim {
    ($name:ident, $failed:expr, $body:expr) => {
        $crate::abi::shims::boundary::winsock(stringify!($name), $failed, || {
            $crate::abi::boundary::injection_point(stringify!($name));
            $body
        })
    };
}

pub(super) use shim;

pub fn winsock<T>(name: &'static str, failed: T, body: impl FnOnce() -> Result<T>) -> T {
    run(name, body).unwrap_or_else(|failure| {
        error::set_last(error::number(&failure));
        failed
    })
}

/// For `map_err`: an argument cannot be used, and this is the number for it.
pub fn invalid_argument(number: i32) -> impl Fn(Error) -> Error {
    move |error| Error { windows: number, ..error }
}
