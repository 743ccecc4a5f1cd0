//! The boundary between clear text and TLS: what a peer, or the program, can do wrong there.
//!
//! Every case that fails is followed by what a careless program does next: it sends a password.

mod support;

use std::net::Shutdown;
use std::os::fd::AsRawFd;
use std::sync::LazyLock;
use std::thread;

use rustls::version::{TLS12, TLS13};
use support::dead::{Forked, PASSWORD, assert_dead};
use support::pki::{Authority, Certified};
use support::wire::{MODES, Socket, TRANSPORTS, Transport, Wire, connect, records};
use support::*;

static AUTHORITY: LazyLock<Authority> = LazyLock::new(|| Authority::new("boundary"));
static MAIL: LazyLock<Certified> = LazyLock::new(|| AUTHORITY.issue(&["mail.test"]));

/// What the peer slips in.
const LINE: &[u8] = b"250 injected\r\n";

macro_rules! early {
    ($quoted:literal) => {
        concat!(
            "peer sent ",
            $quoted,
            " before the handshake began: data in clear must not slip into the encrypted \
             conversation; read the whole answer to STARTTLS before upgrading, and suspect an \
             attack if you did"
        )
    };
}

macro_rules! not_tls {
    ($quoted:literal) => {
        concat!(
            "peer sent ",
            $quoted,
            " instead of a TLS record: does this port want STARTTLS first?"
        )
    };
}

/// One thing that a peer does, and what comes of it.
struct Case {
    case: &'static str,
    what: &'static str,
    /// Sent with the answer to STARTTLS, in the same segment.
    with_answer: fn() -> Vec<u8>,
    /// What the peer does then.
    then: fn(Wire),
    /// What the program waits for before it upgrades: events of poll.
    awaits: i16,
    /// A reset is TCP's.
    tcp_only: bool,
    timeout: u32,
    code: i32,
    name: &'static str,
    text: &'static str,
}

const CASE: Case = Case {
    case: "",
    what: "",
    with_answer: Vec::new,
    then: |mut wire| wire.hear_all(),
    awaits: 0,
    tcp_only: false,
    timeout: 30_000,
    code: 0,
    name: "",
    text: "",
};

/// Reads the ClientHello and answers with this.
fn answer(mut wire: Wire, bytes: &[u8]) {
    wire.hear_record();
    wire.say(bytes);
    wire.hear_all();
}

fn inject_after_server_hello(mut wire: Wire, version: &'static rustls::SupportedProtocolVersion) {
    let flight = wire.answer_to_hello(&MAIL.server_with(&[version]));
    wire.say(&[&flight[0][..], LINE, &flight[1..].concat()].concat());
    wire.hear_all();
}

