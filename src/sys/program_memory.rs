//! Memory that the program has named and that may not be there: the kernel looks, so that nothing
//! crashes.

use std::ffi::c_void;

use super::identity::last_errno;

/// A copy of `length` bytes at `address`; `None` if they cannot be read.
///
/// # Safety
/// If the kernel does not want to look, the program is believed: then the bytes are readable.
pub unsafe fn read(address: usize, length: usize) -> Option<Vec<u8>> {
    let mut bytes = vec![0_u8; length];
    if length == 0 {
        return Some(bytes);
    }
    let own = iovec(bytes.as_mut_ptr().expose_provenance(), length);
    let theirs = iovec(address, length);
    // SAFETY: the kernel writes to `bytes` alone, and answers EFAULT where there is nothing.
    let count = unsafe { libc::process_vm_readv(libc::getpid(), &own, 1, &theirs, 1, 0) };
    match usize::try_from(count) {
        Ok(count) => (count == length).then_some(bytes),
        Err(_) if last_errno() == libc::EFAULT => None,
        Err(_) => {
            let from = std::ptr::with_exposed_provenance::<u8>(address);
            // SAFETY: readable as the caller promises; `bytes` is as long.
            unsafe { std::ptr::copy_nonoverlapping(from, bytes.as_mut_ptr(), length) };
            Some(bytes)
        }
    }
}

/// Copies `bytes` to `address`. False: they cannot be written there.
///
/// # Safety
/// What the kernel finds to be writable is the program's, for as many bytes. If the kernel does not
/// want to look, the program is believed.
pub unsafe fn write(address: usize, bytes: &[u8]) -> bool {
    if bytes.is_empty() {
        return true;
    }
    let own = iovec(bytes.as_ptr().expose_provenance(), bytes.len());
    let theirs = iovec(address, bytes.len());
    // SAFETY: the kernel reads `bytes`, writes as the caller allows, and else answers EFAULT.
    let count = unsafe { libc::process_vm_writev(libc::getpid(), &own, 1, &theirs, 1, 0) };
    match usize::try_from(count) {
        Ok(count) => count == bytes.len(),
        Err(_) if last_errno() == libc::EFAULT => false,
        Err(_) => {
            let to = std::ptr::with_exposed_provenance_mut::<u8>(address);
            // SAFETY: writable as the caller promises.
            unsafe { std::ptr::copy_nonoverlapping(bytes.as_ptr(), to, bytes.len()) };
            true
        }
    }
}

fn iovec(address: usize, length: usize) -> libc::iovec {
    libc::iovec {
        iov_base: std::ptr::with_exposed_provenance_mut::<c_void>(address),
        iov_len: length,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_there_is_copied_and_what_is_not_is_told() {
        let mut memory = *b"memory";
        let address = memory.as_mut_ptr().expose_provenance();
        // SAFETY: `memory` is there, and no page is at the bottom of the address space.
        unsafe {
            assert_eq!(read(address, 6).as_deref(), Some(&b"memory"[..]));
            assert!(write(address, b"other"));
            assert_eq!(read(address, 6).as_deref(), Some(&b"othery"[..]));
            for nothing in [0, 16, usize::MAX, usize::MAX - 64] {
                assert_eq!(read(nothing, 4), None);
                assert!(!write(nothing, b"x"));
            }
            assert_eq!(read(0, 0), Some(Vec::new()));
        }
    }
}
