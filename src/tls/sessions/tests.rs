use std::io::Write;

use rustls::server::{ProducesTickets, ServerSessionMemoryCache};
use rustls::version::{TLS12, TLS13};
use rustls::{ServerConfig, ServerConnection, SupportedProtocolVersion};

use super::*;
use crate::error::Result;
use crate::tls::config::{self, ClientInput, ClientSetup};
use crate::tls::context::Context;
use crate::tls::engine::{Engine, HandshakeStep};
use crate::tls::parameters::Parameters;
use crate::verify::trust::Trust;
use crate::verify::verifier::Mode;

#[test]
fn no_more_names_than_a_limit_are_remembered() -> Result<()> {
    let (setup, server) = (setup("names")?, server(&TLS12));
    for number in 0..PEERS + 20 {
        let name = format!("{}.test", number + 1);
        talk(&setup, &server, &name, &Offer::ByName, &[])?;
        // This one is used all the time.
        assert_eq!(talk(&setup, &server, "0.test", &Offer::ByName, &[])?.has_resumed(), number > 0);
    }
    let state = setup.domain.sessions.lock();
    assert_eq!(state.peers.len(), PEERS);
    assert!(
        !state.peers.contains_key(&name("21.test")) && state.peers.contains_key(&name("22.test"))
    );
    check_sizes(&state);
    Ok(())
}

#[test]
fn the_newest_tickets_of_a_family_and_of_a_peer_are_kept() -> Result<()> {
    let setup = setup("tickets")?;
    let mut server = server(&TLS13);
    server.send_tls13_tickets = 3 * PER_FAMILY;
    let mut open = talk(&setup, &server, "flood.test", &Offer::ByName, &[])?;
    let count = || count(&setup, "flood.test");
    assert_eq!(count(), PER_FAMILY);
    for _ in 0..6 {
        drop(talk(&setup, &server, "flood.test", &Offer::Nothing, &[])?);
    }
    // Of connections that are gone fewer are kept. The last one was still there when it brought its
    // own.
    assert_eq!(count(), TLS13_PER_PEER + 2 * PER_FAMILY);
    let family = open.session_family().unwrap();
    drop(open);
    let offer = Offer::Of(family);
    for left in (0..PER_FAMILY).rev() {
        let mut taking = server.clone();
        taking.send_tls13_tickets = 0;
        assert!(talk(&setup, &taking, "flood.test", &offer, &[])?.has_resumed());
        assert_eq!(count(), TLS13_PER_PEER + PER_FAMILY + left);
    }
    assert!(!talk(&setup, &server, "flood.test", &offer, &[])?.has_resumed());
    check_sizes(&setup.domain.sessions.lock());
    Ok(())
}

#[test]
fn the_last_ticket_of_an_open_connection_is_not_given_to_others() -> Result<()> {
    let (setup, server) = (setup("last")?, server(&TLS13));
    let mut taking = server.clone();
    taking.send_tls13_tickets = 0;
    let mut open = talk(&setup, &server, "peer.test", &Offer::ByName, &[])?;
    assert!(talk(&setup, &taking, "peer.test", &Offer::ByName, &[])?.has_resumed());
    assert!(!talk(&setup, &taking, "peer.test", &Offer::ByName, &[])?.has_resumed());
    let offer = Offer::Of(open.session_family().unwrap());
    assert!(talk(&setup, &server, "peer.test", &offer, &[])?.has_resumed());
    // Once they are gone there is nobody to keep it for.
    drop((open, offer));
    assert!(talk(&setup, &taking, "peer.test", &Offer::ByName, &[])?.has_resumed());
    assert!(talk(&setup, &taking, "peer.test", &Offer::ByName, &[])?.has_resumed());
    Ok(())
}

#[test]
fn the_last_ticket_of_a_connection_without_a_handle_is_given_to_others() -> Result<()> {
    let (setup, mut server) = (setup("closing")?, server(&TLS13));
    server.send_tls13_tickets = 1;
    let mut closing = talk(&setup, &server, "peer.test", &Offer::ByName, &[])?;
    let handle = closing.session_family();
    assert!(!talk(&setup, &server, "peer.test", &Offer::ByName, &[])?.has_resumed());
    drop(handle);
    assert!(talk(&setup, &server, "peer.test", &Offer::ByName, &[])?.has_resumed());
    assert!(!closing.has_resumed());
    Ok(())
}

