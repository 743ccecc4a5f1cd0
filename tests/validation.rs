//! The decision on a certificate that the hook leaves open and the program brings later.

mod support;

use std::io::{Read, Write};
use std::os::fd::AsRawFd;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, LazyLock};
use std::thread;
use std::time::{Duration, Instant};

use rustls::pki_types::PrivateKeyDer;
use rustls::pki_types::pem::PemObject;
use sslsock::abi::types::ssl_socket;
use sslsock::abi::{handles, session};
use support::dead::assert_dead;
use support::explicit::{poll, transport};
use support::fixtures::ders;
use support::hooks::{Hook, Scene, VERSIONS, assert_only_hello, kinds};
use support::pki::{Authority, Certified};
use support::resuming::{self, Client, KINDS, WAYS, config, serve};
use support::wire::{MODES, Transport, Wire, connect};
use support::*;

static AUTHORITY: LazyLock<Authority> = LazyLock::new(|| Authority::new("validation"));
static MAIL: LazyLock<Certified> = LazyLock::new(|| AUTHORITY.issue(&["mail.test"]));
static UNKNOWN: LazyLock<Certified> =
    LazyLock::new(|| Authority::new("nobody").issue(&["mail.test"]));

#[test]
fn the_handshake_waits_for_the_answer_and_shows_what_it_is_about() {
    for certified in [&*MAIL, &*UNKNOWN] {
        let is_trusted = std::ptr::eq(certified, &*MAIL);
        for version in VERSIONS {
            for mode in MODES {
                let hook = Hook::answering(SSL_ERR_WANT_VALIDATION);
                let scene = Scene::asked(&AUTHORITY, mode, certified, version, &hook);
                for _ in 0..3 {
                    let failure = scene.handle.handshake("mail.test").unwrap_err();
                    assert_eq!(failure.code, SSL_ERR_WANT_VALIDATION);
                    assert!(failure.text.contains("ssl_complete_validation"), "{}", failure.text);
                }
                assert_only_hello(&scene.record.bytes());
                let report = scene.handle.verify_report();
                let verdict =
                    if is_trusted { SSL_VERDICT_TRUSTED } else { SSL_VERDICT_NOT_TRUSTED };
                assert_eq!((report.verdict, report.causes == 0), (verdict, is_trusted));
                let leaf = ders(&certified.chain)[0].to_vec();
                assert_eq!(scene.handle.peer_certificate(0).unwrap(), leaf);
                let real = transport(&scene.handle);
                assert_eq!(poll(&real, libc::POLLIN, 0), 0, "the peer awaits our last flight");
                assert_eq!(scene.handle.send(b"early", 0), Err(libc::ENOTCONN));
                assert_eq!(scene.handle.complete(0), Ok(()));
                scene.handle.assert_not_awaited(0, "it has been decided already");
                assert_eq!(scene.handle.go_on(), Ok(()));
                scene.handle.assert_not_awaited(0, "the handshake is complete");
                let verdict =
                    if is_trusted { SSL_VERDICT_TRUSTED } else { SSL_VERDICT_ACCEPTED_BY_HOOK };
                assert_eq!(scene.handle.verify_report().verdict, verdict);
                scene.speaks_tls(mode);
                drop(real);
                let (record, served) = scene.end();
                assert_eq!(served.plaintext, b"hello");
                assert!(kinds(&record.bytes()).len() > 2);
                hook.call();
            }
        }
    }
}

