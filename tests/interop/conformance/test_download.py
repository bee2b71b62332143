"""Target files (TUF 5.7): only the bytes that were signed for ever appear."""

import pytest

from our_client import Client, refused
from pytuf_repo import Repo
from serving import Site


def test_download(client: Client, repo: Repo) -> None:
    repo.add_file("firmware.bin", b"\x00\xff" * 50_000)
    repo.publish_targets()
    assert client.refresh().ok
    assert client.downloaded() == []
    assert client.download("firmware.bin").ok
    assert client.downloaded() == [b"\x00\xff" * 50_000]


@pytest.mark.parametrize("content", [b"", b"x"], ids=["empty", "one byte"])
def test_smallest_files(client: Client, repo: Repo, content: bytes) -> None:
    repo.add_file("small", content)
    repo.publish_targets()
    assert client.download("small").ok
    assert client.downloaded() == [content]


def test_download_in_a_sub_directory(client: Client, repo: Repo, site: Site) -> None:
    """With consistent snapshots the hash prefixes the file name, not the path."""
    repo.add_file("a/b/c.bin", b"content")
    repo.publish_targets()
    assert client.download("a/b/c.bin").ok
    assert client.downloaded() == [b"content"]
    [asked] = site.target_requests()
    assert asked.startswith("a/b/") and asked.endswith(".c.bin")


def test_download_without_consistent_snapshot(server, new_client) -> None:
    repo = Repo(consistent_snapshot=False)
    repo.add_file("a/b.bin", b"content")
    repo.publish_targets()
    site = server.live(repo)
    client = new_client(site)
    assert client.init(repo.trusted_root()).ok
    assert client.download("a/b.bin").ok
    assert site.target_requests() == ["a/b.bin"]


def test_a_file_that_is_there_is_not_fetched_again(client: Client, repo: Repo, site: Site) -> None:
    repo.add_file("f", b"content")
    repo.publish_targets()
    assert client.download("f").ok
    assert client.download("f").ok
    assert len(site.target_requests()) == 1


def test_a_file_that_was_changed_locally_is_fetched_again(client: Client, repo: Repo) -> None:
    repo.add_file("f", b"content")
    repo.publish_targets()
    assert client.download("f").ok
    [file] = [f for f in client.target_dir.rglob("*") if f.is_file()]
    file.write_bytes(b"CONTENT")
    assert client.download("f").ok
    assert client.downloaded() == [b"content"]


def test_several_targets_stop_at_the_first_failure(client: Client, repo: Repo) -> None:
    for name in ("one", "two", "three"):
        repo.add_file(name, name.encode())
    repo.publish_targets()
    assert client.download("one", "two").ok
    assert client.downloaded() == [b"one", b"two"]
    assert refused(client.download("no such", "three"), "target-not-found")
    assert client.downloaded() == [b"one", b"two"]


SUBSTITUTES = {"longer": b"contentX", "shorter": b"conten", "other": b"CONTENT", "empty": b""}


@pytest.mark.parametrize("served", SUBSTITUTES.values(), ids=SUBSTITUTES.keys())
def test_other_bytes_than_signed_for(client: Client, repo: Repo, served: bytes) -> None:
    repo.add_file("f", b"content")
    repo.publish_targets()
    repo.store_file("f", served)
    assert refused(client.download("f"), "image-hash", "image-too-long")
    assert client.downloaded() == []


def test_an_endless_target_is_cut_off(client: Client, repo: Repo, site: Site) -> None:
    repo.add_file("f", b"content")
    repo.publish_targets()
    site.endless.update(path for path in repo.served if path.startswith("targets/"))
    assert refused(client.download("f"), "image-too-long")
    assert client.downloaded() == []
    assert site.endless_bytes < 64 << 20


def test_a_missing_target(client: Client, repo: Repo) -> None:
    repo.add_file("f", b"content")
    repo.publish_targets()
    for path in [p for p in repo.served if p.startswith("targets/")]:
        del repo.served[path]
    assert refused(client.download("f"), "image-missing")
    assert client.downloaded() == []


def test_an_update_replaces_and_a_forgery_does_not(client: Client, repo: Repo) -> None:
    for number in range(3):
        genuine = b"release %d" % number
        repo.add_file("f", genuine)
        repo.publish_targets()
        assert client.download("f").ok
        assert client.downloaded() == [genuine]
        repo.store_file("f", b"forgery %d" % number)
        repo.publish_targets()
        client.download("f")  # already there: may succeed without asking
        assert client.downloaded() == [genuine]


def test_every_listed_hash_is_checked(client: Client, repo: Repo) -> None:
    """One right hash beside a wrong one is a wrong file."""
    repo.add_file("f", b"content")
    repo.targets.targets["f"].hashes["sha512"] = "00" * 64
    repo.store_file("f", b"content")
    repo.publish_targets()
    assert refused(client.download("f"), "image-hash")
    assert client.downloaded() == []


def test_a_target_with_no_known_hash(client: Client, repo: Repo) -> None:
    repo.add_file("f", b"content")
    repo.targets.targets["f"].hashes = {"md5000": "00" * 16}
    repo.store_file("f", b"content")
    repo.publish_targets()
    assert refused(client.download("f"), "no-known-hash")
    assert client.downloaded() == []


def test_custom_of_a_target_is_carried(client: Client, repo: Repo) -> None:
    repo.add_file("f", b"content")
    repo.targets.targets["f"].unrecognized_fields["custom"] = {"version": "1.2", "n": [1, {"a": None}]}
    repo.publish_targets()
    assert client.download("f").ok
