//! What the integration tests share: the C ABI in Rust's clothes, certificates, and peers.
//!
//! The library is used through its exported functions only. Peers are rustls's own buffered
//! connections, or threads that write whatever bytes a hostile peer would.

#![allow(dead_code)]

pub mod dead;
pub mod explicit;
pub mod fixtures;
pub mod hello;
pub mod hooks;
pub mod look;
pub mod pki;
pub mod records;
pub mod resuming;
pub mod tap;
pub mod wire;

use std::ffi::{CString, c_void};
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::os::fd::{AsRawFd, RawFd};
use std::sync::Arc;
use std::thread::JoinHandle;

pub use sslsock::abi::constants::*;
use sslsock::abi::types::{
    ssl_error_info, ssl_session_info, ssl_socket, ssl_validate_cert_fn, ssl_verify_report,
};
use sslsock::abi::{errors, handles, identity, information, session, settings, trust};

/// A handle, freed when dropped.
pub struct Handle(pub *mut ssl_socket);

// A token, not an address: the ABI allows any thread.
unsafe impl Send for Handle {}
unsafe impl Sync for Handle {}

/// What a call that failed left behind.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    pub code: i32,
    pub text: String,
}

pub type Outcome = Result<(), Failure>;

impl Handle {
    pub fn new(fd: RawFd) -> Self {
        let handle = handles::ssl_socket_new(fd);
        assert!(!handle.is_null(), "{:?}", error_of(std::ptr::null_mut()));
        Self(handle)
    }

    pub fn of(socket: &impl AsRawFd) -> Self {
        Self::new(socket.as_raw_fd())
    }

    pub fn flags(self, flags: u32) -> Self {
        assert_eq!(settings::ssl_set_flags(self.0, flags), 0);
        self
    }

    pub fn trust(self, pem: &str) -> Self {
        let added = unsafe { trust::ssl_add_trust_pem(self.0, pem.as_ptr().cast(), pem.len()) };
        assert_eq!(added, 0);
        self
    }

    /// What ssl_complete_validation answers.
    pub fn complete(&self, result: i32) -> Outcome {
        self.checked(session::ssl_complete_validation(self.0, result))
    }

    /// What ssl_cancel_handshake answers.
    pub fn cancel(&self) -> Outcome {
        self.checked(session::ssl_cancel_handshake(self.0))
    }

    pub fn timeout(self, which: u32, ms: u32) -> Self {
        assert_eq!(settings::ssl_set_timeout(self.0, which, ms), 0);
        self
    }

    /// Protocols as text, which are put into their form on the wire.
    pub fn alpn(self, protocols: &[&str]) -> Self {
        let list: Vec<u8> = protocols
            .iter()
            .flat_map(|name| [&[name.len() as u8][..], name.as_bytes()].concat())
            .collect();
        assert_eq!(unsafe { settings::ssl_set_alpn(self.0, list.as_ptr().cast(), list.len()) }, 0);
        self
    }

    pub fn versions(self, oldest: u16, newest: u16) -> Self {
        assert_eq!(settings::ssl_set_protocols(self.0, oldest, newest), 0);
        self
    }

    pub fn key_log(self, path: &std::path::Path) -> Self {
        let path = CString::new(path.to_str().unwrap()).unwrap();
        let set = unsafe { settings::ssl_set_key_log_file(self.0, path.as_ptr()) };
        assert_eq!(set, 0, "{:?}", self.error());
        self
    }

    pub fn hook(self, hook: ssl_validate_cert_fn, arg: *mut c_void) -> Self {
        assert_eq!(settings::ssl_set_validate_cert_hook(self.0, hook, arg), 0);
        self
    }

    pub fn identity(self, chain: &str, key: &str) -> Self {
        let (chain, key) = (chain.as_bytes(), key.as_bytes());
        let set = unsafe {
            identity::ssl_set_identity_pem(
                self.0,
                chain.as_ptr().cast(),
                chain.len(),
                key.as_ptr().cast(),
                key.len(),
            )
        };
        assert_eq!(set, 0, "{:?}", self.error());
        self
    }

