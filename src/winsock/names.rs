//! The names that addresses came from: which one a thread looked up last to get an address.
//!
//! Most Windows CE programs never tell the TLS layer whom they want to reach. What they do is look
//! a name up and connect to the address, so the name is taken from there. Another thread's look-ups
//! do not count: they may have been for another purpose.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::ffi::CString;
use std::net::IpAddr;
use std::time::{Duration, Instant};

use crate::sys::address::Address;
use crate::sys::look_up;
use crate::verify::name::PeerName;

/// Notes that looking up `text` has given this thread these addresses. What is no name that a
/// certificate could have only takes the place of the names before.
pub fn remember(text: &str, addresses: impl IntoIterator<Item = IpAddr>) {
    let name = PeerName::parse(text).ok();
    if name.is_none() && is_literal(text) {
        return;
    }
    let now = Instant::now();
    // A thread that is ending remembers nothing.
    let _ = MEMORY.try_with(|memory| {
        let mut memory = memory.borrow_mut();
        for address in addresses {
            match &name {
                Some(name) => memory.remember(name, address, now),
                None => memory.forget(address),
            }
        }
    });
}

/// The name that this thread's latest look-up with this address was for, if it was in the last ten
/// minutes.
pub fn find(address: &Address) -> Option<PeerName> {
    let host = address.host()?;
    MEMORY.try_with(|memory| memory.borrow().find(host, Instant::now()).cloned()).ok().flatten()
}

/// Oldest first; each address once.
struct Memory(VecDeque<Entry>);

struct Entry {
    address: IpAddr,
    name: PeerName,
    at: Instant,
}

const CAPACITY: usize = 1024;
const LIFETIME: Duration = Duration::from_secs(600);

thread_local! {
    static MEMORY: RefCell<Memory> = const { RefCell::new(Memory(VecDeque::new())) };
}

impl Memory {
    fn remember(&mut self, name: &PeerName, address: IpAddr, now: Instant) {
        let address = address.to_canonical();
        // Programs "look up" the text of an address that a name has given them.
        if name.is_ip() && self.find(address, now).is_some_and(|known| !known.is_ip()) {
            return;
        }
        self.0.retain(|entry| entry.address != address && is_fresh(entry, now));
        if self.0.len() >= CAPACITY {
            self.0.pop_front();
        }
        self.0.push_back(Entry { address, name: name.clone(), at: now });
    }

    fn forget(&mut self, address: IpAddr) {
        let address = address.to_canonical();
        self.0.retain(|entry| entry.address != address);
    }

    fn find(&self, address: IpAddr, now: Instant) -> Option<&PeerName> {
        let address = address.to_canonical();
        let entry = self.0.iter().find(|entry| entry.address == address)?;
        is_fresh(entry, now).then_some(&entry.name)
    }
}

/// The text of an address that certificates have in another form: "127.1", or with an interface.
fn is_literal(text: &str) -> bool {
    let address = text.split('%').next().unwrap_or_default();
    address.parse::<IpAddr>().is_ok()
        || CString::new(text).is_ok_and(|text| look_up::dotted(&text).is_some())
}

fn is_fresh(entry: &Entry, now: Instant) -> bool {
    now.saturating_duration_since(entry.at) < LIFETIME
}

#[cfg(test)]
mod tests {
    use std::net::{Ipv4Addr, Ipv6Addr};

    use super::*;

    const ADDRESS: IpAddr = IpAddr::V4(Ipv4Addr::new(192, 0, 2, 1));

    fn name(text: &str) -> PeerName {
        PeerName::parse(text).unwrap()
    }

    fn found(memory: &Memory, address: IpAddr, now: Instant) -> Option<String> {
        memory.find(address, now).map(|name| name.as_str().to_owned())
    }

    fn of_ipv4(address: Ipv4Addr) -> Address {
        Address::of_host(IpAddr::V4(address))
    }

    fn of_ipv6(address: Ipv6Addr) -> Address {
        Address::of_host(IpAddr::V6(address))
    }

    #[test]
    fn the_latest_look_up_of_an_address_counts() {
        let (mut memory, now) = (Memory(VecDeque::new()), Instant::now());
        assert_eq!(found(&memory, ADDRESS, now), None);
        memory.remember(&name("one.test"), ADDRESS, now);
        memory.remember(&name("Two.test."), ADDRESS, now);
        assert_eq!(found(&memory, ADDRESS, now).as_deref(), Some("two.test"));
        assert_eq!(memory.0.len(), 1);
        assert_eq!(found(&memory, IpAddr::V4(Ipv4Addr::new(192, 0, 2, 2)), now), None);
    }

