//! Reading what a number points to that may be no address at all.

use std::ffi::c_void;

/// What is at an address.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Found {
    /// Nothing that can be read, or the system does not allow to look.
    Nothing,
    /// No NUL among the first [`LIMIT`] bytes, or before the end of what can be read.
    NoString,
    /// The bytes before the NUL.
    String(Vec<u8>),
}

/// Looks at `address` in this process's memory.
pub fn string_at(address: usize) -> Found {
    let mut bytes = [0_u8; LIMIT];
    let read = match read(address, &mut bytes).and_then(|count| bytes.get(..count)) {
        None | Some([]) => return Found::Nothing,
        Some(read) => read,
    };
    match read.iter().position(|&byte| byte == 0) {
        Some(end) => Found::String(read.iter().copied().take(end).collect()),
        None => Found::NoString,
    }
}

/// How many bytes could be read.
fn read(address: usize, bytes: &mut [u8; LIMIT]) -> Option<usize> {
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
    usize::try_from(count).ok()
}

/// A host name has at most 253 characters.
const LIMIT: usize = 256;
/// The smallest there is.
const PAGE: usize = 4096;
/// [`LIMIT`] bytes touch two pages at most.
const PIECES: usize = 2;

#[cfg(test)]
mod tests {
    use super::*;

    fn string(bytes: &[u8]) -> Found {
        Found::String(bytes.to_vec())
    }

    #[test]
    fn reads_up_to_the_nul_and_no_further() {
        let text = b"mail.test\0behind";
        assert_eq!(string_at(text.as_ptr().addr()), string(b"mail.test"));
        assert_eq!(string_at(c"".as_ptr().addr()), string(b""));
        let mut long = [b'a'; LIMIT + 1];
        assert_eq!(string_at(long.as_ptr().addr()), Found::NoString);
        long[LIMIT - 1] = 0;
        assert_eq!(string_at(long.as_ptr().addr()), string(&[b'a'; LIMIT - 1]));
    }

    #[test]
    fn stops_at_a_page_that_cannot_be_read() {
        let (access, kind) =
            (libc::PROT_READ | libc::PROT_WRITE, libc::MAP_PRIVATE | libc::MAP_ANONYMOUS);
        // SAFETY: a new mapping, of which the second page is closed before anything uses it.
        let pages = unsafe {
            let pages = libc::mmap(std::ptr::null_mut(), 2 * PAGE, access, kind, -1, 0);
            assert_ne!(pages, libc::MAP_FAILED);
            assert_eq!(libc::mprotect(pages.byte_add(PAGE), PAGE, libc::PROT_NONE), 0);
            pages
        };
        let edge = pages.addr() + PAGE - 5;
        for (bytes, expected) in [(*b"edge\0", string(b"edge")), (*b"edges", Found::NoString)] {
            // SAFETY: the last five bytes of the first page, which nothing else uses.
            unsafe { pages.byte_add(PAGE - 5).cast::<[u8; 5]>().write(bytes) };
            assert_eq!(string_at(edge), expected);
        }
        assert_eq!(string_at(pages.addr() + PAGE), Found::Nothing);
    }

    #[test]
    fn what_is_no_address_does_no_harm() {
        for address in [0, 1, PAGE - 1, 1 << 47, 1 << 56, usize::MAX - LIMIT, usize::MAX] {
            assert_eq!(string_at(address), Found::Nothing, "{address:#x}");
        }
    }
}
