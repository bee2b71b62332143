"""A device that was given what docs/provisioning.md says, by the commands that it says."""

import json
import os
import re
import subprocess
from pathlib import Path

import pytest

from conftest import WORKSPACE, binary
from test_runbook import blocks, shell

VECTORS = WORKSPACE / "test-vectors/vectors"
HONEST = VECTORS / "uptane-director/honest/1"
# One vehicle at two times: after a fast-forward was healed, and before anything was.
HISTORY = VECTORS / "uptane-histories/fast-forward-and-recovery"
OWN = "devices/VIN-OF-THIS-CAR/P1"

PROFILE = """
name = "Gateway A"
[director]
root = "{first}/director"
{metadata}metadata = "{published}/director/metadata"
urls = ["{url}/director"]
[image]
root = "{first}/image"
{metadata}metadata = "{published}/image/metadata"
urls = ["{url}/image"]
[ecu]
hardware_id = "pcu-a"
verification = "full"
signing_key = "file:report.pem?encryption=none"
decryption_key = "file:images.pem?encryption=none"
"""


class Line:
    """A factory's folder, and one ECU that comes along."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.state = folder / "state"
        self.state.mkdir()
        for name, kind in (("report", "ed25519"), ("images", "X25519")):
            self.run("openssl", "genpkey", "-algorithm", kind, "-out", f"state/{name}.pem")
            (self.state / f"{name}.pem").chmod(0o600)
        self.run("openssl", "req", "-new", "-key", "state/report.pem", "-subj", "/CN=any",
                 "-out", "p1.csr")  # fmt: skip
        self.run("openssl", "pkey", "-in", "state/images.pem", "-pubout", "-out", "images.pub")

    def run(self, *words: str | Path, code: int = 0) -> str:
        tools = os.pathsep.join([str(binary("key-ceremony").parent), os.environ["PATH"]])
        done = subprocess.run(
            [str(word) for word in words],
            cwd=self.folder,
            env={"PATH": tools, "LC_ALL": "C", "OPENSSL_CONF": "/dev/null"},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=60,
        )
        assert done.returncode == code, (words, done.stdout, done.stderr)
        return done.stdout

    def make(self, published: Path, served: Path, *, metadata: bool) -> None:
        """A bundle with the metadata of `published`, for a device that asks at `served`."""
        text = PROFILE.format(
            first=HISTORY / "1" if published.is_relative_to(HISTORY) else published,
            published=published,
            url=served.as_uri(),
            metadata="" if metadata else "# ",
        )
        (self.folder / "profile.toml").write_text(text)
        words = [
            "key-ceremony", "--format", "json", "provision", "make", "profile.toml",
            "--vehicle", "VIN-OF-THIS-CAR", "--ecu", "P1", "--other", "S1=brake-b",
            "--other", "S2=lamp-c", "--signing-key", "p1.csr", "--encryption-key", "images.pub",
            "--time", "2026-01-01T00:00:00Z", "--accept", "root-threshold-low=a test",
            "--accept", "root-expiry-long=a test",
        ]  # fmt: skip
        confirm = json.loads(self.run(*words, "--show"))["confirm"]
        self.run(*words, "--out", "line4", "--confirm", confirm)

    def hand_over(self, *, metadata: bool) -> None:
        """The page's own commands."""
        (code,) = blocks("provisioning.md", "What to do per device", "sh")
        assert "D=/var/lib/ecu" in code and "WVWZZZ1JZXW000001/GW-1" in code
        code = code.replace("/var/lib/ecu", str(self.state))
        code = code.replace("devices/WVWZZZ1JZXW000001/GW-1", OWN)
        if not metadata:
            code = code.partition("for store in")[0]
        shell(code, self.folder)

    def client(self, *words: str | Path, code: int = 0) -> dict:
        said = self.run("client-verifier", "--format", "json", "--state-dir", self.state, *words,
                        code=code)  # fmt: skip
        return json.loads(said)


@pytest.fixture
def line(tmp_path: Path) -> Line:
    return Line(tmp_path)


@pytest.mark.parametrize("metadata", [True, False])
def test_a_provisioned_ecu_updates(line: Line, metadata: bool) -> None:
    line.make(HONEST, HONEST, metadata=metadata)
    line.run("key-ceremony", "provision", "check", "line4")
    line.hand_over(metadata=metadata)
    # Given the same again, it changes nothing.
    line.hand_over(metadata=False)
    found = line.client("uptane-cycle")["update"]["images"]
    assert [image["path"] for image in found if image["ecu"] == "P1"] == ["pcu.img"]
    line.client("uptane-install")
    assert (line.state / "ecu/slots/active/image").is_file()


def test_metadata_of_the_factory_is_a_floor(line: Line) -> None:
    line.make(HISTORY / "3", HISTORY / "1", metadata=True)
    line.hand_over(metadata=True)
    refused = line.client("uptane-cycle", code=1)
    assert refused["attack"] == "rollback", refused


def test_without_it_there_is_none(line: Line) -> None:
    line.make(HISTORY / "3", HISTORY / "1", metadata=False)
    line.hand_over(metadata=False)
    line.client("uptane-cycle")


def test_a_template_as_it_is_is_refused(line: Line) -> None:
    text = PROFILE.format(first=HONEST, published=HONEST, url=HONEST.as_uri(), metadata="# ")
    (line.folder / "profile.toml").write_text(text)
    words = [
        "key-ceremony", "--format", "json", "provision", "make", "profile.toml",
        "--time", "2026-01-01T00:00:00Z", "--accept", "root-threshold-low=a test",
        "--accept", "root-expiry-long=a test",
    ]  # fmt: skip
    confirm = json.loads(line.run(*words, "--show"))["confirm"]
    line.run(*words, "--out", "line4", "--confirm", confirm)
    roots = ["--director-root", "line4/director/root.json", "--image-root", "line4/image/root.json"]
    init = ["uptane-init", "line4/template/vehicle.json", "--map", "line4/template/map.json", *roots]
    assert line.client(*init, code=1)["name"] == "usage"
    vehicle = line.folder / "line4/template/vehicle.json"
    filled = vehicle.read_text().replace("FILL IN THE VIN", "V1").replace("FILL IN THE SERIAL", "E1")
    vehicle.write_text(filled)
    line.client(*init)


def test_the_rehearsal_can_be_pasted(tmp_path: Path) -> None:
    (code,) = blocks("provisioning.md", "A rehearsal", "sh")
    printed = shell(code, tmp_path)
    assert "wrote bundle" in printed and "there already, exactly like this" in printed
    assert re.search(r"checked: Sensor 12\n", printed)
    compiled = subprocess.run(
        ["cc", "-std=c99", "-Wall", "-Wextra", "-Werror", "-pedantic", "-fsyntax-only", "-x", "c",
         tmp_path / "sensor.h"],
        capture_output=True, text=True,
    )  # fmt: skip
    assert compiled.returncode == 0, compiled.stderr
