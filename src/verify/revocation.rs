//! Revocation lists, and what they say of a chain.
//!
//! webpki decides here, too. It takes the first list of an issuer that it finds, so they are put in
//! order before: a list that was replaced must not hide what its successor says.

use std::collections::BTreeMap;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::sync::Arc;

use rustls::crypto::WebPkiSupportedAlgorithms;
use rustls::pki_types::SubjectPublicKeyInfoDer;
use rustls::pki_types::pem::{PemObject, SectionKind};
use webpki::{
    CertRevocationList, OwnedCertRevocationList, RevocationCheckDepth, RevocationOptions,
    RevocationOptionsBuilder, RevocationReason, UnknownStatusPolicy,
};
use x509_parser::asn1_rs::Any;
use x509_parser::prelude::FromDer;
use x509_parser::time::ASN1Time;

use super::facts::{Facts, Signed};
use super::outcomes::Period;
use super::pem::{damage, describe, without_mark};
use super::report::{CAUSE_REVOCATION_UNKNOWN, CAUSE_REVOKED, Finding};
use super::signature::is_signed_with;
use super::text::utc;
use super::trust::digest;
use crate::error::{Code, Error, Result, quote};
use crate::sys::file;

/// Lists by their digest, so that order and repetition make no difference. Without any nothing is
/// said of revocation.
#[derive(Clone, Debug, Default)]
pub struct Lists(BTreeMap<[u8; 32], Arc<List>>);

/// One revocation list of one issuer.
#[derive(Debug)]
struct List {
    list: CertRevocationList<'static>,
    dates: Dates,
    signed: Signed,
}

/// From when and until when a list is the latest one.
#[derive(Debug)]
struct Dates {
    this_update: i64,
    next_update: i64,
}

impl Lists {
    /// The lists in `content`: X509 CRL blocks in PEM, or one list in DER.
    ///
    /// One that cannot be used is an error: nobody would see what was on it.
    pub fn read(content: &[u8]) -> Result<Self> {
        Self::read_from(content, "the revocation lists")
    }

    pub fn read_file(path: &Path) -> Result<Self> {
        let name = format!("the revocation lists {}", quote(path.as_os_str().as_bytes()));
        Self::read_from(&file::read(path, &name)?, &name)
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub fn digests(&self) -> impl Iterator<Item = &[u8; 32]> {
        self.0.keys()
    }

    pub fn merge(&mut self, other: Self) {
        self.0.extend(other.0);
    }

    /// As long as no list begins or ceases to be the latest one.
    pub(super) fn period_around(&self, now: i64) -> Period {
        let dates =
            self.0.values().flat_map(|list| [list.dates.this_update, list.dates.next_update]);
        dates.fold(Period::ALWAYS, |period, date| period.up_to(date, now))
    }

    fn read_from(content: &[u8], source: &str) -> Result<Self> {
        let content = without_mark(content);
        let bad = |what: &str| Error::new(Code::BAD_DATA, format!("{source}: {what}"));
        let mut lists = Self::default();
        let mut add = |der: &[u8]| -> Result<()> {
            let list = List::parse(der).map_err(|what| bad(&what))?;
            lists.0.insert(digest(der), Arc::new(list));
            Ok(())
        };
        // No text begins like that.
        if matches!(content, [SEQUENCE, 0x80..=0xff, ..]) {
            add(content)?;
            return Ok(lists);
        }
        let mut other = None;
        for section in <(SectionKind, Vec<u8>)>::pem_slice_iter(content) {
            match section {
                Ok((SectionKind::Crl, der)) => add(&der)?,
                Ok((kind, _)) => other = other.or(Some(kind)),
                Err(error) => {
                    return Err(bad(&format!("a PEM block is damaged: {}", damage(&error))));
                }
            }
        }
        match (lists.is_empty(), other) {
            (false, _) => Ok(lists),
            (true, Some(kind)) => Err(bad(&format!("{} but no revocation list", describe(kind)))),
            (true, None) if content.is_empty() => Err(bad("empty")),
            (true, None) => Err(bad("no PEM block (-----BEGIN X509 CRL-----) in it")),
        }
    }
}

impl List {
    fn parse(der: &[u8]) -> std::result::Result<Self, String> {
        use webpki::Error as E;
        let list = OwnedCertRevocationList::from_der(der).map_err(|error| match error {
            _ if has_no_version(der) => {
                "a list is of version 1, which cannot be used: have it made with a CRL number, \
                 which makes it one of version 2"
                    .to_owned()
            }
            E::UnsupportedDeltaCrl => "a delta list, which says nothing by itself".to_owned(),
            E::UnsupportedIndirectCrl => {
                "a list of other issuers' certificates (indirect), which is not supported"
                    .to_owned()
            }
            error => format!("a revocation list cannot be used ({error})"),
        })?;
        let (dates, signed) =
            envelope(der).ok_or_else(|| "a revocation list cannot be read".to_owned())?;
        Ok(Self { list: list.into(), dates, signed })
    }

