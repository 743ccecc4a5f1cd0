//! The verifier that rustls calls, and the report that it leaves.

use std::cell::Cell;
use std::mem::ManuallyDrop;
use std::sync::Arc;

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{WebPkiSupportedAlgorithms, aws_lc_rs};
use rustls::pki_types::{CertificateDer, ServerName, SubjectPublicKeyInfoDer, UnixTime};
use rustls::{
    CertificateError, DigitallySignedStruct, DistinguishedName, OtherError, RootCertStore,
    SignatureScheme,
};

use super::chain::Examination;
pub use super::chain::{Purpose, Subject};
use super::facts::{Facts, public_key};
use super::outcomes::Outcomes;
use super::pins::Pins;
use super::report::{
    CAUSE_EXPIRED, CAUSE_ISSUER_UNKNOWN, CAUSE_MALFORMED, CAUSE_NAME, CAUSE_NOT_YET_VALID,
    CAUSE_PIN, CAUSE_REVOCATION_UNKNOWN, CAUSE_REVOKED, CAUSE_SIGNATURE, CAUSE_USAGE,
    PRESENTED_LIMIT, Report, conclude, main_cause,
};
use super::revocation::Lists;
use super::signature::{checkable_key, verify_tls12, verify_tls13};
use super::strength::check_key;
use super::trust::{Trust, digest};
use crate::error::{Code, Error, Result};

/// Who decides about a chain that is not trusted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Mode {
    /// The verifier: the handshake ends with the fitting alert.
    Reject,
    /// The program, beside rustls: the handshake goes on, the report tells what is wrong. The
    /// signatures of the handshake are checked all the same.
    Provisional,
    /// The same for a peer that has no name: no certificate is for it.
    Nameless,
}

/// Verifies the certificates of one kind of peer and leaves a [`Report`] of each verification.
#[derive(Debug)]
pub struct Verifier {
    roots: Arc<RootCertStore>,
    supported: WebPkiSupportedAlgorithms,
    mode: Mode,
    purpose: Purpose,
    pins: Pins,
    lists: Lists,
    outcomes: Outcomes,
}

impl Verifier {
    /// A verifier of servers for one set of trusted certificates.
    pub fn new(trust: &Trust, mode: Mode) -> Result<Self> {
        Self::of(Purpose::Server, trust, mode)
    }

    pub fn of(purpose: Purpose, trust: &Trust, mode: Mode) -> Result<Self> {
        let supported = aws_lc_rs::default_provider().signature_verification_algorithms;
        let (pins, lists) = (trust.pins().clone(), trust.lists().clone());
        let roots = match purpose {
            // The built-in ones vouch for servers only.
            Purpose::Client if !trust.is_explicit() => Arc::new(RootCertStore::empty()),
            Purpose::Client | Purpose::Server => trust.roots(),
        };
        match purpose == Purpose::Server && roots.is_empty() {
            true => Err(Error::internal("there are no trusted certificates")),
            false => {
                let outcomes = Outcomes::default();
                Ok(Self { roots, supported, mode, purpose, pins, lists, outcomes })
            }
        }
    }

    pub fn mode(&self) -> Mode {
        self.mode
    }

    /// Verification alone, without the handshake's signatures: also used on resumption, where the
    /// peer proves its identity by the resumed secret. With [`Subject::Unknown`] nothing is trusted.
    ///
    /// What was found in order before, and still is, costs no more than a comparison.
    pub fn examine<'a>(
        &self,
        chain: &[CertificateDer<'_>],
        subject: impl Into<Subject<'a>>,
        now: UnixTime,
    ) -> Arc<Report> {
        let (subject, now) = (subject.into(), i64::try_from(now.as_secs()).unwrap_or(i64::MAX));
        if let Some(report) = self.outcomes.find(chain, subject, now) {
            return report;
        }
        let report = Arc::new(self.examine_at(chain, subject, now));
        self.outcomes.keep(chain, subject, now, self.lists.period_around(now), &report);
        report
    }

    /// The same at any time in Unix seconds, and in any case anew.
    pub fn examine_at<'a>(
        &self,
        chain: &[CertificateDer<'_>],
        subject: impl Into<Subject<'a>>,
        now: i64,
    ) -> Report {
        let subject = subject.into();
        let (expected, of_names) = match subject {
            Subject::Named(name) => (Some(name.to_str().into_owned()), CAUSE_NAME),
            Subject::Unknown => (None, CAUSE_NAME),
            Subject::Any => (None, 0),
        };
        let mut report = Report {
            // Of an empty chain.
            causes: CAUSE_MALFORMED
                | CAUSE_ISSUER_UNKNOWN
                | of_names
                | if self.pins.is_empty() { 0 } else { CAUSE_PIN },
            expected,
            presented: Vec::new(),
            subject: String::new(),
            issuer: String::new(),
            not_before: 0,
            not_after: 0,
            chain: chain.iter().map(|certificate| certificate.to_vec()).collect(),
            spki_sha256: [0; 32],
            error: None,
            key_is_useless: false,
            rejected: false,
        };
        let Some(leaf) = chain.first() else {
            report.error = Some(Error::new(Code::NO_CERT, "the peer sent no certificate"));
            return report;
        };
        let facts = Facts::parse(leaf);
        if let Some(facts) = &facts {
            let names = facts.names.iter().take(PRESENTED_LIMIT);
            report.presented = names.map(|name| name.text.clone()).collect();
            report.subject.clone_from(&facts.subject);
            report.issuer.clone_from(&facts.issuer);
            (report.not_before, report.not_after) = (facts.not_before, facts.not_after);
        }
        let weak =
            facts.as_ref().and_then(|facts| check_key(facts, "certificate", &self.supported));
        report.key_is_useless = weak.is_some();
        let key = public_key(leaf).map(|key| digest(&key));
        report.spki_sha256 = key.unwrap_or_default();
        let (roots, supported, lists) = (&*self.roots, &self.supported, &self.lists);
        let (purpose, facts) = (self.purpose, facts.as_ref());
        let examination =
            Examination { roots, supported, chain, subject, purpose, now, lists, facts };
        let mut findings: Vec<_> = weak.into_iter().collect();
        findings.extend(examination.findings(leaf));
        findings.extend(self.pins.check(key.as_ref()));
        (report.causes, report.error) = conclude(findings);
        report
    }
}

