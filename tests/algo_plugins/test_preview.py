"""What a plugin would add is said before it is installed, and it takes nothing from another one unasked."""

from __future__ import annotations

import shutil
import subprocess
import sys
from typing import Any

import pexpect
import pytest

from algo_core.errors import ExitCode

BOTH = """
from algo_core import Command, Connector, hookimpl

@hookimpl
def algo_commands():
    return [Command("{command}", "{package}.commands:run", help="Say it.", group="Acme"),
            Command("{package}", "{package}.commands:run", help="Say it.", group="Acme")]

@hookimpl
def algo_connectors():
    return [Connector("{scheme}", "{package}.commands:run", "Files.")]
"""


def plugin(house: Any, name: str, version: str = "1.0", command: str = "greet", scheme: str = "acme") -> None:
    package = name.replace("-", "_")
    house.plugin(name, version, source=BOTH.format(command=command, package=package, scheme=scheme))


@pytest.mark.parametrize("kind", ["venv", "bare"])
def test_commands_and_schemes_are_told_before_anything_changes(make_place: Any, house: Any, kind: str) -> None:
    plugin(house, "acme-one")
    place = make_place(kind)
    algo = pexpect.spawn(
        str(place.home.algo), ["plugins", "install", "acme-one"], env=place.home.environ, encoding="utf-8", timeout=120
    )
    algo.expect_exact("acme-one adds commands acme_one, greet; schemes acme://")
    algo.expect_exact("Install? [y/N]: ")
    assert "acme-one" not in place.versions()
    algo.sendline("n")
    algo.expect(pexpect.EOF)
    assert "acme-one" not in place.versions()
    assert place.run("greet").code == ExitCode.USAGE


@pytest.mark.parametrize(
    ("command", "scheme", "said"),
    [
        ("greet", "other", "The command 'greet' is that of acme-one: neither can be run until one is chosen"),
        ("other", "acme", "The scheme acme:// is that of acme-one: neither can be used until one is disabled"),
        ("auth", "other", "The command 'auth' is built in: that of acme-two cannot be reached"),
    ],
)
def test_what_another_has_is_taken_with_yes_only(place: Any, house: Any, command: str, scheme: str, said: str) -> None:
    plugin(house, "acme-one")
    plugin(house, "acme-two", command=command, scheme=scheme)
    assert place.install("acme-one").code == ExitCode.OK
    before = place.versions()
    result = place.install("acme-two")
    assert (result.code, result.text) == (ExitCode.USAGE, ""), result
    assert said in result.stderr
    assert "`algo plugins install --yes acme-two`" in result.stderr
    assert place.versions() == before
    assert "acme-two" not in place.home.config_file.read_text()
    assert place.run("greet").code == ExitCode.OK
    assert place.install("--yes", "acme-two").code == ExitCode.OK
    assert "acme-two" in place.versions()


def test_an_upgrade_that_takes_what_another_has_says_so(place: Any, house: Any) -> None:
    plugin(house, "acme-one")
    plugin(house, "acme-two", command="other", scheme="other")
    assert place.install("acme-one", "acme-two").code == ExitCode.OK
    plugin(house, "acme-two", "2.0", command="greet", scheme="other")
    result = place.run("plugins", "upgrade")
    assert result.code == ExitCode.USAGE
    assert "The command 'greet' is that of acme-one" in result.stderr
    assert place.versions()["acme-two"] == "1.0"


def test_a_plugin_that_ends_its_process_is_found_out_before(place: Any, house: Any) -> None:
    house.plugin("acme-bad", source="import os; os._exit(3)")
    result = place.install("acme-bad")
    told = result.stderr.index("acme-bad does not work: it ended the process that loaded it (exit code 3)")
    assert told < result.stderr.index("acme-bad was removed again")
    assert result.code == ExitCode.PLUGIN


def test_an_isolated_plugin_takes_nothing_unasked(place: Any, house: Any) -> None:
    house.plugin("acme-one")
    house.plugin("acme-two")
    assert place.install("acme-one").code == ExitCode.OK
    result = place.install("--isolated", "acme-two")
    assert result.code == ExitCode.USAGE, result
    assert "The command 'greet' of acme-two cannot be reached: acme-one has it" in result.stderr
    assert not (place.isolated / "acme-two").exists()
    assert place.install("--isolated", "--yes", "acme-two").code == ExitCode.OK
    assert place.run("plugins", "run", "acme-two", "greet").code == ExitCode.OK


def test_what_is_gone_is_told_where_it_is_missed(make_place: Any, house: Any) -> None:
    house.plugin("acme-greet")
    house.plugin("acme-apart", command="apart")
    place = make_place("uv-tool")
    assert place.install("acme-greet").code == ExitCode.OK
    assert place.install("--isolated", "acme-apart").code == ExitCode.OK
    tool = [
        "uv",
        "tool",
        "install",
        "--force",
        "--reinstall",
        "--python",
        sys.executable,
        "--with",
        "algo-plugins",
        "algo-core",
    ]
    subprocess.run(tool, env=place.home.environ, check=True, capture_output=True)
    shutil.rmtree(place.isolated / "acme-apart")
    said = "acme-greet, acme-apart, recorded as installed, are gone"
    first = place.run("--help")
    assert f"warning: {said}; reinstall them with: `algo plugins restore`" in first.stderr
    assert place.run("--help").stderr == ""
    for command, code, why in (
        ("greet", ExitCode.USAGE, "There is no command 'greet'"),
        ("apart", ExitCode.PLUGIN, "environment of acme-apart, or its interpreter, is missing"),
    ):
        result = place.run(command)
        assert result.code == code
        assert why in result.stderr
        assert "`algo plugins restore`" in result.stderr
    rows = {row["check"]: row for row in place.run("doctor", "--json").json}
    assert said in rows["recorded plugins"]["text"]
    assert place.run("plugins", "restore").code == ExitCode.OK
    assert place.run("greet").code == ExitCode.OK
    assert place.run("apart").code == ExitCode.OK
    assert "recorded plugins" not in {row["check"] for row in place.run("doctor", "--json").json}
