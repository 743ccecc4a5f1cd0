"""What NuGet and `dotnet build` make of a package, for tests: there is no .NET SDK on the machines that they run on."""

import base64
import hashlib
import json
import pathlib
import zipfile

# Of a package's parts NuGet does not unpack these.
LEFT_OUT = ("_rels/", "package/", "[Content_Types].xml")


def restore(package, folder, name, version):
    """Unpacks a package into a packages folder, as `dotnet restore` does; returns its own folder there."""
    home = pathlib.Path(folder) / name.lower() / version
    home.mkdir(parents=True)
    with zipfile.ZipFile(package) as archive:
        for part in archive.namelist():
            if not part.startswith(LEFT_OUT):
                archive.extract(part, home)
    (home / f"{name}.nuspec").rename(home / f"{name.lower()}.nuspec")
    data = pathlib.Path(package).read_bytes()
    copy = home / f"{name.lower()}.{version}.nupkg"
    copy.write_bytes(data)
    copy.with_name(f"{copy.name}.sha512").write_text(sha512(data))
    return home


def sha512(data):
    return base64.b64encode(hashlib.sha512(data).digest()).decode()


def write_dependencies(program, package, home, framework):
    """The .deps.json and .runtimeconfig.json that `dotnet build` writes beside a program that uses one package.

    program: the path of the program's .dll; package: its name and version; home: where restore() has put it.
    """
    name, version = package
    target = ".NETCoreApp,Version=v3.1"
    own = f"{program.stem}/1.0.0"
    natives = {
        str(path.relative_to(home)): {"rid": path.parts[-3], "assetType": "native", "fileVersion": "0.0.0.0"}
        for path in sorted((home / "runtimes").glob("*/native/*"))
    }
    assembly = {"assemblyVersion": f"{version}.0", "fileVersion": f"{version}.0"}
    (archive,) = home.glob("*.nupkg")
    dependencies = {
        "runtimeTarget": {"name": target, "signature": ""},
        "compilationOptions": {},
        "targets": {
            target: {
                own: {"dependencies": {name: version}, "runtime": {program.name: {}}},
                f"{name}/{version}": {"runtime": {f"lib/{framework}/{name}.dll": assembly}, "runtimeTargets": natives},
            }
        },
        "libraries": {
            own: {"type": "project", "serviceable": False, "sha512": ""},
            f"{name}/{version}": {
                "type": "package",
                "serviceable": True,
                "sha512": f"sha512-{sha512(archive.read_bytes())}",
                "path": f"{name.lower()}/{version}",
                "hashPath": f"{archive.name}.sha512",
            },
        },
    }
    program.with_suffix(".deps.json").write_text(json.dumps(dependencies, indent=2))
    configuration = {
        "runtimeOptions": {
            "tfm": "netcoreapp3.1",
            "framework": {"name": "Microsoft.NETCore.App", "version": "3.1.0"},
            # There need not be an ICU here.
            "configProperties": {"System.Globalization.Invariant": True},
        }
    }
    program.with_suffix(".runtimeconfig.json").write_text(json.dumps(configuration, indent=2))
