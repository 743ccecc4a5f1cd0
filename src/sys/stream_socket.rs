//! Which descriptors can carry TLS, and how such a connection is killed.

use std::os::fd::{BorrowedFd, OwnedFd, RawFd};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fs::FileType;
use rustix::io::Errno;
use rustix::net::{
    AddressFamily, RecvFlags, SendFlags, Shutdown, SocketType, connect_unspec, getpeername, recv,
    shutdown, sockopt,
};

use super::failed;
use super::hold;
use super::identity::{self, Identity};
pub use super::socket_options::{readable_bytes, set_abortive_close, unsent_bytes};
use crate::error::{Code, Error, Result};

/// The address family of a socket that can carry TLS.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Family {
    Inet,
    Inet6,
    Unix,
}

/// Any connected stream socket will do; everything else is refused by its name.
pub fn check_connected_stream(fd: RawFd) -> Result<Family> {
    identify_connected_stream(fd)?.1
}

/// Any stream socket, connected or not yet, but not one that listens (as one does that is held).
pub fn check_stream(fd: RawFd) -> Result<Identity> {
    let refused = |error| Error { code: Code::INVALID, ..error };
    let (identity, connected) = identify_connected_stream(fd).map_err(refused)?;
    match connected {
        Ok(_) => Ok(identity),
        Err(error) if error.code == Code::STATE && !is_listening(fd) => Ok(identity),
        Err(error) => Err(refused(error)),
    }
}

/// What an open descriptor is, and whether it will do.
fn identify_connected_stream(fd: RawFd) -> Result<(Identity, Result<Family>)> {
    let Some(stat) = identity::stat(fd)? else {
        return Err(refused(Code::INVALID, format!("descriptor {fd} is not open")));
    };
    let file = FileType::from_raw_mode(stat.st_mode);
    // SAFETY: not -1, and only handed to system calls, which answer EBADF if another thread
    // closes it meanwhile. A duplicate would need a number that may not be left.
    let connected = match look(unsafe { BorrowedFd::borrow_raw(fd) }, file) {
        Ok(Ok(family)) => Ok(family),
        Ok(Err((code, what))) => Err(refused(code, format!("descriptor {fd} is {what}"))),
        Err(errno) => Err(Error::system("look at the descriptor", errno.raw_os_error())),
    };
    Ok((Identity::from(&stat), connected))
}

/// A TCP socket that is neither connected nor being connected.
pub fn check_unconnected_tcp(fd: RawFd) -> Result<()> {
    check_stream(fd)?;
    // SAFETY: not -1, since it has been looked at, and only handed to system calls.
    let socket = unsafe { BorrowedFd::borrow_raw(fd) };
    if sockopt::socket_domain(socket) == Ok(AddressFamily::UNIX) {
        return Err(Error::new(
            Code::INVALID,
            format!("descriptor {fd} is an AF_UNIX socket: only TCP sockets can be made secure"),
        ));
    }
    match hold::stage(socket)? {
        hold::Stage::Unconnected => Ok(()),
        hold::Stage::Connecting | hold::Stage::Connected => Err(Error::new(
            Code::STATE,
            format!(
                "descriptor {fd} is connected already, or about to be: a socket is made secure \
                 before that; for TLS in mid-conversation call ssl_socket_new and \
                 ssl_perform_handshake"
            ),
        )),
    }
}

fn is_listening(fd: RawFd) -> bool {
    if fd < 0 {
        return false;
    }
    // SAFETY: not -1, since it has been looked at, and only handed to system calls.
    let socket = unsafe { BorrowedFd::borrow_raw(fd) };
    sockopt::socket_acceptconn(socket) == Ok(true) && !hold::is_held(socket)
}

/// A socket that answers ENOTCONN to every send, without SIGPIPE.
pub fn unconnected() -> Result<OwnedFd> {
    rustix::net::socket_with(
        AddressFamily::UNIX,
        SocketType::STREAM,
        rustix::net::SocketFlags::CLOEXEC,
        None,
    )
    .map_err(failed("make a socket"))
}

/// Takes a connection attempt back, also one that is under way. The socket can be used again.
pub fn disconnect(fd: BorrowedFd<'_>) {
    let _ = connect_unspec(fd);
}

