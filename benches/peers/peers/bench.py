"""What all scenarios share."""

import hashlib
import subprocess
from dataclasses import dataclass
from pathlib import Path

from . import aside
from .clients import Client, Tools
from .measure import Cost, Figure, Meter
from .server import Server

MIB = 1 << 20

# What `--quick` divides the numbers of images by.
QUICK = 10

# What repositories are made by: another maker, other repositories.
MAKER = Path(__file__).resolve().parents[1] / "src/corpus.rs"


@dataclass
class Bench:
    """Where things are, and how much is measured."""

    meter: Meter
    tools: Tools
    work: Path
    runs: int
    quick: bool

    def size(self, number: int) -> int:
        """So many images, or fewer if it has to be quick."""
        return number // QUICK if self.quick else number

    def corpus(self, targets: int, *layout: str, rotations: int = 0) -> Path:
        """A signed repository; made once."""
        made_by = hashlib.sha256(MAKER.read_bytes()).hexdigest()[:8]
        folder = self.work / f"corpora-{made_by}" / "-".join([*layout, str(targets), *([str(rotations)] if rotations else [])])
        if not folder.exists():
            folder.parent.mkdir(parents=True, exist_ok=True)
            made = self.empty(folder.with_suffix(".new"), make=False)
            counts = ["--targets", str(targets), "--rotations", str(rotations)]
            subprocess.run([self.meter.tool, "corpus", made, *counts, *layout], check=True)
            made.rename(folder)
        return folder

    def empty(self, folder: Path, make: bool = True) -> Path:
        """A folder with nothing in it, or no folder."""
        aside.put(folder)
        if make:
            folder.mkdir(parents=True)
        return folder

    def copy(self, folder: Path, to: Path) -> Path:
        self.empty(to, make=False)
        to.parent.mkdir(parents=True, exist_ok=True)
        subprocess.run(["cp", "-a", folder, to], check=True)
        return to

    def images(self, count: int, length: int) -> Path:
        """A folder of images that are all different; made once."""
        folder = self.work / "images" / f"{count}-{length}"
        if not folder.exists():
            made = self.empty(folder.with_suffix(".new"))
            for number in range(count):
                name = f"image-{number:06}.bin"
                (made / name).write_bytes((name.encode() * (length // len(name) + 1))[:length])
            made.rename(folder)
        return folder

    def serve(self, folder: Path) -> Server:
        return Server(folder, self.work / "server")

    def client(self, kind: type[Client], server: Server, repository: Path) -> Client:
        return kind(self.tools, server.url, repository / "metadata/1.root.json", self.work / "clients" / kind.name)

    def limit(self, key: str, *arguments) -> Figure:
        """What `bench-peers limit` says, as many times as everything else is run."""
        told = [self.meter.limit(*arguments) for _ in range(self.runs)]
        return Figure([Cost(one[key], one[key], 0) for one in told])

    def free(self, *folders: Path) -> None:
        """Gives back the room of what is not needed any more, at the end."""
        for folder in folders:
            aside.put(folder)
