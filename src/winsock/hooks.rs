//! The hook of a key exchange, which can be cleared and not set.

use super::buffers;
use crate::error::{Code, Error, Result};

/// To clear it is all right; one that is accepted and never called would be worse than none.
pub fn clear_key_exchange(input: &[u8]) -> Result<()> {
    match buffers::hook(input, "SSLKEYEXCHANGEHOOK")? {
        (0, _) => Ok(()),
        _ => Err(Error::new(Code::UNSUPPORTED, KEY_EXCHANGE)),
    }
}

/// A hook as its structure has it.
pub fn to_bytes(hook: Option<(usize, usize)>) -> Vec<u8> {
    let (function, argument) = hook.unwrap_or((0, 0));
    [function.to_ne_bytes(), argument.to_ne_bytes()].concat()
}

const KEY_EXCHANGE: &str = "a key-exchange hook is not supported: no safe version of TLS has the \
                            RSA key exchange that it is for (nothing was changed)";
