//! What is offered and accepted in a handshake beside certificates: application protocols, versions,
//! key exchanges; and the file that secrets go to.

mod support;

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::PathBuf;
use std::thread;

use rustls::version::{TLS12, TLS13};
use support::hello::ClientHello;
use support::pki::{Authority, Certified};
use support::records::{handshake_message, read_record, record};
use support::wire::MODES;
use support::{
    Failure, Handle, Outcome, Peer, SSL_ERR_ALERT, SSL_ERR_PROTOCOL, SSL_FLAG_DEFER_HANDSHAKE,
    SSL_FLAG_EXPLICIT_IO, SSL_FLAG_NO_POST_QUANTUM, SSL_FLAG_NO_RESUMPTION, SSL_FLAG_SERVER,
    SSL_PROTOCOL_TLS1_2, SSL_PROTOCOL_TLS1_3, echo,
};

/// The outcomes of a handshake of the library with itself, client first, and both handles.
fn pair(
    authority: &Authority,
    certified: &Certified,
    of_client: impl FnOnce(Handle) -> Handle,
    of_server: impl FnOnce(Handle) -> Handle + Send,
) -> ((Outcome, Handle, TcpStream), (Outcome, Handle, TcpStream)) {
    let listener = TcpListener::bind("127.0.0.2:0").unwrap();
    let near = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    let far = listener.accept().unwrap().0;
    thread::scope(|scope| {
        let server = scope.spawn(move || {
            let handle = Handle::of(&far)
                .flags(SSL_FLAG_SERVER | SSL_FLAG_DEFER_HANDSHAKE)
                .identity(&certified.chain, &certified.key);
            let handle = of_server(handle);
            (handle.handshake_without_name(), handle, far)
        });
        let handle = of_client(Handle::of(&near).trust(&authority.pem()));
        let client = (handle.handshake("mail.test"), handle, near);
        (client, server.join().unwrap())
    })
}

fn authority() -> (Authority, Certified) {
    let authority = Authority::new("parameters");
    let certified = authority.issue(&["mail.test"]);
    (authority, certified)
}

/// A server whose choice of protocol is rustls's.
fn offering(certified: &Certified, protocols: &[&str]) -> Peer<()> {
    let mut config = (*certified.server()).clone();
    config.alpn_protocols = protocols.iter().map(|name| name.as_bytes().to_vec()).collect();
    Peer::tls(config.into(), echo)
}

#[test]
fn a_client_is_told_what_the_server_has_chosen() {
    let (authority, certified) = authority();
    for mode in MODES {
        for (offered, taken, agreed) in [
            (&["h2", "imap"][..], &["imap", "h2"][..], "imap"),
            (&["h2"], &["h2"], "h2"),
            (&["h2", "imap"], &[], ""),
            (&[], &["h2"], ""),
        ] {
            let peer = offering(&certified, taken);
            let socket = peer.connect();
            let handle = Handle::of(&socket).flags(mode).trust(&authority.pem()).alpn(offered);
            handle.handshake("mail.test").unwrap();
            assert_eq!(handle.agreed(), agreed, "{offered:?} {taken:?}");
            drop((handle, socket));
            peer.join();
        }
    }
}

#[test]
fn a_server_that_refuses_every_protocol_is_told_of() {
    let (authority, certified) = authority();
    let peer = Peer::tls(
        {
            let mut config = (*certified.server()).clone();
            config.alpn_protocols = vec![b"imap".to_vec()];
            config.into()
        },
        |mut stream| {
            let _ = stream.read(&mut [0; 10]);
        },
    );
    let socket = peer.connect();
    let handle = Handle::of(&socket).trust(&authority.pem()).alpn(&["h2", "smtp"]);
    let failure = handle.handshake("mail.test").unwrap_err();
    assert_eq!(failure.code, SSL_ERR_ALERT, "{}", failure.text);
    assert_eq!(
        failure.text,
        "peer ended the connection with the TLS alert no_application_protocol (120): it speaks none \
         of the application protocols that were offered (ssl_set_alpn)"
    );
    assert_eq!(handle.error_info().tls_alert, 120);
}

