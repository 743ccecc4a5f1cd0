//! Whatever a peer may put into records: what is legal works, the rest is an error and no hang.

mod support;

use std::io::{Read, Write};
use std::net::{Shutdown, TcpStream};
use std::sync::{Arc, mpsc};

use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::WebPkiClientVerifier;
use support::explicit::{Session, client, handshake, pattern, poll, receive_all, transport};
use support::pki::Authority;
use support::records::{
    ALERT, CHANGE_CIPHER_SPEC, CLOSE_NOTIFY, DATA, HANDSHAKE, KEY_UPDATE, KEY_UPDATE_REQUEST,
    LARGEST_PLAINTEXT, Wire, handshake_message, new_session_ticket, read_record, record,
};
use support::{Failure, Handle, Peer, SSL_ERR_ALERT, SSL_ERR_PROTOCOL, TlsStream};

/// Reads to the end, so that no reset overtakes what was sent.
fn read_out(mut wire: Wire) {
    let _ = wire.stream.shutdown(Shutdown::Write);
    let _ = std::io::copy(&mut wire.stream, &mut std::io::sink());
}

/// What a session comes to whose peer does `abuse` after the handshake: the data received, the
/// errno and the error.
fn outcome_of(abuse: impl FnOnce(&mut Wire) + Send + 'static) -> (Vec<u8>, i32, Failure) {
    let session = Session::wire(0, |mut wire| {
        abuse(&mut wire);
        read_out(wire);
    });
    let mut received = Vec::new();
    let mut buffer = [0; 1000];
    let errno = loop {
        match session.handle.recv(&mut buffer, 0) {
            Ok(0) => break 0,
            Ok(count) => received.extend_from_slice(&buffer[..count]),
            Err(errno) => break errno,
        }
    };
    let failure = session.handle.error();
    assert_eq!(session.handle.recv(&mut buffer, 0), if errno == 0 { Ok(0) } else { Err(errno) });
    assert_eq!(session.handle.error(), failure);
    assert_eq!(session.handle.free(), 0);
    drop(session.socket);
    session.peer.join();
    (received, errno, failure)
}

#[track_caller]
fn assert_protocol_error(abuse: impl FnOnce(&mut Wire) + Send + 'static) -> Failure {
    let (received, errno, failure) = outcome_of(abuse);
    assert_eq!((received.as_slice(), errno), (&b"before"[..], libc::EPROTO), "{failure:?}");
    assert_eq!(failure.code, SSL_ERR_PROTOCOL, "{failure:?}");
    failure
}

#[test]
fn a_bad_record_mac_is_fatal_and_the_data_before_it_is_not_lost() {
    let failure = assert_protocol_error(|wire| {
        let mut records = wire.to_client.seal(DATA, b"before");
        records.extend(wire.to_client.seal(DATA, b"changed on the way"));
        *records.last_mut().unwrap() ^= 1;
        wire.stream.write_all(&records).unwrap();
        // It learns why.
        assert_eq!(wire.receive(), Some((ALERT, vec![2, 20])));
    });
    assert!(failure.text.contains("decrypt"), "{failure:?}");
}

#[test]
fn a_record_that_is_too_long_is_fatal() {
    assert_protocol_error(|wire| {
        wire.send(DATA, b"before");
        let mut long = record(DATA, &[0; LARGEST_PLAINTEXT + 257]);
        long[0] = DATA;
        wire.stream.write_all(&long).unwrap();
    });
    // The plaintext may be the longest there is, and not a byte longer.
    let (received, errno, _) = outcome_of(|wire| {
        wire.send(DATA, &pattern(1, LARGEST_PLAINTEXT));
        wire.send(ALERT, CLOSE_NOTIFY);
    });
    assert_eq!((received, errno), (pattern(1, LARGEST_PLAINTEXT), 0));
    assert_protocol_error(|wire| {
        wire.send(DATA, b"before");
        wire.send(DATA, &[0; LARGEST_PLAINTEXT + 1]);
    });
}

