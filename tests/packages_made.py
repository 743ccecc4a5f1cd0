#!/usr/bin/env python3
"""The packages as files: what is in them, which systems they say they are for, and that they can be made again."""

import email
import hashlib
import os
import pathlib
import re
import shutil
import subprocess
import sys
import tarfile
import tempfile
import time
import unittest
import xml.etree.ElementTree
import zipfile

ROOT = pathlib.Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT / "tests"), str(ROOT / "tests" / "servers")]

import harness  # noqa: E402
import installation  # noqa: E402
from installation import PACKAGES, TOOLS  # noqa: E402

VERSION = re.search(r'^version = "(.+)"$', (ROOT / "Cargo.toml").read_text(), re.M).group(1)
PYTHON_SOURCES = ROOT / "bindings" / "python" / "src"
LIBRARY = "libsslsock.so.0"
# Of package.py, if SOURCE_DATE_EPOCH says nothing else.
FIXED_TIME = (2020, 2, 2, 0, 0, 0)
LICENCES = ("LICENSE-MIT", "LICENSE-APACHE")
OPC = "{http://schemas.openxmlformats.org/package/2006/%s}"
NUSPEC = "{http://schemas.microsoft.com/packaging/2013/05/nuspec.xsd}"


def run(*command, **options):
    done = subprocess.run([str(word) for word in command], capture_output=True, text=True, timeout=600, **options)
    return done.returncode, done.stdout + done.stderr


class PackageTest(unittest.TestCase):
    """A test of one kind of package, which is made first."""

    kind = None

    @classmethod
    def setUpClass(cls):
        cls.lacking = None
        try:
            installation.make_packages(cls.kind)
        except installation.Lacking as why:
            cls.lacking = str(why)
        cls.folder = pathlib.Path(tempfile.mkdtemp(prefix="packages-"))
        cls.addClassCleanup(shutil.rmtree, cls.folder)

    def setUp(self):
        if self.lacking and os.environ.get("CI"):
            self.fail(self.lacking)
        if self.lacking:
            self.skipTest(self.lacking)

    def need(self, tool):
        if not shutil.which(tool):
            (self.fail if os.environ.get("CI") else self.skipTest)(f"there is no {tool}")

    def assert_made_again_the_same(self, pattern, times):
        """By somebody with another umask, in another folder; and no time in it is the one at which it was made."""
        self.assertEqual(times, {FIXED_TIME})
        out = self.folder / "again"
        installation.make_packages(self.kind, out=out, umask=0o077)
        first, second = installation.only(PACKAGES, pattern), installation.only(out, pattern)
        self.assertEqual(hashlib.sha256(first.read_bytes()).digest(), hashlib.sha256(second.read_bytes()).digest())


