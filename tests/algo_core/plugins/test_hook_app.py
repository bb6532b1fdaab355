"""The argument `app` of hooks: every hook may take it, and each sees the members that are usable at its moment."""

from __future__ import annotations

import inspect
import json
import os
import sys
from pathlib import Path
from typing import Any

import pytest
from support.stub import StubPlatform

from algo_core import App, PluginSetting
from algo_core.errors import AlgoError, ExitCode, PluginError
from algo_core.plugins.access import Access, HookApp
from algo_core.plugins.hookspecs import HOOKS
from algo_core.plugins.manager import Plugins
from algo_core.plugins.policy import Policy
from algo_core.testing import Home

EVERYTHING = sorted({name for name in [*dir(App), *vars(App({}))] if not name.startswith("_")})
SETTINGS = {"config", "debug", "environ", "output", "plugins", "profile_flag", "setting", "verbose"}

USABLE = {
    "algo_commands": {"output"},
    "algo_connectors": {"output"},
    "algo_settings": {"output"},
    "algo_services": {"output"},
    "algo_executors": {"output"},
    "algo_default_profile": SETTINGS,
    "algo_credentials": {*SETTINGS, "ask"},
    "algo_request_headers": SETTINGS,
    "algo_sign": SETTINGS,
    "algo_transport": SETTINGS,
    "algo_configure_session": SETTINGS,
    "algo_error_hints": {*SETTINGS, "profile"},
    "algo_variables": SETTINGS,
    "algo_observe": SETTINGS,
    "algo_doctor_checks": {*EVERYTHING},
}

PLUGIN = f"""
import json
import os
from algo_core import App, Profile, hookimpl
from algo_core.errors import PluginError

TOLD = os.environ["TOLD"]

def tried(hook, app):
    usable = []
    for name in {EVERYTHING!r}:
        try:
            getattr(app, name)
        except PluginError as error:
            if f"app.{{name}} cannot be used in {{hook}}, since " in str(error):
                continue
        usable.append(name)
    with open(TOLD, "a") as told:
        print(json.dumps([hook, usable, dir(app), isinstance(app, App)]), file=told)
"""

IMPLEMENTATION = """
@hookimpl
def {name}({first}app):
    tried("{name}", app)
    return {answer}
"""

ANSWERS = {
    **{name: "[]" for name, hook in HOOKS.items() if hook.kept_as},
    **dict.fromkeys(["algo_variables", "algo_doctor_checks"], "[]"),
    "algo_default_profile": "Profile(name, os.environ['ADDRESS'], origin='acme')",
}


def implementation(name: str) -> str:
    """A hook of which `app` is taken, and only what the answer needs besides."""
    return IMPLEMENTATION.format(
        name=name, first="name, " if name == "algo_default_profile" else "", answer=ANSWERS.get(name, "None")
    )


def test_app_is_the_last_argument_of_every_hook() -> None:
    assert {list(inspect.signature(hook.specification).parameters)[-1] for hook in HOOKS.values()} == {"app"}
    assert all(hook.app.why or hook.app.members is None for hook in HOOKS.values())


def test_each_hook_sees_what_is_usable_at_its_moment(algo_home: Home, plugin_folder: Any, stub: StubPlatform) -> None:
    told = algo_home.root / "told.jsonl"
    plugin_folder.add("acme-all", PLUGIN + "".join(map(implementation, HOOKS)))
    algo_home.environ |= {
        "PYTHONPATH": str(plugin_folder.path),
        "ALGO_CACHE_DIR": str(algo_home.root / "cache"),
        "TOLD": str(told),
        "ADDRESS": stub.address,
    }
    well = algo_home.run("doctor")
    assert "failed in" not in well.stderr
    failed = algo_home.run("profile", "remove", "nope")
    assert (failed.code, "failed in" in failed.stderr) == (ExitCode.NOT_FOUND, False)
    found = [json.loads(line) for line in told.read_text("utf-8").splitlines()]
    assert {hook: set(usable) for hook, usable, _, _ in found} == USABLE
    assert {hook for hook, _, _, is_app in found if not is_app} == {name for name in HOOKS if HOOKS[name].kept_as}
    assert all(usable == shown for hook, usable, shown, _ in found if hook != "algo_doctor_checks")


