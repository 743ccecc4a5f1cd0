//! A client's last flight waits for the decision on the server, also when the server breaks the
//! protocol in the middle of it.

mod support;

use std::sync::{Arc, Mutex};
use std::thread;

use aws_lc_rs::aead::{AES_128_GCM, Aad, LessSafeKey, Nonce, UnboundKey};
use aws_lc_rs::hkdf::{HKDF_SHA256, KeyType, Prk};
use rustls::KeyLog;
use rustls::crypto::aws_lc_rs::{cipher_suite::TLS13_AES_128_GCM_SHA256, default_provider};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::WebPkiClientVerifier;
use sslsock::abi::identity;
use support::fixtures::ders;
use support::hooks::Hook;
use support::pki::Authority;
use support::wire::{MODES, Transport, connect, records};
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

/// rustls has our certificate ready when it finds that the record with the server's Finished does
/// not end with it.
#[test]
fn no_certificate_leaves_when_something_follows_the_servers_finished() {
    let (servers, clients) = (Authority::new("servers"), Authority::new("clients"));
    let (mail, ann) = (servers.issue(&["mail.test"]), clients.issue(&["ann.test"]));
    for mode in MODES {
        for more in [&[][..], &[4]] {
            let mut provider = default_provider();
            provider.cipher_suites = vec![TLS13_AES_128_GCM_SHA256];
            let provider = Arc::new(provider);
            let mut roots = rustls::RootCertStore::empty();
            roots.add(CertificateDer::from_pem_slice(clients.pem().as_bytes()).unwrap()).unwrap();
            let verifier =
                WebPkiClientVerifier::builder_with_provider(roots.into(), provider.clone());
            let secret = Arc::new(Secret::default());
            let mut config = rustls::ServerConfig::builder_with_provider(provider)
                .with_protocol_versions(&[&rustls::version::TLS13])
                .unwrap()
                .with_client_cert_verifier(verifier.build().unwrap())
                .with_single_cert(
                    ders(&mail.chain),
                    PrivateKeyDer::from_pem_slice(mail.key.as_bytes()).unwrap(),
                )
                .unwrap();
            config.key_log = secret.clone();

            let (client, mut wire) = connect(Transport::Tcp);
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
            let handle = hook.on(Handle::of(&client).flags(mode));
            let (chain, key) = (ann.chain.as_bytes(), ann.key.as_bytes());
            let set = unsafe {
                identity::ssl_set_identity_pem(
                    handle.0,
                    chain.as_ptr().cast(),
                    chain.len(),
                    key.as_ptr().cast(),
                    key.len(),
                )
            };
            assert_eq!(set, 0);
            let code = handle.handshake("mail.test").unwrap_err().code;
            // Without that the hook decides.
            assert_eq!(code, if more.is_empty() { 5 } else { SSL_ERR_PROTOCOL });
            drop((handle, client));
            peer.join().unwrap();
            for record in records(&record.bytes()).iter().skip(1) {
                let is_small = record.len() <= ENCRYPTED_ALERT;
                assert!(record[0] != APPLICATION_DATA || is_small, "{} bytes", record.len());
            }
        }
    }
}

const APPLICATION_DATA: u8 = 0x17;
/// Header, level and description, type, tag.
const ENCRYPTED_ALERT: usize = 5 + 2 + 1 + 16;
