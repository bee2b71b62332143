"""repo-tool when the storage fails it, when it is killed, and when two of them run at once."""

import fcntl
import os
import random
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from our_client import Client
from our_repo import RepoTool, files_below, finish
from pytuf_client import update
from serving import Server, Site

KILLS = 20


@pytest.fixture
def volume(tmp_path: Path) -> Iterator[Path]:
    """A file system of one megabyte."""
    folder = tmp_path / "volume"
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(folder)]
    done = subprocess.run(mount, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        pytest.skip(f"mounting a file system is not permitted here: {done.stderr.strip()}")
    yield folder
    subprocess.run(["umount", str(folder)], check=True)


@pytest.fixture
def on_volume(tool: RepoTool, volume: Path) -> RepoTool:
    """A first release is published on the volume, the repository itself is elsewhere."""
    tool.published = volume / "published"
    tool.init("ed25519", "--destination", str(tool.published))
    tool.add("a", b"image")
    tool.release()
    return tool


def remount(volume: Path, options: str) -> None:
    subprocess.run(["mount", "-o", f"remount,{options}", str(volume)], check=True)


def test_a_full_disk_publishes_nothing(on_volume: RepoTool, volume: Path) -> None:
    on_volume.add("big", os.urandom(900_000))
    on_volume.add("bigger", os.urandom(900_000))
    on_volume.run("sign")
    metadata = files_below(on_volume.published / "metadata")
    for _ in range(2):
        error = on_volume.fails(1, "publish")
        assert error["name"] == "disk-full" and "free some space" in error["message"]
        assert files_below(on_volume.published / "metadata") == metadata
        assert on_volume.run("verify")["faults"] == []
    remount(volume, "size=8m")
    assert on_volume.run("publish")["changed"]
    verified = on_volume.run("verify")
    assert (verified["faults"], verified["images"]) == ([], 3)
    assert not (on_volume.published / ".countersign-tmp").exists()


def test_a_disk_that_fills_up_at_the_metadata(on_volume: RepoTool, volume: Path) -> None:
    """Full to the last page: not one of the metadata files fits."""
    on_volume.add("b", b"image 2")
    on_volume.run("sign")
    filler = volume / "filler"
    before = files_below(on_volume.published / "metadata")
    with filler.open("wb", buffering=0) as file, pytest.raises(OSError, match="No space"):
        while True:
            file.write(bytes(4096))
    assert on_volume.fails(1, "publish")["name"] == "disk-full"
    assert files_below(on_volume.published / "metadata") == before
    filler.unlink()
    assert on_volume.run("publish")["changed"]
    assert on_volume.run("verify")["faults"] == []


def test_a_read_only_destination_publishes_nothing(on_volume: RepoTool, volume: Path) -> None:
    on_volume.add("b", b"image 2")
    on_volume.run("sign")
    before = files_below(on_volume.published)
    remount(volume, "ro")
    try:
        error = on_volume.fails(1, "publish")
        assert error["name"] == "io" and "Read-only" in error["message"], error
        assert on_volume.run("verify")["images"] == 1
    finally:
        remount(volume, "rw")
    assert files_below(on_volume.published) == before
    assert on_volume.run("publish")["changed"]
    assert on_volume.run("verify")["images"] == 2


def test_a_destination_that_is_a_file(tool: RepoTool) -> None:
    tool.init()
    tool.published.write_text("in the way")
    image = tool.image(b"image")
    for words in (["target", "add", image], ["sign"], ["publish"]):
        assert str(tool.published) in tool.refuses("io", *words)
    tool.published.unlink()
    tool.run("target", "add", image)
    assert tool.release()["changed"]


def test_a_second_repo_tool_waits_and_then_says_so(tool: RepoTool) -> None:
    tool.init()
    with (tool.folder / ".countersign-lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        waiting = tool.start("target", "add", tool.image(b"late"), "--name", "late")
        refused = tool.start("sign")
        assert finish(refused, 1)["name"] == "locked"
        assert finish(waiting, 1)["name"] == "locked"
        third = tool.start("target", "add", tool.image(b"in time"), "--name", "in-time")
        time.sleep(0.5)
        assert third.poll() is None
    finish(third, 0)
    assert [t["name"] for t in tool.run("target", "list")["targets"]] == ["in-time"]


def test_commands_at_once_lose_nothing(tool: RepoTool) -> None:
    tool.init()
    images = {f"image{n}": tool.image(bytes([n]) * 5000, f"image{n}") for n in range(8)}
    running = [tool.start("target", "add", file, "--name", name) for name, file in images.items()]
    for process in running:
        finish(process, 0)
    assert [t["name"] for t in tool.run("target", "list")["targets"]] == sorted(images)
    tool.run("sign")
    running = [tool.start("publish") for _ in range(4)]
    assert sorted(finish(process, 0)["changed"] for process in running) == [False] * 3 + [True]
    assert tool.run("verify")["images"] == len(images)


def test_a_killed_publish_never_harms_a_client(
    server: Server, new_client: Callable[[Site], Client], tool: RepoTool, tmp_path: Path
) -> None:
    """Killed at moments spread over the run; then clients get old or new, and a rerun finishes."""
    seed = random.randrange(1 << 32)
    print(f"seed {seed}")
    moments = random.Random(seed)
    tool.init()
    content = {f"image{n}": f"{n} of release 0".encode() for n in range(3)}
    for name, data in content.items():
        tool.add(name, data)
    tool.run("sign")
    start = time.monotonic()
    tool.run("publish")
    whole = time.monotonic() - start
    site = server.static(tool.published)
    ours = new_client(site)
    assert ours.init(tool.metadata("1.root.json")).ok
    killed = 0
    for round_ in range(1, KILLS + 1):
        old = set(content.values())
        content = {name: f"{name} of release {round_}".encode() for name in content}
        for name, data in content.items():
            tool.add(name, data)
        if round_ % 5 == 0:
            tool.replace_key("timestamp")
        tool.run("sign")
        process = tool.start("publish")
        time.sleep(whole * moments.uniform(0.0, 1.1))
        process.kill()
        process.communicate()
        killed += process.returncode == -9
        client = ours if round_ % 2 else new_client(site)
        if client is not ours:
            assert client.init(tool.metadata("1.root.json")).ok
        downloaded = client.download(*content)
        assert downloaded.ok, (round_, downloaded)
        found = set(client.downloaded())
        assert found in (old, set(content.values())), (round_, found)
        tool.run("publish")
        verified = tool.run("verify")
        assert verified["faults"] == [], (round_, verified)
        assert tool.run("status")["interrupted"] is False
        assert not list(tool.folder.rglob(".countersign-tmp"))
    assert killed >= KILLS // 4, f"only {killed} runs were killed before they ended"
    metadata, targets = tmp_path / "metadata", tmp_path / "targets"
    metadata.mkdir()
    targets.mkdir()
    (metadata / "root.json").write_bytes(tool.metadata("1.root.json"))
    assert update(metadata, site.metadata_url, site.targets_url, targets, list(content)) == content


def test_a_killed_edit_leaves_a_repository_that_works(tool: RepoTool) -> None:
    """Every other command that writes, killed at some moment of its short run."""
    seed = random.randrange(1 << 32)
    print(f"seed {seed}")
    moments = random.Random(seed)
    tool.init()
    tool.add("a", b"image")
    tool.release()
    other = tool.new_key()
    edits = [
        ["target", "add", tool.image(os.urandom(500_000)), "--name", "b"],
        ["root", "add-key", "timestamp", other],
        ["root", "set-expiry", "100d"],
        ["renew", "targets"],
        ["sign"],
        ["refresh", "--force"],
        ["discard"],
        ["target", "remove", "a"],
    ]
    killed = 0
    for edit in edits * 3:
        process = tool.start(*edit)
        time.sleep(moments.uniform(0, 0.03))
        process.kill()
        process.communicate()
        killed += process.returncode == -9
        for look in ("status", "diff", "verify"):
            tool.run(look)
    assert killed, "no command was killed before it ended"
    tool.release()
    assert tool.run("verify")["faults"] == []
    assert tool.run("status")["staged"] == []


@pytest.mark.parametrize(
    ("words", "lost"),
    [
        (["delegation", "add", "team", "--path", "team/*"], ["team"]),
        (["bins", "16"], [f"bin-{number:x}" for number in range(4, 16)]),
        (["bins", "16", "--style", "prefixes"], [f"bin-{number:x}" for number in range(4, 16)]),
    ],
)
def test_half_of_a_delegation_is_not_published(
    tool: RepoTool, words: list[str], lost: list[str]
) -> None:
    """What a killed run, or one on a full disk, leaves: delegations to roles without a file."""
    keys = tool.init()
    tool.add("a", b"image")
    tool.release()
    tool.run(*words, "--key", keys["targets"])
    for role in lost:
        (tool.folder / "staged" / "metadata" / f"{role}.json").unlink()
    for command in ("sign", "publish"):
        tool.start(command).communicate(timeout=60)
    assert tool.run("verify")["faults"] == []


def test_verify_names_every_damaged_file(tool: RepoTool) -> None:
    """Each published file is changed, emptied, cut short and removed, one at a time."""
    keys = tool.init()
    tool.run("delegation", "add", "team", "--key", keys["targets"], "--path", "team/*")
    tool.add("a", b"image")
    tool.add("team/b", b"image 2", "--role", "team")
    tool.release()
    assert tool.run("verify")["faults"] == []
    files = [f for f in sorted(tool.published.rglob("*")) if f.is_file() and f.name != "root.json"]
    assert len(files) == 5 + 4
    for file in files:
        good = file.read_bytes()
        middle = len(good) // 2
        changed = good[:middle] + bytes([good[middle] ^ 1]) + good[middle + 1 :]
        for bad in (changed, b"", good[:-1], None):
            file.unlink()
            if bad is not None:
                file.write_bytes(bad)
            faults = tool.fails(1, "verify")["faults"]
            role = file.name.removesuffix(".json").removeprefix("1.")
            assert faults and (file.name in str(faults) or f"({role})" in str(faults)), (file, faults)
            file.write_bytes(good)
    assert tool.run("verify")["faults"] == []
    (tool.published / "metadata" / "root.json").write_bytes(b"{}")
    assert "root.json" in str(tool.fails(1, "verify")["faults"])


def test_publish_repairs_the_file_that_clients_start_from(tool: RepoTool) -> None:
    """A timestamp.json that was lost or damaged comes back from the repository's own copy."""
    tool.init()
    tool.add("a", b"image")
    tool.release()
    file = tool.published / "metadata" / "timestamp.json"
    good = file.read_bytes()
    for bad in (b"{}", b"", None):
        file.unlink()
        if bad is not None:
            file.write_bytes(bad)
        tool.fails(1, "verify")
        assert tool.run("publish")["resumed"]
        assert file.read_bytes() == good
    assert tool.run("verify")["faults"] == []
