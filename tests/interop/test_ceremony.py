"""python-tuf follows the roots of ceremonies held in tokens, and our repository publishes them."""

import json
import os
import re
import shutil
import subprocess
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest
from tuf.api.exceptions import BadVersionNumberError, UnsignedMetadataError

from conftest import WORKSPACE, binary
from follow_chain import RefusedError, follow_chain
from our_client import Client, refused
from our_repo import RepoTool, finish
from pytuf_client import update
from serving import Server, Site
from test_repo_tool_tokens import module

PROFILE = WORKSPACE / "key-ceremony/examples/profile.toml"
# Not to be found in anything else that is printed.
PIN = "q7Zt-93x"
IMAGE = "boards/a/kernel.img"


class Ceremonies:
    """Ceremonies below one folder, among people who have a token each. No terminal, JSON out."""

    def __init__(self, folder: Path, tokens: list[str]) -> None:
        self.binary = binary("key-ceremony")
        self.folder = folder
        (folder / "tokens").mkdir(parents=True)
        config = folder / "softhsm2.conf"
        config.write_text(f"directories.tokendir = {folder / 'tokens'}\nlog.level = ERROR\n")
        # Nothing of the caller's environment but where programs are, and no PIN.
        self.env = {
            "PATH": os.environ["PATH"],
            "LC_ALL": "C",
            "SOFTHSM2_CONF": str(config),
            "COUNTERSIGN_PKCS11_MODULE": str(module()),
        }
        for label in tokens:
            words = ["--init-token", "--free", "--label", label, "--so-pin", PIN, "--pin", PIN]
            util = shutil.which("softhsm2-util")
            assert util, "SoftHSM is not installed: run 'make setup'"
            subprocess.run([util, *words], env=self.env, capture_output=True, check=True)

    def run(self, *words: str | Path) -> dict:
        """Runs a command that has to succeed, with the PIN at hand; returns what it prints."""
        return self.fails(0, *words)

    def fails(self, code: int, *words: str | Path) -> dict:
        """Runs a command that has to end with an exit code; returns what it prints."""
        started = subprocess.Popen(
            [str(word) for word in (self.binary, "--format", "json", *words)],
            cwd=self.folder,
            env={**self.env, "COUNTERSIGN_PIN": PIN},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            start_new_session=True,
        )
        return finish(started, code)

    def copy(self, name: str, to: str) -> None:
        shutil.copytree(self.folder / name, self.folder / to)

    def confirmation(self, name: str) -> str:
        """What has to be typed."""
        return self.run("review", name, "--show")["confirm"]

    def make_keys(self, name: str) -> None:
        """Every holder who is asked for a key makes it; the proofs are taken in."""
        for invitation in sorted((self.folder / name / "invitations").glob("*.json")):
            proof = self.folder / f"{name}-{invitation.stem}.proof.json"
            holder, _, role = invitation.stem.partition("-")
            self.run("keygen", invitation, "--out", proof, "--confirm", f"{role}/{holder}")
            self.run("merge", name, proof)

    def sign(self, name: str, holder: str, *objects: str) -> Path:
        """A holder signs with these keys; returns the file that goes back to the lead."""
        out = self.folder / f"{name}-{holder}.signed.json"
        keys = [word for key in objects for word in ("--key", uri(holder, key))]
        self.run("sign", f"{name}/requests/sign-root.json", *keys, "--out", out,
                 "--confirm", self.confirmation(name))  # fmt: skip
        return out

    def hold(self, name: str, signers: dict[str, list[str]]) -> Path:
        """Everything after the plan; returns the sealed root."""
        self.make_keys(name)
        self.run("review", name, "--confirm", self.confirmation(name))
        for holder, objects in signers.items():
            self.run("merge", name, self.sign(name, holder, *objects))
        holder, objects = next(iter(signers.items()))
        return self.folder / self.seal(name, uri(holder, objects[-1]))["root"]

    def seal(self, name: str, key: str) -> dict:
        """A participant vouches for the transcript on a machine of their own."""
        assert self.fails(3, "seal", name)["name"] == "signatures-missing"
        request, out = f"{name}/requests/seal.json", self.folder / f"{name}.seal.json"
        confirm = self.run("sign", request, "--show")["confirm"]
        self.run("sign", request, "--key", key, "--out", out, "--confirm", confirm)
        return self.run("seal", name, out)


def uri(token: str, name: str) -> str:
    return f"pkcs11:token={token};object={name}"


