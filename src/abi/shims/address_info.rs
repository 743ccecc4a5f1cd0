//! Windows: getaddrinfo, freeaddrinfo, getnameinfo, gai_strerror.

use std::cell::Cell;
use std::ffi::{CStr, c_char};

use super::boundary::shim;
use super::strings::{c_string, text_of, thread_is_ending};
use crate::abi::memory;
use crate::error::Result;
use crate::sys::address::Address;
use crate::sys::look_up::{Found, Hints};
use crate::winsock::error::{self, WSAEFAULT, WSAHOST_NOT_FOUND, failure};
use crate::winsock::look_up;

/// What `include/wince/ws2tcpip.h` calls `addrinfo`.
#[repr(C)]
pub struct AddressInfo {
    flags: i32,
    family: i32,
    socket_type: i32,
    protocol: i32,
    length: usize,
    canonical_name: *mut c_char,
    address: *mut libc::sockaddr,
    next: *mut AddressInfo,
}

/// One of them and all that it points to, but for the next one. Freed as it was made: as a box.
#[repr(C)]
struct Entry {
    info: AddressInfo,
    address: AddressRoom,
    _canonical_name: Option<Vec<c_char>>,
}

#[repr(C, align(8))]
struct AddressRoom([u8; ROOM]);

const ROOM: usize = size_of::<libc::sockaddr_storage>();

/// Windows: getaddrinfo. The answer is 0 or the thread's last error.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ssl_wce_getaddrinfo(
    name: *const c_char,
    service: *const c_char,
    hints: *const AddressInfo,
    result: *mut *mut AddressInfo,
) -> i32 {
    answer(shim!(ssl_wce_getaddrinfo, false, {
        check(result, "the result")?;
        // SAFETY: checked; writable as the caller promises.
        unsafe { result.write(std::ptr::null_mut()) };
        let hints = if hints.is_null() {
            None
        } else {
            check(hints, "hints")?;
            // SAFETY: not NULL and aligned; readable as the caller promises.
            let hints = unsafe { &*hints };
            Some(Hints {
                flags: hints.flags,
                family: hints.family,
                socket_type: hints.socket_type,
                protocol: hints.protocol,
            })
        };
        // SAFETY: NULL or strings, as on Windows.
        let (name, service) = unsafe { (c_string(name), c_string(service)) };
        let found = look_up::addresses(name, service, hints)?;
        let flags = hints.map_or(0, |hints| hints.flags);
        // From the last to the first, each with what comes after it.
        let first = found
            .into_iter()
            .rfold(std::ptr::null_mut(), |next, found| make_entry(found, flags, next));
        // SAFETY: as above.
        unsafe { result.write(first) };
        Ok(true)
    }))
}

/// Windows: freeaddrinfo. The list, or the rest of it from one entry on; NULL is nothing.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ssl_wce_freeaddrinfo(list: *mut AddressInfo) {
    shim!(ssl_wce_freeaddrinfo, (), {
        let mut next = list;
        while !next.is_null() {
            // SAFETY: made by ssl_wce_getaddrinfo and not freed yet, as the caller promises.
            next = unsafe { Box::from_raw(next.cast::<Entry>()) }.info.next;
        }
        Ok(())
    });
}

/// Windows: getnameinfo. The answer is 0 or the thread's last error.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ssl_wce_getnameinfo(
    address: *const libc::sockaddr,
    length: i32,
    host: *mut c_char,
    host_size: u32,
    service: *mut c_char,
    service_size: u32,
    flags: i32,
) -> i32 {
    answer(shim!(ssl_wce_getnameinfo, false, {
        let size = usize::try_from(length).unwrap_or(0);
        if address.is_null() || size < size_of::<libc::sa_family_t>() {
            return Err(failure(WSAEFAULT, "getnameinfo: there is no address, or it is too short"));
        }
        // SAFETY: not NULL; readable for `length` bytes as the caller promises.
        let bytes = unsafe { memory::bytes(address.cast(), size, "the address")? };
        let wants_host = !host.is_null() && host_size > 0;
        let wants_service = !service.is_null() && service_size > 0;
        if !wants_host && !wants_service {
            return Err(failure(WSAHOST_NOT_FOUND, "getnameinfo: neither name is wanted"));
        }
        let address = Address::new(bytes.to_vec());
        let (host_name, service_name) =
            look_up::names_of(&address, wants_host, wants_service, flags)?;
        if wants_host {
            // SAFETY: writable for as many bytes, as the caller promises.
            unsafe { give(&host_name, host, host_size, "the host")? };
        }
        if wants_service {
            // SAFETY: as above.
            unsafe { give(&service_name, service, service_size, "the service")? };
        }
        Ok(true)
    }))
}

