"""The invocation route as clients see it (API section 3)."""

from __future__ import annotations

import base64
import re
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from support.sandbox import running_with, wait_until

from algo_local.execution import concurrency

KIND = """
    def apply(input):
        return [type(input).__name__, input.decode("latin-1") if isinstance(input, bytes) else input]
"""
MANY = """
    import json, os, time, urllib.request

    def call(path, data=None, method=None):
        request = urllib.request.Request(os.environ["ALGORITHMIA_API"] + "/v1/" + path, data, method=method)
        request.add_header("Authorization", os.environ["ALGORITHMIA_API_KEY"])
        request.add_header("Content-Type", "application/json")
        return urllib.request.urlopen(request).read().decode()

    def apply(input):
        job = input["job"]
        if job == "sleep":
            time.sleep(input["seconds"])
            return "slept"
        if job == "call":
            return call(input["path"], json.dumps(input["body"]).encode() if "body" in input else None, input.get("method"))
        if job == "deep":
            if not input["levels"]:
                return call("data/.session/")
            body = {"job": "deep", "levels": input["levels"] - 1}
            call(f"data/.session/level{input['levels']}", b"x", "PUT")
            return json.loads(call("algo/jane/Many", json.dumps(body).encode()))["result"]
        if job == "forever":
            return json.loads(call("algo/jane/Many", json.dumps(input).encode())).get("result", "ended")
"""


def test_a_normal_answer_has_exactly_the_members_in_their_order(client: Any) -> None:
    answer = client.run("demo/Hello", b"HAL 9000")
    assert answer.headers["Content-Type"] == "application/json"
    assert re.fullmatch(
        r'\{"result":"Hello HAL 9000","metadata":\{"content_type":"text","duration":[0-9.e-]+\},'
        r'"request_id":"req-[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}"\}',
        answer.text,
    )


@pytest.mark.parametrize(
    "path",
    [
        "demo/Hello",
        "demo/Hello/",
        "demo/hello/1.0.0/",
        "DEMO/HELLO/1.0.0",
        "/demo//Hello",
        "algo://demo/Hello/1.0.0/?timeout=300&stdout=false&output=default&unknown=1",
        "algo:/demo/Hello",
        "algo%3A%2F%2Fdemo%2FHello",
        "demo/Hello/latest",
        "demo/Hello/1",
        "demo/Hello/1.0",
        "demo/Hello/1.*",
        "demo/Hello/1.x",
        "demo/Hello/1.0.*",
        "demo/Hello/1.0.x?stdout=FALSE&output=",
    ],
)
def test_references_in_every_form(client: Any, path: str) -> None:
    assert client.run(path, b"x").json()["result"] == "Hello x"


def test_an_algorithm_is_called_by_its_id(client: Any) -> None:
    identifier = client("GET", "algorithms/demo/Hello").json()["id"]
    assert client.run(f"{identifier}", b"x").json()["result"] == "Hello x"
    assert client.run(f"{identifier}/1.0.0", b"x").json()["result"] == "Hello x"
    assert client.run(f"{identifier}/2.0.0", b"x").status_code == 404


@pytest.mark.parametrize(
    "reference",
    ["demo/Nope", "nobody/Hello", "demo/Hello/9.9.9", "demo/Hello/2.*", "demo/Hello/latestPrivate", "demo/Hello/"
     + "0" * 40, "demo/Hello/nonsense", "demo/Hello/1.0.0/more", "demo", "00000000-0000-0000-0000-000000000000"],
)  # fmt: skip
def test_unknown_references_are_repeated_as_they_were_given(client: Any, reference: str) -> None:
    answer = client.run(reference)
    assert answer.status_code == 404
    assert answer.json()["error"]["message"] == f"algorithm algo://{reference} not found"


