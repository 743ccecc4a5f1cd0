//! What the kernel's table of TCP connections tells of the other end of one on this machine.

use std::fmt::Write;
use std::net::{IpAddr, SocketAddr};
use std::os::fd::BorrowedFd;

use rustix::net::{getpeername, getsockname};

/// Whether no descriptor of any process refers to the other end any more. `socket` is one end of a
/// connection within this machine. False where that cannot be found out.
pub fn peer_is_orphaned(socket: BorrowedFd<'_>) -> bool {
    let own = getsockname(socket).ok().and_then(|own| SocketAddr::try_from(own).ok());
    let peer = getpeername(socket).ok().flatten().and_then(|peer| SocketAddr::try_from(peer).ok());
    let (Some(own), Some(peer)) = (own, peer) else { return false };
    let table = if peer.is_ipv4() { "tcp" } else { "tcp6" };
    match std::fs::read_to_string(format!("/proc/thread-self/net/{table}")) {
        Ok(table) => is_orphaned(&table, peer, own),
        Err(_) => false,
    }
}

/// Lines of proc_pid_net(5): slot, local and remote address, state, queues, timer, retransmits,
/// user, timeout, inode and more.
fn is_orphaned(table: &str, local: SocketAddr, remote: SocketAddr) -> bool {
    let (local, remote) = (as_the_kernel_prints(local), as_the_kernel_prints(remote));
    let mut lines = table.lines().map(str::split_ascii_whitespace);
    let found = lines.find_map(|mut words| {
        let is_it = words.nth(1)? == local && words.next()? == remote;
        is_it.then(|| words.nth(6)).flatten()
    });
    // Gone altogether: the kernel has given it up already.
    found.is_none_or(|inode| inode == "0")
}

/// The address as 32-bit numbers of this machine's byte order.
fn as_the_kernel_prints(address: SocketAddr) -> String {
    let mut text = String::new();
    let mut push = |bytes: &[u8]| {
        for word in bytes.as_chunks::<4>().0 {
            // Writing to a string does not fail.
            let _ = write!(text, "{:08X}", u32::from_ne_bytes(*word));
        }
    };
    match address.ip() {
        IpAddr::V4(ip) => push(&ip.octets()),
        IpAddr::V6(ip) => push(&ip.octets()),
    }
    let _ = write!(text, ":{:04X}", address.port());
    text
}

#[cfg(test)]
mod tests {
    use std::os::fd::AsFd;

    use rustix::net::{SendFlags, send};

    use super::*;
    use crate::sys::test_sockets::{eventually, tcp_pair, tcp6_pair, unix_pair};

    #[test]
    fn a_closed_end_is_orphaned_also_behind_a_full_window() {
        for (ours, theirs) in [tcp_pair(), tcp6_pair()] {
            let flags = SendFlags::NOSIGNAL | SendFlags::DONTWAIT;
            while send(&theirs, &[0; 65536], flags).is_ok() {}
            let again = theirs.try_clone().unwrap();
            assert!(!peer_is_orphaned(ours.as_fd()));
            drop(theirs);
            assert!(!peer_is_orphaned(ours.as_fd()), "a duplicate is open");
            drop(again);
            assert!(eventually(|| peer_is_orphaned(ours.as_fd())));
        }
    }

    #[test]
    fn what_is_no_tcp_connection_is_not_orphaned() {
        assert!(!peer_is_orphaned(unix_pair().0.as_fd()));
    }

    #[test]
    fn reads_the_kernel_s_lines() {
        let table = "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode\n\
            \x20  0: 0200007F:0019 0100007F:8000 01 00000000:00000000 00:00000000 00000000     0        0 4711 1 0\n\
            \x20  1: 0300007F:0019 0100007F:8000 04 00000000:00000000 00:00000000 00000000     0        0 0 1 0\n";
        let address = |last, port| SocketAddr::from(([127, 0, 0, last], port));
        assert!(!is_orphaned(table, address(2, 25), address(1, 32768)));
        assert!(is_orphaned(table, address(3, 25), address(1, 32768)));
        assert!(is_orphaned(table, address(4, 25), address(1, 32768)), "gone altogether");
        let mapped: SocketAddr = "[::ffff:127.0.0.2]:25".parse().unwrap();
        assert_eq!(as_the_kernel_prints(mapped), "0000000000000000FFFF00000200007F:0019");
    }
}