#[test]
fn what_comes_later_is_judged_as_the_hook_s_own_answer() {
    let cases = [
        (-1, -1),
        (i32::MIN, i32::MIN),
        (1, SSL_ERR_CERT_UNKNOWN),
        (2, SSL_ERR_FAILED),
        (9, SSL_ERR_CERT_REVOKED),
        (11, SSL_ERR_SIGNATURE),
        (12, SSL_ERR_CERT_UNKNOWN),
        (i32::MAX, SSL_ERR_CERT_UNKNOWN),
    ];
    for (index, (answer, code)) in cases.into_iter().enumerate() {
        for certified in [&*MAIL, &*UNKNOWN] {
            let (mode, version) = (MODES[index % 3], VERSIONS[index % 2]);
            let own = Hook::answering(answer);
            let direct = Scene::new(&AUTHORITY, mode, certified, version).hooked(&own);
            let wanted = direct.handle.handshake("mail.test").unwrap_err();
            let hook = Hook::answering(SSL_ERR_WANT_VALIDATION);
            let scene = Scene::asked(&AUTHORITY, mode, certified, version, &hook);
            assert_eq!(scene.handle.complete(answer), Ok(()));
            let outcome = scene.handle.go_on();
            assert_eq!(scene.handle.assert_failed(outcome, code), wanted);
            let info = scene.handle.error_info();
            assert_eq!((info.code, info.from_hook), (code, 1));
            assert_eq!(info.category, SSL_CATEGORY_CERTIFICATE);
            assert_dead(scene.client.as_raw_fd(), "refused");
            scene.handle.assert_not_awaited(0, "handshake failed");
            assert_only_hello(&scene.end().0.bytes());
            direct.end();
            hook.call();
        }
    }
}

#[test]
fn strict_does_not_let_it_accept_what_is_wrong() {
    for version in VERSIONS {
        for mode in MODES {
            let hook = Hook::answering(SSL_ERR_WANT_VALIDATION);
            let scene = Scene::asked(&AUTHORITY, mode | SSL_FLAG_STRICT, &UNKNOWN, version, &hook);
            assert_eq!(scene.handle.complete(0), Ok(()));
            let outcome = scene.handle.go_on();
            let failure = scene.handle.assert_failed(outcome, SSL_ERR_CERT_UNKNOWN);
            assert!(failure.text.contains("SSL_FLAG_STRICT does not let"), "{}", failure.text);
            assert_eq!(scene.handle.error_info().from_hook, 0);
            assert_eq!(scene.handle.verify_report().verdict, SSL_VERDICT_NOT_TRUSTED);
            assert_only_hello(&scene.end().0.bytes());
            hook.call();
        }
    }
}

#[test]
fn leaving_it_open_is_no_decision_and_can_be_made_up_for() {
    let hook = Hook::answering(SSL_ERR_WANT_VALIDATION);
    let scene = Scene::asked(&AUTHORITY, 0, &UNKNOWN, VERSIONS[1], &hook);
    let failure = scene.handle.complete(SSL_ERR_WANT_VALIDATION).unwrap_err();
    assert_eq!(failure.code, SSL_ERR_INVALID);
    assert!(failure.text.contains("is no decision"), "{}", failure.text);
    assert_eq!(scene.handle.go_on().unwrap_err().code, SSL_ERR_WANT_VALIDATION);
    assert_eq!(scene.handle.complete(0), Ok(()));
    assert_eq!(scene.handle.go_on(), Ok(()));
    scene.end();
}

#[test]
fn in_a_handshake_that_waits_by_itself_leaving_it_open_refuses() {
    for version in VERSIONS {
        for mode in MODES {
            for certified in [&*MAIL, &*UNKNOWN] {
                let hook = Hook::answering(SSL_ERR_WANT_VALIDATION);
                let scene = Scene::new(&AUTHORITY, mode, certified, version).hooked(&hook);
                let outcome = scene.handle.handshake("mail.test");
                let failure = scene.handle.assert_failed(outcome, SSL_ERR_CERT_UNKNOWN);
                assert!(failure.text.contains("SSL_FLAG_NONBLOCKING"), "{}", failure.text);
                assert_eq!(scene.handle.error_info().from_hook, 1);
                assert_dead(scene.client.as_raw_fd(), "refused");
                assert_only_hello(&scene.end().0.bytes());
                hook.call();
            }
        }
    }
}

