//! CertGetNameString and CertNameToStr: which name, and how it looks.

use super::certificate::Certificate;
use super::distinguished_name::{EMAIL, Format, Look, ORGANIZATION, ORGANIZATIONAL_UNIT, escape};

/// Which name of a certificate.
pub enum Kind {
    Email,
    /// All of it, in the look of CertNameToStr.
    Whole(u32),
    /// The attribute of this identifier.
    Attribute(String),
    /// The one that says most to people.
    Display,
    Dns,
}

/// The name of the subject or the issuer, if it is there.
pub fn name_of(certificate: &Certificate, is_issuer: bool, kind: &Kind) -> Option<String> {
    let name = if is_issuer { certificate.issuer_name() } else { certificate.subject_name() };
    // The alternative names are the subject's.
    let alternative = |bytes: Option<&Vec<u8>>| {
        let bytes = bytes.filter(|_| !is_issuer)?;
        Some(escape(&String::from_utf8_lossy(bytes), char::is_control))
    };
    match kind {
        Kind::Email => alternative(certificate.email.as_ref()).or_else(|| name.attribute(EMAIL)),
        Kind::Whole(look) => Some(name.text(format(*look))),
        Kind::Attribute(identifier) => name.attribute(identifier),
        Kind::Display => name
            .common_name()
            .or_else(|| name.attribute(ORGANIZATIONAL_UNIT))
            .or_else(|| name.attribute(ORGANIZATION))
            .or_else(|| name.attribute(EMAIL))
            .or_else(|| name.last())
            .or_else(|| alternative(certificate.email.as_ref()))
            .or_else(|| alternative(certificate.dns_names.first())),
        Kind::Dns => alternative(certificate.dns_names.first()).or_else(|| name.common_name()),
    }
}

/// The look that CERT_X500_NAME_STR and its flags ask for.
pub fn format(flags: u32) -> Format {
    let has = |flag: u32| flags & flag != 0;
    Format {
        look: match flags & 0xffff {
            2 => Look::Identifiers,
            3 => Look::X500,
            _ => Look::Simple,
        },
        separator: match (has(SEMICOLON), has(CRLF)) {
            (true, _) => "; ",
            (false, true) => "\r\n",
            (false, false) => ", ",
        },
        joint: if has(NO_PLUS) { " " } else { " + " },
        quotes: !has(NO_QUOTING),
        reversed: has(REVERSE),
    }
}

const REVERSE: u32 = 0x0200_0000;
const CRLF: u32 = 0x0800_0000;
const NO_QUOTING: u32 = 0x1000_0000;
const NO_PLUS: u32 = 0x2000_0000;
const SEMICOLON: u32 = 0x4000_0000;

#[cfg(test)]
mod tests {
    use rcgen::DnType;

    use super::*;
    use crate::verify::tests::fixtures::Ca;

    fn leaf(parts: &[(DnType, &str)]) -> Certificate {
        let leaf = Ca::root("Root").leaf(&["a.test", "b.test"], |params| {
            params.distinguished_name = rcgen::DistinguishedName::new();
            for (kind, value) in parts {
                params.distinguished_name.push(kind.clone(), *value);
            }
        });
        Certificate::parse(&leaf.der).unwrap()
    }

    #[test]
    fn each_kind_has_its_name() {
        let usual = leaf(&[(DnType::OrganizationName, "O, Ltd"), (DnType::CommonName, "c.test")]);
        let bare = leaf(&[]);
        let of = |certificate, is_issuer, kind| name_of(certificate, is_issuer, &kind);
        let attribute = |identifier: &str| Kind::Attribute(identifier.to_owned());
        for (found, expected) in [
            (of(&usual, false, Kind::Display), Some("c.test")),
            (of(&usual, true, Kind::Display), Some("Root")),
            (of(&usual, false, Kind::Dns), Some("a.test")),
            (of(&usual, true, Kind::Dns), Some("Root")),
            (of(&usual, false, Kind::Email), None),
            (of(&usual, false, attribute(ORGANIZATION)), Some("O, Ltd")),
            (of(&usual, false, attribute("1.2.3")), None),
            (of(&usual, false, Kind::Whole(3)), Some("O=\"O, Ltd\", CN=c.test")),
            (
                of(&usual, false, Kind::Whole(3 | REVERSE | SEMICOLON | NO_QUOTING)),
                Some("CN=c.test; O=O, Ltd"),
            ),
            (of(&usual, false, Kind::Whole(1 | CRLF)), Some("O, Ltd\r\nc.test")),
            (of(&bare, false, Kind::Display), Some("a.test")),
            (of(&bare, false, Kind::Whole(3)), Some("")),
        ] {
            assert_eq!(found.as_deref(), expected);
        }
        let organization = leaf(&[(DnType::OrganizationName, "Only")]);
        assert_eq!(of(&organization, false, Kind::Display).as_deref(), Some("Only"));
    }

    #[test]
    fn a_nul_in_a_name_does_not_end_it() {
        let hostile = leaf(&[(DnType::CommonName, "good.test\0.evil.test")]);
        let shown = name_of(&hostile, false, &Kind::Display).unwrap();
        assert_eq!(shown, "good.test\\x00.evil.test");
    }
}
