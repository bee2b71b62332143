"""The C ABI, as those use it who write C and C++: installed, compiled, run against a served repository."""

import json
import os
import struct
from pathlib import Path

import pytest
from capi import CAPI, EXAMPLES, KINDS, PROGRAMS, SANITIZED, STRICT, WATCHED, WORKSPACE, Installed, run, run_as
from capi import installed, with_library  # noqa: F401 - fixtures
from conftest import binary
from our_client import Client, refused
from our_repo import RepoTool
from serving import Server

IMAGE = b"firmware " * 30_000


@pytest.fixture
def published(tool: RepoTool) -> RepoTool:
    """A repository with one image, published."""
    tool.init()
    tool.add("fw.img", IMAGE)
    tool.release()
    return tool


def first_root(repository: RepoTool) -> Path:
    return repository.published / "metadata" / "1.root.json"


def tamper(repository: RepoTool) -> None:
    """One byte of the image, under every name that it is published with."""
    files = [file for file in (repository.published / "targets").rglob("*") if file.is_file()]
    assert files
    for file in files:
        content = bytearray(file.read_bytes())
        # Not flipped: two names may be links to one file.
        content[1000] = 0xFF
        file.write_bytes(content)


@pytest.mark.parametrize("kind", KINDS)
def test_the_c_example_updates_and_refuses(
    kind: str, with_library: Installed, published: RepoTool, server: Server, tmp_path: Path
) -> None:
    command = with_library.command(kind, EXAMPLES / "update.c", tmp_path)
    client = Client([str(word) for word in command], tmp_path / "client", server.static(published.published))
    assert client.init(first_root(published).read_bytes()).ok
    outcome = client.download("fw.img")
    assert outcome.ok, outcome
    assert (client.target_dir / "fw.img").read_bytes() == IMAGE
    (client.target_dir / "fw.img").unlink()
    tamper(published)
    assert refused(client.download("fw.img"), "image-hash")
    assert not (client.target_dir / "fw.img").exists()
    assert refused(client.download("none.img"), "target-not-found")


def test_the_c_example_refuses_its_arguments(with_library: Installed, tmp_path: Path) -> None:
    program = with_library.command("asan", EXAMPLES / "update.c", tmp_path)
    state = ["--metadata-dir", tmp_path / "state"]
    assert "usage" in run_as(program, 1)
    assert "cannot read" in run_as([*program, *state, "init", "/none"], 1)
    assert "misuse" in run_as([*program, *state, "refresh"], 1)
    url = ["--metadata-url", "http://127.0.0.1:1/metadata"]
    assert "no-trusted-root" in run_as([*program, *state, *url, "refresh"], 1)
    assert "usage" in run_as([*program, *state, "--metadata-url", "gopher://x/", "refresh"], 1)


def test_the_cplusplus_example_through_cmake(
    with_library: Installed, published: RepoTool, server: Server, tmp_path: Path
) -> None:
    build = tmp_path / "build"
    flags = " ".join([*SANITIZED, *STRICT])
    include = with_library.prefix / "include"
    run("cc", *SANITIZED, f"-I{include}", "-c", PROGRAMS / "no_handles_left.c", "-o", tmp_path / "no_handles_left.o")
    (tmp_path / "more.cmake").write_text(f"link_libraries({tmp_path / 'no_handles_left.o'})\n")
    run(
        "cmake", "-S", CAPI / "examples" / "cpp", "-B", build, f"-DCMAKE_PREFIX_PATH={with_library.prefix}",
        f"-DCMAKE_CXX_FLAGS={flags}", f"-DCMAKE_PROJECT_INCLUDE={tmp_path / 'more.cmake'}",
    )
    run("cmake", "--build", build)
    assert "no_handle_is_left" in run("nm", build / "update")
    site = server.static(published.published)
    update, images = [build / "update", tmp_path / "state"], tmp_path / "images"
    run_as([*update, "init", first_root(published)], 0)
    asked = [*update, site.metadata_url.removesuffix("/metadata"), "fw.img", images]
    images.mkdir()
    assert "verified" in run_as(asked, 0)
    assert (images / "fw.img").read_bytes() == IMAGE
    (images / "fw.img").unlink()
    tamper(published)
    assert "image-hash (602)" in run_as(asked, 1)
    assert not (images / "fw.img").exists()


