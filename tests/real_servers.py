#!/usr/bin/env python3
"""Programs that use the library, against real servers: what they sent has arrived, what they read was there.

The programs are looked for below SSLSOCK_BUILD (build/ by default); the library has to be where the loader finds it.
"""

import os
import pathlib
import re
import secrets
import shutil
import ssl
import subprocess
import sys
import tempfile

ROOT = pathlib.Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "tests" / "servers"))

import harness  # noqa: E402
import pki  # noqa: E402

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


class Nginx(RealServerTest):
    """Client certificates: nginx answers whom it has seen."""

    servers = ("nginx",)
    VERSIONS = ("SSLSOCK_NGINX_MUTUAL", "SSLSOCK_NGINX_MUTUAL13")

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        if cls.lacking:
            return
        folder = tempfile.TemporaryDirectory()
        cls.addClassCleanup(folder.cleanup)
        cls.folder = pathlib.Path(folder.name)
        for name in ("ca.pem", "ca.key"):
            shutil.copy(pathlib.Path(cls.launched["SSLSOCK_PKI"], name), cls.folder)
        pki.make_client(cls.folder, "ec", "ec")
        pki.make_client(cls.folder, "rsa", "rsa", key="rsa")
        pki.make_authority(cls.folder, "stranger", "stranger")
        pki.make_client(cls.folder, "strange", "strange", issuer="stranger")
        for name in ("ec", "rsa"):
            der = ["-outform", "DER", "-out"]
            subprocess.run(["openssl", "x509", "-in", cls.path(f"{name}.pem"), *der, cls.path(f"{name}.der")], check=True)
            subprocess.run(["openssl", "pkey", "-in", cls.path(f"{name}.key"), *der, cls.path(f"{name}.key.der")], check=True)
            both = cls.folder / f"{name}.all"
            both.write_text((cls.folder / f"{name}.pem").read_text() + (cls.folder / f"{name}.key").read_text())

    @classmethod
    def path(cls, name):
        return str(cls.folder / name)

    def ask(self, variable, way, *files):
        names = [self.path(name) for name in files]
        done = self.run_program("c-tests/client_certificate", variable, way, *names)
        self.assert_success(done)
        return done.stdout

    def assert_seen_as(self, name, way, *files):
        for variable in self.VERSIONS:
            answer = self.ask(variable, way, *files)
            self.assertRegex(answer, r"(?m)^HTTP/1\.\d 200 ", f"{variable}: {way} {files}")
            self.assertTrue(answer.endswith(f"\n\ndn=CN={name}\n"), answer)

    def test_files_and_memory_in_pem_and_der(self):
        for kind in ("ec", "rsa"):
            for way in ("file", "memory"):
                self.assert_seen_as(kind, way, f"{kind}.pem", f"{kind}.key")
                self.assert_seen_as(kind, way, f"{kind}.der", f"{kind}.key.der")
                self.assert_seen_as(kind, way, f"{kind}.all", f"{kind}.all")

    def test_intermediates_go_with_the_leaf(self):
        names = [str(pathlib.Path(self.launched["SSLSOCK_PKI"], name)) for name in ("client-chain.pem", "client.key")]
        self.assert_seen_as("user", "file", *names)

    def test_a_key_that_another_program_has(self):
        for kind in ("ec", "rsa"):
            self.assert_seen_as(kind, "signer", f"{kind}.pem", f"{kind}.key")
            self.assert_seen_as(kind, "signer", f"{kind}.der", f"{kind}.key")

    def test_a_hook_that_forks_and_returns_in_the_child_too(self):
        for kind in ("ec", "rsa"):
            self.assert_seen_as(kind, "fork", f"{kind}.pem", f"{kind}.key")

    def test_the_first_by_an_issuer_that_nginx_names(self):
        self.assert_seen_as("rsa", "add", "strange.pem", "strange.key", "rsa.pem", "rsa.key", "ec.pem", "ec.key")

    def test_the_hook_is_told_the_issuers_and_chooses(self):
        authorities = pathlib.Path(self.launched["SSLSOCK_NGINX_AUTHORITIES"]).read_text()
        pems = re.findall(r"-----BEGIN.*?END CERTIFICATE-----", authorities, re.S)
        expected = [issuer_of(ssl.PEM_cert_to_DER_cert(pem)).hex() for pem in pems]
        self.assertEqual(len(expected), 2)
        for kind in ("ec", "rsa"):
            identities = ("strange.pem", "strange.key", "rsa.pem", "rsa.key", "ec.pem", "ec.key")
            self.assert_seen_as(kind, "hook", f"{kind}.der", *identities)
            for variable in self.VERSIONS:
                answer = self.ask(variable, "hook", f"{kind}.der", *identities)
                self.assertEqual(re.findall(r"^issuer=(.*)$", answer, re.M), expected)

    def test_what_nginx_does_not_accept_it_says_so(self):
        for variable in self.VERSIONS:
            wrong = self.ask(variable, "file", "strange.pem", "strange.key")
            self.assertRegex(wrong, r"(?m)^HTTP/1\.\d 400 ")
            self.assertIn("The SSL certificate error", wrong)
            for way, *files in (["none"], ["decline", "ec.pem", "ec.key"]):
                none = self.ask(variable, way, *files)
                self.assertRegex(none, r"(?m)^HTTP/1\.\d 400 ")
                self.assertIn("No required SSL certificate was sent", none)

    def test_windows_ce_hooks(self):
        for program in ("c-tests/wince_client_auth", "c-tests/wince_client_auth-c++"):
            for variable in self.VERSIONS:
                for kind, scheme in (("ec", "0x0403"), ("rsa", "0x0804")):
                    done = self.run_program(program, variable, self.path(f"{kind}.der"), self.path(f"{kind}.key"))
                    self.assert_success(done)
                    self.assertIn(f"issuers=2 scheme={scheme}\n", done.stdout)
                    self.assertTrue(done.stdout.endswith(f"dn=CN={kind}\n"), done.stdout)
                # By another key.
                other = self.run_program(program, variable, self.path("ec.der"), self.path("rsa.key"))
                self.assert_refused(other, "error ")


def issuer_of(certificate):
    """The issuer's name in DER of a certificate in DER."""

    def element(der):
        length, start = der[1], 2
        if length > 0x80:
            start += length - 0x80
            length = int.from_bytes(der[2:start], "big")
        return der[start : start + length], der[: start + length], der[start + length :]

    inside = element(element(certificate)[0])[0]
    # Version, serial number, algorithm.
    for _ in range(3):
        inside = element(inside)[2]
    return element(inside)[1]


if __name__ == "__main__":
    harness.run_and_count()
