"""What is measured. Each function makes what it needs below a folder, and returns rows for the tables."""

import subprocess
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from .clients import Client, Ours, PythonTuf, Sigstore, Tools, Tuftool
from .measure import Cost, Figure, Meter, alternate
from .server import Server

MIB = 1 << 20


@dataclass
class Bench:
    """What all scenarios share."""

    meter: Meter
    tools: Tools
    work: Path
    runs: int
    notes: list[str] = field(default_factory=list)

    def corpus(self, name: str, targets: int, *layout: str, rotations: int = 0) -> Path:
        """A signed repository; made once."""
        folder = self.work / name
        if not folder.exists():
            made = folder.with_suffix(".new")
            subprocess.run(["rm", "-rf", made], check=True)
            counts = ["--targets", str(targets), "--rotations", str(rotations)]
            subprocess.run([self.meter.tool, "corpus", made, *counts, *layout], check=True)
            made.rename(folder)
        return folder

    def serve(self, folder: Path) -> Server:
        return Server(folder, self.work / "server")

    def client(self, kind: type[Client], server: Server, repository: Path) -> Client:
        home = self.work / "clients" / kind.name
        return kind(self.tools, server.url, repository / "metadata/1.root.json", home)


@dataclass
class Row:
    """One line of a table: medians, and the number that they are compared with."""

    name: str
    figure: Figure
    requests: int = 0
    bytes: int = 0


@dataclass
class Table:
    """What one scenario found. `limit` is in seconds of processor time."""

    title: str
    rows: list[Row]
    limit: float
    limit_is: str
    target: str


def cold(bench: Bench, folder: Path, kinds: list[type[Client]], runs: int) -> list[Row]:
    """One image for clients that have only the first Root."""
    with bench.serve(folder) as server:
        clients = {kind.name: bench.client(kind, server, folder) for kind in kinds}
        wire: dict[str, tuple[int, int]] = {}

        def once(client: Client) -> Callable[[], Cost]:
            def run() -> Cost:
                client.forget()
                server.asked()
                cost = bench.meter.cost(client.download())
                wire[client.name] = server.asked()
                return cost

            return run

        figures = alternate(runs, {name: once(client) for name, client in clients.items()})
    return [Row(name, figure, *wire[name]) for name, figure in figures.items()]


def warm(bench: Bench, folder: Path, kinds: list[type[Client]], runs: int) -> list[Row]:
    """The same image again, for clients that have everything."""
    with bench.serve(folder) as server:
        clients = {kind.name: bench.client(kind, server, folder) for kind in kinds}
        for client in clients.values():
            client.forget()
            bench.meter.cost(client.download())
        wire: dict[str, tuple[int, int]] = {}

        def once(client: Client) -> Callable[[], Cost]:
            def run() -> Cost:
                server.asked()
                cost = bench.meter.cost(client.download())
                wire[client.name] = server.asked()
                return cost

            return run

        figures = alternate(runs, {name: once(client) for name, client in clients.items()})
    return [Row(name, figure, *wire[name]) for name, figure in figures.items()]


ALL = [Ours, PythonTuf, Tuftool, Sigstore]


def flat(bench: Bench, targets: int, peers: bool = True) -> list[Table]:
    folder = bench.corpus(f"flat-{targets}", targets, "flat")
    kinds = ALL if peers else [Ours]
    file = str(folder / "metadata/1.targets.json")
    limits = sorted(bench.meter.limit("metadata", file)["cpu"] for _ in range(bench.runs))
    limit = limits[len(limits) // 2]
    size = Path(file).stat().st_size / MIB
    return [
        Table(
            f"One of {targets:,} images in a flat repository ({size:.1f} MiB), cold",
            cold(bench, folder, kinds, bench.runs),
            limit,
            "SHA-256 of targets.json, and one Ed25519 check of it",
            f"CPU within 1.5 times the limit, memory below {size:.1f} + 12 MiB",
        ),
        Table(
            f"The same again, nothing new ({targets:,} images)",
            warm(bench, folder, [kind for kind in kinds if kind is not Tuftool], bench.runs),
            limit,
            "as above: what verifying it anew costs",
            "CPU below 10 ms",
        ),
    ]
