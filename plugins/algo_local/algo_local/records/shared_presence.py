"""Shows which processes of several machines are alive: each regularly increments its row in the shared database."""

from __future__ import annotations

import contextlib
import threading
import weakref
from pathlib import Path
from typing import TYPE_CHECKING

from algo_core.errors import AlgoError
from algo_core.locks import is_held
from algo_local.records.presence import Presence

if TYPE_CHECKING:
    from algo_local.metadata.database import Database

BEAT_SECONDS = 5.0
"""Time between two signs of life."""

MISSED = 4
"""Looks in a row at which a process has given no sign since the one before; then it is taken for dead."""

_SIGN = "INSERT INTO front_ends VALUES (?, 1) ON CONFLICT (name) DO UPDATE SET beat = front_ends.beat + 1"


class SharedPresence(Presence):
    """The liveness of this process, also for other machines.

    Processes of the same directory notice a death at once, by the lock; others when the row has not changed for
    `MISSED` checks. Only successful checks count, and each increments the checking process's own row: neither differing
    clocks nor an unreachable database make a running process look dead. A process that gives no signs, such as a
    command, takes every process with a row to be alive.

    A process also increments the rows of ended processes of its directory whose locks are still held, since another
    process executes their calls.
    """

    def __init__(self, root: Path, database: Database) -> None:
        super().__init__(root)
        self._database = database
        self._seen: dict[str, tuple[int, int]] = {}
        """By the name of another process: its last number, and how many looks have found the same since."""
        self._ended = threading.Event()
        self._thread: threading.Thread | None = None

    def hold(self) -> None:
        """Show this process as alive; see `Presence.hold`. StorageUnavailable if the row cannot be written."""
        if self._thread is not None:
            return
        super().hold()
        with self._database.write(is_guarded=False) as rows:
            rows.execute(_SIGN, (self.name,))
        self._ended = threading.Event()
        arguments = (weakref.ref(self), self._ended)  # a weak reference: an abandoned platform must not look alive
        self._thread = threading.Thread(target=_give_signs, args=arguments, name="algo-presence", daemon=True)
        self._thread.start()

    def release(self) -> None:
        """Show this process as ended; may be repeated."""
        thread, self._thread = self._thread, None
        if thread is not None:
            self._ended.set()
            if thread is not threading.current_thread():
                thread.join(BEAT_SECONDS)  # an unreachable database must not delay the end
            self._forget(self.name)
        super().release()

    def is_alive(self, name: str) -> bool:
        """Whether the process of that name is running, as far as known here."""
        if name == self.name:
            return True
        is_near = self._path(name).exists()
        if super().is_alive(name):
            return True
        if is_near:
            self._forget(name)
            return False
        with self._database.read() as rows:
            return rows.execute("SELECT 1 FROM front_ends WHERE name = ?", (name,)).fetchone() is not None

    def are_elsewhere(self) -> bool:
        """Whether processes with other directories use the database."""
        with self._database.read() as rows:
            names = [row[0] for row in rows.execute("SELECT name FROM front_ends").fetchall()]
        return not all(self._path(name).exists() for name in names)

    def give_sign(self) -> None:
        """Increment the rows of this directory's processes, and delete rows of dead processes."""
        near = [path.stem for path in self._directory.glob("*.lock") if path.stem == self.name or is_held(path)]
        with self._database.write(is_guarded=False) as rows:
            rows.executemany(_SIGN, [(name,) for name in near])
            found = dict(rows.execute("SELECT name, beat FROM front_ends").fetchall())
            looks = {}
            for name in found.keys() - set(near):
                before, times = self._seen.get(name, (-1, 0))
                looks[name] = (found[name], times + 1 if found[name] == before else 0)
            dead = [name for name, (_, times) in looks.items() if times >= MISSED]
            rows.executemany("DELETE FROM front_ends WHERE name = ?", [(name,) for name in dead])
        self._seen = looks  # only after the commit

    def _forget(self, name: str) -> None:
        with contextlib.suppress(AlgoError), self._database.write(is_guarded=False) as rows:
            rows.execute("DELETE FROM front_ends WHERE name = ?", (name,))


def _give_signs(presence: weakref.ref[SharedPresence], ended: threading.Event) -> None:
    while not ended.wait(BEAT_SECONDS):
        found = presence()
        if found is None:
            return
        with contextlib.suppress(AlgoError, OSError):  # the database may be unreachable; the next turn tries again
            found.give_sign()
        del found
