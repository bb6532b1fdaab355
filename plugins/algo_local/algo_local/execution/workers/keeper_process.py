"""The keeper's process: holds loaded workers between commands, and ends when none is left.

It runs no code of algorithms. It holds the descriptors of workers, and hands a worker to the command that asks for its
key. A worker ends when no process holds its descriptors, so that none outlives both keeper and command.

Imports only the standard library and modules that do the same, so that it starts as fast as an interpreter.
"""

from __future__ import annotations

import contextlib
import os
import select
import signal
import socket
import sys
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any, NoReturn

from algo_local.execution.workers.handover import SOCKET, Message, is_own, receive, send
from algo_local.execution.workers.process_tree import kill_marked, resident_bytes
from algo_local.trees import remove_tree

MOST = 8
"""Workers that are kept."""

MEMORY_SHARE = 2
"""The share of the machine's memory that they may have together: one in two."""

LINGER_SECONDS = 2.0
"""Seconds without a worker after which it ends: the one that was taken may come back."""

CHECK_SECONDS = 1.0
"""Seconds between two looks at whether its directory is still there."""

STOP_GRACE, KILL_SECONDS = 3.0, 5.0
"""Seconds that a worker has to end by itself, and its supervisor to end what is left."""

_CHUNK = 1 << 18
_NEEDED = ("path", "key", "label", "build", "pid", "calls", "began", "family", "is_sandboxed")


class _Stopped(Exception):
    """A signal to end."""


class Kept:
    """A kept worker; `descriptors` in the order of `AlgorithmProcess.hand_over`."""

    def __init__(self, message: Message, processes: str, now: float) -> None:
        """KeyError, TypeError or ValueError if it is no worker with its files in the directory `processes`."""
        self.content: dict[str, Any] = message.content["give"]
        path, *_ = (self.content[name] for name in _NEEDED)
        if os.path.dirname(path) != processes:
            raise ValueError(path)
        self.descriptors = message.descriptors
        self.control, self.stdin, self.stdout, _, self.process, *_ = message.descriptors
        self.until = now + float(message.content["seconds"])
        self._is_asked = self._is_killed = False

    @property
    def memory(self) -> int:
        """Memory of its processes in bytes."""
        return sum(map(resident_bytes, self.content["family"]))

    def ask(self, now: float) -> None:
        """Close its input, which asks it to end."""
        if not self._is_asked:
            self._is_asked = True
            self.until = now + STOP_GRACE
            os.close(self.stdin)
            self.descriptors.remove(self.stdin)

    def end(self, now: float) -> None:
        """Kill it: the first call ends its supervisor, a later one its process."""
        self.until = now + KILL_SECONDS
        if not self._is_killed:
            self._is_killed = True
            with contextlib.suppress(OSError), socket.socket(fileno=os.dup(self.control)) as control:
                control.shutdown(socket.SHUT_RDWR)
        else:
            with contextlib.suppress(OSError):
                signal.pidfd_send_signal(self.process, signal.SIGKILL)

    def clear(self) -> None:
        """Remove its files and descriptors once it has ended."""
        path = self.content["path"]
        if not self.content["is_sandboxed"]:
            kill_marked(f"HOME={path}/")
        with contextlib.suppress(OSError):
            remove_tree(Path(path))
        for descriptor in self.descriptors:
            os.close(descriptor)


