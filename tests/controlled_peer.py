"""The peer of the program `calls` and of the .NET matrix: step by step it does what a control connection tells it, in
clear or under TLS.

A connection begins with a line, its ticket; if it begins with a handshake the line comes under TLS. A control
connection begins with the same line, which is answered "ok" when both are there; each of its further lines is a command
that is answered with a line:

    tls        "ok" at once; what comes next on the connection is the handshake. If it fails, every further answer is
               "no TLS: REASON; BYTES", the last word being what peer.what_it_is() says of all that came until the end
    nothing    "ok", after the handshake
    send N     sends N bytes of the pattern, from where it ended the last time; "ok"
    take N     reads N bytes, which have to be the pattern's next ones; "ok" or what came instead
    line       reads a line and answers it
    say TEXT   sends a line; "ok"
    echo       sends back what comes, ends its direction in order when the client has, and answers as "ending" does
    duplex N   sends N random bytes and reads to the client's end, both at once; answers "SENT RECEIVED END", the first
               two being hashes (SHA-256), and has ended its own direction under TLS
    urgent     waits for an urgent byte, takes it and answers it
    end        ends its direction in order: under TLS with close_notify; "ok"
    truncate   ends its direction of the TCP connection, and nothing else; "ok"
    close      ends both directions in order; "ok"
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
HANDSHAKE_RECORD = b"\x16"


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

    def seal(self, data):
        return data

    def open(self, received):
        if not received:
            raise peer.Ended("end")
        yield received

    def close_notify(self):
        pass

    def sealed_close_notify(self):
        return b""


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
        under_tls = connection.recv(1, socket.MSG_PEEK) == HANDSHAKE_RECORD
        session = peer.Session(connection, self.context) if under_tls else Plain(connection)
        ticket, over = read_line(session), threading.Event()
        with self.arrived:
            self.connections[ticket] = (session, over)
            self.arrived.notify_all()
        over.wait()

    def _control(self, control):
        lines = control.makefile("rw")
        ticket = lines.readline().strip()
        with self.arrived:
            self.arrived.wait_for(lambda: ticket in self.connections, SECONDS)
            session, over = self.connections.pop(ticket)
        connection = session.connection
        try:
            connection.settimeout(SECONDS)
            commands = Commands(session)
            answer(lines, "ok")
            for line in lines:
                if line == "tls\n":
                    answer(lines, "ok")
                    commands.begin_tls(self.context)
                    continue
                if commands.failure:
                    answer(lines, commands.failure)
                    continue
                try:
                    answer(lines, commands.obey(line.rstrip("\n")))
                except OSError as error:
                    answer(lines, f"failed: {error}")
        finally:
            over.set()


class Commands:
    def __init__(self, session):
        self.session, self.connection = session, session.connection
        self.sent = self.taken = 0
        self.failure = None

    def begin_tls(self, context):
        kept = peer.Kept(self.connection)
        try:
            self.session = peer.Session(kept, context)
            # What comes from now on need not be kept.
            self.session.connection = self.connection
        except OSError as error:
            kept.read_to_end()
            self.failure = f"no TLS: {getattr(error, 'reason', error)}; {peer.what_it_is(kept.received)}"

    def obey(self, command):
        name, _, argument = command.partition(" ")
        return getattr(self, f"_{name}")(*([argument] if argument else [])) or "ok"

    def _nothing(self):
        pass

    def _send(self, size):
        self.session.write(peer.pattern(self.sent, int(size)))
        self.sent += int(size)

    def _take(self, size):
        wanted = self.taken + int(size)
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

    def _say(self, text):
        self.session.write(f"{text}\r\n".encode())

    def _echo(self):
        said = self._ending(self.session.write)
        self._end()
        return said

    def _duplex(self, size):
        duplex = peer.Duplex(self.session, int(size))
        duplex.both()
        return duplex.result().replace("close_notify", "end")

    def _urgent(self):
        select.select([], [], [self.connection], SECONDS)
        return self.connection.recv(1, socket.MSG_OOB).decode()

    def _end(self):
        self.session.close_notify()
        self.connection.shutdown(socket.SHUT_WR)

    def _truncate(self):
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

    def _ending(self, use=len):
        count = 0
        try:
            while True:
                data = self.session.read(65536)
                use(data)
                count += len(data)
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
