"""The values that pass between the platform's parts: with what an algorithm is run, for whom, and what came of it.

They hold no behaviour and know neither HTTP, SQLite nor processes, so that the web layer, the metadata and the executor
can each be replaced without the others noticing. What is run is a `Build` of `algo_local.algorithms.build`.
"""

from __future__ import annotations

from dataclasses import dataclass
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


SHUTTING_DOWN = Failure("The platform is shutting down", "SystemError", ended="lost")
"""What a call comes to that the platform's end has cut short."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What one execution came to: exactly one of `result` and `failure` is set."""

    result: Payload | None
    failure: Failure | None
    duration: float
    """Seconds from handing the input to the algorithm until its answer; a cold start is not counted."""
    stdout: str
    """What the algorithm printed during this call, standard error included, interleaved by line."""


@dataclass(frozen=True, slots=True)
class CallContext:
    """Who a running algorithm acts for; opaque to the executor (API section 4.3)."""

    caller: str
    """Account that `data://.my` stands for."""
    algorithm: tuple[str, str]
    """Owner and name, that `data://.algo/temp` and `data://.algo/perm` stand for."""
    session: str
    """Identifier of the top-level request, which `data://.session` belongs to."""
    request_id: str
    depth: int = 0
    """How many algorithm calls lie above this one; 0 for a call made by a client."""
