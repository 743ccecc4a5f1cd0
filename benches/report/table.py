"""The table: targets, then every figure."""

NAMES = {
    "plain": "plain TCP",
    "openssl": "OpenSSL",
    "openssl_released": "OpenSSL, released buffers",
    "openssl_read_ahead": "OpenSSL, read-ahead 64 KiB",
    "gnutls": "GnuTLS",
    "mbedtls": "mbedTLS 2.28 (TLS 1.2)",
    "stunnel": "plain client + stunnel",
    "rustls_buffered": "bare rustls, buffered",
    "rustls_unbuffered": "bare rustls, unbuffered",
    "explicit": "sslsock explicit",
    "transparent": "sslsock transparent",
    "transparent_unix": "sslsock transparent, AF_UNIX",
    "aead": "AES-256-GCM alone",
}
METRICS = {
    "cpu_s_per_gb": "CPU s/GB",
    "mb_per_s": "MB/s",
    "cpu_us": "CPU us",
    "median_us": "median us",
    "p99_us": "p99 us",
    "per_cpu_s": "per CPU s",
    "inside_cpu_us": "CPU us inside the handshake call",
    "resumed_share": "share resumed",
    "heap_bytes": "heap bytes",
    "resident_bytes": "resident bytes",
    "load_cpu_ms": "loaded, CPU ms",
    "setup_cpu_ms": "set up, CPU ms",
    "first_socket_cpu_ms": "first handshake done, CPU ms",
    "bytes": "bytes",
}
TITLES = {
    "bulk_receive": "Bulk receive",
    "bulk_send": "Bulk send",
    "round_trip": "Round trips of 64 bytes",
    "handshake": "Handshakes",
    "startup": "Start-up",
    "aead_open": "AES-256-GCM alone, opening records of 16 KiB",
    "aead_seal": "AES-256-GCM alone, sealing records of 16 KiB",
    "memory": "An idle connection, after a transfer and an idle second",
    "size": "Shared objects, without the C library's",
}


def text(about, rows, summary):
    return "\n".join([head(about), targets(rows), "## All figures\n", *sections(summary)])


def head(about):
    load = ", ".join(f"{value:.2f}" for value in about["load_at_start"])
    lines = [
        "# What it costs, beside its peers\n",
        "Made by `make bench`; docs/performance.md says how each figure comes about. GB are 10^9 bytes.\n",
        f"- {about['date']}, commit {about['commit']}, {about['rounds']} rounds in {about['seconds']} s"
        + ("" if about["share"] == 1 else f", with {about['share']:g} of the bytes"),
        f"- {about['processor']}, {about['processors']} processors, {about['memory_kib'] // 1024} MiB; {about['system']}, "
        f"Linux {about['kernel']}; load average at the start {load}",
        "- " + "; ".join(f"{name}: {version}" for name, version in about["versions"].items()),
        f"- peers in C with `{' '.join(about['peer_flags'])}`; RUSTFLAGS: {about['rustflags'] or 'none'}",
        f"- AES-256-GCM, records of {about['record_bytes']} bytes, TCP_NODELAY, socket buffers as the system has them "
        f"(tcp_rmem {' '.join(about['tcp_rmem'])}, tcp_wmem {' '.join(about['tcp_wmem'])}), loopback MTU {about['loopback_mtu']}",
        "",
    ]  # fmt: skip
    return "\n".join(lines)


def targets(rows):
    lines = ["## Targets\n", "| work | target | here | reached |", "|---|---|---|---|"]
    for row in rows:
        value = "not measured" if row["value"] is None else f"{row['value']:.3g}{row['unit']}"
        reached = {True: "yes", False: "**no**", None: ""}[row["reached"]]
        lines.append(f"| {row['work']} | {row['target']} | {value} | {reached} |")
    return "\n".join([*lines, ""])


def sections(summary):
    """One table per work and parameters, the metrics as columns; medians with quartiles behind them."""
    benches = {}
    for entry in summary.as_list():
        params = {name: value for name, value in entry["params"].items() if name not in ("bytes", "count", "files")}
        label = ", ".join(said(name, value) for name, value in params.items())
        group = benches.setdefault(entry["bench"], {}).setdefault(label, {})
        group.setdefault(entry["variant"], {})[entry["metric"]] = entry
    for bench in [*(name for name in TITLES if name in benches), *(name for name in benches if name not in TITLES)]:
        yield f"### {TITLES.get(bench, bench)}\n"
        for label, variants in benches[bench].items():
            metrics = list(dict.fromkeys(metric for found in variants.values() for metric in found))
            columns = [METRICS.get(metric, metric) for metric in metrics]
            yield f"| {label} | " + " | ".join(columns) + " |\n" + "|---|" + "---|" * len(metrics)
            order = [*(name for name in NAMES if name in variants), *(name for name in variants if name not in NAMES)]
            for variant in order:
                cells = [cell(variants[variant].get(metric)) for metric in metrics]
                yield f"| {NAMES.get(variant, variant)} | " + " | ".join(cells) + " |"
            yield ""


def said(name, value):
    if name == "tls":
        return f"TLS {value}"
    if name == "resumed":
        return "resumed" if value else "full"
    if name == "call":
        return f"calls of {value} bytes"
    return str(value) if name in ("group", "certificate") else f"{name} {value}"


def cell(entry):
    if entry is None:
        return ""
    middle = number(entry["median"])
    if entry["rounds"] < 2 or entry["lower_quartile"] == entry["upper_quartile"]:
        return middle
    return f"{middle} ({number(entry['lower_quartile'])} to {number(entry['upper_quartile'])})"


def number(value):
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.3g}"
