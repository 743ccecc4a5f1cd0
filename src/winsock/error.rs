//! Winsock's error numbers: what `WSAGetLastError` answers.

use std::cell::Cell;

use crate::error::{Code, Error};
use crate::sys::look_up;

pub(crate) const ERROR_FILE_NOT_FOUND: i32 = 2;
pub(crate) const ERROR_ACCESS_DENIED: i32 = 5;
pub(crate) const ERROR_INVALID_HANDLE: i32 = 6;
pub(crate) const ERROR_NOT_ENOUGH_MEMORY: i32 = 8;
pub(crate) const ERROR_INVALID_PARAMETER: i32 = 87;
pub(crate) const ERROR_INSUFFICIENT_BUFFER: i32 = 122;
pub(crate) const ERROR_MOD_NOT_FOUND: i32 = 126;
pub(crate) const ERROR_PROC_NOT_FOUND: i32 = 127;
pub(crate) const ERROR_MORE_DATA: i32 = 234;
pub(crate) const ERROR_MR_MID_NOT_FOUND: i32 = 317;
pub(crate) const ERROR_INVALID_FLAGS: i32 = 1004;
pub(crate) const ERROR_NO_UNICODE_TRANSLATION: i32 = 1113;

pub(crate) const NTE_BAD_UID: i32 = 0x8009_0001_u32 as i32;
pub(crate) const NTE_BAD_FLAGS: i32 = 0x8009_0009_u32 as i32;
pub(crate) const CRYPT_E_NOT_FOUND: i32 = 0x8009_2004_u32 as i32;
pub(crate) const CRYPT_E_EXISTS: i32 = 0x8009_2005_u32 as i32;
pub(crate) const CRYPT_E_SELF_SIGNED: i32 = 0x8009_2007_u32 as i32;
pub(crate) const CRYPT_E_ASN1_BADTAG: i32 = 0x8009_310b_u32 as i32;

pub(crate) const WSAEINTR: i32 = 10004;
pub(crate) const WSAEACCES: i32 = 10013;
pub(crate) const WSAEFAULT: i32 = 10014;
pub(crate) const WSAEINVAL: i32 = 10022;
pub(crate) const WSAEMFILE: i32 = 10024;
pub(crate) const WSAEWOULDBLOCK: i32 = 10035;
pub(crate) const WSAEINPROGRESS: i32 = 10036;
pub(crate) const WSAEALREADY: i32 = 10037;
pub(crate) const WSAENOTSOCK: i32 = 10038;
pub(crate) const WSAEDESTADDRREQ: i32 = 10039;
pub(crate) const WSAEMSGSIZE: i32 = 10040;
pub(crate) const WSAEPROTOTYPE: i32 = 10041;
pub(crate) const WSAENOPROTOOPT: i32 = 10042;
pub(crate) const WSAEPROTONOSUPPORT: i32 = 10043;
pub(crate) const WSAESOCKTNOSUPPORT: i32 = 10044;
pub(crate) const WSAEOPNOTSUPP: i32 = 10045;
pub(crate) const WSAEPFNOSUPPORT: i32 = 10046;
pub(crate) const WSAEAFNOSUPPORT: i32 = 10047;
pub(crate) const WSAEADDRINUSE: i32 = 10048;
pub(crate) const WSAEADDRNOTAVAIL: i32 = 10049;
pub(crate) const WSAENETDOWN: i32 = 10050;
pub(crate) const WSAENETUNREACH: i32 = 10051;
pub(crate) const WSAENETRESET: i32 = 10052;
pub(crate) const WSAECONNABORTED: i32 = 10053;
pub(crate) const WSAECONNRESET: i32 = 10054;
pub(crate) const WSAENOBUFS: i32 = 10055;
pub(crate) const WSAEISCONN: i32 = 10056;
pub(crate) const WSAENOTCONN: i32 = 10057;
pub(crate) const WSAESHUTDOWN: i32 = 10058;
pub(crate) const WSAETIMEDOUT: i32 = 10060;
pub(crate) const WSAECONNREFUSED: i32 = 10061;
pub(crate) const WSAEHOSTDOWN: i32 = 10064;
pub(crate) const WSAEHOSTUNREACH: i32 = 10065;
pub(crate) const WSAVERNOTSUPPORTED: i32 = 10092;
pub(crate) const WSANOTINITIALISED: i32 = 10093;
pub(crate) const WSATYPE_NOT_FOUND: i32 = 10109;
pub(crate) const WSAHOST_NOT_FOUND: i32 = 11001;
pub(crate) const WSATRY_AGAIN: i32 = 11002;
pub(crate) const WSANO_RECOVERY: i32 = 11003;
pub(crate) const WSANO_DATA: i32 = 11004;

