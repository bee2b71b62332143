"""What was found, as it is kept: one file of JSON for each scenario, so that a report needs no new measurement."""

import json
from dataclasses import asdict, dataclass, field
from datetime import datetime, timezone
from pathlib import Path

from .measure import Cost, Figure


@dataclass
class Row:
    """One line of a table. What was asked for on the network is that of the last run."""

    name: str
    figure: Figure
    requests: int | None = None
    bytes: int | None = None


@dataclass
class Table:
    """What was found about one piece of work. `limits` are seconds of processor time, run by run."""

    title: str
    rows: list[Row]
    limit_is: str = ""
    limits: Figure = field(default_factory=Figure)

    def cpu(self, name: str) -> float | None:
        """The median of one row; none if there is no figure."""
        return next((row.figure.median("cpu") for row in self.rows if row.name == name and row.figure.runs), None)

    def rss(self, name: str) -> float | None:
        return next((row.figure.median("rss") for row in self.rows if row.name == name and row.figure.runs), None)

    @property
    def limit(self) -> float:
        return self.limits.median("cpu")


@dataclass
class Goal:
    """Something to reach, and what was reached. `key` finds the reason in `why.toml`."""

    key: str
    what: str
    target: str
    reached: str
    met: bool


@dataclass
class Curve:
    """Seconds of processor time over a number; one line for each client, and why it ends before the last number."""

    key: str
    title: str
    over: str
    lines: dict[str, list[tuple[float, float]]]
    ends: dict[str, str] = field(default_factory=dict)


@dataclass
class Outcome:
    """All that a scenario has found."""

    tables: list[Table] = field(default_factory=list)
    goals: list[Goal] = field(default_factory=list)
    curves: list[Curve] = field(default_factory=list)
    # Printed as they are, such as figures of another benchmark.
    lines: list[str] = field(default_factory=list)
    date: str = ""


def keep(folder: Path, name: str, outcome: Outcome) -> None:
    outcome.date = datetime.now(timezone.utc).date().isoformat()
    folder.mkdir(parents=True, exist_ok=True)
    (folder / f"{name}.json").write_text(json.dumps(asdict(outcome), indent=1))


def kept(folder: Path, name: str) -> Outcome | None:
    """What was found the last time; none if the scenario was never run."""
    file = folder / f"{name}.json"
    if not file.exists():
        return None
    told = json.loads(file.read_text())
    return Outcome(
        tables=[_table(table) for table in told["tables"]],
        goals=[Goal(**goal) for goal in told["goals"]],
        curves=[Curve(**curve) for curve in told["curves"]],
        lines=told["lines"],
        date=told["date"],
    )


def _table(told: dict) -> Table:
    rows = [Row(**{**row, "figure": _figure(row["figure"])}) for row in told["rows"]]
    return Table(**{**told, "rows": rows, "limits": _figure(told["limits"])})


def _figure(told: dict) -> Figure:
    return Figure([Cost(**run) for run in told["runs"]], told["failed"])
