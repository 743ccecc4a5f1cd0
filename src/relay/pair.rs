//! The inner pair: the program's new descriptor and the library's end of it.

use std::hash::{BuildHasher, RandomState};
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fs::{OFlags, fcntl_getfl, fcntl_setfl};
use rustix::io::Errno;
use rustix::net::{
    AddressFamily, SocketFlags, SocketType, accept_with, bind, connect, getpeername, getsockname,
    listen, socket_with, socketpair, sockopt,
};

use crate::error::Result;
use crate::sys::failed;
use crate::sys::private_fd::PrivateFd;
use crate::sys::process::PerProcess;
use crate::sys::socket_options::{set_no_fin_wait, set_usual_segments, widen_receive_window};
use crate::sys::stream_socket::Family;

/// What the two ends are.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum PairKind {
    /// TCP over loopback, of the family that the program's socket has: TCP options, `sendfile`
    /// and the checks of language runtimes go on working.
    Tcp(Family),
    Unix,
}

impl From<Family> for PairKind {
    /// The kind that resembles a socket of this family most.
    fn from(family: Family) -> Self {
        match family {
            Family::Inet | Family::Inet6 => Self::Tcp(family),
            Family::Unix => Self::Unix,
        }
    }
}

/// How large the segments of a TCP pair are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Segments {
    /// Loopback's, which cost least.
    Large,
    /// A network's, for a small receive buffer.
    Usual,
}

/// Two connected stream sockets, both of them CLOEXEC.
///
/// When the program closes its end, the library's end shows a hang-up (EPOLLHUP); when the program
/// half-closes it, only EPOLLRDHUP. Read the library's end empty before acting on a hang-up.
#[derive(Debug)]
pub struct Pair {
    /// Blocking, as a new socket is.
    pub program: OwnedFd,
    /// Non-blocking. Urgent data of the program's stays in the stream (TCP only).
    pub library: PrivateFd,
    /// What was made, which is not always what was asked for.
    pub kind: PairKind,
}

impl Pair {
    /// Makes a pair of this kind, or an AF_UNIX one where there is no loopback, where it does not
    /// answer within a second or where anything else goes wrong with it.
    pub fn connect(kind: PairKind, segments: Segments) -> Result<Self> {
        if let PairKind::Tcp(family @ (Family::Inet | Family::Inet6)) = kind
            && let Ok((program, library)) = tcp(family, segments)
        {
            return Ok(Self { program, library: PrivateFd::adopt(library)?, kind });
        }
        let (program, library) =
            socketpair(AddressFamily::UNIX, SocketType::STREAM, SocketFlags::CLOEXEC, None)
                .map_err(failed("make the inner pair"))?;
        set_nonblocking(&library, true).map_err(failed("make the inner pair"))?;
        for end in [&program, &library] {
            // On AF_UNIX it is what is under way, and does not grow by itself. A program that has
            // chosen a size gets that.
            let _ = sockopt::set_socket_send_buffer_size(end, UNIX_BUFFER);
        }
        Ok(Self { program, library: PrivateFd::adopt(library)?, kind: PairKind::Unix })
    }
}

/// The program's end and the library's end.
fn tcp(family: Family, segments: Segments) -> Result<(OwnedFd, OwnedFd)> {
    let (program, library) = listen_on_loopback(family)
        .and_then(|listener| join(family, &listener, segments))
        .map_err(failed("connect the inner pair"))?;
    // Without it, write-write-read waits for a delayed acknowledgement.
    let options = sockopt::set_tcp_nodelay(&program, true)
        .and_then(|()| sockopt::set_tcp_nodelay(&library, true))
        .and_then(|()| sockopt::set_socket_oobinline(&library, true));
    options.map_err(failed("set the options of the inner pair"))?;
    set_no_fin_wait(program.as_fd())?;
    // With the small one that a socket starts with, whoever sends waits for every acknowledgement.
    widen_receive_window(library.as_fd())?;
    if segments == Segments::Large {
        widen_receive_window(program.as_fd())?;
    }
    Ok((program, library))
}

fn listen_on_loopback(family: Family) -> rustix::io::Result<OwnedFd> {
    let listener = tcp_socket(family)?;
    bind(&listener, &loopback(family))?;
    listen(&listener, BACKLOG)?;
    Ok(listener)
}

