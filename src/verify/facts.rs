//! What a certificate says of itself, also one that webpki refuses to read.

use std::net::IpAddr;

use rustls::pki_types::{CertificateDer, SubjectPublicKeyInfoDer};
use x509_parser::certificate::X509Certificate;
use x509_parser::extensions::{ExtendedKeyUsage, GeneralName, ParsedExtension};
use x509_parser::prelude::FromDer;
use x509_parser::public_key::PublicKey;
use x509_parser::x509::SubjectPublicKeyInfo;

use super::text::{DISTINGUISHED_NAME_LIMIT, NAME_LIMIT, escape};

/// What a certificate says of itself. None of it is verified.
#[derive(Debug)]
pub(super) struct Facts {
    pub(super) subject: String,
    pub(super) issuer: String,
    /// The contents of the two names in DER, as a trust anchor has them.
    pub(super) subject_der: Vec<u8>,
    pub(super) issuer_der: Vec<u8>,
    pub(super) not_before: i64,
    pub(super) not_after: i64,
    pub(super) names: Vec<AlternativeName>,
    /// Whether there are alternative names, of hosts or of others.
    pub(super) has_alternative_names: bool,
    pub(super) common_name: Option<String>,
    /// What it may be used for, if that is limited.
    pub(super) usage: Option<Usage>,
    pub(super) version: u32,
    /// As its contents stand in DER.
    pub(super) serial: Vec<u8>,
    pub(super) rsa_bits: Option<usize>,
    /// Whether its key usage, if it has one, lets its key sign certificates.
    pub(super) may_sign_certificates: bool,
    /// Critical extensions that are not among those which everybody knows.
    pub(super) critical: Vec<String>,
    pub(super) key: Vec<u8>,
    pub(super) signed: Signed,
}

/// A DNS name or an address that a certificate is for.
#[derive(Debug)]
pub(super) struct AlternativeName {
    /// Escaped.
    pub(super) text: String,
    pub(super) is_ip: bool,
}

/// The purposes of an extended key usage.
#[derive(Debug)]
pub(super) struct Usage {
    pub(super) servers: bool,
    pub(super) clients: bool,
    pub(super) text: String,
}

/// What the issuer has signed, and how.
#[derive(Debug)]
pub(super) struct Signed {
    pub(super) message: Vec<u8>,
    /// The contents of the object identifier.
    pub(super) algorithm: Vec<u8>,
    pub(super) signature: Vec<u8>,
}

impl Facts {
    pub(super) fn parse(der: &[u8]) -> Option<Self> {
        let (_, certificate) =
            X509Certificate::from_der(der).ok().filter(|(rest, _)| rest.is_empty())?;
        let tbs = &certificate.tbs_certificate;
        let mut facts = Self {
            subject: escape(tbs.subject.to_string().as_bytes(), DISTINGUISHED_NAME_LIMIT),
            issuer: escape(tbs.issuer.to_string().as_bytes(), DISTINGUISHED_NAME_LIMIT),
            subject_der: contents(tbs.subject.as_raw()).to_vec(),
            issuer_der: contents(tbs.issuer.as_raw()).to_vec(),
            not_before: tbs.validity.not_before.timestamp(),
            not_after: tbs.validity.not_after.timestamp(),
            names: Vec::new(),
            has_alternative_names: false,
            common_name: tbs
                .subject
                .iter_common_name()
                .next()
                .map(|name| escape(name.attr_value().data, NAME_LIMIT)),
            usage: None,
            // The encoded number is one less.
            version: tbs.version.0.saturating_add(1),
            serial: tbs.raw_serial().to_vec(),
            rsa_bits: rsa_bits(&tbs.subject_pki),
            may_sign_certificates: true,
            critical: Vec::new(),
            key: tbs.subject_pki.raw.to_vec(),
            signed: Signed {
                message: tbs.as_ref().to_vec(),
                algorithm: certificate.signature_algorithm.algorithm.as_bytes().to_vec(),
                signature: certificate.signature_value.data.to_vec(),
            },
        };
        for extension in tbs.extensions() {
            match extension.parsed_extension() {
                ParsedExtension::SubjectAlternativeName(alternatives) => {
                    facts.has_alternative_names = true;
                    facts.names.extend(alternatives.general_names.iter().filter_map(host));
                }
                ParsedExtension::ExtendedKeyUsage(usage) => {
                    facts.usage = Some(Usage {
                        servers: usage.server_auth,
                        clients: usage.client_auth,
                        text: purposes(usage),
                    });
                }
                ParsedExtension::KeyUsage(usage) => {
                    facts.may_sign_certificates = usage.key_cert_sign();
                }
                ParsedExtension::UnsupportedExtension { oid } if extension.critical => {
                    facts.critical.push(escape(oid.to_id_string().as_bytes(), NAME_LIMIT));
                }
                _ => {}
            }
        }
        Some(facts)
    }

    pub(super) fn is_self_issued(&self) -> bool {
        self.subject_der == self.issuer_der
    }

