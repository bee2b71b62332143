#!/usr/bin/env python3
"""Makes the seed corpus of the fuzz targets out of the test vectors.

Usage: seeds.py TARGET FOLDER

`documents` gets every distinct metadata file, `capi` an archive of each step of each case: how to drive in
five bytes (session, habits, days, length of the target's name), the target's name, and the files by the names
that a device asks for, each as length of the name, name, length in three bytes, content.
"""

import json
import sys
from hashlib import sha256
from pathlib import Path

VECTORS = Path(__file__).resolve().parents[1] / "test-vectors" / "vectors"
# A file of megabytes is about sizes, which the bounds of the fuzzer cut anyway.
LONGEST = 64 * 1024


def documents() -> list[bytes]:
    files = [file for file in VECTORS.rglob("*.json") if file.name != "case.json"]
    return [file.read_bytes() for file in files if file.stat().st_size <= LONGEST]


def served(case: Path, step: dict) -> dict[str, bytes]:
    """What a step serves, by path."""
    files = {}
    for name in step.get("serve", []):
        folder = case / name
        for file in folder.rglob("*"):
            if file.is_file() and file.stat().st_size <= LONGEST:
                files[str(file.relative_to(folder))] = file.read_bytes()
    return files


def archive(mode: int, target: bytes, files: dict[str, bytes]) -> bytes:
    # 2030-01-01, in pieces every other time.
    parts = [bytes([mode, 2 * (len(files) % 2)]), (1826).to_bytes(2, "little"), bytes([len(target)]), target]
    for name, content in sorted(files.items()):
        encoded = name.encode()
        if len(encoded) < 256:
            parts += [bytes([len(encoded)]), encoded, len(content).to_bytes(3, "little"), content]
    return b"".join(parts)


def capi() -> list[bytes]:
    seeds = []
    for path in VECTORS.rglob("case.json"):
        case = json.loads(path.read_text())
        for step in case.get("steps", []):
            files = served(path.parent, step)
            if "trusted_root" in case:
                names = {name.removeprefix("metadata/"): content for name, content in files.items()
                         if name.startswith("metadata/")}
                names["root"] = (path.parent / case["trusted_root"]).read_bytes()
                action = step["action"]
                target = action["download"][0] if isinstance(action, dict) and action.get("download") else "fw.img"
                images = [content for name, content in files.items() if name.startswith("targets/")]
                names["image"] = images[0] if images else b""
                seeds.append(archive(0, target.encode()[:255], names))
            elif "ecu" in case:
                ecu = case["ecu"]
                names = {name.replace("/metadata/", "/"): content for name, content in files.items()
                         if "/metadata/" in name}
                names["director/root"] = (path.parent / ecu["director_root"]).read_bytes()
                names["image/root"] = (path.parent / ecu["image_root"]).read_bytes()
                images = [content for name, content in files.items() if "/targets/" in name]
                names["image"] = images[0] if images else b""
                mode = 2 if ecu["verification"] == "partial" else 1
                seeds.append(archive(mode, b"", names))
    return [seed for seed in seeds if len(seed) <= 4 * LONGEST]


def main() -> None:
    target, folder = sys.argv[1], Path(sys.argv[2])
    folder.mkdir(parents=True, exist_ok=True)
    seeds = {sha256(seed).hexdigest(): seed for seed in {"documents": documents, "capi": capi}[target]()}
    for name, seed in seeds.items():
        (folder / name).write_bytes(seed)
    print(f"{len(seeds)} seeds for {target}")


main()
