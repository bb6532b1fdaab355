"""The benchmarks of several processes: what they measure, what they name as missing, and the page."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"


@pytest.fixture
def cluster(monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.syspath_prepend(BENCHMARKS)
    import cluster

    return cluster


def test_what_is_not_installed_is_named_and_the_rest_is_measured(
    cluster: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    found = cluster.Found("pages", "SQLite", 25.0, 20.0, unit=" ms")

    def partly(base: Path) -> Iterator[Any]:
        yield found
        raise cluster.Missing("PostgreSQL: pip install it")

    def wholly(base: Path) -> Iterator[Any]:
        raise cluster.Missing("Ray: pip install it")
        yield found

    figures, missing = cluster.measured(["one", "two"], {"one": partly, "two": wholly})
    assert figures == [found]
    assert missing == ["PostgreSQL: pip install it", "Ray: pip install it"]
    assert "Not measured: Ray: pip install it\n" in capsys.readouterr().out
    import cluster_page

    monkeypatch.setattr(cluster_page, "PAGE", tmp_path / "page.md")
    cluster_page.write_page(figures, missing, 0.5)
    page = (tmp_path / "page.md").read_text("utf-8")
    assert "| pages | SQLite | ≤ 20 ms | 25.000 ms | **missed** |" in page
    assert page.endswith("- PostgreSQL: pip install it\n- Ray: pip install it\n")


def test_pages_of_records_are_measured_on_a_platform_that_is_served(
    cluster: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[str] = []
    ask = cluster.Side.connect

    def connect(side: Any) -> Any:
        connection = ask(side)
        send = connection.send

        def seen(method: str, path: str, *rest: Any) -> bytes:
            answer: bytes = send(method, path, *rest)
            if method == "GET":
                asked.append(f"{path.partition('=')[0]} {answer.count(b'request_id')}")
            return answer

        connection.send = seen
        return connection

    monkeypatch.setattr(cluster.Side, "connect", connect)
    monkeypatch.setattr(cluster, "PAGES", 1)
    found = list(cluster._pages("SQLite", tmp_path / "state", 4000, {}))
    assert len(found) == len(cluster.QUERIES)
    assert all(one.value > 0 and one.limit == 20 for one in found)
    path = "/v1/requests?"
    assert asked == [f"{path} 50", f"{path}marker 50", f"{path}algorithm 40", f"{path}state 4", f"{path}state 0"]
