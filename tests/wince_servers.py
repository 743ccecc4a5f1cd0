"""The Windows CE programs against real servers."""

import binascii
import pathlib
import secrets
import tempfile

import harness
import pki
import wince_peers
from wince_runs import HOOK_UNKNOWN, IDCANCEL, IDNO, IDOK, IDYES, NAME, context, every_language, program

__all__ = ["Dovecot", "Exim", "Prosody", "Proxy"]


class WindowsCeTest(harness.ServerTest):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        scratch = tempfile.TemporaryDirectory(prefix="sslsock-wince-")
        cls.addClassCleanup(scratch.cleanup)
        # An authority that has issued no certificate of the class's servers.
        cls.other = pathlib.Path(scratch.name, "other")
        pki.make(cls.other)

    @property
    def trust(self):
        return pathlib.Path(self.launched["SSLSOCK_PKI"], "ca.pem")

    @property
    def distrust(self):
        """An authority that has not issued the server's certificate."""
        return self.other / "ca.pem"


@every_language
class Exim(WindowsCeTest):
    servers = ("exim",)

    @program("row08_post")
    def smtp_starttls(self, run):
        log, word = self.log("SSLSOCK_EXIM_LOG"), secrets.token_hex(16)
        done = run(self.launched.address("SSLSOCK_EXIM_SMTP"), "smtp", word)
        done.tls_from(rb"STARTTLS\r\n", rb"220 TLS go ahead\r\n")
        self.assertIsNotNone(self.find_in_spool(word), done.output)
        log.await_line(r"<= a@client.test .* X=TLS")

    @program("row08_post")
    def smtps(self, run):
        word = secrets.token_hex(16)
        done = run(self.launched.address("SSLSOCK_EXIM_SMTPS"), "smtps", word, trust=self.distrust)
        done.tls_from()
        self.assertIsNotNone(self.find_in_spool(word), done.output)


@every_language
class Dovecot(WindowsCeTest):
    servers = ("dovecot",)

    def setUp(self):
        super().setUp()
        self.word = secrets.token_hex(16)
        self.user, self.password = (self.launched[f"SSLSOCK_DOVECOT_{what}"] for what in ("USER", "PASSWORD"))
        self.dovecot = self.log("SSLSOCK_DOVECOT_LOG")

    def assert_logged_in(self, method):
        self.dovecot.await_line(f"{method}-login: .*Login: user=<{self.user}>.*TLS")

    def address(self, port):
        return self.launched.address(f"SSLSOCK_DOVECOT_{port}")

    @program("row05_imap")
    def starttls(self, run):
        self.put_mail(self.word)
        done = run(self.address("IMAP"), "starttls", self.user, self.password, self.word)
        done.says(self.word, "hook: ", "sent ")
        done.tls_from(rb"STARTTLS\r\n", rb"A001 OK [^\n]*\n")
        self.assert_logged_in("imap")

    @program("row05_imap")
    def deferred_and_done_at_once(self, run):
        self.put_mail(self.word)
        done = run(self.address("IMAPS"), "ssl", self.user, self.password, self.word, trust=self.distrust)
        done.says(self.word, "flags 1")
        done.tls_from()
        self.assert_logged_in("imap")

    @program("row02_mail")
    def imaps(self, run):
        self.put_mail(self.word)
        done = run(self.address("IMAPS"), self.user, self.password, self.word)
        done.says(self.word, "e OK")
        done.tls_from()
        self.assert_logged_in("imap")

    @program("row08_post")
    def pop3_stls(self, run):
        self.put_mail(self.word)
        done = run(self.address("POP3"), "pop3", "-", self.user, self.password)
        done.says("Subject: a token")
        done.tls_from(rb"STLS\r\n", rb"\+OK [^\n]*\n\+OK [^\n]*\n")
        self.assert_logged_in("pop3")

    @program("row16_layer")
    def pop3s(self, run):
        self.put_mail(self.word)
        done = run(self.address("POP3S"), self.user, self.password, "mail.test")
        done.says("Subject: a token", "subject CN=mail.test")
        done.says_not("box ")
        done.tls_from()
        self.assert_logged_in("pop3")

    @program("row16_layer")
    def unknown_issuer_is_asked_about(self, run):
        self.put_mail(self.word)
        arguments = (self.address("POP3S"), self.user, self.password, "mail.test")
        done = run(*arguments, trust=self.distrust, box=IDYES)
        done.says("Subject: a token", "issuer is unknown")
        for box in (IDNO, None):
            done = run.refused(*arguments, trust=self.distrust, box=box, number=HOOK_UNKNOWN)
            done.tls_from(whole=False)
            done.says_not("+OK")

    @program("row16_layer")
    def another_name_is_asked_about(self, run):
        arguments = (self.address("POP3S"), self.user, self.password, "other.test")
        done = run.refused(*arguments, box=IDNO, number=HOOK_UNKNOWN)
        done.says("for another name", 'box "Error" 0x10: connect: 10')


