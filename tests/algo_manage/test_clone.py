"""`algo clone`, and pushes from what it made, with git itself."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from support.programs import needs
from support.serving import Served
from support.stub import StubPlatform, json_answer

from algo_core.errors import ExitCode
from algo_core.testing import Home


@pytest.fixture
def served_home(algo_home: Home) -> Iterator[Home]:
    """A home with the profile `work` for jane on a served platform."""
    needs("git")
    served = Served(environ=algo_home.environ)
    key = algo_home.run("local", "key", "new", "jane").text.strip()
    algo_home.write_config(f'[profiles.work]\naddress = "{served.address}"\napi_key = "{key}"\n')
    algo_home.environ |= {
        f"GIT_{who}_{what}": "jane@x.test" for who in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")
    }
    yield algo_home
    served.kill()


def test_a_clone_pushes_without_the_key_in_a_file(served_home: Home) -> None:
    home, clone = served_home, served_home.root / "Greeter"
    assert home.run("--profile", "work", "algorithms", "create", "jane/Greeter").code == ExitCode.OK
    done = home.run("--profile", "work", "clone", "jane/Greeter")
    assert done.code == ExitCode.OK, done.stderr
    assert (clone / "src" / "Greeter.py").is_file()
    key = home.config_file.read_text().split('"')[-2]
    for file in (clone / ".git").rglob("*"):
        assert file.is_dir() or key.encode() not in file.read_bytes(), file

    (clone / "requirements.txt").unlink()
    (clone / "src" / "Greeter.py").write_text("def apply(input):\n    return 'pushed ' + input\n")
    environ = {**home.environ, "GIT_TERMINAL_PROMPT": "0"}
    for words in (["commit", "-qam", "Change"], ["push"]):
        pushed = subprocess.run(["git", *words], cwd=clone, env=environ, capture_output=True, text=True)
        assert pushed.returncode == 0, pushed.stderr
    assert "algo builds logs jane/Greeter --follow" in pushed.stderr
    commit = subprocess.run(["git", "rev-parse", "HEAD"], cwd=clone, env=environ, capture_output=True, text=True).stdout
    followed = home.run("--profile", "work", "algorithms", "compile", "jane/Greeter")
    assert followed.text == commit
    assert home.run("--profile", "work", "run", f"jane/Greeter/{commit.strip()}", "-d", "x").text == "pushed x\n"
    again = home.run("--profile", "work", "clone", "jane/Greeter")
    assert (again.code, "not empty" in again.stderr) == (ExitCode.USAGE, True)


@pytest.mark.parametrize(
    ("asked", "told"),
    [
        ("protocol=http\nhost=HOST\n", True),
        ("protocol=https\nhost=HOST\n", False),
        ("protocol=http\nhost=evil.test\n", False),
        ("", False),
    ],
)
def test_the_key_is_told_for_its_own_platform_only(home: Home, stub: StubPlatform, asked: str, told: bool) -> None:
    done = home.run("git-credential", "get", input=asked.replace("HOST", stub.address.removeprefix("http://")))
    assert done.code == ExitCode.OK
    assert ("password=sim" in done.text) is told
    assert home.run("git-credential", "store", input=asked).stdout == b""


def test_what_cannot_be_cloned(algo_home: Home, home: Home, stub: StubPlatform, tmp_path: Path) -> None:
    stub.on("GET", "/v1/algorithms/demo/Hello", json_answer({"owner": "demo", "name": "Hello"}))
    identifier = "1e7a0e5e-0f3a-4b7e-9a52-6b3f4c0d2a11"
    stub.on("GET", f"/v1/algorithms/{identifier}", json_answer({"owner": "demo", "name": "../../outside"}))
    assert home.run("clone", identifier).code == ExitCode.PLATFORM
    assert home.run("clone", "demo/Hello", environ={"PATH": str(tmp_path)}).code == ExitCode.CONFIGURATION
    failed = home.run("clone", "demo/Hello")
    assert (failed.code, "could not clone" in failed.stderr) == (ExitCode.FAILURE, True)
    assert not os.path.exists(home.root / "Hello")


def test_the_embedded_platform_has_no_address_for_git(algo_home: Home) -> None:
    done = algo_home.run("clone", "demo/Hello")
    assert done.code == ExitCode.USAGE
    assert "algo local serve" in done.stderr
