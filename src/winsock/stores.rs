//! Certificate stores: what a system trusts, and those that a program fills itself.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use aws_lc_rs::digest;

use super::certificate::Certificate;
use super::distinguished_name::{Format, Look};
use super::error::{
    self, CRYPT_E_EXISTS, CRYPT_E_NOT_FOUND, ERROR_ACCESS_DENIED, ERROR_INVALID_HANDLE,
    ERROR_INVALID_PARAMETER,
};
use crate::error::{Error, Result, quote};
use crate::handle::Table;
use crate::socket;

/// An open store.
pub struct Store {
    is_writable: bool,
    entries: Mutex<Entries>,
}

/// A certificate in a store, and its number there.
#[derive(Clone)]
pub struct Entry {
    pub number: u64,
    pub certificate: Arc<Certificate>,
}

/// What to look for.
pub enum Wanted {
    Any,
    /// Names in DER.
    Issuer(Vec<u8>),
    Subject(Vec<u8>),
    /// Parts of names, in any case.
    IssuerText(String),
    SubjectText(String),
    Sha1(Vec<u8>),
    /// This very certificate.
    Existing(Vec<u8>),
    /// By issuer and serial number.
    Numbered {
        issuer: Vec<u8>,
        serial: Vec<u8>,
    },
    IssuerOf(Arc<Certificate>),
}

/// What to do if the certificate is in the store already.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Disposition {
    Refuse,
    UseExisting,
    Replace,
    AddAnother,
}

#[derive(Default)]
struct Entries {
    last: u64,
    list: Vec<Entry>,
}

/// Opens a store of the system by its name; a copy of what is in it now.
///
/// "ROOT" is what sockets trust by default. Of the others nothing is known, so they are empty.
pub fn open_system(name: &str) -> Result<usize> {
    if name.is_empty() {
        return Err(error::failure(ERROR_INVALID_PARAMETER, "the store has no name"));
    }
    let mut entries = Entries::default();
    if name.eq_ignore_ascii_case("ROOT") {
        for der in socket::default_trust().certificates() {
            // What is trusted has been read before.
            if let Ok(certificate) = Certificate::parse(&der) {
                entries.push(Arc::new(certificate));
            }
        }
    }
    open(Store { is_writable: false, entries: Mutex::new(entries) })
}

/// Opens an empty store in memory.
pub fn open_memory() -> Result<usize> {
    open(Store { is_writable: true, entries: Mutex::default() })
}

pub fn find(store: usize) -> Result<Arc<Store>> {
    STORES.get(store).map_err(no_store)
}

pub fn close(store: usize) -> Result<()> {
    STORES.remove(store).map(|_| ()).map_err(no_store)
}

impl Store {
    /// The first match after the entry of that number.
    pub fn next(&self, after: u64, wanted: &Wanted) -> Result<Entry> {
        let entries = self.entries();
        let mut later = entries.list.iter().filter(|entry| entry.number > after);
        later.find(|entry| wanted.is(&entry.certificate)).cloned().ok_or_else(|| {
            error::failure(CRYPT_E_NOT_FOUND, "there is no such certificate in the store")
        })
    }

    pub fn add(&self, certificate: &Arc<Certificate>, disposition: Disposition) -> Result<Entry> {
        self.check_writable()?;
        let mut entries = self.entries();
        let wanted = Wanted::Existing(certificate.der.clone());
        let existing = entries.list.iter().position(|entry| wanted.is(&entry.certificate));
        match (existing, disposition) {
            (Some(_), Disposition::Refuse) => {
                return Err(error::failure(
                    CRYPT_E_EXISTS,
                    "the certificate is in the store already",
                ));
            }
            (Some(at), Disposition::UseExisting) => {
                if let Some(entry) = entries.list.get(at) {
                    return Ok(entry.clone());
                }
            }
            (Some(at), Disposition::Replace) => {
                entries.list.remove(at);
            }
            (Some(_), Disposition::AddAnother) | (None, _) => {}
        }
        Ok(entries.push(certificate.clone()))
    }

    pub fn remove(&self, number: u64) -> Result<()> {
        self.check_writable()?;
        self.entries().list.retain(|entry| entry.number != number);
        Ok(())
    }

    pub fn certificates(&self) -> Vec<Arc<Certificate>> {
        self.entries().list.iter().map(|entry| entry.certificate.clone()).collect()
    }

    /// A program must not change what others of the user's trust.
    fn check_writable(&self) -> Result<()> {
        match self.is_writable {
            true => Ok(()),
            false => Err(error::failure(
                ERROR_ACCESS_DENIED,
                "the system's stores cannot be changed: trust is added with ssl_add_trust_file and \
                 ssl_add_trust_pem, and a store in memory (CERT_STORE_PROV_MEMORY) can be filled",
            )),
        }
    }

