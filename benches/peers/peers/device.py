"""The command of a device: its size, how soon it asks, and what it spends when nothing is new."""

import shutil
import statistics
import subprocess
from collections.abc import Callable
from dataclasses import replace

from .bench import MIB, Bench
from .clients import Client, Ours, PythonTuf
from .measure import Cost, Failed, Figure
from .results import Goal, Outcome, Row, Table

# A client that has not asked by then (seconds) has failed.
PATIENCE = 20


def device(bench: Bench) -> Outcome:
    bench = replace(bench, tools=replace(bench.tools, ours=bench.tools.device))
    size = stripped(bench)
    first = first_request(bench)
    table = nothing_new(bench)
    row = table.rows[0]
    cpu, memory = table.cpu(Ours.name), table.rss(Ours.name)
    what = "5. The client command"
    return Outcome(
        [table],
        [
            Goal("device-size", f"{what}, stripped, with TLS", "4 MB", f"{size / 1e6:.2f} MB", size < 4e6),
            Goal("device-start", f"{what}: start to first request", "5 ms", f"{first * 1e3:.2f} ms", first < 0.005),
            Goal("device-requests", f"{what}, nothing new: requests", "2", str(row.requests), row.requests == 2),
            Goal("device-cpu", f"{what}, nothing new: CPU", "10 ms", f"{cpu * 1e3:.2f} ms", cpu < 0.010),
            Goal("device-memory", f"{what}, nothing new: memory", "8 MiB", f"{memory / MIB:.2f} MiB", memory < 8 * MIB),
        ],
    )


def stripped(bench: Bench) -> int:
    """Bytes of the command without symbols."""
    copy = bench.work / "client-stripped"
    shutil.copyfile(bench.tools.ours, copy)
    subprocess.run(["strip", "--strip-all", copy], check=True)
    size = copy.stat().st_size
    copy.unlink()
    return size


def first_request(bench: Bench) -> float:
    """Seconds from its start to its first request; the median."""
    corpus = bench.corpus(1000, "flat")
    client = Ours(bench.tools, "@URL@", corpus / "metadata/1.root.json", bench.work / "clients" / "first")
    client.forget()
    command = [bench.meter.tool, "first-request", "--", *client.refresh()]
    times = []
    for _ in range(bench.runs):
        told = subprocess.run(command, check=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=PATIENCE)
        times.append(float(told.stdout))
    return statistics.median(times)


def nothing_new(bench: Bench) -> Table:
    """A refresh of clients that have everything. tuftool and sigstore-tuf do not do this alone."""
    corpus = bench.corpus(1000, "flat")
    kinds = [Ours, PythonTuf]
    rows = {kind.name: Row(kind.name, Figure()) for kind in kinds}

    def way(client: Client) -> Callable[[], Cost]:
        def run() -> Cost:
            server.asked()
            cost = bench.meter.cost(client.refresh())
            rows[client.name].requests, rows[client.name].bytes = server.asked()
            return cost

        return run

    with bench.serve(corpus) as server:
        clients = [bench.client(kind, server, corpus) for kind in kinds]
        for client in clients:
            client.forget()
            bench.meter.cost(client.refresh())
        figures = bench.meter.alternate(bench.runs, {client.name: way(client) for client in clients})
    for name, figure in figures.items():
        rows[name].figure = figure
    if not rows[Ours.name].figure.runs:
        raise Failed(rows[Ours.name].figure.failed)
    return Table("A refresh with nothing new (1,000 images)", list(rows.values()))
