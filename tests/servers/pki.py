"""A throw-away certificate authority, made with the openssl command."""

import os
import pathlib
import subprocess
import tempfile

NAME = "mail.test"
SUBJECT_ALT_NAME = f"DNS:{NAME},DNS:localhost,IP:127.0.0.2,IP:127.0.0.1,IP:::1"
DAYS = "30"

# Every folder gets its own authority, so its names carry no meaning; they differ from each other
# only so that a test's failure text says which certificate it is about.
AUTHORITY = """
basicConstraints = critical, CA:TRUE{path_length}
keyUsage = critical, keyCertSign, cRLSign
subjectKeyIdentifier = hash
"""
END_ENTITY = """
basicConstraints = critical, CA:FALSE
keyUsage = critical, digitalSignature{key_encipherment}
extendedKeyUsage = {usage}
subjectKeyIdentifier = hash
authorityKeyIdentifier = keyid
subjectAltName = {names}
"""


# `openssl x509` of Debian 12 cannot date back, `openssl ca` can.
DATED_AUTHORITY = """
[ca]
default_ca = it
[it]
database = {folder}/index
new_certs_dir = {folder}
rand_serial = yes
default_md = sha256
policy = any
x509_extensions = leaf
[any]
commonName = supplied
[leaf]
{extensions}
"""


class Failed(Exception):
    """openssl refused; the text is what it said."""


def make(folder, key="ec", owner=None, authority="sslsock test"):
    """Writes the certificates and keys into `folder`; `owner` is the (uid, gid) that gets to read the keys.

    ca.pem, ca.key                  the root: what a client trusts
    intermediate.pem                what signs the two below
    server.pem, server.key          the server's certificate alone, and its key
    server-chain.pem                the server's certificate, then the intermediate
    server-all.pem                  key and chain in one file
    client.pem, client.key, client-chain.pem   the same for a client that shows a certificate
    """
    folder = pathlib.Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    folder.chmod(0o755)
    encipher = ", keyEncipherment" if key == "rsa" else ""
    _certificate(folder, "ca", key, f"{authority} root", None, AUTHORITY.format(path_length=""))
    _certificate(
        folder, "intermediate", key, f"{authority} intermediate", "ca", AUTHORITY.format(path_length=", pathlen:0")
    )
    server = END_ENTITY.format(key_encipherment=encipher, usage="serverAuth", names=SUBJECT_ALT_NAME)
    _certificate(folder, "server", key, NAME, "intermediate", server)
    client = END_ENTITY.format(key_encipherment=encipher, usage="clientAuth", names="email:user@mail.test")
    _certificate(folder, "client", key, "user", "intermediate", client)

    intermediate = (folder / "intermediate.pem").read_text()
    for name in ("server", "client"):
        (folder / f"{name}-chain.pem").write_text((folder / f"{name}.pem").read_text() + intermediate)
    both = folder / "server-all.pem"
    both.touch(mode=0o600)
    both.write_text((folder / "server.key").read_text() + (folder / "server-chain.pem").read_text())
    (folder / "intermediate.key").unlink()
    if owner:
        for name in ("server.key", "server-all.pem"):
            os.chown(folder / name, *owner)


def make_named(folder, file, common_name, *names):
    """Writes FILE.pem and FILE.key beside what make() has written: made out to other names, by the root itself."""
    extensions = END_ENTITY.format(key_encipherment="", usage="serverAuth", names=",".join(f"DNS:{name}" for name in names))
    _certificate(pathlib.Path(folder), file, "ec", common_name, "ca", extensions)


def make_client(folder, file, common_name, key="ec", issuer="ca"):
    """Writes FILE.pem and FILE.key, for a client, beside the authority that issues it."""
    encipher = ", keyEncipherment" if key == "rsa" else ""
    extensions = END_ENTITY.format(key_encipherment=encipher, usage="clientAuth", names="email:user@mail.test")
    _certificate(pathlib.Path(folder), file, key, common_name, issuer, extensions)


def make_authority(folder, file, common_name):
    """Writes FILE.pem and FILE.key, one more root."""
    _certificate(pathlib.Path(folder), file, "ec", common_name, None, AUTHORITY.format(path_length=""))


def make_expired(folder, file="expired", usage="serverAuth"):
    """Writes FILE.pem and FILE.key beside what make() has written: only the dates are wrong."""
    folder = pathlib.Path(folder)
    with tempfile.TemporaryDirectory() as scratch:
        request, configuration = pathlib.Path(scratch, "csr"), pathlib.Path(scratch, "cnf")
        pathlib.Path(scratch, "index").touch()
        names = END_ENTITY.format(key_encipherment="", usage=usage, names=SUBJECT_ALT_NAME)
        configuration.write_text(DATED_AUTHORITY.format(folder=scratch, extensions=names))
        _openssl(
            "req", "-new", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-subj", f"/CN={NAME}",
            "-keyout", folder / f"{file}.key", "-out", request,
        )  # fmt: skip
        _openssl(
            "ca", "-batch", "-notext", "-config", configuration, "-cert", folder / "ca.pem",
            "-keyfile", folder / "ca.key", "-startdate", "20200101000000Z", "-enddate", "20200201000000Z",
            "-in", request, "-out", folder / f"{file}.pem",
        )  # fmt: skip


def make_nameless(folder):
    """Writes nameless.pem and nameless.key beside what make() has written: the subject is empty."""
    names = END_ENTITY.format(key_encipherment="", usage="serverAuth", names="DNS:first.test,DNS:localhost")
    _certificate(pathlib.Path(folder), "nameless", "ec", None, "ca", names)


def _certificate(folder, name, key, common_name, issuer, extensions):
    key_file = folder / f"{name}.key"
    kind = ["rsa:2048"] if key == "rsa" else ["ec", "-pkeyopt", "ec_paramgen_curve:P-256"]
    request = folder / f"{name}.csr"
    subject = f"/CN={common_name}" if common_name else "/"
    _openssl("req", "-new", "-newkey", *kind, "-nodes", "-subj", subject, "-keyout", key_file, "-out", request)
    key_file.chmod(0o600)

    extension_file = folder / f"{name}.ext"
    extension_file.write_text(extensions)
    # The first byte keeps the number positive and of full length.
    serial = "0x4" + os.urandom(15).hex()
    signer = ["-CA", folder / f"{issuer}.pem", "-CAkey", folder / f"{issuer}.key"] if issuer else ["-key", key_file]
    _openssl(
        "x509", "-req", "-sha256", "-days", DAYS, "-set_serial", serial, "-in", request, "-out", folder / f"{name}.pem",
        "-extfile", extension_file, *signer,
    )  # fmt: skip
    request.unlink()
    extension_file.unlink()


def _openssl(*arguments):
    # An empty configuration: nothing of /etc/ssl may leak into the certificates.
    environment = dict(os.environ, OPENSSL_CONF="/dev/null", LC_ALL="C")
    done = subprocess.run(
        ["openssl", *map(str, arguments)], env=environment, stdin=subprocess.DEVNULL, capture_output=True, text=True
    )
    if done.returncode:
        raise Failed(f"openssl {' '.join(map(str, arguments))}: {done.stderr.strip()}")
