//! Verification as a program sees it: code, text, report and certificates on the handle.

mod support;

use std::ffi::{CStr, c_char};
use std::net::TcpListener;
use std::process::Command;
use std::sync::LazyLock;
use std::thread;

use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, KeyPair, SanType};
use rustls::version::{TLS12, TLS13};
use sslsock::abi::{errors, handles, information, session, trust};
use support::fixtures::{ders, openssl_ca_as_leaf, openssl_version_1, server_showing};
use support::pki::{Authority, Certified};
use support::wire::{MODES, Transport, connect};
use support::*;

static AUTHORITY: LazyLock<Authority> = LazyLock::new(|| Authority::new("verification"));
static STRANGER: LazyLock<Authority> = LazyLock::new(|| Authority::new("stranger"));

/// A server's certificate, the name that is asked for, and what comes of it.
struct Fixture {
    what: &'static str,
    certified: Certified,
    /// Trusted beside the authority.
    trust: Option<String>,
    host: &'static str,
    code: i32,
    causes: u32,
    /// What the text has to say; all of it where that does not depend on the time.
    says: Vec<String>,
    presented: Vec<&'static str>,
}

fn fixture(what: &'static str, certified: Certified, host: &'static str) -> Fixture {
    let (presented, says) = (vec!["mail.test"], Vec::new());
    Fixture { what, certified, trust: None, host, code: 0, causes: 0, says, presented }
}

impl Fixture {
    fn fails(self, code: i32, causes: u32, says: &[&str]) -> Self {
        let says = says.iter().map(|text| (*text).to_owned()).collect();
        Self { code, causes, says, ..self }
    }

