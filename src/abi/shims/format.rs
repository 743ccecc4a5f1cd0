//! What the headers' functions for formats call: the format, and a function that takes the next argument.

use std::ffi::{c_char, c_void};

use super::boundary::shim;
use super::units::{self, Unit, wchar_t};
use crate::error::{Code, Error, Result};
use crate::winsock::error::{ERROR_INSUFFICIENT_BUFFER, ERROR_INVALID_PARAMETER, failure};
use crate::winsock::format::{self, Arguments, Rule, Width};
use crate::winsock::scan;

/// Stores the next argument of a kind, which the header's function takes from the va_list.
pub type Next = unsafe extern "C" fn(arguments: *mut c_void, kind: i32, value: *mut c_void);

/// The text's length, or -1: by the rule.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ssl_wce_format_narrow(
    buffer: *mut c_char,
    capacity: usize,
    rule: i32,
    pattern: *const c_char,
    next: Option<Next>,
    arguments: *mut c_void,
) -> i32 {
    shim!(ssl_wce_format_narrow, -1, {
        // SAFETY: as the header promises.
        unsafe {
            formatted(
                Width::Narrow,
                buffer.cast::<u8>(),
                capacity,
                rule,
                pattern.cast(),
                next,
                arguments,
            )
        }
    })
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn ssl_wce_format_wide(
    buffer: *mut wchar_t,
    capacity: usize,
    rule: i32,
    pattern: *const wchar_t,
    next: Option<Next>,
    arguments: *mut c_void,
) -> i32 {
    shim!(ssl_wce_format_wide, -1, {
        // SAFETY: as the header promises.
        unsafe { formatted(Width::Wide, buffer, capacity, rule, pattern, next, arguments) }
    })
}

/// A target of scanf, as the header has it.
#[repr(C)]
pub struct Target {
    pointer: *mut c_void,
    size: usize,
}

/// The length of the format for the C library, or -1.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ssl_wce_scan_narrow(
    result: *mut c_char,
    capacity: usize,
    pattern: *const c_char,
    targets: *const Target,
    count: usize,
) -> i32 {
    shim!(ssl_wce_scan_narrow, -1, {
        // SAFETY: as the header promises.
        unsafe {
            rewritten(Width::Narrow, result.cast::<u8>(), capacity, pattern.cast(), targets, count)
        }
    })
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn ssl_wce_scan_wide(
    result: *mut wchar_t,
    capacity: usize,
    pattern: *const wchar_t,
    targets: *const Target,
    count: usize,
) -> i32 {
    shim!(ssl_wce_scan_wide, -1, {
        // SAFETY: as the header promises.
        unsafe { rewritten(Width::Wide, result, capacity, pattern, targets, count) }
    })
}

/// # Safety
/// The pattern is NULL or ends with a NUL; `next` takes from `arguments` what the pattern says; the
/// buffer is writable for the capacity or, where the rule is Unlimited, for the text.
unsafe fn formatted<U: Unit>(
    width: Width,
    buffer: *mut U,
    capacity: usize,
    rule: i32,
    pattern: *const U,
    next: Option<Next>,
    arguments: *mut c_void,
) -> Result<i32> {
    let rule = Rule::of(rule).ok_or_else(|| Error::internal("a rule for formats that is none"))?;
    let next = next.ok_or_else(|| Error::new(Code::INVALID, "`next` is NULL"))?;
    if buffer.is_null() && (capacity != 0 || rule == Rule::Unlimited) {
        return Err(failure(ERROR_INVALID_PARAMETER, "the buffer for a text is NULL"));
    }
    // SAFETY: as the caller promises.
    let made = unsafe { units::terminated(pattern, "the format") }
        .and_then(|pattern| format::format(width, &pattern, &mut List { next, arguments }));
    let text = match made {
        Ok(text) => text,
        Err(error) => {
            if capacity > 0 {
                // SAFETY: not NULL, as checked above; writable as the caller promises.
                unsafe { buffer.write(U::of(0)) };
            }
            return Err(error);
        }
    };
    let (stored, ends, answer) = rule.place(text.len(), capacity, !buffer.is_null());
    // SAFETY: no more than the capacity, or the text, which the caller promises room for.
    unsafe { units::store(buffer, &text[..stored], ends) };
    Ok(answer)
}

/// # Safety
/// The pattern is NULL or ends with a NUL; `targets` is readable for `count`, `result` writable for
/// `capacity`.
unsafe fn rewritten<U: Unit>(
    width: Width,
    result: *mut U,
    capacity: usize,
    pattern: *const U,
    targets: *const Target,
    count: usize,
) -> Result<i32> {
    if result.is_null() || (targets.is_null() && count > 0) {
        return Err(failure(ERROR_INVALID_PARAMETER, "`result` or `targets` is NULL"));
    }
    // SAFETY: readable as the caller promises.
    let sizes: Vec<_> = (0..count).map(|i| unsafe { (*targets.add(i)).size }).collect();
    // SAFETY: as the caller promises.
    let pattern = unsafe { units::terminated(pattern, "the format") }?;
    let text = scan::rewrite(width, &pattern, &sizes)?;
    if text.len() >= capacity {
        return Err(failure(ERROR_INSUFFICIENT_BUFFER, "the buffer for a format is too small"));
    }
    // SAFETY: it fits, and the caller promises the room.
    unsafe { units::store(result, &text, true) };
    i32::try_from(text.len())
        .map_err(|_| failure(ERROR_INVALID_PARAMETER, "the format is too long"))
}

struct List {
    next: Next,
    arguments: *mut c_void,
}

impl List {
    fn take<T: Default>(&mut self, kind: i32) -> T {
        let mut value = T::default();
        // SAFETY: the header's function writes a value of this kind's type.
        unsafe { (self.next)(self.arguments, kind, (&raw mut value).cast()) };
        value
    }
}

impl Arguments for List {
    fn int(&mut self) -> i32 {
        self.take(1)
    }

    fn long_long(&mut self) -> i64 {
        self.take(2)
    }

    fn address(&mut self) -> usize {
        self.take(3)
    }

    fn double(&mut self) -> f64 {
        self.take(4)
    }

    fn long_double(&mut self) -> f64 {
        self.take(5)
    }

    fn string(&self, address: usize, width: Width, limit: usize) -> Vec<u32> {
        // SAFETY: the program promises, with its format, that a string stands there, which ends with
        // a NUL or is as long as the precision says.
        unsafe {
            match width {
                Width::Narrow => units::up_to(address as *const u8, limit),
                Width::Wide => units::up_to(address as *const wchar_t, limit),
            }
        }
    }
}
