"""ftplib with private data connections, against a server of Python's ssl; real servers are in tests/ftps.py."""

import ftplib
import io
import socket
import threading
import unittest

import support
from support import NAME, authority

import ftps_peer
import listening
import scripted_servers
import sslsock
from sslsock import SslHelper, clients
from sslsock.ftp import FTP_TLS

CONTENT = bytes(range(256)) * 1000


class Broken(io.BytesIO):
    """A file that cannot be read to its end."""

    def read(self, size=-1):
        if self.tell() > 100_000:
            raise OSError("on purpose")
        return super().read(min(size, 10_000))


class FtpTest(unittest.TestCase):
    def serve(self, **how):
        server = ftps_peer.FtpsPeer(support.peers()["SSLSOCK_PKI"], **how)
        server.files["file"] = CONTENT
        return server

    def client(self, server, kind=FTP_TLS, **options):
        options.setdefault("trust_file", authority())
        client = kind(timeout=support.SECONDS, server_name=NAME, **options)
        self.addCleanup(client.close)
        client.connect(server.host, server.port)
        return client

    def logged_in(self, server, **options):
        client = self.client(server, **options)
        client.login()
        return client

    def retrieve(self, client, name="file"):
        pieces = []
        client.retrbinary("RETR " + name, pieces.append)
        return b"".join(pieces)


