"""Everything below a directory of this machine, as it is removed: no link is followed, and nothing passed over."""

from __future__ import annotations

import os
from collections.abc import Iterator


def files_below(top: str) -> Iterator[str]:
    """The paths of all that is no directory, on whatever level; a directory that goes meanwhile holds nothing.

    Raises:
        OSError: if a directory cannot be listed, or not searched, so that nobody knows what is in it.
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
    """Names can be readable where nothing behind them is."""
    try:
        os.lstat(os.path.join(directory, "."))
    except OSError as error:
        raise OSError(error.errno, error.strerror, directory) from None
