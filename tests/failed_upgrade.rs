//! After a failed upgrade nothing leaves and nothing arrives, whatever made it fail.

mod support;

use std::ffi::c_void;
use std::os::fd::{AsRawFd, RawFd};
use std::process::Command;
use std::sync::LazyLock;
use std::sync::atomic::{AtomicI32, Ordering};
use std::thread;

use rustls::AlertDescription;
use rustls::version::{TLS12, TLS13};
use sslsock::abi::types::ssl_blob;
use support::dead::{Forked, PASSWORD, assert_dead};
use support::pki::{Authority, Certified};
use support::wire::{MODES, Served, TRANSPORTS, Transport, Wire, connect, records};
use support::*;

static AUTHORITY: LazyLock<Authority> = LazyLock::new(|| Authority::new("trusted"));
static STRANGER: LazyLock<Authority> = LazyLock::new(|| Authority::new("stranger"));
static MAIL: LazyLock<Certified> = LazyLock::new(|| AUTHORITY.issue(&["mail.test"]));
static UNKNOWN: LazyLock<Certified> = LazyLock::new(|| STRANGER.issue(&["mail.test"]));
static EXPIRED: LazyLock<Certified> = LazyLock::new(|| {
    AUTHORITY.issue_with(&["mail.test"], |params| {
        params.not_before = rcgen::date_time_ymd(2023, 1, 1);
        params.not_after = rcgen::date_time_ymd(2024, 1, 2);
    })
});

/// One way to fail.
struct Failing {
    what: &'static str,
    /// Sent with the answer to STARTTLS.
    extra: &'static [u8],
    peer: fn(Wire) -> Served,
    prepare: fn(Handle) -> Handle,
    upgrade: fn(&Handle) -> Outcome,
    code: i32,
    /// What a text has to say.
    says: &'static str,
}

const FAILING: Failing = Failing {
    what: "",
    extra: b"",
    peer: |wire| wire.serve(MAIL.server()),
    prepare: |handle| handle,
    upgrade: |handle| handle.handshake("mail.test"),
    code: 0,
    says: "",
};

fn only_hear(mut wire: Wire) -> Served {
    wire.hear_all();
    Served::default()
}

unsafe extern "C" fn refuse(_: u32, _: *mut c_void, _: u32, _: *const ssl_blob, _: u32) -> i32 {
    SSL_ERR_CERT_REVOKED
}

