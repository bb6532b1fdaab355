"""Workers are where what they declare is, and clusters that do not fit are refused by name."""

from __future__ import annotations

import contextlib
import json
import os
import platform
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from algo_core.errors import AlgoError, ConfigError, NetworkError
from algo_local.algorithms.build import Build
from algo_local.execution.payload import Payload
from algo_local.testing import PATIENCE, context_for
from algo_ray import joining, packing, seats, sessions
from algo_ray.connection import Connection
from algo_ray.executor import RayExecutor, checked
from algo_ray.frames import Channel
from algo_ray.joining import join, unfit
from algo_ray.packing import Cache, Need, digest_of, machine, pack, pack_environment

from .conftest import started_head

ECHO = "def apply(input):\n    return input\n"


def actors(executor: RayExecutor) -> list[dict[str, Any]]:
    found = executor.cluster()
    assert found
    return [actor for actor in found["actors"] if actor["algorithm"] == "demo/Hello"]


@pytest.mark.parametrize(
    ("members", "settings", "taken"),
    [
        ({}, {}, {"cpus": 1.0}),
        ({"cpus": 2, "memory": "1M"}, {}, {"cpus": 2.0, "memory": float(1 << 20)}),
        ({"cpus": 2, "gpus": 1}, {"cpus": 0.0, "gpus": 0.0, "node2": 1.0}, {"cpus": 0.0, "node2": 1.0}),
    ],
    ids=["default", "more", "settings"],
)
def test_a_worker_is_placed_by_what_it_declares(
    ray_executor: RayExecutor,
    build_code: Callable[..., Build],
    members: dict[str, Any],
    settings: dict[str, float],
    taken: dict[str, float],
) -> None:
    made = replace(build_code(ECHO, **members), resources=tuple(settings.items()))
    outcome = ray_executor.call(made, Payload("json", 1), timeout=PATIENCE, context=context_for())
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


@pytest.mark.parametrize(("patience", "timeout"), [("2", PATIENCE), ("600", 2.0)], ids=["worker", "caller"])
def test_what_no_node_has_is_told(
    tmp_path: Path, ray_cluster: Any, build_code: Callable[..., Build], patience: str, timeout: float
) -> None:
    driver = Connection(ray_cluster.address, tmp_path / "driver", {**os.environ, seats.PATIENCE: patience})
    driver.open()
    executor = RayExecutor(lambda: None, tmp_path / "driver", driver)  # type: ignore[arg-type,return-value]
    made = build_code(ECHO, gpus=4)
    try:
        executor._factory._endpoint = type("E", (), {"address": "http://127.0.0.1:9"})  # type: ignore[union-attr]
        outcome = executor.call(made, Payload("json", 1), timeout=timeout, context=context_for())
        assert outcome.failure
        assert "No node of the cluster has cpus=1, gpus=4" in outcome.failure.message
    finally:
        executor.close()


