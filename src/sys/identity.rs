//! What a descriptor number refers to, so that a number which was closed and reused meanwhile is
//! not mistaken for the socket that it used to be.

use std::mem::MaybeUninit;
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};

use crate::error::{Error, Result};

/// The open file behind a descriptor: device and inode. Every socket has an inode of its own.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Identity {
    pub(super) device: u64,
    pub(super) inode: u64,
}

impl Identity {
    pub fn of(fd: BorrowedFd<'_>) -> Result<Self> {
        Self::look_at(fd.as_raw_fd())?
            .ok_or_else(|| Error::system("look at the descriptor", libc::EBADF))
    }

    /// `None`: the number is closed, or the kernel does not tell. For a decision that would be
    /// unsafe if it did not tell, there is [`Identity::look_at`].
    pub fn of_number(number: RawFd) -> Option<Self> {
        Self::look_at(number).ok().flatten()
    }

    /// `None`: the number is closed.
    pub fn look_at(number: RawFd) -> Result<Option<Self>> {
        Ok(stat(number)?.map(|stat| Self::from(&stat)))
    }
}

impl From<&libc::stat> for Identity {
    fn from(stat: &libc::stat) -> Self {
        Self { device: stat.st_dev, inode: stat.st_ino }
    }
}

/// [`try_duplicate_if`] for a caller who goes on without a duplicate, whatever the reason.
pub fn duplicate_if(number: RawFd, identity: Identity) -> Option<OwnedFd> {
    try_duplicate_if(number, identity).ok().flatten()
}

/// A CLOEXEC duplicate of a number of the program's. `None`: it does not refer to `identity`.
///
/// That is looked at after duplicating, so that what is answered cannot be anything else.
pub fn try_duplicate_if(number: RawFd, identity: Identity) -> Result<Option<OwnedFd>> {
    // Never 0, 1 or 2, which a program that closed them still prints to.
    // SAFETY: plain integers; a closed number answers EBADF.
    let duplicate = unsafe { libc::fcntl(number, libc::F_DUPFD_CLOEXEC, 3) };
    if duplicate < 0 {
        return match last_errno() {
            libc::EBADF => Ok(None),
            errno => Err(Error::system("duplicate the descriptor", errno)),
        };
    }
    // SAFETY: just made, owned by nobody else.
    let duplicate = unsafe { OwnedFd::from_raw_fd(duplicate) };
    let is_it = Identity::look_at(duplicate.as_raw_fd())? == Some(identity);
    Ok(is_it.then_some(duplicate))
}

/// Puts `with` under `number` (`dup3`), keeping the number's FD_CLOEXEC, if `number` refers to
/// `identity`. False: it refers to something else by now and was left alone.
pub fn replace_if(number: RawFd, identity: Identity, with: BorrowedFd<'_>) -> Result<bool> {
    loop {
        // SAFETY: plain integers; a closed number answers EBADF.
        let flags = unsafe { libc::fcntl(number, libc::F_GETFD) };
        if flags < 0 {
            match last_errno() {
                libc::EBADF => return Ok(false),
                errno => return Err(Error::system("look at the descriptor", errno)),
            }
        }
        if Identity::look_at(number)? != Some(identity) {
            return Ok(false);
        }
        let cloexec = if flags & libc::FD_CLOEXEC != 0 { libc::O_CLOEXEC } else { 0 };
        // SAFETY: the number is the program's, and replacing it is what the program asked for.
        if unsafe { libc::dup3(with.as_raw_fd(), number, cloexec) } == number {
            return Ok(true);
        }
        match last_errno() {
            // EBUSY: closed meanwhile and being opened by another thread; the look tells.
            libc::EINTR | libc::EBUSY => {}
            errno => return Err(Error::system("replace the descriptor", errno)),
        }
    }
}

/// `None`: the number is closed.
pub(super) fn stat(number: RawFd) -> Result<Option<libc::stat>> {
    let mut stat = MaybeUninit::uninit();
    // SAFETY: a closed number answers EBADF; on success the kernel has filled in all of it.
    unsafe {
        if libc::fstat(number, stat.as_mut_ptr()) == 0 {
            return Ok(Some(stat.assume_init()));
        }
    }
    match last_errno() {
        libc::EBADF => Ok(None),
        errno => Err(Error::system("look at the descriptor", errno)),
    }
}

pub(super) fn last_errno() -> i32 {
    std::io::Error::last_os_error().raw_os_error().unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use std::os::fd::AsFd;

    use rustix::io::{FdFlags, dup, fcntl_getfd, fcntl_setfd};

    use super::*;
    use crate::sys::test_sockets::{tcp_pair, unix_pair};

    #[test]
    fn duplicates_are_the_same_and_other_sockets_are_not() {
        let (a, b) = tcp_pair();
        let again = dup(&a).unwrap();
        let identity = Identity::of(a.as_fd()).unwrap();
        assert_eq!(Identity::of_number(again.as_raw_fd()), Some(identity));
        assert_ne!(Identity::of(b.as_fd()).unwrap(), identity);
        assert_eq!(Identity::of_number(-1), None);
        assert_eq!(Identity::of_number(RawFd::MAX), None);
    }

    #[test]
    fn duplicate_if_refuses_everything_else() {
        let (a, b) = unix_pair();
        let identity = Identity::of(a.as_fd()).unwrap();
        let duplicate = duplicate_if(a.as_raw_fd(), identity).unwrap();
        assert_eq!(Identity::of(duplicate.as_fd()).unwrap(), identity);
        assert!(fcntl_getfd(&duplicate).unwrap().contains(FdFlags::CLOEXEC));
        assert!(duplicate_if(b.as_raw_fd(), identity).is_none());
        assert!(duplicate_if(-1, identity).is_none());
    }

    #[test]
    fn replace_if_keeps_cloexec_as_it_was() {
        let (a, b) = unix_pair();
        let (old, new) = (Identity::of(a.as_fd()).unwrap(), Identity::of(b.as_fd()).unwrap());
        for flags in [FdFlags::CLOEXEC, FdFlags::empty()] {
            let target = dup(&a).unwrap();
            fcntl_setfd(&target, flags).unwrap();
            assert!(replace_if(target.as_raw_fd(), old, b.as_fd()).unwrap());
            assert_eq!(Identity::of(target.as_fd()).unwrap(), new);
            assert_eq!(fcntl_getfd(&target).unwrap(), flags);
        }
    }

    #[test]
    fn replace_if_leaves_a_reused_number_alone() {
        let (a, b) = unix_pair();
        let (stranger, _peer) = unix_pair();
        let (old, kept) = (Identity::of(a.as_fd()).unwrap(), Identity::of(stranger.as_fd()));
        assert!(!replace_if(stranger.as_raw_fd(), old, b.as_fd()).unwrap());
        assert_eq!(Identity::of(stranger.as_fd()), kept);
        assert!(!replace_if(-1, old, b.as_fd()).unwrap());
    }
}
