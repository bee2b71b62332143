"""The seeds of the fuzz targets: without them a target passes, and says nothing."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from capi import WORKSPACE


@pytest.mark.parametrize("target", ["documents", "capi"])
def test_missing_vectors_are_noticed(target: str, tmp_path: Path) -> None:
    shutil.copytree(WORKSPACE / "fuzz", tmp_path / "fuzz", ignore=shutil.ignore_patterns("targets"))
    (tmp_path / "test-vectors" / "moved").mkdir(parents=True)
    command = [sys.executable, tmp_path / "fuzz" / "seeds.py", target, tmp_path / "seeds"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 1
    assert f"too few seeds for {target}" in done.stderr