#[test]
fn a_record_in_clear_is_fatal_once_keys_are_in_use() {
    for kind in [ALERT, HANDSHAKE, DATA, 24, 99] {
        assert_protocol_error(move |wire| {
            wire.send(DATA, b"before");
            wire.stream.write_all(&record(kind, CLOSE_NOTIFY)).unwrap();
        });
    }
}

#[test]
fn empty_records_are_tolerated_but_not_without_end() {
    let (received, errno, _) = outcome_of(|wire| {
        for byte in b"some" {
            for _ in 0..20 {
                wire.send(DATA, b"");
            }
            wire.send(DATA, &[*byte]);
        }
        wire.send(ALERT, CLOSE_NOTIFY);
    });
    assert_eq!((received.as_slice(), errno), (&b"some"[..], 0));
    let failure = assert_protocol_error(|wire| {
        wire.send(DATA, b"before");
        for _ in 0..100_000 {
            let empty = wire.to_client.seal(DATA, b"");
            if wire.stream.write_all(&empty).is_err() {
                break;
            }
        }
    });
    assert!(failure.text.contains("TooManyEmptyFragments"), "{failure:?}");
}

#[test]
fn a_handshake_message_longer_than_64_kib_is_fatal() {
    assert_protocol_error(|wire| {
        wire.send(DATA, b"before");
        let message = handshake_message(4, &[0; 65536]);
        for piece in message.chunks(LARGEST_PLAINTEXT) {
            let piece = wire.to_client.seal(HANDSHAKE, piece);
            let _ = wire.stream.write_all(&piece);
        }
    });
    // And so is one that comes in so many pieces that buffering it would cost megabytes.
    assert_protocol_error(|wire| {
        wire.send(DATA, b"before");
        for byte in new_session_ticket(60_000) {
            let piece = wire.to_client.seal(HANDSHAKE, &[byte]);
            if wire.stream.write_all(&piece).is_err() {
                break;
            }
        }
    });
}

#[test]
fn data_after_close_notify_is_ignored() {
    let (received, errno, _) = outcome_of(|wire| {
        let mut records = wire.to_client.seal(DATA, b"said");
        records.extend(wire.to_client.seal(ALERT, CLOSE_NOTIFY));
        records.extend(wire.to_client.seal(DATA, b"too late"));
        records.extend(b"rubbish that is no record");
        wire.stream.write_all(&records).unwrap();
    });
    assert_eq!((received.as_slice(), errno), (&b"said"[..], 0));
}

#[test]
fn key_updates_without_data_are_limited() {
    let failure = assert_protocol_error(|wire| {
        wire.send(DATA, b"before");
        for _ in 0..33 {
            wire.send(HANDSHAKE, KEY_UPDATE);
            wire.to_client.update();
        }
    });
    assert!(failure.text.contains("TooManyKeyUpdateRequests"), "{failure:?}");
}

#[test]
fn key_updates_with_data_between_may_go_on_and_are_answered() {
    const ROUNDS: usize = 200;
    let session = Session::wire(0, |mut wire| {
        for round in 0..ROUNDS {
            wire.send(HANDSHAKE, KEY_UPDATE_REQUEST);
            wire.to_client.update();
            wire.send(DATA, &[round as u8; 100]);
            // The answer comes with the next data at the latest.
            assert_eq!(wire.receive(), Some((HANDSHAKE, KEY_UPDATE.to_vec())));
            wire.from_client.update();
            assert_eq!(wire.receive(), Some((DATA, vec![round as u8; 100])));
        }
    });
    for _ in 0..ROUNDS {
        let echo = receive_all(&session.handle, 100);
        assert_eq!(session.handle.send(&echo, 0), Ok(100));
    }
    session.peer.join();
}

