#!/usr/bin/env python3
"""A TUF client of some 150 lines, written from test-vectors/README.md alone.

It shows that the page says enough: `make test` puts it through the vectors of the top-level roles. It knows Ed25519
and no delegations, and is for reading, not for use.
"""

import argparse
import hashlib
import json
import shutil
import sys
import time
import urllib.error
import urllib.parse
import urllib.request
from pathlib import Path

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

MAX_LENGTH = {"root": 512_000, "timestamp": 16_384, "snapshot": 2_000_000, "targets": 5_000_000}


class Refused(Exception):
    """What the client says when it does not believe."""


def need(holds, why):
    if not holds:
        raise Refused(why)


def parse(data):
    """Strict JSON: no member twice, no fractions."""

    def unique(pairs):
        need(len({name for name, _ in pairs}) == len(pairs), "a member stands there twice")
        return dict(pairs)

    def no_fraction(text):
        raise Refused(f"{text} is no integer")

    try:
        return json.loads(
            data.decode("utf-8"), object_pairs_hook=unique, parse_float=no_fraction, parse_constant=no_fraction
        )
    except (ValueError, RecursionError) as error:
        raise Refused(f"no JSON: {error}") from error


def number(value):
    need(isinstance(value, int) and value >= 1, f"{value} is no version")
    return value


def canonical(value):
    """The bytes that are signed."""
    if isinstance(value, dict):
        members = (canonical(name) + b":" + canonical(value[name]) for name in sorted(value))
        return b"{" + b",".join(members) + b"}"
    if isinstance(value, list):
        return b"[" + b",".join(map(canonical, value)) + b"]"
    if isinstance(value, str):
        return ('"' + value.replace("\\", "\\\\").replace('"', '\\"') + '"').encode()
    return json.dumps(value).encode()


def verify(document, root, role):
    """Whether a threshold of different keys of `role`, as `root` lists them, has signed."""
    rule, signed_by = root["roles"][role], set()
    payload = canonical(document["signed"])
    ids = [entry["keyid"] for entry in document["signatures"]]
    need(len(set(ids)) == len(ids), "a key identifier stands there twice")
    for entry in document["signatures"]:
        key = root["keys"].get(entry["keyid"])
        if entry["keyid"] not in rule["keyids"] or not key or key["scheme"] != "ed25519":
            continue
        public = bytes.fromhex(key["keyval"]["public"])
        try:
            Ed25519PublicKey.from_public_bytes(public).verify(bytes.fromhex(entry["sig"]), payload)
        except (InvalidSignature, ValueError):
            continue
        signed_by.add(public)
    need(len(signed_by) >= rule["threshold"], f"{role}: too few signatures")


