//! By what this side proves who it is.

use std::ffi::{c_char, c_void};

use super::boundary::{entry, status};
use super::types::{ssl_auth_request_fn, ssl_signature_fn, ssl_socket};
use super::{hooks, memory};
use crate::error::{Code, Error, Result};
use crate::socket::Socket;
use crate::tls::identity::Identity;

/// Sets the certificate chain and private key of this side, copied: each PEM or DER, the chain leaf
/// first (in DER one certificate after the other), the key in PKCS #8, PKCS #1 or SEC 1 form, not
/// encrypted. PEM may hold both at once. A server needs one. The key is RSA (2048 to 8192 bits), EC
/// on P-256, P-384 or P-521, or Ed25519.
/// SSL_ERR_BAD_DATA if they cannot be used or do not belong together; the text says what to do.
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
        let identity = Identity::new(chain, key)?;
        replace_identities(socket, identity)
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
        let (chain, key) = unsafe { (memory::path(chain_path, "chain_path")?, memory::path(key_path, "key_path")?) };
        let identity = Identity::from_files(chain, key)?;
        replace_identities(socket, identity)
    }))
}

/// Sets the certificate chain of this side (PEM or DER, leaf first, copied) whose private key the
/// library does not see: `sign` signs with it, see ssl_signature_fn. `arg` is handed to it
/// untouched. SSL_ERR_BAD_DATA if the chain cannot be used. Any thread, before the handshake.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ssl_set_identity_signer(
    s: *mut ssl_socket,
    chain: *const c_void,
    chain_len: usize,
    sign: ssl_signature_fn,
    arg: *mut c_void,
) -> i32 {
    status(entry!(ssl_set_identity_signer, change s, |socket| {
        // SAFETY: readable as the header demands.
        let chain = unsafe { memory::bytes(chain.cast(), chain_len, "chain") }?;
        let hook = hooks::signature_hook(sign, arg)
            .ok_or_else(|| Error::new(Code::INVALID, "sign is NULL"))?;
        let identity = Identity::with_signer(chain, hook)?;
        replace_identities(socket, identity)
    }))
}

/// Adds a further identity beside that of ssl_set_identity_*, which replaces them all; arguments
/// and errors as for ssl_set_identity_pem. A server shows the first whose certificate is for the
/// name that the client asks for (SNI) and whose key it can use, a client the first whose issuer
/// the server names; else the first of all. Any thread, before the handshake.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ssl_add_identity_pem(
    s: *mut ssl_socket,
    chain: *const c_void,
    chain_len: usize,
    key: *const c_void,
    key_len: usize,
) -> i32 {
    status(entry!(ssl_add_identity_pem, change s, |socket| {
        // SAFETY: readable as the header demands.
        let chain = unsafe { memory::bytes(chain.cast(), chain_len, "chain") }?;
        // SAFETY: the same.
        let key = unsafe { memory::bytes(key.cast(), key_len, "key") }?;
        let identity = Identity::new(chain, key)?;
        socket.configure(|settings| settings.add_identity(identity))
    }))
}

/// ssl_add_identity_pem with the contents of two files, which may be the same.
/// SSL_ERR_IO if one cannot be read.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ssl_add_identity_file(
    s: *mut ssl_socket,
    chain_path: *const c_char,
    key_path: *const c_char,
) -> i32 {
    status(entry!(ssl_add_identity_file, change s, |socket| {
        // SAFETY: NUL-terminated as the header demands.
        let (chain, key) = unsafe { (memory::path(chain_path, "chain_path")?, memory::path(key_path, "key_path")?) };
        let identity = Identity::from_files(chain, key)?;
        socket.configure(|settings| settings.add_identity(identity))
    }))
}

/// Sets the hook that chooses a client certificate when a server asks for one: see
/// ssl_auth_request_fn. `arg` is handed to it untouched. NULL clears the hook: then the library
/// chooses among the identities of the handle. Any thread, before the handshake.
#[unsafe(no_mangle)]
pub extern "C" fn ssl_set_auth_request_hook(
    s: *mut ssl_socket,
    hook: ssl_auth_request_fn,
    arg: *mut c_void,
) -> i32 {
    status(entry!(ssl_set_auth_request_hook, change s, |socket| {
        let hook = hooks::auth_request_hook(hook, arg);
        socket.configure(|settings| {
            settings.auth_request = hook;
            Ok(())
        })
    }))
}

fn replace_identities(socket: &Socket, identity: Identity) -> Result<()> {
    socket.configure(|settings| {
        settings.identities = vec![identity];
        Ok(())
    })
}
