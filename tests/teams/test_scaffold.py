"""`algo plugins new`: the project that it makes works as it is, and nothing that exists is ever touched."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from support.environments import Environment

from algo_core.errors import ExitCode
from algo_core.settings.paths import ISOLATED_FACTS, isolated_dir
from algo_core.testing import Home
from algo_plugins.scaffold import TEMPLATES
from algo_plugins.scaffold.kinds import KINDS


@pytest.fixture
def work(tmp_path: Path) -> Path:
    work = tmp_path / "work"
    work.mkdir()
    return work


def everything(directory: Path) -> set[str]:
    return {str(path.relative_to(directory)) for path in directory.rglob("*")}


PROJECTS = {
    "acme-reports": ["--command"],
    "acme-archive": ["--connector"],
    "acme-bundle": ["--bundle"],
    "acme-cluster": ["--executor"],
}
"""A project of each kind, and its option."""

ANY_NAME = ("a", "x2", "algo-zz", "abcdefghij-abcdefghij-abcdefghij-abcdefg")


def test_there_is_a_project_of_each_kind() -> None:
    assert [options[0].removeprefix("--") for options in PROJECTS.values()] == list(KINDS)
    assert {path.name for path in TEMPLATES.iterdir()} == {"shared", *KINDS}


@pytest.fixture
def environment(team_environment: Environment, tmp_path: Path) -> Iterator[Environment]:
    """The team's environment, from which the projects are removed again: others use it."""
    yield team_environment
    team_environment.run("python", "-m", "pip", "uninstall", "--yes", *PROJECTS, cwd=tmp_path, environ=os.environ)


def test_a_project_of_each_kind_passes_its_own_tests(environment: Environment, tmp_path: Path, work: Path) -> None:
    home = Home(tmp_path / "home", program=environment.bin / "algo")
    for name, options in PROJECTS.items():
        made = home.run("plugins", "new", name, *options, cwd=work)
        assert made.code == ExitCode.OK, made.stderr
        files = {f"{name}/{path}" for path in everything(work / name) if (work / name / path).is_file()}
        assert {str(Path(line)) for line in made.text.splitlines()} == files
    environment.install(
        "--no-build-isolation", *(word for name in PROJECTS for word in ("--editable", f"{work / name}[test]"))
    )
    assert "Acme reports:\n  acme-reports" in home.run("--help").text
    assert home.run("acme-reports", "World").text == "Hello World\n"
    assert home.run("profile", "show", "--json").json["origin"] == "acme-bundle"
    checks = ["ruff", "check", "."], ["ruff", "format", "--check", "."], ["mypy"]
    for name in PROJECTS:
        for words in (*checks, ["pytest", "-q"]):
            done = environment.run(*words, cwd=work / name, environ=home.environ)
            assert done.returncode == 0, f"{name}: {done.stdout}"
        assert " passed" in done.stdout


@pytest.mark.parametrize("kind", KINDS)
def test_a_project_of_any_name_is_in_good_style(algo_home: Home, work: Path, kind: str) -> None:
    for name in ANY_NAME:
        words = [f"--{kind}", "acme"] if KINDS[kind].names and name == "a" else [f"--{kind}"]
        assert algo_home.run("plugins", "new", name, *words, cwd=work).code == ExitCode.OK
    ruff = Path(sys.executable).with_name("ruff")
    for words in (["check"], ["format", "--check"]):
        subprocess.run([ruff, *words, "--no-cache", work], check=True)
    for path in work.rglob("*"):
        assert not re.search(r"__[A-Z_]+__|\.tmpl", path.name + (path.read_text() if path.is_file() else ""))


@pytest.mark.parametrize(
    ("name", "hint"),
    [
        ("Acme_Reports", "acme-reports"),
        ("acme.reports", "acme-reports"),
        ("../acme", "acme"),
        ("2acme", "acme"),
        ("acme-", "acme"),
        ("json", "acme-json"),
        ("click", "acme-click"),
        ("lambda", "acme-lambda"),
        ("tests", "acme-tests"),
        ("test", "acme-test"),
        ("distutils", "acme-distutils"),
        ("annotationlib", "acme-annotationlib"),
        ("cgi", "acme-cgi"),
        ("algo-core", "acme-core"),
        ("algo-run", "acme-run"),
        ("algo-connectors", "acme-connectors"),
        ("rich", "acme-rich"),
        ("pip", "acme-pip"),
        ("tomlkit", "acme-tomlkit"),
        ("yaml", "acme-yaml"),
        ("sync", "--command NAME"),
        ("algo-requests", "--command NAME"),
        ("x" * 41, "x" * 40),
        ("", "letters"),
        ("日本", "letters"),
    ],
)
def test_a_name_that_does_not_do_is_refused(algo_home: Home, work: Path, name: str, hint: str) -> None:
    result = algo_home.run("plugins", "new", name, cwd=work)
    assert result.code == ExitCode.USAGE
    assert hint in result.stderr.partition("hint:")[2]
    assert everything(work) == set()


