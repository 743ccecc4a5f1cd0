"""What the peer does step by step, when its order is "play TICKET STEP ...".

    data:BYTES      so much more of the pattern
    notify          close_notify
    half:BYTES      half of a record with so much more of the pattern
    header:BYTES    three bytes of such a record
    rest            what is missing of it
    bad:BYTES       such a record, changed on the way
    clear           a record that is not encrypted
    alert           a fatal alert
    fin             the end of its direction of the connection, with or without close_notify
    rst             a reset, once there is unread input: over AF_UNIX it is closing with that
    acked           waits until all that was sent has been acknowledged
    line            waits for a line from the client, and reads no further
    read            reads to the end of the client's direction: close_notify, or that of the connection
    closed          reads on after close_notify, to the end of the connection: ", then ..." if that is not all
    go              waits for peer_go()
    tell            says now what it has read up to here, instead of at the end

Steps with + between them leave in one piece. TICKET is told how many bytes were read in the pattern's order, and how
the client's direction ended; "open" if nobody has looked.
"""

import fcntl
import select
import socket
import ssl
import struct
import termios
import time

PATIENCE_SECONDS = 20
CLOSE_NOTIFY_IN_CLEAR = b"\x15\x03\x03\x00\x02\x01\x00"
# Long enough to be decrypted, in vain.
NO_RECORD_OF_OURS = b"\x17\x03\x03\x00\x40" + bytes(64)
HALF_A_HEADER = 3
# The steps that send nothing themselves.
ACTIONS = ("fin", "rst", "acked", "line", "read", "closed", "go", "tell")


class Script:
    def __init__(self, session, pattern, ended, wait_for, tell):
        self.session, self.connection = session, session.connection
        self.pattern, self.ended = pattern, ended
        self.wait_for, self.give = wait_for, tell
        self.sent, self.read_bytes = 0, 0
        self.end = "open"
        self.withheld = b""
        self.told = False

    def play(self, steps):
        for step in steps:
            piece = b""
            for part in step.split("+"):
                name, _, argument = part.partition(":")
                if name in ACTIONS:
                    self._send(piece)
                    piece = b""
                piece += getattr(self, f"_{name}")(*([int(argument)] if argument else [])) or b""
            self._send(piece)
        if not self.told:
            self._say()

    def _send(self, piece):
        if piece:
            self.connection.sendall(piece)

    def _say(self):
        self.told = True
        self.give(self.read_bytes, self.end)

    # What is sent: each gives the bytes for the wire.

    def _sealed(self, size):
        records = b""
        while size:
            piece = min(size, 65536)
            self.session.tls.write(self.pattern(self.sent, piece))
            records += self.session.outgoing.read()
            self.sent += piece
            size -= piece
        return records

    def _data(self, size):
        # Not all of it at once in memory.
        while size > 1 << 20:
            self.connection.sendall(self._sealed(1 << 20))
            size -= 1 << 20
        return self._sealed(size)

    def _notify(self):
        return self.session.sealed_close_notify()

    def _half(self, size):
        record = self._sealed(size)
        self.withheld = record[len(record) // 2 :]
        return record[: len(record) // 2]

    def _header(self, size):
        record = self._sealed(size)
        self.withheld = record[HALF_A_HEADER:]
        return record[:HALF_A_HEADER]

    def _rest(self):
        rest, self.withheld = self.withheld, b""
        return rest

    def _bad(self, size):
        record = bytearray(self._sealed(size))
        record[-1] ^= 1
        return bytes(record)

    def _clear(self):
        return CLOSE_NOTIFY_IN_CLEAR

    def _alert(self):
        self.session.incoming.write(NO_RECORD_OF_OURS)
        try:
            self.session.tls.read(1)
        except ssl.SSLError:
            pass
        return self.session.outgoing.read()

    # What is done.

    def _fin(self):
        self.connection.shutdown(socket.SHUT_WR)

    def _rst(self):
        poller = select.poll()
        poller.register(self.connection, select.POLLIN)
        if not poller.poll(PATIENCE_SECONDS * 1000):
            raise TimeoutError("the client has sent nothing that could be left unread")
        if self.connection.family != socket.AF_UNIX:
            self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.connection.close()

    def _acked(self):
        until = time.monotonic() + PATIENCE_SECONDS
        while struct.unpack("i", fcntl.ioctl(self.connection, termios.TIOCOUTQ, bytes(4)))[0]:
            if time.monotonic() > until:
                raise TimeoutError("the client's kernel does not acknowledge everything")
            time.sleep(0.001)

    def _line(self):
        while self.session.read(1) != b"\n":
            pass

    def _read(self):
        in_order = True
        try:
            while True:
                data = self.session.read()
                in_order = in_order and data == self.pattern(self.read_bytes, len(data))
                if in_order:
                    self.read_bytes += len(data)
        except self.ended as ended:
            self.end = str(ended) if in_order else f"other bytes, {ended}"

    def _closed(self):
        self.connection.settimeout(PATIENCE_SECONDS)
        try:
            more = self.connection.recv(65536)
        except TimeoutError:
            self.end += ", then nothing"
        except OSError:
            self.end += ", then a reset"
        else:
            self.end += f", then {len(more)} bytes" if more else ""

    def _go(self):
        self.wait_for("go")

    def _tell(self):
        self._say()
