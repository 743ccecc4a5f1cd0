//! The end of the process, and waiting for everything to have left.

use std::os::fd::{AsFd, OwnedFd};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError, Weak};
use std::time::{Duration, Instant};

use rustix::net::{Shutdown, shutdown};

use super::{Link, reactor};
use crate::sys::fd_table;
use crate::sys::process::{self, PerProcess};
use crate::sys::socket_options;
use crate::sys::thread;

/// Remembers a link for the end of the process.
pub fn watch(link: &Arc<Link>) {
    let mut links = lock();
    links.retain(|link| link.strong_count() > 0);
    links.push(Arc::downgrade(link));
}

/// The relay has looked at a connection, and perhaps moved something: whoever waits looks again.
pub fn progress(moved: bool) {
    if let Some(shared) = SHARED.get() {
        if moved {
            shared.moves.fetch_add(1, Ordering::Relaxed);
        }
        if shared.waiters.load(Ordering::Relaxed) > 0 {
            shared.looked.notify_all();
        }
    }
}

/// Whether the process is ending: half-closed connections are to be closed.
pub fn has_begun() -> bool {
    SHARED.get().is_some_and(|shared| shared.exiting.load(Ordering::Acquire))
}

/// Waits until no relayed connection holds bytes of the program, and none of the `others`, for at
/// most `limit`. Answers how many still do.
pub fn flush(limit: Option<Duration>, others: impl Fn() -> usize) -> usize {
    let ends = limit.and_then(|limit| Instant::now().checked_add(limit));
    let mut waiter = Waiter::new();
    loop {
        let waiting = waiter.count(holds_data) + others();
        let left =
            ends.map_or(CHECK_INTERVAL, |ends| ends.saturating_duration_since(Instant::now()));
        if waiting == 0 || left.is_zero() {
            return waiting;
        }
        waiter.wait(left);
    }
}

/// The end of the process has begun: ends the program's direction of every link.
///
/// Until the relay sees the end of it, accepted bytes may sit in the program's end of the pair,
/// where only time shows. Nothing is waited for yet. `None`: there is nothing to wait for.
pub fn begin() -> Option<Delivery> {
    // In a forked child there is nothing, unless it opened connections itself.
    let shared = SHARED.get()?;
    if lock().iter().filter_map(Weak::upgrade).all(|link| link.is_finished()) {
        return None;
    }
    flush_standard_streams();
    for link in lock().iter().filter_map(Weak::upgrade) {
        for end in program_ends(&link) {
            let _ = shutdown(&end, Shutdown::Write);
        }
    }
    shared.exiting.store(true, Ordering::Release);
    reactor::wake_all();
    Some(Delivery { started: Instant::now() })
}

/// What was accepted is on its way out.
pub struct Delivery {
    started: Instant,
}

impl Delivery {
    /// Waits until all links are finished, within the limits.
    pub fn wait(self) {
        let shared = shared();
        let mut waiter = Waiter::new();
        let (mut moves, mut moved_at) = (shared.moves.load(Ordering::Relaxed), Instant::now());
        while waiter.count(|link| !link.is_finished()) > 0 {
            let seen = shared.moves.load(Ordering::Relaxed);
            if seen != moves {
                (moves, moved_at) = (seen, Instant::now());
            }
            if self.started.elapsed() >= LIMIT || moved_at.elapsed() >= STALL_LIMIT {
                return;
            }
            waiter.wait(CHECK_INTERVAL);
        }
    }
}

/// The C library writes out what its streams hold only after this, when it is too late for a
/// stream on an upgraded descriptor. But another thread may hold the lock of a stream for ever, in
/// a read from the terminal say, and to wait for that would hang the end of the process: with
/// other threads about it is left alone.
fn flush_standard_streams() {
    if thread::is_alone() {
        process::flush_streams();
    }
}

fn holds_data(link: &Link) -> bool {
    if link.is_finished() {
        return false;
    }
    link.is_busy()
        || program_ends(link).first().is_some_and(|end| {
            socket_options::unsent_bytes(end.as_fd()).is_ok_and(|unsent| unsent > 0)
        })
}

/// Duplicates of the program's end, wherever in the descriptor table it is by now.
fn program_ends(link: &Link) -> Vec<OwnedFd> {
    let identity = link.program_identity();
    let Some(transport) = link.transport() else { return Vec::new() };
    fd_table::numbers_of(identity, transport.as_fd())
        .unwrap_or_default()
        .into_iter()
        .filter_map(|number| crate::sys::identity::duplicate_if(number, identity))
        .take(1)
        .collect()
}

#[derive(Default)]
struct Shared {
    links: Mutex<Vec<Weak<Link>>>,
    looked: Condvar,
    waiters: AtomicUsize,
    /// Grows whenever bytes move.
    moves: AtomicUsize,
    exiting: AtomicBool,
}

/// Somebody who waits for the relay.
struct Waiter {
    links: Option<MutexGuard<'static, Vec<Weak<Link>>>>,
}

impl Waiter {
    fn new() -> Self {
        shared().waiters.fetch_add(1, Ordering::Relaxed);
        Self { links: Some(lock()) }
    }

    fn count(&self, matches: impl Fn(&Link) -> bool) -> usize {
        let links = self.links.iter().flat_map(|links| links.iter());
        links.filter_map(Weak::upgrade).filter(|link| matches(link)).count()
    }

    /// Until the relay has done something. What is still on its way from the program's end to
    /// the library's makes no event of its own, so not for long.
    fn wait(&mut self, limit: Duration) {
        let limit = limit.min(CHECK_INTERVAL);
        self.links = self.links.take().map(|links| {
            shared().looked.wait_timeout(links, limit).unwrap_or_else(PoisonError::into_inner).0
        });
    }
}

impl Drop for Waiter {
    fn drop(&mut self) {
        shared().waiters.fetch_sub(1, Ordering::Relaxed);
    }
}

fn shared() -> &'static Shared {
    SHARED.get_or_init(Shared::default)
}

fn lock() -> MutexGuard<'static, Vec<Weak<Link>>> {
    shared().links.lock().unwrap_or_else(PoisonError::into_inner)
}

/// How often conditions are looked at that make no event.
const CHECK_INTERVAL: Duration = Duration::from_millis(5);
/// How long the end of the process may be held up: in all, and without any byte moving.
pub const LIMIT: Duration = Duration::from_secs(30);
pub const STALL_LIMIT: Duration = Duration::from_secs(5);

static SHARED: PerProcess<Shared> = PerProcess::new();
