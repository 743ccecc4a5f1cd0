//! What benches/c/server.c does for handshakes, by rustls: for the group that OpenSSL 3.0 does not have.

use std::ffi::{c_char, c_int};
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::os::fd::FromRawFd;
use std::sync::Arc;

use rustls::crypto::aws_lc_rs;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::NoServerSessionStorage;
use rustls::{HandshakeKind, NamedGroup, ServerConfig, ServerConnection, StreamOwned};

use super::text;

const COMMAND: usize = 32;
const ANSWER: usize = 96;

pub extern "C" fn run(
    listener: c_int,
    certificate: *const c_char,
    key: *const c_char,
    tickets: c_int,
) {
    let mut provider = aws_lc_rs::default_provider();
    provider.kx_groups.retain(|group| group.name() == NamedGroup::X25519MLKEM768);
    let chain = CertificateDer::pem_file_iter(text(certificate)).expect("the certificate file");
    let mut config = ServerConfig::builder_with_provider(Arc::new(provider))
        .with_protocol_versions(&[&rustls::version::TLS13])
        .expect("versions")
        .with_no_client_auth()
        .with_single_cert(
            chain.map(|certificate| certificate.expect("PEM")).collect(),
            PrivateKeyDer::from_pem_file(text(key)).expect("the key file"),
        )
        .expect("an identity");
    config.session_storage = Arc::new(NoServerSessionStorage {});
    config.send_tls13_tickets = if tickets == 0 { 0 } else { 2 };
    if tickets != 0 {
        config.ticketer = aws_lc_rs::Ticketer::new().expect("a ticketer");
    }
    let config = Arc::new(config);
    // SAFETY: the harness hands over the descriptor.
    let listener = unsafe { TcpListener::from_raw_fd(listener) };
    for stream in listener.incoming() {
        let (stream, config) = (stream.expect("accept"), config.clone());
        std::thread::spawn(move || {
            // A client that goes away is no failure.
            let _ = answer(stream, config);
        });
    }
}

fn answer(stream: TcpStream, config: Arc<ServerConfig>) -> std::io::Result<()> {
    stream.set_nodelay(true)?;
    let connection = ServerConnection::new(config).map_err(std::io::Error::other)?;
    let mut tls = StreamOwned::new(connection, stream);
    // The client may have had enough.
    let _ = obey(&mut tls);
    tls.conn.send_close_notify();
    tls.flush()
}

fn obey(tls: &mut StreamOwned<ServerConnection, TcpStream>) -> std::io::Result<()> {
    while tls.conn.is_handshaking() {
        tls.conn.complete_io(&mut tls.sock)?;
    }
    let mut command = [0; COMMAND];
    loop {
        tls.read_exact(&mut command)?;
        if command[0] != b'Q' {
            return Ok(());
        }
        let mut answer = format!(
            "{} {} {:?} resumed={}",
            "TLSv1.3",
            tls.conn
                .negotiated_cipher_suite()
                .and_then(|suite| suite.suite().as_str())
                .unwrap_or("?")
                .replace("TLS13", "TLS"),
            tls.conn.negotiated_key_exchange_group().map(|group| group.name()).expect("a group"),
            u8::from(tls.conn.handshake_kind() == Some(HandshakeKind::Resumed)),
        )
        .into_bytes();
        answer.resize(ANSWER, 0);
        tls.write_all(&answer)?;
        tls.flush()?;
    }
}