/// Connects to the listener and accepts that very connection.
fn join(
    family: Family,
    listener: &OwnedFd,
    segments: Segments,
) -> rustix::io::Result<(OwnedFd, OwnedFd)> {
    let deadline = Instant::now() + PATIENCE;
    let address = SocketAddr::try_from(getsockname(listener)?)?;
    let program = tcp_socket(family)?;
    if segments == Segments::Usual {
        // What this end says that it takes is what the other sends.
        let _ = set_usual_segments(program.as_fd());
    }
    // From the same address, or the program would find 127.0.0.1 by getsockname.
    bind(&program, &SocketAddr::new(address.ip(), 0))?;
    match connect(&program, &address) {
        Ok(()) | Err(Errno::INPROGRESS | Errno::INTR) => {}
        Err(errno) => return Err(errno),
    }
    let ours = SocketAddr::try_from(getsockname(&program)?)?;
    let library = accept_from(listener, ours, deadline)?;
    // Without asking once more the socket counts as connecting, and a connect of the program's
    // would be answered with success.
    match connect(&program, &address) {
        Ok(()) | Err(Errno::ISCONN) => {}
        Err(errno) => return Err(errno),
    }
    set_nonblocking(&program, false)?;
    Ok((program, library))
}

/// Accepts the connection that comes from `ours`. Strangers, who could find the port and be
/// quicker, are closed.
fn accept_from(
    listener: &OwnedFd,
    ours: SocketAddr,
    deadline: Instant,
) -> rustix::io::Result<OwnedFd> {
    // How many of those that have come are looked at once the time is over: on a busy machine this
    // thread may have had to wait for the processor so long.
    let mut last_looks = BACKLOG;
    while last_looks > 0 {
        let is_over = Instant::now() >= deadline;
        match accept_with(listener, SocketFlags::CLOEXEC | SocketFlags::NONBLOCK) {
            Ok(accepted) => {
                let peer = getpeername(&accepted).ok().flatten();
                if peer.and_then(|peer| SocketAddr::try_from(peer).ok()) == Some(ours) {
                    return Ok(accepted);
                }
                last_looks -= i32::from(is_over);
            }
            Err(Errno::AGAIN) if is_over => return Err(Errno::TIMEDOUT),
            Err(Errno::AGAIN) => wait_for_input(listener.as_fd(), deadline)?,
            Err(Errno::INTR | Errno::CONNABORTED) => {}
            Err(errno) => return Err(errno),
        }
    }
    Err(Errno::TIMEDOUT)
}

fn wait_for_input(fd: BorrowedFd<'_>, deadline: Instant) -> rustix::io::Result<()> {
    let left = deadline.saturating_duration_since(Instant::now());
    let timeout = Timespec::try_from(left).unwrap_or_default();
    match poll(&mut [PollFd::from_borrowed_fd(fd, PollFlags::IN)], Some(&timeout)) {
        Ok(_) | Err(Errno::INTR) => Ok(()),
        Err(errno) => Err(errno),
    }
}

fn tcp_socket(family: Family) -> rustix::io::Result<OwnedFd> {
    let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
    let family = match family {
        Family::Inet6 => AddressFamily::INET6,
        _ => AddressFamily::INET,
    };
    let socket = socket_with(family, SocketType::STREAM, flags, Some(rustix::net::ipproto::TCP))?;
    // Before it is connected, for what another one begins stays: BBR's pacing arms a timer for each
    // segment, and no network is to be spared here. Every kernel has this one, and it is allowed.
    let _ = sockopt::set_tcp_congestion(&socket, "reno");
    if family == AddressFamily::INET6 {
        // The addresses are v4-mapped, whatever net.ipv6.bindv6only says.
        sockopt::set_ipv6_v6only(&socket, false)?;
    }
    Ok(socket)
}

fn set_nonblocking(fd: &OwnedFd, on: bool) -> rustix::io::Result<()> {
    let mut flags = fcntl_getfl(fd)?;
    flags.set(OFlags::NONBLOCK, on);
    fcntl_setfl(fd, flags)
}

/// An address in 127.0.0.0/8 outside 127.0.0.x, any free port.
///
/// Spread over all of it, so that the ports never run out, and outside 127.0.0.x, so that nobody
/// takes it for a service of this host. IPv6 has one loopback address only: the v4-mapped form.
fn loopback(family: Family) -> SocketAddr {
    static SEED: PerProcess<RandomState> = PerProcess::new();
    static COUNT: AtomicU64 = AtomicU64::new(0);
    // A forked child has the same count.
    let drawn = SEED
        .get_or_init(RandomState::new)
        .hash_one((COUNT.fetch_add(1, Ordering::Relaxed), std::process::id()));
    let [high, middle, low, ..] = drawn.to_le_bytes();
    let address = Ipv4Addr::new(127, high.max(1), middle, low.clamp(1, 254));
    let address = match family {
        Family::Inet6 => IpAddr::V6(address.to_ipv6_mapped()),
        _ => IpAddr::V4(address),
    };
    SocketAddr::new(address, 0)
}

/// The kernel takes twice this, or twice net.core.wmem_max if that is less.
const UNIX_BUFFER: usize = 512 * 1024;

