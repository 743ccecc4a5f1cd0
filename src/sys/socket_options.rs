//! Socket options that rustix lacks, and what the program had set on its socket: its new
//! descriptor has to have it too.

use std::mem::size_of;
use std::os::fd::{AsRawFd, BorrowedFd, RawFd};

use libc::{c_int, c_void, socklen_t};
use rustix::fs::{OFlags, fcntl_getfl, fcntl_setfl};
use rustix::net::sockopt::{self, Timeout};

use super::failed;
use super::identity::last_errno;
use crate::error::{Error, Result};

/// Gives the program's end of the inner pair what was set on its socket: O_NONBLOCK, timeouts,
/// linger, keep-alive, inline urgent data, what holds bytes back, who is signalled, what it may ask
/// for again, and buffer sizes only if the program had chosen them. FD_CLOEXEC belongs to each
/// number and is kept by the swap.
pub fn carry_over(from: BorrowedFd<'_>, to: BorrowedFd<'_>) -> Result<()> {
    carry_socket_options(from, to).map_err(failed("carry the socket's options over"))?;
    carry_buffer_sizes(from, to);
    carry_if_known(from, to, HOLDING.map(|(level, option, _)| (level, option)));
    carry_if_known(from, to, ANSWERS);
    carry_signals(from, to)?;
    let carried = OFlags::NONBLOCK | ASYNC;
    let flags = fcntl_getfl(to).and_then(|own| {
        fcntl_setfl(to, own.difference(carried) | fcntl_getfl(from)?.intersection(carried))
    });
    flags.map_err(failed("carry O_NONBLOCK over"))
}

/// Undoes on the real connection what the program had set to have the kernel wait for more bytes:
/// the library's own transfers would wait, too. What is corked leaves now.
pub fn hold_nothing_back(fd: BorrowedFd<'_>) {
    // The library never peeks at it.
    for (level, option, neutral) in HOLDING.into_iter().filter(|one| one.1 != libc::SO_PEEK_OFF) {
        // Not known to this kernel or kind of socket: nothing to undo.
        let _ = set(fd, level, option, &neutral);
    }
}

/// Has SIGIO name `number`, which `fd` is open under by now: the kernel reports the number under
/// which O_ASYNC was set. Does nothing without O_ASYNC.
pub fn signal_as(number: RawFd, fd: BorrowedFd<'_>) -> Result<()> {
    let flags = fcntl_getfl(fd).map_err(failed("read the status flags"))?;
    if !flags.contains(ASYNC) {
        return Ok(());
    }
    for flags in [flags.difference(ASYNC), flags] {
        // The kernel takes int; the flags came from it.
        fcntl(number, libc::F_SETFL, flags.bits() as c_int).map_err(failed("set O_ASYNC"))?;
    }
    Ok(())
}

/// No signal comes from this socket any more: neither SIGIO nor SIGURG.
pub fn stop_signals(fd: BorrowedFd<'_>) -> Result<()> {
    let flags = fcntl_getfl(fd).and_then(|flags| fcntl_setfl(fd, flags.difference(ASYNC)));
    flags.map_err(failed("clear O_ASYNC"))?;
    fcntl(fd.as_raw_fd(), libc::F_SETOWN, 0).map_err(failed("clear the socket's owner"))
}

/// Once this end of a TCP connection is closed, the peer is reset as soon as it has everything.
///
/// So the peer sees a hang-up where otherwise it could not tell a close from a half-close. A
/// half-close stays one, and no TIME_WAIT is left behind. (TCP_LINGER2 = -1.)
pub fn set_no_fin_wait(fd: BorrowedFd<'_>) -> Result<()> {
    set(fd, libc::IPPROTO_TCP, libc::TCP_LINGER2, &(-1 as c_int)).map_err(failed("set TCP_LINGER2"))
}

