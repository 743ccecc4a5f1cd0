"""The end of a process right after send(), towards openssl's own server: everything arrives, and close_notify.

c_tests.py runs these. The server reads at once, or after a while, or only when the sending process has gone; it has sent
two session tickets before, which a sender that does not read must not stumble over when it closes.
"""

import concurrent.futures
import hashlib
import os
import pathlib
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time

import peer

ROOT = pathlib.Path(__file__).resolve().parents[1]
BUILD = ROOT / "build"
MEBIBYTE = 1024 * 1024
UNIX_PAIR = "0x100000"
TICKETS = 2
# When the server begins to read.
AT_ONCE = "reading at once"
LATER = "reading later"
WHEN_GONE = "reading when the sender has gone"
LATER_SECONDS = 0.1
# How many of these are under way at once within one test: they mostly wait.
ROUNDS_AT_ONCE = 6


class Failed(Exception):
    """A test did not pass; the text says why."""


class Skipped(Exception):
    """There is nothing to test with; the text says what is missing."""


def need(*tools):
    for tool in tools:
        if not shutil.which(tool):
            raise Skipped(f"{tool} is not installed")


class OpensslServer:
    """`openssl s_server` for one connection; what it receives and which messages it saw are in files."""

    def __init__(self, folder, keys, *options):
        self.messages = pathlib.Path(folder, "messages")
        self.received = pathlib.Path(folder, "received")
        command = [
            "openssl", "s_server", "-accept", "127.0.0.2:0", "-cert", keys / "server.pem", "-key", keys / "server.key",
            "-cert_chain", keys / "intermediate.pem", "-naccept", "1", "-msg", "-msgfile", self.messages, *options,
        ]  # fmt: skip
        self.output = open(self.received, "wb")
        # It ends when its input does.
        self.process = subprocess.Popen(
            [str(word) for word in command], stdin=subprocess.PIPE, stdout=self.output, stderr=subprocess.STDOUT
        )
        self.address = self._address()

    def _address(self):
        deadline = time.monotonic() + 20
        while time.monotonic() < deadline:
            said = re.search(rb"^ACCEPT (\S+)\s*$", self.received.read_bytes(), re.M)
            if said:
                return said[1].decode()
            time.sleep(0.005)
        raise Failed(f"s_server does not listen: {self.received.read_bytes()[-500:]!r}")

    def finish(self):
        """Waits for its end; what it printed, and whether close_notify was among the messages."""
        try:
            self.process.wait(30)
        except subprocess.TimeoutExpired:
            raise Failed("s_server did not see the end of the connection within 30 s") from None
        seen = re.search(r"<<< TLS 1\.\d, Alert \[length 0002\], warning close_notify", self._messages())
        return self.received.read_bytes(), bool(seen)

    def stop(self):
        self.process.stdin.close()
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGCONT)
            self.process.kill()
        self.process.wait()
        self.output.close()

    def await_tickets(self):
        """Until it has sent them: from then on it only waits for data."""
        deadline = time.monotonic() + 20
        while len(re.findall(r">>> TLS 1\.3, Handshake \[length \w+\], NewSessionTicket", self._messages())) < TICKETS:
            if time.monotonic() > deadline:
                raise Failed(f"s_server does not send {TICKETS} session tickets: {self._messages()[-500:]}")
            time.sleep(0.005)
        # They are in its messages before they leave. Sent when the other side has gone, they would be answered by a
        # reset, as on any connection.
        while pathlib.Path(f"/proc/{self.process.pid}/stat").read_text().rpartition(")")[2].split()[0] != "S":
            if time.monotonic() > deadline:
                raise Failed("s_server does not come to wait for data")
            time.sleep(0.001)

    def _messages(self):
        return self.messages.read_text() if self.messages.exists() else ""


def end_right_after_send(keys, command, flags, reader, environment=os.environ):
    need("openssl")
    with tempfile.TemporaryDirectory() as folder:
        server = OpensslServer(folder, keys, "-num_tickets", TICKETS)
        environment = {**environment, "SSLSOCK_PKI": str(keys), "SSLSOCK_PEER": server.address}
        program = subprocess.Popen(
            [*command, str(MEBIBYTE), flags], env=environment, text=True,
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        )  # fmt: skip
        try:
            if program.stdout.readline() != "ready\n":
                raise Failed(f"the program: {program.stderr.read()}")
            if reader != AT_ONCE:
                # From now on it reads nothing: what was accepted waits in the library and the kernel.
                server.await_tickets()
                server.process.send_signal(signal.SIGSTOP)
            program.stdin.write("go\n")
            program.stdin.flush()
            if reader == LATER:
                time.sleep(LATER_SECONDS)
                server.process.send_signal(signal.SIGCONT)
            _, complaint = program.communicate(timeout=60)
            if program.returncode:
                raise Failed(f"the program: status {program.returncode}: {complaint}")
            if reader == WHEN_GONE:
                server.process.send_signal(signal.SIGCONT)
            check(*server.finish())
        finally:
            if program.poll() is None:
                program.kill()
            program.wait()
            for pipe in (program.stdin, program.stdout, program.stderr):
                pipe.close()
            server.stop()


def check(received, close_notify):
    """What the server printed is a few lines of its own, and among them what the program sent."""
    wanted = peer.pattern(0, MEBIBYTE)
    start = max(received.find(wanted[: peer.PERIOD]), 0)
    came = received[start : start + MEBIBYTE]
    if hashlib.sha256(came).digest() != hashlib.sha256(wanted).digest():
        raise Failed(f"not all of it arrived: {len(received)} bytes with what s_server says itself")
    if peer.pattern(MEBIBYTE, peer.PERIOD) in received[start + MEBIBYTE :]:
        raise Failed("more arrived than was sent")
    if not close_notify:
        raise Failed("no close_notify")


def programs():
    """How a program ends, and the command for it."""
    for how in ("exit", "return", "thread", "close", "free"):
        yield how, [BUILD / "c-tests" / "ending", how]
    library = BUILD / "lib" / "libsslsock.so"
    for how in ("return", "exit", "thread"):
        yield f"{how} in Python", [sys.executable, ROOT / "tests" / "ending.py", library, how]


def tests(keys, rounds, readers, at_once):
    """Name and test of each."""
    for name, command in programs():
        for kind, flags in (("TCP pair", "0"), ("Unix pair", UNIX_PAIR)):
            for reader in readers:

                def test(command=command, flags=flags, reader=reader):
                    with concurrent.futures.ThreadPoolExecutor(at_once) as pool:
                        done = [pool.submit(end_right_after_send, keys, command, flags, reader) for _ in range(rounds)]
                    failures = [job.exception() for job in done if job.exception()]
                    if failures:
                        raise Failed(f"{len(failures)} of {rounds} rounds: {failures[0]}") from failures[0]

                yield f"ending: a mebibyte then {name}, {kind}, {reader}, {rounds} rounds", test


def reading_soon(keys, rounds):
    return tests(keys, rounds, (AT_ONCE, LATER), 1)


def reading_when_the_sender_has_gone(keys, rounds):
    return tests(keys, rounds, (WHEN_GONE,), ROUNDS_AT_ONCE)