/// Windows: gai_strerrorA.
#[unsafe(no_mangle)]
pub extern "C" fn ssl_wce_gai_strerror_a(number: i32) -> *mut c_char {
    shim!(ssl_wce_gai_strerror_a, std::ptr::null_mut(), {
        Ok(look_up::text(number).as_ptr().cast_mut())
    })
}

/// Windows: gai_strerrorW.
#[unsafe(no_mangle)]
pub extern "C" fn ssl_wce_gai_strerror_w(number: i32) -> *mut libc::wchar_t {
    shim!(ssl_wce_gai_strerror_w, std::ptr::null_mut(), {
        let mut wide = [0; WIDE_SIZE];
        let text = look_up::text(number).to_bytes();
        for (to, &from) in wide.iter_mut().take(WIDE_SIZE - 1).zip(text) {
            *to = libc::wchar_t::from(from);
        }
        let kept = WIDE.try_with(|kept| {
            kept.set(wide);
            kept.as_ptr().cast()
        });
        kept.map_err(|_| thread_is_ending())
    })
}

/// More than the longest text has.
const WIDE_SIZE: usize = 80;

thread_local! {
    static WIDE: Cell<[libc::wchar_t; WIDE_SIZE]> = const { Cell::new([0; WIDE_SIZE]) };
}

fn make_entry(found: Found, flags: i32, next: *mut AddressInfo) -> *mut AddressInfo {
    let bytes = found.address.bytes();
    let mut address = AddressRoom([0; ROOM]);
    for (to, &from) in address.0.iter_mut().zip(bytes) {
        *to = from;
    }
    let mut canonical_name = found.canonical_name.as_deref().map(text_of);
    let info = AddressInfo {
        flags,
        family: found.family,
        socket_type: found.socket_type,
        protocol: found.protocol,
        length: bytes.len().min(ROOM),
        canonical_name: canonical_name.as_mut().map_or(std::ptr::null_mut(), Vec::as_mut_ptr),
        address: std::ptr::null_mut(),
        next,
    };
    let entry = Box::into_raw(Box::new(Entry { info, address, _canonical_name: canonical_name }));
    // SAFETY: just made, and nobody else has it.
    unsafe { (*entry).info.address = (&raw mut (*entry).address).cast() };
    entry.cast()
}

/// # Safety
/// `buffer` is writable for `size` bytes.
unsafe fn give(text: &CStr, buffer: *mut c_char, size: u32, what: &str) -> Result<()> {
    let bytes = text.to_bytes_with_nul();
    if bytes.len() > size as usize {
        return Err(failure(
            WSAEFAULT,
            format!("getnameinfo: {what} needs {} bytes, there are {size}", bytes.len()),
        ));
    }
    // SAFETY: as the caller promises; the text fits.
    unsafe { std::ptr::copy_nonoverlapping(bytes.as_ptr(), buffer.cast(), bytes.len()) };
    Ok(())
}

fn check<T>(pointer: *const T, what: &str) -> Result<()> {
    memory::check_target(pointer, what).map_err(|error| failure(WSAEFAULT, error.text))
}

/// The result of functions that answer what WSAGetLastError does.
fn answer(worked: bool) -> i32 {
    if worked { 0 } else { error::last() }
}
