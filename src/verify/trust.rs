//! Whom to believe: the sources of trust anchors.

use std::collections::BTreeMap;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::sync::{Arc, OnceLock};

use aws_lc_rs::digest;
use rustls::RootCertStore;
use rustls::pki_types::pem::{PemObject, SectionKind};
use rustls::pki_types::{CertificateDer, TrustAnchor};

use super::facts::Facts;
use super::pem::{damage, describe, without_mark};
use super::pins::Pins;
use super::revocation::Lists;
use crate::error::{Code, Error, Result, quote};
use crate::sys::{file, process};

/// Trust sources. The default is the built-in list of public roots (webpki-roots); the first
/// `add_*` call replaces it, later ones add. With them goes what narrows them: pins and revocation
/// lists. Copies share what they hold until one is changed.
#[derive(Clone, Default)]
pub struct Trust(Arc<Content>);

#[derive(Clone, Default)]
struct Content {
    /// By their digest, so that order and repetition make no difference to [`Trust::key`].
    /// Nothing in it stands for the built-in roots: no `add_*` call succeeds with nothing.
    added: BTreeMap<[u8; 32], TrustAnchor<'static>>,
    /// The certificates that `added` comes from, by their digest, for programs that look at them.
    certificates: BTreeMap<[u8; 32], CertificateDer<'static>>,
    /// Why there is nothing in it although something was asked for.
    failed: Option<Error>,
    pins: Pins,
    failed_pins: Option<Error>,
    lists: Lists,
    failed_lists: Option<Error>,
    /// [`Trust::key`], once it has been asked for.
    key: OnceLock<[u8; 32]>,
}

impl Trust {
    /// An error if other trust than the built-in roots, a pin or a revocation list was asked for
    /// and could not be had: a program that did not look at that result must not end up believing
    /// more than it wanted.
    pub fn check(&self) -> Result<()> {
        let failed = [&self.0.failed, &self.0.failed_pins, &self.0.failed_lists];
        failed.into_iter().flatten().next().cloned().map_or(Ok(()), Err)
    }

    /// Whether other trust than the built-in roots was asked for.
    pub fn is_explicit(&self) -> bool {
        !self.0.added.is_empty() || self.0.failed.is_some()
    }

    /// Remembers that an `add_*` call failed, until one succeeds.
    pub fn note_failure(&mut self, error: &Error) {
        if self.0.added.is_empty() {
            self.change().failed = Some(missing("the trust", error));
        }
    }

    /// Adds pins. That there are none although some were meant is remembered until there are.
    pub fn add_pins(&mut self, parsed: Result<Pins>) -> Result<()> {
        match parsed {
            Ok(pins) => {
                let content = self.change();
                content.pins.merge(pins);
                content.failed_pins = None;
                Ok(())
            }
            Err(error) => {
                if self.0.pins.is_empty() {
                    self.change().failed_pins = Some(missing("the pin", &error));
                }
                Err(error)
            }
        }
    }

    pub fn clear_pins(&mut self) {
        let content = self.change();
        content.pins = Pins::default();
        content.failed_pins = None;
    }

    /// Adds revocation lists; a failure as with pins.
    pub fn add_lists(&mut self, loaded: Result<Lists>) -> Result<()> {
        match loaded {
            Ok(lists) => {
                let content = self.change();
                content.lists.merge(lists);
                content.failed_lists = None;
                Ok(())
            }
            Err(error) => {
                if self.0.lists.is_empty() {
                    self.change().failed_lists = Some(missing("the revocation list", &error));
                }
                Err(error)
            }
        }
    }

    /// Adds every CERTIFICATE block of `pem`, or the one certificate that it is in DER. On an error
    /// nothing is changed.
    ///
    /// Blocks of other kinds are passed over. So are certificates that can be no trust anchor, as
    /// long as there is another that can: bundles carry some ancient ones.
    pub fn add_pem(&mut self, pem: &[u8]) -> Result<()> {
        self.add(pem, "the trusted certificates")
    }

