#!/usr/bin/env python3
"""Programs that use the library, against real servers: what they sent has arrived, what they read was there.

The programs are looked for below SSLSOCK_BUILD (build/ by default); the library has to be where the loader finds it.
"""

import os
import pathlib
import secrets
import subprocess
import sys
import tempfile

ROOT = pathlib.Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "tests" / "servers"))

import harness  # noqa: E402

BUILD = pathlib.Path(os.environ.get("SSLSOCK_BUILD") or ROOT / "build").absolute()
# Of a C program: there was nothing to test with.
SKIPPED = 77


class RealServerTest(harness.ServerTest):
    def run_program(self, program, *arguments, **variables):
        path = BUILD / program
        if not path.exists():
            self.fail(f"{path} has not been built")
        environment = {**os.environ, **self.launched.variables, **variables}
        done = subprocess.run([path, *arguments], env=environment, capture_output=True, text=True, timeout=30)
        if done.returncode == SKIPPED and not os.environ.get("CI"):
            self.skipTest(done.stdout.strip())
        return done

    def assert_success(self, done):
        self.assertEqual(done.returncode, 0, f"{done.stdout}{done.stderr}")

    def assert_refused(self, done, *words):
        """The program itself says why; a crash has another status."""
        self.assertEqual(done.returncode, 1, f"{done.stdout}{done.stderr}")
        for word in words:
            self.assertIn(word, done.stderr)

    def other_authority(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        subprocess.run([sys.executable, harness.LAUNCH, "pki", folder.name], check=True)
        return folder.name


class Exim(RealServerTest):
    servers = ("exim",)

    def deliver(self, token, name=None, authority=None):
        return self.run_program(
            "examples/smtp_starttls", self.launched["SSLSOCK_EXIM_SMTP"],
            "--name", name or self.launched["SSLSOCK_SERVER_NAME"],
            "--ca", f"{authority or self.launched['SSLSOCK_PKI']}/ca.pem",
            "--ehlo", "client.test", "--from", "a@client.test", "--to", "b@mail.test", "--body", token,
        )  # fmt: skip

    def test_delivery(self):
        token = secrets.token_hex(32)
        self.assert_success(self.deliver(token))
        self.assertIsNotNone(self.find_in_spool(token), "the mail is not in the spool")

    def test_wrong_name_delivers_nothing(self):
        token = secrets.token_hex(32)
        self.assertNotIn(self.deliver(token, name="other.test").returncode, (0, -6, -11))
        self.assertIsNone(self.find_in_spool(token))

    def test_wrong_authority_delivers_nothing(self):
        token = secrets.token_hex(32)
        self.assertNotIn(self.deliver(token, authority=self.other_authority()).returncode, (0, -6, -11))
        self.assertIsNone(self.find_in_spool(token))


class Dovecot(RealServerTest):
    servers = ("dovecot",)

    def read_mail(self, program):
        token = secrets.token_hex(32)
        self.put_mail(token)
        self.assert_success(self.run_program(program, SSLSOCK_TOKEN=token))

    def refuse_peer(self, program):
        token = secrets.token_hex(32)
        self.put_mail(token)
        self.assert_refused(self.run_program(program, "other.test", SSLSOCK_TOKEN=token), "ssl_perform_handshake", "other.test")
        other = self.run_program(program, SSLSOCK_TOKEN=token, SSLSOCK_PKI=self.other_authority())
        self.assert_refused(other, "ssl_perform_handshake")
        # Without the mail the program must fail, or its success above says nothing.
        missing = self.run_program(program, SSLSOCK_TOKEN=secrets.token_hex(32))
        self.assertEqual(missing.returncode, 1, missing.stderr)

    def test_imap_starttls(self):
        self.read_mail("c-tests/imap_starttls")

    def test_imap_starttls_refuses(self):
        self.refuse_peer("c-tests/imap_starttls")

    def test_pop3_stls(self):
        self.read_mail("c-tests/pop3_stls")

    def test_pop3_stls_refuses(self):
        self.refuse_peer("c-tests/pop3_stls")


if __name__ == "__main__":
    harness.run_and_count()
