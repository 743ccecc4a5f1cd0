#!/usr/bin/env python3
"""Measures the library beside its peers: `make bench`; with --quick only whether everything works: `make bench-quick`.

    run.py [--quick] [--rounds N] [--share PART] [--only WORD]... [--out FOLDER]

Every round does each piece of work with one client after the other, beginning with another one each time; the figures
are medians over the rounds. Results go to benches/results: results.json, table.md and chart.svg. What is compared how
stands in docs/performance.md.
"""

import argparse
import concurrent.futures
import dataclasses
import datetime
import json
import os
import pathlib
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time

ROOT = pathlib.Path(__file__).resolve().parents[1]
PROGRAMS = ROOT / "build" / "benches"
sys.path[:0] = [str(ROOT / "benches"), str(ROOT / "tests")]

import certificates  # noqa: E402
from report import chart, machine, table, targets  # noqa: E402
from report.figures import Figures  # noqa: E402

NAME = "bench.test"
SUITES = {
    ("13", "ecdsa"): "TLSv1.3 TLS_AES_256_GCM_SHA384",
    ("13", "rsa"): "TLSv1.3 TLS_AES_256_GCM_SHA384",
    ("12", "ecdsa"): "TLSv1.2 TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384",
    ("12", "rsa"): "TLSv1.2 TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384",
}
GROUPS = {"x25519": "X25519", "x25519mlkem768": "X25519MLKEM768"}
# As each is named in the results: the shared object, and the mode.
CLIENTS = {
    "plain": ("plain", ""),
    "openssl": ("openssl", ""),
    "openssl_released": ("openssl", "release"),
    "openssl_read_ahead": ("openssl", "read_ahead"),
    "gnutls": ("gnutls", ""),
    "mbedtls": ("mbedtls", ""),
    "stunnel": ("plain", ""),
    "rustls_buffered": ("rustls", "buffered"),
    "rustls_unbuffered": ("rustls", "unbuffered"),
    "explicit": ("sslsock", "explicit"),
    "transparent": ("sslsock", "transparent"),
    "transparent_unix": ("sslsock", "unix"),
}
OURS = ["explicit", "transparent", "transparent_unix"]
RUSTLS = ["rustls_buffered", "rustls_unbuffered"]
TLS13 = ["openssl", "openssl_released", "openssl_read_ahead", "gnutls", *RUSTLS, *OURS]
TRANSFER = ["plain", *TLS13, "stunnel"]
HANDSHAKE = {"13": ["openssl", "gnutls", *RUSTLS, *OURS], "12": ["openssl", "gnutls", "mbedtls", *RUSTLS, *OURS]}
# Programs that measure by themselves and print the same lines: arguments for a full and for a quick run.
OTHERS = {
    "upgrade_cost.py": ([], ["--rounds", "2"]),
    "scale.py": ([], ["--quick"]),
}
SLOW = {"mbedtls"}
TIMEOUT = 120


@dataclasses.dataclass(frozen=True)
class Work:
    """What one client does in one run."""

    what: str
    clients: tuple
    tls: str = "13"
    certificate: str = "ecdsa"
    group: str = "x25519"
    resume: bool = False
    options: tuple = ()
    # For clients that take ten times as long.
    slow_options: tuple = ()

    @property
    def label(self):
        parts = [self.what, *self.options[1::2], f"tls{self.tls}", self.certificate, self.group]
        return " ".join([*parts, *(["resumed"] if self.resume else [])])


