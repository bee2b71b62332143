"""Delegations (TUF 4.5, 5.6.7): which roles are searched, in which order, and where it ends."""

import hashlib
import json

import pytest

from our_client import Client, refused
from pytuf_repo import Repo
from serving import Site

# (delegator, role, path patterns or None for all, terminating), in order of appearance.
Edge = tuple[str, str, list[str] | None, bool]


def graph(text: str) -> list[Edge]:
    """`a>b` delegates, `a>b!` ends the search there, `a>b:*.x` only for a pattern; targets is T."""
    edges = []
    for word in text.split():
        arrow, _, pattern = word.partition(":")
        parent, _, child = arrow.partition(">")
        edges.append(
            (
                "targets" if parent == "T" else parent,
                child.rstrip("!"),
                [pattern] if pattern else None,
                child.endswith("!"),
            )
        )
    return edges


# Searching for "missing": the roles asked for, in order.
SEARCHES = {
    "one": ("T>A", "A"),
    "siblings in order": ("T>B T>A T>C", "BAC"),
    "children before siblings": ("T>A T>B A>C A>D", "ACDB"),
    "depth first": ("T>A T>B A>C C>D D>E", "ACDEB"),
    "terminating ends after its own children": ("T>A! T>B A>C A>D", "ACD"),
    "terminating deep down ends everything": ("T>A T>B A>C! A>D C>E", "ACE"),
    "terminating that does not match is passed": ("T>A!:*.zip T>B", "B"),
    "pattern does not match": ("T>A:*.zip T>B:miss*", "B"),
    "children of what does not match": ("T>A:*.zip A>C T>B", "B"),
    "question mark is one character": ("T>A:missin? T>B:missing? T>C:??????", "A"),
    "star does not cross a slash": ("T>A:*/* T>B:*", "B"),
    "pattern is the whole path": ("T>A:miss T>B:issing T>C:missing", "C"),
    "cycle": ("T>A A>B B>C C>A T>D", "ABCD"),
    "self": ("T>A A>A T>B", "AB"),
    "diamond is visited once": ("T>A T>B A>C B>C", "ACB"),
    "reached by the second way only": ("T>A T>B A>C:*.zip B>C", "ABC"),
    "nobody": ("T>A:*.zip T>B:*.tar", ""),
}


@pytest.mark.parametrize(("edges", "visited"), SEARCHES.values(), ids=SEARCHES.keys())
def test_search_order(client: Client, repo: Repo, site: Site, edges: str, visited: str) -> None:
    publish_graph(repo, edges)
    assert refused(client.download("missing"), "target-not-found")
    assert site.metadata_requests()[4:] == [f"1.{role}.json" for role in visited]


FINDS = {
    "listed by the delegator itself": ("T>A", "targets", "f", ""),
    "in the first role that lists it": ("T>A T>B", "B", "f", "AB"),
    "two levels down": ("T>A A>B:d/* ", "B", "d/f", None),
    "through matching patterns": ("T>A:d/* A>B:d/f", "B", "d/f", "AB"),
    "slash must be matched by slash": ("T>A:d/*/f", "A", "d/e/f", "A"),
    "not delegated by the first": ("T>A:e/* A>B:d/*", "B", "d/f", None),
    "a role's own target outside its paths": ("T>A:e/*", "A", "d/f", None),
    "behind a terminating role": ("T>A! T>B", "B", "f", None),
}


@pytest.mark.parametrize(("edges", "owner", "path", "visited"), FINDS.values(), ids=FINDS.keys())
def test_find(
    client: Client, repo: Repo, site: Site, edges: str, owner: str, path: str, visited: str | None
) -> None:
    """`visited` is None where the target must not be found."""
    publish_graph(repo, edges, owner, path)
    assert client.download(path).ok == (visited is not None)
    assert client.downloaded() == ([b"content"] if visited is not None else [])
    if visited is not None:
        assert site.metadata_requests()[4:] == [f"1.{role}.json" for role in visited]


def test_the_first_role_that_lists_a_target_decides(client: Client, repo: Repo) -> None:
    publish_graph(repo, "T>A T>B")
    repo.add_file("f", b"from B", role="B")
    repo.add_file("f", b"from A", role="A")
    repo.publish_targets("A", "B")
    assert client.download("f").ok
    assert client.downloaded() == [b"from A"]


BROKEN = ["missing", "expired", "unsigned", "wrong version"]


