//! One step of rustls's unbuffered connection: what each of its states asks for.

use rustls::CommonState;
use rustls::client::UnbufferedClientConnection;
use rustls::server::UnbufferedServerConnection;
use rustls::unbuffered::{ConnectionState, EncodeError, EncryptError, UnbufferedStatus};

use super::buffer::Buffer;
use crate::error::{Code, Error};

pub(super) enum Connection {
    Client(UnbufferedClientConnection),
    Server(UnbufferedServerConnection),
}

impl Connection {
    pub(super) fn common(&self) -> &CommonState {
        match self {
            Self::Client(connection) => connection,
            Self::Server(connection) => connection,
        }
    }
}

#[derive(Clone, Copy)]
pub(super) enum Want<'a> {
    Handshake,
    Read,
    Write(Outbound<'a>),
}

#[derive(Clone, Copy)]
pub(super) enum Outbound<'a> {
    Data(&'a [u8]),
    CloseNotify,
}

pub(super) enum Step {
    /// Something changed: call again.
    Again,
    /// Decrypted bytes went to the sink.
    Plaintext(usize),
    /// Nothing more to do with the bytes at hand; for a write: it is done.
    Blocked,
}

pub(super) enum Outcome {
    Step(Step),
    PeerClosed,
}

pub(super) enum Refusal {
    Rustls(rustls::Error),
    Ours(Error),
}

/// Handles one state; answers how many bytes of the input are used up.
pub(super) fn handle<Data>(
    status: UnbufferedStatus<'_, '_, Data>,
    outgoing: &mut Buffer,
    sink: &mut dyn FnMut(&[u8]),
    want: Want<'_>,
) -> (usize, std::result::Result<Outcome, Refusal>) {
    let UnbufferedStatus { mut discard, state, .. } = status;
    let outcome = match state {
        Err(error) => Err(Refusal::Rustls(error)),
        Ok(ConnectionState::ReadTraffic(mut traffic)) => {
            let mut produced = 0;
            loop {
                match traffic.next_record() {
                    Some(Ok(record)) => {
                        discard += record.discard;
                        produced += record.payload.len();
                        sink(record.payload);
                    }
                    Some(Err(error)) => break Err(Refusal::Rustls(error)),
                    None => break Ok(Outcome::Step(Step::Plaintext(produced))),
                }
            }
        }
        Ok(ConnectionState::EncodeTlsData(mut encoder)) => {
            let mut wanted = TYPICAL_FLIGHT;
            loop {
                match encoder.encode(outgoing.space(wanted)) {
                    Ok(count) => {
                        outgoing.filled(count);
                        break Ok(Outcome::Step(Step::Again));
                    }
                    Err(EncodeError::InsufficientSize(size)) => wanted = size.required_size,
                    Err(EncodeError::AlreadyEncoded) => break Ok(Outcome::Step(Step::Again)),
                }
            }
        }
        Ok(ConnectionState::TransmitTlsData(transmit)) => {
            // `outgoing` is the transmission: whoever drives the engine sends it in order.
            transmit.done();
            Ok(Outcome::Step(Step::Again))
        }
        Ok(ConnectionState::WriteTraffic(mut traffic)) => match want {
            Want::Handshake | Want::Read => Ok(Outcome::Step(Step::Blocked)),
            Want::Write(outbound) => {
                let mut wanted = match outbound {
                    Outbound::Data(data) => ciphertext_bound(data.len()),
                    Outbound::CloseNotify => ciphertext_bound(0),
                };
                loop {
                    let written = match outbound {
                        Outbound::Data(data) => traffic.encrypt(data, outgoing.space(wanted)),
                        Outbound::CloseNotify => traffic.queue_close_notify(outgoing.space(wanted)),
                    };
                    match written {
                        Ok(count) => {
                            outgoing.filled(count);
                            break Ok(Outcome::Step(Step::Blocked));
                        }
                        Err(EncryptError::InsufficientSize(size)) => wanted = size.required_size,
                        Err(EncryptError::EncryptExhausted) => {
                            break Err(Refusal::Ours(keys_exhausted()));
                        }
                    }
                }
            }
        },
        Ok(ConnectionState::PeerClosed) => Ok(Outcome::PeerClosed),
        Ok(ConnectionState::BlockedHandshake) => match want {
            Want::Write(_) => Err(Refusal::Ours(Error::new(
                Code::STATE,
                "the handshake is not complete: nothing can be sent yet",
            ))),
            Want::Handshake | Want::Read => Ok(Outcome::Step(Step::Blocked)),
        },
        Ok(ConnectionState::Closed) => match want {
            Want::Write(_) => Err(Refusal::Ours(write_side_closed())),
            Want::Handshake | Want::Read => Ok(Outcome::Step(Step::Blocked)),
        },
        // Early data is never enabled; a state that a later rustls adds is not known here.
        Ok(_) => Err(Refusal::Ours(Error::internal("unexpected state of the TLS engine"))),
    };
    (discard, outcome)
}

/// The length of the whole records at the front of `bytes`.
pub(super) fn whole_records(bytes: &[u8]) -> usize {
    let mut length = 0;
    while let Some([_, _, _, high, low]) = bytes[length..].first_chunk() {
        let record = RECORD_HEADER + usize::from(u16::from_be_bytes([*high, *low]));
        if bytes.len() - length < record {
            break;
        }
        length += record;
    }
    length
}

/// Enough for the ciphertext of `length` bytes with any suite, and a key update before it.
fn ciphertext_bound(length: usize) -> usize {
    length + (length / MAX_FRAGMENT + 2) * RECORD_OVERHEAD
}

pub(super) fn write_side_closed() -> Error {
    Error::new(
        Code::STATE,
        "this side has sent close_notify (shutdown for writing): nothing more can be sent",
    )
}

fn keys_exhausted() -> Error {
    Error::new(
        Code::PROTOCOL,
        "the traffic keys have encrypted as many records as is safe and TLS 1.2 cannot change \
         them: open a new connection (TLS 1.3 does not have this limit)",
    )
}
const RECORD_HEADER: usize = 5;
const MAX_FRAGMENT: usize = 16 * 1024;
/// Header, explicit nonce, tag and content type, rounded up.
const RECORD_OVERHEAD: usize = 64;
const TYPICAL_FLIGHT: usize = 2048;
