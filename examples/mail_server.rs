//! A small mail server that offers STARTTLS, for the demo and the tests: it takes mail on loopback
//! and prints what it received.
//!
//! It answers EHLO with the list of Microsoft's server of 2009, in clear only what has to be in
//! clear, and its TLS is rustls used directly, so that a mistake of sslsock cannot hide in both
//! ends. It is a demonstration, not a mail server: nothing is delivered or stored.
//!
//! ```text
//! mail_server --dir DIR [--listen 127.0.0.1:0] [--once]
//! ```
//!
//! Line 1 of the output is `listening on ADDRESS`; `DIR/ca.pem` is there by then. With `--once` it
//! ends after the first connection.

use std::error::Error;
use std::io::{self, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use rustls::pki_types::PrivateKeyDer;
use rustls::{ServerConfig, ServerConnection, StreamOwned};

fn main() -> ExitCode {
    let options = match Options::parse(std::env::args().skip(1)) {
        Ok(options) => options,
        Err(problem) => {
            complain(&format!("{problem}\n{USAGE}"));
            return ExitCode::from(2);
        }
    };
    match serve(&options) {
        Ok(()) => ExitCode::SUCCESS,
        Err(problem) => {
            complain(&problem.to_string());
            ExitCode::FAILURE
        }
    }
}

struct Options {
    dir: PathBuf,
    listen: String,
    once: bool,
}

impl Options {
    fn parse(mut args: impl Iterator<Item = String>) -> Result<Self, String> {
        let (mut dir, mut listen, mut once) = (None, "127.0.0.1:0".to_owned(), false);
        while let Some(arg) = args.next() {
            let mut value = || args.next().ok_or(format!("{arg} needs a value"));
            match arg.as_str() {
                "--dir" => dir = Some(PathBuf::from(value()?)),
                "--listen" => listen = value()?,
                "--once" => once = true,
                _ => return Err(format!("unknown argument {arg}")),
            }
        }
        let dir = dir.ok_or("--dir is missing")?;
        Ok(Self { dir, listen, once })
    }
}

fn serve(options: &Options) -> Result<(), Box<dyn Error>> {
    let config = make_identity(&options.dir)
        .map_err(|problem| format!("could not make {}/ca.pem: {problem}", options.dir.display()))?;
    let listener = TcpListener::bind(&options.listen)
        .map_err(|problem| format!("could not listen on {}: {problem}", options.listen))?;
    report(&format!("listening on {}\n", listener.local_addr()?));

    let sessions = Arc::new(AtomicUsize::new(0));
    loop {
        let (socket, peer) = match listener.accept() {
            Ok(accepted) => accepted,
            Err(problem) if is_passing(&problem) => continue,
            Err(problem) => return Err(format!("could not accept: {problem}").into()),
        };
        let config = config.clone();
        if options.once {
            run_session(socket, peer, config);
            return Ok(());
        }

        let slot = Slot::take(&sessions);
        if slot.number > MAX_SESSIONS {
            refuse(socket);
            continue;
        }
        let session = move || {
            let _slot = slot;
            run_session(socket, peer, config);
        };
        if let Err(problem) = thread::Builder::new().spawn(session) {
            complain(&format!("could not start a thread for {peer}: {problem}"));
        }
    }
}

/// One of the sessions that may run at a time; given back however the session ends.
struct Slot {
    sessions: Arc<AtomicUsize>,
    number: usize,
}

impl Slot {
    fn take(sessions: &Arc<AtomicUsize>) -> Self {
        let number = sessions.fetch_add(1, Ordering::Relaxed) + 1;
        Self { sessions: sessions.clone(), number }
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        self.sessions.fetch_sub(1, Ordering::Relaxed);
    }
}

fn refuse(mut socket: TcpStream) {
    // Best effort: the reply fits any send buffer, and a peer that is gone needs none.
    let _ = socket.set_nonblocking(true);
    let _ = socket.write_all(b"421 4.3.2 too many connections, try again later\r\n");
}

/// The peer gave up before we accepted it, or a signal came: no reason to end.
fn is_passing(problem: &io::Error) -> bool {
    use io::ErrorKind::{ConnectionAborted, ConnectionReset, Interrupted};
    matches!(problem.kind(), ConnectionAborted | ConnectionReset | Interrupted)
}

/// Makes a CA and a server certificate for this run; only the CA's certificate leaves the process.
fn make_identity(dir: &Path) -> Result<Arc<ServerConfig>, Box<dyn Error>> {
    use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair};
    use rcgen::{ExtendedKeyUsagePurpose, KeyUsagePurpose};

    let now = rcgen::date_time_ymd(1970, 1, 1) + SystemTime::now().duration_since(UNIX_EPOCH)?;
    let dated = |names: &[&str], common_name: &str| -> Result<_, rcgen::Error> {
        let names: Vec<String> = names.iter().copied().map(str::to_owned).collect();
        let mut params = CertificateParams::new(names)?;
        params.not_before = now - DAY;
        params.not_after = now + 30 * DAY;
        params.distinguished_name = rcgen::DistinguishedName::new();
        params.distinguished_name.push(DnType::CommonName, common_name);
        Ok(params)
    };

    let mut ca = dated(&[], "Demo mail CA")?;
    ca.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    ca.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    let ca_key = KeyPair::generate()?;
    let ca_cert = ca.self_signed(&ca_key)?;

    let mut server = dated(SERVER_NAMES, SERVER_NAMES[0])?;
    server.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    server.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    server.use_authority_key_identifier_extension = true;
    let key = KeyPair::generate()?;
    let cert = server.signed_by(&key, &Issuer::new(ca, ca_key))?;

    std::fs::create_dir_all(dir)?;
    std::fs::write(dir.join("ca.pem"), ca_cert.pem())?;

    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()?
        .with_no_client_auth()
        .with_single_cert(
            vec![cert.der().clone()],
            PrivateKeyDer::Pkcs8(key.serialize_der().into()),
        )?;
    Ok(Arc::new(config))
}

