//! Handshakes that another thread cancels, at whatever moment.

mod support;

use std::os::fd::AsRawFd;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Barrier, LazyLock, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use sslsock::abi::types::ssl_socket;
use sslsock::abi::{errors, information, session};
use support::dead::{PASSWORD, assert_dead};
use support::hooks::{Hook, Scene, VERSIONS, assert_only_hello};
use support::pki::{Authority, Certified};
use support::wire::{MODES, Served, Transport, connect};
use support::*;

static AUTHORITY: LazyLock<Authority> = LazyLock::new(|| Authority::new("cancel"));
static MAIL: LazyLock<Certified> = LazyLock::new(|| AUTHORITY.issue(&["mail.test"]));
static UNKNOWN: LazyLock<Certified> =
    LazyLock::new(|| Authority::new("nobody").issue(&["mail.test"]));

#[test]
fn cancelled_while_it_waits_it_sends_nothing_more() {
    for version in VERSIONS {
        for mode in MODES {
            for answered in [false, true] {
                let hook = Hook::answering(SSL_ERR_WANT_VALIDATION);
                let scene = Scene::asked(&AUTHORITY, mode, &MAIL, version, &hook);
                if answered {
                    assert_eq!(scene.handle.complete(0), Ok(()));
                }
                assert_eq!(scene.handle.cancel(), Ok(()));
                assert_cancelled(&scene);
                scene.handle.assert_not_awaited(0, "failed");
                assert_only_hello(&scene.end().0.bytes());
                hook.call();
            }
        }
    }
}

/// The handshake was cancelled, and the handle goes on saying so.
#[track_caller]
fn assert_cancelled(scene: &Scene) {
    for _ in 0..2 {
        let outcome = scene.handle.handshake("mail.test");
        let failure = scene.handle.assert_failed(outcome, SSL_ERR_CANCELLED);
        assert_eq!(failure.text, "the handshake was cancelled by ssl_cancel_handshake");
    }
    assert_dead(scene.client.as_raw_fd(), "cancelled");
    let again = scene.handle.cancel().unwrap_err();
    assert_eq!(again.code, SSL_ERR_STATE);
    assert_eq!(errors::ssl_get_error(scene.handle.0), SSL_ERR_CANCELLED);
    let mut fd = -1;
    let got = unsafe { information::ssl_get_transport_fd(scene.handle.0, &mut fd) };
    assert_eq!(got, SSL_ERR_STATE);
}

/// A client of a peer that only listens.
fn scene_of_a_silent_peer(flags: u32) -> Scene {
    let (client, mut wire) = connect(Transport::Tcp);
    let record = wire.record();
    let peer = thread::spawn(move || {
        wire.hear_all();
        Served::default()
    });
    let handle = Handle::of(&client).flags(flags).trust(&AUTHORITY.pem());
    // Only what is tested can end it.
    let handle = handle.timeout(SSL_TIMEOUT_HANDSHAKE, u32::MAX);
    Scene { client, handle, record, peer }
}

#[test]
fn a_handshake_with_a_silent_peer_can_be_cancelled_from_another_thread() {
    for mode in MODES {
        for server in [0, SSL_FLAG_SERVER] {
            let mut scene = scene_of_a_silent_peer(mode | server);
            if server != 0 {
                scene.handle = scene.handle.identity(&MAIL.chain, &MAIL.key);
            }
            thread::scope(|scope| {
                let handle = &scene.handle;
                let upgrading =
                    support::explicit::waiting(scope, move || handle.handshake("mail.test"));
                assert_eq!(scene.handle.cancel(), Ok(()));
                let failure = upgrading.join().unwrap().unwrap_err();
                assert_eq!(failure.code, SSL_ERR_CANCELLED, "{}", failure.text);
            });
            assert_cancelled(&scene);
            let (record, _) = scene.end();
            assert!(!record.contains(PASSWORD));
            if server == 0 {
                assert_only_hello(&record.bytes());
            }
        }
    }
}

#[test]
fn a_handshake_can_be_cancelled_between_two_calls() {
    for mode in MODES {
        let scene = scene_of_a_silent_peer(mode | SSL_FLAG_NONBLOCKING);
        assert_eq!(scene.handle.handshake("mail.test").unwrap_err().code, SSL_ERR_WANT_READ);
        assert_eq!(scene.handle.cancel(), Ok(()));
        assert_cancelled(&scene);
        assert_only_hello(&scene.end().0.bytes());
    }
}

