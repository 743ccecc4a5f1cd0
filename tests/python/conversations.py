"""What clients say in protocols that begin in clear and go on under TLS, over nothing but send and recv.

Each class has `ask_for_tls`, which sees that a login in clear is refused and talks until the handshake is due, and
`go_on`, which logs in, uses the login, and says goodbye. Both work on the socket as it is, so whether it has become
TLS in between is up to the caller.
"""

import base64

import ber


class Conversation:
    """A connected socket and the texts that go over it. Nothing is read ahead of what was asked for."""

    def __init__(self, sock):
        self.sock = sock

    def send(self, data):
        while data:
            data = data[self.sock.send(data) :]

    def receive(self, count):
        """Exactly so many bytes."""
        received = b""
        while len(received) < count:
            received += self.receive_some(count - len(received))
        return received

    def receive_some(self, limit):
        received = self.sock.recv(limit)
        if not received:
            raise EOFError("the server has closed the connection")
        return received

    def receive_until(self, end):
        received = b""
        while not received.endswith(end):
            received += self.receive_some(1)
        return received.decode()

    def expect_end(self):
        """The server's close_notify, as it reaches a plain recv."""
        received = self.sock.recv(1)
        assert not received, received


class LineConversation(Conversation):
    def read_line(self):
        return self.receive_until(b"\r\n")[:-2]

    def expect(self, *beginnings):
        """Reads a line that has to begin in one of these ways."""
        line = self.read_line()
        assert line.startswith(beginnings), line
        return line

    def command(self, text, *beginnings):
        self.send(text.encode() + b"\r\n")
        return self.expect(*beginnings)


class NumberedConversation(LineConversation):
    """SMTP and FTP: replies of three digits; with a minus after them more lines follow, up to one without."""

    def expect(self, *beginnings):
        lines = [super().expect(*beginnings)]
        if lines[0][3:4] == "-":
            while not lines[-1].startswith(lines[0][:3] + " "):
                lines.append(self.read_line())
        return "\n".join(lines)


class Smtp(NumberedConversation):
    def __init__(self, sock, user, password, sender="a@client.test", token=""):
        super().__init__(sock)
        self.login = base64.b64encode(f"\0{user}\0{password}".encode()).decode()
        self.sender, self.token = sender, token

    def ask_for_tls(self):
        self.expect("220 ")
        offers = self.command("EHLO client.test", "250")
        assert "STARTTLS" in offers and "AUTH" not in offers, offers
        self.command(f"AUTH PLAIN {self.login}", "503")
        self.command("STARTTLS", "220 ")

    def go_on(self):
        offers = self.command("EHLO client.test", "250")
        assert "STARTTLS" not in offers and "AUTH PLAIN" in offers, offers
        self.command(f"AUTH PLAIN {self.login}", "235")
        self.command(f"MAIL FROM:<{self.sender}>", "250")
        self.command("RCPT TO:<b@elsewhere.test>", "250")
        self.command("DATA", "354")
        self.command(f"Subject: a token\r\n\r\n{self.token}\r\n.", "250")
        self.command("QUIT", "221")


class Imap(LineConversation):
    def __init__(self, sock, user, password, token=""):
        super().__init__(sock)
        self.user, self.password, self.token = user, password, token

    def answer(self, tag):
        """The lines up to the tagged one."""
        lines = [self.read_line()]
        while not lines[-1].startswith(tag + " "):
            lines.append(self.read_line())
        return lines

    def ask_for_tls(self):
        self.expect("* OK ")
        self.send(b"a1 CAPABILITY\r\n")
        capabilities = self.answer("a1")[0]
        assert "STARTTLS" in capabilities and "LOGINDISABLED" in capabilities, capabilities
        self.send(f"a2 LOGIN {self.user} {self.password}\r\n".encode())
        refusal = self.answer("a2")[-1]
        assert refusal.startswith("a2 NO "), refusal
        self.command("a3 STARTTLS", "a3 OK ")

    def go_on(self):
        self.send(b"a4 CAPABILITY\r\n")
        capabilities = self.answer("a4")[0]
        assert "AUTH=PLAIN" in capabilities and "LOGINDISABLED" not in capabilities, capabilities
        for tag, text in (("a5", f"LOGIN {self.user} {self.password}"), ("a6", "SELECT INBOX")):
            self.send(f"{tag} {text}\r\n".encode())
            assert self.answer(tag)[-1].startswith(f"{tag} OK "), text
        self.send(b"a7 FETCH 1:* BODY.PEEK[TEXT]\r\n")
        assert self.token in self.answer("a7"), "the mail is not there"
        self.send(b"a8 LOGOUT\r\n")
        assert self.answer("a8")[0].startswith("* BYE ")


