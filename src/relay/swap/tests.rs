use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::time::Duration;

use rustix::buffer::spare_capacity;
use rustix::event::epoll::{self, CreateFlags, EventData, EventFlags};
use rustix::event::{PollFlags, Timespec};
use rustix::fs::{OFlags, fcntl_getfl, fcntl_setfl};
use rustix::io::{Errno, FdFlags, dup, fcntl_dupfd_cloexec, fcntl_getfd, fcntl_setfd};
use rustix::net::sockopt::{self, Timeout};
use rustix::net::{RecvFlags, SendFlags, Shutdown, recv, send, shutdown};

use super::*;
use crate::relay::pair::{Pair, PairKind, Segments};
use crate::sys::fd_table::numbers_of;
use crate::sys::private_fd::PrivateFd;
use crate::sys::socket_options::carry_over;
use crate::sys::stream_socket::Family;
use crate::sys::test_sockets::{
    AT_ONCE, LONG, eventually, in_child, ready, tcp_pair, tcp6_pair, unix_pair,
};

/// A connection before, during and after its swap.
struct Fixture {
    socket: OwnedFd,
    peer: OwnedFd,
    real: Identity,
    known: PrivateFd,
    pair: Pair,
}

impl Fixture {
    fn new((socket, peer): (OwnedFd, OwnedFd), kind: PairKind) -> Self {
        let real = Identity::of(socket.as_fd()).unwrap();
        let known = PrivateFd::duplicate_of(socket.as_fd()).unwrap();
        Self { socket, peer, real, known, pair: Pair::connect(kind, Segments::Large).unwrap() }
    }

    /// Every kind of connection with every kind of pair that it gets.
    fn all() -> [Self; 4] {
        [
            Self::new(tcp_pair(), PairKind::Tcp(Family::Inet)),
            Self::new(tcp6_pair(), PairKind::Tcp(Family::Inet6)),
            Self::new(tcp_pair(), PairKind::Unix),
            Self::new(unix_pair(), PairKind::Unix),
        ]
    }

    fn swap(&self) -> Result<Swapped> {
        carry_over(self.socket.as_fd(), self.pair.program.as_fd())?;
        swap(self.socket.as_raw_fd(), self.real, self.pair.program.as_fd(), self.known.as_fd())
    }

    fn swap_sole(&self) -> Result<Swapped> {
        carry_over(self.socket.as_fd(), self.pair.program.as_fd())?;
        swap_sole(self.socket.as_raw_fd(), self.real, self.pair.program.as_fd(), self.known.as_fd())
    }

    fn is_swapped(&self, fd: &OwnedFd) -> bool {
        let program = Identity::of(self.pair.program.as_fd()).unwrap();
        Identity::of(fd.as_fd()).unwrap() == program
    }

    fn feed(&self, bytes: &[u8]) {
        send(&self.pair.library, bytes, SendFlags::NOSIGNAL).unwrap();
    }

    fn take(&self) {
        recv(&self.socket, &mut [0; 64], RecvFlags::empty()).unwrap();
    }
}

fn instance() -> OwnedFd {
    epoll::create(CreateFlags::CLOEXEC).unwrap()
}

fn watch(instance: &OwnedFd, fd: &OwnedFd, data: u64, events: EventFlags) {
    epoll::add(instance, fd, EventData::new_u64(data), events).unwrap();
}

fn events(instance: &OwnedFd, timeout: Timespec) -> Vec<(EventFlags, u64)> {
    let mut found = Vec::with_capacity(8);
    epoll::wait(instance, spare_capacity(&mut found), Some(&timeout)).unwrap();
    found.iter().map(|event| (event.flags, event.data.u64())).collect()
}

#[test]
fn every_duplicate_becomes_the_inner_pair() {
    for fixture in Fixture::all() {
        let again = dup(&fixture.socket).unwrap();
        let mut expected = vec![fixture.socket.as_raw_fd(), again.as_raw_fd()];
        expected.sort_unstable();
        assert_eq!(fixture.swap().unwrap().numbers, expected);

        assert!(fixture.is_swapped(&fixture.socket) && fixture.is_swapped(&again));
        assert_eq!(Identity::of(fixture.known.as_fd()).unwrap(), fixture.real);
        assert_eq!(numbers_of(fixture.real, fixture.known.as_fd()).unwrap(), []);

        send(&again, b"secret", SendFlags::NOSIGNAL).unwrap();
        let mut buffer = [0; 64];
        ready(fixture.pair.library.as_fd(), PollFlags::IN, LONG);
        recv(&fixture.pair.library, &mut buffer, RecvFlags::empty()).unwrap();
        assert_eq!(&buffer[..6], b"secret");
        let leaked = recv(&fixture.peer, &mut buffer, RecvFlags::DONTWAIT);
        assert_eq!(leaked.unwrap_err(), Errno::AGAIN);
        // The real connection lives on.
        send(&fixture.known, b"record", SendFlags::NOSIGNAL).unwrap();
        assert_eq!(recv(&fixture.peer, &mut buffer, RecvFlags::empty()).unwrap().0, 6);
    }
}

