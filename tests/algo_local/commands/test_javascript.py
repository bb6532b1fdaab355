"""An algorithm in JavaScript from its template to a published version, by commands only."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from support.programs import needs

from algo_core.errors import ExitCode
from algo_core.testing import Home


@pytest.fixture
def greet(algo_home: Home, tmp_path: Path) -> Path:
    needs("npm")
    done = algo_home.run("template", "javascript", "greet", cwd=tmp_path)
    assert (done.code, "Unpacked 4 files of Node.js into greet\n" in done.stderr) == (ExitCode.OK, True), done.stderr
    return tmp_path / "greet"


def test_from_a_template_to_a_published_version(algo_home: Home, greet: Path) -> None:
    def run(*words: str) -> str:
        done = algo_home.run(*words, cwd=greet.parent)
        assert done.code == ExitCode.OK, done.stderr
        return done.text

    assert run("run", "./greet", "-d", "Jane") == "hello Jane\n"
    tested = run("local", "test", "./greet")
    assert "# pass 1" in tested or "\u2139 pass 1" in tested
    assert tested.endswith("ok      sample_input\n")
    assert run("local", "shell", "./greet", "--", "node", "-p", "process.cwd()") == f"{greet}\n"
    published = run("local", "publish", "./greet").split()[1]
    assert published.endswith("/greet/0.1.0")
    assert run("run", published, "-d", "HAL") == "hello HAL\n"
    shown = json.loads(run("algorithms", "show", published.rpartition("/")[0], "--json"))
    assert shown["settings"]["language"] == "javascript"
    assert run("local", "publish", "./greet") == f"Unchanged since {published}: nothing was published\n"


def test_a_failing_test_and_a_failing_call(algo_home: Home, greet: Path) -> None:
    (module,) = (path for path in greet.glob("src/*.js") if not path.name.endswith("_test.js"))
    module.write_text(
        "const help = (text) => {\n  throw new Error('no ' + text);\n};\nexports.apply = (input) => help(input);\n"
    )
    done = algo_home.run("local", "test", "./greet", "--json", cwd=greet.parent)
    assert (done.code, done.json["tests"]["exit_code"]) == (ExitCode.FAILURE, 1)
    assert done.json["cases"] == [{"case_name": "sample_input", "failure": "it failed: no Jane"}]
    failed = algo_home.run("run", "./greet", "-d", "x", cwd=greet.parent)
    assert failed.code == ExitCode.FAILURE
    lines = failed.stderr.splitlines()
    assert [line.partition(" (")[2] for line in lines if line.startswith("    at ")] == [
        "./greet/src/greet.js:2:9)",
        "./greet/src/greet.js:4:28)",
    ], failed.stderr
    assert lines[-1] == "error: no x"
    module.write_text("const _ = require('lodash/fp');\nexports.apply = () => 1;\n")
    missing = algo_home.run("run", "./greet", "-d", "x", cwd=greet.parent)
    assert "hint: Add lodash to the dependencies in the algorithm's package.json: npm install lodash" in missing.stderr


def test_without_node_it_is_neither_listed_nor_offered(algo_home: Home, tmp_path: Path) -> None:
    off = {"ALGO_LOCAL_NODE": "off"}
    assert "javascript" not in algo_home.run("languages", environ=off).text
    done = algo_home.run("template", "javascript", tmp_path / "greet", environ=off)
    assert (done.code, "has no language 'javascript'" in done.stderr) == (ExitCode.NOT_FOUND, True)
    wrong = algo_home.run("languages", environ={"ALGO_LOCAL_NODE": "/no/such/node"})
    assert (wrong.code, "ALGO_LOCAL_NODE is not the path of Node.js" in wrong.stderr) == (ExitCode.CONFIGURATION, True)
