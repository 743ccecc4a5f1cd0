//! Keys: too weak, of a kind that is not supported, or not the pinned one.

use super::fixtures::*;
use crate::error::Code;
use crate::verify::pins::Pins;
use crate::verify::report::*;
use crate::verify::trust::Trust;

const WEAK: &str = "certificate has an RSA key of 1024 bits; at least 2048 are needed";

#[test]
fn weak_keys_are_refused_whoever_trusts_them() {
    let issuer = "a CA of the chain has an RSA key of 1024 bits; at least 2048 are needed";
    let leaf = openssl_leaf("a.test", &["-newkey", "rsa:1024", "-sha256"]);
    let report = examine_today(&[&leaf], &[&leaf], "a.test");
    let text = format!("{WEAK}; {issuer}");
    assert_error(&report, CAUSE_WEAK_KEY, Code::CERT_UNKNOWN, &text);
    let report = examine_today(&[&Ca::root("Root").der], &[&leaf], "a.test");
    assert_error(
        &report,
        CAUSE_WEAK_KEY | CAUSE_ISSUER_UNKNOWN,
        Code::CERT_UNKNOWN,
        &format!("{SELF_SIGNED}; {WEAK}"),
    );
    let strong = openssl_leaf("a.test", &["-newkey", "rsa:2048", "-sha256"]);
    assert_eq!(examine_today(&[&strong], &[&strong], "a.test").error, None);
}

#[test]
fn keys_of_other_kinds_are_refused_by_name() {
    for (arguments, kind) in [
        (&["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-224"][..], "elliptic curve P-224"),
        (&["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:secp256k1"], "elliptic curve secp256k1"),
        (
            &["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:brainpoolP256r1"],
            "an elliptic curve that is not P-256, P-384 or P-521",
        ),
        (&["-newkey", "ed448"], "Ed448"),
        (
            &["-newkey", "rsa-pss", "-pkeyopt", "rsa_keygen_bits:2048"],
            "RSA for PSS signatures alone",
        ),
    ] {
        let leaf = openssl_leaf("a.test", arguments);
        let report = examine_today(&[&Ca::root("Root").der], &[&leaf], "a.test");
        assert_error(
            &report,
            CAUSE_WEAK_KEY | CAUSE_ISSUER_UNKNOWN,
            Code::CERT_UNKNOWN,
            &format!(
                "{SELF_SIGNED}; certificate has a key of a kind that is not supported ({kind})"
            ),
        );
    }
    for curve in ["P-256", "P-384", "P-521"] {
        let curve = format!("ec_paramgen_curve:{curve}");
        let leaf = openssl_leaf("a.test", &["-newkey", "ec", "-pkeyopt", &curve]);
        assert_eq!(examine_today(&[&leaf], &[&leaf], "a.test").error, None, "{curve}");
    }
    let leaf = openssl_leaf("a.test", &["-newkey", "ed25519"]);
    assert_eq!(examine_today(&[&leaf], &[&leaf], "a.test").error, None);
}

#[test]
fn a_weak_signature_by_oneself_is_no_worse_than_none() {
    for (hash, key, shown) in
        [("-sha1", "rsa:2048", "SHA-1 and RSA"), ("-md5", "rsa:2048", "MD5 and RSA")]
    {
        let leaf = openssl_leaf("a.test", &["-newkey", key, hash]);
        let root = Ca::root("Root");
        let report = examine_today(&[&root.der], &[&leaf], "a.test");
        assert_error(&report, CAUSE_ISSUER_UNKNOWN, Code::CERT_UNKNOWN, SELF_SIGNED);
        let report = examine_today(&[&root.der], &[&leaf, &leaf], "a.test");
        assert_eq!(report.causes, CAUSE_ISSUER_UNKNOWN, "sent twice");
        let report = examine_today(&[&leaf], &[&leaf], "a.test");
        assert_error(
            &report,
            CAUSE_ISSUER_UNKNOWN,
            Code::CERT_UNKNOWN,
            &format!(
                "certificate is self-signed with {shown}, which cannot be verified, not even if \
                 it is trusted: have a new one made"
            ),
        );
    }
    let both = openssl_leaf("a.test", &["-newkey", "rsa:1024", "-sha1"]);
    let report = examine_today(&[&both], &[&both], "a.test");
    assert_eq!(report.causes, CAUSE_ISSUER_UNKNOWN | CAUSE_WEAK_KEY);
}

