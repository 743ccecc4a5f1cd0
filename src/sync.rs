//! What threads share, from the standard library; under `--cfg sslsock_model` from the model checker,
//! which then runs the code that uses it in the orders that can happen: see `model`.

#[cfg(not(sslsock_model))]
pub use std::sync::{Condvar, Mutex, MutexGuard, atomic};
#[cfg(not(sslsock_model))]
pub use std::thread::yield_now;

#[cfg(sslsock_model)]
pub use shuttle::sync::{Condvar, Mutex, MutexGuard, atomic};
#[cfg(sslsock_model)]
pub use shuttle::thread::yield_now;

// The model checker's are these.
pub use std::sync::{Arc, PoisonError, TryLockError, Weak};
