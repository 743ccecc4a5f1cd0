//! Which thread carries what is handed over: the threads that there are, their inboxes, and how a
//! thread begins, is woken and ends.
//!
//! No lock is held over a system call. What is handed over is either taken out of an inbox by the
//! thread that it was put there for, once, or given back to whoever handed it over.

use crate::error::{Error, Result};
use crate::sync::atomic::{AtomicUsize, Ordering};
use crate::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

/// What a thread of the pool waits with.
pub trait Carrier: Send + Sync + Sized + 'static {
    type Item: Send + 'static;
    /// What the carriers of one pool have in common.
    type Context: Send + Sync + 'static;

    /// With so many on every thread another one is started.
    const LOADED: usize;

    /// What the thread needs, before there is one.
    fn new(context: &Self::Context) -> Result<Self>;

    /// Starts the thread, which serves what the seat's inbox gets until it leaves the seat.
    fn start(seat: Seat<Self>) -> Result<()>;

    /// Has the thread look into its inbox, now or when it is next about to wait.
    fn wake(&self) -> Result<()>;

    /// Whether the thread has so much to do that another one would help.
    fn is_busy(&self) -> bool {
        false
    }

    /// How many threads make sense where nothing has been set. May be slow.
    fn most_threads(context: &Self::Context) -> usize;
}

/// The threads of one process.
pub struct Pool<C: Carrier> {
    context: C::Context,
    state: Mutex<State<C>>,
    /// A thread has started, or could not.
    started: Condvar,
}

/// A thread's place in the pool.
pub struct Seat<C: Carrier> {
    pool: Arc<Pool<C>>,
    thread: Arc<Thread<C>>,
}

struct State<C: Carrier> {
    entries: Vec<Entry<C>>,
    /// How many threads are being started.
    starting: usize,
    /// What was set; 0: the default.
    limit: usize,
    /// What that is, once somebody has had to know.
    default_limit: Option<usize>,
    last_ticket: u64,
}

struct Entry<C: Carrier> {
    thread: Arc<Thread<C>>,
    inbox: Vec<(u64, C::Item)>,
    /// The thread has been woken since it last looked into its inbox, so that it will do so again.
    is_woken: bool,
    /// The thread has been started.
    is_running: bool,
}

struct Thread<C> {
    carrier: C,
    /// How much it carries, with what lies in the inbox. Grows under the lock only.
    load: AtomicUsize,
}

/// What becomes of something that is handed over.
enum Choice {
    Thread(usize),
    /// One more thread has to be started first.
    Start,
    /// Somebody is starting the first one.
    Wait,
    /// The default has to be found out first.
    Count,
}

impl<C: Carrier> Pool<C> {
    pub fn new(context: C::Context) -> Arc<Self> {
        let state = State {
            entries: Vec::new(),
            starting: 0,
            limit: 0,
            default_limit: None,
            last_ticket: 0,
        };
        Arc::new(Self { context, state: Mutex::new(state), started: Condvar::new() })
    }

    /// At most so many threads get anything from now on; 0: the default. Those that there are
    /// beyond that end when they have nothing left to carry.
    pub fn set_limit(&self, limit: usize) {
        self.lock().limit = limit;
    }

    /// Makes sure that there is a thread.
    pub fn prepare(self: &Arc<Self>) -> Result<()> {
        self.choose().map(drop)
    }

    /// Hands `item` to the thread that carries least. What is given back has been seen by nobody.
    pub fn hand_over(self: &Arc<Self>, item: C::Item) -> std::result::Result<(), (Error, C::Item)> {
        let (mut state, index) = match self.choose() {
            Ok(chosen) => chosen,
            Err(error) => return Err((error, item)),
        };
        state.last_ticket += 1;
        let ticket = state.last_ticket;
        let entry = &mut state.entries[index];
        entry.thread.load.fetch_add(1, Ordering::Relaxed);
        entry.inbox.push((ticket, item));
        if entry.is_woken {
            return Ok(());
        }
        let thread = entry.thread.clone();
        drop(state);
        let woken = thread.carrier.wake();
        let mut state = self.lock();
        // If it is not there any more the thread has it, be it one that is giving up.
        let Some(entry) = state.entry(&thread) else { return Ok(()) };
        let Some(place) = entry.inbox.iter().position(|(other, _)| *other == ticket) else {
            return Ok(());
        };
        match woken {
            Ok(()) => {
                entry.is_woken = true;
                Ok(())
            }
            // Others may lie there: each was put there by somebody who wakes the thread as well, or
            // after somebody who has.
            Err(error) => {
                entry.thread.load.fetch_sub(1, Ordering::Relaxed);
                let (_, item) = entry.inbox.remove(place);
                Err((error, item))
            }
        }
    }

    /// Wakes every thread.
    pub fn wake_all(&self) {
        let threads: Vec<_> =
            self.lock().entries.iter().map(|entry| entry.thread.clone()).collect();
        for thread in threads {
            // There is nobody to be told.
            let _ = thread.carrier.wake();
        }
    }

    /// How many threads there are.
    #[cfg(any(test, sslsock_model))]
    pub fn threads(&self) -> usize {
        self.lock().entries.len()
    }

