"""Completion of algorithm names, from what the platform lists."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import click

from algo_core.context import App

if TYPE_CHECKING:
    from click.shell_completion import CompletionItem


def complete_algorithm(ctx: click.Context, parameter: click.Parameter, incomplete: str) -> list[str]:
    """Algorithms of the typed owner, else of the caller (`.my` is one as well), or directories; empty on failure."""
    owner, slash, _ = incomplete.partition("/")
    is_mine = bool(slash) and owner == ".my"
    if incomplete.startswith((".", "/", "~")) and not is_mine:
        return _directories(incomplete)
    app = App.for_completion(ctx)
    try:
        account = owner if slash and not is_mine else app.api.username()
        page = app.api.get_json(f"users/{account}/algorithms", query={"limit": 1000})
        entries = page["results"] if isinstance(page, dict) else page
        typed = owner if slash else account
        names = [f"{typed}/{str(entry['name']).rpartition('/')[2]}" for entry in entries]
    except Exception:  # whatever is wrong, TAB is not the place to say so
        return []
    finally:
        app.close()
    return [name for name in names if name.lower().startswith(incomplete.lower())]


def _directories(incomplete: str) -> list[str]:
    """The directories whose paths begin so; hidden ones only if that is typed."""
    above, _, typed = incomplete.rpartition("/")
    if not above and "/" not in incomplete:
        return []
    try:
        with os.scandir(os.path.expanduser(f"{above}/")) as entries:
            names = sorted(entry.name for entry in entries if entry.is_dir())
    except OSError:
        return []
    return [f"{above}/{name}/" for name in names if name.startswith(typed) and (typed or name[0] not in "._")]


def complete_request(ctx: click.Context, parameter: click.Parameter, incomplete: str) -> list[str]:
    """The ids of the newest calls on record; nothing if that fails."""
    app = App.for_completion(ctx)
    try:
        entries = app.api.get_json("requests", query={"limit": 50})["results"]
        found = [str(entry["request_id"]) for entry in entries]
    except Exception:  # whatever is wrong, TAB is not the place to say so
        return []
    finally:
        app.close()
    return [identifier for identifier in found if identifier.startswith(incomplete)]


def complete_recorded(ctx: click.Context, parameter: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """The word for the platform's record, and files."""
    from click.shell_completion import CompletionItem

    words = [CompletionItem("requests")] if "requests".startswith(incomplete) else []
    return words or [CompletionItem(incomplete, type="file")]


def complete_input(ctx: click.Context, parameter: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """Members and values of a JSON input, from the schema of the algorithm that was typed; nothing if that fails."""
    from click.shell_completion import CompletionItem

    # Without its value the option ends the reading of the line, before arguments get their names.
    algorithm = ctx.params.get("algorithm") or next(iter(ctx.args), "")
    app = App.for_completion(ctx)
    try:
        from algo_run.json_completion import complete
        from algo_run.schemas import input_schema

        found = complete(input_schema(app, algorithm), incomplete) if algorithm else []
    except Exception:  # whatever is wrong, TAB is not the place to say so
        return []
    finally:
        app.close()
    return [CompletionItem(one.text, "plain" if one.is_complete else "open", one.help) for one in found]
