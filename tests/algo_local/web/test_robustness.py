"""Whatever is sent, the application answers in the API's own form, and never fails itself."""

from __future__ import annotations

import io
import json
import random
from typing import Any

import pytest

from algo_local.web.app import Application
from algo_local.web.http import Request

PREFIXES = [
    "data/",
    "connector/data/",
    "algo/",
    "algorithms/",
    "web/algo/",
    "users/",
    "algorithm-environments/edge/",
    "",
]
PIECES = [
    "demo", "Nope", "1.0.0", "1.*", ".my", ".algo", ".session", "temp", "perm", "c", "f", "..", ".", "%2F", "%2e%2e", "%00",
    "%FF", "%", "%G", "+", "algo:", "s3:", "data:", "//", "/", "?", "&", "marker=", "marker=YQ", "timeout=", "1", "force=true",
    "acl=true", "limit=-1", "x" * 300, "\u00ff", "output=raw", "output=void", "stdout=1", "versions", "builds", "logs",
    "latestPrivate", "a" * 40, "00000000-0000-0000-0000-000000000000", "template", "languages", "environments", "=", "#", ";",
    ":", "@", "null",
]  # fmt: skip
BODIES = [b"", b"x", b"{}", b'{"name":"c"}', b'{"name":"d","acl":{"read":[]}}', b'{"acl":{"read":[]}}', b'{"acl":[]}', b"[",
          b'{"acl":{"read":null}}', b'"c"', b'{"name":{"a":1}}', b"\xff"]  # fmt: skip
HEADERS = {
    "range": ["bytes=0-", "bytes=-1", "bytes=9-", "x", "bytes=--"],
    "content-md5": ["x", "", "AAAAAAAAAAAAAAAAAAAAAA=="],
    "authorization": ["Simple", "x", "Bearer null", "\u00ff"],
    "content-encoding": ["base64", "gzip"],
}
TYPES = ["application/json", "text/plain", "application/octet-stream", "", "x/y", ";", "application/json;charset=x"]


@pytest.mark.parametrize("seed", range(4))
def test_no_request_makes_the_platform_fail(platform: Any, failures: list[str], seed: int) -> None:
    application = Application(platform, trusted=True, on_failure=failures.append)
    chance = random.Random(seed)
    statuses = set()
    for _ in range(1500):
        method, target, headers, content, length = asked = some_request(chance)
        response = application.answer(Request(method, target, headers, io.BytesIO(content), length))
        body = response.body if isinstance(response.body, bytes) else response.body.read(-1)
        sent = response.all_headers()
        statuses.add(response.status)
        assert response.status < 500, (asked, body)
        assert all(ord(c) < 256 and c >= " " for value in sent.values() for c in value), asked
        if method == "HEAD":
            assert body == b""
        elif response.status != 204:
            assert int(sent["Content-Length"]) == len(body)
        if response.status >= 400 and body and "output=raw" not in target:
            assert json.loads(body)["error"]
    assert failures == []
    assert {200, 400, 404, 405} <= statuses


def some_request(chance: random.Random) -> tuple[str, str, dict[str, str], bytes, int | None]:
    pieces = "".join(chance.choice(PIECES) + chance.choice(["/", "", "?", "&"]) for _ in range(chance.randrange(6)))
    content = chance.choice(BODIES)
    headers = {name: chance.choice(values) for name, values in HEADERS.items() if chance.random() < 0.1}
    return (
        chance.choice(["GET", "HEAD", "PUT", "POST", "PATCH", "DELETE", "OPTIONS", "X"]),
        f"/v1/{chance.choice(PREFIXES)}{pieces}",
        {"content-type": chance.choice(TYPES), **headers},
        content,
        chance.choice([len(content)] * 6 + [5, 0, None, None, None]),
    )


class Odd(BaseException):
    """Of no kind that a server expects."""


@pytest.mark.parametrize("error", [SystemExit(0), Odd("odd"), GeneratorExit()], ids=repr)
def test_code_of_a_plugin_that_exits_gets_an_answer_when_served(platform: Any, error: BaseException) -> None:
    """In the person's own process it ends the command, which names the plugin."""
    failures: list[str] = []

    def exit_(request: Request) -> None:
        raise error

    served = Application(platform, on_failure=failures.append, interceptor=exit_)
    assert served.answer(Request("GET", "/v1/x", {}, io.BytesIO(b""), 0)).status == 500
    assert type(error).__name__ in failures[0]
    with pytest.raises(type(error)):
        Application(platform, trusted=True, interceptor=exit_).answer(Request("GET", "/v1/x", {}, io.BytesIO(b""), 0))
