//! The program's hooks as what the library calls.

use std::ffi::c_void;
use std::sync::Arc;

use super::constants::{SSL_CERT_X509, SSL_SIGN_PERFORM_HASH};
use super::types::{Opaque, ssl_auth_request_fn, ssl_blob, ssl_signature_fn, ssl_validate_cert_fn};
use crate::socket::settings::Hook;
use crate::tls::program::{AuthRequestHook, Choice, SignatureHook, Signed};

pub fn certificate_hook(hook: ssl_validate_cert_fn, arg: *mut c_void) -> Option<Hook> {
    let hook = hook?;
    let argument = Opaque(arg);
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

/// Signs with the program's function.
pub fn signature_hook(sign: ssl_signature_fn, arg: *mut c_void) -> Option<SignatureHook> {
    let sign = sign?;
    let argument = Opaque(arg);
    let call = Arc::new(move |scheme: u16, message: &[u8]| {
        let argument = &argument;
        let mut signature = vec![0; SIGNATURE_CAPACITY as usize];
        let mut length = SIGNATURE_CAPACITY;
        // SAFETY: the program gave this function for this purpose; the message and the room for
        // the signature, as large as `length` says, live until it returns.
        let answer = unsafe {
            sign(
                u32::from(scheme),
                argument.0,
                message.as_ptr(),
                // No handshake comes near 4 GiB.
                message.len() as u32,
                SSL_SIGN_PERFORM_HASH,
                signature.as_mut_ptr(),
                &mut length,
            )
        };
        let signature = match length {
            1..=SIGNATURE_CAPACITY => {
                signature.truncate(length as usize);
                Ok(signature)
            }
            length => Err(length),
        };
        Signed { answer, signature }
    });
    Some(SignatureHook { call, function: sign as usize, argument: arg.expose_provenance() })
}

/// Chooses a certificate with the program's function.
pub fn auth_request_hook(hook: ssl_auth_request_fn, arg: *mut c_void) -> Option<AuthRequestHook> {
    let hook = hook?;
    let argument = Opaque(arg);
    let call = Arc::new(move |issuers: &[&[u8]]| {
        let argument = &argument;
        // Copies: the program gets pointers that can be written through.
        let mut names: Vec<Vec<u8>> = issuers.iter().map(|name| name.to_vec()).collect();
        let blob = |name: &mut Vec<u8>| ssl_blob {
            // A distinguished name has less than 64 KiB.
            cbSize: name.len() as u32,
            pBlobData: name.as_mut_ptr(),
        };
        let blobs: Vec<ssl_blob> = names.iter_mut().map(blob).collect();
        let list = if blobs.is_empty() { std::ptr::null() } else { blobs.as_ptr() };
        let (mut count, mut chain) = (0, std::ptr::null_mut());
        // SAFETY: the program gave this function for this purpose; all that it is given lives until
        // it returns.
        let answer = unsafe {
            hook(SSL_CERT_X509, argument.0, blobs.len() as u32, list, 0, &mut count, &mut chain)
        };
        let chain = match answer {
            // SAFETY: a chain that the program has answered with can be read.
            0 => unsafe { copy_chain(count, chain) },
            _ => Ok(Vec::new()),
        };
        Choice { answer, chain }
    });
    Some(AuthRequestHook { call, function: hook as usize, argument: arg.expose_provenance() })
}

/// # Safety
/// If `count` is not 0, `chain` is NULL or points to so many blobs, and their pointers are NULL or
/// can be read for as many bytes as they say.
unsafe fn copy_chain(count: u32, chain: *const ssl_blob) -> Result<Vec<Vec<u8>>, String> {
    if count > CHAIN_COUNT_LIMIT {
        return Err(format!("a chain of {count} certificates, more than {CHAIN_COUNT_LIMIT}"));
    }
    if count > 0 && (chain.is_null() || !chain.is_aligned()) {
        return Err(format!("a chain of {count} certificates at the address {chain:p}"));
    }
    let mut copies = Vec::new();
    let mut total = 0;
    for place in 0..count as usize {
        // SAFETY: neither NULL nor misaligned; there are so many, as the caller promises.
        let blob = unsafe { &*chain.add(place) };
        let number = place + 1;
        if blob.pBlobData.is_null() || blob.cbSize == 0 {
            return Err(format!("certificate number {number} of the chain is empty or NULL"));
        }
        total += u64::from(blob.cbSize);
        if total > CHAIN_SIZE_LIMIT {
            return Err(format!(
                "up to certificate number {number} the chain has {total} bytes, more than \
                 {CHAIN_SIZE_LIMIT}"
            ));
        }
        // SAFETY: not NULL; readable as the caller promises.
        let bytes = unsafe { std::slice::from_raw_parts(blob.pBlobData, blob.cbSize as usize) };
        copies.push(bytes.to_vec());
    }
    Ok(copies)
}

/// The same for functions whose addresses the program has put into a buffer.
pub fn signature_hook_at(function: usize, argument: usize) -> Option<SignatureHook> {
    let function = std::ptr::with_exposed_provenance::<c_void>(function);
    // SAFETY: NULL is `None`; otherwise the program says that this is such a function, as it does
    // by the type of an argument.
    let sign = unsafe { std::mem::transmute::<*const c_void, ssl_signature_fn>(function) };
    signature_hook(sign, std::ptr::with_exposed_provenance_mut(argument))
}

pub fn auth_request_hook_at(function: usize, argument: usize) -> Option<AuthRequestHook> {
    let function = std::ptr::with_exposed_provenance::<c_void>(function);
    // SAFETY: as above.
    let hook = unsafe { std::mem::transmute::<*const c_void, ssl_auth_request_fn>(function) };
    auth_request_hook(hook, std::ptr::with_exposed_provenance_mut(argument))
}

/// The same for a function whose address the program has put into a buffer.
pub fn certificate_hook_at(function: usize, argument: usize) -> Option<Hook> {
    let function = std::ptr::with_exposed_provenance::<c_void>(function);
    // SAFETY: NULL is `None`; otherwise the program says that this is such a function, as it does
    // by the type of an argument.
    let hook = unsafe { std::mem::transmute::<*const c_void, ssl_validate_cert_fn>(function) };
    certificate_hook(hook, std::ptr::with_exposed_provenance_mut(argument))
}

/// The signature of an RSA key of 8,192 bits.
const SIGNATURE_CAPACITY: u32 = 1024;
/// No server reads a longer chain.
const CHAIN_COUNT_LIMIT: u32 = 32;
const CHAIN_SIZE_LIMIT: u64 = 64 * 1024;