@pytest.mark.parametrize("kind", KINDS)
def test_the_cplusplus_wrappers(
    kind: str, with_library: Installed, published: RepoTool, tmp_path: Path
) -> None:
    command = with_library.command(kind, PROGRAMS / "wrappers.cpp", tmp_path)
    vector = WORKSPACE / "test-vectors" / "vectors" / "uptane-director" / "honest" / "1"
    run_as([*command, published.published, vector, tmp_path / "home"], 0)


def test_no_example_installs_what_has_expired_since(
    with_library: Installed, published: RepoTool, tmp_path: Path
) -> None:
    include = with_library.prefix / "include"
    run("cc", "-shared", "-fPIC", f"-I{include}", PROGRAMS / "stale.c", "-o", tmp_path / "stale.so")
    stale = {"LD_PRELOAD": tmp_path / "stale.so"}
    root, output = first_root(published), tmp_path / "out.img"
    base = published.published.as_uri()

    own_io = [*with_library.command("plain", EXAMPLES / "own_io.c", tmp_path), tmp_path / "own"]
    run_as([*own_io, "init", root], 0)
    run_as([*own_io, "update", published.published, "fw.img", output], 1, **stale)
    assert not output.exists() and not output.with_name("out.img.unproven").exists()
    run_as([*own_io, "update", published.published, "fw.img", output], 0)

    update = [*with_library.command("plain", EXAMPLES / "update.c", tmp_path), "--metadata-dir", tmp_path / "c"]
    run_as([*update, "init", root], 0)
    update += ["--metadata-url", f"{base}/metadata", "--target-base-url", f"{base}/targets"]
    update += ["--target-dir", tmp_path / "images", "--target-name", "fw.img", "download"]
    assert "installing" not in run_as(update, 1, **stale)
    assert "installing" in run_as(update, 0)

    cpp = with_library.compile(CAPI / "examples" / "cpp" / "update.cpp", tmp_path / "cpp")
    run_as([cpp, tmp_path / "state", "init", root], 0)
    assert "installing" not in run_as([cpp, tmp_path / "state", base, "fw.img", tmp_path / "images"], 1, **stale)
    assert "installing" in run_as([cpp, tmp_path / "state", base, "fw.img", tmp_path / "images"], 0)


@pytest.mark.parametrize("kind", KINDS)
def test_own_transport_and_storage(
    kind: str, with_library: Installed, published: RepoTool, tmp_path: Path
) -> None:
    command = with_library.command(kind, EXAMPLES / "own_io.c", tmp_path)
    state, output = tmp_path / "state", tmp_path / "fw.img"
    update = [*command, state, "update", published.published, "fw.img", output]
    assert "no-trusted-root" in run_as(update, 1)
    run_as([*command, state, "init", first_root(published)], 0)
    run_as(update, 0)
    assert output.read_bytes() == IMAGE
    assert {"root", "root+1", "timestamp", "snapshot", "targets"} == set(os.listdir(state))
    output.unlink()
    tamper(published)
    assert "image-hash" in run_as(update, 1)
    assert not output.exists()
    # An older state of the repository, replayed.
    (tmp_path / "old").mkdir()
    run("cp", "-r", published.published, tmp_path / "old")
    published.add("fw2.img", IMAGE)
    published.release()
    run_as([*update[:-2], "fw2.img", output], 0)
    replayed = [*command, state, "update", tmp_path / "old" / "published", "fw2.img", output]
    assert "version-rollback" in run_as(replayed, 1)


def test_a_trusted_root_is_not_provisioned_anew(
    with_library: Installed, published: RepoTool, tmp_path: Path
) -> None:
    own_io = [*with_library.command("asan", EXAMPLES / "own_io.c", tmp_path), tmp_path / "state"]
    run_as([*own_io, "init", first_root(published)], 0)
    for _ in range(2):
        published.replace_key("timestamp")
        published.release()
    run_as([*own_io, "update", published.published, "fw.img", tmp_path / "fw.img"], 0)
    trusted = (tmp_path / "state" / "root").read_bytes()
    assert trusted == struct.pack("=Q", 3) + published.metadata("3.root.json")
    assert "File exists" in run_as([*own_io, "init", first_root(published)], 1)
    assert (tmp_path / "state" / "root").read_bytes() == trusted


