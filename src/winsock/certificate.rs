//! An X.509 certificate as Windows's structures show it: pieces of its own DER.

use std::ops::Range;

use rustls::pki_types::UnixTime;
use x509_parser::certificate::X509Certificate;
use x509_parser::extensions::{GeneralName, ParsedExtension};
use x509_parser::oid_registry::Oid;
use x509_parser::prelude::FromDer;
use x509_parser::x509::AlgorithmIdentifier;

use super::distinguished_name::DistinguishedName;
use super::error::{self, CRYPT_E_ASN1_BADTAG};
use crate::error::Result;

/// A parsed certificate. The ranges are places in [`Certificate::der`].
#[derive(Debug)]
pub struct Certificate {
    pub der: Vec<u8>,
    /// As encoded: 2 for version 3.
    pub version: u32,
    /// Least significant byte first.
    pub serial: Vec<u8>,
    pub signature: Algorithm,
    pub issuer: Range<usize>,
    pub subject: Range<usize>,
    /// Unix seconds.
    pub not_before: i64,
    pub not_after: i64,
    pub key_algorithm: Algorithm,
    pub key: Range<usize>,
    pub key_unused_bits: u32,
    pub extensions: Vec<Extension>,
    /// The subject alternative names that are DNS names, as they stand there.
    pub dns_names: Vec<Vec<u8>>,
    pub email: Option<Vec<u8>>,
}

#[derive(Debug)]
pub struct Algorithm {
    /// Dotted.
    pub identifier: String,
    /// The DER of the parameters, empty if there are none.
    pub parameters: Range<usize>,
}

#[derive(Debug)]
pub struct Extension {
    pub identifier: String,
    pub critical: bool,
    pub value: Range<usize>,
}

impl Certificate {
    pub fn parse(der: &[u8]) -> Result<Self> {
        Self::read(der).ok_or_else(|| {
            error::failure(
                CRYPT_E_ASN1_BADTAG,
                format!("these {} bytes are no X.509 certificate in DER", der.len()),
            )
        })
    }

    pub fn issuer(&self) -> &[u8] {
        self.piece(&self.issuer)
    }

    pub fn subject(&self) -> &[u8] {
        self.piece(&self.subject)
    }

    pub fn issuer_name(&self) -> DistinguishedName {
        DistinguishedName::parse(self.issuer()).unwrap_or_default()
    }

    pub fn subject_name(&self) -> DistinguishedName {
        DistinguishedName::parse(self.subject()).unwrap_or_default()
    }

    pub fn key(&self) -> &[u8] {
        self.piece(&self.key)
    }

    pub fn is_self_issued(&self) -> bool {
        self.subject() == self.issuer()
    }

    fn piece(&self, range: &Range<usize>) -> &[u8] {
        self.der.get(range.clone()).unwrap_or_default()
    }

    fn read(der: &[u8]) -> Option<Self> {
        let (_, parsed) =
            X509Certificate::from_der(der).ok().filter(|(rest, _)| rest.is_empty())?;
        let tbs = &parsed.tbs_certificate;
        let place = |piece: &[u8]| place(der, piece);
        let mut certificate = Self {
            version: tbs.version.0,
            serial: tbs.raw_serial().iter().rev().copied().collect(),
            signature: algorithm(der, &parsed.signature_algorithm),
            issuer: place(tbs.issuer.as_raw()),
            subject: place(tbs.subject.as_raw()),
            not_before: tbs.validity.not_before.timestamp(),
            not_after: tbs.validity.not_after.timestamp(),
            key_algorithm: algorithm(der, &tbs.subject_pki.algorithm),
            key: place(&tbs.subject_pki.subject_public_key.data),
            key_unused_bits: tbs.subject_pki.subject_public_key.unused_bits.into(),
            extensions: Vec::new(),
            dns_names: Vec::new(),
            email: None,
            der: der.to_vec(),
        };
        for extension in tbs.extensions() {
            certificate.extensions.push(Extension {
                identifier: extension.oid.to_id_string(),
                critical: extension.critical,
                value: place(extension.value),
            });
            let ParsedExtension::SubjectAlternativeName(names) = extension.parsed_extension()
            else {
                continue;
            };
            for name in &names.general_names {
                match name {
                    GeneralName::DNSName(name) => {
                        certificate.dns_names.push(name.as_bytes().to_vec())
                    }
                    GeneralName::RFC822Name(name) if certificate.email.is_none() => {
                        certificate.email = Some(name.as_bytes().to_vec());
                    }
                    _ => {}
                }
            }
        }
        Some(certificate)
    }
}

