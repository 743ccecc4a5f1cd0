//! Holding an unconnected TCP socket: it can be connected, but nothing is sent or received on it.

use std::os::fd::{AsRawFd, BorrowedFd};

use rustix::io::Errno;
use rustix::net::{Shutdown, connect_unspec, shutdown};

use super::failed;
use super::identity::last_errno;
use crate::error::{Error, Result};

/// Where a TCP socket is between being made and being connected.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stage {
    Unconnected,
    Connecting,
    Connected,
}

/// Where this one is; a connection that is over counts as unconnected.
pub fn stage(fd: BorrowedFd<'_>) -> Result<Stage> {
    let mut state = 0_u8;
    let mut size = 1;
    // SAFETY: the kernel writes at most `size` bytes: the first of struct tcp_info is the state.
    let outcome = unsafe {
        let into = (&raw mut state).cast();
        libc::getsockopt(fd.as_raw_fd(), libc::IPPROTO_TCP, libc::TCP_INFO, into, &mut size)
    };
    if outcome != 0 {
        return Err(Error::system("ask for the state of the connection", last_errno()));
    }
    Ok(match state {
        TCP_CLOSE => Stage::Unconnected,
        TCP_SYN_SENT => Stage::Connecting,
        _ => Stage::Connected,
    })
}

/// Holds an unconnected socket, and takes back an attempt to connect it.
///
/// Both marks stay when it is connected, and hold for every duplicate in every process: after the
/// shutdown every send fails, and the filter cuts off what comes in, which the shutdown would let
/// through. The first is lost when an attempt to connect fails.
pub fn hold(fd: BorrowedFd<'_>) -> Result<()> {
    disconnect(fd)?;
    attach_filter(fd)?;
    match shutdown(fd, Shutdown::Both) {
        // The answer for an unconnected socket, which is marked all the same.
        Ok(()) | Err(Errno::NOTCONN) => Ok(()),
        Err(errno) => Err(failed("hold the socket")(errno)),
    }
}

/// Undoes [`hold`] on a socket that is still unconnected. It stays bound and keeps its options.
pub fn let_go(fd: BorrowedFd<'_>) -> Result<()> {
    disconnect(fd)?;
    // The kernel wants a number there and ignores it.
    match set_option(fd, libc::SO_DETACH_FILTER, &0_i32) {
        // ENOENT: there was none.
        Ok(()) | Err(libc::ENOENT) => Ok(()),
        Err(errno) => Err(Error::system("let the held socket go", errno)),
    }
}

/// The only thing that takes a shutdown back.
fn disconnect(fd: BorrowedFd<'_>) -> Result<()> {
    connect_unspec(fd).map_err(failed("prepare the socket for being connected"))
}

/// Of every segment the header alone is let through: enough to connect.
fn attach_filter(fd: BorrowedFd<'_>) -> Result<()> {
    let mut cut = libc::sock_filter { code: BPF_RET_K, jt: 0, jf: 0, k: 1 };
    let program = libc::sock_fprog { len: 1, filter: &raw mut cut };
    set_option(fd, libc::SO_ATTACH_FILTER, &program)
        .map_err(|errno| Error::system("hold the socket", errno))
}

/// The errno if it fails.
fn set_option<T>(
    fd: BorrowedFd<'_>,
    option: libc::c_int,
    value: &T,
) -> std::result::Result<(), i32> {
    let size = size_of::<T>() as libc::socklen_t;
    // SAFETY: the kernel reads `size` bytes of `value`, and for a filter the program that its
    // pointer leads to; both live as long as the call.
    let outcome = unsafe {
        let value = std::ptr::from_ref(value).cast();
        libc::setsockopt(fd.as_raw_fd(), libc::SOL_SOCKET, option, value, size)
    };
    if outcome == 0 { Ok(()) } else { Err(last_errno()) }
}

const TCP_SYN_SENT: u8 = 2;
const TCP_CLOSE: u8 = 7;
/// Return a constant: how many bytes to keep, beside the header.
const BPF_RET_K: u16 = 0x6;

#[cfg(test)]
mod tests {
    use std::net::{TcpListener, TcpStream};
    use std::os::fd::{AsFd, OwnedFd};

    use rustix::net::{
        AddressFamily, RecvFlags, SendFlags, SocketFlags, SocketType, connect, recv, send,
        socket_with,
    };

    use super::*;
    use crate::sys::test_sockets::{LONG, ready, tcp_pair};

    fn new_socket() -> OwnedFd {
        socket_with(AddressFamily::INET, SocketType::STREAM, SocketFlags::CLOEXEC, None).unwrap()
    }

    fn connected(socket: &OwnedFd) -> TcpStream {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        connect(socket, &listener.local_addr().unwrap()).unwrap();
        listener.accept().unwrap().0
    }

    #[test]
    fn a_held_socket_neither_sends_nor_receives() {
        let socket = new_socket();
        hold(socket.as_fd()).unwrap();
        assert_eq!(stage(socket.as_fd()), Ok(Stage::Unconnected));
        let peer = connected(&socket);
        assert_eq!(stage(socket.as_fd()), Ok(Stage::Connected));
        send(&peer, b"220 ready", SendFlags::NOSIGNAL).unwrap();
        assert_eq!(send(&socket, b"x", SendFlags::NOSIGNAL), Err(Errno::PIPE));
        assert_eq!(recv(&socket, &mut [0; 9], RecvFlags::empty()).unwrap().0, 0);
    }

    #[test]
    fn let_go_it_does_both() {
        let socket = new_socket();
        let_go(socket.as_fd()).unwrap();
        hold(socket.as_fd()).unwrap();
        hold(socket.as_fd()).unwrap();
        let_go(socket.as_fd()).unwrap();
        let peer = connected(&socket);
        send(&peer, b"220 ready", SendFlags::NOSIGNAL).unwrap();
        assert_eq!(send(&socket, b"x", SendFlags::NOSIGNAL), Ok(1));
        ready(socket.as_fd(), rustix::event::PollFlags::IN, LONG);
        assert_eq!(recv(&socket, &mut [0; 9], RecvFlags::empty()).unwrap().0, 9);
    }

    #[test]
    fn stages_are_told_apart() {
        let (ours, _theirs) = tcp_pair();
        assert_eq!(stage(ours.as_fd()), Ok(Stage::Connected));
        assert_eq!(stage(new_socket().as_fd()), Ok(Stage::Unconnected));
        assert!(stage(crate::sys::test_sockets::unix_pair().0.as_fd()).is_err());
    }
}