/// Has a connected TCP socket take more than a new one does, without waiting for the kernel to find
/// out that it is read fast; that goes on, for no size has been chosen. (A low-water mark makes room
/// for what is awaited, and the room stays.) At most half of what net.ipv4.tcp_rmem allows.
pub fn widen_receive_window(fd: BorrowedFd<'_>) -> Result<()> {
    set(fd, libc::SOL_SOCKET, libc::SO_RCVLOWAT, &WIDE_WINDOW)
        .and_then(|()| set(fd, libc::SOL_SOCKET, libc::SO_RCVLOWAT, &1))
        .map_err(failed("widen the receive window"))
}

/// Segments of the size that a network has, for a socket that is not connected yet.
pub fn set_usual_segments(fd: BorrowedFd<'_>) -> Result<()> {
    set(fd, libc::IPPROTO_TCP, libc::TCP_MAXSEG, &USUAL_SEGMENT).map_err(failed("set TCP_MAXSEG"))
}

/// Whether the program has chosen a receive buffer in which the window is smaller than loopback's
/// segments of 64 KiB: then only the persist timer sends, a piece every 200 ms.
pub fn has_small_receive_buffer(fd: BorrowedFd<'_>) -> bool {
    let chosen = get(fd, libc::SOL_SOCKET, SO_BUF_LOCK).unwrap_or(0) & RCVBUF_LOCK != 0;
    chosen && get(fd, libc::SOL_SOCKET, libc::SO_RCVBUF).is_ok_and(|size| size < SMALL_BUFFER)
}

/// Closing the last descriptor of this connection resets it and throws away what was not sent.
pub fn set_abortive_close(fd: BorrowedFd<'_>) -> Result<()> {
    let linger = libc::linger { l_onoff: 1, l_linger: 0 };
    set(fd, libc::SOL_SOCKET, libc::SO_LINGER, &linger).map_err(failed("set SO_LINGER"))
}

/// How many bytes have been written to this TCP connection since it was made, whether they have
/// left or not. `None`: Linux before 4.19, or no TCP.
pub fn written_bytes(fd: BorrowedFd<'_>) -> Option<u64> {
    // struct tcp_info, which grows with the kernel; libc's is an old one. These offsets stay.
    const NOT_SENT: usize = 144;
    const SENT: usize = 200;
    const SENT_AGAIN: usize = 208;
    let mut info = [0_u8; SENT_AGAIN + 8];
    let mut size = info.len() as socklen_t;
    let into = info.as_mut_ptr().cast::<c_void>();
    // SAFETY: the kernel writes at most `size` bytes to `info`.
    let outcome = unsafe {
        libc::getsockopt(fd.as_raw_fd(), libc::IPPROTO_TCP, libc::TCP_INFO, into, &mut size)
    };
    if outcome != 0 || (size as usize) < info.len() {
        return None;
    }
    let word = |at: usize| info[at..].first_chunk().map(|bytes| u64::from_ne_bytes(*bytes));
    let not_sent = info[NOT_SENT..].first_chunk().map(|bytes| u32::from_ne_bytes(*bytes))?;
    Some(word(SENT)?.wrapping_sub(word(SENT_AGAIN)?).wrapping_add(not_sent.into()))
}

/// How much was sent that the peer's side has not acknowledged (TCP) or read (AF_UNIX) yet.
/// Nothing on a connection that is over, where the kernel goes on counting what it has dropped.
pub fn unsent_bytes(fd: BorrowedFd<'_>) -> Result<u32> {
    let count =
        count(fd, libc::TIOCOUTQ).map_err(failed("ask for the length of the send queue"))?;
    // The first byte of struct tcp_info is the state.
    let is_over = || {
        get(fd, libc::IPPROTO_TCP, libc::TCP_INFO)
            .is_ok_and(|info| info.to_ne_bytes()[0] == TCP_CLOSE)
    };
    Ok(if count > 0 && is_over() { 0 } else { count })
}

