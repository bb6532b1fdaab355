"""`app.copy`: the engine of `cp` for other plugins."""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from support.stub import KEY, StubPlatform

from algo_core import App
from algo_core.errors import AlgoError, AuthError, ExitCode, NotFoundError, UsageError
from algo_core.outcomes import CopyFailed
from algo_core.storage.uri import parse_data_uri
from algo_core.testing import Home


@pytest.fixture
def plugin_app(algo_home: Home, monkeypatch: pytest.MonkeyPatch) -> Iterator[App]:
    """The running `App` of a command, in a folder with the files a, b and tree/c."""
    folder = algo_home.root / "folder"
    (folder / "tree").mkdir(parents=True)
    for name in ("a", "b", "tree/c"):
        (folder / name).write_text(name)
    (folder / "out").mkdir()
    monkeypatch.chdir(folder)
    with contextlib.closing(App(algo_home.environ)) as plugin_app:
        yield plugin_app


def below(folder: str = "out") -> dict[str, str]:
    return {str(path.relative_to(folder)): path.read_text() for path in Path(folder).rglob("*") if path.is_file()}


@pytest.mark.parametrize(
    ("source", "destination", "options", "copied", "found"),
    [
        ("a", "out/x", {}, 1, {"x": "a"}),
        (Path("a"), Path("out"), {}, 1, {"a": "a"}),
        (parse_data_uri("./a"), parse_data_uri("./out"), {}, 1, {"a": "a"}),
        (["a", Path("b")], "out", {}, 2, {"a": "a", "b": "b"}),
        (("a", "b"), "out", {"dry_run": True}, 2, {}),
        ("[ab]", "out", {}, 2, {"a": "a", "b": "b"}),
        ("tree", "out", {"recursive": True}, 1, {"tree/c": "tree/c"}),
        (["a", "b"], "out", {"exclude": ["b"]}, 1, {"a": "a"}),
        (["a", "b"], "out", {"include": ["b"], "max_transfers": 1, "check": False}, 1, {"b": "b"}),
    ],
)  # fmt: skip
def test_files_are_copied(
    plugin_app: App,
    capfd: pytest.CaptureFixture[str],
    source: Any,
    destination: Any,
    options: Any,
    copied: int,
    found: Any,
) -> None:
    summary = plugin_app.copy(source, destination, **options)
    assert (summary.copied, summary.failures, below()) == (copied, (), found)
    assert summary.bytes == sum(map(len, found.values())) or options.get("dry_run")
    assert summary.seconds >= 0
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize(("replace", "content"), [("always", "a"), ("older", "kept"), ("never", "kept")])
def test_existing_files_are_replaced_as_told(plugin_app: App, replace: Any, content: str) -> None:
    Path("out/a").write_text("kept")
    os.utime("a", (1, 1))
    summary = plugin_app.copy("a", "out", replace=replace)
    assert (below(), summary.copied, summary.skipped) == ({"a": content}, *((1, 0) if content == "a" else (0, 1)))


def test_the_only_file_fails_as_itself(plugin_app: App) -> None:
    with pytest.raises(NotFoundError, match="nothing"):
        plugin_app.copy("nothing", "out")


def test_of_several_the_others_are_copied(plugin_app: App) -> None:
    with pytest.raises(CopyFailed) as raised:
        plugin_app.copy(["a", "nothing", "b", "nowhere"], "out")
    error = raised.value
    assert below() == {"a": "a", "b": "b"}
    assert (error.summary.copied, sorted(f.path for f in error.summary.failures)) == (2, ["nothing", "nowhere"])
    assert error.exit_code == ExitCode.NOT_FOUND
    told = json.loads(json.dumps(error.as_dict()))["error"]
    assert (told["copied"], told["failed"], sorted(told["paths"])) == (2, 2, ["nothing", "nowhere"])
    assert isinstance(error, AlgoError)


@pytest.mark.parametrize(
    ("source", "destination", "options"),
    [
        ([], "out", {}),
        ("", "out", {}),
        ("a", "nowhere://x", {}),
        ("nowhere://x", "out", {}),
        (["a", "b"], "out/x", {}),
        ("a", "out", {"replace": "sometimes"}),
        ("a", "out", {"max_transfers": 0}),
    ],
)
def test_what_cannot_be_meant_is_refused(plugin_app: App, source: Any, destination: str, options: Any) -> None:
    with pytest.raises((UsageError, NotFoundError)):
        plugin_app.copy(source, destination, **options)
    assert below() == {}


def test_a_refused_credential_ends_the_copy(plugin_app: App, algo_home: Home, stub: StubPlatform) -> None:
    algo_home.write_config(f'[profiles.default]\naddress = "{stub.address}"\napi_key = "{KEY[:-1]}x"\n')
    stub.on("HEAD", "/v1/data/.my/c", stub.answer(401))
    stub.on("GET", "/v1/data/.my/c", stub.answer(401))
    with pytest.raises(AuthError):
        plugin_app.copy(["a", "b"], ".my/c")
