#!/usr/bin/env python3
"""FTP with AUTH TLS: the login goes over a socket that was in clear before.

    ftps.py HOST PORT [CA_FILE] [--user NAME --password WORD]

CA_FILE is trusted instead of the built-in roots of the public CAs. It logs in and lists the folder.
"""

import argparse
import re
import socket

from sslsock import SslError, SslHelper


class FtpClient:
    def __init__(self, remote_host, remote_port, ca_file=None):
        self.remote_host, self.remote_port, self.ca_file = remote_host, remote_port, ca_file
        self.received = b""

    def login_without_user(self):
        """Connects; the socket stays in clear, because the handshake is deferred."""
        family, kind, protocol, _, address = socket.getaddrinfo(
            self.remote_host, self.remote_port, type=socket.SOCK_STREAM
        )[0]
        self.client_socket = socket.socket(family, kind, protocol)
        self.client_socket.settimeout(60)
        self.ssl_helper = SslHelper(self.client_socket, self.remote_host, True, trust_file=self.ca_file)
        self.client_socket.connect(address)
        self.read_reply("220")

    def get_ssl_stream(self):
        """From here on the same socket is TLS."""
        if self.received:
            raise SystemExit("the server sent more than its answer in clear")
        try:
            self.ssl_helper.do_handshake()
        except SslError as error:
            # The connection is over: nothing that is sent on it now leaves, in clear or otherwise.
            raise SystemExit(f"no TLS: {error.text}")

    def login(self, user, password):
        if self.send_command(f"USER {user}", "230", "331").startswith("331"):
            self.send_command(f"PASS {password}", "230", "202")

    def list(self):
        """The data connection goes to the server's real address: getpeername() does not know that any more. It is in
        clear; for TLS on it, most servers insist on resuming the session of this connection."""
        port = re.search(r"\|\|\|(\d+)\|", self.send_command("EPSV", "229"))[1]
        with socket.create_connection((self.ssl_helper.remote_address[0], int(port)), timeout=60) as data:
            self.send_command("LIST", "150", "125")
            with data.makefile("rb") as stream:
                listing = stream.read().decode(errors="replace")
        self.read_reply("226", "250")
        return listing

    def close(self):
        self.send_command("QUIT", "221")
        self.client_socket.close()

    def send_command(self, command, *codes):
        print("C:", "PASS ..." if command.startswith("PASS ") else command)
        self.client_socket.sendall(command.encode() + b"\r\n")
        return self.read_reply(*codes)

    def read_reply(self, *codes):
        """The last line of a reply, which has a space after its code."""
        line = self.read_line()
        while not re.match(r"\d{3} ", line):
            line = self.read_line()
        if not line.startswith(codes):
            raise SystemExit(f"expected {' or '.join(codes)}, the server said {line!r}")
        return line

    def read_line(self):
        while b"\n" not in self.received:
            received = self.client_socket.recv(512)
            if not received:
                raise SystemExit("the server closed the connection")
            self.received += received
        line, _, self.received = self.received.partition(b"\n")
        print("S:", line.decode(errors="replace").rstrip())
        return line.decode(errors="replace").rstrip()


def main():
    parser = argparse.ArgumentParser(description="Logs in to an FTP server by explicit TLS, and lists the folder.")
    parser.add_argument("host", help="the server, and the name that its certificate must be for")
    parser.add_argument("port", type=int, help="often 21")
    parser.add_argument("ca_file", nargs="?", help="whom to trust instead of the public CAs: certificates in PEM")
    parser.add_argument("--user", default="anonymous")
    parser.add_argument("--password", default="")
    options = parser.parse_args()

    ftp = FtpClient(options.host, options.port, options.ca_file)
    # Start with plain text.
    ftp.login_without_user()
    ftp.send_command("AUTH TLS", "234")
    # Change to TLS.
    ftp.get_ssl_stream()
    # Log in securely.
    ftp.login(options.user, options.password)
    print(ftp.list(), end="")
    ftp.close()


if __name__ == "__main__":
    main()
