"""The binding has what the header has, loads the right library, and keeps to its promises about imports and types."""

import ast
import os
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile
import unittest

import support
from support import HEADER, LIBRARY, SOURCES

import sslsock
from sslsock import _native

PACKAGE = SOURCES / "sslsock"
MYPY = "mypy==1.14.1"
VERMIN = "vermin==1.6.0"
TYPED = """\
import smtplib
import socket
from typing import List

import sslsock
import sslsock.clients
from sslsock import SSL_FLAG_STRICT, SSL_PROTOCOL_TLS1_3, Category, Cause, Identity, SslError, SslHelper


class Pinned(SslHelper):
    def validate_cert(self, type: int, arg: object, chain: List[bytes], flags: int) -> int:
        return sslsock.SSL_ERR_OKAY


class Asking(SslHelper):
    async def validate_cert_async(self, type: int, arg: object, chain: List[bytes], flags: int) -> int:
        return self.validate_cert(type, arg, chain, flags)

    def choose_identity(self, issuers: List[bytes]) -> List[bytes]:
        return []


def sign(scheme: int, data: bytes) -> bytes:
    return data


def serve(sock: socket.socket) -> bytes:
    identities = [Identity(b"chain", sign=sign), Identity("chain.pem", "key.pem"), Identity(b"chain", b"key")]
    helper = SslHelper(sock, server=True, identity=identities, alpn=["h2"], client_certificate="optional", crl_file="crl.pem")
    other = SslHelper(sock, "mail.test", session_from=helper, require_resumption=True, min_version=SSL_PROTOCOL_TLS1_3)
    return helper.session_info.alpn if Cause.PIN in other.socket.get_verify_report().causes else b""


async def upgrade(sock: socket.socket, smtp: smtplib.SMTP) -> int:
    try:
        with Pinned(sock, "mail.test", defer=True, flags=SSL_FLAG_STRICT) as helper:
            await helper.do_handshake_async()
        helper.do_handshake([sock.makefile("rb")])
    except SslError as error:
        return error.code if error.category is Category.CERTIFICATE else 0
    sslsock.defaults.add_trust_file("ca.pem")
    sslsock.set_log_callback(sslsock.SSL_LOG_INFO, lambda level, message: None)
    if not sslsock.verify_chain([b""], "mail.test", trust_file="ca.pem", pins=["00" * 32]):
        return 1
    sslsock.SslSocket(sock).set_auth_request_hook(lambda issuers: [])
    sslsock.SslSocket(sock).set_validate_cert_hook(lambda type, arg, chain, flags: 0)
    return sslsock.clients.starttls_smtp(smtp).socket.get_session_info().protocol
"""


