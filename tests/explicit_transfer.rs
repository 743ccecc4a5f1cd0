//! Explicit mode: data in bulk and in crumbs, waiting, not waiting, and waiting for so long.

mod support;

use std::io::{Read, Write};
use std::net::TcpStream;
use std::os::fd::AsRawFd;
use std::os::unix::net::UnixStream;
use std::sync::mpsc;
use std::time::{Duration, Instant};

use aws_lc_rs::digest;
use support::explicit::{
    Session, client, handshake, pattern, poll, receive_all, send_all, set_option, set_timeout,
    transport, wait_as_told, waiting,
};
use support::pki::Authority;
use support::records::{DATA, HANDSHAKE, KEY_UPDATE, KEY_UPDATE_REQUEST, Keys, Wire, read_record};
use support::{
    Handle, Peer, SSL_ERR_TIMEOUT, SSL_ERR_WANT_READ, SSL_ERR_WANT_WRITE, SSL_FLAG_EXPLICIT_IO,
    SSL_FLAG_NONBLOCKING, echo,
};

fn set_non_blocking(handle: &Handle, socket: &TcpStream) {
    socket.set_nonblocking(true).unwrap();
    assert_eq!(handle.recv(&mut [0], 0), Err(libc::EAGAIN));
}

/// The same bytes every time, cheaply, and never the same piece twice.
struct Stream {
    block: Vec<u8>,
    position: u64,
}

impl Stream {
    fn new(seed: u8) -> Self {
        Self { block: pattern(seed, 64 * 1024), position: 0 }
    }

    fn next(&mut self) -> &[u8] {
        self.block[..8].copy_from_slice(&self.position.to_be_bytes());
        self.position += 1;
        &self.block
    }

    fn digest_of(seed: u8, blocks: usize) -> Vec<u8> {
        let mut stream = Self::new(seed);
        let mut context = digest::Context::new(&digest::SHA256);
        (0..blocks).for_each(|_| context.update(stream.next()));
        context.finish().as_ref().to_vec()
    }
}

/// Reads data records until that much has come; its digest.
fn digest_from_wire(mut stream: TcpStream, keys: &mut Keys, length: usize) -> Vec<u8> {
    let mut context = digest::Context::new(&digest::SHA256);
    let mut received = 0;
    while received < length {
        let mut record = read_record(&mut stream).unwrap();
        let (kind, data) = keys.open(&mut record);
        assert_eq!(kind, DATA);
        context.update(&data);
        received += data.len();
    }
    context.finish().as_ref().to_vec()
}

fn both_ways(flags: u32, blocks: usize) {
    let length = blocks * 64 * 1024;
    let session = Session::wire(flags, move |wire| {
        let Wire { stream, mut to_client, mut from_client } = wire;
        std::thread::scope(|scope| {
            let input = stream.try_clone().unwrap();
            let reader = scope.spawn(move || digest_from_wire(input, &mut from_client, length));
            let mut data = Stream::new(1);
            for _ in 0..blocks {
                for piece in data.next().chunks(16384) {
                    (&stream).write_all(&to_client.seal(DATA, piece)).unwrap();
                }
            }
            reader.join().unwrap()
        })
    });
    let received = std::thread::scope(|scope| {
        scope.spawn(|| {
            let mut data = Stream::new(2);
            (0..blocks).for_each(|_| send_all(&session.handle, data.next()));
        });
        let mut context = digest::Context::new(&digest::SHA256);
        let mut left = length;
        let mut buffer = vec![0; 100_000];
        while left > 0 {
            let room = left.min(buffer.len());
            match session.handle.recv(&mut buffer[..room], 0) {
                Ok(count) => {
                    assert!(count > 0, "the end, {left} bytes early");
                    context.update(&buffer[..count]);
                    left -= count;
                }
                Err(libc::EAGAIN) => {
                    poll(&transport(&session.handle), libc::POLLIN, -1);
                }
                Err(errno) => panic!("{errno}: {:?}", session.handle.error()),
            }
        }
        context.finish().as_ref().to_vec()
    });
    assert_eq!(received, Stream::digest_of(1, blocks));
    assert_eq!(session.peer.join(), Stream::digest_of(2, blocks));
}

