//! The threads that carry relayed connections.

use std::collections::{BTreeSet, HashMap, VecDeque};
use std::os::fd::AsFd;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use rustix::event::epoll::{self, CreateFlags, Event, EventData, EventFlags};
use rustix::event::{EventfdFlags, Timespec, eventfd};
use rustix::io::{Errno, retry_on_intr};

use zeroize::Zeroize;

use super::connection::{Connection, Next};
use super::exit;
use super::readiness::Readiness;
use crate::error::{Error, Result};
use crate::panic;
use crate::sys::private_fd::PrivateFd;
use crate::sys::process::PerProcess;
use crate::sys::thread::{not_started, spawn_without_signals};

/// Makes sure that there is a thread to carry a connection.
pub fn start() -> Result<()> {
    ensure_thread(&mut lock_reactors())
}

/// Hands a connection to the least loaded thread. If that fails the program's end is cut off.
pub fn adopt(connection: Connection) -> Result<()> {
    let mut connection = Some(connection);
    let outcome = hand_over(&mut connection);
    if let (Err(_), Some(connection)) = (&outcome, connection) {
        connection.cut_off();
    }
    outcome
}

fn ensure_thread(reactors: &mut Vec<Arc<Reactor>>) -> Result<()> {
    let loaded = reactors
        .iter()
        .all(|reactor| reactor.connections.load(Ordering::Relaxed) >= CONNECTIONS_PER_THREAD);
    if !loaded {
        return Ok(());
    }
    // This reads files: not for every connection.
    let processors = || std::thread::available_parallelism().map_or(1, usize::from);
    if !reactors.is_empty() && reactors.len() >= processors() {
        return Ok(());
    }
    match Reactor::spawn() {
        Ok(reactor) => reactors.push(reactor),
        Err(error) if reactors.is_empty() => return Err(error),
        // Those that there are have more to do.
        Err(_) => {}
    }
    Ok(())
}

/// Takes the connection out if it succeeds.
fn hand_over(connection: &mut Option<Connection>) -> Result<()> {
    // Held until the end: a thread that gives up looks into its inbox after it has left the list.
    let mut reactors = lock_reactors();
    ensure_thread(&mut reactors)?;
    let reactor = reactors
        .iter()
        .min_by_key(|reactor| reactor.connections.load(Ordering::Relaxed))
        .ok_or_else(|| Error::internal("no relay thread"))?;
    // Held as well: the thread is woken first, since that may fail, and finds it after that.
    let mut inbox = reactor.lock_inbox();
    reactor.wake()?;
    reactor.connections.fetch_add(1, Ordering::Relaxed);
    inbox.extend(connection.take());
    Ok(())
}

/// Has every connection looked at again.
pub fn wake_all() {
    let Some(reactors) = REACTORS.get() else { return };
    for reactor in reactors.lock().unwrap_or_else(PoisonError::into_inner).iter() {
        // The caller has a deadline.
        let _ = reactor.wake();
    }
}

struct Reactor {
    epoll: PrivateFd,
    wake: PrivateFd,
    inbox: Mutex<Vec<Connection>>,
    connections: AtomicUsize,
}

/// The state of the thread itself.
struct Worker<'a> {
    reactor: &'a Reactor,
    connections: HashMap<u64, Slot>,
    timers: BTreeSet<(Instant, u64)>,
    queue: VecDeque<u64>,
    next_id: u64,
    scratch: Box<[u8]>,
    /// How much of it holds plaintext.
    scratch_used: usize,
}

struct Slot {
    connection: Connection,
    timer: Option<Instant>,
    queued: bool,
}

impl Reactor {
    fn new() -> Result<Self> {
        let epoll = epoll::create(CreateFlags::CLOEXEC)
            .map_err(|errno| Error::system("make an epoll instance", errno.raw_os_error()))?;
        let epoll = PrivateFd::adopt(epoll)?;
        let wake = eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK)
            .map_err(|errno| Error::system("make an eventfd", errno.raw_os_error()))?;
        let wake = PrivateFd::adopt(wake)?;
        epoll::add(&epoll, &wake, EventData::new_u64(WAKE), EventFlags::IN)
            .map_err(|errno| Error::system("watch an eventfd", errno.raw_os_error()))?;
        Ok(Self { epoll, wake, inbox: Mutex::default(), connections: AtomicUsize::new(0) })
    }

    fn spawn() -> Result<Arc<Self>> {
        let reactor = Arc::new(Self::new()?);
        let worker = reactor.clone();
        spawn_without_signals(move || worker.serve())
            .map_err(|error| not_started("start the relay thread", &error))?;
        Ok(reactor)
    }

    fn wake(&self) -> Result<()> {
        match retry_on_intr(|| rustix::io::write(&self.wake, &1_u64.to_ne_bytes())) {
            // A counter at its maximum wakes as well.
            Ok(_) | Err(Errno::AGAIN) => Ok(()),
            Err(errno) => Err(Error::system("wake the relay thread", errno.raw_os_error())),
        }
    }

    fn serve(&self) {
        let mut worker = Worker {
            reactor: self,
            connections: HashMap::new(),
            timers: BTreeSet::new(),
            queue: VecDeque::new(),
            next_id: FIRST_CONNECTION,
            scratch: vec![0; SCRATCH].into_boxed_slice(),
            scratch_used: 0,
        };
        // It returns only when nothing can be mended: a program that closes descriptors which are
        // not its own, or a bug.
        let error = panic::catch(|| worker.turn())
            .unwrap_or_else(|| Error::internal("the relay thread panicked"));
        lock_reactors().retain(|reactor| !std::ptr::eq(&**reactor, self));
        let arrived = std::mem::take(&mut *self.lock_inbox());
        arrived.into_iter().for_each(|connection| worker.keep(connection));
        let all: Vec<_> = worker.connections.keys().copied().collect();
        for id in all {
            worker.fail(id, error.clone());
        }
    }

    fn lock_inbox(&self) -> MutexGuard<'_, Vec<Connection>> {
        self.inbox.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn lock_reactors() -> MutexGuard<'static, Vec<Arc<Reactor>>> {
    REACTORS.get_or_init(Mutex::default).lock().unwrap_or_else(PoisonError::into_inner)
}

