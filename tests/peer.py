"""The peer of the C tests: a TLS server that does what the first line of a connection tells it.

    echo                  sends back what comes, until the client's end
    sink TICKET [MS]      reads everything, beginning MS later, and remembers under TICKET what it saw
    sip TICKET SECONDS    the same, but for so long it takes 7 kB every 200 ms, and then the rest
    source BYTES          sends so much of the pattern, then close_notify
    answer BYTES          reads to the client's end, then sends so much of the pattern
    drip MS PIECE BYTES   sends BYTES of the pattern in pieces, one each MS, then waits for the client's end
    hold                  reads nothing until the client has gone
    truncate BYTES        sends so much of the pattern, then ends the TCP connection without close_notify
    reset                 resets the TCP connection
    pingpong TICKET N     N times: reads 10 bytes and answers 10; then reads to the client's end and remembers what came
    exchange              reads two bytes and answers one, again and again
    duplex TICKET BYTES FIRST   sends the first FIRST of BYTES before it reads anything, then does both at once; the
                          bytes are random, and the hashes of both directions are remembered
    agreed TICKET         remembers how many cipher suites both sides have, and version and suite that were agreed
    play TICKET STEP...   see peer_steps.py
    mirror TICKET BYTES   sends so much of the pattern in pieces and reads each back, then close_notify, and remembers
                          under TICKET what came and how the client's direction ended
    after TICKET BYTES    sends so much of the pattern once there is a result for TICKET, then close_notify

A second port is for results: it takes a ticket and answers "BYTES END", BYTES being how many came in the pattern's
order. What is not TLS on the wire is an END of its own. A result is told once. "+NAME" there lets go whoever waits for
NAME.

A connection may begin in clear, with the line "STARTTLS TICKET". Whatever comes after it is kept until the connection
ends, whether a handshake succeeds or not; the result is how many bytes came, and "nothing but TLS" or what else it was.
"""

import hashlib
import os
import pathlib
import select
import socket
import ssl
import struct
import threading
import time

import listening
import peer_steps

PERIOD = 251
# The select module has it from Python 3.13 on.
POLLRDHUP = 0x2000
PATTERN = bytes(range(PERIOD)) * 1024
RESULT_SECONDS = 30
LAST_WORDS_SECONDS = 10
MAX_FRAGMENT = 16384 + 256  # RFC 8446, 5.2
MIRROR_PIECE = 20_000
# Servers' certificates of other kinds, where pki.py has made them: each has a peer, SSLSOCK_PEER_NAME.
OTHER_CERTIFICATES = ("expired", "nameless")


