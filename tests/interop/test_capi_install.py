"""What `make install` puts in place, and how programs find it: shared and static, with pkg-config and with CMake."""

import os
import shutil
import socket
import subprocess
from pathlib import Path

import pytest
from capi import CAPI, EXAMPLES, PROGRAMS, WORKSPACE, Installed, run, run_as
from capi import installed, with_library  # noqa: F401 - fixtures
from conftest import binary
from our_repo import RepoTool


@pytest.fixture
def published(tool: RepoTool) -> Path:
    tool.init()
    tool.add("fw.img", b"firmware " * 1000)
    tool.release()
    return tool.published


def updates(program: Path, published: Path, folder: Path, **env: str) -> None:
    """update.c brings an image."""
    base, root = published.as_uri(), published / "metadata" / "1.root.json"
    run_as([program, "--metadata-dir", folder / "state", "init", root], 0, **env)
    words = ["--metadata-dir", folder / "state", "--metadata-url", f"{base}/metadata", "--target-name", "fw.img"]
    run_as([program, *words, "--target-base-url", f"{base}/targets", "--target-dir", folder / "images", "download"], 0, **env)
    assert (folder / "images" / "fw.img").read_bytes() == b"firmware " * 1000


def needed(program: Path) -> set[str]:
    """The shared libraries that a program or library asks for."""
    lines = run("readelf", "-d", program).splitlines()
    return {line.split("[")[1].rstrip("]") for line in lines if "(NEEDED)" in line}


def symbols(library: Path) -> list[str]:
    listed = run("nm", "--dynamic", "--defined-only", library).split("\n")
    return [line.split()[-1] for line in listed if line and " A " not in line]


def test_only_our_symbols_are_there_with_their_version(installed: Installed) -> None:
    names = symbols(installed.prefix / "lib" / "libcountersign.so")
    assert len(names) > 80
    assert all(name.startswith("countersign_") and name.endswith("@@COUNTERSIGN_0.1") for name in names), names
    assert "libcountersign.so.0.1]" in run("readelf", "-d", installed.prefix / "lib" / "libcountersign.so")


def test_a_program_of_1_0_finds_its_symbols_in_1_1(with_library: Installed, tmp_path: Path) -> None:
    """From 1.0 on minor versions share a soname, so they share the version of their symbols."""
    source = tmp_path / "source"
    shutil.copytree(CAPI, source / "client-verifier" / "capi")
    shutil.copytree(WORKSPACE / "scripts", source / "scripts")
    library = binary("libcountersign.a")
    for version in ("1.0.0", "1.1.0"):
        (source / "Cargo.toml").write_text(f'[workspace.package]\nversion = "{version}"\n')
        run(source / "scripts" / "capi.sh", "install", tmp_path / version, library)
    one, other = (tmp_path / version / "lib" / "libcountersign.so" for version in ("1.0.0", "1.1.0"))
    assert symbols(one) == symbols(other)
    assert all("libcountersign.so.1]" in run("readelf", "-d", file) for file in (one, other))
    include = f"-I{with_library.prefix / 'include'}"
    run("cc", include, PROGRAMS / "leak.c", "-o", tmp_path / "program", one)
    run_as([tmp_path / "program"], 0, LD_LIBRARY_PATH=other.parent)
    for wanted, code in [("1.0", 0), ("1.1", 0), ("1.2", 1), ("2.0", 1), ("0.9", 1)]:
        project(tmp_path / wanted, "Countersign::Countersign", wanted)
        found = ["cmake", "-S", tmp_path / wanted, "-B", tmp_path / wanted / "b", f"-DCMAKE_PREFIX_PATH={tmp_path / '1.1.0'}"]
        run_as(found, code)


def test_the_library_needs_no_more_than_the_system_has(installed: Installed) -> None:
    libraries = needed(installed.prefix / "lib" / "libcountersign.so")
    assert libraries <= {"libc.so.6", "libm.so.6", "libgcc_s.so.1", "ld-linux-x86-64.so.2"}, libraries


