"""Which SslSocket belongs to which socket: the state is the socket's, whoever asks for it."""

import os
import threading
import weakref
from typing import TYPE_CHECKING, Any, Dict, List, Optional, Tuple

if TYPE_CHECKING:
    from .hooks import AuthRequestHook, ValidateCertHook
    from .session import SslSocket


class Defaults:
    """What sockets made later start with, beside what the library knows."""

    hook: Optional[Tuple["ValidateCertHook", Any]] = None
    auth_request_hook: Optional["AuthRequestHook"] = None
    # The time limit of the handshake.
    limit: Optional[float] = 30.0


# By handle: all that live.
_by_handle: "weakref.WeakValueDictionary[int, SslSocket]" = weakref.WeakValueDictionary()
# What keeps them alive: the socket object, or where that cannot be told, the number for as long as it is the same socket.
# By identity, for a class of the caller's may have two sockets compare equal.
_by_socket: "Dict[int, Tuple[weakref.ref[Any], SslSocket]]" = {}
_by_number: Dict[int, "SslSocket"] = {}
_for_good: List[Any] = []
_defaults = Defaults()
_lock = threading.RLock()
_prune_at = 64


def lock() -> Any:
    return _lock


def note(handle: int, ssl_socket: "SslSocket") -> None:
    _by_handle[handle] = ssl_socket


def known(handle: int) -> Optional["SslSocket"]:
    return _by_handle.get(handle)


def keep(sock: Any, number: int, ssl_socket: "SslSocket") -> List[Any]:
    """Under the lock. Answers what is not kept any more: to free a session of explicit mode may take a while, which is
    for after the lock."""
    key = id(sock)
    over = [*_prune(), _by_socket.get(key), _by_number.get(number)]

    def forget(gone: Any, entries: Any = _by_socket) -> None:
        if key in entries and entries[key][0] is gone:
            del entries[key]

    try:
        _by_socket[key] = weakref.ref(sock, forget), ssl_socket
    except TypeError:
        _by_number[number] = ssl_socket
    return over


def keep_for_good(thing: Any) -> None:
    _for_good.append(thing)


def defaults() -> "Defaults":
    return _defaults


def _prune() -> List[Any]:
    """Lets go of what belongs to closed sockets, now and then: a hook may refer to its socket, which then keeps both."""
    global _prune_at
    over: List[Any] = []
    if len(_by_socket) + len(_by_number) < _prune_at:
        return over
    for key, (reference, _) in list(_by_socket.items()):
        sock = reference()
        if sock is None or _is_closed(sock):
            over.append(_by_socket.pop(key, None))
    for number, ssl_socket in list(_by_number.items()):
        if type(ssl_socket)._find(number) is not ssl_socket:
            over.append(_by_number.pop(number))
    _prune_at = 2 * (len(_by_socket) + len(_by_number)) + 64
    return over


def _is_closed(sock: Any) -> bool:
    try:
        return bool(sock.fileno() < 0)
    except (OSError, ValueError):
        return True


def _after_fork() -> None:
    global _lock
    _lock = threading.RLock()


os.register_at_fork(after_in_child=_after_fork)
