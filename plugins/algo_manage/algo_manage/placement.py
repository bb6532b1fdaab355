"""Options that say what a worker takes of a node of a cluster."""

from __future__ import annotations

import math
from typing import Any

import click

DEFAULT = "default"
"""The word for what `algorithmia.conf` says."""


class Amount(click.ParamType):  # type: ignore[type-arg]  # generic in newer versions of click only
    """A number, of which the platform says whether it can be; or `default`."""

    name = "number"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """The number, or the word."""
        if value == DEFAULT or isinstance(value, (int, float)):
            return value
        try:
            number = float(value)
        except ValueError:
            number = math.nan
        if not math.isfinite(number):
            self.fail(f"{value!r} is no number, and not {DEFAULT!r}.", param, ctx)
        return int(number) if number == int(number) else number


def resources_of(ctx: click.Context, param: click.Parameter, values: tuple[str, ...]) -> dict[str, Any] | str | None:
    """Amounts by name, of options `NAME=AMOUNT`; `default` for none of our own."""
    if not values or values == (DEFAULT,):
        return DEFAULT if values else None
    found: dict[str, Any] = {}
    for value in values:
        name, is_said, amount = value.partition("=")
        if not name or not is_said or amount == DEFAULT:
            raise click.BadParameter(f"{value!r} is not NAME=AMOUNT, such as ssd=1.", ctx, param)
        found[name] = Amount().convert(amount, param, ctx)
    return found


def placement(said: dict[str, Any]) -> dict[str, Any]:
    """The members of settings for the given options."""
    return {name: said[name] for name in ("cpus", "gpus", "memory", "resources") if said[name] is not None}
