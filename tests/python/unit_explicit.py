"""Explicit mode, the server's side, and the parts of the C ABI that few programs need."""

import errno
import gc
import os
import select
import socket
import threading
import unittest

import support
from support import NAME, authority, closing, connect

import sslsock
from sslsock import SslHelper, SslSocket


class Explicit(unittest.TestCase):
    def test_send_and_recv(self):
        with closing(connect()) as sock:
            # It would not block.
            sock.settimeout(None)
            helper = SslHelper(sock, NAME, trust_file=authority(), flags=sslsock.SSL_FLAG_EXPLICIT_IO)
            ssl_socket = helper.socket
            self.assertEqual(ssl_socket.get_session_info().datapath, sslsock.SSL_DATAPATH_EXPLICIT)
            for piece in (b"echo\n", bytearray(b"one "), memoryview(b"xtwo ")[1:], memoryview(b"t.h.r.e.e.")[::2]):
                self.assertEqual(ssl_socket.send(piece), len(piece))
            self.assertEqual(ssl_socket.recv(13, socket.MSG_WAITALL), b"one two three")
            ssl_socket.send(b"four")
            buffer = bytearray(b"....")
            self.assertEqual(ssl_socket.recv_into(memoryview(buffer)[1:], 3, socket.MSG_PEEK | socket.MSG_WAITALL), 3)
            self.assertEqual(buffer, b".fou")
            self.assertEqual(ssl_socket.pending(), 4)
            self.assertEqual(ssl_socket.recv(100), b"four")
            with self.assertRaises(BlockingIOError) as raised:
                ssl_socket.recv(1, socket.MSG_DONTWAIT)
            self.assertEqual((raised.exception.errno, raised.exception.code), (errno.EAGAIN, sslsock.SSL_ERR_WANT_READ))
            ssl_socket.shutdown(socket.SHUT_WR)
            self.assertEqual(ssl_socket.recv(1), b"")
            with self.assertRaises(sslsock.SslError) as raised:
                ssl_socket.send(b"x")
            self.assertEqual(raised.exception.errno, errno.EPIPE)

    def test_the_session_ends_with_its_object(self):
        name = support.ticket()
        with closing(connect()) as sock:
            ssl_socket = SslSocket(sock)
            ssl_socket.set_flags(sslsock.SSL_FLAG_EXPLICIT_IO)
            ssl_socket.add_trust_file(authority())
            ssl_socket.perform_handshake(NAME)
            ssl_socket.send(("sink %s\n" % name).encode())
            del ssl_socket
            gc.collect()
            # The descriptor is still open.
            self.assertEqual(support.result(name), (0, "close_notify"))

    def test_the_non_blocking_handshake(self):
        recorded = support.Recorded("halt known")
        with closing(recorded.sock) as sock:
            ssl_socket = SslSocket.of(sock)
            ssl_socket.set_flags(sslsock.SSL_FLAG_NONBLOCKING)
            ssl_socket.add_trust_file(authority())
            called = []
            ssl_socket.set_validate_cert_hook(lambda *_: called.append(1) or 0)
            ssl_socket.set_peername(NAME)
            with self.assertRaises(sslsock.SslWouldBlockError) as raised:
                ssl_socket.perform_handshake()
            self.assertEqual(raised.exception.code, sslsock.SSL_ERR_WANT_READ)
            self.assertIsInstance(raised.exception, BlockingIOError)
            recorded.control("go")
            transport = ssl_socket.get_transport_fd()
            self.addCleanup(os.close, transport)
            while True:
                self.assertTrue(select.select([transport], [], [], support.SECONDS)[0])
                try:
                    ssl_socket.perform_handshake()
                    break
                except sslsock.SslWouldBlockError as wait:
                    self.assertEqual(wait.code, sslsock.SSL_ERR_WANT_READ)
            self.assertEqual(called, [1])
            sock.sendall(b"after it")
        self.assertEqual(recorded.record()[2:], (b"after it", "close_notify"))

    def test_the_server_s_side(self):
        """Both ends are the library's, in two processes."""
        listener = socket.create_server(("127.0.0.2", 0))
        with closing(listener):
            client = (
                "import sys, socket, sslsock\nfrom support import *\n"
                "with socket.create_connection(('127.0.0.2', int(sys.argv[1]))) as sock:\n"
                "    sslsock.SslHelper(sock, 'mail.test', trust_file=authority())\n    sock.sendall(b'hello')\n"
                "    assert sock.recv(5) == b'there'\n"
            )
            done = []
            port = str(listener.getsockname()[1])
            thread = threading.Thread(target=lambda: done.append(support.run_python(client, port)))
            thread.start()
            sock, _ = listener.accept()
            with closing(sock):
                pki = support.peers()["SSLSOCK_PKI"]
                ssl_socket = SslSocket.of(sock)
                ssl_socket.set_identity_file(os.path.join(pki, "server-chain.pem"), os.path.join(pki, "server.key"))
                SslHelper(sock, None, flags=sslsock.SSL_FLAG_SERVER)
                self.assertEqual(sock.recv(5), b"hello")
                sock.sendall(b"there")
                self.assertEqual(sock.recv(1), b"")
            thread.join()
        self.assertEqual((done[0].returncode, done[0].stderr), (0, ""))

    def test_windows_ce_s_codes(self):
        with closing(connect()) as sock:
            ssl_socket = SslSocket.of(sock)
            ssl_socket.add_trust_file(authority())
            ssl_socket.ioctl(0x90730002, sslsock.SSL_FLAG_DEFER_HANDSHAKE.to_bytes(4, "little"))
            self.assertEqual(ssl_socket.ioctl(0x50730002, capacity=4), (8).to_bytes(4, "little"))
            ssl_socket.ioctl(0x1073000D, b"localhost\0")
            sock.sendall(b"echo\nx")
            self.assertEqual(sock.recv(1), b"x")

    def test_a_socket_that_is_secure_before_it_is_connected(self):
        with closing(socket.socket()) as sock:
            held = SslSocket.wce_secure(sock)
            held.add_trust_file(authority())
            held.set_peername(NAME)
            held.wce_hold(False)
            held.wce_hold(True)
            held.connect(support.address())
            sock.sendall(b"echo\nx")
            self.assertEqual(sock.recv(1), b"x")
            self.assertIs(SslSocket.of(sock), held)
