"""Time, processor time and memory of whole processes that run in turn."""

from __future__ import annotations

import mmap
import os
import subprocess
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median

RCLONE = "rclone"
OLDER = "older algo"
INTERVAL = 0.01
"""Seconds between two looks at a process."""

ROOM = 256 << 20
"""Bytes of memory that a process may want for itself, at the least."""

MOST_ROOM = 2560 << 20
"""The same at the most: the older command line keeps a whole file twice."""

BEST_RCLONE = "best rclone"
"""In the place of a side to compare with: whichever setting of rclone is the fastest."""


@dataclass(frozen=True)
class Side:
    """A command, and the environment that it runs in."""

    command: Sequence[str]
    environ: Mapping[str, str]


@dataclass(frozen=True)
class Spent:
    """What a process and its children took: seconds on the clock and of the processors, and at most so many bytes."""

    seconds: float
    cpu: float
    memory: int
    first: float
    """Seconds until it said the first thing."""


@dataclass(frozen=True)
class Figures:
    """What came out of one block."""

    title: str
    base: str
    sides: Mapping[str, Sequence[Spent]]

    def reference(self) -> str:
        """The side that the others are compared with."""
        if self.base != BEST_RCLONE:
            return self.base
        return min((name for name in self.sides if name.startswith(RCLONE)), key=self.seconds)

    def seconds(self, name: str) -> float:
        """The median time of a side."""
        return median(spent.seconds for spent in self.sides[name])

    def ratio(self, name: str, base: str | None = None) -> float:
        """The median of one side's times over another's, round by round."""
        others = self.sides[base or self.reference()]
        return median(a.seconds / b.seconds for a, b in zip(self.sides[name], others, strict=True))

    def row(self, name: str) -> tuple[str, str, str, str, str]:
        """Name, ratio, seconds, seconds of the processors, memory in MiB."""
        spent = self.sides[name]
        return (
            name,
            f"{self.ratio(name):.2f}",
            f"{self.seconds(name):.3f}",
            f"{median(s.cpu for s in spent):.3f}",
            f"{median(s.memory for s in spent) / (1 << 20):.0f}",
        )

    def text(self) -> str:
        """A table for the terminal."""
        headers = ("", f"x {self.reference()}", "seconds", "cpu", "MiB")
        lines = [headers, *(self.row(name) for name in self.sides)]
        first = median(spent.first for spent in next(iter(self.sides.values())))
        return "\n".join(
            [
                f"\n{self.title}" + (f" (first line after {first:.3f} s)" if "listing" in self.title else ""),
                *(f"  {line[0]:<28}{line[1]:>32}{line[2]:>10}{line[3]:>10}{line[4]:>7}" for line in lines),
            ]
        )


Made = tuple[int, int]
"""How many files a side has made, and how many bytes they hold."""


def measured(
    title: str,
    base: str,
    sides: Mapping[str, Side],
    rounds: int,
    clear: Callable[[], None],
    made: Callable[[], Made],
) -> Figures:
    """Run all sides in turn, `rounds` times after one round that is not counted.

    Before each of them comes `clear`, and the memory that it is going to fill is touched.

    Raises:
        RuntimeError: if a side fails, or has made something else than the first one.
    """
    taken: dict[str, list[Spent]] = {name: [] for name in sides}
    expected: Made | None = None
    for number in range(rounds + 1):
        for name, side in sides.items():
            clear()
            touch_memory(expected[1] if expected else 0)
            spent = spend(side)
            expected = expected or made()
            if made() != expected:
                raise RuntimeError(f"{title}: {name} has made {made()} files and bytes, and not {expected}")
            if number:
                taken[name].append(spent)
    clear()
    return Figures(title, base, taken)


def touch_memory(size: int) -> None:
    """Have the system get hold of memory for files of so many bytes, and for who writes them, and let go of it again.

    In a virtual machine the host gives memory when it is touched first, and takes it back when it lies idle. That can
    take several times as long as copying a file into it, and hits one side or the other by chance.
    """
    if populate := getattr(mmap, "MAP_POPULATE", 0):
        wanted = size + max(ROOM, min(2 * size, MOST_ROOM))
        mmap.mmap(-1, wanted, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS | populate).close()


def spend(side: Side) -> Spent:
    """Run a command to its end.

    Raises:
        RuntimeError: if it fails.
    """
    started = time.perf_counter()
    first: float | None = None
    with (
        subprocess.Popen(
            side.command,
            env=dict(side.environ),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
        ) as process,
        _Memory(process.pid) as memory,
    ):
        assert process.stdout
        said = b""
        while part := os.read(process.stdout.fileno(), 1 << 20):
            first = first or time.perf_counter() - started
            said = (said + part)[-2000:]
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
    seconds = time.perf_counter() - started
    if process.returncode:
        words = " ".join(side.command)[:300]
        raise RuntimeError(f"{words} failed with {process.returncode}: {said.decode('utf-8', 'replace')}")
    return Spent(seconds, usage.ru_utime + usage.ru_stime, memory.most, first or seconds)


class _Memory:
    """Looks at how much memory a process has had at most, until it ends, and what its children have beside it.

    What the system says at its end counts what its parent had when it was started. Of a child counts what it does not
    share.
    """

    def __init__(self, pid: int) -> None:
        self.most = 0
        self._process = Path(f"/proc/{pid}")
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._watch)

    def __enter__(self) -> _Memory:
        self._thread.start()
        return self

    def __exit__(self, *exception: object) -> None:
        self._over.set()
        self._thread.join()

    def _watch(self) -> None:
        own = beside = 0
        while not self._over.wait(INTERVAL):
            try:
                own = max(own, _kibibytes(self._process / "status", "VmHWM:"))
                children = (self._process / "task" / self._process.name / "children").read_text().split()
                private = ("Private_Clean:", "Private_Dirty:")
                now = sum(_kibibytes(Path(f"/proc/{child}/smaps_rollup"), *private) for child in children)
            except OSError:
                continue  # one of them has ended
            beside = max(beside, now)
            self.most = (own + beside) * 1024


def _kibibytes(path: Path, *names: str) -> int:
    lines = (line.split() for line in path.read_text().splitlines())
    return sum(int(words[1]) for words in lines if words and words[0] in names)
