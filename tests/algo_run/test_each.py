"""Many inputs from one command: inputs of every kind, the journal, limits, failures."""

from __future__ import annotations

import base64
import csv
import json
import os
import random
import resource
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from support.listing import HEADERS, file_entry, page
from support.stub import KEY, Answer, Seen, json_answer

from algo_core.errors import ExitCode
from algo_core.testing import Home

VERSIONED = "/v1/algo/demo/Echo/1.0.0"


class Echo:
    """Answers each call with its input, after what a test wants to happen first; counts calls by their content."""

    def __init__(self, stub: Any) -> None:
        self.platform = stub
        self.calls: Counter[bytes] = Counter()
        self.answered: dict[str, bytes] = {}
        self.before: Any = lambda body, headers: None
        self.keeps_keys = False
        self._lock = threading.Lock()
        stub.serve("POST", VERSIONED, self.answer)

    def answer(self, request: Seen) -> Answer:
        key = request.headers.get("Idempotency-Key", "")
        headers = {"Idempotency-Key": key} if self.keeps_keys else {}
        with self._lock:
            if not (self.keeps_keys and key in self.answered):
                self.calls[request.body] += 1
            self.answered[key] = request.body
        if other := self.before(request.body, request.headers):
            status, body, extra = other
            return json_answer(body, status, **headers, **extra)
        value = request.json if "json" in request.headers["Content-Type"] else request.body.decode("latin-1")
        answer = {"result": value, "metadata": {"content_type": "json", "duration": 0.1}}
        return json_answer(answer, **headers)


@pytest.fixture
def echo(stub: Any, algorithm: Any) -> Echo:
    return Echo(stub)


def run(home: Home, *arguments: str | Path, **options: Any) -> Any:
    return home.run("run", "demo/Echo/1.0.0", *arguments, **options)


def rows(file: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in file.read_text("utf-8").splitlines()][1:]


@pytest.fixture
def inputs(tmp_path: Path) -> Path:
    file = tmp_path / "in.jsonl"
    file.write_text("".join(f'{{"n": {n}}}\n' for n in range(100)))
    return file


def test_each_input_has_one_result_in_the_order_of_the_inputs(
    home: Home, echo: Echo, inputs: Path, tmp_path: Path
) -> None:
    out = tmp_path / "out.jsonl"
    done = run(home, "--each", inputs, "-o", out)
    assert done.code == ExitCode.OK
    assert [(row["index"], row["result"]) for row in rows(out)] == [(n, {"n": n}) for n in range(100)]
    assert "100 inputs called, 0 failed" in done.stderr
    assert len(echo.calls) == 100


def test_results_go_to_standard_output_line_by_line(home: Home, echo: Echo, inputs: Path) -> None:
    done = run(home, "--each", "-", input=inputs.read_bytes())
    assert [json.loads(line)["result"]["n"] for line in done.text.splitlines()] == list(range(100))


def test_with_json_the_summary_is_an_object(home: Home, echo: Echo, inputs: Path) -> None:
    done = run(home, "--each", inputs, "--json")
    summary = json.loads(done.stderr.splitlines()[-1])["summary"]
    assert (summary["inputs"], summary["failed"]) == (100, 0)
    assert summary["latency"]["p50"] <= summary["latency"]["p99"]


def test_a_version_is_pinned_for_the_whole_run(home: Home, echo: Echo, stub: Any, inputs: Path, tmp_path: Path) -> None:
    stub.on("GET", "/v1/algorithms/demo/Echo", stub.json_answer({"version_info": {"semantic_version": "1.0.0"}}))
    out = tmp_path / "out.jsonl"
    assert home.run("run", "demo/Echo", "--each", inputs, "-o", out).code == ExitCode.OK
    stub.on("GET", "/v1/algorithms/demo/Echo", stub.json_answer({"version_info": {"semantic_version": "1.1.0"}}))
    refused = home.run("run", "demo/Echo", "--each", inputs, "-o", out, "--resume")
    assert refused.code == ExitCode.USAGE
    assert "demo/Echo/1.0.0, not of demo/Echo/1.1.0" in refused.stderr


