"""The file of results: what it does not take, and what cannot be written to it."""

from __future__ import annotations

import errno
import json
import os
from pathlib import Path
from typing import Any

import pytest

from algo_core.errors import AlgoError, UsageError
from algo_run.batch.journal import Journal, closing

DIGEST = "0123456789abcdef"


def opened(path: Path, *, resume: bool = False) -> Journal:
    return Journal(str(path), "demo/Echo/1.0.0", "each in.jsonl", resume=resume)


def row(index: Any) -> dict[str, Any]:
    return {"index": index, "name": f"in.jsonl:{index}", "input": DIGEST, "result": index, "metadata": {}}


@pytest.fixture(params=["out.jsonl", "out.csv"])
def path(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    """A journal of five rows."""
    with closing(opened(tmp_path / request.param)) as journal:
        journal.record([row(number) for number in range(5)])
    return tmp_path / str(request.param)


@pytest.mark.parametrize(
    "damage",
    [
        lambda line: line[:10] + b"\n",
        lambda line: b"\0" * 50 + b"\n",
        lambda line: b"\n",
        lambda line: b"{}\n",
        lambda line: b"[1]\n",
        lambda line: line.replace(b"4", b"-4", 1),
        lambda line: line.replace(b"4", b"1e2", 1),
        lambda line: line.replace(b"4", b"true", 1),
        lambda line: line.replace(b"4", b"3", 1),
        lambda line: line.replace(DIGEST.encode(), b"nothing"),
    ],
)
def test_a_line_that_is_no_result_of_its_own_is_named_and_nothing_is_changed(path: Path, damage: Any) -> None:
    *lines, last = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(b"".join([*lines, damage(last)]))
    before = path.read_bytes()
    with pytest.raises(UsageError, match=f"Line {len(lines) + 1} of .*(is damaged|second result)") as caught:
        opened(path, resume=True)
    assert f"sed -i {len(lines) + 1}d" in str(caught.value.hint)
    assert path.read_bytes() == before


@pytest.mark.parametrize("rest", [b"", b'{"index"', b"\0" * 4096])
def test_a_line_that_was_not_finished_is_cut_off(path: Path, rest: bytes) -> None:
    whole = path.read_bytes()
    path.write_bytes(whole + rest)
    with closing(opened(path, resume=True)) as journal:
        assert len(journal.done) == 5
    assert path.read_bytes() == whole


def test_what_the_disk_has_no_room_for_is_told_with_the_name_of_the_file() -> None:
    with pytest.raises(AlgoError, match="Cannot write /dev/full: No space left") as caught:
        opened(Path("/dev/full"))
    assert "--resume" in str(caught.value.hint)


@pytest.mark.parametrize("number", [errno.EIO, errno.ENOSPC, errno.EDQUOT, errno.EINVAL])
def test_results_that_did_not_reach_the_disk_are_no_success(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    """Some file systems say so late; some cannot be asked."""
    journal = opened(tmp_path / "out.jsonl")
    journal.record([row(0)])

    def failing(descriptor: int) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(os, "fdatasync", failing)
    if number == errno.EINVAL:
        journal.close()
    else:
        with pytest.raises(AlgoError, match=r"Cannot write .*out\.jsonl"), closing(journal):
            pass
    assert json.loads((tmp_path / "out.jsonl").read_text().splitlines()[1])["result"] == 0


def test_of_results_written_together_all_that_fit_stay(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    journal = opened(tmp_path / "out.jsonl")
    file, room = journal._file, [200]

    class Small:
        def __getattr__(self, name: str) -> Any:
            return getattr(file, name)

        def write(self, content: bytes) -> int:
            part = content[: room[0]]
            if not part:
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            room[0] -= len(part)
            return int(file.write(part))

        def truncate(self, size: int) -> int:
            room[0] += os.fstat(file.fileno()).st_size - size
            return int(file.truncate(size))

    monkeypatch.setattr(journal, "_file", Small())
    with pytest.raises(AlgoError, match="No space left"):
        journal.record([row(number) for number in range(9)])
    journal.close()
    lines = (tmp_path / "out.jsonl").read_bytes().splitlines(keepends=True)[1:]
    assert [json.loads(line)["index"] for line in lines] == [0, 1]
    assert lines[-1].endswith(b"\n")
