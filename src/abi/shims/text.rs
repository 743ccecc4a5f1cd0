//! Windows: code pages and the case of characters.

use std::ffi::c_char;

use super::boundary::shim;
use super::units::{self, Unit, wchar_t};
use crate::error::Result;
use crate::winsock::error::{ERROR_INSUFFICIENT_BUFFER, ERROR_INVALID_PARAMETER, failure};
use crate::winsock::text::{self, CodePage};

/// Windows: MultiByteToWideChar.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ssl_wce_multi_byte_to_wide_char(
    page: u32,
    flags: u32,
    from: *const c_char,
    length: i32,
    to: *mut wchar_t,
    capacity: i32,
) -> i32 {
    shim!(ssl_wce_multi_byte_to_wide_char, 0, {
        let page = CodePage::of(page)?;
        check_target(to, capacity)?;
        // SAFETY: as the header demands.
        let units = unsafe { input(from.cast::<u8>(), length) }?;
        let bytes: Vec<_> = units.iter().map(|&unit| unit as u8).collect();
        // SAFETY: as the header demands.
        unsafe { give(&page.decode(&bytes, flags)?, to, capacity) }
    })
}

/// Windows: WideCharToMultiByte.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ssl_wce_wide_char_to_multi_byte(
    page: u32,
    flags: u32,
    from: *const wchar_t,
    length: i32,
    to: *mut c_char,
    capacity: i32,
    instead: *const c_char,
    used_instead: *mut i32,
) -> i32 {
    shim!(ssl_wce_wide_char_to_multi_byte, 0, {
        let page = CodePage::of(page)?;
        if page == CodePage::Utf8 && !(instead.is_null() && used_instead.is_null()) {
            return Err(failure(
                ERROR_INVALID_PARAMETER,
                "UTF-8 needs no default character: pass NULL",
            ));
        }
        check_target(to.cast::<u8>(), capacity)?;
        // SAFETY: as the header demands.
        let wide = unsafe { input(from, length) }?;
        // SAFETY: readable as the header demands.
        let instead = (!instead.is_null()).then(|| unsafe { instead.read() } as u8);
        let (bytes, used) = page.encode(&wide, flags, instead)?;
        let units: Vec<_> = bytes.iter().map(|&byte| u32::from(byte)).collect();
        // SAFETY: as the header demands.
        let answer = unsafe { give(&units, to.cast::<u8>(), capacity) }?;
        if !used_instead.is_null() {
            // SAFETY: writable as the header demands.
            unsafe { used_instead.write_unaligned(used.into()) };
        }
        Ok(answer)
    })
}

/// Makes letters small or capital, in place.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ssl_wce_change_case_narrow(text: *mut c_char, length: usize, upper: i32) {
    shim!(ssl_wce_change_case_narrow, (), {
        // SAFETY: as the header demands.
        unsafe {
            change(text.cast::<u8>(), length, |unit| {
                text::change_case_of_byte(unit as u8, upper != 0).into()
            })
        }
    });
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn ssl_wce_change_case_wide(text: *mut wchar_t, length: usize, upper: i32) {
    shim!(ssl_wce_change_case_wide, (), {
        // SAFETY: as the header demands.
        unsafe { change(text, length, |unit| text::change_case(unit, upper != 0)) }
    });
}

/// Microsoft's C library: _wcsicmp and _wcsnicmp.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ssl_wce_compare_wide(
    first: *const wchar_t,
    second: *const wchar_t,
    most: usize,
) -> i32 {
    shim!(ssl_wce_compare_wide, i32::MAX, {
        if first.is_null() || second.is_null() {
            return Err(failure(ERROR_INVALID_PARAMETER, "a string to be compared is NULL"));
        }
        // SAFETY: as the header demands.
        let (first, second) = unsafe { (units::up_to(first, most), units::up_to(second, most)) };
        Ok(text::compare_without_case(&first, &second))
    })
}

