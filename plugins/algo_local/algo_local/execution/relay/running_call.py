"""A call of a front end that waits for the engine, or runs there."""

from __future__ import annotations

from algo_local.callers import CallContext
from algo_local.execution.payload import Failure
from algo_local.execution.relay.marks import MarksOfFrontEnd
from algo_local.execution.relay.wire import Channel


class RunningCall:
    """A call of this process."""

    def __init__(self, context: CallContext, marks: MarksOfFrontEnd | None) -> None:
        self.context = context
        self._marks = marks
        self.mark = marks.take() if marks else None
        self.was_told = False
        """Whether the engine has reported its start."""
        self.ends: Failure | None = None
        """The failure to end with, if this process has decided so."""
        self.channel: Channel | None = None

    @property
    def is_started(self) -> bool:
        """Whether a worker may have taken the call."""
        return self.was_told or (self._marks is not None and self.mark is not None and self._marks.is_set(self.mark))

    def give_back(self) -> None:
        """Free the mark of an ended call."""
        if self._marks is not None and self.mark is not None:
            self._marks.give_back(self.mark)
            self._marks = None
