"""Bursts of clients, well-behaved or not, leave no more behind than the platform keeps for the next one."""

from __future__ import annotations

import os
import re
import socket
import threading
from collections.abc import Callable
from pathlib import Path

import pytest
import requests
from support.sandbox import wait_until
from support.serving import Served, algo

BURSTS = 3
CLIENTS = 10
CONNECTIONS = 4
"""Of a client, one after the other."""
WORKERS = 3
OF_A_WORKER = 8
"""Descriptors, with some to spare."""
OF_A_THREAD = 3
"""A connection to the database, and what a request has open."""


def descriptors(served: Served) -> int:
    return len(os.listdir(f"/proc/{served.process.pid}/fd"))


def burst(served: Served, headers: dict[str, str], failures: list[str]) -> None:
    port = int(served.address.rpartition(":")[2])

    def client(number: int) -> None:
        with requests.Session() as session:
            session.headers.update(headers)
            path = f"{served.address}/v1/data/.my/c/f{number}"
            for size in (10, 1 << 20):
                answers = [session.put(path, data=b"x" * size), session.get(path), session.get(path + "missing")]
                answers.append(session.post(f"{served.address}/v1/algo/demo/Hello", json="x"))
                found = [answer.status_code for answer in answers]
                if found != [200, 200, 404, 200]:
                    failures.append(str(found))
        head = "".join(f"{name}: {value}\r\n" for name, value in {"Host": "x", **headers}.items())
        for method, sent in (("PUT", b"half"), ("GET", b""), ("POST", b"\0")):
            with socket.create_connection(("127.0.0.1", port)) as connection:  # and gone in the middle
                target = "/v1/data/.my/c/broken" if method == "PUT" else f"/v1/data/.my/c/f{number}"
                fields = head + ("Content-Length: 99999\r\n" if sent else "")
                connection.sendall(f"{method} {target} HTTP/1.1\r\n{fields}\r\n".encode() + sent)

    threads = [threading.Thread(target=client, args=(number,)) for number in range(CLIENTS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def test_bursts_leave_no_descriptors_and_threads_behind(
    root: Path, serve: Callable[..., Served], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ALGO_LOCAL_WORKERS", str(WORKERS))
    key = re.search(r"sim\w+", algo("local", "key", "new", "jane").stdout)
    assert key
    headers, failures = {"Authorization": f"Simple {key[0]}"}, list[str]()
    served = serve()
    before = descriptors(served), served.threads()
    requests.post(f"{served.address}/v1/data/.my", headers=headers, json={"name": "c"}).raise_for_status()
    for _ in range(BURSTS):
        burst(served, headers, failures)
    assert failures == []
    most = WORKERS * OF_A_WORKER + CLIENTS * OF_A_THREAD
    assert most < BURSTS * CLIENTS * CONNECTIONS, "one that is left by each connection would be seen"
    assert wait_until(lambda: descriptors(served) <= before[0] + most)
    assert wait_until(lambda: served.threads() <= before[1] + 3 * CLIENTS)
