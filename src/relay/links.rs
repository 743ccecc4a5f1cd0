//! The relayed connections of the process, for whoever waits for them.

use std::time::{Duration, Instant};

use super::event_count::EventCount;
use crate::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use crate::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

pub struct Links<L> {
    /// Those that are over among them are dropped when there is no room for one more.
    all: Mutex<Vec<Weak<L>>>,
    looked: EventCount,
    /// Grows whenever bytes move.
    moves: AtomicUsize,
    exiting: AtomicBool,
}

/// How long to wait at most: in all, and without any byte moving.
pub struct Limits {
    pub total: Duration,
    pub stall: Duration,
}

impl<L> Links<L> {
    pub fn add(&self, link: &Arc<L>) {
        let mut all = self.lock();
        if all.len() == all.capacity() {
            all.retain(|link| link.strong_count() > 0);
            // So much that the next look at all of them is as many links away.
            let room = all.len().max(SMALLEST_ROOM);
            all.shrink_to(room);
            all.reserve(room);
        }
        all.push(Arc::downgrade(link));
    }

    /// Those that there are.
    pub fn living(&self) -> Vec<Arc<L>> {
        self.lock().iter().filter_map(Weak::upgrade).collect()
    }

    /// The relay has looked at a connection, and perhaps moved something: whoever waits looks again.
    pub fn progress(&self, moved: bool) {
        if moved {
            self.moved();
        }
        self.looked.signal();
    }

    /// Something moved, by the relay or in the system.
    pub fn moved(&self) {
        self.moves.fetch_add(1, Ordering::Relaxed);
    }

    /// Tells the relay that the process is ending.
    pub fn begin_exit(&self) {
        self.exiting.store(true, Ordering::Release);
    }

    pub fn is_exiting(&self) -> bool {
        self.exiting.load(Ordering::Acquire)
    }

    /// Waits until nothing is `left`, for at most `limit`. Answers how much still is. `left` is
    /// asked again when the relay has done something.
    pub fn wait(&self, limit: Option<Duration>, mut left: impl FnMut(&[Arc<L>]) -> usize) -> usize {
        let ends = limit.and_then(|limit| Instant::now().checked_add(limit));
        self.wait_until(|links| {
            let left = left(links);
            let patience =
                ends.map_or(Duration::MAX, |ends| ends.saturating_duration_since(Instant::now()));
            (left, patience)
        })
    }

    /// The same, within limits that began at `started`.
    pub fn wait_while_moving(
        &self,
        started: Instant,
        limits: &Limits,
        mut left: impl FnMut(&[Arc<L>]) -> usize,
    ) -> usize {
        let (mut moves, mut moved_at) = (self.moves.load(Ordering::Relaxed), Instant::now());
        self.wait_until(|links| {
            let left = left(links);
            let seen = self.moves.load(Ordering::Relaxed);
            if seen != moves {
                (moves, moved_at) = (seen, Instant::now());
            }
            let patience = (limits.total.saturating_sub(started.elapsed()))
                .min(limits.stall.saturating_sub(moved_at.elapsed()));
            (left, patience)
        })
    }

    /// `look` answers how much is left, and for how long to go on waiting. No lock is held meanwhile:
    /// it asks the system, and others have to get on.
    fn wait_until(&self, mut look: impl FnMut(&[Arc<L>]) -> (usize, Duration)) -> usize {
        let mut watch = self.looked.watch();
        loop {
            let began = Instant::now();
            let (left, patience) = look(&self.living());
            if left == 0 || patience.is_zero() {
                return left;
            }
            // A look at thousands takes a while, in which some will have moved: the relay needs the
            // processor more.
            let took = began.elapsed();
            if took >= LONG_LOOK {
                std::thread::sleep(took.min(patience).min(CHECK_INTERVAL));
            }
            watch.wait(patience.min(CHECK_INTERVAL));
        }
    }

    fn lock(&self) -> MutexGuard<'_, Vec<Weak<L>>> {
        self.all.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<L> Default for Links<L> {
    fn default() -> Self {
        Self {
            all: Mutex::default(),
            looked: EventCount::default(),
            moves: AtomicUsize::new(0),
            exiting: AtomicBool::new(false),
        }
    }
}

/// How often conditions are looked at that make no event: what is still on its way from the program's
/// end to the library's is one.
const CHECK_INTERVAL: Duration = Duration::from_millis(5);
const LONG_LOOK: Duration = Duration::from_micros(500);
const SMALLEST_ROOM: usize = 16;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn links_that_are_over_are_forgotten() {
        let links = Links::default();
        let kept: Vec<_> = (0..100).map(Arc::new).collect();
        for link in &kept {
            links.add(link);
            for other in 0..100 {
                links.add(&Arc::new(other));
            }
        }
        assert!(
            kept.iter().all(|link| links.living().iter().any(|living| Arc::ptr_eq(living, link)))
        );
        assert_eq!(links.living().len(), kept.len());
        assert!(links.lock().len() <= 4 * kept.len());
    }
}

#[cfg(all(test, sslsock_model))]
mod model {
    use shuttle::thread;

    use super::super::progress::Progress;
    use super::*;
    use crate::model::check;

