//! Non-blocking transfers and waiting on a socket, whatever its own `O_NONBLOCK` says.

use std::os::fd::BorrowedFd;
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;
use rustix::net::{RecvFlags, SendFlags};

use super::deadline::Deadline;
use crate::error::{Code, Error, Result};

/// What a transfer that may not wait came to.
#[derive(Debug, PartialEq, Eq)]
pub enum Transfer {
    Bytes(usize),
    WouldBlock,
    /// The peer will send no more (for a receive).
    End,
}

pub fn receive(fd: BorrowedFd<'_>, buffer: &mut [u8]) -> Result<Transfer> {
    loop {
        return match rustix::net::recv(fd, &mut *buffer, RecvFlags::DONTWAIT) {
            Ok((0, _)) => Ok(Transfer::End),
            Ok((count, _)) => Ok(Transfer::Bytes(count)),
            Err(Errno::INTR) => continue,
            Err(Errno::AGAIN) => Ok(Transfer::WouldBlock),
            Err(errno) => Err(Error::system("receive from the peer", errno.raw_os_error())),
        };
    }
}

pub fn send(fd: BorrowedFd<'_>, bytes: &[u8]) -> Result<Transfer> {
    send_with(fd, bytes, SendFlags::empty())
}

/// The same for what a shutdown follows: TCP sends both in one segment. What the kernel keeps back
/// for that leaves with the shutdown or the last close, and in any case soon.
pub fn send_before_end(fd: BorrowedFd<'_>, bytes: &[u8]) -> Result<Transfer> {
    send_with(fd, bytes, SendFlags::MORE)
}

fn send_with(fd: BorrowedFd<'_>, bytes: &[u8], flags: SendFlags) -> Result<Transfer> {
    loop {
        let flags = flags | SendFlags::DONTWAIT | SendFlags::NOSIGNAL;
        return match rustix::net::send(fd, bytes, flags) {
            Ok(count) => Ok(Transfer::Bytes(count)),
            Err(Errno::INTR) => continue,
            Err(Errno::AGAIN) => Ok(Transfer::WouldBlock),
            Err(errno) => Err(Error::system("send to the peer", errno.raw_os_error())),
        };
    }
}

/// How a call behaves, from `msg_flags` and the descriptor's own settings.
#[derive(Clone, Copy, Debug, Default)]
pub struct CallOptions {
    pub dont_wait: bool,
    pub peek: bool,
    pub wait_all: bool,
}

/// Sends on the program's own descriptor, as blocking as that is.
pub fn send_plain(fd: BorrowedFd<'_>, bytes: &[u8], dont_wait: bool) -> Result<usize> {
    let mut flags = SendFlags::NOSIGNAL;
    flags.set(SendFlags::DONTWAIT, dont_wait);
    loop {
        match rustix::net::send(fd, bytes, flags) {
            Err(Errno::INTR) => {}
            outcome => return outcome.map_err(|errno| plain(errno, Code::WANT_WRITE, "send")),
        }
    }
}

/// Receives on the program's own descriptor, as blocking as that is.
pub fn receive_plain(fd: BorrowedFd<'_>, buffer: &mut [u8], options: CallOptions) -> Result<usize> {
    let mut flags = RecvFlags::empty();
    flags.set(RecvFlags::DONTWAIT, options.dont_wait);
    flags.set(RecvFlags::PEEK, options.peek);
    flags.set(RecvFlags::WAITALL, options.wait_all);
    loop {
        match rustix::net::recv(fd, &mut *buffer, flags) {
            Err(Errno::INTR) => {}
            Ok((count, _)) => return Ok(count),
            Err(errno) => return Err(plain(errno, Code::WANT_READ, "receive")),
        }
    }
}

/// Whether the descriptor's `O_NONBLOCK` is set.
pub fn is_non_blocking(fd: BorrowedFd<'_>) -> bool {
    rustix::fs::fcntl_getfl(fd).is_ok_and(|flags| flags.contains(rustix::fs::OFlags::NONBLOCK))
}

fn plain(errno: Errno, would_block: Code, what: &str) -> Error {
    match errno {
        Errno::AGAIN => Error {
            sys_errno: libc::EAGAIN,
            ..Error::new(would_block, format!("would block: cannot {what} now"))
        },
        errno => Error::system(what, errno.raw_os_error()),
    }
}

/// What to wait for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Interest {
    pub read: bool,
    pub write: bool,
}

/// Why a wait ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wake {
    /// The transport is ready, or broken: the next transfer tells.
    Ready,
    /// The watched descriptor hung up, or the wake-up descriptor was written to.
    Cancelled,
    TimedOut,
}

