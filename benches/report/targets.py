"""Each line of the targets: what was measured, against what, and whether that is enough."""

BULK = {"tls": "1.3", "call": 65536}


def compute(summary):
    """Rows: work, target, value (None: not measured), unit, reached, and whether another program measures it."""
    rows = []

    def row(work, value, limit, unit="", at_most=True, of_others=False):
        reached = None if value is None or limit is None else (value <= limit if at_most else value >= limit)
        sign = "at most" if at_most else "at least"
        target = "" if limit is None else f"{sign} {limit:g}{unit}"
        rows.append(
            {"work": work, "target": target, "value": value, "unit": unit, "reached": reached, "of_others": of_others}
        )

    def bulk(direction, variant, metric="cpu_s_per_gb"):
        return summary.median(f"bulk_{direction}", metric, variant, **BULK)

    openssls = ("openssl", "openssl_released", "openssl_read_ahead")
    for direction, limit in (("receive", 0.65), ("send", 0.70)):
        ours = bulk(direction, "explicit")
        row(f"explicit {direction}, CPU, of OpenSSL's", ratio(ours, bulk(direction, "openssl")), limit)
        best = least(bulk(direction, variant) for variant in openssls)
        row(f"explicit {direction}, CPU, of OpenSSL's best setting", ratio(ours, best), None)
        aead = summary.median("aead_open" if direction == "receive" else "aead_seal", "cpu_s_per_gb", "aead")
        floor = total(bulk(direction, "plain"), aead)
        limit = 1.25 if direction == "receive" else None
        row(f"explicit {direction}, CPU, of plain TCP + AES-256-GCM", ratio(ours, floor), limit)
    for variant, name, limits in (
        ("transparent", "transparent", {"receive": 0.95, "send": 1.05}),
        ("transparent_unix", "transparent on AF_UNIX", {"receive": 0.90, "send": 0.90}),
    ):
        for direction, limit in limits.items():
            cpu = ratio(bulk(direction, variant), bulk(direction, "openssl"))
            row(f"{name} {direction}, CPU, of OpenSSL's", cpu, limit)
            speed = ratio(bulk(direction, variant, "mb_per_s"), bulk(direction, "openssl", "mb_per_s"))
            row(f"{name} {direction}, throughput, of OpenSSL's", speed, 1.0, at_most=False)
    for direction in ("receive", "send"):
        speed = ratio(bulk(direction, "transparent", "mb_per_s"), bulk(direction, "stunnel", "mb_per_s"))
        row(f"transparent {direction}, throughput, of client + stunnel", speed, 1.7, at_most=False)
        cpu = ratio(bulk(direction, "transparent"), bulk(direction, "stunnel"))
        row(f"transparent {direction}, CPU, of client + stunnel", cpu, 0.6)
    trip = {name: summary.median("round_trip", "cpu_us", name, tls="1.3") for name in ("explicit", "transparent")}
    over = None if None in trip.values() else trip["transparent"] - trip["explicit"]
    row("transparent round trip of 64 bytes, CPU over explicit", over, 20, " us")
    handshakes(summary, row)
    for variant, limit in (("explicit", 8), ("transparent", 10)):
        heap = summary.median("memory", "heap_bytes", variant)
        row(f"idle connection, our heap, {variant}", kib(heap), limit, " KiB")
    ready = summary.median("startup", "first_socket_cpu_ms", "explicit")
    row("dlopen to first socket ready (handshake done), CPU", ready, 5, " ms")
    many(summary, lambda *arguments, **more: row(*arguments, **more, of_others=True))
    return rows


