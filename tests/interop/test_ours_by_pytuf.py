"""python-tuf accepts what repo-tool publishes: its client, and its metadata API file by file."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import load_pem_private_key, load_pem_public_key
from securesystemslib.formats import encode_canonical
from securesystemslib.signer import CryptoSigner, Key, SSlibKey
from tuf.api.exceptions import DownloadError, RepositoryError
from tuf.api.metadata import Metadata, Root, Snapshot, Targets, Timestamp

from our_client import Client
from our_repo import RepoTool
from our_shapes import OUR_SHAPES, OurShape
from pytuf_client import update
from serving import Server, Site

Made = tuple[RepoTool, dict[str, bytes]]


class Tree:
    """A published tree, read with python-tuf's metadata API."""

    def __init__(self, folder: Path) -> None:
        self.files = {
            file.name: file.read_bytes() for file in sorted((folder / "metadata").iterdir())
        }
        self.parsed = {name: Metadata.from_bytes(data) for name, data in self.files.items()}

    def roots(self) -> list[Metadata[Root]]:
        count = sum(name.endswith(".root.json") for name in self.files)
        return [self.parsed[f"{version}.root.json"] for version in range(1, count + 1)]

    def current(self, role: str, version: int) -> tuple[str, Metadata]:
        """The file that a client is to ask for, with its name."""
        prefix = f"{version}." if self.roots()[-1].signed.consistent_snapshot else ""
        name = f"{prefix}{role}.json"
        return name, self.parsed[name]

    def delegations(self) -> dict[str, Targets]:
        """The current delegated roles and who delegates to each; each is verified on the way."""
        snapshot = self.snapshot().signed
        _, top = self.current("targets", snapshot.meta["targets.json"].version)
        found: dict[str, Targets] = {}
        waiting = [top.signed]
        while waiting:
            parent = waiting.pop()
            for role in names_of(parent):
                name, child = self.current(role, snapshot.meta[f"{role}.json"].version)
                snapshot.meta[f"{role}.json"].verify_length_and_hashes(self.files[name])
                assert child.signed.version == snapshot.meta[f"{role}.json"].version
                parent.verify_delegate(role, child.signed_bytes, child.signatures)
                found[role] = parent
                waiting.append(child.signed)
        return found

    def snapshot(self) -> Metadata[Snapshot]:
        timestamp = self.parsed["timestamp.json"].signed
        return self.current("snapshot", timestamp.snapshot_meta.version)[1]


def names_of(parent: Targets) -> list[str]:
    if parent.delegations is None:
        return []
    if parent.delegations.succinct_roles is not None:
        return list(parent.delegations.succinct_roles.get_roles())
    return list(parent.delegations.roles)


def keyid_by_securesystemslib(key: Key) -> str:
    """The id that securesystemslib gives to the bare public key, whatever stands around it."""
    text = key.keyval["public"]
    if key.keytype == "ed25519":
        public = Ed25519PublicKey.from_public_bytes(bytes.fromhex(text))
    else:
        public = load_pem_public_key(text.encode())
    return SSlibKey.from_crypto(public, scheme=key.scheme).keyid


class Follower:
    """An installed python-tuf client, which can be copied with all it trusts."""

    def __init__(self, folder: Path, site: Site, trusted: dict[str, bytes]) -> None:
        self._site = site
        self._metadata = folder / "metadata"
        self._targets = folder / "targets"
        self._metadata.mkdir(parents=True)
        self._targets.mkdir()
        for name, data in trusted.items():
            (self._metadata / name).write_bytes(data)

    def update(self, names: list[str]) -> dict[str, bytes]:
        urls = self._site.metadata_url, self._site.targets_url
        return update(self._metadata, *urls, self._targets, names)

    def trusted(self) -> dict[str, bytes]:
        return {file.name: file.read_bytes() for file in self._metadata.glob("*.json")}


@pytest.fixture(scope="module", params=OUR_SHAPES.values(), ids=OUR_SHAPES.keys())
def made(
    request: pytest.FixtureRequest, repo_tool: Path, tmp_path_factory: pytest.TempPathFactory
) -> Made:
    """A repository of each shape and what it must hold; tests only read it."""
    shape: OurShape = request.param
    tool = RepoTool(repo_tool, tmp_path_factory.mktemp("made") / "repository")
    return tool, shape.make(tool)


