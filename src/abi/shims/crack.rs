//! Windows CE: SslCrackCertificate and SslFreeCertificate.

use super::blocks::{Blocks, Layout, Memory};
use super::boundary::{invalid_argument, shim};
use crate::abi::memory;
use crate::winsock::crack::{Cracked, crack};
use crate::winsock::error::ERROR_INVALID_PARAMETER;

/// X509Certificate of schnlsp.h.
#[repr(C)]
pub struct X509Certificate {
    version: u32,
    serial_number: [u8; 16],
    signature_algorithm: u32,
    valid_from: [u32; 2],
    valid_until: [u32; 2],
    issuer: *mut u8,
    subject: *mut u8,
    public_key: *mut PublicKey,
}

/// PctPublicKey of schnlsp.h, without the key.
#[repr(C)]
pub struct PublicKey {
    kind: u32,
    length: u32,
}

const _: () = {
    assert!(size_of::<X509Certificate>() == 64 && size_of::<PublicKey>() == 8);
    assert!(std::mem::offset_of!(X509Certificate, issuer) == 40);
};

/// Windows: SslCrackCertificate. The flags have no effect: programs pass TRUE for certificates
/// whose issuer's key they do not give.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ssl_wce_crack_certificate(
    certificate: *const u8,
    length: u32,
    _flags: u32,
    cracked: *mut *mut X509Certificate,
) -> i32 {
    shim!(ssl_wce_crack_certificate, 0, {
        memory::check_target(cracked, "ppCertificate")
            .map_err(invalid_argument(ERROR_INVALID_PARAMETER))?;
        // SAFETY: checked above; writable as Windows demands.
        unsafe { cracked.write(std::ptr::null_mut()) };
        // SAFETY: readable as Windows demands.
        let der = unsafe { memory::bytes(certificate, length as usize, "the certificate") }
            .map_err(invalid_argument(ERROR_INVALID_PARAMETER))?;
        let address = CRACKED.give(in_one_block(&crack(der)?), ());
        // SAFETY: as above.
        unsafe { cracked.write(address as *mut X509Certificate) };
        Ok(1)
    })
}

/// Windows: SslFreeCertificate. What is no live certificate is left alone.
#[unsafe(no_mangle)]
pub extern "C" fn ssl_wce_free_certificate(certificate: *mut X509Certificate) {
    shim!(ssl_wce_free_certificate, (), {
        CRACKED.release(certificate as usize);
        Ok(())
    });
}

fn in_one_block(cracked: &Cracked) -> Memory {
    let mut layout = Layout::default();
    let head = layout.add::<X509Certificate>();
    let key = layout.add::<PublicKey>();
    let key_bytes = layout.add_many::<u8>(cracked.key.len().max(1));
    // The block is zeroed, so each text ends with a NUL.
    let issuer = layout.add_many::<u8>(cracked.issuer.len() + 1);
    let subject = layout.add_many::<u8>(cracked.subject.len() + 1);

    let mut memory = Memory::new(&layout);
    memory.copy(key_bytes, &cracked.key);
    memory.copy(issuer, cracked.issuer.as_bytes());
    memory.copy(subject, cracked.subject.as_bytes());
    memory.put(key, PublicKey { kind: cracked.key_type, length: cracked.key.len() as u32 });
    let (issuer, subject) = (memory.address(issuer), memory.address(subject));
    let public_key = memory.address(key);
    memory.put(
        head,
        X509Certificate {
            version: cracked.version,
            serial_number: cracked.serial,
            signature_algorithm: cracked.signature_algorithm,
            valid_from: halves(cracked.valid_from),
            valid_until: halves(cracked.valid_until),
            issuer,
            subject,
            public_key,
        },
    );
    memory
}

/// A FILETIME.
pub(super) fn halves(time: u64) -> [u32; 2] {
    [time as u32, (time >> 32) as u32]
}

static CRACKED: Blocks<()> = Blocks::new();
