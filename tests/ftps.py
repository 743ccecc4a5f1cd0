#!/usr/bin/env python3
"""The FTPS programs, in C, Python and C#, against vsftpd as strict as it can be, and against a server that misbehaves.

One table drives them all: they have the same command line. vsftpd demands that every data connection resumes the
control connection's session and that both sides end in order; its log says of each connection whether it did.
"""

import hashlib
import itertools
import os
import pathlib
import re
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import unittest

TESTS = pathlib.Path(__file__).resolve().parent
ROOT = TESTS.parent
sys.path[:0] = [str(TESTS), str(TESTS / "servers"), str(TESTS / "dotnet")]

import ftps_peer  # noqa: E402
import harness  # noqa: E402
import runtimes  # noqa: E402

BUILD = pathlib.Path(os.environ.get("SSLSOCK_BUILD") or ROOT / "build").absolute()
# The program that this process tests; otherwise all are.
CHOSEN = "SSLSOCK_FTPS_PROGRAM"
SECONDS = 120
MEGABYTE = 1_000_000
# Beyond what the program needs for a small file: less than half of the large one.
MEMORY_KIB = 48 * 1024

# It can be opened, but not read at its beginning.
UNREADABLE = "/proc/self/mem"


class Program:
    """`command` starts it in this environment; `lacking` says why it cannot be run here."""

    def __init__(self, command, environment=None, lacking=None):
        self.command, self.lacking = [str(word) for word in command], lacking
        self.environment = {**os.environ, **(environment or {})}


def c_program():
    return Program([BUILD / "examples" / "ftps"])


def python_program():
    environment = {"PYTHONPATH": str(ROOT / "bindings" / "python" / "src"), "LD_LIBRARY_PATH": str(BUILD / "lib")}
    return Program([sys.executable, ROOT / "examples" / "python" / "ftps.py"], environment)


def dotnet_program(name):
    try:
        runtime = runtimes.runtime(name)
        if not shutil.which("mcs"):
            raise runtimes.Lacking("the example cannot be built: install the package mono-mcs")
    except runtimes.Lacking as lacking:
        return Program([], lacking=str(lacking))
    return Program([*runtime.command, BUILD / "examples" / "dotnet" / "ftps.exe"], runtime.environment)


PROGRAMS = {
    "C": c_program,
    "Python": python_program,
    "Mono": lambda: dotnet_program("mono"),
    "CoreCLR": lambda: dotnet_program("coreclr"),
}


class Done:
    def __init__(self, status, output, errors, memory):
        self.status, self.output, self.errors, self.memory = status, output, errors, memory
        self.resumed = re.findall(r"^resumed: (\w+)$", output, re.M)

    def __str__(self):
        return f"status {self.status}\n{self.output}\n{self.errors}"


class Running:
    """A program under way, with its output in files: nothing of it waits for us."""

    def __init__(self, program, arguments, folder):
        self.files = [open(pathlib.Path(folder, f"{secrets.token_hex(4)}.{kind}"), "w+") for kind in ("out", "err")]
        self.process = subprocess.Popen(
            [*program.command, *map(str, arguments)],
            env=program.environment, stdin=subprocess.DEVNULL, stdout=self.files[0], stderr=self.files[1],
        )  # fmt: skip

    def wait(self):
        in_time = harness.until(self._ended, SECONDS)
        if not in_time:
            self.process.kill()
            self._ended(0)
        texts = []
        for file in self.files:
            with file:
                file.seek(0)
                texts.append(file.read())
        if not in_time:
            raise AssertionError(f"not done after {SECONDS} s\n{texts}")
        return Done(self.process.returncode, *texts, self.usage.ru_maxrss)

    def _ended(self, flags=os.WNOHANG):
        """wait4 alone tells the memory of this one child."""
        if self.process.returncode is None:
            pid, status, self.usage = os.wait4(self.process.pid, flags)
            if pid:
                self.process.returncode = os.waitstatus_to_exitcode(status)
        return self.process.returncode is not None


