"""Tests of the launcher: certificates, ports, statuses, and that nothing is left behind."""

import os
import pathlib
import re
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import unittest

import harness
from harness import launch, until


def processes_with(text):
    """Ids of the processes whose command line or working directory has this text in it."""
    found = []
    for entry in pathlib.Path("/proc").iterdir():
        if entry.name.isdigit() and int(entry.name) != os.getpid():
            try:
                if text.encode() in (entry / "cmdline").read_bytes() or text in os.readlink(entry / "cwd"):
                    found.append(int(entry.name))
            except OSError:
                pass
    return found


class Certificates(unittest.TestCase):
    def setUp(self):
        self.folder = tempfile.mkdtemp()
        self.addCleanup(shutil.rmtree, self.folder)

    def openssl(self, *arguments):
        return subprocess.run(["openssl", *arguments], cwd=self.folder, capture_output=True, text=True)

    def test_chain_verifies_for_every_name(self):
        for key in ("ec", "rsa"):
            self.assertEqual(launch("pki", self.folder, "--key", key).returncode, 0)
            for flag, name in (("hostname", "mail.test"), ("hostname", "localhost"), ("ip", "127.0.0.2"), ("ip", "::1")):
                done = self.openssl(
                    "verify", "-x509_strict", "-CAfile", "ca.pem", "-untrusted", "server-chain.pem",
                    "-purpose", "sslserver", f"-verify_{flag}", name, "server.pem",
                )  # fmt: skip
                self.assertEqual(done.returncode, 0, done.stderr)
            wrong = self.openssl(
                "verify", "-CAfile", "ca.pem", "-untrusted", "server-chain.pem", "-verify_hostname", "x.test", "server.pem"
            )
            self.assertIn("hostname mismatch", wrong.stderr)

    def test_client_certificate_verifies(self):
        self.assertEqual(launch("pki", self.folder).returncode, 0)
        done = self.openssl(
            "verify", "-x509_strict", "-CAfile", "ca.pem", "-untrusted", "client-chain.pem", "-purpose", "sslclient", "client.pem"
        )
        self.assertEqual(done.returncode, 0, done.stderr)

    def test_keys_are_private(self):
        self.assertEqual(launch("pki", self.folder).returncode, 0)
        for name in ("ca.key", "server.key", "server-all.pem", "client.key"):
            self.assertEqual(os.stat(f"{self.folder}/{name}").st_mode & 0o777, 0o600, name)

    def test_every_authority_is_its_own(self):
        serials = set()
        for _ in range(2):
            launch("pki", self.folder)
            serials.add(self.openssl("x509", "-in", "ca.pem", "-noout", "-serial", "-fingerprint").stdout)
        self.assertEqual(len(serials), 2)


# Appended to a copy of process.py: the first port that is asked for is one that somebody listens on.
FIRST_PORT_IS_TAKEN = """

_reserve = Ports.reserve


def reserve(self):
    try:
        os.mkdir("{mark}")
        return {port}
    except FileExistsError:
        return _reserve(self)


Ports.reserve = reserve
"""


