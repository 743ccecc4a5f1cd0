//! Explicit mode: the program's thread does the TLS inside `ssl_send` and `ssl_recv`.
//!
//! The locks, always taken in this order: `reader` or the turn to send (one call per direction at a
//! time, held for the length of the call), `in_send`, then `core` (the engine, held for computing and
//! for transfers that do not wait). So a blocked writer never holds up the reader, nor the reverse.
//!
//! A waiting reader has a wake-up descriptor, by which it learns that the handle was freed, or that a
//! writer went away without getting rid of everything.

use std::os::fd::{AsFd, BorrowedFd};
use std::time::{Duration, Instant};

use super::deadline::Deadline;
use super::ending::{self, Rest};
pub use super::outgoing::Flush;
use super::outgoing::{Outgoing, Session, Turn, try_enter};
use super::transport::{self, CallOptions, Interest, Transfer, Wake};
use super::wake_up::WakeUp;
use crate::error::{Code, Error, Result};
use crate::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use crate::sync::{Arc, Mutex, MutexGuard, PoisonError};
use crate::sys::private_fd::PrivateFd;
use crate::sys::socket_options;
use crate::tls::buffer::Buffer;
use crate::tls::engine::Engine;

/// An established session on a descriptor of the library's own.
pub struct ExplicitSession {
    transport: Arc<PrivateFd>,
    core: Mutex<Core>,
    reader: Mutex<()>,
    outgoing: Outgoing,
    /// Only grows, and wraps around.
    bytes_sent: AtomicUsize,
    /// Held by whoever is inside the system call that sends, which does not wait, until it has said
    /// how that failed.
    in_send: Mutex<()>,
    wake_up: WakeUp,
    options: SessionOptions,
    read_shut_down: AtomicBool,
    freed: AtomicBool,
    /// What is sent now leaves with the end of our direction.
    end_follows: AtomicBool,
    direction_ended: AtomicBool,
}

/// What the program chose before the handshake.
#[derive(Clone, Copy, Debug, Default)]
pub struct SessionOptions {
    pub allow_truncation: bool,
    /// No call waits, whatever the descriptor's `O_NONBLOCK` says.
    pub non_blocking: bool,
}

struct Core {
    engine: Engine,
    plaintext: Buffer,
    /// What the kernel said when it broke the connection: it says so only once.
    broken: Option<Error>,
}

impl ExplicitSession {
    pub fn new(transport: Arc<PrivateFd>, mut engine: Engine, options: SessionOptions) -> Self {
        // The handshake's.
        engine.release_memory();
        Self {
            transport,
            core: Mutex::new(Core { engine, plaintext: Buffer::new(), broken: None }),
            reader: Mutex::default(),
            outgoing: Outgoing::default(),
            bytes_sent: AtomicUsize::new(0),
            in_send: Mutex::default(),
            wake_up: WakeUp::default(),
            options,
            read_shut_down: AtomicBool::new(false),
            freed: AtomicBool::new(false),
            end_follows: AtomicBool::new(false),
            direction_ended: AtomicBool::new(false),
        }
    }

    /// Answers how many bytes were received; 0 after the peer's close_notify.
    pub fn receive(&self, buffer: &mut [u8], options: CallOptions) -> Result<usize> {
        let started = Instant::now();
        let Some(_turn) = self.enter_as_reader(options) else { return Err(want_read()) };
        let mut deadline = None;
        let mut received = 0;
        loop {
            if self.freed.load(Ordering::Acquire) {
                return Err(freed());
            }
            let progress = self.receive_without_waiting(&mut buffer[received..], options);
            // KeyUpdate answers and alerts may have come up.
            let flushed = self.flush_control();
            match progress {
                Ok(Some(count)) => {
                    received += count;
                    let enough = received == buffer.len() || !options.wait_all || options.peek;
                    if enough || count == 0 {
                        return Ok(received);
                    }
                    continue;
                }
                Ok(None) => {}
                // The next call will say the same again.
                Err(_) if received > 0 => return Ok(received),
                Err(error) => return Err(error),
            }
            if self.is_non_blocking(options) {
                return if received > 0 { Ok(received) } else { Err(want_read()) };
            }
            let interest = Interest { read: true, write: matches!(flushed, Ok(Flush::Blocked)) };
            let deadline =
                deadline.get_or_insert_with(|| self.call_deadline(Direction::Read, started));
            // Bytes that keep coming must not put off the end of the call.
            if !self.wake_up.is_there() && !deadline.is_over() {
                // An answer that is on its way needs no descriptor more.
                let left = deadline.remaining().map_or(MOMENT, |left| left.min(MOMENT));
                let moment = Deadline::after(Some(left));
                if transport::wait(self.transport.as_fd(), interest, None, &moment)? == Wake::Ready
                {
                    continue;
                }
            }
            let (wake_up, is_new) = self.wake_up.get_or_make();
            if is_new || (wake_up.is_none() && self.is_to_end()) {
                // Whoever ended it may not have seen yet how the reader waits.
                continue;
            }
            match transport::wait_or_wake(self.transport.as_fd(), interest, wake_up, deadline)? {
                Wake::Ready | Wake::Cancelled => {}
                Wake::TimedOut if received > 0 => return Ok(received),
                Wake::TimedOut => return Err(timed_out("SO_RCVTIMEO", "received")),
            }
        }
    }

