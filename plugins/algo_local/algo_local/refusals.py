"""Refusals that the API numbers: the core's failures, each with the platform's error code (API section 2.4)."""

from __future__ import annotations

from algo_core.errors import AlreadyExists, NotFoundError, PermissionDenied, RequestRefused


class _Coded:
    code: int

    def __init__(self, message: str, code: int, hint: str | None = None) -> None:
        super().__init__(message, hint)  # type: ignore[call-arg]  # AlgoError's, which each class below has as well
        self.code = code


class Missing(_Coded, NotFoundError):
    """There is no such thing."""


class Taken(_Coded, AlreadyExists):
    """There is such a thing already."""


class Invalid(_Coded, RequestRefused):
    """What is asked for makes no sense, or not now."""


class Forbidden(_Coded, PermissionDenied):
    """This caller may not do it."""


class TooManyCalls(RequestRefused):
    """The account has as many calls under way as it may."""
