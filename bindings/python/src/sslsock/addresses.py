"""Socket addresses as bytes of C and as the tuples of the socket module."""

import os
import socket
import struct
from typing import Any, Tuple, Union

from .constants import SSL_ERR_INVALID
from .errors import make

# ("1.2.3.4", port), ("::1", port, flowinfo, scope), an AF_UNIX path or b"\0name".
Address = Union[Tuple[str, int], Tuple[str, int, int, int], str, bytes]

# sa_family_t
FAMILY = struct.Struct("=H")
SPACE = 128


def from_native(raw: bytes) -> Address:
    """The address as the socket module has it."""
    if len(raw) < FAMILY.size:
        return ""
    (family,) = FAMILY.unpack_from(raw)
    if family == socket.AF_INET:
        (port,) = struct.unpack_from("!H", raw, 2)
        return socket.inet_ntop(socket.AF_INET, raw[4:8]), port
    if family == socket.AF_INET6:
        port, flow = struct.unpack_from("!HI", raw, 2)
        (scope,) = struct.unpack_from("=I", raw, 24)
        return socket.inet_ntop(socket.AF_INET6, raw[8:24]), port, flow, scope
    path = raw[FAMILY.size :]
    if path.startswith(b"\0"):
        return path
    return os.fsdecode(path.split(b"\0", 1)[0])


def to_native(family: int, address: Any) -> bytes:
    """The bytes of an address for `family`; a host name is looked up, which may take a while."""
    if family == socket.AF_UNIX:
        path = address if isinstance(address, bytes) else os.fsencode(address)
        if len(path) > 107:
            raise make(SSL_ERR_INVALID, f"an AF_UNIX path has at most 107 bytes, this one has {len(path)}")
        return FAMILY.pack(family) + path + (b"" if path.startswith(b"\0") else b"\0")
    host, port, *more = address
    found = socket.getaddrinfo(host, port, family, socket.SOCK_STREAM)[0][4]
    if family == socket.AF_INET:
        return FAMILY.pack(family) + struct.pack("!H", found[1]) + socket.inet_pton(family, str(found[0])) + bytes(8)
    name = str(found[0]).split("%")[0]
    flow = more[0] if more else 0
    scope = more[1] if len(more) > 1 else (found[3] if len(found) > 3 else 0)
    return (
        FAMILY.pack(family) + struct.pack("!HI", found[1], flow) + socket.inet_pton(family, name) + struct.pack("=I", scope)
    )
