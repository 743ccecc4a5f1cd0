"""FTP over TLS by the standard library's ftplib, without its ssl module.

    from sslsock.ftp import FTP_TLS

    with FTP_TLS("ftp.example", trust_file="ca.pem") as ftp:
        ftp.login(user, password)  # AUTH TLS before it, PBSZ 0 and PROT P after it
        with open("report.pdf", "rb") as file:
            ftp.storbinary("STOR report.pdf", file)

The control connection is upgraded in place. Data connections are upgraded one by one, and resume the session of the control
connection, on which most servers insist. sslsock.clients.auth_tls_ftp() upgrades an ftplib.FTP that is there already.
"""

import ftplib
import socket
import struct
from typing import Any, Callable, Dict, Optional, Tuple

from .clients import answer_real_addresses, change_class, upgrade
from .constants import SSL_ERR_IO, SSL_FLAG_NO_RESUMPTION
from .errors import SslError, make
from .helper import SslHelper

# How long a server may take to say why a data connection came to nothing.
REASON_SECONDS = 10.0
RESUMPTIONS = ("try", "require", "never")


class DataConnections:
    """What upgrades the data connections of a client whose control connection has been upgraded.

    resumption: "try": the session of the control connection is resumed if the server does; "require": SslNotResumedError
        if it does not; "never": no session is resumed.
    """

    def __init__(
        self, client: ftplib.FTP, control: SslHelper, helper: Callable[..., SslHelper], resumption: str, options: Dict[str, Any]
    ) -> None:
        self.client, self.control, self.helper = client, control, helper
        self.options = dict(options)
        if resumption != "never":
            self.options.update(session_from=control, require_resumption=resumption == "require")

    def upgrade(self, conn: socket.socket) -> SslHelper:
        """Makes the handshake on a data connection. One that fails is closed, and the error has the server's reason."""
        try:
            self._check_peer(conn)
            made = self.helper(conn, self.control.host, True, **self.options)
            made.do_handshake()
            change_class(conn, _BreaksOff, "break off")
            return made
        except BaseException as error:
            conn.close()
            reply = self._reason() if isinstance(error, SslError) else ""
            if not reply or not isinstance(error, SslError):
                raise
            details = {name: getattr(error, name) for name in ("errno", "system_errno", "alert", "from_hook")}
            # What a hook has raised stays the cause.
            raise make(error.code, f"{error.text}; the server said {reply!r}", **details) from (error.__cause__ or error)

    def _check_peer(self, conn: socket.socket) -> None:
        """Whoever connects first to the port of an active transfer gets through to here."""
        if self.client.passiveserver:
            return
        peer, expected = (str(address[0]).split("%")[0] for address in (conn.getpeername(), self.control.remote_address))
        if peer != expected:
            raise make(SSL_ERR_IO, f"the data connection is with {peer}, not with the server at {expected}")

    def _reason(self) -> str:
        """What the server says on the control connection about a data connection that came to nothing."""
        sock: Any = self.client.sock
        patience = sock.gettimeout()
        try:
            sock.settimeout(REASON_SECONDS if patience is None else min(REASON_SECONDS, patience))
            return str(self.client.getresp())
        except ftplib.Error as reply:
            return str(reply)
        except (OSError, EOFError):
            return ""
        finally:
            if sock.fileno() >= 0:
                sock.settimeout(patience)


class _BreaksOff:
    """A data connection in whose `with` block something has gone wrong: an end in order would have the server take what it
    got for the whole file."""

    __slots__ = ()

    def __exit__(self, kind: Any, error: Any, trace: Any) -> None:
        sock: Any = self
        if kind is not None and sock.fileno() >= 0:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        sock.close()


