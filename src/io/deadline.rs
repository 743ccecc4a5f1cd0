//! A limit on the whole of an operation, however many steps it takes.

use std::time::{Duration, Instant};

/// A peer that trickles bytes cannot stretch it; time spent in the program's own callbacks does
/// not count.
#[derive(Clone, Copy, Debug)]
pub struct Deadline {
    ends: Option<Instant>,
}

impl Deadline {
    pub fn after(limit: Option<Duration>) -> Self {
        Self::since(Instant::now(), limit)
    }

    pub fn since(start: Instant, limit: Option<Duration>) -> Self {
        // An end past the clock's range is no end.
        Self { ends: limit.and_then(|limit| start.checked_add(limit)) }
    }

    /// The time left; `None` for ever. Zero when it is over.
    pub fn remaining(&self) -> Option<Duration> {
        self.ends.map(|ends| ends.saturating_duration_since(Instant::now()))
    }

    pub fn is_over(&self) -> bool {
        self.remaining() == Some(Duration::ZERO)
    }

    /// Runs `work` without letting its time count.
    pub fn paused<T>(&mut self, work: impl FnOnce() -> T) -> T {
        let started = Instant::now();
        let result = work();
        self.extend(started.elapsed());
        result
    }

    /// Does not count what was spent elsewhere.
    pub fn extend(&mut self, time: Duration) {
        self.ends = self.ends.and_then(|ends| ends.checked_add(time));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn time_in_paused_work_does_not_count() {
        let mut deadline = Deadline::after(Some(Duration::from_secs(3600)));
        let before = deadline.ends;
        deadline.paused(|| std::thread::sleep(Duration::from_millis(5)));
        assert!(deadline.ends.zip(before).is_some_and(|(now, then)| now > then));
        assert!(!deadline.is_over());
        assert!(Deadline::after(Some(Duration::ZERO)).is_over());
        assert!(Deadline::after(None).remaining().is_none());
        assert!(Deadline::after(Some(Duration::MAX)).remaining().is_none());
    }
}
