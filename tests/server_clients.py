#!/usr/bin/env python3
"""The server role (c-tests/tls_server.c), with other people's clients: OpenSSL's, GnuTLS's, curl, Python's."""

import os
import pathlib
import queue
import re
import shutil
import smtplib
import socket
import ssl
import subprocess
import sys
import tempfile
import threading
import unittest

ROOT = pathlib.Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "tests" / "servers"))

import harness  # noqa: E402
import pki  # noqa: E402

BUILD = pathlib.Path(os.environ.get("SSLSOCK_BUILD") or ROOT / "build").absolute()
HOST = "127.0.0.2"
SECONDS = 30
NAME = pki.NAME

AUTH_CLIENT, ASK_CLIENT, STRICT = 0x4, 0x800000, 0x40000
NO_RESUMPTION, NO_POST_QUANTUM = 0x400000, 0x1000000
TRUSTED, NOT_TRUSTED, ACCEPTED_BY_HOOK = 1, 2, 3
ISSUER_UNKNOWN, EXPIRED, USAGE = 1, 4, 32
VERSIONS = ("1.2", "1.3")
WAYS = ((), ("--explicit",))


class Server:
    """The program, and what it has said."""

    def __init__(self, test, *arguments, **environment):
        path = BUILD / "c-tests" / "tls_server"
        if not path.exists():
            test.fail(f"{path} has not been built")
        self.process = subprocess.Popen(
            [path, *map(str, arguments)],
            env={**os.environ, **environment},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
        )
        test.addCleanup(self.stop)
        self.test = test
        self.lines = queue.Queue()
        threading.Thread(target=self._read, daemon=True).start()
        self.port = int(self.next().split()[1])

    def _read(self):
        for line in self.process.stdout:
            self.lines.put(line.rstrip("\n"))
        self.lines.put("the program has ended")

    def next(self):
        return self.lines.get(timeout=SECONDS)

    def connection(self):
        """All that is said of the next connection."""
        said = []
        while not said or said[-1] != "closed":
            said.append(self.next())
            if said[-1] == "the program has ended":
                self.test.fail(f"the server has ended: {said}")
        return said

    def stop(self):
        self.process.stdin.close()
        try:
            self.test.assertEqual(self.process.wait(SECONDS), 0)
        finally:
            self.process.kill()
            self.process.stdout.close()