/// Another thread brings `result` while the hook is running; what the hook answers then.
fn answered_inside(
    mode: u32,
    version: &'static rustls::SupportedProtocolVersion,
    result: i32,
    answer: i32,
) -> (Scene, Hook) {
    let token = Arc::new(AtomicUsize::new(0));
    let inside = token.clone();
    let hook = Hook::doing(answer, move || {
        let s = inside.load(Ordering::Acquire);
        thread::spawn(move || {
            let s = s as *mut ssl_socket;
            assert_eq!(session::ssl_complete_validation(s, result), 0);
            assert_eq!(session::ssl_complete_validation(s, result), SSL_ERR_STATE);
        })
        .join()
        .unwrap();
    });
    let scene = Scene::new(&AUTHORITY, SSL_FLAG_NONBLOCKING | mode, &UNKNOWN, version);
    token.store(scene.handle.0 as usize, Ordering::Release);
    (scene, hook)
}

#[test]
fn an_answer_may_come_before_the_hook_has_returned() {
    for version in VERSIONS {
        for mode in MODES {
            let (scene, hook) = answered_inside(mode, version, 0, SSL_ERR_WANT_VALIDATION);
            let scene = scene.hooked(&hook);
            assert_eq!(scene.handle.go_on(), Ok(()));
            scene.speaks_tls(mode);
            assert_eq!(scene.end().1.plaintext, b"hello");
            hook.call();

            let (scene, hook) = answered_inside(mode, version, 8, SSL_ERR_WANT_VALIDATION);
            let scene = scene.hooked(&hook);
            let outcome = scene.handle.go_on();
            scene.handle.assert_failed(outcome, SSL_ERR_CERT_EXPIRED);
            assert_only_hello(&scene.end().0.bytes());
            hook.call();
        }
    }
}

#[test]
fn what_the_hook_answers_itself_counts() {
    for version in VERSIONS {
        let (scene, hook) = answered_inside(0, version, 8, 0);
        let scene = scene.hooked(&hook);
        assert_eq!(scene.handle.go_on(), Ok(()));
        scene.handle.assert_not_awaited(8, "the handshake is complete");
        scene.end();
        let (scene, hook) = answered_inside(0, version, 0, -5);
        let scene = scene.hooked(&hook);
        assert_eq!(scene.handle.go_on().unwrap_err().code, -5);
        scene.handle.assert_not_awaited(0, "failed");
        assert_only_hello(&scene.end().0.bytes());
    }
    // In TLS 1.2 the handshake goes on for a while.
    let hook = Hook::answering(0);
    let (client, mut wire) = connect(Transport::Tcp);
    let config = MAIL.server_with(&[VERSIONS[0]]);
    let peer = thread::spawn(move || {
        let flight = wire.answer_to_hello(&config).concat();
        wire.say(&flight);
        wire.hear_all();
    });
    let handle = hook.on(Handle::of(&client).flags(SSL_FLAG_NONBLOCKING));
    let handle = handle.trust(&AUTHORITY.pem());
    while hook.calls.lock().unwrap().is_empty() {
        assert_eq!(handle.handshake("mail.test").unwrap_err().code, SSL_ERR_WANT_READ);
    }
    handle.assert_not_awaited(8, "it has been decided already");
    assert_eq!(handle.handshake("mail.test").unwrap_err().code, SSL_ERR_WANT_READ);
    drop((handle, client));
    peer.join().unwrap();
}

#[test]
fn nobody_is_asked_before_the_hook_is_called_or_without_one() {
    let hook = Hook::answering(SSL_ERR_WANT_VALIDATION);
    let scene = Scene::new(&AUTHORITY, SSL_FLAG_NONBLOCKING, &MAIL, VERSIONS[0]).hooked(&hook);
    assert_eq!(scene.handle.complete(0).unwrap_err().code, SSL_ERR_STATE);
    // Where the peer's answer has not come yet.
    let (client, mut wire) = connect(Transport::Tcp);
    let peer = thread::spawn(move || wire.hear_all());
    let handle = hook.on(Handle::of(&client).flags(SSL_FLAG_NONBLOCKING));
    assert_eq!(handle.handshake("mail.test").unwrap_err().code, SSL_ERR_WANT_READ);
    handle.assert_not_awaited(0, "the certificate hook has not been called");
    assert_eq!(handle.error().code, SSL_ERR_STATE);
    assert_eq!(handle.handshake("mail.test").unwrap_err().code, SSL_ERR_WANT_READ);
    drop((handle, client));
    peer.join().unwrap();
    // It was not answered ahead of time.
    assert_eq!(scene.handle.go_on().unwrap_err().code, SSL_ERR_WANT_VALIDATION);
    scene.end();

    let scene = Scene::new(&AUTHORITY, SSL_FLAG_NONBLOCKING, &MAIL, VERSIONS[1]);
    assert_eq!(scene.handle.go_on(), Ok(()));
    assert_eq!(scene.handle.complete(0).unwrap_err().code, SSL_ERR_STATE);
    scene.end();
    for other in [handles::ssl_settings_new(), handles::ssl_defaults()] {
        assert_eq!(session::ssl_complete_validation(other, 0), SSL_ERR_STATE);
        assert_eq!(session::ssl_cancel_handshake(other), SSL_ERR_STATE);
    }
}

