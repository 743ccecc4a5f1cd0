"""The whole C ABI for one socket: SslSocket."""

import ctypes
import socket
import weakref
from typing import Any, Iterator, List, NamedTuple, Optional, Type, TypeVar, Union

from . import _native, addresses, exiting, registry
from ._native import lib
from .addresses import Address
from .constants import (
    SSL_ADDRESS_LOCAL,
    SSL_ADDRESS_PEER,
    SSL_ERR_BAD_HANDLE,
    SSL_ERR_INVALID,
    SSL_ERR_OKAY,
    SSL_ERR_STATE,
    SSL_TEXT_PRESENTED,
    Category,
    Cause,
)
from .errors import SslError, check, copy_bytes, copy_text, last_error, make
from .hooks import AuthRequestHook, Hook, Look, ValidateCertHook, auth_request, checked, raise_refusal
from .settings import Settings, VerifyReport, text

SocketLike = Union[int, "socket.socket", Any]
_T = TypeVar("_T", bound="SslSocket")


class SessionInfo(NamedTuple):
    """What was agreed in the handshake; see ssl_session_info."""

    datapath: int
    protocol: int
    suite: int
    group: int
    resumed: bool
    alpn: bytes
    protocol_name: str
    suite_name: str
    group_name: str


class ErrorInfo(NamedTuple):
    """One consistent picture of an error; see ssl_error_info."""

    code: int
    category: Category
    sys_errno: int
    tls_alert: int
    from_hook: bool


