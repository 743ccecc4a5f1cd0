//! Whom to believe.

use std::ffi::{c_char, c_void};

use super::boundary::{entry, status};
use super::memory;
use super::types::{ssl_blob, ssl_socket, ssl_verify_report};
use crate::error::{Code, Error, Result};
use crate::socket::Socket;
use crate::verify::trust::Trust;

/// Trusts the CA certificates in the file `pem_path` (PEM, or one in DER). The first trust call
/// replaces the built-in roots, later ones add. SSL_ERR_IO if the file cannot be read,
/// SSL_ERR_BAD_DATA if there is no usable certificate in it. After a failure the built-in roots do not count either:
/// until a trust call succeeds the handshake fails with the same error. Any thread, before the
/// handshake.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ssl_add_trust_file(s: *mut ssl_socket, pem_path: *const c_char) -> i32 {
    status(entry!(ssl_add_trust_file, change s, |socket| {
        add_trust(socket, |trust| {
            // SAFETY: NUL-terminated as the header demands.
            trust.add_file(unsafe { memory::path(pem_path, "pem_path") }?)
        })
    }))
}

/// Trusts the CA certificates in the `len` bytes of PEM (or the one in DER) at `pem`, which are
/// copied. The first trust call replaces the built-in roots, later ones add. SSL_ERR_BAD_DATA if there is no usable
/// certificate in it; a failure as for ssl_add_trust_file. Any thread, before the handshake.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ssl_add_trust_pem(
    s: *mut ssl_socket,
    pem: *const c_void,
    len: usize,
) -> i32 {
    status(entry!(ssl_add_trust_pem, change s, |socket| {
        add_trust(socket, |trust| {
            // SAFETY: readable as the header demands.
            trust.add_pem(unsafe { memory::bytes(pem.cast(), len, "pem") }?)
        })
    }))
}

/// Trusts what the system trusts (the distribution's CA certificates). The first trust call
/// replaces the built-in roots, later ones add. SSL_ERR_IO if the system has none; a failure as
/// for ssl_add_trust_file. Any thread, before the handshake.
#[unsafe(no_mangle)]
pub extern "C" fn ssl_use_system_trust(s: *mut ssl_socket) -> i32 {
    status(entry!(ssl_use_system_trust, change s, |socket| {
        add_trust(socket, Trust::add_system)
    }))
}

/// Trusts the CA certificates in every file of the directory `dir_path` and in those that its links
/// lead to, but not below it; files that hold none or cannot be read are passed over. The first trust call replaces the built-in roots, later ones
/// add. SSL_ERR_IO if it cannot be read, SSL_ERR_BAD_DATA if there is no usable certificate in it;
/// a failure as for ssl_add_trust_file. Any thread, before the handshake.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ssl_add_trust_dir(s: *mut ssl_socket, dir_path: *const c_char) -> i32 {
    status(entry!(ssl_add_trust_dir, change s, |socket| {
        add_trust(socket, |trust| {
            // SAFETY: NUL-terminated as the header demands.
            trust.add_directory(unsafe { memory::path(dir_path, "dir_path") }?)
        })
    }))
}

/// Adds a pin: the handshake fails with SSL_ERR_PIN unless the key of the peer's own certificate is
/// one of those pinned. `pin` is the SHA-256 of its SubjectPublicKeyInfo as "sha256//" and base64
/// (as curl writes it), or as 64 hexadecimal digits; several may be given, separated by ';'. Set a
/// second one for the key that comes after. Pins come on top of the trust, and no hook can accept
/// another key. NULL clears them. SSL_ERR_INVALID if it is no such thing. Any thread, before the
/// handshake.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ssl_add_pin(s: *mut ssl_socket, pin: *const c_char) -> i32 {
    status(entry!(ssl_add_pin, change s, |_socket| {
        let _ = pin;
        Err(Error::new(Code::UNSUPPORTED, "ssl_add_pin"))
    }))
}

/// Adds the revocation lists in the file `path` (PEM, or one in DER). From the first on the peer's
/// own certificate must be covered by a list of its issuer that is up to date
/// (SSL_CAUSE_REVOCATION_UNKNOWN), and no certificate of the chain may be on one
/// (SSL_CAUSE_REVOKED). Without a list nothing is said of revocation: the library asks nobody.
/// SSL_ERR_IO if it cannot be read, SSL_ERR_BAD_DATA if there is no list in it; until one is added
/// the handshake then fails with the same error. Any thread, before the handshake.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ssl_add_crl_file(s: *mut ssl_socket, path: *const c_char) -> i32 {
    status(entry!(ssl_add_crl_file, change s, |_socket| {
        let _ = path;
        Err(Error::new(Code::UNSUPPORTED, "ssl_add_crl_file"))
    }))
}

/// ssl_add_crl_file with the `len` bytes at `crl`, which are copied.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ssl_add_crl_pem(
    s: *mut ssl_socket,
    crl: *const c_void,
    len: usize,
) -> i32 {
    status(entry!(ssl_add_crl_pem, change s, |_socket| {
        let _ = (crl, len);
        Err(Error::new(Code::UNSUPPORTED, "ssl_add_crl_pem"))
    }))
}

/// Verifies a chain without a connection, as a handshake would: `chain` points to `chain_len`
/// certificates in DER, leaf first. Trust, pins and revocation lists are those of `s`, which may be
/// any handle: that of a connection, also inside its hook, of ssl_settings_new or of ssl_defaults.
/// With SSL_FLAG_SERVER on it the chain is that of a client. `name` is whom it has to be for; NULL:
/// the name is not looked at. `time` is in Unix seconds; SSL_TIME_NOW: now.
///
/// Answers SSL_ERR_OKAY if the chain is trusted, else the code of what is most important of all
/// that is wrong; ssl_get_error_text(NULL, ...) has the whole text. `report`, which may be NULL, is
/// written in both cases; its verdict is SSL_VERDICT_TRUSTED or SSL_VERDICT_NOT_TRUSTED.
/// SSL_ERR_INVALID and SSL_ERR_BAD_HANDLE: nothing was verified, `report` is untouched.
/// The key log, flags and hooks of `s` play no part. Any thread.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ssl_verify_chain(
    s: *mut ssl_socket,
    chain: *const ssl_blob,
    chain_len: u32,
    name: *const c_char,
    time: i64,
    report: *mut ssl_verify_report,
) -> i32 {
    status(entry!(ssl_verify_chain, look s, |_socket| {
        let _ = (chain, chain_len, name, time, report);
        Err(Error::new(Code::UNSUPPORTED, "ssl_verify_chain"))
    }))
}

/// Files are read before any lock is taken.
fn add_trust(socket: &Socket, load: impl FnOnce(&mut Trust) -> Result<()>) -> Result<()> {
    let mut trust = Trust::default();
    let loaded = load(&mut trust).map(|()| trust);
    socket.configure(|settings| settings.add_trust(loaded))
}
