//! rustls configurations: one per distinct setting, shared by all sockets that have it.

use std::sync::{Arc, Mutex};

use rustls::client::Resumption;
use rustls::crypto::CryptoProvider;
use rustls::{
    ClientConfig, KeyLog, NamedGroup, NoKeyLog, SupportedCipherSuite, SupportedProtocolVersion,
};

use super::domain::{Domain, DomainKey, Variant};
use super::failure;
use super::identity::Identity;
use super::kept::Kept;
use super::key_schedule;
use super::parameters::Parameters;
use super::sessions::ByContext;
use crate::error::{Code, Error, Result};
use crate::sys::process::{self, PerProcess};
use crate::verify::trust::Trust;
use crate::verify::verifier::Mode;

/// What a client's configuration is made of.
pub struct ClientInput<'a> {
    pub trust: &'a Trust,
    /// Who decides about a certificate that is not trusted.
    pub mode: Mode,
    /// The hook cannot accept what verification found wrong.
    pub strict: bool,
    pub identities: &'a [Identity],
    /// The hook that chooses an identity, as its function and argument.
    pub auth_hook: Option<(usize, usize)>,
    /// The hook that signs for a certificate that the former has brought, in the same way.
    pub signature_hook: Option<(usize, usize)>,
    pub parameters: &'a Parameters,
    /// Sessions are offered and kept.
    pub resumption: bool,
    /// The domain of the connection whose session is to be resumed.
    pub same_as: Option<&'a Arc<Domain>>,
}

/// A client's configuration and what it belongs to.
#[derive(Clone)]
pub struct ClientSetup {
    pub config: Arc<ClientConfig>,
    pub domain: Arc<Domain>,
    pub mode: Mode,
    /// Sessions are offered and kept.
    pub resumption: bool,
}

/// What [`client`] has answered for the rest of the settings that this is a part of. A copy remembers
/// nothing: it is made to be changed.
#[derive(Default)]
pub struct Remembered(Mutex<Option<(usize, ClientSetup)>>);

impl Remembered {
    /// The same as [`client`] without looking everything up.
    pub fn client(&self, input: &ClientInput<'_>) -> Result<ClientSetup> {
        if input.same_as.is_some() {
            return client(input);
        }
        // Never waited for: a forked child may find it held by a thread that does not exist there.
        let Ok(mut remembered) = self.0.try_lock() else { return client(input) };
        match &*remembered {
            Some((epoch, setup)) if *epoch == process::epoch() && setup.mode == input.mode => {
                Ok(setup.clone())
            }
            _ => {
                let setup = client(input)?;
                *remembered = Some((process::epoch(), setup.clone()));
                Ok(setup)
            }
        }
    }
}

impl Clone for Remembered {
    fn clone(&self) -> Self {
        Self::default()
    }
}

pub fn client(input: &ClientInput<'_>) -> Result<ClientSetup> {
    input.trust.check()?;
    let key = DomainKey::new(input);
    let domain = match input.same_as {
        Some(domain) if domain.key == key => domain.clone(),
        Some(domain) => return Err(differs(&key.differences(&domain.key))),
        None => {
            let domains = DOMAINS.get_or_init(Kept::default);
            domains.get_or_make(key, |key| Domain::new(key.clone(), input))?
        }
    };
    let resumption = input.resumption && input.mode != Mode::Nameless;
    let variant = Variant { parameters: input.parameters.clone(), resumption };
    let config = domain.configs.get_or_make(variant, |variant| client_config(&domain, variant))?;
    Ok(ClientSetup { config, domain: domain.clone(), mode: input.mode, resumption })
}

fn client_config(domain: &Domain, variant: &Variant) -> Result<ClientConfig> {
    let mut config = ClientConfig::builder_with_provider(provider(&variant.parameters)?)
        .with_protocol_versions(&versions(&variant.parameters))
        .map_err(|error| failure::from_rustls(error, None))?
        .dangerous()
        .with_custom_certificate_verifier(domain.verifier.clone())
        .with_client_cert_resolver(domain.resolver.clone());
    config.alpn_protocols.clone_from(&variant.parameters.alpn);
    config.key_log = key_log(&variant.parameters)?;
    config.resumption = match variant.resumption {
        true => Resumption::store(Arc::new(ByContext)),
        false => Resumption::disabled(),
    };
    config.enable_sni = domain.verifier.mode() != Mode::Nameless;
    Ok(config)
}

fn differs(what: &str) -> Error {
    Error::new(
        Code::INVALID,
        format!(
            "these settings are not those of the connection that was given to \
             ssl_set_session_from: {what}; a session got under one setting says nothing about \
             another"
        ),
    )
}

/// The versions that are on, for rustls.
pub(super) fn versions(parameters: &Parameters) -> Vec<&'static SupportedProtocolVersion> {
    let allowed = parameters.oldest..=parameters.newest;
    let all = rustls::ALL_VERSIONS.iter().copied();
    all.filter(|version| allowed.contains(&version.version.into())).collect()
}

/// Suites and key exchanges, for rustls. An error if none of the suites is for a version that is on.
pub(super) fn provider(parameters: &Parameters) -> Result<Arc<CryptoProvider>> {
    let provider = PROVIDER.get_or_init(|| Arc::new(key_schedule::provider()));
    let mut provider = parameters.suites.restrict(provider);
    let allowed = parameters.oldest..=parameters.newest;
    let is_usable =
        |suite: &SupportedCipherSuite| allowed.contains(&suite.version().version.into());
    if !provider.cipher_suites.iter().any(is_usable) {
        return Err(Error::new(
            Code::INVALID,
            format!(
                "none of the cipher suites that were set (SO_SSL_SET_CIPHERS) is for {}, to which \
                 ssl_set_protocols limits this socket",
                parameters.versions_text()
            ),
        ));
    }
    if !parameters.post_quantum {
        let groups = &mut Arc::make_mut(&mut provider).kx_groups;
        groups.retain(|group| group.name() != NamedGroup::X25519MLKEM768);
    }
    Ok(provider)
}

/// Where the secrets go, for rustls.
pub(super) fn key_log(parameters: &Parameters) -> Result<Arc<dyn KeyLog>> {
    Ok(match &parameters.key_log {
        Some(file) => file.of_this_process()?.sink(),
        None => Arc::new(NoKeyLog),
    })
}

/// A forked child starts over: another thread may have held the lock at the fork.
static PROVIDER: PerProcess<Arc<CryptoProvider>> = PerProcess::new();
static DOMAINS: PerProcess<Kept<DomainKey, Domain>> = PerProcess::new();