class Launcher(harness.ServerTest):
    """`exim` stands for any server; Dovecot for those that have children of their own."""

    servers = ("exim", "dovecot")

    def test_run_passes_on_the_status(self):
        self.assertEqual(launch("run", "exim", "--", "sh", "-c", "exit 7").returncode, 7)
        self.assertEqual(launch("run", "exim", "--", "sh", "-c", "kill -9 $$").returncode, 137)
        self.assertEqual(launch("run", "exim", "--", "true").returncode, 0)
        self.assertEqual(launch("run", "exim", "--", "/no/such/command").returncode, 127)

    def test_run_shows_variables_and_cleans_up(self):
        done = launch("run", "exim,dovecot", "--", "env")
        variables = dict(line.split("=", 1) for line in done.stdout.splitlines() if line.startswith("SSLSOCK_"))
        for name in ("EXIM_SMTP", "EXIM_SMTPS", "DOVECOT_IMAP", "DOVECOT_IMAPS", "DOVECOT_POP3", "DOVECOT_POP3S"):
            self.assertRegex(variables[f"SSLSOCK_{name}"], r"^127\.0\.0\.2:\d+$")
        folder = variables["SSLSOCK_SERVERS_FOLDER"]
        self.assertFalse(os.path.exists(folder))
        self.assertEqual(processes_with(folder), [])

    def test_ports_differ_between_launchers(self):
        other = harness.Launched("exim", "dovecot")
        ports = [value for run in (self.launched, other) for value in run.variables.values() if re.match(r"127\.0\.0\.2:", value)]
        self.assertEqual(other.stop(), 0)
        self.assertEqual(len(ports), 12)
        self.assertEqual(len(set(ports)), 12)

    def test_nothing_listens_elsewhere(self):
        host, port = self.launched.address("SSLSOCK_EXIM_SMTP")
        self.assertEqual(host, "127.0.0.2")
        with self.assertRaises(ConnectionRefusedError):
            socket.create_connection(("127.0.0.1", port))

    def test_end_of_input_stops(self):
        run = harness.Launched("dovecot")
        self.assertEqual(run.stop(), 0)
        self.assertEqual(processes_with(run["SSLSOCK_SERVERS_FOLDER"]), [])

    def test_signals_stop(self):
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            run = harness.Launched("dovecot")
            run.process.send_signal(number)
            run.process.wait(10)
            self.assertEqual(processes_with(run["SSLSOCK_SERVERS_FOLDER"]), [], number)
            run.stop()

    def test_killed_launcher_leaves_no_process(self):
        run = harness.Launched("exim", "dovecot")
        run.process.kill()
        folder = run["SSLSOCK_SERVERS_FOLDER"]
        self.addCleanup(shutil.rmtree, folder)
        self.assertTrue(until(lambda: not processes_with(folder)), processes_with(folder))
        run.stop()

    def test_signal_during_run_ends_the_command_and_what_it_left(self):
        token = f"/tmp/{secrets.token_hex(8)}"
        os.mkdir(token)
        self.addCleanup(os.rmdir, token)
        # A session of its own and a parent that has gone: only its being a descendant gives it away.
        script = f"cd {token}; setsid sleep 60 & sleep 60"
        process = subprocess.Popen([sys.executable, harness.LAUNCH, "run", "exim", "--", "sh", "-c", script])
        self.assertTrue(until(lambda: len(processes_with(token)) >= 3, 60))
        process.terminate()
        self.assertEqual(process.wait(15), 143)
        self.assertEqual(processes_with(token), [])

    def test_server_that_does_not_start_shows_its_log(self):
        with tempfile.TemporaryDirectory() as place:
            copy = pathlib.Path(place, "tests", "servers")
            shutil.copytree(harness.HERE, copy)
            with open(copy / "templates" / "exim.conf", "r+") as template:
                template.write("no_such_option = 1\n")
            done = subprocess.run([sys.executable, copy / "launch", "run", "exim", "--", "true"], capture_output=True, text=True)
            self.assertEqual(done.returncode, 125)
            self.assertIn("no_such_option", done.stderr)

    def test_clash_is_tried_again_with_other_ports(self):
        for name in ("exim", "dovecot", "vsftpd", "vsftpd_implicit", "nginx", "prosody", "slapd", "proxy"):
            if launch("check", name).returncode:
                continue
            with tempfile.TemporaryDirectory() as place, socket.create_server(("127.0.0.2", 0)) as taken:
                copy = pathlib.Path(place, "tests", "servers")
                shutil.copytree(harness.HERE, copy)
                with open(copy / "process.py", "a") as module:
                    module.write(FIRST_PORT_IS_TAKEN.format(port=taken.getsockname()[1], mark=f"{place}/tried"))
                command = [sys.executable, copy / "launch", "run", name, "--", "true"]
                done = subprocess.run(command, capture_output=True, text=True)
                self.assertEqual((done.returncode, done.stderr), (0, ""))
                self.assertTrue(os.path.exists(f"{place}/tried"))

    def test_unknown_names_are_refused(self):
        for command in ("check", "start"):
            done = launch(command, "sendmail")
            self.assertEqual(done.returncode, 125)
            self.assertIn("no server called sendmail", done.stderr)

    def test_packages_and_check(self):
        packages = launch("packages").stdout.split()
        self.assertIn("exim4-daemon-light", packages)
        self.assertIn("openssl", packages)
        self.assertEqual(launch("check", "exim", "dovecot").returncode, 0)