#[test]
fn a_storm_of_key_updates_and_data_does_not_disturb_a_sender() {
    const ROUNDS: usize = 2000;
    let session = Session::wire(0, |wire| {
        let Wire { stream, mut to_client, mut from_client } = wire;
        std::thread::scope(|scope| {
            let mut input = stream.try_clone().unwrap();
            scope.spawn(move || {
                let mut received = Vec::new();
                let mut updates = 0;
                while received.len() < ROUNDS * 100 + 1 {
                    let mut record = read_record(&mut input).unwrap();
                    match from_client.open(&mut record) {
                        (DATA, data) => received.extend(data),
                        (HANDSHAKE, message) => {
                            assert_eq!(message, KEY_UPDATE);
                            from_client.update();
                            updates += 1;
                        }
                        other => panic!("{other:?}"),
                    }
                }
                assert_eq!(received.pop(), Some(b'!'));
                assert!(received == pattern(2, ROUNDS * 100));
                assert!(updates > 0);
            });
            let mut output = &stream;
            for piece in pattern(1, ROUNDS * 100).chunks(100) {
                output.write_all(&to_client.seal(HANDSHAKE, KEY_UPDATE_REQUEST)).unwrap();
                to_client.update();
                output.write_all(&to_client.seal(DATA, piece)).unwrap();
            }
        });
    });
    std::thread::scope(|scope| {
        scope.spawn(|| {
            for piece in pattern(2, ROUNDS * 100).chunks(100) {
                assert_eq!(session.handle.send(piece, 0), Ok(100));
            }
        });
        assert!(receive_all(&session.handle, ROUNDS * 100) == pattern(1, ROUNDS * 100));
    });
    // Only now is it certain that the sender has met an update.
    assert_eq!(session.handle.send(b"!", 0), Ok(1));
    session.peer.join();
}

/// A message in pieces, with our own sending between each two of them.
fn send_between_the_pieces_of(message: Vec<u8>, size: usize) {
    let pieces = message.len().div_ceil(size);
    let session = Session::wire(0, move |mut wire| {
        for (number, piece) in message.chunks(size).enumerate() {
            wire.send(HANDSHAKE, piece);
            assert_eq!(wire.receive_data(5000), pattern(number as u8, 5000));
        }
        if message[0] == KEY_UPDATE[0] {
            wire.to_client.update();
        }
        wire.send(DATA, b"after it");
    });
    let mut byte = [0];
    for number in 0..pieces {
        // The piece is there, and is taken in.
        poll(&transport(&session.handle), libc::POLLIN, -1);
        assert_eq!(session.handle.recv(&mut byte, libc::MSG_DONTWAIT), Err(libc::EAGAIN));
        assert_eq!(session.handle.send(&pattern(number as u8, 5000), 0), Ok(5000));
    }
    assert_eq!(receive_all(&session.handle, 8), b"after it");
    session.peer.join();
}

#[test]
fn sending_goes_on_between_the_pieces_of_a_handshake_message() {
    for size in [1, 2, 3, 7, 16, 17, 30, 60, 100, 150] {
        send_between_the_pieces_of(new_session_ticket(180), size);
    }
    for size in 1..5 {
        send_between_the_pieces_of(KEY_UPDATE.to_vec(), size);
    }
    send_between_the_pieces_of(new_session_ticket(60_000), LARGEST_PLAINTEXT);
}

#[test]
fn another_record_between_the_pieces_of_a_handshake_message_is_fatal() {
    assert_protocol_error(|wire| {
        wire.send(DATA, b"before");
        let ticket = new_session_ticket(180);
        wire.send(HANDSHAKE, &ticket[..100]);
        wire.send(DATA, b"between");
        wire.send(HANDSHAKE, &ticket[100..]);
    });
}

