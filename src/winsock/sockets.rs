//! Making, naming, connecting and closing sockets, secure ones among them.

use std::os::fd::RawFd;
use std::sync::Arc;

use super::error::{self, failure, of_errno};
use super::{names, replaced, secure};
use crate::error::{Code, Error, Result};
use crate::socket::settings::{SSL_FLAG_DEFER_HANDSHAKE, SSL_FLAG_EXPLICIT_IO};
use crate::socket::{self, Socket, Whom};
use crate::sys::address::Address;
use crate::sys::{private_fd, socket_calls};

/// The descriptor behind a SOCKET. Whether it is a socket the kernel has to say.
pub fn descriptor(socket: usize) -> Result<RawFd> {
    match RawFd::try_from(socket) {
        // 0 is what programs have in a variable that was never set.
        Ok(number @ 1..) if !private_fd::is_private(number) => Ok(number),
        _ => Err(no_socket(socket)),
    }
}

/// The same for calls whose system call also works on other descriptors.
pub fn checked_descriptor(socket: usize) -> Result<RawFd> {
    let number = descriptor(socket)?;
    kind(number).map_err(|_| no_socket(socket))?;
    Ok(number)
}

/// The library's handle, if the socket has been made secure or got one by other means.
pub fn handle(number: RawFd) -> Option<Arc<Socket>> {
    socket::by_descriptor(number).and_then(|token| socket::find(token.raw())).ok()
}

pub fn create(family: i32, kind: i32, protocol: i32) -> Result<RawFd> {
    if !matches!(family, libc::AF_INET | libc::AF_INET6) {
        return Err(failure(
            error::WSAEAFNOSUPPORT,
            format!("address family {family} is not supported: AF_INET and AF_INET6 are"),
        ));
    }
    if !matches!(kind, libc::SOCK_STREAM | libc::SOCK_DGRAM | libc::SOCK_RAW) {
        return Err(failure(
            error::WSAESOCKTNOSUPPORT,
            format!("{kind} is no type of socket: SOCK_STREAM, SOCK_DGRAM and SOCK_RAW are"),
        ));
    }
    socket_calls::create(family, kind, protocol)
}

/// Gives the handle back too. Whoever waits in a call on the socket is woken.
pub fn close(number: RawFd) -> Result<()> {
    let aborts = lingers_for_nothing(number);
    let mut closes_later = false;
    if let Some(handle) = handle(number) {
        handle.refuse_inside_hook()?;
        closes_later = !aborts && handle.closes_later(number);
        socket::free(handle.token().raw())?;
    }
    // An abortive close is not to send what a shutdown would.
    let is_aborted = aborts && socket_calls::reset(number).is_ok();
    if !is_aborted && !closes_later {
        // Not connected: nothing to shut down.
        let _ = socket_calls::shut_down(number, libc::SHUT_RDWR);
    }
    socket_calls::close(number)
}

/// On a secure socket whose handshake is not deferred: with the handshake, also with FIONBIO.
pub fn connect(number: RawFd, address: &[u8]) -> Result<()> {
    let is_stream = kind(number)? == libc::SOCK_STREAM;
    let address = address_of(address, !is_stream)?;
    check_reachable(&address)?;
    // After a failed handshake the kernel would connect it once more, without what was asked for.
    if let Some(handle) = handle(number).filter(|handle| handle.session().is_err())
        && let Some(reason) = handle.errors().fatal()
    {
        return Err(Error { windows: error::WSAEINVAL, ..reason });
    }
    if let Some(handle) = handle(number).filter(|handle| handle.is_secure()) {
        if handle.session().is_ok() {
            return Err(already_connected());
        }
        handle.set_derived_name(names::find(&address));
        if !handle.settings().has(SSL_FLAG_DEFER_HANDSHAKE) {
            refuse_explicit(&handle)?;
            let outcome = handle.connect(&address, Whom::WindowsCe(None));
            replaced::announce();
            return outcome;
        }
    }
    connect_plainly(number, address.bytes())
}

pub fn bind(number: RawFd, address: &[u8]) -> Result<()> {
    let address = address_of(address, false)?;
    let bind = |address: &Address| {
        socket_calls::bind(number, address.bytes())?;
        socket_calls::own_name(number).map(Address::new)
    };
    let Some(handle) = handle(number).filter(|handle| handle.is_secure()) else {
        return socket_calls::bind(number, address.bytes());
    };
    let is_held = handle.is_held();
    secure::let_go_for(number, || {
        let mut bound = bind(&address)?;
        if is_held && port(address.bytes()) == Some(0) {
            // A port that was not asked for is lost when the socket is held.
            handle.hold(true)?;
            handle.hold(false)?;
            // Unless somebody has just taken it.
            bound = bind(&bound).or_else(|_| bind(&address))?;
        }
        handle.set_bound(bound);
        Ok(())
    })
}

