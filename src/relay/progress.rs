//! What the relay publishes of a connection.

use crate::sync::atomic::{AtomicBool, Ordering};

#[derive(Default)]
pub struct Progress {
    /// Nothing of the program's waits inside the relay.
    idle: AtomicBool,
    /// What the program still sends cannot reach the peer.
    cut_off: AtomicBool,
    /// Everything is over.
    finished: AtomicBool,
}

impl Progress {
    /// The relay turns to the connection. To be said before anything is read: whoever finds the
    /// library's end empty has to see this.
    pub fn begin(&self) {
        self.idle.store(false, Ordering::SeqCst);
    }

    /// The relay turns away, and holds something of the program's or not.
    pub fn pause(&self, holds_something: bool) {
        self.idle.store(!holds_something, Ordering::SeqCst);
    }

    pub fn cut_off(&self) {
        self.cut_off.store(true, Ordering::Release);
    }

    pub fn finish(&self) {
        self.idle.store(true, Ordering::Release);
        self.finished.store(true, Ordering::Release);
    }

    /// Whether something of the program's is on its way. Only what the relay itself holds cannot be
    /// counted.
    pub fn is_busy(
        &self,
        in_programs_end: impl FnOnce() -> bool,
        in_librarys_end: impl Fn() -> bool,
        in_transport: impl Fn() -> bool,
    ) -> bool {
        let is_beyond = || self.is_relaying(&in_librarys_end) || in_transport();
        // What costs least first, for there may be thousands of connections. To say no takes both in
        // the order in which bytes move, or some could slip by.
        is_beyond() || in_programs_end() || is_beyond()
    }

    /// Whether something has come to the library's end and the transport has not taken it.
    pub fn is_relaying(&self, in_librarys_end: impl FnOnce() -> bool) -> bool {
        in_librarys_end() || !self.idle.load(Ordering::SeqCst)
    }

    pub fn is_finished(&self) -> bool {
        self.finished.load(Ordering::Acquire)
    }

    /// Whether what the program sends can still reach the peer.
    pub fn can_deliver(&self) -> bool {
        !self.is_finished() && !self.cut_off.load(Ordering::Acquire)
    }
}
