"""python-tuf's ngclient, as a function and as a command with client-verifier's arguments.

As a command it goes through the test vectors (`make test`) and the conformance tests:
    COUNTERSIGN_CLIENT="python tests/interop/pytuf_client.py" pytest tests/interop/conformance
"""

import argparse
import shutil
import sys
import traceback
from pathlib import Path


def update(
    metadata_dir: Path, metadata_url: str, targets_url: str, target_dir: Path, names: list[str]
) -> dict[str, bytes]:
    """Refreshes from a trusted metadata_dir/root.json and downloads targets: name to bytes.

    Raises python-tuf's errors, and KeyError for a name that no trusted role lists.
    """
    # Not at the top: `init` needs none of it.
    from tuf.ngclient import Updater, UpdaterConfig

    updater = Updater(
        metadata_dir=str(metadata_dir),
        metadata_base_url=metadata_url,
        target_dir=str(target_dir),
        target_base_url=targets_url,
        config=UpdaterConfig(prefix_targets_with_hash=True),
        bootstrap=None,
    )
    updater.refresh()
    found = {}
    for name in names:
        info = updater.get_targetinfo(name)
        if info is None:
            raise KeyError(name)
        path = updater.find_cached_target(info) or updater.download_target(info)
        found[name] = Path(path).read_bytes()
    return found


def main() -> int:
    parser = argparse.ArgumentParser()
    parser.add_argument("--metadata-dir", required=True, type=Path)
    parser.add_argument("--metadata-url", default="")
    parser.add_argument("--target-name", action="append", default=[])
    parser.add_argument("--target-base-url", default="http://127.0.0.1:9")
    parser.add_argument("--target-dir", default=".", type=Path)
    parser.add_argument("command", choices=["init", "refresh", "download"])
    parser.add_argument("root", nargs="?")
    args = parser.parse_args()
    if args.command == "init":
        args.metadata_dir.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(args.root, args.metadata_dir / "root.json")
        return 0
    # securesystemslib takes boto3 in where it is installed, for keys in AWS. That takes longer than all of a run, and
    # moto brings it into this environment.
    sys.modules["boto3"] = None
    from tuf.api.exceptions import DownloadError, RepositoryError

    try:
        update(
            args.metadata_dir,
            args.metadata_url,
            args.target_base_url,
            args.target_dir,
            args.target_name if args.command == "download" else [],
        )
    except (RepositoryError, DownloadError, KeyError) as refusal:
        print(f"{type(refusal).__name__}: {refusal}", file=sys.stderr)
        return 1
    return 0


def wrapped() -> int:
    """Exit code 1 is python-tuf's word alone: a wrapper that fails must not pass for a client that refuses."""
    try:
        return main()
    except Exception:  # noqa: BLE001 - Python's own exit code would be 1
        traceback.print_exc()
        return 2


if __name__ == "__main__":
    sys.exit(wrapped())
