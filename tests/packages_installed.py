#!/usr/bin/env python3
"""The packages as a user has them: installed where the source tree is not, they talk to real servers.

The programs are those of the bindings' READMEs, taken from there, and of examples/. They run in a mount namespace in which
the tree is empty; the servers run outside of it.
"""

import os
import pathlib
import re
import shutil
import subprocess
import sys
import unittest

ROOT = pathlib.Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT / "tests"), str(ROOT / "tests" / "servers"), str(ROOT / "tests" / "dotnet")]

import harness  # noqa: E402
import installation  # noqa: E402
import nuget  # noqa: E402
import runtimes  # noqa: E402
from installation import PACKAGES, only  # noqa: E402

VERSION = re.search(r'^version = "(.+)"$', (ROOT / "Cargo.toml").read_text(), re.M).group(1)
NAME = "mail.test"
LIBRARY = "libsslsock.so.0"
OTHER_ABI = """
unsigned ssl_abi_version(void) { return 7 << 16; }
const char *ssl_version(void) { return "7.0.0"; }
"""


def programs(readme, language):
    """The programs in a README, in their order."""
    return re.findall(rf"^```{language}\n(.*?)^```$", (ROOT / readme).read_text(), re.M | re.S)


class InstalledTest(harness.ServerTest):
    """Has a machine with one kind of package, and servers outside of it."""

    kind = None
    servers = ("exim", "nginx")

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.machine = installation.Machine()
        cls.addClassCleanup(cls.machine.close)
        if cls.lacking:
            return
        shutil.copy(pathlib.Path(cls.launched["SSLSOCK_PKI"], "ca.pem"), cls.machine.folder)
        try:
            installation.check_namespaces()
            installation.make_packages(cls.kind)
            cls.install()
        except (installation.Lacking, runtimes.Lacking) as why:
            cls.lacking = str(why)

    @classmethod
    def install(cls):
        raise NotImplementedError

    @property
    def authority(self):
        return self.machine.folder / "ca.pem"

    def port(self, server):
        return self.launched.address(server)[1]

    def fingerprint(self):
        certificate = pathlib.Path(self.launched["SSLSOCK_PKI"], "server.pem")
        command = ["openssl", "x509", "-in", certificate, "-noout", "-fingerprint", "-sha256"]
        done = subprocess.run(command, capture_output=True, text=True, check=True)
        return done.stdout.strip().partition("=")[2].replace(":", "").lower()

    def assert_success(self, done):
        self.assertEqual(done.returncode, 0, f"{done.stdout}{done.stderr}")

    def skip_if_the_system_has_the_library(self):
        found = subprocess.run(["ldconfig", "-p"], capture_output=True, text=True)
        if LIBRARY in found.stdout:
            (self.fail if os.environ.get("CI") else self.skipTest)(f"{LIBRARY} is installed on this machine")

    def make_other_abi(self, path):
        source = self.machine.folder / "other.c"
        source.write_text(OTHER_ABI)
        subprocess.run(["cc", "-shared", "-fPIC", f"-Wl,-soname,{LIBRARY}", "-o", path, source], check=True)

    def assert_the_tree_is_hidden(self):
        done = self.machine.run("ls", "-A", ROOT)
        self.assertEqual((done.returncode, done.stdout), (0, ""))


class Python(InstalledTest):
    @property
    def package(self):
        return only(self.python.parent.parent, "lib/python*/site-packages/sslsock")

    def run_python(self, program, *arguments):
        path = self.machine.folder / "program.py"
        path.write_text(program)
        return self.machine.run(self.python, "-W", "error", path, *arguments)

    def assert_mail_by_quick_start(self, token):
        program = programs("bindings/python/README.md", "python")[0]
        self.assertEqual(program.count("It came under TLS."), 1)
        done = self.run_python(
            program.replace("It came under TLS.", token), NAME, self.port("SSLSOCK_EXIM_SMTP"), self.authority
        )
        self.assert_success(done)
        self.assertEqual(done.stdout, "sent\n")
        self.assertIsNotNone(self.find_in_spool(token), "the mail is not in the spool")