#[test]
fn the_wait_counts_against_the_time_limit_and_the_hook_s_time_does_not() {
    for version in VERSIONS {
        for mode in MODES {
            let limit = Duration::from_millis(150);
            let hook = Hook::doing(SSL_ERR_WANT_VALIDATION, move || thread::sleep(limit * 2));
            let scene = Scene::new(&AUTHORITY, SSL_FLAG_NONBLOCKING | mode, &MAIL, version);
            let mut scene = scene.hooked(&hook);
            scene.handle = scene.handle.timeout(SSL_TIMEOUT_HANDSHAKE, 150);
            assert_eq!(scene.handle.go_on().unwrap_err().code, SSL_ERR_WANT_VALIDATION);
            let began = Instant::now();
            while began.elapsed() < limit {
                thread::sleep(limit - began.elapsed().min(limit));
            }
            scene.handle.assert_not_awaited(0, "time limit is over");
            let outcome = scene.handle.handshake("mail.test");
            let failure = scene.handle.assert_failed(outcome, SSL_ERR_TIMEOUT);
            assert_eq!(
                failure.text,
                "the handshake did not finish within 150 ms: waited for the program's decision on \
                 the certificate by ssl_complete_validation (ssl_set_timeout changes the limit)"
            );
            assert_dead(scene.client.as_raw_fd(), "timed out");
            scene.handle.assert_not_awaited(0, "failed");
            assert_eq!(scene.handle.error().code, SSL_ERR_TIMEOUT);
            assert_only_hello(&scene.end().0.bytes());
            hook.call();
        }
    }
}

#[test]
fn an_answer_in_time_counts_although_the_next_call_is_late() {
    let hook = Hook::answering(SSL_ERR_WANT_VALIDATION);
    let scene = Scene::new(&AUTHORITY, SSL_FLAG_NONBLOCKING, &MAIL, VERSIONS[1]).hooked(&hook);
    let handle = &scene.handle;
    assert_eq!(sslsock::abi::settings::ssl_set_timeout(handle.0, SSL_TIMEOUT_HANDSHAKE, 2000), 0);
    assert_eq!(handle.go_on().unwrap_err().code, SSL_ERR_WANT_VALIDATION);
    assert_eq!(handle.complete(9), Ok(()));
    thread::sleep(Duration::from_millis(2100));
    assert_eq!(handle.go_on().unwrap_err().code, SSL_ERR_CERT_REVOKED);
    scene.end();
}

#[test]
fn freed_while_it_waits_it_sends_nothing_more() {
    for version in VERSIONS {
        for mode in MODES {
            let hook = Hook::answering(SSL_ERR_WANT_VALIDATION);
            let scene = Scene::asked(&AUTHORITY, mode, &MAIL, version, &hook);
            // One has come, and nobody has looked at it.
            assert_eq!(scene.handle.complete(0), Ok(()));
            let Scene { client, handle, record, peer } = scene;
            let s = handle.0;
            assert_eq!(handle.free(), 0);
            assert_eq!(session::ssl_complete_validation(s, 0), SSL_ERR_BAD_HANDLE);
            assert_eq!(session::ssl_cancel_handshake(s), SSL_ERR_BAD_HANDLE);
            assert_dead(client.as_raw_fd(), "freed");
            drop(client);
            peer.join().unwrap();
            assert_only_hello(&record.bytes());
        }
    }
}

