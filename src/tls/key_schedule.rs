//! HKDF for the key schedule of TLS 1.3, which takes a third of what a resumed handshake hashes.
//!
//! The provider's own begins from the secret, and often from what that was extracted from, for every
//! key that is derived. Here each secret is extracted once and prepared as a key of HMAC once.

use aws_lc_rs::hmac::{self, Key};
use rustls::crypto::tls13::{Hkdf, HkdfExpander, OkmBlock, OutputLengthError};
use rustls::crypto::{CryptoProvider, aws_lc_rs as provider};
use rustls::{CipherSuiteCommon, SupportedCipherSuite, Tls13CipherSuite};
use zeroize::Zeroizing;

use crate::sys::process::PerProcess;

/// rustls's provider on aws-lc, with this key schedule.
pub(super) fn provider() -> CryptoProvider {
    let mut provider = provider::default_provider();
    let suites = SUITES.get_or_init(|| provider.cipher_suites.iter().filter_map(ours).collect());
    for suite in &mut provider.cipher_suites {
        if let Some(ours) = suites.iter().find(|ours| ours.common.suite == suite.suite()) {
            *suite = SupportedCipherSuite::Tls13(ours);
        }
    }
    provider
}

/// A suite of TLS 1.3 with the other key schedule.
fn ours(suite: &SupportedCipherSuite) -> Option<Tls13CipherSuite> {
    let SupportedCipherSuite::Tls13(suite) = suite else { return None };
    let common = &suite.common;
    let hkdf_provider: &Hmac = match common.hash_provider.output_len() {
        32 => &Hmac(hmac::HMAC_SHA256),
        48 => &Hmac(hmac::HMAC_SHA384),
        _ => return None,
    };
    Some(Tls13CipherSuite {
        common: CipherSuiteCommon {
            suite: common.suite,
            hash_provider: common.hash_provider,
            confidentiality_limit: common.confidentiality_limit,
        },
        hkdf_provider,
        aead_alg: suite.aead_alg,
        quic: suite.quic,
    })
}

/// By the hash of a suite.
struct Hmac(hmac::Algorithm);

impl Hmac {
    fn length(&self) -> usize {
        self.0.tag_len()
    }

    /// HKDF-Extract.
    fn extract(&self, salt: Option<&[u8]>, secret: &[u8]) -> Box<dyn HkdfExpander> {
        let zeroes = &[0; OkmBlock::MAX_LEN][..self.length()];
        let mut block = empty();
        let secret = sign(&Key::new(self.0, salt.unwrap_or(zeroes)), secret, &mut block);
        Box::new(Secret(Key::new(self.0, secret)))
    }
}

impl Hkdf for Hmac {
    fn extract_from_zero_ikm(&self, salt: Option<&[u8]>) -> Box<dyn HkdfExpander> {
        self.extract(salt, &[0; OkmBlock::MAX_LEN][..self.length()])
    }

    fn extract_from_secret(&self, salt: Option<&[u8]>, secret: &[u8]) -> Box<dyn HkdfExpander> {
        self.extract(salt, secret)
    }

    fn expander_for_okm(&self, okm: &OkmBlock) -> Box<dyn HkdfExpander> {
        Box::new(Secret(Key::new(self.0, okm.as_ref())))
    }

    fn hmac_sign(&self, key: &OkmBlock, message: &[u8]) -> rustls::crypto::hmac::Tag {
        let mut block = empty();
        rustls::crypto::hmac::Tag::new(sign(&Key::new(self.0, key.as_ref()), message, &mut block))
    }
}

/// What keys are derived from.
struct Secret(Key);

impl Secret {
    /// One block of HKDF-Expand.
    fn block<'block>(
        &self,
        previous: &[u8],
        info: &[&[u8]],
        number: u8,
        block: &'block mut Block,
    ) -> &'block [u8] {
        let length = info.iter().map(|part| part.len()).sum::<usize>() + previous.len() + 1;
        let mut message = Zeroizing::new(Vec::with_capacity(length));
        message.extend_from_slice(previous);
        info.iter().for_each(|part| message.extend_from_slice(part));
        message.push(number);
        sign(&self.0, &message, block)
    }
}