#[test]
fn several_messages_in_a_record_and_one_message_in_several_are_the_same() {
    let (received, errno, failure) = outcome_of(|wire| {
        let messages = [new_session_ticket(20), new_session_ticket(300)].concat();
        wire.send(HANDSHAKE, &messages);
        wire.send(DATA, b"be");
        for piece in messages.chunks(9) {
            wire.send(HANDSHAKE, piece);
        }
        wire.send(DATA, b"fore");
        wire.send(ALERT, CLOSE_NOTIFY);
    });
    assert_eq!((received.as_slice(), errno), (&b"before"[..], 0), "{failure:?}");
}

#[test]
fn tickets_without_end_neither_hang_a_call_nor_fill_the_memory() {
    let (stop, stopped) = mpsc::channel::<()>();
    let session = Session::wire(0, move |mut wire| {
        let ticket = new_session_ticket(4000);
        let mut sent = 0_usize;
        while stopped.try_recv().is_err() {
            wire.send(HANDSHAKE, &ticket);
            sent += ticket.len();
        }
        wire.send(DATA, b"done");
        sent
    });
    // Each call comes back, although there is always more to read.
    let mut byte = [0; 4];
    for _ in 0..50 {
        poll(&transport(&session.handle), libc::POLLIN, -1);
        assert_eq!(session.handle.recv(&mut byte, libc::MSG_DONTWAIT), Err(libc::EAGAIN));
    }
    stop.send(()).unwrap();
    assert_eq!(receive_all(&session.handle, 4), b"done");
    assert!(session.peer.join() > 0);
}

#[test]
fn warning_alerts_and_unknown_messages_are_fatal_in_tls_1_3() {
    for (kind, content) in [
        (ALERT, vec![1, 40]),
        (ALERT, vec![2, 80]),
        (ALERT, vec![]),
        (HANDSHAKE, handshake_message(1, &[0; 40])),
        (HANDSHAKE, handshake_message(0, &[])),
        (HANDSHAKE, handshake_message(99, &[1])),
        (CHANGE_CIPHER_SPEC, vec![1]),
        (HANDSHAKE, vec![24, 0, 0, 1, 7]),
        (HANDSHAKE, vec![24, 0, 0, 2, 0, 0]),
    ] {
        let named = format!("{kind} {content:?}");
        let (received, errno, failure) = outcome_of(move |wire| {
            wire.send(DATA, b"before");
            wire.send(kind, &content);
        });
        assert_eq!((received.as_slice(), errno), (&b"before"[..], libc::EPROTO), "{named}");
        assert!([SSL_ERR_PROTOCOL, SSL_ERR_ALERT].contains(&failure.code), "{named}: {failure:?}");
    }
}

#[test]
fn a_handshake_in_pieces_of_one_byte_succeeds() {
    let in_bytes = |keys: Option<(&mut support::records::Keys, &mut support::records::Keys)>,
                    mut whole: Vec<u8>| {
        match (whole[0], keys) {
            (HANDSHAKE, _) => whole[5..].iter().flat_map(|&b| record(HANDSHAKE, &[b])).collect(),
            (DATA, Some((open, seal))) => {
                let (kind, content) = open.open(&mut whole);
                content.iter().flat_map(|&byte| seal.seal(kind, &[byte])).collect()
            }
            _ => whole,
        }
    };
    let session = Session::open(0, |certified| {
        Peer::mangled(certified, in_bytes, |mut wire| {
            assert_eq!(wire.receive_data(4), b"ping");
            for byte in b"pong" {
                wire.send(DATA, &[*byte]);
            }
        })
    });
    assert_eq!(session.handle.send(b"ping", 0), Ok(4));
    assert_eq!(receive_all(&session.handle, 4), b"pong");
    session.peer.join();
}