#[test]
fn flags_and_options_stay() {
    for fixture in Fixture::all() {
        let again = dup(&fixture.socket).unwrap();
        fcntl_setfd(&fixture.socket, FdFlags::empty()).unwrap();
        fcntl_setfd(&again, FdFlags::CLOEXEC).unwrap();
        fcntl_setfl(&fixture.socket, OFlags::NONBLOCK).unwrap();
        let timeout = Some(Duration::from_millis(2500));
        sockopt::set_socket_timeout(&fixture.socket, Timeout::Recv, timeout).unwrap();
        fixture.swap().unwrap();
        assert!(fixture.is_swapped(&again));
        assert_eq!(fcntl_getfd(&fixture.socket).unwrap(), FdFlags::empty());
        assert_eq!(fcntl_getfd(&again).unwrap(), FdFlags::CLOEXEC);
        assert!(fcntl_getfl(&fixture.socket).unwrap().contains(OFlags::NONBLOCK));
        assert_eq!(sockopt::socket_timeout(&again, Timeout::Recv).unwrap(), timeout);
        let nothing = recv(&fixture.socket, &mut [0; 8], RecvFlags::empty());
        assert_eq!(nothing.unwrap_err(), Errno::AGAIN);
    }
}

#[test]
fn signals_come_from_the_inner_pair_alone() {
    // Without an owner nobody is signalled, which suits a test.
    let asynchronous = OFlags::from_bits_retain(libc::O_ASYNC as u32);
    for fixture in Fixture::all() {
        fcntl_setfl(&fixture.socket, asynchronous).unwrap();
        fixture.swap().unwrap();
        assert!(fcntl_getfl(&fixture.socket).unwrap().contains(asynchronous));
        assert!(!fcntl_getfl(&fixture.known).unwrap().contains(asynchronous));
    }
}

#[test]
fn a_level_triggered_registration_moves() {
    for fixture in Fixture::all() {
        let instance = instance();
        watch(&instance, &fixture.socket, u64::MAX - 1, EventFlags::IN);
        fixture.swap().unwrap();
        // Ciphertext is none of the program's business any more.
        send(&fixture.peer, b"record", SendFlags::NOSIGNAL).unwrap();
        ready(fixture.known.as_fd(), PollFlags::IN, LONG);
        assert_eq!(events(&instance, AT_ONCE), []);
        fixture.feed(b"clear");
        for _ in 0..2 {
            assert_eq!(events(&instance, LONG), [(EventFlags::IN, u64::MAX - 1)]);
        }
        fixture.take();
        assert_eq!(events(&instance, AT_ONCE), []);
        epoll::delete(&instance, &fixture.socket).unwrap();
    }
}

#[test]
fn an_edge_triggered_registration_moves() {
    for fixture in Fixture::all() {
        let instance = instance();
        watch(&instance, &fixture.socket, 5, EventFlags::IN | EventFlags::ET);
        fixture.swap().unwrap();
        for _ in 0..2 {
            assert_eq!(events(&instance, AT_ONCE), []);
            fixture.feed(b"clear");
            assert_eq!(events(&instance, LONG), [(EventFlags::IN, 5)]);
            assert_eq!(events(&instance, AT_ONCE), []);
        }
    }
}

#[test]
fn a_oneshot_registration_stays_armed_or_disarmed() {
    for fixture in Fixture::all() {
        let (armed, disarmed) = (instance(), instance());
        send(&fixture.peer, b"x", SendFlags::NOSIGNAL).unwrap();
        watch(&disarmed, &fixture.socket, 6, EventFlags::IN | EventFlags::ONESHOT);
        assert_eq!(events(&disarmed, LONG), [(EventFlags::IN, 6)]);
        fixture.take();
        watch(&armed, &fixture.socket, 7, EventFlags::IN | EventFlags::ONESHOT);
        fixture.swap().unwrap();
        fixture.feed(b"clear");
        assert_eq!(events(&armed, LONG), [(EventFlags::IN, 7)]);
        assert_eq!(events(&armed, AT_ONCE), []);
        assert_eq!(events(&disarmed, AT_ONCE), []);
        // The program arms it again, which needs the entry to be there.
        let arm = EventFlags::IN | EventFlags::ONESHOT;
        epoll::modify(&disarmed, &fixture.socket, EventData::new_u64(8), arm).unwrap();
        assert_eq!(events(&disarmed, LONG), [(EventFlags::IN, 8)]);
    }
}

