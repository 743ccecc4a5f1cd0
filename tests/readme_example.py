#!/usr/bin/env python3
"""The README's C example is examples/readme.c, and compiles without a warning."""

import os
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile
import unittest

ROOT = pathlib.Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "tests" / "servers"))

import harness  # noqa: E402

EXAMPLE = ROOT / "examples" / "readme.c"
FLAGS = ["-std=c99", "-Wall", "-Wextra", "-Wpedantic", "-Werror"]


class Readme(unittest.TestCase):
    def test_example_is_the_file(self):
        blocks = re.findall(r"^```c\n(.*?)^```$", (ROOT / "README.md").read_text(), re.M | re.S)
        self.assertEqual(blocks, [EXAMPLE.read_text()])

    def test_example_compiles(self):
        compiler = os.environ.get("CC") or "cc"
        if not shutil.which(compiler):
            if os.environ.get("CI"):
                self.fail(f"there is no {compiler}")
            self.skipTest(f"skipped: there is no {compiler}")
        with tempfile.TemporaryDirectory() as folder:
            command = [compiler, *FLAGS, f"-I{ROOT / 'include'}", "-c", EXAMPLE, "-o", f"{folder}/readme.o"]
            done = subprocess.run(command, capture_output=True, text=True)
        self.assertEqual(done.returncode, 0, done.stderr)


if __name__ == "__main__":
    harness.run_and_count()
