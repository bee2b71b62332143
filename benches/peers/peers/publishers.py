"""Those who make repositories: ours, and those of our peers, as commands. One key signs everything."""

import subprocess
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from .bench import Bench
from .measure import Cost


SEED = bytes([7] * 32)


def key_file(bench: Bench) -> Path:
    """The key of `bench-peers corpus`, as everybody reads it."""
    key = Ed25519PrivateKey.from_private_bytes(SEED)
    return _write(bench.work / "key.pem", key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))


def key_file_of_tough(bench: Bench) -> Path:
    """The same as tough reads Ed25519 keys: with its public half in it (RFC 5958), and not as PEM."""
    public = Ed25519PrivateKey.from_private_bytes(SEED).public_key().public_bytes_raw()
    head, between = bytes.fromhex("3051020101300506032b657004220420"), bytes.fromhex("812100")
    return _write(bench.work / "key.der", head + SEED + between + public)


def _write(file: Path, content: bytes) -> Path:
    file.touch(mode=0o600)
    file.write_bytes(content)
    return file


class Publisher:
    """A repository tool, with a repository below `home`."""

    name = ""

    def __init__(self, bench: Bench, corpus: Path, what: str) -> None:
        self.bench, self.corpus = bench, corpus
        self.key = key_file(bench)
        self.root = corpus / "metadata/1.root.json"
        self.home = bench.work / "publishers" / f"{what}-{self.name}"

    def start(self) -> None:
        """An empty repository, or what has to be there before one is made."""
        self.bench.empty(self.home)

    def take_over(self) -> None:
        """A repository with all that the corpus lists."""
        raise NotImplementedError

    def create(self, images: Path) -> Cost:
        """Publishes all images of a folder in a repository that was started."""
        raise NotImplementedError

    def add(self, images: Path) -> Cost:
        """Publishes all images of a folder in the repository that was taken over."""
        raise NotImplementedError


class RepoTool(Publisher):
    name = "countersign"

    def start(self) -> None:
        super().start()
        keys = [word for role in ("root", "targets", "snapshot", "timestamp") for word in (f"--{role}-key", self._key())]
        self._run("init", "--root", self.root, *keys)

    def take_over(self) -> None:
        self.start()
        self._run("sign")
        self._run("publish")
        if any((self.corpus / "metadata").glob("1.bin-*.json")):
            # From now on repo.toml knows who signs bins, however many there are.
            self._run("bins", 2, "--key", self._key())
            self._run("discard")
        # As if it had published the corpus: its files, in place of those of the same versions.
        for folder in ("published/metadata", "state/metadata"):
            for file in (self.home / folder).iterdir():
                if file.name != "1.root.json":
                    file.unlink()
            to = self.home / folder
            subprocess.run(["cp", "-alf", f"{self.corpus}/metadata/.", to], check=True)
            if folder.startswith("state"):
                (to / "1.root.json").unlink()
        self._run("status")

    def create(self, images: Path) -> Cost:
        return self.add(images)

    def add(self, images: Path) -> Cost:
        commands = (["target", "add", "--recursive", images], ["sign"], ["publish"])
        return self.bench.meter.cost(*(self._command(*words) for words in commands))

    def _key(self) -> str:
        return f"file:{self.key}"

    def _command(self, *words) -> list:
        return [self.bench.tools.repo_tool, "--repo", self.home, *map(str, words)]

    def _run(self, *words) -> None:
        """Not measured."""
        self.bench.meter.cost(self._command(*words))


class PythonTufRepo(Publisher):
    name = "python-tuf"

    def take_over(self) -> None:
        self.bench.copy(self.corpus / "metadata", self.home)

    def create(self, images: Path) -> Cost:
        return self.bench.meter.cost([*self._command("create"), self.root, images, self.home])

    def add(self, images: Path) -> Cost:
        return self.bench.meter.cost([*self._command("add"), images, self.home])

    def _command(self, action: str) -> list:
        return [self.bench.tools.python, self.bench.tools.pytuf_repo, action, self.key]


class TuftoolRepo(Publisher):
    name = "tuftool"

    def take_over(self) -> None:
        self.start()

    def create(self, images: Path) -> Cost:
        return self._write("create", images, 1)

    def add(self, images: Path) -> Cost:
        """From the corpus every time: it writes a repository beside the old one."""
        self.start()
        return self._write("update", images, 2, "--metadata-url", f"file://{self.corpus.resolve()}/metadata")

    def _write(self, action: str, images: Path, version: int, *more) -> Cost:
        roles = ("targets", "snapshot", "timestamp")
        dates = [word for role in roles for word in (f"--{role}-expires", "in 52 weeks", f"--{role}-version", version)]
        to = ["--root", self.root, "--key", key_file_of_tough(self.bench), "--outdir", self.home, "--add-targets", images]
        return self.bench.meter.cost([self.bench.tools.tuftool, action, *to, *map(str, dates), *more])
