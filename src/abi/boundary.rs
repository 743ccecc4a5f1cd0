//! What every exported function has in common: the panic boundary, the handle check, the error.

use std::cell::RefCell;
use std::sync::Arc;

use super::types::ssl_socket;
use crate::error::{Error, Result};
use crate::socket::{self, Socket};

/// Wraps the body of an exported function.
///
/// `entry!(name, body)`: no handle. `entry!(name, change handle, |socket| body)`: refused inside
/// the handle's hooks; a failure is kept on the handle. `entry!(name, look handle,
/// |socket| body)`: allowed inside the hook; leaves the handle's error alone.
macro_rules! entry {
    ($name:ident, $body:expr) => {
        $crate::abi::boundary::run(stringify!($name), || {
            $crate::abi::boundary::injection_point(stringify!($name));
            $body
        })
    };
    ($name:ident, change $handle:expr, |$socket:ident| $body:expr) => {
        $crate::abi::boundary::run(stringify!($name), || {
            $crate::abi::boundary::change(stringify!($name), $handle, |$socket| $body)
        })
    };
    ($name:ident, look $handle:expr, |$socket:ident| $body:expr) => {
        $crate::abi::boundary::run(stringify!($name), || {
            let $socket = $crate::socket::find($handle as usize)?;
            $crate::abi::boundary::injection_point(stringify!($name));
            $body
        })
    };
}

pub(super) use entry;

/// Runs a body; a panic in it becomes an error, and an error this thread's last.
pub fn run<T>(name: &'static str, body: impl FnOnce() -> Result<T>) -> Result<T> {
    run_quietly(name, body).inspect_err(|error| set_last_error(error.clone()))
}

/// The same without touching this thread's last error; for functions that look at it.
pub fn run_quietly<T>(name: &'static str, body: impl FnOnce() -> Result<T>) -> Result<T> {
    crate::panic::catch(body).unwrap_or_else(|| Err(Error::internal(&format!("panic in {name}"))))
}

/// Finds the handle for a call that may change it.
pub fn change<T>(
    name: &'static str,
    handle: *mut ssl_socket,
    body: impl FnOnce(&Arc<Socket>) -> Result<T>,
) -> Result<T> {
    let socket = socket::find(handle as usize)?;
    let outcome = socket.refuse_inside_hook().and_then(|()| {
        let guarded = || {
            injection_point(name);
            body(&socket)
        };
        crate::panic::catch(guarded).unwrap_or_else(|| {
            // What the panic left half done must not carry data.
            let error =
                Error::internal(&format!("panic in {name}; the connection has been closed"));
            socket.poison(&error);
            Err(error)
        })
    });
    outcome.inspect_err(|error| socket.errors().set_latest(error.clone()))
}

/// Where a test has the function of that name panic.
pub fn injection_point(name: &str) {
    #[cfg(feature = "panic-injection")]
    injection::panic_if_asked(name);
    #[cfg(not(feature = "panic-injection"))]
    let _ = name;
}

/// This thread's last error.
pub fn last_error() -> Option<Error> {
    LAST_ERROR.try_with(|last| last.borrow().clone()).ok().flatten()
}

fn set_last_error(error: Error) {
    // A thread that is ending has no last error.
    let _ = LAST_ERROR.try_with(|last| *last.borrow_mut() = Some(error));
}

/// The value of a status function.
pub fn status(outcome: Result<()>) -> i32 {
    outcome.map_or_else(|error| error.code.0, |()| 0)
}

thread_local! {
    static LAST_ERROR: RefCell<Option<Error>> = const { RefCell::new(None) };
}

/// For the test that no panic crosses the boundary, whichever function it happens in.
#[cfg(feature = "panic-injection")]
pub mod injection {
    use std::ffi::{CStr, c_char};
    use std::sync::Mutex;

    static TARGET: Mutex<Option<String>> = Mutex::new(None);

    /// From now on the function of that name panics when it is called; NULL: none does.
    #[unsafe(no_mangle)]
    pub unsafe extern "C" fn ssl_test_panic_in(name: *const c_char) {
        let name = if name.is_null() {
            None
        } else {
            // SAFETY: the test gives a NUL-terminated string.
            Some(unsafe { CStr::from_ptr(name) }.to_string_lossy().into_owned())
        };
        *TARGET.lock().unwrap() = name;
    }

    pub fn panic_if_asked(name: &str) {
        let asked = TARGET.lock().unwrap().as_deref() == Some(name);
        assert!(!asked, "injected");
    }
}
