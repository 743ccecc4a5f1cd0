//! What is set before the handshake.

use std::ffi::{c_char, c_void};
use std::time::Duration;

use super::boundary::{entry, status};
use super::constants::{
    SSL_PROTOCOL_TLS1_2, SSL_PROTOCOL_TLS1_3, SSL_TIMEOUT_CLOSE, SSL_TIMEOUT_HANDSHAKE,
};
use super::hooks::certificate_hook;
use super::memory;
use super::types::{ssl_socket, ssl_validate_cert_fn};
use crate::error::{Code, Error};
use crate::socket;
use crate::tls::alpn;
use crate::tls::key_log::KeyLogFile;
use crate::verify::name::PeerName;

/// Sets the flags (SSL_FLAG_*); they replace the earlier ones. An unknown bit, and flags that
/// contradict each other, answer SSL_ERR_INVALID, a change after the handshake has begun
/// SSL_ERR_STATE; then nothing has been changed. Any thread.
#[unsafe(no_mangle)]
pub extern "C" fn ssl_set_flags(s: *mut ssl_socket, flags: u32) -> i32 {
    status(entry!(ssl_set_flags, change s, |socket| {
        socket.set_flags(flags)
    }))
}

/// Writes the flags to `flags`. Any thread, also inside hooks.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ssl_get_flags(s: *mut ssl_socket, flags: *mut u32) -> i32 {
    status(entry!(ssl_get_flags, look s, |socket| {
        // SAFETY: writable as the header demands.
        unsafe { memory::write(flags, socket.settings().flags(), "flags") }
    }))
}

/// Sets the certificate hook, which then has the last word on the peer's certificate: see
/// ssl_validate_cert_fn. `arg` is handed to it untouched. NULL clears the hook: then the library
/// decides, strictly. Any thread, before the handshake.
#[unsafe(no_mangle)]
pub extern "C" fn ssl_set_validate_cert_hook(
    s: *mut ssl_socket,
    hook: ssl_validate_cert_fn,
    arg: *mut c_void,
) -> i32 {
    status(entry!(ssl_set_validate_cert_hook, change s, |socket| {
        socket.configure(|settings| {
            settings.hook = certificate_hook(hook, arg);
            Ok(())
        })
    }))
}

/// Sets the name that the peer's certificate must be for, and that the peer is told (SNI): a DNS
/// name or an IP literal. A name outside ASCII is converted (IDNA). The string is copied; NULL
/// clears it. SSL_ERR_INVALID if it is not a name, SSL_ERR_NO_NAME if it is empty. Any thread,
/// before the handshake.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ssl_set_peername(s: *mut ssl_socket, name: *const c_char) -> i32 {
    status(entry!(ssl_set_peername, change s, |socket| {
        // SAFETY: NUL-terminated as the header demands.
        let name = unsafe { memory::string(name, "the peer name") }?;
        let name = name.map(PeerName::parse).transpose()?;
        socket.configure(|settings| {
            settings.peer_name = name;
            Ok(())
        })
    }))
}

/// Sets a time limit in milliseconds: `which` is SSL_TIMEOUT_HANDSHAKE or SSL_TIMEOUT_CLOSE.
/// UINT32_MAX: no limit. 0 answers SSL_ERR_INVALID. Any thread, before the handshake.
#[unsafe(no_mangle)]
pub extern "C" fn ssl_set_timeout(s: *mut ssl_socket, which: u32, ms: u32) -> i32 {
    status(entry!(ssl_set_timeout, change s, |socket| {
        let limit = match ms {
            0 => return Err(invalid("a time limit of 0 ms: UINT32_MAX means no limit")),
            u32::MAX => None,
            ms => Some(Duration::from_millis(ms.into())),
        };
        socket.configure(|settings| {
            match which {
                SSL_TIMEOUT_HANDSHAKE => settings.handshake_timeout = limit,
                SSL_TIMEOUT_CLOSE => settings.close_timeout = limit,
                _ => return Err(invalid("`which` is neither SSL_TIMEOUT_HANDSHAKE nor _CLOSE")),
            }
            Ok(())
        })
    }))
}

/// Sets the application protocols to be offered or, for a server, to be chosen from, most wanted
/// first (ALPN, RFC 7301): each as one byte of length and that many bytes, as in
/// "\x02h2\x08http/1.1". Copied; 0 bytes clear them. What was agreed is in ssl_session_info.
///
/// A server takes the first of its own that the client offers; if there is none of them, the
/// handshake fails. A client whose server does not choose gets on without. SSL_ERR_INVALID if the
/// list is malformed or longer than 4096 bytes. Any thread, before the handshake.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ssl_set_alpn(
    s: *mut ssl_socket,
    protocols: *const c_void,
    len: usize,
) -> i32 {
    status(entry!(ssl_set_alpn, change s, |socket| {
        // SAFETY: readable as the header demands.
        let protocols = unsafe { memory::bytes(protocols.cast(), len, "protocols") }?;
        let protocols = alpn::parse(protocols)?;
        socket.configure(|settings| {
            settings.parameters.alpn = protocols;
            Ok(())
        })
    }))
}

