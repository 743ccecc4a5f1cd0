//! The end of explicit sessions: what was accepted leaves, then close_notify, then the end of our
//! direction, then the peer's last words are read and dropped. Closing with unread input would
//! reset the connection and could destroy what was just sent.

use std::ops::Deref;
use std::os::fd::BorrowedFd;
use std::time::{Duration, Instant};

use rustix::net::sockopt;

use super::backlog::Backlog;
use super::explicit::{ExplicitSession, Flush};
use super::transport::{self, Interest};
use crate::panic;
use crate::sync::Arc;
use crate::sys::process::PerProcess;
use crate::sys::socket_options::{endangered_bytes, unsent_bytes};
use crate::sys::thread::spawn_without_signals;

/// What is left to be done for sessions whose time is over.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Rest {
    Nothing,
    /// The peer's last words.
    LastWords,
    /// What was accepted for sending.
    Data,
}

/// Ends the sessions, side by side, for at most `limit` in all, and for at most `stall` without a
/// byte moving on any of them.
pub fn end_all(
    sessions: &[(&ExplicitSession, Option<Duration>)],
    stall: Option<Duration>,
    limit: Option<Duration>,
) -> Rest {
    let started = Instant::now();
    let mut moved_at = started;
    let mut endings: Vec<_> =
        sessions.iter().map(|(session, patience)| Ending::begin(*session, *patience)).collect();
    loop {
        endings.retain_mut(|ending| {
            if ending.advance() {
                moved_at = Instant::now();
            }
            ending.rest() != Rest::Nothing
        });
        if endings.is_empty() {
            return Rest::Nothing;
        }
        let left = |since: Instant, limit: Option<Duration>| {
            limit.map_or(FOR_EVER, |limit| limit.saturating_sub(since.elapsed()))
        };
        let patience = left(started, limit).min(left(moved_at, stall));
        if patience.is_zero() {
            // Some may have come to the peer's last words just now.
            endings.iter_mut().for_each(|ending| {
                ending.advance();
            });
            return endings.iter().map(Ending::rest).max().unwrap_or(Rest::Nothing);
        }
        wait(endings.iter(), patience);
    }
}

/// Has a thread of the library's end the session, which has been freed: the program neither waits
/// nor loses what was accepted. The thread lives as long as there is something to do.
pub fn end_later(session: Arc<ExplicitSession>, patience: Option<Duration>) {
    // The kernel's lingering in the last close would hold up the others. A limit of 0 is an abort,
    // and stays.
    if matches!(sockopt::socket_linger(session.transport()), Ok(Some(time)) if !time.is_zero()) {
        let _ = sockopt::set_socket_linger(session.transport(), None);
    }
    let start = || spawn_without_signals(serve).map(drop);
    if let Err((_, left)) = later().add(Later { session, patience }, start) {
        left.iter().for_each(|later| later.session.end_transport());
    }
}

/// The sessions that [`end_later`] has not ended yet, and how long each peer's last words are
/// awaited.
pub fn ending_later() -> Vec<(Arc<ExplicitSession>, Option<Duration>)> {
    let all = LATER.get().map(Backlog::all).unwrap_or_default();
    all.iter().map(|later| (later.session.clone(), later.patience)).collect()
}

/// The thread.
fn serve() {
    if panic::catch(end_what_comes).is_none() {
        later().abandon();
    }
}

fn end_what_comes() {
    let mut endings: Vec<(Ending<Arc<ExplicitSession>>, Arc<Later>)> = Vec::new();
    while let Some(new) = later().take(endings.is_empty()) {
        endings.extend(
            new.into_iter().map(|new| (Ending::begin(new.session.clone(), new.patience), new)),
        );
        endings.retain_mut(|(ending, entry)| {
            ending.advance();
            let is_over = ending.rest() == Rest::Nothing || ending.has_stalled();
            if is_over {
                ending.session.end_transport();
                later().done(entry);
            }
            !is_over
        });
        wait(endings.iter().map(|(ending, _)| ending), NEWCOMERS_WAIT);
    }
}

fn wait<'a, S: Deref<Target = ExplicitSession> + 'a>(
    endings: impl Iterator<Item = &'a Ending<S>> + Clone,
    limit: Duration,
) {
    let waiting: Vec<_> = endings.clone().filter_map(Ending::waits_for).collect();
    let pause = endings.map(Ending::pause).min().unwrap_or_default();
    // What the wait says does not matter: everything is looked at again.
    let _ = transport::wait_for_any(&waiting, limit.min(pause));
}

/// One session on its way to its end.
struct Ending<S> {
    session: S,
    moved_at: Instant,
    /// How long the peer's last words are awaited.
    patience: Option<Duration>,
    stage: Stage,
}

enum Stage {
    Flushing {
        /// Another thread is sending, and takes along what waits.
        busy: bool,
        /// The peer has ended its direction.
        peer_ended: bool,
        /// How much the peer's system has not acknowledged: a slow one takes a while to make room
        /// for more.
        unsent: u32,
    },
    Draining(Draining),
    Over,
}

struct Draining {
    /// How much more of what the peer says is dropped.
    budget: usize,
    /// When the peer's system has last acknowledged something.
    since: Instant,
    /// How much it has not; everything, as long as nobody has asked.
    unsent: u32,
}