const WAYS: &[Failing] = &[
    Failing {
        what: "wrong name",
        upgrade: |handle| handle.handshake("other.test"),
        code: SSL_ERR_NAME,
        says: "certificate is for \"mail.test\", not for \"other.test\"",
        ..FAILING
    },
    Failing {
        what: "unknown issuer",
        peer: |wire| wire.serve(UNKNOWN.server()),
        code: SSL_ERR_CERT_UNKNOWN,
        says: "is not trusted",
        ..FAILING
    },
    Failing {
        what: "expired",
        peer: |wire| wire.serve(EXPIRED.server()),
        code: SSL_ERR_CERT_EXPIRED,
        says: "certificate expired on 2024-01-02 00:00:00 UTC",
        ..FAILING
    },
    Failing {
        what: "the hook says no",
        prepare: |handle| handle.hook(Some(refuse), std::ptr::null_mut()),
        code: SSL_ERR_CERT_REVOKED,
        says: "hook refused the certificate with 9",
        ..FAILING
    },
    Failing {
        what: "the hook says no in TLS 1.2",
        peer: |wire| wire.serve(MAIL.server_with(&[&TLS12])),
        prepare: |handle| handle.hook(Some(refuse), std::ptr::null_mut()),
        code: SSL_ERR_CERT_REVOKED,
        says: "hook refused the certificate with 9",
        ..FAILING
    },
    Failing {
        what: "timeout",
        peer: only_hear,
        prepare: |handle| handle.timeout(SSL_TIMEOUT_HANDSHAKE, 50),
        code: SSL_ERR_TIMEOUT,
        says: "did not finish within 50 ms",
        ..FAILING
    },
    Failing {
        what: "plaintext peer",
        peer: |mut wire| {
            wire.hear_record();
            wire.say(b"500 what?\r\n");
            only_hear(wire)
        },
        code: SSL_ERR_NOT_TLS,
        says: "peer sent \"500 what?\" instead of a TLS record",
        ..FAILING
    },
    Failing {
        what: "injected bytes",
        extra: b"250 injected\r\n",
        peer: only_hear,
        code: SSL_ERR_EARLY_DATA,
        says: "peer sent \"250 injected\" before the handshake began",
        ..FAILING
    },
    Failing {
        what: "peer closes",
        peer: |mut wire| {
            wire.hear_record();
            Served::default()
        },
        code: SSL_ERR_TRUNCATED,
        says: "peer closed the connection",
        ..FAILING
    },
    Failing {
        what: "no name",
        peer: only_hear,
        upgrade: Handle::handshake_without_name,
        code: SSL_ERR_NO_NAME,
        says: "no peer name",
        ..FAILING
    },
    Failing {
        what: "no name, by a server that has forgotten its flag",
        peer: only_hear,
        prepare: |handle| handle.identity(&MAIL.chain, &MAIL.key),
        upgrade: Handle::handshake_without_name,
        code: SSL_ERR_NO_NAME,
        says: "is this the server? Then set SSL_FLAG_SERVER",
        ..FAILING
    },
    Failing {
        what: "empty name",
        peer: only_hear,
        upgrade: |handle| handle.handshake(""),
        code: SSL_ERR_NO_NAME,
        says: "no host name given",
        ..FAILING
    },
    Failing {
        what: "two different names",
        peer: only_hear,
        upgrade: |handle| {
            handle.peername("mail.test").unwrap();
            handle.handshake("other.test")
        },
        code: SSL_ERR_INVALID,
        says: "two different peer names: \"other.test\" for this handshake, \"mail.test\" by",
        ..FAILING
    },
    Failing {
        what: "a name that is not UTF-8",
        peer: only_hear,
        upgrade: |handle| handle.handshake_raw(b"mail\xff.test"),
        code: SSL_ERR_INVALID,
        says: "the host name \"mail\\xff.test\" is not valid UTF-8",
        ..FAILING
    },
    Failing {
        what: "a name with a port",
        peer: only_hear,
        upgrade: |handle| handle.handshake("mail.test:25"),
        code: SSL_ERR_INVALID,
        says: "give the host name only, without a port",
        ..FAILING
    },
    Failing {
        what: "a server without a certificate",
        peer: only_hear,
        prepare: |handle| {
            let mut flags = 0;
            assert_eq!(unsafe { sslsock::abi::settings::ssl_get_flags(handle.0, &mut flags) }, 0);
            handle.flags(flags | SSL_FLAG_SERVER)
        },
        upgrade: Handle::handshake_without_name,
        code: SSL_ERR_NO_CERT,
        says: "a server needs a certificate",
        ..FAILING
    },
];

#[test]
fn nothing_leaves_or_arrives_after_any_failure() {
    for way in WAYS {
        for transport in TRANSPORTS {
            for mode in MODES {
                fail(way, transport, mode);
            }
        }
    }
}

