"""Role names become parts of URLs and of file names: neither may be misled (TUF 5.6.7)."""

import json
from pathlib import Path
from urllib.parse import quote

import pytest

from our_client import Client, refused
from pytuf_repo import Repo
from serving import Site

ODD_NAMES = ["?", "#", "/delegatedrole", "../delegatedrole", "..", ".", "a b", "a/b", "%2F", "%",
             "ü", "日本", "a&b=c", "a+b", "c:d", "back\\slash", "1.root", "x" * 60, "root.json"]  # fmt: skip


@pytest.mark.parametrize("name", ODD_NAMES)
def test_an_odd_role_name_is_quoted(client: Client, repo: Repo, site: Site, name: str) -> None:
    before = files_outside(client)
    repo.delegate("targets", name, ["team/*"])
    repo.add_file("team/a", b"content", role=name)
    repo.publish_targets(name)
    assert client.download("team/a").ok
    assert client.downloaded() == [b"content"]
    assert f"1.{quote(name, safe='')}.json" in site.metadata_requests()
    assert len(client.trusted()) == 5
    assert client.stored("root") == repo.trusted_root()
    assert files_outside(client) == before


@pytest.mark.parametrize("name", ["root", "timestamp", "snapshot", "targets"])
def test_a_delegated_role_must_not_take_a_top_level_name(client: Client, repo: Repo, name: str) -> None:
    """Its file would stand in for the real one, in the repository and in the client."""
    signer = repo.new_signer()
    payload = repo.targets.to_dict() | {"version": 2}
    payload["delegations"] = {
        "keys": {signer.public_key.keyid: signer.public_key.to_dict()},
        "roles": [
            {
                "name": name,
                "keyids": [signer.public_key.keyid],
                "threshold": 1,
                "terminating": False,
                "paths": ["*"],
            }
        ],
    }
    repo.publish_as_is("targets", payload)
    repo.publish("snapshot", "timestamp")
    assert refused(client.download("anything"), "malformed")
    for role in ("root", "timestamp", "snapshot"):
        assert client.stored(role) == repo.current(role)
    assert json.loads(client.stored("root"))["signed"]["_type"] == "root"


BAD_PATHS = ["../outside", "a/../../outside", "/outside", "a//b", "a/./b", "./a", "..", "a/..", "a/"]


@pytest.mark.parametrize("path", BAD_PATHS)
def test_a_target_path_never_leaves_the_target_directory(client: Client, repo: Repo, path: str) -> None:
    """Whether such a name is refused or made harmless, nothing may appear elsewhere."""
    repo.add_file(path, b"escaped")
    repo.publish_targets()
    before = files_outside(client)
    outcome = client.download(path)
    assert files_outside(client) == before
    assert (client.downloaded() == [b"escaped"]) == outcome.ok


def test_a_target_through_a_symbolic_link(client: Client, repo: Repo, tmp_path: Path) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    (client.target_dir / "link").symlink_to(elsewhere)
    repo.add_file("link/file", b"escaped")
    repo.publish_targets()
    client.download("link/file")
    assert list(elsewhere.iterdir()) == []


def files_outside(client: Client) -> set[Path]:
    """Everything in the test's folder except the client's two directories."""
    folder = client.metadata_dir.parent.parent
    own = {client.metadata_dir, client.target_dir}
    return {f for f in folder.rglob("*") if f not in own and own.isdisjoint(f.parents)}
