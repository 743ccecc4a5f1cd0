//! Revocation lists: what they say, and when they say nothing.

use rcgen::{
    CrlDistributionPoint, CrlIssuingDistributionPoint, CrlScope, KeyUsagePurpose, RevocationReason,
};
use rustls::pki_types::CertificateDer;

use super::fixtures::*;
use crate::error::{Code, Error};
use crate::verify::report::*;
use crate::verify::revocation::Lists;
use crate::verify::trust::Trust;

const SINCE: &str = "was revoked on 2026-05-01 00:00:00 UTC";
const NOT_KNOWN: &str = "it is not known whether the certificate has been revoked: ";

#[test]
fn without_lists_nothing_is_said_and_with_one_the_leaf_must_be_covered() {
    let (root, other) = (Ca::root("Root"), Ca::root("Other"));
    let leaf = root.leaf(&["a.test"], |_| {});
    let none = trusting(&[&root.der]);
    assert_eq!(examine_by(&none, &[&leaf.der]).error, None);
    let covered = with(&none, &[root.revokes(&[], |_| {})]);
    assert_eq!(examine_by(&covered, &[&leaf.der]).error, None);
    assert_error(
        &examine_by(&with(&none, &[other.revokes(&[], |_| {})]), &[&leaf.der]),
        CAUSE_REVOCATION_UNKNOWN,
        Code::CERT_UNKNOWN,
        &format!("{NOT_KNOWN}there is no revocation list of \"CN=Root\""),
    );
}

#[test]
fn who_is_on_the_list_is_refused_with_the_reason() {
    let root = Ca::root("Root");
    let [leaf, other] = [(); 2].map(|()| root.leaf(&["a.test"], |_| {}));
    for (reason, why) in [
        (None, ""),
        (Some(RevocationReason::Unspecified), ""),
        (Some(RevocationReason::KeyCompromise), " (its key was compromised)"),
        (Some(RevocationReason::Superseded), " (superseded)"),
        (Some(RevocationReason::CertificateHold), " (on hold)"),
    ] {
        let list = root.revokes(&[&leaf.der], |params| {
            params.revoked_certs[0].reason_code = reason;
        });
        let trust = with(&trusting(&[&root.der]), &[list]);
        assert_error(
            &examine_by(&trust, &[&leaf.der]),
            CAUSE_REVOKED,
            Code::CERT_REVOKED,
            &format!("certificate {SINCE}{why}"),
        );
        assert_eq!(examine_by(&trust, &[&other.der]).error, None);
    }
}

#[test]
fn an_intermediate_is_refused_if_it_is_listed_and_need_not_be_covered() {
    let root = Ca::root("Root");
    let middle = root.intermediate("Middle", |_| {});
    let leaf = middle.leaf(&["a.test"], |_| {});
    let chain = [&leaf.der, &middle.der];
    let none = trusting(&[&root.der]);
    let covered = with(&none, &[middle.revokes(&[], |_| {})]);
    assert_eq!(examine_by(&covered, &chain).error, None);
    let text = format!("intermediate certificate \"CN=Middle\" {SINCE}");
    // A list that is out of date makes it no better.
    for next in [(2027, 1, 1), (2026, 5, 2)] {
        let list = root.revokes(&[&middle.der], |params| {
            params.next_update = rcgen::date_time_ymd(next.0, next.1, next.2);
        });
        let report = examine_by(&with(&covered, &[list]), &chain);
        assert_error(&report, CAUSE_REVOKED, Code::CERT_REVOKED, &text);
    }
    // Nor does hiding it behind others.
    let junk: Vec<_> = (0..40).map(|_| Ca::root("Junk")).collect();
    let hidden: Vec<_> =
        [&leaf.der].into_iter().chain(junk.iter().map(|ca| &ca.der)).chain([&middle.der]).collect();
    assert_eq!(examine_by(&covered, &hidden).error, None);
    let report = examine_by(&with(&covered, &[root.revokes(&[&middle.der], |_| {})]), &hidden);
    assert_error(&report, CAUSE_REVOKED, Code::CERT_REVOKED, &text);
    // Another way to a trusted one does: the CA's certificate, not its key, was revoked.
    let list = root.revokes(&[&middle.der], |_| {});
    let both =
        with(&with(&trusting(&[&root.der, &middle.der]), &[list]), &[middle.revokes(&[], |_| {})]);
    assert_eq!(examine_by(&both, &chain).error, None);
}

