"""Bursts of clients, well-behaved or not, leave no more behind than the platform keeps for the next one."""

from __future__ import annotations

import itertools
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
HEAP_ADDRESSES = 64 << 20
OF_A_THREAD = 3
"""A connection to the database, and what a request has open."""


def descriptors(served: Served) -> int:
    return len(os.listdir(f"/proc/{served.process.pid}/fd"))


def heaps_of_threads(served: Served) -> int:
    """How many heaps glibc has made for threads: each has 64 MiB of addresses of its own, of which few are in use."""
    mappings = [line.split() for line in Path(f"/proc/{served.process.pid}/maps").read_text().splitlines()]
    found = 0
    for used, free in itertools.pairwise(mappings):
        begin, middle = (int(each, 16) for each in used[0].split("-"))
        follows, end = (int(each, 16) for each in free[0].split("-"))
        is_whole = begin % HEAP_ADDRESSES == 0 and middle == follows and end == begin + HEAP_ADDRESSES
        found += is_whole and (used[1], free[1]) == ("rw-p", "---p")
    return found


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
    assert heaps_of_threads(served) <= 1, "what is free in the heap of a thread is of no use to others"