/// Talks to one client and then prints what it sent.
fn run_session(socket: TcpStream, peer: SocketAddr, config: Arc<ServerConfig>) {
    let mut session = match Session::new(socket, peer, config) {
        Ok(session) => session,
        Err(problem) => return complain(&format!("{peer}: {problem}")),
    };
    let ending = match session.converse() {
        Ok(()) => "the client said QUIT".to_owned(),
        Err(problem) => format!("the session broke off: {problem}"),
    };
    session.line.finish();

    let mut text = String::new();
    for (index, mail) in session.received.iter().enumerate() {
        mail.show(index + 1, &mut text);
    }
    text += &format!("session with {peer} over, {} received; {ending}\n", session.received.len());
    report(&text);
}

/// The conversation with one client.
struct Session {
    line: Line,
    peer: SocketAddr,
    config: Arc<ServerConfig>,
    greeted: bool,
    envelope: Envelope,
    received: Vec<Mail>,
}

#[derive(Default)]
struct Envelope {
    from: Option<String>,
    to: Vec<String>,
    /// What BDAT has brought so far; `None` before the first chunk.
    chunks: Option<Vec<u8>>,
}

impl Session {
    fn new(socket: TcpStream, peer: SocketAddr, config: Arc<ServerConfig>) -> io::Result<Self> {
        Ok(Self {
            line: Line::new(socket)?,
            peer,
            config,
            greeted: false,
            envelope: Envelope::default(),
            received: Vec::new(),
        })
    }

    fn converse(&mut self) -> io::Result<()> {
        self.reply("220 mail.test ESMTP demo server, version 6.0.3790.3959 ready")?;
        loop {
            let line = match self.line.read_line(COMMAND_LIMIT)? {
                Text::Line(line) => String::from_utf8_lossy(&line).into_owned(),
                Text::TooLong => {
                    self.reply("500 5.5.2 line too long")?;
                    continue;
                }
                Text::Malformed => return self.give_up("500 5.5.2 a line ends with CR LF"),
            };
            let (verb, argument) = line.split_once(' ').unwrap_or((&line, ""));
            let argument = argument.trim();
            match verb.to_ascii_uppercase().as_str() {
                "EHLO" => self.ehlo()?,
                "HELO" => {
                    self.envelope = Envelope::default();
                    self.greeted = true;
                    self.reply("250 mail.test")?;
                }
                "STARTTLS" => self.start_tls(argument)?,
                "NOOP" => self.reply("250 2.0.0 OK")?,
                "QUIT" => return self.reply("221 2.0.0 mail.test closing the connection"),
                "TLS" => self.reply("502 5.5.1 use STARTTLS")?,
                _ if !self.line.is_tls() => self.reply("530 5.7.0 must issue STARTTLS first")?,
                "RSET" => {
                    self.envelope = Envelope::default();
                    self.reply("250 2.0.0 OK")?;
                }
                "MAIL" => self.mail_from(argument)?,
                "RCPT" => self.rcpt_to(argument)?,
                "DATA" => self.data()?,
                "BDAT" => self.bdat(argument)?,
                "VRFY" => self.reply("252 2.5.2 send some mail, I will take it")?,
                "ETRN" => self.reply("251 2.0.0 no messages waiting")?,
                "TURN" => self.reply("502 5.7.0 not on this connection")?,
                _ => self.reply("500 5.5.1 unknown command")?,
            }
        }
    }

