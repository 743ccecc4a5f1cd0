//! Lists of application protocols as they stand on the wire (RFC 7301).

use crate::error::{Code, Error, Result, quote};

/// Each protocol is a byte of length and that many bytes.
pub fn parse(mut list: &[u8]) -> Result<Vec<Vec<u8>>> {
    if list.len() > LIMIT {
        let text = format!("it is {} bytes long, at most {LIMIT} are taken", list.len());
        return Err(malformed(&text));
    }
    let mut protocols = Vec::new();
    while let Some((&length, rest)) = list.split_first() {
        let Some((protocol, rest)) = rest.split_at_checked(length.into()) else {
            return Err(malformed(&format!(
                "entry {} has a length of {length}, but {} bytes follow: each is one byte of \
                 length and that many bytes",
                protocols.len() + 1,
                rest.len()
            )));
        };
        if protocol.is_empty() {
            return Err(malformed(&format!("entry {} is empty", protocols.len() + 1)));
        }
        protocols.push(protocol.to_vec());
        list = rest;
    }
    Ok(protocols)
}

/// For a text: quoted, and not too many of them.
pub fn describe<'a>(protocols: impl IntoIterator<Item = &'a [u8]>) -> String {
    let mut protocols = protocols.into_iter();
    let shown = protocols.by_ref().take(SHOWN).map(quote).collect::<Vec<_>>().join(", ");
    match protocols.count() {
        0 => shown,
        more => format!("{shown} (and {more} more)"),
    }
}

fn malformed(text: &str) -> Error {
    Error::new(Code::INVALID, format!("the list of protocols (ALPN): {text}"))
}

/// Far more than anybody offers, and little enough for every ClientHello.
const LIMIT: usize = 4096;
const SHOWN: usize = 8;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_well_formed_is_taken_apart() {
        assert_eq!(parse(b""), Ok(vec![]));
        assert_eq!(parse(b"\x02h2\x08http/1.1"), Ok(vec![b"h2".to_vec(), b"http/1.1".to_vec()]));
        let long = [&[255][..], &[0xff; 255]].concat();
        assert_eq!(parse(&long), Ok(vec![vec![0xff; 255]]));
        assert_eq!(parse(&[1, 7].repeat(LIMIT / 2)).map(|list| list.len()), Ok(LIMIT / 2));
    }

    #[test]
    fn what_is_malformed_is_refused_with_the_place() {
        for (list, text) in [
            (&b"\x00"[..], "entry 1 is empty"),
            (b"\x02h2\x00", "entry 2 is empty"),
            (
                b"h2",
                "entry 1 has a length of 104, but 1 bytes follow: each is one byte of length and \
                 that many bytes",
            ),
            (
                b"\x02h2\x09http/1.1",
                "entry 2 has a length of 9, but 8 bytes follow: each is one byte of length and \
                 that many bytes",
            ),
            (&[1; LIMIT + 2], "it is 4098 bytes long, at most 4096 are taken"),
        ] {
            let error = parse(list).unwrap_err();
            assert_eq!(error.code, Code::INVALID);
            assert_eq!(error.text, format!("the list of protocols (ALPN): {text}"));
        }
    }

    #[test]
    fn a_text_stays_short_and_printable() {
        let hostile = [&b"h2"[..], b"\n\x1b[2J"];
        assert_eq!(describe(hostile), format!("\"h2\", {}", quote(b"\n\x1b[2J")));
        assert!(describe([&b"x"[..]; 10]).ends_with("\"x\" (and 2 more)"));
        assert!(describe([&[0; 255][..]; 250]).len() < 4096);
    }
}
