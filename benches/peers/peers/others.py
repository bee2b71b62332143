"""Figures that other benchmarks of ours find: theirs is the limit, measured in the same run; here they are only read."""

import json
import subprocess
from pathlib import Path

from .measure import Failed
from .results import Goal, Outcome

HOME = Path(__file__).resolve().parents[3]


def encrypted(quick: bool) -> Outcome:
    """Decrypting an image beside the functions that are needed, without a format around them."""
    lines = cargo_bench("countersign-encryption", "decrypt", "64" if quick else "1024")
    ratios = [float(line.split()[-1]) for line in lines if line.startswith("ratio")]
    if not ratios:
        raise Failed("the benchmark of countersign-encryption prints no ratio any more")
    over = 1 / ratios[0]
    what = "4. An encrypted image, over 2 × SHA-256 + AES-256-GCM: time"
    return Outcome(goals=[Goal("image-encrypted", what, "1.25 ×", f"{over:.3f} ×", over <= 1.25)], lines=lines)


def signatures(tool: Path) -> Outcome:
    """What checking signatures takes besides the checks."""
    told = json.loads(subprocess.run([tool, "signatures"], check=True, stdout=subprocess.PIPE).stdout)
    allocated, over = told["allocated"], told["many"] / told["one"]
    what = "6. A file with 16 valid signatures of which one is needed, over one with one: CPU"
    return Outcome(
        goals=[
            Goal("signature-memory", "6. A signature check: bytes allocated", "0", str(allocated), allocated == 0),
            Goal("signature-threshold", what, "one check: 1.2 ×", f"{over:.2f} ×", over <= 1.2),
        ]
    )


def director(work: Path) -> Outcome:
    """Manifest cycles and idle polls, per second of the Director's processor time."""
    to = work / "director.json"
    lines = cargo_bench("countersign-director", "director", "--json", to)
    told = json.loads(to.read_text())
    goals = []
    for one in told["figures"]:
        what, engine = one["figure"], one["engine"]
        if "of_limit" in one and what.startswith("manifest cycles, neither"):
            part, checked = one["of_limit"], one["of_limit_checked"]
            title = f"7. Director, {engine}: {what}, of 6 checks and 3 signatures"
            found = f"{part:.0%}; {checked:.0%} of 9 checks and 3 signatures"
            goals.append(Goal("director-cycles", title, "70 %", found, part >= 0.7))
        if what == "idle polls, no TLS":
            rate = one["per_cpu_second"]
            title = f"7. Director, {engine}: idle polls without TLS, per second of a core"
            goals.append(Goal("director-polls", title, "20,000", f"{rate:,.0f}", rate >= 20_000))
    if not goals:
        raise Failed("the benchmark of countersign-director has other figures now")
    return Outcome(goals=goals, lines=lines)


def cargo_bench(package: str, bench: str, *arguments: str | Path) -> list[str]:
    """What a benchmark prints."""
    command = ["cargo", "bench", "--locked", "--quiet", "-p", package, "--bench", bench, "--", *map(str, arguments)]
    ran = subprocess.run(command, cwd=HOME, text=True, stdout=subprocess.PIPE)
    if ran.returncode != 0:
        raise Failed(f"cargo bench -p {package} failed")
    return [line for line in ran.stdout.splitlines() if line.strip()]