class FtpsTest(harness.ServerTest):
    """One program's tests; `program` makes it."""

    program = None
    lacking = None

    @classmethod
    def setUpClass(cls):
        if cls.servers:
            super().setUpClass()
        cls.started = cls.program()

    def setUp(self):
        super().setUp()
        if self.started.lacking:
            (self.fail if os.environ.get("CI") else self.skipTest)(self.started.lacking)
        folder = tempfile.TemporaryDirectory(prefix="sslsock-ftps-")
        self.addCleanup(folder.cleanup)
        self.folder = pathlib.Path(folder.name)

    def start(self, *arguments):
        return Running(self.started, arguments, self.folder)

    def run_program(self, *arguments):
        return self.start(*arguments).wait()

    def make_file(self, size):
        path = self.folder / secrets.token_hex(8)
        with open(path, "wb") as file:
            for start in range(0, size, MEGABYTE):
                file.write(secrets.token_bytes(min(MEGABYTE, size - start)))
        return path

    def make_sparse_file(self, path, size):
        with open(path, "wb") as file:
            file.truncate(size)
        self.addCleanup(lambda: path.exists() and path.unlink())
        return path

    def assert_success(self, done, data_connections, resumed="yes"):
        self.assertEqual(done.status, 0, done)
        self.assertEqual(done.errors, "")
        self.assertEqual(done.resumed, [resumed] * data_connections, done)

    def assert_failure(self, done, *texts):
        """The program itself says why; a crash has another status."""
        self.assertEqual(done.status, 1, done)
        for text in texts:
            self.assertIn(text, done.errors)


def digest(path):
    with open(path, "rb") as file:
        whole = hashlib.sha256()
        while block := file.read(MEGABYTE):
            whole.update(block)
        return whole.hexdigest()


