//! `setsockopt` and `getsockopt`: Windows's numbers and layouts to Linux's and back.
//!
//! The options of SOL_SOCKET have Windows's numbers, those of IP and TCP Linux's, as the headers
//! give them.

use std::os::fd::{AsRawFd, RawFd};

use super::error::{self, failure, of_errno};
use super::sockets::handle;
use super::{secure, transfer};
use crate::error::Result;
use crate::sys::socket_calls;

/// What an option is to Linux.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Target {
    Secure,
    /// On or off; one byte will do.
    Switch(i32, i32),
    /// The same, and privileged on Linux, where Windows ignores it.
    DebugSwitch,
    /// Asked for the other way round: exclusive use is no reuse.
    ExclusiveUse,
    Linger,
    /// On or off without a time, the other way round.
    DoNotLinger,
    /// Linux counts its own overhead, and so doubles it.
    BufferSize(i32),
    Milliseconds(i32),
    /// A number of four bytes, or one.
    Number(i32, i32),
    /// As it is, of this size.
    Bytes(i32, i32, usize),
    /// Can only be asked for.
    Error,
    Kind,
    Accepts,
}

/// The size of a long where it is not Windows's.
const LONG: usize = size_of::<i64>();

/// Sets an option to what stands at the front of `value`.
pub fn set(number: RawFd, level: i32, name: i32, value: &[u8]) -> Result<()> {
    let target = find(level, name)?;
    if target == Target::Secure {
        return secure::set(number, dword(value)?);
    }
    let (level, option, value) = to_linux(target, value)?;
    match socket_calls::set_option(number, level, option, &value) {
        Err(error) if target == Target::DebugSwitch && error.sys_errno == libc::EACCES => Ok(()),
        Err(error) if is_missing(error.sys_errno) => on_real_connection(number, error, |number| {
            socket_calls::set_option(number, level, option, &value)
        }),
        outcome => outcome,
    }
}

/// What an option is set to, for a buffer of `capacity` bytes.
pub fn get(number: RawFd, level: i32, name: i32, capacity: usize) -> Result<Vec<u8>> {
    let target = find(level, name)?;
    let value = match target {
        Target::Secure => secure::get(number).to_ne_bytes().to_vec(),
        // A socket that is held listens, but that is nobody's business.
        Target::Accepts if handle(number).is_some_and(|handle| handle.is_held()) => {
            0_u32.to_ne_bytes().to_vec()
        }
        _ => {
            let (level, option) = place(target);
            let value = match socket_calls::option(number, level, option) {
                Err(error) if is_missing(error.sys_errno) => {
                    on_real_connection(number, error, |number| {
                        socket_calls::option(number, level, option)
                    })
                }
                outcome => outcome,
            }?;
            if target == Target::Error {
                pending_error(number, int(&value)).to_ne_bytes().to_vec()
            } else {
                to_windows(target, &value)
            }
        }
    };
    // A program's long had four bytes on Windows: where it has eight, the number fills them.
    if let (Ok(number), LONG, true) =
        (<[u8; 4]>::try_from(value.as_slice()), capacity, is_number(target))
    {
        return Ok(i64::from(i32::from_ne_bytes(number)).to_ne_bytes().to_vec());
    }
    // On or off also fits into one byte.
    let length = if is_switch(target) && capacity < value.len() { 1 } else { value.len() };
    match value.get(..length) {
        Some(value) if length <= capacity => Ok(value.to_vec()),
        _ => Err(too_short(capacity, length)),
    }
}

/// `l_onoff` and `l_linger` of Linux's struct linger.
pub fn linger_of(value: &[u8]) -> [i32; 2] {
    [int(value), int(value.get(4..).unwrap_or_default())]
}

/// The value of SO_ERROR; 0: nothing is wrong.
fn pending_error(number: RawFd, errno: i32) -> i32 {
    match errno {
        0 => 0,
        errno => transfer::reason(number)
            .map_or_else(|| of_errno(errno), |reason| error::number(&reason)),
    }
}

