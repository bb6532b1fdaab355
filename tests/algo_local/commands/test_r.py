"""An algorithm in R from its template to a published version, by commands only."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from support.programs import needs

from algo_core.errors import ExitCode
from algo_core.testing import Home


@pytest.fixture
def greet(algo_home: Home, tmp_path: Path) -> Path:
    needs("Rscript")
    done = algo_home.run("template", "r", "greet", cwd=tmp_path)
    assert (done.code, "Unpacked 4 files of R into greet\n" in done.stderr) == (ExitCode.OK, True), done.stderr
    return tmp_path / "greet"


def test_from_a_template_to_a_published_version(algo_home: Home, greet: Path) -> None:
    def run(*words: str) -> str:
        done = algo_home.run(*words, cwd=greet.parent)
        assert done.code == ExitCode.OK, done.stderr
        return done.text

    assert run("run", "./greet", "-d", "Jane") == "hello Jane\n"
    assert run("local", "test", "./greet") == "ok      src/greet_test.R \nok      sample_input\n"
    assert run("local", "shell", "./greet", "--", "Rscript", "-e", "cat(getwd())") == str(greet)
    published = run("local", "publish", "./greet").split()[1]
    assert published.endswith("/greet/0.1.0")
    assert run("run", published, "-d", "HAL") == "hello HAL\n"
    shown = json.loads(run("algorithms", "show", published.rpartition("/")[0], "--json"))
    assert shown["settings"]["language"] == "r"
    assert run("local", "publish", "./greet") == f"Unchanged since {published}: nothing was published\n"


def test_a_failing_test_and_a_failing_call(algo_home: Home, greet: Path) -> None:
    (module,) = (path for path in greet.glob("src/*.R") if not path.name.endswith("_test.R"))
    module.write_text(
        "help_with <- function(text) {\n  stop('no ', text)\n}\nalgorithm <- function(input) help_with(input)\n"
    )
    done = algo_home.run("local", "test", "./greet", "--json", cwd=greet.parent)
    assert (done.code, done.json["tests"]["exit_code"]) == (ExitCode.FAILURE, 1)
    assert done.json["cases"] == [{"case_name": "sample_input", "failure": "it failed: no Jane"}]
    failed = algo_home.run("run", "./greet", "-d", "x", cwd=greet.parent)
    assert failed.code == ExitCode.FAILURE
    assert failed.stderr.splitlines() == [
        "Error: no x",
        "    at help_with (./greet/src/greet.R:2:3)",
        "    at algorithm (./greet/src/greet.R:4:14)",
        "error: no x",
    ]
    module.write_text("library(no.such)\nalgorithm <- function(input) 1\n")
    missing = algo_home.run("run", "./greet", "-d", "x", cwd=greet.parent)
    assert "hint: Install it in this machine's R library: Rscript -e 'install.packages(\"no.such\")'" in missing.stderr


def test_without_r_it_is_neither_listed_nor_offered(algo_home: Home, tmp_path: Path) -> None:
    off = {"ALGO_LOCAL_R": "off"}
    assert "R (Environments)" not in algo_home.run("languages", environ=off).text
    done = algo_home.run("template", "r", tmp_path / "greet", environ=off)
    assert (done.code, "has no language 'r'" in done.stderr) == (ExitCode.NOT_FOUND, True)
    wrong = algo_home.run("languages", environ={"ALGO_LOCAL_R": "/no/such/Rscript"})
    assert (wrong.code, "ALGO_LOCAL_R is not the path of R" in wrong.stderr) == (ExitCode.CONFIGURATION, True)
