//! The certificate chain and private key by which this side proves who it is.

pub mod encoding;
mod key_kind;

use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::sync::Arc;

use aws_lc_rs::digest;
use rustls::crypto::aws_lc_rs::sign::any_supported_type;
use rustls::pki_types::{CertificateDer, SubjectPublicKeyInfoDer};
use rustls::sign::{CertifiedKey, SigningKey};
use x509_parser::certificate::X509Certificate;
use x509_parser::prelude::FromDer;

use encoding::PrivateKey;
pub use key_kind::KeyKind;

use super::program::SignatureHook;
use super::signer::ExternalKey;
use crate::error::{Code, Error, Result, quote};
use crate::sys::file;
use crate::verify::public_key;

#[derive(Clone)]
pub struct Identity {
    certified_key: Arc<CertifiedKey>,
    key: [u8; 32],
    /// The names in DER of whoever has issued a certificate of the chain.
    issuers: Arc<[Vec<u8>]>,
}

impl Identity {
    /// `chain`: certificates, leaf first; `private_key`: PKCS #8, PKCS #1 or SEC 1, not encrypted.
    /// Both PEM or DER; in PEM they may be the same text.
    pub fn new(chain: &[u8], private_key: &[u8]) -> Result<Self> {
        let certificates = encoding::certificates(chain)?;
        parse_all(&certificates)?;
        let private_key = PrivateKey::parse(private_key)?;
        let signer = match private_key.with_der(any_supported_type) {
            Some(Ok(signer)) => signer,
            _ => {
                kind_of_leaf(&certificates)?;
                return Err(unusable(&private_key));
            }
        };
        check_belongs(&certificates, &*signer)?;
        kind_of_leaf(&certificates)?;
        Self::assemble(certificates, signer, private_key.bytes())
    }

    /// [`Self::new`] with the contents of two files, which may be the same.
    pub fn from_files(chain: &Path, private_key: &Path) -> Result<Self> {
        let name = |what, path: &Path| format!("{what} {}", quote(path.as_os_str().as_bytes()));
        // There may be a key in it, too.
        let chain = file::read_secret(chain, &name("the certificate file", chain))?;
        let private_key = file::read_secret(private_key, &name("the key file", private_key))?;
        Self::new(&chain, &private_key)
    }

    /// A chain, PEM or DER, whose key somebody else has.
    pub fn with_signer(chain: &[u8], hook: SignatureHook) -> Result<Self> {
        Self::from_certificates(encoding::certificates(chain)?, hook)
    }

    /// The same for certificates that have been read.
    pub fn from_certificates(
        certificates: Vec<CertificateDer<'static>>,
        hook: SignatureHook,
    ) -> Result<Self> {
        check_order(&certificates)?;
        let kind = kind_of_leaf(&certificates)?;
        let leaf = certificates.first().ok_or_else(no_certificates)?;
        let key = public_key(leaf).ok_or_else(no_certificates)?;
        let secret = [hook.function.to_ne_bytes(), hook.argument.to_ne_bytes()].concat();
        let signer = Arc::new(ExternalKey::new(kind, key, hook));
        Self::assemble(certificates, signer, &secret)
    }

    fn assemble(
        certificates: Vec<CertificateDer<'static>>,
        signer: Arc<dyn SigningKey>,
        secret: &[u8],
    ) -> Result<Self> {
        let parsed = parse_all(&certificates)?;
        let issuers: Vec<_> = parsed.iter().map(|one| one.issuer().as_raw().to_vec()).collect();
        drop(parsed);
        let mut digest = digest::Context::new(&digest::SHA256);
        // Unambiguous: each DER says its length.
        certificates.iter().for_each(|certificate| digest.update(certificate));
        digest.update(secret);
        let mut key = [0; 32];
        key.copy_from_slice(digest.finish().as_ref());
        let certified_key = Arc::new(CertifiedKey::new(certificates, signer));
        Ok(Self { certified_key, key, issuers: issuers.into() })
    }

    pub fn certified_key(&self) -> Arc<CertifiedKey> {
        self.certified_key.clone()
    }

