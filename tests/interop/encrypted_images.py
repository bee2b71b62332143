"""Encrypted images as docs/encrypted-images.md describes them: a second implementation."""

import hashlib
import io
import json
import os
from typing import Any

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, EllipticCurvePublicKey
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PublicKey
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hpke import AEAD, KDF, KEM, Suite
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

PIECE = 65536
MAGIC = bytes.fromhex("4353454e43000001") + b"\x00\x01"
P256 = ("ecdh-nistp256", "hpke-p256-hkdfsha256-aes256gcm", KEM.P256, 65)
X25519 = ("x25519", "hpke-x25519-hkdfsha256-aes256gcm", KEM.X25519, 32)


def describe(content: bytes) -> dict[str, Any]:
    hashes = {name: hashlib.new(name, content).hexdigest() for name in ("sha256", "sha512")}
    return {"length": len(content), "hashes": hashes}


def _nonce(header: bytes, number: int, last: bool) -> bytes:
    return header[10:17] + number.to_bytes(4, "big") + (b"\x01" if last else b"\x00")


def encrypt(image: bytes) -> tuple[bytes, bytes]:
    """The content key and the encrypted image."""
    key = os.urandom(32)
    header = MAGIC + os.urandom(7) + bytes(15)
    pieces = [image[at : at + PIECE] for at in range(0, len(image), PIECE)] or [b""]
    aad = hashlib.sha256(header).digest()
    out = [header]
    for number, piece in enumerate(pieces):
        nonce = _nonce(header, number, number == len(pieces) - 1)
        out.append(AESGCM(key).encrypt(nonce, piece, aad))
    return key, b"".join(out)


def decrypt(key: bytes, encrypted: bytes) -> bytes:
    """The image, or InvalidTag or ValueError."""
    source = io.BytesIO(encrypted)
    header = source.read(32)
    if header[:10] != MAGIC or header[17:] != bytes(15):
        raise ValueError("header")
    aad = hashlib.sha256(header).digest()
    image, number = [], 0
    while True:
        segment = source.read(PIECE + 16)
        last = source.tell() == len(encrypted)
        if len(segment) < 16 or (len(segment) == 16 and number > 0):
            raise ValueError("length")
        image.append(AESGCM(key).decrypt(_nonce(header, number, last), segment, aad))
        if last:
            return b"".join(image)
        number += 1


def canonical(value: Any) -> bytes:
    """Enough of canonical JSON for texts without control characters."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()


def public_json(public: EllipticCurvePublicKey | X25519PublicKey) -> dict[str, Any]:
    if isinstance(public, X25519PublicKey):
        (keytype, scheme, _, _), raw = X25519, public.public_bytes_raw()
    else:
        (keytype, scheme, _, _), raw = P256, public.public_bytes(Encoding.X962, PublicFormat.UncompressedPoint)
    return {"keytype": keytype, "scheme": scheme, "keyval": {"public": raw.hex()}}


def key_id(public: dict[str, Any]) -> str:
    return hashlib.sha256(canonical(public)).hexdigest()


def _suite(public: dict[str, Any]) -> tuple[Suite, int]:
    kem, length = next((kem, length) for keytype, _, kem, length in (P256, X25519) if keytype == public["keytype"])
    return Suite(kem, KDF.HKDF_SHA256, AEAD.AES_256_GCM), length


def wrap(content_key: bytes, public: dict[str, Any], context: dict[str, Any]) -> dict[str, str]:
    suite, length = _suite(public)
    raw = bytes.fromhex(public["keyval"]["public"])
    if public["keytype"] == "x25519":
        recipient = X25519PublicKey.from_public_bytes(raw)
    else:
        recipient = EllipticCurvePublicKey.from_encoded_point(SECP256R1(), raw)
    sealed = suite.encrypt(content_key, recipient, info=info(context))
    return {"keyid": key_id(public), "enc": sealed[:length].hex(), "ct": sealed[length:].hex()}


def unwrap(wrapped: dict[str, str], private: Any, context: dict[str, Any]) -> bytes:
    public = public_json(private.public_key())
    assert wrapped["keyid"] == key_id(public)
    suite, _ = _suite(public)
    return suite.decrypt(bytes.fromhex(wrapped["enc"] + wrapped["ct"]), private, info=info(context))


def info(context: dict[str, Any]) -> bytes:
    return canonical({"format": "countersign-content-key-v1", **context})


__all__ = ["InvalidTag", "decrypt", "describe", "encrypt", "public_json", "unwrap", "wrap"]
