"""Rotations of online keys on a static file server, while clients poll it: none is refused."""

import shutil
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from our_client import Client, Outcome
from our_repo import RepoTool
from serving import Server, Site

ONLINE = ("timestamp", "snapshot", "targets")
POLLS_PER_SECOND = 10
NewClient = Callable[[Site], Client]


class Poller:
    """One client that refreshes on and on; `fresh` makes it forget everything before each time."""

    def __init__(self, new_client: Callable[[], Client], seconds: float, fresh: bool) -> None:
        self.client = new_client()
        self.refused: list[Outcome] = []
        self.polls = 0
        self._new_client, self._seconds, self._fresh = new_client, seconds, fresh
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run)
        self._thread.start()

    def wait_for(self, polls: int) -> None:
        """Until that many further polls began and ended."""
        enough = self.polls + polls + 1
        while self.polls < enough and self._thread.is_alive():
            time.sleep(0.01)

    def stop(self) -> None:
        self._stop.set()
        self._thread.join()

    def _run(self) -> None:
        while not self._stop.is_set():
            begun = time.monotonic()
            if self._fresh:
                self.client = self._new_client()
            outcome = self.client.refresh()
            if not outcome.ok:
                self.refused.append(outcome)
            self.polls += 1
            self._stop.wait(max(0.0, self._seconds - (time.monotonic() - begun)))


@pytest.fixture
def released(tool: RepoTool) -> RepoTool:
    tool.init()
    tool.add("a", b"image")
    tool.release()
    return tool


def signers(tool: RepoTool, name: str) -> int:
    return tool.metadata(name).count(b'"sig"')


def test_no_poll_is_refused_while_online_keys_rotate(
    server: Server, new_client: NewClient, released: RepoTool
) -> None:
    tool = released
    site, root = server.static(tool.published), tool.metadata("1.root.json")
    lock = threading.Lock()

    def client() -> Client:
        with lock:
            made = new_client(site)
        assert made.init(root).ok
        return made

    pollers = [
        Poller(client, 1 / POLLS_PER_SECOND, fresh=False),
        Poller(client, 1 / POLLS_PER_SECOND, fresh=True),
        Poller(client, 0, fresh=False),
    ]
    try:
        for turn, role in enumerate([*ONLINE, *ONLINE]):
            tool.replace_key(role)
            tool.release()
            tool.run("refresh", "--force")
            tool.add(f"b{turn}", b"image")
            tool.release()
        for role in ONLINE:
            tool.replace_key(role)
        tool.release()
        assert signers(tool, "timestamp.json") > 1
        # Every client has met the last root, so that its way over may end.
        for poller in pollers:
            poller.wait_for(1)
        tool.days_ahead = 1
        assert [file["role"] for file in tool.run("refresh")["published"]][-1] == "timestamp"
        tool.run("publish")
        for poller in pollers:
            poller.wait_for(1)
    finally:
        for poller in pollers:
            poller.stop()
    for poller in pollers:
        assert poller.refused == []
        assert poller.polls > 10
        assert poller.client.version("root") == 8
        for role in ONLINE:
            assert poller.client.stored(role).count(b'"sig"') == 1, f"{role}: by the new key alone"


@pytest.mark.parametrize("kind", ["1.root", "timestamp", "snapshot", "targets"])
def test_a_client_that_is_held_up_at_a_file_is_not_refused(
    server: Server, new_client: NewClient, released: RepoTool, kind: str
) -> None:
    """The server answers a request only after two rotations and what followed them."""
    tool = released
    site = server.static(tool.published)
    find, held = site.find, []

    def held_up(path: str) -> bytes | None:
        if path.endswith(f"{kind}.json") and not held:
            held.append(path)
            for roles in (ONLINE[:1], ONLINE):
                for role in roles:
                    tool.replace_key(role)
                tool.release()
            tool.add("b", b"image")
            tool.release()
            tool.run("refresh", "--force")
        return find(path)

    client = new_client(site)
    assert client.init(tool.metadata("1.root.json")).ok
    site.find = held_up
    if kind == "1.root":
        held_up(f"{kind}.json")
    outcome = client.refresh()
    assert outcome.ok and held, outcome
    site.find = find
    assert client.refresh().ok
    assert client.version("root") == 3
    tool.days_ahead = 1
    assert tool.run("refresh")["changed"]
    assert client.refresh().ok
    assert client.stored("timestamp").count(b'"sig"') == 1


def test_the_root_of_a_ceremony_is_led_over_to(
    server: Server, new_client: NewClient, tool: RepoTool, tmp_path: Path
) -> None:
    """The first root and the next are made elsewhere, with keys that never come here."""
    elsewhere = RepoTool(tool.binary, tmp_path / "ceremony")
    keys = elsewhere.init(root_keys=3)
    elsewhere.run("root", "set-threshold", "root", "2")
    elsewhere.release()
    first, second = tmp_path / "first.json", tmp_path / "second.json"
    first.write_bytes(elsewhere.metadata("1.root.json"))

    def bring(uri: str) -> str:
        """Online keys live here; a ceremony would have their public halves only."""
        tool.key_file(uri).parent.mkdir(mode=0o700, exist_ok=True)
        shutil.copy2(elsewhere.key_file(uri), tool.key_file(uri))
        return uri

    online = {role: bring(keys[role]) for role in ONLINE}
    words = [word for role, uri in online.items() for word in (f"--{role}-key", uri)]
    wrong = tool.fails(1, "init", "--root", first, "--timestamp-key", online["targets"])
    assert wrong["name"] == "root-import" and "does not give timestamp" in wrong["message"]
    tool.fails(2, "init", "--root", first, "--root-threshold", "1")
    tool.run("init", "--root", first, *words)
    tool.add("a", b"image")
    tool.release()
    assert tool.metadata("1.root.json") == first.read_bytes()

    site = server.static(tool.published)
    client = new_client(site)
    assert client.init(first.read_bytes()).ok
    assert client.refresh().ok
    new = elsewhere.replace_key("timestamp")
    elsewhere.release()
    second.write_bytes(elsewhere.metadata("2.root.json"))
    find = site.find

    def held_up(path: str) -> bytes | None:
        if path.endswith("timestamp.json") and not (tool.published / "metadata/2.root.json").exists():
            tool.run("root", "import", second, "--key", f"timestamp={bring(new)}")
            tool.run("refresh", "--force")
        return find(path)

    site.find = held_up
    assert client.refresh().ok and client.version("root") == 1
    assert client.refresh().ok and client.version("root") == 2
    tool.days_ahead = 1
    assert tool.run("refresh")["changed"]
    assert client.refresh().ok
    assert tool.run("status")["unneeded_keys"] == [online["timestamp"]]
