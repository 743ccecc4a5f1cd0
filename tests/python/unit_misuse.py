"""What goes wrong in programs: threads that are still reading, tasks cancelled at once, sockets and names of odd kinds."""

import asyncio
import cProfile
import gc
import io
import socket
import sys
import threading
import time
import unittest
import weakref

import support
from support import NAME, authority, closing, connect

import sslsock
from sslsock import SslHelper, SslSocket
from sslsock.readers import held


class Judge(SslHelper):
    def validate_cert(self, type, arg, chain, flags):
        return sslsock.SSL_ERR_OKAY


class Files(unittest.TestCase):
    def test_a_file_that_another_thread_is_reading_is_refused_and_not_waited_for(self):
        for mode in ("rb", "rwb", "r"):
            controlled = support.Controlled()
            lines = []
            with closing(controlled), controlled.sock.makefile(mode) as file:
                thread = threading.Thread(target=lambda: lines.append(file.readline()))
                thread.start()
                try:
                    while not waits_in(thread, socket.SocketIO.readinto):
                        time.sleep(0.001)
                    with self.assertRaises(sslsock.SslUsageError) as raised:
                        SslHelper(controlled.sock, NAME, True).do_handshake(readers=[file], timeout=1)
                    self.assertIn("another thread", raised.exception.text)
                    self.assertEqual(raised.exception.code, sslsock.SSL_ERR_STATE)
                finally:
                    # The peer ends the line that the thread waits for.
                    controlled.sock.shutdown(socket.SHUT_RDWR)
                    thread.join()
                self.assertEqual(len(lines), 1)

    def test_one_file_will_do_for_a_list_and_is_not_read(self):
        recorded = support.Recorded("serve known", "rb")
        with closing(recorded.sock, recorded.file):
            SslHelper(recorded.sock, NAME, True, trust_file=authority()).do_handshake(recorded.file, recorded.file)
        self.assertEqual(recorded.record()[3], "close_notify")
        recorded = support.Recorded("inject", "rb")
        with closing(recorded.sock, recorded.file):
            with self.assertRaises(sslsock.SslHeldDataError):
                SslHelper(recorded.sock, NAME, True, trust_file=authority()).do_handshake(recorded.file)
            self.assertEqual(recorded.file.readline(), b"250 injected\r\n")

    def test_a_subclass_that_answers_otherwise_is_seen_through(self):
        class Reader(io.BufferedReader):
            def peek(self, size=0):
                return b""

        class Writer(io.BufferedWriter):
            def flush(self):
                pass

        ours, theirs = socket.socketpair()
        with closing(ours, theirs):
            reader, writer = Reader(ours.makefile("rb", buffering=0)), Writer(ours.makefile("wb", buffering=0))
            theirs.sendall(b"first\nsecond\n")
            reader.readline()
            writer.write(b"waits")
            self.assertEqual(held(reader), (b"second\n", False))
            self.assertEqual(held(writer), (b"", True))
            io.BufferedWriter.flush(writer)

    def test_a_half_of_a_pair_that_is_still_open_is_seen(self):
        ours, theirs = socket.socketpair()
        with closing(ours, theirs):
            below = ours.makefile("wb", buffering=0)
            pair = io.BufferedRWPair(ours.makefile("rb", buffering=0), below)
            theirs.sendall(b"first\nsecond\n")
            pair.readline()
            below.close()
            self.assertTrue(pair.closed)
            self.assertEqual(held(pair), (b"second\n", False))

    def test_a_profiler_that_runs_is_left_alone(self):
        ours, theirs = socket.socketpair()
        profiler = cProfile.Profile()
        with closing(ours, theirs), ours.makefile("rwb") as pair, ours.makefile("rw") as text:
            profiler.enable()
            try:
                seen = held(pair), held(text)
                str(seen)
            finally:
                profiler.disable()
            self.assertEqual(seen, ((b"", False), (b"", False)))


