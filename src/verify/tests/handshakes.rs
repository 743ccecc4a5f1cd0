//! The verifier inside rustls: alerts, the report, and the signatures of the handshake.

use std::sync::Arc;

use rustls::client::WebPkiServerVerifier;
use rustls::crypto::aws_lc_rs::{default_provider, sign::any_supported_type};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use rustls::time_provider::TimeProvider;
use rustls::version::{TLS12, TLS13};
use rustls::{
    AlertDescription, CertificateError, ClientConfig, ClientConnection, Error, ServerConfig,
    ServerConnection, SupportedProtocolVersion,
};

use super::fixtures::*;
use crate::verify::name::PeerName;
use crate::verify::report::*;
use crate::verify::verifier::{Mode, Verifier, take_report};

const VERSIONS: [&SupportedProtocolVersion; 2] = [&TLS12, &TLS13];

#[test]
fn without_a_name_the_handshake_goes_on_and_the_report_says_so() {
    for version in VERSIONS {
        let root = Ca::root("Root");
        let leaf = root.leaf(&["a.test"], |_| {});
        let verifier = verifier(&[&root.der], Mode::Nameless);
        assert_eq!(handshake(version, verifier, &[&leaf.der], &leaf.key), Ok(()));
        let report = take_report().unwrap();
        assert_eq!((report.causes, report.expected.as_deref()), (CAUSE_NAME, None));
    }
}

#[test]
fn a_good_chain_is_accepted_and_leaves_one_report() {
    for version in VERSIONS {
        for mode in [Mode::Reject, Mode::Provisional] {
            let root = Ca::root("Root");
            let leaf = root.leaf(&["a.test"], |_| {});
            let verifier = verifier(&[&root.der], mode);
            assert_eq!(handshake(version, verifier, &[&leaf.der], &leaf.key), Ok(()));
            assert_eq!(take_report().unwrap().error, None);
            assert!(take_report().is_none());
        }
    }
}

#[test]
fn what_is_wrong_is_rejected_with_its_alert_or_accepted_provisionally() {
    use AlertDescription as A;
    let root = Ca::root("Root");
    let cases = [
        (
            Ca::root("Nobody").leaf(&["a.test"], |_| {}),
            CertificateError::UnknownIssuer,
            A::UnknownCA,
        ),
        (root.leaf(&["b.test"], |_| {}), CertificateError::NotValidForName, A::BadCertificate),
        (
            root.leaf(&["a.test"], |params| set_dates(params, (2023, 1, 1), (2024, 1, 1))),
            CertificateError::Expired,
            A::CertificateExpired,
        ),
        (
            root.leaf(&["a.test"], |params| set_dates(params, (2026, 7, 1), (2027, 1, 1))),
            CertificateError::NotValidYet,
            A::CertificateExpired,
        ),
        (
            Ca::root("Root").leaf(&["a.test"], |_| {}),
            CertificateError::BadSignature,
            A::DecryptError,
        ),
        (
            root.leaf(&["a.test"], |params| {
                params.extended_key_usages = vec![rcgen::ExtendedKeyUsagePurpose::ClientAuth];
            }),
            CertificateError::InvalidPurpose,
            A::UnsupportedCertificate,
        ),
    ];
    for version in VERSIONS {
        for (leaf, error, alert) in &cases {
            let rejecting = verifier(&[&root.der], Mode::Reject);
            let answer = handshake(version, rejecting, &[&leaf.der], &leaf.key);
            assert_eq!(answer, Err((Error::InvalidCertificate(error.clone()), Some(*alert))));
            assert!(take_report().unwrap().error.is_some());

            let provisional = verifier(&[&root.der], Mode::Provisional);
            assert_eq!(handshake(version, provisional, &[&leaf.der], &leaf.key), Ok(()));
            assert!(take_report().unwrap().error.is_some());
        }
    }
}

#[test]
fn a_signature_by_another_key_is_refused_also_provisionally() {
    let stranger = rcgen::KeyPair::generate().unwrap();
    let root = Ca::root("Root");
    // The last three are certificates that webpki does not read or does not take as a leaf's.
    for certificate in [
        root.leaf(&["a.test"], |_| {}).der,
        Leaf::self_signed(&["a.test"]).der,
        critical(&root).der,
        openssl_self_signed("A", "a.test"),
        root.der.clone(),
    ] {
        for version in VERSIONS {
            let verifier = verifier(&[&root.der], Mode::Provisional);
            let answer = handshake(version, verifier, &[&certificate], &stranger);
            let bad = Error::InvalidCertificate(CertificateError::BadSignature);
            assert_eq!(answer, Err((bad, Some(AlertDescription::DecryptError))));
            assert!(take_report().is_some());
        }
    }
    // A key of another kind (RSA in the certificate, ECDSA in the handshake).
    for version in VERSIONS {
        let verifier = verifier(&[&root.der], Mode::Provisional);
        let answer = handshake(version, verifier, &[&openssl_version_1("a.test")], &stranger);
        let refused = matches!(
            answer,
            Err((
                Error::InvalidCertificate(
                    CertificateError::UnsupportedSignatureAlgorithmForPublicKeyContext { .. }
                ),
                _
            ))
        );
        assert!(refused, "{answer:?}");
    }
}

