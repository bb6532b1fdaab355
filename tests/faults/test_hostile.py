"""Responses that nobody sends by mistake, to commands as processes: each ends soon, with an error of the platform."""

from __future__ import annotations

import gzip
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from support.wire_server import Wire, WireServer

from algo_core.errors import ExitCode
from algo_core.testing import Home

COMMANDS = {
    "ls -l": ("ls", "-l", ".my/c"),
    "cat": ("cat", ".my/c/f"),
    "cp -r": ("cp", "-r", "data://.my/c", "here"),
    "upload": ("cp", "local", "data://.my/c/local"),
    "run": ("run", "demo/Hello", "-d", "x"),
    "languages": ("languages",),
}
DIGITS = "9" * 5000
DEEP = "[" * 100_000 + "]" * 100_000
SLIGHTLY_DEEP = "[" * 900 + "]" * 900
FAR = "Fri, 31 Dec 9999 23:59:59 -2359"


def reply(body: str | bytes = "", status: str = "200 OK", **headers: str) -> bytes:
    content = body.encode() if isinstance(body, str) else body
    lines = {
        "X-Data-Type": "directory",
        "Content-Type": "application/json",
        "Content-Length": str(len(content)),
        **headers,
    }
    head = "".join(f"{name.replace('_', '-')}: {value}\r\n" for name, value in lines.items())
    return f"HTTP/1.1 {status}\r\n{head}\r\n".encode() + content


def page(**members: Any) -> bytes:
    return reply(json.dumps({"folders": [], "files": [], **members}))


def file(**members: Any) -> dict[str, Any]:
    return {"filename": "f", "size": 1, "last_modified": "2016-01-06T10:22:34.000Z", **members}


BOMB = gzip.compress(bytes(1 << 26), 6)

HOSTILE: dict[str, tuple[Wire, ...]] = {
    "LF alone": (b"HTTP/1.1 200 OK\nContent-Length: 2\n\n{}",),
    "a large head": (b"HTTP/1.1 200 OK\r\nX: " + b"x" * 70_000 + b"\r\n\r\n{}",),
    "interim responses": (b"HTTP/1.1 100 Continue\r\n\r\n" * 100_000,),
    "a length of many digits": (reply("{}", Content_Length=DIGITS),),
    "chunks of many digits": (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + DIGITS.encode() + b"\r\n",),
    "deep JSON": (reply(DEEP),),
    "slightly deep JSON": (reply(SLIGHTLY_DEEP),),
    "a deep result": (reply(f'{{"result": {SLIGHTLY_DEEP}, "metadata": {{"content_type": "json"}}}}'),),
    "a number of many digits": (reply(f'{{"result": {DIGITS}, "folders": {DIGITS}}}'),),
    "a deep error": (reply(f'{{"error": {DEEP}}}', "400 Bad"),),
    "a deep error without a failure": (reply(f'{{"error": {SLIGHTLY_DEEP}}}'),),
    "an error of many digits": (reply(f'{{"error": {{"code": {DIGITS}, "message": "no"}}}}', "400 Bad"),),
    "an endless error": (reply("x" * 10_000_000, "404 Not Found", Content_Type="text/plain"),),
    "a compressed bomb": (reply(BOMB, Content_Encoding="gzip"),),
    "a bomb as an error": (reply(BOMB, "500 Oops", Content_Encoding="gzip"),),
    "markers in a circle": (page(marker="a"), page(marker="b"), page(marker="a"), page(marker="b"), page(marker="c")),
    "a marker to itself": (page(marker="a", files=[file()]),),
    "dates that overflow": (page(files=[file(last_modified="9999-12-31T23:59:59-23:59")]),),
    "dates that underflow": (page(files=[file(last_modified="0001-01-01T00:00:00+23:59")]),),
    "sizes without end": (page(files=[file(size=10**400), file(size=-1)]),),
    "infinite sizes": (reply('{"files": [{"filename": "f", "size": 1e999, "last_modified": 1e999}]}'),),
    "a file dated too far": (reply("x", X_Data_Type="file", Last_Modified=FAR),),
    "a file dated nowhere": (reply("x", X_Data_Type="file", Last_Modified="Mon, 01 Jan 0001 00:00:00 +2359"),),
    "a range of many digits": (reply("x", "206 Partial", X_Data_Type="file", Content_Range=f"bytes 0-0/{DIGITS}"),),
    "a pause of many digits": (reply("{}", "503 Busy", Retry_After=DIGITS),),
    "a date for a pause": (reply("{}", "503 Busy", Retry_After="Mon, 01 Jan 0001 00:00:00 +2359"),),
    "a redirect in a circle": (reply("", "302 Found", Location="/v1/x"),),
    "a redirect to nowhere": (reply("", "302 Found", Location="http://[::1"),),
    "a listing of no list": (reply("[]"),),
    "more than was asked for": (reply("{}") + reply("{}"),),
}


NEVER_WELL = {"LF alone", "a large head", "interim responses"}


@pytest.fixture
def run_against(algo_home: Home, tmp_path: Path) -> Any:
    """Runs a command against a server that answers so."""
    servers: list[WireServer] = []

    def run(command: str, *wires: Wire) -> Any:
        servers.append(WireServer(*wires))
        algo_home.environ |= {
            "ALGORITHMIA_API": servers[-1].address,
            "ALGORITHMIA_API_KEY": "sim" + "k" * 25,
            "ALGO_RETRIES": "0",
            "ALGO_TIMEOUT": "30",
            "PYTHONPATH": str(Path(__file__).with_name("quick")),
        }
        (algo_home.root / "local").write_text("content")
        return algo_home.run(*COMMANDS[command])

    yield run
    for server in servers:
        server.close()


@pytest.mark.parametrize("command", COMMANDS)
def test_no_response_makes_a_command_fail_itself(run_against: Callable[..., Any], command: str) -> None:
    """Whether it means something to the command or not: then it is an error, and which one is said."""
    for kind, wires in HOSTILE.items():
        result = run_against(command, *wires)
        told = (command, kind, result.stdout[:300], result.stderr[-600:])
        assert result.code in {
            ExitCode.OK,
            ExitCode.FAILURE,
            ExitCode.NOT_FOUND,
            ExitCode.NETWORK,
            ExitCode.PLATFORM,
        }, told
        assert not {"defect", "Traceback", "RecursionError", "MemoryError"} & set(result.stderr.split()), told
        assert "in time" not in result.stderr, told
        if kind in NEVER_WELL:
            assert result.code in {ExitCode.NETWORK, ExitCode.PLATFORM}, told
