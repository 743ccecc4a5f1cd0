//! Threads of the library's own, and the identity of the caller's.

use std::mem::MaybeUninit;
use std::thread::{Builder, JoinHandle};

/// Starts a thread with every signal blocked: a handler of the program must never run on it.
pub fn spawn_without_signals(
    body: impl FnOnce() + Send + 'static,
) -> std::io::Result<JoinHandle<()>> {
    // The mask is inherited, so it must be in place before the thread exists, and the caller's
    // own restored after it.
    let masked = SignalsBlocked::new();
    let thread = Builder::new().name(NAME.to_owned()).stack_size(STACK_SIZE).spawn(body);
    drop(masked);
    thread
}

/// The kernel's number of the calling thread, never 0.
pub fn current() -> u64 {
    rustix::thread::gettid().as_raw_nonzero().get() as u64
}

/// Whether there is no other thread but the calling one and the library's own.
pub fn is_alone() -> bool {
    let own = current().to_string();
    let Ok(threads) = std::fs::read_dir("/proc/self/task") else { return false };
    threads.flatten().filter(|thread| thread.file_name() != *own).all(|thread| {
        std::fs::read_to_string(thread.path().join("comm"))
            .is_ok_and(|name| name.trim_end() == NAME)
    })
}

struct SignalsBlocked {
    before: libc::sigset_t,
}

impl SignalsBlocked {
    fn new() -> Self {
        let mut all = MaybeUninit::uninit();
        let mut before = MaybeUninit::uninit();
        // SAFETY: `sigfillset` initialises `all`; `pthread_sigmask` reads it and writes `before`;
        // with SIG_SETMASK and valid pointers it cannot fail.
        unsafe {
            libc::sigfillset(all.as_mut_ptr());
            libc::pthread_sigmask(libc::SIG_SETMASK, all.as_ptr(), before.as_mut_ptr());
            Self { before: before.assume_init() }
        }
    }
}

impl Drop for SignalsBlocked {
    fn drop(&mut self) {
        // SAFETY: `before` is the mask that `new` got from the kernel.
        unsafe { libc::pthread_sigmask(libc::SIG_SETMASK, &self.before, std::ptr::null_mut()) };
    }
}

/// What every thread of the library is called.
const NAME: &str = "sslsock";
const STACK_SIZE: usize = 512 * 1024;