class Client:
    def __init__(self, folder, url):
        self.folder, self.url, self.now = folder, url.rstrip("/"), time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())

    def fetch(self, base, name, most):
        """At most `most` bytes; None if it is not there."""
        try:
            with urllib.request.urlopen(f"{base}/{name}", timeout=30) as answer:
                data = answer.read(most + 1)
        except urllib.error.HTTPError as error:
            need(error.code in (403, 404), f"{name}: {error.code}")
            return None
        need(len(data) <= most, f"{name} is too long")
        return data

    def read(self, role):
        path = self.folder / f"{role}.json"
        return parse(path.read_bytes()) if path.exists() else None

    def save(self, role, data):
        (self.folder / f"{role}.json").write_bytes(data)

    def load(self, data, role, root):
        """A file that is what it says and signed as it has to be."""
        need(data is not None, f"{role} is not there")
        document = parse(data)
        need(document["signed"]["_type"] == role, f"{role} is something else")
        need(document["signed"]["spec_version"].split(".")[0] == "1", "another specification")
        number(document["signed"]["version"])
        verify(document, root, role)
        return document["signed"]

    def fresh(self, signed, role):
        need(self.now < signed["expires"], f"{role} has expired")

    def listed(self, data, entry, role):
        """What the file before says of this one."""
        if data is not None and "length" in entry:
            need(len(data) == entry["length"], f"{role} has another length")
        known = {name: digest for name, digest in entry.get("hashes", {}).items() if name in ("sha256", "sha512")}
        need(known or "hashes" not in entry, f"{role} has no hash that is known here")
        for function, digest in known.items():
            if data is not None:
                need(hashlib.new(function, data).hexdigest() == digest, f"{role} has another hash")

    def refresh(self):
        before = root = self.load((self.folder / "root.json").read_bytes(), "root", self.read("root")["signed"])
        while (data := self.fetch(self.url, f"{root['version'] + 1}.root.json", MAX_LENGTH["root"])) is not None:
            following = self.load(data, "root", root)
            verify(parse(data), following, "root")
            need(following["version"] == root["version"] + 1, "root: not the next version")
            root = following
            self.save("root", data)
        self.fresh(root, "root")
        self.forget(before, root)
        self.consistent = root["consistent_snapshot"]
        prefix = (lambda version: f"{version}.") if self.consistent else (lambda version: "")

        data = self.fetch(self.url, "timestamp.json", MAX_LENGTH["timestamp"])
        timestamp, last = self.load(data, "timestamp", root), self.read("timestamp")
        entry = timestamp["meta"]["snapshot.json"]
        number(entry["version"])
        if last:
            need(timestamp["version"] >= last["signed"]["version"], "timestamp goes back")
            need(entry["version"] >= last["signed"]["meta"]["snapshot.json"]["version"], "snapshot goes back")
        if last and timestamp["version"] == last["signed"]["version"]:
            timestamp, entry = last["signed"], last["signed"]["meta"]["snapshot.json"]
        self.fresh(timestamp, "timestamp")
        if timestamp is not (last or {}).get("signed"):
            self.save("timestamp", data)

        snapshot = self.follow("snapshot", entry, root, prefix)
        self.targets = self.follow("targets", snapshot["meta"]["targets.json"], root, prefix)

    def follow(self, role, entry, root, prefix):
        """Snapshot or Targets, as the file before lists it: what is there already, or what is served."""
        path = self.folder / f"{role}.json"
        try:
            kept = path.read_bytes()
            self.listed(kept, entry, role)
            signed = self.load(kept, role, root)
            need(signed["version"] == entry["version"], "an older one")
            self.fresh(signed, role)
            return signed
        except (Refused, FileNotFoundError):
            pass
        name = f"{prefix(entry['version'])}{role}.json"
        data = self.fetch(self.url, name, entry.get("length", MAX_LENGTH[role]))
        self.listed(data, entry, role)
        signed, last = self.load(data, role, root), self.read(role)
        need(signed["version"] == entry["version"], f"{role} has another version than is listed")
        if role == "snapshot" and last:
            for name, known in last["signed"]["meta"].items():
                need(name in signed["meta"], f"{name} is not listed any more")
                need(signed["meta"][name]["version"] >= known["version"], f"{name} goes back")
        self.fresh(signed, role)
        self.save(role, data)
        return signed

    def forget(self, before, root):
        """After a rotation, what the former keys have signed is no floor any more (5.3.11)."""
        for role in ("timestamp", "snapshot"):
            if before["roles"][role] != root["roles"][role]:
                for gone in ("timestamp", "snapshot"):
                    (self.folder / f"{gone}.json").unlink(missing_ok=True)

    def download(self, name, base, folder):
        entry = self.targets["targets"].get(name)
        need(entry, f"nobody lists {name}")
        directory, _, last = name.rpartition("/")
        digest = entry["hashes"].get("sha256") or entry["hashes"]["sha512"]
        last = f"{digest}.{last}" if self.consistent else last
        path = "/".join(filter(None, [directory, last]))
        data = self.fetch(base.rstrip("/"), urllib.parse.quote(path), entry["length"])
        need(data is not None, f"{name} is not there")
        self.listed(data, entry, name)
        (folder / urllib.parse.quote(name, safe="")).write_bytes(data)


def main():
    parser = argparse.ArgumentParser()
    for option in ("--metadata-dir", "--target-dir"):
        parser.add_argument(option, type=Path)
    for option in ("--metadata-url", "--target-base-url"):
        parser.add_argument(option, default="")
    parser.add_argument("--target-name", action="append", default=[])
    parser.add_argument("command", choices=["init", "refresh", "download"])
    parser.add_argument("root", nargs="?")
    args = parser.parse_args()
    if args.command == "init":
        shutil.copyfile(args.root, args.metadata_dir / "root.json")
        return 0
    try:
        client = Client(args.metadata_dir, args.metadata_url)
        client.refresh()
        for name in args.target_name:
            client.download(name, args.target_base_url, args.target_dir)
    except (Refused, KeyError, TypeError, AttributeError) as refusal:
        print(f"refused: {refusal}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
