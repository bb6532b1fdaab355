"""The events that observers receive (hook `algo_observe`): values without credentials and content."""

from __future__ import annotations

from typing import NamedTuple


class CommandStarted(NamedTuple):
    """A command begins: its name without its arguments, such as `local serve`; `time` is in seconds since 1970."""

    command: str
    time: float


class CommandEnded(NamedTuple):
    """A command has ended with this exit code, after `seconds`."""

    command: str
    exit_code: int
    seconds: float
    time: float


class RequestEnded(NamedTuple):
    """A request was answered, or failed.

    `url` has no query; `status` is None without a response. `sent` and `received` are the bytes of both bodies, None
    where that was not announced; `seconds` last until the head of the response, of a small file until its end.
    """

    method: str
    url: str
    status: int | None
    sent: int
    received: int | None
    seconds: float
    time: float


class TransferEnded(NamedTuple):
    """A file was copied or moved, or could not be: `error` says why.

    `source` and `target` are URIs or local paths, empty where none was found yet. `size` is in bytes; `checksum` is
    `md5:...` or of another algorithm, where the storage has told one.
    """

    source: str
    target: str
    size: int | None
    checksum: str | None
    error: str | None
    time: float


Event = CommandStarted | CommandEnded | RequestEnded | TransferEnded