class Vsftpd(FtpsTest):
    servers = ("vsftpd", "vsftpd_implicit")

    def server(self, implicit):
        """The options that every run has, the folder for uploads, the log from now on."""
        prefix = "SSLSOCK_VSFTPD_IMPLICIT_" if implicit else "SSLSOCK_VSFTPD_"
        host, port = self.launched.address(prefix + ("FTPS" if implicit else "FTP"))
        options = ["--trust", f"{self.launched['SSLSOCK_PKI']}/ca.pem", "--name", self.launched["SSLSOCK_SERVER_NAME"]]
        self.uploads = pathlib.Path(self.launched[f"{prefix}ROOT"], "upload")
        self.vsftpd = self.log(f"{prefix}LOG")
        return [*(["--implicit"] if implicit else []), *options], [host, port]

    def upload_name(self):
        name = secrets.token_hex(8)
        self.addCleanup(lambda: (self.uploads / name).exists() and (self.uploads / name).unlink())
        return name

    def sessions_in_log(self):
        """Of every TLS connection, in order: version, and whether it resumed a session."""
        self.vsftpd.await_line('"221 Goodbye')
        return re.findall(r"SSL version: (\S+), SSL cipher: [^,]+, (not reused|reused)", self.vsftpd.text())

    def transfers(self, implicit, version, active):
        """A listing and ten transfers in one session."""
        options, address = self.server(implicit)
        files = [self.make_file(size) for size in (0, 1, 70_000, 300_000, 65_536)]
        names = [self.upload_name() for _ in files]
        commands = ["list"]
        for file, name in zip(files, names):
            commands += ["put", file, f"upload/{name}", "get", f"upload/{name}", f"{file}.back"]
        done = self.run_program(*options, "--tls", version, *(["--active"] if active else []), *address, *commands)
        self.assert_success(done, 11)
        self.assertRegex(done.output, r"(?m)^entry: .*\bupload$")
        self.assertIn(f"\ntls: TLSv{version}\n", f"\n{done.output}")
        for file, name in zip(files, names):
            self.assertEqual(digest(file), digest(self.uploads / name))
            self.assertEqual(digest(file), digest(f"{file}.back"))
        # The control connection and eleven data connections.
        found = self.sessions_in_log()
        self.assertEqual(found, [(f"TLSv{version}", "not reused")] + [(f"TLSv{version}", "reused")] * 11)
        ways = re.findall(r'FTP command: Client "[^"]*", "(E?PASV|EPSV|E?PRT|PORT)\b', self.vsftpd.text())
        self.assertEqual(set(ways), {"EPRT" if active else "EPSV"})

    def test_explicit_tls12_passive(self):
        self.transfers(False, "1.2", False)

    def test_explicit_tls12_active(self):
        self.transfers(False, "1.2", True)

    def test_explicit_tls13_passive(self):
        self.transfers(False, "1.3", False)

    def test_explicit_tls13_active(self):
        self.transfers(False, "1.3", True)

    def test_implicit_tls12_passive(self):
        self.transfers(True, "1.2", False)

    def test_implicit_tls12_active(self):
        self.transfers(True, "1.2", True)

    def test_implicit_tls13_passive(self):
        self.transfers(True, "1.3", False)

    def test_implicit_tls13_active(self):
        self.transfers(True, "1.3", True)

    def large_transfers(self, implicit=False, *more):
        """100 MB up and down, with no more memory than a small file takes."""
        options, address = self.server(implicit)
        options += more
        memory = []
        for size in (1000, 100 * MEGABYTE):
            file, name = self.make_file(size), self.upload_name()
            back = self.folder / "back"
            done = self.run_program(*options, *address, "put", file, f"upload/{name}", "get", f"upload/{name}", back)
            self.assert_success(done, 2)
            self.assertEqual(digest(file), digest(self.uploads / name))
            self.assertEqual(digest(file), digest(back))
            memory.append(done.memory)
            for path in (file, back, self.uploads / name):
                path.unlink()
        self.assertLess(memory[1] - memory[0], MEMORY_KIB)
        self.vsftpd.await_line(r'(?s)"221 Goodbye.*"221 Goodbye')
        self.assertEqual([reused for _, reused in self.sessions_in_log()].count("reused"), 4)

    def test_hundred_megabytes(self):
        self.large_transfers()

    if os.environ.get("SSLSOCK_LONG"):

        def test_hundred_megabytes_in_every_way(self):
            for implicit, version, active in itertools.product((False, True), ("1.2", "1.3"), ((), ("--active",))):
                with self.subTest(implicit=implicit, version=version, active=active):
                    self.large_transfers(implicit, "--tls", version, *active)

    def test_without_session(self):
        """The control run: vsftpd insists on the session, and the program says so."""
        for version in ("1.2", "1.3"):
            options, address = self.server(False)
            name = self.upload_name()
            command = ["--tls", version, "--without-session", *address, "put", self.make_file(1000), f"upload/{name}"]
            done = self.run_program(*options, *command)
            self.assert_failure(done, "522 ", "session")
            self.assertEqual(done.resumed, ["no"], done)
            self.vsftpd.await_line("No SSL session reuse on data channel")
            found = re.findall(r"SSL version: (\S+), SSL cipher: [^,]+, (not reused|reused)", self.vsftpd.text())
            self.assertEqual(found, [(f"TLSv{version}", "not reused")] * 2)

    def test_download_without_session_leaves_no_file(self):
        options, address = self.server(False)
        name, back = self.upload_name(), self.folder / "back"
        shutil.copyfile(self.make_file(100_000), self.uploads / name)
        done = self.run_program(*options, "--without-session", *address, "get", f"upload/{name}", back)
        self.assert_failure(done, "522 ")
        self.assertFalse(back.exists())
        self.assertFalse(pathlib.Path(f"{back}.part").exists())

    def test_other_name_says_nothing_secret(self):
        options, address = self.server(False)
        options[options.index("--name") + 1] = "other.test"
        self.assert_failure(self.run_program(*options, *address, "list"), "SSL_ERR_")
        self.assertIsNone(self.vsftpd.find("USER"))

    def test_file_that_is_not_there(self):
        options, address = self.server(False)
        back = self.folder / "back"
        self.assert_failure(self.run_program(*options, *address, "get", "upload/nothing", back), "550 ")
        self.assertFalse(back.exists())

    def test_file_that_cannot_be_read_is_not_uploaded_as_an_empty_one(self):
        options, address = self.server(False)
        name = self.upload_name()
        self.assert_failure(self.run_program(*options, *address, "put", UNREADABLE, f"upload/{name}"))
        self.vsftpd.await_line("FAIL UPLOAD: ")
        self.assertIsNone(self.vsftpd.find("OK UPLOAD: "))

    def test_server_dies_in_a_download(self):
        """Its processes are killed: no close_notify, and no last answer."""
        options, address = self.server(False)
        name, back = self.upload_name(), self.folder / "back"
        self.make_sparse_file(self.uploads / name, 4000 * MEGABYTE)
        part = pathlib.Path(f"{back}.part")
        running = self.start(*options, *address, "get", f"upload/{name}", back)
        self.assertTrue(harness.until(lambda: part.exists() and part.stat().st_size > MEGABYTE, 30))
        for pid in set(re.findall(r"\[pid (\d+)\]", self.vsftpd.text())):
            os.kill(int(pid), signal.SIGKILL)
        self.assert_failure(running.wait(), "SSL_ERR_")
        self.assertFalse(back.exists())
        self.assertFalse(part.exists())

    def test_client_dies_in_an_upload(self):
        """Without close_notify what came is not a file: vsftpd says that the upload has failed."""
        options, address = self.server(False)
        name = self.upload_name()
        file = self.make_sparse_file(self.folder / "sparse", 4000 * MEGABYTE)
        running = self.start(*options, *address, "put", file, f"upload/{name}")
        there = self.uploads / name
        self.assertTrue(harness.until(lambda: there.exists() and there.stat().st_size > MEGABYTE, 30))
        running.process.kill()
        running.wait()
        self.vsftpd.await_line("FAIL UPLOAD: ")
        self.assertIsNone(self.vsftpd.find("OK UPLOAD: "))


