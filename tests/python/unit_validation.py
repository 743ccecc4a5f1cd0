"""Verdicts that come later: hooks that are awaited, complete_validation and cancel_handshake."""

import asyncio
import gc
import os
import random
import select
import socket
import threading
import unittest
import weakref

import support
from support import NAME, authority, closing
from tls_peers import Client, der, pki

import sslsock
from sslsock import Identity, SslHelper, SslSocket


class Awaited(SslHelper):
    """Answers when `decide` is told to, with what it is told."""

    def __init__(self, *arguments, **options):
        self.asked, self.verdict = asyncio.Event(), asyncio.get_running_loop().create_future()
        super().__init__(*arguments, **options)

    async def validate_cert_async(self, type, arg, chain, flags):
        self.seen = (type, arg, chain, flags)
        self.asked.set()
        return await self.verdict


async def in_thread(function, *arguments):
    return await asyncio.get_running_loop().run_in_executor(None, function, *arguments)


class ValidationTest(unittest.TestCase):
    def run_async(self, coroutine):
        return asyncio.run(asyncio.wait_for(coroutine, support.SECONDS))

    def assert_nothing_left(self, recorded):
        """Nothing was sent under TLS, nor in clear."""
        with self.assertRaises(OSError):
            recorded.sock.sendall(b"in clear")
        recorded.sock.close()
        _, wire, plain, end = recorded.record()
        self.assertEqual(plain, b"")
        self.assertNotIn(b"in clear", wire)
        self.assertNotEqual(end, "close_notify")


