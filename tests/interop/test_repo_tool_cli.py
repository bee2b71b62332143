"""repo-tool in a CI job: one JSON object for each command, exit codes, and nothing half-done."""

import os
import subprocess

import pytest

from our_repo import PLAIN, RepoTool, files_below, openssl_key

KEY = "file:keys/key1.pem" + PLAIN


@pytest.fixture
def started(tool: RepoTool) -> RepoTool:
    """One release published, a second one staged and not signed."""
    tool.init()
    tool.add("a", b"image")
    tool.release()
    tool.add("b", b"second")
    return tool


def test_every_command_prints_one_object(tool: RepoTool) -> None:
    keys = tool.init()
    tool.run("delegation", "add", "team", "--key", keys["targets"], "--path", "team/*")
    tool.run("delegation", "set", "team", "--path", "team/*", "--path", "more/*")
    assert len(tool.run("delegation", "list")["delegations"]) == 1
    tool.add("team/x", b"image", "--role", "team")
    tool.add("secret", b"hidden", "--confidential")
    assert [t["name"] for t in tool.run("target", "list")["targets"]] == ["secret", "team/x"]
    assert tool.run("target", "show", "secret")["confidential"]
    assert {role["role"] for role in tool.run("diff")["roles"]} == {"root", "targets", "team"}
    assert tool.fails(3, "publish")["name"] == "incomplete"
    assert tool.run("sign")["complete"]
    assert tool.run("publish")["changed"]
    assert tool.run("publish")["changed"] is False
    assert tool.run("refresh")["changed"] is False
    assert tool.run("refresh", "--force")["changed"]
    assert tool.run("verify")["faults"] == []
    assert tool.run("root", "show")["version"] == 1
    tool.run("root", "set-expiry", "30d")
    tool.run("root", "add-key", "root", tool.new_key())
    tool.run("renew", "targets", "team")
    tool.run("bins", "2", "--from", "team", "--key", keys["targets"])
    assert {r["role"] for r in tool.run("status")["staged"]} >= {"root", "targets", "team"}
    tool.run("target", "remove", "secret")
    assert tool.run("discard")["discarded"]
    assert tool.run("status")["staged"] == []
    assert len(tool.run("key", "list")["keys"]) >= 4
    public = tool.folder / "public.json"
    tool.run("key", "show", keys["root"], "--public-out", public)
    tool.run("key", "import", public, "--name", "other")
    tool.run("delegation", "remove", "team")
    tool.release()
    assert list((tool.published / "targets").glob("*secret*")) == []


def test_signatures_travel_without_a_prompt(started: RepoTool) -> None:
    request, answer = started.image(b"", "request.json"), started.image(b"", "answer.json")
    request.unlink()
    answer.unlink()
    assert len(started.run("request", "--out", request)["payloads"]) == 1
    key = started.folder / "keys/key2.pem"
    uri = f"file:{key}"
    assert started.run("sign", "--request", request, "--key", uri, "--out", answer)["signatures"] == 1
    assert started.fails(3, "publish")["name"] == "incomplete"
    assert len(started.run("attach", answer)["attached"]) == 1
    assert started.run("publish")["changed"]


def test_nothing_is_printed_that_a_terminal_would_obey(started: RepoTool) -> None:
    """What others named: files on a stick, and what is in them."""
    hostile = "x\x1b[2J\u202egnp.json"
    request = started.folder / hostile
    request.write_text('{"format": "' + "\\u001b[2J\\u202e" + '"}')
    for words in (["attach", request], ["sign", "--request", request], ["attach", request, "--no-such"]):
        for form in ("text", "json"):
            done = subprocess.run(
                [started.binary, "--repo", started.folder, "--no-prompt", "--format", form, *words],
                capture_output=True, text=True, check=False,
            )  # fmt: skip
            shown = done.stdout + done.stderr
            assert done.returncode in (1, 2) and ("gnp.json" in shown or "no-such" in shown), shown
            assert "\x1b" not in shown and "\u202e" not in shown, repr(shown)


def test_closed_standard_streams_do_no_harm(started: RepoTool) -> None:
    """Started by something that closed all three of them, the exit code still tells."""
    for words, code in ((["sign"], 0), (["publish"], 0), (["target", "show", "no"], 1)):
        command = ["sh", "-c", 'exec "$@" <&- >&- 2>&-', "sh", started.binary, "--repo",
                   started.folder, "--format", "json", *words]  # fmt: skip
        done = subprocess.run(command, env=started.env, timeout=60, check=False)
        assert done.returncode == code, words
    assert started.run("status")["staged"] == []


