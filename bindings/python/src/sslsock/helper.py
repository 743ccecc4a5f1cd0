"""SslHelper: a socket that is turned into TLS, at once or when the conversation gets there."""

from typing import Any, Callable, Iterable, List, Optional, Tuple, Type, TypeVar, Union

from . import readers as held
from .addresses import Address
from .constants import (
    SSL_ADDRESS_PEER,
    SSL_CERT_FLAG_ISSUER_UNKNOWN,
    SSL_ERR_CERT_UNKNOWN,
    SSL_ERR_INVALID,
    SSL_ERR_OKAY,
    SSL_ERR_STATE,
    SSL_FLAG_ASK_CLIENT,
    SSL_FLAG_AUTH_CLIENT,
    SSL_FLAG_DEFER_HANDSHAKE,
    SSL_FLAG_NO_POST_QUANTUM,
    SSL_FLAG_REQUIRE_RESUMPTION,
    SSL_FLAG_SERVER,
    SSL_FLAG_SOLE_DESCRIPTOR,
    SSL_PROTOCOL_TLS1_2,
    SSL_PROTOCOL_TLS1_3,
    SSL_TEXT_EXPECTED,
    SSL_TIMEOUT_HANDSHAKE,
)
from .errors import SslError, make
from .hooks import Choice, is_asynchronous
from .identity import Data, Identity, Path
from .session import SessionInfo, SocketLike, SslSocket
from .settings import set_trust

_H = TypeVar("_H", bound="SslHelper")


