"""Refusals of stores that algo's own connections reach: the status, and the store's code for the reason."""

from __future__ import annotations


class StoreRefusal(Exception):
    """An answer of the store that is not success; `status` is that of HTTP, `error_code` the store's word for it."""

    def __init__(self, status: int, code: str, message: str, *, after_lost_answer: bool = False) -> None:
        super().__init__(message or code or f"the store answered {status}")
        self.status = status
        self.error_code = code
        self.after_lost_answer = after_lost_answer
        """Whether the request was sent before, and may have taken effect."""
