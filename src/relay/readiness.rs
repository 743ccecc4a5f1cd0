//! What the reactor knows of a descriptor between two events.

/// Edge-triggered readiness: true until a transfer says otherwise.
#[derive(Clone, Copy, Debug)]
pub struct Readiness {
    pub read: bool,
    pub write: bool,
    /// The other side will send no more: read on until the end shows.
    pub read_hang_up: bool,
    /// Both directions are over.
    pub hang_up: bool,
}

impl Readiness {
    /// Before anything has been tried.
    pub fn unknown() -> Self {
        Self { read: true, write: true, read_hang_up: false, hang_up: false }
    }

    /// Adds what an event says; a hang-up makes everything worth trying.
    pub fn merge(&mut self, event: Self) {
        self.read |= event.read || event.read_hang_up || event.hang_up;
        self.write |= event.write || event.hang_up;
        self.read_hang_up |= event.read_hang_up || event.hang_up;
        self.hang_up |= event.hang_up;
    }
}
