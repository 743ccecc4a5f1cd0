"""What buffered readers and writers hold: bytes that have left the socket, or have not reached it yet.

A look blocks nowhere and loses nothing. The objects have no question for it, so one is asked to read or write while
what is below it answers that there is nothing to be had just now.
"""

import codecs
import contextlib
import ctypes
import gc
import io
import socket
import sys
import threading
from typing import Any, Callable, Iterable, Iterator, List, Tuple

from .constants import SSL_ERR_EARLY_DATA, SSL_ERR_STATE
from .errors import SslHeldDataError, make

# Decoding with these loses nothing that encoding could not give back.
_REVERSIBLE = ("strict", "surrogateescape", "ignore", "backslashreplace")


class _Nothing(Exception):
    """What is below has nothing to give and takes nothing."""


@contextlib.contextmanager
def nothing_held(readers: Iterable[Any], writers: Iterable[Any], ssl_socket: Any = None) -> Iterator[None]:
    """The block runs while none of them holds anything: SslHeldDataError before it otherwise, and after it if something
    came into one of them meanwhile; then the connection has been ended. asyncio streams are paused during the block."""
    files: List[Any] = []
    asynchronous: List[Any] = []
    for given, role in [(reader, "reader") for reader in _each(readers)] + [(writer, "writer") for writer in _each(writers)]:
        if is_stream(given):
            asynchronous.append(given)
        else:
            files.append((given, role))
    for file, role in files:
        refuse_held(file, role)
    if not asynchronous:
        yield
        return
    from . import streams

    with streams.paused(asynchronous, ssl_socket):
        yield


def _each(given: Any) -> List[Any]:
    """A list, or what should have been in one: to go through the lines of a file would read it."""
    return [given] if isinstance(given, io.IOBase) or is_stream(given) else list(given)


def is_stream(given: Any) -> bool:
    """Whether it is a stream of asyncio, which is not loaded for the question."""
    streams = sys.modules.get("asyncio.streams")
    return streams is not None and isinstance(given, (streams.StreamReader, streams.StreamWriter))


def refuse_held(file: Any, role: str = "reader") -> None:
    """SslHeldDataError if the file object holds bytes in either direction, TypeError if that cannot be seen."""
    read, written = held(file)
    if read:
        raise refusal_to_read(file, read)
    if written:
        raise refusal_to_write(file)


def refusal_to_read(given: Any, read: bytes) -> SslHeldDataError:
    line = read.split(b"\n", 1)[0][:80].decode("ascii", "backslashreplace").rstrip("\r")
    return SslHeldDataError(
        SSL_ERR_EARLY_DATA,
        f"the {type(given).__name__} holds {len(read)} bytes that came before TLS and would pass for what came under it, "
        f"beginning with {line!r}: read the whole answer before the upgrade; if there should be nothing, somebody injects it",
    )


def refusal_to_write(given: Any) -> SslHeldDataError:
    return SslHeldDataError(
        SSL_ERR_STATE,
        f"the {type(given).__name__} holds bytes that were meant to leave in clear and would leave under TLS: flush it "
        "before the upgrade",
    )


def held(file: Any) -> Tuple[bytes, bool]:
    """The bytes of a file object that were read ahead, and whether it holds bytes to be written."""
    if isinstance(file, io.BufferedRWPair):
        reader, writer = _halves(file)
        return held(reader)[0], held(writer)[1]
    if getattr(file, "closed", False):
        return b"", False
    if isinstance(file, io.TextIOWrapper):
        return _held_by_text(file)
    if isinstance(file, io.BufferedReader):
        return _held_by_reader(file, file.raw), False
    if isinstance(file, io.BufferedWriter):
        return b"", _held_by_writer(file, file.raw)
    if isinstance(file, (socket.SocketIO, socket.socket)) or type(file) is io.FileIO or _is_handlers(file):
        return b"", False
    raise TypeError(
        f"cannot see whether a {type(file).__module__}.{type(file).__qualname__} holds bytes: give the file objects of "
        "socket.makefile(), asyncio streams, or what reads the socket below it"
    )


def _is_handlers(file: Any) -> bool:
    # What socketserver gives a handler to write to, without a buffer.
    return type(file).__module__ == "socketserver" and type(file).__qualname__ == "_SocketWriter"


def _held_by_reader(reader: Any, raw: Any) -> bytes:
    _refuse_busy(raw)
    with _replaced(raw, readinto=lambda buffer: None, read=lambda size=-1: None, readall=lambda: None):
        # Without anything read ahead it asks below, which has nothing. A subclass may answer otherwise.
        return bytes(io.BufferedReader.peek(reader, 1))


def _held_by_writer(writer: Any, raw: Any) -> bool:
    _refuse_busy(raw)
    with _replaced(raw, write=_nothing):
        try:
            io.BufferedWriter.flush(writer)
        except _Nothing:
            return True
    return False