class Pop3(LineConversation):
    def __init__(self, sock, user, password, token=""):
        super().__init__(sock)
        self.user, self.password, self.token = user, password, token

    def list(self, text):
        self.command(text, "+OK")
        lines = [self.read_line()]
        while lines[-1] != ".":
            lines.append(self.read_line())
        return lines[:-1]

    def ask_for_tls(self):
        self.expect("+OK ")
        capabilities = self.list("CAPA")
        assert "STLS" in capabilities and "USER" not in capabilities, capabilities
        self.command(f"USER {self.user}", "-ERR")
        self.command("STLS", "+OK")

    def go_on(self):
        capabilities = self.list("CAPA")
        assert "STLS" not in capabilities and "USER" in capabilities, capabilities
        self.command(f"USER {self.user}", "+OK")
        self.command(f"PASS {self.password}", "+OK")
        count = int(self.command("STAT", "+OK").split()[1])
        assert any(self.token in self.list(f"RETR {number}") for number in range(1, count + 1)), "the mail is not there"
        self.command("QUIT", "+OK")


class Ftp(NumberedConversation):
    """A login in clear is not tried by `ask_for_tls`: vsftpd hangs up on it."""

    def __init__(self, sock, user):
        super().__init__(sock)
        self.user = user

    def ask_for_tls(self):
        self.expect("220 ")
        assert "AUTH TLS" in self.command("FEAT", "211")
        self.command("AUTH TLS", "234")

    def go_on(self):
        self.command(f"USER {self.user}", "230")
        self.command("PWD", "257 ")
        self.command("QUIT", "221")


class Xmpp(Conversation):
    STREAM = (
        "<?xml version='1.0'?><stream:stream to='{}' version='1.0' xmlns='jabber:client' "
        "xmlns:stream='http://etherx.jabber.org/streams'>"
    )
    TLS, SASL = "urn:ietf:params:xml:ns:xmpp-tls", "urn:ietf:params:xml:ns:xmpp-sasl"

    def __init__(self, sock, domain, user, password):
        super().__init__(sock)
        self.domain, self.user, self.password = domain, user, password

    def ask(self, text, end):
        self.send(text.encode())
        return self.receive_until(end.encode())

    def start_stream(self):
        return self.ask(self.STREAM.format(self.domain), "</stream:features>")

    def log_in(self, end):
        login = base64.b64encode(f"\0{self.user}\0{self.password}".encode()).decode()
        return self.ask(f"<auth xmlns='{self.SASL}' mechanism='PLAIN'>{login}</auth>", end)

    def ask_for_tls(self):
        features = self.start_stream()
        assert "<starttls" in features and "PLAIN" not in features, features
        refusal = self.log_in("</failure>")
        assert "encryption-required" in refusal or "invalid-mechanism" in refusal, refusal
        answer = self.ask(f"<starttls xmlns='{self.TLS}'/>", "/>")
        assert answer.startswith("<proceed"), answer

    def go_on(self):
        # What the server offered in clear counts for nothing: the stream starts anew, and once more after the login.
        features = self.start_stream()
        assert "<starttls" not in features and "<mechanism>PLAIN</mechanism>" in features, features
        answer = self.log_in("/>")
        assert answer.startswith("<success"), answer
        assert "urn:ietf:params:xml:ns:xmpp-bind" in self.start_stream()
        bind = "<iq type='set' id='1'><bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'/></iq>"
        assert f"<jid>{self.user}@{self.domain}/" in self.ask(bind, "</iq>")
        pong = self.ask(f"<iq type='get' id='2' to='{self.domain}'><ping xmlns='urn:xmpp:ping'/></iq>", "/>")
        assert "type='result'" in pong, pong
        self.ask("</stream:stream>", "</stream:stream>")