/// What closing the connection could destroy: what the peer's system has not acknowledged. An
/// AF_UNIX peer has been handed everything already.
pub fn endangered_bytes(fd: BorrowedFd<'_>) -> u32 {
    match sockopt::socket_domain(fd) {
        Ok(rustix::net::AddressFamily::UNIX) => 0,
        _ => unsent_bytes(fd).unwrap_or(0),
    }
}

/// How much can be read without waiting.
pub fn readable_bytes(fd: BorrowedFd<'_>) -> Result<u32> {
    count(fd, libc::FIONREAD).map_err(failed("ask for the length of the receive queue"))
}

fn carry_socket_options(from: BorrowedFd<'_>, to: BorrowedFd<'_>) -> rustix::io::Result<()> {
    for timeout in [Timeout::Recv, Timeout::Send] {
        sockopt::set_socket_timeout(to, timeout, sockopt::socket_timeout(from, timeout)?)?;
    }
    sockopt::set_socket_linger(to, sockopt::socket_linger(from)?)?;
    sockopt::set_socket_keepalive(to, sockopt::socket_keepalive(from)?)?;
    sockopt::set_socket_oobinline(to, sockopt::socket_oobinline(from)?)
}

/// Sizes are a matter of speed: what the kernel refuses or does not know (SO_BUF_LOCK came with
/// Linux 5.14) is left at its default.
fn carry_buffer_sizes(from: BorrowedFd<'_>, to: BorrowedFd<'_>) {
    let chosen = get(from, libc::SOL_SOCKET, SO_BUF_LOCK).unwrap_or(0);
    for (lock, option) in [(SNDBUF_LOCK, libc::SO_SNDBUF), (RCVBUF_LOCK, libc::SO_RCVBUF)] {
        if chosen & lock != 0
            && let Ok(size) = get(from, libc::SOL_SOCKET, option)
        {
            // The kernel doubles what is set and answers the double.
            let _ = set(to, libc::SOL_SOCKET, option, &(size / 2));
        }
    }
}

/// An option that the new socket does not know, or the kernel, is no matter.
fn carry_if_known<const N: usize>(
    from: BorrowedFd<'_>,
    to: BorrowedFd<'_>,
    options: [(c_int, c_int); N],
) {
    for (level, option) in options {
        if let Ok(value) = get(from, level, option)
            && get(to, level, option).is_ok_and(|own| own != value)
        {
            let _ = set(to, level, option, &value);
        }
    }
}

fn carry_signals(from: BorrowedFd<'_>, to: BorrowedFd<'_>) -> Result<()> {
    let mut owner = OwnerEx { kind: 0, id: 0 };
    // SAFETY: the kernel fills in `owner`, which outlives the call.
    if unsafe { libc::fcntl(from.as_raw_fd(), F_GETOWN_EX, &mut owner) } < 0 {
        return Err(Error::system("ask for the socket's owner", last_errno()));
    }
    // SAFETY: as above; the kernel only reads it.
    if owner.id != 0 && unsafe { libc::fcntl(to.as_raw_fd(), F_SETOWN_EX, &owner) } < 0 {
        match last_errno() {
            // The owner ended: nobody is signalled either way.
            libc::ESRCH => {}
            errno => return Err(Error::system("set the socket's owner", errno)),
        }
    }
    // SAFETY: plain integers.
    let signal = unsafe { libc::fcntl(from.as_raw_fd(), F_GETSIG) };
    if signal < 0 {
        return Err(Error::system("ask for the socket's signal", last_errno()));
    }
    fcntl(to.as_raw_fd(), F_SETSIG, signal).map_err(failed("set the socket's signal"))
}

fn fcntl(number: RawFd, command: c_int, argument: c_int) -> rustix::io::Result<()> {
    // SAFETY: plain integers.
    match unsafe { libc::fcntl(number, command, argument) } {
        -1 => Err(rustix::io::Errno::from_raw_os_error(last_errno())),
        _ => Ok(()),
    }
}