/// On an upgraded socket whose inner pair does not know the option.
fn on_real_connection<T>(
    number: RawFd,
    error: crate::error::Error,
    call: impl FnOnce(RawFd) -> Result<T>,
) -> Result<T> {
    match handle(number).filter(|handle| handle.session().is_ok()) {
        Some(handle) => call(handle.transport()?.as_raw_fd()),
        None => Err(error),
    }
}

/// Whether this kind of socket does not have the option.
fn is_missing(errno: i32) -> bool {
    matches!(errno, libc::EOPNOTSUPP | libc::ENOPROTOOPT)
}

fn find(level: i32, name: i32) -> Result<Target> {
    let found = match (level, name) {
        // Programs that were ported halfway give Linux's SOL_SOCKET.
        (SOL_SOCKET | libc::SOL_SOCKET, SO_SECURE) => Target::Secure,
        (SOL_SOCKET, name) => match SOCKET_OPTIONS.iter().find(|(known, _)| *known == name) {
            Some((_, target)) => *target,
            None => return Err(unknown(level, name)),
        },
        (libc::IPPROTO_TCP, libc::TCP_NODELAY)
        | (libc::IPPROTO_IPV6, libc::IPV6_V6ONLY | libc::IPV6_MULTICAST_LOOP) => {
            Target::Switch(level, name)
        }
        (
            libc::IPPROTO_IP,
            libc::IP_TOS | libc::IP_TTL | libc::IP_MULTICAST_TTL | libc::IP_MULTICAST_LOOP,
        )
        | (
            libc::IPPROTO_IPV6,
            libc::IPV6_UNICAST_HOPS | libc::IPV6_MULTICAST_HOPS | libc::IPV6_MULTICAST_IF,
        ) => Target::Number(level, name),
        (libc::IPPROTO_IP, libc::IP_MULTICAST_IF) => Target::Bytes(level, name, 4),
        (libc::IPPROTO_IP, libc::IP_ADD_MEMBERSHIP | libc::IP_DROP_MEMBERSHIP) => {
            Target::Bytes(level, name, size_of::<libc::ip_mreq>())
        }
        (libc::IPPROTO_IPV6, libc::IPV6_ADD_MEMBERSHIP | libc::IPV6_DROP_MEMBERSHIP) => {
            Target::Bytes(level, name, size_of::<libc::ipv6_mreq>())
        }
        _ => return Err(unknown(level, name)),
    };
    Ok(found)
}

/// Linux's level and option.
fn place(target: Target) -> (i32, i32) {
    match target {
        Target::Secure => (libc::SOL_SOCKET, 0),
        Target::Switch(level, option)
        | Target::Number(level, option)
        | Target::Bytes(level, option, _) => (level, option),
        Target::BufferSize(option) | Target::Milliseconds(option) => (libc::SOL_SOCKET, option),
        Target::DebugSwitch => (libc::SOL_SOCKET, libc::SO_DEBUG),
        Target::ExclusiveUse => (libc::SOL_SOCKET, libc::SO_REUSEADDR),
        Target::Linger | Target::DoNotLinger => (libc::SOL_SOCKET, libc::SO_LINGER),
        Target::Error => (libc::SOL_SOCKET, libc::SO_ERROR),
        Target::Kind => (libc::SOL_SOCKET, libc::SO_TYPE),
        Target::Accepts => (libc::SOL_SOCKET, libc::SO_ACCEPTCONN),
    }
}