class Ldap(Conversation):
    """RFC 4511: every message is a sequence of a number and an operation, in BER."""

    BIND, BOUND, UNBIND, SEARCH, ENTRY, DONE, EXTENDED, EXTENDED_DONE = 0x60, 0x61, 0x42, 0x63, 0x64, 0x65, 0x77, 0x78
    START_TLS = "1.3.6.1.4.1.1466.20037"
    SUCCESS, CONFIDENTIALITY_REQUIRED = 0, 13

    def __init__(self, sock, user_dn, password, entry=""):
        super().__init__(sock)
        self.user_dn, self.password, self.entry = user_dn, password, entry
        self.number = 0

    def request(self, operation):
        self.number += 1
        self.send(ber.sequence(ber.integer(self.number), operation))

    def response(self):
        """The operation's tag, and its elements as (tag, content)."""
        tag, message = ber.read_element(self.receive)
        assert tag == ber.SEQUENCE, tag
        (_, number), (operation, content) = ber.split(message)[:2]
        assert int.from_bytes(number, "big") == self.number
        return operation, ber.split(content)

    def result(self, expected):
        operation, elements = self.response()
        assert operation == expected, operation
        return int.from_bytes(elements[0][1], "big")

    def bind(self):
        version, name, password = ber.integer(3), ber.octets(self.user_dn), ber.octets(self.password, 0x80)
        self.request(ber.sequence(version, name, password, tag=self.BIND))
        return self.result(self.BOUND)

    def search(self, name):
        """The values of `sn` in the entries with this `cn` below dc=test."""
        subtree, never = ber.integer(2, ber.ENUMERATED), ber.integer(0, ber.ENUMERATED)
        no_limits, values_too = ber.integer(0) * 2, ber.element(ber.BOOLEAN, b"\0")
        equals = ber.sequence(ber.octets("cn"), ber.octets(name), tag=0xA3)
        wanted = ber.sequence(ber.octets("sn"))
        self.request(
            ber.sequence(ber.octets("dc=test"), subtree, never, no_limits, values_too, equals, wanted, tag=self.SEARCH)
        )
        found = []
        while True:
            operation, elements = self.response()
            if operation == self.DONE:
                assert elements[0][1] == b"\0", elements
                return found
            assert operation == self.ENTRY, operation
            for _, attribute in ber.split(elements[1][1]):
                (_, _), (_, values) = ber.split(attribute)
                found += [value.decode() for _, value in ber.split(values)]

    def ask_for_tls(self):
        assert self.bind() == self.CONFIDENTIALITY_REQUIRED
        self.request(ber.sequence(ber.octets(self.START_TLS, 0x80), tag=self.EXTENDED))
        assert self.result(self.EXTENDED_DONE) == self.SUCCESS

    def go_on(self):
        assert self.bind() == self.SUCCESS
        assert self.search(self.entry) == [self.entry]
        self.request(ber.element(self.UNBIND, b""))


class Https(LineConversation):
    """One request; `tunnel` goes before it where the connection is to a proxy."""

    def __init__(self, sock, host, path="/"):
        super().__init__(sock)
        self.host, self.path = host, path

    def header(self):
        lines = [self.read_line()]
        while lines[-1]:
            lines.append(self.read_line())
        return lines

    def tunnel(self, address):
        self.send(f"CONNECT {address} HTTP/1.1\r\nHost: {address}\r\n\r\n".encode())
        status = self.header()[0]
        assert status.split()[1] == "200", status

    def go_on(self):
        self.send(f"GET {self.path} HTTP/1.1\r\nHost: {self.host}\r\nConnection: close\r\n\r\n".encode())
        header = self.header()
        assert header[0] == "HTTP/1.1 200 OK", header
        length = next(int(line.split(":")[1]) for line in header if line.lower().startswith("content-length:"))
        return self.receive(length).decode()
