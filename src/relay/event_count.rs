//! Waiting for something that happens all the time, and that hardly ever anybody waits for.

use std::time::Duration;

use crate::sync::atomic::{AtomicUsize, Ordering, fence};
use crate::sync::{Condvar, Mutex, MutexGuard, PoisonError};

/// An event count: whoever waits looks at what he waits for without a lock, and misses nothing that
/// happens between the look and the wait.
#[derive(Default)]
pub struct EventCount {
    watching: AtomicUsize,
    count: Mutex<u64>,
    changed: Condvar,
}

/// Somebody who may wait. What he waits for is to be looked at after this has been made.
pub struct Watch<'a> {
    events: &'a EventCount,
    seen: u64,
}

impl EventCount {
    /// Something has changed: those who wait look again. Takes no lock if nobody does.
    pub fn signal(&self) {
        // Either the change is before this for those who have come, or they are before it for us.
        fence(Ordering::SeqCst);
        if self.watching.load(Ordering::Relaxed) > 0 {
            {
                let mut count = self.lock();
                *count = count.wrapping_add(1);
            }
            self.changed.notify_all();
        }
    }

    pub fn watch(&self) -> Watch<'_> {
        self.watching.fetch_add(1, Ordering::Relaxed);
        fence(Ordering::SeqCst);
        Watch { events: self, seen: *self.lock() }
    }

    fn lock(&self) -> MutexGuard<'_, u64> {
        self.count.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Watch<'_> {
    /// Until something has changed since the last wait, or since this was made, for at most `limit`.
    pub fn wait(&mut self, limit: Duration) {
        let mut count = self.events.lock();
        if *count == self.seen {
            let waited = self.events.changed.wait_timeout(count, limit);
            count = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
        self.seen = *count;
    }
}

impl Drop for Watch<'_> {
    fn drop(&mut self) {
        self.events.watching.fetch_sub(1, Ordering::Relaxed);
    }
}

#[cfg(all(test, sslsock_model))]
mod model {
    use shuttle::thread;

    use super::*;
    use crate::model::check;
    use crate::sync::Arc;

    #[test]
    fn whoever_waits_is_woken_by_the_last_change() {
        check(|| {
            let shared = Arc::new((EventCount::default(), AtomicUsize::new(0)));
            let waiters: Vec<_> = (0..2)
                .map(|_| {
                    let shared = shared.clone();
                    thread::spawn(move || {
                        let (events, changes) = &*shared;
                        let mut watch = events.watch();
                        while changes.load(Ordering::Relaxed) < 3 {
                            watch.wait(Duration::MAX);
                        }
                    })
                })
                .collect();
            let others = shared.clone();
            let other = thread::spawn(move || {
                others.1.fetch_add(1, Ordering::Relaxed);
                others.0.signal();
            });
            for _ in 0..2 {
                shared.1.fetch_add(1, Ordering::Relaxed);
                shared.0.signal();
            }
            other.join().unwrap();
            waiters.into_iter().for_each(|waiter| waiter.join().unwrap());
            assert_eq!(shared.0.watching.load(Ordering::Relaxed), 0);
        });
    }
}
