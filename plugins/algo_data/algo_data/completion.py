"""TAB on a path: the entries of the directory that is being typed. Quick, and silent when it cannot."""

from __future__ import annotations

import itertools

import click
from click.shell_completion import CompletionItem

from algo_core.context import App
from algo_core.uri import HOSTED, HOSTED_ROOTS, LOCAL, DataUri, parse_data_uri

LIMIT = 1000
"""Entries that are looked through: a page of a listing."""

SECONDS = (1.0, 2.0)
"""How long connecting and answering may take."""


def complete_path(ctx: click.Context, parameter: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """The ways in which a path can go on; local ones are left to the shell."""
    typed, before = _whole_word(ctx, parameter, incomplete)
    bare = LOCAL if ctx.command.name == "cp" else HOSTED
    try:
        uri = parse_data_uri(typed, bare=bare) if typed else DataUri(bare, "")
        if uri.is_local:
            found = _starts(typed)
            return [*map(CompletionItem, found), CompletionItem(incomplete, type="file")]
        found = [*_starts(typed), *_entries(ctx, uri, typed)]
    except Exception:  # whatever it is, a person who types wants no report of it
        return []
    return [CompletionItem(text[len(before) :]) for text in found]


def _whole_word(ctx: click.Context, parameter: click.Parameter, incomplete: str) -> tuple[str, str]:
    """The path as it is typed, and how much of it the shell does not count to the word: bash splits at colons."""
    words = [word for value in ctx.params.values() if isinstance(value, tuple) for word in value]
    words += ctx.args
    if incomplete.startswith("//") and len(words) >= 2 and words[-1] == ":":
        return f"{words[-2]}:{incomplete}", f"{words[-2]}:"
    return incomplete, ""


def _starts(typed: str) -> list[str]:
    return [f"{root}/" for root in HOSTED_ROOTS[:1] if typed and f"{root}/".startswith(typed) and typed != f"{root}/"]


def _entries(ctx: click.Context, uri: DataUri, typed: str) -> list[str]:
    app = ctx.find_object(App) or App()
    app.output.quiet = True
    app.session.timeout = SECONDS
    for adapter in app.session.adapters.values():
        if hasattr(adapter, "max_retries"):
            adapter.max_retries = 0
    directory = uri if uri.names_directory else uri.parent
    start = typed[: len(typed) - len(typed.rpartition("/")[2])]
    names = itertools.islice(app.storage(uri).list(directory), LIMIT)
    texts = [f"{start}{entry.name}" + ("/" if entry.is_directory else "") for entry in names]
    return [text for text in texts if text.startswith(typed)]
