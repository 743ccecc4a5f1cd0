"""SslHelper and SslSocket: how they are made, found and freed; addresses, errors, hooks."""

import base64
import ctypes
import errno
import gc
import pathlib
import pickle
import select
import socket
import tempfile
import threading
import unittest
import weakref

import support
from support import NAME, authority, closing, connect, upgraded

import sslsock
from sslsock import SslHelper, SslSocket, _native


class Fileno:
    __slots__ = ("number",)

    def __init__(self, number):
        self.number = number

    def fileno(self):
        return self.number


class Helper(unittest.TestCase):
    def echo(self, sock, data=b"over TLS"):
        sock.sendall(data)
        self.assertEqual(support.read_exactly(sock, len(data)), data)

    def test_a_connected_socket_is_upgraded_at_once(self):
        sock, helper = upgraded("echo")
        with closing(sock):
            self.echo(sock)
            info = helper.socket.get_session_info()
            self.assertEqual(info.protocol_name, "TLSv1.3")
            self.assertEqual(info.datapath, sslsock.SSL_DATAPATH_TRANSPARENT_TCP)
            self.assertEqual(info.alpn, b"")

    def test_a_number_and_whatever_has_fileno_will_do(self):
        for wrap in (int, Fileno):
            with closing(connect()) as sock:
                SslHelper(wrap(sock.fileno()), NAME, trust_file=authority())
                sock.sendall(b"echo\n")
                self.echo(sock)

    def test_what_is_no_socket_is_refused(self):
        with self.assertRaises(TypeError):
            SslHelper("localhost", NAME)
        with self.assertRaises(TypeError):
            SslHelper(True, NAME)
        with closing(connect()) as sock:
            pass
        with self.assertRaises(ValueError):
            SslHelper(sock, NAME)
        with tempfile.TemporaryFile() as file, self.assertRaises(sslsock.SslUsageError) as raised:
            SslHelper(file, NAME)
        self.assertEqual(raised.exception.code, sslsock.SSL_ERR_INVALID)

    def test_an_unconnected_socket_says_what_to_do(self):
        with closing(socket.socket()) as sock, self.assertRaises(sslsock.SslUsageError) as raised:
            SslHelper(sock, NAME)
        self.assertEqual(raised.exception.code, sslsock.SSL_ERR_STATE)
        self.assertIn("defer=True", str(raised.exception))
        self.assertIn("connect(address)", str(raised.exception))

    def test_deferred_the_socket_is_plain_until_asked(self):
        recorded = support.Recorded("serve known")
        with closing(recorded.sock) as sock:
            with SslHelper(sock, NAME, True, trust_file=authority()) as helper:
                with self.assertRaises(sslsock.SslError):
                    helper.socket.get_session_info()
                helper.do_handshake()
            sock.sendall(b"after the block")
        clear, wire, plain, end = recorded.record()
        self.assertEqual((plain, end), (b"after the block", "close_notify"))
        self.assertTrue(clear.endswith(b"STARTTLS\r\n"))
        self.assertEqual(wire[:1], b"\x16")

    def test_connect_makes_both(self):
        with closing(socket.socket()) as sock:
            helper = SslHelper(sock, NAME, defer=True, trust_file=authority())
            helper.connect(support.address())
            sock.sendall(b"echo\n")
            self.echo(sock)
            self.assertEqual(helper.remote_address, support.address())

    def test_connect_can_be_tried_again(self):
        with closing(socket.socket()) as nobody:
            nobody.bind(("127.0.0.2", 0))
            with closing(socket.socket()) as sock:
                helper = SslHelper(sock, NAME, defer=True, trust_file=authority())
                with self.assertRaises(sslsock.SslError) as raised:
                    helper.connect(nobody.getsockname())
                self.assertEqual(raised.exception.errno, errno.ECONNREFUSED)
                self.assertEqual(raised.exception.code, sslsock.SSL_ERR_IO)
                helper.connect(support.address())
                sock.sendall(b"echo\n")
                self.echo(sock)

    def test_a_second_helper_finds_the_state(self):
        sock, first = upgraded("echo")
        with closing(sock):
            state = first.socket
            del first
            gc.collect()
            self.assertIs(SslHelper(sock, NAME).socket, state)
            self.assertIs(SslHelper(sock, NAME.upper() + ".").socket, state)
            self.assertIs(SslHelper(sock.fileno(), NAME).socket, state)
            self.assertIs(SslHelper(Fileno(sock.fileno()), NAME, defer=True).socket, state)
            self.echo(sock)

    def test_the_state_of_a_number_outlives_its_helper(self):
        with closing(connect()) as sock:
            number = sock.fileno()
            SslHelper(number, NAME, defer=True, trust_file=authority())
            gc.collect()
            SslHelper(number, NAME, defer=True).do_handshake()
            sock.sendall(b"echo\n")
            self.echo(sock)

    def test_another_name_for_an_upgraded_socket_is_refused(self):
        sock, _ = upgraded("echo")
        with closing(sock):
            with self.assertRaises(sslsock.SslUsageError) as raised:
                SslHelper(sock, "other.test")
            self.assertIn("localhost", raised.exception.text)
            self.echo(sock)

    def test_a_second_handshake_is_refused_and_harms_nothing(self):
        sock, helper = upgraded("echo")
        with closing(sock):
            with self.assertRaises(sslsock.SslUsageError) as raised:
                helper.do_handshake()
            self.assertEqual(raised.exception.code, sslsock.SSL_ERR_STATE)
            self.echo(sock)

    def test_the_state_goes_with_the_socket(self):
        sock, helper = upgraded("echo")
        gone = weakref.ref(helper.socket)
        del helper
        sock.close()
        del sock
        gc.collect()
        self.assertIsNone(gone())

    def test_hooks_that_refer_to_closed_sockets_are_let_go(self):
        from sslsock import registry

        class Judge(SslHelper):
            def validate_cert(self, type, arg, chain, flags):
                return sslsock.SSL_ERR_OKAY

        gone = []
        for _ in range(300):
            sock = socket.socket()
            gone.append(weakref.ref(Judge(sock, NAME, defer=True).socket))
            sock.close()
            del sock
        gc.collect()
        self.assertLess(sum(ref() is not None for ref in gone), 250)
        self.assertLess(len(registry._by_socket), 250)

    def test_a_timeout_bounds_the_handshake(self):
        recorded = support.Recorded("silent")
        with closing(recorded.sock) as sock:
            with self.assertRaises(sslsock.SslTimeoutError) as raised:
                SslHelper(sock, NAME, trust_file=authority(), timeout=0.05)
            self.assertIsInstance(raised.exception, TimeoutError)
            self.assertEqual(raised.exception.errno, errno.ETIMEDOUT)
            with self.assertRaises(OSError):
                sock.sendall(b"in clear")
        self.assertNotIn(b"in clear", recorded.record()[1])

    def test_timeouts_have_to_be_times(self):
        with closing(connect()) as sock:
            for wrong in (0, -1, 1e9):
                with self.assertRaises(ValueError):
                    SslHelper(sock, NAME, defer=True, timeout=wrong)
            SslSocket.of(sock).set_timeout(sslsock.SSL_TIMEOUT_HANDSHAKE, None)

    def test_a_name_with_nul_is_refused_and_nothing_happens(self):
        with closing(connect()) as sock:
            with self.assertRaises(ValueError):
                SslHelper(sock, "localhost\0.other.test", trust_file=authority())
            upgraded("echo", sock)
            self.echo(sock)

    def test_no_name_is_an_error(self):
        with closing(connect()) as sock:
            with self.assertRaises(sslsock.SslUsageError) as raised:
                SslHelper(sock, None, trust_file=authority())
            self.assertEqual(raised.exception.code, sslsock.SSL_ERR_NO_NAME)