class SslSocket(Settings):
    """A handle of the library for one stream socket: every function of sslsock.h under its name, without "ssl_".

    `sock` is a connected or unconnected socket: an object with fileno(), or a descriptor's number. It stays the
    caller's, is never closed here, and has to be kept open by the caller. A second handle for a plain socket is
    refused; SslSocket.of() finds the one that is there.

    The handle is freed when this object goes, or by free(). That does not end a connection that was upgraded
    transparently. In explicit mode it ends the session and may wait for the peer, as ssl_socket_free does.

    In explicit mode a socket with a timeout (settimeout, create_connection with one) counts as non-blocking, for that is
    how Python has it: the handshake, send() and recv() raise SslWouldBlockError instead of waiting.

    Failures raise SslError. In a forked child the methods of an object from before the fork raise SslError with
    SSL_ERR_FORKED. Any thread may call any method; one may send while another receives, everything else takes turns.
    """

    # Frees the handle with this object, if it is ours to free.
    _freeing: Any = None
    # The function of a SslHelper's class that had the last word, for a later helper of the same class.
    judge: Any = None

    def __init__(self, sock: SocketLike) -> None:
        handle = lib.ssl_socket_new(descriptor(sock))
        if not handle:
            raise last_error(lib.ssl_get_error(None))
        self._own(handle)

    def _own(self, handle: int) -> None:
        self._adopt(handle)
        freeing = weakref.finalize(self, _free, handle)
        # At exit the library ends what is open by itself, after everything else.
        freeing.atexit = False
        self._freeing = freeing
        registry.note(handle, self)
        defaults = registry.defaults()
        self._limit = defaults.limit
        if defaults.hook:
            self.set_validate_cert_hook(*defaults.hook)
        if defaults.auth_request_hook:
            self.set_auth_request_hook(defaults.auth_request_hook)

    def _adopt(self, handle: int) -> None:
        self._handle = handle
        self._hook: Optional[Hook] = None
        self._auth_request: Any = None

    @classmethod
    def of(cls: Type[_T], sock: SocketLike) -> _T:
        """The handle that belongs to a socket: the one that is there, else a new one.

        It lives as long as the socket object; where that cannot be told (a number, an object that cannot be weakly
        referenced), until the descriptor has been closed and another socket gets a handle.
        """
        number = descriptor(sock)
        with registry.lock():
            found = cls._find(number)
            if found is None:
                found = cls(sock)
            over = registry.keep(sock, number, found)
        del over
        return found

    @classmethod
    def find(cls: Type[_T], sock: SocketLike) -> Optional[_T]:
        """The live handle of a socket, by what the descriptor refers to and not by its number; None if there is none."""
        return cls._find(descriptor(sock))

    @classmethod
    def _find(cls: Type[_T], number: int) -> Optional[_T]:
        handle = ctypes.c_void_p()
        code = lib.ssl_socket_from_fd(number, ctypes.byref(handle))
        if code == SSL_ERR_BAD_HANDLE or not handle.value and code == SSL_ERR_OKAY:
            return None
        check(code)
        known = registry.known(handle.value or 0)
        if isinstance(known, cls):
            return known
        if known is not None:
            # One object for a handle, for it keeps the hook that the library calls.
            raise TypeError(
                f"the socket has a {type(known).__qualname__} already, which is no {cls.__qualname__}: make the {cls.__qualname__} "
                "before anything else asks for the socket's handle"
            )
        # Somebody else's, who frees it.
        found = cls.__new__(cls)
        found._adopt(handle.value or 0)
        registry.note(handle.value or 0, found)
        return found

    def free(self) -> None:
        """Frees the handle; every later use of it raises SslError with SSL_ERR_BAD_HANDLE. See ssl_socket_free."""
        if self._freeing is not None:
            self._freeing.detach()
        check(lib.ssl_socket_free(self._handle))

    @property
    def handle(self) -> int:
        """The ssl_socket * for C."""
        return self._handle

    def get_flags(self) -> int:
        """The flags that are set."""
        flags = ctypes.c_uint32()
        check(lib.ssl_get_flags(self._handle, ctypes.byref(flags)))
        return flags.value

    def set_validate_cert_hook(self, hook: Optional[ValidateCertHook], arg: Any = None) -> None:
        """Sets the certificate hook, which then has the last word on the peer's certificate; None clears it.

        It is called as hook(type, arg, chain, flags) on the thread that makes the handshake: type is SSL_CERT_X509,
        chain a list with the peer's own certificate in DER, and flags has SSL_CERT_FLAG_ISSUER_UNKNOWN set if anything
        is wrong with it. It answers SSL_ERR_OKAY to accept, whatever is wrong, and another number to refuse. An
        exception refuses, and becomes the `__cause__` of the SslError of the handshake; KeyboardInterrupt and SystemExit
        refuse and go on as they are. Inside the hook only the get_ methods may be called for this socket. Before the
        handshake, any thread.

        With SSL_FLAG_NONBLOCKING it may answer SSL_ERR_WANT_VALIDATION: then complete_validation() brings the answer. An
        `async def` is for SslHelper.do_handshake_async(), which awaits it while the event loop goes on.
        """
        if hook is None:
            check(lib.ssl_set_validate_cert_hook(self._handle, None, None))
            self._hook = None
            return
        handle = self._handle
        made = Hook(Look(lambda: _certificate(handle, 0), lambda: _report(handle).verdict), hook, arg)
        check(lib.ssl_set_validate_cert_hook(handle, ctypes.cast(made.pointer, ctypes.c_void_p), None))
        self._hook = made
        self._keep(made)

    def set_auth_request_hook(self, hook: Optional[AuthRequestHook]) -> None:
        """Sets the hook that chooses a client certificate when a server asks for one; None clears it.

        It is called as hook(issuers), the names in DER of the authorities that the server accepts, on the thread that
        makes the handshake. It answers one of the identities that were set, as an Identity or as its list of certificates
        in DER, leaf first; [] shows none, None leaves the choice to the library, any other SSL_ERR_* than SSL_ERR_OKAY
        fails the handshake with it. An exception fails it, and becomes the `__cause__`. Inside it only the get_ methods may
        be called for this socket. Before the handshake, any thread.
        """
        made = None if hook is None else auth_request(hook)
        pointer = None if made is None else ctypes.cast(made.pointer, ctypes.c_void_p)
        check(lib.ssl_set_auth_request_hook(self._handle, pointer, None))
        self._auth_request = made
        self._keep(made)

    def _set_signer(self, chain: bytes, made: Any) -> None:
        super()._set_signer(chain, made)
        self._keep(made)

    def _keep(self, made: Any) -> None:
        if self._freeing is None:
            # Somebody else frees the handle, at a time that is not told.
            registry.keep_for_good(made)

    def set_session_from(self, other: Optional["SslSocket"]) -> None:
        """Has the handshake resume the session of another connection, as FTP servers demand for their data connections;
        None: any session with the same name and settings. SessionInfo.resumed tells. See ssl_set_session_from. Before the
        handshake, any thread."""
        if other is not None and not isinstance(other, SslSocket):
            raise TypeError(f"the SslSocket of another connection is needed, not {type(other).__name__}")
        check(lib.ssl_set_session_from(self._handle, None if other is None else other._handle))

    def perform_handshake(self, host: Optional[str] = None) -> None:
        """Turns the connected socket into TLS, now; see ssl_perform_handshake.

        host: the peer's name, a DNS name or an IP address; None: that of set_peername.
        A failure ends the connection. No other thread may be inside a call on the socket. Other Python threads run on
        meanwhile; Ctrl-C is noticed when it is over. With SSL_FLAG_NONBLOCKING it raises SslWouldBlockError instead of
        waiting: poll the descriptor of get_transport_fd(), or await complete_validation(), and call again.
        """
        name = text(host)
        with exiting.Handshake(self._handle):
            self._finish(lib.ssl_perform_handshake(self._handle, name))

    def connect(self, address: Any) -> None:
        """Connects, then makes the handshake with the name of set_peername, unless SSL_FLAG_DEFER_HANDSHAKE is set.

        address: as for socket.connect(). See ssl_connect.
        """
        raw = addresses.to_native(self._family(), address)
        with exiting.Handshake(self._handle):
            self._finish(lib.ssl_connect(self._handle, raw, len(raw)))

    def complete_validation(self, result: int) -> None:
        """Brings the answer of a certificate hook that has answered SSL_ERR_WANT_VALIDATION; perform_handshake() then goes
        on. SslError with SSL_ERR_STATE if no answer is awaited. Any thread, but not inside the hook. See
        ssl_complete_validation."""
        answer = checked(result)
        if answer == SSL_ERR_OKAY and self._hook is not None:
            # Before the library hears of it: another thread may be about to go on.
            self._hook.decision.allowed = True
        check(lib.ssl_complete_validation(self._handle, answer))

    def cancel_handshake(self) -> None:
        """Ends a handshake that is under way, in another thread or between two calls: it raises SslCancelledError, and the
        connection is over. SslError with SSL_ERR_STATE if none is under way. Any thread. See ssl_cancel_handshake."""
        check(lib.ssl_cancel_handshake(self._handle))

    def _finish(self, code: int) -> None:
        hook = self._hook
        if code != SSL_ERR_OKAY:
            error = last_error(code)
            raise_refusal(error, self._causes())
        if not self._is_established():
            return
        for call in (self._signer, self._auth_request):
            if call is not None:
                call.let_go()
        if hook is None or not self._has_seen_a_certificate():
            return
        if hook.decision.accepted:
            hook.let_go()
            return
        # The hook was cut short before it could say anything.
        lib.ssl_shutdown(self._handle, socket.SHUT_RDWR)
        error = make(SSL_ERR_STATE, "the certificate hook was interrupted before it had decided: the connection is over")
        raise_refusal(error, self._causes())

    def _causes(self) -> Iterator[Optional[BaseException]]:
        """What the hooks have raised."""
        if self._hook is not None:
            yield self._hook.decision.error
        for call in (self._signer, self._auth_request):
            if call is not None:
                yield call.error

    def _is_established(self) -> bool:
        info = _native.SessionInfo(size=ctypes.sizeof(_native.SessionInfo))
        return bool(lib.ssl_get_session_info(self._handle, ctypes.byref(info)) == SSL_ERR_OKAY)

    def _has_seen_a_certificate(self) -> bool:
        """A server may not have been shown any."""
        report = _native.VerifyReport(size=ctypes.sizeof(_native.VerifyReport))
        return bool(lib.ssl_get_verify_report(self._handle, ctypes.byref(report)) == SSL_ERR_OKAY)

    def send(self, data: Any, flags: int = 0) -> int:
        """Sends like socket.send(); how many bytes were accepted. flags: MSG_DONTWAIT, MSG_NOSIGNAL. See ssl_send."""
        with memoryview(data) as view:
            if not view.contiguous:
                data = bytes(view)
            with memoryview(data).cast("B") as flat:
                kept, address = _readable(flat)
                ctypes.set_errno(0)
                sent = lib.ssl_send(self._handle, address, flat.nbytes, flags)
                del kept
        if sent < 0:
            raise self._transfer_failure()
        return int(sent)

    def recv(self, size: int, flags: int = 0) -> bytes:
        """Receives like socket.recv(). flags: MSG_DONTWAIT, MSG_PEEK, MSG_WAITALL. See ssl_recv."""
        buffer = ctypes.create_string_buffer(max(_size(size), 1))
        received = self._receive(buffer, size, flags)
        return buffer.raw[:received]

    def recv_into(self, buffer: Any, size: int = 0, flags: int = 0) -> int:
        """Receives like socket.recv_into()."""
        with memoryview(buffer).cast("B") as view:
            size = _size(size) or view.nbytes
            if size > view.nbytes:
                raise ValueError("the buffer is smaller than the size asked for")
            if not size:
                return 0
            return self._receive((ctypes.c_char * view.nbytes).from_buffer(view), size, flags)

    def _receive(self, buffer: Any, size: int, flags: int) -> int:
        ctypes.set_errno(0)
        received = lib.ssl_recv(self._handle, buffer, size, flags)
        if received < 0:
            raise self._transfer_failure()
        return int(received)

    def _transfer_failure(self) -> SslError:
        errno = ctypes.get_errno()
        return last_error(lib.ssl_get_error(None), errno=errno)

    def pending(self) -> int:
        """How many bytes can be received at once; see ssl_pending."""
        size = ctypes.c_size_t()
        check(lib.ssl_pending(self._handle, ctypes.byref(size)))
        return size.value

    def shutdown(self, how: int) -> None:
        """Ends one direction or both like socket.shutdown(); SHUT_WR sends close_notify."""
        check(lib.ssl_shutdown(self._handle, how))

    def get_transport_fd(self) -> int:
        """A duplicate of the real connection, for socket options and poll; the caller closes it, and does not read or
        write it."""
        number = ctypes.c_int32()
        check(lib.ssl_get_transport_fd(self._handle, ctypes.byref(number)))
        return number.value

    def get_address(self, which: int) -> Address:
        """An address of the real connection as the socket module has it: SSL_ADDRESS_PEER or SSL_ADDRESS_LOCAL."""
        return addresses.from_native(self._address(which))

    @property
    def remote_address(self) -> Address:
        """The peer's address, as getpeername() answered it before the upgrade."""
        return self.get_address(SSL_ADDRESS_PEER)

    @property
    def local_address(self) -> Address:
        """The address of this side, as getsockname() answered it before the upgrade."""
        return self.get_address(SSL_ADDRESS_LOCAL)

    def _address(self, which: int) -> bytes:
        space = ctypes.create_string_buffer(addresses.SPACE)
        length = ctypes.c_uint32(addresses.SPACE)
        check(lib.ssl_get_address(self._handle, which, space, ctypes.byref(length)))
        return space.raw[: length.value]

    def _family(self) -> int:
        return int(addresses.FAMILY.unpack_from(self._address(SSL_ADDRESS_LOCAL))[0])

    def get_session_info(self) -> SessionInfo:
        """What was agreed in the handshake; SslError with SSL_ERR_STATE before its end."""
        info = _native.SessionInfo(size=ctypes.sizeof(_native.SessionInfo))
        check(lib.ssl_get_session_info(self._handle, ctypes.byref(info)))
        return SessionInfo(
            info.datapath,
            info.protocol,
            info.suite,
            info.group,
            bool(info.resumed),
            bytes(info.alpn)[: info.alpn_len],
            info.protocol_name.decode(),
            info.suite_name.decode(),
            info.group_name.decode(),
        )

    def get_server_name(self) -> str:
        """In a server: the name that the client has asked for, "" if it did not say; SslError with SSL_ERR_STATE before
        the end of the handshake."""
        return copy_text(lambda buffer, size, length: lib.ssl_get_server_name(self._handle, buffer, size, length))

    def get_peer_certificate(self, index: int = 0) -> bytes:
        """Certificate number `index` of the peer's chain in DER, 0 being its own. Also inside the hook."""
        return _certificate(self._handle, index)

    def peer_certificates(self) -> List[bytes]:
        """The peer's chain as it was sent, each in DER; empty if a client has shown none."""
        try:
            count = self.get_verify_report().chain_len
        except SslError as error:
            if error.code != SSL_ERR_STATE:
                raise
            self.get_session_info()  # raises before the end of the handshake
            count = 0
        return [self.get_peer_certificate(index) for index in range(count)]

    def get_verify_report(self) -> VerifyReport:
        """What verification found, also after a failed handshake and inside the hook."""
        report = _report(self._handle)
        return VerifyReport(
            report.verdict,
            Cause(report.causes),
            report.chain_len,
            report.not_before,
            report.not_after,
            bytes(report.spki_sha256),
        )

    def get_verify_text(self, what: int, index: int = 0) -> str:
        """A text about the peer's certificate: `what` is SSL_TEXT_*, `index` counts the names of SSL_TEXT_PRESENTED."""
        return copy_text(
            lambda buffer, size, length: lib.ssl_get_verify_text(self._handle, what, index, buffer, size, length)
        )

    def presented_names(self) -> List[str]:
        """The names that the peer's certificate is for."""
        names: List[str] = []
        while True:
            try:
                names.append(self.get_verify_text(SSL_TEXT_PRESENTED, len(names)))
            except SslError as end:
                if end.code != SSL_ERR_INVALID:
                    raise
                return names

    def get_error(self) -> int:
        """The code of the handle's error, 0 if there is none. One that ended the connection stays."""
        return int(lib.ssl_get_error(self._handle))

    def get_error_text(self) -> str:
        """The text of the same error: what happened and what to do."""
        return copy_text(lambda buffer, size, length: lib.ssl_get_error_text(self._handle, buffer, size, length))

    def get_error_info(self) -> ErrorInfo:
        """The same error as one consistent picture."""
        info = _native.ErrorInfo(size=ctypes.sizeof(_native.ErrorInfo))
        check(lib.ssl_get_error_info(self._handle, ctypes.byref(info)))
        return ErrorInfo(info.code, Category(info.category), info.sys_errno, info.tls_alert, bool(info.from_hook))

    def failure(self) -> Optional[SslError]:
        """The same error as an exception, None if there is none: why recv() and send() of the plain socket fail, which
        have a number only."""
        info = self.get_error_info()
        if info.code == SSL_ERR_OKAY:
            return None
        return make(
            info.code,
            self.get_error_text(),
            system_errno=info.sys_errno,
            alert=info.tls_alert if info.tls_alert >= 0 else None,
            from_hook=info.from_hook,
        )

    def ioctl(self, code: int, data: bytes = b"", capacity: int = 0) -> bytes:
        """Windows CE's WSAIoctl on this socket: `data` goes in, at most `capacity` bytes come out. See ssl_ioctl."""
        out = ctypes.create_string_buffer(max(_size(capacity), 1))
        returned = ctypes.c_uint32()
        space = out if capacity else None
        with exiting.Handshake(self._handle):
            self._finish(
                lib.ssl_ioctl(self._handle, code, data or None, len(data), space, capacity, ctypes.byref(returned))
            )
        return out.raw[: returned.value]

    @classmethod
    def wce_secure(cls: Type[_T], sock: SocketLike) -> _T:
        """The handle of a socket that is not connected yet and on which nothing may be sent in clear; see
        ssl_wce_secure."""
        handle = ctypes.c_void_p()
        check(lib.ssl_wce_secure(descriptor(sock), ctypes.byref(handle)))
        made = cls.__new__(cls)
        made._own(handle.value or 0)
        return made

    def wce_hold(self, hold: bool) -> None:
        """Lets go of a socket of wce_secure() right before a connect of one's own, or holds it again; see ssl_wce_hold."""
        check(lib.ssl_wce_hold(self._handle, 1 if hold else 0))