/// How long a loopback that does not answer is waited for.
///
/// Much more than loopback takes, for on a busy machine that can be 200 ms, and a program that finds an
/// AF_UNIX socket where it had TCP is worse off than one that waits.
const PATIENCE: Duration = Duration::from_secs(1);

/// Room for strangers beside the one connection that counts.
const BACKLOG: i32 = 64;

#[cfg(test)]
mod tests {
    use std::os::fd::AsRawFd;

    use rustix::io::{FdFlags, fcntl_getfd};
    use rustix::net::{RecvFlags, SendFlags, Shutdown, recv, send, shutdown};

    use super::*;
    use crate::sys::private_fd::is_private;
    use crate::sys::stream_socket::{check_connected_stream, readable_bytes};
    use crate::sys::test_sockets::{AT_ONCE, LONG, ready};

    const KINDS: [PairKind; 3] =
        [PairKind::Tcp(Family::Inet), PairKind::Tcp(Family::Inet6), PairKind::Unix];

    fn address_of(fd: impl AsFd) -> SocketAddr {
        SocketAddr::try_from(getsockname(fd).unwrap()).unwrap()
    }

    fn peer_of(fd: impl AsFd) -> SocketAddr {
        SocketAddr::try_from(getpeername(fd).unwrap().unwrap()).unwrap()
    }

    fn receive(fd: impl AsFd, size: usize) -> Vec<u8> {
        let mut all = Vec::new();
        let mut buffer = [0; 4096];
        while all.len() < size {
            ready(fd.as_fd(), PollFlags::IN, LONG);
            match recv(&fd, &mut buffer, RecvFlags::DONTWAIT).unwrap() {
                (0, _) => break,
                (n, _) => all.extend_from_slice(&buffer[..n]),
            }
        }
        all
    }

    #[test]
    fn data_flows_both_ways() {
        for kind in KINDS {
            let pair = Pair::connect(kind, Segments::Large).unwrap();
            assert_eq!(pair.kind, kind);
            send(&pair.program, b"to the library", SendFlags::NOSIGNAL).unwrap();
            assert_eq!(receive(&pair.library, 14), b"to the library");
            send(&pair.library, b"to the program", SendFlags::NOSIGNAL).unwrap();
            assert_eq!(receive(&pair.program, 14), b"to the program");
        }
    }

    #[test]
    fn ends_have_the_flags_that_each_side_needs() {
        for kind in KINDS {
            let pair = Pair::connect(kind, Segments::Large).unwrap();
            assert!(!fcntl_getfl(&pair.program).unwrap().contains(OFlags::NONBLOCK));
            assert!(fcntl_getfl(&pair.library).unwrap().contains(OFlags::NONBLOCK));
            assert_eq!(fcntl_getfd(&pair.program).unwrap(), FdFlags::CLOEXEC);
            assert_eq!(fcntl_getfd(&pair.library).unwrap(), FdFlags::CLOEXEC);
            assert!(is_private(pair.library.as_raw_fd()));
            assert!(!is_private(pair.program.as_raw_fd()));
            if let PairKind::Tcp(family) = kind {
                assert_eq!(check_connected_stream(pair.program.as_raw_fd()), Ok(family));
                assert!(sockopt::tcp_nodelay(&pair.program).unwrap());
                assert!(sockopt::tcp_nodelay(&pair.library).unwrap());
                assert!(sockopt::socket_oobinline(&pair.library).unwrap());
            }
        }
    }

    #[test]
    fn nothing_paces_a_tcp_pair_whatever_congestion_control_the_system_prefers() {
        for kind in KINDS.into_iter().filter(|kind| matches!(kind, PairKind::Tcp(_))) {
            let pair = Pair::connect(kind, Segments::Large).unwrap();
            assert_eq!(sockopt::tcp_congestion(&pair.program).unwrap(), "reno");
            assert_eq!(sockopt::tcp_congestion(&pair.library).unwrap(), "reno");
        }
    }

    #[test]
    fn a_close_hangs_up_and_loses_nothing() {
        for kind in KINDS {
            let pair = Pair::connect(kind, Segments::Large).unwrap();
            assert!(
                !ready(pair.library.as_fd(), PollFlags::RDHUP, AT_ONCE).contains(PollFlags::HUP)
            );
            send(&pair.program, &[7; 100_000], SendFlags::NOSIGNAL).unwrap();
            drop(pair.program);
            let events = ready(pair.library.as_fd(), PollFlags::empty(), LONG);
            assert!(events.contains(PollFlags::HUP), "{kind:?} {events:?}");
            assert_eq!(receive(&pair.library, 100_000).len(), 100_000);
        }
    }

