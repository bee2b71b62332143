"""Rollback, mix-and-match and fast-forward recovery (TUF 5.3.11, 5.4.3, 5.5.4 to 5.5.6, 5.6.4)."""

import pytest

from our_client import Client, refused
from pytuf_repo import Repo
from serving import Site

HASHED = pytest.mark.parametrize("meta_hashes", [False, True], ids=["versions", "hashes"])


def test_timestamp_rollback(client: Client, repo: Repo) -> None:
    repo.publish("timestamp")
    assert client.refresh().ok
    repo.timestamp.version = 1
    repo.publish_as_is("timestamp")
    assert refused(client.refresh(), "version-rollback")
    assert client.version("timestamp") == 2


def test_timestamp_of_equal_version_is_discarded_without_error(client: Client, repo: Repo) -> None:
    """TUF 5.4.3.1: the trusted timestamp stays and the refresh goes on from it."""
    assert client.refresh().ok
    before = client.stored("timestamp")
    repo.timestamp.snapshot_meta.version = 100
    repo.publish_as_is("timestamp")
    assert client.refresh().ok
    assert client.stored("timestamp") == before


@HASHED
def test_snapshot_rollback(client: Client, repo: Repo, site: Site, meta_hashes: bool) -> None:
    """TUF 5.4.3.2: a newer timestamp must not name an older snapshot."""
    repo.meta_hashes = meta_hashes
    repo.publish("snapshot", "timestamp")
    assert client.refresh().ok
    site.forget()
    repo.snapshot.version = 1
    repo.publish_as_is("snapshot")
    repo.publish("timestamp")
    assert refused(client.refresh(), "version-rollback")
    assert client.version("timestamp") == 2
    assert client.version("snapshot") == 2
    assert site.metadata_requests()[-1] == "timestamp.json"


def test_an_older_snapshot_alone_changes_nothing(client: Client, repo: Repo, site: Site) -> None:
    repo.publish("snapshot", "timestamp")
    assert client.refresh().ok
    site.forget()
    repo.served["metadata/2.snapshot.json"] = repo.bytes_of["snapshot", 1]
    assert client.refresh().ok
    assert client.version("snapshot") == 2
    assert site.metadata_requests()[-1] == "timestamp.json"


def test_snapshot_other_than_the_timestamp_names(client: Client, repo: Repo) -> None:
    """TUF 5.5.4: mix-and-match of a timestamp and a snapshot."""
    assert client.refresh().ok
    repo.publish("snapshot", "timestamp")
    repo.served["metadata/2.snapshot.json"] = repo.bytes_of["snapshot", 1]
    assert refused(client.refresh(), "version-mismatch")
    assert client.trusted() == {"root": 1, "timestamp": 2, "snapshot": 1, "targets": 1}


@HASHED
def test_targets_rollback(client: Client, repo: Repo, meta_hashes: bool) -> None:
    """TUF 5.5.5: a newer snapshot must not list an older targets."""
    repo.meta_hashes = meta_hashes
    repo.publish_targets()
    assert client.refresh().ok
    repo.targets.version = 1
    repo.publish_as_is("targets")
    repo.publish("snapshot", "timestamp")
    assert refused(client.refresh(), "snapshot-entry-rollback")
    assert client.trusted() == {"root": 1, "timestamp": 3, "snapshot": 2, "targets": 2}


def test_snapshot_that_drops_a_role(client: Client, repo: Repo) -> None:
    """TUF 5.5.5: every role of the trusted snapshot must still be listed."""
    repo.delegate("targets", "team")
    repo.publish_targets("team")
    assert client.refresh().ok
    del repo.snapshot.meta["team.json"]
    repo.publish("snapshot", "timestamp")
    assert refused(client.refresh(), "snapshot-entry-removed")
    assert client.version("snapshot") == 2


def test_snapshot_that_lists_an_older_delegated_role(client: Client, repo: Repo) -> None:
    repo.delegate("targets", "team")
    repo.publish_targets("team")
    repo.publish_targets("team")
    assert client.refresh().ok
    repo.snapshot.meta["team.json"].version = 1
    repo.publish("snapshot", "timestamp")
    assert refused(client.refresh(), "snapshot-entry-rollback")
    assert client.version("snapshot") == 3


