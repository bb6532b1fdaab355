"""`algo local top`: shows the activity of the platform on this machine, continuously."""

from __future__ import annotations

import os
import select
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

import click

from algo_core import App, pass_app
from algo_core.errors import NotFoundError
from algo_local.commands.cluster import summary, view_of
from algo_local.commands.disk import megabytes
from algo_local.platform import Platform
from algo_local.state import State

if TYPE_CHECKING:
    from algo_local.records.activity import Activity, VersionActivity

_OPEN = "\x1b[?1049h\x1b[?25l"
_CLOSE = "\x1b[?25h\x1b[?1049l"
_HOME = "\x1b[H"
_REST_OF_LINE = "\x1b[K"
_REST = "\x1b[J"
_COLUMNS = ("Version", "Queue", "Running", "Workers", "Memory", "Calls/s", "Failed", "Median", "90 %", "99 %")


@click.command()
@click.option(
    "--interval",
    type=click.FloatRange(0.1, 3600),
    default=1.0,
    show_default=True,
    metavar="SECONDS",
    help="Time between two views.",
)
@click.option(
    "--window",
    type=click.FloatRange(1, 3600),
    default=10.0,
    show_default=True,
    metavar="SECONDS",
    help="Time over which rates and latencies are taken.",
)
@pass_app
def top(app: App, interval: float, window: float) -> None:
    """Show the queue, workers, rates and latencies by version.

    On a terminal the view is renewed until 'q' or Ctrl-C; elsewhere, and with --json, it is shown once. It comes from
    the record of calls of all processes, served or embedded; algorithms whose calls are not recorded are not in it.

    \b
    Example:
      algo local top --window 60
    """
    state = State.of()
    if not state.exists:
        raise NotFoundError(f"There is no platform in {state}", "Publish an algorithm: algo local publish --help")
    platform = Platform(state)
    try:
        if app.output.is_json:
            view = view_of(platform.root)
            cluster = {"cluster": view.as_dict()} if view else {}
            app.output.json({**_activity(platform, window).as_dict(), **cluster})
        elif not app.output.is_terminal or os.environ.get("TERM", "dumb") == "dumb":
            app.output.print("\n".join(_view(platform, window)))
        else:
            _watch(app, platform, interval, window)
    finally:
        platform.close()


def _activity(platform: Platform, window: float) -> Activity:
    from algo_local.records.activity import activity

    found: Activity = platform.records.read(lambda rows: activity(rows, window))
    return found


def _view(platform: Platform, window: float) -> list[str]:
    """The lines to show, with one about the cluster if there is one."""
    head, *others = _lines(_activity(platform, window))
    view = view_of(platform.root)
    return [head, *([summary(view)] if view else []), *others]


def _watch(app: App, platform: Platform, interval: float, window: float) -> None:
    """Renew the view until it is ended; the screen is then as it was."""
    out = app.output.stdout
    terminal = out.stream.fileno()
    with _keys() as keys:
        out.draw(_OPEN)
        try:
            while True:
                size = os.get_terminal_size(terminal)
                lines = _view(platform, window)[: max(1, size.lines - 1)]
                out.draw(_HOME)
                for line in lines:
                    out.write(line[: size.columns])
                    out.draw(f"{_REST_OF_LINE}\n")
                out.draw(_REST)
                out.flush()
                if _ended(keys, interval, terminal, size):
                    return
        finally:
            out.draw(_CLOSE)
            out.flush()


def _ended(keys: int | None, interval: float, terminal: int, size: os.terminal_size) -> bool:
    """Wait for the next view, or until the terminal has another size; whether `q` was typed."""
    end = time.monotonic() + interval
    while (left := end - time.monotonic()) > 0 and os.get_terminal_size(terminal) == size:
        if keys is None:
            time.sleep(min(left, 0.2))
        elif select.select([keys], [], [], min(left, 0.2))[0]:
            typed = os.read(keys, 64)
            if not typed or b"q" in typed.lower():
                return True
    return False


@contextmanager
def _keys() -> Iterator[int | None]:
    """A descriptor to read single keys from, without echo; None if standard input is not a terminal."""
    if not sys.stdin or not sys.stdin.isatty():
        yield None
        return
    import termios
    import tty

    descriptor = sys.stdin.fileno()
    before = termios.tcgetattr(descriptor)
    tty.setcbreak(descriptor)
    try:
        yield descriptor
    finally:
        termios.tcsetattr(descriptor, termios.TCSADRAIN, before)


def _lines(found: Activity) -> list[str]:
    """The view: a line for all, then a table with a row for each version, the busiest first."""
    total = found.total()
    moment = time.strftime("%H:%M:%S", time.localtime(found.at))
    workers = f"{total.workers:,} worker" + ("" if total.workers == 1 else "s")
    head = (
        f"{moment}  {total.queued:,} waiting, {total.running:,} running, {workers} with"
        f" {megabytes(total.memory)}, {_rate(total, found.window)} calls/s over {found.window:g} s"
    )
    if not found.versions:
        return [head, "", "No calls"]
    versions = sorted(found.versions.items(), key=lambda item: (-len(item[1].latencies), -item[1].running, item[0]))
    rows = [_COLUMNS, *(_row(name, each, found.window) for name, each in versions)]
    widths = [max(len(row[column]) for row in rows) for column in range(len(_COLUMNS))]
    return [head, "", *(_aligned(row, widths) for row in rows)]


def _aligned(row: tuple[str, ...], widths: list[int]) -> str:
    first, *others = zip(row, widths, strict=True)
    return "  ".join([first[0].ljust(first[1]), *(text.rjust(width) for text, width in others)])


def _row(name: str, found: VersionActivity, window: float) -> tuple[str, ...]:
    from algo_local.records.activity import percentiles

    latencies = [_time(seconds) for seconds in percentiles(found.latencies)] or ["-", "-", "-"]
    numbers = (found.queued, found.running, found.workers)
    memory = megabytes(found.memory) if found.workers else "-"
    return (name, *(f"{number:,}" for number in numbers), memory, _rate(found, window), f"{found.failed:,}", *latencies)


def _rate(found: VersionActivity, window: float) -> str:
    return f"{(found.done + found.failed) / window:,.1f}"


def _time(seconds: float) -> str:
    return f"{seconds * 1000:.3g} ms" if seconds < 1 else f"{seconds:.3g} s"
