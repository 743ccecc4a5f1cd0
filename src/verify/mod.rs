//! Who the peer is: trust sources, names, the verifier and its report.

mod chain;
mod facts;
pub mod judged;
pub mod name;
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

#[cfg(test)]
pub mod tests;