@pytest.mark.parametrize("static", ["library", "all"])
def test_static_linking(static: str, installed: Installed, published: Path, tmp_path: Path) -> None:
    """As docs/embedding.md has it: the archive by its path, and what it needs. Nothing of it is found at run time."""
    libraries = installed.variable("static_libs").split()
    options = []
    if static == "all":
        libraries = ["-lgcc_eh" if word == "-lgcc_s" else word for word in libraries]
        options = ["-static"]
    archive = f"{installed.variable('libdir')}/libcountersign.a"
    program = installed.compile(EXAMPLES / "update.c", tmp_path / "update", *options, link=[archive, *libraries])
    assert "libcountersign.so" not in " ".join(needed(program))
    assert static == "library" or not needed(program)
    updates(program, published, tmp_path)


def project(folder: Path, target: str, version: str = "0.1") -> None:
    """A CMake project with update.c."""
    folder.mkdir()
    shutil.copy(EXAMPLES / "update.c", folder)
    (folder / "CMakeLists.txt").write_text(f"""cmake_minimum_required(VERSION 3.20)
project(update LANGUAGES C)
find_package(Countersign {version} REQUIRED)
add_executable(update update.c)
target_link_libraries(update PRIVATE {target})
""")


@pytest.mark.parametrize("target", ["Countersign::Countersign", "Countersign::Static"])
def test_cmake_finds_it_through_a_link(
    target: str, installed: Installed, published: Path, tmp_path: Path
) -> None:
    """As on systems where /lib is /usr/lib: what lies beside the link is not what was installed."""
    system = tmp_path / "a system"
    system.mkdir()
    (system / "usr").symlink_to(installed.prefix)
    (system / "lib").symlink_to("usr/lib")
    project(tmp_path / "project", target)
    build = tmp_path / "build"
    # Only as /lib: below usr it would be found without the link.
    package = f"-DCountersign_DIR={system}/lib/cmake/Countersign"
    run("cmake", "-S", tmp_path / "project", "-B", build, package)
    run("cmake", "--build", build)
    shared = "libcountersign.so.0.1" in needed(build / "update")
    assert shared == (target == "Countersign::Countersign")
    updates(build / "update", published, tmp_path)


def test_make_install_below_a_prefix_with_spaces(published: Path, tmp_path: Path) -> None:
    staged, prefix = tmp_path / "a package", tmp_path / "counter sign & co"
    library = binary("libcountersign.a")
    clean = {name: value for name, value in os.environ.items() if not name.startswith("MAKE") and name != "MFLAGS"}
    install = ["make", "install", f"PREFIX={prefix}", f"LIBRARY={library}"]
    run(*install, f"DESTDIR={staged}", cwd=WORKSPACE, env=clean)
    assert not prefix.exists()
    # As a package manager does.
    Path(f"{staged}{prefix}").rename(prefix)
    here = Installed(prefix)
    assert here.variable("libdir") == f"{prefix}/lib"
    program = here.compile(EXAMPLES / "update.c", tmp_path / "update")
    updates(program, published, tmp_path, LD_LIBRARY_PATH=f"{prefix}/lib")
    examples = {str(file.relative_to(prefix)) for file in (prefix / "share").rglob("*") if file.is_file()}
    wanted = {"c/update.c", "c/own_io.c", "c/vehicle.c", "cpp/update.cpp", "cpp/CMakeLists.txt"}
    assert examples == {f"share/countersign/examples/{name}" for name in wanted}


def test_from_an_empty_directory(with_library: Installed, tmp_path: Path) -> None:
    """The shell blocks of docs/embedding.md, which are parts of this script."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = str(free.getsockname()[1])
    tools = {"PATH": f"{binary('repo-tool').parent}:{os.environ['PATH']}", "PORT": port}
    command = [CAPI / "examples" / "first-update.sh"]
    done = subprocess.run(command, cwd=tmp_path, env={**with_library.environment, **tools},
                          capture_output=True, text=True, timeout=120, check=False)  # fmt: skip
    assert done.returncode == 0, done
    assert '"name": "image-hash"' in done.stdout and "no such image" in done.stdout