def test_own_storage_fails_rather_than_forget(
    with_library: Installed, published: RepoTool, tmp_path: Path
) -> None:
    own_io = with_library.command("plain", EXAMPLES / "own_io.c", tmp_path, *WATCHED)
    state, output = tmp_path / "state", tmp_path / "fw.img"
    update = [*own_io, state, "update", published.published, "fw.img", output]
    run_as([*own_io, state, "init", first_root(published)], 0)
    run_as(update, 0)
    for name in ("timestamp", "snapshot", "targets"):
        whole = (state / name).read_bytes()
        for length in (0, 1, 7):
            (state / name).write_bytes(whole[:length])
            assert f"{name} is damaged" in run_as(update, 1)
        (state / name).write_bytes(whole)
    output.unlink()
    # The disk is full when the image is closed; the memory when a file is read.
    assert "cannot copy" in run_as(update, 1, WATCH_FAIL="fclose")
    assert not output.exists()
    (tmp_path / "custom.json").write_text(json.dumps({"notes": "x" * 5000}))
    published.add("fw2.img", IMAGE, "--custom", tmp_path / "custom.json")
    published.release()
    assert "cannot read" in run_as(update, 1, WATCH_FAIL="realloc")
    assert "name a file" in run_as([*own_io, "x" * 4093, "update", published.published, "fw.img", output], 1)
    run_as(update, 0)


def test_own_storage_is_durable_before_it_is_relied_on(
    with_library: Installed, published: RepoTool, tmp_path: Path
) -> None:
    own_io = with_library.command("plain", EXAMPLES / "own_io.c", tmp_path, *WATCHED)
    state, output, log = tmp_path / "state", tmp_path / "out" / "fw.img", tmp_path / "log"
    output.parent.mkdir()

    def kept(name: str) -> list[str]:
        whole = f"{state}/unfinished+"
        return [f"fsync {whole}", f"rename {whole} {state}/{name}", f"fsync {state}"]

    run_as([*own_io, state, "init", first_root(published)], 0, WATCH_LOG=log)
    assert log.read_text().splitlines() == [f"fsync {tmp_path}", *kept("root+1"), *kept("root")]
    log.unlink()
    run_as([*own_io, state, "update", published.published, "fw.img", output], 0, WATCH_LOG=log)
    image = [f"fsync {output}.unproven", f"rename {output}.unproven {output}", f"fsync {output.parent}"]
    assert log.read_text().splitlines()[-12:] == [*kept("timestamp"), *kept("snapshot"), *kept("targets"), *image]


def test_roles_called_like_directories_in_own_storage(with_library: Installed, tmp_path: Path) -> None:
    case = WORKSPACE / "test-vectors" / "vectors" / "paths" / "role-name-dots" / "1"
    own_io = [*with_library.command("asan", EXAMPLES / "own_io.c", tmp_path), tmp_path / "state"]
    run_as([*own_io, "init", case / "metadata" / "1.root.json"], 0)
    run_as([*own_io, "update", case, "fw/a.img", tmp_path / "a.img"], 0)
    kept = set(os.listdir(tmp_path / "state"))
    assert len(kept) == 6 and kept > {"root", "root+1", "timestamp", "snapshot", "targets"}, kept


def test_a_file_that_does_not_fit_into_memory_is_no_shorter_file(
    with_library: Installed, tmp_path: Path
) -> None:
    update = with_library.command("plain", EXAMPLES / "update.c", tmp_path, *WATCHED)
    (tmp_path / "root.json").write_bytes(b"{" * 5000)
    words = [*update, "--metadata-dir", tmp_path / "state", "init", tmp_path / "root.json"]
    assert "malformed" in run_as(words, 1)
    assert "cannot read" in run_as(words, 1, WATCH_FAIL="realloc")


def test_vectors_through_the_c_example(with_library: Installed, tmp_path: Path) -> None:
    """As a process of its own, like any other client. Without processes all vectors go through the same
    functions in client-verifier/capi/tests."""
    program = with_library.compile(EXAMPLES / "update.c", tmp_path / "update")
    areas = [word for area in ("root/", "delegations/", "images/") for word in ("--filter", area)]
    run_as([binary("test-vectors"), "run", *areas, "--jobs", "3", "--client", program], 0)
