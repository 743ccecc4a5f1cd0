"""The settings that handles made later start with."""

from typing import Any, Optional

from . import registry
from ._native import lib
from .errors import last_error
from .hooks import ValidateCertHook
from .session import Settings


class Defaults(Settings):
    """The handle of ssl_defaults(): what is set here, sockets made later start with. `sslsock.defaults` is the one.

    It lives as long as the process; a forked child starts with the same settings.
    """

    @property
    def _handle(self) -> int:  # type: ignore[override]
        # Another one in a forked child.
        handle = lib.ssl_defaults()
        if not handle:
            raise last_error(lib.ssl_get_error(None))
        return int(handle)

    def set_validate_cert_hook(self, hook: Optional[ValidateCertHook], arg: Any = None) -> None:
        """Sets the certificate hook of all sockets that this package makes from now on; see
        SslSocket.set_validate_cert_hook. It may be called on several threads at once. None clears it."""
        registry.set_defaults_hook(None if hook is None else (hook, arg))


defaults = Defaults()
