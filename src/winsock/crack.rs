//! SslCrackCertificate: a certificate in the form in which Windows CE programs look at it.
//!
//! Those programs know nothing of subject alternative names: they compare the common name. Where a
//! certificate has one, they get it and nothing else. Where it has none, as with most certificates
//! of today, the name stands in that the library has verified in this handshake, or else the first
//! DNS name of the certificate.

use super::certificate::{Algorithm, Certificate, filetime};
use super::distinguished_name::escape;
use crate::error::Result;
use crate::verify::judged::judged;
use crate::verify::report::CAUSE_NAME;

/// What X509Certificate of schnlsp.h holds.
#[derive(Debug)]
pub struct Cracked {
    pub version: u32,
    pub serial: [u8; 16],
    pub signature_algorithm: u32,
    /// FILETIMEs.
    pub valid_from: u64,
    pub valid_until: u64,
    /// Printable ASCII.
    pub issuer: String,
    pub subject: String,
    pub key_type: u32,
    pub key: Vec<u8>,
}

pub fn crack(der: &[u8]) -> Result<Cracked> {
    let certificate = Certificate::parse(der)?;
    let stand_in = verified_name(der).or_else(|| {
        let first = certificate.dns_names.first()?;
        Some(escape(&String::from_utf8_lossy(first), |_| false))
    });
    let mut serial = [0; 16];
    for (to, from) in serial.iter_mut().zip(&certificate.serial) {
        *to = *from;
    }
    Ok(Cracked {
        version: certificate.version,
        serial,
        signature_algorithm: hash_of(&certificate.signature),
        valid_from: filetime(certificate.not_before),
        valid_until: filetime(certificate.not_after),
        issuer: certificate.issuer_name().of_authority(),
        subject: certificate.subject_name().of_host(stand_in.as_deref()),
        key_type: kind_of(&certificate.key_algorithm),
        key: certificate.key().to_vec(),
    })
}

/// The name for which this very certificate has been found good, if that is what a hook on this
/// thread is being asked about.
fn verified_name(der: &[u8]) -> Option<String> {
    let report = judged(der)?;
    report.expected.clone().filter(|_| report.causes & CAUSE_NAME == 0)
}

/// The ALG_ID by which Windows knows a signature algorithm, that of its hash; 0 if there is none.
fn hash_of(signature: &Algorithm) -> u32 {
    match signature.identifier.as_str() {
        "1.2.840.113549.1.1.2" => CALG_MD2,
        "1.2.840.113549.1.1.4" => CALG_MD5,
        "1.2.840.113549.1.1.5" | "1.2.840.10040.4.3" | "1.2.840.10045.4.1" => CALG_SHA1,
        "1.2.840.113549.1.1.11" | "1.2.840.10045.4.3.2" => CALG_SHA_256,
        "1.2.840.113549.1.1.12" | "1.2.840.10045.4.3.3" => CALG_SHA_384,
        "1.2.840.113549.1.1.13" | "1.2.840.10045.4.3.4" => CALG_SHA_512,
        _ => 0,
    }
}

fn kind_of(key: &Algorithm) -> u32 {
    match key.identifier.as_str() {
        "1.2.840.113549.1.1.1" => CALG_RSA_KEYX,
        "1.2.840.10040.4.1" => CALG_DSS_SIGN,
        "1.2.840.10045.2.1" => CALG_ECDSA,
        _ => 0,
    }
}

const CALG_MD2: u32 = 0x8001;
const CALG_MD5: u32 = 0x8003;
const CALG_SHA1: u32 = 0x8004;
const CALG_SHA_256: u32 = 0x800c;
const CALG_SHA_384: u32 = 0x800d;
const CALG_SHA_512: u32 = 0x800e;
const CALG_DSS_SIGN: u32 = 0x2200;
const CALG_ECDSA: u32 = 0x2203;
const CALG_RSA_KEYX: u32 = 0xa400;

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::verify::judged::judge;
    use crate::verify::tests::fixtures::{Ca, END, Leaf, START, examine, openssl_leaf};

    fn named(ca: &Ca, common_name: &str, names: &[&str]) -> Leaf {
        ca.leaf(names, |params| {
            params.distinguished_name = rcgen::DistinguishedName::new();
            if !common_name.is_empty() {
                params.distinguished_name.push(rcgen::DnType::CommonName, common_name);
            }
            params.serial_number = Some(vec![0x11; 20].into());
        })
    }

    #[test]
    fn all_of_it_is_told() {
        let leaf = named(&Ca::root("Root"), "a.test", &["b.test"]);
        let cracked = crack(&leaf.der).unwrap();
        assert_eq!((cracked.version, cracked.serial), (2, [0x11; 16]));
        assert_eq!((cracked.signature_algorithm, cracked.key_type), (CALG_SHA_256, CALG_ECDSA));
        assert_eq!((cracked.valid_from, cracked.valid_until), (filetime(START), filetime(END)));
        assert_eq!((cracked.issuer.as_str(), cracked.subject.as_str()), ("CN=Root", "CN=a.test"));
        assert_eq!(cracked.key.len(), 65);
        let rsa = openssl_leaf("a.test", &["-newkey", "rsa:2048", "-sha384"]);
        let cracked = crack(&rsa).unwrap();
        assert_eq!((cracked.signature_algorithm, cracked.key_type), (CALG_SHA_384, CALG_RSA_KEYX));
        assert!(cracked.key.starts_with(&[0x30, 0x82]), "RSAPublicKey");
    }

    #[test]
    fn what_stands_in_for_a_missing_common_name() {
        let ca = Ca::root("Root");
        let (nameless, usual) =
            (named(&ca, "", &["a.test", "b.test"]), named(&ca, "c.test", &["a.test", "b.test"]));
        let subject = |leaf: &Leaf| crack(&leaf.der).unwrap().subject;
        assert_eq!(subject(&nameless), "CN=a.test");
        let report = |leaf: &Leaf, host: &str| Arc::new(examine(&[&ca], &[&leaf.der], host));
        // Inside the hook: the name that was verified.
        judge(&report(&nameless, "b.test"), || assert_eq!(subject(&nameless), "CN=b.test"));
        // Not one that the certificate is not for.
        judge(&report(&nameless, "other.test"), || assert_eq!(subject(&nameless), "CN=a.test"));
        // Another certificate's hook says nothing of this one.
        judge(&report(&usual, "b.test"), || {
            assert_eq!(subject(&nameless), "CN=a.test");
            assert_eq!(subject(&usual), "CN=c.test", "a common name stays what it is");
        });
        let names = ["good.example, CN=evil", "x"].map(|name| name.to_owned());
        let hostile = ca.leaf(&["a.test"], |params| {
            params.distinguished_name = rcgen::DistinguishedName::new();
            let names = names
                .each_ref()
                .map(|name| rcgen::SanType::DnsName(name.as_str().try_into().unwrap()));
            params.subject_alt_names = names.to_vec();
        });
        assert_eq!(subject(&hostile), "CN=good.example\\x2c\\x20CN\\x3devil");
    }
}
