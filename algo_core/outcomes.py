"""The results of `App.run_algorithm` and `App.copy`."""

from __future__ import annotations

from typing import Any, NamedTuple

from algo_core.errors import AlgoError


class AlgorithmResult(NamedTuple):
    """The result of a call (API section 3.5).

    `kind` is `text`, `json` or `binary`, and `value` a text, what the JSON says, or bytes. `alerts` are warnings of the
    platform; `stdout` is what the algorithm printed, where that was asked for and may be shown. `seconds` is how long
    it ran, None where the platform does not say; `request_id` is its id on platforms that keep calls on record.
    """

    kind: str
    value: Any
    alerts: tuple[str, ...] = ()
    stdout: str | None = None
    seconds: float | None = None
    request_id: str | None = None


class CopyFailure(NamedTuple):
    """A file or directory that could not be copied: its URI or path, and the error."""

    path: str
    error: AlgoError


class CopySummary(NamedTuple):
    """What a copy did: numbers of files, and the bytes and seconds of all together.

    `skipped` counts files that were left as they are, because of `include`, `exclude` or `replace`.
    """

    copied: int
    skipped: int
    bytes: int
    seconds: float
    failures: tuple[CopyFailure, ...] = ()


class CopyFailed(AlgoError):
    """Some of the files could not be copied, and the others were: `summary` has both.

    Its exit code is that of the first failure.
    """

    def __init__(self, message: str, hint: str | None, summary: CopySummary) -> None:
        super().__init__(message, hint)
        self.summary = summary
        self.exit_code = summary.failures[0].error.exit_code

    def json_members(self) -> dict[str, Any]:
        """The numbers of files that were copied and that were not, and the paths of the latter."""
        paths = [failure.path for failure in self.summary.failures]
        return {"copied": self.summary.copied, "failed": len(paths), "paths": paths}
