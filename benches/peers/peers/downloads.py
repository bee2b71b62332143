"""What clients spend: one image out of large repositories, one large image, nothing new."""

import math
import random
import subprocess
from pathlib import Path

from .bench import MIB, Bench
from .clients import IMAGE, Client, Ours, PythonTuf, Sigstore, Tuftool
from .measure import Cost, Failed, Figure
from .results import Curve, Goal, Outcome, Row, Table

ALL = [Ours, PythonTuf, Tuftool, Sigstore]

# A large image, by its name in the repository of one image.
LARGE = 1 << 30


def one_image(
    bench: Bench, folder: Path, kinds: list[type[Client]], fresh: bool, length: int | None = None, runs: int = 0
) -> list[Row]:
    """Every client downloads the image: those that are fresh with nothing but the first Root, the others once more."""
    length = length or (folder / "targets" / IMAGE).stat().st_size
    rows = {kind.name: Row(kind.name, Figure()) for kind in kinds}

    def way(client: Client, row: Row):
        prepared = fresh

        def run() -> Cost:
            nonlocal prepared
            if fresh or not prepared:
                client.forget()
            if not prepared:
                bench.meter.cost(client.download())
                prepared = True
            server.asked()
            cost = bench.meter.cost(client.download())
            row.requests, row.bytes = server.asked()
            if not client.has(length):
                raise Failed("it says that it has succeeded, and the image is not there")
            return cost

        return run

    with bench.serve(folder) as server:
        clients = [bench.client(kind, server, folder) for kind in kinds if fresh or kind.keeps]
        figures = bench.meter.alternate(runs or bench.runs, {client.name: way(client, rows[client.name]) for client in clients})
    for kind in kinds:
        rows[kind.name].figure = figures.get(kind.name, Figure(failed="keeps no metadata: it is always as before"))
    return list(rows.values())


def flat(bench: Bench, targets: int, kinds: list[type[Client]] = ALL) -> Outcome:
    targets = bench.size(targets)
    folder = bench.corpus(targets, "flat")
    file = folder / "metadata/1.targets.json"
    size = file.stat().st_size
    title = f"One of {targets:,} images in a flat repository (targets.json: {size / MIB:.1f} MiB)"
    limit = {
        "limit_is": "SHA-256 of targets.json and one Ed25519 check of it",
        "limits": bench.limit("cpu", "metadata", file),
    }
    cold = Table(f"{title}, cold", one_image(bench, folder, kinds, fresh=True), **limit)
    warm = Table(f"{title}, nothing new", one_image(bench, folder, kinds, fresh=False), **limit)
    ours, least, again = cold.cpu(Ours.name), cold.limit, warm.cpu(Ours.name)
    goals = []
    if ours:
        what, memory = f"1. One of {targets:,}, flat, cold", cold.rss(Ours.name)
        goals += [
            Goal("flat-cpu", f"{what}: CPU", "1.5 × limit", f"{ours / least:.2f} × limit", ours <= 1.5 * least),
            Goal(
                "flat-memory",
                f"{what}: memory at the peak",
                f"file + 12 MiB = {size / MIB + 12:.1f} MiB",
                f"{memory / MIB:.1f} MiB",
                memory < size + 12 * MIB,
            ),
        ]
        if peer := cold.cpu(Tuftool.name):
            goals.append(
                Goal("flat-tuftool", f"{what}: tuftool's CPU over ours", "15 ×", f"{peer / ours:.1f} ×", peer >= 15 * ours)
            )
    if again:
        what = f"1. One of {targets:,}, flat, nothing new: CPU"
        goals.append(Goal("flat-again", what, "10 ms, no full parse", f"{again * 1e3:.1f} ms", again < 0.010))
    return Outcome([cold, warm], goals)


