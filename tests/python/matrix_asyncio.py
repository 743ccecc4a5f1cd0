"""What asyncio does with a socket."""

import asyncio
import contextlib
import tempfile

import support

import peer


def _asynchronous(function):
    def feature(side):
        side.sock.setblocking(False)
        asyncio.run(asyncio.wait_for(function(side), support.SECONDS))

    feature.__name__ = function.__name__
    return feature


async def _opened(side, opening):
    """What it opens, or None; that is noted."""
    try:
        opened = await opening
    except OSError as error:
        side.note("opened", "%s: %s" % (type(error).__name__, error.strerror))
        return None
    side.note("opened", "yes")
    return opened


async def in_thread(function, *arguments):
    return await asyncio.get_running_loop().run_in_executor(None, function, *arguments)


async def _use(side, reader, writer):
    writer.write(b"a line\n")
    await writer.drain()
    side.note("write", await in_thread(side.ask, "line"))
    await in_thread(side.tell, "send 100000")
    side.note("readexactly", await reader.readexactly(50_000) == peer.pattern(0, 50_000))
    side.note("read", len(await reader.readexactly(50_000)))
    # Whole periods of the pattern, so that it has line ends.
    await in_thread(side.tell, "send 502")
    line = await reader.readuntil(b"\n")
    side.note("readuntil", len(line))
    side.note("the rest", len(await reader.readexactly(502 - len(line))))
    writer.write_eof()
    side.note("write_eof", await in_thread(side.ask, "ending"))
    await in_thread(side.tell, "end")
    side.note("the end", await reader.read())
    side.note("at_eof", reader.at_eof())
    writer.close()
    with contextlib.suppress(OSError):
        await writer.wait_closed()
    side.note("closed", writer.is_closing())


@_asynchronous
async def streams_opened_before(side):
    reader, writer = await asyncio.open_connection(sock=side.sock)
    await side.upgrade_async([reader], [writer])
    await _use(side, reader, writer)


@_asynchronous
async def streams_opened_after(side):
    await side.upgrade_async()
    opened = await _opened(side, asyncio.open_connection(sock=side.sock))
    if opened:
        await _use(side, *opened)


@_asynchronous
async def a_stream_s_addresses(side):
    _, writer = await asyncio.open_connection(sock=side.sock)
    early = writer.get_extra_info("peername")
    side.note("peername, made before", early == side.before[0])
    await side.upgrade_async((), [writer])
    side.note("peername, made before, after it", writer.get_extra_info("peername") == side.before[0])
    writer.close()


@_asynchronous
async def sock_calls(side):
    loop = asyncio.get_running_loop()
    await side.upgrade_async()
    await loop.sock_sendall(side.sock, b"by the loop\n")
    side.note("sock_sendall", await in_thread(side.ask, "line"))
    waiting = asyncio.ensure_future(loop.sock_recv(side.sock, 10))
    await asyncio.sleep(0)
    await in_thread(side.tell, "send 10")
    side.note("sock_recv", peer.pattern(0, 10).startswith(await waiting))
    await in_thread(side.tell, "send 100")
    buffer = bytearray(5)
    side.note("sock_recv_into", await loop.sock_recv_into(side.sock, buffer))


@_asynchronous
async def a_pending_sock_recv_at_the_upgrade(side):
    loop = asyncio.get_running_loop()
    waiting = asyncio.ensure_future(loop.sock_recv(side.sock, 10))
    await asyncio.sleep(0)
    if side.is_upgraded:
        # In the loop's own thread: meanwhile the loop does not look, and what comes is not its.
        side.upgrade()
    side.note("waits", not waiting.done())
    await in_thread(side.tell, "send 10")
    side.note("then", peer.pattern(0, 10).startswith(await waiting))


