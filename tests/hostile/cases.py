"""The cases B and C of docs/bad-input.md, one row each."""

import dataclasses
import ssl
from typing import Callable, Optional

import abuse
import peers
from abuse import TLS12, TLS13

# What a hook that accepts everything comes to.
ACCEPTS, NEVER, NOT_ASKED = "accepts", "cannot accept", "is not asked"
ISSUER, WRONG_NAME, EXPIRED, NOT_YET_VALID, USAGE, SIGNATURE, WEAK_KEY = 0x1, 0x2, 0x4, 0x8, 0x20, 0x40, 0x80
CAUSES = {
    ISSUER: "ISSUER_UNKNOWN", WRONG_NAME: "NAME", EXPIRED: "EXPIRED", NOT_YET_VALID: "NOT_YET_VALID", USAGE: "USAGE",
    SIGNATURE: "SIGNATURE", WEAK_KEY: "WEAK_KEY",
}  # fmt: skip


@dataclasses.dataclass
class Case:
    number: str
    what: str
    # Which stack the peer is made with, and how it is started: its address, or a context that gives it.
    stack: str
    start: Callable
    code: str = "SSL_ERR_OKAY"
    causes: int = 0
    # None: nothing is wrong with the certificate, so there is nothing for a hook to accept.
    hook: Optional[str] = None
    text: str = ""
    name: str = "mail.test"
    # What it comes to with a hook, where that is something else again.
    with_hook: Optional["Case"] = None
    # What arrives before the end, and the code of that end.
    received: bytes = peers.GREETING
    end: str = "SSL_ERR_OKAY"


def openssl(name, chain=None, versions=(ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3), demands=None):
    """OpenSSL with one version after the other. `demands`: the client's certificate has to come from there."""

    def start(it):
        path = it.chain(*chain) if chain else it.path(name)
        return [
            peers.openssl(path, it.key(name), version, demands and it.path(demands)) for version in versions
        ]

    return "OpenSSL", start


def gnutls(name, priority="NORMAL"):
    return "GnuTLS", lambda it: peers.gnutls(it.path(name), it.key(name), priority)


def tlslite(*versions, **options):
    return "tlslite-ng", lambda it: [abuse.listen(it, version=version, **options) for version in versions or (TLS12, TLS13)]


def by_hand(start):
    return "by hand", lambda it: [start()]


