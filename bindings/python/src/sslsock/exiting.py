"""The interpreter's end: nothing of the library may call into it afterwards.

A thread that is inside a handshake when the interpreter goes (only a daemon thread can be) would call the certificate
hook or the log callback when there is no interpreter any more, which ends the process by a signal, and with it what the
library still has to deliver. Therefore such handshakes are ended first.
"""

import atexit
import os
import threading
from types import TracebackType
from typing import Dict, Optional, Type

from ._native import lib
from .constants import SSL_ERR_STATE, SSL_LOG_OFF
from .errors import make

# A certificate hook that is running is waited for, but not for ever.
PATIENCE_SECONDS = 5.0

_changed = threading.Condition()
_under_way: Dict[int, int] = {}
_ending_thread: Optional[int] = None


class Handshake:
    """A handshake on this thread: `with Handshake(handle):`."""

    def __init__(self, handle: int) -> None:
        self._handle = handle
        self._outer: Optional[int] = None

    def __enter__(self) -> None:
        thread = threading.get_ident()
        with _changed:
            if _ending_thread not in (None, thread):
                raise make(SSL_ERR_STATE, "the interpreter is ending: there is no time for a handshake")
            # A hook may make a handshake on another socket.
            self._outer = _under_way.get(thread)
            _under_way[thread] = self._handle

    def __exit__(
        self, kind: Optional[Type[BaseException]], error: Optional[BaseException], trace: Optional[TracebackType]
    ) -> None:
        with _changed:
            if self._outer is None:
                _under_way.pop(threading.get_ident(), None)
            else:
                _under_way[threading.get_ident()] = self._outer
            _changed.notify_all()


def _end() -> None:
    global _ending_thread
    lib.ssl_set_log_callback(SSL_LOG_OFF, None, None)
    with _changed:
        _ending_thread = threading.get_ident()
        others = {thread: handle for thread, handle in _under_way.items() if thread != _ending_thread}
    for handle in others.values():
        lib.ssl_socket_free(handle)
    with _changed:
        _changed.wait_for(lambda: not any(thread in _under_way for thread in others), PATIENCE_SECONDS)


def _after_fork() -> None:
    global _changed
    _changed = threading.Condition()
    this = threading.get_ident()
    for thread in list(_under_way):
        if thread != this:
            del _under_way[thread]


atexit.register(_end)
os.register_at_fork(after_in_child=_after_fork)
