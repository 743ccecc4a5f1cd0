//! Which session a handshake is to resume.

use std::sync::Arc;

use super::settings::{
    SSL_FLAG_NO_RESUMPTION, SSL_FLAG_REQUIRE_RESUMPTION, SSL_FLAG_SERVER, Settings,
};
use super::{Role, Socket, settings_only};
use crate::error::{Code, Error, Result};
use crate::tls::config::ClientSetup;
use crate::tls::domain::Domain;
use crate::tls::engine::Engine;
use crate::tls::sessions::{Family, Offer, Sessions};
use crate::verify::name::PeerName;

/// A client connection whose handshake is complete, as another resumes its session. It outlives
/// the connection and its handle.
pub struct Source {
    domain: Arc<Domain>,
    /// `None`: the connection keeps no sessions.
    family: Option<Family>,
    name: PeerName,
}

impl Source {
    pub(super) fn new(setup: ClientSetup, engine: &mut Engine, name: PeerName) -> Arc<Self> {
        Arc::new(Self { domain: setup.domain, family: engine.session_family(), name })
    }

    pub(super) fn name(&self) -> &PeerName {
        &self.name
    }

    pub(super) fn domain(&self) -> &Arc<Domain> {
        &self.domain
    }
}

impl Socket {
    /// Has the handshake resume the session of `other`; `None`: any that fits.
    pub fn resume_session_of(&self, other: Option<&Self>) -> Result<()> {
        if !matches!(self.role, Role::Descriptor(_)) {
            return Err(settings_only());
        }
        let source = other.map(Self::source).transpose()?;
        self.change_state(|state| {
            match (&source, &state.settings.peer_name) {
                (Some(source), Some(name)) if source.name != *name => {
                    return Err(different_names(name, source));
                }
                _ => {}
            }
            state.session_from = source;
            Ok(())
        })
    }

    fn source(&self) -> Result<Arc<Source>> {
        let state = self.state();
        if let Some(source) = &state.resumable {
            return Ok(source.clone());
        }
        let text = if !matches!(self.role, Role::Descriptor(_)) {
            "has no connection"
        } else if state.session.is_none() {
            "has not completed a handshake"
        } else if state.settings.has(SSL_FLAG_SERVER) {
            "is a server: only a client resumes sessions"
        } else {
            "was made without a peer name: nothing would say that the next peer is the same"
        };
        Err(Error::new(
            Code::STATE,
            format!("`other`, whose session is to be resumed, {text}: nothing was changed"),
        ))
    }
}

/// What goes together only in this way. To be looked at before anything else is decided.
pub(super) fn check(settings: &Settings, source: Option<&Source>) -> Result<()> {
    let text = match source {
        Some(_) if settings.has(SSL_FLAG_SERVER) => {
            "ssl_set_session_from was called for a server, which resumes what its clients offer"
        }
        Some(_) if settings.has(SSL_FLAG_NO_RESUMPTION) => {
            "ssl_set_session_from and SSL_FLAG_NO_RESUMPTION contradict each other"
        }
        _ => return Ok(()),
    };
    Err(Error::new(Code::INVALID, text))
}

/// The part of a new connection in the sessions of its domain; `None`: it has none.
pub(super) fn sessions(
    setup: &ClientSetup,
    settings: &Settings,
    source: Option<&Source>,
    name: Option<&PeerName>,
) -> Option<Sessions> {
    if !setup.resumption {
        return None;
    }
    let offer = match source {
        Some(Source { family: Some(family), .. }) => Offer::Of(family.clone()),
        Some(Source { family: None, .. }) => Offer::Nothing,
        // It might choose another identity for this connection.
        None if chooses_identity(settings) => Offer::Nothing,
        None => Offer::ByName,
    };
    let post_quantum = settings.parameters.post_quantum;
    let name = name?.server_name().clone();
    Some(Sessions::new(setup.domain.sessions.clone(), name, post_quantum, offer))
}

/// Fails if a session has to be resumed and none is offered. Nothing has been sent yet.
pub(super) fn check_offer(
    engine: &Engine,
    settings: &Settings,
    source: Option<&Source>,
    name: Option<&PeerName>,
) -> Result<()> {
    if !settings.has(SSL_FLAG_REQUIRE_RESUMPTION) || engine.offers_session() {
        return Ok(());
    }
    let reason = match source {
        Some(Source { family: None, .. }) => {
            "the connection given to ssl_set_session_from keeps none (SSL_FLAG_NO_RESUMPTION)"
        }
        Some(_) => {
            "none of the connection given to ssl_set_session_from is left: its server has sent \
             none, or each has been used or has expired; read from that connection first, since \
             TLS 1.3 brings new ones with the data"
        }
        None if name.is_none() => "without a peer name none is kept",
        None if chooses_identity(settings) => {
            "with a hook that chooses the identity none is offered by the name alone: say which \
             with ssl_set_session_from"
        }
        None => "none with this peer name and these settings is at hand",
    };
    Err(Error::new(
        Code::NOT_RESUMED,
        format!(
            "SSL_FLAG_REQUIRE_RESUMPTION is set and there is no session to offer: {reason} (nothing \
             was sent)"
        ),
    ))
}

/// Fails if a session had to be resumed and the server made a full handshake. Nothing that shows
/// who this side is has been sent yet.
pub(super) fn check_resumed(engine: &Engine, settings: &Settings) -> Result<()> {
    if !settings.has(SSL_FLAG_REQUIRE_RESUMPTION) || engine.has_resumed() {
        return Ok(());
    }
    Err(Error::new(
        Code::NOT_RESUMED,
        "SSL_FLAG_REQUIRE_RESUMPTION is set and the server did not take the session that was \
         offered: it may have forgotten it, or be another one",
    ))
}

fn different_names(name: &PeerName, source: &Source) -> Error {
    Error::new(
        Code::INVALID,
        format!(
            "two different peer names: \"{}\" for this connection, \"{}\" for the one whose \
             session is to be resumed",
            name.as_str(),
            source.name.as_str()
        ),
    )
}

/// The name that remains.
pub(super) fn same_name(
    name: Option<PeerName>,
    source: Option<&Source>,
) -> Result<Option<PeerName>> {
    match (name, source) {
        (Some(name), Some(source)) if name != source.name => Err(different_names(&name, source)),
        (name, _) => Ok(name),
    }
}

fn chooses_identity(settings: &Settings) -> bool {
    settings.auth_request.is_some()
}
