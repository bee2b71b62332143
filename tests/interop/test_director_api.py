"""The admin API of a real director: by its own commands, and by requests that schemathesis makes up
from the OpenAPI document that is served."""

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from conftest import binary
from our_director import ECU, IMAGE, VEHICLE, Director
from our_repo import RepoTool

SCOPES = ("read", "vehicles", "assign", "images", "admin")
HARDWARE = ("--hardware-id", "brake-c", "--release-counter", "7")
CHECKS = (
    "not_a_server_error",
    "status_code_conformance",
    "content_type_conformance",
    "response_schema_conformance",
)


@pytest.fixture
def director(tmp_path: Path) -> Iterator[Director]:
    images = RepoTool(binary("repo-tool"), tmp_path / "repository")
    images.init()
    images.add(IMAGE, b"an image" * 1000, *HARDWARE)
    images.add("secret.img", b"a secret" * 1000, *HARDWARE, "--confidential")
    images.release()
    director = Director(binary("director"), tmp_path / "director", images)
    director.run("token", "list")
    director.put_vehicle(VEHICLE, ECU, "brake-c")
    director.start()
    yield director
    assert director.stop() == 0


def test_the_document_says_what_is_so(director: Director) -> None:
    """No made-up request is answered otherwise than the document has it."""
    director.import_root()
    token = director.token("everything", *SCOPES)
    director.ask(token, "image", "add", IMAGE)
    made_up(director, token, "--exclude-operation-id", "revokeToken", "--max-examples", "40")
    # It has not talked to a closed door.
    vehicle = director.ask(token, "vehicle", "history", VEHICLE)
    assert {entry["action"] for entry in vehicle["entries"]} >= {"vehicle.held", "vehicle.released"}
    assert director.ask(token, "log")["entries"]
    # It finds out which tokens there are, so this one is its last.
    token = director.token("last", "admin")
    made_up(director, token, "--include-operation-id", "revokeToken", "--max-examples", "40")


def made_up(director: Director, token: Path, *options: str) -> None:
    """Requests that schemathesis makes up, and its findings."""
    command = [
        sys.executable, "-m", "schemathesis.cli", "run", f"{director.url}v1/openapi.json",
        "--checks", ",".join(CHECKS), "--phases", "examples,coverage,fuzzing",
        "--header", f"Authorization: Bearer {token.read_text().strip()}",
        "--seed", "1", "--continue-on-failure", "--generation-database", "none",
        "--suppress-health-check", "all", "--no-color", *options,
    ]  # fmt: skip
    done = subprocess.run(
        command, cwd=director.folder, capture_output=True, text=True, timeout=300, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_an_image_comes_in_and_is_ordered_by_commands(director: Director) -> None:
    work = director.token("work", "read", "assign", "vehicles", tenant="fleet-a")
    images = director.token("images", "images", "read")

    path = director.images.image(b"a secret" * 1000)
    stored = director.ask(images, "image", "upload", "secret.img", path)
    assert stored["encrypted"] and stored["stored"]
    plain = [file for file in (director.folder / "images").iterdir() if b"a secret" in file.read_bytes()]
    assert not plain
    other = director.images.image(b"another!" * 1001)
    assert director.ask(images, "image", "upload", IMAGE, other, code=1)["name"] == "other-image"
    refused = director.ask(images, "image", "upload", "none.img", other, code=1)
    assert refused["name"] == "image-unknown"
    assert director.ask(work, "image", "upload", IMAGE, path, code=1)["name"] == "scope"
    director.ask(images, "image", "add", IMAGE)
    listed = director.ask(work, "image", "list")["images"]
    assert [image["path"] for image in listed] == [IMAGE, "secret.img"]

    order = ("assign", VEHICLE, f"{ECU}={IMAGE}")
    assert director.ask(work, *order)["parts"][0]["outcome"] == "ordered"
    assert director.ask(work, *order)["parts"][0]["outcome"] == "already-ordered"
    secret = director.ask(work, "assign", VEHICLE, f"{ECU}=secret.img", "--best-effort", code=1)
    assert secret["parts"][0]["refusal"]["code"] == "no-encryption-key"
    shown = director.ask(work, "vehicle", "show", VEHICLE)
    assert shown["ecus"][ECU]["order"]["state"] == "pending"
    assert director.ask(work, "cancel", VEHICLE)["cancelled"] == [ECU]
    history = director.ask(work, "vehicle", "history", VEHICLE)["entries"]
    assert [entry["action"] for entry in history] == ["order.given", "order.cancelled"]


def test_vehicles_are_announced_held_and_released_by_commands(director: Director) -> None:
    work = director.token("work", "read", "vehicles", tenant="fleet-a")
    odd = "A/b?c#d%e&f"
    director.ask(work, "vehicle", "announce", odd)
    assert director.ask(work, "vehicle", "show", odd)["stage"] == "announced"
    announced = director.ask(work, "vehicle", "list", "--stage", "announced")["vehicles"]
    assert [vehicle["vin"] for vehicle in announced] == [odd]
    director.ask(work, "vehicle", "withdraw", odd)
    gone = director.ask(work, "vehicle", "show", odd, code=1)
    assert gone["name"] == "vehicle-unknown"

    assert director.ask(work, "vehicle", "hold", VEHICLE, "squeaks")["held"] == "squeaks"
    assert "held" not in director.ask(work, "vehicle", "release", VEHICLE)
    other = director.token("other", "read", tenant="fleet-b")
    assert director.ask(other, "vehicle", "show", VEHICLE, code=1)["name"] == "vehicle-unknown"
    assert director.ask(other, "vehicle", "list")["vehicles"] == []
    for words in (("replacement", VEHICLE), ("reject", VEHICLE), ("approve", VEHICLE, "00")):
        refused = director.ask(work, "vehicle", *words, code=1)
        assert refused["name"] == "not-found"


def test_tokens_end_at_once(director: Director) -> None:
    admin = director.token("admin", "admin", "read")
    made = director.ask(admin, "token", "create", "ci", "--scope", "read")
    assert made["token"].startswith(f"cst_{made['id']}_")
    env = {
        "COUNTERSIGN_DIRECTOR_URL": director.url,
        "COUNTERSIGN_DIRECTOR_TOKEN": made["token"],
    }
    assert director.run("vehicle", "list", env=env)["vehicles"]
    director.ask(admin, "token", "revoke", made["id"])
    assert director.run("vehicle", "list", env=env, code=1)["name"] == "token"
    tokens = director.ask(admin, "token", "list")["tokens"]
    assert [token["name"] for token in tokens if token.get("revoked")] == ["ci"]
    assert director.run("token", "list")["tokens"][0]["name"] in ("admin", "ci")
    # Without a Root there is something to see to.
    status = director.ask(admin, "status", code=1)
    assert status["name"] == "alarms" and status["alarms"][0]["code"] == "signing"


def test_a_token_is_not_sent_in_the_open(director: Director) -> None:
    token = director.token("t", "read")
    for url in ("http://director.example.com/", "ftp://127.0.0.1/"):
        words = ("vehicle", "list", "--url", url, "--token-file", token)
        assert director.run(*words, code=1)["name"] == "usage"
    nobody = ("vehicle", "list", "--url", "http://127.0.0.1:1/", "--token-file", token)
    assert director.run(*nobody, code=1)["name"] == "unreachable"
    assert director.run("vehicle", "list", "--url", director.url, code=1)["name"] == "token"
