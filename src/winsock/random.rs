//! Random numbers, and the providers that programs ask for to get some.

use std::sync::Arc;

use super::error::{NTE_BAD_FLAGS, NTE_BAD_UID, failure};
use crate::error::{Error, Result};
use crate::handle::Table;

/// A provider without keys.
pub fn acquire(flags: u32) -> Result<usize> {
    if flags & !KNOWN_FLAGS != 0 {
        return Err(failure(
            NTE_BAD_FLAGS,
            format!("the provider has no keys: flags {flags:#x} are not supported"),
        ));
    }
    PROVIDERS.insert(|_| Arc::new(())).map(|token| token.raw())
}

pub fn check(provider: usize) -> Result<()> {
    PROVIDERS.get(provider).map(drop).map_err(no_provider)
}

pub fn fill(buffer: &mut [u8]) -> Result<()> {
    aws_lc_rs::rand::fill(buffer).map_err(|_| Error::internal("there are no random numbers"))
}

pub fn release(provider: usize) -> Result<()> {
    PROVIDERS.remove(provider).map(drop).map_err(no_provider)
}

fn no_provider(_: Error) -> Error {
    failure(NTE_BAD_UID, "this is no live provider: get one from CryptAcquireContext")
}

/// CRYPT_VERIFYCONTEXT, CRYPT_NEWKEYSET, CRYPT_MACHINE_KEYSET, CRYPT_SILENT.
const KNOWN_FLAGS: u32 = 0xf000_0000 | 0x8 | 0x20 | 0x40;

static PROVIDERS: Table<()> = Table::new();
