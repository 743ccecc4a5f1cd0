//! Explicit mode: what one thread does while another one waits inside a call.

mod support;

use std::ffi::c_void;
use std::io::Write;
use std::net::Shutdown;
use std::sync::{Arc, Barrier, mpsc};
use std::time::Duration;

use sslsock::abi::handles;
use support::explicit::{
    Session, client, handshake, narrow, pattern, poll, receive_all, send_all, waiting,
};
use support::pki::Authority;
use support::records::{ALERT, CLOSE_NOTIFY, DATA, read_record};
use support::{
    Handle, Peer, SSL_ERR_BAD_HANDLE, SSL_ERR_STATE, SSL_ERR_TIMEOUT, SSL_FLAG_NONBLOCKING,
    SSL_TIMEOUT_CLOSE, SSL_TIMEOUT_HANDSHAKE, echo,
};

/// The handle, for a thread that uses it while another one frees it.
fn shared(handle: &Handle) -> std::mem::ManuallyDrop<Handle> {
    std::mem::ManuallyDrop::new(Handle(handle.0))
}

fn free(handle: &Handle) -> i32 {
    handles::ssl_socket_free(handle.0)
}

#[test]
fn shutdown_of_both_directions_wakes_a_waiting_reader() {
    let session = Session::wire(0, |mut wire| {
        assert_eq!(wire.receive(), Some((ALERT, CLOSE_NOTIFY.to_vec())));
        // The client closes first.
        assert_eq!(wire.receive(), None);
    });
    std::thread::scope(|scope| {
        let reader = waiting(scope, || session.handle.recv(&mut [0; 9], 0));
        assert_eq!(session.handle.shutdown(libc::SHUT_RDWR), Ok(()));
        assert_eq!(reader.join().unwrap(), Ok(0));
    });
    assert_eq!(session.handle.recv(&mut [0; 9], 0), Ok(0));
    assert_eq!(session.handle.send(b"more", 0), Err(libc::EPIPE));
    assert_eq!(session.handle.free(), 0);
    drop(session.socket);
    session.peer.join();
}

#[test]
fn freeing_the_handle_wakes_a_waiting_reader_at_once() {
    let (go, told) = mpsc::channel::<()>();
    let authority = Authority::new("free");
    let peer = Peer::wire(&authority.issue(&["mail.test"]), move |mut wire| {
        // It answers nothing as long as the reader has not come back.
        told.recv().unwrap();
        assert_eq!(wire.receive_data(1 << 20), pattern(1, 1 << 20));
        assert_eq!(wire.receive(), Some((ALERT, CLOSE_NOTIFY.to_vec())));
        wire.send(DATA, b"250 it has all arrived");
        wire.send(ALERT, CLOSE_NOTIFY);
    });
    let socket = peer.connect();
    let handle = client(&socket, &authority, 0).timeout(SSL_TIMEOUT_CLOSE, u32::MAX);
    handshake(&handle);
    std::thread::scope(|scope| {
        let reading = shared(&handle);
        let reader = waiting(scope, move || {
            let outcome = reading.recv(&mut [0; 9], 0);
            (outcome, support::error_of(std::ptr::null_mut()).code)
        });
        send_all_but_the_last(&handle);
        let freeing = scope.spawn(|| free(&handle));
        assert_eq!(reader.join().unwrap(), (Err(libc::EBADF), SSL_ERR_BAD_HANDLE));
        go.send(()).unwrap();
        assert_eq!(freeing.join().unwrap(), 0);
    });
    assert_eq!(free(&handle), SSL_ERR_BAD_HANDLE);
    drop(socket);
    peer.join();
}

/// A megabyte of which the kernel has not yet taken everything.
fn send_all_but_the_last(handle: &Handle) {
    let data = pattern(1, 1 << 20);
    let mut sent = 0;
    while sent < data.len() {
        match handle.send(&data[sent..], libc::MSG_DONTWAIT) {
            Ok(count) => sent += count,
            Err(errno) => panic!("{errno}: the kernel's buffers are too small for this test"),
        }
    }
}

