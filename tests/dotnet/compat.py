#!/usr/bin/env python3
"""SslSock.Compat: a program for .NET Compact Framework with `using Socket = SslSock.Compat.Socket;` and nothing else.

Each case is one of compat/*.cs, run on Mono and on CoreCLR; what can be seen from outside is looked at here.
"""

import os
import pathlib
import secrets
import sys
import tempfile
import unittest

TESTS = pathlib.Path(__file__).resolve().parents[1]
sys.path[:0] = [str(TESTS), str(TESTS / "servers")]

import harness  # noqa: E402
import pki  # noqa: E402
import runtimes  # noqa: E402
from compat_peers import Peers  # noqa: E402
from demo_recorded import MailServer  # noqa: E402
from recorder import assert_tls_from, record  # noqa: E402

SOURCES = sorted(pathlib.Path(__file__).with_name("compat").glob("*.cs"))
PROGRAM = runtimes.BUILD / "dotnet-tests" / "compat" / "compat.exe"
WAYS = ("connect", "begin", "task", "event")
PASTS = ("send", "send-as-declared", "stream", "begin-send", "send-async", "send-event", "control-code")
TIMEOUT = 120


class CompatTest(harness.ServerTest):
    """One runtime's tests; `runtime` is its name."""

    runtime = None
    servers = ("exim",)

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        folder = tempfile.TemporaryDirectory()
        cls.addClassCleanup(folder.cleanup)
        cls.pki, cls.other_pki = pathlib.Path(folder.name, "known"), pathlib.Path(folder.name, "other")
        pki.make(cls.pki)
        pki.make(cls.other_pki)
        cls.peers = Peers(cls.pki)
        try:
            cls.host = runtimes.runtime(cls.runtime)
            runtimes.compile(SOURCES, [runtimes.ASSEMBLY, "System.Core.dll", "System.dll"], PROGRAM)
        except runtimes.Lacking as lacking:
            cls.host, cls.without = None, str(lacking)

    def setUp(self):
        if self.host is None:
            (self.fail if os.environ.get("CI") else self.skipTest)(self.without)

    def run_case(self, case, *arguments, authority=None):
        variables = {"SSLSOCK_TEST_CA": str(authority or self.pki / "ca.pem")}
        done = self.host.run(
            PROGRAM, case, *(arguments or ["-"]), variables=variables, capture_output=True, text=True, timeout=TIMEOUT
        )
        self.assertEqual(done.returncode, 0, f"{case} {arguments}: {done.stdout}{done.stderr}")

    def need_exim(self):
        super().setUp()

    # The original helper.

    def test_deferred_with_the_demo_server(self):
        for way in WAYS:
            with self.subTest(way), MailServer() as server, record(server.host, server.port) as recording:
                token = secrets.token_hex(16)
                self.run_case("Deferred", way, f"127.0.0.1:{recording.port}", token, authority=server.ca)
                recording.wait()
                self.assertIn(token, server.output())
                (tape,) = recording.tapes
                clear = tape.client_bytes.index(b"STARTTLS\r\n") + len(b"STARTTLS\r\n")
                assert_tls_from(tape.client_bytes, clear)
                self.assertNotIn(token.encode(), tape.client_bytes)

    def test_deferred_with_exim(self):
        self.need_exim()
        self.deliver("Deferred", "SSLSOCK_EXIM_SMTP")

    def test_immediate_with_exim(self):
        self.need_exim()
        self.deliver("Immediate", "SSLSOCK_EXIM_SMTPS")

    def test_own_helper_with_exim(self):
        self.need_exim()
        self.deliver("OwnHelper", "SSLSOCK_EXIM_SMTPS")

    def deliver(self, case, port):
        authority = pathlib.Path(self.launched["SSLSOCK_PKI"], "ca.pem")
        host, number = self.launched.address(port)
        for way in WAYS:
            token = secrets.token_hex(32)
            with self.subTest(way), record(host, number) as recording:
                self.run_case(case, way, f"127.0.0.1:{recording.port}", token, authority=authority)
                self.assertIsNotNone(self.find_in_spool(token), "the mail is not in the spool")
                recording.wait()
                (tape,) = recording.tapes
                is_clear = b"STARTTLS\r\n" in tape.client_bytes
                clear = tape.client_bytes.index(b"STARTTLS\r\n") + len(b"STARTTLS\r\n") if is_clear else 0
                self.assertEqual(is_clear, case == "Deferred")
                assert_tls_from(tape.client_bytes, clear)

    def test_deferred_is_refused_by_the_hook(self):
        with MailServer() as server, record(server.host, server.port) as recording:
            self.run_case("DeferredRefused", f"127.0.0.1:{recording.port}", authority=self.other_pki / "ca.pem")
            recording.wait()
            (tape,) = recording.tapes
            self.assertNotIn(b"MAIL", tape.client_bytes)
            self.assertIn("0 received", server.output())

    def test_immediate_is_refused_by_the_hook(self):
        for way in WAYS:
            host, _, port = self.peers.tls.rpartition(":")
            with self.subTest(way), record(host, int(port)) as recording:
                server = f"127.0.0.1:{recording.port}"
                self.run_case("ImmediateRefused", way, server, authority=self.other_pki / "ca.pem")
                recording.wait()
                (tape,) = recording.tapes
                assert_tls_from(tape.client_bytes, 0)

    # Options and control codes.

    def test_every_overload_sets_the_option(self):
        self.run_case("EveryOverload")

    def test_option_once_connected(self):
        self.run_case("Connected", self.peers.plain, self.peers.tls)
        self.assertEqual(self.peers.recorded(), [b"still in clear\r\n"])

    def test_option_undone(self):
        self.run_case("Undone", self.peers.plain)
        self.assertEqual(self.peers.recorded(), [b"in clear, as asked\r\n"])

    def test_control_codes(self):
        self.run_case("ControlCodes")

    def test_hooks_are_kept(self):
        self.run_case("HooksAreKept")

    def test_hooks(self):
        self.run_case("Hooks", self.peers.tls)

    # Names.

    def test_name_by_connect(self):
        self.run_case("NamesByConnect", self.peers.tls)

    def test_name_by_look_up(self):
        self.run_case("LookedUp", self.peers.tls)

    def test_name_precedence(self):
        self.run_case("Precedence", self.peers.tls)

    def test_no_name(self):
        self.run_case("Nameless", self.peers.tls)

    def test_unusable_name_sends_nothing(self):
        self.run_case("Unusable", self.peers.plain)
        self.assertEqual(self.peers.recorded(), [b""])

    def test_name_without_blocking(self):
        self.run_case("NamesWithoutBlocking", self.peers.tls)

    def test_handshake_that_cannot_be_begun_sends_nothing(self):
        self.run_case("CannotBegin", self.peers.plain)
        self.assertEqual(self.peers.recorded(2), [b"", b""])

    # Connecting.

    def test_every_overload_is_hidden(self):
        self.run_case("EveryOverloadIsHidden")

    def test_past_it_nothing_is_sent(self):
        for way in PASTS:
            with self.subTest(way):
                self.run_case("PastIt", way, self.peers.plain, self.peers.dead)
                self.assertTrue(self.peers.recorded_nothing())

    def test_past_it_connecting_nothing_is_sent(self):
        for way in ("begin", "task", "event", "extension"):
            with self.subTest(way):
                self.run_case("PastItConnecting", way, self.peers.plain)
                self.assertTrue(self.peers.recorded_nothing())

    def test_connect_again(self):
        for way in WAYS:
            with self.subTest(way):
                self.run_case("Again", way, self.peers.tls, self.peers.dead, self.peers.plain)
                self.assertTrue(self.peers.recorded_nothing())

    def test_bound_before(self):
        self.run_case("Bound", self.peers.tls)

    def test_several_addresses(self):
        self.run_case("Several", self.peers.tls, self.peers.dead)

    def test_dual_mode(self):
        self.run_case("DualMode", self.peers.tls)

    def test_non_blocking(self):
        self.run_case("NonBlocking", self.peers.tls)

    def test_helper_and_defaults(self):
        self.run_case("HelperAndDefaults", self.peers.tls)

    def test_results_and_misuse(self):
        self.run_case("Results", self.peers.tls, self.peers.silent)

    def test_ordinary_socket(self):
        self.run_case("Ordinary", self.peers.plain)
        expected = sorted(f"{way}\r\n".encode() for way in WAYS)
        self.assertEqual(sorted(self.peers.recorded(len(WAYS))), expected)


class OnMono(CompatTest):
    runtime = "mono"


class OnCoreClr(CompatTest):
    runtime = "coreclr"


def load_tests(loader, _tests, _pattern):
    classes = (OnMono, OnCoreClr)
    return unittest.TestSuite(loader.loadTestsFromTestCase(one) for one in classes)


if __name__ == "__main__":
    harness.run_and_count()
