"""The hooks and the log callback: Python functions that the library calls."""

import ctypes
import inspect
import os
from typing import Any, Awaitable, Callable, Generator, Iterable, List, Optional, Sequence, Union

from . import _native
from ._native import lib
from .calls import Call
from .constants import (
    SSL_CERT_FLAG_ISSUER_UNKNOWN,
    SSL_ERR_FAILED,
    SSL_ERR_NO_CERT,
    SSL_ERR_OKAY,
    SSL_ERR_WANT_VALIDATION,
    SSL_LOG_OFF,
    SSL_VERDICT_TRUSTED,
)
from .errors import check
from .identity import Identity, SignHook
from .settings import blob_array

# type, arg, chain, flags; the answer is SSL_ERR_OKAY or why not. An asynchronous one (`async def`) is awaited.
ValidateCertHook = Callable[[int, Any, List[bytes], int], Union[int, Awaitable[int]]]
# The names of the authorities that the server accepts, in DER; the answer is what to show.
Choice = Union[Identity, Sequence[bytes], int, None]
AuthRequestHook = Callable[[List[bytes]], Choice]
LogCallback = Callable[[int, str], None]


class Decision:
    """What a hook has said. Without a word from it the certificate is not accepted."""

    # Its last answer, and whether complete_validation() has brought an acceptance.
    answer = SSL_ERR_FAILED
    allowed = False
    # Whether there is somebody who awaits an asynchronous hook, and what is to be awaited.
    awaits = False
    pending: Optional[Awaitable[int]] = None
    error: Optional[BaseException] = None

    @property
    def accepted(self) -> bool:
        return self.answer == SSL_ERR_OKAY or self.answer == SSL_ERR_WANT_VALIDATION and self.allowed


class Hook:
    """A certificate hook on its way into the library; it has to live as long as the handle.

    The C function is a generator's `send`, for the reason in calls.py. What it does not get as arguments it asks the handle
    for.
    """

    def __init__(self, look: "Look", function: ValidateCertHook, arg: Any) -> None:
        self.decision = Decision()
        self.is_asynchronous = is_asynchronous(function)
        self._asked: List[Any] = [function, arg]
        answers = _answer(self.decision, look, self._asked)
        next(answers)
        self.pointer = _native.ValidateCert(answers.send)

    def let_go(self) -> None:
        """The handshake is made and there is no other. What the hook refers to may be the socket, which would never be
        collected while its hook is kept with it."""
        self._asked[:] = [_late, None]


def is_asynchronous(function: Any) -> bool:
    """Whether it is to be awaited."""
    return inspect.iscoroutinefunction(function) or inspect.iscoroutinefunction(getattr(function, "__call__", None))


def raise_refusal(error: Exception, causes: Iterable[Optional[BaseException]]) -> None:
    """Raises the error of a handshake with what a hook raised in it, if one did."""
    cause = next((cause for cause in causes if cause is not None), None)
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
            decision.answer, decision.error, answer = SSL_ERR_FAILED, None, SSL_ERR_FAILED
            flags = 0 if look.verdict() == SSL_VERDICT_TRUSTED else SSL_CERT_FLAG_ISSUER_UNKNOWN
            answer = _later_or_now(asked[0](kind, asked[1], [look.leaf()], flags), decision)
            decision.answer = answer
            called = False
        except BaseException as error:
            if isinstance(error, GeneratorExit) and not called:
                return
            decision.answer, decision.error, answer, called = SSL_ERR_FAILED, error, SSL_ERR_FAILED, False


def _later_or_now(answer: Any, decision: Decision) -> int:
    if not inspect.isawaitable(answer):
        return checked(answer)
    if not decision.awaits:
        if inspect.iscoroutine(answer):
            answer.close()
        raise TypeError("an asynchronous certificate hook needs do_handshake_async()")
    decision.pending = answer
    return SSL_ERR_WANT_VALIDATION


def checked(answer: Any) -> int:
    """The answer of a certificate hook, as the library takes it."""
    # False is 0, which accepts: surely not what was meant by it.
    if isinstance(answer, bool) or not isinstance(answer, int):
        raise TypeError(f"a certificate hook answers SSL_ERR_OKAY or another number, not {answer!r}")
    if not -(2**31) <= answer < 2**31:
        raise OverflowError(f"a certificate hook answers a number of 32 bits, not {answer}")
    return int(answer)


def signer(function: SignHook) -> Call:
    """What signs by a Python function, for one handle."""

    def sign(scheme: int, _arg: int, source: int, size: int, _flags: int, target: int, length: int) -> int:
        return _sign(function, scheme, source, size, target, length)

    return Call(_native.SIGNATURE_ARGUMENTS, sign)


class SharedSigner:
    """What signs by a Python function on any number of threads at once. Ctrl-C at its beginning spoils a signature."""

    def __init__(self, function: SignHook) -> None:
        def sign(scheme: int, _arg: int, source: int, size: int, _flags: int, target: int, length: int) -> int:
            try:
                return _sign(function, scheme, source, size, target, length)
            except BaseException:
                return SSL_ERR_FAILED

        self.pointer: Any = ctypes.CFUNCTYPE(ctypes.c_int32, *_native.SIGNATURE_ARGUMENTS)(sign)


def _sign(function: SignHook, scheme: int, source: int, size: int, target: int, length: int) -> int:
    signature = function(scheme, ctypes.string_at(source, size))
    if not isinstance(signature, (bytes, bytearray, memoryview)):
        raise TypeError(f"a signature is bytes, not {type(signature).__name__}")
    capacity = ctypes.c_uint32.from_address(length)
    data = bytes(signature)
    if len(data) > capacity.value:
        raise ValueError(f"a signature has at most {capacity.value} bytes, this one has {len(data)}")
    ctypes.memmove(target, data, len(data))
    capacity.value = len(data)
    return SSL_ERR_OKAY


def auth_request(function: AuthRequestHook) -> Call:
    """What chooses a client certificate by a Python function, for one handle."""
    # The library copies the chain when the call has returned.
    kept: List[Any] = []

    def choose(_type: int, _arg: int, count: int, issuers: int, _flags: int, chain_len: int, chain: int) -> int:
        names = [_blob(blob) for blob in (_native.Blob * count).from_address(issuers)] if count else []
        answer = function(names)
        if answer is None:
            return SSL_ERR_OKAY
        if isinstance(answer, int) and not isinstance(answer, bool):
            if answer == SSL_ERR_OKAY:
                raise ValueError("SSL_ERR_OKAY does not say which certificate: answer None for the library to choose")
            return checked(answer)
        ders = answer.certificates() if isinstance(answer, Identity) else _chain(answer)
        if not ders:
            return SSL_ERR_NO_CERT
        kept[:] = [blob_array(ders)]
        ctypes.c_uint32.from_address(chain_len).value = len(ders)
        ctypes.c_void_p.from_address(chain).value = ctypes.addressof(kept[0])
        return SSL_ERR_OKAY

    return Call(_native.AUTH_REQUEST_ARGUMENTS, choose)


def _chain(answer: Any) -> List[bytes]:
    if not isinstance(answer, (list, tuple)) or not all(isinstance(der, bytes) for der in answer):
        raise TypeError(
            f"the hook answers an Identity, a list of certificates in DER ([]: none), or None for the library to choose, not {answer!r}"
        )
    return list(answer)


def _blob(blob: _native.Blob) -> bytes:
    return ctypes.string_at(blob.pBlobData, blob.cbSize) if blob.cbSize else b""


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