    /// Answers how many bytes were accepted: they leave, in order, with this or a later call.
    pub fn send(&self, data: &[u8], options: CallOptions) -> Result<usize> {
        let started = Instant::now();
        let wait = !self.is_non_blocking(options);
        // Somebody else's turn is waited for whatever the descriptor's `O_NONBLOCK` says.
        let wait_for_turn = !options.dont_wait && !self.options.non_blocking;
        let outcome = self.outgoing.in_turn(self, wait_for_turn, wait, |turn| {
            self.send_in_turn(turn, data, wait, started)
        });
        let Some(outcome) = outcome else { return Err(want_write()) };
        outcome.map_err(|error| if self.freed.load(Ordering::Acquire) { freed() } else { error })
    }

    /// How many bytes `receive` can hand out without waiting for the peer.
    pub fn pending(&self) -> Result<usize> {
        let outcome = {
            let mut core = self.core();
            let Core { engine, plaintext, .. } = &mut *core;
            let room = PLAINTEXT_LIMIT.saturating_sub(plaintext.len());
            let outcome = engine.decrypt(room, &mut |bytes| plaintext.push(bytes));
            if plaintext.is_empty() { outcome.map(|_| 0) } else { Ok(plaintext.len()) }
        };
        let _ = self.outgoing.flush_and_leave(self);
        outcome
    }

    /// Whether ciphertext of accepted data still waits for the peer.
    pub fn has_unsent(&self) -> bool {
        self.outgoing.has_unsent(self)
    }

    /// The same, or it waits in the kernel for the peer's acknowledgement.
    pub fn is_busy(&self) -> bool {
        self.has_unsent()
            || socket_options::unsent_bytes(self.transport.as_fd()).is_ok_and(|count| count > 0)
    }

    /// Sends what waits as far as that goes without waiting.
    pub fn flush_control(&self) -> Result<Flush> {
        self.outgoing.flush(self)
    }

    /// Waits until everything accepted has been handed to the transport.
    pub fn flush(&self, deadline: &Deadline) -> Result<()> {
        loop {
            let over = match self.flush_control()? {
                Flush::Done => return Ok(()),
                // The other thread may be getting on well: the transport's readiness says nothing.
                Flush::Busy => {
                    std::thread::sleep(BUSY_PAUSE);
                    deadline.is_over()
                }
                Flush::Blocked => {
                    let interest = Interest { read: false, write: true };
                    transport::wait(self.transport.as_fd(), interest, None, deadline)?
                        == Wake::TimedOut
                }
            };
            if over {
                self.wake_reader();
                return Err(Error::new(Code::TIMEOUT, "the peer does not take the data sent"));
            }
        }
    }

    /// Ends our direction with close_notify; receiving goes on.
    pub fn shut_down_write(&self, limit: Option<Duration>) -> Result<()> {
        self.core().engine.close_notify()?;
        if !self.is_non_blocking(CallOptions::default()) {
            return self.flush(&Deadline::after(limit));
        }
        match self.flush_control()? {
            Flush::Done => Ok(()),
            Flush::Blocked | Flush::Busy => {
                self.wake_reader();
                Err(want_write())
            }
        }
    }