class Wheel(PackageTest):
    kind = "wheel"

    @property
    def path(self):
        return installation.only(PACKAGES, "*.whl")

    @property
    def tag(self):
        return self.path.stem.split("-")[-1]

    def unpacked(self):
        folder = self.folder / "wheel"
        with zipfile.ZipFile(self.path) as archive:
            archive.extractall(folder)
        return folder

    def read(self, name):
        with zipfile.ZipFile(self.path) as archive:
            return archive.read(name)

    def test_name_and_tag_are_those_of_the_metadata(self):
        self.assertEqual(self.path.name, f"sslsock-{VERSION}-py3-none-{self.tag}.whl")
        wheel = email.message_from_bytes(self.read(f"sslsock-{VERSION}.dist-info/WHEEL"))
        self.assertEqual(wheel.get_all("Tag"), [f"py3-none-{self.tag}"])
        self.assertEqual(wheel["Root-Is-Purelib"], "false")

    def test_it_holds_the_package_the_library_and_the_licences(self):
        sources = {str(path.relative_to(PYTHON_SOURCES)) for path in (PYTHON_SOURCES / "sslsock").rglob("*") if path.is_file()}
        sources = {name for name in sources if "__pycache__" not in name and not name.endswith(LIBRARY)}
        self.assertIn("sslsock/__init__.py", sources)
        self.assertIn("sslsock/py.typed", sources)
        information = f"sslsock-{VERSION}.dist-info"
        meta = {f"{information}/{name}" for name in ("METADATA", "WHEEL", "RECORD", *(f"licenses/{name}" for name in LICENCES))}
        with zipfile.ZipFile(self.path) as archive:
            self.assertEqual(set(archive.namelist()), sources | meta | {f"sslsock/{LIBRARY}"})
        for name in LICENCES:
            self.assertEqual(self.read(f"{information}/licenses/{name}"), (ROOT / name).read_bytes())

    def test_metadata(self):
        metadata = email.message_from_bytes(self.read(f"sslsock-{VERSION}.dist-info/METADATA"))
        self.assertEqual((metadata["Name"], metadata["Version"]), ("sslsock", VERSION))
        self.assertEqual(metadata["License-Expression"], "MIT OR Apache-2.0")
        self.assertEqual(metadata["Requires-Python"].replace(" ", ""), ">=3.8")
        self.assertIsNone(metadata.get_all("Requires-Dist"))
        self.assertEqual(metadata["Description-Content-Type"], "text/markdown")
        self.assertEqual(metadata.get_payload().strip(), (ROOT / "bindings/python/README.md").read_text().strip())

    def test_the_library_is_the_one_built_and_has_no_debug_information(self):
        self.assertEqual(self.read(f"sslsock/{LIBRARY}"), (ROOT / "target/release/libsslsock.so").read_bytes())
        self.need("readelf")
        _, sections = run("readelf", "--wide", "--sections", self.unpacked() / "sslsock" / LIBRARY)
        self.assertIn(".text", sections)
        self.assertNotIn(".debug", sections)

    def test_the_tag_is_the_newest_glibc_that_the_library_needs(self):
        self.need("objdump")
        library = self.unpacked() / "sslsock" / LIBRARY
        _, symbols = run("objdump", "-T", library)
        versions = {tuple(map(int, found)) for found in re.findall(r"\bGLIBC_(\d+)\.(\d+)", symbols)}
        _, header = run("readelf", "--file-header", library)
        machine = {"X86-64": "x86_64", "AArch64": "aarch64"}[re.search(r"Machine:.*(X86-64|AArch64)", header).group(1)]
        self.assertEqual(self.tag, "manylinux_{}_{}_{}".format(*max(versions), machine))

    def test_auditwheel_agrees_with_the_tag(self):
        status, output = run(TOOLS / "bin/python", "-m", "auditwheel", "show", self.path)
        self.assertEqual(status, 0, output)
        self.assertIn(f'is consistent with the following platform tag: "{self.tag}"', " ".join(output.split()))

    def test_pip_takes_it_for_its_platform_and_refuses_others(self):
        glibc, machine = re.fullmatch(r"manylinux_2_(\d+)_(\w+)", self.tag).groups()
        other = "aarch64" if machine == "x86_64" else "x86_64"
        for platform, taken in (
            (self.tag, True),
            (f"manylinux_2_{int(glibc) - 1}_{machine}", False),
            (f"manylinux_2_{glibc}_{other}", False),
            (f"musllinux_1_2_{machine}", False),
            ("macosx_14_0_arm64", False),
            ("win_amd64", False),
        ):
            status, output = run(
                TOOLS / "bin/python", "-m", "pip", "download", "--quiet", "--no-index", "--no-deps", "--only-binary", ":all:",
                "--find-links", PACKAGES, "--dest", self.folder, "--platform", platform, f"sslsock=={VERSION}",
            )  # fmt: skip
            with self.subTest(platform):
                self.assertEqual(status == 0, taken, output)
                if not taken:
                    self.assertIn("No matching distribution found", output)

    def test_made_again_it_is_the_same(self):
        with zipfile.ZipFile(self.path) as archive:
            times = {entry.date_time for entry in archive.infolist()}
        self.assert_made_again_the_same("*.whl", times)


