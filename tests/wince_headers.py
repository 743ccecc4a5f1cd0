#!/usr/bin/env python3
"""The headers for Windows CE sources (include/wince), as a compiler sees them: whatever the order and the language, they
compile without a warning, declare only what they may and only what is there, and have Windows CE's numbers and layouts.

With SSLSOCK_LONG set, every pair of headers and every header beside every system header in each language; else not in all.

    wince_headers.py            everything, or what is named
    wince_headers.py --write    writes the list of functions in docs/porting-from-windows-ce.md anew
"""

import concurrent.futures
import functools
import itertools
import os
import pathlib
import platform
import re
import shutil
import subprocess
import sys
import tempfile
import unittest

ROOT = pathlib.Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT / "tests"), str(ROOT / "tests" / "servers")]

import harness  # noqa: E402
import peer  # noqa: E402
import pki  # noqa: E402

HEADERS = ROOT / "include" / "wince"
SOURCES = ROOT / "c-tests" / "wince_headers"
LIBRARY = ROOT / "build" / "lib"
DOCUMENT = ROOT / "docs" / "porting-from-windows-ce.md"
WRITE = "--write" in sys.argv
LONG = bool(os.environ.get("SSLSOCK_LONG"))

C = ("gnu89", "gnu99", "c11", "gnu17")
CXX = ("gnu++98", "gnu++11", "gnu++17", "gnu++20")
# As makefiles for Windows CE have it.
CE = ("-DUNDER_CE", "-D_WIN32_WCE=0x501")
WIDE = (*CE, "-DUNICODE", "-D_UNICODE")
# As distributions have it by default.
FORTIFIED = (*WIDE, "-O2", "-D_FORTIFY_SOURCE=2")
STRICT = ("-Wall", "-Wextra", "-Werror")

SYSTEM = ("stdlib.h", "stdio.h", "string.h", "time.h", "wchar.h", "sys/types.h", "unistd.h")
SYSTEM_CXX = ("string", "iostream", "algorithm", "functional", "map")
# <thread> needs C++11.
SYSTEM_CXX11 = (*SYSTEM_CXX, "thread")


def headers():
    """Those that a program includes: under each of their spellings, which differ in case alone, only once."""
    return sorted(path.name for path in HEADERS.glob("*.h") if path.name == path.name.lower())


def spellings():
    """The others."""
    return sorted(path.name for path in HEADERS.iterdir() if path.name != path.name.lower())


def is_cxx(standard):
    return "++" in standard


def system_headers(standard):
    if not is_cxx(standard):
        return SYSTEM
    return (*SYSTEM, *(SYSTEM_CXX if "98" in standard else SYSTEM_CXX11))


def include(*names):
    return "".join(f"#include <{name}>\n" for name in names)


class Compiler:
    """Compiles many small sources, some at once."""

    def __init__(self):
        self.folder = tempfile.TemporaryDirectory()
        self.pool = concurrent.futures.ThreadPoolExecutor(os.cpu_count())
        self.numbers = itertools.count()

    def path(self, standard):
        return pathlib.Path(self.folder.name, f"{next(self.numbers)}.{'cc' if is_cxx(standard) else 'c'}")

    def command(self, standard, *options):
        return [{True: "g++", False: "gcc"}[is_cxx(standard)], f"-std={standard}", f"-I{HEADERS}", *options]

    def run(self, command):
        done = subprocess.run([str(word) for word in command], capture_output=True, text=True, timeout=300)
        return done.returncode, done.stdout + done.stderr

    def check(self, standard, text, *options):
        """Status and messages of a compilation that produces nothing."""
        path = self.path(standard)
        path.write_text(text)
        # Not -fsyntax-only, which does not see what is never used.
        return self.run(self.command(standard, "-S", "-o", "/dev/null", *options, path))

    def all(self, jobs):
        """What is wrong with those of (name, standard, text, options...) that do not compile, by name."""

        def job(name, standard, text, *options):
            status, said = self.check(standard, text, *options)
            return None if status == 0 else f"{name}: {first_error(said)}"

        return [wrong for wrong in self.pool.map(lambda one: job(*one), jobs) if wrong]


def first_error(said):
    return next((line for line in said.splitlines() if "error" in line), said.strip()[-300:])