    fn presenting(self, presented: &[&'static str]) -> Self {
        Self { presented: presented.to_vec(), ..self }
    }

    fn trusting_itself(self) -> Self {
        Self { trust: Some(self.certified.chain.clone()), ..self }
    }
}

fn self_signed(host: &str) -> Certified {
    let mut params = CertificateParams::new(vec![host.to_owned()]).unwrap();
    params.distinguished_name.push(DnType::CommonName, "self");
    let key = KeyPair::generate().unwrap();
    Certified { chain: params.self_signed(&key).unwrap().pem(), key: key.serialize_pem() }
}

fn dated(from: (i32, u8, u8), until: (i32, u8, u8)) -> Certified {
    AUTHORITY.issue_with(&["mail.test"], |params| {
        params.not_before = rcgen::date_time_ymd(from.0, from.1, from.2);
        params.not_after = rcgen::date_time_ymd(until.0, until.1, until.2);
    })
}

fn ca_as_leaf_issued() -> Certified {
    AUTHORITY.issue_with(&["mail.test"], |params| {
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    })
}

fn with_names(names: Vec<SanType>) -> Certified {
    AUTHORITY.issue_with(&[], |params| {
        params.distinguished_name.push(DnType::CommonName, "mail.test");
        params.subject_alt_names = names;
    })
}

fn fixtures() -> Vec<Fixture> {
    let mail = || AUTHORITY.issue(&["mail.test"]);
    let wild = || AUTHORITY.issue(&["*.mail.test", "192.0.2.7"]);
    let version_1 = "certificate is X.509 version 1, which holds no host name and cannot be \
                     verified";
    let add = "add the issuing CA with ssl_add_trust_pem or ssl_add_trust_file if you expect it";
    let no_san = "certificate has no subject alternative name";
    let (usage, issuer) = (SSL_CAUSE_USAGE, SSL_CAUSE_ISSUER_UNKNOWN);
    let mail_address = || SanType::Rfc822Name("me@mail.test".try_into().unwrap());
    vec![
        fixture("name", mail(), "mail.test"),
        fixture("another spelling", mail(), "MAIL.Test."),
        fixture("wildcard", wild(), "a.mail.test").presenting(&["*.mail.test", "192.0.2.7"]),
        fixture("name", mail(), "other.test").fails(
            SSL_ERR_NAME,
            SSL_CAUSE_NAME,
            &["certificate is for \"mail.test\", not for \"other.test\""],
        ),
        fixture("wildcard, two labels", wild(), "a.b.mail.test")
            .presenting(&["*.mail.test", "192.0.2.7"])
            .fails(
                SSL_ERR_NAME,
                SSL_CAUSE_NAME,
                &["\"*.mail.test\"", "\"192.0.2.7\"", "not for \"a.b.mail.test\""],
            ),
        fixture("issuer", STRANGER.issue(&["mail.test"]), "mail.test").fails(
            SSL_ERR_CERT_UNKNOWN,
            issuer,
            &["is not trusted", add, "CN=stranger"],
        ),
        fixture("issuer and name", STRANGER.issue(&["mail.test"]), "other.test").fails(
            SSL_ERR_CERT_UNKNOWN,
            issuer | SSL_CAUSE_NAME,
            &[add, "certificate is for \"mail.test\", not for \"other.test\""],
        ),
        fixture("expired", dated((2023, 1, 1), (2024, 1, 2)), "mail.test").fails(
            SSL_ERR_CERT_EXPIRED,
            SSL_CAUSE_EXPIRED,
            &["certificate expired on 2024-01-02 00:00:00 UTC (now 20"],
        ),
        fixture("expired, leap day", dated((2019, 1, 1), (2020, 2, 29)), "mail.test").fails(
            SSL_ERR_CERT_EXPIRED,
            SSL_CAUSE_EXPIRED,
            &["certificate expired on 2020-02-29 00:00:00 UTC (now 20"],
        ),
        fixture("not yet valid", dated((2090, 1, 1), (2091, 1, 1)), "mail.test").fails(
            SSL_ERR_NOT_YET_VALID,
            SSL_CAUSE_NOT_YET_VALID,
            &["certificate is not valid before 2090-01-01 00:00:00 UTC (now 20", "the clock"],
        ),
        fixture("not yet valid", dated((2100, 3, 1), (2101, 1, 1)), "mail.test").fails(
            SSL_ERR_NOT_YET_VALID,
            SSL_CAUSE_NOT_YET_VALID,
            &["certificate is not valid before 2100-03-01 00:00:00 UTC (now 20", "the clock"],
        ),
        fixture("self-signed", self_signed("mail.test"), "mail.test").fails(
            SSL_ERR_CERT_UNKNOWN,
            issuer,
            &["certificate is self-signed and not trusted"],
        ),
        fixture("self-signed and trusted", self_signed("mail.test"), "mail.test").trusting_itself(),
        fixture("self-signed, trusted, wrong name", self_signed("mail.test"), "other.test")
            .trusting_itself()
            .fails(SSL_ERR_NAME, SSL_CAUSE_NAME, &["not for \"other.test\""]),
        fixture("CA as leaf", openssl_ca_as_leaf("mail.test"), "mail.test").fails(
            SSL_ERR_CERT_UNKNOWN,
            usage | issuer,
            &["self-signed and not trusted", "CA certificate used as a server certificate"],
        ),
        fixture("issued CA as leaf", ca_as_leaf_issued(), "mail.test").fails(
            SSL_ERR_CERT_UNKNOWN,
            usage,
            &["CA certificate used as a server certificate"],
        ),
        fixture("version 1", openssl_version_1("mail.test"), "mail.test").presenting(&[]).fails(
            SSL_ERR_BAD_DATA,
            SSL_CAUSE_MALFORMED | issuer | SSL_CAUSE_NAME,
            &[version_1, "self-signed and not trusted"],
        ),
        fixture("version 1 and trusted", openssl_version_1("mail.test"), "mail.test")
            .presenting(&[])
            .trusting_itself()
            .fails(SSL_ERR_BAD_DATA, SSL_CAUSE_MALFORMED | SSL_CAUSE_NAME, &[version_1]),
        fixture("no SAN", with_names(vec![]), "mail.test").presenting(&[]).fails(
            SSL_ERR_NAME,
            SSL_CAUSE_NAME,
            &[no_san, "(its common name", "does not count), so it is not for \"mail.test\""],
        ),
        fixture("no host in the SAN", with_names(vec![mail_address()]), "mail.test")
            .presenting(&[])
            .fails(SSL_ERR_NAME, SSL_CAUSE_NAME, &["no host among its subject alternative names"]),
        fixture("address", AUTHORITY.issue(&["192.0.2.7"]), "192.0.2.7").presenting(&["192.0.2.7"]),
        fixture("IPv6 address", AUTHORITY.issue(&["2001:db8::7"]), "2001:DB8:0::7")
            .presenting(&["2001:db8::7"]),
        fixture("IPv6 in brackets", AUTHORITY.issue(&["2001:db8::7"]), "[2001:db8::7]")
            .presenting(&["2001:db8::7"]),
        fixture("wrong address", AUTHORITY.issue(&["192.0.2.8"]), "192.0.2.7")
            .presenting(&["192.0.2.8"])
            .fails(
                SSL_ERR_NAME,
                SSL_CAUSE_NAME,
                &["certificate is for \"192.0.2.8\", not for \"192.0.2.7\""],
            ),
        fixture(
            "address as a DNS name",
            with_names(vec![SanType::DnsName("192.0.2.7".try_into().unwrap())]),
            "192.0.2.7",
        )
        .presenting(&["192.0.2.7"])
        .fails(
            SSL_ERR_NAME,
            SSL_CAUSE_NAME,
            &["has the address \"192.0.2.7\" as a DNS name, which does not count"],
        ),
        fixture("IDN", AUTHORITY.issue(&["xn--bcher-kva.test"]), "bücher.test")
            .presenting(&["xn--bcher-kva.test"]),
        fixture("IDN in ASCII", AUTHORITY.issue(&["xn--bcher-kva.test"]), "xn--bcher-kva.test")
            .presenting(&["xn--bcher-kva.test"]),
    ]
}

#[test]
fn every_kind_of_certificate_is_judged_and_described() {
    for fixture in fixtures() {
        for version in [&TLS12, &TLS13] {
            for mode in MODES {
                let what = format!("{} ({}), {version:?}, {mode:#x}", fixture.what, fixture.host);
                let (client, wire) = connect(Transport::Tcp);
                let Certified { chain, key } = &fixture.certified;
                let config = server_showing(chain, key, &[version]);
                let peer = thread::spawn(move || wire.serve(config));
                let mut handle = Handle::of(&client).flags(mode).trust(&AUTHORITY.pem());
                if let Some(pem) = &fixture.trust {
                    handle = handle.trust(pem);
                }
                assert_eq!(handle.verify_text(SSL_TEXT_SUMMARY, 0), Err(SSL_ERR_STATE));
                assert_eq!(handle.peer_certificate(0), Err(SSL_ERR_STATE));
                match (handle.handshake(fixture.host), fixture.code) {
                    (Ok(()), 0) => assert_eq!(summary(&handle), "", "{what}"),
                    (Err(failure), code) => {
                        assert_eq!(failure.code, code, "{what}: {}", failure.text);
                        let says = |text: &String| failure.text.contains(text.as_str());
                        assert!(fixture.says.iter().all(says), "{what}: {}", failure.text);
                        assert_eq!(handle.error(), failure, "{what}");
                        assert_eq!(summary(&handle), failure.text, "{what}");
                        let info = handle.error_info();
                        assert_eq!(info.category, SSL_CATEGORY_CERTIFICATE, "{what}");
                        assert_eq!((info.from_hook, info.tls_alert), (0, -1), "{what}");
                    }
                    (Ok(()), code) => panic!("{what}: must fail with {code}"),
                }
                describes(&handle, &fixture, &what);
                drop((handle, client));
                peer.join().unwrap();
            }
        }
    }
}

fn summary(handle: &Handle) -> String {
    handle.verify_text(SSL_TEXT_SUMMARY, 0).unwrap()
}

fn describes(handle: &Handle, fixture: &Fixture, what: &str) {
    let sent = ders(&fixture.certified.chain);
    let report = handle.verify_report();
    let verdict = if fixture.code == 0 { SSL_VERDICT_TRUSTED } else { SSL_VERDICT_NOT_TRUSTED };
    assert_eq!((report.verdict, report.causes), (verdict, fixture.causes), "{what}");
    assert_eq!(report.chain_len as usize, sent.len(), "{what}");
    assert!(report.not_before < report.not_after, "{what}");
    assert_ne!(report.spki_sha256, [0; 32], "{what}");
    for (index, der) in (0..).zip(&sent) {
        assert_eq!(handle.peer_certificate(index).unwrap(), der.as_ref(), "{what}");
    }
    assert_eq!(handle.peer_certificate(report.chain_len), Err(SSL_ERR_INVALID), "{what}");

    let expected = handle.verify_text(SSL_TEXT_EXPECTED, 0).unwrap();
    let asked = fixture.host.to_lowercase();
    assert!(
        expected == asked.trim_end_matches('.')
            || matches!(&*expected, "2001:db8::7" | "xn--bcher-kva.test"),
        "{what}: {expected}"
    );
    let presented: Vec<_> =
        (0..).map_while(|index| handle.verify_text(SSL_TEXT_PRESENTED, index).ok()).collect();
    assert_eq!(presented, fixture.presented, "{what}");
    let (subject, issuer) =
        (handle.verify_text(SSL_TEXT_SUBJECT, 0), handle.verify_text(SSL_TEXT_ISSUER, 0));
    assert!(subject.unwrap().contains("CN="), "{what}");
    assert!(issuer.unwrap().contains("CN="), "{what}");
    for (text, index) in [(SSL_TEXT_SUMMARY, 1), (SSL_TEXT_EXPECTED, 1), (0, 0), (99, 0)] {
        assert_eq!(handle.verify_text(text, index), Err(SSL_ERR_INVALID), "{what}");
    }
}

#[test]
fn outputs_are_checked_and_written_on_success_only() {
    let (client, wire) = connect(Transport::Tcp);
    let peer = thread::spawn(move || wire.serve(AUTHORITY.issue(&["mail.test"]).server()));
    let handle = Handle::of(&client).trust(&AUTHORITY.pem());
    handle.handshake("mail.test").unwrap();
    let (s, mut length, mut buffer) = (handle.0, 4711, [0x55_u8; 8192]);
    let text = |capacity, buffer: *mut u8, length: *mut usize| unsafe {
        let what = SSL_TEXT_EXPECTED;
        information::ssl_get_verify_text(s, what, 0, buffer.cast(), capacity, length)
    };
    assert_eq!(text(9, buffer.as_mut_ptr(), &mut length), SSL_ERR_BUFFER);
    assert_eq!((length, buffer[0]), (10, 0x55), "9 letters and the NUL");
    assert_eq!(text(10, buffer.as_mut_ptr(), &mut length), 0);
    assert_eq!(&buffer[..11], b"mail.test\0\x55");
    assert_eq!(text(10, std::ptr::null_mut(), &mut length), SSL_ERR_INVALID);
    assert_eq!(text(10, buffer.as_mut_ptr(), std::ptr::null_mut()), SSL_ERR_INVALID);
    let mut report: sslsock::abi::types::ssl_verify_report = unsafe { std::mem::zeroed() };
    report.size = size_of_val(&report) as u32 - 1;
    let got = unsafe { information::ssl_get_verify_report(s, &mut report) };
    assert_eq!((got, report.verdict), (SSL_ERR_INVALID, 0));
    drop((handle, client));
    peer.join().unwrap();
}

/// The name is refused before anything else, and the connection ends.
#[test]
fn what_is_no_name_is_refused_with_the_reason() {
    let huge = "a".repeat(65_536);
    let long_idn = "ü".repeat(32_768);
    let cases = [
        ("", SSL_ERR_NO_NAME, "no host name given"),
        (".", SSL_ERR_NO_NAME, "no host name given"),
        ("mail.test:993", SSL_ERR_INVALID, "give the host name only, without a port"),
        ("[::1]:993", SSL_ERR_INVALID, "give the host name only, without a port"),
        ("imap://mail.test", SSL_ERR_INVALID, "give the host name only, not a URL"),
        ("mail..test", SSL_ERR_INVALID, "it has an empty label"),
        ("*.test", SSL_ERR_INVALID, "a wildcard can only stand in certificates"),
        ("mail.test\r\nRSET", SSL_ERR_INVALID, "no spaces and no control characters"),
        (&huge, SSL_ERR_INVALID, "it is 65536 bytes long, but a host name has at most 253"),
        (&long_idn, SSL_ERR_INVALID, "it is 65536 bytes long, but a host name has at most 253"),
    ];
    for (name, code, says) in cases {
        for mode in MODES {
            let (client, mut wire) = connect(Transport::Tcp);
            let peer = thread::spawn(move || wire.hear_all());
            // Set beforehand it is refused too, and that changes nothing.
            let handle = Handle::of(&client).flags(mode).trust(&AUTHORITY.pem());
            let early = handle.peername(name).unwrap_err();
            assert_eq!(early.code, code, "{name:.40}");
            let outcome = handle.handshake(name);
            let failure = handle.assert_failed(outcome, code);
            assert!(failure.text.contains(says), "{name:.40}: {}", failure.text);
            assert_eq!(early, failure);
            assert!(failure.text.len() < 500 && !failure.text.contains('\n'), "{}", failure.text);
            drop((handle, client));
            peer.join().unwrap();
        }
    }
}

#[test]
fn the_name_may_be_set_beforehand_and_said_again() {
    for (set, said, works) in [
        ("mail.test", None, true),
        ("mail.test", Some("mail.test"), true),
        ("MAIL.test.", Some("mail.TEST"), true),
        ("mail.test", Some("other.test"), false),
        ("192.0.2.7", Some("mail.test"), false),
    ] {
        for mode in MODES {
            let (client, wire) = connect(Transport::Tcp);
            let config = AUTHORITY.issue(&["mail.test"]).server();
            let peer = thread::spawn(move || wire.serve(config));
            let handle = Handle::of(&client).flags(mode).trust(&AUTHORITY.pem());
            handle.peername(set).unwrap();
            let outcome = match said {
                Some(name) => handle.handshake(name),
                None => handle.handshake_without_name(),
            };
            if works {
                outcome.unwrap();
            } else {
                let failure = handle.assert_failed(outcome, SSL_ERR_INVALID);
                let text = format!(
                    "two different peer names: \"mail.test\" for this handshake, \"{set}\" by \
                     ssl_set_peername"
                )
                .replace("\"mail.test\" for", &format!("\"{}\" for", said.unwrap()));
                assert_eq!(failure.text, text);
            }
            drop((handle, client));
            peer.join().unwrap();
        }
    }
}

/// Two hostile banners: quoted, the first line, at most 80 bytes, nothing that a terminal obeys.
#[test]
fn hostile_banners_are_quoted_and_cut() {
    let long = [b"220 ".to_vec(), vec![b'x'; 10 * 1024]].concat();
    let bell =
        b"\x1b]0;owned\x07\x1b[2J\x00\xff\"quoted\" back\\slash\r\nsecond line\r\n".repeat(300);
    let quoted_long = format!("\"220 {}\"", "x".repeat(76));
    let quoted_bell = r#""\x1b]0;owned\x07\x1b[2J\x00\xff\"quoted\" back\\slash""#;
    for (banner, quoted) in [(long, quoted_long.as_str()), (bell, quoted_bell)] {
        for (early, mode) in MODES.map(|mode| [(true, mode), (false, mode)]).concat() {
            let (client, mut wire) = connect(Transport::Tcp);
            let banner = banner.clone();
            let peer = thread::spawn(move || {
                if early {
                    wire.agree(&banner);
                } else {
                    wire.agree(b"");
                    wire.hear_record();
                    wire.say(&banner);
                }
                wire.hear_all();
            });
            client.starttls();
            let handle = Handle::of(&client).flags(mode).trust(&AUTHORITY.pem());
            let failure = handle.handshake("mail.test").unwrap_err();
            let (code, tail) = match early {
                true => (SSL_ERR_EARLY_DATA, " before the handshake began"),
                false => (SSL_ERR_NOT_TLS, " instead of a TLS record"),
            };
            assert_eq!(failure.code, code);
            let start = format!("peer sent {quoted}{tail}");
            assert!(failure.text.starts_with(&start), "{}", failure.text);
            assert!(failure.text.bytes().all(|byte| matches!(byte, b' '..=b'~')));
            drop((handle, client));
            peer.join().unwrap();
        }
    }
}

/// Who did not look at the result must not end up with Mozilla's whole list instead of the one CA.
#[test]
fn trust_that_could_not_be_had_is_not_replaced_by_the_built_in_roots() {
    const MISSING: &CStr = c"/nonexistent/ca.pem";
    let pem = AUTHORITY.pem();
    let add_file =
        |handle: &Handle, path: *const c_char| unsafe { trust::ssl_add_trust_file(handle.0, path) };
    let add_pem = |handle: &Handle, pem: &str| unsafe {
        trust::ssl_add_trust_pem(handle.0, pem.as_ptr().cast(), pem.len())
    };
    let handshake = |prepare: &dyn Fn(&Handle)| {
        let peer = Peer::tls(AUTHORITY.issue(&["mail.test"]).server(), echo);
        let socket = peer.connect();
        let handle = Handle::of(&socket);
        prepare(&handle);
        handle.handshake("mail.test").map_err(|failure| (failure.code, failure.text))
    };
    let missing = handshake(&|handle| {
        assert_eq!(add_file(handle, MISSING.as_ptr()), SSL_ERR_IO);
    });
    let text = "the trust that was asked for is missing: could not read the trust file \"/nonexist";
    let (code, told) = missing.unwrap_err();
    assert_eq!(code, SSL_ERR_IO);
    assert!(told.starts_with(text), "{told}");
    let null = handshake(&|handle| {
        assert_eq!(add_file(handle, std::ptr::null()), SSL_ERR_INVALID);
    });
    assert_eq!(null.unwrap_err().0, SSL_ERR_INVALID);
    let empty = handshake(&|handle| assert_eq!(add_pem(handle, ""), SSL_ERR_BAD_DATA));
    assert_eq!(empty.unwrap_err().0, SSL_ERR_BAD_DATA);
    // Whoever tries several places needs one of them only, and in whatever order.
    let second = handshake(&|handle| {
        assert_eq!(add_file(handle, MISSING.as_ptr()), SSL_ERR_IO);
        assert_eq!(add_pem(handle, &pem), 0);
    });
    assert_eq!(second, Ok(()));
    let first = handshake(&|handle| {
        assert_eq!(add_pem(handle, &pem), 0);
        assert_eq!(add_file(handle, MISSING.as_ptr()), SSL_ERR_IO);
    });
    assert_eq!(first, Ok(()));
}

/// The defaults are the process's, so this runs in one of its own.
#[test]
fn trust_in_the_defaults_is_what_later_handles_have() {
    let output = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "with_defaults", "--ignored", "--nocapture"])
        .env(OWN_PROCESS, "1")
        .output()
        .unwrap();
    let told = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success() && told.contains("1 passed"), "{told}");
    assert!(told.contains("defaults were tried"), "{told}");
}

