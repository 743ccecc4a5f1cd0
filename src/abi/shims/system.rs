//! Windows: what is left of the base system.

use std::ffi::c_char;

use super::boundary::shim;
use super::units::{self, wchar_t};
use crate::log::{self, Level};
use crate::sys::thread;

/// Windows: OutputDebugStringA.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ssl_wce_output_debug_string_a(text: *const c_char) {
    shim!(ssl_wce_output_debug_string_a, (), {
        // SAFETY: NUL-terminated as the header demands.
        log::write(Level::Debug, unsafe { units::text(text.cast::<u8>()) }.trim_end());
        Ok(())
    });
}

/// Windows: OutputDebugStringW.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ssl_wce_output_debug_string_w(text: *const wchar_t) {
    shim!(ssl_wce_output_debug_string_w, (), {
        // SAFETY: NUL-terminated as the header demands.
        log::write(Level::Debug, unsafe { units::text(text) }.trim_end());
        Ok(())
    });
}

/// Windows: GetCurrentThreadId.
#[unsafe(no_mangle)]
pub extern "C" fn ssl_wce_get_current_thread_id() -> u32 {
    shim!(ssl_wce_get_current_thread_id, 0, Ok(thread::current() as u32))
}

/// Windows: GetCurrentProcessId.
#[unsafe(no_mangle)]
pub extern "C" fn ssl_wce_get_current_process_id() -> u32 {
    shim!(ssl_wce_get_current_process_id, 0, Ok(std::process::id()))
}
