#!/usr/bin/env python3
"""The article's SMTP listing, taken out of its text, compiled against SslSock.dll and run.

Nothing of it is changed but what REPLACEMENTS lists, and for Exim, which wants a name behind EHLO and does not end its
answer in "250 OK", FOR_EXIM. The difference is printed.
"""

import difflib
import os
import pathlib
import secrets
import socket
import sys
import tempfile
import unittest

TESTS = pathlib.Path(__file__).resolve().parents[1]
sys.path[:0] = [str(TESTS), str(TESTS / "servers")]

import harness  # noqa: E402
import pki  # noqa: E402
import runtimes  # noqa: E402
from demo_recorded import MailServer, boundaries  # noqa: E402
from recorder import CLIENT, assert_tls_from, record, tls_records  # noqa: E402

FOLDER = pathlib.Path(__file__).with_name("article")
PROGRAMS = runtimes.BUILD / "dotnet-tests" / "article"
TIMEOUT = 60
# The programs take the first address of the name.
LOCALHOST = socket.getaddrinfo("localhost", None, type=socket.SOCK_STREAM)[0][4][0]

# The web page's quotation marks, the host and the port.
REPLACEMENTS = (("\u201c", '"'), ("\u201d", '"'), ("smtp.live.com", "localhost"), ("587", "PORT"))
FOR_EXIM = (
    ('"EHLO\\r\\n"', '"EHLO client.test\\r\\n"'),
    ('(line = sr.ReadLine()) != "250 OK"', '!(line = sr.ReadLine()).StartsWith("250 ")'),
    ('Debug.WriteLine("success");', 'Debug.WriteLine("success"); Mail.Deliver(s, sr);'),
)


def listing():
    """The article's lines from the server's name to the end of the using block."""
    text = (FOLDER / "article.txt").read_text()
    return text[text.index("string SmtpServer") : text.index("Again, thanks to")].strip()


def replaced(text, replacements):
    for old, new in replacements:
        if old not in text:
            raise ValueError(f"{old} is not in the listing")
        text = text.replace(old, new)
    return text


class ArticleTest(harness.ServerTest):
    """One runtime's tests; `runtime` is its name."""

    runtime = None
    servers = ("exim",)

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        try:
            cls.host = runtimes.runtime(cls.runtime)
        except runtimes.Lacking as lacking:
            cls.host, cls.without = None, str(lacking)

    def setUp(self):
        if self.host is None:
            (self.fail if os.environ.get("CI") else self.skipTest)(self.without)

    def build(self, port, more=()):
        """The program, and the difference between the article's listing and what it contains."""
        original = listing()
        changed = replaced(original, (*REPLACEMENTS[:-1], (REPLACEMENTS[-1][0], str(port)), *more))
        difference = list(
            difflib.unified_diff(original.splitlines(), changed.splitlines(), "article", "program", lineterm="", n=0)
        )
        print("\n".join(difference), flush=True)
        folder = PROGRAMS / self.id().rpartition(".")[2] / self.runtime
        folder.mkdir(parents=True, exist_ok=True)
        source = folder / "article.cs"
        source.write_text((FOLDER / "Main.cs").read_text().replace("\n// THE LISTING\n", f"\n{changed}\n"))
        # Loops with empty bodies and a variable that is only set, at which the compiler would warn.
        options = ["-define:DEBUG;TRACE", "-nowarn:219,642"]
        program = runtimes.compile([source], [runtimes.ASSEMBLY, "System.dll"], folder / "article.exe", options)
        return program, [line for line in difference[2:] if line[0] in "+-"]

    def run_program(self, program, authority, **variables):
        return self.host.run(
            program, authority, variables=variables, capture_output=True, text=True, timeout=TIMEOUT
        )

    def test_success(self):
        with MailServer() as server, record(server.host, server.port, listen=LOCALHOST) as recording:
            program, difference = self.build(recording.port)
            # Seven lines have quotation marks or the port in them, and no other is changed.
            old = [line[1:] for line in difference if line[0] == "-"]
            self.assertEqual(["\u201c" in line or "587" in line for line in old], [True] * 7, old)
            done = self.run_program(program, server.ca)
            self.assertEqual(done.returncode, 0, f"{done.stdout}{done.stderr}")
            self.assertIn("success\n", done.stdout)
            self.assertIn("after: 221", done.stdout)
            recording.wait()
            self.assertIn("the client said QUIT", server.output())
            (tape,) = recording.tapes
        client, answer = boundaries(tape)
        self.assertEqual(bytes(tape.client_bytes[:client]), b"EHLO\r\nSTARTTLS\r\n")
        self.assertEqual(tape.seen_before(CLIENT, client), answer)
        assert_tls_from(tape.client_bytes, client)
        assert_tls_from(tape.server_bytes, answer)

    def test_wrong_authority(self):
        """The listing fails with an exception that says why, and nothing is sent."""
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        pki.make(folder.name)
        with MailServer() as server, record(server.host, server.port, listen=LOCALHOST) as recording:
            program, _ = self.build(recording.port)
            done = self.run_program(program, f"{folder.name}/ca.pem")
            self.assertEqual(done.returncode, 1, f"{done.stdout}{done.stderr}")
            self.assertIn("refused: ", done.stdout)
            self.assertIn("issuer", done.stdout)
            self.assertNotIn("success", done.stdout)
            recording.wait()
            self.assertIn("0 received", server.output())
            (tape,) = recording.tapes
        client, _ = boundaries(tape)
        kinds = [kind for kind, _ in tls_records(tape.client_bytes, client)]
        self.assertNotIn(b"after.test", tape.client_bytes)
        # ClientHello, perhaps a change_cipher_spec, and the alert that says no.
        self.assertLessEqual(len(kinds), 3)

    def test_mail_by_exim(self):
        super().setUp()
        token = secrets.token_hex(32)
        with record(*self.launched.address("SSLSOCK_EXIM_SMTP"), listen=LOCALHOST) as recording:
            program, _ = self.build(recording.port, FOR_EXIM)
            authority = f"{self.launched['SSLSOCK_PKI']}/ca.pem"
            done = self.run_program(program, authority, SSLSOCK_TEST_TOKEN=token)
            self.assertEqual(done.returncode, 0, f"{done.stdout}{done.stderr}")
            self.assertIn("success\n", done.stdout)
            self.assertIsNotNone(self.find_in_spool(token), "the mail is not in the spool")
            recording.wait()
            (tape,) = recording.tapes
        client, answer = boundaries(tape)
        assert_tls_from(tape.client_bytes, client)
        assert_tls_from(tape.server_bytes, answer)


class OnMono(ArticleTest):
    runtime = "mono"


class OnCoreClr(ArticleTest):
    runtime = "coreclr"


def load_tests(loader, _tests, _pattern):
    return unittest.TestSuite(loader.loadTestsFromTestCase(one) for one in (OnMono, OnCoreClr))


if __name__ == "__main__":
    harness.run_and_count()
