"""Chains of certificates, right and wrong, and what is wrong with each."""

import dataclasses

from certificates import CA, LEAF, PSS

ISSUER, NAME, EXPIRED, EARLY, REVOKED, USAGE, SIGNATURE, WEAK, MALFORMED, PIN, UNKNOWN = (1 << bit for bit in range(11))
# The most important first: docs/errors.md.
CODES = {
    MALFORMED: 5, SIGNATURE: 7, PIN: 142, ISSUER: 10, REVOKED: 9, EXPIRED: 8, EARLY: 141, NAME: 140, USAGE: 10,
    WEAK: 10, UNKNOWN: 10,
}  # fmt: skip
HOST = "mail.a.test"


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
