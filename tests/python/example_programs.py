"""The programs of examples/python, run as a user would, against real servers and the demo's; ftps.py by tests/ftps.py."""

import os
import pathlib
import secrets
import subprocess
import sys

import harness
from demo_recorded import MailServer
from upgrades import other_authority

EXAMPLES = pathlib.Path(__file__).resolve().parents[2] / "examples" / "python"


def run_example(program, host, port, *arguments):
    command = [sys.executable, EXAMPLES / program, host, str(port), *arguments]
    return subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=60, env=os.environ)


class ExampleTest(harness.ServerTest):
    def run_against(self, variable, program, *arguments, authority=None):
        host, port = self.launched.address(variable)
        return run_example(program, host, port, authority or f"{self.launched['SSLSOCK_PKI']}/ca.pem", *arguments)

    def assert_success(self, done):
        self.assertEqual(done.returncode, 0, f"{done.stdout}{done.stderr}")

    def assert_refused(self, done):
        self.assertEqual(done.returncode, 1, done.stdout)
        self.assertRegex(done.stderr, r"^no TLS: .*sslsock test root")


class SmtpExample(ExampleTest):
    servers = ("exim",)

    def test_against_exim(self):
        sender, log = f"{secrets.token_hex(16)}@client.test", self.log("SSLSOCK_EXIM_LOG")
        done = self.run_against("SSLSOCK_EXIM_SMTP", "smtp_starttls.py", "--mail", sender, "b@mail.test")
        self.assert_success(done)
        self.assertIn("\nsuccess: TLSv1.3\n", done.stdout)
        log.await_line(rf"<= {sender} H=\(client\.example\) .* P=esmtps X=TLS1\.3:\w+")

    def test_without_a_mail(self):
        log = self.log("SSLSOCK_EXIM_LOG")
        self.assert_success(self.run_against("SSLSOCK_EXIM_SMTP", "smtp_starttls.py"))
        log.await_line(r"no MAIL in SMTP connection from .* X=TLS1\.3:\S+ .*C=EHLO,STARTTLS,EHLO,QUIT")

    def test_refuses_another_authority(self):
        sender, log = f"{secrets.token_hex(16)}@client.test", self.log("SSLSOCK_EXIM_LOG")
        arguments = ("smtp_starttls.py", "--mail", sender, "b@mail.test")
        self.assert_refused(self.run_against("SSLSOCK_EXIM_SMTP", *arguments, authority=other_authority(self)))
        log.await_line("TLS error on connection from ")
        self.assertIsNone(log.find(sender))

    def test_against_the_demo(self):
        with MailServer() as server:
            done = run_example("smtp_starttls.py", server.host, server.port, server.ca, "--mail", "a@client.test", "b@mail.test")
            self.assert_success(done)
            # The list of 2009 ends in clear and under TLS alike.
            self.assertEqual(done.stdout.count("S: 250 OK\n"), 2)
            received = server.output()
        self.assertIn("|  from  a@client.test\n", received)
        self.assertRegex(received, r"\|  over  TLSv?1[._]3")
        self.assertIn("1 received; the client said QUIT", received)
