//! The names in a certificate, as text that no value in them can bend.
//!
//! Programs look for "CN=" in such a text and cut what follows at the next comma or space. So no
//! value may hold an "=", and the value of the name that programs compare may hold nothing at
//! which one of them cuts.

use x509_parser::prelude::FromDer;
use x509_parser::x509::X509Name;

/// An X.501 name: in the order in which it stands in the certificate, usually the country first.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct DistinguishedName {
    parts: Vec<Part>,
}

#[derive(Debug, PartialEq, Eq)]
struct Part {
    /// Dotted.
    identifier: String,
    value: String,
    /// Whether it is one with the part before it.
    joined: bool,
}

/// How [`DistinguishedName::text`] looks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Look {
    /// The values alone.
    Simple,
    /// "2.5.4.3=value".
    Identifiers,
    /// "CN=value".
    X500,
}

#[derive(Clone, Copy, Debug)]
pub struct Format {
    pub look: Look,
    pub separator: &'static str,
    pub joint: &'static str,
    pub quotes: bool,
    pub reversed: bool,
}

impl DistinguishedName {
    /// Reads a name in DER.
    pub fn parse(der: &[u8]) -> Option<Self> {
        let (_, name) = X509Name::from_der(der).ok().filter(|(rest, _)| rest.is_empty())?;
        let mut parts = Vec::new();
        for relative in name.iter() {
            for (index, attribute) in relative.iter().enumerate() {
                let value = attribute.attr_value();
                parts.push(Part {
                    identifier: attribute.attr_type().to_id_string(),
                    value: decode(value.tag().0, value.data),
                    joined: index > 0,
                });
            }
        }
        Some(Self { parts })
    }

    /// The first value of this kind, control characters escaped.
    pub fn attribute(&self, identifier: &str) -> Option<String> {
        let found = self.parts.iter().find(|part| part.identifier == identifier)?;
        Some(escape(&found.value, char::is_control))
    }

    /// The first common name that is not empty.
    pub fn common_name(&self) -> Option<String> {
        Some(escape(&self.parts.get(self.place_of_common_name()?)?.value, char::is_control))
    }

    /// The last value of the name, control characters escaped.
    pub fn last(&self) -> Option<String> {
        self.parts.last().map(|part| escape(&part.value, char::is_control))
    }

    pub fn text(&self, format: Format) -> String {
        let mut text = String::new();
        let mut groups: Vec<Vec<&Part>> = Vec::new();
        for part in &self.parts {
            match groups.last_mut() {
                Some(group) if part.joined => group.push(part),
                _ => groups.push(vec![part]),
            }
        }
        if format.reversed {
            groups.reverse();
        }
        for (index, group) in groups.iter().enumerate() {
            text.push_str(if index > 0 { format.separator } else { "" });
            for (index, part) in group.iter().enumerate() {
                text.push_str(if index > 0 { format.joint } else { "" });
                part.write(format, &mut text);
            }
        }
        text
    }

    /// "CN=host, O=Example, C=DE" in printable ASCII: the first common name first and no other, then
    /// the rest from the particular to the general. For the name that programs compare: `stand_in` is
    /// for one without a common name.
    pub fn of_host(&self, stand_in: Option<&str>) -> String {
        self.with_common_name_first(stand_in, |c| ends_a_value(c) || !is_printable(c))
    }

    /// The same for a name that only people read: spaces and commas are left in it.
    pub fn of_authority(&self) -> String {
        self.with_common_name_first(None, is_no_part)
    }

    fn with_common_name_first(
        &self,
        stand_in: Option<&str>,
        is_special: impl Fn(char) -> bool,
    ) -> String {
        let common_name = self.place_of_common_name();
        let value = common_name.and_then(|at| self.parts.get(at)).map(|part| part.value.as_str());
        let mut pieces = Vec::new();
        if let Some(value) = value.or(stand_in) {
            pieces.push(format!("CN={}", limited(value, is_special)));
        }
        for (at, part) in self.parts.iter().enumerate().rev() {
            if Some(at) == common_name || part.value.is_empty() {
                continue;
            }
            let key = match part.key() {
                // Whoever looks for "CN=" must not find a second.
                "CN" => COMMON_NAME,
                key => key,
            };
            let value = limited(&part.value, is_no_part);
            pieces.push(format!("{key}={value}"));
        }
        let mut text = String::new();
        for piece in pieces {
            if !text.is_empty() && text.len() + piece.len() > TEXT_LIMIT {
                text.push_str(", ...");
                break;
            }
            text.push_str(if text.is_empty() { "" } else { ", " });
            text.push_str(&piece);
        }
        text
    }

