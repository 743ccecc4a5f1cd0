//! The name that the program gives for its peer.

use std::net::IpAddr;
use std::str::FromStr;
use std::sync::Arc;

use idna::uts46::{AsciiDenyList, DnsLength, Hyphens, Uts46};
use rustls::pki_types::{DnsName, ServerName};

use crate::error::{Code, Error, Result, quote};

/// A peer name as given by the program: a DNS name or an IP literal, ready for SNI and
/// verification.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct PeerName(Arc<Name>);

#[derive(Debug, PartialEq, Eq, Hash)]
struct Name {
    text: String,
    server_name: ServerName<'static>,
}

impl PeerName {
    /// Reads a host name, an IPv4 address or an IPv6 address (with or without brackets).
    ///
    /// One trailing dot is dropped, for certificates never have it. A non-ASCII name is converted
    /// by IDNA (UTS 46, non-transitional, strict). ASCII labels are taken as they are.
    pub fn parse(input: &str) -> Result<Self> {
        let undotted = input.strip_suffix('.').unwrap_or(input);
        if undotted.is_empty() {
            return Err(Error::new(
                Code::NO_NAME,
                "no host name given: pass the name that the program connects to, \
                 because the peer's certificate is checked against it",
            ));
        }
        if let Some(name) = Self::in_final_form(input) {
            return Ok(name);
        }
        if input.len() > INPUT_LIMIT {
            return Err(too_long(input, input.len()));
        }
        if let Some(address) = address(undotted)? {
            return Ok(Self::new(address.to_string(), ServerName::from(address)));
        }
        refuse_what_is_more_than_a_name(input)?;

        let ascii = if input.is_ascii() { input.to_ascii_lowercase() } else { to_ascii(input)? };
        // An ideographic full stop at the end has become a dot only now.
        let ascii = ascii.strip_suffix('.').unwrap_or(&ascii);
        match DnsName::try_from_str(ascii) {
            Ok(dns) if !ascii.ends_with('.') => {
                Ok(Self::new(ascii.to_owned(), ServerName::DnsName(dns.to_owned())))
            }
            _ => Err(not_a_name(input, ascii)),
        }
    }

    /// Most names are given as they are used. Without a colon and with a letter at the end it is no
    /// address.
    fn in_final_form(input: &str) -> Option<Self> {
        let is_fitting = |byte: u8| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_');
        let ends_in_letter = input.ends_with(|c: char| c.is_ascii_lowercase());
        let dns = (ends_in_letter && input.bytes().all(is_fitting))
            .then(|| DnsName::try_from_str(input).ok())??;
        Some(Self::new(input.to_owned(), ServerName::DnsName(dns.to_owned())))
    }

    fn new(text: String, server_name: ServerName<'static>) -> Self {
        Self(Arc::new(Name { text, server_name }))
    }

    /// What TLS takes: a DNS name goes into SNI, an address does not.
    pub fn server_name(&self) -> &ServerName<'static> {
        &self.0.server_name
    }

    /// The ASCII form in lower case, as it is verified.
    pub fn as_str(&self) -> &str {
        &self.0.text
    }

    /// Whether this is an IP literal, which has to stand in the certificate as an IP address.
    pub fn is_ip(&self) -> bool {
        matches!(self.0.server_name, ServerName::IpAddress(_))
    }
}

fn address(name: &str) -> Result<Option<IpAddr>> {
    let unbracketed = match name.strip_prefix('[') {
        None => name,
        Some(rest) => match rest.split_once(']') {
            Some((inside, "")) if inside.contains(':') => inside,
            Some((_, after)) if after.starts_with(':') => return Err(has_port(name)),
            _ => return Err(invalid(name, "brackets go around an IPv6 address and nothing else")),
        },
    };
    if let Some((before, _)) = unbracketed.split_once('%')
        && before.contains(':')
    {
        return Err(invalid(
            name,
            "leave out the zone id (from \"%\" on): it is needed to connect, but no certificate \
             can name it",
        ));
    }
    match IpAddr::from_str(unbracketed) {
        Ok(address) => Ok(Some(address)),
        Err(_) if unbracketed.len() != name.len() => {
            Err(invalid(name, "what stands in the brackets is not an IPv6 address"))
        }
        Err(_) => Ok(None),
    }
}

