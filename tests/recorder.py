"""A TCP recorder: sits between a client and a server and keeps every byte that passes.

    with record("127.0.0.1", 2525) as recording:
        ...                         # let the client connect to recording.port
        recording.wait()            # until the connection has ended on both sides
        tape = recording.tapes[0]
    assert_tls_from(tape.client_bytes, offset)

A tape has the bytes of either direction and the order in which they came. What passes can be
changed on its way (`tamper`), to play the man in the middle.
"""

import socket
import threading
import time

CLIENT, SERVER = "client", "server"  # who sent it

MAX_FRAGMENT = 16384 + 256  # RFC 8446, 5.2
RECORD_TYPES = {20: "change_cipher_spec", 21: "alert", 22: "handshake", 23: "application_data"}
RECORD_VERSIONS = {(3, 1), (3, 3)}


class Tape:
    """What passed through one connection."""

    def __init__(self):
        self.client_bytes = bytearray()  # sent by the client
        self.server_bytes = bytearray()
        self.events = []  # (who, offset in that direction, length), in order of arrival
        self.problems = []  # what went wrong in the recorder itself
        self._lock = threading.Lock()

    def add(self, who, chunk):
        with self._lock:
            stream = self.client_bytes if who == CLIENT else self.server_bytes
            self.events.append((who, len(stream), len(chunk)))
            stream += chunk

    def seen_before(self, who, offset):
        """How much the other side had sent when byte `offset` of `who` arrived."""
        other = 0
        for sender, start, length in self.events:
            if sender != who:
                other = start + length
            elif start <= offset < start + length:
                return other
        raise ValueError(f"the {who} sent no byte {offset}")


class Recording:
    def __init__(self, host, port, tamper=None, timeout=30, listen=None):
        self.tapes = []
        self._target = (host, port)
        self._tamper = tamper
        self._timeout = timeout
        self._threads = []
        self._sockets = []
        self._changed = threading.Condition()
        self._running = 0
        self._closed = False
        listen = listen or ("::1" if ":" in host else "127.0.0.1")
        family = socket.AF_INET6 if ":" in listen else socket.AF_INET
        self._listener = socket.create_server((listen, 0), family=family)
        self.port = self._listener.getsockname()[1]
        self._start(self._accept)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def wait(self, connections=1):
        """Waits until so many connections have come and all of them are over."""
        deadline = time.monotonic() + self._timeout
        with self._changed:
            while len(self.tapes) < connections or self._running:
                remaining = deadline - time.monotonic()
                if remaining <= 0 or not self._changed.wait(remaining):
                    raise TimeoutError(
                        f"{len(self.tapes)} connections recorded, {self._running} directions still open"
                    )

    def close(self):
        with self._changed:
            self._closed = True
            sockets = [self._listener, *self._sockets]
        for sock in sockets:
            try:
                sock.shutdown(socket.SHUT_RDWR)  # wakes the thread that waits on it
            except OSError:
                pass
            sock.close()
        for thread in self._threads:
            thread.join(5)

    def _start(self, function, *args):
        thread = threading.Thread(target=function, args=args, daemon=True)
        self._threads.append(thread)
        thread.start()

    def _accept(self):
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            tape = Tape()
            try:
                server = socket.create_connection(self._target, self._timeout)
            except OSError as problem:
                tape.problems.append(f"no connection to {self._target}: {problem}")
                client.close()
                server = None
            with self._changed:
                self.tapes.append(tape)
                if server is not None:
                    if self._closed:
                        client.close()
                        server.close()
                        return
                    self._sockets += [client, server]
                    self._running += 2
                self._changed.notify_all()
            if server is None:
                continue
            for sock in (client, server):
                sock.settimeout(self._timeout)
                sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self._start(self._forward, tape, CLIENT, client, server)
            self._start(self._forward, tape, SERVER, server, client)

    def _forward(self, tape, who, source, sink):
        try:
            while True:
                chunk = source.recv(65536)
                if not chunk:
                    break
                if self._tamper is not None:
                    chunk = self._tamper(tape, who, chunk)
                # Kept before it is passed on: an answer can never be on the tape before its question.
                tape.add(who, chunk)
                sink.sendall(chunk)
            sink.shutdown(socket.SHUT_WR)
        except (ConnectionError, BrokenPipeError) as problem:
            # A side that resets the connection is part of what is recorded: pass it on.
            tape.problems.append(f"{who}: {problem}")
            for sock in (source, sink):
                try:
                    sock.shutdown(socket.SHUT_RDWR)
                except OSError:
                    pass
        except OSError as problem:
            tape.problems.append(f"{who}: {problem}")
        finally:
            with self._changed:
                self._running -= 1
                self._changed.notify_all()


def record(target_host, target_port, tamper=None, timeout=30, listen=None):
    """Starts to listen on a port of its own (`.port`) and to forward to the target. It listens on the loopback address
    of the target's family, or on `listen`.

    `tamper(tape, who, chunk)` answers what to pass on instead of `chunk`.
    """
    return Recording(target_host, target_port, tamper, timeout, listen)


def tls_records(stream, offset=0):
    """The records of `stream` from `offset` to its last byte, as (type, length).

    Raises AssertionError for anything that is not a whole record, trailing bytes included.
    """
    stream = bytes(stream)
    records = []
    while offset < len(stream):
        header = stream[offset : offset + 5]
        assert len(header) == 5, f"{len(header)} bytes left over at {offset}: {header!r}"
        kind, version = header[0], (header[1], header[2])
        length = int.from_bytes(header[3:5], "big")
        context = f"at {offset}: {stream[offset:offset + 32]!r}"
        assert kind in RECORD_TYPES, f"no TLS record type {kind} {context}"
        assert version in RECORD_VERSIONS, f"no TLS version {version} {context}"
        assert length <= MAX_FRAGMENT, f"a record of {length} bytes {context}"
        assert length > 0 or kind == 23, f"an empty {RECORD_TYPES[kind]} record {context}"
        assert offset + 5 + length <= len(stream), f"a record cut short {context}"
        records.append((kind, length))
        offset += 5 + length
    return records


def assert_tls_from(stream, offset):
    """Asserts that `stream` is TLS from `offset` to the last byte, beginning with a handshake."""
    records = tls_records(stream, offset)
    assert records, f"nothing at all after byte {offset}"
    assert records[0][0] == 22, f"TLS begins with {RECORD_TYPES[records[0][0]]}, not a handshake"
    return records
