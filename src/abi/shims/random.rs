//! Windows: CryptGenRandom, and the providers that it asks for.

use std::ffi::c_void;

use super::boundary::{invalid_argument, shim};
use super::contexts::check_source;
use crate::abi::memory;
use crate::error::Result;
use crate::winsock::error::ERROR_INVALID_PARAMETER;
use crate::winsock::random;

/// Windows: CryptAcquireContextA. There is one provider, without keys, whatever the names are.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ssl_wce_acquire_context_a(
    provider: *mut usize,
    _container: *const c_void,
    _name: *const c_void,
    _kind: u32,
    flags: u32,
) -> i32 {
    shim!(ssl_wce_acquire_context_a, 0, {
        // SAFETY: writable as Windows demands.
        unsafe { acquire(provider, flags) }
    })
}

/// Windows: CryptAcquireContextW.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ssl_wce_acquire_context_w(
    provider: *mut usize,
    _container: *const c_void,
    _name: *const c_void,
    _kind: u32,
    flags: u32,
) -> i32 {
    shim!(ssl_wce_acquire_context_w, 0, {
        // SAFETY: writable as Windows demands.
        unsafe { acquire(provider, flags) }
    })
}

/// Windows: CryptGenRandom.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ssl_wce_gen_random(provider: usize, length: u32, buffer: *mut u8) -> i32 {
    shim!(ssl_wce_gen_random, 0, {
        random::check(provider)?;
        // SAFETY: writable as Windows demands.
        let buffer = unsafe { memory::bytes_mut(buffer, length as usize, "pbBuffer") }
            .map_err(invalid_argument(ERROR_INVALID_PARAMETER))?;
        random::fill(buffer)?;
        Ok(1)
    })
}

/// Windows: CryptReleaseContext.
#[unsafe(no_mangle)]
pub extern "C" fn ssl_wce_release_context(provider: usize, _flags: u32) -> i32 {
    shim!(ssl_wce_release_context, 0, {
        random::release(provider)?;
        Ok(1)
    })
}

/// # Safety
/// A pointer that is not NULL and aligned is writable.
unsafe fn acquire(provider: *mut usize, flags: u32) -> Result<i32> {
    check_source(provider, "phProv")?;
    let token = random::acquire(flags)?;
    // SAFETY: checked above; writable as the caller promises.
    unsafe { provider.write(token) };
    Ok(1)
}
