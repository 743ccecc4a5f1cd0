//! The certificate hook: what it is told, when, and what its answer does.

mod support;

use std::ffi::c_void;
use std::sync::{Arc, Condvar, LazyLock, Mutex};
use std::thread;

use rustls::SupportedProtocolVersion;
use rustls::version::TLS13;
use sslsock::abi::types::{ssl_blob, ssl_socket};
use sslsock::abi::{errors, handles, identity, information, session, settings, trust};
use support::dead::{PASSWORD, assert_dead};
use support::fixtures::{ders, openssl_ca_as_leaf};
use support::hooks::{Hook, Scene, VERSIONS, assert_only_hello, kinds};
use support::pki::{Authority, Certified};
use support::wire::{MODES, Record};
use support::*;

static AUTHORITY: LazyLock<Authority> = LazyLock::new(|| Authority::new("hook"));
static MAIL: LazyLock<Certified> = LazyLock::new(|| AUTHORITY.issue(&["mail.test"]));
static CA_AS_LEAF: LazyLock<Certified> = LazyLock::new(|| openssl_ca_as_leaf("mail.test"));
static EXPIRED: LazyLock<Certified> = LazyLock::new(|| {
    AUTHORITY.issue_with(&["mail.test"], |params| {
        params.not_before = rcgen::date_time_ymd(2023, 1, 1);
        params.not_after = rcgen::date_time_ymd(2024, 1, 2);
    })
});
static UNKNOWN: LazyLock<Certified> =
    LazyLock::new(|| Authority::new("nobody").issue(&["mail.test"]));

fn scene(mode: u32, certified: &Certified, version: &'static SupportedProtocolVersion) -> Scene {
    Scene::new(&AUTHORITY, mode, certified, version)
}

#[test]
fn it_is_told_once_on_this_thread_with_the_leaf_alone() {
    let cases: [(&Certified, &str, u32); 5] = [
        (&MAIL, "mail.test", 0),
        (&MAIL, "other.test", SSL_CERT_FLAG_ISSUER_UNKNOWN),
        (&EXPIRED, "mail.test", SSL_CERT_FLAG_ISSUER_UNKNOWN),
        (&UNKNOWN, "mail.test", SSL_CERT_FLAG_ISSUER_UNKNOWN),
        (&CA_AS_LEAF, "mail.test", SSL_CERT_FLAG_ISSUER_UNKNOWN),
    ];
    for (certified, host, flags) in cases {
        for version in VERSIONS {
            for mode in MODES {
                let hook = Hook::answering(0);
                let scene = scene(mode, certified, version).hooked(&hook);
                scene.handle.handshake(host).unwrap();
                let report = scene.handle.verify_report();
                let verdict =
                    if flags == 0 { SSL_VERDICT_TRUSTED } else { SSL_VERDICT_ACCEPTED_BY_HOOK };
                assert_eq!((report.verdict, report.causes == 0), (verdict, flags == 0));
                scene.end();
                let call = hook.call();
                assert_eq!(call.thread, thread::current().id());
                assert_eq!((call.kind, call.chain_len, call.flags), (SSL_CERT_X509, 1, flags));
                assert_eq!(call.leaf, ders(&certified.chain)[0].as_ref());
            }
        }
    }
}

/// The argument is the program's: any bits, no address of ours.
#[test]
fn its_argument_arrives_bit_for_bit() {
    unsafe extern "C" fn check(
        _: u32,
        arg: *mut c_void,
        _: u32,
        _: *const ssl_blob,
        _: u32,
    ) -> i32 {
        ARGUMENT.lock().unwrap().push(arg as usize);
        0
    }
    static ARGUMENT: Mutex<Vec<usize>> = Mutex::new(Vec::new());
    for argument in [0, usize::MAX, 0x8000_0000_0000_0001] {
        let mut scene = scene(0, &MAIL, &TLS13);
        scene.handle = scene.handle.hook(Some(check), argument as *mut c_void);
        scene.handle.handshake("mail.test").unwrap();
        scene.end();
        assert_eq!(std::mem::take(&mut *ARGUMENT.lock().unwrap()), [argument]);
    }
}