class AwaitedVerdicts(ValidationTest):
    def test_the_loop_goes_on_until_the_verdict(self):
        async def test():
            recorded = support.Recorded("serve known")
            helper = Awaited(recorded.sock, NAME, True, trust_file=authority())
            task = asyncio.ensure_future(helper.do_handshake_async())
            await helper.asked.wait()
            self.assertEqual(helper.seen, (sslsock.SSL_CERT_X509, NAME, [der(pki("server.pem"))], 0))
            self.assertEqual(helper.socket.get_verify_report().causes, 0)
            self.assertIn("localhost", helper.socket.presented_names())
            for _ in range(100):
                await asyncio.sleep(0)
            self.assertFalse(task.done())
            self.assertEqual([thread for thread in threading.enumerate() if thread.name == "sslsock handshake"], [])
            helper.verdict.set_result(sslsock.SSL_ERR_OKAY)
            await task
            recorded.sock.sendall(b"after it")
            recorded.sock.close()
            return recorded

        self.assertEqual(self.run_async(test()).record()[2:], (b"after it", "close_notify"))

    def test_a_hundred_verdicts_in_random_order(self):
        async def one(number, verdicts, asked):
            class Numbered(SslHelper):
                async def validate_cert_async(self, type, arg, chain, flags):
                    asked.release()
                    return await verdicts[number]

            with closing(socket.socket()) as sock:
                sock.setblocking(False)
                await asyncio.get_running_loop().sock_connect(sock, support.address())
                try:
                    await Numbered(sock, NAME, True, trust_file=authority()).do_handshake_async()
                except sslsock.SslCertificateError as error:
                    return error.code
                reader, writer = await asyncio.open_connection(sock=sock)
                writer.write(b"echo\n%d" % number)
                writer.write_eof()
                data = await reader.read()
                writer.close()
                return int(data)

        async def test():
            loop, asked = asyncio.get_running_loop(), asyncio.Semaphore(0)
            verdicts = [loop.create_future() for _ in range(100)]
            tasks = [asyncio.ensure_future(one(number, verdicts, asked)) for number in range(100)]
            # Every one of them waits for its verdict before the first is given.
            for _ in tasks:
                await asked.acquire()
            order = list(range(100))
            random.shuffle(order)
            for number in order:
                # Some are refused.
                verdicts[number].set_result(sslsock.SSL_ERR_OKAY if number % 5 else -1 - number)
                await asyncio.sleep(0)
            return await asyncio.gather(*tasks)

        self.assertEqual(self.run_async(test()), [number if number % 5 else -1 - number for number in range(100)])

    def test_a_refusal_and_what_is_no_verdict(self):
        for verdict, code, cause in (
            (-7, -7, None),
            (sslsock.SSL_ERR_CERT_REVOKED, sslsock.SSL_ERR_CERT_REVOKED, None),
            (None, sslsock.SSL_ERR_FAILED, TypeError),
            (False, sslsock.SSL_ERR_FAILED, TypeError),
            (LookupError("on purpose"), sslsock.SSL_ERR_FAILED, LookupError),
            (sslsock.SSL_ERR_WANT_VALIDATION, sslsock.SSL_ERR_FAILED, ValueError),
        ):

            async def test(verdict=verdict, code=code, cause=cause):
                recorded = support.Recorded("serve known")
                helper = Awaited(recorded.sock, NAME, True, trust_file=authority())
                task = asyncio.ensure_future(helper.do_handshake_async())
                await helper.asked.wait()
                set_it = helper.verdict.set_exception if isinstance(verdict, Exception) else helper.verdict.set_result
                set_it(verdict)
                with self.assertRaises(sslsock.SslCertificateError) as raised:
                    await task
                self.assertEqual((raised.exception.code, raised.exception.from_hook), (code, True), verdict)
                self.assertIsInstance(raised.exception.__cause__, cause or type(None))
                return recorded

            self.assert_nothing_left(self.run_async(test()))

    def test_what_is_wrong_can_be_accepted_but_not_strictly(self):
        async def test(flags):
            recorded = support.Recorded("serve unknown")
            helper = Awaited(recorded.sock, NAME, True, trust_file=authority(), flags=flags)
            helper.verdict.set_result(sslsock.SSL_ERR_OKAY)
            try:
                await helper.do_handshake_async()
            finally:
                self.assertEqual(helper.seen[3], sslsock.SSL_CERT_FLAG_ISSUER_UNKNOWN)
                recorded.sock.close()

        self.run_async(test(0))
        with self.assertRaises(sslsock.SslCertificateError):
            self.run_async(test(sslsock.SSL_FLAG_STRICT))

    def test_a_time_limit_ends_both(self):
        async def test():
            recorded = support.Recorded("serve known")
            helper = Awaited(recorded.sock, NAME, True, trust_file=authority())
            with self.assertRaises(sslsock.SslTimeoutError):
                await helper.do_handshake_async(timeout=0.3)
            self.assertTrue(helper.asked.is_set())
            self.assertTrue(helper.verdict.cancelled())
            return recorded

        self.assert_nothing_left(self.run_async(test()))

    def test_a_time_limit_while_the_server_is_silent(self):
        async def test():
            recorded = support.Recorded("silent")
            helper = Awaited(recorded.sock, NAME, True, trust_file=authority(), timeout=0.05)
            with self.assertRaises(sslsock.SslTimeoutError):
                await helper.do_handshake_async()
            self.assertFalse(helper.asked.is_set())
            return recorded

        self.assert_nothing_left(self.run_async(test()))

    def test_cancelling_ends_both(self):
        async def test(what):
            recorded = support.Recorded(what)
            helper = Awaited(recorded.sock, NAME, True, trust_file=authority(), timeout=600)
            task = asyncio.ensure_future(helper.do_handshake_async())
            if what == "serve known":
                await helper.asked.wait()
            else:
                self.assertEqual(await in_thread(recorded.control, "hello"), "hello")
            task.cancel()
            with self.assertRaises(asyncio.CancelledError):
                await task
            self.assertEqual(helper.verdict.cancelled(), what == "serve known")
            self.assertEqual(helper.socket.get_error(), sslsock.SSL_ERR_CANCELLED)
            if what != "serve known":
                recorded.control("go")
            return recorded

        self.assert_nothing_left(self.run_async(test("serve known")))
        self.assert_nothing_left(self.run_async(test("halt known")))

    def test_a_verdict_that_is_cancelled_by_others_is_none(self):
        async def test():
            recorded = support.Recorded("serve known")
            helper = Awaited(recorded.sock, NAME, True, trust_file=authority())
            task = asyncio.ensure_future(helper.do_handshake_async())
            await helper.asked.wait()
            helper.verdict.cancel()
            with self.assertRaises(sslsock.SslCertificateError) as raised:
                await task
            self.assertIsInstance(raised.exception.__cause__, asyncio.CancelledError)
            return recorded

        self.assert_nothing_left(self.run_async(test()))

    def test_streams_that_were_opened_before_go_on(self):
        async def test():
            controlled = support.Controlled()
            controlled.sock.setblocking(False)
            reader, writer = await asyncio.open_connection(sock=controlled.sock)
            await in_thread(controlled.tell, "tls")
            helper = Awaited(controlled.sock, NAME, True, trust_file=authority())
            task = asyncio.ensure_future(helper.do_handshake_async([reader], [writer]))
            await helper.asked.wait()
            self.assertFalse(writer.transport.is_reading())
            helper.verdict.set_result(sslsock.SSL_ERR_OKAY)
            await task
            writer.write(b"under TLS\n")
            await in_thread(controlled.tell, "line", "under TLS")
            await in_thread(controlled.tell, "send 10")
            self.assertEqual(len(await reader.readexactly(10)), 10)
            writer.close()
            controlled.close()

        self.run_async(test())

    def test_a_client_s_certificate(self):
        async def test():
            with closing(Client(chain=(pki("client-chain.pem"), pki("client.key")))) as client:
                identity = Identity(pki("server-chain.pem"), pki("server.key"))
                options = {"identity": identity, "client_certificate": "required", "trust_file": authority()}
                helper = Awaited(client.sock, defer=True, server=True, **options)
                task = asyncio.ensure_future(helper.do_handshake_async())
                await helper.asked.wait()
                self.assertEqual(helper.seen[2], [der(pki("client.pem"))])
                helper.verdict.set_result(sslsock.SSL_ERR_OKAY)
                await task
                client.sock.settimeout(support.SECONDS)
                self.assertEqual(await in_thread(client.sock.recv, 1), b"y")
                client.sock.sendall(b"x")
                self.assertEqual((await in_thread(client.result)).data, b"x")

        self.run_async(test())

    def test_a_hook_of_the_socket_s_own_is_awaited_too(self):
        async def accept(type, arg, chain, flags):
            await asyncio.sleep(0)
            seen.append((arg, flags))
            return sslsock.SSL_ERR_OKAY

        async def test():
            with closing(support.connect()) as sock:
                helper = SslHelper(sock, NAME, True, trust_file=authority())
                helper.socket.set_validate_cert_hook(accept, "mark")
                await helper.do_handshake_async()

        seen = []
        self.run_async(test())
        self.assertEqual(seen, [("mark", 0)])

    def test_nothing_keeps_what_was_awaited(self):
        async def test():
            controlled = support.Controlled()
            await in_thread(controlled.tell, "tls")
            helper = Awaited(controlled.sock, NAME, True, trust_file=authority())
            helper.verdict.set_result(sslsock.SSL_ERR_OKAY)
            await helper.do_handshake_async()
            gone = weakref.ref(helper)
            del helper
            gc.collect()
            self.assertIsNone(gone())
            controlled.close()

        self.run_async(test())