    pub fn handshake(&self, host: &str) -> Outcome {
        let host = CString::new(host).unwrap();
        self.checked(unsafe { session::ssl_perform_handshake(self.0, host.as_ptr()) })
    }

    /// With NULL for the host, as most Windows CE programs do, and as a server must.
    pub fn handshake_without_name(&self) -> Outcome {
        self.checked(unsafe { session::ssl_perform_handshake(self.0, std::ptr::null()) })
    }

    /// `Err` holds errno.
    pub fn send(&self, data: &[u8], flags: i32) -> Result<usize, i32> {
        transferred(unsafe { session::ssl_send(self.0, data.as_ptr().cast(), data.len(), flags) })
    }

    pub fn recv(&self, buffer: &mut [u8], flags: i32) -> Result<usize, i32> {
        transferred(unsafe {
            session::ssl_recv(self.0, buffer.as_mut_ptr().cast(), buffer.len(), flags)
        })
    }

    pub fn shutdown(&self, how: i32) -> Outcome {
        self.checked(session::ssl_shutdown(self.0, how))
    }

    pub fn pending(&self) -> usize {
        let mut bytes = 0;
        assert_eq!(unsafe { session::ssl_pending(self.0, &mut bytes) }, 0);
        bytes
    }

    pub fn free(self) -> i32 {
        let handle = std::mem::ManuallyDrop::new(self);
        handles::ssl_socket_free(handle.0)
    }

    pub fn error(&self) -> Failure {
        error_of(self.0)
    }

    pub fn error_info(&self) -> ssl_error_info {
        let mut info: ssl_error_info = zeroed();
        info.size = size_of::<ssl_error_info>() as u32;
        assert_eq!(unsafe { errors::ssl_get_error_info(self.0, &mut info) }, 0);
        info
    }

    pub fn session_info(&self) -> ssl_session_info {
        let mut info: ssl_session_info = zeroed();
        info.size = size_of::<ssl_session_info>() as u32;
        let outcome = unsafe { information::ssl_get_session_info(self.0, &mut info) };
        assert_eq!(outcome, 0, "{:?}", self.error());
        info
    }

    /// What was agreed by ALPN.
    pub fn agreed(&self) -> String {
        let info = self.session_info();
        String::from_utf8(info.alpn[..info.alpn_len.into()].to_vec()).unwrap()
    }

    /// The name of the key-exchange group.
    pub fn group(&self) -> String {
        let name = self.session_info().group_name;
        name.iter().take_while(|&&byte| byte != 0).map(|&byte| char::from(byte as u8)).collect()
    }

    pub fn verify_report(&self) -> ssl_verify_report {
        let mut report: ssl_verify_report = zeroed();
        report.size = size_of::<ssl_verify_report>() as u32;
        assert_eq!(unsafe { information::ssl_get_verify_report(self.0, &mut report) }, 0);
        report
    }

    fn checked(&self, code: i32) -> Outcome {
        if code == 0 {
            return Ok(());
        }
        let failure = error_of(std::ptr::null_mut());
        assert_eq!(failure.code, code, "the thread's last error is that of the call");
        Err(failure)
    }
}

impl Drop for Handle {
    fn drop(&mut self) {
        handles::ssl_socket_free(self.0);
    }
}

/// The error of a handle, or with NULL this thread's last.
pub fn error_of(handle: *mut ssl_socket) -> Failure {
    let mut text = vec![0_u8; 8192];
    let mut length = 0;
    let outcome = unsafe {
        errors::ssl_get_error_text(handle, text.as_mut_ptr().cast(), text.len(), &mut length)
    };
    assert_eq!(outcome, 0);
    text.truncate(length - 1);
    Failure { code: errors::ssl_get_error(handle), text: String::from_utf8(text).unwrap() }
}

