//! The numbers of the SO_SSL_* codes. None of them means anything to the kernel's ioctl.
//!
//! Each is the family 0x730000 with a tag, the class of protocol families (0x10000000) and the
//! direction: 0x80000000 in, 0x40000000 out.

use crate::error::{Code, Error, Result};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Operation {
    GetCapabilities,
    SetFlags,
    GetFlags,
    SetProtocols,
    GetProtocols,
    SetCiphers,
    GetCiphers,
    SetClientOpts,
    GetClientOpts,
    SetServerOpts,
    GetServerOpts,
    SetClientAuthOpts,
    GetClientAuthOpts,
    SetValidateCertHook,
    GetValidateCertHook,
    SetAuthRequestHook,
    GetAuthRequestHook,
    SetKeyExchangeHook,
    GetKeyExchangeHook,
    SetSignatureHook,
    GetSignatureHook,
    SetPeerName,
    PerformHandshake,
    GetConnectionInfo,
}

impl Operation {
    /// Whether it changes settings.
    pub fn sets(self) -> bool {
        matches!(
            self,
            Self::SetFlags
                | Self::SetProtocols
                | Self::SetCiphers
                | Self::SetClientOpts
                | Self::SetServerOpts
                | Self::SetClientAuthOpts
                | Self::SetValidateCertHook
                | Self::SetAuthRequestHook
                | Self::SetKeyExchangeHook
                | Self::SetSignatureHook
                | Self::SetPeerName
        )
    }
}

/// Whether a code has an input; the others' input buffer may be whatever it is.
pub fn takes_input(code: u32) -> bool {
    find(code).is_ok_and(|(_, operation)| {
        operation.sets() || matches!(operation, Operation::GetCiphers | Operation::PerformHandshake)
    })
}

/// The name of a code, and what it asks for.
pub fn find(code: u32) -> Result<(&'static str, Operation)> {
    let found = CODES.iter().find(|&&(number, ..)| number == code);
    found.map(|&(_, name, operation)| (name, operation)).ok_or_else(|| {
        Error::new(Code::INVALID, format!("{code:#010x} is none of the SO_SSL_* codes"))
    })
}

/// The peer name's number is known from one source, with the wrong direction; all three are taken.
const CODES: &[(u32, &str, Operation)] = &[
    (0x5073_0001, "SO_SSL_GET_CAPABILITIES", Operation::GetCapabilities),
    (0x9073_0002, "SO_SSL_SET_FLAGS", Operation::SetFlags),
    (0x5073_0002, "SO_SSL_GET_FLAGS", Operation::GetFlags),
    (0x9073_0003, "SO_SSL_SET_PROTOCOLS", Operation::SetProtocols),
    (0x5073_0003, "SO_SSL_GET_PROTOCOLS", Operation::GetProtocols),
    (0x9073_0004, "SO_SSL_SET_CIPHERS", Operation::SetCiphers),
    (0xD073_0004, "SO_SSL_GET_CIPHERS", Operation::GetCiphers),
    (0x9073_0005, "SO_SSL_SET_CLIENT_OPTS", Operation::SetClientOpts),
    (0x5073_0005, "SO_SSL_GET_CLIENT_OPTS", Operation::GetClientOpts),
    (0x9073_0006, "SO_SSL_SET_SERVER_OPTS", Operation::SetServerOpts),
    (0x5073_0006, "SO_SSL_GET_SERVER_OPTS", Operation::GetServerOpts),
    (0x9073_0007, "SO_SSL_SET_CLIENT_AUTH_OPTS", Operation::SetClientAuthOpts),
    (0x5073_0007, "SO_SSL_GET_CLIENT_AUTH_OPTS", Operation::GetClientAuthOpts),
    (0x9073_0008, "SO_SSL_SET_VALIDATE_CERT_HOOK", Operation::SetValidateCertHook),
    (0x5073_0008, "SO_SSL_GET_VALIDATE_CERT_HOOK", Operation::GetValidateCertHook),
    (0x9073_0009, "SO_SSL_SET_AUTH_REQUEST_HOOK", Operation::SetAuthRequestHook),
    (0x5073_0009, "SO_SSL_GET_AUTH_REQUEST_HOOK", Operation::GetAuthRequestHook),
    (0x9073_000A, "SO_SSL_SET_KEY_EXCH_HOOK", Operation::SetKeyExchangeHook),
    (0x5073_000A, "SO_SSL_GET_KEY_EXCH_HOOK", Operation::GetKeyExchangeHook),
    (0x9073_000B, "SO_SSL_SET_SIGNATURE_HOOK", Operation::SetSignatureHook),
    (0x5073_000B, "SO_SSL_GET_SIGNATURE_HOOK", Operation::GetSignatureHook),
    (0x1073_000D, "SO_SSL_PERFORM_HANDSHAKE", Operation::PerformHandshake),
    (0x5073_000E, "SO_SSL_GET_CONNECTION_INFO", Operation::GetConnectionInfo),
    (0x9073_000F, "SO_SSL_SET_PEERNAME", Operation::SetPeerName),
    (0x5073_000F, "SO_SSL_SET_PEERNAME", Operation::SetPeerName),
    (0x1073_000F, "SO_SSL_SET_PEERNAME", Operation::SetPeerName),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_code_is_one_of_the_family_and_listed_once() {
        const DIRECTIONS: u32 = 0xC000_0000;
        for (at, &(code, name, operation)) in CODES.iter().enumerate() {
            // The class, the family, and a tag of one byte.
            assert_eq!(code & !DIRECTIONS & !0xff, 0x1073_0000, "{name}");
            assert!(CODES[at + 1..].iter().all(|&(other, ..)| other != code), "{name}");
            let is_in = code & 0x8000_0000 != 0;
            let is_known_by_name = name.contains("PEERNAME") || name.contains("PERFORM");
            assert!(is_known_by_name || is_in == name.contains("_SET_") || code == 0xD073_0004);
            assert_eq!(operation.sets(), name.contains("_SET_"), "{name}");
            assert_eq!(takes_input(code), is_in || is_known_by_name, "{name}");
        }
        assert_eq!(find(0x9073_0002), Ok(("SO_SSL_SET_FLAGS", Operation::SetFlags)));
        assert_eq!(find(0x8004_667E).unwrap_err().text, "0x8004667e is none of the SO_SSL_* codes");
    }

    #[test]
    fn signed_forms_are_the_same_bits() {
        for (signed, name) in [
            (-1_871_511_550, "SO_SSL_SET_FLAGS"),
            (-1_871_511_549, "SO_SSL_SET_PROTOCOLS"),
            (-1_871_511_544, "SO_SSL_SET_VALIDATE_CERT_HOOK"),
            (275_972_109, "SO_SSL_PERFORM_HANDSHAKE"),
            (1_349_713_934, "SO_SSL_GET_CONNECTION_INFO"),
            (1_349_713_922, "SO_SSL_GET_FLAGS"),
            (-1_871_511_537, "SO_SSL_SET_PEERNAME"),
            (1_349_713_935, "SO_SSL_SET_PEERNAME"),
        ] {
            assert_eq!(find(i32::cast_unsigned(signed)).map(|(name, _)| name), Ok(name));
        }
    }
}
