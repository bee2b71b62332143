"""A real director process, with an Image repository and a device PKI to start with."""

import datetime
import ipaddress
import json
import sqlite3
import subprocess
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from securesystemslib.signer import CryptoSigner, Key
from tuf.api.metadata import Metadata, Root
from tuf.api.serialization.json import JSONSerializer

from our_repo import RepoTool

VEHICLE = "WVWZZZ1JZXW000001"
ECU = "BRAKE-1"
IMAGE = "brake/3.1.img"
# Unix time of nothing in particular, for rows that are put into the database.
SINCE = 1_900_000_000


class Director:
    """Its folder, its commands, and the process that serves."""

    def __init__(self, binary: Path, folder: Path, images: RepoTool) -> None:
        self.binary = binary
        self.folder = folder
        self.images = images
        self.url = ""
        self._process: subprocess.Popen | None = None
        root = images.published / "metadata" / "1.root.json"
        url = images.published.as_uri()
        self.run("init", folder, "--image-url", url, "--image-root", root, "--generate-keys")
        write_pki(folder / "tls")
        self._raise_limits()

    def run(self, *words: str | Path, code: int = 0, env: dict[str, str] | None = None) -> dict:
        """A command, and the object that it prints."""
        settings = self.folder / "director.toml"
        command = [self.binary, "--config", settings, "--format", "json", *words]
        done = subprocess.run(
            [str(word) for word in command],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            env=env or {},
            timeout=60,
            check=False,
        )
        said = f"{command}\nstdout: {done.stdout.decode()}\nstderr: {done.stderr.decode()}"
        assert done.returncode == code, f"exit code {done.returncode}, not {code}: {said}"
        return json.loads(done.stdout)

    def ask(self, token: Path, *words: str | Path, code: int = 0) -> dict:
        """A command that asks the admin API."""
        return self.run(*words, "--url", self.url, "--token-file", token, code=code)

    def token(self, name: str, *scopes: str, tenant: str | None = None) -> Path:
        """A file with a new token."""
        path = self.folder / f"{name}.token"
        words = [word for scope in scopes for word in ("--scope", scope)]
        words += ["--tenant", tenant] if tenant else []
        self.run("token", "create", name, *words, "--out", path)
        return path

    def import_root(self) -> None:
        """A first Root that lists the keys of its settings."""
        holder = CryptoSigner.generate_ed25519()
        time = self._key("time")
        server = {"keys": {time.keyid: time.to_dict()}, "threshold": 1}
        expires = datetime.datetime.now(datetime.UTC) + datetime.timedelta(days=365)
        root = Root(
            expires=expires.replace(microsecond=0),
            consistent_snapshot=True,
            unrecognized_fields={"custom": {"timeServer": server}},
        )
        root.add_key(holder.public_key, "root")
        for role in ("targets", "snapshot", "timestamp"):
            root.add_key(self._key(role), role)
        file = Metadata(root)
        file.sign(holder)
        path = self.folder / "1.root.json"
        path.write_bytes(file.to_bytes(JSONSerializer()))
        self.run("root", "import", path)

    def _key(self, role: str) -> Key:
        uri = f"file:{self.folder}/keys/{role}.pem?encryption=none"
        shown = self.images.run("key", "show", uri)
        return Key.from_dict(shown["keyid"], shown["public"])

    def put_vehicle(self, vin: str, ecu: str, hardware: str) -> None:
        """A registered vehicle, as a row: what it takes to register one is tested elsewhere."""
        key = '{"keytype":"ed25519","keyval":{"public":"%s"},"scheme":"ed25519"}' % ("5a" * 32)
        with sqlite3.connect(self.folder / "director.sqlite") as database:
            database.execute(
                "INSERT INTO vehicles (vin, tenant, primary_serial, registered, revision, desk,"
                " signed_root, due, skip) VALUES (?, 'fleet-a', ?, ?, 0, '', 0, 0, 0)",
                (vin, ecu, SINCE),
            )
            database.execute(
                "INSERT INTO ecus (serial, vin, hardware_id, signing_key, signing_keyid)"
                " VALUES (?, ?, ?, ?, 'none')",
                (ecu, vin, hardware, key),
            )

    def start(self) -> None:
        """Serves until `stop`."""
        log = (self.folder / "log").open("ab")
        command = [
            self.binary, "--config", self.folder / "director.toml", "serve",
            "--listen", "127.0.0.1:0", "--admin-listen", "127.0.0.1:0",
        ]  # fmt: skip
        self._process = subprocess.Popen(
            [str(word) for word in command],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=log,
            text=True,
            env={"RUST_LOG": "warn"},
        )
        while not self.url:
            line = self._process.stdout.readline()
            assert line, f"the director has ended: {(self.folder / 'log').read_text()}"
            if line.startswith("admin listening on "):
                self.url = f"http://{line.split()[-1]}/"

    def stop(self) -> int:
        """Ends it as an init system would; its exit code."""
        self._process.terminate()
        return self._process.wait(timeout=60)

    def _raise_limits(self) -> None:
        settings = self.folder / "director.toml"
        text = settings.read_text()
        text = text.replace("requests_per_minute = 600", "requests_per_minute = 1000000")
        settings.write_text(text.replace("burst = 200", "burst = 100000"))


def write_pki(folder: Path) -> None:
    """A device authority with an empty revocation list, and a server certificate."""
    now = datetime.datetime.now(datetime.UTC)
    end = now + datetime.timedelta(days=365)
    ca_key, server_key = (ec.generate_private_key(ec.SECP256R1()) for _ in range(2))
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "Device CA")])
    ski = x509.SubjectKeyIdentifier.from_public_key(ca_key.public_key())
    aki = x509.AuthorityKeyIdentifier.from_issuer_subject_key_identifier(ski)

    def build(subject: x509.Name, key: ec.EllipticCurvePrivateKey) -> x509.CertificateBuilder:
        begin = now - datetime.timedelta(hours=1)
        serial = x509.random_serial_number()
        builder = x509.CertificateBuilder(name, subject, key.public_key(), serial, begin, end)
        return builder.add_extension(aki, critical=False)

    usage = dict.fromkeys(
        ("digital_signature", "content_commitment", "key_encipherment", "data_encipherment",
         "key_agreement", "key_cert_sign", "crl_sign", "encipher_only", "decipher_only"),
        False,
    )  # fmt: skip
    signs = x509.KeyUsage(**{**usage, "key_cert_sign": True, "crl_sign": True})
    ca = (
        build(name, ca_key)
        .add_extension(ski, critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(signs, critical=True)
        .sign(ca_key, hashes.SHA256())
    )
    here = x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))])
    server = build(x509.Name([]), server_key).add_extension(here, critical=True)
    server = server.sign(ca_key, hashes.SHA256())
    revoked = x509.CertificateRevocationListBuilder(name, now, end)
    revoked = revoked.add_extension(aki, critical=False)
    revoked = revoked.add_extension(x509.CRLNumber(1), critical=False)
    revoked = revoked.sign(ca_key, hashes.SHA256())
    pem = serialization.Encoding.PEM
    key = server_key.private_bytes(
        pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    (folder / "server.pem").write_bytes(server.public_bytes(pem))
    (folder / "server.key").write_bytes(key)
    (folder / "server.key").chmod(0o600)
    (folder / "device-ca.pem").write_bytes(ca.public_bytes(pem))
    (folder / "device-ca.crl.pem").write_bytes(revoked.public_bytes(pem))