#[test]
fn freeing_the_handle_ends_a_waiting_writer_after_the_close_timeout() {
    let (go, told) = mpsc::channel::<()>();
    let authority = Authority::new("free");
    let peer = Peer::narrow(&authority.issue(&["mail.test"]), move |_wire| told.recv().unwrap());
    let socket = peer.connect();
    narrow(&socket);
    let handle = client(&socket, &authority, 0).timeout(SSL_TIMEOUT_CLOSE, 20);
    handshake(&handle);
    std::thread::scope(|scope| {
        let writing = shared(&handle);
        let writer = waiting(scope, move || writing.send(&pattern(1, 4 << 20), 0));
        assert_eq!(free(&handle), 0);
        assert_eq!(writer.join().unwrap(), Err(libc::EBADF));
    });
    go.send(()).unwrap();
    peer.join();
}

#[test]
fn shutdown_while_a_writer_waits_is_not_done_before_close_notify_has_left() {
    let (go, told) = mpsc::channel::<()>();
    let authority = Authority::new("shutdown");
    let peer = Peer::narrow(&authority.issue(&["mail.test"]), move |mut wire| {
        told.recv().unwrap();
        let mut data = Vec::new();
        loop {
            match wire.receive().unwrap() {
                (DATA, content) => data.extend(content),
                last => return (data, last),
            }
        }
    });
    let socket = peer.connect();
    narrow(&socket);
    let handle = client(&socket, &authority, 0).timeout(SSL_TIMEOUT_CLOSE, 20);
    handshake(&handle);
    let data = pattern(1, 4 << 20);
    let sent = std::thread::scope(|scope| {
        let writer = waiting(scope, || handle.send(&data, 0));
        for _ in 0..2 {
            assert_eq!(handle.shutdown(libc::SHUT_WR).unwrap_err().code, SSL_ERR_TIMEOUT);
        }
        go.send(()).unwrap();
        // What it had not handed over yet is refused, the rest counts.
        writer.join().unwrap().unwrap()
    });
    assert_eq!(handle.shutdown(libc::SHUT_WR), Ok(()));
    let (received, last) = peer.join();
    assert!(0 < sent && sent < data.len(), "{sent}");
    assert!(received == data[..sent]);
    assert_eq!(last, (ALERT, CLOSE_NOTIFY.to_vec()));
}

#[test]
fn freeing_the_handle_in_the_middle_of_traffic_never_hangs() {
    for round in 0..40 {
        let session = Session::tls(0, echo);
        let started = &Barrier::new(3);
        std::thread::scope(|scope| {
            let handle = &session.handle;
            for sends in [true, false] {
                let handle = shared(handle);
                scope.spawn(move || {
                    let mut buffer = pattern(3, 5000);
                    started.wait();
                    let errno = loop {
                        let outcome = match sends {
                            true => handle.send(&buffer, 0),
                            false => handle.recv(&mut buffer, 0),
                        };
                        match outcome {
                            Ok(_) => {}
                            Err(errno) => break errno,
                        }
                    };
                    let known = [libc::EBADF, libc::EPIPE, libc::ECONNRESET];
                    assert!(known.contains(&errno), "{errno}");
                });
            }
            started.wait();
            for _ in 0..round * 10 {
                std::thread::yield_now();
            }
            assert_eq!(free(handle), 0);
        });
        session.socket.shutdown(Shutdown::Both).unwrap_or(());
        drop(session.socket);
        session.peer.join();
    }
}

/// Never answers, until the connection is gone.
fn unresponsive() -> Peer<()> {
    Peer::raw(|mut stream| while read_record(&mut stream).is_some() {})
}

#[test]
fn freeing_the_handle_ends_a_handshake_on_another_thread() {
    let (authority, peer) = (Authority::new("free"), unresponsive());
    let socket = peer.connect();
    let handle = client(&socket, &authority, 0);
    std::thread::scope(|scope| {
        let upgrading = shared(&handle);
        let thread = waiting(scope, move || upgrading.handshake("mail.test"));
        assert_eq!(free(&handle), 0);
        let failure = thread.join().unwrap().unwrap_err();
        assert_eq!(failure.code, SSL_ERR_STATE, "{failure:?}");
        assert!(failure.text.contains("freed during the handshake"), "{failure:?}");
    });
    // It is dead, not plain.
    assert!((&socket).write_all(b"PASS secret").is_err());
    peer.join();
}

