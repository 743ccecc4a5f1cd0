"""An FTP server with TLS on both connections that a test can have misbehave, by Python's ssl.

A data connection is served as RFC 4217 says: in clear until 150 has left, then the handshake, in which this side is the
server.
"""

import contextlib
import socket
import struct

import listening
import peer

SECONDS = 30
EXPECTED = (*peer.EXPECTED, ValueError)
# RFC 959, section 4.2: of these lines only the last one is the end.
GREETING = b"220-Hello.\r\n 220 is not the end\r\n221 nor is this\r\n220-nor this\r\n220 ready\r\n"
# Of a record, header included: less than any that has data.
SCRAP = 12
LATE_SECONDS = 0.3


class Late(peer.Session):
    """The tickets of TLS 1.3 leave with close_notify, when the client has ended its direction of the connection."""

    def _flush(self):
        if self.tls.version() is None:
            super()._flush()

    def sealed_close_notify(self):
        # Some await our close_notify before they end theirs.
        self.connection.settimeout(LATE_SECONDS)
        with contextlib.suppress(TimeoutError):
            while self.connection.recv(65536):
                pass
        return super().sealed_close_notify()


class FtpsPeer:
    """Listens at once. `files` is what there is, an upload with how it ended; `resumed` says of every data connection
    whether its session was an earlier one, or what went wrong, `commands` what was said.

    unknown: commands that are answered with 500. passive_host: what PASV says. tickets: whether sessions can be resumed
    at all. other_data_context: the data connections know nothing of the control connection's sessions.
    late_tickets: those of an upload's connection are sent when the client has closed it already.
    refusal: said in the place of 226. instead_of_data: said in the place of 150.
    ending: how the data connection of a download ends: "close_notify", "truncated" (between two records), "cut" (inside
    one), "reset". With the last three only the first half of the file is sent.
    """

    def __init__(
        self, pki, family=socket.AF_INET, unknown=(), passive_host=None, tickets=True, other_data_context=False,
        late_tickets=False, instead_of_data=None, refusal=None, ending="close_notify",
    ):  # fmt: skip
        self.files, self.resumed, self.commands = {}, [], []
        self.unknown, self.passive_host = unknown, passive_host
        self.late_tickets = late_tickets
        self.instead_of_data, self.refusal, self.ending = instead_of_data, refusal, ending
        self.context = self._context(pki, tickets)
        self.data_context = self._context(pki, tickets) if other_data_context else self.context
        address = ("::1", 0) if family == socket.AF_INET6 else ("127.0.0.2", 0)
        host, _, port = listening.listen(family, address, self._serve, EXPECTED, SECONDS).rpartition(":")
        self.host, self.port = host, int(port)

    def _context(self, pki, tickets):
        context = peer.server_context(pki)
        if not tickets:
            context.num_tickets = 0
        return context

    def _serve(self, connection):
        Conversation(self, connection).hold()


class Conversation:
    ANSWERS = {
        "USER": "331 a password, please", "PASS": "230 logged in", "PBSZ": "200 PBSZ=0", "PROT": "200 private",
        "TYPE": "200 as it is", "PWD": '257 "/" is the folder', "QUIT": "221 bye",
    }  # fmt: skip

    def __init__(self, server, connection):
        self.server, self.connection = server, connection
        self.session, self.data = None, None

    def hold(self):
        self.connection.sendall(GREETING)
        line = b""
        while not line.endswith(b"\r\n"):
            line += self.connection.recv(1) or b"\r\n"
        if line != b"AUTH TLS\r\n":
            raise ValueError(f"no AUTH TLS: {line!r}")
        self.connection.sendall(b"234 go ahead\r\n")
        self.session = peer.Session(self.connection, self.server.context)
        while True:
            command, _, argument = self._line().partition(" ")
            self.server.commands.append(command)
            if command in self.server.unknown:
                self._say("500 what is that?")
            elif command in self.ANSWERS:
                self._say(self.ANSWERS[command])
            else:
                getattr(self, f"ftp_{command}")(argument)

    def _line(self):
        line = b""
        while not line.endswith(b"\r\n"):
            line += self.session.read(1)
        return line[:-2].decode()

    def _say(self, text):
        self.session.write(f"{text}\r\n".encode())

    def ftp_EPSV(self, _argument):
        self._say(f"229 passive (|||{self._listen()}|)")

    def ftp_PASV(self, _argument):
        port = self._listen()
        host = self.server.passive_host or self.connection.getsockname()[0]
        self._say(f"227 passive ({host.replace('.', ',')},{port >> 8},{port & 255})")

    def _listen(self):
        listener = socket.socket(self.connection.family, socket.SOCK_STREAM)
        listener.bind((self.connection.getsockname()[0], 0))
        listener.listen(1)
        listener.settimeout(SECONDS)

        def accept():
            with listener:
                return listener.accept()[0]

        self.data = accept
        return listener.getsockname()[1]

    def ftp_PORT(self, argument):
        *host, high, low = argument.split(",")
        self._remember((".".join(host), int(high) * 256 + int(low)))

    def ftp_EPRT(self, argument):
        _, _, host, port, _ = argument.split("|")
        self._remember((host, int(port)))

    def _remember(self, address):
        source = (self.connection.getsockname()[0], 0)
        self.data = lambda: socket.create_connection(address, SECONDS, source)
        self._say("200 there")

    def ftp_LIST(self, _argument):
        self._transfer(lambda session: session.write("".join(f"{name}\r\n" for name in self.server.files).encode()))

    def ftp_STOR(self, name):
        def receive(session):
            received = bytearray()
            while True:
                try:
                    received += session.read()
                except peer.Ended as ended:
                    self.server.files[name] = (bytes(received), str(ended))
                    return

        self._transfer(receive)

    def ftp_RETR(self, name):
        def send(session):
            content, ending = self.server.files[name], self.server.ending
            session.write(content if ending == "close_notify" else content[: len(content) // 2])
            if ending == "cut":
                session.connection.sendall(session.seal(content[:1000])[:SCRAP])
            elif ending == "reset":
                session.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))

        self._transfer(send)

    def _transfer(self, carry):
        if self.server.instead_of_data:
            self._say(self.server.instead_of_data)
            return
        self._say("150 here it comes")
        with self.data() as connection:
            connection.settimeout(SECONDS)
            try:
                kind = Late if self.server.late_tickets else peer.Session
                session = kind(connection, self.server.data_context)
                self.server.resumed.append(session.tls.session_reused)
                carry(session)
                if self.server.ending == "close_notify":
                    connection.sendall(session.sealed_close_notify())
            except EXPECTED as error:
                self.server.resumed.append(f"{type(error).__name__}: {error}")
                self._say("426 the data connection has failed")
                return
        self._say(self.server.refusal or "226 done")
