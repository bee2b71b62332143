"""examples/ci: the scripts for real, with keys in tokens, and what the CI files make of them."""

import json
import os
import shutil
import subprocess
from hashlib import sha256
from pathlib import Path

import pytest
import yaml

from our_repo import RepoTool, files_below
from test_repo_tool_tokens import PIN, Tokens

CI = Path(__file__).resolve().parents[2] / "examples" / "ci"
PINS = {"COUNTERSIGN_PIN_RELEASE": PIN, "COUNTERSIGN_PIN_ONLINE": PIN}


class Runner:
    """A CI runner: a repository whose root keys are elsewhere, artifacts, and the scripts."""

    def __init__(self, tool: RepoTool, tokens: Tokens, ceremony: RepoTool, folder: Path) -> None:
        self.tool, self.tokens, self.ceremony = tool, tokens, ceremony
        self.artifacts, self.work = folder / "artifacts", folder / "checkout"
        self.artifacts.mkdir()
        self.work.mkdir()
        self.list = self.work / "release.list"
        self.env = {
            "PATH": f"{tool.binary.parent}:{os.environ['PATH']}",
            "LC_ALL": "C",
            "SOFTHSM2_CONF": tool.env["SOFTHSM2_CONF"],
            "COUNTERSIGN_REPO": str(tool.folder),
            "COUNTERSIGN_ARTIFACTS": str(self.artifacts),
            **PINS,
        }
        tool.env |= PINS

    def artifact(self, file: str, content: bytes) -> str:
        """The line of a release list that adds an artifact as fw/FILE."""
        path = self.artifacts / file
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(content)
        return f"add {sha256(content).hexdigest()} {file} fw/{file}"

    def write(self, *lines: str) -> Path:
        self.list.write_text("# What is released next\n\n" + "\n".join(lines))
        return self.list

    def start(self, script: str, *words: str | Path, days: int = 0) -> subprocess.Popen:
        command = [CI / script, *words]
        if days:
            command = [shutil.which("faketime"), "-f", f"+{days}d", *command]
        return subprocess.Popen(
            [str(word) for word in command], cwd=self.work, env=self.env, text=True,
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        )  # fmt: skip

    def run(self, script: str, *words: str | Path, code: int = 0, days: int = 0) -> str:
        """Runs a script that has to end with an exit code; returns all that it says."""
        return ended(self.start(script, *words, days=days), code)

    def release(self, *lines: str, code: int = 0) -> str:
        return self.run("release.sh", self.write(*lines), code=code)

    def online_keys_replaced(self, token: str) -> list[str | Path]:
        """A new token and a root with its key, as the words that import it."""
        self.tokens.token(token)
        pin = {f"COUNTERSIGN_PIN_{token.upper()}": PIN}
        self.env |= pin
        self.tool.env |= pin
        uri = self.tokens.generate(token, "key", "ecdsa-p256").partition("&pin-source")[0]
        words = []
        for role in ("snapshot", "timestamp"):
            (old,) = self.ceremony.run("root", "show")["roles"][role]["keyids"]
            self.ceremony.run("root", "add-key", role, uri)
            self.ceremony.run("root", "remove-key", role, old)
            words += ["--key", f"{role}={uri}"]
        version = self.ceremony.run("root", "show")["version"]
        self.ceremony.release()
        return ["root", "import", self.ceremony.published / f"metadata/{version}.root.json", *words]

    def signers(self, file: str) -> set[str]:
        return {entry["keyid"] for entry in json.loads(self.tool.metadata(file))["signatures"]}

    def meddle(self, command: str, meddling: str) -> None:
        """From now on, something is done just before each repo-tool command of one kind."""
        shim = self.work / "shim" / "repo-tool"
        shim.parent.mkdir(exist_ok=True)
        shim.write_text(
            f"#!/bin/sh\ncase \"$*\" in *'{command}'*) {meddling} ;; esac\n"
            f"exec '{self.tool.binary}' \"$@\"\n"
        )
        shim.chmod(0o755)
        self.env["PATH"] = f"{shim.parent}:{self.env['PATH']}"

    def refuses(self, says: str, *lines: str) -> None:
        """A release that fails, changes nothing that is published, and names no PIN."""
        before = files_below(self.tool.published)
        said = self.release(*lines, code=1)
        assert says in said
        assert PIN not in said
        assert files_below(self.tool.published) == before

    def names(self) -> list[str]:
        return [target["name"] for target in self.tool.run("target", "list")["targets"]]


