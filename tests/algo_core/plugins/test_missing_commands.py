"""A command that cannot be had says where it is: left out, and by what; gone; or of a plugin that is not installed."""

from __future__ import annotations

import re
import shlex

import pytest

from algo_core.errors import ExitCode
from algo_core.testing import Home


@pytest.fixture
def home(algo_home: Home, plugin_folder) -> Home:
    algo_home.environ["PYTHONPATH"] = str(plugin_folder.path)
    algo_home.environ["ALGO_CACHE_DIR"] = str(algo_home.root / "cache")
    return algo_home


LEFT_OUT = {
    "a flag": "acme-a 1.0, which has it, is left out by --no-plugin: Leave out --no-plugin",
    "all": "No plugins are loaded: left out by --no-plugins",
    "the variable": "acme-a 1.0, which has it, is disabled by environment variable ALGO_DISABLE_PLUGINS: `unset ALGO_DISABLE_PLUGINS`",
    "the variable, all": "No plugins are loaded: disabled by environment variable ALGO_DISABLE_PLUGINS",
    "the file": "acme-a 1.0, which has it, is disabled by {file}: `algo plugins enable acme-a`",
    "the file, all": "acme-a 1.0, which has it, is disabled by {file}: `algo config unset plugins.disabled`",
    "denied": "acme-a 1.0, which has it, is denied by {site}: Ask your administrator",
    "not allowed": "acme-a 1.0, which has it, is not allowed by {site}: Ask your administrator",
    "enforced": "acme-a 1.0, which has it, is disabled by {site}: Ask your administrator",
}


@pytest.mark.parametrize("how", LEFT_OUT)
def test_a_command_that_is_left_out_says_by_what(home: Home, add_command, how: str) -> None:
    add_command("acme-a", "greet")
    assert home.run("greet").code == ExitCode.OK
    flags = {"a flag": ["--no-plugin", "acme-a"], "all": ["--no-plugins"]}.get(how, [])
    environ = {
        "the variable": {"ALGO_DISABLE_PLUGINS": "acme-a"},
        "the variable, all": {"ALGO_DISABLE_PLUGINS": "*"},
    }.get(how, {})
    if how.startswith("the file"):
        home.write_config(f'[plugins]\ndisabled = ["{"*" if how.endswith("all") else "acme-a"}"]\n')
    site = {"denied": '[plugins]\ndeny = ["acme-a"]\n', "not allowed": '[plugins]\nallow = ["algo-*"]\n',
            "enforced": '[enforce.plugins]\ndisabled = ["acme-a"]\n'}.get(how)  # fmt: skip
    if site:
        home.write_site_config(site)
    result = home.run(*flags, "greet", environ=environ)
    assert result.code == ExitCode.USAGE
    said = LEFT_OUT[how].format(file=home.config_file, site=home.site_file)
    assert f"hint: {said}" in result.stderr
    if command := re.search("`algo (.*)`", said):
        assert home.run(*shlex.split(command[1])).code == ExitCode.OK
        assert home.run("greet").code == ExitCode.OK


def test_what_is_recorded_and_gone_is_told_once_and_where_it_is_missed(home: Home, add_command) -> None:
    home.write_config(
        '[plugins]\ninstalled = ["acme-gone>=1", "acme-old>=2", "acme-here>=1"]\nisolated = ["acme-apart"]\n'
    )
    add_command("acme-old", "old")
    add_command("acme-here", "here")
    said = "acme-gone, acme-old, acme-apart, recorded as installed, are gone"
    first = home.run("here")
    assert said in first.stderr
    assert home.run("here").stderr == ""
    result = home.run("greet")
    assert result.code == ExitCode.USAGE
    assert f"hint: {said}; reinstall them with: `algo plugins restore`" in result.stderr
    rows = {row["check"]: row["text"] for row in home.run("doctor", "--json").json}
    assert rows["recorded plugins"].startswith(said)


def test_completion_is_not_told_of_what_is_gone(home: Home, add_command) -> None:
    home.write_config('[plugins]\ninstalled = ["acme-gone>=1"]\n')
    asked = {"_ALGO_COMPLETE": "zsh_complete", "COMP_WORDS": "algo conf", "COMP_CWORD": "1"}
    result = home.run(environ=asked)
    assert result.stderr == ""
    assert "config" in result.text


def test_a_misspelt_command_is_told_from_one_that_is_missing(home: Home, add_command) -> None:
    add_command("acme-a", "greet")
    assert "Did you mean: algo greet" in home.run("gret").stderr
