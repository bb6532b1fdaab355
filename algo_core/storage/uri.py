"""Data URIs and algorithm references: parse, join, print (API sections 3.1, 3.2, 4.2, 4.3)."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, NamedTuple

from algo_core.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Callable

# Compiled when they are first used: a command needs one of them at the most.
_SCHEME = r"([A-Za-z][A-Za-z0-9.-]*)(?:\+([A-Za-z0-9]+))?:/{1,2}"
_NAME = r"[A-Za-z0-9][A-Za-z0-9_-]*"
_ALGORITHM = rf"(?:algo:/{{1,2}}|/)?({_NAME})/({_NAME})(?:/([^/\s]*))?/?"
_ALGORITHM_ID = r"(?:algo:/{1,2}|/)?([0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12})(?:/([^/\s]*))?/?"
_VERSION = r"latest|latestPrivate|[0-9a-f]{40}|[0-9]+(?:\.(?:[0-9]+|[*x])){0,2}"

OWN_ALGORITHM = r"(?:algo:/{1,2}|/)?\.my/(.*)"
"""`.my` in the place of an owner is the account of the profile in use (guide)."""

HOSTED_ROOTS = (".my", ".algo", ".session")
"""First components that mean hosted data even without `data://` (API section 4.3)."""

LOCAL = "file"
"""The scheme of the local file system; it never reaches the platform."""

HOSTED = "data"
"""The scheme of hosted data."""


class DataUri(NamedTuple):
    """A path in a storage: `scheme[+label]://path`.

    `path` is kept as written. In an object store it is a key, in which every character counts: `a//b`, `a/./b` and `/a`
    differ from `a/b` and `a`. Elsewhere it has no leading slash (except for local absolute paths). A trailing slash
    means "a directory". For the scheme `file` it is a path of the local file system, in Unicode whatever the locale is
    (`algo_core.names.native`).
    """

    scheme: str
    path: str
    label: str | None = None

    @property
    def is_local(self) -> bool:
        """Whether this is a path of the local file system."""
        return self.scheme == LOCAL

    @property
    def connector(self) -> str:
        """`scheme` or `scheme+label`: what API section 4.2 calls the connector."""
        return f"{self.scheme}+{self.label}" if self.label else self.scheme

    @property
    def name(self) -> str:
        """The last component, without a slash; empty for a root."""
        return self._trimmed().rpartition("/")[2]

    @property
    def names_directory(self) -> bool:
        """Whether it can only be a directory: a root, or written with a trailing slash.

        In an object store that can be a file's key as well: `Storage.open` and `Storage.remove` take it for one.
        """
        return not self.path or self.path.endswith("/") or (self.scheme in _PATHS and self.name in {".", ".."})

    def child(self, name: str) -> DataUri:
        """The URI of a file in this directory, or of a directory whose name is not empty."""
        separator = "" if not self.path or self.path.endswith("/") else "/"
        return DataUri(self.scheme, f"{self.path}{separator}{name}", self.label)

    def subdirectory(self, name: str) -> DataUri:
        """The URI of a directory in this one; where a key has an empty component, its name is empty."""
        return self.child(name or "/")

    @property
    def parent(self) -> DataUri:
        """The parent directory; the root is its own parent."""
        trimmed = self._trimmed()
        if not trimmed and self.scheme in _PATHS:
            return self
        head, slash, _ = trimmed.rpartition("/")
        if self.is_local:
            head = "/" if slash and not head else head or "."
        elif slash and (not head or head.endswith("/")) and self.scheme not in _PATHS:
            head += "/"  # the name of the directory is empty
        return DataUri(self.scheme, head, self.label)

    def _trimmed(self) -> str:
        return self.path.rstrip("/") if self.scheme in _PATHS else self.path.removesuffix("/")

    def __str__(self) -> str:
        return self.path if self.is_local else f"{self.connector}://{self.path}"


_PATHS = frozenset({LOCAL, HOSTED})
"""Schemes in whose paths empty components mean nothing."""


def is_only_key(path: str) -> bool:
    """Whether a path has a component that is not a name (empty, `.` or `..`), or a NUL: only keys can."""
    return not NO_NAMES.isdisjoint(path.split("/")) or "\0" in path


NO_NAMES = frozenset({"", ".", ".."})
"""Names that no file or directory can have."""


def pasted(place: object) -> str:
    """A URI or a path for pasting into a command, quoted for the shell where necessary."""
    import shlex

    return shlex.quote(str(place))


def parse_data_uri(text: str, *, bare: str = LOCAL) -> DataUri:
    """Read a data URI as a person types it.

    Without a scheme, a path whose first component is `.my`, `.algo` or `.session` is hosted data, as the guide writes
    it, and one that starts with `/`, `./` or `../` is local; anything else has the scheme `bare`: `"file"` for commands
    where people mean local names (`cp`), `"data"` for the others (`ls`, `mkdir`, ...).

    Raises:
        UsageError: for an empty text, a NUL byte, or a label on a scheme that has none.
    """
    if not text:
        raise UsageError("The path is empty", "Name a local path or a data URI such as data://.my/collection/file")
    if "\0" in text:
        raise UsageError("A path cannot contain a NUL byte")
    if not text.isascii():
        from algo_core.names import portable

        text = portable(text)
    match = re.match(_SCHEME, text)
    if match and not (len(match[1]) == 1 and match[2] is None):
        scheme, label, rest = match[1].lower(), match[2], text[match.end() :]
        if scheme == LOCAL:
            slashes = text[len("file:") :]
            return DataUri(LOCAL, slashes[2:] if slashes.startswith("//") else slashes)
        if scheme == HOSTED and label:
            raise UsageError(f"Hosted data has no labels: {text}", "Write data:// without +label")
        return DataUri(scheme, rest.lstrip("/") if scheme == HOSTED else rest, label)
    first = text.partition("/")[0]
    if first in HOSTED_ROOTS:
        return DataUri(HOSTED, text)
    return DataUri(LOCAL if first in {"", ".", "..", "~"} else bare, text)


class AlgorithmRef(NamedTuple):
    """An algorithm and, maybe, one of its versions: `OWNER/NAME[/VERSION]`, or an id in the place of both names."""

    owner: str
    name: str
    version: str | None = None

    @property
    def path(self) -> str:
        """The path below `/v1/algo/` (API section 3.1)."""
        return "/".join(part for part in (self.owner, self.name, self.version) if part)

    def __str__(self) -> str:
        return self.path


def parse_algorithm_of(text: str, account: Callable[[], str]) -> AlgorithmRef:
    """As `parse_algorithm_ref`, but `.my` in the place of the owner is replaced by the name that `account` returns.

    Raises:
        UsageError: if it is no reference.
    """
    mine = re.fullmatch(OWN_ALGORITHM, text, re.DOTALL)
    return parse_algorithm_ref(f"my/{mine[1]}")._replace(owner=account()) if mine else parse_algorithm_ref(text)


def parse_algorithm_ref(text: str) -> AlgorithmRef:
    """Read `OWNER/NAME`, `OWNER/NAME/VERSION` or an id, with or without `algo://`.

    Raises:
        UsageError: if it is neither, or the version has none of the forms of API section 3.2.
    """
    if "-" in text and (by_id := re.fullmatch(_ALGORITHM_ID, text)):
        ref = AlgorithmRef(by_id[1], "", by_id[2] or None)
    elif by_name := re.fullmatch(_ALGORITHM, text):
        ref = AlgorithmRef(by_name[1], by_name[2], by_name[3] or None)
    else:
        raise UsageError(
            f"Not an algorithm: {text!r}",
            "Write OWNER/NAME or OWNER/NAME/VERSION, for example demo/Hello or nlp/LDA/1.0.0",
        )
    if ref.version and not re.fullmatch(_VERSION, ref.version):
        raise UsageError(
            f"Not a version: {ref.version!r}",
            "Versions look like 1.0.0, 1.2.*, 1.*, latest, latestPrivate, or the 40 hex digits of a commit",
        )
    return ref