    fn is_current(&self, now: i64) -> bool {
        self.dates.this_update <= now && now < self.dates.next_update
    }
}

/// The certificates of a chain, as far as revocation goes.
pub(super) struct Revocation<'a> {
    pub(super) lists: &'a Lists,
    pub(super) leaf: Option<&'a Facts>,
    pub(super) others: &'a [Facts],
    /// The keys of those that are trusted, with their names.
    pub(super) trusted: &'a dyn Fn(&[u8]) -> Vec<SubjectPublicKeyInfoDer<'a>>,
    pub(super) supported: &'a WebPkiSupportedAlgorithms,
    pub(super) now: i64,
}

impl Revocation<'_> {
    /// What the lists say of a chain that `verify` accepts when it is given none.
    pub(super) fn of_trusted(
        &self,
        verify: impl Fn(RevocationOptions<'_>) -> std::result::Result<(), webpki::Error>,
    ) -> Option<Finding> {
        let lists = self.in_order();
        let all: Vec<_> = lists.iter().map(|list| &list.list).collect();
        // That the list is out of date does not make a certificate on it any better.
        if let Ok(options) = RevocationOptionsBuilder::new(&all)
            && let Err(error) =
                verify(options.with_status_policy(UnknownStatusPolicy::Allow).build())
        {
            return Some(self.refused(&error));
        }
        let current: Vec<_> =
            lists.iter().filter(|list| list.is_current(self.now)).map(|list| &list.list).collect();
        let Ok(options) = RevocationOptionsBuilder::new(&current) else {
            return Some(self.unknown());
        };
        let options = options.with_depth(RevocationCheckDepth::EndEntity);
        match verify(options.with_status_policy(UnknownStatusPolicy::Deny).build()) {
            Ok(()) => None,
            Err(webpki::Error::UnknownRevocationStatus) => Some(self.unknown()),
            Err(error) => Some(self.refused(&error)),
        }
    }

    /// What they say of a leaf that nobody vouches for: whose lists count cannot be known, and only
    /// the names lead to them.
    pub(super) fn of_untrusted(&self) -> Finding {
        let lists = self.in_order();
        self.leaf.and_then(|leaf| revoked(leaf, "certificate", &lists)).unwrap_or_else(|| {
            Finding::new(
                CAUSE_REVOCATION_UNKNOWN,
                "nothing is known of its revocation, for no trusted issuer vouches for it",
            )
        })
    }

    /// Those of the issuers in the chain: first those that one of them has signed, the latest first.
    fn in_order(&self) -> Vec<&List> {
        let chain = || self.leaf.into_iter().chain(self.others);
        let mut lists: Vec<_> = self
            .lists
            .0
            .values()
            .filter(|list| chain().any(|one| one.issuer_der == list.list.issuer()))
            .map(|list| (!self.is_signed(list), -list.dates.this_update, &**list))
            .collect();
        lists.sort_by_key(|&(is_foreign, age, _)| (is_foreign, age));
        lists.into_iter().map(|(_, _, list)| list).collect()
    }

    fn is_signed(&self, list: &List) -> bool {
        let issuer = list.list.issuer();
        let sent = self.others.iter().filter(|other| other.subject_der == issuer);
        let sent = sent.map(|other| SubjectPublicKeyInfoDer::from(&other.key[..]));
        let keys = (self.trusted)(issuer).into_iter().chain(sent).take(KEYS);
        keys.into_iter().any(|key| is_signed_with(&list.signed, &key, self.supported))
    }

    /// Who in the chain is on a list that one of its issuers has signed.
    fn revoked_one(&self) -> Option<Finding> {
        let lists: Vec<_> =
            self.in_order().into_iter().filter(|list| self.is_signed(list)).collect();
        let leaf = self.leaf.and_then(|leaf| revoked(leaf, "certificate", &lists));
        leaf.or_else(|| {
            self.others.iter().find_map(|other| {
                let what = format!("intermediate certificate \"{}\"", other.subject);
                revoked(other, &what, &lists)
            })
        })
    }

    fn refused(&self, error: &webpki::Error) -> Finding {
        let text = match error {
            webpki::Error::CertRevoked => {
                return self.revoked_one().unwrap_or_else(|| {
                    Finding::new(CAUSE_REVOKED, "a certificate in the chain has been revoked")
                });
            }
            // That is also how webpki's search for a way around a revoked one ends, among namesakes
            // that the peer has sent.
            webpki::Error::MaximumSignatureChecksExceeded
            | webpki::Error::MaximumPathBuildCallsExceeded => match self.revoked_one() {
                Some(finding) => return finding,
                None => format!("the chain is too tangled to look for revoked ones ({error})"),
            },
            webpki::Error::InvalidCrlSignatureForPublicKey => {
                "the signature on a revocation list of an issuer in the chain is wrong: fetch the \
                 list again"
                    .to_owned()
            }
            webpki::Error::IssuerNotCrlSigner => {
                "an issuer in the chain may not issue revocation lists (key usage)".to_owned()
            }
            webpki::Error::UnsupportedCrlSignatureAlgorithmContext(_)
            | webpki::Error::UnsupportedCrlSignatureAlgorithmForPublicKeyContext(_) => {
                "a revocation list of an issuer in the chain is signed with an algorithm that is \
                 not accepted"
                    .to_owned()
            }
            error => format!("the revocation lists cannot be used for this chain ({error})"),
        };
        Finding::new(CAUSE_REVOCATION_UNKNOWN, text)
    }

    /// Why no list says whether the leaf has been revoked.
    fn unknown(&self) -> Finding {
        let issuer = self.leaf.map_or("its issuer", |leaf| &leaf.issuer);
        let latest = self
            .in_order()
            .into_iter()
            .find(|list| self.leaf.is_some_and(|leaf| leaf.issuer_der == list.list.issuer()));
        let why = match latest {
            None => format!("there is no revocation list of \"{issuer}\""),
            Some(list) if list.dates.next_update <= self.now => format!(
                "the revocation list of \"{issuer}\" is out of date since {} (now {}): fetch the \
                 present one",
                utc(list.dates.next_update),
                utc(self.now)
            ),
            Some(list) if list.dates.this_update > self.now => format!(
                "the revocation list of \"{issuer}\" is not valid before {} (now {}: is the clock \
                 right?)",
                utc(list.dates.this_update),
                utc(self.now)
            ),
            Some(_) => format!("the revocation list of \"{issuer}\" is not for this certificate"),
        };
        Finding::new(
            CAUSE_REVOCATION_UNKNOWN,
            format!("it is not known whether the certificate has been revoked: {why}"),
        )
    }
}

