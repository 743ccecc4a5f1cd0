//! Sessions in explicit mode, ready to use.

use std::net::TcpStream;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::sync::mpsc;

use sslsock::abi::session;

use super::pki::{Authority, Certified};
use super::records::Wire;
use super::{Handle, Peer, SSL_FLAG_EXPLICIT_IO, TlsStream, information};

/// A connection to a peer; the handshake is made.
pub struct Session<T> {
    pub socket: TcpStream,
    pub handle: Handle,
    pub peer: Peer<T>,
}

impl<T: Send + 'static> Session<T> {
    /// The peer is rustls.
    pub fn tls(flags: u32, serve: impl FnOnce(TlsStream) -> T + Send + 'static) -> Self {
        Self::open(flags, |certified| Peer::tls(certified.server(), serve))
    }

    /// The peer makes its records by hand.
    pub fn wire(flags: u32, serve: impl FnOnce(Wire) -> T + Send + 'static) -> Self {
        Self::open(flags, |certified| Peer::wire(certified, serve))
    }

    /// The same, and little fits between the two ends.
    pub fn narrow(flags: u32, serve: impl FnOnce(Wire) -> T + Send + 'static) -> Self {
        let session = Self::open(flags, |certified| Peer::narrow(certified, serve));
        narrow(&session.socket);
        session
    }

    pub fn open(flags: u32, peer: impl FnOnce(&Certified) -> Peer<T>) -> Self {
        let authority = Authority::new("explicit");
        let peer = peer(&authority.issue(&["mail.test"]));
        let socket = peer.connect();
        let handle = client(&socket, &authority, flags);
        handshake(&handle);
        Self { socket, handle, peer }
    }
}

/// A handle in explicit mode, before the handshake with mail.test.
pub fn client(socket: &TcpStream, authority: &Authority, flags: u32) -> Handle {
    limit();
    Handle::of(socket).flags(SSL_FLAG_EXPLICIT_IO | flags).trust(&authority.pem())
}

/// Drives the handshake to its end, whether it waits by itself or not.
pub fn handshake(handle: &Handle) {
    while let Err(failure) = handle.handshake("mail.test") {
        wait_as_told(handle, failure.code);
    }
}

/// Waits for what WANT_READ or WANT_WRITE says.
pub fn wait_as_told(handle: &Handle, code: i32) {
    let events = match code {
        super::SSL_ERR_WANT_READ => libc::POLLIN,
        super::SSL_ERR_WANT_WRITE => libc::POLLOUT,
        _ => panic!("{:?}", handle.error()),
    };
    poll(&transport(handle), events, -1);
}

pub fn transport(handle: &Handle) -> OwnedFd {
    let mut fd = -1;
    assert_eq!(unsafe { information::ssl_get_transport_fd(handle.0, &mut fd) }, 0);
    unsafe { OwnedFd::from_raw_fd(fd) }
}

/// What is ready.
pub fn poll(fd: &impl AsRawFd, events: i16, timeout: i32) -> i16 {
    let mut entry = libc::pollfd { fd: fd.as_raw_fd(), events, revents: 0 };
    assert!(unsafe { libc::poll(&mut entry, 1, timeout) } >= 0);
    entry.revents
}

pub fn set_option<V>(fd: &impl AsRawFd, option: i32, value: V) {
    let size = size_of::<V>() as u32;
    let value = (&raw const value).cast();
    let set = unsafe { libc::setsockopt(fd.as_raw_fd(), libc::SOL_SOCKET, option, value, size) };
    assert_eq!(set, 0);
}

pub fn set_timeout(fd: &impl AsRawFd, option: i32, milliseconds: i64) {
    let value = libc::timeval { tv_sec: milliseconds / 1000, tv_usec: milliseconds % 1000 * 1000 };
    set_option(fd, option, value);
}

/// Lets the kernel take little at a time.
pub fn narrow(socket: &TcpStream) {
    set_option(socket, libc::SO_SNDBUF, 4096);
}

/// Dropping the socket resets the connection.
pub fn reset_on_close(socket: &TcpStream) {
    set_option(socket, libc::SO_LINGER, libc::linger { l_onoff: 1, l_linger: 0 });
}

/// Sends all of it, waiting by poll where the handle does not wait.
pub fn send_all(handle: &Handle, data: &[u8]) {
    let mut sent = 0;
    while sent < data.len() {
        match handle.send(&data[sent..], 0) {
            Ok(count) => sent += count,
            Err(libc::EAGAIN) => wait_as_told(handle, handle.error().code),
            Err(errno) => panic!("{errno}: {:?}", handle.error()),
        }
    }
    while handle.send(&[], 0) == Err(libc::EAGAIN) {
        wait_as_told(handle, handle.error().code);
    }
}

/// Receives so many bytes, waiting by poll where the handle does not wait.
pub fn receive_all(handle: &Handle, length: usize) -> Vec<u8> {
    let mut data = vec![0; length];
    let mut received = 0;
    while received < length {
        match handle.recv(&mut data[received..], 0) {
            Ok(0) => panic!("the end after {received} bytes"),
            Ok(count) => received += count,
            Err(libc::EAGAIN) => wait_as_told(handle, handle.error().code),
            Err(errno) => panic!("{errno}: {:?}", handle.error()),
        }
    }
    data
}

/// What ssl_recv answers for any length, without a buffer behind it.
pub fn recv_length(handle: &Handle, length: usize) -> Result<usize, i32> {
    let mut byte = 0_u8;
    let pointer = (&raw mut byte).cast();
    super::transferred(unsafe { session::ssl_recv(handle.0, pointer, length, 0) })
}

pub fn send_length(handle: &Handle, length: usize) -> Result<usize, i32> {
    let pointer = [0_u8].as_ptr().cast();
    super::transferred(unsafe { session::ssl_send(handle.0, pointer, length, 0) })
}

/// Runs `work` on a thread of its own, and comes back when that waits inside poll.
pub fn waiting<'scope, R: Send + 'scope>(
    scope: &'scope std::thread::Scope<'scope, '_>,
    work: impl FnOnce() -> R + Send + 'scope,
) -> std::thread::ScopedJoinHandle<'scope, R> {
    let (tell, told) = mpsc::channel();
    let thread = scope.spawn(move || {
        tell.send(unsafe { libc::gettid() }).unwrap();
        work()
    });
    let path = format!("/proc/self/task/{}/syscall", told.recv().unwrap());
    let call = format!("{} ", libc::SYS_ppoll);
    // Two looks in a row: a call that was just woken is on its way out.
    let mut seen = 0;
    while seen < 2 && !thread.is_finished() {
        let inside = std::fs::read_to_string(&path).is_ok_and(|line| line.starts_with(&call));
        seen = if inside { seen + 1 } else { 0 };
        std::thread::yield_now();
    }
    thread
}

/// Different at every position, and from seed to seed.
pub fn pattern(seed: u8, length: usize) -> Vec<u8> {
    (0..length).map(|i| (i as u8).wrapping_mul(31) ^ (i >> 8) as u8 ^ seed).collect()
}

/// A test that hangs ends the run. SSLSOCK_TEST_SECONDS is for tools under which everything takes longer.
fn limit() {
    let seconds = std::env::var("SSLSOCK_TEST_SECONDS").ok().and_then(|text| text.parse().ok());
    unsafe { libc::alarm(seconds.unwrap_or(300)) };
}
