"""A build: the result of building an algorithm, from which its processes start."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from algo_core.errors import AlgoError

NetworkAccess = Literal["full", "isolated"]

Language = Literal["python3", "javascript", "r"]
"""The languages that this platform runs."""

TITLES: dict[Language, str] = {"python3": "Python", "javascript": "JavaScript", "r": "R"}
"""What people call them."""


@dataclass(frozen=True, slots=True)
class Build:
    """A published source tree that can be started as a process."""

    commit: str
    """40 hexadecimal digits: the hash of the source tree's content, in the place of a git commit."""
    source: Path
    """The built source tree; never changed after it was built."""
    python: Path
    """The interpreter to run it with: that of its virtual environment, or ours if it requires nothing; `node` in its
    environment, for JavaScript; `Rscript` there, for R."""
    module: str
    """Dotted name of the module with `apply`, for example `src.Hello`; its path, such as `src/Hello.js`, for
    JavaScript and R."""
    log: str
    """The build log."""
    network_access: NetworkAccess = "full"
    """What its processes reach besides the platform (API section 6.3): all that we do, or with `isolated` nothing."""
    min_workers: int = 0
    """Workers that are kept for it, started ahead of calls."""
    max_workers: int = 0
    """Workers that it may have at once; 0 for as many as the platform allows."""
    resources: tuple[tuple[str, float], ...] = ()
    """What the algorithm's settings say that a worker takes of a node: ahead of its `algorithmia.conf`."""
    secrets: tuple[tuple[str, str], ...] = field(default=(), repr=False)
    """Names and values of the algorithm's secrets, which its processes find in their environment (API section 6.6)."""

    @property
    def language(self) -> Language:
        """The language that it is written in."""
        return language_of(self.module)


def language_of(module: str) -> Language:
    """The language of a module: those of Python have dotted names, others are named by their files."""
    if "/" not in module:
        return "python3"
    return "r" if module.endswith((".R", ".r")) else "javascript"


class BuildError(AlgoError):
    """A directory cannot be built; `log` is the build log so far."""

    def __init__(self, message: str, hint: str | None = None, log: str = "") -> None:
        super().__init__(message, hint)
        self.log = log
        self.commit = ""
        """The hash of the content, as far as it is known."""
