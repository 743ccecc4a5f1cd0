//! What stands in the buffers of the SO_SSL_* codes, as real programs fill them.

use crate::error::{Code, Error, Result, quote};
use crate::sys::own_memory::string_at;
use crate::verify::name::PeerName;

/// The size of SSLVALIDATECERTHOOK: a function, then its argument.
const HOOK_SIZE: usize = 2 * size_of::<usize>();

/// A DWORD at the front.
pub fn dword(input: &[u8], name: &str) -> Result<u32> {
    let bytes = input
        .first_chunk()
        .ok_or_else(|| invalid(format!("{name} takes a DWORD of 4 bytes, not {}", input.len())))?;
    Ok(u32::from_ne_bytes(*bytes))
}

/// The function and the argument of an SSLVALIDATECERTHOOK at the front.
pub fn hook(input: &[u8]) -> Result<(usize, usize)> {
    let word = |at: usize| Some(usize::from_ne_bytes(*input.get(at..)?.first_chunk()?));
    word(0).zip(word(size_of::<usize>())).ok_or_else(|| {
        invalid(format!(
            "SSLVALIDATECERTHOOK has {HOOK_SIZE} bytes, not {}: the address of the function and \
             its argument, {} bytes each",
            input.len(),
            size_of::<usize>()
        ))
    })
}

/// The peer's name in a buffer: the name itself, with or without a NUL behind it, or in a buffer
/// of the size of a pointer the address of a name that ends with one. `None`: it is no name.
pub fn name(input: &[u8]) -> Option<PeerName> {
    let address = input.try_into().map(usize::from_ne_bytes).ok();
    match address {
        // Of both it may be either. Where there is a name at an address, it is no coincidence.
        Some(address) if could_be_an_address(address) => {
            string_at(address).and_then(|text| parse(&text)).or_else(|| parse(up_to_nul(input)))
        }
        _ => parse(up_to_nul(input)),
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
