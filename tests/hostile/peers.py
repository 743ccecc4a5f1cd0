"""The hostile servers: OpenSSL (Python's ssl), GnuTLS (gnutls-serv), tlslite-ng."""

import contextlib
import pathlib
import re
import select
import socket
import ssl
import subprocess
import sys
import threading
import warnings

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))

import listening  # noqa: E402

SECONDS = 30
ATTEMPTS = 10
GREETING = b"hello"
# What the client sees of a peer that it has refused.
EXPECTED = (OSError, ValueError)


def address(listening_on):
    host, _, port = listening_on.rpartition(":")
    return host, int(port)


def openssl(chain, key, version, demands=None):
    """A server that greets, then ends as TLS does."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    # Weak keys and old versions are what the client is to see.
    context.set_ciphers("DEFAULT:@SECLEVEL=0")
    context.load_cert_chain(chain, key)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        context.minimum_version = context.maximum_version = version
    if demands:
        context.verify_mode = ssl.CERT_REQUIRED
        context.load_verify_locations(demands)

    def serve(connection):
        with context.wrap_socket(connection, server_side=True) as session:
            session.sendall(GREETING)
            with contextlib.suppress(OSError):
                session.unwrap()

    return address(listening.listen(socket.AF_INET, ("127.0.0.2", 0), serve, EXPECTED, SECONDS))


@contextlib.contextmanager
def gnutls(chain, key, priority="NORMAL"):
    """gnutls-serv, which answers a request by a page of its own."""
    process, port = next(filter(None, (start_gnutls(chain, key, priority) for _ in range(ATTEMPTS))))
    try:
        threading.Thread(target=process.stdout.read, daemon=True).start()
        yield "127.0.0.1", port
    finally:
        process.kill()
        process.wait()


def start_gnutls(chain, key, priority):
    """None if somebody else was faster to take the port, for it cannot choose one by itself."""
    port = free_port()
    command = [
        "gnutls-serv", "--port", str(port), "--x509certfile", chain, "--x509keyfile", key, "--priority", priority,
        "--disable-client-cert", "--http",
    ]  # fmt: skip
    process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    said = ""
    while not re.search(r"listening on IPv4.*done", said):
        ready, _, _ = select.select([process.stdout], [], [], SECONDS)
        line = process.stdout.readline() if ready else ""
        said += line
        if not line or "Address already in use" in line:
            process.kill()
            process.wait()
            if "Address already in use" in said:
                return None
            raise AssertionError(f"gnutls-serv did not start: {said}")
    return process, port


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def scripted(serve):
    """Whatever `serve` does with the connection."""
    return address(listening.listen(socket.AF_INET, ("127.0.0.2", 0), serve, EXPECTED, SECONDS))
