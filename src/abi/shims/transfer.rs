//! Windows: sending and receiving.

use std::ffi::c_void;

use super::boundary::shim;
use super::memory;
use super::sockets::{Number, SOCKET_ERROR, address, check_room_for_address};
use crate::error::Result;
use crate::winsock::error::{self, failure};
use crate::winsock::{sockets, transfer};

/// Windows: send.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ssl_wce_send(
    s: Number,
    data: *const c_void,
    length: i32,
    flags: i32,
) -> i32 {
    shim!(ssl_wce_send, SOCKET_ERROR, {
        let number = sockets::descriptor(s)?;
        // SAFETY: as Windows demands it.
        let data = unsafe { memory::buffer(data, length, "the data") }?;
        transfer::send(number, data, flags, None).map(count)
    })
}

/// Windows: recv.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ssl_wce_recv(
    s: Number,
    buffer: *mut c_void,
    length: i32,
    flags: i32,
) -> i32 {
    shim!(ssl_wce_recv, SOCKET_ERROR, {
        let number = sockets::descriptor(s)?;
        // SAFETY: as Windows demands it.
        let buffer = unsafe { memory::buffer_mut(buffer, length, "the buffer") }?;
        transfer::receive(number, buffer, flags).map(|(received, _)| count(received))
    })
}

/// Windows: sendto. A stream ignores the address.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ssl_wce_sendto(
    s: Number,
    data: *const c_void,
    length: i32,
    flags: i32,
    to: *const c_void,
    to_length: i32,
) -> i32 {
    shim!(ssl_wce_sendto, SOCKET_ERROR, {
        let number = sockets::descriptor(s)?;
        // SAFETY: as Windows demands it.
        let data = unsafe { memory::buffer(data, length, "the data") }?;
        let to = match to.is_null() {
            true => None,
            // SAFETY: as Windows demands it.
            false => Some(unsafe { address(to, to_length) }?),
        };
        transfer::send(number, data, flags, to.as_deref()).map(count)
    })
}

/// Windows: recvfrom. A stream leaves the address alone.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ssl_wce_recvfrom(
    s: Number,
    buffer: *mut c_void,
    length: i32,
    flags: i32,
    from: *mut c_void,
    from_length: *mut i32,
) -> i32 {
    shim!(ssl_wce_recvfrom, SOCKET_ERROR, {
        let number = sockets::descriptor(s)?;
        // SAFETY: as Windows demands it.
        let buffer = unsafe { memory::buffer_mut(buffer, length, "the buffer") }?;
        let is_asked = !from.is_null() && sockets::kind(number)? != libc::SOCK_STREAM;
        if is_asked {
            // SAFETY: as Windows demands it.
            unsafe { check_room_for_address(number, from_length) }?;
        }
        let (received, sender) = transfer::receive(number, buffer, flags)?;
        if is_asked {
            // SAFETY: as Windows demands it.
            unsafe { memory::give_address(from, from_length, &sender) }?;
        }
        Ok(count(received))
    })
}

/// Windows: WSABUF.
#[repr(C)]
pub struct Buffer {
    length: u32,
    data: *mut c_void,
}

/// Windows: WSASend, with one buffer and without an overlapped operation.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ssl_wce_wsa_send(
    s: Number,
    buffers: *const Buffer,
    buffer_count: u32,
    sent: *mut u32,
    flags: u32,
    overlapped: *const c_void,
    routine: *const c_void,
) -> i32 {
    shim!(ssl_wce_wsa_send, SOCKET_ERROR, {
        let number = sockets::descriptor(s)?;
        refuse_overlapped(overlapped, routine)?;
        // SAFETY: as Windows demands it.
        let (data, length) = unsafe { only_buffer(buffers, buffer_count) }?;
        // SAFETY: as Windows demands it.
        let data = unsafe { memory::buffer(data, length, "the data") }?;
        let done = transfer::send(number, data, flags.cast_signed(), None)?;
        // SAFETY: as Windows demands it.
        unsafe { give_count(sent, done) }
    })
}

/// Windows: WSARecv, with one buffer and without an overlapped operation.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ssl_wce_wsa_recv(
    s: Number,
    buffers: *const Buffer,
    buffer_count: u32,
    received: *mut u32,
    flags: *mut u32,
    overlapped: *const c_void,
    routine: *const c_void,
) -> i32 {
    shim!(ssl_wce_wsa_recv, SOCKET_ERROR, {
        let number = sockets::descriptor(s)?;
        refuse_overlapped(overlapped, routine)?;
        // SAFETY: as Windows demands it.
        let (data, length) = unsafe { only_buffer(buffers, buffer_count) }?;
        // SAFETY: as Windows demands it.
        let buffer = unsafe { memory::buffer_mut(data, length, "the buffer") }?;
        // SAFETY: as Windows demands it.
        let asked = unsafe { memory::copy_in(flags.cast(), 4, "lpFlags") }?;
        let asked = asked.first_chunk().map_or(0, |bytes| i32::from_ne_bytes(*bytes));
        let (done, _) = transfer::receive(number, buffer, asked)?;
        // SAFETY: as Windows demands it.
        unsafe {
            memory::copy_out(flags.cast(), &[0; 4], "lpFlags")?;
            give_count(received, done)
        }
    })
}

/// # Safety
/// As [`memory::copy_in`].
unsafe fn only_buffer(buffers: *const Buffer, buffer_count: u32) -> Result<(*mut c_void, i32)> {
    if buffer_count != 1 {
        return Err(failure(
            error::WSAEOPNOTSUPP,
            format!("{buffer_count} buffers: only one is supported"),
        ));
    }
    let size = size_of::<Buffer>() as i32;
    // SAFETY: as the caller promises.
    let bytes = unsafe { memory::copy_in(buffers.cast(), size, "lpBuffers") }?;
    // SAFETY: as long as the structure, of which any bytes are one.
    let buffer = unsafe { bytes.as_ptr().cast::<Buffer>().read_unaligned() };
    let length = i32::try_from(buffer.length)
        .map_err(|_| failure(error::WSAEFAULT, "the buffer is longer than any can be"))?;
    Ok((buffer.data, length))
}

fn refuse_overlapped(overlapped: *const c_void, routine: *const c_void) -> Result<()> {
    if overlapped.is_null() && routine.is_null() {
        return Ok(());
    }
    Err(failure(error::WSAEOPNOTSUPP, "overlapped operations are not supported"))
}

/// # Safety
/// As [`memory::copy_out`].
unsafe fn give_count(pointer: *mut u32, done: usize) -> Result<i32> {
    if !pointer.is_null() {
        // SAFETY: as the caller promises.
        unsafe { memory::copy_out(pointer.cast(), &(done as u32).to_ne_bytes(), "the count") }?;
    }
    Ok(0)
}

/// Never more than the length that was given, an int.
fn count(length: usize) -> i32 {
    length as i32
}
