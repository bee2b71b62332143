"""The refresh workflow of TUF 5.3 to 5.6: what is asked for, in which order, what is kept."""

import json

import pytest

from our_client import Client, refused
from pytuf_repo import Repo
from serving import Site


def test_init_makes_no_request(client: Client, repo: Repo, site: Site) -> None:
    assert site.requests == []
    assert client.stored("root") == repo.trusted_root()


def test_first_refresh_asks_in_the_order_of_the_specification(client: Client, site: Site) -> None:
    assert client.refresh().ok
    assert site.metadata_requests() == [
        "2.root.json",
        "timestamp.json",
        "1.snapshot.json",
        "1.targets.json",
    ]
    assert client.trusted() == {"root": 1, "timestamp": 1, "snapshot": 1, "targets": 1}


def test_stored_files_are_the_served_bytes(client: Client, repo: Repo) -> None:
    assert client.refresh().ok
    for role in ("root", "timestamp", "snapshot", "targets"):
        assert client.stored(role) == repo.current(role), role


def test_nothing_is_fetched_that_is_already_trusted(client: Client, site: Site) -> None:
    assert client.refresh().ok
    site.forget()
    assert client.refresh().ok
    assert site.metadata_requests() == ["2.root.json", "timestamp.json"]


def test_only_what_changed_is_fetched(client: Client, repo: Repo, site: Site) -> None:
    assert client.refresh().ok
    site.forget()
    repo.publish("snapshot", "timestamp")
    assert client.refresh().ok
    assert site.metadata_requests() == ["2.root.json", "timestamp.json", "2.snapshot.json"]


def test_without_consistent_snapshot_only_root_is_versioned(server, new_client) -> None:
    repo = Repo(consistent_snapshot=False)
    site = server.live(repo)
    client = new_client(site)
    assert client.init(repo.trusted_root()).ok
    assert client.refresh().ok
    assert site.metadata_requests() == [
        "2.root.json",
        "timestamp.json",
        "snapshot.json",
        "targets.json",
    ]


def test_root_chain_is_followed_one_version_at_a_time(client: Client, repo: Repo, site: Site) -> None:
    repo.publish("root")
    repo.publish("root")
    assert client.refresh().ok
    assert site.metadata_requests()[:4] == [
        "2.root.json",
        "3.root.json",
        "4.root.json",
        "timestamp.json",
    ]
    assert client.stored("root") == repo.current("root")


def test_download_refreshes_first(client: Client, site: Site) -> None:
    assert refused(client.download("no such target"), "target-not-found")
    assert client.trusted() == {"root": 1, "timestamp": 1, "snapshot": 1, "targets": 1}
    assert site.target_requests() == []


@pytest.mark.parametrize("damage", ["no version", "bad signature", "no signatures", "not JSON"])
def test_a_bad_initial_root_causes_no_request(new_client, repo: Repo, site: Site, damage: str) -> None:
    document = json.loads(repo.trusted_root())
    if damage == "no version":
        del document["signed"]["version"]
    elif damage == "bad signature":
        document["signatures"][0]["sig"] = "00" * 64
    elif damage == "no signatures":
        document["signatures"] = []
    data = b"{" if damage == "not JSON" else json.dumps(document).encode()
    client = new_client(site)
    client.init(data)  # may refuse already
    assert not client.refresh().ok
    assert site.requests == []


def test_init_again_with_another_root_is_refused(client: Client, repo: Repo) -> None:
    assert client.init(repo.trusted_root()).ok, "the identical root is no change"
    assert refused(client.init(Repo(consistent_snapshot=False).trusted_root()), "root-conflict")
    assert client.stored("root") == repo.trusted_root()


def test_init_again_with_the_first_root_after_a_rotation_changes_nothing(client: Client, repo: Repo) -> None:
    """A provisioning script that runs at every boot must neither fail nor set the device back."""
    repo.publish("root")
    assert client.refresh().ok
    assert client.version("root") == 2
    assert client.init(repo.trusted_root()).ok
    assert client.version("root") == 2


def test_a_stored_root_that_was_tampered_with_causes_no_request(client: Client, site: Site) -> None:
    root = client.metadata_dir / "root.json"
    root.write_bytes(root.read_bytes().replace(b'"consistent_snapshot": true', b'"consistent_snapshot": false'))
    assert not client.refresh().ok
    assert site.requests == []


