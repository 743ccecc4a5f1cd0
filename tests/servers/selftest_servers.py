"""Tests of the servers with OpenSSL's client and Python's own: each does what tests of sslsock rely on."""

import base64
import ftplib
import imaplib
import io
import os
import pathlib
import poplib
import re
import secrets
import smtplib
import socket
import ssl
import subprocess
import tempfile
import urllib.request

import harness
from harness import launch


def trusting(launched):
    return ssl.create_default_context(cafile=launched["SSLSOCK_PKI"] + "/ca.pem")


class Exim(harness.ServerTest):
    servers = ("exim",)

    def client(self):
        return smtplib.SMTP(*self.launched.address("SSLSOCK_EXIM_SMTP"), local_hostname="client.test", timeout=10)

    def starttls(self, client):
        # smtplib checks the certificate for the name it was given to connect to.
        client._host = self.launched["SSLSOCK_SERVER_NAME"]
        client.starttls(context=trusting(self.launched))
        client.ehlo()

    def test_s_client(self):
        s_client(self, "smtp", "SSLSOCK_EXIM_SMTP")

    def test_login_is_offered_under_tls_only(self):
        with self.client() as client:
            client.ehlo()
            self.assertFalse(client.has_extn("auth"))
            self.starttls(client)
            self.assertTrue(client.has_extn("auth"))
            with self.assertRaises(smtplib.SMTPAuthenticationError):
                client.login(self.launched["SSLSOCK_EXIM_USER"], "wrong")
            client.login(self.launched["SSLSOCK_EXIM_USER"], self.launched["SSLSOCK_EXIM_PASSWORD"])

    def test_mail_ends_up_in_the_spool(self):
        token, log = secrets.token_hex(32), self.log("SSLSOCK_EXIM_LOG")
        with self.client() as client:
            self.starttls(client)
            client.sendmail("a@client.test", ["b@mail.test"], f"Subject: test\r\n\r\n{token}\r\n")
        log.await_line(r"<= a@client\.test H=.* P=esmtps X=TLS1\.\d:")
        log.await_line(r"SMTP connection from .* closed by QUIT")
        self.assertIsNotNone(self.find_in_spool(token))
        self.assertIsNone(self.find_in_spool(secrets.token_hex(32)))

    def test_relays_only_for_those_who_logged_in(self):
        with self.client() as client:
            self.starttls(client)
            with self.assertRaises(smtplib.SMTPRecipientsRefused):
                client.sendmail("a@client.test", ["b@elsewhere.test"], "Subject: test\r\n\r\ntext\r\n")
            client.login(self.launched["SSLSOCK_EXIM_USER"], self.launched["SSLSOCK_EXIM_PASSWORD"])
            client.sendmail("a@client.test", ["b@elsewhere.test"], "Subject: test\r\n\r\ntext\r\n")

    def test_implicit_tls(self):
        host, port = self.launched.address("SSLSOCK_EXIM_SMTPS")
        with smtplib.SMTP_SSL(host, port, local_hostname="client.test", context=trusting(self.launched), timeout=10) as client:
            self.assertEqual(client.noop()[0], 250)


