"""Signals end a command like Ctrl-C: partial files are removed first."""

from __future__ import annotations

from algo_core.errors import ExitCode

SIGNALS = ("SIGTERM", "SIGHUP", "SIGINT")


class Terminated(KeyboardInterrupt):
    """The process was asked to end by a signal; `number` is the signal's.

    Ctrl-C raises it as well, so that a plain `KeyboardInterrupt` is one that a plugin has raised by itself.
    """

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
        if number is not None and signal.getsignal(number) in {signal.SIG_DFL, signal.default_int_handler}:
            signal.signal(number, end)


def is_of_a_signal(error: BaseException) -> bool:
    """Whether an exception comes from a signal; before `end_cleanly_on_signals`, any `KeyboardInterrupt` may."""
    import signal

    is_plain = isinstance(error, KeyboardInterrupt) and signal.getsignal(signal.SIGINT) is signal.default_int_handler
    return isinstance(error, Terminated) or is_plain


def exit_code_of(stopped: BaseException) -> int:
    """The exit code of a signal: 130 for Ctrl-C, else 128 + its number, as in shells."""
    return 128 + stopped.number if isinstance(stopped, Terminated) else ExitCode.INTERRUPTED
