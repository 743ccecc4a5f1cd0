#!/usr/bin/env python3
"""Chains of certificates, right and wrong: what the library says of each beside what OpenSSL says, and the same verdict
in a handshake.

Where the two differ, the row says why. A difference that no row has is a failure, and so is one that has gone.
"""

import ctypes
import os
import pathlib
import re
import socket
import ssl
import subprocess
import sys
import tempfile
import threading
import unittest

ROOT = pathlib.Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "tests" / "servers"))

import harness  # noqa: E402
from certificates import Maker, moment  # noqa: E402
from chain_table import HOST, ISSUER, PIN, WEAK, rows  # noqa: E402

BUILD = pathlib.Path(os.environ.get("SSLSOCK_BUILD") or ROOT / "build").absolute()
LIBRARY = ctypes.CDLL(os.fspath(BUILD / "lib" / "libsslsock.so.0"))
SERVER, AUTH_CLIENT, EXPLICIT_IO, STRICT, NO_RESUMPTION = 0x2, 0x4, 0x10000, 0x40000, 0x400000
TIME_NOW = -(1 << 63)
SECONDS = 20


class Blob(ctypes.Structure):
    _fields_ = [("size", ctypes.c_uint32), ("data", ctypes.c_char_p)]


class Report(ctypes.Structure):
    _fields_ = [
        ("size", ctypes.c_uint32), ("verdict", ctypes.c_uint32), ("causes", ctypes.c_uint32),
        ("chain_len", ctypes.c_uint32), ("not_before", ctypes.c_int64), ("not_after", ctypes.c_int64),
        ("spki_sha256", ctypes.c_uint8 * 32),
    ]  # fmt: skip

    def __init__(self):
        super().__init__(size=ctypes.sizeof(Report))


Hook = ctypes.CFUNCTYPE(
    ctypes.c_int32, ctypes.c_uint32, ctypes.c_void_p, ctypes.c_uint32, ctypes.c_void_p, ctypes.c_uint32
)
LIBRARY.ssl_settings_new.restype = LIBRARY.ssl_socket_new.restype = ctypes.c_void_p
LIBRARY.ssl_verify_chain.argtypes = [
    ctypes.c_void_p, ctypes.POINTER(Blob), ctypes.c_uint32, ctypes.c_char_p, ctypes.c_int64, ctypes.POINTER(Report),
]  # fmt: skip


class Handle:
    """A handle of the library, for a descriptor or for settings alone."""

    def __init__(self, descriptor=None):
        made = LIBRARY.ssl_settings_new() if descriptor is None else LIBRARY.ssl_socket_new(descriptor)
        self.value = ctypes.c_void_p(made)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        LIBRARY.ssl_socket_free(self.value)

    def __call__(self, function, *arguments):
        return getattr(LIBRARY, function)(self.value, *arguments)

    def must(self, function, *arguments):
        code = self(function, *arguments)
        if code != 0:
            raise RuntimeError(f"{function}: {code} {text()}")

    def verify(self, chain, host, time=TIME_NOW):
        blobs = (Blob * len(chain))(*(Blob(len(der), der) for der in chain))
        report = Report()
        return self("ssl_verify_chain", blobs, len(chain), host and host.encode(), time, ctypes.byref(report)), report

    def report(self):
        report = Report()
        self.must("ssl_get_verify_report", ctypes.byref(report))
        return report


def text():
    """This thread's last error."""
    buffer, length = ctypes.create_string_buffer(8192), ctypes.c_size_t()
    LIBRARY.ssl_get_error_text(None, buffer, ctypes.c_size_t(len(buffer)), ctypes.byref(length))
    return buffer.value.decode()


FOLDER = tempfile.TemporaryDirectory(prefix="sslsock-chains-")
MAKE = Maker(FOLDER.name)


def settings(handle, row):
    handle.must("ssl_add_trust_file", os.fsencode(MAKE.file(row.trust)))
    if row.lists:
        handle.must("ssl_add_crl_file", os.fsencode(MAKE.file(row.lists)))


