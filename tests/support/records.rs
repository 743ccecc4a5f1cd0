//! A TLS 1.3 peer whose records are made by hand once rustls has made the handshake.
//!
//! Whatever a peer may put on the wire under the right keys can be sent this way: fragments, empty
//! records, key updates without end, data after close_notify.

use std::io::{Cursor, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};

use aws_lc_rs::aead::{AES_256_GCM, Aad, LessSafeKey, Nonce, UnboundKey};
use aws_lc_rs::hkdf::{HKDF_SHA384, KeyType, Prk};

use super::Peer;
use super::explicit::set_option;
use super::pki::Certified;

pub const CHANGE_CIPHER_SPEC: u8 = 20;
pub const ALERT: u8 = 21;
pub const HANDSHAKE: u8 = 22;
pub const DATA: u8 = 23;

pub const CLOSE_NOTIFY: &[u8] = &[1, 0];
pub const KEY_UPDATE: &[u8] = &[24, 0, 0, 1, 0];
pub const KEY_UPDATE_REQUEST: &[u8] = &[24, 0, 0, 1, 1];
pub const LARGEST_PLAINTEXT: usize = 16384;

/// A record in clear.
pub fn record(kind: u8, payload: &[u8]) -> Vec<u8> {
    let mut record = vec![kind, 3, 3];
    record.extend_from_slice(&(payload.len() as u16).to_be_bytes());
    record.extend_from_slice(payload);
    record
}

/// Reads one record; `None` at the end of the connection.
pub fn read_record(stream: &mut impl Read) -> Option<Vec<u8>> {
    let mut record = vec![0; 5];
    stream.read_exact(&mut record).ok()?;
    let length = usize::from(u16::from_be_bytes([record[3], record[4]]));
    record.resize(5 + length, 0);
    stream.read_exact(&mut record[5..]).ok()?;
    Some(record)
}

/// A NewSessionTicket with so many bytes of ticket.
pub fn new_session_ticket(length: usize) -> Vec<u8> {
    let mut body = vec![0, 0, 14, 16, 1, 2, 3, 4, 1, 7];
    body.extend_from_slice(&(length as u16).to_be_bytes());
    body.resize(body.len() + length, 0xab);
    body.extend_from_slice(&[0, 0]);
    handshake_message(4, &body)
}

pub fn handshake_message(kind: u8, body: &[u8]) -> Vec<u8> {
    let mut message = (body.len() as u32).to_be_bytes().to_vec();
    message[0] = kind;
    message.extend_from_slice(body);
    message
}

/// The keys of one direction, for TLS_AES_256_GCM_SHA384.
pub struct Keys {
    secret: Vec<u8>,
    key: LessSafeKey,
    iv: [u8; 12],
    sequence: u64,
}

impl Keys {
    fn new(secret: Vec<u8>) -> Self {
        let mut key = [0; 32];
        let mut iv = [0; 12];
        expand(&secret, "key", &mut key);
        expand(&secret, "iv", &mut iv);
        let key = LessSafeKey::new(UnboundKey::new(&AES_256_GCM, &key).unwrap());
        Self { secret, key, iv, sequence: 0 }
    }

    /// The record of `kind` that holds `plaintext`.
    pub fn seal(&mut self, kind: u8, plaintext: &[u8]) -> Vec<u8> {
        let length = plaintext.len() + 1 + 16;
        let mut record = Vec::with_capacity(5 + length);
        record.extend_from_slice(&[DATA, 3, 3]);
        record.extend_from_slice(&(length as u16).to_be_bytes());
        record.extend_from_slice(plaintext);
        record.push(kind);
        let (header, body) = record.split_at_mut(5);
        let nonce = self.nonce();
        let tag = self.key.seal_in_place_separate_tag(nonce, Aad::from(&*header), body).unwrap();
        record.extend_from_slice(tag.as_ref());
        record
    }

    /// The kind and the content of a record.
    pub fn open(&mut self, record: &mut [u8]) -> (u8, Vec<u8>) {
        let (header, body) = record.split_at_mut(5);
        let nonce = self.nonce();
        let inner = self.key.open_in_place(nonce, Aad::from(&*header), body).unwrap();
        let end = inner.iter().rposition(|&byte| byte != 0).unwrap();
        (inner[end], inner[..end].to_vec())
    }

    /// After a KeyUpdate in this direction.
    pub fn update(&mut self) {
        let mut next = vec![0; 48];
        expand(&self.secret, "traffic upd", &mut next);
        *self = Self::new(next);
    }

    fn nonce(&mut self) -> Nonce {
        let mut nonce = self.iv;
        for (byte, number) in nonce[4..].iter_mut().zip(self.sequence.to_be_bytes()) {
            *byte ^= number;
        }
        self.sequence += 1;
        Nonce::assume_unique_for_key(nonce)
    }
}

/// HKDF-Expand-Label with an empty context.
fn expand(secret: &[u8], label: &str, output: &mut [u8]) {
    struct Length(usize);
    impl KeyType for Length {
        fn len(&self) -> usize {
            self.0
        }
    }
    let label = format!("tls13 {label}");
    let length = (output.len() as u16).to_be_bytes();
    let info: [&[u8]; 4] = [&length, &[label.len() as u8], label.as_bytes(), &[0]];
    let secret = Prk::new_less_safe(HKDF_SHA384, secret);
    secret.expand(&info, Length(output.len())).unwrap().fill(output).unwrap();
}

