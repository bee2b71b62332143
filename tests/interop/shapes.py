"""Repositories in the shapes that real ones have, for clients of either make."""

import hashlib
from collections.abc import Callable
from dataclasses import dataclass, field

from pytuf_repo import Repo

CONTENT = {
    "kernel.img": b"kernel" * 20_000,
    "boot/u-boot.bin": b"\x00\x01\xfe\xff" * 1000,
    "boot/opensbi/fw_jump.bin": b"jump",
    "docs/release notes.txt": b"spaces and \xc3\xbcmlauts",
}


@dataclass
class Shape:
    """A published repository: how to make it, and what a client must find in it."""

    build: Callable[[Repo], dict[str, bytes]]
    kind: str = "ed25519"
    options: dict = field(default_factory=dict)

    def make(self) -> tuple[Repo, dict[str, bytes]]:
        repo = Repo(self.kind, **self.options)
        return repo, self.build(repo)


def flat(repo: Repo) -> dict[str, bytes]:
    for path, content in CONTENT.items():
        repo.add_file(path, content)
    repo.publish_targets()
    return CONTENT


def delegated(repo: Repo) -> dict[str, bytes]:
    """Two teams, one with a team of its own; the kernel stays with targets."""
    repo.delegate("targets", "boot-team", ["boot/*", "boot/*/*"])
    repo.delegate("boot-team", "sbi-team", ["boot/opensbi/*"], terminating=True)
    repo.delegate("targets", "docs team", ["docs/*"])
    owners = {"boot/u-boot.bin": "boot-team", "boot/opensbi/fw_jump.bin": "sbi-team",
              "docs/release notes.txt": "docs team"}  # fmt: skip
    for path, content in CONTENT.items():
        repo.add_file(path, content, role=owners.get(path, "targets"))
    repo.publish_targets("boot-team", "sbi-team", "docs team")
    return CONTENT


def hash_bins(repo: Repo) -> dict[str, bytes]:
    """Sixteen roles by the first digit of the path's hash."""
    for digit in "0123456789abcdef":
        repo.delegate("targets", f"bin-{digit}", hash_prefixes=[digit])
    for path, content in CONTENT.items():
        repo.add_file(path, content, role=f"bin-{hashlib.sha256(path.encode()).hexdigest()[0]}")
    repo.publish_targets(*(f"bin-{digit}" for digit in "0123456789abcdef"))
    return CONTENT


def succinct_bins(repo: Repo) -> dict[str, bytes]:
    """TAP 15."""
    succinct = repo.delegate_succinct("targets", 4, "bin")
    for path, content in CONTENT.items():
        repo.add_file(path, content, role=succinct.get_role_for_target(path))
    repo.publish_targets(*succinct.get_roles())
    return CONTENT


def rotated(repo: Repo) -> dict[str, bytes]:
    """Every key was replaced since the client's root, the root key twice; 2-of-3 at the end."""
    found = flat(repo)
    for role in ("timestamp", "snapshot", "targets"):
        repo.rotate(role)
    for _ in range(2):
        old = repo.signers["root"]
        repo.rotate("root")
        own = repo.signers["root"]
        repo.signers["root"] = old + own
        repo.publish("root")
        repo.signers["root"] = own
    repo.add_key("root")
    repo.add_key("root")
    repo.root.roles["root"].threshold = 2
    repo.publish("root")
    repo.publish_targets()
    return found


PLAIN = {"consistent_snapshot": False}
HASHED = {"meta_hashes": True}

SHAPES = {
    "flat, Ed25519": Shape(flat),
    "flat, ECDSA P-256": Shape(flat, "ecdsa-p256"),
    "flat, ECDSA P-384": Shape(flat, "ecdsa-p384"),
    "flat, RSA 2048": Shape(flat, "rsa-2048"),
    "flat, RSA 3072": Shape(flat, "rsa-3072"),
    "flat, no consistent snapshot": Shape(flat, options=PLAIN),
    "flat, hashes of metadata": Shape(flat, options=HASHED),
    "delegated, Ed25519": Shape(delegated),
    "delegated, ECDSA P-256": Shape(delegated, "ecdsa-p256", HASHED),
    "delegated, RSA 2048": Shape(delegated, "rsa-2048"),
    "delegated, no consistent snapshot": Shape(delegated, options=PLAIN | HASHED),
    "hash bins": Shape(hash_bins, options=HASHED),
    "succinct bins": Shape(succinct_bins),
    "succinct bins, ECDSA P-256": Shape(succinct_bins, "ecdsa-p256", HASHED),
    "rotated, Ed25519": Shape(rotated),
    "rotated, RSA 2048": Shape(rotated, "rsa-2048"),
    "rotated, no consistent snapshot": Shape(rotated, options=PLAIN),
}
