"""Servers of the mail and file protocols that say what a test wants them to, also what an honest server would not."""

import functools
import re
import socket

import listening
import peer

EXPECTED = (*peer.EXPECTED, ValueError)

# How each begins, what it answers to, and the command that asks for TLS. {more} is there under TLS only.
DIALECTS = {
    "SMTP": {
        "greeting": "220 ready",
        "EHLO": "250-mail.test\r\n{offer}{more}250 8BITMIME",
        "offer": "250-STARTTLS\r\n",
        "more": "250-AUTH PLAIN\r\n",
        "STARTTLS": "220 go ahead",
        "refusal": "454 not now",
        "NOOP": "250 ok",
        "QUIT": "221 bye",
        "injected": "250 injected",
    },
    "IMAP": {
        "greeting": "* OK ready",
        "CAPABILITY": "* CAPABILITY IMAP4rev1{offer}{more}\r\n{tag} OK done",
        "offer": " STARTTLS",
        "more": " AUTH=PLAIN",
        "STARTTLS": "{tag} OK go ahead",
        "refusal": "{tag} BAD not now",
        "NOOP": "{tag} OK done",
        "LOGOUT": "* BYE\r\n{tag} OK done",
        "injected": "* CAPABILITY INJECTED",
    },
    "POP3": {
        "greeting": "+OK ready",
        "CAPA": "+OK\r\n{offer}{more}UIDL\r\n.",
        "offer": "STLS\r\n",
        "more": "SASL PLAIN\r\n",
        "STLS": "+OK go ahead",
        "refusal": "-ERR not now",
        "NOOP": "+OK",
        "QUIT": "+OK bye",
        "injected": "+OK injected",
    },
    "FTP": {
        "greeting": "220 ready",
        "AUTH": "234 go ahead",
        "refusal": "502 not here",
        "offer": "",
        "more": "",
        "NOOP": "200 ok",
        "PBSZ": "200 PBSZ=0",
        "PROT": "200 protection {argument}",
        "TYPE": "200 ok",
        "USER": "230 ok",
        "QUIT": "221 bye",
        "injected": "200 injected",
    },
}
TLS_COMMANDS = ("STARTTLS", "STLS", "AUTH")
WAYS = ("good", "injecting", "not_offering", "refusing")
FILE = b"the file\r\n" * 1000


def listen(pki):
    context = peer.server_context(pki)
    variables = {}
    for name in DIALECTS:
        for way in WAYS:
            serve = functools.partial(_serve, name, way, context)
            variables[f"{name}_{way}"] = listening.listen(socket.AF_INET, ("127.0.0.2", 0), serve, EXPECTED, 30)
    serve = functools.partial(_serve, "FTP", "good", context)
    try:
        variables["FTP6_good"] = listening.listen(socket.AF_INET6, ("::1", 0), serve, EXPECTED, 30)
    except OSError:
        pass
    return variables


class _Clear:
    def __init__(self, connection):
        self.read, self.write = connection.recv, connection.sendall


def _serve(name, way, context, connection):
    Conversation(DIALECTS[name], way, context, connection).hold()


class Conversation:
    def __init__(self, dialect, way, context, connection):
        self.dialect, self.way, self.context, self.connection = dialect, way, context, connection
        self.session, self.more = _Clear(connection), ""
        self.data = None

    def hold(self):
        self.say(self.dialect["greeting"])
        while True:
            line = self.read_line()
            tagged = re.match(r"(\S*\d\S*) (\S+) ?(.*)", line) if "{tag}" in self.dialect["NOOP"] else None
            tag, command, argument = tagged.groups() if tagged else ("", *(line.split(" ", 1) + [""])[:2])
            command = command.upper()
            if hasattr(self, f"ftp_{command}"):
                getattr(self, f"ftp_{command}")(argument)
            elif command in TLS_COMMANDS and not self.more:
                self.start_tls(tag, command)
            else:
                offer = "" if self.more or self.way == "not_offering" else self.dialect["offer"]
                answer = self.dialect.get(command, "500 what is that?")
                self.say(answer.format(tag=tag, offer=offer, more=self.more, argument=argument))

    def start_tls(self, tag, command):
        # One that does not offer it would do it all the same; FTP has nothing to offer with.
        if self.way == "refusing" or self.way == "not_offering" and command == "AUTH":
            self.say(self.dialect["refusal"].format(tag=tag))
            return
        answer = self.dialect[command].format(tag=tag)
        self.say(f"{answer}\r\n{self.dialect['injected']}" if self.way == "injecting" else answer)
        self.session = peer.Session(self.connection, self.context)
        # FTP has nothing to tell.
        self.more = self.dialect["more"] or " "

    def say(self, text):
        self.session.write(f"{text}\r\n".encode())

    def read_line(self):
        line = b""
        while not line.endswith(b"\n"):
            byte = self.session.read(1)
            if not byte:
                raise peer.Ended("the end")
            line += byte
        return line.decode().rstrip()

    # Data connections in clear, as FTP makes them.

    def ftp_PASV(self, _argument):
        host, port = self._listen()[:2]
        self.say(f"227 passive ({host.replace('.', ',')},{port >> 8},{port & 255})")

    def ftp_EPSV(self, _argument):
        self.say(f"229 passive (|||{self._listen()[1]}|)")

    def _listen(self):
        listener = socket.socket(self.connection.family, socket.SOCK_STREAM)
        listener.bind((self.connection.getsockname()[0], 0))
        listener.listen(1)
        self.data = lambda: listener.accept()[0]
        return listener.getsockname()

    def ftp_PORT(self, argument):
        *host, high, low = argument.split(",")
        self._remember((".".join(host), int(high) * 256 + int(low)))

    def ftp_EPRT(self, argument):
        _, _, host, port, _ = argument.split("|")
        self._remember((host, int(port)))

    def _remember(self, address):
        # As careful servers do.
        if address[0] != self.connection.getpeername()[0]:
            self.say(f"500 {address[0]} is not where the control connection comes from")
            return
        self.data = lambda: socket.create_connection(address, 20)
        self.say("200 ok")

    def ftp_RETR(self, _argument):
        self.say("150 here it comes")
        with self.data() as connection:
            connection.sendall(FILE)
        self.say("226 done")
