"""`algo requests`, `result`, `logs` and `run --async`: calls on record, through real processes, embedded and served."""

from __future__ import annotations

import hashlib
import hmac
import json
import signal
import subprocess
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from support.sandbox import wait_until
from support.stub import json_answer

from algo_core.errors import ExitCode
from algo_core.testing import Home
from algo_core.testing.platform import Platform, Served

SLOW = """
import time
def apply(input):
    print("called with", input, flush=True)
    if input == "fail":
        raise ValueError("asked to fail")
    if isinstance(input, bytes):
        return bytearray(input[::-1])
    time.sleep(input if isinstance(input, (int, float)) else 0)
    return {"value": input}
"""


@pytest.fixture
def source(tmp_path: Path) -> Path:
    directory = tmp_path / "slow"
    (directory / "src").mkdir(parents=True)
    (directory / "src" / "__init__.py").write_text("")
    (directory / "src" / "Slow.py").write_text(SLOW)
    return directory


@pytest.fixture
def served(algo_home: Home, source: Path) -> Iterator[Served]:
    platform = Platform(algo_home)
    platform.publish(source, "tester/Slow")
    yield platform.serve()
    platform.close()


def run(home: Home, *arguments: str, code: ExitCode = ExitCode.OK, **options: Any) -> Any:
    done = home.run("--quiet", *arguments, **options)
    assert done.code == code, done.stderr
    return done


def test_calls_of_the_embedded_platform_are_on_record(algo_home: Home, source: Path) -> None:
    run(algo_home, "local", "publish", source, "me/Slow", "--version", "1.0.0")
    identifier = run(algo_home, "run", "me/Slow", "-j", "0.01", "--async").text.strip()
    assert json.loads(run(algo_home, "result", identifier).text) == {"value": 0.01}
    assert run(algo_home, "result", identifier, "--json").json["request_id"] == identifier
    binary = run(algo_home, "run", "me/Slow", "-b", "abc", "--json").json["request_id"]
    assert run(algo_home, "result", binary).stdout == b"cba"
    assert run(algo_home, "result", binary, "--raw", "-o", "out").stdout == b""
    assert (algo_home.root / "out").read_bytes() == b"cba"
    run(algo_home, "run", "me/Slow", "-t", "fail", code=ExitCode.FAILURE)
    (failed,) = run(algo_home, "requests", "list", "--state", "failed", "--json").json
    done = run(algo_home, "result", failed["request_id"], code=ExitCode.FAILURE)
    assert done.stderr == "error: asked to fail\n"
    listed = run(algo_home, "requests", "list", "--limit", "2").text.splitlines()
    assert [line.split()[:3] for line in listed] == [
        ["Request", "State", "Algorithm"],
        [failed["request_id"], "failed", "me/Slow/1.0.0"],
        [binary, "done", "me/Slow/1.0.0"],
    ]
    shown = run(algo_home, "requests", "show", identifier).text
    assert "state            done\n" in shown
    assert "algorithm        me/Slow\n" in shown
    printed = run(algo_home, "logs", "me/Slow", "--sudo")
    assert printed.text.splitlines() == ["called with 0.01", "called with b'abc'", "called with fail"]
    assert printed.stderr.count("req-") == 3
    assert run(algo_home, "logs", binary, "--sudo").text == "called with b'abc'\n"
    run(algo_home, "logs", binary, code=ExitCode.AUTHENTICATION)
    assert run(algo_home, "requests", "cancel", identifier).text == f"{identifier}\tdone\n"


def test_a_served_call_is_waited_for_and_cancelled(algo_home: Home, served: Served) -> None:
    environ = served.environ
    slow = run(algo_home, "run", "tester/Slow", "-j", "3600", "--async", environ=environ).text.strip()
    early = run(algo_home, "result", slow, code=ExitCode.FAILURE, environ=environ)
    assert f"{slow} has not ended" in early.stderr
    assert f"algo result {slow} --wait" in early.stderr
    assert run(algo_home, "requests", "cancel", slow, "--json", environ=environ).json[0]["state"] == "cancelled"
    ended = run(algo_home, "result", slow, "--wait", code=ExitCode.FAILURE, environ=environ)
    assert ended.stderr == "error: The call was cancelled\n"
    quick = run(algo_home, "run", "tester/Slow", "-j", "0.3", "--async", environ=environ).text.strip()
    assert json.loads(run(algo_home, "result", quick, "--wait", environ=environ).text) == {"value": 0.3}


