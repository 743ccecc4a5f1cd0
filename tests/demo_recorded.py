#!/usr/bin/env python3
"""Watches the demo from the wire: what is in clear, what is TLS, and what arrived.

    tests/demo_recorded.py [--without-library]

The C program runs through a recorder against the demo's mail server. From the byte after the
server's answer to STARTTLS on both directions must be TLS records to the last byte, with none of
the conversation readable in them, and the message must arrive as it was given. Then a man in the
middle tries his tricks, and the program must stop before it has said anything.

It ends with "N passed, N failed, N skipped", and with exit code 1 if any failed.

MAIL_SERVER and SMTP_STARTTLS name the two programs if they are not where `make` puts them. With
--without-library only the server and the recorder are tested, with clients of Python's own.
"""

import os
import re
import secrets
import smtplib
import socket
import ssl
import subprocess
import sys
import tempfile
import threading
import traceback
from pathlib import Path

from recorder import CLIENT, MAX_FRAGMENT, SERVER, assert_tls_from, record, tls_records

TOP = Path(__file__).resolve().parent.parent
MAIL_SERVER = Path(os.environ.get("MAIL_SERVER", TOP / "target/release/examples/mail_server"))
SMTP_STARTTLS = Path(os.environ.get("SMTP_STARTTLS", TOP / "build/examples/smtp_starttls"))
TIMEOUT = 60


class MailServer:
    """The demo's server, one per test; `output()` ends it and answers all that it printed."""

    def __init__(self, once=True, listen="127.0.0.1:0"):
        self._dir = tempfile.TemporaryDirectory()
        self.ca = str(Path(self._dir.name) / "ca.pem")
        command = [str(MAIL_SERVER), "--dir", self._dir.name, "--listen", listen]
        self._process = subprocess.Popen(
            command + ["--once"] * once,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            encoding="utf-8",
        )
        # A server that hangs must not hang the tests.
        self._watchdog = threading.Timer(TIMEOUT, self._process.kill)
        self._watchdog.start()
        line = self._process.stdout.readline()
        match = re.fullmatch(r"listening on (.+):(\d+)\n", line)
        if not match:
            self.__exit__()
            raise AssertionError(f"line 1 of the server's output is {line!r}")
        self.host, self.port = match[1].strip("[]"), int(match[2])

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self._process.kill()
        self._process.wait()
        self._process.stdout.close()
        self._watchdog.cancel()
        self._dir.cleanup()

    def output(self):
        text = self._process.stdout.read()
        assert self._process.wait() == 0, f"the server failed: {text}"
        return text

    def output_until(self, mark):
        """What a server that goes on has printed, up to the line with the mark."""
        text = ""
        while mark not in text:
            line = self._process.stdout.readline()
            assert line, f"the server ended: {text}"
            text += line
        return text

    def connect(self):
        return Peer(socket.create_connection((self.host, self.port), TIMEOUT))

    def tls_context(self):
        return ssl.create_default_context(cafile=self.ca)


class Peer:
    """A client that writes what it likes and reads whole replies."""

    def __init__(self, sock):
        self.sock = sock
        self.file = sock.makefile("rb")

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.file.close()
        self.sock.close()

    def reply(self):
        lines = []
        while True:
            line = self.file.readline().decode("ascii", "replace")
            assert line.endswith("\r\n"), f"not a whole reply: {lines + [line]}"
            lines.append(line[:-2])
            if line[3:4] != "-":
                return lines

    def say(self, line):
        self.sock.sendall(line if isinstance(line, bytes) else line.encode() + b"\r\n")
        return self.reply()

    def at_end(self):
        try:
            return self.file.read(1) == b""
        except ConnectionResetError:
            return True

    def start_tls(self, context):
        assert self.say("STARTTLS")[0].startswith("220")
        return Peer(context.wrap_socket(self.sock, server_hostname="mail.test"))


def replies(stream, count):
    """The offset behind the first `count` SMTP replies of a stream."""
    offset = 0
    while count:
        end = stream.index(b"\r\n", offset)
        if stream[offset + 3 : offset + 4] != b"-":
            count -= 1
        offset = end + 2
    return offset


def boundaries(tape):
    """Where clear text ends: behind the client's STARTTLS and behind the server's answer to it."""
    client = tape.client_bytes.index(b"STARTTLS\r\n") + len(b"STARTTLS\r\n")
    commands = tape.client_bytes[:client].count(b"\r\n")
    return client, replies(bytes(tape.server_bytes), 1 + commands)


