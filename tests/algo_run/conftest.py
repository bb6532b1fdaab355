"""A platform whose answers the tests choose, a profile for it, and `algo` on a terminal."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from support.stub import KEY, Answer, json_answer

from algo_core.errors import ExitCode
from algo_core.testing import Home


def result(value: Any, kind: str = "text", **metadata: Any) -> Any:
    """The answer of an algorithm that succeeded."""
    return json_answer(
        {
            "result": value,
            "metadata": {"content_type": kind, "duration": 0.0002127, **metadata},
            "request_id": "req-1d2f8a1e-6c1f-4f0e-9d6a-0a6f4be3b5a7",
        }
    )


def failure(error: Any, **metadata: Any) -> Any:
    """The answer of an algorithm that failed: status 200."""
    return json_answer({"error": error, "metadata": {"duration": 0.1, **metadata}})


class Algorithm:
    """`demo/Echo` on a stub platform; what it answers next, and what it was sent."""

    PATH = "/v1/algo/demo/Echo"
    answer = Answer
    result = staticmethod(result)
    failure = staticmethod(failure)

    def __init__(self, stub: Any) -> None:
        self.platform = stub
        self.answers(result("ok"))

    def answers(self, *answers: Any, path: str = PATH) -> None:
        """Give these answers in turn; the last one stays."""
        self.platform.on("POST", path, *answers)

    @property
    def calls(self) -> list[Any]:
        """The requests that called an algorithm."""
        return [seen for seen in self.platform.seen if seen.method == "POST"]

    @property
    def call(self) -> Any:
        """The only request that was sent."""
        (seen,) = self.platform.seen
        return seen

    @property
    def sent(self) -> tuple[str, bytes]:
        """Content type and body of the only request."""
        return self.call.headers["Content-Type"], self.call.body


@pytest.fixture
def algorithm(stub: Any) -> Algorithm:
    return Algorithm(stub)


@pytest.fixture
def home(algo_home: Home, stub: Any) -> Home:
    """A home whose default profile is that of `alice` on the stub platform."""
    algo_home.write_config(f'[profiles.default]\naddress = "{stub.address}"\napi_key = "{KEY}"\n')
    return algo_home


@pytest.fixture
def publish(algo_home: Home, tmp_path: Path) -> Callable[..., None]:
    """Publishes code on the embedded platform: `publish("me/Name", "def apply(input): ...")`."""

    def publish(reference: str, code: str, version: str = "1.0.0", *flags: str) -> None:
        name = reference.rpartition("/")[2]
        directory = tmp_path / "algorithms" / name / version
        (directory / "src").mkdir(parents=True)
        (directory / "src" / "__init__.py").write_text("")
        (directory / "src" / f"{name}.py").write_text(code)
        conf = {"username": reference.partition("/")[0], "algoname": name, "language": "python3"}
        (directory / "algorithmia.conf").write_text(json.dumps(conf))
        done = algo_home.run("local", "publish", directory, reference, "--version", version, *flags)
        assert done.code == ExitCode.OK, done.stderr

    return publish
