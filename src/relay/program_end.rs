//! The program's end of an inner pair, which is the program's to keep, to move and to close.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd, RawFd};
use std::sync::Arc;

use rustix::net::{SendFlags, Shutdown, shutdown};

use super::pair::PairKind;
use crate::sys::fd_table;
use crate::sys::identity::{Identity, duplicate_if};
use crate::sys::private_fd::PrivateFd;
use crate::sys::{socket_options, stream_socket, tcp_table};

/// Which socket it is, and where it was at the upgrade: it most likely still is there.
#[derive(Clone, Copy)]
pub struct ProgramEnd {
    pub kind: PairKind,
    pub identity: Identity,
    pub number: RawFd,
}

impl ProgramEnd {
    /// A duplicate, wherever in the descriptor table the end is by now. `None` if it has been
    /// closed, and where there is no descriptor left. `known` is one of the library's.
    pub fn duplicate(&self, known: BorrowedFd<'_>) -> Option<OwnedFd> {
        let moved = || {
            // What nothing can come from any more is closed, or as good as that.
            if stream_socket::has_hung_up(known) {
                return None;
            }
            let numbers = fd_table::numbers_of(self.identity, known).ok()?;
            numbers.into_iter().find_map(|number| duplicate_if(number, self.identity))
        };
        duplicate_if(self.number, self.identity).or_else(moved)
    }

    /// How much of what the program sent has not come to the library's end yet.
    pub fn unsent(&self, known: BorrowedFd<'_>) -> u32 {
        stream_socket::unsent_at(self.number, self.identity)
            .or_else(|| socket_options::unsent_bytes(self.duplicate(known)?.as_fd()).ok())
            .unwrap_or(0)
    }

    /// Whether it has been closed by everybody, where its hang-up cannot be seen: on TCP that comes
    /// after the data, and there may be no room for it.
    pub fn has_gone(&self, library: &PrivateFd) -> bool {
        let is_here = || {
            Identity::of_number(self.number) == Some(self.identity)
                || fd_table::numbers_of(self.identity, library.as_fd())
                    .map_or(true, |numbers| !numbers.is_empty())
        };
        match self.kind {
            PairKind::Unix => false,
            PairKind::Tcp(_) => !is_here() && tcp_table::peer_is_orphaned(library.as_fd()),
        }
    }

    /// Every send of the program's fails from now on; what it has sent stays on its way.
    pub fn end_sending(&self, known: BorrowedFd<'_>) {
        match self.duplicate(known) {
            Some(end) => drop(shutdown(&end, Shutdown::Write)),
            None => stream_socket::end_sending(self.number, self.identity),
        }
    }

    /// The same, and the program will get a reset once it has read what is there.
    pub fn refuse_sends(&self, library: &PrivateFd) {
        if self.kind == PairKind::Unix {
            self.leave_unread(library);
        }
        self.end_sending(library.as_fd());
    }

    /// Has the program read ECONNRESET after what is queued. The caller has seen to it that the
    /// library's own queue is empty.
    pub fn reset(&self, library: Arc<PrivateFd>) {
        match self.kind {
            PairKind::Tcp(_) => {
                // Without the option the program reads an end of file, which is still no data.
                let _ = socket_options::set_abortive_close(library.as_fd());
            }
            PairKind::Unix => self.leave_unread(&library),
        }
        drop(library);
    }

    /// Kills a pair that will not be used: no byte ever comes out of the program's end, and
    /// nothing that is sent into it is accepted.
    pub fn cut_off(&self, library: &PrivateFd) {
        // A close alone might not be felt at once: the reset goes through the kernel's queues, and
        // a child that is about to exec may still hold a copy of the library's end. What is sent
        // in that moment would seem to have been accepted.
        match self.kind {
            PairKind::Tcp(_) => {
                self.end_sending(library.as_fd());
                stream_socket::kill(library.as_fd());
            }
            PairKind::Unix => {
                self.leave_unread(library);
                let _ = shutdown(library, Shutdown::Both);
            }
        }
    }

    /// The kernel resets the other end of an AF_UNIX pair that is closed with unread input, and
    /// only then. After the program's own shutdown for writing this fails, and the program reads
    /// an end of file; the handle knows better.
    fn leave_unread(&self, library: &PrivateFd) {
        match self.duplicate(library.as_fd()) {
            Some(end) => {
                let flags = SendFlags::DONTWAIT | SendFlags::NOSIGNAL;
                let _ = rustix::net::send(&end, UNREAD, flags);
            }
            // There may be no descriptor left, which a peer can bring about.
            None => stream_socket::send_at(self.number, self.identity, UNREAD),
        }
    }
}

const UNREAD: &[u8] = b"!";
