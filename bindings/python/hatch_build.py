"""Builds the library with cargo and puts it into the wheel, whose tag says on which systems it can be loaded.

The Rust sources are in `rust` beside this file, as in the sdist, or two folders up, as in the repository. `make package`
makes the sdist.
"""

import json
import os
import pathlib
import re
import shutil
import subprocess

from elftools.elf.elffile import ELFFile
from hatchling.builders.hooks.plugin.interface import BuildHookInterface

HERE = pathlib.Path(__file__).resolve().parent
RUST = HERE / "rust" if (HERE / "rust").is_dir() else HERE.parents[1]
LIBRARY = "libsslsock.so.0"
MACHINES = {"EM_X86_64": "x86_64", "EM_AARCH64": "aarch64"}


def version():
    return re.search(r'^version = "(.+)"$', (RUST / "Cargo.toml").read_text(encoding="utf-8"), re.M).group(1)


def build_library():
    """The path of the library that cargo has built, wherever its settings have it put that."""
    cargo = os.environ.get("CARGO") or shutil.which("cargo")
    if not cargo:
        raise RuntimeError(
            "there is no cargo: this package builds a library from Rust sources. Install Rust "
            f"{re.search(r'^rust-version = .(.+).$', (RUST / 'Cargo.toml').read_text(encoding='utf-8'), re.M).group(1)} "
            "or newer and a C compiler, or install a wheel of sslsock, which has the library in it"
        )
    command = [cargo, "build", "--release", "--lib", "--locked", "--message-format=json-render-diagnostics"]
    # The library has no times in it, and with this variable cargo compiles everything anew.
    environment = {name: value for name, value in os.environ.items() if name != "SOURCE_DATE_EPOCH"}
    built = subprocess.run(command, cwd=RUST, env=environment, stdout=subprocess.PIPE, check=True)
    messages = [json.loads(line) for line in built.stdout.splitlines()]
    names = [name for message in messages if message["reason"] == "compiler-artifact" for name in message["filenames"]]
    return next(name for name in names if pathlib.Path(name).name == "libsslsock.so")


def platform_tag(library):
    """manylinux_2_X_MACHINE, where 2.X is the newest glibc whose symbols the library needs."""
    with open(library, "rb") as file:
        elf = ELFFile(file)
        machine = elf["e_machine"]
        section = elf.get_section_by_name(".gnu.version_r")
        names = [entry.name for _, entries in section.iter_versions() for entry in entries] if section else []
    needed = [name for name in names if name.startswith("GLIBC_")]
    versions = [re.fullmatch(r"GLIBC_(\d+)\.(\d+)(\.\d+)?", name) for name in needed]
    if not versions or not all(versions) or machine not in MACHINES:
        raise RuntimeError(
            f"no tag for a library for {machine} that needs {', '.join(needed) or 'no glibc'}: packages are made for glibc "
            f"on {' and '.join(MACHINES.values())}"
        )
    major, minor = max((int(found.group(1)), int(found.group(2))) for found in versions)
    return f"manylinux_{major}_{minor}_{MACHINES[machine]}"


class Hook(BuildHookInterface):
    def initialize(self, version, build_data):
        if self.target_name == "sdist":
            if not (HERE / "rust").is_dir():
                raise RuntimeError("the sdist has the Rust sources in it: make it with `make package`")
            return
        library = build_library()
        build_data["pure_python"] = False
        build_data["tag"] = f"py3-none-{platform_tag(library)}"
        build_data["force_include"][library] = f"sslsock/{LIBRARY}"
