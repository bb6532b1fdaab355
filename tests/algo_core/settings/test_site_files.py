"""The administrator's file of the system always counts; what variables add can only make it stricter."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from algo_core.errors import ExitCode
from algo_core.testing import Home

ELSEWHERE = """
from algo_core.settings import paths
paths.system_site_file = lambda: {file!r}
"""

LIFTED = {
    "nothing": {},
    "/dev/null": {"ALGO_SITE_CONFIG": "/dev/null"},
    "an empty file": {"ALGO_SITE_CONFIG": "{empty}"},
    "a missing file": {"ALGO_SITE_CONFIG": "{empty}.missing"},
    "no variable": {"ALGO_SITE_CONFIG": ""},
    "another directory": {"XDG_CONFIG_DIRS": "/nowhere", "ALGO_SITE_CONFIG": ""},
    "no directory": {"XDG_CONFIG_DIRS": "", "ALGO_SITE_CONFIG": ""},
    "a file that allows all": {"ALGO_SITE_CONFIG": "{lifting}"},
    "a directory that allows all": {"XDG_CONFIG_DIRS": "{lifting_dir}"},
}

LIFTING = """
timeout = 1
[profiles.default]
address = "https://other.example"
[enforce]
address = "https://other.example"
timeout = 1
retries = 0
[plugins]
allow = ["*"]
deny = []
require = []
[plugins.commands]
greet = "acme-b"
"""

SYSTEM = """
[profiles.default]
address = "https://mine.example"
[enforce]
timeout = 33
address = "https://corp.example"
[plugins]
allow = ["algo-*", "acme-good", "acme-a"]
deny = ["acme-bad"]
require = ["acme-good"]
[plugins.commands]
greet = "acme-a"
"""


@pytest.fixture
def system(algo_home: Home, plugin_folder, tmp_path: Path) -> Path:
    """The administrator's file of the system, which for these processes lies elsewhere: its place is not to be set."""
    file = tmp_path / "etc" / "config.toml"
    file.parent.mkdir()
    (plugin_folder.path / "sitecustomize.py").write_text(ELSEWHERE.format(file=str(file)))
    algo_home.environ["PYTHONPATH"] = str(plugin_folder.path)
    algo_home.environ["ALGO_CACHE_DIR"] = str(algo_home.root / "cache")
    return file


@pytest.fixture
def environ(tmp_path: Path) -> Callable[[str], dict[str, str]]:
    """Variables by what they attempt."""
    (tmp_path / "empty.toml").write_text("")
    (tmp_path / "lifting.toml").write_text(LIFTING)
    (tmp_path / "xdg" / "algo").mkdir(parents=True)
    (tmp_path / "xdg" / "algo" / "config.toml").write_text(LIFTING)
    files = {
        "empty": str(tmp_path / "empty.toml"),
        "lifting": str(tmp_path / "lifting.toml"),
        "lifting_dir": f"/nowhere{os.pathsep}{tmp_path / 'xdg'}",
    }
    return lambda how: {name: value.format(**files) for name, value in LIFTED[how].items()}


@pytest.mark.parametrize("how", LIFTED)
def test_no_variable_lifts_the_systems_file(
    algo_home: Home, system: Path, environ: Callable[[str], dict[str, str]], add_command, how: str
) -> None:
    system.write_text(SYSTEM)
    for name, command in (("acme-good", "good"), ("acme-bad", "bad"), ("acme-other", "other"), ("acme-a", "greet")):
        add_command(name, command, text=name)
    algo_home.environ |= environ(how)
    algo_home.write_config(
        '[profiles.default]\naddress = "https://user.example"\n[plugins]\ndisabled = ["acme-good"]\n'
    )
    rows = {row["key"]: (row["value"], row["origin"]) for row in algo_home.run("config", "list", "--json").json}
    assert rows["timeout"] == (33.0, f"enforced by {system}")
    assert rows["address"] == ("https://corp.example", f"enforced by {system}")
    statuses = {row["distribution"]: row["status"] for row in algo_home.run("plugins", "list", "--json").json}
    assert statuses["acme-bad"] == f"denied by {system}"
    assert statuses["acme-other"] == f"not allowed by {system}"
    assert algo_home.run("good").text == "acme-good\n"
    assert algo_home.run("greet").text == "acme-a\n"