class Addresses(unittest.TestCase):
    def check(self, variable, where):
        with closing(socket.create_connection(where) if not isinstance(where, str) else socket.socket(socket.AF_UNIX)) as sock:
            if isinstance(where, str):
                sock.connect(where)
            peer, local = sock.getpeername(), sock.getsockname()
            helper = SslHelper(sock, NAME, defer=True, trust_file=authority())
            self.assertEqual((helper.remote_address, helper.local_address), (peer, local))
            helper.do_handshake()
            self.assertEqual((helper.remote_address, helper.local_address), (peer, local))
            return sock, peer

    def test_ipv4(self):
        self.check("SSLSOCK_PEER", support.address())

    def test_ipv6(self):
        if "SSLSOCK_PEER6" not in support.peers():
            self.skipTest("no IPv6")
        host, port = support.address("SSLSOCK_PEER6")
        self.check("SSLSOCK_PEER6", (host, port))

    def test_unix(self):
        self.check("SSLSOCK_PEER_UNIX", support.peers()["SSLSOCK_PEER_UNIX"])

    def test_both_ways_through_the_library_s_form(self):
        from sslsock.addresses import from_native, to_native

        for family, address in (
            (socket.AF_INET, ("127.1.2.3", 4567)),
            (socket.AF_INET6, ("fe80::1", 4567, 5, 1)),
            (socket.AF_UNIX, "/a/path"),
            (socket.AF_UNIX, b"\0abstract"),
        ):
            self.assertEqual(from_native(to_native(family, address)), address)
        self.assertEqual(from_native(socket.AF_UNIX.to_bytes(2, "little")), "")

    def test_connect_over_ipv6_and_unix(self):
        for family, variable in ((socket.AF_INET6, "SSLSOCK_PEER6"), (socket.AF_UNIX, "SSLSOCK_PEER_UNIX")):
            where = support.peers().get(variable)
            if where is None:
                continue
            where = where if family == socket.AF_UNIX else support.address(variable)
            with closing(socket.socket(family)) as sock:
                SslHelper(sock, NAME, defer=True, trust_file=authority()).connect(where)
                sock.sendall(b"echo\nx")
                self.assertEqual(sock.recv(1), b"x")