class HeaderTest(unittest.TestCase):
    maxDiff = None

    @classmethod
    def setUpClass(cls):
        cls.lacking = [name for name in ("gcc", "g++") if not shutil.which(name)]
        cls.compiler = Compiler()

    def setUp(self):
        if self.lacking:
            self.skipTest(f"no {' and no '.join(self.lacking)}")

    def compile_all(self, jobs):
        jobs = list(jobs)
        self.assertGreater(len(jobs), 0)
        wrong = self.compiler.all(jobs)
        if wrong:
            self.fail(f"{len(wrong)} of {len(jobs)}:\n" + "\n".join(wrong[:40]))

    def program(self, sources, standard, *options, static=False):
        """Builds a program; a path. `static`: with the archive of the library."""
        path = self.compiler.path(standard).with_suffix("")
        library = [LIBRARY / "libsslsock.a", "-lpthread", "-lm", "-ldl"] if static else ["-lsslsock", f"-Wl,-rpath,{LIBRARY}"]
        command = self.compiler.command(standard, *options, "-o", path, *sources, f"-L{LIBRARY}", *library)
        status, said = self.compiler.run(command)
        self.assertEqual(status, 0, f"{' '.join(map(str, command))}\n{said[-3000:]}")
        return path

    def run_program(self, program, *arguments):
        done = subprocess.run([program, *arguments], capture_output=True, text=True, timeout=60)
        self.assertEqual(done.returncode, 0, f"status {done.returncode}: {done.stdout[-500:]}{done.stderr[-2000:]}")


class Includes(HeaderTest):
    """Every order, every language, no warning."""

    def test_each_header_alone(self):
        self.compile_all(
            (f"{header} {standard} {' '.join(options)}", standard, include(header, header), *STRICT, *options)
            for header in headers()
            for standard in (*C, *CXX)
            for options in ((WIDE, CE) if LONG or standard in ("gnu17", "gnu++17") else (WIDE,))
        )

    def test_each_pair_in_both_orders(self):
        self.compile_all(
            (f"{' '.join(pair)} {standard}", standard, include(*pair), *STRICT, *WIDE)
            for standard in ((*C, *CXX) if LONG else ("gnu17",))
            for pair in itertools.permutations(headers(), 2)
        )

    def test_each_header_before_and_after_all_others(self):
        jobs = []
        for standard in (*C, *CXX) if LONG else ("gnu++17",):
            for header in headers():
                others = [name for name in headers() if name != header]
                for names in ((header, *others), (*others, header)):
                    jobs.append((f"{header} {'first' if names[0] == header else 'last'}, {standard}", standard, include(*names), *STRICT, *WIDE))
        self.compile_all(jobs)

    def test_all_headers_forwards_and_backwards(self):
        self.compile_all(
            (f"{names[0]} first, {standard} {' '.join(options)}", standard, include(*names), *STRICT, *options)
            for names in (headers(), headers()[::-1])
            for standard in (*C, *CXX)
            for options in (WIDE, CE, FORTIFIED)
        )

    def test_before_and_after_each_system_header(self):
        self.compile_all(
            (f"{' '.join(names)} {standard}", standard, include(*names), *STRICT, *WIDE)
            for standard in ((*C, *CXX) if LONG else ("gnu17", "gnu++17"))
            for header in (headers() if LONG else ("winsock2.h", "windows.h"))
            for system in system_headers(standard)
            for names in ((header, system), (system, header))
        )

    def test_before_and_after_all_system_headers(self):
        jobs = []
        for standard in (*C, *CXX):
            system = system_headers(standard)
            for header in headers() if LONG or standard == "gnu17" else ("winsock2.h", "windows.h"):
                for names in ((header, *system), (*system, header)):
                    for options in (WIDE, FORTIFIED) if header == "windows.h" and standard in ("gnu17", "gnu++17") else (WIDE,):
                        what = f"{names[0]} first, {names[-1]} last, {standard} {' '.join(options)}"
                        jobs.append((what, standard, include(*names), *STRICT, *options))
        self.compile_all(jobs)

    def test_all_headers_with_clang(self):
        if not shutil.which("clang"):
            self.skipTest("no clang")
        for standard in ("gnu89", "gnu17", "gnu++98", "gnu++17"):
            for options in (WIDE, CE, FORTIFIED):
                for names in (headers(), headers()[::-1]):
                    path = self.compiler.path(standard)
                    path.write_text(include(*names))
                    # By the name of the file it knows the language.
                    command = ["clang", f"-std={standard}", f"-I{HEADERS}", *STRICT, *options, "-S", "-o", "/dev/null", path]
                    status, said = self.compiler.run(command)
                    self.assertEqual(status, 0, f"{standard} {' '.join(options)}: {said[:2000]}")

    def test_without_the_macros_of_windows_ce(self):
        self.compile_all((f"{header} {standard}", standard, include(header), *STRICT) for header in headers() for standard in ("gnu17", "gnu++17"))

    def test_other_spellings_are_the_same_headers(self):
        for name in spellings():
            self.assertEqual((HEADERS / name).resolve(), (HEADERS / name.lower()).resolve())
        # None leads out of the folder: it is copied.
        for path in HEADERS.rglob("*"):
            self.assertTrue(path.resolve().is_relative_to(HEADERS), path)
        self.compile_all(
            (standard, standard, include(*(name for pair in zip(spellings(), reversed(spellings())) for name in pair)), *STRICT, *WIDE)
            for standard in ("gnu17", "gnu++17")
        )

    def test_the_systems_socket_headers_beside_ours_are_told(self):
        for system in ("sys/socket.h", "netinet/in.h", "netdb.h", "arpa/inet.h"):
            for standard in ("gnu17", "gnu++17"):
                status, said = self.compiler.check(standard, include(system, "winsock2.h"), *WIDE)
                self.assertNotEqual(status, 0, system)
                self.assertIn("#error", said, system)


