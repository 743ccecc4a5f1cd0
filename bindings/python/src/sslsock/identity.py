"""Certificates and keys of this side, and in what form they are given."""

import base64
import os
import re
from typing import Callable, Iterable, List, Optional, Union

Path = Union[str, bytes, "os.PathLike[str]"]
# The contents of a file.
Data = Union[bytes, bytearray, memoryview]
# The number of the signature scheme (RFC 8446, section 4.2.3), and what has to be signed; the answer is the signature.
SignHook = Callable[[int, bytes], bytes]

_BLOCK = re.compile(rb"-----BEGIN (?:X509 |TRUSTED )?CERTIFICATE-----(.*?)-----END (?:X509 |TRUSTED )?CERTIFICATE-----", re.S)


class Identity:
    """A certificate chain of this side, leaf first, and the private key that belongs to it.

    chain, key: bytes are the contents, a str or os.PathLike is the path of a file; PEM or DER, the key not encrypted.
    Without `key` it is in the same file as the chain, in PEM.
    sign: signs in the place of a key that Python does not have either, such as one in a smart card: called as
        sign(scheme, data) with the number of the signature scheme (RFC 8446, section 4.2.3, as 0x0403 for
        ecdsa_secp256r1_sha256) and the bytes to be signed, not hashed yet; it answers the signature (ECDSA in DER). An
        exception fails the handshake and is the `__cause__` of its SslError.
    """

    def __init__(
        self, chain: Union[Path, Data], key: Union[Path, Data, None] = None, *, sign: Optional[SignHook] = None
    ) -> None:
        if sign is not None and key is not None:
            raise ValueError("either a key or a function that signs is given, not both")
        if sign is not None and not callable(sign):
            raise TypeError(f"sign is a function, not {sign!r}")
        self.chain = _checked(chain)
        self.key = _checked(key) if key is not None else self.chain if sign is None else None
        self.sign = sign

    def __repr__(self) -> str:
        """Without the key."""
        where = repr(self.chain) if not isinstance(self.chain, bytes) else f"{len(self.chain)} bytes"
        return f"<Identity of {where}>"

    @property
    def in_files(self) -> bool:
        """Whether everything is in files."""
        return not isinstance(self.chain, bytes) and not isinstance(self.key, bytes) and self.sign is None

    def certificates(self) -> List[bytes]:
        """The chain, each certificate in DER."""
        return certificates([contents(self.chain)])


def _checked(given: Union[Path, Data]) -> Union[str, bytes, "os.PathLike[str]"]:
    if isinstance(given, str) and "-----BEGIN " in given:
        raise ValueError("a str is the path of a file: give the contents of a PEM file as bytes")
    if isinstance(given, (str, os.PathLike)):
        return given
    if isinstance(given, (bytes, bytearray, memoryview)):
        return bytes(given)
    raise TypeError(f"a certificate or key is bytes, or the path of a file, not {type(given).__name__}")


def contents(given: Union[Path, Data, None]) -> bytes:
    """What was given, or is in the file that was given."""
    if isinstance(given, (str, os.PathLike)):
        with open(given, "rb") as file:
            return file.read()
    return bytes(given or b"")


def certificates(given: Union[Data, str, Iterable[Union[Data, str]]]) -> List[bytes]:
    """Certificates in DER: `given` is one in DER, any number in PEM, or a list of these."""
    pieces = [given] if isinstance(given, (bytes, bytearray, memoryview, str)) else list(given)
    found: List[bytes] = []
    for piece in pieces:
        if not isinstance(piece, (bytes, bytearray, memoryview, str)):
            raise TypeError(f"a certificate is bytes, not {type(piece).__name__}")
        data = piece.encode() if isinstance(piece, str) else bytes(piece)
        blocks = _BLOCK.findall(data)
        if not blocks and (isinstance(piece, str) or data.lstrip().startswith(b"-----BEGIN")):
            raise ValueError("no certificate in PEM in this text (what is needed is a file's contents, not its path)")
        found += [base64.b64decode(block) for block in blocks] or [data]
    return found