/// Kills the connection, so that from now on no byte leaves and none can be read, through
/// whatever descriptor, in whatever process. The peer of a TCP connection sees a reset.
///
/// What an AF_UNIX peer has been handed already it can still read.
pub fn kill(fd: BorrowedFd<'_>) {
    if sockopt::socket_domain(fd) != Ok(AddressFamily::UNIX) {
        // EBUSY: some kernels refuse while a thread waits inside a call; the shutdown wakes it.
        for _ in 0..KILL_ATTEMPTS {
            match connect_unspec(fd) {
                Err(Errno::BUSY) => {
                    let _ = shutdown(fd, Shutdown::Both);
                    std::thread::yield_now();
                }
                Err(Errno::INTR) => {}
                _ => break,
            }
        }
    }
    // All that there is for AF_UNIX. A dead TCP connection answers the end of input from here on.
    let _ = shutdown(fd, Shutdown::Both);
    discard_input(fd);
}

/// [`kill`] for a caller who could not get a duplicate and has just checked what `number` is.
pub fn kill_number(number: RawFd) {
    if number >= 0 {
        // SAFETY: not -1, and only handed to system calls, which answer EBADF if another thread
        // closes it meanwhile.
        kill(unsafe { BorrowedFd::borrow_raw(number) });
    }
}

/// Whether the other end has been closed or both directions have ended, and all it sent is here.
pub fn has_hung_up(fd: BorrowedFd<'_>) -> bool {
    let mut entry = [PollFd::from_borrowed_fd(fd, PollFlags::empty())];
    matches!(poll(&mut entry, Some(&Timespec::default())), Ok(1..))
        && entry[0].revents().contains(PollFlags::HUP)
}

/// Every send on `number` fails from now on, if it refers to `identity`; for a caller who could
/// not get a duplicate.
pub fn end_sending(number: RawFd, identity: Identity) {
    if let Some(fd) = borrow_if(number, identity) {
        let _ = shutdown(fd, Shutdown::Write);
    }
}

/// Sends on `number` without waiting, for the same kind of caller.
pub fn send_at(number: RawFd, identity: Identity, bytes: &[u8]) {
    if let Some(fd) = borrow_if(number, identity) {
        let _ = rustix::net::send(fd, bytes, SendFlags::DONTWAIT | SendFlags::NOSIGNAL);
    }
}

/// [`unsent_bytes`] of `number`, if it refers to `identity`. A number that is reused at this moment
/// makes it another socket's, no worse.
pub fn unsent_at(number: RawFd, identity: Identity) -> Option<u32> {
    unsent_bytes(borrow_if(number, identity)?).ok()
}

fn borrow_if<'a>(number: RawFd, identity: Identity) -> Option<BorrowedFd<'a>> {
    if number < 0 || Identity::of_number(number) != Some(identity) {
        return None;
    }
    // SAFETY: not -1, and only handed to system calls, which answer EBADF if another thread closes
    // it meanwhile.
    Some(unsafe { BorrowedFd::borrow_raw(number) })
}

const KILL_ATTEMPTS: usize = 1000;
const DISCARD_READS: usize = 1 << 16;

fn discard_input(fd: BorrowedFd<'_>) {
    let mut buffer = [0; 4096];
    // Bounded, in case that a sandbox forbade the calls above and the peer goes on sending.
    for _ in 0..DISCARD_READS {
        match recv(fd, &mut buffer, RecvFlags::DONTWAIT) {
            Ok((1.., _)) | Err(Errno::INTR) => {}
            // Empty: nothing comes any more after the shutdown.
            _ => break,
        }
    }
}

type Look = std::result::Result<Family, (Code, String)>;

