"""What many small files cost: one request each, whatever else."""

from __future__ import annotations

import os
import uuid
from collections import Counter
from collections.abc import Iterator
from datetime import datetime, timezone
from pathlib import Path
from typing import Any
from unittest import mock

import pytest
from support.stores import Store

from algo_connectors.aws.s3fs_client import moment
from algo_core import main
from algo_core.http.direct import DirectTransport
from algo_core.http.response import Response
from algo_core.http.transport import Request
from algo_core.testing import Home

COUNT = 30


@pytest.fixture
def requests() -> Iterator[Counter[str]]:
    """Requests that are really sent to S3, by method, listings apart."""
    sent: Counter[str] = Counter()
    send = DirectTransport.send

    def counted(transport: DirectTransport, request: Request) -> Response:
        sent["LIST" if "list-type=2" in request.url else request.method] += 1
        return send(transport, request)

    with mock.patch.object(DirectTransport, "send", counted):
        yield sent


def test_small_files_take_one_request_each_way(
    algo_home: Home, s3: Store, requests: Counter[str], tmp_path: Path
) -> None:
    algo_home.write_config(s3.toml)
    up, down = tmp_path / "up", tmp_path / "down"
    up.mkdir()
    down.mkdir()
    for number in range(COUNT):
        (up / f"{number:02}").write_bytes(b"%d" % number * 2000)
    place = f"s3://bucket/requests-{uuid.uuid4().hex}"

    def copied(*arguments: str) -> Counter[str]:
        requests.clear()
        with mock.patch.dict(os.environ, algo_home.environ, clear=True):
            assert main.run(["cp", *arguments]) == 0
        return Counter(requests)

    # What stands at the destination is asked once: anything below it, or an object of that name.
    assert copied(*map(str, sorted(up.iterdir())), f"{place}/") == {"PUT": COUNT, "LIST": 1, "HEAD": 1}
    assert copied(f"{place}/*", f"{down}/") == {"GET": COUNT, "LIST": 1}
    for number in range(COUNT):
        assert (down / f"{number:02}").read_bytes() == b"%d" % number * 2000
    assert copied("-r", place, f"{down}/again") == {"GET": COUNT, "LIST": 2, "HEAD": 1}
    assert len(list((down / "again").iterdir())) == COUNT


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("2016-01-06T10:22:34.000Z", datetime(2016, 1, 6, 10, 22, 34, tzinfo=timezone.utc)),
        ("2016-01-06T10:22:34Z", datetime(2016, 1, 6, 10, 22, 34, tzinfo=timezone.utc)),
        ("2016-01-06T10:22:34.1234567Z", datetime(2016, 1, 6, 10, 22, 34, 123456, tzinfo=timezone.utc)),
        ("Wed, 06 Jan 2016 10:22:34 GMT", datetime(2016, 1, 6, 10, 22, 34, tzinfo=timezone.utc)),
        ("1452075754", datetime(2016, 1, 6, 10, 22, 34, tzinfo=timezone.utc)),
        (1452075754, datetime(2016, 1, 6, 10, 22, 34, tzinfo=timezone.utc)),
    ],
)
def test_times_are_read_in_every_form(text: Any, expected: datetime) -> None:
    assert moment(text) == expected


def test_what_is_no_time_is_refused() -> None:
    with pytest.raises(ValueError, match="sometime"):
        moment("sometime")