#[test]
fn whose_chain_is_known_has_to_sign_with_its_key_all_the_same() {
    let stranger = rcgen::KeyPair::generate().unwrap();
    for version in VERSIONS {
        for mode in [Mode::Reject, Mode::Provisional] {
            let root = Ca::root("Root");
            let verifier = Arc::new(verifier(&[&root.der], mode));
            let leaves = [(); 2].map(|()| root.leaf(&["a.test"], |_| {}));
            let answer = |leaf: &Leaf, key: &rcgen::KeyPair| {
                handshake(version, verifier.clone(), &[&leaf.der], key)
            };
            for _ in 0..2 {
                for (leaf, other) in [(0, 1), (1, 0)] {
                    assert_eq!(answer(&leaves[leaf], &leaves[leaf].key), Ok(()));
                    for key in [&leaves[other].key, &stranger] {
                        let refused = answer(&leaves[leaf], key).unwrap_err().0;
                        assert_eq!(refused, CertificateError::BadSignature.into());
                    }
                }
            }
        }
    }
}

#[test]
fn the_right_key_is_accepted_for_what_webpki_does_not_read() {
    for version in VERSIONS {
        let root = Ca::root("Root");
        let leaf = critical(&root);
        let provisional = verifier(&[&root.der], Mode::Provisional);
        assert_eq!(handshake(version, provisional, &[&leaf.der], &leaf.key), Ok(()));
        assert_eq!(take_report().unwrap().causes, CAUSE_MALFORMED);
    }
}

#[test]
fn tls_1_3_refuses_the_schemes_of_tls_1_2() {
    use rustls::client::danger::ServerCertVerifier;
    use rustls::internal::msgs::codec::{Codec, Reader};

    let root = Ca::root("Root");
    let leaf = openssl_leaf("a.test", &["-newkey", "rsa:2048"]);
    let verifier = verifier(&[&root.der], Mode::Provisional);
    // RSA_PKCS1_SHA256 and an empty signature; ECDSA_SHA1_Legacy.
    for scheme in [[4, 1], [2, 3]] {
        let bytes = [scheme[0], scheme[1], 0, 0];
        let signed = rustls::DigitallySignedStruct::read(&mut Reader::init(&bytes)).unwrap();
        let error = verifier.verify_tls13_signature(b"message", &leaf, &signed).unwrap_err();
        let misbehaved = rustls::PeerMisbehaved::SignedHandshakeWithUnadvertisedSigScheme;
        assert_eq!(error, Error::PeerMisbehaved(misbehaved.clone()));
        let error = verifier.verify_tls12_signature(b"message", &leaf, &signed).unwrap_err();
        match scheme {
            [4, 1] => assert_eq!(error, CertificateError::BadSignature.into()),
            _ => assert_eq!(error, Error::PeerMisbehaved(misbehaved)),
        }
    }
    let roots = rustls::RootCertStore { roots: webpki_roots::TLS_SERVER_ROOTS.to_vec() };
    let stock =
        WebPkiServerVerifier::builder_with_provider(Arc::new(roots), Arc::new(default_provider()));
    let stock = stock.build().unwrap();
    assert_eq!(verifier.supported_verify_schemes(), stock.supported_verify_schemes());
}

/// A leaf that webpki refuses to read.
fn critical(root: &Ca) -> Leaf {
    root.leaf(&["a.test"], |params| {
        let mut extension = rcgen::CustomExtension::from_oid_content(&[1, 2, 3, 4], vec![5, 0]);
        extension.set_criticality(true);
        params.custom_extensions.push(extension);
    })
}

/// The client's error, and the alert that it sent.
type Answer = Result<(), (Error, Option<AlertDescription>)>;

fn handshake(
    version: &'static SupportedProtocolVersion,
    verifier: impl Into<Arc<Verifier>>,
    chain: &[&CertificateDer<'static>],
    key: &rcgen::KeyPair,
) -> Answer {
    let provider = Arc::new(default_provider());
    let client = ClientConfig::builder_with_details(provider.clone(), Arc::new(Clock))
        .with_protocol_versions(&[version])
        .unwrap()
        .dangerous()
        .with_custom_certificate_verifier(verifier.into())
        .with_no_client_auth();
    let chain = chain.iter().map(|der| (*der).clone()).collect();
    let key = PrivateKeyDer::try_from(key.serialize_der()).unwrap();
    let certified = CertifiedKey::new(chain, any_supported_type(&key).unwrap());
    let server = ServerConfig::builder_with_provider(provider)
        .with_protocol_versions(&[version])
        .unwrap()
        .with_no_client_auth()
        .with_cert_resolver(Arc::new(Always(Arc::new(certified))));
    let name = PeerName::parse("a.test").unwrap();
    let mut client = ClientConnection::new(Arc::new(client), name.server_name().clone()).unwrap();
    let mut server = ServerConnection::new(Arc::new(server)).unwrap();

    while client.is_handshaking() || server.is_handshaking() {
        let mut wire = Vec::new();
        client.write_tls(&mut wire).unwrap();
        server.read_tls(&mut &wire[..]).unwrap();
        server.process_new_packets().unwrap();
        let mut wire = Vec::new();
        while server.wants_write() {
            server.write_tls(&mut wire).unwrap();
        }
        let mut rest = &wire[..];
        while !rest.is_empty() {
            client.read_tls(&mut rest).unwrap();
            if let Err(error) = client.process_new_packets() {
                let mut wire = Vec::new();
                while client.wants_write() {
                    client.write_tls(&mut wire).unwrap();
                }
                server.read_tls(&mut &wire[..]).unwrap();
                let alert = match server.process_new_packets() {
                    Err(Error::AlertReceived(alert)) => Some(alert),
                    _ => None,
                };
                return Err((error, alert));
            }
        }
    }
    Ok(())
}

#[derive(Debug)]
struct Always(Arc<CertifiedKey>);

impl ResolvesServerCert for Always {
    fn resolve(&self, _: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(self.0.clone())
    }
}

#[derive(Debug)]
struct Clock;

impl TimeProvider for Clock {
    fn current_time(&self) -> Option<rustls::pki_types::UnixTime> {
        Some(time())
    }
}
