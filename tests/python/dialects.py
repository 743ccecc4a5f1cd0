#!/usr/bin/env python3
"""The Python package against real servers: every dialect of upgrading, the standard library's clients, the examples.

Package and library are those of this tree; SSLSOCK_BUILD is where it was built (build/ by default).
"""

import os
import pathlib
import sys

ROOT = pathlib.Path(__file__).resolve().parents[2]
LIBRARY = str(pathlib.Path(os.environ.get("SSLSOCK_BUILD") or ROOT / "build").absolute() / "lib")
PACKAGE = str(ROOT / "bindings" / "python" / "src")

if os.environ.get("LD_LIBRARY_PATH", "").split(os.pathsep)[0] != LIBRARY:
    # The loader reads it when a process starts, and the programs that are tested inherit both.
    for name, folder in (("LD_LIBRARY_PATH", LIBRARY), ("PYTHONPATH", PACKAGE)):
        os.environ[name] = os.pathsep.join(filter(None, (folder, os.environ.get(name))))
    os.execv(sys.executable, [sys.executable, *sys.argv])

sys.path[:0] = [str(ROOT / "tests"), str(ROOT / "tests" / "servers")]

import harness  # noqa: E402

# unittest finds them by being names of this module.
from example_programs import *  # noqa: E402, F403
from library_clients import *  # noqa: E402, F403
from upgrades import *  # noqa: E402, F403

if __name__ == "__main__":
    harness.run_and_count()