impl Worker<'_> {
    /// Serves until waiting for events fails.
    fn turn(&mut self) -> Error {
        let mut events = Vec::with_capacity(EVENTS);
        loop {
            let timeout = self.timeout();
            self.clear_scratch();
            events.clear();
            let space = rustix::buffer::spare_capacity(&mut events);
            match epoll::wait(&self.reactor.epoll, space, timeout.as_ref()) {
                Ok(_) | Err(Errno::INTR) => {}
                Err(errno) => return Error::system("wait for events", errno.raw_os_error()),
            }
            for event in &events {
                self.note(event);
            }
            self.expire_timers();
            // Those that had more to do than their budget come back at the end of the queue.
            for _ in 0..self.queue.len() {
                if let Some(id) = self.queue.pop_front() {
                    self.run(id);
                }
            }
        }
    }

    fn timeout(&self) -> Option<Timespec> {
        if !self.queue.is_empty() {
            return Some(Timespec { tv_sec: 0, tv_nsec: 0 });
        }
        let (when, _) = self.timers.first()?;
        // Not more than older kernels can be told.
        let left = when.saturating_duration_since(Instant::now()).min(LONGEST_WAIT);
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
            let _ = rustix::io::read(&self.reactor.wake, &mut count);
            let arrived = std::mem::take(&mut *self.reactor.lock_inbox());
            arrived.into_iter().for_each(|connection| self.welcome(connection));
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
        let flags = EventFlags::IN | EventFlags::OUT | EventFlags::RDHUP | EventFlags::ET;
        let epoll = &self.reactor.epoll;
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
        self.connections.insert(self.next_id, Slot { connection, timer: None, queued: false });
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

    fn expire_timers(&mut self) {
        let now = Instant::now();
        while let Some((when, id)) = self.timers.first().copied() {
            if when > now {
                return;
            }
            self.timers.remove(&(when, id));
            if let Some(slot) = self.connections.get_mut(&id) {
                slot.timer = None;
            }
            self.enqueue(id);
        }
    }

    fn run(&mut self, id: u64) {
        let Some(slot) = self.connections.get_mut(&id) else { return };
        slot.queued = false;
        let scratch = &mut self.scratch;
        // One connection's bug must not end the others.
        let next = panic::catch(|| slot.connection.run(scratch)).unwrap_or_else(|| {
            slot.connection.give_up(Error::internal("the relay panicked"));
            Next::Done
        });
        self.scratch_used = self.scratch_used.max(slot.connection.take_scratch_used());
        if let Some(timer) = slot.timer.take() {
            self.timers.remove(&(timer, id));
        }
        match next {
            Next::Event => {}
            Next::Again => self.enqueue(id),
            Next::At(when) => {
                slot.timer = Some(when);
                self.timers.insert((when, id));
            }
            Next::Done => self.retire(id),
        }
    }

    fn retire(&mut self, id: u64) {
        let Some(mut slot) = self.connections.remove(&id) else { return };
        if let Some(timer) = slot.timer {
            self.timers.remove(&(timer, id));
        }
        // A forked child may hold copies of the descriptors for a moment; without this they would
        // stay in the epoll instance, and the connection open.
        let _ = epoll::delete(&self.reactor.epoll, slot.connection.transport());
        if let Some(library) = slot.connection.library() {
            let _ = epoll::delete(&self.reactor.epoll, library.as_fd());
        }
        slot.connection.retire();
        self.reactor.connections.fetch_sub(1, Ordering::Relaxed);
    }
}

const WAKE: u64 = 0;
/// Identifiers are even; the lowest bit tells the two descriptors of a connection apart.
const FIRST_CONNECTION: u64 = 2;
const LIBRARY_SIDE: u64 = 1;
const EVENTS: usize = 256;
const LONGEST_WAIT: Duration = Duration::from_secs(3600);
const SCRATCH: usize = 64 * 1024;
const CONNECTIONS_PER_THREAD: usize = 64;

static REACTORS: PerProcess<Mutex<Vec<Arc<Reactor>>>> = PerProcess::new();
