"""Turns a live socket into TLS in the middle of a conversation, after which plain send and recv go on.

    import socket, sslsock

    sock = socket.create_connection(("mail.example", 587))
    ...                                       # the conversation in clear, up to the answer to STARTTLS
    sslsock.SslHelper(sock, "mail.example")   # the handshake; an exception ends the connection
    sock.sendall(b"EHLO me.example\\r\\n")      # under TLS

SslHelper is what most programs need, sslsock.clients upgrades the clients of the standard library, SslSocket has the
whole C ABI of sslsock.h, sslsock.defaults the settings that sockets start with. Subinterpreters are not supported.
"""

import ctypes
from typing import Optional, Tuple

# "as" tells type checkers that the name is for everybody.
from . import clients as clients
from ._native import lib
from .constants import *  # noqa: F403
from .constants import Category as Category
from .constants import Cause as Cause
from .defaults import Defaults as Defaults
from .defaults import defaults as defaults
from .errors import SslCancelledError as SslCancelledError
from .errors import SslCertificateError as SslCertificateError
from .errors import SslError as SslError
from .errors import SslHeldDataError as SslHeldDataError
from .errors import SslNotResumedError as SslNotResumedError
from .errors import SslResetError as SslResetError
from .errors import SslTimeoutError as SslTimeoutError
from .errors import SslTruncatedError as SslTruncatedError
from .errors import SslUsageError as SslUsageError
from .errors import SslWouldBlockError as SslWouldBlockError
from .errors import error_category as error_category
from .errors import error_name as error_name
from .errors import last_error
from .helper import SslHelper as SslHelper
from .hooks import set_log_callback as set_log_callback
from .identity import Identity as Identity
from .session import ErrorInfo as ErrorInfo
from .session import SessionInfo as SessionInfo
from .session import SslSocket as SslSocket
from .settings import ChainReport as ChainReport
from .settings import SslSettings as SslSettings
from .settings import VerifyReport as VerifyReport
from .settings import milliseconds
from .settings import verify_chain as verify_chain

__version__ = "0.1.0"


def flush_all(timeout: Optional[float] = None) -> None:
    """Waits until the peers' systems have acknowledged everything that this process has sent; see ssl_flush_all.

    timeout: in seconds; None: no limit, 0: only look. SslTimeoutError, with the number of sockets that still hold data in
    `unfinished`, if there are some. Any thread.
    """
    unfinished = ctypes.c_uint32()
    code = lib.ssl_flush_all(0 if timeout == 0 else milliseconds(timeout), ctypes.byref(unfinished))
    if code:
        error = last_error(code)
        error.unfinished = unfinished.value  # type: ignore[attr-defined]
        raise error


def set_relay_threads(count: int = 0) -> None:
    """How many threads of the library carry connections at most, in the whole process; see ssl_set_relay_threads.

    count: 0: as many as there are processors. May be set at any time; a forked child begins with 0. Any thread.
    """
    if not 0 <= count <= 0xFFFFFFFF:
        raise ValueError(f"a number of threads is not negative and has 32 bits: {count}")
    code = lib.ssl_set_relay_threads(count)
    if code:
        raise last_error(code)


def version() -> str:
    """The version of the shared library, as "0.1.0"."""
    return str(lib.ssl_version().decode())


def abi_version() -> Tuple[int, int]:
    """The version of the ABI that the shared library has: major, minor."""
    number = int(lib.ssl_abi_version())
    return number >> 16, number & 0xFFFF
