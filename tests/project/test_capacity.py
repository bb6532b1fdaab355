"""The capacity model: what queueing theory says of it, deployments that were measured, and the page that it writes."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"


@pytest.fixture
def capacity(monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.syspath_prepend(BENCHMARKS)
    import capacity

    return capacity


@pytest.fixture
def model(capacity: Any) -> Any:
    import capacity_model

    return capacity_model


COSTS = {
    "front_end": 0.0005, "data_request": 0.0002, "relay": 0.0004, "hand_over": 0.0001, "runner": 0.0001, "remote": 0.001,
    "transaction": 0.0001, "row": 0.00001, "postgresql_transaction": 0.001, "postgresql_row": 0.0001, "object_request": 0.002,
}  # fmt: skip


def result(model: Any, deployed: dict[str, Any], load: dict[str, Any], **costs: float) -> Any:
    made = model.Simulation(model.Costs(**{**COSTS, **costs}), model.Deployment(**deployed), model.Load(**load))
    return made.run(2.0, 5 * load.get("wait", 0.2))


@pytest.mark.parametrize(
    ("deployed", "load", "costs", "rate", "limit"),
    [
        ({"processors": 8}, {"in_flight": 20}, {}, 1 / 0.0005, "front ends"),
        ({"processors": 8, "processes": 2, "workers": 50}, {"in_flight": 200}, {}, 2 / 0.0005, "front ends"),
        (
            {"processors": 2, "processes": 4, "workers": 50},
            {"in_flight": 200},
            {},
            2 / 0.0006,
            "processors of front ends",
        ),
        (
            {"processors": 8, "processes": 8, "has_engine": True},
            {"in_flight": 99},
            {"hand_over": 0.0004},
            1 / 0.0004,
            "engines",
        ),
        ({"workers": 10}, {"in_flight": 20, "wait": 0.1}, {}, 10 / 0.1001, "workers"),
        ({"nodes": 2, "workers": 10}, {"in_flight": 40, "wait": 0.1}, {}, 20 / 0.1011, "workers"),
        (
            {"nodes": 1, "node_processors": 4, "workers": 8},
            {"in_flight": 16, "processor": 0.01},
            {},
            4 / 0.0101,
            "processors of nodes",
        ),
        (
            {"workers": 50, "has_object_store": True, "store_connections": 1},
            {"in_flight": 60, "data_requests": 2},
            {},
            1 / 0.004,
            "object store",
        ),
    ],
)
def test_the_slowest_layer_decides_and_is_named(
    model: Any, deployed: Any, load: Any, costs: Any, rate: float, limit: str
) -> None:
    found = result(model, deployed, load, **costs)
    assert found.rate == pytest.approx(rate, rel=0.03)
    assert found.used[limit] == pytest.approx(1.0, abs=0.02)
    assert found.limit in {limit, "front ends", "workers"}, "those are held while they wait for what is behind them"
    assert all(0 <= share <= 1.001 for share in found.used.values())


def test_workers_in_use_follow_littles_law_and_waiting_that_of_one_server(model: Any) -> None:
    spread = {"wait": 0.05, "is_random": True, "rate": 400.0}
    found = model.Simulation(model.Costs(**COSTS), model.Deployment(workers=80), model.Load(**spread)).run(10.0)
    assert found.used["workers"] == pytest.approx(400 * 0.0501 / 80, rel=0.05)
    one = model.Load(wait=0.001, is_random=True, rate=500.0)
    nothing = dict.fromkeys(COSTS, 0.0)
    alone = model.Simulation(model.Costs(**nothing), model.Deployment(workers=1), one).run(30.0)
    assert alone.median == pytest.approx(0.002 * 0.693, rel=0.1), "M/M/1: the sojourn is exponential, 1 / (1000 - 500)"


def test_records_wait_for_a_database_that_is_too_slow(model: Any) -> None:
    quick = result(model, {"workers": 50}, {"in_flight": 40})
    slow = result(model, {"workers": 50}, {"in_flight": 40}, row=0.001)
    assert (quick.used["database"], slow.used["database"]) == (
        pytest.approx(0.021, abs=0.005),
        pytest.approx(0.95, abs=0.06),
    )
    assert quick.rows_waiting < 250 < 1500 < slow.rows_waiting
    other = result(model, {"workers": 50, "has_postgresql": True}, {"in_flight": 40})
    assert other.used["database"] == pytest.approx(0.21, abs=0.03), "2,000 rows of 0.1 ms each second, ten transactions"


def test_one_seed_gives_one_result(model: Any) -> None:
    load = model.Load(wait=0.01, is_random=True, rate=300.0)
    runs = [model.Simulation(model.Costs(**COSTS), model.Deployment(), load, seed).run(3.0) for seed in (1, 1, 2)]
    assert runs[0] == runs[1] != runs[2]


def test_the_simulation_agrees_with_the_deployments_that_were_measured(capacity: Any) -> None:
    found = {name: (said, rate) for name, rate, said in capacity.checked(json.loads(capacity.MEASURED.read_text()))}
    assert {"one process", "two processes"} < set(found)
    assert any("sleepers" in name for name in found)
    for name, (said, rate) in found.items():
        assert said == pytest.approx(rate, rel=capacity.TOLERANCE), name


def test_the_page_has_the_costs_that_were_measured(capacity: Any) -> None:
    page = capacity.PAGE.read_text("utf-8")
    assert "\n".join(capacity.costs_table(json.loads(capacity.MEASURED.read_text()))) in page
    assert all(f"| {case.name} |" in page for case in (*capacity.STEPS, *capacity.HOURS))


def test_only_the_part_between_its_marks_is_written(capacity: Any) -> None:
    page = f"# A\n\n{capacity.BEGIN}\n\nold\n\n{capacity.END}\n\nZ\n"
    new = capacity.written(page, iter(["new"]))
    assert new == page.replace("old", "new")
    assert capacity.written(new, iter(["new"])) == new
    with pytest.raises(ValueError, match="no part"):
        capacity.written("# A\n", iter(["new"]))
