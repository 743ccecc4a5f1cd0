//! What leaves an explicit session, and whose turn it is to send it.
//!
//! Ciphertext leaves in the order in which it was made: first the queue of whoever has the turn, then
//! what the engine has. Nobody waits for the turn only to flush: who has it looks again after giving it
//! back, and whoever leaves something that the peer does not take has the reader see to it.

use super::transport::Transfer;
use crate::error::Result;
use crate::sync::atomic::{AtomicBool, Ordering};
use crate::sync::{Mutex, MutexGuard, PoisonError, TryLockError, yield_now};
use crate::tls::buffer::Buffer;

#[derive(Default)]
pub struct Outgoing {
    /// The turn, for the length of one call, and what of the ciphertext has not left yet.
    queue: Mutex<Buffer>,
    /// Whether the queue holds something. Set under the engine's lock, so that under it it is known
    /// whether anything has not left yet.
    unsent: AtomicBool,
    /// A call that may wait has the turn.
    is_waiting: AtomicBool,
}

/// The rest of the session.
pub trait Session {
    /// Shows what the engine has made for the peer, under its lock.
    fn with_made<R>(&self, look: impl FnOnce(&mut Buffer) -> R) -> R;

    fn send_without_waiting(&self, bytes: &[u8]) -> Result<Transfer>;

    /// Makes a waiting reader look around: it flushes, and waits for the peer to take more.
    fn wake_reader(&self);
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

/// The turn to send.
pub struct Turn<'a, S> {
    outgoing: &'a Outgoing,
    session: &'a S,
    queue: MutexGuard<'a, Buffer>,
}

impl Outgoing {
    /// Whether ciphertext still waits for the peer.
    pub fn has_unsent(&self, session: &impl Session) -> bool {
        session.with_made(|made| self.unsent.load(Ordering::Acquire) || !made.is_empty())
    }

    /// Sends what waits as far as that goes without waiting.
    pub fn flush(&self, session: &impl Session) -> Result<Flush> {
        while self.has_unsent(session) {
            // Whoever has the turn looks again after giving it back.
            let Some(queue) = try_enter(&self.queue) else { return Ok(Flush::Busy) };
            let mut turn = Turn { outgoing: self, session, queue };
            turn.take();
            if !turn.send()? {
                return Ok(Flush::Blocked);
            }
        }
        Ok(Flush::Done)
    }

    /// The same, by somebody who then goes away: what the peer does not take is the reader's to send. It
    /// may have left something itself meanwhile, to whoever had the turn.
    pub fn flush_and_leave(&self, session: &impl Session) -> Result<Flush> {
        let flushed = self.flush(session);
        if matches!(flushed, Ok(Flush::Blocked)) {
            session.wake_reader();
        }
        flushed
    }

    /// One call that sends. `None` if somebody else has the turn and it may not be waited for. Whether
    /// the call itself may wait, others ask meanwhile.
    pub fn in_turn<S: Session, R>(
        &self,
        session: &S,
        wait_for_turn: bool,
        may_wait: bool,
        call: impl FnOnce(&mut Turn<'_, S>) -> R,
    ) -> Option<R> {
        let outcome = {
            let queue = self.enter(wait_for_turn)?;
            self.is_waiting.store(may_wait, Ordering::Release);
            let mut turn = Turn { outgoing: self, session, queue };
            let outcome = call(&mut turn);
            self.is_waiting.store(false, Ordering::Release);
            // The program may not come back for long.
            turn.queue.release();
            outcome
        };
        // The reader may have left something for us while we had the turn.
        let _ = self.flush_and_leave(session);
        Some(outcome)
    }

    /// Whether a call that may wait for the peer has the turn.
    pub fn is_waiting(&self) -> bool {
        self.enter_for_a_moment().is_none()
    }

    fn enter(&self, wait: bool) -> Option<MutexGuard<'_, Buffer>> {
        match wait {
            true => Some(self.queue.lock().unwrap_or_else(PoisonError::into_inner)),
            false => self.enter_for_a_moment(),
        }
    }

    /// Somebody who only flushes has the turn for a moment, which is no reason to tell the program
    /// that the peer is not reading.
    fn enter_for_a_moment(&self) -> Option<MutexGuard<'_, Buffer>> {
        loop {
            match try_enter(&self.queue) {
                Some(queue) => return Some(queue),
                None if self.is_waiting.load(Ordering::Acquire) => return None,
                None => yield_now(),
            }
        }
    }
}

impl<S: Session> Turn<'_, S> {
    /// Moves what the engine has for the peer behind what waits already.
    pub fn take(&mut self) {
        let queue = &mut *self.queue;
        self.session.with_made(|made| {
            if queue.is_empty() {
                std::mem::swap(queue, made);
            } else {
                queue.push(made.readable());
                made.consume(made.len());
            }
            self.outgoing.unsent.store(!queue.is_empty(), Ordering::Release);
        });
    }

    /// Sends the queue. False: the transport takes no more for now.
    pub fn send(&mut self) -> Result<bool> {
        while !self.queue.is_empty() {
            match self.session.send_without_waiting(self.queue.readable()) {
                Ok(Transfer::Bytes(count)) => self.queue.consume(count),
                Ok(Transfer::WouldBlock | Transfer::End) => return Ok(false),
                Err(error) => {
                    // It will never leave.
                    let left = self.queue.len();
                    self.queue.consume(left);
                    self.outgoing.unsent.store(false, Ordering::Release);
                    return Err(error);
                }
            }
        }
        self.outgoing.unsent.store(false, Ordering::Release);
        Ok(true)
    }
}

/// The turn of one direction, if nobody has it.
pub fn try_enter<T>(turn: &Mutex<T>) -> Option<MutexGuard<'_, T>> {
    match turn.try_lock() {
        Ok(guard) => Some(guard),
        Err(TryLockError::Poisoned(poisoned)) => Some(poisoned.into_inner()),
        Err(TryLockError::WouldBlock) => None,
    }
}

#[cfg(all(test, sslsock_model))]
mod model;