#[test]
fn zero_accepts_what_openssl_req_makes() {
    for version in VERSIONS {
        for mode in MODES {
            let hook = Hook::answering(0);
            let scene = scene(mode, &CA_AS_LEAF, version).hooked(&hook);
            scene.handle.handshake("mail.test").unwrap();
            let report = scene.handle.verify_report();
            assert_eq!(report.verdict, SSL_VERDICT_ACCEPTED_BY_HOOK);
            assert_eq!(report.causes, SSL_CAUSE_USAGE | SSL_CAUSE_ISSUER_UNKNOWN);
            assert_eq!(
                scene.handle.verify_text(SSL_TEXT_SUMMARY, 0).unwrap(),
                "certificate is self-signed and not trusted; CA certificate used as a server \
                 certificate: let this CA issue one for the server, and trust the CA"
            );
            assert_eq!(scene.handle.error().code, 0);
            match mode {
                SSL_FLAG_EXPLICIT_IO => assert_eq!(scene.handle.send(b"hello", 0), Ok(5)),
                _ => {
                    use std::os::fd::AsRawFd;
                    assert_eq!(plain_send(scene.client.as_raw_fd(), b"hello"), Ok(5));
                }
            }
            assert_eq!(scene.end().1.plaintext, b"hello");
            hook.call();
        }
    }
}

#[test]
fn every_other_answer_refuses() {
    let cases = [
        (-1, -1),
        (-2_146_885_613, -2_146_885_613),
        (i32::MIN, i32::MIN),
        (1, SSL_ERR_CERT_UNKNOWN),
        (2, SSL_ERR_FAILED),
        (3, SSL_ERR_BAD_LEN),
        (4, SSL_ERR_BAD_TYPE),
        (5, SSL_ERR_BAD_DATA),
        (6, SSL_ERR_NO_CERT),
        (7, SSL_ERR_BAD_SIG),
        (8, SSL_ERR_CERT_EXPIRED),
        (9, SSL_ERR_CERT_REVOKED),
        (10, SSL_ERR_CERT_UNKNOWN),
        (11, SSL_ERR_SIGNATURE),
        (12, SSL_ERR_CERT_UNKNOWN),
        (77, SSL_ERR_CERT_UNKNOWN),
        (i32::MAX, SSL_ERR_CERT_UNKNOWN),
    ];
    for (index, (answer, code)) in cases.into_iter().enumerate() {
        for certified in [&*MAIL, &*CA_AS_LEAF] {
            let (mode, version) = (MODES[index % 3], VERSIONS[index % 2]);
            let hook = Hook::answering(answer);
            let scene = scene(mode, certified, version).hooked(&hook);
            let outcome = scene.handle.handshake("mail.test");
            let failure = scene.handle.assert_failed(outcome, code);
            let start =
                format!("the program's certificate hook refused the certificate with {answer}");
            assert!(failure.text.starts_with(&start), "{}", failure.text);
            let told = failure.text.contains("self-signed and not trusted");
            assert_eq!(told, std::ptr::eq(certified, &*CA_AS_LEAF), "{}", failure.text);
            let info = scene.handle.error_info();
            assert_eq!((info.code, info.from_hook), (code, 1));
            assert_eq!(info.category, SSL_CATEGORY_CERTIFICATE);
            assert_eq!(scene.end().1.plaintext, b"");
            hook.call();
        }
    }
}

#[test]
fn strict_lets_it_refuse_and_not_accept() {
    for version in VERSIONS {
        for mode in MODES.map(|mode| mode | SSL_FLAG_STRICT) {
            let hook = Hook::answering(0);
            let accepted = scene(mode, &MAIL, version).hooked(&hook);
            accepted.handle.handshake("mail.test").unwrap();
            accepted.end();
            hook.call();

            let hook = Hook::answering(0);
            let refused = scene(mode, &EXPIRED, version).hooked(&hook);
            let outcome = refused.handle.handshake("mail.test");
            let failure = refused.handle.assert_failed(outcome, SSL_ERR_CERT_EXPIRED);
            let end = "SSL_FLAG_STRICT does not let the hook accept that";
            assert!(failure.text.ends_with(end), "{}", failure.text);
            let info = refused.handle.error_info();
            assert_eq!(info.from_hook, 0);
            assert_eq!(refused.handle.verify_report().verdict, SSL_VERDICT_NOT_TRUSTED);
            refused.end();
            hook.call();

            let hook = Hook::answering(-5);
            let no = scene(mode, &MAIL, version).hooked(&hook);
            assert_eq!(no.handle.handshake("mail.test").unwrap_err().code, -5);
            no.end();
            hook.call();
        }
    }
}

#[test]
fn without_one_verification_is_strict() {
    for certified in [&*CA_AS_LEAF, &*EXPIRED, &*UNKNOWN] {
        for version in VERSIONS {
            let mut cleared = scene(0, certified, version);
            cleared.handle = Hook::answering(0).on(cleared.handle).hook(None, std::ptr::null_mut());
            cleared.handle.handshake("mail.test").unwrap_err();
            assert_eq!(cleared.handle.error_info().from_hook, 0);
            cleared.end();
        }
    }
}

