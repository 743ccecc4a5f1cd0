//! Explicit mode: every way in which a connection can end, and what the calls answer then.

mod support;

use std::io::{Read, Write};
use std::net::Shutdown;
use std::sync::mpsc;

use support::explicit::{
    Session, client, handshake, narrow, pattern, poll, receive_all, recv_length, reset_on_close,
    send_all, send_length, transport,
};
use support::pki::Authority;
use support::records::{ALERT, CLOSE_NOTIFY, DATA, Wire};
use support::{
    Handle, Peer, SSL_ERR_ALERT, SSL_ERR_BAD_HANDLE, SSL_ERR_INVALID, SSL_ERR_RESET, SSL_ERR_STATE,
    SSL_ERR_TIMEOUT, SSL_ERR_TRUNCATED, SSL_ERR_WANT_WRITE, SSL_FLAG_ALLOW_TRUNCATION,
    SSL_FLAG_NONBLOCKING, SSL_TIMEOUT_CLOSE, echo,
};

/// Sends data, and then the end as `end` makes it.
fn ending(flags: u32, end: impl FnOnce(Wire) + Send + 'static) -> Session<()> {
    Session::wire(flags, |mut wire| {
        wire.send(DATA, b"some data");
        end(wire);
    })
}

/// The three ways to stop without having said so.
fn truncations(flags: u32) -> [Session<()>; 3] {
    let cut = |length: usize| {
        move |mut wire: Wire| {
            let record = wire.to_client.seal(DATA, b"cut off");
            wire.stream.write_all(&record[..length]).unwrap();
        }
    };
    [ending(flags, drop), ending(flags, cut(12)), ending(flags, cut(3))]
}

#[test]
fn an_end_without_close_notify_is_a_truncation_after_the_data() {
    for session in truncations(0) {
        let handle = &session.handle;
        assert_eq!(receive_all(handle, 9), b"some data");
        for _ in 0..3 {
            assert_eq!(handle.recv(&mut [0; 9], 0), Err(libc::ECONNRESET));
            assert_eq!(handle.error().code, SSL_ERR_TRUNCATED);
            assert_eq!(handle.send(b"more", 0), Err(libc::ECONNRESET));
            // Mistakes of the program do not make it forget.
            assert_eq!(handle.recv(&mut [0; 9], libc::MSG_OOB), Err(libc::EINVAL));
            assert_eq!(handle.error().code, SSL_ERR_TRUNCATED);
        }
        assert!(handle.error().text.contains("SSL_FLAG_ALLOW_TRUNCATION"));
        session.peer.join();
    }
}

/// OpenSSL says "protocol version" of what a program has sent in clear by mistake.
#[test]
fn an_alert_about_a_stray_record_says_where_it_may_have_come_from() {
    for alert in [10, 22, 50, 70] {
        let session = ending(0, move |mut wire| wire.send(ALERT, &[2, alert]));
        let handle = &session.handle;
        assert_eq!(receive_all(handle, 9), b"some data");
        assert_eq!(handle.recv(&mut [0; 9], 0), Err(libc::EPROTO));
        let failure = handle.error();
        assert_eq!(failure.code, SSL_ERR_ALERT);
        assert!(failure.text.contains("other means than ssl_send"), "{}", failure.text);
        session.peer.join();
    }
}

#[test]
fn a_truncation_in_the_middle_of_what_is_waited_for_comes_after_what_has_come() {
    let session = ending(0, drop);
    let mut buffer = [0; 20];
    assert_eq!(session.handle.recv(&mut buffer, libc::MSG_WAITALL), Ok(9));
    assert_eq!(session.handle.recv(&mut buffer, libc::MSG_WAITALL), Err(libc::ECONNRESET));
    assert_eq!(session.handle.error().code, SSL_ERR_TRUNCATED);
    session.peer.join();
}

#[test]
fn a_truncation_is_an_end_where_the_program_allows_it() {
    for session in truncations(SSL_FLAG_ALLOW_TRUNCATION) {
        assert_eq!(receive_all(&session.handle, 9), b"some data");
        for _ in 0..3 {
            assert_eq!(session.handle.recv(&mut [0; 9], 0), Ok(0));
        }
        assert_eq!(session.handle.error().code, 0);
        session.peer.join();
    }
}

