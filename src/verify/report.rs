//! What verification found, for the certificate hook and for people.

use super::text::utc;
use crate::error::{Code, Error};

/// What verification found about one peer certificate chain.
#[derive(Clone, Debug)]
pub struct Report {
    /// `CAUSE_*` bits: everything that is wrong, 0 if the chain is trusted.
    pub causes: u32,
    /// The name that was verified; `None` only where there was none.
    pub expected: Option<String>,
    /// The leaf's host names and addresses (subject alternative names), escaped if hostile, at most
    /// [`PRESENTED_LIMIT`] of them.
    pub presented: Vec<String>,
    /// The leaf's subject, escaped.
    pub subject: String,
    /// The leaf's issuer, escaped.
    pub issuer: String,
    /// Start of the leaf's validity, in Unix seconds; 0 if it could not be read.
    pub not_before: i64,
    /// End of the leaf's validity, in Unix seconds; 0 if it could not be read.
    pub not_after: i64,
    /// DER, leaf first, as the peer sent it.
    pub chain: Vec<Vec<u8>>,
    /// SHA-256 of the leaf's SubjectPublicKeyInfo; all zero if it could not be read.
    pub spki_sha256: [u8; 32],
    /// `None`: trusted. Otherwise the main code, and a text that lists everything that is wrong.
    pub error: Option<Error>,
    /// No signature by the leaf's key can be verified, so that no handshake can succeed.
    pub key_is_useless: bool,
    /// The verifier has ended the handshake for it.
    pub rejected: bool,
}

impl Report {
    /// What is told if something is wrong that no certificate hook can accept.
    pub fn beyond_hooks(&self) -> Option<Error> {
        let flaw = self.error.clone().filter(|_| self.causes & BEYOND_HOOKS != 0)?;
        let (code, what) = match self.causes & CAUSE_PIN {
            0 => (flaw.code, "is too weak or of a kind that is not supported"),
            _ => (Code::PIN, "is not among the pinned ones"),
        };
        let text = format!("{}; no certificate hook can accept a key that {what}", flaw.text);
        Some(Error { code, text, ..flaw })
    }
}

/// No trusted certificate vouches for the chain.
pub(crate) const CAUSE_ISSUER_UNKNOWN: u32 = 0x1;
/// The certificate is for other names than the expected one.
pub(crate) const CAUSE_NAME: u32 = 0x2;
/// The leaf or an intermediate has expired.
pub(crate) const CAUSE_EXPIRED: u32 = 0x4;
/// The leaf or an intermediate is not valid yet.
pub(crate) const CAUSE_NOT_YET_VALID: u32 = 0x8;
/// The certificate or its key has been revoked.
pub(crate) const CAUSE_REVOKED: u32 = 0x10;
/// Not meant for such a peer, or a CA certificate used as if it were not one.
pub(crate) const CAUSE_USAGE: u32 = 0x20;
/// A signature in the chain is wrong.
pub(crate) const CAUSE_SIGNATURE: u32 = 0x40;
/// A key or signature algorithm is too weak or not supported.
pub(crate) const CAUSE_WEAK_KEY: u32 = 0x80;
/// The certificate cannot be parsed or is of a kind that cannot be verified.
pub(crate) const CAUSE_MALFORMED: u32 = 0x100;
/// The key is none of those that were pinned.
pub(crate) const CAUSE_PIN: u32 = 0x200;
/// Revocation lists were given and do not say whether a certificate has been revoked.
pub(crate) const CAUSE_REVOCATION_UNKNOWN: u32 = 0x400;

/// What no certificate hook can accept: the program itself has ruled out every other key than those
/// that it pinned, and who has a weak one may be anybody.
const BEYOND_HOOKS: u32 = CAUSE_PIN | CAUSE_WEAK_KEY;

/// How many names [`Report::presented`] keeps.
pub(crate) const PRESENTED_LIMIT: usize = 100;

