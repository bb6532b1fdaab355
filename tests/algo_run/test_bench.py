"""`algo bench`: calls are counted, measured and drawn; what fails is told."""

from __future__ import annotations

import json
import threading
import xml.etree.ElementTree as ElementTree
from collections import Counter
from pathlib import Path

import pytest

from algo_core.errors import ExitCode, NotFoundError, PlatformError
from algo_core.testing import Home
from algo_run.latency_picture import latency_picture
from algo_run.measuring import Measurement, measure


def test_each_call_is_made_once_by_as_many_callers_as_asked_for() -> None:
    lock, meeting = threading.Lock(), threading.Barrier(4)
    made, told = 0, []

    def call() -> None:
        nonlocal made
        with lock:
            made += 1
            is_early = made <= 4
        if is_early:
            meeting.wait(60)  # only four callers get past
        if made % 5 == 0:
            raise PlatformError("every fifth")

    found = measure(call, 40, 4, told.append)
    assert (made, told[-1], len(told)) == (40, 40, 40)
    assert len(found.latencies) + found.failures.total() == 40
    assert set(found.failures) <= {"every fifth"}
    assert found.latencies == sorted(found.latencies)


def test_what_concerns_every_call_ends_the_measurement() -> None:
    made = []

    def call() -> None:
        made.append(1)
        raise NotFoundError("There is no such algorithm")

    with pytest.raises(NotFoundError):
        measure(call, 1000, 4, lambda ended: None)
    assert len(made) <= 8


def test_percentiles_are_latencies_that_occurred() -> None:
    found = Measurement(1, 2.0, [number / 100 for number in range(1, 101)], Counter({"late": 3}))
    assert [found.percentile(share) for share in (0.0, 0.5, 0.9, 0.99, 1.0)] == [0.01, 0.5, 0.9, 0.99, 1.0]
    described = found.as_dict()
    assert (described["calls"], described["failed"], described["rate"], described["latency"]["p99"]) == (
        103, 3, 50.0, 0.99,
    )  # fmt: skip
    assert Measurement(1, 1.0, [], Counter({"all": 1})).as_dict()["latency"] is None


@pytest.mark.parametrize("latencies", [[0.001], [0.0], [0.5] * 10_000, [1e-6, 3000.0]])
def test_a_picture_stays_within_its_borders(latencies: list[float]) -> None:
    name = 'a & b <"1">'
    picture = latency_picture(name, [Measurement(8, 1.0, latencies, Counter()), Measurement(1, 1.0, [], Counter())])
    root = ElementTree.fromstring(picture)
    width, height = float(root.get("width", 0)), float(root.get("height", 0))
    (line,) = root.findall("{*}polyline")
    places = [tuple(map(float, place.split(","))) for place in line.get("points", "").split()]
    assert places
    assert all(0 <= x <= width and 0 <= y <= height for x, y in places)
    assert name in [text.text for text in root.findall("{*}text")]


def test_a_person_measures_an_algorithm(algo_home: Home, tmp_path: Path) -> None:
    picture = tmp_path / "latencies.svg"
    result = algo_home.run("bench", "demo/Hello", "-d", "x", "--calls", "12", "--concurrency", "1,3", "--svg", picture)
    assert result.code == ExitCode.OK, result.stderr
    head, one, three = result.text.splitlines()
    assert head.split()[:2] == ["Concurrency", "Calls/s"]
    assert (one.split()[0], one.split()[-1], three.split()[0], three.split()[-1]) == ("1", "0", "3", "0")
    assert len(ElementTree.parse(picture).getroot().findall("{*}polyline")) == 2
    told = json.loads(
        algo_home.run("bench", "demo/Hello", "-d", "x", "--calls", "2", "--concurrency", "1", "--json").text
    )
    assert (told["algorithm"], [found["calls"] for found in told["measurements"]]) == ("demo/Hello", [2])


def test_few_calls_need_no_other_option(algo_home: Home) -> None:
    found = algo_home.run("bench", "demo/Hello", "-d", "x", "--calls", "3", "--json")
    assert [found.text.count(f'"concurrency": {callers},') for callers in (1, 3)] == [1, 1]
    assert '"concurrency": 1,' in algo_home.run("bench", "demo/Hello", "-d", "x", "--calls", "1", "--json").text


@pytest.mark.parametrize(
    ("words", "code", "told"),
    [
        (["demo/Nope", "-d", "x"], ExitCode.NOT_FOUND, "demo/Nope not found"),
        (["demo/Hello"], ExitCode.USAGE, "input is missing"),
        (["demo/Hello", "-d", "x", "--concurrency", "1,x"], ExitCode.USAGE, "not a number from 1 to 80"),
        (["demo/Hello", "-d", "x", "--concurrency", "81"], ExitCode.USAGE, "not a number from 1 to 80"),
        (["demo/Hello", "-d", "x", "--calls", "3", "--concurrency", "8"], ExitCode.USAGE, "Give more --calls"),
    ],
)
def test_what_cannot_be_measured_is_told(algo_home: Home, words: list[str], code: int, told: str) -> None:
    result = algo_home.run("bench", *words)
    assert (result.code, told in result.stderr) == (code, True), result.stderr
