"""Error responses of stores over algo's own connections: the HTTP status, and the store's error code."""

from __future__ import annotations


class StoreRefusal(Exception):
    """An error response; `status` is the HTTP status, `error_code` the store's own code."""

    def __init__(self, status: int, code: str, message: str, *, after_lost_answer: bool = False) -> None:
        super().__init__(message or code or f"the store answered {status}")
        self.status = status
        self.error_code = code
        self.after_lost_answer = after_lost_answer
        """Whether the request was sent before, and may have taken effect."""