def works(quick, share=1.0):
    """All that is measured in each round; with a share only that part of the bytes is transferred."""

    def bulk(*amounts):
        return [("--bytes", str(int(amount * (0.003 if quick else share)) or 1)) for amount in amounts]

    found = []
    for call, (options, slow) in ((65536, bulk(1_000_000_000, 60_000_000)), (1024, bulk(150_000_000, 20_000_000))):
        for what in ("receive", "send"):
            with_call = ("--call", str(call), *options)
            found.append(Work(what, tuple(TRANSFER), options=with_call))
            # mbedTLS 2.28 has no TLS 1.3: it is compared in 1.2, with a part of the bytes.
            if call == 65536:
                slow_call = ("--call", str(call), *slow)
                clients = ("openssl", "mbedtls", "rustls_buffered", "explicit")
                found.append(Work(what, clients, "12", options=with_call, slow_options=slow_call))
    count = ("--count", "50" if quick else "5000")
    found.append(Work("round_trip", tuple(TRANSFER), options=count))
    found.append(Work("round_trip", ("mbedtls",), "12", options=count))
    count, slow = ("--count", "5" if quick else "200"), ("--count", "2" if quick else "40")
    for tls in ("13", "12"):
        for certificate in ("ecdsa", "rsa"):
            found.append(Work("handshake", tuple(HANDSHAKE[tls]), tls, certificate, options=count, slow_options=slow))
        found.append(Work("handshake", tuple(HANDSHAKE[tls]), tls, resume=True, options=count, slow_options=slow))
    for resume in (False, True):
        hybrid = (*RUSTLS, *OURS)
        found.append(Work("handshake", hybrid, group="x25519mlkem768", resume=resume, options=count))
    found.append(Work("startup", ("plain", *TLS13)))
    found.append(Work("startup", ("mbedtls",), "12"))
    found.append(Work("records", ("aead",), options=("--bytes", "3000000" if quick else "1000000000")))
    return found


def memory(quick):
    """Not a matter of time, so all clients at once."""
    count = ("--count", "5" if quick else "200")
    return [
        Work("memory", ("plain", *TLS13), options=count),
        Work("memory", ("mbedtls",), "12", options=count),
    ]


class Bench:
    def __init__(self, folder):
        self.folder = folder
        self.processes = []
        self.trust, self.identity = {}, {}
        maker = certificates.Maker(folder)
        for name, kind in (("ecdsa", "ec"), ("rsa", "rsa")):
            authority = maker.authority(f"bench {name} CA", key=kind)
            leaf = maker.leaf(authority, names=f"DNS:{NAME}", key=kind)
            self.trust[name], self.identity[name] = authority.path, (leaf.path, leaf.key)
        self.missing = {name: why for name in CLIENTS if (why := missing(name))}
        self.ports = self.start_servers()
        if "stunnel" not in self.missing:
            self.start_stunnel()

    def start(self, command, **more):
        # A file, not a pipe that nobody reads.
        process = subprocess.Popen(command, stderr=open(self.folder / "errors", "a"), **more)
        self.processes.append(process)
        return process

    def start_servers(self):
        pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
        server = self.start([PROGRAMS / "server", *self.identity["ecdsa"], *self.identity["rsa"]], **pipes)
        ports = json.loads(server.stdout.readline())
        for key, tickets in (("hybrid", "0"), ("hybrid_tickets", "1")):
            certificate, private = self.identity["ecdsa"]
            command = [PROGRAMS / "bench", PROGRAMS / "rustls.so", "serve", "--tickets", tickets]
            server = self.start([*command, "--certificate", certificate, "--key", private], **pipes)
            ports[key] = int(server.stdout.readline())
        return ports

    def start_stunnel(self):
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.ports["stunnel"] = probe.getsockname()[1]
        settings = self.folder / "stunnel.conf"
        settings.write_text(
            "foreground = yes\npid =\ndebug = err\nsyslog = no\n"
            "socket = l:TCP_NODELAY=1\nsocket = r:TCP_NODELAY=1\n"
            "[bench]\nclient = yes\n"
            f"accept = 127.0.0.1:{self.ports['stunnel']}\nconnect = 127.0.0.1:{self.ports['ecdsa']}\n"
            f"CAfile = {self.trust['ecdsa']}\nverifyChain = yes\ncheckHost = {NAME}\n"
            "sslVersion = TLSv1.3\nciphersuites = TLS_AES_256_GCM_SHA384\ncurves = X25519\n"
        )
        self.relay = self.start([stunnel(), settings], stdout=subprocess.DEVNULL)
        for _ in range(500):
            try:
                socket.create_connection(("127.0.0.1", self.ports["stunnel"])).close()
                return
            except OSError:
                time.sleep(0.01)
        self.missing["stunnel"] = "stunnel does not start"

    def command(self, work, client, **changed):
        if client == "aead":
            return [PROGRAMS / "bench", PROGRAMS / "rustls.so", "records", "--variant", "aead", *work.options]
        shared_object, mode = CLIENTS[client]
        hybrid = work.group != "x25519"
        tickets = "_tickets" if work.resume else ""
        port = self.ports[("hybrid" if hybrid else work.certificate) + tickets]
        expected = f"{SUITES[work.tls, work.certificate]} {GROUPS[work.group]}"
        if shared_object == "plain":
            port, expected = self.ports["plain"], "plain"
        options = {
            "variant": client, "mode": mode, "tls": work.tls, "group": work.group, "label": work.certificate,
            "resume": int(work.resume), "ca": self.trust[work.certificate], "name": NAME, "port": port, "expect": expected,
        }  # fmt: skip
        if client == "stunnel":
            options.update(port=self.ports["stunnel"], relay=self.relay.pid)
            options["expect"] = f"{SUITES['13', 'ecdsa']} X25519"
        options.update(changed)
        words = [word for name, value in options.items() if value != "" for word in (f"--{name}", str(value))]
        more = work.slow_options if client in SLOW and work.slow_options else work.options
        return [PROGRAMS / "bench", PROGRAMS / f"{shared_object}.so", work.what, *words, *more]

    def run(self, work, client, **changed):
        """The lines, or why there are none."""
        try:
            done = subprocess.run(
                self.command(work, client, **changed), capture_output=True, text=True, timeout=TIMEOUT
            )
        except subprocess.TimeoutExpired:
            return [], f"no end after {TIMEOUT} s"
        if done.returncode:
            return [], done.stderr.strip()[-500:] or f"status {done.returncode}"
        return [json.loads(line) for line in done.stdout.splitlines()], ""

    def close(self):
        for process in self.processes:
            process.send_signal(signal.SIGTERM)
        for process in self.processes:
            process.wait(timeout=10)