/// The hello of a server of TLS 1.2 that has chosen this protocol.
fn hello_choosing(protocol: Option<&[u8]>) -> Vec<u8> {
    let mut extensions = vec![0xff, 0x01, 0, 1, 0];
    if let Some(protocol) = protocol {
        let length = protocol.len() as u8;
        extensions.extend([0, 16, 0, length + 3, 0, length + 1, length]);
        extensions.extend(protocol);
    }
    let mut body = vec![3, 3];
    body.extend([7; 32]);
    // No session; TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256; no compression.
    body.extend([0, 0xc0, 0x2b, 0]);
    body.extend((extensions.len() as u16).to_be_bytes());
    body.extend(extensions);
    record(0x16, &handshake_message(2, &body))
}

/// What comes of a handshake with a peer that answers the ClientHello with these bytes.
fn answered_with(answer: Vec<u8>, set: impl FnOnce(Handle) -> Handle) -> Failure {
    let peer = Peer::raw(move |mut stream| {
        read_record(&mut stream).unwrap();
        stream.write_all(&answer).unwrap();
        let _ = stream.read_to_end(&mut Vec::new());
    });
    let socket = peer.connect();
    let handle = set(Handle::of(&socket));
    let failure = handle.handshake("mail.test").unwrap_err();
    drop((handle, socket));
    peer.join();
    failure
}

#[test]
fn a_server_that_chooses_what_was_not_offered_is_refused() {
    for offered in [&["h2"][..], &[]] {
        let failure = answered_with(hello_choosing(Some(b"imap")), |handle| handle.alpn(offered));
        assert_eq!(failure.code, SSL_ERR_PROTOCOL, "{}", failure.text);
        assert!(failure.text.starts_with("peer broke the TLS protocol: "), "{}", failure.text);
    }
}

#[test]
fn versions_that_have_been_turned_off_are_named() {
    let (authority, certified) = authority();
    for (version, allowed, limit) in [
        (&TLS12, SSL_PROTOCOL_TLS1_3, "TLS 1.3 alone"),
        (&TLS13, SSL_PROTOCOL_TLS1_2, "TLS 1.2 alone"),
    ] {
        let peer = Peer::tls(certified.server_with(&[version]), |mut stream| {
            let _ = stream.read(&mut [0; 10]);
        });
        let socket = peer.connect();
        let handle = Handle::of(&socket).trust(&authority.pem()).versions(allowed, allowed);
        let failure = handle.handshake("mail.test").unwrap_err();
        assert_eq!(failure.code, SSL_ERR_ALERT, "{}", failure.text);
        assert_eq!(
            failure.text,
            format!(
                "peer ended the connection with the TLS alert protocol_version (70): this side \
                 allows {limit} (ssl_set_protocols)"
            )
        );
    }
    let failure = answered_with(hello_choosing(None), |handle| {
        handle.versions(SSL_PROTOCOL_TLS1_3, SSL_PROTOCOL_TLS1_3)
    });
    assert_eq!(failure.code, SSL_ERR_PROTOCOL);
    assert_eq!(
        failure.text,
        "server chose no version of TLS that this side allows: TLS 1.3 alone (ssl_set_protocols)"
    );
}

#[test]
fn what_is_allowed_is_what_is_spoken() {
    let (authority, certified) = authority();
    for (of_client, of_server, spoken) in [
        ((SSL_PROTOCOL_TLS1_2, SSL_PROTOCOL_TLS1_2), None, SSL_PROTOCOL_TLS1_2),
        ((SSL_PROTOCOL_TLS1_3, SSL_PROTOCOL_TLS1_3), None, SSL_PROTOCOL_TLS1_3),
        ((SSL_PROTOCOL_TLS1_2, SSL_PROTOCOL_TLS1_3), None, SSL_PROTOCOL_TLS1_3),
        (
            (SSL_PROTOCOL_TLS1_2, SSL_PROTOCOL_TLS1_3),
            Some(SSL_PROTOCOL_TLS1_2),
            SSL_PROTOCOL_TLS1_2,
        ),
    ] {
        let (client, server) = pair(
            &authority,
            &certified,
            |handle| handle.versions(of_client.0, of_client.1),
            |handle| match of_server {
                Some(version) => handle.versions(version, version),
                None => handle,
            },
        );
        client.0.unwrap();
        server.0.unwrap();
        assert_eq!(client.1.session_info().protocol, spoken);
        assert_eq!(server.1.session_info().protocol, spoken);
    }
}

