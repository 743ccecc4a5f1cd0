#!/usr/bin/env python3
"""The runtimes of .NET that the tests use, and the compiler: one program is compiled once, with mcs, and runs on all.

    runtimes.py         says what is there and what is lacking

Mono and mcs are Debian's packages mono-runtime and mono-mcs. CoreCLR is the runtime of .NET Core 3.1, without a
compiler, out of a Python package that is fetched once into build/dotnet-runtime.
"""

import fcntl
import functools
import json
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile
import zipfile

ROOT = pathlib.Path(__file__).resolve().parents[2]
BUILD = pathlib.Path(os.environ.get("SSLSOCK_BUILD") or ROOT / "build").absolute()
# The assembly, with the library beside it: `make dotnet`.
ASSEMBLY = BUILD / "dotnet" / "SslSock.dll"
CORECLR = ROOT / "build" / "dotnet-runtime"
REQUIREMENTS = pathlib.Path(__file__).resolve().with_name("runtime-requirements.txt")
FETCH_SECONDS = 300
RUNTIME_CONFIG = {
    "runtimeOptions": {
        "framework": {"name": "Microsoft.NETCore.App", "version": "3.1.0"},
        # There need not be an ICU here.
        "configProperties": {"System.Globalization.Invariant": True},
    }
}


class Lacking(Exception):
    """Something is not on this machine; the text says what, and how to get it."""


class Failed(Exception):
    """The compiler has refused; the text is what it said."""


class Runtime:
    """How to start a program: `command` comes before the path of the .exe, `environment` is all of it."""

    def __init__(self, name, command, environment):
        self.name = name
        self.command = [str(part) for part in command]
        self.environment = environment

    def run(self, program, *arguments, variables=None, **options):
        """subprocess.run() of the program, with these environment variables besides."""
        command = [*self.command, str(program), *map(str, arguments)]
        return subprocess.run(command, env={**self.environment, **(variables or {})}, **options)

    def popen(self, program, *arguments, variables=None, **options):
        """subprocess.Popen of the program, in the same way."""
        command = [*self.command, str(program), *map(str, arguments)]
        return subprocess.Popen(command, env={**self.environment, **(variables or {})}, **options)


def runtimes():
    """All the runtimes that are there."""
    return [runtime for runtime in map(_runtime, _FINDERS) if isinstance(runtime, Runtime)]


def lacking():
    """What the others lack: name and text of each."""
    found = {name: _runtime(name) for name in _FINDERS}
    return {name: str(why) for name, why in found.items() if isinstance(why, Lacking)}


def runtime(name):
    """The runtime "mono" or "coreclr"; Lacking says why it is not there."""
    found = _runtime(name)
    if isinstance(found, Lacking):
        raise found
    return found


def assembly():
    """Builds the assembly with `make dotnet`; its path, beside which is the library."""
    if not shutil.which("mcs"):
        raise Lacking("no C# compiler: install the package mono-mcs")
    done = subprocess.run(["make", "-C", ROOT, "dotnet"], capture_output=True, text=True)
    if done.returncode:
        raise Failed(f"{done.stdout}{done.stderr}")
    return ASSEMBLY


def compile(sources, references, output, options=()):
    """Compiles C# 7 to an .exe, or to a library if that is the name of `output`; every warning is an error.

    A program needs its references beside it: they are copied there, and libsslsock if it is beside one of them.
    Returns the path of the output.
    """
    mcs = shutil.which("mcs")
    if not mcs:
        raise Lacking("no C# compiler: install the package mono-mcs")
    output = pathlib.Path(output)
    output.parent.mkdir(parents=True, exist_ok=True)
    target = "library" if output.suffix == ".dll" else "exe"
    done = subprocess.run(
        [
            mcs, "-langversion:7", "-warnaserror", "-debug", f"-target:{target}", f"-out:{output}",
            *(f"-reference:{reference}" for reference in references), *options, *map(str, sources),
        ],
        capture_output=True,
        text=True,
    )  # fmt: skip
    if done.returncode:
        raise Failed(f"{done.stdout}{done.stderr}")
    for reference in map(pathlib.Path, references):
        # A reference without a folder is a part of the runtime.
        if reference.parent != pathlib.Path() and reference.resolve().parent != output.resolve().parent:
            _put_beside(reference, output)
    return output


def _put_beside(reference, output):
    for path in [reference, *reference.parent.glob("libsslsock.so.0")]:
        copy = output.parent / path.name
        # Not written over: another program may be using it.
        fresh = copy.with_name(f".{path.name}.{os.getpid()}")
        if path == reference:
            shutil.copy2(path, fresh)
        else:
            fresh.symlink_to(path.resolve())
        fresh.replace(copy)


@functools.lru_cache(maxsize=None)
def _runtime(name):
    try:
        return _FINDERS[name]()
    except Lacking as why:
        return why


def _mono():
    mono = shutil.which("mono")
    if not mono:
        raise Lacking("no Mono: install the package mono-runtime")
    return Runtime("mono", [mono, "--debug"], dict(os.environ))


def _coreclr():
    host = CORECLR / "dotnet"
    if not host.exists():
        _fetch_coreclr()
    config = CORECLR / "runtimeconfig.json"
    environment = {
        **os.environ,
        "DOTNET_ROOT": str(CORECLR),
        "DOTNET_MULTILEVEL_LOOKUP": "0",
        "DOTNET_SYSTEM_GLOBALIZATION_INVARIANT": "1",
        "COMPlus_EnableDiagnostics": "0",
    }
    return Runtime("coreclr", [host, "exec", "--runtimeconfig", config], environment)


def _fetch_coreclr():
    CORECLR.parent.mkdir(parents=True, exist_ok=True)
    # One suite fetches, the others wait for it.
    with open(f"{CORECLR}.lock", "w") as lock, tempfile.TemporaryDirectory(dir=CORECLR.parent) as folder:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if CORECLR.exists():
            return
        fetch = [sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check", "--no-deps"]
        try:
            done = subprocess.run(
                [*fetch, "--only-binary", ":all:", "--require-hashes", "--dest", folder, "--requirement", REQUIREMENTS],
                capture_output=True,
                text=True,
                timeout=FETCH_SECONDS,
            )
        except subprocess.TimeoutExpired:
            raise Lacking("no CoreCLR: the Python package index did not send dotnetcore2 in time") from None
        if done.returncode:
            last = (done.stderr.strip().splitlines() or ["pip says nothing"])[-1]
            raise Lacking(f"no CoreCLR: the Python package dotnetcore2 cannot be fetched: {last}")
        (wheel,) = pathlib.Path(folder).glob("*.whl")
        with zipfile.ZipFile(wheel) as archive:
            archive.extractall(folder)
        unpacked = pathlib.Path(folder, "dotnetcore2", "bin")
        (unpacked / "dotnet").chmod(0o755)
        (unpacked / "runtimeconfig.json").write_text(json.dumps(RUNTIME_CONFIG))
        unpacked.rename(CORECLR)


_FINDERS = {"mono": _mono, "coreclr": _coreclr}


def main():
    for found in runtimes():
        print(f"{found.name}: {' '.join(found.command)}")
    for name, why in lacking().items():
        print(f"{name}: {why}")


if __name__ == "__main__":
    main()
