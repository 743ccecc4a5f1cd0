#!/usr/bin/env python3
"""The tests of the .NET assembly, on every runtime; and how it finds its library.

Arguments choose tests by parts of their names. The last line says how many passed, failed and were skipped.
"""

import hashlib
import os
import pathlib
import re
import shutil
import socket
import ssl
import subprocess
import sys
import tempfile
import threading

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT / "tests"), str(ROOT / "tests" / "servers")]

import listening  # noqa: E402
import peer  # noqa: E402
import pki  # noqa: E402
import recording_peer  # noqa: E402
import runtimes  # noqa: E402
import unit_peers  # noqa: E402

HERE = pathlib.Path(__file__).resolve().parent
PROGRAM = runtimes.BUILD / "dotnet-tests" / "unit" / "unit.exe"
RUN_SECONDS = 900
COUNTS = re.compile(r"^(\d+) passed, (\d+) failed, (\d+) skipped$")
FIRST_CALLS = (
    "Version", "AbiVersion", "FlushAll", "SetLogCallback", "For", "Nested", "FromDescriptor", "SslDefaults",
    "SslHelper", "StaticHelper", "CompatSocket",
)  # fmt: skip
WRONG_LIBRARY = """
#include <stdint.h>
uint32_t ssl_abi_version(void) { return %s; }
const char *ssl_version(void) { return "9.8.7"; }
"""


def peers(folder):
    """Starts everything that the tests talk to; the variables that say where."""
    known, unknown = folder / "pki", folder / "unknown"
    pki.make(known)
    pki.make_expired(known)
    pki.make(unknown)
    unit_peers.make_files(known)
    untrusted = peer.Peer(unknown, unknown)
    return {
        **recording_peer.RecordingPeer(known, unknown, folder).variables,
        **peer.Peer(known, folder).variables,
        **unit_peers.variables(known),
        "SSLSOCK_UNTRUSTED": untrusted.variables["SSLSOCK_PEER"],
        "SSLSOCK_UNTRUSTED_RESULTS": untrusted.variables["SSLSOCK_PEER_RESULTS"],
        "SSLSOCK_EXPIRED": tls_server(expired_context(known)),
        "SSLSOCK_DEMANDING": tls_server(demanding_context(known)),
        "SSLSOCK_SPKI": spki_hash(known / "server.pem"),
        "SSLSOCK_HEADER": str(ROOT / "include" / "sslsock.h"),
        "SSLSOCK_ERRORS_PAGE": str(ROOT / "docs" / "errors.md"),
        "SSLSOCK_VERSION": version(),
    }


def version():
    return re.search(r'^version = "(.*)"', (ROOT / "Cargo.toml").read_text(), re.M)[1]


def tls_server(context):
    """Says whose certificate the client has shown, then waits for the client's end."""

    def serve(connection):
        with context.wrap_socket(connection, server_side=True) as session:
            shown = session.getpeercert() or {}
            names = [value for part in shown.get("subject", ()) for key, value in part if key == "commonName"]
            session.sendall(f"CN={names[0] if names else ''}\n".encode())
            session.recv(1)

    return listening.listen(socket.AF_INET, ("127.0.0.2", 0), serve, peer.EXPECTED, 60)


def expired_context(folder):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(folder / "expired.pem", folder / "expired.key")
    return context


def demanding_context(folder):
    """Demands a client certificate, in the version where the client hears of it during the handshake."""
    context = peer.server_context(folder)
    context.verify_mode = ssl.CERT_REQUIRED
    context.load_verify_locations(folder / "ca.pem")
    context.maximum_version = ssl.TLSVersion.TLSv1_2
    return context


def spki_hash(certificate):
    command = ["openssl", "x509", "-in", certificate, "-noout", "-pubkey"]
    public = subprocess.run(command, capture_output=True, check=True).stdout
    command = ["openssl", "pkey", "-pubin", "-outform", "DER"]
    der = subprocess.run(command, input=public, capture_output=True, check=True).stdout
    return hashlib.sha256(der).hexdigest()


class Tally:
    def __init__(self, words):
        self.words = words
        self.passed = self.failed = self.skipped = 0

    def run(self, name, test):
        if self.words and not any(word in name for word in self.words):
            return
        try:
            test()
        except AssertionError as why:
            self.failed += 1
            print(f"FAILED  {name}: {why}", flush=True)
        else:
            self.passed += 1
            print(f"ok      {name}", flush=True)

    def run_program(self, runtime, variables):
        print(f"-- {runtime.name}", flush=True)
        program = runtime.popen(
            PROGRAM, *self.words, variables=variables, stdout=subprocess.PIPE, text=True, errors="replace"
        )
        # Ends a program that hangs; its tests have limits of their own.
        limit = threading.Timer(RUN_SECONDS, program.kill)
        limit.start()
        counts = None
        for line in program.stdout:
            print(line, end="", flush=True)
            counts = COUNTS.match(line) or counts
        status = program.wait()
        limit.cancel()
        passed, failed, skipped = map(int, counts.groups()) if counts else (0, 0, 0)
        # Nothing to run is no failure where words have chosen tests.
        if not counts or (status and not failed and passed + skipped):
            print(f"FAILED  {runtime.name} ended with {status}")
            failed += 1
        self.passed += passed
        self.failed += failed
        self.skipped += skipped


