"""Completion of paths: lists the entries of the typed directory, quickly, and silently on errors."""

from __future__ import annotations

import contextlib
import itertools
import os

import click
from click.shell_completion import CompletionItem

from algo_core.context import App
from algo_core.storage.uri import HOSTED, LOCAL, DataUri, parse_data_uri

LIMIT = 1000
"""Entries that are looked through: a page of a listing."""

LOCAL_FIRST = {"cp", "mv", "sync"}
"""Commands for which a path without a scheme is a local one."""

MY = ".my/"
DATA = f"{HOSTED}://"


def complete_path(ctx: click.Context, parameter: click.Parameter, typed: str) -> list[CompletionItem]:
    """The ways in which a path can go on; local ones are left to the shell where only they are possible."""
    bare = LOCAL if ctx.command.name in LOCAL_FIRST else HOSTED
    try:
        uri = parse_data_uri(typed, bare=bare) if typed else DataUri(bare, "")
        if uri.is_local:
            starts = [start for start in (MY, DATA) if typed and start.startswith(typed)]
            if not starts:
                return [CompletionItem(typed, type="file")]
            found = [*_local_names(typed), *starts]
        else:
            found = _hosted_names(ctx, uri, typed)
        if found in ([MY], [DATA]) or (len(found) == 1 and found[0].endswith("/") and not uri.is_local):
            # A shell would end the word after the only match, and there is more to type.
            found = _hosted_names(ctx, parse_data_uri(found[0], bare=HOSTED), found[0]) or found
    except Exception:  # whatever it is, a person who types wants no report of it
        return []
    return [CompletionItem(text) for text in found]


def _local_names(typed: str) -> list[str]:
    with os.scandir(os.path.dirname(typed) or ".") as found:
        names = [entry.name + ("/" if entry.is_dir() else "") for entry in itertools.islice(found, LIMIT)]
    return sorted(name for name in names if name.startswith(typed))


def _hosted_names(ctx: click.Context, uri: DataUri, typed: str) -> list[str]:
    directory = uri if uri.names_directory else uri.parent
    start = typed[: len(typed) - len(typed.rpartition("/")[2])]
    with contextlib.closing(App.for_completion(ctx)) as app:
        names = itertools.chain.from_iterable(app.storage(uri).names(directory))
        found = [f"{start}{name}" for name in itertools.islice(names, LIMIT)]
    if uri.scheme == HOSTED and not directory.path and f"{start}{MY}" not in found:
        found.append(f"{start}{MY}")
    # The one would be taken for an option, and fish would not quote the other.
    return [DATA + text if text.startswith(("-", "~")) else text for text in found if text.startswith(typed)]