@pytest.mark.parametrize(
    ("body", "content_type", "encoding", "expected"),
    [
        (b"text", "text/plain", None, ["str", "text"]),
        ("ü".encode(), "text/plain; charset=UTF-8", None, ["str", "ü"]),
        (b"text", "application/text", None, ["str", "text"]),
        (b"text", "application/x-www-form-urlencoded", None, ["str", "text"]),
        (b"", "text/plain", None, ["str", ""]),
        (b'{"a":[1,2.5,null,true]}', "application/json", None, ["dict", {"a": [1, 2.5, None, True]}]),
        (b'"text"', "Application/JSON;charset=UTF-8", None, ["str", "text"]),
        (b"null", "application/json", None, ["NoneType", None]),
        (b"\x00\xff\n", "application/octet-stream", None, ["bytes", "\x00\xff\n"]),
        (base64.b64encode(b"\x00\xff"), "application/octet-stream", "base64", ["bytes", "\x00\xff"]),
    ],
)
def test_inputs_of_every_type(
    client: Any, publish: Callable[..., None], body: bytes, content_type: str, encoding: str | None, expected: Any
) -> None:
    publish("jane/Kind", KIND)
    headers = {"Content-Encoding": encoding} if encoding else {}
    assert client.run("jane/Kind", body, content_type, headers=headers).json()["result"] == expected


@pytest.mark.parametrize(
    ("body", "content_type", "encoding", "status", "said"),
    [
        (b"{", "application/json", None, 400, "JSON error - "),
        (b"", "application/json", None, 400, "JSON error - "),
        (b"NaN", "application/json", None, 400, "JSON error - "),
        (b"[" * 100_000, "application/json", None, 400, "JSON error - "),
        (b"\xff", "text/plain", None, 400, "UTF-8"),
        (b"x", "image/png", None, 415, "unsupported Content-Type 'image/png'"),
        (b"!", "application/octet-stream", "base64", 400, "base64"),
        (b"x", "text/plain", "gzip", 400, "Unexpected ContentEncoding 'gzip'"),
    ],
)
def test_inputs_that_cannot_be_read(
    client: Any, body: bytes, content_type: str, encoding: str | None, status: int, said: str
) -> None:
    headers = {"Content-Encoding": encoding} if encoding else {}
    answer = client.run("demo/Hello", body, content_type, headers=headers)
    assert answer.status_code == status
    assert answer.json()["error"]["message"].startswith("Failed to build algorithm input from request: ")
    assert said in answer.json()["error"]["message"]


def test_input_may_have_ten_mebibytes_and_no_more(client: Any, publish: Callable[..., None]) -> None:
    publish("jane/Size", "def apply(input):\n    return len(input)")
    limit = 10 << 20
    assert client.run("jane/Size", b"x" * limit, "application/octet-stream").json()["result"] == limit
    for body in (b"x" * (limit + 1), iter([b"x" * limit, b"x"])):
        answer = client.run("jane/Size", body, "application/octet-stream")
        assert answer.status_code == 413
        assert "data URI" in answer.json()["error"]["message"]
    assert client.run("demo/Hello", b"x").json()["result"] == "Hello x"


def test_results_of_every_type_wrapped_and_raw(client: Any, publish: Callable[..., None]) -> None:
    publish(
        "jane/Give",
        """
        def apply(input):
            return {"text": "tëxt", "json": {"a": [1, None]}, "bytes": b"\\x00\\xff", "none": None,
                    "nan": float("nan"), "big": "x" * (16 << 20), "lone": "\\ud800"}[input]
        """,
    )

    def give(kind: str, query: str = "") -> Any:
        return client.run(f"jane/Give{query}", kind.encode())

    for kind, content_type, result in [
        ("text", "text", "tëxt"),
        ("json", "json", {"a": [1, None]}),
        ("bytes", "binary", base64.b64encode(b"\x00\xff").decode()),
        ("none", "json", None),
        ("lone", "text", "\ud800"),
    ]:
        answer = give(kind).json()
        assert (answer["result"], answer["metadata"]["content_type"]) == (result, content_type)
    for kind, content_type, body in [
        ("text", "text/plain; charset=utf-8", "tëxt".encode()),
        ("json", "application/json", b'{"a":[1,null]}'),
        ("bytes", "application/octet-stream", b"\x00\xff"),
    ]:
        answer = give(kind, "?output=raw")
        assert (answer.status_code, answer.headers["Content-Type"], answer.content) == (200, content_type, body)
    big = give("big").json()
    assert big["error"]["error_type"] == "TooLargeError"
    assert "data URI" in big["error"]["message"]
    assert "result" not in give("nan").json()
    answer = give("missing", "?output=raw")
    assert (answer.status_code, answer.text) == (400, "'missing'")


