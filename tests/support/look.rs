//! More of the C ABI in Rust's clothes: names, and what can be asked of a handle.

use std::ffi::CString;

use sslsock::abi::{errors, information, session, settings};

use super::{Failure, Handle, Outcome};

impl Handle {
    pub fn peername(&self, name: &str) -> Outcome {
        let name = CString::new(name).unwrap();
        self.checked(unsafe { settings::ssl_set_peername(self.0, name.as_ptr()) })
    }

    /// With any bytes for a name.
    pub fn handshake_raw(&self, host: &[u8]) -> Outcome {
        let host = CString::new(host).unwrap();
        self.checked(unsafe { session::ssl_perform_handshake(self.0, host.as_ptr()) })
    }

    /// A text about the peer's certificate, asked for twice: for the size, then for itself.
    pub fn verify_text(&self, what: u32, index: u32) -> Result<String, i32> {
        let mut needed = 0;
        let asked = unsafe {
            information::ssl_get_verify_text(
                self.0,
                what,
                index,
                std::ptr::null_mut(),
                0,
                &mut needed,
            )
        };
        if asked != super::SSL_ERR_BUFFER {
            return Err(asked);
        }
        let mut text = vec![0_u8; needed];
        let got = unsafe {
            information::ssl_get_verify_text(
                self.0,
                what,
                index,
                text.as_mut_ptr().cast(),
                needed,
                &mut needed,
            )
        };
        assert_eq!((got, text.pop()), (0, Some(0)));
        Ok(String::from_utf8(text).unwrap())
    }

    /// A certificate of the peer's chain in DER.
    pub fn peer_certificate(&self, index: u32) -> Result<Vec<u8>, i32> {
        let mut needed = 0;
        let asked = unsafe {
            information::ssl_get_peer_certificate(
                self.0,
                index,
                std::ptr::null_mut(),
                0,
                &mut needed,
            )
        };
        if asked != super::SSL_ERR_BUFFER {
            return Err(asked);
        }
        // One byte too few is refused and writes nothing but the length.
        let mut der = vec![0xaa; needed];
        let size = needed;
        let mut copy = |capacity, needed: &mut usize| unsafe {
            let buffer = der.as_mut_ptr().cast();
            information::ssl_get_peer_certificate(self.0, index, buffer, capacity, needed)
        };
        assert_eq!(copy(size - 1, &mut needed), super::SSL_ERR_BUFFER);
        assert_eq!(needed, size);
        assert_eq!(copy(size, &mut needed), 0);
        assert_eq!(needed, size);
        Ok(der)
    }

    /// The call failed with this code; its text.
    #[track_caller]
    pub fn assert_failed(&self, outcome: Outcome, code: i32) -> Failure {
        let failure = outcome.expect_err("the upgrade must fail");
        assert_eq!(failure.code, code, "{}", failure.text);
        assert_eq!(self.error(), failure, "the handle keeps the error");
        assert_eq!(errors::ssl_get_error(self.0), code);
        failure
    }
}
