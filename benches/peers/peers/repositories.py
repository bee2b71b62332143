"""What publishers spend: many images at once, and one image in a repository that is large already."""

from collections.abc import Callable
from pathlib import Path

from .bench import MIB, Bench
from .measure import Cost, Figure
from .publishers import Publisher, PythonTufRepo, RepoTool, TuftoolRepo
from .results import Goal, Outcome, Row, Table

ALL = [RepoTool, PythonTufRepo, TuftoolRepo]

# Targets or a bin, Snapshot and Timestamp.
SIGNATURES = 3


def create(bench: Bench) -> Outcome:
    """A new repository of many small images."""
    count = bench.size(100_000)
    images = bench.images(count, 64)
    corpus = bench.corpus(1000, "flat")
    publishers = [kind(bench, corpus, "create") for kind in ALL]

    def way(publisher: Publisher) -> Callable[[], Cost]:
        def run() -> Cost:
            publisher.start()
            return publisher.create(images)

        return run

    rows = measured(bench, publishers, way)
    bench.free(images, *(publisher.home for publisher in publishers))
    title = f"A new repository of {count:,} images of 64 bytes (ours keeps and publishes the images too)"
    return Outcome([Table(title, rows)])


def add_one(bench: Bench) -> Outcome:
    """One image of 1 MiB more, in repositories of several sizes."""
    image = next(bench.images(1, MIB).iterdir())
    limits = bench.limit("cpu", "publish", image, "--signatures", str(SIGNATURES))
    tables = {}
    for targets in (bench.size(100_000), bench.size(1_000_000)):
        for words, layout in (("flat", ["flat"]), ("in 16,384 succinct bins", ["succinct", "14"])):
            corpus = bench.corpus(targets, *layout)
            title = f"One image of 1 MiB added to {targets:,}, {words}"
            rows = add(bench, corpus, image.parent, kinds=ALL)
            about = f"SHA-256 and SHA-512 of the image, and {SIGNATURES} signatures"
            tables[targets, layout[0]] = Table(title, rows, about, limits)
    *_, large = tables.values()
    small = list(tables.values())[1]
    goals = []
    if (ours := large.cpu(RepoTool.name)) and (fewer := small.cpu(RepoTool.name)):
        beyond, memory, grown = ours - large.limit, large.rss(RepoTool.name), ours / fewer
        what = f"3. {large.title}"
        goals = [
            Goal("add-cpu", f"{what}: CPU beyond the limit", "30 ms", f"{beyond * 1e3:.1f} ms", beyond < 0.03),
            Goal("add-memory", f"{what}: memory at the peak", "48 MiB", f"{memory / MIB:.1f} MiB", memory < 48 * MIB),
            Goal(
                "add-size", f"{what}: CPU over that in a tenth of it", "as much (1.2 ×)", f"{grown:.2f} ×", grown <= 1.2
            ),
        ]
    return Outcome(list(tables.values()), goals)


def add(bench: Bench, corpus: Path, images: Path, kinds: list[type[Publisher]]) -> list[Row]:
    """The same file under another name with every run, so that every run adds one."""
    publishers = [kind(bench, corpus, "add") for kind in kinds]
    for publisher in publishers:
        publisher.take_over()
    [image] = images.iterdir()

    def way(publisher: Publisher) -> Callable[[], Cost]:
        done = 0

        def run() -> Cost:
            nonlocal done
            folder = bench.empty(bench.work / "new")
            (folder / f"added-{done}.bin").hardlink_to(image)
            done += 1
            return publisher.add(folder)

        return run

    rows = measured(bench, publishers, way)
    bench.free(*(publisher.home for publisher in publishers))
    return rows


def add_many(bench: Bench) -> Outcome:
    """Many images in one go."""
    count, length = bench.size(10_000), 64 << 10
    images = bench.images(count, length)
    files = sorted(images.iterdir())
    about = f"SHA-256 and SHA-512 of the images, and {SIGNATURES} signatures"
    told = [bench.meter.limit("publish", *files, "--signatures", str(SIGNATURES)) for _ in range(bench.runs)]
    limits = Figure([Cost(one["cpu"], one["with reading"], 0) for one in told])
    corpus = bench.corpus(1000, "flat")
    publishers = [kind(bench, corpus, "many") for kind in ALL]

    def way(publisher: Publisher) -> Callable[[], Cost]:
        def run() -> Cost:
            publisher.take_over()
            return publisher.add(images)

        return run

    rows = measured(bench, publishers, way)
    bench.free(images, *(publisher.home for publisher in publishers))
    title = f"{count:,} images of 64 KiB added in one go"
    table = Table(title, rows, about, limits)
    goals = []
    if rows[0].figure.runs:
        wall, least = rows[0].figure.median("wall"), limits.median("wall")
        goals.append(
            Goal(
                "add-many",
                f"3. {title}: time until all is published",
                f"that of one core reading and hashing them: {least:.2f} s",
                f"{wall:.2f} s",
                wall <= least,
            )
        )
    return Outcome([table], goals)


def measured(bench: Bench, publishers: list[Publisher], way: Callable[[Publisher], Callable[[], Cost]]) -> list[Row]:
    figures = bench.meter.alternate(bench.runs, {publisher.name: way(publisher) for publisher in publishers})
    return [Row(name, figure) for name, figure in figures.items()]
