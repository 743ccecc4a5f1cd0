//! Whether another thread waits inside a call on a descriptor that is about to be replaced.

use std::io;
use std::os::fd::RawFd;

use libc::c_long;

use super::thread;
use crate::error::{Error, Result};

/// What is known of the program's other threads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Others {
    /// There are none, so that nothing happens while the calling thread does not do it.
    None,
    /// None of them is blocked as far as can be told.
    Elsewhere,
    /// One is blocked in a call that reads or writes on this number.
    BlockedOn(RawFd),
}

/// Looks whether another thread of the program's is blocked on one of `numbers` in a call that reads
/// or writes.
///
/// Such a thread holds the file that the number referred to when the call began. After a swap it
/// would take ciphertext off the connection, or write in clear to it. Threads that cannot be
/// looked at (no such file in /proc, a sandbox) count as not blocked, but not for want of a
/// descriptor or of memory: that is an error. Waiting in `poll`, `select` or `epoll_wait` cannot
/// be told.
pub fn others(numbers: &[RawFd]) -> Result<Others> {
    let Some(threads) = unless_unknown(thread::others())? else {
        return Ok(Others::Elsewhere);
    };
    let mut others = Others::None;
    for thread in threads {
        others = Others::Elsewhere;
        let Some(thread) = unless_unknown(thread)? else { continue };
        let path = format!("/proc/self/task/{thread}/syscall");
        let call = unless_unknown(std::fs::read_to_string(path))?.unwrap_or_default();
        let found = descriptors_of(&call).into_iter().flatten().find(|one| numbers.contains(one));
        if let Some(number) = found {
            return Ok(Others::BlockedOn(number));
        }
    }
    Ok(others)
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
        eventually(|| others(&[-5, number]) == Ok(Others::BlockedOn(number)))
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
        assert_eq!(others(&[peer.as_raw_fd()]), Ok(Others::Elsewhere));
        TcpStream::from(peer).write_all(b"x").unwrap();
        assert_eq!(reader.join().unwrap(), *b"x");
        assert_eq!(others(&[number]), Ok(Others::Elsewhere));
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
