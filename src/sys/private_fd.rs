//! Descriptors that belong to the library, kept out of the program's way and listed so that a
//! forked child can close them.

use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, IntoRawFd, OwnedFd, RawFd};
use std::ptr;
use std::sync::atomic::{AtomicPtr, AtomicU32, AtomicU64, Ordering};

use rustix::io::{Errno, FdFlags, fcntl_dupfd_cloexec, fcntl_setfd};

use super::failed;
use super::identity::Identity;
use crate::error::{Error, Result};

/// A descriptor that belongs to the library.
///
/// Its number is 1024 or above where the limit allows it, because programs use `select`; it is
/// CLOEXEC, is closed exactly once, and [`close_all_in_child`] knows it.
#[derive(Debug)]
pub struct PrivateFd {
    number: RawFd,
    /// The value of [`GENERATION`] when the number was listed.
    generation: u32,
}

impl PrivateFd {
    /// Takes a descriptor over, under another number if its own is below 1024.
    pub fn adopt(fd: OwnedFd) -> Result<Self> {
        if fd.as_raw_fd() < ABOVE_SELECT {
            match duplicate_high(fd.as_fd()) {
                Ok(moved) => return Self::list(moved),
                // No number is free but the one that it has, which will do.
                Err(Errno::MFILE) if fd.as_raw_fd() >= ABOVE_STDIO => {}
                Err(errno) => return Err(failed("move a descriptor of the library")(errno)),
            }
        }
        fcntl_setfd(&fd, FdFlags::CLOEXEC).map_err(failed("set FD_CLOEXEC"))?;
        Self::list(fd)
    }

    pub fn duplicate_of(fd: BorrowedFd<'_>) -> Result<Self> {
        Self::list(duplicate_high(fd).map_err(failed("duplicate the descriptor"))?)
    }

    /// A duplicate of a number of the program's. `None`: it does not refer to `identity`, which is
    /// looked at after duplicating, so that what is answered cannot be anything else.
    pub fn duplicate_if(number: RawFd, identity: Identity) -> Result<Option<Self>> {
        if number < 0 {
            return Ok(None);
        }
        // SAFETY: not -1; a closed number answers EBADF.
        let duplicate = match duplicate_high(unsafe { BorrowedFd::borrow_raw(number) }) {
            Ok(duplicate) => duplicate,
            Err(Errno::BADF) => return Ok(None),
            Err(errno) => return Err(failed("duplicate the descriptor")(errno)),
        };
        match Identity::of(duplicate.as_fd())? == identity {
            true => Self::list(duplicate).map(Some),
            false => Ok(None),
        }
    }

    fn list(fd: OwnedFd) -> Result<Self> {
        let Some((word, bit)) = place_of(fd.as_raw_fd(), true) else {
            return Err(Error::system("list a descriptor of the library", libc::EMFILE));
        };
        let generation = GENERATION.load(Ordering::Relaxed);
        let number = fd.into_raw_fd();
        word.fetch_or(bit, Ordering::AcqRel);
        Ok(Self { number, generation })
    }
}

impl AsFd for PrivateFd {
    fn as_fd(&self) -> BorrowedFd<'_> {
        // SAFETY: open until drop. In a forked child, where it is closed, nobody gets here: every
        // call on something inherited is refused first.
        unsafe { BorrowedFd::borrow_raw(self.number) }
    }
}

impl AsRawFd for PrivateFd {
    fn as_raw_fd(&self) -> RawFd {
        self.number
    }
}

impl Drop for PrivateFd {
    fn drop(&mut self) {
        // Inherited by a forked child: closed already, and the number may be somebody else's now.
        if self.generation != GENERATION.load(Ordering::Relaxed) {
            return;
        }
        // Off the list first. The other way round another thread could get and list the number in
        // between; a fork in between leaves the child with one descriptor too many, no worse.
        if let Some((word, bit)) = place_of(self.number, false) {
            word.fetch_and(!bit, Ordering::AcqRel);
        }
        // SAFETY: the number is this value's own and nothing closes it but this.
        drop(unsafe { OwnedFd::from_raw_fd(self.number) });
    }
}

