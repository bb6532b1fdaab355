"""Which plugins may load: the administrator's file, then the environment, then the flags, then the user's file."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from algo_core.errors import AlgoError

if TYPE_CHECKING:
    from algo_core.config import Config


def normalized(name: str) -> str:
    """A distribution's name as package indexes compare it."""
    out = name.lower().replace("_", "-").replace(".", "-")
    while "--" in out:
        out = out.replace("--", "-")
    return out


class Policy:
    """The decision for each distribution: `refusal(dist)` gives the reason why it may not load, or None.

    `lasting` are refusals that hold until somebody changes a file; `passing` hold for this run only.
    """

    def __init__(self, lasting: dict[str, str], passing: dict[str, str], *, none_at_all: str | None = None) -> None:
        self.lasting = lasting
        self.passing = passing
        self.none_at_all = none_at_all

    @classmethod
    def read(cls, config: Config, *, no_plugins: bool = False, no_plugin: Iterable[str] = ()) -> Policy:
        """Put the policy together; a setting that cannot be read allows everything (the command reports it later)."""
        lasting: dict[str, str] = {}
        passing = {normalized(name): "left out by --no-plugin" for name in no_plugin}
        none_at_all = "left out by --no-plugins" if no_plugins else None
        try:
            disabled = config.get("plugins.disabled")
        except AlgoError:
            return cls(lasting, passing, none_at_all=none_at_all)
        if disabled.origin.startswith("environment"):
            for name in disabled.value:
                if name == "*":
                    none_at_all = f"disabled by {disabled.origin}"
                passing[normalized(str(name))] = f"disabled by {disabled.origin}"
        else:
            for name in disabled.value:
                lasting[normalized(str(name))] = f"disabled by {disabled.origin}"
        return cls(lasting, passing, none_at_all=none_at_all)

    def refusal(self, dist: str) -> str | None:
        """Why this distribution's plugin may not load, or None."""
        name = normalized(dist)
        return self.none_at_all or self.lasting.get(name) or self.passing.get(name)
