//! What tests of resumption share: servers that resume, and a client's view of a connection.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::os::fd::AsRawFd;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::thread;

use rustls::crypto::aws_lc_rs::Ticketer;
use rustls::version::{TLS12, TLS13};
use sslsock::abi::settings::ssl_set_session_from;

use super::pki::Certified;
use super::tap::Tap;
use super::{Handle, Outcome, SSL_FLAG_EXPLICIT_IO, error_of, plain_recv, plain_send, tls_server};

/// How a server resumes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// TLS 1.2 with a session id.
    Id,
    /// TLS 1.2 with a ticket.
    Ticket,
    Tls13,
}

impl Kind {
    /// Of TLS, as on the wire.
    pub fn version(self) -> u16 {
        if self == Self::Tls13 { 0x0304 } else { 0x0303 }
    }
}

pub const KINDS: [Kind; 3] = [Kind::Id, Kind::Ticket, Kind::Tls13];
/// Transparent and explicit.
pub const WAYS: [u32; 2] = [0, SSL_FLAG_EXPLICIT_IO];

/// A server of rustls's with a memory of its own.
pub fn config(certified: &Certified, kind: Kind) -> rustls::ServerConfig {
    let version = if kind == Kind::Tls13 { &TLS13 } else { &TLS12 };
    let mut config = Arc::unwrap_or_clone(certified.server_with(&[version]));
    if kind == Kind::Ticket {
        config.ticketer = Ticketer::new().unwrap();
    }
    config
}

/// Serves every connection on a thread of its own, as long as the test program runs.
pub fn serve(
    config: rustls::ServerConfig,
    serve: impl Fn(super::TlsStream) + Send + Sync + Copy + 'static,
) -> SocketAddr {
    let (listener, config) = (TcpListener::bind("127.0.0.2:0").unwrap(), Arc::new(config));
    let address = listener.local_addr().unwrap();
    thread::spawn(move || {
        for stream in listener.incoming() {
            let config = config.clone();
            thread::spawn(move || serve(tls_server(config, stream.unwrap())));
        }
    });
    address
}

/// `openssl s_server`, which answers each line with the line reversed.
pub struct OpenSsl {
    process: Child,
    pub address: SocketAddr,
    files: [std::path::PathBuf; 2],
}

impl OpenSsl {
    pub fn serve(certified: &Certified, kind: Kind) -> Self {
        Self::with(certified, kind, &[])
    }

    /// One that demands a client certificate, whatever it is.
    pub fn demanding(certified: &Certified, kind: Kind) -> Self {
        Self::with(certified, kind, &["-Verify", "1"])
    }

    fn with(certified: &Certified, kind: Kind, more: &[&str]) -> Self {
        let id = thread::current().id();
        let file = |name: &str, content: &str| {
            let name = format!("sslsock-{}-{id:?}-{kind:?}-{name}", std::process::id());
            let path = std::env::temp_dir().join(name);
            std::fs::write(&path, content).unwrap();
            path
        };
        let files = [file("chain", &certified.chain), file("key", &certified.key)];
        let options: &[&str] = match kind {
            Kind::Id => &["-tls1_2", "-no_ticket"],
            Kind::Ticket => &["-tls1_2"],
            Kind::Tls13 => &["-tls1_3"],
        };
        let mut process = Command::new("openssl")
            .args(["s_server", "-rev", "-accept", "127.0.0.2:0", "-cert"])
            .arg(&files[0])
            .arg("-key")
            .arg(&files[1])
            .args(options)
            .args(more)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let mut output = BufReader::new(process.stdout.take().unwrap());
        let address = loop {
            let mut line = String::new();
            assert_ne!(output.read_line(&mut line).unwrap(), 0, "openssl s_server has ended");
            if let Some(address) = line.strip_prefix("ACCEPT ") {
                break address.trim().parse().unwrap();
            }
        };
        thread::spawn(move || std::io::copy(&mut output, &mut std::io::sink()));
        Self { process, address, files }
    }
}

