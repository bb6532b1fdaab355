"""The input and the outcome of a call, as plain values that `web/`, `records/` and executors exchange.

The algorithm is an `algo_local.algorithms.build.Build`, the caller an `algo_local.callers.CallContext`.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any, Literal

ContentType = Literal["text", "json", "binary"]


@dataclass(frozen=True, slots=True)
class Payload:
    """An input or a result of an algorithm (API sections 3.4 and 8.4)."""

    content_type: ContentType
    data: Any
    """`str` for text, any JSON value for json, `bytes` for binary."""


@dataclass(frozen=True, slots=True)
class Failure:
    """The error object of a failed algorithm: strings only, as strict clients want them (API sections 2.1 E4, 2.5)."""

    message: str
    error_type: str = "AlgorithmError"
    stacktrace: str | None = None
    ended: Literal["", "cancelled", "lost"] = ""
    """How the call was ended from outside, if it was: by somebody who asked for that, or with the platform."""
    is_untouched: bool = field(default=False, compare=False)
    """Whether it is known that the algorithm has not had the input."""


SHUTTING_DOWN = Failure("The platform is shutting down", "SystemError", ended="lost")
"""The outcome of a call that was cut short by the platform's end."""

NOT_BEGUN = replace(SHUTTING_DOWN, is_untouched=True)
"""The same before the algorithm had the input."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """The outcome of an execution: exactly one of `result` and `failure` is set."""

    result: Payload | None
    failure: Failure | None
    duration: float
    """Seconds from handing the input to the algorithm until its answer; a cold start is not counted."""
    stdout: str
    """The algorithm's output during this call, including standard error, interleaved by line."""
