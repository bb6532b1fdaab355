"""`algo replay`: recorded calls made again and compared, from a platform's record and from files."""

from __future__ import annotations

import base64
import hashlib
import json
from pathlib import Path
from typing import Any

import pytest
from support.stub import Answer, Seen, json_answer

from algo_core.errors import ExitCode
from algo_core.testing import Home

NEW = "/v1/algo/demo/Echo/2.0.0"


def test_a_version_is_compared_with_the_calls_on_the_platforms_record(algo_home: Home, publish: Any) -> None:
    code = "def apply(input):\n    if input == 'fail': raise ValueError('asked')\n    return {'v': input, 'w': %s}\n"
    algo_home.environ["ALGORITHMIA_API"] = "local:"
    for version, number in (("1.0.0", "1"), ("2.0.0", "1.5 if input == 2 else 1")):
        publish("me/Echo", code % number, version)
    for text in ("1", "2", '"fail"'):
        algo_home.run("run", "me/Echo/1.0.0", "-j", text)
    done = algo_home.run("replay", "me/Echo/2.0.0")
    assert done.code == ExitCode.FAILURE, done.stderr
    (line,) = [line.split("\t") for line in done.text.splitlines() if "\tslower\t" not in line]
    assert line[1:] == ["differs", "$.w: 1 became 1.5"]
    assert "3 inputs replayed, 0 failed, 1 differing" in done.stderr
    assert "error: me/Echo/2.0.0: 1 output not as recorded" in done.stderr
    close = algo_home.run("replay", "me/Echo/2.0.0", "--tolerance", "0.5", "--json")
    assert close.code == ExitCode.OK, close.stderr
    rows = [json.loads(row) for row in close.text.splitlines()]
    assert len(rows) == 3, "calls of a replay are not replayed"
    assert [row["differs"] for row in rows] == [None] * 3
    assert rows[0]["failure"]["message"] == "asked"
    assert line[0] in {row["name"] for row in rows}
    assert json.loads(close.stderr.splitlines()[-1])["summary"]["inputs"] == 3
    assert algo_home.run("replay", "me/Echo/2.0.0", "--recorded-version", "2.0.0").code == ExitCode.NOT_FOUND


class Record:
    """A platform's record of calls of `demo/Echo/1.0.0`, and version 2.0.0, which gives its input back."""

    def __init__(self, stub: Any) -> None:
        self.stub = stub
        self.entries: list[dict[str, Any]] = []
        self.called: list[bytes] = []
        self.answer: Any = lambda body: {
            "result": json.loads(body),
            "metadata": {"content_type": "json", "duration": 1},
        }
        stub.serve("GET", "/v1/requests", self.listing)
        stub.serve("POST", NEW, self.call)

    def add(
        self, given: Any, came: Any = None, *, input_status: int = 200, result_status: int = 200, **more: Any
    ) -> str:
        """Put a call on record, the newest one; its result is its input if none is given."""
        identifier = f"req-{len(self.entries)}"
        body = json.dumps(given).encode()
        output = json.dumps(given if came is None else came).encode()
        digests = [hashlib.sha256(content).hexdigest() for content in (body, output)]
        entry = {
            "request_id": identifier, "state": "done", "algorithm": "demo/Echo", "version": "1.0.0", "duration": 0.5,
            "account": "alice", "created_at": f"2026-01-01T00:00:{len(self.entries):02}Z",
            "input": {"content_type": "json", "size": len(body), "sha256": digests[0]},
            "output": {"content_type": "json", "size": len(output), "sha256": digests[1]},
        }  # fmt: skip
        self.entries.insert(0, entry | more)
        refusal = {"error": {"message": "not kept"}}
        content = self.stub.answer(200, body, {"Content-Type": "application/json"})
        found = json_answer({"result": json.loads(output), "metadata": {"content_type": "json", "duration": 0.5}})
        path = f"/v1/requests/{identifier}"
        self.stub.on("GET", f"{path}/input", content if input_status == 200 else json_answer(refusal, input_status))
        self.stub.on("GET", f"{path}/result", found if result_status == 200 else json_answer(refusal, result_status))
        return identifier

    def listing(self, request: Seen) -> Answer:
        start = int(request.query.get("marker", 0))
        count = min(int(request.query["limit"]), 3)
        marker = str(start + count) if start + count < len(self.entries) else None
        return json_answer({"results": self.entries[start : start + count], "marker": marker})

    def call(self, request: Seen) -> Answer:
        self.called.append(request.body)
        return json_answer(self.answer(request.body))


