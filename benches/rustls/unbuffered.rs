//! rustls without buffers of its own: decrypted where it was received, encrypted into one buffer per call.

use std::io::{Read, Write};
use std::net::Shutdown;
use std::sync::Arc;

use rustls::ClientConfig;
use rustls::client::UnbufferedClientConnection;
use rustls::pki_types::ServerName;
use rustls::unbuffered::{ConnectionState, EncodeError, EncryptError};

use super::connection::{Connection, Transport};

const READ: usize = 64 * 1024;
/// Of one record: more than fits is left in the socket.
const RECORD: usize = 5 + 16 * 1024 + 256;

pub struct Unbuffered {
    tls: UnbufferedClientConnection,
    transport: Transport,
    /// `start..end` is ciphertext.
    incoming: Vec<u8>,
    start: usize,
    end: usize,
    outgoing: Vec<u8>,
    out: usize,
    /// What was decrypted and did not fit into the caller's buffer.
    rest: Vec<u8>,
    rest_start: usize,
}

enum Want<'a> {
    Handshake,
    Read(&'a mut [u8]),
    Write(&'a [u8]),
    Close,
    PeersClose,
}

impl Unbuffered {
    pub fn new(config: Arc<ClientConfig>, name: ServerName<'static>, transport: Transport) -> Self {
        let tls = UnbufferedClientConnection::new(config, name).expect("a connection");
        let mut connection = Self {
            tls,
            transport,
            incoming: vec![0; 4096],
            start: 0,
            end: 0,
            outgoing: vec![0; 2048],
            out: 0,
            rest: Vec::new(),
            rest_start: 0,
        };
        connection.drive(Want::Handshake);
        connection
    }

    fn drive(&mut self, mut want: Want<'_>) -> usize {
        let mut produced = 0;
        loop {
            let status = self.tls.process_tls_records(&mut self.incoming[self.start..self.end]);
            let mut discard = status.discard;
            let mut needs_input = false;
            let mut is_done = false;
            match status.state.expect("TLS") {
                ConnectionState::ReadTraffic(mut traffic) => {
                    while let Some(record) = traffic.next_record() {
                        let record = record.expect("a record");
                        discard += record.discard;
                        let mut payload = record.payload;
                        if let Want::Read(bytes) = &mut want {
                            let part = payload.len().min(bytes.len() - produced);
                            bytes[produced..produced + part].copy_from_slice(&payload[..part]);
                            produced += part;
                            payload = &payload[part..];
                        }
                        self.rest.extend_from_slice(payload);
                    }
                }
                ConnectionState::EncodeTlsData(mut encoder) => loop {
                    match encoder.encode(&mut self.outgoing[self.out..]) {
                        Ok(count) => {
                            self.out += count;
                            break;
                        }
                        Err(EncodeError::InsufficientSize(size)) => {
                            self.outgoing.resize(self.out + size.required_size, 0);
                        }
                        Err(error) => panic!("{error}"),
                    }
                },
                ConnectionState::TransmitTlsData(transmit) => {
                    self.transport.write_all(&self.outgoing[..self.out]).expect("write");
                    self.out = 0;
                    transmit.done();
                }
                ConnectionState::WriteTraffic(mut traffic) => match want {
                    Want::Handshake => is_done = true,
                    Want::Read(_) => {
                        is_done = produced > 0;
                        needs_input = !is_done;
                    }
                    Want::Write(bytes) => {
                        loop {
                            match traffic.encrypt(bytes, &mut self.outgoing) {
                                Ok(count) => break self.out = count,
                                Err(EncryptError::InsufficientSize(size)) => {
                                    self.outgoing.resize(size.required_size, 0);
                                }
                                Err(error) => panic!("{error}"),
                            }
                        }
                        is_done = true;
                    }
                    Want::PeersClose => needs_input = true,
                    Want::Close => {
                        self.out =
                            traffic.queue_close_notify(&mut self.outgoing).expect("close_notify");
                        is_done = true;
                    }
                },
                ConnectionState::BlockedHandshake => needs_input = true,
                ConnectionState::PeerClosed | ConnectionState::Closed => is_done = true,
                state => panic!("{state:?}"),
            }
            self.start += discard;
            if self.out > 0 && (is_done || needs_input) {
                self.transport.write_all(&self.outgoing[..self.out]).expect("write");
                self.out = 0;
            }
            if is_done {
                return produced;
            }
            if needs_input {
                self.fill(if matches!(want, Want::Handshake) { 4096 } else { READ });
            }
        }
    }

    fn fill(&mut self, capacity: usize) {
        self.incoming.copy_within(self.start..self.end, 0);
        self.end -= self.start;
        self.start = 0;
        let wanted = capacity.max(if self.end == 0 { 0 } else { RECORD });
        if self.incoming.len() < wanted.max(self.end + 1) {
            self.incoming.resize(wanted.max(self.end + 1), 0);
        }
        let count = self.transport.read(&mut self.incoming[self.end..]).expect("read");
        assert!(count > 0, "the connection has ended early");
        self.end += count;
    }
}

impl Connection for Unbuffered {
    fn send(&mut self, bytes: &[u8]) {
        self.drive(Want::Write(bytes));
    }

    fn receive(&mut self, bytes: &mut [u8]) -> usize {
        let rest = &self.rest[self.rest_start..];
        if !rest.is_empty() {
            let count = rest.len().min(bytes.len());
            bytes[..count].copy_from_slice(&rest[..count]);
            self.rest_start += count;
            if self.rest_start == self.rest.len() {
                self.rest.clear();
                self.rest_start = 0;
            }
            return count;
        }
        self.drive(Want::Read(bytes))
    }

    fn close(&mut self) {
        self.drive(Want::Close);
        self.transport.shutdown(Shutdown::Write).expect("shutdown");
        self.drive(Want::PeersClose);
    }
}
