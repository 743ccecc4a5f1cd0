//! The C ABI: every exported function, and nothing but argument handling in them.
//!
//! `include/sslsock.h` is generated from these modules; their doc comments are its manual.

#![allow(unsafe_code)]
#![allow(non_camel_case_types, non_snake_case)]
// The safety contract of each function is its documentation in the header.
#![allow(clippy::missing_safety_doc)]

mod boundary;
mod hooks;
mod memory;

// In the order of the header.
pub mod constants;
pub mod types;

pub mod handles;

pub mod settings;

pub mod trust;

pub mod identity;

pub mod session;

pub mod information;

pub mod errors;

pub mod windows_ce;

pub mod process;

/// cbindgen:ignore
pub mod shims;

#[cfg(feature = "panic-injection")]
pub use boundary::injection;
