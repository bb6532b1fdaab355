"""Fork an algorithm that has loaded, instead of loading it again (inside its own Python).

The process that has loaded serves no calls itself. It waits on a socket for the descriptors of a replica: input, output
and control. For each it forks twice: a supervisor, and the replica, which goes on as if it had loaded the algorithm.

Imports the standard library only, and nothing that Python 3.6 does not have; see `supervisor.py`.
"""

import json
import os
import signal
import socket
import struct
import sys

TYPE_CHECKING = False  # not that of `typing`, whose import costs as much as all others here
if TYPE_CHECKING:
    from typing import Any

_PR_SET_PDEATHSIG = 1
_LARGEST = 1 << 16
_DESCRIPTORS = struct.Struct("3i")


class Forks:
    """The socket that replicas are asked for on, and what was open before the algorithm was loaded."""

    def __init__(self, number: int, names: "dict[str, Any]") -> None:
        """`names` is what `supervisor.py` defines."""
        self._channel = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET, fileno=number)
        self._names = names
        self._open = _descriptors()

    def announce(self) -> bool:
        """Say whether this process can be forked now, and why not; whether it can."""
        reason = self._impediment()
        self._channel.send(json.dumps({"impediment": reason}).encode())
        if reason:
            self._channel.close()
        return not reason

    def _impediment(self) -> str:
        if len(os.listdir("/proc/self/task")) > 1:
            return "it has threads"
        if self._names["_children"]():
            return "it has child processes"
        if _descriptors() - self._open:
            return "it has files or connections open"
        return ""

    def wait(self) -> str:
        """Fork replicas until nobody may ask for one any more; returns in each of them, with its path for answers."""
        import gc

        if hasattr(gc, "freeze"):
            gc.freeze()  # what is loaded stays shared: collecting would write to it
        handler = signal.signal(signal.SIGCHLD, signal.SIG_IGN)
        while True:
            data, ancillary, _, _ = self._channel.recvmsg(_LARGEST, socket.CMSG_SPACE(_DESCRIPTORS.size))
            if not data:
                os._exit(0)
            stdin, stdout, control = _DESCRIPTORS.unpack(ancillary[0][2])
            if not os.fork():
                self._channel.close()
                self._become_replica(stdin, stdout, control, handler)
                return _settle(json.loads(data.decode()))
            for descriptor in (stdin, stdout, control):
                os.close(descriptor)

    def _become_replica(self, stdin: int, stdout: int, control: int, handler: "Any") -> None:
        """Fork again: this process becomes the supervisor, the child returns."""
        wakeup, write_end = os.pipe()
        os.set_blocking(write_end, False)
        signal.signal(signal.SIGCHLD, lambda *_: None)
        signal.set_wakeup_fd(write_end)
        os.setsid()
        self._names["become_subreaper"]()
        pid = os.fork()
        if pid:
            os.write(control, b"S")
            null = os.open(os.devnull, os.O_RDWR)
            for descriptor in (0, 1, 2, stdin, stdout):
                os.dup2(null, descriptor)
            self._names["supervise"](control, wakeup, pid)
            os._exit(0)
        signal.set_wakeup_fd(-1)
        signal.signal(signal.SIGCHLD, handler if handler is not None else signal.SIG_DFL)
        _end_with_parent()
        os.setsid()
        os.dup2(stdin, 0)
        os.dup2(stdout, 1)
        os.dup2(stdout, 2)
        for descriptor in (stdin, stdout, control, wakeup, write_end):
            os.close(descriptor)


def _settle(asked: "dict[str, Any]") -> str:
    """Separate a replica from others: keys, temporary files, random numbers."""
    os.environ.update(asked["environment"])
    if "tempfile" in sys.modules:
        sys.modules["tempfile"].tempdir = None  # type: ignore[attr-defined]  # it is looked up anew then
    if "random" in sys.modules:
        sys.modules["random"].seed()  # Python 3.6 does not do so by itself
    for name in ("numpy.random", "torch"):
        seed = getattr(sys.modules.get(name), "seed", None)
        if seed:
            seed()
    path: str = asked["answers"]
    return path


def _descriptors() -> "set[int]":
    directory = os.open("/proc/self/fd", os.O_RDONLY)
    try:
        return {int(name) for name in os.listdir(directory)} - {directory}
    finally:
        os.close(directory)


def _end_with_parent() -> None:
    """The supervisor may be ended by the algorithm, which is to gain nothing by that."""
    import ctypes

    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
