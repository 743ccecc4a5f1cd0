//! Reading what a number points to that may be no address at all.

use std::ffi::c_void;

/// The bytes up to the NUL at `address` in this process's memory. `None`: nothing can be read
/// there, there is no NUL among the first [`LIMIT`] bytes, or the system does not allow the call.
pub fn string_at(address: usize) -> Option<Vec<u8>> {
    let mut bytes = [0_u8; LIMIT];
    let mut rest = LIMIT;
    let mut at = address;
    // The kernel reads a piece wholly or not at all: one for each page.
    let mut pieces = [libc::iovec { iov_base: std::ptr::null_mut(), iov_len: 0 }; PIECES];
    for piece in &mut pieces {
        let in_page = PAGE - at % PAGE;
        *piece = libc::iovec {
            iov_base: std::ptr::without_provenance_mut::<c_void>(at),
            iov_len: in_page.min(rest),
        };
        rest -= piece.iov_len;
        at = at.checked_add(piece.iov_len)?;
    }
    let into = libc::iovec { iov_base: bytes.as_mut_ptr().cast(), iov_len: LIMIT };
    // SAFETY: the kernel writes to `bytes` alone, and answers EFAULT where there is nothing to
    // read. What it reads may be changing; any bytes will do.
    let count = unsafe {
        libc::process_vm_readv(
            libc::getpid(),
            &into,
            1,
            pieces.as_ptr(),
            PIECES as libc::c_ulong,
            0,
        )
    };
    let read = bytes.get(..usize::try_from(count).ok()?)?;
    let end = read.iter().position(|&byte| byte == 0)?;
    Some(read[..end].to_vec())
}

/// A host name has at most 253 characters.
const LIMIT: usize = 256;
/// The smallest there is.
const PAGE: usize = 4096;
/// [`LIMIT`] bytes touch two pages at most.
const PIECES: usize = 2;