#[test]
fn a_list_counts_from_its_date_to_the_next() {
    let root = Ca::root("Root");
    let leaf = root.leaf(&["a.test"], |_| {});
    for (this, next, text) in [
        (
            (2026, 1, 1),
            (2026, 6, 1),
            "the revocation list of \"CN=Root\" is out of date since 2026-06-01 00:00:00 UTC (now \
             2026-06-01 00:00:00 UTC): fetch the present one",
        ),
        (
            (2026, 6, 2),
            (2027, 1, 1),
            "the revocation list of \"CN=Root\" is not valid before 2026-06-02 00:00:00 UTC (now \
             2026-06-01 00:00:00 UTC: is the clock right?)",
        ),
    ] {
        let dated = |revoked: &[&CertificateDer<'_>]| {
            root.revokes(revoked, |params| {
                params.this_update = rcgen::date_time_ymd(this.0, this.1, this.2);
                params.next_update = rcgen::date_time_ymd(next.0, next.1, next.2);
            })
        };
        let none = trusting(&[&root.der]);
        let report = examine_by(&with(&none, &[dated(&[])]), &[&leaf.der]);
        let text = format!("{NOT_KNOWN}{text}");
        assert_error(&report, CAUSE_REVOCATION_UNKNOWN, Code::CERT_UNKNOWN, &text);
        // Who is on it is refused all the same.
        let report = examine_by(&with(&none, &[dated(&[&leaf.der])]), &[&leaf.der]);
        assert_eq!(report.causes, CAUSE_REVOKED);
        // Beside the present one it does no harm.
        let both = with(&none, &[dated(&[]), root.revokes(&[], |_| {})]);
        assert_eq!(examine_by(&both, &[&leaf.der]).error, None);
    }
    let edge = root.revokes(&[], |params| {
        params.this_update = rcgen::date_time_ymd(2026, 6, 1);
        params.next_update = rcgen::date_time_ymd(2026, 6, 2);
    });
    assert_eq!(examine_by(&with(&trusting(&[&root.der]), &[edge]), &[&leaf.der]).error, None);
}

#[test]
fn the_latest_list_decides_in_whatever_order_they_came() {
    let root = Ca::root("Root");
    let leaf = root.leaf(&["a.test"], |_| {});
    let list = |month: u8, revoked: &[&CertificateDer<'_>]| {
        root.revokes(revoked, |params| {
            params.this_update = rcgen::date_time_ymd(2026, month, 1);
        })
    };
    let none = trusting(&[&root.der]);
    for (lists, causes) in [
        ([list(1, &[]), list(5, &[&leaf.der])], CAUSE_REVOKED),
        ([list(5, &[&leaf.der]), list(1, &[])], CAUSE_REVOKED),
        // No longer on hold.
        ([list(1, &[&leaf.der]), list(5, &[])], 0),
    ] {
        assert_eq!(examine_by(&with(&none, &lists), &[&leaf.der]).causes, causes);
    }
}

#[test]
fn lists_count_by_their_signature_and_not_by_a_name() {
    let (root, namesake) = (Ca::root("Root"), Ca::root("Root"));
    let leaf = root.leaf(&["a.test"], |_| {});
    let none = trusting(&[&root.der]);
    let wrong = "the signature on a revocation list of an issuer in the chain is wrong: fetch the \
                 list again";
    let forged = namesake.revokes(&[], |_| {});
    let report = examine_by(&with(&none, std::slice::from_ref(&forged)), &[&leaf.der]);
    assert_error(&report, CAUSE_REVOCATION_UNKNOWN, Code::CERT_UNKNOWN, wrong);
    let mut changed = root.revokes(&[&leaf.der], |_| {});
    *changed.last_mut().unwrap() ^= 1;
    let report = examine_by(&with(&none, &[changed]), &[&leaf.der]);
    assert_eq!(report.causes, CAUSE_REVOCATION_UNKNOWN);

    // A CA that has changed its key has two: that of the other key is in nobody's way.
    let later = namesake.revokes(&[], |params| {
        params.this_update = rcgen::date_time_ymd(2026, 5, 1);
    });
    let both = with(&none, &[later.clone(), root.revokes(&[], |_| {})]);
    assert_eq!(examine_by(&both, &[&leaf.der]).error, None);
    let both = with(&none, &[later, root.revokes(&[&leaf.der], |_| {})]);
    assert_eq!(examine_by(&both, &[&leaf.der]).causes, CAUSE_REVOKED);
    // Nor are namesakes that the peer sends, however many: the trusted ones are tried first.
    let junk: Vec<_> = (0..40).map(|_| Ca::root("Root")).collect();
    let among: Vec<_> = [&leaf.der].into_iter().chain(junk.iter().map(|ca| &ca.der)).collect();
    assert_eq!(examine_by(&both, &among).causes, CAUSE_REVOKED);
}