#[test]
fn cancelled_while_its_hook_runs_it_ends_when_that_returns() {
    for version in VERSIONS {
        for mode in MODES {
            for answer in [0, SSL_ERR_WANT_VALIDATION, -5] {
                for flags in [0, SSL_FLAG_NONBLOCKING] {
                    let token = Arc::new(AtomicUsize::new(0));
                    let codes = Arc::new(Mutex::new(Vec::new()));
                    let (inside, told) = (token.clone(), codes.clone());
                    let hook = Hook::doing(answer, move || {
                        let s = inside.load(Ordering::Acquire);
                        let cancel = move || session::ssl_cancel_handshake(s as *mut ssl_socket);
                        let mut codes = told.lock().unwrap();
                        // Not from here, but from another thread; and only once.
                        codes.push(cancel());
                        codes.push(thread::spawn(cancel).join().unwrap());
                        codes.push(thread::spawn(cancel).join().unwrap());
                        codes.push(session::ssl_complete_validation(s as *mut ssl_socket, 0));
                    });
                    let scene = Scene::new(&AUTHORITY, mode | flags, &MAIL, version).hooked(&hook);
                    token.store(scene.handle.0 as usize, Ordering::Release);
                    assert_eq!(scene.handle.go_on().unwrap_err().code, SSL_ERR_CANCELLED);
                    assert_cancelled(&scene);
                    assert_only_hello(&scene.end().0.bytes());
                    hook.call();
                    let codes = codes.lock().unwrap();
                    let reentrant = SSL_ERR_REENTRANT;
                    assert_eq!(*codes, [reentrant, 0, SSL_ERR_STATE, reentrant]);
                }
            }
        }
    }
}

#[test]
fn there_is_nothing_to_cancel_before_and_after() {
    for mode in MODES {
        let scene = Scene::new(&AUTHORITY, mode, &MAIL, VERSIONS[1]);
        let failure = scene.handle.cancel().unwrap_err();
        assert_eq!(failure.code, SSL_ERR_STATE);
        assert!(failure.text.contains("none has been asked for"), "{}", failure.text);
        assert_eq!(scene.handle.handshake("mail.test"), Ok(()));
        let failure = scene.handle.cancel().unwrap_err();
        assert_eq!(failure.code, SSL_ERR_STATE);
        assert!(failure.text.contains("is complete"), "{}", failure.text);
        scene.speaks_tls(mode);
        assert_eq!(scene.end().1.plaintext, b"hello");

        let scene = Scene::new(&AUTHORITY, mode, &UNKNOWN, VERSIONS[1]);
        assert_eq!(scene.handle.handshake("mail.test").unwrap_err().code, SSL_ERR_CERT_UNKNOWN);
        let failure = scene.handle.cancel().unwrap_err();
        assert_eq!(failure.code, SSL_ERR_STATE);
        assert!(failure.text.contains("has failed already"), "{}", failure.text);
        assert_eq!(scene.handle.error().code, SSL_ERR_CERT_UNKNOWN);
        scene.end();
    }
}

/// Whoever is first: a handshake is complete and stays so, or was cancelled and nothing else.
#[test]
fn cancelled_at_any_moment_it_is_either_complete_or_dead() {
    let mut cancelled = 0;
    for round in 0..150 {
        let mode = MODES[round % 3];
        let scene = Scene::new(&AUTHORITY, mode, &MAIL, VERSIONS[round / 3 % 2]);
        let barrier = Barrier::new(2);
        let took = thread::scope(|scope| {
            let (handle, ready) = (&scene.handle, &barrier);
            let canceller = scope.spawn(move || {
                ready.wait();
                let until = Instant::now() + Duration::from_micros(60 * round as u64);
                while Instant::now() < until {
                    std::hint::spin_loop();
                }
                handle.cancel().map_err(|failure| failure.code)
            });
            barrier.wait();
            let outcome = scene.handle.handshake("mail.test").map_err(|failure| failure.code);
            match (canceller.join().unwrap(), outcome) {
                (Ok(()), Err(SSL_ERR_CANCELLED)) => true,
                (Err(SSL_ERR_STATE), Ok(())) => false,
                both => panic!("cancel and handshake answer {both:?}"),
            }
        });
        if took {
            cancelled += 1;
            assert_cancelled(&scene);
            assert!(!scene.end().0.contains(PASSWORD));
        } else {
            scene.speaks_tls(mode);
            assert_eq!(scene.end().1.plaintext, b"hello");
        }
    }
    println!("{cancelled} of 150 were cancelled");
}
