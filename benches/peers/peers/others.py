"""Figures that other benchmarks of ours find: theirs is the limit, measured in the same run; here they are only read."""

import re
import subprocess
from pathlib import Path

from .measure import Failed
from .results import Goal, Outcome

HOME = Path(__file__).resolve().parents[3]


def encrypted(quick: bool) -> Outcome:
    """Decrypting an image beside the functions that are needed, without a format around them."""
    lines = cargo_bench("countersign-encryption", "64" if quick else "1024")
    ratios = [float(line.split()[-1]) for line in lines if line.startswith("ratio")]
    if not ratios:
        raise Failed("the benchmark of countersign-encryption prints no ratio any more")
    over = 1 / ratios[0]
    what = "4. An encrypted image, over 2 × SHA-256 + AES-256-GCM: time"
    return Outcome(goals=[Goal("image-encrypted", what, "1.25 ×", f"{over:.3f} ×", over <= 1.25)], lines=lines)


def director() -> Outcome:
    """Manifest cycles and idle polls, per second of the Director's processor time."""
    lines = cargo_bench("countersign-director")
    # "  12345  sqlite: manifest cycles, no TLS, 0.71 of the limit; 23456/s on this machine"
    cycles = [found for line in lines if (found := re.match(r"\s+\d+  (\w+): (manifest cycles.*), ([\d.]+) of the limit", line))]
    polls = [found for line in lines if (found := re.match(r"\s+(\d+)  (\w+): idle polls, no TLS;", line))]
    if not cycles or not polls:
        raise Failed("the benchmark of countersign-director prints no ratios any more")
    goals = []
    for engine, what, part in (found.groups() for found in cycles):
        title = f"7. Director, {engine}: {what}, of the crypto limit"
        # The target is for the figure that leaves TLS and SQL out.
        goals.append(Goal("director-cycles", title, "70 %", f"{float(part):.0%}", float(part) >= 0.7))
    for rate, engine in (found.groups() for found in polls):
        title = f"7. Director, {engine}: idle polls without TLS, per second of a core"
        goals.append(Goal("director-polls", title, "20,000", f"{int(rate):,}", int(rate) >= 20_000))
    return Outcome(goals=goals, lines=lines)


def cargo_bench(package: str, *arguments: str) -> list[str]:
    """What a benchmark prints."""
    command = ["cargo", "bench", "--locked", "--quiet", "-p", package, "--benches", "--", *arguments]
    ran = subprocess.run(command, cwd=HOME, text=True, stdout=subprocess.PIPE)
    if ran.returncode != 0:
        raise Failed(f"cargo bench -p {package} failed")
    return [line for line in ran.stdout.splitlines() if line.strip()]
