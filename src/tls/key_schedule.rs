//! The key schedule of TLS 1.3, which takes a third of what a resumed handshake hashes.
//!
//! aws-lc-rs's own HKDF begins from the secret, and often from what that was extracted from, for every
//! key that is derived. rustls's HKDF, here over aws-lc's HMAC, extracts each secret once and prepares
//! it as a key once.

use aws_lc_rs::hmac::{self, Context, Key};
use rustls::crypto::hmac::{Hmac, Tag};
use rustls::crypto::tls13::{Hkdf, HkdfUsingHmac};
use rustls::crypto::{CryptoProvider, aws_lc_rs as provider};
use rustls::{CipherSuiteCommon, SupportedCipherSuite, Tls13CipherSuite};

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
    let hkdf_provider: &dyn Hkdf = match common.hash_provider.output_len() {
        32 => &HkdfUsingHmac(&Digest(hmac::HMAC_SHA256)),
        48 => &HkdfUsingHmac(&Digest(hmac::HMAC_SHA384)),
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

/// HMAC with the hash of a suite, as aws-lc has it.
struct Digest(hmac::Algorithm);

impl Hmac for Digest {
    fn with_key(&self, key: &[u8]) -> Box<dyn rustls::crypto::hmac::Key> {
        Box::new(Prepared(Key::new(self.0, key)))
    }

    fn hash_output_len(&self) -> usize {
        self.0.tag_len()
    }
}

/// A key, prepared once.
struct Prepared(Key);

impl rustls::crypto::hmac::Key for Prepared {
    fn sign_concat(&self, first: &[u8], middle: &[&[u8]], last: &[u8]) -> Tag {
        let mut context = Context::with_key(&self.0);
        context.update(first);
        middle.iter().for_each(|part| context.update(part));
        context.update(last);
        Tag::new(context.sign().as_ref())
    }

    fn tag_len(&self) -> usize {
        self.0.algorithm().tag_len()
    }
}

/// A child may have been forked while another thread was making them.
static SUITES: PerProcess<Vec<Tls13CipherSuite>> = PerProcess::new();

#[cfg(test)]
mod tests {
    use rustls::crypto::tls13::HkdfExpander;

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
