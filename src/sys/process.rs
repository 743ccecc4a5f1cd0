//! What changes when the process forks or ends.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use super::private_fd;

/// How many forks lie between the process that first used the library and this one. A forked
/// child must not touch what other threads of its parent may have held locked, so everything
/// global is kept per epoch.
pub fn epoch() -> usize {
    EPOCH.load(Ordering::Acquire)
}

/// The largest [`epoch`] in which the library works.
pub(crate) const LAST_EPOCH: usize = 255;

/// One `T` for this process; a forked child gets a fresh one.
pub struct PerProcess<T> {
    values: [OnceLock<T>; LAST_EPOCH + 1],
}

impl<T> PerProcess<T> {
    pub const fn new() -> Self {
        Self { values: [const { OnceLock::new() }; LAST_EPOCH + 1] }
    }

    pub fn get_or_init(&self, make: impl FnOnce() -> T) -> &T {
        self.values[epoch().min(LAST_EPOCH)].get_or_init(make)
    }

    /// The value of this process if it has one already.
    pub fn get(&self) -> Option<&T> {
        self.of_epoch(epoch())
    }

    /// The value of this process (its own epoch) or of an ancestor, if it was made before the
    /// fork. Takes no lock.
    pub fn of_epoch(&self, epoch: usize) -> Option<&T> {
        self.values.get(epoch)?.get()
    }
}

impl<T> Default for PerProcess<T> {
    fn default() -> Self {
        Self::new()
    }
}

/// Makes sure that `epoch` grows in forked children and that the library's descriptors are closed
/// there. Calls after the first do nothing.
pub fn watch_forks() {
    // No lock and no OnceLock: a fork by another thread at this moment would leave it held.
    if !WATCHED.swap(true, Ordering::AcqRel) {
        // SAFETY: `child_after_fork` is an `extern "C"` function without arguments that lives as
        // long as the process (the library is linked with -z nodelete).
        unsafe { libc::pthread_atfork(None, None, Some(child_after_fork)) };
    }
}

/// Whether the environment may come from somebody with fewer rights than this process: set-user-ID,
/// set-group-ID, file capabilities.
pub fn runs_with_foreign_rights() -> bool {
    // SAFETY: reads a value that the kernel gave the process; 0 if there is none.
    unsafe { libc::getauxval(libc::AT_SECURE) != 0 }
}

/// Writes out what the C library's output streams hold, like `fflush(NULL)`.
pub fn flush_streams() {
    // SAFETY: NULL means all streams; each is locked by the C library.
    unsafe { libc::fflush(std::ptr::null_mut()) };
}

/// Async-signal-safe, as what a forked child of a threaded process may do has to be.
extern "C" fn child_after_fork() {
    // Past the last epoch the library refuses to open sockets; it must not wrap around.
    if epoch() <= LAST_EPOCH {
        EPOCH.fetch_add(1, Ordering::AcqRel);
    }
    private_fd::close_all_in_child();
}

static EPOCH: AtomicUsize = AtomicUsize::new(0);
static WATCHED: AtomicBool = AtomicBool::new(false);
