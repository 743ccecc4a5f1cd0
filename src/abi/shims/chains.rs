//! Windows: certificate chains.

use std::ffi::{c_char, c_void};

use super::blocks::{Blocks, Layout, Memory};
use super::boundary::shim;
use super::certificate_names::{narrow, wide};
use super::contexts::{CertContext, Context, check_source, find, give, release, time_at};
use crate::error::Result;
use crate::socket;
use crate::verify::name::PeerName;
use crate::winsock::certificate::unix_time;
use crate::winsock::chains::{Chain, Request};
use crate::winsock::error::{ERROR_FILE_NOT_FOUND, ERROR_INVALID_PARAMETER, failure};
use crate::winsock::stores;

/// CERT_TRUST_STATUS.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct TrustStatus {
    errors: u32,
    information: u32,
}

/// CERT_CHAIN_ELEMENT.
#[repr(C)]
pub struct ChainElement {
    size: u32,
    context: *const CertContext,
    status: TrustStatus,
}

/// CERT_SIMPLE_CHAIN.
#[repr(C)]
pub struct SimpleChain {
    size: u32,
    status: TrustStatus,
    count: u32,
    elements: *mut *mut ChainElement,
}

/// CERT_CHAIN_CONTEXT.
#[repr(C)]
pub struct ChainContext {
    size: u32,
    status: TrustStatus,
    count: u32,
    chains: *mut *mut SimpleChain,
    lower_count: u32,
    lower: *mut *const ChainContext,
}

/// CERT_CHAIN_PARA.
#[repr(C)]
pub struct ChainParameters {
    size: u32,
    requested: UsageMatch,
}

/// CERT_USAGE_MATCH.
#[repr(C)]
pub struct UsageMatch {
    kind: u32,
    usage: Usage,
}

/// CERT_ENHKEY_USAGE.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct Usage {
    count: u32,
    identifiers: *const *const c_char,
}

/// CERT_CHAIN_POLICY_PARA.
#[repr(C)]
pub struct PolicyParameters {
    size: u32,
    flags: u32,
    extra: *const SslPolicyParameters,
}

/// SSL_EXTRA_CERT_CHAIN_POLICY_PARA.
#[repr(C)]
pub struct SslPolicyParameters {
    size: u32,
    side: u32,
    checks: u32,
    server_name: *const libc::wchar_t,
}

/// CERT_CHAIN_POLICY_STATUS.
#[repr(C)]
pub struct PolicyStatus {
    size: u32,
    error: u32,
    chain: i32,
    element: i32,
    extra: *mut c_void,
}

#[derive(Clone)]
struct Known {
    chain: Chain,
    contexts: Vec<usize>,
}

/// Windows: CertGetCertificateChain. It succeeds whatever is wrong with the chain: the status says.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ssl_wce_get_certificate_chain(
    _engine: *mut c_void,
    context: *const CertContext,
    time: *const [u32; 2],
    additional: *mut c_void,
    parameters: *const ChainParameters,
    flags: u32,
    _reserved: *mut c_void,
    chain: *mut *const ChainContext,
) -> i32 {
    shim!(ssl_wce_get_certificate_chain, 0, {
        check_source(chain, "ppChainContext")?;
        // SAFETY: checked above; writable as Windows demands.
        unsafe { chain.write(std::ptr::null()) };
        let additional = match additional.is_null() {
            true => Vec::new(),
            false => stores::find(additional as usize)?.certificates(),
        };
        let request = Request {
            leaf: find(context)?.certificate,
            additional,
            // SAFETY: readable as Windows demands.
            time: unsafe { time_at(time) }?.map(unix_time),
            usages: unsafe { usages(parameters) }?,
            checks_revocation: flags & CERT_CHAIN_REVOCATION_CHECK != 0,
        };
        let address = give_chain(Chain::build(&request, &socket::default_trust())?);
        // SAFETY: as above.
        unsafe { chain.write(address as *const ChainContext) };
        Ok(1)
    })
}

/// Windows: CertFreeCertificateChain, which frees the contexts in it, too.
#[unsafe(no_mangle)]
pub extern "C" fn ssl_wce_free_certificate_chain(chain: *const ChainContext) {
    shim!(ssl_wce_free_certificate_chain, (), {
        for context in CHAINS.release(chain as usize).iter().flat_map(|known| &known.contexts) {
            release(*context as *const CertContext);
        }
        Ok(())
    });
}