#[test]
#[ignore = "runs in a process of its own, started by another test"]
fn with_defaults() {
    if std::env::var_os(OWN_PROCESS).is_none() {
        return;
    }
    let upgrade = |handle: &Handle, peer: Peer<()>| {
        let outcome = handle.handshake("mail.test");
        drop(peer);
        outcome.map_err(|failure| failure.code)
    };
    let server = || Peer::tls(AUTHORITY.issue(&["mail.test"]).server(), echo);
    let (before_peer, before_host) = (server(), TcpListener::bind("127.0.0.2:0").unwrap());
    let before_socket = before_peer.connect();
    let before = Handle::of(&before_socket);

    let defaults = handles::ssl_defaults();
    assert_eq!(handles::ssl_defaults(), defaults, "always the same");
    let pem = AUTHORITY.pem();
    assert_eq!(unsafe { trust::ssl_add_trust_pem(defaults, pem.as_ptr().cast(), pem.len()) }, 0);
    for mode in MODES {
        let peer = server();
        let socket = peer.connect();
        assert_eq!(upgrade(&Handle::of(&socket).flags(mode), peer), Ok(()), "{mode:#x}");
    }
    // A handle made before keeps what it had, and one with another server's CA is not trusted.
    assert_eq!(upgrade(&before, before_peer), Err(SSL_ERR_CERT_UNKNOWN));
    let stranger = Peer::tls(STRANGER.issue(&["mail.test"]).server(), echo);
    let socket = stranger.connect();
    assert_eq!(upgrade(&Handle::of(&socket), stranger), Err(SSL_ERR_CERT_UNKNOWN));
    drop(before_host);

    let mut buffer = [0_u8; 16];
    let (bytes, mut size) = (buffer.as_mut_ptr().cast(), 0);
    let last = |count: isize| {
        assert_eq!(count, -1);
        assert_eq!(std::io::Error::last_os_error().raw_os_error(), Some(libc::ENOTCONN));
        errors::ssl_get_error(std::ptr::null_mut())
    };
    unsafe {
        let calls = [
            last(session::ssl_send(defaults, bytes, 1, 0)),
            last(session::ssl_recv(defaults, bytes, 1, 0)),
            session::ssl_perform_handshake(defaults, c"mail.test".as_ptr()),
            session::ssl_perform_handshake(defaults, c"\xff".as_ptr()),
            session::ssl_perform_handshake(defaults, std::ptr::null()),
            session::ssl_connect(defaults, bytes, 16),
            session::ssl_pending(defaults, &mut size),
            session::ssl_shutdown(defaults, 2),
        ];
        assert_eq!(calls, [SSL_ERR_STATE; 8]);
        let failure = error_of(std::ptr::null_mut());
        assert_eq!(
            failure.text,
            "this handle (ssl_defaults, ssl_settings_new) takes settings only, it has no connection"
        );
    }
    assert_eq!(handles::ssl_socket_free(defaults), SSL_ERR_INVALID);
    assert_eq!(handles::ssl_defaults(), defaults, "still there");
    let peer = server();
    let socket = peer.connect();
    assert_eq!(upgrade(&Handle::of(&socket), peer), Ok(()));
    println!("defaults were tried");
}

const OWN_PROCESS: &str = "SSLSOCK_TEST_OWN_PROCESS";
