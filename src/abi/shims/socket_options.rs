//! Windows: setsockopt, getsockopt, ioctlsocket and WSAIoctl.

use std::ffi::{c_long, c_ulong, c_void};

use super::boundary::shim;
use super::memory;
use super::sockets::{Number, SOCKET_ERROR};
use crate::abi::boundary;
use crate::abi::types::ssl_socket;
use crate::abi::windows_ce;
use crate::error::{Error, Result};
use crate::winsock::control::{self, Command};
use crate::winsock::error::{self, failure};
use crate::winsock::{self, socket_options, sockets};

/// Windows: setsockopt.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ssl_wce_setsockopt(
    s: Number,
    level: i32,
    name: i32,
    value: *const c_void,
    length: i32,
) -> i32 {
    // What there is to an option; some programs give the size of something larger.
    const LONGEST: i32 = 64;
    shim!(ssl_wce_setsockopt, SOCKET_ERROR, {
        let number = sockets::checked_descriptor(s)?;
        // SAFETY: as Windows demands it.
        let value = unsafe { memory::copy_in(value, length.min(LONGEST), "the option's value") }?;
        socket_options::set(number, level, name, &value)?;
        Ok(0)
    })
}

/// Windows: getsockopt.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ssl_wce_getsockopt(
    s: Number,
    level: i32,
    name: i32,
    value: *mut c_void,
    length: *mut i32,
) -> i32 {
    shim!(ssl_wce_getsockopt, SOCKET_ERROR, {
        let number = sockets::checked_descriptor(s)?;
        // SAFETY: as Windows demands it.
        let capacity = unsafe { memory::length_at(length, "the length of the option") }?;
        if value.is_null() {
            return Err(failure(error::WSAEFAULT, "the buffer for the option is NULL"));
        }
        let found = socket_options::get(number, level, name, capacity)?;
        // SAFETY: as Windows demands it.
        unsafe {
            memory::copy_out(value, &found, "the option's value")?;
            memory::copy_out(length.cast(), &(found.len() as i32).to_ne_bytes(), "its length")?;
        }
        Ok(0)
    })
}

/// Windows: ioctlsocket, with an argument of 32 bits.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ssl_wce_ioctlsocket(s: Number, code: c_long, argument: *mut u32) -> i32 {
    shim!(ssl_wce_ioctlsocket, SOCKET_ERROR, {
        // SAFETY: as Windows demands it.
        unsafe { control_socket(s, code, argument.cast(), size_of::<u32>()) }
    })
}

/// The same with an argument of as many bits as a long has.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ssl_wce_ioctlsocket_long(
    s: Number,
    code: c_long,
    argument: *mut c_ulong,
) -> i32 {
    shim!(ssl_wce_ioctlsocket_long, SOCKET_ERROR, {
        // SAFETY: as Windows demands it.
        unsafe { control_socket(s, code, argument.cast(), size_of::<c_ulong>()) }
    })
}

/// Windows: WSAIoctl. FIONBIO, FIONREAD, SIOCATMARK, and on secure sockets the SO_SSL_* codes.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ssl_wce_wsa_ioctl(
    s: Number,
    code: u32,
    input: *const c_void,
    input_length: u32,
    output: *mut c_void,
    output_length: u32,
    returned: *mut u32,
    overlapped: *const c_void,
    routine: *const c_void,
) -> i32 {
    const NAME: &str = "ssl_wce_wsa_ioctl";
    shim!(ssl_wce_wsa_ioctl, SOCKET_ERROR, {
        let number = sockets::checked_descriptor(s)?;
        if !overlapped.is_null() || !routine.is_null() {
            let error = failure(error::WSAEOPNOTSUPP, "overlapped operations are not supported");
            return Err(winsock::refuse(number, code, error));
        }
        match control::command(code) {
            Some(command) => {
                let input = Argument { at: input.cast_mut(), length: input_length as usize };
                let output = Argument { at: output, length: output_length as usize };
                // SAFETY: as Windows demands it.
                let written = unsafe { run(number, command, &input, &output) }?;
                if !returned.is_null() {
                    let written = (written as u32).to_ne_bytes();
                    // SAFETY: as Windows demands it.
                    unsafe { memory::copy_out(returned.cast(), &written, "lpcbBytesReturned") }?;
                }
            }
            None if !winsock::is_known(code) => return Err(control::unknown(code)),
            None => {
                let handle = sockets::handle(number)
                    .ok_or_else(|| winsock::refuse(number, code, not_secure()))?;
                if winsock::is_upgrade(code) {
                    sockets::refuse_explicit(&handle)?;
                }
                let handle = handle.token().raw() as *mut ssl_socket;
                // SAFETY: as Windows demands it.
                boundary::change(NAME, handle, |socket| unsafe {
                    windows_ce::control(
                        socket,
                        code,
                        (input, input_length),
                        (output, output_length),
                        returned,
                    )
                })?;
            }
        }
        Ok(0)
    })
}

/// An argument of the program's and its size.
struct Argument {
    at: *mut c_void,
    length: usize,
}

/// # Safety
/// As [`run`].
unsafe fn control_socket(
    s: Number,
    code: c_long,
    argument: *mut c_void,
    length: usize,
) -> Result<i32> {
    let number = sockets::checked_descriptor(s)?;
    // FIONBIO is a negative number in a long of 32 bits.
    let code = code as u32;
    let command = control::command(code).ok_or_else(|| control::unknown(code))?;
    let argument = Argument { at: argument, length };
    // SAFETY: as the caller promises.
    unsafe { run(number, command, &argument, &argument) }?;
    Ok(0)
}

/// How many bytes of the output have been written.
///
/// # Safety
/// As [`memory::copy_in`] and [`memory::copy_out`].
unsafe fn run(number: i32, command: Command, input: &Argument, output: &Argument) -> Result<usize> {
    const WHOLE: usize = size_of::<u64>();
    let sized = |argument: &Argument| match argument.length {
        0..4 => Err(failure(error::WSAEFAULT, "the buffer is too small: 4 bytes are needed")),
        4..WHOLE => Ok(4),
        _ => Ok(WHOLE),
    };
    let argument = match command {
        Command::SetNonBlocking => {
            // SAFETY: as the caller promises.
            let bytes = unsafe { memory::copy_in(input.at, sized(input)? as i32, "the argument") }?;
            bytes.iter().any(|&byte| byte != 0)
        }
        Command::CountReadable | Command::AskForMark => {
            sized(output)?;
            false
        }
    };
    match control::run(number, command, argument)? {
        None => Ok(0),
        Some(answer) => {
            let length = sized(output)?;
            let low = answer.to_ne_bytes();
            let whole = u64::from(answer).to_ne_bytes();
            let answer = if length == WHOLE { &whole[..] } else { &low[..] };
            // SAFETY: as the caller promises.
            unsafe { memory::copy_out(output.at, answer, "the argument") }?;
            Ok(length)
        }
    }
}

fn not_secure() -> Error {
    failure(
        error::WSAEOPNOTSUPP,
        "the socket is not secure: set SO_SECURE to SO_SEC_SSL before it is connected",
    )
}
