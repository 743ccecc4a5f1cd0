//! The configurations of servers: equal settings share one, with its tickets and its sessions.

use std::sync::Arc;

use rustls::ServerConfig;
use rustls::crypto::aws_lc_rs::Ticketer;
use rustls::server::{NoServerSessionStorage, ServerSessionMemoryCache, WebPkiClientVerifier};

use super::config;
use super::failure;
use super::identity::Identity;
use super::kept::Kept;
use super::parameters::Parameters;
use super::server_certificate::ByName;
use crate::error::{Code, Error, Result};
use crate::sys::process::PerProcess;
use crate::verify::client::ClientVerifier;
use crate::verify::trust::Trust;
use crate::verify::verifier::{Mode, Purpose, Verifier};

/// What a server's configuration is made of.
pub struct ServerInput<'a> {
    pub trust: &'a Trust,
    pub demand: Demand,
    /// Who decides about a client's certificate that is not trusted.
    pub mode: Mode,
    /// The hook cannot accept what verification found wrong.
    pub strict: bool,
    pub identities: &'a [Identity],
    pub parameters: &'a Parameters,
    /// Sessions are given out and resumed.
    pub resumption: bool,
}

/// What clients have to show.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Demand {
    Nothing,
    /// A certificate, if they have one.
    Asked,
    Required,
}

pub struct ServerSetup {
    pub config: Arc<ServerConfig>,
    /// Of clients' certificates, if they are asked for.
    pub verifier: Option<Arc<Verifier>>,
    pub mode: Mode,
}

pub fn setup(input: &ServerInput<'_>) -> Result<Arc<ServerSetup>> {
    if input.identities.is_empty() {
        return Err(Error::new(
            Code::NO_CERT,
            "a server needs a certificate: call ssl_set_identity_pem or ssl_set_identity_file \
             before the handshake",
        ));
    }
    if input.demand != Demand::Nothing {
        input.trust.check()?;
        if input.mode == Mode::Reject && !input.trust.is_explicit() {
            return Err(Error::new(
                Code::INVALID,
                "clients are asked for a certificate, but nothing says which are to be believed: \
                 call ssl_add_trust_file or another of ssl_add_trust_* with the CA that issues \
                 them, or set a certificate hook (the built-in roots do not vouch for clients)",
            ));
        }
    }
    let key = Key {
        trust: input.trust.key(),
        demand: input.demand,
        mode: input.mode,
        strict: input.strict,
        identities: input.identities.iter().map(Identity::key).collect(),
        parameters: input.parameters.clone(),
        resumption: input.resumption,
    };
    SETUPS.get_or_init(Kept::default).get_or_make(key, |_| make(input))
}

/// What a session must have in common with the connection that resumes it: here that is all. A
/// client that was let in under one setting is nobody under another.
#[derive(PartialEq, Eq, Hash)]
struct Key {
    trust: [u8; 32],
    demand: Demand,
    mode: Mode,
    strict: bool,
    identities: Vec<[u8; 32]>,
    parameters: Parameters,
    resumption: bool,
}

fn make(input: &ServerInput<'_>) -> Result<ServerSetup> {
    let verifier = match input.demand {
        Demand::Nothing => None,
        Demand::Asked | Demand::Required => {
            Some(Arc::new(Verifier::of(Purpose::Client, input.trust, input.mode)?))
        }
    };
    let of_clients = match &verifier {
        None => WebPkiClientVerifier::no_client_auth(),
        Some(verifier) => {
            Arc::new(ClientVerifier::new(verifier.clone(), input.demand == Demand::Required))
        }
    };
    let mut config = ServerConfig::builder_with_provider(config::provider(input.parameters)?)
        .with_protocol_versions(&config::versions(input.parameters))
        .map_err(|error| failure::from_rustls(error, None))?
        .with_client_cert_verifier(of_clients)
        .with_cert_resolver(Arc::new(ByName::new(input.identities)));
    config.alpn_protocols.clone_from(&input.parameters.alpn);
    config.key_log = config::key_log(input.parameters)?;
    if input.resumption {
        // For clients of TLS 1.2 that take no tickets.
        config.session_storage = ServerSessionMemoryCache::new(SESSIONS);
        config.ticketer = Ticketer::new().map_err(|error| failure::from_rustls(error, None))?;
        config.send_tls13_tickets = TICKETS;
    } else {
        config.session_storage = Arc::new(NoServerSessionStorage {});
        config.send_tls13_tickets = 0;
    }
    Ok(ServerSetup { config: Arc::new(config), verifier, mode: input.mode })
}

/// Sessions that one configuration remembers by their numbers.
const SESSIONS: usize = 256;
/// What a client of TLS 1.3 gets: one each for two connections.
const TICKETS: usize = 2;

static SETUPS: PerProcess<Kept<Key, ServerSetup>> = PerProcess::new();
