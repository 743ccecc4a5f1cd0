//! Winsock's look-ups of hosts, services and protocols.

use std::ffi::{CStr, CString};
use std::net::IpAddr;

use super::error::{
    self, WSAEAFNOSUPPORT, WSAEFAULT, WSAEINVAL, WSAESOCKTNOSUPPORT, WSAHOST_NOT_FOUND, WSANO_DATA,
    WSANO_RECOVERY, WSATRY_AGAIN, WSATYPE_NOT_FOUND, failure,
};
use super::names;
use crate::error::{Error, Result, quote};
use crate::sys::address::Address;
use crate::sys::look_up::{self, Found, Hints, Protocol, Service};

/// What `hostent` has.
pub struct Host {
    pub name: CString,
    pub aliases: Vec<CString>,
    pub family: i32,
    pub addresses: Vec<IpAddr>,
}

/// `gethostbyname`: IPv4. No name, or an empty one, is this machine.
pub fn host_by_name(name: Option<&CStr>) -> Result<Host> {
    let Some(name) = name.filter(|name| !name.is_empty()) else {
        return this_host(c"");
    };
    let hints = Hints {
        flags: libc::AI_CANONNAME,
        family: libc::AF_INET,
        socket_type: libc::SOCK_STREAM,
        protocol: 0,
    };
    let found = match look_up::look_up(Some(name), None, Some(hints)) {
        Ok(found) => found,
        // A machine knows itself.
        Err(_) if name.to_bytes().eq_ignore_ascii_case(look_up::host_name().to_bytes()) => {
            return this_host(name);
        }
        Err(refusal) => return Err(refused(name, refusal)),
    };
    let addresses = hosts_of(&found);
    names::remember(&name.to_string_lossy(), addresses.iter().copied());
    let canonical = found.into_iter().find_map(|found| found.canonical_name);
    let canonical = canonical.unwrap_or_else(|| name.to_owned());
    let is_alias = !canonical.to_bytes().eq_ignore_ascii_case(name.to_bytes());
    let aliases = if is_alias { vec![name.to_owned()] } else { Vec::new() };
    Ok(Host { name: canonical, aliases, family: libc::AF_INET, addresses })
}

/// `gethostbyaddr`. What a server of the address's owner says is no name that the program has
/// looked up, so it is not remembered.
pub fn host_by_address(address: IpAddr) -> Result<Host> {
    let target = Address::of_host(address);
    let (name, _) = look_up::names_of(&target, true, false, libc::NI_NAMEREQD)
        .map_err(|refusal| refused(&text_of(address), refusal))?;
    let family = match address {
        IpAddr::V4(_) => libc::AF_INET,
        IpAddr::V6(_) => libc::AF_INET6,
    };
    Ok(Host { name, aliases: Vec::new(), family, addresses: vec![address] })
}

/// `getaddrinfo`. Flags in `hints` are Winsock's, all else is the system's.
pub fn addresses(
    name: Option<&CStr>,
    service: Option<&CStr>,
    hints: Option<Hints>,
) -> Result<Vec<Found>> {
    let hints = match hints {
        Some(hints) => Some(Hints { flags: translated(hints.flags, &AI_FLAGS)?, ..hints }),
        None => None,
    };
    let own_name;
    let asked = match name {
        Some(name) if name.is_empty() => {
            own_name = look_up::host_name();
            Some(own_name.as_c_str())
        }
        name => name,
    };
    let found = look_up::look_up(asked, service, hints)
        .map_err(|refusal| refused(asked.or(service).unwrap_or_default(), refusal))?;
    if let Some(name) = name {
        names::remember(&name.to_string_lossy(), hosts_of(&found));
    }
    Ok(found)
}

/// `getnameinfo` with Winsock's flags.
pub fn names_of(
    address: &Address,
    wants_host: bool,
    wants_service: bool,
    flags: i32,
) -> Result<(CString, CString)> {
    let flags = translated(flags, &NI_FLAGS)?;
    look_up::names_of(address, wants_host, wants_service, flags).map_err(|refusal| {
        let text = address.host().map(text_of).unwrap_or_default();
        refused(&text, refusal)
    })
}

/// `inet_addr`, which answers INADDR_NONE for what is no address.
pub fn inet_addr(text: &CStr) -> u32 {
    match text.to_bytes() {
        b" " => 0,
        _ => look_up::dotted(text).unwrap_or(INADDR_NONE),
    }
}

