//! How a transparent connection ends, and that the ends are told apart.

mod support;

use std::io::{Read, Write};
use std::net::{Shutdown, TcpStream};
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};

use support::pki::Authority;
use support::wire::{TRANSPORTS, Transport, connect};
use support::{
    Handle, Peer, SSL_ERR_RESET, SSL_ERR_TRUNCATED, SSL_FLAG_ALLOW_TRUNCATION,
    SSL_FLAG_EXPLICIT_IO, SSL_FLAG_UNIX_PAIR, TlsStream, plain_recv, plain_send,
};

const PAIRS: [u32; 2] = [0, SSL_FLAG_UNIX_PAIR];

/// An upgraded connection to a peer that does `serve`.
fn upgraded<T: Send + 'static>(
    flags: u32,
    serve: impl FnOnce(TlsStream) -> T + Send + 'static,
) -> (TcpStream, Handle, Peer<T>) {
    let authority = Authority::new("ends");
    let peer = Peer::tls(authority.issue(&["mail.test"]).server(), serve);
    let socket = peer.connect();
    let handle = Handle::of(&socket).flags(flags).trust(&authority.pem());
    handle.handshake("mail.test").unwrap();
    (socket, handle, peer)
}

/// Everything that comes, then the errno of the end, 0 for an end of file.
fn receive_all(fd: i32) -> (Vec<u8>, i32) {
    let mut all = Vec::new();
    let mut buffer = [0; 65536];
    loop {
        match plain_recv(fd, &mut buffer) {
            Ok(0) => return (all, 0),
            Ok(count) => all.extend_from_slice(&buffer[..count]),
            Err(errno) => return (all, errno),
        }
    }
}

fn linger_zero(fd: i32) {
    let linger = libc::linger { l_onoff: 1, l_linger: 0 };
    let size = size_of_val(&linger) as u32;
    let set = unsafe {
        libc::setsockopt(fd, libc::SOL_SOCKET, libc::SO_LINGER, (&raw const linger).cast(), size)
    };
    assert_eq!(set, 0);
}

/// A program that reads nothing must not be left waiting in a send for ever, nor its end.
#[test]
fn sending_fails_after_a_break_although_what_came_before_is_unread() {
    const BACKLOG: usize = 64 * 1024 * 1024;
    for flags in PAIRS {
        for abort in [true, false] {
            let (socket, handle, peer) = upgraded(flags, move |mut stream| {
                // Until the program's side takes no more.
                let patience = Some(std::time::Duration::from_millis(200));
                stream.sock.set_write_timeout(patience).unwrap();
                let mut sent = 0;
                let TlsStream { conn, sock } = &mut stream;
                conn.complete_io(sock).unwrap();
                while sent < BACKLOG {
                    sent += conn.writer().write(&[7; 16384]).unwrap();
                    while conn.wants_write() {
                        if conn.write_tls(sock).is_err() {
                            if abort {
                                linger_zero(sock.as_raw_fd());
                            }
                            return sent;
                        }
                    }
                }
                panic!("the library takes whatever comes");
            });
            let sent = peer.join();
            let fd = socket.as_raw_fd();
            let failed = loop {
                match plain_send(fd, &[1; 65536]) {
                    Ok(_) => {}
                    Err(errno) => break errno,
                }
            };
            assert!(matches!(failed, libc::EPIPE | libc::ECONNRESET), "{failed}");
            // What it had accepted before it knew is no reason to wait.
            let mut unfinished = 0;
            let flushed = unsafe { sslsock::abi::process::ssl_flush_all(20_000, &mut unfinished) };
            assert_eq!((flushed, unfinished), (0, 0));
            let (received, end) = receive_all(fd);
            assert!(received.len() <= sent && received.iter().all(|byte| *byte == 7));
            assert_eq!(end, libc::ECONNRESET, "{flags:#x}");
            assert!(matches!(handle.error().code, SSL_ERR_RESET | SSL_ERR_TRUNCATED));
        }
    }
}

/// Closing the real connection with the peer's words unread would reset it and destroy what is on
/// its way: the kernel takes megabytes at once, the peer reads them later.
///
/// Not on a TCP pair: as on any TCP socket, what comes in for one that is closed resets it, and what
/// the library has not taken by then is lost.
#[test]
fn what_was_sent_arrives_although_the_peer_talks_all_the_while() {
    const SENT: usize = 3_000_000;
    for flags in [SSL_FLAG_UNIX_PAIR, SSL_FLAG_EXPLICIT_IO] {
        let (closed, wait) = std::sync::mpsc::channel::<()>();
        let (socket, handle, peer) = upgraded(flags, move |mut stream| {
            stream.conn.complete_io(&mut stream.sock).unwrap();
            stream.conn.set_buffer_limit(None);
            stream.conn.writer().write_all(&[2; SENT]).unwrap();
            let mut words = Vec::new();
            while stream.conn.wants_write() {
                stream.conn.write_tls(&mut words).unwrap();
            }
            let mut mouth = stream.sock.try_clone().unwrap();
            // Where the kernel does not take all of it, some is left to be sent.
            let _ = wait.recv_timeout(std::time::Duration::from_secs(5));
            let talking = std::thread::spawn(move || mouth.write_all(&words));
            let mut all = Vec::new();
            let end = stream.read_to_end(&mut all);
            // It may have gone before it had heard everything.
            let _ = talking.join().unwrap();
            (all.len(), end.map_err(|error| error.kind()))
        });
        let sender = std::thread::spawn(move || {
            if flags == SSL_FLAG_EXPLICIT_IO {
                assert_eq!(handle.send(&[1; SENT], 0), Ok(SENT));
                // What the peer says is none of the program's business.
                handle.shutdown(libc::SHUT_RD).unwrap();
                handle.free();
            } else {
                handle.free();
                (&socket).write_all(&[1; SENT]).unwrap();
            }
            drop(socket);
        });
        std::thread::spawn(move || {
            sender.join().unwrap();
            drop(closed);
        });
        assert_eq!(peer.join(), (SENT, Ok(SENT)), "{flags:#x}");
    }
}

