//! The keys of which a peer must have one, whoever vouches for it.

use std::collections::BTreeSet;

use data_encoding::{BASE64, HEXLOWER_PERMISSIVE};

use super::report::{CAUSE_PIN, Finding};
use crate::error::{Code, Error, Result, quote};

/// Pinned keys, each as the SHA-256 of its SubjectPublicKeyInfo. Without any every key will do.
#[derive(Clone, Debug, Default)]
pub struct Pins {
    digests: BTreeSet<[u8; 32]>,
}

impl Pins {
    /// Reads pins that are separated by ';'.
    pub fn parse(text: &str) -> Result<Self> {
        let digests = text.split(';').map(|pin| digest(pin.trim_ascii())).collect::<Result<_>>()?;
        Ok(Self { digests })
    }

    pub fn is_empty(&self) -> bool {
        self.digests.is_empty()
    }

    pub fn digests(&self) -> impl Iterator<Item = &[u8; 32]> {
        self.digests.iter()
    }

    pub fn merge(&mut self, other: Self) {
        self.digests.extend(other.digests);
    }

    /// What is wrong with a key of this digest; `None` for one that cannot be read.
    pub(super) fn check(&self, key: Option<&[u8; 32]>) -> Option<Finding> {
        if self.is_empty() || key.is_some_and(|key| self.digests.contains(key)) {
            return None;
        }
        let text = match key {
            Some(key) => format!(
                "key of the certificate is not among the pinned ones: it is {} (add that with \
                 ssl_add_pin if you expect it)",
                written(key)
            ),
            None => "the peer has no key that can be read, so it is none of the pinned ones".into(),
        };
        Some(Finding::new(CAUSE_PIN, text))
    }
}

/// A pin as [`Pins::parse`] and curl read it.
fn written(digest: &[u8; 32]) -> String {
    format!("{BASE64_PREFIX}{}", BASE64.encode(digest))
}

fn digest(pin: &str) -> Result<[u8; 32]> {
    let decoded = match pin.strip_prefix(BASE64_PREFIX) {
        Some(base64) => BASE64.decode(base64.as_bytes()),
        None => HEXLOWER_PERMISSIVE.decode(pin.as_bytes()),
    };
    decoded.ok().and_then(|bytes| bytes.try_into().ok()).ok_or_else(|| {
        Error::new(
            Code::INVALID,
            format!(
                "{} is no pin: write \"{BASE64_PREFIX}\" and base64, or 64 hexadecimal digits, of \
                 the SHA-256 of the public key (not of the certificate), as of: openssl x509 -in \
                 FILE -noout -pubkey | openssl pkey -pubin -outform DER | openssl dgst -sha256",
                quote(pin.as_bytes())
            ),
        )
    })
}

const BASE64_PREFIX: &str = "sha256//";

#[cfg(test)]
mod tests {
    use super::*;

    const EMPTY: [u8; 32] = [
        0xe3, 0xb0, 0xc4, 0x42, 0x98, 0xfc, 0x1c, 0x14, 0x9a, 0xfb, 0xf4, 0xc8, 0x99, 0x6f, 0xb9,
        0x24, 0x27, 0xae, 0x41, 0xe4, 0x64, 0x9b, 0x93, 0x4c, 0xa4, 0x95, 0x99, 0x1b, 0x78, 0x52,
        0xb8, 0x55,
    ];
    const BASE64_EMPTY: &str = "sha256//47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=";
    const HEX_EMPTY: &str = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

    #[test]
    fn pins_are_read_in_base64_and_hexadecimal() {
        let zeros = format!("sha256//{}=", "A".repeat(43));
        for (text, expected) in [
            (BASE64_EMPTY.to_owned(), &[EMPTY][..]),
            (HEX_EMPTY.to_owned(), &[EMPTY]),
            (HEX_EMPTY.to_uppercase(), &[EMPTY]),
            (format!("{BASE64_EMPTY};{zeros}"), &[[0; 32], EMPTY]),
            (format!(" {zeros} ; {HEX_EMPTY}\n"), &[[0; 32], EMPTY]),
        ] {
            let found: Vec<_> = Pins::parse(&text).unwrap().digests().copied().collect();
            assert_eq!(found, expected, "{text}");
        }
        assert_eq!(written(&EMPTY), BASE64_EMPTY);
    }

    #[test]
    fn what_is_no_pin_is_refused_as_a_whole() {
        let colons = "e3:b0:c4:42:98:fc:1c:14:9a:fb:f4:c8:99:6f:b9:24";
        for text in [
            "".to_owned(),
            ";".to_owned(),
            format!("{BASE64_EMPTY};"),
            format!("{BASE64_EMPTY};junk"),
            "sha256//".to_owned(),
            BASE64_EMPTY.replace("//", "/"),
            BASE64_EMPTY.replace("sha256", "sha1"),
            BASE64_EMPTY.replace('=', ""),
            // Bits beyond the digest.
            BASE64_EMPTY.replace("FU=", "FV="),
            BASE64_EMPTY.replace("47", "4\n7"),
            format!("{BASE64_EMPTY}{BASE64_EMPTY}"),
            format!("sha256//{HEX_EMPTY}"),
            HEX_EMPTY[1..].to_owned(),
            format!("{HEX_EMPTY}00"),
            colons.to_owned(),
            "x".repeat(100_000),
        ] {
            let error = Pins::parse(&text).unwrap_err();
            assert_eq!(error.code, Code::INVALID);
            assert!(error.text.contains(" is no pin: write "), "{}", error.text);
            assert!(error.text.len() < 500);
        }
    }
}
