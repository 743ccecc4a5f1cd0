#!/usr/bin/env python3
"""Writes the NuGet package of the .NET binding from what `make lib dotnet` has built.

    nupkg.py FOLDER

A nupkg is a zip archive with a manifest and two parts that the Open Packaging Conventions ask for, so neither NuGet nor
a network is needed. All times in it are SOURCE_DATE_EPOCH, so the same files give the same bytes.
"""

import os
import pathlib
import re
import sys
import time
import zipfile

ROOT = pathlib.Path(__file__).resolve().parents[2]
HERE = ROOT / "bindings" / "dotnet"
BUILD = ROOT / "build"
ASSEMBLY = BUILD / "dotnet" / "SslSock.dll"
LIBRARY = BUILD / "lib" / "libsslsock.so.0"
# One assembly, where it has been run: on Mono, which takes net45, and on .NET Core 3.1, which newer .NET takes too.
FRAMEWORKS = ("net45", "netcoreapp3.1")
# ELF's number of the machine, and NuGet's name.
MACHINES = {62: "linux-x64", 183: "linux-arm64"}
MANIFEST = "SslSock.nuspec"

CONTENT_TYPES = """<?xml version="1.0" encoding="utf-8"?>
<Types xmlns="http://schemas.openxmlformats.org/package/2006/content-types">
  <Default Extension="rels" ContentType="application/vnd.openxmlformats-package.relationships+xml" />
{}
</Types>
"""
RELATIONSHIPS = f"""<?xml version="1.0" encoding="utf-8"?>
<Relationships xmlns="http://schemas.openxmlformats.org/package/2006/relationships">
  <Relationship Type="http://schemas.microsoft.com/packaging/2010/07/manifest" Target="/{MANIFEST}" Id="manifest" />
</Relationships>
"""


def version():
    return re.search(r'^version = "(.+)"$', (ROOT / "Cargo.toml").read_text(), re.M).group(1)


def contents():
    """Name and bytes of every file."""
    library = LIBRARY.read_bytes()
    identifier = MACHINES[int.from_bytes(library[18:20], "little")]
    yield MANIFEST, (HERE / MANIFEST).read_text().replace("$version$", version()).encode()
    yield "README.md", (HERE / "README.md").read_bytes()
    for name in ("LICENSE-MIT", "LICENSE-APACHE"):
        yield f"{name}.txt", (ROOT / name).read_bytes()
    for framework in FRAMEWORKS:
        for path in (ASSEMBLY, ASSEMBLY.with_suffix(".xml")):
            yield f"lib/{framework}/{path.name}", path.read_bytes()
    targets = (HERE / "SslSock.targets").read_text().replace("$identifier$", identifier)
    yield "build/net45/SslSock.targets", targets.encode()
    # By the name that the assembly asks for. A second copy by another name would be loaded as a second library.
    yield f"runtimes/{identifier}/native/{LIBRARY.name}", library


def content_types(names):
    extensions = sorted({name.rpartition(".")[2] for name in names})
    line = '  <Default Extension="{}" ContentType="application/octet" />'
    return CONTENT_TYPES.format("\n".join(map(line.format, extensions)))


def write(path):
    files = dict(contents())
    parts = {"[Content_Types].xml": content_types(files).encode(), "_rels/.rels": RELATIONSHIPS.encode(), **files}
    when = time.gmtime(int(os.environ.get("SOURCE_DATE_EPOCH") or 0))[:6]
    fresh = path.with_name(f".{path.name}")
    with zipfile.ZipFile(fresh, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in parts.items():
            # A zip archive knows no time before 1980.
            entry = zipfile.ZipInfo(name, max(when, (1980, 1, 1, 0, 0, 0)))
            entry.compress_type = zipfile.ZIP_DEFLATED
            entry.external_attr = 0o100644 << 16
            archive.writestr(entry, data)
    fresh.replace(path)


def main():
    path = pathlib.Path(sys.argv[1]) / f"SslSock.{version()}.nupkg"
    write(path)
    print(f"built {path.name}")


if __name__ == "__main__":
    main()