/// Windows: CompareString. The lengths may be negative: up to the NUL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ssl_wce_compare_string_w(
    _locale: u32,
    flags: u32,
    first: *const wchar_t,
    first_length: i32,
    second: *const wchar_t,
    second_length: i32,
) -> i32 {
    shim!(ssl_wce_compare_string_w, 0, {
        // SAFETY: as the header demands.
        let (first, second) =
            unsafe { (compared(first, first_length)?, compared(second, second_length)?) };
        text::compare(&first, &second, flags)
    })
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn ssl_wce_compare_string_a(
    _locale: u32,
    flags: u32,
    first: *const c_char,
    first_length: i32,
    second: *const c_char,
    second_length: i32,
) -> i32 {
    shim!(ssl_wce_compare_string_a, 0, {
        // SAFETY: as the header demands.
        let (first, second) = unsafe {
            (
                compared(first.cast::<u8>(), first_length)?,
                compared(second.cast::<u8>(), second_length)?,
            )
        };
        text::compare(&first, &second, flags)
    })
}

/// Whether a character is what the header's number says.
#[unsafe(no_mangle)]
pub extern "C" fn ssl_wce_is_char(character: wchar_t, what: i32) -> i32 {
    shim!(ssl_wce_is_char, 0, Ok(text::is_character(character as u32, what).into()))
}

/// The wide character of one of Windows-1252.
#[unsafe(no_mangle)]
pub extern "C" fn ssl_wce_wide_of(character: i32) -> wchar_t {
    shim!(ssl_wce_wide_of, 0, Ok(text::of_1252(character as u8) as wchar_t))
}

/// # Safety
/// As for [`units::terminated`] if the length is negative, else readable for it.
unsafe fn input<U: Unit>(from: *const U, length: i32) -> Result<Vec<u32>> {
    if from.is_null() || length == 0 {
        return Err(failure(ERROR_INVALID_PARAMETER, "there is no text to be converted"));
    }
    match usize::try_from(length) {
        // SAFETY: as the caller promises.
        Ok(length) => Ok(unsafe { units::counted(from, length) }),
        Err(_) => {
            // SAFETY: as the caller promises.
            let mut units = unsafe { units::terminated(from, "the text") }?;
            // The NUL is converted, too.
            units.push(0);
            Ok(units)
        }
    }
}

/// # Safety
/// As for [`input`].
unsafe fn compared<U: Unit>(from: *const U, length: i32) -> Result<Vec<u32>> {
    // SAFETY: as the caller promises.
    match usize::try_from(length) {
        Ok(0) => Ok(Vec::new()),
        Ok(length) if !from.is_null() => {
            // SAFETY: as the caller promises.
            Ok(unsafe { units::counted(from, length) }
                .iter()
                .map(|&unit| U::of(unit).character().into())
                .collect())
        }
        // SAFETY: as the caller promises.
        _ => Ok(unsafe { units::terminated(from, "a string to be compared") }?
            .iter()
            .map(|&unit| U::of(unit).character().into())
            .collect()),
    }
}

fn check_target<U>(to: *const U, capacity: i32) -> Result<()> {
    if capacity < 0 || (capacity > 0 && to.is_null()) {
        return Err(failure(ERROR_INVALID_PARAMETER, "the buffer is NULL or its length negative"));
    }
    Ok(())
}

/// Stores the result, or answers how long it is if the capacity is 0.
///
/// # Safety
/// `to` is writable for the capacity.
unsafe fn give<U: Unit>(units: &[u32], to: *mut U, capacity: i32) -> Result<i32> {
    let capacity = usize::try_from(capacity).unwrap_or(0);
    if capacity > 0 {
        let fitting = units.len().min(capacity);
        // SAFETY: no more than the capacity.
        unsafe { units::store(to, &units[..fitting], false) };
        if fitting < units.len() {
            return Err(failure(
                ERROR_INSUFFICIENT_BUFFER,
                format!("the converted text has {} units, the buffer {capacity}", units.len()),
            ));
        }
    }
    i32::try_from(units.len()).map_err(|_| failure(ERROR_INVALID_PARAMETER, "the text is too long"))
}

/// # Safety
/// The pointer is writable for `length` units.
unsafe fn change<U: Unit>(
    text: *mut U,
    length: usize,
    mut change: impl FnMut(u32) -> u32,
) -> Result<()> {
    if text.is_null() && length > 0 {
        return Err(failure(ERROR_INVALID_PARAMETER, "the text is NULL"));
    }
    for i in 0..length {
        // SAFETY: as the caller promises.
        unsafe {
            let at = text.add(i);
            at.write_unaligned(U::of(change(at.read_unaligned().value())));
        }
    }
    Ok(())
}
