//! What the programs of this folder share that measure the library from the inside: one client
//! connection at a time, of the library in explicit mode or of rustls alone, to a rustls server.
//!
//! Both clients have the same provider, the same trust, and make the same socket calls.

#![allow(dead_code)]

use std::ffi::CString;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::os::fd::AsRawFd;
use std::sync::Arc;

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair};
use rustls::crypto::{CryptoProvider, aws_lc_rs};
use rustls::pki_types::{PrivateKeyDer, ServerName};
use rustls::{
    ClientConfig, ClientConnection, NamedGroup, RootCertStore, ServerConfig, ServerConnection,
    SupportedProtocolVersion,
};
use sslsock::abi::constants::{
    SSL_ERR_STATE, SSL_ERR_WANT_READ, SSL_FLAG_EXPLICIT_IO, SSL_FLAG_NO_POST_QUANTUM,
    SSL_FLAG_NO_RESUMPTION, SSL_FLAG_NONBLOCKING,
};
use sslsock::abi::types::ssl_socket;
use sslsock::abi::{errors, handles, session, settings, trust};

pub const NAME: &str = "bench.test";

/// What is agreed in a handshake.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Kind {
    pub tls13: bool,
    pub post_quantum: bool,
    pub rsa: bool,
    pub resumed: bool,
}

impl Kind {
    /// As in `tls13-x25519-p256-full`.
    pub fn parse(text: &str) -> Option<Self> {
        let mut parts = text.split('-');
        let kind = Self {
            tls13: choice(parts.next()?, "tls13", "tls12")?,
            post_quantum: choice(parts.next()?, "mlkem", "x25519")?,
            rsa: choice(parts.next()?, "rsa", "p256")?,
            resumed: choice(parts.next()?, "resumed", "full")?,
        };
        (parts.next().is_none() && (kind.tls13 || !kind.post_quantum)).then_some(kind)
    }

    /// All that there are.
    pub fn all() -> Vec<(String, Self)> {
        let mut all = Vec::new();
        for version in ["tls13-x25519", "tls13-mlkem", "tls12-x25519"] {
            for rest in ["p256-full", "rsa-full", "p256-resumed", "rsa-resumed"] {
                let name = format!("{version}-{rest}");
                all.extend(Self::parse(&name).map(|kind| (name, kind)));
            }
        }
        all
    }
}

fn choice(text: &str, yes: &str, no: &str) -> Option<bool> {
    (text == yes || text == no).then_some(text == yes)
}

/// Both sides' configurations for one kind of handshake.
pub struct Scene {
    pub kind: Kind,
    pub server: Arc<ServerConfig>,
    pub bare: Arc<ClientConfig>,
    root: String,
    listener: TcpListener,
}

impl Scene {
    pub fn new(kind: Kind) -> Self {
        let provider = Arc::new(provider(kind));
        let versions: &[&SupportedProtocolVersion] =
            if kind.tls13 { &[&rustls::version::TLS13] } else { &[&rustls::version::TLS12] };
        let key = || match kind.rsa {
            true => KeyPair::generate_rsa_for(&rcgen::PKCS_RSA_SHA256, rcgen::RsaKeySize::_2048),
            false => KeyPair::generate(),
        };
        let mut params = CertificateParams::default();
        params.distinguished_name.push(DnType::CommonName, "Bench root");
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let root = CertifiedIssuer::self_signed(params, key().unwrap()).unwrap();
        let leaf_key = key().unwrap();
        let leaf = CertificateParams::new(vec![NAME.to_owned()]).unwrap();
        let leaf = leaf.signed_by(&leaf_key, &root).unwrap();

        let mut server = ServerConfig::builder_with_provider(provider.clone())
            .with_protocol_versions(versions)
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(
                vec![leaf.der().clone()],
                PrivateKeyDer::try_from(leaf_key.serialize_der()).unwrap(),
            )
            .unwrap();
        server.ticketer = aws_lc_rs::Ticketer::new().unwrap();
        if !kind.resumed {
            server.send_tls13_tickets = 0;
        }
        let mut roots = RootCertStore::empty();
        roots.add(root.der().clone()).unwrap();
        // As the library's: it is the server that chooses.
        let mut bare = ClientConfig::builder_with_provider(provider)
            .with_protocol_versions(rustls::ALL_VERSIONS)
            .unwrap()
            .with_root_certificates(roots)
            .with_no_client_auth();
        if !kind.resumed {
            bare.resumption = rustls::client::Resumption::disabled();
        }
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        Self { kind, server: Arc::new(server), bare: Arc::new(bare), root: root.pem(), listener }
    }