@pytest.mark.parametrize(
    ("name", "content", "expected"),
    [
        ("a.jsonl", b'\xef\xbb\xbf1\r\n\n "x" \n{"a":1}', [1, "x", {"a": 1}]),
        ("a.csv", b'\xef\xbb\xbfname,n\r\n"A, B",1\r\n\xc3\xbc,2\n', [{"name": "A, B", "n": "1"}, {"name": "ü", "n": "2"}]),
        ("a.jsonl", b"", []),
    ],
)  # fmt: skip
def test_formats(home: Home, echo: Echo, tmp_path: Path, name: str, content: bytes, expected: list[Any]) -> None:
    (tmp_path / name).write_bytes(content)
    done = run(home, "--each", tmp_path / name)
    assert done.code == ExitCode.OK
    assert [json.loads(line)["result"] for line in done.text.splitlines()] == expected


def test_the_files_of_results_are_no_inputs(home: Home, echo: Echo, tmp_path: Path) -> None:
    for name in ("a", "b"):
        (tmp_path / name).write_text(name)
    for out in ("out.jsonl", "link/out.csv"):
        if "/" in out:
            (tmp_path / "link").symlink_to(tmp_path)
        for more in ([], ["--resume"]):
            done = run(home, "--each-file", f"{tmp_path}/*", "-o", tmp_path / out, *more)
            assert done.code == ExitCode.OK, done.stderr
        assert "0 inputs called" in done.stderr
    assert run(home, "--each-file", f"{tmp_path}/[ab]", "-o", f"{tmp_path}/").code == ExitCode.FAILURE
    (tmp_path / "results").mkdir()
    for more in ([], ["--resume"]):
        done = run(home, "--each-file", f"{tmp_path}/**/*", "-o", tmp_path / "results", *more)
        assert done.code == ExitCode.OK, done.stderr
    assert "0 inputs called" in done.stderr


def test_what_is_no_file_among_files_is_not_waited_for(home: Home, echo: Echo, tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "a.bin")
    (tmp_path / "b.bin").write_text("b")
    done = run(home, "--each-file", f"{tmp_path}/*.bin")
    assert done.code == ExitCode.FAILURE
    first, second = map(json.loads, done.text.splitlines())
    assert first["error"]["message"] == f"{tmp_path}/a.bin: it is no regular file"
    assert second["result"] == "b"


@pytest.mark.parametrize("version", ["", " ", "nonsense", "1.0.0/x"])
def test_a_version_to_compare_with_is_one(home: Home, echo: Echo, inputs: Path, version: str) -> None:
    assert run(home, "--each", inputs, "--compare", version).code == ExitCode.USAGE
    assert not echo.calls


def test_lines_of_text(home: Home, echo: Echo, tmp_path: Path) -> None:
    (tmp_path / "lines").write_bytes(b"one\n\n two \r\nthree")
    done = run(home, "--each-line", tmp_path / "lines")
    assert [json.loads(line)["result"] for line in done.text.splitlines()] == ["one", "", " two ", "three"]


def test_files_by_pattern_and_by_data_uri(home: Home, echo: Echo, stub: Any, tmp_path: Path) -> None:
    for name in ("b.bin", "a.bin", "c.txt"):
        (tmp_path / name).write_bytes(b"\xff" + name.encode())
    done = run(home, "--each-file", f"{tmp_path}/*.bin")
    assert [json.loads(line)["result"] for line in done.text.splitlines()] == ["ÿa.bin", "ÿb.bin"]
    file = file_entry("x.jpg", 48)
    stub.on(
        "GET",
        "/v1/connector/data/.my/pics",
        stub.answer(200, page(files=[file]), HEADERS),
    )
    stub.on(
        "GET",
        "/v1/data/.my/pics",
        stub.answer(200, page(files=[file]), HEADERS),
    )
    done = run(home, "--each-file", "data://.my/pics")
    assert [json.loads(line)["result"] for line in done.text.splitlines()] == ["data://.my/pics/x.jpg"]