    /// A connection as the kernel and the relay see it: where the program's bytes are, one place after
    /// the other.
    #[derive(Default)]
    struct Stand {
        program: AtomicUsize,
        library: AtomicUsize,
        transport: AtomicUsize,
        acknowledged: AtomicUsize,
        progress: Progress,
    }

    impl Stand {
        fn is_busy(&self) -> bool {
            let holds = |place: &AtomicUsize| place.load(Ordering::Relaxed) > 0;
            self.progress.is_busy(
                || holds(&self.program),
                || holds(&self.library),
                || holds(&self.transport),
            )
        }

        fn send(&self) {
            self.program.fetch_add(1, Ordering::Relaxed);
        }

        /// The kernel takes it to the library's end: it has it in one place or the other all the while.
        fn carry(&self) {
            let sent = self.program.load(Ordering::Relaxed);
            self.library.fetch_add(sent, Ordering::Relaxed);
            self.program.fetch_sub(sent, Ordering::Relaxed);
        }

        /// One turn of the relay, as `Connection::run` makes it.
        fn run(&self) {
            self.progress.begin();
            let taken = self.library.swap(0, Ordering::Relaxed);
            self.transport.fetch_add(taken, Ordering::Relaxed);
            self.progress.pause(false);
        }

        fn acknowledge(&self) {
            let sent = self.transport.load(Ordering::Relaxed);
            self.acknowledged.fetch_add(sent, Ordering::Relaxed);
            self.transport.fetch_sub(sent, Ordering::Relaxed);
        }
    }

    #[test]
    fn nobody_finds_it_idle_who_has_sent_before() {
        check(|| {
            let stand = Arc::new(Stand::default());
            let relay = stand.clone();
            let relay = thread::spawn(move || (0..3).for_each(|_| relay.run()));
            let kernel = stand.clone();
            let kernel = thread::spawn(move || {
                for _ in 0..2 {
                    kernel.carry();
                    kernel.acknowledge();
                }
            });
            stand.send();
            for _ in 0..3 {
                if !stand.is_busy() {
                    assert_eq!(stand.acknowledged.load(Ordering::Relaxed), 1);
                }
            }
            relay.join().unwrap();
            kernel.join().unwrap();
        });
    }

    #[test]
    fn what_the_relay_does_not_hold_the_transport_has() {
        check(|| {
            let stand = Arc::new(Stand::default());
            let relay = stand.clone();
            let relay = thread::spawn(move || (0..2).for_each(|_| relay.run()));
            stand.send();
            stand.carry();
            if !stand.progress.is_relaying(|| stand.library.load(Ordering::Relaxed) > 0) {
                assert_eq!(stand.transport.load(Ordering::Relaxed), 1);
            }
            relay.join().unwrap();
        });
    }

    #[test]
    fn flushing_waits_for_everything_and_is_woken_by_the_last() {
        check(|| {
            let links = Arc::new(Links::default());
            let stands: Vec<_> = (0..2).map(|_| Arc::new(Stand::default())).collect();
            stands.iter().for_each(|stand| links.add(stand));
            stands.iter().for_each(|stand| stand.send());
            let relays: Vec<_> = stands
                .iter()
                .map(|stand| {
                    let (links, stand) = (links.clone(), stand.clone());
                    thread::spawn(move || {
                        stand.carry();
                        stand.run();
                        links.progress(true);
                        // The peer's acknowledgement; the relay is told of nothing, but looks.
                        stand.acknowledge();
                        links.progress(false);
                    })
                })
                .collect();
            let flush = |links: &Links<Stand>| {
                links.wait(None, |all| all.iter().filter(|link| link.is_busy()).count())
            };
            let other = links.clone();
            let other = thread::spawn(move || flush(&other));
            assert_eq!(flush(&links), 0);
            assert!(stands.iter().all(|stand| stand.acknowledged.load(Ordering::Relaxed) == 1));
            assert_eq!(other.join().unwrap(), 0);
            relays.into_iter().for_each(|relay| relay.join().unwrap());
        });
    }

    #[test]
    fn the_end_waits_for_the_last_connection_whoever_comes_and_goes_meanwhile() {
        check(|| {
            let links = Arc::new(Links::<Stand>::default());
            let stands: Vec<_> = (0..2).map(|_| Arc::new(Stand::default())).collect();
            stands.iter().for_each(|stand| links.add(stand));
            let relay = {
                let (links, stands) = (links.clone(), stands.clone());
                thread::spawn(move || {
                    for stand in stands {
                        while !links.is_exiting() {
                            thread::yield_now();
                        }
                        stand.run();
                        stand.progress.finish();
                        links.progress(true);
                    }
                })
            };
            let newcomer = {
                let links = links.clone();
                thread::spawn(move || {
                    let stand = Arc::new(Stand::default());
                    links.add(&stand);
                    stand.progress.finish();
                    links.progress(true);
                })
            };
            links.begin_exit();
            let limits = Limits { total: Duration::MAX, stall: Duration::MAX };
            let left = links.wait_while_moving(Instant::now(), &limits, |all| {
                all.iter().filter(|link| !link.progress.is_finished()).count()
            });
            assert_eq!(left, 0);
            assert!(stands.iter().all(|stand| stand.progress.is_finished()));
            relay.join().unwrap();
            newcomer.join().unwrap();
        });
    }
}
