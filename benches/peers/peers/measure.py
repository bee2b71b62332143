"""What commands cost, and how often they are asked."""

import json
import statistics
import subprocess
import tempfile
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path


@dataclass
class Cost:
    """Of one run: seconds of processor time and of waiting, and bytes of memory at the peak."""

    cpu: float
    wall: float
    rss: int


@dataclass
class Figure:
    """Of several runs."""

    runs: list[Cost] = field(default_factory=list)

    def median(self, of: str) -> float:
        return statistics.median(getattr(run, of) for run in self.runs)

    def spread(self, of: str) -> tuple[float, float]:
        values = [getattr(run, of) for run in self.runs]
        return min(values), max(values)


class Failed(Exception):
    """A command that was to succeed did not; what it printed."""


class Meter:
    """Runs commands under `bench-peers cost`, which is small enough not to count."""

    def __init__(self, tool: Path) -> None:
        self.tool = tool

    def cost(self, command: list[str], **options) -> Cost:
        with tempfile.TemporaryDirectory() as folder:
            to, output = Path(folder, "cost"), Path(folder, "output")
            subprocess.run(
                [self.tool, "cost", "--to", to, "--output", output, "--", *command], **options
            )
            cost = json.loads(to.read_text())
            if cost["code"] != 0:
                raise Failed(f"{' '.join(map(str, command))}\n{output.read_text()[-2000:]}")
        return Cost(cost["cpu"], cost["wall"], cost["rss"])

    def limit(self, *arguments: str) -> dict:
        printed = subprocess.run([self.tool, "limit", *arguments], check=True, stdout=subprocess.PIPE)
        return json.loads(printed.stdout)


def alternate(count: int, ways: dict[str, Callable[[], Cost]]) -> dict[str, Figure]:
    """Runs each way `count` times, in turns, so that what disturbs one disturbs the others too."""
    figures = {name: Figure() for name in ways}
    for _ in range(count):
        for name, way in ways.items():
            figures[name].runs.append(way())
    return figures