#[test]
fn two_threads_move_256_mib_in_each_direction_at_once() {
    both_ways(0, 4096);
}

#[test]
fn two_threads_that_do_not_wait_move_as_much_as_two_that_do() {
    both_ways(SSL_FLAG_NONBLOCKING, 512);
}

#[test]
fn a_reader_gets_on_while_the_writer_waits_for_a_peer_that_does_not_read() {
    const LENGTH: usize = 8 << 20;
    let (go, told) = mpsc::channel::<()>();
    let session = Session::narrow(0, move |mut wire| {
        told.recv().unwrap();
        // With key updates, which make the reader want to write as well.
        wire.send(HANDSHAKE, KEY_UPDATE_REQUEST);
        wire.to_client.update();
        for piece in pattern(1, LENGTH).chunks(16384) {
            wire.send(DATA, piece);
        }
        told.recv().unwrap();
        let mut received = Vec::new();
        while received.len() < LENGTH {
            match wire.receive().unwrap() {
                (DATA, data) => received.extend(data),
                other => {
                    assert_eq!(other, (HANDSHAKE, KEY_UPDATE.to_vec()));
                    wire.from_client.update();
                }
            }
        }
        received
    });
    std::thread::scope(|scope| {
        let writer = waiting(scope, || session.handle.send(&pattern(2, LENGTH), 0));
        go.send(()).unwrap();
        assert!(receive_all(&session.handle, LENGTH) == pattern(1, LENGTH));
        assert!(!writer.is_finished());
        go.send(()).unwrap();
        assert_eq!(writer.join().unwrap(), Ok(LENGTH));
    });
    assert!(session.peer.join() == pattern(2, LENGTH));
}

#[test]
fn the_lengths_around_a_record_and_single_bytes_arrive_as_they_were() {
    let session = Session::tls(0, echo);
    let handle = &session.handle;
    for length in [1, 2, 16383, 16384, 16385, 32768, 65535, 65536, 65537, 200_000] {
        let data = pattern(length as u8, length);
        std::thread::scope(|scope| {
            scope.spawn(|| assert_eq!(handle.send(&data, 0), Ok(length)));
            assert!(receive_all(handle, length) == data, "{length}");
        });
    }
    let data = pattern(9, 3000);
    for byte in &data {
        assert_eq!(handle.send(&[*byte], 0), Ok(1));
    }
    for byte in &data {
        let mut buffer = [0];
        assert_eq!(handle.recv(&mut buffer, 0), Ok(1));
        assert_eq!(buffer[0], *byte);
    }
    // Nothing asked for, nothing waited for.
    assert_eq!(handle.recv(&mut [], 0), Ok(0));
    assert_eq!(handle.send(&[], 0), Ok(0));
    assert_eq!(session.handle.free(), 0);
    session.peer.join();
}

#[test]
fn peek_takes_nothing_and_waitall_waits_for_all() {
    let (go, told) = mpsc::channel::<()>();
    let session = Session::wire(0, move |mut wire| {
        wire.send(DATA, b"hello");
        told.recv().unwrap();
        wire.send(DATA, b" wor");
        wire.send(DATA, b"ld");
        told.recv().unwrap();
        wire.send(DATA, b"end");
        wire.send(support::records::ALERT, support::records::CLOSE_NOTIFY);
        told.recv().unwrap_err();
    });
    let handle = &session.handle;
    let mut buffer = [0; 16];
    for length in [16, 2, 5, 1] {
        let count = length.min(5);
        assert_eq!(handle.recv(&mut buffer[..length], libc::MSG_PEEK), Ok(count));
        assert_eq!(&buffer[..count], &b"hello"[..count]);
        assert_eq!(handle.pending(), 5);
    }
    let peek = libc::MSG_PEEK | libc::MSG_DONTWAIT;
    std::thread::scope(|scope| {
        let reader = waiting(scope, || {
            let mut whole = [0; 11];
            (handle.recv(&mut whole, libc::MSG_WAITALL), whole)
        });
        go.send(()).unwrap();
        assert_eq!(reader.join().unwrap(), (Ok(11), *b"hello world"));
    });
    assert_eq!(handle.recv(&mut buffer, peek), Err(libc::EAGAIN));
    go.send(()).unwrap();
    // The end cuts it short.
    assert_eq!(handle.recv(&mut buffer, libc::MSG_WAITALL), Ok(3));
    assert_eq!(handle.recv(&mut buffer, libc::MSG_WAITALL), Ok(0));
    assert_eq!(handle.recv(&mut buffer, libc::MSG_OOB), Err(libc::EINVAL));
    drop(go);
    session.peer.join();
}

