//! SSLCLIENTOPTS, SSLSERVEROPTS and SSLCLIENTAUTHOPTS: kept for a program that reads them back.

use super::buffers::{self, dword};
use crate::error::{Code, Error, Result};

/// CacheTimeout (a time_t), dwCacheEntries, dwFlags. Whatever they are: how
/// many sessions are kept, and for how long, is the library's affair.
pub fn cache(input: &[u8]) -> Result<&[u8]> {
    buffers::structure(input, CACHE_SIZE, "SSLCLIENTOPTS and SSLSERVEROPTS have")
}

/// The structure at the front, if it asks for nothing that would be missing, and whether it asks
/// clients for a certificate.
pub fn client_auth(input: &[u8]) -> Result<(&[u8], bool)> {
    let options = buffers::structure(input, CLIENT_AUTH_SIZE, "SSLCLIENTAUTHOPTS has")?;
    let request_client_auth = dword(options, "SSLCLIENTAUTHOPTS")?;
    let redo_handshake = dword(&options[4..], "SSLCLIENTAUTHOPTS")?;
    if redo_handshake != 0 {
        return Err(Error::new(
            Code::UNSUPPORTED,
            "dwRedoHandshake is not supported: no safe version of TLS makes a second handshake on \
             a connection (nothing was changed)",
        ));
    }
    Ok((options, request_client_auth != 0))
}

/// What is set at first: nothing.
pub fn default_cache() -> Vec<u8> {
    vec![0; CACHE_SIZE]
}

pub fn default_client_auth() -> Vec<u8> {
    vec![0; CLIENT_AUTH_SIZE]
}

const CACHE_SIZE: usize = size_of::<libc::time_t>() + 8;
/// Four DWORDs, the address of the list of issuers, which is not followed, and dwFlags, which is
/// padded to the size of an address.
const CLIENT_AUTH_SIZE: usize = 16 + 2 * size_of::<usize>();

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_would_be_missing_is_refused() {
        let mut options = default_client_auth();
        // An address that leads nowhere, and flags.
        options[8..].fill(0xa5);
        assert_eq!(client_auth(&options), Ok((&options[..], false)));
        for at in [0, 3] {
            let mut options = options.clone();
            options[at] = 1;
            assert_eq!(client_auth(&options), Ok((&options[..], true)));
        }
        for at in [4, 7] {
            let mut options = options.clone();
            options[at] = 1;
            assert_eq!(client_auth(&options).unwrap_err().code, Code::UNSUPPORTED);
        }
        for length in 0..CLIENT_AUTH_SIZE {
            assert_eq!(client_auth(&options[..length]).unwrap_err().sys_errno, libc::EFAULT);
        }
    }

    #[test]
    fn what_follows_is_not_kept() {
        assert_eq!(cache(&[7; 40]).map(<[u8]>::len), Ok(CACHE_SIZE));
        assert!(cache(&[7; CACHE_SIZE - 1]).is_err());
        assert_eq!(client_auth(&[0; 99]).map(|(kept, _)| kept.len()), Ok(CLIENT_AUTH_SIZE));
    }
}