class Misbehaving(FtpsTest):
    """Against a server of ours, over TLS 1.3."""

    CONTENT = b"0123456789abcdef" * 20_000

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        folder = tempfile.TemporaryDirectory(prefix="sslsock-ftps-")
        cls.addClassCleanup(folder.cleanup)
        cls.pki = folder.name
        subprocess.run([sys.executable, harness.LAUNCH, "pki", cls.pki], check=True)

    def serve(self, **how):
        server = ftps_peer.FtpsPeer(self.pki, **how)
        server.files["file"] = self.CONTENT
        return server

    def run_against(self, server, *words):
        options = [word for word in words if word.startswith("--")]
        commands = [word for word in words if word not in options]
        arguments = [*options, "--trust", f"{self.pki}/ca.pem", "--name", "localhost", server.host, server.port]
        return self.run_program(*arguments, *(commands or ["get", "file", self.folder / "back"]))

    def assert_downloaded(self, done, server):
        self.assert_success(done, 1)
        self.assertEqual((self.folder / "back").read_bytes(), self.CONTENT)
        self.assertEqual(server.resumed, [True])

    def assert_no_file(self):
        self.assertEqual([path.name for path in self.folder.glob("back*")], [])

    def test_passive(self):
        server = self.serve()
        self.assert_downloaded(self.run_against(server), server)

    def test_ipv6(self):
        for option in ((), ("--active",)):
            try:
                server = self.serve(family=socket.AF_INET6)
            except OSError as error:
                self.skipTest(f"no IPv6: {error}")
            self.assert_downloaded(self.run_against(server, *option), server)
            self.assertIn("EPRT" if option else "EPSV", server.commands)

    def test_address_in_the_answer_to_pasv_is_ignored(self):
        server = self.serve(unknown=("EPSV",), passive_host="127.0.0.77")
        self.assert_downloaded(self.run_against(server), server)
        self.assertIn("PASV", server.commands)

    def test_port_where_eprt_is_unknown(self):
        server = self.serve(unknown=("EPRT",))
        self.assert_downloaded(self.run_against(server, "--active"), server)
        self.assertIn("PORT", server.commands)

    def test_upload_ends_in_order(self):
        for option in ((), ("--active",)):
            server = self.serve()
            file = self.make_file(200_000)
            self.assert_success(self.run_against(server, *option, "put", str(file), "name", "list"), 2)
            self.assertEqual(server.files["name"], (file.read_bytes(), "close_notify"))

    def test_tickets_that_come_after_the_end_of_an_upload(self):
        """Each data connection takes a ticket of TLS 1.3 and brings one, and the server had sent two."""
        server = self.serve(late_tickets=True)
        file = self.make_file(10)
        done = self.run_against(server, *["put", str(file), "name"] * 5)
        self.assert_success(done, 5)
        self.assertEqual(server.resumed, [True] * 5)

    def test_truncated_download(self):
        """The server says 226, but the file has not come to its end: whoever cut it off is not believed."""
        for ending, error in (("truncated", "SSL_ERR_TRUNCATED"), ("cut", "SSL_ERR_TRUNCATED"), ("reset", "SSL_ERR_RESET")):
            done = self.run_against(self.serve(ending=ending))
            self.assert_failure(done, error)
            self.assert_no_file()

    def test_answers_in_the_place_of_data(self):
        for answer, meaning in (("425 no way", "connection"), ("426 broken", "complete"), ("522 not so", "session")):
            done = self.run_against(self.serve(instead_of_data=answer))
            self.assert_failure(done, answer, meaning)
            self.assertEqual(done.resumed, [])
            self.assert_no_file()

    def test_answers_after_the_data(self):
        """All has come, but the server says otherwise."""
        for answer, meaning in (("426 broken", "complete"), ("451 a disk", "451")):
            self.assert_failure(self.run_against(self.serve(refusal=answer)), answer, meaning)
            self.assert_no_file()

    def test_server_does_not_resume(self):
        """Not a byte of the file leaves on a session that is not the control connection's."""
        file = self.make_file(1000)
        for how in ({"tickets": False}, {"other_data_context": True}):
            server = self.serve(**how)
            done = self.run_against(server, "put", str(file), "name")
            self.assert_failure(done, "SSL_ERR_NOT_RESUMED", "--without-session", "426 ")
            self.assertNotIn("name", server.files)
            done = self.run_against(server, "--without-session", "put", str(file), "name")
            self.assert_success(done, 1, "no")
            self.assertEqual(server.files["name"], (file.read_bytes(), "close_notify"))


