//! The hooks beside that of the certificate: each can be cleared, and none can be set.

use super::buffers;
use crate::error::{Code, Error, Result};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unused {
    AuthRequest,
    KeyExchange,
    Signature,
}

impl Unused {
    /// To clear it is all right; one that is accepted and never called would be worse than none.
    pub fn set(self, input: &[u8]) -> Result<()> {
        let (structure, text) = match self {
            Self::AuthRequest => ("SSLAUTHREQUESTHOOK", AUTH_REQUEST),
            Self::KeyExchange => ("SSLKEYEXCHANGEHOOK", KEY_EXCHANGE),
            Self::Signature => ("SSLSIGNATUREHOOK", SIGNATURE),
        };
        match buffers::hook(input, structure)? {
            (0, _) => Ok(()),
            _ => Err(Error::new(Code::UNSUPPORTED, format!("{text} (nothing was changed)"))),
        }
    }
}

const AUTH_REQUEST: &str = "a hook that chooses a client certificate is not supported: give \
                            certificate and key to ssl_set_identity_pem or \
                            ssl_set_identity_file before the handshake";
const KEY_EXCHANGE: &str = "a key-exchange hook is not supported: no safe version of TLS has the \
                            RSA key exchange that it is for";
const SIGNATURE: &str = "a signature hook is not supported: it signs with MD5 and SHA-1, which \
                         are not safe; give certificate and key to ssl_set_identity_pem or \
                         ssl_set_identity_file before the handshake";
