//! Resumption of sessions by clients: what is offered, to whom, and what that changes.

mod support;

use std::collections::HashSet;
use std::ffi::c_void;
use std::sync::Mutex;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use rustls::server::NoServerSessionStorage;
use sslsock::abi::identity::ssl_set_auth_request_hook;
use sslsock::abi::settings::{ssl_set_flags, ssl_set_session_from};
use sslsock::abi::types::ssl_blob;
use sslsock::abi::windows_ce::ssl_ioctl;
use support::pki::{Authority, Certified};
use support::resuming::{
    Client, KINDS, Kind, OpenSsl, WAYS, answer, config, inode, is_open, last_text, serve,
    wait_until,
};
use support::tap::Tap;
use support::wire::records;
use support::*;

const SO_SSL_PERFORM_HANDSHAKE: u32 = 0x1073_000D;
const HOST: &str = "resumed.test";

/// An authority of the test's own is a domain of its own.
fn pki() -> (Authority, Certified) {
    let authority = Authority::new("sessions");
    let certified = authority.issue(&[HOST]);
    (authority, certified)
}

#[test]
fn openssl_resumes_by_id_by_ticket_and_in_tls_1_3() {
    let (authority, certified) = pki();
    for kind in KINDS {
        for way in WAYS {
            let what = format!("{kind:?}, {way:#x}");
            // Another process, other keys.
            let server = OpenSsl::serve(&certified, kind);
            let fresh = Authority::new("sessions").pem();
            let trust = |handle: Handle| handle.trust(&authority.pem()).trust(&fresh);
            let first = Client::new(server.address, way, trust).talk(HOST);
            assert!(!first.has_resumed(), "{what}");
            let hello = first.tap.hello();
            assert!(!hello.offers_ticket(), "{what}");
            let mut session_id = first.tap.server_session_id();
            first.close();
            let mut tickets = HashSet::new();
            for _ in 0..4 {
                let next = Client::new(server.address, way, trust).talk(HOST);
                assert!(next.has_resumed(), "{what}");
                let hello = next.tap.hello();
                match kind {
                    Kind::Id => {
                        assert_eq!(hello.session_id, session_id, "{what}");
                        session_id = next.tap.server_session_id();
                        assert!(!session_id.is_empty() && !hello.offers_ticket(), "{what}");
                    }
                    Kind::Ticket => assert!(hello.session_ticket().is_some(), "{what}"),
                    Kind::Tls13 => {
                        let ticket = hello.pre_shared_key().unwrap().to_vec();
                        assert!(tickets.insert(ticket), "a ticket was used twice: {what}");
                    }
                }
                next.close();
            }
        }
    }
}

#[test]
fn each_tls_1_3_ticket_is_used_once_and_then_the_handshake_is_full() {
    let (authority, certified) = pki();
    for way in WAYS {
        let fresh = Authority::new("sessions").pem();
        let trust = |handle: Handle| handle.trust(&authority.pem()).trust(&fresh);
        let giving = config(&certified, Kind::Tls13);
        let mut taking = giving.clone();
        taking.send_tls13_tickets = 0;
        let (giving, taking) = (serve(giving, answer), serve(taking, answer));
        let first = Client::new(giving, way, trust).talk(HOST);
        let resumed: Vec<_> = (0..3)
            .map(|_| Client::new(taking, way, trust).resuming(&first).talk(HOST).has_resumed())
            .collect();
        assert_eq!(resumed, [true, true, false]);
    }
}

#[test]
fn the_session_of_another_connection_is_that_of_its_family() {
    let (authority, certified) = pki();
    for kind in KINDS {
        for way in WAYS {
            let what = format!("{kind:?}, {way:#x}");
            let fresh = Authority::new("sessions").pem();
            let trust = |handle: Handle| handle.trust(&authority.pem()).trust(&fresh);
            // Two servers of the same name: one does not know the other's sessions.
            let servers = [(); 2].map(|()| serve(config(&certified, kind), answer));
            let controls = servers.map(|server| Client::new(server, way, trust).talk(HOST));
            assert!(controls.iter().all(|control| !control.has_resumed()), "{what}");
            for _ in 0..3 {
                for (control, server) in controls.iter().zip(servers) {
                    let data = Client::new(server, way, trust).resuming(control).talk("");
                    assert!(data.has_resumed(), "{what}");
                    let next = Client::new(server, way, trust).resuming(&data).talk(HOST);
                    assert!(next.has_resumed(), "{what}");
                    next.close();
                    data.close();
                }
            }
        }
    }
}

