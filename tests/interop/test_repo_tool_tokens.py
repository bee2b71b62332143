"""repo-tool with keys in a PKCS#11 token, unattended: it signs, or says what is the matter."""

import ctypes.util
import os
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from our_repo import RepoTool
from pytuf_client import update
from serving import Server

PIN = "unattended-pin"
PLACES = ("/usr/lib/softhsm", "/usr/lib/x86_64-linux-gnu/softhsm", "/usr/lib/aarch64-linux-gnu/softhsm",
          "/usr/lib64/softhsm", "/usr/local/lib/softhsm")  # fmt: skip


def module() -> Path:
    named = os.environ.get("COUNTERSIGN_PKCS11_MODULE")
    places = [Path(named)] if named else [Path(place, "libsofthsm2.so") for place in PLACES]
    found = next((place for place in places if place.is_file()), None)
    assert found, "SoftHSM is not installed: run 'make setup'"
    return found


class Tokens:
    """A store of SoftHSM tokens that only one repo-tool knows."""

    def __init__(self, tool: RepoTool, folder: Path) -> None:
        (folder / "tokens").mkdir(parents=True)
        config = folder / "softhsm2.conf"
        config.write_text(f"directories.tokendir = {folder / 'tokens'}\nlog.level = ERROR\n")
        self.pin_file = folder / "pin"
        self.pin_file.touch(mode=0o600)
        self.pin_file.write_text(PIN + "\n")
        self.tool = tool
        tool.env["SOFTHSM2_CONF"] = str(config)

    def token(self, label: str) -> None:
        self._util("--init-token", "--free", "--label", label, "--so-pin", PIN, "--pin", PIN)

    def uri(self, token: str, name: str, library: Path | None = None) -> str:
        return f"pkcs11:token={token};object={name}?module-path={library or module()}&pin-source=file:{self.pin_file}"

    def generate(self, token: str, name: str, kind: str) -> str:
        uri = self.uri(token, name)
        self.tool.run("key", "generate", uri, "--algorithm", kind)
        return uri

    def bring(self, token: str, name: str, number: str, pem: bytes) -> str:
        """Puts a key into the token that was made outside of it."""
        file = self.tool.image(pem, "import.pem")
        self._util("--import", str(file), "--token", token, "--label", name, "--id", number,
                   "--pin", PIN)  # fmt: skip
        return self.uri(token, name)

    def _util(self, *words: str) -> None:
        util = shutil.which("softhsm2-util")
        assert util, "SoftHSM is not installed: run 'make setup'"
        subprocess.run([util, *words], env=self.tool.env, capture_output=True, check=True)


@pytest.fixture
def tokens(tool: RepoTool, tmp_path: Path) -> Tokens:
    made = Tokens(tool, tmp_path / "hsm")
    made.token("release")
    return made


@pytest.fixture
def started(tokens: Tokens) -> RepoTool:
    """A release by keys in the token is published, a second one staged."""
    tool = tokens.tool
    online = tool.new_key()
    root = tokens.generate("release", "root", "ecdsa-p384")
    targets = tokens.generate("release", "targets", "ecdsa-p256")
    tool.run("init", "--root-key", root, "--targets-key", targets,
             "--snapshot-key", online, "--timestamp-key", online)  # fmt: skip
    tool.add("a", b"image")
    tool.release()
    tool.add("a", b"image 2")
    return tool


def test_python_tuf_accepts_every_kind_of_key_in_a_token(
    server: Server, tokens: Tokens, tmp_path: Path
) -> None:
    tool = tokens.tool
    kinds = {"root": "rsa-3072", "targets": "ecdsa-p384", "snapshot": "ecdsa-p256", "timestamp": "ed25519"}  # fmt: skip
    words = []
    for role, kind in kinds.items():
        words += [f"--{role}-key", tokens.generate("release", role, kind)]
    tool.run("init", *words)
    tool.run("delegation", "add", "team", "--path", "team/*", "--key",
             tokens.generate("release", "team", "rsa-2048"))  # fmt: skip
    tool.add("team/a", b"image", "--role", "team")
    tool.release()
    site = server.static(tool.published)
    metadata, targets = tmp_path / "metadata", tmp_path / "targets"
    metadata.mkdir()
    targets.mkdir()
    (metadata / "root.json").write_bytes(tool.metadata("1.root.json"))
    found = update(metadata, site.metadata_url, site.targets_url, targets, ["team/a"])
    assert found == {"team/a": b"image"}


