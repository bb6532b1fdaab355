"""Hidden files that take their names when they are whole: never written by two at once."""

from __future__ import annotations

import errno
import fcntl
import os
from collections.abc import Callable

import pytest

from algo_core import locks
from algo_data.local.partial_file import LocalPartialFile, open_partial_file


def finish(made: LocalPartialFile, content: bytes) -> None:
    os.write(made.descriptor, content)
    made.commit()


def test_two_at_once_have_files_of_their_own(work):
    path = str(work / "f")
    first, second = open_partial_file(path), open_partial_file(path)
    os.write(first.descriptor, b"first")
    finish(second, b"second")
    assert (work / "f").read_bytes() == b"second"
    first.commit()
    assert (work / "f").read_bytes() == b"first"
    assert os.listdir(work) == ["f"]


@pytest.fixture
def between(monkeypatch):
    """Has something happen between the moment in which the first one is made and that in which it is locked."""
    real = os.open

    def do(action: Callable[[str], None]) -> None:
        waiting = [action]

        def opened(path, flags, *rest, **options):
            descriptor = real(path, flags, *rest, **options)
            if flags & os.O_EXCL and waiting:
                waiting.pop()(path)
            return descriptor

        monkeypatch.setattr(os, "open", opened)

    return do


def test_one_that_is_taken_over_before_it_is_locked_is_left_to_the_other(work, between):
    others: list[int] = []

    def take_over(path: str) -> None:
        others.append(os.open(path, os.O_RDWR))
        fcntl.flock(others[0], fcntl.LOCK_EX)

    between(take_over)
    finish(open_partial_file(str(work / "f")), b"mine")
    os.write(others[0], b"of the other")
    os.close(others[0])
    assert (work / "f").read_bytes() == b"mine"


def test_one_that_is_removed_before_it_is_locked_is_made_again(work, between):
    removed: list[str] = []

    def remove(path: str) -> None:
        removed.append(path)
        os.unlink(path)

    between(remove)
    finish(open_partial_file(str(work / "f")), b"mine")
    assert removed
    assert (work / "f").read_bytes() == b"mine"


def test_a_file_system_without_locks_is_written_to(work, monkeypatch):
    def flock(descriptor: int, operation: int) -> None:
        raise OSError(errno.ENOLCK, os.strerror(errno.ENOLCK))

    monkeypatch.setattr(locks.fcntl, "flock", flock)
    first, second = open_partial_file(str(work / "f")), open_partial_file(str(work / "f"))
    finish(first, b"first")
    finish(second, b"second")
    assert (work / "f").read_bytes() == b"second"
    assert os.listdir(work) == ["f"]


@pytest.mark.parametrize("length", [237, 243, 244, 255])
def test_long_names_have_room_for_a_second_file(work, length):
    path = str(work / ("n" * length))
    first, second = open_partial_file(path), open_partial_file(path)
    finish(first, b"first")
    finish(second, b"second")
    assert os.listdir(work) == ["n" * length]
