//! SSLCIPHERS: a protocol, a count, and so many ciphers, as ALG_IDs or as cipher suites of IANA.
//!
//! The two kinds of number do not collide: the ALG_ID of a cipher is 0x6600 to 0x69FF.

use super::buffers::{List, dword, dwords, to_bytes};
use super::protocols::SSL_PROTOCOL_TLS1;
use crate::error::{Code, Error, Result};
use crate::tls::suites::{self, Cipher, Suites};

pub(super) const CALG_AES_128: u32 = 0x660E;
pub(super) const CALG_AES_256: u32 = 0x6610;
/// AES with a key of any size.
pub(super) const CALG_AES: u32 = 0x6611;

/// The structure at the front, and the suites that it leaves.
pub fn accepted(input: &[u8]) -> Result<(&[u8], Suites)> {
    let list = CIPHERS.at_front(input)?;
    check_protocol(dword(list, "SSLCIPHERS")?)?;
    let listed: Vec<u32> = dwords(&list[8..]).collect();
    let suites = Suites::only(|suite| listed.iter().any(|&number| is_of(suite, number)))
        .ok_or_else(|| {
            invalid(
                "none of the ciphers in the list is safe and there: list CALG_AES_128 (0x660e), \
                 CALG_AES_256 (0x6610) or IANA numbers of cipher suites of TLS 1.2 with ECDHE and \
                 AEAD, or of TLS 1.3 (nothing was changed)"
                    .into(),
            )
        })?;
    Ok((list, suites))
}

/// Whether the dwProtocol at the front is one that has ciphers.
pub fn check_asked(input: &[u8]) -> Result<()> {
    check_protocol(dword(input, "SO_SSL_GET_CIPHERS")?)
}

/// What is offered if nothing was set; to set it changes nothing.
pub fn default() -> Vec<u8> {
    let without_alg_id = suites::numbers()
        .filter(|&suite| matches!(suites::parts(suite), Some((Cipher::ChaCha20, _))));
    let mut list = vec![CALG_AES_256, CALG_AES_128];
    list.extend(without_alg_id.map(u32::from));
    to_bytes(&[&[SSL_PROTOCOL_TLS1, list.len() as u32], &list[..]].concat())
}

const CIPHERS: List = List { name: "SSLCIPHERS", count_at: 4, entries_at: 8, entry_size: 4 };

fn is_of(suite: u16, listed: u32) -> bool {
    let cipher = suites::parts(suite).map(|(cipher, _)| cipher);
    match listed {
        CALG_AES_128 => cipher == Some(Cipher::Aes128),
        CALG_AES_256 => cipher == Some(Cipher::Aes256),
        CALG_AES => matches!(cipher, Some(Cipher::Aes128 | Cipher::Aes256)),
        number => number == u32::from(suite),
    }
}

fn check_protocol(protocol: u32) -> Result<()> {
    if protocol == SSL_PROTOCOL_TLS1 {
        return Ok(());
    }
    Err(invalid(format!(
        "dwProtocol is {protocol}: there are ciphers for SSL_PROTOCOL_TLS1 (4) alone (nothing was \
         changed)"
    )))
}

fn invalid(text: String) -> Error {
    Error { sys_errno: libc::EINVAL, ..Error::new(Code::INVALID, text) }
}

#[cfg(test)]
mod tests {
    use super::*;

    const RC4: u32 = 0x6801;
    const DES: u32 = 0x6601;

    fn count(protocol: u32, listed: &[u32]) -> Option<usize> {
        let bytes = to_bytes(&[&[protocol, listed.len() as u32], listed].concat());
        let (kept, restricted) = accepted(&bytes).ok()?;
        assert_eq!(kept, bytes);
        let provider = std::sync::Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        Some(restricted.restrict(&provider).cipher_suites.len())
    }

    #[test]
    fn suites_are_chosen_by_their_cipher_or_number() {
        for (listed, expected) in [
            (&[CALG_AES_128][..], Some(3)),
            (&[CALG_AES_256, RC4, CALG_AES_256], Some(3)),
            (&[CALG_AES], Some(6)),
            (&[CALG_AES_128, CALG_AES_256], Some(6)),
            (&[0x1303], Some(1)),
            (&[0xC02F, 0x1301, 0xCCA8], Some(3)),
            (&[CALG_AES, 0x1303, 0xCCA8, 0xCCA9], Some(9)),
            (&[RC4, DES], None),
            (&[0x0005, 0x1_1301, 0], None),
            (&[], None),
        ] {
            assert_eq!(count(SSL_PROTOCOL_TLS1, listed), expected, "{listed:x?}");
            assert_eq!(count(3, listed), None);
        }
    }

    #[test]
    fn what_is_on_at_first_is_everything() {
        assert_eq!(accepted(&default()), Ok((&default()[..], Suites::default())));
        assert_eq!(default().len(), 28);
    }

    #[test]
    fn a_count_beyond_the_buffer_is_refused() {
        for count in [2, 0x4000_0001, u32::MAX] {
            let bytes = to_bytes(&[SSL_PROTOCOL_TLS1, count, CALG_AES_128]);
            assert_eq!(accepted(&bytes).unwrap_err().sys_errno, libc::EFAULT, "{count}");
        }
        for length in 0..28 {
            assert_eq!(accepted(&default()[..length]).unwrap_err().sys_errno, libc::EFAULT);
        }
    }
}