/// Waits for the transport, for a hang-up of `cancel`, or for the deadline. Signals do not end it.
///
/// To be called when a transfer would have blocked: once the deadline is over it answers that,
/// also if the transport is ready by now. Otherwise a peer that trickles could go on for ever.
pub fn wait(
    fd: BorrowedFd<'_>,
    interest: Interest,
    cancel: Option<BorrowedFd<'_>>,
    deadline: &Deadline,
) -> Result<Wake> {
    wait_for(fd, interest, cancel.map(|cancel| (cancel, PollFlags::empty())), deadline)
}

/// The same, but `wake_up` ends it by becoming readable, which is undone.
pub fn wait_or_wake(
    fd: BorrowedFd<'_>,
    interest: Interest,
    wake_up: Option<BorrowedFd<'_>>,
    deadline: &Deadline,
) -> Result<Wake> {
    let wake = wait_for(fd, interest, wake_up.map(|fd| (fd, PollFlags::IN)), deadline)?;
    if let (Wake::Cancelled, Some(wake_up)) = (wake, wake_up) {
        // Who cannot read it finds it readable at the next call: no harm done.
        let _ = rustix::io::read(wake_up, &mut [0; 8]);
    }
    Ok(wake)
}

fn wait_for(
    fd: BorrowedFd<'_>,
    interest: Interest,
    watched: Option<(BorrowedFd<'_>, PollFlags)>,
    deadline: &Deadline,
) -> Result<Wake> {
    let events = events_of(interest);
    let (other, other_events) = watched.unwrap_or((fd, PollFlags::empty()));
    let count = if watched.is_some() { 2 } else { 1 };
    loop {
        let remaining = deadline.remaining();
        if remaining == Some(Duration::ZERO) {
            return Ok(Wake::TimedOut);
        }
        let mut entries =
            [PollFd::from_borrowed_fd(fd, events), PollFd::from_borrowed_fd(other, other_events)];
        match poll(&mut entries[..count], remaining.map(timespec).as_ref()) {
            Ok(_) | Err(Errno::INTR) => {}
            Err(errno) => return Err(Error::system("wait for the peer", errno.raw_os_error())),
        };
        let wakes = other_events | PollFlags::HUP | PollFlags::ERR;
        if watched.is_some() && entries[1].revents().intersects(wakes) {
            return Ok(Wake::Cancelled);
        }
        if !entries[0].revents().is_empty() {
            return Ok(Wake::Ready);
        }
    }
}

/// Whether the other end has gone, as far as is known without waiting.
pub fn has_hung_up(fd: BorrowedFd<'_>) -> bool {
    let mut entry = [PollFd::from_borrowed_fd(fd, PollFlags::empty())];
    let polled = poll(&mut entry, Some(&timespec(Duration::ZERO)));
    polled.is_ok() && entry[0].revents().intersects(PollFlags::HUP | PollFlags::ERR)
}

/// Waits for any of several transports, for at most `limit`.
pub fn wait_for_any(transports: &[(BorrowedFd<'_>, Interest)], limit: Duration) -> Result<()> {
    let mut entries: Vec<_> = transports
        .iter()
        .map(|(fd, interest)| PollFd::from_borrowed_fd(*fd, events_of(*interest)))
        .collect();
    match poll(&mut entries, Some(&timespec(limit))) {
        Ok(_) | Err(Errno::INTR) => Ok(()),
        Err(errno) => Err(Error::system("wait for the peers", errno.raw_os_error())),
    }
}

fn events_of(interest: Interest) -> PollFlags {
    let mut events = PollFlags::empty();
    events.set(PollFlags::IN, interest.read);
    events.set(PollFlags::OUT, interest.write);
    events
}

fn timespec(duration: Duration) -> Timespec {
    Timespec {
        tv_sec: duration.as_secs().try_into().unwrap_or(i64::MAX),
        tv_nsec: duration.subsec_nanos().into(),
    }
}

#[cfg(test)]
mod tests {
    use std::os::fd::AsFd;

    use super::*;
    use crate::sys::test_sockets::tcp_pair;

    #[test]
    fn a_wait_past_its_deadline_times_out_however_much_has_come() {
        let (socket, peer) = tcp_pair();
        send(peer.as_fd(), b"trickle").unwrap();
        let interest = Interest { read: true, write: false };
        let within = |limit| wait(socket.as_fd(), interest, None, &Deadline::after(limit));
        assert_eq!(within(None), Ok(Wake::Ready));
        assert_eq!(within(Some(Duration::ZERO)), Ok(Wake::TimedOut));
    }

    #[test]
    fn a_wake_up_ends_one_wait() {
        let (socket, _peer) = tcp_pair();
        let (wake_up, waker) = tcp_pair();
        send(waker.as_fd(), b"wake up!").unwrap();
        let interest = Interest { read: true, write: false };
        let wait = |limit| {
            wait_or_wake(socket.as_fd(), interest, Some(wake_up.as_fd()), &Deadline::after(limit))
        };
        assert_eq!(wait(None), Ok(Wake::Cancelled));
        assert_eq!(wait(Some(Duration::from_millis(1))), Ok(Wake::TimedOut));
    }
}
