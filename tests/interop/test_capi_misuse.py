"""The C ABI, called wrongly, by several threads, and left without freeing."""

from pathlib import Path

import pytest
from capi import CAPI, KINDS, PROGRAMS, WORKSPACE, Installed, run, run_as
from capi import installed, with_library  # noqa: F401 - fixtures
from our_repo import RepoTool

VECTOR = WORKSPACE / "test-vectors" / "vectors" / "uptane-director" / "honest" / "1"


@pytest.fixture
def published(tool: RepoTool) -> Path:
    """A repository with an image whose bytes are all the same: in whatever order they come, it is whole."""
    tool.init()
    tool.add("fw.img", b"A" * 100_000)
    tool.release()
    return tool.published


@pytest.mark.parametrize("kind", KINDS)
def test_every_function_called_wrongly(
    kind: str, with_library: Installed, published: Path, tmp_path: Path
) -> None:
    header = with_library.prefix / "include" / "countersign" / "countersign.h"
    source = tmp_path / "misuse.c"
    source.write_text(run("python3", CAPI / "tests" / "misuse.py", header))
    command = with_library.command(kind, source, tmp_path)
    (tmp_path / "home").mkdir()
    run_as([*command, published, VECTOR, tmp_path / "home"], 0)


@pytest.mark.parametrize("kind", KINDS)
def test_two_threads_and_the_same_handles(
    kind: str, with_library: Installed, published: Path, tmp_path: Path
) -> None:
    command = with_library.command(kind, PROGRAMS / "race.c", tmp_path)
    run_as([*command, published, VECTOR, tmp_path / "home"], 0)


@pytest.mark.parametrize("kind", KINDS)
def test_a_handle_that_is_left_behind_is_noticed(kind: str, with_library: Installed, tmp_path: Path) -> None:
    command = with_library.command(kind, PROGRAMS / "leak.c", tmp_path)
    assert "handles are left: 1" in run_as(command, 98)


def test_the_header_stands_alone(with_library: Installed, tmp_path: Path) -> None:
    include = f"-I{with_library.prefix / 'include'}"
    for compiler, suffix, standard in [("cc", "c", "c99"), ("c++", "cpp", "c++17")]:
        source = tmp_path / f"alone.{suffix}"
        source.write_text('#include <countersign/countersign.h>\nint main(void) { return COUNTERSIGN_OK; }\n')
        run(compiler, f"-std={standard}", "-Wall", "-Wextra", "-Werror", "-pedantic", include, "-c", source,
            "-o", tmp_path / "alone.o")  # fmt: skip
