"""What can be set before a handshake: on a socket, for all of them, or for nothing but to verify certificates."""

import base64
import ctypes
import math
import os
import weakref
from typing import TYPE_CHECKING, Any, Iterable, List, NamedTuple, Optional, Union

from . import _native
from ._native import lib
from .constants import SSL_ERR_OKAY, SSL_TIME_NOW, SSL_TIMEOUT_HANDSHAKE, SSL_VERDICT_NOT_AVAILABLE, Cause
from .errors import check, last_error
from .identity import Data, Identity, Path, SignHook, certificates, contents

if TYPE_CHECKING:
    from .hooks import AuthRequestHook

NO_LIMIT = 0xFFFFFFFF


class VerifyReport(NamedTuple):
    """What verification found; see ssl_verify_report. The dates are Unix seconds."""

    verdict: int
    causes: Cause
    chain_len: int
    not_before: int
    not_after: int
    spki_sha256: bytes

    @property
    def pin(self) -> str:
        """The certificate's key as add_pin() takes it: "sha256//" and base64."""
        return "sha256//" + base64.b64encode(self.spki_sha256).decode()


class ChainReport(NamedTuple):
    """What verify_chain() found. It is true if the chain is trusted: `if sslsock.verify_chain(...)`.

    code, name: SSL_ERR_OKAY, or the most important of what is wrong. text: all of it, in words. causes: all of it, as
    bits. not_before, not_after: Unix seconds, of the leaf. spki_sha256, pin: the leaf's key.
    """

    code: int
    name: str
    text: str
    causes: Cause
    not_before: int
    not_after: int
    spki_sha256: bytes

    @property
    def trusted(self) -> bool:
        """Whether nothing is wrong."""
        return self.code == SSL_ERR_OKAY

    def __bool__(self) -> bool:
        return self.trusted

    @property
    def pin(self) -> str:
        """The leaf's key as add_pin() takes it: "sha256//" and base64."""
        return "sha256//" + base64.b64encode(self.spki_sha256).decode()


