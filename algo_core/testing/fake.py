"""A platform of which a test decides everything: what it answers, what goes wrong, and whom it knows.

It listens on the loopback interface, and records what it was asked. The embedded platform (`algo_platform`) is the real
thing; this one is for what a real one does rarely.

    def test_a_dropped_connection_is_tried_again(algo_home, algo_clock, algo_fake_platform):
        algo_fake_platform.fail(dropped_connection())
        assert algo_home.run("ls").code == 0
        assert [request.path for request in algo_fake_platform.requests] == ["/v1/data/"] * 2
"""

from __future__ import annotations

import json
import math
import ssl
import sys
import threading
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any, NamedTuple
from urllib.parse import parse_qsl, urlsplit

from algo_core.testing.clock import Clock
from algo_core.testing.faults import Answer, FakeResponse, Fault, refused_credential, too_many_requests

if TYPE_CHECKING:
    from typing_extensions import Self

KEY = "sim" + "f" * 25
"""The API key that a fake platform knows from its start, of the account `tester`."""

_ANY = "*"


@dataclass(frozen=True)
class RecordedRequest:
    """A request as it came: `path` with its query, headers under the names that were sent, and the whole body."""

    method: str
    path: str
    headers: Mapping[str, str]
    body: bytes
    peer: tuple[str, int]
    """The client's address and port: requests with the same one came on one connection."""

    @property
    def query(self) -> dict[str, str]:
        """The parameters of the query."""
        return dict(parse_qsl(urlsplit(self.path).query, keep_blank_values=True))

    @property
    def credential(self) -> str | None:
        """The header `Authorization`, such as `Simple sim...` or `Bearer ...`."""
        return next((value for name, value in self.headers.items() if name.lower() == "authorization"), None)

    @property
    def json(self) -> Any:
        """The body as a JSON value."""
        return json.loads(self.body)


@dataclass
class _Planned:
    """A fault, and how many requests it is still for."""

    fault: FakeResponse | Fault
    method: str
    path: str
    left: float

    def concerns(self, method: str, path: str) -> bool:
        return self.left > 0 and self.method in (_ANY, method) and self.path in (_ANY, path)


class _Served(NamedTuple):
    answer: Callable[[RecordedRequest], FakeResponse]


