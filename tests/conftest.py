"""Fixtures for all areas: a stub platform, and `algo` on a terminal."""

from __future__ import annotations

import gc
import importlib.metadata
import os
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pexpect
import pytest
from support.environments import ROOT
from support.forked import run_commands_forked, stop_forking
from support.leftovers import Leftovers
from support.machine import isolate, take_signals
from support.order import long_ones_first, workers
from support.serving import Served
from support.stub import StubPlatform

from algo_core.testing import Home

take_signals()


def pytest_addoption(parser: pytest.Parser) -> None:
    """How thorough tests are that choose their cases by chance, and how strict a run is with itself."""
    parser.addoption("--leave-nothing", action="store_true", help="Fail if tests leave processes or temporary files.")
    parser.addoption("--kills", type=int, default=12, help="How often publications are killed.")
    parser.addoption("--cluster-kills", type=int, default=4, help="How often parts of a cluster are killed.")


def pytest_configure(config: pytest.Config) -> None:
    """Give every test the same environment, whoever runs it and where."""
    if "PYTEST_XDIST_WORKER" not in os.environ:  # workers inherit it
        _check_installed()
        directory = tempfile.TemporaryDirectory(prefix="algo-tests-", ignore_cleanup_errors=True)
        config.add_cleanup(directory.cleanup)
        isolate(config, Path(directory.name))
    config.pluginmanager.register(
        Leftovers(Path(os.environ["HOME"]).parent, is_strict=config.getoption("--leave-nothing"))
    )
    run_commands_forked()


@pytest.hookimpl(trylast=True)
def pytest_sessionfinish() -> None:
    """End the process from which commands are forked."""
    stop_forking()


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Have the long tests begin first."""
    items[:] = long_ones_first(items)


def pytest_collection_finish() -> None:
    """Have the garbage collector leave the collected tests alone, which stay: it would look at them again and again."""
    gc.collect()
    gc.freeze()


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_auto_num_workers() -> int:
    """How many workers there are with `--numprocesses auto`."""
    return workers()


def _check_installed() -> None:
    """Say what to do where the environment is older than a distribution of this repository."""
    for project in sorted(ROOT.glob("plugins/*")):
        name = project.name.replace("_", "-")
        if name == "algo-ray":  # its tests say themselves what they need
            continue
        try:
            importlib.metadata.distribution(name)
        except importlib.metadata.PackageNotFoundError:
            pytest.exit(
                f"{name} is not installed here: pip install --no-deps --no-build-isolation -e plugins/{project.name}",
                returncode=3,
            )


def pytest_make_parametrize_id(val: object, argname: str) -> str | None:
    """Name a test after its argument where that is content: it would be unreadable, and may hold the time of day."""
    return argname if isinstance(val, bytes) and len(val) > 16 else None


@pytest.fixture
def stub() -> Iterator[StubPlatform]:
    """A platform whose answers the test chooses."""
    with StubPlatform() as stub:
        yield stub


@pytest.fixture(params=["embedded", "served"])
def platform_home(request: pytest.FixtureRequest, algo_home: Home) -> Iterator[Home]:
    """A home whose account is `jane` on a real platform."""
    if request.param == "embedded":
        algo_home.environ["LOGNAME"] = "jane"
        yield algo_home
        return
    served = Served(environ=algo_home.environ)
    key = algo_home.run("local", "key", "new", "jane").text.strip()
    algo_home.write_config(f'[profiles.default]\naddress = "{served.address}"\napi_key = "{key}"\n')
    yield algo_home
    served.kill()


@pytest.fixture
def exchange(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A directory that algorithms see and write to as well, whatever they run in."""
    directory = tmp_path / "exchange"
    directory.mkdir()
    directory.chmod(0o777)  # in the sandbox of a platform that is root, algorithms are somebody else
    monkeypatch.setenv("ALGO_LOCAL_SANDBOX_PATHS", f"{directory}=rw")
    return directory


@pytest.fixture
def spawn() -> Iterator[Callable[..., pexpect.spawn]]:
    """Starts `algo` on a terminal of its own: `spawn(home, "auth")`."""
    started = []

    def start(home: Home, *arguments: str, **environ: str) -> pexpect.spawn:
        command, *rest = home.command(*arguments)
        child = pexpect.spawn(
            command,
            rest,
            env={**home.environ, "TERM": "dumb", "COLUMNS": "200", **environ},
            cwd=str(home.root),
            encoding="utf-8",
            timeout=60,
            dimensions=(50, 200),
        )
        started.append(child)
        return child

    yield start
    for child in started:
        child.close(force=True)


@pytest.fixture
def on_terminal(spawn: Callable[..., pexpect.spawn]) -> Callable[..., tuple[int, str]]:
    """Runs `algo` on a terminal of its own to its end: exit code, and all that was shown."""

    def run(home: Home, *arguments: str, **environ: str) -> tuple[int, str]:
        child = spawn(home, *arguments, **environ)
        child.expect(pexpect.EOF)
        child.wait()
        return child.exitstatus, child.before.replace("\r\n", "\n")

    return run
