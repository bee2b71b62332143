"""The C example of a vehicle: a Primary with its own ECU, transport, Director link, key, device and installer.

Its Director is made with python-tuf, its Image repository with repo-tool; what it reports is checked by another
implementation."""

import json
import shutil
import subprocess
from pathlib import Path

import pytest
from capi import EXAMPLES, KINDS, Installed, run, run_as
from capi import installed, with_library  # noqa: F401 - fixtures
from cryptography.hazmat.primitives.serialization import load_pem_public_key
from our_repo import RepoTool
from pytuf_repo import Repo
from securesystemslib.formats import encode_canonical
from tuf.api.metadata import TargetFile

VIN, ECU, HARDWARE = "VIN-OF-THIS-CAR", "P1", "pcu-a"


class Director:
    """A Director's repository for one vehicle."""

    def __init__(self) -> None:
        self.repo = Repo(meta_hashes=True)
        for role in (self.repo.targets, self.repo.snapshot, self.repo.timestamp):
            role.unrecognized_fields["custom"] = {"vin": VIN}
        self.repo.publish_targets()

    def assign(self, path: str, content: bytes, counter: int) -> None:
        target = TargetFile.from_data(path, content, ["sha256", "sha512"])
        target.unrecognized_fields["custom"] = {
            "ecuIdentifiers": {ECU: {"hardwareId": HARDWARE}}, "releaseCounter": counter,
        }  # fmt: skip
        self.repo.targets.targets = {path: target}
        self.repo.publish_targets()


class Vehicle:
    """The program, its home, and the gateway between it and both repositories."""

    def __init__(self, command: list[str | Path], folder: Path, images: RepoTool) -> None:
        self.images = images
        self.director = Director()
        self.home, self.gateway, self.key = folder / "home", folder / "gateway", folder / "key.pem"
        self.home.mkdir()
        self.gateway.mkdir()
        run("openssl", "genpkey", "-algorithm", "ed25519", "-out", self.key)
        self._command = [*command, self.home, self.key]
        self.carry()
        roots = [self.gateway / name / "metadata" / "1.root.json" for name in ("director", "image")]
        run_as([*self._command, "provision", *roots], 0)

    def release(self, path: str, content: bytes, counter: int) -> None:
        options = ["--hardware-id", HARDWARE, "--release-counter", str(counter)]
        self.images.add(path, content, *options)
        self.images.release()
        self.director.assign(path, content, counter)
        self.carry()

    def carry(self) -> None:
        """What both repositories publish goes to the gateway."""
        self.director.repo.write_tree(self.gateway / "director")
        shutil.copytree(self.images.published, self.gateway / "image", dirs_exist_ok=True)

    def cycle(self, code: int = 0) -> str:
        return run_as([*self._command, "cycle", self.gateway], code)

    def installed(self) -> dict[str, bytes]:
        return {file.name: file.read_bytes() for file in (self.home / "images").iterdir()}

    def manifest(self) -> dict:
        """What the Director was told, if another implementation believes it."""
        manifest = json.loads((self.gateway / "manifest.json").read_bytes())
        public = load_pem_public_key(
            subprocess.run(["openssl", "pkey", "-in", self.key, "-pubout"], capture_output=True, check=True).stdout
        )
        [signature] = manifest["signatures"]
        public.verify(bytes.fromhex(signature["sig"]), encode_canonical(manifest["signed"]).encode())
        return manifest["signed"]


@pytest.fixture
def images(tool: RepoTool) -> RepoTool:
    tool.init()
    tool.release()
    return tool


