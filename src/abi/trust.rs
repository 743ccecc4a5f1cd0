//! Whom to believe.

use std::ffi::{c_char, c_void};

use rustls::pki_types::CertificateDer;

use super::boundary::{entry, status};
use super::constants::SSL_TIME_NOW;
use super::information::verify_report;
use super::memory;
use super::types::{ssl_blob, ssl_socket, ssl_verify_report};
use crate::error::{Code, Error, Result};
use crate::socket::{Socket, Verdict};
use crate::tls::identity::encoding;
use crate::verify::name::PeerName;
use crate::verify::pins::Pins;
use crate::verify::revocation::Lists;
use crate::verify::trust::Trust;

/// Trusts the CA certificates in the file `pem_path` (PEM, or one in DER). The first trust call
/// replaces the built-in roots, later ones add. SSL_ERR_IO if the file cannot be read,
/// SSL_ERR_BAD_DATA if there is no usable certificate in it. After a failure the built-in roots do
/// not count either: until a trust call succeeds the handshake fails with the same error. Any
/// thread, before the handshake.
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
/// copied. The first trust call replaces the built-in roots, later ones add. SSL_ERR_BAD_DATA if
/// there is no usable certificate in it; a failure as for ssl_add_trust_file. Any thread, before
/// the handshake.
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
/// lead to, but not below it; files that hold none or cannot be read are passed over. The first
/// trust call replaces the built-in roots, later ones add. SSL_ERR_IO if it cannot be read,
/// SSL_ERR_BAD_DATA if there is no usable certificate in it; a failure as for ssl_add_trust_file.
/// Any thread, before the handshake.
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
/// another key. NULL clears them. SSL_ERR_INVALID if it is no such thing; until there is one, or
/// NULL, the handshake then fails with the same error. Any thread, before the handshake.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ssl_add_pin(s: *mut ssl_socket, pin: *const c_char) -> i32 {
    status(entry!(ssl_add_pin, change s, |socket| {
        // SAFETY: NUL-terminated as the header demands.
        let pins = unsafe { memory::string(pin, "pin") };
        let pins = pins.and_then(|text| text.map(Pins::parse).transpose());
        socket.configure(|settings| match pins.transpose() {
            Some(pins) => settings.trust.add_pins(pins),
            None => {
                settings.trust.clear_pins();
                Ok(())
            }
        })
    }))
}

/// Adds the revocation lists in the file `path` (PEM, or one in DER). From the first on the peer's
/// own certificate must be covered by a list of its issuer that is up to date
/// (SSL_CAUSE_REVOCATION_UNKNOWN), and no certificate of the chain may be on one
/// (SSL_CAUSE_REVOKED). Of several lists that cover a certificate the newest counts: a new list may
/// be added to ssl_defaults beside the old one, for the handles made later. Without a list nothing
/// is said of revocation: the library asks nobody. SSL_ERR_IO if it cannot be read,
/// SSL_ERR_BAD_DATA if there is no list in it; until one is added the handshake then fails with the
/// same error. Any thread, before the handshake.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ssl_add_crl_file(s: *mut ssl_socket, path: *const c_char) -> i32 {
    status(entry!(ssl_add_crl_file, change s, |socket| {
        // SAFETY: NUL-terminated as the header demands.
        let lists = unsafe { memory::path(path, "path") }.and_then(Lists::read_file);
        socket.configure(|settings| settings.trust.add_lists(lists))
    }))
}

/// ssl_add_crl_file with the `len` bytes at `crl`, which are copied.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ssl_add_crl_pem(
    s: *mut ssl_socket,
    crl: *const c_void,
    len: usize,
) -> i32 {
    status(entry!(ssl_add_crl_pem, change s, |socket| {
        // SAFETY: readable as the header demands.
        let lists = unsafe { memory::bytes(crl.cast(), len, "crl") }.and_then(Lists::read);
        socket.configure(|settings| settings.trust.add_lists(lists))
    }))
}

