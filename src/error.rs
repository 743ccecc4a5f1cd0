//! What went wrong: a stable code, its category, and a text for the person who has to act on it.
//!
//! Every layer answers with [`Error`]; the C ABI hands the code to the caller and keeps the whole
//! of it on the handle. The text is written where the failure is seen, so that rustls's detail
//! (names, dates, issuers) survives; it is never rebuilt from the number.

use std::fmt;

use crate::sync::{Mutex, MutexGuard, PoisonError};

/// A failure, as the handle keeps it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Error {
    /// One of the `SSL_ERR_*` numbers, or the certificate hook's own value.
    pub code: Code,
    /// What happened and what to do next, in UTF-8. Peer-supplied bytes in it are escaped.
    pub text: String,
    /// The `errno` of the system call that failed, or 0.
    pub sys_errno: i32,
    /// The TLS alert received, or -1.
    pub tls_alert: i32,
    /// Whether the certificate hook chose `code`.
    pub from_hook: bool,
    /// Windows's number, where the others do not say enough (see `winsock::error`), or 0.
    pub windows: i32,
}

pub type Result<T> = std::result::Result<T, Error>;

impl Error {
    pub fn new(code: Code, text: impl Into<String>) -> Self {
        Self {
            code,
            text: text.into(),
            sys_errno: 0,
            tls_alert: NO_ALERT,
            from_hook: false,
            windows: 0,
        }
    }

    /// A system call failed: `what` names the attempt, as in "connect the inner pair".
    pub fn system(what: &str, errno: i32) -> Self {
        let reason = std::io::Error::from_raw_os_error(errno);
        let code = match errno {
            libc::ECONNRESET | libc::EPIPE => Code::RESET,
            _ => Code::IO,
        };
        let remedy = match errno {
            libc::EMFILE => "; close descriptors, or raise their limit (ulimit -n)",
            libc::ENFILE => "; the whole system has no more descriptors (fs.file-max)",
            _ => "",
        };
        Self { sys_errno: errno, ..Self::new(code, format!("could not {what}: {reason}{remedy}")) }
    }

    /// A mistake inside the library, never the caller's or the peer's.
    pub fn internal(what: &str) -> Self {
        Self::new(
            Code::INTERNAL,
            format!("internal error: {what}; please report it as a bug of sslsock"),
        )
    }

    /// What a hook of the program's ended the handshake with, if `answer` is a code that it may
    /// choose.
    pub fn from_hook(answer: i32, text: impl Into<String>) -> Self {
        let code = match answer {
            2..=11 | ..0 => Code(answer),
            _ => Code::CERT_UNKNOWN,
        };
        Self { from_hook: true, ..Self::new(code, text) }
    }

