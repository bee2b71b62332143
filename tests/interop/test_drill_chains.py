"""python-tuf follows the roots of every compromise drill."""

import hashlib
import json
import subprocess
from pathlib import Path

import pytest

from conftest import binary
from follow_chain import RefusedError, follow_chain

DRILLS = {
    "lost-root-key": 2,
    "stolen-root-key": 2,
    "stolen-targets-key": 2,
    "fast-forward": 2,
    "stolen-supplier-key": 1,
    "stolen-online-keys": 2,
}


@pytest.fixture(scope="module")
def drills(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """All drills, held; the folder with their reports."""
    folder = tmp_path_factory.mktemp("drills")
    command = [binary("key-ceremony"), "drill", "--all", "--out", folder / "reports"]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=300)
    assert done.returncode == 0, done.stdout + done.stderr
    return folder / "reports"


def roots_of(drills: Path, name: str) -> list[bytes]:
    folder = drills / f"{name}-roots"
    count = len(list(folder.iterdir()))
    return [(folder / f"{version}.root.json").read_bytes() for version in range(1, count + 1)]


def test_every_chain_is_followed(drills: Path) -> None:
    assert {path.stem for path in drills.glob("*.html")} == set(DRILLS)
    for name, count in DRILLS.items():
        roots = roots_of(drills, name)
        assert (follow_chain(roots).version, len(roots)) == (count, count), name
        report = json.loads((drills / f"{name}.json").read_text())
        assert report["passed"], name
        listed = [root["sha256"] for root in report["roots"]]
        assert listed == [hashlib.sha256(root).hexdigest() for root in roots], name


def test_the_chains_are_not_mixed_up(drills: Path) -> None:
    first, second = roots_of(drills, "lost-root-key")[0], roots_of(drills, "stolen-root-key")[1]
    with pytest.raises(RefusedError):
        follow_chain([first, second])