def pattern(offset, length):
    start = offset % PERIOD
    whole = PATTERN * (1 + (start + length) // len(PATTERN))
    return whole[start : start + length]


def server_context(pki, chain="server-chain.pem", key="server.key"):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(pathlib.Path(pki, chain), pathlib.Path(pki, key))
    # A client that ends without close_notify is to be seen, not smoothed over.
    context.options &= ~getattr(ssl, "OP_IGNORE_UNEXPECTED_EOF", 0)
    return context


class Ended(Exception):
    """The client's direction is over; the text says how."""


# The tests are about what the client sees of it.
EXPECTED = (OSError, Ended)


class Session:
    """TLS on bytes of our own, so that everything on the wire is seen."""

    def __init__(self, connection, context):
        self.connection = connection
        self.incoming, self.outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        # Read ahead of its time.
        self.early = b""
        self.tls = context.wrap_bio(self.incoming, self.outgoing, server_side=True)
        try:
            self._drive(self.tls.do_handshake)
        except ssl.SSLError:
            # The alert that says why.
            self._flush()
            raise

    def read(self, size=65536):
        if self.early:
            data, self.early = self.early[:size], self.early[size:]
            return data
        try:
            data = self._drive(self.tls.read, size)
        except ssl.SSLZeroReturnError:
            # So it is told once our own direction has ended.
            raise Ended("close_notify") from None
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

    def seal(self, data):
        """As records, for the wire."""
        self.tls.write(data)
        return self.outgoing.read()

    def open(self, received):
        """What is in the records that these bytes of the wire complete, piece by piece."""
        if not received:
            raise Ended("truncated")
        self.incoming.write(received)
        while True:
            try:
                data = self.tls.read(1 << 18)
            except ssl.SSLWantReadError:
                return
            except ssl.SSLZeroReturnError:
                data = b""
            if not data:
                raise Ended("close_notify")
            yield data

    def close_notify(self):
        try:
            self.connection.sendall(self.sealed_close_notify())
        except OSError:
            pass

    def sealed_close_notify(self):
        """For the wire."""
        try:
            # OpenSSL would throw away what has come already.
            while data := self.tls.read(65536):
                self.early += data
        except ssl.SSLError:
            pass
        try:
            self.tls.unwrap()
        except ssl.SSLError:
            pass
        return self.outgoing.read()

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


class Kept:
    """A connection of which every byte that is received is kept."""

    def __init__(self, connection):
        self.connection = connection
        self.received = bytearray()

    def __getattr__(self, name):
        return getattr(self.connection, name)

    def recv(self, size):
        data = self.connection.recv(size)
        self.received += data
        return data

    def read_to_end(self):
        try:
            self.connection.settimeout(RESULT_SECONDS)
            while self.recv(65536):
                pass
        except OSError:
            pass


def what_it_is(received):
    """Whether these bytes are TLS records, of which the last may be cut off."""
    at = 0
    while at < len(received):
        header = received[at : at + 5]
        length = int.from_bytes(header[3:5], "big")
        if header[0] not in range(20, 24) or header[1:2] not in (b"", b"\x03") or length > MAX_FRAGMENT:
            return f"in clear: {bytes(received[at : at + 40])!r}"
        at += 5 + length
    return "nothing but TLS"


class Peer:
    def __init__(self, pki, folder):
        self.context = server_context(pki)
        self.context_tls12 = server_context(pki)
        self.context_tls12.maximum_version = ssl.TLSVersion.TLSv1_2
        self.context_p384 = server_context(pki)
        self.context_p384.set_ecdh_curve("secp384r1")
        self.results = {}
        self.arrived = threading.Condition()
        local = (socket.AF_INET, ("127.0.0.2", 0))
        others = {
            f"SSLSOCK_PEER_{name.upper()}": listening.listen(*local, self._server(pki, name), EXPECTED)
            for name in OTHER_CERTIFICATES
            if pathlib.Path(pki, f"{name}.pem").exists()
        }
        self.variables = {
            "SSLSOCK_PKI": str(pki),
            "SSLSOCK_PEER_TLS12": listening.listen(*local, self._serve_tls12, EXPECTED),
            "SSLSOCK_PEER_P384": listening.listen(*local, self._serve_p384, EXPECTED),
            "SSLSOCK_PEER_RESULTS": listening.listen(*local, self._tell, EXPECTED),
            **others,
            **listening.everywhere("SSLSOCK_PEER", pathlib.Path(folder, "peer"), self._serve, EXPECTED),
        }

    def _tell(self, connection):
        ticket = connection.makefile().readline().strip()
        if ticket.startswith("+"):
            self._remember(ticket[1:], 0, "released")
        else:
            count, end = self._await(ticket)
            connection.sendall(f"{count} {end}\n".encode())

    def _remember(self, ticket, count, end):
        with self.arrived:
            self.results[ticket] = (count, end)
            self.arrived.notify_all()

    def _await(self, ticket):
        with self.arrived:
            self.arrived.wait_for(lambda: ticket in self.results, RESULT_SECONDS)
            # Only once: the next order may have the same ticket.
            return self.results.pop(ticket, (0, f"nothing within {RESULT_SECONDS} s"))

    def _serve_tls12(self, connection):
        self._serve(connection, self.context_tls12)

    def _serve_p384(self, connection):
        self._serve(connection, self.context_p384)

    def _server(self, pki, name):
        context = server_context(pki, f"{name}.pem", f"{name}.key")
        return lambda connection: self._serve(connection, context)

    def _serve(self, connection, context=None):
        if connection.recv(1, socket.MSG_PEEK) == b"S":
            self._begin_in_clear(connection)
        else:
            self._converse(connection, context)

    def _begin_in_clear(self, connection):
        line = b""
        while not line.endswith(b"\n"):
            byte = connection.recv(1)
            if not byte:
                return
            line += byte
        connection.sendall(b"220 go ahead\r\n")
        kept = Kept(connection)
        # So the client has to wait for the handshake's answer.
        time.sleep(0.003)
        try:
            self._converse(kept)
        except (OSError, Ended):
            pass
        kept.read_to_end()
        self._remember(line.split()[1].decode(), len(kept.received), what_it_is(kept.received))

    def _converse(self, connection, context=None):
        session = Session(connection, context or self.context)
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

    def _sip(self, session, ticket, seconds):
        until = time.monotonic() + int(seconds)
        while time.monotonic() < until:
            session.incoming.write(session.connection.recv(7000))
            time.sleep(0.2)
        self._sink(session, ticket)

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

    def _agreed(self, session, ticket):
        name, _, _ = session.tls.cipher()
        self._remember(ticket, len(session.tls.shared_ciphers()), f"{session.tls.version()} {name}")
        self._finish(session)

    def _hold(self, session):
        poller = select.poll()
        poller.register(session.connection, POLLRDHUP)
        poller.poll(600_000)

    def _truncate(self, session, size):
        session.write(pattern(0, int(size)))
        session.connection.shutdown(socket.SHUT_WR)
        while session.connection.recv(65536):
            pass

    def _reset(self, session):
        session.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))

    def _pingpong(self, session, ticket, times):
        rest = b""
        for _ in range(int(times)):
            while len(rest) < 10:
                rest += session.read()
            session.write(rest[:10])
            rest = rest[10:]
        words = [rest]
        end = self._read_to_end(session, words.append)
        rest = b"".join(words)
        self._remember(ticket, len(rest), f"{rest.decode('ascii', 'replace').strip()}, {end}")
        self._finish(session)

    def _exchange(self, session):
        count = 0
        while True:
            count += len(session.read())
            while count >= 2:
                session.write(b"!")
                count -= 2

    def _duplex(self, session, ticket, size, first):
        duplex = Duplex(session, int(size))
        try:
            duplex.send_only(int(first))
            duplex.both()
        except (Ended, OSError) as why:
            duplex.end = str(why)
        self._remember(ticket, duplex.received, duplex.result())
        self._finish(session)

    def _play(self, session, ticket, *steps):
        script = peer_steps.Script(
            session,
            pattern,
            Ended,
            wait_for=lambda name: self._await(f"{ticket}-{name}"),
            tell=lambda count, end: self._remember(ticket, count, end),
        )
        try:
            script.play(steps)
        except (OSError, ssl.SSLError) as why:
            if not script.told:
                self._remember(ticket, script.read_bytes, f"could not go on: {why}")


