//! What can be asked of a handle.

use std::ffi::{c_char, c_void};

use super::boundary::{entry, status};
use super::constants::{
    SSL_ADDRESS_LOCAL, SSL_ADDRESS_PEER, SSL_DATAPATH_EXPLICIT, SSL_TEXT_EXPECTED, SSL_TEXT_ISSUER,
    SSL_TEXT_PRESENTED, SSL_TEXT_SUBJECT, SSL_TEXT_SUMMARY, datapath,
};
use super::memory;
use super::types::{ssl_session_info, ssl_socket, ssl_verify_report};
use crate::error::{Code, Error};
use crate::socket::{Channel, Verdict};
use crate::verify::report::Report;

/// Writes to `fd` a duplicate of the real connection, for setsockopt, getsockopt and poll. The
/// caller closes it. Do not read or write it: what travels there is TLS. Before the first call of
/// ssl_perform_handshake it is a duplicate like any other, and is upgraded with them: ask for it
/// after that.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ssl_get_transport_fd(s: *mut ssl_socket, fd: *mut i32) -> i32 {
    status(entry!(ssl_get_transport_fd, look s, |socket| {
        use std::os::fd::IntoRawFd;
        memory::check_target(fd, "fd")?;
        let duplicate = socket.transport()?;
        // SAFETY: checked; writable as the header demands.
        unsafe { memory::write(fd, duplicate.into_raw_fd(), "fd") }
    }))
}

/// Writes an address of the real connection, as getpeername and getsockname did before the
/// upgrade: `which` is SSL_ADDRESS_PEER or SSL_ADDRESS_LOCAL. `*len` is the capacity of
/// `sockaddr` and becomes the address's length; if it does not fit: SSL_ERR_BUFFER.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ssl_get_address(
    s: *mut ssl_socket,
    which: u32,
    sockaddr: *mut c_void,
    len: *mut u32,
) -> i32 {
    status(entry!(ssl_get_address, look s, |socket| {
        memory::check_target(len, "len")?;
        let address = match which {
            SSL_ADDRESS_PEER => socket.address(true)?,
            SSL_ADDRESS_LOCAL => socket.address(false)?,
            _ => {
                return Err(Error::new(
                    Code::INVALID,
                    "`which` is neither SSL_ADDRESS_PEER nor SSL_ADDRESS_LOCAL",
                ));
            }
        };
        // SAFETY: checked; readable as the header demands.
        let capacity = unsafe { len.read() } as usize;
        let mut needed = 0;
        // SAFETY: `sockaddr` is NULL or writable for `*len` bytes as the header demands.
        let outcome =
            unsafe { memory::copy_out(address.bytes(), sockaddr.cast(), capacity, &mut needed) };
        if needed > 0 {
            // SAFETY: checked; no address is longer than a sockaddr_storage.
            unsafe { len.write(needed as u32) };
        }
        outcome
    }))
}

/// Writes what was agreed in the handshake. SSL_ERR_STATE before its end.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ssl_get_session_info(
    s: *mut ssl_socket,
    info: *mut ssl_session_info,
) -> i32 {
    status(entry!(ssl_get_session_info, look s, |socket| {
        let (session, channel) = socket.session()?;
        let mut alpn = [0; 256];
        let alpn_len = session.alpn.len().min(255);
        alpn[..alpn_len].copy_from_slice(&session.alpn[..alpn_len]);
        let value = ssl_session_info {
            size: size_of::<ssl_session_info>() as u32,
            datapath: match channel {
                Channel::Explicit(_) => SSL_DATAPATH_EXPLICIT,
                Channel::Transparent(link) => datapath(link.kind()),
            },
            protocol: session.protocol,
            suite: session.suite,
            group: session.group,
            resumed: session.resumed.into(),
            alpn_len: alpn_len as u8,
            alpn,
            protocol_name: characters(session.protocol_name),
            suite_name: characters(&session.suite_name),
            group_name: characters(session.group_name),
        };
        // SAFETY: writable for the `size` in it as the header demands.
        unsafe { memory::write_sized(info, value, "info") }
    }))
}

