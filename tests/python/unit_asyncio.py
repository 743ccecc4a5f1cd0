"""Upgrades while an event loop runs, and asyncio streams that were opened before."""

import asyncio
import select
import socket
import threading
import unittest

import support
from support import NAME, authority, closing

import peer
import sslsock
from sslsock import SslHelper


async def opened(sock):
    """Streams over a socket that is connected already."""
    sock.setblocking(False)
    return await asyncio.open_connection(sock=sock)


async def limited(awaitable):
    return await asyncio.wait_for(awaitable, support.SECONDS)


class Streams(unittest.TestCase):
    def run_async(self, coroutine):
        return asyncio.run(limited(coroutine))

    def test_streams_opened_before_go_on(self):
        async def test():
            controlled = support.Controlled()
            reader, writer = await opened(controlled.sock)
            writer.write(b"in clear\n")
            await writer.drain()
            controlled.tell("line", "in clear")
            controlled.tell("tls")
            helper = SslHelper(controlled.sock, NAME, True, trust_file=authority())
            await helper.do_handshake_async([reader], [writer])
            writer.write(b"under TLS\n")
            await writer.drain()
            controlled.tell("line", "under TLS")
            controlled.tell("send 100000")
            self.assertEqual(len(await reader.readexactly(100_000)), 100_000)
            controlled.tell("end")
            self.assertEqual(await reader.read(), b"")
            writer.close()
            controlled.close()

        self.run_async(test())

    def test_a_line_in_the_reader_is_refused(self):
        async def test():
            recorded = support.Recorded("inject")
            reader, writer = await opened(recorded.sock)
            while not reader._buffer:
                await asyncio.sleep(0)
            helper = SslHelper(recorded.sock, NAME, True, trust_file=authority())
            with self.assertRaises(sslsock.SslHeldDataError) as raised:
                await helper.do_handshake_async([reader], [writer])
            self.assertIn("250 injected", raised.exception.text)
            self.assertEqual(await reader.readline(), b"250 injected\r\n")
            self.assertTrue(writer.transport.is_reading())
            writer.close()
            return recorded

        self.assertEqual(self.run_async(test()).record()[1], b"")

    def test_a_line_in_the_kernel_is_early_data(self):
        async def test():
            controlled = support.Controlled()
            reader, writer = await opened(controlled.sock)
            writer.transport.pause_reading()
            controlled.tell("send 10")
            self.assertTrue(select.select([controlled.sock], [], [], support.SECONDS)[0])
            helper = SslHelper(controlled.sock, NAME, True, trust_file=authority())
            with self.assertRaises(sslsock.SslError) as raised:
                await helper.do_handshake_async([reader], [writer])
            self.assertEqual(raised.exception.code, sslsock.SSL_ERR_EARLY_DATA)
            # The connection is over, and nothing of what came can be read.
            writer.transport.resume_reading()
            try:
                self.assertEqual(await reader.read(), b"")
            except OSError:
                pass
            writer.close()
            self.assertEqual((await in_thread(controlled.ask, "ending")).split()[0], "0")
            controlled.close()

        self.run_async(test())

    def test_the_socket_that_streams_tell_of(self):
        async def test():
            reader, writer = await asyncio.open_connection(*support.address("SSLSOCK_RECORDER"))
            self.assertEqual((await reader.readline())[:3], b"220")
            name = support.ticket()
            for line, answer in (("ORDER %s serve known" % name, b"250"), ("STARTTLS", b"220")):
                writer.write((line + "\r\n").encode())
                self.assertEqual((await reader.readline())[:3], answer)
            sock = writer.get_extra_info("socket")
            with SslHelper(sock, NAME, True, trust_file=authority()) as helper:
                await helper.do_handshake_async([reader], [writer])
            self.assertEqual(helper.remote_address, support.address("SSLSOCK_RECORDER"))
            self.assertIs(SslHelper(writer.get_extra_info("socket"), NAME).socket, helper.socket)
            writer.write(b"under TLS")
            writer.close()
            await writer.wait_closed()
            return name

        record = support.Recorded.of(self.run_async(test())).record()
        self.assertEqual(record[2:], (b"under TLS", "close_notify"))

    def test_nothing_that_comes_in_clear_lands_in_the_reader(self):
        """The peer answers the ClientHello with a line: it must reach the handshake, not the reader."""

        async def test():
            recorded = support.Recorded("plaintext")
            reader, writer = await opened(recorded.sock)
            helper = SslHelper(recorded.sock, NAME, True, trust_file=authority())
            with self.assertRaises(sslsock.SslError) as raised:
                await helper.do_handshake_async([reader], [writer])
            self.assertEqual(raised.exception.code, sslsock.SSL_ERR_NOT_TLS)
            self.assertEqual(bytes(reader._buffer), b"")
            writer.close()

        self.run_async(test())

    def test_what_gets_into_the_reader_meanwhile_ends_the_connection(self):
        async def test():
            recorded = support.Recorded("halt known")
            reader, writer = await opened(recorded.sock)
            helper = SslHelper(recorded.sock, NAME, True, trust_file=authority())
            task = asyncio.ensure_future(helper.do_handshake_async([reader], [writer]))
            self.assertEqual(await in_thread(recorded.control, "hello"), "hello")
            reader.feed_data(b"from nowhere")
            self.assertEqual(await in_thread(recorded.control, "go"), "going")
            with self.assertRaises(sslsock.SslHeldDataError):
                await task
            writer.close()
            return recorded

        self.assertEqual(self.run_async(test()).record()[2], b"")

    def test_a_writer_that_holds_bytes_is_refused(self):
        async def test():
            controlled = support.Controlled()
            reader, writer = await opened(controlled.sock)
            data = b"x" * (64 * 1024 * 1024)
            writer.write(data)
            self.assertGreater(writer.transport.get_write_buffer_size(), 0)
            helper = SslHelper(controlled.sock, NAME, True, trust_file=authority())
            with self.assertRaises(sslsock.SslHeldDataError):
                await helper.do_handshake_async([reader], [writer])
            writer.transport.abort()
            controlled.close()

        self.run_async(test())

    def test_the_peer_s_end_in_clear_is_refused(self):
        async def test():
            controlled = support.Controlled()
            reader, writer = await opened(controlled.sock)
            controlled.tell("end")
            while not reader.at_eof():
                await asyncio.sleep(0)
            helper = SslHelper(controlled.sock, NAME, True, trust_file=authority())
            with self.assertRaises(sslsock.SslError):
                await helper.do_handshake_async([reader], [writer])
            writer.close()
            controlled.close()

        self.run_async(test())

    def test_a_reader_paused_by_its_owner_stays_paused(self):
        async def test():
            controlled = support.Controlled()
            reader, writer = await opened(controlled.sock)
            controlled.tell("tls")
            writer.transport.pause_reading()
            helper = SslHelper(controlled.sock, NAME, True, trust_file=authority())
            await helper.do_handshake_async([reader], [writer])
            self.assertFalse(writer.transport.is_reading())
            writer.transport.resume_reading()
            controlled.tell("send 10")
            self.assertEqual(len(await reader.readexactly(10)), 10)
            writer.close()
            controlled.close()

        self.run_async(test())

    def test_a_pending_read_gets_what_comes_under_tls(self):
        async def test():
            controlled = support.Controlled()
            reader, writer = await opened(controlled.sock)
            pending = asyncio.ensure_future(reader.readexactly(10))
            await asyncio.sleep(0)
            controlled.tell("tls")
            helper = SslHelper(controlled.sock, NAME, True, trust_file=authority())
            await helper.do_handshake_async([reader], [writer])
            self.assertFalse(pending.done())
            controlled.tell("send 10")
            self.assertEqual(await pending, peer.pattern(0, 10))
            writer.close()
            controlled.close()

        self.run_async(test())

    def test_streams_of_another_thread_s_loop_are_refused(self):
        async def test():
            controlled = support.Controlled()
            reader, writer = await opened(controlled.sock)
            helper = SslHelper(controlled.sock, NAME, True, trust_file=authority())

            def elsewhere():
                with self.assertRaises(RuntimeError):
                    helper.do_handshake([reader], [writer])
                return True

            self.assertTrue(await in_thread(elsewhere))
            controlled.tell("tls")
            helper.do_handshake([reader], [writer])
            controlled.tell("send 10")
            self.assertEqual(len(await reader.readexactly(10)), 10)
            writer.close()
            controlled.close()

        self.run_async(test())