#[test]
fn inside_it_one_may_look_but_not_touch() {
    for version in VERSIONS {
        for mode in MODES {
            let shared = Arc::new(Mutex::new(0_usize));
            let (token, results) = (shared.clone(), Arc::new(Mutex::new(Vec::new())));
            let told = results.clone();
            let hook = Hook::doing(0, move || {
                let s = *token.lock().unwrap() as *mut ssl_socket;
                told.lock().unwrap().extend(touch(s));
                look(s);
            });
            let scene = scene(mode, &EXPIRED, version).hooked(&hook);
            *shared.lock().unwrap() = scene.handle.0 as usize;
            scene.handle.handshake("mail.test").unwrap();
            let results = std::mem::take(&mut *results.lock().unwrap());
            assert!(results.len() > 10);
            for (name, code) in results {
                assert_eq!(code, SSL_ERR_REENTRANT, "{name}");
            }
            // Nothing of it had an effect.
            assert_eq!(scene.handle.verify_report().verdict, SSL_VERDICT_ACCEPTED_BY_HOOK);
            assert!(scene.handle.session_info().protocol >= 0x303);
            scene.end();
            hook.call();
        }
    }
}

fn touch(s: *mut ssl_socket) -> Vec<(&'static str, i32)> {
    let name = c"mail.test".as_ptr();
    let mut buffer = [0_u8; 16];
    let bytes = buffer.as_mut_ptr().cast::<c_void>();
    let mut size = 0;
    // ssl_send and ssl_recv answer -1; their error is this thread's last.
    let last = |count: isize| {
        assert_eq!(count, -1);
        errors::ssl_get_error(std::ptr::null_mut())
    };
    unsafe {
        vec![
            ("set_flags", settings::ssl_set_flags(s, 0)),
            ("set_hook", settings::ssl_set_validate_cert_hook(s, None, std::ptr::null_mut())),
            ("set_peername", settings::ssl_set_peername(s, name)),
            ("set_timeout", settings::ssl_set_timeout(s, SSL_TIMEOUT_CLOSE, 1)),
            ("add_trust_file", trust::ssl_add_trust_file(s, name)),
            ("add_trust_pem", trust::ssl_add_trust_pem(s, bytes, 1)),
            ("use_system_trust", trust::ssl_use_system_trust(s)),
            ("set_identity_pem", identity::ssl_set_identity_pem(s, bytes, 1, bytes, 1)),
            ("perform_handshake", session::ssl_perform_handshake(s, name)),
            ("perform_handshake", session::ssl_perform_handshake(s, c"\xff".as_ptr())),
            ("complete_validation", session::ssl_complete_validation(s, 0)),
            ("cancel_handshake", session::ssl_cancel_handshake(s)),
            ("connect", session::ssl_connect(s, bytes, 16)),
            ("send", last(session::ssl_send(s, bytes, 1, 0))),
            ("recv", last(session::ssl_recv(s, bytes, 1, 0))),
            ("pending", session::ssl_pending(s, &mut size)),
            ("shutdown", session::ssl_shutdown(s, 2)),
            ("free", handles::ssl_socket_free(s)),
        ]
    }
}

fn look(s: *mut ssl_socket) {
    let handle = std::mem::ManuallyDrop::new(Handle(s));
    let report = handle.verify_report();
    assert_eq!((report.verdict, report.causes), (SSL_VERDICT_NOT_TRUSTED, SSL_CAUSE_EXPIRED));
    assert_eq!(handle.verify_text(SSL_TEXT_EXPECTED, 0).unwrap(), "mail.test");
    assert_eq!(handle.peer_certificate(0).unwrap(), ders(&EXPIRED.chain)[0].as_ref());
    assert_eq!(handle.error().code, SSL_ERR_REENTRANT);
    assert_eq!(handle.error_info().from_hook, 0);
    let (mut flags, mut address, mut length) = (0, [0_u8; 128], 128);
    unsafe {
        assert_eq!(settings::ssl_get_flags(s, &mut flags), 0);
        let bytes = address.as_mut_ptr().cast();
        let got = information::ssl_get_address(s, SSL_ADDRESS_PEER, bytes, &mut length);
        assert_eq!((got, length), (0, 16));
    }
    assert_eq!(address[4..8], [127, 0, 0, 2], "the real peer");
}

