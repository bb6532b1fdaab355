"""Times on the command line."""

from __future__ import annotations

import re
from datetime import datetime, timedelta, timezone

import click

_UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days", "w": "weeks"}


class Time(click.ParamType):  # type: ignore[type-arg]  # generic in newer versions of click only
    """A time of ISO 8601, in UTC unless it has a zone, or an age: 30m, 2h, 7d. Becomes text as the API takes it."""

    name = "time"

    def __init__(self, *, ages: bool) -> None:
        self.ages = ages

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> str:  # noqa: D102
        text = str(value).strip()
        try:
            if self.ages and (age := re.fullmatch(r"([0-9]+)([smhdw])", text)):
                since = datetime.now(timezone.utc) - timedelta(**{_UNITS[age[2]]: int(age[1])})
                return since.isoformat(timespec="milliseconds").replace("+00:00", "Z")
            datetime.fromisoformat(re.sub("[zZ]$", "+00:00", text))
        except (ValueError, OverflowError):
            ages = ", or an age such as 30m, 2h or 7d" if self.ages else ""
            self.fail(f"{value!r} is not a time: write 2026-01-31 or 2026-01-31T12:00:00Z{ages}", param, ctx)
        return text