#[test]
fn one_session_of_tls_1_2_is_kept_of_each_family() -> Result<()> {
    let (setup, server) = (setup("families")?, server(&TLS12));
    let mut open: Vec<_> = (0..TLS12_PER_PEER + 4)
        .map(|_| talk(&setup, &server, "peer.test", &Offer::Nothing, &[]))
        .collect::<Result<_>>()?;
    assert_eq!(count(&setup, "peer.test"), open.len());
    let families: Vec<_> = open.iter_mut().map(|engine| engine.session_family().unwrap()).collect();
    for family in &families {
        let offer = Offer::Of(family.clone());
        assert!(talk(&setup, &server, "peer.test", &offer, &[])?.has_resumed());
    }
    assert_eq!(count(&setup, "peer.test"), open.len());
    drop((open, families));
    drop(talk(&setup, &server, "peer.test", &Offer::Nothing, &[])?);
    talk(&setup, &server, "peer.test", &Offer::Nothing, &[])?;
    assert_eq!(count(&setup, "peer.test"), TLS12_PER_PEER + 1);
    Ok(())
}

#[test]
fn large_tickets_displace_others_by_their_size() -> Result<()> {
    let setup = setup("sizes")?;
    let mut server = server(&TLS13);
    server.ticketer = Arc::new(LargeTickets(60_000));
    server.send_tls13_tickets = 1;
    let mut open = Vec::new();
    for _ in 0..2 * PEER_SIZE_LIMIT / 60_000 {
        open.push(talk(&setup, &server, "large.test", &Offer::Nothing, &[])?);
    }
    {
        let state = setup.domain.sessions.lock();
        let peer = &state.peers[&name("large.test")];
        assert!(peer.size <= PEER_SIZE_LIMIT && peer.size > PEER_SIZE_LIMIT / 2, "{}", peer.size);
        check_sizes(&state);
    }
    for number in 0..2 * SIZE_LIMIT / 60_000 {
        drop(talk(&setup, &server, &format!("{number}.test"), &Offer::Nothing, &[])?);
    }
    let state = setup.domain.sessions.lock();
    assert!(state.size <= SIZE_LIMIT && state.size > SIZE_LIMIT / 2, "{}", state.size);
    check_sizes(&state);
    Ok(())
}

#[test]
fn data_behind_a_ticket_does_not_count() -> Result<()> {
    let setup = setup("data")?;
    let mut server = server(&TLS13);
    server.ticketer = Arc::new(LargeTickets(10_000));
    server.send_tls13_tickets = 1;
    talk(&setup, &server, "data.test", &Offer::Nothing, &[7; 50_000])?;
    let state = setup.domain.sessions.lock();
    let sizes: Vec<_> =
        state.peers[&name("data.test")].sessions.iter().map(|kept| kept.size).collect();
    assert!(matches!(sizes[..], [10_000..13_000]), "{sizes:?}");
    Ok(())
}

#[test]
fn a_group_is_remembered_apart_from_those_of_other_offers() -> Result<()> {
    let setup = setup("groups")?;
    talk(&setup, &server(&TLS13), "group.test", &Offer::Nothing, &[])?;
    let state = setup.domain.sessions.lock();
    let groups = state.peers[&name("group.test")].groups;
    assert_eq!(groups, [None, Some(NamedGroup::X25519MLKEM768)]);
    Ok(())
}

#[test]
fn before_the_certificate_is_approved_nothing_is_kept() -> Result<()> {
    for version in [&TLS12, &TLS13] {
        let (setup, server) = (setup("approval")?, server(version));
        let mut conversation = Conversation::new(&setup, &server, "peer.test", &Offer::ByName)?;
        while conversation.client.advance_handshake()? == HandshakeStep::NeedsInput {
            conversation.exchange()?;
        }
        assert!(!setup.domain.sessions.lock().peers.contains_key(&name("peer.test")));
        let refusal = crate::error::Error::new(crate::error::Code::CERT_UNKNOWN, "test");
        assert!(conversation.client.approved(Err(refusal)).is_err());
        assert!(!setup.domain.sessions.lock().peers.contains_key(&name("peer.test")));
    }
    Ok(())
}

/// What is accounted for is what is there.
fn check_sizes(state: &State) {
    for peer in state.peers.values() {
        assert_eq!(peer.size, peer.sessions.iter().map(|kept| kept.size).sum::<usize>());
    }
    assert_eq!(state.size, state.peers.values().map(|peer| peer.size).sum::<usize>());
}

