"""People at terminals: what they are shown, what they type, and what happens when they do not."""

import os
import pty
import re
import select
import shutil
import signal
import subprocess
import termios
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from follow_chain import follow_chain
from our_repo import files_below
from test_ceremony import PIN, PROFILE, Ceremonies, uri

CTRL_C, CTRL_D = "\x03", "\x04"
CONFIRM = "To confirm, type: "
ASKED_FOR_PIN = 'PIN of token "'


class Terminal:
    """A command at a terminal of its own: what is on the screen, and keys to type."""

    def __init__(self, held: Ceremonies, words: tuple[str | Path, ...], redirected: str = "") -> None:
        self._keyboard, self._tty = pty.openpty()
        self._settings = termios.tcgetattr(self._tty)
        self._shown = b""
        self._seen = 0
        setsid = shutil.which("setsid")
        assert setsid
        # The terminal is that of the session too, where PINs are asked for.
        shell = ["sh", "-c", f'exec "$@" {redirected}', "sh"]
        self._process = subprocess.Popen(
            [str(word) for word in (setsid, "--ctty", *shell, held.binary, *words)],
            cwd=held.folder,
            env=held.env,
            stdin=self._tty,
            stdout=self._tty,
            stderr=self._tty,
            # A shell that runs the tests in the background lets them ignore interrupts.
            preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
        )

    @property
    def screen(self) -> str:
        return self._shown.decode(errors="replace").replace("\r\n", "\n")

    def sees(self, text: str) -> str:
        """Waits for a text behind the last one waited for; returns everything before it."""
        self._wait(lambda: text in self.screen[self._seen :], f"{text!r} on the screen")
        at = self.screen.index(text, self._seen)
        self._seen = at + len(text)
        return self.screen[:at]

    def types(self, text: str, key: str = "\r") -> None:
        os.write(self._keyboard, (text + key).encode(errors="surrogateescape"))

    def types_pin(self, pin: str, key: str = "\r") -> None:
        """As soon as nobody can read it."""
        self.sees(ASKED_FOR_PIN)
        self._wait(lambda: not termios.tcgetattr(self._tty)[3] & termios.ECHO, "echo to be off")
        self.types(pin, key)

    def ends(self, code: int) -> str:
        """Waits for the end of the command; returns all that was on the screen."""
        self._wait(lambda: self._process.poll() is not None, "the end")
        self._read(0)
        assert self._process.returncode == code, self.screen
        assert PIN not in self.screen
        assert self._settings == termios.tcgetattr(self._tty), "the terminal is not as it was"
        return self.screen

    def close(self) -> None:
        if self._process.poll() is None:
            self._process.kill()
            self._process.wait()
        os.close(self._keyboard)
        os.close(self._tty)

    def _wait(self, reached: Callable[[], bool], what: str) -> None:
        patience = time.monotonic() + 30
        while not reached():
            over = self._process.poll() is not None
            self._read(0 if over else 0.02)
            if reached():
                return
            assert not over and time.monotonic() < patience, f"no {what}: {self.screen!r}"

    def _read(self, seconds: float) -> None:
        while select.select([self._keyboard], [], [], seconds)[0]:
            self._shown += os.read(self._keyboard, 65536)
            seconds = 0


@pytest.fixture(scope="module")
def held(tmp_path_factory: pytest.TempPathFactory) -> Ceremonies:
    """A sealed ceremony, `c1`, and the next at each of its steps: Dora takes over from Chris."""
    people = ["anna", "ben", "chris", "dora", "release", "online"]
    held = Ceremonies(tmp_path_factory.mktemp("terminals"), people)
    held.run("plan", PROFILE, "--out", "c1")
    held.hold("c1", {"anna": ["root"], "ben": ["root"]})
    rotate(held, "planned", "root")
    held.copy("planned", "keyed")
    held.make_keys("keyed")
    held.copy("keyed", "reviewed")
    held.run("review", "reviewed", "--confirm", held.confirmation("reviewed"))
    held.copy("reviewed", "signed")
    for holder in ("anna", "ben"):
        held.run("merge", "signed", held.sign("signed", holder, "root"))
    held.fails(3, "seal", "signed")
    return held