/// What is behind the last flight of the peer's cannot make our own leave before the decision.
#[test]
fn an_error_behind_the_certificate_sends_nothing_before_the_decision() {
    for version in VERSIONS {
        for mode in MODES {
            for later in [false, true] {
                let answer = if later { SSL_ERR_WANT_VALIDATION } else { 5 };
                let hook = Hook::answering(answer);
                let (client, mut wire) = connect(Transport::Tcp);
                let record = wire.record();
                let config = MAIL.server_with(&[version]);
                let peer = thread::spawn(move || {
                    let mut flight = wire.answer_to_hello(&config).concat();
                    // No record of this type is expected here, nor of this version.
                    flight.extend(b"\x17\x03\x03\x00\x40");
                    flight.extend([7; 0x40]);
                    wire.say(&flight);
                    wire.hear_all();
                });
                let flags = mode | if later { SSL_FLAG_NONBLOCKING } else { 0 };
                let handle = hook.on(Handle::of(&client).flags(flags).trust(&AUTHORITY.pem()));
                if later {
                    assert_eq!(handle.go_on().unwrap_err().code, SSL_ERR_WANT_VALIDATION);
                    assert_eq!(handle.complete(5), Ok(()));
                }
                assert_eq!(handle.go_on().unwrap_err().code, SSL_ERR_BAD_DATA);
                drop((handle, client));
                peer.join().unwrap();
                assert_only_hello(&record.bytes());
                hook.call();
            }
        }
    }
}

/// A descriptor that is closed meanwhile ends the handshake at the next call.
#[test]
fn closed_while_it_waits_it_sends_nothing_more() {
    for mode in [0, SSL_FLAG_UNIX_PAIR] {
        for version in VERSIONS {
            let hook = Hook::answering(SSL_ERR_WANT_VALIDATION);
            let Scene { client, handle, record, peer } =
                Scene::asked(&AUTHORITY, mode, &MAIL, version, &hook);
            drop(client);
            // The kernel takes its time to tell of it.
            let outcome = loop {
                match handle.handshake("mail.test") {
                    Err(Failure { code: SSL_ERR_WANT_VALIDATION, .. }) => thread::yield_now(),
                    outcome => break outcome,
                }
            };
            handle.assert_failed(outcome, SSL_ERR_IO);
            handle.assert_not_awaited(0, "failed");
            peer.join().unwrap();
            assert_only_hello(&record.bytes());
        }
    }
}

/// The certificate of a session is that of an earlier handshake, and the decision is one of today.
#[test]
fn a_resumed_session_awaits_the_decision_too() {
    for kind in KINDS {
        for way in WAYS {
            for answer in [0, -7] {
                let authority = Authority::new("resumed");
                let server =
                    serve(config(&authority.issue(&["mail.test"]), kind), resuming::answer);
                let accepting = Hook::answering(0);
                let set = |handle: Handle| accepting.on(handle).trust(&authority.pem());
                Client::new(server, way, set).talk("mail.test").close();
                let open = Hook::answering(SSL_ERR_WANT_VALIDATION);
                let set = |handle: Handle| open.on(handle).trust(&authority.pem());
                let client = Client::new(server, way | SSL_FLAG_NONBLOCKING, set);
                assert_eq!(client.handle.go_on().unwrap_err().code, SSL_ERR_WANT_VALIDATION);
                assert_only_hello(&client.tap.client_bytes());
                assert_eq!(client.handle.verify_report().verdict, SSL_VERDICT_TRUSTED);
                assert_eq!(client.handle.complete(answer), Ok(()));
                let outcome = client.handle.go_on().map_err(|failure| failure.code);
                if answer == 0 {
                    assert_eq!((outcome, client.has_resumed()), (Ok(()), true), "{kind:?}");
                    client.close();
                } else {
                    assert_eq!(outcome, Err(answer));
                    assert_only_hello(&client.close().all_from_client());
                }
                open.call();
            }
        }
    }
}