/// A failed call of the program's with this number of Windows's, Winsock's or another.
pub fn failure(number: i32, text: impl Into<String>) -> Error {
    Error { windows: number, ..Error::new(Code::INVALID, text) }
}

/// The number that stands for a failure: the column WSA of docs/errors.md.
pub fn number(error: &Error) -> i32 {
    match error.code {
        _ if error.windows != 0 => error.windows,
        // Windows CE passes the certificate codes on, and what a hook has chosen.
        code if code.0 <= Code::SIGNATURE.0 => code.0,
        Code::NAME | Code::PIN => Code::CERT_UNKNOWN.0,
        Code::NOT_YET_VALID => Code::CERT_EXPIRED.0,
        Code::BAD_HANDLE | Code::FORKED => WSAENOTSOCK,
        Code::UNSUPPORTED => WSAEOPNOTSUPP,
        Code::BUFFER => WSAEFAULT,
        Code::INVALID if error.sys_errno == libc::EFAULT => WSAEFAULT,
        Code::INVALID | Code::STATE | Code::NO_NAME | Code::REENTRANT => WSAEINVAL,
        Code::WANT_READ | Code::WANT_WRITE | Code::WANT_VALIDATION => WSAEWOULDBLOCK,
        Code::TIMEOUT => WSAETIMEDOUT,
        Code::RESET | Code::TRUNCATED => WSAECONNRESET,
        Code::IO if error.sys_errno != 0 => of_errno(error.sys_errno),
        _ => WSAECONNABORTED,
    }
}

/// The number that stands for an errno.
pub fn of_errno(errno: i32) -> i32 {
    let found = ERRNOS.iter().find(|&&(listed, _)| listed == errno);
    found.map_or(WSAECONNABORTED, |&(_, number)| number)
}

/// The number that stands for a look-up's failure.
pub fn of_look_up(failure: look_up::Failure) -> i32 {
    // Of Linux's own the libc crate does not have all.
    const EAI_ADDRFAMILY: i32 = -9;
    match failure.number {
        libc::EAI_BADFLAGS => WSAEINVAL,
        libc::EAI_AGAIN => WSATRY_AGAIN,
        libc::EAI_NONAME => WSAHOST_NOT_FOUND,
        libc::EAI_NODATA | EAI_ADDRFAMILY => WSANO_DATA,
        libc::EAI_FAMILY => WSAEAFNOSUPPORT,
        libc::EAI_SOCKTYPE => WSAESOCKTNOSUPPORT,
        libc::EAI_SERVICE => WSATYPE_NOT_FOUND,
        libc::EAI_MEMORY => ERROR_NOT_ENOUGH_MEMORY,
        libc::EAI_OVERFLOW => WSAEFAULT,
        libc::EAI_SYSTEM => of_errno(failure.errno),
        _ => WSANO_RECOVERY,
    }
}

/// This thread's last error; 0 at first. Success leaves it alone.
pub fn last() -> i32 {
    LAST.get()
}

pub fn set_last(number: i32) {
    LAST.set(number);
}

