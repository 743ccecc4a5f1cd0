//! Names, addresses, services and protocols, as the system looks them up. No lock is held here
//! while it does; some of the calls ask servers and take long.

use std::ffi::{CStr, CString, c_char, c_int};
use std::net::Ipv4Addr;
use std::ptr;

use super::address::Address;
use super::identity::last_errno;

/// What a look-up wants; the system's numbers.
#[derive(Clone, Copy, Default)]
pub struct Hints {
    pub flags: i32,
    pub family: i32,
    pub socket_type: i32,
    pub protocol: i32,
}

/// One address found.
pub struct Found {
    pub family: i32,
    pub socket_type: i32,
    pub protocol: i32,
    pub address: Address,
    pub canonical_name: Option<CString>,
}

/// Why a look-up failed: one of the system's EAI_ numbers; with EAI_SYSTEM the errno.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Failure {
    pub number: i32,
    pub errno: i32,
}

pub struct Service {
    pub name: CString,
    pub aliases: Vec<CString>,
    pub port: u16,
    pub protocol: CString,
}

pub struct Protocol {
    pub name: CString,
    pub aliases: Vec<CString>,
    pub number: i32,
}

/// `getaddrinfo`.
pub fn look_up(
    name: Option<&CStr>,
    service: Option<&CStr>,
    hints: Option<Hints>,
) -> Result<Vec<Found>, Failure> {
    // SAFETY: a structure of numbers and pointers, for which zeros are nothing and NULL.
    let mut wanted: libc::addrinfo = unsafe { std::mem::zeroed() };
    if let Some(hints) = hints {
        wanted.ai_flags = hints.flags;
        wanted.ai_family = hints.family;
        wanted.ai_socktype = hints.socket_type;
        wanted.ai_protocol = hints.protocol;
    }
    let mut list: *mut libc::addrinfo = ptr::null_mut();
    // SAFETY: the strings end with a NUL, `wanted` and `list` outlive the call.
    let outcome = unsafe {
        libc::getaddrinfo(
            name.map_or(ptr::null(), CStr::as_ptr),
            service.map_or(ptr::null(), CStr::as_ptr),
            if hints.is_some() { &wanted } else { ptr::null() },
            &mut list,
        )
    };
    check(outcome)?;
    let mut found = Vec::new();
    let mut next = list;
    while !next.is_null() {
        // SAFETY: an entry of the list, which is freed below.
        let entry = unsafe { &*next };
        if !entry.ai_addr.is_null() {
            // SAFETY: the entry's address has this length.
            let bytes = unsafe {
                std::slice::from_raw_parts(entry.ai_addr.cast::<u8>(), entry.ai_addrlen as usize)
            };
            found.push(Found {
                family: entry.ai_family,
                socket_type: entry.ai_socktype,
                protocol: entry.ai_protocol,
                address: Address::new(bytes.to_vec()),
                canonical_name: owned(entry.ai_canonname),
            });
        }
        next = entry.ai_next;
    }
    if !list.is_null() {
        // SAFETY: from getaddrinfo, freed once; nothing points into it any more.
        unsafe { libc::freeaddrinfo(list) };
    }
    Ok(found)
}

/// `getnameinfo`: the host's name and the service's, as far as they are wanted.
pub fn names_of(
    address: &Address,
    wants_host: bool,
    wants_service: bool,
    flags: i32,
) -> Result<(CString, CString), Failure> {
    const HOST_SIZE: usize = 1025;
    const SERVICE_SIZE: usize = 256;
    let mut host: [c_char; HOST_SIZE] = [0; HOST_SIZE];
    let mut service: [c_char; SERVICE_SIZE] = [0; SERVICE_SIZE];
    let bytes = address.bytes();
    // SAFETY: all pointers come with the sizes of what they point to.
    let outcome = unsafe {
        libc::getnameinfo(
            bytes.as_ptr().cast(),
            bytes.len() as libc::socklen_t,
            if wants_host { host.as_mut_ptr() } else { ptr::null_mut() },
            if wants_host { HOST_SIZE as libc::socklen_t } else { 0 },
            if wants_service { service.as_mut_ptr() } else { ptr::null_mut() },
            if wants_service { SERVICE_SIZE as libc::socklen_t } else { 0 },
            flags,
        )
    };
    check(outcome)?;
    Ok((
        owned(host.as_mut_ptr()).unwrap_or_default(),
        owned(service.as_mut_ptr()).unwrap_or_default(),
    ))
}