    /// Adds what is in the file at `path`, as [`Trust::add_pem`].
    pub fn add_file(&mut self, path: &Path) -> Result<()> {
        let name = format!("the trust file {}", quote(path.as_os_str().as_bytes()));
        self.add(&file::read(path, &name)?, &name)
    }

    /// Adds what is in the files of a directory and where its links lead, as c_rehash makes them.
    ///
    /// What holds no certificate or cannot be read is passed over: fewer are trusted for it. An
    /// error if nothing is left.
    pub fn add_directory(&mut self, path: &Path) -> Result<()> {
        let name = format!("the trust directory {}", quote(path.as_os_str().as_bytes()));
        let mut files = 0_usize;
        let mut reason = None;
        let mut found = Self::default();
        for path in file::in_directory(path, &name)? {
            files += 1;
            if let Err(error) = found.add_file(&path) {
                reason = reason.or(Some(error.text));
            }
        }
        if found.0.added.is_empty() {
            let detail = match (files, reason) {
                (1.., Some(reason)) => {
                    format!("none of its {files} files holds a certificate; the first: {reason}")
                }
                _ => "there is no file in it (those of its sub-directories do not count)".into(),
            };
            return Err(Error::new(Code::BAD_DATA, format!("{name}: {detail}")));
        }
        let (found, content) = (found.change(), self.change());
        content.added.append(&mut found.added);
        content.certificates.append(&mut found.certificates);
        Ok(())
    }

    /// Adds the roots of the operating system, which `SSL_CERT_FILE` and `SSL_CERT_DIR` override.
    pub fn add_system(&mut self) -> Result<()> {
        if process::runs_with_foreign_rights()
            && VARIABLES.iter().any(|name| std::env::var_os(name).is_some())
        {
            return Err(Error::new(
                Code::STATE,
                "the system's trust store is not read while SSL_CERT_FILE or SSL_CERT_DIR is set \
                 in a program that runs with more rights than its user: whoever starts it could \
                 choose whom it trusts",
            ));
        }
        let found = rustls_native_certs::load_native_certs();
        if !self.extend(found.certs) {
            let detail = match found.errors.first() {
                Some(error) => format!(" ({})", quote(error.to_string().as_bytes())),
                None => String::new(),
            };
            return Err(Error::new(
                Code::IO,
                format!(
                    "the system has no trusted certificates{detail}: install the package \
                     ca-certificates, or set SSL_CERT_FILE to a PEM file"
                ),
            ));
        }
        Ok(())
    }

    /// Adds what was collected elsewhere, so that a slow file need not be read under a lock.
    pub fn merge(&mut self, other: Self) {
        let (other, content) = (Arc::unwrap_or_clone(other.0), self.change());
        content.added.extend(other.added);
        content.certificates.extend(other.certificates);
        content.failed = None;
    }

