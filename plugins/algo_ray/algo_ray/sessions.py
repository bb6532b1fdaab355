"""A session has an actor begin a worker of the platform, gives the platform a line to it, and ends it (driver process).

Calls do not pass through here.
"""

from __future__ import annotations

import contextlib
import os
import socket
import time
import traceback
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from algo_ray.frames import Channel
from algo_ray.lines import PROVE_SECONDS, family_of, prove
from algo_ray.packing import Need
from algo_ray.seats import Placed, Seats, Unplaced, reason_of

if TYPE_CHECKING:
    from algo_ray.archives import Archives

PATIENCE = "ALGO_RAY_START_SECONDS"
"""The variable that says how many seconds a node may take to start a worker, what it unpacks for that included."""

START_SECONDS = 600.0
"""The same without it."""

_RETIRE_SECONDS = 8.0


class Session:
    """One worker, from its start until the platform closes the channel."""

    def __init__(
        self, channel: Channel, seats: Seats, archives: Archives, address_of: Callable[[str], str], own: str
    ) -> None:
        """`own` is the address of this machine in the cluster."""
        self._channel = channel
        self._seats = seats
        self._archives = archives
        self._address_of = address_of
        self._own = own
        self._placed: Placed | None = None
        self._patience = float(os.environ.get(PATIENCE) or START_SECONDS)

    def run(self) -> None:
        """Serve until the platform has enough of the worker; then have the actor end it."""
        try:
            if self._start():
                self._serve()
        except OSError:
            pass  # the platform is gone
        except Exception as error:  # whatever Ray raises is this worker's alone
            traceback.print_exc()
            self._tell(("refused", f"The Ray cluster failed: {reason_of(error)}", None))
        finally:
            if self._placed:
                self._leave(self._placed)
            self._channel.close()

    def _start(self) -> bool:
        import ray

        message = self._channel.receive()
        if not message:
            return False
        _, need, account, token, label, platform, resources, nested, key = message
        while True:
            try:
                placed = self._seats.take(resources, nested=nested, on_wait=self._goes_on)
            except Unplaced as error:
                self._channel.send("refused", str(error), "Add nodes, or have the algorithm ask for less")
                return False
            placed.label = label
            line: socket.socket | None = None
            try:
                packed, archives = self._archives.of(Need(*need))
                with socket.create_server((self._own, 0), family=family_of(self._own)) as listener:
                    place = listener.getsockname()[:2]
                    given = (packed, account, token, label, self._address_of(platform), archives, place, key)
                    began = placed.handle.begin.remote(*given)
                    end = time.monotonic() + self._patience
                    while not ray.wait([began], timeout=0.25)[0]:
                        if not self._goes_on():
                            self._seats.drop(placed)
                            return False
                        if time.monotonic() >= end:
                            self._seats.drop(placed)
                            late = f"did not start the worker within {self._patience:.0f} seconds"
                            self._channel.send("refused", f"Node {placed.node[:12]} {late}", None)
                            return False
                    word, told, hint = ray.get(began)
                    if word == "ok":
                        line = _accepted(listener, key)
            except ray.exceptions.RayActorError:
                self._seats.drop(placed)  # its node is gone: there are others
                continue
            except Exception as error:
                self._seats.drop(placed)
                self._channel.send("refused", f"A node failed: {str(error)[-500:]}", None)
                return False
            self._placed = placed
            if word != "ok":
                self._channel.send("refused", told, hint)
                return False
            if line is None:
                self._channel.send("refused", f"No connection came from node {placed.node[:12]} to {place[0]}", None)
                return False
            with line:
                self._channel.send("started", told, placed.node)
                socket.send_fds(self._channel.connection, [b"+"], [line.fileno()])
            placed.watch(self._died)
            return True

    def _goes_on(self, unplaced: str = "") -> bool:
        """Tell the platform that this takes a while, and why it has no node yet; whether it still wants it."""
        try:
            self._channel.send("waiting", unplaced)
        except OSError:
            return False
        return True

    def _serve(self) -> None:
        assert self._placed is not None
        while message := self._channel.receive():
            if message[0] == "end":
                self._placed.handle.end.options(concurrency_group="control").remote()
            else:
                self._leave(self._placed)
                self._placed = None
                self._channel.send("retired")
                return

    def _tell(self, message: tuple[Any, ...]) -> None:
        try:
            self._channel.send(*message)
        except OSError:
            pass  # the platform is gone, which `run` sees as well

    def _died(self, reason: str) -> None:
        self._tell(("gone", reason))

    def _leave(self, placed: Placed) -> None:
        import ray

        if not placed.is_dead:
            try:
                retired = placed.handle.retire.options(concurrency_group="control").remote()
                ray.get(retired, timeout=_RETIRE_SECONDS)
            except Exception:  # it dies, or does not answer
                self._seats.drop(placed)
            else:
                self._seats.give_back(placed)
        else:
            self._seats.drop(placed)


def _accepted(listener: socket.socket, key: bytes) -> socket.socket | None:
    """The connection of the actor that was told the key, whoever else connects; None if none comes in time."""
    end = time.monotonic() + PROVE_SECONDS
    while (left := end - time.monotonic()) > 0:
        listener.settimeout(left)
        with contextlib.suppress(OSError):
            connected, _ = listener.accept()
            with contextlib.ExitStack() as undo:
                undo.enter_context(connected)
                if prove(connected, key, is_platform=True):
                    undo.pop_all()
                    return connected
    return None