def test_a_wrong_pin_warns_that_the_next_may_lock(tokens: Tokens, started: RepoTool) -> None:
    tokens.pin_file.write_text("a-wrong-one\n")
    message = started.refuses("key", "sign")
    assert "refused the PIN" in message and "lock" in message
    assert str(tokens.pin_file) in message and "a-wrong-one" not in message
    assert started.fails(3, "publish")["name"] == "incomplete"
    tokens.pin_file.write_text(PIN + "\n")
    assert started.release()["changed"]


def test_a_pin_that_is_not_there(tokens: Tokens, started: RepoTool) -> None:
    aside = tokens.pin_file.rename(tokens.pin_file.with_suffix(".aside"))
    assert str(tokens.pin_file) in str(started.run("sign")["unreachable"])
    assert started.fails(3, "publish")["name"] == "incomplete"
    aside.rename(tokens.pin_file)
    tokens.pin_file.chmod(0o644)
    assert "chmod 600" in started.refuses("key", "sign")
    tokens.pin_file.chmod(0o600)
    tokens.pin_file.write_text("")
    assert str(tokens.pin_file) in started.refuses("key", "sign")
    bare = tokens.uri("release", "targets").partition("&")[0]
    assert "COUNTERSIGN_PIN" in started.refuses("key", "key", "show", bare)
    started.env["COUNTERSIGN_PIN_RELEASE"] = PIN
    assert started.run("key", "show", bare)["public"]["scheme"] == "ecdsa-sha2-nistp256"


def libc() -> Path:
    name = ctypes.util.find_library("c")
    assert name
    return Path(name)


@pytest.mark.parametrize(
    ("uri", "says"),
    [
        (lambda t: t.uri("release", "nothing"), ["no private key", "object=targets"]),
        (lambda t: t.uri("elsewhere", "targets"), ["no token matches", '"release"']),
        (lambda t: t.uri("release", "targets", Path("/nonexistent.so")), ["/nonexistent.so"]),
        (lambda t: t.uri("release", "targets", Path("/etc/passwd")), ["/etc/passwd"]),
        (lambda t: t.uri("release", "targets", libc()), ["PKCS#11"]),
        (lambda _: "pkcs11:token=release;object=targets", ["module-path", "PKCS11_MODULE"]),
        (lambda _: "pkcs11:token=release;object=targets?bogus=1", ["bogus"]),
        (lambda _: "pkcs11:token=%zz", ["%"]),
    ],
    ids=["key", "token", "module", "text as module", "libc as module", "no module", "attribute",
         "escape"],
)  # fmt: skip
def test_what_is_not_there_is_named(
    tokens: Tokens, started: RepoTool, uri: Callable[[Tokens], str], says: list[str]
) -> None:
    for words in (["key", "show"], ["root", "add-key", "root"]):
        message = started.refuses("key", *words, uri(tokens))
        for text in says:
            assert text in message


def test_keys_of_the_wrong_make(tokens: Tokens, started: RepoTool) -> None:
    """Kinds that metadata cannot hold, and a name that is taken."""
    generate = ["openssl", "genpkey", "-algorithm"]
    for number, words, says in (
        ("bb", ["EC", "-pkeyopt", "ec_paramgen_curve:P-521"], "P-384"),
        ("cc", ["RSA", "-pkeyopt", "rsa_keygen_bits:1024"], "2048"),
    ):
        pem = subprocess.run([*generate, *words], capture_output=True, check=True).stdout
        uri = tokens.bring("release", f"wrong{number}", number, pem)
        assert says in started.refuses("key", "key", "show", uri)
    taken = tokens.uri("release", "targets")
    assert "already has a key" in started.refuses("key", "key", "generate", taken)


def test_a_token_that_is_unplugged_and_comes_back(tokens: Tokens, started: RepoTool) -> None:
    store = tokens.pin_file.with_name("tokens")
    aside = store.rename(store.with_name("drawer"))
    store.mkdir()
    assert "no token matches" in str(started.run("sign")["unreachable"])
    assert started.fails(3, "publish")["name"] == "incomplete"
    store.rmdir()
    aside.rename(store)
    assert started.release()["changed"]
