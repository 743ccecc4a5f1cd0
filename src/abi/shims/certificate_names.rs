//! Windows: the names in certificates as text.

use std::ffi::{c_char, c_void};

use super::boundary::shim;
use super::contexts::{Blob, CertContext, blob, check_source, find};
use super::units;
use crate::error::Result;
use crate::winsock::certificate_names::{Kind, format, name_of};
use crate::winsock::distinguished_name::DistinguishedName;
use crate::winsock::error::{CRYPT_E_ASN1_BADTAG, ERROR_INVALID_PARAMETER, failure};
use crate::winsock::text::CodePage;

/// Windows: CertGetNameStringA, which answers how many characters there are with the NUL, and 1
/// for a name that is not there.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ssl_wce_get_name_string_a(
    context: *const CertContext,
    kind: u32,
    flags: u32,
    parameter: *const c_void,
    buffer: *mut c_char,
    capacity: u32,
) -> u32 {
    shim!(ssl_wce_get_name_string_a, unsafe { put(&[], buffer.cast::<u8>(), capacity) }, {
        // SAFETY: the parameter is of its kind, the buffer writable, as Windows demands.
        unsafe {
            let text = name_string(context, kind, flags, parameter)?;
            Ok(put(&narrow_units(&text)?, buffer.cast(), capacity))
        }
    })
}

/// Windows: CertGetNameStringW.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ssl_wce_get_name_string_w(
    context: *const CertContext,
    kind: u32,
    flags: u32,
    parameter: *const c_void,
    buffer: *mut libc::wchar_t,
    capacity: u32,
) -> u32 {
    shim!(ssl_wce_get_name_string_w, unsafe { put(&[], buffer, capacity) }, {
        // SAFETY: as above.
        unsafe {
            let text = name_string(context, kind, flags, parameter)?;
            Ok(put(&wide_units(&text), buffer, capacity))
        }
    })
}

/// Windows: CertNameToStrA.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ssl_wce_name_to_str_a(
    _encoding: u32,
    name: *const Blob,
    look: u32,
    buffer: *mut c_char,
    capacity: u32,
) -> u32 {
    shim!(ssl_wce_name_to_str_a, unsafe { put(&[], buffer.cast::<u8>(), capacity) }, {
        // SAFETY: readable and writable as Windows demands.
        unsafe { Ok(put(&narrow_units(&name_to_text(name, look)?)?, buffer.cast(), capacity)) }
    })
}

/// Windows: CertNameToStrW.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ssl_wce_name_to_str_w(
    _encoding: u32,
    name: *const Blob,
    look: u32,
    buffer: *mut libc::wchar_t,
    capacity: u32,
) -> u32 {
    shim!(ssl_wce_name_to_str_w, unsafe { put(&[], buffer, capacity) }, {
        // SAFETY: as above.
        unsafe { Ok(put(&wide_units(&name_to_text(name, look)?), buffer, capacity)) }
    })
}

/// A narrow string of the program's.
///
/// # Safety
/// `text` is NULL or NUL-terminated.
pub(super) unsafe fn narrow(text: *const c_char, what: &str) -> Result<String> {
    check_source(text, what)?;
    // SAFETY: not NULL; NUL-terminated as the caller promises.
    Ok(unsafe { units::text(text.cast::<u8>()) })
}

/// A wide string of the program's, up to its end or to what is no character: a narrow string that
/// was passed for a wide one ends there.
///
/// # Safety
/// `text` is NULL or NUL-terminated.
pub(super) unsafe fn wide(text: *const libc::wchar_t, what: &str) -> Result<String> {
    check_source(text, what)?;
    let mut read = String::new();
    for at in 0..LENGTH_LIMIT {
        // SAFETY: not NULL; there was no NUL before this unit.
        let unit = unsafe { text.add(at).read() };
        match char::from_u32(unit as u32) {
            None | Some('\0') => break,
            Some(character) => read.push(character),
        }
    }
    Ok(read)
}

/// # Safety
/// The parameter is of the kind that `kind` demands.
unsafe fn name_string(
    context: *const CertContext,
    kind: u32,
    flags: u32,
    parameter: *const c_void,
) -> Result<String> {
    let certificate = find(context)?.certificate;
    let is_issuer = flags & CERT_NAME_ISSUER_FLAG != 0;
    // SAFETY: as the caller promises.
    let kind = match kind {
        1 => Kind::Email,
        2 if parameter.is_null() => Kind::Whole(0),
        2 => {
            check_source(parameter.cast::<u32>(), "pvTypePara")?;
            Kind::Whole(unsafe { parameter.cast::<u32>().read() })
        }
        3 => Kind::Attribute(unsafe { narrow(parameter.cast(), "pvTypePara") }?),
        4 | 5 => Kind::Display,
        6 => Kind::Dns,
        other => return Err(failure(ERROR_INVALID_PARAMETER, format!("unknown type {other}"))),
    };
    Ok(name_of(&certificate, is_issuer, &kind).unwrap_or_default())
}

/// # Safety
/// `name` is NULL or a readable blob.
unsafe fn name_to_text(name: *const Blob, look: u32) -> Result<String> {
    // SAFETY: as the caller promises.
    let der = unsafe { blob(name, "pName") }?;
    let name = DistinguishedName::parse(der)
        .ok_or_else(|| failure(CRYPT_E_ASN1_BADTAG, "the name cannot be read"))?;
    Ok(name.text(format(look)))
}

/// Copies units and a NUL as far as there is room. The answer is how many were copied, with the
/// NUL; without a buffer, how many there are.
///
/// # Safety
/// `buffer` is NULL or writable for `capacity` units.
unsafe fn put<T: Copy + Default>(units: &[T], buffer: *mut T, capacity: u32) -> u32 {
    if buffer.is_null() || capacity == 0 || !buffer.is_aligned() {
        return units.len() as u32 + 1;
    }
    let count = units.len().min(capacity as usize - 1);
    // SAFETY: not NULL; the capacity is larger than the count.
    unsafe {
        std::ptr::copy_nonoverlapping(units.as_ptr(), buffer, count);
        buffer.add(count).write(T::default());
    }
    count as u32 + 1
}

fn narrow_units(text: &str) -> Result<Vec<u8>> {
    let wide: Vec<_> = text.chars().map(u32::from).collect();
    Ok(CodePage::Windows1252.encode(&wide, 0, None)?.0)
}

fn wide_units(text: &str) -> Vec<libc::wchar_t> {
    text.chars().map(|character| character as libc::wchar_t).collect()
}

const CERT_NAME_ISSUER_FLAG: u32 = 1;
/// Of names of stores and parts of names.
const LENGTH_LIMIT: usize = 1_024;
