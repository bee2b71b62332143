#!/usr/bin/env python3
"""Counts the instructions of the hottest paths, and compares them with those in counts.toml.

Usage: benches/instructions/check.py COUNT-INSTRUCTIONS [--write] [NAME]...

A path that takes more than it did fails; one that takes less asks for `--write`, so that it stays as fast. What is counted
are the instructions of user space that valgrind's virtual processor is given: they do not depend on how busy or how fast the
machine is, and hardly on its kind. That processor has AVX2 and neither the SHA extensions nor AVX-512, whatever the real one
has, and ring takes its code by that. Another compiler makes other code, so counts are compared with those of the same only.
"""

import argparse
import os
import platform
import re
import subprocess
import sys
import tomllib
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

KEPT = Path(__file__).with_name("counts.toml")

# Hash maps are seeded at random, and sort what they hold differently with every run: well below this.
TOLERANCE = 0.03

HEAD = """\
# Instructions of the hottest paths, by callgrind; `make instructions` compares, `check.py --write` writes.
"""


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("program", type=Path)
    parser.add_argument("names", nargs="*")
    parser.add_argument("--write", action="store_true", help="keep what is counted now")
    arguments = parser.parse_args()
    names = arguments.names or lines_of(arguments.program)
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        counts = dict(zip(names, pool.map(lambda name: count(arguments.program, name), names)))
    kept = tomllib.loads(KEPT.read_text()) if KEPT.exists() else {"counts": {}}
    if arguments.write:
        write({**kept["counts"], **counts} if arguments.names else counts)
        return 0
    failed = [name for name in names if not compare(name, counts[name], kept["counts"].get(name))]
    if kept.get("of") != made_by():
        print(f"    not compared: the counts are those of {kept.get('of')}, and this is {made_by()}")
        return 0
    if failed:
        print(f"instructions: {len(failed)} of {len(names)} are not as they were. After a change that is meant:")
        print("    benches/instructions/check.py --write target/release/count-instructions")
    return int(bool(failed))


def made_by() -> str:
    """The compiler and the processor that the counts are of."""
    [version] = lines_of("rustc", "--version")
    return f"{version.split(' (')[0]} for {platform.machine()}"


def count(program: Path, name: str) -> int:
    """The instructions of the part that counts."""
    counted = ["--tool=callgrind", "--callgrind-out-file=/dev/null", "--toggle-collect=*counted_part*"]
    ran = subprocess.run(["valgrind", *counted, program, name], text=True, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
    found = re.search(r"Collected : (\d+)", ran.stderr)
    if ran.returncode != 0 or not found or found[1] == "0":
        sys.exit(f"{name} cannot be counted:\n{ran.stderr[-2000:]}")
    return int(found[1])


def compare(name: str, now: int, before: int | None) -> bool:
    """Whether it is as it was. A path that was never counted is not."""
    change = now / before - 1 if before else float("inf")
    verdict = "more than before" if change > TOLERANCE else "less: write it" if change < -TOLERANCE else ""
    print(f"    {name:26} {now:>15,}  {change:+8.2%}  {verdict}".rstrip())
    return not verdict


def write(counts: dict[str, int]) -> None:
    rows = [f'{name} = {number:_}' for name, number in counts.items()]
    KEPT.write_text("\n".join([HEAD + f'of = "{made_by()}"', "", "[counts]", *rows, ""]))


def lines_of(*command) -> list[str]:
    return subprocess.run(command, check=True, text=True, stdout=subprocess.PIPE).stdout.splitlines()


if __name__ == "__main__":
    sys.exit(main())
