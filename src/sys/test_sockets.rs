//! What the unit tests of several modules share: connected sockets, readiness, a forked child.

use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener, TcpStream};
use std::os::fd::{BorrowedFd, OwnedFd};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::net::{AddressFamily, SocketFlags, SocketType, socketpair};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// Long enough for the slowest machine: only a failing test waits for all of it.
pub const LONG: Timespec = Timespec { tv_sec: 20, tv_nsec: 0 };
pub const AT_ONCE: Timespec = Timespec { tv_sec: 0, tv_nsec: 0 };

pub fn tcp_pair() -> (OwnedFd, OwnedFd) {
    tcp_pair_on(SocketAddr::from((Ipv4Addr::LOCALHOST, 0)))
}

pub fn tcp6_pair() -> (OwnedFd, OwnedFd) {
    tcp_pair_on(SocketAddr::from((Ipv6Addr::LOCALHOST, 0)))
}

pub fn unix_pair() -> (OwnedFd, OwnedFd) {
    socketpair(AddressFamily::UNIX, SocketType::STREAM, SocketFlags::CLOEXEC, None).unwrap()
}

/// Lets the test process have descriptors above 1024, which the usual soft limit does not.
pub fn raise_descriptor_limit() {
    let limit = getrlimit(Resource::Nofile);
    setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, ..limit }).unwrap();
}

/// What is ready on a descriptor, of `events` and the hang-ups; empty after `timeout`.
pub fn ready(fd: BorrowedFd<'_>, events: PollFlags, timeout: Timespec) -> PollFlags {
    let mut fds = [PollFd::from_borrowed_fd(fd, events)];
    loop {
        match poll(&mut fds, Some(&timeout)) {
            Err(rustix::io::Errno::INTR) => {}
            done => {
                done.unwrap();
                return fds[0].revents();
            }
        }
    }
}

/// Whether a condition that another thread brings about comes true; only a failing test waits long.
pub fn eventually(condition: impl Fn() -> bool) -> bool {
    let start = Instant::now();
    while !condition() {
        if start.elapsed() > Duration::from_secs(20) {
            return false;
        }
        std::thread::yield_now();
    }
    true
}

/// Runs `check` in a forked child and says whether it answered true. The child must keep to what
/// is allowed after a fork of a process with threads, but for the heap, which glibc repairs.
pub fn in_child(check: impl FnOnce() -> bool) -> bool {
    // SAFETY: see above; the child ends without running any destructor of the parent's.
    match unsafe { libc::fork() } {
        0 => {
            let fine = catch_unwind(AssertUnwindSafe(check)).unwrap_or(false);
            // SAFETY: ends the child.
            unsafe { libc::_exit(if fine { 0 } else { 1 }) }
        }
        child => {
            assert!(child > 0);
            let mut status = 0;
            // SAFETY: waits for our own child.
            assert_eq!(unsafe { libc::waitpid(child, &mut status, 0) }, child);
            status == 0
        }
    }
}

fn tcp_pair_on(address: SocketAddr) -> (OwnedFd, OwnedFd) {
    let listener = TcpListener::bind(address).unwrap();
    let client = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    loop {
        let (server, peer) = listener.accept().unwrap();
        if peer == client.local_addr().unwrap() {
            return (client.into(), server.into());
        }
    }
}
