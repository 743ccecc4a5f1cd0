//! rustls configurations: one per distinct setting, shared by all sockets that have it.

use std::sync::Arc;

use rustls::client::Resumption;
use rustls::crypto::CryptoProvider;
use rustls::server::{NoServerSessionStorage, ResolvesServerCert};
use rustls::sign::SingleCertAndKey;
use rustls::{ClientConfig, ServerConfig, SupportedProtocolVersion};

use super::domain::{Domain, DomainKey, Variant};
use super::failure;
use super::identity::Identity;
use super::kept::Kept;
use super::parameters::Parameters;
use crate::error::{Code, Error, Result};
use crate::sys::process::PerProcess;
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
}

/// What a server's configuration is made of.
pub struct ServerInput<'a> {
    pub identities: &'a [Identity],
    pub parameters: &'a Parameters,
}

/// A client's configuration and what it belongs to.
#[derive(Clone)]
pub struct ClientSetup {
    pub config: Arc<ClientConfig>,
    pub domain: Arc<Domain>,
    pub mode: Mode,
}

pub fn client(input: &ClientInput<'_>) -> Result<ClientSetup> {
    input.trust.check()?;
    let domains = DOMAINS.get_or_init(Kept::default);
    let domain = domains.get_or_make(DomainKey::new(input), |_| Domain::new(input))?;
    let variant = Variant {
        parameters: input.parameters.clone(),
        resumption: input.resumption && input.mode != Mode::Nameless,
    };
    let config = domain.configs.get_or_make(variant, |variant| client_config(&domain, variant))?;
    Ok(ClientSetup { config, domain: domain.clone(), mode: input.mode })
}

pub fn server(input: &ServerInput<'_>) -> Result<Arc<ServerConfig>> {
    if input.identities.is_empty() {
        return Err(Error::new(
            Code::NO_CERT,
            "a server needs a certificate: call ssl_set_identity_pem or ssl_set_identity_file \
             before the handshake",
        ));
    }
    let configs = SERVER_CONFIGS.get_or_init(Kept::default);
    configs.get_or_make(ServerKey::new(input), |_| server_config(input))
}

/// Equal for equal server configurations: one has its own tickets and its own session cache.
#[derive(PartialEq, Eq, Hash)]
struct ServerKey {
    identities: Vec<[u8; 32]>,
    parameters: Parameters,
}

impl ServerKey {
    fn new(input: &ServerInput<'_>) -> Self {
        Self {
            identities: input.identities.iter().map(Identity::key).collect(),
            parameters: input.parameters.clone(),
        }
    }
}

fn client_config(domain: &Domain, variant: &Variant) -> Result<ClientConfig> {
    let mut config = ClientConfig::builder_with_provider(provider(&variant.parameters))
        .with_protocol_versions(&versions(&variant.parameters))
        .map_err(|error| failure::from_rustls(error, None))?
        .dangerous()
        .with_custom_certificate_verifier(domain.verifier.clone())
        .with_client_cert_resolver(domain.resolver.clone());
    config.alpn_protocols.clone_from(&variant.parameters.alpn);
    config.resumption = Resumption::disabled();
    config.enable_sni = domain.verifier.mode() != Mode::Nameless;
    Ok(config)
}

fn server_config(input: &ServerInput<'_>) -> Result<ServerConfig> {
    let mut config = ServerConfig::builder_with_provider(provider(input.parameters))
        .with_protocol_versions(&versions(input.parameters))
        .map_err(|error| failure::from_rustls(error, None))?
        .with_no_client_auth()
        .with_cert_resolver(server_resolver(input)?);
    config.alpn_protocols.clone_from(&input.parameters.alpn);
    config.session_storage = Arc::new(NoServerSessionStorage {});
    config.send_tls13_tickets = 0;
    Ok(config)
}

/// Who chooses the certificate that a client is shown.
fn server_resolver(input: &ServerInput<'_>) -> Result<Arc<dyn ResolvesServerCert>> {
    let identity = input.identities.first().ok_or_else(|| Error::internal("no identity"))?;
    Ok(Arc::new(SingleCertAndKey::from(identity.certified_key())))
}

/// The versions that are on, for rustls.
fn versions(parameters: &Parameters) -> Vec<&'static SupportedProtocolVersion> {
    let allowed = parameters.oldest..=parameters.newest;
    let all = rustls::ALL_VERSIONS.iter().copied();
    all.filter(|version| allowed.contains(&version.version.into())).collect()
}

/// Suites and key exchanges, for rustls.
fn provider(parameters: &Parameters) -> Arc<CryptoProvider> {
    let provider = PROVIDER.get_or_init(|| Arc::new(rustls::crypto::aws_lc_rs::default_provider()));
    parameters.suites.restrict(provider)
}

/// A forked child starts over: another thread may have held the lock at the fork.
static PROVIDER: PerProcess<Arc<CryptoProvider>> = PerProcess::new();
static DOMAINS: PerProcess<Kept<DomainKey, Domain>> = PerProcess::new();
static SERVER_CONFIGS: PerProcess<Kept<ServerKey, ServerConfig>> = PerProcess::new();