@_asynchronous
async def a_reader_of_the_loop(side):
    loop = asyncio.get_running_loop()
    seen = asyncio.Event()
    calls = []

    def readable():
        calls.append(side.sock.recv(100))
        if sum(map(len, calls)) == 100:
            seen.set()

    loop.add_reader(side.sock, readable)
    # As above: whoever watches the socket himself must not read during the upgrade.
    side.upgrade()
    await in_thread(side.tell, "send 100")
    await seen.wait()
    side.note("called", b"".join(calls) == peer.pattern(0, 100))
    side.note("removed", loop.remove_reader(side.sock))
    written = asyncio.Event()
    loop.add_writer(side.sock, written.set)
    await written.wait()
    side.note("writer removed", loop.remove_writer(side.sock))


@_asynchronous
async def sendfile(side):
    loop = asyncio.get_running_loop()
    reader, writer = await asyncio.open_connection(sock=side.sock)
    await side.upgrade_async([reader], [writer])
    with tempfile.TemporaryFile() as file:
        file.write(peer.pattern(0, 300_000))
        file.flush()
        sending = asyncio.ensure_future(loop.sendfile(writer.transport, file, 0, 300_000))
        side.note("take", await in_thread(side.ask, "take 300000"))
        side.note("sent", await sending)
    writer.close()


@_asynchronous
async def closing_with_a_pending_read(side):
    reader, writer = await asyncio.open_connection(sock=side.sock)
    await side.upgrade_async([reader], [writer])
    waiting = asyncio.ensure_future(reader.read(10))
    await asyncio.sleep(0)
    writer.write(b"the last words")
    writer.close()
    with contextlib.suppress(OSError):
        await writer.wait_closed()
    side.note("the read", await waiting)
    side.note("the peer", await in_thread(side.ask, "ending"))


@_asynchronous
async def a_reset_of_the_peer(side):
    reader, writer = await asyncio.open_connection(sock=side.sock)
    await side.upgrade_async([reader], [writer])
    writer.write(b"not read")
    await writer.drain()
    await in_thread(side.tell, "reset")
    try:
        await reader.read()
        side.note("read", "the end")
    except OSError as error:
        side.note("read", type(error).__name__)
    writer.close()


@_asynchronous
async def a_protocol(side):
    loop = asyncio.get_running_loop()
    lost = loop.create_future()
    came = bytearray()

    class Protocol(asyncio.Protocol):
        def data_received(self, data):
            came.extend(data)

        def eof_received(self):
            side.note("eof_received", len(came))
            return False

        def connection_lost(self, error):
            lost.set_result(error)

    await side.upgrade_async()
    opened = await _opened(side, loop.create_connection(Protocol, sock=side.sock))
    if not opened:
        return
    transport, _ = opened
    transport.writelines([b"a ", b"line\n"])
    side.note("line", await in_thread(side.ask, "line"))
    await in_thread(side.tell, "send 1000")
    await in_thread(side.tell, "end")
    side.note("connection_lost", await lost)
    side.note("data", bytes(came) == peer.pattern(0, 1000))


@_asynchronous
async def much_and_flow_control(side):
    reader, writer = await asyncio.open_connection(sock=side.sock, limit=1 << 14)
    await side.upgrade_async([reader], [writer])
    size = 2 << 20

    async def send():
        for start in range(0, size, 1 << 16):
            writer.write(peer.pattern(start, 1 << 16))
            await writer.drain()

    sending = asyncio.ensure_future(send())
    side.note("take", await in_thread(side.ask, "take %d" % size))
    await sending
    telling = asyncio.ensure_future(in_thread(side.tell, "send %d" % size))
    side.note("read", await reader.readexactly(size) == peer.pattern(0, size))
    await telling
    writer.close()


FEATURES = {
    "asyncio_" + function.__name__: function
    for function in (
        streams_opened_before, streams_opened_after, a_stream_s_addresses, sock_calls, a_pending_sock_recv_at_the_upgrade,
        a_reader_of_the_loop, sendfile, closing_with_a_pending_read, a_reset_of_the_peer, a_protocol,
        much_and_flow_control,
    )
}  # fmt: skip
