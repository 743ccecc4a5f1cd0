//! What the program's epoll instances watch, and moving it from one file to another.
//!
//! The kernel keeps a registration by file and number: replacing the descriptor neither moves nor
//! removes it, and once the number refers to something else it cannot be named any more.

use std::io::ErrorKind;
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};

use rustix::fs::makedev;

use super::identity::{Identity, last_errno};
use super::private_fd::is_private;
use crate::error::{Code, Error, Result};

/// One entry of one epoll instance.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Registration {
    /// The program's number of the epoll instance.
    pub epoll: RawFd,
    /// The number under which the file was registered. It may have been closed since, while
    /// another descriptor of the same file keeps the entry alive.
    pub target: RawFd,
    /// With the private bits (EPOLLET, EPOLLONESHOT, EPOLLEXCLUSIVE, EPOLLWAKEUP). A disarmed
    /// EPOLLONESHOT entry has nothing but those.
    pub events: u32,
    pub data: u64,
}

/// The entries of the program's epoll instance that watch `identity`.
///
/// None, if the number is not an epoll instance any more.
pub fn registrations_of(epoll: RawFd, identity: Identity) -> Result<Vec<Registration>> {
    let info = match std::fs::read(format!("/proc/thread-self/fdinfo/{epoll}")) {
        Ok(info) => info,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => {
            let errno = error.raw_os_error().unwrap_or(0);
            return Err(Error::system("read what the program's epoll instance watches", errno));
        }
    };
    if !may_name(&info, identity) {
        return Ok(Vec::new());
    }
    let info = String::from_utf8_lossy(&info);
    let entries = info.lines().filter_map(Entry::parse);
    let entries = entries.filter(|entry| entry.watches(identity) && !is_private(entry.target));
    Ok(entries
        .map(|Entry { target, events, data, .. }| Registration { epoll, target, events, data })
        .collect())
}

/// Whether one of the entries may be about `identity`. To take thousands of them apart would cost as
/// much as to get them.
fn may_name(info: &[u8], identity: Identity) -> bool {
    let wanted = format!("ino:{:x} ", identity.inode);
    let tells = contains(info, b"ino:");
    !tells || contains(info, wanted.as_bytes())
}

fn contains(bytes: &[u8], part: &[u8]) -> bool {
    let (from, part_from) = (bytes.as_ptr().cast(), part.as_ptr().cast());
    // SAFETY: both point to as many bytes as their lengths say, which are only read.
    !unsafe { libc::memmem(from, bytes.len(), part_from, part.len()) }.is_null()
}

impl Registration {
    /// Takes the entry out. `socket` is a descriptor of the watched file.
    ///
    /// False: it is gone already, through a duplicate of the epoll instance for example.
    pub fn delete(&self, socket: BorrowedFd<'_>) -> Result<bool> {
        match self.control(libc::EPOLL_CTL_DEL, socket)? {
            Done::Fine => Ok(true),
            Done::Failed(libc::ENOENT | libc::EBADF | libc::EINVAL) => Ok(false),
            Done::Failed(errno) => Err(self.refused("remove", errno)),
        }
    }

    /// Puts the entry back, for the file behind `socket`, which `target` refers to by now.
    pub fn add(&self, socket: BorrowedFd<'_>) -> Result<()> {
        match self.control(libc::EPOLL_CTL_ADD, socket)? {
            // EEXIST: the program was quicker, and its entry is the newer one.
            Done::Fine | Done::Failed(libc::EEXIST) => Ok(()),
            Done::Failed(errno) => Err(self.refused("add", errno)),
        }
    }

    fn control(&self, operation: i32, socket: BorrowedFd<'_>) -> Result<Done> {
        let is_there = Identity::of(socket)
            .and_then(|identity| Ok(Identity::look_at(self.target)? == Some(identity)));
        match is_there {
            Ok(true) => return Ok(self.control_target(operation)),
            Ok(false) => {}
            Err(error) => return Ok(Done::Failed(error.sys_errno)),
        }
        // The number was closed after it had been registered. It is needed for a moment.
        // SAFETY: plain integers.
        let lent = unsafe { libc::fcntl(socket.as_raw_fd(), libc::F_DUPFD_CLOEXEC, self.target) };
        if lent < 0 {
            return Ok(Done::Failed(last_errno()));
        }
        // SAFETY: just made, owned by nobody else.
        let lent = unsafe { OwnedFd::from_raw_fd(lent) };
        if lent.as_raw_fd() == self.target {
            return Ok(self.control_target(operation));
        }
        Err(Error::new(
            Code::STATE,
            format!(
                "epoll instance {} still watches the connection under descriptor {}, which was \
                 closed and reused since; remove descriptors from epoll before closing them",
                self.epoll, self.target
            ),
        ))
    }