impl<S: Deref<Target = ExplicitSession>> Ending<S> {
    fn begin(session: S, patience: Option<Duration>) -> Self {
        // Without keys that may still be used, the end of the connection has to do.
        let _ = session.queue_close_notify();
        let moved_at = Instant::now();
        Self {
            session,
            moved_at,
            patience,
            stage: Stage::Flushing { busy: false, peer_ended: false, unsent: 0 },
        }
    }

    /// Goes as far as that is possible without waiting. Whether a byte moved.
    fn advance(&mut self) -> bool {
        let mut moved = false;
        if let Stage::Flushing { busy, peer_ended, unsent } = &mut self.stage {
            let before = self.session.bytes_sent();
            let flushed = self.session.flush_control();
            moved |= self.session.bytes_sent() != before;
            match flushed {
                Ok(Flush::Done) => {
                    self.session.end_transport();
                    self.moved_at = Instant::now();
                    self.stage = Stage::Draining(Draining {
                        budget: DRAIN_LIMIT,
                        since: self.moved_at,
                        unsent: u32::MAX,
                    });
                    // The answer cannot be there yet, nor can it be known what has arrived.
                    return true;
                }
                Ok(flush) => {
                    *busy = flush == Flush::Busy;
                    let before = *unsent;
                    *unsent = unsent_bytes(self.session.transport()).unwrap_or(0);
                    moved |= *unsent < before;
                    // The peer may have to get rid of something before it takes more.
                    if flush == Flush::Blocked && !*peer_ended {
                        let mut unlimited = usize::MAX;
                        *peer_ended = self.session.drop_input(&mut unlimited);
                    }
                }
                Err(_) => self.stage = Stage::Over,
            }
        }
        if let Stage::Draining(draining) = &mut self.stage {
            let before = draining.budget;
            let ended = self.session.drop_input(&mut draining.budget);
            moved |= draining.budget != before;
            // What the kernel has taken, the peer's need not have: a reset would destroy it.
            let unsent = if ended { 0 } else { endangered_bytes(self.session.transport()) };
            if unsent < draining.unsent {
                draining.unsent = unsent;
                draining.since = Instant::now();
                moved = true;
            }
            let patience = self.patience.unwrap_or(FOR_EVER);
            let is_enough = draining.budget == 0 || draining.since.elapsed() >= patience;
            if ended || (unsent == 0 && is_enough) {
                self.stage = Stage::Over;
            }
        }
        if moved {
            self.moved_at = Instant::now();
        }
        moved
    }

    fn rest(&self) -> Rest {
        match self.stage {
            Stage::Flushing { .. } => Rest::Data,
            Stage::Draining(Draining { unsent: 1.., .. }) => Rest::Data,
            Stage::Draining(_) => Rest::LastWords,
            Stage::Over => Rest::Nothing,
        }
    }

    /// Whether the peer takes nothing.
    fn has_stalled(&self) -> bool {
        self.rest() == Rest::Data && self.moved_at.elapsed() >= UNDELIVERED_LIMIT
    }

    fn waits_for(&self) -> Option<(BorrowedFd<'_>, Interest)> {
        let interest = match self.stage {
            Stage::Flushing { busy: false, peer_ended, .. } => {
                Interest { read: !peer_ended && !self.session.is_read_shut_down(), write: true }
            }
            // It would be ready all the time.
            Stage::Draining(_) if self.session.is_read_shut_down() => return None,
            Stage::Draining(_) => Interest { read: true, write: false },
            Stage::Flushing { busy: true, .. } | Stage::Over => return None,
        };
        Some((self.session.transport(), interest))
    }

    /// How long nothing but the connection can bring it further.
    fn pause(&self) -> Duration {
        match self.stage {
            // The other thread may be getting on well: the transport's readiness says nothing.
            Stage::Flushing { busy: true, .. } => BUSY_PAUSE,
            // There is no event for an acknowledgement.
            Stage::Draining(Draining { unsent: 1.., .. }) => ACKNOWLEDGEMENT_PAUSE,
            Stage::Draining(_) if self.session.is_read_shut_down() => ACKNOWLEDGEMENT_PAUSE,
            Stage::Draining(Draining { since, .. }) => {
                self.patience.map_or(FOR_EVER, |patience| patience.saturating_sub(since.elapsed()))
            }
            Stage::Flushing { busy: false, .. } | Stage::Over => FOR_EVER,
        }
    }
}

struct Later {
    session: Arc<ExplicitSession>,
    patience: Option<Duration>,
}

fn later() -> &'static Backlog<Later> {
    LATER.get_or_init(Backlog::default)
}

static LATER: PerProcess<Backlog<Later>> = PerProcess::new();

/// How long a peer that takes nothing keeps what was left to be sent.
const UNDELIVERED_LIMIT: Duration = Duration::from_secs(120);
/// Nothing wakes the thread when there is one more.
const NEWCOMERS_WAIT: Duration = Duration::from_millis(50);
const DRAIN_LIMIT: usize = 1024 * 1024;
const ACKNOWLEDGEMENT_PAUSE: Duration = Duration::from_millis(20);
const BUSY_PAUSE: Duration = Duration::from_millis(1);
const FOR_EVER: Duration = Duration::from_secs(365 * 24 * 3600);
