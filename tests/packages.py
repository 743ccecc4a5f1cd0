#!/usr/bin/env python3
"""Installs the Debian packages that the tests need, where that can be done without asking.

    packages.py [PACKAGE]...

Without arguments all that any of them needs. As root with apt-get, else with `sudo -n`, else it names the one command
and exits with 1: the tests go on, and what needs a missing package is skipped and counted. Nothing that is installed is
ever removed for it.
"""

import os
import pathlib
import platform
import shutil
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parents[1]
# For the tests themselves; those of the servers are the launcher's to say.
TOOLS = [
    "binutils", "ca-certificates", "clang", "curl", "g++", "gcc", "gnutls-bin", "libgnutls28-dev",
    "libmbedtls-dev", "libssl-dev", "make", "mono-mcs", "mono-runtime", "mono-xbuild", "openssl", "pkg-config",
    "python3-pip", "python3-venv", "strace", "stunnel4", "valgrind",
]  # fmt: skip
if platform.machine() == "x86_64":
    # Windows CE's structures are compared with 32-bit pointers too.
    TOOLS += ["g++-multilib", "gcc-multilib"]


def wanted():
    if sys.argv[1:]:
        return sys.argv[1:]
    launch = [sys.executable, ROOT / "tests/servers/launch", "packages"]
    servers = subprocess.run(launch, capture_output=True, text=True, check=True).stdout.split()
    return list(dict.fromkeys(TOOLS + servers))


def is_installed(package):
    query = ["dpkg-query", "--show", "--showformat=${db:Status-Status}", package]
    # A virtual package, such as pkg-config on newer releases, has no entry of its own.
    done = subprocess.run(query, capture_output=True, text=True)
    return done.stdout == "installed" or bool(package == "pkg-config" and shutil.which("pkg-config"))


def main():
    if not shutil.which("apt-get"):
        print(f"this is no Debian or Ubuntu: the tests use the equivalents of {' '.join(wanted())}")
        return 1
    missing = [package for package in wanted() if not is_installed(package)]
    if not missing:
        return 0
    # --no-remove: another mail server, say, must not have to go.
    install = ["apt-get", "install", "--yes", "--no-install-recommends", "--no-remove", *missing]
    prefix = []
    if os.geteuid() != 0:
        prefix = ["sudo", "-n"]
        if not shutil.which("sudo") or subprocess.run([*prefix, "true"], capture_output=True).returncode:
            print(f"some tests will be skipped; to have them run:\n    sudo {' '.join(install)}")
            return 1
    environment = [*prefix, "env", "DEBIAN_FRONTEND=noninteractive"]
    print(f"installing {' '.join(missing)}", flush=True)
    subprocess.run([*environment, "apt-get", "update", "--quiet", "--quiet"], stdin=subprocess.DEVNULL)
    done = subprocess.run([*environment, *install, "--quiet"], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
    if done.returncode:
        print(f"could not install them; by hand:\n    sudo {' '.join(install)}")
    return done.returncode


if __name__ == "__main__":
    sys.exit(main())