class Dovecot(harness.ServerTest):
    servers = ("dovecot",)

    def setUp(self):
        super().setUp()
        self.user, self.password = self.launched["SSLSOCK_DOVECOT_USER"], self.launched["SSLSOCK_DOVECOT_PASSWORD"]

    def test_s_client(self):
        s_client(self, "imap", "SSLSOCK_DOVECOT_IMAP")
        s_client(self, "pop3", "SSLSOCK_DOVECOT_POP3")

    def test_imap(self):
        token, log = secrets.token_hex(32), self.log("SSLSOCK_DOVECOT_LOG")
        self.put_mail(token)
        with imaplib.IMAP4(*self.launched.address("SSLSOCK_DOVECOT_IMAP"), timeout=10) as client:
            with self.assertRaisesRegex(imaplib.IMAP4.error, "PRIVACYREQUIRED|disallowed"):
                client.login(self.user, self.password)
            client.host = self.launched["SSLSOCK_SERVER_NAME"]
            client.starttls(trusting(self.launched))
            self.assertEqual(client.login(self.user, self.password)[0], "OK")
            log.await_line(r"imap-login: Info: Login: user=<user>, .*, TLS,")
            client.select("INBOX")
            _, found = client.fetch("1:*", "(BODY.PEEK[TEXT])")
            self.assertTrue(any(token.encode() in part[1] for part in found if isinstance(part, tuple)))

    def test_imap_wrong_password(self):
        with imaplib.IMAP4(*self.launched.address("SSLSOCK_DOVECOT_IMAP"), timeout=10) as client:
            client.host = self.launched["SSLSOCK_SERVER_NAME"]
            client.starttls(trusting(self.launched))
            with self.assertRaises(imaplib.IMAP4.error):
                client.login(self.user, "wrong")

    def test_pop3(self):
        token = secrets.token_hex(32)
        self.put_mail(token)
        client = poplib.POP3(*self.launched.address("SSLSOCK_DOVECOT_POP3"), timeout=10)
        self.addCleanup(client.close)
        client.host = self.launched["SSLSOCK_SERVER_NAME"]
        client.stls(trusting(self.launched))
        client.user(self.user)
        client.pass_(self.password)
        count, _ = client.stat()
        lines = [line for number in range(1, count + 1) for line in client.retr(number)[1]]
        self.assertIn(token.encode(), lines)
        client.quit()

    def test_pop3_login_needs_tls(self):
        client = poplib.POP3(*self.launched.address("SSLSOCK_DOVECOT_POP3"), timeout=10)
        self.addCleanup(client.close)
        with self.assertRaises(poplib.error_proto):
            client.user(self.user)

    def test_implicit_tls(self):
        host, port = self.launched.address("SSLSOCK_DOVECOT_IMAPS")
        with imaplib.IMAP4_SSL(host, port, ssl_context=trusting(self.launched), timeout=10) as client:
            client.login(self.user, self.password)
        host, port = self.launched.address("SSLSOCK_DOVECOT_POP3S")
        client = poplib.POP3_SSL(host, port, context=trusting(self.launched), timeout=10)
        self.assertTrue(client.quit().startswith(b"+OK"))


class ResumingFtp(ftplib.FTP_TLS):
    """ftplib leaves out what most servers ask for: the data connection resumes the control connection's session."""

    resume = True

    def ntransfercmd(self, cmd, rest=None):
        connection, size = ftplib.FTP.ntransfercmd(self, cmd, rest)
        if not self._prot_p:
            return connection, size
        session = self.sock.session if self.resume else None
        return self.context.wrap_socket(connection, server_hostname=self.host, session=session), size


class Vsftpd(harness.ServerTest):
    servers = ("vsftpd",)

    def client(self, version):
        context = trusting(self.launched)
        context.minimum_version = context.maximum_version = version
        client = ResumingFtp(context=context, timeout=10)
        self.addCleanup(client.close)
        client.connect(*self.launched.address("SSLSOCK_VSFTPD_FTP"))
        client.host = self.launched["SSLSOCK_SERVER_NAME"]
        return client

    def test_transfers_with_a_resumed_session(self):
        for version in (ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3):
            client = self.client(version)
            client.login("anonymous", "")
            client.prot_p()
            name, text = f"upload/{secrets.token_hex(4)}", secrets.token_bytes(100_000)
            client.storbinary(f"STOR {name}", io.BytesIO(text))
            self.assertEqual(pathlib.Path(self.launched["SSLSOCK_VSFTPD_ROOT"], name).read_bytes(), text)
            self.assertIn(name, client.nlst("upload"))
            client.quit()

    def test_transfers_in_clear(self):
        log = self.log("SSLSOCK_VSFTPD_LOG")
        client = self.client(ssl.TLSVersion.TLSv1_3)
        client.login("anonymous", "")
        client.prot_c()
        name, text = f"upload/{secrets.token_hex(4)}", secrets.token_bytes(100_000)
        client.storbinary(f"STOR {name}", io.BytesIO(text))
        self.assertEqual(pathlib.Path(self.launched["SSLSOCK_VSFTPD_ROOT"], name).read_bytes(), text)
        client.quit()
        log.await_line(r"SSL version: TLSv1\.3, SSL cipher: ")
        log.await_line(r"OK LOGIN: ")

    def test_refuses_a_new_session(self):
        client = self.client(ssl.TLSVersion.TLSv1_2)
        client.login("anonymous", "")
        client.prot_p()
        client.resume = False
        with self.assertRaises((ftplib.Error, OSError, EOFError)):
            client.nlst()

    def test_login_needs_tls(self):
        with ftplib.FTP(timeout=10) as client:
            client.connect(*self.launched.address("SSLSOCK_VSFTPD_FTP"))
            with self.assertRaises(ftplib.error_perm):
                client.login()

    def test_s_client(self):
        s_client(self, "ftp", "SSLSOCK_VSFTPD_FTP")


