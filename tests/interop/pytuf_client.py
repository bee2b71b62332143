"""python-tuf's ngclient, as a function and as a command with client-verifier's arguments.

As a command it lets the conformance tests run against the reference implementation:
    COUNTERSIGN_CLIENT="python tests/interop/pytuf_client.py" pytest tests/interop/conformance
"""

import argparse
import shutil
import sys
from pathlib import Path

from tuf.ngclient import Updater, UpdaterConfig


def update(
    metadata_dir: Path, metadata_url: str, targets_url: str, target_dir: Path, names: list[str]
) -> dict[str, bytes]:
    """Refreshes from a trusted metadata_dir/root.json and downloads targets: name to bytes.

    Raises python-tuf's errors, and KeyError for a name that no trusted role lists.
    """
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
    try:
        update(
            args.metadata_dir,
            args.metadata_url,
            args.target_base_url,
            args.target_dir,
            args.target_name if args.command == "download" else [],
        )
    except Exception as error:  # noqa: BLE001 - any refusal is exit code 1, as in our client
        print(f"{type(error).__name__}: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
