#!/usr/bin/env python3
"""The C tests, with their peers; and the library as a file: names, header, installation, the end of a process.

    c_tests.py              the programs of build/c-tests, exports, header, installation, ends   (make c-tests)
    c_tests.py --asan       the programs of build/asan/c-tests                                   (make c-tests-asan)
    c_tests.py --panics     the panics in every exported function                                (make c-tests-panics)
    c_tests.py --tsan       programs of build/tsan/c-tests, for tests/thread_sanitizer.py        (make c-tests-tsan)
    c_tests.py --valgrind   programs of build/c-tests under valgrind's memcheck and helgrind
    c_tests.py --long       the ordinary ones with many more rounds (SSLSOCK_LONG=1 for the programs)

Arguments choose tests by parts of their names. The last line says how many passed, failed and were skipped.
"""

import argparse
import concurrent.futures
import os
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile
import threading
import time

ROOT = pathlib.Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT / "tests"), str(ROOT / "tests" / "servers")]

import endings  # noqa: E402
import fault_table  # noqa: E402
import peer  # noqa: E402
import pki  # noqa: E402
import recording_peer  # noqa: E402
from endings import BUILD, Failed, Skipped, need  # noqa: E402

PROGRAMS = (
    "closing",
    "descriptor",
    "duplex",
    "edges",
    "end_of_process",
    "ends",
    "fairness",
    "faults",
    "fork",
    "handle",
    "handle_identity",
    "handle_parameters",
    "handle_sessions",
    "handle_trust",
    "ioctl",
    "ioctl_effects",
    "ioctl_table",
    "load",
    "nothing_in_clear",
    "numbers",
    "other_threads",
    "peer_name",
    "ports",
    "process",
    "readiness",
    "relay_threads",
    "scarcity",
    "secure",
    "shim_arguments",
    "slow_reader",
    "sole_descriptor",
    "stream",
    "surroundings",
    "validation",
    "wince_certificates",
    "wince_certificates-c++",
    "wince_ioctl",
    "wince_ioctl-c++",
    "wince_lookup",
    "wince_lookup-c++",
    "wince_select",
    "wince_select-c++",
    "wince_system",
    "wince_system-c++",
    "wince_text",
    "wince_text-c++",
    "wince_text_narrow",
    "wince_text_narrow-c++",
    "winsock",
    "loading/names",
    "loading/openssl",
    "loading/rounds",
)
# What takes minutes.
LONG_PROGRAMS = ("patience",)
HEADERS = ("header-c99", "header-c11", "header-c17", "header-c++17")
# Under AddressSanitizer OpenSSL's own leaks and the hijacked names say nothing about the library.
ASAN_PROGRAMS = (
    "closing",
    "descriptor",
    "edges",
    "ends",
    "fork",
    "handle",
    "handle_identity",
    "handle_parameters",
    "handle_sessions",
    "handle_trust",
    "ioctl",
    "ioctl_effects",
    "ioctl_table",
    "nothing_in_clear",
    "numbers",
    "other_threads",
    "peer_name",
    "process",
    "readiness",
    "relay_threads",
    "secure",
    "shim_arguments",
    "slow_reader",
    "stream",
    "surroundings",
    "validation",
    "wince_certificates",
    "wince_ioctl",
    "wince_lookup",
    "wince_select",
    "wince_system",
    "wince_text",
    "wince_text_narrow",
    "winsock",
    "loading/rounds",
)
# Programs, and which of their tests. Left out is what closes a descriptor under a thread that is inside a call on it,
# which ThreadSanitizer takes for a race, what is the same once more, and what its own thread or the end of the main
# thread, which it does not know, makes into something else.
TSAN_PROGRAMS = {
    "closing": (),
    "end_of_process": ("exit_", "last_few", "explicit_session", "exit_handler", "locked_stream", "flush_all", "in_a_child"),
    "numbers": ("a_handle_leaves", "close_twice", "fifty_threads"),
    "other_threads": ("under_tls", "upgrade_dies", "in_a_call"),
    "process": (),
    "readiness": (),
    "relay_threads": ("number_counts",),
    "slow_reader": (),
    "validation": (),
    "loading/rounds": (),
}
# Of everything one test, in one way: a handshake takes seconds under valgrind. What starts itself by exec cannot be run.
MEMCHECK_PROGRAMS = {
    "descriptor": ("(IPv4)",),
    "end_of_process": ("(TCP pair)", "exit_delivers (IPv4, Unix pair)"),
    "fork": tuple(
        f"{name} (IPv4)"
        for name in (
            "a_child_can_open_connections",
            "a_child_that_ends_leaves_the_parent_alone",
            "the_child_has_the_descriptor_when_the_parent_has_closed_it",
            "the_parent_exits_first",
            "nothing_of_an_inherited_handle_reaches_the_peer",
            "what_a_child_sent_itself_leaves_at_its_exit",
            "a_grandchild_may_use_the_descriptor_while_the_first_process_lives",
            "forks_in_mid_send_lose_nothing",
            "cat_speaks_tls_through_the_descriptor",
        )
    ),
    "handle": (),
    "handle_identity": (),
    "handle_parameters": ("lists", "versions", "files_that", "buffers"),
    "handle_trust": (),
    "ioctl": (),
    "load": ("killed",),
    "numbers": ("close_", "a_handle_leaves"),
    "peer_name": ("address", "memory_must"),
    "process": ("(IPv4, explicit)",),
    "readiness": ("(IPv4, Unix pair)",),
    "secure": ("held_socket (IPv4)", "lets_go_and", "no_sense", "cannot_be"),
    "stream": ("(IPv4)",),
    "wince_certificates": ("common_name", "is_refused", "names_are_shown", "provider"),
    "wince_system": (),
    "wince_text": (),
    "loading/rounds": ("threads_of_one_load", "unloaded_beside"),
}
MEMCHECK = ("valgrind", "--tool=memcheck", "--quiet", "--error-exitcode=99", "--fair-sched=yes")
LEAKS = ("--leak-check=full", "--show-leak-kinds=definite", "--errors-for-leak-kinds=definite")
# A forked child has what its parent's threads held, and nobody to give it back.
FORKING = ("fork", "process")
HELGRIND_PROGRAMS = {
    "numbers": ("close_during", "shutdown_wakes"),
    "process": ("signals_every_millisecond",),
    "loading/rounds": ("threads_of_one_load", "unloaded_beside"),
}
HELGRIND = (
    "valgrind", "--tool=helgrind", "--quiet", "--error-exitcode=99", "--fair-sched=yes",
    f"--suppressions={ROOT / 'tests' / 'helgrind.supp'}",
)  # fmt: skip
PROGRAM_SECONDS = 1800
AT_ONCE = 4
ENDINGS_AT_ONCE = 16
COUNTS = re.compile(r"^(\d+) passed, (\d+) failed, (\d+) skipped$")


