//! `ssl_connect`: TCP and the handshake in one call, as Windows CE's `connect` did.

mod support;

use std::net::{SocketAddr, TcpListener, TcpStream};
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};

use sslsock::abi::session::ssl_connect;
use sslsock::abi::settings::ssl_set_peername;
use support::pki::Authority;
use support::{
    Handle, Peer, SSL_ERR_INVALID, SSL_ERR_IO, SSL_ERR_NAME, SSL_ERR_TIMEOUT,
    SSL_FLAG_DEFER_HANDSHAKE, SSL_TIMEOUT_HANDSHAKE, echo, error_of, plain_recv, plain_send,
};

fn socket(flags: i32) -> OwnedFd {
    let number = unsafe { libc::socket(libc::AF_INET, libc::SOCK_STREAM | flags, 0) };
    assert!(number >= 0);
    unsafe { OwnedFd::from_raw_fd(number) }
}

fn connect(handle: &Handle, address: SocketAddr) -> i32 {
    let SocketAddr::V4(address) = address else { panic!("IPv4 only") };
    let name = libc::sockaddr_in {
        sin_family: libc::AF_INET as u16,
        sin_port: address.port().to_be(),
        sin_addr: libc::in_addr { s_addr: u32::from(*address.ip()).to_be() },
        sin_zero: [0; 8],
    };
    unsafe { ssl_connect(handle.0, (&raw const name).cast(), size_of_val(&name) as u32) }
}

fn named(handle: Handle, name: &std::ffi::CStr) -> Handle {
    assert_eq!(unsafe { ssl_set_peername(handle.0, name.as_ptr()) }, 0);
    handle
}

/// A listener whose queue is full: attempts to connect get no answer.
fn silent() -> (TcpListener, Vec<OwnedFd>) {
    let listener = TcpListener::bind("127.0.0.2:0").unwrap();
    assert_eq!(unsafe { libc::listen(listener.as_raw_fd(), 0) }, 0);
    let address = listener.local_addr().unwrap();
    let mut waiting = Vec::new();
    loop {
        let attempt = socket(libc::SOCK_NONBLOCK);
        let handle = Handle::of(&attempt).flags(SSL_FLAG_DEFER_HANDSHAKE);
        let handle = handle.timeout(SSL_TIMEOUT_HANDSHAKE, 100);
        let outcome = connect(&handle, address);
        waiting.push(attempt);
        if outcome == SSL_ERR_TIMEOUT {
            return (listener, waiting);
        }
        assert_eq!(outcome, 0);
    }
}

#[test]
fn connect_makes_the_connection_and_the_handshake() {
    for nonblocking in [0, libc::SOCK_NONBLOCK] {
        let authority = Authority::new("connect");
        let peer = Peer::tls(authority.issue(&["mail.test"]).server(), echo);
        let socket = socket(nonblocking);
        let handle = named(Handle::of(&socket).trust(&authority.pem()), c"mail.test");
        assert_eq!(connect(&handle, peer.address), 0, "{:?}", handle.error());
        assert_eq!(plain_send(socket.as_raw_fd(), b"hello"), Ok(5));
        let flags = unsafe { libc::fcntl(socket.as_raw_fd(), libc::F_GETFL) };
        assert_eq!(flags & libc::O_NONBLOCK != 0, nonblocking != 0, "O_NONBLOCK is as it was");
        let mut buffer = [0; 8];
        let received = std::iter::repeat_with(|| plain_recv(socket.as_raw_fd(), &mut buffer))
            .find(|received| *received != Err(libc::EAGAIN));
        assert_eq!(received, Some(Ok(5)));
        drop((handle, socket));
        peer.join();
    }
}

#[test]
fn connect_stays_in_clear_if_the_handshake_is_deferred() {
    let authority = Authority::new("deferred");
    let peer = Peer::tls(authority.issue(&["mail.test"]).server(), echo);
    let socket = socket(0);
    let handle = Handle::of(&socket).flags(SSL_FLAG_DEFER_HANDSHAKE).trust(&authority.pem());
    assert_eq!(connect(&handle, peer.address), 0);
    handle.handshake("mail.test").unwrap();
    drop((handle, socket));
    peer.join();
}