def test_both_clients_download_everything(
    server: Server, new_client: Callable[[Site], Client], made: Made, tmp_path: Path
) -> None:
    tool, expected = made
    site = server.static(tool.published)
    first_root = {"root.json": tool.metadata("1.root.json")}
    theirs = Follower(tmp_path / "theirs", site, first_root)
    assert theirs.update(list(expected)) == expected
    with pytest.raises(KeyError):
        theirs.update(["kernel.im"])
    ours = new_client(site)
    assert ours.init(first_root["root.json"]).ok
    downloaded = ours.download(*expected)
    assert downloaded.ok, downloaded
    assert ours.downloaded() == sorted(expected.values())
    verified = tool.run("verify")
    assert verified["images"] >= len(expected)


def test_every_file_verifies_with_the_metadata_api(made: Made) -> None:
    tool, expected = made
    tree = Tree(tool.published)
    for name, data in tree.files.items():
        document = json.loads(data)
        # Canonical form holds newlines as they are, JSON text cannot.
        canonical = encode_canonical(document["signed"]).replace("\n", "\\n").encode()
        assert canonical in data, f"{name} is not canonical"
        assert not tree.parsed[name].unrecognized_fields, name
        assert tree.parsed[name].to_dict() == document, name
    roots = tree.roots()
    for earlier, later in zip([roots[0], *roots], roots, strict=False):
        for root in (earlier, later):
            root.verify_delegate("root", later)
    for role, file in (
        ("timestamp", tree.parsed["timestamp.json"]),
        ("snapshot", tree.snapshot()),
        ("targets", tree.current("targets", tree.snapshot().signed.meta["targets.json"].version)[1]),
    ):
        roots[-1].signed.verify_delegate(role, file.signed_bytes, file.signatures)
    delegations = tree.delegations()
    listed = {name.removesuffix(".json") for name in tree.snapshot().signed.meta}
    assert listed == {"targets", *delegations}
    keys = [root.signed.keys for root in roots]
    keys += [parent.delegations.keys for parent in delegations.values()]
    for keyid, key in ((keyid, key) for some in keys for keyid, key in some.items()):
        assert keyid_by_securesystemslib(key) == keyid
    files = [f.signed.targets for f in tree.parsed.values() if isinstance(f.signed, Targets)]
    for path, content in expected.items():
        found = [targets[path] for targets in files if path in targets]
        assert found, path
        found[0].verify_length_and_hashes(content)


def test_what_snapshot_and_timestamp_list(repo_tool: Path, tmp_path: Path) -> None:
    for lists, length, hashes in (
        ("hashes", True, True),
        ("lengths", True, False),
        ("versions", False, False),
    ):
        tool = RepoTool(repo_tool, tmp_path / lists)
        OUR_SHAPES["flat, Ed25519"].build(tool, "ed25519", ("--lists", lists))
        tree = Tree(tool.published)
        timestamp: Timestamp = tree.parsed["timestamp.json"].signed
        for meta in (timestamp.snapshot_meta, *tree.snapshot().signed.meta.values()):
            assert (meta.length is not None, bool(meta.hashes)) == (length, hashes)


def test_custom_data_arrives(tool: RepoTool) -> None:
    OUR_SHAPES["custom data"].make(tool)
    _, targets = Tree(tool.published).current("targets", 1)
    assert targets.signed.targets["kernel.img"].custom == {
        "vendor": {"board": "röd", "revisions": [1, 2], "signed": False},
        "n": None,
    }


def test_an_image_that_no_client_would_find_is_not_published(tool: RepoTool) -> None:
    """The first team ends the search, so what only the second lists would be lost."""
    OUR_SHAPES["terminating"].make(tool)
    tool.add("fw/hidden", b"of the second", "--role", "second")
    tool.run("sign")
    message = tool.refuses("refused-by-verifier", "publish")
    assert "target-not-found" in message and "fw/hidden" in message


def test_a_changed_image_is_refused(server: Server, tool: RepoTool, tmp_path: Path) -> None:
    OUR_SHAPES["flat, Ed25519"].make(tool)
    for file in (tool.published / "targets").glob("*kernel.img"):
        content = file.read_bytes()
        file.unlink()
        file.write_bytes(content[:-1] + b"?")
    root = {"root.json": tool.metadata("1.root.json")}
    client = Follower(tmp_path / "client", server.static(tool.published), root)
    with pytest.raises(RepositoryError):
        client.update(["kernel.img"])


