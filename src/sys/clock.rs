//! Clocks, and what the local time is.

use std::ffi::CStr;
use std::time::Duration;

/// The local time at some moment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Local {
    /// How far it is ahead of UTC, in seconds.
    pub offset: i32,
    pub is_daylight: bool,
    pub name: String,
}

/// By the zone of the process, as the C library knows it.
pub fn local(seconds: i64) -> Local {
    // SAFETY: all zeros are a value of it: numbers and a pointer.
    let mut fields: libc::tm = unsafe { std::mem::zeroed() };
    // SAFETY: both are valid.
    let found = unsafe { libc::localtime_r(&seconds, &mut fields) };
    if found.is_null() || fields.tm_zone.is_null() {
        return Local { offset: 0, is_daylight: false, name: "UTC".to_owned() };
    }
    // SAFETY: not NULL; the C library's own string, which it does not free.
    let name = unsafe { CStr::from_ptr(fields.tm_zone) };
    Local {
        offset: fields.tm_gmtoff as i32,
        is_daylight: fields.tm_isdst > 0,
        name: name.to_string_lossy().into_owned(),
    }
}

/// Since the system was started; never goes back.
pub fn since_start() -> Duration {
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // By the C library: rustix would look for the kernel's code itself, where valgrind hides it.
    // SAFETY: one structure to write to; this clock always is there.
    unsafe { libc::clock_gettime(libc::CLOCK_MONOTONIC, &mut time) };
    Duration::new(time.tv_sec as u64, time.tv_nsec as u32)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn time_does_not_go_back() {
        let first = since_start();
        assert!(since_start() >= first && first > Duration::ZERO);
    }

    #[test]
    fn local_time_is_within_a_day() {
        let local = local(1_700_000_000);
        assert!(local.offset.abs() < 86_400 && !local.name.is_empty());
    }
}