#[test]
fn freeing_the_handle_between_two_steps_of_a_handshake_kills_the_connection() {
    let (authority, peer) = (Authority::new("free"), unresponsive());
    let socket = peer.connect();
    let handle = client(&socket, &authority, SSL_FLAG_NONBLOCKING);
    assert_eq!(handle.handshake("mail.test").unwrap_err().code, support::SSL_ERR_WANT_READ);
    assert_eq!(free(&handle), 0);
    assert_eq!(handle.handshake("mail.test").unwrap_err().code, SSL_ERR_BAD_HANDLE);
    assert!((&socket).write_all(b"PASS secret").is_err());
    peer.join();
}

#[test]
fn freeing_the_handle_at_any_moment_of_a_handshake_leaves_no_session() {
    for round in 0..100 {
        let authority = Authority::new("race");
        let peer = Peer::raw({
            let config = authority.issue(&["mail.test"]).server();
            move |stream| {
                let mut stream = support::tls_server(config, stream);
                let mut byte = [0];
                while matches!(std::io::Read::read(&mut stream, &mut byte), Ok(1)) {}
            }
        });
        let socket = peer.connect();
        let handle = client(&socket, &authority, 0);
        let started = Arc::new(Barrier::new(2));
        std::thread::scope(|scope| {
            let (upgrading, ready) = (shared(&handle), started.clone());
            let thread = scope.spawn(move || {
                ready.wait();
                upgrading.handshake("mail.test")
            });
            started.wait();
            for _ in 0..round {
                std::thread::yield_now();
            }
            assert_eq!(free(&handle), 0);
            if let Err(failure) = thread.join().unwrap() {
                let codes = [SSL_ERR_STATE, SSL_ERR_BAD_HANDLE];
                assert!(codes.contains(&failure.code), "{failure:?}");
            }
        });
        drop(socket);
        peer.join();
    }
}

/// Waits until the test lets it go.
unsafe extern "C" fn slow_hook(
    _kind: u32,
    arg: *mut c_void,
    _length: u32,
    _chain: *const sslsock::abi::types::ssl_blob,
    _flags: u32,
) -> i32 {
    let told = unsafe { &*arg.cast::<(mpsc::Sender<()>, mpsc::Receiver<()>)>() };
    told.0.send(()).unwrap();
    told.1.recv().unwrap();
    0
}

#[test]
fn freeing_the_handle_while_its_hook_runs_elsewhere_is_no_success() {
    let authority = Authority::new("hook");
    let peer = Peer::tls(authority.issue(&["mail.test"]).server(), echo);
    let socket = peer.connect();
    let ((entered, is_inside), (go, told)) = (mpsc::channel::<()>(), mpsc::channel::<()>());
    let hooked = Box::new((entered, told));
    let argument = (&raw const *hooked).cast_mut().cast::<c_void>();
    let handle = client(&socket, &authority, 0).hook(Some(slow_hook), argument);
    std::thread::scope(|scope| {
        let upgrading = shared(&handle);
        let thread = scope.spawn(move || upgrading.handshake("mail.test"));
        is_inside.recv().unwrap();
        assert_eq!(free(&handle), 0);
        go.send(()).unwrap();
        assert_eq!(thread.join().unwrap().unwrap_err().code, SSL_ERR_STATE);
    });
    drop(socket);
    peer.join();
}

/// What the handshake with this limit says to a peer that trickles.
fn trickled(limit: u32, flags: u32, trickle: impl Fn(&mut dyn Write) + Send + 'static) -> String {
    let authority = Authority::new("trickle");
    let peer = Peer::raw(move |mut stream| {
        read_record(&mut stream).unwrap();
        trickle(&mut stream);
        // Until the client has had enough; far beyond its limit it has failed the test.
        let mut left = 60_000;
        while left > 0 && poll(&stream, libc::POLLIN, 1) == 0 {
            if stream.write_all(&[0]).is_err() {
                return true;
            }
            left -= 1;
        }
        left > 0
    });
    let socket = peer.connect();
    let handle = client(&socket, &authority, flags).timeout(SSL_TIMEOUT_HANDSHAKE, limit);
    let failure = loop {
        match handle.handshake("mail.test") {
            Err(failure) if [110, 111].contains(&failure.code) => {
                poll(&support::explicit::transport(&handle), libc::POLLIN, 1);
            }
            outcome => break outcome.unwrap_err(),
        }
    };
    assert_eq!(failure.code, SSL_ERR_TIMEOUT, "{failure:?}");
    drop(handle);
    drop(socket);
    assert!(peer.join(), "the trickle outlasted the limit");
    failure.text
}