def load_tests(loader, _tests, _pattern):
    name = os.environ[CHOSEN]
    classes = [
        type(f"{tests.__name__}By{name}", (tests,), {"program": staticmethod(PROGRAMS[name])})
        for tests in (Vsftpd, Misbehaving)
    ]
    return unittest.TestSuite(loader.loadTestsFromTestCase(one) for one in classes)


def run_all():
    """Each program's tests in a process of their own, all at once: most of their time they wait for a server."""
    command = [sys.executable, __file__, *sys.argv[1:]]
    running = [
        subprocess.Popen(
            command, env={**os.environ, CHOSEN: name}, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
        )
        for name in PROGRAMS
    ]
    totals = [0, 0, 0]
    for process in running:
        output = process.communicate()[0]
        print(output, end="")
        counted = re.search(r"^(\d+) passed, (\d+) failed, (\d+) skipped$", output, re.M)
        counts = map(int, counted.groups()) if counted else (0, 1, 0)
        totals = [total + count for total, count in zip(totals, counts)]
    print("{} passed, {} failed, {} skipped".format(*totals))
    return 1 if totals[1] or any(process.returncode for process in running) else 0


if __name__ == "__main__":
    if CHOSEN not in os.environ:
        sys.exit(run_all())
    harness.run_and_count()
