//! MessageBox: the program's user is asked by a function of the program's, or not at all.

use std::sync::{Arc, Mutex, PoisonError};

use crate::sys::process::PerProcess;

/// One box. The owner is a window of the program's and means nothing here.
pub struct Question<'a> {
    pub owner: usize,
    pub text: &'a str,
    pub caption: &'a str,
    pub kind: u32,
}

pub type Callback = Arc<dyn Fn(&Question<'_>) -> i32 + Send + Sync>;

/// `None`: nobody is asked.
pub fn set(callback: Option<Callback>) {
    *CALLBACK.get_or_init(Mutex::default).lock().unwrap_or_else(PoisonError::into_inner) = callback;
}

/// The button that was chosen. Asks on the calling thread, with no lock held, and takes as long as the user does.
pub fn ask(question: &Question<'_>) -> i32 {
    let callback = CALLBACK
        .get()
        .and_then(|callback| callback.lock().unwrap_or_else(PoisonError::into_inner).clone());
    match callback {
        Some(callback) => callback(question),
        None => as_if_cancelled(question.kind),
    }
}

/// The answer that changes least.
pub fn as_if_cancelled(kind: u32) -> i32 {
    match kind & 0xf {
        ABORT_RETRY_IGNORE => ID_ABORT,
        YES_NO => ID_NO,
        _ => ID_CANCEL,
    }
}

static CALLBACK: PerProcess<Mutex<Option<Callback>>> = PerProcess::new();

const ABORT_RETRY_IGNORE: u32 = 2;
const YES_NO: u32 = 4;
const ID_CANCEL: i32 = 2;
const ID_ABORT: i32 = 3;
const ID_NO: i32 = 7;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn without_a_function_it_is_as_if_cancelled() {
        // With icons and a default button.
        for (kind, answer) in [(0, 2), (1, 2), (2, 3), (3, 2), (4, 7), (5, 2), (0x134, 7)] {
            assert_eq!(as_if_cancelled(kind), answer, "{kind}");
        }
    }
}