#[test]
fn a_trickling_peer_cannot_stretch_the_limit_of_a_handshake() {
    for flags in [0, SSL_FLAG_NONBLOCKING] {
        // The beginning of a long record.
        let text = trickled(500, flags, |stream| {
            stream.write_all(&[22, 3, 3, 0x40, 0, 2, 0, 0xff, 0]).unwrap();
        });
        assert!(text.contains("within 500 ms"), "{text}");
        assert!(text.contains("the rest of the peer's handshake"), "{text}");
        assert!(text.contains("ssl_set_timeout"), "{text}");
    }
}

#[test]
fn a_silent_peer_is_named_as_such() {
    let authority = Authority::new("silent");
    let (go, told) = mpsc::channel::<()>();
    let peer = Peer::raw(move |_stream| told.recv().unwrap());
    let socket = peer.connect();
    let handle = client(&socket, &authority, 0).timeout(SSL_TIMEOUT_HANDSHAKE, 20);
    let failure = handle.handshake("mail.test").unwrap_err();
    assert_eq!(failure.code, SSL_ERR_TIMEOUT);
    assert!(failure.text.contains("within 20 ms"), "{failure:?}");
    assert!(failure.text.contains("server's first TLS record"), "{failure:?}");
    go.send(()).unwrap();
    peer.join();
}

unsafe extern "C" fn long_hook(
    _kind: u32,
    arg: *mut c_void,
    _length: u32,
    _chain: *const sslsock::abi::types::ssl_blob,
    _flags: u32,
) -> i32 {
    // A user who thinks for longer than the handshake may take.
    std::thread::sleep(unsafe { *arg.cast::<Duration>() });
    0
}

#[test]
fn time_inside_the_hook_does_not_count() {
    // In TLS 1.2 the hook runs in the middle of the handshake, in TLS 1.3 at its end.
    for version in [&rustls::version::TLS12, &rustls::version::TLS13] {
        let authority = Authority::new("hook");
        let peer = Peer::tls(authority.issue(&["mail.test"]).server_with(&[version]), echo);
        let socket = peer.connect();
        let thinks = Duration::from_millis(1500);
        let argument = (&raw const thinks).cast_mut().cast::<c_void>();
        let handle = client(&socket, &authority, 0)
            .timeout(SSL_TIMEOUT_HANDSHAKE, 1000)
            .hook(Some(long_hook), argument);
        assert_eq!(handle.handshake("mail.test"), Ok(()));
        send_all(&handle, b"hello");
        assert_eq!(receive_all(&handle, 5), b"hello");
        assert_eq!(handle.free(), 0);
        drop(socket);
        peer.join();
    }
}

#[test]
fn a_handshake_that_does_not_wait_does_not_wait_for_the_rest_of_a_line_either() {
    let authority = Authority::new("plain");
    let (go, told) = mpsc::channel::<()>();
    let peer = Peer::raw(move |mut stream| {
        read_record(&mut stream).unwrap();
        stream.write_all(b"220 ma").unwrap();
        told.recv().unwrap();
    });
    let socket = peer.connect();
    let handle = client(&socket, &authority, SSL_FLAG_NONBLOCKING);
    let mut failure = handle.handshake("mail.test").unwrap_err();
    while failure.code == support::SSL_ERR_WANT_READ {
        poll(&support::explicit::transport(&handle), libc::POLLIN, -1);
        failure = handle.handshake("mail.test").unwrap_err();
    }
    assert_eq!(failure.code, support::SSL_ERR_NOT_TLS, "{failure:?}");
    assert!(failure.text.contains("\"220 ma\""), "{failure:?}");
    go.send(()).unwrap();
    peer.join();
}