/// What rustls asks in both roles.
impl Verifier {
    /// Leaves the report with the thread.
    fn verify<'a>(
        &self,
        end_entity: &'a CertificateDer<'_>,
        intermediates: &'a [CertificateDer<'_>],
        subject: Subject<'_>,
        now: UnixTime,
    ) -> std::result::Result<(), rustls::Error> {
        let borrowed = |certificate: &'a CertificateDer<'_>| CertificateDer::from(&certificate[..]);
        let chain: Vec<_> = [end_entity].into_iter().chain(intermediates).map(borrowed).collect();
        let mut found = self.examine(&chain, subject, now);
        let mut answer = Ok(());
        if found.error.is_some() {
            let report = Arc::make_mut(&mut found);
            if report.key_is_useless && self.mode != Mode::Reject {
                // The hook could not accept it either.
                report.error = report.beyond_hooks();
            }
            report.rejected =
                report.error.is_some() && (self.mode == Mode::Reject || report.key_is_useless);
            if let Some(error) = report.error.as_ref().filter(|_| report.rejected) {
                answer = Err(refusal(report, error).into());
            }
        }
        put_report(Some(found));
        answer
    }

    pub(super) fn verify_client(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        now: UnixTime,
    ) -> std::result::Result<(), rustls::Error> {
        self.verify(end_entity, intermediates, Subject::Any, now)
    }

    /// The subjects of the trusted certificates.
    pub(super) fn trusted_names(&self) -> Vec<DistinguishedName> {
        self.roots.subjects()
    }

    pub(super) fn signature_of_tls12(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> std::result::Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls12(message, &self.key_of(cert)?, dss, &self.supported)
    }

    pub(super) fn signature_of_tls13(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> std::result::Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls13(message, &self.key_of(cert)?, dss, &self.supported)
    }

    /// The key of a certificate, if a signature by it proves anything.
    fn key_of(
        &self,
        leaf: &CertificateDer<'_>,
    ) -> std::result::Result<SubjectPublicKeyInfoDer<'static>, CertificateError> {
        match self.outcomes.key_of(leaf) {
            Some(key) => Ok(key),
            None => checkable_key(leaf, &self.supported),
        }
    }

    pub(super) fn schemes(&self) -> Vec<SignatureScheme> {
        self.supported.supported_schemes()
    }
}

impl ServerCertVerifier for Verifier {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        now: UnixTime,
    ) -> std::result::Result<ServerCertVerified, rustls::Error> {
        let name = (self.mode != Mode::Nameless).then_some(server_name);
        self.verify(end_entity, intermediates, name.into(), now)?;
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> std::result::Result<HandshakeSignatureValid, rustls::Error> {
        self.signature_of_tls12(message, cert, dss)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> std::result::Result<HandshakeSignatureValid, rustls::Error> {
        self.signature_of_tls13(message, cert, dss)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.schemes()
    }
}

/// Takes the report that the last verification on this thread has left.
pub fn take_report() -> Option<Arc<Report>> {
    ManuallyDrop::into_inner(REPORT.replace(ManuallyDrop::new(None)))
}

/// Puts one back that was taken so that it does not mix with another's.
pub fn put_report(report: Option<Arc<Report>>) {
    drop(ManuallyDrop::into_inner(REPORT.replace(ManuallyDrop::new(report))));
}

/// What makes rustls send the alert that fits the most important finding.
fn refusal(report: &Report, error: &Error) -> CertificateError {
    match main_cause(report.causes) {
        Some(CAUSE_MALFORMED) => CertificateError::BadEncoding,
        Some(CAUSE_SIGNATURE) => CertificateError::BadSignature,
        Some(CAUSE_ISSUER_UNKNOWN) => CertificateError::UnknownIssuer,
        Some(CAUSE_REVOKED) => CertificateError::Revoked,
        Some(CAUSE_REVOCATION_UNKNOWN) => CertificateError::UnknownRevocationStatus,
        Some(CAUSE_EXPIRED) => CertificateError::Expired,
        Some(CAUSE_NOT_YET_VALID) => CertificateError::NotValidYet,
        Some(CAUSE_NAME) => CertificateError::NotValidForName,
        Some(CAUSE_USAGE) => CertificateError::InvalidPurpose,
        _ => CertificateError::Other(OtherError(Arc::new(error.clone()))),
    }
}

thread_local! {
    /// Without a destructor, so that it is there in a thread that is ending, too.
    static REPORT: Cell<ManuallyDrop<Option<Arc<Report>>>> =
        const { Cell::new(ManuallyDrop::new(None)) };
}
