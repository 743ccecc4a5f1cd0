//! The program's hooks as what the library calls.

use std::ffi::c_void;
use std::sync::Arc;

use super::constants::SSL_CERT_X509;
use super::types::{Opaque, ssl_blob, ssl_validate_cert_fn};
use crate::socket::settings::Hook;

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

/// The same for a function whose address the program has put into a buffer.
pub fn certificate_hook_at(function: usize, argument: usize) -> Option<Hook> {
    let function = std::ptr::with_exposed_provenance::<c_void>(function);
    // SAFETY: NULL is `None`; otherwise the program says that this is such a function, as it does
    // by the type of an argument.
    let hook = unsafe { std::mem::transmute::<*const c_void, ssl_validate_cert_fn>(function) };
    certificate_hook(hook, std::ptr::with_exposed_provenance_mut(argument))
}
