//! Servers that show whatever certificate a test wants, with whatever key.

use std::path::PathBuf;
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use rustls::SupportedProtocolVersion;
use rustls::crypto::aws_lc_rs::{default_provider, sign::any_supported_type};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;

use super::pki::Certified;

/// A server that does not mind what the certificate is, nor whose the key.
pub fn server_showing(
    chain: &str,
    key: &str,
    versions: &[&'static SupportedProtocolVersion],
) -> Arc<rustls::ServerConfig> {
    let key = PrivateKeyDer::from_pem_slice(key.as_bytes()).unwrap();
    let certified = CertifiedKey::new(ders(chain), any_supported_type(&key).unwrap());
    let config = rustls::ServerConfig::builder_with_provider(Arc::new(default_provider()))
        .with_protocol_versions(versions)
        .unwrap()
        .with_no_client_auth()
        .with_cert_resolver(Arc::new(Always(Arc::new(certified))));
    Arc::new(config)
}

/// The certificates in a PEM text.
pub fn ders(pem: &str) -> Vec<CertificateDer<'static>> {
    CertificateDer::pem_slice_iter(pem.as_bytes()).collect::<Result<_, _>>().unwrap()
}

/// What `openssl req -x509` makes when it is told no more than it must be: CA:TRUE.
pub fn openssl_ca_as_leaf(host: &str) -> Certified {
    let (subject, names) = (format!("/CN={host}"), format!("subjectAltName=DNS:{host}"));
    let fixed = ["req", "-x509", "-nodes", "-newkey", "rsa:2048", "-keyout", "key", "-days", "9"];
    let directory = Directory::new();
    let chain = directory.openssl(&[&fixed[..], &["-subj", &subject, "-addext", &names]].concat());
    Certified { chain, key: directory.read("key") }
}

/// `openssl x509 -req` without extensions makes version 1.
pub fn openssl_version_1(host: &str) -> Certified {
    let directory = Directory::new();
    let subject = format!("/CN={host}");
    let request = ["req", "-new", "-nodes", "-newkey", "rsa:2048", "-keyout", "key", "-subj"];
    directory.openssl(&[&request[..], &[&subject, "-out", "request"]].concat());
    let sign = ["x509", "-req", "-in", "request", "-signkey", "key", "-days", "9"];
    Certified { chain: directory.openssl(&sign), key: directory.read("key") }
}

#[derive(Debug)]
struct Always(Arc<CertifiedKey>);

impl ResolvesServerCert for Always {
    fn resolve(&self, _: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(self.0.clone())
    }
}

/// A new directory that goes with what is in it.
pub struct Directory(PathBuf);

impl Directory {
    #[allow(clippy::new_without_default)]
    pub fn new() -> Self {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let name = format!("sslsock-fixtures-{}-{number}", std::process::id());
        let directory = std::env::temp_dir().join(name);
        std::fs::create_dir(&directory).unwrap();
        Self(directory)
    }

    pub fn openssl(&self, arguments: &[&str]) -> String {
        let output = Command::new("openssl").args(arguments).current_dir(&self.0).output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap()
    }

    /// With arguments that are written as in a shell, without quotes.
    pub fn run(&self, arguments: &str) {
        self.openssl(&arguments.split_whitespace().collect::<Vec<_>>());
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }

    pub fn bytes(&self, name: &str) -> Vec<u8> {
        std::fs::read(self.0.join(name)).unwrap()
    }

    fn read(&self, name: &str) -> String {
        std::fs::read_to_string(self.0.join(name)).unwrap()
    }
}

impl Drop for Directory {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}
