//! The threads that carry relayed connections.

use std::collections::{BTreeSet, HashMap, VecDeque};
use std::os::fd::AsFd;
use std::time::{Duration, Instant};

use rustix::event::epoll::{self, CreateFlags, Event, EventData, EventFlags};
use rustix::event::{EventfdFlags, Timespec, eventfd};
use rustix::io::{Errno, retry_on_intr};

use zeroize::{Zeroize, Zeroizing};

use super::connection::{Connection, Next, SCRATCH};
use super::exit;
use super::hand_over::{Carrier, Pool, Seat};
use super::readiness::Readiness;
use crate::error::{Error, Result};
use crate::panic;
use crate::sync::Arc;
use crate::sync::atomic::{AtomicU64, Ordering};
use crate::sys::private_fd::PrivateFd;
use crate::sys::process::PerProcess;
use crate::sys::thread::{not_started, spawn_without_signals};

/// Makes sure that there is a thread to carry a connection.
pub fn start() -> Result<()> {
    pool().prepare()
}

/// Hands a connection to the least loaded thread. If that fails the program's end is cut off.
pub fn adopt(connection: Connection) -> Result<()> {
    pool().hand_over(connection).map_err(|(error, connection)| {
        connection.cut_off();
        error
    })
}

/// Has at most so many threads get connections from now on; 0: as many as there are processors.
pub fn set_threads(limit: usize) {
    pool().set_limit(limit);
}

/// Has every connection looked at again.
pub fn wake_all() {
    if let Some(pool) = POOL.get() {
        // The caller has a deadline.
        pool.wake_all();
    }
}

/// What a thread waits with.
struct Reactor {
    epoll: PrivateFd,
    wake: PrivateFd,
    made: Instant,
    /// Until which age the thread counts as busy, see [`Workload`].
    busy_until: AtomicU64,
}

/// The state of the thread itself.
struct Worker<'a> {
    seat: &'a Seat<Reactor>,
    /// Boxed, since a table has room for more than are in it.
    connections: HashMap<u64, Box<Slot>>,
    timers: BTreeSet<(Instant, u64)>,
    queue: VecDeque<u64>,
    next_id: u64,
    scratch: Zeroizing<Box<[u8]>>,
    /// How much of it holds plaintext.
    scratch_used: usize,
    /// When a thread that has nothing to carry looks whether it is needed.
    leave_at: Option<Instant>,
    workload: Workload,
}

struct Slot {
    connection: Connection,
    /// When it wants to be looked at.
    timer: Option<Instant>,
    /// The entry that it has in the queue of timers, which is not later than that.
    queued_timer: Option<Instant>,
    queued: bool,
}

impl Carrier for Reactor {
    type Item = Connection;
    type Context = ();
    const LOADED: usize = CONNECTIONS_PER_THREAD;

    fn new((): &()) -> Result<Self> {
        let epoll = epoll::create(CreateFlags::CLOEXEC)
            .map_err(|errno| Error::system("make an epoll instance", errno.raw_os_error()))?;
        let epoll = PrivateFd::adopt(epoll)?;
        let wake = eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK)
            .map_err(|errno| Error::system("make an eventfd", errno.raw_os_error()))?;
        let wake = PrivateFd::adopt(wake)?;
        epoll::add(&epoll, &wake, EventData::new_u64(WAKE), EventFlags::IN)
            .map_err(|errno| Error::system("watch an eventfd", errno.raw_os_error()))?;
        Ok(Self { epoll, wake, made: Instant::now(), busy_until: AtomicU64::new(0) })
    }

    fn start(seat: Seat<Self>) -> Result<()> {
        spawn_without_signals(move || serve(&seat))
            .map(drop)
            .map_err(|error| not_started("start the relay thread", &error))
    }

    fn wake(&self) -> Result<()> {
        match retry_on_intr(|| rustix::io::write(&self.wake, &1_u64.to_ne_bytes())) {
            // A counter at its maximum wakes as well.
            Ok(_) | Err(Errno::AGAIN) => Ok(()),
            Err(errno) => Err(Error::system("wake the relay thread", errno.raw_os_error())),
        }
    }

    fn is_busy(&self) -> bool {
        self.busy_until.load(Ordering::Relaxed) > self.age(Instant::now())
    }

    /// This reads files.
    fn most_threads((): &()) -> usize {
        std::thread::available_parallelism().map_or(1, usize::from)
    }
}

impl Reactor {
    /// In milliseconds.
    fn age(&self, now: Instant) -> u64 {
        let age = now.saturating_duration_since(self.made);
        u64::try_from(age.as_millis()).unwrap_or(u64::MAX)
    }
}