fn refuse_what_is_more_than_a_name(name: &str) -> Result<()> {
    if name.contains("://") {
        return Err(invalid(name, "give the host name only, not a URL"));
    }
    if name.contains(['/', '?', '#', '\\']) {
        return Err(invalid(name, "give the host name only, without a path"));
    }
    if name.contains('@') {
        return Err(invalid(name, "give the host name only, without a user"));
    }
    match name.split_once(':') {
        Some((_, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => {
            return Err(has_port(name));
        }
        Some(_) => {
            return Err(invalid(name, "a host name has no colon, and it is no IPv6 address"));
        }
        None => {}
    }
    if name.contains(|c: char| c.is_whitespace() || c.is_control()) {
        return Err(invalid(name, "a host name has no spaces and no control characters"));
    }
    if name.contains('*') {
        return Err(invalid(
            name,
            "give the host's own name: a wildcard can only stand in certificates",
        ));
    }
    Ok(())
}

fn to_ascii(name: &str) -> Result<String> {
    // The lengths are checked afterwards, by the one rule for all names.
    Uts46::new()
        .to_ascii(name.as_bytes(), AsciiDenyList::STD3, Hyphens::Check, DnsLength::Ignore)
        .map_err(|_| {
            invalid(
                name,
                "it has characters that an international host name (IDNA) may not have: \
                 give its ASCII form (\"xn--...\") if there is one",
            )
        })
        .map(|ascii| ascii.into_owned())
}

fn not_a_name(name: &str, ascii: &str) -> Error {
    if ascii.len() > NAME_LIMIT {
        return too_long(name, ascii.len());
    }
    let last = ascii.rsplit('.').next().unwrap_or_default();
    let why = if ascii.split('.').any(str::is_empty) {
        "it has an empty label (two dots in a row, or a dot at the start)"
    } else if ascii.split('.').any(|label| label.len() > LABEL_LIMIT) {
        "a label (what stands between two dots) has at most 63 characters"
    } else if ascii.split('.').any(|label| label.starts_with('-') || label.ends_with('-')) {
        "no label may begin or end with a hyphen"
    } else if last.starts_with(|c: char| c.is_ascii_digit()) && is_plain(ascii) {
        "it ends in a number, but is not an IPv4 address of four decimal numbers"
    } else {
        "a host name has only letters, digits, hyphens and dots"
    };
    if name.is_ascii() {
        return invalid(name, why);
    }
    let (name, ascii) = (quote(name.as_bytes()), quote(ascii.as_bytes()));
    Error::new(Code::INVALID, format!("not a host name: {name} (in ASCII {ascii}): {why}"))
}

fn is_plain(ascii: &str) -> bool {
    ascii.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_'))
}

fn too_long(name: &str, length: usize) -> Error {
    let why = format!("it is {length} bytes long, but a host name has at most {NAME_LIMIT}");
    invalid(name, &why)
}

fn has_port(name: &str) -> Error {
    invalid(name, "give the host name only, without a port")
}

fn invalid(name: &str, why: &str) -> Error {
    Error::new(Code::INVALID, format!("not a host name: {}: {why}", quote(name.as_bytes())))
}

/// Longer input is refused unseen. In UTF-8 a valid name can be longer than its ASCII form.
const INPUT_LIMIT: usize = 1024;
const NAME_LIMIT: usize = 253;
const LABEL_LIMIT: usize = 63;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_addresses_are_taken_in_every_spelling() {
        for (input, text, is_ip) in [
            ("mail.test", "mail.test", false),
            ("MAIL.Test.", "mail.test", false),
            ("localhost", "localhost", false),
            ("_smtp.a_b.test", "_smtp.a_b.test", false),
            ("r3---sn.test", "r3---sn.test", false),
            ("xn--bcher-kva.test", "xn--bcher-kva.test", false),
            ("bücher.test", "xn--bcher-kva.test", false),
            ("BÜCHER.test.", "xn--bcher-kva.test", false),
            ("straße.test", "xn--strae-oqa.test", false),
            ("例え。テスト。", "xn--r8jz45g.xn--zckzah", false),
            ("192.0.2.7", "192.0.2.7", true),
            ("192.0.2.7.", "192.0.2.7", true),
            ("2001:DB8:0::7", "2001:db8::7", true),
            ("[::1]", "::1", true),
            ("::ffff:192.0.2.7", "::ffff:192.0.2.7", true),
            ("7.test", "7.test", false),
        ] {
            let name = PeerName::parse(input).unwrap();
            assert_eq!((name.as_str(), name.is_ip()), (text, is_ip), "{input}");
            assert_eq!(name.server_name().to_str(), text, "{input}");
        }
        assert_eq!(PeerName::parse("[::1]").unwrap(), PeerName::parse("0::1").unwrap());
    }

    #[test]
    fn what_is_no_name_is_refused_with_the_reason() {
        let label_64 = format!("{}.test", "a".repeat(64));
        let name_254 = format!("{}.test", "a.".repeat(125).trim_end_matches('.'));
        assert_eq!(name_254.len(), 254);
        for (input, why) in [
            ("mail.test:993", "give the host name only, without a port"),
            ("[::1]:993", "give the host name only, without a port"),
            ("mail.test:", "give the host name only, without a port"),
            ("https://mail.test/", "give the host name only, not a URL"),
            ("mail.test/inbox", "give the host name only, without a path"),
            ("me@mail.test", "give the host name only, without a user"),
            ("mail test", "a host name has no spaces and no control characters"),
            (" mail.test", "a host name has no spaces and no control characters"),
            ("mail.test\t", "a host name has no spaces and no control characters"),
            ("*.test", "give the host's own name: a wildcard can only stand in certificates"),
            ("[mail.test]", "brackets go around an IPv6 address and nothing else"),
            ("[::1", "brackets go around an IPv6 address and nothing else"),
            ("[::g]", "what stands in the brackets is not an IPv6 address"),
            ("a:b:c", "a host name has no colon, and it is no IPv6 address"),
            ("a..test", "it has an empty label (two dots in a row, or a dot at the start)"),
            (".test", "it has an empty label (two dots in a row, or a dot at the start)"),
            ("mail.test..", "it has an empty label (two dots in a row, or a dot at the start)"),
            ("-a.test", "no label may begin or end with a hyphen"),
            ("a-.test", "no label may begin or end with a hyphen"),
            ("1.2.3", "it ends in a number, but is not an IPv4 address of four decimal numbers"),
            ("0x7f.0x1", "it ends in a number, but is not an IPv4 address of four decimal numbers"),
            ("a!b.test", "a host name has only letters, digits, hyphens and dots"),
            (&label_64, "a label (what stands between two dots) has at most 63 characters"),
            (
                "fe80::1%eth0",
                "leave out the zone id (from \"%\" on): it is needed to connect, but no \
                 certificate can name it",
            ),
        ] {
            let error = PeerName::parse(input).unwrap_err();
            assert_eq!(error.code, Code::INVALID, "{input}");
            assert_eq!(error.text, format!("not a host name: {}: {why}", quote(input.as_bytes())));
        }
        assert!(
            PeerName::parse(&name_254)
                .unwrap_err()
                .text
                .ends_with("\": it is 254 bytes long, but a host name has at most 253")
        );
        assert!(PeerName::parse(&name_254[1..]).is_err(), "begins with a dot");
        assert!(PeerName::parse(&name_254[2..]).is_ok(), "252 characters");
        assert_eq!(
            PeerName::parse("mail\0.test").unwrap_err().text,
            "not a host name: \"mail\\x00.test\": \
             a host name has no spaces and no control characters"
        );
    }

    #[test]
    fn a_missing_name_says_what_to_do() {
        for input in ["", "."] {
            let error = PeerName::parse(input).unwrap_err();
            assert_eq!(error.code, Code::NO_NAME);
            assert_eq!(
                error.text,
                "no host name given: pass the name that the program connects to, because the \
                 peer's certificate is checked against it"
            );
        }
    }

    #[test]
    fn international_names_that_do_not_convert_are_refused() {
        for input in ["bü cher.test", "bü_cher.test", "b\u{fc}--.test-", "\u{ad}", "a\u{2028}b"] {
            let error = PeerName::parse(input).unwrap_err();
            assert_eq!(error.code, Code::INVALID, "{input}");
        }
        assert_eq!(
            PeerName::parse("b\u{fffd}.test").unwrap_err().text,
            "not a host name: \"b\\xef\\xbf\\xbd.test\": it has characters that an international \
             host name (IDNA) may not have: give its ASCII form (\"xn--...\") if there is one"
        );
        // Full-width digits must not turn a name into an address behind the caller's back.
        assert_eq!(
            PeerName::parse("１.0.0.7").unwrap_err().text,
            "not a host name: \"\\xef\\xbc\\x91.0.0.7\" (in ASCII \"1.0.0.7\"): it ends in a \
             number, but is not an IPv4 address of four decimal numbers"
        );
    }

    #[test]
    fn a_giant_name_makes_a_small_text() {
        for input in ["a".repeat(65_536), "ü".repeat(32_768), "a.".repeat(32_768)] {
            let error = PeerName::parse(&input).unwrap_err();
            assert_eq!(error.code, Code::INVALID);
            assert!(error.text.len() < 500, "{}", error.text.len());
            assert!(error.text.contains("bytes long, but a host name has at most 253"));
        }
    }
}
