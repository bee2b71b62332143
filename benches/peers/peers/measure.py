"""What commands cost."""

import json
import os
import re
import signal
import statistics
import subprocess
import tempfile
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path


@dataclass(frozen=True)
class Patience:
    """Seconds: when a command has failed, what is run three times only, and what is run once."""

    most: float
    thrice: float
    once: float


USUAL = Patience(300, 8, 60)
BRIEF = Patience(60, 2, 5)


@dataclass
class Cost:
    """Of one run: seconds of processor time and of waiting, and bytes of memory at the peak."""

    cpu: float
    wall: float
    rss: int

    def __add__(self, other: "Cost") -> "Cost":
        """One command after the other."""
        return Cost(self.cpu + other.cpu, self.wall + other.wall, max(self.rss, other.rss))


@dataclass
class Figure:
    """Of several runs; or why there is none, in the words of who failed."""

    runs: list[Cost] = field(default_factory=list)
    failed: str = ""

    def median(self, of: str) -> float:
        return statistics.median(getattr(run, of) for run in self.runs)

    def spread(self, of: str) -> tuple[float, float]:
        values = [getattr(run, of) for run in self.runs]
        return min(values), max(values)


class Failed(Exception):
    """A command that was to succeed did not; what it said."""


class Meter:
    """Runs commands under `bench-peers cost`, which is small enough not to count."""

    def __init__(self, tool: Path, work: Path, patience: Patience) -> None:
        self.tool = tool
        self.work = work
        self.patience = patience

    def cost(self, *commands: list) -> Cost:
        """Of these commands, one after the other."""
        total = Cost(0, 0, 0)
        for command in commands:
            total += self._one(command)
        return total

    def _one(self, command: list) -> Cost:
        with tempfile.TemporaryDirectory() as folder:
            to, output = Path(folder, "cost"), Path(folder, "output")
            measured = [self.tool, "cost", "--to", to, "--output", output, "--", *command]
            # A session of its own, so that all of it can be ended.
            process = subprocess.Popen(measured, start_new_session=True, stderr=subprocess.DEVNULL)
            try:
                process.wait(self.patience.most)
            except subprocess.TimeoutExpired:
                os.killpg(process.pid, signal.SIGKILL)
                process.wait()
                raise Failed(f"not done after {self.patience.most:.0f} seconds") from None
            if not to.exists():
                raise Failed(f"{Path(command[0]).name} is not there")
            cost = json.loads(to.read_text())
            if cost["code"] is None:
                raise Failed("ended by a signal")
            if cost["code"] != 0:
                raise Failed(self._words(output.read_text(errors="replace")))
        return Cost(cost["cpu"], cost["wall"], cost["rss"])

    def _words(self, output: str) -> str:
        """What matters of an error, without the machine's paths."""
        lines = [line.strip() for line in output.replace(f"{self.work}/", "").splitlines()]
        # Without the frames of a backtrace.
        lines = [line for line in lines if line and not re.match(r"\d+: |at /|at \./", line)]
        if not lines:
            return "it failed, and said nothing"
        # Python ends with what went wrong; others begin with it.
        words = lines[-1] if any(line.startswith("Traceback") for line in lines) else " ".join(lines[:3])
        return words[:300]

    def limit(self, *arguments) -> dict:
        printed = subprocess.run([self.tool, "limit", *arguments], check=True, stdout=subprocess.PIPE)
        return json.loads(printed.stdout)


    def alternate(self, count: int, ways: dict[str, Callable[[], Cost]]) -> dict[str, Figure]:
        """Runs each way `count` times, in turns, so that what disturbs one disturbs the others too.

        A way that fails is not tried again, and a slow one not as often."""
        figures = {name: Figure() for name in ways}
        for done in range(count):
            for name, way in ways.items():
                figure = figures[name]
                if figure.failed or done >= self._worth(figure, count):
                    continue
                try:
                    figure.runs.append(way())
                except Failed as failed:
                    figures[name] = Figure(failed=str(failed))
        return figures

    def _worth(self, figure: Figure, count: int) -> int:
        """How many runs it is worth."""
        taken = figure.median("wall") if figure.runs else 0
        if taken > self.patience.once:
            return 1
        return min(count, 3) if taken > self.patience.thrice else count
