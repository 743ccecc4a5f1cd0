//! SSLPROTOCOLS: a count, and so many entries of dwProtocol, dwVersion and dwFlags.

use super::buffers::{List, dwords, to_bytes};
use crate::error::{Code, Error, Result};

/// TLS: the versions that are safe.
pub(super) const SSL_PROTOCOL_TLS1: u32 = 4;

/// The structure at the front, if it allows what there is.
pub fn accepted(input: &[u8]) -> Result<&[u8]> {
    let list = PROTOCOLS.at_front(input)?;
    let mut protocols = dwords(&list[4..]).step_by(3);
    if protocols.len() == 0 {
        return Err(refused("there is no protocol in the list"));
    }
    if !protocols.any(|protocol| protocol == SSL_PROTOCOL_TLS1) {
        return Err(refused("PCT 1, SSL 2 and SSL 3 are not safe and not there"));
    }
    Ok(list)
}

/// What is on if nothing was set.
pub fn default() -> Vec<u8> {
    to_bytes(&[1, SSL_PROTOCOL_TLS1, 0, 0])
}

const PROTOCOLS: List = List { name: "SSLPROTOCOLS", count_at: 0, entries_at: 4, entry_size: 12 };

fn refused(why: &str) -> Error {
    let text = format!("{why}: list SSL_PROTOCOL_TLS1 (4), TLS 1.2 and 1.3 (nothing was changed)");
    Error { sys_errno: libc::EINVAL, ..Error::new(Code::INVALID, text) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_has_to_allow_tls() {
        for (list, is_accepted) in [
            (&[1, 4, 0, 0][..], true),
            (&[1, 4, 0x301, 7], true),
            (&[3, 2, 0, 0, 3, 0, 0, 4, 0, 0], true),
            (&[2, 99, 0, 0, 4, 0, 0], true),
            (&[0, 4, 0, 0], false),
            (&[1, 3, 0, 0, 4, 0, 0], false),
            (&[1, 3, 4, 4], false),
            (&[3, 1, 0, 0, 2, 0, 0, 3, 0, 0], false),
            (&[1, 0x80, 0, 0], false),
        ] {
            let bytes = to_bytes(list);
            let outcome = accepted(&bytes);
            assert_eq!(outcome.is_ok(), is_accepted, "{list:?}");
            assert!(
                outcome.is_ok_and(|kept| kept.len() == 4 + list[0] as usize * 12) == is_accepted
            );
        }
        assert_eq!(accepted(&default()), Ok(&default()[..]));
    }

    #[test]
    fn a_count_beyond_the_buffer_is_refused() {
        for count in [2, 3, 0x1555_5556, u32::MAX / 12, u32::MAX] {
            let error = accepted(&to_bytes(&[count, 4, 0, 0])).unwrap_err();
            assert_eq!((error.code, error.sys_errno), (Code::INVALID, libc::EFAULT), "{count}");
        }
        for length in 0..16 {
            let error = accepted(&default()[..length]).unwrap_err();
            assert_eq!((error.code, error.sys_errno), (Code::INVALID, libc::EFAULT), "{length}");
        }
    }
}