def rotate(held: Ceremonies, name: str, key: str) -> None:
    held.run("rotate", "c1", "--out", name, "--why", "lost", "--remove", "root/chris",
             "--add", f"root/dora={uri('dora', key)}", "--holder", "dora=Dora Diaz")  # fmt: skip


At = Callable[..., Terminal]


@pytest.fixture
def at_terminal(held: Ceremonies) -> Iterator[At]:
    """Starts commands, each at a terminal."""
    started = []

    def start(*words: str | Path, redirected: str = "") -> Terminal:
        started.append(Terminal(held, words, redirected))
        return started[-1]

    yield start
    for terminal in started:
        terminal.close()


@pytest.fixture
def unchanged(held: Ceremonies) -> Iterator[None]:
    """Nothing that a person or a ceremony keeps is another after the test, nor are there new keys."""

    def kept() -> dict[str, bytes | None]:
        files = files_below(held.folder)
        # Tokens note wrong PINs.
        return {name: None if name.startswith("tokens/") else data for name, data in files.items()}

    before = kept()
    yield
    assert kept() == before


def test_a_rotation_is_held_at_terminals(held: Ceremonies, at_terminal: At) -> None:
    rotate(held, "live", "live")
    dora = at_terminal("keygen", "live/invitations/dora-root.json", "--out", "dora.json")
    shown = dora.sees(CONFIRM)
    for fact in ("Example Motors", "asks dora (Dora Diaz) for a key of root", uri("dora", "live"),
                 "this machine's clock says 20"):  # fmt: skip
        assert fact in shown
    assert dora.sees("\n> ") == f"{shown}{CONFIRM}root/dora" and ASKED_FOR_PIN not in shown
    dora.types("root/dora")
    dora.types_pin(PIN)
    screen = dora.ends(0)
    assert screen.count(ASKED_FOR_PIN) == 1
    [of_key] = re.findall(r"its words, to compare with the lead's: ((?:[a-z]+ ?){10})\n", screen)
    merged = held.run("merge", "live", "dora.json")
    assert merged["words"] == {"root/dora": of_key}

    lead = at_terminal("review", "live")
    shown = lead.sees(CONFIRM)
    assert_tells_of_the_change(shown)
    [words] = re.findall(r"^fingerprint: ([a-z]+(?: [a-z]+){9})$", shown, re.MULTILINE)
    first, *_, last = words.split()
    assert lead.sees("\n> ") == f"{shown}{CONFIRM}root 2 {first} {last}"
    assert ASKED_FOR_PIN not in shown
    lead.types(f" ROOT  2 {first} {last.title()} ")
    screen = lead.ends(0)
    assert "ROOT  2" in screen and screen.rstrip().endswith(words)

    for holder in ("anna", "ben"):
        signer = at_terminal("sign", "live/requests/sign-root.json", "--key", uri(holder, "root"),
                             "--out", f"{holder}.json", "--trusted-root", "c1/1.root.json")  # fmt: skip
        shown = signer.sees(CONFIRM)
        assert_tells_of_the_change(shown)
        assert f"\nfingerprint: {words}\n" in shown and ASKED_FOR_PIN not in shown
        signer.types(f"root 2 {first} {last}")
        signer.types_pin(PIN)
        signer.ends(0)
        held.run("merge", "live", f"{holder}.json")

    held.fails(3, "seal", "live")
    anna = at_terminal("sign", "live/requests/seal.json", "--key", uri("anna", "root"),
                       "--out", "anna.seal.json", "--trusted-root", "c1/1.root.json")  # fmt: skip
    shown = anna.sees(CONFIRM)
    assert_tells_of_the_change(shown)
    assert f"fingerprint of the root: {words}\n" in shown
    assert "\nsigned by anna (key " in shown and "\nsigned by ben (key " in shown
    wanted = anna.sees("\n> ").rpartition(CONFIRM)[2]
    assert re.fullmatch("seal [a-z]+ [a-z]+", wanted)
    anna.types(wanted)
    anna.types_pin(PIN)
    anna.ends(0)
    sealed = held.run("seal", "live", "anna.seal.json")
    assert sealed["root"] == "live/2.root.json" and sealed["sealed_by"][0].startswith("anna ")
    assert held.run("verify", "live", "--previous", "c1/1.root.json")["words"] == words
    roots = [(held.folder / name).read_bytes() for name in ("c1/1.root.json", "live/2.root.json")]
    assert follow_chain(roots).version == 2


