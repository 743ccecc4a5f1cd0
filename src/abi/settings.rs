//! What is set before the handshake.

use std::ffi::{OsStr, c_char, c_void};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use super::boundary::{entry, status};
use super::constants::{SSL_CERT_X509, SSL_TIMEOUT_CLOSE, SSL_TIMEOUT_HANDSHAKE};
use super::memory;
use super::types::{ssl_blob, ssl_socket, ssl_validate_cert_fn};
use crate::error::{Code, Error, Result};
use crate::socket::Socket;
use crate::socket::settings::Hook;
use crate::tls::identity::Identity;
use crate::verify::name::PeerName;
use crate::verify::trust::Trust;

/// Sets the flags (SSL_FLAG_*); they replace the earlier ones. An unknown bit answers
/// SSL_ERR_INVALID, one that is not supported yet SSL_ERR_UNSUPPORTED, a change after the
/// handshake has begun SSL_ERR_STATE; then nothing has been changed. Any thread.
#[unsafe(no_mangle)]
pub extern "C" fn ssl_set_flags(s: *mut ssl_socket, flags: u32) -> i32 {
    status(entry!(ssl_set_flags, change s, |socket| {
        socket.set_flags(flags)
    }))
}

/// Writes the flags to `flags`. Any thread, also inside the certificate hook.
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
            settings.hook = hook_from(hook, arg);
            Ok(())
        })
    }))
}

/// Sets the name that the peer's certificate must be for, and that the peer is told (SNI): a DNS
/// name or an IP literal. A name outside ASCII is converted (IDNA). The string is copied; NULL
/// clears it. SSL_ERR_INVALID if it is not a name, SSL_ERR_NO_NAME if it is empty. Any thread, before the handshake.
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

/// Trusts the CA certificates in the PEM file `pem_path`. The first trust call replaces the
/// built-in roots, later ones add. SSL_ERR_IO if the file cannot be read, SSL_ERR_BAD_DATA if
/// there is no usable certificate in it. After a failure the built-in roots do not count either:
/// until a trust call succeeds the handshake fails with the same error. Any thread, before the
/// handshake.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ssl_add_trust_file(s: *mut ssl_socket, pem_path: *const c_char) -> i32 {
    status(entry!(ssl_add_trust_file, change s, |socket| {
        add_trust(socket, |trust| {
            // SAFETY: NUL-terminated as the header demands.
            trust.add_file(unsafe { path(pem_path, "pem_path") }?)
        })
    }))
}

/// Trusts the CA certificates in the `len` bytes of PEM at `pem`, which are copied. The first
/// trust call replaces the built-in roots, later ones add. SSL_ERR_BAD_DATA if there is no usable
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

/// Sets the certificate chain and private key of this side, both PEM and copied: leaf first; the
/// key in PKCS #8, PKCS #1 or SEC 1 form, not encrypted. A server needs one.
/// SSL_ERR_BAD_DATA if they cannot be used or do not belong together.
/// Any thread, before the handshake.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ssl_set_identity_pem(
    s: *mut ssl_socket,
    chain: *const c_void,
    chain_len: usize,
    key: *const c_void,
    key_len: usize,
) -> i32 {
    status(entry!(ssl_set_identity_pem, change s, |socket| {
        // SAFETY: readable as the header demands.
        let chain = unsafe { memory::bytes(chain.cast(), chain_len, "chain") }?;
        // SAFETY: the same.
        let key = unsafe { memory::bytes(key.cast(), key_len, "key") }?;
        let identity = Identity::from_pem(chain, key)?;
        socket.configure(|settings| {
            settings.identity = Some(identity);
            Ok(())
        })
    }))
}

/// ssl_set_identity_pem with the contents of two files, which may be the same.
/// SSL_ERR_IO if one cannot be read.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ssl_set_identity_file(
    s: *mut ssl_socket,
    chain_path: *const c_char,
    key_path: *const c_char,
) -> i32 {
    status(entry!(ssl_set_identity_file, change s, |socket| {
        // SAFETY: NUL-terminated as the header demands.
        let (chain, key) = unsafe { (path(chain_path, "chain_path")?, path(key_path, "key_path")?) };
        let identity = Identity::from_files(chain, key)?;
        socket.configure(|settings| {
            settings.identity = Some(identity);
            Ok(())
        })
    }))
}

/// Files are read before any lock is taken.
fn add_trust(socket: &Socket, load: impl FnOnce(&mut Trust) -> Result<()>) -> Result<()> {
    let mut trust = Trust::default();
    let loaded = load(&mut trust).map(|()| trust);
    socket.configure(|settings| settings.add_trust(loaded))
}

/// A path need not be UTF-8.
///
/// # Safety
/// `pointer` is NULL or NUL-terminated and lives as long as the path is used.
unsafe fn path<'a>(pointer: *const c_char, what: &str) -> Result<&'a Path> {
    if pointer.is_null() {
        return Err(Error::new(Code::INVALID, format!("{what} is NULL")));
    }
    // SAFETY: not NULL; NUL-terminated as the caller promises.
    let bytes = unsafe { std::ffi::CStr::from_ptr(pointer) }.to_bytes();
    Ok(Path::new(OsStr::from_bytes(bytes)))
}

/// The program's argument, which the library only carries.
struct HookArgument(*mut c_void);

// SAFETY: the library never looks at what it points to. That the hook runs on whichever thread
// asks for the handshake is in its documentation.
unsafe impl Send for HookArgument {}
// SAFETY: as above.
unsafe impl Sync for HookArgument {}

fn hook_from(hook: ssl_validate_cert_fn, arg: *mut c_void) -> Option<Hook> {
    let hook = hook?;
    let argument = HookArgument(arg);
    let call = Arc::new(move |leaf: &[u8], flags: u32| {
        let argument = &argument;
        let blob = ssl_blob {
            // rustls takes no certificate message above 64 KiB.
            cbSize: leaf.len() as u32,
            pBlobData: leaf.as_ptr().cast_mut(),
        };
        // SAFETY: the program gave this function for this purpose; the blob and the certificate
        // live until it returns.
        unsafe { hook(SSL_CERT_X509, argument.0, 1, &blob, flags) }
    });
    Some(Hook { call, function: hook as usize, argument: arg.expose_provenance() })
}

/// The same for a function whose address the program has put into a buffer.
pub(super) fn hook_at(function: usize, argument: usize) -> Option<Hook> {
    let function = std::ptr::with_exposed_provenance::<c_void>(function);
    // SAFETY: NULL is `None`; otherwise the program says that this is such a function, as it does
    // by the type of an argument.
    let hook = unsafe { std::mem::transmute::<*const c_void, ssl_validate_cert_fn>(function) };
    hook_from(hook, std::ptr::with_exposed_provenance_mut(argument))
}

fn invalid(text: &str) -> Error {
    Error::new(Code::INVALID, text)
}
