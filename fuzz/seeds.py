#!/usr/bin/env python3
"""Makes the seed corpus of the fuzz targets out of the test vectors.

Usage: seeds.py TARGET FOLDER

`documents` gets every distinct metadata file, `capi` an archive of each step of each case: how to drive in
five bytes (what, habits, days, length of the name), the name of the target or of a bundle's Offline Targets file,
and the files by the names that a device asks for, each as length of the name, name, length in three bytes,
content. Beside those of repositories and bundles: `root`, what is attested of the `time`, the `nonce` that was
asked, an ECU's public `key`, and what the private one `shared` with whoever wrapped a content key.
"""

import base64
import io
import json
import re
import sys
import tarfile
from collections import Counter
from hashlib import sha256
from pathlib import Path

HOME = Path(__file__).resolve().parents[1] / "test-vectors"
VECTORS = HOME / "vectors"
# A file of megabytes is about sizes, which the bounds of the fuzzer cut anyway.
LONGEST = 64 * 1024
# What a fuzzer without seeds would not find. Fewer of them than these: the vectors are no longer where they were.
LEAST = {
    "documents": Counter({"files": 2500}),
    "capi": Counter({"client": 500, "blocking": 500, "full": 500, "partial": 30, "time": 30, "encrypted": 45, "offline": 70}),
}

Seeds = list[tuple[bytes, set[str]]]


def documents() -> Seeds:
    files = [file for file in VECTORS.rglob("*.json") if file.name != "case.json"]
    return [(file.read_bytes(), {"files"}) for file in files if file.stat().st_size <= LONGEST]


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
    # 2030-01-01, in pieces of some length, every other time by feeding.
    habits = 2 * (len(files) % 2) + 16 * (len(files) % 7)
    parts = [bytes([mode, habits]), (1826).to_bytes(2, "little"), bytes([len(target)]), target]
    for name, content in sorted(files.items()):
        encoded = name.encode()
        if len(encoded) < 256:
            parts += [bytes([len(encoded)]), encoded, len(content).to_bytes(3, "little"), content]
    return b"".join(parts)


def of_client(case: Path, step: dict, root: str) -> Seeds:
    files = {name.removeprefix("metadata/"): content for name, content in served(case, step).items()}
    files["root"] = (case / root).read_bytes()
    action = step["action"]
    wanted = action["download"][0] if isinstance(action, dict) and action.get("download") else "fw.img"
    target = wanted.encode()[:255]
    return [(archive(0, target, files), {"client"}), (archive(3, target, files), {"blocking"})]


def of_ecu(case: Path, step: dict, ecu: dict) -> Seeds:
    files, name, kinds = served(case, step), b"", set()
    files["director/root"] = (case / ecu["director_root"]).read_bytes()
    files["image/root"] = (case / ecu["image_root"]).read_bytes()
    cycle = step["action"].get("cycle") or {}
    if "bundle" in cycle and (bundle := members(case / cycle["bundle"])):
        files |= bundle
        in_offline = [Path(member) for member in bundle if member.startswith("director/offline/")]
        offline = [member for member in in_offline if member.name != "snapshot.json"]
        if offline:
            name = offline[0].name.removesuffix(".json").encode()[:255]
            kinds.add("offline")
    if "attestation" in cycle:
        files["time"] = (case / cycle["attestation"]).read_bytes()
        kinds.add("time")
    if "nonce" in cycle:
        files["nonce"] = bytes.fromhex(cycle["nonce"])
    if "decryption_key" in ecu and (opened := unwrapping(ecu["decryption_key"], ecu["serial"], files)):
        files |= opened
        kinds.add("encrypted")
    partial = ecu["verification"] == "partial"
    kinds.add("partial" if partial else "full")
    return [(archive(2 if partial else 1, name, files), kinds)]


def members(bundle: Path) -> dict[str, bytes]:
    """The files of a bundle; none of what is no tar."""
    try:
        with tarfile.open(fileobj=io.BytesIO(bundle.read_bytes()), mode="r:") as tar:
            return {m.name: tar.extractfile(m).read() for m in tar if m.isfile() and m.size <= LONGEST}
    except (tarfile.TarError, ValueError):
        return {}


def unwrapping(key: str, serial: str, files: dict[str, bytes]) -> dict[str, bytes]:
    """What an ECU with an X25519 key brings to open what is wrapped for it in the Director's Targets."""
    pem = (HOME / "keys" / f"{key}.pem").read_text()
    der = base64.b64decode("".join(line for line in pem.splitlines() if "-" not in line))
    if bytes.fromhex("06032b656e") not in der:
        return {}
    private = der.split(bytes.fromhex("0420"), 1)[1][:32]
    for name, content in files.items():
        if not name.startswith("director/") or not name.endswith("targets.json"):
            continue
        # Not every file here is JSON, nor what it says of the right type.
        peer = re.search(rb'"%s":\{[^{}]*"enc":"([0-9a-f]{64})"' % serial.encode(), b"".join(content.split()))
        if peer:
            public = x25519(private, (9).to_bytes(32, "little")).hex()
            scheme = "hpke-x25519-hkdfsha256-aes256gcm"
            said = {"keytype": "x25519", "scheme": scheme, "keyval": {"public": public}}
            shared = x25519(private, bytes.fromhex(peer[1].decode()))
            return {"key": json.dumps(said).encode(), "shared": shared}
    return {}


def x25519(scalar: bytes, point: bytes) -> bytes:
    """The function of RFC 7748, 5. These keys are no secrets, so it may take as long as it takes."""
    p = 2**255 - 19
    k = int.from_bytes(scalar, "little") & ~7 & (2**254 - 1) | 2**254
    u = int.from_bytes(point, "little") & (2**255 - 1)
    x2, z2, x3, z3, swap = 1, 0, u, 1, 0
    for bit in reversed(range(255)):
        swap ^= k >> bit & 1
        if swap:
            x2, z2, x3, z3 = x3, z3, x2, z2
        swap = k >> bit & 1
        a, b, c, d = x2 + z2, x2 - z2, x3 + z3, x3 - z3
        x3, z3 = (d * a + c * b) ** 2 % p, u * (d * a - c * b) ** 2 % p
        e = a * a - b * b
        x2, z2 = a * a * b * b % p, e * (a * a + 121665 * e) % p
    if swap:
        x2, z2 = x3, z3
    return (x2 * pow(z2, p - 2, p) % p).to_bytes(32, "little")


def capi() -> Seeds:
    seeds = []
    for path in sorted(VECTORS.rglob("case.json")):
        case = json.loads(path.read_text())
        for step in case.get("steps", []):
            if "trusted_root" in case:
                seeds += of_client(path.parent, step, case["trusted_root"])
            elif "ecu" in case:
                seeds += of_ecu(path.parent, step, case["ecu"])
    return [(seed, kinds) for seed, kinds in seeds if len(seed) <= 4 * LONGEST]


def main() -> None:
    target, folder = sys.argv[1], Path(sys.argv[2])
    folder.mkdir(parents=True, exist_ok=True)
    seeds = {sha256(seed).hexdigest(): (seed, kinds) for seed, kinds in {"documents": documents, "capi": capi}[target]()}
    for name, (seed, _) in seeds.items():
        (folder / name).write_bytes(seed)
    made = Counter(kind for _, kinds in seeds.values() for kind in kinds)
    if missing := LEAST[target] - made:
        sys.exit(f"seeds.py: too few seeds for {target}: {dict(missing)} are missing of {dict(LEAST[target])}")
    print(f"{len(seeds)} seeds for {target}: {dict(made)}")


main()
