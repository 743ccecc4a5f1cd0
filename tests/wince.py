#!/usr/bin/env python3
"""Programs written for Windows CE, recompiled with include/wince, against real servers and OpenSSL.

Each program of c-tests/wince is run in every language that it was compiled as (make wince), through a recorder: what
it received, the server's log, where TLS begins on the wire and with which name (SNI), and the numbers of its errors.
"""

import binascii
import os
import pathlib
import re
import secrets
import ssl
import subprocess
import sys
import tempfile
import unittest

ROOT = pathlib.Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT / "tests"), str(ROOT / "tests" / "servers")]

import harness  # noqa: E402
import peer  # noqa: E402
import pki  # noqa: E402
import recorder  # noqa: E402
import wince_peers  # noqa: E402

BUILD = pathlib.Path(os.environ.get("SSLSOCK_BUILD") or ROOT / "build").absolute() / "wince"
SOURCES = ROOT / "c-tests" / "wince"
C_MODES, CXX_MODES = ("gnu17",), ("gnu++17",)
SECONDS = 30
# What a button of a message box answers.
IDOK, IDCANCEL, IDYES, IDNO = "1", "2", "6", "7"
# Where the recorders listen: the name that gethostbyname finds.
NAME = "localhost"
HOOK_UNKNOWN, HOOK_EXPIRED, HOOK_FAILED = 10, 8, 2
WSAECONNRESET, WSAETIMEDOUT, WSAECONNREFUSED = 10054, 10060, 10061


def modes(program):
    return (*C_MODES, *CXX_MODES) if (SOURCES / f"{program}.c").exists() else CXX_MODES


def program(name):
    """The test is made for every language of the program, whose runs it gets as `run`."""

    def mark(test):
        test.program = name
        return test

    return mark


def every_language(cls):
    for name, test in list(vars(cls).items()):
        if not hasattr(test, "program"):
            continue
        delattr(cls, name)
        for mode in modes(test.program):
            where = BUILD / mode / test.program
            made = lambda self, test=test, where=where: test(self, Runs(self, where))  # noqa: E731
            setattr(cls, f"test_{test.program}_{name}_{mode.replace('++', 'xx')}", made)
    return cls


class Runs:
    """Runs of one program, each through a recorder of its own."""

    def __init__(self, test, path):
        self.test, self.path = test, path

    def __call__(self, target, *arguments, trust=None, box=None, status=0, host=NAME):
        """The run, once it has ended with this status."""
        if not self.path.exists():
            self.test.fail(f"{self.path} has not been built")
        environment = {**os.environ, "SSLSOCK_TEST_CA": str(trust or self.test.trust)}
        if box:
            environment["SSLSOCK_TEST_BOX"] = box
        with recorder.record(*target, listen="127.0.0.1") as recording:
            command = [str(self.path), host, str(recording.port), *arguments]
            done = subprocess.run(command, env=environment, capture_output=True, timeout=SECONDS)
            if not recording.tapes or not recording.tapes[0].problems:
                recording.wait()
        run = Run(self.test, done, recording.tapes)
        self.test.assertEqual(done.returncode, status, run.output)
        return run

    def direct(self, target, *arguments, number):
        """The run without a recorder, which would accept what the target refuses."""
        command = [str(self.path), target[0], str(target[1]), *arguments]
        done = subprocess.run(command, capture_output=True, timeout=SECONDS)
        run = Run(self.test, done, [])
        self.test.assertEqual((done.returncode, run.last_error), (1, number), run.output)
        return run

    def refused(self, target, *arguments, **options):
        """The run, after which the program's last error was `number` and nothing went in clear."""
        number = options.pop("number")
        run = self(target, *arguments, status=1, **options)
        self.test.assertEqual(run.last_error, number, run.output)
        return run


