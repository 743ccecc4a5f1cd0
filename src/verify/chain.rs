//! Everything that is wrong with a chain, rather than the first thing.
//!
//! webpki decides; it stops at its first error, so it is asked again with that one out of the way.
//! Nothing here can make a chain trusted that webpki refuses: each of its errors becomes a finding.

use std::time::Duration;

use rustls::RootCertStore;
use rustls::crypto::WebPkiSupportedAlgorithms;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use webpki::{
    EndEntityCert, ExtendedKeyUsageValidator, KeyPurposeIdIter, KeyUsage, RevocationOptions,
    VerifiedPath,
};

use super::facts::Facts;
use super::report::{
    CAUSE_ISSUER_UNKNOWN, CAUSE_MALFORMED, CAUSE_NAME, CAUSE_REVOKED, CAUSE_SIGNATURE, CAUSE_USAGE,
    CAUSE_WEAK_KEY, Finding,
};
use super::revocation::{Lists, Revocation};
use super::signature::is_signed_by;
use super::strength;

/// What one chain is examined against.
pub(super) struct Examination<'a> {
    pub(super) roots: &'a RootCertStore,
    pub(super) supported: &'a WebPkiSupportedAlgorithms,
    pub(super) chain: &'a [CertificateDer<'a>],
    pub(super) subject: Subject<'a>,
    pub(super) purpose: Purpose,
    /// In Unix seconds.
    pub(super) now: i64,
    pub(super) lists: &'a Lists,
    /// The facts of the leaf, if it can be read at all.
    pub(super) facts: Option<&'a Facts>,
}

/// Whom a certificate has to be for.
#[derive(Clone, Copy, Debug)]
pub enum Subject<'a> {
    Named(&'a ServerName<'a>),
    /// Nobody has said, which is itself a finding.
    Unknown,
    /// The names do not matter.
    Any,
}

impl<'a> From<Option<&'a ServerName<'a>>> for Subject<'a> {
    fn from(name: Option<&'a ServerName<'a>>) -> Self {
        name.map_or(Self::Unknown, Self::Named)
    }
}

/// Whose certificate it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Purpose {
    Server,
    Client,
}

