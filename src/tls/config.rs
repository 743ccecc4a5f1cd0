//! rustls configurations: one per distinct setting, shared by all sockets that have it.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError, Weak};

use rustls::client::Resumption;
use rustls::crypto::CryptoProvider;
use rustls::server::NoServerSessionStorage;
use rustls::sign::{CertifiedKey, SingleCertAndKey};
use rustls::{ClientConfig, ServerConfig};

use super::choice::Chooser;
use super::failure;
use super::identity::Identity;
use super::parameters::Parameters;
use crate::error::{Code, Error, Result};
use crate::sys::process::PerProcess;
use crate::verify::trust::Trust;
use crate::verify::verifier::{Mode, Verifier};

/// A client configuration and the verifier in it.
pub struct ClientSetup {
    pub config: Arc<ClientConfig>,
    pub verifier: Arc<Verifier>,
    /// Who decides about a certificate that is not trusted.
    pub mode: Mode,
}

pub fn client(
    trust: &Trust,
    mode: Mode,
    identities: &[Identity],
    asks: bool,
    parameters: &Parameters,
) -> Result<Arc<ClientSetup>> {
    trust.check()?;
    let key = ClientKey {
        trust: trust.key(),
        mode,
        identities: identities.iter().map(Identity::key).collect(),
        asks,
        parameters: parameters.clone(),
    };
    let mut setups =
        CLIENT_SETUPS.get_or_init(Mutex::default).lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(setup) = setups.get(&key).and_then(Weak::upgrade) {
        return Ok(setup);
    }
    let verifier = Arc::new(Verifier::new(trust, mode)?);
    let builder = ClientConfig::builder_with_provider(parameters.suites.restrict(provider()))
        .with_safe_default_protocol_versions()
        .map_err(|error| failure::from_rustls(error, None))?
        .dangerous()
        .with_custom_certificate_verifier(verifier.clone());
    let mut config = builder.with_client_cert_resolver(Arc::new(Chooser::new(identities, asks)));
    config.resumption = Resumption::disabled();
    config.enable_sni = mode != Mode::Nameless;
    let setup = Arc::new(ClientSetup { config: Arc::new(config), verifier, mode });
    setups.retain(|_, setup| setup.strong_count() > 0);
    setups.insert(key, Arc::downgrade(&setup));
    Ok(setup)
}

pub fn server(identity: Option<&Identity>, parameters: &Parameters) -> Result<Arc<ServerConfig>> {
    let identity = identity.ok_or_else(|| {
        Error::new(
            Code::NO_CERT,
            "a server needs a certificate: call ssl_set_identity_pem or ssl_set_identity_file \
             before the handshake",
        )
    })?;
    let key = (identity.key(), parameters.clone());
    let mut configs =
        SERVER_CONFIGS.get_or_init(Mutex::default).lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(config) = configs.get(&key).and_then(Weak::upgrade) {
        return Ok(config);
    }
    let mut config = ServerConfig::builder_with_provider(parameters.suites.restrict(provider()))
        .with_safe_default_protocol_versions()
        .map_err(|error| failure::from_rustls(error, None))?
        .with_no_client_auth()
        .with_cert_resolver(single(identity.certified_key()));
    config.session_storage = Arc::new(NoServerSessionStorage {});
    config.send_tls13_tickets = 0;
    let config = Arc::new(config);
    configs.retain(|_, config| config.strong_count() > 0);
    configs.insert(key, Arc::downgrade(&config));
    Ok(config)
}

#[derive(PartialEq, Eq, Hash)]
struct ClientKey {
    trust: [u8; 32],
    mode: Mode,
    identities: Vec<[u8; 32]>,
    asks: bool,
    parameters: Parameters,
}

type ServerKey = ([u8; 32], Parameters);

fn single(certified_key: Arc<CertifiedKey>) -> Arc<SingleCertAndKey> {
    Arc::new(SingleCertAndKey::from(certified_key))
}

fn provider() -> &'static Arc<CryptoProvider> {
    PROVIDER.get_or_init(|| Arc::new(rustls::crypto::aws_lc_rs::default_provider()))
}

/// A forked child starts over: another thread may have held the lock at the fork.
static PROVIDER: PerProcess<Arc<CryptoProvider>> = PerProcess::new();
static CLIENT_SETUPS: PerProcess<Mutex<HashMap<ClientKey, Weak<ClientSetup>>>> = PerProcess::new();
static SERVER_CONFIGS: PerProcess<Mutex<HashMap<ServerKey, Weak<ServerConfig>>>> =
    PerProcess::new();
