"""Misspelt names lead to those that exist, and empty lists say so in one line."""

from __future__ import annotations

from typing import Any

import pytest

from algo_core.errors import ExitCode, NotFoundError
from algo_core.storage.uri import AlgorithmRef
from algo_core.suggestions import known_algorithms, similar
from algo_core.testing import Home


class Api:
    """A platform that lists what it is given; the published one lists those of one account only."""

    def __init__(self, names: list[str], versions: list[str], *, lists_all: bool = True) -> None:
        self.names, self.versions, self.lists_all = names, versions, lists_all

    def username(self) -> str:
        return "me"

    def get_json(self, path: str, *, query: Any) -> Any:
        if path.endswith("/versions"):
            return [{"version_info": {"semantic_version": number}} for number in self.versions] + [{}]
        if path == "algorithms":
            if not self.lists_all:
                raise NotFoundError("No such route")
            first = query["marker"] is None
            page = [dict(zip(("owner", "name"), name.split("/"), strict=True)) for name in self.names]
            half = len(page) // 2
            return {"results": page[:half] if first else page[half:], "marker": "m" if first else None}
        return {"results": [{"name": name} for name in self.names if name.startswith("me/")]}


NAMES = ["demo/Hello", "demo/Help", "me/Detector", "nlp/LDA"]
VERSIONS = ["0.1.0", "0.9.0", "0.10.0", "1.0.0"]


@pytest.mark.parametrize(
    ("reference", "expected"),
    [
        (("demo", "Helo"), ["demo/Hello", "demo/Help"]),
        (("dmeo", "hello"), ["demo/Hello"]),
        (("you", "lda"), ["nlp/LDA"]),
        (("zz", "Nothing"), []),
        (("demo", "Hello"), []),
        (("demo", "hello", "0.1.1"), ["demo/Hello/0.1.0"]),
        (("demo", "Hello", "7.7.7"), ["demo/Hello/1.0.0", "demo/Hello/0.10.0", "demo/Hello/0.9.0"]),
        (("0c0d9a6f-52ab-4c51-9d39-0a6c2f0f4a34", ""), []),
    ],
)
def test_what_resembles_a_reference(reference: tuple[str, ...], expected: list[str]) -> None:
    found = similar(Api(NAMES, VERSIONS), AlgorithmRef(*reference))  # type: ignore[arg-type]
    assert found[: len(expected)] == expected
    assert len(found) >= len(expected)
    assert bool(found) == bool(expected)


def test_a_platform_that_lists_no_others() -> None:
    api: Any = Api(NAMES, [], lists_all=False)
    assert known_algorithms(api) == ["me/Detector"]
    assert similar(api, AlgorithmRef("me", "Detektor")) == ["me/Detector"]


def test_run_suggests_what_is_there(algo_home: Home) -> None:
    lines = algo_home.root / "lines.txt"
    lines.write_text("x\n")
    for arguments, hint in (
        (("demo/Helo", "-d", "x"), "Did you mean demo/Hello?"),
        (("demo/Hello/1.0.1", "-d", "x"), "Did you mean demo/Hello/1.0.0"),
        (("demo/Helo", "--each-line", str(lines)), "Did you mean demo/Hello?"),
    ):
        done = algo_home.run("run", *arguments)
        assert (done.code, f"hint: {hint}" in done.stderr) == (ExitCode.NOT_FOUND, True), done.stderr
    (algo_home.root / "mine" / "Algo").mkdir(parents=True)
    (algo_home.root / "mine" / "Algo" / "algorithmia.conf").write_text("{}")
    done = algo_home.run("run", "mine/Algo", "-d", "x")
    assert "hint: Run the directory of this name with: algo run ./mine/Algo" in done.stderr


@pytest.mark.parametrize(
    "command",
    [
        "logs demo/Helo", "requests list --algorithm demo/Helo", "replay demo/Helo", "replay demo/Helo/1.0.0",
        "schedules create demo/Helo CRON", "local data remove demo/Helo", "local build remove demo/helo 1",
    ],
)  # fmt: skip
def test_every_command_suggests_what_is_there(algo_home: Home, command: str) -> None:
    done = algo_home.run(*(word.replace("CRON", "0 6 * * *") for word in command.split()))
    assert (done.code, "hint: Did you mean demo/Hello" in done.stderr) == (ExitCode.NOT_FOUND, True), done.stderr


@pytest.mark.parametrize(
    ("command", "hint"),
    [
        ("algorithms serch x", "algo algorithms search"),
        ("builds lgos", "algo builds logs"),
        ("local conector", "algo local connector"),
    ],
)
def test_commands_below_groups_are_suggested(algo_home: Home, command: str, hint: str) -> None:
    done = algo_home.run(*command.split())
    assert (done.code, f"hint: Did you mean: {hint}" in done.stderr) == (ExitCode.USAGE, True), done.stderr


@pytest.mark.parametrize(
    ("command", "said", "json"),
    [
        ("requests list", "No calls are on record\n", "[]\n"),
        ("requests list --state failed", "No calls on record match these options\n", "[]\n"),
        ("logs demo/Hello --sudo", "No calls of demo/Hello are on record\n", ""),
        ("keys list", "There are no API keys; make one with: algo keys create LABEL\n", "[]\n"),
    ],
)
def test_nothing_is_told_in_one_line_and_leaves_stdout_alone(
    algo_home: Home, command: str, said: str, json: str
) -> None:
    done = algo_home.run(*command.split())
    assert (done.code, done.text) == (ExitCode.OK, "")
    assert done.stderr.endswith(said)
    assert algo_home.run(*command.split(), "--json").text == json


def test_a_build_to_publish_is_made_with_a_command_that_is_named(algo_home: Home) -> None:
    account = algo_home.run("local", "status", "--json").json["account"]
    assert algo_home.run("algorithms", "create", f"{account}/Mine").code == ExitCode.OK
    done = algo_home.run("algorithms", "publish", f"{account}/Mine")
    assert f"hint: Make one with: algo algorithms compile {account}/Mine --source DIR" in done.stderr
