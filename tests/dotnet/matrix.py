#!/usr/bin/env python3
"""What .NET programs do with sockets, in clear and upgraded, by the same code in the same run, on Mono and CoreCLR.

    matrix.py            compares, stresses, ends processes; the last line counts
    matrix.py --write    writes what was compared into bindings/dotnet/MATRIX.md          (make dotnet-matrix)

The program is tests/dotnet/matrix/*.cs, compiled once with mcs. What may differ is in matrix_differences.py. With
SSLSOCK_LONG set there are many more rounds of what is about chance.
"""

import collections
import concurrent.futures
import functools
import os
import pathlib
import signal
import subprocess
import sys
import tempfile
import unittest

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT / "tests"), str(ROOT / "tests" / "servers"), str(ROOT / "tests" / "dotnet")]

import controlled_peer  # noqa: E402
import endings  # noqa: E402
import harness  # noqa: E402
import matrix_differences  # noqa: E402
import matrix_document  # noqa: E402
import pki  # noqa: E402
import runtimes  # noqa: E402

SOURCES = sorted((ROOT / "tests" / "dotnet" / "matrix").glob("*.cs"))
PROGRAM = runtimes.BUILD / "dotnet-tests" / "matrix" / "Matrix.exe"
LOGS = ROOT / "build" / "test-logs"
LONG = "SSLSOCK_LONG" in os.environ
SECONDS = 1800 if LONG else 300
WAYS = ("Plain", "Upgraded", "Immediate")
HOWS = ("return", "exit", "close", "foreground", "elsewhere", "reading", "async")
# They mostly wait: a process that ends gives a peer that reads nothing 5 s.
ENDINGS_AT_ONCE = 14
CHECKS = {
    "CollectionsDuringHandshakesAndHooks": "collections during handshakes and hooks",
    "NothingGrowsOverAThousandUpgrades": "no descriptor and no thread is left of 1,000 upgrades",
    "AHookThatThrowsRefuses": "a hook that throws refuses, and nothing reaches the peer",
    "AHookMayUpgradeAnotherSocket": "a hook may upgrade another socket",
    "DisposeOfTheSocketDuringTheHandshake": "Dispose of the socket by another thread during the handshake",
    "DisposeTwice": "Dispose twice, of helper, handle and socket",
    "DisposeFromTwoThreads": "Dispose from two threads at once",
    "UpgradeOfOneSocketFromManyThreads": "DoHandshake of one socket from eight threads at once",
}


@functools.lru_cache(maxsize=None)
def program():
    return runtimes.compile(SOURCES, [runtimes.assembly()], PROGRAM)


class Seen:
    """What one runtime's program saw: a list of values for each feature, label and way."""

    def __init__(self, output):
        self.version = ""
        self.failed, self.skipped = [], []
        self.features = collections.OrderedDict()
        self.came_to_its_end = False
        for line in output.splitlines():
            kind, *fields = line.split("\t")
            if kind == "see":
                way, feature, label, value = fields
                self.features.setdefault(feature, {}).setdefault(label, {}).setdefault(way, []).append(value)
            elif kind == "runtime":
                self.version = fields[0]
            elif kind == "skipped":
                self.skipped.append(": ".join(fields))
            elif kind == "done":
                self.came_to_its_end = True
            else:
                self.failed.append(": ".join(fields) or line)

    def ways(self, feature):
        """The ways in which a feature was tried."""
        return [way for way in WAYS if any(way in values for values in self.features[feature].values())]

    def differences(self):
        """Feature, label, way, what was seen in clear and what then. What was done in clear before is always there to
        be compared but where the handshake is made with the connection."""
        for feature, labels in self.features.items():
            for way in self.ways(feature)[1:]:
                for label, values in labels.items():
                    if way == "Immediate" and label.startswith("in clear: "):
                        continue
                    in_clear, then = (", ".join(values.get(each, ["nothing"])) for each in ("Plain", way))
                    if in_clear != then:
                        yield feature, label, way, in_clear, then


def judge(runtime, seen):
    """The differences that are not declared, and the declarations that nothing bears out."""
    found = {(feature, label, way): (in_clear, then) for feature, label, way, in_clear, then in seen.differences()}
    declared = {}
    for difference in matrix_differences.DECLARED:
        if runtime in difference.runtimes:
            for way in seen.ways(difference.feature)[1:] if difference.feature in seen.features else ["Upgraded"]:
                declared[difference.feature, difference.label, way] = (difference.in_clear, difference.upgraded)
    undeclared = [f"{key}: {values}" for key, values in found.items() if declared.get(key) != values]
    stale = [f"{key}: {values}" for key, values in declared.items() if found.get(key) != values]
    return undeclared, stale


class Peers:
    """Peers and keys for as long as the tests run."""

    def __init__(self):
        self.folder = tempfile.TemporaryDirectory()
        self.keys = pathlib.Path(self.folder.name, "pki")
        pki.make(self.keys)
        self.variables = controlled_peer.ControlledPeer(self.keys, self.folder.name).variables

    def run(self, runtime, *arguments):
        return runtime.run(
            program(), *arguments, variables=self.variables, stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=SECONDS, cwd=self.folder.name,
        )  # fmt: skip


