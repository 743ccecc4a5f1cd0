//! Keys and signature algorithms that are not good enough. No hook can accept what is found here:
//! whoever can make such a key or signature is not known to be anybody.

use rustls::crypto::WebPkiSupportedAlgorithms;
use rustls::pki_types::{CertificateDer, SubjectPublicKeyInfoDer};
use webpki::VerifiedPath;
use x509_parser::asn1_rs::Any;
use x509_parser::prelude::FromDer;

use super::facts::{Facts, rsa_bits_of};
use super::report::{CAUSE_WEAK_KEY, Finding};
use super::signature::names_algorithm;
use super::text::{NAME_LIMIT, escape};

/// What is wrong with the key of a certificate, which is `what` in the text.
pub(super) fn check_key(
    facts: &Facts,
    what: &str,
    supported: &WebPkiSupportedAlgorithms,
) -> Option<Finding> {
    check_public_key(&facts.key, facts.rsa_bits, what, supported)
}

/// The same of the key alone; `rsa_bits` is its size if it is one of RSA.
pub(super) fn check_public_key(
    key: &[u8],
    rsa_bits: Option<usize>,
    what: &str,
    supported: &WebPkiSupportedAlgorithms,
) -> Option<Finding> {
    let identifier = key_algorithm(key).unwrap_or_default();
    let is_supported = |identifier: &[u8]| {
        supported.all.iter().any(|algorithm| algorithm.public_key_alg_id().as_ref() == identifier)
    };
    let flaw = match rsa_bits {
        Some(bits) if bits < MINIMUM_BITS => {
            format!("has an RSA key of {bits} bits; {AT_LEAST}")
        }
        Some(bits) if bits > MAXIMUM_BITS => {
            format!("has an RSA key of {bits} bits; at most {MAXIMUM_BITS} are supported")
        }
        _ if !is_supported(identifier) => {
            format!("has a key of a kind that is not supported ({})", key_kind(identifier))
        }
        _ => return None,
    };
    Some(Finding::new(CAUSE_WEAK_KEY, format!("{what} {flaw}")))
}

/// The first thing that is too weak on the way up from the leaf, by names, among what the peer has
/// sent: for a chain that leads to nobody, where webpki looks at no signature.
pub(super) fn check_upwards(
    leaf: &Facts,
    others: &[Facts],
    supported: &WebPkiSupportedAlgorithms,
) -> Option<Finding> {
    let mut top = leaf;
    for _ in 0..=others.len() {
        // What a certificate says of itself by its own signature counts for nothing.
        if top.is_self_issued() {
            return None;
        }
        if !is_supported(&top.signed.algorithm, supported) {
            return Some(weak_signature(&top.signed.algorithm));
        }
        top = others.iter().find(|other| other.subject_der == top.issuer_der)?;
        let what = format!("CA certificate \"{}\"", top.subject);
        if let Some(finding) = check_key(top, &what, supported) {
            return Some(finding);
        }
    }
    None
}

/// webpki does not look at it: a CA certificate whose key is meant for something else, such as
/// revocation lists alone, issues nothing.
pub(super) fn check_key_usage(path: &VerifiedPath<'_>) -> Result<(), webpki::Error> {
    let may_sign = |der: CertificateDer<'_>| {
        Facts::parse(&der).is_some_and(|facts| facts.may_sign_certificates)
    };
    match path.intermediate_certificates().all(|issuer| may_sign(issuer.der())) {
        true => Ok(()),
        false => Err(webpki::Error::EndEntityUsedAsCa),
    }
}

/// The size of the RSA key of one of these issuers, if that is why signatures by it do not count.
pub(super) fn weak_issuer<'a>(
    trusted: impl Iterator<Item = SubjectPublicKeyInfoDer<'a>>,
    others: &[Facts],
) -> Option<Finding> {
    let sizes = trusted.filter_map(|key| rsa_bits_of(&key));
    let bits = sizes
        .chain(others.iter().filter_map(|other| other.rsa_bits))
        .find(|&bits| bits < MINIMUM_BITS)?;
    let text = format!("a CA of the chain has an RSA key of {bits} bits; {AT_LEAST}");
    Some(Finding::new(CAUSE_WEAK_KEY, text))
}

/// `algorithm` is the contents of an object identifier.
pub(super) fn weak_signature(algorithm: &[u8]) -> Finding {
    Finding::new(
        CAUSE_WEAK_KEY,
        format!(
            "a certificate in the chain is signed with {}, which is not accepted",
            signature_kind(algorithm)
        ),
    )
}

/// The name of a signature algorithm, from the contents of its object identifier.
pub(super) fn signature_kind(algorithm: &[u8]) -> String {
    match algorithm {
        [0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 1, 4] => "MD5 and RSA".to_owned(),
        [0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 1, 5] => "SHA-1 and RSA".to_owned(),
        [0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 1, 10] => {
            "RSA-PSS and a hash or salt of another kind".to_owned()
        }
        [0x2a, 0x86, 0x48, 0xce, 0x3d, 4, 1] => "SHA-1 and ECDSA".to_owned(),
        [0x2b, 0x65, 0x71] => "Ed448".to_owned(),
        other => format!("an unknown algorithm ({})", escape(other, NAME_LIMIT)),
    }
}

/// The contents of the object identifier with which the DER of an algorithm identifier begins.
pub(super) fn object(identifier: &[u8]) -> &[u8] {
    match identifier {
        [6, length, rest @ ..] => rest.get(..usize::from(*length)).unwrap_or(rest),
        other => other,
    }
}

fn is_supported(algorithm: &[u8], supported: &WebPkiSupportedAlgorithms) -> bool {
    supported.all.iter().any(|known| names_algorithm(known.signature_alg_id().as_ref(), algorithm))
}

/// The contents of the algorithm identifier in a SubjectPublicKeyInfo, as webpki compares them.
fn key_algorithm(key: &[u8]) -> Option<&[u8]> {
    let (_, key) = Any::from_der(key).ok()?;
    Some(Any::from_der(key.data).ok()?.1.data)
}

fn key_kind(identifier: &[u8]) -> String {
    let kind = object(identifier);
    let parameters = identifier.get(2 + kind.len()..).map(object).unwrap_or_default();
    let name = match (kind, parameters) {
        (EC, [0x2b, 0x81, 0x04, 0, 33]) => "elliptic curve P-224",
        (EC, [0x2b, 0x81, 0x04, 0, 10]) => "elliptic curve secp256k1",
        (EC, [0x2a, 0x86, 0x48, 0xce, 0x3d, 3, 1, 1]) => "elliptic curve P-192",
        (EC, _) => "an elliptic curve that is not P-256, P-384 or P-521",
        ([0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 1, 10], _) => "RSA for PSS signatures alone",
        ([0x2a, 0x86, 0x48, 0xce, 0x38, 4, 1], _) => "DSA",
        ([0x2b, 0x65, 0x71], _) => "Ed448",
        _ => return escape(kind, NAME_LIMIT),
    };
    name.to_owned()
}

const AT_LEAST: &str = "at least 2048 are needed";
const MINIMUM_BITS: usize = 2048;
const MAXIMUM_BITS: usize = 8192;
const EC: &[u8] = &[0x2a, 0x86, 0x48, 0xce, 0x3d, 2, 1];
