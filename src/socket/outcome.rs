//! How a handshake ends where several threads have a say: the one that makes it, one that cancels it,
//! one that frees the handle. The first error is what it ends with, and whoever finds that it has
//! failed finds the connection dead.

use crate::error::{Code, Error, ErrorSlot, Result};
use crate::sync::MutexGuard;

/// The state of a handle, as it is under its lock.
pub trait Contested {
    /// What is left of a handshake that was ended: to be dropped without the lock.
    type Remains;

    /// An error if no handshake is under way. Otherwise whether another thread can get at the
    /// connection.
    fn is_within_reach(&self) -> Result<bool>;

    fn was_freed(&self) -> bool;
}

/// The state for the next step that the thread inside makes, unless another one has ended it all.
pub fn next_step<'a, S: Contested>(
    state: MutexGuard<'a, S>,
    errors: &ErrorSlot,
) -> Result<MutexGuard<'a, S>> {
    if state.was_freed() {
        return Err(freed_meanwhile());
    }
    errors.fatal().map_or(Ok(state), Err)
}

/// Another thread ends the handshake. `None`: the one inside kills the connection, which nobody else
/// knows yet, at its next step.
pub fn cancel<S: Contested>(
    mut state: MutexGuard<'_, S>,
    errors: &ErrorSlot,
    kill: impl FnOnce(&mut S) -> S::Remains,
) -> Result<Option<S::Remains>> {
    let is_within_reach = state.is_within_reach()?;
    if !errors.set_fatal(cancelled()) {
        return Err(none_to_cancel("the handshake has failed already"));
    }
    Ok(is_within_reach.then(|| kill(&mut state)))
}

/// The thread inside ends it. Answers why it failed, too: another thread may have cancelled it first.
pub fn fail<'a, S: Contested + 'a>(
    error: &Error,
    errors: &ErrorSlot,
    lock: impl FnOnce() -> MutexGuard<'a, S>,
    kill: impl FnOnce(&mut S) -> S::Remains,
) -> (Error, S::Remains) {
    errors.set_fatal(error.clone());
    let first = errors.fatal().filter(|first| first.code == Code::CANCELLED);
    (first.unwrap_or_else(|| error.clone()), kill(&mut lock()))
}

pub fn cancelled() -> Error {
    Error::new(Code::CANCELLED, "the handshake was cancelled by ssl_cancel_handshake")
}

pub fn none_to_cancel(why: &str) -> Error {
    Error::new(Code::STATE, format!("no handshake is under way: {why} (nothing was changed)"))
}

pub fn freed_meanwhile() -> Error {
    Error::new(Code::STATE, "the handle was freed during the handshake")
}

#[cfg(all(test, sslsock_model))]
mod model {
    use shuttle::thread;

    use super::*;
    use crate::model::check;
    use crate::sync::{Arc, Mutex};

    #[derive(Clone, Copy, Debug, PartialEq)]
    enum Phase {
        /// Whether the connection is known.
        Handshaking(bool),
        Open,
        Failed,
        Freed,
    }

    struct Stand {
        phase: Phase,
        is_alive: bool,
    }

    impl Contested for Stand {
        type Remains = ();

        fn is_within_reach(&self) -> Result<bool> {
            match self.phase {
                Phase::Handshaking(is_known) => Ok(is_known),
                _ => Err(none_to_cancel("it is over")),
            }
        }

        fn was_freed(&self) -> bool {
            self.phase == Phase::Freed
        }
    }

    #[derive(Clone)]
    struct Handle {
        state: Arc<Mutex<Stand>>,
        errors: Arc<ErrorSlot>,
    }

    impl Handle {
        fn new() -> Self {
            let stand = Stand { phase: Phase::Handshaking(false), is_alive: true };
            Self { state: Arc::new(Mutex::new(stand)), errors: Arc::default() }
        }

        fn kill(state: &mut Stand) {
            if state.phase != Phase::Freed {
                state.phase = Phase::Failed;
            }
            state.is_alive = false;
        }

        /// The thread inside, step by step as in `upgrade`. `failure`: what it ends with by itself.
        fn perform(&self, failure: Option<Code>) -> Result<()> {
            let steps = || {
                let lock = || next_step(self.state.lock().unwrap(), &self.errors);
                lock()?.phase = Phase::Handshaking(true);
                drop(lock()?);
                if let Some(code) = failure {
                    return Err(Error::new(code, "by itself"));
                }
                lock()?.phase = Phase::Open;
                Ok(())
            };
            let lock = || self.state.lock().unwrap();
            steps().map_err(|error| fail(&error, &self.errors, lock, Self::kill).0)
        }

        fn cancel(&self) -> Result<()> {
            cancel(self.state.lock().unwrap(), &self.errors, Self::kill).map(drop)
        }

        /// Whoever finds it failed finds it dead.
        fn look(&self) -> Phase {
            let state = self.state.lock().unwrap();
            assert_eq!(state.is_alive, state.phase != Phase::Failed);
            state.phase
        }
    }

    #[test]
    fn a_handshake_that_was_cancelled_is_never_a_success() {
        check(|| {
            let handle = Handle::new();
            let inside = handle.clone();
            let inside = thread::spawn(move || inside.perform(None));
            let other = handle.clone();
            let other = thread::spawn(move || other.cancel());
            handle.look();
            let mine = handle.cancel();
            let (outcome, theirs) = (inside.join().unwrap(), other.join().unwrap());
            match (outcome, mine.is_ok(), theirs.is_ok()) {
                (Ok(()), false, false) => assert_eq!(handle.look(), Phase::Open),
                (Err(error), true, false) | (Err(error), false, true) => {
                    assert_eq!(error.code, Code::CANCELLED);
                    assert_eq!(handle.errors.fatal(), Some(error));
                    assert_eq!(handle.look(), Phase::Failed);
                }
                found => panic!("{found:?}"),
            }
        });
    }

    #[test]
    fn the_first_reason_is_the_one_that_everybody_is_told() {
        check(|| {
            let handle = Handle::new();
            let inside = handle.clone();
            let inside = thread::spawn(move || inside.perform(Some(Code::PROTOCOL)));
            let was_cancelled = handle.cancel().is_ok();
            let error = inside.join().unwrap().unwrap_err();
            let expected = if was_cancelled { Code::CANCELLED } else { Code::PROTOCOL };
            assert_eq!(error.code, expected);
            assert_eq!(handle.errors.fatal(), Some(error));
            assert_eq!(handle.look(), Phase::Failed);
        });
    }

    #[test]
    fn a_handshake_whose_handle_was_freed_is_no_success() {
        check(|| {
            let handle = Handle::new();
            let inside = handle.clone();
            let inside = thread::spawn(move || inside.perform(None));
            let other = handle.clone();
            let other = thread::spawn(move || other.cancel());
            let was_open = {
                let mut state = handle.state.lock().unwrap();
                let before = std::mem::replace(&mut state.phase, Phase::Freed);
                before == Phase::Open
            };
            let outcome = inside.join().unwrap();
            let was_cancelled = other.join().unwrap().is_ok();
            assert_eq!(outcome.is_ok(), was_open);
            assert!(!(was_open && was_cancelled));
            assert_eq!(handle.state.lock().unwrap().is_alive, was_open);
        });
    }
}