impl Examination<'_> {
    /// What is wrong, in no particular order; empty if the chain is trusted.
    pub(super) fn findings(&self, leaf: &CertificateDer<'_>) -> Vec<Finding> {
        let mut findings = Vec::new();
        if let Some(facts) = self.facts {
            self.check_dates(facts, &mut findings);
        }
        match EndEntityCert::try_from(leaf) {
            Ok(entity) => {
                self.check_name(&entity, &mut findings);
                if !self.check_path(&entity, &mut findings) {
                    self.look_at_untrusted(&mut findings);
                }
            }
            Err(error) => {
                findings.push(self.unreadable(leaf, &error));
                match self.subject {
                    Subject::Named(name) if !self.is_named(name) => {
                        findings.push(self.wrong_name(name));
                    }
                    Subject::Unknown => findings.push(no_name()),
                    Subject::Named(_) | Subject::Any => {}
                }
                match self.facts {
                    Some(facts) => self.check_issuer_alone(facts, &mut findings),
                    None => findings.push(self.unknown_issuer()),
                }
                self.look_at_untrusted(&mut findings);
            }
        }
        findings
    }

    fn check_dates(&self, facts: &Facts, findings: &mut Vec<Finding>) {
        let now = self.now;
        if now > facts.not_after {
            findings.push(Finding::expired("certificate", facts.not_after, now));
        }
        if now < facts.not_before {
            findings.push(Finding::not_yet_valid("certificate", facts.not_before, now));
        }
    }

    fn is_named(&self, name: &ServerName<'_>) -> bool {
        let is_ip = matches!(name, ServerName::IpAddress(_));
        self.facts.is_some_and(|facts| facts.names_host(&name.to_str(), is_ip))
    }

    fn check_name(&self, entity: &EndEntityCert<'_>, findings: &mut Vec<Finding>) {
        let name = match self.subject {
            Subject::Named(name) => name,
            Subject::Unknown => return findings.push(no_name()),
            Subject::Any => return,
        };
        match entity.verify_is_valid_for_subject_name(name) {
            Ok(()) => {}
            Err(webpki::Error::CertNotValidForName(_)) => findings.push(self.wrong_name(name)),
            Err(error) => {
                findings.push(self.wrong_name(name));
                findings.push(Finding::new(
                    CAUSE_MALFORMED,
                    format!("the names of the certificate cannot be parsed ({error})"),
                ));
            }
        }
    }

    /// Whether some path leads to a trusted certificate, when usage and dates are set aside.
    fn check_path(&self, entity: &EndEntityCert<'_>, findings: &mut Vec<Finding>) -> bool {
        // The leaf's own dates have been looked at, so that they need not hide anything else.
        let (earliest, latest) = match self.facts {
            Some(facts) if facts.not_before <= facts.not_after => {
                (facts.not_before, facts.not_after)
            }
            _ => (i64::MIN, i64::MAX),
        };
        let mut time = self.now.clamp(earliest, latest);
        let mut any_usage = false;
        for _ in 0..ATTEMPTS {
            let Err(error) = self.verify(entity, time, any_usage, None) else {
                self.check_revocation(entity, time, any_usage, findings);
                return true;
            };
            match error {
                webpki::Error::CertExpired { not_after, .. } => {
                    time = seconds(not_after);
                    // Not if only the leaf's own dates have led away from now.
                    if time < self.now {
                        let what = self.dated(|facts| facts.not_after == time);
                        findings.push(Finding::expired(&what, time, self.now));
                    }
                }
                webpki::Error::CertNotValidYet { not_before, .. } => {
                    time = seconds(not_before);
                    if time > self.now {
                        let what = self.dated(|facts| facts.not_before == time);
                        findings.push(Finding::not_yet_valid(&what, time, self.now));
                    }
                }
                webpki::Error::RequiredEkuNotFoundContext(_) | webpki::Error::EmptyEkuExtension
                    if !any_usage =>
                {
                    any_usage = true;
                    findings.push(self.wrong_usage());
                }
                webpki::Error::CaUsedAsEndEntity => {
                    findings.push(self.ca_as_leaf());
                    match self.facts {
                        Some(facts) => self.check_issuer_alone(facts, findings),
                        None => findings.push(self.unknown_issuer()),
                    }
                    return false;
                }
                error => {
                    findings.push(self.refused(&error));
                    return false;
                }
            }
            if time < earliest || time > latest {
                break;
            }
        }
        // Nobody has said yet that a trusted certificate leads here, whatever the dates.
        findings.push(Finding::new(
            CAUSE_ISSUER_UNKNOWN,
            "the certificates of the chain were never valid all at once, so that no trusted one \
             vouches for it",
        ));
        false
    }

    fn check_revocation(
        &self,
        entity: &EndEntityCert<'_>,
        time: i64,
        any_usage: bool,
        findings: &mut Vec<Finding>,
    ) {
        let verify =
            |options: RevocationOptions<'_>| self.verify(entity, time, any_usage, Some(options));
        findings.extend(self.revocation(|revocation| revocation.of_trusted(verify)).flatten());
    }

    /// What can be said of a chain to which no trusted certificate leads.
    fn look_at_untrusted(&self, findings: &mut Vec<Finding>) {
        let others: Vec<_> = self.others().collect();
        let weak =
            self.facts.and_then(|leaf| strength::check_upwards(leaf, &others, self.supported));
        // webpki may have said the same.
        if let Some(weak) = weak.filter(|weak| findings.iter().all(|one| one.text != weak.text)) {
            findings.push(weak);
        }
        findings.extend(self.revocation(|revocation| revocation.of_untrusted()));
    }

    fn revocation<T>(&self, look: impl FnOnce(Revocation<'_>) -> T) -> Option<T> {
        if self.lists.is_empty() {
            return None;
        }
        // All of them: behind many others one could be hidden whose issuer has revoked it.
        let others: Vec<_> =
            self.chain.iter().skip(1).filter_map(|der| Facts::parse(der)).collect();
        let (lists, leaf, supported) = (self.lists, self.facts, self.supported);
        let trusted = |issuer: &[u8]| {
            let named = self.roots.roots.iter().filter(|root| root.subject.as_ref() == issuer);
            named.map(webpki::spki_for_anchor).collect()
        };
        let (others, trusted, now) = (&others[..], &trusted, self.now);
        Some(look(Revocation { lists, leaf, others, trusted, supported, now }))
    }

    fn verify(
        &self,
        entity: &EndEntityCert<'_>,
        time: i64,
        any_usage: bool,
        revocation: Option<RevocationOptions<'_>>,
    ) -> Result<(), webpki::Error> {
        let (all, roots) = (self.supported.all, &self.roots.roots);
        let intermediates = self.chain.get(1..).unwrap_or_default();
        let time = Duration::from_secs(u64::try_from(time).unwrap_or(0));
        let time = UnixTime::since_unix_epoch(time);
        let path: Option<&dyn Fn(&VerifiedPath<'_>) -> _> = Some(&strength::check_key_usage);
        match any_usage {
            true => {
                entity.verify_for_usage(all, roots, intermediates, time, AnyUsage, revocation, None)
            }
            false => {
                let usage = match self.purpose {
                    Purpose::Server => KeyUsage::server_auth(),
                    Purpose::Client => KeyUsage::client_auth(),
                };
                entity.verify_for_usage(all, roots, intermediates, time, usage, revocation, path)
            }
        }
        .map(|_| ())
    }

    /// For a leaf with which webpki builds no path. Only a trusted certificate that has signed the
    /// leaf itself counts: what intermediates may do is not judged here.
    fn check_issuer_alone(&self, facts: &Facts, findings: &mut Vec<Finding>) {
        let vouched = self.roots.roots.iter().any(|root| {
            root.subject.as_ref() == facts.issuer_der
                && root.name_constraints.is_none()
                && is_signed_by(facts, &webpki::spki_for_anchor(root), self.supported)
        });
        if vouched {
            return;
        }
        let text = match facts.is_self_issued() {
            true => "certificate is self-signed and not trusted".to_owned(),
            false => format!(
                "issuer \"{}\" is not trusted: a certificate of this kind is accepted from a \
                 trusted issuer only, not through intermediates",
                facts.issuer
            ),
        };
        findings.push(Finding::new(CAUSE_ISSUER_UNKNOWN, text));
    }

    /// A finding for an error of path building that says all there is to say.
    fn refused(&self, error: &webpki::Error) -> Finding {
        use webpki::Error as E;
        match error {
            E::UnknownIssuer => self.unknown_issuer(),
            E::InvalidSignatureForPublicKey => self.wrong_signature(),
            E::UnsupportedSignatureAlgorithmContext(context) => {
                self.weak_signature(strength::object(&context.signature_algorithm_id))
            }
            E::UnsupportedSignatureAlgorithmForPublicKeyContext(context) => Finding::new(
                CAUSE_WEAK_KEY,
                format!(
                    "a certificate in the chain is signed with {} by a key of another kind",
                    strength::signature_kind(strength::object(&context.signature_algorithm_id))
                ),
            ),
            E::CertRevoked => Finding::new(CAUSE_REVOKED, "certificate has been revoked"),
            E::CertDistrusted => Finding::new(
                CAUSE_REVOKED,
                "the key of a certificate in the chain is publicly distrusted",
            ),
            E::EndEntityUsedAsCa => Finding::new(
                CAUSE_ISSUER_UNKNOWN,
                "a certificate in the chain was issued by one that is not a CA certificate, or not one \
                 for that (key usage)",
            ),
            E::PathLenConstraintViolated => Finding::new(
                CAUSE_ISSUER_UNKNOWN,
                "the chain is longer than one of its CA certificates allows (path length)",
            ),
            E::NameConstraintViolation => Finding::new(
                CAUSE_ISSUER_UNKNOWN,
                "a CA certificate in the chain may not issue for these names (name constraints)",
            ),
            E::InvalidCertValidity => {
                Finding::new(CAUSE_MALFORMED, "validity of a certificate ends before it begins")
            }
            E::MaximumSignatureChecksExceeded
            | E::MaximumPathBuildCallsExceeded
            | E::MaximumNameConstraintComparisonsExceeded
            | E::MaximumPathDepthExceeded => Finding::new(
                CAUSE_ISSUER_UNKNOWN,
                format!("the chain is too long or too tangled to verify ({error})"),
            ),
            error => Finding::new(
                CAUSE_MALFORMED,
                format!("a certificate in the chain cannot be verified ({error})"),
            ),
        }
    }

    fn unknown_issuer(&self) -> Finding {
        let text = match self.facts {
            None => "no trusted certificate vouches for the chain".to_owned(),
            Some(leaf) if leaf.is_self_issued() => SELF_SIGNED.to_owned(),
            Some(leaf) if self.is_root(leaf) => format!(
                "certificate itself is among the trusted ones, but it was issued by \"{}\": \
                 trust that CA's certificate instead",
                leaf.issuer
            ),
            Some(leaf) => self.untrusted_issuer(leaf),
        };
        Finding::new(CAUSE_ISSUER_UNKNOWN, text)
    }

    fn untrusted_issuer(&self, leaf: &Facts) -> String {
        let others: Vec<_> = self.others().collect();
        // Upwards as far as the peer's own certificates go, by name.
        let mut top = leaf;
        for _ in 0..others.len() {
            let issuer = others.iter().find(|other| other.subject_der == top.issuer_der);
            match issuer {
                Some(issuer) if !top.is_self_issued() => top = issuer,
                _ => break,
            }
        }
        if top.is_self_issued() {
            return format!(
                "the chain ends in \"{}\", which is not trusted: {ADD_CA}",
                top.subject
            );
        }
        let missing = match others.is_empty() {
            true => "; the peer sent its own certificate only, so an intermediate may be missing",
            false => "; the certificates that the peer sent do not lead to a trusted one",
        };
        format!("issuer \"{}\" is not trusted: {ADD_CA}{missing}", top.issuer)
    }

    /// webpki tries a signature where the names fit, so this is also what a CA that was made anew
    /// under its old name looks like.
    fn wrong_signature(&self) -> Finding {
        let Some(leaf) = self.facts else {
            return Finding::new(CAUSE_SIGNATURE, "a signature in the chain is wrong");
        };
        let others: Vec<_> = self.others().collect();
        if let Some(finding) = self.weak_issuer(leaf, &others) {
            return finding;
        }
        let mut top = leaf;
        for _ in 0..WALK_LIMIT {
            if top.is_self_issued() && is_signed_by(top, &top.key.clone().into(), self.supported) {
                return Finding::new(
                    CAUSE_ISSUER_UNKNOWN,
                    format!(
                        "\"{}\" is not trusted: the trusted certificate of this name has another \
                         key; {ADD_CA}",
                        top.subject
                    ),
                );
            }
            let issuer = others.iter().find(|other| {
                other.subject_der == top.issuer_der
                    && is_signed_by(top, &other.key.clone().into(), self.supported)
            });
            match issuer {
                Some(issuer) => top = issuer,
                None => break,
            }
        }
        Finding::new(
            CAUSE_SIGNATURE,
            format!(
                "signature of \"{}\" on the certificate of \"{}\" is wrong: it was tampered with, \
                 or another CA of the same name has issued it",
                top.issuer, top.subject
            ),
        )
    }

    fn weak_issuer(&self, leaf: &Facts, others: &[Facts]) -> Option<Finding> {
        let issuers: Vec<_> = others.iter().chain([leaf]).map(|facts| &facts.issuer_der).collect();
        let roots = self.roots.roots.iter();
        let named =
            roots.filter(|root| issuers.iter().any(|issuer| issuer[..] == *root.subject.as_ref()));
        strength::weak_issuer(named.map(webpki::spki_for_anchor), others)
    }

    /// What a certificate says of itself by its own signature counts for nothing, so a weak one is
    /// no worse than none.
    fn weak_signature(&self, algorithm: &[u8]) -> Finding {
        match self.facts.filter(|leaf| leaf.is_self_issued()) {
            Some(leaf) if leaf.signed.algorithm == algorithm => Finding::new(
                CAUSE_ISSUER_UNKNOWN,
                format!(
                    "certificate is self-signed with {}, which cannot be verified, not even if it \
                     is trusted: have a new one made",
                    strength::signature_kind(algorithm)
                ),
            ),
            _ => strength::weak_signature(algorithm),
        }
    }

    fn wrong_usage(&self) -> Finding {
        let usage = self.facts.and_then(|facts| facts.usage.as_ref());
        let peer = self.peer();
        let text = match usage.filter(|usage| match self.purpose {
            Purpose::Server => !usage.servers,
            Purpose::Client => !usage.clients,
        }) {
            Some(usage) => format!(
                "certificate is not meant for {peer}s (its extended key usage is {}): use one \
                 with {peer} authentication",
                usage.text
            ),
            None => format!(
                "a CA of the chain may not issue certificates for {peer}s (extended key usage)"
            ),
        };
        Finding::new(CAUSE_USAGE, text)
    }

    fn ca_as_leaf(&self) -> Finding {
        let peer = self.peer();
        Finding::new(
            CAUSE_USAGE,
            format!(
                "CA certificate used as a {peer} certificate: let this CA issue one for the \
                 {peer}, and trust the CA"
            ),
        )
    }

    fn peer(&self) -> &'static str {
        match self.purpose {
            Purpose::Server => "server",
            Purpose::Client => "client",
        }
    }

    fn wrong_name(&self, name: &ServerName<'_>) -> Finding {
        let expected = name.to_str();
        let is_ip = matches!(name, ServerName::IpAddress(_));
        let Some(facts) = self.facts else {
            return Finding::new(CAUSE_NAME, format!("certificate is not for \"{expected}\""));
        };
        let text = match facts.names.as_slice() {
            [] if facts.has_alternative_names => {
                format!(
                    "certificate has no host among its subject alternative names, so it is not \
                     for \"{expected}\""
                )
            }
            [] => {
                let common_name = match &facts.common_name {
                    Some(name) => format!(" (its common name \"{name}\" does not count)"),
                    None => String::new(),
                };
                format!(
                    "certificate has no subject alternative name{common_name}, so it is not for \
                     \"{expected}\""
                )
            }
            names if is_ip && names.iter().any(|name| !name.is_ip && name.text == *expected) => {
                format!(
                    "certificate has the address \"{expected}\" as a DNS name, which does not \
                     count: it has to be an IP address among the subject alternative names"
                )
            }
            names => {
                let quoted = names.iter().take(NAMED).map(|name| format!("\"{}\"", name.text));
                let shown = quoted.collect::<Vec<_>>().join(", ");
                let more = match names.len().saturating_sub(NAMED) {
                    0 => String::new(),
                    more => format!(" (and {more} more)"),
                };
                format!("certificate is for {shown}{more}, not for \"{expected}\"")
            }
        };
        Finding::new(CAUSE_NAME, text)
    }

    fn unreadable(&self, leaf: &CertificateDer<'_>, error: &webpki::Error) -> Finding {
        let text = match (error, self.facts) {
            (webpki::Error::UnsupportedCertVersion, Some(facts)) => format!(
                "certificate is X.509 version {}, which holds no host name and cannot be \
                 verified: use one of version 3 with a subject alternative name",
                facts.version
            ),
            (webpki::Error::UnsupportedCriticalExtension, Some(facts)) => format!(
                "certificate has a critical extension that is not supported ({})",
                facts.critical.first().map_or("of a known kind", String::as_str)
            ),
            _ if leaf.len() > SIZE_LIMIT => format!(
                "certificate is {} bytes long, more than the {SIZE_LIMIT} that can be verified",
                leaf.len()
            ),
            _ => format!("certificate cannot be parsed ({error})"),
        };
        Finding::new(CAUSE_MALFORMED, text)
    }

    /// The certificate beside the leaf on which a date stands.
    fn dated(&self, has_date: impl Fn(&Facts) -> bool) -> String {
        match self.others().find(|facts| has_date(facts)) {
            Some(facts) => format!("intermediate certificate \"{}\"", facts.subject),
            None => "a certificate in the chain".to_owned(),
        }
    }

    fn others(&self) -> impl Iterator<Item = Facts> {
        self.chain.iter().skip(1).take(OTHERS_LIMIT).filter_map(|der| Facts::parse(der))
    }

    fn is_root(&self, facts: &Facts) -> bool {
        self.roots.roots.iter().any(|root| {
            root.subject.as_ref() == facts.subject_der
                && webpki::spki_for_anchor(root).as_ref() == facts.key
        })
    }
}

