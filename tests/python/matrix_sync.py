"""The features of a socket that programs use without an event loop."""

import array
import fcntl
import hashlib
import os
import select
import selectors
import socket
import socketserver
import struct
import subprocess
import sys
import tempfile
import termios
import threading

import support

import peer

SECONDS = support.SECONDS


def send_and_recv(side):
    side.upgrade()
    side.note("send", side.sock.send(peer.pattern(0, 100)))
    side.tell("take 100")
    side.tell("send 100")
    side.note("recv", support.read_exactly(side.sock, 100) == peer.pattern(0, 100))
    side.note("send of nothing", side.sock.send(b""))
    side.note("recv of nothing", side.sock.recv(0))


def sendall_and_much(side):
    side.upgrade()
    size = 4 << 20
    data = peer.pattern(0, size)
    thread = threading.Thread(target=side.sock.sendall, args=(data,))
    thread.start()
    side.note("take", side.ask("take %d" % size))
    thread.join()
    thread = threading.Thread(target=side.tell, args=("send %d" % size,))
    thread.start()
    came = support.read_exactly(side.sock, size)
    thread.join()
    side.note("hash", hashlib.sha256(came).hexdigest() == hashlib.sha256(data).hexdigest())


def recv_into_and_others(side):
    side.upgrade()
    side.tell("send 60")
    buffer = bytearray(20)
    side.note("recv_into", side.sock.recv_into(buffer, 10, socket.MSG_WAITALL))
    side.note("recv_into bytes", bytes(buffer[:10]))
    data, address = side.sock.recvfrom(10, socket.MSG_WAITALL)
    side.note("recvfrom", (data, address))
    side.note("recvfrom_into", side.sock.recvfrom_into(buffer, 10, socket.MSG_WAITALL))
    side.note("os.read", len(os.read(side.sock.fileno(), 10)))
    side.note("os.write", os.write(side.sock.fileno(), peer.pattern(0, 10)))
    side.tell("take 10")


def gathering_and_scattering(side):
    side.upgrade()
    side.note("sendmsg", side.sock.sendmsg([b"abc", b"", bytearray(b"defgh"), memoryview(b"\n")]))
    side.tell("line", "abcdefgh")
    side.tell("send 20")
    data, ancillary, flags, address = side.sock.recvmsg(5, 64, socket.MSG_WAITALL)
    side.note("recvmsg", (data, ancillary, flags & ~socket.MSG_CMSG_CLOEXEC, address))
    one, two = bytearray(5), bytearray(10)
    size, ancillary, flags, address = side.sock.recvmsg_into([one, two], 0, socket.MSG_WAITALL)
    side.note("recvmsg_into", (size, ancillary, address, bytes(one + two)))


def receive_flags(side):
    side.upgrade()
    # With a time limit Python waits, whatever the flags.
    side.sock.settimeout(None)
    side.attempt("MSG_DONTWAIT without data", side.sock.recv, 1, socket.MSG_DONTWAIT)
    side.tell("send 30")
    side.note("MSG_PEEK", side.sock.recv(10, socket.MSG_PEEK | socket.MSG_WAITALL))
    side.note("MSG_PEEK again", side.sock.recv(10, socket.MSG_PEEK | socket.MSG_WAITALL))
    side.note("MSG_WAITALL", len(side.sock.recv(30, socket.MSG_WAITALL)))
    side.attempt("MSG_DONTWAIT after it", side.sock.recv, 1, socket.MSG_DONTWAIT)
    side.note("send with MSG_NOSIGNAL", side.sock.send(b"one\n", socket.MSG_NOSIGNAL))
    side.tell("line", "one")
    side.note("send with MSG_MORE", side.sock.send(b"tw", socket.MSG_MORE))
    side.sock.sendall(b"o\n")
    side.tell("line", "two")


def timeout_set_before(side):
    side.sock.settimeout(0.03)
    side.upgrade()
    _timeout(side, 0.03)


def timeout_set_after(side):
    side.upgrade()
    side.sock.settimeout(0.03)
    _timeout(side, 0.03)