def assert_tells_of_the_change(shown: str) -> None:
    root = shown.partition("\n  root: 2 of 3")[2].partition("\n  targets:")[0]
    for line in (r"\+ gains dora  ecdsa-sha2-nistp256", r"- loses chris  ecdsa-sha2-nistp384"):
        assert re.search(rf"^    {line}  [0-9a-f]{{16}}$", root, re.MULTILINE), shown
    assert "root 1 -> 2" in shown and "keeps anna" in root and "keeps ben" in root


def ask(step: str, at_terminal: At, *options: str, redirected: str = "") -> Terminal:
    """The command of a step that is next in one of the prepared ceremonies."""
    words = {
        "keygen": ["planned/invitations/dora-root.json", "--key", uri("dora", "new"),
                   "--out", "new.json"],
        "review": ["keyed"],
        "sign": ["reviewed/requests/sign-root.json", "--key", uri("ben", "root"),
                 "--out", "new.json"],
        "sign the seal": ["signed/requests/seal.json", "--key", uri("ben", "root"),
                          "--out", "new.json"],
        "seal": ["signed", "--key", uri("ben", "root")],
    }  # fmt: skip
    return at_terminal(step.split()[0], *words[step], *options, redirected=redirected)


ALL_STEPS = ["keygen", "review", "sign", "sign the seal", "seal"]
WITH_PIN = ["keygen", "sign", "sign the seal", "seal"]


@pytest.mark.usefixtures("unchanged")
@pytest.mark.parametrize("step", ["review", "sign"])
@pytest.mark.parametrize(
    "typed",
    ["y", "yes", "", "root 2", "2 {first} {last}", "root 1 {first} {last}", "root 2 {last} {first}",
     "root 2 {first} {first}", "root 2 {first} {last} y", "\udcff"],
)  # fmt: skip
def test_anything_else_does_not_confirm(step: str, typed: str, at_terminal: At) -> None:
    terminal, wanted = up_to_the_confirmation(step, at_terminal)
    _, _, first, last = wanted.split()
    terminal.types(typed.format(first=first, last=last))
    screen = terminal.ends(1)
    assert "does not confirm this; nothing was signed or recorded" in screen
    assert screen.endswith(f"then type: {wanted}\n") and ASKED_FOR_PIN not in screen


@pytest.mark.usefixtures("unchanged")
@pytest.mark.parametrize("step", ["keygen", "sign the seal", "seal"])
def test_a_mere_yes_confirms_nothing(step: str, at_terminal: At) -> None:
    terminal, wanted = up_to_the_confirmation(step, at_terminal)
    terminal.types("y")
    screen = terminal.ends(1)
    assert screen.endswith(f"then type: {wanted}\n") and ASKED_FOR_PIN not in screen


@pytest.mark.usefixtures("unchanged")
@pytest.mark.parametrize("step", ALL_STEPS)
def test_the_beginning_of_a_line_does_not_confirm(step: str, at_terminal: At) -> None:
    for end, key in ((" " * 2000 + "y", "\r"), (CTRL_D, CTRL_D)):
        terminal, wanted = up_to_the_confirmation(step, at_terminal)
        terminal.types(wanted + end, key)
        assert "no line was typed to its end, so nothing was signed" in terminal.ends(1)


def up_to_the_confirmation(step: str, at_terminal: At) -> tuple[Terminal, str]:
    terminal = ask(step, at_terminal)
    terminal.sees(CONFIRM)
    return terminal, terminal.sees("\n> ").rpartition(CONFIRM)[2]


