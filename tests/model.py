#!/usr/bin/env python3
"""Runs what the library's threads share in the orders that can happen: the tests named `model` in src.

They are compiled with `--cfg sslsock_model`, which puts the model checker shuttle in the place of the standard library's
locks (src/sync.rs), into a tree of their own. In the long run they try many more orders. What fails prints its order,
and `SSLSOCK_SCHEDULE=... tests/model.py NAME` repeats it. Arguments choose tests by parts of their names. The last line
counts.
"""

import os
import pathlib
import re
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parents[1]
COUNT = re.compile(r"^test result: \w+\. (\d+) passed; (\d+) failed;", re.M)


def main():
    flags = [os.environ.get("RUSTFLAGS", ""), "--cfg sslsock_model"]
    environment = {**os.environ, "RUSTFLAGS": " ".join(filter(None, flags))}
    # Without its words cargo would run what needs the real locks.
    command = ["cargo", "test", "--quiet", "--lib", "--target-dir", "build/model", "--", *(sys.argv[1:] or ["model::"])]
    done = subprocess.run(command, cwd=ROOT, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    print(done.stdout, flush=True)
    found = COUNT.search(done.stdout)
    passed, failed = map(int, found.groups()) if found else (0, 1)
    failed += bool(done.returncode and not failed) or not passed + failed
    print(f"{passed} passed, {failed} failed, 0 skipped")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