class Sockets(unittest.TestCase):
    def test_sockets_that_compare_equal_have_each_its_own(self):
        class Alike(socket.socket):
            __hash__ = None

            def __eq__(self, other):
                return isinstance(other, Alike)

        class AlikeAndHashed(Alike):
            def __hash__(self):
                return 1

        for kind in (Alike, AlikeAndHashed):
            with closing(kind(), kind()) as socks:
                for sock in socks:
                    sock.settimeout(support.SECONDS)
                    sock.connect(support.address())
                    SslSocket.of(sock).add_trust_file(authority())
                gc.collect()
                for sock in socks:
                    SslHelper(sock, NAME)
                    sock.sendall(b"echo\nx")
                    self.assertEqual(sock.recv(1), b"x")

    def test_there_is_one_object_for_a_handle(self):
        class Other(SslSocket):
            pass

        with closing(connect()) as sock:
            first = SslSocket.of(sock)
            for ask in (Other.of, Other.find):
                with self.assertRaises(TypeError) as raised:
                    ask(sock)
                self.assertIn("has a SslSocket already", str(raised.exception))
            self.assertIs(SslSocket.of(sock), first)
        with closing(connect()) as sock:
            self.assertIs(SslHelper(sock, NAME, True).socket if Other.of(sock) else None, Other.of(sock))

    def test_a_hook_on_a_handle_of_somebody_else_s_outlives_its_object(self):
        lib = sslsock._native.lib
        with closing(connect()) as sock:
            handle = lib.ssl_socket_new(sock.fileno())
            asked = []

            def prepare():
                found = SslSocket.find(sock)
                found.add_trust_file(authority())
                found.set_validate_cert_hook(lambda *_: asked.append(1) or 0)

            prepare()
            gc.collect()
            self.assertEqual(lib.ssl_perform_handshake(handle, NAME.encode()), sslsock.SSL_ERR_OKAY)
            self.assertEqual(asked, [1])
            lib.ssl_socket_free(handle)

    def test_a_number_beyond_descriptors_is_not_cut_down_to_one(self):
        with closing(connect()) as sock:
            with self.assertRaises(ValueError):
                SslHelper(sock.fileno() + 2**32, NAME, trust_file=authority())
            self.assertIsNone(SslSocket.find(sock))

    def test_a_negative_size_is_not_taken_for_a_large_one(self):
        with closing(connect()) as sock:
            sock.setblocking(True)
            ssl_socket = SslSocket(sock)
            ssl_socket.set_flags(sslsock.SSL_FLAG_EXPLICIT_IO)
            ssl_socket.add_trust_file(authority())
            ssl_socket.perform_handshake(NAME)
            ssl_socket.send(b"echo\nx")
            calls = (
                lambda: ssl_socket.recv(-1),
                lambda: ssl_socket.recv_into(bytearray(8), -1),
                lambda: ssl_socket.ioctl(0, capacity=-1),
            )
            for call in calls:
                with self.assertRaises(ValueError) as raised:
                    call()
                self.assertNotIsInstance(raised.exception, OSError)
            self.assertEqual(ssl_socket.recv(8), b"x")

    def test_fileno_has_to_answer_a_number(self):
        class Odd:
            def fileno(self):
                return "3"

        with self.assertRaises(TypeError):
            SslHelper(Odd(), NAME)

    def test_a_name_has_to_be_a_string(self):
        with closing(connect()) as sock:
            for name in (b"localhost", 5, ("localhost", 25)):
                with self.assertRaises(TypeError) as raised:
                    SslHelper(sock, name, trust_file=authority())
                self.assertIn("a name is a str", str(raised.exception))

    def test_an_upgraded_socket_with_a_hook_goes_when_nobody_refers_to_it(self):
        controlled = support.Controlled()
        controlled.tell("tls")
        Judge(controlled.sock, NAME)
        gone = weakref.ref(controlled.sock)
        self.addCleanup(controlled._control.close)
        self.addCleanup(controlled._lines.close)
        # It has not been closed, of which the socket complains.
        with self.assertWarns(ResourceWarning):
            controlled.sock = None
            gc.collect()
        self.assertIsNone(gone())


class Judges(unittest.TestCase):
    def test_a_helper_whose_hook_was_not_asked_is_refused(self):
        class Refusing(SslHelper):
            def validate_cert(self, type, arg, chain, flags):
                return sslsock.SSL_ERR_CERT_UNKNOWN

        for first in (SslHelper, Judge):
            with closing(connect()) as sock:
                helper = first(sock, NAME, trust_file=authority())
                for defer in (False, True):
                    with self.assertRaises(sslsock.SslUsageError) as raised:
                        Refusing(sock, NAME, defer)
                    self.assertIn("Refusing.validate_cert was not asked", raised.exception.text)
                self.assertIs(first(sock, NAME).socket, helper.socket)
                self.assertIs(SslHelper(sock, NAME).socket, helper.socket)
                sock.sendall(b"echo\nx")
                self.assertEqual(sock.recv(1), b"x")