    #[test]
    fn after_ten_minutes_a_look_up_is_forgotten() {
        let (mut memory, now) = (Memory(VecDeque::new()), Instant::now());
        memory.remember(&name("one.test"), ADDRESS, now);
        let almost = now + LIFETIME - Duration::from_millis(1);
        assert_eq!(found(&memory, ADDRESS, almost).as_deref(), Some("one.test"));
        assert_eq!(found(&memory, ADDRESS, now + LIFETIME), None);

        memory.remember(&name("one.test"), ADDRESS, almost);
        assert_eq!(found(&memory, ADDRESS, now + LIFETIME).as_deref(), Some("one.test"));
    }

    #[test]
    fn a_literal_address_counts_only_where_there_is_no_name() {
        let (mut memory, now) = (Memory(VecDeque::new()), Instant::now());
        memory.remember(&name("192.0.2.1"), ADDRESS, now);
        assert_eq!(found(&memory, ADDRESS, now).as_deref(), Some("192.0.2.1"));
        memory.remember(&name("one.test"), ADDRESS, now);
        memory.remember(&name("192.0.2.1"), ADDRESS, now);
        assert_eq!(found(&memory, ADDRESS, now).as_deref(), Some("one.test"));

        let later = now + LIFETIME;
        memory.remember(&name("192.0.2.1"), ADDRESS, later);
        assert_eq!(found(&memory, ADDRESS, later).as_deref(), Some("192.0.2.1"));
    }

    #[test]
    fn the_oldest_look_up_makes_room() {
        let (mut memory, now) = (Memory(VecDeque::new()), Instant::now());
        let numbered = |number: usize| IpAddr::V4(Ipv4Addr::from(number as u32));
        for number in 0..CAPACITY {
            memory.remember(&name("one.test"), numbered(number), now);
        }
        // Looked up again, it is the newest.
        memory.remember(&name("one.test"), numbered(0), now);
        memory.remember(&name("two.test"), ADDRESS, now);
        assert_eq!(memory.0.len(), CAPACITY);
        assert_eq!(found(&memory, numbered(0), now).as_deref(), Some("one.test"));
        assert_eq!(found(&memory, numbered(1), now), None);
        assert_eq!(found(&memory, numbered(2), now).as_deref(), Some("one.test"));
    }

    #[test]
    fn a_mapped_address_is_the_ipv4_address() {
        let ipv4 = Ipv4Addr::new(192, 0, 2, 7);
        remember("mapped.test", [IpAddr::V6(ipv4.to_ipv6_mapped())]);
        let expected = Some(name("mapped.test"));
        assert_eq!(find(&of_ipv4(ipv4)), expected);
        assert_eq!(find(&of_ipv6(ipv4.to_ipv6_mapped())), expected);
        remember("six.test", [IpAddr::V6(Ipv6Addr::LOCALHOST)]);
        assert_eq!(find(&of_ipv6(Ipv6Addr::LOCALHOST)), Some(name("six.test")));
    }

    #[test]
    fn another_threads_look_ups_do_not_count() {
        let address = Ipv4Addr::new(192, 0, 2, 8);
        remember("mine.test", [IpAddr::V4(address)]);
        let elsewhere = std::thread::spawn(move || {
            let before = find(&of_ipv4(address));
            remember("theirs.test", [IpAddr::V4(address)]);
            before
        });
        assert_eq!(elsewhere.join().unwrap(), None);
        assert_eq!(find(&of_ipv4(address)), Some(name("mine.test")));
    }

    #[test]
    fn what_is_no_name_takes_the_place_of_the_name_before() {
        let address = Ipv4Addr::new(192, 0, 2, 9);
        for junk in ["", ".", "a b", "mail.test:25", "-_-"] {
            remember("one.test", [IpAddr::V4(address)]);
            remember(junk, [IpAddr::V4(address)]);
            assert_eq!(find(&of_ipv4(address)), None, "{junk}");
        }
        // But the text of an address is the same as no look-up.
        remember("one.test", [IpAddr::V4(address)]);
        for literal in ["192.0.2.9", "192.0.521", "0xc0000209", "192.0.2.9 ", "fe80::9%lo"] {
            remember(literal, [IpAddr::V4(address)]);
            assert_eq!(find(&of_ipv4(address)), Some(name("one.test")), "{literal}");
        }
        assert_eq!(find(&Address::new(Vec::new())), None);
        assert_eq!(find(&Address::new(vec![2, 0, 0, 25, 192])), None);
    }
}
