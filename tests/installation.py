"""A machine on which only the packages are installed: for tests that the tree must not help.

Programs run in a mount namespace in which the source tree is an empty folder, with an empty home and nothing of this
project in the environment.
"""

import os
import pathlib
import shutil
import subprocess
import sys
import tempfile

ROOT = pathlib.Path(__file__).resolve().parents[1]
PACKAGES = ROOT / "build" / "packages"
TOOLS = ROOT / "build" / "package-tools"
SECONDS = 120
# The status of package.py when something is not there.
LACKING = 77
# The arguments: the tree, the folder, then pairs for mount --bind, --, the command.
ENTER = """
set -eu
tree=$1 folder=$2
shift 2
while [ "$1" != -- ]; do
    mount --bind "$1" "$2"
    shift 2
done
shift
mount -t tmpfs -o mode=755 none "$tree"
cd "$folder"
exec "$@"
"""


class Lacking(Exception):
    """Something is not on this machine; the text says what, and how to get it."""


class Machine:
    """A folder in which packages are installed, and the way to run programs that see no more than that."""

    def __init__(self):
        self._temporary = tempfile.TemporaryDirectory(prefix="installed-")
        self.folder = pathlib.Path(self._temporary.name)
        self.home = self.folder / "home"
        self.home.mkdir()
        self.hosts = self.folder / "hosts"
        self.hosts.write_text("127.0.0.1 localhost\n127.0.0.2 mail.test\n::1 localhost\n")
        # Folders of the tree that stand for something installed: where they are, and where they are seen.
        self.binds = {pathlib.Path("/etc/hosts"): self.hosts}

    def close(self):
        self._temporary.cleanup()

    def environment(self, **variables):
        kept = {name: os.environ[name] for name in ("PATH", "LANG", "TMPDIR") if name in os.environ}
        return {**kept, "HOME": str(self.home), **variables}

    def bind(self, source, name):
        """The folder under which programs see the one of the tree."""
        target = self.folder / name
        target.mkdir()
        self.binds[target] = source
        return target

    def run(self, *command, variables=None, **options):
        """subprocess.run() of the command in this machine's folder, with text output."""
        namespace = ["unshare", "--mount", "--propagation", "private"]
        if os.geteuid() != 0:
            namespace += ["--user", "--map-root-user"]
        binds = [str(path) for target, source in self.binds.items() for path in (source, target)]
        enter = ["sh", "-c", ENTER, "enter", str(ROOT), str(self.folder), *binds, "--"]
        return subprocess.run(
            [*namespace, *enter, *map(str, command)],
            env=self.environment(**(variables or {})), cwd=self.folder, stdin=subprocess.DEVNULL, capture_output=True,
            text=True, errors="replace", timeout=SECONDS, **options,
        )  # fmt: skip

    def virtual_environment(self, name, python=sys.executable):
        """The Python of a fresh virtual environment."""
        subprocess.run([python, "-m", "venv", self.folder / name], check=True)
        return self.folder / name / "bin" / "python"

    def pip_install(self, python, *arguments, variables=None):
        """Done as a user does it; not in the namespace, for a package index may need what is configured at home."""
        command = [python, "-m", "pip", "--disable-pip-version-check", "install", "--quiet", *arguments]
        environment = {**os.environ, **(variables or {})}
        return subprocess.run(command, env=environment, cwd=self.folder, capture_output=True, text=True, timeout=600)


def check_namespaces():
    """Lacking, if programs cannot be run without the tree here."""
    if not shutil.which("unshare"):
        raise Lacking("no unshare: install the package util-linux")
    namespace = ["unshare", "--mount"] + (["--user", "--map-root-user"] if os.geteuid() else [])
    done = subprocess.run([*namespace, "mount", "-t", "tmpfs", "none", ROOT], capture_output=True, text=True)
    if done.returncode:
        raise Lacking(f"no mount namespaces for this user, so the tree cannot be hidden: {done.stderr.strip()}")


def make_packages(*kinds, out=PACKAGES, **options):
    """Lacking, if this machine has not what that needs."""
    command = [sys.executable, ROOT / "bindings" / "package.py", "--out", out, *kinds]
    environment = {name: value for name, value in os.environ.items() if name != "SOURCE_DATE_EPOCH"}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=600, **options)
    if done.returncode == LACKING:
        raise Lacking(done.stderr.strip().splitlines()[-1])
    if done.returncode:
        raise RuntimeError(f"package.py {' '.join(kinds)}: {done.stdout}{done.stderr}")


def only(folder, pattern):
    """The one file there."""
    (path,) = pathlib.Path(folder).glob(pattern)
    return path
