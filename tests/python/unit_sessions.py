"""Sessions that are resumed: by the name of the server, and those of one connection."""

import itertools
import pathlib
import ssl
import threading
import unittest

import support
from support import closing
from tls_peers import Server, pki

import sslsock
from sslsock import SslHelper, SslSocket

SPARE_PINS = itertools.count(1)
VERSIONS = (ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3)


def apart():
    """Settings that no other test has, for all servers here have one name, and sessions are kept by that and the settings:
    a further pin."""
    key = sslsock.verify_chain(pathlib.Path(pki("server.pem")).read_bytes(), trust_file=support.authority())
    return {"pins": [key.pin, "%064x" % next(SPARE_PINS)]}


class Sessions(unittest.TestCase):
    def test_a_later_connection_to_the_name_resumes(self):
        for version in VERSIONS:
            server, settings = Server(version=version), apart()
            resumed = []
            for _ in range(3):
                sock, helper = server.upgraded(**settings)
                sock.close()
                resumed.append((helper.session_info.resumed, server.seen().reused))
            self.assertEqual(resumed, [(False, False), (True, True), (True, True)], version)

    def test_that_of_another_connection(self):
        for version in VERSIONS:
            server = Server(version=version)
            first, control = server.upgraded()
            with closing(first):
                for source in (control, control.socket, first, first.fileno()):
                    # One ticket each: they are brought by the exchanges on the data connections.
                    sock, helper = server.upgraded(session_from=source, require_resumption=True)
                    sock.close()
                    self.assertTrue(helper.session_info.resumed)
                    self.assertTrue(server.seen().reused)
                    self.assertTrue(helper.socket.get_flags() & sslsock.SSL_FLAG_REQUIRE_RESUMPTION)
            self.assertFalse(control.session_info.resumed)

    def test_the_name_is_that_of_the_other_connection(self):
        server = Server()
        first, control = server.upgraded()
        with closing(first):
            sock, helper = server.upgraded(None, session_from=control)
            with closing(sock):
                self.assertTrue(helper.session_info.resumed)
        self.assertEqual({server.seen().name, server.seen().name}, {"localhost"})

    def test_nothing_to_offer_is_told_before_anything_is_sent(self):
        server = Server()
        with self.assertRaises(sslsock.SslNotResumedError) as raised:
            server.upgraded(require_resumption=True, **apart())
        self.assertEqual((raised.exception.code, raised.exception.name), (sslsock.SSL_ERR_NOT_RESUMED, "SSL_ERR_NOT_RESUMED"))
        server.seen()
        self.assertFalse(server.arrived.is_set())

    def test_a_server_that_does_not_resume_gets_nothing(self):
        for version in VERSIONS:
            server, other = Server(version=version), Server(version=version)
            first, control = server.upgraded()
            with closing(first), self.assertRaises(sslsock.SslNotResumedError):
                other.upgraded(session_from=control, require_resumption=True)
            self.assertIn(other.seen().data, (None, b""))
            first, control = server.upgraded()
            with closing(first):
                sock, helper = other.upgraded(session_from=control)
                with closing(sock):
                    self.assertFalse(helper.session_info.resumed)

    def test_settings_that_differ_are_named(self):
        server = Server()
        first, control = server.upgraded()
        with closing(first):
            for options, word in (
                ({"trust_file": None, "system_trust": True}, "trust"),
                ({"max_version": sslsock.SSL_PROTOCOL_TLS1_2}, "version"),
                ({"pins": "00" * 32}, "pin"),
            ):
                with self.assertRaises(sslsock.SslUsageError) as raised:
                    server.upgraded(session_from=control, **options)
                self.assertEqual(raised.exception.code, sslsock.SSL_ERR_INVALID)
                self.assertIn(word, raised.exception.text)

    def test_none_is_kept_without_resumption(self):
        server = Server()
        for _ in range(2):
            sock, helper = server.upgraded(flags=sslsock.SSL_FLAG_NO_RESUMPTION)
            sock.close()
            self.assertFalse(helper.session_info.resumed)
        with self.assertRaises(sslsock.SslUsageError) as raised:
            server.upgraded(require_resumption=True, flags=sslsock.SSL_FLAG_NO_RESUMPTION)
        self.assertEqual(raised.exception.code, sslsock.SSL_ERR_INVALID)

    def test_the_hook_is_asked_each_time(self):
        class Judge(SslHelper):
            asked = []

            def validate_cert(self, type, arg, chain, flags):
                Judge.asked.append((len(chain[0]) > 100, flags))
                return super().validate_cert(type, arg, chain, flags)

        server = Server()
        first, control = server.upgraded(kind=Judge)
        with closing(first):
            sock, helper = server.upgraded(kind=Judge, session_from=control, require_resumption=True)
            sock.close()
        self.assertEqual(Judge.asked, [(True, 0), (True, 0)])

    def test_what_is_no_such_connection_is_refused(self):
        server = Server()
        with closing(server.connect(), server.connect()) as (sock, other):
            with self.assertRaises(ValueError):
                SslHelper(sock, "localhost", True, session_from=other)
            with self.assertRaises(TypeError):
                SslHelper(sock, "localhost", True, session_from="localhost")
            with self.assertRaises(TypeError):
                SslSocket.of(sock).set_session_from(other)
            SslHelper(other, "localhost", True)
            with self.assertRaises(sslsock.SslUsageError) as raised:
                SslHelper(sock, "localhost", True, session_from=other)
            self.assertEqual(raised.exception.code, sslsock.SSL_ERR_STATE)
            SslSocket.of(sock).set_session_from(None)

    def test_data_connections_on_several_threads(self):
        server = Server(version=ssl.TLSVersion.TLSv1_2)
        first, control = server.upgraded()
        failures = []

        def one():
            try:
                sock, helper = server.upgraded(session_from=control)
                sock.close()
                assert helper.session_info.resumed
            except BaseException as error:
                failures.append(error)

        with closing(first):
            threads = [threading.Thread(target=one) for _ in range(16)]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
        self.assertEqual(failures, [])

    def test_a_forked_child_starts_without(self):
        done = support.run_python(
            "import os, warnings, sslsock\nwarnings.simplefilter('ignore')\nfrom support import *\nfrom tls_peers import Server\n"
            "server = Server()\nserver.upgraded()[0].close()\n"
            "child = os.fork()\n"
            "sock, helper = server.upgraded() if child else (None, None)\n"
            "if child:\n"
            "    sock.close()\n    assert helper.session_info.resumed\n    assert os.waitpid(child, 0)[1] == 0\n"
            "else:\n"
            # The server's threads are the parent's, but its port is listened on there.
            "    sock, helper = server.upgraded()\n    resumed = helper.session_info.resumed\n    os._exit(resumed)\n"
        )
        self.assertEqual((done.returncode, done.stderr), (0, ""))


if __name__ == "__main__":
    import harness

    harness.run_and_count()