class FtpTlsClient(FtpTest):
    def test_files_and_listings_in_both_modes(self):
        server = self.serve()
        with self.logged_in(server) as client:
            for passive in (True, False):
                client.set_pasv(passive)
                name = "passive" if passive else "active"
                client.storbinary("STOR " + name, io.BytesIO(CONTENT))
                self.assertEqual(server.files[name], (CONTENT, "close_notify"))
                self.assertEqual(self.retrieve(client), CONTENT)
                lines = []
                client.retrlines("LIST", lines.append)
                self.assertIn(name, lines)
        self.assertEqual(server.resumed, [True] * 6)
        self.assertLess(server.commands.index("USER"), server.commands.index("PBSZ"))
        self.assertEqual((server.commands.count("PROT"), server.commands[-1]), (1, "QUIT"))

    def test_over_ipv6(self):
        try:
            server = self.serve(family=socket.AF_INET6)
        except OSError as error:
            self.skipTest("no IPv6: %s" % error)
        client = self.logged_in(server)
        for passive in (True, False):
            client.set_pasv(passive)
            self.assertEqual(self.retrieve(client), CONTENT)

    def test_with_tls_1_2(self):
        server = self.serve()
        client = self.logged_in(server, max_version=sslsock.SSL_PROTOCOL_TLS1_2, resumption="require")
        self.assertEqual(client.control.session_info.protocol_name, "TLSv1.2")
        for _ in range(3):
            self.assertEqual(self.retrieve(client), CONTENT)
        self.assertEqual(server.resumed, [True] * 3)

    def test_whether_sessions_are_resumed_is_one_s_own_to_say(self):
        for how in ({"tickets": False}, {"other_data_context": True}):
            server = self.serve(**how)
            self.assertEqual(self.retrieve(self.logged_in(server)), CONTENT)
            self.assertEqual(server.resumed, [False])
            client = self.logged_in(server, resumption="require")
            with self.assertRaises(sslsock.SslNotResumedError) as raised:
                client.storbinary("STOR name", io.BytesIO(CONTENT))
            self.assertIn("the server said '426 ", raised.exception.text)
            self.assertNotIn("name", server.files)
            # The control connection is where it was.
            self.assertEqual(client.pwd(), "/")
        server = self.serve()
        self.assertEqual(self.retrieve(self.logged_in(server, resumption="never")), CONTENT)
        self.assertEqual(server.resumed, [False])

    def test_the_certificate_is_looked_at_each_time(self):
        class Judge(SslHelper):
            hosts = []

            def validate_cert(self, type, arg, chain, flags):
                Judge.hosts.append(arg)
                return super().validate_cert(type, arg, chain, flags)

        client = self.logged_in(self.serve(), helper=Judge)
        self.assertEqual(self.retrieve(client), CONTENT)
        self.assertEqual(Judge.hosts, [NAME, NAME])

    def test_nothing_secret_is_said_to_the_wrong_server(self):
        server = self.serve()
        client = FTP_TLS(timeout=support.SECONDS, server_name="other.test", trust_file=authority())
        client.connect(server.host, server.port)
        with self.assertRaises(sslsock.SslCertificateError):
            client.login("user", "secret")
        self.assertIsNone(client.sock)
        self.assertEqual(server.commands, [])

    def test_the_name_is_the_host_by_default(self):
        server = self.serve()
        client = FTP_TLS(timeout=support.SECONDS, trust_file=authority())
        client.connect(server.host, server.port)
        client.auth()
        # The tests' certificates are for it, too.
        self.assertEqual(client.control.socket.get_verify_text(sslsock.SSL_TEXT_EXPECTED), server.host)
        client.close()

    def test_an_injected_line_is_refused(self):
        client = FTP_TLS(timeout=support.SECONDS, server_name=NAME, trust_file=authority())
        client.connect(*support.address("FTP_injecting"))
        with self.assertRaises(sslsock.SslHeldDataError):
            client.login()
        self.assertIsNone(client.sock)

    def test_in_clear_only_if_asked_for(self):
        client = FTP_TLS(timeout=support.SECONDS, server_name=NAME, trust_file=authority())
        client.connect(*support.address("FTP_good"))
        self.addCleanup(client.close)
        with self.assertRaises(ValueError):
            client.prot_p()
        client.auth()
        with self.assertRaises(ValueError):
            client.auth()
        client.prot_c()
        client.login()
        for passive in (True, False):
            client.set_pasv(passive)
            self.assertEqual(self.retrieve(client), scripted_servers.FILE)

    def test_data_are_private_also_without_a_login(self):
        server = self.serve()
        client = self.client(server)
        client.auth()
        self.assertEqual(self.retrieve(client), CONTENT)
        self.assertEqual(server.resumed, [True])

    def test_implicit_tls_begins_with_it(self):
        server = self.serve()
        def serve(connection):
            talking = ftps_peer.Conversation(server, connection)
            talking.session = ftps_peer.peer.Session(connection, server.context)
            talking._say("220 ready")
            while True:
                command, _, argument = talking._line().partition(" ")
                if command in talking.ANSWERS:
                    talking._say(talking.ANSWERS[command])
                else:
                    getattr(talking, "ftp_" + command)(argument)

        host, port = listening.listen(socket.AF_INET, ("127.0.0.2", 0), serve, ftps_peer.EXPECTED, support.SECONDS).split(":")
        client = FTP_TLS(timeout=support.SECONDS, server_name=NAME, trust_file=authority(), implicit=True)
        self.assertEqual(client.port, 990)
        self.assertEqual(client.connect(host, int(port)), "220 ready")
        client.login()
        self.assertEqual(self.retrieve(client), CONTENT)
        client.quit()
        self.assertEqual(server.resumed, [True])

    def test_it_is_used_again_after_another_connect(self):
        server = self.serve()
        client = self.client(server)
        for _ in range(2):
            client.login()
            self.assertEqual(self.retrieve(client), CONTENT)
            client.quit()
            self.assertIsNone(client.control)
            client.connect(server.host, server.port)
        self.assertEqual(server.resumed, [True, True])

    def test_a_download_that_is_cut_off_is_no_file(self):
        for ending in ("truncated", "cut", "reset"):
            client = self.logged_in(self.serve(ending=ending))
            with self.assertRaises(ConnectionResetError):
                self.retrieve(client)

    def test_a_file_that_cannot_be_read_is_broken_off(self):
        server = self.serve()
        client = self.logged_in(server)
        with self.assertRaises(OSError):
            client.storbinary("STOR broken", Broken(CONTENT))
        with self.assertRaises(ftplib.error_temp):
            client.voidresp()
        self.assertNotEqual(server.files.get("broken", (b"", ""))[1], "close_notify")
        self.assertEqual(self.retrieve(client), CONTENT)

    def test_somebody_else_s_data_connection_is_not_taken(self):
        server = self.serve()
        client = self.logged_in(server)
        client.set_pasv(False)
        makeport = client.makeport

        def taken():
            """Somebody is there before the server."""
            listener = makeport()
            stranger = socket.socket()
            self.addCleanup(stranger.close)
            stranger.bind(("127.0.0.99", 0))
            stranger.connect(listener.getsockname())
            return listener

        client.makeport = taken
        with self.assertRaises(sslsock.SslError) as raised:
            client.storbinary("STOR name", io.BytesIO(CONTENT))
        self.assertIn("127.0.0.99", raised.exception.text)
        self.assertNotIn("name", server.files)

    def test_several_clients_on_threads(self):
        server, failures = self.serve(), []

        def one(number):
            try:
                client = self.logged_in(server, resumption="require")
                for _ in range(3):
                    assert self.retrieve(client) == CONTENT
                client.quit()
            except BaseException as error:
                failures.append(error)

        threads = [threading.Thread(target=one, args=(number,)) for number in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        self.assertEqual((failures, server.resumed), ([], [True] * 24))

    def test_what_does_not_fit_is_told(self):
        with self.assertRaises(ValueError):
            FTP_TLS(resumption="perhaps")
        client = FTP_TLS(timeout=support.SECONDS, server_name=NAME, pin="misspelt")
        client.connect(*support.address("FTP_good"))
        with self.assertRaises(TypeError):
            client.auth()
        self.assertIsNone(client.sock)


class UpgradedFtp(FtpTest):
    """An ftplib.FTP that is there already."""

    def client(self, server, **options):
        client = ftplib.FTP(timeout=support.SECONDS)
        client.connect(server.host, server.port)
        self.addCleanup(client.close)
        options.setdefault("trust_file", authority())
        clients.auth_tls_ftp(client, NAME, data="private", **options)
        return client

    def test_its_data_connections_are_private(self):
        server = self.serve()
        client = self.logged_in(server, resumption="require")
        for passive in (True, False):
            client.set_pasv(passive)
            client.storbinary("STOR name", io.BytesIO(CONTENT))
            self.assertEqual(server.files["name"], (CONTENT, "close_notify"))
            self.assertEqual(self.retrieve(client), CONTENT)
        self.assertEqual(server.resumed, [True] * 4)

    def test_resumption_can_be_required_or_not(self):
        server = self.serve(other_data_context=True)
        self.assertEqual(self.retrieve(self.logged_in(server)), CONTENT)
        with self.assertRaises(sslsock.SslNotResumedError):
            self.retrieve(self.logged_in(server, resumption="require"))
        self.assertEqual(self.retrieve(self.logged_in(server, resumption="never")), CONTENT)
        self.assertEqual(server.resumed[0], False)

    def test_another_connection_of_it_is_in_clear_again(self):
        client = self.logged_in(self.serve())
        client.quit()
        client.connect(*support.address("FTP_good"))
        client.login()
        self.assertEqual(self.retrieve(client), scripted_servers.FILE)


if __name__ == "__main__":
    import harness

    harness.run_and_count()
