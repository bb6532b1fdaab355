"""Parses names of algorithms and places in arguments of `algo local`, with suggestions for unknown names."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from algo_core.errors import NotFoundError, UsageError

if TYPE_CHECKING:
    from algo_local.algorithms.registry import Algorithm
    from algo_local.platform import Platform


def filled(ctx: click.Context, parameter: click.Parameter, value: str | None) -> str | None:
    """The callback of options that must not be empty: a variable that a script forgot to set is not their default.

    Raises:
        click.BadParameter: if the value is empty.
    """
    if value is not None and not value.strip():
        raise click.BadParameter("it is empty", ctx, parameter)
    return value


def known_algorithm(platform: Platform, text: str) -> Algorithm:
    """The algorithm `OWNER/NAME`; `.my` as the owner is the platform's own account.

    Raises:
        UsageError: if the text names none.
        NotFoundError: if there is none; the hint suggests a similar one.
    """
    owner, slash, name = text.removeprefix("algo://").partition("/")
    if not slash or not owner or not name or "/" in name:
        raise UsageError(f"Not an algorithm: {text!r}", "Write OWNER/NAME, for example demo/Hello")
    owner = platform.account if owner == ".my" else owner
    found = platform.registry.algorithm(owner, name)
    if not found:
        from algo_local.algorithms.configuration import meant

        close = meant(f"{owner}/{name}", (f"{each.owner}/{each.name}" for each in platform.registry.algorithms()))
        hint = f"Did you mean {close}?" if close else "List them with: algo local status"
        raise NotFoundError(f"Algorithm {owner}/{name} does not exist", hint)
    return found


def known_pattern(platform: Platform, text: str, *, owner: str, allow_missing: bool = False) -> str:
    """The pattern of a key for `OWNER/NAME`, `OWNER/*` or `*`, with or without `algo://`.

    `owner` is the account that the key is for, which may be made together with it.

    Raises:
        UsageError, Invalid: if the text is no pattern.
        NotFoundError: if it matches no algorithm, unless `allow_missing`: the key could call nothing.
    """
    bare = text.removeprefix("algo://").removesuffix("/*")
    account, slash, name = bare.partition("/")
    account = platform.account if account == ".my" else account
    if bare == "*" or allow_missing:
        return f"algo://{account}{slash}{name}"
    try:
        if slash:
            known_algorithm(platform, bare)
        elif account.lower() != owner.lower():
            platform.accounts.get(account)
    except NotFoundError as error:
        error.hint = "\n".join(filter(None, [error.hint, "To make the key before the algorithm: --allow-missing"]))
        raise
    return f"algo://{account}{slash}{name}"
