"""SslHelper: a socket that is turned into TLS, at once or when the conversation gets there."""

from typing import Any, Iterable, List, Optional, Type, TypeVar

from . import readers as held
from .addresses import Address
from .constants import (
    SSL_ADDRESS_PEER,
    SSL_CERT_FLAG_ISSUER_UNKNOWN,
    SSL_ERR_CERT_UNKNOWN,
    SSL_ERR_INVALID,
    SSL_ERR_OKAY,
    SSL_ERR_STATE,
    SSL_FLAG_DEFER_HANDSHAKE,
    SSL_TEXT_EXPECTED,
    SSL_TIMEOUT_HANDSHAKE,
)
from .errors import SslError, make
from .session import SocketLike, SslSocket

_H = TypeVar("_H", bound="SslHelper")


class SslHelper:
    """Turns a socket into TLS. The caller goes on with the same socket: send, recv, makefile, select and the rest.

    sock: a TCP (or AF_UNIX) stream socket: an object with fileno(), or a descriptor's number. It stays the caller's.
    host: the name that the peer's certificate must be for, a DNS name or an IP address.
    defer: False makes the handshake now, and the socket must be connected. True leaves the socket in clear until
        do_handshake() or connect().
    timeout: a limit for the handshake as a whole, in seconds; 30 if it is not given.
    trust_file, trust_pem, system_trust: whom to trust, instead of the built-in roots.
    flags: SSL_FLAG_* beside those that are set already.

    The state belongs to the socket and not to this object: a second helper for the same socket finds it, and nothing
    ends when this object goes or its `with` block does. A handshake that fails ends the connection.

    A subclass that overrides validate_cert() has the last word on the peer's certificate.
    """

    def __init__(
        self,
        sock: SocketLike,
        host: Optional[str],
        defer: bool = False,
        *,
        timeout: Optional[float] = None,
        trust_file: Any = None,
        trust_pem: Any = None,
        system_trust: bool = False,
        flags: int = 0,
    ) -> None:
        self._sock = sock
        self.host = host
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
        self._apply(timeout, trust_file, trust_pem, system_trust, flags | (SSL_FLAG_DEFER_HANDSHAKE if defer else 0))
        if not defer:
            self.do_handshake()

    def _apply(self, timeout: Optional[float], trust_file: Any, trust_pem: Any, system_trust: bool, flags: int) -> None:
        if flags:
            self._socket.set_flags(self._socket.get_flags() | flags)
        if timeout is not None:
            self._socket.set_timeout(SSL_TIMEOUT_HANDSHAKE, timeout)
        if trust_file is not None:
            self._socket.add_trust_file(trust_file)
        if trust_pem is not None:
            self._socket.add_trust_pem(trust_pem)
        if system_trust:
            self._socket.use_system_trust()
        if self.host is not None:
            self._socket.set_peername(self.host)
        if self._judges():
            self._socket.set_validate_cert_hook(self.validate_cert, self.host)
            self._socket.judge = type(self).validate_cert

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
        if timeout is not None:
            self._socket.set_timeout(SSL_TIMEOUT_HANDSHAKE, timeout)
        with held.nothing_held(readers, writers, self._socket):
            self._socket.perform_handshake(self.host)

    async def do_handshake_async(
        self, readers: Iterable[Any] = (), writers: Iterable[Any] = (), *, timeout: Optional[float] = None
    ) -> None:
        """do_handshake() in a thread of its own, the certificate hook included, while the event loop goes on.

        asyncio streams that were opened before are given as readers=[reader], writers=[writer]. They are paused from
        before the look into them until the handshake is over, so that nothing that comes in clear lands in them. Write
        nothing meanwhile.

        Cancelling the task ends the handshake and with it the connection; the task is cancelled once the thread is done,
        which waits for a certificate hook that is running. The helper is of no use after that.
        """
        from . import streams

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

    def _judges(self) -> bool:
        return getattr(self.validate_cert, "__func__", None) is not SslHelper.validate_cert

    def _check_judge(self) -> None:
        """One that would have had the last word on the certificate has not been asked."""
        if self._judges() and self._socket.judge is not type(self).validate_cert:
            raise make(
                SSL_ERR_STATE,
                f"this connection has been upgraded already, and {type(self).__qualname__}.validate_cert was not asked: make "
                "this helper before the handshake",
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


def _ascii(host: str) -> str:
    host = host.rstrip(".").lower()
    try:
        return host if host.isascii() else host.encode("idna").decode()
    except UnicodeError:
        return host
