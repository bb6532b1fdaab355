"""A platform with somebody's things on it, asked in this process as different callers."""

from __future__ import annotations

import io
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from algo_local.platform import Platform
from algo_local.web.app import Application
from algo_local.web.http import FileBody, Request
from algo_local.web.operations import OPERATIONS, Operation

ECHO = "def apply(input):\n    return input\n"


@dataclass
class Answer:
    """A response, read."""

    status: int
    body: bytes
    headers: Mapping[str, str]

    @property
    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def error(self) -> Any:
        return self.json["error"]


@dataclass
class World:
    """Alice has a public and a private algorithm, and a collection that nobody else may read; bob has nothing."""

    platform: Platform
    application: Application
    keys: dict[str, str]
    """The credential of each kind of caller; empty for none."""
    values: dict[str, str]
    """What stands for the names in paths: things of alice's."""
    failures: list[str] = field(default_factory=list)

    def ask(self, method: str, path: str, caller: str, body: object = None) -> Answer:
        """The answer to a request of `/v1/PATH`."""
        data = b"" if body is None else body if isinstance(body, bytes) else json.dumps(body).encode()
        headers = {"content-type": "application/json"}
        if self.keys[caller]:
            headers["authorization"] = f"Simple {self.keys[caller]}"
        response = self.application.answer(Request(method, f"/v1/{path}", headers, io.BytesIO(data), len(data)))
        content = response.body.read() if isinstance(response.body, FileBody) else response.body
        if isinstance(response.body, FileBody):
            response.body.close()
        assert not self.failures, self.failures
        return Answer(response.status, content, response.headers)

    def path(self, operation: Operation, **values: str) -> str:
        """The path of an operation with alice's things, or others, in the place of its names."""
        path = "/".join(part.partition("|")[0] for part in operation.path.split("/"))
        for name, value in {**self.values, **values}.items():
            path = path.replace(f"{{{name}}}", value)
        assert "{" not in path, f"no value for a name in {path}"
        return path


def publish(platform: Platform, directory: Path, reference: str, *, public: bool) -> None:
    owner, _, name = reference.partition("/")
    source = directory / owner / name / "src"
    source.mkdir(parents=True)
    (source / f"{name}.py").write_text(ECHO)
    (source / "__init__.py").write_text("")
    platform.publish(source.parent, owner, name, "1.0.0", public=public)


def every_operation() -> Any:
    """All rows of the table, as parameters of a test."""
    return pytest.mark.parametrize("operation", OPERATIONS, ids=lambda found: f"{found.method}-{found.id}")
