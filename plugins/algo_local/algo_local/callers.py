"""Who makes a request."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from algo_local.execution.payload import CallContext

DENIED = "Caller is not authorized to perform the operation"
"""What the platform answers to a caller without the right (API section 2.3, code 2001)."""


@dataclass(frozen=True, slots=True)
class Caller:
    """An account, and the algorithm that acts for it, if the request comes from inside one."""

    account: str
    administrator: bool = False
    """True if this one request asked for the administrator's rights (`sudo`) and its account has them (API 1.3)."""
    inside: CallContext | None = None
    """The call that the request comes from; such a request never has the administrator's rights."""

    def owns_algorithm(self, owner: str) -> bool:
        """Whether this caller may see that account's private versions, printed output and stack traces."""
        return self.administrator or self.account == owner