class Loading:
    """How the assembly finds the library, each time in a folder of its own."""

    def __init__(self, runtime, folder):
        self.runtime, self.folder = runtime, folder

    def program_in(self, name):
        folder = self.folder / self.runtime.name / name
        folder.mkdir(parents=True)
        for path in (PROGRAM, PROGRAM.with_name("SslSock.dll")):
            shutil.copy(path, folder)
        return folder / PROGRAM.name

    def printed(self, program, first="Version", **variables):
        variables = {"LD_LIBRARY_PATH": "", **variables}
        done = self.runtime.run(program, "--first", first, variables=variables, capture_output=True, text=True, timeout=60)
        return done.returncode, done.stdout.strip() + done.stderr

    def expect(self, printed, status, *texts):
        assert printed[0] == status and all(text in printed[1] for text in texts), f"{texts} expected, not {printed}"

    def library_at(self, path):
        path.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(runtimes.ASSEMBLY.with_name("libsslsock.so.0"), path)

    def wrong_library_at(self, path, abi):
        path.parent.mkdir(parents=True, exist_ok=True)
        command = ["cc", "-shared", "-fPIC", "-Wl,-soname,libsslsock.so.0", "-x", "c", "-", "-o", path]
        subprocess.run(command, input=WRONG_LIBRARY % abi, text=True, check=True)

    def beside(self):
        program = self.program_in("beside")
        self.library_at(program.with_name("libsslsock.so.0"))
        self.expect(self.printed(program), 0, version())

    def in_runtimes(self):
        program = self.program_in("runtimes")
        self.library_at(program.parent / "runtimes/linux-x64/native/libsslsock.so.0")
        # Whatever is called first, since the runtime alone would not find it there.
        for first in FIRST_CALLS:
            self.expect(self.printed(program, first), 0, f"found {version()}")

    def in_a_package(self):
        program = self.program_in("package/lib/netstandard2.0")
        self.library_at(program.parents[2] / "runtimes/linux-x64/native/libsslsock.so.0")
        self.expect(self.printed(program), 0, version())

    def not_far_above(self):
        program = self.program_in("far/else/where")
        self.library_at(program.parents[2] / "runtimes/linux-x64/native/libsslsock.so.0")
        self.expect(self.printed(program), 1, "cannot be loaded")

    def by_the_loader(self):
        program = self.program_in("loader")
        self.library_at(program.parent / "elsewhere/libsslsock.so.0")
        self.expect(self.printed(program, LD_LIBRARY_PATH=str(program.parent / "elsewhere")), 0, version())

    def already_there(self):
        # What the process has goes before what it would have to load.
        program = self.program_in("there")
        self.wrong_library_at(program.parent / "runtimes/linux-x64/native/libsslsock.so.0", "1 << 16")
        self.library_at(program.parent / "elsewhere/libsslsock.so.0")
        self.expect(self.printed(program, LD_PRELOAD=str(program.parent / "elsewhere/libsslsock.so.0")), 0, version())

    def nowhere(self):
        self.expect(self.printed(self.program_in("nowhere")), 1, "libsslsock.so.0", "Put it beside SslSock.dll")

    def wrong_major(self):
        program = self.program_in("major")
        library = program.with_name("libsslsock.so.0")
        self.wrong_library_at(library, "1 << 16 | 9")
        self.expect(self.printed(program), 1, str(library), "sslsock 9.8.7", "ABI 1.9", "needs ABI 0.")

    def too_old(self):
        program = self.program_in("old")
        self.wrong_library_at(program.with_name("libsslsock.so.0"), "1")
        self.expect(self.printed(program), 1, "ABI 0.1", "needs ABI 0.")

    def something_else(self):
        program = self.program_in("else")
        path = program.with_name("libsslsock.so.0")
        path.write_text("not a library\n")
        self.expect(self.printed(program), 1, str(path))

    def tests(self):
        for test in (
            self.beside, self.in_runtimes, self.in_a_package, self.not_far_above, self.by_the_loader,
            self.already_there, self.nowhere, self.wrong_major, self.too_old, self.something_else,
        ):  # fmt: skip
            yield f"library: {test.__name__.replace('_', ' ')} ({self.runtime.name})", test


def main():
    tally = Tally(sys.argv[1:])
    try:
        runtimes.compile([HERE / "Test.cs", *sorted((HERE / "unit").glob("*.cs"))], [runtimes.assembly()], PROGRAM)
    except runtimes.Lacking as why:
        print(f"skipped everything: {why}")
        print("0 passed, 0 failed, 1 skipped")
        return 1 if os.environ.get("CI") else 0
    with tempfile.TemporaryDirectory() as folder:
        folder = pathlib.Path(folder)
        variables = peers(folder)
        for runtime in runtimes.runtimes():
            tally.run_program(runtime, variables)
            for name, test in Loading(runtime, folder / "loading").tests():
                tally.run(name, test)
    for name, why in runtimes.lacking().items():
        tally.skipped += 1
        print(f"skipped the tests on {name}: {why}")
    print(f"{tally.passed} passed, {tally.failed} failed, {tally.skipped} skipped", flush=True)
    return 1 if tally.failed else 0


if __name__ == "__main__":
    sys.exit(main())