def test_a_broken_line_is_that_inputs_failure_and_named_with_line_and_column(
    home: Home, echo: Echo, tmp_path: Path
) -> None:
    file = tmp_path / "in.jsonl"
    file.write_bytes(b'1\n{"a": x}\n\xff\n4\n')
    done = run(home, "--each", file, "-o", tmp_path / "out.jsonl")
    assert done.code == ExitCode.FAILURE
    assert "2 inputs have failed" in done.stderr
    found = rows(tmp_path / "out.jsonl")
    assert [row.get("result") for row in found] == [1, None, None, 4]
    assert "in.jsonl:2: not JSON" in found[1]["error"]["message"]
    assert "column 7" in found[1]["error"]["message"]
    assert "in.jsonl:3: not UTF-8 at byte 0" in found[2]["error"]["message"]
    assert run(home, "--each", file, "--stop-on-error").code == ExitCode.FAILURE


def test_failures_of_the_algorithm_are_recorded_and_the_others_go_on(
    home: Home, echo: Echo, inputs: Path, tmp_path: Path
) -> None:
    echo.before = lambda body, headers: (
        (200, {"error": {"message": "odd", "error_type": "InputError"}, "metadata": {"duration": 1}}, {})
        if json.loads(body)["n"] % 2
        else None
    )
    done = run(home, "--each", inputs, "-o", tmp_path / "out.jsonl")
    assert done.code == ExitCode.FAILURE
    found = rows(tmp_path / "out.jsonl")
    assert len(found) == 100
    assert {row["error"]["message"] for row in found if row["index"] % 2} == {"odd"}
    assert all("result" in row for row in found if not row["index"] % 2)


@pytest.mark.parametrize("name", ["out.jsonl", "out.csv", "out/"])
def test_rows_have_the_id_of_the_call_on_record_and_the_summary_shows_the_first_that_failed(
    home: Home, echo: Echo, tmp_path: Path, name: str
) -> None:
    (tmp_path / "in.jsonl").write_text("".join(f"{n}\n" for n in range(4)))
    (tmp_path / name).mkdir() if name.endswith("/") else None
    failing = {b"1": "metadata", b"2": "top"}

    def answered(body: bytes, headers: Any) -> Any:
        identifier = {"request_id": f"req-{body.decode()}"}
        if body not in failing:
            return 200, {"result": 1, "metadata": {}} | ({} if body == b"3" else identifier), {}
        nested = identifier if failing[body] == "metadata" else {}
        return 200, {"error": {"message": "odd"}, "metadata": nested} | ({} if nested else identifier), {}

    echo.before = answered
    each = ["--each", "in.jsonl", "-o", name, "--concurrency", "1"]
    for more in ([], ["--resume"]):  # what was recorded before counts as well
        done = run(home, *each, *more, cwd=tmp_path)
        assert done.code == ExitCode.FAILURE
        assert "algo requests show req-1" in done.stderr, done.stderr
        assert "req-2" not in done.stderr
    summary = json.loads(run(home, *each, "--resume", "--json", cwd=tmp_path).stderr.splitlines()[0])
    assert summary["summary"]["first_failed_request"] == "req-1"
    journal = tmp_path / name / "journal.jsonl" if name.endswith("/") else tmp_path / name
    found = (
        [row["request_id"] or None for row in csv.DictReader(journal.read_text().splitlines()[1:])]
        if name.endswith(".csv")
        else [row.get("request_id") for row in rows(journal)]
    )
    assert found == ["req-0", "req-1", "req-2", None]


def test_an_id_that_is_no_word_of_one_line_is_left_out(home: Home, echo: Echo, tmp_path: Path) -> None:
    (tmp_path / "in.jsonl").write_text("1\n")
    for identifier in ("req\n5,x", "\u001b[31m", "", 7, ["x"]):
        echo.before = lambda body, headers, given=identifier: (
            200, {"error": {"message": "no"}, "metadata": {}, "request_id": given}, {},
        )  # fmt: skip
        done = run(home, "--each", tmp_path / "in.jsonl")
        assert "request_id" not in json.loads(done.text)
        assert "requests show" not in done.stderr