    /// Both ends of a connection.
    pub fn connect(&self) -> (TcpStream, TcpStream) {
        let client = TcpStream::connect(self.listener.local_addr().unwrap()).unwrap();
        let server = self.listener.accept().unwrap().0;
        client.set_nodelay(true).unwrap();
        server.set_nodelay(true).unwrap();
        (client, server)
    }

    /// A handle with the settings, before its handshake.
    pub fn handle(&self, socket: &TcpStream, blocking: bool) -> Handle {
        let handle = Handle(handles::ssl_socket_new(socket.as_raw_fd()));
        let mut flags = SSL_FLAG_EXPLICIT_IO;
        if !blocking {
            flags |= SSL_FLAG_NONBLOCKING;
        }
        if !self.kind.post_quantum {
            flags |= SSL_FLAG_NO_POST_QUANTUM;
        }
        if !self.kind.resumed {
            flags |= SSL_FLAG_NO_RESUMPTION;
        }
        assert_eq!(settings::ssl_set_flags(handle.0, flags), 0);
        handle
    }

    /// Whom later handles trust.
    pub fn set_defaults(&self) {
        let pem = self.root.as_bytes();
        let added = unsafe {
            trust::ssl_add_trust_pem(handles::ssl_defaults(), pem.as_ptr().cast(), pem.len())
        };
        assert_eq!(added, 0);
    }
}

/// A handle of the library, freed when dropped.
pub struct Handle(*mut ssl_socket);

unsafe impl Send for Handle {}

impl Handle {
    pub fn handshake(&self, name: &CString) -> i32 {
        unsafe { session::ssl_perform_handshake(self.0, name.as_ptr()) }
    }

    pub fn receive(&self, buffer: &mut [u8]) -> isize {
        unsafe { session::ssl_recv(self.0, buffer.as_mut_ptr().cast(), buffer.len(), 0) }
    }

    pub fn send(&self, data: &[u8]) -> isize {
        unsafe { session::ssl_send(self.0, data.as_ptr().cast(), data.len(), 0) }
    }

    pub fn error(&self) -> i32 {
        errors::ssl_get_error(self.0)
    }
}

impl Drop for Handle {
    fn drop(&mut self) {
        handles::ssl_socket_free(self.0);
    }
}

fn provider(kind: Kind) -> CryptoProvider {
    let mut provider = aws_lc_rs::default_provider();
    if !kind.post_quantum {
        provider.kx_groups.retain(|group| group.name() != NamedGroup::X25519MLKEM768);
    }
    provider
}

/// A server's side of one connection: the handshake, one byte of data, then whatever comes until
/// the end.
pub fn serve(config: Arc<ServerConfig>, mut socket: TcpStream) {
    let mut connection = ServerConnection::new(config).unwrap();
    while connection.is_handshaking() {
        connection.complete_io(&mut socket).unwrap();
    }
    connection.writer().write_all(b"x").unwrap();
    connection.write_tls(&mut socket).unwrap();
    let _ = socket.read(&mut [0; 64]);
}

/// rustls alone, on a blocking socket, up to the first byte of data.
#[inline(never)]
pub fn bare(scene: &Scene, socket: &mut TcpStream) -> f64 {
    let before = cpu();
    let name = ServerName::try_from(NAME).unwrap();
    let mut connection = ClientConnection::new(scene.bare.clone(), name).unwrap();
    while connection.is_handshaking() {
        connection.complete_io(socket).unwrap();
    }
    let spent = cpu() - before;
    let mut byte = [0];
    while connection.reader().read(&mut byte).is_err() {
        connection.complete_io(socket).unwrap();
    }
    assert_eq!(byte, *b"x");
    let kind = connection.handshake_kind().unwrap();
    LAST_RESUMED.set(kind == rustls::HandshakeKind::Resumed);
    connection.send_close_notify();
    connection.write_tls(socket).unwrap();
    spent
}

/// Of this thread, in microseconds.
pub fn cpu() -> f64 {
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    assert_eq!(unsafe { libc::clock_gettime(libc::CLOCK_THREAD_CPUTIME_ID, &mut time) }, 0);
    time.tv_sec as f64 * 1e6 + time.tv_nsec as f64 / 1e3
}

thread_local! {
    pub static LAST_RESUMED: std::cell::Cell<bool> = const { std::cell::Cell::new(false) };
}

