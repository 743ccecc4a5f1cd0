//! A client's last flight waits for the decision on the server, also when the server breaks the
//! protocol in the middle of it.

mod support;

use std::cell::RefCell;
use std::sync::{Arc, LazyLock, Mutex, mpsc};
use std::thread;

use aws_lc_rs::aead::{AES_128_GCM, Aad, LessSafeKey, Nonce, UnboundKey};
use aws_lc_rs::hkdf::{HKDF_SHA256, KeyType, Prk};
use rustls::crypto::aws_lc_rs::default_provider;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, UnixTime};
use rustls::server::WebPkiClientVerifier;
use rustls::version::{TLS12, TLS13};
use rustls::{CipherSuite, KeyLog, SupportedProtocolVersion};
use sslsock::abi::{identity, session};
use sslsock::verify::trust::Trust;
use sslsock::verify::verifier::{Mode, Subject, Verifier, put_report};
use support::fixtures::ders;
use support::hooks::Hook;
use support::pki::{Authority, Certified};
use support::wire::{MODES, Socket, Transport, connect, records};
use support::*;

/// The secret of a server's handshake keys.
#[derive(Debug, Default)]
struct Secret(Mutex<Vec<u8>>);

impl KeyLog for Secret {
    fn log(&self, label: &str, _: &[u8], secret: &[u8]) {
        if label == "SERVER_HANDSHAKE_TRAFFIC_SECRET" {
            *self.0.lock().unwrap() = secret.to_vec();
        }
    }
}

struct Length(usize);

impl KeyType for Length {
    fn len(&self) -> usize {
        self.0
    }
}

impl Secret {
    /// HKDF-Expand-Label (RFC 8446, section 7.1).
    fn expand<const N: usize>(&self, label: &str) -> [u8; N] {
        let label = [b"tls13 ", label.as_bytes()].concat();
        let info: [&[u8]; 4] = [&[0, N as u8], &[label.len() as u8], &label, &[0]];
        let secret = Prk::new_less_safe(HKDF_SHA256, &self.0.lock().unwrap());
        let mut output = [0; N];
        secret.expand(&info, Length(N)).unwrap().fill(&mut output).unwrap();
        output
    }

    /// Puts `more` behind the contents of a record, the `place`th under these keys.
    fn append(&self, record: &[u8], place: u8, more: &[u8]) -> Vec<u8> {
        let key =
            LessSafeKey::new(UnboundKey::new(&AES_128_GCM, &self.expand::<16>("key")).unwrap());
        let nonce = || {
            let mut nonce = self.expand::<12>("iv");
            nonce[11] ^= place;
            Nonce::assume_unique_for_key(nonce)
        };
        let mut content = record[5..].to_vec();
        let opened = key.open_in_place(nonce(), Aad::from(&record[..5]), &mut content).unwrap();
        let (kind, message) = opened.split_last().unwrap();
        let mut content = [message, more, &[*kind]].concat();
        let length = u16::try_from(content.len() + AES_128_GCM.tag_len()).unwrap();
        let header = [&record[..3], &length.to_be_bytes()].concat();
        key.seal_in_place_append_tag(nonce(), Aad::from(&header[..]), &mut content).unwrap();
        [header, content].concat()
    }
}

static SERVERS: LazyLock<Authority> = LazyLock::new(|| Authority::new("servers"));
static MAIL: LazyLock<Certified> = LazyLock::new(|| SERVERS.issue(&["mail.test"]));
static CLIENTS: LazyLock<Authority> = LazyLock::new(|| Authority::new("clients"));
static ANN: LazyLock<Certified> = LazyLock::new(|| CLIENTS.issue(&["ann.test"]));

/// A server that demands a certificate.
fn demanding(version: &'static SupportedProtocolVersion) -> rustls::ServerConfig {
    let mut provider = default_provider();
    provider.cipher_suites.retain(|suite| {
        suite.suite() == CipherSuite::TLS13_AES_128_GCM_SHA256 || suite.tls13().is_none()
    });
    let provider = Arc::new(provider);
    let mut roots = rustls::RootCertStore::empty();
    roots.add(CertificateDer::from_pem_slice(CLIENTS.pem().as_bytes()).unwrap()).unwrap();
    let verifier = WebPkiClientVerifier::builder_with_provider(roots.into(), provider.clone());
    rustls::ServerConfig::builder_with_provider(provider)
        .with_protocol_versions(&[version])
        .unwrap()
        .with_client_cert_verifier(verifier.build().unwrap())
        .with_single_cert(
            ders(&MAIL.chain),
            PrivateKeyDer::from_pem_slice(MAIL.key.as_bytes()).unwrap(),
        )
        .unwrap()
}

/// A client that has a certificate, and a hook that refuses every server.
fn client(socket: &Socket, mode: u32, hook: &Hook) -> Handle {
    let handle = hook.on(Handle::of(socket).flags(mode));
    let (chain, key) = (ANN.chain.as_bytes(), ANN.key.as_bytes());
    let (from, key_from) = (chain.as_ptr().cast(), key.as_ptr().cast());
    let set =
        unsafe { identity::ssl_set_identity_pem(handle.0, from, chain.len(), key_from, key.len()) };
    assert_eq!(set, 0);
    handle
}

