//! What client connections must have in common to resume each other's sessions.
//!
//! A session got under one setting says nothing about another: a certificate that a hook has
//! accepted must not come in where none is asked. rustls resumes only between configurations that
//! have the same verifier and the same certificate resolver, so the domain owns both.

use std::sync::Arc;

use rustls::ClientConfig;
use rustls::client::ResolvesClientCert;

use super::choice::Chooser;
use super::config::ClientInput;
use super::identity::Identity;
use super::kept::Kept;
use super::parameters::Parameters;
use super::sessions::Store;
use super::suites::Suites;
use crate::error::Result;
use crate::verify::verifier::{Mode, Verifier};

pub struct Domain {
    pub key: DomainKey,
    pub verifier: Arc<Verifier>,
    pub resolver: Arc<dyn ResolvesClientCert>,
    pub sessions: Arc<Store>,
    /// By what may differ within the domain.
    pub configs: Kept<Variant, ClientConfig>,
}

/// Equal for settings whose sessions are good for each other.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct DomainKey {
    trust: [u8; 32],
    mode: Mode,
    strict: bool,
    identities: Vec<[u8; 32]>,
    auth_hook: Option<(usize, usize)>,
    signature_hook: Option<(usize, usize)>,
    suites: Suites,
    oldest: u16,
    newest: u16,
}

/// What configurations of one domain may differ in.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Variant {
    pub parameters: Parameters,
    /// Sessions are offered and kept.
    pub resumption: bool,
}

impl DomainKey {
    pub fn new(input: &ClientInput<'_>) -> Self {
        Self {
            trust: input.trust.key(),
            mode: input.mode,
            strict: input.strict,
            identities: input.identities.iter().map(Identity::key).collect(),
            auth_hook: input.auth_hook,
            signature_hook: input.signature_hook,
            suites: input.parameters.suites.clone(),
            oldest: input.parameters.oldest,
            newest: input.parameters.newest,
        }
    }

    /// In what settings the two differ, for a text.
    pub fn differences(&self, other: &Self) -> String {
        let versions = |key: &Self| (key.oldest, key.newest);
        let differing = [
            (self.trust != other.trust, "trusted certificates, pins or revocation lists"),
            (self.mode != other.mode, "certificate hook (set or not)"),
            (self.strict != other.strict, "SSL_FLAG_STRICT"),
            (self.identities != other.identities, "identity"),
            (self.auth_hook != other.auth_hook, "hook that chooses the identity"),
            (self.signature_hook != other.signature_hook, "hook that signs"),
            (self.suites != other.suites, "cipher suites"),
            (versions(self) != versions(other), "protocol versions"),
        ];
        let names: Vec<_> =
            differing.iter().filter(|(differs, _)| *differs).map(|(_, name)| *name).collect();
        names.join(", ")
    }
}

impl Domain {
    pub fn new(key: DomainKey, input: &ClientInput<'_>) -> Result<Self> {
        Ok(Self {
            key,
            verifier: Arc::new(Verifier::new(input.trust, input.mode)?),
            resolver: Arc::new(Chooser::new(input.identities, input.auth_hook.is_some())),
            sessions: Arc::default(),
            configs: Kept::default(),
        })
    }
}