@pytest.fixture
def record(stub: Any) -> Record:
    return Record(stub)


def replay(home: Home, *arguments: str | Path, **options: Any) -> Any:
    return home.run("replay", "demo/Echo/2.0.0", *arguments, **options)


def test_inputs_that_are_not_kept_are_counted_and_named_with_the_reason(home: Home, record: Record) -> None:
    for number in range(4):
        record.add(number)
    gone = record.add(44, input_status=410)
    private = record.add(45, input_status=403, account="bob")
    swept = record.add(46, input_status=404)
    lost = record.add(47, state="lost")
    done = replay(home)
    assert done.code == ExitCode.OK, done.stderr
    named = {line.split("\t")[0]: line.split("\t")[1:] for line in done.text.splitlines()}
    digest = hashlib.sha256(b"44").hexdigest()
    assert named == {
        gone: ["not kept", f"its input is not kept: 2 bytes, SHA-256 {digest}"],
        private: ["not kept", "it is a call of bob, whose inputs are private"],
        swept: ["not kept", "it is no longer on record"],
        lost: ["not kept", "it has no result: it is lost"],
    }
    assert "warning: 4 calls could not be replayed" in done.stderr
    assert sorted(record.called) == [b"0", b"1", b"2", b"3"]
    record.entries = record.entries[:4]
    assert "Nothing was compared" in replay(home).stderr


@pytest.mark.parametrize(
    "entry",
    [
        {},
        {"request_id": "req-1"},
        {"request_id": "req-1", "state": "done", "input": {}, "output": {}, "created_at": None},
        {"request_id": "req-1", "state": "done", "input": {"sha256": "nonsense", "size": "x"}, "output": None},
        {"request_id": "a/b", "state": "done", "input": [], "output": 1, "duration": "long"},
        {"request_id": 7, "state": ["done"], "version": {}, "idempotency_key": 3},
    ],
)
def test_a_record_that_means_nothing_breaks_nothing(home: Home, record: Record, entry: dict[str, Any]) -> None:
    record.entries = [entry]
    record.stub.on("GET", "/v1/requests/req-1/input", json_answer({"error": {"message": "gone"}}, 410))
    done = replay(home)
    assert done.code in {ExitCode.FAILURE, ExitCode.USAGE, ExitCode.NOT_FOUND}, done.stderr
    assert "Traceback" not in done.stderr
    assert not record.called


def test_of_an_output_that_is_not_kept_the_digest_is_compared(home: Home, record: Record) -> None:
    record.add([1], result_status=410)
    other = record.add([2], [3], result_status=410)
    done = replay(home)
    assert done.code == ExitCode.FAILURE
    assert done.text.splitlines() == [
        f"{other}\tdiffers\tit is not the recorded output, of which only size and digest are kept"
    ]


def test_failures_and_slowness_have_their_exit_code(home: Home, record: Record) -> None:
    slow = record.add(1, duration=0.1)
    record.add(2)
    assert replay(home).text == f"{slow}\tslower\t10 times: 1 s, not 0.1 s\n"
    assert replay(home).code == ExitCode.OK
    strict = replay(home, "--slower", "5")
    assert strict.code == ExitCode.FAILURE
    assert "1 call slower" in strict.stderr
    assert replay(home, "--slower", "11").code == ExitCode.OK
    record.answer = lambda body: {"error": {"message": "broken now"}, "metadata": {"duration": 1}}
    failed = replay(home)
    assert failed.code == ExitCode.FAILURE
    assert {line.split("\t", 1)[1] for line in failed.text.splitlines()} == {"failed\tbroken now"}