    #[test]
    fn a_half_close_shows_the_end_of_input_alone() {
        for kind in KINDS {
            let pair = Pair::connect(kind, Segments::Large).unwrap();
            shutdown(&pair.program, Shutdown::Write).unwrap();
            let events = PollFlags::IN | PollFlags::RDHUP;
            assert_eq!(ready(pair.library.as_fd(), events, LONG), events, "{kind:?}");
            send(&pair.library, b"still there", SendFlags::NOSIGNAL).unwrap();
            assert_eq!(receive(&pair.program, 11), b"still there");
            assert_eq!(ready(pair.library.as_fd(), events, AT_ONCE), events, "{kind:?}");
            drop(pair.program);
            assert!(ready(pair.library.as_fd(), PollFlags::empty(), LONG).contains(PollFlags::HUP));
        }
    }

    #[test]
    fn urgent_data_stays_in_the_stream() {
        for kind in &KINDS[..2] {
            let pair = Pair::connect(*kind, Segments::Large).unwrap();
            send(&pair.program, b"ab!", SendFlags::NOSIGNAL | SendFlags::OOB).unwrap();
            send(&pair.program, b"cd", SendFlags::NOSIGNAL).unwrap();
            assert_eq!(receive(&pair.library, 5), b"ab!cd");
        }
    }

    #[test]
    fn the_program_s_end_counts_as_connected() {
        for family in [Family::Inet, Family::Inet6] {
            let pair = Pair::connect(PairKind::Tcp(family), Segments::Large).unwrap();
            let other = SocketAddr::new(peer_of(&pair.program).ip(), 1);
            assert_eq!(connect(&pair.program, &other), Err(Errno::ISCONN));
        }
    }

    #[test]
    fn addresses_are_spread_outside_127_0_0() {
        let mut seen = std::collections::HashSet::new();
        for _ in 0..50 {
            let pair = Pair::connect(PairKind::Tcp(Family::Inet), Segments::Large).unwrap();
            let (own, peer) = (address_of(&pair.program), peer_of(&pair.program));
            assert_eq!(own.ip(), peer.ip());
            let IpAddr::V4(ip) = own.ip() else { panic!("{own}") };
            assert!(ip.is_loopback() && ip.octets()[..3] != [127, 0, 0], "{ip}");
            seen.insert(ip);
        }
        assert!(seen.len() > 40);
    }

    #[test]
    fn ipv6_addresses_are_mapped() {
        let pair = Pair::connect(PairKind::Tcp(Family::Inet6), Segments::Large).unwrap();
        let IpAddr::V6(ip) = peer_of(&pair.program).ip() else { panic!() };
        assert!(ip.to_ipv4_mapped().is_some_and(|ip| ip.is_loopback()), "{ip}");
    }

    #[test]
    fn strangers_do_not_get_in() {
        for family in [Family::Inet, Family::Inet6] {
            let listener = listen_on_loopback(family).unwrap();
            let address = address_of(&listener);
            let strangers: Vec<_> =
                (0..20).map(|_| std::net::TcpStream::connect(address).unwrap()).collect();
            let (program, library) = join(family, &listener, Segments::Large).unwrap();
            assert_eq!(peer_of(&library), address_of(&program));
            for stranger in &strangers {
                let _ = send(stranger, b"evil", SendFlags::NOSIGNAL);
                // Closed by us: the end of input, or a reset.
                assert!(!ready(stranger.as_fd(), PollFlags::IN, LONG).is_empty());
            }
            send(&program, b"good", SendFlags::NOSIGNAL).unwrap();
            assert_eq!(receive(&library, 4), b"good");
            assert_eq!(readable_bytes(library.as_fd()).unwrap(), 0);
        }
    }

    #[test]
    fn a_connection_that_never_comes_is_given_up() {
        let listener = listen_on_loopback(Family::Inet).unwrap();
        let _stranger = std::net::TcpStream::connect(address_of(&listener)).unwrap();
        let ours = SocketAddr::from(([127, 9, 9, 9], 9));
        let given_up = accept_from(&listener, ours, Instant::now() + Duration::from_millis(20));
        assert_eq!(given_up.unwrap_err(), Errno::TIMEDOUT);
    }

    #[test]
    fn a_connection_that_is_there_is_taken_although_the_time_is_over() {
        let listener = listen_on_loopback(Family::Inet).unwrap();
        let _stranger = std::net::TcpStream::connect(address_of(&listener)).unwrap();
        let program = std::net::TcpStream::connect(address_of(&listener)).unwrap();
        let ours = program.local_addr().unwrap();
        assert!(accept_from(&listener, ours, Instant::now()).is_ok());
    }

    #[test]
    fn a_family_without_tcp_gets_af_unix() {
        let pair = Pair::connect(PairKind::Tcp(Family::Unix), Segments::Large).unwrap();
        assert_eq!(pair.kind, PairKind::Unix);
        assert_eq!(check_connected_stream(pair.program.as_raw_fd()), Ok(Family::Unix));
    }
}
