"""Settings that plugins declare are settings like the core's own: set, listed, checked, enforced, completed."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from algo_core.errors import ConfigError, ExitCode, UsageError
from algo_core.plugins import results
from algo_core.settings.config import Config, Layer
from algo_core.settings.declared import PluginSetting, declared, fault_of
from algo_core.settings.profiles import ProfileResolver
from algo_core.settings.repair import check
from algo_core.testing import Home

QUEUE = PluginSetting("acme.queue", "queue that jobs go to", default="short", variable="ACME_QUEUE", words="short long")
WAIT = PluginSetting("acme.wait", "seconds to wait", kind="seconds", default="30")
DEEP = PluginSetting("acme.deep", "look deeply", kind="flag")
SEVERAL = (QUEUE, WAIT, DEEP)

PLUGIN = """
from algo_core import Command, PluginSetting, hookimpl

@hookimpl
def algo_settings():
    return [
        PluginSetting("acme.queue", "queue", default="short", variable="ACME_QUEUE", words="short long"),
        PluginSetting("acme.wait", "seconds to wait", kind="seconds", default="30"),
    ]

@hookimpl
def algo_commands():
    return [Command("queue", "acme.commands:run", help="Print the queue.")]
"""
COMMAND = """
import click
from algo_core import pass_app

@click.command()
@pass_app
def run(app):
    found = app.setting("acme.queue")
    app.output.print(f"{found.value} from {found.origin}; {app.setting('acme.wait').value!r}")