def test_a_journal_in_csv_of_an_older_version_is_continued_with_its_columns(
    home: Home, echo: Echo, inputs: Path, tmp_path: Path
) -> None:
    out = tmp_path / "out.csv"
    assert run(home, "--each", inputs, "-o", out).code == ExitCode.OK
    table = [line.rpartition(b",")[0] + b"\n" for line in out.read_bytes().splitlines()[1:]]
    out.write_bytes(b"".join([out.read_bytes().splitlines(keepends=True)[0], *table[:51]]))
    done = run(home, "--each", inputs, "-o", out, "--resume")
    assert "50 inputs called" in done.stderr
    assert len(echo.calls) == 100
    assert {len(row) for row in csv.reader(out.read_text().splitlines()[1:])} == {6}


def test_the_run_ends_when_more_fail_than_allowed(home: Home, echo: Echo, inputs: Path, tmp_path: Path) -> None:
    echo.before = lambda body, headers: (200, {"error": {"message": "no"}, "metadata": {}}, {})
    done = run(home, "--each", inputs, "-o", tmp_path / "out.jsonl", "--max-failures", "5", "--concurrency", "1")
    assert done.code == ExitCode.FAILURE
    assert "6 inputs have failed, more than the 5 allowed" in done.stderr
    assert len(rows(tmp_path / "out.jsonl")) == 6


@pytest.mark.parametrize(
    ("status", "code"), [(401, ExitCode.AUTHENTICATION), (403, ExitCode.AUTHENTICATION), (404, ExitCode.NOT_FOUND)]
)
def test_what_concerns_every_call_ends_the_run_with_its_own_exit_code(
    home: Home, echo: Echo, inputs: Path, tmp_path: Path, status: int, code: int
) -> None:
    echo.before = lambda body, headers: (status, {"error": {"message": "no"}}, {}) if b"50" in body else None
    done = run(home, "--each", inputs, "-o", tmp_path / "out.jsonl")
    assert done.code == code
    echo.before = lambda body, headers: None
    assert run(home, "--each", inputs, "-o", tmp_path / "out.jsonl", "--resume").code == ExitCode.OK
    assert [row["index"] for row in rows(tmp_path / "out.jsonl")] == list(range(100))


def test_a_platform_that_refuses_more_calls_is_asked_again_later(home: Home, echo: Echo, inputs: Path) -> None:
    refused: set[bytes] = set()

    def once(body: bytes, headers: Any) -> Any:
        if body in refused:
            return None
        refused.add(body)
        return (429, {"error": {"message": "busy"}}, {"Retry-After": "0"})

    echo.before = once
    done = run(home, "--each", inputs)
    assert done.code == ExitCode.OK
    assert len(done.text.splitlines()) == 100


def test_a_failed_call_is_repeated_only_where_it_cannot_be_executed_twice(home: Home, echo: Echo, inputs: Path) -> None:
    inputs.write_text("".join(inputs.read_text().splitlines(keepends=True)[:9]))
    broken: set[bytes] = set()

    def once(body: bytes, headers: Any) -> Any:
        if body in broken or not json.loads(body)["n"]:
            return None
        broken.add(body)
        return (500, {"error": {"message": "crashed"}}, {})

    echo.before = once
    done = run(home, "--each", inputs, "--concurrency", "1")
    assert done.code == ExitCode.FAILURE
    assert max(echo.calls.values()) == 1
    broken.clear()
    echo.keeps_keys = True
    done = run(home, "--each", inputs, "--concurrency", "1")
    assert done.code == ExitCode.OK, "with idempotency keys everything may be repeated"


@pytest.mark.parametrize("records", ["full", "metadata", None])
def test_the_first_calls_are_repeated_where_the_platform_says_that_it_keeps_keys(
    home: Home, echo: Echo, stub: Any, inputs: Path, records: str | None
) -> None:
    inputs.write_text("1\n")
    if records:
        settings = {"settings": {"request_records": records}}
        stub.on("GET", "/v1/algorithms/demo/Echo", stub.json_answer(settings))
    broken: list[bytes] = []

    def once(body: bytes, headers: Any) -> Any:
        if broken:
            return None
        broken.append(body)
        return (500, {"error": {"message": "crashed"}}, {})

    echo.before, echo.keeps_keys = once, records == "full"
    done = run(home, "--each", inputs)
    assert done.code == (ExitCode.OK if records == "full" else ExitCode.FAILURE)
    assert sum(echo.calls.values()) == 1, "executed once"


