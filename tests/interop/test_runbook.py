"""The rehearsal of the runbook and the auditor's check, as the documents have them."""

import hashlib
import os
import re
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path

import pytest

from conftest import WORKSPACE, binary
from test_repo_tool_tokens import module

DOCS = WORKSPACE / "docs"
EXAMPLES = WORKSPACE / "key-ceremony" / "examples"


def blocks(document: str, heading: str, language: str) -> list[str]:
    """The code blocks of a language in the section below a heading."""
    text = (DOCS / document).read_text()
    _, found, rest = text.partition(f"\n## {heading}\n")
    assert found, f"{document} has no section {heading!r}"
    section = rest.partition("\n## ")[0]
    code = re.findall(rf"^```{language}\n(.*?)^```$", section, re.MULTILINE | re.DOTALL)
    assert code, f"{heading!r} of {document} has no {language} block"
    return code


def shell(code: str, folder: Path) -> str:
    """Runs a script as a person would paste it, except that it stops at the first failure."""
    tools = os.pathsep.join([str(binary("key-ceremony").parent), os.environ["PATH"]])
    place = f"COUNTERSIGN_PKCS11_MODULE={module()}"
    code = re.sub(r"COUNTERSIGN_PKCS11_MODULE=\S+", place, code)
    done = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", code],
        cwd=folder,
        env={"PATH": tools, "LC_ALL": "C"},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stdout
    return done.stdout


@pytest.fixture(scope="module")
def rehearsed(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    """The folder in which the rehearsal was pasted, and what it printed."""
    folder = tmp_path_factory.mktemp("rehearsal")
    return folder, shell("\n".join(blocks("ceremony-runbook.md", "Rehearsal", "sh")), folder)


def test_the_rehearsal_can_be_pasted(rehearsed: tuple[Path, str]) -> None:
    folder, printed = rehearsed
    assert (folder / "profile.toml").read_text() == (EXAMPLES / "profile.toml").read_text()
    assert printed.count("verified: Example Motors, image repository") == 2
    # The seal below the threshold, the two for which nobody vouches yet, and the forged transcript.
    assert printed.count("must vouch for the transcript") == 2
    assert re.search(r"ben \(key [0-9a-f]{8}\).*\nexit code 3\n", printed)
    assert re.search(r"line 1 of the transcript: .*\nexit code 1\n", printed)
    assert (folder / "repository/published/metadata/2.root.json").is_file()


class Report(HTMLParser):
    """A report as a browser's parser sees it: well nested, nothing loaded; and its text."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.text = ""
        self.open: list[str] = []
        self.feed(page)
        self.close()
        assert not self.open

    def handle_starttag(self, tag: str, attrs: list) -> None:
        assert tag not in ("script", "link", "img", "iframe") and not dict(attrs).keys() & {"src", "href"}
        if tag != "meta":
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text += f"{data} "


def test_the_report_tells_of_a_rotation(rehearsed: tuple[Path, str]) -> None:
    folder, printed = rehearsed
    [words] = re.findall(r"^  root 2: ([a-z ]+)$", printed, re.MULTILINE)
    text = re.sub(r"\s+", " ", Report((folder / "ceremony-2/report.html").read_text()).text)
    assert " ".join(f"{n} {word}" for n, word in enumerate(words.split(), 1)) in text
    for fact in ("What changed from root 1 to root 2", "gains dora ecdsa-sha2-nistp256",
                 "loses chris ecdsa-sha2-nistp384", "keeps ben ed25519", "Dora Diaz, quality",
                 "made there, and cannot leave it", "No finding of the policy was overridden"):  # fmt: skip
        assert fact in text, fact
    for file in ("1.root.json", "2.root.json"):
        place = folder / ("ceremony" if file.startswith("1") else "ceremony-2") / file
        assert hashlib.sha256(place.read_bytes()).hexdigest() in text


def test_the_runbook_knows_every_error() -> None:
    source = (WORKSPACE / "key-ceremony/src/error.rs").read_text()
    names = re.findall(r'Self::\w+(?:\(_\)| \{ \.\. \}) => "([a-z-]+)"', source)
    assert len(names) > 12
    for name in names:
        assert f"| `{name}` |" in (DOCS / "ceremony-runbook.md").read_text(), name


def test_the_runbook_knows_whatever_the_policy_refuses() -> None:
    folder = WORKSPACE / "key-ceremony/src"
    policy = (folder / "policy.rs").read_text()
    [acceptable] = re.findall(r"ACCEPTABLE: [^=]*= \[(.*?)\];", policy, re.DOTALL)
    names = set(re.findall(r'"([a-z-]+)"', acceptable))
    parts = "".join(part.read_text() for part in (folder / "policy").glob("*.rs"))
    refused = set(re.findall(r'\.refuse\(\s*"([a-z-]+)"', parts))
    refused |= set(re.findall(r'name: "([a-z-]+)"\.into\(\),\s*weight: Weight::Refuse', parts))
    weaknesses = (WORKSPACE / "signing/src/custody.rs").read_text()
    refused |= set(re.findall(r'Self::\w+ => "([a-z-]+)"', weaknesses)) - {"key-imported"}
    assert len(refused) > 10 and refused == names
    for name in names:
        assert f"`{name}`" in (DOCS / "ceremony-runbook.md").read_text(), name


def test_an_auditor_can_check_by_hand(rehearsed: tuple[Path, str], tmp_path: Path) -> None:
    folder, _ = rehearsed
    hashes = [re.findall(r"[0-9a-f]{64}", shell(code, folder))
              for code in blocks("auditor.md", "By hand", "sh")]  # fmt: skip
    assert all(len(found) == 2 and found[0] == found[1] for found in hashes), hashes
    [script] = blocks("auditor.md", "By hand", "python")
    check = tmp_path / "check.py"
    check.write_text(script)

    def audit(ceremony: Path) -> subprocess.CompletedProcess:
        command = [sys.executable, check, ceremony]
        return subprocess.run(command, capture_output=True, text=True, timeout=60)

    for name, signers in (("ceremony", 2), ("ceremony-2", 2)):
        done = audit(folder / name)
        assert done.returncode == 0 and f"{signers} signers" in done.stdout, done.stderr
    assert audit(folder / "forged").returncode != 0
    # A signature that is not right, in a chain that is: only the check of signatures can tell.
    lines = (folder / "ceremony/transcript.jsonl").read_text().splitlines()
    assert '"signed":{' in lines[-2]
    cut = tmp_path / "cut"
    cut.mkdir()
    (cut / "transcript.jsonl").write_text("\n".join([*lines[:-2], swap_signature(lines[-2])]) + "\n")
    assert "InvalidSignature" in audit(cut).stderr


def swap_signature(line: str) -> str:
    """Puts the signature of the statement in the place of the one on the root."""
    of_root, of_statement = re.findall(r'"sig":"([0-9a-f]+)"', line)
    return line.replace(of_root, of_statement, 1)


@pytest.mark.parametrize("profile", sorted(EXAMPLES.glob("*.toml")), ids=lambda path: path.stem)
def test_the_examples_can_be_planned(profile: Path, tmp_path: Path) -> None:
    printed = shell(f"key-ceremony plan '{profile}' --out ceremony", tmp_path)
    assert printed.startswith("planned: Example Motors") and "REFUSED" not in printed
