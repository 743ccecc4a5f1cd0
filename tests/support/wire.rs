//! Connections whose far end keeps every byte that it gets.

use std::io::{self, Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd, RawFd};
use std::os::unix::net::UnixStream;
use std::sync::{Arc, Condvar, Mutex};

use rustls::ServerConnection;

use super::{SSL_FLAG_EXPLICIT_IO, SSL_FLAG_UNIX_PAIR, plain_recv, plain_send, set_option};

/// The two kinds of inner pair, and no pair at all.
pub const MODES: [u32; 3] = [0, SSL_FLAG_UNIX_PAIR, SSL_FLAG_EXPLICIT_IO];

pub const TRANSPORTS: [Transport; 2] = [Transport::Tcp, Transport::Unix];

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Transport {
    Tcp,
    Unix,
}

/// One end of a connection, of either family.
pub enum Socket {
    Tcp(TcpStream),
    Unix(UnixStream),
}

/// A connection: the program's end, and the far end that remembers.
pub fn connect(transport: Transport) -> (Socket, Wire) {
    let (near, far) = match transport {
        Transport::Tcp => {
            let listener = TcpListener::bind("127.0.0.2:0").unwrap();
            let near = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
            let far = listener.accept().unwrap().0;
            far.set_nodelay(true).unwrap();
            (Socket::Tcp(near), Socket::Tcp(far))
        }
        Transport::Unix => {
            let (near, far) = UnixStream::pair().unwrap();
            (Socket::Unix(near), Socket::Unix(far))
        }
    };
    (near, Wire { socket: far, record: Record::default(), one_by_one: false })
}

impl Socket {
    pub fn duplicate(&self) -> OwnedFd {
        self.as_fd().try_clone_to_owned().unwrap()
    }

    pub fn shutdown(&self, how: Shutdown) {
        match self {
            Self::Tcp(stream) => stream.shutdown(how).unwrap(),
            Self::Unix(stream) => stream.shutdown(how).unwrap(),
        }
    }

    /// Asks for TLS and reads the answer, byte by byte as a careful program does.
    pub fn starttls(&self) {
        let number = self.as_raw_fd();
        assert_eq!(plain_send(number, STARTTLS), Ok(STARTTLS.len()));
        let mut answer = Vec::new();
        while !answer.ends_with(b"\r\n") {
            let mut byte = [0];
            assert_eq!(plain_recv(number, &mut byte), Ok(1));
            answer.push(byte[0]);
        }
        assert_eq!(answer, GO_AHEAD);
    }

    /// Waits until poll shows one of these events.
    pub fn await_events(&self, events: i16) {
        let mut entry = libc::pollfd { fd: self.as_raw_fd(), events, revents: 0 };
        while entry.revents & (events | libc::POLLHUP | libc::POLLERR) == 0 {
            assert_eq!(unsafe { libc::poll(&mut entry, 1, LONG) }, 1, "no event");
        }
    }
}

impl AsFd for Socket {
    fn as_fd(&self) -> BorrowedFd<'_> {
        match self {
            Self::Tcp(stream) => stream.as_fd(),
            Self::Unix(stream) => stream.as_fd(),
        }
    }
}

impl AsRawFd for Socket {
    fn as_raw_fd(&self) -> RawFd {
        self.as_fd().as_raw_fd()
    }
}

impl Read for &Socket {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self {
            Socket::Tcp(stream) => (&*stream).read(buffer),
            Socket::Unix(stream) => (&*stream).read(buffer),
        }
    }
}

impl Write for &Socket {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Socket::Tcp(stream) => (&*stream).write(bytes),
            Socket::Unix(stream) => (&*stream).write(bytes),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// What the far end of a connection has received so far.
#[derive(Clone, Default)]
pub struct Record(Arc<(Mutex<Vec<u8>>, Condvar)>);

impl Record {
    pub fn bytes(&self) -> Vec<u8> {
        self.0.0.lock().unwrap().clone()
    }

    pub fn contains(&self, needle: &[u8]) -> bool {
        self.bytes().windows(needle.len()).any(|part| part == needle)
    }

    /// Everything after the request for TLS, which is in clear.
    pub fn after_starttls(&self) -> Vec<u8> {
        let bytes = self.bytes();
        bytes.strip_prefix(STARTTLS).expect("begins with the request for TLS").to_vec()
    }

    pub fn wait_until(&self, satisfied: impl Fn(&[u8]) -> bool) {
        let (bytes, more) = &*self.0;
        let guard = more.wait_while(bytes.lock().unwrap(), |bytes| !satisfied(bytes)).unwrap();
        drop(guard);
    }

    fn push(&self, bytes: &[u8]) {
        self.0.0.lock().unwrap().extend_from_slice(bytes);
        self.0.1.notify_all();
    }
}

/// The far end of a connection, for a script to play.
pub struct Wire {
    pub socket: Socket,
    record: Record,
    /// Every byte is written by itself.
    pub one_by_one: bool,
}

impl Wire {
    pub fn record(&self) -> Record {
        self.record.clone()
    }

    /// Waits for the request for TLS and agrees, with `extra` in the same segment.
    pub fn agree(&mut self, extra: &[u8]) {
        let mut line = Vec::new();
        while !line.ends_with(b"\n") {
            let mut byte = [0];
            self.read_exact(&mut byte).unwrap();
            line.push(byte[0]);
        }
        self.say(&[GO_AHEAD, extra].concat());
    }

