#!/usr/bin/env python3
"""Instructions of a client's handshakes and records, counted by valgrind, beside the last committed figures.

Only what is called through `common::counted` of benches/paths.rs counts, after some rounds that do not: starting up, the
peer and the kernel have no part in it. A report: no figure makes it fail. valgrind's processor has fewer instructions for
ciphers than a real one, so that records look dearer than they are; a change shows all the same.

    benches/instructions.py            print
    benches/instructions.py --write    and make these the figures to compare with
"""

import argparse
import concurrent.futures
import json
import os
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile

ROOT = pathlib.Path(__file__).resolve().parents[1]
FIGURES = ROOT / "benches" / "results" / "instructions.json"

HANDSHAKES = [f"{kind}-p256-{how}" for kind in ("tls13-x25519", "tls13-mlkem", "tls12-x25519") for how in ("full", "resumed")]
WORKS = [
    *((f"{who}-{kind}", 20) for kind in HANDSHAKES for who in ("ours", "bare")),
    *((f"{what}-{size}", 50) for what in ("send", "receive") for size in (1024, 16384)),
]


def skip(why):
    print(f"instructions: skipped: {why}")
    sys.exit(0)


def build():
    command = ["cargo", "bench", "--quiet", "--no-run", "--bench", "paths", "--message-format=json"]
    built = subprocess.run(command, cwd=ROOT, stdout=subprocess.PIPE, check=True)
    messages = [json.loads(line) for line in built.stdout.splitlines()]
    return next(
        message["executable"]
        for message in messages
        if message["reason"] == "compiler-artifact" and message["target"]["name"] == "paths" and message["executable"]
    )


def count(program, work, times):
    with tempfile.TemporaryDirectory() as folder:
        command = [
            "valgrind",
            "--tool=callgrind",
            "--toggle-collect=paths::common::counted",
            f"--callgrind-out-file={folder}/out",
            program,
            "count",
            work,
            str(times),
        ]
        run = subprocess.run(command, capture_output=True, text=True, cwd=folder)
    found = re.search(r"Collected : (\d+)", run.stderr)
    if run.returncode or not found:
        raise RuntimeError(f"{work}: {run.stderr[-2000:]}")
    return round(int(found.group(1)) / times)


def show(counted, before):
    print(f"{'instructions per handshake or record':40} {'now':>12} {'committed':>12} {'change':>8} {'of rustls':>10}")
    for work, value in counted.items():
        if work.startswith("bare-"):
            continue
        old, bare = before.get(work), counted.get(work.replace("ours-", "bare-", 1)) if work.startswith("ours-") else None
        change = f"{(value / old - 1) * 100:+.1f} %" if old else "new"
        share = f"{value / bare:.2f}" if bare else ""
        print(f"{work.removeprefix('ours-'):40} {value:>12,} {old or 0:>12,} {change:>8} {share:>10}")


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--write", action="store_true", help="make these the committed figures")
    arguments = parser.parse_args()
    if not shutil.which("valgrind"):
        skip("there is no valgrind: install the package valgrind")
    program = build()
    with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
        values = list(pool.map(lambda work: count(program, *work), WORKS))
    counted = dict(zip((work for work, _ in WORKS), values))
    before = json.loads(FIGURES.read_text()) if FIGURES.exists() else {}
    show(counted, before)
    if arguments.write:
        FIGURES.parent.mkdir(exist_ok=True)
        FIGURES.write_text(json.dumps(counted, indent=2) + "\n")


if __name__ == "__main__":
    main()
