#!/usr/bin/env python3
"""Runs tests again and again: what goes wrong once in a hundred times does so here.

    repeat.py COUNT NAME ...

NAME is one of the Rust tests in tests/ (boundary), which is built first, or one of the C programs
(c-tests/nothing_in_clear), which has to be there already (make c-tests). Each is run to its end COUNT times, and passes if
every time it passed. What it said when it did not is shown. The last line counts the names.
"""

import concurrent.futures
import json
import os
import pathlib
import subprocess
import sys
import tempfile
import time

ROOT = pathlib.Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT / "tests"), str(ROOT / "tests" / "servers")]

import c_tests  # noqa: E402

ONCE_SECONDS = 600
# They wait more than they compute.
AT_ONCE = 4
SHOWN = 4000


def rust_test(name):
    """Builds it. The program's path."""
    built = subprocess.run(
        ["cargo", "test", "--quiet", "--no-run", "--message-format=json", "--test", name],
        cwd=ROOT, stdout=subprocess.PIPE, text=True, check=True,
    )  # fmt: skip
    for line in built.stdout.splitlines():
        message = json.loads(line)
        if message.get("target", {}).get("name") == name and message.get("executable"):
            return message["executable"]
    raise ValueError(f"cargo names no program for {name}")


def program(name):
    if not name.startswith("c-tests/"):
        return rust_test(name)
    path = c_tests.BUILD / name
    if not path.exists():
        raise ValueError(f"{path.relative_to(ROOT)} has not been built: make c-tests")
    return path


def run(command, environment):
    """Why it did not pass, or nothing."""
    try:
        done = subprocess.run(
            [command], cwd=ROOT, env=environment, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT, text=True, errors="replace", timeout=ONCE_SECONDS,
        )  # fmt: skip
    except subprocess.TimeoutExpired:
        return f"not over after {ONCE_SECONDS} s"
    return f"status {done.returncode}: {done.stdout[-SHOWN:]}" if done.returncode else ""


def repeat(name, command, count, environment):
    """Whether it passed every time."""
    began = time.monotonic()
    for number in range(1, count + 1):
        why = run(command, environment)
        if why:
            print(f"not ok {name}: round {number} of {count}: {why}", flush=True)
            return False
    print(f"ok {name}: {count} rounds in {time.monotonic() - began:.0f} s", flush=True)
    return True


def main():
    if len(sys.argv) < 3 or not sys.argv[1].isdigit() or int(sys.argv[1]) == 0:
        print(__doc__, file=sys.stderr)
        return 2
    count, names = int(sys.argv[1]), sys.argv[2:]
    passed = failed = 0
    jobs = []
    with tempfile.TemporaryDirectory() as folder, concurrent.futures.ThreadPoolExecutor(AT_ONCE) as pool:
        # The repetition is here.
        environment = {key: value for key, value in os.environ.items() if key != "SSLSOCK_LONG"}
        environment.update(c_tests.start_peers(folder))
        for name in names:
            try:
                jobs.append(pool.submit(repeat, name, program(name), count, environment))
            except (ValueError, OSError, subprocess.SubprocessError) as why:
                failed += 1
                print(f"not ok {name}: {why}", flush=True)
        for job in jobs:
            passed, failed = (passed + 1, failed) if job.result() else (passed, failed + 1)
    print(f"{passed} passed, {failed} failed, 0 skipped")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
