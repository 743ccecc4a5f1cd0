//! Certificates of clients, as rustls has a server verify them.

use std::sync::Arc;

use rustls::client::danger::HandshakeSignatureValid;
use rustls::pki_types::{CertificateDer, UnixTime};
use rustls::server::danger::{ClientCertVerified, ClientCertVerifier};
use rustls::{DigitallySignedStruct, DistinguishedName, Error, SignatureScheme};

use super::verifier::Verifier;

/// A [`Verifier`] in the server role.
#[derive(Debug)]
pub struct ClientVerifier {
    verifier: Arc<Verifier>,
    mandatory: bool,
    /// What clients are told of whom this server believes.
    issuers: Vec<DistinguishedName>,
}

impl ClientVerifier {
    pub fn new(verifier: Arc<Verifier>, mandatory: bool) -> Self {
        let mut issuers = verifier.trusted_names();
        // They go into one message, which not every client takes in any size. None means any.
        if issuers.iter().map(|name| name.as_ref().len()).sum::<usize>() > ISSUERS_LIMIT {
            issuers.clear();
        }
        Self { verifier, mandatory, issuers }
    }
}

impl ClientCertVerifier for ClientVerifier {
    fn client_auth_mandatory(&self) -> bool {
        self.mandatory
    }

    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        &self.issuers
    }

    fn verify_client_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        now: UnixTime,
    ) -> Result<ClientCertVerified, Error> {
        self.verifier.verify_client(end_entity, intermediates, now)?;
        Ok(ClientCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.verifier.signature_of_tls12(message, cert, dss)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.verifier.signature_of_tls13(message, cert, dss)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.verifier.schemes()
    }
}

const ISSUERS_LIMIT: usize = 16 * 1024;