/// A read of the connection ends early at a descriptor that was passed, and at urgent data.
#[test]
fn what_comes_behind_a_passed_descriptor_or_an_urgent_byte_is_not_left_lying() {
    for transport in TRANSPORTS {
        for flags in PAIRS {
            let authority = Authority::new("behind");
            let (client, mut wire) = connect(transport);
            let config = authority.issue(&["mail.test"]).server();
            let peer = std::thread::spawn(move || {
                let mut server = rustls::ServerConnection::new(config).unwrap();
                while server.is_handshaking() || server.wants_write() {
                    server.complete_io(&mut wire).unwrap();
                }
                // The first byte says that the client has read everything so far.
                for round in 0..20_u8 {
                    let mut ready = [0];
                    rustls::Stream::new(&mut server, &mut wire).read_exact(&mut ready).unwrap();
                    let mut records = [Vec::new(), Vec::new()];
                    for (record, byte) in records.iter_mut().zip([round, round + 100]) {
                        server.writer().write_all(&[byte]).unwrap();
                        server.write_tls(record).unwrap();
                    }
                    match transport {
                        Transport::Unix => pass_descriptor_with(&wire.socket, &records[0]),
                        Transport::Tcp => {
                            wire.say(&records[0]);
                            send_urgent(&wire.socket);
                        }
                    }
                    wire.say(&records[1]);
                }
            });
            let handle = Handle::of(&client).flags(flags).trust(&authority.pem());
            handle.handshake("mail.test").unwrap();
            for round in 0..20_u8 {
                (&client).write_all(&[round]).unwrap();
                let mut both = [0; 2];
                (&client).read_exact(&mut both).unwrap();
                assert_eq!(both, [round, round + 100]);
            }
            drop((handle, client));
            peer.join().unwrap();
        }
    }
}

fn send_urgent(socket: &impl AsRawFd) {
    let flags = libc::MSG_OOB | libc::MSG_NOSIGNAL;
    let sent = unsafe { libc::send(socket.as_raw_fd(), [0_u8].as_ptr().cast(), 1, flags) };
    assert_eq!(sent, 1);
}

