#!/usr/bin/env python3
"""Peers that show a wrong certificate or break the protocol, of three TLS stacks: the tables B and C of docs/bad-input.md.

With SSLSOCK_WRITE_DOCS set the tables are written anew. Words on the command line choose cases by their number.
"""

import contextlib
import os
import pathlib
import re
import subprocess
import sys
import tempfile

ROOT = pathlib.Path(__file__).resolve().parents[1]
DOCUMENT = ROOT / "docs" / "bad-input.md"
BEGIN, END = "<!-- hostile peers -->\n", "<!-- end of hostile peers -->\n"
HEAD = "| case | the peer | made with | code | causes | a hook that says 0 | text |\n|---|---|---|---|---|---|---|\n"
TLSLITE = "tlslite-ng==0.8.2"
PACKAGES = ROOT / "build" / "python-packages"
SSL_VERDICT_ACCEPTED_BY_HOOK = 3

sys.path[:0] = [str(ROOT / "tests" / "hostile"), str(ROOT / "tests"), str(PACKAGES)]


def install():
    """tlslite-ng, below build/. Why it is not there, if it is not."""
    if (PACKAGES / "tlslite").exists():
        return None
    pip = [sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--root-user-action=ignore"]
    done = subprocess.run([*pip, "--target", PACKAGES, TLSLITE], capture_output=True, text=True)
    return f"tlslite-ng cannot be installed: {done.stderr.strip()[-300:]}" if done.returncode else None


def main():
    reason = install()
    if reason:
        print(f"skipped: {reason}\n0 passed, 0 failed, 1 skipped")
        return 1 if os.environ.get("CI") else 0
    import cases
    import client
    import shown

    passed, failed = 0, 0
    every = [*cases.B, *cases.C]
    with tempfile.TemporaryDirectory(prefix="sslsock-hostile-") as folder:
        it = shown.Shown(folder)
        for case in every:
            if sys.argv[1:] and case.number not in sys.argv[1:]:
                continue
            wrong = [f"{where}: {what}" for where, what in check(case, it, cases, client)]
            passed, failed = passed + (not wrong), failed + bool(wrong)
            for what in wrong:
                print(f"FAILED {case.number} {case.what} ({case.stack}): {what}")
    if not sys.argv[1:]:
        what = document(every, cases)
        passed, failed = passed + (what is None), failed + (what is not None)
        if what:
            print(f"FAILED the document: {what}")
    print(f"{passed} passed, {failed} failed, 0 skipped")
    return 1 if failed else 0


def check(case, it, cases, client):
    """What is wrong, as pairs of the way and the finding."""
    constants = client.constants
    started = case.start(it)
    context = started if hasattr(started, "__enter__") else contextlib.nullcontext(started)
    with context as where:
        for address in where if isinstance(where, list) else [where]:
            for mode in (constants.SSL_FLAG_EXPLICIT_IO, 0, constants.SSL_FLAG_UNIX_PAIR):
                for answer in (None, 0):
                    outcome = client.converse(address, it.path("root"), case.name.encode(), mode, answer, talk(case))
                    for finding in findings(case, outcome, answer is not None, cases, client):
                        way = {0: "transparent", constants.SSL_FLAG_EXPLICIT_IO: "explicit"}.get(mode, "Unix pair")
                        yield f"{way}, {'hook' if answer == 0 else 'no hook'}, {address}", f"{finding}; {outcome}"


def talk(case):
    return {"GnuTLS": b"QUIT\r\n\r\n", "tlslite-ng": b"x"}.get(case.stack)


def findings(case, outcome, hooked, cases, client):
    case = hooked and case.with_hook or case
    accepted = hooked and case.hook == cases.ACCEPTS
    expected = "SSL_ERR_OKAY" if accepted else case.code
    code = client.lib.ssl_error_name(outcome.code).decode()
    if code != expected:
        yield f"the code is {code}, not {expected}"
        return
    if outcome.causes != case.causes:
        yield f"the causes are not {case.causes:#x}"
    asked = hooked and case.hook != cases.NOT_ASKED
    if outcome.hook_calls != asked:
        yield f"the hook was called {outcome.hook_calls} times"
    if accepted and outcome.verdict != SSL_VERDICT_ACCEPTED_BY_HOOK:
        yield "the verdict does not say that the hook has accepted it"
    if not accepted and case.text not in outcome.text:
        yield f"the text lacks {case.text!r}"
    if expected != "SSL_ERR_OKAY":
        return
    end = client.lib.ssl_error_name(outcome.error).decode()
    if case.stack == "GnuTLS":
        # It answers what is no request in words of its own.
        return
    if (outcome.received, end) != (case.received, case.end):
        yield f"the conversation gave {outcome.received[:100]!r} and ended with {end}"
    if bool(outcome.failed) != (case.end != "SSL_ERR_OKAY"):
        yield f"recv ended with errno {outcome.failed}"


def document(every, cases):
    """What is wrong with the document, or None."""
    table = HEAD + "".join(row(case, cases) for case in every)
    before, rest = DOCUMENT.read_text().split(BEGIN)
    present, after = rest.split(END)
    if os.environ.get("SSLSOCK_WRITE_DOCS"):
        DOCUMENT.write_text(before + BEGIN + table + END + after)
        return None
    return None if present == table else "docs/bad-input.md is not what was tested: SSLSOCK_WRITE_DOCS=1 tests/hostile.py"


def row(case, cases):
    causes = ", ".join(f"`{name}`" for bit, name in cases.CAUSES.items() if case.causes & bit)
    code = f"`{case.code}`"
    if case.end != "SSL_ERR_OKAY":
        before = f'"{case.received.decode()}", then ' if case.received else "after the handshake "
        code = f"{before}`{case.end}`"
    hook = case.hook or ""
    text = re.sub(r"\|", r"\\|", f"`{case.text}`") if case.text else "works"
    return f"| {case.number} | {case.what} | {case.stack} | {code} | {causes} | {hook} | {text} |\n"


if __name__ == "__main__":
    sys.exit(main())
