//! Certificates of the wrong kind: for another purpose, too weak, too large, or hardly one at all.

use rcgen::{ExtendedKeyUsagePurpose, IsCa};
use rustls::pki_types::CertificateDer;

use super::fixtures::*;
use crate::error::Code;
use crate::verify::report::*;

#[test]
fn a_ca_certificate_is_no_server_certificate() {
    for (host, name) in [("a.test", "A"), ("b.test", "B")] {
        let leaf = openssl_self_signed(name, host);
        let root = Ca::root("Root");
        let usage = "CA certificate used as a server certificate: let this CA issue one for the \
                     server, and trust the CA";
        let trusted = examine_today(&[&leaf], &[&leaf], host);
        assert_error(&trusted, CAUSE_USAGE, Code::CERT_UNKNOWN, usage);
        assert_error(
            &examine_today(&[&root.der], &[&leaf], host),
            CAUSE_USAGE | CAUSE_ISSUER_UNKNOWN,
            Code::CERT_UNKNOWN,
            &format!("certificate is self-signed and not trusted; {usage}"),
        );
    }
    // Through an intermediate it is not judged, hence not trusted.
    let root = Ca::root("Root");
    let middle = root.intermediate("Middle", |_| {});
    let leaf = middle.leaf(&["a.test"], |params| {
        params.is_ca = IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
    });
    let report = examine(&[&root], &[&leaf.der, &middle.der], "a.test");
    assert_eq!(report.causes, CAUSE_USAGE | CAUSE_ISSUER_UNKNOWN);
    let report = examine(&[&middle], &[&leaf.der], "a.test");
    assert_eq!(report.causes, CAUSE_USAGE);

    // Nor are the limits of a trusted issuer.
    let limited = root.intermediate("Limited", |params| {
        params.name_constraints = Some(rcgen::NameConstraints {
            permitted_subtrees: vec![rcgen::GeneralSubtree::DnsName("b.test".into())],
            excluded_subtrees: Vec::new(),
        });
    });
    let leaf = limited.leaf(&["a.test"], |params| {
        params.is_ca = IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
    });
    let report = examine(&[&limited], &[&leaf.der], "a.test");
    assert_eq!(report.causes, CAUSE_USAGE | CAUSE_ISSUER_UNKNOWN);
}

#[test]
fn a_client_needs_a_certificate_for_clients_and_no_name() {
    let root = Ca::root("Root");
    let for_usage = |usages: &[ExtendedKeyUsagePurpose]| {
        root.leaf(&[], |params| params.extended_key_usages = usages.to_vec()).der
    };
    use ExtendedKeyUsagePurpose::{ClientAuth, ServerAuth};
    for usages in [&[][..], &[ClientAuth], &[ServerAuth, ClientAuth]] {
        let report = examine_client(&[&root], &[&for_usage(usages)]);
        assert_eq!((report.causes, report.error), (0, None), "{usages:?}");
        assert_eq!(report.expected, None);
    }
    let of_server = for_usage(&[ServerAuth]);
    let usage = "certificate is not meant for clients (its extended key usage is server \
                 authentication): use one with client authentication";
    let report = examine_client(&[&root], &[&of_server]);
    assert_error(&report, CAUSE_USAGE, Code::CERT_UNKNOWN, usage);
    let report = examine_client(&[&Ca::root("Other")], &[&of_server]);
    assert_eq!(report.causes, CAUSE_USAGE | CAUSE_ISSUER_UNKNOWN);

    let middle = root.intermediate("Middle", |params| {
        params.extended_key_usages = vec![ServerAuth];
    });
    let report = examine_client(&[&root], &[&middle.leaf(&[], |_| {}).der, &middle.der]);
    let usage = "a CA of the chain may not issue certificates for clients (extended key usage)";
    assert_error(&report, CAUSE_USAGE, Code::CERT_UNKNOWN, usage);
    let report = examine_client(&[&root], &[&root.der]);
    let usage = "CA certificate used as a client certificate: let this CA issue one for the \
                 client, and trust the CA";
    assert_error(&report, CAUSE_USAGE, Code::CERT_UNKNOWN, usage);
    let old = openssl_version_1("a.test");
    assert_eq!(examine_client(&[&root], &[&old]).causes & CAUSE_NAME, 0);
    assert_eq!(examine_client(&[&root], &[]).causes, CAUSE_MALFORMED | CAUSE_ISSUER_UNKNOWN);
}