#[test]
fn several_instances_and_interests_move() {
    for fixture in Fixture::all() {
        let (first, second) = (instance(), instance());
        let first_again = dup(&first).unwrap();
        let again = dup(&fixture.socket).unwrap();
        watch(&first, &fixture.socket, 1, EventFlags::IN);
        watch(&first, &again, 2, EventFlags::OUT | EventFlags::ONESHOT);
        watch(&second, &fixture.socket, 3, EventFlags::RDHUP);
        fixture.swap().unwrap();
        assert_eq!(events(&first_again, LONG), [(EventFlags::OUT, 2)]);
        assert_eq!(events(&second, AT_ONCE), []);
        fixture.feed(b"clear");
        assert_eq!(events(&first, LONG), [(EventFlags::IN, 1)]);
        shutdown(&fixture.pair.library, Shutdown::Write).unwrap();
        assert_eq!(events(&second, LONG), [(EventFlags::RDHUP, 3)]);
    }
}

#[test]
fn nested_and_exclusive_registrations_move() {
    for fixture in Fixture::all() {
        let (outer, inner) = (instance(), instance());
        watch(&inner, &fixture.socket, 1, EventFlags::IN | EventFlags::EXCLUSIVE);
        watch(&outer, &inner, 2, EventFlags::IN);
        fixture.swap().unwrap();
        assert_eq!(events(&outer, AT_ONCE), []);
        fixture.feed(b"clear");
        assert_eq!(events(&outer, LONG), [(EventFlags::IN, 2)]);
        assert_eq!(events(&inner, LONG), [(EventFlags::IN, 1)]);
        let moved =
            registrations_of(inner.as_raw_fd(), Identity::of(fixture.socket.as_fd()).unwrap());
        assert_ne!(moved.unwrap()[0].events & libc::EPOLLEXCLUSIVE as u32, 0);
    }
}

#[test]
fn a_registration_that_outlived_its_number_moves() {
    for fixture in Fixture::all() {
        let instance = instance();
        let gone = fcntl_dupfd_cloexec(&fixture.socket, 800).unwrap();
        watch(&instance, &gone, 4, EventFlags::IN);
        drop(gone);
        fixture.swap().unwrap();
        send(&fixture.peer, b"record", SendFlags::NOSIGNAL).unwrap();
        ready(fixture.known.as_fd(), PollFlags::IN, LONG);
        assert_eq!(events(&instance, AT_ONCE), []);
        fixture.feed(b"clear");
        assert_eq!(events(&instance, LONG), [(EventFlags::IN, 4)]);
    }
}

#[test]
fn a_registration_that_cannot_be_moved_changes_nothing() {
    for fixture in Fixture::all() {
        let (good, bad) = (instance(), instance());
        let mut reused = fcntl_dupfd_cloexec(&fixture.socket, 850).unwrap();
        watch(&good, &fixture.socket, 1, EventFlags::IN);
        watch(&bad, &reused, 2, EventFlags::IN);
        rustix::io::dup2(&fixture.peer, &mut reused).unwrap();
        assert_eq!(fixture.swap().unwrap_err().code, Code::STATE);
        assert!(!fixture.is_swapped(&fixture.socket));
        send(&fixture.peer, b"x", SendFlags::NOSIGNAL).unwrap();
        assert_eq!(events(&good, LONG), [(EventFlags::IN, 1)]);
    }
}

