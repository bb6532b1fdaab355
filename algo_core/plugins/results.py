"""Checks of hook results: each function raises TypeError for a result that the hook's caller cannot use.

`hookspecs` names one of them for each hook. Kinds of values are named as text, so that none is imported before it is
looked for.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Coroutine, Mapping, Sequence
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
    seen: dict[str, Any] = {}
    for setting in answer:
        if seen.setdefault(setting.name, setting) != setting:
            raise TypeError(f"{setting.name!r:.60} is declared twice, and differently")
        if why := declared.fault_of(setting):
            raise TypeError(f"{setting.name!r:.60} {why}")


def at_most_one(kind: str) -> Check:
    """An instance of `"module:Class"`, or None."""

    def check(answer: Any) -> None:
        if answer is not None and not isinstance(answer, _class(kind)):
            raise _mistaken(answer, f"which is no {kind.partition(':')[2]}")

    return check


def profile(answer: Any) -> None:
    """A `Profile` with a name, an address, and other members of their types, or None."""
    at_most_one("algo_core.settings.profile:Profile")(answer)
    if answer is None:
        return
    _members_of(answer, ("name", "address"), str)
    _members_of(answer, ("origin", "address_origin"), str)
    _members_of(answer, ("ca_cert", "ca_cert_origin", "notice"), str, type(None))
    _members_of(answer, ("network",), _class("algo_core.settings.profile:Network"))
    if not answer.name or not answer.address:
        raise TypeError("it returned a Profile without a name or an address")
    credential(answer.credential)


def credential(answer: Any) -> None:
    """A `Credential` whose secret a header can carry, or None. The message has no part of it: it may be a secret."""
    if answer is None:
        return
    from algo_core.settings.credentials import Credential, Secret

    if not isinstance(answer, Credential):
        raise _mistaken(answer, "which is no Credential", shown=type(answer).__name__)
    _members_of(answer, ("secret",), Secret)
    _members_of(answer, ("origin",), str)
    _members_of(answer, ("expires_at",), int, float, type(None))
    from algo_core.http.headers import check_header

    secret = answer.secret.reveal()
    if not isinstance(secret, str) or not secret.strip():
        raise TypeError("it returned a Credential whose secret is no text")
    if answer.expires_at is not None and not math.isfinite(answer.expires_at):
        raise TypeError("it returned a Credential whose expires_at is no time")
    check_header("Authorization", answer.header())


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


def _members_of(answer: Any, names: Sequence[str], *kinds: type) -> None:
    for name in names:
        if not isinstance(getattr(answer, name), kinds):
            wanted = " or ".join("None" if kind is type(None) else kind.__name__ for kind in kinds)
            found = type(getattr(answer, name)).__name__
            raise TypeError(f"it returned a {type(answer).__name__} whose {name} is of type {found}, not {wanted}")


def _mistaken(answer: Any, why: str, shown: str | None = None) -> TypeError:
    if isinstance(answer, Coroutine):
        answer.close()  # or Python would warn that it was never awaited
    return TypeError(f"it returned {shown or repr(answer):.80}, {why}")


def _class(kind: str) -> type:
    from importlib import import_module

    module, _, name = kind.partition(":")
    found: type = getattr(import_module(module), name)
    return found