#[test]
fn pending_counts_what_needs_no_peer_and_polling_goes_with_it() {
    let session = Session::wire(0, |mut wire| {
        let mut records = wire.to_client.seal(DATA, &pattern(1, 1000));
        records.extend(wire.to_client.seal(DATA, &pattern(2, 500)));
        let half = wire.to_client.seal(DATA, &pattern(3, 300));
        records.extend(&half[..100]);
        wire.stream.write_all(&records).unwrap();
        assert_eq!(wire.receive_data(1), b"!");
        wire.stream.write_all(&half[100..]).unwrap();
        assert_eq!(wire.receive_data(1), b"!");
    });
    let handle = &session.handle;
    let fd = transport(handle);
    assert_eq!(handle.pending(), 0);
    assert_eq!(poll(&fd, libc::POLLIN, -1), libc::POLLIN);
    // All of it was there at once, so one call takes all of it from the kernel.
    let mut first = [0; 1];
    assert_eq!(handle.recv(&mut first, 0), Ok(1));
    assert_eq!(handle.pending(), 1499);
    assert_eq!(poll(&fd, libc::POLLIN, 0), 0);
    let mut rest = vec![0; 4000];
    let mut received = 1;
    while handle.pending() > 0 {
        received += handle.recv(&mut rest, libc::MSG_DONTWAIT).unwrap();
    }
    assert_eq!(received, 1500);
    assert_eq!(handle.recv(&mut rest, libc::MSG_DONTWAIT), Err(libc::EAGAIN));
    assert_eq!(handle.send(b"!", 0), Ok(1));
    assert_eq!(receive_all(handle, 300), pattern(3, 300));
    assert_eq!(handle.send(b"!", 0), Ok(1));
    session.peer.join();
}

#[test]
fn a_receive_timeout_loses_nothing_of_a_record_that_has_half_come() {
    const LIMIT: i64 = 30;
    let (go, told) = mpsc::channel::<()>();
    let session = Session::wire(0, move |mut wire| {
        let record = wire.to_client.seal(DATA, b"in two parts");
        for piece in record.chunks(15) {
            wire.stream.write_all(piece).unwrap();
            told.recv().unwrap();
        }
        assert_eq!(wire.receive_data(3), b"yes");
    });
    set_timeout(&session.socket, libc::SO_RCVTIMEO, LIMIT);
    let mut buffer = [0; 64];
    for _ in 0..2 {
        let started = Instant::now();
        assert_eq!(session.handle.recv(&mut buffer, 0), Err(libc::EAGAIN));
        assert!(started.elapsed() >= Duration::from_millis(LIMIT as u64));
        let failure = session.handle.error();
        assert_eq!(failure.code, SSL_ERR_TIMEOUT);
        assert!(failure.text.contains("SO_RCVTIMEO"), "{failure:?}");
        go.send(()).unwrap();
    }
    go.send(()).unwrap();
    set_timeout(&session.socket, libc::SO_RCVTIMEO, 0);
    assert_eq!(session.handle.recv(&mut buffer, 0), Ok(12));
    assert_eq!(&buffer[..12], b"in two parts");
    assert_eq!(session.handle.send(b"yes", 0), Ok(3));
    session.peer.join();
}

#[test]
fn a_receive_timeout_bounds_the_call_although_bytes_keep_coming() {
    // Also while a first wait, which is short, never comes to its end.
    for pace in [Duration::from_millis(1), Duration::from_micros(100)] {
        let session = Session::wire(0, move |mut wire| {
            // One record that never gets complete, byte after byte, until the other side has had it.
            wire.stream.set_nodelay(true).unwrap();
            let record = wire.to_client.seal(DATA, &[0; 16384]);
            for byte in &record[..16000] {
                if wire.stream.write_all(&[*byte]).is_err()
                    || poll(&wire.stream, libc::POLLIN, 0) != 0
                {
                    return true;
                }
                std::thread::sleep(pace);
            }
            false
        });
        set_timeout(&session.socket, libc::SO_RCVTIMEO, 50);
        assert_eq!(session.handle.recv(&mut [0; 16384], 0), Err(libc::EAGAIN));
        drop(session.handle);
        drop(session.socket);
        assert!(session.peer.join(), "the call ended only with the bytes");
    }
}

