"""A connection in clear and one that is upgraded on the way, led through the same features."""

import support
from support import NAME, authority

import sslsock

# What a feature may run over: the connection's peer, and the flags of the upgrade.
KINDS = {
    "IPv4": ("SSLSOCK_CALLS_PEER", 0),
    "IPv6": ("SSLSOCK_CALLS_PEER6", 0),
    "AF_UNIX pair": ("SSLSOCK_CALLS_PEER", sslsock.SSL_FLAG_UNIX_PAIR),
}


class Side:
    """One run of a feature. What it notes is compared with what it notes on the other side."""

    def __init__(self, kind, upgraded):
        variable, self.flags = KINDS[kind]
        self.controlled = support.Controlled(variable)
        self.is_upgraded = upgraded
        self.sock = self.controlled.sock
        self.before = self.sock.getpeername(), self.sock.getsockname()
        self.helper = None
        self.notes = {}
        self.closing = []

    def note(self, what, value):
        assert what not in self.notes, what
        self.notes[what] = value if isinstance(value, str) else repr(value)

    def attempt(self, what, function, *arguments):
        """Notes the answer, or the kind of exception."""
        try:
            self.note(what, function(*arguments))
        except OSError as error:
            self.note(what, type(error).__name__)
        except ValueError as error:
            self.note(what, type(error).__name__)

    def make_helper(self, sock=None):
        if self.is_upgraded and not self.helper:
            self.helper = sslsock.SslHelper(sock or self.sock, NAME, True, trust_file=authority(), flags=self.flags)
            self.tell("tls")
        return self.helper

    def upgrade(self, readers=(), writers=(), sock=None):
        """The upgrade, on the upgraded side."""
        if self.make_helper(sock):
            self.helper.do_handshake(readers, writers)
        self.tell("nothing")

    async def upgrade_async(self, readers=(), writers=()):
        if self.make_helper():
            await self.helper.do_handshake_async(readers, writers)
        self.tell("nothing")

    def tell(self, command, expected="ok"):
        self.controlled.tell(command, expected)

    def ask(self, command):
        return self.controlled.ask(command)

    def close_later(self, thing):
        self.closing.append(thing)
        return thing

    def close(self):
        for thing in reversed(self.closing):
            try:
                thing.close()
            except OSError:
                pass
        self.controlled.close()


def observe(feature, kind, upgraded):
    """What a feature notes."""
    side = Side(kind, upgraded)
    try:
        feature(side)
    finally:
        side.close()
    return side.notes


def kinds():
    """Those that can be had here."""
    return [kind for kind, (variable, _) in KINDS.items() if variable in support.peers()]