class Names(HeaderTest):
    """What the headers bring into a program's name space."""

    # Words in small letters that become something else. The rest of the macros are in capitals, as on Windows.
    SMALL_MACROS = {
        # 16-bit Windows's, and calling conventions.
        "far", "near", "pascal", "cdecl",
        # What a system header declares in another way.
        "fd_set", "socklen_t", "u_long", "u_short", "u_int", "u_char",
        # Winsock's own: members of structures, the last error of a look-up.
        "h_addr", "h_errno", "s_addr", "s_host", "s_imp", "s_impno", "s_lh", "s_net", "s6_addr", "s6_bytes", "s6_words",
        # The C library's between narrow and wide text.
        "fputwc", "fputws", "mbstowcs", "mbtowc", "putwc", "putwchar", "wcstombs", "wctomb",
        # Where a program begins.
        "wmain",
        # Microsoft's names for what has an underscore, too.
        "itoa", "ltoa", "memicmp", "strcmpi", "stricmp", "strlwr", "strnicmp", "strrev", "strupr", "ultoa", "wcsicmp",
        "wcslwr", "wcsnicmp", "wcsrev", "wcsupr",
    }  # fmt: skip
    # In C alone, functions that take other arguments than the C library's or of several types.
    SMALL_MACROS_C = {
        "gethostname", "ioctlsocket", "max", "min", "select",
        "fscanf", "fwscanf", "scanf", "sscanf", "swprintf", "swscanf", "vswprintf", "wcstok",
    }  # fmt: skip

    def preprocessed(self, standard, *options):
        status, said = self.compiler.run([*self.compiler.command(standard, *WIDE, *options), "-x", "c++" if is_cxx(standard) else "c", self.source(standard)])
        self.assertEqual(status, 0, said)
        return said

    def source(self, standard, *names):
        path = self.compiler.path(standard)
        path.write_text(include(*(names or headers())))
        return path

    def test_no_header_declares_a_name_of_the_librarys(self):
        for standard in ("gnu17", "gnu++17"):
            text = self.preprocessed(standard, "-E", "-P")
            # The linker's names stand in quotes.
            declared = set(re.findall(r"\b_*ssl_\w+", re.sub(r'"(?:\\.|[^"\\])*"', "", text)))
            self.assertEqual(declared, set())

    def test_no_macro_takes_a_name_of_the_librarys(self):
        macros = self.macros("gnu17")
        ours = set(re.findall(r"\b(?:ssl|SSL)_\w+", (ROOT / "include" / "sslsock.h").read_text()))
        # Those that Windows CE has itself.
        windows = set(re.findall(r"\bSSL_\w+", (SOURCES / "constants.c").read_text()))
        self.assertGreater(len(windows), 30)
        self.assertEqual({name for name in macros if name in ours} - windows, set())

    def macros(self, standard):
        """Names of the macros that our headers define, and the system's do not."""
        language = ["-x", "c++" if is_cxx(standard) else "c"]
        system = self.compiler.path(standard)
        system.write_text(include(*SYSTEM, "limits.h", "pthread.h", "sys/time.h", "math.h", "ctype.h", "errno.h", "assert.h", "stdarg.h", "stddef.h", "wctype.h", "stdint.h", "inttypes.h"))
        both = []
        # C++ undoes macros of the C library's: they are the system's all the same.
        for path, language in ((system, ["-x", "c"]), (system, language), (self.source(standard), language)):
            command = ["gcc", "-D_GNU_SOURCE"] if path == system and language[1] == "c" else self.compiler.command(standard)
            status, said = self.compiler.run([*command, *WIDE, "-dM", "-E", *language, path])
            self.assertEqual(status, 0, said)
            both.append({re.match(r"#define (\w+)", line)[1] for line in said.splitlines()})
        before, after = both[0] | both[1], both[2]
        self.assertGreater(len(after - before), 200)
        return after - before

    def test_macros_in_small_letters_are_these_alone(self):
        for standard in ("gnu17", "gnu++17"):
            allowed = self.SMALL_MACROS | (set() if is_cxx(standard) else self.SMALL_MACROS_C)
            # Names that begin with an underscore are the compiler's and Windows's.
            small = {name for name in self.macros(standard) if not re.fullmatch(r"_\w*|[A-Z][A-Z0-9_]*|szOID_\w+", name)}
            # Windows itself has functions whose names are macros, in one form for wide and one for narrow strings.
            pairs = {name for name in small if re.fullmatch(r"(?:[A-Z]\w*|w[sv]\w+|lstr\w+)", name)}
            self.assertLess(len(pairs), 150)
            self.assertEqual(small - pairs - allowed, set(), standard)

    def test_no_macro_hides_a_function_of_the_sockets(self):
        names = "socket closesocket connect bind listen accept send recv sendto recvfrom shutdown setsockopt getsockopt getpeername getsockname gethostbyname htons ntohs htonl ntohl inet_addr inet_ntoa getaddrinfo"
        for standard in ("gnu17", "gnu++17"):
            self.assertEqual(set(names.split()) & self.macros(standard), set(), standard)
        self.assertNotIn("select", self.macros("gnu++17"))

    def test_an_object_refers_to_the_shims_alone(self):
        program = "int f(SOCKET s) { return send(s, \"\", 0, 0) + recv(s, 0, 0, 0) + shutdown(s, 2) + closesocket(s) + WSAGetLastError(); }\n"
        for standard in ("gnu89", "gnu++17"):
            path = self.compiler.path(standard)
            path.write_text(include("winsock2.h", "sslsock.h") + program)
            self.assertEqual(self.compiler.run([*self.compiler.command(standard, *WIDE), "-c", "-o", path.with_suffix(".o"), path]), (0, ""))
            symbols = subprocess.run(["nm", path.with_suffix(".o")], capture_output=True, text=True, check=True).stdout
            referred = set(re.findall(r" U (\w+)", symbols)) - {"_GLOBAL_OFFSET_TABLE_"}
            wanted = {f"ssl_wce_{name}" for name in ("send", "recv", "shutdown", "closesocket", "get_last_error")}
            self.assertEqual(referred, wanted)
            self.assertNotRegex(symbols, r" [TDBRC] ssl_")


