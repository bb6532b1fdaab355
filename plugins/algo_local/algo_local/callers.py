"""The caller of a request, and the context of a running algorithm."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from algo_local.metadata.keys import Key

DENIED = "Caller is not authorized to perform the operation"
"""The platform's message to a caller without the permission (API section 2.3, code 2001)."""


@dataclass(frozen=True, slots=True)
class CallContext:
    """The call that a running algorithm acts for; opaque to the executor (API section 4.3)."""

    caller: str
    """Account that `data://.my` stands for."""
    algorithm: tuple[str, str]
    """Owner and name, that `data://.algo/temp` and `data://.algo/perm` stand for."""
    session: str
    """Identifier of the top-level request, which `data://.session` belongs to."""
    request_id: str
    depth: int = 0
    """The number of enclosing algorithm calls; 0 for a call by a client."""
    keeps_insights: bool = True
    """Whether what the algorithm reports about the call is kept."""
    missing: list[str] = field(default_factory=list, compare=False)
    """The reference to nothing that the algorithm has called last, as it gave it; empty if there was none."""


@dataclass(frozen=True, slots=True)
class Caller:
    """An account, and the key or the running algorithm that acts for it."""

    account: str
    administrator: bool = False
    """True if this one request asked for the administrator's rights (`sudo`) and its account has them (API 1.3)."""
    inside: CallContext | None = None
    """The call that the request comes from; such a request never has the administrator's rights."""
    key: Key | None = None
    """The key of the request; None for the platform's own user and for algorithms."""
    may_administer: bool = False
    """Whether the account has an administrator's rights, if it asks for them."""
    roles: Mapping[str, str] = field(default_factory=dict)
    """Its role (`owner` or `member`) by organization."""

    def acts_for(self, owner: str) -> bool:
        """Whether the owner is the caller's own account, or an organization that it belongs to."""
        return self.account == owner or owner in self.roles

    def owns_algorithm(self, owner: str) -> bool:
        """Whether this caller may see that account's private versions, and printed output."""
        return self.administrator or self.acts_for(owner)
