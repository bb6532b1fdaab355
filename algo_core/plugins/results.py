"""Checks of hook results: each function raises TypeError for a result that the hook's caller cannot use.

`hookspecs` names one of them for each hook. Kinds of values are named as text, so that none is imported before it is
looked for.
"""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Mapping
from typing import Any

Check = Callable[[Any], None]


def a_list_of(kind: str) -> Check:
    """A list of instances of `"module:Class"`."""

    def check(answer: Any) -> None:
        if not isinstance(answer, (list, tuple)) or hasattr(answer, "_fields"):  # one of our values is no list of them
            raise _mistaken(answer, "not a list")
        for item in answer:
            if not isinstance(item, _class(kind)):
                raise _mistaken(item, f"which is no {kind.partition(':')[2]}")

    return check


def settings(answer: Any) -> None:
    """A list of `PluginSetting`, each in a table of the plugin's own, with a default of its kind."""
    from algo_core.settings import declared

    a_list_of("algo_core.settings.declared:PluginSetting")(answer)
    for setting in answer:
        if why := declared.fault_of(setting):
            raise TypeError(f"{setting.name!r:.60} {why}")


def at_most_one(kind: str) -> Check:
    """An instance of `"module:Class"`, or None."""

    def check(answer: Any) -> None:
        if answer is not None and not isinstance(answer, _class(kind)):
            raise _mistaken(answer, f"which is no {kind.partition(':')[2]}")

    return check


def nothing(answer: Any) -> None:
    """None: whatever else comes is a coroutine that never ran, or a mistake of another kind."""
    if answer is not None:
        raise _mistaken(answer, "which is no NoneType")


def transport(answer: Any) -> None:
    """An object with the methods of `algo_core.http.transport.Transport`, or None."""
    if answer is None:
        return
    for method in ("send", "close"):
        if not callable(getattr(answer, method, None)):
            raise _mistaken(answer, f"which is no transport: it has no {method}")


def headers(answer: Any) -> None:
    """A mapping from header names to values, or None."""
    if answer is None:
        return
    from algo_core.http.headers import header_lines

    texts = [*answer, *answer.values()] if isinstance(answer, Mapping) else [None]
    if not all(isinstance(text, str) for text in texts):
        raise _mistaken(answer, "which is no mapping from names to texts")
    header_lines(answer)


def _mistaken(answer: Any, why: str) -> TypeError:
    if isinstance(answer, Coroutine):
        answer.close()  # or Python would warn that it was never awaited
    return TypeError(f"it returned {answer!r:.80}, {why}")


def _class(kind: str) -> type:
    from importlib import import_module

    module, _, name = kind.partition(":")
    found: type = getattr(import_module(module), name)
    return found
