//! Windows: MessageBox.

use std::ffi::{c_char, c_void};

use super::boundary::shim;
use super::units::{self, Unit, wchar_t};
use crate::winsock::message_box::{self, Question};

/// Windows: MessageBoxA.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ssl_wce_message_box_a(
    owner: *mut c_void,
    text: *const c_char,
    caption: *const c_char,
    kind: u32,
) -> i32 {
    shim!(ssl_wce_message_box_a, 0, {
        // SAFETY: NUL-terminated as the header demands.
        Ok(unsafe { ask(owner, text.cast::<u8>(), caption.cast::<u8>(), kind) })
    })
}

/// Windows: MessageBoxW.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ssl_wce_message_box_w(
    owner: *mut c_void,
    text: *const wchar_t,
    caption: *const wchar_t,
    kind: u32,
) -> i32 {
    shim!(ssl_wce_message_box_w, 0, {
        // SAFETY: NUL-terminated as the header demands.
        Ok(unsafe { ask(owner, text, caption, kind) })
    })
}

/// # Safety
/// The strings are NULL or NUL-terminated.
unsafe fn ask<U: Unit>(owner: *mut c_void, text: *const U, caption: *const U, kind: u32) -> i32 {
    // SAFETY: as the caller promises.
    let (text, caption) = unsafe { (units::text(text), units::text(caption)) };
    message_box::ask(&Question { owner: owner as usize, text: &text, caption: &caption, kind })
}