pub fn listen(number: RawFd, backlog: i32) -> Result<()> {
    refuse_server(number, "listen")?;
    socket_calls::listen(number, backlog)
}

/// The next connection and the address of its peer.
pub fn accept(number: RawFd) -> Result<(RawFd, Vec<u8>)> {
    refuse_server(number, "accept")?;
    let non_blocking = socket_calls::is_non_blocking(number)?;
    let (accepted, from) = socket_calls::accept(number)?;
    // As on Windows, and unlike Linux, it is as the one that listens.
    if non_blocking && let Err(error) = socket_calls::set_non_blocking(accepted, true) {
        socket_calls::close(accepted)?;
        return Err(error);
    }
    Ok((accepted, from))
}

/// SD_RECEIVE, SD_SEND, SD_BOTH.
pub fn shut_down(number: RawFd, how: i32) -> Result<()> {
    if !matches!(how, libc::SHUT_RD | libc::SHUT_WR | libc::SHUT_RDWR) {
        return Err(failure(
            error::WSAEINVAL,
            format!("{how} is none of SD_RECEIVE (0), SD_SEND (1) and SD_BOTH (2)"),
        ));
    }
    if handle(number).is_some_and(|handle| handle.is_held()) {
        return Err(not_connected());
    }
    socket_calls::shut_down(number, how)
}

/// The address of the real connection's peer, also after an upgrade.
pub fn peer_name(number: RawFd) -> Result<Vec<u8>> {
    match handle(number) {
        Some(handle) if !handle.is_held() => {
            handle.address(true).map(|address| address.bytes().to_vec())
        }
        Some(_) => Err(not_connected()),
        None => socket_calls::peer_name(number),
    }
}

/// The real connection's own address. WSAEINVAL as long as there is none.
pub fn own_name(number: RawFd) -> Result<Vec<u8>> {
    let name = match handle(number) {
        Some(handle) if handle.is_secure() && is_before_connect(number, &handle) => {
            handle.bound().map_or_else(Vec::new, |address| address.bytes().to_vec())
        }
        Some(handle) => handle.address(false)?.bytes().to_vec(),
        None => socket_calls::own_name(number)?,
    };
    match port(&name) {
        Some(0) => Err(failure(error::WSAEINVAL, "the socket has not been bound or connected")),
        _ => Ok(name),
    }
}

fn is_before_connect(number: RawFd, handle: &Socket) -> bool {
    handle.session().is_err()
        && (handle.is_held() || socket_calls::peer_name(number).is_err())
        && handle.errors().fatal().is_none()
}

/// SOCK_STREAM, SOCK_DGRAM or SOCK_RAW.
pub fn kind(number: RawFd) -> Result<i32> {
    socket_calls::int_option(number, libc::SOL_SOCKET, libc::SO_TYPE)
}

/// How many bytes an address of this socket's family has.
pub fn address_size(number: RawFd) -> Result<usize> {
    match socket_calls::int_option(number, libc::SOL_SOCKET, libc::SO_DOMAIN)? {
        libc::AF_INET6 => Ok(size_of::<libc::sockaddr_in6>()),
        _ => Ok(size_of::<libc::sockaddr_in>()),
    }
}

/// An address of the program's. Longer ones than needed are cut, as on Windows.
pub fn address_of(bytes: &[u8], may_be_unspecified: bool) -> Result<Address> {
    let family = bytes.first_chunk().map(|family| i32::from(u16::from_ne_bytes(*family)));
    let length = match family {
        Some(libc::AF_INET) => size_of::<libc::sockaddr_in>(),
        Some(libc::AF_INET6) => size_of::<libc::sockaddr_in6>(),
        Some(libc::AF_UNSPEC) if may_be_unspecified => bytes.len(),
        Some(other) => {
            return Err(failure(
                error::WSAEAFNOSUPPORT,
                format!("an address of family {other} is not supported"),
            ));
        }
        None => usize::MAX,
    };
    let whole = bytes.get(..length).ok_or_else(|| {
        failure(error::WSAEFAULT, format!("{} bytes are too few for an address", bytes.len()))
    })?;
    Ok(Address::new(whole.to_vec()))
}

fn connect_plainly(number: RawFd, address: &[u8]) -> Result<()> {
    let mut is_under_way = false;
    loop {
        let Err(error) = socket_calls::connect(number, address) else { return Ok(()) };
        // Asked each time: another thread may have set FIONBIO, and then no call waits any more.
        let waits = !socket_calls::is_non_blocking(number)?;
        match error.sys_errno {
            // SO_SNDTIMEO is none of connect's business on Windows; the next call goes on waiting.
            libc::EINTR | libc::EINPROGRESS if waits => is_under_way = true,
            libc::EALREADY if waits && is_under_way => {}
            libc::EISCONN if is_under_way => return Ok(()),
            libc::EINPROGRESS | libc::EINTR => {
                return Err(failure(error::WSAEWOULDBLOCK, "the connection is being made"));
            }
            _ => return Err(error),
        }
    }
}

