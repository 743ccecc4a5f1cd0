"""The certificate hook and the log callback: Python functions that the library calls."""

import ctypes
import os
from typing import Any, Callable, Generator, List, Optional

from . import _native
from ._native import lib
from .constants import SSL_CERT_FLAG_ISSUER_UNKNOWN, SSL_ERR_FAILED, SSL_ERR_OKAY, SSL_LOG_OFF, SSL_VERDICT_TRUSTED
from .errors import check

# type, arg, chain, flags; the answer is SSL_ERR_OKAY or why not.
ValidateCertHook = Callable[[int, Any, List[bytes], int], int]
LogCallback = Callable[[int, str], None]


class Decision:
    """What a hook has said. Without a word from it the certificate is not accepted."""

    accepted = False
    error: Optional[BaseException] = None


class Hook:
    """A certificate hook on its way into the library; it has to live as long as the handle.

    The C function is a generator's `send`. An ordinary Python function could be interrupted (Ctrl-C) before its first
    line, where no `try` of its own helps, and ctypes would then answer whatever happened to be in memory, perhaps 0:
    accept. The generator goes on inside its `try`. What it does not get as arguments it asks the handle for.
    """

    def __init__(self, look: "Look", function: ValidateCertHook, arg: Any) -> None:
        self.decision = Decision()
        self._asked: List[Any] = [function, arg]
        answers = _answer(self.decision, look, self._asked)
        next(answers)
        self.pointer = _native.ValidateCert(answers.send)


    def let_go(self) -> None:
        """The handshake is made and there is no other. What the hook refers to may be the socket, which would never be
        collected while its hook is kept with it."""
        self._asked[:] = [_late, None]


def raise_refusal(error: Exception, hook: Optional[Hook]) -> None:
    """Raises the error of a handshake with what the hook raised in it, if it did."""
    cause = hook.decision.error if hook is not None else None
    if isinstance(cause, (KeyboardInterrupt, SystemExit)):
        # A program that catches OSError, to try again, has to end all the same.
        raise cause from error
    raise error from cause


def _late(*_arguments: Any) -> int:
    raise RuntimeError("the certificate hook was called after the handshake")


class Look:
    """What a hook wants to see of its handle, for it does not hold the handle itself."""

    def __init__(self, leaf: Callable[[], bytes], verdict: Callable[[], int]) -> None:
        self.leaf, self.verdict = leaf, verdict


def _answer(decision: Decision, look: Look, asked: List[Any]) -> Generator[int, int, None]:
    answer, called = SSL_ERR_FAILED, False
    while True:
        try:
            kind = yield answer
            called = True
            decision.accepted, decision.error, answer = False, None, SSL_ERR_FAILED
            flags = 0 if look.verdict() == SSL_VERDICT_TRUSTED else SSL_CERT_FLAG_ISSUER_UNKNOWN
            answer = _checked(asked[0](kind, asked[1], [look.leaf()], flags))
            decision.accepted = answer == SSL_ERR_OKAY
            called = False
        except BaseException as error:
            if isinstance(error, GeneratorExit) and not called:
                return
            decision.accepted, decision.error, answer, called = False, error, SSL_ERR_FAILED, False


def _checked(answer: Any) -> int:
    # False is 0, which accepts: surely not what was meant by it.
    if isinstance(answer, bool) or not isinstance(answer, int):
        raise TypeError(f"a certificate hook answers SSL_ERR_OKAY or another number, not {answer!r}")
    if not -(2**31) <= answer < 2**31:
        raise OverflowError(f"a certificate hook answers a number of 32 bits, not {answer}")
    return int(answer)


def set_log_callback(level: int, function: Optional[LogCallback]) -> None:
    """Has messages up to `level` (SSL_LOG_*) given to `function(level, message)`; None or SSL_LOG_OFF ends that.

    The function is called on the threads that call this package, inside the call. An exception in it is dropped. It is
    taken away when the interpreter exits, and is not inherited by a forked child. Any thread.
    """
    if function is None or level == SSL_LOG_OFF:
        check(lib.ssl_set_log_callback(SSL_LOG_OFF, None, None))
        return
    wanted = function

    def log(_arg: Optional[int], message_level: int, message: bytes) -> None:
        try:
            wanted(message_level, message.decode("utf-8", "replace"))
        except BaseException:
            # There is nobody to tell: the caller is the library, in the middle of something else.
            pass

    pointer = _native.Log(log)
    check(lib.ssl_set_log_callback(level, ctypes.cast(pointer, ctypes.c_void_p), None))
    # For good, like the earlier ones: another thread may be inside one of them.
    _kept.append(pointer)


_kept: List[Any] = []


# Not inherited.
os.register_at_fork(after_in_child=_kept.clear)
