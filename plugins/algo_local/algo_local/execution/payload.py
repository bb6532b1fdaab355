"""The values that pass between the platform's parts: what is run, with what, for whom, and what came of it.

They hold no behaviour and know neither HTTP, SQLite nor processes, so that the web layer, the metadata,
the builder and the executor can each be replaced without the others noticing.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from algo_core.errors import AlgoError

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
class Build:
    """A published source tree that can be started as a process."""

    commit: str
    """40 hexadecimal digits: the hash of the source tree's content, in the place of a git commit."""
    source: Path
    """The built source tree; never changed after it was built."""
    python: Path
    """The interpreter to run it with: that of its virtual environment, or ours if it requires nothing."""
    module: str
    """Dotted name of the module with `apply`, for example `src.Hello`."""
    log: str
    """What the build had to say."""


class BuildError(AlgoError):
    """A directory cannot be built into something that runs; `log` is what the build had said until then."""

    def __init__(self, message: str, hint: str | None = None, log: str = "") -> None:
        super().__init__(message, hint)
        self.log = log


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