    fn place_of_common_name(&self) -> Option<usize> {
        self.parts.iter().position(|part| part.identifier == COMMON_NAME && !part.value.is_empty())
    }
}

impl Part {
    fn key(&self) -> &str {
        KEYS.iter()
            .find(|(identifier, _)| *identifier == self.identifier)
            .map_or(&self.identifier, |(_, key)| key)
    }

    fn write(&self, format: Format, text: &mut String) {
        let value = escape(&self.value, |c| c.is_control() || c == '=');
        match format.look {
            Look::Simple => {}
            Look::Identifiers => text.push_str(&format!("{}=", self.identifier)),
            Look::X500 => text.push_str(&format!("{}=", self.key())),
        }
        let needs_quotes = value.is_empty()
            || value.starts_with(' ')
            || value.ends_with(' ')
            || value.contains([',', '+', '"', '<', '>', '#', ';']);
        if format.quotes && needs_quotes && format.look != Look::Simple {
            text.push_str(&format!("\"{}\"", value.replace('"', "\"\"")));
        } else {
            text.push_str(&value);
        }
    }
}

/// Writes the bytes of special characters, and of the backslash, as `\xNN`.
pub fn escape(value: &str, is_special: impl Fn(char) -> bool) -> String {
    let mut escaped = String::with_capacity(value.len());
    for character in value.chars() {
        push(character, &is_special, &mut escaped);
    }
    escaped
}

fn push(character: char, is_special: impl Fn(char) -> bool, to: &mut String) {
    if character == '\\' || is_special(character) {
        for byte in character.encode_utf8(&mut [0; 4]).bytes() {
            to.push_str(&format!("\\x{byte:02x}"));
        }
    } else {
        to.push(character);
    }
}

/// The same, and "..." for what goes beyond the length of a host name, or is too long when written.
fn limited(value: &str, is_special: impl Fn(char) -> bool) -> String {
    let mut text = String::new();
    for (count, character) in value.chars().enumerate() {
        let before = text.len();
        push(character, &is_special, &mut text);
        if count >= VALUE_LIMIT || text.len() > WRITTEN_LIMIT {
            text.truncate(before);
            return text + "...";
        }
    }
    text
}

fn is_printable(character: char) -> bool {
    matches!(character, ' '..='~')
}

/// What could be taken for another part, or shown as something else.
fn is_no_part(character: char) -> bool {
    character == '=' || !is_printable(character)
}

/// Where programs cut.
fn ends_a_value(character: char) -> bool {
    matches!(character, ' ' | ',' | ';' | '\'' | '"' | '=' | '\\' | '/' | '+' | '<' | '>')
}

/// The characters of an ASN.1 string. What is none of the known kinds is read as Latin-1.
fn decode(tag: u32, data: &[u8]) -> String {
    let latin = || data.iter().copied().map(char::from).collect();
    match tag {
        BMP_STRING => {
            let units = data.chunks(2).map(|pair| match pair {
                [high, low] => u16::from_be_bytes([*high, *low]),
                _ => 0xfffd,
            });
            char::decode_utf16(units).map(|unit| unit.unwrap_or('\u{fffd}')).collect()
        }
        UNIVERSAL_STRING => data
            .chunks(4)
            .map(|bytes| <[u8; 4]>::try_from(bytes).map_or(0xfffd, u32::from_be_bytes))
            .map(|code| char::from_u32(code).unwrap_or('\u{fffd}'))
            .collect(),
        UTF8_STRING => std::str::from_utf8(data).map_or_else(|_| latin(), str::to_owned),
        _ => latin(),
    }
}

const UTF8_STRING: u32 = 12;
const UNIVERSAL_STRING: u32 = 28;
const BMP_STRING: u32 = 30;

pub(super) const COMMON_NAME: &str = "2.5.4.3";
pub(super) const ORGANIZATION: &str = "2.5.4.10";
pub(super) const ORGANIZATIONAL_UNIT: &str = "2.5.4.11";
pub(super) const EMAIL: &str = "1.2.840.113549.1.9.1";