/// Where Linux takes an address that nobody has for this machine's.
fn check_reachable(address: &Address) -> Result<()> {
    let is_nowhere = address.host().is_some_and(|host| host.is_unspecified());
    if is_nowhere || port(address.bytes()) == Some(0) {
        return Err(failure(
            error::WSAEADDRNOTAVAIL,
            "nobody can be reached at this address: its host or its port is 0",
        ));
    }
    Ok(())
}

/// The port of an IPv4 or IPv6 address.
fn port(address: &[u8]) -> Option<u16> {
    let family = i32::from(u16::from_ne_bytes(*address.first_chunk()?));
    let is_known = matches!(family, libc::AF_INET | libc::AF_INET6);
    let port = address.get(2..)?.first_chunk()?;
    is_known.then(|| u16::from_be_bytes(*port))
}

fn lingers_for_nothing(number: RawFd) -> bool {
    let linger = socket_calls::option(number, libc::SOL_SOCKET, libc::SO_LINGER);
    let is_stream = kind(number).is_ok_and(|kind| kind == libc::SOCK_STREAM);
    let [on, seconds] = super::socket_options::linger_of(&linger.unwrap_or_default());
    is_stream && on != 0 && seconds == 0
}

/// Programs with Winsock's headers have no other `send` than the system's, which would go on in clear.
/// Ends the connection.
pub fn refuse_explicit(handle: &Socket) -> Result<()> {
    if handle.session().is_ok() || !handle.settings().has(SSL_FLAG_EXPLICIT_IO) {
        return Ok(());
    }
    Err(handle.refuse_upgrade(failure(
        error::WSAEINVAL,
        "with SSL_FLAG_EXPLICIT_IO only ssl_send and ssl_recv speak TLS, which programs with Windows \
         CE's headers do not call: take the flag away",
    )))
}

fn refuse_server(number: RawFd, call: &str) -> Result<()> {
    match handle(number) {
        Some(handle) if handle.is_secure() => Err(failure(
            error::WSAEOPNOTSUPP,
            format!("{call} is not supported on a secure socket, which is a client's"),
        )),
        _ => Ok(()),
    }
}

pub fn no_socket(socket: usize) -> Error {
    Error {
        windows: error::WSAENOTSOCK,
        ..Error::new(Code::BAD_HANDLE, format!("{socket:#x} is no socket"))
    }
}

pub fn not_connected() -> Error {
    failure(of_errno(libc::ENOTCONN), "the socket is not connected")
}

pub fn already_connected() -> Error {
    failure(of_errno(libc::EISCONN), "the socket is connected already")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_cannot_be_a_socket_is_none() {
        for socket in [0, usize::MAX, 0xffff_ffff, 0x8000_0000, i32::MAX as usize + 1] {
            assert_eq!(error::number(&descriptor(socket).unwrap_err()), error::WSAENOTSOCK);
        }
        let file = std::fs::File::open("/proc/self/exe").unwrap();
        let number = std::os::fd::AsRawFd::as_raw_fd(&file);
        let outcome = checked_descriptor(number as usize);
        assert_eq!(error::number(&outcome.unwrap_err()), error::WSAENOTSOCK);
    }

    #[test]
    fn addresses_are_as_long_as_their_family_says() {
        let mut bytes = vec![0_u8; 64];
        bytes[..2].copy_from_slice(&(libc::AF_INET as u16).to_ne_bytes());
        assert_eq!(address_of(&bytes, false).unwrap().bytes().len(), 16);
        for (length, expected) in
            [(0, error::WSAEFAULT), (1, error::WSAEFAULT), (15, error::WSAEFAULT)]
        {
            assert_eq!(error::number(&address_of(&bytes[..length], true).unwrap_err()), expected);
        }
        bytes[..2].copy_from_slice(&77_u16.to_ne_bytes());
        let refused = address_of(&bytes, true).unwrap_err();
        assert_eq!(error::number(&refused), error::WSAEAFNOSUPPORT);
    }

    #[test]
    fn nobody_is_at_host_or_port_0() {
        let address = |port: u16, host: [u8; 4]| {
            let mut bytes = (libc::AF_INET as u16).to_ne_bytes().to_vec();
            bytes.extend(port.to_be_bytes());
            bytes.extend(host);
            bytes.extend([0; 8]);
            Address::new(bytes)
        };
        assert!(check_reachable(&address(25, [127, 0, 0, 1])).is_ok());
        assert!(check_reachable(&address(0, [127, 0, 0, 1])).is_err());
        assert!(check_reachable(&address(25, [0; 4])).is_err());
    }
}