@pytest.mark.parametrize("kind", KINDS)
def test_a_primary_in_c(kind: str, with_library: Installed, images: RepoTool, tmp_path: Path) -> None:
    libcrypto = run("pkg-config", "--cflags", "--libs", "libcrypto").split()
    vehicle = Vehicle(with_library.command(kind, EXAMPLES / "vehicle.c", tmp_path, *libcrypto), tmp_path, images)
    assert vehicle.cycle() == f"{ECU}: nothing\n"
    assert vehicle.manifest()["vin"] == VIN

    vehicle.release("pcu-1.img", b"one " * 50_000, 1)
    assert vehicle.cycle() == f"{ECU}: installed\n"
    assert vehicle.installed() == {"active": b"one " * 50_000}
    assert "pcu-1.img" in json.dumps(vehicle.manifest())
    assert vehicle.cycle() == "", "nothing is left to do"

    vehicle.release("pcu-2.img", b"two " * 50_000, 2)
    assert vehicle.cycle() == f"{ECU}: installed\n"
    assert vehicle.installed() == {"active": b"two " * 50_000}
    assert "pcu-2.img" in json.dumps(vehicle.manifest())

    # The gateway changes an image on its way.
    vehicle.release("pcu-3.img", b"three " * 50_000, 3)
    for file in (vehicle.gateway / "image" / "targets").rglob("*pcu-3.img"):
        file.unlink()
        file.write_bytes(b"THREE " * 50_000)
    assert "image-hash" in vehicle.cycle(1)
    # The Director alone wants something that the Image repository does not know.
    vehicle.director.assign("evil.img", b"evil", 9)
    vehicle.carry()
    assert "target-not-found" in vehicle.cycle(1)
    # Both want an older image than there is.
    vehicle.director.assign("pcu-1.img", b"one " * 50_000, 1)
    vehicle.carry()
    assert "release-counter-rollback" in vehicle.cycle(1)
    assert vehicle.installed() == {"active": b"two " * 50_000}
    # An older state of the Director, replayed.
    shutil.copytree(vehicle.gateway, tmp_path / "old")
    vehicle.director.assign("pcu-3.img", b"three " * 50_000, 3)
    vehicle.carry()
    shutil.copytree(images.published, vehicle.gateway / "image", dirs_exist_ok=True)
    assert vehicle.cycle() == f"{ECU}: installed\n"
    shutil.rmtree(vehicle.gateway)
    shutil.copytree(tmp_path / "old", vehicle.gateway)
    assert "version-rollback" in vehicle.cycle(1)
    assert vehicle.installed() == {"active": b"three " * 50_000}


def test_a_power_cut_while_installing(with_library: Installed, images: RepoTool, tmp_path: Path) -> None:
    """The program is killed at its n-th rename, link or removal of an image, and run again, for each n."""
    libcrypto = run("pkg-config", "--cflags", "--libs", "libcrypto").split()
    cut = tmp_path / "cut.c"
    cut.write_text(CUT)
    wrapped = [f"-Wl,--wrap={call}" for call in ("rename", "link", "remove")]
    command = with_library.command("plain", EXAMPLES / "vehicle.c", tmp_path, cut, *wrapped, *libcrypto)
    vehicle = Vehicle(command, tmp_path, images)
    for n in range(1, 100):
        vehicle.release(f"pcu-{n}.img", f"image {n} ".encode() * 10_000, n)
        words = [str(word) for word in [*vehicle._command, "cycle", vehicle.gateway]]
        done = subprocess.run(["env", f"CUT_AT={n}", *words], capture_output=True, timeout=60, check=False)
        if done.returncode == 0:
            break
        assert done.returncode == 77, done
        vehicle.cycle()
        vehicle.cycle()
        assert vehicle.installed() == {"active": f"image {n} ".encode() * 10_000}, n
    assert 5 < n < 30, "as many places as an installation has"


CUT = r"""
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

static void count(void) {
    static int seen;
    const char *at = getenv("CUT_AT");
    if (at && ++seen == atoi(at)) _exit(77);
}

int __real_rename(const char *from, const char *to);
int __wrap_rename(const char *from, const char *to) { count(); return __real_rename(from, to); }
int __real_link(const char *from, const char *to);
int __wrap_link(const char *from, const char *to) { count(); return __real_link(from, to); }
int __real_remove(const char *path);
int __wrap_remove(const char *path) { count(); return __real_remove(path); }
"""
