"""Our client accepts what python-tuf publishes: a static tree, written once, served as files."""

from collections.abc import Callable
from pathlib import Path

import pytest

from our_client import Client
from pytuf_client import update
from serving import Server, Site
from shapes import SHAPES, Shape

EVERY_SHAPE = pytest.mark.parametrize("shape", SHAPES.values(), ids=SHAPES.keys())


@EVERY_SHAPE
def test_ours_downloads_everything(
    server: Server, new_client: Callable[[Site], Client], tmp_path: Path, shape: Shape
) -> None:
    repo, expected = shape.make()
    client = new_client(server.static(repo.write_tree(tmp_path / "published")))
    assert client.init(repo.trusted_root()).ok
    assert client.refresh().ok
    for role in ("root", "timestamp", "snapshot", "targets"):
        assert client.stored(role) == repo.current(role), role
    assert client.download(*expected).ok
    assert client.downloaded() == sorted(expected.values())
    assert not client.download("kernel.im").ok


@EVERY_SHAPE
def test_ours_refuses_a_changed_target(
    server: Server, new_client: Callable[[Site], Client], tmp_path: Path, shape: Shape
) -> None:
    repo, expected = shape.make()
    tree = repo.write_tree(tmp_path / "published")
    for file in (tree / "targets").rglob("*kernel.img"):
        file.write_bytes(file.read_bytes()[:-1] + b"?")
    client = new_client(server.static(tree))
    assert client.init(repo.trusted_root()).ok
    assert client.refresh().ok
    assert not client.download("kernel.img").ok
    assert client.downloaded() == []


@EVERY_SHAPE
def test_python_tuf_agrees(server: Server, tmp_path: Path, shape: Shape) -> None:
    """The same trees through python-tuf's own client: the shapes are good repositories."""
    repo, expected = shape.make()
    site = server.static(repo.write_tree(tmp_path / "published"))
    metadata, targets = tmp_path / "metadata", tmp_path / "targets"
    metadata.mkdir()
    targets.mkdir()
    (metadata / "root.json").write_bytes(repo.trusted_root())
    names = list(expected)
    assert update(metadata, site.metadata_url, site.targets_url, targets, names) == expected