class Ends(unittest.TestCase):
    def test_ctrl_c_and_sys_exit_in_a_hook_refuse_and_are_no_errors_to_catch(self):
        for kind in (KeyboardInterrupt, SystemExit):

            class Ending(SslHelper):
                def validate_cert(self, type, arg, chain, flags):
                    raise kind

            for begin in (lambda made: made.do_handshake(), lambda made: asyncio.run(made.do_handshake_async())):
                recorded = support.Recorded("serve known")
                with closing(recorded.sock):
                    with self.assertRaises(kind) as raised:
                        begin(Ending(recorded.sock, NAME, True, trust_file=authority()))
                    self.assertIsInstance(raised.exception.__cause__, sslsock.SslCertificateError)
                    with self.assertRaises(OSError):
                        recorded.sock.sendall(b"secret")
                self.assertEqual(recorded.record()[2], b"")


class Tasks(unittest.TestCase):
    def test_cancelled_before_the_thread_has_begun_nothing_leaves_in_clear(self):
        begin = threading.Event()

        async def test(recorded):
            helper = SslHelper(recorded.sock, NAME, True, trust_file=authority())
            perform = helper.socket.perform_handshake

            def later(host):
                begin.wait(support.SECONDS)
                perform(host)

            helper.socket.perform_handshake = later
            task = asyncio.ensure_future(helper.do_handshake_async())
            await asyncio.sleep(0)
            task.cancel()
            asyncio.get_running_loop().call_soon(asyncio.get_running_loop().call_soon, begin.set)
            with self.assertRaises(asyncio.CancelledError):
                await task
            with self.assertRaises(OSError):
                recorded.sock.sendall(b"in clear\r\n")

        recorded = support.Recorded("serve known")
        with closing(recorded.sock):
            asyncio.run(test(recorded))
        self.assertNotIn(b"in clear", recorded.record()[1])

    def test_cancelling_leaves_another_socket_with_the_number_alone(self):
        begin = threading.Event()

        async def test(sock, other):
            number = sock.fileno()
            helper = SslHelper(number, NAME, True, trust_file=authority())
            helper.socket.perform_handshake = lambda host: begin.wait(support.SECONDS)
            task = asyncio.ensure_future(helper.do_handshake_async())
            await asyncio.sleep(0)
            sock.detach()
            # Closes what the number was, and has it mean the other.
            moved = socket.socket(fileno=number)
            moved.close()
            again = other.dup()
            self.addCleanup(again.close)
            self.assertEqual(again.fileno(), number)
            task.cancel()
            asyncio.get_running_loop().call_soon(asyncio.get_running_loop().call_soon, begin.set)
            with self.assertRaises(asyncio.CancelledError):
                await task
            again.sendall(b"echo\nx")

        with closing(connect(), connect()) as (sock, other):
            asyncio.run(test(sock, other))

    def test_a_task_that_its_loop_has_forgotten_ends_in_silence(self):
        complaints = []
        before, sys.unraisablehook = sys.unraisablehook, complaints.append
        recorded = support.Recorded("silent")
        try:
            with closing(recorded.sock):
                recorded.sock.setblocking(False)
                loop = asyncio.new_event_loop()
                task = loop.run_until_complete(self.begin(recorded.sock))
                loop.set_exception_handler(lambda *_: None)
                loop.close()
                del task
                for thread in threading.enumerate():
                    if thread.name == "sslsock handshake":
                        thread.join()
                gc.collect()
        finally:
            sys.unraisablehook = before
        self.assertEqual([str(complaint.exc_value) for complaint in complaints], [])

    async def begin(self, sock):
        reader, writer = await asyncio.open_connection(sock=sock)
        self.addCleanup(writer.transport._sock.close)
        helper = SslHelper(sock, NAME, True)
        task = asyncio.ensure_future(helper.do_handshake_async([reader], [writer], timeout=0.2))
        await asyncio.sleep(0)
        return task


def waits_in(thread, function):
    frame = sys._current_frames().get(thread.ident)
    return frame is not None and frame.f_code is function.__code__


if __name__ == "__main__":
    import harness

    harness.run_and_count()
