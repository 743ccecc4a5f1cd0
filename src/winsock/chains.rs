//! CertGetCertificateChain: verification by the code that judges the peers of secure sockets,
//! answered in Windows's bits.

use std::sync::Arc;
use std::time::Duration;

use rustls::pki_types::{CertificateDer, UnixTime};

use super::certificate::Certificate;
use crate::error::Result;
use crate::verify::judged::judged;
use crate::verify::name::PeerName;
use crate::verify::path::upwards;
use crate::verify::report::{
    CAUSE_EXPIRED, CAUSE_ISSUER_UNKNOWN, CAUSE_MALFORMED, CAUSE_NAME, CAUSE_NOT_YET_VALID,
    CAUSE_REVOCATION_UNKNOWN, CAUSE_REVOKED, CAUSE_SIGNATURE, CAUSE_USAGE, CAUSE_WEAK_KEY,
};
use crate::verify::trust::Trust;
use crate::verify::verifier::{Mode, Verifier};

/// What a chain is asked for.
pub struct Request {
    pub leaf: Arc<Certificate>,
    /// Where intermediates may be found.
    pub additional: Vec<Arc<Certificate>>,
    /// Unix seconds; `None` is now.
    pub time: Option<i64>,
    /// Dotted identifiers of what the certificate is to be used for.
    pub usages: Vec<String>,
    pub checks_revocation: bool,
}

/// A chain from the leaf upwards.
#[derive(Clone)]
pub struct Chain {
    pub elements: Vec<Element>,
    /// CERT_TRUST_* bits: 0 if the chain is trusted.
    pub errors: u32,
    /// The time for which it was verified.
    time: UnixTime,
    is_for_servers: bool,
}

#[derive(Clone)]
pub struct Element {
    pub certificate: Arc<Certificate>,
    pub errors: u32,
    pub information: u32,
}

pub(crate) const CERT_TRUST_IS_NOT_TIME_VALID: u32 = 0x1;
pub(crate) const CERT_TRUST_IS_REVOKED: u32 = 0x4;
pub(crate) const CERT_TRUST_IS_NOT_SIGNATURE_VALID: u32 = 0x8;
pub(crate) const CERT_TRUST_IS_NOT_VALID_FOR_USAGE: u32 = 0x10;
pub(crate) const CERT_TRUST_IS_UNTRUSTED_ROOT: u32 = 0x20;
pub(crate) const CERT_TRUST_REVOCATION_STATUS_UNKNOWN: u32 = 0x40;
pub(crate) const CERT_TRUST_INVALID_EXTENSION: u32 = 0x100;
pub(crate) const CERT_TRUST_INVALID_BASIC_CONSTRAINTS: u32 = 0x400;
pub(crate) const CERT_TRUST_IS_PARTIAL_CHAIN: u32 = 0x1_0000;
pub(crate) const CERT_TRUST_HAS_WEAK_SIGNATURE: u32 = 0x10_0000;
const CERT_TRUST_HAS_NAME_MATCH_ISSUER: u32 = 0x4;
const CERT_TRUST_IS_SELF_SIGNED: u32 = 0x8;

impl Chain {
    /// Builds and verifies a chain.
    pub fn build(request: &Request, trust: &Trust) -> Result<Self> {
        // Other roots than those that were asked for must not vouch for anything.
        trust.check()?;
        let leaf = &request.leaf;
        let report = judged(&leaf.der);
        let time = match request.time {
            Some(seconds) => {
                UnixTime::since_unix_epoch(Duration::from_secs(seconds.try_into().unwrap_or(0)))
            }
            None => UnixTime::now(),
        };

        let mut others: Vec<CertificateDer<'_>> =
            request.additional.iter().map(|other| other.der.as_slice().into()).collect();
        // The hook gets the leaf alone; without what came with it no chain would be complete.
        for der in report.iter().flat_map(|report| report.chain.iter().skip(1)) {
            others.push(der.as_slice().into());
        }
        let chain: Vec<_> =
            [leaf.der.as_slice().into()].into_iter().chain(others.iter().cloned()).collect();
        let verifier = Verifier::new(trust, Mode::Provisional)?;
        let causes = verifier.examine(&chain, None, time).causes;

        let roots = trust.certificates();
        let pool: Vec<_> = roots.iter().cloned().chain(others).collect();
        let path = upwards(&leaf.der, &pool);
        let mut certificates = vec![leaf.clone()];
        for &place in &path {
            let der: &[u8] = pool.get(place).map(AsRef::as_ref).unwrap_or_default();
            certificates.push(Arc::new(Certificate::parse(der)?));
        }
        let is_rooted = certificates
            .last()
            .is_some_and(|top| roots.iter().any(|root| root.as_ref() == top.der.as_slice()));
        let now = i64::try_from(time.as_secs()).unwrap_or(i64::MAX);
        let elements: Vec<_> = certificates.into_iter().map(|one| element(one, now)).collect();
        let is_for_servers = causes & CAUSE_USAGE == 0;
        let mut chain = Self { elements, errors: 0, time, is_for_servers };
        chain.note(causes, is_rooted, request, report.is_some());
        Ok(chain)
    }

