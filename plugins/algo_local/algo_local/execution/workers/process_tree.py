"""Information about processes from the system: parents, counts, memory.

Without /proc, all results are empty.
"""

from __future__ import annotations

import contextlib
import functools
import os
import signal
from pathlib import Path


@functools.cache
def _loadavg() -> int | None:
    """A descriptor of /proc/loadavg, kept open for the reads of every call."""
    try:
        return os.open("/proc/loadavg", os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return None


def newest_pid() -> bytes:
    """The most recent process or thread id on the machine: a cheap way to notice new processes."""
    file = _loadavg()
    return b"" if file is None else os.pread(file, 256, 0).rpartition(b" ")[2]


def children(pid: int) -> set[int]:
    """The children of a process, without zombies."""
    return {child for child in children_and_zombies(pid) if is_running(child)}


def children_and_zombies(pid: int) -> set[int]:
    """The children of a process, without the check which of them have ended."""
    found: set[int] = set()
    with contextlib.suppress(OSError):
        for thread in os.listdir(f"/proc/{pid}/task"):
            with contextlib.suppress(OSError), open(f"/proc/{pid}/task/{thread}/children", "rb", buffering=0) as file:
                found.update(map(int, file.read().split()))
    return found


def resident_bytes(pid: int) -> int:
    """The memory of a process in bytes; 0 if it has ended."""
    try:
        with open(f"/proc/{pid}/statm", "rb", buffering=0) as file:
            return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    except (OSError, IndexError, ValueError):
        return 0


def command_of(pid: int) -> bytes:
    """The command line of a process, with NUL between its arguments; empty if it has ended."""
    with contextlib.suppress(OSError):
        return Path("/proc", str(pid), "cmdline").read_bytes()
    return b""


def is_running(pid: int) -> bool:
    """Whether a process is running."""
    try:
        with open(f"/proc/{pid}/stat", "rb", buffering=0) as file:
            return file.read().rpartition(b")")[2].split()[0] not in (b"Z", b"X")
    except (OSError, IndexError):
        return False


def tasks_of(user: int) -> int:
    """The number of a user's processes and threads."""
    count = 0
    for name in _processes():
        with contextlib.suppress(OSError):
            if os.stat(f"/proc/{name}").st_uid == user:
                count += os.stat(f"/proc/{name}/task").st_nlink - 2
    return count


def kill_marked(mark: str) -> None:
    """Kill every process whose environment contains `mark`, a unique text."""
    for name in _processes():
        with contextlib.suppress(OSError):
            if os.fsencode(mark) in Path("/proc", name, "environ").read_bytes():
                os.kill(int(name), signal.SIGKILL)


def _processes() -> list[str]:
    try:
        return [name for name in os.listdir("/proc") if name.isdecimal()]
    except OSError:
        return []
