"""What the unit tests need beside the common peers: certificates in other forms, servers and clients by Python's ssl, and
a signer in another process."""

import socket
import ssl
import subprocess

import listening
import peer
import pki

SECONDS = 60
# A second server's name, for which there is a certificate of the root itself.
OTHER_NAME = "other.test"
HASHES = {0x0403: "-sha256"}
CRL_CONFIGURATION = """
[ca]
default_ca = it
[it]
database = {folder}/index
crlnumber = {folder}/number
default_md = sha256
default_crl_days = 30
"""


def make_files(folder):
    """Beside what pki.make() has written.

    other.pem, other.key    a server's certificate for OTHER_NAME, by the root
    *.der, client.key.der   certificates, and the client's key, in DER
    client.key.locked       the client's key with a password
    roots/                  a folder of trusted certificates, and a file that is none
    none.crl, other.crl     lists of the root's: nothing is revoked, or the certificate of OTHER_NAME
    """
    pki.make_named(folder, "other", OTHER_NAME, OTHER_NAME)
    for name in ("ca", "client", "intermediate", "other"):
        _openssl("x509", "-in", folder / f"{name}.pem", "-outform", "DER", "-out", folder / f"{name}.der")
    _openssl("pkey", "-in", folder / "client.key", "-outform", "DER", "-out", folder / "client.key.der")
    locked = folder / "client.key.locked"
    _openssl("pkey", "-in", folder / "client.key", "-aes256", "-passout", "pass:word", "-out", locked)
    (folder / "roots").mkdir()
    (folder / "roots" / "one.pem").write_bytes((folder / "ca.pem").read_bytes())
    (folder / "roots" / "README").write_text("Nothing to trust here.\n")
    (folder / "empty").mkdir()
    (folder / "ca.cnf").write_text(CRL_CONFIGURATION.format(folder=folder))
    (folder / "index").touch()
    (folder / "number").write_text("01\n")
    _crl(folder, "none.crl")
    _ca(folder, "-revoke", folder / "other.pem")
    _crl(folder, "other.crl")


def variables(folder):
    """Starts the peers; where they are."""
    return {
        "SSLSOCK_RESUMING": _resuming(folder, ssl.TLSVersion.TLSv1_3),
        "SSLSOCK_RESUMING_TLS12": _resuming(folder, ssl.TLSVersion.TLSv1_2),
        "SSLSOCK_NOT_RESUMING": _resuming(folder, ssl.TLSVersion.TLSv1_3, tickets=0),
        "SSLSOCK_CLIENT": _listen(lambda connection: _be_client(folder, connection)),
        "SSLSOCK_SIGNER": _listen(lambda connection: _sign(folder, connection)),
    }


def _listen(serve):
    return listening.listen(socket.AF_INET, ("127.0.0.2", 0), serve, peer.EXPECTED, SECONDS)


def _resuming(folder, version, tickets=2):
    """A TLS server that says whether it has resumed a session, then echoes."""
    context = peer.server_context(folder)
    context.minimum_version = context.maximum_version = version
    context.num_tickets = tickets
    context.set_alpn_protocols(["http/1.1", "ftp"])

    def serve(connection):
        with context.wrap_socket(connection, server_side=True) as session:
            session.sendall(f"reused {session.session_reused}\n".encode())
            while data := session.recv(65536):
                session.sendall(data)

    return _listen(serve)


def _be_client(folder, connection):
    """Takes a line PORT NAME PROTOCOLS IDENTITY, "-" for none of the last two, and makes a TLS connection there.

    Answers with version, protocol and name of the server's certificate, then the server's line; or what went wrong.
    """
    with connection.makefile("rw") as lines:
        port, name, protocols, identity = lines.readline().split()
        context = ssl.create_default_context(cafile=folder / "ca.pem")
        if protocols != "-":
            context.set_alpn_protocols(protocols.split(","))
        if identity != "-":
            context.load_cert_chain(folder / f"{identity}-chain.pem", folder / f"{identity}.key")
        try:
            with socket.create_connection(("127.0.0.1", int(port)), SECONDS) as plain:
                with context.wrap_socket(plain, server_hostname=name) as session:
                    (((_, shown),), *_) = session.getpeercert()["subject"]
                    with session.makefile() as said:
                        line = said.readline().strip()
                    answer = f"{session.version()} {session.selected_alpn_protocol()} {shown} {line}"
        except OSError as error:
            answer = f"failed: {error}"
        lines.write(f"{answer}\n")


def _sign(folder, connection):
    """Takes a line SCHEME MESSAGE, the message in hexadecimal, and answers with the signature by the client's key."""
    with connection.makefile("rw") as lines:
        scheme, message = lines.readline().split()
        command = ["dgst", HASHES[int(scheme)], "-sign", folder / "client.key"]
        lines.write(_openssl(*command, input=bytes.fromhex(message)).hex() + "\n")


def _ca(folder, *arguments):
    _openssl("ca", "-config", folder / "ca.cnf", "-cert", folder / "ca.pem", "-keyfile", folder / "ca.key", *arguments)


def _crl(folder, name):
    _ca(folder, "-gencrl", "-out", folder / name)


def _openssl(*arguments, **options):
    command = ["openssl", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, check=True, **options).stdout
