"""python-tuf's client, to be measured: `pytuf.py STATE URL [NAME OUT]` with STATE/root.json."""

import sys
from pathlib import Path

# securesystemslib takes boto3 in where it is installed, for keys in AWS, which takes longer than all of a run.
sys.modules["boto3"] = None

from tuf.ngclient import Updater, UpdaterConfig  # noqa: E402

state, url, *image = sys.argv[1:]
updater = Updater(
    metadata_dir=state,
    metadata_base_url=f"{url}/metadata",
    target_dir=str(Path(state).parent / "images"),
    target_base_url=f"{url}/targets",
    config=UpdaterConfig(
        max_root_rotations=1024,
        max_delegations=1024,
        prefix_targets_with_hash=True,
        snapshot_max_length=1 << 30,
        targets_max_length=1 << 30,
    ),
    bootstrap=None,
)
updater.refresh()
if image:
    name, out = image
    info = updater.get_targetinfo(name)
    updater.find_cached_target(info, out) or updater.download_target(info, out)
