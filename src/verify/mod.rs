//! Who the peer is: trust sources, names, the verifier and its report.

mod chain;
pub mod client;
mod facts;
pub mod judged;
pub mod name;
mod outcomes;
pub mod path;
mod pem;
pub mod pins;
pub mod report;
pub mod revocation;
mod signature;
mod strength;
mod text;
pub mod trust;
pub mod verifier;

pub use facts::{public_key, rsa_bits_of};

#[cfg(test)]
pub mod tests;
