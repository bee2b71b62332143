"""Folders that are of no use any more, out of the way.

Nothing is deleted while something is measured: ext4 without a journal searches long for a place for a new file where
many were deleted within the last minutes, and what is measured would be that."""

import itertools
import os
import subprocess
from pathlib import Path

NAME = "aside"

# Bytes of a file that is deleted all the same, for its room.
LARGE = 16 << 20


def put(folder: Path) -> None:
    """The folder is gone, if it was there."""
    if not folder.exists():
        return
    for file in folder.rglob("*"):
        if file.is_symlink() or not file.is_file():
            continue
        if file.parent.name == "images" and file.stat().st_size > LARGE:
            file.unlink()
            continue
        # The next run gets the memory that this one's files took.
        with file.open("rb") as opened:
            os.fsync(opened.fileno())
            os.posix_fadvise(opened.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)
    heap = folder.parent / NAME
    heap.mkdir(exist_ok=True)
    free = next(number for number in itertools.count() if not (heap / f"{folder.name}-{number}").exists())
    folder.rename(heap / f"{folder.name}-{free}")


def delete(work: Path) -> None:
    """All that was put aside."""
    for heap in (work / NAME, *work.glob(f"*/{NAME}")):
        if heap.exists():
            # Much faster than Python with a hundred thousand files.
            subprocess.run(["rm", "-rf", heap], check=True)
