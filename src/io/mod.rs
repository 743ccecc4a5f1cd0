//! Blocking, deadline and explicit input and output on a descriptor.

mod backlog;
pub mod deadline;
pub mod ending;
pub mod explicit;
pub mod handshake;
mod outgoing;
pub mod transport;
mod wake_up;