const X25519MLKEM768: u16 = 0x11ec;

/// The record that a client begins with.
fn first_record(flags: u32) -> Vec<u8> {
    let peer = Peer::raw(|mut stream| read_record(&mut stream).unwrap());
    let socket = peer.connect();
    let handle = Handle::of(&socket).flags(flags);
    // The peer goes away.
    handle.handshake("mail.test").unwrap_err();
    peer.join()
}

fn groups(hello: &ClientHello) -> Vec<u16> {
    let list = &hello.extensions[&10][2..];
    list.chunks(2).map(|group| u16::from_be_bytes(group.try_into().unwrap())).collect()
}

#[test]
fn post_quantum_key_exchange_is_offered_unless_it_is_turned_off() {
    for mode in [0, SSL_FLAG_EXPLICIT_IO] {
        let with = first_record(mode);
        assert!(groups(&ClientHello::parse(&with)).contains(&X25519MLKEM768));
        let without = first_record(mode | SSL_FLAG_NO_POST_QUANTUM);
        let hello = ClientHello::parse(&without);
        assert!(!groups(&hello).contains(&X25519MLKEM768));
        let share = &hello.extensions[&51];
        assert!(share.len() < 100, "{}", share.len());
        // It fits a segment, which is what some peers count on.
        assert!(with.len() > 1300 && without.len() < 500, "{} {}", with.len(), without.len());
    }
}

#[test]
fn a_server_may_turn_post_quantum_key_exchange_off() {
    let (authority, certified) = authority();
    for (of_client, of_server, group) in [
        (0, 0, "X25519MLKEM768"),
        (0, SSL_FLAG_NO_POST_QUANTUM, "X25519"),
        (SSL_FLAG_NO_POST_QUANTUM, 0, "X25519"),
    ] {
        let (client, server) = pair(
            &authority,
            &certified,
            |handle| handle.flags(of_client),
            |handle| handle.flags(SSL_FLAG_SERVER | of_server),
        );
        client.0.unwrap();
        server.0.unwrap();
        assert_eq!((client.1.group(), server.1.group()), (group.to_owned(), group.to_owned()));
    }
}

/// A path that nothing has, and that nothing keeps.
struct Place(PathBuf);

impl Place {
    fn new(name: &str) -> Self {
        let name = format!("sslsock-parameters-{}-{name}", std::process::id());
        Self(std::env::temp_dir().join(name))
    }

    fn lines(&self) -> Vec<String> {
        let content = std::fs::read_to_string(&self.0).unwrap();
        let mut lines: Vec<_> = content.lines().map(str::to_owned).collect();
        lines.sort();
        lines
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.0);
    }
}

#[test]
fn both_sides_log_the_same_secrets() {
    let (authority, certified) = authority();
    for (version, count) in [(SSL_PROTOCOL_TLS1_2, 1), (SSL_PROTOCOL_TLS1_3, 5)] {
        let (ours, theirs) = (Place::new("client"), Place::new("server"));
        for rounds in 1..=2 {
            // Where a session is resumed rustls's server has one secret more to tell.
            let (client, server) = pair(
                &authority,
                &certified,
                |handle| {
                    let handle = handle.flags(SSL_FLAG_NO_RESUMPTION);
                    handle.versions(version, version).key_log(&ours.0)
                },
                |handle| handle.key_log(&theirs.0),
            );
            client.0.unwrap();
            server.0.unwrap();
            assert!(ours.lines() == theirs.lines());
            assert_eq!(ours.lines().len(), rounds * count);
        }
        let without = pair(&authority, &certified, |handle| handle, |handle| handle);
        without.0.0.unwrap();
        assert_eq!(ours.lines().len(), 2 * count);
    }
}
