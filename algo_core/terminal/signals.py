"""Signals that end a command do it the way Ctrl-C does: what is half-written is removed first."""

from __future__ import annotations

INTERRUPTED = 130
SIGNALS = ("SIGTERM", "SIGHUP")


class Terminated(KeyboardInterrupt):
    """The process was asked to end by a signal; `number` is the signal's."""

    def __init__(self, number: int) -> None:
        super().__init__(number)
        self.number = number


def end_cleanly_on_signals() -> None:
    """Raise `Terminated` in the main thread when such a signal comes; one that is ignored (`nohup`) stays ignored."""
    import signal

    def end(number: int, frame: object) -> None:
        raise Terminated(number)

    for name in SIGNALS:
        number = getattr(signal, name, None)
        if number is not None and signal.getsignal(number) is signal.SIG_DFL:
            signal.signal(number, end)


def exit_code_of(stopped: BaseException) -> int:
    """130 for Ctrl-C; 128 and the signal's number, as shells say it, for others."""
    return 128 + stopped.number if isinstance(stopped, Terminated) else INTERRUPTED
