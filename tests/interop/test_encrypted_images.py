"""Images encrypted and keys wrapped by us and by a second implementation (OpenSSL's AES-GCM and HPKE)."""

import json
import os
import random
import subprocess
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

import encrypted_images as peer
from conftest import binary
from our_repo import RepoTool
from test_repo_tool_tokens import Tokens

SIZES = [0, 1, 65535, 65536, 65537, 131072, 200_000]


class Ours:
    """countersign-encryption's example program."""

    def __init__(self, folder: Path, env: dict[str, str]) -> None:
        self.folder = folder
        self.env = env
        self.program = binary("examples/image-crypt")

    def ask(self, do: str, **request: Any) -> dict[str, Any]:
        text = json.dumps({"do": do, **request})
        done = subprocess.run([self.program], input=text, env=self.env, cwd=self.folder,
                              capture_output=True, text=True, check=True)  # fmt: skip
        return json.loads(done.stdout)

    def refusal(self, do: str, **request: Any) -> str:
        answer = self.ask(do, **request)
        assert list(answer) == ["error"], answer
        return answer["error"]


@pytest.fixture
def ours(tool: RepoTool, tmp_path: Path) -> Ours:
    return Ours(tmp_path, tool.env)


@pytest.fixture
def tokens(tool: RepoTool, tmp_path: Path) -> Tokens:
    made = Tokens(tool, tmp_path / "hsm")
    made.token("ecu")
    return made


def image(size: int) -> bytes:
    return random.Random(size).randbytes(size)


@pytest.mark.parametrize("size", SIZES)
def test_what_we_encrypt_is_decrypted_elsewhere(ours: Ours, tmp_path: Path, size: int) -> None:
    plain = image(size)
    (tmp_path / "image").write_bytes(plain)
    made = ours.ask("encrypt", **{"in": "image", "out": "image.enc"})
    encrypted = (tmp_path / "image.enc").read_bytes()
    assert made["plaintext"] == peer.describe(plain)
    assert made["ciphertext"] == peer.describe(encrypted)
    assert peer.decrypt(bytes.fromhex(made["key"]), encrypted) == plain


@pytest.mark.parametrize("size", SIZES)
def test_what_is_encrypted_elsewhere_we_decrypt(ours: Ours, tmp_path: Path, size: int) -> None:
    plain = image(size)
    key, encrypted = peer.encrypt(plain)
    (tmp_path / "image.enc").write_bytes(encrypted)
    request = {"in": "image.enc", "out": "image", "key": key.hex(), "length": len(encrypted)}
    assert ours.ask("decrypt", **request) == {}
    assert (tmp_path / "image").read_bytes() == plain


@pytest.mark.parametrize("change", ["bit", "cut", "more", "header", "key"])
def test_both_refuse_the_same(ours: Ours, tmp_path: Path, change: str) -> None:
    key, good = peer.encrypt(image(100_000))
    encrypted = bytearray(good)
    match change:
        case "bit":
            encrypted[70_000] ^= 1
        case "cut":
            del encrypted[32 + 65552 :]
        case "more":
            encrypted += bytes(65552)
        case "header":
            encrypted[31] = 1
        case "key":
            key = os.urandom(32)
    with pytest.raises((peer.InvalidTag, ValueError)):
        peer.decrypt(key, bytes(encrypted))
    (tmp_path / "image.enc").write_bytes(encrypted)
    # Metadata states the length of the file, or the one that it had.
    for length in (len(encrypted), len(good)):
        ours.refusal("decrypt", **{"in": "image.enc", "out": "image", "key": key.hex(), "length": length})


def context(**other: Any) -> dict[str, Any]:
    return {
        "vin": "WVWZZZ1JZXW000001",
        "serial": "brake-0001",
        "filename": "bremse/gr\u00fcn 2.0.img",
        "releaseCounter": 7,
        "method": "aes-256-gcm-64k",
        "plaintext": peer.describe(b"plain"),
        "ciphertext": peer.describe(b"cipher"),
        **other,
    }


@pytest.mark.parametrize("make", [lambda: ec.generate_private_key(ec.SECP256R1()), X25519PrivateKey.generate])
def test_what_we_wrap_is_unwrapped_elsewhere(ours: Ours, make: Any) -> None:
    private = make()
    key = os.urandom(32)
    wrapped = ours.ask("wrap", key=key.hex(), recipient=peer.public_json(private.public_key()), context=context())
    assert peer.unwrap(wrapped, private, context()) == key
    with pytest.raises(peer.InvalidTag):
        peer.unwrap(wrapped, private, context(serial="brake-0002"))


def unwraps(ours: Ours, private: str, public: dict[str, Any]) -> None:
    """We unwrap with the key at the URI `private` what is wrapped elsewhere, and only for this ECU."""
    key = os.urandom(32)
    wrapped = peer.wrap(key, public, context())
    assert ours.ask("unwrap", private=private, wrapped=wrapped, context=context()) == {"key": key.hex()}
    for other in (
        {"vin": "WVWZZZ1JZXW000002"},
        {"serial": "brake-0002"},
        {"releaseCounter": 8},
        {"plaintext": peer.describe(b"other")},
    ):
        refusal = ours.refusal("unwrap", private=private, wrapped=wrapped, context=context(**other))
        assert "another vehicle, ECU, image or release" in refusal


def test_we_unwrap_with_an_x25519_key_of_openssl(ours: Ours, tmp_path: Path) -> None:
    private = X25519PrivateKey.generate()
    file = tmp_path / "x25519.pem"
    file.touch(mode=0o600)
    file.write_bytes(private.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    unwraps(ours, "file:x25519.pem", peer.public_json(private.public_key()))


@pytest.mark.parametrize("kind", ["p256-decryption", "x25519-decryption"])
def test_we_unwrap_with_a_key_in_a_file(ours: Ours, tool: RepoTool, tmp_path: Path, kind: str) -> None:
    uri = f"file:{tmp_path}/ecu.pem?encryption=none"
    made = tool.run("key", "generate", uri, "--algorithm", kind)
    unwraps(ours, uri, made["public"])


def test_we_unwrap_with_a_key_that_stays_in_its_token(ours: Ours, tool: RepoTool, tokens: Tokens) -> None:
    uri = tokens.uri("ecu", "decrypt")
    made = tool.run("key", "generate", uri, "--algorithm", "p256-decryption")
    unwraps(ours, uri, made["public"])
    # The ECU's signing key does not decrypt.
    signing = tokens.generate("ecu", "sign", "ecdsa-p256")
    wrapped = peer.wrap(os.urandom(32), made["public"], context())
    refusal = ours.refusal("unwrap", private=signing, wrapped=wrapped, context=context())
    assert "one key for both is refused" in refusal