def test_known_difference_names_that_need_escapes_in_a_url(
    server: Server, new_client: Callable[[Site], Client], tool: RepoTool, tmp_path: Path
) -> None:
    """python-tuf puts names into URLs as they are, so it asks for another file. Ours escapes."""
    names = {"100%25": b"percent", "a#b": b"hash"}
    tool.init()
    for name, content in names.items():
        tool.add(name, content)
    tool.release()
    site = server.static(tool.published)
    root = tool.metadata("1.root.json")
    ours = new_client(site)
    assert ours.init(root).ok
    assert ours.download(*names).ok
    assert ours.downloaded() == sorted(names.values())
    for number, name in enumerate(names):
        theirs = Follower(tmp_path / f"theirs{number}", site, {"root.json": root})
        with pytest.raises(DownloadError):
            theirs.update([name])


def history(tool: RepoTool, content: dict[str, bytes]):
    """A repository's life, one published release at a time; `content` is what must be there."""

    def put(name: str, data: bytes, *options: str) -> None:
        tool.add(name, data, *options)
        content[name] = data

    put("a", b"first")
    put("ä/b", b"second")
    yield tool.release()
    put("a", b"changed")
    yield tool.release()
    team = tool.new_key("ecdsa-p256")
    tool.run("delegation", "add", "team", "--key", team, "--path", "team/*")
    put("team/x", b"of the team", "--role", "team")
    yield tool.release()
    yield tool.run("refresh", "--force")
    for role in ("timestamp", "snapshot", "targets", "root"):
        tool.replace_key(role, "ecdsa-p384")
        yield tool.release()
    tool.run("delegation", "set", "team", "--key", tool.outside_key("rsa-2048"))
    yield tool.release()
    for role in ("root", "timestamp", "snapshot", "targets"):
        tool.replace_key(role)
    put("a", b"with all keys new at once")
    yield tool.release()
    tool.run("bins", "4", "--from", "team", "--prefix", "team-bin", "--key", team)
    put("team/y", b"in a bin", "--role", "team")
    yield tool.release()
    tool.run("target", "remove", "ä/b")
    del content["ä/b"]
    tool.run("root", "add-key", "root", tool.new_key())
    tool.run("root", "set-threshold", "root", "2")
    yield tool.release()
    tool.run("delegation", "remove", "team")
    del content["team/x"], content["team/y"]
    yield tool.release()


@pytest.mark.parametrize("options", [(), ("--no-consistent-snapshot", "--lists", "versions")])
def test_a_client_follows_from_every_earlier_state(
    server: Server, tool: RepoTool, tmp_path: Path, options: tuple[str, ...]
) -> None:
    tool.init("ed25519", *options)
    site = server.static(tool.published)
    content: dict[str, bytes] = {}
    states: list[dict[str, bytes]] = []
    for release, report in enumerate(history(tool, content)):
        assert report["changed"], report
        states = states or [{"root.json": tool.metadata("1.root.json")}]
        for number, trusted in enumerate(states):
            client = Follower(tmp_path / f"{release}-{number}", site, trusted)
            assert client.update(list(content)) == content, (release, number)
        states.append(client.trusted())
    assert len(states) == 14


def test_a_root_made_with_python_tuf_is_imported(
    server: Server, tool: RepoTool, tmp_path: Path
) -> None:
    keys = tool.init("ecdsa-p256")
    tool.add("a", b"image")
    tool.release()
    old = CryptoSigner(load_pem_private_key(tool.key_file(keys["root"]).read_bytes(), None))
    new = CryptoSigner.generate_ed25519()
    root: Metadata[Root] = Metadata.from_bytes(tool.metadata("1.root.json"))
    root.signed.version = 2
    root.signed.add_key(new.public_key, "root")
    root.signed.revoke_key(old.public_key.keyid, "root")
    root.sign(old)
    made = tool.image(root.to_bytes(), "2.root.json")
    assert tool.refuses("root-import", "root", "import", made)
    root.sign(new, append=True)
    made.write_bytes(root.to_bytes())
    assert tool.run("root", "import", made)["changed"]
    assert tool.metadata("2.root.json") == made.read_bytes()
    first = {"root.json": tool.metadata("1.root.json")}
    client = Follower(tmp_path / "client", server.static(tool.published), first)
    assert client.update(["a"]) == {"a": b"image"}