fn count(fd: BorrowedFd<'_>, request: libc::Ioctl) -> rustix::io::Result<u32> {
    let mut count: c_int = 0;
    // SAFETY: both requests write one int.
    match unsafe { libc::ioctl(fd.as_raw_fd(), request, &mut count) } {
        -1 => Err(rustix::io::Errno::from_raw_os_error(last_errno())),
        _ => Ok(count.unsigned_abs()),
    }
}

/// An option that is an int.
fn get(fd: BorrowedFd<'_>, level: c_int, option: c_int) -> rustix::io::Result<c_int> {
    let mut value: c_int = 0;
    let mut size = size_of::<c_int>() as socklen_t;
    let into = (&raw mut value).cast::<c_void>();
    // SAFETY: the kernel writes at most `size` bytes to `value`.
    match unsafe { libc::getsockopt(fd.as_raw_fd(), level, option, into, &mut size) } {
        0 => Ok(value),
        _ => Err(rustix::io::Errno::from_raw_os_error(last_errno())),
    }
}

fn set<T>(fd: BorrowedFd<'_>, level: c_int, option: c_int, value: &T) -> rustix::io::Result<()> {
    let size = size_of::<T>() as socklen_t;
    let from = (&raw const *value).cast::<c_void>();
    // SAFETY: the kernel reads at most `size` bytes of `value`, and refuses a wrong size.
    match unsafe { libc::setsockopt(fd.as_raw_fd(), level, option, from, size) } {
        0 => Ok(()),
        _ => Err(rustix::io::Errno::from_raw_os_error(last_errno())),
    }
}

/// `struct f_owner_ex`, which libc lacks, as the four commands and the lock bits below.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct OwnerEx {
    kind: c_int,
    id: libc::pid_t,
}

const F_SETSIG: c_int = 10;
const F_GETSIG: c_int = 11;
const F_SETOWN_EX: c_int = 15;
const F_GETOWN_EX: c_int = 16;

/// Twice what is asked for, as the kernel counts; about half of it is window.
const SMALL_BUFFER: c_int = 256 * 1024;

const WIDE_WINDOW: c_int = 1024 * 1024;

/// Ethernet's, with time stamps.
const USUAL_SEGMENT: c_int = 1448;

/// Level, option, and the value that holds nothing back.
const HOLDING: [(c_int, c_int, c_int); 3] = [
    (libc::SOL_SOCKET, libc::SO_RCVLOWAT, 1),
    (libc::SOL_SOCKET, libc::SO_PEEK_OFF, -1),
    (libc::IPPROTO_TCP, libc::TCP_CORK, 0),
];

const TCP_CLOSE: u8 = 7;

const SO_BUF_LOCK: c_int = 72;
const SNDBUF_LOCK: c_int = 1;
const RCVBUF_LOCK: c_int = 2;

/// What has its effect on the real connection, which keeps it; the program's end has it only to
/// answer what was set. A type of service sets the priority too, so that this comes last. Not TCP_USER_TIMEOUT: on the
/// inner pair it would count the time in which a slow peer lets the program wait.
const ANSWERS: [(c_int, c_int); 6] = [
    (libc::IPPROTO_IP, libc::IP_TOS),
    (libc::IPPROTO_IPV6, libc::IPV6_TCLASS),
    (libc::IPPROTO_TCP, libc::TCP_KEEPIDLE),
    (libc::IPPROTO_TCP, libc::TCP_KEEPINTVL),
    (libc::IPPROTO_TCP, libc::TCP_KEEPCNT),
    (libc::SOL_SOCKET, libc::SO_PRIORITY),
];

const ASYNC: OFlags = OFlags::from_bits_retain(libc::O_ASYNC as u32);

#[cfg(test)]
mod tests {
    use std::os::fd::{AsFd, OwnedFd};
    use std::time::Duration;

    use rustix::event::PollFlags;
    use rustix::net::{RecvFlags, SendFlags, Shutdown, recv, send, shutdown};

