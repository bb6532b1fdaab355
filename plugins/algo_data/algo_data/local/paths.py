"""Local paths, and errors of the operating system as errors of this project."""

from __future__ import annotations

import errno
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager

from algo_core.errors import AlgoError, NotFoundError, PermissionDenied, RequestRefused
from algo_core.names import native, portable
from algo_core.storage.contract import IsADirectory
from algo_core.storage.uri import LOCAL, DataUri, pasted


def local_path(uri: DataUri) -> str:
    """The path for the operating system; `~` is the home as in a shell."""
    if uri.scheme != LOCAL:
        raise AssertionError(f"not a local path: {uri}")
    path = native(uri.path)
    return os.path.expanduser(path) if path == "~" or path.startswith("~/") else path or "."


@contextmanager
def system_errors(uri: DataUri, *, makes: bool = False) -> Iterator[None]:
    """Translate errors of the operating system inside the block into this project's errors.

    With `makes`, the block creates the URI's file, so that its parent directory can be missing.
    """
    try:
        yield
    except (OSError, ValueError) as error:
        raise of_system(uri, error, makes=makes) from error


def of_system(uri: DataUri, error: OSError | ValueError, *, makes: bool = False) -> AlgoError:
    """An error of the operating system as an error of this project; `makes` as in `system_errors`."""
    if isinstance(error, FileNotFoundError):
        return _not_found(uri, makes=makes)
    if isinstance(error, IsADirectoryError):
        return IsADirectory(f"{uri} is a directory")
    if isinstance(error, NotADirectoryError):
        return NotFoundError(f"{uri} does not exist: a part of the path is a file")
    if not isinstance(error, OSError):  # a NUL in it, or half of a surrogate pair
        return RequestRefused(f"{uri}: a local file cannot have this name", "Choose another name for the copy")
    what = f"{_at_fault(uri, error)}: {error.strerror or error}"
    if isinstance(error, PermissionError):
        return PermissionDenied(what)
    return (RequestRefused if error.errno == errno.ENAMETOOLONG else AlgoError)(what)


def _at_fault(uri: DataUri, error: OSError) -> str:
    """The path in the system's error, if it is below a directory."""
    path = error.filename
    is_below = isinstance(path, str) and path.startswith(local_path(uri).rstrip("/") + "/")
    return portable(path) if is_below else str(uri)


def _not_found(uri: DataUri, *, makes: bool) -> NotFoundError:
    if match := re.match(r"[A-Za-z]:/", uri.path):
        what = f"Directory {uri.parent} does not exist" if makes else f"{uri} does not exist"
        return NotFoundError(what, f"{match[0]}/ is not a scheme; schemes have two letters or more, such as s3://")
    if makes:
        return NotFoundError(f"Directory {uri.parent} does not exist", f"Make it with: mkdir -p {pasted(uri.parent)}")
    path = local_path(uri)
    if os.path.islink(path):
        return NotFoundError(f"{uri} is a link to {os.readlink(path)}, which does not exist")
    # Of a path that begins with what is there, such as one in a tree, nobody has forgotten the scheme.
    is_plain = not path.startswith(("/", ".", "~")) and not os.path.lexists(path.partition("/")[0])
    return NotFoundError(f"{uri} does not exist", _hosted(uri.path) if is_plain else None)


def _hosted(path: str) -> str:
    """The hint for a path that may be one of hosted data; a name alone would be an account there."""
    return f"For hosted data write data://{path if '/' in path else f'.my/{path}'}"