#[test]
fn a_send_timeout_tells_how_much_was_accepted_and_loses_nothing_of_it() {
    const LENGTH: usize = 32 << 20;
    let (go, told) = mpsc::channel::<usize>();
    let session = Session::narrow(0, move |mut wire| {
        let length = told.recv().unwrap();
        wire.receive_data(length)
    });
    set_timeout(&session.socket, libc::SO_SNDTIMEO, 30);
    let handle = &session.handle;
    let data = pattern(1, LENGTH);
    let mut accepted = 0;
    // The kernel may have a little more room each time.
    let errno = loop {
        match handle.send(&data[accepted..], 0) {
            Ok(count) => accepted += count,
            Err(errno) => break errno,
        }
        assert!(0 < accepted && accepted < LENGTH, "{accepted}");
    };
    assert_eq!(errno, libc::EAGAIN);
    assert_eq!(handle.error().code, SSL_ERR_TIMEOUT);
    assert!(handle.error().text.contains("SO_SNDTIMEO"), "{:?}", handle.error());
    go.send(accepted + 4).unwrap();
    set_timeout(&session.socket, libc::SO_SNDTIMEO, 0);
    assert_eq!(handle.send(b"more", 0), Ok(4));
    let received = session.peer.join();
    assert!(received[..accepted] == data[..accepted]);
    assert_eq!(&received[accepted..], b"more");
}

/// How a handle is made not to wait.
#[derive(Clone, Copy, Debug)]
enum Style {
    Descriptor,
    Message,
    Flag,
}

const STYLES: [Style; 3] = [Style::Descriptor, Style::Message, Style::Flag];

impl Style {
    fn session<T: Send + 'static>(
        self,
        serve: impl FnOnce(Wire) -> T + Send + 'static,
    ) -> (Session<T>, i32) {
        let flags = if matches!(self, Self::Flag) { SSL_FLAG_NONBLOCKING } else { 0 };
        let session = Session::narrow(flags, serve);
        if matches!(self, Self::Descriptor) {
            set_non_blocking(&session.handle, &session.socket);
        }
        (session, if matches!(self, Self::Message) { libc::MSG_DONTWAIT } else { 0 })
    }
}

#[test]
fn a_call_that_may_not_wait_says_what_to_wait_for() {
    for style in STYLES {
        let (session, flags) = style.session(|mut wire| {
            assert_eq!(wire.receive_data(2), b"hi");
            wire.send(DATA, b"you");
            wire.receive_data(2)
        });
        let handle = &session.handle;
        let mut buffer = [0; 8];
        for flags in [flags, flags | libc::MSG_WAITALL, flags | libc::MSG_PEEK] {
            assert_eq!(handle.recv(&mut buffer, flags), Err(libc::EAGAIN), "{style:?}");
            assert_eq!(handle.error().code, SSL_ERR_WANT_READ);
        }
        assert_eq!(handle.send(b"hi", flags), Ok(2));
        poll(&transport(handle), libc::POLLIN, -1);
        assert_eq!(handle.recv(&mut buffer, flags | libc::MSG_WAITALL), Ok(3));
        assert_eq!(&buffer[..3], b"you");
        assert_eq!(handle.send(b"hi", flags), Ok(2));
        session.peer.join();
    }
}