    use super::*;
    use crate::sys::test_sockets::{LONG, in_child, ready, tcp_pair, unix_pair};

    fn owner_of(fd: &OwnedFd) -> (OwnerEx, c_int) {
        let mut owner = OwnerEx { kind: -1, id: -1 };
        // SAFETY: as in carry_signals.
        let signal = unsafe {
            assert_eq!(libc::fcntl(fd.as_raw_fd(), F_GETOWN_EX, &mut owner), 0);
            libc::fcntl(fd.as_raw_fd(), F_GETSIG)
        };
        (owner, signal)
    }

    #[test]
    fn everything_set_is_carried_over() {
        for (to, _peer) in [tcp_pair(), unix_pair()] {
            let (from, _other) = tcp_pair();
            fcntl_setfl(&from, OFlags::NONBLOCK).unwrap();
            let receive = Some(Duration::from_millis(1500));
            sockopt::set_socket_timeout(&from, Timeout::Recv, receive).unwrap();
            sockopt::set_socket_timeout(&from, Timeout::Send, Some(Duration::from_secs(7)))
                .unwrap();
            sockopt::set_socket_linger(&from, Some(Duration::ZERO)).unwrap();
            sockopt::set_socket_keepalive(&from, true).unwrap();
            sockopt::set_socket_oobinline(&from, true).unwrap();
            sockopt::set_socket_send_buffer_size(&from, 30_000).unwrap();
            carry_over(from.as_fd(), to.as_fd()).unwrap();

            assert!(fcntl_getfl(&to).unwrap().contains(OFlags::NONBLOCK));
            assert_eq!(sockopt::socket_timeout(&to, Timeout::Recv).unwrap(), receive);
            let send = sockopt::socket_timeout(&to, Timeout::Send).unwrap();
            assert_eq!(send, Some(Duration::from_secs(7)));
            assert_eq!(sockopt::socket_linger(&to).unwrap(), Some(Duration::ZERO));
            assert!(sockopt::socket_keepalive(&to).unwrap());
            assert!(sockopt::socket_oobinline(&to).unwrap());
            assert_eq!(sockopt::socket_send_buffer_size(&to).unwrap(), 60_000);
            assert_eq!(get(to.as_fd(), libc::SOL_SOCKET, SO_BUF_LOCK).unwrap(), SNDBUF_LOCK);
        }
    }

    #[test]
    fn what_holds_bytes_back_moves_to_the_new_socket() {
        let all = |fd: &OwnedFd| HOLDING.map(|(level, option, _)| get(fd.as_fd(), level, option));
        let (from, _other) = tcp_pair();
        let (to, _peer) = tcp_pair();
        for (level, option, value) in
            [(libc::SOL_SOCKET, libc::SO_RCVLOWAT, 1000), (libc::IPPROTO_TCP, libc::TCP_CORK, 1)]
        {
            set(from.as_fd(), level, option, &value).unwrap();
        }
        let (set_before, neutral) = (all(&from), all(&to));
        carry_over(from.as_fd(), to.as_fd()).unwrap();
        hold_nothing_back(from.as_fd());
        assert_ne!(set_before, neutral);
        assert_eq!(all(&to), set_before);
        assert_eq!(all(&from), neutral);
    }

    #[test]
    fn what_was_set_on_the_connection_is_answered() {
        let values = [0x10, 0x20, 100, 20, 3, 4];
        let (from, _other) = tcp_pair();
        for ((level, option), value) in ANSWERS.into_iter().zip(values) {
            // The IPv6 option is for sockets of that family.
            assert_eq!(
                set(from.as_fd(), level, option, &value).is_ok(),
                level != libc::IPPROTO_IPV6
            );
        }
        let (to, _peer) = tcp_pair();
        carry_over(from.as_fd(), to.as_fd()).unwrap();
        for ((level, option), value) in ANSWERS.into_iter().zip(values) {
            let kept = get(to.as_fd(), level, option);
            assert_eq!(kept.is_ok_and(|kept| kept == value), level != libc::IPPROTO_IPV6);
        }
        let (to, _peer) = unix_pair();
        carry_over(from.as_fd(), to.as_fd()).unwrap();
        assert_eq!(get(to.as_fd(), libc::SOL_SOCKET, libc::SO_PRIORITY).unwrap(), 4);
    }