def test_rate_and_concurrency_are_kept(home: Home, echo: Echo, inputs: Path) -> None:
    under_way, most, lock = [0], [0], threading.Lock()

    def count(body: bytes, headers: Any) -> None:
        with lock:
            under_way[0] += 1
            most[0] = max(most[0], under_way[0])
        time.sleep(0.005)
        with lock:
            under_way[0] -= 1

    echo.before = count
    assert run(home, "--each", inputs, "--concurrency", "3").code == ExitCode.OK
    assert most[0] <= 3


@pytest.mark.parametrize("more", [[], ["--compare", "1.0.0"]], ids=["in one thread", "in threads"])
def test_no_more_calls_are_under_way_than_files_may_be_open(
    home: Home, echo: Echo, inputs: Path, tmp_path: Path, more: list[str]
) -> None:
    algo = [sys.executable, "-m", "algo_core", "run", "demo/Echo/1.0.0", "--each", str(inputs), "--concurrency", "80"]
    limited = ["sh", "-c", 'ulimit -n 40 && exec "$@"', "sh", *algo, *more]
    done = subprocess.run(limited, env=home.environ, capture_output=True, timeout=60)
    assert done.returncode == ExitCode.OK, done.stderr
    assert done.stdout.count(b"\n") == 100


def test_csv_and_directories_of_results(home: Home, echo: Echo, tmp_path: Path) -> None:
    file = tmp_path / "in.jsonl"
    file.write_text('"a\\nb"\n{"x":1}\n')
    assert run(home, "--each", file, "-o", tmp_path / "out.csv").code == ExitCode.OK
    _, *lines = csv.reader((tmp_path / "out.csv").open(newline=""))
    table = [dict(zip(lines[0], line, strict=True)) for line in lines[1:]]
    assert [json.loads(row["result"]) for row in table] == ["a\nb", {"x": 1}]
    assert run(home, "--each", file, "-o", tmp_path / "out.csv", "--resume").code == ExitCode.OK
    assert len((tmp_path / "out.csv").read_text().splitlines()) == 4
    assert run(home, "--each", file, "-o", f"{tmp_path}/results/").code == ExitCode.OK
    assert (tmp_path / "results" / "000000000.txt").read_text() == "a\nb"
    assert json.loads((tmp_path / "results" / "000000001.json").read_text()) == {"x": 1}


def test_binary_results_are_files_of_bytes(home: Home, echo: Echo, tmp_path: Path) -> None:
    echo.before = lambda body, headers: (
        200, {"result": base64.b64encode(b"\x00\xff").decode(), "metadata": {"content_type": "binary", "duration": 1}}, {},
    )  # fmt: skip
    (tmp_path / "in.jsonl").write_text("1\n")
    assert run(home, "--each", tmp_path / "in.jsonl", "-o", f"{tmp_path}/results/").code == ExitCode.OK
    assert (tmp_path / "results" / "000000000.bin").read_bytes() == b"\x00\xff"


def test_a_file_that_exists_is_never_overwritten(home: Home, echo: Echo, inputs: Path, tmp_path: Path) -> None:
    other = tmp_path / "thesis.txt"
    other.write_text("years of work\n")
    for more in ((), ("--resume",)):
        refused = run(home, "--each", inputs, "-o", other, *more)
        assert refused.code in {ExitCode.FAILURE, ExitCode.USAGE}
        assert other.read_text() == "years of work\n"
        assert not echo.calls
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "mine").write_text("x")
    assert run(home, "--each", inputs, "-o", tmp_path / "full").code == ExitCode.FAILURE
    missing = run(home, "--each", inputs, "-o", tmp_path / "none", "--resume")
    assert missing.code == ExitCode.CONFIGURATION
    assert not (tmp_path / "none").exists()