#[test]
fn a_reset_is_a_reset_for_good_and_never_an_allowed_truncation() {
    for flags in [0, SSL_FLAG_ALLOW_TRUNCATION] {
        let session = ending(flags, |wire| reset_on_close(&wire.stream));
        // The kernel tells of it once: to whichever call comes first.
        let fd = transport(&session.handle);
        while poll(&fd, 0, -1) & libc::POLLHUP == 0 {}
        session.peer.join();
        let mut data = Vec::new();
        let mut buffer = [0; 20];
        let mut errors = 0;
        while errors < 3 {
            match session.handle.recv(&mut buffer, 0) {
                Ok(0) => panic!("a clean end"),
                Ok(count) => data.extend_from_slice(&buffer[..count]),
                Err(errno) => {
                    assert_eq!(errno, libc::ECONNRESET);
                    errors += 1;
                }
            }
            assert!(data == b"some data" || data.is_empty());
        }
        assert_eq!(session.handle.error().code, SSL_ERR_RESET);
        for _ in 0..3 {
            assert_eq!(session.handle.send(b"more", 0), Err(libc::ECONNRESET));
        }
    }
}

#[test]
fn a_reset_that_the_writer_is_told_of_is_one_for_the_reader_too() {
    for flags in [0, SSL_FLAG_ALLOW_TRUNCATION] {
        let session = Session::wire(flags, |wire| reset_on_close(&wire.stream));
        let fd = transport(&session.handle);
        while poll(&fd, 0, -1) & libc::POLLHUP == 0 {}
        assert_eq!(session.handle.send(b"more", 0), Err(libc::ECONNRESET));
        assert_eq!(session.handle.recv(&mut [0; 9], 0), Err(libc::ECONNRESET));
        assert_eq!(session.handle.error().code, SSL_ERR_RESET);
        // Nothing waits for a connection that is gone.
        assert_eq!(session.handle.send(&[], 0), Err(libc::ECONNRESET));
        session.peer.join();
    }
}

#[test]
fn data_and_close_notify_in_one_segment_arrive_in_that_order() {
    let session = Session::wire(0, |mut wire| {
        let mut records = wire.to_client.seal(DATA, b"last words");
        records.extend(wire.to_client.seal(ALERT, CLOSE_NOTIFY));
        wire.stream.write_all(&records).unwrap();
        wire.receive_data(3)
    });
    let handle = &session.handle;
    assert_eq!(receive_all(handle, 10), b"last words");
    for _ in 0..3 {
        assert_eq!(handle.recv(&mut [0; 9], 0), Ok(0));
        assert_eq!(handle.recv(&mut [0; 9], libc::MSG_PEEK | libc::MSG_DONTWAIT), Ok(0));
        assert_eq!(handle.pending(), 0);
    }
    assert_eq!(handle.error().code, 0);
    // The other direction is still open.
    assert_eq!(handle.send(b"bye", 0), Ok(3));
    assert_eq!(session.peer.join(), b"bye");
}

#[test]
fn after_shutdown_for_writing_a_megabyte_can_still_be_read() {
    let session = Session::wire(0, |mut wire| {
        assert_eq!(wire.receive_data(4), b"send");
        assert_eq!(wire.receive(), Some((ALERT, CLOSE_NOTIFY.to_vec())));
        pattern(1, 1 << 20).chunks(16384).for_each(|piece| wire.send(DATA, piece));
        wire.send(ALERT, CLOSE_NOTIFY);
        // Nothing comes after our close_notify but the end.
        assert_eq!(wire.receive(), None);
    });
    let handle = &session.handle;
    assert_eq!(handle.send(b"send", 0), Ok(4));
    assert_eq!(handle.shutdown(libc::SHUT_WR), Ok(()));
    assert_eq!(handle.shutdown(libc::SHUT_WR), Ok(()));
    for _ in 0..3 {
        assert_eq!(handle.send(b"more", 0), Err(libc::EPIPE));
        assert_eq!(handle.error().code, SSL_ERR_STATE);
        assert_eq!(handle.send(&[], 0), Ok(0));
    }
    assert!(receive_all(handle, 1 << 20) == pattern(1, 1 << 20));
    assert_eq!(handle.recv(&mut [0], 0), Ok(0));
    assert_eq!(session.handle.free(), 0);
    drop(session.socket);
    session.peer.join();
}

