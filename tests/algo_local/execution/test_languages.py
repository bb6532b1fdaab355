"""What the languages have in common: the same behaviours, written in each, with the same outcomes."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from support.programs import needs

from algo_local.algorithms.build import Build
from algo_local.algorithms.builder import Builder
from algo_local.execution.executor import INIT_MARKER, Executor, command_of, decode_answer, encode_request
from algo_local.execution.payload import Outcome, Payload
from algo_local.execution.protocol import CANNOT_RUN
from algo_local.execution.scaling import Scaling
from algo_local.execution.workers.local_pool import LocalPool
from algo_local.trees import make_writable
from tests.algo_local.execution.conftest import CONTEXT, FixedEndpoint

ENDINGS = {"python3": ".py", "javascript": ".js", "r": ".R"}
PROGRAMS = {"javascript": "node", "r": "Rscript"}
HELPERS = {"python3": "NAME = 'helper'\n", "javascript": "exports.NAME = 'helper';\n", "r": "NAME <- 'helper'\n"}

SUCCESSES: dict[str, tuple[str, str, str, Any, Any, str]] = {
    # what: Python, JavaScript, R (empty where it cannot), input, result, printed output
    "text": (
        "def apply(input):\n    return 'hello ' + input",
        "exports.apply = function (input) { return 'hello ' + input; };",
        "algorithm <- function(input) paste('hello', input)",
        *("æ\n\u2028", "hello æ\n\u2028", ""),
    ),
    "half a surrogate pair": (
        "def apply(input):\n    return input",
        "exports.apply = (input) => input;",
        "",
        *("\ud83d", "\ud83d", ""),
    ),
    "numbers that are too large": (
        "def apply(input):\n    return [input[0] > 1e308, input[1]['x'] < -1e308, input[2]]",
        "exports.apply = (input) => [input[0] === Infinity, input[1].x === -Infinity, input[2]];",
        "algorithm <- function(input) list(input[[1]] == Inf, input[[2]]$x == -Inf, input[[3]])",
        *([float("inf"), {"x": float("-inf")}, "Infinity"], [True, True, "Infinity"], ""),
    ),
    "nothing": (
        "def apply(input):\n    pass",
        "exports.apply = () => {};",
        "algorithm <- function(input) invisible(NULL)",
        *(1, None, ""),
    ),
    "binary": (
        "def apply(input):\n    return input[::-1]",
        "exports.apply = (input) => Buffer.from(input).reverse();",
        "algorithm <- function(input) rev(input)",
        *(b"\x00\xff\n", b"\n\xff\x00", ""),
    ),
    "another kind of binary": (
        "def apply(input):\n    return bytearray(b'ab')",
        "exports.apply = () => new Uint8Array([97, 98, 99]).subarray(0, 2);",
        "algorithm <- function(input) as.raw(c(97, 98))",
        *(1, b"ab", ""),
    ),
    "both streams": (
        "import sys\nprint('loading')\ndef apply(input):\n    print('one')\n    print('two', file=sys.stderr)\n"
        "    sys.stdout.write('end')",
        "console.log('loading');\n"
        "exports.apply = () => { console.log('one'); console.error('two'); process.stdout.write('end'); };",
        "print_all <- function() { cat('one\\n'); message('two'); cat('end') }\ncat('loading\\n')\nalgorithm <- function(input) print_all()",
        *(1, None, "loading\none\ntwo\nend"),
    ),
    "load": (
        "def load():\n    return {'a': 1}\ndef apply(input, state):\n    return [input, state]",
        "exports.load = async () => ({ a: 1 });\nexports.apply = (input, state) => [input, state];",
        "load <- function() list(a = 1)\nalgorithm <- function(input, state) list(input, state)",
        *(2, [2, {"a": 1}], ""),
    ),
    "its own modules and the working directory": (
        "import os\nfrom . import helper\ndef apply(input):\n    return [helper.NAME, os.path.exists('src/helper.py')]",
        "const { NAME } = require('./helper');\n"
        "exports.apply = () => [NAME, require('fs').existsSync('src/helper.js')];",
        "source('src/helper.R')\nalgorithm <- function(input) list(NAME, file.exists('src/helper.R'))",
        *(1, ["helper", True], ""),
    ),
    "much": (
        "def apply(input):\n    return input + input",
        "exports.apply = (input) => input + input;",
        "algorithm <- function(input) paste0(input, input)",
        *("x" * (7 << 20), "x" * (14 << 20), ""),
    ),
}

FAILURES: dict[str, tuple[str, str, str, str, str]] = {
    # what: Python, JavaScript, R, message, kind
    "an exception": (
        "def apply(input):\n    raise ValueError('no')",
        "exports.apply = () => { throw new TypeError('no'); };",
        "algorithm <- function(input) stop('no')",
        *("no", "AlgorithmError"),
    ),
    "one of a kind": (
        "class Unfit(Exception):\n    error_type = 'InputError'\ndef apply(input):\n    raise Unfit('too small')",
        "exports.apply = () => { throw Object.assign(new Error('too small'), { error_type: 'InputError' }); };",
        "unfit <- list(message = 'too small', error_type = 'InputError')\nalgorithm <- function(input) stop(structure(class = c('unfit', 'error', 'condition'), unfit))",
        *("too small", "InputError"),
    ),
    "without a message": (
        "def apply(input):\n    raise ValueError",
        "exports.apply = () => { const error = new Error(); error.name = 'ValueError'; throw error; };",
        "algorithm <- function(input) stop(structure(class = c('ValueError', 'error', 'condition'), list(message = '')))",
        *("ValueError", "AlgorithmError"),
    ),
    "an exception while loading": (
        "raise ValueError('no')\ndef apply(input):\n    pass",
        "throw new Error('no');\nexports.apply = () => {};",
        "stop('no')\nalgorithm <- function(input) NULL",
        *("no", "LoadingError"),
    ),
    "in load": (
        "def load():\n    raise ValueError('no model')\ndef apply(input):\n    pass",
        "exports.load = () => { throw new Error('no model'); };\nexports.apply = () => {};",
        "load <- function() stop('no model')\nalgorithm <- function(input) NULL",
        *("no model", "LoadingError"),
    ),
    "an exit": (
        "import sys\ndef apply(input):\n    sys.exit(3)",
        "exports.apply = () => process.exit(3);",
        "algorithm <- function(input) quit(status = 3)",
        *("exited with code 3", "SystemExit"),
    ),
    "an exit without an error": (
        "import os\ndef apply(input):\n    os._exit(0)",
        "exports.apply = () => process.exit();",
        "algorithm <- function(input) q()",
        *("exited with code 0", "SystemExit"),
    ),
    "a signal": (
        "import os\ndef apply(input):\n    os.kill(os.getpid(), 11)",
        "exports.apply = () => { process.kill(process.pid, 'SIGSEGV'); while (true); };",
        "algorithm <- function(input) { tools::pskill(Sys.getpid(), 11); Sys.sleep(60) }",
        *("exited with code -99 (SIGSEGV)", "SystemExit"),
    ),
    "more memory than there is": (
        "def apply(input):\n    return len([bytearray(1 << 24) for _ in range(1000)])",
        "exports.apply = () => { const a = []; for (;;) a.push(Buffer.alloc(1 << 24, 1)); };",
        "algorithm <- function(input) { all <- list(); repeat all[[length(all) + 1]] <- raw(bitwShiftL(1L, 24L)) }",
        *(CANNOT_RUN, "OutOfMemoryError"),
    ),
}


def written(root: Path, language: str, code: str, **files: str) -> Build:
    """A build of code in a language."""
    ending, source = ENDINGS[language], root / "source"
    texts = {f"src/Hello{ending}": code, f"src/helper{ending}": HELPERS[language], **files}
    texts["algorithmia.conf"] = f'{{"language": "{language}"}}'
    for name, text in texts.items():
        path = source / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, "utf-8")
    return Builder(root / "root").build(source, "demo", "Hello")


@pytest.fixture(params=ENDINGS)
def language(request: pytest.FixtureRequest) -> str:
    if request.param in PROGRAMS:
        needs(PROGRAMS[request.param])
    return str(request.param)


@pytest.fixture(scope="module")
def executor(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Executor]:
    """One pool for all, without a sandbox."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("ALGO_LOCAL_SANDBOX", "off")
        patch.setenv("ALGO_LOCAL_MEMORY", "200M")
        pool = LocalPool(FixedEndpoint, tmp_path_factory.mktemp("pool") / "processes", Scaling(most=2))
        yield pool
        pool.close()


