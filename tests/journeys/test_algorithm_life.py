"""An algorithm from its template to its removal, by commands alone: on the embedded platform, and on one that is served."""

from __future__ import annotations

import json
import re
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from support.programs import needs

from algo_core.errors import ExitCode
from algo_core.testing import Home

Perform = Callable[..., str]
TEMPLATE = "0057588b-b42c-4454-a391-87b90f854116"
NAME = "jane/greet"


@pytest.fixture
def perform(platform_home: Home) -> Iterator[Perform]:
    """Run a command; what it printed, or where it must end with another exit code than 0, its error."""
    platform_home.environ["ALGO_LOCAL_KEEP_SECONDS"] = "60"  # as it is for a person

    def perform(*arguments: str | Path, code: ExitCode = ExitCode.OK, **options: str) -> str:
        done = platform_home.run(*arguments, **options)  # type: ignore[arg-type]
        assert done.code == code, done.stderr
        return done.text if code == ExitCode.OK else done.stderr

    yield perform
    platform_home.run("local", "stop")


@pytest.fixture
def is_served(platform_home: Home) -> bool:
    return platform_home.config_file.exists()


def publish(perform: Perform, directory: Path, is_served: bool, version: str) -> None:
    """Publish a directory, in the way that the platform offers: on this machine's own, or on another."""
    if is_served:
        perform("algorithms", "compile", NAME, "--source", directory)
        assert perform("algorithms", "publish", NAME, "--patch", "--public") == f"Published {NAME}/{version}\n"
    else:
        assert perform("local", "publish", directory, NAME) == f"Published {NAME}/{version}\n"


def push_a_change_and_call_it_with_a_key_of_its_own(home: Home, perform: Perform) -> None:
    needs("git")
    clone = home.root / "clone"
    perform("clone", NAME, clone)
    (code,) = [path for path in clone.glob("src/*.py") if "good day" in path.read_text()]
    code.write_text("def apply(input):\n    return 'pushed ' + input\n")
    author = {f"GIT_{who}_{what}": "jane@x.test" for who in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")}
    for words in (["commit", "-qam", "Change"], ["push", "-q"]):
        done = subprocess.run(
            ["git", *words], cwd=clone, env={**home.environ, **author}, capture_output=True, text=True, check=False
        )
        assert done.returncode == ExitCode.OK, done.stderr
    assert "Built jane/greet" in perform("builds", "logs", NAME, "--follow"), "the push started a build"
    assert perform("algorithms", "publish", NAME, "--public", "--notes", "Pushed") == f"Published {NAME}/0.2.0\n"

    assert "Did you mean jane/greet?" in perform(
        "keys", "create", "one", "--algorithm", "jane/great", code=ExitCode.NOT_FOUND
    )
    key = perform("keys", "create", "one", "--algorithm", NAME).strip()
    profile = re.sub("sim[0-9A-Za-z]{25}", key, home.config_file.read_text()).replace("default", "one")
    home.write_config(home.config_file.read_text() + profile)
    assert perform("--profile", "one", "run", NAME, "-d", "x") == "pushed x\n"
    for refused in (
        ["run", "demo/Hello", "-d", "x"],
        ["algorithms", "publish", NAME],
        ["algorithms", "unpublish", NAME, "0.2.0", "--yes"],
        ["builds", "logs", NAME],
        ["secrets", "set", NAME, "TOKEN"],
        ["keys", "create", "another"],
        ["mkdir", ".my/pictures"],
    ):
        perform("--profile", "one", *refused, code=ExitCode.AUTHENTICATION)
    perform("keys", "revoke", "one")
    perform("--profile", "one", "run", NAME, "-d", "x", code=ExitCode.AUTHENTICATION)


def test_from_the_template_to_the_removal(platform_home: Home, perform: Perform, is_served: bool) -> None:
    directory = platform_home.root / "greet"
    perform("template", TEMPLATE, directory)
    if not is_served:  # which makes no difference here, and needs a package index
        assert perform("run", directory, "-d", "HAL") == "hello HAL\n", "as it stands"
    (code,) = [path for path in directory.glob("src/*.py") if "ADK" in path.read_text()]
    code.write_text("def apply(input):\n    return 'hello ' + input\n")
    (directory / "requirements.txt").write_text("")
    if is_served:
        assert perform("algorithms", "create", ".my/greet") == f"Created {NAME}\n"
    publish(perform, directory, is_served, "0.1.0")
    assert perform("run", ".my/greet", "-d", "HAL") == "hello HAL\n"
    assert f"  algo run {NAME}/0.1.0 " in perform("show", NAME)

    code.write_text(code.read_text().replace("hello", "good day"))
    publish(perform, directory, is_served, "0.1.1")
    assert perform("run", NAME, "-d", "HAL") == "good day HAL\n"
    assert perform("run", f"{NAME}/0.1.0", "-d", "HAL") == "hello HAL\n", "versions never change"

    perform("algorithms", "update", NAME, "--tagline", "Greets", "--tag", "polite")
    assert NAME in perform("algorithms", "search", "polite")
    listed = json.loads(perform("algorithms", "versions", NAME, "--json"))
    assert [one["version_info"]["semantic_version"] for one in listed] == ["0.1.1", "0.1.0"]
    builds = json.loads(perform("builds", "list", NAME, "--json"))
    assert [build["status"] for build in builds] == ["succeeded"] * 2
    assert f"Built {NAME}" in perform("builds", "logs", NAME)

    inputs, results = platform_home.root / "inputs.jsonl", platform_home.root / "results.jsonl"
    inputs.write_text('"a"\n"b"\n')
    each = ("run", NAME, "--each", inputs, "-o", results)
    differing = perform(*each, "--compare", "0.1.0", code=ExitCode.FAILURE)
    assert "2 outputs differ between jane/greet/0.1.1 and 0.1.0" in differing
    results.unlink()
    perform(*each, "--compare", "0.1.1")
    replay = ("replay", f"{NAME}/0.1.1", "--recorded-version")
    assert "4 outputs not as recorded" in perform(*replay, "0.1.0", code=ExitCode.FAILURE)
    perform(*replay, "0.1.1")

    if is_served:
        push_a_change_and_call_it_with_a_key_of_its_own(platform_home, perform)
        perform("algorithms", "unpublish", NAME, "0.2.0", "--yes")
    for version in ("0.1.1", "0.1.0"):
        assert perform("algorithms", "unpublish", NAME, version, "--yes") == f"Withdrew {NAME}/{version}\n"
        perform("run", f"{NAME}/{version}", "-d", "x", code=ExitCode.NOT_FOUND)
    assert perform("algorithms", "delete", NAME, "--yes") == f"Deleted {NAME}\n"
    perform("show", NAME, code=ExitCode.NOT_FOUND)
    if not is_served:
        pruned = json.loads(perform("local", "prune", "--days", "0", "--json"))
        assert ({"source", "environment"} - {one["kind"] for one in pruned["removed"]}, pruned["in_use"]) == (set(), [])
