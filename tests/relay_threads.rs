//! Connections that come, talk in both directions at once and go, on many threads of the program's and
//! several of the library's. ThreadSanitizer runs it too.

mod support;

use std::io::{Read, Write};
use std::net::{Shutdown, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};

use sslsock::abi::constants::{SSL_ERR_OKAY, SSL_ERR_TIMEOUT};
use sslsock::abi::process::{ssl_flush_all, ssl_set_relay_threads};
use support::explicit::pattern;
use support::pki::{Authority, Certified};
use support::{Handle, Peer, echo};

const LENGTH: usize = 512 * 1024;
const THREADS: usize = 8;
const CONNECTIONS: usize = 4;

fn upgraded(authority: &Authority, server: &Certified) -> (TcpStream, Handle, Peer<()>) {
    let peer = Peer::tls(server.server(), echo);
    let socket = peer.connect();
    let handle = Handle::of(&socket).trust(&authority.pem());
    handle.handshake("mail.test").unwrap();
    (socket, handle, peer)
}

/// Sends and receives at once, each on a thread of its own; then everything has been said.
fn talk(socket: &TcpStream, seed: u8) {
    let data = pattern(seed, LENGTH);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            for piece in data.chunks(1000 + 4096 * usize::from(seed % 8)) {
                (&*socket).write_all(piece).unwrap();
            }
            socket.shutdown(Shutdown::Write).unwrap();
        });
        let mut received = Vec::new();
        (&*socket).read_to_end(&mut received).unwrap();
        assert!(received == data, "{} of {LENGTH} bytes came back", received.len());
    });
}

#[test]
fn connections_of_many_threads_move_both_ways_at_once_while_others_come_and_go() {
    let authority = Authority::new("relay threads");
    let server = authority.issue(&["mail.test"]);
    let is_over = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let talkers: Vec<_> = (0..THREADS)
            .map(|thread| {
                let (authority, server) = (&authority, &server);
                scope.spawn(move || {
                    for connection in 0..CONNECTIONS {
                        let (socket, handle, peer) = upgraded(authority, server);
                        let seed = (thread * CONNECTIONS + connection) as u8;
                        // The handle may go first, last, or while bytes move.
                        match connection % 3 {
                            0 => {
                                handle.free();
                                talk(&socket, seed);
                            }
                            1 => {
                                talk(&socket, seed);
                                drop(socket);
                                handle.free();
                            }
                            _ => std::thread::scope(|scope| {
                                scope.spawn(|| talk(&socket, seed));
                                handle.free();
                            }),
                        }
                        peer.join();
                    }
                })
            })
            .collect();
        // What looks at all connections, and what says how many threads carry them.
        scope.spawn(|| {
            for count in (1..=4).cycle() {
                assert_eq!(ssl_set_relay_threads(count), 0);
                let flushed = unsafe { ssl_flush_all(20, &mut 0) };
                assert!(matches!(flushed, SSL_ERR_OKAY | SSL_ERR_TIMEOUT), "{flushed}");
                if is_over.load(Ordering::Relaxed) {
                    return;
                }
            }
        });
        for talker in talkers {
            talker.join().unwrap();
        }
        is_over.store(true, Ordering::Relaxed);
    });
}