/// The answer, or what the descriptor is instead.
fn look(fd: BorrowedFd<'_>, file: FileType) -> rustix::io::Result<Look> {
    if file != FileType::Socket {
        return Ok(Err((Code::INVALID, name_of_file(file).to_owned())));
    }
    let peer = getpeername(fd);
    let family = match &peer {
        Ok(Some(peer)) => peer.address_family(),
        _ => sockopt::socket_domain(fd)?,
    };
    // These protocols are those of streams.
    let is_tcp = || {
        let protocol = sockopt::socket_protocol(fd)?.map_or(0, |number| number.as_raw().get());
        Ok(matches!(protocol as i32, libc::IPPROTO_TCP | libc::IPPROTO_MPTCP))
    };
    let known = match family {
        AddressFamily::INET if is_tcp()? => Family::Inet,
        AddressFamily::INET6 if is_tcp()? => Family::Inet6,
        AddressFamily::UNIX if sockopt::socket_type(fd)? == SocketType::STREAM => Family::Unix,
        _ => return Ok(Err((Code::INVALID, name_of_socket(family, sockopt::socket_type(fd)?)))),
    };
    match peer {
        Ok(_) => Ok(Ok(known)),
        // EINVAL: AF_INET after shutdown in both directions, on some systems.
        Err(Errno::NOTCONN | Errno::INVAL) => {
            let what = match sockopt::socket_acceptconn(fd)? {
                true => "a listening socket",
                false => "a socket that is not connected",
            };
            Ok(Err((Code::STATE, what.to_owned())))
        }
        Err(errno) => Err(errno),
    }
}

fn refused(code: Code, what: String) -> Error {
    Error::new(code, format!("{what}; TLS needs a connected stream socket (TCP or AF_UNIX)"))
}

fn name_of_file(file: FileType) -> &'static str {
    match file {
        FileType::RegularFile => "a regular file",
        FileType::Directory => "a directory",
        FileType::Fifo => "a pipe",
        FileType::CharacterDevice => "a character device",
        FileType::BlockDevice => "a block device",
        // epoll, eventfd, timerfd, pidfd and the like have no file type.
        _ => "not a socket",
    }
}

fn name_of_socket(family: AddressFamily, kind: SocketType) -> String {
    let family = match family {
        AddressFamily::INET => "IPv4",
        AddressFamily::INET6 => "IPv6",
        AddressFamily::UNIX => "AF_UNIX",
        AddressFamily::NETLINK => return "a netlink socket".to_owned(),
        AddressFamily::PACKET => return "a packet socket".to_owned(),
        AddressFamily::VSOCK => "AF_VSOCK",
        AddressFamily::BLUETOOTH => "Bluetooth",
        other => return format!("a socket of address family {}", other.as_raw()),
    };
    match kind {
        SocketType::STREAM => format!("a stream socket ({family}), but not TCP"),
        SocketType::DGRAM => format!("a datagram socket ({family})"),
        SocketType::SEQPACKET => format!("a sequenced-packet socket ({family})"),
        SocketType::RAW => format!("a raw socket ({family})"),
        other => format!("a socket ({family}) of type {}", other.as_raw()),
    }
}

#[cfg(test)]
mod tests {
    use std::net::{TcpListener, UdpSocket};
    use std::os::fd::{AsFd, AsRawFd, OwnedFd};

    use rustix::event::{EventfdFlags, eventfd};
    use rustix::fs::{CWD, Mode, OFlags, openat};
    use rustix::io::dup;
    use rustix::net::{SocketFlags, send, socket_with, socketpair};

    use super::*;
    use crate::sys::blocked_thread::{self, Others};
    use crate::sys::test_sockets::{
        LONG, eventually, in_child, ready, tcp_pair, tcp6_pair, unix_pair,
    };

    fn check(fd: impl AsFd) -> Result<Family> {
        check_connected_stream(fd.as_fd().as_raw_fd())
    }

    #[track_caller]
    fn assert_refused(fd: impl AsFd, code: Code, what: &str) {
        let error = check(&fd).unwrap_err();
        let number = fd.as_fd().as_raw_fd();
        let needs = "TLS needs a connected stream socket (TCP or AF_UNIX)";
        assert_eq!(error.text, format!("descriptor {number} is {what}; {needs}"));
        assert_eq!(error.code, code);
    }

    fn open(path: &str) -> OwnedFd {
        openat(CWD, path, OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty()).unwrap()
    }

    fn socket(family: AddressFamily, kind: SocketType) -> OwnedFd {
        socket_with(family, kind, SocketFlags::CLOEXEC, None).unwrap()
    }

