"""Repositories in the shapes that real ones have, made with repo-tool."""

from collections.abc import Callable
from dataclasses import dataclass

from our_repo import RepoTool

CONTENT = {
    "kernel.img": b"kernel" * 20_000,
    "boot/u-boot.bin": b"\x00\x01\xfe\xff" * 1000,
    "boot/opensbi/fw_jump.bin": b"jump",
    "docs/release notes.txt": b"spaces",
    "docs/f\u00fcr K\u00f6ln/\u65e5\u672c\u8a9e \U0001f600.txt": b"beyond ASCII",
    "docs/(a+b)&c=d;,~@!.txt": b"what URLs may or may not escape",
    "empty": b"",
}


@dataclass
class OurShape:
    """How to make a repository, and what a client must find in it."""

    build: Callable[[RepoTool, str, tuple[str, ...]], dict[str, bytes]]
    kind: str = "ed25519"
    options: tuple[str, ...] = ()

    def make(self, tool: RepoTool) -> dict[str, bytes]:
        return self.build(tool, self.kind, self.options)


def flat(tool: RepoTool, kind: str, options: tuple[str, ...]) -> dict[str, bytes]:
    tool.init(kind, *options)
    for name, content in CONTENT.items():
        tool.add(name, content)
    tool.release()
    return CONTENT


def mixed(tool: RepoTool, _kind: str, options: tuple[str, ...]) -> dict[str, bytes]:
    """Keys of every kind, all made by openssl; two of three sign root, two of two targets."""
    keys = {kind: tool.outside_key(kind) for kind in ("ed25519", "ecdsa-p256", "ecdsa-p384",
                                                      "rsa-2048", "rsa-3072", "rsa-4096")}  # fmt: skip
    roles = {
        "root": ["rsa-4096", "ecdsa-p384", "ed25519"],
        "targets": ["ecdsa-p256", "rsa-3072"],
        "snapshot": ["rsa-2048"],
        "timestamp": ["ed25519"],
    }
    words = [w for role, kinds in roles.items() for k in kinds for w in (f"--{role}-key", keys[k])]
    tool.run("init", *words, "--root-threshold", "2", "--targets-threshold", "2", *options)
    for name, content in CONTENT.items():
        tool.add(name, content)
    tool.release()
    return CONTENT


def delegated(tool: RepoTool, kind: str, options: tuple[str, ...]) -> dict[str, bytes]:
    """Two teams, one with a team of its own that ends the search; the kernel stays with targets."""
    tool.init(kind, *options)
    for name, parent, words in (
        ("boot-team", "targets", ["--path", "boot/*", "--path", "boot/*/*"]),
        ("sbi-team", "boot-team", ["--path", "boot/opensbi/*", "--terminating"]),
        ("docs.team", "targets", ["--path", "docs/*", "--path", "docs/*/*"]),
    ):
        tool.run("delegation", "add", name, "--from", parent, "--key", tool.key_of(kind), *words)
    owners = {"boot/u-boot.bin": "boot-team", "boot/opensbi/fw_jump.bin": "sbi-team"}
    for name, content in CONTENT.items():
        owner = "docs.team" if name.startswith("docs/") else owners.get(name, "targets")
        tool.add(name, content, "--role", owner)
    tool.release()
    return CONTENT


def terminating(tool: RepoTool, kind: str, options: tuple[str, ...]) -> dict[str, bytes]:
    """Two teams list one path; the search ends with the first."""
    tool.init(kind, *options)
    for name, words in (("first", ["--terminating"]), ("second", [])):
        key = tool.key_of(kind)
        tool.run("delegation", "add", name, "--key", key, "--path", "fw/*", *words)
    tool.add("fw/shared", b"of the first", "--role", "first")
    tool.add("fw/shared", b"of the second", "--role", "second")
    tool.release()
    return {"fw/shared": b"of the first"}


def bins(tool: RepoTool, kind: str, options: tuple[str, ...]) -> dict[str, bytes]:
    """Sixteen bins, in the style that the first option names."""
    style, *rest = options
    tool.init(kind, *rest)
    tool.run("bins", "16", "--style", style, "--key", tool.key_of(kind))
    for name, content in CONTENT.items():
        tool.add(name, content)
    tool.release()
    return CONTENT


def bins_of_a_team(tool: RepoTool, kind: str, options: tuple[str, ...]) -> dict[str, bytes]:
    """Succinct bins below a delegated role, which images were in already."""
    tool.init(kind, *options)
    key = tool.key_of(kind)
    tool.run("delegation", "add", "team", "--key", key, "--path", "boot/*")
    tool.add("boot/u-boot.bin", b"boot", "--role", "team")
    tool.add("kernel.img", b"kernel")
    tool.release()
    tool.run("bins", "4", "--from", "team", "--prefix", "team-bin", "--key", key)
    tool.add("boot/second", b"boot 2", "--role", "team")
    tool.release()
    return {"boot/u-boot.bin": b"boot", "boot/second": b"boot 2", "kernel.img": b"kernel"}


def custom(tool: RepoTool, kind: str, options: tuple[str, ...]) -> dict[str, bytes]:
    tool.init(kind, *options)
    data = b'{"vendor": {"board": "r\xc3\xb6d", "revisions": [1, 2], "signed": false}, "n": null}'
    tool.add("kernel.img", b"kernel", "--custom", tool.image(data, "custom.json"))
    tool.release()
    return {"kernel.img": b"kernel"}


def rotated(tool: RepoTool, kind: str, options: tuple[str, ...]) -> dict[str, bytes]:
    """Every online key replaced, one role at a time, then root twice; 2-of-3 at the end."""
    found = flat(tool, kind, options)
    for role in ("timestamp", "snapshot", "targets", "root", "root"):
        tool.replace_key(role, kind)
        tool.release()
    for _ in range(2):
        tool.run("root", "add-key", "root", tool.key_of(kind))
    tool.run("root", "set-threshold", "root", "2")
    tool.release()
    return found


PLAIN = ("--no-consistent-snapshot",)

OUR_SHAPES = {
    "flat, Ed25519": OurShape(flat),
    "flat, ECDSA P-256": OurShape(flat, "ecdsa-p256"),
    "flat, ECDSA P-384": OurShape(flat, "ecdsa-p384"),
    "flat, RSA 2048": OurShape(flat, "rsa-2048"),
    "mixed keys, thresholds of 2": OurShape(mixed),
    "flat, no consistent snapshot": OurShape(flat, options=PLAIN),
    "flat, lengths only": OurShape(flat, options=("--lists", "lengths")),
    "flat, versions only": OurShape(flat, options=("--lists", "versions")),
    "delegated, Ed25519": OurShape(delegated),
    "delegated, ECDSA P-256": OurShape(delegated, "ecdsa-p256"),
    "delegated, RSA 2048": OurShape(delegated, "rsa-2048"),
    "delegated, no consistent snapshot": OurShape(delegated, options=PLAIN),
    "terminating": OurShape(terminating),
    "prefix bins": OurShape(bins, options=("prefixes",)),
    "prefix bins, no consistent snapshot": OurShape(bins, options=("prefixes", *PLAIN)),
    "succinct bins": OurShape(bins, options=("succinct",)),
    "succinct bins, no consistent snapshot": OurShape(bins, options=("succinct", *PLAIN)),
    "succinct bins of a team": OurShape(bins_of_a_team),
    "custom data": OurShape(custom),
    "rotated, ECDSA P-384": OurShape(rotated, "ecdsa-p384"),
    "rotated, no consistent snapshot": OurShape(rotated, options=PLAIN),
}
