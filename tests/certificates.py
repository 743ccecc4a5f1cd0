"""Certificates and revocation lists of every kind, made by the openssl command in a directory of their own."""

import dataclasses
import datetime
import pathlib
import ssl
import subprocess

NOW = datetime.datetime.now(datetime.timezone.utc).replace(microsecond=0)
LEAF = "basicConstraints=CA:FALSE"
CA = "basicConstraints=critical,CA:TRUE"
KEYS = {
    "ec": ["-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256"],
    "p224": ["-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-224"],
    "p384": ["-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-384"],
    "p521": ["-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-521"],
    "secp256k1": ["-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:secp256k1"],
    "ed25519": ["-algorithm", "ED25519"],
    "ed448": ["-algorithm", "ED448"],
    "rsa": ["-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:2048"],
    "rsa1024": ["-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:1024"],
    "rsa-pss": ["-algorithm", "RSA-PSS", "-pkeyopt", "rsa_keygen_bits:2048"],
}
SETTINGS = """\
[ca]
default_ca = own
[own]
database = database
crlnumber = crlnumber
rand_serial = yes
policy = any
unique_subject = no
copy_extensions = none
email_in_dn = no
[any]
commonName = optional
"""
PSS = ["-sigopt", "rsa_padding_mode:pss", "-sigopt", "rsa_pss_saltlen:digest"]


@dataclasses.dataclass(frozen=True)
class Certificate:
    subject: str
    path: pathlib.Path
    key: pathlib.Path

    @property
    def pem(self):
        return self.path.read_text()

    @property
    def der(self):
        return ssl.PEM_cert_to_DER_cert(self.pem)


class Maker:
    """Everything is made when it is asked for. Dates are days from now."""

    def __init__(self, folder):
        self.folder = pathlib.Path(folder)
        self.count = 0
        (self.folder / "settings").write_text(SETTINGS)

    def run(self, *arguments):
        done = subprocess.run(["openssl", *arguments], cwd=self.folder, capture_output=True, text=True, timeout=60)
        if done.returncode != 0:
            raise RuntimeError(f"openssl {' '.join(map(str, arguments))}\n{done.stderr}")
        return done.stdout

    def new(self, ending):
        self.count += 1
        return self.folder / f"{self.count}.{ending}"

    def key(self, kind="ec"):
        path = self.new("key")
        self.run("genpkey", *KEYS[kind], "-out", path)
        return path

    def request(self, subject, key):
        path = self.new("csr")
        self.run("req", "-new", "-key", key, "-subj", f"/CN={subject}" if subject else "/", "-out", path)
        return path

    def certificate(
        self, subject, by=None, extensions=LEAF, key="ec", start=-1, end=365, md="sha256", options=(), of=None
    ):
        """Issued by itself if by nobody else; with the key of another certificate if that is given."""
        own = of.key if of else self.key(key)
        path, text = self.new("pem"), self.new("ext")
        text.write_text(extensions + "\n")
        (self.folder / "database").write_text("")
        issuer = ["-cert", by.path, "-keyfile", by.key] if by else ["-selfsign", "-keyfile", own]
        self.run(
            "ca", "-batch", "-config", "settings", "-in", self.request(subject, own), "-out", path, "-outdir", ".",
            "-notext", "-rand_serial", "-preserveDN", "-startdate", day(start), "-enddate", day(end),
            "-extfile", text, "-md", md, *issuer, *options,
        )  # fmt: skip
        return Certificate(subject, path, own)

    def authority(self, subject, by=None, extensions=CA, **more):
        return self.certificate(subject, by, extensions, **more)

    def leaf(self, by, extensions="", subject="leaf", names="DNS:mail.a.test", base=LEAF, **more):
        names = [f"subjectAltName={names}"] if names else []
        return self.certificate(subject, by, "\n".join([base, *names, extensions]), **more)

    def plainly(self, subject, by, *options, key="ec", extensions=""):
        """By x509 -req, which makes version 1 without extensions and takes any serial number."""
        own = self.key(key)
        path, text = self.new("pem"), self.new("ext")
        text.write_text(extensions)
        self.run(
            "x509", "-req", "-in", self.request(subject, own), "-out", path, "-days", "365",
            *(["-extfile", text] if extensions else []),
            *(["-CA", by.path, "-CAkey", by.key] if by else ["-signkey", own]), *options,
        )  # fmt: skip
        return Certificate(subject, path, own)

    def changed(self, certificate, change):
        """The same with other bytes: what its issuer has signed is something else."""
        der = bytearray(certificate.der)
        change(der)
        path = self.new("pem")
        path.write_text(ssl.DER_cert_to_PEM_cert(bytes(der)))
        return Certificate(certificate.subject, path, certificate.key)

    def revocations(self, by, revoked=(), start=-1, end=30):
        """A revocation list; `revoked` has certificates, or pairs with the reason."""
        lines = []
        for one in revoked:
            certificate, reason = one if isinstance(one, tuple) else (one, "")
            serial = self.run("x509", "-in", certificate.path, "-noout", "-serial").split("=")[1].strip()
            when = day(-0.5)[2:] + (f",{reason}" if reason else "")
            lines.append(f"R\t{day(365)[2:]}\t{when}\t{serial}\tunknown\t/CN={certificate.subject}\n")
        (self.folder / "database").write_text("".join(lines))
        (self.folder / "crlnumber").write_text("01\n")
        path = self.new("crl")
        self.run(
            "ca", "-gencrl", "-config", "settings", "-cert", by.path, "-keyfile", by.key, "-md", "sha256",
            "-crl_lastupdate", day(start), "-crl_nextupdate", day(end), "-out", path,
        )  # fmt: skip
        return path

    def file(self, parts):
        path = self.new("pem")
        path.write_text("".join(part.pem if isinstance(part, Certificate) else part.read_text() for part in parts))
        return path


def moment(days):
    return NOW + datetime.timedelta(days=days)


def day(days):
    return moment(days).strftime("%Y%m%d%H%M%SZ")
