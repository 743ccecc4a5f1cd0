"""The peer of the C tests: a TLS server that does what the first line of a connection tells it.

    echo                  sends back what comes, until the client's end
    sink TICKET [MS]      reads everything, beginning MS later, and remembers under TICKET what it saw
    source BYTES          sends so much of the pattern, then close_notify
    answer BYTES          reads to the client's end, then sends so much of the pattern
    drip MS PIECE BYTES   sends BYTES of the pattern in pieces, one each MS, then waits for the client's end
    hold                  reads nothing until the client has gone
    truncate BYTES        sends so much of the pattern, then ends the TCP connection without close_notify
    reset                 resets the TCP connection
    mirror TICKET BYTES   sends so much of the pattern in pieces and reads each back, then close_notify, and remembers
                          under TICKET what came and how the client's direction ended
    after TICKET BYTES    sends so much of the pattern once there is a result for TICKET, then close_notify

A second port is for results: it takes a ticket and answers "BYTES END", BYTES being how many came in the pattern's
order. What is not TLS on the wire is an END of its own.
"""

import os
import select
import socket
import ssl
import struct
import threading
import time

PERIOD = 251
# The select module has it from Python 3.13 on.
POLLRDHUP = 0x2000
PATTERN = bytes(range(PERIOD)) * 1024
RESULT_SECONDS = 30
LAST_WORDS_SECONDS = 10
MIRROR_PIECE = 20_000