/// Copies the name that the client has asked for (SNI), in a server. UTF-8, NUL-terminated; `*len`
/// becomes the length with the NUL; if it exceeds `capacity`: SSL_ERR_BUFFER. Empty if it did not
/// say. SSL_ERR_STATE before the end of the handshake and in a client.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ssl_get_server_name(
    s: *mut ssl_socket,
    buf: *mut c_char,
    capacity: usize,
    len: *mut usize,
) -> i32 {
    status(entry!(ssl_get_server_name, look s, |socket| {
        let (session, _) = socket.session()?;
        let name = session.server_name.ok_or_else(|| {
            Error::new(Code::STATE, "this is a client: ssl_get_server_name is for servers")
        })?;
        // SAFETY: writable as the header demands.
        unsafe { memory::copy_out_text(&name, buf, capacity, len) }
    }))
}

/// Copies certificate number `index` of the peer's chain, 0 being its own, in DER. See
/// ssl_verify_report.chain_len for how many there are; beyond: SSL_ERR_INVALID. `*len` becomes
/// the length; if it exceeds `capacity`: SSL_ERR_BUFFER. Also inside the certificate hook.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ssl_get_peer_certificate(
    s: *mut ssl_socket,
    index: u32,
    der: *mut c_void,
    capacity: usize,
    len: *mut usize,
) -> i32 {
    status(entry!(ssl_get_peer_certificate, look s, |socket| {
        let verification = socket.verification()?;
        let certificate = verification.report.chain.get(index as usize).ok_or_else(|| {
            Error::new(
                Code::INVALID,
                format!(
                    "there is no certificate {index}: the peer sent {}",
                    verification.report.chain.len()
                ),
            )
        })?;
        // SAFETY: writable as the header demands.
        unsafe { memory::copy_out(certificate, der.cast(), capacity, len) }
    }))
}

/// Writes what verification found, also after a failed handshake and inside the certificate hook.
/// SSL_ERR_STATE as long as no certificate has been seen.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ssl_get_verify_report(
    s: *mut ssl_socket,
    report: *mut ssl_verify_report,
) -> i32 {
    status(entry!(ssl_get_verify_report, look s, |socket| {
        let verification = socket.verification()?;
        let value = verify_report(&verification.report, verification.verdict);
        // SAFETY: writable for the `size` in it as the header demands.
        unsafe { memory::write_sized(report, value, "report") }
    }))
}

/// Copies a text about the peer's certificate: `what` is SSL_TEXT_*, `index` counts the names of
/// SSL_TEXT_PRESENTED and is 0 otherwise. UTF-8, NUL-terminated; what the peer chose is escaped.
/// `*len` becomes the length with the NUL; if it exceeds `capacity`: SSL_ERR_BUFFER.
/// SSL_ERR_INVALID past the last name.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ssl_get_verify_text(
    s: *mut ssl_socket,
    what: u32,
    index: u32,
    buf: *mut c_char,
    capacity: usize,
    len: *mut usize,
) -> i32 {
    status(entry!(ssl_get_verify_text, look s, |socket| {
        let report = socket.verification()?.report;
        let only = |text: &str| (index == 0).then(|| text.to_owned());
        let text = match what {
            SSL_TEXT_EXPECTED => only(report.expected.as_deref().unwrap_or("")),
            SSL_TEXT_PRESENTED => report.presented.get(index as usize).cloned(),
            SSL_TEXT_SUBJECT => only(&report.subject),
            SSL_TEXT_ISSUER => only(&report.issuer),
            SSL_TEXT_SUMMARY => only(report.error.as_ref().map_or("", |error| &error.text)),
            _ => None,
        };
        let text = text.ok_or_else(|| Error::new(Code::INVALID, "there is no such text"))?;
        // SAFETY: writable as the header demands.
        unsafe { memory::copy_out_text(&text, buf, capacity, len) }
    }))
}

pub(super) fn verify_report(found: &Report, verdict: Verdict) -> ssl_verify_report {
    ssl_verify_report {
        size: size_of::<ssl_verify_report>() as u32,
        verdict: verdict as u32,
        causes: found.causes,
        chain_len: found.chain.len() as u32,
        not_before: found.not_before,
        not_after: found.not_after,
        spki_sha256: found.spki_sha256,
    }
}

fn characters<const LENGTH: usize>(text: &str) -> [c_char; LENGTH] {
    let mut characters = [0; LENGTH];
    // The last stays NUL.
    for (to, from) in characters.iter_mut().take(LENGTH - 1).zip(text.bytes()) {
        *to = from as c_char;
    }
    characters
}
