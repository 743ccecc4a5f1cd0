#!/usr/bin/env python3
"""Programs written for Windows CE, recompiled with include/wince, against real servers and OpenSSL.

Each program of c-tests/wince is run in every language that it was compiled as (make wince), through a recorder: what
it received, the server's log, where TLS begins on the wire and with which name (SNI), and the numbers of its errors.
"""

import pathlib
import sys

ROOT = pathlib.Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT / "tests"), str(ROOT / "tests" / "servers")]

import harness  # noqa: E402

# unittest finds them by being names of this module.
from wince_openssl import *  # noqa: E402, F403
from wince_servers import *  # noqa: E402, F403

if __name__ == "__main__":
    harness.run_and_count()
