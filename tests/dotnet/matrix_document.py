"""The part of bindings/dotnet/MATRIX.md that is written from what matrix.py saw."""

import pathlib
import re

import matrix_differences

FILE = pathlib.Path(__file__).resolve().parents[2] / "bindings" / "dotnet" / "MATRIX.md"
BEGIN, END = "<!-- matrix -->\n", "<!-- end of matrix -->\n"
IMMEDIATE = "Immediate"


def parts():
    """The document before the marks, between them and after them."""
    before, begin, rest = FILE.read_text().partition(BEGIN)
    between, end, after = rest.partition(END)
    if not begin or not end:
        raise SystemExit(f"{FILE.name} lacks {BEGIN.strip()} or {END.strip()}")
    return before + begin, between, end + after


def write(between):
    """Whether anything changed."""
    before, written, after = parts()
    FILE.write_text(before + between + after)
    return written != between


def text(seen, checks, endings):
    """What belongs between the marks; `seen` is what each runtime saw."""
    names = [short(what.version) for what in seen.values()]
    features = list(dict.fromkeys(feature for what in seen.values() for feature in what.features))
    lines = [row(("feature", *names, "also with SslHelper.Connect")), "|---|---|---|---|"]
    for feature in features:
        cells = [cell(name, feature, what) for name, what in seen.items()]
        immediate = all(IMMEDIATE in what.ways(feature) for what in seen.values())
        lines.append(row((escaped(feature), *cells, "yes" if immediate else "–")))
    header = ("feature", "seen", "in clear", "upgraded", "where", "why")
    lines += ["", "These differ:", "", row(header), "|---|---|---|---|---|---|"]
    for one in matrix_differences.DECLARED:
        some = ", ".join(short(seen[name].version) for name in one.runtimes)
        where = "both" if set(one.runtimes) == set(seen) else some
        lines.append(row(map(escaped, (one.feature, one.label, one.in_clear, one.upgraded, where, one.why))))
    lines += ["", "Tried on both with upgraded sockets alone:", ""]
    lines += [f"* {what}" for what in checks.values()]
    lines += [
        "* an exception that nobody catches ends the process as it does in clear",
        "* a mebibyte sent right before the process ends arrives, with close_notify, read only when the process has "
        f"gone; {len(endings)} ways to end: return from Main, Environment.Exit, from another thread too, Main over "
        "before a foreground thread, an asynchronous Main, with a read pending, after Close",
        "",
    ]
    return "\n".join(lines)


def cell(runtime, feature, what):
    if feature not in what.features:
        return "not tried"
    differing = any(one.feature == feature and runtime in one.runtimes for one in matrix_differences.DECLARED)
    return "differs" if differing else "same"


def row(cells):
    return f"| {' | '.join(cells)} |"


def escaped(text):
    return text.replace("|", "\\|")


def short(version):
    """ "Mono 6.8" of "Mono 6.8.0.105 (Debian ...)"."""
    found = re.match(r"\D+\d+\.\d+", version)
    return found[0] if found else version
