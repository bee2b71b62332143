"""Drives repo-tool as a CI job would: no terminal, no input, JSON out, exit codes checked."""

import json
import os
import shutil
import subprocess
from functools import cache
from pathlib import Path

PLAIN = "?encryption=none"
TOP = ("root", "targets", "snapshot", "timestamp")
# What openssl is asked for where a key comes from outside.
OPENSSL = {
    "ed25519": ["-algorithm", "ed25519"],
    "ecdsa-p256": ["-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256"],
    "ecdsa-p384": ["-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-384"],
    "rsa-2048": ["-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:2048"],
    "rsa-3072": ["-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:3072"],
    "rsa-4096": ["-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:4096"],
}


@cache
def openssl_key(kind: str, number: int) -> bytes:
    """The `number`th unencrypted PKCS#8 key of a kind, made once per process: RSA is slow."""
    del number
    command = ["openssl", "genpkey", *OPENSSL[kind]]
    return subprocess.run(command, capture_output=True, check=True, timeout=120).stdout


def files_below(folder: Path) -> dict[str, bytes]:
    """Every file below a folder with its bytes, to see what a command has changed."""
    return {
        str(file.relative_to(folder)): file.read_bytes()
        for file in sorted(folder.rglob("*"))
        if file.is_file() and file.name != ".countersign-lock"
    }


class RepoTool:
    """One repository on disk and the command that works on it."""

    def __init__(self, binary: Path, folder: Path) -> None:
        self.binary = binary
        self.folder = folder
        self.published = folder / "published"
        # Nothing of the caller's environment but where programs are, as in a clean CI job.
        self.env = {"PATH": os.environ["PATH"], "LC_ALL": "C"}
        self.days_ahead = 0
        self._images = folder.parent / f"{folder.name}-images"
        self._keys_made = 0
        folder.mkdir(parents=True)
        self._images.mkdir()

    # --- Running ---

    def start(self, *words: str | Path) -> subprocess.Popen:
        """Starts a command without a controlling terminal, so that a prompt could only fail."""
        command = [self.binary, "--repo", self.folder, "--format", "json", *words]
        if self.days_ahead:
            faketime = shutil.which("faketime")
            assert faketime, "faketime is not installed: run 'make setup'"
            command = [faketime, "-f", f"+{self.days_ahead}d", *command]
        return subprocess.Popen(
            [str(word) for word in command],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env=self.env,
            start_new_session=True,
        )

    def run(self, *words: str | Path) -> dict:
        """Runs a command that has to succeed; returns the object it prints."""
        return self.fails(0, *words)

    def fails(self, code: int, *words: str | Path) -> dict:
        """Runs a command that has to end with an exit code; returns the object it prints."""
        return finish(self.start(*words), code)

    def refuses(self, name: str, *words: str | Path, code: int = 1) -> str:
        """Runs a command that has to fail with a named error and change no file at all.

        Returns the message.
        """
        before = files_below(self.folder)
        error = self.fails(code, *words)
        assert error["name"] == name, error
        assert files_below(self.folder) == before, "a refused command left something behind"
        return error["message"]

    # --- Keys ---

    def new_key(self, kind: str = "ed25519") -> str:
        """The URI of a key that repo-tool has made."""
        uri = self._next_uri()
        self.run("key", "generate", uri, "--algorithm", kind)
        return uri

    def outside_key(self, kind: str) -> str:
        """The URI of a key that openssl has made."""
        uri = self._next_uri()
        file = self.key_file(uri)
        file.parent.mkdir(mode=0o700, exist_ok=True)
        file.touch(mode=0o600)
        file.write_bytes(openssl_key(kind, self._keys_made))
        return uri

    def key_of(self, kind: str) -> str:
        """A key of any kind: repo-tool makes no RSA keys in files."""
        return self.outside_key(kind) if kind.startswith("rsa") else self.new_key(kind)

    def key_file(self, uri: str) -> Path:
        return self.folder / uri.removeprefix("file:").partition("?")[0]

    def keyid(self, uri: str) -> str:
        return self.run("key", "show", uri)["keyid"]

    # --- Releases ---

    def init(self, kind: str = "ed25519", *options: str, root_keys: int = 1) -> dict[str, str]:
        """Starts the repository with one key for each role; returns their URIs."""
        words = []
        keys = {}
        for role in TOP:
            for _ in range(root_keys if role == "root" else 1):
                keys[role] = self.key_of(kind)
                words += [f"--{role}-key", keys[role]]
        self.run("init", *words, *options)
        return keys

    def image(self, content: bytes, name: str = "image") -> Path:
        file = self._images / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(content)
        return file

    def add(self, name: str, content: bytes, *options: str | Path) -> None:
        """Stages an image."""
        self.run("target", "add", self.image(content), "--name", name, *options)

    def release(self) -> dict:
        """Signs and publishes what is staged."""
        self.run("sign")
        return self.run("publish")

    def replace_key(self, role: str, kind: str = "ed25519") -> str:
        """Stages a new key for a top-level role in place of all that it has."""
        old = self.run("root", "show")["roles"][role]["keyids"]
        new = self.key_of(kind)
        self.run("root", "add-key", role, new)
        for keyid in old:
            self.run("root", "remove-key", role, keyid)
        return new

    def metadata(self, name: str) -> bytes:
        """A published metadata file."""
        return (self.published / "metadata" / name).read_bytes()

    def _next_uri(self) -> str:
        self._keys_made += 1
        return f"file:keys/key{self._keys_made}.pem{PLAIN}"


def finish(process: subprocess.Popen, code: int) -> dict:
    """Waits for a command and holds it to what scripts rely on; returns the object it printed."""
    try:
        output, errors = process.communicate(timeout=60)
    except subprocess.TimeoutExpired:
        process.kill()
        raise
    said = f"{process.args}\nstdout: {output.decode()}\nstderr: {errors.decode()}"
    assert process.returncode == code, f"exit code {process.returncode}, not {code}: {said}"
    assert errors == b"", said
    assert output.endswith(b"\n") and output.count(b"\n") == 1, f"not one line: {said}"
    report = json.loads(output)
    assert isinstance(report, dict), said
    assert report["ok"] == (code == 0), said
    if "name" in report and "message" in report:
        assert report["exit_code"] == code, said
    return report
