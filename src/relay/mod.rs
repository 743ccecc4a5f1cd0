//! Transparent mode: the swap of the descriptor and the relay behind it.

mod connection;
pub mod exit;
pub mod pair;
mod reactor;
pub mod swap;

use std::os::fd::{AsFd, BorrowedFd, OwnedFd, RawFd};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Weak};
use std::time::Duration;

use connection::Connection;
use pair::{Pair, PairKind};

use crate::error::{Error, ErrorSlot, Result};
use crate::sys::identity::Identity;
use crate::sys::private_fd::PrivateFd;
use crate::sys::socket_options;
use crate::sys::stream_socket::{self, Family};
use crate::tls::engine::Engine;

/// The pair that goes with a socket of `family`.
pub fn pair_kind(family: Family, unix: bool) -> PairKind {
    if unix { PairKind::Unix } else { PairKind::from(family) }
}

/// Puts the inner pair in the place of the connection: from now on nothing that the program sends
/// on `number`, or on a duplicate of it, can reach the wire in clear.
pub fn swap_in(number: RawFd, transport: &PrivateFd, kind: PairKind) -> Result<Swapped> {
    // What can fail for want of resources comes before the program's descriptor is touched.
    reactor::start()?;
    let connection = Identity::of(transport.as_fd())?;
    let pair = Pair::connect(kind)?;
    socket_options::carry_over(transport.as_fd(), pair.program.as_fd())?;
    let program = Identity::of(pair.program.as_fd())?;
    // Before the swap, which may fail half-way: then what was swapped has to be reset too.
    let swapped =
        Swapped { library: Some(Arc::new(pair.library)), kind: pair.kind, program, number };
    swap::swap(number, connection, pair.program.as_fd(), transport.as_fd())?;
    // Small records must not wait for each other's acknowledgements. AF_UNIX has no such option.
    let _ = rustix::net::sockopt::set_tcp_nodelay(transport, true);
    // How the connection is closed is up to the program's end now; lingering in the kernel would
    // stop the relay, and a limit of 0 destroy what was sent.
    let _ = rustix::net::sockopt::set_socket_linger(transport, None);
    Ok(swapped)
}

/// A descriptor that has been swapped and does not speak TLS yet. Dropping it resets the
/// program's end, so that no byte ever comes out of it and nothing sent into it goes anywhere.
pub struct Swapped {
    library: Option<Arc<PrivateFd>>,
    kind: PairKind,
    program: Identity,
    number: RawFd,
}

/// What the relay needs to know beside the bytes.
pub struct LinkOptions {
    pub allow_truncation: bool,
    /// How long the peer's last words are awaited after the program has closed.
    pub close_timeout: Option<Duration>,
    pub errors: Arc<ErrorSlot>,
}

/// A relayed connection as the handle sees it.
pub struct Link {
    /// The relay's: it closes the connection when that is over, whether the handle has been freed
    /// or not.
    transport: Weak<PrivateFd>,
    library: Weak<PrivateFd>,
    kind: PairKind,
    program: Identity,
    /// Where the program's end was at the upgrade, and most likely is.
    number: RawFd,
    progress: Progress,
}

/// What the relay publishes of a connection.
#[derive(Default)]
struct Progress {
    /// Nothing of the program's waits inside the relay.
    idle: AtomicBool,
    /// What the program still sends cannot reach the peer.
    cut_off: AtomicBool,
    /// Everything is over.
    finished: AtomicBool,
}

impl Swapped {
    pub fn program_identity(&self) -> Identity {
        self.program
    }

    /// Hangs up when the program closes its descriptor.
    pub fn library_end(&self) -> Option<BorrowedFd<'_>> {
        self.library.as_deref().map(AsFd::as_fd)
    }

    /// Hands the connection, whose handshake is complete, to the relay.
    pub fn start(
        mut self,
        transport: Arc<PrivateFd>,
        engine: Engine,
        options: LinkOptions,
    ) -> Result<Arc<Link>> {
        let Some(library) = self.library.take() else {
            return Err(Error::internal("a swapped descriptor was started twice"));
        };
        let link = Arc::new(Link {
            transport: Arc::downgrade(&transport),
            library: Arc::downgrade(&library),
            kind: self.kind,
            program: self.program,
            number: self.number,
            progress: Progress::default(),
        });
        let connection = Connection::new(connection::Ends {
            transport,
            library,
            kind: self.kind,
            program: self.program,
            number: self.number,
            engine,
            options,
            link: link.clone(),
        });
        reactor::adopt(connection)?;
        exit::watch(&link);
        Ok(link)
    }
}

impl Drop for Swapped {
    fn drop(&mut self) {
        let Some(library) = self.library.take() else { return };
        // A close alone might not be felt at once: the reset goes through the kernel's queues, and
        // a child that is about to exec may still hold a copy of the library's end. What is sent
        // in that moment would seem to have been accepted.
        match self.kind {
            PairKind::Tcp(_) => {
                match connection::program_end(&library, self.number, self.program) {
                    Some(end) => drop(rustix::net::shutdown(&end, rustix::net::Shutdown::Write)),
                    None => stream_socket::end_sending(self.number, self.program),
                }
                stream_socket::kill(library.as_fd());
            }
            PairKind::Unix => {
                let end = connection::program_end(&library, self.number, self.program);
                end.iter().for_each(connection::leave_unread);
                let _ = rustix::net::shutdown(&library, rustix::net::Shutdown::Both);
            }
        }
    }
}

impl Link {
    /// The real connection; `None` once it is over.
    pub fn transport(&self) -> Option<Arc<PrivateFd>> {
        self.transport.upgrade()
    }

    pub fn kind(&self) -> PairKind {
        self.kind
    }

    pub fn program_identity(&self) -> Identity {
        self.program
    }

    /// A duplicate of the program's end; `None` once the program has closed it.
    pub fn program_end(&self) -> Option<OwnedFd> {
        let library = self.library.upgrade()?;
        connection::program_end(&library, self.number, self.program)
    }

    /// Whether bytes of the program have arrived at the library's end and not been acknowledged by
    /// the peer's kernel: in this process's own they are lost if it dies before the peer has read
    /// and said something.
    pub fn is_busy(&self) -> bool {
        // The queue first: the relay says that it is busy before it reads.
        let queued = self.library.upgrade().is_some_and(|library| {
            socket_options::readable_bytes(library.as_fd()).is_ok_and(|count| count > 0)
        });
        let unsent = |transport: Arc<PrivateFd>| {
            socket_options::unsent_bytes(transport.as_fd()).is_ok_and(|count| count > 0)
        };
        queued
            || !self.progress.idle.load(Ordering::SeqCst)
            || self.transport.upgrade().is_some_and(unsent)
    }

    /// Whether what the program sends can still reach the peer.
    pub fn can_deliver(&self) -> bool {
        !self.is_finished() && !self.progress.cut_off.load(Ordering::Acquire)
    }

    /// Whether the relay is done with the connection.
    pub fn is_finished(&self) -> bool {
        self.progress.finished.load(Ordering::Acquire)
    }
}
