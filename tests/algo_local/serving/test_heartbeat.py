"""Processes that hang are found by beats, which come and are missed only while the parent has its turns."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from algo_core.errors import ConfigError
from algo_local.serving.processes import heartbeat
from algo_local.serving.processes.heartbeat import Heartbeat, hang_seconds


def test_a_pause_of_the_parent_is_one_beat_however_long(monkeypatch: pytest.MonkeyPatch) -> None:
    now = [100.0]
    monkeypatch.setattr(heartbeat, "time", SimpleNamespace(monotonic=lambda: now[0]))
    beats = Heartbeat(30.0)
    found = []
    for now[0] in (102.9, 103.0, 103.1, 9000.0, 9000.1, 9002.9, 9003.0):
        found.append(beats.is_due())
    assert found == [False, True, False, True, False, False, True]
    assert beats.next_due() == [9006.0]
    assert beats.beats_in(120.0) == 40


def test_without_a_bound_there_are_no_beats() -> None:
    beats = Heartbeat(hang_seconds({"ALGO_LOCAL_HANG_SECONDS": "0"}))
    assert not beats.is_due()
    assert beats.next_due() == []
    assert hang_seconds({}) == heartbeat.DEFAULT_SECONDS


@pytest.mark.parametrize("text", ["-1", "x", "1.5", "1e3", "\u0663"])
def test_a_bound_that_is_no_number_is_refused(text: str) -> None:
    with pytest.raises(ConfigError, match="ALGO_LOCAL_HANG_SECONDS must be a number of seconds"):
        hang_seconds({"ALGO_LOCAL_HANG_SECONDS": text})
