#!/usr/bin/env python3
"""Compares what commands cost with our peers, and with limits that nobody can beat.

Usage: benches/peers/run.py [--quick] [--runs 9] [--only WORD]... [--report]
"""

import argparse
import functools
import os
import sys
import time
from pathlib import Path

from peers import aside, device, downloads, others, repositories
from peers.bench import Bench
from peers.clients import Tools
from peers.machine import remember, remembered
from peers.measure import BRIEF, USUAL, Failed, Meter
from peers.report import Report, table_lines
from peers.results import Outcome, keep, kept

HOME = Path(__file__).resolve().parents[2]

# In the order of the report. A scenario takes what they all share.
SCENARIOS = {
    "flat-100000": functools.partial(downloads.flat, targets=100_000),
    "flat-1000000": functools.partial(downloads.flat, targets=1_000_000),
    "bins": downloads.bins,
    "create": repositories.create,
    "add-one": repositories.add_one,
    "add-many": repositories.add_many,
    "image": downloads.large,
    "encrypted": lambda bench: others.encrypted(bench.quick),
    "device": device.device,
    "signatures": lambda bench: others.signatures(bench.meter.tool),
    "director": lambda bench: others.director(bench.work),
    "curves": downloads.curves,
}


def main() -> int:
    arguments = parse()
    target = Path(os.environ.get("CARGO_TARGET_DIR", HOME / "target"))
    work = (arguments.work or target / "bench-peers").absolute()
    commands = arguments.bin or target / "release"
    # A quick run says whether everything works, and what to expect. It is no measurement.
    results = work / ("results-quick" if arguments.quick else "results")
    work.mkdir(parents=True, exist_ok=True)
    tools = Tools(
        ours=commands / "client-verifier",
        device=target / "device/client-verifier",
        repo_tool=commands / "repo-tool",
        python=Path(sys.executable),
        pytuf=HOME / "benches/peers/pytuf.py",
        pytuf_repo=HOME / "benches/peers/pytuf_repo.py",
        tuftool=arguments.peers / "bin/tuftool",
        sigstore=arguments.peers / "bin/sigstore-client",
    )
    meter = Meter(commands / "bench-peers", work, BRIEF if arguments.quick else USUAL)
    bench = Bench(meter, tools, work, arguments.runs, arguments.quick)
    failed = False
    if not arguments.report:
        remember(results, tools)
        for name, scenario in SCENARIOS.items():
            if not arguments.only or any(word in name for word in arguments.only):
                failed |= not measure(results, bench, name, scenario)
        aside.delete(work)
    outcomes = {name: outcome for name in SCENARIOS if (outcome := kept(results, name))}
    report = Report(outcomes, remembered(results), HOME / "benches/peers/why.toml")
    print("\n" + "\n".join(report.goal_lines()))
    out = work / "quick" if arguments.quick else HOME / "docs"
    report.write(out)
    print(f"\nwritten: {os.path.relpath(out / 'performance.md')}")
    return int(failed)


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--runs", type=int, help="9, or 3 with --quick")
    parser.add_argument("--quick", action="store_true", help="a tenth of the images; the report stays with the results")
    parser.add_argument("--only", action="append", default=[], help="only scenarios with this word in their name")
    parser.add_argument("--report", action="store_true", help="only writes the report again, from the last results")
    parser.add_argument("--bin", type=Path, help="our commands, as built for release")
    parser.add_argument("--peers", type=Path, default=HOME / ".setup/peers", help="our peers' commands")
    parser.add_argument("--work", type=Path)
    arguments = parser.parse_args()
    arguments.runs = arguments.runs or (3 if arguments.quick else 9)
    return arguments


def measure(results: Path, bench: Bench, name: str, scenario) -> bool:
    """Whether everything of ours did what it was to do."""
    begin = time.monotonic()
    try:
        outcome: Outcome = scenario(bench)
    except Failed as failed:
        print(f"\n{name}: {failed}", file=sys.stderr)
        return False
    keep(results, name, outcome)
    for table in outcome.tables:
        print("\n" + "\n".join(table_lines(table)))
    for line in outcome.lines:
        print(line)
    print(f"({name}: {time.monotonic() - begin:.0f} s)", flush=True)
    ours = [row for table in outcome.tables for row in table.rows if row.name == "countersign"]
    return all(row.figure.runs for row in ours)


if __name__ == "__main__":
    sys.exit(main())