class Header(unittest.TestCase):
    TEXT = HEADER.read_text()
    # What only sources for Windows CE have a use for.
    FOR_C = ("ssl_wce_set_message_box",)

    def test_every_function_has_its_prototype_and_no_other(self):
        functions = re.findall(r"^[a-z_0-9 ]+ \**(ssl_\w+)\(", self.TEXT, re.M)
        self.assertGreater(len(functions), 34)
        self.assertEqual(sorted(functions), sorted({*_native.PROTOTYPES, *self.FOR_C}))

    def test_every_function_is_offered(self):
        module = {"ssl_error_name", "ssl_error_category", "ssl_flush_all", "ssl_set_log_callback", "ssl_version", "ssl_abi_version"}
        module.add("ssl_set_relay_threads")
        otherwise = {"ssl_socket_new": "__init__", "ssl_socket_from_fd": "find", "ssl_socket_free": "free", "ssl_defaults": None}
        otherwise["ssl_settings_new"] = None
        for function in _native.PROTOTYPES:
            name = function[len("ssl_") :]
            if function in module:
                self.assertTrue(callable(getattr(sslsock, name)), function)
            elif otherwise.get(function, name):
                self.assertTrue(callable(getattr(sslsock.SslSocket, otherwise.get(function, name))), function)
        self.assertIsInstance(sslsock.defaults, sslsock.Defaults)
        self.assertTrue(issubclass(sslsock.SslSettings, type(sslsock.defaults).__mro__[1]))

    def test_prototypes_have_the_header_s_arguments(self):
        plain = re.sub(r"//.*", "", self.TEXT)
        for name, (answer, arguments) in _native.PROTOTYPES.items():
            declared = re.search(r"^([a-z_0-9 ]+ \**)%s\(([^)]*)\);" % name, plain, re.M)
            words = [] if declared[2].strip() == "void" else [" ".join(word.split()) for word in declared[2].split(",")]
            self.assertEqual([self.sort(word) for word in words], [self.kind(argument) for argument in arguments], name)
            self.assertEqual(self.sort(declared[1] + "answer"), self.kind(answer), name)

    def sort(self, declaration):
        """Width of a number, or that it is a pointer."""
        if "*" in declaration or "_fn " in declaration:
            return "pointer"
        kinds = {"size_t": "u64", "ptrdiff_t": "i64", "int64_t": "i64", "int32_t": "i32", "uint32_t": "u32", "uint16_t": "u16"}
        return kinds[declaration.split()[0]]

    def kind(self, converter):
        known = {"c_void_p": "pointer", "c_char_p": "pointer", "c_int": "i32", "c_uint": "u32", "c_ulong": "u64", "c_long": "i64"}
        known["c_ushort"] = "u16"
        return known.get(converter.__name__, "pointer")

    def test_every_constant_has_its_value(self):
        defined = {name: int(number) for name, number in re.findall(r"^#define (SSL_\w+) (\d+)$", self.TEXT, re.M)}
        names = {"INT64_MIN": -(2**63)}
        defined.update((name, names[number]) for name, number in re.findall(r"^#define (SSL_\w+) ([A-Z]\w+)$", self.TEXT, re.M))
        self.assertGreater(len(defined), 75)
        self.assertEqual({name: getattr(sslsock, name, None) for name in defined}, defined)
        own = {name for name in dir(sslsock.constants) if name.startswith("SSL_")}
        self.assertEqual(own, set(defined))

    def test_every_callback_has_its_arguments(self):
        for name, kinds in (
            ("ssl_signature_fn", _native.SIGNATURE_ARGUMENTS),
            ("ssl_auth_request_fn", _native.AUTH_REQUEST_ARGUMENTS),
        ):
            declared = re.search(r"^typedef int32_t \(\*%s\)\(([^)]*)\);" % name, self.TEXT, re.M)[1]
            words = [" ".join(word.split()) for word in declared.split(",")]
            # A pointer comes as a number.
            kinds = ["pointer" if kind is _native.c_size_t else self.kind(kind) for kind in kinds]
            self.assertEqual([self.sort(word) for word in words], kinds, name)

    def test_every_cause_is_a_flag(self):
        causes = {name[len("SSL_CAUSE_") :]: getattr(sslsock, name) for name in dir(sslsock) if name.startswith("SSL_CAUSE_")}
        self.assertEqual({cause.name: cause.value for cause in sslsock.Cause}, causes)

    def test_structures_have_the_compiler_s_layout(self):
        if not shutil.which("cc"):
            self.skipTest("no C compiler")
        names = re.findall(r"^} (ssl_\w+);", self.TEXT, re.M)
        self.assertEqual(sorted(names), sorted(_native.STRUCTURES))
        wanted, lines = [], []
        for name, structure in _native.STRUCTURES.items():
            wanted.append("%s %d" % (name, _native.ctypes.sizeof(structure)))
            lines.append('printf("%s %%zu\\n", sizeof(%s));' % (name, name))
            for field, *_ in structure._fields_:
                place = getattr(structure, field)
                wanted.append("%s.%s %d %d" % (name, field, place.offset, place.size))
                lines.append(
                    'printf("%s.%s %%zu %%zu\\n", offsetof(%s, %s), sizeof(((%s *)0)->%s));'
                    % (name, field, name, field, name, field)
                )
        with tempfile.TemporaryDirectory() as folder:
            source = pathlib.Path(folder, "layout.c")
            source.write_text(
                "#include <stdio.h>\n#include <stddef.h>\n#include <sslsock.h>\nint main(void) {%s return 0; }\n" % "".join(lines)
            )
            program = pathlib.Path(folder, "layout")
            subprocess.run(["cc", "-I", str(HEADER.parent), "-o", str(program), str(source)], check=True)
            said = subprocess.run([str(program)], stdout=subprocess.PIPE, universal_newlines=True, check=True).stdout
        self.assertEqual(said.split("\n")[:-1], wanted)

    def test_numbers_of_strings_are_the_library_s(self):
        self.assertEqual(sslsock.error_name(sslsock.SSL_ERR_TRUNCATED), "SSL_ERR_TRUNCATED")
        self.assertIs(sslsock.error_category(sslsock.SSL_ERR_TRUNCATED), sslsock.Category.IO)
        self.assertEqual(sslsock.abi_version(), (0, sslsock.SSL_ABI_VERSION))
        self.assertRegex(sslsock.version(), r"^\d+\.\d+\.\d+$")


