#!/usr/bin/env python3
"""A TUF client of some 160 lines of code, written from test-vectors/README.md alone.

It shows that the page says enough: `make test` puts it through the vectors of the top-level roles. It knows Ed25519
and no delegations, and is for reading, not for use.
"""

import argparse
import hashlib
import json
import sys
import time
import urllib.error
import urllib.parse
import urllib.request
from pathlib import Path

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

MOST = {"root": 512_000, "timestamp": 16_384, "snapshot": 2_000_000, "targets": 5_000_000}


class Refused(Exception):
    """What the client says when it does not believe."""


def need(holds, why):
    if not holds:
        raise Refused(why)


def parse(data):
    """Strict JSON: no member twice, no fractions."""

    def unique(pairs):
        need(len(dict(pairs)) == len(pairs), "a member stands there twice")
        return dict(pairs)

    def refuse(text):
        raise Refused(f"{text} is no integer")

    try:
        return json.loads(data.decode(), object_pairs_hook=unique, parse_float=refuse, parse_constant=refuse)
    except (ValueError, RecursionError) as error:
        raise Refused(f"no JSON: {error}") from error


def canonical(value):
    """What is signed, as text."""
    if isinstance(value, dict):
        return "{" + ",".join(canonical(name) + ":" + canonical(value[name]) for name in sorted(value)) + "}"
    if isinstance(value, list):
        return "[" + ",".join(map(canonical, value)) + "]"
    if isinstance(value, str):
        return '"' + value.replace("\\", "\\\\").replace('"', '\\"') + '"'
    return json.dumps(value)


def verify(document, root, role):
    """A threshold of different keys of `role`, as `root` lists them, has signed."""
    rule, payload, signed_by = root["roles"][role], canonical(document["signed"]).encode(), set()
    signatures = {entry["keyid"]: entry["sig"] for entry in document["signatures"]}
    need(len(signatures) == len(document["signatures"]), "a key identifier stands there twice")
    for keyid in signatures.keys() & root["keys"].keys() & set(rule["keyids"]):
        key = root["keys"][keyid]
        try:
            need(key["scheme"] == "ed25519", "a kind of key that is not known here")
            public = bytes.fromhex(key["keyval"]["public"])
            Ed25519PublicKey.from_public_bytes(public).verify(bytes.fromhex(signatures[keyid]), payload)
            signed_by.add(public)
        except (InvalidSignature, Refused, ValueError):
            continue
    need(len(signed_by) >= rule["threshold"], f"{role}: too few signatures")


def load(data, role, root):
    """What is signed in a file that is what it says, and signed as it has to be."""
    document = parse(data)
    signed = document["signed"]
    need(signed["_type"] == role, f"{role} is something else")
    need(signed["spec_version"].split(".")[0] == "1", "another specification")
    need(isinstance(signed["version"], int) and signed["version"] >= 1, "no version")
    verify(document, root, role)
    return signed


def check_listed(data, entry):
    """Length and hashes are as the file before lists them."""
    need(len(data) == entry.get("length", len(data)), "another length")
    known = entry.get("hashes", {}).keys() & {"sha256", "sha512"}
    need(known or "hashes" not in entry, "no hash that is known here")
    for function in known:
        need(hashlib.new(function, data).hexdigest() == entry["hashes"][function], "another hash")


def fetch(base, name, most):
    """At most `most` bytes; None if it is not there."""
    try:
        with urllib.request.urlopen(f"{base.rstrip('/')}/{name}", timeout=30) as answer:
            data = answer.read(most + 1)
    except urllib.error.HTTPError as error:
        need(error.code in (403, 404), f"{name}: {error.code}")
        return None
    need(len(data) <= most, f"{name} is too long")
    return data


