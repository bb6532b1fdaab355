"""The fake platform of `algo_core.testing`, with the accounts of our tests and short names for its values."""

from __future__ import annotations

from typing import Any

from algo_core.testing import FakePlatform
from algo_core.testing import FakeResponse as Answer
from algo_core.testing import RecordedRequest as Seen

__all__ = ["KEY", "OTHER_KEY", "Answer", "Seen", "StubPlatform", "json_answer"]

KEY = "sim" + "k" * 25
OTHER_KEY = "sim" + "o" * 25


def json_answer(value: Any, status: int = 200, **headers: str) -> Answer:
    return Answer.json(value, status, headers)


class StubPlatform(FakePlatform):
    """A fake platform that knows `alice` and `bob`."""

    answer = Answer
    json_answer = staticmethod(json_answer)

    def __init__(self) -> None:
        super().__init__()
        self.accounts = {f"Simple {KEY}": "alice", f"Simple {OTHER_KEY}": "bob"}

    @property
    def seen(self) -> list[Seen]:
        """The requests so far."""
        return self.requests
