"""The clients of the standard library, upgraded in place, without its ssl module.

    client = smtplib.SMTP("mail.example", 587)
    sslsock.clients.starttls_smtp(client)
    client.login(user, password)

Each function sends the command of its protocol, refuses if the server does not offer or grant TLS, refuses what was read
ahead, makes the handshake on the client's own socket and forgets what the server said in clear. The client's socket and
file object stay the same. From the moment the server has agreed a failure closes the client: nothing can go on in clear.

host: the name that the server's certificate must be for; None: the one that the client was connected with.
helper: a subclass of SslHelper, to have the last word on the certificate.
timeout, trust_file, trust_pem, system_trust: as for SslHelper.

They raise what the client's own method would raise if the server refuses, and SslError if TLS fails. They return the
helper.
"""

import re
import socket
from typing import TYPE_CHECKING, Any, Callable, List, Optional, Type

from .constants import SSL_ERR_UNSUPPORTED
from .errors import make
from .helper import SslHelper
from .readers import refusal_to_read
from .session import SslSocket

if TYPE_CHECKING:
    import ftplib
    import imaplib
    import poplib
    import smtplib


def starttls_smtp(
    client: "smtplib.SMTP",
    host: Optional[str] = None,
    *,
    helper: Type[SslHelper] = SslHelper,
    timeout: Optional[float] = None,
    trust_file: Any = None,
    trust_pem: Any = None,
    system_trust: bool = False,
) -> SslHelper:
    """STARTTLS on a smtplib.SMTP or LMTP, see above. The next command greets the server again."""
    # It is loaded, for the client is of it; and it loads the ssl module.
    import smtplib

    name = _host(host, getattr(client, "_host", None))
    client.ehlo_or_helo_if_needed()
    if not client.has_extn("starttls"):
        raise smtplib.SMTPNotSupportedError("the server does not offer STARTTLS")
    code, reply = client.docmd("STARTTLS")
    if code != 220:
        raise smtplib.SMTPResponseException(code, reply)
    trust = _Trust(timeout, trust_file, trust_pem, system_trust)
    made = _upgrade(client.sock, name, [client.file], helper, trust, client.close)
    client.helo_resp = None
    client.ehlo_resp = None
    client.esmtp_features = {}
    client.does_esmtp = False
    return made


def starttls_imap(
    client: "imaplib.IMAP4",
    host: Optional[str] = None,
    *,
    helper: Type[SslHelper] = SslHelper,
    timeout: Optional[float] = None,
    trust_file: Any = None,
    trust_pem: Any = None,
    system_trust: bool = False,
) -> SslHelper:
    """STARTTLS on an imaplib.IMAP4, see above. The capabilities are asked for again."""
    inside: Any = client
    name = _host(host, client.host)
    if inside._tls_established:
        raise client.abort("TLS session already established")
    if "STARTTLS" not in client.capabilities:
        raise client.abort("the server does not offer STARTTLS")
    answer, data = inside._simple_command("STARTTLS")
    if answer != "OK":
        raise client.error(f"the server refuses STARTTLS: {data[-1]!r}")
    # From 3.14 on it reads the socket itself, and its file is of no use.
    file = getattr(client, "_file", None) or vars(client).get("file")
    ahead = b"".join(getattr(client, "_readbuf", ()))

    def close() -> None:
        # Or the end of a `with` block would say LOGOUT to nobody, and its exception would hide ours.
        inside.state = "LOGOUT"
        client.shutdown()

    trust = _Trust(timeout, trust_file, trust_pem, system_trust)
    made = _upgrade(client.sock, name, [file], helper, trust, close, ahead)
    inside.untagged_responses = {}
    inside._tls_established = True
    inside._get_capabilities()
    return made


def stls_pop3(
    client: "poplib.POP3",
    host: Optional[str] = None,
    *,
    helper: Type[SslHelper] = SslHelper,
    timeout: Optional[float] = None,
    trust_file: Any = None,
    trust_pem: Any = None,
    system_trust: bool = False,
) -> SslHelper:
    """STLS on a poplib.POP3, see above. The client remembers no capabilities."""
    import poplib

    inside: Any = client
    name = _host(host, client.host)
    if inside._tls_established:
        raise poplib.error_proto("-ERR TLS session already established")
    if "STLS" not in client.capa():
        raise poplib.error_proto("-ERR the server does not offer STLS")
    inside._shortcmd("STLS")
    trust = _Trust(timeout, trust_file, trust_pem, system_trust)
    made = _upgrade(client.sock, name, [client.file], helper, trust, client.close)
    inside._tls_established = True
    return made


