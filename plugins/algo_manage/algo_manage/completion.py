"""Completion of names that the platform lists; empty on failure."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from contextlib import closing

import click

from algo_core.context import App
from algo_manage import api

Completer = Callable[[click.Context, click.Parameter, str], list[str]]


def _offering(names: Callable[[App, click.Context, str], Iterable[str]]) -> Completer:
    def complete(ctx: click.Context, parameter: click.Parameter, incomplete: str) -> list[str]:
        with closing(App.for_completion(ctx)) as app:
            try:
                found = list(names(app, ctx, incomplete))
            except Exception:  # whatever is wrong, TAB is not the place to say so
                return []
        return [name for name in found if name.lower().startswith(incomplete.lower())]

    return complete


def _algorithm(app: App, ctx: click.Context) -> str:
    return api.path_of(api.named(app, ctx.params["algorithm"]))


def _algorithms(app: App, ctx: click.Context, typed: str) -> list[str]:
    owner = typed.partition("/")[0] * ("/" in typed)
    if owner != ".my":
        return api.known_algorithms(app, owner)
    return [f".my/{name.partition('/')[2]}" for name in api.known_algorithms(app, app.api.username())]


complete_algorithm = _offering(_algorithms)
complete_version = _offering(
    lambda app, ctx, typed: (
        str(api.member(entry, "version_info", "semantic_version"))
        for entry in api.pages(app, f"{_algorithm(app, ctx)}/versions")
    )
)
complete_build = _offering(
    lambda app, ctx, typed: (
        str(api.member(entry, "build_id")) for entry in api.pages(app, f"{_algorithm(app, ctx)}/builds")
    )
)
complete_secret = _offering(
    lambda app, ctx, typed: (
        str(api.member(entry, "secret_key"))
        for entry in api.entries(app.api.get_json(f"{_algorithm(app, ctx)}/secrets"))
    )
)
complete_schedule = _offering(
    lambda app, ctx, typed: (
        str(api.member(entry, "id")) for entry in api.pages(app, f"users/{app.api.username()}/schedules")
    )
)
complete_organization = _offering(
    lambda app, ctx, typed: (str(api.member(entry, "org_name")) for entry in api.pages(app, "organizations"))
)
complete_organization_type = _offering(
    lambda app, ctx, typed: (str(api.member(entry, "name")) for entry in api.pages(app, "organization/types"))
)
complete_member = _offering(
    lambda app, ctx, typed: (
        str(api.member(entry, "username")) for entry in api.pages(app, f"organizations/{ctx.params['org']}/members")
    )
)


def algorithm_argument(function: Callable[..., None]) -> Callable[..., None]:
    """The argument that most commands take."""
    return click.argument("algorithm", metavar="OWNER/NAME", shell_complete=complete_algorithm)(function)