class Functions(HeaderTest):
    """What is declared is there, and what is not there is not declared."""

    @functools.cache
    def declared(self):
        """Each function that our headers declare, as the compiler tells: whether it is defined there, and the header."""
        path = self.compiler.path("gnu17")
        path.write_text(include(*headers()))
        listing = path.with_suffix(".aux")
        status, said = self.compiler.run([*self.compiler.command("gnu17", *WIDE, "-fsyntax-only", "-aux-info", listing), path])
        self.assertEqual(status, 0, said)
        found = {}
        for line in listing.read_text().splitlines():
            where, what = line.split("*/", 1)
            if str(HEADERS) in where:
                name = re.search(r"(\w+) \(", re.sub(r"\(\*.*", "", what) if "(*" in what.split(" (")[0] else what)
                if name:
                    header = re.search(re.escape(str(HEADERS)) + r"/(.*?):\d", where)[1].replace("sslsock_wce/../", "")
                    # F: it has its body there.
                    found[name[1]] = ("extern" if re.search(r":\d+:[NO]C ", where) else "defined", header)
        return found

    def test_the_document_lists_every_function(self):
        """tests/wince_headers.py --write brings it up to date."""
        page = DOCUMENT.read_text()
        before, begin, rest = page.partition("<!-- functions -->\n")
        written, end, after = rest.partition("<!-- end of functions -->")
        self.assertTrue(begin and end)
        if WRITE:
            DOCUMENT.write_text(before + begin + self.listing() + end + after)
        else:
            self.assertEqual(written, self.listing())

    def listing(self):
        """The functions of each header that a program includes, those of internal headers with it, as a table."""
        # What several include belongs to the first of these.
        owners = {"sslsock_wce/format.h": "windows.h", "sslsock_wce/scan.h": "windows.h"}
        for name in headers():
            for inner in re.findall(r'^#include "(sslsock_wce/\w+\.h)"', (HEADERS / name).read_text(), re.M):
                owners.setdefault(inner, name)
        table = {}
        for name, (_, where) in self.declared().items():
            renamed = re.search(rf"^#define (\w+) {name}$", (HEADERS / where).read_text(), re.M)
            name = renamed[1] if renamed else name
            if not name.startswith("sslsock_wce_"):
                table.setdefault(owners.get(where, where), set()).add(name)
        rows = []
        for header, names in sorted(table.items()):
            both = {name[:-1] for name in names if name[-1] == "W" and name[:-1] + "A" in names}
            names = sorted((names | both) - {name + form for name in both for form in "AW"}, key=str.lower)
            rows.append(f"| `{header}` | {', '.join(f'`{name}`' for name in names)} |\n")
        return "| header | functions |\n|---|---|\n" + "".join(rows)

    def declared_names(self, storage):
        return {name for name, (found, _) in self.declared().items() if found == storage}

    def addresses(self, standard):
        names = tuple(sorted(self.declared()))
        self.assertGreater(len(names), 40)
        # In C++ some have several forms, which the C program has as functions of their own.
        if is_cxx(standard):
            names = [name for name in names if name not in self.overloaded(names)]
        rows = "".join(f"    (void (*)(void))({name}),\n" for name in names)
        return include("stdio.h", *headers()) + f"void (*volatile functions[])(void) = {{\n{rows}}};\n" + (
            "int main(void)\n{\n    unsigned long i;\n    for (i = 0; i < sizeof functions / sizeof *functions; i++) {\n"
            "        if (functions[i] == NULL) {\n            return 1;\n        }\n    }\n    return 0;\n}\n"
        )

    @functools.cache
    def overloaded(self, names):
        """Those that have no single address in C++, or are C's alone."""
        rows = "".join(f"void (*f_{name})(void) = (void (*)(void))({name});\n" for name in names)
        text = include(*headers())
        _, said = self.compiler.check("gnu++17", text + rows, *WIDE)
        wrong = re.findall(r"\.cc:(\d+):\d+: error: .*(?:overloaded|not declared)", said)
        return {names[int(line) - 1 - text.count("\n")] for line in wrong}

    def test_every_declared_function_is_in_the_shared_library(self):
        for standard in ("gnu17", "gnu++17"):
            path = self.compiler.path(standard)
            path.write_text(self.addresses(standard))
            self.run_program(self.program([path], standard, *WIDE))

    def test_every_declared_function_is_in_the_static_library(self):
        path = self.compiler.path("gnu17")
        path.write_text(self.addresses("gnu17"))
        self.run_program(self.program([path], "gnu17", *WIDE, static=True))

    def test_every_function_has_a_linker_name_of_its_own(self):
        """A function without a body that is not bound to the library would be somebody else's, or missing at link time."""
        text = "".join(path.read_text() for path in sorted(HEADERS.rglob("*.h")) if not path.is_symlink())
        text = re.sub(r"^#(?:\\\n|.)*", "", re.sub(r"/\*.*?\*/", "", text, flags=re.S), flags=re.M)
        bound = set(re.findall(r"\b(\w+)\([^;{}]*?\)\s*(?:SSLSOCK_WCE\w*|__asm__)\(", text))
        # In C a few have the name that Windows knows by a macro, since a system header has a function of that name.
        missing = {name for name in self.declared_names("extern") if name.removeprefix("sslsock_wce_") not in bound and name not in bound}
        self.assertEqual(missing, set())

    # What network code may try to use and is not there: what stands for it would not do the same.
    NOT_THERE = (
        "WSAAsyncSelect(0, 0, 0, 0)",
        "WSAEventSelect(0, 0, 0)",
        "WSACreateEvent()",
        "WSAWaitForMultipleEvents(0, 0, 0, 0, 0)",
        "WSAAsyncGetHostByName(0, 0, 0, 0, 0)",
        "CreateThread(0, 0, 0, 0, 0, 0)",
        "CreateEvent(0, 0, 0, 0)",
        "WaitForSingleObject(0, 0)",
        "PostMessage(0, 0, 0, 0)",
        "SendMessage(0, 0, 0, 0)",
        "CreateWindow(0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0)",
        "GetMessage(0, 0, 0, 0)",
        "SetTimer(0, 0, 0, 0)",
        "RegOpenKeyEx(0, 0, 0, 0, 0)",
        "RegQueryValueEx(0, 0, 0, 0, 0, 0)",
        "CreateFile(0, 0, 0, 0, 0, 0, 0)",
        "ReadFile(0, 0, 0, 0, 0)",
        "ConnMgrEstablishConnectionSync(0, 0, 0, 0)",
        "AcquireCredentialsHandle(0, 0, 0, 0, 0, 0, 0, 0, 0)",
        "InitializeSecurityContext(0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0)",
        "WSADuplicateSocket(0, 0, 0)",
        "ssl_perform_handshake(0, 0)",
        "NobodyHasThisFunction(0)",
    )

    def test_what_is_not_there_does_not_compile(self):
        calls = "".join(f"void f{i}(void);\nvoid f{i}(void) {{ {call}; }}\n" for i, call in enumerate(self.NOT_THERE))
        for standard in ("gnu89", "gnu99", "gnu17", "gnu++98", "gnu++17"):
            # Without -Wall: what the program has asked for must not matter.
            status, said = self.compiler.check(standard, include(*headers()) + calls, *WIDE)
            self.assertNotEqual(status, 0)
            said = re.sub("did you mean.*", "", said)
            for call in self.NOT_THERE:
                name = call.partition("(")[0]
                self.assertRegex(said, rf"error: .*\b{name}\b", f"{standard}: it compiles although it is not there")

    # Arguments of a wrong type, which must not become a wrong call at run time. In C, as on Windows, the compiler warns.
    WRONG = {
        "select with an int": "select(0, 5, 0, 0, 0)",
        "select with numbers": "{ int numbers[2]; select(0, numbers, 0, 0, 0); }",
        "select with a time that is none": "{ fd_set s; int t = 1; FD_ZERO(&s); select(0, &s, 0, 0, &t); }",
        "connect with a number": "connect(0, 1, 16)",
        "WSAIoctl with too few arguments": "WSAIoctl(0, SIOCATMARK, 0, 0)",
    }
    WRONG_IN_CXX = {
        "ioctlsocket with a short": "{ short on = 1; ioctlsocket(0, FIONBIO, &on); }",
        "ioctlsocket with a char": "{ char on = 1; ioctlsocket(0, FIONBIO, &on); }",
        "select with another structure": "{ struct other { long bits[16]; } s; select(0, &s, 0, 0, 0); }",
        "send with a number": "send(0, 5, 1, 0)",
    }

    def test_wrong_arguments_do_not_compile(self):
        jobs = [
            (f"{name} {standard}", standard, include("winsock2.h") + f"void f(void);\nvoid f(void) {{ {call}; }}\n", *options, *WIDE)
            for standard, options in (("gnu89", ["-Werror"]), ("gnu17", ["-Werror"]), ("gnu++98", []), ("gnu++17", []))
            for name, call in (self.WRONG | (self.WRONG_IN_CXX if is_cxx(standard) else {})).items()
        ]
        told = {line.split(":")[0] for line in self.compiler.all(jobs)}
        self.assertEqual({job[0] for job in jobs} - told, set(), "compiles although it is wrong")

    def test_what_the_wrong_ones_are_beside_compiles(self):
        """Else the two tests above would pass whatever is declared."""
        calls = "{ fd_set s; FD_ZERO(&s); select(0, &s, 0, 0, 0); } { u_long on = 1; ioctlsocket(0, FIONBIO, &on); } { unsigned long on = 1; ioctlsocket(0, FIONBIO, &on); } WSAGetLastError();"
        self.compile_all(
            (standard, standard, include(*headers()) + f"void f(void);\nvoid f(void) {{ {calls} }}\n", *STRICT, *WIDE) for standard in (*C, *CXX)
        )


