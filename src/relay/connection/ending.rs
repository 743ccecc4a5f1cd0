//! How a connection comes to rest, and to its end: what is done once bytes have stopped moving.

use std::os::fd::AsFd;
use std::time::{Duration, Instant};

use super::{Connection, Finish, Inbound, Next, Outbound};
use crate::error::{Code, Error};
use crate::io::transport::{self, Transfer};
use crate::relay::closing::{Closing, Step, UNDELIVERED_LIMIT, unsent};
use crate::relay::exit;
use crate::relay::pair::PairKind;
use crate::sys::socket_options;

impl Connection {
    /// Reads and drops what the peer still sends: closing with unread input would reset the
    /// connection and could destroy what was just sent. The engine sees it, for there may be
    /// sessions to resume in it: one that only sends has read nothing before.
    pub(super) fn drain(&mut self, scratch: &mut [u8], budget: &mut usize) {
        while self.transport_ready.read && *budget > 0 {
            let space = match self.keeps_reading() {
                true => self.engine.receive_space().ok(),
                false => None,
            };
            let (space, is_for_engine) = match space {
                Some(space) => (space, true),
                None => (&mut *scratch, false),
            };
            match transport::receive(self.transport.as_fd(), space) {
                Ok(Transfer::Bytes(count)) => {
                    *budget = budget.saturating_sub(count);
                    if is_for_engine {
                        self.engine.received(count);
                    }
                    if let Some(closing) = &mut self.closing {
                        closing.dropped(count);
                    }
                }
                Ok(Transfer::WouldBlock) => self.transport_ready.read = false,
                Ok(Transfer::End) | Err(_) => {
                    self.transport_ready.read = false;
                    if matches!(self.inbound, Inbound::Open) {
                        self.inbound = Inbound::Ended;
                    }
                    if let Some(closing) = &mut self.closing {
                        closing.peer_has_gone();
                    }
                }
            }
        }
        self.keeps_reading();
    }

    /// Decrypts and drops what has come, if that still makes sense.
    fn keeps_reading(&mut self) -> bool {
        let is_reset = self.closing.as_ref().is_some_and(Closing::is_reset);
        if is_reset || !matches!(self.inbound, Inbound::Open) || self.engine.peer_closed() {
            return false;
        }
        let was_empty = self.engine.outgoing().is_empty();
        let is_readable = self.engine.decrypt(usize::MAX, &mut |_| {}).is_ok();
        if was_empty {
            // An alert or the answer to a key update, after our end.
            self.engine.sent(self.engine.outgoing().len());
        }
        is_readable
    }

    /// What remains to be done once bytes have stopped moving.
    pub(super) fn finish(&mut self) -> Finish {
        if self.outbound == Outbound::Failed && matches!(self.inbound, Inbound::Ended) {
            // The program has its end of file; its next send has to fail.
            self.sending_broke();
        }
        if matches!(self.inbound, Inbound::Broken { .. }) {
            return self.finish_broken();
        }
        // Everything the program sent has been read, and it is gone, or has had all there was.
        let is_over = self.library_ready.hang_up
            || matches!(self.inbound, Inbound::Ended)
            || exit::has_begun();
        if self.closing.is_none() && self.outbound != Outbound::Open && is_over {
            self.begin_closing(false);
            return Finish::Progress;
        }
        let Some(closing) = &mut self.closing else { return Finish::Nothing };
        let has_outgoing = !self.engine.outgoing().is_empty();
        match closing.step(&self.transport, has_outgoing, self.transport_ready.read) {
            Step::Progress => Finish::Progress,
            Step::Read => Finish::Wait(Next::Again),
            Step::At(when) => Finish::Wait(Next::At(when)),
            Step::Done => Finish::Wait(Next::Done),
        }
    }

    /// Nothing more can be done now.
    pub(super) fn await_event(&mut self, moved: bool, crowd: bool) -> Next {
        let now = Instant::now();
        if moved {
            self.memory_held_since = Some(now);
        }
        if !self.engine.outgoing().is_empty() {
            return self.await_peer();
        }
        let Some(since) = self.memory_held_since else { return Next::Event };
        if !self.to_program.is_empty() {
            // The program may take its time: it is looked at again when it has read.
            return Next::Event;
        }
        if now < since + MEMORY_KEPT && !crowd {
            return Next::At(since + MEMORY_KEPT);
        }
        self.engine.release_memory();
        self.to_program.release();
        self.memory_held_since = None;
        Next::Event
    }

    /// The peer takes nothing. A program that has closed its end may be hidden behind what keeps
    /// it from being read.
    fn await_peer(&mut self) -> Next {
        let now = Instant::now();
        let stalled = self.stalled_since.get_or_insert_with(|| (now, unsent(&self.transport)));
        let (since, waiting) = *stalled;
        if now < since + UNDELIVERED_LIMIT {
            return Next::At(since + UNDELIVERED_LIMIT);
        }
        *stalled = (now, unsent(&self.transport));
        if stalled.1 < waiting {
            // It takes little, and makes room for more less often than that.
            return Next::At(now + UNDELIVERED_LIMIT);
        }
        let has_gone = self.library_ready.hang_up
            || self.library.as_ref().is_none_or(|library| self.program.has_gone(library));
        if has_gone {
            self.give_up(Error::new(
                Code::TIMEOUT,
                "the peer has taken nothing for 2 minutes, and the program had closed the \
                 connection: what it had sent last was dropped",
            ));
            return Next::Done;
        }
        Next::At(now + UNDELIVERED_LIMIT)
    }

    fn finish_broken(&mut self) -> Finish {
        let Inbound::Broken { check_after } = &mut self.inbound else { return Finish::Nothing };
        let Some(library) = &self.library else { return Finish::Wait(Next::Done) };
        if self.library_ready.hang_up || exit::has_begun() {
            return Finish::Wait(Next::Done);
        }
        if !self.to_program.is_empty() {
            return Finish::Wait(Next::Event);
        }
        // On TCP a reset would throw away what the kernel has not handed over yet, and there is no
        // event for that.
        let keeps_order = self.program.kind == PairKind::Unix;
        if !keeps_order
            && socket_options::unsent_bytes(library.as_fd()).is_ok_and(|unsent| unsent > 0)
        {
            let wait = *check_after;
            *check_after = (wait * 2).min(LAST_CHECK);
            return Finish::Wait(Next::At(Instant::now() + wait));
        }
        if let Some(library) = self.library.take() {
            self.program.reset(library);
        }
        Finish::Wait(Next::Done)
    }
}

/// For how long an idle connection keeps its buffers, with what was in them last.
const MEMORY_KEPT: Duration = Duration::from_secs(1);
const LAST_CHECK: Duration = Duration::from_millis(100);
