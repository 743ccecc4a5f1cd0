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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_up_to_the_nul_and_no_further() {
        let text = b"mail.test\0behind";
        assert_eq!(string_at(text.as_ptr().addr()).unwrap(), b"mail.test");
        assert_eq!(string_at(c"".as_ptr().addr()).unwrap(), b"");
        let mut long = [b'a'; LIMIT + 1];
        assert_eq!(string_at(long.as_ptr().addr()), None);
        long[LIMIT - 1] = 0;
        assert_eq!(string_at(long.as_ptr().addr()).unwrap().len(), LIMIT - 1);
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
        for (bytes, expected) in [(*b"edge\0", Some(b"edge".to_vec())), (*b"edges", None)] {
            // SAFETY: the last five bytes of the first page, which nothing else uses.
            unsafe { pages.byte_add(PAGE - 5).cast::<[u8; 5]>().write(bytes) };
            assert_eq!(string_at(edge), expected);
        }
        assert_eq!(string_at(pages.addr() + PAGE), None);
    }

    #[test]
    fn what_is_no_address_does_no_harm() {
        for address in [0, 1, PAGE - 1, 1 << 47, 1 << 56, usize::MAX - LIMIT, usize::MAX - 1] {
            assert_eq!(string_at(address), None, "{address:#x}");
        }
        assert_eq!(string_at(usize::MAX), None);
    }
}