def test_a_node_that_does_not_start_a_worker_is_given_up(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    never = SimpleNamespace(
        wait=lambda asked, timeout: time.sleep(0.005) or ([], asked), exceptions=SimpleNamespace(RayActorError=KeyError)
    )
    monkeypatch.setitem(sys.modules, "ray", never)
    monkeypatch.setenv(sessions.PATIENCE, "0.01")
    begin = SimpleNamespace(remote=lambda *given: None)
    placed = seats.Placed(SimpleNamespace(begin=begin), (), False, node="a1" * 20)
    dropped: list[seats.Placed] = []
    found: Any = SimpleNamespace(take=lambda *given, **named: placed, drop=dropped.append)
    archives: Any = SimpleNamespace(of=lambda need: (need, []))
    ours, theirs = (Channel(end) for end in socket.socketpair())
    need = need_of(tmp_path, "1" * 40)
    ours.send("start", tuple(need), "jane", "token", "demo/Hello", "http://127.0.0.1:9", (), False, b"key")
    sessions.Session(theirs, found, archives, str, "127.0.0.1").run()
    said = list(iter(ours.receive, None))
    assert said[-1] == ("refused", "Node a1a1a1a1a1a1 did not start the worker within 0 seconds", None)
    assert dropped == [placed]
    ours.close()


def test_a_cluster_that_lets_everybody_in_is_refused(ray_cluster: Any, tmp_path: Path) -> None:
    with (
        tempfile.TemporaryDirectory(prefix="r-", dir="/tmp") as short,  # sockets have room for short paths only
        started_head({"RAY_AUTH_MODE": "disabled"}, short, tmp_path / "head.log") as address,
        pytest.raises(ConfigError, match="started without token authentication"),
    ):
        Connection(address, tmp_path / "driver").open()


@pytest.mark.parametrize("token", ["f" * 64, None], ids=["wrong", "none"])
def test_who_has_no_token_of_the_cluster_is_told(ray_cluster: Any, tmp_path: Path, token: str | None) -> None:
    environ = {name: value for name, value in os.environ.items() if name != "RAY_AUTH_TOKEN"}
    environ |= {"RAY_AUTH_TOKEN": token} if token else {"HOME": str(tmp_path)}
    with pytest.raises(ConfigError, match="does not accept this machine's token, or there is none here"):
        Connection(ray_cluster.address, tmp_path / "driver", environ).open()


@pytest.mark.parametrize("ours", [("", "3.9.99"), ("2.61.7", "")], ids=["python", "ray"])
def test_other_versions_than_those_of_the_cluster_are_refused_by_name(ray_cluster: Any, ours: tuple[str, str]) -> None:
    theirs = (ray_version(), platform.python_version())
    found = tuple(one or other for one, other in zip(ours, theirs, strict=True))
    code = f"""if True:
        import json, sys
        sys.path[:] = {sys.path!r}
        import ray._private.utils
        from algo_ray.joining import join
        ray._private.utils.compute_version_info = lambda: {found!r}
        print(json.dumps(join({ray_cluster.address!r}, {{}}, [], is_insecure=False)))
    """
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    kind, message, hint = json.loads(done.stdout.splitlines()[-1])
    assert kind == "configuration", (message, done.stderr)
    assert "runs other versions than this machine" in message
    assert all(version in message for version in (*theirs, *found))
    assert "Install the same version of Ray and of Python" in hint


def ray_version() -> str:
    import ray

    return str(ray.__version__)


def test_a_port_without_a_cluster_is_told(tmp_path: Path) -> None:
    with pytest.raises(NetworkError, match=r"No Ray cluster answers at 127\.0\.0\.1:1: "):
        Connection("127.0.0.1:1", tmp_path / "driver").open()


@pytest.mark.parametrize("host", ["a" * 64, "..", "a..b", "no-such-name.invalid", "-x", "[fe80::1]"])
def test_a_host_that_is_none_is_told(host: str) -> None:
    told = join(checked(f"{host}:9"), {}, [], is_insecure=False)
    assert told
    assert told[0] == "network"
    assert f"No Ray cluster answers at {host}:9: " in told[1]


def test_a_port_of_something_else_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    """One that says nothing, one that closes at once, one that answers HTTP, and one that greets by itself."""
    monkeypatch.setattr(joining, "_PROBE_SECONDS", 6.0)
    monkeypatch.setenv("RAY_AUTH_TOKEN", "a" * 64)
    http = b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n"
    with contextlib.ExitStack() as stack:
        places = []
        for greeting in (None, b"", http, b"SSH-2.0-OpenSSH_9\r\n"):
            listener = stack.enter_context(socket.create_server(("127.0.0.1", 0)))
            places.append(f"127.0.0.1:{listener.getsockname()[1]}")
            threading.Thread(target=greet, args=(listener, greeting), daemon=True).start()
        with ThreadPoolExecutor() as pool:
            found = list(pool.map(joining._shut_out, places))
        for place, told in zip(places, found, strict=True):
            assert told
            assert told[:2] == ("network", f"What listens at {place} is no Ray cluster, or does not answer")


def greet(listener: socket.socket, greeting: bytes | None) -> None:
    """Greet all who connect; say nothing if there is no greeting, and close if it is empty."""
    kept = []
    with contextlib.suppress(OSError):
        while True:
            connected, _ = listener.accept()
            if greeting == b"":
                connected.close()
                continue
            kept.append(connected)
            connected.sendall(greeting or b"")


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
    need = need_of(tmp_path, "1" * 40, environment="/x/environments/2", machine="plan9 vax libc", digest="2" * 40)
    with pytest.raises(AlgoError, match="It was built for plan9 vax libc, and this node is"):
        Cache(tmp_path / "cache").add_environment(need, b"x")
    assert not Cache(tmp_path / "cache").has_environment(need)
    assert packing.machine() != need.machine


def test_an_environment_that_was_changed_on_its_way_is_not_used(tmp_path: Path) -> None:
    site = tmp_path / "2" / "lib" / f"python{sys.version_info[0]}.{sys.version_info[1]}" / "site-packages"
    site.mkdir(parents=True)
    (site / "greeting.py").write_text("WORD = 'Hello'\n")
    need = need_of(tmp_path, "1" * 40, environment=str(tmp_path / "2"), python=tuple(sys.version_info[:2]))
    archive = pack_environment(need)
    need = need._replace(digest=digest_of(need, archive))
    with pytest.raises(AlgoError, match="changed on the way"):
        Cache(tmp_path / "cache").add_environment(need, archive.replace(b"Hello", b"Hullo"))
    assert not Cache(tmp_path / "cache").has_environment(need)
    Cache(tmp_path / "cache").add_environment(need, archive)
    assert Cache(tmp_path / "cache").has_environment(need)


def test_environments_of_equal_requirements_and_other_content_are_two(tmp_path: Path) -> None:
    """Those of two platforms: each gets what is installed there, though both require the same."""
    need = need_of(tmp_path, "1" * 40, environment="/x/environments/2")
    digests = {digest_of(need, b"1.0"), digest_of(need, b"1.1"), digest_of(need._replace(python=(3, 12)), b"1.0")}
    assert len(digests) == 3
    assert digest_of(need._replace(environment="/y/environments/2"), b"1.0") in digests
