//! Which cipher suites are offered, and what suites and groups consist of.

use std::sync::Arc;

use rustls::crypto::CryptoProvider;
use rustls::crypto::aws_lc_rs::DEFAULT_CIPHER_SUITES;
use rustls::{CipherSuite, NamedGroup};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cipher {
    Aes128,
    Aes256,
    ChaCha20,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Hash {
    Sha256,
    Sha384,
}

/// All suites that there are, or some of them.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Suites(Option<Arc<[u16]>>);

impl Suites {
    /// Those that are wanted; `None` if that is not one.
    pub fn only(is_wanted: impl Fn(u16) -> bool) -> Option<Self> {
        let wanted: Vec<u16> = numbers().filter(|&suite| is_wanted(suite)).collect();
        match wanted.len() {
            0 => None,
            count if count == DEFAULT_CIPHER_SUITES.len() => Some(Self::default()),
            _ => Some(Self(Some(wanted.into()))),
        }
    }

    /// The provider with these suites alone.
    pub fn restrict(&self, provider: &Arc<CryptoProvider>) -> Arc<CryptoProvider> {
        let Some(numbers) = &self.0 else { return provider.clone() };
        let mut restricted = CryptoProvider::clone(provider);
        restricted.cipher_suites.retain(|suite| numbers.contains(&suite.suite().into()));
        Arc::new(restricted)
    }
}

/// The IANA numbers of all suites, the preferred ones first.
pub fn numbers() -> impl Iterator<Item = u16> {
    DEFAULT_CIPHER_SUITES.iter().map(|suite| suite.suite().into())
}

/// The cipher of a suite and the hash of its key derivation; `None` for a suite that is not ours.
pub fn parts(suite: u16) -> Option<(Cipher, Hash)> {
    match CipherSuite::from(suite) {
        CipherSuite::TLS13_AES_128_GCM_SHA256
        | CipherSuite::TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256
        | CipherSuite::TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256 => {
            Some((Cipher::Aes128, Hash::Sha256))
        }
        CipherSuite::TLS13_AES_256_GCM_SHA384
        | CipherSuite::TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384
        | CipherSuite::TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384 => {
            Some((Cipher::Aes256, Hash::Sha384))
        }
        CipherSuite::TLS13_CHACHA20_POLY1305_SHA256
        | CipherSuite::TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256
        | CipherSuite::TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256 => {
            Some((Cipher::ChaCha20, Hash::Sha256))
        }
        _ => None,
    }
}

/// The size in bits of a group's elliptic curve; `None` for one that has no curve.
pub fn curve_bits(group: u16) -> Option<u32> {
    match NamedGroup::from(group) {
        NamedGroup::X25519 | NamedGroup::X25519MLKEM768 => Some(255),
        NamedGroup::secp256r1 | NamedGroup::secp256r1MLKEM768 => Some(256),
        NamedGroup::secp384r1 => Some(384),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_suite_and_group_is_known() {
        let provider = rustls::crypto::aws_lc_rs::default_provider();
        for suite in provider.cipher_suites {
            let parts = parts(suite.suite().into());
            let name = suite.suite().as_str().unwrap_or_default();
            let cipher = match parts {
                Some((Cipher::Aes128, Hash::Sha256)) => "AES_128_GCM_SHA256",
                Some((Cipher::Aes256, Hash::Sha384)) => "AES_256_GCM_SHA384",
                Some((Cipher::ChaCha20, Hash::Sha256)) => "CHACHA20_POLY1305_SHA256",
                other => panic!("{name}: {other:?}"),
            };
            assert!(name.ends_with(cipher), "{name}: {parts:?}");
        }
        for group in provider.kx_groups {
            assert!(curve_bits(group.name().into()).is_some(), "{:?}", group.name());
        }
        assert_eq!(parts(u16::from(CipherSuite::TLS_RSA_WITH_RC4_128_SHA)), None);
        assert_eq!(curve_bits(u16::from(NamedGroup::MLKEM768)), None);
    }

    #[test]
    fn a_restriction_that_leaves_everything_is_none() {
        assert_eq!(Suites::only(|_| true), Some(Suites::default()));
        assert_eq!(Suites::only(|_| false), None);
        let aes = |suite| parts(suite).is_some_and(|(cipher, _)| cipher != Cipher::ChaCha20);
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let restricted = Suites::only(aes).map(|suites| suites.restrict(&provider));
        assert_eq!(restricted.map(|provider| provider.cipher_suites.len()), Some(6));
        assert_eq!(Suites::default().restrict(&provider).cipher_suites.len(), 9);
    }
}