/// Windows's time of a Unix time: since 1601, in 100 ns. What it cannot hold becomes its end.
pub fn filetime(seconds: i64) -> u64 {
    seconds.saturating_add(SECONDS_SINCE_1601).max(0).saturating_mul(10_000_000) as u64
}

/// The time now, as Windows has it.
pub fn now() -> u64 {
    filetime(i64::try_from(UnixTime::now().as_secs()).unwrap_or(i64::MAX))
}

/// The other way round, rounded down.
pub fn unix_time(filetime: u64) -> i64 {
    (filetime / 10_000_000) as i64 - SECONDS_SINCE_1601
}

fn algorithm(der: &[u8], identifier: &AlgorithmIdentifier<'_>) -> Algorithm {
    let parameters = identifier.parameters.as_ref().map_or(0..0, |parameters| {
        let content = place(der, parameters.data);
        // In front of the content stand the tag and the length, which has been read as valid.
        let header = match content.len() {
            0..0x80 => 2,
            0x80..0x100 => 3,
            _ => 4,
        };
        content.start.saturating_sub(header)..content.end
    });
    Algorithm { identifier: dotted(&identifier.algorithm), parameters }
}

fn dotted(identifier: &Oid<'_>) -> String {
    identifier.to_id_string()
}

/// Where a piece of `der` is in it.
fn place(der: &[u8], piece: &[u8]) -> Range<usize> {
    let start = (piece.as_ptr() as usize).wrapping_sub(der.as_ptr() as usize);
    match start.checked_add(piece.len()) {
        Some(end) if end <= der.len() => start..end,
        _ => 0..0,
    }
}

const SECONDS_SINCE_1601: i64 = 11_644_473_600;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::verify::tests::fixtures::{Ca, END, START};

    #[test]
    fn every_piece_is_where_it_should_be() {
        let leaf = Ca::root("Root").leaf(&["a.test", "b.test"], |params| {
            params.serial_number = Some(vec![1, 2, 3].into());
        });
        let certificate = Certificate::parse(&leaf.der).unwrap();
        assert_eq!(certificate.version, 2);
        assert_eq!(certificate.serial, [3, 2, 1]);
        assert_eq!((certificate.not_before, certificate.not_after), (START, END));
        assert_eq!(certificate.dns_names, [b"a.test", b"b.test"]);
        assert_eq!(certificate.signature.identifier, "1.2.840.10045.4.3.2");
        assert!(certificate.signature.parameters.is_empty());
        assert_eq!(certificate.key_algorithm.identifier, "1.2.840.10045.2.1");
        // P-256.
        let curve = [6, 8, 0x2a, 0x86, 0x48, 0xce, 0x3d, 3, 1, 7];
        assert_eq!(certificate.der[certificate.key_algorithm.parameters.clone()], curve);
        assert_eq!((certificate.key().len(), certificate.key()[0]), (65, 4));
        assert!(leaf.spki().ends_with(certificate.key()));
        assert_eq!(certificate.issuer()[0], 0x30);
        assert_eq!(certificate.issuer_name().common_name().as_deref(), Some("Root"));
        let names =
            certificate.extensions.iter().find(|one| one.identifier == "2.5.29.17").unwrap();
        assert!(certificate.der[names.value.clone()].ends_with(b"b.test"));
    }

    #[test]
    fn what_is_no_certificate_is_refused_with_windowss_number() {
        let der = Ca::root("Root").der;
        for bad in [b"".as_slice(), b"\x30", &der[..der.len() - 1], &[&der[..], b"x"].concat()] {
            let error = Certificate::parse(bad).unwrap_err();
            assert_eq!(error::number(&error), CRYPT_E_ASN1_BADTAG);
        }
    }

    #[test]
    fn times_keep_within_what_windows_can_hold() {
        assert_eq!(filetime(0), 116_444_736_000_000_000);
        assert_eq!(filetime(-SECONDS_SINCE_1601), 0);
        assert_eq!(filetime(i64::MIN), 0);
        assert_eq!(filetime(i64::MAX), i64::MAX as u64);
        for seconds in [0, START, -1, 253_402_300_799] {
            assert_eq!(unix_time(filetime(seconds)), seconds);
        }
    }
}
