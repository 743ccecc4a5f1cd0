#!/usr/bin/env python3
"""The Rust tests, and C tests with threads, under ThreadSanitizer: `make test-tsan`; belongs to the long run.

The standard library has to be built with it as well, or its locks are not seen and every lock is reported; that needs
`rustup component add rust-src`. Without it there is nothing to run. Arguments go to cargo test.
"""

import os
import pathlib
import re
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parents[1]
TARGET = "x86_64-unknown-linux-gnu"
SUPPRESSIONS = ROOT / "tests" / "thread_sanitizer.supp"
# Tests fork, and go on with threads in the child, where those of the parent count as never joined. A long history: what
# a suppression goes by is the stack of the earlier access.
OPTIONS = f"exitcode=66 die_after_fork=0 report_thread_leaks=0 history_size=7 suppressions={SUPPRESSIONS}"
CARGO_COUNT = re.compile(r"^test result: \w+\. (\d+) passed; (\d+) failed; \d+ ignored;", re.M)
COUNT = re.compile(r"^(\d+) passed, (\d+) failed, (\d+) skipped$", re.M)


def missing():
    """What there has to be and is not."""
    if os.uname().machine != "x86_64":
        return "it is set up for x86-64 alone"
    root = subprocess.run(["rustc", "--print", "sysroot"], capture_output=True, text=True, check=True).stdout.strip()
    if not pathlib.Path(root, "lib/rustlib/src/rust/library/std/Cargo.toml").exists():
        return "the sources of the standard library are not installed: rustup component add rust-src"
    return None


def run(command, **variables):
    """The status and the output, which is shown too."""
    environment = {**os.environ, "TSAN_OPTIONS": OPTIONS, **variables}
    # The usual number of rounds: everything is ten times slower.
    environment.pop("SSLSOCK_LONG", None)
    done = subprocess.run(command, cwd=ROOT, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    print(done.stdout, flush=True)
    return done.returncode, done.stdout


def rust_tests():
    command = [
        "cargo", "test", "--quiet", "--no-fail-fast", "-Zbuild-std", "--target", TARGET, "--target-dir", "build/tsan",
        *(sys.argv[1:] or ["--tests"]),
    ]  # fmt: skip
    # Cargo's own switches for both are not stable.
    status, output = run(command, RUSTC_BOOTSTRAP="1", RUSTFLAGS="-Zsanitizer=thread", SSLSOCK_TEST_SECONDS="1800")
    counts = CARGO_COUNT.findall(output)
    passed, failed = sum(int(count[0]) for count in counts), sum(int(count[1]) for count in counts)
    # A report makes the status, in a process whose tests all passed.
    return passed, failed + bool(status and not failed), 0


def c_tests():
    status, _ = run(["make", "c-tests-tsan"])
    if status:
        return 0, 1, 0
    _, output = run([sys.executable, "tests/c_tests.py", "--tsan"])
    counts = COUNT.findall(output)
    return tuple(map(int, counts[-1])) if counts else (0, 1, 0)


def main():
    reason = missing()
    if reason:
        print(f"skip ThreadSanitizer: {reason}")
        print("0 passed, 0 failed, 1 skipped")
        return 0
    totals = [sum(both) for both in zip(rust_tests(), (0, 0, 0) if sys.argv[1:] else c_tests())]
    print("{} passed, {} failed, {} skipped".format(*totals))
    return 1 if totals[1] else 0


if __name__ == "__main__":
    sys.exit(main())
