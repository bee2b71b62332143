"""The JSON schemas in docs/schemas: real files pass, broken ones do not."""

import copy
import json
from collections.abc import Callable
from pathlib import Path

import pytest
from jsonschema import Draft202012Validator
from jsonschema.exceptions import ValidationError
from our_repo import PLAIN, RepoTool
from referencing import Registry, Resource

SCHEMAS = Path(__file__).resolve().parents[2] / "docs" / "schemas"
EXAMPLES = SCHEMAS / "examples"
LOADED = {path.name: json.loads(path.read_text()) for path in sorted(SCHEMAS.glob("*.json"))}
REGISTRY = Registry().with_resources(
    (schema["$id"], Resource.from_contents(schema)) for schema in LOADED.values()
)

# The schema of each example.
OF = {
    "root": "root",
    "timestamp": "timestamp",
    "snapshot": "snapshot",
    "image-targets": "targets",
    "director-targets": "targets",
    "ecu-version-report": "ecu-version-report",
    "vehicle-version-manifest": "vehicle-version-manifest",
    "time-attestation": "time-attestation",
    "mapping": "mapping",
    "encryption-key": "encryption-key",
}


def validate(schema: str, value: object) -> None:
    Draft202012Validator(LOADED[f"{schema}.json"], registry=REGISTRY).validate(value)


def example(name: str) -> dict:
    return json.loads((EXAMPLES / f"{name}.json").read_text())


def customs(targets: dict) -> list[dict]:
    return [target["custom"] for target in targets["signed"]["targets"].values()]


def test_the_schemas_are_schemas_and_say_where_they_come_from() -> None:
    assert len(LOADED) == 14
    for name, schema in LOADED.items():
        Draft202012Validator.check_schema(schema)
        assert schema["$id"].endswith(f"/{name}")
        assert schema["description"]


def test_the_examples_are_valid() -> None:
    assert {path.stem for path in EXAMPLES.glob("*.json")} == set(OF)
    for name, schema in OF.items():
        validate(schema, example(name))
    validate("delegations", example("image-targets")["signed"]["delegations"])
    for custom in customs(example("image-targets")):
        validate("image-custom", custom)
    for custom in customs(example("director-targets")):
        validate("director-custom", custom)
        for key in custom["wrappedKeys"].values():
            validate("wrapped-key", key)


def test_what_repo_tool_publishes_is_valid(tool: RepoTool) -> None:
    tool.init()
    for role in ("supplier", "qa", "dev"):
        tool.run("key", "generate", f"file:keys/{role}.pem{PLAIN}")
    key = f"file:keys/supplier.pem{PLAIN}"
    tool.run("delegation", "add", "supplier", "--key", key, "--path", "s/*", "--hardware-id", "h-1")
    keys = [f"{role}=file:keys/{role}.pem{PLAIN}" for role in ("qa", "dev")]
    roles = ("--role", "qa", "--role", "dev", "--key", keys[0], "--key", keys[1])
    tool.run("delegation", "add-multi", "released", *roles, "--min", "2", "--path", "r/*")
    described = ("--hardware-id", "h-1", "--release-counter", "3", "--class", "brake")
    needs = ("--image-version", "1.0", "--dependency", "class=gateway@1..9", "--conflict", "filename=x")
    tool.add("a.img", b"image", *described, *needs)
    tool.add("r/b.img", b"both", "--role", "qa", *described)
    tool.add("r/b.img", b"both", "--role", "dev", *described)
    tool.add("s/c.img", b"plain", "--role", "supplier")
    tool.release()
    checked = set()
    for path in sorted((tool.published / "metadata").glob("*.json")):
        content = json.loads(path.read_text())
        kind = content["signed"]["_type"]
        validate(kind, content)
        checked.add(kind)
        if kind == "targets":
            for target in content["signed"]["targets"].values():
                if "custom" in target:
                    validate("image-custom", target["custom"])
                    checked.add("custom")
    assert checked == {"root", "timestamp", "snapshot", "targets", "custom"}


def at(value: dict, *path: str | int) -> dict:
    for step in path:
        value = value[step]
    return value


def drop(*path: str | int) -> Callable[[dict], object]:
    return lambda value: at(value, *path[:-1]).pop(path[-1])


def put(new: object, *path: str | int) -> Callable[[dict], object]:
    return lambda value: at(value, *path[:-1]).__setitem__(path[-1], new)


