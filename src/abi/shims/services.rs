//! Windows: getservbyname, getprotobyname and their opposites, whose answers belong to the calling
//! thread.

use std::ffi::c_char;

use super::boundary::shim;
use super::strings::{Answers, Lines, c_string, needed, text_of};
use crate::error::Result;
use crate::sys::look_up::{Protocol, Service};
use crate::winsock::look_up;

/// What `include/wince/sslsock_wce/hosts.h` calls `servent`.
#[repr(C)]
pub struct ServiceEntry {
    name: *mut c_char,
    aliases: *mut *mut c_char,
    /// In network order.
    port: i16,
    protocol: *mut c_char,
}

/// What it calls `protoent`.
#[repr(C)]
pub struct ProtocolEntry {
    name: *mut c_char,
    aliases: *mut *mut c_char,
    number: i16,
}

/// Windows: getservbyname. `protocol` may be NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ssl_wce_getservbyname(
    name: *const c_char,
    protocol: *const c_char,
) -> *mut ServiceEntry {
    shim!(ssl_wce_getservbyname, std::ptr::null_mut(), {
        // SAFETY: NULL or strings, as on Windows.
        let (name, protocol) = unsafe { (needed(name, "the service")?, c_string(protocol)) };
        keep_service(&look_up::service_by_name(name, protocol)?)
    })
}

/// Windows: getservbyport. `port` is in network order; `protocol` may be NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ssl_wce_getservbyport(
    port: i32,
    protocol: *const c_char,
) -> *mut ServiceEntry {
    shim!(ssl_wce_getservbyport, std::ptr::null_mut(), {
        // SAFETY: NULL or a string, as on Windows.
        let protocol = unsafe { c_string(protocol) };
        keep_service(&look_up::service_by_port(u16::from_be(port as u16), protocol)?)
    })
}

/// Windows: getprotobyname.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ssl_wce_getprotobyname(name: *const c_char) -> *mut ProtocolEntry {
    shim!(ssl_wce_getprotobyname, std::ptr::null_mut(), {
        // SAFETY: NULL or a string, as on Windows.
        let name = unsafe { needed(name, "the protocol")? };
        keep_protocol(&look_up::protocol_by_name(name)?)
    })
}

/// Windows: getprotobynumber.
#[unsafe(no_mangle)]
pub extern "C" fn ssl_wce_getprotobynumber(number: i32) -> *mut ProtocolEntry {
    shim!(ssl_wce_getprotobynumber, std::ptr::null_mut(), {
        keep_protocol(&look_up::protocol_by_number(number)?)
    })
}

thread_local! {
    static SERVICES: Answers<KeptService> = const { Answers::new() };
    static PROTOCOLS: Answers<KeptProtocol> = const { Answers::new() };
}

/// A service and all that it points to.
#[repr(C)]
struct KeptService {
    entry: ServiceEntry,
    _name: Vec<c_char>,
    _aliases: Lines,
    _protocol: Vec<c_char>,
}

#[repr(C)]
struct KeptProtocol {
    entry: ProtocolEntry,
    _name: Vec<c_char>,
    _aliases: Lines,
}

fn keep_service(service: &Service) -> Result<*mut ServiceEntry> {
    let mut name = text_of(&service.name);
    let mut aliases = Lines::new(&service.aliases);
    let mut protocol = text_of(&service.protocol);
    let entry = ServiceEntry {
        name: name.as_mut_ptr(),
        aliases: aliases.as_mut_ptr(),
        port: service.port.to_be() as i16,
        protocol: protocol.as_mut_ptr(),
    };
    let kept = KeptService { entry, _name: name, _aliases: aliases, _protocol: protocol };
    // The entry comes first.
    Answers::keep(&SERVICES, kept).map(<*mut KeptService>::cast)
}

fn keep_protocol(protocol: &Protocol) -> Result<*mut ProtocolEntry> {
    let mut name = text_of(&protocol.name);
    let mut aliases = Lines::new(&protocol.aliases);
    let entry = ProtocolEntry {
        name: name.as_mut_ptr(),
        aliases: aliases.as_mut_ptr(),
        number: protocol.number as i16,
    };
    let kept = KeptProtocol { entry, _name: name, _aliases: aliases };
    Answers::keep(&PROTOCOLS, kept).map(<*mut KeptProtocol>::cast)
}
