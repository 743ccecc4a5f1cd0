"""The table of failing system calls in docs/bad-input.md, from what c-tests/faults.c saw.

    check(path)     every error and fallback that the program met is in the document; with SSLSOCK_WRITE_DOCS set the table
                    is written anew instead. Do that with the long run, which tries more errors.
"""

import os
import pathlib
import re

DOCUMENT = pathlib.Path(__file__).resolve().parents[1] / "docs" / "bad-input.md"
BEGIN, END = "<!-- faults -->\n", "<!-- end of faults -->\n"
HEAD = "| thread | calls | errors | what comes of it |\n|---|---|---|---|\n"
# Kinds of c-tests/faults.c; the others are about what has failed already.
THREADS = {"first": "the program's", "later": "the program's", "relay": "the relay's"}


def outcome(way, code, text):
    if code == "SSL_ERR_OKAY":
        fell_back = text == "Unix" and "Unix" not in way and "explicit" not in way
        return "goes on, with an AF_UNIX pair" if fell_back else "goes on"
    # What is said of limits goes with the error.
    text = re.sub(r": [^:]* \(os error \d+\)(; [^;]* \((ulimit|fs)[^)]*\))?", ": ...", text)
    text = re.sub(r"(descriptor|instance) \d+", r"\1 N", text)
    return f"`{code}` `{text}`"


def seen(path):
    """Thread, call and outcome, each with the errors that led to it."""
    found = {}
    for line in pathlib.Path(path).read_text().splitlines():
        kind, way, call, error, code, text = line.split("\t")
        if kind in THREADS:
            found.setdefault((THREADS[kind], call, outcome(way, code, text)), set()).add(error)
    return found


def render(found):
    rows = {}
    for (thread, call, result), errors in found.items():
        rows.setdefault((thread, result, ", ".join(sorted(errors))), []).append(call)
    ordered = sorted(rows.items(), key=lambda row: (row[0][0], not row[0][1].startswith("goes on"), row[0][1], row[1]))
    return "".join(
        f"| {thread} | {', '.join(f'`{call}`' for call in sorted(calls))} | {errors} | {result} |\n"
        for (thread, result, errors), calls in ordered
    )


def documented(table):
    found = set()
    for thread, calls, _, result in re.findall(r"^\| ([^|]+) \| ([^|]+) \| ([^|]+) \| (.+) \|$", table, re.M):
        found |= {(thread, call, result) for call in re.findall(r"`([^`]+)`", calls)}
    return found


def check(path):
    """What is wrong, or None."""
    found = seen(path)
    before, rest = DOCUMENT.read_text().split(BEGIN)
    table, after = rest.split(END)
    if os.environ.get("SSLSOCK_WRITE_DOCS"):
        DOCUMENT.write_text(before + BEGIN + HEAD + render(found) + END + after)
        return None
    # Calls that went on as if nothing had been are many and depend on the C library.
    missing = sorted(row for row in set(found) - documented(table) if row[2] != "goes on")
    if missing:
        return f"not in docs/bad-input.md (write it by SSLSOCK_WRITE_DOCS=1 tests/c_tests.py --long): {missing}"
    return None