fn fail(way: &Failing, transport: Transport, mode: u32) {
    let what = format!("{}, {transport:?}, {mode:#x}", way.what);
    let (client, mut wire) = connect(transport);
    let record = wire.record();
    let duplicate = client.duplicate();
    let child = Forked::with(client.as_raw_fd());
    let (extra, peer) = (way.extra, way.peer);
    let peer = thread::spawn(move || {
        wire.agree(extra);
        peer(wire)
    });
    client.starttls();
    let handle = (way.prepare)(Handle::of(&client).flags(mode).trust(&AUTHORITY.pem()));
    let outcome = (way.upgrade)(&handle);
    // At once, before anything else could give the connection time to die.
    assert_dead(client.as_raw_fd(), &what);
    let failure = handle.assert_failed(outcome, way.code);
    assert!(failure.text.contains(way.says), "{what}: {}", failure.text);
    assert_dead(duplicate.as_raw_fd(), &what);
    child.assert_dead(&what);
    assert_eq!(handle.send(PASSWORD, 0), Err(libc::EPIPE), "{what}");
    assert!(handle.recv(&mut [0; 8], 0).is_err(), "{what}");
    assert_eq!(handle.error(), failure, "the first error stays");
    // The handle's end changes nothing.
    drop(handle);
    assert_dead(client.as_raw_fd(), &what);
    drop((client, duplicate));
    let served = peer.join().unwrap();
    assert_eq!(served.plaintext, b"", "{what}");
    assert!(!record.contains(PASSWORD), "{what}");
    records(&record.after_starttls());
}

/// The peer is told why, by the alert that fits.
#[test]
fn the_right_alert_reaches_the_peer() {
    use AlertDescription as A;
    let cases: [(&str, &Certified, A); 3] = [
        ("mail.test", &UNKNOWN, A::UnknownCA),
        ("mail.test", &EXPIRED, A::CertificateExpired),
        ("other.test", &MAIL, A::BadCertificate),
    ];
    for (host, certified, alert) in cases {
        for version in [&TLS12, &TLS13] {
            for transport in TRANSPORTS {
                for mode in MODES {
                    let (client, wire) = connect(transport);
                    let config = certified.server_with(&[version]);
                    let peer = thread::spawn(move || wire.serve(config));
                    let handle = Handle::of(&client).flags(mode).trust(&AUTHORITY.pem());
                    handle.handshake(host).unwrap_err();
                    drop((handle, client));
                    let served = peer.join().unwrap();
                    let expected = rustls::Error::AlertReceived(alert);
                    assert_eq!(served.error, Some(expected), "{transport:?} {mode:#x}");
                }
            }
        }
    }
}

/// From no free descriptor upwards: fails for good or works, in a process of its own.
#[test]
fn no_descriptors_left_is_a_failure_like_any_other() {
    for mode in MODES {
        let output = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "with_few_descriptors", "--ignored", "--nocapture"])
            .env(MODE_VARIABLE, mode.to_string())
            .output()
            .unwrap();
        let told = String::from_utf8_lossy(&output.stdout);
        assert!(output.status.success(), "{mode:#x}: {told}");
        assert!(told.contains("upgraded with"), "{mode:#x}: {told}");
    }
}

#[test]
#[ignore = "runs in a process of its own, started by another test"]
fn with_few_descriptors() {
    let Ok(mode) = std::env::var(MODE_VARIABLE) else { return };
    let mode = mode.parse().unwrap();
    let limit = libc::rlimit { rlim_cur: 100, rlim_max: 100 };
    assert_eq!(unsafe { libc::setrlimit(libc::RLIMIT_NOFILE, &limit) }, 0);
    LazyLock::force(&MAIL);
    let mut free = 0;
    while !upgrades_with(free, mode) {
        free += 1;
        assert!(free < 50);
    }
    assert!(free > 0);
    println!("upgraded with {free} descriptors");
}