C18 = "it had asked for a client certificate and none is set: see ssl_set_identity_pem"
PROTOCOL, UNKNOWN = "SSL_ERR_PROTOCOL", "SSL_ERR_CERT_UNKNOWN"
B = [
    Case("", "a good certificate", *openssl("good")),
    Case("", "a good certificate", *gnutls("good"), received=b""),
    Case("", "a good certificate", *tlslite()),
    Case("B1", "expired", *openssl("expired"), "SSL_ERR_CERT_EXPIRED", EXPIRED, ACCEPTS, "certificate expired on "),
    Case("B1", "expired", *gnutls("expired"), "SSL_ERR_CERT_EXPIRED", EXPIRED, ACCEPTS, "certificate expired on ", received=b""),
    Case("B2", "not valid yet", *openssl("not_yet"), "SSL_ERR_NOT_YET_VALID", NOT_YET_VALID, ACCEPTS, "is the clock right?"),
    Case("B3", "for another host", *openssl("other_name"), "SSL_ERR_NAME", WRONG_NAME, ACCEPTS, 'certificate is for "other.test", not for "mail.test"'),
    Case("B3", "for another host", *gnutls("other_name"), "SSL_ERR_NAME", WRONG_NAME, ACCEPTS, 'not for "mail.test"', received=b""),
    Case("B4", "self-signed", *openssl("self_signed"), UNKNOWN, ISSUER, ACCEPTS, "certificate is self-signed and not trusted"),
    Case("B4", "self-signed", *gnutls("self_signed"), UNKNOWN, ISSUER, ACCEPTS, "self-signed", received=b""),
    Case("B5", "from a CA that nobody knows", *openssl("unknown_issuer"), UNKNOWN, ISSUER, ACCEPTS, 'issuer "CN=sslsock test nobody" is not trusted'),
    Case("B6", "without the intermediate", *openssl("behind_middle"), UNKNOWN, ISSUER, ACCEPTS, "an intermediate may be missing"),
    Case("B6", "with the intermediate", *openssl("behind_middle", ["behind_middle", "middle"])),
    Case("B7", "the intermediates in the wrong order", *openssl("behind_lower", ["behind_lower", "middle", "lower"])),
    Case("B7", "the whole chain upside down", *tlslite(chain=["middle", "behind_middle"], name="behind_middle"), "SSL_ERR_NAME", WRONG_NAME | USAGE, NOT_ASKED, "CA certificate used as a server certificate", with_hook=Case("", "", "", None, "SSL_ERR_BAD_SIG", WRONG_NAME | USAGE | SIGNATURE, NOT_ASKED, "could not prove that it holds the certificate's private key")),
    Case("B8", "a name in CN alone", *openssl("common_name_only"), "SSL_ERR_NAME", WRONG_NAME, ACCEPTS, '(its common name "mail.test" does not count)'),
    Case("B9", "a wildcard, and two labels for it", *openssl("wildcard"), "SSL_ERR_NAME", WRONG_NAME, ACCEPTS, 'certificate is for "*.example.test", not for "a.b.example.test"', name="a.b.example.test"),
    Case("B9", "a wildcard, and one label for it", *openssl("wildcard"), name="a.example.test"),
    Case("B10", "a wildcard for a public suffix", *openssl("public_suffix"), "SSL_ERR_NAME", WRONG_NAME, ACCEPTS, 'certificate is for "*.com", not for "mail.com"', name="mail.com"),
    Case("B11", "an address as a DNS name", *openssl("ip_as_dns"), "SSL_ERR_NAME", WRONG_NAME, ACCEPTS, 'has the address "127.0.0.2" as a DNS name, which does not count', name="127.0.0.2"),
    Case("B12", "an IPv6 address", *openssl("ipv6"), name="::1"),
    Case("B12", "an IPv6 address, in brackets and written otherwise", *openssl("ipv6"), name="[0:0:0:0:0:0:0:1]"),
    Case("B12", "another IPv6 address", *openssl("ipv6"), "SSL_ERR_NAME", WRONG_NAME, ACCEPTS, 'not for "::2"', name="::2"),
    Case("B13", "an international name", *openssl("idn"), name="bücher.test"),
    Case("B13", "the same in its own form", *openssl("idn"), name="xn--bcher-kva.test"),
    Case("B13", "another that looks alike", *openssl("idn"), "SSL_ERR_NAME", WRONG_NAME, ACCEPTS, 'certificate is for "xn--bcher-kva.test"', name="bucher.test"),
    Case("B14", "a name with NUL in it", *openssl("nul_in_name"), "SSL_ERR_NAME", WRONG_NAME, ACCEPTS, r'certificate is for "mail.test\x00.other.test"'),
    Case("B15", "a dot at the end of the host that is asked for", *openssl("good"), name="mail.test."),
    Case("B16", "no name given", *openssl("good"), "SSL_ERR_NO_NAME", 0, NOT_ASKED, "no host name given", name=""),
    Case("B17", "for clients only", *openssl("client_only"), UNKNOWN, USAGE, ACCEPTS, "its extended key usage is client authentication"),
    Case("B18", "a CA certificate, self-signed", *openssl("ca_as_leaf"), UNKNOWN, ISSUER | USAGE, ACCEPTS, "CA certificate used as a server certificate"),
    Case("B18", "a CA certificate, from a trusted CA", *openssl("issued_ca"), UNKNOWN, USAGE, ACCEPTS, "CA certificate used as a server certificate"),
    Case("B19", "an RSA key of 1024 bits", *openssl("rsa1024"), UNKNOWN, WEAK_KEY, NOT_ASKED, "certificate has an RSA key of 1024 bits; at least 2048 are needed"),
    Case("B19", "the same, self-signed", *openssl("rsa1024_self_signed"), UNKNOWN, ISSUER | WEAK_KEY, NOT_ASKED, "an RSA key of 1024 bits"),
    Case("B20", "signed with SHA-1 by a trusted CA", *openssl("sha1"), UNKNOWN, WEAK_KEY, NEVER, "signed with SHA-1 and ECDSA, which is not accepted"),
    Case("B20", "signed with SHA-1 by itself", *openssl("sha1_self_signed"), UNKNOWN, ISSUER, ACCEPTS, "certificate is self-signed and not trusted"),
    Case("B21", "2,000 names", *openssl("many_names")),
    Case("B21", "10,000 names, in more than 64 KiB", *openssl("too_many_names"), PROTOCOL, 0, NOT_ASKED, "HandshakePayloadTooLarge"),
    Case("B22", "a trusted chain, and a handshake signed by another key", *tlslite(change=abuse.change_signature), "SSL_ERR_BAD_SIG", SIGNATURE, NOT_ASKED, "could not prove that it holds the certificate's private key"),
    Case("", "everything at once", *openssl("several_wrong"), UNKNOWN, ISSUER | WRONG_NAME | EXPIRED | USAGE, ACCEPTS, 'is not trusted'),
]  # fmt: skip


def refused(number, what, peer, text):
    return Case(number, what, *peer, PROTOCOL, 0, NOT_ASKED, text)


def ended(number, what, peer, text, received=peers.GREETING):
    """The handshake succeeds, what comes after it does not."""
    return Case(number, what, *peer, text=text, received=received, end=PROTOCOL)


