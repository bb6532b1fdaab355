"""The settings of an accepted call that the next server needs to execute it, kept as text in its row."""

from __future__ import annotations

import json
from typing import NamedTuple

IDEMPOTENT = '"idempotent":true'
"""In the text of those that may be executed once more although a worker had them."""

ONLY_ONCE = '"idempotent":false'


class Resumption(NamedTuple):
    """The settings of a call: how it is to be executed."""

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
        """The text in the row."""
        return json.dumps(self._asdict(), separators=(",", ":"))

    @classmethod
    def of(cls, text: str) -> Resumption:
        """The settings in a text of `text`."""
        return cls(**json.loads(text))