def test_no_prompt_means_none_even_at_a_terminal(tool: RepoTool) -> None:
    """Without the option it asks, which shows that the terminal of this test is one."""
    for options, asks in (["--no-prompt"], False), ([], True):
        ours, its = os.openpty()
        command = [tool.binary, "--repo", tool.folder, *options, "key", "generate", "file:k.pem"]
        process = subprocess.Popen(
            ["setsid", "--ctty", "--wait", *command],
            stdin=its,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            env=tool.env,
        )
        os.close(its)
        if asks:
            assert b"passphrase" in os.read(ours, 100)
            process.kill()
            process.communicate()
        else:
            _, errors = process.communicate(timeout=20)
            assert (process.returncode, b"COUNTERSIGN_PASSPHRASE" in errors) == (1, True), errors
        os.close(ours)
    assert files_below(tool.folder) == {}


@pytest.mark.parametrize(
    ("code", "name", "words"),
    [
        (1, "unsafe-name", ["target", "add", "FILE", "--name", "../x"]),
        (1, "unsafe-name", ["target", "add", "FILE", "--name", "/x"]),
        (1, "unsafe-name", ["target", "add", "FILE", "--name", "a//b"]),
        (1, "unsafe-name", ["target", "add", "FILE", "--name", "x", "--prefix", "../"]),
        (1, "not-nfc", ["target", "add", "FILE", "--name", "a\u0301"]),
        (1, "name-too-long", ["target", "add", "FILE", "--name", "x" * 127]),
        (1, "no-such-role", ["target", "add", "FILE", "--role", "nobody"]),
        (1, "io", ["target", "add", "/nonexistent/image"]),
        (1, "not-a-file", ["target", "add", "/dev/zero"]),
        (1, "custom", ["target", "add", "FILE", "--custom", "FILE"]),
        (1, "no-such-target", ["target", "remove", "nothing"]),
        (1, "no-such-target", ["target", "show", "nothing"]),
        (1, "role-name", ["delegation", "add", "../x", "--key", KEY, "--path", "*"]),
        (1, "role-name", ["delegation", "add", "root", "--key", KEY, "--path", "*"]),
        (1, "key", ["delegation", "add", "x", "--key", "file:keys/none.pem", "--path", "*"]),
        (1, "no-such-role", ["delegation", "remove", "nobody"]),
        (1, "delegation", ["bins", "3", "--key", KEY]),
        (1, "key", ["key", "generate", KEY]),
        (1, "key", ["key", "generate", "file:keys/new.pem"]),
        (1, "key", ["key", "generate", "file:keys/rsa.pem", "--algorithm", "rsa-2048"]),
        (1, "key", ["key", "show", "yubihsm:1"]),
        (1, "io", ["key", "import", "/nonexistent/key"]),
        (1, "public-key", ["key", "import", "FILE"]),
        (1, "key", ["root", "add-key", "root", "file:keys/none.pem"]),
        (1, "key-id", ["root", "remove-key", "root", "zz"]),
        (1, "threshold-unreachable", ["root", "set-threshold", "targets", "2"]),
        (2, "usage", ["root", "set-threshold", "targets", "0"]),
        (2, "usage", ["root", "set-expiry", "2001-01-01T00:00:00Z"]),
        (1, "metadata", ["root", "import", "FILE"]),
        (1, "root-import", ["root", "import", "ROOT"]),
        (1, "not-staged", ["request", "--out", "/nonexistent/request", "nobody"]),
        (1, "exchange", ["attach", "FILE"]),
        (2, "usage", ["renew", "timestamp"]),
        (2, "usage", ["verify", "/nonexistent"]),
        (1, "already-exists", ["init"]),
        (3, "incomplete", ["publish"]),
    ],
)
def test_a_refusal_changes_nothing(
    started: RepoTool, code: int, name: str, words: list[str]
) -> None:
    places = {
        "FILE": started.image(b"no JSON, no key, no root"),
        "ROOT": started.published / "metadata" / "1.root.json",
    }
    # Makes the drafts that even a refused publish would make.
    started.fails(1, "sign", "--key", KEY)
    message = started.refuses(name, *(places.get(word, word) for word in words), code=code)
    assert len(message) > 20, message


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        ("consistent_snapshot", "consistent_snapshots", "consistent_snapshots"),
        ("threshold", "treshold", "treshold"),
        ("threshold = 1", "threshold = 9", "threshold is 9"),
        ("threshold = 1", "threshold = 0", "at least 1"),
        ("threshold = 1", "threshold = -1", "-1"),
        ('"365d"', '"soon"', "365d"),
        ('"published"', '""', "destination"),
        ("[roles.root]", "[roles.root", "line"),
        ("[roles.snapshot]", "[roles.mirrors]", "mirrors"),
    ],
)
def test_a_wrong_repo_toml_is_refused_by_every_command(
    started: RepoTool, old: str, new: str, says: str
) -> None:
    policy = started.folder / "repo.toml"
    text = policy.read_text()
    assert old in text
    policy.write_text(text.replace(old, new, 1))
    for words in (["status"], ["sign"], ["publish"], ["refresh"], ["target", "list"], ["verify"]):
        assert says in started.refuses("policy", *words)
    policy.write_text(text)
    assert started.release()["changed"]