class MisusedVerdicts(ValidationTest):
    def test_what_has_to_be_awaited_needs_the_function_that_awaits(self):
        async def test():
            for call in (
                lambda sock: Awaited(sock, NAME, trust_file=authority()),
                lambda sock: Awaited(sock, NAME, True).do_handshake(),
                lambda sock: Awaited(sock, NAME, True).connect(support.address()),
            ):
                with closing(support.connect()) as sock:
                    with self.assertRaises(TypeError) as raised:
                        call(sock)
                    self.assertIn("do_handshake_async()", str(raised.exception))
                    sock.sendall(b"STARTTLS ticket\n")

        self.run_async(test())

    def test_its_name_says_that_it_is_awaited(self):
        class Misnamed(SslHelper):
            async def validate_cert(self, type, arg, chain, flags):
                return sslsock.SSL_ERR_OKAY

        with closing(support.connect()) as sock, self.assertRaises(TypeError) as raised:
            Misnamed(sock, NAME, True)
        self.assertIn("validate_cert_async()", str(raised.exception))

    def test_without_somebody_who_awaits_it_refuses(self):
        async def accept(type, arg, chain, flags):
            return sslsock.SSL_ERR_OKAY

        for flags in (0, sslsock.SSL_FLAG_NONBLOCKING):
            recorded = support.Recorded("serve known")
            ssl_socket = SslSocket.of(recorded.sock)
            ssl_socket.set_flags(flags)
            ssl_socket.set_validate_cert_hook(accept)
            with self.assertRaises(sslsock.SslCertificateError) as raised:
                perform(ssl_socket)
            self.assertIsInstance(raised.exception.__cause__, TypeError)
            self.assert_nothing_left(recorded)

    def test_with_both_each_way_has_its_own(self):
        class Both(SslHelper):
            asked = ""

            def validate_cert(self, type, arg, chain, flags):
                self.asked += "now"
                return sslsock.SSL_ERR_OKAY

            async def validate_cert_async(self, type, arg, chain, flags):
                self.asked += "later"
                return sslsock.SSL_ERR_OKAY

        async def later(helper):
            await helper.do_handshake_async()

        for expected in ("now", "later"):
            with closing(support.connect()) as sock:
                helper = Both(sock, NAME, True, trust_file=authority())
                helper.do_handshake() if expected == "now" else self.run_async(later(helper))
                self.assertEqual(helper.asked, expected)
                # A second one finds the state.
                self.assertIs(Both(sock, NAME).socket, helper.socket)

    def test_in_a_handshake_that_blocks_it_is_a_refusal(self):
        recorded = support.Recorded("serve known")
        ssl_socket = SslSocket.of(recorded.sock)
        ssl_socket.add_trust_file(authority())
        ssl_socket.set_validate_cert_hook(lambda *_: sslsock.SSL_ERR_WANT_VALIDATION)
        with self.assertRaises(sslsock.SslCertificateError) as raised:
            ssl_socket.perform_handshake(NAME)
        self.assertIn("SSL_FLAG_NONBLOCKING", raised.exception.text)
        self.assert_nothing_left(recorded)


