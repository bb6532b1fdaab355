"""Runs pip, uv and pipx as processes, and says what went wrong from what they print."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

from algo_core.errors import AlgoError, NetworkError, NotFoundError
from algo_plugins.installer.sources import redacted, trouble_in

LAST_LINES = 12
"""Number of lines shown of a failed tool's output."""


TIME_TO_PUT_BACK = 10.0
"""Seconds that an interrupted tool gets to roll back."""


class Unresolvable(AlgoError):
    """No set of versions satisfies everything that is asked for."""


class HashMismatch(AlgoError):
    """A file of a distribution has another hash than the requirements file lists, or has none there."""


_inherited: list[int] = []
"""Descriptors that tools keep open."""


@contextmanager
def inherited(descriptors: Sequence[int]) -> Iterator[None]:
    """Let tools that are run in the block keep these descriptors open until they end."""
    _inherited.extend(descriptors)
    try:
        yield
    finally:
        _inherited.clear()


def run(tool: str, command: Sequence[str], environ: Mapping[str, str], what: str, *, log: str | None = None) -> str:
    """Run a tool to its end and return its output. `log` is a file with more details of failures.

    Raises:
        NetworkError: if it could not reach a package index.
        Unresolvable: if no versions satisfy the requirements.
        AlgoError: if it failed in another way; the message ends with its last lines.
    """
    try:
        process = subprocess.Popen(
            command,
            env=dict(environ),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            pass_fds=_inherited,
        )
    except OSError as error:
        raise AlgoError(f"Cannot run {command[0]}: {error.strerror}") from None
    said = _all_of(process)
    if process.returncode:
        raise _failure(tool, what, said, process.returncode, _written(log))
    return said


def _all_of(process: subprocess.Popen[bytes]) -> str:
    try:
        try:
            said = process.communicate()[0]
        except KeyboardInterrupt:
            # the terminal has interrupted the tool as well: it puts back what it was about to replace
            process.communicate(timeout=TIME_TO_PUT_BACK)
            raise
    except BaseException:
        process.kill()
        process.wait()
        raise
    return said.decode("utf-8", "replace")


def run_search(tool: str, command: Sequence[str], environ: Mapping[str, str], *, log: str | None = None) -> str:
    """Run a search for requirements, check its whole output for failures, and return it."""
    what = "look for newer versions"
    try:
        said = run(tool, command, environ, what, log=log)
    except NetworkError:
        raise
    except AlgoError as error:
        if isinstance(error, Unresolvable) or not MISSING.search(error.message):
            raise
        raise NotFoundError(
            f"No package index has what is needed: {error.message}", f"Check {tool}'s index settings"
        ) from None
    if trouble := trouble_in(said + _written(log)):
        raise trouble.error(tool, f"Cannot tell whether there is something to upgrade: {trouble}")
    return said


def _written(log: str | None) -> str:
    if log is None:
        return ""
    try:
        return Path(log).read_text("utf-8", "replace")
    except OSError:
        return ""


CLASHES = re.compile(r"ResolutionImpossible|conflicting dependencies|No solution found")
TOO_OLD = re.compile(r"no such option|unexpected argument|unrecognized arguments")
OTHER_HASH = re.compile(r"(?:^\s+(\S+).*:\n\s+Expected sha|Hash mismatch for `([^`]+)`)", re.MULTILINE)
NO_HASH = re.compile(r"pinned with ==\. These do not:\n\s+(\S+)|requirements here.*\n\s+(\S+).* --hash", re.MULTILINE)
MISSING = re.compile(r"was not found|there are no versions of|No matching distribution")


def _failure(tool: str, what: str, said: str, code: int, log: str) -> AlgoError:
    shown = (line.rstrip() for line in redacted(said).splitlines())
    lines = [line for line in shown if line.strip() and not line.startswith(("DEBUG ", "TRACE "))]
    last = lines[-LAST_LINES:] or [f"it ended with exit code {code}"]
    message = f"{tool} could not {what}:\n" + "\n".join(f"  {line.strip()}" for line in last)
    if other := OTHER_HASH.search(said):
        return HashMismatch(
            f"{other[1] or other[2]} is another file than the requirements file says: its hash differs; "
            "nothing was changed",
            "Find out who changed it before you write its hash into the requirements file",
        )
    if lacking := NO_HASH.search(said):
        return unhashed(lacking[1] or lacking[2])
    if trouble := trouble_in(said + log):
        return trouble.error(tool, f"{message}\n{trouble}")
    if TOO_OLD.search(said):
        return AlgoError(
            message, f"This {tool} is too old: upgrade it, pip with: {sys.executable} -m pip install -U pip"
        )
    if CLASHES.search(said) and not MISSING.search(said):
        return Unresolvable(message)
    return AlgoError(message)


def unhashed(label: str) -> HashMismatch:
    """The error for a distribution that is needed and has no hash."""
    return HashMismatch(
        f"{label} is needed, and the requirements file has no version and hash of it; nothing was changed",
        "Add it: pip-compile --generate-hashes, or uv pip compile --generate-hashes, lists dependencies too",
    )
