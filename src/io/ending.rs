//! The end of explicit sessions: what was accepted leaves, then close_notify, then the end of our
//! direction, then the peer's last words are read and dropped. Closing with unread input would
//! reset the connection and could destroy what was just sent.

use std::os::fd::BorrowedFd;
use std::time::{Duration, Instant};

use super::explicit::{ExplicitSession, Flush};
use super::transport::{self, Interest};

/// Ends the sessions, side by side, for at most `limit` in all, and for at most `stall` without a
/// byte moving on any of them.
pub fn end_all(
    sessions: &[(&ExplicitSession, Option<Duration>)],
    stall: Option<Duration>,
    limit: Option<Duration>,
) {
    let started = Instant::now();
    let mut moved_at = started;
    let mut endings: Vec<_> =
        sessions.iter().map(|(session, patience)| Ending::begin(session, *patience)).collect();
    loop {
        endings.retain_mut(|ending| {
            if ending.advance() {
                moved_at = Instant::now();
            }
            !matches!(ending.stage, Stage::Over)
        });
        if endings.is_empty() {
            return;
        }
        let left = |since: Instant, limit: Option<Duration>| {
            limit.map_or(FOR_EVER, |limit| limit.saturating_sub(since.elapsed()))
        };
        let patience = left(started, limit).min(left(moved_at, stall));
        if patience.is_zero() {
            return;
        }
        let waiting: Vec<_> = endings.iter().filter_map(Ending::waits_for).collect();
        let ends = endings.iter().map(|ending| ending.pause()).min().unwrap_or_default();
        // What the wait says does not matter: everything is looked at again.
        let _ = transport::wait_for_any(&waiting, patience.min(ends));
    }
}

/// One session on its way to its end.
struct Ending<'a> {
    session: &'a ExplicitSession,
    /// How long the peer's last words are awaited.
    patience: Option<Duration>,
    stage: Stage,
}

enum Stage {
    Flushing {
        /// Another thread is sending, and takes along what waits.
        busy: bool,
    },
    Draining {
        budget: usize,
        since: Instant,
    },
    Over,
}

impl<'a> Ending<'a> {
    fn begin(session: &'a ExplicitSession, patience: Option<Duration>) -> Self {
        // Without keys that may still be used, the end of the connection has to do.
        let _ = session.queue_close_notify();
        Self { session, patience, stage: Stage::Flushing { busy: false } }
    }

    /// Goes as far as that is possible without waiting. Whether a byte moved.
    fn advance(&mut self) -> bool {
        let mut moved = false;
        if let Stage::Flushing { busy } = &mut self.stage {
            let before = self.session.bytes_sent();
            let flushed = self.session.flush_control();
            moved |= self.session.bytes_sent() != before;
            match flushed {
                Ok(Flush::Done) => {
                    self.session.end_transport();
                    self.stage = Stage::Draining { budget: DRAIN_LIMIT, since: Instant::now() };
                }
                Ok(flush) => *busy = flush == Flush::Busy,
                Err(_) => self.stage = Stage::Over,
            }
        }
        if let Stage::Draining { budget, since } = &mut self.stage {
            let before = *budget;
            let ended = self.session.drop_input(budget);
            moved |= *budget != before;
            if ended || self.patience.is_some_and(|patience| since.elapsed() >= patience) {
                self.stage = Stage::Over;
            }
        }
        moved
    }

    fn waits_for(&self) -> Option<(BorrowedFd<'a>, Interest)> {
        let interest = match self.stage {
            Stage::Flushing { busy: false } => Interest { read: false, write: true },
            Stage::Draining { .. } => Interest { read: true, write: false },
            Stage::Flushing { busy: true } | Stage::Over => return None,
        };
        Some((self.session.transport(), interest))
    }

    /// How long nothing but the connection can bring it further.
    fn pause(&self) -> Duration {
        match self.stage {
            // The other thread may be getting on well: the transport's readiness says nothing.
            Stage::Flushing { busy: true } => BUSY_PAUSE,
            Stage::Draining { since, .. } => match self.patience {
                Some(patience) => patience.saturating_sub(since.elapsed()),
                None => FOR_EVER,
            },
            Stage::Flushing { busy: false } | Stage::Over => FOR_EVER,
        }
    }
}

const DRAIN_LIMIT: usize = 1024 * 1024;
const BUSY_PAUSE: Duration = Duration::from_millis(1);
const FOR_EVER: Duration = Duration::from_secs(365 * 24 * 3600);