def test_what_a_call_prints_is_shown_while_it_runs(algo_home: Home, served: Served) -> None:
    identifier = run(algo_home, "run", "tester/Slow", "-j", "3600", "--async", environ=served.environ).text.strip()
    following = subprocess.Popen(
        algo_home.command("logs", identifier, "-f"),
        env={**algo_home.environ, **served.environ},
        stdout=subprocess.PIPE,
    )
    assert following.stdout
    assert following.stdout.readline() == b"called with 3600\n"
    assert following.poll() is None
    run(algo_home, "requests", "cancel", identifier, environ=served.environ)
    assert following.stdout.read() == b""
    assert following.wait(60) == 0
    following.stdout.close()


def test_new_logs_are_followed_until_interrupted(algo_home: Home, served: Served) -> None:
    environ = served.environ
    run(algo_home, "run", "tester/Slow", "-t", "first", environ=environ)
    following = subprocess.Popen(
        algo_home.command("logs", "tester/Slow", "-f", "--json"),
        env={**algo_home.environ, **environ},
        stdout=subprocess.PIPE,
    )
    assert following.stdout
    assert json.loads(following.stdout.readline())["logs"] == "called with first\n"
    run(algo_home, "run", "tester/Slow", "-t", "second", environ=environ)
    assert json.loads(following.stdout.readline())["logs"] == "called with second\n"
    following.send_signal(signal.SIGINT)
    assert following.wait(60) == 130
    following.stdout.close()


def test_a_batch_whose_client_is_killed_executes_each_input_once(algo_home: Home, tmp_path: Path) -> None:
    """The calls under way go on; the resumed run gets their recorded answers."""
    executed = tmp_path / "executed"
    directory = tmp_path / "noted"
    (directory / "src").mkdir(parents=True)
    (directory / "src" / "__init__.py").write_text("")
    note = f"    with open({str(executed)!r}, 'a') as file:\n        file.write(f'{{input}}\\n')\n"
    (directory / "src" / "Noted.py").write_text(
        f"import time\ndef apply(input):\n{note}    time.sleep(0.01)\n    return input\n"
    )
    platform = Platform(algo_home)
    platform.publish(directory, "tester/Noted")
    algo_home.environ["ALGO_LOCAL_SANDBOX"] = "off"  # the algorithm writes to a file of the test's
    try:
        environ = platform.serve().environ
        (algo_home.root / "inputs.jsonl").write_text("".join(f"{number}\n" for number in range(300)))
        command = ["run", "tester/Noted", "--each", "inputs.jsonl", "-o", "results.jsonl"]
        results = algo_home.root / "results.jsonl"
        for _ in range(3):
            resume = ["--resume"] if results.exists() else []
            before = results.stat().st_size if resume else 0
            client = subprocess.Popen(
                algo_home.command(*command, *resume), env={**algo_home.environ, **environ}, cwd=algo_home.root
            )
            wait_until(lambda before=before: results.exists() and results.stat().st_size > before + 3000)
            client.kill()
            client.wait()
        run(algo_home, *command, "--resume", environ=environ)
    finally:
        platform.close()
    rows = [json.loads(line) for line in results.read_text().splitlines()]
    assert sorted(row["result"] for row in rows if "index" in row) == list(range(300))
    assert sorted(map(int, executed.read_text().split())) == list(range(300))