    /// Ends the receiving direction and wakes a waiting reader.
    ///
    /// The kernel is not told: once our direction has ended, too, it would answer what the peer
    /// still says with a reset, which destroys what is on its way there.
    pub fn shut_down_read(&self) {
        self.read_shut_down.store(true, Ordering::SeqCst);
        self.wake_reader();
        self.wake_unwakeable_reader();
    }

    /// Ends the session: close_notify, end of our direction, then the peer's data is read and
    /// dropped for at most `limit`: closing with unread input would reset the connection and
    /// could destroy what was just sent. Where that may not be waited for, or what was accepted
    /// has not left in time, a thread of the library's goes on with it. A call that waits on
    /// another thread fails.
    pub fn close(self: Arc<Self>, limit: Option<Duration>) {
        self.freed.store(true, Ordering::SeqCst);
        self.wake_reader();
        let wait = !self.is_non_blocking(CallOptions::default());
        let time = if wait { limit } else { Some(Duration::ZERO) };
        let go_on = match ending::end_all(&[(&self, None)], None, time) {
            Rest::Nothing => false,
            Rest::LastWords => !wait,
            // A writer that waits is to be woken, and then nothing can be sent any more.
            Rest::Data => !self.outgoing.is_waiting(),
        };
        match go_on {
            true => ending::end_later(self.clone(), limit),
            false => self.end_transport(),
        }
        self.wake_unwakeable_reader();
    }

    /// To be followed by [`Self::end_transport`], with which it leaves.
    pub(super) fn queue_close_notify(&self) -> Result<()> {
        let queued = self.core().engine.close_notify();
        self.end_follows.store(true, Ordering::Release);
        queued
    }

    /// The end of our direction, as TCP sees it.
    pub(super) fn end_transport(&self) {
        if !self.direction_ended.swap(true, Ordering::AcqRel) {
            let _ = rustix::net::shutdown(&self.transport, rustix::net::Shutdown::Write);
        }
    }

    /// Then the transport shows an end of input that is not the peer's.
    pub(super) fn is_read_shut_down(&self) -> bool {
        self.read_shut_down.load(Ordering::Acquire)
    }

    /// Reads and drops what is there, and takes it off `budget`, be there data in it or not.
    /// Whether the peer has ended its direction.
    pub(super) fn drop_input(&self, budget: &mut usize) -> bool {
        let mut core = self.core();
        let Core { engine, plaintext, .. } = &mut *core;
        plaintext.consume(plaintext.len());
        // Others want their turn, too.
        let mut turn = FRUITLESS_LIMIT;
        while turn > 0 {
            let is_readable = engine.decrypt(usize::MAX, &mut |_| {}).is_ok();
            if is_readable && engine.peer_closed() {
                return true;
            }
            let transport = self.transport.as_fd();
            let received = match is_readable.then(|| engine.receive_space()) {
                Some(Ok(space)) => {
                    let received = transport::receive(transport, space);
                    if let Ok(Transfer::Bytes(count)) = &received {
                        engine.received(*count);
                    }
                    received
                }
                _ => transport::receive(transport, &mut [0; 4096]),
            };
            match received {
                Ok(Transfer::Bytes(count)) => {
                    *budget = budget.saturating_sub(count);
                    turn = turn.saturating_sub(count);
                }
                Ok(Transfer::WouldBlock) => return false,
                Ok(Transfer::End) => return !self.is_read_shut_down(),
                Err(_) => return true,
            }
        }
        false
    }

    /// How much ciphertext the transport has taken so far.
    pub(super) fn bytes_sent(&self) -> usize {
        self.bytes_sent.load(Ordering::Relaxed)
    }