fn transferred(count: isize) -> Result<usize, i32> {
    usize::try_from(count).map_err(|_| std::io::Error::last_os_error().raw_os_error().unwrap())
}

fn zeroed<T>() -> T {
    // Only for the ABI's structures of integers.
    unsafe { std::mem::zeroed() }
}

/// Plain recv on a descriptor, as a program would. `Err` holds errno.
pub fn plain_recv(fd: RawFd, buffer: &mut [u8]) -> Result<usize, i32> {
    transferred(unsafe { libc::recv(fd, buffer.as_mut_ptr().cast(), buffer.len(), 0) })
}

/// Plain send on a descriptor, without SIGPIPE.
pub fn plain_send(fd: RawFd, data: &[u8]) -> Result<usize, i32> {
    transferred(unsafe { libc::send(fd, data.as_ptr().cast(), data.len(), libc::MSG_NOSIGNAL) })
}

/// An option of a socket, of whatever type the kernel has for it.
pub fn option<T: Copy>(socket: &impl AsRawFd, level: i32, name: i32) -> T {
    let mut value: T = zeroed();
    let mut size = size_of::<T>() as libc::socklen_t;
    let into = (&raw mut value).cast();
    let got = unsafe { libc::getsockopt(socket.as_raw_fd(), level, name, into, &mut size) };
    assert_eq!(got, 0, "option {name}");
    value
}

pub fn set_option<T: Copy>(socket: &impl AsRawFd, level: i32, name: i32, value: T) {
    let (from, size) = ((&raw const value).cast(), size_of::<T>() as libc::socklen_t);
    let set = unsafe { libc::setsockopt(socket.as_raw_fd(), level, name, from, size) };
    assert_eq!(set, 0, "option {name}");
}

/// A peer on loopback that serves one connection on a thread of its own.
pub struct Peer<T> {
    pub address: SocketAddr,
    thread: JoinHandle<T>,
}

impl<T: Send + 'static> Peer<T> {
    /// `serve` gets the accepted connection and may write what it likes.
    pub fn raw(serve: impl FnOnce(TcpStream) -> T + Send + 'static) -> Self {
        Self::raw_on("127.0.0.2:0", serve)
    }

    pub fn raw_on(address: &str, serve: impl FnOnce(TcpStream) -> T + Send + 'static) -> Self {
        let listener = TcpListener::bind(address).unwrap();
        let address = listener.local_addr().unwrap();
        let thread = std::thread::spawn(move || serve(listener.accept().unwrap().0));
        Self { address, thread }
    }

    /// A TLS server by rustls's buffered API.
    pub fn tls(
        config: Arc<rustls::ServerConfig>,
        serve: impl FnOnce(TlsStream) -> T + Send + 'static,
    ) -> Self {
        Self::raw(move |stream| serve(tls_server(config, stream)))
    }

    pub fn connect(&self) -> TcpStream {
        TcpStream::connect(self.address).unwrap()
    }

    /// What the peer's thread answered.
    pub fn join(self) -> T {
        self.thread.join().unwrap()
    }
}

pub type TlsStream = rustls::StreamOwned<rustls::ServerConnection, TcpStream>;

pub fn tls_server(config: Arc<rustls::ServerConfig>, stream: TcpStream) -> TlsStream {
    stream.set_nodelay(true).unwrap();
    rustls::StreamOwned::new(rustls::ServerConnection::new(config).unwrap(), stream)
}

/// Echoes until the end, then closes cleanly.
pub fn echo(mut stream: TlsStream) {
    let mut buffer = [0; 16384];
    loop {
        match stream.read(&mut buffer) {
            Ok(0) | Err(_) => break,
            Ok(count) => stream.write_all(&buffer[..count]).unwrap(),
        }
    }
    stream.conn.send_close_notify();
    let _ = stream.flush();
}