impl Drop for OpenSsl {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
        for file in &self.files {
            let _ = std::fs::remove_file(file);
        }
    }
}

/// A client connection of the library's that is being listened to.
pub struct Client {
    pub handle: Handle,
    pub socket: TcpStream,
    pub tap: Tap,
    explicit: bool,
}

impl Client {
    /// Connected, and with the settings that `set` makes; the handshake is still to come.
    pub fn new(server: SocketAddr, flags: u32, set: impl FnOnce(Handle) -> Handle) -> Self {
        Self::over(Tap::connect(server), flags, set)
    }

    pub fn over(
        (socket, tap): (TcpStream, Tap),
        flags: u32,
        set: impl FnOnce(Handle) -> Handle,
    ) -> Self {
        let handle = set(Handle::of(&socket).flags(flags));
        Self { handle, socket, tap, explicit: flags & SSL_FLAG_EXPLICIT_IO != 0 }
    }

    pub fn resuming(self, other: &Self) -> Self {
        assert_eq!(ssl_set_session_from(self.handle.0, other.handle.0), 0, "{}", last_text());
        self
    }

    /// Makes the handshake, and hears an answer, behind which no ticket can be on its way.
    pub fn talk(self, host: &str) -> Self {
        assert_eq!(self.try_handshake(host), Ok(()));
        self.say_something();
        self
    }

    /// An empty name: that of the settings.
    pub fn try_handshake(&self, host: &str) -> Outcome {
        match host.is_empty() {
            true => self.handle.handshake_without_name(),
            false => self.handle.handshake(host),
        }
    }

    pub fn say_something(&self) {
        self.send(b"what?\n");
        let mut answer = [0; 6];
        let mut length = 0;
        while length < answer.len() {
            let received = match self.explicit {
                true => self.handle.recv(&mut answer[length..], 0),
                false => plain_recv(self.socket.as_raw_fd(), &mut answer[length..]),
            };
            match received {
                Ok(count @ 1..) => length += count,
                other => panic!("{other:?}: {:?}", self.handle.error()),
            }
        }
    }

    pub fn send(&self, data: &[u8]) {
        let sent = match self.explicit {
            true => self.handle.send(data, 0),
            false => plain_send(self.socket.as_raw_fd(), data),
        };
        assert_eq!(sent, Ok(data.len()), "{:?}", self.handle.error());
    }

    pub fn has_resumed(&self) -> bool {
        self.handle.session_info().resumed != 0
    }

    /// The end of the handle and of the connection.
    pub fn close(self) -> Tap {
        let Self { handle, socket, tap, .. } = self;
        assert_eq!(handle.free(), 0);
        drop(socket);
        tap
    }
}

/// Answers what comes with as much, to the end.
pub fn answer(mut stream: super::TlsStream) {
    let mut buffer = [0; 4096];
    while let Ok(count @ 1..) = stream.read(&mut buffer) {
        if stream.write_all(&buffer[..count]).is_err() {
            return;
        }
    }
    stream.conn.send_close_notify();
    let _ = stream.flush();
}

/// What the kernel knows a connection by, in every descriptor.
pub fn inode(socket: &TcpStream) -> String {
    let link = std::fs::read_link(format!("/proc/self/fd/{}", socket.as_raw_fd())).unwrap();
    link.into_os_string().into_string().unwrap()
}

pub fn is_open(inode: &str) -> bool {
    let descriptors = std::fs::read_dir("/proc/self/fd").unwrap();
    let mut links = descriptors.filter_map(|entry| std::fs::read_link(entry.ok()?.path()).ok());
    links.any(|link| link.as_os_str() == inode)
}

/// Looks again and again: nothing tells of it.
pub fn wait_until(is_true: impl Fn() -> bool) {
    while !is_true() {
        thread::sleep(std::time::Duration::from_millis(5));
    }
}

/// The text of this thread's last error.
pub fn last_text() -> String {
    error_of(std::ptr::null_mut()).text
}