fn serve(seat: &Seat<Reactor>) {
    let mut worker = Worker {
        seat,
        connections: HashMap::new(),
        timers: BTreeSet::new(),
        queue: VecDeque::new(),
        next_id: FIRST_CONNECTION,
        scratch: Zeroizing::new(vec![0; SCRATCH].into_boxed_slice()),
        scratch_used: 0,
        leave_at: Some(Instant::now() + LINGER),
        workload: Workload::new(),
    };
    let error = match panic::catch(|| worker.turn()) {
        Some(Ok(())) => return,
        // Nothing can be mended: a program that closes descriptors which are not its own.
        Some(Err(error)) => error,
        None => Error::internal("the relay thread panicked"),
    };
    seat.leave().for_each(|connection| worker.keep(connection));
    let all: Vec<_> = worker.connections.keys().copied().collect();
    for id in all {
        worker.fail(id, error.clone());
    }
}

impl Worker<'_> {
    /// Serves until the thread is not needed any more, or waiting for events fails.
    fn turn(&mut self) -> Result<()> {
        let mut events = Vec::with_capacity(EVENTS);
        loop {
            self.clear_scratch();
            let now = Instant::now();
            self.workload.pause(now, self.seat.carrier());
            let timeout = self.timeout(now);
            events.clear();
            let space = rustix::buffer::spare_capacity(&mut events);
            match epoll::wait(&self.seat.carrier().epoll, space, timeout.as_ref()) {
                Ok(_) | Err(Errno::INTR) => {}
                Err(errno) => {
                    return Err(Error::system("wait for events", errno.raw_os_error()));
                }
            }
            let now = Instant::now();
            self.workload.resume(now);
            for event in &events {
                self.note(event);
            }
            self.expire_timers(now);
            if self.may_leave(now) {
                return Ok(());
            }
            // Those that had more to do than their budget come back at the end of the queue.
            for _ in 0..self.queue.len() {
                if let Some(id) = self.queue.pop_front() {
                    self.run(id);
                }
            }
        }
    }

    fn timeout(&self, now: Instant) -> Option<Timespec> {
        if !self.queue.is_empty() {
            return Some(Timespec { tv_sec: 0, tv_nsec: 0 });
        }
        let timer = self.timers.first().map(|(when, _)| *when);
        let when = timer.into_iter().chain(self.leave_at).min()?;
        // Not more than older kernels can be told.
        let left = when.saturating_duration_since(now).min(LONGEST_WAIT);
        Timespec::try_from(left).ok()
    }

    /// A program's data must not outlive its use in the library's memory.
    fn clear_scratch(&mut self) {
        if self.queue.is_empty() {
            self.scratch[..std::mem::take(&mut self.scratch_used)].zeroize();
        }
    }

    fn note(&mut self, event: &Event) {
        let (data, flags) = (event.data.u64(), event.flags);
        if data == WAKE {
            let mut count = [0; 8];
            let _ = rustix::io::read(&self.seat.carrier().wake, &mut count);
            self.seat.take().for_each(|connection| self.welcome(connection));
            if exit::has_begun() {
                let all: Vec<_> = self.connections.keys().copied().collect();
                all.into_iter().for_each(|id| self.enqueue(id));
            }
            return;
        }
        let readiness = Readiness {
            read: flags.intersects(EventFlags::IN | EventFlags::ERR),
            write: flags.intersects(EventFlags::OUT | EventFlags::ERR),
            read_hang_up: flags.contains(EventFlags::RDHUP),
            hang_up: flags.contains(EventFlags::HUP),
            short_of_end: flags.intersects(EventFlags::PRI | EventFlags::ERR),
        };
        let id = data & !LIBRARY_SIDE;
        // An event that was fetched before its connection ended finds nobody.
        let Some(slot) = self.connections.get_mut(&id) else { return };
        if data & LIBRARY_SIDE == 0 {
            slot.connection.transport_event(readiness);
        } else {
            slot.connection.library_event(readiness);
        }
        self.enqueue(id);
    }

    fn welcome(&mut self, connection: Connection) {
        let id = self.next_id;
        let flags =
            EventFlags::IN | EventFlags::OUT | EventFlags::PRI | EventFlags::RDHUP | EventFlags::ET;
        let epoll = &self.seat.carrier().epoll;
        let mut watched = epoll::add(epoll, connection.transport(), EventData::new_u64(id), flags);
        if let (Ok(()), Some(library)) = (watched, connection.library()) {
            watched = epoll::add(epoll, library, EventData::new_u64(id | LIBRARY_SIDE), flags);
        }
        self.keep(connection);
        match watched {
            Ok(()) => self.enqueue(id),
            Err(errno) => {
                self.fail(id, Error::system("watch the connection", errno.raw_os_error()))
            }
        }
    }

    fn keep(&mut self, connection: Connection) {
        self.leave_at = None;
        let slot = Slot { connection, timer: None, queued_timer: None, queued: false };
        self.connections.insert(self.next_id, Box::new(slot));
        self.next_id += 2;
    }

    /// The relay cannot go on with a connection: the program gets a reset.
    fn fail(&mut self, id: u64, error: Error) {
        if let Some(slot) = self.connections.get_mut(&id) {
            slot.connection.give_up(error);
        }
        self.retire(id);
    }

    fn enqueue(&mut self, id: u64) {
        if let Some(slot) = self.connections.get_mut(&id)
            && !slot.queued
        {
            slot.queued = true;
            self.queue.push_back(id);
        }
    }

    fn expire_timers(&mut self, now: Instant) {
        while let Some((when, id)) = self.timers.first().copied() {
            if when > now {
                return;
            }
            self.timers.remove(&(when, id));
            let Some(slot) = self.connections.get_mut(&id) else { continue };
            slot.queued_timer = None;
            match slot.timer {
                // It was put off: that is looked at only now, since most timers are put off again
                // and again.
                Some(later) if later > now => self.set_timer(id, later),
                Some(_) => {
                    slot.timer = None;
                    self.enqueue(id);
                }
                None => {}
            }
        }
    }

    fn set_timer(&mut self, id: u64, when: Instant) {
        let Some(slot) = self.connections.get_mut(&id) else { return };
        slot.timer = Some(when);
        if slot.queued_timer.is_some_and(|queued| queued <= when) {
            return;
        }
        if let Some(queued) = slot.queued_timer.replace(when) {
            self.timers.remove(&(queued, id));
        }
        self.timers.insert((when, id));
    }

    /// Whether the thread has carried nothing for a while, and has left the others.
    fn may_leave(&mut self, now: Instant) -> bool {
        if self.leave_at.is_none_or(|when| when > now) {
            return false;
        }
        // The last one stays, and is woken by what comes.
        self.leave_at = None;
        self.connections.shrink_to_fit();
        self.queue.shrink_to_fit();
        self.seat.leave_unless_needed()
    }

    fn run(&mut self, id: u64) {
        let crowd = self.connections.len() > CROWD;
        let Some(slot) = self.connections.get_mut(&id) else { return };
        slot.queued = false;
        let scratch = &mut self.scratch;
        // One connection's bug must not end the others.
        let next = panic::catch(|| slot.connection.run(scratch, crowd)).unwrap_or_else(|| {
            slot.connection.give_up(Error::internal("the relay panicked"));
            Next::Done
        });
        self.scratch_used = self.scratch_used.max(slot.connection.take_scratch_used());
        slot.timer = None;
        match next {
            Next::Event => {}
            Next::Again => self.enqueue(id),
            Next::At(when) => self.set_timer(id, when),
            Next::Done => self.retire(id),
        }
    }

    fn retire(&mut self, id: u64) {
        let Some(mut slot) = self.connections.remove(&id) else { return };
        if let Some(timer) = slot.queued_timer {
            self.timers.remove(&(timer, id));
        }
        // A forked child may hold copies of the descriptors for a moment; without this they would
        // stay in the epoll instance, and the connection open.
        let epoll = &self.seat.carrier().epoll;
        let _ = epoll::delete(epoll, slot.connection.transport());
        if let Some(library) = slot.connection.library() {
            let _ = epoll::delete(epoll, library.as_fd());
        }
        slot.connection.retire();
        self.seat.done();
        if self.connections.is_empty() {
            self.leave_at = Some(Instant::now() + LINGER);
        }
    }
}

