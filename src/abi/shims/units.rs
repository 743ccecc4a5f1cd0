//! Strings of the program's, narrow and wide, as units of 32 bits.

use crate::error::Result;
use crate::winsock::error::{ERROR_INVALID_PARAMETER, failure};
use crate::winsock::text::of_1252;

/// C's wchar_t.
pub type wchar_t = libc::wchar_t;

/// What strings are made of.
pub trait Unit: Copy {
    fn value(self) -> u32;
    fn of(value: u32) -> Self;
    /// As text of the program's: narrow units are Windows-1252.
    fn character(self) -> char;
}

impl Unit for u8 {
    fn value(self) -> u32 {
        self.into()
    }

    fn of(value: u32) -> Self {
        value as Self
    }

    fn character(self) -> char {
        char::from_u32(of_1252(self)).unwrap_or(char::REPLACEMENT_CHARACTER)
    }
}

impl Unit for wchar_t {
    fn value(self) -> u32 {
        self as u32
    }

    fn of(value: u32) -> Self {
        value as Self
    }

    fn character(self) -> char {
        char::from_u32(self as u32).unwrap_or(char::REPLACEMENT_CHARACTER)
    }
}

/// A string without its NUL.
///
/// # Safety
/// The pointer is NULL or points to a string that ends with a NUL.
pub unsafe fn terminated<U: Unit>(pointer: *const U, what: &str) -> Result<Vec<u32>> {
    if pointer.is_null() {
        return Err(failure(ERROR_INVALID_PARAMETER, format!("{what} is NULL")));
    }
    // SAFETY: not NULL; as the caller promises.
    Ok(unsafe { up_to(pointer, usize::MAX) })
}

/// The same, as text; NULL is an empty one.
///
/// # Safety
/// As for [`terminated`].
pub unsafe fn text<U: Unit>(pointer: *const U) -> String {
    if pointer.is_null() {
        return String::new();
    }
    let mut text = String::new();
    for i in 0.. {
        // SAFETY: the string has not ended before.
        let unit = unsafe { pointer.add(i).read_unaligned() };
        if unit.value() == 0 {
            break;
        }
        text.push(unit.character());
    }
    text
}

/// At most `limit` units, fewer if there is a NUL.
///
/// # Safety
/// The pointer is readable up to its first NUL or for `limit` units.
pub unsafe fn up_to<U: Unit>(pointer: *const U, limit: usize) -> Vec<u32> {
    let mut units = Vec::new();
    while units.len() < limit {
        // SAFETY: neither the limit nor a NUL has been met.
        let unit = unsafe { pointer.add(units.len()).read_unaligned() }.value();
        if unit == 0 {
            break;
        }
        units.push(unit);
    }
    units
}

/// Units of which the program says how many there are.
///
/// # Safety
/// The pointer is readable for `length` units.
pub unsafe fn counted<U: Unit>(pointer: *const U, length: usize) -> Vec<u32> {
    // SAFETY: as the caller promises.
    (0..length).map(|i| unsafe { pointer.add(i).read_unaligned() }.value()).collect()
}

/// Writes units, and a NUL if `ends`.
///
/// # Safety
/// The pointer is writable for as many.
pub unsafe fn store<U: Unit>(pointer: *mut U, units: &[u32], ends: bool) {
    for (i, &unit) in units.iter().chain(ends.then_some(&0)).enumerate() {
        // SAFETY: as the caller promises.
        unsafe { pointer.add(i).write_unaligned(U::of(unit)) };
    }
}