#[test]
fn only_who_may_sign_lists_is_believed() {
    let root = Ca::root("Root");
    let middle = root.intermediate("Middle", |params| {
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    });
    let leaf = middle.leaf(&["a.test"], |_| {});
    let trust = with(&trusting(&[&root.der]), &[middle.revokes(&[], |_| {})]);
    assert_eq!(examine_by(&trust, &[&leaf.der, &middle.der]).error, None);

    let middle = openssl_ca_without_crl_sign();
    let trust = with(&trusting(&[&middle.root]), &[middle.list]);
    assert_error(
        &examine_by_today(&trust, &[&middle.leaf, &middle.certificate]),
        CAUSE_REVOCATION_UNKNOWN,
        Code::CERT_UNKNOWN,
        "an issuer in the chain may not issue revocation lists (key usage)",
    );
}

#[test]
fn a_list_for_other_certificates_covers_nobody() {
    let root = Ca::root("Root");
    let leaf = root.leaf(&["a.test"], |_| {});
    for (scope, causes) in [
        (Some(CrlScope::CaCertsOnly), CAUSE_REVOCATION_UNKNOWN),
        (Some(CrlScope::UserCertsOnly), 0),
        (None, 0),
    ] {
        let list = root.revokes(&[], |params| {
            params.issuing_distribution_point = Some(CrlIssuingDistributionPoint {
                distribution_point: CrlDistributionPoint { uris: vec!["http://a.test/l".into()] },
                scope,
            });
        });
        let report = examine_by(&with(&trusting(&[&root.der]), &[list]), &[&leaf.der]);
        assert_eq!(report.causes, causes);
        if let Some(error) = report.error {
            let what = "the revocation list of \"CN=Root\" is not for this certificate";
            assert_eq!(error.text, format!("{NOT_KNOWN}{what}"));
        }
    }
}

#[test]
fn what_else_is_wrong_does_not_hide_a_revocation() {
    let (root, nobody) = (Ca::root("Root"), Ca::root("Nobody"));
    let none = trusting(&[&root.der]);
    // Expired, for another name and another purpose.
    let leaf = root.leaf(&["b.test"], |params| {
        set_dates(params, (2026, 1, 1), (2026, 5, 2));
        params.extended_key_usages = vec![rcgen::ExtendedKeyUsagePurpose::ClientAuth];
    });
    let report = examine_by(&with(&none, &[root.revokes(&[&leaf.der], |_| {})]), &[&leaf.der]);
    assert_eq!(report.causes, CAUSE_REVOKED | CAUSE_EXPIRED | CAUSE_NAME | CAUSE_USAGE);
    assert_eq!(report.error.unwrap().code, Code::CERT_REVOKED);
    // The list is judged at the present time, not at that of the certificate.
    let old = root.revokes(&[], |params| params.next_update = rcgen::date_time_ymd(2026, 5, 3));
    let report = examine_by(&with(&none, &[old]), &[&leaf.der]);
    let causes = CAUSE_REVOCATION_UNKNOWN | CAUSE_EXPIRED | CAUSE_NAME | CAUSE_USAGE;
    assert_eq!(report.causes, causes);

    let leaf = nobody.leaf(&["a.test"], |_| {});
    for (revoked, causes) in [
        (&[&leaf.der][..], CAUSE_REVOKED | CAUSE_ISSUER_UNKNOWN),
        (&[], CAUSE_REVOCATION_UNKNOWN | CAUSE_ISSUER_UNKNOWN),
    ] {
        let trust = with(&none, &[nobody.revokes(revoked, |_| {})]);
        assert_eq!(examine_by(&trust, &[&leaf.der]).causes, causes);
    }
}

