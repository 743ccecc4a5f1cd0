//! Errors: code, category, text.

use std::ffi::c_char;

use super::boundary::{self, entry, status};
use super::memory;
use super::types::{ssl_error_info, ssl_socket};
use crate::error::{Code, Error, NO_ALERT};
use crate::socket;

/// The code of the handle's error, 0 if there is none; with NULL this thread's last. An error
/// that ended the connection stays for the life of the handle, whatever happens later, even if
/// the kernel has told another thread first; otherwise it is that of the last call that failed, but
/// for calls that only ask (ssl_get_*, ssl_verify_chain): theirs is found with NULL only.
/// SSL_ERR_BAD_HANDLE if the handle is not live.
#[unsafe(no_mangle)]
pub extern "C" fn ssl_get_error(s: *mut ssl_socket) -> i32 {
    // This thread's last error must not be replaced by looking at it.
    match boundary::run_quietly("ssl_get_error", || {
        boundary::injection_point("ssl_get_error");
        error_of(s)
    }) {
        Ok(error) => error.map_or(0, |error| error.code.0),
        Err(error) => error.code.0,
    }
}

/// Copies the text of the same error: what happened and what to do, in UTF-8 and NUL-terminated.
/// `*len` becomes the length with the NUL; if it exceeds `capacity`: SSL_ERR_BUFFER.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ssl_get_error_text(
    s: *mut ssl_socket,
    buf: *mut c_char,
    capacity: usize,
    len: *mut usize,
) -> i32 {
    status(boundary::run_quietly("ssl_get_error_text", || {
        boundary::injection_point("ssl_get_error_text");
        let text = error_of(s)?.map_or(String::new(), |error| error.text);
        // SAFETY: writable as the header demands.
        unsafe { memory::copy_out_text(&text, buf, capacity, len) }
    }))
}

/// Writes the same error as one consistent picture.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ssl_get_error_info(s: *mut ssl_socket, info: *mut ssl_error_info) -> i32 {
    status(boundary::run_quietly("ssl_get_error_info", || {
        boundary::injection_point("ssl_get_error_info");
        let error = error_of(s)?;
        let code = error.as_ref().map_or(Code::OKAY, |error| error.code);
        let value = ssl_error_info {
            size: size_of::<ssl_error_info>() as u32,
            code: code.0,
            category: code.category() as u32,
            sys_errno: error.as_ref().map_or(0, |error| error.sys_errno),
            tls_alert: error.as_ref().map_or(NO_ALERT, |error| error.tls_alert),
            from_hook: error.is_some_and(|error| error.from_hook).into(),
        };
        // SAFETY: writable for the `size` in it as the header demands.
        unsafe { memory::write_sized(info, value, "info") }
    }))
}

/// The name of a code, as "SSL_ERR_TIMEOUT"; static, never NULL.
#[unsafe(no_mangle)]
pub extern "C" fn ssl_error_name(code: i32) -> *const c_char {
    entry!(ssl_error_name, Ok(Code(code).name())).unwrap_or(Code::INTERNAL.name()).as_ptr()
}

/// The category of a code: SSL_CATEGORY_*.
#[unsafe(no_mangle)]
pub extern "C" fn ssl_error_category(code: i32) -> u32 {
    let category = entry!(ssl_error_category, Ok(Code(code).category()));
    category.unwrap_or(Code::INTERNAL.category()) as u32
}

fn error_of(handle: *mut ssl_socket) -> Result<Option<Error>, Error> {
    if handle.is_null() {
        return Ok(boundary::last_error());
    }
    Ok(socket::find(handle as usize)?.errors().get())
}
