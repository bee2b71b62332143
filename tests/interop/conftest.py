"""Fixtures: the server, and the client under test."""

import os
import shlex
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from our_client import Client
from our_repo import RepoTool
from pytuf_repo import Repo
from serving import Server, Site

WORKSPACE = Path(__file__).resolve().parents[2]


def binary(name: str) -> Path:
    """One of our executables. COUNTERSIGN_BIN_DIR says where they were built."""
    folder = Path(os.environ.get("COUNTERSIGN_BIN_DIR", WORKSPACE / "target" / "debug"))
    path = folder / name
    if not path.is_file():
        pytest.fail(f"{path} does not exist: run 'make interop', or build it with cargo", pytrace=False)
    return path


@pytest.fixture(scope="session")
def client_command() -> list[str]:
    """The client under test; COUNTERSIGN_CLIENT names another one with the same arguments."""
    other = os.environ.get("COUNTERSIGN_CLIENT")
    return shlex.split(other) if other else [str(binary("client-verifier")), "--format", "json"]


@pytest.fixture(scope="session")
def repo_tool() -> Path:
    return binary("repo-tool")


@pytest.fixture
def tool(repo_tool: Path, tmp_path: Path) -> RepoTool:
    """repo-tool, on a folder in which nothing is started yet."""
    return RepoTool(repo_tool, tmp_path / "repository")


@pytest.fixture(scope="session")
def server() -> Iterator[Server]:
    running = Server()
    yield running
    running.close()


@pytest.fixture
def new_client(client_command: list[str], tmp_path: Path) -> Callable[[Site], Client]:
    """Makes clients of a site, each with its own directories."""
    made = []

    def make(site: Site) -> Client:
        made.append(site)
        return Client(client_command, tmp_path / f"client{len(made)}", site)

    return make


@pytest.fixture
def repo() -> Repo:
    """A new repository: one Ed25519 key per role, consistent snapshots, no targets."""
    return Repo()


@pytest.fixture
def site(server: Server, repo: Repo) -> Site:
    """`repo`, served."""
    return server.live(repo)


@pytest.fixture
def client(new_client: Callable[[Site], Client], repo: Repo, site: Site) -> Client:
    """A client of `site` that trusts the first root of `repo`."""
    made = new_client(site)
    assert made.init(repo.trusted_root()).ok
    return made
