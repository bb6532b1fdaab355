"""`app.ask`: a person at a terminal is asked until the answer fits; without one nothing is asked."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from typing import Any

import pexpect
import pytest

from algo_core import App
from algo_core.errors import ExitCode, UsageError
from algo_core.testing import Home

ASKS: dict[str, Callable[[App], object]] = {
    "text": lambda app: app.ask("Project", instead="--project NAME"),
    "secret": lambda app: app.ask.secret("Token", instead="--project NAME"),
    "choice": lambda app: app.ask.choice("Region", ["eu"], default="eu", instead="--project NAME"),
    "confirm": lambda app: app.ask.confirm("Delete it?", default=True, instead="--project NAME"),
}


@pytest.mark.parametrize(("choices", "default"), [([], None), (["eu"], "us"), ([], "")])
def test_a_choice_that_nobody_could_make_is_a_mistake_of_the_plugin(choices: list[str], default: str | None) -> None:
    with pytest.raises(ValueError, match="'Region' cannot be answered"):
        App({}).ask.choice("Region", choices, default=default)


PROGRAM = """
import sys
from algo_core import App
from algo_core.errors import AlgoError

def even(answer):
    if len(answer) % 2:
        raise AlgoError("It is odd", "Make it even")
    return answer.upper()

app = App()
app.output.is_json = "--json" in sys.argv
told = []
told.append(app.ask("Project", default="main"))
told.append(app.ask("Name", check=even))
told.append(app.ask.secret("Token"))
told.append(app.ask.choice("Region", ["eu", "US"], default="eu"))
told.append(app.ask.confirm("Go on?"))
told.append(app.ask.confirm("Really?", default=True))
print("told", told)
"""


def asking(home: Home, spawn: Callable[..., pexpect.spawn], program: str = PROGRAM) -> pexpect.spawn:
    home.program = sys.executable  # type: ignore[assignment]  # a text is as good
    return spawn(home, "-c", program)


def test_a_person_is_asked_until_the_answer_fits(algo_home: Home, spawn: Callable[..., pexpect.spawn]) -> None:
    child = asking(algo_home, spawn)
    for question, answers in (
        (r"Project \[main\]: ", [""]),
        ("Name: ", ["", "odd", " even "]),
        ("Token: ", ["", "s3cret"]),
        (r"Region \(eu, US\) \[eu\]: ", ["nowhere", "us"]),
        (r"Go on\? \[y/N\]: ", [""]),
        (r"Really\? \[Y/n\]: ", ["maybe", ""]),
    ):
        for answer in answers:
            child.expect(question)
            child.sendline(answer)
    child.expect("told (.*)\r\n")
    assert child.match[1] == "['main', 'EVEN', 's3cret', 'US', False, True]"
    shown = child.before
    assert "s3cret" not in shown


def test_a_wrong_answer_is_explained(algo_home: Home, spawn: Callable[..., pexpect.spawn]) -> None:
    child = asking(algo_home, spawn)
    child.expect("Project")
    child.sendline("")
    child.expect("Name: ")
    child.sendline("odd")
    child.expect("error: It is odd\r\nhint: Make it even\r\nName: ")


@pytest.mark.parametrize("kind", ASKS)
@pytest.mark.parametrize("what", ["pipe", "closed", "json", "completion"])
def test_without_a_person_nothing_is_asked(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str], kind: str, what: str
) -> None:
    class Terminal:
        """A terminal that nobody sits at: reading from it would fail the test."""

        buffer = None

        def isatty(self) -> bool:
            return what != "pipe"

        def readline(self) -> str:
            raise AssertionError("it was read")

    app = App({"_ALGO_COMPLETE": "bash"} if what == "completion" else {})
    app.output.is_json = what == "json"
    monkeypatch.setattr(app.output.stderr, "isatty", lambda: True)
    monkeypatch.setattr(sys, "stdin", None if what == "closed" else Terminal())
    monkeypatch.setattr("algo_core.terminal.prompts.lines_in_utf_8", lambda file: iter(()))
    with pytest.raises(UsageError, match="There is nobody to ask: '") as raised:
        ASKS[kind](app)
    assert raised.value.hint == "Give the answer with --project NAME"
    assert capfd.readouterr() == ("", "")


def test_without_a_hint_the_way_out_is_a_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdin", None)
    with pytest.raises(UsageError) as raised:
        App({}).ask("Project")
    assert raised.value.hint == "Run the command on a terminal, without --json"


@pytest.mark.parametrize(("keys", "code"), [("\x03", ExitCode.INTERRUPTED), ("\x04", ExitCode.USAGE)])
def test_leaving_a_question_ends_the_command(
    algo_home: Home, add_command: Any, plugin_folder: Any, spawn: Callable[..., pexpect.spawn], keys: str, code: int
) -> None:
    home = add_command("acme-asks", "asks")
    (home / "commands.py").write_text(
        "import click\nfrom algo_core import pass_app\n@click.command()\n@pass_app\n"
        "def run(app):\n    '''Ask.'''\n    app.ask('Project', instead='--project NAME')\n"
    )
    environ = {"PYTHONPATH": str(plugin_folder.path), "ALGO_CACHE_DIR": str(algo_home.root / "cache")}
    child = spawn(algo_home, "asks", **environ)
    child.expect("Project: ")
    child.send(keys)
    child.expect(pexpect.EOF)
    child.wait()
    assert (child.exitstatus, "Traceback" in child.before) == (code, False)
    assert ("Give the answer with --project NAME" in child.before) == (code == ExitCode.USAGE)


def test_it_is_ready_for_scripts(algo_home: Home) -> None:
    """As a process with a pipe: exit code 2, and nothing read."""
    done = subprocess.run(
        [sys.executable, "-c", "from algo_core import App\nApp().ask('Project')"],
        input="main\n", capture_output=True, text=True, env=algo_home.environ,
    )  # fmt: skip
    assert "UsageError: There is nobody to ask: 'Project'" in done.stderr