    fn control_target(&self, operation: i32) -> Done {
        let mut event = libc::epoll_event { events: self.events, u64: self.data };
        // SAFETY: `event` outlives the call, which does not keep it.
        match unsafe { libc::epoll_ctl(self.epoll, operation, self.target, &mut event) } {
            0 => Done::Fine,
            _ => Done::Failed(last_errno()),
        }
    }

    fn refused(&self, what: &str, errno: i32) -> Error {
        let Self { epoll, target, .. } = self;
        Error::system(&format!("{what} descriptor {target} in epoll instance {epoll}"), errno)
    }
}

enum Done {
    Fine,
    Failed(i32),
}

/// A "tfd:" line of /proc/PID/fdinfo/N, see proc_pid_fdinfo(5).
struct Entry {
    target: RawFd,
    events: u32,
    data: u64,
    /// Linux before 4.13 does not tell.
    identity: Option<Identity>,
}

impl Entry {
    fn parse(line: &str) -> Option<Self> {
        let mut words = line.split(':').flat_map(str::split_whitespace);
        if words.next() != Some("tfd") {
            return None;
        }
        let mut entry =
            Self { target: words.next()?.parse().ok()?, events: 0, data: 0, identity: None };
        let mut inode = None;
        while let (Some(name), Some(value)) = (words.next(), words.next()) {
            match name {
                "events" => entry.events = u32::from_str_radix(value, 16).ok()?,
                "data" => entry.data = u64::from_str_radix(value, 16).ok()?,
                "ino" => inode = Some(u64::from_str_radix(value, 16).ok()?),
                "sdev" => {
                    let device = u32::from_str_radix(value, 16).ok()?;
                    // The kernel's own form: 12 bits of major number, 20 of minor number.
                    let device = makedev(device >> 20, device & 0xf_ffff);
                    entry.identity = inode.map(|inode| Identity { device, inode });
                }
                _ => {}
            }
        }
        Some(entry)
    }

    fn watches(&self, identity: Identity) -> bool {
        self.identity.or_else(|| Identity::of_number(self.target)) == Some(identity)
    }
}

#[cfg(test)]
mod tests {
    use std::os::fd::AsFd;

    use rustix::event::epoll::{self, CreateFlags, EventData, EventFlags};
    use rustix::io::{dup, fcntl_dupfd_cloexec};

    use super::*;
    use crate::sys::private_fd::PrivateFd;
    use crate::sys::test_sockets::unix_pair;

    fn watch(instance: &OwnedFd, socket: impl AsFd, data: u64, events: EventFlags) {
        epoll::add(instance, socket, EventData::new_u64(data), events).unwrap();
    }

    #[test]
    fn parses_what_the_kernel_prints() {
        let line =
            "tfd:        3 events: c0000019 data: ffffffff00000003  pos:0 ino:3578 sdev:100009";
        let entry = Entry::parse(line).unwrap();
        assert_eq!((entry.target, entry.events), (3, 0xc000_0019));
        assert_eq!(entry.data, 0xffff_ffff_0000_0003);
        let device = makedev(1, 9);
        assert_eq!(entry.identity, Some(Identity { device, inode: 0x3578 }));
        let old = Entry::parse("tfd:        5 events:       19 data:                5").unwrap();
        assert_eq!((old.target, old.identity), (5, None));
        assert!(Entry::parse("pos:\t0").is_none());
        assert!(Entry::parse("tfd: x events: 19 data: 5").is_none());
    }

