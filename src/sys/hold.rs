//! Holding an unconnected TCP socket: nobody can connect it, and nothing is sent or received on it.

use std::os::fd::{AsRawFd, BorrowedFd};

use rustix::net::{connect_unspec, listen};

use super::failed;
use super::identity::last_errno;
use crate::error::{Error, Result};

/// Where a TCP socket is between being made and being connected.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stage {
    /// Also held, and after a connection that is over.
    Unconnected,
    Connecting,
    Connected,
}

/// Where this one is.
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
        TCP_LISTEN if has_filter(fd) => Stage::Unconnected,
        TCP_SYN_SENT => Stage::Connecting,
        _ => Stage::Connected,
    })
}

/// Holds an unconnected socket, and takes back an attempt to connect it.
///
/// It listens, and its filter drops whatever comes. Through every duplicate in every process
/// connect answers EISCONN and send EPIPE, however often it is tried; the filter sees to it that
/// no stranger's connection comes about either, nor one of the program's own after a shutdown,
/// which ends the listening.
pub fn hold(fd: BorrowedFd<'_>) -> Result<()> {
    disconnect(fd)?;
    attach_filter(fd)?;
    listen(fd, 0).map_err(failed("hold the socket"))
}

/// Whether [`hold`] has been called last.
pub fn is_held(fd: BorrowedFd<'_>) -> bool {
    rustix::net::sockopt::socket_acceptconn(fd) == Ok(true) && has_filter(fd)
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

/// Ends listening, too, and takes a shutdown back.
fn disconnect(fd: BorrowedFd<'_>) -> Result<()> {
    connect_unspec(fd).map_err(failed("prepare the socket for being connected"))
}

fn attach_filter(fd: BorrowedFd<'_>) -> Result<()> {
    let mut drop_all = DROP_ALL;
    let program = libc::sock_fprog { len: 1, filter: &raw mut drop_all };
    set_option(fd, libc::SO_ATTACH_FILTER, &program)
        .map_err(|errno| Error::system("hold the socket", errno))
}

/// Whether the socket's filter is the one of [`attach_filter`].
fn has_filter(fd: BorrowedFd<'_>) -> bool {
    let mut found = libc::sock_filter { code: 0, jt: 0, jf: 0, k: !0 };
    // Counted in instructions. One that has more answers EINVAL.
    let mut count = 1;
    // SAFETY: the kernel writes at most `count` instructions.
    let outcome = unsafe {
        let into = (&raw mut found).cast();
        libc::getsockopt(fd.as_raw_fd(), libc::SOL_SOCKET, libc::SO_GET_FILTER, into, &mut count)
    };
    outcome == 0
        && count == 1
        && (found.code, found.jt, found.jf, found.k)
            == (DROP_ALL.code, DROP_ALL.jt, DROP_ALL.jf, DROP_ALL.k)
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
const TCP_LISTEN: u8 = 10;
/// Return a constant: how many bytes to keep. Its other fields are not used, and tell it from a
/// filter of somebody else's.
const BPF_RET_K: u16 = 0x6;
const DROP_ALL: libc::sock_filter = libc::sock_filter { code: BPF_RET_K, jt: 0x55, jf: 0x73, k: 0 };

#[cfg(test)]
mod tests {
    use std::net::{TcpListener, TcpStream};
    use std::os::fd::{AsFd, OwnedFd};

    use rustix::io::Errno;
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
    fn a_held_socket_is_not_connected_and_does_not_send() {
        let socket = new_socket();
        assert!(!is_held(socket.as_fd()));
        hold(socket.as_fd()).unwrap();
        assert!(is_held(socket.as_fd()));
        assert_eq!(stage(socket.as_fd()), Ok(Stage::Unconnected));
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        for _ in 0..3 {
            let outcome = connect(&socket, &listener.local_addr().unwrap());
            assert_eq!(outcome, Err(Errno::ISCONN));
            assert_eq!(send(&socket, b"x", SendFlags::NOSIGNAL), Err(Errno::PIPE));
        }
    }

    #[test]
    fn no_stranger_gets_into_a_held_socket() {
        let socket = new_socket();
        hold(socket.as_fd()).unwrap();
        let port = rustix::net::getsockname(&socket).unwrap();
        let port = std::net::SocketAddr::try_from(port).unwrap().port();
        let stranger = new_socket();
        rustix::io::ioctl_fionbio(&stranger, true).unwrap();
        let outcome = connect(&stranger, &std::net::SocketAddr::from(([127, 0, 0, 1], port)));
        assert_eq!(outcome, Err(Errno::INPROGRESS));
        // On loopback whatever the answer is has come by now.
        assert_eq!(stage(stranger.as_fd()), Ok(Stage::Connecting));
    }

    #[test]
    fn a_listener_of_the_program_is_not_taken_for_held() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        assert!(!is_held(listener.as_fd()));
        assert_eq!(stage(listener.as_fd()), Ok(Stage::Connected));
    }

    #[test]
    fn let_go_it_does_both() {
        let socket = new_socket();
        let_go(socket.as_fd()).unwrap();
        hold(socket.as_fd()).unwrap();
        hold(socket.as_fd()).unwrap();
        let_go(socket.as_fd()).unwrap();
        assert!(!is_held(socket.as_fd()));
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
