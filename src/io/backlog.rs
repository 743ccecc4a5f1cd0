//! Things that a thread of the library's own sees to, which lives as long as there is one.

use crate::sync::{Arc, Mutex, MutexGuard, PoisonError};

pub struct Backlog<T> {
    state: Mutex<State<T>>,
}

struct State<T> {
    entries: Vec<Entry<T>>,
    /// There is a thread, or somebody is starting it.
    has_thread: bool,
}

struct Entry<T> {
    item: Arc<T>,
    is_taken: bool,
}

impl<T> Backlog<T> {
    /// Has the thread see to `item`; `start` starts it if there is none. If that fails: what nobody
    /// will see to, which others may have added to meanwhile.
    pub fn add<E>(
        &self,
        item: T,
        start: impl FnOnce() -> Result<(), E>,
    ) -> Result<(), (E, Vec<Arc<T>>)> {
        {
            let mut state = self.lock();
            state.entries.push(Entry { item: Arc::new(item), is_taken: false });
            if std::mem::replace(&mut state.has_thread, true) {
                return Ok(());
            }
        }
        // Not under the lock: it takes a while.
        start().map_err(|error| (error, self.abandon()))
    }

    /// For the thread: what has come. `None`: it is done and there is nothing, so it ends.
    pub fn take(&self, is_done: bool) -> Option<Vec<Arc<T>>> {
        let mut state = self.lock();
        let mut new = Vec::new();
        for entry in state.entries.iter_mut().filter(|entry| !entry.is_taken) {
            entry.is_taken = true;
            new.push(entry.item.clone());
        }
        if is_done && new.is_empty() {
            state.has_thread = false;
            return None;
        }
        Some(new)
    }

    /// The thread has seen to `item`.
    pub fn done(&self, item: &Arc<T>) {
        self.lock().entries.retain(|entry| !Arc::ptr_eq(&entry.item, item));
    }

    /// What has not been seen to yet.
    pub fn all(&self) -> Vec<Arc<T>> {
        self.lock().entries.iter().map(|entry| entry.item.clone()).collect()
    }

    /// There is no thread, for it could not be started or could not go on. Answers what it leaves.
    pub fn abandon(&self) -> Vec<Arc<T>> {
        let mut state = self.lock();
        state.has_thread = false;
        std::mem::take(&mut state.entries).into_iter().map(|entry| entry.item).collect()
    }

    fn lock(&self) -> MutexGuard<'_, State<T>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<T> Default for Backlog<T> {
    fn default() -> Self {
        Self { state: Mutex::new(State { entries: Vec::new(), has_thread: false }) }
    }
}

#[cfg(all(test, sslsock_model))]
mod model {
    use shuttle::rand::{Rng, thread_rng};
    use shuttle::thread::{self, JoinHandle};

    use super::*;
    use crate::model::check;
    use crate::sync::Condvar;

    #[derive(Default)]
    struct World {
        backlog: Backlog<usize>,
        /// How often each has been seen to, by the thread or by whoever could not start it.
        seen: Mutex<[usize; ITEMS]>,
        changed: Condvar,
        running: Mutex<Vec<JoinHandle<()>>>,
    }

    impl World {
        fn see(&self, item: usize) {
            self.seen.lock().unwrap()[item] += 1;
            self.changed.notify_all();
        }

        fn add(self: &Arc<Self>, item: usize, may_fail: bool) {
            let start = || {
                if may_fail && thread_rng().gen_bool(0.5) {
                    return Err(());
                }
                let world = self.clone();
                self.running.lock().unwrap().push(thread::spawn(move || world.serve()));
                Ok(())
            };
            if let Err(((), left)) = self.backlog.add(item, start) {
                assert!(left.iter().any(|other| **other == item));
                left.iter().for_each(|item| self.see(**item));
            }
        }

        /// The thread, as `ending` has it.
        fn serve(&self) {
            let mut under_way = Vec::new();
            while let Some(new) = self.backlog.take(under_way.is_empty()) {
                under_way.extend(new);
                if let Some(item) = under_way.pop() {
                    self.see(*item);
                    self.backlog.done(&item);
                }
            }
        }
    }

    const ITEMS: usize = 4;

    fn run(may_fail: bool) {
        let world = Arc::new(World::default());
        let other = world.clone();
        let other = thread::spawn(move || (0..2).for_each(|item| other.add(item, may_fail)));
        (2..ITEMS).for_each(|item| world.add(item, may_fail));
        other.join().unwrap();
        let mut seen = world.seen.lock().unwrap();
        while seen.contains(&0) {
            seen = world.changed.wait(seen).unwrap();
        }
        drop(seen);
        let running = std::mem::take(&mut *world.running.lock().unwrap());
        running.into_iter().for_each(|thread| thread.join().unwrap());
        assert_eq!(*world.seen.lock().unwrap(), [1; ITEMS]);
        assert!(world.backlog.all().is_empty());
        assert!(!world.backlog.lock().has_thread);
    }

    #[test]
    fn everything_is_seen_to_once_although_the_thread_ends_in_between() {
        check(|| run(false));
    }

    #[test]
    fn a_thread_that_could_not_be_started_leaves_nothing_behind() {
        check(|| run(true));
    }
}
