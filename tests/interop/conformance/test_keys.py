"""Thresholds and keys (TUF 4.2, 5.3.4): who counts, what counts once, what counts nothing."""

import json
from collections.abc import Callable

import pytest

import keys
from our_client import Client, refused
from pytuf_repo import Repo

LATER = ("timestamp", "snapshot", "targets")


def edit_file(repo: Repo, role: str, edit: Callable[[dict], None]) -> None:
    """Changes the newest published file of a role without signing it again."""
    document = json.loads(repo.current(role))
    edit(document)
    repo.publish_bytes(role, document["signed"]["version"], json.dumps(document).encode())


@pytest.mark.parametrize("kind", keys.KINDS)
def test_every_key_type(client: Client, repo: Repo, kind: str) -> None:
    """A second root key of each type, and both must sign; then its signature is spoilt."""
    signer = repo.add_key("root", repo.new_signer(kind))
    repo.root.roles["root"].threshold = 2
    repo.publish("root")
    assert client.refresh().ok
    assert client.version("root") == 2

    def spoil(document: dict) -> None:
        for entry in document["signatures"]:
            if entry["keyid"] == signer.public_key.keyid:
                old = json.loads(repo.bytes_of["root", 2])["signatures"]
                entry["sig"] = next(e["sig"] for e in old if e["keyid"] == entry["keyid"])

    repo.publish("root")
    edit_file(repo, "root", spoil)
    assert refused(client.refresh(), "signature-threshold")
    assert client.version("root") == 2


def test_ecdsa_by_its_old_keytype(client: Client, repo: Repo) -> None:
    old = keys.with_keytype(repo.new_signer("ecdsa-p256"), "ecdsa-sha2-nistp256")
    repo.signers["timestamp"] = []
    repo.root.roles["timestamp"].keyids.clear()
    repo.add_key("timestamp", old)
    repo.publish("root", "timestamp")
    assert client.refresh().ok


@pytest.mark.parametrize("role", LATER)
def test_threshold_counts_keys(client: Client, repo: Repo, role: str) -> None:
    repo.add_key(role)
    repo.add_key(role)
    repo.root.roles[role].threshold = 3
    repo.publish("root")
    repo.publish_targets()
    assert client.refresh().ok
    repo.signers[role].pop()
    repo.publish_targets()
    assert refused(client.refresh(), "signature-threshold")
    assert client.version(role) == 2


@pytest.mark.parametrize("role", LATER)
def test_threshold_above_the_number_of_keys_can_never_be_met(client: Client, repo: Repo, role: str) -> None:
    assert client.refresh().ok
    repo.root.roles[role].threshold = 2
    repo.publish("root")
    repo.publish_targets()
    assert refused(client.refresh(), "signature-threshold")
    assert client.version("root") == 2, "the root itself is in order"
    assert client.version(role) in (None, 1)


@pytest.mark.parametrize("role", ["root", *LATER])
@pytest.mark.parametrize("threshold", [0, -1, "1", 1.0, True, None])
def test_a_threshold_that_is_no_positive_integer(
    client: Client, repo: Repo, role: str, threshold: object
) -> None:
    """Such a root is malformed. 1.0 has no canonical form: it is put in after signing."""
    payload = repo.root.to_dict() | {"version": 2}
    signable = 1 if isinstance(threshold, float) else threshold
    payload["roles"][role]["threshold"] = signable
    repo.publish_as_is("root", payload)
    if isinstance(threshold, float):
        data = repo.bytes_of["root", 2].replace(b'"threshold": 1', b'"threshold": 1.0')
        repo.publish_bytes("root", 2, data)
    assert refused(client.refresh(), "malformed")
    assert client.version("root") == 1


def test_one_key_under_many_ids_counts_once(client: Client, repo: Repo) -> None:
    signer = repo.new_signer()
    repo.signers["timestamp"] = []
    for number in range(9):
        repo.add_key("timestamp", keys.with_keyid(signer, f"{number:064x}"))
    repo.root.roles["timestamp"].threshold = 2
    repo.publish("root", "timestamp")
    assert refused(client.refresh(), "signature-threshold")
    assert client.trusted() == {"root": 2}


def test_key_ids_are_opaque(client: Client, repo: Repo) -> None:
    """TAP 12: an id need not be the hash of the key."""
    repo.root.roles["timestamp"].keyids.clear()
    repo.signers["timestamp"] = []
    repo.add_key("timestamp", keys.with_keyid(repo.new_signer(), "any name at all"))
    repo.publish("root", "timestamp")
    assert client.refresh().ok


def test_the_same_key_id_twice_in_signatures(client: Client, repo: Repo) -> None:
    edit_file(repo, "snapshot", lambda d: d["signatures"].append(d["signatures"][0]))
    repo.publish("timestamp")
    assert refused(client.refresh(), "malformed")
    assert client.version("snapshot") is None


@pytest.mark.parametrize("sig", ["", "00", "zz", "00" * 64, "ff" * 64, "0" * 127, "30" * 5000])
def test_a_worthless_signature_beside_a_good_one(client: Client, repo: Repo, sig: str) -> None:
    spare = repo.add_key("timestamp")
    repo.publish("root", "timestamp")

    def spoil(document: dict) -> None:
        for entry in document["signatures"]:
            if entry["keyid"] == spare.public_key.keyid:
                entry["sig"] = sig

    edit_file(repo, "timestamp", spoil)
    assert client.refresh().ok


def test_signatures_of_keys_that_the_role_does_not_have(client: Client, repo: Repo) -> None:
    good = list(repo.signers["timestamp"])
    stranger = keys.signer("ed25519", 1000)
    repo.signers["timestamp"] = [stranger, *repo.signers["root"], *good]
    repo.publish("timestamp")
    assert client.refresh().ok
    repo.signers["timestamp"] = [stranger, *repo.signers["root"]]
    repo.publish("timestamp")
    assert refused(client.refresh(), "signature-threshold")
    assert client.version("timestamp") == 2


@pytest.mark.parametrize(
    "key",
    [
        {"keytype": "post-quantum", "scheme": "best", "keyval": {"public": "??"}},
        {"keytype": "ed25519", "scheme": "ed25519-but-better", "keyval": {"public": "00" * 32}},
        {"keytype": "x", "scheme": "y", "keyval": {"certificate": ["a", 1]}},
    ],
    ids=["key type", "scheme", "key value"],
)
def test_an_unknown_key_is_ignored(client: Client, repo: Repo, key: dict) -> None:
    payload = repo.root.to_dict() | {"version": 2}
    payload["keys"]["stranger"] = key
    for role in LATER:
        payload["roles"][role]["keyids"].append("stranger")
    repo.publish_as_is("root", payload)
    repo.root.version = 2
    assert client.refresh().ok
    assert client.version("root") == 2


def test_old_style_extra_fields_of_a_key(client: Client, repo: Repo) -> None:
    keyid = repo.root.roles["snapshot"].keyids[0]
    repo.root.keys[keyid].unrecognized_fields["keyid_hash_algorithms"] = ["md5"]
    repo.publish("root")
    repo.publish_targets()
    assert client.refresh().ok


def test_a_changed_byte_under_a_good_signature(client: Client, repo: Repo) -> None:
    assert client.refresh().ok
    repo.publish_targets()
    edit_file(repo, "timestamp", lambda d: d["signed"].update({"version": 99}))
    repo.served["metadata/timestamp.json"] = repo.bytes_of["timestamp", 99]
    assert refused(client.refresh(), "signature-threshold")
    assert client.version("timestamp") == 1
