"""Walks a local directory tree for removal: links are not followed, and nothing is skipped."""

from __future__ import annotations

import os
from collections.abc import Iterator


def files_below(top: str) -> Iterator[str]:
    """The paths of all entries below a directory that are not directories; a directory that vanishes counts as empty.

    Raises:
        OSError: if a directory cannot be listed or searched.
    """
    waiting = [top]
    while waiting:
        directory = waiting.pop()
        try:
            _check_searchable(directory)
            with os.scandir(directory) as found:
                for item in found:
                    if item.is_dir(follow_symlinks=False):
                        waiting.append(item.path)
                    else:
                        yield item.path
        except FileNotFoundError:
            if directory == top:
                raise


def _check_searchable(directory: str) -> None:
    """Check that a directory can be searched, not only listed."""
    try:
        os.lstat(os.path.join(directory, "."))
    except OSError as error:
        raise OSError(error.errno, error.strerror, directory) from None
