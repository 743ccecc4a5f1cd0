//! Windows: certificate contexts, CertCreateCertificateContext and what looks at one.

use std::ffi::c_void;
use std::mem::offset_of;
use std::sync::Arc;

use super::blocks::{Blocks, Layout, Memory, Place};
use super::boundary::{invalid_argument, shim};
use super::crack::halves;
use crate::abi::memory;
use crate::error::Result;
use crate::winsock::certificate::{Certificate, filetime, now};
use crate::winsock::error::{CRYPT_E_NOT_FOUND, ERROR_INVALID_PARAMETER, ERROR_MORE_DATA, failure};
use crate::winsock::stores::{same_integer, sha1};

/// CRYPT_DATA_BLOB and its other names.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct Blob {
    pub length: u32,
    pub data: *mut u8,
}

/// CRYPT_BIT_BLOB.
#[repr(C)]
pub struct BitBlob {
    length: u32,
    data: *mut u8,
    unused_bits: u32,
}

/// CRYPT_ALGORITHM_IDENTIFIER.
#[repr(C)]
pub struct AlgorithmIdentifier {
    identifier: *mut u8,
    parameters: Blob,
}

/// CERT_EXTENSION.
#[repr(C)]
pub struct Extension {
    identifier: *mut u8,
    critical: i32,
    value: Blob,
}

/// CERT_INFO.
#[repr(C)]
pub struct CertInfo {
    version: u32,
    serial_number: Blob,
    signature_algorithm: AlgorithmIdentifier,
    issuer: Blob,
    not_before: [u32; 2],
    not_after: [u32; 2],
    subject: Blob,
    key_algorithm: AlgorithmIdentifier,
    key: BitBlob,
    issuer_unique_id: BitBlob,
    subject_unique_id: BitBlob,
    extension_count: u32,
    extensions: *mut Extension,
}

/// CERT_CONTEXT.
#[repr(C)]
pub struct CertContext {
    encoding: u32,
    encoded: *mut u8,
    encoded_length: u32,
    info: *mut CertInfo,
    store: usize,
}

impl CertContext {
    #[cfg(test)]
    pub(super) fn info(&self) -> *const CertInfo {
        self.info
    }
}

/// What the library knows of a context.
#[derive(Clone)]
pub struct Context {
    pub certificate: Arc<Certificate>,
    /// The handle of the store that it was found in, and its number there; or 0.
    pub store: usize,
    pub number: u64,
}

/// Windows: CertCreateCertificateContext.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ssl_wce_create_certificate_context(
    encoding: u32,
    encoded: *const u8,
    length: u32,
) -> *const CertContext {
    shim!(ssl_wce_create_certificate_context, std::ptr::null(), {
        // SAFETY: readable as Windows demands.
        let certificate = unsafe { parse(encoding, encoded, length) }?;
        Ok(give(Context { certificate, store: 0, number: 0 }))
    })
}

/// Windows: CertDuplicateCertificateContext.
#[unsafe(no_mangle)]
pub extern "C" fn ssl_wce_duplicate_certificate_context(
    context: *const CertContext,
) -> *const CertContext {
    shim!(ssl_wce_duplicate_certificate_context, std::ptr::null(), {
        match context.is_null() || CONTEXTS.duplicate(context as usize) {
            true => Ok(context),
            false => Err(no_context()),
        }
    })
}

/// Windows: CertFreeCertificateContext, which always succeeds. What is no live context is left
/// alone.
#[unsafe(no_mangle)]
pub extern "C" fn ssl_wce_free_certificate_context(context: *const CertContext) -> i32 {
    shim!(ssl_wce_free_certificate_context, 1, {
        release(context);
        Ok(1)
    })
}

/// Windows: CertCompareCertificate. Issuer and serial number can be imitated by anybody, so two
/// certificates that the library has are compared as a whole.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ssl_wce_compare_certificate(
    _encoding: u32,
    a: *const CertInfo,
    b: *const CertInfo,
) -> i32 {
    shim!(ssl_wce_compare_certificate, 0, {
        if let (Some(a), Some(b)) = (of_info(a), of_info(b)) {
            return Ok(i32::from(a.certificate.der == b.certificate.der));
        }
        // SAFETY: readable as Windows demands.
        let ((a_issuer, a_serial), (b_issuer, b_serial)) =
            unsafe { (issuer_and_serial(a)?, issuer_and_serial(b)?) };
        Ok(i32::from(a_issuer == b_issuer && same_integer(a_serial, b_serial)))
    })
}

