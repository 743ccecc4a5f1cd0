//! Every descriptor of this process: which ones refer to a socket, and which are epoll instances.

use std::collections::HashMap;
use std::ffi::CStr;
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd, RawFd};

use rustix::fs::{CWD, Mode, OFlags, RawDir, SeekFrom, openat, readlinkat_raw, seek};
use rustix::io::{Errno, retry_on_intr};
use rustix::path::DecInt;

use super::failed;
use super::identity::{Identity, stat};
use super::private_fd::is_private;
use crate::error::{Code, Error, Result};

/// What one walk over the descriptors found. Nothing in it belongs to the library.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Survey {
    /// The numbers that refer to the socket, in ascending order.
    pub numbers: Vec<RawFd>,
    /// The epoll instances; one that the program duplicated is there once per number.
    pub epolls: Vec<RawFd>,
}

/// Looks at every descriptor of this process.
///
/// `known` is a private duplicate of the socket: a walk that does not come across it has not seen
/// everything, which is an error. It is not itself among the answers.
pub fn survey(identity: Identity, known: BorrowedFd<'_>) -> Result<Survey> {
    survey_in(&open_table()?, identity, known)
}

/// The program's descriptors that refer to `identity`, in ascending order.
pub fn numbers_of(identity: Identity, known: BorrowedFd<'_>) -> Result<Vec<RawFd>> {
    Ok(survey(identity, known)?.numbers)
}

/// The program's descriptors of every socket. `known` is one of the library's.
pub fn sockets(known: BorrowedFd<'_>) -> Result<HashMap<Identity, Vec<RawFd>>> {
    let mut sockets = HashMap::<_, Vec<_>>::new();
    walk(&open_table()?, known, |number, stat| {
        if stat.st_mode & libc::S_IFMT == libc::S_IFSOCK {
            sockets.entry(Identity::from(stat)).or_default().push(number);
        }
        Ok(())
    })?;
    Ok(sockets)
}

// Not /proc/self/fd, which is silently empty once the main thread has called pthread_exit.
const TABLE: &CStr = c"/proc/thread-self/fd";

fn open_table() -> Result<OwnedFd> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    retry_on_intr(|| openat(CWD, TABLE, flags, Mode::empty()))
        .map_err(failed("list the open descriptors (/proc/thread-self/fd; is /proc mounted?)"))
}

fn survey_in(table: &OwnedFd, identity: Identity, known: BorrowedFd<'_>) -> Result<Survey> {
    let mut survey = Survey::default();
    walk(table, known, |number, stat| {
        if Identity::from(stat) == identity {
            survey.numbers.push(number);
        } else if stat.st_mode & libc::S_IFMT == 0 && is_epoll(table.as_fd(), number)? {
            survey.epolls.push(number);
        }
        Ok(())
    })?;
    Ok(survey)
}

/// Shows `visit` every descriptor of the program's in ascending order, and fails if `known` is not
/// among what the table shows.
///
/// Where one number follows another they are tried without asking for a list, which costs more than
/// all the rest. The list is for the gaps: it can be had from any number on.
fn walk(
    table: &OwnedFd,
    known: BorrowedFd<'_>,
    mut visit: impl FnMut(RawFd, &libc::stat) -> Result<()>,
) -> Result<()> {
    let known = known.as_raw_fd();
    let can_begin_anywhere = {
        let mut first = None;
        list_from(table, known, |number| first = first.or(Some(number)))?;
        first == Some(known)
    };
    // False: there is none under this number.
    let mut look = |number| {
        if number == known || is_private(number) {
            return Ok(true);
        }
        match stat(number) {
            Ok(Some(stat)) => visit(number, &stat).map(|()| true),
            Ok(None) => Ok(false),
            Err(error) if is_of_a_file(error.sys_errno) => Ok(true),
            Err(error) => Err(error),
        }
    };
    if !can_begin_anywhere {
        return walk_list(table, known, look);
    }
    let mut next = 0;
    loop {
        let mut gap = 0;
        while gap < LONGEST_GAP {
            gap = if look(next)? { 0 } else { gap + 1 };
            next += 1;
        }
        loop {
            let (mut listed, from) = (Vec::with_capacity(LIST_SIZE / 16), next);
            list_from(table, from, |number| listed.push(number))?;
            let Some(&last) = listed.last() else { return Ok(()) };
            for &number in &listed {
                look(number)?;
            }
            next = last + 1;
            if (last - listed[0]) as usize <= 2 * listed.len() {
                break;
            }
        }
    }
}

/// For a kernel whose list cannot be had from any number on.
fn walk_list(
    table: &OwnedFd,
    known: RawFd,
    mut look: impl FnMut(RawFd) -> Result<bool>,
) -> Result<()> {
    let mut listed = Vec::new();
    seek(table, SeekFrom::Start(0)).map_err(failed(LISTING))?;
    let mut buffer = [const { MaybeUninit::uninit() }; 16 * 1024];
    let mut entries = RawDir::new(table, &mut buffer);
    while let Some(entry) = entries.next() {
        listed.extend(number_in(entry.map_err(failed(LISTING))?.file_name()));
    }
    listed.sort_unstable();
    if listed.binary_search(&known).is_err() {
        return Err(Error::new(
            Code::IO,
            format!(
                "could not list the open descriptors: /proc/thread-self/fd does not show \
                 descriptor {known}, which is open"
            ),
        ));
    }
    listed.into_iter().try_for_each(|number| look(number).map(drop))
}

