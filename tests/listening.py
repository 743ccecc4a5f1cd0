"""Listening sockets of the tests' peers: a thread for each connection."""

import os
import socket
import threading


def listen(family, address, serve, expected, seconds=None):
    """Serves each connection, with a time limit if one is given. What is `expected` to go wrong is passed over, for
    the client sees it. Returns the address as the tests' programs take it."""
    listener = socket.socket(family, socket.SOCK_STREAM)
    listener.bind(address)
    listener.listen(128)
    threading.Thread(target=_accept, args=(listener, serve, expected, seconds), daemon=True).start()
    bound = listener.getsockname()
    return bound if isinstance(bound, str) else f"{bound[0]}:{bound[1]}"


def everywhere(variable, path, serve, expected, seconds=None):
    """Listens on IPv4, on an AF_UNIX socket at `path`, and on IPv6 where there is that: the variables that say where.

    Without the one for IPv6 the tests over it are skipped.
    """
    variables = {
        variable: listen(socket.AF_INET, ("127.0.0.2", 0), serve, expected, seconds),
        f"{variable}_UNIX": listen(socket.AF_UNIX, os.fspath(path), serve, expected, seconds),
    }
    try:
        variables[f"{variable}6"] = listen(socket.AF_INET6, ("::1", 0), serve, expected, seconds)
    except OSError:
        pass
    return variables


def _accept(listener, serve, expected, seconds):
    while True:
        connection, _ = listener.accept()
        connection.settimeout(seconds)
        threading.Thread(target=_guard, args=(connection, serve, expected), daemon=True).start()


def _guard(connection, serve, expected):
    with connection:
        try:
            serve(connection)
        except expected:
            pass
