"""Every row of the matrix, on each way: the promise is kept, nothing is left beside, and the next run completes."""

from __future__ import annotations

import os
import re
from pathlib import Path

import pytest
from faults.matrix import DIRECT, DOWNLOADS, UPLOADS, Row
from faults.proxy import FaultProxy
from faults.scene import CONTENT, Collection, assert_untouched

from algo_core.errors import ExitCode
from algo_core.testing import Home, Result

SMALL_SHARE = 0.05
"""How much more than promised may travel: what was on its way when a connection broke."""

OLDER = b"older"


LARGE = CONTENT * 3
"""So much that it goes on even after the process was killed; fetched by other means than smaller ones."""


def on_each_way(rows: tuple[Row, ...]) -> pytest.MarkDecorator:
    cases = [pytest.param(row, way, id=f"{row.name}-{way}") for row in rows for way in row.ways]
    return pytest.mark.parametrize(("row", "way"), cases, indirect=["way"])


def large_as_well(rows: tuple[Row, ...]) -> pytest.MarkDecorator:
    cases = [pytest.param(row, way, CONTENT, id=f"{row.name}-{way}") for row in rows for way in row.ways]
    cases += [pytest.param(row, DIRECT, LARGE, id=f"{row.name}-large") for row in rows if row.is_in_body]
    return pytest.mark.parametrize(("row", "way", "content"), cases, indirect=["way"])


def assert_promised(row: Row, result: Result, tries: int, travelled: int, size: int) -> None:
    assert result.code == row.code, result.stderr
    assert "Traceback" not in result.stderr
    if row.code:
        assert result.stdout == b""
        assert re.search(row.says, result.stderr), result.stderr
    if row.tries is not None:
        assert tries == row.tries
    if row.share is not None:
        assert travelled <= (row.share + SMALL_SHARE) * size


@large_as_well(DOWNLOADS)
def test_a_download_keeps_what_is_promised(
    row: Row, content: bytes, algo: Home, proxy: FaultProxy, collection: Collection, older: Path
) -> None:
    remote = collection.put("f", content)
    proxy.fail("GET", f".my/{collection.name}/f", *row.faults)
    result = algo.run("cp", remote, older, environ=row.environ)
    gets = proxy.tries("GET", f"{collection.name}/f")
    assert_promised(row, result, len(gets), sum(get.sent for get in gets), len(content))
    if row.code:
        assert_untouched(older)
        proxy.heal()
        assert algo.run("cp", remote, older).code == ExitCode.OK
    assert older.read_bytes() == (content[::-1] if row.is_replaced else content)
    assert os.listdir(older.parent) == [older.name]


@on_each_way(UPLOADS)
def test_an_upload_keeps_what_is_promised(
    row: Row, algo: Home, proxy: FaultProxy, collection: Collection, work: Path
) -> None:
    content = CONTENT * 4 if "taken" in row.name or "refused" in row.name else CONTENT
    remote = collection.put("f", OLDER)
    (work / "f").write_bytes(content)
    proxy.fail("PUT", f".my/{collection.name}/f", *row.faults)
    result = algo.run("cp", work / "f", remote, environ=row.environ)
    puts = proxy.tries("PUT", f"{collection.name}/f")
    assert_promised(row, result, len(puts), sum(len(put.taken) for put in puts), len(content))
    if row.code:
        assert collection.names == ([] if row.is_removed else ["f"])
        assert row.is_removed or collection.get("f") == OLDER
        proxy.heal()
        assert algo.run("cp", work / "f", remote).code == ExitCode.OK
    assert collection.get("f") == content
    assert collection.names == ["f"]
