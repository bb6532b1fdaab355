"""`algo local serve --log`: a line for each request, and nobody waits for its reader."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from support.serving import ALGO, Served, algo
from support.wire import PATIENCE, exchange

from algo_core.errors import ExitCode

RAW = b"".join(
    [
        b"GET /v1/data/?x=%1b HTTP/1.1\r\nHost: x\r\nAuthorization: KEY\r\n\r\n",
        b"GET /%s HTTP/1.1\r\nHost: x\r\n\r\n" % (b"a" * 2000),
        b"PUT /v1/data/.my/none/f HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\n\r\nx",
        b"GET /\x1b[31m HTTP/1.1\r\nHost: x\r\n\r\n",
    ]
)


def served_lines(serve: Callable[..., Served], style: str) -> list[str]:
    served = serve("--log", style)
    key = algo("local", "key", "new", "jane").stdout.strip()
    exchange(served.address, RAW.replace(b"KEY", key.encode()))
    code, said = served.stop(signal.SIGTERM)
    assert code == ExitCode.OK
    assert key not in said
    return [line for line in said.splitlines() if "There are no keys yet" not in line]


def test_lines_as_text(serve: Callable[..., Served]) -> None:
    lines = served_lines(serve, "text")
    shown = [re.fullmatch(r"\S+T\S+\+00:00 127\.0\.0\.1 (\S+ \S+ \d+) (\d+) \d\.\d{6}", line) for line in lines]
    assert [match and match[1] for match in shown] == [
        "GET /v1/data/?x=%1b 200", f"GET /{'a' * 499}... 404", "PUT /v1/data/.my/none/f 401", "- - 400"
    ]  # fmt: skip
    assert all(match and int(match[2]) > 0 for match in shown)


def test_lines_as_json(serve: Callable[..., Served]) -> None:
    found = [json.loads(line) for line in served_lines(serve, "json")]
    assert [(line["method"], line["status"], line["client"]) for line in found] == [
        ("GET", 200, "127.0.0.1"), ("GET", 404, "127.0.0.1"), ("PUT", 401, "127.0.0.1"), ("-", 400, "127.0.0.1")
    ]  # fmt: skip
    assert set(found[0]) == {"time", "client", "method", "target", "status", "bytes", "seconds"}


def test_without_it_requests_are_not_told(serve: Callable[..., Served]) -> None:
    served = serve()
    exchange(served.address, RAW)
    assert re.sub("There are no keys yet.*", "", served.stop()[1]).strip() == ""


def test_nobody_waits_for_its_reader(root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ALGO_CACHE_DIR", str(tmp_path / "cache"))
    served = subprocess.Popen([*ALGO, "local", "serve", "--port", "0", "--log", "json"], stderr=subprocess.PIPE)
    try:
        assert served.stderr
        address = served.stderr.readline().decode().split()[-1]
        for _ in range(20):
            exchange(address, b"GET /v1/data/ HTTP/1.1\r\nHost: x\r\n\r\n" * 100)
        pipe = os.read(served.stderr.fileno(), 1 << 20)
        while b"left_out" not in pipe:
            exchange(address, b"GET /v1/data/ HTTP/1.1\r\nHost: x\r\n\r\n")
            pipe += os.read(served.stderr.fileno(), 1 << 20)
        lines = [json.loads(line) for line in pipe.splitlines() if line.startswith(b"{")]
        left_out = sum(line.get("left_out", 0) for line in lines)
        assert left_out > 0
        assert left_out + sum("status" in line for line in lines) > 2000
        served.send_signal(signal.SIGTERM)
        assert served.wait(timeout=PATIENCE) == 0
    finally:
        served.kill()
        served.communicate()