    pub fn say(&mut self, bytes: &[u8]) {
        self.write_all(bytes).unwrap();
    }

    /// One whole TLS record.
    pub fn hear_record(&mut self) -> Vec<u8> {
        let mut record = vec![0; 5];
        self.read_exact(&mut record).unwrap();
        record.resize(5 + usize::from(u16::from_be_bytes([record[3], record[4]])), 0);
        self.read_exact(&mut record[5..]).unwrap();
        record
    }

    /// Reads on until the end, be it a reset.
    pub fn hear_all(&mut self) {
        let mut buffer = [0; 16384];
        while !matches!(self.read(&mut buffer), Ok(0) | Err(_)) {}
    }

    /// Ends the connection by a reset instead of an end of file.
    pub fn reset(self) {
        let linger = libc::linger { l_onoff: 1, l_linger: 0 };
        set_option(&self.socket, libc::SOL_SOCKET, libc::SO_LINGER, linger);
    }

    /// The first flight of a TLS server, one entry per record.
    pub fn answer_to_hello(&mut self, config: &Arc<rustls::ServerConfig>) -> Vec<Vec<u8>> {
        let mut server = ServerConnection::new(config.clone()).unwrap();
        let hello = self.hear_record();
        server.read_tls(&mut &hello[..]).unwrap();
        server.process_new_packets().unwrap();
        let mut flight = Vec::new();
        while server.wants_write() {
            server.write_tls(&mut flight).unwrap();
        }
        records(&flight)
    }

    /// A TLS server that echoes, to the end of the connection.
    pub fn serve(self, config: Arc<rustls::ServerConfig>) -> Served {
        self.serve_with(config, &[], &[])
    }

    /// The same after `hello` has been read already. `greeting` leaves as early as TLS allows, in
    /// the same segment as what stands before it.
    pub fn serve_with(
        self,
        config: Arc<rustls::ServerConfig>,
        hello: &[u8],
        greeting: &[u8],
    ) -> Served {
        self.serve_once(config, hello, greeting, false)
    }

    /// The same, with close_notify right behind the greeting if `closes`.
    pub fn greet(self, config: Arc<rustls::ServerConfig>, greeting: &[u8], closes: bool) -> Served {
        self.serve_once(config, &[], greeting, closes)
    }

    fn serve_once(
        mut self,
        config: Arc<rustls::ServerConfig>,
        hello: &[u8],
        greeting: &[u8],
        closes: bool,
    ) -> Served {
        let mut server = ServerConnection::new(config).unwrap();
        server.writer().write_all(greeting).unwrap();
        let mut served = Served { plaintext: Vec::new(), client_chain: Vec::new(), error: None };
        let mut heard = !hello.is_empty();
        server.read_tls(&mut &*hello).unwrap();
        loop {
            if heard && let Err(error) = server.process_new_packets() {
                served.error = Some(error);
            }
            if let Some(chain) = server.peer_certificates() {
                served.client_chain = chain.iter().map(|one| one.to_vec()).collect();
            }
            let mut received = Vec::new();
            // Would block, when everything has been read; the end shows below.
            let _ = server.reader().read_to_end(&mut received);
            server.writer().write_all(&received).unwrap();
            served.plaintext.extend(received);
            if closes && !server.is_handshaking() {
                server.send_close_notify();
            }
            let mut flight = Vec::new();
            while server.wants_write() {
                server.write_tls(&mut flight).unwrap();
            }
            let gone = self.write_all(&flight).is_err();
            if gone || served.error.is_some() {
                self.hear_all();
                return served;
            }
            heard = matches!(server.read_tls(&mut self), Ok(1..));
            if !heard {
                return served;
            }
        }
    }
}

/// What a TLS server has seen of a connection.
#[derive(Debug, Default)]
pub struct Served {
    pub plaintext: Vec<u8>,
    /// What the client has shown, in DER.
    pub client_chain: Vec<Vec<u8>>,
    pub error: Option<rustls::Error>,
}

impl Read for Wire {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = (&self.socket).read(buffer)?;
        self.record.push(&buffer[..count]);
        Ok(count)
    }
}

impl Write for Wire {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let length = if self.one_by_one { bytes.len().min(1) } else { bytes.len() };
        (&self.socket).write(&bytes[..length])
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Takes a stream of TLS apart. Panics on anything that is not whole records.
pub fn records(stream: &[u8]) -> Vec<Vec<u8>> {
    let mut rest = stream;
    let mut records = Vec::new();
    while !rest.is_empty() {
        let [0x14..=0x17, 0x03, _, high, low, ..] = rest else {
            panic!("not a TLS record: {:?}", String::from_utf8_lossy(rest));
        };
        let length = 5 + usize::from(u16::from_be_bytes([*high, *low]));
        assert!(rest.len() >= length, "the last record is cut off");
        records.push(rest[..length].to_vec());
        rest = &rest[length..];
    }
    records
}

pub const STARTTLS: &[u8] = b"STARTTLS\r\n";
pub const GO_AHEAD: &[u8] = b"220 go ahead\r\n";
/// Milliseconds until a test that waits for what must come gives up.
pub const LONG: i32 = 60_000;