def test_a_failing_algorithm_answers_200_with_strings(client: Any, publish: Callable[..., None]) -> None:
    publish("jane/Fail", "def apply(input):\n    raise ValueError('no such luck')")
    answer = client.run("jane/Fail")
    assert answer.status_code == 200
    body = answer.json()
    assert list(body) == ["error", "metadata", "request_id"]
    assert list(body["error"]) == ["message", "stacktrace", "error_type"]
    assert body["error"]["message"] == "no such luck"
    assert body["error"]["error_type"] == "AlgorithmError"
    assert all(isinstance(value, str) for value in body["error"].values())
    assert list(body["metadata"]) == ["duration"]


def test_time_limit_ends_the_process(client: Any, publish: Callable[..., None], exchange: Path) -> None:
    publish(
        "jane/Slow",
        "import os, time\ndef apply(path):\n    if path:\n"
        "        open(path, 'w').write(os.environ['ALGORITHMIA_API_KEY'])\n        time.sleep(60)",
    )
    assert "result" in client.run("jane/Slow", b"").json()  # so that the time that follows is that of the call alone
    answer = client.run("jane/Slow?timeout=1", str(exchange / "who").encode())
    assert answer.status_code == 200
    assert answer.json()["error"]["message"] == (
        "Failed to run algorithm - may have timed-out or hit out-of-memory error"
    )
    assert running_with((exchange / "who").read_text()) == []


@pytest.mark.parametrize("timeout", ["0", "-1", "soon", "nan", "1e400x"])
def test_a_time_limit_must_be_a_number_above_zero(client: Any, timeout: str) -> None:
    assert client.run(f"demo/Hello?timeout={timeout}").status_code == 400


@pytest.mark.parametrize("timeout", ["3000", "99999", "inf", "0.5e1", ""])
def test_a_long_time_limit_is_cut(client: Any, timeout: str) -> None:
    assert client.run(f"demo/Hello?timeout={timeout}").json()["result"] == "Hello x"


def test_timing_is_given_on_request(client: Any) -> None:
    timing = client.run("demo/Hello?timing=1").json()["metadata"]["timing"]
    assert list(timing) == ["running", "total"]
    assert 0 <= timing["running"] <= timing["total"]


def test_void_answers_at_once_and_runs_on(client: Any, publish: Callable[..., None]) -> None:
    publish("jane/Many", MANY)
    client.mkdir("c")
    job = b'{"job":"call","path":"data/.my/c/done","method":"PUT","body":"written"}'
    answer = client.run("jane/Many?output=void", job, "application/json")
    assert re.fullmatch(r'\{"async":"void","request_id":"req-[0-9a-f-]{36}"\}', answer.text)
    deadline = time.monotonic() + 60
    while client("GET", "data/.my/c/done").status_code == 404 and time.monotonic() < deadline:
        time.sleep(0.02)
    assert client("GET", "data/.my/c/done").content == b'"written"'


def test_other_methods_than_post_are_refused(client: Any) -> None:
    for method in ("GET", "PUT", "DELETE"):
        answer = client(method, "algo/demo/Hello")
        assert (answer.status_code, answer.headers["Allow"]) == (405, "POST")


def test_pages_may_call_with_cors(client: Any) -> None:
    answer = client("OPTIONS", "web/algo/demo/Hello")
    assert (answer.status_code, answer.headers["Access-Control-Allow-Origin"]) == (204, "*")
    answer = client("POST", "web/algo/demo/Hello", data=b'"x"', headers={"Content-Type": "application/json"})
    assert answer.json()["result"] == "Hello x"
    assert answer.headers["Access-Control-Allow-Origin"] == "*"
    answer = client("POST", "web/algo/demo/Nope", data=b'"x"')
    assert (answer.status_code, answer.headers["Access-Control-Allow-Origin"]) == (404, "*")


def test_inside_an_algorithm_the_special_roots_are_those_of_the_call(
    client: Any, publish: Callable[..., None], platform: Any
) -> None:
    publish("jane/Many", MANY)

    def call(path: str, **members: Any) -> Any:
        import json

        body = json.dumps({"job": "call", "path": path, **members}).encode()
        return client.run("jane/Many", body, "application/json").json()

    assert '{"folders":[{"name":"jane"},{"name":".algo"},{"name":".session"}]' in call("data/")["result"]
    assert call("data/.algo")["result"] == '{"folders":[{"name":"perm"},{"name":"temp"}],"files":[]}'
    call("data/.algo/temp/out", method="PUT", body="made")
    assert client("GET", "data/.algo/jane/Many/temp/out").content == b'"made"'
    assert call("data/.algo/jane/Many/temp/out")["result"] == '"made"'
    assert call("data/.session/f", method="PUT", body="x")["result"] == '{"result":"data://.session/f"}'
    assert call("data/.session")["result"] == '{"folders":[],"files":[]}'  # that was another request
    assert list((platform.root / "sessions").iterdir()) == []