/// An established connection, the peer's side.
pub struct Wire {
    pub stream: TcpStream,
    pub to_client: Keys,
    pub from_client: Keys,
}

impl Wire {
    pub fn send(&mut self, kind: u8, plaintext: &[u8]) {
        let record = self.to_client.seal(kind, plaintext);
        self.stream.write_all(&record).unwrap();
    }

    /// The next record's kind and content; `None` at the end of the connection.
    pub fn receive(&mut self) -> Option<(u8, Vec<u8>)> {
        let mut record = read_record(&mut self.stream)?;
        Some(self.from_client.open(&mut record))
    }

    /// The content of so many bytes of data records.
    pub fn receive_data(&mut self, length: usize) -> Vec<u8> {
        let mut data = Vec::new();
        while data.len() < length {
            let (kind, content) = self.receive().expect("more data");
            assert_eq!(kind, DATA);
            data.extend(content);
        }
        data
    }
}

/// What the handshake agreed on, told by rustls.
#[derive(Debug, Default)]
struct Secrets(Mutex<Vec<(String, Vec<u8>)>>);

impl Secrets {
    fn keys(&self, label: &str) -> Keys {
        let secrets = self.0.lock().unwrap();
        Keys::new(secrets.iter().find(|(name, _)| name == label).unwrap().1.clone())
    }
}

impl rustls::KeyLog for Secrets {
    fn log(&self, label: &str, _client_random: &[u8], secret: &[u8]) {
        self.0.lock().unwrap().push((label.to_owned(), secret.to_owned()));
    }
}

impl<T: Send + 'static> Peer<T> {
    /// `serve` gets the connection after the handshake.
    pub fn wire(certified: &Certified, serve: impl FnOnce(Wire) -> T + Send + 'static) -> Self {
        Self::mangled(certified, |_, record| record, serve)
    }

    /// As [`Self::wire`], but little fits between the two ends: once a sender without a reader has
    /// to wait, less than a record's worth can still leave.
    pub fn narrow(certified: &Certified, serve: impl FnOnce(Wire) -> T + Send + 'static) -> Self {
        let config = certified.server_with(&[&rustls::version::TLS13]);
        let listener = TcpListener::bind("127.0.0.2:0").unwrap();
        // Connections inherit it, and it does not grow by itself.
        set_option(&listener, libc::SO_RCVBUF, 4096);
        let address = listener.local_addr().unwrap();
        let thread = std::thread::spawn(move || {
            serve(accept(listener.accept().unwrap().0, config, |_, record| record))
        });
        Self { address, thread }
    }

    /// `mangle` may change what the handshake sends: it gets a record and, if that is encrypted,
    /// keys to open and to seal it with.
    pub fn mangled(
        certified: &Certified,
        mangle: impl FnMut(Option<(&mut Keys, &mut Keys)>, Vec<u8>) -> Vec<u8> + Send + 'static,
        serve: impl FnOnce(Wire) -> T + Send + 'static,
    ) -> Self {
        let config = certified.server_with(&[&rustls::version::TLS13]);
        Self::raw(move |stream| serve(accept(stream, config, mangle)))
    }

    /// The same with a configuration for TLS 1.3.
    pub fn wire_with(
        config: Arc<rustls::ServerConfig>,
        serve: impl FnOnce(Wire) -> T + Send + 'static,
    ) -> Self {
        Self::raw(move |stream| serve(accept(stream, config, |_, record| record)))
    }
}

fn accept(
    mut stream: TcpStream,
    config: Arc<rustls::ServerConfig>,
    mut mangle: impl FnMut(Option<(&mut Keys, &mut Keys)>, Vec<u8>) -> Vec<u8>,
) -> Wire {
    stream.set_nodelay(true).unwrap();
    let mut config = (*config).clone();
    config.send_tls13_tickets = 0;
    let secrets = Arc::new(Secrets::default());
    config.key_log = secrets.clone();
    let mut connection = rustls::ServerConnection::new(Arc::new(config)).unwrap();
    let mut keys = None;
    while connection.is_handshaking() {
        // Record by record, so that none of the data behind is taken along.
        let record = read_record(&mut stream).expect("the client's handshake");
        connection.read_tls(&mut Cursor::new(record)).unwrap();
        connection.process_new_packets().unwrap();
        let mut flight = Vec::new();
        while connection.wants_write() {
            connection.write_tls(&mut flight).unwrap();
        }
        let mut flight = Cursor::new(flight);
        let mut mangled = Vec::new();
        while let Some(record) = read_record(&mut flight) {
            let keys = (record[0] == DATA).then(|| {
                let (open, seal) = keys.get_or_insert_with(|| {
                    let label = "SERVER_HANDSHAKE_TRAFFIC_SECRET";
                    (secrets.keys(label), secrets.keys(label))
                });
                (open, seal)
            });
            mangled.extend(mangle(keys, record));
        }
        stream.write_all(&mangled).unwrap();
    }
    let suite = connection.negotiated_cipher_suite().unwrap().suite();
    assert_eq!(suite, rustls::CipherSuite::TLS13_AES_256_GCM_SHA384);
    Wire {
        stream,
        to_client: secrets.keys("SERVER_TRAFFIC_SECRET_0"),
        from_client: secrets.keys("CLIENT_TRAFFIC_SECRET_0"),
    }
}