@every_language
class Prosody(WindowsCeTest):
    servers = ("prosody",)

    def arguments(self):
        user, password = (self.launched[f"SSLSOCK_PROSODY_{what}"] for what in ("USER", "PASSWORD"))
        return self.launched.address("SSLSOCK_PROSODY_XMPP"), "localhost", base64(f"\0{user}\0{password}")

    @program("row01_xmpp")
    def starttls(self, run):
        log = self.log("SSLSOCK_PROSODY_LOG")
        done = run(*self.arguments())
        done.says("<success", "urn:ietf:params:xml:ns:xmpp-bind")
        done.says("session: other (0x2000), cipher ? 0x6610 with 256 bits")
        done.says_not("box ")
        done.tls_from(rb"<starttls[^>]*/>", rb"<proceed[^>]*/>", name="localhost")
        log.await_line(r"TLSv1\.[23]")

    @program("row01_xmpp")
    def unknown_issuer_is_shown(self, run):
        done = run(*self.arguments(), trust=self.distrust, box=IDOK)
        done.says('box "Certificate"', "Issuer: CN=sslsock test intermediate", "Subject: CN=mail.test", "<success")
        for box in (IDCANCEL, None):
            done = run.refused(*self.arguments(), trust=self.distrust, box=box, number=HOOK_UNKNOWN)
            done.says("SSL certificate: issuer unknown")
            done.tls_from(rb"<starttls[^>]*/>", whole=False)

    @program("row01_xmpp")
    def checks_switched_off(self, run):
        done = run(*self.arguments(), "nochecks", trust=self.distrust)
        done.says("<success")
        done.says_not("box ")


@every_language
class Proxy(WindowsCeTest):
    servers = ("proxy", "nginx")

    def setUp(self):
        super().setUp()
        self.proxy = self.launched.address("SSLSOCK_PROXY_HTTP")
        self.target = self.launched["SSLSOCK_NGINX_HTTPS"]

    @program("row04_http")
    def connect_and_no_name(self, run):
        log = self.log("SSLSOCK_NGINX_LOG")
        done = run(self.proxy, self.target, "/")
        # The only name that there is, is the proxy's.
        done.says("connect: 10035", " 200 ", f"sni={NAME}", "hook: flags 0")
        done.tls_from(rb"\r\n\r\n", rb"\r\n\r\n")
        log.await_line(r'"GET / HTTP/1.0" 200 protocol=TLSv1.3')

    @program("row14_http")
    def connect_and_a_name(self, run):
        log, peers = self.log("SSLSOCK_PROXY_LOG"), wince_peers.Peers()
        pki.make_named(self.other, "local", NAME, NAME)
        # Where tinyproxy finds the name.
        _, port = peers.listen(peers.http, context(self.other, "local"), host="127.0.0.1")
        done = run(self.proxy, f"{NAME}:{port}", "/path", "proxy", trust=self.distrust)
        done.says("the answer to /path", f"subject CN={NAME}", "result 0x00000000")
        done.tls_from(rb"\r\n\r\n", rb"\r\n\r\n")
        log.await_line(f"CONNECT {NAME}:{port}")
        self.assertEqual(peers.asked, ["GET /path HTTP/1.0"])

    @program("row03_device")
    def https(self, run):
        done = run(self.launched.address("SSLSOCK_NGINX_HTTPS"), "/", "none")
        done.says("< HTTP/1.1 200 OK", "protocol=TLSv1.3", f"sni={NAME}")
        done.tls_from()


def base64(text):
    return binascii.b2a_base64(text.encode(), newline=False).decode()