def stunnel():
    return shutil.which("stunnel4") or shutil.which("stunnel")


def missing(client):
    """Why a client cannot run here; empty if it can."""
    if not (PROGRAMS / f"{CLIENTS[client][0]}.so").exists():
        return f"{client}: its library's headers are not installed"
    if client == "stunnel" and not stunnel():
        return "stunnel is not installed"
    return ""


class Count:
    def __init__(self):
        self.passed, self.failed, self.skipped = 0, 0, set()

    def test(self, label, why):
        if why:
            self.failed += 1
            print(f"FAILED {label}: {why}", flush=True)
        else:
            self.passed += 1

    def line(self):
        return f"{self.passed} passed, {self.failed} failed, {len(self.skipped)} skipped"


def take(bench, figures, count, work, client):
    if client in bench.missing:
        if client not in count.skipped:
            print(f"skipped: {bench.missing[client]}", flush=True)
        count.skipped.add(client)
        return
    lines, why = bench.run(work, client)
    if not why and not lines:
        why = "no figure"
    if not why and any(line["value"] < 0 for line in lines if work.what != "memory"):
        why = f"a figure below zero: {lines}"
    count.test(f"{work.label} {client}", why)
    figures.add(lines)


def measure(bench, figures, count, options, chosen):
    for number in range(options.rounds):
        begun = time.monotonic()
        for work in chosen:
            first = number % len(work.clients)
            for client in work.clients[first:] + work.clients[:first]:
                take(bench, figures, count, work, client)
        print(f"round {number + 1} of {options.rounds}: {time.monotonic() - begun:.0f} s", flush=True)


def measure_memory(bench, figures, count, quick):
    pairs = [(work, client) for work in memory(quick) for client in work.clients]
    with concurrent.futures.ThreadPoolExecutor(len(pairs)) as pool:
        for done in [pool.submit(take, bench, figures, count, *pair) for pair in pairs]:
            done.result()


def measure_others(figures, count, quick):
    for name, (full, short) in OTHERS.items():
        program = ROOT / "benches" / name
        if not program.exists():
            continue
        try:
            done = subprocess.run(
                [sys.executable, program, *(short if quick else full)], capture_output=True, text=True, timeout=900
            )
            lines = [json.loads(line) for line in done.stdout.splitlines() if line.startswith("{")]
            why = "" if done.returncode == 0 and lines else done.stderr[-1000:] or "no figure"
        except subprocess.TimeoutExpired:
            lines, why = [], "no end after 15 minutes"
        count.test(name, why)
        figures.add(lines)


def refusals(bench, count):
    """That verification is on: with another authority, or for another name, there must be no connection."""
    for client in [*TLS13, "mbedtls"]:
        if client in bench.missing:
            continue
        work = Work("startup", (client,), "12" if client == "mbedtls" else "13")
        for label, changed in (("another authority", {"ca": bench.trust["rsa"]}), ("another name", {"name": "b.test"})):
            _, why = bench.run(work, client, **changed)
            count.test(f"{client} refuses {label}", "" if why else "it has connected")
        _, why = bench.run(work, client, expect="TLSv1.3 TLS_AES_128_GCM_SHA256 X25519")
        count.test(f"{client} is not measured with another suite", "" if "agreed on" in why else "it has been")


