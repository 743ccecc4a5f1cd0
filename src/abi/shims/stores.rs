//! Windows: certificate stores.

use std::ffi::{c_char, c_void};
use std::sync::Arc;

use super::boundary::shim;
use super::certificate_names::{narrow, wide};
use super::contexts::{
    Blob, CertContext, CertInfo, Context, blob, check_source, find, give, issuer_and_serial,
    of_info, parse, release,
};
use crate::error::{Error, Result};
use crate::verify::path::is_signed;
use crate::winsock::certificate::{Certificate, filetime, now};
use crate::winsock::error::{
    CRYPT_E_SELF_SIGNED, ERROR_FILE_NOT_FOUND, ERROR_INVALID_PARAMETER, failure,
};
use crate::winsock::stores::{self, Disposition, Entry, Wanted};

/// Windows: CertOpenSystemStoreA. The answer is a handle, not an address.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ssl_wce_open_system_store_a(
    _provider: usize,
    name: *const c_char,
) -> *mut c_void {
    shim!(ssl_wce_open_system_store_a, std::ptr::null_mut(), {
        // SAFETY: NUL-terminated as Windows demands.
        handle(stores::open_system(&unsafe { narrow(name, "the store's name") }?))
    })
}

/// Windows: CertOpenSystemStoreW.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ssl_wce_open_system_store_w(
    _provider: usize,
    name: *const libc::wchar_t,
) -> *mut c_void {
    shim!(ssl_wce_open_system_store_w, std::ptr::null_mut(), {
        // SAFETY: NUL-terminated as Windows demands.
        handle(stores::open_system(&unsafe { wide(name, "the store's name") }?))
    })
}

/// Windows: CertOpenStore.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ssl_wce_open_store(
    kind: *const c_char,
    _encoding: u32,
    _provider: usize,
    _flags: u32,
    name: *const c_void,
) -> *mut c_void {
    shim!(ssl_wce_open_store, std::ptr::null_mut(), {
        // SAFETY: the kind says what the name is; NUL-terminated as Windows demands.
        handle(match kind as usize {
            CERT_STORE_PROV_MEMORY => stores::open_memory(),
            CERT_STORE_PROV_SYSTEM_A => {
                stores::open_system(&unsafe { narrow(name.cast(), "the store's name") }?)
            }
            CERT_STORE_PROV_SYSTEM_W => {
                stores::open_system(&unsafe { wide(name.cast(), "the store's name") }?)
            }
            kind => Err(failure(
                ERROR_FILE_NOT_FOUND,
                format!(
                    "there are no stores of the kind {kind:#x}: only CERT_STORE_PROV_SYSTEM and \
                     CERT_STORE_PROV_MEMORY"
                ),
            )),
        })
    })
}

/// Windows: CertCloseStore. Contexts of certificates in it stay.
#[unsafe(no_mangle)]
pub extern "C" fn ssl_wce_close_store(store: *mut c_void, _flags: u32) -> i32 {
    shim!(ssl_wce_close_store, 0, {
        if !store.is_null() {
            stores::close(store as usize)?;
        }
        Ok(1)
    })
}

/// Windows: CertEnumCertificatesInStore, which frees the context before.
#[unsafe(no_mangle)]
pub extern "C" fn ssl_wce_enum_certificates_in_store(
    store: *mut c_void,
    previous: *const CertContext,
) -> *const CertContext {
    shim!(ssl_wce_enum_certificates_in_store, std::ptr::null(), {
        next(store, previous, || Ok(Wanted::Any))
    })
}

/// Windows: CertFindCertificateInStore, which frees the context before.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ssl_wce_find_certificate_in_store(
    store: *mut c_void,
    _encoding: u32,
    _flags: u32,
    kind: u32,
    parameter: *const c_void,
    previous: *const CertContext,
) -> *const CertContext {
    shim!(ssl_wce_find_certificate_in_store, std::ptr::null(), {
        // SAFETY: the parameter is of its kind, as Windows demands.
        next(store, previous, || unsafe { wanted(kind, parameter) })
    })
}

/// Windows: CertGetIssuerCertificateFromStore.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ssl_wce_get_issuer_certificate_from_store(
    store: *mut c_void,
    subject: *const CertContext,
    previous: *const CertContext,
    flags: *mut u32,
) -> *const CertContext {
    shim!(ssl_wce_get_issuer_certificate_from_store, std::ptr::null(), {
        // The one before is freed whatever comes out.
        let after = position(previous);
        let subject = find(subject)?.certificate;
        check_source(flags, "pdwFlags")?;
        if subject.is_self_issued() {
            // SAFETY: checked above; readable and writable as Windows demands.
            unsafe { flags.write(not_passed(flags.read(), &subject, &subject)) };
            return Err(failure(CRYPT_E_SELF_SIGNED, "the certificate has issued itself"));
        }
        let entry =
            stores::find(store as usize)?.next(after?, &Wanted::IssuerOf(subject.clone()))?;
        // SAFETY: as above.
        unsafe { flags.write(not_passed(flags.read(), &subject, &entry.certificate)) };
        Ok(give(context_in(store, entry)))
    })
}