#[test]
fn a_blocked_reader_is_refused_and_nothing_changed() {
    for fixture in Fixture::all() {
        let again = dup(&fixture.socket).unwrap();
        let number = again.as_raw_fd();
        std::thread::scope(|scope| {
            let reader = scope.spawn(|| recv(&again, &mut [0; 8], RecvFlags::empty()));
            let blocked =
                eventually(|| blocked_thread::others(&[number]) == Ok(Others::BlockedOn(number)));
            let refused = fixture.swap();
            // First of all let the reader go, which the test would wait for if it failed.
            send(&fixture.peer, b"x", SendFlags::NOSIGNAL).unwrap();
            assert!(blocked);
            let error = refused.unwrap_err();
            assert_eq!(reader.join().unwrap().unwrap().0, 1);
            assert_eq!(error.code, Code::STATE);
            assert_eq!(
                error.text,
                format!(
                    "another thread is waiting in a read or write call on descriptor {number}; \
                     let it return before the upgrade"
                )
            );
        });
        assert!(!fixture.is_swapped(&fixture.socket) && !fixture.is_swapped(&again));
        fixture.swap().unwrap();
        assert!(fixture.is_swapped(&fixture.socket));
    }
}

#[test]
fn a_number_that_became_something_else_is_refused() {
    for mut fixture in Fixture::all() {
        let again = dup(&fixture.socket).unwrap();
        rustix::io::dup2(&fixture.peer, &mut fixture.socket).unwrap();
        let error = fixture.swap().unwrap_err();
        let number = fixture.socket.as_raw_fd();
        assert_eq!(
            error.text,
            format!("descriptor {number} was closed or replaced while its upgrade began")
        );
        assert!(!fixture.is_swapped(&fixture.socket) && !fixture.is_swapped(&again));
    }
}

#[test]
fn nothing_is_left_open() {
    // A child has no other thread that opens and closes.
    assert!(in_child(|| {
        let count = || std::fs::read_dir("/proc/self/fd").unwrap().count();
        let before = count();
        let (instance, none) = (instance(), count());
        for fixture in Fixture::all() {
            let again = dup(&fixture.socket).unwrap();
            let gone = fcntl_dupfd_cloexec(&fixture.socket, 700).unwrap();
            watch(&instance, &fixture.socket, 1, EventFlags::IN);
            watch(&instance, &gone, 1, EventFlags::IN);
            drop(gone);
            let held = count();
            fixture.swap().unwrap();
            if count() != held || !fixture.is_swapped(&again) {
                return false;
            }
        }
        let after = count();
        drop(instance);
        after == none && count() == before
    }));
}

#[test]
fn of_a_sole_descriptor_nothing_else_is_touched() {
    for fixture in Fixture::all() {
        let again = dup(&fixture.socket).unwrap();
        let instance = instance();
        watch(&instance, &fixture.socket, 1, EventFlags::IN);
        fcntl_setfd(&fixture.socket, FdFlags::empty()).unwrap();
        assert_eq!(fixture.swap_sole().unwrap().numbers, [fixture.socket.as_raw_fd()]);
        assert!(fixture.is_swapped(&fixture.socket) && !fixture.is_swapped(&again));
        assert_eq!(fcntl_getfd(&fixture.socket).unwrap(), FdFlags::empty());
        let left = registrations_of(instance.as_raw_fd(), fixture.real).unwrap();
        assert_eq!(left.len(), 1, "a broken promise");

        send(&fixture.socket, b"secret", SendFlags::NOSIGNAL).unwrap();
        ready(fixture.pair.library.as_fd(), PollFlags::IN, LONG);
        let leaked = recv(&fixture.peer, &mut [0; 64], RecvFlags::DONTWAIT);
        assert_eq!(leaked.unwrap_err(), Errno::AGAIN);
    }
}

#[test]
fn a_sole_descriptor_that_became_something_else_is_refused() {
    for mut fixture in Fixture::all() {
        let again = dup(&fixture.socket).unwrap();
        rustix::io::dup2(&fixture.peer, &mut fixture.socket).unwrap();
        let error = fixture.swap_sole().unwrap_err();
        let number = fixture.socket.as_raw_fd();
        assert_eq!(
            error.text,
            format!("descriptor {number} was closed or replaced while its upgrade began")
        );
        assert!(!fixture.is_swapped(&fixture.socket) && !fixture.is_swapped(&again));
    }
}

#[test]
fn alone_everything_is_found_in_one_walk() {
    // The tests' other threads are not in a child.
    assert!(in_child(|| {
        Fixture::all().into_iter().all(|fixture| {
            let again = dup(&fixture.socket).unwrap();
            let instance = instance();
            watch(&instance, &again, 3, EventFlags::IN);
            let alone = thread::is_certainly_alone();
            fixture.swap().unwrap();
            fixture.feed(b"clear");
            alone
                && fixture.is_swapped(&fixture.socket)
                && fixture.is_swapped(&again)
                && events(&instance, LONG) == [(EventFlags::IN, 3)]
        })
    }));
}
