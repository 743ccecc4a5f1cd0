"""The dialects of upgrading against real servers, with plain send and recv on both sides of it.

The evidence that TLS was in use is the server's own: the line of its log with version or cipher suite. Every client has
an address of its own in 127.0.0.0/8, by which the servers' logs tell it from others.
"""

import pathlib
import secrets
import socket
import subprocess
import sys
import tempfile

import conversations
import harness
from sslsock import SSL_ERR_BAD_SIG, SSL_ERR_NAME, SslError, SslHelper



def other_authority(test):
    """The file of a root of the same name that signed nothing here."""
    folder = tempfile.TemporaryDirectory()
    test.addCleanup(folder.cleanup)
    subprocess.run([sys.executable, harness.LAUNCH, "pki", folder.name], check=True)
    return f"{folder.name}/ca.pem"


class Client:
    """What a program has: a socket, and a helper made for it before anything else."""

    def __init__(self, test, variable, name, authority=None):
        self.source = "127." + ".".join(str(secrets.randbelow(254) + 1) for _ in range(3))
        self.address = test.launched.address(variable)
        self.sock = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        test.addCleanup(self.sock.close)
        self.sock.settimeout(20)
        self.sock.bind((self.source, 0))
        self.helper = SslHelper(
            self.sock, name, defer=True, trust_file=authority or f"{test.launched['SSLSOCK_PKI']}/ca.pem"
        )

    def connect(self):
        self.sock.connect(self.address)


class UpgradeTests:
    """What every dialect has to do. A class below says which server, variable, name and conversation, and `evidence`,
    `login` and `refused`: patterns of the server's log, given the client, for a session under TLS, for a login, and for
    a handshake that the client broke off."""

    name = "mail.test"

    def converse(self, client):
        raise NotImplementedError

    def test_conversation_goes_on_under_tls(self):
        client, log = Client(self, self.variable, self.name), self.log(self.log_variable)
        conversation = self.converse(client)
        client.connect()
        conversation.ask_for_tls()
        client.helper.do_handshake()
        conversation.go_on()
        for pattern in (*self.evidence(client, log), self.login(client, log)):
            log.await_line(pattern)
        self.look_further(client)

    def look_further(self, client):
        pass

    def assert_refused(self, code, name, authority=None):
        client, log = Client(self, self.variable, name, authority), self.log(self.log_variable)
        conversation = self.converse(client)
        client.connect()
        conversation.ask_for_tls()
        with self.assertRaises(SslError) as raised:
            client.helper.do_handshake()
        self.assertEqual(raised.exception.code, code, raised.exception)
        # A program that does not look at the answer says the rest all the same, and nobody hears it.
        with self.assertRaises(OSError):
            conversation.go_on()
        client.sock.close()
        log.await_line(self.refused(client, log))
        self.assertIsNone(log.find(self.login(client, log)), log.text())

    def test_wrong_name_logs_nobody_in(self):
        self.assert_refused(SSL_ERR_NAME, "other.test")

    def test_wrong_authority_logs_nobody_in(self):
        self.assert_refused(SSL_ERR_BAD_SIG, self.name, other_authority(self))


class SmtpStarttls(UpgradeTests, harness.ServerTest):
    servers, variable, log_variable = ("exim",), "SSLSOCK_EXIM_SMTP", "SSLSOCK_EXIM_LOG"

    def converse(self, client):
        client.token = secrets.token_hex(32)
        user, password = self.launched["SSLSOCK_EXIM_USER"], self.launched["SSLSOCK_EXIM_PASSWORD"]
        return conversations.Smtp(client.sock, user, password, token=client.token)

    def evidence(self, client, log):
        return [rf"<= a@client\.test H=.*\[{client.source}\] P=esmtpsa X=TLS1\.3:\w+"]

    def login(self, client, log):
        return rf"<= a@client\.test H=.*\[{client.source}\] .* A=plain:user"

    def refused(self, client, log):
        return rf"TLS error on connection from .*\[{client.source}\]"

    def look_further(self, client):
        self.assertIsNotNone(self.find_in_spool(client.token))


