"""The C ABI, as those use it who write C and C++: installed, compiled, run against a served repository."""

import os
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from capi import CAPI, SANITIZED, Installed, run, valgrind
from conftest import binary
from our_client import Client, refused
from our_repo import RepoTool
from serving import Server, Site

IMAGE = b"firmware " * 30_000


@pytest.fixture(scope="session")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Installed:
    return Installed(tmp_path_factory.mktemp("prefix"), binary("libcountersign.a"))


@pytest.fixture(scope="session")
def programs(installed: Installed, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """The C examples, each plain and with AddressSanitizer."""
    folder = tmp_path_factory.mktemp("programs")
    made = {}
    for name in ("update", "own_io"):
        source = CAPI / "examples" / "c" / f"{name}.c"
        made[name] = installed.compile(source, folder / name)
        made[f"{name}-asan"] = installed.compile(source, folder / f"{name}-asan", *SANITIZED)
    return made


@pytest.fixture
def published(tool: RepoTool) -> RepoTool:
    """A repository with one image, published."""
    tool.init()
    tool.add("fw.img", IMAGE)
    tool.run("sign")
    tool.run("publish")
    return tool


def with_library(installed: Installed, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in installed.environment.items():
        monkeypatch.setenv(name, value)


def run_as(words: list[str], code: int) -> str:
    done = subprocess.run(words, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == code, f"{words}\n{done.stdout}{done.stderr}"
    return done.stdout + done.stderr


def tamper(repository: RepoTool) -> None:
    """One byte of the image, under every name that it is published with."""
    files = [file for file in (repository.published / "targets").rglob("*") if file.is_file()]
    assert files
    for file in files:
        content = bytearray(file.read_bytes())
        # Not flipped: two names may be links to one file.
        content[1000] = 0xFF
        file.write_bytes(content)


def test_only_our_symbols_are_there_with_their_version(installed: Installed) -> None:
    library = installed.prefix / "lib" / "libcountersign.so"
    listed = run("nm", "--dynamic", "--defined-only", library).split("\n")
    names = [line.split()[-1] for line in listed if line and " A " not in line]
    assert len(names) > 80
    assert all(name.startswith("countersign_") and name.endswith("@@COUNTERSIGN_0.1") for name in names), names
    assert "libcountersign.so.0.1" in run("readelf", "-d", library)


def test_the_library_needs_no_more_than_the_system_has(installed: Installed) -> None:
    needed = run("readelf", "-d", installed.prefix / "lib" / "libcountersign.so")
    libraries = {line.split("[")[1].rstrip("]") for line in needed.splitlines() if "(NEEDED)" in line}
    assert libraries <= {"libc.so.6", "libm.so.6", "libgcc_s.so.1", "ld-linux-x86-64.so.2"}, libraries


@pytest.mark.parametrize("kind", ["update", "update-asan", "valgrind", "static"])
def test_the_c_example_updates_and_refuses(
    kind: str,
    installed: Installed,
    programs: dict[str, Path],
    published: RepoTool,
    server: Server,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with_library(installed, monkeypatch)
    match kind:
        case "valgrind":
            command = valgrind(programs["update"])
        case "static":
            source = CAPI / "examples" / "c" / "update.c"
            command = [str(installed.compile(source, tmp_path / "static", static=True))]
            monkeypatch.delenv("LD_LIBRARY_PATH")
        case _:
            command = [str(programs[kind])]
    site = server.static(published.published)
    client = Client(command, tmp_path / "client", site)
    root = (published.published / "metadata" / "1.root.json").read_bytes()
    assert client.init(root).ok
    outcome = client.download("fw.img")
    assert outcome.ok, outcome
    assert (client.target_dir / "fw.img").read_bytes() == IMAGE
    (client.target_dir / "fw.img").unlink()
    tamper(published)
    assert refused(client.download("fw.img"), "image-hash")
    assert not (client.target_dir / "fw.img").exists()
    assert refused(client.download("none.img"), "target-not-found")


def test_the_c_example_refuses_its_arguments(
    installed: Installed, programs: dict[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with_library(installed, monkeypatch)
    program = str(programs["update-asan"])
    state = str(tmp_path / "state")
    assert "usage" in run_as([program], 1)
    assert "cannot read" in run_as([program, "--metadata-dir", state, "init", "/none"], 1)
    assert "misuse" in run_as([program, "--metadata-dir", state, "refresh"], 1)
    url = ["--metadata-url", "http://127.0.0.1:1/metadata"]
    assert "no-trusted-root" in run_as([program, "--metadata-dir", state, *url, "refresh"], 1)
    assert "usage" in run_as([program, "--metadata-dir", state, "--metadata-url", "gopher://x/", "refresh"], 1)


def test_the_cplusplus_example_through_cmake(
    installed: Installed, published: RepoTool, server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with_library(installed, monkeypatch)
    build = tmp_path / "build"
    flags = " ".join(SANITIZED)
    run(
        "cmake", "-S", CAPI / "examples" / "cpp", "-B", build,
        f"-DCMAKE_PREFIX_PATH={installed.prefix}", f"-DCMAKE_CXX_FLAGS={flags} -Wall -Wextra -Werror",
    )
    run("cmake", "--build", build)
    program = str(build / "update")
    site = server.static(published.published)
    state, images = str(tmp_path / "state"), tmp_path / "images"
    root = published.published / "metadata" / "1.root.json"
    run_as([program, state, "init", str(root)], 0)
    base = site.metadata_url.removesuffix("/metadata")
    images.mkdir()
    assert "verified" in run_as([program, state, base, "fw.img", str(images)], 0)
    assert (images / "fw.img").read_bytes() == IMAGE
    (images / "fw.img").unlink()
    tamper(published)
    assert "image-hash (602)" in run_as([program, state, base, "fw.img", str(images)], 1)
    assert not (images / "fw.img").exists()


@pytest.mark.parametrize("kind", ["own_io-asan", "valgrind"])
def test_own_transport_and_storage(
    kind: str,
    installed: Installed,
    programs: dict[str, Path],
    published: RepoTool,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with_library(installed, monkeypatch)
    command = valgrind(programs["own_io"]) if kind == "valgrind" else [str(programs[kind])]
    state, output = str(tmp_path / "state"), tmp_path / "fw.img"
    update = [*command, state, "update", str(published.published), "fw.img", str(output)]
    assert "no-trusted-root" in run_as(update, 1)
    run_as([*command, state, "init", str(published.published / "metadata" / "1.root.json")], 0)
    run_as(update, 0)
    assert output.read_bytes() == IMAGE
    assert {"root", "root+1", "timestamp", "snapshot", "targets"} <= set(os.listdir(state))
    output.unlink()
    tamper(published)
    assert "image-hash" in run_as(update, 1)
    assert not output.exists()
    # An older state of the repository, replayed.
    (tmp_path / "old").mkdir()
    run("cp", "-r", published.published, tmp_path / "old")
    published.add("fw2.img", IMAGE)
    published.run("sign")
    published.run("publish")
    run_as([*update[:-2], "fw2.img", str(output)], 0)
    replayed = [*command, state, "update", str(tmp_path / "old" / "published"), "fw2.img", str(output)]
    assert "version-rollback" in run_as(replayed, 1)


@pytest.mark.parametrize("kind", ["plain", "asan", "valgrind"])
def test_every_function_called_wrongly(
    kind: str, installed: Installed, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with_library(installed, monkeypatch)
    header = installed.prefix / "include" / "countersign" / "countersign.h"
    source = tmp_path / "misuse.c"
    source.write_text(run("python3", CAPI / "tests" / "misuse.py", header))
    options = SANITIZED if kind == "asan" else []
    program = installed.compile(source, tmp_path / "misuse", *options)
    run_as(valgrind(program) if kind == "valgrind" else [str(program)], 0)


def test_the_header_stands_alone(installed: Installed, tmp_path: Path) -> None:
    include = f"-I{installed.prefix / 'include'}"
    for compiler, suffix, standard in [("cc", "c", "c99"), ("c++", "cpp", "c++17")]:
        source = tmp_path / f"alone.{suffix}"
        source.write_text('#include <countersign/countersign.h>\nint main(void) { return COUNTERSIGN_OK; }\n')
        run(compiler, f"-std={standard}", "-Wall", "-Wextra", "-Werror", "-pedantic", include, "-c", source,
            "-o", tmp_path / "alone.o")


def test_vectors_through_the_c_example(
    installed: Installed, programs: dict[str, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    """As a process of its own, like any other client. Without processes all vectors go through the same
    functions in client-verifier/capi/tests."""
    with_library(installed, monkeypatch)
    areas = [word for area in ("root/", "delegations/", "images/") for word in ("--filter", area)]
    client = ["--jobs", "3", "--client", str(programs["update"])]
    run_as([str(binary("test-vectors")), "run", *areas, *client], 0)
