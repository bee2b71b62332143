"""Key rotation (TUF 5.3.4, 6.1): a root needs the old threshold and the new one.

A root is written (keys, threshold, signing keys), keys by number. A chain is accepted up to
its first bad root; `good` says how many of its roots are.
"""

import pytest

import keys
from our_client import Client, refused
from pytuf_repo import Repo

RootSpec = tuple[str, int, str]

# Each character is the number of a key.
CHAINS: dict[str, tuple[int, list[RootSpec]]] = {
    "same key signs on": (3, [("0", 1, "0"), ("0", 1, "0"), ("0", 1, "0")]),
    "one key to another": (3, [("0", 1, "0"), ("1", 1, "01"), ("1", 1, "1")]),
    "order of signatures is free": (3, [("0", 1, "0"), ("1", 1, "10"), ("1", 1, "1")]),
    "strangers may sign too": (3, [("0", 1, "709"), ("1", 1, "8017"), ("1", 1, "197")]),
    "old key missing": (1, [("0", 1, "0"), ("1", 1, "1")]),
    "old key missing, strangers instead": (1, [("0", 1, "0"), ("1", 1, "1789")]),
    "new key missing": (1, [("0", 1, "0"), ("1", 1, "0")]),
    "old key signs on after its time": (2, [("0", 1, "0"), ("1", 1, "01"), ("1", 1, "0")]),
    "any three of five": (4, [("01234", 3, "012"), ("01234", 3, "234"), ("01234", 3, "024"), ("01234", 3, "134")]),
    "two of five are not three": (1, [("01234", 3, "012"), ("01234", 3, "34")]),
    "one of five replaced": (2, [("01234", 3, "012"), ("01235", 3, "012")]),
    "one of five replaced, new one needed": (2, [("01234", 3, "012"), ("01235", 3, "0125")]),
    "one of five replaced, two common keys": (1, [("01234", 3, "012"), ("01567", 3, "0156")]),
    "one of five replaced, both sides covered": (2, [("01234", 3, "012"), ("01567", 3, "0125")]),
    "all five replaced": (3, [("01234", 3, "012"), ("56789", 3, "012567"), ("56789", 3, "789")]),
    "all five replaced, old ones too few": (1, [("01234", 3, "012"), ("56789", 3, "01567")]),
    "all five replaced, new ones too few": (1, [("01234", 3, "012"), ("56789", 3, "01256")]),
    "threshold raised": (2, [("012", 1, "0"), ("012", 2, "01")]),
    "threshold raised, not reached": (1, [("012", 1, "0"), ("012", 2, "1")]),
    "threshold raised with a new key": (2, [("0", 1, "0"), ("01", 2, "01")]),
    "threshold lowered": (3, [("012", 2, "01"), ("012", 1, "12"), ("012", 1, "2")]),
    "threshold lowered too early": (1, [("012", 2, "01"), ("012", 1, "0")]),
    "a key comes back": (4, [("0", 1, "0"), ("1", 1, "01"), ("0", 1, "01"), ("0", 1, "0")]),
}


@pytest.mark.parametrize(("good", "chain"), CHAINS.values(), ids=CHAINS.keys())
def test_root_chain(server, new_client, good: int, chain: list[RootSpec]) -> None:
    repo = Repo()
    for version, (own, threshold, signing) in enumerate(chain, start=1):
        for keyid in list(repo.root.roles["root"].keyids):
            repo.root.revoke_key(keyid, "root")
        repo.signers["root"] = []
        repo.root.roles["root"].threshold = threshold
        for number in own:
            repo.root.add_key(keys.signer("ed25519", 2000 + int(number)).public_key, "root")
        repo.signers["root"] = [keys.signer("ed25519", 2000 + int(n)) for n in signing]
        repo.root.version = version
        repo.publish_as_is("root")

    client = new_client(server.live(repo))
    assert client.init(repo.trusted_root()).ok
    assert client.refresh().ok == (good == len(chain))
    assert client.stored("root") == repo.bytes_of["root", good]


# For a role below root only the newest root's keys count.
ROLES: dict[str, tuple[bool, RootSpec]] = {
    "replaced": (True, ("1", 1, "1")),
    "replaced, old key signs": (False, ("1", 1, "0")),
    "replaced, strangers sign": (False, ("1", 1, "789")),
    "strangers may sign too": (True, ("1", 1, "719")),
    "three of five": (True, ("01234", 3, "420")),
    "two of five and a stranger": (False, ("01234", 3, "429")),
    "all of five": (True, ("01234", 5, "01234")),
    "all but one of five": (False, ("01234", 5, "0123")),
}


@pytest.mark.parametrize("role", ["timestamp", "snapshot", "targets"])
@pytest.mark.parametrize(("accepted", "spec"), ROLES.values(), ids=ROLES.keys())
def test_other_roles(client: Client, repo: Repo, role: str, accepted: bool, spec: RootSpec) -> None:
    own, threshold, signing = spec
    assert client.refresh().ok
    for keyid in list(repo.root.roles[role].keyids):
        repo.root.revoke_key(keyid, role)
    repo.root.roles[role].threshold = threshold
    for number in own:
        repo.root.add_key(keys.signer("ed25519", 2000 + int(number)).public_key, role)
    repo.signers[role] = [keys.signer("ed25519", 2000 + int(n)) for n in signing]
    repo.publish("root")
    repo.publish_targets()
    assert client.refresh().ok == accepted
    assert client.version("root") == 2
    assert (client.version(role) == 2) == accepted


def test_a_rotated_key_no_longer_counts_for_stored_metadata(client: Client, repo: Repo) -> None:
    """The stored timestamp was signed by a key that has been taken away: it is not trusted."""
    assert client.refresh().ok
    repo.rotate("timestamp")
    repo.publish("root")
    assert refused(client.refresh(), "signature-threshold"), "the repository still serves a timestamp of the old key"
    repo.publish("timestamp")
    assert client.refresh().ok