def run_client(port, *options, host="127.0.0.1"):
    return subprocess.run(
        [str(SMTP_STARTTLS), f"{host}:{port}", *options],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        timeout=TIMEOUT,
        text=True,
        encoding="utf-8",
        errors="replace",
    )


def said(tape):
    """All that the client sent in clear."""
    return bytes(tape.client_bytes).decode("latin-1")


def assert_refused(result, tape, *, unsaid):
    """The client said why and what to do, and nothing of its mail left it in clear."""
    assert result.returncode == 1, f"exit code {result.returncode}: {result.stdout}{result.stderr}"
    assert "smtp_starttls: " in result.stderr and "What to do: " in result.stderr, result.stderr
    assert "TLS    " not in result.stdout, result.stdout
    for secret in unsaid:
        assert secret not in said(tape), f"{secret} left in clear"


# ---- the demo, recorded ------------------------------------------------------------------------


def demo_on_the_wire():
    mark = secrets.token_hex(4)
    ehlo, sender, recipient = f"ehlo-{mark}.example", f"from-{mark}@a.example", f"to-{mark}@b.example"
    token = secrets.token_urlsafe(24)
    assert len(token) == 32
    body = f"first line\r\n.a line with a dot\r.\n{token}\n\nGr\u00fc\u00dfe\n"
    with MailServer() as server, record(server.host, server.port) as recording:
        result = run_client(
            recording.port, "--name", "mail.test", "--ca", server.ca,
            "--ehlo", ehlo, "--from", sender, "--to", recipient, "--body", body,
        )  # fmt: skip
        assert result.returncode == 0, f"exit code {result.returncode}: {result.stdout}{result.stderr}"
        arrived = server.output()
        recording.wait()
        [tape] = recording.tapes

    client, answer = boundaries(tape)
    sent = tape.seen_before(CLIENT, client)
    assert sent == answer, f"the client went on after {sent} bytes, the answer ended at {answer}"
    assert_tls_from(tape.client_bytes, client)
    assert_tls_from(tape.server_bytes, answer)

    conversation = [
        ehlo, sender, recipient, token, "EHLO", "MAIL FROM", "RCPT TO", "DATA", "QUIT",
        "first line", "Subject: ", "queued", "sender OK", "250-", "250 ", "354 ", "221 ", "mail.test Hello",
    ]  # fmt: skip
    for direction, stream in (("client", tape.client_bytes[client:]), ("server", tape.server_bytes[answer:])):
        for text in conversation:
            assert text.encode() not in stream, f"{text!r} in clear from the {direction}"
    # The same search finds them where they may be: it is able to.
    assert ehlo.encode() in tape.client_bytes[:client]
    assert b"250-STARTTLS" in tape.server_bytes[:answer]

    message = [line[3:] for line in arrived.splitlines() if line.startswith("|")]
    expected = ["first line", ".a line with a dot", ".", token, "", "Gr\u00fc\u00dfe"]
    assert message[-len(expected) :] == expected, arrived
    assert f"|  from  {sender}\n|  to    {recipient}\n|  over  TLSv1" in arrived, arrived
    assert "the client said QUIT" in arrived, arrived


def demo_shows_what_is_clear():
    with MailServer() as server, record(server.host, server.port) as recording:
        result = run_client(recording.port, "--name", "mail.test", "--ca", server.ca, "--ehlo", "me.example")
        assert result.returncode == 0, result.stderr
        recording.wait()
        [tape] = recording.tapes
    client, answer = boundaries(tape)
    shown = [line for line in result.stdout.splitlines() if re.match(r"(clear|TLS  )  [CS]: ", line)]
    clear = {who: [line[10:] for line in shown if line.startswith(f"clear  {who}: ")] for who in "CS"}
    assert clear["C"] == tape.client_bytes[:client].decode().splitlines(), result.stdout
    assert clear["S"] == tape.server_bytes[:answer].decode().splitlines(), result.stdout
    assert "TLS    C: EHLO me.example" in shown and "TLS    S: 250 OK" in shown, result.stdout
    for label in ("protocol       TLSv1", "cipher suite   TLS", "for the names  mail.test, localhost",
                  "verdict        trusted", "data path      plain send and recv"):  # fmt: skip
        assert label in result.stdout, f"{label!r} is not shown: {result.stdout}"