/// Linux's level, option and value for Windows's.
fn to_linux(target: Target, value: &[u8]) -> Result<(i32, i32, Vec<u8>)> {
    let ints = |ints: &[i32]| ints.iter().flat_map(|int| int.to_ne_bytes()).collect::<Vec<u8>>();
    let value = match target {
        Target::Switch(..) | Target::DebugSwitch => ints(&[i32::from(switch(value)?)]),
        Target::ExclusiveUse => ints(&[i32::from(!switch(value)?)]),
        Target::DoNotLinger => ints(&[i32::from(!switch(value)?), 0]),
        Target::Linger => {
            let [on, seconds] = words(value)?;
            ints(&[i32::from(on != 0), i32::from(seconds)])
        }
        Target::BufferSize(_) => ints(&[i32::try_from(dword(value)?).unwrap_or(i32::MAX)]),
        Target::Milliseconds(_) => timeval(dword(value)?),
        Target::Number(..) => match value {
            [byte] => ints(&[i32::from(*byte)]),
            _ => ints(&[dword(value)?.cast_signed()]),
        },
        Target::Bytes(_, _, size) => {
            value.get(..size).ok_or_else(|| too_short(value.len(), size))?.to_vec()
        }
        Target::Error | Target::Kind | Target::Accepts | Target::Secure => {
            return Err(failure(
                error::WSAENOPROTOOPT,
                "this option can only be asked for: nothing was changed",
            ));
        }
    };
    let (level, option) = place(target);
    Ok((level, option, value))
}

/// Windows's value for Linux's.
fn to_windows(target: Target, value: &[u8]) -> Vec<u8> {
    let number = |number: i32| number.to_ne_bytes().to_vec();
    match target {
        Target::Switch(..) | Target::DebugSwitch | Target::Accepts => {
            number(i32::from(int(value) != 0))
        }
        Target::ExclusiveUse | Target::DoNotLinger => number(i32::from(int(value) == 0)),
        Target::Linger => {
            let words = linger_of(value).map(|word| u16::try_from(word).unwrap_or(u16::MAX));
            words.iter().flat_map(|word| word.to_ne_bytes()).collect()
        }
        Target::BufferSize(_) => number(int(value) / 2),
        Target::Milliseconds(_) => milliseconds(value).to_ne_bytes().to_vec(),
        Target::Number(..) | Target::Error | Target::Kind | Target::Secure => number(int(value)),
        Target::Bytes(..) => value.to_vec(),
    }
}

fn is_number(target: Target) -> bool {
    !matches!(target, Target::Linger | Target::Bytes(..))
}

fn is_switch(target: Target) -> bool {
    matches!(
        target,
        Target::Switch(..)
            | Target::DebugSwitch
            | Target::ExclusiveUse
            | Target::DoNotLinger
            | Target::Accepts
    )
}

/// On or off, in as many bytes as there are, of four.
fn switch(value: &[u8]) -> Result<bool> {
    match value {
        [] => Err(too_short(0, 4)),
        _ => Ok(value.iter().take(4).any(|&byte| byte != 0)),
    }
}

fn dword(value: &[u8]) -> Result<u32> {
    let bytes = value.first_chunk().ok_or_else(|| too_short(value.len(), 4))?;
    Ok(u32::from_ne_bytes(*bytes))
}

fn words(value: &[u8]) -> Result<[u16; 2]> {
    let word = |at: usize| Some(u16::from_ne_bytes(*value.get(at..)?.first_chunk()?));
    word(0).zip(word(2)).map(<[u16; 2]>::from).ok_or_else(|| too_short(value.len(), 4))
}

/// The int at the front, or 0; Linux gives some in one byte.
fn int(value: &[u8]) -> i32 {
    match value {
        [byte] => i32::from(*byte),
        _ => value.first_chunk().map_or(0, |bytes| i32::from_ne_bytes(*bytes)),
    }
}

/// Linux's struct timeval.
fn timeval(milliseconds: u32) -> Vec<u8> {
    // Both fit: the one is below 2^23, the other below a million.
    let seconds = (milliseconds / 1000) as libc::time_t;
    let microseconds = (milliseconds % 1000 * 1000) as libc::suseconds_t;
    [seconds.to_ne_bytes(), microseconds.to_ne_bytes()].concat()
}

fn milliseconds(timeval: &[u8]) -> u32 {
    const HALF: usize = size_of::<libc::time_t>();
    let half = |at: usize| {
        let bytes = timeval.get(at..).and_then(|half| half.first_chunk::<HALF>());
        bytes.map_or(0, |bytes| libc::time_t::from_ne_bytes(*bytes))
    };
    u32::try_from(half(0) * 1000 + half(HALF) / 1000).unwrap_or(u32::MAX)
}