class KeeperProcess:
    """Serves `listener`, the socket in `directory`."""

    def __init__(self, listener: socket.socket, directory: str) -> None:
        self._listener = listener
        self._path = os.path.join(directory, SOCKET)
        self._processes = os.path.join(os.path.dirname(directory), "processes")
        self._identity = self._look()
        self._began = self._idle_since = time.monotonic()
        self._is_open = True
        self._kept: list[Kept] = []
        self._ending: list[Kept] = []
        self._channels: dict[int, socket.socket] = {}
        self._poll = select.poll()
        self._handlers: dict[int, Callable[[], None]] = {}
        self._watch(listener.fileno(), self._accept)

    def run(self) -> None:
        """Serve until no worker is kept; on a signal, stop all workers."""
        try:
            while self._is_needed():
                self._turn()
        except _Stopped:
            self._close()
            self._end_all(at_once=True)
            while self._ending:
                self._turn()

    def _turn(self) -> None:
        now = time.monotonic()
        due = min([now + CHECK_SECONDS, *(one.until for one in (*self._kept, *self._ending))])
        ready = [descriptor for descriptor, _ in self._poll.poll(max(0.0, due - now) * 1000)]
        for descriptor, handler in [(descriptor, self._handlers[descriptor]) for descriptor in ready]:
            if self._handlers.get(descriptor) is handler:  # the descriptor may have been reused for another handler
                handler()
        now = time.monotonic()
        if self._is_open and self._look() != self._identity:
            self._close()
            self._end_all(at_once=True)
        for one in [one for one in self._kept if one.until <= now]:
            self._retire(one)
        for one in self._ending:
            if one.until <= now:
                one.end(now)

    def _is_needed(self) -> bool:
        now = time.monotonic()
        if self._kept or self._ending:
            self._idle_since = now
            return True
        if self._is_open and now - self._idle_since < LINGER_SECONDS:
            return True
        if self._is_open:
            self._close()
            self._accept()
            for channel in list(self._channels.values()):
                self._hear(channel)  # requests of the last moment; their workers are ended
        return bool(self._ending)

    def _look(self) -> tuple[int, int] | None:
        """The identity of the socket in the directory; None without one."""
        try:
            found = os.stat(self._path, follow_symlinks=False)
        except OSError:
            return None
        return found.st_dev, found.st_ino

    def _close(self) -> None:
        """Remove the socket."""
        if self._is_open:
            self._is_open = False
            if self._look() == self._identity:
                with contextlib.suppress(OSError):
                    os.unlink(self._path)

    def _watch(self, descriptor: int, handler: Callable[[], None]) -> None:
        self._handlers[descriptor] = handler
        self._poll.register(descriptor, select.POLLIN)

    def _forget(self, descriptor: int) -> None:
        if self._handlers.pop(descriptor, None):
            self._poll.unregister(descriptor)

    # Requests of commands

    def _accept(self) -> None:
        while True:
            try:
                channel, _ = self._listener.accept()
            except OSError:
                return
            if not is_own(channel):
                channel.close()
                continue
            channel.setblocking(False)
            self._channels[channel.fileno()] = channel
            self._watch(channel.fileno(), partial(self._hear, channel))

    def _hear(self, channel: socket.socket) -> None:
        try:
            message = receive(channel)
            if message and self._do(message, channel):
                return
        except BlockingIOError:
            return
        except (OSError, KeyError, TypeError, ValueError):
            pass  # the peer has gone, or is no command of this user
        self._forget(channel.fileno())
        del self._channels[channel.fileno()]
        channel.close()

    def _do(self, message: Message, channel: socket.socket) -> bool:
        """Carry out one request of a command; whether the connection stays open."""
        if "give" in message.content:
            self._keep(message)
            return True
        message.close()
        if "take" in message.content:
            self._hand_out(str(message.content["take"]), channel)
        elif "status" in message.content:
            send(channel, self._status())
        elif "drop" in message.content:
            label = message.content["drop"]
            for one in [one for one in self._kept if label in (None, one.content["label"])]:
                self._retire(one)
            send(channel, {})
        elif "stop" in message.content:
            self._close()
            self._end_all(at_once=False)
            return True  # the peer waits for the end of this process
        return False

    def _keep(self, message: Message) -> None:
        try:
            one = Kept(message, self._processes, time.monotonic())
        except (KeyError, TypeError, ValueError):
            message.close()
            raise
        self._kept.append(one)
        self._watch(one.process, partial(self._retire, one))
        if not self._is_open:
            self._retire(one)
        allowed = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") // MEMORY_SHARE
        while len(self._kept) > MOST or sum(kept.memory for kept in self._kept) > allowed:
            self._retire(self._kept[0])

    def _hand_out(self, key: str, channel: socket.socket) -> None:
        """Hand out the most recently used of the matching workers."""
        for one in reversed(self._kept):
            if one.content["key"] == key:
                self._kept.remove(one)
                self._forget(one.process)
                sent = send(channel, one.content, one.descriptors)
                assert sent, "it came in a message of the same size"
                for descriptor in one.descriptors:
                    os.close(descriptor)
                return
        send(channel, {})

    def _status(self) -> dict[str, Any]:
        now = time.monotonic()
        workers = [
            {
                "algorithm": one.content["label"],
                "build": one.content["build"],
                "process": one.content["pid"],
                "calls": one.content["calls"],
                "age": round(now - one.content["began"], 1),
                "left": round(max(0.0, one.until - now), 1),
                "memory": one.memory,
            }
            for one in self._kept
        ]
        return {"process": os.getpid(), "age": round(now - self._began, 1), "workers": workers}

    # Ending workers

    def _retire(self, one: Kept) -> None:
        """Stop a worker, and clean up when it has ended."""
        self._kept.remove(one)
        self._ending.append(one)
        self._forget(one.process)
        self._watch(one.process, partial(self._ended, one))
        self._watch(one.stdout, partial(self._drain, one))
        one.ask(time.monotonic())

    def _drain(self, one: Kept) -> None:
        """Discard a worker's output, so that it does not block on a full pipe."""
        with contextlib.suppress(BlockingIOError):
            if not os.read(one.stdout, _CHUNK):
                self._forget(one.stdout)

    def _ended(self, one: Kept) -> None:
        self._ending.remove(one)
        self._forget(one.process)
        self._forget(one.stdout)
        one.clear()

    def _end_all(self, *, at_once: bool) -> None:
        for one in list(self._kept):
            self._retire(one)
        if at_once:
            for one in self._ending:
                one.end(time.monotonic())


def _stop(number: int, frame: object) -> NoReturn:
    signal.signal(number, signal.SIG_IGN)
    raise _Stopped


def main() -> None:
    """Run on the socket whose descriptor is the first argument, in the directory that is the second one."""
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, _stop)
    listener = socket.socket(fileno=int(sys.argv[1]))
    listener.setblocking(False)
    KeeperProcess(listener, sys.argv[2]).run()
