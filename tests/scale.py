#!/usr/bin/env python3
"""Many transparent connections in one process: all echo, idle ones cost nothing, and nothing is left of them.

benches/scale/scale.c does it and measures; this runs it for what has to be so on every machine. A thousand connections,
with SSLSOCK_LONG set six thousand, or as many as the limit of descriptors allows. The last line counts.
"""

import json
import os
import pathlib
import subprocess
import sys
import tempfile

ROOT = pathlib.Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "tests" / "servers"))

import pki  # noqa: E402

PROGRAM = ROOT / "build" / "benches" / "scale"
CONNECTIONS = 6000 if os.environ.get("SSLSOCK_LONG") else 1000
# To end a hang.
LIMIT_SECONDS = 600


def run(name, arguments, folder):
    """Whether everything was as it has to be; prints what was measured."""
    try:
        done = subprocess.run(
            [PROGRAM, folder, *arguments], stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=LIMIT_SECONDS
        )
    except subprocess.TimeoutExpired:
        print(f"not ok {name}: not over after {LIMIT_SECONDS} s")
        return False
    figures = [json.loads(line) for line in done.stdout.splitlines()]
    print(f"# {name}: " + ", ".join(f"{figure['metric']} {figure['value']:g}" for figure in figures))
    if done.returncode:
        print(f"not ok {name}: status {done.returncode}: {done.stderr.strip()[-800:]}")
        return False
    print(f"ok {name}")
    return True


def main():
    subprocess.run(["make", "--quiet", "scale-programs"], cwd=ROOT, check=True)
    passed = failed = 0
    with tempfile.TemporaryDirectory(prefix="sslsock-scale-") as folder:
        pki.make(folder)
        for mode in ("tcp_pair", "unix_pair"):
            name = f"idle_connections_cost_nothing_and_leave_nothing ({CONNECTIONS}, {mode})"
            if run(name, ["connections", str(CONNECTIONS), mode], folder):
                passed += 1
            else:
                failed += 1
    print(f"{passed} passed, {failed} failed, 0 skipped")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