class Tally:
    """Counts, and prints one line for each test."""

    def __init__(self, chosen):
        self.passed = self.failed = self.skipped = 0
        self.chosen = chosen
        self.lock = threading.Lock()

    def is_chosen(self, name):
        return not self.chosen or any(word in name for word in self.chosen)

    def run(self, name, test):
        if not self.is_chosen(name):
            return
        try:
            test()
        except Skipped as why:
            if os.environ.get("CI"):
                self._note("failed", f"not ok {name}: {why}")
            else:
                self._note("skipped", f"skip {name}: {why}")
        except (Failed, OSError, subprocess.SubprocessError) as why:
            self._note("failed", f"not ok {name}: {why}")
        else:
            self._note("passed", f"ok {name}")

    def add_program(self, path, variables, tests=(), under=()):
        """The tests of a program that have one of these words in their names; `under` is a command to run it with."""
        name = str(path.relative_to(BUILD))
        if not path.exists():
            self._note("failed", f"not ok {name}: it has not been built")
            return
        name = " ".join((*(word.removeprefix("--tool=") for word in under[1:2]), name))
        arguments = tests if not self.chosen or any(word in name for word in self.chosen) else self.chosen
        began = time.monotonic()
        try:
            done = subprocess.run(
                [*under, path, *arguments], env={**os.environ, **variables}, capture_output=True, text=True,
                errors="replace", timeout=PROGRAM_SECONDS,
            )  # fmt: skip
        except subprocess.TimeoutExpired:
            self._note("failed", f"not ok {name}: not over after {PROGRAM_SECONDS} s")
            return
        lines = done.stdout.splitlines()
        counts = COUNTS.match(lines[-1]) if lines else None
        with self.lock:
            for line in lines[:-1]:
                print(re.sub(r"^(ok|not ok|skip) ", rf"\1 {name}: ", line))
            if done.returncode and done.stderr:
                print(done.stderr, file=sys.stderr)
            print(f"# {name}: {time.monotonic() - began:.1f} s", flush=True)
            if counts:
                passed, failed, skipped = map(int, counts.groups())
                if failed == 0 and done.returncode and passed + skipped:
                    failed = 1
                self.passed += passed
                self.failed += failed
                self.skipped += skipped
        # Without the last line it did not come to its end.
        if not counts:
            self._note("failed", f"not ok {name}: status {done.returncode}: {done.stderr.strip()[-500:]}")

    def _note(self, what, line):
        with self.lock:
            setattr(self, what, getattr(self, what) + 1)
            print(line, flush=True)

    def finish(self):
        sys.stderr.flush()
        print(f"{self.passed} passed, {self.failed} failed, {self.skipped} skipped", flush=True)
        return 1 if self.failed or self.passed + self.skipped == 0 else 0


