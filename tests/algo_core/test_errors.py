"""Errors of plugins' own: exit codes from a free range, facts in JSON, and neither can hide what has failed."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click
import pytest

from algo_core import App
from algo_core.errors import EXIT_CODES, OWN_EXIT_CODES, AlgoError, ExitCode, NotFoundError, is_exit_code
from algo_core.testing import Home
from algo_data.reporting.report import Report

FAILURES = [code for code in ExitCode if ExitCode.OK < code <= ExitCode.PLUGIN]
RIGHT = [*FAILURES, 64, 65, 100, 113]
WRONG = [
    0,
    -1,
    9,
    63,
    114,
    126,
    127,
    128,
    130,
    141,
    143,
    255,
    256,
    10**30,
    True,
    False,
    None,
    "5",
    "",
    64.0,
    [64],
    object,
]


def failing(code: Any, message: Any = "It is full", hint: Any = "Empty it") -> AlgoError:
    return type("Full", (AlgoError,), {"exit_code": code})(message, hint)  # type: ignore[no-any-return]  # an AlgoError


@pytest.fixture
def reporting(algo_home: Home) -> App:
    """An `App` that reports errors as JSON."""
    app = App(algo_home.environ)
    app.output.is_json = True
    return app


def told(capfd: pytest.CaptureFixture[str]) -> Any:
    return json.loads(capfd.readouterr().err)["error"]


def test_the_free_range_is_nobody_elses() -> None:
    assert not set(OWN_EXIT_CODES) & {*EXIT_CODES, *ExitCode}
    assert set(OWN_EXIT_CODES) == {code for code in range(256) if is_exit_code(code)} - {*ExitCode}
    assert max(OWN_EXIT_CODES) < 126, "the shell's own"


@pytest.mark.parametrize("code", RIGHT)
def test_a_failure_ends_with_its_own_code(reporting: App, capfd: pytest.CaptureFixture[str], code: int) -> None:
    assert reporting.report(failing(code)) == code
    assert told(capfd) == {"type": "Full", "message": "It is full", "hint": "Empty it"}


@pytest.mark.parametrize("code", WRONG, ids=repr)
def test_any_other_code_is_the_plugins_fault(reporting: App, capfd: pytest.CaptureFixture[str], code: object) -> None:
    assert reporting.report(failing(code)) == ExitCode.PLUGIN
    found = told(capfd)
    assert found["type"] == "PluginError"
    assert f"failed with Full, whose exit code {code!r} is none for a failure: It is full" in found["message"]
    assert found["hint"] == "Exit codes of a plugin's own are 64 to 113; Empty it"


@pytest.mark.parametrize("code", [200, "5"])
def test_so_it_is_where_several_may_fail(reporting: App, capfd: pytest.CaptureFixture[str], code: object) -> None:
    """A storage of a plugin fails for one of several files: the command ends with the code of the first failure."""
    report = Report(reporting, is_alone=False)
    report.failed("acme://a", failing(code))
    assert "whose exit code" in told(capfd)["message"]
    with click.Context(click.Command("cp")), pytest.raises(click.exceptions.Exit) as ended:
        report.finish()
    assert ended.value.exit_code == ExitCode.PLUGIN


class Property(AlgoError):
    @property
    def exit_code(self) -> int:  # type: ignore[override]  # that is the fault
        raise ValueError("no code")


class Unset(AlgoError):
    def __init__(self) -> None:
        """Without what AlgoError needs."""


@pytest.mark.parametrize(
    ("make", "code", "message"),
    [
        (lambda: Property("It is full"), ExitCode.PLUGIN, "ValueError('no code')"),
        (Unset, ExitCode.FAILURE, ""),
        (lambda: failing(64, ValueError("full")), 64, "full"),
        (lambda: failing(64, None, 5), 64, "None"),
        (lambda: failing(64, "full", ["empty", "it"]), 64, "full"),
    ],
)
@pytest.mark.parametrize("is_json", [True, False])
def test_an_unusual_error_is_reported_all_the_same(
    reporting: App,
    capfd: pytest.CaptureFixture[str],
    make: Callable[[], AlgoError],
    code: int,
    message: str,
    is_json: bool,
) -> None:
    reporting.output.is_json = is_json
    assert reporting.report(make()) == code
    assert message in capfd.readouterr().err


FACTS: list[tuple[Any, Any]] = [
    ({"used": 5, "of": [1.5, None, {"a": True}]}, {"used": 5, "of": [1.5, None, {"a": True}]}),
    ({"none": None}, {}),
    ({"type": "x", "message": "y", "hint": "z"}, {}),
    ({1: "one", "pair": (1, 2)}, {"1": "one", "pair": [1, 2]}),
    ([("a", 1)], {"a": 1}),
]
NO_FACTS = [{"a": {1, 2}}, {"a": float("nan")}, {"a": object()}, {"a": b"x"}, None, 3, "text", [1], {(1, 2): 3}]


class Telling(NotFoundError):
    def __init__(self, given: Any) -> None:
        super().__init__("It is full", "Empty it")
        self.given = given

    def json_members(self) -> Any:
        if self.given is ZeroDivisionError:
            raise ZeroDivisionError("no facts")
        if self.given is SystemExit:
            raise SystemExit(3)
        return self.given


@pytest.mark.parametrize(("given", "shown"), FACTS)
def test_facts_are_in_the_report(reporting: App, capfd: pytest.CaptureFixture[str], given: Any, shown: Any) -> None:
    assert reporting.report(Telling(given)) == ExitCode.NOT_FOUND
    assert told(capfd) == {"type": "Telling", "message": "It is full", "hint": "Empty it", **shown}


@pytest.mark.parametrize(
    "given", [*NO_FACTS, ZeroDivisionError, SystemExit], ids=lambda value: re.sub(" object at .*>", "", repr(value))
)
def test_facts_that_are_no_json_do_not_hide_the_error(
    reporting: App, capfd: pytest.CaptureFixture[str], given: Any
) -> None:
    assert reporting.report(Telling(given)) == ExitCode.NOT_FOUND
    found = told(capfd)
    causes = {"TypeError", "ValueError", "ZeroDivisionError", "it called sys.exit(3)"}
    assert found.pop("json_members_error").partition(":")[0] in causes
    assert found == {"type": "Telling", "message": "It is full", "hint": "Empty it"}


def test_members_under_their_former_name_are_still_shown(reporting: App, capfd: pytest.CaptureFixture[str]) -> None:
    class Former(NotFoundError):
        def facts(self) -> dict[str, Any]:
            return {"used": 5}

    with pytest.warns(DeprecationWarning, match="Former.facts is called json_members"):
        reporting.report(Former("It is full", "Empty it"))
    assert told(capfd)["used"] == 5


COMMANDS = """
import click
from algo_core import AlgoError, pass_app

class QuotaExceeded(AlgoError):
    def __init__(self, code):
        super().__init__("It is full", "Empty it")
        self.exit_code = code

    def json_members(self):
        return {"used": 5}

@click.command()
@click.argument("code", type=int)
def run(code):
    '''Fail.'''
    raise QuotaExceeded(code)
"""


def test_a_command_of_a_plugin_ends_with_it(algo_home: Home, add_command: Any, plugin_folder: Any) -> None:
    home: Path = add_command("acme-fails", "fails")
    (home / "commands.py").write_text(COMMANDS)
    algo_home.environ |= {"PYTHONPATH": str(plugin_folder.path), "ALGO_CACHE_DIR": str(algo_home.root / "cache")}
    right = algo_home.run("fails", "65", "--json")
    assert (right.code, right.error["used"], right.error["type"]) == (65, 5, "QuotaExceeded")
    wrong = algo_home.run("fails", "200")
    assert wrong.code == ExitCode.PLUGIN
    assert wrong.stderr.startswith("error: The plugin acme-fails 1.0 failed with QuotaExceeded, whose exit code 200")
    assert "Traceback" not in wrong.stderr
    assert "64-113  a failure of a plugin's own" in algo_home.run("help", "exit-codes").text
