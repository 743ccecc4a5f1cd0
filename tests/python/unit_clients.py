"""The mail and FTP clients of the standard library, upgraded in place against scripted servers."""

import contextlib
import ftplib
import imaplib
import poplib
import smtplib
import unittest

import scripted_servers
import support
from support import NAME, authority

import sslsock
from sslsock import clients
from sslsock.ftp import FTP_TLS


class Clients:
    """What holds for each of them."""

    def open(self, way):
        raise NotImplementedError

    def test_it_is_upgraded_in_place(self):
        client = self.open("good")
        sock, file = client.sock, client.file
        helper = self.upgrade(client)
        self.assertIs(client.sock, sock)
        self.assertIs(client.file, file)
        self.assertEqual(helper.socket.get_session_info().protocol_name, "TLSv1.3")
        self.check(client)

    def test_an_injected_line_is_refused_and_the_client_closed(self):
        client = self.open("injecting")
        with self.assertRaises(sslsock.SslHeldDataError) as raised:
            self.upgrade(client)
        self.assertEqual(raised.exception.code, sslsock.SSL_ERR_EARLY_DATA)
        self.assert_closed(client)

    def test_the_refusal_leaves_a_with_block(self):
        client = self.open("injecting")
        if not hasattr(client, "__enter__"):
            client = contextlib.closing(client)
        with self.assertRaises(sslsock.SslHeldDataError), client as entered:
            self.upgrade(entered)

    def test_a_server_that_does_not_offer_it(self):
        client = self.open("not_offering")
        with self.assertRaises(self.refused):
            self.upgrade(client)
        client.noop()

    def test_a_server_that_refuses(self):
        client = self.open("refusing")
        with self.assertRaises(self.refused):
            self.upgrade(client)
        client.noop()

    def test_a_wrong_name_closes_it(self):
        client = self.open("good")
        with self.assertRaises(sslsock.SslCertificateError):
            self.upgrade(client, "other.test")
        self.assert_closed(client)

    def test_a_name_that_is_none_is_refused_before_the_server_is_asked(self):
        client = self.open("good")
        with self.assertRaises(TypeError):
            self.upgrade(client, b"localhost")
        client.noop()
        self.upgrade(client)

    def test_a_helper_of_one_s_own_decides(self):
        class Trusting(sslsock.SslHelper):
            def validate_cert(self, type, arg, chain, flags):
                Trusting.host = arg
                return sslsock.SSL_ERR_OKAY

        client = self.open("good")
        helper = self.upgrade(client, "other.test", helper=Trusting, trust_file=None)
        self.assertIsInstance(helper, Trusting)
        self.assertEqual(Trusting.host, "other.test")
        client.noop()

    def assert_closed(self, client):
        self.assertTrue(client.sock is None or client.sock.fileno() < 0)

    def upgrade(self, client, host=NAME, **options):
        options.setdefault("trust_file", authority())
        self.addCleanup(self.drop, client)
        return self.function(client, host, **options)

    def drop(self, client):
        for thing in (getattr(client, "file", None), client.sock):
            try:
                thing and thing.close()
            except OSError:
                pass


class Smtp(Clients, unittest.TestCase):
    refused = smtplib.SMTPException
    function = staticmethod(clients.starttls_smtp)

    def open(self, way):
        return smtplib.SMTP(*support.address("SMTP_" + way), timeout=support.SECONDS)

    def check(self, client):
        self.assertEqual((client.helo_resp, client.ehlo_resp, client.esmtp_features), (None, None, {}))
        client.ehlo()
        self.assertEqual(set(client.esmtp_features), {"8bitmime", "auth"})
        self.assertEqual(client.noop()[0], 250)
        client.quit()

    def test_the_name_is_that_of_the_connection(self):
        client = self.open("good")
        self.upgrade(client, None)
        self.assertEqual(client.noop()[0], 250)

    def test_without_any_name_nothing_is_sent(self):
        client = smtplib.SMTP(timeout=support.SECONDS)
        client.connect(*support.address("SMTP_good"))
        client._host = ""
        with self.assertRaises(ValueError):
            self.upgrade(client, None)
        self.assertEqual(client.noop()[0], 250)