class FTP_TLS(ftplib.FTP):
    """ftplib.FTP over TLS, with the methods of ftplib.FTP_TLS: auth(), prot_p(), prot_c(), login(secure=True).

    host, user, passwd, acct, timeout, source_address, encoding: as for ftplib.FTP.
    implicit: True begins with TLS, by default on port 990, without AUTH TLS.
    server_name: the name that the server's certificate must be for; None: the host.
    resumption: whether data connections resume the session of the control connection: "try", "require" (SslNotResumedError
        if the server does not) or "never".
    handshake_timeout: a limit for each handshake, in seconds.
    helper, options: a subclass of SslHelper to have the last word on the certificate; other keyword arguments of it, as
        trust_file, for both kinds of connection.

    Unlike ftplib.FTP_TLS the data connections are private unless prot_c() is called. A data connection has delivered
    everything when it is closed; there is no unwrap(). One in whose `with` block an exception comes up, as in storbinary()
    when the file cannot be read, is broken off, so that the server does not take a part for the whole.
    """

    def __init__(
        self,
        host: str = "",
        user: str = "",
        passwd: str = "",
        acct: str = "",
        *,
        timeout: Optional[float] = None,
        source_address: Optional[Tuple[str, int]] = None,
        encoding: Optional[str] = None,
        implicit: bool = False,
        server_name: Optional[str] = None,
        resumption: str = "try",
        handshake_timeout: Optional[float] = None,
        helper: Callable[..., SslHelper] = SslHelper,
        **options: Any,
    ) -> None:
        if resumption not in RESUMPTIONS:
            raise ValueError(f"resumption is one of {', '.join(RESUMPTIONS)}, not {resumption!r}")
        self.implicit, self.server_name, self.resumption = implicit, server_name, resumption
        self._helper, self._options = helper, data_options(resumption, handshake_timeout, options)
        self._forget()
        if implicit:
            self.port = 990
        if encoding is not None:
            self.encoding = encoding
        arguments: Dict[str, Any] = {"source_address": source_address}
        if timeout is not None:
            arguments["timeout"] = timeout
        super().__init__(host, user, passwd, acct, **arguments)
        if encoding is not None:
            self.encoding = encoding

    def _forget(self) -> None:
        # Of the control connection: its helper, what upgrades data connections, and whether they are private, None before
        # that was said.
        self.control: Optional[SslHelper] = None
        self._data: Optional[DataConnections] = None
        self._private: Optional[bool] = None
        self._due = False

    def connect(self, *arguments: Any, **named: Any) -> str:
        self._forget()
        # With implicit TLS the handshake comes before the greeting.
        self._due = self.implicit
        return super().connect(*arguments, **named)

    def getresp(self) -> str:
        if self._due:
            self._due = False
            self.upgrade_control()
        return super().getresp()

    def login(self, user: str = "", passwd: str = "", acct: str = "", secure: bool = True) -> str:
        """Logs in, by default under TLS, and has data connections be private."""
        if secure and self.control is None:
            self.auth()
        reply = super().login(user, passwd, acct)
        if self.control is not None and self._private is None:
            self.prot_p()
        return reply

    def auth(self) -> str:
        """AUTH TLS: the control connection speaks TLS from here on."""
        if self.control is not None:
            raise ValueError("the control connection speaks TLS already")
        reply = self.voidcmd("AUTH TLS")
        self.upgrade_control()
        return reply

    def prot_p(self) -> str:
        """Has data connections speak TLS."""
        if self.control is None:
            raise ValueError("the control connection is in clear: call auth() or login() before")
        self.voidcmd("PBSZ 0")
        reply = self.voidcmd("PROT P")
        self._private = True
        return reply

    def prot_c(self) -> str:
        """Has data connections be in clear, files and listings with them."""
        reply = self.voidcmd("PROT C")
        self._private = False
        return reply

    def upgrade_control(self) -> SslHelper:
        """Makes the handshake on the control connection; a subclass may look at the result."""
        name = self.server_name or self.host
        made = upgrade(self.sock, name, [self.file], self._helper, self._options, self.close)
        assert self.sock is not None
        answer_real_addresses(self.sock)
        self.control = made
        self._data = DataConnections(self, made, self._helper, self.resumption, self._options)
        return made

    def upgrade_data(self, conn: socket.socket) -> SslHelper:
        """Makes the handshake on a data connection; a subclass may look at the result."""
        assert self._data is not None
        return self._data.upgrade(conn)

    def ntransfercmd(self, cmd: str, rest: Any = None) -> Any:
        if self.control is not None and self._private is None:
            self.prot_p()
        conn, size = super().ntransfercmd(cmd, rest)
        if self._private:
            self.upgrade_data(conn)
        return conn, size

    def close(self) -> None:
        try:
            super().close()
        finally:
            self._forget()


def data_options(resumption: str, timeout: Optional[float], options: Dict[str, Any]) -> Dict[str, Any]:
    """The keyword arguments for SslHelper of both kinds of connection."""
    made = dict(options)
    if timeout is not None:
        made["timeout"] = timeout
    if resumption == "never":
        made["flags"] = made.get("flags", 0) | SSL_FLAG_NO_RESUMPTION
    return made


def make_data_private(
    client: ftplib.FTP, control: SslHelper, helper: Callable[..., SslHelper], resumption: str, options: Dict[str, Any]
) -> None:
    """Has the data connections of an ftplib.FTP be upgraded, for as long as its control connection is this one."""
    data, sock, ntransfercmd = DataConnections(client, control, helper, resumption, options), client.sock, client.ntransfercmd

    def upgraded(cmd: str, rest: Any = None) -> Any:
        conn, size = ntransfercmd(cmd, rest)
        if client.sock is sock:
            data.upgrade(conn)
        return conn, size

    client.ntransfercmd = upgraded  # type: ignore[method-assign]