# Each rotation with what 'rotate' is told, and who signs with which keys.
ROTATIONS = [
    # Chris lost the token; Dora takes over.
    (["--why", "lost", "--remove", "root/chris", "--add", f"root/dora={uri('dora', 'root')}",
      "--holder", "dora=Dora Diaz"],
     {"anna": ["root"], "ben": ["root"]}),
    # All root keys at once: two of those that leave sign the way over, and two of the new.
    (["--why", "scheduled", *(word for holder in ("anna", "ben", "dora")
                              for word in ("--add", f"root/{holder}={uri(holder, 'root-2')}"))],
     {"anna": ["root", "root-2"], "ben": ["root-2"], "dora": ["root"]}),
    # The publishing server was broken into.
    (["--why", "compromised", *(word for role in ("snapshot", "timestamp")
                                for word in ("--add", f"{role}/online={uri('online', f'{role}-2')}"))],
     {"ben": ["root-2"], "dora": ["root-2"]}),
    # Three signatures from now on, the old threshold for the last time, and no new key.
    (["--why", "scheduled", "--threshold", "root=3"],
     {holder: ["root-2"] for holder in ("anna", "ben", "dora")}),
    # The new threshold carries a rotation too.
    (["--why", "scheduled", "--add", f"targets/release={uri('release', 'targets-2')}"],
     {holder: ["root-2"] for holder in ("anna", "ben", "dora")}),
]  # fmt: skip
# Which keys of the repository are new in which version.
NEW_KEYS = {4: {"snapshot": "online", "timestamp": "online"}, 6: {"targets": "release"}}


@dataclass
class Chain:
    """The roots of sealed ceremonies in order, and the people who held them."""

    ceremonies: Ceremonies
    files: list[Path]

    @property
    def roots(self) -> list[bytes]:
        return [file.read_bytes() for file in self.files]


@pytest.fixture(scope="module")
def chain(tmp_path_factory: pytest.TempPathFactory) -> Chain:
    people = ["anna", "ben", "chris", "dora", "release", "online"]
    held = Ceremonies(tmp_path_factory.mktemp("ceremonies"), people)
    held.run("plan", PROFILE, "--out", "c1")
    files = [held.hold("c1", {"anna": ["root"], "ben": ["root"]})]
    for version, (change, signers) in enumerate(ROTATIONS, 2):
        last, name = f"c{version - 1}", f"c{version}"
        held.run("rotate", last, "--out", name, *change)
        files.append(held.hold(name, signers))
        held.run("verify", name, "--previous", files[-2])
    assert [file.name for file in files] == [f"{n}.root.json" for n in range(1, 7)]
    return Chain(held, files)


class Publisher:
    """The release engineer's repository, which starts with the first root of a chain."""

    def __init__(self, repo_tool: Path, folder: Path, chain: Chain) -> None:
        self.chain = chain
        self.tool = RepoTool(repo_tool, folder)
        self.tool.env = {**chain.ceremonies.env, "COUNTERSIGN_PIN": PIN}
        self.tool.run("init", "--root", chain.files[0],
                      "--targets-key", uri("release", "targets"),
                      "--snapshot-key", uri("online", "snapshot"),
                      "--timestamp-key", uri("online", "timestamp"))  # fmt: skip
        self.release(1)

    def release(self, number: int) -> None:
        self.tool.add(IMAGE, image(number))
        self.tool.release()

    def publish(self, version: int) -> None:
        """Publishes a root of the chain with a release."""
        words = [f"--key={role}={uri(token, f'{role}-2')}"
                 for role, token in NEW_KEYS.get(version, {}).items()]  # fmt: skip
        self.tool.run("root", "import", self.chain.files[version - 1], *words)
        self.release(version)
        assert self.tool.metadata(f"{version}.root.json") == self.chain.roots[version - 1]


def image(number: int) -> bytes:
    return f"image of release {number}".encode() * number


@pytest.fixture
def publisher(repo_tool: Path, tmp_path: Path, chain: Chain) -> Publisher:
    return Publisher(repo_tool, tmp_path / "repository", chain)


class Reference:
    """A device with python-tuf."""

    def __init__(self, folder: Path, site: Site, root: bytes) -> None:
        self.metadata, self.targets = folder / "metadata", folder / "targets"
        self.site = site
        for part in (self.metadata, self.targets):
            part.mkdir(parents=True)
        (self.metadata / "root.json").write_bytes(root)

    def fetch(self) -> bytes:
        metadata_url, targets_url = self.site.metadata_url, self.site.targets_url
        return update(self.metadata, metadata_url, targets_url, self.targets, [IMAGE])[IMAGE]

    def trusts(self) -> bytes:
        return (self.metadata / "root.json").read_bytes()


def test_every_part_of_the_chain_is_followed(chain: Chain) -> None:
    for start in range(len(chain.roots)):
        assert follow_chain(chain.roots[start:]).version == len(chain.roots)