#[test]
fn what_a_call_accepted_without_waiting_leaves_in_order_with_any_later_call() {
    for style in STYLES {
        let (go, told) = mpsc::channel::<usize>();
        let (session, flags) = style.session(move |mut wire| {
            let length = told.recv().unwrap();
            let data = wire.receive_data(length);
            wire.send(DATA, b"ok");
            data
        });
        let handle = &session.handle;
        let mut accepted = Vec::new();
        let full = loop {
            // Another buffer each time, gone right after the call.
            let data = pattern(accepted.len() as u8, 100_000);
            match handle.send(&data, flags) {
                Ok(count) => {
                    assert!(count > 0);
                    accepted.extend_from_slice(&data[..count]);
                }
                Err(errno) => break errno,
            }
        };
        assert_eq!((full, handle.error().code), (libc::EAGAIN, SSL_ERR_WANT_WRITE));
        assert_eq!(handle.send(&[], flags), Err(libc::EAGAIN));
        assert_eq!(handle.send(b"!", flags), Err(libc::EAGAIN));
        go.send(accepted.len()).unwrap();
        // Only receiving, or only flushing, brings the rest out.
        let mut answer = [0; 2];
        match style {
            Style::Message => assert_eq!(handle.recv(&mut answer, 0), Ok(2)),
            Style::Descriptor => {
                while handle.send(&[], flags) == Err(libc::EAGAIN) {
                    wait_as_told(handle, SSL_ERR_WANT_WRITE);
                }
                answer.copy_from_slice(&receive_all(handle, 2));
            }
            Style::Flag => {
                while handle.recv(&mut answer, 0) == Err(libc::EAGAIN) {
                    poll(&transport(handle), libc::POLLIN, 1);
                }
            }
        }
        assert_eq!(&answer, b"ok", "{style:?}");
        assert!(session.peer.join() == accepted, "{style:?}");
    }
}

#[test]
fn a_waiting_reader_sends_what_a_writer_left_behind() {
    let (go, told) = mpsc::channel::<usize>();
    let session = Session::narrow(0, move |mut wire| {
        let length = told.recv().unwrap();
        let data = wire.receive_data(length);
        wire.send(DATA, b"ok");
        data.len()
    });
    let handle = &session.handle;
    std::thread::scope(|scope| {
        let reader = waiting(scope, || {
            let mut answer = [0; 2];
            (handle.recv(&mut answer, 0), answer)
        });
        let mut accepted = 0;
        while let Ok(count) = handle.send(&pattern(1, 100_000), libc::MSG_DONTWAIT) {
            accepted += count;
        }
        // From here on nobody but the reader is inside a call.
        go.send(accepted).unwrap();
        assert_eq!(reader.join().unwrap(), (Ok(2), *b"ok"));
        assert_eq!(session.peer.join(), accepted);
    });
}

#[test]
fn flush_all_tells_what_has_not_left_and_waits_until_it_has() {
    let (go, told) = mpsc::channel::<usize>();
    let session = Session::narrow(0, move |mut wire| {
        let length = told.recv().unwrap();
        wire.receive_data(length).len()
    });
    let handle = &session.handle;
    let mut accepted = 0;
    while let Ok(count) = handle.send(&pattern(1, 100_000), libc::MSG_DONTWAIT) {
        accepted += count;
    }
    let fds: Vec<_> = [0, 20].iter().map(|&limit| flush_all(limit)).collect();
    // Other tests of this program may hold data as well.
    assert!(fds.iter().all(|&(code, unfinished)| code == SSL_ERR_TIMEOUT && unfinished >= 1));
    go.send(accepted).unwrap();
    while flush_all(1000).1 > 0 && handle.send(&[], libc::MSG_DONTWAIT) != Ok(0) {}
    assert_eq!(session.peer.join(), accepted);
}

fn flush_all(limit: u32) -> (i32, u32) {
    let mut unfinished = 0;
    let code = unsafe { sslsock::abi::process::ssl_flush_all(limit, &mut unfinished) };
    (code, unfinished)
}

