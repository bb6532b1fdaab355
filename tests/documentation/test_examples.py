"""Every block of code on the pages for authors is run: here those of `api.md`; and no page has one that nothing runs."""

from __future__ import annotations

import importlib.util
import inspect
import re
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from support.environments import ROOT

import algo_core
import algo_core.testing
from algo_core.errors import ExitCode
from algo_core.storage.uri import DataUri
from algo_core.terminal.prompts import Questions
from algo_core.testing import Clock, FakePlatform, FakeResponse, Home

DOCS = ROOT / "docs"


def _loaded(name: str) -> Any:
    spec = importlib.util.spec_from_file_location(f"algo_docs_{name}", DOCS / f"{name}.py")
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


render, public_api = _loaded("render"), _loaded("public_api")
EXAMPLES = [pytest.param(*example, id=example[0]) for example in public_api.examples()]


@pytest.fixture
def names(
    algo_home: Home,
    algo_clock: Clock,
    algo_fake_platform: FakePlatform,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> Iterator[dict[str, Any]]:
    """What the examples take for granted: an `app` whose platform is a fake one, and values of the reader's own."""
    for name in ("a.csv", "b.csv"):
        (tmp_path / name).write_text("1,2\n")
    monkeypatch.chdir(tmp_path)
    for variable in ("HOME", "ALGO_LOCAL_ROOT", "ALGO_CACHE_DIR"):
        monkeypatch.setenv(variable, algo_home.environ[variable])
    result = {"result": [{"apples": 2}], "metadata": {"content_type": "json", "duration": 0.1}}
    algo_fake_platform.on("POST", "/v1/algo/nlp/LDA/1.0.0", FakeResponse.json(result))
    app = algo_core.App(algo_home.environ)
    yield {
        **{name: getattr(algo_core, name) for name in algo_core.__all__},
        **{name: getattr(algo_core.testing, name) for name in algo_core.testing.__all__},
        "Any": Any,
        "DataUri": DataUri,
        "pytest": pytest,
        "app": app,
        "clock": algo_clock,
        "algo_home": algo_home,
        "algo_clock": algo_clock,
        "algo_fake_platform": algo_fake_platform,
        "platform": algo_fake_platform,
        "listing": FakeResponse.json({"folders": [], "files": []}),
        "files": ["a.csv", "b.csv"],
        "read": lambda file: Path(file).read_text("utf-8"),
        "delete": lambda name: None,
    }
    app.close()


class _Person:
    """Answers what is asked: the default, or yes."""

    def ask(
        self, question: str, check: Callable[[str], Any], *, default: str | None = None, hidden: bool = False
    ) -> Any:
        return check(default or "y")


def _wait_half_a_minute(names: dict[str, Any]) -> None:
    with names["algo_clock"]:
        time.sleep(30)


def _use_the_embedded_platform(names: dict[str, Any]) -> None:
    names["algo_home"].write_config('[profiles.default]\naddress = "local:"\n')
    assert names["algo_home"].run("mkdir", "data://.my/reports").code == ExitCode.OK


BEFORE = {
    "algo_core.context.App.copy": _use_the_embedded_platform,
    "algo_core.testing.clock.Clock.waits": _wait_half_a_minute,
}


@pytest.mark.parametrize(("where", "language", "code"), EXAMPLES)
def test_an_example_of_the_public_api_does_what_it_shows(
    where: str, language: str, code: str, names: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    if language == "toml":
        names["algo_home"].write_config(code)
        assert names["algo_home"].run("config", "list").code == ExitCode.OK
        return
    monkeypatch.setattr(Questions, "_prompter", lambda questions, question, instead: _Person())
    BEFORE.get(where, lambda names: None)(names)
    own: dict[str, Any] = {"__name__": "example", **names}
    exec(compile(code, where, "exec", dont_inherit=True), own)
    for name, test in own.items():
        if name.startswith("test_"):
            test(**{argument: names[argument] for argument in inspect.signature(test).parameters})


_BLOCK = re.compile(r"^```(\w+)[^\n]*\n(.*?)^```$", re.MULTILINE | re.DOTALL)

FOLLOWED = {
    "plugins.md": "tests/teams/test_page.py",
    "enterprise.md": "tests/enterprise/test_page.py",
    "connectors.md": "tests/algo_connectors/test_page.py",
}
"""Pages that a test follows from top to bottom (`Session.follow`), which refuses blocks that it cannot do."""


def _run_elsewhere() -> dict[str, set[str]]:
    """The blocks of the other pages that tests run."""
    hooks = {render.example(hook) for hook in render.hooks()}
    return {"hooks.md": hooks | {*render.how_to()}, "api.md": {code for _, _, code in public_api.examples()}}


@pytest.mark.parametrize("page", sorted(path.name for path in DOCS.glob("*.md")))
def test_every_block_of_a_page_is_run(page: str) -> None:
    if page in FOLLOWED:
        assert f'"{page}"' in (ROOT / FOLLOWED[page]).read_text("utf-8")
        return
    known = _run_elsewhere().get(page, set())
    assert not_run((DOCS / page).read_text("utf-8"), known) == []


@pytest.mark.parametrize("code", ["x = 1", "def algo_new() -> None\n    ...", "$ algo ls", "class Name:\n    x = 3"])
def test_a_block_that_nothing_runs_is_noticed(code: str) -> None:
    signature = '```python\nclass Command:\n    name: str\n    group: str = "Other"\n```\n'
    page = f"# Page\n\n{signature}\n```python\nknown()\n```\n"
    assert not_run(page, {"known()"}) == []
    assert not_run(f"{page}\n```python\n{code}\n```\n", {"known()"}) == [code]


def not_run(page: str, known: set[str]) -> list[str]:
    """The blocks of a page that are neither among the known ones nor declarations."""
    blocks = [code.strip() for _, code in _BLOCK.findall(page)]
    assert page.count("```") == 2 * len(blocks)
    run = {code.strip() for code in known}
    return [code for code in blocks if code not in run and not _is_signature(code)]


def _is_signature(code: str) -> bool:
    """Whether a block is a function's or class's declaration, which is compared with the code."""
    lines = code.split("\n")
    head = re.fullmatch(r"(def |class )?\w+(\(.*\)( -> .+)?|:)?", lines[0])
    members = all(re.fullmatch(r"    \w+: .+", line) for line in lines[1:])
    return bool(head and members)
