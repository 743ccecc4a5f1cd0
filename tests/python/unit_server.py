"""The server's side, with OpenSSL's clients: identities, names, protocols, sessions, and clients that show certificates."""

import ctypes
import pathlib
import ssl
import tempfile
import unittest

import support
from support import authority, closing
from tls_peers import Client, der, pki

import pki as authorities
import sslsock
from sslsock import Identity, SslHelper, _native


def own():
    return Identity(pki("server-chain.pem"), pki("server.key"))


def shown():
    """What a client gives to ssl to show its certificate."""
    return pki("client-chain.pem"), pki("client.key")


class Judge(SslHelper):
    """Keeps what it has been asked, and answers what `answer` says."""

    answer = sslsock.SSL_ERR_OKAY
    asked = ()

    def validate_cert(self, type, arg, chain, flags):
        self.asked += ((arg, chain, flags),)
        return self.answer


class ServerSide(unittest.TestCase):
    def test_a_client_is_served(self):
        for version in (ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3):
            with closing(Client(version=version)) as client:
                helper, seen = client.served(identity=own())
                self.assertEqual((seen.data, seen.version), (b"x", helper.session_info.protocol_name))
                self.assertEqual(seen.certificate, der(pki("server.pem")))
                self.assertEqual(helper.socket.get_server_name(), "localhost")
                self.assertTrue(helper.socket.get_flags() & sslsock.SSL_FLAG_SERVER)
                with self.assertRaises(sslsock.SslUsageError):
                    helper.socket.get_verify_report()

    def test_a_client_that_names_nobody(self):
        context = Client.new_context()
        context.check_hostname = False
        with closing(Client(None, context=context)) as client:
            helper, _ = client.served(identity=own())
            self.assertEqual(helper.socket.get_server_name(), "")

    def test_the_name_is_a_server_s_to_ask(self):
        sock, helper = support.upgraded("echo")
        with closing(sock), self.assertRaises(sslsock.SslUsageError) as raised:
            helper.socket.get_server_name()
        self.assertEqual(raised.exception.code, sslsock.SSL_ERR_STATE)

    def test_the_identity_for_the_name_is_shown(self):
        with tempfile.TemporaryDirectory() as folder:
            authorities.make(folder)
            authorities.make_named(folder, "second", "second", "second.test", "*.wild.test")
            second = Identity(pathlib.Path(folder, "second.pem"), pathlib.Path(folder, "second.key"))
            first = Identity(pathlib.Path(folder, "server-chain.pem"), pathlib.Path(folder, "server.key"))
            context = ssl.create_default_context(cafile=pathlib.Path(folder, "ca.pem"))
            for name, expected in (("second.test", "second.pem"), ("a.wild.test", "second.pem"), ("localhost", "server.pem")):
                with closing(Client(name, context=context)) as client:
                    helper, seen = client.served(identity=[first, second])
                    self.assertEqual(seen.certificate, der(pathlib.Path(folder, expected)), name)
                    self.assertEqual(helper.socket.get_server_name(), name)

    def test_protocols_are_agreed(self):
        for server, client, expected in (
            (["h2", b"http/1.1"], ["http/1.1", "h2"], "h2"),
            (("one",), ["two", "one"], "one"),
            ((), ["two"], None),
        ):
            with closing(Client(alpn=client)) as speaking:
                helper, seen = speaking.served(identity=own(), alpn=server)
                self.assertEqual(seen.alpn, expected)
                self.assertEqual(helper.session_info.alpn, (expected or "").encode())

    def test_nothing_in_common_fails(self):
        with closing(Client(alpn=["two"])) as client:
            with self.assertRaises(sslsock.SslError) as raised:
                client.served(identity=own(), alpn=["one"])
            self.assertIs(raised.exception.category, sslsock.Category.PROTOCOL)
            self.assertIsNotNone(client.result().error)

    def test_versions_are_bounded(self):
        with closing(Client()) as client:
            _, seen = client.served(identity=own(), max_version=sslsock.SSL_PROTOCOL_TLS1_2)
            self.assertEqual(seen.version, "TLSv1.2")
        with closing(Client(version=ssl.TLSVersion.TLSv1_2)) as client:
            with self.assertRaises(sslsock.SslError):
                client.served(identity=own(), min_version=sslsock.SSL_PROTOCOL_TLS1_3)

    def test_sessions_are_resumed(self):
        context = Client.new_context(version=ssl.TLSVersion.TLSv1_3)
        for version in (ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3):
            context, session = Client.new_context(version=version), None
            for resumed in (False, True):
                with closing(Client(context=context, session=session)) as client:
                    helper, seen = client.served(identity=own())
                    self.assertEqual((helper.session_info.resumed, seen.reused), (resumed, resumed))
                session = client.session
            with closing(Client(context=context, session=session)) as client:
                helper, seen = client.served(identity=own(), flags=sslsock.SSL_FLAG_NO_RESUMPTION)
                self.assertEqual((helper.session_info.resumed, seen.reused), (False, False))

    def test_without_an_identity_there_is_no_server(self):
        with closing(Client()) as client, self.assertRaises(sslsock.SslError) as raised:
            client.served()
        self.assertEqual(raised.exception.code, sslsock.SSL_ERR_NO_CERT)

    def test_a_signer_serves(self):
        from unit_identity import openssl

        def sign(scheme, data):
            return openssl("dgst", "-sha256", "-sign", pki("server.key"), data=data)

        with closing(Client()) as client:
            _, seen = client.served(identity=Identity(pki("server-chain.pem"), sign=sign))
            self.assertEqual(seen.certificate, der(pki("server.pem")))


