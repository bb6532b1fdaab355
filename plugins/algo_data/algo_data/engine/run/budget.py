"""The budget of connections that transfers share; a large transfer may use several."""

from __future__ import annotations

from typing import Protocol


class ConnectionBudget(Protocol):
    """Connections beyond the first that a transfer may open."""

    def take(self) -> bool:
        """Take one more connection; False if none is left."""

    def give_back(self) -> None:
        """Return a connection that is closed."""


class NoBudget:
    """No connection beyond the first."""

    def take(self) -> bool:  # noqa: D102
        return False

    def give_back(self) -> None:  # noqa: D102
        pass