#[test]
fn what_is_resumed_may_have_ended_since() {
    let (authority, certified) = pki();
    let trust = |handle: Handle| handle.trust(&authority.pem());
    for kind in KINDS {
        let server = serve(config(&certified, kind), answer);
        let first = Client::new(server, 0, trust).talk(HOST);
        let by_freed = Client::new(server, 0, trust).resuming(&first);
        first.close();
        let second = by_freed.talk(HOST);
        assert!(second.has_resumed(), "{kind:?}");
        second.socket.shutdown(std::net::Shutdown::Both).unwrap();
        let third = Client::new(server, 0, trust).resuming(&second).talk(HOST);
        assert!(third.has_resumed(), "{kind:?}");
        // The same with any session of that peer.
        let fourth = Client::new(server, 0, trust).resuming(&third);
        assert_eq!(ssl_set_session_from(fourth.handle.0, std::ptr::null_mut()), 0);
        assert!(fourth.talk(HOST).has_resumed(), "{kind:?}");
    }
}

#[test]
fn a_session_that_must_be_resumed_and_is_not_there_sends_nothing() {
    let (authority, certified) = pki();
    let server = serve(config(&certified, Kind::Tls13), answer);
    let trust = |handle: Handle| handle.trust(&authority.pem());
    for way in WAYS {
        let client = Client::new(server, way | SSL_FLAG_REQUIRE_RESUMPTION, trust);
        let failure = client.try_handshake(HOST).unwrap_err();
        assert_eq!(failure.code, SSL_ERR_NOT_RESUMED);
        assert!(failure.text.contains("none with this peer name"), "{}", failure.text);
        assert_eq!(client.tap.all_from_client(), b"");

        let silent = Client::new(server, way | SSL_FLAG_NO_RESUMPTION, trust).talk(HOST);
        let client =
            Client::new(server, way | SSL_FLAG_REQUIRE_RESUMPTION, trust).resuming(&silent);
        let failure = client.try_handshake(HOST).unwrap_err();
        assert_eq!(failure.code, SSL_ERR_NOT_RESUMED);
        assert!(failure.text.contains("keeps none"), "{}", failure.text);
        assert_eq!(client.tap.all_from_client(), b"");
    }
}

/// As an FTP server does on a data connection before its 150.
#[test]
fn a_server_that_is_not_ready_for_a_session_is_told_from_one_without_tls() {
    let (authority, certified) = pki();
    let server = serve(config(&certified, Kind::Tls13), answer);
    let silent = std::net::TcpListener::bind(("127.0.0.1", 0)).unwrap();
    let address = silent.local_addr().unwrap();
    for way in WAYS {
        let trust = |handle: Handle| handle.trust(&authority.pem());
        let hasty = |handle| trust(handle).timeout(SSL_TIMEOUT_HANDSHAKE, 50);
        let first = Client::new(server, way, trust).talk(HOST);
        for (client, hint) in [
            (Client::new(address, way, hasty).resuming(&first), "has the server answered 150"),
            (Client::new(address, way, hasty), "does this port want STARTTLS first?"),
        ] {
            let failure = client.try_handshake(HOST).unwrap_err();
            assert_eq!(failure.code, SSL_ERR_TIMEOUT, "{}", failure.text);
            assert!(failure.text.contains(hint), "{}", failure.text);
        }
    }
}