fn revoked(certificate: &Facts, what: &str, lists: &[&List]) -> Option<Finding> {
    let own = lists.iter().filter(|list| list.list.issuer() == certificate.issuer_der);
    let entry = own.filter_map(|list| list.list.find_serial(&certificate.serial).ok()?).next()?;
    let since = utc(i64::try_from(entry.revocation_date.as_secs()).unwrap_or(i64::MAX));
    let why = match entry.reason_code {
        None | Some(RevocationReason::Unspecified) => String::new(),
        Some(reason) => format!(" ({})", told(reason)),
    };
    Some(Finding::new(CAUSE_REVOKED, format!("{what} was revoked on {since}{why}")))
}

fn told(reason: RevocationReason) -> &'static str {
    match reason {
        RevocationReason::Unspecified => "no reason given",
        RevocationReason::KeyCompromise => "its key was compromised",
        RevocationReason::CaCompromise => "the CA was compromised",
        RevocationReason::AffiliationChanged => "affiliation changed",
        RevocationReason::Superseded => "superseded",
        RevocationReason::CessationOfOperation => "no longer in operation",
        RevocationReason::CertificateHold => "on hold",
        RevocationReason::RemoveFromCrl => "removed from the list",
        RevocationReason::PrivilegeWithdrawn => "privilege withdrawn",
        RevocationReason::AaCompromise => "the attribute authority was compromised",
    }
}

/// Version 1 is told by the lack of a version, which webpki takes for junk.
fn has_no_version(der: &[u8]) -> bool {
    let first = || {
        let (_, list) = Any::from_der(der).ok()?;
        let (_, tbs) = Any::from_der(list.data).ok()?;
        // Signature algorithm, issuer, date.
        let (rest, _) = Any::from_der(tbs.data).ok()?;
        let (rest, _) = Any::from_der(rest).ok()?;
        tbs.data.first().filter(|_| ASN1Time::from_der(rest).is_ok()).copied()
    };
    first() == Some(SEQUENCE)
}

/// What webpki has read but does not tell. Entries are not looked at: there may be a million.
fn envelope(der: &[u8]) -> Option<(Dates, Signed)> {
    let (_, list) = Any::from_der(der).ok()?;
    let content = list.data;
    let (rest, tbs) = Any::from_der(content).ok()?;
    let message = content.get(..content.len() - rest.len())?;
    let (rest, algorithm) = Any::from_der(rest).ok()?;
    let (_, identifier) = Any::from_der(algorithm.data).ok()?;
    let (_, signature) = Any::from_der(rest).ok()?;
    // In front of the bits stands how many of the last byte do not count.
    let (0, signature) = signature.data.split_first()? else { return None };

    // version, signature, issuer
    let mut tbs = tbs.data;
    for _ in 0..3 {
        tbs = Any::from_der(tbs).ok()?.0;
    }
    let (tbs, this_update) = ASN1Time::from_der(tbs).ok()?;
    let (_, next_update) = ASN1Time::from_der(tbs).ok()?;
    let dates =
        Dates { this_update: this_update.timestamp(), next_update: next_update.timestamp() };
    let signed = Signed {
        message: message.to_vec(),
        algorithm: identifier.data.to_vec(),
        signature: signature.to_vec(),
    };
    Some((dates, signed))
}

const SEQUENCE: u8 = 0x30;
/// So many namesakes are tried for the signature on a list: it may be long, and the peer can send
/// hundreds.
const KEYS: usize = 8;