    /// What a policy makes of it: the HRESULT of the first thing that is wrong, or 0. Within `Some` a
    /// server is judged, by its name if there is one.
    pub fn policy_error(&self, server: Option<Option<&PeerName>>) -> Result<u32> {
        let found = POLICY_ERRORS.iter().find(|(bit, _)| self.errors & bit != 0);
        if let Some((_, error)) = found {
            return Ok(*error);
        }
        if self.errors != 0 {
            return Ok(CERT_E_CHAINING);
        }
        match server {
            Some(_) if !self.is_for_servers => Ok(CERT_E_WRONG_USAGE),
            Some(Some(host)) if !self.is_for(host)? => Ok(CERT_E_CN_NO_MATCH),
            _ => Ok(0),
        }
    }

    /// Whether the certificate is for this host; what else is wrong does not count.
    pub fn is_for(&self, host: &PeerName) -> Result<bool> {
        // Names do not depend on what is trusted.
        let verifier = Verifier::new(&Trust::default(), Mode::Provisional)?;
        let leaf = self.elements.first().map(|element| element.certificate.der.as_slice().into());
        let chain: Vec<CertificateDer<'_>> = leaf.into_iter().collect();
        let report = verifier.examine(&chain, Some(host.server_name()), self.time);
        Ok(report.causes & CAUSE_NAME == 0)
    }

    /// Puts what was found on the elements that it is about, and all of it on the chain.
    fn note(&mut self, causes: u32, is_rooted: bool, request: &Request, is_peer: bool) {
        let has = |cause: u32| causes & cause != 0;
        let mut leaf = 0;
        if has(CAUSE_SIGNATURE) {
            leaf |= CERT_TRUST_IS_NOT_SIGNATURE_VALID;
        }
        if has(CAUSE_REVOKED) {
            leaf |= CERT_TRUST_IS_REVOKED;
        }
        if has(CAUSE_WEAK_KEY) {
            leaf |= CERT_TRUST_HAS_WEAK_SIGNATURE;
        }
        if has(CAUSE_MALFORMED) {
            leaf |= CERT_TRUST_INVALID_EXTENSION;
        }
        let wants_server = is_peer || request.usages.iter().any(|usage| usage == SERVER);
        let wants_other = request.usages.iter().any(|usage| usage != SERVER);
        if has(CAUSE_USAGE) && wants_server || wants_other {
            leaf |= CERT_TRUST_IS_NOT_VALID_FOR_USAGE;
        }
        if request.checks_revocation || has(CAUSE_REVOCATION_UNKNOWN) {
            leaf |= CERT_TRUST_REVOCATION_STATUS_UNKNOWN;
        }
        let mut top = 0;
        if has(CAUSE_ISSUER_UNKNOWN) {
            let is_self_issued =
                self.elements.last().is_some_and(|top| top.certificate.is_self_issued());
            top = match (is_rooted, is_self_issued) {
                (true, _) => CERT_TRUST_INVALID_BASIC_CONSTRAINTS,
                (false, true) => CERT_TRUST_IS_UNTRUSTED_ROOT,
                (false, false) => CERT_TRUST_IS_PARTIAL_CHAIN,
            };
        }
        if let Some(first) = self.elements.first_mut() {
            first.errors |= leaf;
        }
        if let Some(last) = self.elements.last_mut() {
            last.errors |= top;
        }
        self.errors = leaf | top;
        if has(CAUSE_EXPIRED | CAUSE_NOT_YET_VALID) {
            self.errors |= CERT_TRUST_IS_NOT_TIME_VALID;
        }
    }
}

fn element(certificate: Arc<Certificate>, now: i64) -> Element {
    let is_in_time = (certificate.not_before..=certificate.not_after).contains(&now);
    let information = match certificate.is_self_issued() {
        true => CERT_TRUST_IS_SELF_SIGNED,
        false => CERT_TRUST_HAS_NAME_MATCH_ISSUER,
    };
    Element {
        certificate,
        errors: if is_in_time { 0 } else { CERT_TRUST_IS_NOT_TIME_VALID },
        information,
    }
}

