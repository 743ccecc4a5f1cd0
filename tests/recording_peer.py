"""A peer of the C tests that keeps every byte it receives, as it came off the wire.

A connection begins in clear:

    peer    220 ready
    client  ORDER TICKET WHAT [WHOSE]
    peer    250 noted
    client  STARTTLS
    peer    220 go ahead

and then the peer does what it was told:

    serve WHOSE     TLS by OpenSSL, reading to the client's end; WHOSE certificate: "known" (the tests' authority
                    issued it) or "unknown" (another one did)
    halt WHOSE      the same, but it does not answer the ClientHello before a "go"
    silent          reads to the client's end and says nothing
    plaintext       answers the ClientHello with a line
    inject          says one line more, in the same segment as the go-ahead, then nothing
    slip WHOSE      the same line, then TLS as for "serve"
    close           ends its direction after the ClientHello
    reset           resets the connection after the ClientHello
    deaf            reads nothing before a "go", then to the client's end

Whatever comes until the client's end is kept. A second port takes one request for each connection:

    hello TICKET    answers "hello" when the peer has a whole ClientHello
    go TICKET       lets it go on, and answers "going"
    record TICKET   when the connection is over: "RAW STARTTLS PLAIN END", END being how it ended, then RAW bytes as
                    they came, of which the first STARTTLS are the conversation in clear, then PLAIN bytes that
                    came under TLS
"""

import pathlib
import socket
import struct
import threading

import listening
from peer import EXPECTED, Ended, Session, server_context

GO_AHEAD = b"220 go ahead\r\n"
INJECTED = b"250 injected\r\n"
PATIENCE_SECONDS = 50


class Record:
    """What is known of one connection."""

    def __init__(self):
        self.raw = bytearray()
        self.plain = bytearray()
        self.starttls = 0
        self.end = ""
        self.hello, self.go, self.over = threading.Event(), threading.Event(), threading.Event()


class Wire:
    """A connection whose every received byte goes to the record."""

    def __init__(self, connection, record):
        self.connection, self.record = connection, record
        self.waiting = b""

    def recv(self, size):
        if self.waiting:
            data, self.waiting = self.waiting[:size], self.waiting[size:]
            return data
        data = self.connection.recv(size)
        self.record.raw += data
        return data

    def sendall(self, data):
        self.connection.sendall(data)

    def read_line(self):
        line = b""
        while not line.endswith(b"\n"):
            byte = self.recv(1)
            if not byte:
                raise Ended("before STARTTLS")
            line += byte
        return line.decode().split()

    def hear_hello(self):
        """Reads a whole TLS record, which stays to be read."""
        heard = b""
        while len(heard) < 5 or len(heard) < 5 + int.from_bytes(heard[3:5], "big"):
            data = self.recv(65536)
            if not data:
                raise Ended("no ClientHello")
            heard += data
        self.waiting = heard
        self.record.hello.set()

    def hear_all(self):
        while self.recv(65536):
            pass


class RecordingPeer:
    def __init__(self, known, unknown, folder):
        """`known` and `unknown` are folders as pki.make fills them."""
        # The two authorities have one name. What the unknown one's intermediate signs comes without it, or the
        # client would find a wrong signature, not an issuer that it does not know.
        self.contexts = {
            "known": server_context(known),
            "unknown": server_context(unknown, "server.pem"),
        }
        self.records = {}
        self.lock = threading.Lock()
        served = (self._record, EXPECTED, PATIENCE_SECONDS)
        self.variables = {
            "SSLSOCK_RECORDER_CONTROL": listening.listen(
                socket.AF_INET, ("127.0.0.2", 0), self._control, EXPECTED, PATIENCE_SECONDS
            ),
            **listening.everywhere("SSLSOCK_RECORDER", pathlib.Path(folder, "recorder"), *served),
        }

    def _of(self, ticket):
        with self.lock:
            return self.records.setdefault(ticket, Record())

    # The port for requests.

    def _control(self, connection):
        request, ticket = connection.makefile().readline().split()
        getattr(self, f"_control_{request}")(connection, ticket)

    def _control_hello(self, connection, ticket):
        if self._of(ticket).hello.wait(PATIENCE_SECONDS):
            connection.sendall(b"hello\n")

    def _control_go(self, connection, ticket):
        self._of(ticket).go.set()
        connection.sendall(b"going\n")

    def _control_record(self, connection, ticket):
        record = self._of(ticket)
        if record.over.wait(PATIENCE_SECONDS):
            with self.lock:
                del self.records[ticket]
            header = f"{len(record.raw)} {record.starttls} {len(record.plain)} {record.end}\n"
            connection.sendall(header.encode() + record.raw + record.plain)

    # The ports that are recorded.

    def _record(self, connection):
        wire = Wire(connection, Record())
        wire.sendall(b"220 ready\r\n")
        word, ticket, what, *arguments = wire.read_line()
        if word != "ORDER":
            raise Ended("no order")
        # A request may have come before it.
        known = self._of(ticket)
        known.raw, wire.record = wire.record.raw, known
        wire.sendall(b"250 noted\r\n")
        try:
            if wire.read_line() != ["STARTTLS"]:
                raise Ended("no STARTTLS")
            known.starttls = len(known.raw)
            wire.sendall(GO_AHEAD + (INJECTED if what in ("inject", "slip") else b""))
            known.end = getattr(self, f"_{what}")(wire, *arguments) or "the end"
        except Ended as ended:
            known.end = str(ended)
        except OSError as error:
            known.end = error.strerror or type(error).__name__
        try:
            wire.hear_all()
        except OSError:
            # A reset is an end too.
            pass
        known.over.set()

    def _serve(self, wire, whose):
        wire.hear_hello()
        session = Session(wire, self.contexts[whose])
        try:
            while True:
                wire.record.plain += session.read()
        except Ended as ended:
            session.close_notify()
            wire.connection.shutdown(socket.SHUT_WR)
            return str(ended)

    _slip = _serve

    def _halt(self, wire, whose):
        wire.hear_hello()
        wire.record.go.wait(PATIENCE_SECONDS)
        return self._serve(wire, whose)

    def _silent(self, wire):
        wire.hear_all()

    _inject = _silent

    def _plaintext(self, wire):
        wire.hear_hello()
        wire.sendall(b"500 what?\r\n")

    def _close(self, wire):
        wire.hear_hello()
        wire.connection.shutdown(socket.SHUT_WR)

    def _reset(self, wire):
        wire.hear_hello()
        wire.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        wire.connection.close()

    def _deaf(self, wire):
        wire.record.go.wait(PATIENCE_SECONDS)