    fn ehlo(&mut self) -> io::Result<()> {
        self.envelope = Envelope::default();
        self.greeted = true;
        let mut list = format!("250-mail.test Hello [{}]\r\n", self.peer.ip());
        for keyword in EHLO_LIST {
            list += &format!("250-{keyword}\r\n");
        }
        if !self.line.is_tls() {
            // RFC 3207, 4.2: not offered again once TLS is up.
            list += "250-TLS\r\n250-STARTTLS\r\n";
        }
        self.reply(&(list + "250 OK"))
    }

    /// Nothing that came in clear may be taken for part of the secured conversation
    /// (CVE-2011-0411): commands sent along with STARTTLS end the session, and what was said
    /// before it is forgotten.
    fn start_tls(&mut self, argument: &str) -> io::Result<()> {
        if self.line.is_tls() {
            return self.reply("503 5.5.1 TLS is already up");
        }
        if !argument.is_empty() {
            return self.reply("501 5.5.4 STARTTLS takes no parameters");
        }
        if self.line.has_more()? {
            return self.give_up("554 5.5.1 commands sent along with STARTTLS");
        }
        self.reply("220 2.0.0 SMTP server ready")?;
        self.greeted = false;
        self.envelope = Envelope::default();
        self.line.start_tls(self.config.clone())
    }

    fn mail_from(&mut self, argument: &str) -> io::Result<()> {
        if !self.greeted {
            return self.reply("503 5.5.1 say EHLO first");
        }
        if self.envelope.from.is_some() {
            return self.reply("503 5.5.1 there is a sender already");
        }
        let Some(from) = path(argument, "FROM:") else {
            return self.reply("501 5.5.4 syntax: MAIL FROM:<address>");
        };
        self.envelope.from = Some(from);
        self.reply("250 2.1.0 sender OK")
    }

    fn rcpt_to(&mut self, argument: &str) -> io::Result<()> {
        if self.envelope.from.is_none() {
            return self.reply("503 5.5.1 say MAIL FROM first");
        }
        let Some(to) = path(argument, "TO:").filter(|to| !to.is_empty()) else {
            return self.reply("501 5.5.4 syntax: RCPT TO:<address>");
        };
        if self.envelope.to.len() >= MAX_RECIPIENTS {
            return self.reply("452 4.5.3 too many recipients");
        }
        self.envelope.to.push(to);
        self.reply("250 2.1.5 recipient OK")
    }

    fn data(&mut self) -> io::Result<()> {
        if self.envelope.to.is_empty() || self.envelope.chunks.is_some() {
            return self.reply("503 5.5.1 say MAIL FROM and RCPT TO first");
        }
        self.reply("354 end the message with a line of one dot")?;
        let (mut content, mut too_long, mut too_big) = (Vec::new(), false, false);
        loop {
            let line = match self.line.read_line(TEXT_LIMIT)? {
                Text::Line(line) if line == b"." => break,
                Text::Line(line) => line,
                Text::TooLong => {
                    too_long = true;
                    continue;
                }
                // A bare LF.LF must not end a message for one server and not for the next.
                Text::Malformed => return self.give_up("550 5.6.0 a line ends with CR LF"),
            };
            let line = line.strip_prefix(b".").unwrap_or(&line);
            if content.len() + line.len() + 2 > MAX_MESSAGE {
                too_big = true;
            } else {
                content.extend_from_slice(line);
                content.extend_from_slice(b"\r\n");
            }
        }
        if too_long {
            self.envelope = Envelope::default();
            return self.reply("500 5.6.0 a line of the message was too long");
        }
        if too_big {
            self.envelope = Envelope::default();
            return self.reply("552 5.3.4 message too big");
        }
        self.queue(content)
    }