#[test]
fn a_server_that_declines_what_must_be_resumed_learns_nothing_of_us() {
    let (authority, certified) = pki();
    let own = Authority::new("clients").issue(&["client.test"]);
    for kind in KINDS {
        for way in WAYS {
            let what = format!("{kind:?}, {way:#x}");
            let fresh = Authority::new("sessions").pem();
            let set = |handle: Handle| {
                handle.trust(&authority.pem()).trust(&fresh).identity(&own.chain, &own.key)
            };
            let knowing = serve(config(&certified, kind), answer);
            let first = Client::new(knowing, way, set).talk(HOST);
            let demanding = OpenSsl::demanding(&certified, kind);
            let client = Client::new(demanding.address, way | SSL_FLAG_REQUIRE_RESUMPTION, set)
                .resuming(&first);
            let failure = client.try_handshake(HOST).unwrap_err();
            assert_eq!(failure.code, SSL_ERR_NOT_RESUMED, "{what}: {}", failure.text);
            let sent = records(&client.tap.all_from_client());
            // TLS 1.3 has a change_cipher_spec that means nothing.
            let kinds: Vec<_> = sent.iter().map(|record| record[0]).collect();
            assert!(kinds == [0x16] || kinds == [0x16, 0x14], "{what}: {kinds:?}");
            // Without the demand the same goes through, with the certificate.
            let client = Client::new(demanding.address, way, set).talk(HOST);
            assert!(!client.has_resumed(), "{what}");
        }
    }
}

#[test]
fn only_what_fits_can_be_resumed() {
    let (authority, certified) = pki();
    let other_authority = Authority::new("other");
    let own = Authority::new("clients").issue(&["client.test"]);
    let server = serve(config(&certified, Kind::Tls13), answer);
    let trust = |handle: Handle| handle.trust(&authority.pem());
    let first = Client::new(server, SSL_FLAG_EXPLICIT_IO, trust).talk(HOST);
    type Set<'a> = &'a dyn Fn(Handle) -> Handle;
    let differing: [(&str, u32, Set); 5] = [
        ("trusted certificates", 0, &|handle| trust(handle).trust(&other_authority.pem())),
        ("certificate hook", 0, &|handle| trust(handle).hook(Some(accept), std::ptr::null_mut())),
        ("SSL_FLAG_STRICT", SSL_FLAG_STRICT, &trust),
        ("identity", 0, &|handle| trust(handle).identity(&own.chain, &own.key)),
        ("contradict", SSL_FLAG_NO_RESUMPTION, &trust),
    ];
    for (what, flags, set) in differing {
        let client = Client::new(server, SSL_FLAG_EXPLICIT_IO | flags, set).resuming(&first);
        let failure = client.try_handshake(HOST).unwrap_err();
        assert_eq!(failure.code, SSL_ERR_INVALID, "{what}: {}", failure.text);
        assert!(failure.text.contains(what), "{what}: {}", failure.text);
        assert_eq!(client.tap.all_from_client(), b"", "{what}");
    }
    let client = Client::new(server, SSL_FLAG_EXPLICIT_IO, trust).resuming(&first);
    let failure = client.try_handshake("other.test").unwrap_err();
    assert_eq!(failure.code, SSL_ERR_INVALID);
    assert!(failure.text.contains("two different peer names"), "{}", failure.text);
    assert_eq!(client.tap.all_from_client(), b"");
}

#[test]
fn a_resumed_handshake_asks_the_hook_before_anything_leaves() {
    let (authority, certified) = pki();
    let leaf = support::fixtures::ders(&certified.chain)[0].to_vec();
    for kind in KINDS {
        for way in WAYS {
            let what = format!("{kind:?}, {way:#x}");
            let fresh = Authority::new("sessions").pem();
            let server = serve(config(&certified, kind), answer);
            let asked = Asked::default();
            let set =
                |handle: Handle| asked.answer_by(handle.trust(&authority.pem()).trust(&fresh));
            Client::new(server, way, set).talk(HOST).close();
            let next = Client::new(server, way, set).talk(HOST);
            assert!(next.has_resumed(), "{what}");
            next.close();
            assert_eq!(asked.take(), [(leaf.clone(), 0), (leaf.clone(), 0)], "{what}");

            *asked.answer.lock().unwrap() = -77;
            let refused = Client::new(server, way, set);
            assert_eq!(refused.try_handshake(HOST).unwrap_err().code, -77, "{what}");
            assert_eq!(asked.take(), [(leaf.clone(), 0)], "{what}");
            let sent = records(&refused.tap.all_from_client());
            let kinds: Vec<_> = sent.iter().map(|record| record[0]).collect();
            assert!(kinds == [0x16] || kinds == [0x16, 0x14], "{what}: {kinds:?}");
            assert!(offers(&refused.tap, kind), "{what}");

            // What was refused is not tried again.
            *asked.answer.lock().unwrap() = 0;
            let after = Client::new(server, way, set).talk(HOST);
            assert!(!after.has_resumed() && !after.tap.hello().offers_ticket(), "{what}");
        }
    }
}

