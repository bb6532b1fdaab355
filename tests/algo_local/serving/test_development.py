"""`algo local dev`: the directory is served as it stands, and nothing is left."""

from __future__ import annotations

import re
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import requests

from algo_core.errors import ExitCode
from algo_local.platform import Platform

CODE = "import os\ndef apply(input):\n    print('called with', input)\n    return [input, os.getpid()]\n"


class Served:
    """`algo local dev` in a process of its own."""

    def __init__(self, directory: Path, *options: str) -> None:
        command = [sys.executable, "-m", "algo_core", "local", "dev", str(directory), "--port", "0", *options]
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        assert self.process.stdout
        self.lines = [self.process.stdout.readline() for _ in range(3)]
        self.url = self.lines[0].split()[-1]
        self.key = re.findall(r"sim\w{25}", self.lines[1])[0]

    def call(self, text: str, key: str | None = None, **options: Any) -> Any:
        headers = {"Authorization": f"Simple {key or self.key}", "Content-Type": "text/plain"}
        return requests.post(self.url, data=text, headers=headers, timeout=60, **options).json()

    def end(self) -> str:
        self.process.send_signal(signal.SIGINT)
        said = self.process.communicate(timeout=60)[1]
        assert self.process.returncode == ExitCode.OK
        return said


@pytest.fixture
def dev(root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., Served]]:
    monkeypatch.setenv("ALGO_CONFIG_DIR", str(tmp_path / "config"))
    monkeypatch.setenv("ALGO_CACHE_DIR", str(tmp_path / "cache"))
    made: list[Served] = []

    def dev(*arguments: Any) -> Served:
        made.append(Served(*arguments))
        return made[-1]

    yield dev
    for served in made:
        served.process.kill()
        served.process.communicate()


def test_calls_run_the_files_as_they_are(dev: Callable[..., Served], write: Callable[..., Path], root: Path) -> None:
    directory = write(CODE, **{"algorithmia.conf": '{"username": "acme", "algoname": "Hello"}'})
    served = dev(directory)
    assert served.url.endswith("/v1/algo/acme/Hello")
    assert f"ALGORITHMIA_API_KEY={served.key} algo run acme/Hello" in served.lines[2]
    first, second = (served.call("x")["result"] for _ in range(2))
    assert first == second  # one warm worker
    (directory / "src" / "Hello.py").write_text(CODE.replace("[input,", "[input.upper(),"))
    assert served.call("x")["result"][0] == "X"
    (directory / "src" / "other.py").write_text("def f(:\n")
    for _ in range(2):
        broken = served.call("x")["error"]
        assert (broken["error_type"], "src/other.py, line 1: invalid syntax" in broken["message"]) == (
            "LoadingError",
            True,
        )
    (directory / "src" / "other.py").unlink()
    (directory / "src" / "Hello.py").write_text(f"{CODE}x = 1 / 0\n")
    assert served.call("x")["error"]["message"] == "division by zero"
    (directory / "src" / "Hello.py").write_text(CODE)
    assert served.call("y")["result"][0] == "y"
    assert served.call("x", key="sim" + "0" * 25)["error"]["message"] == "The API key is not known to this platform"
    headers = {"Authorization": f"Simple {served.key}"}
    other = requests.post(served.url.replace("acme/Hello", "demo/Hello"), headers=headers, data="x", timeout=60)
    assert other.status_code == 403
    said = served.end()
    assert said.count("src/other.py, line 1: invalid syntax") == 1
    assert "called with y" in said
    assert f'File "{directory}/src/Hello.py", line 5, in <module>' in said
    assert [*root.glob("drafts/d-*"), *root.glob("processes/p-*")] == []
    platform = Platform(root)
    assert platform.keys.all() == []
    platform.close()


def test_a_change_is_built_as_soon_as_it_is_seen(dev: Callable[..., Served], write: Callable[..., Path]) -> None:
    directory = write(CODE, **{"algorithmia.conf": '{"username": "acme"}'}, name="algorithm")
    served = dev(directory, "--watch")
    assert served.process.stderr
    assert served.process.stderr.readline().startswith("Built acme/algorithm (")
    (directory / "src" / "algorithm.py").write_text("x =\n")
    assert "src/algorithm.py, line 1: invalid syntax" in served.process.stderr.readline()
    assert served.process.stderr.readline() == "hint: Correct it: x =\n"
    (directory / "src" / "algorithm.py").write_text(CODE)
    assert served.process.stderr.readline().startswith("Built acme/algorithm (")
    assert served.call("x")["result"][0] == "x"
    served.end()