/// Shows `visit` some of the open numbers from `from` on, in the order of the table; none, if
/// there are no more.
fn list_from(table: &OwnedFd, from: RawFd, mut visit: impl FnMut(RawFd)) -> Result<()> {
    // The kernel's position is the number, behind "." and "..".
    seek(table, SeekFrom::Start(from as u64 + 2)).map_err(failed(LISTING))?;
    let mut buffer = [const { MaybeUninit::uninit() }; LIST_SIZE];
    let mut entries = RawDir::new(table, &mut buffer);
    while let Some(entry) = entries.next() {
        number_in(entry.map_err(failed(LISTING))?.file_name()).into_iter().for_each(&mut visit);
        if entries.is_buffer_empty() {
            break;
        }
    }
    Ok(())
}

fn number_in(name: &CStr) -> Option<RawFd> {
    name.to_str().ok()?.parse().ok()
}

const LISTING: &str = "list the open descriptors";
/// So many closed numbers in a row cost what the list does.
const LONGEST_GAP: usize = 16;
/// Room for about 20 numbers.
const LIST_SIZE: usize = 512;

/// Whether what fstat answers is about the file system of a file, so that it is neither a socket
/// nor an epoll instance: a folder in /proc whose process has ended (ENOENT, ESRCH), a file of a
/// server that has lost it (ESTALE) or is gone (ENOTCONN).
fn is_of_a_file(errno: i32) -> bool {
    matches!(errno, libc::ENOENT | libc::ESRCH | libc::ESTALE | libc::ENOTCONN)
}

/// Whether an anonymous inode (which has no file type, and which eventfd, timerfd and others
/// share) is an epoll instance.
fn is_epoll(table: BorrowedFd<'_>, number: RawFd) -> Result<bool> {
    const TARGET: &[u8] = b"anon_inode:[eventpoll]";
    // One byte more, so that a longer name is not taken for it.
    let mut buffer = [const { MaybeUninit::uninit() }; TARGET.len() + 1];
    match readlinkat_raw(table, DecInt::new(number), &mut buffer) {
        Ok((target, _)) => Ok(target == TARGET),
        // Closed since.
        Err(Errno::NOENT) => Ok(false),
        Err(errno) => Err(failed(LISTING)(errno)),
    }
}

#[cfg(test)]
mod tests {
    use rustix::event::{EventfdFlags, epoll, eventfd};
    use rustix::io::{dup, fcntl_dupfd_cloexec};

    use super::*;
    use crate::sys::epoll_registration::registrations_of;
    use crate::sys::private_fd::PrivateFd;
    use crate::sys::test_sockets::{in_child, raise_descriptor_limit, tcp_pair, unix_pair};

    #[test]
    fn finds_every_duplicate_but_the_library_s_own() {
        let (socket, _peer) = tcp_pair();
        let identity = Identity::of(socket.as_fd()).unwrap();
        let known = PrivateFd::duplicate_of(socket.as_fd()).unwrap();
        let _second = PrivateFd::duplicate_of(socket.as_fd()).unwrap();
        let again = dup(&socket).unwrap();
        let mut expected = [socket.as_raw_fd(), again.as_raw_fd()];
        expected.sort_unstable();
        assert_eq!(numbers_of(identity, known.as_fd()).unwrap(), expected);
    }

    #[test]
    fn known_is_left_out_even_if_it_is_not_listed_as_private() {
        let (socket, _peer) = unix_pair();
        let identity = Identity::of(socket.as_fd()).unwrap();
        let known = dup(&socket).unwrap();
        assert_eq!(numbers_of(identity, known.as_fd()).unwrap(), [socket.as_raw_fd()]);
    }

    #[test]
    fn tells_epoll_instances_from_other_anonymous_inodes() {
        let (socket, _peer) = unix_pair();
        let identity = Identity::of(socket.as_fd()).unwrap();
        let known = PrivateFd::duplicate_of(socket.as_fd()).unwrap();
        let mine = epoll::create(epoll::CreateFlags::CLOEXEC).unwrap();
        let private = PrivateFd::adopt(dup(&mine).unwrap()).unwrap();
        let event = eventfd(0, EventfdFlags::CLOEXEC).unwrap();
        let epolls = survey(identity, known.as_fd()).unwrap().epolls;
        assert!(epolls.contains(&mine.as_raw_fd()));
        assert!(!epolls.contains(&private.as_raw_fd()));
        assert!(!epolls.contains(&event.as_raw_fd()));
        assert!(!epolls.contains(&socket.as_raw_fd()));
    }

