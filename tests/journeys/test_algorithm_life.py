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

Algo = Callable[..., str]
TEMPLATE = "0057588b-b42c-4454-a391-87b90f854116"
NAME = "jane/greet"


@pytest.fixture
def algo(platform_home: Home) -> Iterator[Algo]:
    """Run a command; what it printed, or where it must end with another exit code than 0, its error."""
    platform_home.environ["ALGO_LOCAL_KEEP_SECONDS"] = "60"  # as it is for a person

    def algo(*arguments: str | Path, code: ExitCode = ExitCode.OK, **options: str) -> str:
        done = platform_home.run(*arguments, **options)  # type: ignore[arg-type]
        assert done.code == code, done.stderr
        return done.text if code == ExitCode.OK else done.stderr

    yield algo
    platform_home.run("local", "stop")


@pytest.fixture
def is_served(platform_home: Home) -> bool:
    return platform_home.config_file.exists()


def publish(algo: Algo, directory: Path, is_served: bool, version: str) -> None:
    """Publish a directory, in the way that the platform offers: on this machine's own, or on another."""
    if is_served:
        algo("algorithms", "compile", NAME, "--source", directory)
        assert algo("algorithms", "publish", NAME, "--patch", "--public") == f"Published {NAME}/{version}\n"
    else:
        assert algo("local", "publish", directory, NAME) == f"Published {NAME}/{version}\n"


def push_a_change_and_call_it_with_a_key_of_its_own(home: Home, algo: Algo) -> None:
    needs("git")
    clone = home.root / "clone"
    algo("clone", NAME, clone)
    (code,) = [path for path in clone.glob("src/*.py") if "good day" in path.read_text()]
    code.write_text("def apply(input):\n    return 'pushed ' + input\n")
    author = {f"GIT_{who}_{what}": "jane@x.test" for who in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")}
    for words in (["commit", "-qam", "Change"], ["push", "-q"]):
        done = subprocess.run(
            ["git", *words], cwd=clone, env={**home.environ, **author}, capture_output=True, text=True, check=False
        )
        assert done.returncode == ExitCode.OK, done.stderr
    assert "Built jane/greet" in algo("builds", "logs", NAME, "--follow"), "the push started a build"
    assert algo("algorithms", "publish", NAME, "--public", "--notes", "Pushed") == f"Published {NAME}/0.2.0\n"

    assert "Did you mean jane/greet?" in algo(
        "keys", "create", "one", "--algorithm", "jane/great", code=ExitCode.NOT_FOUND
    )
    key = algo("keys", "create", "one", "--algorithm", NAME).strip()
    profile = re.sub("sim[0-9A-Za-z]{25}", key, home.config_file.read_text()).replace("default", "one")
    home.write_config(home.config_file.read_text() + profile)
    assert algo("--profile", "one", "run", NAME, "-d", "x") == "pushed x\n"
    for refused in (
        ["run", "demo/Hello", "-d", "x"],
        ["algorithms", "publish", NAME],
        ["algorithms", "unpublish", NAME, "0.2.0", "--yes"],
        ["builds", "logs", NAME],
        ["secrets", "set", NAME, "TOKEN"],
        ["keys", "create", "another"],
        ["mkdir", ".my/pictures"],
    ):
        algo("--profile", "one", *refused, code=ExitCode.AUTHENTICATION)
    algo("keys", "revoke", "one")
    algo("--profile", "one", "run", NAME, "-d", "x", code=ExitCode.AUTHENTICATION)


def test_from_the_template_to_the_removal(platform_home: Home, algo: Algo, is_served: bool) -> None:
    directory = platform_home.root / "greet"
    algo("template", TEMPLATE, directory)
    if not is_served:  # which makes no difference here, and needs a package index
        assert algo("run", directory, "-d", "HAL") == "hello HAL\n", "as it stands"
    (code,) = [path for path in directory.glob("src/*.py") if "ADK" in path.read_text()]
    code.write_text("def apply(input):\n    return 'hello ' + input\n")
    (directory / "requirements.txt").write_text("")
    if is_served:
        assert algo("algorithms", "create", ".my/greet") == f"Created {NAME}\n"
    publish(algo, directory, is_served, "0.1.0")
    assert algo("run", ".my/greet", "-d", "HAL") == "hello HAL\n"
    assert f"  algo run {NAME}/0.1.0 " in algo("show", NAME)

    code.write_text(code.read_text().replace("hello", "good day"))
    publish(algo, directory, is_served, "0.1.1")
    assert algo("run", NAME, "-d", "HAL") == "good day HAL\n"
    assert algo("run", f"{NAME}/0.1.0", "-d", "HAL") == "hello HAL\n", "versions never change"

    algo("algorithms", "update", NAME, "--tagline", "Greets", "--tag", "polite")
    assert NAME in algo("algorithms", "search", "polite")
    listed = json.loads(algo("algorithms", "versions", NAME, "--json"))
    assert [one["version_info"]["semantic_version"] for one in listed] == ["0.1.1", "0.1.0"]
    builds = json.loads(algo("builds", "list", NAME, "--json"))
    assert [build["status"] for build in builds] == ["succeeded"] * 2
    assert f"Built {NAME}" in algo("builds", "logs", NAME)

    inputs, results = platform_home.root / "inputs.jsonl", platform_home.root / "results.jsonl"
    inputs.write_text('"a"\n"b"\n')
    each = ("run", NAME, "--each", inputs, "-o", results)
    differing = algo(*each, "--compare", "0.1.0", code=ExitCode.FAILURE)
    assert "2 outputs differ between jane/greet/0.1.1 and 0.1.0" in differing
    results.unlink()
    algo(*each, "--compare", "0.1.1")
    replay = ("replay", f"{NAME}/0.1.1", "--recorded-version")
    assert "4 outputs not as recorded" in algo(*replay, "0.1.0", code=ExitCode.FAILURE)
    algo(*replay, "0.1.1")

    if is_served:
        push_a_change_and_call_it_with_a_key_of_its_own(platform_home, algo)
        algo("algorithms", "unpublish", NAME, "0.2.0", "--yes")
    for version in ("0.1.1", "0.1.0"):
        assert algo("algorithms", "unpublish", NAME, version, "--yes") == f"Withdrew {NAME}/{version}\n"
        algo("run", f"{NAME}/{version}", "-d", "x", code=ExitCode.NOT_FOUND)
    assert algo("algorithms", "delete", NAME, "--yes") == f"Deleted {NAME}\n"
    algo("show", NAME, code=ExitCode.NOT_FOUND)
    if not is_served:
        pruned = json.loads(algo("local", "prune", "--days", "0", "--json"))
        assert ({"source", "environment"} - {one["kind"] for one in pruned["removed"]}, pruned["in_use"]) == (set(), [])