def test_devices_follow_the_published_chain(
    publisher: Publisher,
    server: Server,
    new_client: Callable[[Site], Client],
    tmp_path: Path,
) -> None:
    """A device that saw every version, and one with the first root that sees only the last."""
    roots = publisher.chain.roots
    site = server.static(publisher.tool.published)
    faithful = Reference(tmp_path / "faithful", site, roots[0])
    assert faithful.fetch() == image(1)
    for version in range(2, len(roots) + 1):
        publisher.publish(version)
        assert faithful.fetch() == image(version)
        assert faithful.trusts() == roots[version - 1]
    for start, root in enumerate(roots):
        newcomer = Reference(tmp_path / f"newcomer{start}", site, root)
        assert newcomer.fetch() == image(len(roots))
        assert newcomer.trusts() == roots[-1]
    ours = new_client(site)
    assert ours.init(roots[0]).ok and ours.download(IMAGE).ok
    assert ours.downloaded() == [image(len(roots))] and ours.stored("root") == roots[-1]


def test_no_root_can_be_left_out(
    publisher: Publisher,
    server: Server,
    new_client: Callable[[Site], Client],
    tmp_path: Path,
) -> None:
    roots = publisher.chain.roots
    for gone in range(1, len(roots) - 1):
        with pytest.raises(RefusedError) as broken:
            follow_chain(roots[:gone] + roots[gone + 1 :])
        assert broken.value.index == gone
    for version in (2, 3):
        publisher.publish(version)
    # All that root 3 asks for have signed root 5; nothing but its version is against it.
    ahead = publisher.chain.files[4]
    assert "version 5" in publisher.tool.refuses("root-import", "root", "import", ahead)
    shutil.copy(ahead, publisher.tool.published / "metadata/4.root.json")
    site = server.static(publisher.tool.published)
    reference = Reference(tmp_path / "reference", site, roots[0])
    with pytest.raises(BadVersionNumberError):
        reference.fetch()
    assert reference.trusts() == roots[2]
    ours = new_client(site)
    assert ours.init(roots[0]).ok
    assert refused(ours.download(IMAGE), "root-version")
    assert ours.stored("root") == roots[2] and ours.downloaded() == []


def test_every_signature_is_needed(publisher: Publisher, tmp_path: Path) -> None:
    """In each ceremony the fewest that can sign did."""
    roots = publisher.chain.roots
    for version, root in enumerate(roots, 1):
        for short in one_signature_less(root):
            with pytest.raises(RefusedError) as broken:
                follow_chain([*roots[: version - 1], short])
            assert broken.value.index == version - 1
            if version > 1:
                file = tmp_path / "short.json"
                file.write_bytes(short)
                said = publisher.tool.refuses("root-import", "root", "import", file)
                assert re.search(r"[12] of [23]", said), said
        if version > 1:
            publisher.publish(version)


def test_devices_refuse_a_root_that_lacks_an_old_signature(
    publisher: Publisher,
    server: Server,
    new_client: Callable[[Site], Client],
    tmp_path: Path,
) -> None:
    """The new keys alone have signed what all devices with the old keys are offered."""
    roots = publisher.chain.roots
    old, new = (json.loads(root)["signed"]["roles"]["root"]["keyids"] for root in roots[1:3])
    assert not set(old) & set(new)
    signers = [signature["keyid"] for signature in json.loads(roots[2])["signatures"]]
    publisher.publish(2)
    publisher.publish(3)
    for gone in (keyid for keyid in signers if keyid in old):
        folder = tmp_path / gone
        shutil.copytree(publisher.tool.published, folder)
        file = folder / "metadata/3.root.json"
        file.unlink()
        file.write_bytes(without(roots[2], gone))
        site = server.static(folder)
        reference = Reference(folder / "reference", site, roots[0])
        with pytest.raises(UnsignedMetadataError):
            reference.fetch()
        assert reference.trusts() == roots[1]
        ours = new_client(site)
        assert ours.init(roots[0]).ok
        assert refused(ours.refresh(), "signature-threshold")
        assert ours.stored("root") == roots[1]


def one_signature_less(root: bytes) -> list[bytes]:
    """The file once for each of its signatures, without that."""
    keyids = [signature["keyid"] for signature in json.loads(root)["signatures"]]
    assert len(keyids) == len(set(keyids)) > 1
    return [without(root, keyid) for keyid in keyids]


def without(root: bytes, keyid: str) -> bytes:
    file = json.loads(root)
    kept = [signature for signature in file["signatures"] if signature["keyid"] != keyid]
    assert len(kept) == len(file["signatures"]) - 1
    return json.dumps({**file, "signatures": kept}).encode()