#[test]
fn version_1_is_described_as_far_as_it_goes() {
    for name in ["a.test", "b.test"] {
        let leaf = openssl_version_1(name);
        let told = format!(
            "certificate is X.509 version 1, which holds no host name and cannot be verified: use \
             one of version 3 with a subject alternative name; NOT_TRUSTEDcertificate has no \
             subject alternative name (its common name \"{name}\" does not count), so it is not \
             for \"{name}\""
        );
        let report = examine_today(&[&Ca::root("Root").der], &[&leaf], name);
        assert_error(
            &report,
            CAUSE_MALFORMED | CAUSE_ISSUER_UNKNOWN | CAUSE_NAME,
            Code::BAD_DATA,
            &told.replace("NOT_TRUSTED", "certificate is self-signed and not trusted; "),
        );
        assert_eq!(report.subject, format!("CN={name}"));
        assert_ne!(report.spki_sha256, [0; 32]);
        assert_error(
            &examine_today(&[&leaf], &[&leaf], name),
            CAUSE_MALFORMED | CAUSE_NAME,
            Code::BAD_DATA,
            &told.replace("NOT_TRUSTED", ""),
        );
    }
}

#[test]
fn a_certificate_for_other_purposes_is_refused() {
    use ExtendedKeyUsagePurpose::{ClientAuth, CodeSigning, EmailProtection, ServerAuth};
    for (purposes, shown) in [
        (vec![ClientAuth], "client authentication"),
        (vec![EmailProtection, CodeSigning], "code signing, e-mail protection"),
    ] {
        let root = Ca::root("Root");
        let leaf = root.leaf(&["a.test"], |params| params.extended_key_usages = purposes.clone());
        let usage = format!(
            "certificate is not meant for servers (its extended key usage is {shown}): use one \
             with server authentication"
        );
        let report = examine(&[&root], &[&leaf.der], "a.test");
        assert_error(&report, CAUSE_USAGE, Code::CERT_UNKNOWN, &usage);
        let report = examine(&[&Ca::root("Other")], &[&leaf.der], "a.test");
        assert_eq!(report.causes, CAUSE_USAGE | CAUSE_ISSUER_UNKNOWN);
    }
    let root = Ca::root("Root");
    let both =
        root.leaf(&["a.test"], |params| params.extended_key_usages = vec![ClientAuth, ServerAuth]);
    assert_eq!(examine(&[&root], &[&both.der], "a.test").error, None);
}

#[test]
fn thousands_of_names_make_a_small_report() {
    let root = Ca::root("Root");
    for (count, causes) in [(2_000, CAUSE_NAME), (10_000, CAUSE_MALFORMED | CAUSE_NAME)] {
        let names: Vec<_> = (0..count).map(|number| format!("n{number}.test")).collect();
        let names: Vec<_> = names.iter().map(String::as_str).collect();
        let leaf = root.leaf(&names, |_| {});
        let report = examine(&[&root], &[&leaf.der], "mail.test");
        assert_eq!(report.causes, causes, "{:?}", report.error);
        assert_eq!(report.presented.len(), PRESENTED_LIMIT);
        let text = report.error.unwrap().text;
        let name = format!(
            "certificate is for \"n0.test\", \"n1.test\", \"n2.test\", \"n3.test\", \"n4.test\" \
             (and {} more), not for \"mail.test\"",
            count - 5
        );
        match causes {
            CAUSE_NAME => assert_eq!(text, name),
            _ => assert_eq!(
                text,
                format!(
                    "certificate is {} bytes long, more than the 65535 that can be verified; \
                     {name}",
                    leaf.der.len()
                )
            ),
        }
    }
}

#[test]
fn what_is_no_certificate_is_malformed() {
    let causes = CAUSE_MALFORMED | CAUSE_ISSUER_UNKNOWN | CAUSE_NAME;
    for (der, detail) in [(&b""[..], "TrailingData(SignedData)"), (b"\x30\x00", "BadDer")] {
        let report = examine(&[&Ca::root("Root")], &[&CertificateDer::from(der)], "a.test");
        let text = format!(
            "certificate cannot be parsed ({detail}); no trusted certificate vouches for the \
             chain; certificate is not for \"a.test\""
        );
        assert_error(&report, causes, Code::BAD_DATA, &text);
        assert_eq!(report.spki_sha256, [0; 32]);
    }
    let report = examine(&[&Ca::root("Root")], &[], "a.test");
    assert_error(&report, causes, Code::NO_CERT, "the peer sent no certificate");
}

#[test]
fn an_unknown_critical_extension_is_named() {
    for (object, shown) in [(&[1, 2, 3, 4][..], "1.2.3.4"), (&[1, 3, 6, 1, 99], "1.3.6.1.99")] {
        let root = Ca::root("Root");
        let leaf = root.leaf(&["*.a.test"], |params| {
            let mut extension = rcgen::CustomExtension::from_oid_content(object, vec![5, 0]);
            extension.set_criticality(true);
            params.custom_extensions.push(extension);
        });
        let told = format!("certificate has a critical extension that is not supported ({shown})");
        let report = examine(&[&root], &[&leaf.der], "b.a.test");
        assert_error(&report, CAUSE_MALFORMED, Code::BAD_DATA, &told);
        let report = examine(&[&root], &[&leaf.der], "c.b.a.test");
        assert_eq!(report.causes, CAUSE_MALFORMED | CAUSE_NAME);
    }
}