#[test]
fn a_tls_1_2_handshake_in_pieces_of_one_byte_succeeds() {
    let authority = Authority::new("fragments");
    let config = authority.issue(&["mail.test"]).server_with(&[&rustls::version::TLS12]);
    let peer = Peer::raw(move |stream| {
        let mut connection = rustls::ServerConnection::new(config).unwrap();
        // Ours, until it ends.
        let pass = |connection: &mut rustls::ServerConnection, mut stream: &TcpStream| {
            let mut flight = Vec::new();
            while connection.wants_write() {
                connection.write_tls(&mut flight).unwrap();
            }
            let mut flight = std::io::Cursor::new(flight);
            let mut in_clear = true;
            while let Some(whole) = read_record(&mut flight) {
                in_clear &= whole[0] == HANDSHAKE;
                let bytes = if in_clear {
                    whole[5..].iter().flat_map(|&byte| record(HANDSHAKE, &[byte])).collect()
                } else {
                    whole
                };
                stream.write_all(&bytes).unwrap();
            }
        };
        while connection.is_handshaking() {
            connection.read_tls(&mut &stream).unwrap();
            connection.process_new_packets().unwrap();
            pass(&mut connection, &stream);
        }
        let mut stream: TlsStream = rustls::StreamOwned::new(connection, stream);
        let mut ping = [0; 4];
        stream.read_exact(&mut ping).unwrap();
        ping
    });
    let socket = peer.connect();
    let handle = client(&socket, &authority, 0);
    handshake(&handle);
    assert_eq!(handle.send(b"ping", 0), Ok(4));
    assert_eq!(&peer.join(), b"ping");
}

/// What the handshake says to a server that answers the ClientHello with these bytes.
fn handshake_against(answer: Vec<u8>) -> Failure {
    let authority = Authority::new("abuse");
    let peer = Peer::raw(move |mut stream| {
        read_record(&mut stream).unwrap();
        let _ = stream.write_all(&answer);
        let _ = stream.shutdown(Shutdown::Write);
        let mut rest = Vec::new();
        let _ = stream.read_to_end(&mut rest);
        rest
    });
    let socket = peer.connect();
    let handle = client(&socket, &authority, 0);
    let failure = handle.handshake("mail.test").unwrap_err();
    assert_eq!(handle.error(), failure);
    drop(handle);
    drop(socket);
    peer.join();
    failure
}

fn server_hello(version: u16, suite: u16) -> Vec<u8> {
    let mut body = version.to_be_bytes().to_vec();
    body.extend([7; 32]);
    body.push(0);
    body.extend(suite.to_be_bytes());
    body.push(0);
    record(HANDSHAKE, &handshake_message(2, &body))
}

#[test]
fn an_old_version_or_a_suite_that_was_not_offered_is_refused_by_name() {
    let failure = handshake_against(server_hello(0x0302, 0x002f));
    assert_eq!(failure.code, SSL_ERR_PROTOCOL, "{failure:?}");
    assert!(failure.text.contains("older versions are refused"), "{failure:?}");
    let failure = handshake_against(server_hello(0x0303, 0x002f));
    assert_eq!(failure.code, SSL_ERR_PROTOCOL, "{failure:?}");
    assert!(failure.text.contains("UnofferedCipherSuite"), "{failure:?}");
    // A server that has nothing in common with us says so by an alert.
    let failure = handshake_against(record(ALERT, &[2, 40]));
    assert_eq!(failure.code, SSL_ERR_ALERT);
    assert!(failure.text.contains("handshake_failure (40)"), "{failure:?}");
    let failure = handshake_against(record(ALERT, &[2, 70]));
    assert_eq!(failure.code, SSL_ERR_ALERT);
    assert!(failure.text.contains("neither TLS 1.2 nor TLS 1.3"), "{failure:?}");
}

