//! What is said of PEM files that do not hold what was looked for.

use rustls::pki_types::pem::{self, SectionKind};

use crate::error::quote;

pub(super) fn describe(kind: SectionKind) -> &'static str {
    match kind {
        SectionKind::Certificate => "a certificate",
        SectionKind::RsaPrivateKey | SectionKind::PrivateKey | SectionKind::EcPrivateKey => {
            "a private key"
        }
        SectionKind::PublicKey => "a public key",
        SectionKind::Crl => "a revocation list",
        SectionKind::Csr => "a certificate request",
        _ => "something else",
    }
}

pub(super) fn damage(error: &pem::Error) -> String {
    match error {
        pem::Error::MissingSectionEnd { .. } => "it has no END line".to_owned(),
        pem::Error::IllegalSectionStart { .. } => "its BEGIN line is wrong".to_owned(),
        pem::Error::Base64Decode(detail) => format!("its base64 is wrong ({detail})"),
        error => quote(error.to_string().as_bytes()),
    }
}

/// Windows editors put a byte-order mark in front.
pub(super) fn without_mark(content: &[u8]) -> &[u8] {
    content.strip_prefix(b"\xef\xbb\xbf").unwrap_or(content)
}