def descriptor(sock: SocketLike) -> int:
    """The descriptor's number of a socket or of anything else that has fileno()."""
    number = sock if isinstance(sock, int) and not isinstance(sock, bool) else _fileno(sock)
    if number < 0:
        raise ValueError("the socket is closed")
    if number >= 2**31:
        # ctypes would cut it down to that of another file.
        raise ValueError(f"{number} is no descriptor's number")
    return int(number)


def _fileno(sock: Any) -> int:
    fileno = getattr(sock, "fileno", None)
    if fileno is None:
        raise TypeError(f"a socket, an object with fileno() or a descriptor's number is needed, not {type(sock).__name__}")
    number = fileno()
    if not isinstance(number, int):
        raise TypeError(f"fileno() of a {type(sock).__name__} answers {number!r} and not a descriptor's number")
    return number


def _size(value: int) -> int:
    # C would take it for an enormous one, of a buffer that is small.
    if value < 0:
        raise ValueError(f"a size is 0 or more, not {value!r}")
    return value


def _readable(view: memoryview) -> Any:
    """Something to keep, and the address of the bytes."""
    if not view.nbytes:
        return view, None
    if view.readonly:
        # ctypes gives no address of memory that it may not write, but of bytes.
        data = view.obj if isinstance(view.obj, bytes) and len(view.obj) == view.nbytes else view.tobytes()
        return data, ctypes.cast(ctypes.c_char_p(data), ctypes.c_void_p)
    whole = (ctypes.c_char * view.nbytes).from_buffer(view)
    return whole, ctypes.cast(whole, ctypes.c_void_p)


def _certificate(handle: int, index: int) -> bytes:
    if index < 0:
        raise ValueError(f"certificates are counted from 0, not {index}")
    return copy_bytes(
        lambda buffer, size, length: lib.ssl_get_peer_certificate(handle, index, buffer, size, length), guess=4096
    )


def _report(handle: int) -> _native.VerifyReport:
    report = _native.VerifyReport(size=ctypes.sizeof(_native.VerifyReport))
    check(lib.ssl_get_verify_report(handle, ctypes.byref(report)))
    return report


def _free(handle: int) -> None:
    lib.ssl_socket_free(handle)