/// Whether a number is, at this moment, a descriptor of the library.
pub fn is_private(number: RawFd) -> bool {
    place_of(number, false).is_some_and(|(word, bit)| word.load(Ordering::Acquire) & bit != 0)
}

/// Called in the forked child: closes every listed descriptor and clears the list.
///
/// Async-signal-safe: atomics and `close` only. A [`PrivateFd`] that the child inherited closes
/// nothing when it is dropped.
pub fn close_all_in_child() {
    GENERATION.fetch_add(1, Ordering::Relaxed);
    for (index, chunk) in CHUNKS.iter().enumerate() {
        // SAFETY: null or a chunk that is never freed.
        let Some(chunk) = (unsafe { chunk.load(Ordering::Acquire).as_ref() }) else { continue };
        for (position, word) in chunk.iter().enumerate() {
            let mut listed = word.swap(0, Ordering::AcqRel);
            while listed != 0 {
                let bit = listed.trailing_zeros() as usize;
                let number = (index * WORDS + position) * 64 + bit;
                // SAFETY: the number was the library's own, and its owner in this process now
                // leaves it alone because of the generation.
                unsafe { libc::close(number as RawFd) };
                listed &= listed - 1;
            }
        }
    }
}

/// `select` reaches up to 1023.
const ABOVE_SELECT: RawFd = 1024;

/// Never 0, 1 or 2, which a program that closed them still prints to.
const ABOVE_STDIO: RawFd = 3;

fn duplicate_high(fd: BorrowedFd<'_>) -> rustix::io::Result<OwnedFd> {
    match fcntl_dupfd_cloexec(fd, ABOVE_SELECT) {
        // The limit is 1024 or less (EINVAL), or everything above is taken.
        Err(Errno::INVAL | Errno::MFILE) => fcntl_dupfd_cloexec(fd, ABOVE_STDIO),
        done => done,
    }
}

/// One bit per descriptor number. Chunks are made on first use and never freed; they hang on
/// plain atomic pointers, since a lock that another thread held at the fork stays locked.
static CHUNKS: [AtomicPtr<Chunk>; 1024] = [const { AtomicPtr::new(ptr::null_mut()) }; 1024];
type Chunk = [AtomicU64; WORDS];
const WORDS: usize = 1024;

/// How many forks lie between this process and the one that loaded the library.
static GENERATION: AtomicU32 = AtomicU32::new(0);