def perform(ssl_socket, until=sslsock.SSL_ERR_OKAY):
    """A handshake that does not block, waited for, until it wants what is asked for."""
    transport = None
    try:
        while True:
            try:
                ssl_socket.perform_handshake(NAME)
                return
            except sslsock.SslWouldBlockError as wait:
                if wait.code == until:
                    return
                transport = ssl_socket.get_transport_fd() if transport is None else transport
                wanted = {sslsock.SSL_ERR_WANT_READ: select.POLLIN, sslsock.SSL_ERR_WANT_WRITE: select.POLLOUT}[wait.code]
                poll = select.poll()
                poll.register(transport, wanted)
                poll.poll(support.SECONDS * 1000)
    finally:
        if transport is not None:
            os.close(transport)


class VerdictsByHand(ValidationTest):
    def prepared(self, what="serve known", hook=lambda *_: sslsock.SSL_ERR_WANT_VALIDATION):
        recorded = support.Recorded(what)
        self.addCleanup(recorded.sock.close)
        ssl_socket = SslSocket.of(recorded.sock)
        ssl_socket.set_flags(sslsock.SSL_FLAG_NONBLOCKING)
        ssl_socket.add_trust_file(authority())
        ssl_socket.set_validate_cert_hook(hook)
        return recorded, ssl_socket

    def assert_state(self, call):
        with self.assertRaises(sslsock.SslUsageError) as raised:
            call()
        self.assertEqual(raised.exception.code, sslsock.SSL_ERR_STATE)

    def test_the_answer_comes_between_two_calls(self):
        recorded, ssl_socket = self.prepared()
        self.assert_state(lambda: ssl_socket.complete_validation(0))
        perform(ssl_socket, sslsock.SSL_ERR_WANT_VALIDATION)
        for _ in range(2):
            with self.assertRaises(sslsock.SslWouldBlockError) as raised:
                ssl_socket.perform_handshake()
            self.assertEqual(raised.exception.code, sslsock.SSL_ERR_WANT_VALIDATION)
        for wrong, kind in ((None, TypeError), (False, TypeError), (1 << 40, OverflowError)):
            with self.assertRaises(kind):
                ssl_socket.complete_validation(wrong)
        ssl_socket.complete_validation(sslsock.SSL_ERR_OKAY)
        self.assert_state(lambda: ssl_socket.complete_validation(2))
        perform(ssl_socket)
        self.assert_state(lambda: ssl_socket.complete_validation(2))
        self.assert_state(ssl_socket.cancel_handshake)
        recorded.sock.sendall(b"after it")
        recorded.sock.close()
        self.assertEqual(recorded.record()[2:], (b"after it", "close_notify"))

    def test_a_refusal(self):
        recorded, ssl_socket = self.prepared()
        perform(ssl_socket, sslsock.SSL_ERR_WANT_VALIDATION)
        ssl_socket.complete_validation(-9)
        with self.assertRaises(sslsock.SslCertificateError) as raised:
            perform(ssl_socket)
        self.assertEqual((raised.exception.code, raised.exception.from_hook), (-9, True))
        self.assert_nothing_left(recorded)

    def test_it_may_come_before_the_hook_has_returned(self):
        def hook(*_):
            thread = threading.Thread(target=ssl_socket.complete_validation, args=(sslsock.SSL_ERR_OKAY,))
            thread.start()
            thread.join()
            return sslsock.SSL_ERR_WANT_VALIDATION

        recorded, ssl_socket = self.prepared(hook=hook)
        perform(ssl_socket)
        recorded.sock.sendall(b"after it")
        recorded.sock.close()
        self.assertEqual(recorded.record()[2], b"after it")

    def test_an_exception_after_an_early_acceptance_refuses(self):
        def hook(*_):
            thread = threading.Thread(target=ssl_socket.complete_validation, args=(sslsock.SSL_ERR_OKAY,))
            thread.start()
            thread.join()
            raise LookupError("on purpose")

        recorded, ssl_socket = self.prepared(hook=hook)
        with self.assertRaises(sslsock.SslCertificateError) as raised:
            perform(ssl_socket)
        self.assertIsInstance(raised.exception.__cause__, LookupError)
        self.assert_nothing_left(recorded)

    def test_inside_the_hook_it_is_refused(self):
        codes = []

        def hook(*_):
            try:
                ssl_socket.complete_validation(sslsock.SSL_ERR_OKAY)
            except sslsock.SslUsageError as error:
                codes.append(error.code)
            return sslsock.SSL_ERR_CERT_UNKNOWN

        recorded, ssl_socket = self.prepared(hook=hook)
        with self.assertRaises(sslsock.SslCertificateError):
            perform(ssl_socket)
        self.assertEqual(codes, [sslsock.SSL_ERR_REENTRANT])
        self.assert_nothing_left(recorded)

    def test_cancelled_between_two_calls(self):
        for until, what in ((sslsock.SSL_ERR_WANT_VALIDATION, "serve known"), (sslsock.SSL_ERR_WANT_READ, "halt known")):
            recorded, ssl_socket = self.prepared(what)
            self.assert_state(ssl_socket.cancel_handshake)
            perform(ssl_socket, until)
            ssl_socket.cancel_handshake()
            with self.assertRaises(sslsock.SslError):
                ssl_socket.perform_handshake()
            self.assertEqual(ssl_socket.get_error(), sslsock.SSL_ERR_CANCELLED)
            self.assertIsInstance(ssl_socket.failure(), sslsock.SslCancelledError)
            if what == "halt known":
                recorded.control("go")
            self.assert_nothing_left(recorded)

    def test_cancelled_in_another_thread(self):
        recorded = support.Recorded("halt known")
        helper = SslHelper(recorded.sock, NAME, True, trust_file=authority())
        raised = []

        def handshake():
            try:
                helper.do_handshake()
            except sslsock.SslError as error:
                raised.append(error)

        thread = threading.Thread(target=handshake)
        thread.start()
        self.assertEqual(recorded.control("hello"), "hello")
        helper.socket.cancel_handshake()
        thread.join(support.SECONDS)
        (error,) = raised
        self.assertIsInstance(error, sslsock.SslCancelledError)
        self.assertEqual(error.code, sslsock.SSL_ERR_CANCELLED)
        recorded.control("go")
        self.assert_nothing_left(recorded)

    def test_threads_bring_the_answers_of_fifty(self):
        pairs = [self.prepared() for _ in range(50)]
        for _, ssl_socket in pairs:
            perform(ssl_socket, sslsock.SSL_ERR_WANT_VALIDATION)
        random.shuffle(pairs)
        threads = [threading.Thread(target=ssl_socket.complete_validation, args=(0,)) for _, ssl_socket in pairs]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        for recorded, ssl_socket in pairs:
            perform(ssl_socket)
            recorded.sock.sendall(b"after it")
            recorded.sock.close()
            self.assertEqual(recorded.record()[2], b"after it")