class ClientCertificates(unittest.TestCase):
    """Certificates that clients show."""

    def served(self, chain=None, kind=SslHelper, **options):
        with closing(Client(chain=chain)) as client:
            return client.served(kind, identity=own(), **options)[0]

    def refused(self, *arguments, **options):
        with self.assertRaises(sslsock.SslError) as raised:
            self.served(*arguments, **options)
        return raised.exception

    def test_one_is_demanded(self):
        helper = self.served(shown(), client_certificate="required", trust_file=authority())
        self.assertEqual(helper.socket.get_peer_certificate(), der(pki("client.pem")))
        self.assertEqual(helper.socket.get_verify_report().verdict, sslsock.SSL_VERDICT_TRUSTED)
        self.assertEqual(helper.socket.get_verify_text(sslsock.SSL_TEXT_SUBJECT), "CN=user")
        error = self.refused(client_certificate="required", trust_file=authority())
        self.assertEqual(error.code, sslsock.SSL_ERR_NO_CERT)

    def test_one_is_asked_for(self):
        helper = self.served(shown(), client_certificate="optional", trust_file=authority())
        self.assertEqual(helper.socket.peer_certificates()[0], der(pki("client.pem")))
        helper = self.served(client_certificate="optional", trust_file=authority())
        self.assertEqual(helper.socket.peer_certificates(), [])
        with self.assertRaises(sslsock.SslUsageError):
            helper.socket.get_verify_report()
        with closing(Client()) as client, self.assertRaises(sslsock.SslUsageError):
            SslHelper(client.sock, server=True, defer=True, identity=own()).socket.peer_certificates()

    def test_one_that_is_not_trusted_is_refused(self):
        for wish in ("required", "optional"):
            with tempfile.TemporaryDirectory() as folder:
                authorities.make(folder)
                chain = tuple(str(pathlib.Path(folder, name)) for name in ("client-chain.pem", "client.key"))
                error = self.refused(chain, client_certificate=wish, trust_file=authority())
            self.assertIsInstance(error, sslsock.SslCertificateError)

    def test_whom_to_trust_has_to_be_said(self):
        error = self.refused(shown(), client_certificate="required")
        self.assertEqual(error.code, sslsock.SSL_ERR_INVALID)

    def test_the_hook_decides(self):
        helper = self.served(shown(), Judge, client_certificate="required")
        ((arg, chain, flags),) = helper.asked
        self.assertEqual((arg, chain, flags), (None, [der(pki("client.pem"))], sslsock.SSL_CERT_FLAG_ISSUER_UNKNOWN))
        self.assertEqual(helper.socket.get_verify_report().verdict, sslsock.SSL_VERDICT_ACCEPTED_BY_HOOK)

        class Refusing(Judge):
            answer = -5

        error = self.refused(shown(), Refusing, client_certificate="required", trust_file=authority())
        self.assertEqual((error.code, error.from_hook), (-5, True))

    def test_the_hook_is_not_asked_where_there_is_nothing_to_ask(self):
        helper = self.served(None, Judge, client_certificate="optional")
        self.assertEqual(helper.asked, ())

    def test_an_answer_that_is_not_the_hook_s_accepts_nothing(self):
        """As if the call into Python had failed and left a 0 behind."""
        with closing(Client(chain=shown())) as client:
            helper = Judge(client.sock, defer=True, server=True, identity=own(), client_certificate="required")
            zero = _native.ValidateCert(lambda _: 0)
            pointer = ctypes.cast(zero, ctypes.c_void_p)
            self.assertEqual(_native.lib.ssl_set_validate_cert_hook(helper.socket.handle, pointer, None), 0)
            with self.assertRaises(sslsock.SslUsageError) as raised:
                helper.do_handshake()
            self.assertIn("before it had decided", raised.exception.text)
            with self.assertRaises(OSError):
                client.sock.sendall(b"secret")

    def test_what_does_not_fit_is_told(self):
        with closing(Client()) as client:
            with self.assertRaises(ValueError):
                SslHelper(client.sock, server=True, defer=True, client_certificate="yes")
            with self.assertRaises(ValueError):
                SslHelper(client.sock, "localhost", True, client_certificate="required")
            for trust in ({"trust_file": authority()}, {"pins": "0" * 64}, {"system_trust": True}):
                with self.assertRaises(ValueError) as raised:
                    SslHelper(client.sock, server=True, defer=True, **trust)
                self.assertIn("client_certificate", str(raised.exception))
            for wrong, kind in (("h2", TypeError), ([""], ValueError), (["x" * 256], ValueError), ([5], TypeError)):
                with self.assertRaises(kind):
                    SslHelper(client.sock, "localhost", True, alpn=wrong)
            for least, most in ((0x302, None), (sslsock.SSL_PROTOCOL_TLS1_3, sslsock.SSL_PROTOCOL_TLS1_2)):
                with self.assertRaises(sslsock.SslUsageError) as raised:
                    SslHelper(client.sock, "localhost", True, min_version=least, max_version=most)
                self.assertEqual(raised.exception.code, sslsock.SSL_ERR_INVALID)
            for wrong in (1 << 16, -1):
                with self.assertRaises(ValueError):
                    SslHelper(client.sock, "localhost", True, max_version=wrong)


if __name__ == "__main__":
    import harness

    harness.run_and_count()