def demo_over_ipv6():
    with MailServer(listen="[::1]:0") as server:
        result = run_client(server.port, "--ca", server.ca, host="[::1]")
        assert result.returncode == 0, result.stderr
        assert "1 received; the client said QUIT" in server.output()


def demo_refuses_unknown_ca():
    with MailServer() as server, record(server.host, server.port) as recording:
        result = run_client(recording.port, "--name", "mail.test", "--from", "s@a.example", "--body", "secret")
        recording.wait()
        [tape] = recording.tapes
        assert "0 received" in server.output()
    assert_refused(result, tape, unsaid=["MAIL FROM", "s@a.example", "secret"])
    assert "NOT trusted" in result.stdout, result.stdout
    tls_records(tape.client_bytes, boundaries(tape)[0])


def demo_refuses_wrong_name():
    with MailServer() as server, record(server.host, server.port) as recording:
        result = run_client(recording.port, "--name", "other.test", "--ca", server.ca, "--body", "secret")
        recording.wait()
        [tape] = recording.tapes
        assert "0 received" in server.output()
    assert_refused(result, tape, unsaid=["MAIL FROM", "secret"])
    tls_records(tape.client_bytes, boundaries(tape)[0])


def demo_refuses_hidden_starttls():
    def hide(_tape, who, chunk):
        return chunk.replace(b"250-STARTTLS\r\n", b"") if who == SERVER else chunk

    with MailServer() as server, record(server.host, server.port, hide) as recording:
        result = run_client(recording.port, "--name", "mail.test", "--ca", server.ca)
        recording.wait()
        [tape] = recording.tapes
    assert_refused(result, tape, unsaid=["STARTTLS", "MAIL FROM"])


def demo_refuses_injected_reply():
    """CVE-2011-0411 towards the client: clear text behind the answer to STARTTLS."""

    def inject(_tape, who, chunk):
        return chunk + b"250 injected\r\n" if who == SERVER and chunk.startswith(b"220 2.0.0") else chunk

    with MailServer() as server, record(server.host, server.port, inject) as recording:
        result = run_client(recording.port, "--name", "mail.test", "--ca", server.ca, "--body", "secret")
        recording.wait()
        [tape] = recording.tapes
    assert_refused(result, tape, unsaid=["MAIL FROM", "secret"])
    assert "S: 250 injected" not in result.stdout, result.stdout


def demo_refuses_plain_answer():
    """A server that says 220 and then goes on in clear."""

    def go_on_in_clear(tape, who, chunk):
        if who == SERVER and b"STARTTLS\r\n" in tape.client_bytes and not chunk.startswith(b"220"):
            return b"421 mail.test cannot do that just now\r\n"
        return chunk

    with MailServer() as server, record(server.host, server.port, go_on_in_clear) as recording:
        result = run_client(recording.port, "--name", "mail.test", "--ca", server.ca, "--body", "secret")
        recording.wait()
        [tape] = recording.tapes
    assert_refused(result, tape, unsaid=["MAIL FROM", "secret"])


def demo_takes_no_commands_from_options():
    for options in (["--from", "a@b\r\nRCPT TO:<x@y>"], ["--ehlo", "a b"], ["--to", "a>b"], ["--body", "x" * 999]):
        result = run_client(1, *options)
        assert result.returncode == 1 and "usage: " in result.stderr, (options, result.stderr)


# ---- the server, with clients of Python's own --------------------------------------------------


def server_takes_mail_from_smtplib():
    token = secrets.token_urlsafe(24)
    with MailServer() as server, record(server.host, server.port) as recording:
        with smtplib.SMTP("localhost", recording.port, "me.example", TIMEOUT) as smtp:
            smtp.starttls(context=server.tls_context())
            smtp.sendmail("a@a.example", ["b@b.example"], f"Subject: x\r\n\r\n.dot\r\n{token}\r\n")
            assert not smtp.has_extn("starttls"), "STARTTLS is offered again under TLS"
        arrived = server.output()
        recording.wait()
        [tape] = recording.tapes
    assert f"|  .dot\n|  {token}\n+--" in arrived, arrived
    client, answer = boundaries(tape)
    assert_tls_from(tape.client_bytes, client)
    assert_tls_from(tape.server_bytes, answer)
    assert token.encode() not in tape.client_bytes