def test_no_repository(tool: RepoTool) -> None:
    for words in (["status"], ["sign"], ["publish"], ["refresh"], ["target", "list"]):
        assert "repo-tool init" in tool.refuses("not-a-repository", *words)


def test_init_that_fails_leaves_no_repository(tool: RepoTool) -> None:
    words = [w for role in ("root", "targets", "snapshot", "timestamp") for w in (f"--{role}-key", KEY)]
    tool.fails(1, "init", *words)
    assert set(files_below(tool.folder)) <= {"state/keys.json"}
    tool.fails(1, "init", *words, "--root-threshold", "2")
    tool.run("init", *words, "--generate", "ed25519")
    assert tool.release()["changed"]


def test_a_missing_key_is_named_and_its_return_completes(started: RepoTool) -> None:
    key = started.folder / "keys/key2.pem"
    aside = key.rename(key.with_suffix(".aside"))
    signed = started.run("sign")
    assert (signed["complete"], signed["signed"]) == (False, [])
    assert "key2.pem" in signed["unreachable"][0]["why"]
    before = files_below(started.published)
    error = started.fails(3, "publish")
    assert error["name"] == "incomplete" and "key2.pem" in error["message"]
    assert files_below(started.published) == before
    aside.rename(key)
    assert started.release()["changed"]


def test_keys_that_cannot_be_used(started: RepoTool) -> None:
    """Each stops 'sign', which says why, and the public tree stays as it is."""
    key = started.folder / "keys/key2.pem"
    good = key.read_bytes()
    p521 = ["openssl", "genpkey", "-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-521"]
    small = ["openssl", "genpkey", "-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:1024"]
    x448 = ["openssl", "genpkey", "-algorithm", "X448"]
    x25519 = ["openssl", "genpkey", "-algorithm", "X25519"]
    cases = {
        "P-256": subprocess.run(p521, capture_output=True, check=True).stdout,
        "2048": subprocess.run(small, capture_output=True, check=True).stdout,
        "Ed25519": subprocess.run(x448, capture_output=True, check=True).stdout,
        "decrypt": subprocess.run(x25519, capture_output=True, check=True).stdout,
        "not a usable key file": b"-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n",
        "does not start as PEM": b"",
    }
    before = files_below(started.published)
    for says, pem in cases.items():
        key.write_bytes(pem)
        error = started.fails(1, "sign")
        assert error["name"] == "key" and says in error["message"], error
        assert started.fails(3, "publish")["name"] == "incomplete"
    key.write_bytes(good)
    key.chmod(0o644)
    assert "chmod 600" in started.fails(1, "sign")["message"]
    key.chmod(0o600)
    key.write_bytes(openssl_key("ed25519", 99))
    assert "another key" in str(started.run("sign")["unreachable"])
    assert files_below(started.published) == before
    key.write_bytes(good)
    assert started.release()["changed"]


