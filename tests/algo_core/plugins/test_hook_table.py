"""The table of hooks: what follows from it, and that an index does not outlive it."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from support.environments import ROOT

from algo_core import Command, Connector, DoctorCheck, ExecutorFactory, PluginSetting, Profile, Service, Variable
from algo_core.plugins import index, results
from algo_core.plugins.hookspecs import HOOK_API, HOOKS
from algo_core.plugins.policy import Policy
from algo_core.settings.credentials import Credential, Secret
from algo_core.testing import Home


class Transport:
    def send(self, request: Any) -> None:
        """Nothing."""

    def close(self) -> None:
        """Nothing."""


COMMAND, CONNECTOR = Command("a", "b:c", "d"), Connector("a", "b:c")
EXECUTOR = ExecutorFactory("a", "b:c")
SERVICE = Service("copy", "a:b")
SETTING = PluginSetting("acme.queue", "a queue")
CHECK, VARIABLE = DoctorCheck("a", lambda: (True, "")), Variable("A", "b")
LISTS = (None, 3, "text", {}, [None], ["text"], [3], Profile("a", "b"))

FIT: dict[str, tuple[Any, ...]] = {
    "algo_commands": ([], [COMMAND], (COMMAND, COMMAND)),
    "algo_connectors": ([], [CONNECTOR]),
    "algo_executors": ([], [EXECUTOR]),
    "algo_default_profile": (None, Profile("a", "b")),
    "algo_credentials": (None, Credential("api_key", Secret("k"), "here")),
    "algo_request_headers": (None, {}, {"X-A": "b"}),
    "algo_sign": (None, {}, {"X-A": "b"}),
    "algo_transport": (None, Transport()),
    "algo_directory": (None, Transport()),
    "algo_error_hints": (None, "", "text"),
    "algo_settings": ([], [SETTING], (SETTING, SETTING)),
    "algo_services": ([], [SERVICE]),
    "algo_variables": ([], [VARIABLE]),
    "algo_doctor_checks": ([], [CHECK]),
}
UNFIT: dict[str, tuple[Any, ...]] = {
    "algo_commands": (*LISTS, COMMAND, [CONNECTOR], [COMMAND, None]),
    "algo_connectors": (*LISTS, CONNECTOR, [COMMAND]),
    "algo_executors": (*LISTS, EXECUTOR, [COMMAND]),
    "algo_default_profile": (3, "text", [], Credential("api_key", Secret("k"), "here")),
    "algo_credentials": (3, "text", [], Profile("a", "b")),
    "algo_request_headers": (3, "text", [], {"X-A": 3}, {3: "b"}, {"X-A": None}),
    "algo_sign": (3, "text", [], {"X-A": 3}),
    "algo_transport": (3, "text", [], object(), Profile("a", "b")),
    "algo_directory": (3, "text", [], object(), Profile("a", "b")),
    "algo_error_hints": (3, [], object(), b"text"),
    "algo_settings": (*LISTS, SETTING, [COMMAND], [SETTING._replace(name="queue")], [SETTING._replace(kind="real")]),
    "algo_services": (*LISTS, SERVICE, [COMMAND]),
    "algo_variables": (*LISTS, VARIABLE, [COMMAND]),
    "algo_doctor_checks": (*LISTS, CHECK, [COMMAND]),
}


@pytest.mark.parametrize("name", HOOKS)
def test_what_a_hook_may_answer_is_what_its_row_says(name: str) -> None:
    is_silent = HOOKS[name].check is results.nothing
    for answer in (None,) if is_silent else FIT[name]:
        HOOKS[name].check(answer)
    for answer in (3, "text", [], object(), False) if is_silent else UNFIT[name]:
        with pytest.raises(TypeError):
            HOOKS[name].check(answer)


def test_the_index_has_a_member_for_each_hook_whose_answers_are_kept() -> None:
    assert {hook.kept_as for hook in HOOKS.values()} - {""} == set(index.KEPT)
    record = index.PluginRecord("a", "b", "c", "1")
    assert all(getattr(record, name) == [] for name in index.KEPT)


def test_the_hook_api_is_the_youngest_hooks() -> None:
    assert max(hook.since for hook in HOOKS.values()) == HOOK_API
    assert all((1, 0) <= hook.since <= HOOK_API for hook in HOOKS.values())


def test_pluggy_knows_of_each_hook_what_the_table_says() -> None:
    for hook in HOOKS.values():
        assert hook.specification.algo_spec["firstresult"] is hook.first  # type: ignore[attr-defined]


@pytest.mark.parametrize("change", ["another hook", "the same length", "gone"])
def test_an_index_made_with_another_table_is_not_believed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, change: str
) -> None:
    table = tmp_path / "hookspecs.py"
    shutil.copy(index.HOOK_TABLE, table)
    monkeypatch.setattr(index, "HOOK_TABLE", str(table))
    cache = str(tmp_path / "cache")
    index.build(cache, Policy(), lambda records: [])
    assert index.read(cache, Policy()) is not None
    content, older = table.read_bytes(), table.stat()
    if change == "gone":
        table.unlink()
    else:
        name, other = b"algo_error_hints", b"algo_error_hints" if change == "another hook" else b"algo_error_talks"
        table.write_bytes(content.replace(name, other) + (b"#" if change == "another hook" else b""))
        os.utime(table, ns=(older.st_atime_ns, older.st_mtime_ns))
    assert index.read(cache, Policy()) is None
    index.build(cache, Policy(), lambda records: [])
    assert index.read(cache, Policy()) is not None


@pytest.fixture
def older_core(tmp_path: Path) -> Iterator[Path]:
    """A copy of the core that does not know `algo_variables` yet."""
    place = tmp_path / "core"
    shutil.copytree(ROOT / "algo_core", place / "algo_core", ignore=shutil.ignore_patterns("__pycache__"))
    table = place / "algo_core" / "plugins" / "hookspecs.py"
    table.write_text(table.read_text("utf-8").replace("algo_variables", "algo_varsables"), "utf-8")
    return place


def test_a_hook_that_the_core_learns_is_found_in_plugins_that_were_installed_before(
    algo_home: Home, plugin_folder: Any, older_core: Path
) -> None:
    source = "from algo_core import hookimpl\n@hookimpl\ndef algo_variables():\n    return []\n"
    plugin_folder.add("acme-early", source)
    algo_home.environ |= {
        "PYTHONPATH": f"{older_core}{os.pathsep}{plugin_folder.path}",
        "PYTHONDONTWRITEBYTECODE": "1",
        "ALGO_CACHE_DIR": str(algo_home.root / "cache"),
    }

    def hooks() -> str:
        words = [sys.executable, "-m", "algo_core", "plugins", "show", "acme-early", "--json"]
        return subprocess.run(
            words, env=algo_home.environ, cwd=algo_home.root, capture_output=True, text=True, check=True
        ).stdout

    table = older_core / "algo_core" / "plugins" / "hookspecs.py"
    before = table.stat()
    assert "algo_varsables" in hooks()
    table.write_text(table.read_text("utf-8").replace("algo_varsables", "algo_variables"), "utf-8")
    os.utime(table, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert (table.stat().st_mtime_ns, table.stat().st_size) == (before.st_mtime_ns, before.st_size)
    assert '"hooks": ["algo_variables"]' in " ".join(hooks().split()).replace("[ ", "[").replace(" ]", "]")
