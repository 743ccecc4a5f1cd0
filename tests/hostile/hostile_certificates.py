"""Chains that are wrong in one way each, made with the openssl command: the cases B of docs/bad-input.md."""

import os
import pathlib
import subprocess
from datetime import datetime, timedelta, timezone

NAME = "mail.test"
DAY = timedelta(days=1)
NOW = datetime.now(timezone.utc)
AUTHORITY = "basicConstraints = critical, CA:TRUE\nkeyUsage = critical, keyCertSign, cRLSign\nsubjectKeyIdentifier = hash"
LEAF = "basicConstraints = critical, CA:FALSE\nkeyUsage = critical, digitalSignature, keyEncipherment"
# `openssl x509` of Debian 12 cannot date back, `openssl ca` can.
CONFIGURATION = """
[ca]
default_ca = it
[it]
database = {folder}/index
new_certs_dir = {folder}
rand_serial = yes
unique_subject = no
policy = any
x509_extensions = extensions
[any]
commonName = optional
[extensions]
{extensions}
"""


class Authority:
    """Makes certificates in a folder, each as NAME.pem and NAME.key."""

    def __init__(self, folder):
        self.folder = pathlib.Path(folder)
        (self.folder / "index").touch()

    def pem(self, *names):
        """The certificates of these names, one after another."""
        return "".join((self.folder / f"{name}.pem").read_text() for name in names)

    def path(self, name):
        return str(self.folder / f"{name}.pem")

    def key(self, name):
        return str(self.folder / f"{name}.key")

    def root(self, name, **options):
        return self.issue(name, None, common_name=f"sslsock test {name}", extensions=AUTHORITY, **options)

    def intermediate(self, name, issuer, **options):
        return self.issue(name, issuer, common_name=f"sslsock test {name}", extensions=AUTHORITY, **options)

    def leaf(self, name, issuer, names=f"DNS:{NAME}", usage="serverAuth", extra="", **options):
        extensions = [LEAF, f"extendedKeyUsage = {usage}", f"subjectAltName = {names}" if names else "", extra]
        return self.issue(name, issuer, extensions="\n".join(extensions), **options)

    def issue(
        self, name, issuer, extensions, common_name=NAME, key="ec", digest="sha256", start=NOW - DAY, end=NOW + 30 * DAY
    ):
        """`issuer`: the name of another, or None for one that issues itself."""
        kinds = {"ec": ["ec", "-pkeyopt", "ec_paramgen_curve:P-256"], "rsa": ["rsa:2048"], "rsa1024": ["rsa:1024"]}
        request, configuration = self.folder / "request", self.folder / "configuration"
        self.openssl(
            "req", "-new", "-newkey", *kinds[key], "-nodes", "-subj", f"/CN={common_name}", "-keyout", self.key(name),
            "-out", request,
        )  # fmt: skip
        configuration.write_text(CONFIGURATION.format(folder=self.folder, extensions=extensions))
        signer = ["-cert", self.path(issuer), "-keyfile", self.key(issuer)] if issuer else ["-selfsign", "-keyfile", self.key(name)]
        self.openssl(
            "ca", "-batch", "-notext", "-config", configuration, "-md", digest, *signer,
            "-startdate", f"{start:%Y%m%d%H%M%SZ}", "-enddate", f"{end:%Y%m%d%H%M%SZ}", "-in", request, "-out", self.path(name),
        )  # fmt: skip
        return name

    @staticmethod
    def openssl(*arguments):
        # An empty configuration: nothing of /etc/ssl may leak into the certificates.
        environment = dict(os.environ, OPENSSL_CONF="/dev/null", LC_ALL="C")
        command = ["openssl", *map(str, arguments)]
        done = subprocess.run(command, env=environment, stdin=subprocess.DEVNULL, capture_output=True, text=True)
        if done.returncode:
            raise RuntimeError(f"{' '.join(command)}: {done.stderr.strip()}")


def make(folder):
    """Everything that the cases need; root.pem is what the client trusts."""
    it = Authority(folder)
    it.root("root")
    it.root("nobody")
    it.intermediate("middle", "root")
    it.leaf("good", "root")
    it.leaf("good_rsa", "root", key="rsa")
    it.leaf("behind_middle", "middle")
    it.intermediate("lower", "middle")
    it.leaf("behind_lower", "lower")
    it.leaf("expired", "root", start=NOW - 60 * DAY, end=NOW - 30 * DAY)
    it.leaf("not_yet", "root", start=NOW + 30 * DAY, end=NOW + 60 * DAY)
    it.leaf("other_name", "root", names="DNS:other.test")
    it.leaf("self_signed", None)
    it.leaf("unknown_issuer", "nobody")
    it.leaf("common_name_only", "root", names=None)
    it.leaf("wildcard", "root", names="DNS:*.example.test")
    it.leaf("public_suffix", "root", names="DNS:*.com")
    it.leaf("ip_as_dns", "root", names="DNS:127.0.0.2")
    it.leaf("ipv6", "root", names="IP:::1")
    it.leaf("idn", "root", names="DNS:xn--bcher-kva.test")
    # As DER, since the openssl command takes no NUL as text: a sequence of one dNSName.
    nul = b"mail.test\0.other.test"
    it.leaf("nul_in_name", "root", names="DER:" + (bytes([0x30, len(nul) + 2, 0x82, len(nul)]) + nul).hex())
    it.leaf("client_only", "root", usage="clientAuth")
    it.issue("ca_as_leaf", None, extensions=f"basicConstraints = critical, CA:TRUE\nsubjectAltName = DNS:{NAME}")
    it.issue("issued_ca", "root", extensions=f"basicConstraints = critical, CA:TRUE\nsubjectAltName = DNS:{NAME}")
    it.leaf("rsa1024", "root", key="rsa1024")
    it.leaf("rsa1024_self_signed", None, key="rsa1024")
    it.leaf("sha1", "root", key="rsa", digest="sha1")
    it.leaf("sha1_self_signed", None, key="rsa", digest="sha1")
    it.leaf("many_names", "root", names=",".join(f"DNS:n{number}.test" for number in range(2000)) + f",DNS:{NAME}")
    it.leaf("too_many_names", "root", names=",".join(f"DNS:name-{number}.test" for number in range(10000)))
    it.leaf("several_wrong", "nobody", names="DNS:other.test", usage="clientAuth", start=NOW - 60 * DAY, end=NOW - 30 * DAY)
    return it