@pytest.fixture
def run_in(executor: Executor, tmp_path: Path) -> Callable[..., Outcome]:
    def call(language: str, code: str, data: Any = "x", timeout: float = 60.0, **files: str) -> Outcome:
        kind = "text" if isinstance(data, str) else "binary" if isinstance(data, bytes) else "json"
        made = written(tmp_path, language, code, **files)
        return executor.call(made, Payload(kind, data), timeout=timeout, context=CONTEXT)

    return call


@pytest.mark.parametrize(
    ("language", "what"),
    [(language, what) for what, row in SUCCESSES.items() for language, code in zip(ENDINGS, row, strict=False) if code],
    indirect=["language"],
)
def test_a_call_that_succeeds(run_in: Callable[..., Outcome], language: str, what: str) -> None:
    *codes, data, expected, printed = SUCCESSES[what]
    outcome = run_in(language, codes[list(ENDINGS).index(language)], data)
    assert outcome.failure is None
    kind = "text" if isinstance(expected, str) else "binary" if isinstance(expected, bytes) else "json"
    assert outcome.result == Payload(kind, expected)  # type: ignore[arg-type]  # one of the three
    assert outcome.stdout == printed


@pytest.mark.parametrize("what", FAILURES)
def test_a_call_that_fails(run_in: Callable[..., Outcome], language: str, what: str) -> None:
    *codes, message, kind = FAILURES[what]
    outcome = run_in(language, codes[list(ENDINGS).index(language)])
    assert outcome.failure
    assert (outcome.failure.message, outcome.failure.error_type) == (message, kind)


