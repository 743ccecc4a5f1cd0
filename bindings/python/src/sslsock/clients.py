"""The clients of the standard library, upgraded in place, without its ssl module.

    client = smtplib.SMTP("mail.example", 587)
    sslsock.clients.starttls_smtp(client)
    client.login(user, password)

Each function sends the command of its protocol, refuses if the server does not offer or grant TLS, refuses what was read
ahead, makes the handshake on the client's own socket and forgets what the server said in clear. The client's socket and
file object stay the same. From the moment the server has agreed a failure closes the client: nothing can go on in clear.

host: the name that the server's certificate must be for; None: the one that the client was connected with.
helper: a subclass of SslHelper, to have the last word on the certificate.
timeout, trust_file, trust_pem, system_trust, options: as for SslHelper, which has all of them.

They raise what the client's own method would raise if the server refuses, and SslError if TLS fails. They return the
helper.
"""

import re
import socket
from typing import TYPE_CHECKING, Any, Callable, Dict, List, Optional

from .constants import SSL_ERR_STATE
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
    helper: Callable[..., SslHelper] = SslHelper,
    timeout: Optional[float] = None,
    trust_file: Any = None,
    trust_pem: Any = None,
    system_trust: bool = False,
    **options: Any,
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
    given = _all(options, timeout, trust_file, trust_pem, system_trust)
    made = upgrade(client.sock, name, [client.file], helper, given, client.close)
    client.helo_resp = None
    client.ehlo_resp = None
    client.esmtp_features = {}
    client.does_esmtp = False
    return made


