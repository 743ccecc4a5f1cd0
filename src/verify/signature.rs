//! Signatures: those of the handshake, which are checked whatever the certificate looks like, and
//! those of issuers where webpki's path building gives no answer.

use std::sync::Arc;

use rustls::client::danger::HandshakeSignatureValid;
use rustls::crypto::WebPkiSupportedAlgorithms;
use rustls::pki_types::{CertificateDer, SubjectPublicKeyInfoDer};
use rustls::{
    CertificateError, DigitallySignedStruct, OtherError, PeerMisbehaved, SignatureScheme,
};

use super::facts::{Facts, Signed, public_key, rsa_bits_of};
use super::strength;
use crate::error::{Code, Error};

/// Checks a TLS 1.2 ServerKeyExchange signature with the leaf's bare key, see [`checkable_key`].
pub(super) fn verify_tls12(
    message: &[u8],
    key: &SubjectPublicKeyInfoDer<'_>,
    signed: &DigitallySignedStruct,
    supported: &WebPkiSupportedAlgorithms,
) -> Result<HandshakeSignatureValid, rustls::Error> {
    let candidates = supported
        .mapping
        .iter()
        .find(|(scheme, _)| *scheme == signed.scheme && is_for_tls12(*scheme))
        .map(|(_, candidates)| *candidates)
        .ok_or(PeerMisbehaved::SignedHandshakeWithUnadvertisedSigScheme)?;
    let key =
        webpki::RawPublicKeyEntity::try_from(key).map_err(|_| CertificateError::BadEncoding)?;

    // A scheme of TLS 1.2 does not name the curve: only that the key is of another kind is a
    // reason to try the next.
    let mut refusal = CertificateError::BadSignature;
    for candidate in candidates {
        match key.verify_signature(*candidate, message, signed.signature()) {
            Ok(()) => return Ok(HandshakeSignatureValid::assertion()),
            Err(webpki::Error::UnsupportedSignatureAlgorithmForPublicKeyContext(context)) => {
                refusal = CertificateError::UnsupportedSignatureAlgorithmForPublicKeyContext {
                    signature_algorithm_id: context.signature_algorithm_id,
                    public_key_algorithm_id: context.public_key_algorithm_id,
                };
            }
            Err(_) => return Err(CertificateError::BadSignature.into()),
        }
    }
    Err(refusal.into())
}

/// Checks a TLS 1.3 CertificateVerify signature in the same way.
pub(super) fn verify_tls13(
    message: &[u8],
    key: &SubjectPublicKeyInfoDer<'_>,
    signed: &DigitallySignedStruct,
    supported: &WebPkiSupportedAlgorithms,
) -> Result<HandshakeSignatureValid, rustls::Error> {
    // It also refuses the schemes that TLS 1.3 does not allow.
    rustls::crypto::verify_tls13_signature_with_raw_key(message, key, signed, supported)
}

/// Whether `key` has signed the certificate. Says nothing of whether it had the right to.
pub(super) fn is_signed_by(
    certificate: &Facts,
    key: &SubjectPublicKeyInfoDer<'_>,
    supported: &WebPkiSupportedAlgorithms,
) -> bool {
    is_signed_with(&certificate.signed, key, supported)
}

/// The same for anything that is signed as certificates are.
pub(super) fn is_signed_with(
    signed: &Signed,
    key: &SubjectPublicKeyInfoDer<'_>,
    supported: &WebPkiSupportedAlgorithms,
) -> bool {
    let Ok(key) = webpki::RawPublicKeyEntity::try_from(key) else { return false };
    supported
        .all
        .iter()
        .filter(|algorithm| {
            names_algorithm(algorithm.signature_alg_id().as_ref(), &signed.algorithm)
        })
        .any(|algorithm| {
            key.verify_signature(*algorithm, &signed.message, &signed.signature).is_ok()
        })
}

/// Whether the DER of an algorithm identifier begins with this object identifier. The parameters
/// only choose among the hashes of RSA-PSS, and all of those are tried.
pub(super) fn names_algorithm(identifier: &[u8], object: &[u8]) -> bool {
    match identifier {
        [OBJECT_IDENTIFIER, length, rest @ ..] => {
            usize::from(*length) == object.len() && rest.starts_with(object)
        }
        _ => false,
    }
}

/// The leaf's key, if a signature by it proves anything. Said here, because one by a key that is too
/// weak cannot be checked and would look like one that is wrong.
pub(super) fn checkable_key(
    leaf: &CertificateDer<'_>,
    supported: &WebPkiSupportedAlgorithms,
) -> Result<SubjectPublicKeyInfoDer<'static>, CertificateError> {
    let key = public_key(leaf).ok_or(CertificateError::BadEncoding)?;
    match strength::check_public_key(&key, rsa_bits_of(&key), "certificate", supported) {
        None => Ok(key),
        Some(finding) => Err(CertificateError::Other(OtherError(Arc::new(Error::new(
            Code::CERT_UNKNOWN,
            format!("{}; no hook can accept it: a signature by it proves nothing", finding.text),
        ))))),
    }
}

fn is_for_tls12(scheme: SignatureScheme) -> bool {
    matches!(
        scheme,
        SignatureScheme::RSA_PKCS1_SHA256
            | SignatureScheme::RSA_PKCS1_SHA384
            | SignatureScheme::RSA_PKCS1_SHA512
            | SignatureScheme::RSA_PSS_SHA256
            | SignatureScheme::RSA_PSS_SHA384
            | SignatureScheme::RSA_PSS_SHA512
            | SignatureScheme::ECDSA_NISTP256_SHA256
            | SignatureScheme::ECDSA_NISTP384_SHA384
            | SignatureScheme::ECDSA_NISTP521_SHA512
            | SignatureScheme::ED25519
    )
}

const OBJECT_IDENTIFIER: u8 = 6;