def test_a_directory_of_other_files_is_not_continued_and_what_is_no_file_not_written_to(
    home: Home, echo: Echo, inputs: Path, tmp_path: Path
) -> None:
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "000000000.json").write_text("precious")
    os.mkfifo(tmp_path / "pipe")
    for out, more, code in (("mine", ["--resume"], ExitCode.CONFIGURATION), ("pipe", [], ExitCode.USAGE),
                            ("/dev/null", [], ExitCode.USAGE)):  # fmt: skip
        refused = run(home, "--each", inputs, "-o", out, *more, cwd=tmp_path)
        assert refused.code == code, refused.stderr
    assert [path.name for path in (tmp_path / "mine").iterdir()] == ["000000000.json"]
    assert (tmp_path / "mine" / "000000000.json").read_text() == "precious"
    assert not echo.calls


def test_inputs_that_are_gone_are_told_when_a_run_is_continued(
    home: Home, echo: Echo, inputs: Path, tmp_path: Path
) -> None:
    out = tmp_path / "out.jsonl"
    assert run(home, "--each", inputs, "-o", out).code == ExitCode.OK
    inputs.write_text("".join(inputs.read_text().splitlines(keepends=True)[:98]))
    refused = run(home, "--each", inputs, "-o", out, "--resume")
    assert refused.code == ExitCode.USAGE
    assert f"holds 2 results of inputs that {inputs} no longer has" in refused.stderr


def test_changed_inputs_are_refused_by_name(home: Home, echo: Echo, inputs: Path, tmp_path: Path) -> None:
    out = tmp_path / "out.jsonl"
    assert run(home, "--each", inputs, "-o", out).code == ExitCode.OK
    inputs.write_text(inputs.read_text().replace('"n": 7}', '"n": 70}', 1))
    refused = run(home, "--each", inputs, "-o", out, "--resume")
    assert refused.code == ExitCode.USAGE
    assert "in.jsonl:8" in refused.stderr


def start(home: Home, *arguments: str | Path) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-m", "algo_core", "run", "demo/Echo/1.0.0", *map(str, arguments)]
    return subprocess.Popen(command, env=home.environ, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)


def test_a_second_run_on_the_same_journal_is_refused(home: Home, echo: Echo, inputs: Path, tmp_path: Path) -> None:
    gate = threading.Event()
    echo.before = lambda body, headers: gate.wait(60) and None
    out = tmp_path / "out.jsonl"
    first = start(home, "--each", inputs, "-o", out)
    try:
        while not echo.calls:
            time.sleep(0.01)
        second = run(home, "--each", inputs, "-o", out, "--resume")
        assert second.code == ExitCode.USAGE
        assert "Another process is writing" in second.stderr
    finally:
        gate.set()
        assert first.wait(60) == 0
        assert first.stderr
        first.stderr.close()
    assert len(rows(out)) == 100


def test_killed_again_and_again_every_input_has_one_result_and_is_executed_once(
    home: Home, echo: Echo, tmp_path: Path
) -> None:
    echo.keeps_keys = True
    file, out = tmp_path / "in.jsonl", tmp_path / "out.jsonl"
    file.write_text("".join(f"{n}\n" for n in range(600)))
    chance = random.Random(7)
    resume: tuple[str, ...] = ()
    for _ in range(12):
        wanted = len(echo.answered) + chance.randrange(1, 60)
        process = start(home, "--each", file, "-o", out, "--unordered", *resume)
        while len(echo.answered) < min(wanted, 600) and process.poll() is None:
            time.sleep(0.002)
        process.send_signal(signal.SIGKILL)
        process.wait(60)
        assert process.stderr
        process.stderr.close()
        resume = ("--resume",) if out.exists() and out.stat().st_size else ()
    assert run(home, "--each", file, "-o", out, "--unordered", *resume).code == ExitCode.OK
    assert sorted(row["index"] for row in rows(out)) == list(range(600))
    assert all(row["result"] == row["index"] for row in rows(out))
    assert set(echo.calls.values()) == {1}