    /// The trusted certificates as a whole; none if those that were asked for could not be had.
    pub fn certificates(&self) -> Vec<CertificateDer<'static>> {
        if self.0.failed.is_some() {
            return Vec::new();
        }
        match self.0.added.is_empty() {
            true => webpki_root_certs::TLS_SERVER_ROOT_CERTS.to_vec(),
            false => self.0.certificates.values().cloned().collect(),
        }
    }

    /// A digest of the content, pins and revocation lists included: equal trust has an equal key,
    /// whatever the order of the calls.
    pub fn key(&self) -> [u8; 32] {
        *self.0.key.get_or_init(|| self.0.digest())
    }

    pub(super) fn pins(&self) -> &Pins {
        &self.0.pins
    }

    pub(super) fn lists(&self) -> &Lists {
        &self.0.lists
    }

    pub(super) fn roots(&self) -> Arc<RootCertStore> {
        Arc::new(match self.0.added.is_empty() {
            true => webpki_roots::TLS_SERVER_ROOTS.iter().cloned().collect(),
            false => self.0.added.values().cloned().collect(),
        })
    }

    fn add(&mut self, content: &[u8], source: &str) -> Result<()> {
        let content = without_mark(content);
        let bad = |what: &str| Err(Error::new(Code::BAD_DATA, format!("{source}: {what}")));
        if Facts::parse(content).is_some() {
            let der = CertificateDer::from(content.to_vec());
            return match self.extend(vec![der]) {
                true => Ok(()),
                false => bad("this certificate is of a kind that cannot be trusted"),
            };
        }

        let mut certificates = 0_usize;
        let mut other = None;
        let mut blocks = Vec::new();
        for section in <(SectionKind, Vec<u8>)>::pem_slice_iter(content) {
            match section {
                Ok((SectionKind::Certificate, der)) => {
                    certificates += 1;
                    blocks.push(CertificateDer::from(der));
                }
                Ok((kind, _)) => other = other.or(Some(kind)),
                Err(error) => {
                    return bad(&format!("a PEM block is damaged: {}", damage(&error)));
                }
            }
        }
        if !self.extend(blocks) {
            return match (certificates, other) {
                (1.., _) => bad("what stands in the CERTIFICATE block is no certificate"),
                (0, Some(kind)) => bad(&format!("{} but no certificate", describe(kind))),
                (0, None) => bad(what_else(content)),
            };
        }
        Ok(())
    }

    fn change(&mut self) -> &mut Content {
        let content = Arc::make_mut(&mut self.0);
        content.key = OnceLock::new();
        content
    }

    /// Adds those that can be trust anchors; false if none of them can.
    fn extend(&mut self, certificates: Vec<CertificateDer<'static>>) -> bool {
        let mut extended = false;
        for certificate in certificates {
            let Some(anchor) = anchor(&certificate) else { continue };
            extended = true;
            let content = self.change();
            content.added.insert(digest_of(&anchor), anchor);
            content.certificates.insert(digest(&certificate), certificate);
        }
        extended
    }
}

impl Content {
    fn digest(&self) -> [u8; 32] {
        let mut context = digest::Context::new(&digest::SHA256);
        let mut add = |part: &[u8], digests: &mut dyn Iterator<Item = &[u8; 32]>| {
            context.update(part);
            let digests: Vec<_> = digests.collect();
            // The number keeps the parts apart.
            context.update(&(digests.len() as u64).to_be_bytes());
            digests.into_iter().for_each(|digest| context.update(digest));
        };
        let roots: &[u8] = if self.added.is_empty() { b"built-in" } else { b"explicit" };
        add(roots, &mut self.added.keys());
        add(b"pins", &mut self.pins.digests());
        add(b"lists", &mut self.lists.digests());
        finish(context)
    }
}

fn missing(what: &str, error: &Error) -> Error {
    Error { text: format!("{what} that was asked for is missing: {}", error.text), ..error.clone() }
}

fn anchor(certificate: &CertificateDer<'_>) -> Option<TrustAnchor<'static>> {
    webpki::anchor_from_trusted_cert(certificate).ok().map(|anchor| anchor.to_owned())
}

fn digest_of(anchor: &TrustAnchor<'_>) -> [u8; 32] {
    let mut context = digest::Context::new(&digest::SHA256);
    let constraints = anchor.name_constraints.as_ref().map(AsRef::as_ref);
    for part in [Some(anchor.subject.as_ref()), Some(&anchor.subject_public_key_info), constraints]
    {
        match part {
            // The length in front keeps the parts apart.
            Some(part) => {
                context.update(&(part.len() as u64).to_be_bytes());
                context.update(part);
            }
            None => context.update(&u64::MAX.to_be_bytes()),
        }
    }
    finish(context)
}

pub(super) fn digest(content: &[u8]) -> [u8; 32] {
    let mut context = digest::Context::new(&digest::SHA256);
    context.update(content);
    finish(context)
}

fn finish(context: digest::Context) -> [u8; 32] {
    let mut key = [0; 32];
    key.copy_from_slice(context.finish().as_ref());
    key
}

/// What a file without any PEM block that we know may be.
fn what_else(content: &[u8]) -> &'static str {
    match content {
        [] => "empty",
        [0xff, 0xfe, ..] | [0xfe, 0xff, ..] => "UTF-16 text: save it as ASCII or UTF-8",
        [0x30, 0x80..=0x84, ..] => {
            "binary, but no certificate in DER (perhaps PKCS #7 or PKCS #12): convert it to PEM \
             with openssl pkcs7 -print_certs or openssl pkcs12 -nokeys"
        }
        _ if content.windows(26).any(|part| part == b"BEGIN TRUSTED CERTIFICATE-") => {
            "an OpenSSL TRUSTED CERTIFICATE: convert it with openssl x509 -in FILE -out FILE.pem"
        }
        _ if content.windows(12).any(|part| part == b"BEGIN PKCS7-") => {
            "PKCS #7: convert it with openssl pkcs7 -print_certs -in FILE -out FILE.pem"
        }
        _ => "no PEM block (-----BEGIN CERTIFICATE-----) in it",
    }
}