#[test]
fn after_the_peers_close_notify_a_megabyte_can_still_be_sent() {
    let session = Session::wire(0, |mut wire| {
        wire.send(ALERT, CLOSE_NOTIFY);
        wire.receive_data(1 << 20)
    });
    assert_eq!(session.handle.recv(&mut [0], 0), Ok(0));
    send_all(&session.handle, &pattern(1, 1 << 20));
    assert!(session.peer.join() == pattern(1, 1 << 20));
}

#[test]
fn both_sides_may_close_at_once() {
    let (go, told) = mpsc::channel::<()>();
    let session = Session::wire(0, move |mut wire| {
        wire.send(ALERT, CLOSE_NOTIFY);
        told.recv().unwrap();
        assert_eq!(wire.receive(), Some((ALERT, CLOSE_NOTIFY.to_vec())));
        wire.receive().is_none()
    });
    let handle = &session.handle;
    assert_eq!(handle.shutdown(libc::SHUT_RDWR), Ok(()));
    go.send(()).unwrap();
    assert_eq!(handle.send(b"more", 0), Err(libc::EPIPE));
    assert_eq!(handle.recv(&mut [0], 0), Ok(0));
    assert_eq!(handle.send(b"more", 0), Err(libc::EPIPE));
    assert_eq!(session.handle.free(), 0);
    assert!(session.peer.join());
}

#[test]
fn everything_sent_arrives_when_the_handle_is_freed_at_once() {
    for _ in 0..20 {
        let session = Session::wire(0, |mut wire| {
            // The client never reads this, and must not reset the connection over it.
            wire.send(DATA, &pattern(1, 10_000));
            let data = wire.receive_data(2 << 20);
            wire.send(DATA, b"250 queued");
            assert_eq!(wire.receive(), Some((ALERT, CLOSE_NOTIFY.to_vec())));
            wire.send(ALERT, CLOSE_NOTIFY);
            assert_eq!(wire.receive(), None);
            data
        });
        assert_eq!(session.handle.send(&pattern(7, 2 << 20), 0), Ok(2 << 20));
        assert_eq!(session.handle.free(), 0);
        drop(session.socket);
        assert!(session.peer.join() == pattern(7, 2 << 20));
    }
}

#[test]
fn a_peer_that_never_answers_close_notify_holds_nobody_up_for_ever() {
    let (go, told) = mpsc::channel::<()>();
    let authority = Authority::new("silent");
    let peer = Peer::wire(&authority.issue(&["mail.test"]), move |mut wire| {
        assert_eq!(wire.receive(), Some((ALERT, CLOSE_NOTIFY.to_vec())));
        told.recv().unwrap();
        // Our direction was ended properly all the same.
        assert_eq!(wire.receive(), None);
    });
    let socket = peer.connect();
    let handle = client(&socket, &authority, 0).timeout(SSL_TIMEOUT_CLOSE, 20);
    handshake(&handle);
    assert_eq!(handle.free(), 0);
    go.send(()).unwrap();
    peer.join();
}

#[test]
fn a_peer_that_takes_nothing_bounds_shutdown_and_free_by_the_close_timeout() {
    let (go, told) = mpsc::channel::<()>();
    let authority = Authority::new("deaf");
    let peer = Peer::narrow(&authority.issue(&["mail.test"]), move |_wire| told.recv().unwrap());
    let socket = peer.connect();
    narrow(&socket);
    let handle = client(&socket, &authority, 0).timeout(SSL_TIMEOUT_CLOSE, 20);
    handshake(&handle);
    while handle.send(&pattern(1, 100_000), libc::MSG_DONTWAIT).is_ok() {}
    assert_eq!(handle.shutdown(libc::SHUT_WR).unwrap_err().code, SSL_ERR_TIMEOUT);
    assert_eq!(handle.free(), 0);
    go.send(()).unwrap();
    peer.join();
}