pub(crate) const INADDR_NONE: u32 = u32::MAX;

/// `getservbyname`.
pub fn service_by_name(name: &CStr, protocol: Option<&CStr>) -> Result<Service> {
    look_up::service_by_name(name, protocol)
        .or_else(|| common_service(|known, _| known == name, protocol))
        .ok_or_else(|| unknown("service", name))
}

/// `getservbyport`.
pub fn service_by_port(port: u16, protocol: Option<&CStr>) -> Result<Service> {
    look_up::service_by_port(port, protocol)
        .or_else(|| common_service(|_, known| known == port, protocol))
        .ok_or_else(|| failure(WSANO_DATA, format!("no service is known for port {port}")))
}

/// `getprotobyname`.
pub fn protocol_by_name(name: &CStr) -> Result<Protocol> {
    look_up::protocol_by_name(name)
        .or_else(|| common_protocol(|known, _| known == name))
        .ok_or_else(|| unknown("protocol", name))
}

/// `getprotobynumber`.
pub fn protocol_by_number(number: i32) -> Result<Protocol> {
    look_up::protocol_by_number(number)
        .or_else(|| common_protocol(|_, known| known == number))
        .ok_or_else(|| failure(WSANO_DATA, format!("no protocol is known by the number {number}")))
}

/// `gai_strerror`.
pub fn text(number: i32) -> &'static CStr {
    match number {
        0 => c"no error",
        error::ERROR_NOT_ENOUGH_MEMORY => c"there is not enough memory for the look-up",
        WSAEFAULT => c"a buffer is too small, or an address cannot be read",
        WSAEINVAL => c"an argument or a flag of the look-up is not valid",
        WSAESOCKTNOSUPPORT => c"the type of socket is not supported",
        WSAEAFNOSUPPORT => c"the address family is not supported",
        WSATYPE_NOT_FOUND => c"the service is not known for this type of socket",
        WSAHOST_NOT_FOUND => c"no such host is known",
        WSATRY_AGAIN => c"the name server could not be asked: try again later",
        WSANO_RECOVERY => c"the look-up failed for good",
        WSANO_DATA => c"the name is known, but has no address of this kind",
        _ => c"the look-up failed",
    }
}

/// By its name, or by none.
fn this_host(asked: &CStr) -> Result<Host> {
    let addresses: Vec<_> = look_up::interface_addresses().into_iter().map(IpAddr::V4).collect();
    if addresses.is_empty() {
        return Err(failure(WSANO_DATA, "this machine has no network interface that is up"));
    }
    names::remember(&asked.to_string_lossy(), addresses.iter().copied());
    let name = if asked.is_empty() { look_up::host_name() } else { asked.to_owned() };
    Ok(Host { name, aliases: Vec::new(), family: libc::AF_INET, addresses })
}

/// Each once.
fn hosts_of(found: &[Found]) -> Vec<IpAddr> {
    let mut hosts = Vec::new();
    for host in found.iter().filter_map(|found| found.address.host()) {
        if !hosts.contains(&host) {
            hosts.push(host);
        }
    }
    hosts
}

fn translated(flags: i32, table: &[(i32, i32)]) -> Result<i32> {
    let known = table.iter().fold(0, |known, &(theirs, _)| known | theirs);
    if flags & !known != 0 {
        return Err(failure(
            WSAEINVAL,
            format!("the flags {flags:#x} of the look-up have bits that mean nothing"),
        ));
    }
    let chosen = table.iter().filter(|&&(theirs, _)| flags & theirs != 0);
    Ok(chosen.fold(0, |flags, &(_, ours)| flags | ours))
}

/// AI_PASSIVE, AI_CANONNAME, AI_NUMERICHOST, AI_NUMERICSERV, AI_ALL, AI_ADDRCONFIG, AI_V4MAPPED.
const AI_FLAGS: [(i32, i32); 7] = [
    (0x1, libc::AI_PASSIVE),
    (0x2, libc::AI_CANONNAME),
    (0x4, libc::AI_NUMERICHOST),
    (0x8, libc::AI_NUMERICSERV),
    (0x100, libc::AI_ALL),
    (0x400, libc::AI_ADDRCONFIG),
    (0x800, libc::AI_V4MAPPED),
];