class Run:
    def __init__(self, test, done, tapes):
        self.test, self.tapes = test, tapes
        self.output = (done.stdout + done.stderr).decode(errors="replace").replace("\r\n", "\n")

    @property
    def last_error(self):
        found = re.search(r"last error (-?\d+)$", self.output, re.M)
        return int(found.group(1)) if found else None

    def says(self, *texts):
        for text in texts:
            self.test.assertIn(text, self.output)

    def says_not(self, *texts):
        for text in texts:
            self.test.assertNotIn(text, self.output)

    def tls_from(self, client=None, server=None, name=NAME, tape=0, whole=True):
        """Both directions are TLS from what comes after these (None: from the first byte), and `name` was asked for."""
        tape = self.tapes[tape]
        start = after(tape.client_bytes, client)
        if whole:
            recorder.assert_tls_from(tape.client_bytes, start)
            recorder.assert_tls_from(tape.server_bytes, after(tape.server_bytes, server))
        else:
            self.test.assertEqual(peer.what_it_is(tape.client_bytes[start:]), "nothing but TLS")
        self.test.assertEqual(server_name(bytes(tape.client_bytes[start:])), name)


def after(stream, pattern):
    if pattern is None:
        return 0
    found = re.search(pattern, bytes(stream), re.S)
    assert found, f"no {pattern} in {bytes(stream)!r}"
    return found.end()


def server_name(hello):
    """The name (SNI) in a ClientHello, which begins the stream."""
    at = 5 + 4 + 2 + 32
    at += 1 + hello[at]
    at += 2 + int.from_bytes(hello[at : at + 2], "big")
    at += 1 + hello[at]
    end = at + 2 + int.from_bytes(hello[at : at + 2], "big")
    at += 2
    while at < end:
        kind, length = (int.from_bytes(hello[at + i : at + i + 2], "big") for i in (0, 2))
        if kind == 0:
            return hello[at + 9 : at + 4 + length].decode()
        at += 4 + length
    return None


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
        done.says("<success", "urn:ietf:params:xml:ns:xmpp-bind", "session: other (0x2000), cipher ? 0x66", "with 256 bits")
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


