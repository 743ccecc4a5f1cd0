//! What threads share, from the standard library; under `--cfg sslsock_model` from the model checker,
//! which then runs the code that hands connections over in the orders that can happen.

#[cfg(not(sslsock_model))]
pub use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError, Weak, atomic};

#[cfg(sslsock_model)]
pub use shuttle::sync::{Arc, Condvar, Mutex, MutexGuard, Weak, atomic};
#[cfg(sslsock_model)]
pub use std::sync::PoisonError;
