//! Winsock's `select` over lists of sockets.

use std::collections::BTreeMap;
use std::os::fd::RawFd;
use std::time::Duration;

use super::error::{WSAEINVAL, failure};
use super::{replaced, sockets};
use crate::error::Result;
use crate::io::deadline::Deadline;
use crate::sys::poll;

/// For what sockets are waited, and afterwards for what they are ready.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Sets {
    /// To be read, or accepted from, or at an end.
    pub readable: Vec<usize>,
    pub writable: Vec<usize>,
    /// Could not be connected, or has urgent data.
    pub failed: Vec<usize>,
}

/// The longest time that Winsock's own structure can say, and more than anybody waits.
const LONGEST: Duration = Duration::from_secs(u32::MAX as u64);

/// The time of a `timeval`. Microseconds may be a second and more.
pub fn timeout(seconds: impl Into<i64>, microseconds: impl Into<i64>) -> Result<Duration> {
    let (seconds, microseconds) = (seconds.into(), microseconds.into());
    let (Ok(seconds), Ok(microseconds)) = (u64::try_from(seconds), u64::try_from(microseconds))
    else {
        return Err(failure(
            WSAEINVAL,
            format!("select: {seconds} s and {microseconds} us is no time to wait"),
        ));
    };
    let time = Duration::from_secs(seconds).checked_add(Duration::from_micros(microseconds));
    Ok(time.unwrap_or(LONGEST).min(LONGEST))
}

/// Waits until one is ready for what it was asked, for ever without a timeout. Signals do not end
/// it.
pub fn select(asked: &Sets, timeout: Option<Duration>) -> Result<Sets> {
    let deadline = Deadline::after(timeout);
    let watched = watch(asked)?;
    let mut entries: Vec<libc::pollfd> = watched
        .iter()
        .map(|(&fd, interest)| libc::pollfd { fd, events: interest.events(), revents: 0 })
        .collect();
    loop {
        poll::poll(&mut entries, Some(Duration::ZERO))?;
        let mut ready = BTreeMap::new();
        for (entry, (&fd, interest)) in entries.iter_mut().zip(&watched) {
            if entry.revents & libc::POLLNVAL != 0 {
                return Err(sockets::no_socket(fd as usize));
            }
            let found = interest.among(fd, entry.revents);
            if found != Interest::default() {
                ready.insert(fd, found);
            } else if entry.revents != 0 {
                // An end that nobody has asked for would end every wait.
                entry.fd = -1;
            }
        }
        if !ready.is_empty() || deadline.is_over() {
            return Ok(asked.reduced_to(&ready));
        }
        sleep(&mut entries, &deadline)?;
    }
}

/// Until there is reason to look again. What the entries say then may be about a file that is no
/// longer there.
fn sleep(entries: &mut Vec<libc::pollfd>, deadline: &Deadline) -> Result<()> {
    let signal = replaced::next();
    let watched = signal.iter().map(|signal| libc::pollfd {
        fd: signal.number(),
        events: libc::POLLIN,
        revents: 0,
    });
    entries.extend(watched);
    let outcome = poll::poll(entries, deadline.remaining());
    entries.truncate(entries.len() - signal.iter().len());
    outcome
}

#[derive(Clone, Copy, Default, PartialEq, Eq)]
struct Interest {
    readable: bool,
    writable: bool,
    failed: bool,
}

impl Interest {
    fn events(self) -> i16 {
        let of = |wanted: bool, event: i16| if wanted { event } else { 0 };
        of(self.readable, libc::POLLIN)
            | of(self.writable, libc::POLLOUT)
            | of(self.failed, libc::POLLPRI)
    }