    pub fn with_alert(self, alert: u8) -> Self {
        Self { tls_alert: i32::from(alert), ..self }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl std::error::Error for Error {}

/// An `SSL_ERR_*` number. A plain integer, because a hook may choose any negative value.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Code(pub i32);

macro_rules! codes {
    ($($name:ident = $value:literal, $symbol:literal, $category:ident;)*) => {
        impl Code {
            $(pub const $name: Self = Self($value);)*

            /// Every code with a name of its own, in numeric order.
            pub const ALL: &'static [Self] = &[$(Self::$name),*];

            /// The C name. A hook's own negative value has none: "SSL_ERR_(hook)".
            pub fn name(self) -> &'static std::ffi::CStr {
                match self.0 {
                    $($value => $symbol,)*
                    ..0 => c"SSL_ERR_(hook)",
                    _ => c"SSL_ERR_(unknown)",
                }
            }

            pub fn category(self) -> Category {
                match self.0 {
                    $($value => Category::$category,)*
                    ..0 => Category::Certificate,
                    _ => Category::Internal,
                }
            }
        }
    };
}

codes! {
    OKAY = 0, c"SSL_ERR_OKAY", None;
    FAILED = 2, c"SSL_ERR_FAILED", Certificate;
    BAD_LEN = 3, c"SSL_ERR_BAD_LEN", Certificate;
    BAD_TYPE = 4, c"SSL_ERR_BAD_TYPE", Certificate;
    BAD_DATA = 5, c"SSL_ERR_BAD_DATA", Certificate;
    NO_CERT = 6, c"SSL_ERR_NO_CERT", Certificate;
    BAD_SIG = 7, c"SSL_ERR_BAD_SIG", Certificate;
    CERT_EXPIRED = 8, c"SSL_ERR_CERT_EXPIRED", Certificate;
    CERT_REVOKED = 9, c"SSL_ERR_CERT_REVOKED", Certificate;
    CERT_UNKNOWN = 10, c"SSL_ERR_CERT_UNKNOWN", Certificate;
    SIGNATURE = 11, c"SSL_ERR_SIGNATURE", Certificate;
    BAD_HANDLE = 100, c"SSL_ERR_BAD_HANDLE", Usage;
    INVALID = 101, c"SSL_ERR_INVALID", Usage;
    STATE = 102, c"SSL_ERR_STATE", Usage;
    NO_NAME = 103, c"SSL_ERR_NO_NAME", Usage;
    UNSUPPORTED = 104, c"SSL_ERR_UNSUPPORTED", Usage;
    REENTRANT = 105, c"SSL_ERR_REENTRANT", Usage;
    BUFFER = 106, c"SSL_ERR_BUFFER", Usage;
    FORKED = 107, c"SSL_ERR_FORKED", Usage;
    WANT_READ = 110, c"SSL_ERR_WANT_READ", WouldBlock;
    WANT_WRITE = 111, c"SSL_ERR_WANT_WRITE", WouldBlock;
    WANT_VALIDATION = 112, c"SSL_ERR_WANT_VALIDATION", WouldBlock;
    TIMEOUT = 113, c"SSL_ERR_TIMEOUT", Io;
    CANCELLED = 114, c"SSL_ERR_CANCELLED", Io;
    IO = 120, c"SSL_ERR_IO", Io;
    RESET = 121, c"SSL_ERR_RESET", Io;
    TRUNCATED = 122, c"SSL_ERR_TRUNCATED", Io;
    NOT_TLS = 123, c"SSL_ERR_NOT_TLS", Peer;
    EARLY_DATA = 124, c"SSL_ERR_EARLY_DATA", Peer;
    PROTOCOL = 130, c"SSL_ERR_PROTOCOL", Protocol;
    ALERT = 131, c"SSL_ERR_ALERT", Protocol;
    NOT_RESUMED = 132, c"SSL_ERR_NOT_RESUMED", Protocol;
    NAME = 140, c"SSL_ERR_NAME", Certificate;
    NOT_YET_VALID = 141, c"SSL_ERR_NOT_YET_VALID", Certificate;
    PIN = 142, c"SSL_ERR_PIN", Certificate;
    INTERNAL = 199, c"SSL_ERR_INTERNAL", Internal;
}

/// Who has to act on a failure; the values of `SSL_CATEGORY_*`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u32)]
pub enum Category {
    None = 0,
    Certificate = 1,
    Usage = 2,
    WouldBlock = 3,
    Io = 4,
    Peer = 5,
    Protocol = 6,
    Internal = 7,
}

/// The error of one connection, shared by its handle and whoever carries its bytes.
///
/// A fatal error is kept for good: the kernel tells a program of a broken connection only once,
/// and to whichever thread asks first.
#[derive(Debug, Default)]
pub struct ErrorSlot {
    errors: Mutex<Errors>,
}

#[derive(Debug, Default)]
struct Errors {
    fatal: Option<Error>,
    latest: Option<Error>,
}

impl ErrorSlot {
    /// The connection is over because of `error`. The first one stays; whether this is it.
    pub fn set_fatal(&self, error: Error) -> bool {
        let mut errors = self.lock();
        let is_first = errors.fatal.is_none();
        errors.fatal.get_or_insert(error);
        is_first
    }

    /// One call failed; the connection goes on.
    pub fn set_latest(&self, error: Error) {
        self.lock().latest = Some(error);
    }

    pub fn fatal(&self) -> Option<Error> {
        self.lock().fatal.clone()
    }

    /// The fatal error, or else that of the last call that failed.
    pub fn get(&self) -> Option<Error> {
        let errors = self.lock();
        errors.fatal.clone().or_else(|| errors.latest.clone())
    }

    fn lock(&self) -> MutexGuard<'_, Errors> {
        self.errors.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The value of [`Error::tls_alert`] where no alert was involved (0 is close_notify).
pub(crate) const NO_ALERT: i32 = -1;

/// Peer-supplied bytes for a text: the first line, at most 80 bytes, non-printables as `\xNN`.
pub fn quote(bytes: &[u8]) -> String {
    let line = bytes.split(|&b| b == b'\r' || b == b'\n').next().unwrap_or_default();
    let mut quoted = String::with_capacity(line.len().min(QUOTE_LIMIT) + 2);
    quoted.push('"');
    for &byte in line.iter().take(QUOTE_LIMIT) {
        match byte {
            b'"' | b'\\' => {
                quoted.push('\\');
                quoted.push(char::from(byte));
            }
            b' '..=b'~' => quoted.push(char::from(byte)),
            _ => quoted.push_str(&format!("\\x{byte:02x}")),
        }
    }
    quoted.push('"');
    quoted
}

const QUOTE_LIMIT: usize = 80;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_code_has_a_name_and_a_category_of_its_own() {
        let mut names: Vec<_> = Code::ALL.iter().map(|code| code.name()).collect();
        assert!(names.iter().all(|name| !name.to_bytes().contains(&b'(')));
        names.sort();
        names.dedup();
        assert_eq!(names.len(), Code::ALL.len());
        assert_eq!(Code(-1).category(), Category::Certificate);
        assert_eq!(Code(77).category(), Category::Internal);
    }

    #[test]
    fn quote_keeps_one_printable_line_of_hostile_bytes() {
        assert_eq!(quote(b"220 mail ready\r\n250 more"), "\"220 mail ready\"");
        assert_eq!(quote(b"\x1b[2Jhi\"\x00\xff"), "\"\\x1b[2Jhi\\\"\\x00\\xff\"");
        assert_eq!(quote(&[b'a'; 500]).len(), 82);
    }
}
