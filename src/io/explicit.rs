//! Explicit mode: the program's thread does the TLS inside `ssl_send` and `ssl_recv`.
//!
//! Three locks, always taken in this order: `reader` or `writer` (one call per direction at a
//! time, held for the length of the call), then `core` (the engine, held for computing and for
//! transfers that do not wait). So a blocked writer never holds up the reader, nor the reverse.

use std::os::fd::{AsFd, BorrowedFd};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError, TryLockError};
use std::time::Duration;

use super::deadline::Deadline;
use super::transport::{self, CallOptions, Interest, Transfer, Wake};
use crate::error::{Code, Error, Result};
use crate::sys::private_fd::PrivateFd;
use crate::tls::buffer::Buffer;
use crate::tls::engine::Engine;

/// An established session on a descriptor of the library's own.
pub struct ExplicitSession {
    transport: Arc<PrivateFd>,
    core: Mutex<Core>,
    reader: Mutex<()>,
    writer: Mutex<Buffer>,
    allow_truncation: bool,
    read_shut_down: AtomicBool,
}

/// How far a flush got.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Flush {
    Done,
    /// The transport takes no more for now.
    Blocked,
    /// Another thread is sending; it takes along what waits.
    Busy,
}

struct Core {
    engine: Engine,
    plaintext: Buffer,
}

impl ExplicitSession {
    pub fn new(transport: Arc<PrivateFd>, engine: Engine, allow_truncation: bool) -> Self {
        Self {
            transport,
            core: Mutex::new(Core { engine, plaintext: Buffer::new() }),
            reader: Mutex::default(),
            writer: Mutex::default(),
            allow_truncation,
            read_shut_down: AtomicBool::new(false),
        }
    }

