"""Tests to inherit for every executor, every database (`DatabaseContract`) and all objects (`ObjectsContract`).

    from algo_local.testing import ExecutorContract


    class TestCluster(ExecutorContract):
        @pytest.fixture
        def executor(self):
            executor = ClusterExecutor(...)
            executor.start()
            yield executor
            executor.close()

The fixture `build` makes builds from code, in an interpreter of this environment; override it where an executor needs
something else. Needs pytest.
"""

# ruff: noqa: D102 - a test says what it is for in its name, and transactions that fail have several lines

from __future__ import annotations

import itertools
import json
import textwrap
import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from algo_local.algorithms.build import Build
from algo_local.algorithms.builder import Builder
from algo_local.callers import CallContext
from algo_local.data.contract import ObjectsContract as ObjectsContract
from algo_local.execution.executor import Executor
from algo_local.execution.payload import Outcome, Payload
from algo_local.execution.protocol import CANNOT_RUN
from algo_local.metadata.contract import DatabaseContract as DatabaseContract

PATIENCE = 60.0
"""Seconds in which everything happens that a test waits for."""

ECHO = "def apply(input):\n    print('got', input)\n    return input\n"
COUNT = "calls = []\ndef apply(input):\n    calls.append(input)\n    return len(calls)\n"
HOLD = """
import os, time
def apply(path):
    print("began", flush=True)
    while not os.path.exists(path):
        time.sleep(0.01)
    return "held"
"""
TOKEN = """
import os, time
def apply(path):
    with open(path + ".new", "w") as file:
        file.write(os.environ["ALGORITHMIA_API_KEY"])
    os.rename(path + ".new", path)
    while os.path.exists(path):
        time.sleep(0.01)
"""


class Programs(NamedTuple):
    """Algorithms of the tests in one language."""

    ending: str
    """How the names of its modules end."""
    echo: str
    """Prints and returns its input."""
    counter: str
    """Returns the number of its calls."""
    hold: str
    """Prints `began`, and returns `held` once the file of its input exists."""
    token: str
    """Writes its token to the file of its input, and returns once that is gone."""
    fail: str
    """Fails with `no ` and its input."""
    shown: Callable[[Any], str]
    """How `echo` prints an input."""


PYTHON = Programs(".py", ECHO, COUNT, HOLD, TOKEN, "def apply(input):\n    raise ValueError('no ' + input)\n", str)


def _as_json(data: Any) -> str:
    return "bytes" if isinstance(data, bytes) else json.dumps(data, separators=(",", ":"), ensure_ascii=False)


JAVASCRIPT = Programs(
    ".js",
    "exports.apply = (input) => {\n"
    "  console.log('got ' + (Buffer.isBuffer(input) ? 'bytes' : JSON.stringify(input)));\n  return input;\n};\n",
    "let calls = 0;\nexports.apply = () => ++calls;\n",
    """
const fs = require('fs');
const { setTimeout: sleep } = require('timers/promises');
exports.apply = async (path) => {
  console.log('began');
  while (!fs.existsSync(path)) await sleep(10);
  return 'held';
};
""",
    """
const fs = require('fs');
const { setTimeout: sleep } = require('timers/promises');
exports.apply = async (path) => {
  fs.writeFileSync(path + '.new', process.env.ALGORITHMIA_API_KEY);
  fs.renameSync(path + '.new', path);
  while (fs.existsSync(path)) await sleep(10);
};
""",
    "exports.apply = (input) => { throw new TypeError('no ' + input); };\n",
    _as_json,
)

_numbers = itertools.count(1)


def context_for(account: str = "jane", *, depth: int = 0) -> CallContext:
    """A call of an account, with an id of its own."""
    identifier = f"req-{next(_numbers)}"
    return CallContext(account, ("demo", "Hello"), identifier, identifier, depth)


def wait_for(condition: Callable[[], Any]) -> None:
    """Wait until a condition holds."""
    deadline = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < deadline, "it did not come about"
        time.sleep(0.01)


