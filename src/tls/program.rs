//! The program's functions that are called from inside rustls, and how that is done.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use super::context;
use crate::error::{Code, Error};
use crate::sys::{process, thread};
use crate::verify::verifier;

/// What a connection's program has set, and what came of calling it.
#[derive(Clone, Default)]
pub struct Program {
    /// The thread that is inside a hook of this connection's handle, or 0.
    inside: Arc<AtomicU64>,
    pub auth_request: Option<AuthRequestHook>,
    /// Signs for a chain that the hook above has answered with and whose key is nowhere else.
    pub signature: Option<SignatureHook>,
    /// How long the program's functions have taken since that was last asked for.
    time: Duration,
}

/// The issuers' names in DER in, the choice out.
pub type ChooseCall = Arc<dyn Fn(&[&[u8]]) -> Choice + Send + Sync>;

/// The scheme and the message in, the signature out.
pub type SignCall = Arc<dyn Fn(u16, &[u8]) -> Signed + Send + Sync>;

/// The hook that chooses a client certificate.
#[derive(Clone)]
pub struct AuthRequestHook {
    pub call: ChooseCall,
    /// The program's function and its argument as numbers, for a program that asks for them.
    pub function: usize,
    pub argument: usize,
}

/// What such a hook has answered.
pub struct Choice {
    pub answer: i32,
    /// Copies, leaf first; empty: the library may choose. `Err` says what was wrong with it.
    pub chain: Result<Vec<Vec<u8>>, String>,
}

/// Signs in the place of a private key.
#[derive(Clone)]
pub struct SignatureHook {
    pub call: SignCall,
    pub function: usize,
    pub argument: usize,
}

/// What such a function has answered.
pub struct Signed {
    pub answer: i32,
    /// As much of it as is said to be a signature; `Err` is a length that cannot be.
    pub signature: Result<Vec<u8>, u32>,
}

impl Program {
    pub fn new(
        inside: Arc<AtomicU64>,
        auth_request: Option<AuthRequestHook>,
        signature: Option<SignatureHook>,
    ) -> Self {
        Self { inside, auth_request, signature, time: Duration::ZERO }
    }

    /// For a connection's deadline: time in the program's functions does not count.
    pub fn take_time(&mut self) -> Duration {
        std::mem::take(&mut self.time)
    }
}

/// Calls a function of the program's for the connection that rustls is working for on this thread.
/// `None`: there is none, or this is a forked child of the process that the connection belongs to.
pub fn call<T>(function: impl FnOnce() -> T) -> Option<T> {
    let inside = context::with(|context| context.program.inside.clone())?;
    // A handshake that the program makes meanwhile leaves a report of its own.
    let report = verifier::take_report();
    let epoch = process::epoch();
    let started = Instant::now();
    inside.store(thread::current(), Ordering::Release);
    let outcome = function();
    inside.store(0, Ordering::Release);
    verifier::put_report(report);
    context::with(|context| context.program.time += started.elapsed());
    if process::epoch() != epoch {
        context::with(|context| context.failure = Some(forked()));
        return None;
    }
    Some(outcome)
}

fn forked() -> Error {
    Error::new(
        Code::FORKED,
        "a hook has forked and returned in the child: the connection is the parent's",
    )
}
