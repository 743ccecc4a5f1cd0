//! rustls with its own buffers, as `rustls::Stream` uses it.

use std::io::{Read, Write};
use std::net::Shutdown;
use std::sync::Arc;

use rustls::pki_types::ServerName;
use rustls::{ClientConfig, ClientConnection};

use super::connection::{Connection, Transport};

pub struct Buffered {
    tls: ClientConnection,
    transport: Transport,
}

impl Buffered {
    pub fn new(
        config: Arc<ClientConfig>,
        name: ServerName<'static>,
        mut transport: Transport,
    ) -> Self {
        let mut tls = ClientConnection::new(config, name).expect("a connection");
        while tls.is_handshaking() {
            tls.complete_io(&mut transport).expect("handshake");
        }
        Self { tls, transport }
    }

    fn flush(&mut self) {
        while self.tls.wants_write() {
            self.tls.write_tls(&mut self.transport).expect("write");
        }
    }
}

impl Connection for Buffered {
    fn send(&mut self, mut bytes: &[u8]) {
        while !bytes.is_empty() {
            let accepted = self.tls.writer().write(bytes).expect("write");
            bytes = &bytes[accepted..];
            self.flush();
        }
    }

    fn receive(&mut self, bytes: &mut [u8]) -> usize {
        loop {
            match self.tls.reader().read(bytes) {
                Ok(count) => return count,
                Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => {}
                Err(error) => panic!("read: {error}"),
            }
            self.tls.read_tls(&mut self.transport).expect("read");
            self.tls.process_new_packets().expect("records");
        }
    }

    fn close(&mut self) {
        self.tls.send_close_notify();
        self.flush();
        self.transport.shutdown(Shutdown::Write).expect("shutdown");
        assert_eq!(self.receive(&mut [0]), 0);
    }
}