def _timeout(side, seconds):
    side.note("gettimeout", side.sock.gettimeout() == seconds)
    try:
        side.sock.recv(1)
    except socket.timeout as error:
        side.note("recv", str(error))
    side.tell("send 10")
    side.sock.settimeout(SECONDS)
    side.note("then", support.read_exactly(side.sock, 10))
    side.sock.settimeout(None)
    side.note("blocking", (side.sock.gettimeout(), side.sock.getblocking()))


def a_full_peer_and_a_timeout(side):
    side.upgrade()
    side.sock.settimeout(0.1)
    try:
        while True:
            side.sock.sendall(bytes(1 << 20))
    except socket.timeout as error:
        side.note("sendall", str(error))


def not_blocking_before(side):
    side.sock.setblocking(False)
    side.upgrade()
    _not_blocking(side)


def not_blocking_after(side):
    side.upgrade()
    side.sock.setblocking(False)
    _not_blocking(side)


def _not_blocking(side):
    side.note("flag", bool(fcntl.fcntl(side.sock, fcntl.F_GETFL) & os.O_NONBLOCK))
    side.note("getblocking", side.sock.getblocking())
    side.attempt("recv", side.sock.recv, 1)
    try:
        while True:
            side.sock.send(bytes(1 << 16))
    except BlockingIOError:
        side.note("send until full", "BlockingIOError")
    side.tell("send 5")
    select.select([side.sock], [], [], SECONDS)
    side.note("after it", side.sock.recv(1))


def _files(side, early):
    """All kinds of files, made before or after the upgrade."""
    options = {"newline": "", "encoding": "latin-1"}

    def make():
        return {
            "rb": side.sock.makefile("rb"),
            "wb": side.sock.makefile("wb"),
            "rwb": side.sock.makefile("rwb"),
            "r": side.sock.makefile("r", **options),
            "w": side.sock.makefile("w", **options),
            "rw": side.sock.makefile("rw", **options),
            "rb unbuffered": side.sock.makefile("rb", buffering=0),
            "wb unbuffered": side.sock.makefile("wb", buffering=0),
        }

    if early:
        files = make()
        side.upgrade(files.values(), files.values())
    else:
        side.upgrade()
        files = make()
    sent = 0
    for name, file in files.items():
        side.close_later(file)
        mode = name.split()[0]
        text = "b" not in mode
        if "w" in mode:
            line = "a line of %s" % name
            file.write(line + "\n" if text else (line + "\n").encode())
            file.flush()
            side.note("%s writes" % name, side.ask("line"))
        if "r" in mode:
            side.tell("send 40")
            data = file.read(40)
            if len(data) < 40:
                # Without a buffer it may come in pieces.
                data += file.read(40 - len(data))
            data = data.encode("latin-1") if text else data
            side.note("%s reads" % name, data == peer.pattern(sent, 40))
            sent += 40
    for name, file in files.items():
        side.attempt("fileno of %s" % name, lambda file=file: file.fileno() == side.sock.fileno())


def files_made_before(side):
    _files(side, True)


def files_made_after(side):
    _files(side, False)


def reading_lines_to_the_end(side):
    file = side.close_later(side.sock.makefile("rb"))
    side.upgrade([file])
    side.tell("send 2000")
    side.tell("end")
    side.note("lines", len(list(file)))
    side.note("then", file.read())


def a_file_outlives_its_socket(side):
    file = side.close_later(side.sock.makefile("rwb"))
    side.upgrade([file])
    side.sock.close()
    file.write(b"a line\n")
    file.flush()
    side.tell("line", "a line")
    file.close()
    side.note("the end", side.ask("ending"))


def _watch(side, early, make):
    """A watcher that is made before or after: what it says when nothing is there, data, the peer's end."""
    if early:
        ready = make()
        side.upgrade()
    else:
        side.upgrade()
        ready = make()
    side.note("at first", ready(0))
    side.tell("send 10")
    side.note("with data", _until(ready, lambda said: "r" in said))
    support.read_exactly(side.sock, 10)
    side.note("without", ready(0))
    side.tell("end")
    side.note("at the end", _until(ready, lambda said: "r" in said))
    side.note("recv", side.sock.recv(1))


