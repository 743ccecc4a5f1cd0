#!/usr/bin/env python3
"""FTP over TLS: the control connection, and data connections that resume its session.

    ftps.py [--implicit] [--active] [--tls 1.2|1.3] [--trust FILE] [--name NAME]
            [--user U] [--password P] [--without-session] HOST PORT COMMAND...

    list               the folder
    put LOCAL REMOTE   upload
    get REMOTE LOCAL   download

The commands are carried out in order, in one session. FILE is trusted instead of the built-in roots of the public CAs;
NAME is what the server's certificate must be for, if that is not HOST.
"""

import argparse
import contextlib
import ftplib
import os
import re
import socket
import sys

from sslsock import SSL_PROTOCOL_TLS1_2, SSL_PROTOCOL_TLS1_3, SslNotResumedError
from sslsock.ftp import FTP_TLS

VERSIONS = {"1.2": SSL_PROTOCOL_TLS1_2, "1.3": SSL_PROTOCOL_TLS1_3}
ARGUMENTS = {"list": 0, "put": 2, "get": 2}
BLOCK = 65536
NOT_THERE = ("500", "501", "502", "522")
MEANINGS = {
    "522": "the server wants the data connection to be protected, or to resume the session of the control connection",
    "425": "the data connection could not be opened: try the other of passive and --active, a firewall may be in the way",
    "426": "the data connection was broken off: the transfer is incomplete",
}


class Client(FTP_TLS):
    """Tells what is said, and asks for a data connection in the way of today first."""

    def putline(self, line):
        say("C: PASS ***" if line.upper().startswith("PASS ") else f"C: {line}")
        super().putline(line)

    def getline(self):
        line = super().getline()
        say(f"S: {line}")
        return line

    def makepasv(self):
        peer = self.sock.getpeername()
        try:
            return ftplib.parse229(self.sendcmd("EPSV"), peer)
        except ftplib.error_perm as refusal:
            if not str(refusal).startswith(NOT_THERE) or self.af != socket.AF_INET:
                raise
        # The address in the answer is not looked at: it may be one inside a private network, or somebody else's.
        return peer[0], ftplib.parse227(self.sendcmd("PASV"))[1]

    def sendeprt(self, host, port):
        return self.voidcmd(f"EPRT |{1 if self.af == socket.AF_INET else 2}|{host}|{port}|")

    def sendport(self, host, port):
        """What ftplib says to a server by IPv4."""
        try:
            return self.sendeprt(host, port)
        except ftplib.error_perm as refusal:
            if not str(refusal).startswith(NOT_THERE):
                raise
        return super().sendport(host, port)

    def upgrade_control(self):
        made = super().upgrade_control()
        say(f"tls: {made.session_info.protocol_name}")
        return made

    def upgrade_data(self, conn):
        self.data = made = super().upgrade_data(conn)
        say(f"resumed: {'yes' if made.session_info.resumed else 'no'}")
        return made

    def list(self):
        with self.transfer("LIST") as data, data.makefile("rb") as lines:
            for line in lines:
                say(f"entry: {line.decode('utf-8', 'surrogateescape').rstrip()}")
        self.voidresp()

    def put(self, local, remote):
        with open(local, "rb") as file, self.transfer(f"STOR {remote}") as data:
            while True:
                block = file.read(BLOCK)
                if not block:
                    break
                data.sendall(block)
            # With close_notify. Some servers want to have said theirs before the connection is closed.
            data.shutdown(socket.SHUT_WR)
            while data.recv(BLOCK):
                pass
        self.voidresp()

    def get(self, remote, local):
        part = f"{local}.part"
        try:
            with open(part, "wb") as file, self.transfer(f"RETR {remote}") as data:
                while True:
                    # An end without close_notify is an exception: something may be missing.
                    block = data.recv(BLOCK)
                    if not block:
                        break
                    file.write(block)
            self.voidresp()
            os.replace(part, local)
        finally:
            if os.path.exists(part):
                os.remove(part)

    @contextlib.contextmanager
    def transfer(self, command):
        """A data connection. If it fails, the library knows why, and the server says why on the control connection."""
        with self.transfercmd(command) as conn:
            try:
                yield conn
            except ConnectionError as error:
                raise Failed(f"{self.data.socket.failure() or error}; the server said {self.last_words()!r}")

    def last_words(self):
        try:
            self.sock.settimeout(10)
            return self.getmultiline()
        except (OSError, EOFError):
            return "nothing"


class Failed(Exception):
    """A transfer that came to nothing."""


def say(text):
    print(re.sub(r"[\0-\x1f\x7f-\x9f\udc80-\udcff]", lambda found: f"\\x{ord(found[0]) & 255:02x}", text), flush=True)


def main():
    options = parse()
    arguments = {
        "server_name": options.name,
        "implicit": options.implicit,
        "resumption": "never" if options.without_session else "require",
        "trust_file": options.trust,
    }
    if options.tls:
        arguments.update(min_version=VERSIONS[options.tls], max_version=VERSIONS[options.tls])
    try:
        with Client(timeout=60, encoding="utf-8", **arguments) as ftp:
            ftp.connect(options.host, options.port)
            ftp.login(options.user, options.password)
            ftp.set_pasv(not options.active)
            ftp.voidcmd("TYPE I")
            ftp.pwd()
            for name, *values in options.commands:
                getattr(ftp, name)(*values)
            ftp.quit()
    except SslNotResumedError as error:
        raise SystemExit(f"{explain(error)}\nWith --without-session it may work, if the server does not insist.")
    except (*ftplib.all_errors, Failed, ValueError) as error:
        raise SystemExit(explain(error))


def explain(error):
    """What happened, and what the server meant."""
    text = str(error) or type(error).__name__
    code = re.search(r"(?:^|')(\d{3})[ -]", text)
    return f"{text}\n{MEANINGS[code[1]]}" if code and code[1] in MEANINGS else text


def parse():
    parser = argparse.ArgumentParser(description="Lists, uploads and downloads by FTP over TLS.")
    parser.add_argument("--implicit", action="store_true", help="TLS from the first byte, without AUTH TLS")
    parser.add_argument("--active", action="store_true", help="the server connects to this program for data")
    parser.add_argument("--tls", choices=VERSIONS, help="this version alone")
    parser.add_argument("--trust", metavar="FILE", help="whom to trust instead of the public CAs: certificates in PEM")
    parser.add_argument("--name", help="the name that the server's certificate must be for, if it is not HOST")
    parser.add_argument("--user", default="anonymous")
    parser.add_argument("--password", default="user@")
    parser.add_argument("--without-session", action="store_true", help="data connections with sessions of their own")
    parser.add_argument("host")
    parser.add_argument("port", type=int, help="often 21, with --implicit 990")
    parser.add_argument("commands", nargs="+", metavar="command", help="list, put LOCAL REMOTE, get REMOTE LOCAL")
    options = parser.parse_args()
    words, options.commands = options.commands, []
    while words:
        name = words.pop(0)
        if name not in ARGUMENTS or len(words) < ARGUMENTS[name]:
            parser.error(f"no command, or too little after it: {name}")
        options.commands.append([name, *words[: ARGUMENTS[name]]])
        del words[: ARGUMENTS[name]]
    return options


if __name__ == "__main__":
    sys.exit(main())
