"""Servers for the Windows CE programs that no package has: each for one conversation, TLS by OpenSSL.

Every one is a function of a connection and a context; `Peers` listens with them. What they were asked for is kept in
`asked`, so that a test can say that nothing was.
"""

import functools
import socket
import struct
import threading

import listening
import peer

SECONDS = 30
HOST = "127.0.0.2"
EXPECTED = (OSError, peer.Ended)

IAC, DO, WILL, SB, SE = 255, 253, 251, 250, 240
AUTHENTICATION, IS, SEND, SSL = 37, 0, 1, 7
START, ACCEPT = 1, 2


class Peers:
    def __init__(self):
        self.asked = []

    def listen(self, serve, *arguments, host=HOST):
        """Where `serve(connection, *arguments)` is done: (host, port)."""
        served = functools.partial(_swapped, serve, arguments)
        where = listening.listen(socket.AF_INET, (host, 0), served, EXPECTED, SECONDS)
        host, _, port = where.rpartition(":")
        return host, int(port)

    def http(self, connection, context, body="the answer"):
        session = peer.Session(connection, context)
        header = read_until(session.read, b"\r\n\r\n").decode()
        content = b""
        for line in header.split("\r\n"):
            if line.lower().startswith("content-length:"):
                while len(content) < int(line.split(":")[1]):
                    content += session.read()
        self.asked.append(header.split("\r\n")[0])
        answer = f"{body} to {header.split()[1]} {content.decode()}"
        length = f"Content-Length: {len(answer)}\r\n"
        session.write(f"HTTP/1.1 200 OK\r\n{length}Connection: close\r\n\r\n{answer}".encode())
        finish(session)

    def stream(self, connection, context):
        """RTSP, as far as the program speaks it: long answers in many records."""
        session = peer.Session(connection, context)
        self.asked.append(read_until(session.read, b"\r\n\r\n").decode().split("\r\n")[0])
        session.write(b"RTSP/1.0 200 OK\r\n\r\n")
        for number in range(2000):
            session.write(b"frame %d\r\n" % number)
        finish(session)

    def lines(self, connection, context):
        session = peer.Session(connection, context)
        line = read_until(session.read, b"\r\n").decode().strip()
        self.asked.append(line)
        # A byte in a record of its own.
        for piece in (b"h", b"ello ", line.encode(), b"\r\ngood", b"bye\r\n"):
            session.write(piece)
        session_end(session)

    def half_a_line(self, connection, context):
        """Ends before the word that the program waits for."""
        session = peer.Session(connection, context)
        read_until(session.read, b"\r\n")
        session.write(b"hello")
        finish(session)

    def irc(self, connection, context):
        session = peer.Session(connection, context)
        nick = read_until(session.read, b"\r\n").decode().split()[1]
        read_until(session.read, b"\r\n")
        self.asked.append(nick)
        session.write(b"PING :12345\r\n")
        pong = read_until(session.read, b"\r\n").decode().strip()
        if pong != "PONG :12345":
            raise peer.Ended(f"no pong: {pong}")
        session.write(f":irc.test 001 {nick} :Welcome\r\n".encode())
        self.asked.append(read_until(session.read, b"\r\n").decode().strip())
        session.write(b"ERROR :Closing link\r\n")
        finish(session)

    def telnet(self, connection, context, negotiates):
        if negotiates:
            connection.sendall(bytes([IAC, DO, AUTHENTICATION, IAC, WILL, 1]))
            read_until(connection.recv, bytes([IAC, WILL, AUTHENTICATION]))
            connection.sendall(bytes([IAC, SB, AUTHENTICATION, SEND, SSL, 0, IAC, SE]))
            wanted = bytes([IAC, SB, AUTHENTICATION, IS, SSL, 0, START, IAC, SE])
            read_until(connection.recv, wanted)
            connection.sendall(bytes([IAC, SB, AUTHENTICATION, 2, SSL, 0, ACCEPT, IAC, SE]))
        session = peer.Session(connection, context)
        session.write(b"welcome\r\n")
        for _ in range(2):
            line = read_until(session.read, b"\r\n")
            self.asked.append(line.decode().strip())
            session.write(b"you typed " + line)
        finish(session)

    def socks5(self, connection, target):
        """A proxy that finds every name at `target`; in clear itself."""
        version, count = take(connection, 2)
        take(connection, count)
        connection.sendall(b"\x05\x00")
        _, _, _, kind, length = take(connection, 5)
        name = take(connection, length).decode()
        (port,) = struct.unpack("!H", take(connection, 2))
        self.asked.append(f"SOCKS{version} {kind} {name}:{port}")
        connection.sendall(b"\x05\x00\x00\x01" + bytes(6))
        self.join(connection, target)

    def connect_proxy(self, connection, target):
        """A proxy with CONNECT that finds every name at `target`."""
        read_until(connection.recv, b"\r\n\r\n")
        connection.sendall(b"HTTP/1.0 200 Connection established\r\n\r\n")
        self.join(connection, target)

    def join(self, connection, target):
        with socket.create_connection(target, SECONDS) as onward:
            back = threading.Thread(target=pump, args=(onward, connection), daemon=True)
            back.start()
            pump(connection, onward)
            back.join(SECONDS)

    def silent(self, connection, context):
        """Shakes hands, and says nothing more."""
        session = peer.Session(connection, context)
        while True:
            session.read()

    def reset(self, connection, context=None):
        """Resets the connection: after what was sent under TLS, or in place of the handshake."""
        if context:
            peer.Session(connection, context).read()
        else:
            connection.recv(1)
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        connection.close()


def _swapped(serve, arguments, connection):
    serve(connection, *arguments)


def refusing():
    """A port where nobody listens, and the socket that keeps it so."""
    kept = socket.socket()
    kept.bind((HOST, 0))
    return kept, kept.getsockname()


def read_until(read, end):
    """Byte by byte, for what comes after it may be the handshake."""
    data = b""
    while not data.endswith(end):
        byte = read(1)
        if not byte:
            raise peer.Ended("the end")
        data += byte
    return data


def take(connection, count):
    data = b""
    while len(data) < count:
        more = connection.recv(count - len(data))
        if not more:
            raise peer.Ended("the end")
        data += more
    return data


def pump(source, sink):
    try:
        while data := source.recv(65536):
            sink.sendall(data)
        sink.shutdown(socket.SHUT_WR)
    except OSError:
        pass


def session_end(session):
    """Waits for the client's end, which comes first."""
    try:
        while True:
            session.read()
    except peer.Ended:
        finish(session)


def finish(session):
    """Ends in order, and reads what the client still says."""
    session.close_notify()
    session.connection.shutdown(socket.SHUT_WR)
    while session.connection.recv(65536):
        pass
