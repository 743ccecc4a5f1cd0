"""The same tests under the other versions of Python that are here."""

import os
import pathlib
import re
import shutil
import subprocess
import sys
import unittest

OLDEST = (3, 8)
# Named in the environment of such a run, which then runs no others.
INSIDE = "SSLSOCK_TEST_OTHER_PYTHON"


def others():
    """Version and interpreter of each, but this one."""
    found = {}
    places = [*pathlib.Path.home().glob(".pyenv/versions/3.*/bin/python3"), *pathlib.Path("/usr/bin").glob("python3.*")]
    places += [pathlib.Path(path) for path in (shutil.which("python3.%d" % minor) for minor in range(8, 20)) if path]
    for place in places:
        if "shims" in place.parts or place.name.endswith("-config"):
            continue
        done = subprocess.run(
            [str(place), "-c", "import sys, ctypes; print(*sys.version_info[:2])"], stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL, universal_newlines=True,
        )  # fmt: skip
        if not done.returncode:
            found.setdefault(tuple(map(int, done.stdout.split())), place)
    found.pop(tuple(sys.version_info[:2]), None)
    return sorted((version, place) for version, place in found.items() if version >= OLDEST)


class Versions(unittest.TestCase):
    def test_other_versions(self):
        if INSIDE in os.environ:
            return
        here = others()
        if not here:
            self.skipTest("there is no other Python of 3.8 or later here")
        if not os.environ.get("SSLSOCK_LONG"):
            here = [here[0], here[-1]] if len(here) > 1 else here
        running = []
        for version, place in here:
            command = [str(place), str(pathlib.Path(__file__).with_name("unit.py")), *MODULES]
            environment = {**os.environ, INSIDE: "yes", "PYTHONDONTWRITEBYTECODE": "1"}
            running.append((version, subprocess.Popen(
                command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, universal_newlines=True
            )))  # fmt: skip
        for version, process in running:
            said = process.communicate(timeout=300)[0]
            count = re.search(r"^(\d+) passed, 0 failed, (\d+) skipped$", said, re.M)
            self.assertTrue(count and process.returncode == 0, "Python %d.%d:\n%s" % (*version, said[-6000:]))
            self.assertGreater(int(count[1]), 60)


# What depends on the version: the inside of files, streams, clients and hooks.
MODULES = (
    "Look", "Refusal", "Streams", "Loop", "Smtp", "Imap", "Pop3", "Ftp", "Hooks", "Interrupt", "End", "Helper", "Addresses",
    "Files", "Sockets", "Tasks", "Ends", "Judges",
    "IdentitySigners", "IdentityChoices", "AwaitedVerdicts", "MisusedVerdicts", "EndWithoutVerdict", "FtpTlsClient",
    "UpgradedFtp", "Sessions", "ClientCertificates",
)  # fmt: skip