/// Windows: CertCompareCertificateName.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ssl_wce_compare_certificate_name(
    _encoding: u32,
    a: *const Blob,
    b: *const Blob,
) -> i32 {
    shim!(ssl_wce_compare_certificate_name, 0, {
        // SAFETY: readable as Windows demands.
        let (a, b) = unsafe { (blob(a, "pCertName1")?, blob(b, "pCertName2")?) };
        Ok(i32::from(a == b))
    })
}

/// Windows: CertVerifyTimeValidity. What cannot be read is not valid yet.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ssl_wce_verify_time_validity(
    time: *const [u32; 2],
    info: *const CertInfo,
) -> i32 {
    shim!(ssl_wce_verify_time_validity, -1, {
        check_source(info, "pCertInfo")?;
        // SAFETY: readable as Windows demands.
        let (time, start, end) = unsafe {
            (
                time_at(time)?.unwrap_or_else(now),
                joined((*info).not_before),
                joined((*info).not_after),
            )
        };
        Ok(if time < start { -1 } else { i32::from(time > end) })
    })
}

/// Windows: CertGetCertificateContextProperty.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ssl_wce_get_certificate_context_property(
    context: *const CertContext,
    property: u32,
    data: *mut c_void,
    length: *mut u32,
) -> i32 {
    shim!(ssl_wce_get_certificate_context_property, 0, {
        let value = match property {
            CERT_SHA1_HASH_PROP_ID => sha1(&find(context)?.certificate.der),
            _ => {
                find(context)?;
                return Err(failure(
                    CRYPT_E_NOT_FOUND,
                    format!("certificates here have no property {property}"),
                ));
            }
        };
        memory::check_target(length, "pcbData")
            .map_err(invalid_argument(ERROR_INVALID_PARAMETER))?;
        // SAFETY: checked above; readable and writable as Windows demands.
        let capacity = unsafe { length.replace(value.len() as u32) } as usize;
        if data.is_null() {
            return Ok(1);
        }
        if capacity < value.len() {
            return Err(failure(
                ERROR_MORE_DATA,
                format!("the buffer holds {capacity} bytes, {} are needed", value.len()),
            ));
        }
        // SAFETY: not NULL; writable for `capacity` bytes as Windows demands, which are enough.
        unsafe { std::ptr::copy_nonoverlapping(value.as_ptr(), data.cast(), value.len()) };
        Ok(1)
    })
}

/// Makes a context, with one reference.
pub(super) fn give(context: Context) -> *const CertContext {
    let memory = in_one_block(&context);
    CONTEXTS.give(memory, context) as *const CertContext
}

pub(super) fn find(context: *const CertContext) -> Result<Context> {
    CONTEXTS.data(context as usize).ok_or_else(no_context)
}

pub(super) fn release(context: *const CertContext) {
    CONTEXTS.release(context as usize);
}

/// # Safety
/// `encoded` is NULL or readable for `length` bytes.
pub(super) unsafe fn parse(
    encoding: u32,
    encoded: *const u8,
    length: u32,
) -> Result<Arc<Certificate>> {
    if encoding & 0xffff != X509_ASN_ENCODING {
        return Err(failure(
            ERROR_INVALID_PARAMETER,
            format!("the encoding {encoding:#x} is not known: it has to be X509_ASN_ENCODING"),
        ));
    }
    // SAFETY: as the caller promises.
    let der = unsafe { memory::bytes(encoded, length as usize, "the certificate") }
        .map_err(invalid_argument(ERROR_INVALID_PARAMETER))?;
    Certificate::parse(der).map(Arc::new)
}

/// # Safety
/// `blob` is NULL or a readable blob, whose data are readable as long as they are used.
pub(super) unsafe fn blob<'a>(blob: *const Blob, what: &str) -> Result<&'a [u8]> {
    check_source(blob, what)?;
    // SAFETY: as the caller promises.
    unsafe { memory::bytes((*blob).data, (*blob).length as usize, what) }
        .map_err(invalid_argument(ERROR_INVALID_PARAMETER))
}

/// # Safety
/// `info` is NULL or a readable CERT_INFO.
pub(super) unsafe fn issuer_and_serial<'a>(info: *const CertInfo) -> Result<(&'a [u8], &'a [u8])> {
    check_source(info, "the CERT_INFO")?;
    // SAFETY: as the caller promises.
    unsafe {
        Ok((
            blob(&raw const (*info).issuer, "Issuer")?,
            blob(&raw const (*info).serial_number, "SerialNumber")?,
        ))
    }
}

/// A FILETIME of the program's; `None` for NULL.
///
/// # Safety
/// A pointer that is not NULL is readable.
pub(super) unsafe fn time_at(time: *const [u32; 2]) -> Result<Option<u64>> {
    if time.is_null() {
        return Ok(None);
    }
    check_source(time, "the FILETIME")?;
    // SAFETY: not NULL and aligned; readable as the caller promises.
    Ok(Some(joined(unsafe { time.read() })))
}