    #[test]
    fn connected_streams_are_told_by_family() {
        for (pair, family) in
            [(tcp_pair(), Family::Inet), (tcp6_pair(), Family::Inet6), (unix_pair(), Family::Unix)]
        {
            assert_eq!(check(&pair.0), Ok(family));
            assert_eq!(check(&pair.1), Ok(family));
        }
    }

    #[test]
    fn half_closed_connections_will_do() {
        let (a, b) = tcp_pair();
        shutdown(&a, Shutdown::Write).unwrap();
        assert_eq!(check(&a), Ok(Family::Inet));
        assert_eq!(check(&b), Ok(Family::Inet));
    }

    #[test]
    fn files_are_refused_by_name() {
        let (pipe, _write) = rustix::pipe::pipe().unwrap();
        assert_refused(pipe, Code::INVALID, "a pipe");
        assert_refused(open("/"), Code::INVALID, "a directory");
        assert_refused(open("/proc/self/exe"), Code::INVALID, "a regular file");
        assert_refused(open("/dev/null"), Code::INVALID, "a character device");
        let event = eventfd(0, EventfdFlags::CLOEXEC).unwrap();
        assert_refused(event, Code::INVALID, "not a socket");
    }

    #[test]
    fn closed_numbers_are_refused_by_name() {
        for number in [-1, RawFd::MIN, RawFd::MAX] {
            let error = check_connected_stream(number).unwrap_err();
            assert_eq!(
                error.text,
                format!(
                    "descriptor {number} is not open; \
                     TLS needs a connected stream socket (TCP or AF_UNIX)"
                )
            );
            assert_eq!(error.code, Code::INVALID);
        }
    }

    #[test]
    fn other_sockets_are_refused_by_name() {
        let udp = UdpSocket::bind("127.0.0.1:0").unwrap();
        udp.connect(udp.local_addr().unwrap()).unwrap();
        assert_refused(udp, Code::INVALID, "a datagram socket (IPv4)");
        let udp6 = socket(AddressFamily::INET6, SocketType::DGRAM);
        assert_refused(udp6, Code::INVALID, "a datagram socket (IPv6)");
        let (packets, _peer) =
            socketpair(AddressFamily::UNIX, SocketType::SEQPACKET, SocketFlags::CLOEXEC, None)
                .unwrap();
        assert_refused(packets, Code::INVALID, "a sequenced-packet socket (AF_UNIX)");
        let netlink = socket(AddressFamily::NETLINK, SocketType::RAW);
        assert_refused(netlink, Code::INVALID, "a netlink socket");
    }