/// Verifies a chain without a connection, as a handshake would: `chain` points to `chain_len`
/// certificates in DER, leaf first, or to one block with all of them in PEM. Trust, pins and revocation lists are those of `s`, which may be
/// any handle: that of a connection, also inside its hook, of ssl_settings_new or of ssl_defaults.
/// With SSL_FLAG_SERVER on it the chain is that of a client. `name` is whom it has to be for; NULL:
/// the name is not looked at. `time` is in Unix seconds; SSL_TIME_NOW: now.
///
/// Answers SSL_ERR_OKAY if the chain is trusted, else the code of what is most important of all
/// that is wrong; ssl_get_error_text(NULL, ...) has the whole text. `report`, which may be NULL, is
/// written in both cases; its verdict is SSL_VERDICT_TRUSTED or SSL_VERDICT_NOT_TRUSTED.
///
/// Nothing was verified and `report` is untouched on SSL_ERR_BAD_HANDLE, SSL_ERR_INVALID (an
/// argument is wrong, such as PEM beside other blocks, there are more than 100 certificates, or
/// nobody was said to vouch for clients), SSL_ERR_NO_NAME (an empty name), and the error of a
/// trust, pin or revocation list that could not be had. Other flags and the hooks of `s` play no
/// part. Any thread.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ssl_verify_chain(
    s: *mut ssl_socket,
    chain: *const ssl_blob,
    chain_len: u32,
    name: *const c_char,
    time: i64,
    report: *mut ssl_verify_report,
) -> i32 {
    status(entry!(ssl_verify_chain, look s, |socket| {
        // SAFETY: readable as the header demands.
        let chain = unsafe { certificates(chain, chain_len) }?;
        // SAFETY: NUL-terminated as the header demands.
        let name = unsafe { memory::string(name, "name") }?;
        let name = name.map(PeerName::parse).transpose()?;
        if !report.is_null() {
            // SAFETY: `size` is readable as the header demands.
            unsafe { memory::check_sized(report, "report") }?;
        }
        let time = (time != SSL_TIME_NOW).then_some(time);
        let found = socket.verify_chain(&chain, name.as_ref(), time)?;
        let verdict = match found.error {
            None => Verdict::Trusted,
            Some(_) => Verdict::NotTrusted,
        };
        if !report.is_null() {
            let value = verify_report(&found, verdict);
            // SAFETY: checked; writable as the header demands.
            unsafe { memory::write_sized(report, value, "report") }?;
        }
        found.error.map_or(Ok(()), Err)
    }))
}

/// Copies of the certificates of a chain.
///
/// # Safety
/// A pointer that is not NULL points to `count` readable blobs, and each of them to as many bytes
/// as it says.
unsafe fn certificates(chain: *const ssl_blob, count: u32) -> Result<Vec<CertificateDer<'static>>> {
    let invalid = |text: String| Err(Error::new(Code::INVALID, text));
    if count == 0 {
        return invalid("chain_len is 0: there is no certificate to verify".to_owned());
    }
    memory::check_target(chain, "chain")?;
    if count > CHAIN_LIMIT {
        return Err(too_many(count as usize));
    }
    let mut certificates = Vec::new();
    for place in 0..count as usize {
        // SAFETY: below `count`; readable as the caller promises.
        let blob = unsafe { &*chain.add(place) };
        if blob.cbSize > CERTIFICATE_LIMIT {
            return invalid(format!(
                "certificate {place} is {} bytes long: more than {CERTIFICATE_LIMIT} cannot be \
                 verified",
                blob.cbSize
            ));
        }
        let what = format!("pBlobData of certificate {place}");
        // SAFETY: readable as the caller promises.
        let der = unsafe { memory::bytes(blob.pBlobData, blob.cbSize as usize, &what) }?;
        if !der.starts_with(&[DER_SEQUENCE]) && encoding::is_pem(der) {
            if count == 1 {
                return from_pem(der);
            }
            return invalid(format!(
                "certificate {place} is PEM, beside others: give all of them in one block, or each \
                 in DER, as openssl x509 -in FILE -outform DER makes it"
            ));
        }
        certificates.push(CertificateDer::from(der.to_vec()));
    }
    Ok(certificates)
}

fn from_pem(text: &[u8]) -> Result<Vec<CertificateDer<'static>>> {
    let certificates =
        encoding::certificates(text).map_err(|error| Error::new(Code::INVALID, error.text))?;
    match certificates.len() > CHAIN_LIMIT as usize {
        true => Err(too_many(certificates.len())),
        false => Ok(certificates),
    }
}

fn too_many(count: usize) -> Error {
    let text =
        format!("a chain of {count} certificates: no handshake carries more than {CHAIN_LIMIT}");
    Error::new(Code::INVALID, text)
}

/// How every certificate in DER begins; one in PEM may have text in front.
const DER_SEQUENCE: u8 = 0x30;
const CHAIN_LIMIT: u32 = 100;
const CERTIFICATE_LIMIT: u32 = 1024 * 1024;

/// Files are read before any lock is taken.
fn add_trust(socket: &Socket, load: impl FnOnce(&mut Trust) -> Result<()>) -> Result<()> {
    let mut trust = Trust::default();
    let loaded = load(&mut trust).map(|()| trust);
    socket.configure(|settings| settings.add_trust(loaded))
}
