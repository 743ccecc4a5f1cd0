//! A private key that the library does not see: the program signs with it.

use std::fmt;

use rustls::crypto::aws_lc_rs;
use rustls::pki_types::SubjectPublicKeyInfoDer;
use rustls::sign::{Signer, SigningKey};
use rustls::{SignatureAlgorithm, SignatureScheme};

use super::context;
use super::identity::KeyKind;
use super::program::{self, SignatureHook, Signed};
use crate::error::{Code, Error};

/// The key of a certificate, as far as it is known: its public half, and who has the other.
pub struct ExternalKey {
    kind: KeyKind,
    public: SubjectPublicKeyInfoDer<'static>,
    hook: SignatureHook,
}

impl ExternalKey {
    pub fn new(
        kind: KeyKind,
        public: SubjectPublicKeyInfoDer<'static>,
        hook: SignatureHook,
    ) -> Self {
        Self { kind, public, hook }
    }
}

impl SigningKey for ExternalKey {
    fn choose_scheme(&self, offered: &[SignatureScheme]) -> Option<Box<dyn Signer>> {
        let scheme = self.kind.schemes().iter().find(|scheme| offered.contains(scheme))?;
        Some(Box::new(ExternalSigner {
            scheme: *scheme,
            public: self.public.clone(),
            hook: self.hook.clone(),
        }))
    }

    fn public_key(&self) -> Option<SubjectPublicKeyInfoDer<'_>> {
        Some(self.public.clone())
    }

    fn algorithm(&self) -> SignatureAlgorithm {
        self.kind.algorithm()
    }
}

impl fmt::Debug for ExternalKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ExternalKey(..)")
    }
}

struct ExternalSigner {
    scheme: SignatureScheme,
    public: SubjectPublicKeyInfoDer<'static>,
    hook: SignatureHook,
}

impl ExternalSigner {
    /// `None`: the connection is not this process's.
    fn ask(&self, message: &[u8]) -> Option<Result<Vec<u8>, Error>> {
        let scheme = u16::from(self.scheme);
        let Signed { answer, signature } = program::call(|| (self.hook.call)(scheme, message))?;
        let flaw = match (answer, signature) {
            (0, Ok(signature)) if verifies(self.scheme, &self.public, message, &signature) => {
                return Some(Ok(signature));
            }
            (0, Ok(_)) => {
                "what it answered is no signature by the key of the certificate: it has to be over \
                 the bytes that it was given, hashed as the scheme says, and by the key that \
                 belongs to the first certificate of the chain"
                    .to_owned()
            }
            (0, Err(length)) => format!("it says that its signature has {length} bytes"),
            (answer, _) => format!("it answered {answer} instead of 0"),
        };
        let name = self.scheme.as_str().unwrap_or("of this number");
        Some(Err(Error::new(
            Code::SIGNATURE,
            format!(
                "the program's signature function has not signed ({name}, {scheme:#06x}): {flaw}"
            ),
        )))
    }
}

impl Signer for ExternalSigner {
    fn sign(&self, message: &[u8]) -> Result<Vec<u8>, rustls::Error> {
        match self.ask(message) {
            Some(Ok(signature)) => return Ok(signature),
            Some(Err(error)) => {
                context::with(|context| context.failure = Some(error));
            }
            None => {}
        }
        // The context says more.
        Err(rustls::Error::General("the program has not signed".to_owned()))
    }

    fn scheme(&self) -> SignatureScheme {
        self.scheme
    }
}

impl fmt::Debug for ExternalSigner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ExternalSigner({:?})", self.scheme)
    }
}

/// Whether the peer will find the signature right.
fn verifies(
    scheme: SignatureScheme,
    key: &SubjectPublicKeyInfoDer<'_>,
    message: &[u8],
    signature: &[u8],
) -> bool {
    let supported = aws_lc_rs::default_provider().signature_verification_algorithms;
    let Ok(key) = webpki::RawPublicKeyEntity::try_from(key) else { return false };
    let candidates = supported.mapping.iter().find(|(known, _)| *known == scheme);
    candidates.is_some_and(|(_, candidates)| {
        candidates
            .iter()
            .any(|&candidate| key.verify_signature(candidate, message, signature).is_ok())
    })
}
