"""Threads, the interpreter's end, fork, Ctrl-C, and the log."""

import multiprocessing
import os
import subprocess
import threading
import unittest

import support
from support import NAME, authority, closing, upgraded

import sslsock
from sslsock import SslHelper


class Threads(unittest.TestCase):
    def test_other_threads_run_during_a_handshake(self):
        recorded = support.Recorded("halt known")
        with closing(recorded.sock) as sock:
            failures = []

            def handshake():
                try:
                    SslHelper(sock, NAME, trust_file=authority())
                except Exception as error:
                    failures.append(error)

            thread = threading.Thread(target=handshake)
            thread.start()
            # The peer goes on only because this thread can tell it to.
            self.assertEqual(recorded.control("hello"), "hello")
            self.assertTrue(thread.is_alive())
            self.assertEqual(recorded.control("go"), "going")
            thread.join(support.SECONDS)
            self.assertEqual(failures, [])

    def test_fifty_at_once(self):
        failures = []

        def one():
            try:
                sock, _ = upgraded("echo")
                with closing(sock):
                    for count in range(20):
                        sock.sendall(b"%04d" % count)
                        assert support.read_exactly(sock, 4) == b"%04d" % count
            except BaseException as error:
                failures.append(error)

        threads = [threading.Thread(target=one) for _ in range(50)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        self.assertEqual(failures, [])


class Interrupt(unittest.TestCase):
    """Ctrl-C while the peer has not answered: Python notices when the certificate hook is called, or after the call."""

    PROGRAM = (
        "import os, signal, sys, threading, sslsock\nfrom support import *\n"
        "class Accepting(sslsock.SslHelper):\n"
        "    def validate_cert(self, type, arg, chain, flags):\n        return 0\n"
        "recorded = Recorded('halt known')\n"
        # A job in the background inherits that it is ignored.
        "signal.signal(signal.SIGINT, signal.default_int_handler)\n"
        "def interrupt():\n"
        "    assert recorded.control('hello') == 'hello'\n"
        "    if sys.argv[1] == 'yes':\n        os.kill(os.getpid(), signal.SIGINT)\n"
        "    recorded.control('go')\n"
        "threading.Thread(target=interrupt).start()\n"
        "helper = Accepting(recorded.sock, NAME, True)\n"
        "try:\n    helper.do_handshake()\n"
        "except sslsock.SslError as error:\n    print('refused', type(error.__cause__).__name__)\n"
        "except KeyboardInterrupt:\n    print('interrupted')\n"
        "else:\n    print('accepted')\n"
        "try:\n    recorded.sock.sendall(b'secret')\n"
        "except OSError:\n    print('over')\n"
        "recorded.sock.close()\n"
        "print(recorded.record()[2])\n"
    )

    def test_it_is_no_acceptance(self):
        for _ in range(5):
            done = support.run_python(self.PROGRAM, "yes")
            self.assertEqual(done.stderr, "")
            self.assertEqual(done.stdout, "interrupted\nover\nb''\n")

    def test_without_it_the_hook_accepts(self):
        self.assertEqual(support.run_python(self.PROGRAM, "no").stdout, "accepted\nb'secret'\n")


class End(unittest.TestCase):
    """The interpreter's end with a connection open: everything arrives, and close_notify."""

    SIZE = 1024 * 1024
    PROGRAM = (
        "import sys, threading, sslsock, peer\nfrom support import *\n"
        "how, name = sys.argv[1:3]\n"
        "log = []\n"
        "sslsock.set_log_callback(sslsock.SSL_LOG_INFO, lambda level, message: log.append(message))\n"
        "flags = sslsock.SSL_FLAG_EXPLICIT_IO if how == 'explicit' else 0\n"
        "sock, helper = connect(), None\n"
        "helper = sslsock.SslHelper(sock, NAME, trust_file=authority(), flags=flags)\n"
        "send = helper.socket.send if flags else sock.sendall\n"
        "send(('sink %s 100\\n' % name).encode())\n"
        "data = peer.pattern(0, 1024 * 1024)\n"
        "if flags:\n"
        "    sent = 0\n"
        "    while sent < len(data):\n        sent += send(data[sent:])\n"
        "elif how == 'daemon':\n"
        "    threading.Thread(target=lambda: sock.recv(1), daemon=True).start()\n    send(data)\n"
        "elif how == 'worker':\n"
        "    thread = threading.Thread(target=send, args=(data,))\n    thread.start()\n"
        "else:\n    send(data)\n"
        "assert log, 'no log'\n"
        "if how == 'exit':\n    sys.exit(3)\n"
        "if how == 'exception':\n    raise RuntimeError('on purpose')\n"
        "if how == 'collected':\n    del sock, helper\n"
    )

    def check(self, how, status=0):
        name = support.ticket()
        done = support.run_python(self.PROGRAM, how, name)
        self.assertEqual(done.returncode, status, done.stderr)
        if status != 1:
            # Python itself says that the socket was not closed, if it is asked to.
            self.assertEqual(done.stderr, "")
        self.assertEqual(support.result(name), (self.SIZE, "close_notify"), how)

    def test_return(self):
        self.check("return")

    def test_sys_exit(self):
        self.check("exit", 3)

    def test_an_exception(self):
        self.check("exception", 1)

    def test_a_thread_that_is_sending(self):
        self.check("worker")

    def test_a_daemon_thread_that_is_receiving(self):
        self.check("daemon")

    def test_the_socket_was_collected(self):
        self.check("collected")

    def test_explicit_mode(self):
        self.check("explicit")

    HANDSHAKE = (
        "import atexit, sys, threading, sslsock, peer\nfrom support import *\n"
        "name, how = sys.argv[1:3]\n"
        "started, ending = threading.Event(), threading.Event()\n"
        "atexit.register(ending.set)\n"
        "sock, _ = upgraded('play %s read tell go fin' % name)\n"
        "sock.sendall(peer.pattern(0, 1000))\n"
        "class Accepting(sslsock.SslHelper):\n"
        "    def validate_cert(self, type, arg, chain, flags):\n"
        "        started.set()\n"
        # A little longer than the interpreter needs to go, if it does not wait.
        "        if how == 'inside':\n            ending.wait()\n            threading.Event().wait(0.1)\n"
        "        return 0\n"
        "recorded = Recorded('halt known')\n"
        "helper = Accepting(recorded.sock, NAME, True)\n"
        "def handshake():\n"
        "    try:\n        helper.do_handshake()\n"
        "    except sslsock.SslError:\n        pass\n"
        "threading.Thread(target=handshake, daemon=True).start()\n"
        "assert recorded.control('hello') == 'hello'\n"
        "if how == 'inside':\n    recorded.control('go')\n    started.wait()\n"
        "print(recorded.ticket, flush=True)\n"
    )

    def end_in_a_handshake(self, how):
        """The interpreter goes while a daemon thread is in a handshake, and the library goes on delivering."""
        name = support.ticket()
        process = support.start_python(self.HANDSHAKE, name, how)
        recorded = support.Recorded.of(process.stdout.readline().strip())
        # The program has ended but for what the library does at exit; now comes what would have it call the hook.
        self.assertEqual(support.result(name), (1000, "close_notify"))
        recorded.control("go")
        recorded.record()
        try:
            # If it is to die by a signal, this is the time.
            process.wait(0.3)
        except subprocess.TimeoutExpired:
            pass
        support.release(name + "-go")
        output, complaint = process.communicate(timeout=support.SECONDS)
        self.assertEqual((process.returncode, complaint), (0, ""))

    def test_a_handshake_of_a_daemon_thread_is_ended(self):
        self.end_in_a_handshake("before")

    def test_a_hook_of_a_daemon_thread_is_waited_for(self):
        self.end_in_a_handshake("inside")


class Fork(unittest.TestCase):
    def in_child(self, function):
        """What it answers as text."""
        ours, theirs = os.pipe()
        child = os.fork()
        if not child:
            try:
                answer = function()
            except BaseException as error:
                answer = "%s: %s" % (type(error).__name__, error)
            os.write(theirs, str(answer).encode())
            os._exit(0)
        os.close(theirs)
        with os.fdopen(ours) as answers:
            text = answers.read()
        self.assertEqual(os.waitpid(child, 0)[1], 0)
        return text

    def test_an_old_handle_is_refused_in_the_child(self):
        sock, helper = upgraded("echo")
        with closing(sock):

            def child():
                codes = []
                for call in (helper.socket.get_flags, helper.socket.pending, helper.do_handshake, lambda: helper.socket.remote_address):
                    try:
                        call()
                        codes.append(0)
                    except sslsock.SslError as error:
                        codes.append(error.code)
                return codes

            self.assertEqual(self.in_child(child), str([sslsock.SSL_ERR_FORKED] * 4))
            sock.sendall(b"x")
            self.assertEqual(sock.recv(1), b"x")

    def test_the_child_upgrades_connections_of_its_own(self):
        sock, helper = upgraded("echo")
        with closing(sock):

            def child():
                own, own_helper = upgraded("echo")
                own.sendall(b"child")
                return support.read_exactly(own, 5).decode()

            self.assertEqual(self.in_child(child), "child")
            self.assertIsNotNone(helper.socket.get_session_info())

    def test_the_descriptor_works_in_the_child(self):
        sock, _ = upgraded("echo")
        with closing(sock):

            def child():
                sock.sendall(b"from the child")
                return support.read_exactly(sock, 14).decode()

            self.assertEqual(self.in_child(child), "from the child")

    def test_multiprocessing(self):
        sock, helper = upgraded("echo")
        with closing(sock):
            context = multiprocessing.get_context("fork")
            queue = context.SimpleQueue()

            def child():
                try:
                    helper.socket.get_flags()
                except sslsock.SslError as error:
                    queue.put(error)

            process = context.Process(target=child)
            process.start()
            error = queue.get()
            process.join()
            self.assertEqual(process.exitcode, 0)
            self.assertIsInstance(error, sslsock.SslError)
            self.assertEqual(error.code, sslsock.SSL_ERR_FORKED)
            sock.sendall(b"x")
            self.assertEqual(sock.recv(1), b"x")

    def test_a_child_that_exits_normally_ends_nothing(self):
        sock, helper = upgraded("echo")
        with closing(sock):
            child = os.fork()
            if not child:
                # Collects everything on the way.
                del helper
                sock.close()
                os._exit(0)
            os.waitpid(child, 0)
            sock.sendall(b"x")
            self.assertEqual(sock.recv(1), b"x")


class Log(unittest.TestCase):
    def test_messages_come_on_this_thread(self):
        seen = []
        sslsock.set_log_callback(sslsock.SSL_LOG_INFO, lambda *message: seen.append((threading.get_ident(), *message)))
        try:
            sock, _ = upgraded("echo")
            sock.close()
            with closing(support.connect()) as sock, self.assertRaises(sslsock.SslError):
                SslHelper(sock, NAME)
        finally:
            sslsock.set_log_callback(sslsock.SSL_LOG_OFF, None)
        self.assertEqual({thread for thread, *_ in seen}, {threading.get_ident()})
        levels = [level for _, level, _ in seen]
        self.assertIn(sslsock.SSL_LOG_INFO, levels)
        self.assertIn(sslsock.SSL_LOG_ERROR, levels)
        count = len(seen)
        upgraded("echo")[0].close()
        self.assertEqual(len(seen), count)

    def test_an_exception_in_it_harms_nothing(self):
        def log(level, message):
            raise RuntimeError("on purpose")

        sslsock.set_log_callback(sslsock.SSL_LOG_INFO, log)
        try:
            sock, _ = upgraded("echo")
            with closing(sock):
                sock.sendall(b"x")
                self.assertEqual(sock.recv(1), b"x")
        finally:
            sslsock.set_log_callback(sslsock.SSL_LOG_OFF, None)


class FlushAll(unittest.TestCase):
    def test_it_waits_for_what_was_sent(self):
        name = support.ticket()
        sock, _ = upgraded("sink %s" % name)
        with closing(sock):
            sock.sendall(b"\0" * 1000)
            sslsock.flush_all(support.SECONDS)
        self.assertEqual(support.result(name)[1].split(",")[-1].strip(), "close_notify")

    def test_what_is_left_is_told(self):
        sock, _ = upgraded("hold")
        with closing(sock):
            sock.settimeout(0.2)
            try:
                while True:
                    sock.sendall(bytes(1 << 20))
            except OSError:
                pass
            with self.assertRaises(sslsock.SslTimeoutError) as raised:
                sslsock.flush_all(0)
            self.assertEqual(raised.exception.unfinished, 1)
