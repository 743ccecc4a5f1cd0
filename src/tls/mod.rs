//! The sans-IO engine around rustls: it never touches a descriptor.

pub mod alpn;
pub mod buffer;
pub mod choice;
pub mod config;
pub mod context;
pub mod domain;
pub mod engine;
pub mod failure;
pub mod identity;
pub mod kept;
pub mod key_log;
mod key_schedule;
pub mod parameters;
pub mod program;
pub mod server;
pub mod server_certificate;
pub mod sessions;
pub mod signer;
mod states;
pub mod suites;
