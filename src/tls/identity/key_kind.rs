//! What kind of key a certificate is for, and which signatures it makes.

use rustls::pki_types::CertificateDer;
use rustls::{SignatureAlgorithm, SignatureScheme};
use x509_parser::certificate::X509Certificate;
use x509_parser::oid_registry::{
    OID_EC_P256, OID_KEY_TYPE_DSA, OID_KEY_TYPE_EC_PUBLIC_KEY, OID_NIST_EC_P384, OID_NIST_EC_P521,
    OID_PKCS1_RSAENCRYPTION, OID_PKCS1_RSASSAPSS, OID_SIG_ED448, OID_SIG_ED25519, Oid,
};
use x509_parser::prelude::FromDer;

use crate::verify::rsa_bits_of;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KeyKind {
    Rsa,
    EcP256,
    EcP384,
    EcP521,
    Ed25519,
}

impl KeyKind {
    /// Of a certificate's key; otherwise why it cannot sign here.
    pub fn of(certificate: &CertificateDer<'_>) -> Result<Self, String> {
        let (_, parsed) = X509Certificate::from_der(certificate)
            .map_err(|_| "the certificate is not X.509".to_owned())?;
        let key = &parsed.tbs_certificate.subject_pki;
        let parameters = key.algorithm.parameters.as_ref();
        let curve = parameters.and_then(|any| Oid::try_from(any.clone()).ok());
        let kind = Self::named(&key.algorithm.algorithm, curve.as_ref())?;
        if kind == Self::Rsa {
            let bits = rsa_bits_of(&key.raw.into()).unwrap_or(0);
            if !RSA_BITS.contains(&bits) {
                return Err(wrong_size(bits));
            }
        }
        Ok(kind)
    }

    /// By the object identifiers of a key's algorithm and of its curve.
    pub fn named(algorithm: &Oid<'_>, curve: Option<&Oid<'_>>) -> Result<Self, String> {
        let is = |oid: &Oid<'_>| algorithm == oid;
        if is(&OID_PKCS1_RSAENCRYPTION) {
            return Ok(Self::Rsa);
        }
        if is(&OID_SIG_ED25519) {
            return Ok(Self::Ed25519);
        }
        if is(&OID_KEY_TYPE_EC_PUBLIC_KEY) {
            return match curve {
                Some(curve) if *curve == OID_EC_P256 => Ok(Self::EcP256),
                Some(curve) if *curve == OID_NIST_EC_P384 => Ok(Self::EcP384),
                Some(curve) if *curve == OID_NIST_EC_P521 => Ok(Self::EcP521),
                Some(curve) => Err(no_such(&format!("EC key on the curve {}", curve_name(curve)))),
                None => Err(no_such("EC key on a curve without a name")),
            };
        }
        let name = if is(&OID_KEY_TYPE_DSA) {
            "DSA key".to_owned()
        } else if is(&OID_SIG_ED448) {
            "Ed448 key".to_owned()
        } else if is(&OID_PKCS1_RSASSAPSS) {
            "RSA key for RSASSA-PSS alone".to_owned()
        } else {
            format!("key of the kind {}", algorithm.to_id_string())
        };
        Err(no_such(&name))
    }

    /// Most wanted first.
    pub fn schemes(self) -> &'static [SignatureScheme] {
        match self {
            Self::Rsa => &[
                SignatureScheme::RSA_PSS_SHA256,
                SignatureScheme::RSA_PSS_SHA384,
                SignatureScheme::RSA_PSS_SHA512,
                SignatureScheme::RSA_PKCS1_SHA256,
                SignatureScheme::RSA_PKCS1_SHA384,
                SignatureScheme::RSA_PKCS1_SHA512,
            ],
            Self::EcP256 => &[SignatureScheme::ECDSA_NISTP256_SHA256],
            Self::EcP384 => &[SignatureScheme::ECDSA_NISTP384_SHA384],
            Self::EcP521 => &[SignatureScheme::ECDSA_NISTP521_SHA512],
            Self::Ed25519 => &[SignatureScheme::ED25519],
        }
    }

    pub fn algorithm(self) -> SignatureAlgorithm {
        match self {
            Self::Rsa => SignatureAlgorithm::RSA,
            Self::EcP256 | Self::EcP384 | Self::EcP521 => SignatureAlgorithm::ECDSA,
            Self::Ed25519 => SignatureAlgorithm::ED25519,
        }
    }

    /// With its article.
    pub fn name(self) -> &'static str {
        match self {
            Self::Rsa => "an RSA key",
            Self::EcP256 => "an EC key on P-256",
            Self::EcP384 => "an EC key on P-384",
            Self::EcP521 => "an EC key on P-521",
            Self::Ed25519 => "an Ed25519 key",
        }
    }
}

pub fn wrong_size(bits: usize) -> String {
    format!(
        "an RSA key of {bits} bits is not accepted: it has to have {} to {}",
        RSA_BITS.start(),
        RSA_BITS.end()
    )
}

fn no_such(name: &str) -> String {
    let article = if name.starts_with(['E', 'R']) { "an" } else { "a" };
    format!("{article} {name} cannot be used: take {USABLE}")
}

fn curve_name(curve: &Oid<'_>) -> String {
    match curve.to_id_string().as_str() {
        "1.3.132.0.33" => "P-224".to_owned(),
        "1.2.840.10045.3.1.1" => "P-192".to_owned(),
        "1.3.132.0.10" => "secp256k1".to_owned(),
        number => number.to_owned(),
    }
}

const USABLE: &str = "one of RSA (2048 bits or more), EC on P-256, P-384 or P-521, or Ed25519";
const RSA_BITS: std::ops::RangeInclusive<usize> = 2048..=8192;
