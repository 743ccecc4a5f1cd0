"""Runs of the Windows CE programs, and what is asked of a run."""

import os
import pathlib
import re
import ssl
import subprocess

import peer
import recorder

ROOT = pathlib.Path(__file__).resolve().parents[1]
BUILD = pathlib.Path(os.environ.get("SSLSOCK_BUILD") or ROOT / "build").absolute() / "wince"
SOURCES = ROOT / "c-tests" / "wince"
C_MODES, CXX_MODES = ("gnu99", "gnu17"), ("gnu++98", "gnu++11", "gnu++17")
SECONDS = 30
# What a button of a message box answers.
IDOK, IDCANCEL, IDYES, IDNO = "1", "2", "6", "7"
# Where the recorders listen: the name that gethostbyname finds.
NAME = "localhost"
HOOK_UNKNOWN, HOOK_EXPIRED, HOOK_FAILED = 10, 8, 2
WSAECONNRESET, WSAETIMEDOUT, WSAECONNREFUSED = 10054, 10060, 10061


def modes(program):
    return (*C_MODES, *CXX_MODES) if (SOURCES / f"{program}.c").exists() else CXX_MODES


def program(name):
    """The test is made for every language of the program, whose runs it gets as `run`."""

    def mark(test):
        test.program = name
        return test

    return mark


def every_language(cls):
    for name, test in list(vars(cls).items()):
        if not hasattr(test, "program"):
            continue
        delattr(cls, name)
        for mode in modes(test.program):
            where = BUILD / mode / test.program
            made = lambda self, test=test, where=where: test(self, Runs(self, where))  # noqa: E731
            setattr(cls, f"test_{test.program}_{name}_{mode.replace('++', 'xx')}", made)
    return cls


class Runs:
    """Runs of one program, each through a recorder of its own."""

    def __init__(self, test, path):
        self.test, self.path = test, path

    def __call__(self, target, *arguments, trust=None, box=None, status=0, host=NAME):
        """The run, once it has ended with this status."""
        if not self.path.exists():
            self.test.fail(f"{self.path} has not been built")
        environment = {**os.environ, "SSLSOCK_TEST_CA": str(trust or self.test.trust)}
        if box:
            environment["SSLSOCK_TEST_BOX"] = box
        with recorder.record(*target, listen="127.0.0.1") as recording:
            command = [str(self.path), host, str(recording.port), *arguments]
            done = subprocess.run(command, env=environment, capture_output=True, timeout=SECONDS)
            run = Run(self.test, done, recording.tapes)
            self.test.assertEqual(done.returncode, status, run.output)
            recording.wait()
        return run

    def direct(self, target, *arguments, number):
        """The run without a recorder, which would accept what the target refuses."""
        command = [str(self.path), target[0], str(target[1]), *arguments]
        done = subprocess.run(command, capture_output=True, timeout=SECONDS)
        run = Run(self.test, done, [])
        self.test.assertEqual((done.returncode, run.last_error), (1, number), run.output)
        return run

    def refused(self, target, *arguments, **options):
        """The run, after which the program's last error was `number` and nothing went in clear."""
        number = options.pop("number")
        run = self(target, *arguments, status=1, **options)
        self.test.assertEqual(run.last_error, number, run.output)
        return run


class Run:
    def __init__(self, test, done, tapes):
        self.test, self.tapes = test, tapes
        self.output = (done.stdout + done.stderr).decode(errors="replace").replace("\r\n", "\n")

    @property
    def last_error(self):
        found = re.search(r"last error (-?\d+)$", self.output, re.M)
        return int(found.group(1)) if found else None

    def says(self, *texts):
        for text in texts:
            self.test.assertIn(text, self.output)

    def says_not(self, *texts):
        for text in texts:
            self.test.assertNotIn(text, self.output)

    def tls_from(self, client=None, server=None, name=NAME, tape=0, whole=True):
        """Both directions are TLS from what comes after these (None: from the first byte), and `name` was asked for."""
        tape = self.tapes[tape]
        start = after(tape.client_bytes, client)
        if whole:
            recorder.assert_tls_from(tape.client_bytes, start)
            recorder.assert_tls_from(tape.server_bytes, after(tape.server_bytes, server))
        else:
            self.test.assertEqual(peer.what_it_is(tape.client_bytes[start:]), "nothing but TLS")
        self.test.assertEqual(server_name(bytes(tape.client_bytes[start:])), name)


def after(stream, pattern):
    if pattern is None:
        return 0
    found = re.search(pattern, bytes(stream), re.S)
    assert found, f"no {pattern} in {bytes(stream)!r}"
    return found.end()


def server_name(hello):
    """The name (SNI) in a ClientHello, which begins the stream."""
    at = 5 + 4 + 2 + 32
    at += 1 + hello[at]
    at += 2 + int.from_bytes(hello[at : at + 2], "big")
    at += 1 + hello[at]
    end = at + 2 + int.from_bytes(hello[at : at + 2], "big")
    at += 2
    while at < end:
        kind, length = (int.from_bytes(hello[at + i : at + i + 2], "big") for i in (0, 2))
        if kind == 0:
            return hello[at + 9 : at + 4 + length].decode()
        at += 4 + length
    return None


def context(folder, name):
    made = peer.server_context(folder) if name == "server" else ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    if name != "server":
        made.load_cert_chain(folder / f"{name}.pem", folder / f"{name}.key")
    return made
