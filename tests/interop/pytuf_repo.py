"""A TUF repository in memory, made with python-tuf's metadata API.

`Repo` publishes metadata under the URL paths a client asks for. Tests edit `repo.root`,
`repo.targets` and so on, then publish: a new version is signed and becomes visible. What is
visible can be served live (see serving.py) or written out with `write_tree`. Nothing stops a
test from publishing something wrong; that is the point.
"""

import hashlib
import json
from datetime import datetime, timedelta, timezone
from pathlib import Path
from urllib.parse import quote, unquote

from securesystemslib.formats import encode_canonical
from securesystemslib.signer import CryptoSigner
from tuf.api.metadata import (
    DelegatedRole,
    Delegations,
    Metadata,
    MetaFile,
    Root,
    Snapshot,
    SuccinctRoles,
    TargetFile,
    Targets,
    Timestamp,
)

import keys

TOP = ("root", "timestamp", "snapshot", "targets")


def in_days(days: float) -> datetime:
    """A moment from now, in whole seconds as TUF writes time."""
    return datetime.now(timezone.utc).replace(microsecond=0) + timedelta(days=days)


class Repo:
    """One repository: what comes next (`md`), who signs (`signers`), what is served (`served`)."""

    def __init__(
        self,
        kind: str = "ed25519",
        consistent_snapshot: bool = True,
        meta_hashes: bool = False,
    ) -> None:
        self.kind = kind
        self.meta_hashes = meta_hashes
        self.signers: dict[str, list[CryptoSigner]] = {}
        self.served: dict[str, bytes] = {}
        self.bytes_of: dict[tuple[str, int], bytes] = {}
        self.files: dict[str, bytes] = {}
        self._keys_used = 0
        self._published: set[str] = set()
        expires = in_days(30)
        self.md: dict[str, Metadata] = {
            "root": Metadata(Root(expires=expires, consistent_snapshot=consistent_snapshot)),
            "timestamp": Metadata(Timestamp(expires=expires)),
            "snapshot": Metadata(Snapshot(expires=expires)),
            "targets": Metadata(Targets(expires=expires)),
        }
        for role in TOP:
            self.add_key(role)
        self.publish("root", "targets", "snapshot", "timestamp")

    # --- What a test edits ---

    @property
    def root(self) -> Root:
        return self.md["root"].signed

    @property
    def timestamp(self) -> Timestamp:
        return self.md["timestamp"].signed

    @property
    def snapshot(self) -> Snapshot:
        return self.md["snapshot"].signed

    @property
    def targets(self) -> Targets:
        return self.md["targets"].signed

    def role(self, name: str) -> Targets:
        """The next version of a targets role, delegated or not."""
        return self.md[name].signed

    def new_signer(self, kind: str | None = None) -> CryptoSigner:
        """A key that this repository has not used yet."""
        self._keys_used += 1
        return keys.signer(kind or self.kind, self._keys_used)

    def add_key(self, role: str, signer: CryptoSigner | None = None) -> CryptoSigner:
        """Lets one more key sign a top-level role, from the next published root on."""
        signer = signer or self.new_signer()
        self.root.add_key(signer.public_key, role)
        self.signers.setdefault(role, []).append(signer)
        return signer

    def rotate(self, role: str) -> None:
        """Replaces all keys of a top-level role by as many new ones as its threshold."""
        for keyid in list(self.root.roles[role].keyids):
            self.root.revoke_key(keyid, role)
        self.signers[role] = []
        for _ in range(self.root.roles[role].threshold):
            self.add_key(role)

    def add_file(self, path: str, content: bytes, role: str = "targets") -> None:
        """Lists a target in `role` and stores its bytes."""
        self.role(role).targets[path] = TargetFile.from_data(path, content, ["sha256", "sha512"])
        self.store_file(path, content)

    def store_file(self, path: str, content: bytes) -> None:
        """Serves bytes for a target under the names its listed hashes give it."""
        self.files[path] = content
        self.served[f"targets/{path}"] = content
        folder, slash, name = path.rpartition("/")
        for digest in self._listed_digests(path):
            self.served[f"targets/{folder}{slash}{digest}.{name}"] = content

    def delegate(
        self,
        parent: str,
        name: str,
        paths: list[str] | None = None,
        hash_prefixes: list[str] | None = None,
        terminating: bool = False,
        expires: datetime | None = None,
        kind: str | None = None,
    ) -> None:
        """Adds a delegation, last in order; makes the delegated role if it is new."""
        if paths is None and hash_prefixes is None:
            paths = ["*"]
        delegator = self.role(parent)
        delegator.delegations = delegator.delegations or Delegations({}, roles={})
        delegator.delegations.roles[name] = DelegatedRole(
            name, [], 1, terminating, paths, hash_prefixes
        )
        signers = self.signers.setdefault(name, [])
        if not signers:
            signers.append(self.new_signer(kind))
        delegator.add_key(signers[0].public_key, name)
        if name not in self.md:
            self.md[name] = Metadata(Targets(expires=expires or in_days(30)))

    def delegate_succinct(self, parent: str, bits: int, prefix: str) -> SuccinctRoles:
        """TAP 15: hands all targets to 2**bits bins."""
        succinct = SuccinctRoles([], 1, bits, prefix)
        self.role(parent).delegations = Delegations({}, None, succinct)
        signer = self.new_signer()
        self.role(parent).add_key(signer.public_key)
        for name in succinct.get_roles():
            self.md[name] = Metadata(Targets(expires=in_days(30)))
            self.signers[name] = [signer]
        return succinct

    # --- Publishing ---

    def publish(self, *roles: str) -> None:
        """Signs and serves the next version of each role, in the order given."""
        for role in roles:
            signed = self.md[role].signed
            if role in self._published:
                signed.version += 1
            self._published.add(role)
            self.publish_as_is(role)

    def publish_as_is(self, role: str, signed: dict | None = None) -> None:
        """Signs and serves a role with the version it has; `signed` replaces the whole payload.

        The payload is signed by this module and not by python-tuf's serializer, so that a test
        can publish what that library would refuse to write.
        """
        payload = signed if signed is not None else self.md[role].signed.to_dict()
        message = encode_canonical(payload).encode()
        signatures = [
            {"keyid": s.public_key.keyid, "sig": s.sign(message).signature}
            for s in self.signers[role]
        ]
        self.publish_bytes(role, payload["version"], _pretty(payload, signatures))

    def publish_bytes(self, role: str, version: int, data: bytes) -> None:
        """Serves bytes as a role's file, and lists them in the role's parent."""
        self.bytes_of[role, version] = data
        name = quote(role, safe="")
        if role == "root" or (self.root.consistent_snapshot and role != "timestamp"):
            self.served[f"metadata/{version}.{name}.json"] = data
        if role != "root":
            self.served[f"metadata/{name}.json"] = data
        meta = MetaFile(version)
        if self.meta_hashes:
            meta = MetaFile(version, len(data), {"sha256": hashlib.sha256(data).hexdigest()})
        if role == "snapshot":
            self.timestamp.snapshot_meta = meta
        elif role not in TOP or role == "targets":
            self.snapshot.meta[f"{role}.json"] = meta

    def publish_targets(self, *delegated: str) -> None:
        """The usual release: delegated roles, targets, snapshot, timestamp."""
        self.publish(*delegated, "targets", "snapshot", "timestamp")

    def trusted_root(self, version: int = 1) -> bytes:
        """The root a client is shipped with."""
        return self.bytes_of["root", version]

    def current(self, role: str) -> bytes:
        """The bytes of the newest published version of a role."""
        return self.bytes_of[role, self.md[role].signed.version]

    def write_tree(self, folder: Path) -> Path:
        """Writes everything that is served as static files: metadata/ and targets/.

        A web server decodes a URL before it looks for the file, so names are written decoded.
        """
        for url, data in self.served.items():
            file = folder / (unquote(url) if url.startswith("metadata/") else url)
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_bytes(data)
        return folder

    def _listed_digests(self, path: str) -> set[str]:
        listed = [
            md.signed.targets[path].hashes.values()
            for md in self.md.values()
            if isinstance(md.signed, Targets) and path in md.signed.targets
        ]
        return {digest for digests in listed for digest in digests}


def _pretty(payload: dict, signatures: list[dict]) -> bytes:
    """Metadata as python-tuf publishes it: indented, so not in canonical form."""
    return json.dumps({"signatures": signatures, "signed": payload}, indent=1).encode()