#[test]
fn what_has_expired_since_is_found_on_resumption() {
    let authority = Authority::new("sessions");
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs();
    let expires = now + 3;
    let certified = authority.issue_with(&[HOST], |params| {
        params.not_after = rcgen::date_time_ymd(1970, 1, 1) + Duration::from_secs(expires);
    });
    let trust = |handle: Handle| handle.trust(&authority.pem());
    let servers = KINDS.map(|kind| serve(config(&certified, kind), answer));
    let firsts = servers.map(|server| Client::new(server, 0, trust).talk(HOST));
    wait_until(|| SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs() > expires);
    for ((server, first), kind) in servers.into_iter().zip(firsts).zip(KINDS) {
        let client = Client::new(server, 0, trust).resuming(&first);
        let failure = client.try_handshake(HOST).unwrap_err();
        assert_eq!(failure.code, SSL_ERR_CERT_EXPIRED, "{kind:?}: {}", failure.text);
        assert!(offers(&client.tap, kind), "{kind:?}");
    }
}

#[test]
fn a_handshake_that_fails_leaves_no_session() {
    let (authority, certified) = pki();
    for kind in KINDS {
        let fresh = Authority::new("sessions").pem();
        let server = serve(config(&certified, kind), answer);
        let asked = Asked::default();
        let set = |handle: Handle| asked.answer_by(handle.trust(&authority.pem()).trust(&fresh));
        *asked.answer.lock().unwrap() = 10;
        let refused = Client::new(server, 0, set);
        assert_eq!(refused.try_handshake(HOST).unwrap_err().code, 10, "{kind:?}");
        *asked.answer.lock().unwrap() = 0;
        let next = Client::new(server, 0, set).talk(HOST);
        assert!(!next.has_resumed() && !next.tap.hello().offers_ticket(), "{kind:?}");
    }
}

#[test]
fn a_connection_that_broke_the_protocol_takes_its_sessions_along() {
    let (authority, certified) = pki();
    for kind in KINDS {
        for way in WAYS {
            let what = format!("{kind:?}, {way:#x}");
            let fresh = Authority::new("sessions").pem();
            let trust = |handle: Handle| handle.trust(&authority.pem()).trust(&fresh);
            let server = serve(config(&certified, kind), answer);
            Client::new(server, way, trust).talk(HOST).close();
            let broken = Client::new(server, way, trust).talk(HOST);
            assert!(broken.has_resumed(), "{what}");
            broken.tap.inject(&[&[0x17, 3, 3, 0, 40][..], &[0; 40]].concat());
            let mut byte = [0];
            let received = match way {
                0 => plain_recv(std::os::fd::AsRawFd::as_raw_fd(&broken.socket), &mut byte),
                _ => broken.handle.recv(&mut byte, 0),
            };
            assert!(received.is_err(), "{what}");
            let failure = broken.handle.error();
            assert_eq!(failure.code, SSL_ERR_PROTOCOL, "{what}: {}", failure.text);
            broken.close();
            let next = Client::new(server, way, trust).talk(HOST);
            if kind == Kind::Tls13 {
                // The first connection's second ticket is another session.
                assert!(next.has_resumed(), "{what}");
                next.close();
                let next = Client::new(server, way, trust).talk(HOST);
                assert!(next.has_resumed(), "those of the one just closed: {what}");
            } else {
                assert!(!next.has_resumed() && !next.tap.hello().offers_ticket(), "{what}");
            }
        }
    }
}