/// How much of its time the thread has worked lately.
struct Workload {
    /// The beginning of what is being measured.
    since: Instant,
    working_since: Instant,
    worked: Duration,
}

impl Workload {
    fn new() -> Self {
        let now = Instant::now();
        Self { since: now, working_since: now, worked: Duration::ZERO }
    }

    /// The thread is going to wait.
    fn pause(&mut self, now: Instant, reactor: &Reactor) {
        self.worked += now - self.working_since;
        let measured = now - self.since;
        if measured >= MEASURED {
            if self.worked * 2 >= measured {
                let until = reactor.age(now + 2 * MEASURED);
                reactor.busy_until.store(until, Ordering::Relaxed);
            }
            (self.since, self.worked) = (now, Duration::ZERO);
        }
    }

    fn resume(&mut self, now: Instant) {
        self.working_since = now;
    }
}

fn pool() -> &'static Arc<Pool<Reactor>> {
    POOL.get_or_init(|| Pool::new(()))
}

const WAKE: u64 = 0;
/// Identifiers are even; the lowest bit tells the two descriptors of a connection apart.
const FIRST_CONNECTION: u64 = 2;
const LIBRARY_SIDE: u64 = 1;
const EVENTS: usize = 256;
const LONGEST_WAIT: Duration = Duration::from_secs(3600);
const CONNECTIONS_PER_THREAD: usize = 64;
/// So many connections keep no buffers between their turns.
const CROWD: usize = 64;
/// For how long a thread that carries nothing waits for more before it ends.
const LINGER: Duration = Duration::from_secs(1);
/// Over how long it is measured how busy a thread is.
const MEASURED: Duration = Duration::from_millis(50);

static POOL: PerProcess<Arc<Pool<Reactor>>> = PerProcess::new();
