//! What stands in the buffers of the SO_SSL_* codes, as real programs fill them.

use crate::error::{Code, Error, Result, quote};
use crate::sys::own_memory::{Found, string_at};
use crate::verify::name::PeerName;

/// The size of a hook's structure: a function, then its argument.
const HOOK_SIZE: usize = 2 * size_of::<usize>();

/// A structure that says how many entries it has.
pub struct List {
    pub name: &'static str,
    pub count_at: usize,
    pub entries_at: usize,
    pub entry_size: usize,
}

impl List {
    /// The structure at the front, with all of its entries.
    pub fn at_front<'a>(&self, input: &'a [u8]) -> Result<&'a [u8]> {
        let counted = input.get(self.count_at..).unwrap_or_default();
        let count = dword(counted, self.name).map_err(|_| {
            too_short(format!("{} is longer than {} bytes", self.name, input.len()))
        })?;
        (count as usize)
            .checked_mul(self.entry_size)
            .and_then(|size| input.get(..size.checked_add(self.entries_at)?))
            .ok_or_else(|| {
                too_short(format!(
                    "{}: dwCount is {count}, and {} bytes do not hold so many entries of {}",
                    self.name,
                    input.len(),
                    self.entry_size
                ))
            })
    }
}

/// The DWORDs of which a structure consists.
pub fn dwords(bytes: &[u8]) -> impl ExactSizeIterator<Item = u32> {
    bytes.as_chunks().0.iter().map(|&bytes| u32::from_ne_bytes(bytes))
}

pub fn to_bytes(dwords: &[u32]) -> Vec<u8> {
    dwords.iter().flat_map(|dword| dword.to_ne_bytes()).collect()
}

/// A structure of that size at the front.
pub fn structure<'a>(input: &'a [u8], size: usize, has: &str) -> Result<&'a [u8]> {
    input.get(..size).ok_or_else(|| too_short(format!("{has} {size} bytes, not {}", input.len())))
}

/// A DWORD at the front.
pub fn dword(input: &[u8], name: &str) -> Result<u32> {
    let bytes = input.first_chunk().ok_or_else(|| {
        too_short(format!("{name} takes a DWORD of 4 bytes, not {}", input.len()))
    })?;
    Ok(u32::from_ne_bytes(*bytes))
}

/// The function and the argument of a hook's structure at the front.
pub fn hook(input: &[u8], name: &str) -> Result<(usize, usize)> {
    let word = |at: usize| Some(usize::from_ne_bytes(*input.get(at..)?.first_chunk()?));
    word(0).zip(word(size_of::<usize>())).ok_or_else(|| {
        too_short(format!(
            "{name} has {HOOK_SIZE} bytes, not {}: the address of the function and its argument, \
             {} bytes each",
            input.len(),
            size_of::<usize>()
        ))
    })
}

/// The peer's name in a buffer: the name itself, with or without a NUL behind it, or in a buffer
/// of the size of a pointer the address of a name that ends with one. `None`: it is no name.
pub fn name(input: &[u8]) -> Option<PeerName> {
    let address = input.try_into().map(usize::from_ne_bytes).ok();
    // Where there is memory at an address, it is no coincidence.
    match address.filter(|&address| could_be_an_address(address)).map(string_at) {
        Some(Found::String(text)) => parse(&text),
        Some(Found::NoString) => None,
        Some(Found::Nothing) | None => in_place(input),
    }
}

/// For a buffer in which [`name`] has found none.
pub fn no_name_in(input: &[u8]) -> Error {
    let quoted = quote(up_to_nul(input));
    invalid(format!(
        "not a host name: {quoted}: give a DNS name in ASCII or an IP address as a narrow string \
         (nothing was changed)"
    ))
}

fn in_place(input: &[u8]) -> Option<PeerName> {
    let text = up_to_nul(input);
    let is_padded = input.iter().skip(text.len()).all(|&byte| byte == 0);
    // Otherwise a number with a NUL among its bytes would be taken for a short name, and a UTF-16
    // string for a name of one character.
    let is_text = is_padded || (input.len() != size_of::<usize>() && text.len() > 1);
    is_text.then(|| parse(text)).flatten()
}

fn up_to_nul(input: &[u8]) -> &[u8] {
    input.split(|&byte| byte == 0).next().unwrap_or_default()
}

/// Other bytes than ASCII are junk here rather than an international name.
fn parse(text: &[u8]) -> Option<PeerName> {
    let text = str::from_utf8(text).ok().filter(|text| text.is_ascii())?;
    PeerName::parse(text).ok()
}

/// Whether it is in the half of the addresses that programs have, whose highest byte is 0.
fn could_be_an_address(number: usize) -> bool {
    number != 0 && number >> (usize::BITS - 8) == 0
}

fn invalid(text: String) -> Error {
    Error { sys_errno: libc::EINVAL, ..Error::new(Code::INVALID, text) }
}

/// Winsock tells a bad buffer from a bad argument.
fn too_short(text: String) -> Error {
    Error { sys_errno: libc::EFAULT, ..Error::new(Code::INVALID, text) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn named(input: &[u8]) -> Option<String> {
        name(input).map(|name| name.as_str().to_owned())
    }

    #[test]
    fn names_are_found_in_every_form_that_was_seen() {
        let text = b"pointed.test\0";
        let address = text.as_ptr().expose_provenance().to_ne_bytes();
        for (input, expected) in [
            (&b"mail.test"[..], "mail.test"),
            (b"mail.test\0", "mail.test"),
            (b"mail.test\0\xff\xff", "mail.test"),
            (b"MAIL.test.", "mail.test"),
            (b"192.0.2.7", "192.0.2.7"),
            (b"2001:db8::7\0", "2001:db8::7"),
            // As long as an address.
            (b"aaa.test", "aaa.test"),
            (b"aa.test\0", "aa.test"),
            (b"a.test\0\0", "a.test"),
            (&address, "pointed.test"),
        ] {
            assert_eq!(named(input).as_deref(), Some(expected), "{input:?}");
        }
    }

    #[test]
    fn what_is_no_name_is_none() {
        let no_name = c"two words".as_ptr().expose_provenance().to_ne_bytes();
        for input in [
            &b""[..],
            b"\0",
            b"\0mail.test",
            b"mail test",
            b"mail.test:993",
            b"m\0a\0i\0l\0.\0t\0e\0s\0t\0",
            b"i\0\x12\x34\x12\x7f\0\0",
            b"ab\0\x34\x12\x7f\0\0",
            b"b\xc3\xbccher.test",
            b"\xe9t\xe9.test",
            b"\x90\x78\x56\x34\x12\x7f\0\0",
            b"\xff\xff\xff\xff\xff\xff\xff\xff",
            &[0; 8],
            &[b'a'; 4096],
            &no_name,
            &no_name[..7],
        ] {
            assert_eq!(named(input), None, "{input:?}");
        }
    }

    #[test]
    fn numbers_need_their_bytes() {
        assert_eq!(dword(&8_u32.to_ne_bytes(), "X"), Ok(8));
        assert_eq!(dword(&[8_u32.to_ne_bytes(), [0xff; 4]].concat(), "X"), Ok(8));
        assert_eq!(dword(&[8, 0], "X").unwrap_err().text, "X takes a DWORD of 4 bytes, not 2");
        let words = [1_usize.to_ne_bytes(), 2_usize.to_ne_bytes()].concat();
        assert_eq!(hook(&words, "X"), Ok((1, 2)));
        for length in 0..HOOK_SIZE {
            assert_eq!(hook(&words[..length], "X").unwrap_err().code, Code::INVALID);
        }
    }
}
