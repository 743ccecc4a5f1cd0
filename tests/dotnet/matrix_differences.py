"""What a .NET program sees differently after an upgrade, and why: everything else has to be the same.

matrix.py compares each call in clear and upgraded, in the same run. What is declared here has to be seen, or the
declaration is stale and the run fails.
"""

import dataclasses

BOTH = ("mono", "coreclr")


@dataclasses.dataclass(frozen=True)
class Difference:
    feature: str
    label: str
    in_clear: str
    upgraded: str
    why: str
    runtimes: tuple = BOTH


PAIR = "it is the inner pair's; SslHelper.{} is the connection's"

DECLARED = [
    Difference(
        "RemoteEndPoint, LocalEndPoint",
        "RemoteEndPoint is the peer's",
        "True",
        "False",
        f"{PAIR.format('RemoteEndPoint')} (CoreCLR remembers the right one)",
        ("mono",),
    ),
    Difference(
        "RemoteEndPoint, LocalEndPoint",
        "LocalEndPoint is in 127.0.0.x",
        "True",
        "False",
        PAIR.format("LocalEndPoint"),
    ),
    Difference(
        "RemoteEndPoint, LocalEndPoint asked for before",
        "RemoteEndPoint is the same",
        "True",
        "False",
        f"{PAIR.format('RemoteEndPoint')} (CoreCLR remembers the right one)",
        ("mono",),
    ),
    Difference(
        "RemoteEndPoint, LocalEndPoint asked for before",
        "LocalEndPoint is the same",
        "True",
        "False",
        PAIR.format("LocalEndPoint"),
    ),
    Difference(
        "NoDelay never set",
        "NoDelay",
        "False",
        "True",
        "both sides of the inner pair are without delay, as is the real connection",
    ),
    Difference(
        "the peer ends TCP alone",
        "Receive",
        "0",
        "SocketException ConnectionReset",
        "the peer has not said that it is done: somebody else may have cut the connection",
    ),
]
