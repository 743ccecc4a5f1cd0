#!/usr/bin/env python3
"""The README's C examples are those of examples/readme*.c, and compile without a warning."""

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

EXAMPLES = [ROOT / "examples" / f"{name}.c" for name in ("readme", "readme_ftps", "readme_server")]
FLAGS = ["-std=c99", "-Wall", "-Wextra", "-Wpedantic", "-Werror"]


class Readme(unittest.TestCase):
    def test_examples_are_the_files(self):
        blocks = re.findall(r"^```c\n(.*?)^```$", (ROOT / "README.md").read_text(), re.M | re.S)
        self.assertEqual(blocks, [example.read_text() for example in EXAMPLES])

    def test_examples_compile(self):
        compiler = os.environ.get("CC") or "cc"
        if not shutil.which(compiler):
            if os.environ.get("CI"):
                self.fail(f"there is no {compiler}")
            self.skipTest(f"skipped: there is no {compiler}")
        for example in EXAMPLES:
            with tempfile.TemporaryDirectory() as folder:
                command = [compiler, *FLAGS, f"-I{ROOT / 'include'}", "-c", example, "-o", f"{folder}/readme.o"]
                done = subprocess.run(command, capture_output=True, text=True)
            self.assertEqual(done.returncode, 0, done.stderr)


if __name__ == "__main__":
    harness.run_and_count()
