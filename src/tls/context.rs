//! What rustls's callbacks have to know of the connection that they are called for.
//!
//! Configurations are shared, so the session store, the verifier and whoever chooses a certificate
//! get no connection from rustls. The engine enters its own context around every call of rustls,
//! and they find it here: everything happens on the calling thread.

use std::cell::Cell;
use std::mem::ManuallyDrop;

use super::parameters::Parameters;
use super::program::Program;
use super::sessions::Sessions;
use crate::error::Error;

/// One connection's side of what is shared.
#[derive(Default)]
pub struct Context {
    /// What this side was set to, for texts.
    pub parameters: Parameters,
    /// The server asked for a client certificate and gets none.
    pub unmet_demand: Option<Unmet>,
    /// Why a callback of the program's made the handshake fail: more than rustls carries.
    pub failure: Option<Error>,
    /// A client's part in the sessions of its domain, if it keeps any.
    pub sessions: Option<Sessions>,
    /// The name that a client has asked this server for (SNI).
    pub server_name: Option<String>,
    /// The application protocols that it has offered, for a text: there may be thousands.
    pub offered_alpn: String,
    pub program: Program,
}

/// Why a server gets no client certificate that has asked for one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unmet {
    NoneSet,
    /// No identity has a key whose signatures the server accepts.
    NoneFits,
    /// The auth-request hook has said so.
    Declined,
}

/// Makes `context` this thread's as long as `call` runs. It may be entered again inside: a hook may
/// make a handshake of its own.
pub fn enter<T>(context: &mut Option<Box<Context>>, call: impl FnOnce() -> T) -> T {
    /// Leaves it also if the call panics.
    struct Entered<'a> {
        context: &'a mut Option<Box<Context>>,
        outer: Option<Box<Context>>,
    }
    impl Drop for Entered<'_> {
        fn drop(&mut self) {
            *self.context = replace(self.outer.take());
        }
    }
    let outer = replace(context.take());
    let _entered = Entered { context, outer };
    call()
}

/// Looks at the context of the connection that rustls is working for on this thread. Not to be held
/// while the program is called.
pub fn with<T>(look: impl FnOnce(&mut Context) -> T) -> Option<T> {
    let mut context = replace(None)?;
    let found = look(&mut context);
    replace(Some(context));
    Some(found)
}

fn replace(context: Option<Box<Context>>) -> Option<Box<Context>> {
    ManuallyDrop::into_inner(CURRENT.replace(ManuallyDrop::new(context)))
}

thread_local! {
    /// What needs no destructor is there in a thread that is ending, too: it may make a handshake,
    /// as in a function of `atexit`. Whoever enters takes it out again.
    static CURRENT: Cell<ManuallyDrop<Option<Box<Context>>>> =
        const { Cell::new(ManuallyDrop::new(None)) };
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_context_is_found_inside_its_own_call_only() {
        let named = |name: &str| {
            Some(Box::new(Context { server_name: Some(name.to_owned()), ..Context::default() }))
        };
        let name = || with(|context| context.server_name.clone()).flatten();
        let (mut outer, mut inner) = (named("outer"), named("inner"));
        enter(&mut outer, || {
            assert_eq!(name().as_deref(), Some("outer"));
            enter(&mut inner, || with(|context| context.server_name = Some("changed".to_owned())));
            assert_eq!(name().as_deref(), Some("outer"));
        });
        assert_eq!(name(), None);
        assert_eq!(outer.unwrap().server_name.as_deref(), Some("outer"));
        assert_eq!(inner.unwrap().server_name.as_deref(), Some("changed"));
    }
}
