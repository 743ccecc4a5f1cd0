#!/usr/bin/env python3
"""Runs build/benches/scale for more and more transparent connections in one process. Prints its JSON lines.

    scale.py [--quick]     --quick: a few connections, and no churn
"""

import argparse
import pathlib
import subprocess
import sys
import tempfile

ROOT = pathlib.Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "tests" / "servers"))

import pki  # noqa: E402

PROGRAM = ROOT / "build" / "benches" / "scale"


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true")
    options = parser.parse_args()
    made = subprocess.run(["make", "--quiet", "scale-programs"], cwd=ROOT, stdout=sys.stderr)
    if made.returncode:
        return made.returncode
    counts = ["20"] if options.quick else ["1", "100", "1000", "6000"]
    runs = [["connections", count, mode] for mode in ("tcp_pair", "unix_pair") for count in counts]
    # To compare with: there is no relay in it.
    runs += [["connections", count, "explicit"] for count in (counts if options.quick else counts[1::2])]
    if not options.quick:
        runs.append(["churn", "500", "60"])
    status = 0
    with tempfile.TemporaryDirectory() as folder:
        pki.make(folder)
        for run in runs:
            done = subprocess.run([PROGRAM, folder, *run], stdin=subprocess.DEVNULL)
            status = status or done.returncode
    return status


if __name__ == "__main__":
    sys.exit(main())