    #[test]
    fn defaults_stay_defaults() {
        let (from, _other) = tcp_pair();
        let (to, _peer) = tcp_pair();
        let receive = sockopt::socket_recv_buffer_size(&to).unwrap();
        fcntl_setfl(&to, OFlags::NONBLOCK).unwrap();
        sockopt::set_socket_linger(&to, Some(Duration::from_secs(3))).unwrap();
        sockopt::set_socket_keepalive(&to, true).unwrap();
        carry_over(from.as_fd(), to.as_fd()).unwrap();
        assert!(!fcntl_getfl(&to).unwrap().contains(OFlags::NONBLOCK));
        assert_eq!(sockopt::socket_timeout(&to, Timeout::Recv).unwrap(), None);
        assert_eq!(sockopt::socket_linger(&to).unwrap(), None);
        assert!(!sockopt::socket_keepalive(&to).unwrap());
        assert_eq!(sockopt::socket_recv_buffer_size(&to).unwrap(), receive);
        assert_eq!(get(to.as_fd(), libc::SOL_SOCKET, SO_BUF_LOCK).unwrap(), 0);
        assert_eq!(owner_of(&to), (OwnerEx { kind: 0, id: 0 }, 0));
    }

    #[test]
    fn owner_and_signal_move_and_the_old_socket_falls_silent() {
        let (from, _other) = tcp_pair();
        let (to, _peer) = tcp_pair();
        // SIGURG is ignored by default, so that nothing can hit the test process.
        let owner = OwnerEx { kind: 1, id: std::process::id() as libc::pid_t };
        // SAFETY: as in carry_signals.
        assert_eq!(unsafe { libc::fcntl(from.as_raw_fd(), F_SETOWN_EX, &owner) }, 0);
        fcntl(from.as_raw_fd(), F_SETSIG, libc::SIGURG).unwrap();
        fcntl_setfl(&from, ASYNC).unwrap();
        carry_over(from.as_fd(), to.as_fd()).unwrap();
        signal_as(to.as_raw_fd(), to.as_fd()).unwrap();
        stop_signals(from.as_fd()).unwrap();
        assert_eq!(owner_of(&to), (owner, libc::SIGURG));
        assert!(fcntl_getfl(&to).unwrap().contains(ASYNC));
        assert_eq!(owner_of(&from).0.id, 0);
        assert!(!fcntl_getfl(&from).unwrap().contains(ASYNC));
    }

    #[test]
    fn a_signal_names_the_new_number() {
        let (socket, peer) = unix_pair();
        assert!(in_child(|| {
            let signal = libc::SIGRTMIN();
            // SAFETY: plain system calls of a child of our own; the set and the times are local.
            unsafe {
                let mut set = std::mem::zeroed();
                libc::sigaddset(&mut set, signal);
                libc::sigprocmask(libc::SIG_BLOCK, &set, std::ptr::null_mut());
                libc::fcntl(socket.as_raw_fd(), libc::F_SETOWN, libc::getpid());
                libc::fcntl(socket.as_raw_fd(), F_SETSIG, signal);
                libc::fcntl(socket.as_raw_fd(), libc::F_SETFL, libc::O_ASYNC);
                let number = libc::dup(socket.as_raw_fd());
                if signal_as(number, socket.as_fd()).is_err() {
                    return false;
                }
                libc::write(peer.as_raw_fd(), c"x".as_ptr().cast(), 1);
                let mut info: libc::siginfo_t = std::mem::zeroed();
                let patience = libc::timespec { tv_sec: 20, tv_nsec: 0 };
                let caught = libc::sigtimedwait(&set, &mut info, &patience);
                // si_band is a long and follows three ints, aligned; si_fd follows it.
                let named = (&raw const info).cast::<u8>().add(24).cast::<c_int>().read();
                caught == signal && named == number
            }
        }));
    }

