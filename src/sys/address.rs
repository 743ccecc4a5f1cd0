//! Socket addresses as the kernel's own bytes, for programs that have their own structures.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::os::fd::{AsRawFd, BorrowedFd};

use rustix::fs::{OFlags, fcntl_getfl, fcntl_setfl};

use super::failed;
use super::identity::last_errno;
use crate::error::{Error, Result};

/// A `struct sockaddr` of any family.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Address(Vec<u8>);

impl Address {
    pub fn new(bytes: Vec<u8>) -> Self {
        Self(bytes)
    }

    pub fn peer(fd: BorrowedFd<'_>) -> Result<Self> {
        read("find the peer's address", |address, length| {
            // SAFETY: `address` points to `length` writable bytes, as `getpeername` requires.
            unsafe { libc::getpeername(fd.as_raw_fd(), address, length) }
        })
    }

    pub fn local(fd: BorrowedFd<'_>) -> Result<Self> {
        read("find the local address", |address, length| {
            // SAFETY: `address` points to `length` writable bytes, as `getsockname` requires.
            unsafe { libc::getsockname(fd.as_raw_fd(), address, length) }
        })
    }

    /// This host, port 0.
    pub fn of_host(host: IpAddr) -> Self {
        let family = if host.is_ipv4() { libc::AF_INET } else { libc::AF_INET6 };
        let mut bytes = (family as libc::sa_family_t).to_ne_bytes().to_vec();
        bytes.extend([0; 2]);
        match host {
            IpAddr::V4(host) => {
                bytes.extend(host.octets());
                bytes.resize(size_of::<libc::sockaddr_in>(), 0);
            }
            IpAddr::V6(host) => {
                bytes.extend([0; 4]);
                bytes.extend(host.octets());
                bytes.resize(size_of::<libc::sockaddr_in6>(), 0);
            }
        }
        Self(bytes)
    }

    pub fn bytes(&self) -> &[u8] {
        &self.0
    }

    /// The host of an IPv4 or IPv6 address. A mapped IPv4 address (::ffff:a.b.c.d) is the IPv4
    /// address.
    pub fn host(&self) -> Option<IpAddr> {
        let family = self.0.first_chunk().map(|bytes| u16::from_ne_bytes(*bytes))?;
        match libc::c_int::from(family) {
            libc::AF_INET => {
                let octets: [u8; 4] = *self.0.get(4..)?.first_chunk()?;
                Some(IpAddr::V4(Ipv4Addr::from(octets)))
            }
            libc::AF_INET6 => {
                let octets: [u8; 16] = *self.0.get(8..)?.first_chunk()?;
                Some(IpAddr::V6(Ipv6Addr::from(octets)).to_canonical())
            }
            _ => None,
        }
    }

    /// Starts to connect, without waiting. `Ok(false)`: under way, wait until the socket can be
    /// written.
    pub fn connect(&self, fd: BorrowedFd<'_>) -> Result<bool> {
        let flags = fcntl_getfl(fd).map_err(failed("read the status flags"))?;
        fcntl_setfl(fd, flags | OFlags::NONBLOCK).map_err(failed("set O_NONBLOCK"))?;
        let length = self.0.len() as libc::socklen_t;
        // SAFETY: the pointer and the length describe the bytes of `self`.
        let outcome = unsafe { libc::connect(fd.as_raw_fd(), self.0.as_ptr().cast(), length) };
        let errno = last_errno();
        fcntl_setfl(fd, flags).map_err(failed("restore O_NONBLOCK"))?;
        if outcome == 0 {
            return Ok(true);
        }
        match errno {
            // After EINTR the kernel goes on connecting; a second call would say EALREADY.
            libc::EINPROGRESS | libc::EINTR => Ok(false),
            errno => Err(Error::system("connect", errno)),
        }
    }
}

fn read(
    what: &str,
    call: impl FnOnce(*mut libc::sockaddr, *mut libc::socklen_t) -> libc::c_int,
) -> Result<Address> {
    let mut storage = [0_u8; size_of::<libc::sockaddr_storage>()];
    let mut length = storage.len() as libc::socklen_t;
    if call(storage.as_mut_ptr().cast(), &mut length) != 0 {
        return Err(Error::system(what, last_errno()));
    }
    Ok(Address(storage[..storage.len().min(length as usize)].to_vec()))
}