class ImplicitVsftpd(harness.ServerTest):
    servers = ("vsftpd_implicit",)

    def test_login(self):
        address = self.launched.address("SSLSOCK_VSFTPD_IMPLICIT_FTPS")
        with socket.create_connection(address, timeout=10) as plain:
            with trusting(self.launched).wrap_socket(plain, server_hostname="localhost") as secure:
                with secure.makefile("rw", newline="\r\n") as lines:
                    self.assertTrue(lines.readline().startswith("220 "))
                    lines.write("USER anonymous\r\n")
                    lines.flush()
                    self.assertTrue(lines.readline().startswith("230 "))


class Nginx(harness.ServerTest):
    servers = ("nginx",)

    def get(self, variable, certificate=False):
        context, pki = trusting(self.launched), self.launched["SSLSOCK_PKI"]
        if certificate:
            context.load_cert_chain(f"{pki}/client-chain.pem", f"{pki}/client.key")
        # Its certificate has the address among its names.
        with urllib.request.urlopen(f"https://{self.launched[variable]}/", context=context, timeout=10) as answer:
            return answer.read().decode()

    def test_client_certificate_is_optional(self):
        self.assertIn("verify=NONE", self.get("SSLSOCK_NGINX_HTTPS"))
        self.assertIn("verify=SUCCESS dn=CN=user", self.get("SSLSOCK_NGINX_HTTPS", certificate=True))

    def test_log_tells_protocol_cipher_and_name(self):
        log = self.log("SSLSOCK_NGINX_LOG")
        with socket.create_connection(self.launched.address("SSLSOCK_NGINX_HTTPS"), timeout=10) as plain:
            with trusting(self.launched).wrap_socket(plain, server_hostname="localhost") as secure:
                secure.sendall(b"GET / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
                self.assertTrue(secure.recv(4096).startswith(b"HTTP/1.1 200"))
        log.await_line(r'^127\.\d+\.\d+\.\d+ "GET / HTTP/1\.1" 200 protocol=TLSv1\.3 cipher=TLS_\w+ name=localhost$')

    def test_client_certificate_is_required(self):
        with self.assertRaisesRegex(OSError, "400"):
            self.get("SSLSOCK_NGINX_MUTUAL")
        self.assertEqual(self.get("SSLSOCK_NGINX_MUTUAL", certificate=True), "dn=CN=user\n")


class Prosody(harness.ServerTest):
    servers = ("prosody",)

    STREAM = b"<stream:stream to='localhost' version='1.0' xmlns='jabber:client' xmlns:stream='http://etherx.jabber.org/streams'>"

    def ask(self, connection, text, end):
        connection.sendall(text)
        received = b""
        while end not in received:
            more = connection.recv(4096)
            self.assertTrue(more, received)
            received += more
        return received

    def test_login_under_tls(self):
        log = self.log("SSLSOCK_PROSODY_LOG")
        with socket.create_connection(self.launched.address("SSLSOCK_PROSODY_XMPP"), timeout=10) as plain:
            features = self.ask(plain, self.STREAM, b"</stream:features>")
            self.assertNotIn(b"PLAIN", features)
            self.ask(plain, b"<starttls xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>", b"<proceed")
            with trusting(self.launched).wrap_socket(plain, server_hostname="localhost") as secure:
                self.assertIn(b"PLAIN", self.ask(secure, self.STREAM, b"</stream:features>"))
                secret = f"\0{self.launched['SSLSOCK_PROSODY_USER']}\0{self.launched['SSLSOCK_PROSODY_PASSWORD']}"
                text = base64.b64encode(secret.encode()).decode()
                login = f"<auth xmlns='urn:ietf:params:xml:ns:xmpp-sasl' mechanism='PLAIN'>{text}</auth>"
                self.ask(secure, login.encode(), b"<success")
        log.await_line(r"Stream encrypted \(TLSv1\.3 with TLS_\w+\)")
        log.await_line(r"Authenticated as user@localhost")


class Slapd(harness.ServerTest):
    servers = ("slapd",)

    def search(self, *arguments, authority=None, password=None, login=True):
        """The result of OpenLDAP's client."""
        environment = {
            **os.environ,
            "LDAPTLS_CACERT": authority or self.launched["SSLSOCK_PKI"] + "/ca.pem",
            "LDAPTLS_REQCERT": "demand",
        }
        command = ["ldapsearch", "-x", "-LLL", "-H", f"ldap://{self.launched['SSLSOCK_SLAPD_LDAP']}", "-b", "dc=test"]
        if login:
            command += ["-D", self.launched["SSLSOCK_SLAPD_USER_DN"], "-w", password or self.launched["SSLSOCK_SLAPD_PASSWORD"]]
        return subprocess.run([*command, *arguments], env=environment, capture_output=True, text=True, timeout=20)

    def test_search_under_tls(self):
        token, log = secrets.token_hex(8), self.log("SSLSOCK_SLAPD_LOG")
        entry = f"dn: cn={token}\nobjectClass: person\nstructuralObjectClass: person\ncn: {token}\nsn: {token}\n"
        pathlib.Path(self.launched["SSLSOCK_SLAPD_ENTRIES"], f"cn={token}.ldif").write_text(entry)
        done = self.search("-ZZ", f"(cn={token})", "sn")
        self.assertEqual((done.returncode, done.stdout.strip()), (0, f"dn: cn={token},dc=test\nsn: {token}"), done.stderr)
        number = log.await_line(r"conn=(\d+) fd=\d+ TLS established .*tls_proto=TLS1\.3")[1]
        log.await_line(rf'conn={number} op=\d+ BIND dn="cn=user,dc=test" mech=SIMPLE')

    def test_login_needs_tls(self):
        log = self.log("SSLSOCK_SLAPD_LOG")
        self.assertIn("Confidentiality required (13)", self.search().stderr)
        log.await_line(r"text=confidentiality required")

    def test_nothing_is_found_without_login(self):
        done = self.search("-ZZ", login=False)
        self.assertEqual((done.returncode, done.stdout), (0, ""), done.stderr)

    def test_wrong_password_and_wrong_authority(self):
        self.assertIn("Invalid credentials (49)", self.search("-ZZ", password="wrong").stderr)
        with tempfile.TemporaryDirectory() as other:
            self.assertEqual(launch("pki", other).returncode, 0)
            self.assertIn("ldap_start_tls: Connect error (-11)", self.search("-ZZ", authority=f"{other}/ca.pem").stderr)

    def test_s_client(self):
        s_client(self, "ldap", "SSLSOCK_SLAPD_LDAP")


class Proxy(harness.ServerTest):
    servers = ("nginx", "proxy")

    def get(self, scheme, variable):
        address = f"http://{self.launched['SSLSOCK_PROXY_HTTP']}"
        opener = urllib.request.build_opener(
            urllib.request.ProxyHandler({"http": address, "https": address}),
            urllib.request.HTTPSHandler(context=trusting(self.launched)),
        )
        with opener.open(f"{scheme}://{self.launched[variable]}/", timeout=10) as answer:
            return answer.read().decode()

    def test_tunnel(self):
        log = self.log("SSLSOCK_PROXY_LOG")
        self.assertIn("protocol=TLSv1.3", self.get("https", "SSLSOCK_NGINX_HTTPS"))
        log.await_line(rf"Request \(file descriptor \d+\): CONNECT {re.escape(self.launched['SSLSOCK_NGINX_HTTPS'])} ")

    def test_forwards_http(self):
        log = self.log("SSLSOCK_PROXY_LOG")
        self.assertIn("sslsock-", self.get("http", "SSLSOCK_NGINX_PLAIN"))
        log.await_line(r"Request \(file descriptor \d+\): GET http://")


def s_client(test, protocol, variable):
    """A verified upgrade in both versions; refused when the name or the authority is another."""
    pki, name = test.launched["SSLSOCK_PKI"], test.launched["SSLSOCK_SERVER_NAME"]

    def connect(*arguments, authority=f"{pki}/ca.pem", name=name):
        return subprocess.run(
            ["openssl", "s_client", "-starttls", protocol, "-connect", test.launched[variable], "-CAfile", authority,
             "-verify_return_error", "-servername", name, "-verify_hostname", name, *arguments],
            stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=20,
        )  # fmt: skip

    for version, shown in (("-tls1_2", "TLSv1.2"), ("-tls1_3", "TLSv1.3")):
        done = connect(version)
        test.assertEqual(done.returncode, 0, done.stderr)
        test.assertIn("Verify return code: 0 (ok)", done.stdout)
        test.assertIn(f"New, {shown}", done.stdout)
    test.assertNotEqual(connect(name="other.test").returncode, 0)
    with tempfile.TemporaryDirectory() as other:
        test.assertEqual(launch("pki", other).returncode, 0)
        test.assertNotEqual(connect(authority=f"{other}/ca.pem").returncode, 0)