    #[test]
    fn counts_what_is_queued() {
        let (a, b) = unix_pair();
        assert_eq!(unsent_bytes(a.as_fd()).unwrap(), 0);
        send(&a, b"12345", SendFlags::NOSIGNAL).unwrap();
        assert_eq!(readable_bytes(b.as_fd()).unwrap(), 5);
        // For AF_UNIX this counts the memory that the queue takes up.
        assert!(unsent_bytes(a.as_fd()).unwrap() >= 5);
        recv(&b, &mut [0; 5], RecvFlags::empty()).unwrap();
        assert_eq!(readable_bytes(b.as_fd()).unwrap(), 0);
        assert_eq!(unsent_bytes(a.as_fd()).unwrap(), 0);
    }

    #[test]
    fn counts_what_was_written_whether_it_left_or_not() {
        let (a, b) = tcp_pair();
        assert_eq!(written_bytes(a.as_fd()), Some(0));
        fcntl_setfl(&a, OFlags::NONBLOCK).unwrap();
        let mut sent = 0;
        while let Ok(n) = send(&a, &[0; 65536], SendFlags::NOSIGNAL) {
            sent += n as u64;
            assert_eq!(written_bytes(a.as_fd()), Some(sent));
        }
        assert_eq!(written_bytes(b.as_fd()), Some(0));
        assert_eq!(written_bytes(unix_pair().0.as_fd()), None);
    }

    #[test]
    fn counts_what_tcp_could_not_deliver() {
        let (a, b) = tcp_pair();
        fcntl_setfl(&a, OFlags::NONBLOCK).unwrap();
        let mut sent = 0;
        while let Ok(n) = send(&a, &[0; 65536], SendFlags::NOSIGNAL) {
            sent += n as u32;
        }
        let arrived = readable_bytes(b.as_fd()).unwrap();
        let unsent = unsent_bytes(a.as_fd()).unwrap();
        assert!(unsent > 0 && arrived > 0 && unsent <= sent && arrived <= sent);
    }

    #[test]
    fn an_abortive_close_resets_the_peer() {
        let (a, b) = tcp_pair();
        set_abortive_close(a.as_fd()).unwrap();
        drop(a);
        assert!(ready(b.as_fd(), PollFlags::IN, LONG).contains(PollFlags::HUP));
        assert_eq!(recv(&b, &mut [0; 1], RecvFlags::empty()), Err(rustix::io::Errno::CONNRESET));
    }

    #[test]
    fn without_fin_wait_a_close_hangs_up_and_a_half_close_does_not() {
        let events = PollFlags::IN | PollFlags::RDHUP;
        let (a, b) = tcp_pair();
        set_no_fin_wait(a.as_fd()).unwrap();
        shutdown(&a, Shutdown::Write).unwrap();
        assert_eq!(ready(b.as_fd(), events, LONG), events);
        drop(a);
        let (a, b) = tcp_pair();
        set_no_fin_wait(a.as_fd()).unwrap();
        drop(a);
        assert!(ready(b.as_fd(), PollFlags::empty(), LONG).contains(PollFlags::HUP));
    }

    #[test]
    fn what_is_no_socket_is_an_error() {
        let (file, _write) = rustix::pipe::pipe().unwrap();
        let (to, _peer) = unix_pair();
        assert_eq!(carry_over(file.as_fd(), to.as_fd()).unwrap_err().sys_errno, libc::ENOTSOCK);
        assert_eq!(set_abortive_close(file.as_fd()).unwrap_err().sys_errno, libc::ENOTSOCK);
        assert!(set_no_fin_wait(to.as_fd()).is_err());
    }
}
