//! Certificate hooks, and clients that have one.

use std::ffi::c_void;
use std::os::fd::AsRawFd;
use std::sync::Mutex;
use std::thread::{self, JoinHandle, ThreadId};

use rustls::SupportedProtocolVersion;
use rustls::version::{TLS12, TLS13};
use sslsock::abi::types::ssl_blob;

use super::explicit::wait_as_told;
use super::fixtures::server_showing;
use super::pki::{Authority, Certified};
use super::wire::{Record, Served, Socket, Transport, connect, records};
use super::{
    Failure, Handle, Outcome, SSL_ERR_STATE, SSL_ERR_WANT_READ, SSL_ERR_WANT_VALIDATION,
    SSL_ERR_WANT_WRITE, SSL_FLAG_EXPLICIT_IO, SSL_FLAG_NONBLOCKING, plain_send,
};

pub const VERSIONS: [&SupportedProtocolVersion; 2] = [&TLS12, &TLS13];

/// What the hook answers, what it does before, and how it was called.
pub struct Hook {
    answer: i32,
    inside: Box<dyn Fn() + Send + Sync>,
    pub calls: Mutex<Vec<Call>>,
}

#[derive(Debug)]
pub struct Call {
    pub thread: ThreadId,
    pub kind: u32,
    pub chain_len: u32,
    pub leaf: Vec<u8>,
    pub flags: u32,
}

impl Hook {
    pub fn answering(answer: i32) -> Self {
        Self::doing(answer, || {})
    }

    pub fn doing(answer: i32, inside: impl Fn() + Send + Sync + 'static) -> Self {
        Self { answer, inside: Box::new(inside), calls: Mutex::default() }
    }

    pub fn on(&self, handle: Handle) -> Handle {
        handle.hook(Some(hook), (self as *const Self as *mut Self).cast())
    }

    /// The one call.
    #[track_caller]
    pub fn call(self) -> Call {
        let mut calls = self.calls.into_inner().unwrap();
        assert_eq!(calls.len(), 1, "called exactly once");
        calls.remove(0)
    }
}

unsafe extern "C" fn hook(
    kind: u32,
    arg: *mut c_void,
    chain_len: u32,
    chain: *const ssl_blob,
    flags: u32,
) -> i32 {
    let (hook, blob) = unsafe { (&*arg.cast::<Hook>(), &*chain) };
    let leaf = unsafe { std::slice::from_raw_parts(blob.pBlobData, blob.cbSize as usize) }.to_vec();
    let thread = thread::current().id();
    hook.calls.lock().unwrap().push(Call { thread, kind, chain_len, leaf, flags });
    (hook.inside)();
    hook.answer
}

/// A client before its upgrade, and a server that shows a certificate.
pub struct Scene {
    pub client: Socket,
    pub handle: Handle,
    pub record: Record,
    pub peer: JoinHandle<Served>,
}

impl Scene {
    pub fn new(
        authority: &Authority,
        flags: u32,
        certified: &Certified,
        version: &'static SupportedProtocolVersion,
    ) -> Self {
        let (client, wire) = connect(Transport::Tcp);
        let record = wire.record();
        let config = server_showing(&certified.chain, &certified.key, &[version]);
        let peer = thread::spawn(move || wire.serve(config));
        let handle = Handle::of(&client).flags(flags).trust(&authority.pem());
        Self { client, handle, record, peer }
    }

    /// With a hook that leaves its answer open: the handshake waits for it.
    pub fn asked(
        authority: &Authority,
        flags: u32,
        certified: &Certified,
        version: &'static SupportedProtocolVersion,
        hook: &Hook,
    ) -> Self {
        let scene = Self::new(authority, SSL_FLAG_NONBLOCKING | flags, certified, version);
        let scene = scene.hooked(hook);
        assert_eq!(scene.handle.go_on().unwrap_err().code, SSL_ERR_WANT_VALIDATION);
        scene
    }

    pub fn speaks_tls(&self, flags: u32) {
        match flags & SSL_FLAG_EXPLICIT_IO {
            0 => assert_eq!(plain_send(self.client.as_raw_fd(), b"hello"), Ok(5)),
            _ => assert_eq!(self.handle.send(b"hello", 0), Ok(5)),
        }
    }

    pub fn hooked(mut self, hook: &Hook) -> Self {
        self.handle = hook.on(self.handle);
        self
    }

    pub fn end(self) -> (Record, Served) {
        let Self { client, handle, record, peer } = self;
        drop((handle, client));
        (record, peer.join().unwrap())
    }
}

impl Handle {
    /// Drives the handshake with mail.test until it is over or waits for the program.
    pub fn go_on(&self) -> Outcome {
        loop {
            match self.handshake("mail.test") {
                Err(Failure { code: code @ (SSL_ERR_WANT_READ | SSL_ERR_WANT_WRITE), .. }) => {
                    wait_as_told(self, code);
                }
                outcome => return outcome,
            }
        }
    }

    /// A decision on the certificate is refused because of this.
    #[track_caller]
    pub fn assert_not_awaited(&self, result: i32, why: &str) {
        let failure = self.complete(result).unwrap_err();
        assert_eq!(failure.code, SSL_ERR_STATE, "{}", failure.text);
        assert!(failure.text.contains(why), "{}", failure.text);
    }
}

pub fn kinds(stream: &[u8]) -> Vec<u8> {
    records(stream).iter().map(|record| record[0]).collect()
}

/// The ClientHello, and in TLS 1.3 at most the dummy ChangeCipherSpec.
#[track_caller]
pub fn assert_only_hello(stream: &[u8]) {
    let kinds = kinds(stream);
    assert!(matches!(kinds[..], [0x16] | [0x16, 0x14]), "{kinds:?}");
}