class Errors(unittest.TestCase):
    def failed(self, *arguments, **options):
        with closing(connect()) as sock, self.assertRaises(sslsock.SslError) as raised:
            SslHelper(sock, *arguments, **options)
        return raised.exception

    def test_a_wrong_name(self):
        error = self.failed("other.test", trust_file=authority())
        self.assertIsInstance(error, sslsock.SslCertificateError)
        self.assertIs(error.category, sslsock.Category.CERTIFICATE)
        self.assertEqual((error.code, error.name), (sslsock.SSL_ERR_NAME, "SSL_ERR_NAME"))
        self.assertIn('not for "other.test"', error.text)
        self.assertEqual(str(error), "SSL_ERR_NAME: " + error.text)
        self.assertFalse(error.from_hook)
        self.assertIsNone(error.alert)
        self.assertIsInstance(error, OSError)

    def test_an_unknown_authority(self):
        self.assertEqual(self.failed(NAME).code, sslsock.SSL_ERR_CERT_UNKNOWN)

    def test_an_error_survives_pickling(self):
        error = self.failed("other.test", trust_file=authority())
        again = pickle.loads(pickle.dumps(error))
        for name in ("code", "text", "category", "errno", "alert", "from_hook", "system_errno"):
            self.assertEqual(getattr(again, name), getattr(error, name), name)
        self.assertIs(type(again), type(error))

    def test_what_is_queued_in_the_kernel_is_early_data(self):
        recorded = support.Recorded("inject")
        with closing(recorded.sock) as sock:
            # It came with the go-ahead, in one segment: it is there.
            self.assertTrue(select.select([sock], [], [], support.SECONDS)[0])
            with self.assertRaises(sslsock.SslError) as raised:
                SslHelper(sock, NAME, trust_file=authority())
            self.assertEqual(raised.exception.code, sslsock.SSL_ERR_EARLY_DATA)
            self.assertIs(raised.exception.category, sslsock.Category.PEER)
            with self.assertRaises(OSError):
                sock.sendall(b"secret")
        self.assertEqual(recorded.record()[1], b"")

    def test_plaintext_instead_of_tls_is_quoted(self):
        recorded = support.Recorded("plaintext")
        with closing(recorded.sock) as sock, self.assertRaises(sslsock.SslError) as raised:
            SslHelper(sock, NAME, trust_file=authority())
        self.assertEqual(raised.exception.code, sslsock.SSL_ERR_NOT_TLS)
        self.assertIn("500 what?", raised.exception.text)

    def test_the_end_and_a_reset_in_the_handshake(self):
        for what, code, kind in (
            ("close", sslsock.SSL_ERR_TRUNCATED, sslsock.SslTruncatedError),
            ("reset", sslsock.SSL_ERR_RESET, ConnectionResetError),
        ):
            recorded = support.Recorded(what)
            with closing(recorded.sock) as sock, self.assertRaises(kind) as raised:
                SslHelper(sock, NAME, trust_file=authority())
            self.assertEqual(raised.exception.code, code)

    def test_the_reason_of_an_end_is_told_after_it(self):
        name = support.ticket()
        sock, helper = upgraded("truncate 1000")
        with closing(sock):
            with self.assertRaises(ConnectionResetError):
                support.read_to_end(sock)
            self.assertEqual(helper.socket.get_error(), sslsock.SSL_ERR_TRUNCATED, name)
            self.assertIn("close_notify", helper.socket.get_error_text())
            self.assertEqual(helper.socket.get_error_info().category, sslsock.Category.IO)

    def test_a_freed_handle_is_told(self):
        sock, helper = upgraded("echo")
        with closing(sock):
            helper.socket.free()
            for call in (helper.socket.free, helper.socket.get_flags, helper.socket.pending):
                with self.assertRaises(sslsock.SslUsageError) as raised:
                    call()
                self.assertEqual(raised.exception.code, sslsock.SSL_ERR_BAD_HANDLE)
                self.assertEqual(raised.exception.errno, errno.EBADF)
            sock.sendall(b"x")
            self.assertEqual(sock.recv(1), b"x")

    def test_bad_settings_are_told_and_change_nothing(self):
        with closing(connect()) as sock:
            ssl_socket = SslSocket(sock)
            for call, code in (
                (lambda: ssl_socket.set_flags(1 << 30), sslsock.SSL_ERR_INVALID),
                (lambda: ssl_socket.set_peername("no name!"), sslsock.SSL_ERR_INVALID),
                (lambda: ssl_socket.set_identity_pem(b"x", "y"), sslsock.SSL_ERR_BAD_DATA),
                (lambda: ssl_socket.add_trust_file("/nowhere"), sslsock.SSL_ERR_IO),
                (lambda: SslSocket(sock), sslsock.SSL_ERR_STATE),
            ):
                with self.assertRaises(sslsock.SslError) as raised:
                    call()
                self.assertEqual(raised.exception.code, code, raised.exception)
            for wrong in (-1, 1 << 32):
                with self.assertRaises(ValueError):
                    ssl_socket.set_flags(wrong)