const POLICY_ERRORS: &[(u32, u32)] = &[
    (CERT_TRUST_IS_NOT_SIGNATURE_VALID, 0x8009_6004),
    (CERT_TRUST_IS_REVOKED, 0x8009_2010),
    (CERT_TRUST_IS_UNTRUSTED_ROOT, 0x800b_0109),
    (CERT_TRUST_IS_PARTIAL_CHAIN, CERT_E_CHAINING),
    (CERT_TRUST_IS_NOT_TIME_VALID, 0x800b_0101),
    (CERT_TRUST_IS_NOT_VALID_FOR_USAGE, CERT_E_WRONG_USAGE),
    (CERT_TRUST_REVOCATION_STATUS_UNKNOWN, 0x8009_2012),
];
const CERT_E_CHAINING: u32 = 0x800b_010a;
const CERT_E_CN_NO_MATCH: u32 = 0x800b_010f;
const CERT_E_WRONG_USAGE: u32 = 0x800b_0110;

const SERVER: &str = "1.3.6.1.5.5.7.3.1";

#[cfg(test)]
mod tests {
    use super::*;
    use crate::verify::judged::judge;
    use crate::verify::tests::fixtures::{Ca, END, Leaf, NOW, START, examine, set_dates, trusting};

    struct Pki {
        root: Ca,
        middle: Ca,
        trust: Trust,
    }

    fn pki() -> Pki {
        let root = Ca::root("Root");
        Pki { middle: root.intermediate("Middle", |_| {}), trust: trusting(&[&root.der]), root }
    }

    fn parsed(der: &[u8]) -> Arc<Certificate> {
        Arc::new(Certificate::parse(der).unwrap())
    }

    fn request(leaf: &[u8], additional: &[&Ca]) -> Request {
        Request {
            leaf: parsed(leaf),
            additional: additional.iter().map(|ca| parsed(&ca.der)).collect(),
            time: Some(NOW as i64),
            usages: Vec::new(),
            checks_revocation: false,
        }
    }

    fn errors(request: &Request, trust: &Trust) -> u32 {
        Chain::build(request, trust).unwrap().errors
    }

    #[test]
    fn a_trusted_chain_is_told_from_the_leaf_to_the_root() {
        let pki = pki();
        let leaf = pki.middle.leaf(&["a.test"], |_| {});
        let chain = Chain::build(&request(&leaf.der, &[&pki.middle]), &pki.trust).unwrap();
        let found: Vec<_> = chain.elements.iter().map(|one| one.certificate.der.clone()).collect();
        assert_eq!(found, [leaf.der.to_vec(), pki.middle.der.to_vec(), pki.root.der.to_vec()]);
        assert_eq!(chain.errors, 0);
        for (index, element) in chain.elements.iter().enumerate() {
            assert_eq!((element.errors, element.information), (0, if index < 2 { 4 } else { 8 }));
        }
        for (host, is_for) in [("a.test", true), ("A.test.", true), ("b.test", false)] {
            assert_eq!(chain.is_for(&PeerName::parse(host).unwrap()).unwrap(), is_for, "{host}");
        }
    }

    #[test]
    fn intermediates_that_the_peer_has_sent_count_inside_its_hook() {
        let pki = pki();
        let leaf = pki.middle.leaf(&["a.test"], |_| {});
        let alone = request(&leaf.der, &[]);
        assert_eq!(errors(&alone, &pki.trust), CERT_TRUST_IS_PARTIAL_CHAIN);
        let report = examine(&[&pki.root], &[&leaf.der, &pki.middle.der], "a.test");
        judge(&Arc::new(report), || assert_eq!(errors(&alone, &pki.trust), 0));
        assert_eq!(errors(&alone, &pki.trust), CERT_TRUST_IS_PARTIAL_CHAIN);
    }

    #[test]
    fn every_flaw_has_its_bit() {
        let pki = pki();
        let good = pki.root.leaf(&["a.test"], |_| {});
        for (time, expected) in [
            (START - 1, CERT_TRUST_IS_NOT_TIME_VALID),
            (START, 0),
            (END, 0),
            (END + 1, CERT_TRUST_IS_NOT_TIME_VALID),
            (i64::MIN, CERT_TRUST_IS_NOT_TIME_VALID),
        ] {
            let request = Request { time: Some(time), ..request(&good.der, &[]) };
            assert_eq!(errors(&request, &pki.trust), expected, "{time}");
        }
        let old =
            pki.root.leaf(&["a.test"], |params| set_dates(params, (2020, 1, 1), (2021, 1, 1)));
        let now = Request { time: None, ..request(&old.der, &[]) };
        assert_eq!(errors(&now, &pki.trust), CERT_TRUST_IS_NOT_TIME_VALID);
        assert_eq!(Chain::build(&now, &pki.trust).unwrap().elements[0].errors, 1);

        let own = Leaf::self_signed(&["a.test"]);
        assert_eq!(errors(&request(&own.der, &[]), &pki.trust), CERT_TRUST_IS_UNTRUSTED_ROOT);
        assert_eq!(errors(&request(&own.der, &[]), &trusting(&[&own.der])), 0);
        let stranger = Ca::root("Stranger");
        let strange = stranger.leaf(&["a.test"], |_| {});
        assert_eq!(errors(&request(&strange.der, &[]), &pki.trust), CERT_TRUST_IS_PARTIAL_CHAIN);
        let whole = request(&strange.der, &[&stranger]);
        assert_eq!(errors(&whole, &pki.trust), CERT_TRUST_IS_UNTRUSTED_ROOT);
        assert_eq!(Chain::build(&whole, &pki.trust).unwrap().elements[1].errors, 0x20);

        let mut bent = good.der.to_vec();
        let last = bent.len() - 1;
        bent[last] ^= 1;
        let bent = errors(&request(&bent, &[]), &pki.trust);
        assert_ne!(bent & CERT_TRUST_IS_NOT_SIGNATURE_VALID, 0, "{bent:#x}");
    }

