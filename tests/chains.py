#!/usr/bin/env python3
"""Chains of certificates, right and wrong: what the library says of each beside what OpenSSL says, and the same verdict
in a handshake.

Where the two differ, the row says why. A difference that no row has is a failure, and so is one that has gone.
"""

import ctypes
import dataclasses
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
from certificates import CA, LEAF, PSS, Maker, moment  # noqa: E402

BUILD = pathlib.Path(os.environ.get("SSLSOCK_BUILD") or ROOT / "build").absolute()
LIBRARY = ctypes.CDLL(os.fspath(BUILD / "lib" / "libsslsock.so.0"))
ISSUER, NAME, EXPIRED, EARLY, REVOKED, USAGE, SIGNATURE, WEAK, MALFORMED, PIN, UNKNOWN = (1 << bit for bit in range(11))
# The most important first: docs/errors.md.
CODES = {
    MALFORMED: 5, SIGNATURE: 7, PIN: 142, ISSUER: 10, REVOKED: 9, EXPIRED: 8, EARLY: 141, NAME: 140, USAGE: 10,
    WEAK: 10, UNKNOWN: 10,
}  # fmt: skip
HOST = "mail.a.test"
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


@dataclasses.dataclass
class Row:
    name: str
    chain: list
    trust: list
    causes: int = 0
    host: str = HOST
    lists: list = ()
    # How OpenSSL is to look at the lists.
    check: str = "-crl_check"
    # Days from now.
    at: float = None
    client: bool = False
    # Why OpenSSL says something else.
    differs: str = None
    # Why no OpenSSL peer shows such a chain.
    unseen: str = None

    @property
    def code(self):
        return next((code for cause, code in CODES.items() if self.causes & cause), 0)


