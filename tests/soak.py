#!/usr/bin/env python3
"""The soak: hundreds of connections at a time, all endings, every byte compared; see c-tests/soak/soak.c.

    soak.py [--seconds N] [--at-once N] [--seed N] [--library FOLDER]

Without --seconds it is as long as a test may be (with SSLSOCK_LONG set: as long as one of the long run may be). Prints
what the soak says, its seed among it. The last line counts.
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

PROGRAM = ROOT / "build" / "soak" / "soak"
USUAL_SECONDS, LONG_SECONDS = 15, 240
# The usual run makes the same connections each time; others are drawn in the long run and by `make soak`.
USUAL_SEED = 7
# For the quiet moments in between, in which what hangs is waited for.
SPARE_SECONDS = 400


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    usual = LONG_SECONDS if os.environ.get("SSLSOCK_LONG") else USUAL_SECONDS
    parser.add_argument("--seconds", type=int, default=usual)
    parser.add_argument("--at-once", type=int, default=500)
    parser.add_argument("--seed", type=int)
    parser.add_argument("--library", help="the folder of another libsslsock.so.0")
    options = parser.parse_args()
    if options.seed is None and options.seconds == USUAL_SECONDS:
        options.seed = USUAL_SEED
    # What each thread's cache in the allocator holds would count as memory in use, and grows for a long time.
    environment = {**os.environ, "GLIBC_TUNABLES": "glibc.malloc.tcache_count=0"}
    if options.library:
        environment["LD_LIBRARY_PATH"] = options.library
    subprocess.run(["make", "--quiet", "soak-programs"], cwd=ROOT, check=True)
    with tempfile.TemporaryDirectory(prefix="sslsock-soak-") as folder:
        pki.make(folder)
        command = [PROGRAM, options.seconds, folder, options.at_once]
        if options.seed is not None:
            command.append(options.seed)
        try:
            status = subprocess.run(
                [str(word) for word in command], env=environment, stdin=subprocess.DEVNULL, stderr=subprocess.STDOUT,
                timeout=options.seconds + SPARE_SECONDS,
            ).returncode  # fmt: skip
        except subprocess.TimeoutExpired:
            print(f"not over after {options.seconds + SPARE_SECONDS} s")
            status = 1
    print("0 passed, 1 failed, 0 skipped" if status else "1 passed, 0 failed, 0 skipped")
    return 1 if status else 0


if __name__ == "__main__":
    sys.exit(main())