/// Windows's keys.
const KEYS: &[(&str, &str)] = &[
    (COMMON_NAME, "CN"),
    ("2.5.4.4", "SN"),
    ("2.5.4.5", "SERIALNUMBER"),
    ("2.5.4.6", "C"),
    ("2.5.4.7", "L"),
    ("2.5.4.8", "S"),
    ("2.5.4.9", "STREET"),
    (ORGANIZATION, "O"),
    (ORGANIZATIONAL_UNIT, "OU"),
    ("2.5.4.12", "T"),
    ("2.5.4.42", "G"),
    ("2.5.4.43", "I"),
    ("0.9.2342.19200300.100.1.25", "DC"),
    (EMAIL, "E"),
];

/// As long as a host name can be.
const VALUE_LIMIT: usize = 253;
/// As long as one of ASCII can become.
const WRITTEN_LIMIT: usize = VALUE_LIMIT * 4;
/// Programs copy such a text into buffers of 1,024 characters.
const TEXT_LIMIT: usize = 1_000;

#[cfg(test)]
mod tests {
    use super::*;

    const X500: Format =
        Format { look: Look::X500, separator: ", ", joint: " + ", quotes: true, reversed: false };

    fn element(tag: u8, content: &[u8]) -> Vec<u8> {
        let length = content.len();
        let header = match length {
            0..0x80 => vec![tag, length as u8],
            _ => vec![tag, 0x82, (length >> 8) as u8, length as u8],
        };
        [&header[..], content].concat()
    }

    /// Each part with the last number of its identifier 2.5.4.x, a tag and a value.
    fn name(parts: &[(u8, u8, &[u8])]) -> DistinguishedName {
        let relatives = parts.iter().map(|(kind, tag, value)| {
            let attribute = [vec![6, 3, 0x55, 4, *kind], element(*tag, value)].concat();
            element(0x31, &element(0x30, &attribute))
        });
        let der = element(0x30, &relatives.collect::<Vec<_>>().concat());
        DistinguishedName::parse(&der).unwrap()
    }

    /// What the known programs take for the host: after "CN=", up to where one of them cuts.
    fn seen_by_programs(text: &str) -> Vec<String> {
        let lower = text.to_ascii_lowercase();
        lower
            .match_indices("cn=")
            .map(|(at, key)| {
                let rest = &lower[at + key.len()..];
                rest.split([',', ' ', '\t', '\'', ';']).next().unwrap_or_default().to_owned()
            })
            .collect()
    }

    #[test]
    fn the_common_name_comes_first_and_the_general_last() {
        let usual = name(&[
            (6, 19, b"DE"),
            (10, 12, b"Example, Inc."),
            (11, 12, b"Web"),
            (3, 12, b"a.test"),
        ]);
        assert_eq!(usual.of_host(None), "CN=a.test, OU=Web, O=Example, Inc., C=DE");
        assert_eq!(usual.of_host(Some("b.test")), usual.of_host(None));
        assert_eq!(usual.of_authority(), usual.of_host(None));
        assert_eq!(usual.text(X500), "C=DE, O=\"Example, Inc.\", OU=Web, CN=a.test");
        let reversed = Format { reversed: true, quotes: false, separator: "; ", ..X500 };
        assert_eq!(usual.text(reversed), "CN=a.test; OU=Web; O=Example, Inc.; C=DE");
        let simple = Format { look: Look::Simple, ..X500 };
        assert_eq!(usual.text(simple), "DE, Example, Inc., Web, a.test");
        let identifiers = Format { look: Look::Identifiers, ..X500 };
        assert!(usual.text(identifiers).starts_with("2.5.4.6=DE, 2.5.4.10=\"Example"));
        assert_eq!(usual.common_name().as_deref(), Some("a.test"));
        assert_eq!(usual.attribute("2.5.4.6").as_deref(), Some("DE"));
        assert_eq!(usual.attribute("2.5.4.7"), None);
    }

    #[test]
    fn a_name_without_a_common_name_gets_the_one_that_stands_in() {
        let nameless = name(&[(6, 19, b"DE"), (3, 12, b"")]);
        assert_eq!(nameless.of_host(Some("a.test")), "CN=a.test, C=DE");
        assert_eq!(nameless.of_host(None), "C=DE");
        let empty = name(&[]);
        assert_eq!(empty.of_host(Some("a.test")), "CN=a.test");
        assert_eq!(empty.of_host(None), "");
    }

