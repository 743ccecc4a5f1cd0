//! The main thing: a live descriptor becomes TLS and stays the same descriptor.

mod support;

use std::io::{Read, Write};
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use support::pki::Authority;
use support::{
    Handle, Peer, SSL_FLAG_EXPLICIT_IO, SSL_FLAG_UNIX_PAIR, SSL_TIMEOUT_HANDSHAKE, echo, option,
    plain_recv, plain_send, set_option,
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

/// Both look at every connection, each under locks of its own.
#[test]
fn connections_are_upgraded_while_another_thread_flushes() {
    let authority = Authority::new("flushing");
    let over = Arc::new(AtomicBool::new(false));
    let stop = over.clone();
    let flusher = std::thread::spawn(move || {
        while !stop.load(Ordering::Relaxed) {
            unsafe { sslsock::abi::process::ssl_flush_all(20, std::ptr::null_mut()) };
        }
    });
    for _ in 0..200 {
        let peer = Peer::tls(authority.issue(&["mail.test"]).server(), echo);
        let socket = peer.connect();
        let handle = Handle::of(&socket).trust(&authority.pem());
        handle.handshake("mail.test").unwrap();
        drop((handle, socket));
        peer.join();
    }
    over.store(true, Ordering::Relaxed);
    flusher.join().unwrap();
}

/// The kernel would keep the handshake waiting for more bytes, and hold back what is to leave.
#[test]
fn what_the_program_had_held_back_does_not_stop_the_library() {
    for flags in [0, SSL_FLAG_UNIX_PAIR, SSL_FLAG_EXPLICIT_IO] {
        let authority = Authority::new("holding");
        let peer = Peer::tls(authority.issue(&["mail.test"]).server(), echo);
        let socket = peer.connect();
        set_option(&socket, libc::SOL_SOCKET, libc::SO_RCVLOWAT, 100_000);
        set_option(&socket, libc::IPPROTO_TCP, libc::TCP_CORK, 1);
        let handle = Handle::of(&socket).flags(flags).trust(&authority.pem());
        let handle = handle.timeout(SSL_TIMEOUT_HANDSHAKE, 20_000);
        handle.handshake("mail.test").unwrap();
        if flags == 0 {
            // As before: it is the program's socket that holds back.
            assert_eq!(option::<i32>(&socket, libc::SOL_SOCKET, libc::SO_RCVLOWAT), 100_000);
            assert_eq!(option::<i32>(&socket, libc::IPPROTO_TCP, libc::TCP_CORK), 1);
            set_option(&socket, libc::IPPROTO_TCP, libc::TCP_CORK, 0);
            set_option(&socket, libc::SOL_SOCKET, libc::SO_RCVLOWAT, 1);
        }
        let mut buffer = [0; 5];
        assert_eq!(handle.send(b"hello", 0), Ok(5));
        assert_eq!(handle.recv(&mut buffer, 0), Ok(5));
        assert_eq!(&buffer, b"hello");
        drop((handle, socket));
        peer.join();
    }
}

/// Set before the upgrade, cleared after it: nothing of it may be left on the real connection.
#[test]
fn a_linger_time_that_was_taken_back_does_not_destroy_what_was_sent() {
    for flags in [0, SSL_FLAG_UNIX_PAIR] {
        let authority = Authority::new("linger");
        let peer = Peer::tls(authority.issue(&["mail.test"]).server(), |mut stream| {
            let mut received = Vec::new();
            stream.read_to_end(&mut received).map(|_| received.len()).unwrap_or(0)
        });
        let socket = peer.connect();
        set_linger(&socket, Some(0));
        let handle = Handle::of(&socket).flags(flags).trust(&authority.pem());
        handle.handshake("mail.test").unwrap();
        let mut transport = -1;
        let outcome =
            unsafe { sslsock::abi::information::ssl_get_transport_fd(handle.0, &mut transport) };
        assert_eq!(outcome, 0);
        let transport = unsafe { OwnedFd::from_raw_fd(transport) };
        assert_eq!(linger(&transport), None);
        assert_eq!(linger(&socket), Some(0));
        set_linger(&socket, None);
        (&socket).write_all(&[7; 1_000_000]).unwrap();
        drop((transport, handle, socket));
        assert_eq!(peer.join(), 1_000_000);
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

fn set_linger(socket: &impl AsRawFd, seconds: Option<i32>) {
    let value =
        libc::linger { l_onoff: seconds.is_some().into(), l_linger: seconds.unwrap_or_default() };
    set_option(socket, libc::SOL_SOCKET, libc::SO_LINGER, value);
}

fn linger(socket: &impl AsRawFd) -> Option<i32> {
    let value: libc::linger = option(socket, libc::SOL_SOCKET, libc::SO_LINGER);
    (value.l_onoff != 0).then_some(value.l_linger)
}
