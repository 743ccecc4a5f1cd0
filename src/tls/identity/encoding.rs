//! Certificates and private keys as they come: PEM, or bare DER.
//!
//! PEM is read here rather than by rustls's crate, which leaves the key's text in freed memory.

use std::borrow::Cow;

use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use x509_parser::asn1_rs::{Any, FromDer, Oid, Tag};
use zeroize::Zeroizing;

use super::bad_data;
use crate::error::{Error, Result, quote};

/// The certificates of a chain: PEM sections among whatever else is there, or DER, one after
/// another.
pub fn certificates(input: &[u8]) -> Result<Vec<CertificateDer<'static>>> {
    if !is_pem(input) {
        return der_certificates(input);
    }
    let mut certificates = Vec::new();
    let mut others = Vec::new();
    for section in Sections(input) {
        let section = section.map_err(|flaw| in_chain(&flaw))?;
        match section.label {
            b"CERTIFICATE" | b"X509 CERTIFICATE" => {
                let der = decode(section.body).ok_or_else(|| in_chain(NOT_BASE64))?;
                certificates.push(CertificateDer::from(der.to_vec()));
            }
            b"PKCS7" => return Err(in_chain(PKCS7)),
            label => others.push(quote(label)),
        }
    }
    match certificates.is_empty() {
        true => {
            others.dedup();
            Err(in_chain(&format!("it holds no certificate, but {}", others.join(", "))))
        }
        false => Ok(certificates),
    }
}

/// A private key in PKCS #8, PKCS #1 or SEC 1 form, wiped when it is no longer needed.
pub struct PrivateKey<'a>(Secret<'a>);

enum Secret<'a> {
    Given(&'a [u8]),
    Decoded(Zeroizing<Vec<u8>>),
}

impl<'a> PrivateKey<'a> {
    /// The first key of a PEM file, which may hold certificates too, or a key in DER.
    pub fn parse(input: &'a [u8]) -> Result<Self> {
        let key = match is_pem(input) {
            true => Self(Secret::Decoded(pem_key(input)?)),
            false => Self(Secret::Given(input)),
        };
        match key.der() {
            Some(_) => Ok(key),
            None => Err(in_key(&what_else(key.bytes()))),
        }
    }

    pub fn bytes(&self) -> &[u8] {
        match &self.0 {
            Secret::Given(bytes) => bytes,
            Secret::Decoded(bytes) => bytes,
        }
    }

    /// Borrows: nothing is copied that would have to be wiped.
    fn der(&self) -> Option<PrivateKeyDer<'_>> {
        // It looks at the first bytes alone, and takes other files for keys.
        let bytes = self.bytes();
        let is_other = is_encrypted(bytes) || is_pkcs12(bytes);
        if is_other { None } else { PrivateKeyDer::try_from(bytes).ok() }
    }

    pub fn with_der<T>(&self, look: impl FnOnce(&PrivateKeyDer<'_>) -> T) -> Option<T> {
        self.der().as_ref().map(look)
    }

    /// What it is for, as PKCS #8 says it: the algorithm, and the curve of an EC key.
    pub fn algorithm(&self) -> Option<(Oid<'static>, Option<Oid<'static>>)> {
        let identifier = elements_of(elements(self.bytes())?.get(1)?)?;
        let oid = |at: usize| Some(Oid::try_from(identifier.get(at)?.clone()).ok()?.to_owned());
        Some((oid(0)?, oid(1)))
    }
}

fn der_certificates(mut input: &[u8]) -> Result<Vec<CertificateDer<'static>>> {
    if input.is_empty() {
        return Err(in_chain("it is empty"));
    }
    if is_pkcs12(input) {
        return Err(in_chain(PKCS12));
    }
    let mut certificates = Vec::new();
    while !input.is_empty() {
        let (rest, any) = Any::from_der(input)
            .ok()
            .filter(|(_, any)| any.tag() == Tag::Sequence)
            .ok_or_else(|| in_chain(NEITHER))?;
        if begins_with_oid(&any) {
            return Err(in_chain(PKCS7));
        }
        let (der, _) = input.split_at(input.len() - rest.len());
        certificates.push(CertificateDer::from(der.to_vec()));
        input = rest;
    }
    Ok(certificates)
}

fn pem_key(input: &[u8]) -> Result<Zeroizing<Vec<u8>>> {
    let mut refusal: Cow<'_, str> = "it holds no private key".into();
    for section in Sections(input) {
        let section = section.map_err(|flaw| in_key(&flaw))?;
        match section.label {
            b"PRIVATE KEY" | b"RSA PRIVATE KEY" | b"EC PRIVATE KEY" => {
                if find(section.body, b"ENCRYPTED").is_some() {
                    return Err(in_key(ENCRYPTED_PEM));
                }
                return decode(section.body).ok_or_else(|| in_key(NOT_BASE64));
            }
            b"ENCRYPTED PRIVATE KEY" => refusal = ENCRYPTED_PEM.into(),
            b"DSA PRIVATE KEY" => refusal = DSA.into(),
            b"OPENSSH PRIVATE KEY" => refusal = OPENSSH.into(),
            _ => {}
        }
    }
    Err(in_key(&refusal))
}

/// Why DER is not taken for a private key.
fn what_else(input: &[u8]) -> Cow<'static, str> {
    if input.is_empty() {
        return "it is empty".into();
    }
    if is_pkcs12(input) {
        return PKCS12.into();
    }
    if is_encrypted(input) {
        return ENCRYPTED_DER.into();
    }
    match elements(input) {
        Some(_) => "it is none in PKCS #8, PKCS #1 or SEC 1 form".into(),
        None => NEITHER.into(),
    }
}

