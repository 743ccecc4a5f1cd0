//! The end of the process, and waiting for everything to have left.

use std::collections::HashMap;
use std::os::fd::{AsFd, OwnedFd, RawFd};
use std::time::{Duration, Instant};

use rustix::net::{Shutdown, shutdown};

use super::links::{Limits, Links};
use super::{Link, reactor};
use crate::sync::Arc;
use crate::sys::identity::{Identity, duplicate_if, replace_if};
use crate::sys::process::{self, PerProcess};
use crate::sys::{fd_table, socket_options, stream_socket, thread};

/// Remembers a link for the end of the process.
pub fn watch(link: &Arc<Link>) {
    links().add(link);
}

/// The relay has looked at a connection, and perhaps moved something: whoever waits looks again.
pub fn progress(moved: bool) {
    if let Some(links) = LINKS.get() {
        links.progress(moved);
    }
}

/// Whether the process is ending: half-closed connections are to be closed.
pub fn has_begun() -> bool {
    LINKS.get().is_some_and(Links::is_exiting)
}

/// Waits until no relayed connection holds bytes of the program, and none of the `others`, for at
/// most `limit`. Answers how many still do.
pub fn flush(limit: Option<Duration>, others: impl Fn() -> usize) -> usize {
    links().wait(limit, |links| {
        links.iter().filter(|link| link.can_deliver() && link.is_busy()).count() + others()
    })
}

/// The end of the process has begun: ends the program's direction of every link.
///
/// Until the relay sees the end of it, accepted bytes may sit in the program's end of the pair,
/// where only time shows. Nothing is waited for yet. `None`: there is nothing to wait for.
pub fn begin() -> Option<Delivery> {
    // In a forked child there is nothing, unless it opened connections itself.
    let all = LINKS.get()?;
    let mut links = all.living();
    links.retain(|link| !link.is_finished());
    if links.is_empty() {
        return None;
    }
    let mut leaving = Vec::new();
    if thread::is_alone() {
        // The C library writes out what its streams hold only after this, when it is too late for
        // a stream on an upgraded descriptor. Another thread may hold the lock of a stream for
        // ever, in a read from the terminal say: to wait for that would hang the end.
        process::flush_streams();
        let ends = ProgramEnds::of(&links);
        links.iter().for_each(|link| ends.end_sending(link));
    } else {
        leaving = take_away(links);
    }
    all.begin_exit();
    reactor::wake_all();
    Some(Delivery { started: Instant::now(), leaving })
}

/// The program's descriptors, looked for once for all connections.
struct ProgramEnds(Option<HashMap<Identity, Vec<RawFd>>>);

impl ProgramEnds {
    fn of(links: &[Arc<Link>]) -> Self {
        Self(links.iter().find_map(|link| fd_table::sockets(link.transport()?.as_fd()).ok()))
    }

    fn numbers(&self, link: &Link) -> &[RawFd] {
        let found = self.0.as_ref().and_then(|found| found.get(&link.program_identity()));
        found.map_or(&[], Vec::as_slice)
    }

    /// A duplicate; `None` if it has been closed, and where there is no descriptor left.
    fn duplicate(&self, link: &Link) -> Option<OwnedFd> {
        match self.0 {
            Some(_) => {
                let identity = link.program_identity();
                self.numbers(link).iter().find_map(|&number| duplicate_if(number, identity))
            }
            None => link.program_end(),
        }
    }

    /// Every send of the program's fails from now on; what it has sent stays on its way.
    fn end_sending(&self, link: &Link) {
        match self.duplicate(link) {
            Some(end) => drop(shutdown(&end, Shutdown::Write)),
            // Closed: each would have all descriptors walked over for nothing.
            None if self.0.is_some() && self.numbers(link).is_empty() => {}
            None => link.end_sending(),
        }
    }
}

/// Takes the descriptors from threads that go on sending: the end of their direction would raise
/// SIGPIPE in them and end the process before everything has been delivered. The socket that is
/// there instead answers ENOTCONN.
fn take_away(links: Vec<Arc<Link>>) -> Vec<Leaving> {
    let instead = stream_socket::unconnected();
    let ends = ProgramEnds::of(&links);
    let leave = |link: Arc<Link>| {
        let Some(end) = ends.duplicate(&link) else {
            // Closed, or there is no descriptor left to wait with.
            ends.end_sending(&link);
            return None;
        };
        let identity = link.program_identity();
        for &number in ends.numbers(&link) {
            if let Ok(instead) = &instead {
                let _ = replace_if(number, identity, instead.as_fd());
            }
        }
        Some(Leaving { link, end, was_quiet: false })
    };
    links.into_iter().filter_map(leave).collect()
}

/// What was accepted is on its way out.
pub struct Delivery {
    started: Instant,
    leaving: Vec<Leaving>,
}

/// A link whose program's direction has not been ended yet, for a thread may be inside a send.
struct Leaving {
    link: Arc<Link>,
    end: OwnedFd,
    was_quiet: bool,
}

impl Delivery {
    /// Waits until all links are finished, within the limits.
    pub fn wait(mut self) {
        let limits = Limits { total: LIMIT, stall: STALL_LIMIT };
        let mut acknowledgements = Acknowledgements { unsent: 0, look_at: self.started };
        let left = links().wait_while_moving(self.started, &limits, |all| {
            self.leaving.retain_mut(|leaving| !leaving.has_left());
            if acknowledgements.have_come(all) {
                links().moved();
            }
            all.iter().filter(|link| !link.is_finished()).count()
        });
        if left > 0 {
            // There may have been no time to look twice.
            self.leaving.retain_mut(|leaving| !leaving.has_left());
        }
    }
}

impl Leaving {
    /// Ends the program's direction once nothing of it is under way, twice in a row: a thread that
    /// has just been given room needs a moment to use it.
    fn has_left(&mut self) -> bool {
        let unsent = socket_options::unsent_bytes(self.end.as_fd()).unwrap_or(0);
        let is_quiet = !self.link.can_deliver() || (unsent == 0 && !self.link.is_relaying());
        if is_quiet && self.was_quiet {
            let _ = shutdown(&self.end, Shutdown::Write);
            return true;
        }
        self.was_quiet = is_quiet;
        false
    }
}

/// What leaves the system without the relay's having anything to do: it can be megabytes, which a slow
/// peer takes longer to receive than nothing may move.
struct Acknowledgements {
    unsent: u64,
    look_at: Instant,
}

impl Acknowledgements {
    fn have_come(&mut self, links: &[Arc<Link>]) -> bool {
        let now = Instant::now();
        if now < self.look_at {
            return false;
        }
        self.look_at = now + ACKNOWLEDGEMENTS_INTERVAL;
        let unsent = links.iter().filter_map(|link| link.transport());
        let unsent =
            unsent.filter_map(|transport| socket_options::unsent_bytes(transport.as_fd()).ok());
        let unsent = unsent.map(u64::from).sum();
        std::mem::replace(&mut self.unsent, unsent) > unsent
    }
}

fn links() -> &'static Links<Link> {
    LINKS.get_or_init(Links::default)
}

/// How long the end of the process may be held up: in all, and without any byte moving.
pub const LIMIT: Duration = Duration::from_secs(30);
pub const STALL_LIMIT: Duration = Duration::from_secs(5);
const ACKNOWLEDGEMENTS_INTERVAL: Duration = Duration::from_millis(100);

static LINKS: PerProcess<Links<Link>> = PerProcess::new();