def run(*command, **options):
    done = subprocess.run([str(word) for word in command], capture_output=True, text=True, timeout=300, **options)
    if done.returncode:
        raise Failed(f"{' '.join(map(str, command))}: status {done.returncode}: {(done.stdout + done.stderr).strip()[-800:]}")
    return done.stdout


# The library as a file.


def listed_names():
    return set((ROOT / "symbols.list").read_text().split())


def exactly_the_listed_names_are_exported():
    need("nm")
    lines = run("nm", "-D", "--defined-only", BUILD / "lib" / "libsslsock.so").splitlines()
    exported = {line.split()[-1].split("@")[0] for line in lines}
    if exported != listed_names():
        more, fewer = exported - listed_names(), listed_names() - exported
        raise Failed(f"exported but not listed: {sorted(more)}; listed but not exported: {sorted(fewer)}")


def the_library_is_linked_as_it_must_be():
    need("readelf")
    dynamic = run("readelf", "--wide", "--dynamic", BUILD / "lib" / "libsslsock.so")
    for word in ("soname: [libsslsock.so.0]", "SYMBOLIC", "NODELETE"):
        if word not in dynamic:
            raise Failed(f"no {word} in its dynamic section")
    needed = set(re.findall(r"\(NEEDED\).*\[(.*)\]", dynamic))
    strange = {name for name in needed if not re.match(r"(libc|libgcc_s|libm|ld-linux-x86-64|libpthread|libdl)\.so", name)}
    if strange:
        raise Failed(f"it needs {sorted(strange)}")


def the_header_defines_only_what_it_may():
    need("cc")
    defined = run("cc", "-dM", "-E", "-include", "sslsock.h", "-x", "c", "/dev/null", "-I", ROOT / "include")
    # Before it is included, the headers that it includes have been.
    before = run("cc", "-dM", "-E", "-include", "stddef.h", "-include", "stdint.h", "-x", "c", "/dev/null")
    own = {line.split()[1] for line in set(defined.splitlines()) - set(before.splitlines())}
    strange = sorted(name for name in own if not name.startswith(("SSL_", "SSLSOCK_H")))
    if strange:
        raise Failed(f"macros without the prefix: {strange}")


def the_header_declares_exactly_the_listed_names():
    text = re.sub(r"//[^\n]*|/\*.*?\*/", "", (ROOT / "include" / "sslsock.h").read_text(), flags=re.S)
    declared = set(re.findall(r"\b(ssl_\w+)\(", text))
    declared |= names_of_shims()
    if declared != listed_names():
        raise Failed(f"the headers and symbols.list differ in {sorted(declared ^ listed_names())}")


def names_of_shims():
    """The names to which the headers for Windows CE sources bind their functions."""
    paths = [path for path in sorted((ROOT / "include" / "wince").rglob("*.h")) if not path.is_symlink()]
    texts = [re.sub(r"//[^\n]*|/\*.*?\*/", "", path.read_text(), flags=re.S) for path in paths]
    return {f"ssl_wce_{name}" for text in texts for name in re.findall(r"\bSSLSOCK_WCE\((\w+)\)\s*[;,]", text)}


def every_listed_name_has_a_test_of_its_arguments():
    text = "".join(path.read_text() for path in sorted((ROOT / "c-tests").glob("handle*.c")))
    missing = sorted(name for name in listed_names() - names_of_shims() if not re.search(rf"\b{name}\b", text))
    if missing:
        raise Failed(f"c-tests/handle*.c do not call {missing}")
    # What c-tests/shim_arguments.c calls.
    rows = re.findall(r'^    \{"(\w+)", [A-Z_]+, "(\w*)"\},$', (ROOT / "c-tests" / "common" / "shims.c").read_text(), re.M)
    if sorted(name for name, _ in rows) != sorted(names_of_shims()):
        raise Failed(f"c-tests/common/shims.c has other rows: {sorted(names_of_shims() ^ {name for name, _ in rows})}")


def shape(folder):
    """What is in a folder: every name, with a link's target or a file's contents."""

    def content(path):
        return os.readlink(path) if path.is_symlink() else path.is_dir() or path.read_bytes()

    return {str(path.relative_to(folder)): content(path) for path in folder.rglob("*")}


