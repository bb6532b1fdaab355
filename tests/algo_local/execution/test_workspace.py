"""The temporary directory of a worker holds nothing of an earlier call, and an unchanged one is not read."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from algo_local.execution.workers import workspace as module
from algo_local.execution.workers.workspace import SETTLED_SECONDS, Workspace, Workspaces


@pytest.fixture
def workspace(tmp_path: Path) -> Iterator[Workspace]:
    made = Workspaces(tmp_path / "workspaces").create([], None)
    yield made
    made.remove()


@pytest.fixture
def listed(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """The directories that were read."""
    found: list[Any] = []
    monkeypatch.setattr(module.os, "listdir", lambda path, real=os.listdir: found.append(path) or real(path))  # type: ignore[func-returns-value]
    return found


def test_what_a_call_leaves_is_removed_at_once_however_close_the_calls_are(workspace: Workspace) -> None:
    (workspace.temporary / "loaded").write_text("")
    workspace.remember_temporary()
    for number in range(200):  # many within one tick of the file system's clock
        (workspace.temporary / f"left{number}").write_text("")
        if number % 2:
            (workspace.temporary / "directory").mkdir()
            (workspace.temporary / "directory" / "file").write_text("")
        workspace.empty_temporary()
        assert os.listdir(workspace.temporary) == ["loaded"]
        workspace.empty_temporary()


def test_a_directory_that_did_not_change_is_not_read(
    workspace: Workspace, listed: list[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    workspace.remember_temporary()
    listed.clear()
    workspace.empty_temporary()
    workspace.empty_temporary()
    assert len(listed) == 2, "a change of just now is not told from the next one"
    later = os.stat(workspace.temporary).st_ctime + 2 * SETTLED_SECONDS
    monkeypatch.setattr(module.time, "time", lambda: later)
    workspace.empty_temporary()
    workspace.empty_temporary()
    assert len(listed) == 3
    (workspace.temporary / "left").write_text("")
    os.utime(workspace.temporary, (1, 1))  # which an algorithm can do
    workspace.empty_temporary()
    assert not os.listdir(workspace.temporary)
    listed.clear()
    (workspace.temporary / "loaded").write_text("")
    workspace.remember_temporary()
    workspace.empty_temporary()
    assert len(listed) == 2, "and what is kept now is something else"
