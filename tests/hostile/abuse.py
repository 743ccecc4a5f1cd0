"""Servers on tlslite-ng that break the protocol in one way each: the cases C of docs/bad-input.md.

A server follows the protocol but for the messages that `change` replaces, and for what `after` does once the handshake
is complete. They need tlslite-ng on the path; see hostile.py.
"""

import peers
from tlslite.api import HandshakeSettings, TLSConnection, X509CertChain, parsePEMKey
from tlslite.constants import AlertDescription, AlertLevel, ContentType, KeyUpdateMessageType
from tlslite.errors import TLSError
from tlslite.extensions import ALPNExtension, SrvSupportedVersionsExtension, HRRKeyShareExtension
from tlslite.messages import (
    Alert, CertificateVerify, ChangeCipherSpec, EncryptedExtensions, HelloRequest, Message, ServerHello, ServerHelloDone,
    ServerKeyExchange,
)  # fmt: skip

TLS12, TLS13 = (3, 3), (3, 4)
PATIENCE = 10_000
HELLO_RETRY_RANDOM = bytes.fromhex("cf21ad74e59a6111be1d8c021e65b891c2a211167abb8c5e079e09e2c8a8339c")
SECP256R1, SECP384R1, SECP521R1 = 23, 24, 25


class Server(TLSConnection):
    """`change` takes a message that is to be sent and answers what is sent in its place."""

    def __init__(self, connection, change):
        TLSConnection.__init__(self, connection)
        self.change = change

    def _sendMsg(self, message, randomizeFirstBlock=True, update_hashes=True):
        for changed in self.change(message):
            for result in TLSConnection._sendMsg(self, changed, randomizeFirstBlock, update_hashes):
                yield result

    def _queue_message(self, message):
        for changed in self.change(message):
            TLSConnection._queue_message(self, changed)

    def record(self, kind, content):
        """One record, whatever is in it."""
        for _ in self._recordLayer.sendRecord(Message(kind, bytearray(content))):
            pass

    def send_message(self, message):
        for _ in TLSConnection._sendMsg(self, message):
            pass

    def alert(self, description, level=AlertLevel.warning):
        self.send_message(Alert().create(description, level))


def unchanged(message):
    return [message]


def greet(server):
    server.send(peers.GREETING)


def listen(authority, change=unchanged, after=greet, version=TLS13, name="good_rsa", chain=None, fragment=None, **options):
    """The address of such a server. `fragment`: the size of its records."""
    certificates, key = X509CertChain(), parsePEMKey(open(authority.key(name)).read(), private=True)
    certificates.parsePemList(authority.pem(*(chain or [name])))
    settings = HandshakeSettings()
    settings.minVersion = settings.maxVersion = version
    settings.ticket_count = 0

    def serve(connection):
        server = Server(connection, change)
        # So that what the client still says is read before the end.
        server.closeSocket = False
        if fragment:
            server.recordSize = fragment
        try:
            server.handshakeServer(certChain=certificates, privateKey=key, settings=settings, **options)
            server.recordSize = 2**14
            # Nothing of what follows is to come with the end of the handshake.
            server.read(max=1, min=1)
            after(server)
            server.close()
        except (TLSError, AssertionError):
            # The client has ended it, as it should.
            pass
        drain(connection)

    return peers.scripted(serve)


def drain(connection):
    """So that no reset overtakes what was sent."""
    try:
        connection.shutdown(1)
        connection.settimeout(PATIENCE / 1000)
        while connection.recv(65536):
            pass
    except OSError:
        pass


CLOSE_NOTIFY = Alert().create(AlertDescription.close_notify, AlertLevel.warning)

# What is changed in the handshake.


def add_alpn(message):
    """C5: an application protocol that nobody has asked for."""
    if isinstance(message, EncryptedExtensions) or (isinstance(message, ServerHello) and message.server_version == TLS12):
        message.extensions = [*(message.extensions or []), ALPNExtension().create([bytearray(b"h2")])]
    return [message]


def double_extension(message):
    """C6: the same extension twice."""
    if isinstance(message, ServerHello):
        message.extensions = [*(message.extensions or []), *(message.extensions or [])]
    return [message]