fn count(setup: &ClientSetup, peer: &str) -> usize {
    setup.domain.sessions.lock().peers[&name(peer)].sessions.len()
}

fn name(name: &str) -> ServerName<'static> {
    ServerName::try_from(name.to_owned()).unwrap()
}

/// A domain of the test's own.
fn setup(unique: &str) -> Result<ClientSetup> {
    let mut trust = Trust::default();
    let mut params = rcgen::CertificateParams::default();
    params.distinguished_name.push(rcgen::DnType::CommonName, unique);
    params.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
    let key = rcgen::KeyPair::generate().unwrap();
    trust.add_pem(params.self_signed(&key).unwrap().pem().as_bytes())?;
    config::client(&ClientInput {
        trust: &trust,
        mode: Mode::Provisional,
        strict: false,
        identities: &[],
        auth_hook: None,
        signature_hook: None,
        parameters: &Parameters::default(),
        resumption: true,
        same_as: None,
    })
}

fn server(version: &'static SupportedProtocolVersion) -> ServerConfig {
    let key = rcgen::KeyPair::generate().unwrap();
    let params = rcgen::CertificateParams::new(vec!["peer.test".to_owned()]).unwrap();
    let chain = vec![params.self_signed(&key).unwrap().der().clone()];
    let key = rustls::pki_types::PrivateKeyDer::try_from(key.serialize_der()).unwrap();
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let mut config = ServerConfig::builder_with_provider(provider)
        .with_protocol_versions(&[version])
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(chain, key)
        .unwrap();
    config.session_storage = ServerSessionMemoryCache::new(10_000);
    config
}

/// A handshake, approved, and what the server has to say after it.
fn talk(
    setup: &ClientSetup,
    server: &ServerConfig,
    name: &str,
    offer: &Offer,
    data: &[u8],
) -> Result<Engine> {
    let mut conversation = Conversation::new(setup, server, name, offer)?;
    loop {
        match conversation.client.advance_handshake()? {
            HandshakeStep::NeedsInput => conversation.exchange()?,
            HandshakeStep::NeedsApproval => conversation.client.approved(Ok(()))?,
            HandshakeStep::Complete => break,
        }
    }
    conversation.bring_to_server();
    conversation.server.writer().write_all(data).unwrap();
    conversation.exchange()?;
    let mut received = 0;
    while received < data.len() {
        received += conversation.client.decrypt(usize::MAX, &mut |_| {})?;
        conversation.exchange()?;
    }
    conversation.client.decrypt(usize::MAX, &mut |_| {})?;
    Ok(conversation.client)
}

struct Conversation {
    client: Engine,
    server: ServerConnection,
}

impl Conversation {
    fn new(setup: &ClientSetup, server: &ServerConfig, peer: &str, offer: &Offer) -> Result<Self> {
        let sessions =
            Sessions::new(setup.domain.sessions.clone(), name(peer), true, offer.clone());
        let context = Context { sessions: Some(sessions), ..Context::default() };
        let client = Engine::client(setup, Some(name(peer)), context)?;
        Ok(Self { client, server: ServerConnection::new(Arc::new(server.clone())).unwrap() })
    }

    fn bring_to_server(&mut self) {
        while !self.client.outgoing().is_empty() {
            let count = self.server.read_tls(&mut self.client.outgoing()).unwrap();
            self.client.sent(count);
            self.server.process_new_packets().unwrap();
        }
    }

    /// Everything that one side has to say to the other.
    fn exchange(&mut self) -> Result<()> {
        self.bring_to_server();
        let mut bytes = Vec::new();
        while self.server.wants_write() {
            self.server.write_tls(&mut bytes).unwrap();
        }
        self.client.receive_space_of(bytes.len())?.copy_from_slice(&bytes);
        self.client.received(bytes.len());
        Ok(())
    }
}

/// Tickets that nobody can read.
#[derive(Debug)]
struct LargeTickets(usize);

impl ProducesTickets for LargeTickets {
    fn enabled(&self) -> bool {
        true
    }

    fn lifetime(&self) -> u32 {
        3600
    }

    fn encrypt(&self, _plain: &[u8]) -> Option<Vec<u8>> {
        Some(vec![0x5a; self.0])
    }

    fn decrypt(&self, _cipher: &[u8]) -> Option<Vec<u8>> {
        None
    }
}
