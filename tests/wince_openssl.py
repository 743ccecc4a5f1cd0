"""The Windows CE programs against the peers of wince_peers.py."""

import pathlib
import re
import ssl
import tempfile
import unittest

import pki
import wince_peers
from wince_runs import (
    HOOK_EXPIRED, HOOK_FAILED, HOOK_UNKNOWN, IDNO, IDYES, NAME, WSAECONNREFUSED, WSAECONNRESET, WSAETIMEDOUT, context,
    every_language, program,
)  # fmt: skip

__all__ = ["OpenSsl"]


@every_language
class OpenSsl(unittest.TestCase):
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
        # The two authorities have one name; what the other one's intermediate has issued names that.
        for mode, trust in (("exact", self.trust), ("issuer", self.other / "server.pem")):
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
        done.says("over 0, ended 1")

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
