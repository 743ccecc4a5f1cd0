//! Windows: FormatMessage.

use std::ffi::{c_char, c_void};

use super::boundary::shim;
use super::units::{self, Unit, wchar_t};
use crate::error::Result;
use crate::winsock::error::{
    ERROR_INSUFFICIENT_BUFFER, ERROR_INVALID_PARAMETER, ERROR_NOT_ENOUGH_MEMORY, failure,
};
use crate::winsock::messages;

/// Windows: FormatMessageA.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ssl_wce_format_message_a(
    flags: u32,
    _source: *const c_void,
    number: u32,
    _language: u32,
    buffer: *mut c_char,
    size: u32,
    _arguments: *mut c_void,
) -> u32 {
    shim!(ssl_wce_format_message_a, 0, {
        // SAFETY: as the header demands.
        unsafe { give(&messages::format(flags, number)?, flags, buffer.cast::<u8>(), size) }
    })
}

/// Windows: FormatMessageW.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ssl_wce_format_message_w(
    flags: u32,
    _source: *const c_void,
    number: u32,
    _language: u32,
    buffer: *mut wchar_t,
    size: u32,
    _arguments: *mut c_void,
) -> u32 {
    shim!(ssl_wce_format_message_w, 0, {
        // SAFETY: as the header demands.
        unsafe { give(&messages::format(flags, number)?, flags, buffer, size) }
    })
}

/// The length without the NUL.
///
/// # Safety
/// The buffer is writable for the size or, to be allocated, for a pointer.
unsafe fn give<U: Unit>(text: &str, flags: u32, buffer: *mut U, size: u32) -> Result<u32> {
    let units: Vec<_> = text.bytes().map(u32::from).collect();
    let needed = units.len() + 1;
    if buffer.is_null() {
        return Err(failure(ERROR_INVALID_PARAMETER, "the buffer is NULL"));
    }
    let mut target = buffer;
    if flags & messages::ALLOCATE != 0 {
        let bytes = needed.max(size as usize).saturating_mul(size_of::<U>());
        // SAFETY: any size may be asked for.
        target = unsafe { libc::malloc(bytes) }.cast();
        if target.is_null() {
            return Err(failure(ERROR_NOT_ENOUGH_MEMORY, "there is no memory for the text"));
        }
        // SAFETY: with this flag the program passes the address of a pointer.
        unsafe { buffer.cast::<*mut U>().write_unaligned(target) };
    } else if needed > size as usize {
        return Err(failure(
            ERROR_INSUFFICIENT_BUFFER,
            format!("the text needs {needed} characters, the buffer has {size}"),
        ));
    }
    // SAFETY: there is room for the text and its NUL.
    unsafe { units::store(target, &units, true) };
    Ok(units.len() as u32)
}
