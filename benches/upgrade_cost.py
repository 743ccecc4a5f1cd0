#!/usr/bin/env python3
"""Builds and runs benches/upgrade_cost.c: what an upgrade costs with many open descriptors. Prints JSON lines.

    upgrade_cost.py [--rounds N] [--lib FOLDER]     FOLDER: with libsslsock.so.0, build/lib unless given
"""

import argparse
import os
import pathlib
import subprocess
import sys
import tempfile

ROOT = pathlib.Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "tests" / "servers"))

import pki  # noqa: E402


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=31)
    parser.add_argument("--lib", type=pathlib.Path, default=ROOT / "build" / "lib")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        folder = pathlib.Path(folder)
        pki.make(folder)
        program = folder / "upgrade_cost"
        source = ROOT / "benches" / "upgrade_cost.c"
        library = options.lib / "libsslsock.so.0"
        warnings = ["-Wall", "-Wextra", "-Werror"]
        subprocess.run(
            ["cc", "-std=c11", "-O2", *warnings, f"-I{ROOT / 'include'}", "-o", program, source, library, "-lpthread"],
            check=True,
        )
        environment = {**os.environ, "LD_LIBRARY_PATH": str(options.lib.resolve())}
        arguments = [program, str(options.rounds), folder / "ca.pem", folder / "server-all.pem"]
        return subprocess.run(arguments, env=environment).returncode


if __name__ == "__main__":
    sys.exit(main())
