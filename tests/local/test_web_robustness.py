"""Whatever is sent, the application answers in the API's own form, and never fails itself."""

from __future__ import annotations

import io
import json
import random
from typing import Any

import pytest

from algo_local.web.app import Application

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
    "HTTP_RANGE": ["bytes=0-", "bytes=-1", "bytes=9-", "x", "bytes=--"],
    "HTTP_CONTENT_MD5": ["x", "", "AAAAAAAAAAAAAAAAAAAAAA=="],
    "HTTP_AUTHORIZATION": ["Simple", "x", "Bearer null", "\u00ff"],
    "HTTP_CONTENT_ENCODING": ["base64", "gzip"],
}
TYPES = ["application/json", "text/plain", "application/octet-stream", "", "x/y", ";", "application/json;charset=x"]


@pytest.mark.parametrize("seed", range(4))
def test_no_request_makes_the_platform_fail(platform: Any, failures: list[str], seed: int) -> None:
    application = Application(platform, trusted=True, on_failure=failures.append)
    chance = random.Random(seed)
    statuses = set()
    for _ in range(1500):
        environ = some_request(chance)
        started: list[Any] = []
        body = b"".join(application(environ, lambda *answer, started=started: started.extend(answer)))
        status, headers = int(started[0].split()[0]), dict(started[1])
        statuses.add(status)
        assert status < 500, (environ, body)
        assert all(ord(c) < 256 and c >= " " for value in headers.values() for c in value), environ
        if environ["REQUEST_METHOD"] == "HEAD":
            assert body == b""
        elif status != 204:
            assert int(headers["Content-Length"]) == len(body)
        if status >= 400 and body and "output=raw" not in environ["REQUEST_URI"]:
            assert json.loads(body)["error"]
    assert failures == []
    assert {200, 400, 404, 405} <= statuses


def some_request(chance: random.Random) -> dict[str, Any]:
    pieces = "".join(chance.choice(PIECES) + chance.choice(["/", "", "?", "&"]) for _ in range(chance.randrange(6)))
    body = chance.choice(BODIES)
    return {
        "REQUEST_METHOD": chance.choice(["GET", "HEAD", "PUT", "POST", "PATCH", "DELETE", "OPTIONS", "X"]),
        "REQUEST_URI": f"/v1/{chance.choice(PREFIXES)}{pieces}",
        "CONTENT_TYPE": chance.choice(TYPES),
        "CONTENT_LENGTH": chance.choice([str(len(body))] * 6 + ["", "5", "x", "-1"]),
        "wsgi.input": io.BytesIO(body),
        "wsgi.input_terminated": chance.random() < 0.3,
        **{name: chance.choice(values) for name, values in HEADERS.items() if chance.random() < 0.1},
    }