class DovecotTests(UpgradeTests):
    servers, log_variable = ("dovecot",), "SSLSOCK_DOVECOT_LOG"

    def converse(self, client):
        token = secrets.token_hex(32)
        self.put_mail(token)
        user, password = self.launched["SSLSOCK_DOVECOT_USER"], self.launched["SSLSOCK_DOVECOT_PASSWORD"]
        return self.conversation(client.sock, user, password, token)

    def evidence(self, client, log):
        return [rf"-login: Info: Login: .* rip={client.source}, .* TLS, TLSv1\.3 with cipher \w+"]

    def login(self, client, log):
        return rf"-login: Info: Login: user=<user>, method=PLAIN, rip={client.source},"

    def refused(self, client, log):
        return rf"-login: Info: Disconnected.* rip={client.source}, .* TLS handshaking: SSL_accept\(\) failed"


class ImapStarttls(DovecotTests, harness.ServerTest):
    variable, conversation = "SSLSOCK_DOVECOT_IMAP", conversations.Imap


class Pop3Stls(DovecotTests, harness.ServerTest):
    variable, conversation = "SSLSOCK_DOVECOT_POP3", conversations.Pop3


class FtpAuthTls(UpgradeTests, harness.ServerTest):
    servers, variable, log_variable = ("vsftpd",), "SSLSOCK_VSFTPD_FTP", "SSLSOCK_VSFTPD_LOG"

    def converse(self, client):
        return conversations.Ftp(client.sock, "anonymous")

    def evidence(self, client, log):
        return [rf'Client "{client.source}", "SSL version: TLSv1\.3, SSL cipher: \w+']

    def login(self, client, log):
        return rf'OK LOGIN: Client "{client.source}"'

    def refused(self, client, log):
        return rf'Client "{client.source}", "SSL_accept failed'

    def test_login_in_clear_is_refused(self):
        client, log = Client(self, self.variable, self.name), self.log(self.log_variable)
        client.connect()
        conversation = self.converse(client)
        conversation.expect("220 ")
        conversation.command("USER anonymous", "530 Anonymous sessions must use encryption")
        log.await_line(rf'Client "{client.source}", "530 ')


class XmppStarttls(UpgradeTests, harness.ServerTest):
    servers, variable, log_variable = ("prosody",), "SSLSOCK_PROSODY_XMPP", "SSLSOCK_PROSODY_LOG"
    name = "localhost"

    def converse(self, client):
        user, password = self.launched["SSLSOCK_PROSODY_USER"], self.launched["SSLSOCK_PROSODY_PASSWORD"]
        return conversations.Xmpp(client.sock, "localhost", user, password)

    def session(self, log):
        """Prosody does not log the client's address, but numbers the sessions."""
        return log.await_line(r"(c2s\w+)\s.*Client connected")[1]

    def evidence(self, client, log):
        return [rf"{self.session(log)}\s.*Stream encrypted \(TLSv1\.3 with TLS_\w+\)"]

    def login(self, client, log):
        return rf"{self.session(log)}\s.*Authenticated as user@localhost"

    def refused(self, client, log):
        return rf"{self.session(log)}\s.*Client disconnected: (?!connection closed)"


class LdapStartTls(UpgradeTests, harness.ServerTest):
    servers, variable, log_variable = ("slapd",), "SSLSOCK_SLAPD_LDAP", "SSLSOCK_SLAPD_LOG"

    def converse(self, client):
        token = secrets.token_hex(8)
        entry = f"dn: cn={token}\nobjectClass: person\nstructuralObjectClass: person\ncn: {token}\nsn: {token}\n"
        pathlib.Path(self.launched["SSLSOCK_SLAPD_ENTRIES"], f"cn={token}.ldif").write_text(entry)
        user, password = self.launched["SSLSOCK_SLAPD_USER_DN"], self.launched["SSLSOCK_SLAPD_PASSWORD"]
        return conversations.Ldap(client.sock, user, password, token)

    def number(self, client, log):
        return log.await_line(rf"conn=(\d+) fd=\d+ ACCEPT from IP={client.source}:")[1]

    def evidence(self, client, log):
        return [rf"conn={self.number(client, log)} fd=\d+ TLS established .*tls_proto=TLS1\.3 tls_cipher=\S+"]

    def login(self, client, log):
        return rf'conn={self.number(client, log)} op=\d+ BIND dn="cn=user,dc=test" mech=SIMPLE .*ssf=\d\d+'

    def refused(self, client, log):
        return rf"conn={self.number(client, log)} fd=\d+ closed \(TLS negotiation failure\)"