def test_a_command_that_is_built_in_is_refused(algo_home: Home, work: Path) -> None:
    result = algo_home.run("plugins", "new", "algo-auth", cwd=work)
    assert result.code == ExitCode.USAGE
    assert "--command" in result.stderr
    assert everything(work) == set()
    named = algo_home.run("plugins", "new", "algo-auth", "--command", "login", cwd=work)
    assert named.code == ExitCode.OK
    assert '"login"' in (work / "algo-auth" / "algo_auth" / "plugin.py").read_text()


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["acme", "--connector", "--bundle"], "--connector cannot be combined with --bundle"),
        (["acme", "--command", "x", "--connector", "y", "--bundle"], "--command, --connector cannot be combined"),
        ([], "The name of the project is missing"),
        (["--bundle"], "The name of the project is missing"),
        (["--connector"], "The name of the project is missing"),
        (["acme", "--connector", "data"], "The scheme data:// means the same"),
        (["acme", "--connector", "file"], "The scheme file:// means the same"),
        (["acme", "--connector", "x"], "could be the drive in a path"),
        (["a", "--connector"], "could be the drive in a path"),
        (["acme", "--connector", "S3"], "Not a valid name for a scheme: 'S3'"),
        (["acme", "--connector", "a://"], "Not a valid name for a scheme: 'a://'"),
        (["acme", "--executor", "Slurm"], "Not a valid name for an executor: 'Slurm'"),
        (["acme", "--executor", "--bundle"], "--bundle cannot be combined with --executor"),
        (["acme", "--command", "two words"], "Not a valid name for a command: 'two words'"),
        (["algo-run", "--command", "other"], "The distribution algo-run is a part of algo itself"),
        (["algo-s3", "--connector"], "have a scheme 's3' already"),
        (["--connector", "algo-s3"], "have a scheme 's3' already"),
        (["algo-ls"], "algo-data 1.0.0 has a command 'ls' already"),
        (["algo-algorithms"], "algo-manage 1.0.0 has a command 'algorithms' already"),
        (["algo-profiles", "--bundle"], "'profiles' is a part of config.toml"),
        (["algo-timeout", "--bundle"], "'timeout' is a part of config.toml"),
    ],
    ids=" ".join,
)
def test_what_does_not_go_together_makes_nothing(algo_home: Home, work: Path, words: list[str], told: str) -> None:
    result = algo_home.run("plugins", "new", *words, cwd=work)
    assert result.code == ExitCode.USAGE
    assert told in result.stderr
    assert "hint: " in result.stderr
    assert everything(work) == set()


def test_names_of_plugins_in_environments_of_their_own_are_taken_as_well(algo_home: Home, work: Path) -> None:
    facts = {"name": "acme-far", "version": "2.0", "requirement": "acme-far", "core": None,
             "commands": {"far": "Far."}, "connectors": ["farther"]}  # fmt: skip
    place = Path(isolated_dir(algo_home.environ)) / "acme-far"
    place.mkdir(parents=True)
    (place / ISOLATED_FACTS).write_text(json.dumps(facts))
    for words, what in ((["algo-far"], "a command 'far'"), (["algo-farther", "--connector"], "a scheme 'farther'")):
        refused = algo_home.run("plugins", "new", *words, cwd=work)
        assert refused.code == ExitCode.USAGE
        assert f"acme-far 2.0 has {what} already" in refused.stderr
    assert everything(work) == set()


def test_the_only_word_after_a_kind_is_the_projects_name(algo_home: Home, work: Path) -> None:
    for kind in ("command", "executor", "connector"):
        made = algo_home.run("plugins", "new", f"--{kind}", f"acme-{kind}", "--json", cwd=work)
        assert made.code == ExitCode.OK
        assert (made.json["kind"], made.json["distribution"]) == (kind, f"acme-{kind}")
    assert made.json["scheme"] == "acme-connector"
    assert "acme_connector/storage.py" in made.json["files"]


def test_a_scheme_that_another_plugin_has_is_told(algo_home: Home, work: Path) -> None:
    result = algo_home.run("plugins", "new", "acme-store", "--connector", "s3", "--json", cwd=work)
    assert result.code == ExitCode.OK
    assert "algo-connectors 1" in result.stderr
    assert result.json["scheme"] == "s3"


def test_a_command_that_another_plugin_has_is_told(algo_home: Home, work: Path) -> None:
    result = algo_home.run("plugins", "new", "acme-reports", "--command", "run", "--json", cwd=work)
    assert result.code == ExitCode.OK
    assert "algo-run 1" in result.stderr
    assert (result.json["command"], result.json["directory"]) == ("run", "acme-reports")
    assert "acme_reports/plugin.py" in result.json["files"]


@pytest.mark.parametrize("there", ["a file", "a directory", "a link"])
def test_what_exists_is_never_touched(algo_home: Home, work: Path, there: str) -> None:
    place = work / "acme-reports"
    if there == "a file":
        place.write_text("precious")
    else:
        (work / "elsewhere").mkdir()
        (work / "elsewhere" / "README.md").write_text("precious")
        place.symlink_to("elsewhere") if there == "a link" else (work / "elsewhere").rename(place)
    before = everything(work)
    result = algo_home.run("plugins", "new", "acme-reports", cwd=work)
    assert result.code == ExitCode.FAILURE
    assert "--dir" in result.stderr
    assert everything(work) == before
    assert (place if there == "a file" else place / "README.md").read_text() == "precious"


def test_the_place_can_be_chosen(algo_home: Home, work: Path) -> None:
    (work / "empty").mkdir()
    for place in ("empty", "new/below", "."):
        result = algo_home.run("plugins", "new", "acme-reports", "--dir", work / place, cwd=work)
        assert result.code == (ExitCode.FAILURE if place == "." else ExitCode.OK), result.stderr
    assert (work / "empty" / "acme_reports" / "plugin.py").exists()
    assert (work / "new" / "below" / "pyproject.toml").exists()
    assert everything(work / "empty") == everything(work / "new" / "below")


def test_a_place_that_cannot_be_written_is_told_and_nothing_is_left(algo_home: Home, work: Path) -> None:
    (work / "file").write_text("")
    result = algo_home.run("plugins", "new", "acme-reports", "--dir", work / "file" / "below", cwd=work)
    assert result.code == ExitCode.FAILURE
    assert "Traceback" not in result.stderr
    assert everything(work) == {"file"}