    /// The part of it that has come true.
    fn among(self, fd: RawFd, events: i16) -> Self {
        let has = |any: i16| events & any != 0;
        if has(libc::POLLERR) && poll::never_was_connected(fd) {
            // In one set alone: programs take "writable" for "connected".
            let failed = self.failed;
            let writable = !failed && self.writable;
            return Self { failed, writable, readable: !failed && !writable && self.readable };
        }
        Self {
            readable: self.readable && has(libc::POLLIN | libc::POLLHUP | libc::POLLERR),
            writable: self.writable && has(libc::POLLOUT | libc::POLLERR),
            failed: self.failed && has(libc::POLLPRI),
        }
    }
}

impl Sets {
    pub fn count(&self) -> usize {
        self.readable.len() + self.writable.len() + self.failed.len()
    }

    fn reduced_to(&self, ready: &BTreeMap<RawFd, Interest>) -> Self {
        let those = |set: &[usize], wanted: fn(&Interest) -> bool| {
            let is_ready = |&&number: &&usize| {
                RawFd::try_from(number).is_ok_and(|fd| ready.get(&fd).is_some_and(wanted))
            };
            set.iter().filter(is_ready).copied().collect()
        };
        Self {
            readable: those(&self.readable, |ready| ready.readable),
            writable: those(&self.writable, |ready| ready.writable),
            failed: those(&self.failed, |ready| ready.failed),
        }
    }
}

fn watch(asked: &Sets) -> Result<BTreeMap<RawFd, Interest>> {
    let mut watched: BTreeMap<RawFd, Interest> = BTreeMap::new();
    let mut note = |set: &[usize], change: fn(&mut Interest)| {
        for &number in set {
            let fd = sockets::checked_descriptor(number)?;
            change(watched.entry(fd).or_default());
        }
        Ok(())
    };
    note(&asked.readable, |interest| interest.readable = true)?;
    note(&asked.writable, |interest| interest.writable = true)?;
    note(&asked.failed, |interest| interest.failed = true)?;
    if watched.is_empty() {
        return Err(failure(WSAEINVAL, "select: there is no socket in any of the sets"));
    }
    Ok(watched)
}

#[cfg(test)]
mod tests {
    use std::io::Write;
    use std::net::{TcpListener, TcpStream};
    use std::os::fd::AsRawFd;

    use super::*;
    use crate::winsock::error::{WSAENOTSOCK, number};

    const SOON: Option<Duration> = Some(Duration::ZERO);

    fn number_of(socket: &impl AsRawFd) -> usize {
        socket.as_raw_fd() as usize
    }

    fn all(socket: usize) -> Sets {
        Sets { readable: vec![socket], writable: vec![socket], failed: vec![socket] }
    }

    fn pair() -> (TcpStream, TcpStream) {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let client = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        (client, listener.accept().unwrap().0)
    }

    #[test]
    fn answers_only_in_the_sets_that_were_asked() {
        let (client, mut server) = pair();
        let s = number_of(&client);
        let writable = Sets { writable: vec![s], ..Sets::default() };
        assert_eq!(select(&all(s), SOON).unwrap(), writable);
        let readable = Sets { readable: vec![s], ..Sets::default() };
        assert_eq!(select(&readable, SOON).unwrap(), Sets::default());

        server.write_all(b"x").unwrap();
        assert_eq!(select(&readable, None).unwrap(), readable);
        let both = select(&all(s), None).unwrap();
        assert_eq!((both.count(), both.failed.len()), (2, 0));
        assert_eq!(select(&writable, None).unwrap(), writable);
    }

    #[test]
    fn an_end_or_a_reset_is_readable_and_no_failure() {
        for abort in [false, true] {
            let (client, server) = pair();
            if abort {
                crate::sys::socket_options::set_abortive_close(std::os::fd::AsFd::as_fd(&server))
                    .unwrap();
            }
            drop(server);
            let s = number_of(&client);
            let readable = Sets { readable: vec![s], ..Sets::default() };
            assert_eq!(select(&readable, None).unwrap(), readable, "{abort}");
            let found = select(&all(s), None).unwrap();
            assert_eq!((found.readable.len(), found.failed.len()), (1, 0), "{abort}");
            // Nobody has asked for the end.
            let failed = Sets { failed: vec![s], ..Sets::default() };
            assert_eq!(select(&failed, Some(Duration::from_millis(1))).unwrap().count(), 0);
        }
    }