@pytest.fixture
def node() -> None:
    needs("node")


def test_an_executor_elsewhere_runs_the_command_of_a_build(language: str, tmp_path: Path) -> None:
    """As the executor does that a new plugin begins with: input is a file, which has ended before the call has."""
    codes = {
        "python3": "import time\ndef apply(input):\n    time.sleep(0.01)\n    return [input]",
        "javascript": "exports.apply = (input, cb) => { setTimeout(() => cb(null, [input]), 10); };",
        "r": "algorithm <- function(input) { Sys.sleep(0.01); list(input) }",
    }
    made = written(tmp_path, language, codes[language])
    tree, answers, requests = tmp_path / "tree", tmp_path / "answers", tmp_path / "requests"
    shutil.copytree(made.source, tree)
    make_writable(tree)
    requests.write_bytes(b"".join(encode_request(Payload("text", text)) for text in ("first", "second")))
    with requests.open("rb") as source:
        command = command_of(made, tree, answers)
        done = subprocess.run(command, stdin=source, capture_output=True, cwd=tree, timeout=60, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (0, INIT_MARKER + b"\n", b"")
    assert decode_answer(answers.read_bytes()) == Payload("json", ["second"])


CALLBACKS: dict[str, tuple[str, Any]] = {
    # The older form, of the platform's guide: `apply(input, cb)`.
    "a result": ("(input, cb) => { cb(null, 'hello ' + input); }", "hello x"),
    "a result later": ("(input, cb) => { setTimeout(() => cb(null, input), 5); }", "x"),
    "an error that is a text": ("(input, cb) => { cb('no ' + input); }", ValueError("no x")),
    "an error": ("(input, cb) => { cb(new Error('no'), 1); }", ValueError("no")),
    "a returned value all the same": ("(input, options) => input + 1", "x1"),
    "a promise all the same": ("async (input, options) => input + 2", "x2"),
    "two answers": ("(input, cb) => { cb(null, 'first'); cb(null, 'second'); }", "first"),
    "an async function that calls back": ("async (input, cb) => { setTimeout(() => cb(null, 'late'), 5); }", "late"),
    "an exception in a timer": (
        "(input, cb) => { setTimeout(() => { throw new Error('in a timer'); }); }",
        ValueError("in a timer"),
    ),
    "a promise that nobody awaits": ("(input, cb) => { Promise.reject(new Error('lost')); }", ValueError("lost")),
    "neither": (
        "(input, cb) => {}",
        ValueError("apply neither returned a result nor called its callback, and nothing is left that could"),
    ),
    "a promise that is never fulfilled": (
        "() => new Promise(() => {})",
        ValueError("apply neither returned a result nor called its callback, and nothing is left that could"),
    ),
    "something thrown that is no error": ("() => { throw { reason: 1 }; }", ValueError('{"reason":1}')),
    "a function": ("() => (() => 1)", ValueError("The result is a function, which JSON cannot express")),
}


@pytest.mark.usefixtures("node")
@pytest.mark.parametrize("what", CALLBACKS)
def test_a_call_ends_whatever_form_apply_has(run_in: Callable[..., Outcome], what: str) -> None:
    code, expected = CALLBACKS[what]
    outcome = run_in("javascript", f"exports.apply = {code};")
    if isinstance(expected, ValueError):
        assert outcome.failure
        assert (outcome.failure.message, outcome.failure.error_type) == (str(expected), "AlgorithmError")
    else:
        assert outcome.result == Payload("text", expected)


@pytest.mark.usefixtures("node")
def test_a_process_goes_on_after_a_failed_call(executor: Executor, tmp_path: Path) -> None:
    code = """
        let calls = 0;
        exports.apply = (input) => {
          calls += 1;
          if (input === 'timer') return new Promise(() => setTimeout(() => { throw new Error('timer'); }));
          if (input === 'never') return new Promise(() => {});
          if (input === 'throw') throw new Error('throw');
          return calls;
        };
        """
    made = written(tmp_path, "javascript", code)
    outcomes = [
        executor.call(made, Payload("text", data), timeout=60, context=CONTEXT)
        for data in ("timer", "never", "throw", "count")
    ]
    assert [bool(outcome.failure) for outcome in outcomes] == [True, True, True, False]
    assert outcomes[-1].result == Payload("json", 4)


@pytest.mark.usefixtures("node")
@pytest.mark.parametrize(
    ("code", "message"),
    [
        (
            "console.error('FOO is not set'); process.exit(1);",
            "process.exit(1) was called while it was loading: FOO is not set",
        ),
        ("process.exit();", "process.exit(0) was called while it was loading"),
        ("require('lodash');", "Cannot find module 'lodash'"),
        ("require('helper');", "Cannot find module 'helper'; src/helper.js is loaded with: require('./helper')"),
        (
            "exports.applyy = 1; // apply",
            "src/Hello.js exports no function apply: write exports.apply = function (input) { ... }",
        ),
        (
            "exports.load = () => new Promise(() => {}); exports.apply = () => 1;",
            "Loading waits for a promise that nothing can fulfil any more",
        ),
        (
            "setTimeout(() => { throw new Error('early'); }); exports.load = () => new Promise(() => {}); exports.apply = () => 1;",
            "early",
        ),
    ],
)
def test_what_keeps_it_from_loading_is_told(run_in: Callable[..., Outcome], code: str, message: str) -> None:
    outcome = run_in("javascript", f"{code}\n// apply")
    assert outcome.failure
    assert (outcome.failure.message, outcome.failure.error_type) == (message, "LoadingError")


@pytest.mark.usefixtures("node")
@pytest.mark.parametrize(
    ("name", "code", "files"),
    [
        ("src/Hello.mjs", "export async function apply(input) { return input; }", {}),
        ("src/Hello.mjs", "export default { apply: (input) => input };", {}),
        ("src/Hello.mjs", "const value = await 'x';\nexport default () => value;", {}),
        ("src/Hello.cjs", "module.exports = (input) => input;", {"package.json": '{"type": "module"}'}),
        (
            "src/Hello.js",
            "import './other.js';\nexport const apply = (input) => input;",
            {"package.json": '{"type": "module"}', "src/other.js": ""},
        ),
        ("src/algorithm.js", "module.exports = { apply(input) { return input; } };", {}),
        ("lib/main.js", "exports.apply = (input) => input;", {"package.json": '{"main": "lib/main.js"}'}),
        (
            "index.js",
            "exports.apply = (input) => input;",
            {"algorithmia.conf": '{"language": "node-5.x-1", "entry_point": "index.js"}'},
        ),
        (
            "src/my-own.js",
            "exports.apply = (input) => input;",
            {"algorithmia.conf": '{"language": "javascript", "entry_point": "src/my-own.js"}'},
        ),
        (
            "src/Own.js",
            "exports.apply = (input) => input;",
            {"algorithmia.conf": '{"language": "javascript", "entry_point": "Own"}'},
        ),
    ],
)
def test_the_forms_of_a_module(executor: Executor, tmp_path: Path, name: str, code: str, files: dict[str, str]) -> None:
    source = tmp_path / "source"
    for path, text in {"algorithmia.conf": '{"language": "javascript"}', name: code, **files}.items():
        (source / path).parent.mkdir(parents=True, exist_ok=True)
        (source / path).write_text(text)
    made = Builder(tmp_path / "root").build(source, "demo", "Hello")
    assert made.module == name
    outcome = executor.call(made, Payload("text", "x"), timeout=60, context=CONTEXT)
    assert outcome.result == Payload("text", "x"), outcome


@pytest.mark.usefixtures("node")
def test_frames_of_modules_are_those_of_files(executor: Executor, tmp_path: Path) -> None:
    source = tmp_path / "source"
    (source / "src").mkdir(parents=True)
    (source / "algorithmia.conf").write_text('{"language": "javascript"}')
    (source / "src/Hello.mjs").write_text("export const apply = () => {\n  throw new Error('no');\n};\n")
    made = Builder(tmp_path / "root").build(source, "demo", "Hello")
    failure = executor.call(made, Payload("text", "x"), timeout=60, context=CONTEXT).failure
    assert failure
    lines = (failure.stacktrace or "").splitlines()
    assert [line.rpartition("/")[2] for line in lines] == ["Error: no", "Hello.mjs:2:9)"]
    assert "file:" not in lines[1]


@pytest.mark.usefixtures("node")
def test_frames_of_the_platform_and_of_node_are_left_out(run_in: Callable[..., Outcome]) -> None:
    code = "exports.apply = () => {\n  [1].forEach(() => { throw new Error('outer', { cause: new Error('inner') }); });\n};\n"
    failure = run_in("javascript", code).failure
    assert failure
    assert failure.stacktrace
    lines = failure.stacktrace.splitlines()
    assert lines[0] == "Error: outer"
    assert "Caused by: Error: inner" in lines
    frames = [line for line in lines if line.lstrip().startswith("at ")]
    assert len(frames) == 4
    assert all("/src/Hello.js:2:" in frame for frame in frames)


@pytest.mark.usefixtures("node")
def test_a_heap_that_is_full(run_in: Callable[..., Outcome]) -> None:
    code = "exports.apply = () => { const a = []; for (;;) a.push(new Array(1000).fill(Math.random())); };"
    failure = run_in("javascript", code).failure
    assert failure
    assert (failure.message, failure.error_type) == (CANNOT_RUN, "OutOfMemoryError")


@pytest.mark.usefixtures("node")
def test_its_clients_find_the_platform_in_its_environment(run_in: Callable[..., Outcome]) -> None:
    code = """exports.apply = () => [
      'ALGORITHMIA_API', 'ALGORITHMIA_API_KEY', 'ALGORITHMIA_API_ADDRESS', 'ALGORITHMIA_DEFAULT_API_KEY',
    ].map((name) => process.env[name]);"""
    result = run_in("javascript", code).result
    assert result
    address, key, *again = result.data
    assert again == [address, key]
    assert address == FixedEndpoint.address
    assert key.startswith("sim")


R_VALUES: dict[str, Any] = {
    # what R evaluates: what arrives
    "'one text'": "one text",
    "c(named = 'x')": "x",
    "raw()": b"",
    "rep(as.raw(7), 200)": b"\7" * 200,
    "NULL": None,
    "NA_character_": None,
    "c(1.5, NA, Inf)": [1.5, None, None],
    "1:2": [1, 2],
    "I('x')": ["x"],
    "list()": [],
    "structure(list(), names = character())": {},
    "list(a = NULL, b = list(1))": {"a": None, "b": [1]},
    "data.frame(x = 1:2, y = c('a', NA))": [{"x": 1, "y": "a"}, {"x": 2, "y": None}],
    "factor('level')": "level",
    "as.Date('2020-01-31')": "2020-01-31",
    "jsonlite::toJSON(list(a = 1))": {"a": [1]},
    "123456789012345": 123456789012345,
    "c(0.1, 1e-7, 1e300)": [0.1, 1e-7, 1e300],
    "complex(1, 1, 1)": "1+1i",
    "matrix(1:4, 2)": [[1, 3], [2, 4]],
    "as.POSIXct(0, origin = '1970-01-01', tz = 'UTC')": "1970-01-01T00:00:00Z",
    "{ writeLines('x', tempfile()); setwd(tempdir()); TRUE }": True,
    "sum": ValueError("The result is of type builtin, which JSON cannot express"),
    "globalenv()": ValueError("The result is of type environment, which JSON cannot express"),
    "stop('d\u00e9j\u00e0 vu')": ValueError("d\u00e9j\u00e0 vu"),
    "log('a')": ValueError("non-numeric argument to mathematical function"),
    "(function(f) f(f))(function(f) f(f))": ValueError(""),
    "warning('only told')": "only told",
    "no_such_package::f()": ValueError("there is no package called 'no_such_package'"),
}


@pytest.fixture(scope="module")
def evaluates(tmp_path_factory: pytest.TempPathFactory) -> Build:
    """An algorithm that evaluates a text, and returns JSON as it is."""
    needs("Rscript")
    code = "algorithm <- function(input) if (is.list(input)) input else eval(parse(text = input))"
    return written(tmp_path_factory.mktemp("evaluates"), "r", code)


@pytest.mark.parametrize("text", R_VALUES)
def test_results_of_r(executor: Executor, evaluates: Build, text: str) -> None:
    expected = R_VALUES[text]
    outcome = executor.call(evaluates, Payload("text", text), timeout=60, context=CONTEXT)
    if isinstance(expected, ValueError):
        assert outcome.failure
        assert str(expected) in outcome.failure.message
        assert outcome.failure.error_type == "AlgorithmError"
    else:
        assert outcome.failure is None
        assert outcome.result
        assert outcome.result.data == expected


@pytest.mark.parametrize(
    "data",
    [
        [1, 2.5, None, "x", {}, [], {"a": None}, [[1]], True, "\\u0000", "\\\\u0000", 1e300, -7],
        {"x.y": 1, "a b": ["\u00e6\U0001f600"], "numbers": [1, 2, 3], "one": [1]},
        [],
        {},
    ],
)
def test_json_goes_through_r_unchanged(executor: Executor, evaluates: Build, data: Any) -> None:
    outcome = executor.call(evaluates, Payload("json", data), timeout=60, context=CONTEXT)
    assert outcome.result == Payload("json", data), outcome


@pytest.mark.parametrize("data", [["a\0b"], ["\\\0"], {"\0": 1}])
def test_a_character_that_r_cannot_hold(executor: Executor, evaluates: Build, data: Any) -> None:
    failure = executor.call(evaluates, Payload("json", data), timeout=60, context=CONTEXT).failure
    assert failure
    assert failure.message == "The input has a text with the character U+0000, which R cannot hold"


def test_r_is_ended_at_the_time_limit(executor: Executor, evaluates: Build) -> None:
    failure = executor.call(evaluates, Payload("text", "repeat 1"), timeout=1, context=CONTEXT).failure
    assert failure
    assert (failure.message, failure.error_type) == (CANNOT_RUN, "TimeoutError")


@pytest.fixture
def r() -> None:
    needs("Rscript")


@pytest.mark.usefixtures("r")
@pytest.mark.parametrize(
    ("code", "message", "line"),
    [
        (
            "message('FOO is not set')\nquit(status = 1)",
            "quit(status = 1) was called while it was loading: FOO is not set",
            2,
        ),
        ("f <- function() {\n  q()\n}\nload <- function() f()\nalgorithm <- function(input) 1",
         "quit(status = 0) was called while it was loading", 2),
        ("library(no.such.package)", "there is no package called 'no.such.package'", 1),
        (
            "algorithms <- 1",
            "src/Hello.R defines no function algorithm: write algorithm <- function(input) { ... }",
            None,
        ),
    ],
)  # fmt: skip
def test_what_keeps_r_from_loading_is_told(
    run_in: Callable[..., Outcome], code: str, message: str, line: int | None
) -> None:
    failure = run_in("r", f"{code}\n# algorithm").failure
    assert failure
    assert (failure.message, failure.error_type) == (message, "LoadingError")
    first, *frames = (failure.stacktrace or "").splitlines()
    assert first == f"Error: {message}"
    assert [f"/src/Hello.R:{line}:" in frame for frame in frames[:1]] == ([True] if line else [])


@pytest.mark.usefixtures("r")
def test_frames_of_r_are_those_of_the_author(run_in: Callable[..., Outcome]) -> None:
    helper = "inner <- function(x) {\n  x + 'a'\n}\n"
    code = "\ufeffsource('src/other.R')\r\nalgorithm <- function(input) {\n  sapply(1, function(one) {\n    inner(one)\n  })\n}\n"
    failure = run_in("r", code, **{"src/other.R": helper}).failure
    assert failure
    first, *frames = (failure.stacktrace or "").splitlines()
    assert first == "Error: non-numeric argument to binary operator"
    assert [frame.split(" (")[0].split()[1] for frame in frames] == ["inner", "FUN", "algorithm"]
    assert [frame.rpartition("/")[2] for frame in frames] == ["other.R:2:3)", "Hello.R:4:5)", "Hello.R:3:3)"]


@pytest.mark.usefixtures("r")
@pytest.mark.parametrize("load", ["", ", load"])
def test_the_older_form_of_r_serves_unchanged(run_in: Callable[..., Outcome], load: str) -> None:
    """It attaches the platform's client, here or not, and gets vectors for arrays, as that gave them."""
    code = f"""
        rm(list = ls())
        library(algorithmia)
        load <- function() 10
        work <- function(input, state = 0) state + sum(input$values)
        getAlgorithmHandler(work{load})$serve()
        """
    outcome = run_in("r", code, {"values": [1, 2, 3.5]})
    assert outcome.result == Payload("json", 16.5 if load else 6.5), outcome
