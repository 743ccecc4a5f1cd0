#!/usr/bin/env python3
"""The examples in C#, on every runtime, against the demo's mail server, Exim and vsftpd, seen from the wire."""

import os
import pathlib
import shutil
import socket
import sys
import unittest

TESTS = pathlib.Path(__file__).resolve().parents[1]
sys.path[:0] = [str(TESTS), str(TESTS / "servers")]

import harness  # noqa: E402
import runtimes  # noqa: E402
from demo_recorded import MailServer, boundaries  # noqa: E402
from recorder import assert_tls_from, record  # noqa: E402

EXAMPLES = runtimes.BUILD / "examples" / "dotnet"
TIMEOUT = 60
# The programs take the first address of the name.
LOCALHOST = socket.getaddrinfo("localhost", None, type=socket.SOCK_STREAM)[0][4][0]


class ExampleTest(harness.ServerTest):
    """One runtime's tests; `runtime` is its name."""

    runtime = None
    lacking = None

    @classmethod
    def setUpClass(cls):
        if cls.servers:
            super().setUpClass()
        try:
            cls.host = runtimes.runtime(cls.runtime)
            if not shutil.which("mcs"):
                raise runtimes.Lacking("the examples cannot be built: install the package mono-mcs")
        except runtimes.Lacking as lacking:
            cls.host, cls.without = None, str(lacking)

    def setUp(self):
        super().setUp()
        if self.host is None:
            (self.fail if os.environ.get("CI") else self.skipTest)(self.without)

    def run_example(self, name, *arguments):
        return self.host.run(EXAMPLES / f"{name}.exe", *arguments, capture_output=True, text=True, timeout=TIMEOUT)

    def assert_success(self, done, *texts):
        self.assertEqual(done.returncode, 0, f"{done.stdout}{done.stderr}")
        for text in texts:
            self.assertIn(text, done.stdout)


class Demo:
    def test_smtp(self):
        with MailServer() as server, record(server.host, server.port, listen=LOCALHOST) as recording:
            self.assert_success(
                self.run_example("smtp_starttls", "localhost", recording.port, server.ca), "success\n", "TLSv1", "221 "
            )
            recording.wait()
            self.assertIn("the client said QUIT", server.output())
            (tape,) = recording.tapes
        client, answer = boundaries(tape)
        assert_tls_from(tape.client_bytes, client)
        assert_tls_from(tape.server_bytes, answer)

    def test_smtp_does_not_trust(self):
        with MailServer() as server, record(server.host, server.port, listen=LOCALHOST) as recording:
            done = self.run_example("smtp_starttls", "localhost", recording.port)
            self.assertEqual(done.returncode, 1, f"{done.stdout}{done.stderr}")
            self.assertIn("issuer", done.stderr)
            self.assertIn("0 received", server.output())


class Exim:
    servers = ("exim",)

    def test_smtp(self):
        with record(*self.launched.address("SSLSOCK_EXIM_SMTP"), listen=LOCALHOST) as recording:
            authority = f"{self.launched['SSLSOCK_PKI']}/ca.pem"
            self.assert_success(
                self.run_example("smtp_starttls", "localhost", recording.port, authority), "success\n", "TLSv1", "221 "
            )
            recording.wait()
            (tape,) = recording.tapes
        client, answer = boundaries(tape)
        assert_tls_from(tape.client_bytes, client)
        assert_tls_from(tape.server_bytes, answer)


class Vsftpd:
    """All that the program does with files is in tests/ftps.py; here is what is on the wire."""

    servers = ("vsftpd",)

    def record(self):
        self.address, port = self.launched.address("SSLSOCK_VSFTPD_FTP")
        # The data connections go where the control connection goes.
        return record(self.address, port, listen=self.address)

    def test_ftps(self):
        with self.record() as recording:
            arguments = ["--name", "localhost", "--trust", f"{self.launched['SSLSOCK_PKI']}/ca.pem"]
            done = self.run_example("ftps", *arguments, self.address, recording.port, "list")
            self.assert_success(done, "S: 257 ", "resumed: yes", "S: 221 ")
            recording.wait()
            (tape,) = recording.tapes
        clear = b"AUTH TLS\r\n"
        self.assertEqual(bytes(tape.client_bytes[: len(clear)]), clear)
        assert_tls_from(tape.client_bytes, len(clear))
        log = pathlib.Path(self.launched["SSLSOCK_VSFTPD_LOG"]).read_text()
        self.assertIn("PWD", log)

    def test_ftps_does_not_trust(self):
        with self.record() as recording:
            arguments = ["--name", "localhost", "--password", "secret"]
            done = self.run_example("ftps", *arguments, self.address, recording.port, "list")
            self.assertEqual(done.returncode, 1, f"{done.stdout}{done.stderr}")
            self.assertIn("issuer", done.stderr)
            recording.wait()
            (tape,) = recording.tapes
            self.assertNotIn(b"USER", tape.client_bytes)

    def test_command_line(self):
        old, line, short = ("--tls", "1.1", "h", "1", "list"), ("h", "1", "get", "a\n", "b"), ("h", "1", "put", "a")
        for wrong in ((), ("host",), ("host", "0", "list"), old, line, short):
            done = self.run_example("ftps", *wrong)
            self.assertEqual(done.returncode, 2, f"{wrong}: {done.stdout}{done.stderr}")
            self.assertIn("usage: ", done.stderr)


def load_tests(loader, _tests, _pattern):
    classes = [
        type(f"{server.__name__}On{name.capitalize()}", (server, ExampleTest), {"runtime": name})
        for name in ("mono", "coreclr")
        for server in (Demo, Exim, Vsftpd)
    ]
    return unittest.TestSuite(loader.loadTestsFromTestCase(one) for one in classes)


if __name__ == "__main__":
    harness.run_and_count()