class Numbers(HeaderTest):
    """Constants and layouts, compared by the compiler. Source and language, here with 64-bit pointers."""

    OPTIONS = ()

    def compile_table(self, name):
        for standard in ("gnu89", "c11", "gnu17", "gnu++98", "gnu++17"):
            language = ("-x", "c++" if is_cxx(standard) else "c")
            command = [*self.compiler.command(standard, *WIDE, *self.OPTIONS, "-Wall", "-Werror", "-Wno-unused-function", "-fsyntax-only"), *language, SOURCES / name]
            status, said = self.compiler.run(command)
            self.assertEqual(status, 0, f"{standard}: {said[:2000]}")

    def test_constants(self):
        self.compile_table("constants.c")

    def test_structures(self):
        self.compile_table("structures.c")

    def test_every_header_compiles(self):
        self.compile_all(
            (f"{header} {standard}", standard, include(header), *self.OPTIONS, *STRICT, *WIDE) for header in headers() for standard in ("gnu17", "gnu++17")
        )


# Elsewhere no compiler makes code of 32 bits of the same kind: there is nothing to test, rather than something lacking.
if platform.machine() == "x86_64":

    class Numbers32(Numbers):
        """As on Windows CE's own processors."""

        OPTIONS = ("-m32",)

        def setUp(self):
            super().setUp()
            for standard in ("gnu17", "gnu++17"):
                status, _ = self.compiler.check(standard, include("stdlib.h", *(["string"] if is_cxx(standard) else [])), "-m32")
                if status:
                    self.skipTest("gcc -m32 does not work: install gcc-multilib and g++-multilib")