#[test]
fn a_certificate_for_another_name_ends_the_connection() {
    let authority = Authority::new("other");
    let peer = Peer::tls(authority.issue(&["other.test"]).server(), echo);
    let socket = socket(0);
    let handle = named(Handle::of(&socket).trust(&authority.pem()), c"mail.test");
    assert_eq!(connect(&handle, peer.address), SSL_ERR_NAME);
    assert!(plain_send(socket.as_raw_fd(), b"in clear").is_err());
    peer.join();
}

#[test]
fn a_refused_connection_leaves_the_handle_usable() {
    let nobody = TcpListener::bind("127.0.0.2:0").unwrap().local_addr().unwrap();
    let authority = Authority::new("second try");
    let peer = Peer::tls(authority.issue(&["mail.test"]).server(), echo);
    let socket = socket(0);
    let handle = named(Handle::of(&socket).trust(&authority.pem()), c"mail.test");
    assert_eq!(connect(&handle, nobody), SSL_ERR_IO);
    assert_eq!(handle.error_info().sys_errno, libc::ECONNREFUSED);
    assert_eq!(connect(&handle, peer.address), 0, "{:?}", handle.error());
    drop((handle, socket));
    peer.join();
}

#[test]
fn a_connection_that_took_too_long_is_taken_back() {
    for nonblocking in [0, libc::SOCK_NONBLOCK] {
        let (listener, waiting) = silent();
        let address = listener.local_addr().unwrap();
        let socket = socket(nonblocking);
        let handle = named(Handle::of(&socket), c"mail.test").timeout(SSL_TIMEOUT_HANDSHAKE, 200);
        assert_eq!(connect(&handle, address), SSL_ERR_TIMEOUT);
        assert_eq!(
            error_of(handle.0).text,
            "no TCP connection within 200 ms (ssl_set_timeout changes the limit)"
        );
        // Room for the attempt, if it still were under way.
        drop(waiting);
        drop(listener.accept());
        let sent = plain_send(socket.as_raw_fd(), b"PASS secret");
        assert!(matches!(sent, Err(libc::ECONNRESET | libc::EPIPE | libc::ENOTCONN)), "{sent:?}");
    }
}

#[test]
fn an_address_of_an_impossible_length_is_refused() {
    let handle = Handle::of(&socket(0));
    for length in [0, 1, 4096] {
        let outcome = unsafe { ssl_connect(handle.0, [0_u8; 4096].as_ptr().cast(), length) };
        assert_eq!(outcome, SSL_ERR_INVALID);
    }
    assert_eq!(unsafe { ssl_connect(handle.0, std::ptr::null(), 16) }, SSL_ERR_INVALID);
}

#[test]
fn what_is_no_stream_socket_gets_no_handle() {
    let listener = TcpListener::bind("127.0.0.2:0").unwrap();
    let datagrams = std::net::UdpSocket::bind("127.0.0.2:0").unwrap();
    let file = std::fs::File::open("/dev/null").unwrap();
    for (fd, what) in [
        (listener.as_raw_fd(), "a listening socket"),
        (datagrams.as_raw_fd(), "a datagram socket (IPv4)"),
        (file.as_raw_fd(), "a character device"),
    ] {
        assert!(sslsock::abi::handles::ssl_socket_new(fd).is_null());
        let failure = error_of(std::ptr::null_mut());
        assert_eq!(failure.code, SSL_ERR_INVALID);
        assert_eq!(
            failure.text,
            format!(
                "descriptor {fd} is {what}; TLS needs a connected stream socket (TCP or AF_UNIX)"
            )
        );
    }
    // It has not been harmed.
    drop(TcpStream::connect(listener.local_addr().unwrap()).unwrap());
}