class SourceDistribution(PackageTest):
    kind = "sdist"

    def members(self):
        with tarfile.open(installation.only(PACKAGES, "*.tar.gz")) as archive:
            return archive.getmembers()

    def names(self):
        members = self.members()
        for member in members:
            self.assertTrue(member.isfile(), f"{member.name} is no plain file")
        return {member.name.partition("/")[2] for member in members}

    def test_it_holds_what_the_build_needs(self):
        names = self.names()
        sources = {f"rust/{path.relative_to(ROOT)}" for path in (ROOT / "src").rglob("*.rs")}
        sources |= {f"src/{path.relative_to(PYTHON_SOURCES)}" for path in PYTHON_SOURCES.rglob("*.py")}
        wanted = {"PKG-INFO", "README.md", "hatch_build.py", "pyproject.toml", *LICENCES}
        wanted |= {f"rust/{name}" for name in ("Cargo.toml", "Cargo.lock", "build.rs")}
        self.assertEqual((sources | wanted) - names, set())
        strange = {name for name in names if re.search(r"(^|/)(target|build|__pycache__)/|\.so", name)}
        self.assertEqual(strange, set())

    def test_made_again_it_is_the_same(self):
        self.assert_made_again_the_same("*.tar.gz", {time.gmtime(member.mtime)[:6] for member in self.members()})


class NuGetPackage(PackageTest):
    kind = "nupkg"

    def archive(self):
        archive = zipfile.ZipFile(PACKAGES / f"SslSock.{VERSION}.nupkg")
        self.addCleanup(archive.close)
        return archive

    def test_it_is_a_package_by_the_packaging_conventions(self):
        archive = self.archive()
        self.assertIsNone(archive.testzip())
        relations = xml.etree.ElementTree.fromstring(archive.read("_rels/.rels"))
        (manifest,) = relations.findall(OPC % "relationships" + "Relationship")
        self.assertEqual(manifest.get("Type"), "http://schemas.microsoft.com/packaging/2010/07/manifest")
        self.assertEqual(manifest.get("Target"), "/SslSock.nuspec")
        types = xml.etree.ElementTree.fromstring(archive.read("[Content_Types].xml"))
        typed = {entry.get("Extension") for entry in types.findall(OPC % "content-types" + "Default")}
        self.assertEqual({name.rpartition(".")[2] for name in archive.namelist() if name != "[Content_Types].xml"}, typed)

    def test_manifest(self):
        archive = self.archive()
        metadata = xml.etree.ElementTree.fromstring(archive.read("SslSock.nuspec")).find(NUSPEC + "metadata")
        values = {entry.tag.replace(NUSPEC, ""): entry for entry in metadata}
        self.assertEqual((values["id"].text, values["version"].text), ("SslSock", VERSION))
        self.assertEqual((values["license"].get("type"), values["license"].text), ("expression", "MIT OR Apache-2.0"))
        self.assertEqual(archive.read(values["readme"].text), (ROOT / "bindings/dotnet/README.md").read_bytes())
        groups = {group.get("targetFramework") for group in values["dependencies"]}
        self.assertEqual(groups, {".NETFramework4.5", ".NETCoreApp3.1"})

    def test_it_holds_assembly_documentation_library_and_licences(self):
        archive = self.archive()
        assembly = (ROOT / "build/dotnet/SslSock.dll").read_bytes()
        for framework in ("net45", "netcoreapp3.1"):
            self.assertEqual(archive.read(f"lib/{framework}/SslSock.dll"), assembly)
            documentation = xml.etree.ElementTree.fromstring(archive.read(f"lib/{framework}/SslSock.xml"))
            members = {member.get("name") for member in documentation.iter("member")}
            self.assertIn("T:SslSock.SslHelper", members)
        (native,) = [name for name in archive.namelist() if name.startswith("runtimes/")]
        self.assertRegex(native, r"^runtimes/linux-(x64|arm64)/native/libsslsock\.so\.0$")
        self.assertEqual(archive.read(native), (ROOT / "build/lib" / LIBRARY).read_bytes())
        for name in LICENCES:
            self.assertEqual(archive.read(f"{name}.txt"), (ROOT / name).read_bytes())

    def test_made_again_it_is_the_same(self):
        self.assert_made_again_the_same("*.nupkg", {entry.date_time for entry in self.archive().infolist()})


if __name__ == "__main__":
    harness.run_and_count()
