"""Where there is no sandbox, that is said: by `algo doctor`, and by `serve` where others can connect."""

from __future__ import annotations

import contextlib
import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from support.programs import needs
from support.serving import Served, algo

from algo_core.errors import ExitCode
from algo_local.opening import open_platform
from algo_local.state import State

CHECK = "sandbox for algorithms: "


@pytest.fixture(autouse=True)
def plain_settings(root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ALGO_CONFIG_DIR", str(tmp_path / "config"))
    monkeypatch.setenv("ALGO_CACHE_DIR", str(tmp_path / "cache"))
    monkeypatch.delenv("ALGO_LOCAL_SANDBOX", raising=False)


@pytest.fixture
def no_bubblewrap(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine with nothing on its PATH but a shell."""
    directory = tmp_path / "bin"
    directory.mkdir()
    (directory / "sh").symlink_to(shutil.which("sh") or "/bin/sh")
    monkeypatch.setenv("PATH", str(directory))


def doctor(**environ: str) -> str:
    said = algo("doctor", env={**os.environ, **environ}).stdout
    return next(line for line in said.splitlines() if CHECK in line)


@pytest.mark.usefixtures("no_bubblewrap")
def test_doctor_says_that_there_is_none_and_how_to_get_one() -> None:
    line = doctor()
    assert line.startswith("ok")
    assert "none: bubblewrap is not installed; algorithms can read what you can" in line
    assert "apt-get install bubblewrap" in line
    assert doctor(ALGO_LOCAL_SANDBOX="required").startswith("FAIL")


def test_doctor_names_the_sandbox() -> None:
    needs("bwrap")
    assert doctor() == f"ok    {CHECK}bubblewrap ({shutil.which('bwrap')})"


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("ALGO_LOCAL_SANDBOX", "maybe"),
        ("ALGO_LOCAL_SANDBOX_PATHS", "here"),
        ("ALGO_LOCAL_MEMORY", "lots"),
        ("ALGO_LOCAL_PROCESSES", "0"),
        ("ALGO_LOCAL_OPEN_FILES", "-1"),
        ("ALGO_LOCAL_FILE_SIZE", "1,5G"),
    ],
)
def test_a_setting_that_means_nothing_stops_serve_and_is_found_by_doctor(name: str, value: str) -> None:
    done = algo("local", "serve", "--port", "0", env={**os.environ, name: value})
    assert done.returncode == ExitCode.CONFIGURATION
    assert name in done.stderr
    line = doctor(**{name: value})
    assert line.startswith("FAIL")
    assert name in line


@pytest.fixture
def started_servers() -> Iterator[list[Served]]:
    made: list[Served] = []
    yield made
    for one in made:
        one.kill()


@pytest.mark.usefixtures("no_bubblewrap")
def test_serve_warns_where_others_can_connect(started_servers: list[Served]) -> None:
    warning = "Algorithms run without a sandbox, since bubblewrap is not installed"
    started_servers.append(Served("--host", "0.0.0.0", "--insecure-http"))
    assert warning in started_servers[-1].said()
    started_servers.append(Served())
    assert warning not in started_servers[-1].said()


def test_serve_does_not_warn_where_there_is_one(started_servers: list[Served]) -> None:
    needs("bwrap")
    started_servers.append(Served("--host", "0.0.0.0", "--insecure-http"))
    assert "sandbox" not in started_servers[-1].said()


def test_network_access_is_published_kept_and_changed(tmp_path: Path) -> None:
    (tmp_path / "algorithm/src").mkdir(parents=True)
    (tmp_path / "algorithm/src/Quiet.py").write_text("def apply(input):\n    return input\n")

    def publish(version: str, *options: str) -> None:
        done = algo("local", "publish", str(tmp_path / "algorithm"), "acme/Quiet", "--version", version, *options)
        assert done.returncode == ExitCode.OK, done.stderr

    def access() -> str:
        with contextlib.closing(open_platform(State.of())) as platform:
            algorithm = platform.registry.algorithm("acme", "Quiet")
        assert algorithm is not None
        return algorithm.network_access

    publish("1.0.0")
    assert access() == "full"
    publish("1.1.0", "--network-access", "isolated")
    assert access() == "isolated"
    publish("1.2.0")
    assert access() == "isolated"
    publish("1.3.0", "--network-access", "full")
    assert access() == "full"