def test_child_calls_share_the_session_of_the_first_one(
    client: Any, publish: Callable[..., None], platform: Any
) -> None:
    publish("jane/Many", MANY)
    answer = client.run("jane/Many", b'{"job":"deep","levels":3}', "application/json").json()
    for level in (1, 2, 3):
        assert f'"filename":"level{level}"' in answer["result"]
    assert list((platform.root / "sessions").iterdir()) == []


def test_a_token_is_worth_nothing_when_its_call_is_over(client: Any, publish: Callable[..., None]) -> None:
    publish(
        "jane/Leak",
        "import os\ndef apply(x):\n    return [os.environ['ALGORITHMIA_API_KEY'], os.environ['ALGORITHMIA_API']]",
    )
    token, address = client.run("jane/Leak").json()["result"]
    import requests

    for base in (address, client.address):
        if base.startswith("http"):
            answer = requests.get(f"{base}/v1/data/", headers={"Authorization": token}, timeout=60)
            assert answer.status_code == 401
    assert requests.get(f"{address}/v1/data/", timeout=60).status_code == 401


def test_algorithms_call_each_other_at_most_24_deep(client: Any, publish: Callable[..., None]) -> None:
    publish(
        "jane/Down",
        """
        import json, os, urllib.request, urllib.error

        def apply(level):
            request = urllib.request.Request(os.environ["ALGORITHMIA_API"] + "/v1/algo/jane/Down", str(level + 1).encode())
            request.add_header("Authorization", os.environ["ALGORITHMIA_API_KEY"])
            request.add_header("Content-Type", "application/json")
            try:
                return json.load(urllib.request.urlopen(request))["result"]
            except urllib.error.HTTPError as error:
                return [level, error.code]
        """,
    )
    answer = client.run("jane/Down?timeout=120", b"0", "application/json").json()
    assert answer["result"] == [24, 429]


def test_an_account_may_have_so_many_requests_under_way(
    account: Any, publish: Callable[..., None], exchange: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert concurrency.CONCURRENT == 80
    monkeypatch.setattr(concurrency, "CONCURRENT", 3)
    publish(
        "jane/Wait",
        "import os, time\ndef apply(path):\n    while not os.path.exists(path):\n        time.sleep(0.02)\n    return 'done'",
    )
    gate = exchange / "gate"
    clients = [account("jane") for _ in range(4)]
    answers: list[Any] = []

    def call(client: Any) -> None:
        answers.append(client.run("jane/Wait", str(gate).encode()))

    threads = [threading.Thread(target=call, args=(client,)) for client in clients]
    for thread in threads:
        thread.start()
    assert wait_until(lambda: answers)
    assert [(answer.status_code, answer.headers["Retry-After"]) for answer in answers] == [(429, "1")]
    assert account("bob").run("demo/Hello").status_code == 200
    gate.touch()
    for thread in threads:
        thread.join()
    assert [answer.json()["result"] for answer in answers[1:]] == ["done"] * 3


def test_a_void_child_has_a_session_of_its_own(client: Any, publish: Callable[..., None], platform: Any) -> None:
    publish("jane/Many", MANY)
    client.mkdir("c")
    inner = '{"job":"call","path":"data/.session/late","method":"PUT","body":"x"}'
    outer = f'{{"job":"call","path":"algo/jane/Many?output=void","body":{inner}}}'
    assert '"async":"void"' in client.run("jane/Many", outer.encode(), "application/json").json()["result"]
    deadline = time.monotonic() + 60
    while any(thread.name == "algo-void" for thread in threading.enumerate()) and time.monotonic() < deadline:
        time.sleep(0.02)
    assert list((platform.root / "sessions").iterdir()) == []


@pytest.mark.parametrize(
    "body", [b'"\\ud800"', b"1e999", b"-1e999", b"[1" + b"0" * 4000 + b"]", b'{"a":1,"a":2}', b"\xef\xbb\xbf1"]
)
def test_strange_json_is_run_or_refused(client: Any, body: bytes) -> None:
    answer = client.run("demo/Hello", body, "application/json")
    assert answer.status_code in {200, 400}
    assert answer.json().get("result") or answer.json()["error"]["message"]