@every_language
class OpenSsl(unittest.TestCase):
    """Against the peers of wince_peers.py."""

    @classmethod
    def setUpClass(cls):
        scratch = tempfile.TemporaryDirectory(prefix="sslsock-wince-")
        cls.addClassCleanup(scratch.cleanup)
        cls.known, cls.other = (pathlib.Path(scratch.name, name) for name in ("known", "other"))
        for folder in (cls.known, cls.other):
            pki.make(folder)
        pki.make_expired(cls.known)
        pki.make_named(cls.known, "local", NAME, NAME)
        pki.make_named(cls.known, "wild", "*.wild.test", "*.wild.test", NAME)
        names = ("server", "expired", "local", "wild")
        cls.mail, cls.expired, cls.local, cls.wild = (context(cls.known, name) for name in names)

    trust = property(lambda self: self.known / "ca.pem")
    distrust = property(lambda self: self.other / "ca.pem")

    def setUp(self):
        self.peers = wince_peers.Peers()

    def http(self, certificate):
        return self.peers.listen(self.peers.http, certificate)

    def der(self, name):
        return ssl.PEM_cert_to_DER_cert((self.known / f"{name}.pem").read_text())

    # Row 3: the certificate is looked for in the stores.

    @program("row03_device")
    def certificate_in_a_store(self, run):
        done = run(self.http(self.local), "/device", "exact", trust=self.known / "local.pem")
        done.says("found in ROOT", "< Content-Length:", "the answer to /device")
        done.tls_from()
        done = run(self.http(self.local), "/device", "issuer")
        done.says("found in ROOT", "the answer to /device")

    @program("row03_device")
    def certificate_in_no_store(self, run):
        for mode, trust in (("exact", self.trust), ("issuer", self.distrust)):
            done = run.refused(self.http(self.local), "/device", mode, trust=trust, number=HOOK_UNKNOWN)
            done.says("connect failed")
            done.tls_from(whole=False)
        self.assertEqual(self.peers.asked, [])

    # Row 4: silence, and a connect that is refused although it did not wait.

    @program("row04_http")
    def proxy_that_refuses(self, run):
        kept, target = wince_peers.refusing()
        with kept:
            done = run.direct(target, "target.test:443", "/", number=WSAECONNREFUSED)
        done.says("connect (except) failed, error 10061")

    @program("row04_http")
    def no_answer_in_time(self, run):
        done = run.refused(self.through_proxy(self.peers.silent), "x:1", "/", "300", number=WSAETIMEDOUT)
        done.says("select failed, error 10060")

    def through_proxy(self, serve):
        """An HTTP proxy that finds every name at a server that does `serve`."""
        return self.peers.listen(self.peers.connect_proxy, self.peers.listen(serve, self.local))

    # Row 7: through SOCKS5, with the target's name in the certificate.

    def feeds(self, certificate):
        return self.peers.listen(self.peers.socks5, self.http(certificate))

    @program("row07_feeds")
    def wildcard_behind_socks(self, run):
        done = run(self.feeds(self.wild), "news.wild.test", "443", "/feed")
        done.says("the answer to /feed", "name in the certificate: *.wild.test", "trusted 1, name 1, date 1")
        done.says_not("box ")
        socks = b"news.wild.test" + (443).to_bytes(2, "big")
        done.tls_from(re.escape(socks), rb"\x05\x00\x05\x00\x00\x01.{6}")
        self.assertEqual(self.peers.asked, ["SOCKS5 3 news.wild.test:443", "GET /feed HTTP/1.0"])

    @program("row07_feeds")
    def asked_once_and_remembered(self, run):
        done = run(self.feeds(self.wild), "other.test", "443", "/feed", "again", box=IDYES)
        self.assertEqual(done.output.count("the answer to /feed"), 2)
        self.assertEqual(done.output.count("box "), 1)
        done.says("trusted 1, name 0, date 1", "of other.test: other name", "accepted before")

    @program("row07_feeds")
    def what_is_wrong_is_refused(self, run):
        cases = (
            (self.wild, self.distrust, "news.wild.test", "trusted 0, name 1, date 1"),
            (self.expired, self.trust, "mail.test", "name 1, date 0"),
            (self.local, self.trust, "*.wild.test", "trusted 1, name 0, date 1"),
        )
        for certificate, trust, host, finding in cases:
            for box in (IDNO, None):
                arguments = (self.feeds(certificate), host, "443", "/feed")
                done = run.refused(*arguments, trust=trust, box=box, number=HOOK_UNKNOWN)
                done.says(finding)
                done.tls_from(rb"\x01\xbb", whole=False)
        self.assertFalse([line for line in self.peers.asked if "GET" in line])

    @program("row07_feeds")
    def checks_switched_off(self, run):
        done = run(self.feeds(self.expired), "any.test", "443", "/feed", "all", trust=self.distrust)
        done.says("the answer to /feed")

    # Row 9: telnet.

    def telnet(self, negotiates):
        return self.peers.listen(self.peers.telnet, self.local, negotiates)

    def assert_typed(self, done, text):
        done.says("welcome", f"you typed {text}", "you typed logout")
        self.assertEqual(self.peers.asked, [text, "logout"])

    @program("row09_telnet")
    def negotiated(self, run):
        done = run(self.telnet(True), "z", "a line of text")
        done.says("flags 0 in 4 bytes", "negotiated")
        self.assert_typed(done, "a line of text")
        accept = bytes([255, 250, 37, 2, 7, 0, 2, 255, 240])
        done.tls_from(bytes([255, 250, 37, 0, 7, 0, 1, 255, 240]), accept)

    @program("row09_telnet")
    def stored_certificate(self, run):
        done = run(self.telnet(False), "s", "typed", self.der("local").hex(), trust=self.distrust)
        self.assert_typed(done, "typed")
        done.tls_from()

    @program("row09_telnet")
    def another_certificate_than_the_stored_one(self, run):
        for negotiates, mode in ((True, "z"), (False, "s")):
            done = run.refused(self.telnet(negotiates), mode, "typed", self.der("wild").hex(), number=HOOK_UNKNOWN)
            done.says_not("welcome")
        self.assertEqual(self.peers.asked, [])

    # Row 10: the Crypto API judges the chain.

    @program("row10_syncml")
    def chain(self, run):
        done = run(self.http(self.local), "/sync")
        done.says("trust status 00000000", "the answer to /sync <SyncML><SyncHdr/><SyncBody/></SyncML>")
        done.tls_from()

    @program("row10_syncml")
    def chain_that_has_expired(self, run):
        done = run(self.http(self.expired), "/sync", "ask", box=IDYES)
        done.says("trust status 00000001", "has expired", "the answer to /sync")
        for arguments in (("ask",), ()):
            done = run.refused(self.http(self.expired), "/sync", *arguments, box=IDNO, number=HOOK_EXPIRED)
            done.tls_from(whole=False)

    @program("row10_syncml")
    def chain_to_nobody(self, run):
        done = run.refused(self.http(self.local), "/sync", trust=self.distrust, number=HOOK_FAILED)
        done.says_not("trust status 00000000")
        self.assertEqual(self.peers.asked, [])

    @program("row10_syncml")
    def nobody_there(self, run):
        kept, target = wince_peers.refusing()
        with kept:
            run.direct(target, "/sync", number=WSAECONNREFUSED).says("transport error 61")

    @program("row10_syncml")
    def reset_instead_of_a_handshake(self, run):
        run.refused(self.peers.listen(self.peers.reset), "/sync", number=WSAECONNRESET)

    @program("row10_syncml")
    def reset_after_the_request(self, run):
        run.refused(self.peers.listen(self.peers.reset, self.local), "/sync", number=WSAECONNRESET)

    # Row 11: timeouts in milliseconds, set before the socket was made secure.

    @program("row11_video")
    def stream(self, run):
        done = run(self.peers.listen(self.peers.stream, self.local), "12000", trust=self.distrust)
        done.says("hook: flags 1", "receive timeout 12000", "RTSP/1.0 200 OK", "frame 1999")
        done.says_not("wsa ")
        done.tls_from()

    @program("row11_video")
    def silence(self, run):
        run.refused(self.peers.listen(self.peers.silent, self.local), "200", number=WSAETIMEDOUT)

    # Row 12: the name is set before connect, the hook's result read after it.

    @program("row12_runtime")
    def peer_name(self, run):
        done = run(self.http(self.mail), "mail.test", "/runtime")
        done.says("hook result 0", "the answer to /runtime")
        done.tls_from(name="mail.test")

    @program("row12_runtime")
    def peer_name_with_a_literal_address(self, run):
        run(self.http(self.mail), "mail.test", "/runtime", host="127.0.0.1").tls_from(name="mail.test")

    @program("row12_runtime")
    def another_peer_name(self, run):
        for name, trust in (("other.test", self.trust), ("mail.test", self.distrust)):
            done = run.refused(self.http(self.mail), name, "/runtime", trust=trust, number=HOOK_UNKNOWN)
            done.says("hook result 10", "result 5")
            done.tls_from(name=name, whole=False)
        self.assertEqual(self.peers.asked, [])

    # Row 13: a thread that receives under a lock.

    @program("row13_lines")
    def conversation(self, run):
        done = run(self.peers.listen(self.peers.lines, self.local), NAME, "a line")
        done.says(f"common name {NAME}", "hello a line\ngoodbye", "received nothing 0 times")
        done.tls_from()

    @program("row13_lines")
    def end_of_the_stream_is_nothing_again_and_again(self, run):
        done = run(self.peers.listen(self.peers.half_a_line, self.local), NAME, "a line", status=1)
        done.says("hello\n", "received nothing 22 times")

    @program("row13_lines")
    def silence_ended_by_closing(self, run):
        done = run(self.peers.listen(self.peers.silent, self.local), NAME, "a line", "-", "300", status=1)
        done.says("received nothing 0 times", "over 0, ended 1")

    @program("row13_lines")
    def issuer_overridden_and_nothing_else(self, run):
        lines = self.peers.lines
        done = run(self.peers.listen(lines, self.local), NAME, "a line", "override", trust=self.distrust)
        done.says("hello a line")
        run.refused(self.peers.listen(lines, self.local), NAME, "a line", trust=self.distrust, number=HOOK_UNKNOWN)
        # As written, and in no other case.
        for name in ("other.test", NAME.upper()):
            run.refused(self.peers.listen(lines, self.local), name, "a line", "override", number=HOOK_UNKNOWN)
        run.refused(self.peers.listen(lines, self.expired), "mail.test", "a line", "override", number=HOOK_EXPIRED)

    # Row 14: a name for the handshake, failures as HRESULT.

    @program("row14_http")
    def name_without_case(self, run):
        done = run(self.http(self.mail), "MAIL.test", "/", "direct")
        done.says("subject CN=mail.test", "the answer to /")
        done.tls_from(name="mail.test")

    @program("row14_http")
    def failures_as_hresult(self, run):
        for name, trust in (("localhost", self.trust), ("mail.test", self.distrust)):
            done = run.refused(self.http(self.mail), name, "/", "direct", trust=trust, number=HOOK_UNKNOWN)
            done.says("result 0x8007000a, facility 7")
        kept, target = wince_peers.refusing()
        with kept:
            run.direct(target, "mail.test", "/", "direct", number=WSAECONNREFUSED).says("result 0x8007274d")
        reset = self.peers.listen(self.peers.reset, self.mail)
        run.refused(reset, "mail.test", "/", "direct", number=WSAECONNRESET).says("result 0x80072746")

    @program("row14_http")
    def receive_ended_from_another_thread(self, run):
        silent = self.peers.listen(self.peers.silent, self.mail)
        done = run.refused(silent, "mail.test", "/", "direct", "300", number=WSAETIMEDOUT)
        done.says("receive ended 1, result", "result 0x8007274c")

    # Row 15: the hook's argument counts its references.

    @program("row15_import")
    def counted_argument(self, run):
        done = run(self.http(self.wild), "news.wild.test", "/")
        done.says("the answer to /", "information freed")
        done.says_not("box ")
        done.tls_from()

    @program("row15_import")
    def both_questions(self, run):
        done = run(self.http(self.wild), "other.test", "/", trust=self.distrust, box=IDYES)
        done.says("other.test: the issuer is unknown", "other.test: the certificate is for another name", "the answer")
        done = run.refused(self.http(self.wild), "other.test", "/", box=IDNO, number=HOOK_UNKNOWN)
        done.says("for another name", "information freed")
        done.says_not("issuer is unknown")

    # Row 17: the session's description, and names that are none.

    def irc(self):
        return self.peers.listen(self.peers.irc, self.local)

    @program("row17_irc")
    def description_after_connect(self, run):
        done = run(self.irc(), "nick", "never")
        done.says("connection information: 28 bytes, protocol 0x2000, strength 256", ":irc.test 001 nick :Welcome")
        done.tls_from()
        self.assertEqual(self.peers.asked, ["nick", "QUIT :bye"])

    @program("row17_irc")
    def setting_decides(self, run):
        run(self.irc(), "nick", "always", trust=self.distrust).says("Welcome")
        run(self.irc(), "nick", "ask", trust=self.distrust, box=IDYES).says("Welcome", 'box "IRC"')
        for setting, box in (("ask", IDNO), ("ask", None), ("never", IDYES)):
            done = run.refused(self.irc(), "nick", setting, trust=self.distrust, box=box, number=HOOK_UNKNOWN)
            done.tls_from(whole=False)

    @program("row17_irc")
    def names_that_are_none(self, run):
        for name in ("junk", "pointer"):
            done = run(self.irc(), "nick", "never", name)
            done.says("Welcome")
            done.tls_from(name=NAME)


def context(folder, name):
    made = peer.server_context(folder) if name == "server" else ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    if name != "server":
        made.load_cert_chain(folder / f"{name}.pem", folder / f"{name}.key")
    return made


def base64(text):
    return binascii.b2a_base64(text.encode(), newline=False).decode()


if __name__ == "__main__":
    harness.run_and_count()