#[test]
fn lists_are_read_from_pem_and_der_and_all_of_them() {
    let (a, b) = (Ca::root("A"), Ca::root("B"));
    let [a, b] = [a, b].map(|ca| ca.revokes(&[], |_| {}));
    let count = |content: &[u8]| Lists::read(content).unwrap().digests().count();
    assert_eq!(count(&a), 1);
    assert_eq!(count(pem_list(&a).as_bytes()), 1);
    let text = format!("\u{feff}0 s: text\n{}{}{}", pem_list(&a), pem_list(&b), pem_list(&a));
    assert_eq!(count(text.as_bytes()), 2);

    let root = Ca::root("Root").der;
    let (a, b) = (a.clone(), b.clone());
    let key = |lists: &[&[u8]]| {
        let mut trust = trusting(&[&root]);
        lists.iter().for_each(|list| trust.add_lists(Lists::read(list)).unwrap());
        trust.key()
    };
    assert_eq!(key(&[&a, &b]), key(&[&b, &a, &a]));
    assert_ne!(key(&[&a]), key(&[&b]));
    assert_ne!(key(&[&a]), key(&[]));
}

#[test]
fn what_is_no_list_is_refused_and_not_forgotten() {
    let ca = Ca::root("Root");
    let list = ca.revokes(&[], |_| {});
    let certificate = pem_block("CERTIFICATE", &ca.der);
    let cut = pem_list(&list).replace("-----END", "");
    for (content, text) in [
        (b"".to_vec(), "empty"),
        (b"hello".to_vec(), "no PEM block (-----BEGIN X509 CRL-----) in it"),
        (certificate.into_bytes(), "a certificate but no revocation list"),
        (cut.into_bytes(), "a PEM block is damaged: it has no END line"),
        (
            list[..list.len() - 1].to_vec(),
            "a revocation list cannot be used (TrailingData(CertRevocationList))",
        ),
        (ca.der.to_vec(), "a revocation list cannot be used (BadDer)"),
        (
            (pem_list(&list) + &pem_block("X509 CRL", b"junk")).into_bytes(),
            "a revocation list cannot be used (TrailingData(CertRevocationList))",
        ),
        (openssl_version_1_list(), VERSION_1),
    ] {
        let mut trust = Trust::default();
        let error = trust.add_lists(Lists::read(&content)).unwrap_err();
        let shown = String::from_utf8_lossy(&content[..content.len().min(40)]).into_owned();
        assert_eq!(error.text, format!("the revocation lists: {text}"), "{shown}");
        assert_eq!(error.code, Code::BAD_DATA);
        let kept = trust.check().unwrap_err();
        let prefix = "the revocation list that was asked for is missing: ";
        assert_eq!(kept, Error { text: format!("{prefix}{}", error.text), ..error.clone() });
        trust.add_lists(Lists::read(&list)).unwrap();
        trust.check().unwrap();
        trust.add_lists(Lists::read(&content)).unwrap_err();
        trust.check().unwrap();
    }
    let error = Lists::read_file("/no/such.crl".as_ref()).unwrap_err();
    assert_eq!((error.code, error.sys_errno), (Code::IO, libc::ENOENT));
}

#[test]
fn no_changed_or_cut_list_does_harm() {
    let root = Ca::root("Root");
    let leaf = root.leaf(&["a.test"], |_| {});
    let list = root.revokes(&[&leaf.der], |params| {
        params.revoked_certs[0].reason_code = Some(RevocationReason::KeyCompromise);
    });
    let none = trusting(&[&root.der]);
    assert_eq!(
        examine_by(&with(&none, std::slice::from_ref(&list)), &[&leaf.der]).causes,
        CAUSE_REVOKED
    );
    let mut read = 0;
    for place in 0..list.len() {
        assert!(Lists::read(&list[..place]).is_err(), "cut at {place}");
        for bit in [0x01, 0x02, 0x08, 0x20, 0x80] {
            let mut changed = list.clone();
            changed[place] ^= bit;
            let mut trust = none.clone();
            if trust.add_lists(Lists::read(&changed)).is_ok() {
                read += 1;
                let report = examine_by(&trust, &[&leaf.der]);
                assert!(report.error.is_some(), "bit {bit:#x} of {place}");
            }
        }
    }
    assert!(read > 100, "only {read} were read");
}

const VERSION_1: &str = "a list is of version 1, which cannot be used: have it made with a CRL \
                         number, which makes it one of version 2";

fn with(trust: &Trust, lists: &[Vec<u8>]) -> Trust {
    let mut trust = trust.clone();
    lists.iter().for_each(|list| trust.add_lists(Lists::read(list)).unwrap());
    trust
}

fn pem_list(der: &[u8]) -> String {
    pem_block("X509 CRL", der)
}