def server_takes_mail_from_openssl():
    with MailServer() as server:
        command = ["openssl", "s_client", "-connect", f"{server.host}:{server.port}", "-starttls", "smtp"]
        result = subprocess.run(
            command + ["-CAfile", server.ca, "-verify_hostname", "mail.test", "-verify_return_error", "-crlf", "-quiet"],
            input="EHLO me.example\nQUIT\n",
            capture_output=True,
            timeout=TIMEOUT,
            text=True,
        )
        assert "250 OK" in result.stdout and "221 " in result.stdout, result.stdout + result.stderr
        assert "the client said QUIT" in server.output()


def server_answers_as_in_the_article():
    with MailServer() as server, server.connect() as peer:
        assert peer.reply()[0].startswith("220 ")
        listed = peer.say("EHLO")  # without a name, as there
        assert listed[0].startswith("250-mail.test Hello ["), listed
        words = [line[4:] for line in listed[1:]]
        assert words == [
            "TURN", "SIZE 35840000", "ETRN", "PIPELINING", "DSN", "ENHANCEDSTATUSCODES", "8bitmime",
            "BINARYMIME", "CHUNKING", "VRFY", "TLS", "STARTTLS", "OK",
        ]  # fmt: skip
        assert listed[-1] == "250 OK"
        with peer.start_tls(server.tls_context()) as secure:
            assert secure.say("MAIL FROM:<a@a>")[0].startswith("503"), "what was said in clear still counts"
            assert "250-STARTTLS" not in secure.say("EHLO me")
            assert secure.say("STARTTLS")[0].startswith("503")


def server_takes_no_mail_in_clear():
    with MailServer() as server, server.connect() as peer:
        peer.reply()
        peer.say("EHLO me")
        for command in ("MAIL FROM:<a@a>", "RCPT TO:<a@a>", "DATA", "BDAT 0 LAST", "VRFY a"):
            assert peer.say(command)[0].startswith("530"), command
        assert peer.say("QUIT")[0].startswith("221")
        assert peer.at_end()
        assert "0 received; the client said QUIT" in server.output()


def server_refuses_pipelined_starttls():
    with MailServer() as server, server.connect() as peer:
        peer.reply()
        peer.say("EHLO me")
        answer = peer.say(b"STARTTLS\r\nMAIL FROM:<mallory@a>\r\n")
        assert answer[0].startswith("554"), answer
        assert peer.at_end()
        assert "commands sent along with STARTTLS" in server.output()


def server_survives_nonsense():
    with MailServer(once=False) as server:
        for nonsense in (
            b"",
            b"\x00\xff\xfe\r\n",
            b"\x16\x03\x01\x02\x00" + bytes(512),
            b"EHLO me\nQUIT\n",
            b"a" * 300_000,
            b"EHLO " + b"b" * 5000 + b"\r\nQUIT\r\n",
            b"MAIL FROM\r\nMAIL\r\n \r\n\r\n",
            "MAIL FROM:\u20ac<a\r\n".encode() * 100,
            b"STARTTLS now\r\nSTARTTLS\r\n" + bytes(100),
        ):
            with server.connect() as peer:
                try:
                    peer.sock.sendall(nonsense)
                    peer.sock.shutdown(socket.SHUT_WR)
                    while peer.sock.recv(65536):
                        pass
                except ConnectionError:
                    pass
        with server.connect() as peer:
            peer.reply()
            assert peer.say(b"x" * 2000 + b"\r\n")[0].startswith("500")
            assert peer.say("NOOP")[0].startswith("250"), "the server lost its place after a long line"
            with peer.start_tls(server.tls_context()) as secure:
                secure.say("EHLO me")
                for command in ("DATA", "RCPT TO:<a@a>", "MAIL FROM:a@a", "MAIL \u20ac", b"BDAT 2 LAST\r\nxx"):
                    assert secure.say(command)[0].startswith("50"), command
                secure.say("MAIL FROM:<a@a>")
                secure.say("RCPT TO:<b@b>")
                assert secure.say(b"BDAT 4\r\n1\r\n2")[0].startswith("250")
                assert secure.say(b"BDAT 6 LAST\r\n\x1b[2J\r\n")[0].startswith("250 2.6.0")
                secure.say("MAIL FROM:<a@a>")
                secure.say("RCPT TO:<b@b>")
                assert secure.say("DATA")[0].startswith("354")
                assert secure.say(b"smuggled\n.\nMAIL FROM:<c@c>\r\n")[0].startswith("550")
                assert secure.at_end()
        # A thread that panicked says so on stderr, which is part of the output here.
        text = server.output_until("1 received")
        assert "panicked" not in text, text
        assert "\x1b" not in text and "\\u{1b}[2J" in text, text


