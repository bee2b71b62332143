#!/usr/bin/env python3
"""Compares what commands cost with our peers, and with limits that nobody can beat.

Usage: benches/peers/run.py [--runs 9] [--only WORD]...
"""

import argparse
import sys
from pathlib import Path

from peers.clients import Tools
from peers.measure import Meter
from peers.scenarios import Bench, Table, flat

HOME = Path(__file__).resolve().parents[2]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--runs", type=int, default=9)
    parser.add_argument("--only", action="append", default=[], help="only scenarios with this word in their name")
    parser.add_argument("--bin", type=Path, default=HOME / "target/release", help="our commands, as built for release")
    parser.add_argument("--peers", type=Path, default=HOME / ".setup/peers", help="our peers' commands")
    parser.add_argument("--work", type=Path, default=HOME / "target/bench-peers")
    arguments = parser.parse_args()
    arguments.work.mkdir(parents=True, exist_ok=True)
    bench = Bench(
        meter=Meter(arguments.bin / "bench-peers"),
        tools=Tools(
            ours=arguments.bin / "client-verifier",
            python=Path(sys.executable),
            pytuf=HOME / "benches/peers/pytuf.py",
            tuftool=arguments.peers / "bin/tuftool",
            sigstore=arguments.peers / "bin/sigstore-client",
        ),
        work=arguments.work,
        runs=arguments.runs,
    )
    scenarios = {
        "flat-100000": lambda: flat(bench, 100_000),
        "flat-1000000": lambda: flat(bench, 1_000_000, peers=False),
    }
    for name, scenario in scenarios.items():
        if not arguments.only or any(word in name for word in arguments.only):
            for table in scenario():
                show(table)
    return 0


def show(table: Table) -> None:
    print(f"\n{table.title}\n  limit {table.limit * 1e3:.1f} ms: {table.limit_is}\n  target: {table.target}")
    for row in table.rows:
        cpu, rss = row.figure.median("cpu"), row.figure.median("rss")
        print(
            f"  {row.name:14} {cpu * 1e3:9.1f} ms {cpu / table.limit:8.2f}x {rss / 2**20:8.1f} MiB"
            f" {row.requests:5} requests {row.bytes:>11,} bytes"
        )


if __name__ == "__main__":
    sys.exit(main())