#[test]
fn a_handle_that_does_not_wait_does_not_wait_to_close_either() {
    let (go, told) = mpsc::channel::<()>();
    let authority = Authority::new("deaf");
    let peer = Peer::narrow(&authority.issue(&["mail.test"]), move |mut wire| {
        told.recv().unwrap();
        while let Some((kind, content)) = wire.receive() {
            if kind == ALERT {
                assert_eq!(content, CLOSE_NOTIFY);
                return true;
            }
        }
        false
    });
    let socket = peer.connect();
    narrow(&socket);
    // Without a limit, waiting would be for ever.
    let handle = client(&socket, &authority, SSL_FLAG_NONBLOCKING);
    let handle = handle.timeout(SSL_TIMEOUT_CLOSE, u32::MAX);
    handshake(&handle);
    while handle.send(&pattern(1, 100_000), 0).is_ok() {}
    assert_eq!(handle.shutdown(libc::SHUT_WR).unwrap_err().code, SSL_ERR_WANT_WRITE);
    assert_eq!(handle.send(b"more", 0), Err(libc::EPIPE));
    go.send(()).unwrap();
    let fd = transport(&handle);
    while let Err(failure) = handle.shutdown(libc::SHUT_WR) {
        assert_eq!(failure.code, SSL_ERR_WANT_WRITE);
        poll(&fd, libc::POLLOUT, -1);
    }
    assert_eq!(handle.free(), 0);
    assert!(peer.join(), "close_notify did not get through");
}

/// Who does not wait frees the handle and closes the descriptor as soon as the last bytes have been
/// taken; who waits does so for as long as it was told.
#[test]
fn what_was_accepted_arrives_although_the_handle_is_freed_and_the_descriptor_closed() {
    for flags in [SSL_FLAG_NONBLOCKING, 0] {
        let (go, told) = mpsc::channel::<()>();
        let authority = Authority::new("slow");
        let peer = Peer::narrow(&authority.issue(&["mail.test"]), move |mut wire| {
            told.recv().unwrap();
            let mut bytes = 0;
            while let Some((kind, content)) = wire.receive() {
                if kind == ALERT {
                    assert_eq!(content, CLOSE_NOTIFY);
                    return Some(bytes);
                }
                bytes += content.len();
            }
            None
        });
        let socket = peer.connect();
        narrow(&socket);
        let handle = client(&socket, &authority, flags).timeout(SSL_TIMEOUT_CLOSE, 20);
        handshake(&handle);
        let mut accepted = 0;
        while let Ok(count) = handle.send(&pattern(1, 100_000), libc::MSG_DONTWAIT) {
            accepted += count;
        }
        assert_eq!(handle.free(), 0);
        drop(socket);
        let mut unfinished = 0;
        let flush = |ms, unfinished: &mut u32| unsafe {
            sslsock::abi::process::ssl_flush_all(ms, unfinished)
        };
        assert_eq!(flush(0, &mut unfinished), SSL_ERR_TIMEOUT);
        assert!(unfinished > 0);
        go.send(()).unwrap();
        assert_eq!(peer.join(), Some(accepted), "{flags:#x}");
    }
}

#[test]
fn the_descriptor_stays_the_programs_when_the_handle_is_freed() {
    let session = Session::tls(0, echo);
    assert_eq!(session.handle.free(), 0);
    assert_eq!((&session.socket).read(&mut [0; 9]).unwrap(), 0);
    assert!(session.socket.local_addr().is_ok());
    session.peer.join();
}

#[test]
fn a_peer_that_goes_away_while_we_send_does_not_raise_sigpipe() {
    let session = Session::wire(0, |wire| reset_on_close(&wire.stream));
    unsafe { libc::signal(libc::SIGPIPE, libc::SIG_DFL) };
    let mut errno = 0;
    while errno == 0 {
        errno = session.handle.send(&pattern(1, 10_000), 0).err().unwrap_or(0);
    }
    assert!([libc::ECONNRESET, libc::EPIPE].contains(&errno), "{errno}");
    for _ in 0..3 {
        assert!(session.handle.send(b"more", 0).is_err());
    }
    assert_eq!(session.handle.error().code, SSL_ERR_RESET);
    session.peer.join();
}

