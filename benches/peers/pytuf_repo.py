"""python-tuf as a repository tool, to be measured, as its own examples use it.

`pytuf_repo.py create KEY ROOT IMAGES OUT`: lists every file of IMAGES in OUT/*.json.
`pytuf_repo.py add KEY IMAGES METADATA`: lists them in the next version of METADATA/*.json, in bins if there are any.
"""

import sys
from datetime import datetime, timezone
from pathlib import Path

# As in pytuf.py.
sys.modules["boto3"] = None

from cryptography.hazmat.primitives.serialization import load_pem_private_key  # noqa: E402
from securesystemslib.signer import CryptoSigner  # noqa: E402
from tuf.api.metadata import Metadata, MetaFile, Snapshot, TargetFile, Targets, Timestamp  # noqa: E402

EXPIRES = datetime(2099, 1, 1, tzinfo=timezone.utc)


def main() -> None:
    action, key, *rest = sys.argv[1:]
    signer = CryptoSigner(load_pem_private_key(Path(key).read_bytes(), None))
    {"create": create, "add": add}[action](signer, *map(Path, rest))


def create(signer: CryptoSigner, root: Path, images: Path, out: Path) -> None:
    (out / "1.root.json").write_bytes(root.read_bytes())
    targets = Targets(expires=EXPIRES)
    for image in sorted(images.iterdir()):
        targets.targets[image.name] = TargetFile.from_file(image.name, str(image))
    publish(signer, targets, out / "1.targets.json")
    publish(signer, Snapshot(expires=EXPIRES), out / "1.snapshot.json")
    publish(signer, Timestamp(expires=EXPIRES), out / "timestamp.json")


def add(signer: CryptoSigner, images: Path, metadata: Path) -> None:
    timestamp = Metadata.from_file(str(metadata / "timestamp.json")).signed
    old = timestamp.snapshot_meta.version
    snapshot = Metadata.from_file(str(metadata / f"{old}.snapshot.json")).signed

    def load(role: str) -> Targets:
        version = snapshot.meta[f"{role}.json"].version
        return Metadata.from_file(str(metadata / f"{version}.{role}.json")).signed

    top = load("targets")
    bins = top.delegations.succinct_roles if top.delegations else None
    changed = {} if bins else {"targets": top}
    for image in sorted(images.iterdir()):
        role = bins.get_role_for_target(image.name) if bins else "targets"
        targets = changed.get(role) or changed.setdefault(role, load(role))
        targets.targets[image.name] = TargetFile.from_file(image.name, str(image))
    for role, targets in changed.items():
        targets.version += 1
        written = publish(signer, targets, metadata / f"{targets.version}.{role}.json")
        listed = MetaFile(targets.version) if bins else MetaFile.from_data(targets.version, written, ["sha256"])
        snapshot.meta[f"{role}.json"] = listed
    snapshot.version += 1
    written = publish(signer, snapshot, metadata / f"{snapshot.version}.snapshot.json")
    timestamp.snapshot_meta = MetaFile.from_data(snapshot.version, written, ["sha256"])
    timestamp.version += 1
    publish(signer, timestamp, metadata / "timestamp.json")


def publish(signer: CryptoSigner, signed, path: Path) -> bytes:
    file = Metadata(signed)
    file.sign(signer)
    written = file.to_bytes()
    path.write_bytes(written)
    return written


main()