def _refuse_busy(raw: Any) -> None:
    """A file whose socket another thread is waiting for is locked, and the look would wait with it, perhaps for ever."""
    for thread, frame in sys._current_frames().items():
        if thread != threading.get_ident() and frame.f_code in _WAITING and frame.f_locals.get("self") is raw:
            raise make(
                SSL_ERR_STATE,
                "another thread is inside a call on the reader or writer: let it return before the upgrade (nothing was "
                "changed)",
            )


_WAITING = (socket.SocketIO.readinto.__code__, socket.SocketIO.write.__code__)


def _halves(pair: io.BufferedRWPair) -> Tuple[Any, Any]:
    """The reader and the writer that a pair is made of. It does not tell, but the garbage collector does."""
    parts = gc.get_referents(pair) if sys.version_info >= (3, 12) else _first_fields(pair, 2)
    readers = [part for part in parts if type(part) is io.BufferedReader]
    writers = [part for part in parts if type(part) is io.BufferedWriter]
    if len(readers) != 1 or len(writers) != 1:
        raise TypeError(f"cannot see what a {type(pair).__module__}.{type(pair).__qualname__} is made of")
    return readers[0], writers[0]


def _first_fields(thing: Any, count: int) -> List[Any]:
    """The first fields of a C object that are objects. Up to 3.11 the collector is told of neither half of a pair; these
    versions change no more."""
    if sys.implementation.name != "cpython":
        return []
    start, size = id(thing) + object.__basicsize__, ctypes.sizeof(ctypes.c_void_p)
    fields = (ctypes.c_void_p * count).from_address(start)
    return [ctypes.py_object.from_address(start + size * place).value for place in range(count) if fields[place]]


def _held_by_text(text: io.TextIOWrapper) -> Tuple[bytes, bool]:
    below = text.buffer
    read, written = held(below)
    # In this order, for a text file that reads hands on first what it has to write.
    if not written and _writable(text):
        written = _unencoded(text, below)
    if not read and not written and _readable(text):
        read = _decoded(text, below)
    return read, written


def _readable(text: io.TextIOWrapper) -> bool:
    return not isinstance(text.buffer, io.BufferedWriter) and text.readable()


def _writable(text: io.TextIOWrapper) -> bool:
    return not isinstance(text.buffer, io.BufferedReader) and text.writable()


def _decoded(text: io.TextIOWrapper, below: Any) -> bytes:
    """What has been decoded and not been read. It is read, and put back in the place it came from."""
    encoding, errors = text.encoding, text.errors or "strict"
    if errors not in _REVERSIBLE and codecs.lookup(encoding).name != "utf-8" or "x".encode(encoding) != b"x":
        raise TypeError(f"cannot see whether a text file holds characters whose encoding is {encoding}, errors {errors}")
    incomplete = _undecoded(text)
    if incomplete:
        return incomplete
    characters = ""
    with _replaced(below, read1=_nothing, read=_nothing):
        # One by one: a longer read that comes to nothing drops what it has.
        try:
            while True:
                character = text.read(1)
                characters += character
                if not character:
                    break
        except _Nothing:
            pass
    if not characters:
        return b""
    back = characters.encode(encoding, errors)
    with _replaced(below, read1=lambda size=-1: b"x" + back, read=lambda size=-1: b"x" + back):
        # It asks for more, decodes all of it, and gives the first.
        text.read(1)
    return back


def _undecoded(text: io.TextIOWrapper) -> bytes:
    """The beginning of a character, or a carriage return that may belong to a line end."""
    for part in gc.get_referents(text):
        if isinstance(part, (codecs.IncrementalDecoder, io.IncrementalNewlineDecoder)):
            pending, flags = part.getstate()
            if pending:
                return bytes(pending)
            if isinstance(part, io.IncrementalNewlineDecoder) and int(flags) & 1:
                return b"\r"
    return b""


def _unencoded(text: io.TextIOWrapper, below: Any) -> bool:
    """Whether characters wait to be handed to the buffer below, which holds nothing. They are handed to it."""
    caught: List[bytes] = []

    def write(data: Any) -> int:
        caught.append(bytes(data))
        return len(data)

    with _replaced(below, write=write, flush=lambda: None):
        text.flush()
    for data in caught:
        below.write(data)
    return bool(caught)


def _nothing(*_arguments: Any) -> Any:
    raise _Nothing


@contextlib.contextmanager
def _replaced(below: Any, **functions: Callable[..., Any]) -> Iterator[None]:
    """For a moment the object's methods are these."""
    before = {name: vars(below)[name] for name in functions if name in getattr(below, "__dict__", {})}
    try:
        for name, function in functions.items():
            setattr(below, name, function)
    except AttributeError:
        raise TypeError(f"cannot see what is held above a {type(below).__module__}.{type(below).__qualname__}") from None
    try:
        yield
    finally:
        for name in functions:
            if name in before:
                setattr(below, name, before[name])
            else:
                delattr(below, name)
