//! Closing the program's end of a TCP pair in the program's place, where a close would take away what
//! it has sent.
//!
//! The kernel resets a TCP socket that is closed with unread input, or that gets some afterwards. What
//! has not come to the library's end by then is lost.

use std::os::fd::{AsFd, RawFd};
use std::time::{Duration, Instant};

use rustix::net::{RecvFlags, Shutdown, recv, shutdown, sockopt};

use super::closing::UNDELIVERED_LIMIT;
use crate::panic;
use crate::sys::identity::{Identity, duplicate_if};
use crate::sys::private_fd::PrivateFd;
use crate::sys::socket_options::unsent_bytes;
use crate::sys::thread::spawn_without_signals;

/// Wakes who waits for input, and holds the end open until the library has what was sent. False: it
/// can as well be closed at once, or there is no descriptor or no thread left.
pub fn close_later(number: RawFd, identity: Identity) -> bool {
    let Some(end) = duplicate_if(number, identity) else { return false };
    let is_tcp = sockopt::socket_domain(&end) != Ok(rustix::net::AddressFamily::UNIX);
    if !is_tcp || unsent_bytes(end.as_fd()).unwrap_or(0) == 0 {
        return false;
    }
    let Ok(end) = PrivateFd::adopt(end) else { return false };
    // Not for writing yet: from then on input would reset it, too.
    let _ = shutdown(&end, Shutdown::Read);
    spawn_without_signals(move || {
        panic::catch(|| hold(&end));
    })
    .is_ok()
}

fn hold(end: &PrivateFd) {
    let mut unsent = u32::MAX;
    let mut give_up = Instant::now() + UNDELIVERED_LIMIT;
    let mut pause = SHORTEST;
    loop {
        let has_dropped = drop_input(end);
        let now_unsent = unsent_bytes(end.as_fd()).unwrap_or(0);
        if now_unsent == 0 || Instant::now() >= give_up {
            return;
        }
        if now_unsent < unsent {
            unsent = now_unsent;
            give_up = Instant::now() + UNDELIVERED_LIMIT;
        }
        // There is no event for an empty queue.
        pause = if has_dropped { SHORTEST } else { (pause * 2).min(LONGEST) };
        std::thread::sleep(pause);
    }
}

fn drop_input(end: &PrivateFd) -> bool {
    let mut scratch = [0; 16 * 1024];
    let mut has_dropped = false;
    while matches!(recv(end, &mut scratch, RecvFlags::DONTWAIT), Ok((1.., _))) {
        has_dropped = true;
    }
    has_dropped
}

const SHORTEST: Duration = Duration::from_millis(1);
const LONGEST: Duration = Duration::from_millis(100);