/// That behind the ClientHello there are at most alerts.
#[track_caller]
fn assert_no_certificate(sent: &[u8]) {
    for record in records(sent).iter().skip(1) {
        let is_alert = record[0] == APPLICATION_DATA && record.len() == ENCRYPTED_ALERT;
        assert!(is_alert || matches!(record[0], 0x14 | 0x15), "{record:02x?}");
    }
}

/// rustls has our certificate ready when it finds that the record with the server's Finished does
/// not end with it.
#[test]
fn no_certificate_leaves_when_something_follows_the_servers_finished() {
    for mode in MODES {
        for more in [&[][..], &[4]] {
            let secret = Arc::new(Secret::default());
            let mut config = demanding(&TLS13);
            config.key_log = secret.clone();
            let (socket, mut wire) = connect(Transport::Tcp);
            let record = wire.record();
            let peer = thread::spawn(move || {
                let mut flight = wire.answer_to_hello(&Arc::new(config));
                let under_keys = flight.iter().filter(|record| record[0] == APPLICATION_DATA);
                let place = u8::try_from(under_keys.count() - 1).unwrap();
                let last = flight.last_mut().unwrap();
                *last = secret.append(last, place, more);
                wire.say(&flight.concat());
                wire.hear_all();
            });
            let hook = Hook::answering(5);
            let handle = client(&socket, mode, &hook);
            let code = handle.handshake("mail.test").unwrap_err().code;
            // Without that the hook decides.
            assert_eq!(code, if more.is_empty() { 5 } else { SSL_ERR_PROTOCOL });
            drop((handle, socket));
            peer.join().unwrap();
            assert_no_certificate(&record.bytes());
        }
    }
}

/// The hook decides there, too, although other data of the thread is gone.
#[test]
fn no_certificate_leaves_from_a_thread_that_is_ending() {
    struct AtEnd(Option<Box<dyn FnOnce()>>);
    impl Drop for AtEnd {
        fn drop(&mut self) {
            self.0.take().unwrap()();
        }
    }
    thread_local! {
        static AT_END: RefCell<Option<AtEnd>> = const { RefCell::new(None) };
    }
    for version in [&TLS12, &TLS13] {
        let (outcome, outcomes) = mpsc::channel();
        let (socket, wire) = connect(Transport::Tcp);
        let record = wire.record();
        let peer = thread::spawn(move || wire.serve(Arc::new(demanding(version))));
        let ending = thread::spawn(move || {
            let attempt = move || {
                let hook = Hook::answering(5);
                let handle = client(&socket, 0, &hook);
                // This thread has no last error any more.
                let name = c"mail.test".as_ptr();
                let code = unsafe { session::ssl_perform_handshake(handle.0, name) };
                drop((handle, socket));
                outcome.send(code).unwrap();
            };
            AT_END.set(Some(AtEnd(Some(Box::new(attempt)))));
            // What comes later goes first.
            let (socket, wire) = connect(Transport::Tcp);
            let peer = thread::spawn(move || wire.serve(Arc::new(demanding(version))));
            let hook = Hook::answering(5);
            let handle = client(&socket, 0, &hook);
            assert_eq!(handle.handshake("mail.test").unwrap_err().code, 5);
            drop((handle, socket));
            peer.join().unwrap();
        });
        ending.join().unwrap();
        let code = outcomes.recv().unwrap();
        peer.join().unwrap();
        assert_no_certificate(&record.bytes());
        assert_eq!(code, 5);
    }
}

/// What a panic has left with the thread is no report of the next connection's peer.
#[test]
fn a_report_of_another_connection_is_not_believed() {
    let mut trust = Trust::default();
    trust.add_pem(CLIENTS.pem().as_bytes()).unwrap();
    let verifier = Verifier::new(&trust, Mode::Provisional).unwrap();
    let another = verifier.examine(&ders(&ANN.chain), Subject::Any, UnixTime::now());
    assert_eq!(another.causes, 0);

    let (socket, mut wire) = connect(Transport::Tcp);
    let hook = Hook::answering(5);
    let handle = client(&socket, SSL_FLAG_EXPLICIT_IO | SSL_FLAG_NONBLOCKING, &hook);
    let go_on = || handle.handshake("mail.test").unwrap_err().code;
    put_report(Some(another));
    assert_eq!(go_on(), SSL_ERR_WANT_READ);
    // The ServerHello says that it is TLS 1.2, the certificate comes after it: in the same record,
    // but for this server.
    let flight = wire.answer_to_hello(&Arc::new(demanding(&TLS12)));
    let messages = &flight[0][5..];
    let hello_length = 4 + usize::from(u16::from_be_bytes([messages[2], messages[3]]));
    let in_record = |part: &[u8]| {
        let length = u16::try_from(part.len()).unwrap();
        [&flight[0][..3], &length.to_be_bytes(), part].concat()
    };
    let (hello, rest) = messages.split_at(hello_length);
    for (said, outcome) in [(hello, SSL_ERR_WANT_READ), (rest, 5)] {
        wire.say(&in_record(said));
        socket.await_events(libc::POLLIN);
        assert_eq!(go_on(), outcome);
    }
    drop(handle);
    assert_eq!(hook.call().leaf, ders(&MAIL.chain)[0].to_vec());
}

const APPLICATION_DATA: u8 = 0x17;
/// Header, level and description, type, tag.
const ENCRYPTED_ALERT: usize = 5 + 2 + 1 + 16;
