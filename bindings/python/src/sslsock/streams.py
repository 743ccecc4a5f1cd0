"""asyncio: streams that are upgraded while their loop goes on."""

import asyncio
import contextlib
import os
import socket
import threading
from typing import Any, Iterable, Iterator, List, Optional

from .constants import (
    SSL_ERR_FAILED,
    SSL_ERR_STATE,
    SSL_ERR_TRUNCATED,
    SSL_ERR_WANT_READ,
    SSL_ERR_WANT_VALIDATION,
    SSL_FLAG_NONBLOCKING,
    SSL_FLAG_SOLE_DESCRIPTOR,
)
from .errors import SslError, SslWouldBlockError, make
from .hooks import Decision, checked
from .readers import refusal_to_read, refusal_to_write
from .session import SocketLike, SslSocket, descriptor


async def run_handshake(ssl_socket: SslSocket, host: Optional[str], sock: SocketLike) -> None:
    """perform_handshake() in a thread of its own; on the loop, if the certificate hook is to be awaited. Cancelled, it ends
    the handshake first, and with it the connection."""
    # The loop may watch the socket, whatever has been promised of it.
    ssl_socket.set_flags(ssl_socket.get_flags() & ~SSL_FLAG_SOLE_DESCRIPTOR)
    hook = ssl_socket._hook
    if hook is not None and hook.is_asynchronous:
        await _validated(ssl_socket, host, hook.decision)
        return
    loop = asyncio.get_running_loop()
    done: "asyncio.Future[None]" = loop.create_future()

    def tell(error: Optional[BaseException]) -> None:
        if done.done():
            return
        if error is None:
            done.set_result(None)
        else:
            done.set_exception(error)

    def work() -> None:
        error: Optional[BaseException] = None
        try:
            ssl_socket.perform_handshake(host)
        except BaseException as raised:
            error = raised
        try:
            loop.call_soon_threadsafe(tell, error)
        except RuntimeError:
            # The loop has been closed: nobody waits any more.
            pass

    # Not of the loop's pool: a hundred silent servers would keep a hundred and first handshake waiting.
    thread = threading.Thread(target=work, name="sslsock handshake")
    thread.start()
    try:
        await asyncio.shield(done)
    except asyncio.CancelledError:
        # Before the handle goes, for the thread may not have begun: it would leave the connection in clear.
        _shut_down(ssl_socket, sock)
        ssl_socket.free()
        while not done.done():
            try:
                await asyncio.shield(done)
            except asyncio.CancelledError:
                continue
            except BaseException:
                break
        # It has nothing left to do.
        thread.join()
        raise


async def _validated(ssl_socket: SslSocket, host: Optional[str], decision: Decision) -> None:
    """The handshake without blocking, and what decides about the certificate in a task beside it."""
    loop = asyncio.get_running_loop()
    ssl_socket.set_flags(ssl_socket.get_flags() | SSL_FLAG_NONBLOCKING)
    decision.awaits = True
    deadline = None if ssl_socket._limit is None else loop.time() + ssl_socket._limit
    transport, verdict = -1, None
    try:
        while True:
            try:
                ssl_socket.perform_handshake(host)
                return
            except SslWouldBlockError as wait:
                wanted = wait.code
            # The library looks at its time limit when it is called. Once it should have run out: look again soon.
            patience = None if deadline is None else max(deadline - loop.time(), 0) + 0.01
            if wanted != SSL_ERR_WANT_VALIDATION:
                if transport < 0:
                    transport = ssl_socket.get_transport_fd()
                await _ready(loop, transport, wanted, patience)
                continue
            if verdict is None:
                assert decision.pending is not None
                verdict = asyncio.ensure_future(decision.pending)
                decision.pending = None
            await asyncio.wait([verdict], timeout=patience)
            if verdict.done():
                ssl_socket.complete_validation(_result(verdict, decision))
    except BaseException:
        # If it is over already, there is nothing to cancel.
        with contextlib.suppress(SslError):
            ssl_socket.cancel_handshake()
        raise
    finally:
        decision.awaits = False
        if transport >= 0:
            os.close(transport)
        if verdict is not None and not verdict.done():
            verdict.cancel()
            with contextlib.suppress(RuntimeError):
                await asyncio.wait([verdict])