def install_and_use(variables):
    need("make", "pkg-config", "cc")
    with tempfile.TemporaryDirectory() as folder:
        where = [f"DESTDIR={folder}", "PREFIX=/usr"]
        make = {key: value for key, value in os.environ.items() if key not in ("MAKEFLAGS", "MAKELEVEL")}
        run("make", "-C", ROOT, "install", *where, env=make)
        environment = {
            **os.environ,
            "PKG_CONFIG_LIBDIR": f"{folder}/usr/lib/pkgconfig",
            "PKG_CONFIG_SYSROOT_DIR": folder,
            "PKG_CONFIG_ALLOW_SYSTEM_CFLAGS": "1",
            "PKG_CONFIG_ALLOW_SYSTEM_LIBS": "1",
        }

        def flags(*options, package="sslsock", environment=environment):
            return run("pkg-config", *options, package, env=environment).split()

        for package in ("sslsock", "sslsock-wince"):
            if run("pkg-config", "--modversion", package, env=environment) != version() + "\n":
                raise Failed(f"pkg-config knows another version of {package}")
        source = ROOT / "c-tests" / "installed" / "program.c"
        common = ["cc", "-std=c11", "-D_GNU_SOURCE", "-Wall", "-Wextra", "-Wpedantic", "-Werror"]
        arguments = [variables["SSLSOCK_PEER"].rpartition(":")[2], f"{variables['SSLSOCK_PKI']}/ca.pem"]
        said = f"hello from sslsock {version()}\n"

        def check(program, **environment):
            got = run(program, *arguments, env={**os.environ, **environment})
            if got != said:
                raise Failed(f"{program.name} says {got!r}")

        dynamic = pathlib.Path(folder, "dynamic")
        run(*common, "-o", dynamic, source, *flags("--cflags", "--libs"))
        check(dynamic, LD_LIBRARY_PATH=f"{folder}/usr/lib")
        if "libsslsock.so.0" not in run("readelf", "--dynamic", dynamic):
            raise Failed("the dynamic program does not need libsslsock.so.0")

        # The library alone static: what a program that is shipped by itself does.
        archived = pathlib.Path(folder, "archived")
        libraries = ["-l:libsslsock.a" if word == "-lsslsock" else word for word in flags("--cflags", "--libs", "--static")]
        run(*common, "-o", archived, source, *libraries)
        check(archived)
        if "libsslsock" in run("readelf", "--dynamic", archived):
            raise Failed("the program with the archive needs the shared library")

        static = pathlib.Path(folder, "static")
        run(*common, "-static", "-o", static, source, *flags("--cflags", "--libs", "--static"))
        check(static)

        # What a Windows CE source needs, here and in the tree. Links are other spellings of a header's name.
        installed = pathlib.Path(folder, "usr/include/sslsock/wince")
        if shape(installed) != shape(ROOT / "include" / "wince"):
            raise Failed("the headers for Windows CE sources are not installed as they are")
        in_tree = {**os.environ, "PKG_CONFIG_PATH": str(BUILD / "lib")}
        wince = pathlib.Path(folder, "wince")
        for where_from, libraries in ((environment, f"{folder}/usr/lib"), (in_tree, BUILD / "lib")):
            wanted = flags("--cflags", "--libs", package="sslsock-wince", environment=where_from)
            run("cc", "-DUNICODE", "-D_UNICODE", "-DUNDER_CE", "-o", wince, source.with_name("wince.c"), *wanted)
            got = run(wince, arguments[0], env={**os.environ, "LD_LIBRARY_PATH": str(libraries)})
            if got != "hello\n":
                raise Failed(f"the Windows CE program says {got!r}")

        for program in (dynamic, archived, static, wince):
            program.unlink()
        run("make", "-C", ROOT, "uninstall", *where, env=make)
        left = [str(path.relative_to(folder)) for path in pathlib.Path(folder).rglob("*") if not path.is_dir()]
        left += [str(path) for path in pathlib.Path(folder, "usr/include").iterdir()]
        if left:
            raise Failed(f"make uninstall leaves {left}")


def version():
    return re.search(r'^version = "(.*)"', (ROOT / "Cargo.toml").read_text(), re.M)[1]


def failed_calls_are_documented(path):
    if not path.exists():
        raise Skipped("no system call could be made to fail")
    wrong = fault_table.check(path)
    if wrong:
        raise Failed(wrong)