/// F9: a person may be asked. The time limit is far below the time that the hook takes.
#[test]
fn it_may_take_longer_than_the_handshake_may() {
    for version in VERSIONS {
        for mode in MODES {
            let limit = std::time::Duration::from_millis(100);
            let (entered, left) = (Arc::new((Mutex::new(false), Condvar::new())), 0);
            let gate = entered.clone();
            let hook = Hook::doing(left, move || {
                let guard = gate.0.lock().unwrap();
                drop(gate.1.wait_while(guard, |open| !*open).unwrap());
            });
            let scene = scene(mode, &EXPIRED, version).hooked(&hook);
            settings::ssl_set_timeout(scene.handle.0, SSL_TIMEOUT_HANDSHAKE, 100);
            let started = std::time::Instant::now();
            // Opens the gate once the limit is over for certain.
            let opener = thread::spawn(move || {
                while started.elapsed() < 2 * limit {
                    thread::park_timeout(limit);
                }
                *entered.0.lock().unwrap() = true;
                entered.1.notify_all();
            });
            let outcome = scene.handle.handshake("mail.test");
            opener.join().unwrap();
            assert_eq!(outcome, Ok(()), "{mode:#x}");
            scene.end();
            hook.call();
        }
    }
}

/// F7.
#[test]
fn its_errno_is_its_own() {
    for (answer, certified) in [(0, &*MAIL), (8, &*EXPIRED)] {
        let hook = Hook::doing(answer, || unsafe { *libc::__errno_location() = libc::ECONNRESET });
        let scene = scene(0, certified, &TLS13).hooked(&hook);
        let outcome = scene.handle.handshake("mail.test");
        assert_eq!(outcome.map_err(|failure| failure.code), [Ok(()), Err(8)][answer as usize / 8]);
        assert_eq!(scene.handle.error_info().sys_errno, 0);
        scene.end();
        hook.call();
    }
}

/// What the peer has when the hook runs is the ClientHello, and in TLS 1.3 at most the dummy
/// ChangeCipherSpec.
#[test]
fn nothing_of_the_last_flight_leaves_before_its_answer() {
    for version in VERSIONS {
        for mode in MODES {
            for answer in [0, 5] {
                let seen = Arc::new(Mutex::new((None::<Record>, Vec::new())));
                let inside = seen.clone();
                let hook = Hook::doing(answer, move || {
                    let mut seen = inside.lock().unwrap();
                    seen.1 = seen.0.as_ref().unwrap().bytes();
                });
                let scene = scene(mode, &MAIL, version).hooked(&hook);
                seen.lock().unwrap().0 = Some(scene.record.clone());
                let outcome = scene.handle.handshake("mail.test");
                assert_eq!(outcome.is_ok(), answer == 0);
                let (record, _) = scene.end();
                let at_hook = std::mem::take(&mut seen.lock().unwrap().1);
                assert_only_hello(&at_hook);
                if answer == 0 {
                    let kinds = kinds(&record.bytes());
                    assert!(kinds.len() > 1, "the last flight came after the answer: {kinds:?}");
                } else {
                    // Nor afterwards, but for an alert.
                    assert_only_hello(&record.bytes());
                }
                hook.call();
            }
        }
    }
}

/// B22: a chain that is in order proves nothing without its key.
#[test]
fn a_peer_without_the_key_is_refused_without_asking() {
    for version in VERSIONS {
        for mode in MODES {
            for certified in [&*MAIL, &*UNKNOWN] {
                let other = AUTHORITY.issue(&["mail.test"]);
                let impostor = Certified { chain: certified.chain.clone(), key: other.key.clone() };
                let hook = Hook::answering(0);
                let hooked = scene(mode, &impostor, version).hooked(&hook);
                let outcome = hooked.handle.handshake("mail.test");
                let failure = hooked.handle.assert_failed(outcome, SSL_ERR_BAD_SIG);
                assert_eq!(
                    failure.text,
                    "peer could not prove that it holds the certificate's private key: the \
                     handshake signature is wrong; somebody may be using a certificate that is \
                     not theirs"
                );
                assert_eq!(hook.calls.lock().unwrap().len(), 0, "not even asked");
                let report = hooked.handle.verify_report();
                assert_eq!(report.verdict, SSL_VERDICT_NOT_TRUSTED);
                assert_ne!(report.causes & SSL_CAUSE_SIGNATURE, 0);
                let summary = hooked.handle.verify_text(SSL_TEXT_SUMMARY, 0).unwrap();
                assert!(summary.starts_with(&failure.text), "{summary}");
                use std::os::fd::AsRawFd;
                assert_dead(hooked.client.as_raw_fd(), "impostor");
                let (record, served) = hooked.end();
                assert!(!record.contains(PASSWORD));
                let alert = rustls::AlertDescription::DecryptError;
                assert_eq!(served.error, Some(rustls::Error::AlertReceived(alert)));

                let strict = scene(mode, &impostor, version);
                let failure = strict.handle.handshake("mail.test").unwrap_err();
                let unknown = std::ptr::eq(certified, &*UNKNOWN);
                let code = if unknown { SSL_ERR_CERT_UNKNOWN } else { SSL_ERR_BAD_SIG };
                assert_eq!(failure.code, code, "{}", failure.text);
                strict.end();
            }
        }
    }
}