@functools.lru_cache(maxsize=None)
def peers():
    return Peers()


@functools.lru_cache(maxsize=None)
def seen(name):
    """What the features came to on this runtime; they run once."""
    done = peers().run(runtimes.runtime(name), "features", ",".join(WAYS))
    LOGS.mkdir(parents=True, exist_ok=True)
    (LOGS / f"dotnet-matrix-{name}.txt").write_text(done.stdout)
    return Seen(done.stdout)


class OnRuntime:
    """The tests of one runtime."""

    maxDiff = None
    name = None

    def setUp(self):
        try:
            self.runtime = runtimes.runtime(self.name)
            program()
        except runtimes.Lacking as why:
            if os.environ.get("CI"):
                self.fail(str(why))
            self.skipTest(str(why))

    def test_every_feature_comes_to_its_end(self):
        what = seen(self.name)
        self.assertEqual(what.failed, [])
        self.assertTrue(what.came_to_its_end)
        self.assertGreater(len(what.features), 80)
        for feature in what.features:
            self.assertIn("Plain", what.ways(feature), feature)
            self.assertIn("Upgraded", what.ways(feature), feature)

    def test_nothing_differs_but_what_is_declared(self):
        undeclared, _ = judge(self.name, seen(self.name))
        self.assertEqual(undeclared, [])

    def test_what_is_declared_is_seen(self):
        _, stale = judge(self.name, seen(self.name))
        self.assertEqual(stale, [])

    def test_ipv6_was_there_to_be_compared(self):
        why = "; ".join(sorted(set(seen(self.name).skipped)))
        if why and os.environ.get("CI"):
            self.fail(why)
        if why:
            self.skipTest(f"skipped: {why}")

    def test_an_exception_that_nobody_catches_ends_the_process_as_ever(self):
        in_clear, upgraded = (peers().run(self.runtime, "unhandled", way) for way in ("Plain", "Upgraded"))
        self.assertNotEqual(in_clear.returncode, 0)
        self.assertEqual(upgraded.returncode, in_clear.returncode, upgraded.stdout)
        self.assertIn("nobody catches this", upgraded.stdout)

    def test_a_process_that_ends_right_after_send_delivers_everything(self):
        readers = (endings.AT_ONCE, endings.LATER, endings.WHEN_GONE) if LONG else (endings.WHEN_GONE,)
        kinds = ("0", endings.UNIX_PAIR) if LONG else ("0",)
        tried = [
            (how, flags, reader, round)
            for how in HOWS
            for flags in kinds
            for reader in readers
            for round in range(20 if LONG else 2)
        ]
        keys = peers().keys
        with concurrent.futures.ThreadPoolExecutor(ENDINGS_AT_ONCE) as pool:
            jobs = {pool.submit(self._end, keys, *how): how for *how, _ in tried}
        failures = [f"{what}: {job.exception()}" for job, what in jobs.items() if job.exception()]
        self.assertEqual(failures, [], f"of {len(tried)}")

    def _end(self, keys, how, flags, reader):
        command = [*self.runtime.command, program(), "ending", how]
        endings.end_right_after_send(keys, command, flags, reader, self.runtime.environment)


def add_check(name):
    def test(self):
        done = peers().run(self.runtime, "check", name)
        if done.returncode == -signal.SIGSEGV:
            self.fail("it crashed")
        self.assertEqual(done.returncode, 0, done.stdout)

    setattr(OnRuntime, f"test_check_{name}", test)


for name in CHECKS:
    add_check(name)


class OnMono(OnRuntime, unittest.TestCase):
    name = "mono"


class OnCoreClr(OnRuntime, unittest.TestCase):
    name = "coreclr"


class Document(unittest.TestCase):
    maxDiff = None

    def test_the_document_says_what_was_seen(self):
        lacking = runtimes.lacking()
        if lacking and os.environ.get("CI"):
            self.fail(str(lacking))
        if lacking:
            self.skipTest(f"not every runtime is there: {lacking}")
        _, written, _ = matrix_document.parts()
        # Run `make dotnet-matrix` when a change is meant.
        self.assertEqual(written.splitlines(), document().splitlines())


def document():
    return matrix_document.text({name: seen(name) for name in ("mono", "coreclr")}, CHECKS, HOWS)


def write():
    for name in ("mono", "coreclr"):
        undeclared, stale = judge(name, seen(name))
        if seen(name).failed or undeclared or stale or seen(name).skipped:
            raise SystemExit(f"not written: {name}: {seen(name).failed or undeclared or stale or seen(name).skipped}")
    print("written anew" if matrix_document.write(document()) else "nothing has changed")


if __name__ == "__main__":
    if sys.argv[1:2] == ["--write"]:
        write()
    else:
        harness.run_and_count()