"""


def config(user: dict[str, Any], site: dict[str, Any] | None = None, **environ: str) -> Config:
    made = Config(Layer(user, "config.toml"), [Layer(site or {}, "site.toml")], environ)
    made.find_declared = lambda: declared(tuple(setting) for setting in SEVERAL)
    return made


@pytest.mark.parametrize(
    ("user", "site", "environ", "wanted"),
    [
        ({}, {}, {}, ("short", "default")),
        ({"acme": {"queue": "long"}}, {}, {}, ("long", "config.toml")),
        ({}, {"acme": {"queue": "long"}}, {}, ("long", "site.toml")),
        ({"acme": {"queue": "short"}}, {}, {"ACME_QUEUE": "long"}, ("long", "environment variable ACME_QUEUE")),
        (
            {"acme": {"queue": "short"}},
            {"enforce": {"acme": {"queue": "long"}}},
            {"ACME_QUEUE": "short"},
            ("long", "enforced by site.toml"),
        ),
    ],
)
def test_a_value_comes_from_where_others_do(user: Any, site: Any, environ: Any, wanted: tuple[str, str]) -> None:
    found = config(user, site, **environ)
    check(found)
    assert found.get("acme.queue")[:2] == wanted
    assert (found.get("acme.wait").value, found.get("acme.deep").value) == (30.0, False)


def test_a_profile_has_its_own() -> None:
    user = {"profiles": {"work": {"address": "https://a.example", "acme": {"queue": "long"}}}}
    found = config(user)
    check(found)
    table, _ = ProfileResolver(found).table("work") or ({}, "")
    assert found.get("acme.queue", profile=table, origin="profile work").value == "long"


@pytest.mark.parametrize(
    "table",
    [
        {"queue": "middle"},
        {"queue": 3},
        {"wait": "soon"},
        {"wait": -1},
        {"deep": "yes"},
        {"queu": "long"},
        {"uqeue": "long"},
        {"wiat": 3},
        {"deeep": True},
        {"Queue": "long"},
    ],
)
def test_wrong_values_and_misspelt_names_are_faults_in_every_file(table: dict[str, Any]) -> None:
    profile = {"profiles": {"p": {"address": "https://a.example", "acme": table}}}
    for user, site in (({"acme": table}, {}), ({}, {"acme": table}), ({}, {"enforce": {"acme": table}}), (profile, {})):
        with pytest.raises(ConfigError, match="acme"):
            check(config(user, site))


@pytest.mark.parametrize(
    ("table", "own"),
    [
        ({"plugin": {"acme": {"queue": "long"}}}, r"\[plugin\]; .* \[acme\]"),
        ({"plugins": {"acme": {"queue": "long"}}}, r"\[plugins.acme\]; .* \[acme\]"),
        ({"Plugins": {"any.thing": {"x": 1}}}, r"\[Plugins\]; .* \[\"any.thing\"\]"),
        ({"plugins": {"comands": {"sync": "acme"}}}, "did you mean 'commands'"),
        ({"acmee": {"queue": "long"}}, "did you mean 'acme'"),
        ({"acme": [{"queue": "long"}]}, r"write \[acme\]"),
    ],
)
def test_tables_that_a_plugin_cannot_have_are_told_from_its_own(table: dict[str, Any], own: str) -> None:
    with pytest.raises(ConfigError, match=own):
        check(config(table))
    with pytest.raises(ConfigError, match=own):
        check(config({}, table))


def test_members_that_are_like_none_are_the_plugins_own_affair() -> None:
    check(config({"acme": {"jobs": {"a": 1}, "other": 1, "name": "x", "dap": 1}}))


def test_a_wrong_variable_is_told() -> None:
    with pytest.raises(ConfigError, match=r"acme\.queue must be short or long, not 'middle'"):
        config({}, ACME_QUEUE="middle").get("acme.queue")
    with pytest.raises(UsageError, match=r"acme\.nothing"):
        config({}).get("acme.nothing")


@pytest.mark.parametrize(
    "wrong",
    [
        QUEUE._replace(name="queue"),
        QUEUE._replace(name="plugins.queue"),
        QUEUE._replace(name="timeout.queue"),
        QUEUE._replace(name="acme.a b"),
        QUEUE._replace(name="acme.a.b"),
        QUEUE._replace(name="acme."),
        QUEUE._replace(name="acme.über"),
        QUEUE._replace(name="ägme.queue"),
        QUEUE._replace(kind="number"),
        QUEUE._replace(default="middle"),
        WAIT._replace(default="soon"),
        WAIT._replace(default=""),
        WAIT._replace(default=30),
        QUEUE._replace(name=3),
        QUEUE._replace(name=None),
        QUEUE._replace(help=None),
        QUEUE._replace(kind=str),
        QUEUE._replace(words=["short", "long"]),
        QUEUE._replace(variable=None),
        QUEUE._replace(variable="ALGO_RETRIES"),
        QUEUE._replace(variable="a b="),
        QUEUE._replace(variable="3"),
    ],
)
def test_a_declaration_that_cannot_be_is_a_fault_of_the_plugin(wrong: PluginSetting) -> None:
    assert fault_of(wrong)
    with pytest.raises(TypeError):
        results.settings([wrong])
    with pytest.raises(TypeError, match=r"'acme\.queue' is declared twice"):
        results.settings([*SEVERAL, QUEUE._replace(default="long")])
    assert [fault_of(right) for right in SEVERAL] == [None] * 3


@pytest.fixture
def acme(algo_home: Home, plugin_folder, tmp_path: Path):  # type: ignore[no-untyped-def]
    """Runs a command where the plugin is installed."""
    plugin_folder.add("acme", PLUGIN, commands=COMMAND)

    def run(*words: str, **environ: str) -> Any:
        return algo_home.run(*words, environ={"PYTHONPATH": str(plugin_folder.path), **environ})

    return run


def test_a_person_sets_one(acme, algo_home: Home) -> None:  # type: ignore[no-untyped-def]
    assert acme("queue").text == "short from default; 30.0\n"
    assert acme("config", "set", "acme.queue", "long").code == ExitCode.OK
    got = acme("config", "get", "acme.queue")
    assert got.text == "long\n", got.stderr
    assert acme("queue").text.startswith("long from ")
    assert acme("queue", ACME_QUEUE="short").text.startswith("short from environment variable ACME_QUEUE")
    rows = {row["key"]: row for row in json.loads(acme("config", "list", "--json").text)}
    assert (rows["acme.queue"]["value"], rows["acme.wait"]["value"]) == ("long", 30.0)
    refused = acme("config", "set", "acme.queue", "middle")
    assert (refused.code, "short or long" in refused.stderr) == (ExitCode.CONFIGURATION, True)
    assert acme("config", "set", "acme.queu", "long").code == ExitCode.USAGE
    assert acme("config", "unset", "acme.queue").code == ExitCode.OK
    assert acme("queue").text.startswith("short from default")
    algo_home.write_config("[acme]\nqueu = 'long'\n")
    failed = acme("queue")
    assert (failed.code, "did you mean 'queue'?" in failed.stderr) == (ExitCode.CONFIGURATION, True)
    assert "acme.queue" not in algo_home.run("--no-plugins", "config", "list").text


def test_profiles_have_them_and_help_and_completion_name_them(acme, algo_home: Home, plugin_folder) -> None:  # type: ignore[no-untyped-def]
    algo_home.write_config('[profiles.work]\naddress = "https://a.example"\n')
    assert acme("config", "set", "profiles.work.acme.queue", "long").code == ExitCode.OK
    assert acme("--profile", "work", "config", "get", "acme.queue").text == "long\n"
    assert acme("config", "get", "acme.queue").text == "short\n"
    for key, hint in (
        ("profiles.work.acme.queu", "acme.queue"),
        ("acme.weit", "acme.wait"),
        ("profiles.work.plugins.disabled", "for all"),
    ):
        refused = acme("config", "set", key, "long", "--json")
        assert (refused.code, hint in refused.error["hint"]) == (ExitCode.USAGE, True)
    assert acme("config", "set", "profiles.work.acme.queue", "middle").code == ExitCode.CONFIGURATION
    for command in ("get", "set"):
        shown = acme("config", command, "--help").text
        assert "  acme.queue        queue\n" in shown
        assert "  timeout " in shown

    algo_home.environ["PYTHONPATH"] = str(plugin_folder.path)
    assert algo_home.complete("config", "set", "acme.") == ["acme.queue", "acme.wait"]
    assert algo_home.complete("config", "get", "acme.q") == ["acme.queue"]
    assert algo_home.complete("config", "unset", "profiles.work.acme.") == ["profiles.work.acme.queue"]
    assert algo_home.complete("config", "set", "profiles.work.ac") == [
        "profiles.work.acme.queue",
        "profiles.work.acme.wait",
    ]
    assert algo_home.complete("config", "set", "profiles.work.acme.queue", "") == ["short", "long"]
    assert "profiles.work.api_key" not in algo_home.complete("config", "set", "profiles.work."), "it is a secret"


def test_two_plugins_that_declare_one_differently_are_named(acme, algo_home: Home, plugin_folder) -> None:  # type: ignore[no-untyped-def]
    plugin_folder.add(
        "acme-jobs", PLUGIN.replace('default="30"', 'default="60"').partition("\n@hookimpl\ndef algo_comm")[0]
    )
    told = acme("config", "get", "acme.wait")
    assert (told.code, told.text) == (ExitCode.OK, "30\n")
    assert "acme 1.0 and acme-jobs 1.0 declare the setting acme.wait differently; that of acme counts" in told.stderr
    assert "acme.queue" not in told.stderr, "both declare it alike"
    assert "algo plugins disable acme-jobs" in told.stderr
