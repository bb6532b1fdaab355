"""Time that a test moves: waits for retries, the expiry of credentials and rate limits take no time.

For example:

    def test_a_busy_platform_is_asked_again(algo_home, algo_clock, algo_fake_platform):
        algo_fake_platform.fail(too_many_requests(retry_after=30))
        assert algo_home.run("ls").code == 0
        assert algo_clock.waits == [30.0]
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, MutableMapping
from pathlib import Path

from algo_core.testing.moved._algo_clock import FILE_VARIABLE, SLEPT, Offset, append, patch, seconds_of

FOLDER = Path(__file__).with_name("moved")
"""Where Python finds the module that replaces the clock of a process when it starts."""


class Clock:
    """A clock for the processes of a home, and for a test itself while it is in the block `with clock:`.

    There `time.time`, `time.monotonic` and `time.sleep` follow it: a sleep moves the time instead of waiting. Time goes
    on by itself as well. `datetime.now()`, timeouts of locks and sockets, and files' times are real.

    `file` keeps what was moved; it is made. The fixture `algo_clock` gives the clock of `algo_home`.
    """

    def __init__(self, file: Path) -> None:
        self._file = file
        self._offset = Offset(str(file))
        self._undo: Callable[[], None] | None = None
        self._real = time.time
        file.touch()

    def __enter__(self) -> Clock:
        self._undo = patch(str(self._file))
        return self

    def __exit__(self, *error: object) -> None:
        if self._undo:
            self._undo()
        self._undo = None

    def set_in(self, environ: MutableMapping[str, str]) -> None:
        """Have the processes that get this environment follow this clock.

        For example:

            clock.set_in(algo_home.environ)
        """
        older = [part for part in environ.get("PYTHONPATH", "").split(os.pathsep) if part and part != str(FOLDER)]
        environ["PYTHONPATH"] = os.pathsep.join([str(FOLDER), *older])
        environ[FILE_VARIABLE] = str(self._file)

    def advance(self, seconds: float) -> None:
        """Move the time, in all processes at once.

            algo_clock.advance(3600)  # the credential of an hour has expired

        Raises:
            ValueError: for less than nothing: time does not go back.
        """
        if seconds < 0:
            raise ValueError(f"Time cannot be moved by {seconds} seconds")
        append(str(self._file), repr(float(seconds)))

    def now(self) -> float:
        """The time, in seconds since 1970."""
        return self._real() + self._offset()

    @property
    def waits(self) -> list[float]:
        """The waits so far, in seconds each, of all processes, in their order.

        For example:

            assert sum(algo_clock.waits) >= 30
        """
        lines = self._file.read_text("ascii").splitlines()
        return [seconds_of(line) for line in lines if line.startswith(SLEPT)]