class ClientTest(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        folder = tempfile.TemporaryDirectory()
        cls.addClassCleanup(folder.cleanup)
        cls.folder = pathlib.Path(folder.name)
        cls.pki, cls.other, cls.rsa = (cls.folder / name for name in ("pki", "other", "rsa"))
        pki.make(cls.pki)
        pki.make(cls.other, authority="another")
        pki.make(cls.rsa, "rsa")
        pki.make_named(cls.pki, "a", "a.test", "a.test")
        pki.make_named(cls.pki, "wild", "wild.test", "*.wild.test")
        pki.make_expired(cls.pki, "late", "clientAuth")
        cls.both = cls.folder / "both.pem"
        cls.both.write_text((cls.pki / "ca.pem").read_text() + (cls.rsa / "ca.pem").read_text())

    def serve(self, *arguments, identities=None, **environment):
        identities = identities or [(self.pki / "server-chain.pem", self.pki / "server.key")]
        options = [part for identity in identities for part in ("--identity", *identity)]
        return Server(self, *options, *arguments, **environment)

    def need(self, program):
        if shutil.which(program):
            return
        if os.environ.get("CI"):
            self.fail(f"{program} is missing")
        self.skipTest(f"{program} is missing")

    def run_client(self, *command, said="hello\nQUIT\n"):
        return subprocess.run(
            [*map(str, command)],
            input=said,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=SECONDS,
            env={**os.environ, "LC_ALL": "C"},
        )

    def s_client(self, server, *arguments, version=None, **options):
        self.need("openssl")
        limit = [f"-tls{version.replace('.', '_')}"] if version else []
        return self.run_client(
            "openssl", "s_client", "-connect", f"{HOST}:{server.port}", "-CAfile", self.both, "-verify_return_error",
            "-ign_eof", *limit, *arguments, **options,
        )  # fmt: skip

    def client(self, which, place=None):
        """The arguments that have s_client show this certificate."""
        place = place or self.pki
        of_intermediate = (place / f"{which}-chain.pem").exists()
        more = ["-cert_chain", place / "intermediate.pem"] if of_intermediate else []
        return ["-cert", place / f"{which}.pem", "-key", place / f"{which}.key", *more]

    def of_python(self, version=None):
        context = ssl.create_default_context(cafile=self.both)
        if version:
            number = ssl.TLSVersion.TLSv1_2 if version == "1.2" else ssl.TLSVersion.TLSv1_3
            context.minimum_version = context.maximum_version = number
        return context

    def talk(self, server, context, name=NAME, session=None):
        """A line there and back; the connection's facts."""
        with socket.create_connection((HOST, server.port), SECONDS) as connection:
            with context.wrap_socket(connection, server_hostname=name, session=session) as tls:
                tls.sendall(b"hello\r\n")
                self.assertEqual(tls.recv(100), b"hello\r\n")
                tls.sendall(b"QUIT\r\n")
                self.assertEqual(tls.recv(100), b"")
                return tls.version(), tls.session_reused, tls.session, tls.selected_alpn_protocol(), tls.getpeercert()

    def assert_said(self, said, pattern):
        self.assertTrue(any(re.search(pattern, line) for line in said), f"no {pattern} in {said}")


class Clients(ClientTest):
    def test_openssl(self):
        for way in WAYS:
            server = self.serve(*way)
            for version in VERSIONS:
                with self.subTest(way=way, version=version):
                    done = self.s_client(server, "-servername", NAME, "-verify_hostname", NAME, version=version)
                    self.assertEqual(done.returncode, 0, done.stderr)
                    self.assertIn("hello\n", done.stdout)
                    self.assertIn("Verify return code: 0 (ok)", done.stdout)
                    said = server.connection()
                    self.assert_said(said, rf"^session TLSv{version} resumed=0 alpn= name={NAME} ")
                    self.assertIn("line hello", said)
                    self.assertIn("peer none", said)

    def test_openssl_after_starttls(self):
        for way in WAYS:
            server = self.serve("--smtp", *way)
            for version in VERSIONS:
                with self.subTest(way=way, version=version):
                    done = self.s_client(
                        server, "-starttls", "smtp", "-servername", NAME, version=version, said="EHLO x\r\nQUIT\r\n"
                    )
                    self.assertEqual(done.returncode, 0, done.stderr)
                    self.assertIn("250 8BITMIME", done.stdout)
                    self.assertIn("221 bye", done.stdout)
                    said = server.connection()
                    self.assert_said(said, r"^line \(in clear\) STARTTLS")
                    self.assert_said(said, r"^line EHLO x")

    def test_curl(self):
        self.need("curl")
        for way in WAYS:
            server = self.serve(*way)
            for version in VERSIONS:
                with self.subTest(way=way, version=version):
                    done = self.run_client(
                        "curl", "--silent", "--show-error", "--cacert", self.both, f"--tlsv{version}", "--tls-max", version,
                        "--connect-to", f"::{HOST}:", f"https://{NAME}:{server.port}/file",
                    )  # fmt: skip
                    self.assertEqual((done.returncode, done.stdout), (0, "hello\n"), done.stderr)
                    self.assert_said(server.connection(), r"^line GET /file HTTP/1.1")

    def test_curl_sends_a_mail(self):
        self.need("curl")
        mail = self.folder / "mail"
        mail.write_text("Subject: x\r\n\r\nthe text\r\n")
        for way in WAYS:
            server = self.serve("--smtp", *way)
            for version in VERSIONS:
                with self.subTest(way=way, version=version):
                    done = self.run_client(
                        "curl", "--silent", "--show-error", "--ssl-reqd", "--cacert", self.both, f"--tlsv{version}",
                        "--tls-max", version, "--mail-from", "a@a.test", "--mail-rcpt", "b@b.test", "--upload-file", mail,
                        "--connect-to", f"::{HOST}:", f"smtp://{NAME}:{server.port}",
                    )  # fmt: skip
                    self.assertEqual(done.returncode, 0, done.stderr)
                    said = server.connection()
                    self.assertIn("data the text", said)
                    self.assertIn("line (in clear) STARTTLS", said)
                    self.assertIn("line DATA", said)

    def gnutls(self, server, *arguments, version="1.3", said="hello\nQUIT\n"):
        self.need("gnutls-cli")
        priority = f"NORMAL:-VERS-ALL:+VERS-TLS{version}"
        return self.run_client(
            "gnutls-cli", "--x509cafile", self.both, "--sni-hostname", NAME, "--verify-hostname", NAME, "--priority",
            priority, "-p", server.port, *arguments, HOST, said=said,
        )  # fmt: skip

    def test_gnutls(self):
        for way in WAYS:
            server = self.serve(*way)
            for version in VERSIONS:
                with self.subTest(way=way, version=version):
                    done = self.gnutls(server, version=version)
                    self.assertIn("Handshake was completed", done.stdout)
                    self.assertIn("hello\n", done.stdout)
                    self.assert_said(server.connection(), rf"^session TLSv{version} resumed=0 alpn= name={NAME} ")

    def test_gnutls_after_starttls(self):
        for way in WAYS:
            server = self.serve("--smtp", *way)
            for version in VERSIONS:
                with self.subTest(way=way, version=version):
                    done = self.gnutls(server, "--starttls-proto=smtp", version=version, said="EHLO x\r\nQUIT\r\n")
                    self.assertIn("250 8BITMIME", done.stdout, done.stderr)
                    self.assert_said(server.connection(), r"^line \(in clear\) STARTTLS")

    def test_gnutls_resumes(self):
        server = self.serve()
        for version in VERSIONS:
            with self.subTest(version=version):
                done = self.gnutls(server, "--resume", version=version)
                self.assertIn("This is a resumed session", done.stdout, done.stderr)
                self.assert_said(server.connection(), rf"^session TLSv{version} resumed=0")
                self.assert_said(server.connection(), rf"^session TLSv{version} resumed=1")

    def test_python_sends_a_mail(self):
        for way in WAYS:
            server = self.serve("--smtp", *way)
            for version in VERSIONS:
                with self.subTest(way=way, version=version):
                    with smtplib.SMTP(HOST, server.port, timeout=SECONDS) as client:
                        # The name is what smtplib verifies.
                        client._host = NAME
                        client.starttls(context=self.of_python(version))
                        self.assertEqual(client.sock.version(), f"TLSv{version}")
                        client.sendmail("a@a.test", ["b@b.test"], "Subject: x\r\n\r\nthe text")
                    self.assertIn("data the text", server.connection())


class ClientCertificates(ClientTest):
    """Both versions: in TLS 1.3 a client is done before the server has looked at its certificate."""

    def each(self, *arguments):
        servers = [self.serve(*way, *arguments) for way in WAYS]
        return [(server, version) for server in servers for version in VERSIONS]

    def trust(self):
        return "--trust", self.pki / "ca.pem"

    def refused(self, server, done, code, pattern, alert):
        """The server says why, and the client gets the alert."""
        said = server.connection()
        self.assert_said(said, rf"^failed {code} ")
        self.assert_said(said, pattern)
        self.assertFalse([line for line in said if line.startswith(("line ", "session "))], said)
        self.assertNotIn("hello\n", done.stdout)
        if "-tls1_3" in done.args:
            # The client speaks at once, and may find the connection reset before it reads the alert.
            alert = f"{alert}|write:errno="
        self.assertRegex(done.stderr, alert)

    def test_one_that_is_demanded_and_right(self):
        for server, version in self.each("--flags", AUTH_CLIENT, *self.trust()):
            done = self.s_client(server, *self.client("client"), version=version)
            self.assertIn("hello\n", done.stdout, done.stderr)
            # Whom it trusts is told, so that the client can choose.
            self.assertIn("Acceptable client certificate CA names\nCN = sslsock test root\n", done.stdout)
            said = server.connection()
            self.assert_said(said, rf"^peer verdict={TRUSTED} causes=0 chain=2 expected= subject=CN=user$")

    def test_one_that_is_demanded_and_missing(self):
        for server, version in self.each("--flags", AUTH_CLIENT | ASK_CLIENT, *self.trust()):
            done = self.s_client(server, version=version)
            self.refused(
                server, done, "SSL_ERR_NO_CERT", "client sent no certificate, and SSL_FLAG_AUTH_CLIENT demands one",
                "alert number 116" if version == "1.3" else "alert",
            )  # fmt: skip

    def test_one_that_is_asked_for_and_missing(self):
        for server, version in self.each("--flags", ASK_CLIENT, *self.trust()):
            done = self.s_client(server, version=version)
            self.assertIn("hello\n", done.stdout, done.stderr)
            self.assertIn("peer none", server.connection())

    def test_one_of_another_authority(self):
        for flag in (AUTH_CLIENT, ASK_CLIENT):
            for server, version in self.each("--flags", flag, *self.trust()):
                done = self.s_client(server, *self.client("client", self.other), version=version)
                self.refused(
                    server, done, "SSL_ERR_CERT_UNKNOWN",
                    rf"^peer verdict={NOT_TRUSTED} causes={ISSUER_UNKNOWN} ", "alert unknown ca",
                )  # fmt: skip

    def test_one_that_has_expired(self):
        for server, version in self.each("--flags", ASK_CLIENT, *self.trust()):
            done = self.s_client(server, *self.client("late"), version=version)
            self.refused(
                server, done, "SSL_ERR_CERT_EXPIRED", rf"^peer verdict={NOT_TRUSTED} causes={EXPIRED} ",
                "alert certificate expired",
            )  # fmt: skip

    def test_one_for_servers(self):
        for server, version in self.each("--flags", AUTH_CLIENT, *self.trust()):
            done = self.s_client(server, *self.client("server"), version=version)
            self.refused(
                server, done, "SSL_ERR_CERT_UNKNOWN", "not meant for clients .* use one with client authentication",
                "alert unsupported certificate",
            )  # fmt: skip

    def test_a_hook_that_accepts(self):
        for server, version in self.each("--flags", AUTH_CLIENT, "--hook", 0):
            for which, place, causes in (
                ("client", self.other, ISSUER_UNKNOWN),
                ("late", self.pki, ISSUER_UNKNOWN | EXPIRED),
            ):
                done = self.s_client(server, *self.client(which, place), version=version)
                self.assertIn("hello\n", done.stdout, done.stderr)
                said = server.connection()
                self.assert_said(said, r"^hook type=1 count=1 size=\d+ flags=1$")
                self.assert_said(said, rf"^peer verdict={ACCEPTED_BY_HOOK} causes={causes} ")
            # It is asked about certificates, not about their absence.
            self.refused(
                server, self.s_client(server, version=version), "SSL_ERR_NO_CERT", "client sent no certificate", "alert"
            )

    def test_a_hook_that_refuses(self):
        self.refused_by_hook(ASK_CLIENT)

    def test_a_hook_that_refuses_where_nothing_is_left_to_send(self):
        """Without a ticket the client has the last word."""
        self.refused_by_hook(ASK_CLIENT | NO_RESUMPTION)

    def refused_by_hook(self, flags):
        for server, version in self.each("--flags", flags, "--hook", 9, *self.trust()):
            done = self.s_client(server, *self.client("client"), version=version)
            said = server.connection()
            self.assert_said(said, r"^hook type=1 count=1 size=\d+ flags=0$")
            self.assert_said(said, r"^failed SSL_ERR_CERT_REVOKED .* hook refused the certificate with 9")
            self.assertNotIn("hello\n", done.stdout)
            done = self.s_client(server, version=version)
            self.assertIn("hello\n", done.stdout, "it is not asked where there is no certificate")
            server.connection()

    def test_a_strict_hook_accepts_nothing_wrong(self):
        for server, version in self.each("--flags", AUTH_CLIENT | STRICT, "--hook", 0, *self.trust()):
            self.s_client(server, *self.client("client", self.other), version=version)
            self.assert_said(server.connection(), "SSL_FLAG_STRICT does not let the hook accept that")
            done = self.s_client(server, *self.client("client"), version=version)
            self.assertIn("hello\n", done.stdout, done.stderr)
            server.connection()

    def test_nothing_says_whom_to_believe(self):
        for flag in (AUTH_CLIENT, ASK_CLIENT):
            server = self.serve("--flags", flag)
            done = self.s_client(server, *self.client("client"))
            self.assertNotEqual(done.returncode, 0)
            self.assert_said(server.connection(), "^failed SSL_ERR_INVALID .*do not vouch for clients")

    def test_a_resumed_client_is_looked_at_again(self):
        for server, version in self.each("--flags", AUTH_CLIENT, "--hook", 0, *self.trust()):
            context = self.of_python(version)
            context.load_cert_chain(self.pki / "client-chain.pem", self.pki / "client.key")
            _, reused, session, *_ = self.talk(server, context)
            self.assertFalse(reused)
            self.assert_said(server.connection(), r"^hook .*flags=0$")
            _, reused, *_ = self.talk(server, context, session=session)
            self.assertTrue(reused)
            said = server.connection()
            self.assert_said(said, "resumed=1")
            self.assert_said(said, r"^hook type=1 count=1 size=\d+ flags=0$")
            self.assert_said(said, rf"^peer verdict={TRUSTED} causes=0 chain=2 expected= subject=CN=user$")


class Identities(ClientTest):
    def test_the_name_chooses(self):
        names = ("server-chain", "server"), ("a", "a"), ("wild", "wild")
        server = self.serve(identities=[(self.pki / f"{chain}.pem", self.pki / f"{key}.key") for chain, key in names])
        for name, shown in (
            (NAME, NAME),
            ("a.test", "a.test"),
            ("A.Test", "a.test"),
            ("x.wild.test", "wild.test"),
            ("x.y.wild.test", NAME),
            ("other.test", NAME),
            (None, NAME),
        ):
            for version in VERSIONS:
                with self.subTest(name=name, version=version):
                    sni = ["-servername", name] if name else ["-noservername"]
                    done = self.s_client(server, *sni, version=version)
                    self.assertIn(f"subject=CN = {shown}\n", done.stdout, done.stderr)
                    said = server.connection()
                    self.assert_said(said, rf"^session .* name={(name or '').lower()} group=")

    def test_the_signatures_that_the_client_takes_choose(self):
        pair = [
            (self.pki / "server-chain.pem", self.pki / "server.key"),
            (self.rsa / "server-chain.pem", self.rsa / "server.key"),
        ]
        for identities in (pair, pair[::-1]):
            server = self.serve(identities=identities)
            for version in VERSIONS:
                for schemes, kind in (
                    ("ECDSA+SHA256", "ECDSA"),
                    ("RSA-PSS+SHA256:RSA+SHA256", "RSA-PSS" if version == "1.3" else "RSA"),
                ):
                    with self.subTest(first=identities[0], version=version, schemes=schemes):
                        done = self.s_client(server, "-servername", NAME, "-sigalgs", schemes, version=version)
                        self.assertIn("Verify return code: 0 (ok)", done.stdout, done.stderr)
                        self.assertRegex(done.stdout, f"Peer signature type: {kind[:3]}")
                        server.connection()


class Resumption(ClientTest):
    def resume(self, server, version, *arguments):
        """Two connections of s_client: what the server says of both."""
        session = self.folder / f"session-{version}{len(arguments)}"
        self.s_client(server, *arguments, "-sess_out", session, version=version)
        first = server.connection()
        self.s_client(server, *arguments, "-sess_in", session, version=version)
        return first, server.connection()

    def test_openssl(self):
        for way in WAYS:
            server = self.serve(*way)
            for version in VERSIONS:
                for more in ([], ["-no_ticket"]) if version == "1.2" else ([],):
                    with self.subTest(way=way, version=version, more=more):
                        first, second = self.resume(server, version, *more)
                        self.assert_said(first, rf"^session TLSv{version} resumed=0")
                        self.assert_said(second, rf"^session TLSv{version} resumed=1")
                        self.assertIn("line hello", second)

    def test_python(self):
        server = self.serve()
        for version in VERSIONS:
            with self.subTest(version=version):
                context = self.of_python(version)
                _, reused, session, *_ = self.talk(server, context)
                self.assertFalse(reused)
                self.assert_said(server.connection(), "resumed=0")
                self.assertTrue(self.talk(server, context, session=session)[1])
                self.assert_said(server.connection(), "resumed=1")

    def test_two_tickets(self):
        server = self.serve()
        done = self.s_client(server, "-msg", version="1.3")
        self.assertEqual(done.stdout.count("NewSessionTicket"), 2, done.stdout)
        server.connection()

    def test_none_without_resumption(self):
        server = self.serve("--flags", NO_RESUMPTION)
        for version in VERSIONS:
            for more in ([], ["-no_ticket"]) if version == "1.2" else ([],):
                with self.subTest(version=version, more=more):
                    done = self.s_client(server, "-msg", *more, version=version)
                    self.assertNotIn("NewSessionTicket", done.stdout)
                    server.connection()
                    if version == "1.2":
                        self.assertRegex(done.stdout, r"Session-ID: *\n")


class Protocols(ClientTest):
    def test_the_servers_order_of_protocols_counts(self):
        server = self.serve("--alpn", "h2", "--alpn", "http/1.1")
        for version in VERSIONS:
            for offered, chosen in (
                ("http/1.1,h2", "h2"),
                ("x,http/1.1", "http/1.1"),
                (None, ""),
            ):
                with self.subTest(version=version, offered=offered):
                    offer = ["-alpn", offered] if offered else []
                    done = self.s_client(server, *offer, version=version)
                    self.assertIn("hello\n", done.stdout, done.stderr)
                    self.assert_said(server.connection(), rf"^session .* alpn={chosen} name=")
                    if chosen:
                        self.assertIn(f"ALPN protocol: {chosen}\n", done.stdout)

    def test_no_protocol_in_common(self):
        server = self.serve("--alpn", "h2", "--alpn", "imap")
        for version in VERSIONS:
            with self.subTest(version=version):
                done = self.s_client(server, "-alpn", "smtp,x", version=version)
                self.assertIn("no application protocol", done.stderr)
                self.assert_said(
                    server.connection(),
                    '^failed SSL_ERR_PROTOCOL -1 client and server have no application protocol .ALPN. in common: the '
                    'client offers "smtp", "x", this side speaks "h2", "imap"',
                )

    def test_versions_that_are_not_allowed(self):
        for bounds, version, limit in ((0x0303, "1.3", "TLS 1.2 alone"), (0x0304, "1.2", "TLS 1.3 alone")):
            with self.subTest(limit=limit):
                server = self.serve("--versions", bounds, bounds)
                done = self.s_client(server, version=version)
                self.assertIn("alert protocol version", done.stderr)
                said = server.connection()
                self.assert_said(
                    said, f"client offers no version of TLS that this side allows: {limit} .ssl_set_protocols."
                )
                done = self.s_client(server)
                self.assertIn("hello\n", done.stdout, done.stderr)
                server.connection()

    def test_no_post_quantum_key_exchange(self):
        # This OpenSSL knows none of it; that it is not among ours is seen in tests/parameters.rs.
        server = self.serve("--flags", NO_POST_QUANTUM)
        done = self.s_client(server)
        self.assertIn("hello\n", done.stdout, done.stderr)
        self.assert_said(server.connection(), r"group=X25519$")


class KeyLog(ClientTest):
    def lines(self, path):
        return sorted(line for line in path.read_text().splitlines() if line and not line.startswith("#"))

    def test_it_has_what_the_peer_has(self):
        for version in VERSIONS:
            with self.subTest(version=version):
                ours, theirs = self.folder / f"ours-{version}", self.folder / f"theirs-{version}"
                server = self.serve("--key-log", ours)
                for _ in range(2):
                    self.s_client(server, "-keylogfile", theirs, version=version)
                    server.connection()
                labels = [line.split()[0] for line in self.lines(ours)]
                self.assertEqual(len(labels), 2 if version == "1.2" else 10, labels)
                self.assertEqual(self.lines(ours), self.lines(theirs))
                self.assertEqual(ours.stat().st_mode & 0o777, 0o600)

    def test_the_environment_says_nothing(self):
        path = self.folder / "of-the-environment"
        server = self.serve(SSLKEYLOGFILE=str(path))
        done = self.s_client(server)
        self.assertIn("hello\n", done.stdout)
        server.connection()
        self.assertFalse(path.exists())


class WrongClients(ClientTest):
    def test_one_that_says_nothing(self):
        for way in WAYS:
            for smtp in ((), ("--smtp",)):
                with self.subTest(way=way, smtp=smtp):
                    server = self.serve("--timeout", 300, *way, *smtp)
                    with socket.create_connection((HOST, server.port), SECONDS) as connection:
                        if smtp:
                            connection.sendall(b"STARTTLS\r\n")
                        # Nothing but the greeting and the answer in clear.
                        received = b""
                        try:
                            while data := connection.recv(1000):
                                received += data
                        except ConnectionResetError:
                            pass
                        self.assertEqual(received, b"220 server.test ESMTP\r\n220 go ahead\r\n" if smtp else b"")
                    self.assert_said(
                        server.connection(),
                        "^failed SSL_ERR_TIMEOUT .*within 300 ms: waited for the client's first TLS record",
                    )

    def test_commands_behind_starttls(self):
        """They are the first that the TLS of the server sees: no TLS, and never a command."""
        for way in WAYS:
            for command, quoted in ((b"MAIL FROM:<a@a.test>\r\n", "MAIL FROM:<a@a.test>"), (b"\x16", "")):
                with self.subTest(way=way, command=command):
                    server = self.serve("--smtp", "--timeout", 2000, *way)
                    with socket.create_connection((HOST, server.port), SECONDS) as connection:
                        connection.sendall(b"EHLO x\r\nSTARTTLS\r\n" + command)
                        file = connection.makefile("rb")
                        # The server may refuse and reset at any time from its answer to STARTTLS on.
                        try:
                            for _ in range(4):
                                file.readline()
                            connection.sendall(self.hello())
                            self.assertFalse(b"2" in file.read(1))
                        except (ConnectionResetError, BrokenPipeError):
                            pass
                    said = server.connection()
                    if quoted:
                        self.assert_said(
                            said, f'^failed SSL_ERR_NOT_TLS .*client sent "{quoted}.*instead of a TLS record: it speaks in'
                        )
                    else:
                        self.assert_said(said, "^failed SSL_ERR_NOT_TLS")
                    self.assertNotIn(f"line {quoted}", said)
                    self.assertFalse([line for line in said if line.startswith("session")])

    def hello(self):
        outgoing = ssl.MemoryBIO()
        session = self.of_python().wrap_bio(ssl.MemoryBIO(), outgoing, server_hostname=NAME)
        try:
            session.do_handshake()
        except ssl.SSLWantReadError:
            pass
        return outgoing.read()


class Example(ClientTest):
    def start(self, *arguments):
        program = BUILD / "examples" / "smtp_server"
        if not program.exists():
            self.fail(f"{program} has not been built")
        identity = self.pki / "server-chain.pem", self.pki / "server.key"
        command = [program, "0", *identity, *arguments]
        process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        self.addCleanup(process.stdout.close)
        self.addCleanup(process.wait)
        self.addCleanup(process.kill)
        return process, int(process.stdout.readline().rpartition(":")[2])

    def send(self, port, context):
        with smtplib.SMTP("127.0.0.1", port, timeout=SECONDS) as client:
            self.assertEqual(client.docmd("MAIL", "FROM:<a@a.test>")[0], 530)
            client._host = NAME
            client.starttls(context=context)
            client.sendmail("a@a.test", ["b@b.test"], "the text")

    def test_it_takes_mail(self):
        process, port = self.start()
        self.send(port, self.of_python())
        self.assertEqual(process.stdout.readline(), "TLS with nobody\n")
        self.assertEqual(process.stdout.readline(), "| the text\n")

    def test_it_takes_mail_from_whom_it_knows(self):
        process, port = self.start(self.pki / "ca.pem")
        with self.assertRaises((OSError, smtplib.SMTPException)):
            self.send(port, self.of_python())
        self.assertRegex(process.stdout.readline(), "SSL_ERR_NO_CERT: client sent no certificate")
        context = self.of_python()
        context.load_cert_chain(self.pki / "client-chain.pem", self.pki / "client.key")
        self.send(port, context)
        self.assertEqual(process.stdout.readline(), "TLS with CN=user\n")
        self.assertEqual(process.stdout.readline(), "| the text\n")


if __name__ == "__main__":
    harness.run_and_count()