fn unknown(level: i32, name: i32) -> crate::error::Error {
    failure(
        error::WSAENOPROTOOPT,
        format!("option {name:#x} of level {level:#x} is not known: nothing was changed"),
    )
}

fn too_short(length: usize, needed: usize) -> crate::error::Error {
    failure(error::WSAEFAULT, format!("the option takes {needed} bytes, not {length}"))
}

pub(crate) const SOL_SOCKET: i32 = 0xffff;
const SO_SECURE: i32 = 0x2001;

const fn switch_of_socket(option: i32) -> Target {
    Target::Switch(libc::SOL_SOCKET, option)
}

const SOCKET_OPTIONS: &[(i32, Target)] = &[
    (0x0001, Target::DebugSwitch),
    (0x0002, Target::Accepts),
    (0x0004, switch_of_socket(libc::SO_REUSEADDR)),
    (0x0008, switch_of_socket(libc::SO_KEEPALIVE)),
    (0x0010, switch_of_socket(libc::SO_DONTROUTE)),
    (0x0020, switch_of_socket(libc::SO_BROADCAST)),
    (0x0080, Target::Linger),
    (0x0100, switch_of_socket(libc::SO_OOBINLINE)),
    (!0x0080, Target::DoNotLinger),
    (!0x0004, Target::ExclusiveUse),
    (0x1001, Target::BufferSize(libc::SO_SNDBUF)),
    (0x1002, Target::BufferSize(libc::SO_RCVBUF)),
    (0x1004, Target::Number(libc::SOL_SOCKET, libc::SO_RCVLOWAT)),
    (0x1005, Target::Milliseconds(libc::SO_SNDTIMEO)),
    (0x1006, Target::Milliseconds(libc::SO_RCVTIMEO)),
    (0x1007, Target::Error),
    (0x1008, Target::Kind),
];

#[cfg(test)]
mod tests {
    use std::net::{TcpListener, UdpSocket};

    use super::*;

    const SO_RCVTIMEO: i32 = 0x1006;
    const SO_LINGER: i32 = 0x0080;
    const SO_DONTLINGER: i32 = !SO_LINGER;
    const SO_REUSEADDR: i32 = 0x0004;
    const SO_EXCLUSIVEADDRUSE: i32 = !SO_REUSEADDR;
    const SO_SNDBUF: i32 = 0x1001;

    fn linux(name: i32, value: &[u8]) -> (i32, i32, Vec<u8>) {
        to_linux(find(SOL_SOCKET, name).unwrap(), value).unwrap()
    }

    fn number_of<T>(outcome: Result<T>) -> Option<i32> {
        outcome.err().map(|error| error::number(&error))
    }

    fn ints(values: &[i32]) -> Vec<u8> {
        values.iter().flat_map(|value| value.to_ne_bytes()).collect()
    }

    #[test]
    fn windows_numbers_and_layouts_become_linuxs() {
        let socket = libc::SOL_SOCKET;
        assert_eq!(linux(SO_REUSEADDR, &[1, 0, 0, 0]), (socket, libc::SO_REUSEADDR, ints(&[1])));
        // Also where a C++ bool is given.
        assert_eq!(linux(0x8, &[1]), (socket, libc::SO_KEEPALIVE, ints(&[1])));
        assert_eq!(linux(0x8, &[0, 0, 2, 0]).2, ints(&[1]));
        assert_eq!(linux(SO_EXCLUSIVEADDRUSE, &ints(&[1])).2, ints(&[0]));
        assert_eq!(linux(SO_LINGER, &[1, 0, 5, 0]), (socket, libc::SO_LINGER, ints(&[1, 5])));
        assert_eq!(linux(SO_DONTLINGER, &ints(&[1])).2, ints(&[0, 0]));
        let time = linux(SO_RCVTIMEO, &2500_u32.to_ne_bytes());
        assert_eq!(time, (socket, libc::SO_RCVTIMEO, timeval(2500)));
        assert_eq!(milliseconds(&time.2), 2500);
        assert_eq!(milliseconds(&timeval(u32::MAX)), u32::MAX);
        assert_eq!(timeval(0), vec![0; size_of::<libc::timeval>()]);
    }

