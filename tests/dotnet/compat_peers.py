"""Peers of the tests of SslSock.Compat, on 127.0.0.1: one speaks TLS, one records, one is silent, one is not there."""

import socket
import threading

import listening
from peer import EXPECTED, Ended, Session, server_context


class Peers:
    """`tls` says which name it was asked for, as "sni NAME" ("-": none), then reads to the end; `plain` keeps what comes;
    `silent` reads and says nothing; `dead` is an address where nothing listens. The bytes that `plain` got are
    `recorded()`."""

    def __init__(self, pki):
        self.context = server_context(pki)
        self.names = {}
        self.context.sni_callback = self._note
        self.records = []
        self.changed = threading.Condition()
        local = (socket.AF_INET, ("127.0.0.1", 0))
        self.tls = listening.listen(*local, self._serve, EXPECTED, 30)
        self.plain = listening.listen(*local, self._record, EXPECTED, 30)
        self.silent = listening.listen(*local, self._read, EXPECTED, 30)
        self._reserved = socket.socket()
        self._reserved.bind(("127.0.0.1", 0))
        self.dead = "{}:{}".format(*self._reserved.getsockname())

    def recorded(self, connections=1):
        """What has come in clear since the last call: one entry a connection, once so many have ended."""
        with self.changed:
            if not self.changed.wait_for(lambda: len(self.records) >= connections, 30):
                raise TimeoutError(f"{len(self.records)} of {connections} connections have ended")
            found, self.records = self.records, []
            return found

    def recorded_nothing(self):
        """Whether nobody but this has connected to `plain` since the last call."""
        host, port = self.plain.rsplit(":", 1)
        with socket.create_connection((host, int(port)), 30) as connection:
            connection.sendall(b"the only one")
        return self.recorded() == [b"the only one"]

    def _note(self, tls, name, _context):
        self.names[threading.get_ident()] = name

    def _serve(self, connection):
        self.names[threading.get_ident()] = None
        session = Session(connection, self.context)
        session.write(f"sni {self.names[threading.get_ident()] or '-'}\r\n".encode())
        try:
            while True:
                session.read()
        except Ended:
            session.close_notify()

    def _record(self, connection):
        received = bytearray()
        try:
            self._read(connection, received)
        finally:
            with self.changed:
                self.records.append(bytes(received))
                self.changed.notify_all()

    def _read(self, connection, received=None):
        while data := connection.recv(65536):
            if received is not None:
                received += data