def ended(process: subprocess.Popen, code: int) -> str:
    output, errors = process.communicate(timeout=60)
    assert process.returncode == code, f"{process.args}: {process.returncode}\n{output}\n{errors}"
    return output + errors


@pytest.fixture
def runner(tool: RepoTool, tmp_path: Path) -> Runner:
    tokens = Tokens(tool, tmp_path / "hsm")
    elsewhere = RepoTool(tool.binary, tmp_path / "ceremony")
    elsewhere.env = tool.env
    keys = {}
    for token, roles in (("release", ["targets"]), ("online", ["snapshot", "timestamp"])):
        tokens.token(token)
        uri = tokens.generate(token, "key", "ecdsa-p256").partition("&pin-source")[0]
        keys |= dict.fromkeys(roles, uri)
    made = Runner(tool, tokens, elsewhere, tmp_path)
    words = [word for role, uri in keys.items() for word in (f"--{role}-key", uri)]
    elsewhere.run("init", "--root-key", elsewhere.new_key(), *words)
    elsewhere.release()
    tool.run("init", "--root", elsewhere.published / "metadata/1.root.json", *words)
    return made


def test_from_review_to_download_and_renewal(runner: Runner, server, new_client) -> None:
    kernel = runner.artifact("kernel.img", b"one")
    before = files_below(runner.tool.folder)
    review = runner.run("review.sh", runner.write(kernel))
    assert "\n+ target fw/kernel.img: 3 bytes" in review and "~~~~~~~~diff\n" in review
    assert "0 of 1 by" in review and "(pkcs11:token=release;object=key" in review
    assert files_below(runner.tool.folder) == before
    del runner.env["COUNTERSIGN_PIN_ONLINE"]
    runner.release(kernel, code=3)
    runner.env |= PINS
    assert "published timestamp version 1" in runner.release(kernel)

    client = new_client(server.static(runner.tool.published))
    assert client.init(runner.tool.metadata("1.root.json")).ok
    assert client.download("fw/kernel.img").ok
    assert client.downloaded() == [b"one"]
    assert "nothing is staged" in runner.run("review.sh", runner.list)
    assert "nothing to publish" in runner.release(kernel)

    changes = [runner.artifact("sub/app.img", b"two"), "remove fw/kernel.img"]
    review = runner.run("review.sh", runner.write(*changes))
    assert "\n- target fw/kernel.img" in review and "\n+ target fw/sub/app.img" in review
    runner.release(*changes)
    assert client.download("fw/sub/app.img").ok
    assert runner.names() == ["fw/sub/app.img"]
    assert "there is no target fw/kernel.img to remove" in runner.release(*changes)

    assert "nothing is due" in runner.run("refresh.sh")
    assert not client.refresh(days_ahead=3).ok
    assert "published timestamp version" in runner.run("refresh.sh", days=3)
    assert client.refresh(days_ahead=3).ok
    assert "targets 2, expires" in runner.run("refresh.sh", days=85, code=4)