def test_unknown_fields_are_kept_and_signed_over(client: Client, repo: Repo) -> None:
    repo.root.unrecognized_fields["x-note"] = "ü \\ \" and a\ttab"
    keyid = repo.root.roles["timestamp"].keyids[0]
    repo.root.keys[keyid].unrecognized_fields["x-owner"] = {"b": [1, None, True], "a": -5}
    repo.root.roles["targets"].unrecognized_fields["x-why"] = []
    repo.publish("root")
    repo.targets.unrecognized_fields["custom"] = {"z": {}, "a": 18446744073709551615}
    repo.publish_targets()
    assert client.refresh().ok
    assert client.trusted() == {"root": 2, "timestamp": 2, "snapshot": 2, "targets": 2}


@pytest.mark.parametrize("version", ["1.0.31", "1.0.99", "1.99.0", "1.0"])
def test_any_minor_spec_version_is_accepted(client: Client, repo: Repo, version: str) -> None:
    repo.timestamp.version += 1
    payload = repo.timestamp.to_dict() | {"spec_version": version}
    repo.publish_as_is("timestamp", payload)
    assert client.refresh().ok
    assert client.version("timestamp") == 2


@pytest.mark.parametrize("version", ["2.0.0", "0.9.0", "1", "x", "", 1, None])
def test_another_major_spec_version_is_refused(client: Client, repo: Repo, version: object) -> None:
    repo.timestamp.version += 1
    payload = repo.timestamp.to_dict() | {"spec_version": version}
    repo.publish_as_is("timestamp", payload)
    assert refused(client.refresh(), "unsupported-spec-version", "malformed")
    assert client.version("timestamp") is None


@pytest.mark.parametrize("status", [403, 404, 410])
def test_not_there_ends_the_root_chain(client: Client, site: Site, status: int) -> None:
    site.statuses["metadata/2.root.json"] = status
    assert client.refresh().ok


def test_a_server_error_is_not_the_end_of_the_root_chain(client: Client, site: Site) -> None:
    site.statuses["metadata/2.root.json"] = 500
    assert refused(client.refresh(), "fetch-failed")
    assert client.trusted() == {"root": 1}


@pytest.mark.parametrize("name", ["2.root.json", "timestamp.json", "1.snapshot.json", "1.targets.json"])
def test_endless_metadata_is_cut_off(client: Client, repo: Repo, site: Site, name: str) -> None:
    if name == "2.root.json":
        repo.publish("root")
    site.endless.add(f"metadata/{name}")
    assert refused(client.refresh(), "too-large")
    role = name.split(".")[-2]
    assert client.version(role) == (1 if role == "root" else None)
    assert site.endless_bytes < 768 << 20


@pytest.mark.parametrize(
    "garbage",
    [
        b"",
        b"null",
        b"[]",
        b"{}",
        b'{"signed": {}, "signatures": []}',
        b"\xff\xfe",
        b'{"signed":' * 6_000,
        b"[" * 60_000,
        b"[" * 1_000_000,
    ],
    ids=["empty", "null", "list", "object", "hollow", "not UTF-8", "deep objects", "deep lists",
         "endless lists"],
)
def test_garbage_is_refused(client: Client, repo: Repo, garbage: bytes) -> None:
    repo.served["metadata/timestamp.json"] = garbage
    assert refused(client.refresh(), "malformed", "signature-threshold", "too-large")
    assert client.trusted() == {"root": 1}


@pytest.mark.parametrize("role", ["timestamp", "snapshot", "targets"])
def test_a_file_of_another_role_is_refused(client: Client, repo: Repo, role: str) -> None:
    """Every role here has the same key, so only `_type` tells the files apart."""
    signer = repo.signers["root"][0]
    for other in ("timestamp", "snapshot", "targets"):
        repo.add_key(other, signer)
        repo.signers[other] = [signer]
    repo.publish("root", "targets", "snapshot", "timestamp")
    wrong = repo.root.to_dict() | {"version": repo.md[role].signed.version + 1}
    repo.publish_as_is(role, wrong)
    following = {"targets": ("snapshot", "timestamp"), "snapshot": ("timestamp",), "timestamp": ()}
    repo.publish(*following[role])
    assert refused(client.refresh(), "wrong-role-type")
    assert client.version(role) is None
