"""The figures that matter as bars, in one SVG that can be read on white and on black."""

from xml.sax.saxutils import escape

from .table import NAMES

WIDTH, MARGIN = 1040, 24
COLUMNS, GAP = 2, 40
PANEL = (WIDTH - 2 * MARGIN - GAP * (COLUMNS - 1)) // COLUMNS
LABEL, BAR, PITCH = 190, 16, 22
TITLE = 46
STYLE = """
text { font: 12px "DejaVu Sans", "Segoe UI", Helvetica, Arial, sans-serif; fill: #1f2328; }
.head { font-size: 19px; font-weight: bold; }
.title { font-size: 14px; font-weight: bold; }
.note { fill: #59636e; font-size: 11px; }
.back { fill: #ffffff; }
.peer { fill: #9aa4af; }
.limit { fill: #cfd5db; }
.ours { fill: #1f6feb; }
.range { stroke: #1f2328; stroke-width: 1; opacity: 0.7; }
@media (prefers-color-scheme: dark) {
  text { fill: #e6edf3; }
  .note { fill: #9198a1; }
  .back { fill: #0d1117; }
  .peer { fill: #6e7781; }
  .limit { fill: #3d444d; }
  .ours { fill: #4493f8; }
  .range { stroke: #e6edf3; }
}
"""
BULK = {"tls": "1.3", "call": 65536}
SMALL = {"tls": "1.3", "call": 1024}
FULL = {"certificate": "ecdsa", "group": "x25519", "resumed": False}
RESUMED = {**FULL, "resumed": True}
# Title, note, bench, metric, parameters, factor, and what is written behind a bar.
PANELS = [
    ("Receiving, 64 KiB calls", "CPU s per GB, less is better", "bulk_receive", "cpu_s_per_gb", BULK, 1, "{:.2f}"),
    ("Sending, 64 KiB calls", "CPU s per GB, less is better", "bulk_send", "cpu_s_per_gb", BULK, 1, "{:.2f}"),
    ("Receiving, 1 KiB calls", "CPU s per GB, less is better", "bulk_receive", "cpu_s_per_gb", SMALL, 1, "{:.2f}"),
    ("Sending, 1 KiB calls", "CPU s per GB, less is better", "bulk_send", "cpu_s_per_gb", SMALL, 1, "{:.2f}"),
    ("Receiving, 64 KiB calls", "MB per s, more is better", "bulk_receive", "mb_per_s", BULK, 1, "{:,.0f}"),
    ("Sending, 64 KiB calls", "MB per s, more is better", "bulk_send", "mb_per_s", BULK, 1, "{:,.0f}"),
    ("Full handshakes, TLS 1.3", "per client CPU second, ECDSA, X25519; more is better", "handshake", "per_cpu_s",
     {"tls": "1.3", **FULL}, 1, "{:,.0f}"),
    ("Resumed, TLS 1.3", "per client CPU second, X25519; more is better", "handshake", "per_cpu_s",
     {"tls": "1.3", **RESUMED}, 1, "{:,.0f}"),
    ("Full handshakes, TLS 1.2", "per client CPU second, ECDSA, X25519; more is better", "handshake", "per_cpu_s",
     {"tls": "1.2", **FULL}, 1, "{:,.0f}"),
    ("Round trip of 64 bytes", "CPU microseconds, less is better", "round_trip", "cpu_us", {"tls": "1.3"}, 1, "{:.1f}"),
    ("An idle connection's heap", "KiB after a transfer, less is better", "memory", "heap_bytes", {}, 1 / 1024, "{:.1f}"),
    ("Loading to first handshake done", "CPU ms, less is better", "startup", "first_socket_cpu_ms", {}, 1, "{:.1f}"),
]  # fmt: skip


def svg(about, summary):
    panels = [(panel, bars(summary, panel)) for panel in PANELS]
    panels = [(panel, found) for panel, found in panels if found]
    body, y = [], 70
    for at in range(0, len(panels), COLUMNS):
        row = panels[at : at + COLUMNS]
        for column, (panel, found) in enumerate(row):
            body += draw(MARGIN + column * (PANEL + GAP), y, panel, found)
        y += TITLE + PITCH * max(len(found) for _, found in row) + 26
    load = about["load_at_start"][0]
    note = f"{about['processor']}, {about['processors']} processors, Linux {about['kernel']}; {about['date']}; load {load:.1f}"
    note += f"; medians of {about['rounds']} rounds, lines: quartiles"
    head = [
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH}" height="{y}" viewBox="0 0 {WIDTH} {y}" role="img" '
        'aria-label="sslsock beside its peers">',
        f"<style>{STYLE}</style>",
        f'<rect class="back" width="{WIDTH}" height="{y}"/>',
        line(MARGIN, 34, "sslsock beside its peers: AES-256-GCM over loopback", "head"),
        line(MARGIN, 54, note, "note"),
    ]
    return "\n".join([*head, *body, "</svg>", ""])


def bars(summary, panel):
    _, _, bench, metric, params, factor, _ = panel
    entries = {entry["variant"]: entry for entry in summary.find(bench, metric, **params)}
    return [
        (variant, *(entries[variant][key] * factor for key in ("median", "lower_quartile", "upper_quartile")))
        for variant in NAMES if variant in entries and not (variant == "plain" and bench in ("memory", "startup"))
    ]  # fmt: skip


def draw(x, y, panel, found):
    title, note, *_, form = panel
    yield line(x, y + 16, title, "title")
    yield line(x, y + 32, note, "note")
    room = PANEL - LABEL - 64
    largest = max(upper for _, _, _, upper in found) or 1
    for at, (variant, value, lower, upper) in enumerate(found):
        top = y + TITLE + at * PITCH
        kind = "ours" if "sslsock" in NAMES[variant] else "limit" if variant == "plain" else "peer"
        middle = top + BAR / 2
        length = max(room * value / largest, 1)
        start = x + LABEL
        yield line(start - 8, top + 12, NAMES[variant], "label", 'text-anchor="end"')
        yield f'<rect class="{kind}" x="{start}" y="{top}" width="{length:.1f}" height="{BAR}" rx="2"/>'
        ends = [start + room * edge / largest for edge in (lower, upper)]
        yield f'<line class="range" x1="{ends[0]:.1f}" x2="{ends[1]:.1f}" y1="{middle}" y2="{middle}"/>'
        yield line(max(start + length, ends[1]) + 6, top + 12, form.format(value), "value")


def line(x, y, text, kind, more=""):
    return f'<text class="{kind}" x="{x:.1f}" y="{y:.1f}" {more}>{escape(text)}</text>'
