//! Windows: gethostbyname and its relatives, whose answers belong to the calling thread.

use std::cell::Cell;
use std::ffi::c_char;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use super::boundary::shim;
use super::strings::{Answers, Lines, c_string, text_of, thread_is_ending};
use crate::abi::memory;
use crate::error::{Error, Result};
use crate::sys::look_up::host_name;
use crate::winsock::error::{WSAEAFNOSUPPORT, WSAEFAULT, failure};
use crate::winsock::look_up::{self, Host, INADDR_NONE};

/// What `include/wince/sslsock_wce/hosts.h` calls `hostent`.
#[repr(C)]
pub struct HostEntry {
    name: *mut c_char,
    aliases: *mut *mut c_char,
    family: i16,
    length: i16,
    addresses: *mut *mut c_char,
}

/// A structure in_addr, in network order.
#[repr(C)]
pub struct InAddr(u32);

/// Windows: gethostbyname.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ssl_wce_gethostbyname(name: *const c_char) -> *mut HostEntry {
    shim!(ssl_wce_gethostbyname, std::ptr::null_mut(), {
        // SAFETY: NULL or a string, as on Windows.
        let name = unsafe { c_string(name) };
        keep(look_up::host_by_name(name)?)
    })
}

/// Windows: gethostbyaddr.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ssl_wce_gethostbyaddr(
    address: *const c_char,
    length: i32,
    family: i32,
) -> *mut HostEntry {
    shim!(ssl_wce_gethostbyaddr, std::ptr::null_mut(), {
        let size = usize::try_from(length).unwrap_or(0);
        if address.is_null() {
            return Err(fault("the address is NULL"));
        }
        // SAFETY: not NULL; readable for `length` bytes as the caller promises.
        let bytes = unsafe { memory::bytes(address.cast(), size, "the address")? };
        let address = match family {
            libc::AF_INET => bytes.first_chunk::<4>().map(|&octets| Ipv4Addr::from(octets).into()),
            libc::AF_INET6 => {
                bytes.first_chunk::<16>().map(|&octets| Ipv6Addr::from(octets).into())
            }
            _ => {
                return Err(failure(
                    WSAEAFNOSUPPORT,
                    format!("gethostbyaddr: {family} is neither AF_INET nor AF_INET6"),
                ));
            }
        };
        let address = address.ok_or_else(|| fault("the address is too short for its family"))?;
        keep(look_up::host_by_address(address)?)
    })
}

/// Windows: gethostname. `size` is an int to the program.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ssl_wce_gethostname(name: *mut c_char, size: isize) -> i32 {
    shim!(ssl_wce_gethostname, -1, {
        let own = host_name();
        let bytes = own.to_bytes_with_nul();
        if name.is_null() || usize::try_from(size).unwrap_or(0) < bytes.len() {
            return Err(fault("gethostname: there is no buffer, or it is too small"));
        }
        // SAFETY: not NULL; writable for `size` bytes as the caller promises, which are enough.
        unsafe { std::ptr::copy_nonoverlapping(bytes.as_ptr(), name.cast(), bytes.len()) };
        Ok(0)
    })
}

/// Windows: inet_addr. The thread's last error stays as it is.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ssl_wce_inet_addr(text: *const c_char) -> u32 {
    shim!(ssl_wce_inet_addr, INADDR_NONE, {
        // SAFETY: NULL or a string, as on Windows.
        Ok(unsafe { c_string(text) }.map_or(INADDR_NONE, look_up::inet_addr))
    })
}

/// Windows: inet_ntoa.
#[unsafe(no_mangle)]
pub extern "C" fn ssl_wce_inet_ntoa(address: InAddr) -> *mut c_char {
    shim!(ssl_wce_inet_ntoa, std::ptr::null_mut(), {
        let text = Ipv4Addr::from(u32::from_be(address.0)).to_string();
        let mut buffer = [0; DOTTED_SIZE];
        for (to, from) in buffer.iter_mut().zip(text.bytes()) {
            *to = from as c_char;
        }
        let kept = DOTTED.try_with(|kept| {
            kept.set(buffer);
            kept.as_ptr().cast()
        });
        kept.map_err(|_| thread_is_ending())
    })
}

const DOTTED_SIZE: usize = "255.255.255.255".len() + 1;

thread_local! {
    static DOTTED: Cell<[c_char; DOTTED_SIZE]> = const { Cell::new([0; DOTTED_SIZE]) };
    static HOSTS: Answers<KeptHost> = const { Answers::new() };
}

/// A host and all that it points to.
#[repr(C)]
struct KeptHost {
    entry: HostEntry,
    _name: Vec<c_char>,
    _aliases: Lines,
    /// Of the size of the longest kind, filled up with zeros: programs read an unsigned long, which
    /// has 64 bits here.
    _addresses: Vec<Padded>,
    _address_list: Vec<*mut c_char>,
}

#[repr(C, align(8))]
#[derive(Clone, Copy)]
struct Padded([u8; 16]);

fn keep(host: Host) -> Result<*mut HostEntry> {
    let mut name = text_of(&host.name);
    let mut aliases = Lines::new(&host.aliases);
    let mut addresses: Vec<Padded> = host.addresses.iter().map(|&host| padded(host)).collect();
    let mut address_list: Vec<*mut c_char> =
        addresses.iter_mut().map(|address| address.0.as_mut_ptr().cast()).collect();
    address_list.push(std::ptr::null_mut());
    let length = if host.family == libc::AF_INET6 { 16 } else { 4 };
    let entry = HostEntry {
        name: name.as_mut_ptr(),
        aliases: aliases.as_mut_ptr(),
        family: host.family as i16,
        length,
        addresses: address_list.as_mut_ptr(),
    };
    let kept = KeptHost {
        entry,
        _name: name,
        _aliases: aliases,
        _addresses: addresses,
        _address_list: address_list,
    };
    // The entry comes first.
    Answers::keep(&HOSTS, kept).map(<*mut KeptHost>::cast)
}

fn padded(host: IpAddr) -> Padded {
    let mut bytes = [0; 16];
    match host {
        IpAddr::V4(host) => bytes[..4].copy_from_slice(&host.octets()),
        IpAddr::V6(host) => bytes = host.octets(),
    }
    Padded(bytes)
}

fn fault(text: &str) -> Error {
    failure(WSAEFAULT, text)
}
