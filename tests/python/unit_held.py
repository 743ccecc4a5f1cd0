"""Readers and writers that hold bytes are refused before anything happens, and lose nothing by the look."""

import io
import os
import socket
import socketserver
import unittest

import support
from support import NAME, authority, closing

import peer
import sslsock
from sslsock import SslHelper
from sslsock.readers import held


class Look(unittest.TestCase):
    """At files over a pair of sockets."""

    def setUp(self):
        self.ours, self.theirs = socket.socketpair()
        self.addCleanup(self.ours.close)
        self.addCleanup(self.theirs.close)
        self.theirs.settimeout(support.SECONDS)

    def file(self, *arguments, **options):
        file = self.ours.makefile(*arguments, **options)
        self.addCleanup(self.abandon, file)
        return file

    def abandon(self, file):
        try:
            file.close()
        except OSError:
            pass

    def test_nothing_read_holds_nothing_and_does_not_block(self):
        for mode in ("rb", "r", "wb", "w", "rwb", "rw"):
            self.assertEqual(held(self.file(mode)), (b"", False), mode)
        self.assertEqual(held(self.file("rb", buffering=0)), (b"", False))
        self.assertEqual(held(self.ours), (b"", False))

    def test_what_was_read_ahead_is_seen_and_kept(self):
        for mode in ("rb", "r", "rwb", "rw"):
            file = self.file(mode)
            self.theirs.sendall(b"first\nsecond\nthird")
            line = file.readline()
            for _ in range(2):
                self.assertEqual(held(file), (b"second\nthird", False), mode)
            self.theirs.sendall(b" and on\n")
            kind = type(line)
            lines = [line, file.readline(), file.readline()]
            self.assertEqual(kind().join(lines), "first\nsecond\nthird and on\n" if kind is str else b"first\nsecond\nthird and on\n")
            self.assertEqual(held(file), (b"", False), mode)

    def test_text_keeps_characters_line_ends_and_encodings(self):
        for encoding, newline, data, told in (
            ("utf-8", None, "één\r\ntwö\rthree\n", "één\ntwö\nthree\n"),
            ("utf-8", "", "één\r\ntwö\rthree\n", "één\r\ntwö\rthree\n"),
            ("latin-1", "\r\n", "één\r\ntwö\r\n", "één\r\ntwö\r\n"),
            ("ascii", None, "one\ntwo\n", "one\ntwo\n"),
        ):
            file = self.file("r", encoding=encoding, newline=newline)
            self.theirs.sendall(data.encode(encoding))
            said = file.read(2)
            self.assertTrue(held(file)[0], encoding)
            while len(said) < len(told):
                said += file.read(1)
                held(file)
            self.assertEqual(said, told)
            self.assertEqual(held(file), (b"", False))

    def test_half_a_character_and_a_bare_carriage_return_are_held(self):
        file = self.file("r", encoding="utf-8")
        self.theirs.sendall("a".encode() + "é".encode()[:1])
        self.assertEqual(file.read(1), "a")
        self.assertEqual(held(file), ("é".encode()[:1], False))
        self.theirs.sendall("é".encode()[1:])
        self.assertEqual(file.read(1), "é")
        self.theirs.sendall(b"b\r")
        self.assertEqual(file.read(1), "b")
        self.assertTrue(held(file)[0])
        self.theirs.sendall(b"\nc")
        self.assertEqual(file.read(2), "\nc")

    def test_a_text_file_that_cannot_be_looked_into_is_an_error(self):
        for encoding, errors in (("utf-16", "strict"), ("ascii", "replace")):
            file = self.file("r", encoding=encoding, errors=errors)
            with self.assertRaises(TypeError) as raised:
                held(file)
            self.assertIn(encoding, str(raised.exception))

    def test_what_waits_to_be_written_is_seen_and_kept(self):
        for mode in ("wb", "w", "rwb", "rw"):
            file = self.file(mode)
            data = "written" if "b" not in mode else b"written"
            file.write(data)
            for _ in range(2):
                self.assertEqual(held(file), (b"", True), mode)
            file.write(data)
            file.flush()
            self.assertEqual(held(file), (b"", False), mode)
            self.assertEqual(support.read_exactly(self.theirs, 14), b"writtenwritten", mode)

    def test_both_directions_at_once(self):
        # Not of a text file, which drops what it has read ahead when it is written to.
        file = self.file("rwb")
        self.theirs.sendall(b"one\ntwo\n")
        file.readline()
        file.write(b"out")
        self.assertEqual(held(file), (b"two\n", True))
        file.flush()
        self.assertEqual(held(file), (b"two\n", False))
        self.assertEqual(file.readline(), b"two\n")
        self.assertEqual(support.read_exactly(self.theirs, 3), b"out")

    def test_unknown_kinds_are_an_error_that_says_so(self):
        class Reader:
            pass

        for unknown in (Reader(), io.BytesIO(b"x"), io.StringIO("x"), [], io.TextIOWrapper(io.BytesIO(b"x"))):
            with self.assertRaises(TypeError) as raised:
                held(unknown)
            self.assertIn("cannot see", str(raised.exception))

    def test_files_of_descriptors_and_of_socketserver(self):
        reader = os.fdopen(os.dup(self.ours.fileno()), "rb")
        self.addCleanup(reader.close)
        self.theirs.sendall(b"one\ntwo\n")
        reader.readline()
        self.assertEqual(held(reader), (b"two\n", False))
        self.assertEqual(held(socketserver._SocketWriter(self.ours)), (b"", False))

    def test_a_file_with_a_time_limit_and_one_that_does_not_block(self):
        self.ours.settimeout(5)
        file = self.file("rb")
        self.assertEqual(held(file), (b"", False))
        self.theirs.sendall(b"one\ntwo\n")
        file.readline()
        self.assertEqual(held(file)[0], b"two\n")
        file.readline()
        self.ours.setblocking(False)
        self.assertEqual(held(file), (b"", False))

    def test_a_closed_file_holds_nothing(self):
        file = self.file("rb")
        file.close()
        self.assertEqual(held(file), (b"", False))