    #[test]
    fn the_reset_of_an_accepted_connection_is_no_failed_connect() {
        let (client, server) = pair();
        crate::sys::socket_options::set_abortive_close(std::os::fd::AsFd::as_fd(&client)).unwrap();
        drop(client);
        let s = number_of(&server);
        let readable = Sets { readable: vec![s], ..Sets::default() };
        assert_eq!(select(&readable, None).unwrap(), readable);
        assert_eq!(select(&all(s), None).unwrap().failed, Vec::<usize>::new());
    }

    #[test]
    fn a_pending_connection_is_readable() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let asked = Sets { readable: vec![number_of(&listener)], ..Sets::default() };
        assert_eq!(select(&asked, SOON).unwrap().count(), 0);
        let _client = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        assert_eq!(select(&asked, None).unwrap(), asked);
    }

    #[test]
    fn several_sockets_keep_their_order() {
        let pairs: Vec<_> = (0..3).map(|_| pair()).collect();
        let mut numbers: Vec<usize> = pairs.iter().map(|(client, _)| number_of(client)).collect();
        numbers.reverse();
        let asked =
            Sets { writable: numbers.clone(), readable: numbers.clone(), failed: Vec::new() };
        (&pairs[1].1).write_all(b"x").unwrap();
        let only = Sets { readable: numbers.clone(), ..Sets::default() };
        assert_eq!(select(&only, None).unwrap().readable, [number_of(&pairs[1].0)]);
        assert_eq!(select(&asked, None).unwrap().writable, numbers);
    }

    #[test]
    fn what_is_no_socket_and_nothing_at_all_are_refused() {
        let (client, _server) = pair();
        let file = std::fs::File::open("/dev/null").unwrap();
        for junk in [number_of(&file), usize::MAX, 0x8000_0000, i32::MAX as usize] {
            let asked =
                Sets { readable: vec![number_of(&client)], failed: vec![junk], ..Sets::default() };
            assert_eq!(number(&select(&asked, SOON).unwrap_err()), WSAENOTSOCK, "{junk:#x}");
        }
        assert_eq!(number(&select(&Sets::default(), SOON).unwrap_err()), WSAEINVAL);
    }

    #[test]
    fn who_sleeps_sees_the_file_that_comes_in_the_others_place() {
        let (client, _server) = pair();
        let (other, mut other_server) = pair();
        let s = number_of(&client);
        let (tell, told) = std::sync::mpsc::channel();
        let sleeper = std::thread::spawn(move || {
            tell.send(rustix::thread::gettid()).unwrap();
            let readable = Sets { readable: vec![s], ..Sets::default() };
            select(&readable, None).unwrap().count()
        });
        let call = format!("/proc/self/task/{}/syscall", told.recv().unwrap().as_raw_pid());
        let asleep = format!("{} ", libc::SYS_ppoll);
        while !std::fs::read_to_string(&call).unwrap().starts_with(&asleep) {}
        let mut place = std::os::fd::OwnedFd::from(client);
        rustix::io::dup2(&other, &mut place).unwrap();
        replaced::announce();
        other_server.write_all(b"x").unwrap();
        assert_eq!(sleeper.join().unwrap(), 1);
    }

    #[test]
    fn times_are_as_those_of_windows() {
        assert_eq!(timeout(1, 2_500_000).unwrap(), Duration::from_millis(3500));
        assert_eq!(timeout(0, 0).unwrap(), Duration::ZERO);
        assert_eq!(timeout(i64::MAX, i64::MAX).unwrap(), LONGEST);
        for (seconds, microseconds) in [(-1, 0), (0, -1), (5, -1)] {
            assert_eq!(number(&timeout(seconds, microseconds).unwrap_err()), WSAEINVAL);
        }
    }
}