/// The library, in the same way.
#[inline(never)]
pub fn ours(scene: &Scene, socket: &TcpStream, name: &CString) -> f64 {
    let before = cpu();
    let handle = scene.handle(socket, true);
    assert_eq!(handle.handshake(name), 0, "{}", handle.error());
    let spent = cpu() - before;
    let mut byte = [0];
    assert_eq!(handle.receive(&mut byte), 1);
    assert_eq!(byte, *b"x");
    spent
}

/// Runs one call of a client's. What [`counted`] runs is what benches/instructions.py counts.
pub type Step = fn(&mut dyn FnMut());

pub fn uncounted(call: &mut dyn FnMut()) {
    call();
}

#[inline(never)]
pub fn counted(call: &mut dyn FnMut()) {
    call();
    std::hint::black_box(());
}

/// A connection whose two sides take turns on one thread.
pub struct Pair {
    client: Client,
    socket: TcpStream,
    server: ServerConnection,
    server_socket: TcpStream,
}

enum Client {
    Ours(Handle),
    Bare(Box<ClientConnection>),
}

impl Pair {
    /// With its handshake made, and all read that comes with its end.
    pub fn new(scene: &Scene, name: &CString, is_ours: bool, step: Step) -> Self {
        let (socket, server_socket) = scene.connect();
        socket.set_nonblocking(true).unwrap();
        server_socket.set_nonblocking(true).unwrap();
        let server = ServerConnection::new(scene.server.clone()).unwrap();
        let mut client = None;
        step(&mut || {
            client = Some(match is_ours {
                true => Client::Ours(scene.handle(&socket, false)),
                false => {
                    let name = ServerName::try_from(NAME).unwrap();
                    let connection = ClientConnection::new(scene.bare.clone(), name).unwrap();
                    Client::Bare(Box::new(connection))
                }
            });
        });
        let mut pair = Self { client: client.unwrap(), socket, server, server_socket };
        while !pair.handshake(name, step) || pair.server.is_handshaking() {
            pair.serve();
        }
        pair.server.writer().write_all(b"x").unwrap();
        pair.serve();
        assert_eq!(pair.receive(&mut [0; 16], step), 1);
        pair
    }

    /// Whether it is complete.
    fn handshake(&mut self, name: &CString, step: Step) -> bool {
        let Self { client, socket, .. } = self;
        let mut is_complete = false;
        step(&mut || match client {
            Client::Ours(handle) => match handle.handshake(name) {
                0 => is_complete = true,
                SSL_ERR_WANT_READ => {}
                // Asked once more than there was need for.
                SSL_ERR_STATE => is_complete = true,
                code => panic!("{code}"),
            },
            Client::Bare(connection) => {
                exchange(connection, socket);
                is_complete = !connection.is_handshaking() && !connection.wants_write();
            }
        });
        is_complete
    }

    /// Whatever the server can do now.
    fn serve(&mut self) {
        let Self { server, server_socket, .. } = self;
        while server.wants_write() && server.write_tls(server_socket).is_ok() {}
        while server.read_tls(server_socket).is_ok_and(|count| count > 0) {
            server.process_new_packets().unwrap();
        }
        while server.wants_write() && server.write_tls(server_socket).is_ok() {}
    }

    pub fn receive(&mut self, buffer: &mut [u8], step: Step) -> usize {
        let Self { client, socket, .. } = self;
        let mut received = 0;
        step(&mut || match client {
            Client::Ours(handle) => received = handle.receive(buffer).try_into().unwrap(),
            Client::Bare(connection) => {
                exchange(connection, socket);
                received = connection.reader().read(buffer).unwrap();
            }
        });
        received
    }

    /// The client sends, the server throws away.
    pub fn send(&mut self, data: &[u8], step: Step) {
        let Self { client, .. } = self;
        step(&mut || match client {
            Client::Ours(handle) => assert_eq!(handle.send(data), data.len() as isize),
            Client::Bare(_) => unreachable!("records are those of the library"),
        });
        let mut left = data.len();
        let mut scrap = [0; 16 * 1024];
        while left > 0 {
            self.serve();
            while let Ok(count @ 1..) = self.server.reader().read(&mut scrap) {
                left -= count;
            }
        }
    }

    /// The server sends, the client reads all of it.
    pub fn serve_data(&mut self, data: &[u8]) {
        self.server.writer().write_all(data).unwrap();
        self.serve();
    }
}

fn exchange(connection: &mut ClientConnection, socket: &mut TcpStream) {
    while connection.wants_write() {
        connection.write_tls(socket).unwrap();
    }
    while connection.read_tls(socket).is_ok_and(|count| count > 0) {
        connection.process_new_packets().unwrap();
    }
    while connection.wants_write() {
        connection.write_tls(socket).unwrap();
    }
}