@pytest.mark.usefixtures("unchanged")
@pytest.mark.parametrize("step", ALL_STEPS)
def test_leaving_at_the_confirmation(step: str, at_terminal: At) -> None:
    left, _ = up_to_the_confirmation(step, at_terminal)
    left.types("", CTRL_D)
    screen = left.ends(1)
    assert "> \nkey-ceremony: no line was typed to its end, so nothing was signed" in screen
    interrupted, wanted = up_to_the_confirmation(step, at_terminal)
    interrupted.types(wanted, CTRL_C)
    interrupted.ends(-signal.SIGINT)


def up_to_the_pin(step: str, at_terminal: At) -> Terminal:
    terminal, wanted = up_to_the_confirmation(step, at_terminal)
    terminal.types(wanted)
    return terminal


@pytest.mark.usefixtures("unchanged")
@pytest.mark.parametrize("step", WITH_PIN)
def test_a_wrong_pin_is_tried_once(step: str, at_terminal: At) -> None:
    terminal = up_to_the_pin(step, at_terminal)
    terminal.types_pin("a-wrong-one")
    screen = terminal.ends(1)
    assert screen.count(ASKED_FOR_PIN) == 1 and "a-wrong-one" not in screen
    assert "refused the PIN from the prompt" in screen
    assert "a locked token needs its security officer" in screen
    # The token tells whoever is asked next.
    again = up_to_the_pin(step, at_terminal)
    assert "(wrong PINs were tried)" in again.sees("): ") + "): "


@pytest.mark.usefixtures("unchanged")
@pytest.mark.parametrize("step", WITH_PIN)
@pytest.mark.parametrize("key", ["\r", CTRL_D], ids=["enter", "ctrl-d"])
def test_leaving_at_the_pin(step: str, key: str, at_terminal: At) -> None:
    terminal = up_to_the_pin(step, at_terminal)
    terminal.types_pin("", key)
    screen = terminal.ends(1)
    assert "no PIN for token" in screen and screen.count(ASKED_FOR_PIN) == 1


@pytest.mark.usefixtures("unchanged")
@pytest.mark.parametrize("step", WITH_PIN)
def test_interrupted_at_the_pin(step: str, at_terminal: At) -> None:
    terminal = up_to_the_pin(step, at_terminal)
    terminal.types_pin(PIN, CTRL_C)
    terminal.ends(-signal.SIGINT)


@pytest.mark.usefixtures("unchanged")
@pytest.mark.parametrize("options", [("--no-prompt",), ()], ids=["no-prompt", "no-input"])
def test_nobody_is_asked_who_is_not_there(
    options: tuple[str, ...], held: Ceremonies, at_terminal: At
) -> None:
    """There is a terminal, but the command is told not to use it, or its input is no terminal."""
    redirected = "" if options else "< /dev/null"
    wanted = {}
    for step in ALL_STEPS:
        screen = ask(step, at_terminal, *options, redirected=redirected).ends(1)
        assert "nobody is at a terminal to confirm, and nothing was signed" in screen
        [wanted[step]] = re.findall(r'or with --confirm "([^"]+)"\n$', screen)
        assert CONFIRM not in screen and ASKED_FOR_PIN not in screen
        assert ("asks dora" if step == "keygen" else "+ gains dora") in screen
    assert wanted["keygen"] == "root/dora" and wanted["seal"].startswith("seal ")
    assert wanted["sign"] == held.confirmation("reviewed")
    for step in WITH_PIN:
        confirmed = ("--confirm", wanted[step])
        screen = ask(step, at_terminal, *options, *confirmed, redirected=redirected).ends(1)
        assert "COUNTERSIGN_PIN, add pin-source=file:PATH to the key URI" in screen
        assert ASKED_FOR_PIN not in screen


@pytest.mark.usefixtures("unchanged")
@pytest.mark.parametrize("step", ALL_STEPS)
def test_nobody_is_asked_who_cannot_read_the_question(
    step: str, at_terminal: At, tmp_path: Path
) -> None:
    errors = tmp_path / "errors"
    assert ask(step, at_terminal, redirected=f"2> '{errors}'").ends(1) == ""
    assert "nobody is at a terminal to confirm" in errors.read_text()
