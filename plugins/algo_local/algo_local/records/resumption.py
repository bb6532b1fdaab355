"""What is kept of an accepted call beside its row, so that another process can execute it: the next server does."""

from __future__ import annotations

import json
from typing import NamedTuple

IDEMPOTENT = '"idempotent":true'
"""In the text of those that may be executed once more although a worker had them."""

ONLY_ONCE = '"idempotent":false'


class Resumption(NamedTuple):
    """How a call was to be executed."""

    account: str
    """The account that the algorithm acts for."""
    depth: int
    seconds: float
    """The time that it may take."""
    keeps_insights: bool
    may_repeat: bool
    """Whether a later call with its idempotency key is executed if this one is lost while it runs."""
    idempotent: bool
    """Whether its algorithm says that calls may run twice."""

    @property
    def text(self) -> str:
        """Its form in a row."""
        return json.dumps(self._asdict(), separators=(",", ":"))

    @classmethod
    def of(cls, text: str) -> Resumption:
        """That of `text`."""
        return cls(**json.loads(text))