def openssl(row):
    """Whether OpenSSL verifies it, and what it says."""
    command = ["openssl", "verify", "-auth_level", "2", "-no-CApath", "-no-CAstore", "-CAfile", MAKE.file(row.trust)]
    command += ["-purpose", "sslclient" if row.client else "sslserver"]
    if row.at is not None:
        command += ["-attime", str(int(moment(row.at).timestamp()))]
    if len(row.chain) > 1:
        command += ["-untrusted", MAKE.file(row.chain[1:])]
    if row.lists:
        command += [row.check, "-CRLfile", MAKE.file(row.lists)]
    if row.host:
        kind = "-verify_ip" if row.host[0].isdigit() else "-verify_hostname"
        command += [kind, row.host]
    done = subprocess.run([*command, row.chain[0].path], capture_output=True, text=True, timeout=60)
    return done.returncode == 0, done.stdout + done.stderr


def context(role, chain=None):
    made = ssl.SSLContext(role)
    made.check_hostname, made.verify_mode = False, ssl.CERT_NONE
    # Weak keys and signatures are what the tests are about.
    made.set_ciphers("ALL:@SECLEVEL=0")
    if chain:
        made.load_cert_chain(MAKE.file(chain), chain[0].key)
    return made


class Peer:
    """OpenSSL at the other end of a connection, on a thread of its own. `number` is the library's end."""

    def __init__(self, made, **more):
        self.made, self.more = made, more
        self.server = made.protocol == ssl.PROTOCOL_TLS_SERVER

    def __enter__(self):
        with socket.create_server(("127.0.0.1", 0)) as listener:
            self.ours = socket.create_connection(listener.getsockname(), timeout=SECONDS)
            self.theirs = listener.accept()[0]
        self.ours.setblocking(True)
        self.theirs.settimeout(SECONDS)
        self.number = self.ours.fileno()
        self.thread = threading.Thread(target=self.talk)
        self.thread.start()
        return self

    def talk(self):
        try:
            with self.made.wrap_socket(self.theirs, server_side=self.server, **self.more) as session:
                session.sendall(b"hello")
                while session.recv(100):
                    pass
        except OSError:
            pass  # Refused: the client sees it.
        finally:
            self.theirs.close()

    def __exit__(self, *_):
        self.ours.close()
        self.thread.join()


class Chains(unittest.TestCase):
    """A test for each row."""

    def check(self, row):
        with Handle() as handle:
            settings(handle, row)
            if row.client:
                handle.must("ssl_set_flags", SERVER)
            time = TIME_NOW if row.at is None else int(moment(row.at).timestamp())
            code, report = handle.verify([certificate.der for certificate in row.chain], row.host, time)
        said = text() if code else "trusted"
        self.assertEqual((report.causes, code), (row.causes, row.code), said)
        self.assertEqual(report.verdict, 2 if row.causes else 1)
        self.assertEqual(report.chain_len, len(row.chain))
        verified, output = openssl(row)
        if row.differs:
            self.assertNotEqual(code == 0, verified, f"no longer differs: {row.differs}\n{said}\n{output}")
        else:
            self.assertEqual(code == 0, verified, f"differs\n{said}\n{output}")
        if row.at is None and not row.unseen and (row.host or row.client):
            (self.check_client if row.client else self.check_server)(row, said)

    def check_server(self, row, said):
        with Peer(context(ssl.PROTOCOL_TLS_SERVER, row.chain)) as peer, Handle(peer.number) as handle:
            settings(handle, row)
            handle.must("ssl_set_flags", EXPLICIT_IO)
            code = handle("ssl_perform_handshake", row.host.encode())
            self.assert_same(handle, row, code, said)

    def check_client(self, row, said):
        with Peer(context(ssl.PROTOCOL_TLS_CLIENT, row.chain)) as peer, Handle(peer.number) as handle:
            settings(handle, row)
            handle.must("ssl_set_flags", EXPLICIT_IO | SERVER | AUTH_CLIENT)
            own = SERVERS_OWN
            handle.must("ssl_set_identity_file", os.fsencode(own.path), os.fsencode(own.key))
            code = handle("ssl_perform_handshake", None)
            self.assert_same(handle, row, code, said)

    def assert_same(self, handle, row, code, said):
        in_handshake = text() if code else "trusted"
        self.assertEqual(code, row.code, in_handshake)
        # Some texts tell the time.
        first, second = (re.sub(r" [(]now [^)]*[)]", "", one) for one in (in_handshake, said))
        self.assertEqual(first, second)
        report = handle.report()
        self.assertEqual((report.causes, report.verdict), (row.causes, 2 if row.causes else 1))


