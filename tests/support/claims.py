"""Clients of a platform whose parts are killed: they keep what was acknowledged to them, and hold it to that."""

from __future__ import annotations

import contextlib
import http.client
import json
import threading
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from support.wire import PATIENCE

PAUSE_SECONDS = 0.05
"""Before a request is repeated that was not acknowledged."""

UNAVAILABLE = {409, 429, 500, 502, 503, 504, 507}
"""Answers that acknowledge nothing: the same request is sent again. 500 only if it says that the call was lost."""

TICKET = """
import uuid

def apply(input):
    with open(input["log"], "a") as log:
        log.write(input["key"] + "\\n")
    return uuid.uuid4().hex
"""
"""An algorithm whose answers are never equal, and which counts how often it was executed."""


@dataclass
class Broken(Exception):
    """A promise was broken."""

    what: str


@dataclass
class Answer:
    """An acknowledged call."""

    request: str
    result: Any
    repeated: str = ""
    """The lost call that this one repeats, which may have been executed as well."""


@dataclass
class Ledger:
    """What was acknowledged."""

    objects: dict[str, tuple[bytes, bytes]] = field(default_factory=dict)
    """Path, its last acknowledged content, and what was sent since, if that was not acknowledged."""
    answers: dict[str, Answer] = field(default_factory=dict)
    """By idempotency key."""
    accepted: list[str] = field(default_factory=list)
    """Calls without a response that were accepted, by id."""

    count: int = 0
    """How much was acknowledged so far."""
    moment: threading.Event = field(default_factory=threading.Event)
    """Set when something is acknowledged: what is killed then must not take that with it."""

    def acknowledged(self) -> None:
        """Count one more."""
        self.count += 1
        self.moment.set()


class Client:
    """One connection, made anew when it breaks, to one of several addresses."""

    def __init__(self, addresses: Sequence[str], key: str, number: int = 0, patience: float = PATIENCE) -> None:
        self._patience = patience
        self._addresses = addresses
        self._key = key
        self._number = number
        self._connection: http.client.HTTPConnection | None = None

    def __call__(
        self, method: str, path: str, body: bytes = b"", **fields: str
    ) -> tuple[http.client.HTTPResponse, bytes]:
        """The answer to a request, which is repeated until there is one that acknowledges something.

        Raises:
            Broken: if none comes in the seconds of its patience.
        """
        ends = time.monotonic() + self._patience
        said = ""
        while time.monotonic() < ends:
            with contextlib.suppress(OSError, http.client.HTTPException):
                response, data = self._once(method, path, body, fields)
                if response.status not in UNAVAILABLE:
                    return response, data
                said = f"{response.status} {data[:300]!r}"
            time.sleep(PAUSE_SECONDS)
        raise Broken(f"no answer to {method} {path} for {self._patience} seconds: {said or 'no connection'}")

    def _once(
        self, method: str, path: str, body: bytes, fields: dict[str, str]
    ) -> tuple[http.client.HTTPResponse, bytes]:
        headers = {"Authorization": f"Simple {self._key}", "Content-Type": "application/octet-stream"}
        headers.update({name.replace("_", "-"): value for name, value in fields.items()})
        if self._connection is None:
            parts = urlsplit(self._addresses[self._number % len(self._addresses)])
            self._connection = http.client.HTTPConnection(parts.hostname or "", parts.port, timeout=self._patience)
        try:
            self._connection.request(method, f"/v1/{path}", body or None, headers)
            response = self._connection.getresponse()
            return response, response.read()
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        """End the connection; the next one goes to another address."""
        if self._connection:
            self._connection.close()
        self._connection = None
        self._number += 1