#[test]
fn abuse_within_the_handshake_is_an_error() {
    let too_long = handshake_message(2, &[0; 65536]);
    let too_long: Vec<_> =
        too_long.chunks(LARGEST_PLAINTEXT).flat_map(|piece| record(HANDSHAKE, piece)).collect();
    for answer in [
        too_long,
        record(ALERT, CLOSE_NOTIFY),
        record(HANDSHAKE, &[0; LARGEST_PLAINTEXT + 2049]),
        record(HANDSHAKE, b"").repeat(100_000),
        record(DATA, b"data before any keys"),
        record(HANDSHAKE, &handshake_message(11, &[0; 300])),
        record(CHANGE_CIPHER_SPEC, &[1]).repeat(100),
        vec![HANDSHAKE, 3, 3, 0, 0],
    ] {
        let start = format!("{:?}", &answer[..5]);
        let failure = handshake_against(answer);
        let expected = [SSL_ERR_PROTOCOL, SSL_ERR_ALERT, support::SSL_ERR_TRUNCATED];
        assert!(expected.contains(&failure.code), "{start}: {failure:?}");
        assert!(!failure.text.contains("internal"), "{start}: {failure:?}");
    }
}

#[test]
fn close_notify_in_the_encrypted_part_of_the_handshake_is_an_error() {
    let authority = Authority::new("close");
    let peer = Peer::raw({
        let certified = authority.issue(&["mail.test"]);
        move |stream| {
            let inner = Peer::<()>::mangled(
                &certified,
                |keys, whole| match keys {
                    Some((_, seal)) => seal.seal(ALERT, CLOSE_NOTIFY),
                    None => whole,
                },
                |_| unreachable!("the client goes on"),
            );
            // Both ways through this thread, so that the peer's panic at our end stays its own.
            let onward = inner.connect();
            std::thread::scope(|scope| {
                scope.spawn(|| std::io::copy(&mut &stream, &mut &onward));
                let _ = std::io::copy(&mut &onward, &mut &stream);
                let _ = stream.shutdown(Shutdown::Both);
                let _ = onward.shutdown(Shutdown::Both);
            });
        }
    });
    let socket = peer.connect();
    let handle = client(&socket, &authority, 0);
    let failure = handle.handshake("mail.test").unwrap_err();
    assert_eq!(failure.code, SSL_ERR_ALERT, "{failure:?}");
    assert!(failure.text.contains("close_notify (0)"), "{failure:?}");
    drop(handle);
    drop(socket);
    peer.join();
}

/// A server that asks for a client certificate, and whether it insists.
fn asking(
    authority: &Authority,
    version: &'static rustls::SupportedProtocolVersion,
    insists: bool,
) -> Arc<rustls::ServerConfig> {
    let mut roots = rustls::RootCertStore::empty();
    let pem = Authority::new("clients").pem();
    roots.add(CertificateDer::from_pem_slice(pem.as_bytes()).unwrap()).unwrap();
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let verifier = WebPkiClientVerifier::builder_with_provider(roots.into(), provider.clone());
    let verifier = if insists { verifier } else { verifier.allow_unauthenticated() };
    let server = authority.issue(&["mail.test"]);
    let chain = CertificateDer::from_pem_slice(server.chain.as_bytes()).unwrap();
    let key = PrivateKeyDer::from_pem_slice(server.key.as_bytes()).unwrap();
    let config = rustls::ServerConfig::builder_with_provider(provider)
        .with_protocol_versions(&[version])
        .unwrap()
        .with_client_cert_verifier(verifier.build().unwrap())
        .with_single_cert(vec![chain], key)
        .unwrap();
    Arc::new(config)
}

/// The error of a client without a certificate.
fn failure_without_identity<T: Send + 'static>(authority: &Authority, peer: Peer<T>) -> Failure {
    let socket = peer.connect();
    let handle = client(&socket, authority, 0);
    // In TLS 1.3 this side is done before the server looks.
    let failure = handle.handshake("mail.test").err().unwrap_or_else(|| {
        assert_eq!(handle.recv(&mut [0; 10], 0), Err(libc::EPROTO));
        handle.error()
    });
    drop(handle);
    drop(socket);
    peer.join();
    failure
}