#[test]
fn a_weak_signature_by_another_is_told_whoever_that_is() {
    let [root, middle, leaf] = openssl_path("-sha1", "rsa:2048");
    let hash = "a certificate in the chain is signed with SHA-1 and RSA, which is not accepted";
    let report = examine_today(&[&root], &[&leaf, &middle], "a.test");
    assert_error(&report, CAUSE_WEAK_KEY, Code::CERT_UNKNOWN, hash);
    for chain in [&[&leaf, &middle][..], &[&leaf]] {
        let report = examine_today(&[&Ca::root("Other").der], chain, "a.test");
        assert_eq!(report.causes, CAUSE_WEAK_KEY | CAUSE_ISSUER_UNKNOWN);
        assert!(report.error.unwrap().text.ends_with(hash));
    }
    // So is a weak key on the way, also where the chain leads to nobody.
    let [root, middle, leaf] = openssl_path("-sha256", "rsa:1024");
    for (trusted, causes) in
        [(&root, CAUSE_WEAK_KEY), (&Ca::root("Other").der, CAUSE_WEAK_KEY | CAUSE_ISSUER_UNKNOWN)]
    {
        let report = examine_today(&[trusted], &[&leaf, &middle], "a.test");
        assert_eq!(report.causes, causes, "{:?}", report.error);
    }
    let [root, middle, leaf] = openssl_path("-sha256", "rsa:2048");
    assert_eq!(examine_today(&[&root], &[&leaf, &middle], "a.test").error, None);
}

#[test]
fn only_a_pinned_key_is_trusted() {
    let root = Ca::root("Root");
    let [pinned, other] = [(); 2].map(|()| root.leaf(&["a.test"], |_| {}));
    let mut trust = trusting(&[&root.der]);
    let hex = |leaf: &Leaf| -> String {
        let digest = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, &leaf.spki());
        digest.as_ref().iter().map(|byte| format!("{byte:02x}")).collect()
    };
    trust.add_pins(Pins::parse(&hex(&pinned))).unwrap();
    assert_eq!(examine_by(&trust, &[&pinned.der]).error, None);
    let report = examine_by(&trust, &[&other.der]);
    assert_eq!(report.causes, CAUSE_PIN);
    let error = report.error.unwrap();
    assert_eq!(error.code, Code::PIN);
    let actual = error.text.split(' ').find(|word| word.starts_with("sha256//")).unwrap();
    assert_eq!(
        error.text,
        format!(
            "key of the certificate is not among the pinned ones: it is {actual} (add that with \
             ssl_add_pin if you expect it)"
        )
    );

    // It comes on top of everything else, and the issuer's key does not count.
    let stranger = Ca::root("Nobody").leaf(&["b.test"], |_| {});
    let report = examine_by(&trust, &[&stranger.der]);
    assert_eq!(report.causes, CAUSE_PIN | CAUSE_ISSUER_UNKNOWN | CAUSE_NAME);
    assert_eq!(report.error.unwrap().code, Code::PIN);
    let report = examine_by(&trust, &[&other.der, &pinned.der]);
    assert_eq!(report.causes, CAUSE_PIN);
    let report = examine_by(&trust, &[&b"\x30\x00"[..].into()]);
    assert_eq!(report.causes & CAUSE_PIN, CAUSE_PIN);
    assert_eq!(examine_by(&trust, &[]).causes & CAUSE_PIN, CAUSE_PIN);

    // What the text shows can be pasted.
    trust.add_pins(Pins::parse(actual)).unwrap();
    for leaf in [&pinned, &other] {
        assert_eq!(examine_by(&trust, &[&leaf.der]).error, None);
    }
    trust.clear_pins();
    assert_eq!(examine_by(&trust, &[&root.leaf(&["a.test"], |_| {}).der]).error, None);
}

#[test]
fn pins_make_other_trust_and_a_bad_one_is_not_forgotten() {
    let (a, b) = ("a".repeat(64), "b".repeat(64));
    let with = |pins: &str| {
        let mut trust = Trust::default();
        trust.add_pins(Pins::parse(pins)).unwrap();
        trust.key()
    };
    assert_eq!(with(&format!("{a};{b}")), with(&format!("{b};{a};{b}")));
    assert_ne!(with(&a), with(&b));
    assert_ne!(with(&a), Trust::default().key());

    let mut trust = Trust::default();
    assert_eq!(trust.add_pins(Pins::parse("junk")).unwrap_err().code, Code::INVALID);
    let error = trust.check().unwrap_err();
    assert_eq!(error.code, Code::INVALID);
    assert!(error.text.starts_with("the pin that was asked for is missing: \"junk\" is no pin"));
    trust.add_pins(Pins::parse(&a)).unwrap();
    trust.check().unwrap();
    trust.add_pins(Pins::parse("junk")).unwrap_err();
    trust.check().unwrap();
    assert_eq!(trust.key(), with(&a));
    trust.clear_pins();
    trust.add_pins(Pins::parse("junk")).unwrap_err();
    trust.clear_pins();
    trust.check().unwrap();
    assert_eq!(trust.key(), Trust::default().key());
}

const SELF_SIGNED: &str = "certificate is self-signed and not trusted: add it with \
                           ssl_add_trust_pem or ssl_add_trust_file if you expect it";
