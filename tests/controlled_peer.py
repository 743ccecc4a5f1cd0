"""The peer of the program `calls`: step by step it does what a control connection tells it, in clear or under TLS.

A connection begins with a line, its ticket. A control connection begins with the same line, which is answered "ok" when
both are there; each of its further lines is a command that is answered with a line:

    tls        "ok" at once; what comes next on the connection is the handshake
    nothing    "ok", after the handshake
    send N     sends N bytes of the pattern, from where it ended the last time; "ok"
    take N     reads N bytes, which have to be the pattern's next ones; "ok" or what came instead
    line       reads a line and answers it
    urgent     waits for an urgent byte, takes it and answers it
    end        ends its direction in order: under TLS with close_notify; "ok"
    close      the same for both directions; "ok"
    reset      waits for input, does not read it and resets the connection; "ok"
    ending     reads to the end; "N end" (under TLS: close_notify), "N truncated", "N reset": N bytes came before it

When the control connection ends, the connection is closed.
"""

import pathlib
import select
import socket
import struct
import threading

import listening
import peer

SECONDS = 30


class Plain:
    """A connection in clear, with what peer.Session has."""

    def __init__(self, connection):
        self.connection = connection

    def read(self, size):
        try:
            data = self.connection.recv(size)
        except OSError:
            raise peer.Ended("reset") from None
        if not data:
            raise peer.Ended("end")
        return data

    def write(self, data):
        self.connection.sendall(data)

    def close_notify(self):
        pass


class ControlledPeer(peer.Peer):
    def __init__(self, pki, folder):
        super().__init__(pki, folder)
        self.connections = {}
        self.variables["SSLSOCK_CALLS_CONTROL"] = listening.listen(
            socket.AF_INET, ("127.0.0.2", 0), self._control, peer.EXPECTED
        )
        path = pathlib.Path(folder, "calls")
        self.variables.update(listening.everywhere("SSLSOCK_CALLS_PEER", path, self._hand_over, peer.EXPECTED))

    def _hand_over(self, connection):
        """The connection is whoever's has its ticket; this thread keeps it open."""
        ticket, over = read_line(Plain(connection)), threading.Event()
        with self.arrived:
            self.connections[ticket] = (connection, over)
            self.arrived.notify_all()
        over.wait()

    def _control(self, control):
        lines = control.makefile("rw")
        ticket = lines.readline().strip()
        with self.arrived:
            self.arrived.wait_for(lambda: ticket in self.connections, SECONDS)
            connection, over = self.connections.pop(ticket)
        try:
            connection.settimeout(SECONDS)
            commands = Commands(connection)
            answer(lines, "ok")
            for line in lines:
                if line == "tls\n":
                    answer(lines, "ok")
                    commands.session = peer.Session(connection, self.context)
                    continue
                try:
                    answer(lines, commands.obey(*line.split()))
                except OSError as error:
                    answer(lines, f"failed: {error}")
        finally:
            over.set()


class Commands:
    def __init__(self, connection):
        self.connection = connection
        self.session = Plain(connection)
        self.sent = self.taken = 0

    def obey(self, name, *arguments):
        return getattr(self, f"_{name}")(*map(int, arguments)) or "ok"

    def _nothing(self):
        pass

    def _send(self, size):
        self.session.write(peer.pattern(self.sent, size))
        self.sent += size

    def _take(self, size):
        wanted = self.taken + size
        while self.taken < wanted:
            try:
                data = self.session.read(min(wanted - self.taken, 65536))
            except peer.Ended as end:
                return f"{end} after {self.taken} bytes"
            if data != peer.pattern(self.taken, len(data)):
                return f"other bytes after {self.taken}"
            self.taken += len(data)

    def _line(self):
        return read_line(self.session)

    def _urgent(self):
        select.select([], [], [self.connection], SECONDS)
        return self.connection.recv(1, socket.MSG_OOB).decode()

    def _end(self):
        self.session.close_notify()
        self.connection.shutdown(socket.SHUT_WR)

    def _close(self):
        self.session.close_notify()
        self.connection.close()

    def _reset(self):
        select.select([self.connection], [], [], SECONDS)
        if self.connection.family != socket.AF_UNIX:
            # There it is the unread input that does it.
            self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.connection.close()

    def _ending(self):
        count = 0
        try:
            while True:
                count += len(self.session.read(65536))
        except peer.Ended as end:
            return f"{count} {'end' if str(end) == 'close_notify' else end}"


def read_line(session):
    line = b""
    while not line.endswith(b"\n"):
        line += session.read(1)
    return line.decode("ascii", "backslashreplace").strip()


def answer(lines, text):
    lines.write(f"{text}\n")
    lines.flush()