class SslHelper:
    """Turns a socket into TLS. The caller goes on with the same socket: send, recv, makefile, select and the rest.

    sock: a TCP (or AF_UNIX) stream socket: an object with fileno(), or a descriptor's number. It stays the caller's.
    host: the name that the peer's certificate must be for, a DNS name or an IP address. A server needs none.
    defer: False makes the handshake now, and the socket must be connected. True leaves the socket in clear until
        do_handshake() or connect().
    timeout: a limit for the handshake as a whole, in seconds; 30 if it is not given.

    Whom to trust:

    trust_file, trust_pem, trust_dir, system_trust: whom to trust, instead of the built-in roots: a file in PEM or DER, its
        contents, a directory of such files, what the system trusts.
    pins: keys of which the peer must have one, on top of that: "sha256//" and base64, or 64 hexadecimal digits.
    crl_file, crl_pem: revocation lists; with one the peer's certificate must be covered by a list that is up to date.

    Who this side is:

    identity: an Identity, or a list of them to choose from.
    server: True takes the server's role.
    client_certificate: "required" or "optional": a server asks the client for one. It needs trust_... or validate_cert().

    The session:

    session_from: another connection, whose session is resumed: its SslHelper, SslSocket or socket. FTP servers demand that
        of their data connections.
    require_resumption: True raises SslNotResumedError if no session is resumed.
    alpn: the application protocols, most wanted first, as ["h2", "http/1.1"].
    min_version, max_version: SSL_PROTOCOL_TLS1_2 or SSL_PROTOCOL_TLS1_3.
    post_quantum: False offers no post-quantum key exchange, for peers that choke on a large first message.
    sole_descriptor: True promises that the socket has no duplicate (makefile() makes none) and that no selector and no
        loop of asyncio watches it: none is looked for, which takes time where thousands of descriptors are open. What is
        sent through a duplicate that was forgotten leaves in clear.
    key_log_file: gets the secrets of the session, for Wireshark. Whoever has it can read everything.
    flags: SSL_FLAG_* beside those that are set already.

    The state belongs to the socket and not to this object: a second helper for the same socket finds it, and nothing
    ends when this object goes or its `with` block does. A handshake that fails ends the connection.

    A subclass that overrides validate_cert() or validate_cert_async() has the last word on the peer's certificate, one that
    overrides choose_identity() chooses the certificate that a server asks for.
    """

    def __init__(
        self,
        sock: SocketLike,
        host: Optional[str] = None,
        defer: bool = False,
        *,
        timeout: Optional[float] = None,
        trust_file: Optional[Path] = None,
        trust_pem: Union[str, Data, None] = None,
        trust_dir: Optional[Path] = None,
        system_trust: bool = False,
        pins: Union[str, Iterable[str]] = (),
        crl_file: Optional[Path] = None,
        crl_pem: Union[str, Data, None] = None,
        identity: Union[Identity, Iterable[Identity], None] = None,
        server: bool = False,
        client_certificate: Optional[str] = None,
        session_from: Union["SslHelper", SslSocket, SocketLike, None] = None,
        require_resumption: bool = False,
        alpn: Iterable[Union[str, bytes]] = (),
        min_version: Optional[int] = None,
        max_version: Optional[int] = None,
        post_quantum: bool = True,
        sole_descriptor: bool = False,
        key_log_file: Optional[Path] = None,
        flags: int = 0,
    ) -> None:
        self._sock = sock
        self.host = host
        if is_asynchronous(self.validate_cert):
            raise TypeError("an `async def` that decides about the certificate overrides validate_cert_async()")
        self._socket = SslSocket.of(sock)
        if self._is_established():
            self._check_host()
            self._check_judge()
            return
        if not defer and not self._is_connected():
            raise make(
                SSL_ERR_STATE,
                "the socket is not connected, and the handshake was to be made at once: connect it first, or give "
                "defer=True and call connect(address), which makes the handshake too, or do_handshake() when it is "
                "connected",
            )
        if not defer:
            self._refuse_to_wait()
        flags |= SSL_FLAG_DEFER_HANDSHAKE if defer else 0
        flags |= SSL_FLAG_SERVER | _asking(client_certificate) if server else 0
        flags |= SSL_FLAG_REQUIRE_RESUMPTION if require_resumption else 0
        flags |= 0 if post_quantum else SSL_FLAG_NO_POST_QUANTUM
        flags |= SSL_FLAG_SOLE_DESCRIPTOR if sole_descriptor else 0
        if client_certificate is not None and not server:
            raise ValueError("client_certificate is for server=True; a client shows its identity")
        if flags:
            self._socket.set_flags(self._socket.get_flags() | flags)
        if timeout is not None:
            self._socket.set_timeout(SSL_TIMEOUT_HANDSHAKE, timeout)
        trust = (trust_file, trust_pem, trust_dir, system_trust, pins, crl_file, crl_pem)
        if server and any(trust) and not self._socket.get_flags() & (SSL_FLAG_AUTH_CLIENT | SSL_FLAG_ASK_CLIENT):
            raise ValueError(
                "trust_..., pins and crl_... of a server are about its clients' certificates, and none is asked for: give "
                'client_certificate="required" or "optional", too'
            )
        set_trust(self._socket, *trust)
        if identity is not None:
            self._socket.set_identities(identity)
        if session_from is not None:
            self._socket.set_session_from(_connection(session_from))
        if alpn:
            self._socket.set_alpn(alpn)
        if min_version is not None or max_version is not None:
            self._socket.set_protocols(min_version or SSL_PROTOCOL_TLS1_2, max_version or SSL_PROTOCOL_TLS1_3)
        if key_log_file is not None:
            self._socket.set_key_log_file(key_log_file)
        if self.host is not None:
            self._socket.set_peername(self.host)
        self._set_hooks()
        if not defer:
            self.do_handshake()

    def _set_hooks(self, asynchronous: bool = False) -> None:
        judges, judges_later = self._overrides("validate_cert"), self._overrides("validate_cert_async")
        if judges_later and (asynchronous or not judges):
            self._socket.set_validate_cert_hook(self.validate_cert_async, self.host)
        elif judges:
            self._socket.set_validate_cert_hook(self.validate_cert, self.host)
        if judges or judges_later:
            self._socket.judge = self._judge()
        if self._overrides("choose_identity"):
            self._socket.set_auth_request_hook(self.choose_identity)

    def do_handshake(
        self, readers: Iterable[Any] = (), writers: Iterable[Any] = (), *, timeout: Optional[float] = None
    ) -> None:
        """Makes the handshake, now, and returns when the socket carries TLS.

        readers, writers: every buffered object through which the conversation in clear went: files of makefile(),
            `client.file` of smtplib and its like, asyncio streams. While one holds bytes the upgrade is refused with
            SslHeldDataError, before anything has happened and without losing what is held: what came in clear must not
            pass for something that came under TLS, nor the other way round. TypeError if one cannot be looked into.
            They go on working after the upgrade.
        timeout: a limit for the handshake as a whole, in seconds.

        A handshake that fails raises SslError and ends the connection. No other thread may be inside a call on the
        socket. asyncio streams: on the thread of their loop, which stands still meanwhile; see do_handshake_async().
        """
        self._refuse_to_wait()
        if timeout is not None:
            self._socket.set_timeout(SSL_TIMEOUT_HANDSHAKE, timeout)
        with held.nothing_held(readers, writers, self._socket):
            self._socket.perform_handshake(self.host)

    async def do_handshake_async(
        self, readers: Iterable[Any] = (), writers: Iterable[Any] = (), *, timeout: Optional[float] = None
    ) -> None:
        """do_handshake() in a thread of its own, the certificate hook included, while the event loop goes on.

        If validate_cert_async() is overridden, there is no thread: it is awaited on the loop, which goes on meanwhile. The
        time that it takes counts against the time limit, and it is cancelled when that runs out.

        asyncio streams that were opened before are given as readers=[reader], writers=[writer]. They are paused from
        before the look into them until the handshake is over, so that nothing that comes in clear lands in them. Write
        nothing meanwhile.

        Cancelling the task ends the handshake and with it the connection; the task is cancelled once the thread is done,
        which waits for a certificate hook that is running. The helper is of no use after that.
        """
        from . import streams

        if self._overrides("validate_cert_async"):
            self._set_hooks(asynchronous=True)
        if timeout is not None:
            self._socket.set_timeout(SSL_TIMEOUT_HANDSHAKE, timeout)
        with held.nothing_held(readers, writers, self._socket):
            await streams.run_handshake(self._socket, self.host, self._sock)

    def connect(self, address: Any, *, timeout: Optional[float] = None) -> None:
        """Connects the socket and makes the handshake; the helper has been made with defer=True.

        address: as for socket.connect().
        timeout: a limit for each of the two, in seconds.
        If the TCP connection fails, the helper can be used again.
        """
        self._refuse_to_wait()
        if timeout is not None:
            self._socket.set_timeout(SSL_TIMEOUT_HANDSHAKE, timeout)
        self._socket.set_flags(self._socket.get_flags() & ~SSL_FLAG_DEFER_HANDSHAKE)
        self._socket.connect(address)

    def validate_cert(self, type: int, arg: Any, chain: List[bytes], flags: int) -> int:
        """Decides about the peer's certificate, if a subclass overrides it; see SslSocket.set_validate_cert_hook.

        type: SSL_CERT_X509; arg: the host; chain: the peer's own certificate in DER; flags: whether something is wrong.
        SSL_ERR_OKAY accepts the certificate whatever is wrong with it, any other number and an exception refuse it.
        This one accepts what verification found right.
        """
        return SSL_ERR_CERT_UNKNOWN if flags & SSL_CERT_FLAG_ISSUER_UNKNOWN else SSL_ERR_OKAY

    async def validate_cert_async(self, type: int, arg: Any, chain: List[bytes], flags: int) -> int:
        """The same for do_handshake_async(), if a subclass overrides it: it may await what it needs to decide, and nothing
        that depends on the answer is sent before. An exception refuses the certificate, and so does a time limit."""
        return self.validate_cert(type, arg, chain, flags)

    def choose_identity(self, issuers: List[bytes]) -> Choice:
        """Chooses the certificate that the server asks for, if a subclass overrides it.

        issuers: the names in DER of the authorities that the server accepts; none if it does not say. The answer is one of
        the identities that were given, [] to show none, or None, which leaves the choice to the library. See
        SslSocket.set_auth_request_hook.
        """
        return None

    @property
    def session_info(self) -> SessionInfo:
        """What was agreed in the handshake, and whether a session was resumed."""
        return self._socket.get_session_info()

    @property
    def remote_address(self) -> Address:
        """The peer's real address, before and after the upgrade, as getpeername() answers it on a plain socket."""
        return self._socket.remote_address

    @property
    def local_address(self) -> Address:
        """This side's real address, as getsockname() answers it on a plain socket."""
        return self._socket.local_address

    @property
    def socket(self) -> SslSocket:
        """Everything else: settings, session, certificates, errors."""
        return self._socket

    def __enter__(self: _H) -> _H:
        return self

    def __exit__(self, kind: Optional[Type[BaseException]], error: Any, trace: Any) -> None:
        """Ends nothing: the state belongs to the socket."""

    def _is_established(self) -> bool:
        try:
            self._socket.get_session_info()
        except SslError as error:
            if error.code != SSL_ERR_STATE:
                raise
            return False
        return True

    def _is_connected(self) -> bool:
        try:
            self._socket.get_address(SSL_ADDRESS_PEER)
        except SslError:
            return False
        return True

    def _overrides(self, name: str) -> bool:
        return getattr(getattr(self, name), "__func__", None) is not getattr(SslHelper, name)

    def _judge(self) -> Optional[Tuple[Callable[..., Any], Callable[..., Any]]]:
        if self._overrides("validate_cert") or self._overrides("validate_cert_async"):
            return type(self).validate_cert, type(self).validate_cert_async
        return None

    def _check_judge(self) -> None:
        """One that would have had the last word on the certificate has not been asked."""
        judge = self._judge()
        if judge is not None and self._socket.judge != judge:
            name = "validate_cert" if self._overrides("validate_cert") else "validate_cert_async"
            raise make(
                SSL_ERR_STATE,
                f"this connection has been upgraded already, and {type(self).__qualname__}.{name} was not asked: make "
                "this helper before the handshake",
            )

    def _refuse_to_wait(self) -> None:
        """A hook that has to be awaited would not be asked."""
        if self._overrides("validate_cert_async") and not self._overrides("validate_cert"):
            raise TypeError(
                f"{type(self).__qualname__}.validate_cert_async has to be awaited: give defer=True and use do_handshake_async()"
            )

    def _check_host(self) -> None:
        """A helper for a connection that has been upgraded for another name is a mistake."""
        if self.host is None:
            return
        try:
            expected = self._socket.get_verify_text(SSL_TEXT_EXPECTED)
        except SslError:
            return
        if expected and expected.rstrip(".").lower() != _ascii(self.host):
            raise make(SSL_ERR_INVALID, f"this connection has been upgraded already, for {expected}, not for {self.host!r}")


def _asking(client_certificate: Optional[str]) -> int:
    known = {None: 0, "required": SSL_FLAG_AUTH_CLIENT, "optional": SSL_FLAG_ASK_CLIENT}
    if client_certificate not in known:
        raise ValueError(f'client_certificate is "required" or "optional", not {client_certificate!r}')
    return known[client_certificate]


def _connection(other: Any) -> SslSocket:
    """The handle of another connection."""
    if isinstance(other, SslHelper):
        return other.socket
    found = other if isinstance(other, SslSocket) else SslSocket.find(other)
    if found is None:
        raise ValueError("session_from is a connection under TLS, and this socket has none of sslsock")
    return found


def _ascii(host: str) -> str:
    host = host.rstrip(".").lower()
    try:
        return host if host.isascii() else host.encode("idna").decode()
    except UnicodeError:
        return host
