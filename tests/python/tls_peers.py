"""Peers in this process: TLS by OpenSSL through Python's ssl, on threads of their own."""

import contextlib
import pathlib
import queue
import re
import socket
import ssl
import subprocess
import threading

import listening
import peer
import support

import sslsock


def pki(name):
    """The path of a file of the tests' authority."""
    return str(pathlib.Path(support.peers()["SSLSOCK_PKI"], name))


def der(path):
    """The first certificate of a file in PEM."""
    begin = "-----BEGIN CERTIFICATE-----"
    text = pathlib.Path(path).read_text()
    text = text[text.index(begin) :]
    return ssl.PEM_cert_to_DER_cert(text[: text.index("-----END") + 25] + "\n")


class Seen:
    """What a peer saw of one connection."""

    error = None
    version = reused = certificate = alpn = name = data = None


class Server:
    """Answers "x" to each byte, until the client's end; `seen()` gives what it saw of the connections, in order of their
    ends. `begin`, if given, is waited for before each handshake; `arrived` is set when a ClientHello is there."""

    def __init__(self, chain="server-chain.pem", key="server.key", folder=None, authority=None, demand=True, begin=None, **what):
        folder = pathlib.Path(folder or support.peers()["SSLSOCK_PKI"])
        self.context = peer.server_context(folder, chain, key)
        if authority:
            self.context.load_verify_locations(authority)
            self.context.verify_mode = ssl.CERT_REQUIRED if demand else ssl.CERT_OPTIONAL
        if what.get("version"):
            self.context.minimum_version = self.context.maximum_version = what["version"]
        if what.get("alpn"):
            self.context.set_alpn_protocols(what["alpn"])
        if "tickets" in what:
            self.context.num_tickets = what["tickets"]
        self.begin, self.arrived, self._seen = begin, threading.Event(), queue.Queue()
        self.names = {}
        self.context.sni_callback = lambda tls, name, context: self.names.update({id(tls): name})
        host, port = listening.listen(socket.AF_INET, ("127.0.0.2", 0), self._serve, (), support.SECONDS).split(":")
        self.address = host, int(port)

    def seen(self):
        return self._seen.get(timeout=support.SECONDS)

    def connect(self):
        return socket.create_connection(self.address, support.SECONDS)

    def upgraded(self, host="localhost", kind=sslsock.SslHelper, exchange=True, **options):
        """A connection under TLS and its helper, after an exchange, with which tickets have come."""
        sock = self.connect()
        try:
            options.setdefault("trust_file", support.authority())
            helper = kind(sock, host, **options)
            if exchange:
                sock.sendall(b"y")
                assert sock.recv(1) == b"x"
        except BaseException:
            sock.close()
            raise
        return sock, helper

    def _serve(self, connection):
        seen = Seen()
        try:
            if connection.recv(1, socket.MSG_PEEK):
                self.arrived.set()
            if self.begin is not None:
                self.begin.wait(support.SECONDS)
            with self.context.wrap_socket(connection, server_side=True) as tls:
                seen.version, seen.reused = tls.version(), tls.session_reused
                seen.certificate, seen.alpn = tls.getpeercert(True), tls.selected_alpn_protocol()
                seen.name = self.names.pop(id(tls), None)
                seen.data = b""
                while True:
                    data = tls.recv(1000)
                    if not data:
                        break
                    seen.data += data
                    tls.sendall(b"x" * len(data))
                with contextlib.suppress(OSError):
                    tls.unwrap()
        except (OSError, ValueError) as error:
            seen.error = error
        self._seen.put(seen)


class NamingServer:
    """`openssl s_server`, which names the authorities that it accepts, as Python's ssl cannot. `subject()` is that of the
    certificate that it has been shown by its one client."""

    def __init__(self, authority):
        command = ["openssl", "s_server", "-accept", "127.0.0.2:0", "-naccept", "1", "-cert", pki("server.pem"), "-key",
                   pki("server.key"), "-cert_chain", pki("server-chain.pem"), "-CAfile", authority, "-Verify", "2"]  # fmt: skip
        pipe = subprocess.PIPE
        self.process = subprocess.Popen(command, stdin=pipe, stdout=pipe, stderr=subprocess.STDOUT, universal_newlines=True)
        self.address = "127.0.0.2", int(self._line(r"ACCEPT .*:(\d+)")[1])

    def subject(self):
        found = self._line(r"subject=(.*)")[1].replace(" ", "")
        self.process.communicate("Q\n", timeout=support.SECONDS)
        return found

    def _line(self, pattern):
        for line in self.process.stdout:
            found = re.match(pattern, line)
            if found:
                return found
        raise AssertionError("openssl s_server has ended")


class Client:
    """One connection to a server of this library: `sock` is the server's end, in clear, and the client speaks TLS on a
    thread. `result()` gives what it saw; it sends "y" and reads the answer."""

    def __init__(self, name="localhost", chain=None, session=None, context=None, **what):
        self.context = context or self.new_context(chain, **what)
        self._result = queue.Queue()
        with socket.create_server(("127.0.0.2", 0)) as listener:
            sock = socket.create_connection(listener.getsockname(), support.SECONDS)
            self.sock, _ = listener.accept()
        self.sock.settimeout(support.SECONDS)
        self.session = None
        self.thread = threading.Thread(target=self._talk, args=(sock, name, session), daemon=True)
        self.thread.start()

    @staticmethod
    def new_context(chain=None, alpn=(), version=None):
        context = ssl.create_default_context(cafile=support.authority())
        if chain:
            context.load_cert_chain(*chain)
        if alpn:
            context.set_alpn_protocols(list(alpn))
        if version:
            context.minimum_version = context.maximum_version = version
        return context

    def _talk(self, sock, name, session):
        seen = Seen()
        try:
            with self.context.wrap_socket(sock, server_hostname=name, session=session) as tls:
                seen.version, seen.reused = tls.version(), tls.session_reused
                seen.certificate, seen.alpn = tls.getpeercert(True), tls.selected_alpn_protocol()
                tls.sendall(b"y")
                seen.data = tls.recv(1)
                self.session = tls.session
        except (OSError, ValueError) as error:
            seen.error = error
            sock.close()
        self._result.put(seen)

    def result(self):
        return self._result.get(timeout=support.SECONDS)

    def served(self, kind=sslsock.SslHelper, **options):
        """The helper of the server's end after an exchange, and what the client saw."""
        try:
            helper = kind(self.sock, server=True, **options)
            assert self.sock.recv(1) == b"y"
            self.sock.sendall(b"x")
            return helper, self.result()
        except BaseException:
            self.sock.close()
            raise

    def close(self):
        self.sock.close()