    /// Answers how many bytes were received; 0 after the peer's close_notify.
    pub fn receive(&self, buffer: &mut [u8], options: CallOptions) -> Result<usize> {
        let Some(_turn) = enter(&self.reader, options.dont_wait) else {
            return Err(want_read());
        };
        let deadline = self.call_deadline(Direction::Read);
        let mut received = 0;
        loop {
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
                Err(_) if received > 0 => return Ok(received),
                Err(error) => return Err(error),
            }
            if self.is_non_blocking(options) {
                return if received > 0 { Ok(received) } else { Err(want_read()) };
            }
            let interest = Interest { read: true, write: matches!(flushed, Ok(Flush::Blocked)) };
            match transport::wait(self.transport.as_fd(), interest, None, &deadline)? {
                Wake::Ready | Wake::Cancelled => {}
                Wake::TimedOut if received > 0 => return Ok(received),
                Wake::TimedOut => return Err(timed_out("SO_RCVTIMEO", "received")),
            }
        }
    }

    /// Answers how many bytes were accepted: they leave, in order, with this or a later call.
    pub fn send(&self, data: &[u8], options: CallOptions) -> Result<usize> {
        let deadline = self.call_deadline(Direction::Write);
        let outcome = {
            let Some(mut queue) = enter(&self.writer, options.dont_wait) else {
                return Err(want_write());
            };
            self.send_in_turn(&mut queue, data, options, &deadline)
        };
        // The reader may have left something for us while we had the turn.
        let _ = self.flush_control();
        outcome
    }

    /// How many bytes `receive` can hand out without waiting for the peer.
    pub fn pending(&self) -> Result<usize> {
        let mut core = self.core();
        let Core { engine, plaintext } = &mut *core;
        if plaintext.len() < PLAINTEXT_LIMIT {
            let outcome = engine
                .decrypt(PLAINTEXT_LIMIT - plaintext.len(), &mut |bytes| plaintext.push(bytes));
            if plaintext.is_empty() {
                outcome?;
            }
        }
        Ok(plaintext.len())
    }

    /// Whether ciphertext of accepted data still waits for the peer.
    pub fn has_unsent(&self) -> bool {
        let queued = match self.writer.try_lock() {
            Ok(queue) => !queue.is_empty(),
            Err(_) => true,
        };
        queued || !self.core().engine.outgoing().is_empty()
    }

    /// Sends what waits as far as that goes without waiting.
    pub fn flush_control(&self) -> Result<Flush> {
        while !self.core().engine.outgoing().is_empty() || self.queue_waits() {
            // Whoever has the turn looks again after giving it back.
            let Some(mut queue) = enter(&self.writer, true) else { return Ok(Flush::Busy) };
            self.take_outgoing(&mut queue);
            if !self.flush_without_waiting(&mut queue)? {
                return Ok(Flush::Blocked);
            }
        }
        Ok(Flush::Done)
    }

    /// Waits until everything accepted has been handed to the transport.
    pub fn flush(&self, deadline: &Deadline) -> Result<()> {
        while self.flush_control()? != Flush::Done {
            let interest = Interest { read: false, write: true };
            if transport::wait(self.transport.as_fd(), interest, None, deadline)? == Wake::TimedOut
            {
                return Err(Error::new(Code::TIMEOUT, "the peer does not take the data sent"));
            }
        }
        Ok(())
    }

    /// Ends our direction with close_notify; receiving goes on.
    pub fn shut_down_write(&self, limit: Option<Duration>) -> Result<()> {
        self.core().engine.close_notify()?;
        if self.is_non_blocking(CallOptions::default()) {
            return match self.flush_control()? {
                Flush::Done => Ok(()),
                Flush::Blocked | Flush::Busy => Err(want_write()),
            };
        }
        self.flush(&Deadline::after(limit))
    }

    /// Ends the receiving direction and wakes a waiting reader.
    pub fn shut_down_read(&self) {
        self.read_shut_down.store(true, Ordering::Release);
        // An error means that the connection is gone already, which wakes the reader too.
        let _ = rustix::net::shutdown(&self.transport, rustix::net::Shutdown::Read);
    }

    /// Ends the session: close_notify, end of our direction, then the peer's data is read and
    /// dropped for at most `limit`: closing with unread input would reset the connection and
    /// could destroy what was just sent.
    pub fn close(&self, limit: Option<Duration>) {
        let deadline = Deadline::after(limit);
        let wait = !self.is_non_blocking(CallOptions::default());
        if self.core().engine.close_notify().is_err() {
            return;
        }
        let flushed = match wait {
            true => self.flush(&deadline).is_ok(),
            false => self.flush_control().is_ok_and(|flush| flush == Flush::Done),
        };
        let _ = rustix::net::shutdown(&self.transport, rustix::net::Shutdown::Write);
        if flushed {
            self.drain(&deadline, wait);
        }
    }

    pub fn transport(&self) -> BorrowedFd<'_> {
        self.transport.as_fd()
    }

    fn send_in_turn(
        &self,
        queue: &mut Buffer,
        data: &[u8],
        options: CallOptions,
        deadline: &Deadline,
    ) -> Result<usize> {
        let wait = !self.is_non_blocking(options);
        let mut accepted = 0;
        loop {
            self.take_outgoing(queue);
            while !self.flush_without_waiting(queue)? {
                let blocked = if !wait {
                    Some(want_write())
                } else {
                    let interest = Interest { read: false, write: true };
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
        let mut core = self.core();
        let Core { engine, plaintext } = &mut *core;
        loop {
            if !plaintext.is_empty() {
                let count = plaintext.len().min(buffer.len());
                buffer[..count].copy_from_slice(&plaintext.readable()[..count]);
                if !options.peek {
                    plaintext.consume(count);
                }
                return Ok(Some(count));
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
                _ if filled > 0 => return Ok(Some(filled)),
                _ if !plaintext.is_empty() => continue,
                Ok(_) => {}
                Err(error) => return Err(error),
            }
            if engine.peer_closed() || self.read_shut_down.load(Ordering::Acquire) {
                return Ok(Some(0));
            }
            match transport::receive(self.transport.as_fd(), engine.receive_space(READ_SIZE)?)? {
                Transfer::Bytes(count) => engine.received(count),
                Transfer::WouldBlock => return Ok(None),
                Transfer::End if self.read_shut_down.load(Ordering::Acquire) => return Ok(Some(0)),
                Transfer::End if self.allow_truncation => return Ok(Some(0)),
                Transfer::End => return engine.transport_ended().map(|()| Some(0)),
            }
        }
    }

    /// Moves what the engine has for the peer behind what waits already.
    fn take_outgoing(&self, queue: &mut Buffer) {
        let mut core = self.core();
        let outgoing = core.engine.outgoing_queue();
        if queue.is_empty() {
            std::mem::swap(queue, outgoing);
        } else {
            queue.push(outgoing.readable());
            outgoing.consume(outgoing.len());
        }
    }

    fn flush_without_waiting(&self, queue: &mut Buffer) -> Result<bool> {
        while !queue.is_empty() {
            match transport::send(self.transport.as_fd(), queue.readable())? {
                Transfer::Bytes(count) => queue.consume(count),
                Transfer::WouldBlock | Transfer::End => return Ok(false),
            }
        }
        Ok(true)
    }

    fn queue_waits(&self) -> bool {
        self.writer.try_lock().is_ok_and(|queue| !queue.is_empty())
    }

    /// Reads and drops until the peer's end, its close_notify, the deadline or a MiB.
    fn drain(&self, deadline: &Deadline, wait: bool) {
        let mut budget = DRAIN_LIMIT;
        let mut scrap = [0; 4096];
        while budget > 0 {
            match self.receive_without_waiting(&mut scrap, CallOptions::default()) {
                Ok(Some(0)) | Err(_) => return,
                Ok(Some(count)) => budget = budget.saturating_sub(count),
                Ok(None) if !wait => return,
                Ok(None) => {
                    let interest = Interest { read: true, write: false };
                    match transport::wait(self.transport.as_fd(), interest, None, deadline) {
                        Ok(Wake::Ready) => {}
                        _ => return,
                    }
                }
            }
        }
    }

    fn is_non_blocking(&self, options: CallOptions) -> bool {
        options.dont_wait || transport::is_non_blocking(self.transport.as_fd())
    }

    /// SO_RCVTIMEO and SO_SNDTIMEO bound the whole call.
    fn call_deadline(&self, direction: Direction) -> Deadline {
        let timeout = match direction {
            Direction::Read => rustix::net::sockopt::Timeout::Recv,
            Direction::Write => rustix::net::sockopt::Timeout::Send,
        };
        let limit = rustix::net::sockopt::socket_timeout(&self.transport, timeout);
        Deadline::after(limit.unwrap_or(None))
    }

    fn core(&self) -> MutexGuard<'_, Core> {
        self.core.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

enum Direction {
    Read,
    Write,
}

/// The turn of one direction; `None` if somebody else has it and the caller may not wait.
fn enter<T>(turn: &Mutex<T>, dont_wait: bool) -> Option<MutexGuard<'_, T>> {
    if !dont_wait {
        return Some(turn.lock().unwrap_or_else(PoisonError::into_inner));
    }
    match turn.try_lock() {
        Ok(guard) => Some(guard),
        Err(TryLockError::Poisoned(poisoned)) => Some(poisoned.into_inner()),
        Err(TryLockError::WouldBlock) => None,
    }
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
const READ_SIZE: usize = 64 * 1024;
const SEND_CHUNK: usize = 64 * 1024;
const DRAIN_LIMIT: usize = 1024 * 1024;