class Client:
    def __init__(self, folder, url):
        self.folder, self.url, self.now = folder, url, time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())

    def path(self, role):
        return self.folder / f"{role}.json"

    def kept(self, role):
        """What is trusted since an earlier run, if there is any."""
        return parse(self.path(role).read_bytes())["signed"] if self.path(role).exists() else None

    def check_fresh(self, signed):
        need(self.now < signed["expires"], f"{signed['_type']} has expired")

    def refresh(self):
        self.refresh_root()
        timestamp = self.refresh_timestamp()
        snapshot = self.follow("snapshot", timestamp["meta"]["snapshot.json"])
        self.targets = self.follow("targets", snapshot["meta"]["targets.json"])

    def refresh_root(self):
        before = root = load(self.path("root").read_bytes(), "root", self.kept("root"))
        while (data := fetch(self.url, f"{root['version'] + 1}.root.json", MOST["root"])) is not None:
            following = load(data, "root", root)
            verify(parse(data), following, "root")
            need(following["version"] == root["version"] + 1, "root: not the next version")
            root = following
            self.path("root").write_bytes(data)
        self.check_fresh(root)
        if any(before["roles"][role] != root["roles"][role] for role in ("timestamp", "snapshot")):
            # What the former keys have signed is no floor any more (5.3.11).
            self.path("timestamp").unlink(missing_ok=True)
            self.path("snapshot").unlink(missing_ok=True)
        self.root = root

    def refresh_timestamp(self):
        data, last = fetch(self.url, "timestamp.json", MOST["timestamp"]), self.kept("timestamp")
        need(data is not None, "there is no timestamp")
        timestamp = load(data, "timestamp", self.root)
        versions = timestamp["version"], timestamp["meta"]["snapshot.json"]["version"]
        floors = (last["version"], last["meta"]["snapshot.json"]["version"]) if last else (1, 1)
        rises = (isinstance(version, int) and version >= floor for version, floor in zip(versions, floors))
        need(all(rises), "timestamp goes back")
        if last and last["version"] == timestamp["version"]:
            self.check_fresh(last)
            return last
        self.check_fresh(timestamp)
        self.path("timestamp").write_bytes(data)
        return timestamp

    def follow(self, role, entry):
        """Snapshot or Targets, as the file before lists it: what is there already, or what is served."""

        def check(data):
            check_listed(data, entry)
            signed = load(data, role, self.root)
            need(signed["version"] == entry["version"], f"{role} has another version than is listed")
            self.check_fresh(signed)
            return signed

        try:
            return check(self.path(role).read_bytes())
        except (Refused, FileNotFoundError):
            prefix = f"{entry['version']}." if self.root["consistent_snapshot"] else ""
        data = fetch(self.url, f"{prefix}{role}.json", entry.get("length", MOST[role]))
        need(data is not None, f"there is no {role}")
        signed, last = check(data), self.kept(role)
        for name, known in last["meta"].items() if role == "snapshot" and last else ():
            need(name in signed["meta"], f"{name} is not listed any more")
            need(signed["meta"][name]["version"] >= known["version"], f"{name} goes back")
        self.path(role).write_bytes(data)
        return signed

    def download(self, name, base, folder):
        entry = self.targets["targets"].get(name)
        need(entry, f"nobody lists {name}")
        directory, slash, last = name.rpartition("/")
        digest = entry["hashes"].get("sha256") or entry["hashes"]["sha512"]
        path = f"{directory}{slash}{digest}.{last}" if self.root["consistent_snapshot"] else name
        data = fetch(base, urllib.parse.quote(path), entry["length"])
        need(data is not None, f"{name} is not there")
        check_listed(data, entry)
        (folder / urllib.parse.quote(name, safe="")).write_bytes(data)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--metadata-dir", type=Path)
    parser.add_argument("--metadata-url")
    parser.add_argument("--target-base-url")
    parser.add_argument("--target-dir", type=Path)
    parser.add_argument("--target-name", action="append", default=[])
    parser.add_argument("command", choices=["init", "refresh", "download"])
    parser.add_argument("root", nargs="?", type=Path)
    args = parser.parse_args()
    if args.command == "init":
        (args.metadata_dir / "root.json").write_bytes(args.root.read_bytes())
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
