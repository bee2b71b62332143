"""Signing keys of every kind the tests need, made once per process.

RSA keys take long to generate, so a key is named by kind and number and kept. Callers get
their own copy of the public half, because some tests edit it.
"""

from copy import deepcopy
from functools import cache

from cryptography.hazmat.primitives.asymmetric import ec
from securesystemslib.signer import CryptoSigner, SSlibKey

KINDS = ["ed25519", "ecdsa-p256", "ecdsa-p384", "rsa-2048", "rsa-3072"]


def signer(kind: str, number: int) -> CryptoSigner:
    """The `number`th key of `kind` (one of KINDS)."""
    made = _make(kind, number)
    return CryptoSigner(made._private_key, deepcopy(made.public_key))


def with_keytype(original: CryptoSigner, keytype: str) -> CryptoSigner:
    """The same key, described with another TUF `keytype` string."""
    key = original.public_key
    respelled = SSlibKey(key.keyid, keytype, key.scheme, key.keyval)
    return CryptoSigner(original._private_key, respelled)


def with_keyid(original: CryptoSigner, keyid: str) -> CryptoSigner:
    """The same key under another key id."""
    key = original.public_key
    renamed = SSlibKey(keyid, key.keytype, key.scheme, key.keyval)
    return CryptoSigner(original._private_key, renamed)


@cache
def _make(kind: str, _number: int) -> CryptoSigner:
    if kind == "ed25519":
        return CryptoSigner.generate_ed25519()
    if kind == "ecdsa-p256":
        return CryptoSigner.generate_ecdsa()
    if kind == "ecdsa-p384":
        private = ec.generate_private_key(ec.SECP384R1())
        public = SSlibKey.from_crypto(private.public_key(), scheme="ecdsa-sha2-nistp384")
        return CryptoSigner(private, public)
    if kind.startswith("rsa-"):
        return CryptoSigner.generate_rsa(size=int(kind.removeprefix("rsa-")))
    raise ValueError(f"no such kind of key: {kind}")
