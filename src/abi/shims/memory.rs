//! What shims do with the program's pointers: copies, made so that nothing crashes where nothing
//! is, and views of buffers. Whatever is wrong with a pointer or a length is WSAEFAULT.

use std::ffi::c_void;

use crate::error::{Error, Result};
use crate::sys::program_memory;
use crate::winsock::error::{self, failure};

/// A copy of what the program gives.
///
/// # Safety
/// `pointer` is readable for `length` bytes, NULL, or nothing that the kernel could read.
pub unsafe fn copy_in(pointer: *const c_void, length: i32, what: &str) -> Result<Vec<u8>> {
    let length = checked_length(length, what)?;
    // SAFETY: as the caller promises.
    let copy = match pointer.is_null() {
        true => None,
        false => unsafe { program_memory::read(pointer.expose_provenance(), length) },
    };
    copy.ok_or_else(|| unreadable(what))
}

/// # Safety
/// `pointer` is writable for as many bytes, NULL, or nothing that the kernel could write to.
pub unsafe fn copy_out(pointer: *mut c_void, bytes: &[u8], what: &str) -> Result<()> {
    // SAFETY: as the caller promises.
    match !pointer.is_null() && unsafe { program_memory::write(pointer.expose_provenance(), bytes) }
    {
        true => Ok(()),
        false => Err(unreadable(what)),
    }
}

/// An int that also gets an answer: the length of a buffer.
///
/// # Safety
/// As [`copy_in`].
pub unsafe fn length_at(pointer: *const i32, what: &str) -> Result<usize> {
    // SAFETY: as the caller promises.
    let bytes = unsafe { copy_in(pointer.cast(), size_of::<i32>() as i32, what) }?;
    let length = bytes.first_chunk().map_or(-1, |bytes| i32::from_ne_bytes(*bytes));
    checked_length(length, what)
}

/// Writes an address to a buffer of `*length` bytes and its length to `length`.
///
/// # Safety
/// As [`copy_out`] for both; `pointer` for `*length` bytes.
pub unsafe fn give_address(pointer: *mut c_void, length: *mut i32, address: &[u8]) -> Result<()> {
    // SAFETY: as the caller promises.
    let capacity = unsafe { length_at(length, "the length of the address") }?;
    if capacity < address.len() {
        return Err(failure(
            error::WSAEFAULT,
            format!("the address has {} bytes, the buffer {capacity}", address.len()),
        ));
    }
    // SAFETY: as the caller promises.
    unsafe {
        copy_out(pointer, address, "the address")?;
        copy_out(length.cast(), &(address.len() as i32).to_ne_bytes(), "its length")
    }
}

/// The bytes that are handed to the kernel, which checks them.
///
/// # Safety
/// As `abi::memory::bytes`; the slice is for system calls alone.
pub unsafe fn buffer<'a>(pointer: *const c_void, length: i32, what: &str) -> Result<&'a [u8]> {
    let length = checked_length(length, what)?;
    // SAFETY: as the caller promises.
    unsafe { crate::abi::memory::bytes(pointer.cast(), length, what) }.map_err(as_fault)
}

/// The same for writing.
///
/// # Safety
/// As `abi::memory::bytes_mut`; the slice is for system calls alone.
pub unsafe fn buffer_mut<'a>(
    pointer: *mut c_void,
    length: i32,
    what: &str,
) -> Result<&'a mut [u8]> {
    let length = checked_length(length, what)?;
    // SAFETY: as the caller promises.
    unsafe { crate::abi::memory::bytes_mut(pointer.cast(), length, what) }.map_err(as_fault)
}

fn checked_length(length: i32, what: &str) -> Result<usize> {
    usize::try_from(length)
        .map_err(|_| failure(error::WSAEFAULT, format!("the length of {what} is {length}")))
}

fn unreadable(what: &str) -> Error {
    failure(error::WSAEFAULT, format!("{what}: the pointer is NULL or leads nowhere"))
}

fn as_fault(error: Error) -> Error {
    Error { windows: error::WSAEFAULT, ..error }
}