class Programs(HeaderTest):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        folder = cls.compiler.folder.name
        pki.make(pathlib.Path(folder, "pki"))
        cls.peer = peer.Peer(pathlib.Path(folder, "pki"), folder)
        host, _, port = cls.peer.variables["SSLSOCK_PEER"].rpartition(":")
        cls.address = (host, port)

    def test_a_program_with_the_librarys_names_for_its_own_functions(self):
        for standard in ("gnu89", "gnu17"):
            self.run_program(self.program([SOURCES / "own_names.c"], standard, *WIDE, "-rdynamic", *STRICT), *self.address)

    def test_what_programs_in_cxx_write(self):
        for standard in CXX:
            # NULL for a SOCKET is what they write, and the compiler warns of it; in C++98 also where a socket is compared
            # with INVALID_SOCKET, which is -1 in every type of integer.
            options = ("-Wall", "-Werror", "-Wno-conversion-null", *(["-Wno-sign-compare"] if "98" in standard else []))
            self.run_program(self.program([SOURCES / "idioms.cc"], standard, *FORTIFIED, *options))

    def test_the_file_in_the_document_says_whom_to_trust(self):
        """It makes the peer trusted for a program without a hook, which is not edited for it."""
        block = re.search(r"```c\n(.*?)```", DOCUMENT.read_text(), re.S)[1]
        before = "/etc/my-product/ca.pem"
        self.assertIn(before, block)
        folder = pathlib.Path(self.compiler.folder.name)
        for authority, wanted in ((folder / "pki" / "ca.pem", 0), ("/dev/null", 1)):
            trust = self.compiler.path("gnu17")
            trust.write_text(block.replace(before, str(authority)))
            compiled = trust.with_suffix(".o")
            own = ["gcc", "-std=gnu17", f"-I{ROOT / 'include'}", *STRICT, "-c", "-o", compiled, trust]
            self.assertEqual(self.compiler.run(own), (0, ""))
            program = self.program([SOURCES / "no_hook.c", compiled], "gnu17", *WIDE, *STRICT)
            done = subprocess.run([program, *self.address], capture_output=True, text=True, timeout=60)
            self.assertEqual(done.returncode, wanted, done.stderr)

    def test_headers_inside_a_namespace(self):
        for standard in ("gnu++98", "gnu++17"):
            self.run_program(self.program([SOURCES / "in_namespace.cc"], standard, *WIDE))


if __name__ == "__main__":
    if WRITE:
        sys.argv[1:] = ["Functions.test_the_document_lists_every_function"]
    harness.run_and_count()