def test_a_finished_call_is_posted_to_a_url_and_its_signature_can_be_verified(algo_home: Home, source: Path) -> None:
    seen: list[tuple[str, bytes]] = []

    class Receiver(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            seen.append((self.headers["X-Algo-Signature"], self.rfile.read(int(self.headers["Content-Length"]))))
            self.send_response(200 if len(seen) == 1 else 500)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Receiver) as server:
        threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        url = f"http://127.0.0.1:{server.server_address[1]}/hook"
        run(algo_home, "local", "publish", source, "me/Slow", "--version", "1.0.0")
        asked = ["run", "me/Slow", "-j", "0.01", "--async", "--notify", url]
        identifier = run(algo_home, *asked, "--notify-output").text.strip()
        refused = run(algo_home, *asked, "--json").json["request_id"]
        server.shutdown()
    mac, body = seen[0]
    secret = run(algo_home, "requests", "secret").text.strip()
    timestamp, _, digest = mac.removeprefix("t=").partition(",v1=")
    assert digest == hmac.new(secret.encode(), f"{timestamp}.".encode() + body, hashlib.sha256).hexdigest()
    assert (json.loads(body)["request_id"], json.loads(body)["output"]["result"]) == (identifier, {"value": 0.01})
    assert "state delivered, attempts 1" in run(algo_home, "requests", "show", identifier).text
    shown = run(algo_home, "requests", "show", refused).text
    assert "state waiting, attempts 1" in shown
    assert "last_error 127.0.0.1 answered with status 500" in shown
    assert "None" not in shown
    assert run(algo_home, "requests", "secret", "--json").json == {"secret": secret, "header": "X-Algo-Signature"}


def test_a_platform_that_sends_no_notifications_is_told_beside_the_id(home: Home, stub: Any) -> None:
    stub.on("POST", "/v1/algo/demo/Echo", json_answer({"async": "void", "request_id": "req-1"}))
    done = home.run("run", "demo/Echo", "-d", "x", "--async", "--notify", "https://example.org/hook")
    assert (done.code, done.text) == (ExitCode.PLATFORM, "req-1\n")
    assert done.stderr == f"error: {stub.address} sends no notifications; the call was made without\n"


@pytest.mark.parametrize(
    ("options", "says"),
    [
        (["--notify", "http://x.test"], "--notify is for calls that are not waited for"),
        (["--async", "--notify-output"], "--notify-output needs --notify"),
        (["--each", "x.jsonl", "--async", "--notify", "http://x.test"], "--each cannot be combined with --void"),
    ],
)
def test_notifications_are_for_asynchronous_calls(home: Home, stub: Any, options: list[str], says: str) -> None:
    done = home.run("run", "demo/Echo", *(["-d", "x"] if "--each" not in options else []), *options)
    assert done.code == ExitCode.USAGE
    assert says in done.stderr
    assert not stub.seen


COMMANDS = [
    ["requests", "list"],
    ["requests", "show", "req-1"],
    ["requests", "cancel", "req-1"],
    ["requests", "secret"],
    ["result", "req-1"],
    ["result", "req-1", "--wait"],
    ["logs", "req-1"],
    ["logs", "demo/Echo", "-f"],
]


@pytest.mark.parametrize(
    ("command", "status", "body"),
    [
        *((command, 404, {"error": {"message": "nothing"}}) for command in COMMANDS),
        (COMMANDS[0], 405, {"error": "no"}),
        (COMMANDS[0], 200, {}),
        (COMMANDS[4], 501, {"message": "later"}),
    ],
)
def test_a_platform_without_the_record_is_told_in_one_line(
    home: Home, stub: Any, command: list[str], status: int, body: Any
) -> None:
    for path in ("", "/req-1", "/req-1/result", "/req-1/logs", "/req-1/cancel"):
        for method in ("GET", "POST"):
            stub.on(method, f"/v1/requests{path}", json_answer(body, status))
    done = home.run(*command)
    assert done.code == ExitCode.PLATFORM, done.stderr
    assert done.stderr == f"error: {stub.address} keeps no record of calls\n"


def test_a_call_that_is_not_there_is_told_as_the_platform_does(home: Home, stub: Any) -> None:
    stub.on("GET", "/v1/requests", json_answer({"marker": None, "next_link": None, "results": []}))
    for command in COMMANDS[1:3]:
        done = home.run(*command)
        assert (done.code, done.stderr.count("\n")) == (ExitCode.NOT_FOUND, 1), done.stderr


@pytest.mark.parametrize("identifier", ["a/b", "", ".", ".."])
def test_what_is_no_id_is_refused(home: Home, identifier: str) -> None:
    assert home.run("result", identifier).code == ExitCode.USAGE
