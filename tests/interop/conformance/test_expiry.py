"""Freeze attacks: expired metadata of every role (TUF 5.3.10, 5.4.4, 5.5.6, 5.6.5)."""

import pytest

from our_client import Client, refused
from pytuf_repo import Repo, in_days
from serving import Site


def test_expired_root_is_kept_but_goes_no_further(client: Client, repo: Repo, site: Site) -> None:
    assert client.refresh().ok
    site.forget()
    repo.root.expires = in_days(-1)
    repo.publish("root")
    repo.publish_targets()
    assert refused(client.refresh(), "expired")
    assert client.trusted() == {"root": 2, "timestamp": 1, "snapshot": 1, "targets": 1}
    assert site.metadata_requests() == ["2.root.json", "3.root.json"]


def test_expired_root_in_the_middle_of_the_chain_is_passed(client: Client, repo: Repo) -> None:
    """TUF 5.3.10 looks at the last root only."""
    repo.root.expires = in_days(-1)
    repo.publish("root")
    repo.root.expires = in_days(10)
    repo.publish("root")
    assert client.refresh().ok
    assert client.version("root") == 3


def test_expired_initial_root_is_a_start(new_client, repo: Repo, site: Site) -> None:
    repo.root.expires = in_days(-1)
    repo.publish("root")
    repo.root.expires = in_days(10)
    repo.publish("root")
    client = new_client(site)
    assert client.init(repo.trusted_root(2)).ok
    assert client.refresh().ok
    assert client.version("root") == 3


@pytest.mark.parametrize("role", ["timestamp", "snapshot", "targets"])
def test_expired_role_is_not_accepted(client: Client, repo: Repo, role: str) -> None:
    assert client.refresh().ok
    repo.md[role].signed.expires = in_days(-1)
    repo.publish_targets()
    assert refused(client.refresh(), "expired")
    assert client.version(role) == 1


@pytest.mark.parametrize("role", ["root", "timestamp", "snapshot", "targets"])
def test_trusted_role_that_expires_later_stops_the_client(client: Client, repo: Repo, role: str) -> None:
    repo.md[role].signed.expires = in_days(7)
    repo.publish("root")
    repo.publish_targets()
    assert client.refresh().ok
    assert client.refresh(days_ahead=6).ok
    assert refused(client.refresh(days_ahead=8), "expired")


def test_expired_stored_metadata_is_no_obstacle_to_newer(client: Client, repo: Repo) -> None:
    """A device that was off for 18 days: its stored files expired, the repository's did not."""
    for role in ("timestamp", "snapshot", "targets"):
        repo.md[role].signed.expires = in_days(7)
    repo.publish_targets()
    assert client.refresh().ok
    for role in ("timestamp", "snapshot", "targets"):
        repo.md[role].signed.expires = in_days(21)
    repo.publish_targets()
    assert client.refresh(days_ahead=18).ok
    assert client.trusted() == {"root": 1, "timestamp": 3, "snapshot": 3, "targets": 3}


def test_expired_stored_timestamp_is_still_a_floor(client: Client, repo: Repo) -> None:
    repo.publish("timestamp")
    repo.timestamp.expires = in_days(7)
    repo.publish("timestamp")
    assert client.refresh().ok
    repo.timestamp.version = 2
    repo.timestamp.expires = in_days(21)
    repo.publish_as_is("timestamp")
    assert refused(client.refresh(days_ahead=18), "version-rollback")
    assert client.version("timestamp") == 3


def test_delegated_role_already_expired(client: Client, repo: Repo) -> None:
    repo.delegate("targets", "team", ["team/*"], expires=in_days(-1))
    repo.add_file("team/a", b"a", role="team")
    repo.publish_targets("team")
    assert client.refresh().ok
    assert refused(client.download("team/a"), "target-not-found")
    assert client.downloaded() == []
    assert client.version("team") is None


def test_delegated_role_that_expires_later(client: Client, repo: Repo) -> None:
    repo.delegate("targets", "team", ["team/*"], expires=in_days(7))
    repo.add_file("team/a", b"a", role="team")
    repo.add_file("team/b", b"b", role="team")
    repo.publish_targets("team")
    assert client.download("team/a").ok
    assert refused(client.download("team/b", days_ahead=18), "target-not-found")
    assert client.downloaded() == [b"a"]
    repo.role("team").expires = in_days(21)
    repo.publish_targets("team")
    assert client.download("team/b", days_ahead=18).ok
    assert client.downloaded() == [b"a", b"b"]


@pytest.mark.parametrize(
    "expires",
    ["2100-01-01", "2100-01-01T00:00:00", "2100-01-01T00:00:00.5Z", "2100-13-01T00:00:00Z",
     "2100-01-01T25:00:00Z", "2100-01-01T00:00:00+01:00", "", 4102444800, None],
)  # fmt: skip
def test_expiry_in_another_form_is_refused(client: Client, repo: Repo, expires: object) -> None:
    """TUF 4.2.1: date-time in UTC, YYYY-MM-DDTHH:MM:SSZ, and nothing else."""
    repo.timestamp.version += 1
    repo.publish_as_is("timestamp", repo.timestamp.to_dict() | {"expires": expires})
    assert refused(client.refresh(), "malformed")
    assert client.version("timestamp") is None