class Pins(unittest.TestCase):
    """Against OpenSSL, with TLS 1.2 and 1.3."""

    @classmethod
    def setUpClass(cls):
        cls.root = MAKE.authority("Pins")
        cls.leaf, cls.next = MAKE.leaf(cls.root), MAKE.leaf(cls.root)
        cls.unknown = MAKE.leaf(None)

    def pin(self, certificate):
        key = MAKE.run("x509", "-in", certificate.path, "-noout", "-pubkey")
        path = MAKE.new("pub")
        path.write_text(key)
        der = MAKE.new("der")
        MAKE.run("pkey", "-pubin", "-in", path, "-outform", "DER", "-out", der)
        return MAKE.run("dgst", "-sha256", "-r", der).split()[0]

    def connect(self, leaf, pins, hook=None, version=None, flags=0, trust=None):
        """The code, the text and the causes."""
        made = context(ssl.PROTOCOL_TLS_SERVER, [leaf])
        if version:
            made.minimum_version = made.maximum_version = version
        with Peer(made) as peer, Handle(peer.number) as handle:
            handle.must("ssl_add_trust_file", os.fsencode((trust or self.root).path))
            handle.must("ssl_set_flags", EXPLICIT_IO | flags)
            for pin in pins:
                handle.must("ssl_add_pin", pin.encode())
            if hook:
                handle.must("ssl_set_validate_cert_hook", hook, None)
            code = handle("ssl_perform_handshake", HOST.encode())
            return code, text() if code else "", handle.report().causes

    def test_the_pinned_key_and_no_other(self):
        for version in (ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3):
            self.assertEqual(self.connect(self.leaf, [self.pin(self.leaf)], version=version), (0, "", 0))
            code, said, causes = self.connect(self.next, [self.pin(self.leaf)], version=version)
            self.assertEqual((code, causes), (142, PIN), said)
            self.assertRegex(said, r"^key of the certificate is not among the pinned ones: it is sha256//\S{44} ")

    def test_a_key_that_comes_after_is_pinned_beforehand(self):
        for pins in ([";".join(map(self.pin, (self.leaf, self.next)))], [self.pin(self.leaf), self.pin(self.next)]):
            for leaf in (self.leaf, self.next):
                self.assertEqual(self.connect(leaf, pins)[0], 0)

    def test_what_the_text_shows_can_be_pinned(self):
        said = self.connect(self.next, [self.pin(self.leaf)])[1]
        actual = next(word for word in said.split() if word.startswith("sha256//"))
        self.assertEqual(self.connect(self.next, [actual]), (0, "", 0))
        self.assertEqual(self.connect(self.next, [self.pin(self.leaf), actual])[0], 0)

    def test_no_hook_accepts_another_key(self):
        asked = []
        hook = Hook(lambda *_: asked.append(1) or 0)
        for version in (ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3):
            for leaf, causes in ((self.next, PIN), (self.unknown, PIN | ISSUER)):
                code, said, found = self.connect(leaf, [self.pin(self.leaf)], hook, version)
                self.assertEqual((code, found), (142, causes), said)
                self.assertTrue(said.endswith("; no certificate hook can accept a key that is not among the pinned "
                                              "ones"), said)  # fmt: skip
        self.assertEqual(len(asked), 4)
        # What else is wrong it can accept, if the key is the pinned one.
        self.assertEqual(self.connect(self.unknown, [self.pin(self.unknown)], hook)[0], 0)

    def test_a_pin_does_not_replace_trust(self):
        code, _, causes = self.connect(self.unknown, [self.pin(self.unknown)])
        self.assertEqual((code, causes), (10, ISSUER))

    def test_a_session_got_without_the_pin_is_not_resumed_under_it(self):
        made = context(ssl.PROTOCOL_TLS_SERVER, [self.next])
        for version in (ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3):
            made.minimum_version, made.maximum_version = ssl.TLSVersion.TLSv1_2, version
            resumed = []
            for pin in (None, None, self.pin(self.leaf), self.pin(self.next), self.pin(self.next)):
                with Peer(made) as peer, Handle(peer.number) as handle:
                    handle.must("ssl_add_trust_file", os.fsencode(self.root.path))
                    handle.must("ssl_set_flags", EXPLICIT_IO)
                    if pin:
                        handle.must("ssl_add_pin", pin.encode())
                    code = handle("ssl_perform_handshake", HOST.encode())
                    buffer = ctypes.create_string_buffer(10)
                    if code == 0:
                        LIBRARY.ssl_recv(handle.value, buffer, ctypes.c_size_t(10), 0)
                    info = (ctypes.c_uint8 * 4096)()
                    ctypes.cast(info, ctypes.POINTER(ctypes.c_uint32))[0] = len(info)
                    if code == 0:
                        handle.must("ssl_get_session_info", info)
                    # size, datapath, protocol, suite, group, then whether it was resumed.
                    resumed.append(code or bool(info[14]))
            self.assertEqual(resumed, [False, True, 142, False, True], version)

    def test_in_the_server_role_clients_are_pinned(self):
        client = MAKE.leaf(self.root, names=None)
        for pinned, expected in ((client, 0), (self.leaf, 142)):
            with Peer(context(ssl.PROTOCOL_TLS_CLIENT, [client])) as peer, Handle(peer.number) as handle:
                handle.must("ssl_add_trust_file", os.fsencode(self.root.path))
                handle.must("ssl_set_flags", EXPLICIT_IO | SERVER | AUTH_CLIENT)
                handle.must("ssl_set_identity_file", os.fsencode(self.leaf.path), os.fsencode(self.leaf.key))
                handle.must("ssl_add_pin", self.pin(pinned).encode())
                self.assertEqual(handle("ssl_perform_handshake", None), expected, text())

    def test_a_pin_that_cannot_be_read_is_not_forgotten(self):
        with Peer(context(ssl.PROTOCOL_TLS_SERVER, [self.leaf])) as peer, Handle(peer.number) as handle:
            handle.must("ssl_add_trust_file", os.fsencode(self.root.path))
            self.assertEqual(handle("ssl_add_pin", b"sha256//junk"), 101)
            self.assertEqual(handle("ssl_perform_handshake", HOST.encode()), 101)
            self.assertIn("the pin that was asked for is missing", text())


