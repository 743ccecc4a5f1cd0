//! The last steps of a connection whose program has closed its end: nothing that was accepted may
//! be destroyed by how the real connection is closed.

use std::os::fd::AsFd;
use std::time::{Duration, Instant};

use rustix::net::{Shutdown, shutdown};

use crate::sys::private_fd::PrivateFd;
use crate::sys::socket_options::{endangered_bytes, unsent_bytes};
use crate::sys::stream_socket;

#[derive(Debug)]
pub struct Closing {
    /// The program asked for a reset, or left data unread.
    reset: bool,
    /// How long the peer's last words are awaited once its system has everything.
    patience: Duration,
    /// When a peer that takes nothing is given up.
    give_up: Instant,
    /// How much its system had not acknowledged when that was put off last.
    waiting: u32,
    draining: Option<Draining>,
    /// The peer has ended its direction, or the connection is broken.
    peer_is_gone: bool,
}

/// Our direction has ended.
#[derive(Debug)]
struct Draining {
    until: Instant,
    drained: usize,
    /// How much the peer's system had not acknowledged when that was last looked at.
    unsent: u32,
    check_after: Duration,
}

/// What to do next.
pub enum Step {
    /// Something changed: bytes may move again.
    Progress,
    Read,
    At(Instant),
    Done,
}

impl Closing {
    pub fn new(reset: bool, close_timeout: Option<Duration>, transport: &PrivateFd) -> Self {
        let limit = if reset { close_timeout } else { None };
        Self {
            reset,
            patience: close_timeout.unwrap_or(FOR_EVER),
            give_up: Instant::now() + limit.unwrap_or(UNDELIVERED_LIMIT),
            waiting: unsent(transport),
            draining: None,
            peer_is_gone: false,
        }
    }

    pub fn is_reset(&self) -> bool {
        self.reset
    }

    /// The transport has taken something.
    pub fn sent(&mut self, transport: &PrivateFd) {
        self.give_up = Instant::now() + UNDELIVERED_LIMIT;
        self.waiting = unsent(transport);
    }

    /// So much of what the peer still says has been dropped.
    pub fn dropped(&mut self, count: usize) {
        if let Some(draining) = &mut self.draining {
            draining.drained = draining.drained.saturating_add(count);
        }
    }

    pub fn peer_has_gone(&mut self) {
        self.peer_is_gone = true;
    }

    /// `has_outgoing`: ciphertext waits in the library. `can_read`: so does the peer's.
    pub fn step(&mut self, transport: &PrivateFd, has_outgoing: bool, can_read: bool) -> Step {
        let now = Instant::now();
        if has_outgoing {
            let is_over = now >= self.give_up && !self.has_taken(transport, now);
            return match is_over {
                true => Step::Done,
                // The peer may have to get rid of something before it takes more.
                false if can_read => Step::Read,
                false => Step::At(self.give_up),
            };
        }
        if self.reset {
            // As the program wanted it, but not before what it had sent has arrived.
            let unsent = endangered_bytes(transport.as_fd());
            if unsent > 0 && now < self.give_up && !self.peer_is_gone {
                return Step::At((now + LAST_CHECK).min(self.give_up));
            }
            // Also if the program holds a duplicate of the real connection.
            stream_socket::kill(transport.as_fd());
            return Step::Done;
        }
        let Some(draining) = &mut self.draining else {
            let _ = shutdown(transport, Shutdown::Write);
            self.give_up = now + UNDELIVERED_LIMIT;
            self.draining = Some(Draining {
                until: now + self.patience,
                drained: 0,
                unsent: u32::MAX,
                check_after: FIRST_CHECK,
            });
            return Step::Progress;
        };
        // The kernel has taken everything, but has the peer's? A reset would destroy what has not
        // arrived, and closing with unread input is one, as is whatever the peer says after it.
        let unsent = endangered_bytes(transport.as_fd());
        if unsent < draining.unsent {
            draining.unsent = unsent;
            draining.until = now + self.patience;
            draining.check_after = FIRST_CHECK;
            self.give_up = now + UNDELIVERED_LIMIT;
        }
        let is_enough = draining.drained >= DRAIN_LIMIT || now >= draining.until;
        if self.peer_is_gone || (unsent == 0 && is_enough) || now >= self.give_up {
            return Step::Done;
        }
        if can_read {
            return Step::Read;
        }
        if unsent == 0 {
            return Step::At(draining.until);
        }
        // There is no event for an acknowledgement.
        draining.check_after = (draining.check_after * 2).min(LAST_CHECK);
        Step::At(now + draining.check_after)
    }

    /// A peer that takes little makes room for more less often than that, and yet takes something.
    fn has_taken(&mut self, transport: &PrivateFd, now: Instant) -> bool {
        let before = std::mem::replace(&mut self.waiting, unsent(transport));
        let has_taken = self.waiting < before && !self.reset;
        if has_taken {
            self.give_up = now + UNDELIVERED_LIMIT;
        }
        has_taken
    }
}

/// What the peer's system has not acknowledged, or on AF_UNIX the peer not read.
pub fn unsent(transport: &PrivateFd) -> u32 {
    unsent_bytes(transport.as_fd()).unwrap_or(0)
}

/// How long a peer that takes nothing keeps what a program that has gone had sent.
pub const UNDELIVERED_LIMIT: Duration = Duration::from_secs(120);
const DRAIN_LIMIT: usize = 1024 * 1024;
const FOR_EVER: Duration = Duration::from_secs(365 * 24 * 3600);
const FIRST_CHECK: Duration = Duration::from_millis(10);
const LAST_CHECK: Duration = Duration::from_millis(200);

#[cfg(test)]
mod tests {
    use super::*;
    use crate::io::transport::{Transfer, receive, send};
    use crate::sys::test_sockets::tcp_pair;

    #[test]
    fn a_peer_that_takes_a_little_is_not_given_up() {
        let (transport, peer) = tcp_pair();
        let transport = PrivateFd::adopt(transport).unwrap();
        while let Ok(Transfer::Bytes(_)) = send(transport.as_fd(), &[7; 65536]) {}
        let mut closing = Closing::new(false, None, &transport);
        let mut after_the_limit = || {
            closing.give_up = Instant::now();
            closing.step(&transport, true, false)
        };
        let waiting = unsent(&transport);
        assert!(waiting > 0);
        while unsent(&transport) == waiting {
            receive(peer.as_fd(), &mut [0; 65536]).unwrap();
        }
        assert!(matches!(after_the_limit(), Step::At(_)));
        let before = unsent(&transport);
        // What the kernels do between themselves may take a moment.
        while matches!(after_the_limit(), Step::At(_)) {}
        assert!(unsent(&transport) <= before);
    }
}