/// Windows: CertVerifyCertificateChainPolicy, for servers. It succeeds whatever comes out: the
/// status says. A policy is never more lenient than without flags.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ssl_wce_verify_certificate_chain_policy(
    policy: *const c_char,
    chain: *const ChainContext,
    parameters: *const PolicyParameters,
    status: *mut PolicyStatus,
) -> i32 {
    shim!(ssl_wce_verify_certificate_chain_policy, 0, {
        check_source(status, "pPolicyStatus")?;
        let known = CHAINS
            .data(chain as usize)
            .ok_or_else(|| failure(ERROR_INVALID_PARAMETER, "this is no live chain"))?;
        let error = match policy as usize {
            CERT_CHAIN_POLICY_BASE => known.chain.policy_error(None),
            CERT_CHAIN_POLICY_SSL => {
                // SAFETY: readable as Windows demands.
                known.chain.policy_error(Some(unsafe { server_name(parameters) }?.as_ref()))
            }
            other => {
                return Err(failure(
                    ERROR_FILE_NOT_FOUND,
                    format!("there is no policy {other:#x}: only CERT_CHAIN_POLICY_BASE and _SSL"),
                ));
            }
        }?;
        let (chain, element) = if error == 0 { (-1, -1) } else { (0, 0) };
        // SAFETY: checked above; writable as Windows demands.
        unsafe {
            (*status).error = error;
            (*status).chain = chain;
            (*status).element = element;
        }
        Ok(1)
    })
}

/// # Safety
/// A pointer that is not NULL is readable, and so is what it points to.
unsafe fn usages(parameters: *const ChainParameters) -> Result<Vec<String>> {
    if parameters.is_null() {
        return Ok(Vec::new());
    }
    check_source(parameters, "pChainPara")?;
    // SAFETY: not NULL and aligned; readable as the caller promises.
    unsafe {
        let Usage { count, identifiers } = (*parameters).requested.usage;
        if count > 0 {
            check_source(identifiers, "rgpszUsageIdentifier")?;
        }
        let places = (0..count as usize).map(|index| identifiers.add(index).read());
        places.map(|place| narrow(place, "a usage")).collect()
    }
}

/// # Safety
/// As for [`usages`].
unsafe fn server_name(parameters: *const PolicyParameters) -> Result<Option<PeerName>> {
    if parameters.is_null() {
        return Ok(None);
    }
    check_source(parameters, "pPolicyPara")?;
    // SAFETY: not NULL and aligned; readable as the caller promises.
    let extra = unsafe { (*parameters).extra };
    if extra.is_null() {
        return Ok(None);
    }
    check_source(extra, "pvExtraPolicyPara")?;
    // SAFETY: as above.
    let name = unsafe { (*extra).server_name };
    if name.is_null() {
        return Ok(None);
    }
    // SAFETY: as above.
    PeerName::parse(&unsafe { wide(name, "pwszServerName") }?).map(Some)
}

fn give_chain(chain: Chain) -> usize {
    let mut layout = Layout::default();
    let head = layout.add::<ChainContext>();
    let simple_place = layout.add::<*mut SimpleChain>();
    let simple = layout.add::<SimpleChain>();
    let places = layout.add_many::<*mut ChainElement>(chain.elements.len());
    let elements = layout.add_many::<ChainElement>(chain.elements.len());

    let mut memory = Memory::new(&layout);
    let mut contexts = Vec::new();
    for (index, element) in chain.elements.iter().enumerate() {
        let certificate = element.certificate.clone();
        let context = give(Context { certificate, store: 0, number: 0 });
        contexts.push(context as usize);
        memory.put(
            elements.at(index),
            ChainElement {
                size: size_of::<ChainElement>() as u32,
                context,
                status: TrustStatus { errors: element.errors, information: element.information },
            },
        );
        let address = memory.address(elements.at(index));
        memory.put(places.at(index), address);
    }
    let status = TrustStatus { errors: chain.errors, information: 0 };
    let value = SimpleChain {
        size: size_of::<SimpleChain>() as u32,
        status,
        count: chain.elements.len() as u32,
        elements: memory.address(places),
    };
    memory.put(simple, value);
    let address = memory.address(simple);
    memory.put(simple_place, address);
    let value = ChainContext {
        size: size_of::<ChainContext>() as u32,
        status,
        count: 1,
        chains: memory.address(simple_place),
        lower_count: 0,
        lower: std::ptr::null_mut(),
    };
    memory.put(head, value);
    CHAINS.give(memory, Known { chain, contexts })
}

/// Of the end, of the whole, and of all but the root.
const CERT_CHAIN_REVOCATION_CHECK: u32 = 0x7000_0000;
const CERT_CHAIN_POLICY_BASE: usize = 1;
const CERT_CHAIN_POLICY_SSL: usize = 4;

static CHAINS: Blocks<Known> = Blocks::new();

const _: () = {
    assert!(size_of::<ChainElement>() == 24 && size_of::<SimpleChain>() == 24);
    assert!(size_of::<ChainContext>() == 40 && size_of::<ChainParameters>() == 32);
    assert!(size_of::<PolicyStatus>() == 24 && size_of::<SslPolicyParameters>() == 24);
};