/// This machine's name.
pub fn host_name() -> CString {
    const SIZE: usize = 256;
    let mut name: [c_char; SIZE] = [0; SIZE];
    // SAFETY: one less than the size, so that there is a NUL at the end whatever happens.
    unsafe { libc::gethostname(name.as_mut_ptr(), SIZE - 1) };
    owned(name.as_mut_ptr()).unwrap_or_default()
}

/// The IPv4 addresses of the interfaces that are up; those of loopback if there are no others.
pub fn interface_addresses() -> Vec<Ipv4Addr> {
    let mut list: *mut libc::ifaddrs = ptr::null_mut();
    // SAFETY: `list` outlives the call.
    if unsafe { libc::getifaddrs(&mut list) } != 0 {
        return Vec::new();
    }
    let mut found = Vec::new();
    let mut next = list;
    while !next.is_null() {
        // SAFETY: an entry of the list, which is freed below.
        let entry = unsafe { &*next };
        // SAFETY: NULL, or an address of at least its family.
        let family = unsafe { entry.ifa_addr.as_ref() }.map(|address| address.sa_family);
        let is_up = entry.ifa_flags & libc::IFF_UP as u32 != 0;
        if is_up && family == Some(libc::AF_INET as libc::sa_family_t) {
            // SAFETY: an address of this family has this type.
            let address = unsafe { entry.ifa_addr.cast::<libc::sockaddr_in>().read_unaligned() };
            found.push(Ipv4Addr::from(u32::from_be(address.sin_addr.s_addr)));
        }
        next = entry.ifa_next;
    }
    // SAFETY: from getifaddrs, freed once; nothing points into it any more.
    unsafe { libc::freeifaddrs(list) };
    if found.iter().any(|address| !address.is_loopback()) {
        found.retain(|address| !address.is_loopback());
    }
    found
}

/// The address in dotted form with one to four numbers, decimal, octal or hexadecimal.
pub fn dotted(text: &CStr) -> Option<u32> {
    let mut address = libc::in_addr { s_addr: 0 };
    // SAFETY: a string that ends with a NUL, and an address to write.
    (unsafe { inet_aton(text.as_ptr(), &mut address) } != 0).then_some(address.s_addr)
}

/// A service by its name, whatever its protocol if that is not given.
pub fn service_by_name(name: &CStr, protocol: Option<&CStr>) -> Option<Service> {
    let protocol = protocol.map_or(ptr::null(), CStr::as_ptr);
    entry(|result, buffer, size, found| {
        // SAFETY: strings that end with a NUL, and a buffer with its size.
        unsafe { getservbyname_r(name.as_ptr(), protocol, result, buffer, size, found) }
    })
    .map(|(entry, _buffer)| service(&entry))
}

pub fn service_by_port(port: u16, protocol: Option<&CStr>) -> Option<Service> {
    let protocol = protocol.map_or(ptr::null(), CStr::as_ptr);
    entry(|result, buffer, size, found| {
        // SAFETY: NULL or a string that ends with a NUL, and a buffer with its size.
        unsafe { getservbyport_r(port.to_be().into(), protocol, result, buffer, size, found) }
    })
    .map(|(entry, _buffer)| service(&entry))
}

