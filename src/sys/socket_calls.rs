//! The socket calls on numbers of the program's, as the kernel has them. A number that is closed or
//! no socket is an error of the kernel's.

use std::mem::size_of;
use std::os::fd::RawFd;

use libc::{c_int, c_void, socklen_t};

use super::identity::last_errno;
use crate::error::{Error, Result};

/// A new socket. Its number is above those of the standard streams, and 0 never is a socket.
pub fn create(family: c_int, kind: c_int, protocol: c_int) -> Result<RawFd> {
    // SAFETY: no pointers.
    let number = unsafe { libc::socket(family, kind | libc::SOCK_CLOEXEC, protocol) };
    above_standard_streams(checked("make a socket", number)?)
}

/// The next connection and where it comes from.
pub fn accept(number: RawFd) -> Result<(RawFd, Vec<u8>)> {
    let mut from = Storage::default();
    let accepted = uninterrupted("accept a connection", || {
        from.length = STORAGE_SIZE as socklen_t;
        // SAFETY: the kernel writes at most `length` bytes to the storage.
        unsafe {
            let address = from.bytes.as_mut_ptr().cast();
            libc::accept4(number, address, &mut from.length, libc::SOCK_CLOEXEC) as isize
        }
    })?;
    Ok((above_standard_streams(accepted as RawFd)?, from.filled()))
}

/// Gives the number back; what happens to the connection is up to SO_LINGER.
pub fn close(number: RawFd) -> Result<()> {
    // SAFETY: the number is the program's, which gives it up.
    match unsafe { libc::close(number) } {
        // Closed all the same.
        -1 if last_errno() != libc::EINTR => Err(Error::system("close the socket", last_errno())),
        _ => Ok(()),
    }
}

/// One call, which a signal may end.
pub fn connect(number: RawFd, address: &[u8]) -> Result<()> {
    // SAFETY: pointer and length describe `address`.
    let outcome =
        unsafe { libc::connect(number, address.as_ptr().cast(), address.len() as socklen_t) };
    checked("connect", outcome).map(drop)
}

pub fn bind(number: RawFd, address: &[u8]) -> Result<()> {
    // SAFETY: pointer and length describe `address`.
    let outcome =
        unsafe { libc::bind(number, address.as_ptr().cast(), address.len() as socklen_t) };
    checked("bind the socket", outcome).map(drop)
}

pub fn listen(number: RawFd, backlog: c_int) -> Result<()> {
    // SAFETY: no pointers.
    checked("listen", unsafe { libc::listen(number, backlog) }).map(drop)
}

pub fn shut_down(number: RawFd, how: c_int) -> Result<()> {
    // SAFETY: no pointers.
    checked("shut the socket down", unsafe { libc::shutdown(number, how) }).map(drop)
}

/// Takes the connection back at once, as `close` does with SO_LINGER {1, 0}: the peer is reset, and
/// whoever waits in a call on the socket is woken.
pub fn reset(number: RawFd) -> Result<()> {
    let nobody =
        libc::sockaddr { sa_family: libc::AF_UNSPEC as libc::sa_family_t, sa_data: [0; 14] };
    let size = size_of::<libc::sockaddr>() as socklen_t;
    // SAFETY: the kernel reads `size` bytes of `nobody`.
    checked("reset the connection", unsafe { libc::connect(number, &nobody, size) }).map(drop)
}

/// `to`: for datagrams.
pub fn send(number: RawFd, bytes: &[u8], flags: c_int, to: Option<&[u8]>) -> Result<usize> {
    let (address, length) = to.map_or((std::ptr::null(), 0), |to| (to.as_ptr(), to.len()));
    uninterrupted("send", || {
        // SAFETY: pointers and lengths describe the slices; the kernel checks the program's bytes.
        unsafe {
            libc::sendto(
                number,
                bytes.as_ptr().cast(),
                bytes.len(),
                flags | libc::MSG_NOSIGNAL,
                address.cast(),
                length as socklen_t,
            )
        }
    })
}

/// What [`receive`] got.
pub struct Received {
    pub length: usize,
    /// The rest of a datagram that was longer than the buffer is lost.
    pub is_cut: bool,
    /// Whom a datagram is from; nothing for a stream.
    pub from: Vec<u8>,
}

