"""What Python tests against real servers share: servers for a test class, and the counting line at the end."""

import os
import pathlib
import re
import secrets
import subprocess
import sys
import time
import unittest

HERE = pathlib.Path(__file__).resolve().parent
LAUNCH = HERE / "launch"


def launch(*arguments):
    return subprocess.run([sys.executable, LAUNCH, *arguments], capture_output=True, text=True, timeout=60)


def until(condition, seconds=5):
    deadline = time.monotonic() + seconds
    while not condition() and time.monotonic() < deadline:
        time.sleep(0.01)
    return condition()


class Log:
    """What a server writes into its log from now on."""

    def __init__(self, path):
        self.path = pathlib.Path(path)
        self.start = self.path.stat().st_size if self.path.exists() else 0

    def text(self):
        if not self.path.exists():
            return ""
        with open(self.path, errors="replace") as log:
            log.seek(self.start)
            return log.read()

    def find(self, pattern):
        return re.search(pattern, self.text(), re.M)

    def await_line(self, pattern):
        """The match of `pattern`, as soon as there is one; an AssertionError if there never is."""
        found = until(lambda: self.find(pattern), 20)
        if not found:
            raise AssertionError(f"{self.path.name} has no {pattern}:\n{self.text()}")
        return found


class Launched:
    """Servers started through `launch start`; `variables` says where they are."""

    def __init__(self, *names):
        command = [sys.executable, LAUNCH, "start", *names]
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self.variables = {}
        for line in self.process.stdout:
            name, equals, value = line.rstrip("\n").partition("=")
            if not equals:
                return
            self.variables[name] = value
        self.process.stdin.close()
        raise RuntimeError(f"launch start {' '.join(names)}: status {self.process.wait()}")

    def __getitem__(self, name):
        return self.variables[name]

    def address(self, name):
        host, _, port = self[name].rpartition(":")
        return host, int(port)

    def stop(self):
        self.process.stdin.close()
        self.process.stdout.close()
        return self.process.wait()


class ServerTest(unittest.TestCase):
    """Starts the servers named in `servers` once for the class. Without their packages its tests are skipped,
    which counts as a failure where CI is set: there everything has to be installed."""

    servers = ()

    @classmethod
    def setUpClass(cls):
        cls.launched = None
        check = launch("check", *cls.servers)
        cls.lacking = (check.stdout + check.stderr).strip() if check.returncode else None
        if not cls.lacking:
            cls.launched = Launched(*cls.servers)
            cls.addClassCleanup(cls.launched.stop)

    def setUp(self):
        if self.lacking and os.environ.get("CI"):
            self.fail(self.lacking)
        if self.lacking:
            self.skipTest(self.lacking)

    def log(self, variable):
        return Log(self.launched[variable])

    def put_mail(self, token):
        """Puts a mail with this text into the mailbox of Dovecot's user."""
        maildir = pathlib.Path(self.launched["SSLSOCK_DOVECOT_MAILDIR"])
        name = f"{time.time():.6f}.{secrets.token_hex(4)}.mail.test"
        mail = maildir / "tmp" / name
        mail.write_text(f"From: a@mail.test\nTo: user@mail.test\nSubject: a token\n\n{token}\n")
        mail.chmod(0o644)
        mail.rename(maildir / "new" / name)

    def find_in_spool(self, token):
        """The spooled message of Exim that holds the token, or None. It is there before Exim says 250."""
        for path in pathlib.Path(self.launched["SSLSOCK_EXIM_SPOOL"], "input").glob("*-D"):
            text = path.read_text(errors="replace")
            if token in text:
                return text
        return None


class CountingResult(unittest.TextTestResult):
    passed = 0

    def addSuccess(self, test):
        super().addSuccess(test)
        self.passed += 1


def run_and_count(module="__main__"):
    """Runs a module's tests; the last line says how many passed, failed and were skipped."""
    runner = unittest.TextTestRunner(resultclass=CountingResult, verbosity=2)
    result = unittest.main(module, testRunner=runner, exit=False).result
    failed = len(result.failures) + len(result.errors) + len(result.unexpectedSuccesses)
    skipped = len(result.skipped)
    sys.stderr.flush()
    print(f"{result.passed} passed, {failed} failed, {skipped} skipped", flush=True)
    sys.exit(1 if failed or result.passed + skipped == 0 else 0)