def rows(make):
    root = make.authority("Root")
    other = make.authority("Other root")
    rsa = make.authority("RSA root", key="rsa")
    middle = make.authority("Middle", root)
    lower = make.authority("Lower", middle)
    leaf = make.leaf(root)
    below = make.leaf(middle)
    deep = make.leaf(lower)

    def simple(name, causes=0, certificate=None, by=root, **more):
        row = {key: more.pop(key) for key in ("host", "differs", "unseen", "client", "at") if key in more}
        return Row(name, [certificate or make.leaf(by, **more)], [by], causes, **row)

    yield Row("an EC certificate", [leaf], [root])
    yield simple("an RSA certificate", by=rsa, key="rsa")
    yield simple("an Ed25519 certificate", key="ed25519")
    yield simple("a certificate with a key on P-384", key="p384")
    yield simple("a certificate with a key on P-521", key="p521")
    yield simple("an RSA-PSS signature", by=rsa, options=PSS)
    pss = dict(unseen="its peer offers only signatures that rustls does not take")
    yield simple("a key for RSA-PSS alone", WEAK, key="rsa-pss", differs="rustls has no such signatures", **pss)
    authority = make.authority("Ed25519 root", key="ed25519")
    yield simple("an Ed25519 CA", by=authority)
    authority = make.authority("P-384 root", key="p384")
    yield simple("a CA on P-384, SHA-384", by=authority, md="sha384")

    yield Row("one intermediate", [below, middle], [root])
    yield Row("two intermediates", [deep, lower, middle], [root])
    yield Row("intermediates in the wrong order", [deep, middle, lower], [root])
    yield Row("a missing intermediate", [below], [root], ISSUER)
    yield Row("a missing intermediate in the middle", [deep, lower], [root], ISSUER)
    yield Row("the chain from top to bottom", [middle, lower, deep], [root], NAME | USAGE)
    yield Row("an unrelated certificate in between", [below, other, middle], [root])
    yield Row("the root sent along", [below, middle, root], [root])
    yield Row("an unknown root sent along", [below, middle, root], [other], ISSUER)
    yield Row("an unknown issuer", [leaf], [other], ISSUER)
    yield Row("several trusted, one of them right", [leaf], [other, rsa, root])
    namesake = make.authority("Root")
    yield Row("a trusted namesake of the issuer", [leaf], [namesake], SIGNATURE)
    yield Row("a trusted namesake beside the issuer", [leaf], [namesake, root])
    crossed = make.authority("Root", other, of=root)
    yield Row("a cross-signed root", [leaf, crossed], [other])
    yield Row("a cross-signed root, both trusted", [leaf, crossed], [other, root])
    expired = make.authority("Root", rsa, of=root, start=-20, end=-10)
    yield Row("an expired cross-signature before a good one", [leaf, expired, crossed], [rsa, other])

    yield simple("an expired certificate", EXPIRED, start=-20, end=-10)
    yield simple("a certificate of tomorrow", EARLY, start=1)
    old = make.authority("Old", root, start=-20, end=-10)
    yield Row("an expired intermediate", [make.leaf(old, start=-15), old], [root], EXPIRED)
    yield Row("issued after the intermediate expired", [make.leaf(old), old], [root], EXPIRED | ISSUER)
    new = make.authority("New", root, start=1)
    yield Row("an intermediate of tomorrow", [make.leaf(new), new], [root], EARLY)
    old = make.authority("Old root", start=-20, end=-10)
    anchor = "a trusted key stays one: dates of what the program itself trusts are not looked at (RFC 5280, 6.1)"
    yield simple("an expired root", by=old, differs=anchor)
    yield Row("in a year", [leaf], [root], EXPIRED, at=366)
    yield Row("a year ago", [leaf], [root], EARLY, at=-366)
    short = make.leaf(root, start=5, end=6)
    yield Row("within the dates, but not now", [short], [root], at=5.5)
    yield simple("expired, for another name and purpose", EXPIRED | NAME | USAGE, start=-20, end=-10,
                 names="DNS:b.test", extensions="extendedKeyUsage=clientAuth")  # fmt: skip

    yield Row("another name", [leaf], [root], NAME, host="b.test")
    yield Row("any name", [make.leaf(root, names="DNS:b.test")], [root], host=None)
    yield simple("the second of two names", names="DNS:b.test,DNS:mail.a.test")
    yield simple("the name in capitals", names="DNS:MAIL.A.TEST")
    yield simple("a wildcard", names="DNS:*.a.test")
    yield simple("a wildcard for two labels", NAME, names="DNS:*.a.test", host="x.mail.a.test")
    yield simple("a wildcard for none", NAME, names="DNS:*.mail.a.test")
    yield simple("a wildcard for a part of a label", NAME, names="DNS:m*.a.test",
                 differs="a wildcard stands for a whole label (RFC 9525)")  # fmt: skip
    yield simple("a wildcard in the middle", NAME, names="DNS:mail.*.test")
    yield simple("an IPv4 address", names="IP:192.0.2.7", host="192.0.2.7")
    yield simple("another IPv4 address", NAME, names="IP:192.0.2.8", host="192.0.2.7")
    yield simple("an IPv6 address", names="IP:2001:db8::7", host="2001:db8::7")
    yield simple("an IPv4 address as a DNS name", NAME, names="DNS:192.0.2.7", host="192.0.2.7")
    common = "the common name does not count (RFC 9525)"
    yield simple("the common name alone", NAME, subject=HOST, names=None, differs=common)
    yield simple("a common name beside other names", NAME, subject=HOST, names="DNS:b.test")
    yield simple("a common name beside an e-mail address", NAME, subject=HOST, names="email:a@a.test", differs=common)
    yield simple("no name at all", NAME, subject="x", names=None)
    yield simple("an empty subject", subject=None)

    yield simple("for clients only", USAGE, extensions="extendedKeyUsage=clientAuth")
    yield simple("for servers", extensions="extendedKeyUsage=serverAuth")
    yield simple("for servers and clients", extensions="extendedKeyUsage=serverAuth,clientAuth")
    yield simple("for any purpose", USAGE, extensions="extendedKeyUsage=anyExtendedKeyUsage")
    yield simple("for code", USAGE, extensions="extendedKeyUsage=codeSigning")
    clients = make.authority("Clients", root, f"{CA}\nextendedKeyUsage=clientAuth")
    yield Row("from a CA for clients only", [make.leaf(clients), clients], [root], USAGE)
    ca = "a CA's key signs certificates; OpenSSL passes over that"
    yield simple("a CA certificate", USAGE, base=CA, differs=ca)
    usual = make.leaf(None, base=CA)
    yield Row("what openssl req -x509 makes, trusted", [usual], [usual], USAGE, differs=ca)
    yield Row("what openssl req -x509 makes, unknown", [usual], [root], USAGE | ISSUER)
    yield simple("a key usage without signatures", extensions="keyUsage=critical,cRLSign",
                 differs="the key usage of the peer's own certificate is not looked at")  # fmt: skip

    narrow = make.authority("Narrow", root, f"{CA},pathlen:0")
    yield Row("the path length kept", [make.leaf(narrow), narrow], [root])
    longer = make.authority("Longer", narrow)
    yield Row("the path length exceeded", [make.leaf(longer), longer, narrow], [root], ISSUER)
    plain = make.certificate("Plain", root)
    yield Row("issued by one that is no CA", [make.leaf(plain), plain], [root], ISSUER)
    lister = make.authority("Lister", root, f"{CA}\nkeyUsage=critical,cRLSign")
    yield Row("issued by a CA for lists only", [make.leaf(lister), lister], [root], ISSUER)
    named = make.authority("Named", root, f"{CA}\nnameConstraints=critical,permitted;DNS:a.test")
    yield Row("a permitted name", [make.leaf(named), named], [root])
    yield Row("a name that is not permitted", [make.leaf(named, names="DNS:b.test"), named], [root], ISSUER, "b.test")
    without = make.authority("Without", root, f"{CA}\nnameConstraints=critical,excluded;DNS:a.test")
    yield Row("an excluded name", [make.leaf(without), without], [root], ISSUER)
    yield simple("an unknown critical extension", MALFORMED, extensions="1.2.3.4=critical,DER:0500")
    yield simple("an unknown extension", extensions="1.2.3.4=DER:0500")
    strange = make.authority("Strange", root, f"{CA}\n1.2.3.4=critical,DER:0500")
    yield Row("an unknown critical extension of a CA", [make.leaf(strange), strange], [root], MALFORMED)

    yield simple("signed with SHA-1", WEAK, by=rsa, key="rsa", md="sha1")
    yield simple("signed with SHA-1 and ECDSA", WEAK, md="sha1")
    yield simple("signed with MD5", WEAK, by=rsa, key="rsa", md="md5")
    hashed = make.authority("Hashed", rsa, md="sha1")
    yield Row("an intermediate signed with SHA-1", [make.leaf(hashed), hashed], [rsa], WEAK)
    yield Row("the same, unknown", [make.leaf(hashed), hashed], [other], WEAK | ISSUER)
    hashed = make.authority("Hashed root", key="rsa", md="sha1")
    yield simple("a root that has signed itself with SHA-1", by=hashed)
    yield simple("an RSA key of 1024 bits", WEAK, by=rsa, key="rsa1024")
    weak = make.authority("Weak", rsa, key="rsa1024")
    yield Row("an intermediate of 1024 bits", [make.leaf(weak), weak], [rsa], WEAK)
    curve = dict(unseen="rustls does not offer the curve")
    kinds = "only P-256, P-384 and P-521 are supported"
    yield simple("a key on P-224", WEAK, key="p224", differs=kinds, **curve)
    yield simple("a key on secp256k1", WEAK, key="secp256k1", differs=kinds, **curve)
    yield simple("an Ed448 key", WEAK, key="ed448", differs="rustls has no Ed448", **curve)
    weak = make.authority("P-224", root, key="p224")
    yield Row("an intermediate on P-224", [make.leaf(weak), weak], [root], WEAK, differs=kinds)

    def last(der):
        der[-1] ^= 1

    def name(der):
        place = der.index(b"mail.a.test")
        der[place : place + 4] = b"evil"

    yield Row("a changed signature", [make.changed(leaf, last)], [root], SIGNATURE)
    yield Row("a changed name", [make.changed(leaf, name)], [root], SIGNATURE, host="evil.a.test")
    yield Row("a changed intermediate", [below, make.changed(middle, last)], [root], SIGNATURE)
    first = make.plainly(HOST, root)
    version = "version 1 has no names but the common one, which does not count"
    yield Row("version 1", [first], [root], MALFORMED | NAME, differs=version)
    first = make.plainly("First", root)
    yield Row("an intermediate of version 1", [make.leaf(first), first], [root], MALFORMED)
    first = make.plainly("First root", None)
    yield simple("a trusted root of version 1", by=first)
    extensions = f"{LEAF}\nsubjectAltName=DNS:mail.a.test\n"
    negative = make.plainly("negative", root, "-set_serial", "-5", extensions=extensions)
    yield Row("a negative serial number", [negative], [root])
    zero = make.plainly("zero", root, "-set_serial", "0", extensions=extensions)
    yield Row("the serial number zero", [zero], [root])

    none = make.revocations(root)
    yield Row("a list that does not have it", [leaf], [root], lists=[none])
    yield Row("a list that has it", [leaf], [root], REVOKED, lists=[make.revocations(root, [leaf])])
    compromised = make.revocations(root, [(leaf, "keyCompromise")])
    yield Row("a list that says why", [leaf], [root], REVOKED, lists=[compromised])
    yield Row("no list of its issuer", [leaf], [root], UNKNOWN, lists=[make.revocations(other)])
    yield Row("a list that is out of date", [leaf], [root], UNKNOWN, lists=[make.revocations(root, (), -20, -10)])
    yield Row("a list of tomorrow", [leaf], [root], UNKNOWN, lists=[make.revocations(root, (), 1, 10)])
    yield Row("an old list and the present one", [leaf], [root],
              lists=[make.revocations(root, (), -20, -10), none])  # fmt: skip
    yield Row("a namesake's list", [leaf], [root], UNKNOWN, lists=[make.revocations(namesake)])
    both = [make.revocations(root, [middle]), make.revocations(middle)]
    yield Row("a revoked intermediate", [below, middle], [root], REVOKED, lists=both, check="-crl_check_all")
    yield Row("the list of an intermediate alone", [below, middle], [root], lists=[make.revocations(middle)])
    yield Row("the root's list alone", [below, middle], [root], UNKNOWN, lists=[none])
    yield Row("revoked and expired", [short], [root], REVOKED | EXPIRED, at=20,
              lists=[make.revocations(root, [short])])  # fmt: skip
    yield Row("unknown and on a list", [leaf], [other], ISSUER | REVOKED, lists=[make.revocations(root, [leaf])])

    partial = "who is trusted is trusted, also without those above; OpenSSL wants -partial_chain for that"
    yield Row("an intermediate is trusted", [below], [middle], differs=partial)
    yield Row("the certificate itself is trusted, not its issuer", [leaf], [leaf], ISSUER)
    single = make.leaf(None)
    yield Row("self-signed and trusted", [single], [single])
    yield Row("self-signed and unknown", [single], [root], ISSUER)
    hashed = make.leaf(None, key="rsa", md="sha1")
    own = "its own signature is checked if it is trusted; OpenSSL does not"
    yield Row("self-signed with SHA-1 and trusted", [hashed], [hashed], ISSUER, differs=own)
    yield Row("self-signed with SHA-1 and unknown", [hashed], [root], ISSUER)

    client = dict(client=True, host=None, names=None)
    yield simple("a client's", extensions="extendedKeyUsage=clientAuth", **client)
    yield simple("a client's, for both", extensions="extendedKeyUsage=serverAuth,clientAuth", **client)
    yield simple("a client's, for nothing in particular", **client)
    yield simple("a client's that is a server's", USAGE, extensions="extendedKeyUsage=serverAuth", **client)
    yield simple("a client's that has expired", EXPIRED, start=-20, end=-10, **client)
    yield simple("a client's that is weak", WEAK, key="rsa1024", **client)
    yield Row("a client's of an unknown issuer", [leaf], [other], ISSUER, host=None, client=True)
    yield Row("a client's that was revoked", [leaf], [root], REVOKED, host=None, client=True,
              lists=[make.revocations(root, [leaf])])  # fmt: skip


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
