"""Whom to trust: directories, DER, pins, revocation lists; and chains that are verified without a connection."""

import asyncio
import base64
import hashlib
import os
import pathlib
import ssl
import subprocess
import tempfile
import threading
import time
import unittest

import support
from support import authority, closing, connect
from tls_peers import Server, der

import pki
import sslsock
from sslsock import Cause, SslHelper, SslSettings

LISTS = """
[ca]
default_ca = it
[it]
database = {folder}/index
crlnumber = {folder}/number
default_md = sha256
default_crl_days = 2
"""
DAY = 86400


class TrustTest(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.temporary = tempfile.TemporaryDirectory(prefix="sslsock-python-")
        cls.folder = pathlib.Path(cls.temporary.name)
        pki.make(cls.folder)
        # The root itself has issued it.
        pki.make_named(cls.folder, "direct", "direct", "localhost")
        cls.der, cls.ca = der(cls.folder / "direct.pem"), str(cls.folder / "ca.pem")
        cls.pin = pin_of(cls.folder / "direct.pem")
        cls.server = Server("direct.pem", "direct.key", cls.folder)

    @classmethod
    def tearDownClass(cls):
        cls.temporary.cleanup()

    def path(self, name):
        return str(self.folder / name)

    def handshake(self, kind=SslHelper, host="localhost", **options):
        with closing(self.server.connect()) as sock:
            return kind(sock, host, **options)

    def refused(self, *arguments, **options):
        with self.assertRaises(sslsock.SslCertificateError) as raised:
            self.handshake(*arguments, **options)
        return raised.exception

    def revocation_list(self, *revoked, dates=()):
        """The path of a list of the root's with these certificates on it."""
        with tempfile.TemporaryDirectory() as folder:
            (pathlib.Path(folder) / "index").touch()
            (pathlib.Path(folder) / "number").write_text("01\n")
            configuration = pathlib.Path(folder, "cnf")
            configuration.write_text(LISTS.format(folder=folder))
            signer = ("-config", configuration, "-cert", self.ca, "-keyfile", self.path("ca.key"))
            for certificate in revoked:
                openssl("ca", *signer, "-revoke", certificate)
            made = self.folder / ("list-%d.crl" % len(list(self.folder.glob("*.crl"))))
            openssl("ca", *signer, "-gencrl", *dates, "-out", made)
        return str(made)


def openssl(*arguments):
    return subprocess.run(
        ["openssl", *map(str, arguments)], stdout=subprocess.PIPE, stderr=subprocess.PIPE, check=True
    ).stdout  # fmt: skip


def pin_of(certificate):
    key = openssl("x509", "-in", certificate, "-pubkey", "-noout")
    spki = base64.b64decode(key.split(b"-----")[2])
    return "sha256//" + base64.b64encode(hashlib.sha256(spki).digest()).decode()


class TrustForms(TrustTest):
    def test_files_and_directories_of_either_form(self):
        with tempfile.TemporaryDirectory() as folder:
            one = pathlib.Path(folder, "ca.cer")
            one.write_bytes(ssl.PEM_cert_to_DER_cert(pathlib.Path(self.ca).read_text()))
            pathlib.Path(folder, "README").write_text("nothing")
            for options in (
                {"trust_file": self.ca},
                {"trust_file": one},
                {"trust_file": str(one)},
                {"trust_dir": folder},
                {"trust_dir": pathlib.Path(folder)},
                {"trust_pem": pathlib.Path(self.ca).read_text()},
                {"trust_pem": one.read_bytes()},
                {"trust_pem": bytearray(one.read_bytes())},
            ):
                self.handshake(**options)
        self.assertEqual(self.refused().code, sslsock.SSL_ERR_CERT_UNKNOWN)

    def test_what_cannot_be_read_is_told_and_not_forgotten(self):
        with tempfile.TemporaryDirectory() as empty, closing(self.server.connect()) as sock:
            ssl_socket = SslHelper(sock, "localhost", True).socket
            for call, code in (
                (lambda: ssl_socket.add_trust_dir("/nowhere"), sslsock.SSL_ERR_IO),
                (lambda: ssl_socket.add_trust_dir(empty), sslsock.SSL_ERR_BAD_DATA),
                (lambda: ssl_socket.add_crl_file("/nowhere"), sslsock.SSL_ERR_IO),
                (lambda: ssl_socket.add_crl_pem(b"garbage"), sslsock.SSL_ERR_BAD_DATA),
                (lambda: ssl_socket.add_pin("sha256//short"), sslsock.SSL_ERR_INVALID),
            ):
                with self.assertRaises(sslsock.SslError) as raised:
                    call()
                self.assertEqual(raised.exception.code, code)
            for call in (lambda: ssl_socket.add_trust_pem(5), lambda: ssl_socket.add_crl_pem(5), lambda: ssl_socket.add_pin(5)):
                with self.assertRaises(TypeError):
                    call()
            with self.assertRaises(ValueError):
                ssl_socket.add_trust_dir("a\0b")
            with self.assertRaises(sslsock.SslError):
                ssl_socket.perform_handshake()


class Pins(TrustTest):
    def test_one_of_several_will_do(self):
        digits = base64.b64decode(self.pin[len("sha256//") :]).hex()
        for pins in (self.pin, [self.pin], digits, digits.upper(), ["00" * 32, self.pin], "00" * 32 + ";" + self.pin):
            helper = self.handshake(trust_file=self.ca, pins=pins)
            self.assertEqual(helper.socket.get_verify_report().pin, self.pin)

    def test_another_key_is_refused_whatever_a_hook_says(self):
        class Accepting(SslHelper):
            def validate_cert(self, type, arg, chain, flags):
                return sslsock.SSL_ERR_OKAY

        for kind in (SslHelper, Accepting):
            error = self.refused(kind, trust_file=self.ca, pins=["00" * 32])
            self.assertEqual(error.code, sslsock.SSL_ERR_PIN)
            self.assertIn(self.pin, error.text)

    def test_it_comes_on_top_of_the_trust(self):
        self.assertNotEqual(self.refused(pins=self.pin).code, sslsock.SSL_ERR_PIN)

    def test_the_report_has_it_as_a_cause(self):
        with closing(self.server.connect()) as sock:
            helper = SslHelper(sock, "other.test", True, trust_file=self.ca, pins="00" * 32)
            with self.assertRaises(sslsock.SslCertificateError):
                helper.do_handshake()
            report = helper.socket.get_verify_report()
        self.assertEqual(report.causes, Cause.PIN | Cause.NAME)
        self.assertIn(Cause.PIN, report.causes)
        self.assertNotIn(Cause.EXPIRED, report.causes)

    def test_none_clears_them(self):
        with closing(self.server.connect()) as sock:
            helper = SslHelper(sock, "localhost", True, trust_file=self.ca, pins="00" * 32)
            helper.socket.add_pin(None)
            helper.do_handshake()


class RevocationLists(TrustTest):
    def test_what_is_on_one_is_refused(self):
        clean, listed = self.revocation_list(), self.revocation_list(self.path("direct.pem"))
        self.handshake(trust_file=self.ca, crl_file=clean)
        self.handshake(trust_file=self.ca, crl_pem=pathlib.Path(clean).read_text())
        self.handshake(trust_file=self.ca, crl_pem=openssl("crl", "-in", clean, "-outform", "DER"))
        self.assertEqual(self.refused(trust_file=self.ca, crl_file=listed).code, sslsock.SSL_ERR_CERT_REVOKED)

    def test_a_list_that_does_not_cover_it_is_not_enough(self):
        out_of_date = self.revocation_list(dates=("-crl_lastupdate", "20200101000000Z", "-crl_nextupdate", "20200102000000Z"))
        with closing(self.server.connect()) as sock:
            helper = SslHelper(sock, "localhost", True, trust_file=self.ca, crl_file=out_of_date)
            with self.assertRaises(sslsock.SslCertificateError):
                helper.do_handshake()
            self.assertEqual(helper.socket.get_verify_report().causes, Cause.REVOCATION_UNKNOWN)


class Chains(TrustTest):
    def test_a_chain_that_is_trusted(self):
        report = sslsock.verify_chain([self.der], "localhost", trust_file=self.ca)
        self.assertTrue(report)
        self.assertTrue(report.trusted)
        self.assertEqual((report.code, report.name, report.text, report.causes), (0, "SSL_ERR_OKAY", "", 0))
        self.assertEqual(report.pin, self.pin)
        self.assertLess(report.not_before, time.time())
        self.assertGreater(report.not_after, time.time())

    def test_each_form_of_a_chain(self):
        server = (self.folder / "server-chain.pem").read_bytes()
        leaf, intermediate = der(self.path("server.pem")), der(self.path("intermediate.pem"))
        for chain in (
            server, server.decode(), [server], [leaf, intermediate], (leaf, intermediate), iter([leaf, intermediate]),
            [leaf, (self.folder / "intermediate.pem").read_text()],
        ):  # fmt: skip
            self.assertTrue(sslsock.verify_chain(chain, "localhost", trust_file=self.ca))
        report = sslsock.verify_chain(leaf, "localhost", trust_file=self.ca)
        self.assertFalse(report)
        self.assertIn(Cause.ISSUER_UNKNOWN, report.causes)

    def test_all_that_is_wrong_is_told(self):
        for options, code, causes in (
            ({"name": "other.test"}, sslsock.SSL_ERR_NAME, Cause.NAME),
            ({"name": None}, sslsock.SSL_ERR_OKAY, Cause(0)),
            ({"time": time.time() + 400 * DAY}, sslsock.SSL_ERR_CERT_EXPIRED, Cause.EXPIRED),
            ({"time": 0}, sslsock.SSL_ERR_NOT_YET_VALID, Cause.NOT_YET_VALID),
            ({"pins": "00" * 32}, sslsock.SSL_ERR_PIN, Cause.PIN),
            ({"trust_file": None}, sslsock.SSL_ERR_CERT_UNKNOWN, Cause.ISSUER_UNKNOWN),
            ({"flags": sslsock.SSL_FLAG_SERVER, "name": None}, sslsock.SSL_ERR_CERT_UNKNOWN, Cause.USAGE),
            ({"crl_file": self.revocation_list(self.path("direct.pem"))}, sslsock.SSL_ERR_CERT_REVOKED, Cause.REVOKED),
        ):
            report = sslsock.verify_chain(self.der, **{"name": "localhost", "trust_file": self.ca, **options})
            self.assertEqual((report.code, report.causes), (code, causes), options)
            self.assertEqual(bool(report), code == 0)
            self.assertEqual(bool(report.text), code != 0)
            self.assertEqual(report.name, sslsock.error_name(code))

    def test_a_client_s_chain(self):
        chain = (self.folder / "client-chain.pem").read_bytes()
        self.assertTrue(sslsock.verify_chain(chain, trust_file=self.ca, flags=sslsock.SSL_FLAG_SERVER))
        self.assertFalse(sslsock.verify_chain(chain, trust_file=self.ca))

    def test_what_cannot_be_verified_at_all_is_an_error(self):
        key = b"-----BEGIN PRIVATE KEY-----\nMAA=\n-----END PRIVATE KEY-----\n"
        wrong = (([], sslsock.SslUsageError), (5, TypeError), ([5], TypeError), ("no PEM", ValueError), (key, ValueError))
        for chain, kind in wrong:
            with self.assertRaises(kind):
                sslsock.verify_chain(chain, "localhost", trust_file=self.ca)
        for name, kind in (("no name!", sslsock.SslUsageError), (b"localhost", TypeError), ("a\0b", ValueError)):
            with self.assertRaises(kind):
                sslsock.verify_chain(self.der, name, trust_file=self.ca)
        for moment in (float("1e30"), 2**63):
            with self.assertRaises(ValueError):
                sslsock.verify_chain(self.der, "localhost", time=moment, trust_file=self.ca)
        with self.assertRaises(sslsock.SslError) as raised:
            sslsock.verify_chain(self.der, "localhost", trust_file="/nowhere")
        self.assertEqual(raised.exception.code, sslsock.SSL_ERR_IO)

    def test_garbage_is_no_certificate(self):
        report = sslsock.verify_chain([b"garbage"], "localhost", trust_file=self.ca)
        self.assertFalse(report)
        self.assertIn(Cause.MALFORMED, report.causes)

    def test_settings_are_used_again(self):
        settings = SslSettings()
        settings.add_trust_file(self.ca)
        results, threads = [], []
        for name in ("localhost", "other.test") * 8:
            verify = lambda name=name: results.append((name, bool(settings.verify_chain(self.der, name))))  # noqa: E731
            threads.append(threading.Thread(target=verify))
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        self.assertEqual(set(results), {("localhost", True), ("other.test", False)})
        with closing(connect()) as sock, self.assertRaises(TypeError):
            SslHelper(sock, "localhost", session_from=settings)

    def test_they_start_with_the_defaults_and_go_with_their_object(self):
        done = support.run_python(
            "import sys, sslsock\nfrom sslsock import _native\n"
            "authority, chain = sys.argv[1:]\nchain = open(chain).read()\n"
            "sslsock.defaults.add_trust_file(authority)\n"
            "assert sslsock.verify_chain(chain, 'localhost') and sslsock.defaults.verify_chain(chain, 'localhost')\n"
            "settings = sslsock.SslSettings()\nhandle = settings._handle\ndel settings\n"
            "assert _native.lib.ssl_get_error(handle) == sslsock.SSL_ERR_BAD_HANDLE\n",
            self.ca, self.path("direct.pem"),
        )  # fmt: skip
        self.assertEqual((done.returncode, done.stderr), (0, ""))

    def test_on_a_connection_also_inside_its_hook(self):
        class Twice(SslHelper):
            def validate_cert(self, type, arg, chain, flags):
                self.reports = [self.socket.verify_chain(chain, name) for name in ("localhost", "other.test")]
                return sslsock.SSL_ERR_OKAY

        helper = self.handshake(Twice, trust_file=self.ca)
        self.assertEqual([bool(report) for report in helper.reports], [True, False])


class OtherSettings(TrustTest):
    def test_the_secrets_are_written_for_wireshark(self):
        with tempfile.TemporaryDirectory() as folder:
            log = pathlib.Path(folder, "keys")
            self.handshake(trust_file=self.ca, key_log_file=log)
            self.assertIn("CLIENT_TRAFFIC_SECRET_0 ", log.read_text())
            self.assertEqual(log.stat().st_mode & 0o777, 0o600)
        with closing(self.server.connect()) as sock, self.assertRaises(sslsock.SslError) as raised:
            SslHelper(sock, "localhost", True, key_log_file="/nowhere/keys")
        self.assertEqual(raised.exception.code, sslsock.SSL_ERR_IO)

    def test_no_post_quantum_key_exchange(self):
        recorded = {}
        for post_quantum in (True, False):
            record = support.Recorded("serve known")
            with closing(record.sock):
                # The offer of a session would take space, too.
                flags = sslsock.SSL_FLAG_NO_RESUMPTION
                SslHelper(record.sock, support.NAME, trust_file=authority(), post_quantum=post_quantum, flags=flags)
            recorded[post_quantum] = len(record.record()[1])
        # A share of X25519MLKEM768 has more than 1,100 bytes.
        self.assertGreater(recorded[True] - recorded[False], 1000)

    def test_a_sole_descriptor_is_the_only_one_that_is_replaced(self):
        for sole in (False, True):
            with closing(connect()) as sock, closing(sock.dup()) as again:
                real = os.fstat(again.fileno()).st_ino
                SslHelper(sock, support.NAME, trust_file=authority(), sole_descriptor=sole)
                sock.sendall(b"echo\nx")
                self.assertEqual(sock.recv(1), b"x")
                self.assertEqual(os.fstat(again.fileno()).st_ino == real, sole)

    def test_a_loop_may_watch_it_whatever_was_promised(self):
        async def upgrade(sock, again):
            real = os.fstat(again.fileno()).st_ino
            helper = SslHelper(sock, support.NAME, defer=True, trust_file=authority(), sole_descriptor=True)
            await helper.do_handshake_async()
            self.assertNotEqual(os.fstat(again.fileno()).st_ino, real)

        with closing(connect()) as sock, closing(sock.dup()) as again:
            asyncio.run(upgrade(sock, again))


if __name__ == "__main__":
    import harness

    harness.run_and_count()