pub fn protocol_by_name(name: &CStr) -> Option<Protocol> {
    entry(|result, buffer, size, found| {
        // SAFETY: a string that ends with a NUL, and a buffer with its size.
        unsafe { getprotobyname_r(name.as_ptr(), result, buffer, size, found) }
    })
    .map(|(entry, _buffer)| protocol(&entry))
}

pub fn protocol_by_number(number: i32) -> Option<Protocol> {
    entry(|result, buffer, size, found| {
        // SAFETY: a buffer with its size.
        unsafe { getprotobynumber_r(number, result, buffer, size, found) }
    })
    .map(|(entry, _buffer)| protocol(&entry))
}

/// A structure that points into the buffer beside it, filled by one of the `_r` functions.
fn entry<T>(
    call: impl Fn(*mut T, *mut c_char, usize, *mut *mut T) -> c_int,
) -> Option<(T, Vec<c_char>)> {
    const LARGEST: usize = 1 << 20;
    let mut size = 1024;
    while size <= LARGEST {
        let mut buffer: Vec<c_char> = vec![0; size];
        let mut result = std::mem::MaybeUninit::<T>::uninit();
        let mut found = ptr::null_mut();
        match call(result.as_mut_ptr(), buffer.as_mut_ptr(), size, &mut found) {
            // SAFETY: `found` says that `result` has been filled.
            0 if !found.is_null() => return Some((unsafe { result.assume_init() }, buffer)),
            libc::ERANGE => size *= 4,
            _ => return None,
        }
    }
    None
}

fn service(entry: &libc::servent) -> Service {
    Service {
        name: owned(entry.s_name).unwrap_or_default(),
        aliases: strings(entry.s_aliases),
        port: u16::from_be(entry.s_port as u16),
        protocol: owned(entry.s_proto).unwrap_or_default(),
    }
}

fn protocol(entry: &libc::protoent) -> Protocol {
    Protocol {
        name: owned(entry.p_name).unwrap_or_default(),
        aliases: strings(entry.p_aliases),
        number: entry.p_proto,
    }
}

fn strings(mut list: *mut *mut c_char) -> Vec<CString> {
    let mut strings = Vec::new();
    // SAFETY: NULL, or a list of strings of the system's that ends with NULL.
    while let Some(string) = unsafe { list.as_ref() }.and_then(|&string| owned(string)) {
        strings.push(string);
        // SAFETY: the entry was not the last.
        list = unsafe { list.add(1) };
    }
    strings
}

fn owned(string: *mut c_char) -> Option<CString> {
    // SAFETY: NULL, or a string of the system's that ends with a NUL.
    (!string.is_null()).then(|| unsafe { CStr::from_ptr(string) }.to_owned())
}

fn check(outcome: c_int) -> Result<(), Failure> {
    match outcome {
        0 => Ok(()),
        number => {
            let errno = if number == libc::EAI_SYSTEM { last_errno() } else { 0 };
            Err(Failure { number, errno })
        }
    }
}

// The libc crate does not have them.
/// cbindgen:ignore
#[allow(unused_doc_comments)]
unsafe extern "C" {
    fn inet_aton(text: *const c_char, address: *mut libc::in_addr) -> c_int;
    fn getservbyname_r(
        name: *const c_char,
        protocol: *const c_char,
        result: *mut libc::servent,
        buffer: *mut c_char,
        size: usize,
        found: *mut *mut libc::servent,
    ) -> c_int;
    fn getservbyport_r(
        port: c_int,
        protocol: *const c_char,
        result: *mut libc::servent,
        buffer: *mut c_char,
        size: usize,
        found: *mut *mut libc::servent,
    ) -> c_int;
    fn getprotobyname_r(
        name: *const c_char,
        result: *mut libc::protoent,
        buffer: *mut c_char,
        size: usize,
        found: *mut *mut libc::protoent,
    ) -> c_int;
    fn getprotobynumber_r(
        number: c_int,
        result: *mut libc::protoent,
        buffer: *mut c_char,
        size: usize,
        found: *mut *mut libc::protoent,
    ) -> c_int;
}
