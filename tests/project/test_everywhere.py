"""The tests themselves: the same on every machine, for every person, at any time."""

from __future__ import annotations

import json
import os
import shutil
import stat
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest
from support.environments import ROOT
from support.machine import index_settings, link_tools
from support.order import FIRST

NOBODY = 65534


def as_nobody() -> list[str]:
    """What runs a command as another person, where that is possible."""
    places = [Path(sys.executable), ROOT, *ROOT.parents, *Path(sys.executable).resolve().parents]
    if os.getuid() or not shutil.which("setpriv") or not all(path.stat().st_mode & stat.S_IXOTH for path in places):
        return []
    return ["setpriv", f"--reuid={NOBODY}", f"--regid={NOBODY}", "--clear-groups"]


def collected(environ: Mapping[str, str], prefix: list[str]) -> list[str]:
    """The names of all tests, as whoever has this environment collects them."""
    words = [sys.executable, "-m", "pytest", "--collect-only", "-q", "-p", "no:cacheprovider", "--color=no"]
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("PYTEST_")}
    done = subprocess.run(
        [*prefix, *words], env={**inherited, **environ}, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        text=True, encoding="utf-8", timeout=600,
    )  # fmt: skip
    lines = done.stdout.splitlines()
    assert done.returncode == 0, lines[-20:]
    return [line for line in lines if "::" in line]


def test_the_same_tests_are_collected_by_everybody_at_any_time(request: pytest.FixtureRequest) -> None:
    """The workers of a parallel run begin in different seconds, and compare what they have collected."""
    there = {"PYTHONHASHSEED": "2", "TZ": "Pacific/Pago_Pago", "HOME": "/nonexistent", "LC_ALL": "C"}
    odd = {"PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0", "PYTHONDONTWRITEBYTECODE": "1", "TMPDIR": "/tmp"}
    mine = [item.nodeid for item in request.session.items]
    theirs = collected({**there, **odd}, as_nobody())
    assert len(theirs) > 3000
    assert [name for name in FIRST if not any(test.startswith(name) for test in theirs)] == []
    begins_first = [test.startswith(FIRST) for test in theirs]
    assert begins_first == sorted(begins_first, reverse=True)
    if request.config.args == request.config.getini("testpaths") and not request.config.option.keyword:
        assert sorted(set(mine) ^ set(theirs)) == []
        assert mine == theirs
    else:  # a part may have been named in any order
        assert sorted(set(mine) - set(theirs)) == []


FOREIGN = ("algo-own", "pipx", "uv", "uvx", "rclone", "python3", "pip", "conda")


@pytest.fixture
def foreign(tmp_path: Path) -> Path:
    """A directory of programs that nobody may run, and one that everybody may."""
    place = tmp_path / "their-bin"
    place.mkdir()
    for name in (*FOREIGN, "useful"):
        (place / name).write_text(f"#!/bin/sh\necho {name} was run >&2\nexit 9\n")
        (place / name).chmod(0o755)
    return place


def test_programs_that_algo_would_find_are_not_on_the_path_of_tests(foreign: Path, tmp_path: Path) -> None:
    (tmp_path / "bin").mkdir()
    path = link_tools(f"{foreign}:relative:/nowhere:/usr/bin:/bin", tmp_path / "bin")
    assert shutil.which("useful", path=path) == str(tmp_path / "bin" / "useful")
    assert subprocess.run(["sh", "-c", "ls | cat"], env={"PATH": path}, check=False).returncode == 0
    assert not set(FOREIGN) & set(os.listdir(path))


ASK = """
import json, locale, os, pathlib, shutil, sys, time, types
from support.machine import isolate
isolate(types.SimpleNamespace(pluginmanager=types.SimpleNamespace(getplugin=lambda name: None)), pathlib.Path(sys.argv[1]))
print(json.dumps([dict(os.environ), locale.getpreferredencoding(False), os.umask(0), os.listdir(os.environ["HOME"]), time.tzname[0]]))
"""

SETTINGS = (
    *("ALGO_PROFILE", "ALGORITHMIA_API_KEY", "XDG_CONFIG_HOME", "LC_MESSAGES", "LANGUAGE", "PIP_TARGET", "PIP_USER"),
    *("UV_OFFLINE", "PYTHONUNBUFFERED", "NO_COLOR", "COLUMNS", "http_proxy", "REQUESTS_CA_BUNDLE", "PYTEST_ADDOPTS"),
)


def test_what_the_person_has_set_reaches_no_test(foreign: Path, tmp_path: Path) -> None:
    person = dict.fromkeys(SETTINGS, "x") | {
        "HOME": str(ROOT),
        "PATH": f"{foreign}:{os.environ['PATH']}",
        "TZ": "Asia/Tokyo",
    }
    person |= {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0", "PYTHONPATH": str(ROOT / "tests")}
    person |= {"PIP_INDEX_URL": "https://packages.example/simple", "PIP_NO_COMPILE": "1", "TMPDIR": str(tmp_path)}
    (tmp_path / "clean").mkdir()
    (tmp_path / "ask.py").write_text(ASK)
    done = subprocess.run(
        [sys.executable, tmp_path / "ask.py", tmp_path / "clean"],
        env=person, umask=0o077, capture_output=True, text=True, check=True,
    )  # fmt: skip
    environ, encoding, umask, home, zone = json.loads(done.stdout)
    assert not set(SETTINGS) & set(environ)
    assert not [name for name in environ if name.startswith(("LC_", "PYTHON"))]
    assert (encoding.lower(), umask, home, zone) == ("utf-8", 0o022, [], "UTC")
    assert not set(FOREIGN) & set(os.listdir(environ["PATH"]))
    assert environ["PIP_INDEX_URL"] == "https://packages.example/simple"
    assert environ["TMPDIR"] == str(tmp_path)


def test_how_packages_are_reached_is_taken_over_and_nothing_else(tmp_path: Path) -> None:
    (tmp_path / "pip.conf").write_text(
        "[global]\nindex-url = https://g.example/simple\ncert = /g.pem\nrequire-virtualenv = true\n"
        "[install]\nfind-links =\n    /one\n    /two\nuser = true\n"
    )
    person = {"PIP_CONFIG_FILE": str(tmp_path / "pip.conf"), "PIP_CERT": "/p.pem", "HTTPS_PROXY": "http://proxy:1"}
    found = index_settings({**person, "HOME": str(tmp_path), "PIP_NO_DEPS": "1"})
    assert found["PIP_INDEX_URL"] == "https://g.example/simple"
    assert (found["PIP_CERT"], found["PIP_PROXY"]) == ("/p.pem", "http://proxy:1")
    assert found["PIP_FIND_LINKS"].split() == ["/one", "/two"]
    assert found["PIP_CONFIG_FILE"] == os.devnull
    assert not {"PIP_REQUIRE_VIRTUALENV", "PIP_USER", "PIP_NO_DEPS"} & set(found)