class Loading(unittest.TestCase):
    def import_it(self, folder, **environment):
        done = subprocess.run(
            [sys.executable, "-c", "import sslsock; print(sslsock._native.lib._name)"], cwd=str(folder),
            env={"PATH": "/usr/bin:/bin", "PYTHONDONTWRITEBYTECODE": "1", **environment},
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, universal_newlines=True,
        )  # fmt: skip
        return done.returncode, done.stdout.strip(), done.stderr.strip().split("\n")[-1]

    def copy(self, folder):
        return shutil.copytree(str(PACKAGE), str(pathlib.Path(folder, "sslsock")), ignore=shutil.ignore_patterns("*.so*"))

    def test_the_library_beside_the_package_goes_first(self):
        with tempfile.TemporaryDirectory() as folder:
            beside = pathlib.Path(self.copy(folder), LIBRARY.name)
            shutil.copy(str(LIBRARY), str(beside))
            self.assertEqual(self.import_it(folder, LD_LIBRARY_PATH="/nowhere"), (0, str(beside), ""))

    def test_otherwise_the_loader_finds_it(self):
        with tempfile.TemporaryDirectory() as folder:
            self.copy(folder)
            self.assertEqual(self.import_it(folder, LD_LIBRARY_PATH=str(LIBRARY.parent)), (0, LIBRARY.name, ""))

    def test_no_library_is_an_error_that_says_what_to_do(self):
        with tempfile.TemporaryDirectory() as folder:
            self.copy(folder)
            # Where one is installed in the system this cannot be seen.
            status, _, said = self.import_it(folder, LD_LIBRARY_PATH="")
            if status == 0:
                self.skipTest("a library is installed in the system")
            self.assertIn("ImportError: sslsock needs the shared library libsslsock.so.0", said)
            self.assertIn("LD_LIBRARY_PATH", said)

    def test_another_abi_is_refused(self):
        if not shutil.which("cc"):
            self.skipTest("no C compiler")
        ours = sslsock.SSL_ABI_VERSION
        for found, ok in ((0x10000 + ours, False), (ours - 1, False)):
            with tempfile.TemporaryDirectory() as folder:
                beside = pathlib.Path(self.copy(folder), LIBRARY.name)
                source = pathlib.Path(folder, "other.c")
                source.write_text("unsigned ssl_abi_version(void) { return %d; }\n" % found)
                subprocess.run(["cc", "-shared", "-fPIC", "-o", str(beside), str(source)], check=True)
                status, _, said = self.import_it(folder)
                self.assertEqual(status, 1)
                self.assertIn("has version %d.%d of the ABI" % (found >> 16, found & 0xFFFF), said)


class Promises(unittest.TestCase):
    def test_the_ssl_module_is_not_loaded(self):
        source = (
            "import sys, sslsock, socket\nimport sslsock.clients, sslsock.readers\n"
            "assert 'ssl' not in sys.modules and '_ssl' not in sys.modules\n"
            "from support import *\n"
            "with closing(connect()) as sock:\n"
            "    upgraded('echo', sock)\n    sock.sendall(b'x')\n    assert sock.recv(1) == b'x'\n"
            "assert 'ssl' not in sys.modules and '_ssl' not in sys.modules\n"
        )
        done = support.run_python(source)
        self.assertEqual((done.returncode, done.stderr), (0, ""))

    def test_no_source_imports_the_ssl_module(self):
        sources = sorted(PACKAGE.glob("*.py"))
        self.assertGreater(len(sources), 10)
        for source in sources:
            for node in ast.walk(ast.parse(source.read_text())):
                names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
                names += [node.module or ""] if isinstance(node, ast.ImportFrom) and not node.level else []
                self.assertFalse({"ssl", "_ssl"} & {name.split(".")[0] for name in names}, source.name)

    def test_the_syntax_is_that_of_3_8(self):
        for source in PACKAGE.glob("*.py"):
            ast.parse(source.read_text(), feature_version=(3, 8))

    def test_types_are_complete(self):
        tool = self.tool(MYPY)
        # Nothing of what other tests leave behind.
        with tempfile.TemporaryDirectory() as cache:
            done = subprocess.run(
                [tool, "--strict", "--python-version", "3.8", "--cache-dir", cache, str(PACKAGE)], stdout=subprocess.PIPE,
                universal_newlines=True,
            )  # fmt: skip
        self.assertEqual(done.returncode, 0, done.stdout)
        self.assertTrue((PACKAGE / "py.typed").exists())

    def test_a_strict_program_over_it_is_typed(self):
        with tempfile.TemporaryDirectory() as folder:
            program = pathlib.Path(folder, "program.py")
            program.write_text(TYPED)
            done = subprocess.run(
                [self.tool(MYPY), "--strict", "--python-version", "3.8", "--cache-dir", folder, str(program)],
                env={**os.environ, "MYPYPATH": str(SOURCES)}, stdout=subprocess.PIPE, universal_newlines=True,
            )  # fmt: skip
        self.assertEqual(done.returncode, 0, done.stdout)

    def test_nothing_of_a_newer_library_is_used(self):
        done = subprocess.run(
            [self.tool(VERMIN), "-t=3.8-", "--violations", "--no-tips", "--eval-annotations", str(PACKAGE)],
            stdout=subprocess.PIPE, universal_newlines=True,
        )  # fmt: skip
        self.assertEqual(done.returncode, 0, done.stdout)

    def tool(self, requirement):
        """A program of PyPI in an environment of its own, which is kept in build/."""
        name = requirement.split("==")[0]
        folder = support.ROOT / "build" / "test-tools" / ("%s-%d.%d" % (requirement, *sys.version_info[:2]))
        if not (folder / "bin" / name).exists():
            for command in (
                [sys.executable, "-m", "venv", "--clear", str(folder)],
                [str(folder / "bin" / "python"), "-m", "pip", "install", "--quiet", "--disable-pip-version-check", requirement],
            ):
                done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, universal_newlines=True)
                if done.returncode:
                    self.skipTest("%s cannot be installed: %s" % (requirement, done.stdout.strip()[-200:]))
        return str(folder / "bin" / name)