/// A client that shows a certificate, and what it has heard.
fn certified_client(
    wire: Wire,
    version: &'static rustls::SupportedProtocolVersion,
) -> thread::JoinHandle<Vec<u8>> {
    let mut roots = rustls::RootCertStore::empty();
    roots.add(ders(&AUTHORITY.pem())[0].clone()).unwrap();
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = rustls::ClientConfig::builder_with_provider(provider)
        .with_protocol_versions(&[version])
        .unwrap()
        .with_root_certificates(roots)
        .with_client_auth_cert(
            ders(&MAIL.chain),
            PrivateKeyDer::from_pem_slice(MAIL.key.as_bytes()).unwrap(),
        )
        .unwrap();
    thread::spawn(move || {
        let name = "mail.test".try_into().unwrap();
        let connection = rustls::ClientConnection::new(Arc::new(config), name).unwrap();
        let mut stream = rustls::StreamOwned::new(connection, wire);
        let _ = stream.write_all(b"hello").and_then(|()| stream.flush());
        let mut answer = vec![0; 5];
        if stream.read_exact(&mut answer).is_err() {
            answer.clear();
        }
        answer
    })
}

#[test]
fn a_server_awaits_the_decision_on_its_client() {
    for version in VERSIONS {
        for mode in [0, SSL_FLAG_EXPLICIT_IO] {
            for ends in ["accepted", "refused", "cancelled", "timed out"] {
                let (server, wire) = connect(Transport::Tcp);
                let heard = wire.record();
                let client = certified_client(wire, version);
                let hook = Hook::answering(SSL_ERR_WANT_VALIDATION);
                let flags = SSL_FLAG_SERVER | SSL_FLAG_AUTH_CLIENT | SSL_FLAG_NONBLOCKING | mode;
                let limit = if ends == "timed out" { 1500 } else { 0 };
                let handle = hook
                    .on(Handle::of(&server).flags(flags).identity(&MAIL.chain, &MAIL.key))
                    .trust(&AUTHORITY.pem())
                    .timeout(SSL_TIMEOUT_HANDSHAKE, if limit > 0 { limit } else { 120_000 });
                assert_eq!(handle.go_on().unwrap_err().code, SSL_ERR_WANT_VALIDATION);
                let before = heard.bytes();
                assert_eq!(handle.peer_certificate(0).unwrap(), ders(&MAIL.chain)[0].as_ref());
                let outcome = match ends {
                    "accepted" => handle.complete(0),
                    "refused" => handle.complete(SSL_ERR_CERT_REVOKED),
                    "cancelled" => handle.cancel(),
                    _ => {
                        thread::sleep(Duration::from_millis(limit.into()));
                        Ok(())
                    }
                };
                assert_eq!(outcome, Ok(()));
                let outcome = handle.go_on().map_err(|failure| failure.code);
                let expected = match ends {
                    "accepted" => Ok(()),
                    "refused" => Err(SSL_ERR_CERT_REVOKED),
                    "cancelled" => Err(SSL_ERR_CANCELLED),
                    _ => Err(SSL_ERR_TIMEOUT),
                };
                assert_eq!(outcome, expected);
                if ends == "accepted" {
                    // What the client had said too early was kept.
                    let mut said = [0; 5];
                    let (received, sent) = match mode {
                        0 => {
                            server.await_events(libc::POLLIN);
                            let number = server.as_raw_fd();
                            (plain_recv(number, &mut said), plain_send(number, b"world"))
                        }
                        _ => (receive_all(&handle, &mut said), handle.send(b"world", 0)),
                    };
                    assert_eq!((received, sent, &said), (Ok(5), Ok(5), b"hello"));
                }
                drop((handle, server));
                let answer = client.join().unwrap();
                if ends == "accepted" {
                    assert_eq!(answer, b"world");
                    assert!(heard.bytes().len() > before.len());
                } else {
                    assert_eq!(answer, b"");
                    assert_eq!(heard.bytes(), before, "{ends}: no ticket, no Finished");
                }
                hook.call();
            }
        }
    }
}

/// In explicit mode, without blocking.
fn receive_all(handle: &Handle, buffer: &mut [u8]) -> Result<usize, i32> {
    let data = support::explicit::receive_all(handle, buffer.len());
    buffer.copy_from_slice(&data);
    Ok(data.len())
}
