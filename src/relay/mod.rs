//! Transparent mode: the swap of the descriptor and the relay behind it.

mod closing;
mod connection;
mod event_count;
pub mod exit;
mod hand_over;
mod links;
pub mod pair;
mod program_close;
mod program_end;
mod progress;
mod reactor;
mod readiness;
pub mod swap;

use std::os::fd::{AsFd, BorrowedFd, OwnedFd, RawFd};
use std::time::Duration;

use connection::Connection;
use pair::{Pair, PairKind, Segments};
pub use program_close::close_later;
use program_end::ProgramEnd;
use progress::Progress;
pub use reactor::set_threads;
pub use swap::Where;

use crate::error::{Code, Error, ErrorSlot, Result};
use crate::sync::{Arc, Weak};
use crate::sys::identity::Identity;
use crate::sys::private_fd::PrivateFd;
use crate::sys::socket_options;
use crate::sys::stream_socket::Family;
use crate::tls::engine::Engine;

/// The pair that goes with a socket of `family`.
pub fn pair_kind(family: Family, unix: bool) -> PairKind {
    if unix { PairKind::Unix } else { PairKind::from(family) }
}

/// Puts the inner pair in the place of the connection: from now on nothing that the program sends
/// on `number`, or on a duplicate of it unless that is the sole one, can reach the wire in clear. `written` is how many bytes
/// had been written to the connection when the upgrade began, where that is known.
pub fn swap_in(
    number: RawFd,
    transport: &PrivateFd,
    place: Where,
    kind: PairKind,
    written: Option<u64>,
) -> Result<Swapped> {
    // What can fail for want of resources comes before the program's descriptor is touched.
    reactor::start()?;
    let connection = Identity::of(transport.as_fd())?;
    let segments = match socket_options::has_small_receive_buffer(transport.as_fd()) {
        true => Segments::Usual,
        false => Segments::Large,
    };
    let pair = Pair::connect(kind, segments)?;
    socket_options::carry_over(transport.as_fd(), pair.program.as_fd())?;
    let identity = Identity::of(pair.program.as_fd())?;
    // Before the swap, which may fail half-way: then what was swapped has to be reset too.
    let swapped = Swapped {
        library: Some(Arc::new(pair.library)),
        program: ProgramEnd { kind: pair.kind, identity, number },
    };
    let swap = match place {
        Where::Anywhere => swap::swap,
        Where::Sole => swap::swap_sole,
    };
    swap(number, connection, pair.program.as_fd(), transport.as_fd())?;
    refuse_what_left_in_clear(written, socket_options::written_bytes(transport.as_fd()))?;
    // Small records must not wait for each other's acknowledgements. AF_UNIX has no such option.
    let _ = rustix::net::sockopt::set_tcp_nodelay(transport, true);
    // How the connection is closed is up to the program's end now; lingering in the kernel would
    // stop the relay, and a limit of 0 destroy what was sent.
    let _ = rustix::net::sockopt::set_socket_linger(transport, None);
    Ok(swapped)
}

/// Nothing holds up another thread's send before the descriptor that it uses has been replaced, and
/// nothing can take it back. The peer would take it for the beginning of TLS: better to say so.
fn refuse_what_left_in_clear(before: Option<u64>, after: Option<u64>) -> Result<()> {
    match before.zip(after) {
        Some((before, after)) if before != after => Err(Error::new(
            Code::STATE,
            format!(
                "another thread or process sent {} bytes in clear while the upgrade began; nobody \
                 may send between the answer to STARTTLS and the end of the upgrade",
                after.wrapping_sub(before)
            ),
        )),
        _ => Ok(()),
    }
}

/// A descriptor that has been swapped and does not speak TLS yet. Dropping it resets the
/// program's end, so that no byte ever comes out of it and nothing sent into it goes anywhere.
pub struct Swapped {
    library: Option<Arc<PrivateFd>>,
    program: ProgramEnd,
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
    program: ProgramEnd,
    progress: Progress,
}

impl Swapped {
    pub fn program_identity(&self) -> Identity {
        self.program.identity
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
            program: self.program,
            progress: Progress::default(),
        });
        let connection = Connection::new(connection::Ends {
            transport,
            library,
            program: self.program,
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
        if let Some(library) = self.library.take() {
            self.program.cut_off(&library);
        }
    }
}

impl Link {
    /// The real connection; `None` once it is over.
    pub fn transport(&self) -> Option<Arc<PrivateFd>> {
        self.transport.upgrade()
    }

    pub fn kind(&self) -> PairKind {
        self.program.kind
    }

    pub fn program_identity(&self) -> Identity {
        self.program.identity
    }

    /// A duplicate of the program's end; `None` once the program has closed it.
    pub fn program_end(&self) -> Option<OwnedFd> {
        let library = self.library.upgrade()?;
        self.program.duplicate(library.as_fd())
    }

    /// Every send of the program's fails from now on; what it has sent stays on its way.
    pub fn end_sending(&self) {
        if let Some(library) = self.library.upgrade() {
            self.program.end_sending(library.as_fd());
        }
    }

    /// Whether bytes that the program has sent are on their way and have not been acknowledged by
    /// the peer's kernel: in this process's own they are lost if it dies before the peer has read
    /// and said something.
    pub fn is_busy(&self) -> bool {
        let unsent = |transport: Arc<PrivateFd>| {
            socket_options::unsent_bytes(transport.as_fd()).is_ok_and(|count| count > 0)
        };
        let is_beyond = || self.is_relaying() || self.transport.upgrade().is_some_and(unsent);
        let in_programs_end = |library: Arc<PrivateFd>| self.program.unsent(library.as_fd()) > 0;
        // What costs least first, for there may be thousands of connections.
        is_beyond()
            || self.progress.is_busy(
                || self.library.upgrade().is_some_and(in_programs_end),
                || self.is_in_librarys_end(),
                || self.transport.upgrade().is_some_and(unsent),
            )
    }

    /// Whether bytes have come to the library's end and the real connection has not taken them.
    pub fn is_relaying(&self) -> bool {
        self.progress.is_relaying(|| self.is_in_librarys_end())
    }

    /// Whether what the program sends can still reach the peer.
    pub fn can_deliver(&self) -> bool {
        self.progress.can_deliver()
    }

    /// Whether the relay is done with the connection.
    pub fn is_finished(&self) -> bool {
        self.progress.is_finished()
    }

    fn is_in_librarys_end(&self) -> bool {
        self.library.upgrade().is_some_and(|library| {
            socket_options::readable_bytes(library.as_fd()).is_ok_and(|count| count > 0)
        })
    }
}