def sizes(figures):
    """Of the shared objects that a program loads with each, but for those of the C library."""
    system = ("linux-vdso", "libc.so", "libm.so", "libpthread", "libdl.so", "ld-linux", "libgcc_s")
    for client in ("explicit", "openssl", "gnutls", "mbedtls"):
        shared_object = PROGRAMS / f"{CLIENTS[client][0]}.so"
        if not shared_object.exists():
            continue
        listed = subprocess.run(["ldd", shared_object], capture_output=True, text=True).stdout.splitlines()
        paths = [line.split(" => ")[1].split(" (")[0] for line in listed if " => /" in line]
        paths = [pathlib.Path(path).resolve() for path in paths if not any(word in path for word in system)]
        params = {"files": {path.name: path.stat().st_size for path in paths}}
        total = sum(path.stat().st_size for path in paths)
        figures.add([{"bench": "size", "variant": client, "params": params, "metric": "bytes", "value": total}])


def check_output(out, count):
    """What was written is what it should be: for the quick run, whose figures nobody reads."""
    import xml.etree.ElementTree as tree

    text = (out / "table.md").read_text()
    rows = json.loads((out / "results.json").read_text())["targets"]
    unknown = [] if count.skipped else [row["work"] for row in rows if row["value"] is None and not row["of_others"]]
    count.test("a value for every target", f"none for {', '.join(unknown)}" if unknown else "")
    lost = [row["work"] for row in rows if row["work"] not in text]
    count.test("every target is in the table", f"not there: {', '.join(lost)}" if lost else "")
    bars = tree.parse(out / "chart.svg").getroot().findall(".//{http://www.w3.org/2000/svg}rect")
    count.test("the chart has bars", "" if len(bars) > 20 else f"only {len(bars)}")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--rounds", type=int)
    parser.add_argument("--share", type=float, default=1.0, help="the part of the bytes, for a first look")
    parser.add_argument("--only", action="append", default=[], help="works whose label has this word")
    parser.add_argument("--out", type=pathlib.Path)
    options = parser.parse_args()
    options.rounds = options.rounds or (1 if options.quick else 7)
    out = options.out or (PROGRAMS / "quick" if options.quick else ROOT / "benches" / "results")
    if not (PROGRAMS / "server").exists():
        print("skipped: the server of the benchmarks needs OpenSSL's headers (apt-get install libssl-dev)")
        print("0 passed, 0 failed, 1 skipped")
        return 0
    chosen = [work for work in works(options.quick, options.share) if all(word in work.label.split() for word in options.only)]
    figures, count, begun = Figures(), Count(), time.monotonic()
    about = machine.describe(PROGRAMS, ROOT)
    about["date"] = datetime.datetime.now(datetime.timezone.utc).strftime("%Y-%m-%d %H:%M UTC")
    about["rounds"] = options.rounds
    about["share"] = options.share
    with tempfile.TemporaryDirectory() as folder:
        bench = Bench(pathlib.Path(folder))
        try:
            measure(bench, figures, count, options, chosen)
            if not options.only or "memory" in options.only:
                for _ in range(1 if options.quick else 3):
                    measure_memory(bench, figures, count, options.quick)
            if options.quick:
                refusals(bench, count)
        finally:
            bench.close()
    if not options.only:
        sizes(figures)
        measure_others(figures, count, options.quick)
    about["seconds"] = round(time.monotonic() - begun)
    about["load_at_end"] = os.getloadavg()
    summary = figures.summary()
    rows = targets.compute(summary)
    out.mkdir(parents=True, exist_ok=True)
    result = {"about": about, "targets": rows, "figures": summary.as_list()}
    (out / "results.json").write_text(json.dumps(result, indent=1) + "\n")
    (out / "table.md").write_text(table.text(about, rows, summary))
    (out / "chart.svg").write_text(chart.svg(about, summary))
    if options.quick:
        check_output(out, count)
    else:
        print(table.targets(rows))
    print(f"results in {out}")
    print(count.line())
    return 1 if count.failed else 0


if __name__ == "__main__":
    sys.exit(main())