    /// RFC 3030: the message in counted chunks instead of dotted lines.
    fn bdat(&mut self, argument: &str) -> io::Result<()> {
        let mut words = argument.split_ascii_whitespace();
        let size = words.next().and_then(|word| word.parse::<usize>().ok());
        let last = words.next().map(|word| word.eq_ignore_ascii_case("LAST"));
        let (Some(size), true) = (size, last != Some(false) && words.next().is_none()) else {
            return self.give_up("501 5.5.4 syntax: BDAT size [LAST]");
        };
        let held = self.envelope.chunks.as_ref().map_or(0, Vec::len);
        if size > MAX_MESSAGE - held {
            return self.give_up("552 5.3.4 message too big");
        }
        let chunk = self.line.read_exactly(size)?;
        if self.envelope.to.is_empty() {
            return self.reply("503 5.5.1 say MAIL FROM and RCPT TO first");
        }
        let mut content = self.envelope.chunks.take().unwrap_or_default();
        content.extend_from_slice(&chunk);
        if last.is_some() {
            return self.queue(content);
        }
        self.envelope.chunks = Some(content);
        self.reply(&format!("250 2.0.0 {size} octets received"))
    }

    fn queue(&mut self, content: Vec<u8>) -> io::Result<()> {
        let envelope = std::mem::take(&mut self.envelope);
        let held: usize = self.received.iter().map(|mail| mail.content.len()).sum();
        if held + content.len() > MAX_MESSAGE {
            return self.reply("452 4.3.1 no room for more in this session");
        }
        self.received.push(Mail {
            from: envelope.from.unwrap_or_default(),
            to: envelope.to,
            protection: self.line.protection(),
            content,
        });
        self.reply(&format!("250 2.6.0 message {} queued", self.received.len()))
    }

    fn reply(&mut self, text: &str) -> io::Result<()> {
        self.line.write(format!("{text}\r\n").as_bytes())
    }

    /// Says why and ends the session.
    fn give_up(&mut self, text: &str) -> io::Result<()> {
        self.reply(text)?;
        Err(io::Error::other(format!("refused: {text}")))
    }
}

/// The address of `FROM:<address> parameters`; the parameters are not looked at.
fn path(argument: &str, keyword: &str) -> Option<String> {
    let start = argument.get(..keyword.len())?;
    let rest = argument.get(keyword.len()..)?.trim_start();
    let (address, _) = rest.strip_prefix('<')?.split_once('>')?;
    start.eq_ignore_ascii_case(keyword).then(|| address.to_owned())
}

struct Mail {
    from: String,
    to: Vec<String>,
    protection: String,
    content: Vec<u8>,
}

impl Mail {
    /// Framed so that nothing in the message can pass for the frame, or reach the terminal raw.
    fn show(&self, number: usize, text: &mut String) {
        let to: Vec<String> = self.to.iter().map(|to| printable(to)).collect();
        let heading = format!("+-- message {number}, as the server received it ");
        *text += &format!("{heading:-<72}\n");
        *text += &format!("|  from  {}\n", printable(&self.from));
        *text += &format!("|  to    {}\n", to.join(", "));
        *text += &format!("|  over  {}\n", self.protection);
        *text += "|\n";
        let content = String::from_utf8_lossy(&self.content);
        for line in content.strip_suffix("\r\n").unwrap_or(&content).split("\r\n") {
            *text += format!("|  {}", printable(line)).trim_end();
            *text += "\n";
        }
        let footing = format!("+-- {} octets ", self.content.len());
        *text += &format!("{footing:-<72}\n");
    }
}

fn printable(text: &str) -> String {
    let mut shown = String::with_capacity(text.len());
    for char in text.chars() {
        if char.is_control() && char != '\t' {
            shown.extend(char.escape_default());
        } else {
            shown.push(char);
        }
    }
    shown
}

/// A connection read by lines, first in clear and then under TLS. Every wait has a deadline: one
/// for each line, and one for the whole session that no trickle of bytes can move.
struct Line {
    stream: Stream,
    /// Received and not yet handed out, from `start` on.
    buffer: Vec<u8>,
    start: usize,
}

enum Stream {
    Clear(Timed),
    Tls(Box<StreamOwned<ServerConnection, Timed>>),
    /// Where TLS could not be started: nothing is read or written any more.
    Dead,
}