def test_what_is_wrong_is_said_before_anything_is_staged(runner: Runner) -> None:
    good = runner.artifact("a", b"a")
    (runner.work / "outside").write_bytes(b"a")
    outside = f"add {sha256(b'a').hexdigest()} ../checkout/outside x"
    digest = good.split()[1]
    for says, line in (
        ("there is no missing in", f"add {digest} missing fw/a"),
        ("a is not the artifact that was reviewed", f"add {digest[::-1]} a fw/a"),
        ("../checkout/outside is not below", outside),
        (f"{runner.work}/outside is not below", outside.replace("../checkout", str(runner.work))),
        ("'ad' is not known", good.replace("add", "ad")),
        ("write 'add SHA256 FILE NAME'", f"add {digest} a"),
        ("write 'add SHA256 FILE NAME'", f"add {digest.upper()} a fw/a"),
        ("write 'remove NAME'", "remove"),
    ):
        (runner.tool.folder / ".release-lock").touch()
        before = files_below(runner.tool.folder)
        runner.refuses(f"release.list:4: {says}", good, line)
        assert files_below(runner.tool.folder) == before
    runner.list.unlink()
    assert "there is no release list" in runner.run("release.sh", runner.list, code=1)
    for words in ([], ["--request", "x"], ["--attach"], ["--bogus"], ["a", "b"]):
        assert "usage" in runner.run("release.sh", *words, code=2)
    assert "usage" in runner.run("review.sh", code=2)
    assert "usage" in runner.run("refresh.sh", "x", code=2)
    del runner.env["COUNTERSIGN_REPO"]
    assert "COUNTERSIGN_REPO" in runner.run("refresh.sh", code=1)


def test_an_artifact_that_is_swapped_after_the_check_is_not_signed(runner: Runner) -> None:
    runner.release(runner.artifact("a", b"a"))
    path = runner.env["PATH"]
    lines = [runner.artifact("b", b"b"), runner.artifact("kernel.img", b"reviewed")]
    runner.meddle("target add", f"printf evil >'{runner.artifacts}/kernel.img'")
    runner.refuses(f"kernel.img has the SHA-256 {sha256(b'evil').hexdigest()}, not", *lines)
    runner.env["PATH"] = path
    runner.artifact("kernel.img", b"reviewed")
    runner.release(*lines)
    assert runner.names() == ["fw/a", "fw/b", "fw/kernel.img"]
    assert runner.tool.run("verify")["faults"] == []


def test_a_list_that_is_swapped_after_the_check_is_not_read_again(runner: Runner) -> None:
    evil = runner.artifact("evil", b"evil")
    runner.meddle("status", f"printf '\\n{evil}\\n' >>'{runner.list}'")
    runner.release(runner.artifact("a", b"a"))
    assert evil in runner.list.read_text()
    assert runner.names() == ["fw/a"]


def test_a_wrong_pin_leaves_nothing_for_the_next_release(runner: Runner) -> None:
    runner.release(runner.artifact("a", b"a"))
    runner.env["COUNTERSIGN_PIN_RELEASE"] = "a-wrong-one"
    wrong = runner.artifact("wrong", b"wrong")
    runner.refuses("refused the PIN", wrong)
    runner.env |= PINS
    runner.release(runner.artifact("b", b"b"))
    assert runner.names() == ["fw/a", "fw/b"]
    runner.release(wrong)
    assert runner.tool.run("verify")["faults"] == []


def test_what_people_have_staged_is_neither_published_nor_lost(runner: Runner) -> None:
    runner.release(runner.artifact("a", b"a"))
    runner.tool.add("theirs", b"theirs")
    before = files_below(runner.tool.folder)
    runner.refuses("somebody has staged targets", runner.artifact("b", b"b"))
    assert "theirs" not in runner.run("review.sh", runner.list)
    after = files_below(runner.tool.folder)
    assert after.keys() - before.keys() == {".release-lock"} - before.keys()
    runner.tool.release()
    runner.release(runner.artifact("b", b"b"))
    assert runner.names() == ["fw/a", "fw/b", "theirs"]


