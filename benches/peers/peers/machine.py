"""Where it was measured, and whom."""

import json
import os
import platform
import re
import subprocess
from importlib.metadata import version
from pathlib import Path

from .clients import Tools


def machine(tools: Tools) -> dict[str, str]:
    return {
        "processor": _processor(),
        "memory": f"{os.sysconf('SC_PAGE_SIZE') * os.sysconf('SC_PHYS_PAGES') / 2**30:.0f} GiB",
        "kernel": f"{platform.system()} {platform.release()}",
        "Rust": _says("rustc", "--version").removeprefix("rustc "),
        "Python": platform.python_version(),
        "countersign": _says(tools.ours, "--version").split()[-1],
        "python-tuf": f"{version('tuf')}, securesystemslib {version('securesystemslib')}",
        "tuftool": _says(tools.tuftool, "--version").split()[-1],
        "sigstore-tuf": _locked("sigstore-tuf"),
        "nginx": _says("nginx", "-v").rpartition("/")[2],
    }


def remember(results: Path, tools: Tools) -> None:
    results.mkdir(parents=True, exist_ok=True)
    (results / "machine.json").write_text(json.dumps(machine(tools)))


def remembered(results: Path) -> dict[str, str]:
    return json.loads((results / "machine.json").read_text())


def _processor() -> str:
    text = Path("/proc/cpuinfo").read_text()
    model = re.search(r"model name\s*: (.*)", text)
    known = {"sha_ni": "SHA extensions", "avx2": "AVX2", "vaes": "VAES"}
    flags = re.search(r"flags\s*: (.*)", text)
    has = [words for flag, words in known.items() if flags and flag in flags[1].split()]
    return f"{model[1] if model else platform.machine()}, {os.cpu_count()} cores, {', '.join(has)}"


def _says(*command) -> str:
    try:
        ran = subprocess.run(command, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    except FileNotFoundError:
        return "not there"
    return ran.stdout.strip()


def _locked(crate: str) -> str:
    lock = Path(__file__).resolve().parents[1] / "sigstore-client/Cargo.lock"
    return re.search(rf'name = "{crate}"\nversion = "(.*)"', lock.read_text())[1]
