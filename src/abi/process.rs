//! What concerns the library as a whole.

use std::ffi::{CString, c_char, c_void};
use std::sync::Arc;
use std::time::Duration;

use super::boundary::{entry, status};
use super::constants::{SSL_LOG_DEBUG, SSL_LOG_ERROR, SSL_LOG_INFO, SSL_LOG_OFF, SSL_LOG_WARNING};
use super::memory;
use super::types::{Opaque, ssl_log_fn};
use crate::error::{Code, Error};
use crate::log::{self, Level};
use crate::{panic, socket};

/// The version of the ABI that this header describes: major << 16 | minor. Compare it with
/// ssl_abi_version(): the major numbers must be equal, the library's minor number not smaller.
pub const SSL_ABI_VERSION: u32 = 5;

/// Waits until everything that the program has sent has been acknowledged by the peers' systems,
/// for at most `timeout_ms` (UINT32_MAX: no limit, 0: only look), without ending any direction: so
/// it is safe to leave by _exit or exec, but for a close_notify. (On an AF_UNIX connection: until
/// the peer has read it.) `unfinished`
/// becomes the number of sockets that still hold data, 0 on success; it may be NULL.
/// SSL_ERR_TIMEOUT if there are some. Any thread.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ssl_flush_all(timeout_ms: u32, unfinished: *mut u32) -> i32 {
    status(entry!(ssl_flush_all, {
        if !unfinished.is_null() {
            memory::check_target(unfinished, "unfinished")?;
        }
        let limit = (timeout_ms != u32::MAX).then(|| Duration::from_millis(timeout_ms.into()));
        let waiting = socket::flush_all(limit);
        if !unfinished.is_null() {
            let count = u32::try_from(waiting).unwrap_or(u32::MAX);
            // SAFETY: not NULL; writable as the header demands.
            unsafe { memory::write(unfinished, count, "unfinished") }?;
        }
        match waiting {
            0 => Ok(()),
            waiting => Err(Error::new(
                Code::TIMEOUT,
                format!("{waiting} sockets still hold data after {timeout_ms} ms"),
            )),
        }
    }))
}

/// Has messages up to `level` (SSL_LOG_*) given to `fn`, together with `arg`; NULL or SSL_LOG_OFF
/// ends that. Off until called. See ssl_log_fn. Any thread.
#[unsafe(no_mangle)]
pub extern "C" fn ssl_set_log_callback(level: u32, r#fn: ssl_log_fn, arg: *mut c_void) -> i32 {
    status(entry!(ssl_set_log_callback, {
        let level = match level {
            SSL_LOG_OFF => None,
            SSL_LOG_ERROR => Some(Level::Error),
            SSL_LOG_WARNING => Some(Level::Warning),
            SSL_LOG_INFO => Some(Level::Info),
            SSL_LOG_DEBUG => Some(Level::Debug),
            _ => return Err(Error::new(Code::INVALID, "`level` is none of SSL_LOG_*")),
        };
        let argument = Opaque(arg);
        log::set(level.zip(r#fn).map(|(level, callback)| {
            let call: log::Callback = Arc::new(move |level: Level, text: &str| {
                let argument = &argument;
                let message = CString::new(text.replace('\0', "")).unwrap_or_default();
                // SAFETY: the program gave this function for this purpose; the message lives
                // until it returns.
                unsafe { callback(argument.0, level as u32, message.as_ptr()) };
            });
            (level, call)
        }));
        Ok(())
    }))
}

/// How many threads of the library carry the connections of transparent mode, in the whole process: at
/// most `count` (up to 256), or with 0, the default, as many as there are processors. They are started
/// one by one as there is more to carry, and end about a second after they have nothing left, all but
/// one. May be set at any time: connections that there are stay on their threads, those that follow
/// keep to it. A forked child begins with the default. Any thread.
#[unsafe(no_mangle)]
pub extern "C" fn ssl_set_relay_threads(count: u32) -> i32 {
    status(entry!(ssl_set_relay_threads, {
        if count > RELAY_THREADS_LIMIT {
            return Err(Error::new(
                Code::INVALID,
                format!(
                    "`count` is {count}; the library runs at most {RELAY_THREADS_LIMIT} threads"
                ),
            ));
        }
        socket::set_relay_threads(count as usize);
        Ok(())
    }))
}

/// More are of no use, and each needs two descriptors and a stack.
pub(crate) const RELAY_THREADS_LIMIT: u32 = 256;

/// The version of the library, as "0.1.0"; static.
#[unsafe(no_mangle)]
pub extern "C" fn ssl_version() -> *const c_char {
    entry!(ssl_version, Ok(VERSION)).unwrap_or(c"").as_ptr()
}

/// The version of the ABI that the library has: see SSL_ABI_VERSION.
#[unsafe(no_mangle)]
pub extern "C" fn ssl_abi_version() -> u32 {
    entry!(ssl_abi_version, Ok(SSL_ABI_VERSION)).unwrap_or(0)
}

/// Runs when the process ends by exit() or by returning from main, after the program's own exit
/// handlers and the destructors of whatever uses the library.
extern "C" fn at_exit() {
    // A panic must not turn the end of the process into an abort.
    let _ = panic::catch(socket::end_process);
}

// SAFETY: the section holds pointers to functions without arguments, which the loader calls at the
// end of the process.
#[used]
#[unsafe(link_section = ".fini_array")]
static AT_EXIT: extern "C" fn() = at_exit;

const VERSION: &std::ffi::CStr = match std::ffi::CStr::from_bytes_with_nul(
    concat!(env!("CARGO_PKG_VERSION"), "\0").as_bytes(),
) {
    Ok(version) => version,
    Err(_) => panic!("the version holds a NUL"),
};
