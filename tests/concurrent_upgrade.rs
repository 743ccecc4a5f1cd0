//! What other threads do to a descriptor while one thread upgrades it.

mod support;

use std::io::Write;
use std::os::fd::{AsRawFd, IntoRawFd};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, LazyLock, mpsc};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use support::pki::{Authority, Certified};
use support::wire::{LONG, MODES, Record, Served, Socket, TRANSPORTS, Transport, connect, records};
use support::*;

static AUTHORITY: LazyLock<Authority> = LazyLock::new(|| Authority::new("threads"));
static MAIL: LazyLock<Certified> = LazyLock::new(|| AUTHORITY.issue(&["mail.test"]));

const TRANSPARENT: [u32; 2] = [0, SSL_FLAG_UNIX_PAIR];

/// A connection whose peer stops after the ClientHello until it is told what to do.
struct Halted {
    client: Socket,
    record: Record,
    /// The ClientHello has arrived: the descriptor has been swapped.
    hello: mpsc::Receiver<()>,
    go_on: mpsc::Sender<Then>,
    peer: JoinHandle<Served>,
}

enum Then {
    Serve(&'static [u8]),
    HearAll,
}

fn halted(transport: Transport) -> Halted {
    let (client, mut wire) = connect(transport);
    let record = wire.record();
    let (heard, hello) = mpsc::channel();
    let (go_on, orders) = mpsc::channel();
    let peer = thread::spawn(move || {
        wire.agree(&[]);
        let hello = wire.hear_record();
        heard.send(()).unwrap();
        match orders.recv().unwrap() {
            Then::Serve(greeting) => wire.serve_with(MAIL.server(), &hello, greeting),
            Then::HearAll => {
                wire.hear_all();
                Served::default()
            }
        }
    });
    client.starttls();
    Halted { client, record, hello, go_on, peer }
}

/// It cannot be held up, but it is noticed, and told better than by a peer that is confused.
#[test]
fn what_another_thread_sends_in_clear_while_the_upgrade_begins_ends_it() {
    // The more there are to be looked at, the longer the beginning takes.
    let many: Vec<_> = (0..600).map_while(|_| std::fs::File::open("/dev/null").ok()).collect();
    for mode in TRANSPARENT {
        let mut rounds = 0;
        let told = loop {
            rounds += 1;
            assert!(rounds < 1000, "never while the upgrade began");
            let (client, mut wire) = connect(Transport::Tcp);
            let peer = thread::spawn(move || {
                wire.agree(&[]);
                wire.hear_all();
            });
            client.starttls();
            let number = client.as_raw_fd();
            let sending = Arc::new(AtomicBool::new(false));
            let sends = sending.clone();
            let sender = thread::spawn(move || {
                while plain_send(number, b"x").is_ok() {
                    sends.store(true, Ordering::Release);
                }
            });
            while !sending.load(Ordering::Acquire) {
                thread::yield_now();
            }
            let handle = Handle::of(&client).flags(mode).trust(&AUTHORITY.pem());
            let failure = handle.timeout(SSL_TIMEOUT_HANDSHAKE, 50).handshake("mail.test");
            sender.join().unwrap();
            drop(client);
            peer.join().unwrap();
            let failure = failure.unwrap_err();
            match failure.code {
                SSL_ERR_STATE if failure.text.contains("in clear") => break failure.text,
                // None came in between, or one was blocked.
                SSL_ERR_TIMEOUT | SSL_ERR_STATE => {}
                _ => panic!("{failure:?}"),
            }
        };
        assert!(told.starts_with("another thread or process sent "), "{told}");
        assert!(told.contains(" bytes in clear while the upgrade began"), "{told}");
    }
    drop(many);
}

/// A14.
#[test]
fn what_another_thread_sends_during_the_handshake_leaves_under_tls() {
    for transport in TRANSPORTS {
        for mode in TRANSPARENT {
            let Halted { client, record, hello, go_on, peer } = halted(transport);
            let number = client.as_raw_fd();
            let sent = Arc::new(AtomicUsize::new(0));
            let stop = Arc::new(AtomicBool::new(false));
            let sender = thread::spawn({
                let (sent, stop) = (sent.clone(), stop.clone());
                move || {
                    hello.recv().unwrap();
                    while !stop.load(Ordering::Acquire) {
                        let line = line(sent.load(Ordering::Acquire));
                        assert_eq!(plain_send(number, line.as_bytes()), Ok(line.len()));
                        if sent.fetch_add(1, Ordering::AcqRel) == 200 {
                            go_on.send(Then::Serve(b"")).unwrap();
                        }
                    }
                }
            });
            let handle = Handle::of(&client).flags(mode).trust(&AUTHORITY.pem());
            handle.handshake("mail.test").unwrap();
            stop.store(true, Ordering::Release);
            // What comes back may be what the sender waits for.
            let mut echoed = Vec::new();
            let mut buffer = [0; 4096];
            let expected = loop {
                if sender.is_finished() {
                    let all: String = (0..sent.load(Ordering::Acquire)).map(line).collect();
                    if echoed.len() >= all.len() {
                        break all;
                    }
                }
                let mut entry = libc::pollfd { fd: number, events: libc::POLLIN, revents: 0 };
                if unsafe { libc::poll(&mut entry, 1, 10) } == 1 {
                    let count = plain_recv(number, &mut buffer).unwrap();
                    assert_ne!(count, 0);
                    echoed.extend_from_slice(&buffer[..count]);
                }
            };
            sender.join().unwrap();
            assert!(expected.len() > 200 * line(0).len());
            assert_eq!(String::from_utf8(echoed).unwrap(), expected);
            drop((handle, client));
            let served = peer.join().unwrap();
            assert_eq!(String::from_utf8(served.plaintext).unwrap(), expected);
            // Not a byte of it in clear: whole TLS records and nothing else.
            records(&record.after_starttls());
            assert!(!record.contains(b"line 0"));
        }
    }
}

fn line(number: usize) -> String {
    format!("line {number:06}\r\n")
}

/// A14 where it ends badly: what waited dies with the connection.
#[test]
fn what_another_thread_sends_during_a_failing_handshake_dies() {
    for transport in TRANSPORTS {
        for mode in TRANSPARENT {
            let Halted { client, record, hello, go_on, peer } = halted(transport);
            let number = client.as_raw_fd();
            let sender = thread::spawn(move || {
                hello.recv().unwrap();
                let mut sent = 0;
                loop {
                    match plain_send(number, b"line 0\r\n") {
                        Ok(_) => sent += 1,
                        Err(errno) => return (sent, errno),
                    }
                    if sent == 200 {
                        go_on.send(Then::Serve(b"")).unwrap();
                    }
                }
            });
            let handle = Handle::of(&client).flags(mode).trust(&AUTHORITY.pem());
            assert_eq!(handle.handshake("other.test").unwrap_err().code, SSL_ERR_NAME);
            let (sent, errno) = sender.join().unwrap();
            assert!(sent >= 200);
            assert!(matches!(errno, libc::EPIPE | libc::ECONNRESET), "{errno}");
            drop((handle, client));
            assert_eq!(peer.join().unwrap().plaintext, b"");
            assert!(!record.contains(b"line 0"));
            records(&record.after_starttls());
        }
    }
}

/// A15.
#[test]
fn a_reader_on_another_thread_sees_only_what_came_under_tls() {
    for transport in TRANSPORTS {
        for mode in TRANSPARENT {
            let Halted { client, record, hello, go_on, peer } = halted(transport);
            let number = client.as_raw_fd();
            let reader = thread::spawn(move || {
                hello.recv().unwrap();
                // A look while there is nothing, then on to the end of the greeting.
                let mut entry = libc::pollfd { fd: number, events: libc::POLLIN, revents: 0 };
                assert_eq!(unsafe { libc::poll(&mut entry, 1, 0) }, 0);
                let mut byte = 0_u8;
                let flags = libc::MSG_DONTWAIT;
                let early = unsafe { libc::recv(number, (&raw mut byte).cast(), 1, flags) };
                assert_eq!(early, -1);
                go_on.send(Then::Serve(b"220 welcome\r\n")).unwrap();
                let mut received = Vec::new();
                while !received.ends_with(b"\n") {
                    assert_eq!(unsafe { libc::poll(&mut entry, 1, LONG) }, 1);
                    let mut buffer = [0; 64];
                    let count = plain_recv(number, &mut buffer).unwrap();
                    assert_ne!(count, 0);
                    received.extend_from_slice(&buffer[..count]);
                }
                received
            });
            let handle = Handle::of(&client).flags(mode).trust(&AUTHORITY.pem());
            handle.handshake("mail.test").unwrap();
            assert_eq!(reader.join().unwrap(), b"220 welcome\r\n");
            drop((handle, client));
            peer.join().unwrap();
            records(&record.after_starttls());
        }
    }
}

/// E2. In explicit mode the library has a duplicate, and nothing tells it of the close.
#[test]
fn closing_the_descriptor_cancels_the_handshake() {
    for transport in TRANSPORTS {
        for mode in TRANSPARENT {
            let Halted { client, record, hello, go_on, peer } = halted(transport);
            let handle = Handle::of(&client).flags(mode).trust(&AUTHORITY.pem());
            // Only what is tested can end it.
            let handle = handle.timeout(SSL_TIMEOUT_HANDSHAKE, u32::MAX);
            let number = match client {
                Socket::Tcp(stream) => stream.into_raw_fd(),
                Socket::Unix(stream) => stream.into_raw_fd(),
            };
            let closer = thread::spawn(move || {
                hello.recv().unwrap();
                go_on.send(Then::HearAll).unwrap();
                assert_eq!(unsafe { libc::close(number) }, 0);
            });
            let outcome = handle.handshake("mail.test");
            let failure = handle.assert_failed(outcome, SSL_ERR_IO);
            assert_eq!(
                failure.text,
                "the program closed the descriptor while the handshake was running"
            );
            closer.join().unwrap();
            // Its connection has ended.
            peer.join().unwrap();
            records(&record.after_starttls());
        }
    }
}

#[test]
fn freeing_the_handle_ends_the_handshake() {
    for transport in TRANSPORTS {
        for mode in MODES {
            let Halted { client, record, hello, go_on, peer } = halted(transport);
            let handle = Handle::of(&client).flags(mode).trust(&AUTHORITY.pem());
            // Only what is tested can end it.
            let handle = handle.timeout(SSL_TIMEOUT_HANDSHAKE, u32::MAX);
            let number = handle.0 as usize;
            let freer = thread::spawn(move || {
                hello.recv().unwrap();
                go_on.send(Then::HearAll).unwrap();
                sslsock::abi::handles::ssl_socket_free(number as *mut _)
            });
            let failure = handle.handshake("mail.test").unwrap_err();
            assert_eq!(
                (failure.code, &*failure.text),
                (SSL_ERR_STATE, "the handle was freed during the handshake")
            );
            assert_eq!(freer.join().unwrap(), 0);
            assert_eq!(sslsock::abi::errors::ssl_get_error(handle.0), SSL_ERR_BAD_HANDLE);
            support::dead::assert_dead(client.as_raw_fd(), "freed");
            peer.join().unwrap();
            assert!(!record.contains(support::dead::PASSWORD));
        }
    }
}

/// R40: the limit is one for the whole of the handshake, not one per byte.
#[test]
fn a_trickle_does_not_stretch_the_time_limit() {
    for mode in MODES {
        let (client, mut wire) = connect(Transport::Tcp);
        let (stop, stopped) = mpsc::channel::<()>();
        let peer = thread::spawn(move || {
            wire.agree(&[]);
            let hello = wire.hear_record();
            let mut trickle = b"\x16\x03\x03\x40\x00".to_vec();
            trickle.resize(5 + 0x4000, 2);
            let paced = trickle.iter().take_while(|&&byte| {
                let sent = (&wire.socket).write_all(&[byte]).is_ok();
                sent && stopped.recv_timeout(Duration::from_millis(5)).is_err()
            });
            (hello.len(), paced.count())
        });
        client.starttls();
        let handle = Handle::of(&client).flags(mode).trust(&AUTHORITY.pem());
        let handle = handle.timeout(SSL_TIMEOUT_HANDSHAKE, 200);
        let outcome = handle.handshake("mail.test");
        let failure = handle.assert_failed(outcome, SSL_ERR_TIMEOUT);
        assert_eq!(
            failure.text,
            "the handshake did not finish within 200 ms: waited for the rest of the peer's \
             handshake (ssl_set_timeout changes the limit)"
        );
        // It may have ended by itself, at a write that failed.
        let _ = stop.send(());
        let (_, count) = peer.join().unwrap();
        assert!((2..0x4000).contains(&count), "{count} bytes kept the handshake waiting");
    }
}
