#!/usr/bin/env python3
"""Makes the packages of the bindings: wheel and sdist for Python, nupkg for .NET (`make package`).

    package.py [--out FOLDER] [wheel] [sdist] [nupkg]

Without names all three, into build/packages. The same sources and the same library give the same bytes: the time in
the archives is SOURCE_DATE_EPOCH. The tools for Python are in a virtual environment of their own, build/package-tools,
with the versions of package-tools.txt.
"""

import argparse
import importlib.util
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile
import venv

ROOT = pathlib.Path(__file__).resolve().parents[1]
PYTHON = ROOT / "bindings" / "python"
TOOLS = ROOT / "build" / "package-tools"
# What cargo needs to build the library, and what the manifest names beside it, which has to be there.
RUST = (
    ".cargo", "Cargo.lock", "Cargo.toml", "build.rs", "src",
    "benches/engine.rs", "benches/paths.rs", "benches/rustls/bench.rs",
)  # fmt: skip
# Any fixed time does; this is the one that hatchling takes too.
EPOCH = "1580601600"
PATTERNS = {"wheel": "sslsock-*.whl", "sdist": "sslsock-*.tar.gz", "nupkg": "SslSock.*.nupkg"}

# The status when something is not on this machine.
LACKING = 77


def tools():
    """The Python that has the packaging tools, installed when their list has changed."""
    python = TOOLS / "bin" / "python"
    wanted = ROOT / "bindings" / "package-tools.txt"
    mark = TOOLS / wanted.name
    if not mark.exists() or mark.read_bytes() != wanted.read_bytes():
        if not importlib.util.find_spec("ensurepip"):
            lack("no Python modules venv and ensurepip: install the package python3-venv")
        shutil.rmtree(TOOLS, ignore_errors=True)
        venv.create(TOOLS, with_pip=True)
        install = [python, "-m", "pip", "--disable-pip-version-check", "install", "--quiet", "--requirement", wanted]
        if subprocess.run(install).returncode:
            lack(f"the Python packages of {wanted} cannot be fetched")
        shutil.copy(wanted, mark)
    return python


def lack(what):
    print(f"package.py: {what}", file=sys.stderr)
    sys.exit(LACKING)


def environment():
    """Not for make: with this variable cargo compiles everything anew."""
    return {"SOURCE_DATE_EPOCH": EPOCH, **os.environ}


def build_python(kind, folder, out):
    command = [tools(), "-m", "build", "--no-isolation", f"--{kind}", "--outdir", out, folder]
    subprocess.run(command, env=environment(), check=True)


def wheel(out):
    build_python("wheel", PYTHON, out)


def sdist(out):
    with tempfile.TemporaryDirectory() as folder:
        source = pathlib.Path(folder) / "sslsock"
        # The licences are links there, and files in the sdist.
        shutil.copytree(PYTHON, source, ignore=shutil.ignore_patterns("__pycache__", "libsslsock.so*"))
        (source / "rust").mkdir()
        for name in RUST:
            copy = shutil.copytree if (ROOT / name).is_dir() else shutil.copy
            (source / "rust" / name).parent.mkdir(parents=True, exist_ok=True)
            copy(ROOT / name, source / "rust" / name)
        build_python("sdist", source, out)


def nupkg(out):
    if not shutil.which(os.environ.get("MCS", "mcs")):
        lack("no C# compiler: install the package mono-mcs")
    subprocess.run(["make", "--silent", "lib", "dotnet"], cwd=ROOT, check=True)
    subprocess.run([sys.executable, ROOT / "bindings" / "dotnet" / "nupkg.py", out], env=environment(), check=True)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--out", type=pathlib.Path, default=ROOT / "build" / "packages")
    parser.add_argument("kinds", nargs="*", metavar="KIND", help="wheel, sdist, nupkg")
    arguments = parser.parse_args()
    makers = {maker.__name__: maker for maker in (wheel, sdist, nupkg)}
    for kind in arguments.kinds or makers:
        if kind not in makers:
            parser.error(f"{kind} is no kind of package")
    out = arguments.out.absolute()
    out.mkdir(parents=True, exist_ok=True)
    for kind in arguments.kinds or makers:
        # Those of another version would be taken for this one's.
        for old in out.glob(PATTERNS[kind]):
            old.unlink()
        makers[kind](out)


if __name__ == "__main__":
    main()