def test_a_member_that_is_not_usable_fails_its_own_plugin_only(
    algo_home: Home, plugin_folder: Any, stub: StubPlatform
) -> None:
    head = "from algo_core import Command, hookimpl\n"
    sources = {
        "acme-loops": "@hookimpl\ndef algo_credentials(app):\n    return app.api.username()\n",
        "acme-early": "@hookimpl\ndef algo_commands(app):\n    return [app.profile.name]\n",
        "acme-bold": "@hookimpl\ndef algo_request_headers(app):\n    app.verbose = True\n",
    }
    for dist, source in sources.items():
        plugin_folder.add(dist, head + source)
    algo_home.environ |= {"PYTHONPATH": str(plugin_folder.path), "ALGO_CACHE_DIR": str(algo_home.root / "cache")}
    algo_home.write_config(f'[profiles.default]\naddress = "{stub.address}"\n')
    result = algo_home.run("ls")
    assert (
        "acme-loops 1.0 failed in algo_credentials: app.api cannot be used in algo_credentials, since" in result.stderr
    )
    assert (
        "acme-early 1.0 is broken: app.profile cannot be used in algo_commands, since the answer is kept"
        in result.stderr
    )
    assert "acme-bold 1.0 failed in algo_request_headers: app.verbose cannot be changed" in result.stderr
    assert "Traceback" not in result.stderr
    assert stub.seen, "the request went out"


@pytest.mark.parametrize(
    ("options", "said"),
    [((), "warning: no licence\n"), (("--json",), '{"warning": {"message": "no licence"}}\n'), (("--quiet",), "")],
)
def test_a_remark_on_an_examined_plugin_follows_the_options(
    algo_home: Home, plugin_folder: Any, options: tuple[str, ...], said: str
) -> None:
    source = "from algo_core import hookimpl\n@hookimpl\ndef algo_commands(app):\n    app.output.{}('no licence')\n    return []\n"
    plugin_folder.add("acme-says", source.format("info" if "--quiet" in options else "warn"))
    algo_home.environ |= {"PYTHONPATH": str(plugin_folder.path), "ALGO_CACHE_DIR": str(algo_home.root / "cache")}
    first, second = (algo_home.run(*options, "config", "path") for _ in range(2))
    assert (first.stderr, second.stderr) == (said, ""), "once, when the index is built"


def test_remarks_do_not_disturb_completion(algo_home: Home, plugin_folder: Any) -> None:
    source = (
        "from algo_core import hookimpl\n@hookimpl\ndef algo_commands(app):\n    app.output.warn('no')\n    return []\n"
    )
    plugin_folder.add("acme-says", source)
    algo_home.environ |= {"PYTHONPATH": str(plugin_folder.path), "ALGO_CACHE_DIR": str(algo_home.root / "cache")}
    result = algo_home.run("algo conf", environ={"_ALGO_COMPLETE": "fish"})
    assert ("config" in result.text, result.stderr) == (True, "")


def test_no_app_is_made_for_hooks_that_use_none(
    tmp_path: Path, plugin_folder: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = "from algo_core import hookimpl\n@hookimpl\ndef algo_error_hints({}):\n    return 'ask'\n"
    for dist, arguments in (("acme-none", "error"), ("acme-unused", "error, app"), ("acme-rest", "**given")):
        plugin_folder.add(dist, source.format(arguments))
    monkeypatch.setattr(sys, "path", [*sys.path, str(plugin_folder.path)])
    asked: list[str] = []
    plugins = Plugins(str(tmp_path / "cache"), Policy(), pytest.fail, app=lambda: asked.append("app"))
    assert {record.dist for record in plugins.allowed} >= {"acme-none", "acme-unused", "acme-rest"}
    asked.clear()
    assert plugins.call("algo_error_hints", error=AlgoError("no")).count("ask") == 3
    assert asked == []


def test_what_is_asked_of_a_value_is_no_use_of_it() -> None:
    app = HookApp("algo_sign", Access(frozenset({"environ"}), "a request waits"), lambda: App({"A": "b"}))
    assert (app.environ, str(app)[:1], app == app, bool(app), dir(app)) == ({"A": "b"}, "<", True, True, ["environ"])
    assert isinstance(app, App)
    assert not isinstance(app, (PluginSetting, os.PathLike))
    with pytest.raises(PluginError, match="nonsense cannot be used in algo_sign"):
        app.nonsense  # noqa: B018 - looked at, not used