def test_a_targets_key_that_is_elsewhere(runner: Runner) -> None:
    runner.release(runner.artifact("a", b"a"))
    del runner.env["COUNTERSIGN_PIN_RELEASE"]
    request, answer = runner.work / "request.json", runner.work / "answer.json"
    lines = runner.write(runner.artifact("b", b"b"))
    assert "for keys" in runner.run("release.sh", "--request", request, lines)
    runner.refuses("somebody has staged", runner.artifact("c", b"c"))
    uri = runner.tokens.uri("release", "key")
    runner.tool.run("sign", "--request", request, "--key", uri, "--out", answer)
    assert "published" in runner.run("release.sh", "--attach", answer)
    assert runner.names() == ["fw/a", "fw/b"]


def test_releases_at_the_same_time_come_one_after_the_other(runner: Runner) -> None:
    runner.release(runner.artifact("first", b"first"))
    processes = []
    for number in range(4):
        lines = runner.work / f"list{number}"
        lines.write_text(runner.artifact(f"app{number}", b"app%d" % number) + "\n")
        processes.append(runner.start("release.sh", lines))
        processes.append(runner.start("refresh.sh"))
    for process in processes:
        ended(process, 0)
    assert runner.names() == [*(f"fw/app{number}" for number in range(4)), "fw/first"]
    assert runner.tool.run("verify")["faults"] == []
    runner.env["COUNTERSIGN_LOCK_WAIT"] = "0"
    holder = subprocess.Popen(["flock", runner.tool.folder / ".release-lock", "sleep", "60"])
    try:
        while not subprocess.run(["flock", "-n", runner.tool.folder / ".release-lock", "true"], check=False).returncode:
            pass
        runner.refuses("another release is running", runner.artifact("z", b"z"))
    finally:
        holder.kill()
        holder.wait()


@pytest.mark.parametrize("found_out", ["before the root", "before the root, in steps", "within the hour after it"])
def test_a_stolen_token_signs_nothing_more(runner: Runner, server, new_client, found_out: str) -> None:
    """With --accept-window the new key signs alone, although the old one is there."""
    runner.release(runner.artifact("a", b"a"))
    client = new_client(server.static(runner.tool.published))
    assert client.init(runner.tool.metadata("1.root.json")).ok
    assert client.refresh().ok
    replaced = runner.online_keys_replaced("fresh")
    if found_out == "before the root":
        done = runner.tool.run(*replaced, "--accept-window")
    elif found_out == "before the root, in steps":
        runner.tool.run(*replaced, "--stage")
        signed = runner.tool.run("sign", "--accept-window")["signed"]
        assert {made["role"] for made in signed} == {"snapshot", "timestamp"}
        assert {made["uri"].partition(";")[0] for made in signed} == {"pkcs11:token=fresh"}, signed
        done = runner.tool.run("publish", "--accept-window")
    else:
        runner.tool.run(*replaced)
        assert len(runner.signers("timestamp.json")) == 2
        done = runner.tool.run("refresh", "--force", "--accept-window")
    assert "the outgoing keys did not sign" in done["notes"][0]
    versions = {file["role"]: file["version"] for file in runner.tool.run("status")["published"]}
    roles = runner.tool.run("root", "show")["roles"]
    for role, file in (("timestamp", "timestamp.json"), ("snapshot", f"{versions['snapshot']}.snapshot.json")):
        assert runner.signers(file) == set(roles[role]["keyids"])
    status = runner.tool.run("status")
    assert status["way_over"] == [] and len(status["unneeded_keys"]) == 1
    del runner.env["COUNTERSIGN_PIN_ONLINE"]
    assert client.refresh().ok
    runner.release(runner.artifact("b", b"b"))
    assert "published timestamp version" in runner.run("refresh.sh", days=3)
    assert client.download("fw/b").ok