    pub fn transport(&self) -> BorrowedFd<'_> {
        self.transport.as_fd()
    }

    fn send_in_turn(
        &self,
        turn: &mut Turn<'_, Self>,
        data: &[u8],
        wait: bool,
        started: Instant,
    ) -> Result<usize> {
        {
            let core = self.core();
            if let Some(error) = &core.broken {
                return Err(error.clone());
            }
            if !data.is_empty() {
                core.engine.check_can_send()?;
            }
        }
        let mut deadline = None;
        let mut accepted = 0;
        loop {
            turn.take();
            while !turn.send()? {
                let blocked = if !wait {
                    Some(want_write())
                } else {
                    let interest = Interest { read: false, write: true };
                    let deadline = deadline
                        .get_or_insert_with(|| self.call_deadline(Direction::Write, started));
                    match transport::wait(self.transport.as_fd(), interest, None, deadline)? {
                        Wake::Ready | Wake::Cancelled => None,
                        Wake::TimedOut => Some(timed_out("SO_SNDTIMEO", "sent")),
                    }
                };
                match blocked {
                    None => {}
                    Some(_) if accepted > 0 => return Ok(accepted),
                    Some(error) => return Err(error),
                }
            }
            if accepted == data.len() {
                return Ok(accepted);
            }
            let chunk = &data[accepted..data.len().min(accepted + SEND_CHUNK)];
            match self.core().engine.encrypt(chunk) {
                Ok(()) => accepted += chunk.len(),
                Err(_) if accepted > 0 => return Ok(accepted),
                Err(error) => return Err(error),
            }
        }
    }

    /// `None`: nothing there without waiting. `Some(0)`: the end.
    fn receive_without_waiting(
        &self,
        buffer: &mut [u8],
        options: CallOptions,
    ) -> Result<Option<usize>> {
        let outcome = {
            let mut core = self.core();
            let outcome = self.receive_under_lock(&mut core, buffer, options);
            // The program may not come back for long.
            core.plaintext.release();
            core.engine.release_queues();
            outcome?
        };
        match outcome {
            Arrived::Data(count) => Ok(Some(count)),
            Arrived::Nothing => Ok(None),
            Arrived::EndOfTransport => self.transport_ended().map(|()| Some(0)),
        }
    }

    fn receive_under_lock(
        &self,
        core: &mut Core,
        buffer: &mut [u8],
        options: CallOptions,
    ) -> Result<Arrived> {
        let Core { engine, plaintext, broken } = core;
        // A peer that sends tickets for ever must not keep us, nor the writer from the engine.
        let mut budget = FRUITLESS_LIMIT;
        loop {
            if !plaintext.is_empty() {
                let count = plaintext.len().min(buffer.len());
                buffer[..count].copy_from_slice(&plaintext.readable()[..count]);
                if !options.peek {
                    plaintext.consume(count);
                }
                return Ok(Arrived::Data(count));
            }
            // Straight into the program's buffer; what does not fit waits for the next call.
            let mut filled = 0;
            let outcome = engine.decrypt(buffer.len(), &mut |bytes| {
                let fits = if options.peek { 0 } else { bytes.len().min(buffer.len() - filled) };
                buffer[filled..filled + fits].copy_from_slice(&bytes[..fits]);
                filled += fits;
                plaintext.push(&bytes[fits..]);
            });
            match outcome {
                _ if filled > 0 => return Ok(Arrived::Data(filled)),
                _ if !plaintext.is_empty() => continue,
                Ok(_) => {}
                Err(error) => return Err(error),
            }
            if engine.peer_closed() || self.read_shut_down.load(Ordering::Acquire) {
                return Ok(Arrived::Data(0));
            }
            if budget == 0 {
                return Ok(Arrived::Nothing);
            }
            match transport::receive(self.transport.as_fd(), engine.receive_space()?) {
                Ok(Transfer::Bytes(count)) => {
                    engine.received(count);
                    budget = budget.saturating_sub(count);
                }
                Ok(Transfer::WouldBlock) => return Ok(Arrived::Nothing),
                Ok(Transfer::End) if self.read_shut_down.load(Ordering::Acquire) => {
                    return Ok(Arrived::Data(0));
                }
                Ok(Transfer::End) => return Ok(Arrived::EndOfTransport),
                Err(error) => return Err(broken.get_or_insert(error).clone()),
            }
        }
    }

    /// The end of the peer's direction without close_notify: a truncation, unless it was a reset.
    fn transport_ended(&self) -> Result<()> {
        // Of that the kernel tells once, and it may have told a sender that has not come round to
        // saying so.
        drop(self.in_send.lock());
        let mut core = self.core();
        match &core.broken {
            Some(error) => Err(error.clone()),
            None if self.options.allow_truncation => Ok(()),
            None => core.engine.transport_ended(),
        }
    }

    /// The kernel refused to send: remembers why, or answers what is known already.
    fn broke(&self, error: Error) -> Error {
        let mut core = self.core();
        match &core.broken {
            Some(first) => first.clone(),
            // One direction can be over while the peer's data can still be read.
            None if error.sys_errno == libc::EPIPE => error,
            None => core.broken.insert(error).clone(),
        }
    }

    fn is_non_blocking(&self, options: CallOptions) -> bool {
        options.dont_wait
            || self.options.non_blocking
            || transport::is_non_blocking(self.transport.as_fd())
    }

    /// SO_RCVTIMEO and SO_SNDTIMEO bound the whole call.
    fn call_deadline(&self, direction: Direction, started: Instant) -> Deadline {
        let timeout = match direction {
            Direction::Read => rustix::net::sockopt::Timeout::Recv,
            Direction::Write => rustix::net::sockopt::Timeout::Send,
        };
        let limit = rustix::net::sockopt::socket_timeout(&self.transport, timeout);
        Deadline::since(started, limit.unwrap_or(None))
    }

    /// `None` if somebody else has the turn and the caller may not wait for it.
    fn enter_as_reader(&self, options: CallOptions) -> Option<MutexGuard<'_, ()>> {
        if options.dont_wait || self.options.non_blocking {
            return try_enter(&self.reader);
        }
        Some(self.reader.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Whether a reader has to look around instead of waiting.
    fn is_to_end(&self) -> bool {
        self.freed.load(Ordering::SeqCst) || self.read_shut_down.load(Ordering::SeqCst)
    }

    /// To be called after what a waiting reader is to find has been set. One that waits for a moment
    /// only comes round to it by itself: what the peer still says must not be answered with a reset
    /// for its sake.
    fn wake_unwakeable_reader(&self) {
        if self.wake_up.is_missing() && try_enter(&self.reader).is_none() {
            let _ = rustix::net::shutdown(&self.transport, rustix::net::Shutdown::Read);
        }
    }

    fn core(&self) -> MutexGuard<'_, Core> {
        self.core.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Session for ExplicitSession {
    fn with_made<R>(&self, look: impl FnOnce(&mut Buffer) -> R) -> R {
        look(self.core().engine.outgoing_queue())
    }

    fn send_without_waiting(&self, bytes: &[u8]) -> Result<Transfer> {
        let _in_send = self.in_send.lock();
        let transport = self.transport.as_fd();
        let sent = match self.end_follows.load(Ordering::Acquire) {
            true => transport::send_before_end(transport, bytes),
            false => transport::send(transport, bytes),
        };
        if let Ok(Transfer::Bytes(count)) = &sent {
            self.bytes_sent.fetch_add(*count, Ordering::Relaxed);
        }
        sent.map_err(|error| self.broke(error))
    }

    /// Makes a waiting reader look around.
    fn wake_reader(&self) {
        self.wake_up.signal();
    }
}

/// What a receive that does not wait came to.
enum Arrived {
    /// So many bytes; none: the end.
    Data(usize),
    Nothing,
    /// Without close_notify.
    EndOfTransport,
}

enum Direction {
    Read,
    Write,
}

fn freed() -> Error {
    Error::new(Code::BAD_HANDLE, "another thread freed the handle during this call")
}

fn want_read() -> Error {
    would_block(Code::WANT_READ, "nothing to receive yet: wait until the socket can be read")
}

fn want_write() -> Error {
    would_block(Code::WANT_WRITE, "the peer is not reading: wait until the socket can be written")
}

fn timed_out(option: &str, what: &str) -> Error {
    would_block(Code::TIMEOUT, &format!("nothing could be {what} within {option}"))
}

fn would_block(code: Code, text: &str) -> Error {
    Error { sys_errno: libc::EAGAIN, ..Error::new(code, text) }
}

const PLAINTEXT_LIMIT: usize = 64 * 1024;
const SEND_CHUNK: usize = 64 * 1024;
/// How much of the peer's ciphertext is read in one go without any data in it.
const FRUITLESS_LIMIT: usize = 1024 * 1024;
/// So long a reader that waits for the first time cannot be woken. For less than a tick of the
/// kernel's clock it would set an alarm of its own, at the cost of a good part of a round trip.
const MOMENT: Duration = Duration::from_millis(10);
const BUSY_PAUSE: Duration = Duration::from_millis(1);