const ERRNOS: &[(i32, i32)] = &[
    (libc::EPERM, WSAEACCES),
    (libc::EINTR, WSAEINTR),
    (libc::EBADF, WSAENOTSOCK),
    (libc::EAGAIN, WSAEWOULDBLOCK),
    (libc::ENOMEM, WSAENOBUFS),
    (libc::EACCES, WSAEACCES),
    (libc::EFAULT, WSAEFAULT),
    (libc::EINVAL, WSAEINVAL),
    (libc::ENFILE, WSAEMFILE),
    (libc::EMFILE, WSAEMFILE),
    (libc::EPIPE, WSAESHUTDOWN),
    (libc::ENOTSOCK, WSAENOTSOCK),
    (libc::EDESTADDRREQ, WSAEDESTADDRREQ),
    (libc::EMSGSIZE, WSAEMSGSIZE),
    (libc::EPROTOTYPE, WSAEPROTOTYPE),
    (libc::ENOPROTOOPT, WSAENOPROTOOPT),
    (libc::EPROTONOSUPPORT, WSAEPROTONOSUPPORT),
    (libc::ESOCKTNOSUPPORT, WSAESOCKTNOSUPPORT),
    (libc::EOPNOTSUPP, WSAEOPNOTSUPP),
    (libc::EPFNOSUPPORT, WSAEPFNOSUPPORT),
    (libc::EAFNOSUPPORT, WSAEAFNOSUPPORT),
    (libc::EADDRINUSE, WSAEADDRINUSE),
    (libc::EADDRNOTAVAIL, WSAEADDRNOTAVAIL),
    (libc::ENETDOWN, WSAENETDOWN),
    (libc::ENETUNREACH, WSAENETUNREACH),
    (libc::ENETRESET, WSAENETRESET),
    (libc::ECONNABORTED, WSAECONNABORTED),
    (libc::ECONNRESET, WSAECONNRESET),
    (libc::ENOBUFS, WSAENOBUFS),
    (libc::EISCONN, WSAEISCONN),
    (libc::ENOTCONN, WSAENOTCONN),
    (libc::ETIMEDOUT, WSAETIMEDOUT),
    (libc::ECONNREFUSED, WSAECONNREFUSED),
    (libc::EHOSTDOWN, WSAEHOSTDOWN),
    (libc::EHOSTUNREACH, WSAEHOSTUNREACH),
    (libc::EALREADY, WSAEALREADY),
    (libc::EINPROGRESS, WSAEINPROGRESS),
];

thread_local! {
    static LAST: Cell<i32> = const { Cell::new(0) };
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hooks_value_and_the_certificate_codes_are_passed_on() {
        for value in [-7, 2, 10, 11] {
            assert_eq!(number(&Error::new(Code(value), "")), value);
        }
        assert_eq!(number(&Error::new(Code::NAME, "")), 10);
        assert_eq!(number(&Error::new(Code::PIN, "")), 10);
        assert_eq!(number(&Error::new(Code::NOT_YET_VALID, "")), 8);
    }

    #[test]
    fn a_number_that_was_given_goes_before_all_others() {
        let error = failure(ERROR_MOD_NOT_FOUND, "no such library");
        assert_eq!(number(&error), ERROR_MOD_NOT_FOUND);
        assert_eq!(number(&Error { windows: 11001, ..Error::new(Code::IO, "") }), 11001);
    }

    #[test]
    fn what_the_system_says_keeps_its_meaning() {
        assert_eq!(number(&Error::system("connect", libc::ECONNREFUSED)), WSAECONNREFUSED);
        assert_eq!(number(&Error::system("connect", libc::EPIPE)), WSAECONNRESET);
        assert_eq!(number(&Error::new(Code::IO, "")), WSAECONNABORTED);
        assert_eq!(of_errno(libc::ENOTTY), WSAECONNABORTED);
    }

    #[test]
    fn a_handshake_that_waits_is_told_from_one_that_was_cancelled() {
        for code in [Code::WANT_READ, Code::WANT_WRITE, Code::WANT_VALIDATION] {
            assert_eq!(number(&Error::new(code, "")), WSAEWOULDBLOCK);
        }
        assert_eq!(number(&Error::new(Code::CANCELLED, "")), WSAECONNABORTED);
    }

    #[test]
    fn a_bad_buffer_is_told_from_a_bad_argument() {
        let bad = |errno| Error { sys_errno: errno, ..Error::new(Code::INVALID, "") };
        assert_eq!(number(&bad(libc::EFAULT)), WSAEFAULT);
        assert_eq!(number(&bad(libc::EINVAL)), WSAEINVAL);
        assert_eq!(number(&Error::new(Code::BUFFER, "")), WSAEFAULT);
    }
}
