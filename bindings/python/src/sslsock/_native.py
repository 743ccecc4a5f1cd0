"""The shared library: where it is, what its functions take, what its structures look like."""

import ctypes
import os
from ctypes import POINTER, c_char, c_char_p, c_int32, c_int64, c_size_t, c_ssize_t, c_uint8, c_uint16, c_uint32, c_void_p
from typing import Any, Dict, List, Tuple

from .constants import SSL_ABI_VERSION

NAME = "libsslsock.so.0"


class Blob(ctypes.Structure):
    """ssl_blob"""

    _fields_ = [("cbSize", c_uint32), ("pBlobData", POINTER(c_uint8))]


class SessionInfo(ctypes.Structure):
    """ssl_session_info"""

    _fields_ = [
        ("size", c_uint32),
        ("datapath", c_uint32),
        ("protocol", c_uint16),
        ("suite", c_uint16),
        ("group", c_uint16),
        ("resumed", c_uint8),
        ("alpn_len", c_uint8),
        ("alpn", c_uint8 * 256),
        ("protocol_name", c_char * 16),
        ("suite_name", c_char * 64),
        ("group_name", c_char * 32),
    ]


class VerifyReport(ctypes.Structure):
    """ssl_verify_report"""

    _fields_ = [
        ("size", c_uint32),
        ("verdict", c_uint32),
        ("causes", c_uint32),
        ("chain_len", c_uint32),
        ("not_before", c_int64),
        ("not_after", c_int64),
        ("spki_sha256", c_uint8 * 32),
    ]


class ErrorInfo(ctypes.Structure):
    """ssl_error_info"""

    _fields_ = [
        ("size", c_uint32),
        ("code", c_int32),
        ("category", c_uint32),
        ("sys_errno", c_int32),
        ("tls_alert", c_int32),
        ("from_hook", c_uint32),
    ]


# The structures under their names in C.
STRUCTURES = {
    "ssl_blob": Blob,
    "ssl_session_info": SessionInfo,
    "ssl_verify_report": VerifyReport,
    "ssl_error_info": ErrorInfo,
}

# ssl_validate_cert_fn, of which only the first argument is taken: see hooks.py. That a function has more arguments than
# it looks at does no harm in the calling conventions of Linux.
ValidateCert = ctypes.CFUNCTYPE(c_int32, c_uint32)
# The types of all arguments of ssl_signature_fn and ssl_auth_request_fn, pointers as numbers: see calls.py.
SIGNATURE_ARGUMENTS = (c_uint32, c_size_t, c_size_t, c_uint32, c_uint32, c_size_t, c_size_t)
AUTH_REQUEST_ARGUMENTS = (c_uint32, c_size_t, c_uint32, c_size_t, c_uint32, c_size_t, c_size_t)
Log = ctypes.CFUNCTYPE(None, c_void_p, c_uint32, c_char_p)

_Prototype = Tuple[Any, List[Any]]

