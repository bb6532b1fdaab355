"""The published packages, as real algorithms use them: the ADK and the older handler, on the Python that runs the tests."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from support.shared import shared_environments

from algo_local.algorithms.builder import Builder
from algo_local.callers import CallContext
from algo_local.execution.executor import Executor
from algo_local.execution.payload import Outcome, Payload

CONTEXT = CallContext(caller="jane", algorithm=("demo", "Hello"), session="s-1", request_id="req-1")

Call = Callable[[Any], Outcome]
Serve = Callable[..., Call]


@pytest.fixture(scope="session")
def builder(tmp_path_factory: pytest.TempPathFactory) -> Builder:
    """One for all tests, so that each set of requirements is installed once."""
    root = tmp_path_factory.mktemp("platform")
    shared_environments(tmp_path_factory, root)
    return Builder(root)


@pytest.fixture(scope="module", params=["algorithmia>=1.0.0,<2.0", "algorithmia==2.0.5"])
def requirements(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def serve_algorithm(
    builder: Builder, requirements: str, executor: Executor, write: Callable[..., Path]
) -> Iterator[Serve]:
    """Build the code with the published package, and return a function that calls it."""

    def serve(code: str, **files: str) -> Call:
        made = builder.build(write(code, **{"requirements.txt": requirements, ".adk": "", **files}), "demo", "Hello")

        def call(data: Any) -> Outcome:
            kind = "text" if isinstance(data, str) else "binary" if isinstance(data, bytes) else "json"
            return executor.call(made, Payload(kind, data), timeout=60, context=CONTEXT)

        return call

    yield serve
    assert not os.path.exists("/tmp/algoout")


ADK = """
from Algorithmia import ADK
class InputError(Exception):
    error_type = "InputError"
def apply(input):
    print("called with", type(input).__name__, end="")
    if input == "fail":
        raise InputError("not this one")
    if input == "odd":
        return object()
    return input
ADK(apply).init("Algorithmia")
"""


@pytest.mark.parametrize("data", ["Jané", {"a": [None, 1.5]}, [], b"\x00\xff"], ids=repr)
def test_adk_gives_back_what_it_got(serve_algorithm: Serve, data: Any) -> None:
    call = serve_algorithm(ADK)
    for _ in range(2):
        outcome = call(data)
        assert outcome.failure is None
        assert outcome.result is not None
        assert outcome.result.data == data
        assert outcome.stdout == f"called with {type(data).__name__}"


def test_adk_tells_errors_and_lives_on(serve_algorithm: Serve) -> None:
    call = serve_algorithm(ADK)
    failed = call("fail").failure
    assert failed is not None
    assert (failed.message, failed.error_type) == ("not this one", "InputError")
    assert "in apply" in (failed.stacktrace or "")
    unspeakable = call("odd").failure
    assert unspeakable is not None
    assert "not JSON serializable" in unspeakable.message
    assert call("fine").result == Payload("text", "fine")


@pytest.mark.parametrize("load", ["def load():", "def load(models):"])
def test_adk_loads_once(serve_algorithm: Serve, load: str) -> None:
    call = serve_algorithm(
        f"""
from Algorithmia import ADK
{load}
    print("loading")
    return ["loaded"]
def apply(input, state):
    state.append(input)
    return state
ADK(apply, load).init("Algorithmia")
"""
    )
    assert call("a").stdout == "loading\n"
    assert call("b").result == Payload("json", ["loaded", "a", "b"])


def test_adk_tells_a_failed_load(serve_algorithm: Serve) -> None:
    call = serve_algorithm(
        """
from Algorithmia import ADK
def load():
    raise RuntimeError("no model")
def apply(input):
    return input
ADK(apply, load).init("Algorithmia")
"""
    )
    for _ in range(2):
        failure = call("a").failure
        assert failure is not None
        assert (failure.message, failure.error_type) == ("no model", "LoadingError")
        assert "in load" in (failure.stacktrace or "")


def test_adk_replicas_at_once_never_mix_answers(serve_algorithm: Serve) -> None:
    call = serve_algorithm(ADK)
    with ThreadPoolExecutor(4) as threads:
        outcomes = list(threads.map(call, range(80)))
    assert [outcome.result for outcome in outcomes] == [Payload("json", n) for n in range(80)]


def test_an_adk_that_cannot_be_constructed_is_told(serve_algorithm: Serve) -> None:
    call = serve_algorithm(
        "from Algorithmia import ADK\ndef apply(input):\n    return 1\nADK(apply, lambda a, b: 0).init('x')\n"
    )
    failure = call("a").failure
    assert failure is not None
    assert failure.error_type == "LoadingError"
    assert "load function expects" in failure.message


HANDLER = """
import Algorithmia
def load():
    return ["state"]
def apply(input, state):
    if input == "fail":
        raise ValueError("not this one")
    return input
Algorithmia.handler(apply, load).serve()
"""


@pytest.mark.parametrize("data", ["Jané", {"a": [None, 1.5]}, b"\x00\xff"], ids=repr)
def test_handler_gives_back_what_it_got(serve_algorithm: Serve, data: Any) -> None:
    outcome = serve_algorithm(HANDLER)(data)
    assert outcome.failure is None
    assert outcome.result is not None
    assert outcome.result.data == data


def test_handler_tells_errors_and_lives_on(serve_algorithm: Serve) -> None:
    call = serve_algorithm(HANDLER)
    failure = call("fail").failure
    assert failure is not None
    assert (failure.message, failure.error_type) == ("not this one", "AlgorithmError")
    assert call("fine").result == Payload("text", "fine")


def test_handler_tells_a_failed_load(serve_algorithm: Serve) -> None:
    call = serve_algorithm(HANDLER.replace('return ["state"]', 'raise RuntimeError("no model")'))
    for _ in range(2):
        failure = call("a").failure
        assert failure is not None
        assert failure.message == "no model"


def test_a_plain_apply_beside_the_package(serve_algorithm: Serve) -> None:
    call = serve_algorithm(
        "import Algorithmia\nclient = Algorithmia.client()\ndef apply(input):\n    return client.apiAddress\n"
    )
    assert call("a").result == Payload("text", "http://127.0.0.1:9")


def test_a_build_sees_what_it_requires_and_its_programs(builder: Builder, serve_algorithm: Serve) -> None:
    call = serve_algorithm(
        """
import os, shutil, sys
import requests
def apply(input):
    return [requests.__name__, os.path.dirname(shutil.which("python3")) == os.path.join(sys.prefix, "bin")]
"""
    )
    assert call("a").result == Payload("json", ["requests", True])
