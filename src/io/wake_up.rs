//! What wakes up a reader that waits for the peer.

use std::os::fd::{AsFd, BorrowedFd};
use std::sync::OnceLock;

use rustix::event::{EventfdFlags, eventfd};

use crate::sync::atomic::{AtomicBool, Ordering};
use crate::sys::private_fd::PrivateFd;

/// A descriptor to be waited for beside the peer, which is made when a reader waits for long the first
/// time: most connections never need it.
#[derive(Default)]
pub struct WakeUp {
    fd: OnceLock<PrivateFd>,
    /// A reader has waited without one, for there was none left.
    missing: AtomicBool,
}

impl WakeUp {
    pub fn is_there(&self) -> bool {
        self.fd.get().is_some()
    }

    /// The descriptor, and whether this call made it: what happened before could not wake anybody, so
    /// the reader looks around once more. Without one left it has to wait for the peer alone.
    pub fn get_or_make(&self) -> (Option<BorrowedFd<'_>>, bool) {
        let mut is_new = false;
        if !self.is_there() {
            let flags = EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK;
            let made = eventfd(0, flags).ok().and_then(|fd| PrivateFd::adopt(fd).ok());
            is_new = made.is_some_and(|fd| self.fd.set(fd).is_ok());
        }
        let fd = self.fd.get().map(PrivateFd::as_fd);
        if fd.is_none() {
            self.missing.store(true, Ordering::SeqCst);
        }
        (fd, is_new)
    }

    /// Wakes whoever waits now or next.
    pub fn signal(&self) {
        if let Some(fd) = self.fd.get() {
            // It can only fail by being readable already.
            let _ = rustix::io::write(fd, &1_u64.to_ne_bytes());
        }
    }

    /// Whether a reader may be waiting that [`Self::signal`] does not wake.
    pub fn is_missing(&self) -> bool {
        self.missing.load(Ordering::SeqCst) && !self.is_there()
    }
}
