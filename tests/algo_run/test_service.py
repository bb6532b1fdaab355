"""`app.run_algorithm`: one call for other plugins, with a typed result and the errors of `algo run`."""

from __future__ import annotations

import base64
import contextlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from support.stub import KEY, StubPlatform

from algo_core import AlgorithmResult, App
from algo_core.errors import (
    AlgoError,
    AlgorithmFailed,
    AuthError,
    NotFoundError,
    PlatformError,
    RequestRefused,
    UsageError,
)
from algo_core.storage.uri import parse_algorithm_ref
from algo_core.testing import Home

ID = "req-1d2f8a1e-6c1f-4f0e-9d6a-0a6f4be3b5a7"


@pytest.fixture
def plugin_app(algo_home: Home, stub: StubPlatform) -> Iterator[App]:
    """The running `App` of a command on the stub platform."""
    algo_home.write_config(f'retries = 0\n[profiles.default]\naddress = "{stub.address}"\napi_key = "{KEY}"\n')
    with contextlib.closing(App(algo_home.environ)) as plugin_app:
        yield plugin_app


@pytest.mark.parametrize(
    ("input", "content_type", "body"),
    [
        ("HAL 9000", "text/plain", b"HAL 9000"),
        ("größe", "text/plain", "größe".encode()),
        ('{"a": 1}', "text/plain", b'{"a": 1}'),
        ("", "text/plain", b""),
        (b"\0\xff", "application/octet-stream", b"\0\xff"),
        (bytearray(b"ab"), "application/octet-stream", b"ab"),
        ({"a": [1, None, "ü"]}, "application/json", '{"a": [1, null, "ü"]}'.encode()),
        (None, "application/json", b"null"),
        (12345678901234567890, "application/json", b"12345678901234567890"),
    ],
    ids=repr,
)
def test_an_input_is_sent_by_its_type(
    plugin_app: App, algorithm: Any, input: object, content_type: str, body: bytes
) -> None:
    assert plugin_app.run_algorithm("demo/Echo", input).value == "ok"
    (call,) = algorithm.calls
    assert (call.headers["Content-Type"], call.body) == (content_type, body)


@pytest.mark.parametrize(
    ("value", "kind", "expected"),
    [
        ("text", "text", "text"),
        ({"a": [1.5]}, "json", {"a": [1.5]}),
        (None, "json", None),
        (base64.b64encode(b"\0\xff").decode(), "binary", b"\0\xff"),
    ],
)
def test_a_result_has_its_type(plugin_app: App, algorithm: Any, value: object, kind: str, expected: object) -> None:
    algorithm.answers(algorithm.result(value, kind, alerts=["old"], stdout="said\n"))
    found = plugin_app.run_algorithm(parse_algorithm_ref("demo/Echo"), 1, with_stdout=True, timeout=7)
    assert found == AlgorithmResult(kind, expected, ("old",), "said\n", 0.0002127, ID)
    assert algorithm.calls[0].path == "/v1/algo/demo/Echo?timeout=7&stdout=true"


def test_mine_is_that_of_the_account(plugin_app: App, algorithm: Any) -> None:
    algorithm.answers(algorithm.result("mine"), path="/v1/algo/alice/Echo/1.0.0")
    assert plugin_app.run_algorithm(".my/Echo/1.0.0", "x").value == "mine"


@pytest.mark.parametrize(
    ("answer", "kind"),
    [
        (lambda a: a.failure({"message": "no", "error_type": "Bad", "stacktrace": "at x"}), AlgorithmFailed),
        (lambda a: a.failure({"message": "Algorithm timed-out after 7 s"}), AlgorithmFailed),
        (lambda a: a.answer(401), AuthError),
        (lambda a: a.answer(404), NotFoundError),
        (lambda a: a.answer(400, b'{"error": {"message": "no"}}'), RequestRefused),
        (lambda a: a.answer(200, b"[]"), PlatformError),
        (lambda a: a.answer(200, b"[" * 100_000), PlatformError),
        (lambda a: a.result("no base64!", "binary"), PlatformError),
        (lambda a: a.answer(500), PlatformError),
    ],
)  # fmt: skip
def test_failures_are_those_of_run(plugin_app: App, algorithm: Any, answer: Callable[[Any], Any], kind: type) -> None:
    algorithm.answers(answer(algorithm))
    with pytest.raises(kind) as raised:
        plugin_app.run_algorithm("demo/Echo", "x")
    assert isinstance(raised.value, AlgoError)
    assert "--" not in (raised.value.hint or ""), "an option that the caller's command has not"


def circle() -> list[Any]:
    found: list[Any] = []
    found.append(found)
    return found


DEEP: list[Any] = []
for _ in range(100_000):
    DEEP = [DEEP]


@pytest.mark.parametrize(
    ("reference", "input", "timeout"),
    [
        ("demo", "x", None),
        ("", "x", None),
        ("demo/Echo", object(), None),
        ("demo/Echo", float("nan"), None),
        ("demo/Echo", circle(), None),
        ("demo/Echo", DEEP, None),
        ("demo/Echo", "\udc80", None),
        ("demo/Echo", b"x" * (10 << 20), None),
        ("demo/Echo", "x", 0),
        ("demo/Echo", "x", 3001),
    ],
    ids=lambda value: str(value)[:20] if isinstance(value, str | int) else type(value).__name__,
)
def test_what_cannot_be_sent_is_refused_before_a_request(
    plugin_app: App, stub: StubPlatform, reference: str, input: object, timeout: int | None
) -> None:
    with pytest.raises(UsageError):
        plugin_app.run_algorithm(reference, input, timeout=timeout)
    assert stub.seen == []


def test_nothing_is_printed(plugin_app: App, algorithm: Any, capfd: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    algorithm.answers(algorithm.result("x", alerts=["old"], stdout="said"))
    plugin_app.run_algorithm("demo/Echo", "x")
    assert capfd.readouterr() == ("", "")