def bins(bench: Bench) -> Outcome:
    """A million images in 16,384 bins, and in other numbers of them."""
    targets = bench.size(1_000_000)
    tables, goals = [], []
    prefixes = "bins by prefixes of hashes"
    for count, style, bits, words in (
        (targets, "succinct", 14, "succinct bins (TAP 15)"),
        (targets, "hashed", 14, prefixes),
        # tuftool takes every bin.
        (targets // 10, "hashed", 10, prefixes),
    ):
        folder = bench.corpus(count, style, str(bits))
        rows = one_image(bench, folder, ALL, fresh=True)
        limits = bench.limit("sha256", "metadata", *needed(folder))
        title = f"One of {count:,} images in {1 << bits:,} {words}, cold"
        tables.append(Table(title, rows, "SHA-256 of what our client downloads", limits))
    ours, least = tables[0].cpu(Ours.name), tables[0].limit
    if ours:
        what = f"2. One of {targets:,} in 16,384 succinct bins, cold"
        goals.append(Goal("bins-cpu", f"{what}: CPU", "3 × limit", f"{ours / least:.2f} × limit", ours < 3 * least))
        wire = next(row.bytes for row in tables[0].rows if row.name == Ours.name)
        goals.append(Goal("bins-bytes", f"{what}: bytes", "reported, and the least of all", f"{wire:,}", True))
    tables.append(numbers_of_bins(bench, targets))
    best = min((row for row in tables[-1].rows if row.figure.runs), key=lambda row: row.bytes, default=None)
    if ours and best:
        goals[-1].reached += f"; with {best.name}: {best.bytes:,}"
        goals[-1].met = best.name.startswith("16,384")
    return Outcome(tables, goals)


def numbers_of_bins(bench: Bench, targets: int) -> Table:
    rows = []
    for bits in (8, 10, 12, 14) if bench.quick else range(7, 16):
        folder = bench.corpus(targets, "succinct", str(bits))
        [row] = one_image(bench, folder, [Ours], fresh=True, runs=min(bench.runs, 3))
        row.name = f"{1 << bits:,} bins"
        rows.append(row)
        if bits != 14:
            bench.free(folder)
    return Table(f"Our client, one of {targets:,} images, by the number of succinct bins", rows)


def needed(folder: Path) -> list[Path]:
    """What a cold client reads of a repository with bins, or of a flat one: the bins are all of about the same size."""
    metadata = folder / "metadata"
    roles = sorted(metadata.glob("1.bin-*.json"))
    return [
        *sorted(metadata.glob("*.root.json")),
        metadata / "timestamp.json",
        metadata / "1.snapshot.json",
        metadata / "1.targets.json",
        *roles[len(roles) // 2 :][:1],
        *metadata.glob("1.boards.json"),
    ]


def large(bench: Bench) -> Outcome:
    """One large image over loopback."""
    length = bench.size(LARGE)
    folder = large_repository(bench, length)
    to = bench.work / "limit-image"
    told = []
    with bench.serve(folder) as server:
        address, path = f"127.0.0.1:{server.port}", f"/targets/{IMAGE}"
        for _ in range(bench.runs):
            told.append(bench.meter.limit("download", address, path, to))
    to.unlink()
    limits = Figure([Cost(one["cpu"], one["cpu"], 0) for one in told])
    rows = one_image(bench, folder, ALL, fresh=True, length=length)
    for name, parts in {
        "SHA-256 alone": ["sha256"],
        "SHA-256, socket and file": ["sha256", "reading", "writing"],
    }.items():
        sums = [sum(one[part] for part in parts) for one in told]
        rows.append(Row(name, Figure([Cost(total, total, 0) for total in sums])))
    size = f"{length / MIB:,.0f} MiB"
    table = Table(f"An image of {size} over loopback", rows, "SHA-256 of it, and reading it from a socket", limits)
    goals = []
    if ours := table.cpu(Ours.name):
        least, memory = table.limit, table.rss(Ours.name)
        what = f"4. An image of {size}"
        goals = [
            Goal("image-cpu", f"{what}: CPU", "1.1 × limit", f"{ours / least:.2f} × limit", ours <= 1.1 * least),
            Goal("image-memory", f"{what}: memory at the peak", "12 MiB", f"{memory / MIB:.1f} MiB", memory < 12 * MIB),
        ]
    bench.free(folder)
    return Outcome([table], goals)


def large_repository(bench: Bench, length: int) -> Path:
    piece = random.Random(8).randbytes(MIB)
    file = bench.work / "large-image"
    with file.open("wb") as image:
        for _ in range(length // MIB):
            image.write(piece)
        image.write(piece[: length % MIB])
    folder = bench.empty(bench.work / "large", make=False)
    counts = ["--targets", "100", "--image", file]
    subprocess.run([bench.meter.tool, "corpus", folder, *counts, "flat"], check=True)
    file.unlink()
    return folder


def curves(bench: Bench) -> Outcome:
    """How the costs of a cold client grow."""
    biggest = bench.size(1_000_000)
    images = [count for count in (1_000, 10_000, 100_000, 1_000_000) if count <= biggest]
    delegations = [0, 2, 4, 6, 8, 10, 12, 14]
    roots = [1, 3, 10, 30, 100, 300, 1000]
    runs = min(bench.runs, 5)

    def curve(key: str, title: str, over: str, points: dict[int, Path], peers: dict[type[Client], int]) -> Curve:
        lines: dict[str, list] = {"limit": []}
        ends = {kind.name: f"left out above {most:,}" for kind, most in peers.items() if most < max(points)}
        for number, folder in points.items():
            told = [bench.meter.limit("metadata", *needed(folder))["cpu"] for _ in range(runs)]
            lines["limit"].append((number, sorted(told)[runs // 2]))
            kinds = [Ours, *(kind for kind, most in peers.items() if number <= most)]
            for row in one_image(bench, folder, kinds, fresh=True, runs=runs):
                if row.figure.runs:
                    lines.setdefault(row.name, []).append((number, row.figure.median("cpu")))
                else:
                    ends[row.name] = f"{number:,}: {row.figure.failed}"
        return Curve(key, title, over, lines, ends)

    flat_peers = {kind: 100_000 for kind in (PythonTuf, Tuftool, Sigstore)}
    # tuftool loads every role: a thousand take it most of a minute.
    role_peers = {PythonTuf: 1 << 14, Tuftool: 1 << 8, Sigstore: 1 << 14}
    found = [
        curve(
            "targets",
            "One image, cold, out of a flat repository",
            "images listed",
            {count: bench.corpus(count, "flat") for count in images},
            flat_peers,
        ),
        curve(
            "delegations",
            "One of 10,000 images, cold, out of delegated roles",
            "delegations",
            {
                1 << bits: bench.corpus(10_000, *(["hashed", str(bits)] if bits else ["delegated"]))
                for bits in delegations
            },
            role_peers,
        ),
        curve(
            "roots",
            "One of 1,000 images, cold, after renewals of Root",
            "versions of Root",
            {count: bench.corpus(1_000, "flat", rotations=count - 1) for count in roots},
            {kind: 1_000 for kind in (PythonTuf, Tuftool, Sigstore)},
        ),
    ]
    return Outcome(goals=[growth(curve) for curve in found], curves=found)


def growth(curve: Curve) -> Goal:
    """By which power of the number our costs grow at the end, where what does not grow matters least."""
    (fewer, less), (many, more) = curve.lines[Ours.name][-2:]
    power = math.log(more / less) / math.log(many / fewer)
    what = f"Costs over the number of {curve.over}: they grow by its power"
    return Goal(f"curve-{curve.key}", what, "1 (linear), 1.1 as measured", f"{power:.2f}", power <= 1.1)
