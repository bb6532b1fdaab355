"""References to algorithms as clients paste them into the path of a call (API sections 3.1, 3.2)."""

from __future__ import annotations

import re
from functools import lru_cache
from typing import TYPE_CHECKING

from algo_local.error_codes import ErrorCode
from algo_local.web.http import ApiError, decode

if TYPE_CHECKING:
    from algo_local.callers import Caller

_SCHEME = re.compile(r"/*(?:algo:/*)?")
_ID = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}", re.IGNORECASE)


class Reference:
    """`[algo://]OWNER/NAME[/VERSION]`, or an algorithm's id in the place of owner and name; from an undecoded path."""

    def __init__(self, raw: str) -> None:
        path = decode(raw)
        self.text = path[_SCHEME.match(path).end() :]  # type: ignore[union-attr]  # it matches the empty text as well
        parts = [part for part in self.text.split("/") if part]
        width = 1 if parts and _ID.fullmatch(parts[0]) else 2
        valid = width <= len(parts) <= width + 1
        self.names = [part.lower() for part in parts[:width]] if valid else []
        """Owner and name, or the id; none if it is no reference."""
        self.version = parts[width] if valid and len(parts) > width else ""


@lru_cache(maxsize=256)
def parsed(raw: str) -> Reference:
    """The reference in an undecoded path, cached: each request needs it twice, and clients call few algorithms."""
    return Reference(raw)


def unknown(reference: Reference, caller: Caller | None = None) -> ApiError:
    """The refusal of a reference that leads nowhere, which is repeated as it was given (API section 2.3).

    It is noted for the call that a calling algorithm serves: many clients keep the status alone.
    """
    if caller and caller.inside:
        caller.inside.missing[:] = [reference.text]
    return ApiError(404, f"algorithm algo://{reference.text} not found", ErrorCode.ALGORITHM_NOT_FOUND)