class Duplex:
    """Random bytes in both directions, without a thread for each: the TLS object is not for two at once."""

    def __init__(self, session, size):
        self.session, self.size = session, size
        self.block = os.urandom(8 * 1024 * 1024)
        self.sent, self.received = 0, 0
        self.sent_hash, self.received_hash = hashlib.sha256(), hashlib.sha256()
        self.end = "nothing"

    def result(self):
        return f"{self.sent_hash.hexdigest()} {self.received_hash.hexdigest()} {self.end}"

    def send_only(self, size):
        while self.sent < size:
            self.session.connection.sendall(self._next(size - self.sent))

    def both(self):
        connection, poller = self.session.connection, select.poll()
        connection.setblocking(False)
        waiting = memoryview(b"")
        try:
            while True:
                if not waiting and self.sent < self.size:
                    waiting = memoryview(self._next(self.size - self.sent))
                    if self.sent == self.size:
                        # The client's end comes when it has sent everything; ours at once.
                        waiting = memoryview(bytes(waiting) + self.session.sealed_close_notify())
                poller.register(connection, select.POLLIN | (select.POLLOUT if waiting else 0))
                events = poller.poll(RESULT_SECONDS * 1000)
                if not events:
                    raise TimeoutError(f"nothing moves after {self.sent} sent and {self.received} received")
                if events[0][1] & select.POLLOUT:
                    waiting = waiting[connection.send(waiting) :]
                if events[0][1] & ~select.POLLOUT:
                    self._receive(connection.recv(1 << 18))
        except Ended as ended:
            self.end = str(ended)
        finally:
            connection.setblocking(True)
        # The client has ended its direction, perhaps before we are done with ours.
        connection.sendall(waiting)
        self.send_only(self.size)

    def _next(self, most):
        start = self.sent * 7 % (len(self.block) - 65536)
        data = self.block[start : start + min(65536, most)]
        self.sent_hash.update(data)
        self.sent += len(data)
        return self.session.seal(data)

    def _receive(self, received):
        for data in self.session.open(received):
            self.received_hash.update(data)
            self.received += len(data)
