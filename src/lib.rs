//! sslsock: turn a live TCP socket into TLS in mid-conversation and go on using plain `send` and
//! `recv` on the same descriptor.
//!
//! The C ABI (`include/sslsock.h`, generated from [`abi`]) is the specification. The modules are
//! the layers of `docs/architecture.md`; a layer calls only the ones listed below it.

#![deny(unsafe_code)]

pub mod abi;
pub mod error;
pub mod handle;
pub mod io;
pub mod log;
#[cfg(all(test, sslsock_model))]
mod model;
mod panic;
mod quick_hash;
pub mod relay;
pub mod socket;
mod sync;
pub mod sys;
pub mod tls;
pub mod verify;
pub mod winsock;
