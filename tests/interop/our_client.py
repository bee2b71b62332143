"""Drives a client executable through the three commands of client-verifier."""

import json
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import unquote

from serving import Site


@dataclass
class Outcome:
    """What a run of the client said. pytest prints it when an assertion fails."""

    arguments: list[str]
    code: int
    output: str
    errors: str

    @property
    def ok(self) -> bool:
        return self.code == 0

    @property
    def report(self) -> dict | None:
        """The JSON object on standard output; None from a client that does not write one."""
        return json.loads(self.output) if self.output.startswith("{") else None


def refused(outcome: Outcome, *names: str) -> bool:
    """Whether the client refused, for one of the named reasons where it names its reasons."""
    if outcome.ok:
        return False
    return outcome.report is None or outcome.report["name"] in names


class Client:
    """One installed client: its metadata directory, its target directory, its server."""

    def __init__(self, command: list[str], folder: Path, site: Site) -> None:
        self.metadata_dir = folder / "client-metadata"
        self.target_dir = folder / "client-targets"
        self.site = site
        self._command = command
        self._folder = folder
        self.metadata_dir.mkdir(parents=True)
        self.target_dir.mkdir()

    def init(self, root: bytes) -> Outcome:
        """Gives the client its trusted root."""
        file = self._folder / "initial-root.json"
        file.write_bytes(root)
        return self._run(["--metadata-dir", str(self.metadata_dir), "init", str(file)])

    def refresh(self, days_ahead: int = 0) -> Outcome:
        """Updates the metadata, with the client's clock that many days ahead."""
        return self._run([*self._repository(), "refresh"], days_ahead)

    def download(self, *names: str, days_ahead: int = 0) -> Outcome:
        """Updates the metadata and downloads targets."""
        wanted = [word for name in names for word in ("--target-name", name)]
        target = ["--target-base-url", self.site.targets_url, "--target-dir", str(self.target_dir)]
        return self._run([*self._repository(), *wanted, *target, "download"], days_ahead)

    def trusted(self) -> dict[str, int]:
        """The roles that the client trusts and their versions, read from its directory."""
        found = {}
        for file in self.metadata_dir.iterdir():
            if file.name.endswith(".json"):
                version = json.loads(file.read_bytes())["signed"]["version"]
                found[unquote(file.name.removesuffix(".json"))] = version
        return found

    def version(self, role: str) -> int | None:
        return self.trusted().get(role)

    def stored(self, role: str) -> bytes:
        """A trusted file's bytes."""
        return (self.metadata_dir / f"{role}.json").read_bytes()

    def downloaded(self) -> list[bytes]:
        """The contents of all files in the target directory, sorted; any extra file shows."""
        return sorted(f.read_bytes() for f in self.target_dir.rglob("*") if f.is_file())

    def _repository(self) -> list[str]:
        return [
            "--metadata-url",
            self.site.metadata_url,
            "--metadata-dir",
            str(self.metadata_dir),
        ]

    def _run(self, arguments: list[str], days_ahead: int = 0) -> Outcome:
        command = [*self._command, *arguments]
        if days_ahead:
            faketime = shutil.which("faketime")
            assert faketime, "faketime is not installed: run 'make setup'"
            command = [faketime, "-f", f"+{days_ahead}d", *command]
        done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
        outcome = Outcome(arguments, done.returncode, done.stdout, done.stderr)
        assert outcome.code in (0, 1), f"exit codes are 0 and 1 only: {outcome}"
        return outcome
