"""The servers: which packages they need, how each is configured and started, how to tell that it is up.

To add one, write a class like those below, a template beside it, and a line in SERVERS.
"""

import os
import pathlib
import shutil

import pki

USER = "user"
PASSWORD = "secret-of-user"

# Debian keeps daemons where an unprivileged caller's PATH may not look.
SEARCH_PATH = os.pathsep.join(["/usr/sbin", "/usr/bin", "/sbin", "/bin", "/usr/lib/dovecot"])


class Server:
    """One server in one folder. `ports` maps a variable's last word to what is expected on that port:

    a regular expression for the greeting, None if a successful connect is all there is to see
    (implicit TLS), or a pair of bytes to send and the expression for the answer."""

    name = None
    # Debian package -> a program that only this package installs.
    packages = {}
    ports = {}
    # What its log says when a port has been taken meanwhile.
    clash = "in use"
    # Complaints come out of descriptor 0, as to a client.
    complains_to_input = False

    def __init__(self, run):
        self.account = run.account
        self.pki = run.pki
        self.address = run.address
        self.folder = run.folder / self.name
        self.mark = run.mark
        self.port = {}

    @classmethod
    def missing_packages(cls):
        return [package for package, program in cls.packages.items() if not find(program)]

    @property
    def log(self):
        return self.folder / "log"

    def make_folders(self, *names):
        for name in names:
            folder = self.folder / name
            folder.mkdir(parents=True, exist_ok=True)
            self.account.own(folder)

    def prepare(self):
        """Makes the folders; the template is filled in afterwards, on every attempt."""
        self.make_folders(".")

    def template(self):
        """Template, the name of the file made from it."""
        return f"{self.name}.conf", f"{self.name}.conf"

    def substitutions(self):
        values = {
            "DIR": self.folder,
            "PKI": self.pki,
            "ADDRESS": self.address,
            "RUNUSER": self.account.name,
            "RUNGROUP": self.account.group,
            "UID": self.account.uid,
            "GID": self.account.gid,
            "USER": USER,
            "PASSWORD": PASSWORD,
            "MARK": self.mark,
        }
        values.update((f"PORT_{word}", number) for word, number in self.port.items())
        return values

    def command(self, configuration):
        """The command that runs it in the foreground."""
        raise NotImplementedError

    def variables(self):
        """What a test gets to know beside the addresses: last words of variable names and their values."""
        return {}


class Exim(Server):
    """SMTP with STARTTLS by GnuTLS. Mail for mail.test is taken from anyone, all else from who logged in.

    Nothing is delivered (that would need root): a message stays in SPOOL/input/*-D."""

    name = "exim"
    packages = {"exim4-daemon-light": "exim4"}
    ports = {"SMTP": r"220 mail\.test ESMTP @MARK@\r\n", "SMTPS": None}

    def prepare(self):
        self.make_folders(".", "spool")

    def command(self, configuration):
        # In the foreground it writes its log to standard error.
        return [find("exim4"), "-C", configuration, "-bdf"]

    def variables(self):
        return {"SPOOL": self.folder / "spool", "LOG": self.folder / "output.log", "USER": USER, "PASSWORD": PASSWORD}


class Dovecot(Server):
    """IMAP with STARTTLS and POP3 with STLS, by OpenSSL. A file put into MAILDIR/new is a mail of USER."""

    name = "dovecot"
    packages = {"dovecot-imapd": "imap-login", "dovecot-pop3d": "pop3-login"}
    ports = {
        "IMAP": r"\* OK \[[^]]*\] @MARK@\r\n",
        "POP3": r"\+OK @MARK@\r\n",
        "IMAPS": None,
        "POP3S": None,
    }

    def prepare(self):
        maildir = f"mail/{USER}"
        self.make_folders(".", "run", "state", "mail", maildir, *(f"{maildir}/{part}" for part in ("cur", "new", "tmp")))

    def command(self, configuration):
        return [find("dovecot"), "-F", "-c", configuration]

    def variables(self):
        return {"MAILDIR": self.folder / "mail" / USER, "LOG": self.log, "USER": USER, "PASSWORD": PASSWORD}


class Vsftpd(Server):
    """FTP with AUTH TLS by OpenSSL, for `anonymous`. A data connection is in clear, or after PROT P under TLS: then it
    has to resume the control connection's session, else it is refused. Files are those of ROOT; what is uploaded goes
    to ROOT/upload."""

    name = "vsftpd"
    packages = {"vsftpd": "vsftpd"}
    ports = {"FTP": r"220 @MARK@\r\n"}
    clash = "could not bind"
    complains_to_input = True

    def prepare(self):
        self.make_folders(".", "empty", "root", "root/upload")

    def command(self, configuration):
        return [find("vsftpd"), configuration]

    def substitutions(self):
        return {**super().substitutions(), "IMPLICIT": "NO"}

    def variables(self):
        return {"ROOT": self.folder / "root", "LOG": self.folder / "vsftpd.log"}


class ImplicitVsftpd(Vsftpd):
    """The same with TLS from the first byte on."""

    name = "vsftpd_implicit"
    ports = {"FTPS": None}

    def template(self):
        return "vsftpd.conf", "vsftpd.conf"

    def substitutions(self):
        return {**super().substitutions(), "PORT_FTP": self.port["FTPS"], "IMPLICIT": "YES"}


