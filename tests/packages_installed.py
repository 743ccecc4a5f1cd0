#!/usr/bin/env python3
"""The packages as a user has them: installed where the source tree is not, they talk to real servers.

The programs are those of the bindings' READMEs, taken from there, and of examples/. They run in a mount namespace in which
the tree is empty; the servers run outside of it.
"""

import hashlib
import os
import pathlib
import re
import secrets
import shutil
import subprocess
import sys
import tempfile

ROOT = pathlib.Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT / "tests" / folder) for folder in (".", "servers", "dotnet", "python")]

import harness  # noqa: E402
import installation  # noqa: E402
import nuget  # noqa: E402
import runtimes  # noqa: E402
import unit_versions  # noqa: E402
from installation import PACKAGES, only  # noqa: E402

VERSION = re.search(r'^version = "(.+)"$', (ROOT / "Cargo.toml").read_text(), re.M).group(1)
NAME = "mail.test"
LIBRARY = "libsslsock.so.0"
OTHER_ABI = """
unsigned ssl_abi_version(void) { return 7 << 16; }
const char *ssl_version(void) { return "7.0.0"; }
"""
# Prints the assembly and its version, unless it is left alone, then the library's version and where that came from.
WHERE_IS_THE_LIBRARY = """
using System;
using System.IO;
using System.Linq;
using System.Runtime.InteropServices;

class Program
{
    [DllImport("libsslsock.so.0")]
    static extern IntPtr ssl_version();

    static void Main(string[] arguments)
    {
        if (arguments.Length == 0)
            Assembly();
        else
            Console.WriteLine(Marshal.PtrToStringAnsi(ssl_version()));
        var places = File.ReadAllLines("/proc/self/maps").Where(line => line.Contains("libsslsock"));
        foreach (string place in places.Select(line => line.Substring(line.IndexOf('/'))).Distinct())
            Console.WriteLine(place);
    }

    static void Assembly()
    {
        var assembly = typeof(SslSock.SslHelper).Assembly;
        Console.WriteLine("{0} {1}", assembly.Location, assembly.GetName().Version);
        Console.WriteLine(SslSock.SslSocket.Version);
    }
}
"""
# What a project has in it when NuGet has been there; that mscorlib is named is for want of Mono's reference assemblies.
PROJECT = """<?xml version="1.0" encoding="utf-8"?>
<Project DefaultTargets="Build" ToolsVersion="14.0" xmlns="http://schemas.microsoft.com/developer/msbuild/2003">
  <PropertyGroup>
    <OutputType>Exe</OutputType>
    <AssemblyName>program</AssemblyName>
    <TargetFrameworkVersion>v4.5</TargetFrameworkVersion>
    <OutputPath>bin/</OutputPath>
  </PropertyGroup>
  <ItemGroup>
    <Compile Include="program.cs" />
    <Reference Include="mscorlib"><HintPath>/usr/lib/mono/4.5/mscorlib.dll</HintPath></Reference>
    <Reference Include="System.Core"><HintPath>/usr/lib/mono/4.5/System.Core.dll</HintPath></Reference>
    <Reference Include="SslSock"><HintPath>{package}/lib/net45/SslSock.dll</HintPath></Reference>
  </ItemGroup>
  <Import Project="$(MSBuildBinPath)/Microsoft.CSharp.targets" />
  <Import Project="{package}/build/net45/SslSock.targets" />
</Project>
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

    def key_digest(self):
        certificate = pathlib.Path(self.launched["SSLSOCK_PKI"], "server.pem")
        key = subprocess.run(["openssl", "x509", "-in", certificate, "-noout", "-pubkey"], capture_output=True, check=True)
        command = ["openssl", "pkey", "-pubin", "-outform", "DER"]
        der = subprocess.run(command, input=key.stdout, capture_output=True, check=True).stdout
        return hashlib.sha256(der).hexdigest().upper()

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

    def run_python(self, program, *arguments, python=None):
        path = self.machine.folder / "program.py"
        path.write_text(program)
        return self.machine.run(python or self.python, "-W", "error", path, *arguments)

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
    servers = ("exim", "nginx", "vsftpd")

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
            (self.port("SSLSOCK_VSFTPD_FTP"), self.authority, " upload"),
            (self.port("SSLSOCK_NGINX_HTTPS"), self.fingerprint(), f"connected to {NAME}"),
        ]
        found = programs("bindings/python/README.md", "python")
        self.assertEqual(len(found), len(arguments))
        for program, (port, last, output) in zip(found, arguments):
            with self.subTest(program):
                done = self.run_python(program, NAME, port, last)
                self.assert_success(done)
                self.assertIn(output, done.stdout)

    def test_the_oldest_and_the_newest_python_here_take_it(self):
        others = unit_versions.others()
        if not others:
            self.skipTest("there is no other Python of 3.8 or later here")
        program = programs("bindings/python/README.md", "python")[1]
        for version, interpreter in (others[0], others[-1]):
            with self.subTest(version):
                python = self.machine.virtual_environment("python{}.{}".format(*version), interpreter)
                self.assert_success(self.machine.pip_install(python, "--no-index", only(PACKAGES, "*.whl")))
                done = self.run_python(program, NAME, self.port("SSLSOCK_EXIM_SMTP"), self.authority, python=python)
                self.assert_success(done)
                self.assertIn("250 ", done.stdout)

    def test_every_example_runs(self):
        sender, file = f"{secrets.token_hex(8)}@client.test", secrets.token_hex(8)
        pathlib.Path(self.launched["SSLSOCK_VSFTPD_ROOT"], file).touch()
        mail = ("--mail", sender, "b@mail.test")
        arguments = {
            "ftps.py": (file, "--trust", self.authority, NAME, self.port("SSLSOCK_VSFTPD_FTP"), "list"),
            "smtp_starttls.py": ("success: TLSv1.3", NAME, self.port("SSLSOCK_EXIM_SMTP"), self.authority, *mail),
        }
        examples = {path.name: path.read_text() for path in (ROOT / "examples" / "python").glob("*.py")}
        self.assertEqual(set(examples), set(arguments))
        for name, (output, *words) in arguments.items():
            with self.subTest(name):
                done = self.run_python(examples[name], *words)
                self.assert_success(done)
                self.assertIn(output, done.stdout)

    def test_the_readmes_hook_refuses_another_certificate(self):
        program = programs("bindings/python/README.md", "python")[-1]
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
    """CoreCLR's programs find assembly and library in the packages folder, Mono's have both beside them."""

    kind = "nupkg"
    servers = ("exim", "nginx", "vsftpd")

    @classmethod
    def install(cls):
        runtimes.runtime("mono")
        runtimes.runtime("coreclr")
        cls.packages = cls.machine.home / ".nuget" / "packages"
        cls.package = nuget.restore(PACKAGES / f"SslSock.{VERSION}.nupkg", cls.packages, "SslSock", VERSION)
        cls.dotnet = cls.machine.bind(runtimes.CORECLR, "dotnet")
        cls.compiled = {}

    def compile(self, source):
        """The program, compiled against the package's assembly; once for all tests."""
        if source not in self.compiled:
            folder = pathlib.Path(tempfile.mkdtemp(dir=self.machine.folder))
            (folder / "program.cs").write_text(source)
            reference = self.package / "lib" / "net45" / "SslSock.dll"
            # What the examples have from the article is not all used.
            self.compiled[source] = runtimes.compile(
                [folder / "program.cs"], [reference], folder / "program.exe", ["-nowarn:219,642"]
            )
        return self.compiled[source]

    def run_on_coreclr(self, source, *arguments, packages=None):
        """As `dotnet run` does with a program that was built with a reference to the package."""
        compiled = self.compile(source)
        program = compiled.parent / "coreclr" / "program.dll"
        program.parent.mkdir(exist_ok=True)
        shutil.copy(compiled, program)
        nuget.write_dependencies(program, ("SslSock", VERSION), self.package, "netcoreapp3.1")
        return self.run_host("--additionalprobingpath", packages or self.packages, program, *arguments)

    def run_host(self, *arguments):
        variables = {
            "DOTNET_ROOT": str(self.dotnet),
            "DOTNET_MULTILEVEL_LOOKUP": "0",
            # It would leave its sockets in /tmp.
            "COMPlus_EnableDiagnostics": "0",
        }
        return self.machine.run(self.dotnet / "dotnet", "exec", *arguments, variables=variables)

    def run_on_mono(self, source, *arguments, folder="mono", library=None):
        """As a build for .NET Framework leaves a program; `library` takes the place of the package's."""
        compiled = self.compile(source)
        folder = compiled.parent / folder
        folder.mkdir(exist_ok=True)
        shutil.copy(compiled, folder)
        shutil.copy(self.package / "lib" / "net45" / "SslSock.dll", folder)
        shutil.copy(library or self.native, folder / LIBRARY)
        return self.machine.run("mono", folder / "program.exe", *arguments)

    @property
    def native(self):
        return only(self.package, f"runtimes/*/native/{LIBRARY}")

    def on_both(self):
        """Name of the runtime, and the function that runs a program on it."""
        yield from (("CoreCLR", self.run_on_coreclr), ("Mono", self.run_on_mono))

    def test_the_host_finds_the_library_in_the_package(self):
        self.assert_the_tree_is_hidden()
        # With an import of its own, so that the assembly has no part in it.
        done = self.run_on_coreclr(WHERE_IS_THE_LIBRARY, "alone")
        self.assert_success(done)
        self.assertEqual(done.stdout.splitlines(), [VERSION, str(self.native)])

    def test_it_is_the_installed_one_with_its_own_library(self):
        self.assert_the_tree_is_hidden()
        done = self.run_on_coreclr(WHERE_IS_THE_LIBRARY)
        self.assert_success(done)
        assembly = self.package / "lib" / "netcoreapp3.1" / "SslSock.dll"
        self.assertEqual(done.stdout.splitlines(), [f"{assembly} {VERSION}.0", VERSION, str(self.native)])
        done = self.run_on_mono(WHERE_IS_THE_LIBRARY)
        self.assert_success(done)
        folder = self.compile(WHERE_IS_THE_LIBRARY).parent / "mono"
        self.assertEqual(done.stdout.splitlines(), [f"{folder}/SslSock.dll {VERSION}.0", VERSION, f"{folder}/{LIBRARY}"])

    def test_every_program_of_the_readme_runs(self):
        arguments = [
            (self.port("SSLSOCK_EXIM_SMTP"), self.authority, "250 "),
            (self.port("SSLSOCK_NGINX_HTTPS"), self.key_digest(), f"connected to {NAME}"),
            (self.port("SSLSOCK_NGINX_HTTPS"), self.authority, "HTTP/1.1 200 OK"),
            (self.port("SSLSOCK_VSFTPD_FTP"), self.authority, "resumed: True"),
        ]
        found = programs("bindings/dotnet/README.md", "csharp")
        self.assertEqual(len(found), len(arguments))
        for program, (port, last, output) in zip(found, arguments):
            for name, run in self.on_both():
                with self.subTest(name, program=program):
                    done = run(program, NAME, port, last)
                    self.assert_success(done)
                    self.assertIn(output, done.stdout)

    def test_every_example_runs(self):
        arguments = {
            "ftps": (("--trust", self.authority, NAME, self.port("SSLSOCK_VSFTPD_FTP"), "list"), "resumed: yes\n"),
            "smtp_starttls": ((NAME, self.port("SSLSOCK_EXIM_SMTP"), self.authority), "success\n"),
        }
        examples = {path.stem: path.read_text() for path in (ROOT / "examples" / "dotnet").glob("*.cs")}
        self.assertEqual(set(examples), set(arguments))
        for example, (words, output) in arguments.items():
            for name, run in self.on_both():
                with self.subTest(name, example=example):
                    done = run(examples[example], *words)
                    self.assert_success(done)
                    self.assertIn(output, done.stdout)

    def test_the_readmes_hook_refuses_another_certificate(self):
        program = programs("bindings/dotnet/README.md", "csharp")[1]
        for name, run in self.on_both():
            with self.subTest(name):
                done = run(program, NAME, self.port("SSLSOCK_NGINX_HTTPS"), "00" * 32)
                self.assertNotEqual(done.returncode, 0, done.stdout)
                self.assertIn("SslSocketException", done.stdout + done.stderr)
                self.assertNotIn("connected", done.stdout)

    def test_a_published_program_needs_no_packages_folder(self):
        self.run_on_coreclr(WHERE_IS_THE_LIBRARY)
        published = self.machine.folder / "published"
        shutil.copytree(self.compile(WHERE_IS_THE_LIBRARY).parent / "coreclr", published)
        shutil.copy(self.package / "lib" / "netcoreapp3.1" / "SslSock.dll", published)
        shutil.copytree(self.package / "runtimes", published / "runtimes")
        # Again with the assembly alone in charge of finding the library.
        for description in (True, False):
            if not description:
                (published / "program.deps.json").unlink()
            done = self.run_host(published / "program.dll")
            self.assert_success(done)
            library = str(self.native).replace(str(self.package), str(published))
            self.assertEqual(done.stdout.splitlines()[1:], [VERSION, library])

    def test_a_build_for_mono_puts_the_library_beside_its_program(self):
        if not shutil.which("xbuild"):
            (self.fail if os.environ.get("CI") else self.skipTest)("no xbuild: install the package mono-xbuild")
        folder = self.machine.folder / "project"
        folder.mkdir()
        (folder / "program.cs").write_text(WHERE_IS_THE_LIBRARY)
        (folder / "program.csproj").write_text(PROJECT.format(package=self.package))
        self.assert_success(self.machine.run("xbuild", "/nologo", "/verbosity:minimal", folder / "program.csproj"))
        done = self.machine.run("mono", folder / "bin" / "program.exe")
        self.assert_success(done)
        self.assertEqual(done.stdout.splitlines()[1:], [VERSION, f"{folder}/bin/{LIBRARY}"])

    def test_without_the_library_it_says_what_to_do(self):
        self.skip_if_the_system_has_the_library()
        packages = self.copy_of_the_packages("packages-without")
        only(packages, f"sslsock/*/runtimes/*/native/{LIBRARY}").unlink()
        # The host itself refuses to start without a file that the build has promised.
        done = self.run_on_coreclr(WHERE_IS_THE_LIBRARY, packages=packages)
        self.assertNotEqual(done.returncode, 0, done.stdout)
        self.assertIn(LIBRARY, done.stdout + done.stderr)
        # Without the promise, and on Mono, it is the assembly that finds nothing.
        self.run_on_mono(WHERE_IS_THE_LIBRARY, folder="without")
        folder = self.compile(WHERE_IS_THE_LIBRARY).parent / "without"
        (folder / LIBRARY).unlink()
        shutil.copy(folder / "program.exe", folder / "program.dll")
        shutil.copy(folder.parent / "coreclr" / "program.runtimeconfig.json", folder)
        for name, done in (
            ("Mono", self.machine.run("mono", folder / "program.exe")),
            ("CoreCLR", self.run_host(folder / "program.dll")),
        ):
            with self.subTest(name):
                self.assertNotEqual(done.returncode, 0, done.stdout)
                for words in ("DllNotFoundException", LIBRARY, "Put it beside SslSock.dll", "LD_LIBRARY_PATH"):
                    self.assertIn(words, done.stdout + done.stderr)

    def test_a_library_with_another_abi_is_refused(self):
        packages = self.copy_of_the_packages("packages-other-abi")
        library = only(packages, f"sslsock/*/runtimes/*/native/{LIBRARY}")
        self.make_other_abi(library)
        for name, done in (
            ("Mono", self.run_on_mono(WHERE_IS_THE_LIBRARY, folder="other-abi", library=library)),
            ("CoreCLR", self.run_on_coreclr(WHERE_IS_THE_LIBRARY, packages=packages)),
        ):
            with self.subTest(name):
                self.assertNotEqual(done.returncode, 0, done.stdout)
                for words in ("DllNotFoundException", "sslsock 7.0.0 with ABI 7.0", "Install the two of one release"):
                    self.assertIn(words, done.stdout + done.stderr)

    def copy_of_the_packages(self, name):
        packages = self.machine.folder / name
        shutil.copytree(self.packages, packages)
        return packages


if __name__ == "__main__":
    harness.run_and_count()
