//! Waiting on several descriptors, whose numbers come from the program and may be anything.

use std::ffi::c_void;
use std::os::fd::RawFd;
use std::time::Duration;

use super::identity::last_errno;
use crate::error::{Error, Result};

/// Waits until one of them is ready, the time is over, or a signal came, and leaves the answers in
/// `revents`. An entry whose number is negative is passed over.
pub fn poll(entries: &mut [libc::pollfd], timeout: Option<Duration>) -> Result<()> {
    let limit = timeout.map(|timeout| libc::timespec {
        tv_sec: timeout.as_secs().try_into().unwrap_or(libc::time_t::MAX),
        tv_nsec: timeout.subsec_nanos() as libc::c_long,
    });
    let limit = limit.as_ref().map_or(std::ptr::null(), std::ptr::from_ref);
    let count = entries.len() as libc::nfds_t;
    // SAFETY: the kernel writes to the `count` entries alone; `limit` is NULL or lives up to here.
    let outcome = unsafe { libc::ppoll(entries.as_mut_ptr(), count, limit, std::ptr::null()) };
    match outcome {
        0.. => Ok(()),
        _ if last_errno() == libc::EINTR => {
            // The kernel has left the answers as they were.
            entries.iter_mut().for_each(|entry| entry.revents = 0);
            Ok(())
        }
        _ => Err(Error::system("wait for sockets", last_errno())),
    }
}

/// Whether this is a TCP socket that is closed and never was connected: its pending error is
/// that of a connect.
pub fn never_was_connected(number: RawFd) -> bool {
    // struct tcp_info: libc's is an old one, which ends before `ACKNOWLEDGED`.
    const STATE: usize = 0;
    const ROUND_TRIP: usize = 68;
    const ACKNOWLEDGED: usize = 120;
    const TCP_CLOSE: u8 = 7;
    let mut info = [0_u8; ACKNOWLEDGED + 8];
    let mut size = info.len() as libc::socklen_t;
    let into = info.as_mut_ptr().cast::<c_void>();
    // SAFETY: the kernel writes at most `size` bytes to `info`.
    let outcome =
        unsafe { libc::getsockopt(number, libc::IPPROTO_TCP, libc::TCP_INFO, into, &mut size) };
    // Whoever has been connected has had a segment acknowledged and a time measured.
    outcome == 0
        && size as usize == info.len()
        && info[STATE] == TCP_CLOSE
        && info[ROUND_TRIP..ROUND_TRIP + 4] == [0; 4]
        && info[ACKNOWLEDGED..] == [0; 8]
}