def test_a_replay_goes_on_where_it_ended_whatever_was_called_meanwhile(
    home: Home, record: Record, tmp_path: Path
) -> None:
    for number in range(10):
        record.add(number)
    out = tmp_path / "out.jsonl"
    record.answer = lambda body: (
        {"error": {"message": "no"}, "metadata": {}} if body == b"4" else {"result": json.loads(body), "metadata": {}}
    )
    ended = replay(home, "-o", out, "--stop-on-error", "--concurrency", "1")
    assert ended.code == ExitCode.FAILURE
    called = list(record.called)
    assert 4 <= len(called) < 10
    record.add(100)
    record.add(4, idempotency_key="replay-x-1")
    for changed in (["--tolerance", "1"], ["--since", "2026-01-01"], ["--limit", "3"]):
        refused = replay(home, "-o", out, "--resume", *changed)
        assert refused.code == ExitCode.USAGE, refused.stderr
    done = replay(home, "-o", out, "--resume")
    assert done.code == ExitCode.FAILURE, "an input has failed before"
    assert "1 call failed" in done.stderr
    assert sorted(record.called, key=int) == [b"%d" % number for number in range(10)], "each was called once"
    rows = [json.loads(line) for line in out.read_text().splitlines()]
    assert [row["name"] for row in rows[1:]] == [f"req-{number}" for number in reversed(range(10))]
    record.entries = record.entries[:2]
    assert "no longer on record" in replay(home, "-o", out, "--resume").stderr


def test_limit_and_version_choose_calls(home: Home, record: Record) -> None:
    for number in range(8):
        record.add(number, version="1.1.0" if number % 2 else "1.0.0")
    assert replay(home, "--recorded-version", "1.0.0", "--limit", "3").code == ExitCode.OK
    assert sorted(record.called) == [b"2", b"4", b"6"]
    shown = replay(home, "--dry-run")
    assert shown.text.count("POST algo/demo/Echo/2.0.0") == 3
    assert len(record.called) == 3


def test_a_platform_without_a_record_is_told_in_one_line(home: Home, stub: Any) -> None:
    done = replay(home)
    assert (done.code, done.stderr) == (ExitCode.PLATFORM, f"error: {stub.address} keeps no record of calls\n")


LINES = (
    b'{"input": {"a": 1}, "output": {"a": 1}}\n\n{"input": 2, "result": 3}\n{"input": 3, "error": "no"}\nnonsense\n'
    b'{"input": 4}\n{"output": 1, "input": "x"}\n'
)


def test_json_lines_with_inputs_and_outputs(home: Home, record: Record, tmp_path: Path) -> None:
    file = tmp_path / "recorded.jsonl"
    file.write_bytes(LINES)
    expected = [
        (f"{file}:3", "differs", "$: 3 became 2"),
        (f"{file}:4", "differs", "it failed before: no"),
        (f"{file}:5", "failed", f"{file}:5: not JSON: Expecting value at column 1"),
        (f"{file}:6", "failed", f"{file}:6: not an object with 'input', and 'output' or 'error'"),
        (f"{file}:7", "differs", "$: a number became text"),
    ]
    done = replay(home, "--from", file)
    assert [tuple(line.split("\t")) for line in done.text.splitlines()] == expected
    assert done.code == ExitCode.FAILURE
    piped = replay(home, "--from", "-", input=LINES)
    assert len(piped.text.splitlines()) == 5
    assert record.called.count(b'"x"') == 2
    assert replay(home, "--from", file, "--limit", "1").code == ExitCode.OK


@pytest.mark.parametrize("out", ["out.jsonl", "out.csv", "results/"])
def test_results_of_a_batch(home: Home, record: Record, tmp_path: Path, out: str) -> None:
    values = ['{"a": 12345678901234567890123}', '"text\\n"', "3", "4", "5"]
    (tmp_path / "in.jsonl").write_text("\n".join(values))
    record.stub.serve("POST", "/v1/algo/demo/Echo/1.0.0", record.call)

    def answer(body: bytes) -> Any:
        if body == b"4":
            return {"error": {"message": "four\nfailed", "error_type": "E"}, "metadata": {}}
        if body == b"5":
            return {"result": base64.b64encode(b"\xff").decode(), "metadata": {"content_type": "binary"}}
        return {"result": json.loads(body), "metadata": {"content_type": "json", "duration": 0.25}}

    record.answer = answer
    home.run("run", "demo/Echo/1.0.0", "--each", "in.jsonl", "-o", out, "--unordered", cwd=tmp_path)
    done = replay(home, "--from", out, cwd=tmp_path)
    assert (done.code, done.text) == (ExitCode.OK, ""), done.stderr
    assert "5 inputs replayed, 0 failed in" in done.stderr
    (tmp_path / "in.jsonl").write_text("\n".join([*values[:2], "33", *values[3:4], "", ""]))
    changed = replay(home, "--from", out, cwd=tmp_path)
    assert [line.split("\t") for line in changed.text.splitlines()] == [
        ["in.jsonl:3", "not kept", "the input has changed since its result was recorded"],
        ["input 4", "not kept", "in.jsonl no longer has this input"],
    ]
    (tmp_path / "in.jsonl").unlink()
    assert replay(home, "--from", out, cwd=tmp_path).code == ExitCode.NOT_FOUND