def _until(ready, enough):
    said = ready(SECONDS)
    while not enough(said):
        said = ready(SECONDS)
    return said


def _select(side):
    def ready(seconds):
        # With a time to wait only for reading, for it can always be written.
        readable, writable, _ = select.select([side.sock], [] if seconds else [side.sock], [], seconds)
        return "r" * len(readable) + "w" * len(writable)

    return ready


def _poll(side):
    poller = select.poll()
    poller.register(side.sock, select.POLLIN | select.POLLPRI)

    def ready(seconds):
        return "".join("r" if events & select.POLLIN else "?%d" % events for _, events in poller.poll(seconds * 1000))

    return ready


def _epoll(side):
    poller = side.close_later(select.epoll())
    poller.register(side.sock, select.EPOLLIN)

    def ready(seconds):
        return "".join("r" if events == select.EPOLLIN else "?%d" % events for _, events in poller.poll(seconds))

    return ready


def _selector(kind):
    def make(side):
        selector = side.close_later(kind())
        selector.register(side.sock, selectors.EVENT_READ, "data of its own")

        def ready(seconds):
            found = selector.select(seconds)
            return "".join("r" for key, events in found if key.data == "data of its own" and events == selectors.EVENT_READ)

        return ready

    return make


_WATCHERS = {
    "select": _select,
    "poll": _poll,
    "epoll": _epoll,
    "selectors_select": _selector(selectors.SelectSelector),
    "selectors_poll": _selector(selectors.PollSelector),
    "selectors_epoll": _selector(selectors.EpollSelector),
}


def _watching(make, early):
    return lambda side: _watch(side, early, lambda: make(side))


def sending_files(side):
    side.upgrade()
    side.sock.settimeout(SECONDS)
    with tempfile.TemporaryFile() as file:
        file.write(peer.pattern(0, 300_000))
        file.seek(0)
        done = []
        thread = threading.Thread(target=lambda: done.append(side.sock.sendfile(file, 0, 200_000)))
        thread.start()
        side.note("take", side.ask("take 200000"))
        thread.join()
        side.note("socket.sendfile", done)
        sent = 200_000
        side.sock.settimeout(None)
        while sent < 300_000:
            sent += os.sendfile(side.sock.fileno(), file.fileno(), sent, 300_000 - sent)
        side.note("os.sendfile", side.ask("take 100000"))


def shutting_down_sending(side):
    side.upgrade()
    side.sock.sendall(peer.pattern(0, 100))
    side.note("shutdown", side.sock.shutdown(socket.SHUT_WR))
    side.note("the peer", side.ask("ending"))
    side.attempt("send", side.sock.send, b"x")
    side.tell("send 1000")
    side.note("recv", len(support.read_exactly(side.sock, 1000)))
    side.tell("end")
    side.note("the end", side.sock.recv(1))


def shutting_down_receiving(side):
    side.upgrade()
    side.sock.shutdown(socket.SHUT_RD)
    side.note("recv", side.sock.recv(1))
    side.note("send", side.sock.send(b"still\n"))
    side.tell("line", "still")


def shutting_down_both(side):
    side.upgrade()
    waiting = []
    thread = threading.Thread(target=lambda: waiting.append(side.sock.recv(1)))
    thread.start()
    side.sock.shutdown(socket.SHUT_RDWR)
    thread.join(SECONDS)
    side.note("a thread in recv", waiting)
    side.attempt("send", side.sock.send, b"x")
    side.note("the peer", side.ask("ending"))


def the_peer_ends(side):
    side.upgrade()
    side.tell("send 100")
    side.tell("end")
    side.note("data", support.read_to_end(side.sock) == peer.pattern(0, 100))
    side.note("again", side.sock.recv(1))
    side.note("send", side.sock.send(b"half-closed\n"))
    side.tell("line", "half-closed")


