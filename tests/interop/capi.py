"""The C library: installed, and programs compiled against it."""

import os
import subprocess
from pathlib import Path

WORKSPACE = Path(__file__).resolve().parents[2]
CAPI = WORKSPACE / "client-verifier" / "capi"
STRICT = ["-Wall", "-Wextra", "-Werror", "-pedantic", "-O1", "-g"]
SANITIZED = ["-fsanitize=address,undefined", "-fno-sanitize-recover=all"]


def run(*words: str | Path, cwd: Path | None = None, env: dict[str, str] | None = None) -> str:
    """Runs a tool that has to succeed; returns what it prints."""
    command = [str(word) for word in words]
    done = subprocess.run(command, capture_output=True, text=True, cwd=cwd, env=env, timeout=600, check=False)
    assert done.returncode == 0, f"{command}\n{done.stdout}{done.stderr}"
    return done.stdout


class Installed:
    """A prefix with the library in it."""

    def __init__(self, prefix: Path, library: Path) -> None:
        self.prefix = prefix
        run(WORKSPACE / "scripts" / "capi.sh", "install", prefix, library)

    @property
    def environment(self) -> dict[str, str]:
        """For finding the library when compiling, and when running."""
        return {
            **os.environ,
            "PKG_CONFIG_PATH": str(self.prefix / "lib" / "pkgconfig"),
            "LD_LIBRARY_PATH": str(self.prefix / "lib"),
        }

    def flags(self, *options: str) -> list[str]:
        """What pkg-config says."""
        return run("pkg-config", "--cflags", "--libs", *options, "countersign", env=self.environment).split()

    def compile(self, source: Path, program: Path, *options: str, static: bool = False) -> Path:
        """A program of one file."""
        cplusplus = source.suffix in (".cpp", ".cc")
        compiler = ["c++", "-std=c++17"] if cplusplus else ["cc", "-std=c11"]
        flags = self.flags("--static") if static else self.flags()
        if static:
            flags = [str(self.prefix / "lib" / "libcountersign.a") if f == "-lcountersign" else f for f in flags]
        run(*compiler, *STRICT, *options, source, "-o", program, "-pthread", *flags)
        return program


def valgrind(program: Path, *words: str | Path) -> list[str]:
    """A command under valgrind, which fails it for any error and any lost byte."""
    options = ["--quiet", "--error-exitcode=99", "--leak-check=full", "--show-leak-kinds=definite,indirect,possible"]
    return ["valgrind", *options, "--errors-for-leak-kinds=definite,indirect", str(program), *map(str, words)]
