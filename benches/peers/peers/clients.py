"""The clients that are measured: ours, and those of our peers, as commands."""

import shutil
from dataclasses import dataclass
from pathlib import Path

from . import aside

# The image that is really there in every repository of `bench-peers corpus`.
IMAGE = "board/image-000042.bin"


@dataclass
class Tools:
    """Where the commands are."""

    ours: Path
    # The same as it is built for devices.
    device: Path
    repo_tool: Path
    python: Path
    pytuf: Path
    pytuf_repo: Path
    tuftool: Path
    sigstore: Path


class Client:
    """One client of one repository, with a state of its own below `home`."""

    name = ""
    # Whether it keeps metadata from one run to the next.
    keeps = True

    def __init__(self, tools: Tools, url: str, root: Path, home: Path) -> None:
        self.tools, self.url, self.root, self.home = tools, url, root, home

    def forget(self) -> None:
        """Back to the factory: nothing but the first Root."""
        aside.put(self.home)
        (self.home / "state").mkdir(parents=True)
        (self.home / "images").mkdir()
        shutil.copyfile(self.root, self.home / "state/root.json")

    def download(self, name: str = IMAGE) -> list:
        """The command that refreshes, and downloads the image."""
        raise NotImplementedError

    def has(self, length: int) -> bool:
        """Whether a file of this length has been downloaded."""
        files = (self.home / "images").rglob("*")
        return any(file.is_file() and file.stat().st_size == length for file in files)


class Ours(Client):
    name = "countersign"

    def forget(self) -> None:
        super().forget()
        state = self.home / "state"
        # As `client-verifier init` leaves it.
        for folder in ("root_history", "state/notes"):
            (state / folder).mkdir(parents=True)
        shutil.copyfile(self.root, state / "root_history/1.root.json")

    def _command(self) -> list:
        return [self.tools.ours, "--metadata-dir", self.home / "state", "--metadata-url", f"{self.url}/metadata"]

    def refresh(self) -> list:
        return [*self._command(), "refresh"]

    def download(self, name: str = IMAGE) -> list:
        images = ["--target-base-url", f"{self.url}/targets", "--target-dir", self.home / "images"]
        return [*self._command(), *images, "--target-name", name, "download"]


class PythonTuf(Client):
    name = "python-tuf"

    def refresh(self) -> list:
        return [self.tools.python, self.tools.pytuf, self.home / "state", self.url]

    def download(self, name: str = IMAGE) -> list:
        return [*self.refresh(), name, self.home / "images/image"]


class Tuftool(Client):
    name = "tuftool"
    keeps = False

    def forget(self) -> None:
        super().forget()
        # It insists on making the folder itself.
        (self.home / "images").rmdir()

    def download(self, name: str = IMAGE) -> list:
        urls = ["--metadata-url", f"{self.url}/metadata", "--targets-url", f"{self.url}/targets"]
        images = ["--target-name", name, self.home / "images"]
        return [self.tools.tuftool, "download", "--root", self.home / "state/root.json", *urls, *images]


class Sigstore(Client):
    name = "sigstore-tuf"

    def download(self, name: str = IMAGE) -> list:
        return [self.tools.sigstore, self.home / "state", self.url, name, self.home / "images/image"]