fn upgrades_with(free: usize, mode: u32) -> bool {
    let what = format!("{free} descriptors, {mode:#x}");
    let (client, mut wire) = connect(Transport::Tcp);
    let record = wire.record();
    let peer = thread::spawn(move || {
        wire.agree(&[]);
        wire.serve(MAIL.server())
    });
    client.starttls();
    let duplicate = client.duplicate();
    let handle = Handle::of(&client).flags(mode).trust(&AUTHORITY.pem());
    let mut filling: Vec<RawFd> = Vec::new();
    loop {
        let number = unsafe { libc::dup(0) };
        if number < 0 {
            break;
        }
        filling.push(number);
    }
    filling.drain(filling.len() - free..).for_each(|number| {
        unsafe { libc::close(number) };
    });
    let outcome = handle.handshake("mail.test");
    let works = outcome.is_ok();
    if works {
        drop(handle);
    } else {
        assert_dead(client.as_raw_fd(), &what);
        assert_dead(duplicate.as_raw_fd(), &what);
        let failure = handle.assert_failed(outcome, SSL_ERR_IO);
        assert_eq!(handle.error_info().sys_errno, libc::EMFILE, "{what}: {}", failure.text);
        assert!(failure.text.contains("Too many open files"), "{what}: {}", failure.text);
    }
    filling.into_iter().for_each(|number| {
        unsafe { libc::close(number) };
    });
    drop((client, duplicate));
    assert_eq!(peer.join().unwrap().plaintext, b"");
    assert!(!record.contains(PASSWORD), "{what}");
    records(&record.after_starttls());
    works
}

const MODE_VARIABLE: &str = "SSLSOCK_TEST_MODE";

/// A program that did not look goes on, on whatever its number has become.
#[test]
fn a_handle_made_anew_on_a_dead_descriptor_does_not_revive_it() {
    for mode in MODES {
        let (client, mut wire) = connect(Transport::Tcp);
        let peer = thread::spawn(move || {
            wire.agree(&[]);
            only_hear(wire)
        });
        client.starttls();
        let handle = Handle::of(&client).flags(mode);
        handle.handshake_without_name().unwrap_err();
        drop(handle);
        let again = Handle::of(&client).flags(mode).trust(&AUTHORITY.pem());
        again.handshake("mail.test").unwrap_err();
        assert_dead(client.as_raw_fd(), "again");
        drop((again, client));
        peer.join().unwrap();
    }
}

/// A child that another thread has just forked, and that has not got to its exec yet, holds copies
/// of every descriptor: closing is not enough.
#[test]
fn copies_in_a_child_about_to_exec_change_nothing() {
    /// Makes such a child and refuses. `arg`: the end of a pipe that the child waits on.
    unsafe extern "C" fn fork_and_refuse(
        _: u32,
        arg: *mut c_void,
        _: u32,
        _: *const ssl_blob,
        _: u32,
    ) -> i32 {
        unsafe {
            // Without the fork handlers, as posix_spawn does it.
            if libc::syscall(libc::SYS_clone, libc::SIGCHLD, 0, 0, 0, 0) == 0 {
                libc::close(GO.load(Ordering::Acquire));
                let mut byte = 0_u8;
                libc::read(arg as usize as RawFd, (&raw mut byte).cast(), 1);
                libc::_exit(0);
            }
        }
        SSL_ERR_FAILED
    }
    static GO: AtomicI32 = AtomicI32::new(-1);
    for transport in TRANSPORTS {
        for mode in MODES {
            let what = format!("{transport:?}, {mode:#x}");
            let (client, mut wire) = connect(transport);
            let record = wire.record();
            let peer = thread::spawn(move || {
                wire.agree(&[]);
                wire.serve(MAIL.server())
            });
            client.starttls();
            let mut ends = [0; 2];
            assert_eq!(unsafe { libc::pipe2(ends.as_mut_ptr(), libc::O_CLOEXEC) }, 0);
            GO.store(ends[1], Ordering::Release);
            let argument = ends[0] as usize as *mut c_void;
            let handle = Handle::of(&client).flags(mode).trust(&AUTHORITY.pem());
            let handle = handle.hook(Some(fork_and_refuse), argument);
            assert_eq!(handle.handshake("mail.test").unwrap_err().code, SSL_ERR_FAILED);
            assert_dead(client.as_raw_fd(), &what);
            // The child ends when nobody can write any more.
            unsafe {
                libc::close(ends[1]);
                libc::close(ends[0]);
            }
            drop((handle, client));
            assert_eq!(peer.join().unwrap().plaintext, b"");
            assert!(!record.contains(PASSWORD), "{what}");
        }
    }
}