class Nginx(Server):
    """HTTPS by OpenSSL. HTTPS asks for a client certificate and answers what it knows of the connection;
    MUTUAL wants one, by one of two authorities, and speaks TLS 1.2 alone, MUTUAL13 TLS 1.3."""

    name = "nginx"
    packages = {"nginx": "nginx"}
    ports = {
        "PLAIN": (b"GET / HTTP/1.0\r\n\r\n", r"\r\n\r\n@MARK@\n"),
        "HTTPS": None,
        "MUTUAL": None,
        "MUTUAL13": None,
    }

    def prepare(self):
        self.make_folders(".", "tmp")
        pki.make_authority(self.folder, "second", "sslsock second root")
        both = [path.read_text() for path in (pathlib.Path(self.pki, "ca.pem"), self.folder / "second.pem")]
        self.authorities.write_text("".join(both))

    @property
    def authorities(self):
        return self.folder / "client-authorities.pem"

    def command(self, configuration):
        return [find("nginx"), "-p", self.folder, "-e", self.folder / "error.log", "-c", configuration]

    def variables(self):
        logs = {"LOG": self.folder / "access.log", "ERROR_LOG": self.folder / "error.log"}
        return {**logs, "AUTHORITIES": self.authorities}


class Prosody(Server):
    """XMPP for clients of `localhost`, STARTTLS required, by OpenSSL."""

    name = "prosody"
    packages = {"prosody": "prosody"}
    ports = {
        "XMPP": (
            b"<stream:stream to='localhost' version='1.0' xmlns='jabber:client' "
            b"xmlns:stream='http://etherx.jabber.org/streams'>",
            r"<starttls .*</stream:features>",
        )
    }

    def prepare(self):
        accounts = self.folder / "data" / "localhost" / "accounts"
        self.make_folders(".", "data", "data/localhost", "data/localhost/accounts")
        (accounts / f"{USER}.dat").write_text(f'return {{ ["password"] = "{PASSWORD}" }}\n')

    def template(self):
        return "prosody.cfg.lua", "prosody.cfg.lua"

    def command(self, configuration):
        return [find("prosody"), "--config", configuration, "-F"]

    def variables(self):
        return {"LOG": self.folder / "prosody.log", "USER": USER, "PASSWORD": PASSWORD}


class Slapd(Server):
    """LDAP with the StartTLS operation, by GnuTLS. Whoever logs in without TLS is refused; nothing is found without a
    login. The tree dc=test holds USER_DN; a file cn=NAME.ldif put into ENTRIES is one more entry of it."""

    name = "slapd"
    packages = {"slapd": "slapd", "ldap-utils": "ldapsearch"}
    # A search for the description in the root DSE, which may be read by anybody: RFC 4511, section 4.5.1.
    ports = {
        "LDAP": (
            b"\x30\x32\x02\x01\x01\x63\x2d\x04\x00\x0a\x01\x00\x0a\x01\x00\x02\x01\x00\x02\x01\x00\x01\x01\x00"
            b"\x87\x0bobjectClass\x30\x0d\x04\x0bdescription",
            r"@MARK@",
        )
    }

    @property
    def entries(self):
        return self.folder / "tree" / "dc=test"

    def prepare(self):
        self.make_folders(".", "tree", "tree/dc=test")
        (self.folder / "root.ldif").write_text(f"dn:\ndescription: {self.mark}\n")
        (self.folder / "tree" / "dc=test.ldif").write_text(
            "dn: dc=test\nobjectClass: organization\nobjectClass: dcObject\nstructuralObjectClass: organization\no: test\ndc: test\n"
        )
        (self.entries / f"cn={USER}.ldif").write_text(
            f"dn: cn={USER}\nobjectClass: person\nstructuralObjectClass: person\ncn: {USER}\nsn: {USER}\nuserPassword: {PASSWORD}\n"
        )

    def command(self, configuration):
        # -d: it stays in the foreground and tells its standard error about every operation.
        listen = f"ldap://{self.address}:{self.port['LDAP']}"
        return [find("slapd"), "-f", configuration, "-h", listen, "-d", "stats"]

    def variables(self):
        return {
            "ENTRIES": self.entries,
            "LOG": self.folder / "output.log",
            "USER_DN": f"cn={USER},dc=test",
            "PASSWORD": PASSWORD,
        }


class Proxy(Server):
    """An HTTP proxy, tinyproxy, that also tunnels (CONNECT) to every port."""

    name = "proxy"
    packages = {"tinyproxy-bin": "tinyproxy"}
    ports = {"HTTP": (b"no request\r\n\r\n", r"@MARK@")}
    clash = "Could not create listening sockets"

    def prepare(self):
        self.make_folders(".")
        (self.folder / "error.html").write_text(f"<title>{self.mark}</title>\n")

    def command(self, configuration):
        return [find("tinyproxy"), "-d", "-c", configuration]

    def variables(self):
        return {"LOG": self.folder / "proxy.log"}


SERVERS = {server.name: server for server in (Exim, Dovecot, Vsftpd, ImplicitVsftpd, Nginx, Prosody, Slapd, Proxy)}


def find(program):
    return shutil.which(program, path=SEARCH_PATH)


def packages():
    names = {"openssl"}
    for server in SERVERS.values():
        names.update(server.packages)
    return sorted(names)


def missing(name):
    """The packages that `name` lacks."""
    lacking = SERVERS[name].missing_packages()
    if not find("openssl"):
        lacking.append("openssl")
    return lacking


SERVER_NAME = pki.NAME