#[test]
fn a_demand_for_a_client_certificate_names_the_functions_that_set_one() {
    let authority = Authority::new("server");
    for version in [&rustls::version::TLS12, &rustls::version::TLS13] {
        let peer = Peer::tls(asking(&authority, version, true), |mut stream| {
            assert!(stream.read(&mut [0; 10]).is_err());
            let _ = stream.flush();
            let _ = stream.sock.shutdown(Shutdown::Write);
            let _ = std::io::copy(&mut stream.sock, &mut std::io::sink());
        });
        let failure = failure_without_identity(&authority, peer);
        assert_eq!(failure.code, SSL_ERR_ALERT, "{version:?}: {failure:?}");
        assert!(failure.text.contains("ssl_set_identity_pem"), "{version:?}: {failure:?}");
        assert!(failure.text.contains("ssl_set_identity_file"), "{version:?}: {failure:?}");
    }
    // Many servers do not say what they missed.
    for alert in [40, 42, 49] {
        let config = asking(&authority, &rustls::version::TLS13, false);
        let peer = Peer::wire_with(config, move |mut wire| {
            wire.send(ALERT, &[2, alert]);
            read_out(wire);
        });
        let failure = failure_without_identity(&authority, peer);
        assert_eq!(failure.code, SSL_ERR_ALERT, "{alert}: {failure:?}");
        assert!(failure.text.contains("none is set: see ssl_set_identity_pem"), "{failure:?}");
    }
    // Who was not asked is not told to answer.
    let certified = authority.issue(&["mail.test"]);
    let peer = Peer::wire(&certified, |mut wire| {
        wire.send(ALERT, &[2, 40]);
        read_out(wire);
    });
    let failure = failure_without_identity(&authority, peer);
    assert!(!failure.text.contains("ssl_set_identity"), "{failure:?}");
}

#[test]
fn data_that_comes_with_the_end_of_the_handshake_is_not_lost() {
    // TLS 1.3: behind the server's Finished, before it has heard the client's.
    let authority = Authority::new("greeting");
    let mut config = (*authority.issue(&["mail.test"]).server()).clone();
    config.send_half_rtt_data = true;
    greeted_by(&authority, config, |connection| {
        connection.writer().write_all(b"220 mail ready\r\n").unwrap();
    });
    // TLS 1.2: the server's Finished is the last message.
    let config = authority.issue(&["mail.test"]).server_with(&[&rustls::version::TLS12]);
    greeted_by(&authority, (*config).clone(), |connection| {
        if !connection.is_handshaking() {
            connection.writer().write_all(b"220 mail ready\r\n").unwrap();
        }
    });
}

fn greeted_by(
    authority: &Authority,
    config: rustls::ServerConfig,
    greet: impl Fn(&mut rustls::ServerConnection) + Send + 'static,
) {
    let peer = Peer::raw(move |mut stream| {
        let mut connection = rustls::ServerConnection::new(config.into()).unwrap();
        let mut greeted = false;
        while connection.is_handshaking() {
            connection.read_tls(&mut stream).unwrap();
            connection.process_new_packets().unwrap();
            if !greeted && connection.wants_write() {
                greet(&mut connection);
                greeted = connection.negotiated_cipher_suite().is_some();
            }
            // The flight and the greeting leave together.
            let mut flight = Vec::new();
            while connection.wants_write() {
                connection.write_tls(&mut flight).unwrap();
            }
            stream.write_all(&flight).unwrap();
            greeted &= connection.protocol_version() != Some(rustls::ProtocolVersion::TLSv1_2);
        }
        let mut stream: TlsStream = rustls::StreamOwned::new(connection, stream);
        let mut quit = [0; 4];
        stream.read_exact(&mut quit).unwrap();
    });
    let socket = peer.connect();
    let handle: Handle = client(&socket, authority, 0);
    handshake(&handle);
    assert_eq!(receive_all(&handle, 16), b"220 mail ready\r\n");
    assert_eq!(handle.send(b"QUIT", 0), Ok(4));
    peer.join();
}