def test_killed_after_each_command_it_can_be_run_again(runner: Runner, tmp_path: Path) -> None:
    """A repo-tool in its way kills the script: after its first command, its second, and so on."""
    runner.release(runner.artifact("first", b"first"))
    real, path = runner.tool.binary, runner.env["PATH"]
    shim, count = tmp_path / "shim", tmp_path / "count"
    shim.mkdir()
    killer = shim / "repo-tool"
    for at in range(1, 20):
        killer.write_text(
            f"#!/bin/sh\n'{real}' \"$@\"\ncode=$?\necho >>'{count}'\n"
            f"[ $(wc -l <'{count}') != {at} ] || kill -9 0\nexit $code\n"
        )
        killer.chmod(0o755)
        count.write_text("")
        runner.env["PATH"] = f"{shim}:{path}"
        lines = [runner.artifact("first", b"of round %d" % at), runner.artifact(f"app{at}", b"x"),
                 f"remove fw/app{at - 1}"]  # fmt: skip
        process = subprocess.Popen(
            [CI / "release.sh", runner.write(*lines)], cwd=runner.work, env=runner.env,
            start_new_session=True, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )  # fmt: skip
        killed = process.wait(timeout=60) == -9
        runner.env["PATH"] = path
        runner.release(*lines)
        assert runner.names() == [f"fw/app{at}", "fw/first"]
        assert runner.tool.run("verify")["faults"] == []
        if not killed:
            break
    assert 6 < at < 19


def commands() -> list[tuple[str, str]]:
    """Each command line of the CI files with the file that it is in."""
    found = []
    for file in sorted((CI / "github").glob("*.yml")):
        for job in yaml.safe_load(file.read_text())["jobs"].values():
            for step in job["steps"]:
                found += [(file.name, line) for line in step.get("run", "").splitlines()]
    gitlab = yaml.safe_load((CI / "gitlab/.gitlab-ci.yml").read_text())
    for job in gitlab.values():
        if isinstance(job, dict) and "script" in job:
            found += [(".gitlab-ci.yml", line) for line in job["script"]]
    return found


def test_the_ci_files_call_these_scripts_and_nothing_else() -> None:
    found = commands()
    for script in ("review.sh", "release.sh", "refresh.sh"):
        assert os.access(CI / script, os.X_OK)
        calls = [(file, line) for file, line in found if line.startswith(f"examples/ci/{script}")]
        assert len(calls) == 2, f"{script}: once on GitHub, once on GitLab: {calls}"
        found = [entry for entry in found if entry not in calls]
    assert [line.split()[:2] for _, line in found] == [["cat", "review.md"], ["gh", "pr"]]
    assert not any("secrets." in line or "COUNTERSIGN_PIN" in line for _, line in commands())


def test_the_ci_files_give_each_job_what_it_needs_and_no_more() -> None:
    for file in (CI / "github").glob("*.yml"):
        workflow = yaml.safe_load(file.read_text())
        assert workflow["permissions"]["contents"] == "read"
        (job,) = workflow["jobs"].values()
        actions = [step["uses"] for step in job["steps"] if "uses" in step]
        for action in actions:
            name, _, commit = action.partition("@")
            assert name == "actions/checkout" and len(commit) == 40 and int(commit, 16)
        pins = "COUNTERSIGN_PIN" in file.read_text()
        assert pins == (file.name != "review.yml") == ("environment" in job)
        assert pins == ("concurrency" in workflow)
        assert not pins or workflow["concurrency"]["cancel-in-progress"] is False
    gitlab = yaml.safe_load((CI / "gitlab/.gitlab-ci.yml").read_text())
    for name in ("release", "refresh"):
        assert gitlab[name]["resource_group"] == f"countersign-{name}"
        assert "CI_COMMIT_REF_PROTECTED" in gitlab[name]["rules"][0]["if"]
    assert "environment" not in gitlab["review"]


def test_the_scripts_are_sound() -> None:
    for script in sorted(CI.glob("*.sh")):
        subprocess.run(["bash", "-n", script], check=True)
        assert "set -x" not in script.read_text()
    if shutil.which("shellcheck"):
        subprocess.run(["shellcheck", "-x", *CI.glob("*.sh")], cwd=CI.parents[1], check=True)