class Freed(unittest.TestCase):
    def test_a_handle_goes_with_its_object(self):
        with closing(connect()) as sock:
            first = SslSocket(sock)
            with self.assertRaises(sslsock.SslUsageError):
                SslSocket(sock)
            self.assertIs(SslSocket.find(sock), first)
            del first
            gc.collect()
            self.assertIsNone(SslSocket.find(sock))
            SslSocket(sock)


class Hooks(unittest.TestCase):
    def handshake(self, hook, arg=None, host=NAME, trust=False, flags=0):
        with closing(connect()) as sock:
            ssl_socket = SslSocket.of(sock)
            ssl_socket.set_flags(flags)
            if trust:
                ssl_socket.add_trust_file(authority())
            ssl_socket.set_validate_cert_hook(hook, arg)
            ssl_socket.perform_handshake(host)
            sock.sendall(b"echo\nx")
            self.assertEqual(sock.recv(1), b"x")
            return ssl_socket.get_verify_report()

    def test_it_is_called_on_this_thread_with_everything(self):
        seen = []
        mark = object()

        def hook(*arguments):
            seen.append((threading.get_ident(), *arguments))
            return sslsock.SSL_ERR_OKAY

        self.handshake(hook, mark, trust=True)
        self.handshake(hook, mark, host="other.test", trust=True)
        (thread, kind, arg, chain, flags), (*_, wrong) = seen
        self.assertEqual((thread, kind, flags, wrong), (threading.get_ident(), sslsock.SSL_CERT_X509, 0, 1))
        self.assertIs(arg, mark)
        pem = pathlib.Path(support.peers()["SSLSOCK_PKI"], "server.pem").read_text()
        self.assertEqual(chain, [base64.b64decode(pem.split("-----")[2])])

    def test_a_failed_handshake_leaves_the_report(self):
        self.assertEqual(self.handshake(lambda *_: 0).verdict, sslsock.SSL_VERDICT_ACCEPTED_BY_HOOK)
        self.assertEqual(self.handshake(lambda *_: 0, trust=True).verdict, sslsock.SSL_VERDICT_TRUSTED)

    def test_strict_does_not_let_it_accept(self):
        with self.assertRaises(sslsock.SslCertificateError):
            self.handshake(lambda *_: 0, flags=sslsock.SSL_FLAG_STRICT)

    def test_it_refuses_with_a_code_of_its_own(self):
        for answer, code in ((-7, -7), (8, 8), (1, sslsock.SSL_ERR_CERT_UNKNOWN), (99, sslsock.SSL_ERR_CERT_UNKNOWN)):
            with self.assertRaises(sslsock.SslCertificateError) as raised:
                self.handshake(lambda *_: answer, trust=True)
            self.assertEqual(raised.exception.code, code)
            self.assertTrue(raised.exception.from_hook)
            self.assertIsNone(raised.exception.__cause__)

    def test_an_exception_refuses_and_is_chained(self):
        for kind in (KeyError, OSError, GeneratorExit, StopIteration, MemoryError):
            thrown = kind("on purpose")

            def hook(*_):
                raise thrown

            with self.assertRaises(sslsock.SslCertificateError) as raised:
                self.handshake(hook, trust=True)
            self.assertIs(raised.exception.__cause__, thrown)
            self.assertTrue(raised.exception.from_hook)
            # No circle that keeps everything alive.
            thrown.__traceback__ = None

    def test_an_answer_that_is_not_its_own_accepts_nothing(self):
        """As if the call into Python had failed and left a 0 behind."""
        recorded = support.Recorded("serve known")
        with closing(recorded.sock) as sock:
            ssl_socket = SslSocket.of(sock)
            ssl_socket.set_validate_cert_hook(lambda *_: sslsock.SSL_ERR_OKAY)
            zero = _native.ValidateCert(lambda _: 0)
            pointer = ctypes.cast(zero, ctypes.c_void_p)
            self.assertEqual(_native.lib.ssl_set_validate_cert_hook(ssl_socket.handle, pointer, None), 0)
            with self.assertRaises(sslsock.SslUsageError) as raised:
                ssl_socket.perform_handshake(NAME)
            self.assertIn("before it had decided", raised.exception.text)
            with self.assertRaises(OSError):
                sock.sendall(b"secret")
        self.assertEqual(recorded.record()[2], b"")

    def test_nothing_is_complained_of_when_it_goes(self):
        done = support.run_python(
            "import gc, sslsock\nfrom support import *\n"
            "def raising(*_):\n    raise KeyError\n"
            "for hook in (raising, lambda *_: 0, lambda *_: 2, None):\n"
            "    with closing(connect()) as sock:\n"
            "        made = sslsock.SslSocket(sock)\n"
            "        made.set_validate_cert_hook(lambda *_: 0)\n"
            "        made.set_validate_cert_hook(hook)\n"
            "        try:\n            made.perform_handshake(NAME)\n"
            "        except sslsock.SslError:\n            pass\n"
            "    del made, sock\n    gc.collect()\n"
        )
        self.assertEqual((done.returncode, done.stderr), (0, ""))

    def test_what_is_no_number_refuses(self):
        for answer in (None, "0", False, True, 0.0, 1 << 40):
            with self.assertRaises(sslsock.SslCertificateError) as raised:
                self.handshake(lambda *_: answer, trust=True)
            self.assertIsInstance(raised.exception.__cause__, (TypeError, OverflowError))

    def test_none_clears_it(self):
        with closing(connect()) as sock:
            ssl_socket = SslSocket.of(sock)
            ssl_socket.set_validate_cert_hook(lambda *_: 0)
            ssl_socket.set_validate_cert_hook(None)
            with self.assertRaises(sslsock.SslCertificateError):
                ssl_socket.perform_handshake(NAME)

    def test_inside_it_one_may_look_and_nothing_else(self):
        with closing(connect()) as sock:
            ssl_socket = SslSocket.of(sock)
            seen = {}

            def hook(*_):
                seen["names"] = ssl_socket.presented_names()
                seen["count"] = len(ssl_socket.peer_certificates())
                seen["subject"] = ssl_socket.get_verify_text(sslsock.SSL_TEXT_SUBJECT)
                for call in (ssl_socket.free, lambda: ssl_socket.set_flags(0), ssl_socket.perform_handshake):
                    try:
                        call()
                    except sslsock.SslUsageError as error:
                        seen.setdefault("refused", []).append(error.code)
                return sslsock.SSL_ERR_OKAY

            ssl_socket.set_validate_cert_hook(hook)
            ssl_socket.perform_handshake(NAME)
        self.assertIn("localhost", seen["names"])
        self.assertEqual((seen["count"], seen["subject"]), (2, "CN=mail.test"))
        self.assertEqual(seen["refused"], [sslsock.SSL_ERR_REENTRANT] * 3)

    def test_it_lives_as_long_as_the_handle(self):
        with closing(connect()) as sock:
            called = []

            def prepare():
                def hook(*_):
                    called.append(1)
                    return 0

                SslSocket.of(sock).set_validate_cert_hook(hook)

            prepare()
            gc.collect()
            [bytearray(64) for _ in range(100_000)]
            SslSocket.of(sock).perform_handshake(NAME)
            self.assertEqual(called, [1])

    def test_only_an_override_installs_one(self):
        class Strict(SslHelper):
            calls = 0

            def validate_cert(self, type, arg, chain, flags):
                Strict.calls += 1
                self.seen = (type, arg, len(chain), flags)
                return super().validate_cert(type, arg, chain, flags)

        with closing(connect()) as sock:
            helper = Strict(sock, NAME, trust_file=authority())
            self.assertEqual(helper.seen, (sslsock.SSL_CERT_X509, NAME, 1, 0))
        with closing(connect()) as sock, self.assertRaises(sslsock.SslCertificateError) as raised:
            Strict(sock, NAME)
        self.assertTrue(raised.exception.from_hook)
        self.assertEqual(Strict.calls, 2)
        with closing(connect()) as sock:
            helper = SslHelper(sock, NAME, trust_file=authority())
            self.assertIsNone(helper.socket._hook)

    def test_a_hook_of_the_defaults_serves_several_threads(self):
        seen = []
        sslsock.defaults.set_validate_cert_hook(lambda kind, arg, chain, flags: seen.append(arg) or 0, "mark")
        try:

            def one():
                with closing(connect()) as sock:
                    SslHelper(sock, NAME)

            threads = [threading.Thread(target=one) for _ in range(8)]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
        finally:
            sslsock.defaults.set_validate_cert_hook(None)
        self.assertEqual(seen, ["mark"] * 8)


class DefaultSettings(unittest.TestCase):
    def test_sockets_made_later_start_with_them(self):
        done = support.run_python(
            "import sslsock\nfrom support import *\n"
            "sslsock.defaults.add_trust_file(authority())\nsslsock.defaults.set_timeout(sslsock.SSL_TIMEOUT_HANDSHAKE, 20)\n"
            "sslsock.defaults.set_flags(sslsock.SSL_FLAG_UNIX_PAIR)\n"
            "with closing(connect()) as sock:\n    helper = sslsock.SslHelper(sock, NAME)\n"
            "    assert helper.socket.get_flags() == sslsock.SSL_FLAG_UNIX_PAIR\n"
            "    assert helper.socket.get_session_info().datapath == sslsock.SSL_DATAPATH_TRANSPARENT_UNIX\n"
        )
        self.assertEqual((done.returncode, done.stderr), (0, ""))