class Crowd:
    """Many clients at once, each with objects and calls of its own."""

    def __init__(
        self,
        addresses: Sequence[str],
        key: str,
        log: Path,
        count: int,
        patience: float = PATIENCE,
        pause: float = 0.0,
    ) -> None:
        """Each client waits `pause` seconds before it goes on with the next thing."""
        self.patience = patience
        """Seconds in which each request is acknowledged, at the latest."""
        self._pause = pause
        self.ledger = Ledger()
        self.problems: list[str] = []
        self._log = log
        self._make = lambda number: Client(addresses, key, number, patience)
        self._over = threading.Event()
        self._lock = threading.Lock()
        self._threads = [threading.Thread(target=self._work, args=(number,), daemon=True) for number in range(count)]

    @contextlib.contextmanager
    def working(self) -> Iterator[None]:
        """Have them work during the block; afterwards each ends what it has begun."""
        client = self._make(0)
        _expect(client("POST", "data/.my", b'{"name": "claims"}', Content_Type="application/json"))
        client.close()
        for thread in self._threads:
            thread.start()
        try:
            yield
        finally:
            self._over.set()
            for thread in self._threads:
                thread.join(2 * self.patience)
            assert not any(thread.is_alive() for thread in self._threads)

    def _work(self, number: int) -> None:
        client = self._make(number)
        turn = 0
        try:
            while not self._over.is_set():
                (self._store, self._call, self._call_void)[turn % 3](client, number, turn)
                turn += 1
                self._over.wait(self._pause)
        except Broken as broken:
            self.problems.append(broken.what)
        except Exception as error:
            self.problems.append(f"{type(error).__name__}: {error}")
        finally:
            client.close()

    def _store(self, client: Client, number: int, turn: int) -> None:
        """Write an object, and read it back."""
        path, new = f"data/.my/claims/{number}", f"{number} {turn} ".encode() * 200
        with self._lock:
            old, _ = self.ledger.objects.get(path, (b"", b""))
            if old:
                self.ledger.objects[path] = (old, new)
        _expect(client("PUT", path, new))
        with self._lock:
            self.ledger.objects[path] = (new, new)
            self.ledger.acknowledged()
        _, data = _expect(client("GET", path))
        if data != new:
            raise Broken(f"{path} reads {data[:40]!r} after {new[:40]!r} was acknowledged")

    def _call(self, client: Client, number: int, turn: int) -> None:
        """Make a call with a key, and then once more: the answer is the same, and on record."""
        key = f"claim-{number}-{turn}"
        answer = self.call(client, key)
        with self._lock:
            self.ledger.answers[key] = answer
            self.ledger.acknowledged()
        self.check_answer(client, key, answer)

    def call(self, client: Client, key: str) -> Answer:
        """The answer of the call with a key, which is made again for as long as it is lost."""
        body = json.dumps({"log": str(self._log), "key": key}).encode()
        fields = {"Content_Type": "application/json", "Idempotency_Key": key}
        ends = time.monotonic() + self.patience
        while True:
            response, data = _expect(client("POST", "algo/jane/Ticket", body, **fields))
            found = json.loads(data)
            if "error" not in found:
                return Answer(found["request_id"], found["result"], response.headers.get("Idempotency-Repeated", ""))
            _, data = _expect(client("GET", f"requests/{found['request_id']}"))
            if json.loads(data)["state"] != "lost" or time.monotonic() > ends:
                raise Broken(f"{key}: {found['error']}, {data!r}")
            time.sleep(PAUSE_SECONDS)

    def check_answer(self, client: Client, key: str, answer: Answer) -> None:
        """Raise Broken unless a call that was acknowledged has the same answer again, and is on record."""
        again = self.call(client, key)
        if (again.request, again.result) != (answer.request, answer.result):
            raise Broken(f"{key} was answered with {answer}, and now with {again}")
        self._check_record(client, answer.request, {"done"})

    def _call_void(self, client: Client, number: int, turn: int) -> None:
        """Make a call without a response."""
        body = json.dumps({"log": str(self._log), "key": f"void-{number}-{turn}"}).encode()
        fields = {"Content_Type": "application/json"}
        _, data = _expect(client("POST", "algo/jane/Ticket?output=void", body, **fields))
        with self._lock:
            self.ledger.accepted.append(json.loads(data)["request_id"])
            self.ledger.acknowledged()

    def _check_record(self, client: Client, request: str, states: set[str]) -> None:
        _, data = _expect(client("GET", f"requests/{request}/result?wait=30"))
        _response, data = _expect(client("GET", f"requests/{request}"))
        state = json.loads(data)["state"]
        if state not in states:
            raise Broken(f"{request} is {state} on record")

    def check(self) -> None:
        """Everything that was acknowledged is there, when nothing is killed any more."""
        assert self.problems == [], self.problems[:3]
        client = self._make(0)
        for path, allowed in self.ledger.objects.items():
            _, data = _expect(client("GET", path))
            assert data in allowed, f"{path} reads {data[:40]!r} after {allowed[0][:40]!r} was acknowledged"
        for key, answer in self.ledger.answers.items():
            self.check_answer(client, key, answer)
        for request in self.ledger.accepted:
            self._check_record(client, request, {"done", "lost"})
        listed, marker = set(), ""
        while marker is not None:
            _, data = _expect(client("GET", f"requests?limit=1000{f'&marker={marker}' if marker else ''}"))
            page = json.loads(data)
            listed |= {each["request_id"] for each in page["results"]}
            marker = page["marker"]
        claimed = {answer.request for answer in self.ledger.answers.values()} | set(self.ledger.accepted)
        assert claimed <= listed, sorted(claimed - listed)[:3]
        executed = Counter(self._log.read_text().split())
        for key, answer in self.ledger.answers.items():
            times = executed[key]
            assert times == 1 or (times > 1 and answer.repeated), (
                f"{key} was executed {times} times, and nobody says so"
            )
        client.close()


def _expect(found: tuple[http.client.HTTPResponse, bytes]) -> tuple[http.client.HTTPResponse, bytes]:
    response, data = found
    if response.status not in {200, 201, 202}:
        raise Broken(f"{response.status} {data[:300]!r}")
    return found
