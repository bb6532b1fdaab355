"""Helper processes for small files, because one Python process uses one processor at a time.

They are forked before the first thread starts, which costs a few milliseconds. They only do what succeeds at once; the
rest is left to the main process, which retries and reports.
"""

from __future__ import annotations

import contextlib
import marshal
import os
import signal
import socket
import struct
import sys
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, NoReturn

from algo_core.storage.capabilities import ForkSafe, ObservedStorage, PipelinedStorage
from algo_core.storage.contract import Checksum, Entry, Kind, Storage
from algo_core.storage.uri import DataUri
from algo_data.engine.io.blocks import SMALL
from algo_data.engine.io.digest import check_content
from algo_data.engine.options import CopyOptions
from algo_data.engine.run.creating import creates
from algo_data.engine.run.moving import copies_within
from algo_data.engine.run.stored import confirm
from algo_data.engine.run.worker import copy_small, may_be_small
from algo_data.engine.transfer import Place, Transfer

WORTH_IT = 500
"""Minimum number of small files for helper processes."""

MOST_PROCESSES = 4

AT_ONCE = 8
"""Number of concurrent files per process."""

GRACE = 0.5
"""Seconds for a process to end by itself."""

_LENGTH = struct.Struct("!I")

_Task = tuple[int, str, int, str, "int | None"]
"""Numbers of the connectors and paths of source and destination, and the size that a listing has told."""


class CopyProcess:
    """A helper process for transfers between certain connectors. Used by one thread at a time."""

    def __init__(self, places: Iterable[Place], options: CopyOptions, at_once: int = AT_ONCE) -> None:
        self._connectors = list({id(place.storage): place for place in places}.values())
        self._numbers = {id(place.storage): number for number, place in enumerate(self._connectors)}
        ours, theirs = socket.socketpair()
        self._process = os.fork()
        if not self._process:
            _live(theirs, ours, self._connectors, options, at_once)
        theirs.close()
        self._socket = ours
        self.is_alive = True
        self.at_once = at_once
        """Number of concurrent files."""
        self.cpu = 0.0
        """Processor time used, in seconds."""

    def takes(self, transfer: Transfer) -> bool:
        """Whether it can do a transfer."""
        return _is_plain(transfer) and self._knows(transfer.source) and self._knows(transfer.target)

    def _knows(self, place: Place) -> bool:
        number = self._numbers.get(id(place.storage))
        return number is not None and place.uri.connector == self._connectors[number].uri.connector

    def copy(self, transfers: Sequence[Transfer]) -> list[Entry | None]:
        """Copy files; return the written entry of each, or None if it failed."""
        numbers = self._numbers
        tasks: list[_Task] = [
            (numbers[id(source.storage)], source.uri.path, numbers[id(target.storage)], target.uri.path, size)
            for source, target, size in ((each.source, each.target, _size(each)) for each in transfers)
        ]
        try:
            _send(self._socket, tasks)
            answer = _receive(self._socket)
        except OSError:
            answer = None
        if answer is None:
            self.is_alive = False
            return [None] * len(transfers)
        self.cpu, observed, *sizes = answer
        for place, happened in zip(self._connectors, observed, strict=True):
            if isinstance(place.storage, ObservedStorage) and happened:
                place.storage.pass_observed(happened)
        return [
            None if size is None else Entry(each.target.uri, Kind.FILE, size)
            for each, size in zip(transfers, sizes, strict=True)
        ]

    def ask_to_end(self) -> None:
        """Stop it without leaving partial files; wait with `end`."""
        self.is_alive = False
        try:
            os.kill(self._process, signal.SIGTERM)
        except ProcessLookupError:
            pass

    def end(self) -> None:
        """End it without leaving partial files."""
        self.ask_to_end()
        try:
            if not self._has_ended(GRACE):
                os.kill(self._process, signal.SIGKILL)
                os.waitpid(self._process, 0)
        except (ProcessLookupError, ChildProcessError):
            pass
        self._socket.close()

    def _has_ended(self, seconds: float) -> bool:
        # Its end of the line is closed when it ends, whatever is still under way on this one.
        self._socket.settimeout(seconds)
        try:
            while self._socket.recv(1 << 16):
                pass
        except TimeoutError:
            return False
        except OSError:
            pass
        os.waitpid(self._process, 0)
        return True


def processes_for(transfers: Sequence[Transfer], options: CopyOptions) -> list[CopyProcess]:
    """Helper processes for these first transfers; none if that is not possible or not worthwhile."""
    if sys.platform != "linux" or options.bwlimit is not None:
        return []
    with _still() as is_still:
        return _made(transfers, options) if is_still else []


@contextlib.contextmanager
def _still() -> Iterator[bool]:
    """Whether a process may be forked while the block runs: no other thread runs but those that can be held up.

    Such a thread has a `fork_lock`, which it holds while it does something, so that the child finds nothing half done.
    """
    others = [thread for thread in threading.enumerate() if thread is not threading.current_thread()]
    locks = [getattr(thread, "fork_lock", None) for thread in others]
    if not all(locks):
        yield False
        return
    with contextlib.ExitStack() as held:
        for lock in filter(None, locks):
            held.enter_context(lock)
        yield True