#[test]
fn tickets_that_come_when_the_program_has_closed_are_kept() {
    let (authority, certified) = pki();
    for way in WAYS {
        let fresh = Authority::new("sessions").pem();
        let trust = |handle: Handle| handle.trust(&authority.pem()).trust(&fresh);
        let server = serve(config(&certified, Kind::Tls13), |mut stream| {
            let _ = std::io::copy(&mut stream, &mut std::io::sink());
            stream.conn.send_close_notify();
            let _ = std::io::Write::flush(&mut stream);
        });
        let client = Client::over(Tap::with_late_tickets(server), way, trust);
        let transport = inode(&client.socket);
        assert_eq!(client.try_handshake(HOST), Ok(()));
        client.send(b"an upload");
        client.close();
        wait_until(|| !is_open(&transport));
        let next = Client::new(server, way, trust);
        assert_eq!(next.try_handshake(HOST), Ok(()));
        assert!(next.has_resumed(), "{way:#x}");
    }
}

#[test]
fn without_a_name_there_is_no_session() {
    let (authority, certified) = pki();
    let server = serve(config(&certified, Kind::Ticket), answer);
    let set =
        |handle: Handle| handle.trust(&authority.pem()).hook(Some(accept), std::ptr::null_mut());
    for _ in 0..2 {
        let client = Client::new(server, 0, set);
        let (nothing, mut returned) = (std::ptr::null_mut(), 0);
        let outcome = unsafe {
            let (handle, code) = (client.handle.0, SO_SSL_PERFORM_HANDSHAKE);
            ssl_ioctl(handle, code, nothing, 0, nothing, 0, &mut returned)
        };
        assert_eq!(outcome, 0, "{}", last_text());
        client.say_something();
        assert!(!client.has_resumed() && !client.tap.hello().offers_ticket());
    }
}

#[test]
fn with_a_hook_that_chooses_the_identity_only_the_session_asked_for_is_offered() {
    let (authority, certified) = pki();
    let set = |handle: Handle| {
        let handle = handle.trust(&authority.pem());
        let nothing = std::ptr::null_mut();
        assert_eq!(ssl_set_auth_request_hook(handle.0, Some(choose), nothing), 0);
        handle
    };
    for kind in KINDS {
        let server = serve(config(&certified, kind), answer);
        let first = Client::new(server, 0, set).talk(HOST);
        let second = Client::new(server, 0, set).talk(HOST);
        assert!(!second.has_resumed() && !second.tap.hello().offers_ticket(), "{kind:?}");
        let third = Client::new(server, 0, set).resuming(&first).talk(HOST);
        assert!(third.has_resumed(), "{kind:?}");
        let required = Client::new(server, SSL_FLAG_REQUIRE_RESUMPTION, set);
        let failure = required.try_handshake(HOST).unwrap_err();
        assert!(failure.text.contains("say which with ssl_set_session_from"), "{}", failure.text);
    }
}

#[test]
fn what_a_server_cannot_stand_is_not_offered_by_name_again() {
    let (authority, certified) = pki();
    for kind in [Kind::Id, Kind::Ticket] {
        let fresh = Authority::new("sessions").pem();
        let trust = |handle: Handle| handle.trust(&authority.pem()).trust(&fresh);
        let server = serve(config(&certified, kind), answer);
        let hangs_up = Peer::raw(|mut stream| {
            let _ = std::io::Read::read(&mut stream, &mut [0; 4096]);
        });
        let first = Client::new(server, 0, trust).talk(HOST);
        let session_id = first.tap.server_session_id();
        let cut_off = Client::new(hangs_up.address, 0, trust);
        assert!(cut_off.try_handshake(HOST).is_err());
        assert!(kind == Kind::Id || cut_off.tap.hello().offers_ticket(), "{kind:?}");
        let next = Client::new(server, 0, trust).talk(HOST);
        assert!(!next.has_resumed(), "{kind:?}");
        assert!(next.tap.hello().session_id != session_id, "{kind:?}");
        hangs_up.join();

        // Of the program's choice it is.
        let hangs_up = Peer::raw(|mut stream| {
            let _ = std::io::Read::read(&mut stream, &mut [0; 4096]);
        });
        let cut_off = Client::new(hangs_up.address, 0, trust).resuming(&next);
        assert!(cut_off.try_handshake(HOST).is_err());
        assert!(Client::new(server, 0, trust).resuming(&next).talk(HOST).has_resumed());
        hangs_up.join();
    }
}

