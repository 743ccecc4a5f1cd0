//! The program's log callback: off until it asks, and never given secrets or payload.

use std::sync::{Arc, Mutex, PoisonError};

use crate::sys::process::PerProcess;

/// The values of `SSL_LOG_*`; a higher level includes the lower ones.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u32)]
pub enum Level {
    Error = 1,
    Warning = 2,
    Info = 3,
    Debug = 4,
}

pub type Callback = Arc<dyn Fn(Level, &str) + Send + Sync>;

/// `None` turns logging off.
pub fn set(target: Option<(Level, Callback)>) {
    *TARGET.get_or_init(Mutex::default).lock().unwrap_or_else(PoisonError::into_inner) = target;
}

/// Whether a text of this level would reach anybody.
pub fn is_on(level: Level) -> bool {
    let Some(target) = TARGET.get() else { return false };
    let target = target.lock().unwrap_or_else(PoisonError::into_inner);
    target.as_ref().is_some_and(|(limit, _)| level <= *limit)
}

/// Calls back on the calling thread, which is always one of the program's, with no lock held.
pub fn write(level: Level, text: &str) {
    let Some(target) = TARGET.get() else { return };
    let target = target.lock().unwrap_or_else(PoisonError::into_inner).clone();
    if let Some((limit, callback)) = target
        && level <= limit
    {
        callback(level, text);
    }
}

static TARGET: PerProcess<Mutex<Option<(Level, Callback)>>> = PerProcess::new();
