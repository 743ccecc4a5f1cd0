"""What the figures depend on and are of no use without."""

import os
import pathlib
import platform
import re
import subprocess


def describe(programs, root):
    return {
        "processor": field("/proc/cpuinfo", r"model name\s*: (.*)"),
        "processors": os.cpu_count(),
        "memory_kib": int(field("/proc/meminfo", r"MemTotal:\s*(\d+)") or 0),
        "kernel": platform.release(),
        "system": field("/etc/os-release", r'PRETTY_NAME="(.*)"'),
        "load_at_start": os.getloadavg(),
        "commit": output(["git", "describe", "--always", "--dirty"], root),
        "versions": versions(programs, root),
        "rustflags": os.environ.get("RUSTFLAGS", ""),
        "cargo_config": text(root / ".cargo" / "config.toml"),
        "peer_flags": re.findall(r"^BENCH_FLAGS := (.*)$", text(root / "Makefile"), re.M),
        "record_bytes": 16384,
        "tcp_rmem": text("/proc/sys/net/ipv4/tcp_rmem").split(),
        "tcp_wmem": text("/proc/sys/net/ipv4/tcp_wmem").split(),
        "loopback_mtu": text("/sys/class/net/lo/mtu").strip(),
    }


def versions(programs, root):
    found = {}
    for name in ("openssl", "gnutls", "mbedtls", "sslsock"):
        shared_object = programs / f"{name}.so"
        if shared_object.exists():
            found[name] = output([programs / "bench", shared_object, "version"], root)
    lock = text(root / "Cargo.lock")
    for crate in ("rustls", "aws-lc-rs", "aws-lc-sys"):
        version = re.search(rf'name = "{crate}"\nversion = "(.*)"', lock)
        found[crate] = version.group(1) if version else "?"
    match = re.search(r"stunnel [\d.]+", output(["stunnel4", "-version"], root))
    found["stunnel"] = match.group() if match else "not installed"
    found["rustc"] = output(["rustc", "--version"], root)
    found["cc"] = (output(["cc", "--version"], root).splitlines() or ["?"])[0]
    return found


def output(command, root):
    try:
        done = subprocess.run(command, cwd=root, capture_output=True, text=True, timeout=20)
    except OSError:
        return ""
    # stunnel says its version on the standard error.
    return (done.stdout or done.stderr).strip()


def text(path):
    try:
        return pathlib.Path(path).read_text()
    except OSError:
        return ""


def field(path, pattern):
    match = re.search(pattern, text(path))
    return match.group(1) if match else None
