"""The benchmarks of several processes: what they measure, what they name as missing, and the page."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from support.environments import ROOT

from algo_core.errors import ExitCode

BENCHMARKS = ROOT / "benchmarks"


@pytest.fixture
def cluster(monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.syspath_prepend(BENCHMARKS)
    import cluster

    return cluster


def test_what_is_not_installed_is_named_and_the_rest_is_measured(
    cluster: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    slow, quick = (cluster.Found("pages", "SQLite", value, 20.0, unit=" ms") for value in (25.0, 2.0))

    def partly(base: Path) -> Iterator[Any]:
        yield slow
        raise cluster.Missing("PostgreSQL: pip install it")

    def wholly(base: Path) -> Iterator[Any]:
        raise cluster.Missing("Ray: pip install it")
        yield slow

    parts = list(cluster.measured(["listing", "ray"], {"listing": partly, "ray": wholly}))
    assert [(part.found, part.missing) for part in parts] == [
        ([slow], "PostgreSQL: pip install it"),
        ([], "Ray: pip install it"),
    ]
    assert "Not measured: Ray: pip install it\n" in capsys.readouterr().out
    import cluster_page

    page = tmp_path / "page.md"
    monkeypatch.setattr(cluster_page, "PAGE", page)
    cluster_page.write_page(parts)
    text = page.read_text("utf-8")
    assert "| pages | SQLite | ≤ 20 ms | 25.000 ms | **missed** |" in text
    assert text.count("with a load of ") == 2
    titles = re.findall("^## .*", text, re.MULTILINE)
    assert titles == [f"## {cluster_page.TEXTS[name][0]}" for name in ("ray", "listing")]
    assert re.findall("^Not measured, .*", text, re.MULTILINE) == [
        f"Not measured, since a part was not installed. {part.missing}" for part in reversed(parts)
    ]
    part = cluster_page.Part("listing", [quick], "", 0.5)
    cluster_page.write_page([part])
    again = page.read_text("utf-8")
    assert again.split("\n## ")[1] == text.split("\n## ")[1], "parts that were not measured now stay"
    assert "2.000 ms | met |" in again
    assert "25.000" not in again
    cluster_page.write_page([cluster_page.Part("listing", [], "PostgreSQL: pip install it", 0.5)])
    assert page.read_text("utf-8") == again, "nothing replaces figures with none"


def test_a_part_that_fails_takes_no_other_one_with_it(
    cluster: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    import cluster_page

    def fails(base: Path) -> Iterator[Any]:
        yield cluster.Found("nodes", "one", 1.0, 2.0)
        raise EOFError("the platform is gone")

    def works(base: Path) -> Iterator[Any]:
        yield cluster.Found("memory", "before", 1.0, 2.0)

    page = tmp_path / "page.md"
    monkeypatch.setattr(cluster_page, "PAGE", page)
    monkeypatch.setattr(cluster, "MEASURES", {"nodes": fails, "memory": works})
    monkeypatch.setattr(sys, "argv", ["cluster.py", "--write"])
    with pytest.raises(SystemExit, match="since something failed: nodes"):
        cluster.main()
    assert "EOFError: the platform is gone" in capsys.readouterr().err
    assert re.findall("^## .*", page.read_text("utf-8"), re.MULTILINE) == ["## Memory of a front end"]


def test_the_page_has_every_part_and_its_targets(cluster: Any) -> None:
    import cluster_page

    assert set(cluster_page.TEXTS) == set(cluster.MEASURES)
    text = cluster_page.PAGE.read_text("utf-8")
    assert cluster_page.HEAD in text
    assert list(cluster_page._sections(text)) == list(cluster_page.TEXTS)
    for name, section in cluster_page._sections(text).items():
        assert cluster_page.TEXTS[name][1] in section, "make benchmarks-cluster writes it"
        assert re.search(
            r"\| [≤≥] [\d.]+(?: ms)? \| [\d.]+(?: ms)? \| (?:met|\*\*missed\*\*) \|$", section, re.MULTILINE
        )


@pytest.mark.parametrize("words", [["nodez"], ["ray", ""], ["--records", "x"]])
def test_a_figure_that_there_is_not_is_refused(
    cluster: Any, words: list[str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "argv", ["cluster.py", *words])
    with pytest.raises(SystemExit) as ended:
        cluster.main()
    assert ended.value.code == ExitCode.USAGE
    assert "error: " in capsys.readouterr().err


def test_pages_of_records_are_measured_on_a_platform_that_is_served(
    cluster: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import cluster_listing

    asked: list[tuple[str, int]] = []
    send = cluster_listing.Connection.send

    def seen(connection: Any, method: str, path: str, *rest: Any) -> bytes:
        answer: bytes = send(connection, method, path, *rest)
        if method == "GET":
            asked.append((re.sub("marker=[^&]+", "marker", path).removeprefix("/v1/"), answer.count(b'"request_id"')))
        return answer

    monkeypatch.setattr(cluster_listing.Connection, "send", seen)
    monkeypatch.setattr(cluster_listing, "PAGES", 1)
    found = list(cluster_listing.measured_pages("SQLite", tmp_path / "state", 5200, {}, children=60))
    assert len(found) == 17
    assert all(one.value > 0 and one.limit == 20 for one in found)
    assert asked[:16] == [
        ("requests?", 50), ("requests?marker", 50), ("requests?marker", 38), (asked[3][0], 50),
        ("requests?algorithm=bench/Echo", 50), ("requests?state=done", 50), ("requests?state=failed", 12),
        ("requests?state=failed,lost,cancelled", 12), ("requests?state=lost", 0),
        ("requests?algorithm=bench/Echo&state=failed", 6), ("requests?sudo=true", 50),
        ("requests?sudo=true&state=failed", 12), ("requests?sudo=true&account=other0", 50),
        ("algorithms/bench/Echo/errors", 6), ("users/bench/errors", 6), ("algorithms/bench/Echo/insights", 46),
    ]  # fmt: skip
    assert "since=" in asked[3][0]
    assert asked[-1][0].endswith("/result?wait=60"), "the call has listed those that it made"


def test_processors_that_others_use_are_none_of_those_left(cluster: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """On 2 processors, of which a client takes 0.25 and others 0.75, 1 is left, and three quarters of it are used."""
    import cluster_processes

    now = iter(range(100))
    measured = cluster_processes
    monkeypatch.setattr(measured, "drive", lambda *rest: 500.0)
    monkeypatch.setattr(measured.os, "cpu_count", lambda: 2)
    monkeypatch.setattr(measured, "clock", lambda processes: 0.75 * next(now))
    monkeypatch.setattr(measured, "busy", lambda: 1.75 * (next(now) - 2))
    monkeypatch.setattr(measured.time, "process_time", lambda: 0.25 * (next(now) - 1))
    monkeypatch.setattr(measured.time, "perf_counter", lambda: 1.0 * (next(now) - 3))

    rate = measured._rate(None, [1, 2], b"")
    assert (rate.used, rate.left, rate.cost) == pytest.approx((0.75, 1.0, 0.0015))


def test_front_ends_take_turns_and_each_round_is_a_pair(cluster: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """What slows the machine down slows both sides of a round."""
    import cluster_processes as measured

    class Served:
        def __init__(self, *processes: int) -> None:
            self.processes = processes

    seen = []

    def rate(side: Any, processes: Any, request: bytes) -> Any:
        seen.append((sorted(processes), request))
        return measured.Rate(len(seen), 0.0, 0.0, 0.0)

    monkeypatch.setattr(measured, "drive", lambda *rest: 0.0)
    monkeypatch.setattr(measured, "descendants", lambda process: [process + 1])
    monkeypatch.setattr(measured, "_rate", rate)
    monkeypatch.setattr(measured, "ROUNDS", 2)
    rounds = measured._rounds([Served(1), Served(5, 7)], [b"one", b"four"])
    assert seen == [([1, 2], b"one"), ([5, 6, 7, 8], b"four"), ([5, 6, 7, 8], b"four"), ([1, 2], b"one")]
    assert [[each.each_second for each in pair] for pair in rounds] == [[1, 2], [4, 3]]


def test_the_makefile_measures_where_ray_is() -> None:
    text = (ROOT / "Makefile").read_text("utf-8")
    (found,) = re.findall(r"^benchmarks-cluster: (.*?) ##.*\n\t(.*)$", text, re.MULTILINE)
    assert found[0] == "$(CLUSTER)/.ready"
    assert found[1].startswith("$(CLUSTER)/bin/python benchmarks/cluster.py")