# ---- the recorder ------------------------------------------------------------------------------


def recorder_knows_tls():
    hello = b"\x16\x03\x01\x00\x02hi"
    data = b"\x17\x03\x03\x00\x03abc"
    assert assert_tls_from(b"220 go\r\n" + hello + data, 8) == [(22, 2), (23, 3)]
    assert assert_tls_from(hello + b"\x17\x03\x03" + MAX_FRAGMENT.to_bytes(2, "big") + bytes(MAX_FRAGMENT), 0)
    for wrong in (
        b"",  # nothing
        data,  # no handshake first
        hello + b"x",  # left over
        hello + data[:-1],  # cut short
        hello + b"MAIL FROM:<a@a>\r\n" + data,  # clear text between
        b"\x18\x03\x01\x00\x02hi",  # no such type
        hello + b"\x17\x03\x04\x00\x01x",  # no such version
        hello + b"\x17\x03\x03" + (MAX_FRAGMENT + 1).to_bytes(2, "big") + bytes(MAX_FRAGMENT + 1),
        hello + b"\x15\x03\x03\x00\x00",  # an empty alert
    ):
        try:
            assert_tls_from(wrong, 0)
        except AssertionError:
            continue
        raise AssertionError(f"{wrong[:40]!r} passes for TLS")


def recorder_keeps_everything():
    """Half-closes pass through, and the tape has every byte in order."""
    there, back = secrets.token_bytes(300_000), secrets.token_bytes(200_000)

    def answer(listener):
        sock, _ = listener.accept()
        with sock, sock.makefile("rb") as file:
            received.append(file.read())
            sock.sendall(back)

    received = []
    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=answer, args=(listener,), daemon=True)
        thread.start()
        with record("127.0.0.1", listener.getsockname()[1]) as recording:
            with socket.create_connection(("127.0.0.1", recording.port), TIMEOUT) as sock:
                sock.sendall(there)
                sock.shutdown(socket.SHUT_WR)
                with sock.makefile("rb") as file:
                    assert file.read() == back
            recording.wait()
            [tape] = recording.tapes
        thread.join(TIMEOUT)
    assert received == [there]
    assert (tape.client_bytes, tape.server_bytes, tape.problems) == (there, back, [])
    assert tape.seen_before(SERVER, 0) == len(there)
    assert tape.seen_before(CLIENT, 0) == 0


WITHOUT_LIBRARY = [
    recorder_knows_tls,
    recorder_keeps_everything,
    server_answers_as_in_the_article,
    server_takes_mail_from_smtplib,
    server_takes_mail_from_openssl,
    server_takes_no_mail_in_clear,
    server_refuses_pipelined_starttls,
    server_survives_nonsense,
]
WITH_LIBRARY = [
    demo_on_the_wire,
    demo_shows_what_is_clear,
    demo_over_ipv6,
    demo_refuses_unknown_ca,
    demo_refuses_wrong_name,
    demo_refuses_hidden_starttls,
    demo_refuses_injected_reply,
    demo_refuses_plain_answer,
    demo_takes_no_commands_from_options,
]


def has_ipv6():
    try:
        socket.create_server(("::1", 0), family=socket.AF_INET6).close()
        return True
    except OSError:
        return False


def reason_to_skip(test, without_library):
    if without_library and test in WITH_LIBRARY:
        return "needs the library"
    if test is demo_over_ipv6 and not has_ipv6():
        return "no IPv6 here"
    return None


def main():
    without_library = sys.argv[1:] == ["--without-library"]
    if sys.argv[1:] and not without_library:
        sys.exit(__doc__)
    counts = {"passed": 0, "failed": 0, "skipped": 0}
    for test in WITHOUT_LIBRARY + WITH_LIBRARY:
        reason = reason_to_skip(test, without_library)
        outcome = "skipped"
        if reason is None:
            try:
                test()
                outcome = "passed"
            except Exception as problem:  # whatever it is, the others still run
                where = traceback.extract_tb(problem.__traceback__)[-1]
                outcome = "failed"
                reason = f"{Path(where.filename).name}:{where.lineno}: {type(problem).__name__}: {problem}"
        counts[outcome] += 1
        print(f"{outcome:8}{test.__name__}" + (f"\n        {reason}" if reason else ""), flush=True)
    print(", ".join(f"{count} {outcome}" for outcome, count in counts.items()))
    return 1 if counts["failed"] else 0


if __name__ == "__main__":
    sys.exit(main())