/// Where the bit of a number is, making its chunk on request. `None`: no such chunk.
fn place_of(number: RawFd, make: bool) -> Option<(&'static AtomicU64, u64)> {
    let number = usize::try_from(number).ok()?;
    let slot = CHUNKS.get(number / 64 / WORDS)?;
    let mut chunk = slot.load(Ordering::Acquire);
    if chunk.is_null() && make {
        let new = Box::into_raw(Box::new([const { AtomicU64::new(0) }; WORDS]));
        chunk = match slot.compare_exchange(chunk, new, Ordering::AcqRel, Ordering::Acquire) {
            Ok(_) => new,
            Err(winner) => {
                // SAFETY: made by Box just above and shared with nobody.
                drop(unsafe { Box::from_raw(new) });
                winner
            }
        };
    }
    // SAFETY: null or a chunk that is never freed.
    let chunk = unsafe { chunk.as_ref() }?;
    Some((&chunk[number / 64 % WORDS], 1 << (number % 64)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sys::test_sockets::{in_child, raise_descriptor_limit, unix_pair};

    #[test]
    fn adopt_moves_above_select_and_closes_the_original() {
        raise_descriptor_limit();
        let (ours, theirs) = unix_pair();
        let (number, identity) = (ours.as_raw_fd(), Identity::of(ours.as_fd()).unwrap());
        let private = PrivateFd::adopt(ours).unwrap();
        assert!(private.as_raw_fd() >= 1024);
        assert_eq!(Identity::of(private.as_fd()).unwrap(), identity);
        assert_ne!(Identity::of_number(number), Some(identity));
        assert!(rustix::io::fcntl_getfd(&private).unwrap().contains(FdFlags::CLOEXEC));
        assert!(is_private(private.as_raw_fd()));
        assert!(!is_private(theirs.as_raw_fd()));
        let moved = private.as_raw_fd();
        drop(private);
        assert_ne!(Identity::of_number(moved), Some(identity));
    }

    #[test]
    fn adopt_keeps_a_high_number_and_sets_cloexec_on_it() {
        raise_descriptor_limit();
        let (ours, _theirs) = unix_pair();
        let high = fcntl_dupfd_cloexec(&ours, 3000).unwrap();
        fcntl_setfd(&high, FdFlags::empty()).unwrap();
        let number = high.as_raw_fd();
        let private = PrivateFd::adopt(high).unwrap();
        assert_eq!(private.as_raw_fd(), number);
        assert!(rustix::io::fcntl_getfd(&private).unwrap().contains(FdFlags::CLOEXEC));
    }

    #[test]
    fn duplicate_leaves_the_original_open() {
        raise_descriptor_limit();
        let (ours, _theirs) = unix_pair();
        let private = PrivateFd::duplicate_of(ours.as_fd()).unwrap();
        assert!(private.as_raw_fd() >= 1024);
        assert_eq!(Identity::of(private.as_fd()).unwrap(), Identity::of(ours.as_fd()).unwrap());
    }

    #[test]
    fn numbers_beyond_the_first_chunk_and_impossible_ones() {
        assert!(!is_private(-1));
        assert!(!is_private(RawFd::MAX));
        assert!(place_of(RawFd::MAX, true).is_none());
        let (first, _) = place_of(0, true).unwrap();
        let (far, bit) = place_of(64 * 1024 * 7 + 65, true).unwrap();
        assert!(!ptr::eq(first, far));
        assert_eq!(bit, 2);
    }

    #[test]
    fn a_low_limit_leaves_numbers_below_1024_but_not_stdio() {
        let (ours, _theirs) = unix_pair();
        let identity = Identity::of(ours.as_fd()).unwrap();
        assert!(in_child(|| {
            let limit = libc::rlimit { rlim_cur: 64, rlim_max: 64 };
            // SAFETY: plain system calls in a child of our own.
            unsafe { (libc::setrlimit(libc::RLIMIT_NOFILE, &limit), libc::close(0)) };
            // No heap in the child: errors are not looked at, only told apart.
            // SAFETY: the fork shares nobody's ownership.
            let low = unsafe { OwnedFd::from_raw_fd(libc::dup(ours.as_raw_fd())) };
            let was_zero = low.as_raw_fd() == 0;
            let Ok(private) = PrivateFd::adopt(low) else { return false };
            let number = private.as_raw_fd();
            was_zero
                && (3..64).contains(&number)
                && Identity::of_number(0).is_none()
                && Identity::of_number(number) == Some(identity)
        }));
    }

    #[test]
    fn the_child_closes_what_is_listed_and_only_once() {
        let (ours, theirs) = unix_pair();
        let kept = theirs.as_raw_fd();
        let private = PrivateFd::adopt(ours).unwrap();
        let number = private.as_raw_fd();
        let identity = Identity::of(private.as_fd()).unwrap();
        let other = Identity::of(theirs.as_fd()).unwrap();
        assert!(in_child(move || {
            let before = Identity::of_number(number) == Some(identity);
            close_all_in_child();
            let closed = Identity::of_number(number).is_none() && !is_private(number);
            // A stranger gets the number; the inherited value must not close it.
            // SAFETY: plain system call on numbers of this child.
            unsafe { libc::dup2(kept, number) };
            drop(private);
            before && closed && Identity::of_number(number) == Some(other)
        }));
        drop(theirs);
    }

    #[test]
    fn the_child_lists_its_own_descriptors_afresh() {
        let (ours, _theirs) = unix_pair();
        assert!(in_child(|| {
            close_all_in_child();
            let Ok(private) = PrivateFd::duplicate_of(ours.as_fd()) else { return false };
            let number = private.as_raw_fd();
            let listed = is_private(number);
            drop(private);
            listed && !is_private(number) && Identity::of_number(number).is_none()
        }));
    }
}
