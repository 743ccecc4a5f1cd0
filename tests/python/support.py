"""What the Python tests share: the package from the source tree over the library in build/, and the peers.

The package finds the library by its name, which is loaded here first. Nothing here needs a Python newer than 3.8.
"""

import atexit
import contextlib
import ctypes
import itertools
import json
import os
import pathlib
import shutil
import socket
import subprocess
import sys
import tempfile
import threading

ROOT = pathlib.Path(__file__).resolve().parents[2]
SOURCES = ROOT / "bindings" / "python" / "src"
LIBRARY = ROOT / "build" / "lib" / "libsslsock.so.0"
HEADER = ROOT / "include" / "sslsock.h"
NAME = "localhost"
# Ends a hang; no test waits so long.
SECONDS = 30

sys.path[:0] = [str(SOURCES), str(ROOT / "tests"), str(ROOT / "tests" / "servers")]
ctypes.CDLL(str(LIBRARY))

import sslsock  # noqa: E402

_tickets = itertools.count()
_peers = {}
_starting = threading.Lock()


def peers():
    """The variables of the peers, which are started when they are first asked for."""
    with _starting:
        return _peers or _start()


def _start():
    folder = tempfile.mkdtemp(prefix="sslsock-python-")
    command = [sys.executable, pathlib.Path(__file__).with_name("peers.py"), folder]
    process = subprocess.Popen([str(word) for word in command], stdin=subprocess.PIPE, stdout=subprocess.PIPE)

    def stop(pid=os.getpid()):
        if os.getpid() == pid:
            process.stdin.close()
            process.wait()
            process.stdout.close()
            shutil.rmtree(folder, ignore_errors=True)

    atexit.register(stop)
    _peers.update(json.loads(process.stdout.readline()))
    return _peers


def authority():
    return os.path.join(peers()["SSLSOCK_PKI"], "ca.pem")


def address(variable="SSLSOCK_PEER"):
    host, _, port = peers()[variable].rpartition(":")
    return host, int(port)


def connect(variable="SSLSOCK_PEER"):
    """A plain connection to a peer; the caller closes it."""
    return socket.create_connection(address(variable), SECONDS)


def ticket():
    return "t%d-%d" % (os.getpid(), next(_tickets))


def upgraded(order, sock=None, **options):
    """A connection under TLS to the peer, that has been told what to do."""
    sock = sock or connect()
    helper = sslsock.SslHelper(sock, NAME, trust_file=authority(), **options)
    sock.sendall((order + "\n").encode())
    return sock, helper


def release(name):
    """Lets go whoever waits for the name at the peer."""
    with connect("SSLSOCK_PEER_RESULTS") as asking:
        asking.sendall(("+%s\n" % name).encode())
        asking.recv(1)


def result(name):
    """What the peer remembers under a ticket: bytes, and how the client's direction ended."""
    with connect("SSLSOCK_PEER_RESULTS") as asking:
        asking.sendall((name + "\n").encode())
        count, end = asking.makefile().readline().split(" ", 1)
    return int(count), end.strip()


class Recorded:
    """A connection to the recording peer, in clear up to its go-ahead for TLS."""

    def __init__(self, what, file_mode=None):
        self.ticket = ticket()
        self.sock = connect("SSLSOCK_RECORDER")
        self.file = self.sock.makefile(file_mode) if file_mode else None
        self.say(None, "220")
        self.say("ORDER %s %s" % (self.ticket, what), "250")
        self.say("STARTTLS", "220")

    def say(self, line, answer):
        if line:
            self.sock.sendall((line + "\r\n").encode())
        if self.file:
            said = self.file.readline()
            said = said if isinstance(said, str) else said.decode()
        else:
            said = read_line(self.sock)
        assert said.startswith(answer), said

    @classmethod
    def of(cls, name):
        """That of another process."""
        recorded = cls.__new__(cls)
        recorded.ticket = name
        return recorded

    def record(self):
        """All that came off the wire: STARTTLS conversation, what came after it, what came under TLS, the end."""
        with connect("SSLSOCK_RECORDER_CONTROL") as asking:
            asking.sendall(("record %s\n" % self.ticket).encode())
            with asking.makefile("rb") as lines:
                raw, starttls, plain, end = lines.readline().decode().rstrip("\n").split(" ", 3)
                all_of_it = lines.read(int(raw))
                return all_of_it[: int(starttls)], all_of_it[int(starttls) :], lines.read(int(plain)), end

    def control(self, request):
        with connect("SSLSOCK_RECORDER_CONTROL") as asking:
            asking.sendall(("%s %s\n" % (request, self.ticket)).encode())
            return asking.makefile().readline().strip()


class Controlled:
    """A connection whose peer is led step by step: see controlled_peer.py."""

    def __init__(self, variable="SSLSOCK_CALLS_PEER"):
        self.ticket = ticket()
        self.sock = connect(variable)
        self.sock.sendall((self.ticket + "\n").encode())
        self._control = connect("SSLSOCK_CALLS_CONTROL")
        self._lines = self._control.makefile("rw")
        self.tell(self.ticket)

    def tell(self, command, expected="ok"):
        answer = self.ask(command)
        assert answer == expected, "%s: %s" % (command, answer)

    def ask(self, command):
        self._lines.write(command + "\n")
        self._lines.flush()
        return self._lines.readline().strip()

    def upgrade(self, **options):
        self.tell("tls")
        return sslsock.SslHelper(self.sock, NAME, trust_file=authority(), **options)

    def close(self):
        self.sock.close()
        self._lines.close()
        self._control.close()


def read_line(sock):
    line = b""
    while not line.endswith(b"\n"):
        byte = sock.recv(1)
        assert byte, "the end instead of a line"
        line += byte
    return line.decode()


def read_exactly(sock, size):
    data = b""
    while len(data) < size:
        piece = sock.recv(min(size - len(data), 1 << 16))
        assert piece, "the end after %d of %d bytes" % (len(data), size)
        data += piece
    return data


def read_to_end(sock):
    pieces = []
    while True:
        piece = sock.recv(1 << 16)
        if not piece:
            return b"".join(pieces)
        pieces.append(piece)


def run_python(source, *arguments):
    """Runs a program over the same package and peers."""
    process = start_python(source, *arguments)
    output, complaint = process.communicate(timeout=120)
    return subprocess.CompletedProcess(process.args, process.returncode, output, complaint)


def start_python(source, *arguments):
    environment = {
        **os.environ,
        "PYTHONPATH": os.pathsep.join([str(SOURCES), str(ROOT / "tests"), str(pathlib.Path(__file__).parent)]),
        "LD_LIBRARY_PATH": str(LIBRARY.parent),
        "SSLSOCK_TEST_PEERS": json.dumps(peers()),
    }
    command = [sys.executable, "-c", source, *arguments]
    return subprocess.Popen(
        command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, universal_newlines=True
    )


# Such a program asks for nothing itself.
_peers.update(json.loads(os.environ.get("SSLSOCK_TEST_PEERS", "{}")))


@contextlib.contextmanager
def closing(*things):
    try:
        yield things[0] if len(things) == 1 else things
    finally:
        for thing in things:
            thing.close()
