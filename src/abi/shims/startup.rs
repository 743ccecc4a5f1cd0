//! Windows: WSAStartup and WSACleanup.

use std::ffi::{c_char, c_void};

use super::boundary::shim;
use super::memory;
use super::sockets::SOCKET_ERROR;
use crate::abi::boundary;
use crate::winsock::{error, startup};

/// Windows: WSADATA, in the order of 32-bit systems.
#[repr(C)]
pub struct Data {
    version: u16,
    highest_version: u16,
    description: [u8; 257],
    status: [u8; 129],
    max_sockets: u16,
    max_datagram: u16,
    vendor: *const c_char,
}

/// Windows: WSAStartup, which answers the error number itself.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ssl_wce_startup(version: u16, data: *mut Data) -> i32 {
    let outcome = boundary::run("ssl_wce_startup", || {
        boundary::injection_point("ssl_wce_startup");
        let mut filled = Data {
            version: startup::VERSION,
            highest_version: startup::VERSION,
            description: [0; 257],
            status: [0; 129],
            max_sockets: i16::MAX.cast_unsigned(),
            // What an IPv4 datagram has room for.
            max_datagram: 65507,
            vendor: std::ptr::null(),
        };
        filled.description.iter_mut().zip(b"sslsock").for_each(|(to, from)| *to = *from);
        filled.status.iter_mut().zip(b"Running").for_each(|(to, from)| *to = *from);
        // SAFETY: as Windows demands it.
        unsafe { give(data, &filled) }?;
        filled.version = startup::start(version)?;
        // SAFETY: as Windows demands it.
        unsafe { give(data, &filled) }
    });
    outcome.map_or_else(|error| error::number(&error), |()| 0)
}

/// Windows: WSACleanup. Sockets stay as they are.
#[unsafe(no_mangle)]
pub extern "C" fn ssl_wce_cleanup() -> i32 {
    shim!(ssl_wce_cleanup, SOCKET_ERROR, {
        startup::clean_up()?;
        Ok(0)
    })
}

/// # Safety
/// As [`memory::copy_out`].
unsafe fn give(data: *mut Data, filled: &Data) -> crate::error::Result<()> {
    let fields: [(usize, &[u8]); 7] = [
        (std::mem::offset_of!(Data, version), &filled.version.to_ne_bytes()),
        (std::mem::offset_of!(Data, highest_version), &filled.highest_version.to_ne_bytes()),
        (std::mem::offset_of!(Data, description), &filled.description),
        (std::mem::offset_of!(Data, status), &filled.status),
        (std::mem::offset_of!(Data, max_sockets), &filled.max_sockets.to_ne_bytes()),
        (std::mem::offset_of!(Data, max_datagram), &filled.max_datagram.to_ne_bytes()),
        (std::mem::offset_of!(Data, vendor), &filled.vendor.addr().to_ne_bytes()),
    ];
    for (offset, bytes) in fields {
        let at = data.cast::<u8>().wrapping_add(offset).cast::<c_void>();
        // SAFETY: as the caller promises; NULL with an offset is nothing that the kernel writes to.
        unsafe { memory::copy_out(at, bytes, "lpWSAData") }?;
    }
    Ok(())
}