    #[test]
    fn no_value_makes_a_program_see_another_host() {
        type Parts<'a> = &'a [(u8, u8, &'a [u8])];
        let cases: &[Parts<'_>] = &[
            &[(3, 12, b"good.example, CN=evil.example")],
            &[(3, 12, b"good.example,evil")],
            &[(3, 12, b"good.example evil")],
            &[(3, 12, b"good.example\tevil")],
            &[(3, 12, b"good.example'evil")],
            &[(3, 12, b"good.example;evil")],
            &[(3, 12, b"good.example\0.evil.example")],
            &[(3, 12, b"good.example\nevil")],
            &[(3, 12, b"x CN=good.example")],
            &[(3, 12, b"evil.example"), (10, 12, b"CN=good.example")],
            &[(3, 12, b"evil.example"), (10, 12, b"x, CN=good.example")],
            &[(10, 12, b"x;CN=good.example,"), (3, 12, b"evil.example")],
            &[(10, 12, b"x, cn=good.example"), (3, 12, b"evil.example")],
            // The second common name, before and behind.
            &[(3, 12, b"evil.example"), (3, 12, b"good.example")],
            // The wide forms, in which a NUL stands before each letter.
            &[(3, 30, b"\0g\0o\0o\0d\0.\0e\0x\0a\0m\0p\0l\0e\0 \0x")],
            &[(3, 28, b"\0\0\0g\0\0\0o\0\0\0o\0\0\0d\0\0\0,")],
            // No host at all.
            &[(10, 12, b"CN=good.example")],
            &[(10, 12, b", CN=good.example")],
        ];
        for parts in cases {
            let text = name(parts).of_host(None);
            assert!(text.bytes().all(|byte| (b' '..=b'~').contains(&byte)), "{text}");
            let seen = seen_by_programs(&text);
            assert!(seen.len() <= 1, "{text}");
            assert!(!seen.contains(&"good.example".to_owned()), "{text}");
            assert_eq!(seen.len(), usize::from(parts.iter().any(|part| part.0 == 3)), "{text}");
            assert!(seen_by_programs(&name(parts).of_authority()).len() <= 1, "{text}");
            // The other look is no easier to bend.
            let other = name(parts).text(X500);
            let commons = parts.iter().filter(|part| part.0 == 3).count();
            assert_eq!(seen_by_programs(&other).len(), commons, "{other}");
            assert!(!other.contains('\0'), "{other:?}");
        }
        let authority = name(&[(3, 12, b"Some Root, CN=x"), (10, 12, b"Some, Inc.")]);
        assert_eq!(authority.of_authority(), "CN=Some Root, CN\\x3dx, O=Some, Inc.");
        // A name in a wide form that says nothing else is what it says.
        let wide = name(&[(3, 30, b"\0a\0.\0t\0e\0s\0t")]);
        assert_eq!(wide.of_host(None), "CN=a.test");
    }

    #[test]
    fn a_giant_name_makes_a_text_that_fits() {
        let long = [b'a'; 1_000];
        let parts: Vec<_> = (0..40).map(|_| (10, 12, &long[..])).collect();
        let text = name(&[&[(3, 12, &long[..])], &parts[..]].concat()).of_host(None);
        assert!(text.len() < 1_024 && text.starts_with("CN=aaa") && text.ends_with(", ..."));
        assert_eq!(seen_by_programs(&text)[0].len(), VALUE_LIMIT + 3);
        // Escaping makes it longer.
        let wild = name(&[(3, 12, &[b' '; 300]), (10, 12, b"x")]).of_host(None);
        assert_eq!(wild, format!("CN={}..., ...", "\\x20".repeat(VALUE_LIMIT)));
        let wilder = "\u{1f600}".repeat(300);
        let parts: [(u8, u8, &[u8]); 2] = [(3, 12, wilder.as_bytes()), (10, 12, b"x")];
        for text in [name(&parts).of_host(None), name(&parts).of_authority()] {
            assert!(text.len() < 1_024 && text.ends_with("\\xf0\\x9f\\x98\\x80..., ..."), "{text}");
        }
    }

    #[test]
    fn letters_outside_ascii_are_kept_where_text_is_wide() {
        let name = name(&[(10, 12, "Bücher".as_bytes()), (3, 20, b"b\xfccher.test")]);
        assert_eq!(name.of_host(None), "CN=b\\xc3\\xbccher.test, O=B\\xc3\\xbccher");
        assert_eq!(name.text(X500), "O=Bücher, CN=bücher.test");
        assert_eq!(name.last().as_deref(), Some("bücher.test"));
    }
}