    #[test]
    fn finds_only_the_entries_of_this_socket() {
        let (socket, other) = unix_pair();
        let identity = Identity::of(socket.as_fd()).unwrap();
        let instance = epoll::create(CreateFlags::CLOEXEC).unwrap();
        let again = dup(&socket).unwrap();
        watch(&instance, &socket, u64::MAX, EventFlags::IN | EventFlags::ET);
        watch(&instance, &again, 2, EventFlags::RDHUP);
        watch(&instance, &other, 3, EventFlags::IN);
        let private = PrivateFd::duplicate_of(socket.as_fd()).unwrap();
        watch(&instance, &private, 4, EventFlags::IN);
        let mut found = registrations_of(instance.as_raw_fd(), identity).unwrap();
        found.sort_by_key(|entry| entry.data);
        let epoll = instance.as_raw_fd();
        let always = (libc::EPOLLERR | libc::EPOLLHUP) as u32;
        let expected = [
            (again.as_raw_fd(), libc::EPOLLRDHUP as u32 | always, 2),
            (socket.as_raw_fd(), (libc::EPOLLIN | libc::EPOLLET) as u32 | always, u64::MAX),
        ];
        assert_eq!(
            found,
            expected.map(|(target, events, data)| Registration { epoll, target, events, data })
        );
    }

    #[test]
    fn numbers_that_are_no_epoll_instance_watch_nothing() {
        let (socket, _other) = unix_pair();
        let identity = Identity::of(socket.as_fd()).unwrap();
        assert_eq!(registrations_of(-1, identity).unwrap(), []);
        assert_eq!(registrations_of(socket.as_raw_fd(), identity).unwrap(), []);
    }

    #[test]
    fn delete_and_add_restore_events_and_data() {
        let (socket, _other) = unix_pair();
        let identity = Identity::of(socket.as_fd()).unwrap();
        let instance = epoll::create(CreateFlags::CLOEXEC).unwrap();
        let events = EventFlags::IN | EventFlags::OUT | EventFlags::EXCLUSIVE;
        watch(&instance, &socket, 7, events);
        let before = registrations_of(instance.as_raw_fd(), identity).unwrap();
        assert!(before[0].delete(socket.as_fd()).unwrap());
        assert!(!before[0].delete(socket.as_fd()).unwrap());
        assert_eq!(registrations_of(instance.as_raw_fd(), identity).unwrap(), []);
        before[0].add(socket.as_fd()).unwrap();
        before[0].add(socket.as_fd()).unwrap();
        assert_eq!(registrations_of(instance.as_raw_fd(), identity).unwrap(), before);
    }

    #[test]
    fn an_entry_outlives_its_number_and_can_still_be_moved() {
        let (socket, other) = unix_pair();
        let identity = Identity::of(socket.as_fd()).unwrap();
        let instance = epoll::create(CreateFlags::CLOEXEC).unwrap();
        let gone = fcntl_dupfd_cloexec(&socket, 900).unwrap();
        watch(&instance, &gone, 9, EventFlags::IN);
        let target = gone.as_raw_fd();
        drop(gone);
        let left = registrations_of(instance.as_raw_fd(), identity).unwrap();
        assert_eq!(left[0].target, target);
        assert!(left[0].delete(socket.as_fd()).unwrap());
        assert_eq!(registrations_of(instance.as_raw_fd(), identity).unwrap(), []);
        left[0].add(other.as_fd()).unwrap();
        let moved = Identity::of(other.as_fd()).unwrap();
        assert_eq!(registrations_of(instance.as_raw_fd(), moved).unwrap(), left);
        assert_eq!(Identity::of_number(target), None);
    }

    #[test]
    fn an_entry_whose_number_was_reused_is_an_error() {
        let (socket, other) = unix_pair();
        let identity = Identity::of(socket.as_fd()).unwrap();
        let instance = epoll::create(CreateFlags::CLOEXEC).unwrap();
        let mut reused = fcntl_dupfd_cloexec(&socket, 950).unwrap();
        watch(&instance, &reused, 9, EventFlags::IN);
        rustix::io::dup2(&other, &mut reused).unwrap();
        let left = registrations_of(instance.as_raw_fd(), identity).unwrap();
        let error = left[0].delete(socket.as_fd()).unwrap_err();
        assert_eq!(error.code, Code::STATE);
        assert_eq!(
            error.text,
            format!(
                "epoll instance {} still watches the connection under descriptor {}, which was \
                 closed and reused since; remove descriptors from epoll before closing them",
                instance.as_raw_fd(),
                reused.as_raw_fd()
            )
        );
    }

    #[test]
    fn an_add_that_the_kernel_refuses_is_an_error() {
        let (socket, _other) = unix_pair();
        let no_epoll = Registration {
            epoll: socket.as_raw_fd(),
            target: socket.as_raw_fd(),
            events: libc::EPOLLIN as u32,
            data: 0,
        };
        let error = no_epoll.add(socket.as_fd()).unwrap_err();
        assert_eq!(error.sys_errno, libc::EINVAL);
    }
}
