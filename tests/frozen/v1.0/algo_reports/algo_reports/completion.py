"""Directories for TAB, from the storage that they are in."""

from __future__ import annotations

import click

from algo_core import App
from algo_core.uri import HOSTED, parse_data_uri

IMPATIENCE = {"ALGO_TIMEOUT": "2", "ALGO_RETRIES": "0"}
"""How long TAB may wait for an answer, in seconds, and how often it asks again."""


def complete_directory(ctx: click.Context, parameter: click.Parameter, incomplete: str) -> list[str]:
    """The directories beside the one that is being typed; nothing if they cannot be listed."""
    typed = ctx.find_object(App) or App()
    app = App({**typed.environ, **IMPATIENCE})
    app.profile_flag = typed.profile_flag
    app.output.quiet = True
    head = incomplete[: incomplete.rfind("/") + 1] or ".my/"
    try:
        uri = parse_data_uri(head, bare=HOSTED)
        found = [f"{head}{entry.name}" for entry in app.storage(uri).list(uri) if entry.is_directory]
    except Exception:  # whatever is wrong, TAB is not the place to say so
        return []
    finally:
        app.close()
    return [directory for directory in found if directory.startswith(incomplete)]
