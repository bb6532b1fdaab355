"""What the benchmarks of calls compute from times, and the page that they write."""

from __future__ import annotations

import subprocess
import sys
import urllib.request
from pathlib import Path
from typing import Any

import pytest

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"


@pytest.fixture
def figures(monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.syspath_prepend(BENCHMARKS)
    import call_figures

    return call_figures


def test_the_longest_wait_is_against_the_turn_of_each_call(figures: Any) -> None:
    import calls

    assert calls.longest_wait([(0.0, 1.0), (0.1, 2.0), (0.2, 3.0)]) == 1.0
    assert calls.longest_wait([(0.0, 1.0), (1.0, 4.0), (1.5, 3.0)]) == 1.5, "the second had to wait for the third"


def test_targets_are_met_from_their_side_and_the_page_says_so(
    figures: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from picture import Chart

    monkeypatch.setattr(figures, "PAGE", tmp_path / "page.md")
    monkeypatch.setattr(figures, "PICTURE", tmp_path / "picture.svg")
    found = [figures.Found("a", "b", 0.2, 0.25), figures.Found("c", "d", 0.9, 0.95, at_least=True)]
    assert [one.is_met for one in found] == [True, False]
    chart = Chart("t", "x", "y", {"line": [(10.0, 1.0), (100.0, 2.0)]}, {10.0: "10"})
    figures.write_page(found, [chart], 0.5, ["## A section", "with text"])
    page = (tmp_path / "page.md").read_text()
    assert "| a | b | ≤ 0.25 | 0.200 | met |" in page
    assert "| c | d | ≥ 0.95 | 0.900 | **missed** |" in page
    assert "with a load\nof 0.5" in page
    assert "## A section\nwith text\n" in page
    assert (tmp_path / "picture.svg").read_text().startswith("<svg")


def test_the_server_that_only_answers_speaks_http(figures: Any) -> None:
    import call_clients

    with call_clients.server(1) as address:
        for _ in range(2):
            request = urllib.request.Request(f"{address}/v1/algo/bench/Echo", b"x" * 100_000)
            with urllib.request.urlopen(request) as response:
                assert response.read().startswith(b'{"result":1')
    script = [sys.executable, "-c", f"compile({call_clients.SESSION!r}, 'session', 'exec')"]
    assert subprocess.run(script).returncode == 0


def test_the_profile_accounts_for_every_part_of_a_call(
    figures: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import call_throughput

    monkeypatch.setenv("ALGO_LOCAL_SANDBOX", "off")
    monkeypatch.setattr(call_throughput, "PROFILED", 20)
    monkeypatch.setattr(call_throughput, "WARM", 3)
    parts = call_throughput.shares(tmp_path, 5000.0, 50.0)
    assert {name for name, _ in call_throughput.PARTS} < set(parts)
    assert sum(parts.values()) == pytest.approx(5000.0)
    text = "\n".join(call_throughput._explained({"now": 5000.0, "before": 4000.0}, parts))
    assert all(f"| {name} | " in text for name in parts)


def test_a_process_ends_with_its_block_and_what_it_said_is_told(figures: Any, tmp_path: Path) -> None:
    import call_peers

    script = "import time; print('port 7', flush=True); time.sleep(600)"
    with call_peers.running([sys.executable, "-c", script], {}, tmp_path) as process:
        assert call_peers.said(process, r"port (\d+)")[1] == "7"
    assert process.returncode is not None
    with (
        call_peers.running([sys.executable, "-c", "print('no such thing')"], {}, tmp_path) as process,
        pytest.raises(RuntimeError, match="no such thing"),
    ):
        call_peers.said(process, "ready")
