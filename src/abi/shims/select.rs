//! Windows: select.

use super::boundary::shim;
use crate::abi::memory;
use crate::error::Result;
use crate::winsock::error::{self, WSAEFAULT, WSAEINVAL};
use crate::winsock::select::{self, Sets};

/// What `include/wince/sslsock_wce/select.h` calls `fd_set`.
#[repr(C)]
pub struct FdSet {
    count: u32,
    sockets: [usize; CAPACITY],
}

const CAPACITY: usize = 1024;

/// Windows: select. The number of sockets in all the sets afterwards, or -1.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ssl_wce_select(
    _ignored: i32,
    readable: *mut FdSet,
    writable: *mut FdSet,
    failed: *mut FdSet,
    timeout: *const libc::timeval,
) -> i32 {
    shim!(ssl_wce_select, -1, {
        let timeout = if timeout.is_null() {
            None
        } else {
            memory::check_target(timeout, "timeout").map_err(|error| fault(&error.text))?;
            // SAFETY: not NULL and aligned; readable as the caller promises.
            let timeout = unsafe { timeout.read() };
            Some(select::timeout(timeout.tv_sec, timeout.tv_usec)?)
        };
        // SAFETY: each is NULL or one of the program's sets.
        let asked = unsafe {
            Sets {
                readable: read(readable, "readfds")?,
                writable: read(writable, "writefds")?,
                failed: read(failed, "exceptfds")?,
            }
        };
        let ready = select::select(&asked, timeout)?;
        // SAFETY: as above; none is read any more, so two may be the same.
        unsafe {
            write(readable, &ready.readable);
            write(writable, &ready.writable);
            write(failed, &ready.failed);
        }
        Ok(ready.count() as i32)
    })
}

/// # Safety
/// `set` is NULL or, if it is aligned, points to a set.
unsafe fn read(set: *const FdSet, name: &str) -> Result<Vec<usize>> {
    if set.is_null() {
        return Ok(Vec::new());
    }
    memory::check_target(set, name).map_err(|error| fault(&error.text))?;
    // SAFETY: not NULL and aligned; a set as the caller promises. No more is read than the program
    // has filled.
    let count = unsafe { (&raw const (*set).count).read() } as usize;
    if count > CAPACITY {
        return Err(error::failure(
            WSAEINVAL,
            format!(
                "select: {name} says that it has {count} sockets, {CAPACITY} are the most: begin \
                 with FD_ZERO"
            ),
        ));
    }
    // SAFETY: within the set.
    let first = unsafe { (&raw const (*set).sockets).cast::<usize>() };
    // SAFETY: as many have been filled.
    Ok((0..count).map(|at| unsafe { first.add(at).read() }).collect())
}

/// # Safety
/// `set` is NULL or points to a writable set.
unsafe fn write(set: *mut FdSet, sockets: &[usize]) {
    if set.is_null() {
        return;
    }
    // SAFETY: within the set, for there are no more than have been read from it.
    unsafe {
        let first = (&raw mut (*set).sockets).cast::<usize>();
        for (at, &socket) in sockets.iter().enumerate() {
            first.add(at).write(socket);
        }
        (&raw mut (*set).count).write(sockets.len() as u32);
    }
}

fn fault(text: &str) -> crate::error::Error {
    error::failure(WSAEFAULT, format!("select: {text}"))
}
