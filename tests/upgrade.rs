//! The main thing: a live descriptor becomes TLS and stays the same descriptor.

mod support;

use std::io::{Read, Write};
use std::os::fd::AsRawFd;

use support::pki::Authority;
use support::{
    Handle, Peer, SSL_FLAG_EXPLICIT_IO, SSL_FLAG_UNIX_PAIR, echo, plain_recv, plain_send,
};

#[test]
fn plain_send_and_recv_carry_tls_after_the_upgrade() {
    for flags in [0, SSL_FLAG_UNIX_PAIR] {
        let authority = Authority::new("upgrade");
        let peer = Peer::tls(authority.issue(&["mail.test"]).server(), echo);
        let socket = peer.connect();
        let handle = Handle::of(&socket).flags(flags).trust(&authority.pem());
        handle.handshake("mail.test").unwrap();
        let fd = socket.as_raw_fd();
        for round in 0..100 {
            let line = format!("round {round}\r\n");
            assert_eq!(plain_send(fd, line.as_bytes()), Ok(line.len()));
            let mut buffer = [0; 64];
            assert_eq!(plain_recv(fd, &mut buffer), Ok(line.len()));
            assert_eq!(&buffer[..line.len()], line.as_bytes());
        }
        assert_eq!(handle.free(), 0);
        (&socket).write_all(b"after the handle is gone").unwrap();
        socket.shutdown(std::net::Shutdown::Write).unwrap();
        let mut rest = Vec::new();
        (&socket).read_to_end(&mut rest).unwrap();
        assert_eq!(rest, b"after the handle is gone");
        peer.join();
    }
}

/// Readiness goes on being told after the program's end of input, and is no sign of data then.
#[test]
fn a_half_closed_connection_holds_nothing_to_flush() {
    for flags in [0, SSL_FLAG_UNIX_PAIR] {
        let authority = Authority::new("half-closed");
        let (go, wait) = std::sync::mpsc::channel::<()>();
        let peer = Peer::tls(authority.issue(&["mail.test"]).server(), move |mut stream| {
            stream.read_to_end(&mut Vec::new()).unwrap();
            stream.write_all(&[7; 4_000_000]).unwrap();
            let _ = wait.recv();
        });
        let socket = peer.connect();
        let handle = Handle::of(&socket).flags(flags).trust(&authority.pem());
        handle.handshake("mail.test").unwrap();
        (&socket).write_all(b"all of it").unwrap();
        socket.shutdown(std::net::Shutdown::Write).unwrap();
        (&socket).read_exact(&mut vec![0; 4_000_000]).unwrap();
        let mut unfinished = 0;
        let flushed = unsafe { sslsock::abi::process::ssl_flush_all(10_000, &mut unfinished) };
        assert_eq!((flushed, unfinished), (0, 0));
        drop(go);
        peer.join();
    }
}

#[test]
fn explicit_mode_leaves_the_descriptor_alone() {
    let authority = Authority::new("explicit");
    let peer = Peer::tls(authority.issue(&["mail.test"]).server(), echo);
    let socket = peer.connect();
    let address = socket.peer_addr().unwrap();
    let handle = Handle::of(&socket).flags(SSL_FLAG_EXPLICIT_IO).trust(&authority.pem());
    handle.handshake("mail.test").unwrap();
    assert_eq!(socket.peer_addr().unwrap(), address);
    assert_eq!(handle.send(b"hello", 0), Ok(5));
    let mut buffer = [0; 64];
    assert_eq!(handle.recv(&mut buffer, 0), Ok(5));
    assert_eq!(&buffer[..5], b"hello");
    assert_eq!(handle.free(), 0);
    peer.join();
}