const VARIABLES: [&str; 2] = ["SSL_CERT_FILE", "SSL_CERT_DIR"];
#[cfg(test)]
mod tests {
    use super::*;
    use crate::verify::tests::fixtures::Directory;

    #[test]
    fn equal_trust_has_an_equal_key() {
        let (a, b) = (root("A"), root("B"));
        let key = |parts: &[&str]| {
            let mut trust = Trust::default();
            parts.iter().for_each(|part| trust.add_pem(part.as_bytes()).unwrap());
            trust.key()
        };
        assert_eq!(key(&[]), Trust::default().key());
        assert_eq!(key(&[&a, &b]), key(&[&b, &a, &a]));
        assert_eq!(key(&[&a, &b]), key(&[&format!("{a}{b}")]));
        assert_ne!(key(&[&a]), key(&[&b]));
        assert_ne!(key(&[&a]), key(&[&root("A")]), "the same name with another key");
        assert_ne!(key(&[&a]), key(&[&a, &b]));
        assert_ne!(key(&[&a]), key(&[]));
    }

    #[test]
    fn the_first_addition_replaces_the_built_in_roots() {
        let mut trust = Trust::default();
        assert_eq!(trust.roots().len(), webpki_roots::TLS_SERVER_ROOTS.len());
        trust.add_pem(root("A").as_bytes()).unwrap();
        assert_eq!(trust.roots().len(), 1);
        trust.add_pem(root("B").as_bytes()).unwrap();
        assert_eq!(trust.roots().len(), 2);
    }

    #[test]
    fn the_certificates_are_kept_whole() {
        let mut trust = Trust::default();
        assert_eq!(trust.certificates().len(), webpki_roots::TLS_SERVER_ROOTS.len());
        let (a, b) = (root("A"), root("B"));
        trust.add_pem(format!("{a}{b}{a}").as_bytes()).unwrap();
        let mut expected =
            [&a, &b].map(|pem| CertificateDer::from_pem_slice(pem.as_bytes()).unwrap());
        let mut found = trust.certificates();
        expected.sort_by(|a, b| a.as_ref().cmp(b));
        found.sort_by(|a, b| a.as_ref().cmp(b));
        assert_eq!(found, expected);

        let mut trust = Trust::default();
        trust.note_failure(&Error::new(Code::IO, "no such file"));
        assert_eq!(trust.certificates(), Vec::new());
        let mut loaded = Trust::default();
        loaded.add_pem(a.as_bytes()).unwrap();
        trust.merge(loaded);
        assert_eq!(trust.certificates().len(), 1);
    }