def test_a_second_file_adds_what_is_stricter(algo_home: Home, system: Path, add_command, tmp_path: Path) -> None:
    for name, command in (("acme-a", "a"), ("acme-b", "b"), ("acme-c", "c"), ("acme-d", "d")):
        add_command(name, command, text=name)
    system.write_text(
        'retries = 7\n[enforce]\ntimeout = 33\n[plugins]\nallow = ["acme-a", "acme-b", "acme-c"]\ndeny = ["acme-b"]\n'
    )
    more = tmp_path / "more.toml"
    more.write_text('retries = 1\nconnect_timeout = 4\n[enforce]\ntimeout = 1\nretries = 2\n'
                    '[plugins]\nallow = ["acme-a", "acme-b", "acme-d"]\nrequire = ["acme-z"]\nhelp = "ask the help desk"\n')  # fmt: skip
    algo_home.environ["ALGO_SITE_CONFIG"] = str(more)
    rows = {row["key"]: (row["value"], row["origin"]) for row in algo_home.run("config", "list", "--json").json}
    assert rows["timeout"] == (33.0, f"enforced by {system}")
    assert rows["retries"] == (2, f"enforced by {more}")
    assert rows["connect_timeout"] == (4.0, str(more))
    statuses = {row["distribution"]: row["status"] for row in algo_home.run("plugins", "list", "--json").json}
    assert statuses["acme-a"] == "ok"
    assert statuses["acme-b"] == f"denied by {system}"
    assert statuses["acme-c"] == f"not allowed by {more}"
    assert statuses["acme-d"] == f"not allowed by {system}"
    result = algo_home.run("a")
    assert (result.code, result.text) == (ExitCode.CONFIGURATION, "")
    assert f"acme-z is required by {more}" in result.stderr
    assert "ask the help desk" in result.stderr


@pytest.mark.parametrize("where", ["system", "more"])
def test_a_fault_in_either_file_closes(algo_home: Home, system: Path, add_command, tmp_path: Path, where: str) -> None:
    add_command("acme-a", "a")
    more = tmp_path / "more.toml"
    algo_home.environ["ALGO_SITE_CONFIG"] = str(more)
    system.write_text("[plugins]\nalow = []\n" if where == "system" else "")
    more.write_text("[plugins]\nalow = []\n" if where == "more" else "")
    result = algo_home.run("a")
    assert (result.code, result.text) == (ExitCode.CONFIGURATION, "")
    assert f"{system if where == 'system' else more}, line 2: [plugins] has no member 'alow'" in result.stderr


def test_a_system_file_that_may_not_be_read_closes(algo_home: Home, system: Path, add_command) -> None:
    add_command("acme-a", "a")
    system.mkdir()
    result = algo_home.run("a")
    assert (result.code, result.text) == (ExitCode.CONFIGURATION, "")
    assert f"Cannot read {system}" in result.stderr


@pytest.mark.parametrize("where", ["the user's file", "the environment"])
def test_star_disables_all_but_what_is_required(algo_home: Home, system: Path, add_command, where: str) -> None:
    add_command("acme-a", "a")
    add_command("acme-b", "b", text="b")
    assert algo_home.run("b").code == ExitCode.OK
    if where == "the environment":
        algo_home.environ["ALGO_DISABLE_PLUGINS"] = "acme-*"
    else:
        algo_home.write_config('[plugins]\ndisabled = ["*"]\n')
    assert algo_home.run("b").code == ExitCode.USAGE
    system.write_text('[plugins]\nrequire = ["acme-a"]\n')
    assert algo_home.run("a").code == ExitCode.OK
    assert algo_home.run("b").code == ExitCode.USAGE


def test_a_version_that_cannot_be_compared_is_denied_and_not_allowed(
    algo_home: Home, system: Path, add_command
) -> None:
    add_command("acme-a", "a", version="odd")
    system.write_text('[plugins]\ndeny = ["acme-a<2"]\n')
    assert algo_home.run("a").code == ExitCode.USAGE
    system.write_text('[plugins]\nallow = ["acme-a<2"]\n')
    assert algo_home.run("a").code == ExitCode.USAGE
    system.write_text('[plugins]\nallow = ["acme-a"]\n')
    assert algo_home.run("a").code == ExitCode.OK
