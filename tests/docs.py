#!/usr/bin/env python3
"""What the documents say of the sources is so: error codes, tests, functions, links; and what the mutations break."""

import pathlib
import re
import sys
import unittest

ROOT = pathlib.Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "tests" / "servers"))

import harness  # noqa: E402
import mutations  # noqa: E402

DOCUMENTS = [*ROOT.glob("*.md"), *(ROOT / "docs").glob("*.md"), *(ROOT / "bindings").glob("*/*.md")]
HEADER = (ROOT / "include" / "sslsock.h").read_text()
WINCE = "".join(path.read_text() for path in sorted((ROOT / "include" / "wince").rglob("*.h")))


def codes(pattern, text):
    """Name and number of every code; a list, so that none can be there twice unseen."""
    return sorted((name, int(number)) for number, name in re.findall(pattern, text, re.M))


class Errors(unittest.TestCase):
    PAGE = (ROOT / "docs" / "errors.md").read_text()
    CATEGORIES = {
        "None": "none",
        "Certificate": "certificate",
        "Usage": "usage",
        "WouldBlock": "would block",
        "Io": "I/O",
        "Peer": "peer",
        "Protocol": "protocol",
        "Internal": "internal",
    }

    def test_every_code_has_its_row(self):
        defined = sorted((name, int(number)) for name, number in re.findall(r"^#define (SSL_ERR_\w+) (\d+)$", HEADER, re.M))
        self.assertGreater(len(defined), 30)
        self.assertEqual(codes(r"^\| (\d+) \| `(SSL_ERR_\w+)` \|", self.PAGE), defined)

    def test_every_code_has_its_category(self):
        source = (ROOT / "src" / "error.rs").read_text()
        wanted = {name: self.CATEGORIES[category] for name, category in re.findall(r'c"(SSL_ERR_\w+)", (\w+);', source)}
        rows = dict(re.findall(r"^\| \d+ \| `(SSL_ERR_\w+)` \| ([^|]+) \|", self.PAGE, re.M))
        self.assertEqual(rows, wanted)


class Architecture(unittest.TestCase):
    def test_every_guard_is_there(self):
        page = (ROOT / "docs" / "architecture.md").read_text()
        table = page.split("## Invariants and their guards")[1]
        guards = {name for row in re.findall(r"^\|[^|]*\|([^|]*)\|$", table, re.M) for name in re.findall(r"`(\w+)`", row)}
        self.assertGreater(len(guards), 30)
        self.assertEqual(guards - self.existing(), set())

    def existing(self):
        sources = "".join(
            path.read_text() for folder in ("src", "tests", "c-tests") for path in sorted((ROOT / folder).rglob("*")) if path.suffix in (".rs", ".py", ".c")
        )
        return set(re.findall(r"\b(?:fn|def|static void) (\w+)\(", sources))

    def test_every_bad_input_has_its_test(self):
        page = (ROOT / "docs" / "bad-input.md").read_text()
        # System calls, not tests.
        page = re.sub("<!-- faults -->.*<!-- end of faults -->", "", page, flags=re.S)
        named = set(re.findall(r"`(?:\w+::)?([a-z_0-9]+)`(?= \||, `)", page)) | set(re.findall(r"`\w+::(\w+)`", page))
        self.assertGreater(len(named), 30)
        self.assertEqual(named - self.existing(), set())


class Porting(unittest.TestCase):
    PAGE = (ROOT / "docs" / "porting-from-windows-ce.md").read_text()

    def test_every_code_of_windows_ce_has_its_row_and_number(self):
        defined = dict(re.findall(r"^#define (SO_SSL_(?:GET|SET|PERFORM)_\w+) (0x[0-9a-f]{8})u$", WINCE, re.M))
        self.assertGreater(len(defined), 20)
        rows = dict(re.findall(r"^\| `(SO_SSL_\w+)` \| ([^|]+) \|", self.PAGE, re.M))
        self.assertEqual(rows.keys(), defined.keys())
        for name, numbers in rows.items():
            self.assertIn(int(defined[name], 16), [int(number, 16) for number in numbers.split(", ")], name)


class Everywhere(unittest.TestCase):
    def test_names_of_the_abi_exist(self):
        known = set(re.findall(r"\b(?:ssl|SSL)_\w+", HEADER + WINCE)) | {"SSL_CERT_FILE", "SSL_CERT_DIR"}
        for document in DOCUMENTS:
            for name in set(re.findall(r"\b(?:ssl|SSL)_\w+", document.read_text())):
                # "ssl_set_*" stands for all that begin so.
                if not (name in known or name.endswith("_") and any(other.startswith(name) for other in known)):
                    self.fail(f"{document.name}: {name} is not in sslsock.h")

    def test_links_lead_somewhere(self):
        for document in DOCUMENTS:
            for target in re.findall(r"\]\(([^)#]+)[^)]*\)", document.read_text()):
                if "://" not in target:
                    self.assertTrue((document.parent / target).exists(), f"{document.name}: {target}")


class Mutations(unittest.TestCase):
    """They run in the long run only, and would go stale unseen."""

    def test_what_they_break_stands_once_in_the_sources(self):
        for mutation in mutations.MUTATIONS:
            for path, text, _ in mutation.edits:
                self.assertEqual((ROOT / path).read_text().count(text), 1, f"{mutation.name}: {path}")


if __name__ == "__main__":
    harness.run_and_count()