def test_targets_other_than_the_snapshot_lists(client: Client, repo: Repo) -> None:
    """TUF 5.6.4: mix-and-match of a snapshot and a targets."""
    assert client.refresh().ok
    repo.publish_targets()
    repo.served["metadata/2.targets.json"] = repo.bytes_of["targets", 1]
    assert refused(client.refresh(), "version-mismatch")
    assert client.trusted() == {"root": 1, "timestamp": 2, "snapshot": 2, "targets": 1}


@pytest.mark.parametrize("role", ["snapshot", "targets"])
def test_hash_other_than_listed(client: Client, repo: Repo, role: str) -> None:
    """TUF 5.5.2, 5.6.2: correctly signed, right version, but not the bytes that were listed."""
    repo.meta_hashes = True
    repo.publish_targets()
    assert client.refresh().ok
    repo.publish_targets()
    served = f"metadata/3.{role}.json"
    repo.served[served] = repo.served[served].replace(b"\n ", b"\n\t", 1)
    assert refused(client.refresh(), "metadata-hash")
    repo.served[served] += b"\n"
    assert refused(client.refresh(), "too-large")
    assert client.version(role) == 2


@pytest.mark.parametrize("served_version", [1, 3, 4])
def test_root_of_another_version_than_asked_for(client: Client, repo: Repo, served_version: int) -> None:
    """TUF 5.3.5: the next root is exactly one version higher."""
    assert client.refresh().ok
    repo.root.version = served_version
    repo.publish_as_is("root")
    repo.served["metadata/2.root.json"] = repo.bytes_of["root", served_version]
    assert refused(client.refresh(), "root-version")
    assert client.version("root") == 1


def test_timestamp_recovers_from_fast_forward(client: Client, repo: Repo) -> None:
    repo.timestamp.version = 100_000
    repo.publish_as_is("timestamp")
    assert client.refresh().ok
    assert client.version("timestamp") == 100_000
    repo.rotate("timestamp")
    repo.publish("root")
    repo.timestamp.version = 2
    repo.publish_as_is("timestamp")
    assert client.refresh().ok
    assert client.version("timestamp") == 2


def test_snapshot_recovers_from_fast_forward(client: Client, repo: Repo) -> None:
    repo.snapshot.version = 100_000
    repo.publish_as_is("snapshot")
    repo.publish("timestamp")
    assert client.refresh().ok
    assert client.version("snapshot") == 100_000
    repo.rotate("snapshot")
    repo.rotate("timestamp")
    repo.publish("root")
    repo.snapshot.version = 2
    repo.publish_as_is("snapshot")
    repo.publish("timestamp")
    assert client.refresh().ok
    assert client.version("snapshot") == 2


@pytest.mark.parametrize("rotated", ["snapshot", "targets"])
def test_targets_recovers_from_fast_forward(client: Client, repo: Repo, rotated: str) -> None:
    repo.targets.version = 100_000
    repo.publish_as_is("targets")
    repo.publish("snapshot", "timestamp")
    assert client.refresh().ok
    assert client.version("targets") == 100_000
    repo.rotate(rotated)
    if rotated == "targets":
        # The old snapshot's floor goes only when the snapshot is forgotten too (TUF 5.3.11).
        repo.rotate("snapshot")
    repo.publish("root")
    repo.targets.version = 2
    repo.publish_as_is("targets")
    repo.publish("snapshot", "timestamp")
    assert client.refresh().ok
    assert client.version("targets") == 2


def test_a_new_root_alone_forgets_nothing(client: Client, repo: Repo) -> None:
    """Without a rotated key, floors stay: a root is no way around the rollback check."""
    repo.publish("timestamp")
    assert client.refresh().ok
    repo.publish("root")
    repo.timestamp.version = 1
    repo.publish_as_is("timestamp")
    assert refused(client.refresh(), "version-rollback")
    assert client.version("timestamp") == 2


def test_a_cycle_that_broke_off_goes_on(client: Client, repo: Repo, site: Site) -> None:
    """The timestamp was accepted, the snapshot was not there: the next refresh completes it."""
    assert client.refresh().ok
    repo.publish_targets()
    held_back = repo.served.pop("metadata/2.snapshot.json")
    assert refused(client.refresh(), "metadata-missing")
    assert client.version("timestamp") == 2
    repo.served["metadata/2.snapshot.json"] = held_back
    assert client.refresh().ok
    assert client.trusted() == {"root": 1, "timestamp": 2, "snapshot": 2, "targets": 2}
