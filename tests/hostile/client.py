"""The library as a client of the hostile peers, through its C ABI."""

import ctypes
import errno
import pathlib
import socket
import sys

ROOT = pathlib.Path(__file__).resolve().parents[2]
ctypes.CDLL(str(ROOT / "build" / "lib" / "libsslsock.so.0"))
sys.path.insert(0, str(ROOT / "bindings" / "python" / "src"))

from sslsock import _native  # noqa: E402
from sslsock import constants  # noqa: E402

lib = _native.lib
HOOK = ctypes.CFUNCTYPE(ctypes.c_int32, ctypes.c_uint32)
HANDSHAKE_MS = 20_000


class Outcome:
    """What one conversation came to."""

    def __init__(self, handle, code, hook_calls, received=b"", failed=0):
        self.code, self.hook_calls, self.received, self.failed = code, hook_calls, received, failed
        info = _native.ErrorInfo(size=ctypes.sizeof(_native.ErrorInfo))
        report = _native.VerifyReport(size=ctypes.sizeof(_native.VerifyReport))
        lib.ssl_get_error_info(handle, ctypes.byref(info))
        seen = lib.ssl_get_verify_report(handle, ctypes.byref(report)) == 0
        # The handle's own error: what ended the connection, also after a successful handshake.
        self.error, self.alert, self.text = info.code, info.tls_alert, error_text(handle)
        self.causes, self.verdict = (report.causes, report.verdict) if seen else (0, 0)

    def __str__(self):
        return (
            f"code {self.code}, error {self.error}, causes {self.causes:#x}, verdict {self.verdict}, hook called "
            f"{self.hook_calls} times, received {len(self.received)} bytes, errno {self.failed}: {self.text}"
        )


def error_text(handle):
    text, length = ctypes.create_string_buffer(65536), ctypes.c_size_t()
    return text.value.decode() if lib.ssl_get_error_text(handle, text, len(text), ctypes.byref(length)) == 0 else ""


def converse(address, trust, name=b"mail.test", flags=0, answer=None, talk=None):
    """Connects, makes the handshake and reads to the end. `answer`: that of a hook, None: there is none. `talk`: what
    is sent first."""
    calls = []

    def called(_):
        calls.append(True)
        return answer

    hook = HOOK(called)
    with socket.create_connection(address, 30) as connection:
        # The library waits as long as its own limits say.
        connection.settimeout(None)
        handle = lib.ssl_socket_new(connection.fileno())
        try:
            must(lib.ssl_set_flags(handle, flags))
            must(lib.ssl_set_timeout(handle, constants.SSL_TIMEOUT_HANDSHAKE, HANDSHAKE_MS))
            must(lib.ssl_add_trust_file(handle, trust.encode()))
            if answer is not None:
                must(lib.ssl_set_validate_cert_hook(handle, ctypes.cast(hook, ctypes.c_void_p), None))
            code = lib.ssl_perform_handshake(handle, name)
            if code:
                outcome = Outcome(handle, code, len(calls))
                sent = lib.ssl_send(handle, b"password", 8, 0)
                assert sent == -1, "something could be sent after a failed handshake"
                return outcome
            received, failed = exchange(handle, talk)
            return Outcome(handle, code, len(calls), received, failed)
        finally:
            lib.ssl_socket_free(handle)


def exchange(handle, talk):
    if talk:
        lib.ssl_send(handle, talk, len(talk), 0)
    received, buffer = b"", ctypes.create_string_buffer(65536)
    while True:
        count = lib.ssl_recv(handle, buffer, len(buffer), 0)
        if count == -1 and ctypes.get_errno() == errno.EINTR:
            continue
        if count <= 0:
            return received, ctypes.get_errno() if count else 0
        received += buffer.raw[:count]


def must(code):
    if code:
        raise AssertionError(f"{lib.ssl_error_name(code).decode()}: {error_text(None)}")