class Settings:
    """What can be set on a handle before the handshake; the defaults take the same."""

    _handle: int
    # The time limit of the handshake, as far as it has been set here.
    _limit: Optional[float] = 30.0
    # What the library calls, for as long as it may.
    _signer: Any = None

    def set_flags(self, flags: int) -> None:
        """Sets the flags (SSL_FLAG_*); they replace the earlier ones. Before the handshake, any thread."""
        check(lib.ssl_set_flags(self._handle, _word("flags", flags)))

    def set_peername(self, name: Optional[str]) -> None:
        """Sets the name that the peer's certificate must be for, and that the peer is told: a DNS name or an IP
        address. None clears it. Before the handshake, any thread."""
        check(lib.ssl_set_peername(self._handle, text(name)))

    def set_timeout(self, which: int, seconds: Optional[float]) -> None:
        """Sets a time limit in seconds: `which` is SSL_TIMEOUT_HANDSHAKE or SSL_TIMEOUT_CLOSE, None means no limit.
        Before the handshake, any thread."""
        check(lib.ssl_set_timeout(self._handle, which, milliseconds(seconds)))
        if which == SSL_TIMEOUT_HANDSHAKE:
            self._limit = seconds

    def set_alpn(self, protocols: Iterable[Union[str, bytes]]) -> None:
        """Sets the application protocols to be offered or, for a server, to be chosen from, most wanted first, as
        ["h2", "http/1.1"]. What was agreed is SessionInfo.alpn. Before the handshake, any thread."""
        if isinstance(protocols, (str, bytes)):
            raise TypeError('the protocols are a list, as ["h2", "http/1.1"]')
        names = [contents_of(name) for name in protocols]
        for name in names:
            if not 0 < len(name) < 256:
                raise ValueError(f"the name of a protocol has 1 to 255 bytes, not {len(name)}")
        wire = b"".join(bytes([len(name)]) + name for name in names)
        check(lib.ssl_set_alpn(self._handle, wire, len(wire)))

    def set_protocols(self, minimum: int, maximum: int) -> None:
        """Sets the oldest and the newest version of TLS that are allowed: SSL_PROTOCOL_TLS1_2 or SSL_PROTOCOL_TLS1_3
        each. Before the handshake, any thread."""
        for version in (minimum, maximum):
            if not 0 <= version < 2**16:
                raise ValueError(f"a version is SSL_PROTOCOL_TLS1_2 or SSL_PROTOCOL_TLS1_3, not {version!r}")
        check(lib.ssl_set_protocols(self._handle, minimum, maximum))

    def set_key_log_file(self, file_path: Optional[Path]) -> None:
        """Appends the secrets of the sessions to a file, with which Wireshark decrypts what was recorded: whoever has the
        file can read everything. None: no file. Before the handshake, any thread."""
        check(lib.ssl_set_key_log_file(self._handle, None if file_path is None else path(file_path)))

    def add_trust_file(self, pem_path: Path) -> None:
        """Trusts the CA certificates in a PEM file. The first trust call replaces the built-in roots, later ones add.
        Before the handshake, any thread."""
        check(lib.ssl_add_trust_file(self._handle, path(pem_path)))

    def add_trust_pem(self, pem: Union[str, Data]) -> None:
        """The same for certificates in memory."""
        data = contents_of(pem)
        check(lib.ssl_add_trust_pem(self._handle, data, len(data)))

    def add_trust_dir(self, dir_path: Path) -> None:
        """Trusts the CA certificates in every file of a directory, not of those below it. The first trust call replaces
        the built-in roots, later ones add. Before the handshake, any thread."""
        check(lib.ssl_add_trust_dir(self._handle, path(dir_path)))

    def use_system_trust(self) -> None:
        """Trusts what the system trusts. The first trust call replaces the built-in roots, later ones add."""
        check(lib.ssl_use_system_trust(self._handle))

    def add_pin(self, pin: Optional[str]) -> None:
        """Adds a pin, on top of the trust: the key of the peer's own certificate must be one of those pinned, and no hook
        accepts another. It is the SHA-256 of the SubjectPublicKeyInfo, as "sha256//" and base64 or as 64 hexadecimal
        digits; VerifyReport.pin has it. None clears them. Before the handshake, any thread."""
        check(lib.ssl_add_pin(self._handle, text(pin)))

    def add_crl_file(self, file_path: Path) -> None:
        """Adds the revocation lists in a file (PEM, or one in DER). From the first on the peer's own certificate must be
        covered by a list of its issuer that is up to date. Before the handshake, any thread."""
        check(lib.ssl_add_crl_file(self._handle, path(file_path)))

    def add_crl_pem(self, crl: Union[str, Data]) -> None:
        """The same for lists in memory, PEM or DER."""
        data = contents_of(crl)
        check(lib.ssl_add_crl_pem(self._handle, data, len(data)))

    def set_identity_pem(self, chain: Union[str, Data], key: Union[str, Data]) -> None:
        """Sets the certificate chain and private key of this side, PEM or DER: leaf first, the key not encrypted."""
        certificate, private = contents_of(chain), contents_of(key)
        check(lib.ssl_set_identity_pem(self._handle, certificate, len(certificate), private, len(private)))

    def set_identity_file(self, chain_path: Path, key_path: Path) -> None:
        """The same with the contents of two files, which may be one file."""
        check(lib.ssl_set_identity_file(self._handle, path(chain_path), path(key_path)))

    def add_identity_pem(self, chain: Union[str, Data], key: Union[str, Data]) -> None:
        """Adds a further identity. A server shows the first whose certificate is for the name that the client asks for, a
        client the first whose issuer the server names; else the first of all. Before the handshake, any thread."""
        certificate, private = contents_of(chain), contents_of(key)
        check(lib.ssl_add_identity_pem(self._handle, certificate, len(certificate), private, len(private)))

    def add_identity_file(self, chain_path: Path, key_path: Path) -> None:
        """The same with the contents of two files, which may be one file."""
        check(lib.ssl_add_identity_file(self._handle, path(chain_path), path(key_path)))

    def set_identity_signer(self, chain: Union[str, Data], sign: SignHook) -> None:
        """Sets the certificate chain of this side (PEM or DER, leaf first), and the function that signs with its private
        key: see Identity. It is called on the thread that makes the handshake; inside it only the get_ methods may be
        called for this socket. Before the handshake, any thread."""
        from .hooks import signer

        self._set_signer(contents_of(chain), signer(sign))

    def _set_signer(self, chain: bytes, made: Any) -> None:
        pointer = ctypes.cast(made.pointer, ctypes.c_void_p)
        check(lib.ssl_set_identity_signer(self._handle, chain, len(chain), pointer, None))
        self._signer = made

    def set_identities(self, identities: Union[Identity, Iterable[Identity]]) -> None:
        """Sets one identity or several, for the ones that were set before; the first may sign by a function."""
        given = [identities] if isinstance(identities, Identity) else list(identities)
        for identity in given:
            if not isinstance(identity, Identity):
                raise TypeError(f'an Identity("chain.pem", "key.pem") is needed, not {type(identity).__name__}')
        if any(identity.sign is not None for identity in given[1:]):
            raise ValueError("of several identities only the first can sign by a function")
        for number, identity in enumerate(given):
            if identity.sign is not None:
                self.set_identity_signer(contents(identity.chain), identity.sign)
            elif identity.in_files:
                by_path = self.add_identity_file if number else self.set_identity_file
                by_path(identity.chain, identity.key)  # type: ignore[arg-type]
            else:
                in_memory = self.add_identity_pem if number else self.set_identity_pem
                in_memory(contents(identity.chain), contents(identity.key))

    def verify_chain(
        self, chain: Union[Data, str, Iterable[Union[Data, str]]], name: Optional[str] = None, *, time: Optional[float] = None
    ) -> ChainReport:
        """Verifies certificates without a connection, as a handshake would, by trust, pins and revocation lists of this
        object; with SSL_FLAG_SERVER on it as those of a client.

        chain: the leaf first: DER each, or PEM. name: whom it has to be for; None: the name is not looked at. time: in
        Unix seconds; None: now. The report says what is wrong; SslError is for what could not be verified at all. Any
        thread, also inside the certificate hook.
        """
        ders = certificates(chain)
        blobs = blob_array(ders)
        report = _native.VerifyReport(size=ctypes.sizeof(_native.VerifyReport))
        moment = SSL_TIME_NOW if time is None else math.floor(time)
        if not -(2**63) <= moment < 2**63:
            raise ValueError(f"a time is a number of seconds, as that of time.time(), not {time!r}")
        code = lib.ssl_verify_chain(self._handle, blobs, len(ders), text(name), moment, ctypes.byref(report))
        if report.verdict == SSL_VERDICT_NOT_AVAILABLE:
            check(code)
        # The whole text is that of the exception that a handshake would raise.
        error = last_error(code) if code != SSL_ERR_OKAY else None
        return ChainReport(
            code,
            error.name if error else "SSL_ERR_OKAY",
            error.text if error else "",
            Cause(report.causes),
            report.not_before,
            report.not_after,
            bytes(report.spki_sha256),
        )