def start_peers(folder):
    """Makes keys in the folder and starts what the programs talk to. The variables that tell them."""
    keys, strangers = pathlib.Path(folder, "pki"), pathlib.Path(folder, "strangers")
    pki.make(keys)
    pki.make_expired(keys)
    pki.make_nameless(keys)
    pki.make(strangers)
    return {**peer.Peer(keys, folder).variables, **recording_peer.RecordingPeer(keys, strangers, folder).variables}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--asan", action="store_true", help="the programs with AddressSanitizer")
    parser.add_argument("--tsan", action="store_true", help="programs with ThreadSanitizer")
    parser.add_argument("--valgrind", action="store_true", help="programs under valgrind")
    parser.add_argument("--panics", action="store_true", help="a panic in every exported function")
    parser.add_argument("--long", action="store_true", help="many more rounds")
    parser.add_argument("words", nargs="*", help="parts of names of tests")
    options = parser.parse_args()

    tally = Tally(options.words)
    if options.tsan or options.valgrind:
        # Everything takes ten to fifty times as long.
        os.environ.pop("SSLSOCK_LONG", None)
    if options.valgrind and not shutil.which("valgrind"):
        print("skip valgrind: it is not installed")
        print("0 passed, 0 failed, 1 skipped")
        return 0
    at_once = 2 if options.tsan or options.valgrind else AT_ONCE
    threads = concurrent.futures.ThreadPoolExecutor
    with tempfile.TemporaryDirectory() as folder, threads(at_once) as pool, threads(ENDINGS_AT_ONCE) as waiting:
        variables = start_peers(folder)
        keys = pathlib.Path(variables["SSLSOCK_PKI"])
        faults = pathlib.Path(folder, "faults")
        variables["SSLSOCK_FAULTS"] = str(faults)
        if options.long:
            variables["SSLSOCK_LONG"] = "1"
        jobs = []
        if options.panics:
            for name in ("panics", "shim_panics"):
                jobs.append(pool.submit(tally.add_program, BUILD / "panics" / "c-tests" / "injected" / name, variables))
        elif options.asan:
            for name in ASAN_PROGRAMS:
                # And whoever may start no thread, or whose main thread has ended, cannot look for leaks; or does not free.
                leaks = "0" if name in (*FORKING, "nothing_in_clear", "other_threads", "shim_arguments") else "1"
                # Its dlopen is the sanitizer's own, which does not know where the program looks.
                library = {"LD_LIBRARY_PATH": str(BUILD / "asan" / "lib")}
                own = {**variables, **library, "ASAN_OPTIONS": f"detect_leaks={leaks}:abort_on_error=0"}
                jobs.append(pool.submit(tally.add_program, BUILD / "asan" / "c-tests" / name, own))
        elif options.tsan:
            for name, tests in TSAN_PROGRAMS.items():
                library = {"LD_LIBRARY_PATH": str(BUILD / "tsan" / "lib")}
                program = BUILD / "tsan" / "c-tests" / name
                jobs.append(pool.submit(tally.add_program, program, {**variables, **library}, tests))
        elif options.valgrind:
            for name, tests in MEMCHECK_PROGRAMS.items():
                # At _exit too, which AddressSanitizer leaves alone.
                under = MEMCHECK if name in (*FORKING, "handle") else (*MEMCHECK, *LEAKS)
                jobs.append(pool.submit(tally.add_program, BUILD / "c-tests" / name, variables, tests, under))
            for name, tests in HELGRIND_PROGRAMS.items():
                jobs.append(pool.submit(tally.add_program, BUILD / "c-tests" / name, variables, tests, HELGRIND))
        else:
            for name in (*PROGRAMS, *(LONG_PROGRAMS if options.long else ()), *(HEADERS if not options.words else ())):
                jobs.append(pool.submit(tally.add_program, BUILD / "c-tests" / name, variables))
            for name, test in endings.reading_soon(keys, 200 if options.long else 20):
                jobs.append(pool.submit(tally.run, name, test))
            # They wait, and need no processor for it.
            for name, test in endings.reading_when_the_sender_has_gone(keys, 100 if options.long else 3):
                jobs.append(waiting.submit(tally.run, name, test))
            for test in (
                exactly_the_listed_names_are_exported,
                the_library_is_linked_as_it_must_be,
                the_header_defines_only_what_it_may,
                the_header_declares_exactly_the_listed_names,
                every_listed_name_has_a_test_of_its_arguments,
            ):
                tally.run(test.__name__, test)
            tally.run("install_and_use", lambda: install_and_use(variables))
        for job in jobs:
            job.result()
        if not (options.panics or options.asan or options.tsan or options.valgrind or options.words):
            tally.run("failed_calls_are_documented", lambda: failed_calls_are_documented(faults))
    return tally.finish()


if __name__ == "__main__":
    sys.exit(main())