/// NI_NOFQDN, NI_NUMERICHOST, NI_NAMEREQD, NI_NUMERICSERV, NI_DGRAM.
const NI_FLAGS: [(i32, i32); 5] = [
    (0x1, libc::NI_NOFQDN),
    (0x2, libc::NI_NUMERICHOST),
    (0x4, libc::NI_NAMEREQD),
    (0x8, libc::NI_NUMERICSERV),
    (0x10, libc::NI_DGRAM),
];

fn refused(name: &CStr, refusal: look_up::Failure) -> Error {
    let number = error::of_look_up(refusal);
    failure(number, format!("{}: {}", quote(name.to_bytes()), text(number).to_string_lossy()))
}

fn unknown(what: &str, name: &CStr) -> Error {
    failure(WSANO_DATA, format!("no {what} is known by the name {}", quote(name.to_bytes())))
}

fn text_of(address: IpAddr) -> CString {
    CString::new(address.to_string()).unwrap_or_default()
}

/// For machines without /etc/services, as small ones are.
fn common_service(is_it: impl Fn(&CStr, u16) -> bool, protocol: Option<&CStr>) -> Option<Service> {
    const TCP: &CStr = c"tcp";
    const UDP: &CStr = c"udp";
    const KNOWN: &[(&CStr, u16, &CStr)] = &[
        (c"echo", 7, TCP),
        (c"ftp", 21, TCP),
        (c"ssh", 22, TCP),
        (c"telnet", 23, TCP),
        (c"smtp", 25, TCP),
        (c"domain", 53, UDP),
        (c"domain", 53, TCP),
        (c"tftp", 69, UDP),
        (c"finger", 79, TCP),
        (c"http", 80, TCP),
        (c"pop3", 110, TCP),
        (c"nntp", 119, TCP),
        (c"ntp", 123, UDP),
        (c"imap2", 143, TCP),
        (c"imap", 143, TCP),
        (c"snmp", 161, UDP),
        (c"ldap", 389, TCP),
        (c"https", 443, TCP),
        (c"submission", 587, TCP),
        (c"nntps", 563, TCP),
        (c"ldaps", 636, TCP),
        (c"imaps", 993, TCP),
        (c"pop3s", 995, TCP),
        (c"xmpp-client", 5222, TCP),
        (c"ircd", 6667, TCP),
    ];
    let mut of_protocol =
        KNOWN.iter().filter(|(_, _, known)| protocol.is_none_or(|asked| asked == *known));
    let &(name, port, protocol) = of_protocol.find(|&&(name, port, _)| is_it(name, port))?;
    let owned = CStr::to_owned;
    Some(Service { name: owned(name), aliases: Vec::new(), port, protocol: owned(protocol) })
}