class SslSettings(Settings):
    """Settings without a connection, for verify_chain(). They start with those of sslsock.defaults."""

    def __init__(self) -> None:
        handle = lib.ssl_settings_new()
        if not handle:
            raise last_error(lib.ssl_get_error(None))
        self._handle = int(handle)
        weakref.finalize(self, lib.ssl_socket_free, self._handle).atexit = False


def verify_chain(
    chain: Union[Data, str, Iterable[Union[Data, str]]],
    name: Optional[str] = None,
    *,
    time: Optional[float] = None,
    trust_file: Optional[Path] = None,
    trust_pem: Union[str, Data, None] = None,
    trust_dir: Optional[Path] = None,
    system_trust: bool = False,
    pins: Union[str, Iterable[str]] = (),
    crl_file: Optional[Path] = None,
    crl_pem: Union[str, Data, None] = None,
    flags: int = 0,
) -> ChainReport:
    """Verifies certificates without a connection, as a handshake would: see Settings.verify_chain(). The settings are as
    for SslHelper; flags=SSL_FLAG_SERVER: as those of a client. `if sslsock.verify_chain(...)` is true if they are trusted.
    """
    settings = SslSettings()
    if flags:
        settings.set_flags(flags)
    set_trust(settings, trust_file, trust_pem, trust_dir, system_trust, pins, crl_file, crl_pem)
    return settings.verify_chain(chain, name, time=time)


def set_trust(
    settings: Settings,
    trust_file: Optional[Path],
    trust_pem: Union[str, Data, None],
    trust_dir: Optional[Path],
    system_trust: bool,
    pins: Union[str, Iterable[str]],
    crl_file: Optional[Path],
    crl_pem: Union[str, Data, None],
) -> None:
    """Sets what was given of all that says whom to trust."""
    if trust_file is not None:
        settings.add_trust_file(trust_file)
    if trust_pem is not None:
        settings.add_trust_pem(trust_pem)
    if trust_dir is not None:
        settings.add_trust_dir(trust_dir)
    if system_trust:
        settings.use_system_trust()
    for pin in [pins] if isinstance(pins, str) else pins:
        settings.add_pin(pin)
    if crl_file is not None:
        settings.add_crl_file(crl_file)
    if crl_pem is not None:
        settings.add_crl_pem(crl_pem)


def blob_array(datas: List[bytes]) -> Any:
    """An array of ssl_blob, which keeps what it points to."""
    blobs: Any = (_native.Blob * len(datas))()
    kept = []
    for blob, data in zip(blobs, datas):
        space = ctypes.create_string_buffer(data, max(len(data), 1))
        kept.append(space)
        blob.cbSize = len(data)
        blob.pBlobData = ctypes.cast(space, ctypes.POINTER(ctypes.c_uint8))
    blobs.kept = kept
    return blobs


def milliseconds(seconds: Optional[float]) -> int:
    """A time limit as the library takes it."""
    if seconds is None:
        return NO_LIMIT
    if not 0 < seconds < NO_LIMIT / 1000:
        raise ValueError(f"a time limit is a number of seconds above 0, or None for no limit, not {seconds!r}")
    return max(1, min(math.ceil(seconds * 1000), NO_LIMIT - 1))


def text(value: Optional[str]) -> Optional[bytes]:
    """A string as the library takes it."""
    if value is None:
        return None
    if not isinstance(value, str):
        raise TypeError(f"a name is a str, as \"mail.example\", not {value!r}")
    encoded = value.encode()
    if b"\0" in encoded:
        raise ValueError("a NUL character in the name")
    return encoded


def path(value: Path) -> bytes:
    encoded = os.fsencode(value)
    if b"\0" in encoded:
        raise ValueError("a NUL character in the path")
    return encoded


def contents_of(data: Union[str, Data]) -> bytes:
    """Bytes or text, as bytes."""
    # A number would be taken for a length.
    return data.encode() if isinstance(data, str) else bytes(memoryview(data))


def _word(what: str, value: int) -> int:
    if not 0 <= value < 2**32:
        raise ValueError(f"{what} are a number of 32 bits, not {value!r}")
    return value
