"""A second process that copies small files, because in one process only one processor can be used at a time.

It is made by `fork`, before the first thread is: then it has all that is needed, and costs a few milliseconds. It only
does what goes well at once; whatever does not, it leaves to the process that asked it, which tries again and tells.
"""

from __future__ import annotations

import os
import pickle
import signal
import socket
import struct
import sys
import threading
from collections.abc import Iterable, Sequence
from typing import Any, NoReturn, Protocol, runtime_checkable

from algo_core.storage import Entry, Kind, Storage
from algo_core.uri import DataUri
from algo_data.beside import discard_all
from algo_data.engine.options import Options
from algo_data.engine.transfer import Place, Transfer
from algo_data.engine.worker import copy_small, may_be_small

WORTH_IT = 500
"""Small files from which on it pays to make a second process."""

GRACE = 0.5
"""Seconds that it gets to end by itself."""

_LENGTH = struct.Struct("!I")

_Task = tuple[int, DataUri, int, DataUri, "int | None"]
"""Storage and URI of the source, of the destination, and the size that a listing has told."""


@runtime_checkable
class Divisible(Protocol):
    """A storage that can be used in a process made by `fork` as well."""

    def may_divide(self) -> bool:
        """Whether it can at this time."""

    def divided(self) -> None:
        """Called in the new process: let go of what cannot be shared, and try nothing more than once."""


class Second:
    """The process. One thread at a time may use it."""

    def __init__(self, storages: Iterable[Storage], options: Options) -> None:
        self._storages = list({id(storage): storage for storage in storages}.values())
        self._numbers = {id(storage): number for number, storage in enumerate(self._storages)}
        ours, theirs = socket.socketpair()
        self._process = os.fork()
        if not self._process:
            _live(theirs, ours, self._storages, options)
        theirs.close()
        self._socket = ours
        self.is_alive = True

    def takes(self, transfer: Transfer) -> bool:
        """Whether a transfer is of the kind that it can do."""
        places = (transfer.source, transfer.target)
        return _is_plain(transfer) and all(id(place.storage) in self._numbers for place in places)

    def copy(self, transfers: Sequence[Transfer]) -> list[Entry | None]:
        """Copy files; what was written of each, or None if it was not."""
        numbers = self._numbers
        tasks: list[_Task] = [
            (
                numbers[id(each.source.storage)],
                each.source.uri,
                numbers[id(each.target.storage)],
                each.target.uri,
                each.entry.size if each.entry else None,
            )
            for each in transfers
        ]
        try:
            _send(self._socket, tasks)
            sizes: list[int | None] | None = _receive(self._socket)
        except OSError:
            sizes = None
        if sizes is None:
            self.is_alive = False
            return [None] * len(transfers)
        return [
            None if size is None else Entry(each.target.uri, Kind.FILE, size=size)
            for each, size in zip(transfers, sizes, strict=True)
        ]

    def end(self) -> None:
        """Have it end at once, leaving nothing half done behind."""
        self.is_alive = False
        try:
            os.kill(self._process, signal.SIGTERM)
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


def second_for(transfers: Sequence[Transfer], options: Options) -> Second | None:
    """A second process for transfers of which these are the first, if that is possible and pays."""
    fits = len(transfers) >= WORTH_IT and sum(map(_is_plain, transfers)) >= WORTH_IT
    is_bounded = options.bwlimit is not None or (options.max_transfers or 2) < 2
    if not fits or is_bounded or sys.platform != "linux" or threading.active_count() > 1:
        return None
    if len(os.sched_getaffinity(0)) < 2:
        return None
    storages = {id(place.storage): place.storage for each in transfers for place in (each.source, each.target)}
    if all(isinstance(storage, Divisible) and storage.may_divide() for storage in storages.values()):
        try:
            return Second(storages.values(), options)
        except OSError:  # no room for another process
            return None
    return None


def _is_plain(transfer: Transfer) -> bool:
    return may_be_small(transfer) and not transfer.removes_source


def _live(line: socket.socket, other_end: socket.socket, storages: list[Storage], options: Options) -> NoReturn:
    """All that the new process does, from its beginning to its end."""
    try:
        other_end.close()
        signal.signal(signal.SIGINT, signal.SIG_IGN)  # a terminal tells the whole group; the other process decides
        signal.signal(signal.SIGHUP, signal.SIG_IGN)
        signal.signal(signal.SIGTERM, _stop)
        for storage in storages:
            assert isinstance(storage, Divisible)
            storage.divided()
        once = options._replace(tries=0)
        tasks: list[_Task] | None
        while tasks := _receive(line):
            _send(line, [_done(task, storages, once) for task in tasks])
    finally:
        discard_all()
        os._exit(0)


def _stop(number: int, frame: object) -> NoReturn:
    raise SystemExit


def _done(task: _Task, storages: list[Storage], options: Options) -> int | None:
    """The size of what was copied; None if it was not."""
    source, source_uri, target, target_uri, size = task
    listed = None if size is None else Entry(source_uri, Kind.FILE, size=size)
    transfer = Transfer(Place(storages[source], source_uri), Place(storages[target], target_uri), listed)
    try:
        entry = copy_small(transfer, lambda position, size: None, options)
        return entry.size if entry else None
    except Exception:
        return None


def _send(line: socket.socket, value: object) -> None:
    data = pickle.dumps(value, pickle.HIGHEST_PROTOCOL)
    line.sendall(_LENGTH.pack(len(data)) + data)


def _receive(line: socket.socket) -> list[Any] | None:
    """What the other side has sent; None if it has gone."""
    head = _exactly(line, _LENGTH.size)
    data = _exactly(line, _LENGTH.unpack(head)[0]) if head else None
    return None if data is None else list(pickle.loads(data))


def _exactly(line: socket.socket, count: int) -> bytes | None:
    data = b""
    while len(data) < count:
        part = line.recv(count - len(data))
        if not part:
            return None
        data += part
    return data
