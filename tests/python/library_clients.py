"""smtplib, imaplib, poplib and ftplib, upgraded in place, in a Python without `ssl`, against real servers."""

import os
import pathlib
import secrets
import subprocess
import sys

import harness
from sslsock import SSL_ERR_BAD_SIG, SSL_ERR_NAME
from upgrades import other_authority

PROGRAM = pathlib.Path(__file__).resolve().parent / "client_program.py"


class LibraryClientTest(harness.ServerTest):
    def run_client(self, what, token, name="mail.test", authority=None):
        command = [sys.executable, PROGRAM, what, name, authority or f"{self.launched['SSLSOCK_PKI']}/ca.pem", token]
        environment = {**os.environ, **self.launched.variables}
        return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60)

    def assert_done(self, done):
        self.assertEqual((done.returncode, done.stdout), (0, "done\n"), done.stderr)

    def assert_refused(self, what, log, evidence, login):
        """Wrong name and wrong authority; then the log has the `evidence` of each, and no login."""
        for number, (code, options) in enumerate(
            ((SSL_ERR_NAME, {"name": "other.test"}), (SSL_ERR_BAD_SIG, {"authority": other_authority(self)})), 1
        ):
            done = self.run_client(what, secrets.token_hex(8), **options)
            self.assertEqual((done.returncode, done.stdout), (3, f"refused {code}\n"), done.stderr)
            log.await_line(rf"(?s)(?:{evidence}.*){{{number}}}")
        self.assertIsNone(log.find(login), log.text())


class Smtplib(LibraryClientTest):
    servers = ("exim",)

    def test_delivers(self):
        token, log = secrets.token_hex(16), self.log("SSLSOCK_EXIM_LOG")
        self.assert_done(self.run_client("smtp", token))
        log.await_line(rf"<= {token}@client\.test H=\(client\.test\) \[127\.0\.0\.3\] P=esmtpsa X=TLS1\.3:\w+.* A=plain:user")
        self.assertIsNotNone(self.find_in_spool(token))

    def test_refuses(self):
        log = self.log("SSLSOCK_EXIM_LOG")
        self.assert_refused("smtp", log, r"TLS error on connection from \S+ \[127\.0\.0\.3\]", "A=plain")


class DovecotClientTest(LibraryClientTest):
    servers = ("dovecot",)

    def assert_fetches(self, what):
        token, log = secrets.token_hex(16), self.log("SSLSOCK_DOVECOT_LOG")
        self.put_mail(token)
        self.assert_done(self.run_client(what, token))
        log.await_line(rf"{what}-login: Info: Login: user=<user>, .*, TLS, TLSv1\.3 with cipher \w+")
        # Without the mail the program fails, or its success above would say nothing.
        self.assertEqual(self.run_client(what, secrets.token_hex(16)).returncode, 1)

    def assert_fetches_nothing(self, what):
        log = self.log("SSLSOCK_DOVECOT_LOG")
        self.assert_refused(what, log, rf"{what}-login: Info: Disconnected.* SSL_accept\(\) failed", "Info: Login:")


class Imaplib(DovecotClientTest):
    def test_fetches(self):
        self.assert_fetches("imap")

    def test_refuses(self):
        self.assert_fetches_nothing("imap")


class Poplib(DovecotClientTest):
    def test_fetches(self):
        self.assert_fetches("pop3")

    def test_refuses(self):
        self.assert_fetches_nothing("pop3")


class Ftplib(LibraryClientTest):
    servers = ("vsftpd",)

    def assert_transfers(self, mode, command):
        """The file is there as it was brought; the server has seen the `command` with the client's real address."""
        token, log = secrets.token_hex(16), self.log("SSLSOCK_VSFTPD_LOG")
        self.assert_done(self.run_client(mode, token))
        path = pathlib.Path(self.launched["SSLSOCK_VSFTPD_ROOT"], "upload", token)
        self.assertEqual(path.read_text(), token * 10_000)
        client = r'Client "127\.0\.0\.3"'
        log.await_line(rf'(?s)(?:FTP command: {client}, "{command}"\n.*){{3}}')
        log.await_line(rf'OK UPLOAD: {client}, ".*/upload/{token}"')
        log.await_line(rf'OK DOWNLOAD: {client}, ".*/upload/{token}"')
        log.await_line(rf'{client}, "SSL version: TLSv1\.3, SSL cipher: \w+')
        log.await_line(rf"OK LOGIN: {client}")

    def test_transfers_with_pasv(self):
        self.assert_transfers("pasv", "PASV")

    def test_transfers_with_epsv(self):
        self.assert_transfers("epsv", "EPSV")

    def test_transfers_with_port(self):
        self.assert_transfers("port", r"PORT 127,0,0,3,\d+,\d+")

    def test_transfers_with_eprt(self):
        self.assert_transfers("eprt", r"EPRT \|1\|127\.0\.0\.3\|\d+\|")

    def test_transfers_in_private(self):
        for mode, command in (("pasv-private", "PASV"), ("port-private", r"PORT 127,0,0,3,\d+,\d+")):
            log = self.log("SSLSOCK_VSFTPD_LOG")
            self.assert_transfers(mode, command)
            # The control connection, and three for data.
            log.await_line(r"(?s)SSL version: .*not reused.*(?:SSL version: [^\n]*, reused.*){3}")

    def test_refuses(self):
        log = self.log("SSLSOCK_VSFTPD_LOG")
        self.assert_refused("pasv", log, r'Client "127\.0\.0\.3", "SSL_accept failed', "OK LOGIN")