class HooksLimits(unittest.TestCase):
    """What a hook that accepts everything cannot accept."""

    def connect(self, chain, trust, flags=0):
        hook = Hook(lambda *_: 0)
        with Peer(context(ssl.PROTOCOL_TLS_SERVER, chain)) as peer, Handle(peer.number) as handle:
            handle.must("ssl_add_trust_file", os.fsencode(trust.path))
            handle.must("ssl_set_flags", EXPLICIT_IO | flags)
            handle.must("ssl_set_validate_cert_hook", hook, None)
            code = handle("ssl_perform_handshake", HOST.encode())
            report = handle.report()
            return code, report.causes, report.verdict, text() if code else ""

    def test_a_weak_key_or_signature(self):
        rsa, other = MAKE.authority("RSA", key="rsa"), MAKE.authority("Other")
        weak = MAKE.leaf(rsa, key="rsa1024")
        hashed = MAKE.leaf(rsa, key="rsa", md="sha1")
        alone = MAKE.leaf(None, key="rsa1024")
        for chain, trust, causes in (
            ([weak], rsa, WEAK), ([weak], other, WEAK | ISSUER), ([alone], other, WEAK | ISSUER),
            ([hashed], rsa, WEAK), ([hashed], other, WEAK | ISSUER),
        ):  # fmt: skip
            code, found, verdict, said = self.connect(chain, trust)
            self.assertEqual((code, found, verdict), (10, causes, 2), said)
            limit = "; no certificate hook can accept a key that is too weak or of a kind that is not supported"
            self.assertTrue(said.endswith(limit), said)

    def test_an_old_devices_certificate_with_a_strong_key_it_accepts(self):
        other = MAKE.authority("Other")
        for md in ("sha1", "md5"):
            device = MAKE.leaf(None, key="rsa", md=md)
            self.assertEqual(self.connect([device], other), (0, ISSUER, 3, ""))
            self.assertEqual(self.connect([device], device), (0, ISSUER, 3, ""))
            self.assertEqual(self.connect([device], other, STRICT)[0], 10)

    def test_a_revoked_certificate_it_accepts(self):
        root = MAKE.authority("Root")
        leaf = MAKE.leaf(root)
        hook = Hook(lambda *_: 0)
        with Peer(context(ssl.PROTOCOL_TLS_SERVER, [leaf])) as peer, Handle(peer.number) as handle:
            handle.must("ssl_add_trust_file", os.fsencode(root.path))
            handle.must("ssl_add_crl_file", os.fsencode(MAKE.revocations(root, [leaf])))
            handle.must("ssl_set_validate_cert_hook", hook, None)
            self.assertEqual(handle("ssl_perform_handshake", HOST.encode()), 0, text())
            self.assertEqual(handle.report().verdict, 3)


