#!/usr/bin/env python3
"""A Python program that sends a mebibyte and is gone, as c-tests/ending.c: plain sendall on an upgraded socket.

    ending.py LIBRARY HOW BYTES [FLAGS]   HOW is "return" (off the end of the script), "exit" (sys.exit in the middle) or
                                          "thread" (while another thread is blocked)
"""

import ctypes
import os
import socket
import sys
import threading

PERIOD = 251
DEFER = 0x8


def upgrade(library, connection, flags):
    ssl = ctypes.CDLL(library)
    ssl.ssl_socket_new.argtypes = [ctypes.c_int32]
    ssl.ssl_socket_new.restype = ctypes.c_void_p
    ssl.ssl_set_flags.argtypes = [ctypes.c_void_p, ctypes.c_uint32]
    ssl.ssl_add_trust_file.argtypes = [ctypes.c_void_p, ctypes.c_char_p]
    ssl.ssl_perform_handshake.argtypes = [ctypes.c_void_p, ctypes.c_char_p]
    ssl.ssl_socket_free.argtypes = [ctypes.c_void_p]
    handle = ssl.ssl_socket_new(connection.fileno())
    for done in (
        ssl.ssl_set_flags(handle, DEFER | flags),
        ssl.ssl_add_trust_file(handle, os.path.join(os.environ["SSLSOCK_PKI"], "ca.pem").encode()),
        ssl.ssl_perform_handshake(handle, b"localhost"),
        ssl.ssl_socket_free(handle),
    ):
        if done:
            sys.exit(f"the library answers {done}")


library, how, size = sys.argv[1], sys.argv[2], int(sys.argv[3])
host, _, port = os.environ["SSLSOCK_PEER"].rpartition(":")
connection = socket.create_connection((host, int(port)))
upgrade(library, connection, int(sys.argv[4], 0) if len(sys.argv) > 4 else 0)
if how == "thread":
    threading.Thread(target=threading.Event().wait, daemon=True).start()
print("ready", flush=True)
sys.stdin.readline()
connection.sendall((bytes(range(PERIOD)) * (size // PERIOD + 1))[:size])
if how == "exit":
    sys.exit()
