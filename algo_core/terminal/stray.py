"""Output of libraries on standard error: unhandled log records, warnings, exceptions of threads and finalizers.

They quote servers and stores, so they go the way of every other message. Call `redirect` where such a library is
imported: it costs the import of `logging`, which those need anyway.
"""

from __future__ import annotations

import logging
import sys
import threading
import traceback
import warnings
from typing import Any

from algo_core.terminal.output import Output


class _Handler(logging.Handler):
    def emit(self, record: logging.LogRecord) -> None:
        Output().log(self.format(record))


def redirect() -> None:
    """Redirect them to `Output`, unless another handler is installed; repeating it changes nothing."""
    logging.lastResort = _Handler(logging.WARNING)
    if warnings.showwarning.__module__ == warnings.__name__:
        warnings.showwarning = _show_warning
    if threading.excepthook is threading.__excepthook__:
        threading.excepthook = _show_end
    if sys.unraisablehook is sys.__unraisablehook__:
        sys.unraisablehook = show_ignored


def _show_warning(*described: Any, **named: Any) -> None:
    names = ("message", "category", "filename", "lineno", "file", "line")
    known = {**dict(zip(names, described, strict=False)), **named}
    file = known.pop("file", None)
    text = warnings.formatwarning(**known)
    if file is None:
        Output().log(text.rstrip("\n"))
    else:
        file.write(text)


def _show_end(ended: threading.ExceptHookArgs) -> None:
    if ended.exc_type is not SystemExit:
        told = traceback.format_exception(ended.exc_type, ended.exc_value, ended.exc_traceback)
        Output().log(
            "".join([f"Exception in thread {ended.thread.name if ended.thread else '?'}:\n", *told]).rstrip("\n")
        )


def show_ignored(ignored: sys.UnraisableHookArgs) -> None:
    """One line for an exception that Python ignores, such as in `__del__` of an object that was never complete."""
    place = getattr(ignored.object, "__qualname__", None) or type(ignored.object).__name__
    reason = "".join(traceback.format_exception_only(ignored.exc_type, ignored.exc_value)).strip()
    Output().log(f"Ignored in {place}: {reason}")
