"""The report: tables on the terminal, and docs/performance.md."""

import textwrap
import tomllib
from collections.abc import Iterator
from pathlib import Path

from .bench import MIB
from .plot import svg
from .results import Goal, Outcome, Row, Table

OURS = "countersign"

INTRODUCTION = """\
# What things cost

Written by `make bench-peers`: whole commands of ours beside those of other implementations, in one run on one machine. How it is
measured stands in [benches/peers](../benches/peers/README.md). Nothing here is a promise: times differ from machine to
machine, and ratios hardly do.

CPU is the processor time of a command, user and system, from its start to its end. Figures are medians; least and most of
all runs are in brackets. The limit is measured in the same run: what nobody can do without. Clients take turns.
"""


def table_lines(table: Table) -> list[str]:
    """For a terminal."""
    lines = [table.title]
    if table.limits.runs:
        lines.append(f"  limit {table.limit * 1e3:.2f} ms: {table.limit_is}")
    for row in table.rows:
        cells = cells_of(table, row)
        lines.append("  " + row.name.ljust(26) + "  ".join(cell.rjust(width) for cell, width in zip(cells, WIDTHS)))
    return lines


HEADS = ["CPU", "of runs", "× limit", "× ours", "time", "memory", "requests", "bytes"]
WIDTHS = [11, 25, 9, 9, 10, 10, 8, 13]


def cells_of(table: Table, row: Row) -> list[str]:
    """The cells after the name; the words of who failed."""
    figure = row.figure
    if not figure.runs:
        return [figure.failed]
    cpu, ours = figure.median("cpu"), table.cpu(OURS)
    least, most = figure.spread("cpu")
    return [
        millis(cpu),
        f"({millis(least)} to {millis(most)}, {len(figure.runs)})",
        f"{cpu / table.limit:.2f}" if table.limits.runs else "",
        f"{cpu / ours:.2f}" if ours else "",
        millis(figure.median("wall")),
        f"{figure.median('rss') / MIB:.1f} MiB" if figure.median("rss") else "",
        "" if row.requests is None else f"{row.requests:,}",
        "" if row.bytes is None else f"{row.bytes:,}",
    ]


def millis(seconds: float) -> str:
    if seconds >= 10:
        return f"{seconds:.1f} s"
    if seconds >= 1:
        return f"{seconds:.2f} s"
    return f"{seconds * 1e3:.1f} ms" if seconds >= 0.01 else f"{seconds * 1e3:.2f} ms"


class Report:
    """All outcomes, in order."""

    def __init__(self, outcomes: dict[str, Outcome], machine: dict[str, str], why: Path) -> None:
        self.outcomes, self.machine = outcomes, machine
        self.why = tomllib.loads(why.read_text())

    def goals(self) -> Iterator[Goal]:
        for outcome in self.outcomes.values():
            yield from outcome.goals

    def goal_lines(self) -> list[str]:
        """For a terminal."""
        lines = []
        for goal in sorted(self.goals(), key=lambda goal: goal.what[0]):
            answer = "yes" if goal.met else "NO "
            lines.append(f"{answer}  {goal.what}: {goal.reached} (target: {goal.target})")
        return lines

    def write(self, folder: Path) -> None:
        """`performance.md`, and its pictures in a folder beside it."""
        pictures = folder / "performance"
        pictures.mkdir(parents=True, exist_ok=True)
        for outcome in self.outcomes.values():
            for curve in outcome.curves:
                (pictures / f"{curve.key}.svg").write_text(svg(curve))
        (folder / "performance.md").write_text("\n".join(self._lines()) + "\n")

    def _lines(self) -> Iterator[str]:
        yield INTRODUCTION
        dates = sorted({outcome.date for outcome in self.outcomes.values()})
        yield "Measured on " + (dates[0] if len(dates) == 1 else f"{dates[0]} to {dates[-1]}") + ".\n"
        yield "| | |\n| --- | --- |"
        for name, value in self.machine.items():
            yield f"| {name} | {value} |"
        yield from self._goals()
        yield "\n## Tables"
        for outcome in self.outcomes.values():
            for table in outcome.tables:
                yield from markdown(table)
            if outcome.lines:
                yield "\n```text\n" + "\n".join(outcome.lines) + "\n```"
        yield from self._curves()

    def _goals(self) -> Iterator[str]:
        goals = sorted(self.goals(), key=lambda goal: goal.what[0])
        yield "\n## What was to be reached\n"
        yield "| | target | reached | |\n| --- | --- | --- | --- |"
        for goal in goals:
            yield f"| {goal.what} | {goal.target} | {goal.reached} | {'yes' if goal.met else '**no**'} |"
        missed = list(dict.fromkeys(goal.key for goal in goals if not goal.met))
        if missed:
            yield "\nWhere it was not reached:\n"
        for key in missed:
            whats = "; ".join(goal.what for goal in goals if goal.key == key and not goal.met)
            reason = self.why.get(key, "The reason has not been found yet.")
            yield "\n".join(textwrap.wrap(f"- {whats}. {reason}", 130, subsequent_indent="  "))

    def _curves(self) -> Iterator[str]:
        curves = [curve for outcome in self.outcomes.values() for curve in outcome.curves]
        if curves:
            yield "\n## How costs grow\n"
            yield "The limit is SHA-256 of every file that a client reads, and one check of the signature of each."
        for curve in curves:
            yield f"\n![{curve.title}](performance/{curve.key}.svg)\n"
            numbers = [number for number, _ in curve.lines["limit"]]
            yield f"| {curve.over} | " + " | ".join(f"{number:,}" for number in numbers) + " |"
            yield "| --- |" + " ---: |" * len(numbers)
            for name, line in curve.lines.items():
                found = dict((number, cpu) for number, cpu in line)
                cells = [millis(found[number]) if number in found else "" for number in numbers]
                yield f"| {name} | " + " | ".join(cells) + " |"
            for name, words in curve.ends.items():
                yield f"\n{name}: {plain(words)}"


def markdown(table: Table) -> Iterator[str]:
    yield f"\n### {table.title}\n"
    if table.limits.runs:
        yield f"Limit: {table.limit_is}, {millis(table.limit)}.\n"
    rows = [[row.name, *cells_of(table, row)] for row in table.rows]
    whole = [cells for cells in rows if len(cells) > 2]
    # Columns that nobody has something in are left out.
    used = [number for number in range(1, len(HEADS) + 1) if any(cells[number] for cells in whole)]
    yield "| | " + " | ".join(HEADS[number - 1] for number in used) + " |"
    yield "| --- |" + " ---: |" * len(used)
    for cells in rows:
        if len(cells) > 2:
            yield f"| {cells[0]} | " + " | ".join(cells[number] for number in used) + " |"
    for name, *failed in rows:
        if len(failed) == 1:
            yield f"\n{name}: {plain(failed[0])}"


def plain(words: str) -> str:
    """The words of somebody else, as no markup."""
    return "".join(f"&#{ord(char)};" if char in "|<>&*_`[]" else char for char in words)
