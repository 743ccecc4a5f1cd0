"""The settings that handles made later start with."""

from typing import Any, Optional, Union

from . import registry
from ._native import lib
from .constants import SSL_TIMEOUT_HANDSHAKE
from .errors import last_error
from .hooks import AuthRequestHook, SharedSigner, ValidateCertHook
from .identity import Data, SignHook
from .settings import Settings, contents_of


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
        registry.defaults().hook = None if hook is None else (hook, arg)

    def set_auth_request_hook(self, hook: Optional[AuthRequestHook]) -> None:
        """Sets the hook that chooses a client certificate for all sockets that this package makes from now on; see
        SslSocket.set_auth_request_hook. It may be called on several threads at once. None clears it."""
        registry.defaults().auth_request_hook = hook

    def set_identity_signer(self, chain: Union[str, Data], sign: SignHook) -> None:
        """As for a socket, for all that are made from now on. The function may be called on several threads at once, and
        what it raises is not the `__cause__` of an error."""
        made = SharedSigner(sign)
        self._set_signer(contents_of(chain), made)
        # For good: sockets that are there go on using it.
        registry.keep_for_good(made)

    def set_timeout(self, which: int, seconds: Optional[float]) -> None:
        super().set_timeout(which, seconds)
        if which == SSL_TIMEOUT_HANDSHAKE:
            registry.defaults().limit = seconds



defaults = Defaults()
