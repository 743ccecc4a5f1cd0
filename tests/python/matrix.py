#!/usr/bin/env python3
"""Features of Python's sockets on a plain connection and on an upgraded one, in the same run.

What is noted on both sides is compared. Where it differs the difference has to be declared in matrix_differences.json,
with what either side notes; and a declared difference has to be seen. `matrix.py --write` writes that file anew, to be
looked through.
"""

import asyncio
import hashlib
import json
import os
import pathlib
import re
import socket
import sys
import threading
import unittest

import support
from support import NAME, authority

import harness
import matrix_asyncio
import matrix_sides
import matrix_sync
import peer
from sslsock import SslHelper

DIFFERENCES = pathlib.Path(__file__).with_name("matrix_differences.json")
FEATURES = {**matrix_sync.FEATURES, **matrix_asyncio.FEATURES}


def compare(name, kind):
    """What differs: by note, what is noted in clear and under TLS."""
    plain = matrix_sides.observe(FEATURES[name], kind, False)
    upgraded = matrix_sides.observe(FEATURES[name], kind, True)
    assert plain, name
    keys = [*plain, *(key for key in upgraded if key not in plain)]
    return {
        key: [plain.get(key, "nothing"), upgraded.get(key, "nothing")]
        for key in keys
        if plain.get(key) != upgraded.get(key)
    }


class Matrix(unittest.TestCase):
    maxDiff = None

    def check(self, name):
        declared = json.loads(DIFFERENCES.read_text()).get(name, {})
        for kind in matrix_sides.kinds():
            with self.subTest(kind):
                self.assertEqual(compare(name, kind), declared.get(kind, {}))


for _name in FEATURES:
    setattr(Matrix, "test_" + _name, lambda self, name=_name: self.check(name))


class Declared(unittest.TestCase):
    def test_every_declared_difference_is_of_a_feature(self):
        declared = json.loads(DIFFERENCES.read_text())
        self.assertEqual(set(declared) - set(FEATURES), set())
        for kinds in declared.values():
            self.assertEqual(set(kinds) - set(matrix_sides.KINDS), set())


class Much(unittest.TestCase):
    """64 MiB both ways at once; the peer's bytes are random, and it tells the hashes."""

    SIZE = 64 * 1024 * 1024
    FIRST = 100_000

    def pieces(self):
        block = os.urandom(1 << 20)
        for number in range(self.SIZE // len(block)):
            yield block[number:] + block[:number]

    def check(self, name, sent, received):
        _, said = support.result(name)
        self.assertEqual(said.split(), [received.hexdigest(), sent.hexdigest(), "close_notify"])

    def test_in_threads(self):
        name = support.ticket()
        sock, _ = support.upgraded("duplex %s %d %d" % (name, self.SIZE, self.FIRST))
        sent, received = hashlib.sha256(), hashlib.sha256()
        with sock:

            def send():
                for piece in self.pieces():
                    sock.sendall(piece)
                    sent.update(piece)
                sock.shutdown(socket.SHUT_WR)

            thread = threading.Thread(target=send)
            thread.start()
            while True:
                piece = sock.recv(1 << 18)
                if not piece:
                    break
                received.update(piece)
            thread.join()
            self.check(name, sent, received)

    def test_in_asyncio(self):
        name = support.ticket()
        sent, received = hashlib.sha256(), hashlib.sha256()

        async def both():
            sock, _ = support.upgraded("duplex %s %d %d" % (name, self.SIZE, self.FIRST))
            reader, writer = await asyncio.open_connection(sock=sock, limit=1 << 18)

            async def send():
                for piece in self.pieces():
                    writer.write(piece)
                    sent.update(piece)
                    await writer.drain()
                writer.write_eof()

            sending = asyncio.ensure_future(send())
            while True:
                piece = await reader.read(1 << 18)
                if not piece:
                    break
                received.update(piece)
            await sending
            writer.close()

        asyncio.run(asyncio.wait_for(both(), 120))
        self.check(name, sent, received)


class Many(unittest.TestCase):
    def test_a_hundred_sockets_in_threads(self):
        failures, together = [], threading.Barrier(100)

        def one(number):
            try:
                name = support.ticket()
                sock = support.connect()
                with sock:
                    together.wait(support.SECONDS)
                    SslHelper(sock, NAME, trust_file=authority())
                    sock.sendall(("sink %s\n" % name).encode() + peer.pattern(0, 1000 * number))
                assert support.result(name) == (1000 * number, "close_notify")
            except BaseException as error:
                failures.append(error)

        threads = [threading.Thread(target=one, args=(number,)) for number in range(100)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        self.assertEqual(failures, [])


def write():
    found = {}
    for name in FEATURES:
        for kind in matrix_sides.kinds():
            differs = compare(name, kind)
            if differs:
                found.setdefault(name, {})[kind] = differs
    # A line for each difference.
    text = json.dumps(found, indent=2, ensure_ascii=False)
    text = re.sub(r"\[\s+(.*),\s+(.*)\s+\]", r"[\1, \2]", text)
    DIFFERENCES.write_text(text + "\n")


if __name__ == "__main__":
    if sys.argv[1:] == ["--write"]:
        write()
    else:
        harness.run_and_count()