class Settings(unittest.TestCase):
    """Whose settings ssl_verify_chain goes by."""

    @classmethod
    def setUpClass(cls):
        cls.root = MAKE.authority("Root")
        cls.leaf = MAKE.leaf(cls.root)

    def test_inside_the_hook_of_the_same_handle(self):
        found = []
        with Peer(context(ssl.PROTOCOL_TLS_SERVER, [self.leaf])) as peer, Handle(peer.number) as handle:

            def look(_type, _arg, count, blobs, _flags):
                blob = ctypes.cast(blobs, ctypes.POINTER(ctypes.c_uint32))
                size = blob[0]
                data = ctypes.cast(blobs + 8, ctypes.POINTER(ctypes.c_void_p))[0]
                found.append(handle.verify([ctypes.string_at(data, size)], HOST)[0])
                found.append(handle.verify([ctypes.string_at(data, size)], "b.test")[0])
                return 0

            hook = Hook(look)
            handle.must("ssl_add_trust_file", os.fsencode(self.root.path))
            handle.must("ssl_set_validate_cert_hook", hook, None)
            handle.must("ssl_perform_handshake", HOST.encode())
            self.assertEqual(found, [0, 140])
            self.assertEqual(handle.verify([self.leaf.der], HOST)[0], 0, "after the handshake, too")

    def test_what_the_defaults_have_been(self):
        with Handle() as before:
            defaults = Handle.__new__(Handle)
            LIBRARY.ssl_defaults.restype = ctypes.c_void_p
            defaults.value = ctypes.c_void_p(LIBRARY.ssl_defaults())
            self.assertEqual(defaults.verify([self.leaf.der], HOST)[0], 10)
            defaults.must("ssl_add_trust_file", os.fsencode(self.root.path))
            self.assertEqual(defaults.verify([self.leaf.der], HOST)[0], 0)
            self.assertEqual(before.verify([self.leaf.der], HOST)[0], 10)
            with Handle() as after:
                self.assertEqual(after.verify([self.leaf.der], HOST)[0], 0)

    def test_trust_that_failed_is_no_trust(self):
        for function, argument, expected in (
            ("ssl_add_trust_file", b"/no/such.pem", 120), ("ssl_add_trust_dir", b"/no/such", 120),
            ("ssl_add_crl_file", b"/no/such.crl", 120), ("ssl_add_pin", b"junk", 101),
        ):  # fmt: skip
            with Handle() as handle:
                if "trust" not in function:
                    handle.must("ssl_add_trust_file", os.fsencode(self.root.path))
                self.assertEqual(handle(function, argument), expected)
                code, report = handle.verify([self.leaf.der], HOST)
                self.assertEqual(code, expected)
                self.assertIn("asked for is missing", text())
                self.assertEqual((report.verdict, report.causes), (0, 0), "untouched")

    def test_nobody_vouches_for_clients_unless_it_was_said(self):
        with Handle() as handle:
            handle.must("ssl_set_flags", SERVER)
            self.assertEqual(handle.verify([self.leaf.der], None)[0], 101)
            self.assertIn("vouch for clients", text())
            handle.must("ssl_add_trust_file", os.fsencode(self.root.path))
            self.assertEqual(handle.verify([self.leaf.der], None)[0], 0)

    def test_trust_in_der_and_in_a_directory(self):
        folder = pathlib.Path(FOLDER.name) / "rehashed"
        folder.mkdir()
        (folder / "root.cer").write_bytes(self.root.der)
        (folder / "12345678.0").symlink_to("root.cer")
        (folder / "README").write_text("nothing")
        for function, path in (("ssl_add_trust_file", folder / "root.cer"), ("ssl_add_trust_dir", folder)):
            with Handle() as handle:
                handle.must(function, os.fsencode(path))
                self.assertEqual(handle.verify([self.leaf.der], HOST)[0], 0)

    def test_a_chain_in_pem_is_the_same(self):
        middle = MAKE.authority("Middle", self.root)
        leaf = MAKE.leaf(middle)
        with Handle() as handle:
            handle.must("ssl_add_trust_file", os.fsencode(self.root.path))
            for front in ("", "\n", "whose it is\n"):
                code, report = handle.verify([f"{front}{leaf.pem}{middle.pem}".encode()], HOST)
                self.assertEqual((code, report.chain_len), (0, 2), text())
            self.assertEqual(handle.verify([leaf.pem.encode()], HOST)[0], 10)
            self.assertEqual(handle.verify([leaf.pem.encode(), middle.der], HOST)[0], 101)
            self.assertIn("PEM, beside others", text())
            self.assertEqual(handle.verify([self.root.key.read_bytes()], HOST)[0], 101)
            self.assertIn("holds no certificate", text())

    def test_any_time(self):
        with Handle() as handle:
            handle.must("ssl_add_trust_file", os.fsencode(self.root.path))
            handle.must("ssl_add_crl_file", os.fsencode(MAKE.revocations(self.root)))
            for time, expected in (
                (TIME_NOW, 0), (TIME_NOW + 1, 141), (-1, 141), (0, 141), (1 << 62, 8), ((1 << 63) - 1, 8),
                (253402300800, 8), (-62135596800, 141),
            ):  # fmt: skip
                code, report = handle.verify([self.leaf.der], HOST, time)
                self.assertEqual(code, expected, f"{time}: {text()}")
                self.assertEqual(report.verdict, 2 if expected else 1)


def add_rows():
    names = set()
    for row in rows(MAKE):
        name = "test_" + "".join(char if char.isalnum() else "_" for char in row.name)
        assert name not in names, f"two rows are called {row.name}"
        names.add(name)
        setattr(Chains, name, lambda self, row=row: self.check(row))


if __name__ == "__main__":
    add_rows()
    authority = MAKE.authority("Server's")
    SERVERS_OWN = MAKE.leaf(authority)
    harness.run_and_count()