class ExecutorContract:
    """Tests of the contract `algo_local.execution.executor.Executor`; override the fixture `executor`.

    They run algorithms in Python; a class with `programs = JAVASCRIPT` runs them in JavaScript.
    """

    programs = PYTHON

    @pytest.fixture
    def executor(self) -> Executor:
        raise NotImplementedError("override the fixture `executor` with one that gives yours, started")

    @pytest.fixture
    def build(self, tmp_path: Path) -> Callable[[str], Build]:
        """Makes a build from code in the language of `programs`: `build("def apply(input): ...")`."""

        def build(code: str) -> Build:
            source = tmp_path / f"source-{next(_numbers)}"
            (source / "src").mkdir(parents=True)
            if self.programs is PYTHON:
                (source / "src" / "__init__.py").write_text("")
            else:
                (source / "algorithmia.conf").write_text('{"language": "javascript"}')
            (source / "src" / f"Hello{self.programs.ending}").write_text(textwrap.dedent(code))
            return Builder(tmp_path / "builds").build(source, "demo", "Hello")

        return build

    @pytest.fixture
    def shared(self, tmp_path: Path) -> Path:
        """A directory that the algorithms of the executor can read and write."""
        return tmp_path

    def call(self, executor: Executor, build: Build, data: Any, **options: Any) -> Outcome:
        kind = "text" if isinstance(data, str) else "binary" if isinstance(data, bytes) else "json"
        options = {"timeout": PATIENCE, "context": context_for(), **options}
        return executor.call(build, Payload(kind, data), **options)  # type: ignore[arg-type]  # one of the three

    def begin(self, executor: Executor, build: Build, data: Any, **options: Any) -> Future[Outcome]:
        """Call in a thread that ends with its call."""
        with_one = ThreadPoolExecutor(1)
        begun = with_one.submit(self.call, executor, build, data, **options)
        with_one.shutdown(wait=False)
        return begun

    @pytest.mark.parametrize("data", ["text", "", "æ\n", {"a": [1, None, 2.5]}, None, b"\x00\xff"], ids=repr)
    def test_what_goes_in_comes_out(self, executor: Executor, build: Callable[[str], Build], data: Any) -> None:
        outcome = self.call(executor, build(self.programs.echo), data)
        assert outcome.failure is None
        assert outcome.result is not None
        assert outcome.result.data == data
        assert outcome.stdout == f"got {self.programs.shown(data)}\n"
        assert outcome.duration >= 0

    def test_an_exception_is_a_failure(self, executor: Executor, build: Callable[[str], Build]) -> None:
        outcome = self.call(executor, build(self.programs.fail), "x")
        assert outcome.result is None
        assert outcome.failure is not None
        assert (outcome.failure.message, outcome.failure.error_type) == ("no x", "AlgorithmError")
        assert outcome.failure.ended == ""

    def test_time_is_limited(self, executor: Executor, build: Callable[[str], Build], shared: Path) -> None:
        made = build(self.programs.hold)
        outcome = self.call(executor, made, str(shared / "never"), timeout=1.0)
        assert outcome.failure is not None
        assert (outcome.failure.message, outcome.failure.error_type) == (CANNOT_RUN, "TimeoutError")
        (shared / "there").touch()
        assert (outcome := self.call(executor, made, str(shared / "there"))).failure is None, outcome

    def test_a_worker_serves_one_account(self, executor: Executor, build: Callable[[str], Build]) -> None:
        made = build(self.programs.counter)
        for account in ("jane", "bob"):
            outcome = self.call(executor, made, 1, context=context_for(account))
            assert outcome.result == Payload("json", 1), "what another account has left is not seen"

    def test_calls_at_once_get_their_own_answers(self, executor: Executor, build: Callable[[str], Build]) -> None:
        made = build(self.programs.echo)
        begun = [self.begin(executor, made, number) for number in range(8)]
        assert [call.result().result for call in begun] == [Payload("json", number) for number in range(8)]

    def test_the_workers_name_is_told_when_it_takes_the_call(
        self, executor: Executor, build: Callable[[str], Build]
    ) -> None:
        names: list[str] = []
        self.call(executor, build(self.programs.echo), "x", on_start=names.append)
        assert len(names) == 1
        assert names[0]

    def test_what_is_printed_is_told_while_the_call_runs(
        self, executor: Executor, build: Callable[[str], Build], shared: Path
    ) -> None:
        said: list[bytes] = []
        made = build(self.programs.hold)
        begun = self.begin(executor, made, str(shared / "go"), on_output=said.append)
        wait_for(lambda: b"".join(said) == b"began\n")
        assert not begun.done()
        (shared / "go").touch()
        assert begun.result().stdout == "began\n"

    def test_it_tells_what_it_does(self, executor: Executor, build: Callable[[str], Build], shared: Path) -> None:
        assert executor.describe()[:3] == (0, 0, 0)
        begun = self.begin(executor, build(self.programs.hold), str(shared / "go"))
        wait_for(lambda: executor.describe().busy == 1)
        assert executor.describe().workers >= 1
        (shared / "go").touch()
        assert begun.result().failure is None
        wait_for(lambda: executor.describe().busy == 0)

    def test_the_token_stands_for_the_call_while_it_runs(
        self, executor: Executor, build: Callable[[str], Build], shared: Path
    ) -> None:
        context, told = context_for(), shared / "token"
        begun = self.begin(executor, build(self.programs.token), str(told), context=context)
        wait_for(told.exists)
        token = told.read_text()
        assert executor.context_of(token) == context
        assert executor.context_of(token[:-1]) is None
        told.unlink()
        assert begun.result().failure is None
        assert executor.context_of(token) is None

    def test_a_call_is_cancelled(self, executor: Executor, build: Callable[[str], Build], shared: Path) -> None:
        made, context = build(self.programs.hold), context_for()
        begun = self.begin(executor, made, str(shared / "never"), context=context)
        wait_for(lambda: executor.describe().busy)
        assert executor.cancel(context.request_id)
        failure = begun.result().failure
        assert failure is not None
        assert failure.ended == "cancelled"
        assert not executor.cancel(context.request_id)
        assert not executor.cancel("req-none")
        (shared / "there").touch()
        assert (outcome := self.call(executor, made, str(shared / "there"))).failure is None, outcome

    def test_draining_waits_for_what_runs(
        self, executor: Executor, build: Callable[[str], Build], shared: Path
    ) -> None:
        made = build(self.programs.hold)
        begun = self.begin(executor, made, str(shared / "go"))
        wait_for(lambda: executor.describe().busy)
        assert not executor.drain(0.05)
        later = self.call(executor, made, str(shared / "go")).failure
        assert later is not None
        assert later.ended == "lost"
        (shared / "go").touch()
        assert executor.drain(PATIENCE)
        assert begun.result().failure is None

    def test_closing_cuts_calls_short(self, executor: Executor, build: Callable[[str], Build], shared: Path) -> None:
        begun = self.begin(executor, build(self.programs.hold), str(shared / "never"))
        wait_for(lambda: executor.describe().busy)
        executor.close()
        failure = begun.result().failure
        assert failure is not None
        assert failure.ended == "lost"
        executor.close()
        assert executor.describe()[:3] == (0, 0, 0)