def the_peer_resets(side):
    side.upgrade()
    side.tell("send 100")
    support.read_exactly(side.sock, 100)
    side.sock.sendall(b"not read")
    side.tell("reset")
    side.attempt("recv", side.sock.recv, 1)
    side.attempt("again", side.sock.recv, 1)
    side.attempt("send", side.sock.send, b"x")


def sending_to_a_peer_that_is_gone(side):
    side.upgrade()
    side.sock.settimeout(SECONDS)
    side.tell("close")
    side.note("recv", side.sock.recv(1))
    try:
        for _ in range(10_000):
            side.sock.send(bytes(10_000))
    except (BrokenPipeError, ConnectionResetError):
        side.note("send", "fails in the end")


def duplicates(side):
    early = side.close_later(side.sock.dup())
    by_number = side.close_later(socket.fromfd(side.sock.fileno(), side.sock.family, side.sock.type))
    number = os.dup(side.sock.fileno())
    side.upgrade()
    late = side.close_later(side.sock.dup())
    for name, sock in (("before", early), ("fromfd before", by_number), ("after", late)):
        sock.sendall((name + "\n").encode())
        side.note(name, side.ask("line"))
    os.write(number, b"os.dup\n")
    side.note("os.dup before", side.ask("line"))
    os.close(number)
    side.sock.close()
    side.tell("send 10")
    side.note("recv through another", support.read_exactly(early, 10))


def detaching(side):
    side.upgrade()
    number = side.sock.detach()
    side.note("fileno", side.sock.fileno())
    side.attempt("send", side.sock.send, b"x")
    again = side.close_later(socket.socket(fileno=number))
    again.sendall(b"the same descriptor\n")
    side.tell("line", "the same descriptor")
    side.note("type", again.type)
    side.note("family", "the connection's" if again.family == side.sock.family else int(again.family))


def addresses(side):
    side.upgrade()
    for what, call, before in zip(("getpeername", "getsockname"), (side.sock.getpeername, side.sock.getsockname), side.before):
        said = call()
        if said == before:
            said = "the connection's"
        elif said:
            said = "the pair's, %s" % said[0].replace("::ffff:", "").split(".")[0]
        side.note(what, said)
    if side.helper:
        real = side.helper.remote_address, side.helper.local_address
    else:
        real = side.sock.getpeername(), side.sock.getsockname()
    side.note("the real ones", real == side.before)
    side.note("attributes", (side.sock.family == side.sock.family, int(side.sock.type), side.sock.proto))
    side.note("repr", "closed" in repr(side.sock))


def inheritance(side):
    side.sock.set_inheritable(True)
    side.upgrade()
    side.note("kept", side.sock.get_inheritable())
    side.sock.set_inheritable(False)
    side.note("taken away", os.get_inheritable(side.sock.fileno()))
    program = "import socket, sys; socket.socket(fileno=int(sys.argv[1])).sendall(b'from a program\\n')"
    number = side.sock.fileno()
    subprocess.run([sys.executable, "-S", "-c", program, str(number)], pass_fds=[number], check=True)
    side.tell("line", "from a program")
    # Not passed on, it is closed there.
    quiet = subprocess.run([sys.executable, "-S", "-c", program, str(number)], stderr=subprocess.DEVNULL)
    side.note("not passed on", quiet.returncode)