@pytest.mark.parametrize(("given", "journal"), [("out.jsonl", "out.jsonl"), ("out/", "out/journal.jsonl")])
def test_a_full_disk_ends_the_run_and_leaves_whole_lines(
    home: Home, echo: Echo, inputs: Path, tmp_path: Path, given: str, journal: str
) -> None:
    out = tmp_path / journal
    target = f"{tmp_path}/{given}"
    command = [sys.executable, "-m", "algo_core", "run", "demo/Echo/1.0.0", "--each", str(inputs), "-o", target]

    def limited() -> None:
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (5000, 5000))

    environ = {**home.environ, "ALGO_CACHE_DIR": str(tmp_path / "nocache")}
    done = subprocess.run(command, env=environ, preexec_fn=limited, capture_output=True, text=True)
    assert done.returncode == ExitCode.FAILURE
    assert f"Cannot write {out}: File too large" in done.stderr
    assert "continue with --resume" in done.stderr
    assert 0 < len(rows(out)) < 100
    assert run(home, "--each", inputs, "-o", target, "--resume").code == ExitCode.OK
    assert [row["index"] for row in rows(out)] == list(range(100))


def test_ctrl_c_says_how_to_go_on(home: Home, echo: Echo, inputs: Path, tmp_path: Path) -> None:
    echo.before = lambda body, headers: time.sleep(0.05)
    process = start(home, "--each", inputs, "-o", tmp_path / "out.jsonl", "--concurrency", "2")
    while len(echo.calls) < 10:
        time.sleep(0.01)
    process.send_signal(signal.SIGINT)
    _, told = process.communicate(timeout=60)
    assert process.returncode == ExitCode.INTERRUPTED
    assert b"--resume" in told
    assert b"Traceback" not in told
    assert run(home, "--each", inputs, "-o", tmp_path / "out.jsonl", "--resume").code == ExitCode.OK
    assert [row["index"] for row in rows(tmp_path / "out.jsonl")] == list(range(100))


def test_two_versions_are_compared(home: Home, echo: Echo, stub: Any, inputs: Path, tmp_path: Path) -> None:
    def other(request: Seen) -> Answer:
        n = request.json["n"]
        value = {"n": n + (1e-9 if n == 3 else 1 if n == 5 else 0)}
        return json_answer({"result": value, "metadata": {"content_type": "json", "duration": 1}})

    stub.serve("POST", "/v1/algo/demo/Echo/2.0.0", other)
    out = tmp_path / "out.jsonl"
    done = run(home, "--each", inputs, "--compare", "2.0.0", "--tolerance", "1e-6", "-o", out)
    assert done.code == ExitCode.FAILURE
    assert "1 output differs" in done.stderr
    assert done.stderr.count("latency of demo/Echo/") == 2
    assert [row["differs"] for row in rows(out) if row["differs"]] == ["$.n: 5 became 6"]
    resumed = run(home, "--each", inputs, "--compare", "2.0.0", "--tolerance", "1e-6", "-o", out, "--resume")
    assert resumed.code == ExitCode.FAILURE, "what differed before the run was continued counts"
    assert "1 output differs" in resumed.stderr
    other_tolerance = run(home, "--each", inputs, "--compare", "2.0.0", "-o", out, "--resume")
    assert other_tolerance.code == ExitCode.USAGE
    assert "within 1e-06" in other_tolerance.stderr
    out.unlink()
    assert "2 outputs differ" in run(home, "--each", inputs, "--compare", "2.0.0", "-o", out).stderr


@pytest.mark.parametrize("options", [[], ["--json"]])
def test_a_version_is_compared_with_itself(
    home: Home, echo: Echo, inputs: Path, tmp_path: Path, options: list[str]
) -> None:
    done = run(home, "--each", inputs, "--compare", "1.0.0", "-o", tmp_path / "out.jsonl", *options)
    assert (done.code, done.stderr.count("demo/Echo/1.0.0 again")) == (ExitCode.OK, 1), done.stderr
    assert set(echo.calls.values()) == {2}


def test_the_first_of_two_versions_is_not_called_again_when_the_second_is_refused(
    home: Home, echo: Echo, stub: Any, tmp_path: Path
) -> None:
    (tmp_path / "in.jsonl").write_text("1\n2\n")
    busy = json_answer({"error": {"message": "busy"}}, 429, **{"Retry-After": "0"})
    answered = json_answer({"error": {"message": "no"}, "metadata": {}})
    stub.on("POST", "/v1/algo/demo/Echo/2.0.0", busy, busy, answered)
    done = run(home, "--each", tmp_path / "in.jsonl", "--compare", "2.0.0", "--json")
    assert done.code == ExitCode.FAILURE
    assert set(echo.calls.values()) == {1}
    assert [json.loads(line)["differs"] for line in done.text.splitlines()] == ["it failed: no"] * 2
    summary = json.loads(done.stderr.splitlines()[0])["summary"]
    assert set(summary["latency"]) == {"demo/Echo/1.0.0", "demo/Echo/2.0.0"}