    #[test]
    fn many_descriptors_are_all_seen() {
        raise_descriptor_limit();
        let (socket, _peer) = unix_pair();
        let identity = Identity::of(socket.as_fd()).unwrap();
        let known = PrivateFd::duplicate_of(socket.as_fd()).unwrap();
        let more: Vec<_> = (0..2000).map(|_| dup(&socket).unwrap()).collect();
        let found = numbers_of(identity, known.as_fd()).unwrap();
        assert_eq!(found.len(), more.len() + 1);
        assert!(more.iter().all(|fd| found.binary_search(&fd.as_raw_fd()).is_ok()));
    }

    #[test]
    fn gaps_of_every_width_are_crossed() {
        raise_descriptor_limit();
        let (socket, _peer) = unix_pair();
        let identity = Identity::of(socket.as_fd()).unwrap();
        let known = PrivateFd::duplicate_of(socket.as_fd()).unwrap();
        // Other tests take numbers, but not from here on.
        let mut next = 5000;
        let mut expected = vec![socket.as_raw_fd()];
        let mut more = Vec::new();
        for gap in (0..40).chain([100, 1000, 0, 0, 0, 500]) {
            next += gap + 1;
            more.push(fcntl_dupfd_cloexec(&socket, next).unwrap());
            expected.push(next);
        }
        assert_eq!(numbers_of(identity, known.as_fd()).unwrap(), expected);
        // The same from the list alone.
        let mut found = Vec::new();
        walk_list(&open_table().unwrap(), known.as_raw_fd(), |number| {
            if number != known.as_raw_fd() && Identity::of_number(number) == Some(identity) {
                found.push(number);
            }
            Ok(true)
        })
        .unwrap();
        assert_eq!(found, expected);
    }

    #[test]
    fn what_has_vanished_behind_a_descriptor_is_passed_over() {
        let (socket, _peer) = unix_pair();
        let identity = Identity::of(socket.as_fd()).unwrap();
        let mut process =
            std::process::Command::new("cat").stdin(std::process::Stdio::piped()).spawn().unwrap();
        let path = format!("/proc/{}/fd", process.id());
        let folder = openat(CWD, path, OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty()).unwrap();
        drop(process.stdin.take());
        process.wait().unwrap();
        assert_eq!(Identity::of(folder.as_fd()).unwrap_err().sys_errno, libc::ENOENT);
        let known = PrivateFd::duplicate_of(socket.as_fd()).unwrap();
        assert_eq!(numbers_of(identity, known.as_fd()), Ok(vec![socket.as_raw_fd()]));
    }

    #[test]
    fn works_after_the_main_thread_has_ended() {
        let (socket, _peer) = unix_pair();
        let identity = Identity::of(socket.as_fd()).unwrap();
        let number = socket.as_raw_fd();
        let known = PrivateFd::duplicate_of(socket.as_fd()).unwrap();
        assert!(in_child(|| {
            std::thread::spawn(move || {
                let found = loop {
                    // /proc/self/fd is empty from the moment that the main thread is gone.
                    match std::fs::read_dir("/proc/self/fd").map(|entries| entries.count()) {
                        Ok(1..) => std::thread::yield_now(),
                        _ => break numbers_of(identity, known.as_fd()),
                    }
                };
                let fine = found.is_ok_and(|found| found == [number]);
                // SAFETY: ends the child.
                unsafe { libc::_exit(if fine { 0 } else { 1 }) };
            });
            // SAFETY: ends the child's main thread alone; nothing after it is reached.
            unsafe { libc::syscall(libc::SYS_exit, 0) };
            false
        }));
    }

    #[test]
    fn works_in_an_unprivileged_process_that_may_not_be_dumped() {
        let (socket, _peer) = unix_pair();
        let identity = Identity::of(socket.as_fd()).unwrap();
        let known = PrivateFd::duplicate_of(socket.as_fd()).unwrap();
        let instance = epoll::create(epoll::CreateFlags::CLOEXEC).unwrap();
        let data = epoll::EventData::new_u64(1);
        epoll::add(&instance, &socket, data, epoll::EventFlags::IN).unwrap();
        assert!(in_child(|| {
            // SAFETY: plain system calls; the first fails where there is no privilege to give up.
            unsafe {
                libc::syscall(libc::SYS_setresuid, 65534, 65534, 65534);
                libc::prctl(libc::PR_SET_DUMPABLE, 0);
            }
            let Ok(found) = survey(identity, known.as_fd()) else { return false };
            let epoll = instance.as_raw_fd();
            found.numbers == [socket.as_raw_fd()]
                && found.epolls.contains(&epoll)
                && registrations_of(epoll, identity).is_ok_and(|found| found.len() == 1)
        }));
    }

    #[test]
    fn a_walk_that_misses_the_known_descriptor_is_an_error() {
        let (socket, _peer) = unix_pair();
        let identity = Identity::of(socket.as_fd()).unwrap();
        let empty = openat(CWD, c"/", OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty()).unwrap();
        let error = survey_in(&empty, identity, socket.as_fd()).unwrap_err();
        assert_eq!(error.code, Code::IO);
        assert_eq!(
            error.text,
            format!(
                "could not list the open descriptors: /proc/thread-self/fd does not show \
                 descriptor {}, which is open",
                socket.as_raw_fd()
            )
        );
    }
}