/// Windows: CertAddCertificateContextToStore.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ssl_wce_add_certificate_context_to_store(
    store: *mut c_void,
    context: *const CertContext,
    disposition: u32,
    added: *mut *const CertContext,
) -> i32 {
    shim!(ssl_wce_add_certificate_context_to_store, 0, {
        // SAFETY: writable as Windows demands.
        unsafe { add(store, added, disposition, || Ok(find(context)?.certificate)) }
    })
}

/// Windows: CertAddEncodedCertificateToStore.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ssl_wce_add_encoded_certificate_to_store(
    store: *mut c_void,
    encoding: u32,
    encoded: *const u8,
    length: u32,
    disposition: u32,
    added: *mut *const CertContext,
) -> i32 {
    shim!(ssl_wce_add_encoded_certificate_to_store, 0, {
        // SAFETY: readable and writable as Windows demands.
        unsafe { add(store, added, disposition, || parse(encoding, encoded, length)) }
    })
}

/// Windows: CertDeleteCertificateFromStore, which frees the context.
#[unsafe(no_mangle)]
pub extern "C" fn ssl_wce_delete_certificate_from_store(context: *const CertContext) -> i32 {
    shim!(ssl_wce_delete_certificate_from_store, 0, {
        let found = find(context)?;
        release(context);
        if found.store != 0 {
            stores::find(found.store)?.remove(found.number)?;
        }
        Ok(1)
    })
}

fn next(
    store: *mut c_void,
    previous: *const CertContext,
    wanted: impl FnOnce() -> Result<Wanted>,
) -> Result<*const CertContext> {
    // The parameter may be a part of the context before, so it is read first.
    let wanted = wanted();
    let after = position(previous);
    let entry = stores::find(store as usize)?.next(after?, &wanted?)?;
    Ok(give(context_in(store, entry)))
}

/// Where the search goes on; the context is freed.
fn position(previous: *const CertContext) -> Result<u64> {
    if previous.is_null() {
        return Ok(0);
    }
    let number = find(previous)?.number;
    release(previous);
    Ok(number)
}

fn context_in(store: *mut c_void, entry: Entry) -> Context {
    Context { certificate: entry.certificate, store: store as usize, number: entry.number }
}

/// # Safety
/// `added` is NULL or writable.
unsafe fn add(
    store: *mut c_void,
    added: *mut *const CertContext,
    disposition: u32,
    certificate: impl FnOnce() -> Result<Arc<Certificate>>,
) -> Result<i32> {
    if !added.is_null() {
        check_source(added, "the place for the context")?;
        // SAFETY: not NULL and aligned; writable as the caller promises.
        unsafe { added.write(std::ptr::null()) };
    }
    let disposition = match disposition {
        1 => Disposition::Refuse,
        2 => Disposition::UseExisting,
        3 => Disposition::Replace,
        4 => Disposition::AddAnother,
        other => return Err(invalid(format!("unknown disposition {other}"))),
    };
    let entry = stores::find(store as usize)?.add(&certificate()?, disposition)?;
    if !added.is_null() {
        // SAFETY: as above.
        unsafe { added.write(give(context_in(store, entry))) };
    }
    Ok(1)
}

/// # Safety
/// The parameter is of the kind that `kind` demands.
unsafe fn wanted(kind: u32, parameter: *const c_void) -> Result<Wanted> {
    let what = "pvFindPara";
    // SAFETY: as the caller promises.
    unsafe {
        Ok(match kind {
            CERT_FIND_ANY => Wanted::Any,
            CERT_FIND_SHA1_HASH => Wanted::Sha1(blob(parameter.cast::<Blob>(), what)?.to_vec()),
            CERT_FIND_ISSUER_NAME => Wanted::Issuer(blob(parameter.cast::<Blob>(), what)?.to_vec()),
            CERT_FIND_SUBJECT_NAME => {
                Wanted::Subject(blob(parameter.cast::<Blob>(), what)?.to_vec())
            }
            CERT_FIND_ISSUER_STR_A => Wanted::IssuerText(narrow(parameter.cast(), what)?),
            CERT_FIND_ISSUER_STR_W => Wanted::IssuerText(wide(parameter.cast(), what)?),
            CERT_FIND_SUBJECT_STR_A => Wanted::SubjectText(narrow(parameter.cast(), what)?),
            CERT_FIND_SUBJECT_STR_W => Wanted::SubjectText(wide(parameter.cast(), what)?),
            CERT_FIND_SUBJECT_CERT => {
                // As for CertCompareCertificate: a certificate that is known is looked for as a whole.
                match of_info(parameter.cast()) {
                    Some(context) => Wanted::Existing(context.certificate.der.clone()),
                    None => {
                        let (issuer, serial) = issuer_and_serial(parameter.cast::<CertInfo>())?;
                        Wanted::Numbered { issuer: issuer.to_vec(), serial: serial.to_vec() }
                    }
                }
            }
            CERT_FIND_ISSUER_OF => Wanted::IssuerOf(find(parameter.cast())?.certificate),
            CERT_FIND_EXISTING => Wanted::Existing(find(parameter.cast())?.certificate.der.clone()),
            other => {
                return Err(invalid(format!("certificates cannot be found by {other:#x}")));
            }
        })
    }
}

