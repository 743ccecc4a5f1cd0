//! What is left of a connection after a failed upgrade: nothing.

use std::os::fd::{AsRawFd, FromRawFd, OwnedFd, RawFd};

use super::plain_send;

/// What a program that did not look at the result sends next.
pub const PASSWORD: &[u8] = b"PASS hunter2\r\n";

/// Every send fails, and no recv gives a byte.
#[track_caller]
pub fn assert_dead(number: RawFd, what: &str) {
    for _ in 0..2 {
        for _ in 0..3 {
            let sent = plain_send(number, PASSWORD);
            assert!(matches!(sent, Err(libc::EPIPE | libc::ECONNRESET)), "{what}: sent {sent:?}");
        }
        for _ in 0..2 {
            let mut byte = 0_u8;
            let received = receive_at_once(number, &mut byte);
            assert!(!is_alive(received), "{what}: received {received}");
        }
    }
}

/// A child process, forked while other threads run, that tries a descriptor when it is told to.
pub struct Forked {
    pid: i32,
    go: OwnedFd,
    report: OwnedFd,
}

impl Forked {
    pub fn with(number: RawFd) -> Self {
        let (start, go) = pipe();
        let (report, results) = pipe();
        // The child does nothing but system calls: other threads may hold any lock.
        let pid = unsafe { libc::fork() };
        if pid == 0 {
            keep_only([number, start.as_raw_fd(), results.as_raw_fd()]);
            try_when_told(number, start.as_raw_fd(), results.as_raw_fd());
        }
        assert!(pid > 0);
        Self { pid, go, report }
    }

    /// Whether the connection is as dead there as here.
    #[track_caller]
    pub fn assert_dead(self, what: &str) {
        assert_eq!(unsafe { libc::write(self.go.as_raw_fd(), [0].as_ptr().cast(), 1) }, 1);
        let mut results = [0_i32; TRIES];
        let size = size_of_val(&results);
        let read =
            unsafe { libc::read(self.report.as_raw_fd(), results.as_mut_ptr().cast(), size) };
        assert_eq!(usize::try_from(read), Ok(size), "{what}: no report from the child");
        for (index, result) in results.into_iter().enumerate() {
            match index % 2 {
                0 => assert!(
                    result == -libc::EPIPE || result == -libc::ECONNRESET,
                    "{what}: the child sent {result}"
                ),
                _ => assert!(!is_alive(result), "{what}: the child received {result}"),
            }
        }
    }
}

impl Drop for Forked {
    fn drop(&mut self) {
        unsafe {
            libc::kill(self.pid, libc::SIGKILL);
            libc::waitpid(self.pid, std::ptr::null_mut(), 0);
        }
    }
}

/// Alternately sends and receives.
const TRIES: usize = 8;

fn try_when_told(number: RawFd, start: RawFd, results: RawFd) -> ! {
    unsafe {
        let mut byte = 0_u8;
        if libc::read(start, (&raw mut byte).cast(), 1) != 1 {
            libc::_exit(1);
        }
        let mut outcomes = [0_i32; TRIES];
        let mut index = 0;
        while index < TRIES {
            outcomes[index] = if index % 2 == 0 {
                let flags = libc::MSG_NOSIGNAL | libc::MSG_DONTWAIT;
                outcome(libc::send(number, PASSWORD.as_ptr().cast(), PASSWORD.len(), flags))
            } else {
                receive_at_once(number, &mut byte)
            };
            index += 1;
        }
        libc::write(results, outcomes.as_ptr().cast(), size_of::<[i32; TRIES]>());
        libc::_exit(0)
    }
}

/// The child must not keep the connections of other tests open.
fn keep_only(mut kept: [RawFd; 3]) {
    // A sort by hand: nothing may allocate or panic here.
    for (a, b) in [(0, 1), (1, 2), (0, 1)] {
        if kept[a] > kept[b] {
            kept.swap(a, b);
        }
    }
    let [a, b, c] = kept.map(|number| number as libc::c_uint);
    for (first, last) in [(3, a - 1), (a + 1, b - 1), (b + 1, c - 1), (c + 1, u32::MAX)] {
        if first <= last {
            unsafe { libc::syscall(libc::SYS_close_range, first, last, 0) };
        }
    }
}

fn receive_at_once(number: RawFd, byte: &mut u8) -> i32 {
    outcome(unsafe { libc::recv(number, (byte as *mut u8).cast(), 1, libc::MSG_DONTWAIT) })
}

/// A count, or a negative errno.
fn outcome(result: isize) -> i32 {
    if result < 0 { unsafe { -*libc::__errno_location() } } else { result as i32 }
}

/// A byte came, or one might still come.
fn is_alive(received: i32) -> bool {
    received > 0 || received == -libc::EAGAIN
}

fn pipe() -> (OwnedFd, OwnedFd) {
    let mut ends = [0; 2];
    assert_eq!(unsafe { libc::pipe2(ends.as_mut_ptr(), libc::O_CLOEXEC) }, 0);
    unsafe { (OwnedFd::from_raw_fd(ends[0]), OwnedFd::from_raw_fd(ends[1])) }
}