impl HkdfExpander for Secret {
    fn expand_slice(&self, info: &[&[u8]], output: &mut [u8]) -> Result<(), OutputLengthError> {
        if output.len() > usize::from(u8::MAX) * self.hash_len() {
            return Err(OutputLengthError);
        }
        let mut previous = Zeroizing::new(Vec::new());
        for (number, part) in (1..=u8::MAX).zip(output.chunks_mut(self.hash_len())) {
            let mut block = empty();
            let made = self.block(&previous, info, number, &mut block);
            part.copy_from_slice(&made[..part.len()]);
            previous = Zeroizing::new(made.to_vec());
        }
        Ok(())
    }

    fn expand_block(&self, info: &[&[u8]]) -> OkmBlock {
        OkmBlock::new(self.block(&[], info, 1, &mut empty()))
    }

    fn hash_len(&self) -> usize {
        self.0.algorithm().tag_len()
    }
}

type Block = Zeroizing<[u8; OkmBlock::MAX_LEN]>;

fn empty() -> Block {
    Zeroizing::new([0; OkmBlock::MAX_LEN])
}

fn sign<'block>(key: &Key, message: &[u8], block: &'block mut Block) -> &'block [u8] {
    // There is room for any tag; nothing else can fail, and nothing may be made up instead.
    hmac::sign_to_buffer(key, message, &mut block[..]).unwrap_or_else(|_| unreachable!("HMAC"))
}

/// A child may have been forked while another thread was making them.
static SUITES: PerProcess<Vec<Tls13CipherSuite>> = PerProcess::new();

#[cfg(test)]
mod tests {
    use super::*;

    /// The key schedules of a suite, the library's and that of rustls's provider.
    fn both() -> Vec<(&'static dyn Hkdf, &'static dyn Hkdf)> {
        let (ours, theirs) = (provider(), provider::default_provider());
        let suites = ours.cipher_suites.iter().zip(&theirs.cipher_suites);
        let pairs: Vec<_> = suites
            .filter_map(|(ours, theirs)| match (ours, theirs) {
                (SupportedCipherSuite::Tls13(ours), SupportedCipherSuite::Tls13(theirs)) => {
                    assert_eq!(ours.common.suite, theirs.common.suite);
                    assert!(!std::ptr::eq(*ours, *theirs), "{:?}", ours.common.suite);
                    Some((ours.hkdf_provider, theirs.hkdf_provider))
                }
                (ours, theirs) => {
                    assert_eq!(ours, theirs);
                    None
                }
            })
            .collect();
        assert_eq!(pairs.len(), 3);
        pairs
    }

    fn assert_same(ours: &dyn HkdfExpander, theirs: &dyn HkdfExpander) {
        let length = ours.hash_len();
        assert_eq!(length, theirs.hash_len());
        let long: [&[u8]; 4] = [b"a long label, and then", &[7; 300], b"", b"end"];
        for info in [&[][..], &[&b"label"[..]], &long] {
            assert_eq!(ours.expand_block(info).as_ref(), theirs.expand_block(info).as_ref());
            let most = 255 * length;
            for count in [0, 1, 12, 32, length, length + 1, 3 * length, most, most + 1] {
                let [mut one, mut other] = [(); 2].map(|()| vec![0; count]);
                let made = ours.expand_slice(info, &mut one);
                assert_eq!(made.is_ok(), theirs.expand_slice(info, &mut other).is_ok());
                assert_eq!(made.is_ok(), count <= most);
                assert_eq!(one, other, "{count}");
            }
        }
    }

    #[test]
    fn what_is_derived_is_what_the_provider_derives() {
        for (ours, theirs) in both() {
            for salt in [None, Some(&b"salt"[..]), Some(&[9; 200])] {
                let extracted = [ours, theirs].map(|one| one.extract_from_zero_ikm(salt));
                assert_same(&*extracted[0], &*extracted[1]);
                for secret in [&b""[..], &[1; 32], &[2; 500]] {
                    let extracted = [ours, theirs].map(|one| one.extract_from_secret(salt, secret));
                    assert_same(&*extracted[0], &*extracted[1]);
                }
            }
            let okm = ours.extract_from_zero_ikm(None).expand_block(&[b"okm"]);
            let expanders = [ours, theirs].map(|one| one.expander_for_okm(&okm));
            assert_same(&*expanders[0], &*expanders[1]);
            for message in [&b""[..], &[3; 48]] {
                let [one, other] = [ours, theirs].map(|one| one.hmac_sign(&okm, message));
                assert_eq!(one.as_ref(), other.as_ref());
            }
        }
    }
}