def _made(transfers: Sequence[Transfer], options: CopyOptions) -> list[CopyProcess]:
    count = min(len(os.sched_getaffinity(0)), MOST_PROCESSES, options.max_transfers or MOST_PROCESSES)
    if count < 2 or len(transfers) < WORTH_IT or sum(map(_is_plain, transfers)) < WORTH_IT:
        return []
    places = {id(place.storage): place for each in transfers for place in (each.source, each.target)}.values()
    if any(creates(each.target.storage, options) for each in transfers):
        return []
    if not all(isinstance(place.storage, ForkSafe) and place.storage.can_fork() for place in places):
        return []
    # Half of what may be at once is for them, so that there are others for what is large, or far away.
    at_once = max(1, min(AT_ONCE, options.most // (2 * count)))
    made: list[CopyProcess] = []
    try:
        for _ in range(count):
            made.append(CopyProcess(places, options, at_once))
    except OSError:  # no room for another process
        pass
    return made


def _is_plain(transfer: Transfer) -> bool:
    return may_be_small(transfer) and not transfer.removes_source and not copies_within(transfer)


def _size(transfer: Transfer) -> int | None:
    return transfer.entry.size if transfer.entry else None


def _live(
    line: socket.socket, other_end: socket.socket, connectors: list[Place], options: CopyOptions, at_once: int
) -> NoReturn:
    """The main function of the helper process."""
    try:
        other_end.close()
        signal.signal(signal.SIGINT, signal.SIG_IGN)  # a terminal tells the whole group; the other process decides
        signal.signal(signal.SIGHUP, signal.SIG_IGN)
        signal.signal(signal.SIGTERM, _stop)
        for place in connectors:
            assert isinstance(place.storage, ForkSafe)
            place.storage.after_fork()
        once = options._replace(tries=0)
        sides = [_Side(place) for place in connectors]
        tasks: list[_Task] | None
        while tasks := _receive(line):
            sizes = _sizes(tasks, sides, once, at_once)
            _send(line, [time.process_time(), [_observed(place.storage) for place in connectors], *sizes])
    finally:
        options.abandon()
        os._exit(0)


def _observed(storage: Storage) -> list[tuple[Any, ...]]:
    return storage.take_observed() if isinstance(storage, ObservedStorage) else []


def _stop(number: int, frame: object) -> NoReturn:
    raise SystemExit


class _Side:
    """A connector's storage and its abilities."""

    def __init__(self, connector: Place) -> None:
        self._scheme, _, self._label = connector.uri
        self.storage = connector.storage
        self.pipelined = self.storage if isinstance(self.storage, PipelinedStorage) else None

    def uri(self, path: str) -> DataUri:
        """The URI of a path."""
        return DataUri(self._scheme, path, self._label)


def _sizes(tasks: list[_Task], sides: list[_Side], options: CopyOptions, at_once: int) -> list[int | None]:
    """Copy files, `at_once` concurrently; return the size of each, None for a failed one."""
    sizes: list[int | None] = [None] * len(tasks)
    under_way: deque[tuple[int, Callable[[], int | None]]] = deque()

    def end_one() -> None:
        number, rest = under_way.popleft()
        try:
            sizes[number] = rest()
        except Exception:
            pass

    for number, task in enumerate(tasks):
        if len(under_way) >= at_once:
            end_one()
        try:
            under_way.append((number, _begun(task, sides, options)))
        except Exception:
            pass
    while under_way:
        end_one()
    return sizes


def _begun(task: _Task, sides: list[_Side], options: CopyOptions) -> Callable[[], int | None]:
    """Begin to copy a file. Returns a function that completes it and returns its size, or None if it failed."""
    source, target = sides[task[0]], sides[task[2]]
    source_uri, target_uri, size = source.uri(task[1]), target.uri(task[3]), task[4]
    if source.pipelined:
        if size is not None and size <= SMALL and (result := source.pipelined.start_read_small(source_uri, SMALL)):
            return lambda: _received(source_uri, result(), target.storage, target_uri, options)
    elif target.pipelined and (found := source.storage.read_small(source_uri, SMALL)):
        content = found[1]
        if written := target.pipelined.start_write_small(target_uri, content):
            return lambda: _sent(Place(target.storage, target_uri), content, written(), options)
    listed = None if size is None else Entry(source_uri, Kind.FILE, size)
    transfer = Transfer(Place(source.storage, source_uri), Place(target.storage, target_uri), listed)
    return lambda: _copied(transfer, options)


def _received(
    uri: DataUri, found: tuple[Checksum | None, bytes] | None, storage: Storage, target: DataUri, options: CopyOptions
) -> int | None:
    if found is None:
        return None
    checksum, content = found
    if options.check:
        check_content(uri, checksum, content)
    return _sent(Place(storage, target), content, storage.write_small(target, content), options)


def _sent(target: Place, content: bytes, written: Entry | None, options: CopyOptions) -> int | None:
    if written is None:
        return None
    if options.check:
        confirm(target, written, (content,))
    return len(content)


def _copied(transfer: Transfer, options: CopyOptions) -> int | None:
    entry = copy_small(transfer, lambda position, size: None, options)
    return entry.size if entry else None


def _send(line: socket.socket, value: list[Any]) -> None:
    data = marshal.dumps(value)
    line.sendall(_LENGTH.pack(len(data)) + data)


def _receive(line: socket.socket) -> list[Any] | None:
    """The next message; None if the other process has ended."""
    head = _exactly(line, _LENGTH.size)
    data = _exactly(line, _LENGTH.unpack(head)[0]) if head else None
    return None if data is None else list(marshal.loads(data))


def _exactly(line: socket.socket, count: int) -> bytes | None:
    data = b""
    while len(data) < count:
        part = line.recv(count - len(data))
        if not part:
            return None
        data += part
    return data
