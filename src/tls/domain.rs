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
use super::suites::Suites;
use crate::error::Result;
use crate::verify::verifier::{Mode, Verifier};

pub struct Domain {
    pub verifier: Arc<Verifier>,
    pub resolver: Arc<dyn ResolvesClientCert>,
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
}

impl Domain {
    pub fn new(input: &ClientInput<'_>) -> Result<Self> {
        Ok(Self {
            verifier: Arc::new(Verifier::new(input.trust, input.mode)?),
            resolver: Arc::new(Chooser::new(input.identities, input.auth_hook.is_some())),
            configs: Kept::default(),
        })
    }
}