class Wheel(Python):
    kind = "wheel"

    @classmethod
    def install(cls):
        cls.python = cls.machine.virtual_environment("wheel")
        done = cls.machine.pip_install(cls.python, "--no-index", only(PACKAGES, "*.whl"))
        if done.returncode:
            raise RuntimeError(done.stderr)

    def test_it_is_the_installed_one_with_its_own_library(self):
        self.assert_the_tree_is_hidden()
        done = self.run_python(
            "import sslsock\n"
            "print(sslsock.__file__, sslsock.__version__, sslsock.version(), sep='\\n')\n"
            "print({line.split()[-1] for line in open('/proc/self/maps') if 'libsslsock' in line})\n"
        )
        self.assert_success(done)
        self.assertEqual(
            done.stdout.splitlines(),
            [str(self.package / "__init__.py"), VERSION, VERSION, str({str(self.package / LIBRARY)})],
        )

    def test_quick_start(self):
        self.assert_mail_by_quick_start("a mail from the wheel")

    def test_every_program_of_the_readme_runs(self):
        arguments = [
            (self.port("SSLSOCK_EXIM_SMTP"), self.authority, "sent"),
            (self.port("SSLSOCK_EXIM_SMTP"), self.authority, "250 "),
            (self.port("SSLSOCK_NGINX_HTTPS"), self.fingerprint(), f"connected to {NAME}"),
        ]
        found = programs("bindings/python/README.md", "python")
        self.assertEqual(len(found), len(arguments))
        for program, (port, last, output) in zip(found, arguments):
            with self.subTest(program):
                done = self.run_python(program, NAME, port, last)
                self.assert_success(done)
                self.assertIn(output, done.stdout)

    def test_the_readmes_hook_refuses_another_certificate(self):
        program = programs("bindings/python/README.md", "python")[2]
        done = self.run_python(program, NAME, self.port("SSLSOCK_NGINX_HTTPS"), "0" * 64)
        self.assertEqual(done.returncode, 1, done.stdout)
        self.assertIn("SslCertificateError: SSL_ERR_CERT_UNKNOWN", done.stderr)

    def test_without_the_library_the_import_says_what_to_do(self):
        self.skip_if_the_system_has_the_library()
        folder = self.copy_of_the_package("without")
        (folder / "sslsock" / LIBRARY).unlink()
        done = self.import_from(folder)
        self.assertEqual(done.returncode, 1, done.stdout)
        for words in ("ImportError", LIBRARY, "LD_LIBRARY_PATH", str(folder / "sslsock")):
            self.assertIn(words, done.stderr)

    def test_a_library_with_another_abi_is_refused(self):
        folder = self.copy_of_the_package("other-abi")
        library = folder / "sslsock" / LIBRARY
        library.unlink()
        self.make_other_abi(library)
        done = self.import_from(folder)
        self.assertEqual(done.returncode, 1, done.stdout)
        for words in ("ImportError", "7.0", str(library)):
            self.assertIn(words, done.stderr)

    def copy_of_the_package(self, name):
        folder = self.machine.folder / name
        shutil.copytree(self.package, folder / "sslsock")
        return folder

    def import_from(self, folder):
        return self.run_python(f"import sys\nsys.path.insert(0, {str(folder)!r})\nimport sslsock\n")


class SourceDistribution(Python):
    kind = "sdist"
    servers = ("exim",)

    @classmethod
    def install(cls):
        if not shutil.which("cargo"):
            raise installation.Lacking("no cargo: install Rust")
        cls.python = cls.machine.virtual_environment("sdist")
        # The crates that it depends on have been compiled already; the package's own sources have not, for cargo.
        target = cls.machine.folder / "target" / "release"
        shutil.copytree(
            ROOT / "target" / "release", target, symlinks=True,
            ignore=shutil.ignore_patterns("*sslsock*", "examples", "incremental"),
        )  # fmt: skip
        cls.installed = cls.machine.pip_install(
            cls.python, only(PACKAGES, "*.tar.gz"), variables={"CARGO_TARGET_DIR": str(target.parent)}
        )

    def test_pip_builds_and_installs_it_and_it_sends_a_mail(self):
        self.assert_success(self.installed)
        self.assert_the_tree_is_hidden()
        self.assert_mail_by_quick_start("a mail from the sdist")

    def test_the_library_is_the_very_one_that_the_tree_builds(self):
        self.assert_success(self.installed)
        self.assertEqual((self.package / LIBRARY).read_bytes(), (ROOT / "target/release/libsslsock.so").read_bytes())

    def test_without_cargo_it_says_what_it_needs(self):
        tools = self.machine.folder / "tools"
        tools.mkdir()
        for name in ("cc", "ld"):
            (tools / name).symlink_to(shutil.which(name))
        done = self.machine.pip_install(
            self.python, "--force-reinstall", only(PACKAGES, "*.tar.gz"), variables={"PATH": str(tools), "CARGO": ""}
        )
        self.assertNotEqual(done.returncode, 0)
        self.assertIn("there is no cargo", done.stderr)
        self.assertRegex(done.stderr, r"Install Rust 1\.\d+ or newer")


class NuGetPackage(InstalledTest):
    """Mono's programs have assembly and library beside them, CoreCLR's find both in the packages folder."""

    kind = "nupkg"

    @classmethod
    def install(cls):
        runtimes.runtime("mono")
        runtimes.runtime("coreclr")
        cls.packages = cls.machine.home / ".nuget" / "packages"
        cls.package = nuget.restore(PACKAGES / f"SslSock.{VERSION}.nupkg", cls.packages, "SslSock", VERSION)
        cls.dotnet = cls.machine.bind(runtimes.CORECLR, "dotnet")
        cls.compiled = {}

    def compile(self, name, source):
        """The program, compiled against the package's assembly; once for all tests."""
        if name not in self.compiled:
            folder = self.machine.folder / "compiled" / name
            folder.mkdir(parents=True)
            (folder / f"{name}.cs").write_text(source)
            reference = self.package / "lib" / "net45" / "SslSock.dll"
            self.compiled[name] = runtimes.compile([folder / f"{name}.cs"], [reference], folder / f"{name}.exe")
        return self.compiled[name]


if __name__ == "__main__":
    harness.run_and_count()