    /// Whether one of the names is `expected`, for a certificate on which webpki gives no answer.
    pub(super) fn names_host(&self, expected: &str, is_ip: bool) -> bool {
        self.names.iter().filter(|name| name.is_ip == is_ip).any(|name| {
            name.text.eq_ignore_ascii_case(expected)
                || (!is_ip
                    && name.text.strip_prefix("*.").is_some_and(|parent| {
                        parent.contains('.')
                            && expected
                                .split_once('.')
                                .is_some_and(|(_, rest)| rest.eq_ignore_ascii_case(parent))
                    }))
        })
    }
}

/// The leaf's public key: as webpki reads it, or, for what webpki refuses, as it stands there.
pub fn public_key(certificate: &CertificateDer<'_>) -> Option<SubjectPublicKeyInfoDer<'static>> {
    match webpki::EndEntityCert::try_from(certificate) {
        Ok(parsed) => Some(parsed.subject_public_key_info()),
        Err(_) => Facts::parse(certificate).map(|facts| facts.key.into()),
    }
}

/// The size of an RSA key, `None` for keys of other kinds.
pub fn rsa_bits_of(key: &SubjectPublicKeyInfoDer<'_>) -> Option<usize> {
    rsa_bits(&SubjectPublicKeyInfo::from_der(key).ok()?.1)
}

fn host(name: &GeneralName<'_>) -> Option<AlternativeName> {
    let dns = |bytes| AlternativeName { text: escape(bytes, NAME_LIMIT), is_ip: false };
    match name {
        GeneralName::DNSName(name) => Some(dns(name.as_bytes())),
        GeneralName::Invalid(tag, bytes) if tag.0 == DNS_NAME_TAG => Some(dns(bytes)),
        GeneralName::IPAddress(bytes) => {
            let text = match (<[u8; 4]>::try_from(*bytes), <[u8; 16]>::try_from(*bytes)) {
                (Ok(v4), _) => IpAddr::from(v4).to_string(),
                (_, Ok(v6)) => IpAddr::from(v6).to_string(),
                _ => format!("an address of {} bytes", bytes.len()),
            };
            Some(AlternativeName { text, is_ip: true })
        }
        _ => None,
    }
}

fn purposes(usage: &ExtendedKeyUsage<'_>) -> String {
    let known = [
        (usage.server_auth, "server authentication"),
        (usage.client_auth, "client authentication"),
        (usage.code_signing, "code signing"),
        (usage.email_protection, "e-mail protection"),
        (usage.time_stamping, "time stamping"),
        (usage.ocsp_signing, "OCSP signing"),
        (usage.any, "any purpose"),
        (!usage.other.is_empty(), "other purposes"),
    ];
    let named: Vec<_> = known.iter().filter(|(has, _)| *has).map(|(_, name)| *name).collect();
    if named.is_empty() { "nothing".to_owned() } else { named.join(", ") }
}

fn rsa_bits(key: &SubjectPublicKeyInfo<'_>) -> Option<usize> {
    let Ok(PublicKey::RSA(key)) = key.parsed() else { return None };
    let zeros = key.modulus.iter().take_while(|&&byte| byte == 0).count();
    let significant = key.modulus.get(zeros..).unwrap_or_default();
    let first = significant.first().map_or(0, |byte| byte.leading_zeros() as usize);
    Some(significant.len() * 8 - first)
}

/// What a DER element holds, without tag and length; `der` has been parsed before.
fn contents(der: &[u8]) -> &[u8] {
    let header = match der.get(1) {
        Some(&long @ 0x80..) => 2 + usize::from(long & 0x7f),
        _ => 2,
    };
    der.get(header..).unwrap_or_default()
}

const DNS_NAME_TAG: u32 = 2;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_match_by_kind_and_a_wildcard_by_one_label() {
        let names = ["a.test", "*.b.test", "*.test", "*", "192.0.2.7", "192.0.2.8"];
        let names = names.map(|name| rcgen::SanType::DnsName(name.try_into().unwrap()));
        let mut params = rcgen::CertificateParams::default();
        params.subject_alt_names = names.to_vec();
        let address = rcgen::SanType::IpAddress("192.0.2.8".parse().unwrap());
        params.subject_alt_names.push(address);
        let certificate = params.self_signed(&rcgen::KeyPair::generate().unwrap()).unwrap();
        let facts = Facts::parse(certificate.der()).unwrap();
        for (expected, is_ip, found) in [
            ("a.test", false, true),
            ("A.TEST", false, true),
            ("x.b.test", false, true),
            ("x.y.b.test", false, false),
            ("b.test", false, false),
            ("c.test", false, false),
            ("test", false, false),
            ("192.0.2.8", true, true),
            ("192.0.2.7", true, false),
        ] {
            assert_eq!(facts.names_host(expected, is_ip), found, "{expected}");
        }
    }

    #[test]
    fn contents_takes_off_every_length_of_header() {
        assert_eq!(contents(b"\x30\x02ab"), b"ab");
        assert_eq!(contents(b"\x30\x81\x02ab"), b"ab");
        assert_eq!(contents(b"\x30\x82\x00\x02ab"), b"ab");
        assert_eq!(contents(b""), b"");
    }

    #[test]
    fn trailing_bytes_make_no_certificate() {
        let key = rcgen::KeyPair::generate().unwrap();
        let certificate = rcgen::CertificateParams::default().self_signed(&key).unwrap();
        assert!(Facts::parse(certificate.der()).is_some());
        assert!(Facts::parse(&[&certificate.der()[..], b"x"].concat()).is_none());
    }
}