    #[test]
    fn usage_is_looked_at_where_somebody_wants_it() {
        let pki = pki();
        let client = pki.root.leaf(&["a.test"], |params| {
            params.extended_key_usages = vec![rcgen::ExtendedKeyUsagePurpose::ClientAuth];
        });
        let server = pki.root.leaf(&["a.test"], |_| {});
        let asking = |leaf: &Leaf, usages: &[&str]| {
            let usages = usages.iter().map(|&usage| usage.to_owned()).collect();
            errors(&Request { usages, ..request(&leaf.der, &[]) }, &pki.trust)
        };
        assert_eq!(asking(&client, &[]), 0);
        assert_eq!(asking(&client, &[SERVER]), CERT_TRUST_IS_NOT_VALID_FOR_USAGE);
        assert_eq!(asking(&server, &[SERVER]), 0);
        assert_eq!(asking(&server, &["1.2.3"]), CERT_TRUST_IS_NOT_VALID_FOR_USAGE);
        let report = examine(&[&pki.root], &[&client.der], "a.test");
        judge(&Arc::new(report), || {
            assert_eq!(asking(&client, &[]), CERT_TRUST_IS_NOT_VALID_FOR_USAGE);
        });
        let careful = Request { checks_revocation: true, ..request(&server.der, &[]) };
        assert_eq!(errors(&careful, &pki.trust), CERT_TRUST_REVOCATION_STATUS_UNKNOWN);
        // A root and an intermediate by themselves.
        assert_eq!(errors(&request(&pki.root.der, &[]), &pki.trust), 0);
        assert_eq!(errors(&request(&pki.middle.der, &[]), &pki.trust), 0);
    }

    #[test]
    fn a_policy_tells_the_first_thing_that_is_wrong() {
        let pki = pki();
        let hosts = ["a.test", "b.test"].map(|host| PeerName::parse(host).unwrap());
        let policy = |leaf: &[u8], server: Option<Option<&PeerName>>| {
            Chain::build(&request(leaf, &[]), &pki.trust).unwrap().policy_error(server).unwrap()
        };
        let good = pki.root.leaf(&["a.test"], |_| {}).der;
        assert_eq!(policy(&good, None), 0);
        assert_eq!(policy(&good, Some(None)), 0);
        assert_eq!(policy(&good, Some(Some(&hosts[0]))), 0);
        assert_eq!(policy(&good, Some(Some(&hosts[1]))), CERT_E_CN_NO_MATCH);
        let client = pki.root.leaf(&["a.test"], |params| {
            params.extended_key_usages = vec![rcgen::ExtendedKeyUsagePurpose::ClientAuth];
        });
        assert_eq!(policy(&client.der, None), 0);
        assert_eq!(policy(&client.der, Some(Some(&hosts[0]))), CERT_E_WRONG_USAGE);
        let old =
            pki.root.leaf(&["a.test"], |params| set_dates(params, (2020, 1, 1), (2021, 1, 1)));
        assert_eq!(policy(&old.der, Some(Some(&hosts[0]))), 0x800b_0101);
        let own = Leaf::self_signed(&["a.test"]).der;
        assert_eq!(policy(&own, Some(Some(&hosts[0]))), 0x800b_0109);
    }

    #[test]
    fn without_the_trust_that_was_asked_for_there_is_no_chain() {
        let pki = pki();
        let mut trust = Trust::default();
        trust.note_failure(&crate::error::Error::new(crate::error::Code::IO, "no such file"));
        let leaf = pki.root.leaf(&["a.test"], |_| {});
        assert!(Chain::build(&request(&leaf.der, &[]), &trust).is_err());
    }
}