@pytest.mark.parametrize("out", ["out.jsonl", "out.csv", "results/"])
def test_an_input_that_was_invalid_and_still_is_was_no_call(
    home: Home, record: Record, tmp_path: Path, out: str
) -> None:
    (tmp_path / "in.jsonl").write_text("1\n[2,\n3\n")
    record.stub.serve("POST", "/v1/algo/demo/Echo/1.0.0", record.call)
    home.run("run", "demo/Echo/1.0.0", "--each", "in.jsonl", "-o", out, cwd=tmp_path)
    done = replay(home, "--from", out, cwd=tmp_path)
    assert (done.code, done.text) == (ExitCode.OK, ""), done.stderr
    (tmp_path / "in.jsonl").write_text('1\n"x\n3\n')
    changed = replay(home, "--from", out, cwd=tmp_path)
    assert changed.code == ExitCode.FAILURE
    assert changed.text.startswith("in.jsonl:2\tfailed\t")


def test_a_result_that_was_never_recorded_is_named(home: Home, record: Record, tmp_path: Path) -> None:
    (tmp_path / "in.jsonl").write_text("1\n2\n")
    record.stub.serve("POST", "/v1/algo/demo/Echo/1.0.0", record.call)
    home.run("run", "demo/Echo/1.0.0", "--each", "in.jsonl", "-o", "out.jsonl", cwd=tmp_path)
    lines = (tmp_path / "out.jsonl").read_text().splitlines(keepends=True)
    (tmp_path / "out.jsonl").write_text("".join(lines[:2]) + '{"index": 1, "inp')
    done = replay(home, "--from", "out.jsonl", cwd=tmp_path)
    assert done.text == "in.jsonl:2\tnot kept\tits result is not in out.jsonl\n"


@pytest.mark.parametrize(
    ("arguments", "code", "says"),
    [
        (["--from", "none.jsonl"], ExitCode.NOT_FOUND, "none.jsonl"),
        (["--from", "x.jsonl", "--since", "2026-01-01"], ExitCode.USAGE, "--since is for calls on record"),
        (["--from", "x.csv"], ExitCode.USAGE, "holds no results"),
        (["--from", "stdin.jsonl"], ExitCode.USAGE, "came from standard input"),
        (["--from", "replay.jsonl"], ExitCode.USAGE, "holds the results of a replay"),
        (["--from", "x.jsonl", "-o", "out.csv"], ExitCode.USAGE, "cannot be written as CSV"),
        (["--from", "x.jsonl", "--resume"], ExitCode.USAGE, "--resume needs"),
        (["--from", "x.jsonl", "-o", "x.csv"], ExitCode.USAGE, "CSV"),
        (["--slower", "0.5"], ExitCode.USAGE, "0.5"),
    ],
)
def test_command_lines_that_mean_nothing(
    home: Home, record: Record, tmp_path: Path, arguments: list[str], code: int, says: str
) -> None:
    (tmp_path / "x.jsonl").write_text('{"input": 1, "output": 1}\n')
    (tmp_path / "x.csv").write_text("a,b\n1,2\n")
    header = {"run": "r", "format": 1, "algorithm": "demo/Echo"}
    (tmp_path / "stdin.jsonl").write_text(json.dumps(header | {"inputs": "each -"}) + "\n")
    (tmp_path / "replay.jsonl").write_text(json.dumps(header | {"inputs": "replay of calls of demo/Echo"}) + "\n")
    done = replay(home, *arguments, cwd=tmp_path)
    assert done.code == code, done.stderr
    assert says in done.stderr
    assert not record.called