@pytest.mark.parametrize("how", BROKEN)
def test_a_broken_role_ends_the_search(client: Client, repo: Repo, site: Site, how: str) -> None:
    """TUF 5.6.7: it must not fall through to a role of lower priority."""
    publish_graph(repo, "T>A T>B", "B", "f")
    if how == "missing":
        del repo.served["metadata/1.A.json"]
    elif how == "wrong version":
        repo.publish_targets("A")
        repo.served["metadata/2.A.json"] = repo.bytes_of["A", 1]
    elif how == "unsigned":
        document = json.loads(repo.current("A"))
        document["signatures"] = []
        repo.publish_bytes("A", 1, json.dumps(document).encode())
    else:
        repo.role("A").expires = repo.role("A").expires.replace(year=2020)
        repo.publish_targets("A")
    assert refused(client.download("f"), "target-not-found")
    assert client.downloaded() == []
    assert not any(name.endswith(".B.json") for name in site.metadata_requests())


def test_two_delegators_may_name_one_role_with_different_keys(client: Client, repo: Repo) -> None:
    """Trust is per delegation: what A's keys vouch for is nothing to targets' own entry for C."""
    publish_graph(repo, "T>A:a/* T>C:c/* A>C:a/*", "C", "c/f")
    stranger = repo.new_signer()
    delegation = repo.role("A").delegations.roles["C"]
    delegation.keyids = [stranger.public_key.keyid]
    repo.role("A").delegations.keys = {stranger.public_key.keyid: stranger.public_key}
    repo.add_file("a/f", b"not for A", role="C")
    repo.publish_targets("A", "C")
    assert client.download("c/f").ok
    assert refused(client.download("a/f"), "target-not-found")
    assert client.downloaded() == [b"content"]


def test_hash_prefixes(client: Client, repo: Repo, site: Site) -> None:
    digests = {path: hashlib.sha256(path.encode()).hexdigest() for path in ("x/one", "x/two")}
    for role, path in (("A", "x/one"), ("B", "x/two")):
        repo.delegate("targets", role, hash_prefixes=[digests[path][:3]])
        repo.add_file(path, path.encode(), role=role)
    repo.publish_targets("A", "B")
    assert client.download("x/two").ok
    assert site.metadata_requests()[4:] == ["1.B.json"]
    assert client.download("x/one").ok
    assert client.downloaded() == [b"x/one", b"x/two"]


@pytest.mark.parametrize("bits", [1, 5, 8])
def test_succinct_bins(client: Client, repo: Repo, site: Site, bits: int) -> None:
    """TAP 15: one delegation, 2**bits roles, and only the bin of the target is fetched."""
    succinct = repo.delegate_succinct("targets", bits, "bin")
    paths = [f"dir/file{n}" for n in range(4)]
    for path in paths:
        repo.add_file(path, path.encode(), role=succinct.get_role_for_target(path))
    repo.publish_targets(*succinct.get_roles())
    assert client.download(*paths).ok
    assert client.downloaded() == sorted(path.encode() for path in paths)
    asked = site.metadata_requests()[4:]
    assert set(asked) == {f"1.{succinct.get_role_for_target(path)}.json" for path in paths}
    assert len(asked) == len(set(asked))


@pytest.mark.parametrize(
    "delegations",
    [
        {"keys": {}, "roles": [{"name": "A", "keyids": [], "threshold": 0, "terminating": False, "paths": ["*"]}]},
        {"keys": {}, "roles": [{"name": "A", "keyids": [], "threshold": 1, "terminating": "no", "paths": ["*"]}]},
        {"keys": {}, "roles": [{"name": "A", "keyids": [], "threshold": 1, "terminating": False, "paths": ["*"],
                                "path_hash_prefixes": ["00"]}]},
        {"keys": {}, "roles": {}},
        {"keys": [], "roles": []},
        {"keys": {}, "succinct_roles": {"keyids": [], "threshold": 1, "bit_length": 0, "name_prefix": "b"}},
        {"keys": {}, "succinct_roles": {"keyids": [], "threshold": 1, "bit_length": 33, "name_prefix": "b"}},
    ],
    ids=["threshold 0", "terminating is text", "both kinds of paths", "roles is an object",
         "keys is a list", "0 bits", "33 bits"],
)  # fmt: skip
def test_malformed_delegations_are_refused(client: Client, repo: Repo, delegations: dict) -> None:
    assert client.refresh().ok
    repo.publish_as_is("targets", repo.targets.to_dict() | {"version": 2, "delegations": delegations})
    repo.publish("snapshot", "timestamp")
    assert refused(client.refresh(), "malformed")
    assert client.version("targets") == 1


def publish_graph(repo: Repo, edges: str, owner: str | None = None, path: str | None = None) -> None:
    names = []
    for parent, child, patterns, terminating in graph(edges):
        repo.delegate(parent, child, patterns, terminating=terminating)
        if child not in names:
            names.append(child)
    if owner and path:
        repo.add_file(path, b"content", role=owner)
    repo.publish_targets(*names)