def test_failures_recorded_before_count_when_a_run_is_continued(
    home: Home, echo: Echo, inputs: Path, tmp_path: Path
) -> None:
    out = tmp_path / "out.jsonl"
    failed = {"error": {"message": "odd"}, "metadata": {"duration": 1}}
    echo.before = lambda body, headers: (200, failed, {}) if json.loads(body)["n"] == 1 else None
    assert run(home, "--each", inputs, "-o", out).code == ExitCode.FAILURE
    done = run(home, "--each", inputs, "-o", out, "--resume")
    assert done.code == ExitCode.FAILURE
    assert "1 input has failed" in done.stderr
    assert len(rows(out)) == 100


def test_a_dry_run_shows_three_calls_and_makes_none(home: Home, echo: Echo, inputs: Path) -> None:
    done = run(home, "--each", inputs, "--dry-run")
    assert done.text.count("POST algo/demo/Echo/1.0.0") == 3
    assert not echo.calls


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["--each", "x.bin"], "cannot be told from its name"),
        (["--each", "x.jsonl", "-d", "1"], "both give the input"),
        (["--each", "x.jsonl", "--raw"], "cannot be combined with --raw"),
        (["--each", "x.jsonl", "--each-line", "y"], "both name inputs"),
        (["--resume", "-d", "1"], "--resume needs inputs"),
        (["--each", "x.jsonl", "--resume"], "--resume needs the results file"),
        (["--each", "x.jsonl", "--tolerance", "0.5"], "--tolerance is for --compare"),
        (["--each", "x.jsonl", "--stop-on-error", "--max-failures", "3"], "contradict each other"),
        (["--each-file", "none*"], "No file matches"),
        (["--each", "x.jsonl", "--concurrency", "0"], "0"),
    ],
)
def test_command_lines_that_mean_nothing(
    home: Home, echo: Echo, tmp_path: Path, arguments: list[str], says: str
) -> None:
    (tmp_path / "x.jsonl").write_text("1\n")
    (tmp_path / "x.bin").write_text("1\n")
    done = run(home, *arguments, cwd=tmp_path)
    assert done.code == ExitCode.USAGE
    assert says in done.stderr
    assert not echo.calls


def test_memory_does_not_grow_with_the_number_of_inputs(home: Home, echo: Echo, tmp_path: Path) -> None:
    def peak(count: int) -> int:
        (tmp_path / "in.jsonl").write_text("".join(f'"{"x" * 1000}{n}"\n' for n in range(count)))
        done = subprocess.run(
            [sys.executable, "-c", "import resource,sys,runpy\nfrom algo_core.main import main\n"
             "try: main()\nfinally: print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, file=sys.stderr)",
             "run", "demo/Echo/1.0.0", "--each", str(tmp_path / "in.jsonl"), "-o", str(tmp_path / f"o{count}.jsonl"), "-q"],
            env=home.environ, capture_output=True, text=True,
        )  # fmt: skip
        assert done.returncode == ExitCode.OK, done.stderr
        return int(done.stderr.split()[-1])

    assert peak(6000) - peak(600) < 8 * 1024


def test_the_key_is_the_same_when_a_run_goes_on(home: Home, echo: Echo, stub: Any, tmp_path: Path) -> None:
    file, out = tmp_path / "in.jsonl", tmp_path / "out.jsonl"
    file.write_text("1\n2\n")
    echo.before = lambda body, headers: (401, {"error": {"message": "no"}}, {}) if body == b"2" else None
    run(home, "--each", file, "-o", out)
    echo.before = lambda body, headers: None
    assert run(home, "--each", file, "-o", out, "--resume").code == ExitCode.OK
    keys = [seen.headers["Idempotency-Key"] for seen in stub.seen if seen.body == b"2"]
    assert len(keys) >= 2
    assert len(set(keys)) == 1
    assert KEY not in keys[0]