class Refusal(unittest.TestCase):
    def test_an_injected_line_that_a_reader_holds(self):
        for mode in ("rb", "r", "rwb"):
            recorded = support.Recorded("inject", mode)
            with closing(recorded.sock, recorded.file):
                helper = SslHelper(recorded.sock, NAME, True, trust_file=authority())
                with self.assertRaises(sslsock.SslHeldDataError) as raised:
                    helper.do_handshake(readers=[recorded.file])
                self.assertIsInstance(raised.exception, ValueError)
                self.assertEqual(raised.exception.code, sslsock.SSL_ERR_EARLY_DATA)
                self.assertIn("'250 injected'", raised.exception.text)
                line = recorded.file.readline()
                self.assertEqual(line if isinstance(line, str) else line.decode(), "250 injected\n" if mode == "r" else "250 injected\r\n")
            # Nothing was sent, and nothing was changed.
            self.assertEqual(recorded.record()[1], b"")

    def test_bytes_that_a_writer_holds(self):
        controlled = support.Controlled()
        with closing(controlled):
            writer = controlled.sock.makefile("wb")
            writer.write(b"in clear\n")
            helper = SslHelper(controlled.sock, NAME, True, trust_file=authority())
            with self.assertRaises(sslsock.SslHeldDataError) as raised:
                helper.do_handshake(writers=[writer])
            self.assertIn("flush it before the upgrade", raised.exception.text)
            with self.assertRaises(OSError):
                helper.socket.get_session_info()
            writer.flush()
            controlled.tell("line", "in clear")
            controlled.tell("tls")
            helper.do_handshake(writers=[writer])
            writer.write(b"under TLS\n")
            writer.flush()
            controlled.tell("line", "under TLS")

    def test_files_made_before_go_on_working(self):
        for read, write in (("rb", "wb"), ("r", "w"), ("rwb", None), ("rw", None)):
            controlled = support.Controlled()
            text = "b" not in read
            options = {"newline": ""} if text else {}
            with closing(controlled):
                reader = controlled.sock.makefile(read, **options)
                writer = controlled.sock.makefile(write, **options) if write else reader
                controlled.tell("tls")
                helper = SslHelper(controlled.sock, NAME, True, trust_file=authority())
                helper.do_handshake([reader], [writer])
                writer.write("a line\n" if text else b"a line\n")
                writer.flush()
                controlled.tell("line", "a line")
                controlled.tell("send 100")
                data = reader.read(100)
                self.assertEqual(data.encode() if text else data, peer.pattern(0, 100))

    def test_an_unknown_reader_is_refused_before_anything(self):
        recorded = support.Recorded("serve known")
        with closing(recorded.sock):
            helper = SslHelper(recorded.sock, NAME, True, trust_file=authority())
            with self.assertRaises(TypeError):
                helper.do_handshake(readers=[object()])
            helper.do_handshake()
        self.assertEqual(recorded.record()[3], "close_notify")