/// One thing that is wrong.
#[derive(Clone, Debug)]
pub(super) struct Finding {
    pub(super) cause: u32,
    pub(super) text: String,
}

impl Finding {
    pub(super) fn new(cause: u32, text: impl Into<String>) -> Self {
        Self { cause, text: text.into() }
    }

    pub(super) fn expired(what: &str, not_after: i64, now: i64) -> Self {
        let (end, now) = (utc(not_after), utc(now));
        Self::new(CAUSE_EXPIRED, format!("{what} expired on {end} (now {now})"))
    }

    pub(super) fn not_yet_valid(what: &str, not_before: i64, now: i64) -> Self {
        let (start, now) = (utc(not_before), utc(now));
        Self::new(
            CAUSE_NOT_YET_VALID,
            format!("{what} is not valid before {start} (now {now}: is the clock right?)"),
        )
    }
}

/// The cause bits of `findings`, and the error that tells of them all, most important first.
pub(super) fn conclude(mut findings: Vec<Finding>) -> (u32, Option<Error>) {
    findings.sort_by_key(|finding| importance(finding.cause));
    let causes = findings.iter().fold(0, |causes, finding| causes | finding.cause);
    let error = findings.first().map(|first| {
        let texts = findings.iter().map(|finding| finding.text.as_str()).collect::<Vec<_>>();
        Error::new(code(first.cause), texts.join("; "))
    });
    (causes, error)
}

/// The most important of some cause bits.
pub(super) fn main_cause(causes: u32) -> Option<u32> {
    CODES.iter().map(|&(cause, _)| cause).find(|cause| causes & cause != 0)
}

fn importance(cause: u32) -> usize {
    CODES.iter().position(|&(listed, _)| listed == cause).unwrap_or(CODES.len())
}

fn code(cause: u32) -> Code {
    CODES.get(importance(cause)).map_or(Code::FAILED, |&(_, code)| code)
}

/// Most important first.
const CODES: [(u32, Code); 11] = [
    (CAUSE_MALFORMED, Code::BAD_DATA),
    (CAUSE_SIGNATURE, Code::BAD_SIG),
    (CAUSE_PIN, Code::PIN),
    (CAUSE_ISSUER_UNKNOWN, Code::CERT_UNKNOWN),
    (CAUSE_REVOKED, Code::CERT_REVOKED),
    (CAUSE_EXPIRED, Code::CERT_EXPIRED),
    (CAUSE_NOT_YET_VALID, Code::NOT_YET_VALID),
    (CAUSE_NAME, Code::NAME),
    (CAUSE_USAGE, Code::CERT_UNKNOWN),
    (CAUSE_WEAK_KEY, Code::CERT_UNKNOWN),
    (CAUSE_REVOCATION_UNKNOWN, Code::CERT_UNKNOWN),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_most_important_finding_gives_the_code() {
        let (causes, error) = conclude(vec![
            Finding::new(CAUSE_NAME, "name"),
            Finding::expired("certificate", 0, 86_400),
            Finding::new(CAUSE_ISSUER_UNKNOWN, "issuer"),
        ]);
        assert_eq!(causes, CAUSE_NAME | CAUSE_EXPIRED | CAUSE_ISSUER_UNKNOWN);
        let error = error.unwrap();
        assert_eq!(error.code, Code::CERT_UNKNOWN);
        assert_eq!(
            error.text,
            "issuer; certificate expired on 1970-01-01 00:00:00 UTC \
             (now 1970-01-02 00:00:00 UTC); name"
        );
        assert_eq!(conclude(Vec::new()), (0, None));
    }

    #[test]
    fn every_cause_has_a_bit_and_a_rank_of_its_own() {
        let all = CODES.iter().fold(0, |all, &(cause, _)| {
            assert_eq!(all & cause, 0);
            all | cause
        });
        assert_eq!(all, 0x7ff);
    }
}
