"""Hooks that are called thousands of times: plugins are found once, and called as their parameters ask for."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pytest

from algo_core import App
from algo_core.plugins.manager import Plugins
from algo_core.plugins.policy import Policy

HEAD = "from algo_core import hookimpl\nTOLD = []\n"

SIGNATURES = {
    "event": "event",
    "event, /": "event",
    "event, app": "(event, app.environ)",
    "app, event": "(event, app.environ)",
    "*, event": "event",
    "*, app, event": "(event, app.environ)",
    "event, /, app": "(event, app.environ)",
    "event=None": "event",
    "event, more=3": "(event, more)",
    "**given": "list(given.items())",
    "app, **given": "(list(given.items()), app.environ)",
    "app": "app.environ",
    "": "None",
}


@pytest.fixture
def plugins(tmp_path: Path, plugin_folder: Any, monkeypatch: pytest.MonkeyPatch) -> Plugins:
    """Plugins of `plugin_folder`, and what is reported of them in `reports`."""
    for name in [name for name in sys.modules if name.startswith("acme_")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setattr(sys, "path", [*sys.path, str(plugin_folder.path)])
    reports: list[str] = []
    found = Plugins(str(tmp_path / "cache"), Policy(), reports.append, app=lambda: App({"A": "b"}))
    monkeypatch.setattr(found, "reports", reports, raising=False)
    return found


def module(name: str) -> Any:
    return sys.modules[f"{name}.plugin"]


def test_each_implementation_gets_what_it_asks_for(plugins: Plugins, plugin_folder: Any) -> None:
    names = [f"acme-told{number}" for number in range(len(SIGNATURES))]
    for name, (parameters, kept) in zip(names, SIGNATURES.items(), strict=True):
        source = f"@hookimpl\ndef algo_observe({parameters}):\n    TOLD.append({kept})\n"
        plugin_folder.add(name, HEAD + source)
    tell = plugins.teller("algo_observe", "event")
    for number in (1, 2):
        tell(number)
    for name, kept in zip(names, SIGNATURES.values(), strict=True):
        scope = {"app": App({"A": "b"}), "more": 3}
        expected = [eval(kept, {**scope, "event": n, "given": {"event": n}}) for n in (1, 2)]
        assert expected == module(name.replace("-", "_")).TOLD, name
    assert plugins.reports == []  # type: ignore[attr-defined]


def test_who_is_asked_first_is_told_first_and_plugins_are_found_once(
    plugins: Plugins, plugin_folder: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    order: list[str] = []
    for name, mark in {"acme-a": "(trylast=True)", "acme-b": "", "acme-c": "(tryfirst=True)"}.items():
        source = f"import sys\n@hookimpl{mark}\ndef algo_observe(event):\n    sys.told_order.append('{name}')\n"
        plugin_folder.add(name, HEAD + source)
    monkeypatch.setattr(sys, "told_order", order, raising=False)
    looked: list[str] = []
    look = plugins._implementing
    monkeypatch.setattr(plugins, "_implementing", lambda hook: looked.append(hook) or look(hook))
    tell = plugins.teller("algo_observe", "event")
    assert looked == []  # nothing is loaded before there is something to tell
    for number in range(1000):
        tell(number)
    assert order == ["acme-c", "acme-b", "acme-a"] * 1000
    assert looked == ["algo_observe"]


@pytest.mark.parametrize("line", ["1 / 0", "raise SystemExit(3)", "return 7", "return 0"])
def test_one_that_fails_is_reported_once_and_the_others_are_told(
    plugins: Plugins, plugin_folder: Any, line: str
) -> None:
    plugin_folder.add("acme-bad", HEAD + f"@hookimpl(tryfirst=True)\ndef algo_observe(event):\n    {line}\n")
    plugin_folder.add("acme-fine", HEAD + "@hookimpl\ndef algo_observe(event):\n    TOLD.append(event)\n")
    tell = plugins.teller("algo_observe", "event")
    for number in range(3):
        tell(number)
    assert module("acme_fine").TOLD == [0, 1, 2]
    (report,) = plugins.reports  # type: ignore[attr-defined]
    assert report.startswith("the plugin acme-bad 1.0 failed in algo_observe: ")


def test_calls_that_are_traced_are_seen(plugins: Plugins, plugin_folder: Any) -> None:
    plugin_folder.add("acme-fine", HEAD + "@hookimpl\ndef algo_observe(event):\n    TOLD.append(event)\n")
    seen: list[tuple[str, str]] = []
    plugins.trace = lambda label, hook, seconds, outcome: seen.append((label, hook))
    plugins.teller("algo_observe", "event")(1)
    assert (seen, module("acme_fine").TOLD) == ([("acme-fine 1.0", "algo_observe")], [1])