def many(summary, row):
    """What benches/scale.py has measured, at the largest number of connections that it could have."""
    variant = "tcp_pair"
    counts = sorted(entry["params"]["connections"] for entry in summary.find("scale", "echoes_failed", variant))
    most = counts[-1] if counts else 6000

    def at(metric, count=most, mode=variant):
        return summary.median("scale", metric, mode, connections=count)

    name = f"{most:,} transparent connections"
    row(f"{name}, echoes that failed", at("echoes_failed"), 0)
    less = 100 if 100 in counts else None
    row(f"{name}, CPU of an echo, of that with 100", ratio(at("echo_cpu_us"), at("echo_cpu_us", less)), 1.1)
    # Without any relay: what the kernel's part of so many connections costs, and caches that are too small for them.
    alone = ratio(at("echo_cpu_us", mode="explicit"), at("echo_cpu_us", less, "explicit"))
    row(f"{most:,} explicit connections, CPU of an echo, of that with 100", alone, None)
    row(f"{name}, CPU of bulk, of that with 100", ratio(at("bulk_cpu_s_per_gb"), at("bulk_cpu_s_per_gb", less)), 1.1)
    row(f"{name}, heap of each when idle", kib(at("heap_bytes_per_idle")), 10, " KiB")
    row(f"{name}, idle for 10 s, CPU", at("idle_cpu_us"), 0, " us")
    row(f"{name}, idle for 10 s, context switches", at("idle_context_switches"), 0)
    row(f"{name}, descriptors left after closing", at("descriptors_left"), 0)
    row(f"{name}, threads left after closing", at("relay_threads_left"), 1)
    churn = summary.find("scale", "churn_failed", variant)
    row("500 connections a second, failed", churn[0]["max"] if churn else None, 0)


def kib(bytes_count):
    return None if bytes_count is None else bytes_count / 1024


def handshakes(summary, row):
    def handshake(metric, variant, resumed, tls, certificate, group):
        params = {"resumed": resumed, "tls": tls, "certificate": certificate, "group": group}
        return summary.median("handshake", metric, variant, **params)

    def rate(*which):
        return handshake("per_cpu_s", *which)

    def bare(*which):
        """The better of both ways to use it."""
        rates = [rate(f"rustls_{kind}", *which) for kind in ("buffered", "unbuffered")]
        return None if None in rates else max(rates)

    def call_alone(*which):
        """The same of the call that makes the handshake, without connecting and closing."""
        names = ("rustls_buffered", "rustls_unbuffered", "explicit")
        *both, ours = (handshake("inside_cpu_us", name, *which) for name in names)
        return ratio(least(both), ours)

    groups = {"x25519": "X25519", "x25519mlkem768": "X25519MLKEM768"}
    kinds = [(tls, certificate, "x25519") for tls in ("1.3", "1.2") for certificate in ("ecdsa", "rsa")]
    hybrid = ("1.3", "ecdsa", "x25519mlkem768")
    for kind in [*kinds, hybrid]:
        label = f"TLS {kind[0]}, {kind[1].upper()}, {groups[kind[2]]}"
        ours = rate("explicit", False, *kind)
        if kind != hybrid:
            than = ratio(ours, rate("openssl", False, *kind))
            row(f"full handshake per CPU second ({label}), of OpenSSL's", than, 2.2, at_most=False)
        than = ratio(ours, bare(False, *kind))
        row(f"full handshake per CPU second ({label}), of bare rustls", than, 0.95, at_most=False)
        row(f"full handshake, the call alone ({label}), of bare rustls", call_alone(False, *kind), None)
    for kind in (("1.3", "ecdsa", "x25519"), ("1.2", "ecdsa", "x25519"), hybrid):
        label = f"TLS {kind[0]}, {groups[kind[2]]}"
        than = ratio(rate("explicit", True, *kind), bare(True, *kind))
        row(f"resumed per CPU second ({label}), of bare rustls", than, 0.95, at_most=False)
        row(f"resumed, the call alone ({label}), of bare rustls", call_alone(True, *kind), None)


def ratio(a, b):
    return None if a is None or not b else a / b


def total(*parts):
    return None if None in parts else sum(parts)


def least(values):
    known = [value for value in values if value is not None]
    return min(known) if known else None