def auth_tls_ftp(
    client: "ftplib.FTP",
    host: Optional[str] = None,
    *,
    data: str,
    helper: Type[SslHelper] = SslHelper,
    timeout: Optional[float] = None,
    trust_file: Any = None,
    trust_pem: Any = None,
    system_trust: bool = False,
) -> SslHelper:
    """AUTH TLS on an ftplib.FTP, before login(), see above: the control connection speaks TLS.

    data: "clear", for the data connections stay in clear (PROT C), files and listings with them. TLS on data connections
        ("private", PROT P) is not there yet and is refused, as is PROT P as a command later.

    Passive and active transfers go on working: ftplib takes the addresses for them from the control connection's socket,
    which answers getpeername() and getsockname() with its real addresses.
    """
    import ftplib

    if data == "private":
        raise make(SSL_ERR_UNSUPPORTED, _NO_PRIVATE_DATA)
    if data != "clear":
        raise ValueError(f'data is "clear" or "private", not {data!r}')
    if isinstance(client, getattr(ftplib, "FTP_TLS", ())):
        raise TypeError("an ftplib.FTP is needed; FTP_TLS makes its own TLS by the ssl module")
    name = _host(host, client.host)
    if isinstance(client.sock, _RealAddresses):
        raise ValueError("the control connection speaks TLS already")
    client.voidcmd("AUTH TLS")
    trust = _Trust(timeout, trust_file, trust_pem, system_trust)
    made = _upgrade(client.sock, name, [client.file], helper, trust, client.close)
    assert client.sock is not None
    answer_real_addresses(client.sock)
    _refuse_private_data(client)
    client.voidcmd("PBSZ 0")
    client.voidcmd("PROT C")
    return made


def answer_real_addresses(sock: socket.socket) -> None:
    """Has getpeername() and getsockname() of a socket object answer the real addresses after an upgrade.

    It stays the same object; its class becomes a subclass of what it was. Other objects for the same descriptor are not
    changed.
    """
    kind = type(sock)
    if issubclass(kind, _RealAddresses):
        return
    try:
        sock.__class__ = type(kind.__name__, (_RealAddresses, kind), {"__slots__": (), "__module__": kind.__module__})
    except TypeError as error:
        raise TypeError(f"cannot have a {kind.__module__}.{kind.__qualname__} answer its real addresses: {error}") from None


class _RealAddresses:
    __slots__ = ()

    def getpeername(self) -> Any:
        return SslSocket.of(self).remote_address

    def getsockname(self) -> Any:
        return SslSocket.of(self).local_address


class _Trust:
    def __init__(self, timeout: Optional[float], trust_file: Any, trust_pem: Any, system_trust: bool) -> None:
        self.options = {
            "timeout": timeout,
            "trust_file": trust_file,
            "trust_pem": trust_pem,
            "system_trust": system_trust,
        }


def _host(given: Optional[str], known: Any) -> str:
    host = given or known
    if not host:
        raise ValueError("the client does not know the server's name: give it as host")
    if not isinstance(host, str):
        raise TypeError(f"host is a str, not {host!r}")
    return host


def _upgrade(
    sock: Any,
    host: str,
    files: List[Any],
    helper: Type[SslHelper],
    trust: _Trust,
    close: Callable[[], Any],
    ahead: bytes = b"",
) -> SslHelper:
    try:
        if ahead:
            raise refusal_to_read(_AheadOfTheFile(), ahead)
        made = helper(sock, host, True, **trust.options)
        made.do_handshake(readers=[file for file in files if file is not None])
        return made
    except BaseException:
        # The server waits for TLS, and the client must not go on without.
        close()
        raise


class _AheadOfTheFile:
    """For the text of a refusal: what an IMAP4 object has read without a file."""


_AheadOfTheFile.__name__ = "client"
_NO_PRIVATE_DATA = (
    "TLS on FTP's data connections is not there yet: use data=\"clear\" where clear data connections will do, or ftplib.FTP_TLS"
)


def _refuse_private_data(client: Any) -> None:
    putcmd = client.putcmd

    def checked(line: str) -> None:
        if re.match(r"\s*PROT\s+[^C\s]", line, re.I):
            raise make(SSL_ERR_UNSUPPORTED, _NO_PRIVATE_DATA)
        putcmd(line)

    client.putcmd = checked


__all__ = [
    "answer_real_addresses",
    "auth_tls_ftp",
    "starttls_imap",
    "starttls_smtp",
    "stls_pop3",
]
