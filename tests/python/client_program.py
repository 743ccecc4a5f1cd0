#!/usr/bin/env python3
"""A program that upgrades a client of the standard library, in a Python that has no `ssl`.

    client_program.py smtp|imap|pop3|pasv|epsv|port|eprt|pasv-private|port-private NAME CA TOKEN

It takes the server from the SSLSOCK_* variables, insists on a certificate of NAME by CA, and does with TOKEN what the
functions say. Status 3 and `refused CODE` if the library refuses the server; everything unexpected is a traceback.
"""

import importlib.abc
import os
import sys


class NoSsl(importlib.abc.MetaPathFinder):
    def find_spec(self, name, path=None, target=None):
        if name in ("ssl", "_ssl"):
            raise ImportError(f"there is no {name} here")


sys.meta_path.insert(0, NoSsl())

import ftplib  # noqa: E402
import functools  # noqa: E402
import imaplib  # noqa: E402
import io  # noqa: E402
import poplib  # noqa: E402
import smtplib  # noqa: E402
import socket  # noqa: E402

import sslsock  # noqa: E402
from sslsock import clients  # noqa: E402

# Far from the server's address and from those that the library uses: a mistake shows.
SOURCE = ("127.0.0.3", 0)
TIMEOUT = 20


def address(variable):
    host, _, port = os.environ[f"SSLSOCK_{variable}"].rpartition(":")
    return host, int(port)


def login(server):
    return os.environ[f"SSLSOCK_{server}_USER"], os.environ[f"SSLSOCK_{server}_PASSWORD"]


def upgrade(function, client, name, go_on):
    """Whoever is refused goes on as if nothing had happened, and must not get anywhere: each client fails in its way."""
    try:
        function(client, name)
    except sslsock.SslError as error:
        try:
            go_on()
        except Exception:
            print(f"refused {error.code}")
            sys.exit(3)
        raise AssertionError("a login went out after a refusal") from error


def smtp(name, token):
    """Mails the token from an address of that name."""
    with smtplib.SMTP(*address("EXIM_SMTP"), local_hostname="client.test", timeout=TIMEOUT, source_address=SOURCE) as client:
        client.ehlo()
        assert client.has_extn("starttls") and not client.has_extn("auth"), client.esmtp_features
        upgrade(clients.starttls_smtp, client, name, lambda: client.login(*login("EXIM")))
        assert not client.has_extn("starttls"), "what was said in clear is still believed"
        client.login(*login("EXIM"))
        assert client.has_extn("auth") and not client.has_extn("starttls"), client.esmtp_features
        client.sendmail(f"{token}@client.test", ["b@elsewhere.test"], f"Subject: a token\r\n\r\n{token}\r\n")


def imap(name, token):
    """Fetches the mail whose text is the token."""
    with imaplib.IMAP4(*address("DOVECOT_IMAP"), timeout=TIMEOUT) as client:
        assert "LOGINDISABLED" in client.capabilities, client.capabilities
        upgrade(clients.starttls_imap, client, name, lambda: client.login(*login("DOVECOT")))
        assert "AUTH=PLAIN" in client.capabilities and "LOGINDISABLED" not in client.capabilities, client.capabilities
        client.login(*login("DOVECOT"))
        client.select("INBOX")
        _, (numbers,) = client.search(None, "TEXT", token)
        _, found = client.fetch(numbers.decode(), "(BODY.PEEK[TEXT])")
        assert found[0][1].strip() == token.encode(), found


def pop3(name, token):
    """Fetches the mail whose text is the token."""
    client = poplib.POP3(*address("DOVECOT_POP3"), timeout=TIMEOUT)
    assert "STLS" in client.capa()
    upgrade(clients.stls_pop3, client, name, lambda: client.user(login("DOVECOT")[0]))
    capabilities = client.capa()
    assert "USER" in capabilities and "STLS" not in capabilities, capabilities
    user, password = login("DOVECOT")
    client.user(user)
    client.pass_(password)
    texts = [client.retr(number)[1] for number in range(1, client.stat()[0] + 1)]
    assert any(token.encode() in lines for lines in texts), texts
    client.quit()


class ExtendedPort(ftplib.FTP):
    """EPRT where the connection is IPv4, for which ftplib by itself says PORT (RFC 2428, section 2)."""

    def sendport(self, host, port):
        return self.sendeprt(host, port)


def ftp(mode, name, token, data="clear"):
    """Brings a file to upload/TOKEN, gets it back and lists it, with data connections of that kind."""
    with (ExtendedPort if mode == "eprt" else ftplib.FTP)(timeout=TIMEOUT) as client:
        client.connect(*address("VSFTPD_FTP"), source_address=SOURCE)
        upgrade(functools.partial(clients.auth_tls_ftp, data=data), client, name, client.login)
        client.login()
        client.set_pasv(mode in ("pasv", "epsv"))
        if mode == "epsv":
            # By this alone ftplib chooses.
            client.af = socket.AF_INET6
        content = token.encode() * 10_000
        client.storbinary(f"STOR upload/{token}", io.BytesIO(content))
        received, listed = [], []
        client.retrbinary(f"RETR upload/{token}", received.append)
        assert b"".join(received) == content
        client.retrlines("LIST upload", listed.append)
        assert any(line.endswith(f" {token}") for line in listed), listed
        client.quit()


PROGRAMS = {"smtp": smtp, "imap": imap, "pop3": pop3}
PROGRAMS.update({mode: functools.partial(ftp, mode) for mode in ("pasv", "epsv", "port", "eprt")})
PROGRAMS.update({f"{mode}-private": functools.partial(ftp, mode, data="private") for mode in ("pasv", "port")})


def main():
    what, name, authority, token = sys.argv[1:]
    sslsock.defaults.add_trust_file(authority)
    PROGRAMS[what](name, token)
    assert "ssl" not in sys.modules and "_ssl" not in sys.modules
    with open("/proc/self/maps") as maps:
        assert "libssl.so" not in maps.read()
    print("done")


if __name__ == "__main__":
    main()
