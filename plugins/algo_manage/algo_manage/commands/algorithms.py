"""`algo algorithms list`, `search`, `show` and `versions` (API sections 6.1, 6.2)."""

from __future__ import annotations

from typing import Any

import click

from algo_core.context import App, pass_app
from algo_core.errors import UsageError
from algo_core.storage.uri import AlgorithmRef
from algo_core.terminal.options import human
from algo_manage import api
from algo_manage.completion import algorithm_argument


@click.command("list")
@click.option("--owner", metavar="ACCOUNT", help="List the algorithms of one account.")
@click.option("--tag", metavar="TAG", help="List those with a tag.")
@pass_app
def list_(app: App, owner: str | None, tag: str | None) -> None:
    """List the algorithms that you may see.

    \b
    Example:
      algo algorithms list --owner demo
    """
    _list(app, {"owner": owner, "tag": tag})


@click.command("search")
@click.argument("words", nargs=-1, required=True, metavar="WORD...")
@pass_app
def search_(app: App, words: tuple[str, ...]) -> None:
    """Find algorithms whose names or texts contain all words.

    \b
    Example:
      algo algorithms search face detection
    """
    _list(app, {"q": " ".join(words)})


@click.command("show")
@algorithm_argument
@pass_app
def show_(app: App, algorithm: str) -> None:
    """Show an algorithm's texts and settings.

    \b
    Example:
      algo algorithms show demo/Hello
    """
    ref = _unversioned(app, algorithm)
    with api.suggesting(app, ref):
        found = app.api.get_json(api.path_of(ref))
    describe(app, found)


@click.command("versions")
@algorithm_argument
@pass_app
def versions_(app: App, algorithm: str) -> None:
    """List the versions of an algorithm, newest number first.

    \b
    Example:
      algo algorithms versions demo/Hello
    """
    ref = _unversioned(app, algorithm)
    with api.suggesting(app, ref):
        found = list(api.pages(app, api.path_of(ref, "versions")))
    if app.output.is_json:
        app.output.json(found)
        return
    rows = [
        (
            api.member(entry, "version_info", "semantic_version"),
            api.member(entry, "settings", "algorithm_callability"),
            api.member(entry, "build", "finished_at"),
            str(api.member(entry, "version_info", "git_hash"))[:12],
            str(api.member(entry, "version_info", "release_notes")).partition("\n")[0],
        )
        for entry in found
    ]
    if rows:
        app.output.table(("Version", "Callable", "Built", "Commit", "Notes"), rows)
    else:
        app.output.info(f"{ref} has no version yet; publish one with: algo algorithms publish {ref}")


def describe(app: App, found: Any) -> None:
    """Print an algorithm object."""
    if app.output.is_json:
        app.output.json(found)
        return
    facts = [
        ("Name", f"{api.member(found, 'owner')}/{api.member(found, 'name')}".lstrip("/")),
        ("ID", api.member(found, "id")),
        ("Version", api.member(found, "version_info", "semantic_version")),
        *((name.capitalize(), api.member(found, "details", name)) for name in ("label", "tagline", "summary")),
        ("Tags", ", ".join(map(str, api.member(found, "details", "tags") or []))),
        *((name.replace("_", " ").capitalize(), value) for name, value in _settings(found)),
    ]
    for name, value in facts:
        if value != "":
            app.output.line(f"{name + ':':<24}{value}")


def _settings(found: Any) -> list[tuple[str, Any]]:
    settings = api.member(found, "settings") or {}
    return [(name, _shown(name, value)) for name, value in settings.items()]


def _shown(name: str, value: Any) -> Any:
    if isinstance(value, bool):
        return "yes" if value else "no"
    if name == "memory" and isinstance(value, int):
        return human(value)
    if isinstance(value, dict):
        return ", ".join(f"{key}={amount}" for key, amount in value.items())
    return value


def _unversioned(app: App, text: str) -> AlgorithmRef:
    ref = api.named(app, text)
    if ref.version:
        raise UsageError(f"{text} names a version, not an algorithm", f"Write {ref._replace(version=None)}")
    return ref


def _list(app: App, query: dict[str, Any]) -> None:
    found = list(api.pages(app, "algorithms", query))
    if app.output.is_json:
        app.output.json(found)
        return
    rows = [
        (
            f"{api.member(entry, 'owner')}/{api.member(entry, 'name')}",
            api.member(entry, "version_info", "semantic_version"),
            api.member(entry, "settings", "algorithm_callability"),
            api.member(entry, "details", "tagline") or api.member(entry, "details", "label"),
        )
        for entry in found
    ]
    if rows:
        app.output.table(("Algorithm", "Version", "Callable", "Description"), rows)
    else:
        app.output.info("No algorithms found")
