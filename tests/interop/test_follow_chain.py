"""python-tuf follows every chain of roots that repo-tool makes, and refuses broken ones."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from follow_chain import RefusedError, follow_chain
from our_repo import RepoTool

KINDS = ["ed25519", "ecdsa-p256", "ecdsa-p384", "rsa-2048"]


@pytest.fixture
def chain(tool: RepoTool) -> list[bytes]:
    """Root keys replaced by those of other kinds, thresholds raised, online keys replaced."""
    tool.init(root_keys=2)
    tool.run("root", "set-threshold", "root", "2")
    tool.release()
    for kind in KINDS:
        tool.run("root", "add-key", "root", tool.key_of(kind))
        oldest = tool.run("root", "show")["roles"]["root"]["keyids"][0]
        tool.run("root", "remove-key", "root", oldest)
        tool.release()
    for role in ("targets", "snapshot", "timestamp"):
        tool.replace_key(role, "ecdsa-p256")
    tool.run("root", "set-expiry", "30d")
    tool.release()
    return [tool.metadata(f"{version}.root.json") for version in range(1, len(KINDS) + 3)]


def script(*files: Path) -> tuple[int, str]:
    command = [sys.executable, Path(__file__).with_name("follow_chain.py"), *files]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
    return done.returncode, done.stdout + done.stderr


def test_the_whole_chain_and_each_part_of_it(chain: list[bytes]) -> None:
    for start in range(len(chain)):
        assert follow_chain(chain[start:]).version == len(chain)


def test_broken_chains(chain: list[bytes]) -> None:
    short = json.loads(chain[2])
    # The outgoing keys' signatures alone: the new root's own threshold is not met.
    kept = [sig for sig in short["signatures"] if sig["keyid"] in ids(chain[1])]
    alone = json.dumps({**short, "signatures": kept}).encode()
    kept = [sig for sig in short["signatures"] if sig["keyid"] in ids(chain[2])]
    own = json.dumps({**short, "signatures": kept}).encode()
    changed = chain[1].replace(b'"consistent_snapshot":true', b'"consistent_snapshot":false')
    assert changed != chain[1]
    for broken, index in (
        ([chain[0], chain[2]], 1),
        ([chain[1], chain[0]], 1),
        ([chain[0], chain[0]], 1),
        ([chain[0], chain[1], alone], 2),
        ([chain[0], chain[1], own], 2),
        ([chain[0], changed], 1),
        ([b"{}"], 0),
        ([chain[0], b"not JSON"], 1),
    ):
        with pytest.raises(RefusedError) as refused:
            follow_chain(broken)
        assert refused.value.index == index


def ids(root: bytes) -> list[str]:
    return json.loads(root)["signed"]["roles"]["root"]["keyids"]


def test_the_command(chain: list[bytes], tmp_path: Path) -> None:
    files = []
    for version, data in enumerate(chain, 1):
        files.append(tmp_path / f"{version}.json")
        files[-1].write_bytes(data)
    assert script(*files) == (0, "python-tuf follows to root version 6\n")
    code, said = script(files[0], files[2])
    assert code == 1 and str(files[2]) in said
    assert script()[0] == script(tmp_path / "none")[0] == script(Path("--help"))[0] == 2