#[test]
fn flags_that_contradict_change_nothing() {
    let (authority, certified) = pki();
    let server = serve(config(&certified, Kind::Tls13), answer);
    let client = Client::new(server, SSL_FLAG_STRICT, |handle| handle.trust(&authority.pem()));
    for other in [SSL_FLAG_NO_RESUMPTION, SSL_FLAG_SERVER] {
        let flags = SSL_FLAG_REQUIRE_RESUMPTION | other;
        assert_eq!(ssl_set_flags(client.handle.0, flags), SSL_ERR_INVALID);
        assert!(last_text().contains("nothing was changed"), "{}", last_text());
    }
}

#[test]
fn a_server_that_keeps_nothing_gets_full_handshakes() {
    let (authority, certified) = pki();
    for kind in KINDS {
        let mut forgetful = config(&certified, kind);
        forgetful.session_storage = std::sync::Arc::new(NoServerSessionStorage {});
        forgetful.send_tls13_tickets = 0;
        let fresh = Authority::new("sessions").pem();
        let trust = |handle: Handle| handle.trust(&authority.pem()).trust(&fresh);
        if kind == Kind::Ticket {
            // One that forgets its keys.
            let servers = [(); 2].map(|()| serve(config(&certified, kind), answer));
            Client::new(servers[0], 0, trust).talk(HOST).close();
            let declined = Client::new(servers[1], 0, trust).talk(HOST);
            assert!(!declined.has_resumed() && declined.tap.hello().offers_ticket());
            continue;
        }
        let server = serve(forgetful, answer);
        for _ in 0..2 {
            let client = Client::new(server, 0, trust).talk(HOST);
            assert!(!client.has_resumed() && !client.tap.hello().offers_ticket(), "{kind:?}");
        }
    }
}

fn offers(tap: &Tap, kind: Kind) -> bool {
    kind == Kind::Id || tap.hello().offers_ticket()
}

/// A hook with a memory.
#[derive(Default)]
struct Asked {
    answer: Mutex<i32>,
    calls: Mutex<Vec<(Vec<u8>, u32)>>,
}

impl Asked {
    fn answer_by(&self, handle: Handle) -> Handle {
        handle.hook(Some(ask), (self as *const Self as *mut Self).cast())
    }

    fn take(&self) -> Vec<(Vec<u8>, u32)> {
        std::mem::take(&mut self.calls.lock().unwrap())
    }
}

unsafe extern "C" fn ask(
    _kind: u32,
    asked: *mut c_void,
    _chain_len: u32,
    chain: *const ssl_blob,
    flags: u32,
) -> i32 {
    let (asked, blob) = unsafe { (&*asked.cast::<Asked>(), &*chain) };
    let leaf = unsafe { std::slice::from_raw_parts(blob.pBlobData, blob.cbSize as usize) };
    asked.calls.lock().unwrap().push((leaf.to_vec(), flags));
    *asked.answer.lock().unwrap()
}

unsafe extern "C" fn choose(
    _kind: u32,
    _arg: *mut c_void,
    _issuer_count: u32,
    _issuers: *const ssl_blob,
    _flags: u32,
    _chain_len: *mut u32,
    _chain: *mut *mut ssl_blob,
) -> i32 {
    0
}

unsafe extern "C" fn accept(
    _kind: u32,
    _arg: *mut c_void,
    _chain_len: u32,
    _chain: *const ssl_blob,
    _flags: u32,
) -> i32 {
    0
}