enum Text {
    /// Without its CR LF.
    Line(Vec<u8>),
    /// It was read to its end and dropped.
    TooLong,
    /// CR or LF alone.
    Malformed,
}

impl Line {
    fn new(socket: TcpStream) -> io::Result<Self> {
        socket.set_nodelay(true)?;
        Ok(Self { stream: Stream::Clear(Timed::new(socket)), buffer: Vec::new(), start: 0 })
    }

    fn read_line(&mut self, limit: usize) -> io::Result<Text> {
        self.restart_clock();
        let (mut seen, mut too_long) = (0, false);
        loop {
            let waiting = &self.buffer[self.start..];
            if let Some(length) = waiting[seen..].iter().position(|byte| *byte == b'\n') {
                let line = &waiting[..seen + length];
                let text = match line.strip_suffix(b"\r") {
                    Some(line) if too_long || line.len() > limit => Text::TooLong,
                    Some(line) if !line.contains(&b'\r') => Text::Line(line.to_vec()),
                    _ => Text::Malformed,
                };
                self.start += seen + length + 1;
                return Ok(text);
            }
            seen = waiting.len();
            if seen > limit + 1 {
                // Drop it as it comes, but keep the last byte, which may be the CR.
                too_long = true;
                self.start = self.buffer.len() - 1;
                seen = 1;
            }
            self.fill()?;
        }
    }

    fn read_exactly(&mut self, size: usize) -> io::Result<Vec<u8>> {
        self.restart_clock();
        let mut bytes = Vec::new();
        loop {
            let take = (size - bytes.len()).min(self.buffer.len() - self.start);
            bytes.extend_from_slice(&self.buffer[self.start..self.start + take]);
            self.start += take;
            if bytes.len() == size {
                return Ok(bytes);
            }
            self.fill()?;
        }
    }

    /// Whether the peer has already sent more than what was handed out.
    fn has_more(&mut self) -> io::Result<bool> {
        if self.start < self.buffer.len() {
            return Ok(true);
        }
        let Stream::Clear(timed) = &self.stream else { return Ok(false) };
        timed.socket.set_nonblocking(true)?;
        let waiting = timed.socket.peek(&mut [0]);
        timed.socket.set_nonblocking(false)?;
        match waiting {
            Ok(count) => Ok(count > 0),
            Err(problem) if problem.kind() == io::ErrorKind::WouldBlock => Ok(false),
            Err(problem) => Err(problem),
        }
    }

    fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.restart_clock();
        match &mut self.stream {
            Stream::Clear(timed) => timed.write_all(bytes),
            Stream::Tls(stream) => stream.write_all(bytes).and_then(|()| stream.flush()),
            Stream::Dead => Err(io::ErrorKind::NotConnected.into()),
        }
    }

    fn start_tls(&mut self, config: Arc<ServerConfig>) -> io::Result<()> {
        self.restart_clock();
        let Stream::Clear(timed) = std::mem::replace(&mut self.stream, Stream::Dead) else {
            return Err(io::ErrorKind::NotConnected.into());
        };
        let connection = ServerConnection::new(config).map_err(io::Error::other)?;
        let mut stream = Box::new(StreamOwned::new(connection, timed));
        while stream.conn.is_handshaking() {
            if stream.conn.complete_io(&mut stream.sock)?.0 == 0 && stream.conn.is_handshaking() {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
        }
        self.stream = Stream::Tls(stream);
        Ok(())
    }

    fn is_tls(&self) -> bool {
        matches!(self.stream, Stream::Tls(_))
    }

    /// The protocol version and the cipher suite.
    fn protection(&self) -> String {
        let Stream::Tls(stream) = &self.stream else { return "clear text".to_owned() };
        let version = stream.conn.protocol_version().and_then(|version| version.as_str());
        let suite = stream.conn.negotiated_cipher_suite();
        let suite = suite.and_then(|suite| suite.suite().as_str());
        format!("{}, {}", version.unwrap_or("TLS"), suite.unwrap_or("unknown suite"))
    }

    /// Ends our side and waits a little for the peer to end its own, since closing on top of
    /// unread bytes would reset the connection under our last reply.
    fn finish(&mut self) {
        self.restart_clock();
        let timed = match &mut self.stream {
            Stream::Clear(timed) => timed,
            Stream::Tls(stream) => {
                stream.conn.send_close_notify();
                // The peer may be gone already; there is nobody left to tell.
                let _ = stream.flush();
                &mut stream.sock
            }
            Stream::Dead => return,
        };
        let _ = timed.socket.shutdown(Shutdown::Write);
        timed.deadline = Instant::now() + CLOSING_TIME;
        let (mut scrap, mut drained) = ([0; 4096], 0);
        while let Ok(count) = timed.read(&mut scrap) {
            drained += count;
            if count == 0 || drained > CLOSING_LIMIT {
                break;
            }
        }
    }

    fn fill(&mut self) -> io::Result<()> {
        self.buffer.drain(..self.start);
        self.start = 0;
        let mut chunk = [0; 4096];
        let count = match &mut self.stream {
            Stream::Clear(timed) => timed.read(&mut chunk)?,
            Stream::Tls(stream) => stream.read(&mut chunk)?,
            Stream::Dead => return Err(io::ErrorKind::NotConnected.into()),
        };
        if count == 0 {
            return Err(io::Error::other("the client closed without QUIT"));
        }
        self.buffer.extend_from_slice(&chunk[..count]);
        Ok(())
    }

    fn restart_clock(&mut self) {
        let timed = match &mut self.stream {
            Stream::Clear(timed) => timed,
            Stream::Tls(stream) => &mut stream.sock,
            Stream::Dead => return,
        };
        timed.deadline = (Instant::now() + LINE_TIME).min(timed.session_end);
    }
}

