"""Exceptions. Each has the code, the category and the text of the library's error."""

import ctypes
import errno as errnos
from typing import Any, Callable, Dict, Optional, Tuple, Type

from . import _native
from ._native import lib
from .constants import (
    SSL_ERR_BAD_HANDLE,
    SSL_ERR_BUFFER,
    SSL_ERR_CANCELLED,
    SSL_ERR_EARLY_DATA,
    SSL_ERR_FORKED,
    SSL_ERR_INVALID,
    SSL_ERR_NOT_RESUMED,
    SSL_ERR_OKAY,
    SSL_ERR_REENTRANT,
    SSL_ERR_RESET,
    SSL_ERR_STATE,
    SSL_ERR_TIMEOUT,
    SSL_ERR_TRUNCATED,
    SSL_ERR_UNSUPPORTED,
    SSL_ERR_WANT_READ,
    SSL_ERR_WANT_VALIDATION,
    SSL_ERR_WANT_WRITE,
    Category,
)


class SslError(OSError):
    """Something failed.

    code: SSL_ERR_*, or what a certificate hook answered.
    name: the code's name, as "SSL_ERR_TIMEOUT".
    category: a Category.
    text: what happened and what to do.
    errno: as for any OSError: that of the system call that failed, else one that fits the code.
    system_errno: that of the system call, 0 if it was none.
    alert: the number of the TLS alert that the peer sent, or None.
    from_hook: whether the certificate hook chose the code.

    If a hook of the program's raised an exception, that is the `__cause__`. KeyboardInterrupt and SystemExit go on as they
    are.
    """

    def __init__(
        self,
        code: int,
        text: str = "",
        *,
        errno: Optional[int] = None,
        system_errno: int = 0,
        alert: Optional[int] = None,
        from_hook: bool = False,
    ) -> None:
        self.code = code
        self.name = error_name(code)
        self.text = text or self.name
        self.category = Category.CERTIFICATE if from_hook else error_category(code)
        self.system_errno = system_errno
        self.alert = alert
        self.from_hook = from_hook
        super().__init__(errno or system_errno or _ERRNO.get(code, errnos.EPROTO), self.text)

    def __str__(self) -> str:
        return f"{self.name}: {self.text}"

    def __reduce__(self) -> Tuple[Any, ...]:
        return _rebuild, (type(self), self.code, self.text, self.errno, self.system_errno, self.alert, self.from_hook)


class SslCertificateError(SslError):
    """The peer's certificate is not accepted, or the one of this side cannot be used."""


class SslUsageError(SslError):
    """The call does not fit its arguments or what has happened so far."""


class SslWouldBlockError(SslError, BlockingIOError):
    """Nothing is wrong: call again when the socket can be read or written, as the code says."""


class SslTimeoutError(SslError, TimeoutError):
    """A time limit ran out."""


class SslResetError(SslError, ConnectionResetError):
    """The connection was reset."""


class SslTruncatedError(SslResetError):
    """The connection ended without close_notify: data may be missing."""


class SslNotResumedError(SslError):
    """No earlier session was resumed, although that was required."""


class SslCancelledError(SslError):
    """The handshake was ended by cancel_handshake()."""


class SslHeldDataError(SslError, ValueError):
    """A reader or writer holds bytes from before the upgrade; nothing has been changed."""


def error_name(code: int) -> str:
    """The name of a code, as "SSL_ERR_TIMEOUT"."""
    return str(lib.ssl_error_name(code).decode())


def error_category(code: int) -> Category:
    """The category of a code."""
    return Category(lib.ssl_error_category(code))


def last_error(code: int, errno: Optional[int] = None) -> SslError:
    """The exception for a call on this thread that has just answered `code`."""
    info = _native.ErrorInfo(size=ctypes.sizeof(_native.ErrorInfo))
    if lib.ssl_get_error_info(None, ctypes.byref(info)) != SSL_ERR_OKAY or info.code != code:
        return make(code, "", errno=errno)
    text = copy_text(lambda buffer, size, length: lib.ssl_get_error_text(None, buffer, size, length))
    return make(
        code,
        text,
        errno=errno,
        system_errno=info.sys_errno,
        alert=info.tls_alert if info.tls_alert >= 0 else None,
        from_hook=bool(info.from_hook),
    )


def check(code: int) -> None:
    """Raises what a call on this thread has just answered, unless that was success."""
    if code != SSL_ERR_OKAY:
        raise last_error(code)


def make(code: int, text: str = "", **details: Any) -> SslError:
    """The exception of the class that fits the code."""
    kind: Type[SslError] = _BY_CODE.get(code, SslError)
    if kind is SslError:
        category = Category.CERTIFICATE if details.get("from_hook") else error_category(code)
        kind = _BY_CATEGORY.get(category, SslError)
    return kind(code, text, **details)


def copy_bytes(call: Callable[[Any, int, Any], int], guess: int = 1024) -> bytes:
    """What a function copies out that is called with buffer, capacity and a pointer to the length."""
    length = ctypes.c_size_t(0)
    while True:
        buffer = ctypes.create_string_buffer(max(guess, 1))
        code = call(buffer, guess, ctypes.byref(length))
        if code == SSL_ERR_BUFFER and length.value > guess:
            guess = length.value
            continue
        check(code)
        return buffer.raw[: length.value]


def copy_text(call: Callable[[Any, int, Any], int]) -> str:
    """The same for text that ends with NUL."""
    return copy_bytes(call).rstrip(b"\0").decode("utf-8", "replace")


def _rebuild(
    kind: Type[SslError],
    code: int,
    text: str,
    errno: Optional[int],
    system_errno: int,
    alert: Optional[int],
    from_hook: bool,
) -> SslError:
    return kind(code, text, errno=errno, system_errno=system_errno, alert=alert, from_hook=from_hook)


_BY_CODE: Dict[int, Type[SslError]] = {
    SSL_ERR_TIMEOUT: SslTimeoutError,
    SSL_ERR_RESET: SslResetError,
    SSL_ERR_TRUNCATED: SslTruncatedError,
    SSL_ERR_NOT_RESUMED: SslNotResumedError,
    SSL_ERR_CANCELLED: SslCancelledError,
}
_BY_CATEGORY: Dict[Category, Type[SslError]] = {
    Category.CERTIFICATE: SslCertificateError,
    Category.USAGE: SslUsageError,
    Category.WOULD_BLOCK: SslWouldBlockError,
}
_ERRNO: Dict[int, int] = {
    SSL_ERR_BAD_HANDLE: errnos.EBADF,
    SSL_ERR_INVALID: errnos.EINVAL,
    SSL_ERR_STATE: errnos.EINVAL,
    SSL_ERR_UNSUPPORTED: errnos.EOPNOTSUPP,
    SSL_ERR_REENTRANT: errnos.EDEADLK,
    SSL_ERR_BUFFER: errnos.EINVAL,
    SSL_ERR_FORKED: errnos.EPROTO,
    SSL_ERR_WANT_READ: errnos.EAGAIN,
    SSL_ERR_WANT_WRITE: errnos.EAGAIN,
    SSL_ERR_WANT_VALIDATION: errnos.EAGAIN,
    SSL_ERR_TIMEOUT: errnos.ETIMEDOUT,
    SSL_ERR_CANCELLED: errnos.ECANCELED,
    SSL_ERR_RESET: errnos.ECONNRESET,
    SSL_ERR_TRUNCATED: errnos.ECONNRESET,
    SSL_ERR_EARLY_DATA: errnos.EPROTO,
}