class Loop(unittest.TestCase):
    def run_async(self, coroutine):
        return asyncio.run(limited(coroutine))

    def test_the_loop_goes_on_and_the_hook_runs_in_the_thread(self):
        async def test():
            main = threading.get_ident()
            release, seen = threading.Event(), []

            class Waiting(SslHelper):
                def validate_cert(self, type, arg, chain, flags):
                    seen.append(threading.get_ident())
                    release.wait(support.SECONDS)
                    return super().validate_cert(type, arg, chain, flags)

            with closing(support.connect()) as sock:
                task = asyncio.ensure_future(Waiting(sock, NAME, True, trust_file=authority()).do_handshake_async())
                # The loop runs while the hook waits for it.
                while not seen:
                    await asyncio.sleep(0.001)
                self.assertFalse(task.done())
                release.set()
                await task
                self.assertNotEqual(seen[0], main)
                sock.sendall(b"echo\nx")
                self.assertEqual(sock.recv(1), b"x")

        self.run_async(test())

    def test_an_exception_of_the_hook_arrives_chained(self):
        async def test():
            class Raising(SslHelper):
                def validate_cert(self, type, arg, chain, flags):
                    raise LookupError("on purpose")

            with closing(support.connect()) as sock:
                with self.assertRaises(sslsock.SslCertificateError) as raised:
                    await Raising(sock, NAME, True, trust_file=authority()).do_handshake_async()
                self.assertIsInstance(raised.exception.__cause__, LookupError)

        self.run_async(test())

    def test_cancelling_ends_the_connection(self):
        async def test():
            recorded = support.Recorded("halt known")
            with closing(recorded.sock) as sock:
                helper = SslHelper(sock, NAME, True, trust_file=authority())
                task = asyncio.ensure_future(helper.do_handshake_async(timeout=600))
                self.assertEqual(await in_thread(recorded.control, "hello"), "hello")
                task.cancel()
                with self.assertRaises(asyncio.CancelledError):
                    await task
                with self.assertRaises(OSError):
                    sock.sendall(b"in clear")
                self.assertEqual([t.name for t in threading.enumerate() if t.name == "sslsock handshake"], [])
            recorded.control("go")
            return recorded

        record = self.run_async(test()).record()
        self.assertEqual(record[2], b"")
        self.assertNotIn(b"in clear", record[1])

    def test_a_time_limit(self):
        async def test():
            recorded = support.Recorded("silent")
            with closing(recorded.sock) as sock:
                helper = SslHelper(sock, NAME, True, trust_file=authority())
                with self.assertRaises(sslsock.SslTimeoutError):
                    await helper.do_handshake_async(timeout=0.05)

        self.run_async(test())

    def test_a_hundred_at_once(self):
        async def one(count):
            sock = socket.socket()
            with closing(sock):
                sock.setblocking(False)
                loop = asyncio.get_running_loop()
                await loop.sock_connect(sock, support.address())
                await SslHelper(sock, NAME, True, trust_file=authority()).do_handshake_async()
                reader, writer = await asyncio.open_connection(sock=sock)
                data = b"%d " % count * 1000
                writer.write(b"echo\n" + data)
                writer.write_eof()
                self.assertEqual(await reader.read(), data)
                writer.close()

        async def test():
            await asyncio.gather(*(one(count) for count in range(100)))

        self.run_async(test())


async def in_thread(function, *arguments):
    return await asyncio.get_running_loop().run_in_executor(None, function, *arguments)
