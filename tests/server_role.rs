//! The server role: the accepted socket becomes TLS and stays the same descriptor.

mod support;

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::os::fd::AsRawFd;
use std::sync::Arc;

use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use support::pki::Authority;
use support::{
    Handle, SSL_ERR_BAD_DATA, SSL_ERR_NO_CERT, SSL_FLAG_DEFER_HANDSHAKE, SSL_FLAG_EXPLICIT_IO,
    SSL_FLAG_SERVER, error_of, plain_recv, plain_send,
};

/// A rustls client on a thread: STARTTLS in clear, then one line each way under TLS.
fn client(authority: &Authority, listener: &TcpListener) -> std::thread::JoinHandle<String> {
    let address = listener.local_addr().unwrap();
    let mut roots = rustls::RootCertStore::empty();
    roots.add(CertificateDer::from_pem_slice(authority.pem().as_bytes()).unwrap()).unwrap();
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    std::thread::spawn(move || {
        let mut socket = TcpStream::connect(address).unwrap();
        socket.write_all(b"STARTTLS\r\n").unwrap();
        let mut ready = [0; 11];
        socket.read_exact(&mut ready).unwrap();
        assert_eq!(&ready, b"220 ready\r\n");
        let name = ServerName::try_from("mail.test").unwrap();
        let connection = rustls::ClientConnection::new(Arc::new(config), name).unwrap();
        let mut stream = rustls::StreamOwned::new(connection, socket);
        stream.write_all(b"EHLO client\r\n").unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        answer
    })
}

fn accept_starttls(listener: &TcpListener) -> TcpStream {
    let (mut socket, _) = listener.accept().unwrap();
    let mut command = [0; 10];
    socket.read_exact(&mut command).unwrap();
    assert_eq!(&command, b"STARTTLS\r\n");
    socket
}

#[test]
fn an_accepted_socket_is_upgraded_in_mid_conversation() {
    let authority = Authority::new("server role");
    let certified = authority.issue(&["mail.test"]);
    for mode in [0, SSL_FLAG_EXPLICIT_IO] {
        let listener = TcpListener::bind("127.0.0.2:0").unwrap();
        let client = client(&authority, &listener);
        let mut socket = accept_starttls(&listener);
        let handle = Handle::of(&socket)
            .flags(SSL_FLAG_SERVER | SSL_FLAG_DEFER_HANDSHAKE | mode)
            .identity(&certified.chain, &certified.key);
        socket.write_all(b"220 ready\r\n").unwrap();
        handle.handshake_without_name().unwrap();
        let mut line = [0; 64];
        let (fd, answer) = (socket.as_raw_fd(), b"250 OK\r\n");
        let count = if mode == 0 {
            let count = plain_recv(fd, &mut line).unwrap();
            assert_eq!(plain_send(fd, answer), Ok(answer.len()));
            count
        } else {
            let count = handle.recv(&mut line, 0).unwrap();
            assert_eq!(handle.send(answer, 0), Ok(answer.len()));
            count
        };
        assert_eq!(&line[..count], b"EHLO client\r\n");
        drop(handle);
        drop(socket);
        // The client's read_to_string fails without a close_notify.
        assert_eq!(client.join().unwrap(), "250 OK\r\n");
    }
}

#[test]
fn a_server_without_a_certificate_is_told_so() {
    let listener = TcpListener::bind("127.0.0.2:0").unwrap();
    let _client = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    let (socket, _) = listener.accept().unwrap();
    let handle = Handle::of(&socket).flags(SSL_FLAG_SERVER);
    let failure = handle.handshake_without_name().unwrap_err();
    assert_eq!(failure.code, SSL_ERR_NO_CERT);
    assert_eq!(
        failure.text,
        "a server needs a certificate: call ssl_set_identity_pem or ssl_set_identity_file before \
         the handshake"
    );
    assert!(plain_send(socket.as_raw_fd(), b"in clear").is_err());
}

#[test]
fn an_identity_that_cannot_work_is_refused_when_it_is_set() {
    let authority = Authority::new("identity");
    let (first, second) = (authority.issue(&["a.test"]), authority.issue(&["b.test"]));
    let listener = TcpListener::bind("127.0.0.2:0").unwrap();
    let handle = Handle::of(&TcpStream::connect(listener.local_addr().unwrap()).unwrap());
    let encrypted =
        "-----BEGIN ENCRYPTED PRIVATE KEY-----\nAAAA\n-----END ENCRYPTED PRIVATE KEY-----\n";
    for (chain, key, text) in [
        (
            first.chain.as_str(),
            second.key.as_str(),
            "the private key does not belong to the first certificate of the chain, nor to another \
             in it: it is the key of another certificate",
        ),
        ("", &first.key, "the certificate chain cannot be used: it is empty"),
        (
            &first.chain,
            encrypted,
            "the private key cannot be used: it is encrypted, and the library asks for no \
             passphrase: decrypt it first, as with openssl pkey -in key.pem -out plain.pem",
        ),
        (&first.chain, "", "the private key cannot be used: it is empty"),
    ] {
        let set = unsafe {
            sslsock::abi::identity::ssl_set_identity_pem(
                handle.0,
                chain.as_ptr().cast(),
                chain.len(),
                key.as_ptr().cast(),
                key.len(),
            )
        };
        assert_eq!(set, SSL_ERR_BAD_DATA);
        assert_eq!(error_of(handle.0).text, text);
    }
}