/// Lets path building go on past a usage that has been found wrong.
struct AnyUsage;

impl ExtendedKeyUsageValidator for AnyUsage {
    fn validate(&self, _: KeyPurposeIdIter<'_, '_>) -> Result<(), webpki::Error> {
        Ok(())
    }
}

fn no_name() -> Finding {
    Finding::new(
        CAUSE_NAME,
        "there was no name to check: nobody has said whom this connection is meant to reach, so \
         any certificate would do (SO_SSL_SET_PEERNAME, ssl_set_peername)",
    )
}

fn seconds(time: UnixTime) -> i64 {
    i64::try_from(time.as_secs()).unwrap_or(i64::MAX)
}

const SELF_SIGNED: &str = "certificate is self-signed and not trusted: add it with \
                           ssl_add_trust_pem or ssl_add_trust_file if you expect it";
const ADD_CA: &str = "add the issuing CA with ssl_add_trust_pem or ssl_add_trust_file if you \
                      expect it";
/// Names of the certificate that a text shows.
const NAMED: usize = 5;
/// webpki is asked this often: each time one date or the usage is out of the way.
const ATTEMPTS: usize = 8;
/// Certificates beside the leaf that are read for the texts.
const OTHERS_LIMIT: usize = 16;
/// Steps upwards by signature, so that a tangle of namesakes costs no time.
const WALK_LIMIT: usize = 8;
/// webpki reads no certificate that is longer.
const SIZE_LIMIT: usize = 65_535;