#[test]
fn half_closed_tcp_is_no_end_of_our_own_direction() {
    let session = Session::wire(SSL_FLAG_ALLOW_TRUNCATION, |mut wire| {
        wire.send(DATA, b"some data");
        wire.stream.shutdown(Shutdown::Write).unwrap();
        wire.receive_data(5)
    });
    assert_eq!(receive_all(&session.handle, 9), b"some data");
    assert_eq!(session.handle.recv(&mut [0], 0), Ok(0));
    assert_eq!(session.handle.send(b"still", 0), Ok(5));
    assert_eq!(session.peer.join(), b"still");
}

#[test]
fn errno_before_the_handshake_and_for_bad_arguments() {
    let authority = Authority::new("errno");
    let peer = Peer::tls(authority.issue(&["mail.test"]).server(), echo);
    let socket = peer.connect();
    let handle = client(&socket, &authority, 0);
    let mut buffer = [0; 9];
    assert_eq!(handle.send(b"early", 0), Err(libc::ENOTCONN));
    assert_eq!(handle.recv(&mut buffer, 0), Err(libc::ENOTCONN));
    assert_eq!(handle.error().code, SSL_ERR_STATE);
    assert_eq!(handle.shutdown(libc::SHUT_WR).unwrap_err().code, SSL_ERR_STATE);
    handshake(&handle);
    for flag in [libc::MSG_OOB, libc::MSG_TRUNC, libc::MSG_ERRQUEUE, 1 << 30] {
        assert_eq!(handle.send(b"x", flag), Err(libc::EINVAL), "{flag:#x}");
        assert_eq!(handle.recv(&mut buffer, flag), Err(libc::EINVAL), "{flag:#x}");
        assert_eq!(handle.error().code, SSL_ERR_INVALID);
    }
    assert_eq!(handle.send(b"x", libc::MSG_PEEK), Err(libc::EINVAL));
    for length in [usize::MAX, usize::MAX / 2 + 1, usize::MAX - 4095] {
        assert_eq!(send_length(&handle, length), Err(libc::EINVAL), "{length:#x}");
        assert_eq!(recv_length(&handle, length), Err(libc::EINVAL), "{length:#x}");
        assert_eq!(handle.error().code, SSL_ERR_INVALID);
    }
    assert_eq!(handle.shutdown(3).unwrap_err().code, SSL_ERR_INVALID);
    assert_eq!(handle.send(b"fine", libc::MSG_NOSIGNAL), Ok(4));
    assert_eq!(receive_all(&handle, 4), b"fine");
    let stale = Handle(handle.0);
    assert_eq!(handle.free(), 0);
    for handle in [stale, Handle(std::ptr::null_mut()), Handle(usize::MAX as *mut _)] {
        assert_eq!(handle.send(b"x", 0), Err(libc::EBADF));
        assert_eq!(handle.recv(&mut buffer, 0), Err(libc::EBADF));
        assert_eq!(support::error_of(std::ptr::null_mut()).code, SSL_ERR_BAD_HANDLE);
    }
    peer.join();
}

#[test]
fn errno_after_a_handshake_that_failed() {
    let trusted = Authority::new("trusted");
    let other = Authority::new("other");
    let peer = Peer::tls(other.issue(&["mail.test"]).server(), echo);
    let socket = peer.connect();
    let handle = client(&socket, &trusted, 0);
    let failure = handle.handshake("mail.test").unwrap_err();
    let mut buffer = [0; 9];
    for _ in 0..2 {
        let sent = handle.send(b"PASS secret", 0).unwrap_err();
        assert!([libc::EPROTO, libc::EPIPE, libc::ECONNRESET].contains(&sent), "{sent}");
        assert!(handle.recv(&mut buffer, 0).is_err());
        assert!((&socket).write_all(b"PASS secret").is_err());
        assert_eq!(handle.error(), failure);
    }
    peer.join();
}
