//! Threads of the library's own, and the identity of the caller's.

use std::io;
use std::mem::MaybeUninit;
use std::os::unix::fs::MetadataExt;
use std::sync::mpsc::channel;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::thread::{Builder, JoinHandle};

use super::process::PerProcess;
use crate::error::Error;

/// Starts a thread with every signal blocked: a handler of the program must never run on it.
pub fn spawn_without_signals(body: impl FnOnce() + Send + 'static) -> io::Result<JoinHandle<()>> {
    // The mask is inherited, so it must be in place before the thread exists, and the caller's
    // own restored after it.
    let masked = SignalsBlocked::new();
    let (listed, is_listed) = channel::<()>();
    let body = move || {
        let _listed = Listed::new();
        drop(listed);
        body();
    };
    let thread = Builder::new().name(NAME.to_owned()).stack_size(STACK_SIZE).spawn(body);
    drop(masked);
    // Until it is on the list it would be taken for one of the program's. If there is no thread the
    // other end is gone as well.
    let _ = is_listed.recv();
    thread
}

/// Why a thread that was to do `what` could not be started.
pub fn not_started(what: &str, error: &io::Error) -> Error {
    let mut error = Error::system(what, error.raw_os_error().unwrap_or(libc::EAGAIN));
    if error.sys_errno == libc::EAGAIN {
        error
            .text
            .push_str("; end threads or processes, or raise their limit (ulimit -u, pids.max)");
    }
    error
}

/// The kernel's number of the calling thread, never 0.
pub fn current() -> u64 {
    rustix::thread::gettid().as_raw_nonzero().get() as u64
}

/// Whether there is no other thread but the calling one and the library's own.
pub fn is_alone() -> bool {
    others().is_ok_and(|mut others| others.next().is_none())
}

/// The same, where a mistake would be dangerous: the list of threads ends early if one of them ends
/// while it is read, but their number is exact.
pub fn is_certainly_alone() -> bool {
    let before = listed();
    let counted = std::fs::metadata("/proc/self/task").map(|folder| folder.nlink());
    // A folder's own two names, this thread and those of the library's, which have been there all the
    // while.
    let expected = before.len() as u64 + 3;
    counted.is_ok_and(|links| links == expected) && is_alone() && listed() == before
}

/// The numbers of the other threads, without the library's own. An entry is an error where the list
/// could not be read to its end.
pub fn others() -> io::Result<impl Iterator<Item = io::Result<u64>>> {
    let own = current();
    let numbers = read_dir("/proc/self/task")?.map(|thread| {
        // A name that is no number is nobody's: 0.
        Ok(thread?.file_name().to_str().and_then(|name| name.parse().ok()).unwrap_or(0))
    });
    // A thread of the library's is on its list for as long as it does anything, and nobody else
    // has its number meanwhile.
    Ok(numbers.filter(move |number| {
        !number.as_ref().is_ok_and(|number| *number == own || is_listed(*number))
    }))
}

/// Unlike the standard library's other functions, `read_dir` does not try again after a signal.
fn read_dir(path: &str) -> io::Result<std::fs::ReadDir> {
    loop {
        match std::fs::read_dir(path) {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            done => return done,
        }
    }
}

/// The library's threads, which others may be called like.
static LIBRARY_S: PerProcess<Mutex<Vec<u64>>> = PerProcess::new();

fn listed() -> Vec<u64> {
    LIBRARY_S.get().map(|list| lock(list).clone()).unwrap_or_default()
}

fn is_listed(number: u64) -> bool {
    LIBRARY_S.get().is_some_and(|list| lock(list).contains(&number))
}

/// The calling thread is on the list of the library's.
struct Listed(u64);

impl Listed {
    fn new() -> Self {
        let number = current();
        lock(LIBRARY_S.get_or_init(Mutex::default)).push(number);
        Self(number)
    }
}

impl Drop for Listed {
    fn drop(&mut self) {
        if let Some(list) = LIBRARY_S.get() {
            lock(list).retain(|number| *number != self.0);
        }
    }
}

fn lock(list: &Mutex<Vec<u64>>) -> MutexGuard<'_, Vec<u64>> {
    list.lock().unwrap_or_else(PoisonError::into_inner)
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

#[cfg(test)]
mod tests {
    use std::sync::mpsc::channel;

    use super::*;
    use crate::sys::test_sockets::{eventually, in_child};

    #[test]
    fn the_library_s_threads_do_not_count_and_others_do_whatever_they_are_called() {
        assert!(in_child(|| {
            let (go, wait) = channel::<()>();
            let first = is_alone();
            let ours = spawn_without_signals(move || _ = wait.recv()).unwrap();
            let beside_ours = eventually(is_alone) && eventually(is_certainly_alone);
            let (go_too, wait) = channel::<()>();
            let named = Builder::new().name(NAME.to_owned()).spawn(move || _ = wait.recv());
            let beside_named = is_alone() || is_certainly_alone();
            drop((go, go_too));
            ours.join().unwrap();
            named.unwrap().join().unwrap();
            first && beside_ours && !beside_named && eventually(is_certainly_alone)
        }));
    }
}
