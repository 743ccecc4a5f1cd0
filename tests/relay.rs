//! The relay's connections do not get in each other's way, and none fills the memory.

mod support;

use std::io::{Read, Write};
use std::net::TcpStream;
use std::os::fd::{FromRawFd, OwnedFd};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, mpsc};
use std::time::Duration;

use sslsock::abi::information;
use support::pki::Authority;
use support::{Handle, Peer, TlsStream, echo, option};

fn upgraded<T: Send + 'static>(
    serve: impl FnOnce(TlsStream) -> T + Send + 'static,
) -> (TcpStream, Peer<T>) {
    let authority = Authority::new("relay");
    let peer = Peer::tls(authority.issue(&["mail.test"]).server(), serve);
    let socket = peer.connect();
    let handle = Handle::of(&socket).trust(&authority.pem());
    handle.handshake("mail.test").unwrap();
    handle.free();
    (socket, peer)
}

fn round_trips(mut socket: &TcpStream, rounds: usize) {
    let mut answer = [0; 64];
    for round in 0..rounds {
        let question = [round as u8; 64];
        socket.write_all(&question).unwrap();
        socket.read_exact(&mut answer).unwrap();
        assert_eq!(answer, question);
    }
}

/// What `moved` comes to while another connection goes on talking.
fn settled(moved: &AtomicUsize, other: &TcpStream) -> usize {
    let mut before = usize::MAX;
    loop {
        round_trips(other, 500);
        let now = moved.load(Ordering::Relaxed);
        if now == before {
            return now;
        }
        before = now;
    }
}

const ALL: usize = 256 * 1024 * 1024;
/// Far above what the kernel's own queues take, far below everything.
const BOUND: usize = 96 * 1024 * 1024;

#[test]
fn a_program_that_does_not_read_stops_its_peer_and_nobody_else() {
    let (chatty, echoing) = upgraded(echo);
    let moved = Arc::new(AtomicUsize::new(0));
    let counter = moved.clone();
    let (stalled, sending) = upgraded(move |mut stream| {
        let block = vec![7; 65536];
        while counter.load(Ordering::Relaxed) < ALL && stream.write_all(&block).is_ok() {
            counter.fetch_add(block.len(), Ordering::Relaxed);
        }
        stream.conn.send_close_notify();
        let _ = stream.flush();
    });
    let held = settled(&moved, &chatty);
    assert!((1..BOUND).contains(&held), "{held} bytes were taken for a program that reads nothing");
    // Nothing of it is lost.
    let received = std::io::copy(&mut &stalled, &mut std::io::sink()).unwrap();
    assert_eq!(received as usize, ALL);
    drop((chatty, stalled));
    sending.join();
    echoing.join();
}

#[test]
fn a_peer_that_does_not_read_stops_its_program_and_nobody_else() {
    let (chatty, echoing) = upgraded(echo);
    let (go, wait) = mpsc::channel::<()>();
    let (stalled, reading) = upgraded(move |mut stream| {
        // The handshake needs one read.
        let mut all = stream.read(&mut [0; 1]).unwrap() as u64;
        let _ = wait.recv();
        all += std::io::copy(&mut stream, &mut std::io::sink()).unwrap();
        all as usize
    });
    let moved = Arc::new(AtomicUsize::new(0));
    let (counter, stop) = (moved.clone(), Arc::new(AtomicBool::new(false)));
    let stopped = stop.clone();
    let sender = std::thread::spawn(move || {
        let block = vec![7; 65536];
        while counter.load(Ordering::Relaxed) < ALL && !stopped.load(Ordering::Relaxed) {
            (&stalled).write_all(&block).unwrap();
            counter.fetch_add(block.len(), Ordering::Relaxed);
        }
    });
    let held = settled(&moved, &chatty);
    assert!((1..BOUND).contains(&held), "{held} bytes were taken for a peer that reads nothing");
    stop.store(true, Ordering::Relaxed);
    drop(go);
    sender.join().unwrap();
    assert_eq!(reading.join(), moved.load(Ordering::Relaxed));
    drop(chatty);
    echoing.join();
}

/// How many segments with data the connection has sent, each counted once.
fn data_segments(transport: &OwnedFd) -> u32 {
    // struct tcp_info of linux/tcp.h: tcpi_data_segs_out without tcpi_total_retrans.
    let info: [u32; 58] = option(transport, libc::IPPROTO_TCP, libc::TCP_INFO);
    info[39] - info[25]
}

#[test]
fn each_small_write_leaves_at_once_in_a_segment_of_its_own() {
    const WRITES: usize = 50;
    let authority = Authority::new("relay");
    let (got, wait) = mpsc::channel();
    let peer = Peer::tls(authority.issue(&["mail.test"]).server(), move |mut stream| {
        let mut bytes = [0; 100];
        for _ in 0..=WRITES {
            got.send(stream.read(&mut bytes).unwrap()).unwrap();
        }
    });
    let mut socket = peer.connect();
    let handle = Handle::of(&socket).trust(&authority.pem());
    handle.handshake("mail.test").unwrap();
    let mut transport = -1;
    assert_eq!(unsafe { information::ssl_get_transport_fd(handle.0, &mut transport) }, 0);
    let transport = unsafe { OwnedFd::from_raw_fd(transport) };
    assert!(socket.nodelay().unwrap());
    // After it nothing of the handshake is on its way.
    socket.write_all(b"hello").unwrap();
    assert_eq!(wait.recv().unwrap(), 5);
    for write in 1..=WRITES {
        let before = data_segments(&transport);
        socket.write_all(&b"0123456789".repeat(5)[..write]).unwrap();
        assert_eq!(wait.recv_timeout(Duration::from_secs(20)).unwrap(), write);
        assert_eq!(data_segments(&transport) - before, 1, "{write} bytes");
    }
    // As the program sets it, it is read back, and nothing waits for that.
    for is_on in [false, true] {
        socket.set_nodelay(is_on).unwrap();
        assert_eq!(socket.nodelay().unwrap(), is_on);
        assert_eq!(option::<i32>(&transport, libc::IPPROTO_TCP, libc::TCP_NODELAY), 1);
    }
    drop(socket);
    peer.join();
}
