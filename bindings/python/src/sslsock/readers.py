"""What buffered readers and writers hold: bytes that have left the socket, or have not reached it yet.

A look blocks nowhere and loses nothing. The objects have no question for it, so one is asked to read or write while
what is below it answers that there is nothing to be had just now.
"""

import codecs
import contextlib
import gc
import io
import socket
import sys
from typing import Any, Callable, Iterable, Iterator, List, Tuple

from .constants import SSL_ERR_EARLY_DATA, SSL_ERR_STATE
from .errors import SslHeldDataError

# Decoding with these loses nothing that encoding could not give back.
_REVERSIBLE = ("strict", "surrogateescape", "ignore", "backslashreplace")


class _Nothing(Exception):
    """What is below has nothing to give and takes nothing."""


@contextlib.contextmanager
def nothing_held(readers: Iterable[Any], writers: Iterable[Any], ssl_socket: Any = None) -> Iterator[None]:
    """The block runs while none of them holds anything: SslHeldDataError before it otherwise, and after it if something
    came into one of them meanwhile; then the connection has been ended. asyncio streams are paused during the block."""
    files, readers, writers = [], list(readers), list(writers)
    asynchronous: List[Any] = []
    for given, role in [(reader, "reader") for reader in readers] + [(writer, "writer") for writer in writers]:
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
    if getattr(file, "closed", False):
        return b"", False
    if isinstance(file, io.TextIOWrapper):
        return _held_by_text(file)
    if isinstance(file, io.BufferedRWPair):
        return _held_by_reader(file, _below(file, "readable")), _held_by_writer(file, _below(file, "writable"))
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
    with _replaced(raw, readinto=lambda buffer: None, read=lambda size=-1: None, readall=lambda: None):
        # Without anything read ahead it asks below, which has nothing.
        return bytes(reader.peek(1))


def _held_by_writer(writer: Any, raw: Any) -> bool:
    with _replaced(raw, write=_nothing):
        try:
            writer.flush()
        except _Nothing:
            return True
    return False


def _below(pair: io.BufferedRWPair, question: str) -> Any:
    """What one half of a pair reads or writes, which the pair does not tell: it is what answers the question."""
    found: List[Any] = []

    def see(frame: Any, event: str, _arg: Any) -> None:
        if event == "call" and frame.f_code.co_name == question and "self" in frame.f_locals:
            found.append(frame.f_locals["self"])

    before = sys.getprofile()
    sys.setprofile(see)
    try:
        getattr(pair, question)()
    finally:
        sys.setprofile(before)
    if len(found) != 1 or not isinstance(found[0], socket.SocketIO):
        raise TypeError("cannot see what a BufferedRWPair holds that is not made by socket.makefile()")
    return found[0]


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