def starttls_imap(
    client: "imaplib.IMAP4",
    host: Optional[str] = None,
    *,
    helper: Callable[..., SslHelper] = SslHelper,
    timeout: Optional[float] = None,
    trust_file: Any = None,
    trust_pem: Any = None,
    system_trust: bool = False,
    **options: Any,
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

    given = _all(options, timeout, trust_file, trust_pem, system_trust)
    made = upgrade(client.sock, name, [file], helper, given, close, ahead)
    inside.untagged_responses = {}
    inside._tls_established = True
    inside._get_capabilities()
    return made


def stls_pop3(
    client: "poplib.POP3",
    host: Optional[str] = None,
    *,
    helper: Callable[..., SslHelper] = SslHelper,
    timeout: Optional[float] = None,
    trust_file: Any = None,
    trust_pem: Any = None,
    system_trust: bool = False,
    **options: Any,
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
    given = _all(options, timeout, trust_file, trust_pem, system_trust)
    made = upgrade(client.sock, name, [client.file], helper, given, client.close)
    inside._tls_established = True
    return made


def auth_tls_ftp(
    client: "ftplib.FTP",
    host: Optional[str] = None,
    *,
    data: str,
    resumption: str = "try",
    helper: Callable[..., SslHelper] = SslHelper,
    timeout: Optional[float] = None,
    trust_file: Any = None,
    trust_pem: Any = None,
    system_trust: bool = False,
    **options: Any,
) -> SslHelper:
    """AUTH TLS on an ftplib.FTP, before login(), see above: the control connection speaks TLS.

    data: "private": data connections speak TLS (PROT P), "clear": they stay in clear (PROT C), files and listings with
        them, and PROT P as a command later is refused.
    resumption: "try": data connections resume the session of the control connection if the server does, "require": they
        raise SslNotResumedError if it does not, "never": no session is resumed.

    sslsock.ftp.FTP_TLS is a client of its own with all of that.

    Passive and active transfers go on working: ftplib takes the addresses for them from the control connection's socket,
    which answers getpeername() and getsockname() with its real addresses.
    """
    import ftplib

    from .ftp import FTP_TLS, RESUMPTIONS, data_options, make_data_private

    if data not in ("private", "clear"):
        raise ValueError(f'data is "private" or "clear", not {data!r}')
    if resumption not in RESUMPTIONS:
        raise ValueError(f"resumption is one of {', '.join(RESUMPTIONS)}, not {resumption!r}")
    if isinstance(client, getattr(ftplib, "FTP_TLS", ())):
        raise TypeError("an ftplib.FTP is needed; ftplib.FTP_TLS makes its own TLS by the ssl module")
    if isinstance(client, FTP_TLS):
        raise TypeError("an ftplib.FTP is needed; sslsock.ftp.FTP_TLS has auth()")
    name = _host(host, client.host)
    if isinstance(client.sock, _RealAddresses):
        raise ValueError("the control connection speaks TLS already")
    client.voidcmd("AUTH TLS")
    given = data_options(resumption, None, _all(options, timeout, trust_file, trust_pem, system_trust))
    made = upgrade(client.sock, name, [client.file], helper, given, client.close)
    assert client.sock is not None
    answer_real_addresses(client.sock)
    client.voidcmd("PBSZ 0")
    if data == "private":
        client.voidcmd("PROT P")
        make_data_private(client, made, helper, resumption, given)
    else:
        _refuse_private_data(client)
        client.voidcmd("PROT C")
    return made


def answer_real_addresses(sock: socket.socket) -> None:
    """Has getpeername() and getsockname() of a socket object answer the real addresses after an upgrade.

    It stays the same object; its class becomes a subclass of what it was. Other objects for the same descriptor are not
    changed.
    """
    change_class(sock, _RealAddresses, "answer its real addresses")


def change_class(sock: socket.socket, behaviour: type, purpose: str) -> None:
    """Has one socket object behave otherwise: its class becomes a subclass of what it was."""
    kind = type(sock)
    if issubclass(kind, behaviour):
        return
    try:
        sock.__class__ = type(kind.__name__, (behaviour, kind), {"__slots__": (), "__module__": kind.__module__})
    except TypeError as error:
        raise TypeError(f"cannot have a {kind.__module__}.{kind.__qualname__} {purpose}: {error}") from None


class _RealAddresses:
    __slots__ = ()

    def getpeername(self) -> Any:
        return SslSocket.of(self).remote_address

    def getsockname(self) -> Any:
        return SslSocket.of(self).local_address


def _all(
    options: Dict[str, Any], timeout: Optional[float], trust_file: Any, trust_pem: Any, system_trust: bool
) -> Dict[str, Any]:
    named = {"timeout": timeout, "trust_file": trust_file, "trust_pem": trust_pem, "system_trust": system_trust}
    return {**options, **named}


def _host(given: Optional[str], known: Any) -> str:
    host = given or known
    if not host:
        raise ValueError("the client does not know the server's name: give it as host")
    if not isinstance(host, str):
        raise TypeError(f"host is a str, not {host!r}")
    return host


def upgrade(
    sock: Any,
    host: str,
    files: List[Any],
    helper: Callable[..., SslHelper],
    options: Dict[str, Any],
    close: Callable[[], Any],
    ahead: bytes = b"",
) -> SslHelper:
    """Makes the handshake on a client's socket; whatever goes wrong closes the client."""
    try:
        if ahead:
            raise refusal_to_read(_AheadOfTheFile(), ahead)
        made = helper(sock, host, True, **options)
        made.do_handshake(readers=[file for file in files if file is not None])
        return made
    except BaseException:
        # The server waits for TLS, and the client must not go on without.
        close()
        raise


class _AheadOfTheFile:
    """For the text of a refusal: what an IMAP4 object has read without a file."""


_AheadOfTheFile.__name__ = "client"
_NO_PRIVATE_DATA = "the data connections are in clear, by data=\"clear\": give data=\"private\" to auth_tls_ftp() instead"


def _refuse_private_data(client: Any) -> None:
    putcmd = client.putcmd

    def checked(line: str) -> None:
        if re.match(r"\s*PROT\s+[^C\s]", line, re.I):
            raise make(SSL_ERR_STATE, _NO_PRIVATE_DATA)
        putcmd(line)

    client.putcmd = checked


__all__ = [
    "answer_real_addresses",
    "auth_tls_ftp",
    "starttls_imap",
    "starttls_smtp",
    "stls_pop3",
]