class Https(harness.ServerTest):
    """TLS from the first byte, and through a proxy from the first byte after the proxy's answer."""

    servers = ("nginx", "proxy")

    def setUp(self):
        super().setUp()
        self.path = f"/{secrets.token_hex(8)}"
        self.access, self.errors = self.log("SSLSOCK_NGINX_LOG"), self.log("SSLSOCK_NGINX_ERROR_LOG")

    def assert_served(self, sock, name):
        conversation = conversations.Https(sock, name, self.path)
        # Whether an earlier test's session was resumed (r) or not (.) does not matter here.
        self.assertRegex(conversation.go_on(), rf"protocol=TLSv1\.3 reused=[.r] sni={name} ")
        conversation.expect_end()
        self.access.await_line(rf'"GET {self.path} HTTP/1\.1" 200 protocol=TLSv1\.3 cipher=TLS_\w+ name={name}$')

    def assert_not_served(self, client, raised, code, source):
        self.assertEqual(raised.exception.code, code, raised.exception)
        with self.assertRaises(OSError):
            conversations.Https(client.sock, "mail.test", self.path).go_on()
        client.sock.close()
        self.errors.await_line(rf"SSL_do_handshake\(\) failed .* client: {source},")
        self.assertIsNone(self.access.find(self.path), self.access.text())

    def test_helper_of_a_connected_socket(self):
        sock = socket.create_connection(self.launched.address("SSLSOCK_NGINX_HTTPS"), timeout=20)
        self.addCleanup(sock.close)
        with SslHelper(sock, "mail.test", trust_file=f"{self.launched['SSLSOCK_PKI']}/ca.pem"):
            self.assert_served(sock, "mail.test")

    def test_connect(self):
        client = Client(self, "SSLSOCK_NGINX_HTTPS", "localhost")
        client.helper.connect(client.address)
        self.assertEqual(client.helper.remote_address, client.address)
        self.assert_served(client.sock, "localhost")

    def test_client_certificate(self):
        client, pki = Client(self, "SSLSOCK_NGINX_MUTUAL", "mail.test"), self.launched["SSLSOCK_PKI"]
        client.helper.socket.set_identity_file(f"{pki}/client-chain.pem", f"{pki}/client.key")
        client.helper.connect(client.address)
        self.assertEqual(conversations.Https(client.sock, "mail.test", self.path).go_on(), "dn=CN=user\n")
        self.access.await_line(rf'^{client.source} "GET {self.path} HTTP/1\.1" 200 protocol=TLSv1\.2 cipher=\S+')

    def test_connect_refuses(self):
        for code, name, authority in (
            (SSL_ERR_NAME, "other.test", None),
            (SSL_ERR_BAD_SIG, "mail.test", other_authority(self)),
        ):
            client = Client(self, "SSLSOCK_NGINX_HTTPS", name, authority)
            with self.assertRaises(SslError) as raised:
                client.helper.connect(client.address)
            self.assert_not_served(client, raised, code, client.source)

    def tunnel(self, name, authority=None):
        """A client whose next word is the web server's to hear."""
        client, log = Client(self, "SSLSOCK_PROXY_HTTP", name, authority), self.log("SSLSOCK_PROXY_LOG")
        client.connect()
        address = self.launched["SSLSOCK_NGINX_HTTPS"]
        conversations.Https(client.sock, name).tunnel(address)
        log.await_line(rf"Connect \(file descriptor \d+\): .*{client.source}")
        log.await_line(rf"Request \(file descriptor \d+\): CONNECT {address} HTTP/1\.1")
        return client

    def test_through_a_proxy(self):
        client = self.tunnel("mail.test")
        client.helper.do_handshake()
        self.assert_served(client.sock, "mail.test")

    def test_refuses_through_a_proxy(self):
        for code, name, authority in (
            (SSL_ERR_NAME, "other.test", None),
            (SSL_ERR_BAD_SIG, "mail.test", other_authority(self)),
        ):
            client = self.tunnel(name, authority)
            with self.assertRaises(SslError) as raised:
                client.helper.do_handshake()
            # The connection to the web server is the proxy's.
            self.assert_not_served(client, raised, code, r"127\.\d+\.\d+\.\d+")