/// EncryptedPrivateKeyInfo: an algorithm, then octets.
fn is_encrypted(input: &[u8]) -> bool {
    matches!(elements(input).as_deref(), Some([algorithm, octets])
        if algorithm.tag() == Tag::Sequence && octets.tag() == Tag::OctetString)
}

/// PFX: version 3, then the contents by the type that they have.
fn is_pkcs12(input: &[u8]) -> bool {
    // PKCS #8 has 0 or 1 there.
    matches!(elements(input).as_deref(), Some([version, contents, ..])
        if version.tag() == Tag::Integer && version.data == [3] && begins_with_oid(contents))
}

fn begins_with_oid(any: &Any<'_>) -> bool {
    elements_of(any).is_some_and(|inner| inner.first().is_some_and(|first| first.tag() == Tag::Oid))
}

/// What the sequence consists of that all of `input` is.
fn elements(input: &[u8]) -> Option<Vec<Any<'_>>> {
    let (rest, any) = Any::from_der(input).ok()?;
    if rest.is_empty() { elements_of(&any) } else { None }
}

fn elements_of<'a>(any: &Any<'a>) -> Option<Vec<Any<'a>>> {
    if any.tag() != Tag::Sequence {
        return None;
    }
    let mut rest = any.data;
    let mut elements = Vec::new();
    while !rest.is_empty() {
        let (after, element) = Any::from_der(rest).ok()?;
        elements.push(element);
        rest = after;
    }
    Some(elements)
}

pub fn is_pem(input: &[u8]) -> bool {
    find(input, BEGIN).is_some()
}

/// The sections of a PEM text, with what stands around them passed over.
struct Sections<'a>(&'a [u8]);

struct Section<'a> {
    label: &'a [u8],
    /// Headers, if there are some, and base64.
    body: &'a [u8],
}

impl<'a> Iterator for Sections<'a> {
    type Item = std::result::Result<Section<'a>, String>;

    fn next(&mut self) -> Option<Self::Item> {
        let begin = self.0.get(find(self.0, BEGIN)? + BEGIN.len()..)?;
        // Whatever is wrong ends it.
        self.0 = &[];
        let Some(end) = find(begin, DASHES) else {
            return Some(Err("a PEM section has no label".to_owned()));
        };
        let (label, after) = begin.split_at(end);
        let body = &after[DASHES.len()..];
        let end = [END, label, DASHES].concat();
        let Some(length) = find(body, &end) else {
            return Some(Err(format!("the end of the PEM section {} is missing", quote(label))));
        };
        self.0 = &body[length + end.len()..];
        Some(Ok(Section { label, body: &body[..length] }))
    }
}

/// Base64 with white space in it. The room is there from the beginning: a vector that grew would
/// leave copies of a key behind.
fn decode(text: &[u8]) -> Option<Zeroizing<Vec<u8>>> {
    let mut decoded = Zeroizing::new(Vec::with_capacity(text.len() / 4 * 3 + 3));
    let (mut bits, mut count, mut padding) = (0_u32, 0, 0);
    for &byte in text.iter().filter(|byte| !byte.is_ascii_whitespace()) {
        let value = match byte {
            b'A'..=b'Z' => byte - b'A',
            b'a'..=b'z' => byte - b'a' + 26,
            b'0'..=b'9' => byte - b'0' + 52,
            b'+' => 62,
            b'/' => 63,
            b'=' => {
                padding += 1;
                continue;
            }
            _ => return None,
        };
        if padding > 0 {
            return None;
        }
        bits = bits << 6 | u32::from(value);
        count += 1;
        if count % 4 == 0 {
            decoded.extend_from_slice(&bits.to_be_bytes()[1..]);
        }
    }
    match (count % 4, padding) {
        (0, 0) => {}
        // Of 12 bits, and of 18.
        (2, 2) => decoded.push((bits >> 4) as u8),
        (3, 1) => decoded.extend_from_slice(&((bits >> 2) as u16).to_be_bytes()),
        _ => return None,
    }
    (!decoded.is_empty()).then_some(decoded)
}

fn find(haystack: &[u8], needle: &[u8]) -> Option<usize> {
    haystack.windows(needle.len()).position(|window| window == needle)
}

fn in_chain(flaw: &str) -> Error {
    bad_data(format!("the certificate chain cannot be used: {flaw}"))
}

fn in_key(flaw: &str) -> Error {
    bad_data(format!("the private key cannot be used: {flaw}"))
}

const BEGIN: &[u8] = b"-----BEGIN ";
const END: &[u8] = b"-----END ";
const DASHES: &[u8] = b"-----";

const NEITHER: &str = "it is neither PEM nor DER";
const NOT_BASE64: &str = "a PEM section holds something else than base64";
const ENCRYPTED_PEM: &str = "it is encrypted, and the library asks for no passphrase: decrypt it first, as with openssl \
     pkey -in key.pem -out plain.pem";
const ENCRYPTED_DER: &str = "it is encrypted, and the library asks for no passphrase: decrypt it first, as with openssl \
     pkey -inform DER -in key.der -out plain.pem";
const PKCS12: &str = "it is a PKCS #12 file: take certificates and key out of it, as with openssl \
                      pkcs12 -in identity.p12 -nodes -out identity.pem, and give the new file for \
                      both";
const PKCS7: &str = "it is a PKCS #7 file: take the certificates out of it, as with openssl pkcs7 \
                     -print_certs -in chain.p7b -out chain.pem (-inform DER if it is not PEM)";
const OPENSSH: &str = "it has OpenSSH's own form: bring a copy of it into another, as with \
                       ssh-keygen -p -m PKCS8 -f key";
const DSA: &str = "it is a DSA key, and no safe version of TLS has signatures by DSA: take an EC, \
                   RSA or Ed25519 key";

#[cfg(test)]
mod tests;