class EndWithoutVerdict(ValidationTest):
    PROGRAM = (
        "import asyncio, sys, threading, sslsock\nfrom support import *\nfrom unit_validation import *\n"
        "how = sys.argv[1]\n"
        "recorded = Recorded('serve known')\nprint(recorded.ticket, flush=True)\n"
        "if how == 'by hand':\n"
        "    made = SslSocket.of(recorded.sock)\n    made.set_flags(sslsock.SSL_FLAG_NONBLOCKING)\n"
        "    made.set_validate_cert_hook(lambda *_: sslsock.SSL_ERR_WANT_VALIDATION)\n"
        "    perform(made, sslsock.SSL_ERR_WANT_VALIDATION)\n"
        "    sys.exit(3)\n"
        "async def test():\n"
        "    helper = Awaited(recorded.sock, NAME, True)\n"
        "    task = asyncio.ensure_future(helper.do_handshake_async())\n"
        "    await helper.asked.wait()\n"
        "    asked.set()\n"
        "    if how == 'loop':\n        sys.exit(3)\n"
        "    await task\n"
        "asked = threading.Event()\n"
        "if how == 'loop':\n    asyncio.run(test())\n"
        "threading.Thread(target=lambda: asyncio.run(test()), daemon=True).start()\n"
        "asked.wait(SECONDS)\nsys.exit(3)\n"
    )

    def test_the_interpreter_ends_while_a_verdict_is_awaited(self):
        for how in ("by hand", "loop", "thread"):
            done = support.run_python(self.PROGRAM, how)
            self.assertEqual(done.returncode, 3, done.stderr)
            if how != "loop":
                # There asyncio itself says what it thinks of the exit.
                self.assertEqual(done.stderr, "")
            _, wire, plain, end = support.Recorded.of(done.stdout.strip()).record()
            self.assertEqual(plain, b"")
            self.assertNotEqual(end, "close_notify")


if __name__ == "__main__":
    import harness

    harness.run_and_count()