def test_passphrases_come_from_the_environment_or_a_file(tool: RepoTool) -> None:
    tool.env["COUNTERSIGN_PASSPHRASE"] = "right"
    uri = "file:keys/locked.pem"
    tool.run("key", "generate", uri)
    del tool.env["COUNTERSIGN_PASSPHRASE"]
    assert "COUNTERSIGN_PASSPHRASE_LOCKED" in tool.refuses("key", "key", "show", uri)
    for variable in ("COUNTERSIGN_PASSPHRASE", "COUNTERSIGN_PASSPHRASE_LOCKED"):
        tool.env[variable] = "wrong"
        message = tool.refuses("key", "key", "show", uri)
        assert "passphrase is wrong" in message and "right" not in message
    tool.env["COUNTERSIGN_PASSPHRASE_LOCKED"] = "right"
    shown = tool.run("key", "show", uri)
    file = tool.image(b"right\n", "passphrase")
    file.chmod(0o600)
    del tool.env["COUNTERSIGN_PASSPHRASE_LOCKED"]
    assert tool.run("key", "show", f"{uri}?passphrase-file={file}")["keyid"] == shown["keyid"]
    file.chmod(0o640)
    assert "chmod 600" in tool.refuses("key", "key", "show", f"{uri}?passphrase-file={file}")


def test_a_wrong_passphrase_signs_nothing(tool: RepoTool) -> None:
    tool.env["COUNTERSIGN_PASSPHRASE"] = "right"
    online, locked = tool.new_key(), "file:keys/locked.pem"
    tool.run("key", "generate", locked)
    tool.run("init", "--root-key", locked, "--targets-key", locked,
             "--snapshot-key", online, "--timestamp-key", online)  # fmt: skip
    tool.env["COUNTERSIGN_PASSPHRASE"] = "wrong"
    assert "locked.pem" in tool.refuses("key", "sign")
    assert tool.fails(3, "publish")["name"] == "incomplete"
    assert not tool.published.exists()
    tool.env["COUNTERSIGN_PASSPHRASE"] = "right"
    assert tool.release()["changed"]


def test_a_vanished_image_is_not_published(started: RepoTool) -> None:
    started.run("sign")
    (staged,) = (started.folder / "staged/images").iterdir()
    content = staged.read_bytes()
    staged.unlink()
    assert "target add" in started.refuses("image-missing", "publish")
    staged.write_bytes(b"third!")
    assert "target add" in started.refuses("image-differs", "publish")
    started.add("b", content)
    assert started.release()["changed"]
    assert started.run("verify")["faults"] == []


def test_expired_roles_are_named_with_the_way_out(started: RepoTool) -> None:
    started.run("sign")
    started.days_ahead = 100  # Past all but root.
    before = files_below(started.published)
    error = started.fails(1, "publish")
    assert error["name"] == "expired" and "renew targets" in error["message"]
    assert files_below(started.published) == before
    assert "timestamp" in str(started.fails(1, "verify")["faults"])
    started.run("renew", "targets")
    assert started.release()["changed"]
    assert started.run("verify")["faults"] == []
    started.days_ahead = 110
    assert {f["role"] for f in started.run("refresh")["published"]} >= {"timestamp"}


def test_an_expired_root_can_be_replaced(started: RepoTool) -> None:
    """TUF 5.3.10 checks the date of the last root only, so clients accept the next one."""
    started.release()
    started.days_ahead = 400
    started.run("root", "set-expiry", "365d")
    started.run("renew", "targets")
    assert started.release()["changed"]
    assert started.run("verify")["faults"] == []


@pytest.mark.parametrize("key", ["file:keys/none.pem", "keys/key2.pem", "file:keys/key1.pem"])
def test_a_named_key_that_does_not_sign_is_an_error(started: RepoTool, key: str) -> None:
    """A key that is missing, no key URI at all, and one that has no role in what is staged."""
    assert started.fails(1, "sign", "--key", key)["message"]


def test_a_named_key_is_known_by_every_spelling(started: RepoTool) -> None:
    signed = started.run("sign", "--key", f"file:{started.folder}/keys/key2.pem")["signed"]
    assert [made["role"] for made in signed] == ["targets"]


@pytest.mark.parametrize("role", ["nobody", "../../evil", ""])
def test_only_roles_that_exist_are_renewed(started: RepoTool, role: str) -> None:
    started.fails(1, "renew", role)


@pytest.mark.parametrize("words", [["nonsense"], ["status", "--bogus"], ["bins", "two"], []])
def test_wrong_usage_is_an_object_too(tool: RepoTool, words: list[str]) -> None:
    assert tool.fails(2, *words)["name"] == "usage"


@pytest.mark.parametrize("words", [["nonsense"], ["status", "--bogus"], ["bins", "two"], []])
def test_wrong_usage_is_exit_code_2(tool: RepoTool, words: list[str]) -> None:
    process = tool.start(*words)
    _, errors = process.communicate(timeout=60)
    assert process.returncode == 2
    assert b"panicked" not in errors