pub(super) fn check_source<T>(pointer: *const T, what: &str) -> Result<()> {
    memory::check_target(pointer, what).map_err(invalid_argument(ERROR_INVALID_PARAMETER))
}

fn joined([low, high]: [u32; 2]) -> u64 {
    u64::from(high) << 32 | u64::from(low)
}

/// The context that this is the CERT_INFO of.
pub(super) fn of_info(info: *const CertInfo) -> Option<Context> {
    CONTEXTS.data((info as usize).checked_sub(size_of::<CertContext>())?)
}

fn no_context() -> crate::error::Error {
    failure(ERROR_INVALID_PARAMETER, "this is no live certificate context")
}

fn in_one_block(context: &Context) -> Memory {
    let certificate = &*context.certificate;
    let mut layout = Layout::default();
    let head = layout.add::<CertContext>();
    // `of_info` counts on its place.
    let info = layout.add::<CertInfo>();
    let der = layout.add_many::<u8>(certificate.der.len());
    let serial = layout.add_many::<u8>(certificate.serial.len());
    let extensions = layout.add_many::<Extension>(certificate.extensions.len());
    let identifiers: Vec<&str> =
        [&certificate.signature.identifier, &certificate.key_algorithm.identifier]
            .into_iter()
            .chain(certificate.extensions.iter().map(|extension| &extension.identifier))
            .map(String::as_str)
            .collect();
    // The block is zeroed, so each ends with a NUL.
    let texts: Vec<Place<u8>> =
        identifiers.iter().map(|text| layout.add_many::<u8>(text.len() + 1)).collect();

    let mut memory = Memory::new(&layout);
    memory.copy(der, &certificate.der);
    memory.copy(serial, &certificate.serial);
    let mut addresses = Vec::new();
    for (place, text) in texts.iter().zip(&identifiers) {
        memory.copy(*place, text.as_bytes());
        addresses.push(memory.address(*place));
    }
    let mut addresses = addresses.into_iter();
    let mut identifier = || addresses.next().unwrap_or(std::ptr::null_mut());
    let (encoded, serial) = (memory.address(der), memory.address(serial));
    let piece = |range: &std::ops::Range<usize>| Blob {
        length: range.len() as u32,
        data: match range.is_empty() {
            true => std::ptr::null_mut(),
            false => encoded.wrapping_add(range.start),
        },
    };
    let nothing = || BitBlob { length: 0, data: std::ptr::null_mut(), unused_bits: 0 };
    let signature_algorithm = AlgorithmIdentifier {
        identifier: identifier(),
        parameters: piece(&certificate.signature.parameters),
    };
    let key_algorithm = AlgorithmIdentifier {
        identifier: identifier(),
        parameters: piece(&certificate.key_algorithm.parameters),
    };
    for (index, extension) in certificate.extensions.iter().enumerate() {
        let value = Extension {
            identifier: identifier(),
            critical: extension.critical.into(),
            value: piece(&extension.value),
        };
        memory.put(extensions.at(index), value);
    }
    let key = piece(&certificate.key);
    let value = CertInfo {
        version: certificate.version,
        serial_number: Blob { length: certificate.serial.len() as u32, data: serial },
        signature_algorithm,
        issuer: piece(&certificate.issuer),
        not_before: halves(filetime(certificate.not_before)),
        not_after: halves(filetime(certificate.not_after)),
        subject: piece(&certificate.subject),
        key_algorithm,
        key: BitBlob {
            length: key.length,
            data: key.data,
            unused_bits: certificate.key_unused_bits,
        },
        issuer_unique_id: nothing(),
        subject_unique_id: nothing(),
        extension_count: certificate.extensions.len() as u32,
        extensions: match certificate.extensions.is_empty() {
            true => std::ptr::null_mut(),
            false => memory.address(extensions),
        },
    };
    memory.put(info, value);
    let value = CertContext {
        encoding: X509_ASN_ENCODING,
        encoded,
        encoded_length: certificate.der.len() as u32,
        info: memory.address(info),
        store: context.store,
    };
    memory.put(head, value);
    memory
}

const X509_ASN_ENCODING: u32 = 1;
const CERT_SHA1_HASH_PROP_ID: u32 = 3;

const _: () = {
    assert!(size_of::<CertContext>() == 40 && size_of::<CertInfo>() == 208);
    assert!(offset_of!(CertContext, info) == 24 && offset_of!(CertInfo, subject) == 80);
};

static CONTEXTS: Blocks<Context> = Blocks::new();
