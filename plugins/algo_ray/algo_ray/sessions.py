"""A session serves one worker of the platform: it passes on what that sends to an actor, and back (driver process)."""

from __future__ import annotations

import threading
import time
import traceback
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from algo_ray.frames import Channel
from algo_ray.packing import Need
from algo_ray.seats import Placed, Seats, Unplaced

if TYPE_CHECKING:
    from algo_ray.driver import Archives

LIVE_SECONDS = 0.05
"""Calls that take longer have what they print passed on as it comes; that of others comes with the answer."""

_WAIT_SECONDS = 600.0
_RETIRE_SECONDS = 8.0


class Pumps:
    """Asks for the output of calls that take a while."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._due: dict[Session, float] = {}
        threading.Thread(target=self._run, daemon=True).start()

    def add(self, session: Session) -> None:
        """A call of a session begins."""
        with self._changed:
            if not self._due:
                self._changed.notify()
            self._due[session] = time.monotonic() + LIVE_SECONDS

    def remove(self, session: Session) -> None:
        """It has ended."""
        with self._changed:
            self._due.pop(session, None)

    def _run(self) -> None:
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._due)
            time.sleep(LIVE_SECONDS)
            with self._changed:
                now = time.monotonic()
                due = [session for session, moment in self._due.items() if moment <= now]
                for session in due:
                    del self._due[session]
            for session in due:
                session.pump()


class Session:
    """One worker, from its start until the platform closes the channel."""

    def __init__(
        self, channel: Channel, seats: Seats, archives: Archives, pumps: Pumps, address_of: Callable[[str], str]
    ) -> None:
        self._channel = channel
        self._seats = seats
        self._archives = archives
        self._pumps = pumps
        self._address_of = address_of
        self._placed: Placed | None = None
        self._lock = threading.Lock()
        self._pumping = False
        self._is_running = False
        self._answer: tuple[Any, ...] | None = None

    def run(self) -> None:
        """Serve until the platform has enough of the worker; then have the actor end it."""
        try:
            if self._start():
                self._serve()
        except OSError:
            pass  # the platform is gone
        except Exception as error:  # whatever Ray raises is this worker's alone
            traceback.print_exc()
            self._tell(("refused", f"The Ray cluster failed: {_reason(error)}", None))
        finally:
            if self._placed:
                self._leave(self._placed)
            self._channel.close()

    def _start(self) -> bool:
        import ray

        message = self._channel.receive()
        if not message:
            return False
        _, need, account, token, label, platform, resources, nested = message
        while True:
            try:
                placed = self._seats.take(resources, nested=nested, on_wait=lambda: self._goes_on(is_placed=False))
            except Unplaced as error:
                self._channel.send("refused", str(error), "Add nodes, or have the algorithm ask for less")
                return False
            placed.label = label
            try:
                archives = self._archives.of(Need(*need))
                began = placed.handle.begin.remote(
                    Need(*need), account, token, label, self._address_of(platform), archives
                )
                while not ray.wait([began], timeout=0.25)[0]:
                    if not self._goes_on(is_placed=True):
                        self._seats.drop(placed)
                        return False
                word, told, hint = ray.get(began)
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
            placed.on_death = self._died
            self._channel.send("started", told, placed.node)
            return True

    def _goes_on(self, *, is_placed: bool) -> bool:
        """Tell the platform that this takes a while; whether it still wants it."""
        try:
            self._channel.send("waiting", is_placed)
        except OSError:
            return False
        return True

    def _serve(self) -> None:
        assert self._placed is not None
        handle = self._placed.handle
        while message := self._channel.receive():
            word, *given = message
            if word == "retire":
                self._leave(self._placed)
                self._placed = None
                self._channel.send("retired")
                return
            if word == "end":
                handle.end.options(concurrency_group="control").remote()
                continue
            with self._lock:
                self._is_running, self._answer = True, None
            self._pumps.add(self)
            method = handle.load if word == "load" else handle.call
            method.remote(*given).future().add_done_callback(self._done)

    def _done(self, future: Any) -> None:
        error = future.exception()
        answer = ("died", _reason(error)) if error else ("done", future.result())
        self._pumps.remove(self)
        with self._lock:
            self._is_running = False
            self._answer = answer
            if self._pumping:
                return  # what was printed before is told before
        self._tell(answer)

    def pump(self) -> None:
        """Ask for what is printed, until the call ends."""
        with self._lock:
            if not self._is_running or self._pumping:
                return
            self._pumping = True
        self._ask()

    def _ask(self) -> None:
        assert self._placed is not None
        asked = self._placed.handle.printed.options(concurrency_group="output").remote(_WAIT_SECONDS)
        asked.future().add_done_callback(self._printed)

    def _printed(self, future: Any) -> None:
        printed = b"" if future.exception() else future.result()
        if printed:
            self._tell(("output", printed))
        with self._lock:
            goes_on = self._is_running and not future.exception()
            self._pumping = goes_on
            answer = None if goes_on else self._answer
        if goes_on:
            self._ask()
        elif answer:
            self._tell(answer)

    def _tell(self, message: tuple[Any, ...]) -> None:
        try:
            self._channel.send(*message)
        except OSError:
            pass  # the platform is gone, which `run` sees as well

    def _died(self) -> None:
        with self._lock:
            told = self._is_running
        if not told:
            self._tell(("gone",))

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


def _reason(error: BaseException) -> str:
    return " ".join(str(error).split())[:300]
