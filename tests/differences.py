#!/usr/bin/env python3
"""Every call on a socket in clear and on an upgraded one: what differs is what the README says, and nothing else.

    differences.py            runs build/c-tests/calls (make c-tests) and compares; the last line counts
    differences.py --write    writes what it found into the README                  (make differences)
    differences.py --show X   what every kind of connection answered to the probes with X in their names

"""

import os
import pathlib
import subprocess
import sys
import tempfile
import unittest

ROOT = pathlib.Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT / "tests"), str(ROOT / "tests" / "servers")]

import controlled_peer  # noqa: E402
import harness  # noqa: E402
import pki  # noqa: E402

README = ROOT / "README.md"
BEGIN, END = "<!-- differences -->\n", "<!-- end of differences -->\n"
PROGRAM = ROOT / "build" / "c-tests" / "calls"
SECONDS = 900
WIDTH = 120


def run(*arguments):
    """The program's lines, each as its fields."""
    with tempfile.TemporaryDirectory() as folder:
        keys = pathlib.Path(folder, "pki")
        pki.make(keys)
        variables = controlled_peer.ControlledPeer(keys, folder).variables
        done = subprocess.run(
            [PROGRAM, *arguments], env={**os.environ, **variables}, stdout=subprocess.PIPE, text=True, timeout=SECONDS
        )
    return [line.split("\t") for line in done.stdout.splitlines()]


def of_kind(lines, kind):
    return [fields[1:] for fields in lines if fields[0] == kind]


def row(cells):
    return f"| {' | '.join(cells)} |"


def document(lines):
    """What belongs between the marks: the table, and the sentence with what is the same."""
    table = [row(("call", "in clear", "TCP pair", "AF_UNIX pair")), "|---|---|---|---|"]
    table += [row(cell or "–" for cell in cells) for cells in of_kind(lines, "difference")]
    same = "; ".join(joined([name for (name,) in of_kind(lines, "same")]))
    return "\n".join([*table, "", *wrapped(f"Compared in the same run and found the same: {same}."), ""])


def joined(names):
    """ "X before" and "X after" as one."""
    for name in names:
        bare = name.removesuffix(" before").removesuffix(" after")
        if {f"{bare} before", f"{bare} after"} <= set(names):
            if name.endswith(" before"):
                yield f"{bare} before and after"
        else:
            yield name


def wrapped(text):
    """Lines of the README's width."""
    lines = [""]
    for word in text.split(" "):
        if lines[-1] and len(lines[-1]) + 1 + len(word) > WIDTH:
            lines.append("")
        lines[-1] += f" {word}" if lines[-1] else word
    return lines


def parts(text):
    """The README before the marks, between them and after them."""
    before, begin, rest = text.partition(BEGIN)
    between, end, after = rest.partition(END)
    if not begin or not end:
        raise SystemExit(f"{README.name} lacks {BEGIN.strip()} or {END.strip()}")
    return before + begin, between, end + after


class Differences(unittest.TestCase):
    maxDiff = None

    @classmethod
    def setUpClass(cls):
        cls.lines = run()

    def test_every_probe_came_to_its_end(self):
        self.assertEqual(of_kind(self.lines, "failed"), [])
        self.assertGreater(len(self.lines), 80)

    def test_the_readme_has_every_difference_and_no_other(self):
        if of_kind(self.lines, "failed"):
            self.fail("not all probes came to their end")
        _, written, _ = parts(README.read_text())
        # Run `make differences` when a change is meant.
        self.assertEqual(written.splitlines(), document(self.lines).splitlines())

    def test_ipv6_was_there_to_be_compared(self):
        skipped = of_kind(self.lines, "skipped")
        why = "; ".join(": ".join(fields) for fields in skipped)
        if skipped and os.environ.get("CI"):
            self.fail(why)
        if skipped:
            self.skipTest(f"skipped: {why}")


def write():
    lines = run()
    for wrong in of_kind(lines, "failed") + of_kind(lines, "skipped"):
        raise SystemExit(f"not written: {': '.join(wrong)}")
    before, written, after = parts(README.read_text())
    README.write_text(before + document(lines) + after)
    print("written anew" if written != document(lines) else "nothing has changed")


if __name__ == "__main__":
    if sys.argv[1:2] == ["--write"]:
        write()
    elif sys.argv[1:2] == ["--show"]:
        for fields in run("-v", *sys.argv[2:]):
            print("\t".join(fields))
    else:
        harness.run_and_count()