def pattern(offset, length):
    start = offset % PERIOD
    whole = PATTERN * (1 + (start + length) // len(PATTERN))
    return whole[start : start + length]


class Ended(Exception):
    """The client's direction is over; the text says how."""


class Session:
    """TLS on bytes of our own, so that everything on the wire is seen."""

    def __init__(self, connection, context):
        self.connection = connection
        self.incoming, self.outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        self.tls = context.wrap_bio(self.incoming, self.outgoing, server_side=True)
        self._drive(self.tls.do_handshake)

    def read(self, size=65536):
        try:
            data = self._drive(self.tls.read, size)
        except ssl.SSLEOFError:
            raise Ended("truncated") from None
        except ssl.SSLError as error:
            raise Ended(f"not TLS: {error.reason}") from None
        except OSError:
            raise Ended("reset") from None
        if not data:
            raise Ended("close_notify")
        return data

    def read_line(self):
        line = b""
        while not line.endswith(b"\n"):
            line += self.read(1)
        return line.decode().split()

    def write(self, data):
        for start in range(0, len(data), 65536):
            self._drive(self.tls.write, data[start : start + 65536])

    def close_notify(self):
        try:
            self.tls.unwrap()
        except ssl.SSLError:
            pass
        try:
            self._flush()
        except OSError:
            pass

    def tls_shutdown(self):
        """close_notify both ways."""
        try:
            self._drive(self.tls.unwrap)
        except ssl.SSLEOFError:
            raise Ended("truncated") from None
        except ssl.SSLError as error:
            raise Ended(f"not TLS: {error.reason}") from None
        except OSError:
            raise Ended("reset") from None

    def _drive(self, function, *arguments):
        while True:
            try:
                done = function(*arguments)
                self._flush()
                return done
            except ssl.SSLWantReadError:
                self._flush()
            received = self.connection.recv(65536)
            if received:
                self.incoming.write(received)
            else:
                self.incoming.write_eof()

    def _flush(self):
        data = self.outgoing.read()
        if data:
            self.connection.sendall(data)


class Peer:
    def __init__(self, pki, folder):
        self.context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.context.load_cert_chain(pki / "server-chain.pem", pki / "server.key")
        # A client that ends without close_notify is to be seen, not smoothed over.
        self.context.options &= ~getattr(ssl, "OP_IGNORE_UNEXPECTED_EOF", 0)
        self.results = {}
        self.arrived = threading.Condition()
        self.variables = {
            "SSLSOCK_PKI": str(pki),
            "SSLSOCK_PEER": self._listen(socket.AF_INET, ("127.0.0.2", 0), self._serve),
            "SSLSOCK_PEER_UNIX": self._listen(socket.AF_UNIX, os.path.join(folder, "peer"), self._serve),
            "SSLSOCK_PEER_RESULTS": self._listen(socket.AF_INET, ("127.0.0.2", 0), self._tell),
        }
        try:
            self.variables["SSLSOCK_PEER6"] = self._listen(socket.AF_INET6, ("::1", 0), self._serve)
        except OSError:
            # Without the variable the tests over IPv6 are skipped.
            pass

    def _listen(self, family, address, serve):
        listener = socket.socket(family, socket.SOCK_STREAM)
        listener.bind(address)
        listener.listen(128)
        threading.Thread(target=self._accept, args=(listener, serve), daemon=True).start()
        bound = listener.getsockname()
        return bound if isinstance(bound, str) else f"{bound[0]}:{bound[1]}"

    def _accept(self, listener, serve):
        while True:
            connection, _ = listener.accept()
            threading.Thread(target=self._guard, args=(connection, serve), daemon=True).start()

    def _guard(self, connection, serve):
        with connection:
            try:
                serve(connection)
            except (OSError, Ended):
                # The tests are about what the client sees.
                pass

    def _tell(self, connection):
        ticket = connection.makefile().readline().strip()
        with self.arrived:
            self.arrived.wait_for(lambda: ticket in self.results, RESULT_SECONDS)
            count, end = self.results.get(ticket, (0, f"nothing within {RESULT_SECONDS} s"))
        connection.sendall(f"{count} {end}\n".encode())

    def _serve(self, connection):
        session = Session(connection, self.context)
        order, *arguments = session.read_line()
        getattr(self, f"_{order}")(session, *arguments)

    def _finish(self, session):
        session.close_notify()
        try:
            session.connection.shutdown(socket.SHUT_WR)
            session.connection.settimeout(LAST_WORDS_SECONDS)
            while session.connection.recv(65536):
                pass
        except OSError:
            pass

    def _read_to_end(self, session, use):
        try:
            while True:
                use(session.read())
        except Ended as ended:
            return str(ended)

    def _echo(self, session):
        self._read_to_end(session, session.write)
        self._finish(session)

    def _sink(self, session, ticket, delay="0"):
        time.sleep(int(delay) / 1000)
        count, in_order = 0, True

        def check(data):
            nonlocal count, in_order
            in_order = in_order and data == pattern(count, len(data))
            if in_order:
                count += len(data)

        end = self._read_to_end(session, check)
        self._remember(ticket, count, end if in_order else f"other bytes, {end}")
        self._finish(session)

    def _remember(self, ticket, count, end):
        with self.arrived:
            self.results[ticket] = (count, end)
            self.arrived.notify_all()

    def _mirror(self, session, ticket, size):
        sent = count = 0
        end = "close_notify"
        try:
            while sent < int(size):
                piece = pattern(sent, min(MIRROR_PIECE, int(size) - sent))
                session.write(piece)
                sent += len(piece)
                back = b""
                while len(back) < len(piece):
                    back += session.read(len(piece) - len(back))
                if back != piece:
                    raise Ended("other bytes")
                count += len(back)
            # Says close_notify and waits for the client's.
            session.tls_shutdown()
        except Ended as ended:
            end = str(ended)
        self._remember(ticket, count, end)
        self._finish(session)

    def _after(self, session, ticket, size):
        with self.arrived:
            self.arrived.wait_for(lambda: ticket in self.results, RESULT_SECONDS)
        self._source(session, size)

    def _source(self, session, size):
        session.write(pattern(0, int(size)))
        self._finish(session)

    def _answer(self, session, size):
        end = self._read_to_end(session, lambda data: None)
        if end == "close_notify":
            session.write(pattern(0, int(size)))
        self._finish(session)

    def _drip(self, session, delay, piece, size):
        sent = 0
        while sent < int(size):
            time.sleep(int(delay) / 1000)
            data = pattern(sent, min(int(piece), int(size) - sent))
            session.write(data)
            sent += len(data)
        self._read_to_end(session, lambda data: None)
        self._finish(session)

    def _hold(self, session):
        poller = select.poll()
        poller.register(session.connection, POLLRDHUP)
        poller.poll(60_000)

    def _truncate(self, session, size):
        session.write(pattern(0, int(size)))
        session.connection.shutdown(socket.SHUT_WR)
        while session.connection.recv(65536):
            pass

    def _reset(self, session):
        session.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