def downgrade_sentinel(message):
    """C4: TLS 1.2 agreed, by a server that says it can do better (RFC 8446, 4.1.3)."""
    if isinstance(message, ServerHello):
        message.random = bytearray(message.random[:24]) + bytearray(b"DOWNGRD\x01")
    return [message]


def change_signature(message):
    """B22: the handshake is signed with another key."""
    if isinstance(message, (CertificateVerify, ServerKeyExchange)):
        message.signature = bytearray(message.signature)
        message.signature[-1] ^= 1
    return [message]


def three_change_cipher_specs(message):
    """C11: RFC 8446 has one passed over, for the sake of middleboxes."""
    if isinstance(message, ServerHello):
        return [message, *(ChangeCipherSpec().create() for _ in range(3))]
    return [message]


def close_notify_before(kind):
    """C17: before the message of this kind."""

    def change(message):
        closing = [CLOSE_NOTIFY] if isinstance(message, kind) else []
        return [*closing, message]

    return change


def close_notify_for_finished(message):
    """C17: under keys, where the handshake should go on."""
    is_flight = isinstance(message, Message) and message.contentType == ContentType.handshake
    return [CLOSE_NOTIFY] if is_flight else [message]


# What is done after it.


def renegotiate(times):
    """C7: HelloRequest (RFC 5246, 7.4.1.1), then a greeting."""

    def after(server):
        for _ in range(times):
            server.record(ContentType.handshake, HelloRequest().create().write())
        greet(server)

    return after


def key_updates(times, with_data):
    """C8, C9."""

    def after(server):
        for _ in range(times):
            for _ in server.send_keyupdate_request(KeyUpdateMessageType.update_not_requested):
                pass
            if with_data:
                server.send(b"x")
        greet(server)

    return after


def warnings(times):
    """C10: TLS 1.2 knows alerts that end nothing."""

    def after(server):
        for _ in range(times):
            server.alert(AlertDescription.user_canceled)
        greet(server)

    return after


def empty_records(times):
    """C12."""

    def after(server):
        greet(server)
        for _ in range(times):
            server.record(ContentType.application_data, b"")

    return after


def speak_after_the_end(server):
    """C16."""
    greet(server)
    server.alert(AlertDescription.close_notify)
    server.record(ContentType.application_data, b"too late")


# What no library sends: written to the wire by hand.


def record(kind, content, version=TLS12):
    return bytes([kind, *version]) + len(content).to_bytes(2, "big") + bytes(content)


def answering(*answers):
    """A server that answers each flight of the client with the next of these bytes."""

    def serve(connection):
        for answer in answers:
            read_record(connection)
            connection.sendall(answer)
        drain(connection)

    return peers.scripted(serve)


def read_record(connection):
    header = read_exactly(connection, 5)
    content = read_exactly(connection, int.from_bytes(header[3:5], "big"))
    # The dummy that TLS 1.3 has for middleboxes.
    return read_record(connection) if header[0] == ContentType.change_cipher_spec else content


def read_exactly(connection, size):
    data = b""
    while len(data) < size:
        piece = connection.recv(size - len(data))
        if not piece:
            raise ConnectionError("the client has ended it")
        data += piece
    return data


def retry(hello, group):
    """C3: asks for another key share, to be sent in answer to this ClientHello."""
    # Type, length, version and random come before the session id.
    session_id = bytearray(hello[39 : 39 + hello[38]])
    extensions = [SrvSupportedVersionsExtension().create(TLS13), HRRKeyShareExtension().create(group)]
    message = ServerHello().create(TLS12, bytearray(HELLO_RETRY_RANDOM), session_id, 0x1301, extensions=extensions)
    return record(ContentType.handshake, message.write())


def retrying(*groups):
    """A server that wants another key share again and again."""

    def serve(connection):
        for group in groups:
            connection.sendall(retry(read_record(connection), group))
        drain(connection)

    return peers.scripted(serve)


def handshake_message(kind, length):
    """A handshake message of zeros, in as many records as it needs."""
    message = bytes([kind]) + length.to_bytes(3, "big") + bytes(length)
    pieces = [message[start : start + 16384] for start in range(0, len(message), 16384)]
    return b"".join(record(ContentType.handshake, piece) for piece in pieces)


CLOSE_NOTIFY_RECORD = record(ContentType.alert, CLOSE_NOTIFY.write())
TOO_LONG_RECORD = record(ContentType.handshake, bytes(16384 + 2049))
