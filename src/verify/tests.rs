//! Chains, right and wrong: what the report says of each, word for word.

pub mod fixtures;
mod handshakes;
mod keys;
mod kinds;
mod revoked;

use rcgen::{ExtendedKeyUsagePurpose, IsCa, SanType};
use rustls::pki_types::CertificateDer;

use super::report::*;
use crate::error::Code;
use fixtures::*;

#[test]
fn a_good_chain_is_trusted_and_described() {
    for (host, names) in [("a.test", &["a.test", "b.test"][..]), ("x.b.test", &["*.b.test"])] {
        let root = Ca::root("Root");
        let leaf = root.leaf(names, |_| {});
        let report = examine(&[&root], &[&leaf.der], host);
        assert_eq!((report.causes, report.error), (0, None), "{host}");
        assert_eq!(report.expected.as_deref(), Some(host));
        assert_eq!(report.presented, names);
        assert_eq!((&*report.subject, &*report.issuer), ("CN=leaf", "CN=Root"));
        assert_eq!((report.not_before, report.not_after), (START, END));
        assert_eq!(report.chain, [leaf.der.to_vec()]);
        let digest = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, &leaf.spki());
        assert_eq!(report.spki_sha256, digest.as_ref());
    }
}

#[test]
fn a_wrong_name_lists_the_right_ones() {
    for (names, host, text) in [
        (&["a.test"][..], "mail.test", r#"certificate is for "a.test", not for "mail.test""#),
        (
            &["a.test", "b.test", "c.test", "d.test", "e.test", "f.test", "g.test"],
            "mail.test",
            "certificate is for \"a.test\", \"b.test\", \"c.test\", \"d.test\", \"e.test\" \
             (and 2 more), not for \"mail.test\"",
        ),
        // A wildcard stands for exactly one label.
        (&["*.test.example"], "a.b.test.example", WILDCARD),
        (&["*.a.test"], "a.test", r#"certificate is for "*.a.test", not for "a.test""#),
        (&["192.0.2.8"], "a.test", r#"certificate is for "192.0.2.8", not for "a.test""#),
        (&["a.test"], "192.0.2.7", r#"certificate is for "a.test", not for "192.0.2.7""#),
        (&["192.0.2.8"], "192.0.2.7", r#"certificate is for "192.0.2.8", not for "192.0.2.7""#),
        (&["2001:db8::8"], "[2001:db8::7]", V6),
        (
            &["dns:192.0.2.7"],
            "192.0.2.7",
            "certificate has the address \"192.0.2.7\" as a DNS name, which does not count: it has \
             to be an IP address among the subject alternative names",
        ),
        (
            &["dns:2001:db8::7"],
            "2001:db8::7",
            "certificate has the address \"2001:db8::7\" as a DNS name, which does not count: it \
             has to be an IP address among the subject alternative names",
        ),
        (
            &["a.test\r\nmail.test", "\u{1b}[2J\"x"],
            "mail.test",
            "certificate is for \"a.test\\x0d\\x0amail.test\", \"\\x1b[2J\\\"x\", not for \
             \"mail.test\"",
        ),
        (
            &[],
            "leaf",
            "certificate has no subject alternative name (its common name \"leaf\" does not \
             count), so it is not for \"leaf\"",
        ),
        (
            &[],
            "a.test",
            "certificate has no subject alternative name (its common name \"leaf\" does not \
             count), so it is not for \"a.test\"",
        ),
    ] {
        let root = Ca::root("Root");
        let leaf = root.leaf(names, |_| {});
        let report = examine(&[&root], &[&leaf.der], host);
        assert_error(&report, CAUSE_NAME, Code::NAME, text);
    }
    let root = Ca::root("Root");
    let mail = root.leaf(&[], |params| {
        params.subject_alt_names = vec![SanType::Rfc822Name("me@a.test".try_into().unwrap())];
    });
    assert_error(
        &examine(&[&root], &[&mail.der], "a.test"),
        CAUSE_NAME,
        Code::NAME,
        "certificate has no host among its subject alternative names, so it is not for \"a.test\"",
    );
}

#[test]
fn without_a_name_no_certificate_is_trusted() {
    let text = "there was no name to check: nobody has said whom this connection is meant to \
                reach, so any certificate would do (SO_SSL_SET_PEERNAME, ssl_set_peername)";
    let (root, nobody) = (Ca::root("Root"), Ca::root("Nobody"));
    // As the address that stands for no name inside rustls, too.
    for names in [&["a.test"][..], &["0.0.0.0"], &[]] {
        let leaf = root.leaf(names, |_| {});
        let report = examine_nameless(&[&root.der], &[&leaf.der]);
        assert_error(&report, CAUSE_NAME, Code::NAME, text);
        assert_eq!(report.expected, None);
        assert_eq!(report.presented, names);
    }
    // Everything else is found as well, also where webpki cannot read the certificate.
    let report = examine_nameless(&[&root.der], &[&nobody.leaf(&["a.test"], |_| {}).der]);
    assert_eq!(report.causes, CAUSE_NAME | CAUSE_ISSUER_UNKNOWN);
    let report = examine_nameless(&[&root.der], &[&CertificateDer::from(&b"\x30\x00"[..])]);
    assert_eq!(report.causes, CAUSE_NAME | CAUSE_ISSUER_UNKNOWN | CAUSE_MALFORMED);
    assert!(report.error.unwrap().text.ends_with(text));
}

#[test]
fn addresses_and_trailing_dots_match() {
    for (name, host) in [
        ("192.0.2.7", "192.0.2.7"),
        ("2001:db8::7", "[2001:db8:0::7]"),
        ("a.test", "A.Test."),
        ("xn--bcher-kva.test", "bücher.test"),
    ] {
        let root = Ca::root("Root");
        let report = examine(&[&root], &[&root.leaf(&[name], |_| {}).der], host);
        assert_eq!(report.error, None, "{host}");
        assert_eq!(report.presented, [name]);
    }
}

#[test]
fn dates_are_told_with_the_present_time() {
    for ((start, end), causes, code, text) in [
        (
            ((2023, 1, 1), (2024, 1, 2)),
            CAUSE_EXPIRED,
            Code::CERT_EXPIRED,
            "certificate expired on 2024-01-02 00:00:00 UTC (now 2026-06-01 00:00:00 UTC)",
        ),
        (
            ((2020, 2, 28), (2020, 2, 29)),
            CAUSE_EXPIRED,
            Code::CERT_EXPIRED,
            "certificate expired on 2020-02-29 00:00:00 UTC (now 2026-06-01 00:00:00 UTC)",
        ),
        (
            ((2026, 6, 2), (2027, 1, 1)),
            CAUSE_NOT_YET_VALID,
            Code::NOT_YET_VALID,
            "certificate is not valid before 2026-06-02 00:00:00 UTC \
             (now 2026-06-01 00:00:00 UTC: is the clock right?)",
        ),
        (
            ((2050, 1, 1), (2051, 1, 1)),
            CAUSE_NOT_YET_VALID,
            Code::NOT_YET_VALID,
            "certificate is not valid before 2050-01-01 00:00:00 UTC \
             (now 2026-06-01 00:00:00 UTC: is the clock right?)",
        ),
    ] {
        let root = Ca::root("Root");
        let leaf = root.leaf(&["a.test"], |params| set_dates(params, start, end));
        assert_error(&examine(&[&root], &[&leaf.der], "a.test"), causes, code, text);
    }
}

#[test]
fn dates_of_intermediates_count_and_name_them() {
    for (name, start, end, causes, code, text) in [
        (
            "Old",
            (2025, 1, 1),
            (2026, 5, 1),
            CAUSE_EXPIRED,
            Code::CERT_EXPIRED,
            "intermediate certificate \"CN=Old\" expired on 2026-05-01 00:00:00 UTC \
             (now 2026-06-01 00:00:00 UTC)",
        ),
        (
            "New",
            (2026, 7, 1),
            (2027, 1, 1),
            CAUSE_NOT_YET_VALID,
            Code::NOT_YET_VALID,
            "intermediate certificate \"CN=New\" is not valid before 2026-07-01 00:00:00 UTC \
             (now 2026-06-01 00:00:00 UTC: is the clock right?)",
        ),
    ] {
        let root = Ca::root("Root");
        let middle = root.intermediate(name, |params| set_dates(params, start, end));
        let leaf = middle.leaf(&["a.test"], |_| {});
        let report = examine(&[&root], &[&leaf.der, &middle.der], "a.test");
        assert_error(&report, causes, code, text);

        // The dates do not hide that nobody trusts the chain.
        let other = Ca::root("Other");
        let report = examine(&[&other], &[&leaf.der, &middle.der], "a.test");
        assert_eq!(report.causes, causes | CAUSE_ISSUER_UNKNOWN);
    }
}

#[test]
fn dates_that_never_fit_do_not_hide_who_has_issued() {
    let stranger = Ca::root("Stranger");
    for (leaf, middle, dates) in [
        (((2024, 1, 1), (2025, 1, 1)), ((2026, 1, 1), (2040, 1, 1)), CAUSE_EXPIRED),
        (((2030, 1, 1), (2031, 1, 1)), ((2020, 1, 1), (2029, 1, 1)), CAUSE_NOT_YET_VALID),
        (((2026, 1, 1), (2027, 1, 1)), ((2028, 1, 1), (2029, 1, 1)), CAUSE_NOT_YET_VALID),
        (((2026, 1, 1), (2027, 1, 1)), ((2020, 1, 1), (2021, 1, 1)), CAUSE_EXPIRED),
    ] {
        let issuer =
            stranger.intermediate("Middle", |params| set_dates(params, middle.0, middle.1));
        let leaf = issuer.leaf(&["a.test"], |params| set_dates(params, leaf.0, leaf.1));
        let report = examine(&[&Ca::root("Root")], &[&leaf.der, &issuer.der], "a.test");
        assert_eq!(report.causes, dates | CAUSE_ISSUER_UNKNOWN, "{:?}", report.error);
    }
}

#[test]
fn an_unknown_issuer_is_named() {
    for (issuer, host) in [("Nobody", "a.test"), ("Some\nCA", "b.test")] {
        let (root, nobody) = (Ca::root("Root"), Ca::root(issuer));
        let leaf = nobody.leaf(&[host], |_| {});
        let shown = issuer.replace('\n', "\\x0a");
        assert_error(
            &examine(&[&root], &[&leaf.der], host),
            CAUSE_ISSUER_UNKNOWN,
            Code::CERT_UNKNOWN,
            &format!(
                "issuer \"CN={shown}\" is not trusted: add the issuing CA with ssl_add_trust_pem \
                 or ssl_add_trust_file if you expect it; the peer sent its own certificate only, \
                 so an intermediate may be missing"
            ),
        );
        assert_error(
            &examine(&[&root], &[&leaf.der, &nobody.der], host),
            CAUSE_ISSUER_UNKNOWN,
            Code::CERT_UNKNOWN,
            &format!(
                "the chain ends in \"CN={shown}\", which is not trusted: add the issuing CA with \
                 ssl_add_trust_pem or ssl_add_trust_file if you expect it"
            ),
        );
    }
}

#[test]
fn a_missing_intermediate_is_told_apart_from_a_chain_in_another_order() {
    let root = Ca::root("Root");
    let upper = root.intermediate("Upper", |_| {});
    let lower = upper.intermediate("Lower", |_| {});
    let leaf = lower.leaf(&["a.test"], |_| {});
    for chain in [[&leaf.der, &lower.der, &upper.der], [&leaf.der, &upper.der, &lower.der]] {
        assert_eq!(examine(&[&root], &chain, "a.test").error, None);
    }
    for (chain, issuer, hint) in [
        (
            &[&leaf.der][..],
            "Lower",
            "the peer sent its own certificate only, so an intermediate may be missing",
        ),
        (
            &[&leaf.der, &lower.der],
            "Upper",
            "the certificates that the peer sent do not lead to a trusted one",
        ),
        (
            &[&leaf.der, &upper.der],
            "Lower",
            "the certificates that the peer sent do not lead to a trusted one",
        ),
    ] {
        assert_error(
            &examine(&[&root], chain, "a.test"),
            CAUSE_ISSUER_UNKNOWN,
            Code::CERT_UNKNOWN,
            &format!(
                "issuer \"CN={issuer}\" is not trusted: add the issuing CA with \
                 ssl_add_trust_pem or ssl_add_trust_file if you expect it; {hint}"
            ),
        );
    }
    // Reversed entirely, the first certificate is a CA's.
    let report = examine(&[&root], &[&upper.der, &lower.der, &leaf.der], "a.test");
    assert_eq!(report.causes, CAUSE_USAGE | CAUSE_NAME);
}

#[test]
fn a_self_signed_certificate_is_trusted_only_if_it_was_added() {
    for host in ["a.test", "192.0.2.7"] {
        let (leaf, root) = (Leaf::self_signed(&[host]), Ca::root("Root"));
        assert_error(
            &examine(&[&root], &[&leaf.der], host),
            CAUSE_ISSUER_UNKNOWN,
            Code::CERT_UNKNOWN,
            "certificate is self-signed and not trusted: add it with ssl_add_trust_pem or \
             ssl_add_trust_file if you expect it",
        );
        assert_eq!(examine_with(&[&leaf.der], &[&leaf.der], host).error, None);
    }
}

#[test]
fn trusting_the_leaf_of_a_ca_points_to_the_ca() {
    for issuer in ["Root", "Other"] {
        let leaf = Ca::root(issuer).leaf(&["a.test"], |_| {});
        assert_error(
            &examine_with(&[&leaf.der], &[&leaf.der], "a.test"),
            CAUSE_ISSUER_UNKNOWN,
            Code::CERT_UNKNOWN,
            &format!(
                "certificate itself is among the trusted ones, but it was issued by \
                 \"CN={issuer}\": trust that CA's certificate instead"
            ),
        );
    }
}

#[test]
fn everything_that_is_wrong_is_told_at_once() {
    let (root, nobody) = (Ca::root("Root"), Ca::root("Nobody"));
    let leaf = nobody.leaf(&["a.test"], |params| {
        set_dates(params, (2023, 1, 1), (2024, 1, 2));
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
    });
    assert_error(
        &examine(&[&root], &[&leaf.der, &nobody.der], "mail.test"),
        CAUSE_ISSUER_UNKNOWN | CAUSE_EXPIRED | CAUSE_NAME | CAUSE_USAGE,
        Code::CERT_UNKNOWN,
        "the chain ends in \"CN=Nobody\", which is not trusted: add the issuing CA with \
         ssl_add_trust_pem or ssl_add_trust_file if you expect it; certificate expired on \
         2024-01-02 00:00:00 UTC (now 2026-06-01 00:00:00 UTC); certificate is for \"a.test\", \
         not for \"mail.test\"; certificate is not meant for servers (its extended key usage is \
         client authentication): use one with server authentication",
    );
    let early = Leaf::self_signed_with(&["a.test"], |params| {
        set_dates(params, (2026, 7, 1), (2027, 1, 1));
    });
    let report = examine(&[&root], &[&early.der], "b.test");
    assert_eq!(report.causes, CAUSE_ISSUER_UNKNOWN | CAUSE_NOT_YET_VALID | CAUSE_NAME);
}

#[test]
fn a_wrong_signature_is_told_from_an_untrusted_namesake() {
    for name in ["Root", "Company CA"] {
        let (root, namesake) = (Ca::root(name), Ca::root(name));
        let leaf = namesake.leaf(&["a.test"], |_| {});
        assert_error(
            &examine(&[&root], &[&leaf.der], "a.test"),
            CAUSE_SIGNATURE,
            Code::BAD_SIG,
            &format!(
                "signature of \"CN={name}\" on the certificate of \"CN=leaf\" is wrong: it was \
                 tampered with, or another CA of the same name has issued it"
            ),
        );
        assert_error(
            &examine(&[&root], &[&leaf.der, &namesake.der], "a.test"),
            CAUSE_ISSUER_UNKNOWN,
            Code::CERT_UNKNOWN,
            &format!(
                "\"CN={name}\" is not trusted: the trusted certificate of this name has another \
                 key; add the issuing CA with ssl_add_trust_pem or ssl_add_trust_file if you \
                 expect it"
            ),
        );
    }
    let root = Ca::root("Root");
    let mut forged = root.leaf(&["a.test"], |_| {}).der.to_vec();
    let place = forged.windows(6).position(|part| part == b"a.test").unwrap();
    forged[place] = b'b';
    let report = examine(&[&root], &[&CertificateDer::from(forged)], "b.test");
    assert_eq!(report.causes, CAUSE_SIGNATURE);
}

#[test]
fn who_may_not_issue_is_not_believed() {
    let root = Ca::root("Root");
    let narrow = root.intermediate("Narrow", |params| {
        params.is_ca = IsCa::Ca(rcgen::BasicConstraints::Constrained(0));
    });
    let below = narrow.intermediate("Below", |_| {});
    let plain = root.intermediate("Plain", |params| params.is_ca = IsCa::ExplicitNoCa);
    let named = root.intermediate("Named", |params| {
        params.name_constraints = Some(rcgen::NameConstraints {
            permitted_subtrees: vec![rcgen::GeneralSubtree::DnsName("b.test".into())],
            excluded_subtrees: Vec::new(),
        });
    });
    let lister = root.intermediate("Lister", |params| {
        params.key_usages = vec![rcgen::KeyUsagePurpose::CrlSign];
    });
    let clients = root.intermediate("Clients", |params| {
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
    });
    for (issuer, others, causes, text) in [
        (
            &below,
            &[&below.der, &narrow.der][..],
            CAUSE_ISSUER_UNKNOWN,
            "the chain is longer than one of its CA certificates allows (path length)",
        ),
        (
            &plain,
            &[&plain.der],
            CAUSE_ISSUER_UNKNOWN,
            "a certificate in the chain was issued by one that is not a CA certificate, or not one \
             for that (key usage)",
        ),
        (
            &lister,
            &[&lister.der],
            CAUSE_ISSUER_UNKNOWN,
            "a certificate in the chain was issued by one that is not a CA certificate, or not one \
             for that (key usage)",
        ),
        (
            &named,
            &[&named.der],
            CAUSE_ISSUER_UNKNOWN,
            "a CA certificate in the chain may not issue for these names (name constraints)",
        ),
        (
            &clients,
            &[&clients.der],
            CAUSE_USAGE,
            "a CA of the chain may not issue certificates for servers (extended key usage)",
        ),
    ] {
        let leaf = issuer.leaf(&["a.test"], |_| {});
        let report = examine(&[&root], &[&[&leaf.der], others].concat(), "a.test");
        assert_error(&report, causes, Code::CERT_UNKNOWN, text);
    }
    let allowed = named.leaf(&["a.b.test"], |_| {});
    assert_eq!(examine(&[&root], &[&allowed.der, &named.der], "a.b.test").error, None);
}

#[test]
fn a_tangle_of_namesakes_has_an_end() {
    let root = Ca::root("Root");
    // As many as fit in a handshake, each of which may have issued every other one.
    let tangle: Vec<_> = (0..150).map(|_| Ca::root("A")).collect();
    let leaf = Ca::root("A").leaf(&["a.test"], |_| {}).der;
    let chain: Vec<_> = [&leaf].into_iter().chain(tangle.iter().map(|ca| &ca.der)).collect();
    assert_error(
        &examine(&[&root], &chain, "a.test"),
        CAUSE_ISSUER_UNKNOWN,
        Code::CERT_UNKNOWN,
        "the chain is too long or too tangled to verify (MaximumPathBuildCallsExceeded)",
    );
}

#[test]
fn no_changed_or_cut_certificate_is_trusted() {
    let root = Ca::root("Root");
    let der = root.leaf(&["a.test"], |_| {}).der;
    assert_eq!(examine(&[&root], &[&der], "a.test").error, None);
    for place in 0..der.len() {
        let cut = CertificateDer::from(der[..place].to_vec());
        assert!(examine(&[&root], &[&cut], "a.test").error.is_some(), "cut at {place}");
        for bit in [0x01, 0x20, 0x80] {
            let mut changed = der.to_vec();
            changed[place] ^= bit;
            let report = examine(&[&root], &[&CertificateDer::from(changed)], "a.test");
            assert!(report.error.is_some() && report.causes != 0, "bit {bit:#x} of {place}");
        }
    }
}

const WILDCARD: &str = r#"certificate is for "*.test.example", not for "a.b.test.example""#;
const V6: &str = r#"certificate is for "2001:db8::8", not for "2001:db8::7""#;