fn pass_descriptor_with(socket: &impl AsRawFd, bytes: &[u8]) {
    use rustix::net::{SendAncillaryBuffer, SendAncillaryMessage, SendFlags, sendmsg};
    let socket = unsafe { std::os::fd::BorrowedFd::borrow_raw(socket.as_raw_fd()) };
    let mut space = [std::mem::MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
    let mut passed = SendAncillaryBuffer::new(&mut space);
    let descriptors = [socket];
    assert!(passed.push(SendAncillaryMessage::ScmRights(&descriptors)));
    let pieces = [std::io::IoSlice::new(bytes)];
    assert_eq!(sendmsg(socket, &pieces, &mut passed, SendFlags::NOSIGNAL), Ok(bytes.len()));
}

/// Whoever holds a duplicate of the real connection does not keep it alive.
#[test]
fn an_abort_resets_also_while_the_real_connection_has_a_duplicate() {
    let (socket, handle, peer) =
        upgraded(0, |mut stream| stream.read_to_end(&mut Vec::new()).map_err(|error| error.kind()));
    let mut transport = -1;
    let got = unsafe { sslsock::abi::information::ssl_get_transport_fd(handle.0, &mut transport) };
    assert_eq!(got, 0);
    let transport = unsafe { OwnedFd::from_raw_fd(transport) };
    (&socket).write_all(b"before").unwrap();
    linger_zero(socket.as_raw_fd());
    drop((socket, handle));
    assert_eq!(peer.join(), Err(std::io::ErrorKind::ConnectionReset));
    drop(transport);
}

#[test]
fn close_notify_is_an_end_of_file_and_sending_goes_on() {
    for flags in PAIRS {
        let (socket, _handle, peer) = upgraded(flags, |mut stream| {
            stream.write_all(b"all of it").unwrap();
            stream.conn.send_close_notify();
            stream.flush().unwrap();
            let mut rest = String::new();
            stream.read_to_string(&mut rest).unwrap();
            rest
        });
        assert_eq!(receive_all(socket.as_raw_fd()), (b"all of it".to_vec(), 0));
        assert_eq!(plain_send(socket.as_raw_fd(), b"and yet it goes on"), Ok(18));
        socket.shutdown(Shutdown::Write).unwrap();
        assert_eq!(peer.join(), "and yet it goes on");
    }
}

#[test]
fn a_truncation_gives_the_data_first_and_stays_readable() {
    for flags in PAIRS {
        let (socket, handle, peer) = upgraded(flags, |mut stream| {
            stream.write_all(&[7; 300_000]).unwrap();
            stream.flush().unwrap();
            stream.sock.shutdown(Shutdown::Write).unwrap();
            // Until the client is gone: closing now could reset the connection.
            let _ = std::io::copy(&mut stream.sock, &mut std::io::sink());
        });
        let (data, errno) = receive_all(socket.as_raw_fd());
        assert_eq!((data.len(), errno), (300_000, libc::ECONNRESET));
        // The kernel tells it once, the handle as often as it is asked.
        assert_eq!(plain_recv(socket.as_raw_fd(), &mut [0; 8]), Ok(0));
        for _ in 0..2 {
            assert_eq!(handle.error().code, SSL_ERR_TRUNCATED);
            assert_eq!(handle.recv(&mut [0; 8], 0), Err(libc::ECONNRESET));
        }
        let sent = plain_send(socket.as_raw_fd(), b"too late");
        assert!(matches!(sent, Err(libc::EPIPE | libc::ECONNRESET)), "{sent:?}");
        drop((socket, handle));
        peer.join();
    }
}

#[test]
fn a_truncation_can_be_allowed() {
    for pair in PAIRS {
        let (socket, handle, peer) = upgraded(pair | SSL_FLAG_ALLOW_TRUNCATION, |mut stream| {
            stream.write_all(b"length-framed").unwrap();
            stream.sock.shutdown(Shutdown::Write).unwrap();
            let _ = std::io::copy(&mut stream.sock, &mut std::io::sink());
        });
        assert_eq!(receive_all(socket.as_raw_fd()), (b"length-framed".to_vec(), 0));
        assert_eq!(handle.error().code, 0);
        drop((socket, handle));
        peer.join();
    }
}

#[test]
fn a_reset_gives_the_data_first() {
    for flags in PAIRS {
        let (socket, handle, peer) = upgraded(flags, |mut stream| {
            stream.write_all(&[9; 100_000]).unwrap();
            stream.flush().unwrap();
            let mut go = [0; 2];
            stream.read_exact(&mut go).unwrap();
            linger_zero(stream.sock.as_raw_fd());
        });
        let mut data = vec![0; 100_000];
        (&socket).read_exact(&mut data).unwrap();
        assert_eq!(plain_send(socket.as_raw_fd(), b"go"), Ok(2));
        peer.join();
        assert_eq!(receive_all(socket.as_raw_fd()), (Vec::new(), libc::ECONNRESET));
        assert_eq!(handle.error().code, SSL_ERR_RESET);
    }
}

#[test]
fn a_descriptor_that_was_moved_is_reset_all_the_same() {
    for flags in PAIRS {
        let (socket, handle, peer) = upgraded(flags, |mut stream| {
            let mut go = [0; 2];
            stream.read_exact(&mut go).unwrap();
            stream.sock.shutdown(Shutdown::Write).unwrap();
            let _ = std::io::copy(&mut stream.sock, &mut std::io::sink());
        });
        let moved = unsafe { OwnedFd::from_raw_fd(libc::dup(socket.as_raw_fd())) };
        drop(socket);
        assert_eq!(plain_send(moved.as_raw_fd(), b"go"), Ok(2));
        assert_eq!(receive_all(moved.as_raw_fd()), (Vec::new(), libc::ECONNRESET));
        assert_eq!(handle.error().code, SSL_ERR_TRUNCATED);
        drop((moved, handle));
        peer.join();
    }
}

#[test]
fn close_delivers_what_was_sent_and_ends_cleanly() {
    for flags in PAIRS {
        for round in 0..20 {
            let size = 100_000 * round + 1;
            let (socket, handle, peer) = upgraded(flags, |mut stream| {
                let mut all = Vec::new();
                // An end without close_notify would be an error.
                stream.read_to_end(&mut all).unwrap();
                all.len()
            });
            handle.free();
            (&socket).write_all(&vec![1; size]).unwrap();
            drop(socket);
            assert_eq!(peer.join(), size);
        }
    }
}

#[test]
fn an_abort_is_a_reset_and_no_clean_end() {
    // An AF_UNIX pair knows no abort: SO_LINGER has no effect on it.
    let (socket, _handle, peer) = upgraded(0, |mut stream| {
        let mut all = Vec::new();
        let outcome = stream.read_to_end(&mut all).map_err(|error| error.kind());
        (all, outcome)
    });
    (&socket).write_all(b"half of").unwrap();
    linger_zero(socket.as_raw_fd());
    drop(socket);
    let (all, outcome) = peer.join();
    assert!(b"half of".starts_with(&all));
    assert_eq!(outcome, Err(std::io::ErrorKind::ConnectionReset));
}
