"""Certificates of this side: their forms, several of them, keys that Python does not have, and who chooses."""

import gc
import pathlib
import socket
import ssl
import subprocess
import tempfile
import threading
import unittest
import weakref

import support
from support import authority, closing
from tls_peers import NamingServer, Server, der

import sslsock
from sslsock import Identity, SslHelper, SslSocket

# The client certificate's key is one on P-256.
ECDSA_SHA256 = 0x0403


def openssl(*arguments, data=None):
    return subprocess.run(["openssl", *map(str, arguments)], input=data, stdout=subprocess.PIPE, check=True).stdout


def sign(scheme, data):
    assert scheme == ECDSA_SHA256, hex(scheme)
    return openssl("dgst", "-sha256", "-sign", path("client.key"), data=data)


def path(name):
    return pathlib.Path(support.peers()["SSLSOCK_PKI"], name)


def read(name):
    return path(name).read_bytes()


class IdentityTest(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        # Another one, which is its own authority.
        cls.folder = tempfile.TemporaryDirectory(prefix="sslsock-python-")
        cls.other = pathlib.Path(cls.folder.name, "other.pem")
        kind = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2", "-subj", "/CN=stranger")
        openssl("req", "-x509", *kind, "-keyout", cls.other.with_suffix(".key"), "-out", cls.other)

    @classmethod
    def tearDownClass(cls):
        cls.folder.cleanup()

    def server(self, **options):
        options.setdefault("authority", authority())
        return Server(**options)

    def shown(self, server=None, **options):
        """The certificate that the server has seen, in DER."""
        server = server or self.server()
        sock, helper = server.upgraded(**options)
        sock.close()
        return server.seen().certificate

    def shown_to_one_that_names(self, **options):
        """The name in the certificate that a server has seen, which names the tests' authority."""
        kind = options.pop("kind", SslHelper)
        server = NamingServer(authority())
        with closing(socket.create_connection(server.address, support.SECONDS)) as sock:
            kind(sock, "localhost", trust_file=authority(), **options)
            return server.subject()

    def refused(self, server=None, **options):
        """The error of a handshake that fails, and nothing has come to the server under TLS."""
        server = server or self.server()
        with self.assertRaises(sslsock.SslError) as raised:
            server.upgraded(**options)
        self.assertIn(server.seen().data, (None, b""))
        return raised.exception

    def others(self):
        return Identity(self.other, self.other.with_suffix(".key"))


class IdentityForms(IdentityTest):
    def test_of_contents_and_files_in_pem_and_der(self):
        expected = der(path("client.pem"))
        both = read("client.key") + read("client-chain.pem")
        with tempfile.TemporaryDirectory() as folder:
            in_one = pathlib.Path(folder, "both.pem")
            in_one.write_bytes(both)
            key = openssl("pkey", "-in", path("client.key"), "-outform", "DER")
            for identity in (
                Identity(path("client-chain.pem"), path("client.key")),
                Identity(str(path("client-chain.pem")), str(path("client.key"))),
                Identity(read("client-chain.pem"), read("client.key")),
                Identity(bytearray(read("client-chain.pem")), memoryview(read("client.key"))),
                Identity(path("client-chain.pem"), read("client.key")),
                Identity(read("client-chain.pem"), path("client.key")),
                Identity(in_one),
                Identity(both),
            ):
                self.assertEqual(self.shown(identity=identity), expected, identity)
                self.assertEqual(identity.certificates()[0], expected)
                self.assertEqual(len(identity.certificates()), 2)
            # In DER there is one certificate: the server has to know its issuer.
            issuer = pathlib.Path(folder, "issuers.pem")
            issuer.write_bytes(read("intermediate.pem") + read("ca.pem"))
            server = self.server(authority=str(issuer))
            self.assertEqual(self.shown(server, identity=Identity(expected, key)), expected)

    def test_what_is_none_is_told(self):
        encrypted = openssl("pkey", "-in", path("client.key"), "-aes128", "-passout", "pass:secret")
        for identity, code, word in (
            (Identity(b"garbage", b"garbage"), sslsock.SSL_ERR_BAD_DATA, ""),
            (Identity(b"", b""), sslsock.SSL_ERR_BAD_DATA, ""),
            (Identity(read("client-chain.pem"), read("server.key")), sslsock.SSL_ERR_BAD_DATA, ""),
            (Identity(read("client-chain.pem"), encrypted), sslsock.SSL_ERR_BAD_DATA, "openssl pkey"),
            (Identity("/nowhere/chain.pem"), sslsock.SSL_ERR_IO, "/nowhere/chain.pem"),
        ):
            with closing(support.connect()) as sock, self.assertRaises(sslsock.SslError) as raised:
                SslHelper(sock, "localhost", True, identity=identity)
            self.assertEqual(raised.exception.code, code)
            self.assertIn(word, raised.exception.text)
        for arguments, kind in (
            (("-----BEGIN CERTIFICATE-----",), ValueError), ((5,), TypeError), ((b"", None), None), ((b"", 5), TypeError),
        ):  # fmt: skip
            if kind:
                with self.assertRaises(kind):
                    Identity(*arguments)
        with self.assertRaises(ValueError):
            Identity(b"", b"", sign=sign)
        with self.assertRaises(TypeError):
            Identity(b"", sign=5)
        with closing(support.connect()) as sock:
            for wrong, kind in ((b"chain", TypeError), ([b"chain"], TypeError)):
                with self.assertRaises(kind):
                    SslHelper(sock, "localhost", True, identity=wrong)

    def test_a_key_is_not_in_the_text_of_an_object(self):
        self.assertNotIn("PRIVATE", repr(Identity(read("client-chain.pem"), read("client.key"))))

    def test_the_first_whose_issuer_is_named_is_shown(self):
        own = Identity(path("client-chain.pem"), path("client.key"))
        in_memory = Identity(self.other.read_bytes(), self.other.with_suffix(".key"))
        for identities in ([own, self.others()], [self.others(), own], iter([in_memory, own])):
            self.assertEqual(self.shown_to_one_that_names(identity=identities), "CN=user")

    def test_the_first_of_all_where_none_is_named(self):
        own = Identity(path("client-chain.pem"), path("client.key"))
        self.assertEqual(self.shown(identity=(own, self.others())), der(path("client.pem")))

    def test_setting_replaces(self):
        server = self.server()
        with closing(server.connect()) as sock:
            ssl_socket = SslSocket.of(sock)
            ssl_socket.set_identity_file(self.other, self.other.with_suffix(".key"))
            ssl_socket.set_identity_pem(read("client-chain.pem").decode(), read("client.key").decode())
            ssl_socket.add_identity_file(self.other, self.other.with_suffix(".key"))
            ssl_socket.add_identity_pem(self.other.read_bytes(), self.other.with_suffix(".key").read_bytes())
            SslHelper(sock, "localhost", trust_file=authority())
        self.assertEqual(server.seen().certificate, der(path("client.pem")))


class IdentitySigners(IdentityTest):
    def test_it_signs_on_this_thread(self):
        for version in (ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3):
            seen = []

            def signing(scheme, data):
                seen.append((threading.get_ident(), type(data), len(data) > 64))
                return sign(scheme, data)

            identity = Identity(path("client-chain.pem"), sign=signing)
            self.assertEqual(self.shown(self.server(version=version), identity=identity), der(path("client.pem")))
            self.assertEqual(seen, [(threading.get_ident(), bytes, True)])

    def test_it_may_be_the_first_of_several_only(self):
        own = Identity(read("client-chain.pem"), sign=sign)
        self.assertEqual(self.shown(identity=[own, self.others()]), der(path("client.pem")))
        with closing(support.connect()) as sock, self.assertRaises(ValueError):
            SslHelper(sock, "localhost", True, identity=[self.others(), own])

    def test_what_it_raises_is_chained_and_nothing_is_sent(self):
        for kind in (KeyError, OSError, GeneratorExit, StopIteration, MemoryError):
            thrown = kind("on purpose")

            def raising(scheme, data):
                raise thrown

            error = self.refused(identity=Identity(path("client-chain.pem"), sign=raising))
            self.assertEqual(error.code, sslsock.SSL_ERR_SIGNATURE)
            self.assertIs(error.__cause__, thrown)
            thrown.__traceback__ = None

    def test_what_is_no_signature_is_refused(self):
        for answer, kind in ((None, TypeError), ("text", TypeError), (0, TypeError), (bytes(100_000), ValueError)):
            error = self.refused(identity=Identity(path("client-chain.pem"), sign=lambda scheme, data: answer))
            self.assertEqual(error.code, sslsock.SSL_ERR_SIGNATURE)
            self.assertIsInstance(error.__cause__, kind)

    def test_a_wrong_signature_is_not_sent(self):
        identity = Identity(path("client-chain.pem"), sign=lambda scheme, data: sign(scheme, data + b"x"))
        self.assertEqual(self.refused(identity=identity).code, sslsock.SSL_ERR_SIGNATURE)

    def test_sys_exit_goes_on_as_it_is(self):
        def leaving(scheme, data):
            raise SystemExit(3)

        with self.assertRaises(SystemExit) as raised:
            self.server().upgraded(identity=Identity(path("client-chain.pem"), sign=leaving))
        self.assertIsInstance(raised.exception.__cause__, sslsock.SslError)

    def test_inside_it_one_may_look_and_nothing_else(self):
        server, codes = self.server(), []
        with closing(server.connect()) as sock:

            def looking(scheme, data):
                ssl_socket = SslSocket.of(sock)
                codes.append(ssl_socket.get_flags())
                for call in (ssl_socket.free, lambda: ssl_socket.set_flags(0), ssl_socket.perform_handshake):
                    try:
                        call()
                    except sslsock.SslUsageError as error:
                        codes.append(error.code)
                return sign(scheme, data)

            SslHelper(sock, "localhost", trust_file=authority(), identity=Identity(path("client-chain.pem"), sign=looking))
        self.assertEqual(codes, [0] + [sslsock.SSL_ERR_REENTRANT] * 3)

    def test_it_lives_as_long_as_it_is_needed_and_no_longer(self):
        class Signing:
            def __call__(self, scheme, data):
                return sign(scheme, data)

        server = self.server()
        with closing(server.connect()) as sock:
            helper = SslHelper(sock, "localhost", True, trust_file=authority())
            signing = Signing()
            gone = weakref.ref(signing)
            helper.socket.set_identities(Identity(path("client-chain.pem"), sign=signing))
            del signing
            gc.collect()
            helper.do_handshake()
            gc.collect()
            self.assertIsNone(gone())
        self.assertEqual(server.seen().certificate, der(path("client.pem")))

    def test_nothing_is_left_of_those_that_were_never_called(self):
        def prepare():
            with closing(support.connect()) as sock:
                hook, signing = (lambda issuers: sock), (lambda scheme, data: sock)
                ssl_socket = SslSocket(sock)
                ssl_socket.set_auth_request_hook(hook)
                ssl_socket.set_identities(Identity(path("client-chain.pem"), sign=signing))
                parts = (ssl_socket._auth_request.pointer, ssl_socket._signer.pointer, hook, signing)
                return [weakref.ref(part) for part in (*parts, *map(type, parts[:2]))]

        kept = prepare()
        gc.collect()
        self.assertEqual([function() for function in kept], [None] * 6)

    def test_on_a_handle_of_somebody_else_s_it_outlives_its_object(self):
        lib, server, asked = sslsock._native.lib, self.server(demand=False), []
        with closing(server.connect()) as sock:
            handle = lib.ssl_socket_new(sock.fileno())

            def prepare():
                hook, signing = (lambda issuers: asked.append(1)), (lambda scheme, data: sign(scheme, data))
                found = SslSocket.find(sock)
                found.add_trust_file(authority())
                found.set_auth_request_hook(hook)
                found.set_identities(Identity(path("client-chain.pem"), sign=signing))
                return weakref.ref(hook), weakref.ref(signing)

            kept = prepare()
            gc.collect()
            self.assertNotIn(None, [function() for function in kept])
            self.assertEqual(lib.ssl_perform_handshake(handle, b"localhost"), sslsock.SSL_ERR_OKAY)
            lib.ssl_socket_free(handle)
        self.assertEqual((asked, server.seen().certificate), ([1], der(path("client.pem"))))

    def test_many_threads_with_each_its_own(self):
        server, failures = self.server(), []

        def one():
            try:
                counted = []
                identity = Identity(path("client-chain.pem"), sign=lambda *given: counted.append(1) or sign(*given))
                # Sessions would spare signatures.
                server.upgraded(identity=identity, flags=sslsock.SSL_FLAG_NO_RESUMPTION)[0].close()
                assert counted == [1]
            except BaseException as error:
                failures.append(error)

        threads = [threading.Thread(target=one) for _ in range(16)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        self.assertEqual(failures, [])

    def test_one_of_the_defaults(self):
        done = support.run_python(
            "import threading, sslsock\nfrom support import *\nfrom unit_identity import *\n"
            "server, chain = Server(authority=authority()), path('client-chain.pem').read_bytes()\n"
            "sslsock.defaults.set_identity_signer(chain, sign)\n"
            "def one():\n    server.upgraded()[0].close()\n"
            "threads = [threading.Thread(target=one) for _ in range(8)]\n"
            "[thread.start() for thread in threads]\n[thread.join() for thread in threads]\n"
            "assert {server.seen().certificate for _ in threads} == {der(path('client.pem'))}\n"
            "def raising(scheme, data):\n    raise KeyError\n"
            "sslsock.defaults.set_identity_signer(chain, raising)\n"
            "try:\n    server.upgraded(flags=sslsock.SSL_FLAG_NO_RESUMPTION)\n"
            "except sslsock.SslError as error:\n    assert error.code == sslsock.SSL_ERR_SIGNATURE, error\n"
            "else:\n    raise AssertionError\n"
        )
        self.assertEqual((done.returncode, done.stderr), (0, ""))

    INTERRUPT = (
        "import os, signal, sys, threading, sslsock\nfrom support import *\nfrom unit_identity import *\n"
        "go, called = threading.Event(), []\n"
        "server = Server(authority=authority(), begin=go)\n"
        # A job in the background inherits that it is ignored.
        "signal.signal(signal.SIGINT, signal.default_int_handler)\n"
        "def interrupt():\n"
        "    server.arrived.wait(SECONDS)\n    os.kill(os.getpid(), signal.SIGINT)\n    go.set()\n"
        "def signing(scheme, data):\n    called.append(1)\n    return sign(scheme, data)\n"
        "class Choosing(SslHelper):\n"
        "    def choose_identity(self, issuers):\n        called.append(1)\n        return None\n"
        "how = sys.argv[1]\n"
        "identity = Identity(path('client-chain.pem'), sign=signing) if how == 'sign' else Identity(path('client-chain.pem'), path('client.key'))\n"
        "kind = SslHelper if how == 'sign' else Choosing\n"
        "threading.Thread(target=interrupt).start()\n"
        "try:\n    server.upgraded(kind=kind, identity=identity)\n"
        "except KeyboardInterrupt as error:\n    print('interrupted', type(error.__cause__).__name__, called)\n"
        "print(server.seen().data)\n"
    )

    def test_ctrl_c_before_the_hook_s_first_line_is_none_of_its_answers(self):
        for how in ("sign", "choose"):
            for _ in range(3):
                done = support.run_python(self.INTERRUPT, how)
                self.assertEqual(done.stderr, "")
                self.assertRegex(done.stdout, r"^interrupted Ssl\w*Error \[\]\nNone\n$")


class IdentityChoices(IdentityTest):
    def choosing(self, choose, server=None, identities=None, **options):
        class Choosing(SslHelper):
            def choose_identity(self, issuers):
                return choose(issuers)

        own = Identity(path("client-chain.pem"), path("client.key"))
        identities = [self.others(), own] if identities is None else identities
        return dict(kind=Choosing, identity=identities, server=server, **options)

    def test_it_is_asked_with_the_issuers(self):
        seen = []
        own = Identity(path("client-chain.pem"), path("client.key"))
        options = self.choosing(lambda issuers: seen.append((threading.get_ident(), issuers)) or own)
        del options["server"]
        self.assertEqual(self.shown_to_one_that_names(**options), "CN=user")
        ((thread, (issuer,)),) = seen
        self.assertEqual(thread, threading.get_ident())
        self.assertIn(b"sslsock test root", issuer)

    def test_one_chain_none_at_all_or_the_library_s_choice(self):
        own = Identity(read("client-chain.pem"), path("client.key"))
        both = self.folder.name + "/both.pem"
        pathlib.Path(both).write_bytes(self.other.read_bytes() + read("ca.pem"))
        for choose, expected in (
            (lambda issuers: own, der(path("client.pem"))),
            (lambda issuers: own.certificates(), der(path("client.pem"))),
            (lambda issuers: tuple(own.certificates()), der(path("client.pem"))),
            (lambda issuers: [], None),
            (lambda issuers: sslsock.SSL_ERR_NO_CERT, None),
            (lambda issuers: None, der(self.other)),
        ):
            self.assertEqual(self.shown(**self.choosing(choose, self.server(demand=False, authority=both))), expected)

    def test_what_it_raises_is_chained(self):
        for kind in (KeyError, GeneratorExit, StopIteration):
            thrown = kind("on purpose")

            def raising(issuers):
                raise thrown

            error = self.refused(**self.choosing(raising))
            self.assertIs(error.__cause__, thrown)
            thrown.__traceback__ = None

    def test_it_refuses_with_a_code_of_its_own(self):
        for answer, code in ((-7, -7), (sslsock.SSL_ERR_BAD_DATA, sslsock.SSL_ERR_BAD_DATA)):
            error = self.refused(**self.choosing(lambda issuers: answer))
            self.assertEqual(error.code, code)
            self.assertIsNone(error.__cause__)

    def test_what_is_no_answer_is_refused(self):
        for answer, kind in ((0, ValueError), (True, TypeError), (b"der", TypeError), (["text"], TypeError), (1 << 40, OverflowError)):
            self.assertIsInstance(self.refused(**self.choosing(lambda issuers: answer)).__cause__, kind)

    def test_a_certificate_that_was_not_given_is_refused(self):
        error = self.refused(**self.choosing(lambda issuers: [der(path("server.pem"))]))
        self.assertIsNone(error.__cause__)

    def test_with_a_signer(self):
        own = Identity(path("client-chain.pem"), sign=sign)
        self.assertEqual(self.shown(**self.choosing(lambda issuers: own, identities=own)), der(path("client.pem")))

    def test_a_server_that_does_not_ask_is_told_nothing(self):
        asked = []
        self.assertIsNone(self.shown(**self.choosing(asked.append, Server())))
        self.assertEqual(asked, [])

    def test_none_clears_it(self):
        server = self.server()
        with closing(server.connect()) as sock:
            ssl_socket = SslSocket.of(sock)
            ssl_socket.set_auth_request_hook(lambda issuers: [])
            ssl_socket.set_auth_request_hook(None)
            SslHelper(sock, "localhost", trust_file=authority(), identity=Identity(path("client-chain.pem"), path("client.key")))
        self.assertEqual(server.seen().certificate, der(path("client.pem")))

    def test_one_of_the_defaults(self):
        done = support.run_python(
            "import threading, sslsock\nfrom support import *\nfrom unit_identity import *\n"
            "server, asked = Server(authority=authority(), demand=False), []\n"
            "sslsock.defaults.set_identity_file(path('client-chain.pem'), path('client.key'))\n"
            "sslsock.defaults.set_auth_request_hook(lambda issuers: asked.append(1) or [])\n"
            "def one():\n    server.upgraded(flags=sslsock.SSL_FLAG_NO_RESUMPTION)[0].close()\n"
            "threads = [threading.Thread(target=one) for _ in range(8)]\n"
            "[thread.start() for thread in threads]\n[thread.join() for thread in threads]\n"
            "assert len(asked) == 8 and {server.seen().certificate for _ in threads} == {None}\n"
            "sslsock.defaults.set_auth_request_hook(None)\n"
            "server.upgraded()[0].close()\nassert server.seen().certificate == der(path('client.pem'))\n"
        )
        self.assertEqual((done.returncode, done.stderr), (0, ""))


class DefaultIdentity(IdentityTest):
    def test_one_of_the_defaults_is_shown(self):
        done = support.run_python(
            "import sslsock\nfrom support import *\nfrom unit_identity import *\n"
            "server = Server(authority=authority())\n"
            "sslsock.defaults.set_identities(Identity(path('client-chain.pem'), path('client.key')))\n"
            "server.upgraded()[0].close()\nassert server.seen().certificate == der(path('client.pem'))\n"
        )
        self.assertEqual((done.returncode, done.stderr), (0, ""))


if __name__ == "__main__":
    import harness

    harness.run_and_count()
