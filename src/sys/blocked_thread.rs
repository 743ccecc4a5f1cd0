//! Whether another thread waits inside a call on a descriptor that is about to be replaced.

use std::io;
use std::os::fd::RawFd;

use libc::c_long;
use rustix::thread::gettid;

use crate::error::{Error, Result};

/// The descriptor, out of `numbers`, on which another thread of this process is blocked in a call
/// that reads or writes.
///
/// Such a thread holds the file that the number referred to when the call began. After a swap it
/// would take ciphertext off the connection, or write in clear to it. Threads that cannot be
/// looked at (no such file in /proc, a sandbox) count as not blocked, but not for want of a
/// descriptor or of memory: that is an error. Waiting in `poll`, `select` or `epoll_wait` cannot
/// be told.
pub fn blocked_on(numbers: &[RawFd]) -> Result<Option<RawFd>> {
    let own = gettid().as_raw_nonzero().get().to_string();
    let Some(threads) = unless_unknown(threads())? else {
        return Ok(None);
    };
    for thread in threads {
        let Some(thread) = unless_unknown(thread)? else { continue };
        if thread.file_name() == *own {
            continue;
        }
        let call = unless_unknown(std::fs::read_to_string(thread.path().join("syscall")))?;
        let call = call.unwrap_or_default();
        let found = descriptors_of(&call).into_iter().flatten().find(|one| numbers.contains(one));
        if found.is_some() {
            return Ok(found);
        }
    }
    Ok(None)
}

/// Unlike the standard library's other functions, `read_dir` does not try again after a signal.
fn threads() -> io::Result<std::fs::ReadDir> {
    loop {
        match std::fs::read_dir("/proc/self/task") {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            done => return done,
        }
    }
}

/// `None`: this kernel or a sandbox does not tell, or the thread has ended.
fn unless_unknown<T>(outcome: io::Result<T>) -> Result<Option<T>> {
    match outcome {
        Ok(known) => Ok(Some(known)),
        Err(error) => match error.raw_os_error() {
            Some(errno @ (libc::EMFILE | libc::ENFILE | libc::ENOMEM | libc::EIO)) => {
                Err(Error::system("find out whether a thread waits on the descriptor", errno))
            }
            _ => Ok(None),
        },
    }
}

/// The descriptors of a blocked system call, from a line of /proc/PID/task/TID/syscall: its number
/// and its arguments in hexadecimal, or "running", or -1 and no arguments.
fn descriptors_of(line: &str) -> [Option<RawFd>; 2] {
    let mut words = line.split_ascii_whitespace();
    let Some(call) = words.next().and_then(|word| word.parse::<c_long>().ok()) else {
        return [None; 2];
    };
    let mut argument = |skip| {
        let word: &str = words.nth(skip)?;
        let value = u64::from_str_radix(word.strip_prefix("0x")?, 16).ok()?;
        // An int: the upper half of the register is undefined.
        Some(value as RawFd)
    };
    match call {
        call if ON_FIRST_ARGUMENT.contains(&call) => [argument(0), None],
        // splice(fd_in, off_in, fd_out, ...), sendfile(out_fd, in_fd, ...)
        libc::SYS_splice => [argument(0), argument(1)],
        libc::SYS_sendfile => [argument(0), argument(0)],
        _ => [None; 2],
    }
}

const ON_FIRST_ARGUMENT: [c_long; 12] = [
    libc::SYS_read,
    libc::SYS_readv,
    libc::SYS_preadv2,
    libc::SYS_recvfrom,
    libc::SYS_recvmsg,
    libc::SYS_recvmmsg,
    libc::SYS_write,
    libc::SYS_writev,
    libc::SYS_pwritev2,
    libc::SYS_sendto,
    libc::SYS_sendmsg,
    libc::SYS_sendmmsg,
];

#[cfg(test)]
mod tests {
    use std::io::{Read, Write};
    use std::net::TcpStream;
    use std::os::fd::AsRawFd;

    use rustix::net::{SendFlags, send};

    use super::*;
    use crate::sys::test_sockets::{eventually, tcp_pair, unix_pair};

    fn becomes_blocked(number: RawFd) -> bool {
        eventually(|| blocked_on(&[-5, number]) == Ok(Some(number)))
    }

    #[test]
    fn sees_a_reader_and_not_its_neighbour() {
        let (socket, peer) = tcp_pair();
        let number = socket.as_raw_fd();
        let reader = std::thread::spawn(move || {
            let mut byte = [0];
            TcpStream::from(socket).read_exact(&mut byte).unwrap();
            byte
        });
        assert!(becomes_blocked(number));
        assert_eq!(blocked_on(&[peer.as_raw_fd()]), Ok(None));
        TcpStream::from(peer).write_all(b"x").unwrap();
        assert_eq!(reader.join().unwrap(), *b"x");
        assert_eq!(blocked_on(&[number]), Ok(None));
    }

    #[test]
    fn sees_a_writer() {
        let (socket, peer) = unix_pair();
        let number = socket.as_raw_fd();
        let writer = std::thread::spawn(move || {
            // Fails once the peer is gone.
            while send(&socket, &[0; 65536], SendFlags::NOSIGNAL).is_ok() {}
        });
        assert!(becomes_blocked(number));
        drop(peer);
        writer.join().unwrap();
    }

    #[test]
    fn reads_the_kernel_s_line() {
        let read = libc::SYS_read;
        let line = format!("{read} 0x8 0x55d085df29d0 0x2000 0x1000 0x0 0x0 0x7ffe 0x7f75\n");
        assert_eq!(descriptors_of(&line), [Some(8), None]);
        let line = format!("{read} 0xdeadbeef00000009 0x0 0x0 0x0 0x0 0x0 0x7ffe 0x7f75\n");
        assert_eq!(descriptors_of(&line), [Some(9), None]);
        let line = format!("{} 0x3 0x0 0x4 0x0 0x10 0x0 0x1 0x2\n", libc::SYS_splice);
        assert_eq!(descriptors_of(&line), [Some(3), Some(4)]);
        let line = format!("{} 0x3 0x5 0x0 0x10 0x0 0x0 0x1 0x2\n", libc::SYS_sendfile);
        assert_eq!(descriptors_of(&line), [Some(3), Some(5)]);
        let line = format!("{} 0x3 0x0 0x4 0x0 0x10 0x0 0x1 0x2\n", libc::SYS_epoll_ctl);
        assert_eq!(descriptors_of(&line), [None, None]);
        for line in ["running\n", "-1 0x7ffe 0x7f75\n", "", "0\n", "0 x\n"] {
            assert_eq!(descriptors_of(line), [None, None], "{line}");
        }
    }
}