    #[test]
    fn sockets_without_a_connection_are_refused_by_name() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        assert_refused(listener, Code::STATE, "a listening socket");
        for family in [AddressFamily::INET, AddressFamily::INET6, AddressFamily::UNIX] {
            let new = socket(family, SocketType::STREAM);
            assert_refused(new, Code::STATE, "a socket that is not connected");
        }
        let (reset, peer) = tcp_pair();
        set_abortive_close(peer.as_fd()).unwrap();
        drop(peer);
        ready(reset.as_fd(), rustix::event::PollFlags::IN, LONG);
        assert_refused(reset, Code::STATE, "a socket that is not connected");
    }

    fn assert_dead(fd: &OwnedFd) {
        for _ in 0..3 {
            let sent = send(fd, b"PASS secret", SendFlags::NOSIGNAL | SendFlags::DONTWAIT);
            assert!(matches!(sent, Err(Errno::PIPE | Errno::CONNRESET)), "{sent:?}");
            let received = recv(fd, &mut [0; 64], RecvFlags::DONTWAIT);
            assert!(
                matches!(received, Ok((0, _)) | Err(Errno::CONNRESET | Errno::NOTCONN)),
                "{received:?}"
            );
        }
    }

    #[test]
    fn kill_ends_every_duplicate_and_drops_what_is_queued() {
        for (socket, peer) in [tcp_pair(), tcp6_pair(), unix_pair()] {
            send(&peer, &[b'x'; 50_000], SendFlags::NOSIGNAL).unwrap();
            ready(socket.as_fd(), rustix::event::PollFlags::IN, LONG);
            let again = dup(&socket).unwrap();
            kill(socket.as_fd());
            assert_dead(&again);
            assert_dead(&socket);
        }
    }

    #[test]
    fn kill_lets_nothing_more_out() {
        for (socket, peer) in [tcp_pair(), unix_pair()] {
            send(&socket, b"before", SendFlags::NOSIGNAL).unwrap();
            ready(peer.as_fd(), rustix::event::PollFlags::IN, LONG);
            kill(socket.as_fd());
            let _ = send(&socket, b"after", SendFlags::NOSIGNAL);
            drop(socket);
            let mut all = Vec::new();
            let mut buffer = [0; 64];
            while let Ok((n @ 1.., _)) = recv(&peer, &mut buffer, RecvFlags::empty()) {
                all.extend_from_slice(&buffer[..n]);
            }
            assert!(all.is_empty() || all == b"before", "{all:?}");
        }
    }

    #[test]
    fn kill_drops_what_could_not_be_sent_yet() {
        for (socket, peer) in [tcp_pair(), tcp6_pair()] {
            let mut sent = 0;
            while let Ok(n) = send(&socket, &[0; 65536], SendFlags::NOSIGNAL | SendFlags::DONTWAIT)
            {
                sent += n;
            }
            kill(socket.as_fd());
            let mut received = 0;
            let mut buffer = vec![0; 65536];
            // After a mere shutdown all of it would arrive.
            while let Ok((n @ 1.., _)) = recv(&peer, &mut buffer, RecvFlags::empty()) {
                received += n;
            }
            assert!(received < sent, "{received} of {sent} left");
            assert_dead(&socket);
        }
    }

    #[test]
    fn kill_reaches_into_a_forked_process() {
        for (socket, peer) in [tcp_pair(), unix_pair()] {
            send(&peer, b"queued", SendFlags::NOSIGNAL).unwrap();
            ready(socket.as_fd(), rustix::event::PollFlags::IN, LONG);
            // The child kills, the parent looks.
            assert!(in_child(|| {
                kill(socket.as_fd());
                true
            }));
            assert_dead(&socket);
        }
    }

    #[test]
    fn kill_works_while_a_thread_waits_inside_recv() {
        for (socket, _peer) in [tcp_pair(), unix_pair()] {
            let number = socket.as_raw_fd();
            std::thread::scope(|scope| {
                let waiting = scope.spawn(|| recv(&socket, &mut [0; 8], RecvFlags::empty()));
                let blocked = eventually(|| {
                    blocked_thread::others(&[number]) == Ok(Others::BlockedOn(number))
                });
                kill(socket.as_fd());
                assert!(blocked);
                let received = waiting.join().unwrap();
                assert!(!matches!(received, Ok((1.., _))), "{received:?}");
            });
            assert_dead(&socket);
        }
    }

    #[test]
    fn multipath_tcp_is_tcp() {
        let protocol = rustix::net::Protocol::from_raw(
            std::num::NonZeroU32::new(libc::IPPROTO_MPTCP as u32).unwrap(),
        );
        let new = |_| {
            let flags = SocketFlags::CLOEXEC;
            socket_with(AddressFamily::INET, SocketType::STREAM, flags, Some(protocol)).ok()
        };
        // Not every kernel has it.
        let (Some(listener), Some(socket)) = (new(0), new(1)) else { return };
        let any = std::net::SocketAddrV4::new(std::net::Ipv4Addr::LOCALHOST, 0);
        rustix::net::bind(&listener, &any).unwrap();
        rustix::net::listen(&listener, 4).unwrap();
        let address = rustix::net::getsockname(&listener).unwrap();
        rustix::net::connect(&socket, &address).unwrap();
        let peer = rustix::net::accept(&listener).unwrap();
        assert_eq!(check(&socket), Ok(Family::Inet));
        send(&peer, b"queued", SendFlags::NOSIGNAL).unwrap();
        ready(socket.as_fd(), rustix::event::PollFlags::IN, LONG);
        let again = dup(&socket).unwrap();
        kill(socket.as_fd());
        assert_dead(&again);
    }
}
