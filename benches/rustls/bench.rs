//! Bare rustls as a client of benches/c/harness.c, by its buffered and its unbuffered interface; a server of it, for the
//! key exchange that Debian's OpenSSL does not have; and the provider's AES-256-GCM by itself.

mod buffered;
mod connection;
mod records;
mod serve;
mod unbuffered;

use std::ffi::{CStr, c_char, c_int, c_void};
use std::os::fd::FromRawFd;
use std::sync::{Arc, OnceLock};

use rustls::client::Resumption;
use rustls::crypto::aws_lc_rs;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, NamedGroup, RootCertStore};

use connection::{Connection, Transport};

/// `struct bench_options` of harness.h.
#[repr(C)]
pub struct Options {
    mode: *const c_char,
    ca: *const c_char,
    name: *const c_char,
    group: *const c_char,
    tls: c_int,
    resume: c_int,
}

/// `struct bench_client` of harness.h.
#[repr(C)]
pub struct Client {
    version: extern "C" fn() -> *const c_char,
    setup: extern "C" fn(*const Options),
    open: extern "C" fn(c_int) -> *mut c_void,
    send: extern "C" fn(*mut c_void, *const u8, usize),
    receive: extern "C" fn(*mut c_void, *mut u8, usize) -> usize,
    close: extern "C" fn(*mut c_void),
    records: Option<extern "C" fn(c_int, usize)>,
    serve: Option<extern "C" fn(c_int, *const c_char, *const c_char, c_int)>,
}

#[unsafe(no_mangle)]
pub static bench_client: Client = Client {
    version,
    setup,
    open,
    send,
    receive,
    close,
    records: Some(records::run),
    serve: Some(serve::run),
};

struct Setup {
    config: Arc<ClientConfig>,
    name: ServerName<'static>,
    is_buffered: bool,
}

static SETUP: OnceLock<Setup> = OnceLock::new();

extern "C" fn version() -> *const c_char {
    concat!("rustls, aws-lc-rs: see Cargo.lock", "\0").as_ptr().cast()
}

extern "C" fn setup(options: *const Options) {
    // SAFETY: the harness gives a structure that outlives the call.
    let options = unsafe { &*options };
    let mut provider = aws_lc_rs::default_provider();
    if text(options.group) == "x25519" {
        provider.kx_groups.retain(|group| group.name() != NamedGroup::X25519MLKEM768);
    }
    let version = match options.tls {
        12 => &rustls::version::TLS12,
        _ => &rustls::version::TLS13,
    };
    let mut roots = RootCertStore::empty();
    for certificate in CertificateDer::pem_file_iter(text(options.ca)).expect("the CA file") {
        roots.add(certificate.expect("PEM")).expect("a CA");
    }
    let mut config = ClientConfig::builder_with_provider(Arc::new(provider))
        .with_protocol_versions(&[version])
        .expect("versions")
        .with_root_certificates(roots)
        .with_no_client_auth();
    config.resumption = match options.resume {
        0 => Resumption::disabled(),
        _ => Resumption::in_memory_sessions(8),
    };
    let setup = Setup {
        config: Arc::new(config),
        name: ServerName::try_from(text(options.name)).expect("a name").to_owned(),
        is_buffered: text(options.mode) == "buffered",
    };
    assert!(SETUP.set(setup).is_ok());
}

extern "C" fn open(fd: c_int) -> *mut c_void {
    let setup = SETUP.get().expect("setup comes first");
    // SAFETY: the harness hands over the descriptor.
    let transport = unsafe { Transport::from_raw_fd(fd) };
    let connection: Box<dyn Connection> = match setup.is_buffered {
        true => {
            Box::new(buffered::Buffered::new(setup.config.clone(), setup.name.clone(), transport))
        }
        false => Box::new(unbuffered::Unbuffered::new(
            setup.config.clone(),
            setup.name.clone(),
            transport,
        )),
    };
    Box::into_raw(Box::new(connection)).cast()
}

extern "C" fn send(connection: *mut c_void, bytes: *const u8, length: usize) {
    // SAFETY: as the harness has it from `open`; the bytes are there for the call.
    let (connection, bytes) =
        unsafe { (connected(connection), std::slice::from_raw_parts(bytes, length)) };
    connection.send(bytes);
}

extern "C" fn receive(connection: *mut c_void, bytes: *mut u8, capacity: usize) -> usize {
    // SAFETY: as for `send`; the buffer has been written once by the harness.
    let (connection, bytes) =
        unsafe { (connected(connection), std::slice::from_raw_parts_mut(bytes, capacity)) };
    connection.receive(bytes)
}

extern "C" fn close(connection: *mut c_void) {
    // SAFETY: from `open`, and not used again.
    let mut connection = unsafe { Box::from_raw(connection.cast::<Box<dyn Connection>>()) };
    connection.close();
}

/// # Safety
///
/// The pointer is one of `open`'s and not closed yet.
unsafe fn connected<'a>(connection: *mut c_void) -> &'a mut dyn Connection {
    // SAFETY: see above; the harness has one thread.
    unsafe { (*connection.cast::<Box<dyn Connection>>()).as_mut() }
}

fn text<'a>(pointer: *const c_char) -> &'a str {
    // SAFETY: the harness's strings are arguments of its program or constants.
    unsafe { CStr::from_ptr(pointer) }.to_str().expect("UTF-8")
}
