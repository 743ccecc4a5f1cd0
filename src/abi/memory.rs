//! The program's memory: every pointer that crosses the boundary is checked here.

use std::ffi::{CStr, OsStr, c_char};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use crate::error::{Code, Error, Result};

/// The bytes of `[pointer, pointer + length)`; NULL only with length 0.
///
/// # Safety
/// A pointer that is not NULL is readable for `length` bytes as long as the slice is used.
pub unsafe fn bytes<'a>(pointer: *const u8, length: usize, what: &str) -> Result<&'a [u8]> {
    check_length(length, what)?;
    match (pointer.is_null(), length) {
        (_, 0) => Ok(&[]),
        (true, _) => Err(invalid(format!("{what} is NULL"))),
        // SAFETY: not NULL, the length is below isize::MAX; readable as the caller promises.
        (false, _) => Ok(unsafe { std::slice::from_raw_parts(pointer, length) }),
    }
}

/// The same for writing.
///
/// # Safety
/// A pointer that is not NULL is writable for `length` bytes and nobody else uses them as long as
/// the slice is used.
pub unsafe fn bytes_mut<'a>(pointer: *mut u8, length: usize, what: &str) -> Result<&'a mut [u8]> {
    check_length(length, what)?;
    match (pointer.is_null(), length) {
        (_, 0) => Ok(&mut []),
        (true, _) => Err(invalid(format!("{what} is NULL"))),
        // SAFETY: not NULL, the length is below isize::MAX; writable as the caller promises.
        (false, _) => Ok(unsafe { std::slice::from_raw_parts_mut(pointer, length) }),
    }
}

/// A NUL-terminated UTF-8 string; `None` for NULL.
///
/// # Safety
/// A pointer that is not NULL points to a NUL-terminated string.
pub unsafe fn string<'a>(pointer: *const c_char, what: &str) -> Result<Option<&'a str>> {
    if pointer.is_null() {
        return Ok(None);
    }
    // SAFETY: not NULL; NUL-terminated as the caller promises.
    let string = unsafe { CStr::from_ptr(pointer) };
    string.to_str().map(Some).map_err(|_| {
        invalid(format!("{what} {} is not valid UTF-8", crate::error::quote(string.to_bytes())))
    })
}

/// A path need not be UTF-8.
///
/// # Safety
/// `pointer` is NULL or NUL-terminated and lives as long as the path is used.
pub unsafe fn path<'a>(pointer: *const c_char, what: &str) -> Result<&'a Path> {
    if pointer.is_null() {
        return Err(Error::new(Code::INVALID, format!("{what} is NULL")));
    }
    // SAFETY: not NULL; NUL-terminated as the caller promises.
    let bytes = unsafe { CStr::from_ptr(pointer) }.to_bytes();
    Ok(Path::new(OsStr::from_bytes(bytes)))
}

/// Writes one value.
///
/// # Safety
/// A pointer that is not NULL and aligned is writable.
pub unsafe fn write<T>(pointer: *mut T, value: T, what: &str) -> Result<()> {
    check_target(pointer, what)?;
    // SAFETY: not NULL and aligned; writable as the caller promises.
    unsafe { pointer.write(value) };
    Ok(())
}

/// Checks an output before the work is done whose result it gets.
pub fn check_target<T>(pointer: *const T, what: &str) -> Result<()> {
    if pointer.is_null() {
        return Err(invalid(format!("{what} is NULL")));
    }
    if !pointer.is_aligned() {
        return Err(invalid(format!("{what} is not aligned: {pointer:p}")));
    }
    Ok(())
}

/// Writes a structure whose first member, `size`, the caller has set to its idea of the size.
///
/// # Safety
/// A pointer that is not NULL and aligned points to a readable `u32`, and is writable for as many
/// bytes as that says.
pub unsafe fn write_sized<T>(pointer: *mut T, value: T, what: &str) -> Result<()> {
    // SAFETY: as the caller promises.
    unsafe { check_sized(pointer, what) }?;
    // SAFETY: not NULL, aligned, and writable for its size as the caller promises.
    unsafe { pointer.write(value) };
    Ok(())
}

/// Checks such a structure before the work is done whose result it gets.
///
/// # Safety
/// As [`write_sized`].
pub unsafe fn check_sized<T>(pointer: *const T, what: &str) -> Result<()> {
    check_target(pointer, what)?;
    // SAFETY: not NULL and aligned; every such structure begins with its `u32` size.
    let size = unsafe { pointer.cast::<u32>().read() };
    if (size as usize) < size_of::<T>() {
        return Err(invalid(format!(
            "{what}: size is {size}, at least {} is needed: set it to sizeof before the call",
            size_of::<T>()
        )));
    }
    Ok(())
}

/// Copies `data` to a buffer of `capacity` bytes and its length to `length`. If it does not fit,
/// the length is all that is written. Capacity 0 with NULL asks for the length.
///
/// # Safety
/// `buffer` is NULL or writable for `capacity` bytes; `length` is NULL or writable.
pub unsafe fn copy_out(
    data: &[u8],
    buffer: *mut u8,
    capacity: usize,
    length: *mut usize,
) -> Result<()> {
    check_target(length, "len")?;
    check_length(capacity, "capacity")?;
    if buffer.is_null() && capacity > 0 {
        return Err(invalid("the buffer is NULL although its capacity is not 0".into()));
    }
    // SAFETY: checked above; writable as the caller promises.
    unsafe { length.write(data.len()) };
    if data.len() > capacity {
        return Err(Error::new(
            Code::BUFFER,
            format!("the buffer holds {capacity} bytes, {} are needed", data.len()),
        ));
    }
    // SAFETY: `buffer` is writable for `capacity` bytes, which are enough; a buffer of the
    // program's cannot overlap one of ours. With no data NULL is not touched.
    unsafe { std::ptr::copy(data.as_ptr(), buffer, data.len()) };
    Ok(())
}

/// [`copy_out`] for text: NUL-terminated, and the length counts the NUL.
///
/// # Safety
/// As [`copy_out`].
pub unsafe fn copy_out_text(
    text: &str,
    buffer: *mut c_char,
    capacity: usize,
    length: *mut usize,
) -> Result<()> {
    let mut terminated: Vec<u8> = text.bytes().filter(|&byte| byte != 0).collect();
    terminated.push(0);
    // SAFETY: as the caller promises.
    unsafe { copy_out(&terminated, buffer.cast(), capacity, length) }
}

fn check_length(length: usize, what: &str) -> Result<()> {
    if length > isize::MAX as usize {
        return Err(invalid(format!("the length of {what} is {length}, more than any buffer has")));
    }
    Ok(())
}

fn invalid(text: String) -> Error {
    Error { sys_errno: libc::EINVAL, ..Error::new(Code::INVALID, text) }
}