    fn entries(&self) -> MutexGuard<'_, Entries> {
        self.entries.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Entries {
    fn push(&mut self, certificate: Arc<Certificate>) -> Entry {
        self.last += 1;
        let entry = Entry { number: self.last, certificate };
        self.list.push(entry.clone());
        entry
    }
}

impl Wanted {
    fn is(&self, certificate: &Certificate) -> bool {
        match self {
            Self::Any => true,
            Self::Issuer(name) => certificate.issuer() == name,
            Self::Subject(name) => certificate.subject() == name,
            Self::IssuerText(part) => holds(&certificate.issuer_name().text(TEXT), part),
            Self::SubjectText(part) => holds(&certificate.subject_name().text(TEXT), part),
            Self::Sha1(digest) => sha1(&certificate.der) == *digest,
            Self::Existing(der) => certificate.der == *der,
            Self::Numbered { issuer, serial } => {
                certificate.issuer() == issuer && same_integer(&certificate.serial, serial)
            }
            Self::IssuerOf(subject) => certificate.subject() == subject.issuer(),
        }
    }
}

/// Whether two integers are the same, each with its least significant byte first.
pub fn same_integer(a: &[u8], b: &[u8]) -> bool {
    let significant =
        |bytes: &[u8]| bytes.iter().rposition(|&byte| byte != 0).map_or(0, |at| at + 1);
    a.get(..significant(a)) == b.get(..significant(b))
}

pub fn sha1(bytes: &[u8]) -> Vec<u8> {
    digest::digest(&digest::SHA1_FOR_LEGACY_USE_ONLY, bytes).as_ref().to_vec()
}

fn holds(text: &str, part: &str) -> bool {
    text.to_lowercase().contains(&part.to_lowercase())
}

fn open(store: Store) -> Result<usize> {
    Ok(STORES.insert(|_| Arc::new(store))?.raw())
}

fn no_store(failure: Error) -> Error {
    error::failure(
        ERROR_INVALID_HANDLE,
        format!("no open store: {}", quote(failure.text.as_bytes())),
    )
}

/// As Windows has names that are searched.
const TEXT: Format =
    Format { look: Look::Simple, separator: ", ", joint: " + ", quotes: false, reversed: false };

static STORES: Table<Store> = Table::new();

#[cfg(test)]
mod tests {
    use super::*;
    use crate::verify::tests::fixtures::Ca;

    fn parsed(der: &[u8]) -> Arc<Certificate> {
        Arc::new(Certificate::parse(der).unwrap())
    }

    fn number(outcome: Result<Entry>) -> i32 {
        error::number(&outcome.map(|entry| entry.number).unwrap_err())
    }

    #[test]
    fn the_built_in_roots_are_in_the_store_root_alone() {
        for (name, count) in
            [("ROOT", webpki_roots::TLS_SERVER_ROOTS.len()), ("root", 100), ("CA", 0), ("MY", 0)]
        {
            let handle = open_system(name).unwrap();
            let store = find(handle).unwrap();
            assert!(store.certificates().len() >= count, "{name}");
            assert_eq!(store.certificates().is_empty(), count == 0, "{name}");
            let refused = store.add(&parsed(&Ca::root("Root").der), Disposition::AddAnother);
            assert_eq!(number(refused), ERROR_ACCESS_DENIED);
            close(handle).unwrap();
            assert_eq!(error::number(&close(handle).unwrap_err()), ERROR_INVALID_HANDLE);
        }
        assert!(open_system("").is_err());
    }

    #[test]
    fn certificates_are_found_by_what_they_are() {
        let store = find(open_memory().unwrap()).unwrap();
        let (root, other) = (Ca::root("Some Root"), Ca::root("Other"));
        let leaf = parsed(&root.leaf(&["a.test"], |_| {}).der);
        let (root, other) = (parsed(&root.der), parsed(&other.der));
        for certificate in [&root, &other, &leaf] {
            store.add(certificate, Disposition::Refuse).unwrap();
        }
        let all = |wanted: Wanted| {
            let mut found = Vec::new();
            while let Ok(entry) = store.next(found.last().copied().unwrap_or(0), &wanted) {
                found.push(entry.number);
            }
            found
        };
        let numbered = |serial: &[u8]| Wanted::Numbered {
            issuer: root.issuer().to_vec(),
            serial: serial.to_vec(),
        };
        for (wanted, expected) in [
            (Wanted::Any, &[1, 2, 3][..]),
            (Wanted::Issuer(leaf.issuer().to_vec()), &[1, 3]),
            (Wanted::Subject(root.subject().to_vec()), &[1]),
            (Wanted::IssuerText("ME ROO".to_owned()), &[1, 3]),
            (Wanted::SubjectText("other".to_owned()), &[2]),
            (Wanted::Sha1(sha1(&other.der)), &[2]),
            (Wanted::Sha1(vec![0; 20]), &[]),
            (Wanted::Existing(leaf.der.clone()), &[3]),
            (numbered(&leaf.serial), &[3]),
            (numbered(&[&leaf.serial[..], &[0]].concat()), &[3]),
            (numbered(&[1]), &[]),
            (Wanted::IssuerOf(leaf.clone()), &[1]),
        ] {
            assert_eq!(all(wanted), expected);
        }
        assert_eq!(number(store.next(3, &Wanted::Any)), CRYPT_E_NOT_FOUND);
    }

    #[test]
    fn the_disposition_says_what_becomes_of_the_one_that_is_there() {
        let store = find(open_memory().unwrap()).unwrap();
        let root = parsed(&Ca::root("Root").der);
        let numbers = || store.entries().list.iter().map(|entry| entry.number).collect::<Vec<_>>();
        for (disposition, answer, left) in [
            (Disposition::Refuse, 1, &[1][..]),
            (Disposition::UseExisting, 1, &[1]),
            (Disposition::Replace, 2, &[2]),
            (Disposition::AddAnother, 3, &[2, 3]),
        ] {
            assert_eq!(store.add(&root, disposition).unwrap().number, answer);
            assert_eq!(numbers(), left);
        }
        assert_eq!(number(store.add(&root, Disposition::Refuse)), CRYPT_E_EXISTS);
        store.remove(2).unwrap();
        assert_eq!(numbers(), [3]);
    }
}
