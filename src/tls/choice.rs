//! Which certificate a client shows when a server asks for one.

use std::sync::Arc;

use rustls::SignatureScheme;
use rustls::client::ResolvesClientCert;
use rustls::pki_types::CertificateDer;
use rustls::sign::CertifiedKey;

use super::context::{self, Unmet};
use super::identity::Identity;
use super::program::{self, AuthRequestHook, Choice};
use crate::error::{Code, Error, Result};

/// Chooses among the identities, or asks the program.
#[derive(Debug)]
pub struct Chooser {
    identities: Vec<Identity>,
    /// The connections that share this have a hook that chooses.
    asks: bool,
}

impl Chooser {
    pub fn new(identities: &[Identity], asks: bool) -> Self {
        Self { identities: identities.to_vec(), asks }
    }

    /// `Ok(None)`: the handshake goes on without a certificate.
    fn choose(
        &self,
        issuers: &[&[u8]],
        schemes: &[SignatureScheme],
    ) -> Result<Option<Arc<CertifiedKey>>> {
        let hook = match self.asks {
            true => context::with(|context| context.program.auth_request.clone()).flatten(),
            false => None,
        };
        let Some(hook) = hook else { return Ok(self.choose_among(issuers, schemes)) };
        match ask(&hook, issuers)? {
            Answer::LibraryChooses => Ok(self.choose_among(issuers, schemes)),
            Answer::None => Ok(unmet(Unmet::Declined)),
            Answer::Chain(chain) => {
                let identity = self.identity_of(chain)?;
                let certified_key = identity.certified_key();
                match certified_key.key.choose_scheme(schemes) {
                    Some(_) => Ok(Some(certified_key)),
                    None => Err(Error::new(
                        Code::SIGNATURE,
                        "the server accepts no signature by the key of the certificate that the \
                         auth-request hook chose",
                    )),
                }
            }
        }
    }

    /// The first whose issuer the server names, or else the first of all; but its key has to fit.
    fn choose_among(
        &self,
        issuers: &[&[u8]],
        schemes: &[SignatureScheme],
    ) -> Option<Arc<CertifiedKey>> {
        let fits =
            |identity: &&Identity| identity.certified_key().key.choose_scheme(schemes).is_some();
        let mut fitting = self.identities.iter().filter(fits).peekable();
        let first = fitting.peek().copied();
        match fitting.find(|identity| identity.is_issued_by(issuers)).or(first) {
            Some(identity) => Some(identity.certified_key()),
            None if self.identities.is_empty() => unmet(Unmet::NoneSet),
            None => unmet(Unmet::NoneFits),
        }
    }

    /// Who can sign for this chain.
    fn identity_of(&self, chain: Vec<Vec<u8>>) -> Result<Identity> {
        let chain: Vec<_> = chain.into_iter().map(CertificateDer::from).collect();
        let own = self.identities.iter().find(|own| own.certificates().first() == chain.first());
        let identity = match own {
            // The leaf alone names the identity.
            Some(own) if chain.len() == 1 => return Ok(own.clone()),
            Some(own) => own.with_chain(chain),
            None => {
                let hook = context::with(|context| context.program.signature.clone()).flatten();
                let hook = hook.ok_or_else(|| {
                    Error::new(
                        Code::NO_CERT,
                        "the certificate that the auth-request hook chose is that of no identity \
                         of this handle (ssl_set_identity_pem, ssl_add_identity_pem and others), \
                         and there is no signature hook (SO_SSL_SET_SIGNATURE_HOOK): nobody can \
                         sign for it",
                    )
                })?;
                Identity::from_certificates(chain, hook)
            }
        };
        identity.map_err(|error| in_answer(&error.text))
    }
}

impl ResolvesClientCert for Chooser {
    fn resolve(
        &self,
        root_hint_subjects: &[&[u8]],
        schemes: &[SignatureScheme],
    ) -> Option<Arc<CertifiedKey>> {
        self.choose(root_hint_subjects, schemes).unwrap_or_else(|error| {
            context::with(|context| context.failure.get_or_insert(error).code);
            None
        })
    }

    fn has_certs(&self) -> bool {
        self.asks || !self.identities.is_empty()
    }
}

enum Answer {
    Chain(Vec<Vec<u8>>),
    LibraryChooses,
    None,
}

fn ask(hook: &AuthRequestHook, issuers: &[&[u8]]) -> Result<Answer> {
    let Some(Choice { answer, chain }) = program::call(|| (hook.call)(issuers)) else {
        return Ok(Answer::None);
    };
    match Code(answer) {
        Code::OKAY => match chain {
            Ok(chain) if chain.is_empty() => Ok(Answer::LibraryChooses),
            Ok(chain) => Ok(Answer::Chain(chain)),
            Err(flaw) => Err(in_answer(&flaw)),
        },
        Code::NO_CERT => Ok(Answer::None),
        Code(answer) => Err(Error::from_hook(
            answer,
            format!("the program's auth-request hook ended the handshake with {answer}"),
        )),
    }
}

fn in_answer(flaw: &str) -> Error {
    Error::new(
        Code::BAD_DATA,
        format!("what the auth-request hook answered cannot be used: {flaw}"),
    )
}

fn unmet<T>(why: Unmet) -> Option<T> {
    context::with(|context| context.unmet_demand = Some(why));
    None
}