/// Of the checks that were asked for, those that the subject does not pass.
fn not_passed(asked: u32, subject: &Certificate, issuer: &Certificate) -> u32 {
    let now = now();
    let is_in_time = (filetime(subject.not_before)..=filetime(subject.not_after)).contains(&now);
    let mut failed = 0;
    if asked & CERT_STORE_SIGNATURE_FLAG != 0 && !is_signed(&subject.der, &issuer.der) {
        failed |= CERT_STORE_SIGNATURE_FLAG;
    }
    if asked & CERT_STORE_TIME_VALIDITY_FLAG != 0 && !is_in_time {
        failed |= CERT_STORE_TIME_VALIDITY_FLAG;
    }
    // There are no revocation lists.
    if asked & CERT_STORE_REVOCATION_FLAG != 0 {
        failed |= CERT_STORE_REVOCATION_FLAG | CERT_STORE_NO_CRL_FLAG;
    }
    failed
}

fn handle(opened: Result<usize>) -> Result<*mut c_void> {
    opened.map(|handle| handle as *mut c_void)
}

fn invalid(text: String) -> Error {
    failure(ERROR_INVALID_PARAMETER, text)
}

const CERT_STORE_PROV_MEMORY: usize = 2;
const CERT_STORE_PROV_SYSTEM_A: usize = 9;
const CERT_STORE_PROV_SYSTEM_W: usize = 10;

const CERT_FIND_ANY: u32 = 0;
const CERT_FIND_SHA1_HASH: u32 = 0x1_0000;
const CERT_FIND_ISSUER_NAME: u32 = 0x2_0004;
const CERT_FIND_SUBJECT_NAME: u32 = 0x2_0007;
const CERT_FIND_ISSUER_STR_A: u32 = 0x7_0004;
const CERT_FIND_ISSUER_STR_W: u32 = 0x8_0004;
const CERT_FIND_SUBJECT_STR_A: u32 = 0x7_0007;
const CERT_FIND_SUBJECT_STR_W: u32 = 0x8_0007;
const CERT_FIND_SUBJECT_CERT: u32 = 0xb_0000;
const CERT_FIND_ISSUER_OF: u32 = 0xc_0000;
const CERT_FIND_EXISTING: u32 = 0xd_0000;

const CERT_STORE_SIGNATURE_FLAG: u32 = 1;
const CERT_STORE_TIME_VALIDITY_FLAG: u32 = 2;
const CERT_STORE_REVOCATION_FLAG: u32 = 4;
const CERT_STORE_NO_CRL_FLAG: u32 = 0x1_0000;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::verify::tests::fixtures::Ca;

    /// Anybody can make one that has another's issuer and serial number.
    #[test]
    fn a_forged_certificate_is_not_found_for_the_genuine_one() {
        let context = |der: &[u8]| {
            let certificate = Arc::new(Certificate::parse(der).unwrap());
            give(Context { certificate, store: 0, number: 0 })
        };
        let [genuine, forged] = [Ca::root("Root"), Ca::root("Root")].map(|ca| {
            let numbered = |params: &mut rcgen::CertificateParams| {
                params.serial_number = Some(vec![1, 2, 3].into());
            };
            context(&ca.leaf(&["a.test"], numbered).der)
        });
        let store = stores::open_memory().unwrap() as *mut c_void;
        // SAFETY: the contexts and the store are live, and NULL is allowed.
        unsafe {
            ssl_wce_add_certificate_context_to_store(store, genuine, 1, std::ptr::null_mut());
            let find = |info: *const CertInfo| {
                let none = std::ptr::null();
                !ssl_wce_find_certificate_in_store(
                    store,
                    1,
                    0,
                    CERT_FIND_SUBJECT_CERT,
                    info.cast(),
                    none,
                )
                .is_null()
            };
            let info = |context: *const CertContext| (*context).info();
            assert!(find(info(genuine)) && !find(info(forged)));
            // What a program has put together itself has nothing else.
            let copy = std::mem::ManuallyDrop::new(info(forged).read());
            assert!(find(&raw const *copy));
        }
    }
}
