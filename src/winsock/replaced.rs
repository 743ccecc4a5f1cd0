//! Waking whoever waits in `select` when a descriptor has got another file by an upgrade: the
//! kernel goes on watching the one that was there when the wait began.

use std::os::fd::{AsRawFd, RawFd};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use rustix::event::{EventfdFlags, eventfd};

use crate::sys::private_fd::PrivateFd;
use crate::sys::process::{self, PerProcess};

/// Becomes readable at the next upgrade, and stays so.
pub struct Signal(PrivateFd);

/// What to watch beside the sockets. `None`: there is no descriptor left for it.
pub fn next() -> Option<Arc<Signal>> {
    process::watch_forks();
    let mut next = lock(NEXT.get_or_init(Mutex::default));
    if next.is_none() {
        let fd = eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK).ok()?;
        *next = Some(Arc::new(Signal(PrivateFd::adopt(fd).ok()?)));
    }
    next.clone()
}

/// A descriptor may refer to something else now.
pub fn announce() {
    let signal = NEXT.get().and_then(|next| lock(next).take());
    if let Some(signal) = signal {
        // It cannot be full: this is the only time.
        let _ = rustix::io::write(&signal.0, &1_u64.to_ne_bytes());
    }
}

impl Signal {
    pub fn number(&self) -> RawFd {
        self.0.as_raw_fd()
    }
}

type Next = Mutex<Option<Arc<Signal>>>;

static NEXT: PerProcess<Next> = PerProcess::new();

fn lock(next: &Next) -> MutexGuard<'_, Option<Arc<Signal>>> {
    next.lock().unwrap_or_else(PoisonError::into_inner)
}