/// Sets the oldest and the newest version of TLS that are allowed: SSL_PROTOCOL_TLS1_2 or
/// SSL_PROTOCOL_TLS1_3 each; both by default. Anything else, or a `min` above `max`, answers
/// SSL_ERR_INVALID: older versions are not safe. Any thread, before the handshake.
#[unsafe(no_mangle)]
pub extern "C" fn ssl_set_protocols(s: *mut ssl_socket, min: u16, max: u16) -> i32 {
    status(entry!(ssl_set_protocols, change s, |socket| {
        let known = [SSL_PROTOCOL_TLS1_2, SSL_PROTOCOL_TLS1_3];
        if let Some(other) = [min, max].into_iter().find(|version| !known.contains(version)) {
            return Err(invalid(&format!(
                "{other:#06x} is neither SSL_PROTOCOL_TLS1_2 (0x0303) nor SSL_PROTOCOL_TLS1_3 \
                 (0x0304): no other version is safe"
            )));
        }
        if min > max {
            return Err(invalid("the oldest version is newer than the newest"));
        }
        socket.configure(|settings| {
            (settings.parameters.oldest, settings.parameters.newest) = (min, max);
            Ok(())
        })
    }))
}

/// Appends the secrets of the sessions of this handle to the file `path` (NSS key log format), with
/// which Wireshark decrypts what was recorded: for finding errors only, whoever has the file can
/// read everything. It is made for its owner alone, opened at once and perhaps kept open. The
/// environment (SSLKEYLOGFILE) is never looked at. NULL: no file. SSL_ERR_IO if it cannot be opened
/// or is another user's or no regular file, SSL_ERR_STATE in a program that runs with more rights than its user. Any
/// thread, before the handshake.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ssl_set_key_log_file(s: *mut ssl_socket, path: *const c_char) -> i32 {
    status(entry!(ssl_set_key_log_file, change s, |socket| {
        // Nothing is made where it would be of no use.
        socket.configure(|_| Ok(()))?;
        let file = match path.is_null() {
            true => None,
            // SAFETY: NUL-terminated as the header demands.
            false => Some(KeyLogFile::open(unsafe { memory::path(path, "path") }?)?),
        };
        socket.configure(|settings| {
            settings.parameters.key_log = file;
            Ok(())
        })
    }))
}

/// Has the handshake of `s` resume the session of `other`, as an FTP server demands for its data
/// connections. `other` must be a client whose handshake is complete (SSL_ERR_STATE) and that had a
/// peer name; its connection may have ended since, and its handle may be freed after this call.
/// NULL: any session with the same peer name and settings, as without this call.
///
/// `s` takes the peer name of `other` if it has none; another one is SSL_ERR_INVALID, here or at the
/// handshake. At the handshake trust, pins, revocation lists, identities, hooks (the certificate
/// hook: whether there is one), SSL_FLAG_STRICT, suites and protocol versions must be the same as
/// those of `other`: a session got under one setting says nothing about another, and SSL_ERR_INVALID
/// tells what differs. With SSL_FLAG_NO_RESUMPTION it is SSL_ERR_INVALID too. If no session of
/// `other` is left, or the server does not take it, a full handshake is made;
/// ssl_session_info.resumed tells, and SSL_FLAG_REQUIRE_RESUMPTION makes that an error.
///
/// The certificate of the session is verified again, and a certificate hook is called with it: what
/// has expired or been revoked since is found. A handle with a hook that chooses the identity
/// offers a session by this call only.
///
/// A session of TLS 1.3 is good for one connection; servers send new ones as they like. Read from
/// the control connection before a data connection is opened, as one that waits for the server's
/// answer does. Any thread, before the handshake of `s`.
#[unsafe(no_mangle)]
pub extern "C" fn ssl_set_session_from(s: *mut ssl_socket, other: *mut ssl_socket) -> i32 {
    status(entry!(ssl_set_session_from, change s, |socket| {
        let other = match other.is_null() {
            true => None,
            false => Some(socket::find(other as usize).map_err(|error| Error {
                text: format!("`other`: {}", error.text),
                ..error
            })?),
        };
        socket.resume_session_of(other.as_deref())
    }))
}

fn invalid(text: &str) -> Error {
    Error::new(Code::INVALID, text)
}