def _result(verdict: "asyncio.Future[int]", decision: Decision) -> int:
    try:
        result = checked(verdict.result())
        if result == SSL_ERR_WANT_VALIDATION:
            raise ValueError("SSL_ERR_WANT_VALIDATION is no verdict")
        return result
    except BaseException as error:
        decision.error = error
        return SSL_ERR_FAILED


async def _ready(loop: asyncio.AbstractEventLoop, number: int, wanted: int, patience: Optional[float]) -> None:
    """Until the descriptor can be read or written, as is wanted, or the patience is at an end."""
    ready: "asyncio.Future[None]" = loop.create_future()

    def tell() -> None:
        if not ready.done():
            ready.set_result(None)

    reads = wanted == SSL_ERR_WANT_READ
    (loop.add_reader if reads else loop.add_writer)(number, tell)
    try:
        await asyncio.wait([ready], timeout=patience)
    finally:
        (loop.remove_reader if reads else loop.remove_writer)(number)


def _shut_down(ssl_socket: SslSocket, sock: SocketLike) -> None:
    with contextlib.suppress(OSError, ValueError):
        number = descriptor(sock)
        # Another socket may have got the number.
        if SslSocket.find(number) is ssl_socket:
            with socket.socket(fileno=os.dup(number)) as same:
                same.shutdown(socket.SHUT_RDWR)


@contextlib.contextmanager
def paused(streams: Iterable[Any], ssl_socket: Optional[SslSocket]) -> Iterator[None]:
    """The block runs while the streams' transports read nothing and nothing is held in either; see nothing_held()."""
    streams = list(streams)
    transports: List[Any] = []
    for stream in streams:
        transport = _transport(stream)
        _on_the_loop(stream)
        if transport not in transports:
            transports.append(transport)
    resumed = [transport for transport in transports if transport.is_reading()]
    for transport in resumed:
        transport.pause_reading()
    try:
        _refuse_held(streams)
        yield
        for transport in transports:
            if transport.is_reading():
                _end(transports, ssl_socket)
                raise make(SSL_ERR_STATE, "a stream was made to read during the upgrade: the connection has been ended")
        try:
            _refuse_held(streams)
        except BaseException:
            _end(transports, ssl_socket)
            raise
    finally:
        for transport in resumed:
            if not transport.is_closing() and not _has_ended(transport):
                transport.resume_reading()


def _refuse_held(streams: Iterable[Any]) -> None:
    for stream in streams:
        if isinstance(stream, asyncio.StreamReader):
            if stream._buffer:  # type: ignore[attr-defined]
                raise refusal_to_read(stream, bytes(stream._buffer))  # type: ignore[attr-defined]
            if stream.at_eof():
                raise make(SSL_ERR_TRUNCATED, "the peer has ended its direction in clear, before the upgrade")
        elif stream.transport.get_write_buffer_size():
            raise refusal_to_write(stream)
        elif stream.transport.is_closing():
            raise make(SSL_ERR_STATE, "the stream is closed or about to be")


def _transport(stream: Any) -> Any:
    if isinstance(stream, asyncio.StreamWriter):
        transport: Any = stream.transport
    else:
        if not isinstance(getattr(stream, "_buffer", None), bytearray):
            raise TypeError(f"cannot see whether a {type(stream).__qualname__} of this version of Python holds bytes")
        transport = getattr(stream, "_transport", None)
    if transport is None:
        raise TypeError("a StreamReader without a transport cannot be kept from reading during the upgrade")
    if not all(hasattr(transport, name) for name in ("pause_reading", "is_reading", "get_write_buffer_size")):
        raise TypeError(f"the stream is above a {type(transport).__qualname__}, which cannot be kept from reading")
    return transport


def _on_the_loop(stream: Any) -> None:
    loop = getattr(stream, "_loop", None)
    try:
        running: Optional[asyncio.AbstractEventLoop] = asyncio.get_running_loop()
    except RuntimeError:
        running = None
    if loop is not None and loop is not running and loop.is_running():
        raise RuntimeError("streams are upgraded on the thread of their loop: use do_handshake_async() there")


def _has_ended(transport: Any) -> bool:
    """Whether its loop has been closed, and this task with it."""
    loop = getattr(transport, "_loop", None)
    return loop is not None and bool(loop.is_closed())


def _end(transports: Iterable[Any], ssl_socket: Optional[SslSocket]) -> None:
    if ssl_socket is not None:
        with contextlib.suppress(OSError):
            ssl_socket.shutdown(socket.SHUT_RDWR)
    for transport in transports:
        transport.abort()
