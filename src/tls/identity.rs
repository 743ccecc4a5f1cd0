//! The certificate chain and private key by which this side proves who it is.

use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::sync::Arc;

use aws_lc_rs::digest;
use rustls::crypto::aws_lc_rs::sign::any_supported_type;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::sign::CertifiedKey;

use zeroize::Zeroizing;

use crate::error::{Code, Error, Result, quote};
use crate::sys::file;

#[derive(Clone)]
pub struct Identity {
    certified_key: Arc<CertifiedKey>,
    key: [u8; 32],
}

impl Identity {
    /// `chain`: PEM certificates, leaf first; `private_key`: PEM, PKCS #8, PKCS #1 or SEC 1.
    pub fn from_pem(chain: &[u8], private_key: &[u8]) -> Result<Self> {
        let certificates = CertificateDer::pem_slice_iter(chain)
            .collect::<std::result::Result<Vec<_>, _>>()
            .map_err(|error| {
                bad_data(format!("the certificate chain is not valid PEM: {error}"))
            })?;
        if certificates.is_empty() {
            return Err(bad_data("the certificate chain holds no PEM certificate".into()));
        }
        if find(private_key, b"ENCRYPTED") {
            return Err(bad_data(
                "the private key is encrypted: decrypt it first, as with openssl pkey -in key.pem"
                    .into(),
            ));
        }
        let der = PrivateKeyDer::from_pem_slice(private_key)
            .map_err(|error| bad_data(format!("the private key is not valid PEM: {error}")))?;
        let signer = any_supported_type(&der)
            .map_err(|error| bad_data(format!("the private key cannot be used: {error}")))?;
        let mut digest = digest::Context::new(&digest::SHA256);
        for certificate in &certificates {
            digest.update(certificate);
        }
        digest.update(der.secret_der());
        let mut key = [0; 32];
        key.copy_from_slice(digest.finish().as_ref());
        let certified_key = CertifiedKey::new(certificates, signer);
        if let Err(rustls::Error::InconsistentKeys(rustls::InconsistentKeys::KeyMismatch)) =
            certified_key.keys_match()
        {
            return Err(bad_data(
                "the private key does not belong to the first certificate of the chain: put the \
                 leaf first"
                    .into(),
            ));
        }
        Ok(Self { certified_key: Arc::new(certified_key), key })
    }

    /// [`Self::from_pem`] with the contents of two files, which may be the same.
    pub fn from_files(chain: &Path, private_key: &Path) -> Result<Self> {
        let name = |what, path: &Path| format!("{what} {}", quote(path.as_os_str().as_bytes()));
        let chain = file::read(chain, &name("the certificate file", chain))?;
        let key = file::read(private_key, &name("the key file", private_key));
        let private_key = Zeroizing::new(key?);
        Self::from_pem(&chain, &private_key)
    }

    pub fn certified_key(&self) -> Arc<CertifiedKey> {
        self.certified_key.clone()
    }

    /// Equal for equal chains and keys.
    pub fn key(&self) -> [u8; 32] {
        self.key
    }
}

impl std::fmt::Debug for Identity {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Identity(..)")
    }
}

fn bad_data(text: String) -> Error {
    Error::new(Code::BAD_DATA, text)
}

fn find(haystack: &[u8], needle: &[u8]) -> bool {
    haystack.windows(needle.len()).any(|window| window == needle)
}