pub fn receive(number: RawFd, buffer: &mut [u8], flags: c_int) -> Result<Received> {
    let mut from = Storage::default();
    let mut piece = libc::iovec { iov_base: buffer.as_mut_ptr().cast(), iov_len: buffer.len() };
    // SAFETY: all zero is a msghdr without anything in it.
    let mut message: libc::msghdr = unsafe { std::mem::zeroed() };
    let length = uninterrupted("receive", || {
        message.msg_name = from.bytes.as_mut_ptr().cast();
        message.msg_namelen = STORAGE_SIZE as socklen_t;
        message.msg_iov = &raw mut piece;
        message.msg_iovlen = 1;
        // SAFETY: the pointers of `message` are those of `from`, `piece` and through it `buffer`.
        unsafe { libc::recvmsg(number, &raw mut message, flags | libc::MSG_CMSG_CLOEXEC) }
    })?;
    from.length = message.msg_namelen;
    Ok(Received { length, is_cut: message.msg_flags & libc::MSG_TRUNC != 0, from: from.filled() })
}

pub fn peer_name(number: RawFd) -> Result<Vec<u8>> {
    name("find the peer's address", |address, length| {
        // SAFETY: `address` points to `length` writable bytes.
        unsafe { libc::getpeername(number, address, length) }
    })
}

pub fn own_name(number: RawFd) -> Result<Vec<u8>> {
    name("find the local address", |address, length| {
        // SAFETY: `address` points to `length` writable bytes.
        unsafe { libc::getsockname(number, address, length) }
    })
}

pub fn set_option(number: RawFd, level: c_int, option: c_int, value: &[u8]) -> Result<()> {
    let size = value.len() as socklen_t;
    // SAFETY: pointer and length describe `value`.
    let outcome = unsafe { libc::setsockopt(number, level, option, value.as_ptr().cast(), size) };
    checked("set the socket option", outcome).map(drop)
}

/// An option of at most 64 bytes.
pub fn option(number: RawFd, level: c_int, option: c_int) -> Result<Vec<u8>> {
    let mut value = [0_u8; 64];
    let mut size = value.len() as socklen_t;
    // SAFETY: the kernel writes at most `size` bytes to `value`.
    let outcome = unsafe {
        libc::getsockopt(number, level, option, value.as_mut_ptr().cast::<c_void>(), &mut size)
    };
    checked("ask for the socket option", outcome)?;
    Ok(value.get(..size as usize).unwrap_or(&value).to_vec())
}

pub fn int_option(number: RawFd, level: c_int, name: c_int) -> Result<c_int> {
    let value = option(number, level, name)?;
    // Some come in one byte.
    let mut int = [0; size_of::<c_int>()];
    int.iter_mut().zip(&value).for_each(|(to, from)| *to = *from);
    Ok(c_int::from_ne_bytes(int))
}

/// Whether calls on it do not wait (O_NONBLOCK).
pub fn is_non_blocking(number: RawFd) -> Result<bool> {
    // SAFETY: no pointers.
    let flags = unsafe { libc::fcntl(number, libc::F_GETFL) };
    Ok(checked("read the status flags", flags)? & libc::O_NONBLOCK != 0)
}

pub fn set_non_blocking(number: RawFd, non_blocking: bool) -> Result<()> {
    // SAFETY: no pointers.
    let flags = checked("read the status flags", unsafe { libc::fcntl(number, libc::F_GETFL) })?;
    let wanted = if non_blocking { flags | libc::O_NONBLOCK } else { flags & !libc::O_NONBLOCK };
    // SAFETY: no pointers.
    let outcome = unsafe { libc::fcntl(number, libc::F_SETFL, wanted) };
    checked("set O_NONBLOCK", outcome).map(drop)
}

/// How many bytes can be received, or how long the next datagram is.
pub fn readable_bytes(number: RawFd) -> Result<c_int> {
    count(number, libc::FIONREAD, "ask for the length of the receive queue")
}

/// Whether the next byte is the one behind which the urgent byte was sent.
pub fn is_at_urgent_mark(number: RawFd) -> Result<bool> {
    Ok(count(number, SIOCATMARK, "ask for the urgent mark")? != 0)
}