# What each function answers and takes. A handle is a void *.
PROTOTYPES: Dict[str, _Prototype] = {
    "ssl_socket_new": (c_void_p, [c_int32]),
    "ssl_socket_from_fd": (c_int32, [c_int32, POINTER(c_void_p)]),
    "ssl_defaults": (c_void_p, []),
    "ssl_settings_new": (c_void_p, []),
    "ssl_socket_free": (c_int32, [c_void_p]),
    "ssl_set_flags": (c_int32, [c_void_p, c_uint32]),
    "ssl_get_flags": (c_int32, [c_void_p, POINTER(c_uint32)]),
    "ssl_set_validate_cert_hook": (c_int32, [c_void_p, c_void_p, c_void_p]),
    "ssl_set_peername": (c_int32, [c_void_p, c_char_p]),
    "ssl_set_timeout": (c_int32, [c_void_p, c_uint32, c_uint32]),
    "ssl_set_alpn": (c_int32, [c_void_p, c_char_p, c_size_t]),
    "ssl_set_protocols": (c_int32, [c_void_p, c_uint16, c_uint16]),
    "ssl_set_key_log_file": (c_int32, [c_void_p, c_char_p]),
    "ssl_set_session_from": (c_int32, [c_void_p, c_void_p]),
    "ssl_add_trust_file": (c_int32, [c_void_p, c_char_p]),
    "ssl_add_trust_pem": (c_int32, [c_void_p, c_char_p, c_size_t]),
    "ssl_use_system_trust": (c_int32, [c_void_p]),
    "ssl_add_trust_dir": (c_int32, [c_void_p, c_char_p]),
    "ssl_add_pin": (c_int32, [c_void_p, c_char_p]),
    "ssl_add_crl_file": (c_int32, [c_void_p, c_char_p]),
    "ssl_add_crl_pem": (c_int32, [c_void_p, c_char_p, c_size_t]),
    "ssl_verify_chain": (c_int32, [c_void_p, POINTER(Blob), c_uint32, c_char_p, c_int64, POINTER(VerifyReport)]),
    "ssl_set_identity_pem": (c_int32, [c_void_p, c_char_p, c_size_t, c_char_p, c_size_t]),
    "ssl_set_identity_file": (c_int32, [c_void_p, c_char_p, c_char_p]),
    "ssl_set_identity_signer": (c_int32, [c_void_p, c_char_p, c_size_t, c_void_p, c_void_p]),
    "ssl_add_identity_pem": (c_int32, [c_void_p, c_char_p, c_size_t, c_char_p, c_size_t]),
    "ssl_add_identity_file": (c_int32, [c_void_p, c_char_p, c_char_p]),
    "ssl_set_auth_request_hook": (c_int32, [c_void_p, c_void_p, c_void_p]),
    "ssl_perform_handshake": (c_int32, [c_void_p, c_char_p]),
    "ssl_complete_validation": (c_int32, [c_void_p, c_int32]),
    "ssl_cancel_handshake": (c_int32, [c_void_p]),
    "ssl_connect": (c_int32, [c_void_p, c_char_p, c_uint32]),
    "ssl_send": (c_ssize_t, [c_void_p, c_void_p, c_size_t, c_int32]),
    "ssl_recv": (c_ssize_t, [c_void_p, c_void_p, c_size_t, c_int32]),
    "ssl_pending": (c_int32, [c_void_p, POINTER(c_size_t)]),
    "ssl_shutdown": (c_int32, [c_void_p, c_int32]),
    "ssl_get_transport_fd": (c_int32, [c_void_p, POINTER(c_int32)]),
    "ssl_get_address": (c_int32, [c_void_p, c_uint32, c_void_p, POINTER(c_uint32)]),
    "ssl_get_session_info": (c_int32, [c_void_p, POINTER(SessionInfo)]),
    "ssl_get_server_name": (c_int32, [c_void_p, c_void_p, c_size_t, POINTER(c_size_t)]),
    "ssl_get_peer_certificate": (c_int32, [c_void_p, c_uint32, c_void_p, c_size_t, POINTER(c_size_t)]),
    "ssl_get_verify_report": (c_int32, [c_void_p, POINTER(VerifyReport)]),
    "ssl_get_verify_text": (c_int32, [c_void_p, c_uint32, c_uint32, c_void_p, c_size_t, POINTER(c_size_t)]),
    "ssl_get_error": (c_int32, [c_void_p]),
    "ssl_get_error_text": (c_int32, [c_void_p, c_void_p, c_size_t, POINTER(c_size_t)]),
    "ssl_get_error_info": (c_int32, [c_void_p, POINTER(ErrorInfo)]),
    "ssl_error_name": (c_char_p, [c_int32]),
    "ssl_error_category": (c_uint32, [c_int32]),
    "ssl_ioctl": (c_int32, [c_void_p, c_uint32, c_char_p, c_uint32, c_void_p, c_uint32, POINTER(c_uint32)]),
    "ssl_wce_secure": (c_int32, [c_int32, POINTER(c_void_p)]),
    "ssl_wce_hold": (c_int32, [c_void_p, c_int32]),
    "ssl_flush_all": (c_int32, [c_uint32, POINTER(c_uint32)]),
    "ssl_set_relay_threads": (c_int32, [c_uint32]),
    "ssl_set_log_callback": (c_int32, [c_uint32, c_void_p, c_void_p]),
    "ssl_version": (c_char_p, []),
    "ssl_abi_version": (c_uint32, []),
}


def load() -> ctypes.CDLL:
    """The library beside this package, else the one that the loader finds. Every call lets other threads run."""
    beside = os.path.join(os.path.dirname(os.path.abspath(__file__)), NAME)
    path = beside if os.path.exists(beside) else NAME
    try:
        library = ctypes.CDLL(path, use_errno=True)
    except OSError as error:
        raise ImportError(
            f"sslsock needs the shared library {NAME} and cannot load it ({error}): install the library, put it beside "
            f"the package in {os.path.dirname(beside)}, or name its folder in LD_LIBRARY_PATH",
            name="sslsock",
            path=path,
        ) from error
    check_version(library, path)
    for name, (answer, arguments) in PROTOTYPES.items():
        declare(library, name, answer, arguments)
    return library


def check_version(library: Any, path: str) -> None:
    """ImportError if the library has another ABI than this package."""
    try:
        library.ssl_abi_version.restype = c_uint32
        found = int(library.ssl_abi_version())
    except AttributeError as error:
        raise ImportError(f"{path} is no sslsock library", name="sslsock", path=path) from error
    if found >> 16 != SSL_ABI_VERSION >> 16 or found < SSL_ABI_VERSION:
        raise ImportError(
            f"{path} has version {found >> 16}.{found & 0xFFFF} of the ABI, this package needs "
            f"{SSL_ABI_VERSION >> 16}.{SSL_ABI_VERSION & 0xFFFF} or a later {SSL_ABI_VERSION >> 16}.x: install the package and "
            "the library of one release",
            name="sslsock",
            path=path,
        )


def declare(library: Any, name: str, answer: Any, arguments: List[Any]) -> None:
    function = getattr(library, name)
    function.restype = answer
    function.argtypes = arguments


lib: Any = load()