C = [
    Case("C1", "speaks TLS 1.1 only", *openssl("good", versions=[ssl.TLSVersion.TLSv1_1]), "SSL_ERR_ALERT", 0, NOT_ASKED, "protocol_version (70): it speaks neither TLS 1.2 nor TLS 1.3"),
    Case("C1", "speaks TLS 1.1 only", *gnutls("good", "NORMAL:-VERS-ALL:+VERS-TLS1.1"), "SSL_ERR_ALERT", 0, NOT_ASKED, "handshake_failure (40): it found nothing acceptable"),
    Case("C2", "has no cipher suite in common", *gnutls("good", "NORMAL:-VERS-ALL:+VERS-TLS1.2:-CIPHER-ALL:+AES-256-CCM"), "SSL_ERR_ALERT", 0, NOT_ASKED, "handshake_failure (40): it found nothing acceptable"),
    refused("C3", "asks for another key share twice (HelloRetryRequest)", by_hand(lambda: abuse.retrying(abuse.SECP256R1, abuse.SECP384R1)), "got HelloRetryRequest when expecting ServerHello"),
    refused("C3", "asks for one of a group that was not offered", by_hand(lambda: abuse.retrying(abuse.SECP521R1)), "IllegalHelloRetryRequestWithUnofferedNamedGroup"),
    refused("C4", "agrees on TLS 1.2 and says that it can do TLS 1.3", tlslite(TLS12, change=abuse.downgrade_sentinel), "AttemptedDowngradeToTls12WhenTls13IsSupported"),
    refused("C5", "chooses an application protocol that was not offered", tlslite(change=abuse.add_alpn), "UnsolicitedServerHelloExtension"),
    refused("C6", "has an extension twice", tlslite(change=abuse.double_extension), "DuplicateExtension"),
    Case("C7", "asks for a renegotiation", *tlslite(TLS12, after=abuse.renegotiate(1))),
    ended("C7", "asks for two", tlslite(TLS12, after=abuse.renegotiate(2)), "TooManyRenegotiationRequests", b""),
    Case("C8", "changes its keys 32 times without data between", *tlslite(TLS13, after=abuse.key_updates(32, False))),
    ended("C8", "changes its keys 33 times without data between", tlslite(TLS13, after=abuse.key_updates(33, False)), "TooManyKeyUpdateRequests", b""),
    Case("C9", "changes its keys 100 times with data between", *tlslite(TLS13, after=abuse.key_updates(100, True)), received=b"x" * 100 + peers.GREETING),
    Case("C10", "sends 4 alerts of level warning", *tlslite(after=abuse.warnings(4))),
    ended("C10", "sends 5 alerts of level warning", tlslite(after=abuse.warnings(5)), "TooManyWarningAlertsReceived", b""),
    refused("C11", "sends change_cipher_spec three times (TLS 1.2)", tlslite(TLS12, change=abuse.three_change_cipher_specs), "got ChangeCipherSpec when expecting Handshake"),
    refused("C11", "sends change_cipher_spec three times (TLS 1.3)", tlslite(TLS13, change=abuse.three_change_cipher_specs), "IllegalMiddleboxChangeCipherSpec"),
    Case("C12", "sends 20 records with nothing in them", *tlslite(after=abuse.empty_records(20))),
    ended("C12", "sends 2,000 records with nothing in them", tlslite(after=abuse.empty_records(2_000)), "TooManyEmptyFragments"),
    refused("C13", "sends a record that is too long", by_hand(lambda: abuse.answering(abuse.TOO_LONG_RECORD)), "MessageTooLarge"),
    refused("C14", "sends a handshake message of more than 64 KiB", by_hand(lambda: abuse.answering(abuse.handshake_message(2, 65536))), "HandshakePayloadTooLarge"),
    Case("C15", "sends its handshake in records of one byte", *tlslite(fragment=1)),
    Case("C16", "sends data after close_notify", *tlslite(after=abuse.speak_after_the_end)),
    Case("C17", "sends close_notify in clear before its ServerHello, and goes on", *tlslite(change=abuse.close_notify_before(abuse.ServerHello))),
    Case("C17", "sends close_notify in the encrypted part of the handshake", *tlslite(TLS13, change=abuse.close_notify_for_finished), "SSL_ERR_ALERT", 0, NOT_ASKED, "close_notify (0)"),
    Case("C17", "sends close_notify and ends the connection", *by_hand(lambda: abuse.answering(abuse.CLOSE_NOTIFY_RECORD)), "SSL_ERR_TRUNCATED", 0, NOT_ASKED, "in the middle of the handshake"),
    Case("C18", "demands a client certificate, and none is set (TLS 1.2)", *openssl("good", versions=[ssl.TLSVersion.TLSv1_2], demands="root"), "SSL_ERR_ALERT", 0, None, C18),
    # The client has finished before the server looks.
    Case("C18", "demands a client certificate, and none is set (TLS 1.3)", *openssl("good", versions=[ssl.TLSVersion.TLSv1_3], demands="root"), text="it demands a client certificate; set one with ssl_set_identity_pem or ssl_set_identity_file", received=b"", end="SSL_ERR_ALERT"),
]  # fmt: skip