/// The events of `poll` that hold at this moment.
pub fn events(number: RawFd, asked: i16) -> Result<i16> {
    let mut poll = libc::pollfd { fd: number, events: asked, revents: 0 };
    // SAFETY: one structure, which the kernel may write to.
    checked("poll the socket", unsafe { libc::poll(&mut poll, 1, 0) })?;
    Ok(poll.revents)
}

/// linux/sockios.h; the same on all of Linux's processors that Rust's library runs on but a few.
const SIOCATMARK: libc::Ioctl = 0x8905;

fn count(number: RawFd, request: libc::Ioctl, what: &str) -> Result<c_int> {
    let mut count: c_int = 0;
    // SAFETY: both requests write one int.
    checked(what, unsafe { libc::ioctl(number, request, &mut count) })?;
    Ok(count)
}

fn name(
    what: &str,
    call: impl FnOnce(*mut libc::sockaddr, *mut socklen_t) -> c_int,
) -> Result<Vec<u8>> {
    let mut storage = Storage::default();
    checked(what, call(storage.bytes.as_mut_ptr().cast(), &mut storage.length))?;
    Ok(storage.filled())
}

/// Programs take 0 for no socket, and some close their standard streams.
fn above_standard_streams(number: RawFd) -> Result<RawFd> {
    if number > libc::STDERR_FILENO {
        return Ok(number);
    }
    let lowest = libc::STDERR_FILENO + 1;
    // SAFETY: no pointers; the number is the caller's, who has just got it.
    let outcome = unsafe { libc::fcntl(number, libc::F_DUPFD_CLOEXEC, lowest) };
    let moved = checked("move the socket to another number", outcome);
    close(number)?;
    moved
}

/// A call that waits again where a signal has ended it.
fn uninterrupted(what: &str, mut call: impl FnMut() -> isize) -> Result<usize> {
    loop {
        match usize::try_from(call()) {
            Ok(count) => return Ok(count),
            Err(_) if last_errno() == libc::EINTR => {}
            Err(_) => return Err(Error::system(what, last_errno())),
        }
    }
}

fn checked(what: &str, outcome: c_int) -> Result<c_int> {
    if outcome < 0 { Err(Error::system(what, last_errno())) } else { Ok(outcome) }
}

const STORAGE_SIZE: usize = size_of::<libc::sockaddr_storage>();

/// Room for an address of any family.
struct Storage {
    bytes: [u8; STORAGE_SIZE],
    length: socklen_t,
}

impl Storage {
    fn filled(&self) -> Vec<u8> {
        self.bytes.get(..self.length as usize).unwrap_or(&self.bytes).to_vec()
    }
}

impl Default for Storage {
    fn default() -> Self {
        Self { bytes: [0; STORAGE_SIZE], length: STORAGE_SIZE as socklen_t }
    }
}

#[cfg(test)]
mod tests {
    use std::net::UdpSocket;
    use std::os::fd::AsRawFd;

    use super::*;

    #[test]
    fn a_socket_has_a_number_that_no_standard_stream_has_and_is_closed_on_exec() {
        let number = create(libc::AF_INET, libc::SOCK_STREAM, 0).unwrap();
        assert!(number > 2);
        // SAFETY: no pointers.
        assert_eq!(unsafe { libc::fcntl(number, libc::F_GETFD) }, libc::FD_CLOEXEC);
        close(number).unwrap();
        assert_eq!(close(number).unwrap_err().sys_errno, libc::EBADF);
    }

    #[test]
    fn a_datagram_tells_its_sender_and_that_it_was_cut() {
        let one = UdpSocket::bind("127.0.0.1:0").unwrap();
        let other = UdpSocket::bind("127.0.0.1:0").unwrap();
        let to = own_name(other.as_raw_fd()).unwrap();
        send(one.as_raw_fd(), b"four", 0, Some(&to)).unwrap();
        let mut buffer = [0; 3];
        let received = receive(other.as_raw_fd(), &mut buffer, 0).unwrap();
        assert_eq!((received.length, received.is_cut, &buffer), (3, true, b"fou"));
        assert_eq!(received.from, own_name(one.as_raw_fd()).unwrap());
    }
}