    #[test]
    fn what_is_too_short_or_unknown_is_refused() {
        for (name, value) in
            [(SO_RCVTIMEO, 3), (SO_LINGER, 3), (SO_REUSEADDR, 0), (SO_SNDBUF, 2), (SO_SECURE, 3)]
        {
            let outcome = set(-1, SOL_SOCKET, name, &[1; 4][..value]);
            assert_eq!(number_of(outcome), Some(error::WSAEFAULT), "{name:#x}");
        }
        let unknown = Some(error::WSAENOPROTOOPT);
        // 0x1006 belongs to SOL_SOCKET; 20 is Linux's SO_RCVTIMEO and none of Windows's.
        for (level, name) in [
            (SOL_SOCKET, 20),
            (SOL_SOCKET, 0x7000),
            (libc::SOL_SOCKET, libc::SO_REUSEADDR),
            (libc::IPPROTO_TCP, SO_RCVTIMEO),
            (libc::IPPROTO_TCP, libc::TCP_CORK),
            (77, 1),
        ] {
            assert_eq!(number_of(set(-1, level, name, &[0; 8])), unknown, "{level:#x} {name:#x}");
            assert_eq!(number_of(get(-1, level, name, 8)), unknown, "{level:#x} {name:#x}");
        }
        // SO_TYPE, SO_ERROR.
        assert_eq!(number_of(set(-1, SOL_SOCKET, 0x1008, &[0; 4])), unknown);
        assert_eq!(number_of(set(-1, SOL_SOCKET, 0x1007, &[0; 4])), unknown);
    }

    #[test]
    fn what_is_set_is_read_back() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let number = listener.as_raw_fd();
        for (name, value) in [
            (SO_RCVTIMEO, 3000_u32.to_ne_bytes()),
            (SO_SNDBUF, 16384_u32.to_ne_bytes()),
            (SO_LINGER, [1, 0, 7, 0]),
            (SO_DONTLINGER, ints(&[1]).try_into().unwrap()),
            (SO_EXCLUSIVEADDRUSE, ints(&[1]).try_into().unwrap()),
            (SO_EXCLUSIVEADDRUSE, ints(&[0]).try_into().unwrap()),
        ] {
            set(number, SOL_SOCKET, name, &value).unwrap();
            assert_eq!(get(number, SOL_SOCKET, name, 4).unwrap(), value, "{name:#x}");
        }
        // Into a long.
        set(number, SOL_SOCKET, SO_RCVTIMEO, &3000_i64.to_ne_bytes()).unwrap();
        assert_eq!(get(number, SOL_SOCKET, SO_RCVTIMEO, 8).unwrap(), 3000_i64.to_ne_bytes());
        set(number, SOL_SOCKET, SO_LINGER, &[1, 0, 7, 0]).unwrap();
        assert_eq!(get(number, SOL_SOCKET, SO_LINGER, 8).unwrap(), [1, 0, 7, 0]);
        assert_eq!(get(number, SOL_SOCKET, 0x0002, 4).unwrap(), ints(&[1]));
        assert_eq!(get(number, SOL_SOCKET, 0x0002, 1).unwrap(), [1]);
        assert_eq!(get(number, SOL_SOCKET, 0x1008, 4).unwrap(), ints(&[libc::SOCK_STREAM]));
        let short = get(number, SOL_SOCKET, SO_RCVTIMEO, 3);
        assert_eq!(number_of(short), Some(error::WSAEFAULT));
    }

    #[test]
    fn a_pending_error_has_winsocks_number() {
        let closed = UdpSocket::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        socket.connect(closed).unwrap();
        socket.send(b"x").unwrap();
        let pending = get(socket.as_raw_fd(), SOL_SOCKET, 0x1007, 4).unwrap();
        assert_eq!(pending, ints(&[error::WSAECONNREFUSED]));
        assert_eq!(get(socket.as_raw_fd(), SOL_SOCKET, 0x1007, 4).unwrap(), ints(&[0]));
    }
}