#[test]
fn a_handshake_that_does_not_wait_gets_through_in_crumbs() {
    let authority = Authority::new("crumbs");
    let config = authority.issue(&["mail.test"]).server();
    let server = Peer::tls(config, echo);
    let address = server.address;
    // Between them, a byte at a time towards the client, each when it waits for one.
    let (go, told) = mpsc::channel::<()>();
    let proxy = Peer::raw(move |client| {
        client.set_nodelay(true).unwrap();
        let server = TcpStream::connect(address).unwrap();
        std::thread::scope(|scope| {
            scope.spawn(|| {
                let _ = std::io::copy(&mut &client, &mut &server);
                let _ = server.shutdown(std::net::Shutdown::Write);
            });
            let mut byte = [0];
            while (&server).read(&mut byte).is_ok_and(|count| count == 1) {
                // Nobody tells any more once the handshake is complete.
                let _ = told.recv();
                if (&client).write_all(&byte).is_err() {
                    break;
                }
            }
        });
    });
    let socket = proxy.connect();
    set_option(&socket, libc::SO_SNDBUF, 1);
    let handle = client(&socket, &authority, SSL_FLAG_NONBLOCKING);
    let mut waits = 0;
    while let Err(failure) = handle.handshake("mail.test") {
        assert_eq!(handle.error(), failure);
        if failure.code == SSL_ERR_WANT_READ {
            go.send(()).unwrap();
        }
        wait_as_told(&handle, failure.code);
        waits += 1;
    }
    drop(go);
    assert!(waits > 500, "{waits}");
    assert_eq!(handle.send(b"hello", 0), Ok(5));
    assert_eq!(receive_all(&handle, 5), b"hello");
    // Done is done.
    assert_eq!(handle.handshake("mail.test").unwrap_err().code, support::SSL_ERR_STATE);
    assert_eq!(handle.send(b"hello", 0), Ok(5));
    assert_eq!(receive_all(&handle, 5), b"hello");
    assert_eq!(handle.free(), 0);
    drop(socket);
    proxy.join();
    server.join();
}

#[test]
fn a_handshake_that_cannot_write_says_so_and_goes_on_later() {
    let authority = Authority::new("full");
    let (socket, peer) = UnixStream::pair().unwrap();
    let handle = Handle::of(&socket)
        .flags(SSL_FLAG_EXPLICIT_IO | SSL_FLAG_NONBLOCKING)
        .trust(&authority.pem());
    // Whatever was said before TLS is still on its way.
    socket.set_nonblocking(true).unwrap();
    let mut filled = 0;
    while let Ok(count) = (&socket).write(&[b'x'; 100]) {
        filled += count;
    }
    assert_eq!(handle.handshake("mail.test").unwrap_err().code, SSL_ERR_WANT_WRITE);
    assert_eq!(handle.handshake("mail.test").unwrap_err().code, SSL_ERR_WANT_WRITE);
    assert_eq!(handle.send(b"early", 0), Err(libc::ENOTCONN));
    let config = authority.issue(&["mail.test"]).server();
    let server = std::thread::spawn(move || {
        let mut peer = peer;
        peer.read_exact(&mut vec![0; filled]).unwrap();
        let connection = rustls::ServerConnection::new(config).unwrap();
        let mut stream = rustls::StreamOwned::new(connection, peer);
        let mut hello = [0; 5];
        stream.read_exact(&mut hello).unwrap();
        hello
    });
    handshake(&handle);
    send_all(&handle, b"hello");
    assert_eq!(&server.join().unwrap(), b"hello");
}

#[test]
fn a_handshake_waits_whatever_o_nonblock_says() {
    let authority = Authority::new("waits");
    let peer = Peer::tls(authority.issue(&["mail.test"]).server(), echo);
    let socket = peer.connect();
    socket.set_nonblocking(true).unwrap();
    let handle = client(&socket, &authority, 0);
    assert_eq!(handle.handshake("mail.test"), Ok(()));
    let flags = unsafe { libc::fcntl(socket.as_raw_fd(), libc::F_GETFL) };
    assert_ne!(flags & libc::O_NONBLOCK, 0);
    send_all(&handle, b"hello");
    assert_eq!(receive_all(&handle, 5), b"hello");
    assert_eq!(handle.free(), 0);
    drop(socket);
    peer.join();
}

#[test]
fn blocking_sessions_work_over_tls_1_2_as_well() {
    let authority = Authority::new("old");
    let peer =
        Peer::tls(authority.issue(&["mail.test"]).server_with(&[&rustls::version::TLS12]), echo);
    let socket = peer.connect();
    let handle = client(&socket, &authority, 0);
    handshake(&handle);
    let data = pattern(3, 3 << 20);
    std::thread::scope(|scope| {
        scope.spawn(|| send_all(&handle, &data));
        assert!(receive_all(&handle, data.len()) == data);
    });
    assert_eq!(handle.free(), 0);
    drop(socket);
    peer.join();
}