/// A socket whose reads and writes all end by `deadline`.
struct Timed {
    socket: TcpStream,
    deadline: Instant,
    session_end: Instant,
}

impl Timed {
    fn new(socket: TcpStream) -> Self {
        let session_end = Instant::now() + SESSION_TIME;
        Self { socket, deadline: session_end, session_end }
    }

    fn remaining(&self) -> io::Result<Option<Duration>> {
        let left = self.deadline.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Err(io::Error::new(io::ErrorKind::TimedOut, "the client took too long"));
        }
        Ok(Some(left))
    }

    /// Repeats what a signal interrupted, and gives a timeout its own name.
    fn wait<T>(&mut self, mut attempt: impl FnMut(&mut Self) -> io::Result<T>) -> io::Result<T> {
        loop {
            match attempt(self) {
                Err(problem) if problem.kind() == io::ErrorKind::Interrupted => {}
                Err(problem) if problem.kind() == io::ErrorKind::WouldBlock => {
                    self.remaining()?;
                }
                result => return result,
            }
        }
    }
}

impl Read for Timed {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.wait(|timed| {
            timed.socket.set_read_timeout(timed.remaining()?)?;
            timed.socket.read(buffer)
        })
    }
}

impl Write for Timed {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.wait(|timed| {
            timed.socket.set_write_timeout(timed.remaining()?)?;
            timed.socket.write(bytes)
        })
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Standard output, which may be closed: a server goes on without it.
fn report(text: &str) {
    let mut out = io::stdout().lock();
    let _ = out.write_all(text.as_bytes()).and_then(|()| out.flush());
}

fn complain(text: &str) {
    let _ = writeln!(io::stderr(), "mail_server: {text}");
}

const USAGE: &str = "usage: mail_server --dir DIR [--listen 127.0.0.1:0] [--once]";

const SERVER_NAMES: &[&str] = &["mail.test", "localhost", "127.0.0.1", "::1"];

/// What smtp.live.com answered in 2009, less TLS and STARTTLS, which are only offered in clear.
const EHLO_LIST: &[&str] = &[
    "TURN",
    "SIZE 35840000",
    "ETRN",
    "PIPELINING",
    "DSN",
    "ENHANCEDSTATUSCODES",
    "8bitmime",
    "BINARYMIME",
    "CHUNKING",
    "VRFY",
];

const MAX_SESSIONS: usize = 16;
const MAX_MESSAGE: usize = 35_840_000;
const MAX_RECIPIENTS: usize = 100;
/// RFC 5321, 4.5.3.1: 512 octets and what extensions add; 1000 for text, CR LF included.
const COMMAND_LIMIT: usize = 1022;
const TEXT_LIMIT: usize = 998;

const LINE_TIME: Duration = Duration::from_secs(60);
const SESSION_TIME: Duration = Duration::from_secs(600);
const CLOSING_TIME: Duration = Duration::from_secs(3);
const CLOSING_LIMIT: usize = 1 << 20;
const DAY: Duration = Duration::from_secs(24 * 60 * 60);