def options(side):
    side.sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    side.upgrade()
    get = side.sock.getsockopt
    side.note("SO_KEEPALIVE set before", get(socket.SOL_SOCKET, socket.SO_KEEPALIVE))
    side.note("SO_ERROR", get(socket.SOL_SOCKET, socket.SO_ERROR))
    side.note("SO_TYPE", get(socket.SOL_SOCKET, socket.SO_TYPE))
    side.note("SO_ACCEPTCONN", get(socket.SOL_SOCKET, socket.SO_ACCEPTCONN))
    side.attempt("TCP_NODELAY never set", get, socket.IPPROTO_TCP, socket.TCP_NODELAY)
    side.attempt("TCP_NODELAY set", side.sock.setsockopt, socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    side.attempt("TCP_KEEPIDLE set", side.sock.setsockopt, socket.IPPROTO_TCP, socket.TCP_KEEPIDLE, 100)
    side.note("SO_DOMAIN", "the connection's" if get(socket.SOL_SOCKET, 39) == side.sock.family else get(socket.SOL_SOCKET, 39))
    for name in ("SO_RCVBUF", "SO_SNDBUF"):
        side.sock.setsockopt(socket.SOL_SOCKET, getattr(socket, name), 1 << 16)
        side.note("%s set after" % name, get(socket.SOL_SOCKET, getattr(socket, name)))


def the_file_below(side):
    before = os.fstat(side.sock.fileno())
    number = side.sock.fileno()
    side.upgrade()
    after = os.fstat(side.sock.fileno())
    side.note("the number", side.sock.fileno() == number)
    side.note("kind", after.st_mode == before.st_mode)
    side.note("st_ino", "the same" if after.st_ino == before.st_ino else "another")
    pending = array.array("i", [0])
    side.tell("send 10")
    select.select([side.sock], [], [], SECONDS)
    side.sock.recv(10, socket.MSG_PEEK | socket.MSG_WAITALL)
    fcntl.ioctl(side.sock, termios.FIONREAD, pending)
    side.note("FIONREAD", pending[0])


def closing(side):
    side.upgrade()
    side.sock.sendall(peer.pattern(0, 100_000))
    with side.sock:
        pass
    side.note("closed", side.sock.fileno())
    side.note("the peer", side.ask("ending"))
    side.attempt("send", side.sock.send, b"x")


def closing_while_a_file_is_open(side):
    side.upgrade()
    file = side.sock.makefile("wb")
    file.write(b"in the buffer")
    side.sock.close()
    file.close()
    side.note("the peer", side.ask("ending"))


def closing_with_linger_0(side):
    side.upgrade()
    side.sock.sendall(b"a line\n")
    side.tell("line", "a line")
    side.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    side.sock.close()
    said = side.ask("ending")
    # Under TLS a connection that goes without close_notify is truncated or reset.
    side.note("the peer", "no clean end" if said.split()[1] in ("reset", "truncated") else said)


def socketserver_s_handler(side):
    class Handler(socketserver.StreamRequestHandler):
        def handle(self):
            side.tell("send 20")
            side.note("rfile", self.rfile.read(20) == peer.pattern(0, 20))
            self.wfile.write(b"from wfile\n")

    side.upgrade()
    Handler(side.sock, side.before[0], None)
    side.tell("line", "from wfile")


def two_threads_at_once(side):
    side.upgrade()
    size = 1 << 20
    came = []
    reader = threading.Thread(target=lambda: came.append(support.read_exactly(side.sock, size)))
    writer = threading.Thread(target=lambda: side.sock.sendall(peer.pattern(0, size)))
    reader.start()
    side.tell("send %d" % size)
    writer.start()
    side.note("take", side.ask("take %d" % size))
    reader.join()
    writer.join()
    side.note("came", came == [peer.pattern(0, size)])


FEATURES = {
    function.__name__: function
    for function in (
        send_and_recv, sendall_and_much, recv_into_and_others, gathering_and_scattering, receive_flags, timeout_set_before,
        timeout_set_after, a_full_peer_and_a_timeout, not_blocking_before, not_blocking_after, files_made_before,
        files_made_after, reading_lines_to_the_end, a_file_outlives_its_socket, sending_files, shutting_down_sending,
        shutting_down_receiving, shutting_down_both, the_peer_ends, the_peer_resets, sending_to_a_peer_that_is_gone,
        duplicates, detaching, addresses, inheritance, options, the_file_below, closing, closing_while_a_file_is_open,
        closing_with_linger_0, socketserver_s_handler, two_threads_at_once,
    )
}  # fmt: skip
for _name, _make in _WATCHERS.items():
    FEATURES["%s_before" % _name] = _watching(_make, True)
    FEATURES["%s_after" % _name] = _watching(_make, False)