ROLES = ("signed", "delegations", "roles")
IMAGE = ("signed", "targets", "brake/3.1.img")
BROKEN = [
    ("root", drop("signatures")),
    ("root", drop("signatures", 0, "sig")),
    ("root", put("xyz", "signatures", 0, "sig")),
    ("root", put("targets", "signed", "_type")),
    ("root", put(0, "signed", "version")),
    ("root", put("1", "signed", "version")),
    ("root", put("2.0", "signed", "spec_version")),
    ("root", put("2031-01-01", "signed", "expires")),
    ("root", drop("signed", "roles", "snapshot")),
    ("root", put(0, "signed", "roles", "root", "threshold")),
    ("root", put(0, "signed", "custom", "timeServer", "threshold")),
    ("root", drop("signed", "custom", "offlineUpdates", "targets")),
    ("timestamp", drop("signed", "meta", "snapshot.json")),
    ("timestamp", put({}, "signed", "meta", "snapshot.json", "hashes")),
    ("timestamp", put("a b", "signed", "custom", "vin")),
    ("snapshot", put(-1, "signed", "meta", "targets.json", "length")),
    ("snapshot", put("", "signed", "custom", "vin")),
    ("image-targets", drop(*IMAGE, "hashes")),
    ("image-targets", put("aa", *IMAGE, "hashes", "sha256")),
    ("image-targets", put([], *ROLES, 0, "hardwareIds")),
    ("image-targets", put("targets", *ROLES, 0, "name")),
    ("image-targets", put(["00"], *ROLES, 0, "path_hash_prefixes")),
    ("image-targets", drop(*ROLES, 0, "keyids")),
    ("image-targets", put(0, *ROLES, 1, "min_roles_in_agreement")),
    ("image-targets", drop(*ROLES, 1, "min_roles_in_agreement")),
    ("image-targets", put(1, *ROLES, 1, "threshold")),
    ("image-targets", put([], *ROLES, 1, "roleinfo")),
    ("image-targets", drop(*ROLES, 1, "roleinfo", 0, "rolename")),
    ("image-targets", put({}, "signed", "delegations", "succinct_roles")),
    ("ecu-version-report", drop("signatures", 0, "method")),
    ("ecu-version-report", drop("signatures", 0, "hash")),
    ("ecu-version-report", put("sha512", "signatures", 0, "hash_function")),
    ("ecu-version-report", put("e 1", "signed", "ecu_serial")),
    ("ecu-version-report", put("41", "signed", "report_counter")),
    ("ecu-version-report", drop("signed", "installed_image")),
    ("ecu-version-report", put("../x", "signed", "installed_image", "filepath")),
    ("ecu-version-report", put(65536, "signed", "attacks_detected", 0, "code")),
    ("ecu-version-report", put("m" * 513, "signed", "outcome", "message")),
    ("ecu-version-report", drop("signed", "latest_time")),
    ("vehicle-version-manifest", drop("signed", "vin")),
    ("vehicle-version-manifest", put({}, "signed", "ecu_version_reports", "brake-0042")),
    ("vehicle-version-manifest", put("ecu-version-report", "signed", "_type")),
    ("time-attestation", put(["00"], "signed", "nonces")),
    ("time-attestation", drop("signed", "time")),
    ("mapping", drop("repositories", "director")),
    ("mapping", put([], "repositories", "image")),
    ("mapping", put([], "mapping")),
    ("mapping", put(0, "mapping", 0, "threshold")),
    ("mapping", put(["image", "image"], "mapping", 0, "repositories")),
    ("encryption-key", put("00", "keyval", "public")),
    ("encryption-key", put("ecdsa", "keytype")),
    ("encryption-key", put("hpke-p256-hkdfsha256-aes256gcm", "scheme")),
]
BROKEN_CUSTOMS = [
    ("image", put([], "hardwareIds")),
    ("image", put(["a", "a"], "hardwareIds")),
    ("image", drop("releaseCounter")),
    ("image", put(-1, "releaseCounter")),
    ("image", put("maybe", "encryption")),
    ("image", put([{}], "dependencies")),
    ("image", put([{"class": "a", "filename": "b"}], "conflicts")),
    ("director", put({}, "ecuIdentifiers")),
    ("director", drop("ecuIdentifiers", "brake-0042", "hardwareId")),
    ("director", drop("encryptedTarget")),
    ("director", drop("wrappedKeys")),
    ("director", put("/x", "encryptedTarget", "filename")),
    ("director", drop("wrappedKeys", "brake-0042", "enc")),
    ("director", put("0", "wrappedKeys", "brake-0042", "ct")),
    *(
        ("director", put("x", name))
        for name in (
            "hardwareIds",
            "version",
            "class",
            "installer",
            "dependencies",
            "conflicts",
            "encryption",
        )
    ),
]


def refuses(schema: str, value: dict, change: Callable[[dict], object]) -> None:
    validate(schema, value)
    broken = copy.deepcopy(value)
    change(broken)
    with pytest.raises(ValidationError):
        validate(schema, broken)


def test_broken_files_are_refused() -> None:
    for number, (name, change) in enumerate(BROKEN):
        try:
            refuses(OF[name], example(name), change)
        except pytest.fail.Exception as missed:
            raise AssertionError(f"case {number} of {name} was not refused") from missed


def test_broken_custom_fields_are_refused() -> None:
    for number, (kind, change) in enumerate(BROKEN_CUSTOMS):
        (custom,) = customs(example(f"{kind}-targets"))
        try:
            refuses(f"{kind}-custom", custom, change)
        except pytest.fail.Exception as missed:
            raise AssertionError(f"case {number} of {kind} was not refused") from missed
