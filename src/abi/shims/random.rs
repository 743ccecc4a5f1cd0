//! Windows: CryptGenRandom, and the providers that it asks for.

use std::ffi::c_void;
use std::sync::Arc;

use super::boundary::{invalid_argument, shim};
use super::contexts::check_source;
use crate::abi::memory;
use crate::error::{Error, Result};
use crate::handle::Table;
use crate::winsock::error::{ERROR_INVALID_PARAMETER, NTE_BAD_FLAGS, NTE_BAD_UID, failure};

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
        PROVIDERS.get(provider).map_err(no_provider)?;
        // SAFETY: writable as Windows demands.
        let buffer = unsafe { memory::bytes_mut(buffer, length as usize, "pbBuffer") }
            .map_err(invalid_argument(ERROR_INVALID_PARAMETER))?;
        aws_lc_rs::rand::fill(buffer)
            .map_err(|_| Error::internal("there are no random numbers"))?;
        Ok(1)
    })
}

/// Windows: CryptReleaseContext.
#[unsafe(no_mangle)]
pub extern "C" fn ssl_wce_release_context(provider: usize, _flags: u32) -> i32 {
    shim!(ssl_wce_release_context, 0, {
        PROVIDERS.remove(provider).map_err(no_provider)?;
        Ok(1)
    })
}

/// # Safety
/// A pointer that is not NULL and aligned is writable.
unsafe fn acquire(provider: *mut usize, flags: u32) -> Result<i32> {
    check_source(provider, "phProv")?;
    if flags & !KNOWN_FLAGS != 0 {
        return Err(failure(
            NTE_BAD_FLAGS,
            format!("the provider has no keys: flags {flags:#x} are not supported"),
        ));
    }
    let token = PROVIDERS.insert(|_| Arc::new(()))?;
    // SAFETY: checked above; writable as the caller promises.
    unsafe { provider.write(token.raw()) };
    Ok(1)
}

fn no_provider(_: Error) -> Error {
    failure(NTE_BAD_UID, "this is no live provider: get one from CryptAcquireContext")
}

/// CRYPT_VERIFYCONTEXT, CRYPT_NEWKEYSET, CRYPT_MACHINE_KEYSET, CRYPT_SILENT.
const KNOWN_FLAGS: u32 = 0xf000_0000 | 0x8 | 0x20 | 0x40;

static PROVIDERS: Table<()> = Table::new();