    #[test]
    fn what_holds_no_certificate_is_refused_and_changes_nothing() {
        let pem = root("A");
        let der = CertificateDer::from_pem_slice(pem.as_bytes()).unwrap();
        let key = rcgen::KeyPair::generate().unwrap().serialize_pem();
        let cut = pem.split("-----END").next().unwrap().to_owned();
        let block = |label: &str| format!("-----BEGIN {label}-----\nAAAA\n-----END {label}-----\n");
        for (content, text) in [
            (b"".to_vec(), "empty"),
            (b"hello".to_vec(), "no PEM block (-----BEGIN CERTIFICATE-----) in it"),
            (key.into_bytes(), "a private key but no certificate"),
            (block("PUBLIC KEY").into_bytes(), "a public key but no certificate"),
            (block("CERTIFICATE REQUEST").into_bytes(), "a certificate request but no certificate"),
            (
                block("CERTIFICATE").into_bytes(),
                "what stands in the CERTIFICATE block is no certificate",
            ),
            (
                block("PKCS7").into_bytes(),
                "PKCS #7: convert it with openssl pkcs7 -print_certs -in FILE -out FILE.pem",
            ),
            (
                block("TRUSTED CERTIFICATE").into_bytes(),
                "an OpenSSL TRUSTED CERTIFICATE: convert it with \
                 openssl x509 -in FILE -out FILE.pem",
            ),
            (der[..der.len() - 1].to_vec(), BINARY),
            ([&der[..], b"x"].concat(), BINARY),
            (b"\x30\x82\x01\x00rest".to_vec(), BINARY),
            (b"\xff\xfe-\0-\0".to_vec(), "UTF-16 text: save it as ASCII or UTF-8"),
            (cut.into_bytes(), "a PEM block is damaged: it has no END line"),
        ] {
            let mut trust = Trust::default();
            let error = trust.add_pem(&content).unwrap_err();
            assert_eq!(error.code, Code::BAD_DATA);
            assert_eq!(error.text, format!("the trusted certificates: {text}"));
            assert_eq!(trust.key(), Trust::default().key());
        }
    }

    #[test]
    fn certificates_are_found_between_other_things() {
        let key = rcgen::KeyPair::generate().unwrap().serialize_pem();
        let junk = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
        let pem = format!("\u{feff}{}\r\nsubject: A\n{key}{junk}{}", root("A"), root("B"));
        let mut trust = Trust::default();
        trust.add_pem(pem.as_bytes()).unwrap();
        assert_eq!(trust.roots().len(), 2);
    }

    #[test]
    fn one_certificate_may_be_in_der() {
        let (mut pem, mut der) = (Trust::default(), Trust::default());
        let root = root("A");
        pem.add_pem(root.as_bytes()).unwrap();
        der.add_pem(&CertificateDer::from_pem_slice(root.as_bytes()).unwrap()).unwrap();
        assert_eq!(der.key(), pem.key());
        assert_eq!(der.certificates(), pem.certificates());
    }

    #[test]
    fn a_directory_is_trusted_with_its_files_and_links_and_nothing_below() {
        let directory = Directory::temporary();
        let path = |name: &str| directory.0.join(name);
        let error = Trust::default().add_directory(&directory.0).unwrap_err();
        assert_eq!(error.code, Code::BAD_DATA);
        assert!(
            error.text.ends_with(
                "\": there is no file in it (those of its sub-directories do not count)"
            )
        );

        let [a, b, c, below] = ["A", "B", "C", "Below"].map(root);
        std::fs::write(path("note.txt"), "hello").unwrap();
        std::fs::create_dir(path("sub")).unwrap();
        std::fs::write(path("sub/below.pem"), &below).unwrap();
        rustix::fs::mkfifoat(rustix::fs::CWD, path("fifo"), rustix::fs::Mode::RUSR).unwrap();
        std::os::unix::fs::symlink("nowhere", path("dangling.0")).unwrap();
        let error = Trust::default().add_directory(&directory.0).unwrap_err();
        assert_eq!(error.code, Code::BAD_DATA);
        assert!(
            error
                .text
                .contains("none of its 1 files holds a certificate; the first: the trust file"),
            "{}",
            error.text
        );

        std::fs::write(path("a.pem"), format!("{a}{b}")).unwrap();
        std::os::unix::fs::symlink("a.pem", path("12345678.0")).unwrap();
        std::fs::write(path("c.cer"), CertificateDer::from_pem_slice(c.as_bytes()).unwrap())
            .unwrap();
        std::fs::write(path("cut.pem"), &c[..c.len() / 2]).unwrap();
        let mut trust = Trust::default();
        trust.add_directory(&directory.0).unwrap();
        let mut expected = Trust::default();
        expected.add_pem(format!("{a}{b}{c}").as_bytes()).unwrap();
        assert_eq!(trust.key(), expected.key());
        assert_eq!(trust.certificates().len(), 3);
        let error = Trust::default().add_directory(&path("a.pem")).unwrap_err();
        assert_eq!((error.code, error.sys_errno), (Code::IO, libc::ENOTDIR));
        let error = Trust::default().add_directory(&path("none")).unwrap_err();
        assert_eq!((error.code, error.sys_errno), (Code::IO, libc::ENOENT));
    }