class FakePlatform:
    """A platform that answers as `on` and `fail` say, in any thread.

    What nothing was said about is answered with the accounts' names for `GET /v1/data/`, and else with 404. `clock` is
    the clock by which keys expire and limits are counted; without it they go by real time. It listens between `start`
    and `close`, or in a block: `with FakePlatform() as platform:`.
    """

    def __init__(self, *, clock: Clock | None = None) -> None:
        self.requests: list[RecordedRequest] = []
        """All requests so far, in the order in which they came."""
        self.accounts: dict[str, str] = {f"Simple {KEY}": "tester"}
        """Names of accounts by the credential of their requests (`Authorization`)."""
        self.checks_credentials = False
        """Whether every request needs the credential of an account; without it, only `GET /v1/data/` does."""
        self._now = clock.now if clock else time.time
        self._expiry: dict[str, float] = {}
        self._answers: dict[tuple[str, str], list[Answer | _Served]] = {}
        self._planned: list[_Planned] = []
        self._limit: tuple[int, float] | None = None
        self._counted: list[float] = []
        self._lock = threading.Lock()
        self._server: _Server | None = None
        self._scheme = "http"

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    def start(self, tls: ssl.SSLContext | None = None, *, port: int = 0) -> None:
        """Listen on a port (0: a free one); with `tls` by HTTPS.

        Raises:
            OSError: if the port is taken.
        """
        self.close()
        handler = type("Handler", (_Handler,), {"platform": self})
        self._server = _Server(("127.0.0.1", port), handler)
        self._scheme = "https" if tls else "http"
        if tls:
            self._server.socket = tls.wrap_socket(self._server.socket, server_side=True)
        threading.Thread(target=self._server.serve_forever, args=(0.01,), daemon=True).start()

    def close(self) -> None:
        """Stop listening, if it does; `start` begins again, with what is recorded and planned."""
        if self._server:
            self._server.shutdown()
            self._server.server_close()
        self._server = None

    @property
    def address(self) -> str:
        """Its address, such as `http://localhost:40123`; it listens by then."""
        assert self._server, "the platform is not started"
        return f"{self._scheme}://localhost:{self._server.server_address[1]}"

    @property
    def environ(self) -> dict[str, str]:
        """The environment variables with which `algo` uses it."""
        return {"ALGORITHMIA_API": self.address, "ALGORITHMIA_API_KEY": KEY}

    def on(self, method: str, path: str, *answers: Answer) -> None:
        """Give these answers in turn to requests for a path, without its query; the last one stays.

        For example:

            platform.on("GET", "/v1/data/.my/reports", FakeResponse(404), listing)

        Raises:
            ValueError: for what no request has, such as a method in lower case or a path with a query, or no answer.
            TypeError: for an answer that is none.
        """
        _check_place(method, path)
        if not answers:
            raise ValueError("there is no answer; make it with FakeResponse")
        _check_answers(answers)
        with self._lock:
            self._answers[method, path] = list(answers)

    def serve(self, method: str, path: str, answer: Callable[[RecordedRequest], FakeResponse]) -> None:
        """Answer all requests for a path, without its query, by a function; several threads may call it at once.

        For example:

            platform.serve("POST", "/v1/algo/demo/Echo", lambda request: FakeResponse.json({"result": request.json}))

        Raises:
            ValueError: for what no request has, as `on` does.
        """
        _check_place(method, path)
        with self._lock:
            self._answers[method, path] = [_Served(answer)]

    def fail(self, fault: FakeResponse | Fault, *, method: str = _ANY, path: str = _ANY, times: float = 1) -> None:
        """Answer the next `times` requests (`math.inf`: all) with a fault: those of a method and a path, or any.

        `fault` is a `FakeResponse`, such as `too_many_requests()`, or a fault of `algo_core.testing.faults`, such as
        `truncated_body()`. Faults are for the requests in the order in which they were planned.

            platform.fail(refused_credential())

        Raises:
            ValueError: for what no request has, as `on` does, and for no times.
            TypeError: for a fault that is none.
        """
        _check_place(method, path)
        _check_answers([fault])
        if times <= 0:
            raise ValueError(f"times is at least 1, not {times}")
        with self._lock:
            self._planned.append(_Planned(fault, method, path, times))

    def accept(self, credential: str, account: str = "tester", *, seconds: float | None = None) -> None:
        """Accept a credential (`Bearer TOKEN`, or an API key), for a number of `seconds` if given.

        For example:

            platform.accept("Bearer ticket-1", seconds=3600)
        """
        shown = credential if " " in credential else f"Simple {credential}"
        self.accounts[shown] = account
        self._expiry.pop(shown, None)
        if seconds is not None:
            self._expiry[shown] = self._now() + seconds

    def limit(self, count: int, seconds: float) -> None:
        """Answer more than `count` requests within `seconds` with 429, and the seconds to wait in `Retry-After`.

        Raises:
            ValueError: unless both are above 0.
        """
        if count < 1 or seconds <= 0:
            raise ValueError(f"a limit has a count and seconds above 0, not {count} and {seconds}")
        self._limit = count, seconds

    def otherwise(self, request: RecordedRequest) -> FakeResponse:
        """The default answer to an unplanned request: the root listing, or 404. Subclasses may override it."""
        path = request.path.partition("?")[0]
        account = self.account_of(request)
        if path != "/v1/data/":
            return FakeResponse.error(f"nothing at {path}", 404)
        if account is None:
            return refused_credential()
        listing = {"folders": [{"name": account}, {"name": ".algo"}], "files": []}
        return FakeResponse.json(listing, headers={"X-Data-Type": "directory"})

    def account_of(self, request: RecordedRequest) -> str | None:
        """The account of a request's credential; None if it is unknown or has expired."""
        credential = request.credential or ""
        is_valid = self._now() < self._expiry.get(credential, math.inf)
        return self.accounts.get(credential) if is_valid else None

    def _answer(self, request: RecordedRequest) -> Answer:
        if self.checks_credentials and self.account_of(request) is None:
            return refused_credential()
        with self._lock:
            answers = self._answers.get((request.method, request.path.partition("?")[0]))
            answer = answers.pop(0) if answers and len(answers) > 1 else answers[0] if answers else None
        if answer is None:
            return self.otherwise(request)
        return answer.answer(request) if isinstance(answer, _Served) else answer

    def _respond(self, handler: BaseHTTPRequestHandler, request: RecordedRequest) -> None:
        """Record a request and write its response."""
        with self._lock:
            self.requests.append(request)
            fault = self._due(request) or self._over_limit()
        if isinstance(fault, FakeResponse):
            fault.send(handler)
            return
        answer = self._answer(request)
        if not isinstance(answer, FakeResponse):
            answer(handler)
        elif fault:
            fault(handler, answer)
        else:
            answer.send(handler)

    def _due(self, request: RecordedRequest) -> FakeResponse | Fault | None:
        path = request.path.partition("?")[0]
        for planned in self._planned:
            if planned.concerns(request.method, path):
                planned.left -= 1
                return planned.fault
        return None

    def _over_limit(self) -> FakeResponse | None:
        if self._limit is None:
            return None
        count, seconds = self._limit
        now = self._now()
        self._counted = [moment for moment in self._counted if moment > now - seconds]
        if len(self._counted) < count:
            self._counted.append(now)
            return None
        return too_many_requests(retry_after=math.ceil(self._counted[0] + seconds - now))


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, request: object, client_address: object) -> None:
        """Ignore closed connections; report any other error, which is a fault of the test."""
        if not isinstance(sys.exc_info()[1], OSError):
            super().handle_error(request, client_address)  # type: ignore[arg-type]  # as they came


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    platform: FakePlatform

    def answer(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        headers = dict(self.headers)
        self.platform._respond(self, RecordedRequest(self.command, self.path, headers, body, self.client_address))

    do_GET = do_POST = do_PUT = do_DELETE = do_HEAD = do_PATCH = answer

    def log_message(self, format: str, *args: object) -> None:
        """Discard log lines: pytest shows the output of failed tests."""


def _check_place(method: str, path: str) -> None:
    """Raise ValueError for what no request has: what is said about it would never be used."""
    if method != _ANY and not (method.isalpha() and method.isupper()):
        raise ValueError(f"no request has the method {method!r}: write it in upper case, such as GET")
    if path != _ANY and (not path.startswith(("/", "http://")) or "?" in path):  # proxies get whole addresses
        raise ValueError(f"no request has the path {path!r}: it begins with a slash, and is told without its query")


def _check_answers(answers: Iterable[object]) -> None:
    for answer in answers:
        if not callable(answer) and not isinstance(answer, FakeResponse):
            raise TypeError(f"{answer!r:.60} is no answer: make it with FakeResponse")
