"""Who makes a request."""

from __future__ import annotations

from dataclasses import dataclass

from algo_local.execution.payload import CallContext


@dataclass(frozen=True, slots=True)
class Caller:
    """An account, and the algorithm that acts for it, if the request comes from inside one."""

    account: str
    administrator: bool = False
    """Whether the platform is this person's own: then all algorithms are as good as theirs."""
    inside: CallContext | None = None

    def owns_algorithm(self, owner: str) -> bool:
        """Whether this caller may see that account's private versions, printed output and stack traces."""
        return self.administrator or self.account == owner
