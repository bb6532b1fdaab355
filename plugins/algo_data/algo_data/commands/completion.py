"""TAB on a path: the entries of the directory that is being typed. Quick, and silent when it cannot."""

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


def complete_path(ctx: click.Context, parameter: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """The ways in which a path can go on; local ones are left to the shell where only they are possible."""
    typed, before = _whole_word(ctx, incomplete)
    bare = LOCAL if ctx.command.name in LOCAL_FIRST else HOSTED
    try:
        uri = parse_data_uri(typed, bare=bare) if typed else DataUri(bare, "")
        if uri.is_local:
            starts = [start for start in (MY, DATA) if typed and start.startswith(typed)]
            if not starts:
                return [CompletionItem(incomplete, type="file")]
            found = [*_local_names(typed), *starts]
        else:
            found = _hosted_names(ctx, uri, typed)
        if found in ([MY], [DATA]) or (len(found) == 1 and found[0].endswith("/") and not uri.is_local):
            # A shell would end the word after the only match, and there is more to type.
            found = _hosted_names(ctx, parse_data_uri(found[0], bare=HOSTED), found[0]) or found
    except Exception:  # whatever it is, a person who types wants no report of it
        return []
    return [CompletionItem(text[len(before) :]) for text in found]


def _whole_word(ctx: click.Context, incomplete: str) -> tuple[str, str]:
    """The path as it is typed, and the part of it that the shell does not count to the word: bash splits at colons."""
    words: list[str] = []
    for value in (*ctx.params.values(), ctx.args):
        words.extend([value] if isinstance(value, str) else value if isinstance(value, (tuple, list)) else ())
    if incomplete.startswith("//") and len(words) >= 2 and words[-1] == ":":
        return f"{words[-2]}:{incomplete}", f"{words[-2]}:"
    return incomplete, ""


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
    return [text for text in found if text.startswith(typed)]
