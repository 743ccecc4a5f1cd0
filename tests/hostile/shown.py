"""The certificates that the hostile peers show, wrong in one way each: the cases B of docs/bad-input.md."""

from certificates import CA, Maker

HOST = "DNS:mail.test"
SERVER = "extendedKeyUsage=serverAuth"
EXPIRED, NOT_YET = {"start": -60, "end": -30}, {"start": 30, "end": 60}
# As DER, since the openssl command takes no NUL as text: a sequence of one dNSName.
NUL = b"mail.test\0.other.test"
NUL_IN_NAME = "DER:" + (bytes([0x30, len(NUL) + 2, 0x82, len(NUL)]) + NUL).hex()


class Shown:
    """They have names; that of what the client trusts is "root"."""

    def __init__(self, folder):
        self.maker, self.made = Maker(folder), {}
        self.made["root"] = self.maker.authority("sslsock test root")
        self.made["nobody"] = self.maker.authority("sslsock test nobody")
        self.made["middle"] = self.maker.authority("sslsock test middle", self.made["root"])
        self.made["lower"] = self.maker.authority("sslsock test lower", self.made["middle"])
        for name, (by, options) in LEAVES.items():
            options = {"extensions": SERVER, "subject": "mail.test", "names": HOST, **options}
            self.made[name] = self.maker.leaf(by and self.made[by], **options)

    def path(self, name):
        return str(self.made[name].path)

    def key(self, name):
        return str(self.made[name].key)

    def pem(self, *names):
        """The certificates of these names, one after another."""
        return "".join(self.made[name].pem for name in names)

    def chain(self, *names):
        """A file with them."""
        path = self.maker.new("pem")
        path.write_text(self.pem(*names))
        return str(path)


# Who issues it, None for itself, and what it has beside a good one.
LEAVES = {
    "good": ("root", {}),
    "good_rsa": ("root", {"key": "rsa"}),
    "behind_middle": ("middle", {}),
    "behind_lower": ("lower", {}),
    "expired": ("root", EXPIRED),
    "not_yet": ("root", NOT_YET),
    "other_name": ("root", {"names": "DNS:other.test"}),
    "self_signed": (None, {}),
    "unknown_issuer": ("nobody", {}),
    "common_name_only": ("root", {"names": ""}),
    "wildcard": ("root", {"names": "DNS:*.example.test"}),
    "public_suffix": ("root", {"names": "DNS:*.com"}),
    "ip_as_dns": ("root", {"names": "DNS:127.0.0.2"}),
    "ipv6": ("root", {"names": "IP:::1"}),
    "idn": ("root", {"names": "DNS:xn--bcher-kva.test"}),
    "nul_in_name": ("root", {"names": NUL_IN_NAME}),
    "client_only": ("root", {"extensions": "extendedKeyUsage=clientAuth"}),
    "ca_as_leaf": (None, {"base": CA, "extensions": ""}),
    "issued_ca": ("root", {"base": CA, "extensions": ""}),
    "rsa1024": ("root", {"key": "rsa1024"}),
    "rsa1024_self_signed": (None, {"key": "rsa1024"}),
    "sha1": ("root", {"key": "rsa", "md": "sha1"}),
    "sha1_self_signed": (None, {"key": "rsa", "md": "sha1"}),
    "many_names": ("root", {"names": ",".join([*(f"DNS:n{number}.test" for number in range(2000)), HOST])}),
    "too_many_names": ("root", {"names": ",".join(f"DNS:name-{number}.test" for number in range(10_000))}),
    "several_wrong": ("nobody", {"names": "DNS:other.test", "extensions": "extendedKeyUsage=clientAuth", **EXPIRED}),
}