    /// Equal for equal chains and keys.
    pub fn key(&self) -> [u8; 32] {
        self.key
    }

    /// The chain, leaf first.
    pub fn certificates(&self) -> &[CertificateDer<'static>] {
        &self.certified_key.cert
    }

    /// Whether one of these, names in DER, has issued a certificate of the chain.
    pub fn is_issued_by(&self, names: &[&[u8]]) -> bool {
        self.issuers.iter().any(|issuer| names.contains(&issuer.as_slice()))
    }

    /// The same key with another chain for the same leaf.
    pub fn with_chain(&self, certificates: Vec<CertificateDer<'static>>) -> Result<Self> {
        Self::assemble(certificates, self.certified_key.key.clone(), &self.key)
    }
}

impl std::fmt::Debug for Identity {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Identity(..)")
    }
}

fn kind_of_leaf(certificates: &[CertificateDer<'_>]) -> Result<KeyKind> {
    let leaf = certificates.first().ok_or_else(no_certificates)?;
    KeyKind::of(leaf).map_err(|flaw| bad_data(format!("the certificate cannot be used: {flaw}")))
}

fn check_belongs(certificates: &[CertificateDer<'_>], signer: &dyn SigningKey) -> Result<()> {
    let Some(own) = signer.public_key() else { return Ok(()) };
    let belongs = |certificate| public_key(certificate).is_some_and(|key| is_same(&key, &own));
    match certificates.iter().position(belongs) {
        Some(0) => Ok(()),
        Some(place) => Err(bad_data(format!(
            "the private key does not belong to the first certificate of the chain, but to number \
             {}: put the leaf first",
            place + 1
        ))),
        None => Err(bad_data(
            "the private key does not belong to the first certificate of the chain, nor to another \
             in it: it is the key of another certificate"
                .into(),
        )),
    }
}

fn is_same(one: &SubjectPublicKeyInfoDer<'_>, other: &SubjectPublicKeyInfoDer<'_>) -> bool {
    one.as_ref() == other.as_ref()
}

fn parse_all<'a>(certificates: &'a [CertificateDer<'_>]) -> Result<Vec<X509Certificate<'a>>> {
    let parse = |(place, certificate): (usize, &'a CertificateDer<'_>)| {
        let parsed = X509Certificate::from_der(certificate).ok();
        let whole = parsed.filter(|(rest, _)| rest.is_empty()).map(|(_, parsed)| parsed);
        whole.ok_or_else(|| {
            bad_data(format!("certificate number {} of the chain is not X.509", place + 1))
        })
    };
    certificates.iter().enumerate().map(parse).collect()
}

/// Without the key: an issuer in front of what it has issued.
fn check_order(certificates: &[CertificateDer<'_>]) -> Result<()> {
    let parsed = parse_all(certificates)?;
    let Some((leaf, others)) = parsed.split_first() else { return Err(no_certificates()) };
    let issued = others.iter().position(|other| {
        other.issuer().as_raw() == leaf.subject().as_raw()
            && other.subject().as_raw() != leaf.subject().as_raw()
    });
    match issued {
        Some(place) => Err(bad_data(format!(
            "the first certificate of the chain is the issuer of number {}: put the leaf first",
            place + 2
        ))),
        None => Ok(()),
    }
}

/// Why a private key that could be read cannot sign.
fn unusable(key: &PrivateKey<'_>) -> Error {
    let kind = key.algorithm().map(|(algorithm, curve)| KeyKind::named(&algorithm, curve.as_ref()));
    let flaw = match kind {
        Some(Err(flaw)) => flaw,
        Some(Ok(kind)) => {
            format!("it says that it is {}, but is damaged or too small", kind.name())
        }
        None => "it is damaged, too small, or of a kind that cannot sign".to_owned(),
    };
    bad_data(format!("the private key cannot be used: {flaw}"))
}

fn no_certificates() -> Error {
    bad_data("the certificate chain is empty".into())
}

fn bad_data(text: String) -> Error {
    Error::new(Code::BAD_DATA, text)
}