    #[test]
    fn an_unreadable_file_names_its_path_and_errno() {
        let error = Trust::default().add_file(Path::new("/no/such\n.pem")).unwrap_err();
        assert_eq!((error.code, error.sys_errno), (Code::IO, libc::ENOENT));
        assert_eq!(
            error.text,
            "could not read the trust file \"/no/such\": No such file or directory (os error 2)"
        );
        let error = Trust::default().add_file(Path::new("/")).unwrap_err();
        assert_eq!((error.code, error.sys_errno), (Code::IO, libc::EISDIR));
        let error = Trust::default().add_file(Path::new("/dev/null")).unwrap_err();
        assert_eq!(error.text, "the trust file \"/dev/null\": empty");
        let error = Trust::default().add_file(Path::new("/dev/zero")).unwrap_err();
        assert_eq!(
            error.text,
            "could not read the trust file \"/dev/zero\": it is larger than 64 MiB"
        );
    }

    #[test]
    fn the_systems_roots_are_read_or_asked_for() {
        // The environment cannot be changed safely in a process with threads.
        let file = std::env::temp_dir().join(format!("sslsock-roots-{}", std::process::id()));
        std::fs::write(&file, root("A") + &root("B")).unwrap();
        let run = |path: &Path, found: &str| {
            std::process::Command::new(std::env::current_exe().unwrap())
                .args(["--exact", "--ignored", "verify::trust::tests::with_the_environment"])
                .env("SSL_CERT_FILE", path)
                .env("ROOTS_EXPECTED", found)
                .env_remove("SSL_CERT_DIR")
                .output()
                .unwrap()
        };
        for (path, found) in [(&*file, "2"), (Path::new("/dev/null"), "0")] {
            let output = run(path, found);
            let printed = String::from_utf8_lossy(&output.stdout);
            assert!(output.status.success() && printed.contains("1 passed"), "{printed}");
        }
        std::fs::remove_file(&file).unwrap();
    }

    #[test]
    #[ignore = "run by the test above"]
    fn with_the_environment() {
        let mut trust = Trust::default();
        match std::env::var("ROOTS_EXPECTED").unwrap().parse().unwrap() {
            0 => {
                let error = trust.add_system().unwrap_err();
                assert_eq!(
                    error.text,
                    "the system has no trusted certificates: install the package \
                     ca-certificates, or set SSL_CERT_FILE to a PEM file"
                );
                assert_eq!(trust.key(), Trust::default().key());
            }
            found => {
                trust.add_system().unwrap();
                assert_eq!(trust.roots().len(), found);
            }
        }
    }

    const BINARY: &str = "binary, but no certificate in DER (perhaps PKCS #7 or PKCS #12): convert \
                          it to PEM with openssl pkcs7 -print_certs or openssl pkcs12 -nokeys";

    fn root(name: &str) -> String {
        let mut params = rcgen::CertificateParams::default();
        params.distinguished_name.push(rcgen::DnType::CommonName, name);
        params.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
        params.self_signed(&rcgen::KeyPair::generate().unwrap()).unwrap().pem()
    }
}
