//! A panic is a bug of the library: it becomes an error, in silence.

use std::cell::Cell;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, Ordering};

/// Runs `body`; `None` if it panicked. Nothing is printed: that is not the library's to do.
pub fn catch<T>(body: impl FnOnce() -> T) -> Option<T> {
    static SILENCED: AtomicBool = AtomicBool::new(false);
    if !SILENCED.swap(true, Ordering::AcqRel) {
        // The shared library has a panic hook of its own; a Rust program that links the crate
        // keeps its hook for its own panics.
        let others = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |panic| {
            if !INSIDE.try_with(Cell::get).unwrap_or(true) {
                others(panic);
            }
        }));
    }
    let outside = INSIDE.try_with(|inside| !inside.replace(true)).unwrap_or(false);
    let outcome = catch_unwind(AssertUnwindSafe(body)).ok();
    if outside {
        INSIDE.with(|inside| inside.set(false));
    }
    outcome
}

thread_local! {
    static INSIDE: Cell<bool> = const { Cell::new(false) };
}
