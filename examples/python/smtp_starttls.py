#!/usr/bin/env python3
"""STARTTLS with a deferred handshake: one socket, first in clear, then under TLS.

    smtp_starttls.py HOST PORT [CA_FILE] [--mail FROM TO]

CA_FILE is trusted instead of the built-in roots of the public CAs. With --mail it sends one.
"""

import argparse
import socket

from sslsock import SslError, SslHelper


def main():
    options = parse()
    family, kind, protocol, _, address = socket.getaddrinfo(options.host, options.port, type=socket.SOCK_STREAM)[0]
    s = socket.socket(family, kind, protocol)
    s.settimeout(60)
    with s, SslHelper(s, options.host, True, trust_file=options.ca_file) as helper:
        s.connect(address)
        sr = s.makefile("r", encoding="ascii", newline="\r\n")
        read_reply(sr, "220")
        command(s, sr, "EHLO client.example", "250")
        command(s, sr, "STARTTLS", "220")

        # `sr` may have read ahead: if it has, what came in clear must not pass for an answer under TLS.
        try:
            helper.do_handshake(readers=[sr])
        except SslError as error:
            # The connection is over: nothing that is sent on it now leaves, in clear or otherwise.
            raise SystemExit(f"no TLS: {error.text}")
        print("success:", helper.socket.get_session_info().protocol_name)

        # The same socket and the same reader. What the server said before counts for nothing: EHLO again.
        command(s, sr, "EHLO client.example", "250")
        if options.mail:
            command(s, sr, f"MAIL FROM:<{options.mail[0]}>", "250")
            command(s, sr, f"RCPT TO:<{options.mail[1]}>", "250")
            command(s, sr, "DATA", "354")
            command(s, sr, "Subject: sslsock\r\n\r\nThis mail began its way in clear and ended it under TLS.\r\n.", "250")
        command(s, sr, "QUIT", "221")


def command(s, sr, text, code):
    print("C:", text)
    s.sendall(text.encode("ascii") + b"\r\n")
    read_reply(sr, code)


def read_reply(sr, code):
    """The last line of a reply has a space after its code: "250 OK", or "250 HELP"."""
    while True:
        line = sr.readline()
        print("S:", line.rstrip())
        if not line.startswith(code):
            raise SystemExit(f"expected {code}, the server said {line.rstrip()!r}")
        if line[3:4] == " ":
            return


def parse():
    parser = argparse.ArgumentParser(description="Starts TLS in the middle of an SMTP conversation.")
    parser.add_argument("host", help="the server, and the name that its certificate must be for")
    parser.add_argument("port", type=int, help="often 587")
    parser.add_argument("ca_file", nargs="?", help="whom to trust instead of the public CAs: certificates in PEM")
    parser.add_argument("--mail", nargs=2, metavar=("FROM", "TO"), help="send a mail as well")
    return parser.parse_args()


if __name__ == "__main__":
    main()
