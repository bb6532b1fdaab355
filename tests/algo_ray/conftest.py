"""A Ray cluster on loopback, started once for all tests of this directory and stopped behind them."""

from __future__ import annotations

import json
import os
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from support.programs import needs

from algo_local.algorithms.build import Build
from algo_local.algorithms.builder import Builder
from algo_local.testing import wait_for

if TYPE_CHECKING:
    from algo_ray.connection import Connection
    from algo_ray.executor import RayExecutor

HERE = Path(__file__).parent
PRESENCE = "test_presence.py"
HAS_RAY = bool(find_spec("ray") and find_spec("algo_ray"))


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    """Run these where they are asked for, as `make test-cluster` does: a cluster is not for every processor at once.

    Without Ray, one test of them is left, which says so; continuous integration runs them by themselves.
    """
    named = [Path(argument.partition("::")[0]).resolve() for argument in config.invocation_params.args]
    is_asked_for = any(path.is_relative_to(HERE) for path in named)
    if collection_path.name == PRESENCE:
        return None if is_asked_for or not (HAS_RAY or os.environ.get("CI")) else True
    return None if collection_path == HERE or (is_asked_for and HAS_RAY) else True


@pytest.fixture(scope="session")
def ray_cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    """A head without processors, where platforms join, and two nodes that run algorithms: `numbered` 1 and 2."""
    before = dict(os.environ)
    directory = tempfile.mkdtemp(prefix="r-", dir="/tmp")  # a short name: sockets below have room for about 100 bytes
    os.mkdir(f"{directory}/ray")  # Ray notes its last cluster there, and does not make the directory for that
    os.environ.update(
        RAY_TMPDIR=directory,
        RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER="0",  # loopback is loopback
        RAY_AUTH_MODE="token",
        RAY_AUTH_TOKEN=secrets.token_hex(32),
        RAY_DISABLE_IMPORT_WARNING="1",
    )
    from ray.cluster_utils import Cluster

    found = Cluster(initialize_head=True, head_node_args={**NODE, "num_cpus": 0, "temp_dir": directory})
    try:
        found.numbered = {n: add_node(found, tmp_path_factory.mktemp(f"node-{n}"), n) for n in (1, 2)}
        yield found
    finally:
        found.shutdown()
        shutil.rmtree(directory, ignore_errors=True)
        os.environ.clear()
        os.environ.update(before)


NODE = {"node_ip_address": "127.0.0.1", "object_store_memory": 80 << 20, "include_dashboard": False}


def add_node(cluster: Any, cache: Path, number: int, **more: Any) -> Any:
    """Start a node that keeps its builds in `cache`; nothing else runs where the resource `nodeN` is asked for.

    It reaches no package index, and has other versions of our own packages.
    """
    other = cache / "other"
    for package in ("algo_core", "algo_local", "algo_ray"):
        (other / package).mkdir(parents=True)
        (other / package / "__init__.py").write_text("raise ImportError('this is what the node has')\n")
    environ = {"ALGO_RAY_CACHE": str(cache), "PYTHONPATH": str(other), "PIP_NO_INDEX": "1", "UV_OFFLINE": "1"}
    nowhere = dict.fromkeys(("PIP_INDEX_URL", "UV_DEFAULT_INDEX", "UV_INDEX_URL"), "http://127.0.0.1:9/simple")
    return cluster.add_node(**NODE, num_cpus=8, resources={f"node{number}": 8}, env_vars={**environ, **nowhere}, **more)


@contextmanager
def started_head(environ: Mapping[str, str], directory: str, log: Path) -> Iterator[str]:
    """The address of a cluster of one node, which has processes and variables of its own; its files are in `directory`."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    command = [
        *(str(Path(sys.executable).with_name("ray")), "start", "--head", "--block", "--port", str(port)),
        *("--node-ip-address", "127.0.0.1", "--include-dashboard", "false", "--num-cpus", "4"),
        *("--object-store-memory", str(NODE["object_store_memory"]), "--temp-dir", directory),
        *("--min-worker-port", "0", "--max-worker-port", "0"),  # any: the first one may be in these as well
    ]
    with log.open("wb") as said:
        head = subprocess.Popen(
            command,
            env={**os.environ, **environ},
            stdout=said,
            stderr=said,
            stdin=subprocess.DEVNULL,
            start_new_session=True,
        )
    try:
        wait_for(lambda: head.poll() is not None or b"Ray runtime started" in log.read_bytes())
        assert head.poll() is None, log.read_text()
        yield f"127.0.0.1:{port}"
    finally:
        os.killpg(head.pid, signal.SIGKILL)  # a head that is asked to end drains itself for half a minute
        head.wait()


@pytest.fixture(scope="session")
def ray_connection(ray_cluster: Any, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Connection]:
    """A driver that is joined to the cluster, whose algorithms run in sandboxes that see the tests' directories."""
    from algo_ray.connection import Connection

    needs("bwrap")
    base = tmp_path_factory.getbasetemp()
    base.chmod(0o711)
    environ = {**os.environ, "ALGO_LOCAL_SANDBOX": "required", "ALGO_LOCAL_SANDBOX_PATHS": f"{base}=rw"}
    connection = Connection(ray_cluster.address, tmp_path_factory.mktemp("driver"), environ)
    connection.open()
    yield connection
    connection.close()


class Endpoint:
    """No platform: these algorithms call none."""

    address = "http://127.0.0.1:9"

    def serve_also(self, listener: Any) -> Callable[[], None]:
        return listener.close  # type: ignore[no-any-return]  # a socket's

    def close(self) -> None:
        pass


@pytest.fixture
def ray_executor(ray_connection: Connection, tmp_path: Path) -> Iterator[RayExecutor]:
    """An executor of the cluster; its driver is that of all tests."""
    from algo_ray.executor import RayExecutor

    tmp_path.chmod(0o777)
    executor = RayExecutor(Endpoint, tmp_path / "executor", ray_connection, is_lent=True)
    executor.start()
    yield executor
    executor.close()


@pytest.fixture
def build_code(tmp_path: Path) -> Callable[..., Build]:
    """Makes a build from code: `build_code(code, cpus=2)`, with members of its algorithmia.conf."""

    def build(code: str, **members: Any) -> Build:
        source = tmp_path / "source"
        (source / "src").mkdir(parents=True)
        (source / "src" / "__init__.py").write_text("")
        (source / "src" / "Hello.py").write_text(code)
        (source / "algorithmia.conf").write_text(json.dumps(members))
        return Builder(tmp_path / "builds").build(source, "demo", "Hello")

    return build
