"""The part of the running `App` that a hook may use: its argument `app`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

from algo_core.errors import PluginError

ALL = None
"""The running `App` itself, as a command has it."""

REMARKS = frozenset({"output"})
"""Members for remarks: no command is running."""

SETTINGS = REMARKS | {"config", "debug", "environ", "plugins", "profile_flag", "setting", "verbose"}
"""Members that neither need a profile nor send a request."""

ASKING = SETTINGS | {"ask"}
"""Members that may in addition ask the person."""

PROFILE = SETTINGS | {"profile"}
"""Members that send no request."""


class Access(NamedTuple):
    """The members of `App` that a hook may use (`ALL`: every one), and why it may not use the others."""

    members: frozenset[str] | None
    why: str = ""


class HookApp:
    """The running `App` as a hook sees it: a member that the hook may not use raises PluginError.

    `source` gives the `App`; it is called when a member is used first, so that hooks which use none cost nothing.
    """

    __slots__ = ("_access", "_hook", "_source")

    def __init__(self, hook: str, access: Access, source: Callable[[], Any]) -> None:
        for name, value in (("_hook", hook), ("_access", access), ("_source", source)):
            object.__setattr__(self, name, value)

    def __getattribute__(self, name: str) -> Any:
        own = object.__getattribute__
        source = own(self, "_source")
        if name == "__class__":  # so that `isinstance(app, App)` holds
            return type(source())
        if name.startswith("__"):
            return own(self, name)
        access: Access = own(self, "_access")
        members = access.members or frozenset()
        if name in members:
            return getattr(source(), name)
        raise PluginError(
            f"app.{name} cannot be used in {own(self, '_hook')}, since {access.why}: "
            f"what can be used is {', '.join(sorted(members))}"
        )

    def __setattr__(self, name: str, value: object) -> None:
        hook = object.__getattribute__(self, "_hook")
        raise PluginError(f"app.{name} cannot be changed in {hook}")

    def __dir__(self) -> list[str]:
        access: Access = object.__getattribute__(self, "_access")
        return sorted(access.members or ())
