"""The C library: installed, and programs compiled against it."""

import os
import shlex
import subprocess
from pathlib import Path

import pytest

from conftest import binary

WORKSPACE = Path(__file__).resolve().parents[2]
CAPI = WORKSPACE / "client-verifier" / "capi"
EXAMPLES = CAPI / "examples" / "c"
# Programs of the tests, and what is linked into programs.
PROGRAMS = CAPI / "tests" / "c"
STRICT = ["-Wall", "-Wextra", "-Werror", "-pedantic", "-O1", "-g"]
SANITIZED = ["-fsanitize=address,undefined", "-fno-sanitize-recover=all"]
# How a program is run: as it is, with AddressSanitizer, under valgrind.
KINDS = ["plain", "asan", "valgrind"]
# What stands between a program and libc: see watch.c.
WATCHED = [*(f"-Wl,--wrap={call}" for call in ("fsync", "rename", "fclose", "realloc")), PROGRAMS / "watch.c"]


def run(*words: str | Path, cwd: Path | None = None, env: dict[str, str] | None = None) -> str:
    """Runs a tool that has to succeed; returns what it prints."""
    command = [str(word) for word in words]
    done = subprocess.run(command, capture_output=True, text=True, cwd=cwd, env=env, timeout=600, check=False)
    assert done.returncode == 0, f"{command}\n{done.stdout}{done.stderr}"
    return done.stdout


def run_as(words: list[str | Path], code: int, **env: str | Path) -> str:
    """Runs a program that has to end with an exit code; returns what it prints, errors too."""
    command = [str(word) for word in words]
    variables = {**os.environ, **{name: str(value) for name, value in env.items()}}
    done = subprocess.run(command, capture_output=True, text=True, timeout=300, env=variables, check=False)
    assert done.returncode == code, f"{command}: {done.returncode}\n{done.stdout}{done.stderr}"
    return done.stdout + done.stderr


class Installed:
    """A prefix with the library in it."""

    def __init__(self, prefix: Path) -> None:
        self.prefix = prefix

    @classmethod
    def into(cls, prefix: Path) -> "Installed":
        run(WORKSPACE / "scripts" / "capi.sh", "install", prefix, binary("libcountersign.a"))
        return cls(prefix)

    @property
    def environment(self) -> dict[str, str]:
        """For finding the library when compiling, and when running."""
        return {
            **os.environ,
            "PKG_CONFIG_PATH": str(self.prefix / "lib" / "pkgconfig"),
            "LD_LIBRARY_PATH": str(self.prefix / "lib"),
        }

    def pkg_config(self, *options: str) -> list[str]:
        """What pkg-config says, as a shell would take it."""
        return shlex.split(run("pkg-config", *options, "countersign", env=self.environment))

    def variable(self, name: str) -> str:
        return run("pkg-config", f"--variable={name}", "countersign", env=self.environment).strip()

    def compile(self, source: Path, program: Path, *options: str | Path, link: list[str] | None = None) -> Path:
        """A program of one file, which fails if it leaves handles behind. `link` instead of the shared library."""
        cplusplus = source.suffix in (".cpp", ".cc")
        compiler = ["c++", "-std=c++17"] if cplusplus else ["cc", "-std=c11"]
        flags = self.pkg_config("--cflags") + (link or self.pkg_config("--libs"))
        extra = f"-I{PROGRAMS}", source, PROGRAMS / "no_handles_left.c"
        run(*compiler, *STRICT, *extra, *options, "-o", program, "-pthread", *flags)
        return program

    def command(self, kind: str, source: Path, folder: Path, *options: str | Path) -> list[str | Path]:
        """A program, compiled and run in one of the KINDS."""
        options = (*options, *SANITIZED) if kind == "asan" else options
        program = self.compile(source, folder / f"{source.stem}-{kind}", *options)
        return valgrind(program) if kind == "valgrind" else [program]


def valgrind(program: Path) -> list[str | Path]:
    """A command under valgrind, which fails it for any error and any lost byte."""
    options = ["--quiet", "--error-exitcode=99", "--leak-check=full", "--show-leak-kinds=definite,indirect"]
    return ["valgrind", *options, "--errors-for-leak-kinds=definite,indirect", program]


@pytest.fixture(scope="session")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Installed:
    return Installed.into(tmp_path_factory.mktemp("prefix"))


@pytest.fixture
def with_library(installed: Installed, monkeypatch: pytest.MonkeyPatch) -> Installed:
    """Programs and tools find the library from here on."""
    for name, value in installed.environment.items():
        monkeypatch.setenv(name, value)
    return installed