    /// The index of the thread that is next, which is there for as long as the lock is held.
    fn choose(self: &Arc<Self>) -> Result<(MutexGuard<'_, State<C>>, usize)> {
        let mut failure = None;
        let mut state = self.lock();
        loop {
            match state.choose(failure.is_none()) {
                Some(Choice::Thread(index)) => return Ok((state, index)),
                Some(Choice::Wait) => {
                    state = self.started.wait(state).unwrap_or_else(PoisonError::into_inner);
                }
                Some(Choice::Count) => {
                    drop(state);
                    let most = C::most_threads(&self.context).max(1);
                    state = self.lock();
                    state.default_limit = Some(most);
                }
                Some(Choice::Start) => {
                    state.starting += 1;
                    drop(state);
                    let started = Starting { pool: self, thread: None, is_running: false }.start();
                    // Once is enough: a thread that has ended at once would do so again.
                    failure = Some(started.err());
                    state = self.lock();
                }
                None => {
                    let ended = || Error::internal("the relay thread ended at once");
                    return Err(failure.flatten().unwrap_or_else(ended));
                }
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, State<C>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<C: Carrier> State<C> {
    /// What is to be done next; `None`: there is no thread and none may be started.
    fn choose(&self, may_start: bool) -> Option<Choice> {
        let running = || self.entries.iter().enumerate().filter(|(_, entry)| entry.is_running);
        if running().next().is_none() {
            // Whoever starts one may not come to an end with it.
            return match self.starting {
                0 => may_start.then_some(Choice::Start),
                _ => Some(Choice::Wait),
            };
        }
        let limit = match self.limit {
            0 => self.default_limit.unwrap_or(usize::MAX),
            limit => limit,
        };
        // The oldest, where there are too many.
        let index = running()
            .take(limit)
            .min_by_key(|(_, entry)| entry.thread.weight())
            .map(|(index, _)| index)?;
        let may_start = may_start
            && running().count() + self.starting < limit
            && running().take(limit).all(|(_, entry)| entry.thread.is_loaded());
        if !may_start {
            return Some(Choice::Thread(index));
        }
        match (self.limit, self.default_limit) {
            (0, None) => Some(Choice::Count),
            _ => Some(Choice::Start),
        }
    }

    fn entry(&mut self, thread: &Arc<Thread<C>>) -> Option<&mut Entry<C>> {
        self.entries.iter_mut().find(|entry| Arc::ptr_eq(&entry.thread, thread))
    }

    fn remove(&mut self, thread: &Arc<Thread<C>>) -> Option<Entry<C>> {
        let index = self.entries.iter().position(|entry| Arc::ptr_eq(&entry.thread, thread))?;
        Some(self.entries.remove(index))
    }
}

impl<C: Carrier> Thread<C> {
    fn is_loaded(&self) -> bool {
        self.load.load(Ordering::Relaxed) > 0 && self.weight() >= C::LOADED
    }

    /// A few can be as much work as many.
    fn weight(&self) -> usize {
        let busy = if self.carrier.is_busy() { C::LOADED } else { 0 };
        self.load.load(Ordering::Relaxed) + busy
    }
}

/// A thread that is being started; whatever becomes of it, nobody waits for it afterwards.
struct Starting<'a, C: Carrier> {
    pool: &'a Arc<Pool<C>>,
    thread: Option<Arc<Thread<C>>>,
    is_running: bool,
}

impl<C: Carrier> Starting<'_, C> {
    fn start(mut self) -> Result<()> {
        let thread =
            Arc::new(Thread { carrier: C::new(&self.pool.context)?, load: AtomicUsize::new(0) });
        // Before it runs, so that it can leave, and out of everybody's reach until it does.
        self.pool.lock().entries.push(Entry {
            thread: thread.clone(),
            inbox: Vec::new(),
            is_woken: false,
            is_running: false,
        });
        self.thread = Some(thread.clone());
        C::start(Seat { pool: self.pool.clone(), thread })?;
        self.is_running = true;
        Ok(())
    }
}

impl<C: Carrier> Drop for Starting<'_, C> {
    fn drop(&mut self) {
        let mut state = self.pool.lock();
        state.starting -= 1;
        let mut unused = None;
        if let Some(thread) = &self.thread {
            if !self.is_running {
                unused = state.remove(thread);
            } else if let Some(entry) = state.entry(thread) {
                entry.is_running = true;
            }
        }
        drop(state);
        // Its descriptors are closed here, not under the lock.
        drop(unused);
        self.pool.started.notify_all();
    }
}

impl<C: Carrier> Seat<C> {
    pub fn carrier(&self) -> &C {
        &self.thread.carrier
    }

    /// What has been handed over, after the thread has been woken.
    pub fn take(&self) -> impl Iterator<Item = C::Item> + use<C> {
        let mut state = self.pool.lock();
        let inbox = state.entry(&self.thread).map(|entry| {
            entry.is_woken = false;
            std::mem::take(&mut entry.inbox)
        });
        drop(state);
        inbox.unwrap_or_default().into_iter().map(|(_, item)| item)
    }

    /// The thread carries one less.
    pub fn done(&self) {
        self.thread.load.fetch_sub(1, Ordering::Relaxed);
    }

    /// The thread that has nothing to carry leaves, unless it is the only one. False: it stays.
    pub fn leave_unless_needed(&self) -> bool {
        let mut state = self.pool.lock();
        let is_last = !state
            .entries
            .iter()
            .any(|entry| entry.is_running && !Arc::ptr_eq(&entry.thread, &self.thread));
        if is_last || self.thread.load.load(Ordering::Relaxed) > 0 {
            return false;
        }
        state.remove(&self.thread);
        true
    }

    /// The thread cannot go on: nothing is handed to it from now on. What it still finds in its
    /// inbox is its own.
    pub fn leave(&self) -> impl Iterator<Item = C::Item> + use<C> {
        let entry = self.pool.lock().remove(&self.thread);
        entry.into_iter().flat_map(|entry| entry.inbox).map(|(_, item)| item)
    }
}

#[cfg(all(test, not(sslsock_model)))]
mod tests;

#[cfg(all(test, sslsock_model))]
mod model;
