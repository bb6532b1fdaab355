"""MD5s in memory are those of the content that is served."""

from __future__ import annotations

import hashlib
import time

import pytest

from algo_local.data import digests
from algo_local.data.digests import REMEMBERED, SETTLED_SECONDS, Digests
from algo_local.data.objects import FileInfo


def test_a_file_is_hashed_once_but_not_before_its_identity_is_certain(monkeypatch: pytest.MonkeyPatch) -> None:
    known, hashed, now = Digests(), [], time.time()
    monkeypatch.setattr(digests, "md5", lambda data=b"": hashed.append(data) or hashlib.md5(data))  # type: ignore[func-returns-value]

    def asked(content: bytes, *, path: str = "a", age: float = 2 * SETTLED_SECONDS, identity: str = "1") -> bool:
        """Whether the file is hashed to know its MD5."""
        before = len(hashed)
        info = FileInfo("a", len(content), now - age, identity)
        assert known.of(path, info, content) == hashlib.md5(content).hexdigest()
        return len(hashed) > before

    # Written a moment ago, or in the future: the next version may look the same.
    for age in (0.0, SETTLED_SECONDS / 2, -10.0):
        assert [asked(content, age=age) for content in (b"1", b"2", b"2")] == [True, True, True]
    assert [asked(b"3") for _ in range(3)] == [True, False, False]
    assert [asked(b"4", identity="2"), asked(b"4", identity="2")] == [True, False]
    assert [asked(b"5", path="b"), asked(b"5", path="b"), asked(b"4", identity="2")] == [True, False, False]
    for number in range(2 * REMEMBERED):
        asked(b"", path=str(number))
    assert len(known._known) <= REMEMBERED