class Imap(Clients, unittest.TestCase):
    refused = (imaplib.IMAP4.error, imaplib.IMAP4.abort)
    function = staticmethod(clients.starttls_imap)

    def open(self, way):
        return imaplib.IMAP4(*support.address("IMAP_" + way))

    def check(self, client):
        self.assertIn("AUTH=PLAIN", client.capabilities)
        self.assertNotIn("STARTTLS", client.capabilities)
        self.assertEqual(client.noop()[0], "OK")
        with self.assertRaises(client.abort):
            self.upgrade(client)
        client.logout()


class Pop3(Clients, unittest.TestCase):
    refused = poplib.error_proto
    function = staticmethod(clients.stls_pop3)

    def open(self, way):
        return poplib.POP3(*support.address("POP3_" + way), timeout=support.SECONDS)

    def check(self, client):
        self.assertEqual(set(client.capa()), {"SASL", "UIDL"})
        with self.assertRaises(poplib.error_proto):
            self.upgrade(client)
        client.quit()


class Ftp(Clients, unittest.TestCase):
    refused = ftplib.error_perm

    def function(self, client, host, **options):
        return clients.auth_tls_ftp(client, host, data=options.pop("data", "clear"), **options)

    def open(self, way, variable="FTP_"):
        client = ftplib.FTP(timeout=support.SECONDS)
        client.connect(*support.address(variable + way))
        client.noop = lambda: client.voidcmd("NOOP")
        return client

    def retrieve(self, client):
        pieces = []
        client.retrbinary("RETR file", pieces.append)
        self.assertEqual(b"".join(pieces), scripted_servers.FILE)

    def check(self, client):
        client.login()
        for passive in (True, False):
            client.set_pasv(passive)
            self.retrieve(client)
        client.quit()

    def test_over_ipv6(self):
        if "FTP6_good" not in support.peers():
            self.skipTest("no IPv6")
        client = self.open("good", "FTP6_")
        self.upgrade(client)
        self.check(client)

    def test_the_socket_answers_its_real_addresses(self):
        client = self.open("good")
        before = client.sock.getpeername(), client.sock.getsockname()
        self.upgrade(client)
        self.assertEqual((client.sock.getpeername(), client.sock.getsockname()), before)
        self.assertEqual(before[0], support.address("FTP_good"))

    def test_a_second_time_is_refused_and_harms_nothing(self):
        client = self.open("good")
        self.upgrade(client)
        with self.assertRaises(ValueError):
            self.upgrade(client)
        client.noop()

    def test_it_is_upgraded_anew_after_another_connect(self):
        client = self.open("good")
        with self.assertRaises(sslsock.SslCertificateError):
            self.upgrade(client, "other.test")
        for _ in range(2):
            client.connect(*support.address("FTP_good"))
            self.upgrade(client)
            client.noop()

    def test_what_data_connections_are_has_to_be_said(self):
        client = self.open("good")
        for data in ("", "P", None):
            with self.assertRaises(ValueError):
                self.upgrade(client, data=data)
        with self.assertRaises(ValueError):
            self.upgrade(client, data="private", resumption="no")
        with self.assertRaises(TypeError):
            clients.auth_tls_ftp(client, NAME)
        client.noop()

    def test_private_data_is_refused_where_they_are_clear(self):
        client = self.open("good")
        self.upgrade(client)
        for command in ("PROT P", "prot p", " PROT  E"):
            with self.assertRaises(sslsock.SslUsageError):
                client.voidcmd(command)
        client.voidcmd("PROT C")

    def test_a_library_client_with_tls_of_its_own_is_refused(self):
        with self.assertRaises(TypeError):
            clients.auth_tls_ftp(ftplib.FTP_TLS(), NAME, data="clear")
        with self.assertRaises(TypeError):
            clients.auth_tls_ftp(FTP_TLS(), NAME, data="clear")

    def test_what_every_helper_takes_goes_through(self):
        client = self.open("good")
        helper = self.upgrade(client, max_version=sslsock.SSL_PROTOCOL_TLS1_2)
        self.assertEqual(helper.session_info.protocol_name, "TLSv1.2")