const CASES: &[Case] = &[
    Case {
        case: "A1",
        what: "a line in the same segment as the answer to STARTTLS",
        with_answer: || LINE.to_vec(),
        code: SSL_ERR_EARLY_DATA,
        name: "SSL_ERR_EARLY_DATA",
        text: early!(r#""250 injected""#),
        ..CASE
    },
    Case {
        case: "A2",
        what: "a line after our ClientHello",
        then: |wire| answer(wire, LINE),
        code: SSL_ERR_NOT_TLS,
        name: "SSL_ERR_NOT_TLS",
        text: not_tls!(r#""250 injected""#),
        ..CASE
    },
    Case {
        case: "A3",
        what: "a fragment of a line with the answer to STARTTLS",
        with_answer: || b"250 inj".to_vec(),
        code: SSL_ERR_EARLY_DATA,
        name: "SSL_ERR_EARLY_DATA",
        text: early!(r#""250 inj""#),
        ..CASE
    },
    Case {
        case: "A3",
        what: "a fragment of a line after our ClientHello",
        then: |wire| answer(wire, b"250 inj"),
        code: SSL_ERR_NOT_TLS,
        name: "SSL_ERR_NOT_TLS",
        text: not_tls!(r#""250 inj""#),
        ..CASE
    },
    Case {
        case: "A4",
        what: "10 KiB of lines with the answer to STARTTLS",
        with_answer: || LINE.repeat(10 * 1024 / LINE.len()),
        code: SSL_ERR_EARLY_DATA,
        name: "SSL_ERR_EARLY_DATA",
        text: early!(r#""250 injected""#),
        ..CASE
    },
    Case {
        case: "A4",
        what: "10 KiB of lines after our ClientHello",
        then: |wire| answer(wire, &LINE.repeat(10 * 1024 / LINE.len())),
        code: SSL_ERR_NOT_TLS,
        name: "SSL_ERR_NOT_TLS",
        text: not_tls!(r#""250 injected""#),
        ..CASE
    },
    Case {
        case: "A5",
        what: "what looks like a TLS record, with the answer to STARTTLS",
        with_answer: || b"\x16\x03\x01\x00\x05hello".to_vec(),
        code: SSL_ERR_EARLY_DATA,
        name: "SSL_ERR_EARLY_DATA",
        text: early!(r#""\x16\x03\x01\x00\x05hello""#),
        ..CASE
    },
    Case {
        case: "A5",
        what: "what looks like a TLS record but is none, after our ClientHello",
        then: |wire| answer(wire, b"\x16\x03\x03\x00\x05hello"),
        code: SSL_ERR_PROTOCOL,
        name: "SSL_ERR_PROTOCOL",
        text: "peer broke the TLS protocol: received corrupt message of type \
               HandshakePayloadTooLarge",
        ..CASE
    },
    Case {
        case: "A5",
        what: "the header of a TLS record and nothing more",
        then: |wire| answer(wire, b"\x16\x03\x03\x40\x00"),
        // Long enough for a loaded machine's peer to have said that much.
        timeout: 500,
        code: SSL_ERR_TIMEOUT,
        name: "SSL_ERR_TIMEOUT",
        text: "the handshake did not finish within 500 ms: waited for the rest of the peer's \
               handshake (ssl_set_timeout changes the limit)",
        ..CASE
    },
    Case {
        case: "A6",
        what: "a fatal alert in clear with the answer to STARTTLS",
        with_answer: || b"\x15\x03\x03\x00\x02\x02\x28".to_vec(),
        code: SSL_ERR_EARLY_DATA,
        name: "SSL_ERR_EARLY_DATA",
        text: early!(r#""\x15\x03\x03\x00\x02\x02(""#),
        ..CASE
    },
    Case {
        case: "A6",
        what: "a fatal alert in clear after our ClientHello",
        then: |wire| answer(wire, b"\x15\x03\x03\x00\x02\x02\x28"),
        code: SSL_ERR_ALERT,
        name: "SSL_ERR_ALERT",
        text: "peer ended the connection with the TLS alert handshake_failure (40): it found \
               nothing acceptable in what was offered (versions, suites, certificate)",
        ..CASE
    },
    Case {
        case: "A7",
        what: "a line between ServerHello and Finished (TLS 1.2)",
        then: |wire| inject_after_server_hello(wire, &TLS12),
        code: SSL_ERR_PROTOCOL,
        name: "SSL_ERR_PROTOCOL",
        text: "peer broke the TLS protocol: received corrupt message of type InvalidContentType",
        ..CASE
    },
    Case {
        case: "A7",
        what: "a line between ServerHello and Finished (TLS 1.3)",
        then: |wire| inject_after_server_hello(wire, &TLS13),
        code: SSL_ERR_PROTOCOL,
        name: "SSL_ERR_PROTOCOL",
        text: "peer broke the TLS protocol: received corrupt message of type InvalidContentType",
        ..CASE
    },
    Case {
        case: "A13",
        what: "closes its direction before the upgrade",
        then: |mut wire| {
            wire.socket.shutdown(Shutdown::Write);
            wire.hear_all();
        },
        awaits: libc::POLLRDHUP,
        code: SSL_ERR_TRUNCATED,
        name: "SSL_ERR_TRUNCATED",
        text: "peer had closed the connection before the handshake was asked for",
        ..CASE
    },
    Case {
        case: "A13",
        what: "says a last line and closes before the upgrade",
        with_answer: || b"421 go away\r\n".to_vec(),
        then: |mut wire| {
            wire.socket.shutdown(Shutdown::Write);
            wire.hear_all();
        },
        awaits: libc::POLLRDHUP,
        code: SSL_ERR_EARLY_DATA,
        name: "SSL_ERR_EARLY_DATA",
        text: early!(r#""421 go away""#),
        ..CASE
    },
    Case {
        case: "A13",
        what: "resets the connection before the upgrade",
        then: Wire::reset,
        awaits: libc::POLLHUP,
        tcp_only: true,
        code: SSL_ERR_RESET,
        name: "SSL_ERR_RESET",
        text: "peer had reset the connection before the handshake was asked for",
        ..CASE
    },
    Case {
        case: "R9",
        what: "closes the connection after our ClientHello",
        then: |mut wire| drop(wire.hear_record()),
        code: SSL_ERR_TRUNCATED,
        name: "SSL_ERR_TRUNCATED",
        text: "peer closed the connection instead of answering the handshake: it may not speak \
               TLS here, or not want this client",
        ..CASE
    },
    Case {
        case: "R9",
        what: "says a last line after our ClientHello and closes",
        then: |mut wire| {
            wire.hear_record();
            wire.say(b"421 go away\r\n");
        },
        code: SSL_ERR_NOT_TLS,
        name: "SSL_ERR_NOT_TLS",
        text: not_tls!(r#""421 go away""#),
        ..CASE
    },
    Case {
        case: "R9",
        what: "resets the connection after our ClientHello",
        then: |mut wire| {
            wire.hear_record();
            wire.reset();
        },
        tcp_only: true,
        code: SSL_ERR_RESET,
        name: "SSL_ERR_RESET",
        text: "could not receive from the peer: Connection reset by peer (os error 104) during \
               the handshake",
        ..CASE
    },
    Case {
        case: "R9",
        what: "closes the connection in the middle of its handshake",
        then: |mut wire| {
            let flight = wire.answer_to_hello(&MAIL.server());
            wire.say(&flight.concat()[..200]);
        },
        code: SSL_ERR_TRUNCATED,
        name: "SSL_ERR_TRUNCATED",
        text: "peer closed the connection in the middle of the handshake",
        ..CASE
    },
    Case {
        case: "R9",
        what: "resets the connection in the middle of its handshake",
        then: |mut wire| {
            let flight = wire.answer_to_hello(&MAIL.server());
            wire.say(&flight.concat()[..200]);
            wire.reset();
        },
        tcp_only: true,
        code: SSL_ERR_RESET,
        name: "SSL_ERR_RESET",
        text: "could not receive from the peer: Connection reset by peer (os error 104) during \
               the handshake",
        ..CASE
    },
    Case {
        case: "R40",
        what: "never answers our ClientHello",
        timeout: 100,
        code: SSL_ERR_TIMEOUT,
        name: "SSL_ERR_TIMEOUT",
        text: "the handshake did not finish within 100 ms: waited for the server's first TLS \
               record (does this port want STARTTLS first?) (ssl_set_timeout changes the limit)",
        ..CASE
    },
];

#[test]
fn what_a_peer_does_wrong_is_told_and_ends_the_connection() {
    for case in CASES {
        for transport in TRANSPORTS {
            for mode in MODES {
                if transport == Transport::Tcp || !case.tcp_only {
                    run(case, transport, mode);
                }
            }
        }
    }
}

fn run(case: &Case, transport: Transport, mode: u32) {
    let what = format!("{} ({}), {transport:?}, {mode:#x}", case.case, case.what);
    let (client, mut wire) = connect(transport);
    let record = wire.record();
    let duplicate = client.duplicate();
    let child = Forked::with(client.as_raw_fd());
    let (extra, then) = ((case.with_answer)(), case.then);
    let peer = thread::spawn(move || {
        wire.agree(&extra);
        then(wire);
    });
    client.starttls();
    if case.awaits != 0 {
        client.await_events(case.awaits);
    }
    let handle = Handle::of(&client).flags(mode).trust(&AUTHORITY.pem());
    let handle = handle.timeout(SSL_TIMEOUT_HANDSHAKE, case.timeout);
    let failure = handle.handshake("mail.test").expect_err(&what);
    assert_eq!((failure.code, &*failure.text), (case.code, case.text), "{what}");
    assert_eq!(handle.error(), failure, "{what}");
    let alert = if case.code == SSL_ERR_ALERT { 40 } else { -1 };
    assert_eq!(handle.error_info().tls_alert, alert, "{what}");
    assert_dead(client.as_raw_fd(), &what);
    assert_dead(duplicate.as_raw_fd(), &what);
    child.assert_dead(&what);
    assert_eq!(handle.handshake("mail.test").unwrap_err().code, SSL_ERR_STATE, "{what}");
    drop((handle, client, duplicate));
    peer.join().unwrap();
    assert!(!record.contains(PASSWORD), "{what}");
    // Whatever did leave was TLS.
    records(&record.after_starttls());
}

#[test]
fn the_document_lists_every_case() {
    let mut table =
        String::from("| case | what the peer does | code | text | test |\n|---|---|---|---|---|\n");
    for Case { case, what, name, text, .. } in CASES {
        let text = text.replace('|', "\\|");
        let test = "boundary::what_a_peer_does_wrong_is_told_and_ends_the_connection";
        table += &format!("| {case} | {what} | `{name}` | `{text}` | `{test}` |\n");
    }
    let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/bad-input.md");
    let document = std::fs::read_to_string(&path).unwrap_or_default();
    let (start, end) = ("<!-- cases -->\n", "<!-- end of cases -->\n");
    let (before, rest) = document.split_once(start).expect("the mark before the table");
    let (written, after) = rest.split_once(end).expect("the mark after the table");
    if std::env::var_os("SSLSOCK_WRITE_DOCS").is_some() {
        std::fs::write(&path, [before, start, &table, end, after].concat()).unwrap();
    } else {
        assert!(
            written == table,
            "docs/bad-input.md is out of date: run with SSLSOCK_WRITE_DOCS=1"
        );
    }
}

/// A client that has read the answer to STARTTLS, and its peer playing a script from there on.
fn conversation<T: Send + 'static>(
    transport: Transport,
    script: impl FnOnce(Wire) -> T + Send + 'static,
) -> (Socket, support::wire::Record, thread::JoinHandle<T>) {
    let (client, mut wire) = connect(transport);
    let record = wire.record();
    let peer = thread::spawn(move || {
        wire.agree(&[]);
        script(wire)
    });
    client.starttls();
    (client, record, peer)
}

fn say(client: &Socket, handle: &Handle, mode: u32, line: &[u8]) {
    let mut buffer = [0; 64];
    let (sent, received) = if mode == SSL_FLAG_EXPLICIT_IO {
        (handle.send(line, 0), handle.recv(&mut buffer, 0))
    } else {
        let number = client.as_raw_fd();
        (plain_send(number, line), plain_recv(number, &mut buffer))
    };
    assert_eq!((sent, received), (Ok(line.len()), Ok(line.len())));
    assert_eq!(&buffer[..line.len()], line);
}

/// A8, and single bytes all through the handshake.
#[test]
fn single_bytes_make_an_answer_and_a_handshake() {
    for transport in TRANSPORTS {
        for mode in MODES {
            let (client, mut wire) = connect(transport);
            let peer = thread::spawn(move || {
                wire.one_by_one = true;
                wire.agree(&[]);
                wire.serve(MAIL.server())
            });
            client.starttls();
            let handle = Handle::of(&client).flags(mode).trust(&AUTHORITY.pem());
            handle.handshake("mail.test").unwrap();
            say(&client, &handle, mode, b"EHLO me\r\n");
            drop((handle, client));
            assert_eq!(peer.join().unwrap().plaintext, b"EHLO me\r\n");
        }
    }
}

/// A server whose greeting comes in the same segment as the end of its handshake.
#[test]
fn what_the_server_says_with_the_end_of_its_handshake_arrives() {
    for (version, half_rtt, closes) in [
        (&TLS12, false, false),
        (&TLS13, false, false),
        (&TLS13, true, false),
        (&TLS12, false, true),
        (&TLS13, false, true),
    ] {
        for mode in MODES {
            let (client, _, peer) = conversation(Transport::Tcp, move |wire| {
                let mut config = (*MAIL.server_with(&[version])).clone();
                config.send_half_rtt_data = half_rtt;
                wire.greet(config.into(), b"220 welcome\r\n", closes)
            });
            let handle = Handle::of(&client).flags(mode).trust(&AUTHORITY.pem());
            handle.handshake("mail.test").unwrap();
            let mut greeting = Vec::new();
            let mut buffer = [0; 64];
            // To the end, which comes in the same segment too, or to the line's.
            while closes || !greeting.ends_with(b"\n") {
                let received = match mode {
                    SSL_FLAG_EXPLICIT_IO => handle.recv(&mut buffer, 0),
                    _ => plain_recv(client.as_raw_fd(), &mut buffer),
                };
                match received.unwrap() {
                    0 => break,
                    count => greeting.extend_from_slice(&buffer[..count]),
                }
            }
            assert_eq!(greeting, b"220 welcome\r\n", "{version:?} {half_rtt} {mode:#x}");
            drop((handle, client));
            peer.join().unwrap();
        }
    }
}

/// A11.
#[test]
fn a_second_upgrade_is_refused_and_the_connection_goes_on() {
    for transport in TRANSPORTS {
        for mode in MODES {
            let (client, record, peer) = conversation(transport, |wire| wire.serve(MAIL.server()));
            let handle = Handle::of(&client).flags(mode).trust(&AUTHORITY.pem());
            handle.handshake("mail.test").unwrap();
            for _ in 0..2 {
                let failure = handle.handshake("mail.test").unwrap_err();
                assert_eq!(failure.code, SSL_ERR_STATE);
                assert_eq!(
                    failure.text,
                    "this socket already speaks TLS: go on with send and recv (nothing was \
                     changed)"
                );
                assert_eq!(handle.handshake_raw(b"\xff").unwrap_err().code, SSL_ERR_STATE);
                assert_eq!(handle.handshake_without_name().unwrap_err().code, SSL_ERR_STATE);
                say(&client, &handle, mode, b"NOOP\r\n");
            }
            drop((handle, client));
            assert_eq!(peer.join().unwrap().plaintext, b"NOOP\r\nNOOP\r\n");
            records(&record.after_starttls());
        }
    }
}

/// A12.
#[test]
fn a_socket_without_a_connection_is_refused_for_good() {
    for mode in MODES {
        let number = unsafe { libc::socket(libc::AF_INET, libc::SOCK_STREAM, 0) };
        let socket =
            unsafe { <std::net::TcpStream as std::os::fd::FromRawFd>::from_raw_fd(number) };
        let handle = Handle::of(&socket).flags(mode).trust(&AUTHORITY.pem());
        let outcome = handle.handshake("mail.test");
        let failure = handle.assert_failed(outcome, SSL_ERR_STATE);
        assert_eq!(
            failure.text,
            format!(
                "descriptor {number} is a socket that is not connected; TLS needs a connected \
                 stream socket (TCP or AF_UNIX)"
            )
        );
        assert_dead(number, "not connected");
        // A program that has not looked connects and sends.
        let peer = Peer::raw(|mut stream| {
            let mut all = Vec::new();
            let _ = std::io::Read::read_to_end(&mut stream, &mut all);
            all
        });
        let std::net::SocketAddr::V4(address) = peer.address else { panic!() };
        let name = libc::sockaddr_in {
            sin_family: libc::AF_INET as u16,
            sin_port: address.port().to_be(),
            sin_addr: libc::in_addr { s_addr: u32::from(*address.ip()).to_be() },
            sin_zero: [0; 8],
        };
        let size = size_of_val(&name) as u32;
        unsafe { libc::connect(number, (&raw const name).cast(), size) };
        for _ in 0..3 {
            let sent = plain_send(number, PASSWORD);
            assert!(matches!(sent, Err(libc::EPIPE | libc::ECONNRESET)), "{sent:?}");
        }
        drop((handle, socket));
        // In case that it did not even connect.
        let _ = std::net::TcpStream::connect(peer.address);
        assert_eq!(peer.join(), b"");
    }
}
