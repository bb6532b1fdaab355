"""Workers are where what they declare is, and clusters that do not fit are refused by name."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from support.ports import free_ports

from algo_core.errors import AlgoError, ConfigError, NetworkError
from algo_local.algorithms.build import Build
from algo_local.execution.payload import Payload
from algo_local.testing import PATIENCE, context_for, wait_for
from algo_ray import packing, seats
from algo_ray.connection import Connection
from algo_ray.executor import RayExecutor, checked
from algo_ray.joining import unfit
from algo_ray.packing import Cache, Need, machine, pack

from .conftest import NODE

ECHO = "def apply(input):\n    return input\n"


def actors(executor: RayExecutor) -> list[dict[str, Any]]:
    found = executor.cluster()
    assert found
    return [actor for actor in found["actors"] if actor["algorithm"] == "demo/Hello"]


@pytest.mark.parametrize(
    ("members", "taken"),
    [
        ({}, {"cpus": 1.0}),
        ({"cpus": 2, "memory": "1M"}, {"cpus": 2.0, "memory": float(1 << 20)}),
        ({"cpus": 0, "resources": {"node2": 1}}, {"cpus": 0.0, "node2": 1.0}),
    ],
    ids=["default", "more", "custom"],
)
def test_a_worker_is_placed_by_what_it_declares(
    ray_executor: RayExecutor, build_code: Callable[..., Build], members: dict[str, Any], taken: dict[str, float]
) -> None:
    outcome = ray_executor.call(
        build_code(ECHO, **members), Payload("json", 1), timeout=PATIENCE, context=context_for()
    )
    assert outcome.result == Payload("json", 1)
    (actor,) = actors(ray_executor)
    assert actor["resources"] == taken
    if "node2" in taken:
        found = ray_executor.cluster()
        assert found
        (node,) = [node for node in found["nodes"] if "node2" in node["resources"]]
        assert actor["node"] == node["id"]


def test_the_calls_of_algorithms_take_no_processor(ray_executor: RayExecutor, build_code: Callable[..., Build]) -> None:
    context = context_for(depth=1)
    assert ray_executor.call(build_code(ECHO), Payload("json", 1), timeout=PATIENCE, context=context).result
    assert [actor["resources"]["cpus"] for actor in actors(ray_executor)] == [0.0]


def test_what_no_node_has_is_told(tmp_path: Path, ray_cluster: Any, build_code: Callable[..., Build]) -> None:
    driver = Connection(ray_cluster.address, tmp_path / "driver", {**os.environ, seats.PATIENCE: "1"})
    executor = RayExecutor(lambda: None, tmp_path / "driver", driver)  # type: ignore[arg-type,return-value]
    made = build_code(ECHO, gpus=4)
    try:
        executor._factory._endpoint = type("E", (), {"address": "http://127.0.0.1:9"})  # type: ignore[union-attr]
        outcome = executor.call(made, Payload("json", 1), timeout=PATIENCE, context=context_for())
        assert outcome.failure
        assert "No node of the cluster has gpus=4" in outcome.failure.message
    finally:
        executor.close()


def test_a_cluster_that_lets_everybody_in_is_refused(ray_cluster: Any, tmp_path: Path) -> None:
    (port,) = free_ports(1)
    with tempfile.TemporaryDirectory(prefix="r-", dir="/tmp") as short:  # sockets have room for short paths only
        command = [
            *(str(Path(sys.executable).with_name("ray")), "start", "--head", "--block", "--port", str(port)),
            *("--node-ip-address", "127.0.0.1", "--include-dashboard", "false", "--num-cpus", "0"),
            *("--object-store-memory", str(NODE["object_store_memory"]), "--temp-dir", short),
        ]
        log = tmp_path / "head.log"
        with log.open("wb") as said:
            head = subprocess.Popen(
                command,
                env={**os.environ, "RAY_AUTH_MODE": "disabled"},
                stdout=said,
                stderr=said,
                stdin=subprocess.DEVNULL,
            )
        try:
            wait_for(lambda: head.poll() is not None or b"Ray runtime started" in log.read_bytes())
            with pytest.raises(ConfigError, match="started without token authentication"):
                Connection(f"127.0.0.1:{port}", tmp_path / "driver").open()
        finally:
            head.terminate()
            head.wait(30)


@pytest.mark.parametrize("token", ["f" * 64, None], ids=["wrong", "none"])
def test_who_has_no_token_of_the_cluster_is_told(ray_cluster: Any, tmp_path: Path, token: str | None) -> None:
    environ = {name: value for name, value in os.environ.items() if name != "RAY_AUTH_TOKEN"}
    environ |= {"RAY_AUTH_TOKEN": token} if token else {"HOME": str(tmp_path)}
    with pytest.raises(ConfigError, match="does not accept this machine's token, or there is none here"):
        Connection(ray_cluster.address, tmp_path / "driver", environ).open()


def test_a_port_without_a_cluster_is_told(tmp_path: Path) -> None:
    with pytest.raises(NetworkError, match=r"No Ray cluster answers at 127\.0\.0\.1:1: "):
        Connection("127.0.0.1:1", tmp_path / "driver").open()


@pytest.mark.parametrize("address", ["", "x", "x:", ":1", "x:0", "x:65536", "x:1;ls", "http://x:1", "x:1\n", "[::1"])
def test_what_is_no_address_is_refused(address: str) -> None:
    with pytest.raises(ConfigError, match="must be HOST:PORT"):
        checked(address)


@pytest.mark.parametrize("address", ["127.0.0.1:6379", "ray-head.example:10001", "[::1]:6379"])
def test_addresses(address: str) -> None:
    assert checked(address) == address


@pytest.mark.parametrize(
    ("version", "fits"), [("2.60.0", True), ("2.99.1", True), ("2.60.0rc1", True), ("2.59.9", False), ("3.0.0", False)]
)
def test_versions_of_ray_that_do_not_fit_are_refused_by_name(version: str, fits: bool) -> None:
    told = unfit(version)
    assert (told is None) == fits
    assert fits or (told and f"Ray {version} " in told[1])


def need_of(tree: Path, commit: str, **members: Any) -> Need:
    return Need(commit, "src.Hello", "full", (), str(tree), "", "python", (3, 11), machine())._replace(**members)


def test_a_source_that_was_changed_on_its_way_is_not_run(tmp_path: Path, build_code: Callable[..., Build]) -> None:
    made = build_code(ECHO)
    cache = Cache(tmp_path / "cache")
    need = need_of(made.source, "0" * 40)
    cache.add_source(need, pack(made.source))
    from algo_local.algorithms.build import BuildError
    from algo_local.algorithms.source_trees.published import whole

    (tmp_path / "cache" / "sources" / f"{'0' * 40}.seal").unlink()
    with pytest.raises(BuildError, match="have been changed"):
        whole(cache.build(need).source)


def test_a_source_that_was_damaged_on_a_node_is_fetched_again(tmp_path: Path, build_code: Callable[..., Build]) -> None:
    made = build_code(ECHO)
    cache, need = Cache(tmp_path / "cache"), need_of(made.source, made.source.name)
    assert not cache.has_source(need)
    for _ in range(2):
        cache.add_source(need, pack(made.source))
        assert cache.has_source(need)
    code = cache.build(need).source / "src" / "Hello.py"
    code.chmod(0o644)
    code.write_text("def apply(input):\n    return 'something else'\n")
    assert not cache.has_source(need)
    cache.add_source(need, pack(made.source))
    assert cache.has_source(need)
    assert code.read_text() == ECHO


def test_an_environment_of_another_machine_is_refused(tmp_path: Path) -> None:
    need = need_of(tmp_path, "1" * 40, environment=f"/x/environments/{'2' * 40}", machine="plan9 vax libc")
    with pytest.raises(AlgoError, match="It was built for plan9 vax libc, and this node is"):
        Cache(tmp_path / "cache").add_environment(need, b"x")
    assert not Cache(tmp_path / "cache").has_environment(need)
    assert packing.machine() != need.machine
