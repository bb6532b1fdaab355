"""An algorithm from its first line to its end, by commands only, embedded and served."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from algo_core.errors import ExitCode
from algo_core.testing import Home
from algo_local.algorithms.schemas.json_schema import mismatch
from algo_manage.commands.show import _example


def test_the_life_of_an_algorithm(platform_home: Home, source: Path) -> None:
    home = platform_home

    def algo(*arguments: str, input: str | None = None) -> str:
        done = home.run(*arguments, input=input)
        assert done.code == ExitCode.OK, done.stderr
        return done.text

    name = "jane/Greeter"
    assert algo("algorithms", "create", name, "--tagline", "Greets", "--sample-input", '"Jane"') == f"Created {name}\n"
    commit = algo("algorithms", "compile", name, "--source", str(source), "--message", "First").strip()
    assert re.fullmatch("[0-9a-f]{40}", commit)
    assert algo("run", f"{name}/{commit}", "-d", "Jane") == "Hello Jane\n"
    assert algo("algorithms", "publish", name, "--public", "--notes", "New\nand more") == f"Published {name}/0.1.0\n"

    shown = algo("show", name)
    assert shown.startswith(f"{name}\nGreets\n\n# Greeter\n\nGreets anybody.\n\nVersions: 0.1.0\n")
    (line,) = re.findall(r"^  (algo run .*)$", shown, re.M)
    assert line == f"algo run {name}/0.1.0 -t Jane"
    assert algo(*line.split()[1:]) == "Hello Jane\n", "the line that is shown works"
    is_served = "127.0.0.1" in algo("profile", "show")
    assert ("need 'algo local serve'" in shown) != is_served

    assert algo("secrets", "set", name, "GREETING", input="Bonjour\n") == f"Set GREETING of {name}\n"
    assert algo("run", name, "-d", "Jane") == "Bonjour Jane\n"
    assert algo("secrets", "set", name, "GREETING", "--stdin", input="Hola\n") == f"Changed GREETING of {name}\n"
    assert algo("run", name, "-d", "Jane") == "Hola Jane\n"
    assert "GREETING" in algo("secrets", "list", name)
    assert "Hola" not in algo("secrets", "list", name, "--json")
    assert algo("secrets", "remove", name, "GREETING") == f"Removed GREETING of {name}\n"

    (source / "src" / "Greeter.py").write_text("def apply(:\n")
    broken = home.run("algorithms", "compile", name, "--source", str(source))
    assert broken.code == ExitCode.FAILURE
    assert "src/Greeter.py, line 1" in broken.stderr
    assert f"algo builds logs {name}" in broken.stderr
    listed = algo("builds", "list", name).splitlines()
    assert [row.split()[1] for row in listed[1:]] == ["failed", "succeeded"]
    assert "src/Greeter.py, line 1" in algo("builds", "logs", name)
    assert home.run("builds", "logs", name, "--follow").code == ExitCode.FAILURE
    assert f"Built {name}" in algo("builds", "logs", name, commit)
    assert commit in algo("builds", "show", name, commit)

    row = algo("algorithms", "versions", name).splitlines()[1]
    assert re.split("  +", row)[0::2] == ["0.1.0", re.split("  +", row)[2], "New"]
    assert name in algo("algorithms", "search", "greets")
    assert home.complete("algorithms", "show", "jane/") == [name]
    assert home.complete("algorithms", "unpublish", name, "") == ["0.1.0"]
    assert home.run("algorithms", "unpublish", name, "0.1.0").code == ExitCode.USAGE, "it asks first"
    assert algo("algorithms", "unpublish", name, "0.1.0", "--yes") == f"Withdrew {name}/0.1.0\n"
    assert algo("algorithms", "delete", name, "--yes") == f"Deleted {name}\n"
    assert home.run("algorithms", "show", name).code == ExitCode.NOT_FOUND


def test_keys_do_what_they_say(platform_home: Home) -> None:
    home = platform_home
    made = home.run("keys", "create", "ci", "--algorithm", "demo/Hello", "--expires", "30")
    assert re.fullmatch(r"sim[0-9A-Za-z]{25}\n", made.text)
    assert made.text.strip() not in home.run("keys", "list", "--json").text
    (listed,) = [row for row in home.run("keys", "list").text.splitlines() if "  ci  " in row]
    assert "call demo/Hello  " in listed
    again = home.run("keys", "rotate", "ci")
    assert again.text != made.text
    assert home.run("keys", "revoke", "ci").text == "Revoked key ci\n"
    gone = home.run("keys", "revoke", "ci")
    assert (gone.code, "There is no key ci" in gone.stderr) == (ExitCode.NOT_FOUND, True)


@pytest.mark.parametrize("command", [("keys", "create", "ci"), ("local", "key", "new", "jane")])
@pytest.mark.parametrize(
    ("pattern", "meaning", "said"),
    [
        ("demo/Hello", "demo/Hello", ""),
        ("algo://demo/hello/*", "demo/hello", ""),
        ("demo/*", "demo", ""),
        ("jane/*", "jane", ""),
        ("*", "*", ""),
        ("demo/Helo", "", "Did you mean demo/Hello?"),
        ("Hello/demo/*", "", "Algorithm Hello/demo does not exist"),
        (".my/Planned", "", "Algorithm jane/Planned does not exist"),
        ("dmeo/*", "", "No account dmeo"),
    ],
)
def test_a_key_for_what_does_not_exist_is_refused(
    algo_home: Home, command: tuple[str, ...], pattern: str, meaning: str, said: str
) -> None:
    algo_home.environ["LOGNAME"] = "jane"
    done = algo_home.run(*command, "--algorithm", pattern)
    listed = algo_home.run("keys", "list", "--json").json
    if not said:
        assert done.code == ExitCode.OK, done.stderr
        assert listed[0]["permissions"]["algo_acl"][0] in {f"algo://{meaning}", f"algo://{meaning}/*"}
        return
    assert (done.code, listed, said in done.stderr) == (ExitCode.NOT_FOUND, [], True), done.stderr
    assert "To make the key before the algorithm: --allow-missing" in done.stderr
    assert algo_home.run(*command, "--algorithm", pattern, "--allow-missing").code == ExitCode.OK


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["algorithms", "show", "demo/Helo"], "Did you mean demo/Hello?"),
        (["show", "dmeo/hello"], "Did you mean demo/Hello?"),
        (["builds", "list", "demo/Hell"], "Did you mean demo/Hello?"),
        (["secrets", "list", "demo/Hallo"], "Did you mean demo/Hello?"),
        (["algorithms", "show", "other/Thing"], "Algorithm other/Thing does not exist"),
        (["algorithms", "create", "nobody/Greeter"], "jane/Greeter"),
    ],
)
def test_names_are_suggested(algo_home: Home, arguments: list[str], said: str) -> None:
    algo_home.environ["LOGNAME"] = "jane"
    done = algo_home.run(*arguments)
    assert done.code == ExitCode.NOT_FOUND
    assert said in done.stderr


def test_my_is_the_own_account(algo_home: Home, source: Path) -> None:
    algo_home.environ["LOGNAME"] = "jane"
    published = algo_home.run("local", "publish", str(source), ".my/Greeter")
    assert published.text == "Published jane/Greeter/0.1.0\n"
    assert algo_home.complete("show", ".my/gr") == algo_home.complete("run", ".my/") == [".my/Greeter"]
    refused = algo_home.run("algorithms", "delete", ".my/Greeter", "--yes")
    assert "hint: Withdraw each: algo algorithms unpublish jane/Greeter VERSION" in refused.stderr
    for arguments in (
        ["show", ".my/Greeter"],
        ["algorithms", "update", "algo://.my/Greeter", "--tagline", "x"],
        ["builds", "list", "/.my/Greeter"],
        ["schedules", "create", ".my/Greeter/0.1.0", "0 6 * * *"],
        ["algorithms", "unpublish", ".my/Greeter/0.1.0", "--yes"],
    ):
        assert algo_home.run(*arguments).code == ExitCode.OK, arguments
    again = algo_home.run("local", "publish", str(source), ".my/Greeter", "--version", "0.1.0")
    assert "jane/Greeter/0.1.0 was withdrawn, and its number is not used again" in again.stderr
    assert algo_home.run("algorithms", "delete", ".my/Greeter", "--yes").code == ExitCode.OK
    missing = algo_home.run("algorithms", "unpublish", ".my/Greeter", "--yes")
    assert (missing.code, "No version of jane/Greeter is named" in missing.stderr) == (ExitCode.USAGE, True)


def test_schedules_of_what_is_gone_are_told(algo_home: Home, source: Path) -> None:
    algo_home.environ["LOGNAME"] = "jane"
    made = {}
    for version, name in (("0.1.0", "Greeter/0.1.0"), ("0.1.1", "Greeter/0.1.1"), ("", "Greeter")):
        if version:
            algo_home.run("local", "publish", str(source), ".my/Greeter", "--version", version)
        made[name] = algo_home.run("schedules", "create", f"jane/{name}", "0 6 * * *").text[:8]
    withdrawn = algo_home.run("algorithms", "unpublish", "jane/Greeter", "0.1.0", "--yes").stderr
    assert f"jane/Greeter/0.1.0 is still called by your schedules {made['Greeter/0.1.0']}, in vain" in withdrawn
    assert f"algo schedules delete {made['Greeter/0.1.0']}" in withdrawn
    algo_home.run("schedules", "delete", made["Greeter/0.1.1"])
    assert "schedules" not in algo_home.run("algorithms", "unpublish", "jane/Greeter", "0.1.1", "--yes").stderr
    deleted = algo_home.run("algorithms", "delete", "jane/Greeter", "--yes").stderr
    assert "jane/Greeter is still called by your schedules " in deleted
    assert made["Greeter"] in deleted


def test_what_a_publication_leaves_open_is_told(algo_home: Home, source: Path) -> None:
    algo_home.environ["LOGNAME"] = "jane"
    assert algo_home.run("algorithms", "create", ".my/Greeter").text == "Created jane/Greeter\n"
    algo_home.run("algorithms", "compile", ".my/Greeter", "--source", str(source))
    private = algo_home.run("algorithms", "publish", ".my/Greeter", "--private")
    assert "Only jane may call it, by its number: algo run jane/Greeter/0.1.0" in private.stderr
    again = algo_home.run("algorithms", "publish", ".my/Greeter", "--private")
    assert "hint: What became of later sources: algo builds list jane/Greeter" in again.stderr


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ("python3", "must be uuid"),
        ("0057588b-b42c-4454-a391-87b90f854116", "that is the template of the environment 6f5"),
    ],
)
def test_an_environment_is_named_by_its_id(algo_home: Home, given: str, said: str) -> None:
    algo_home.environ["LOGNAME"] = "jane"
    assert algo_home.run("algorithms", "create", ".my/Old").code == ExitCode.OK
    for command in (("create", ".my/New"), ("update", ".my/Old")):
        done = algo_home.run("algorithms", *command, "--environment", given)
        assert done.code == ExitCode.FAILURE
        assert said in done.stderr
        assert "hint: Give the 'id' of an environment, as in: algo environment python3" in done.stderr


def test_a_secret_is_asked_for_and_not_shown(
    algo_home: Home, on_terminal: Callable[..., tuple[int, str]], spawn: Callable[..., object]
) -> None:
    algo_home.environ["LOGNAME"] = "jane"
    algo_home.run("algorithms", "create", "jane/Greeter")
    child: object = spawn(algo_home, "secrets", "set", "jane/Greeter", "TOKEN")
    child.expect("Value of TOKEN: ")  # type: ignore[attr-defined]
    child.sendline("hidden")  # type: ignore[attr-defined]
    child.expect("Set TOKEN of jane/Greeter")  # type: ignore[attr-defined]
    assert "hidden" not in child.before  # type: ignore[attr-defined]
    _, shown = on_terminal(algo_home, "secrets", "list", "jane/Greeter")
    assert "TOKEN" in shown
    assert "hidden" not in shown


@pytest.mark.parametrize(
    "schema",
    [
        {"type": "string"},
        {"type": ["integer", "null"], "minimum": 7},
        {"type": "array", "items": {"type": "number"}},
        {"enum": ["red"]},
        {"anyOf": [{"type": "null"}, {"type": "string"}]},
        {
            "type": "object",
            "properties": {"name": {"type": "string"}, "point": {"properties": {"x": {"type": "boolean"}}}},
            "required": ["name", "point"],
        },
        {"properties": {"a": {"default": 3}}},
        True,
    ],
)
def test_the_lines_that_call_it_fit_its_schema(schema: Any) -> None:
    value = json.loads(_example(schema))
    assert mismatch(schema, value) is None, value