/// For machines without /etc/protocols.
fn common_protocol(is_it: impl Fn(&CStr, i32) -> bool) -> Option<Protocol> {
    const KNOWN: &[(&CStr, i32)] = &[
        (c"ip", libc::IPPROTO_IP),
        (c"icmp", libc::IPPROTO_ICMP),
        (c"igmp", libc::IPPROTO_IGMP),
        (c"tcp", libc::IPPROTO_TCP),
        (c"udp", libc::IPPROTO_UDP),
        (c"ipv6", libc::IPPROTO_IPV6),
        (c"ipv6-icmp", libc::IPPROTO_ICMPV6),
    ];
    let &(name, number) = KNOWN.iter().find(|&&(name, number)| is_it(name, number))?;
    Some(Protocol { name: name.to_owned(), aliases: Vec::new(), number })
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use super::*;
    use crate::winsock::error::number;

    const LOOPBACK: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);

    #[test]
    fn a_name_that_was_looked_up_is_remembered_and_one_of_an_address_is_not() {
        let host = host_by_name(Some(c"localhost")).unwrap();
        assert!(host.addresses.contains(&LOOPBACK));
        assert_eq!(names::find(&Address::of_host(LOOPBACK)).unwrap().as_str(), "localhost");

        let other = IpAddr::V4(Ipv4Addr::new(127, 0, 0, 77));
        let _ = host_by_address(other);
        assert_eq!(names::find(&Address::of_host(other)), None);
        let found = addresses(Some(c"127.0.0.77"), Some(c"25"), None).unwrap();
        assert!(found.iter().all(|found| found.address.host() == Some(other)));
        assert_eq!(names::find(&Address::of_host(other)).unwrap().as_str(), "127.0.0.77");
    }

    #[test]
    fn no_name_is_this_machine() {
        for name in [None, Some(c"")] {
            let host = host_by_name(name).unwrap();
            assert_eq!(host.name, look_up::host_name());
            assert!(!host.addresses.is_empty());
        }
        assert!(!host_by_name(Some(&look_up::host_name())).unwrap().addresses.is_empty());
    }

    #[test]
    fn what_there_is_not_has_winsocks_numbers() {
        let of = |outcome: Result<Host>| number(&outcome.err().unwrap());
        // Without a network the name server cannot be asked.
        let nothing = of(host_by_name(Some(c"no-such-host.invalid")));
        assert!([WSAHOST_NOT_FOUND, WSATRY_AGAIN].contains(&nothing), "{nothing}");
        let none = addresses(None, None, None).err().unwrap();
        assert_eq!(number(&none), WSAHOST_NOT_FOUND);
        let family = Hints { family: 77, ..Hints::default() };
        let none = addresses(Some(c"127.0.0.1"), None, Some(family)).err().unwrap();
        assert_eq!(number(&none), WSAEAFNOSUPPORT);
        let flags = Hints { flags: 0x4000_0000, ..Hints::default() };
        let none = addresses(Some(c"127.0.0.1"), None, Some(flags)).err().unwrap();
        assert_eq!(number(&none), WSAEINVAL);
        assert_eq!(number(&service_by_name(c"no-such", None).err().unwrap()), WSANO_DATA);
        assert_eq!(number(&protocol_by_name(c"no-such").err().unwrap()), WSANO_DATA);
    }

    #[test]
    fn flags_have_windows_values() {
        let numeric = Hints { flags: 0x4, family: libc::AF_INET, ..Hints::default() };
        let refusal = addresses(Some(c"localhost"), None, Some(numeric)).err().unwrap();
        assert_eq!(number(&refusal), WSAHOST_NOT_FOUND);
        let passive = Hints {
            flags: 0x1,
            family: libc::AF_INET,
            socket_type: libc::SOCK_STREAM,
            protocol: 0,
        };
        let any = addresses(None, Some(c"25"), Some(passive)).unwrap();
        assert_eq!(any[0].address.host(), Some(IpAddr::V4(Ipv4Addr::UNSPECIFIED)));

        let loopback = Address::of_host(LOOPBACK);
        let (host, _) = names_of(&loopback, true, false, 0x2).unwrap();
        assert_eq!(host.as_c_str(), c"127.0.0.1");
    }

    #[test]
    fn addresses_are_read_as_windows_reads_them() {
        let of = |text: &CStr| u32::from_be(inet_addr(text));
        assert_eq!(of(c"192.0.2.1"), 0xC000_0201);
        assert_eq!(of(c"127.1"), 0x7F00_0001);
        assert_eq!(of(c"0x7f.1"), 0x7F00_0001);
        assert_eq!(of(c"010.0.0.1"), 0x0800_0001);
        assert_eq!(of(c" "), 0);
        for junk in [c"", c"256.0.0.1", c"mail.test", c"1.2.3.4.5", c"::1", c"1.2.3.4x"] {
            assert_eq!(inet_addr(junk), INADDR_NONE, "{junk:?}");
        }
    }

    #[test]
    fn services_and_protocols_are_known_without_files() {
        assert_eq!(service_by_name(c"smtp", Some(c"tcp")).unwrap().port, 25);
        assert_eq!(service_by_name(c"https", None).unwrap().port, 443);
        assert_eq!(service_by_port(110, None).unwrap().name.as_c_str(), c"pop3");
        assert_eq!(protocol_by_name(c"tcp").unwrap().number, 6);
        assert_eq!(protocol_by_number(17).unwrap().name.as_c_str(), c"udp");
        assert_eq!(common_service(|known, _| known == c"nntp", None).unwrap().port, 119);
        assert!(common_service(|known, _| known == c"nntp", Some(c"udp")).is_none());
        assert_eq!(common_protocol(|known, _| known == c"tcp").unwrap().number, 6);
    }
}
