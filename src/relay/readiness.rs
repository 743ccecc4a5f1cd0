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
    /// There is an end, an error or urgent data in what can be read.
    pub short_of_end: bool,
}

impl Readiness {
    /// Before anything has been tried.
    pub fn unknown() -> Self {
        Self { read: true, write: true, read_hang_up: false, hang_up: false, short_of_end: false }
    }

    /// Adds what an event says; a hang-up makes everything worth trying.
    pub fn merge(&mut self, event: Self) {
        self.read |= event.read || event.read_hang_up || event.hang_up;
        self.write |= event.write || event.hang_up;
        self.read_hang_up |= event.read_hang_up || event.hang_up;
        self.hang_up |= event.hang_up;
        self.short_of_end |= event.short_of_end || event.read_hang_up || event.hang_up;
    }

    /// A TCP socket gave less than was asked for.
    ///
    /// Then it is empty, and whatever comes makes an event, for which nothing more has to be asked:
    /// a receive ends early before urgent data and before the end only, and of both an event has
    /// told if they were there when the last one was fetched. What came after that makes one.
    pub fn received_short(&mut self) {
        self.read &= self.short_of_end;
    }
}
